//! Whatever is typed, it is taken apart with bounded work.

mod reading;

use karo_core::line::{self, DEPTH_MAX, TEXT_BYTES_MAX};
use proptest::prelude::*;

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
            reading::line(piece.repeat(times).as_bytes());
        }
    }
    reading::line("(".repeat(100_000).as_bytes());
    reading::line("a".repeat(100_000).as_bytes());
    reading::line("$(".repeat(100_000).as_bytes());
    reading::line(&[0xff; LONG]);
    reading::line(b"<<''<a=select [[>Ea=&*<<time  ]] ");
    reading::line(b"x <<-a%$((\t)); ");
    reading::line(b"<<E$[\t\t");
    // Scripts within scripts, the quotes of each level doubled.
    let mut nested = "a".to_owned();
    for _ in 0..8 {
        nested = format!("bash -c \"{}\"", nested.replace('\\', "\\\\").replace('"', "\\\""));
    }
    reading::line(nested.as_bytes());
    assert_eq!(line::parse(nested.as_bytes()).runs.len(), 9);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_are_bounded(text in prop::collection::vec(any::<u8>(), 0..256)) {
        reading::line(&text);
    }

    #[test]
    fn any_syntax_is_bounded(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..48)) {
        reading::line(pieces.concat().as_bytes());
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
