//! Text that the grammar cannot hold: plain words, and no program lost.

use super::*;

#[test]
fn what_is_never_closed_is_read_as_words() {
    check_plain("echo 'never closed; rm", "echo 'never closed ; rm");
    check_plain("find . -name '*.c | xargs rm", ">:find . -name '*.c ; <:xargs rm ; <:rm");
    check_plain("echo it's fine; sudo ls", "echo it's fine ; sudo ls ; !:ls");
    check_plain("echo $(cat x | sh", "echo ; >:cat x ; <:sh");
    check_plain("echo `cat x; a", "echo ; cat x ; a");
    check_plain("echo \"a $(b; c", "echo \"a ; b ; c");
    check_plain("(a; b 'c", "a ; b 'c");
    check_plain("a ${x; b", "a ${x ; b");
    check_plain("if a 'b; then sudo c; fi", "a 'b ; sudo c ; !:c");
    check_plain("for x in a b; do c 'd; done", "c 'd");
    check_plain("A=1 b \"c d\" 'e", "b c d 'e");
    check_plain("a 2>x 'b", "a 'b");
    check_plain("bash -c 'a; b' \"c", "bash -c a; b \"c ; a ; b");
}

#[test]
fn what_stands_wrong_is_still_read() {
    check_plain("a; done", "a");
    check_plain("{ a; b", "a ; b");
    check_plain("for x in a; do b", "b");
    check_plain("if a; then b", "a ; b");
    check_plain("a; fi; b", "a ; b");
    check_plain("a)", "a");
    check_plain("a >", "a");
    check_plain("a;; b", "a ; b");
    check_plain("case x in a) b", "b");
    check_plain("} a", "a");
}

#[test]
fn brackets_beyond_the_depth_are_separators() {
    let nested = |depth: usize| format!("{}a; b{}", "$(".repeat(depth), ")".repeat(depth));
    let fits = parse(format!("x {}", nested(DEPTH_MAX - 1)).as_bytes());
    assert!(fits.is_parsed);
    let deep = parse(format!("x {}", nested(DEPTH_MAX)).as_bytes());
    assert!(!deep.is_parsed);
    assert_eq!(shown(&deep), ["x", "a", "b"]);
}

#[test]
fn text_beyond_the_length_is_words() {
    let long = format!("echo {}; sudo ls", "x".repeat(TEXT_BYTES_MAX));
    let line = parse(long.as_bytes());
    assert!(!line.is_parsed);
    assert_eq!(shown(&line)[1..], ["sudo ls", "!:ls"]);
    assert!(parse(format!("echo {}", "x".repeat(TEXT_BYTES_MAX - 5)).as_bytes()).is_parsed);
}

#[test]
fn programs_beyond_the_bound_are_not_told() {
    let scripts = format!("eval '{}'; ", "a;".repeat(RUNS_MAX / 2)).repeat(3);
    assert_eq!(parse(scripts.as_bytes()).runs.len(), RUNS_MAX);
}

#[test]
fn layers_beyond_the_bound_are_not_looked_into() {
    let layers = parse("sudo ".repeat(LAYERS_MAX * 2).as_bytes());
    assert_eq!(layers.runs.len(), LAYERS_MAX + 1);
    let scripts = parse("eval ".repeat(LAYERS_MAX * 2).as_bytes());
    assert_eq!(scripts.runs.len(), LAYERS_MAX);
}

#[test]
fn words_beyond_the_bound_are_not_read() {
    let line = parse("a ".repeat(WORDS_MAX + 10).as_bytes());
    assert_eq!(line.runs[0].words.len(), WORDS_MAX);
}

#[test]
fn scripts_beyond_the_bound_are_not_read() {
    // One body for a thousand shells.
    let text = format!("{{ {} }} <<E\n{}\nE\n", "sh; ".repeat(1000), "a ".repeat(2000));
    let (line, effort) = parse_counted(text.as_bytes());
    assert!(effort <= 2 * SCRIPT_BYTES_MAX, "{effort}");
    assert!(line.runs.iter().filter(|run| run.name() == b"a").count() * 4000 <= SCRIPT_BYTES_MAX);
}

#[test]
fn copies_are_bounded() {
    let copied = |line: &Line| -> usize {
        let words = line.runs.iter().flat_map(|run| {
            run.words.iter().chain(run.redirections.iter().map(|redirection| &redirection.target))
        });
        words.map(|word| 1 + word.text().len() / 64).sum()
    };
    for text in [
        format!("{}{}", "sudo ".repeat(12), "a ".repeat(8000)),
        format!("{{ {} }} {}", "a; ".repeat(3000), ">b ".repeat(2000)),
        format!("{{ {} }} <<E\n{}\nE\n", "a; ".repeat(3000), "b ".repeat(3000)),
        format!("sudo -- {} <<E\n{}\nE\n", "sudo ".repeat(15), "b ".repeat(5000)),
    ] {
        let line = parse(text.as_bytes());
        assert!(copied(&line) <= WORDS_MAX + COPIES_MAX + RUNS_MAX, "{}", copied(&line));
    }
}
