//! Text that the grammar cannot hold: plain words, and no program lost; whatever comes, a bounded answer.

use proptest::prelude::*;

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
    let line = parse("a;".repeat(RUNS_MAX + 10).as_bytes());
    assert_eq!(line.runs.len(), RUNS_MAX);
    let layers = parse("sudo ".repeat(LAYERS_MAX * 2).as_bytes());
    assert_eq!(layers.runs.len(), LAYERS_MAX + 1);
    let scripts = parse("eval ".repeat(LAYERS_MAX * 2).as_bytes());
    assert_eq!(scripts.runs.len(), LAYERS_MAX);
}

#[test]
fn scripts_beyond_the_bound_are_not_read() {
    // One body for a thousand shells.
    let text = format!("{{ {} }} <<E\n{}\nE\n", "sh; ".repeat(1000), "a ".repeat(2000));
    assert!(effort(text.as_bytes()) <= 2 * SCRIPT_BYTES_MAX);
    let line = parse(text.as_bytes());
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

/// Demands of any bytes what holds always.
fn bounded(text: &[u8]) {
    let unfold::Unfold { line, effort, .. } = unfold::Unfold::new(text);
    assert!(line.runs.len() <= RUNS_MAX);
    let most = text.len() * (DEPTH_MAX + LAYERS_MAX) * 2 + 2 * SCRIPT_BYTES_MAX;
    assert!(effort <= most, "{effort} of {most}");
    for (index, run) in line.runs.iter().enumerate() {
        assert!(!run.words.is_empty());
        assert!(run.own >= 1 && run.own <= run.words.len());
        assert!(run.parent.is_none_or(|parent| parent < index));
        let targets = run.redirections.iter().map(|redirection| &redirection.target);
        for word in run.words.iter().chain(&run.assignments).chain(targets) {
            placed(text, word);
        }
    }
    line.assignments.iter().for_each(|word| placed(text, word));
}

/// Demands that a word stands in its line, each of its bytes and each of its expansions, too.
fn placed(text: &[u8], word: &Word) {
    let within = |place: std::ops::Range<usize>| place.start <= place.end && place.end <= text.len();
    assert!(within(word.span()), "{word:?}");
    let length = word.text().len();
    assert!(within(word.place(0..length)));
    for at in (0..length).take(64).chain(length.saturating_sub(64)..length) {
        assert!(within(word.place(at..at + 1)), "{word:?} at {at}");
    }
    let mut end = 0;
    for expansion in word.expansions() {
        assert!(
            end <= expansion.start && expansion.start < expansion.end && expansion.end <= length,
            "{word:?}"
        );
        end = expansion.end;
        assert!(within(word.place(expansion.clone())));
    }
}

#[test]
fn the_worst_lines_are_bounded() {
    const LONG: usize = 64 * 1024;
    for piece in [
        "(",
        "a",
        "$(",
        "`",
        "'",
        "\"",
        "\\",
        "${",
        "$((",
        "((",
        "[[ ",
        "{ ",
        "<(",
        "a(",
        "a=(",
        "$'",
        "<<E ",
        "<<E\n",
        "<<E;",
        "\"$(",
        "\"${",
        "if ",
        "for x in ",
        "case a in a) ",
        "case ",
        "function f ",
        "f() ",
        "f()",
        "begin;",
        "switch a;",
        "a|",
        "a&",
        "a;",
        "a\n",
        "x 'a' ",
        ">a ",
        "{ a; } >b ",
        "(a)",
        "((a)",
        "$((a) ",
        "sudo ",
        "eval ",
        "bash -c ",
        "xargs ",
        "env -S ",
        "echo a | sh | ",
        "find . -exec ",
        "-exec a ; ",
        "\\'",
        "\\`",
        "$",
        "#",
        "# ",
        ";;",
        "a) ",
        "<a ",
        "<a> ",
        "coproc ",
        "time ",
        "\0",
        "\u{202e}",
        "\u{feff}",
        "é",
        "ssh a ",
        "ssh a 'b ",
        "trap 'a' b; ",
        "a=",
        "a[",
        "a=(b ",
        "x(y ",
        "x(y|",
        "echo (",
        "printf %s | sh;",
    ] {
        for times in [DEPTH_MAX - 2, TEXT_BYTES_MAX / piece.len(), LONG / piece.len()] {
            bounded(piece.repeat(times).as_bytes());
        }
    }
    bounded("(".repeat(100_000).as_bytes());
    bounded("a".repeat(100_000).as_bytes());
    bounded("$(".repeat(100_000).as_bytes());
    bounded(&[0xff; LONG]);
    bounded(b"<<''<a=select [[>Ea=&*<<time  ]] ");
    bounded(b"x <<-a%$((\t)); ");
    bounded(b"<<E$[\t\t");
    // Scripts within scripts, the quotes of each level doubled.
    let mut nested = "a".to_owned();
    for _ in 0..8 {
        nested = format!("bash -c \"{}\"", nested.replace('\\', "\\\\").replace('"', "\\\""));
    }
    bounded(nested.as_bytes());
    assert_eq!(parse(nested.as_bytes()).runs.len(), 9);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_are_bounded(text in prop::collection::vec(any::<u8>(), 0..256)) {
        bounded(&text);
    }

    #[test]
    fn any_syntax_is_bounded(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..48)) {
        bounded(pieces.concat().as_bytes());
    }
}

/// What lines are made of.
const PIECES: &[&str] = &[
    " ",
    " ",
    " ",
    "\n",
    ";",
    "&",
    "|",
    "&&",
    "||",
    ";;",
    "(",
    ")",
    "{",
    "}",
    "$(",
    "${",
    "$((",
    "))",
    "((",
    "<(",
    "=(",
    "`",
    "'",
    "\"",
    "\\",
    "$'",
    "$\"",
    "<",
    ">",
    "<<E",
    "<<-'E'",
    "\nE\n",
    "<<<",
    ">&",
    "2>",
    "{x}>",
    "&>",
    "[[",
    "]]",
    "if ",
    "then ",
    "else ",
    "elif ",
    "fi ",
    "for ",
    "in ",
    "do ",
    "done ",
    "while ",
    "case ",
    "esac ",
    "function ",
    "f()",
    "begin ",
    "end ",
    "switch ",
    "time ",
    "coproc ",
    "! ",
    "and ",
    "repeat ",
    "always ",
    "a",
    "b=",
    "c=(",
    "$x",
    "*",
    "#",
    "sudo ",
    "env -S ",
    "bash -c ",
    "ssh h ",
    "eval ",
    "xargs ",
    "find . -exec ",
    "echo -e ",
    "printf '%s' ",
    "| sh",
    "sh <<E",
    "trap ",
    "su -c ",
    "docker run i ",
    "--",
    "-c",
    "\\;",
    "\0",
    "é",
    "\u{202e}",
    "<a>",
    "\t",
];
