//! Commands that a program in another language runs, where its text says so plainly: `os.system("id")`.
//!
//! The text is not read as a program: a name that runs commands, followed by a string, is what is looked for.

use std::ops::Range;

use super::Part;
use crate::line::word::{Builder, Word};

/// Strings of one call that are read.
const ARGUMENTS_MAX: usize = 16;

/// What runs a command in a language.
struct Language {
    /// Options whose value is a program's text; none when the first operand is it.
    options: &'static [&'static [u8]],
    /// Functions that are given a command.
    functions: &'static [&'static str],
    /// Whether a text between backticks is a command.
    has_backticks: bool,
}

const PYTHON: Language = Language {
    options: &[b"-c"],
    functions: &[
        "system",
        "popen",
        "spawn",
        "getoutput",
        "getstatusoutput",
        "check_output",
        "check_call",
        "Popen",
        "subprocess.run",
        "subprocess.call",
        "execl",
        "execlp",
        "execle",
        "execv",
        "execvp",
        "execve",
    ],
    has_backticks: false,
};
const PERL: Language = Language {
    options: &[
        b"-e", b"-E", b"-ne", b"-pe", b"-le", b"-nle", b"-lne", b"-ple", b"-lpe", b"-ane", b"-lane", b"-wle",
        b"-we",
    ],
    functions: &["system", "exec", "popen"],
    has_backticks: true,
};
const RUBY: Language = Language {
    options: &[b"-e", b"-ne", b"-pe", b"-rsocket"],
    functions: &["system", "exec", "spawn", "popen", "capture2", "capture3"],
    has_backticks: true,
};
const PHP: Language = Language {
    options: &[b"-r"],
    functions: &["system", "exec", "shell_exec", "passthru", "popen", "proc_open", "pcntl_exec"],
    has_backticks: true,
};
const NODE: Language = Language {
    options: &[b"-e", b"-p", b"-pe", b"--eval", b"--print", b"eval"],
    functions: &["exec", "execSync", "spawn", "spawnSync", "execFile", "execFileSync"],
    has_backticks: false,
};
const LUA: Language =
    Language { options: &[b"-e"], functions: &["os.execute", "io.popen"], has_backticks: false };
const AWK: Language = Language { options: &[], functions: &["system", "|"], has_backticks: false };
const APPLE: Language = Language { options: &[b"-e"], functions: &["do shell script"], has_backticks: false };
const R: Language = Language { options: &[b"-e"], functions: &["system", "system2"], has_backticks: false };

pub(super) fn python(words: &[Word], start: usize) -> Vec<Part> {
    commands(words, start, &PYTHON)
}

pub(super) fn perl(words: &[Word], start: usize) -> Vec<Part> {
    commands(words, start, &PERL)
}

pub(super) fn ruby(words: &[Word], start: usize) -> Vec<Part> {
    commands(words, start, &RUBY)
}

pub(super) fn php(words: &[Word], start: usize) -> Vec<Part> {
    commands(words, start, &PHP)
}

pub(super) fn node(words: &[Word], start: usize) -> Vec<Part> {
    commands(words, start, &NODE)
}

pub(super) fn lua(words: &[Word], start: usize) -> Vec<Part> {
    commands(words, start, &LUA)
}

pub(super) fn awk(words: &[Word], start: usize) -> Vec<Part> {
    commands(words, start, &AWK)
}

pub(super) fn apple(words: &[Word], start: usize) -> Vec<Part> {
    commands(words, start, &APPLE)
}

pub(super) fn r(words: &[Word], start: usize) -> Vec<Part> {
    commands(words, start, &R)
}

/// Returns the commands that begin with an escape to the shell: the `!` of vim and gdb, `.shell` of sqlite3.
pub(super) fn escapes(words: &[Word], start: usize) -> Vec<Part> {
    const ESCAPES: [&[u8]; 8] = [b":!", b"+:!", b"+!", b"!", b"shell ", b".shell ", b".system ", b"\\! "];
    let mut parts = Vec::new();
    for word in words.iter().skip(start) {
        let escape = ESCAPES.iter().find(|escape| word.text().starts_with(escape));
        if let Some(escape) = escape.filter(|escape| word.text().len() > escape.len()) {
            parts.push(Part::Script(word.tail(escape.len())));
        } else {
            calls(word, &PYTHON, &mut parts);
        }
    }
    parts
}

fn commands(words: &[Word], start: usize, language: &Language) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut at = start;
    while let Some(word) = words.get(at) {
        at += 1;
        if language.options.is_empty() {
            if !super::is_option(word.text()) {
                calls(word, language, &mut parts);
            }
        } else if language.options.contains(&word.text()) {
            if let Some(text) = words.get(at) {
                calls(text, language, &mut parts);
            }
            at += 1;
        }
    }
    parts
}

/// Finds the calls of a language's functions in a text.
fn calls(word: &Word, language: &Language, parts: &mut Vec<Part>) {
    let text = word.text();
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let mut at = 0;
    while at < text.len() {
        let before = at.checked_sub(1).map(|before| text[before]);
        if text[at] == b'`' && language.has_backticks && word.is_literal(at..at + 1) {
            let Some(length) = memchr::memchr(b'`', &text[at + 1..]) else { return };
            parts.push(Part::Script(cut(word, at + 1..at + 1 + length)));
            at += length + 2;
            continue;
        }
        let found = language.functions.iter().find(|name| {
            let name = name.as_bytes();
            text[at..].starts_with(name)
                && !(is_name(&name[0]) && before.is_some_and(|before| is_name(&before)))
                && !(is_name(&name[name.len() - 1]) && text.get(at + name.len()).is_some_and(is_name))
        });
        let Some(name) = found else {
            at += 1;
            continue;
        };
        at += name.len();
        let (strings, end) = arguments(text, at);
        at = end;
        match &*strings {
            [] => {}
            [only] => parts.push(Part::Script(cut(word, only.clone()))),
            several => {
                parts.push(Part::Listed(several.iter().map(|range| cut(word, range.clone())).collect()))
            }
        }
    }
}

fn cut(word: &Word, range: Range<usize>) -> Word {
    let mut builder = Builder::default();
    builder.append(word, range.clone());
    builder.finish(word.place(range))
}

/// Reads the strings that stand first among a call's arguments: `("a", "b")`, `(["a", "b"])`, ` "a"`.
fn arguments(text: &[u8], begin: usize) -> (Vec<Range<usize>>, usize) {
    let mut at = begin;
    let mut strings = Vec::new();
    while matches!(text.get(at), Some(b' ' | b'(' | b'[' | b'{' | b'\n')) {
        at += 1;
    }
    while strings.len() < ARGUMENTS_MAX {
        let Some(quote) = text.get(at).copied().filter(|byte| matches!(byte, b'"' | b'\'')) else { break };
        let mut end = at + 1;
        while let Some(byte) = text.get(end).filter(|byte| **byte != quote) {
            end += if *byte == b'\\' { 2 } else { 1 };
        }
        if end >= text.len() {
            break;
        }
        strings.push(at + 1..end);
        at = end + 1;
        let gap = text[at..].iter().take_while(|byte| matches!(byte, b' ' | b',' | b'[' | b'\n')).count();
        if !text[at..at + gap].contains(&b',') {
            break;
        }
        at += gap;
    }
    (strings, at)
}
