//! Where each byte of a word stands in its line.

use proptest::prelude::*;

use super::*;

/// Demands that a piece of a run's word comes from a piece of the line.
fn check_place(line: &str, run: usize, word: usize, piece: &str, from: &str) {
    let parsed = parse(line.as_bytes());
    let word = &parsed.runs[run].words[word];
    let text = String::from_utf8_lossy(word.text()).into_owned();
    let at = text.find(piece).unwrap_or_else(|| panic!("{piece} is not in {text}"));
    let place = word.place(at..at + piece.len());
    assert_eq!(&line[place], from, "{line}");
}

#[test]
fn quotes_at_the_ends_are_not_of_the_place() {
    check_place("a bcd", 0, 1, "bcd", "bcd");
    check_place("a bcd", 0, 1, "c", "c");
    check_place("a 'bcd'", 0, 1, "bcd", "bcd");
    check_place("a \"b c\"d", 0, 1, "b cd", "b c\"d");
    check_place("a 'b'\"c\"d", 0, 1, "c", "c");
    check_place("a b\\$c", 0, 1, "$", "\\$");
    check_place("a \"b\\\"c\"", 0, 1, "\"c", "\\\"c");
    check_place("a $'b\\x41c'", 0, 1, "A", "\\x41");
    check_place("a $'b\\x41c'", 0, 1, "bAc", "b\\x41c");
    check_place("a b\\\nc", 0, 1, "bc", "b\\\nc");
    check_place("a -p'x y'", 0, 1, "x y", "x y");
}

#[test]
fn words_of_scripts_stand_in_the_line() {
    check_place("bash -c 'a secret'", 1, 1, "secret", "secret");
    check_place("bash -c \"a 'sec ret'\"", 1, 1, "sec ret", "sec ret");
    check_place("bash -c \"a \\\"sec ret\\\"\"", 1, 1, "sec ret", "sec ret");
    check_place("bash -c 'bash -c \"a se\\$cret\"'", 2, 1, "se$cret", "se\\$cret");
    check_place("ssh h a \"b c\" d", 1, 2, "c", "c");
    check_place("eval a \"$x\" 'b c'", 1, 3, "c", "c");
    check_place("echo 'a secret' | sh", 2, 1, "secret", "secret");
    check_place("echo -e 'x\\na sec\\x72et' | sh", 3, 1, "secret", "sec\\x72et");
    check_place("printf '%s\\n' 'a b' | sh", 2, 1, "b", "b");
    check_place("sh <<E\na secret\nE", 1, 1, "secret", "secret");
    check_place("sh <<-E\n\ta secret\nE", 1, 1, "secret", "secret");
    check_place("echo `a \\`b secret\\``", 2, 1, "secret", "secret");
    check_place("env -S 'a secret' b", 1, 1, "secret", "secret");
    check_place("su --command='a secret'", 1, 1, "secret", "secret");
}

#[test]
fn expansions_are_what_only_a_shell_tells() {
    let expansions = |line: &str, run: usize, word: usize| {
        let parsed = parse(line.as_bytes());
        let word = parsed.runs[run].words[word].clone();
        let text = |range: &std::ops::Range<usize>| {
            String::from_utf8_lossy(&word.text()[range.clone()]).into_owned()
        };
        word.expansions().iter().map(text).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(expansions("a b$c-${d}'$e'\"$f\"\\$g", 0, 1), "$c ${d} $f");
    assert_eq!(expansions("a $(b $c)`d`$((1))$1$@", 0, 1), "$(b $c) `d` $((1)) $1 $@");
    assert_eq!(expansions("a <(b) (c)", 0, 1), "<(b)");
    assert_eq!(expansions("a (c)", 0, 1), "(c)");
    assert_eq!(expansions("bash -c \"a $b '$c'\"", 1, 1), "$b");
    assert_eq!(expansions("bash -c \"a $b '$c'\"", 1, 2), "$c");
    assert_eq!(expansions("bash -c 'a $b'", 1, 1), "$b");
    assert_eq!(expansions("a '$b' c", 0, 1), "");
    check("bash -c \"a $(b) c\"", "bash -c a $(b) c ; a $(b) c ; $:b");
}

#[test]
fn a_program_that_only_the_shell_knows_has_no_name() {
    let name = |line: &str| String::from_utf8_lossy(parse(line.as_bytes()).runs[0].name()).into_owned();
    assert_eq!(name("$EDITOR x"), "");
    assert_eq!(name("$HOME/bin/a x"), "a");
    assert_eq!(name("/usr/bin/a x"), "a");
    assert_eq!(name("/opt/$x"), "");
    assert_eq!(name("'/opt/$x'"), "$x");
}

proptest! {
    #[test]
    fn plain_words_stand_in_the_line_as_they_are(words in prop::collection::vec("[a-z0-9./:=@%+,-]{1,12}", 1..8)) {
        let line = format!("x {}", words.join(" "));
        for run in parse(line.as_bytes()).runs {
            for word in run.words {
                prop_assert_eq!(word.text(), &line.as_bytes()[word.span()]);
                prop_assert_eq!(word.place(0..word.text().len()), word.span());
            }
        }
    }

    #[test]
    fn quoted_words_say_what_was_quoted(text in "[ -~éß\n\t]{0,40}") {
        for (quoted, shell) in [
            (format!("'{}'", text.replace('\'', "'\\''")), "single"),
            (format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$").replace('`', "\\`")), "double"),
        ] {
            let line = parse(format!("x {quoted}").as_bytes());
            prop_assert_eq!(line.runs[0].words[1].text(), text.as_bytes(), "{}", shell);
        }
    }

    #[test]
    fn a_wrapped_program_is_found(wrapper in prop::sample::select(WRAPPERS), inner in "[a-z]{3,9}x", argument in "[a-z0-9 ;'$]{0,20}") {
        let quoted = format!("'{}'", argument.replace('\'', "'\\''"));
        let command = format!("{inner} {quoted}");
        let line = match wrapper.split_once('|') {
            None => format!("{wrapper} {command}"),
            Some((before, after)) => format!("{before} '{}' {after}", command.replace('\'', "'\\''")),
        };
        let parsed = parse(line.as_bytes());
        let run = parsed.runs.iter().find(|run| run.name() == inner.as_bytes());
        prop_assert!(run.is_some(), "{} in {:?}", line, shown(&parsed));
        let run = run.unwrap();
        prop_assert_eq!(run.words[1].text(), argument.as_bytes(), "{}", line);
        prop_assert!(run.parent.is_some());
    }
}

/// Ways to wrap a command: as words, or as a script at the bar.
const WRAPPERS: &[&str] = &[
    "sudo",
    "sudo -u root -E",
    "env A=1 B=2",
    "nohup",
    "timeout -k 1 5",
    "nice -n 5",
    "xargs -0 -I {}",
    "time",
    "sudo env A=1 nice",
    "docker run --rm -it -v a:b image",
    "docker exec -it c",
    "kubectl -n x exec p --",
    "strace -f -o x",
    "chroot /mnt",
    "bash -c|",
    "sudo sh -c|",
    "su - bob -c|",
    "ssh -p 22 h|",
    "eval|",
    "watch -n 1|",
    "find . -exec sh -c|",
    "systemd-run --unit x",
    "nsenter -t 1 -m --",
    "bash -c 'a'; bash -lc|; b",
    "script -qc|/dev/null",
    "env -S|",
    "flock /x -c|",
    "tmux new -d|",
    "poetry run",
    "xvfb-run -a",
];
