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
    let mut at = 0;
    while at < text.len() {
        // A string of awk is no program; those of other languages may hold one for `exec`.
        if language.options.is_empty() && text[at] == b'"' {
            let Some(string) = string(text, at) else { return };
            at = string.end + 1;
            if text[at..].trim_ascii_start().starts_with(b"| getline") {
                parts.push(Part::Script(unescaped(word, string)));
            }
            continue;
        }
        if text[at] == b'`' && language.has_backticks && word.is_literal(at..at + 1) {
            let Some(length) = memchr::memchr(b'`', &text[at + 1..]) else { return };
            parts.push(Part::Script(unescaped(word, at + 1..at + 1 + length)));
            at += length + 2;
            continue;
        }
        let Some(name) = language.functions.iter().find(|name| is_called(text, at, name)) else {
            at += 1;
            continue;
        };
        at += name.len();
        let (mut strings, end) = arguments(text, at);
        at = end;
        // The second string of `popen` says in which direction it reads.
        if name.ends_with("open") {
            strings.truncate(1);
        }
        match &*strings {
            [] => {}
            [only] => parts.push(Part::Script(unescaped(word, only.clone()))),
            several => {
                let words = several.iter().map(|range| unescaped(word, range.clone()));
                parts.push(Part::Listed(words.collect()));
            }
        }
    }
}

/// Tells whether a name stands at `at`, and not as a part of another.
fn is_called(text: &[u8], at: usize, name: &str) -> bool {
    let name = name.as_bytes();
    let continues = |inner: u8, outer: Option<u8>| {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        is_name(inner) && outer.is_some_and(is_name)
    };
    text[at..].starts_with(name)
        && !continues(name[0], at.checked_sub(1).map(|before| text[before]))
        && !continues(name[name.len() - 1], text.get(at + name.len()).copied())
}

/// Returns what a string of the program says.
fn unescaped(word: &Word, range: Range<usize>) -> Word {
    let mut builder = Builder::default();
    builder.append_unescaped(word, range.clone());
    builder.finish(word.place(range))
}

/// Returns where the content of the string stands whose quote is at `at`, if it is closed.
fn string(text: &[u8], at: usize) -> Option<Range<usize>> {
    let mut end = at + 1;
    while let Some(byte) = text.get(end).filter(|byte| **byte != text[at]) {
        end += if *byte == b'\\' { 2 } else { 1 };
    }
    (end < text.len()).then_some(at + 1..end)
}

/// Reads the strings that stand first among a call's arguments: `("a", "b")`, `(["a", "b"])`, ` "a"`.
fn arguments(text: &[u8], begin: usize) -> (Vec<Range<usize>>, usize) {
    let mut at = begin;
    let mut strings = Vec::new();
    while matches!(text.get(at), Some(b' ' | b'(' | b'[' | b'{' | b'\n')) {
        at += 1;
    }
    while strings.len() < ARGUMENTS_MAX && matches!(text.get(at), Some(b'"' | b'\'')) {
        let Some(string) = string(text, at) else { break };
        at = string.end + 1;
        strings.push(string);
        let is_gap = |byte: &&u8| matches!(**byte, b' ' | b',' | b'[' | b'\n');
        let gap = text[at..].iter().take_while(is_gap).count();
        if !text[at..at + gap].contains(&b',') {
            break;
        }
        at += gap;
    }
    (strings, at)
}
