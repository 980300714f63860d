//! Programs that a line runs, behind keywords, assignments and wrappers.

use std::borrow::Cow;
use std::ops::Range;

use super::lex::{Lexer, Piece, unquoted};

/// One program that a line runs, or a word of the shell's own grammar.
#[derive(Debug)]
pub(crate) enum Run<'a> {
    /// A keyword, an assignment, a test in brackets, a function's name.
    Syntax,
    /// A program that only runs another: `sudo`, `env`, `time`. Its arguments end where the other begins.
    Wrapper { name: Cow<'a, [u8]>, arguments: &'a [Range<usize>] },
    /// A program with its arguments, as ranges of the text.
    Program { name: Cow<'a, [u8]>, arguments: &'a [Range<usize>] },
}

/// Calls `on` for each program of the line, in order.
pub(crate) fn for_each_run(text: &[u8], mut on: impl FnMut(&Run<'_>)) {
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut depth = 0_usize;
    let mut is_in_test = false;
    let mut pieces = Lexer::new(text).peekable();
    while let Some(piece) = pieces.next() {
        match piece {
            Piece::Word(word) => {
                is_in_test = match &text[word.clone()] {
                    b"[[" => {
                        is_in_test || words.last().is_none_or(|last| keyword(&text[last.clone()]).is_some())
                    }
                    b"]]" => false,
                    _ => is_in_test,
                };
                words.push(word);
                continue;
            }
            // `&&`, `||` and parentheses within `[[ … ]]` are its own.
            Piece::Open | Piece::Close | Piece::Separator if is_in_test => continue,
            Piece::Open if !words.is_empty() && pieces.peek() == Some(&Piece::Close) => {
                // `name() {`: a definition runs nothing by its name.
                pieces.next();
                on(&Run::Syntax);
            }
            Piece::Open => {
                depth += 1;
                run(text, &words, &mut on);
            }
            Piece::Close if depth == 0 => on(&Run::Syntax), // A pattern of `case`.
            Piece::Close => {
                depth -= 1;
                run(text, &words, &mut on);
            }
            Piece::Separator => run(text, &words, &mut on),
        }
        words.clear();
    }
    run(text, &words, &mut on);
}

/// Finds the program among the words of one simple command.
fn run(text: &[u8], words: &[Range<usize>], on: &mut impl FnMut(&Run<'_>)) {
    let mut at = 0;
    let mut is_syntax = false;
    while let Some(word) = words.get(at) {
        let raw = &text[word.clone()];
        match keyword(raw) {
            Some(Keyword::Introduces) => {
                is_syntax = true;
                at += 1;
                continue;
            }
            Some(Keyword::Stands) => return on(&Run::Syntax),
            None if is_assignment(raw) => {
                is_syntax = true;
                at += 1;
                continue;
            }
            None => {}
        }
        let name = match unquoted(raw) {
            Cow::Borrowed(plain) => Cow::Borrowed(base_name(plain)),
            Cow::Owned(plain) => Cow::Owned(base_name(&plain).to_vec()),
        };
        let inner = wrapper(&name).and_then(|wrapper| wrapper.inner(text, words, at + 1));
        // `watch 'a | b'` runs a script, which is not looked into.
        let is_program = |inner: &usize| !text[words[*inner].clone()].contains(&b' ');
        let Some(inner) = inner.filter(is_program) else {
            return on(&Run::Program { name, arguments: &words[at + 1..] });
        };
        on(&Run::Wrapper { name, arguments: &words[at + 1..inner] });
        is_syntax = false;
        at = inner;
    }
    if is_syntax {
        on(&Run::Syntax);
    }
}

/// Returns what follows the last slash.
pub(crate) fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// What a keyword says about the word behind it.
enum Keyword {
    /// A command follows.
    Introduces,
    /// The rest of the simple command is grammar.
    Stands,
}

fn keyword(word: &[u8]) -> Option<Keyword> {
    match word {
        b"!" | b"{" | b"if" | b"then" | b"elif" | b"else" | b"while" | b"until" | b"do" | b"begin"
        | b"and" | b"or" | b"not" | b"coproc" => Some(Keyword::Introduces),
        b"}" | b"fi" | b"for" | b"foreach" | b"done" | b"case" | b"esac" | b"select" | b"function"
        | b"switch" | b"end" | b"[[" => Some(Keyword::Stands),
        _ if word.starts_with(b"((") => Some(Keyword::Stands),
        _ => None,
    }
}

/// Tells whether a word is `NAME=…`, `NAME+=…` or `NAME[…]=…`.
fn is_assignment(word: &[u8]) -> bool {
    let Some(equals) = word.iter().position(|byte| *byte == b'=') else { return false };
    let name = word[..equals].strip_suffix(b"+").unwrap_or(&word[..equals]);
    let name = name.split(|byte| *byte == b'[').next().unwrap_or(name);
    name.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_')
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

/// A program that runs the one named in its arguments.
struct Wrapper {
    name: &'static [u8],
    /// Letters of short options that take a value.
    valued: &'static [u8],
    /// Long options whose value is the next word.
    valued_long: &'static [&'static [u8]],
    /// Letters of short options with which it runs nothing.
    idle: &'static [u8],
    /// Words of its own before the program, options aside.
    operands: usize,
}

const fn plain(name: &'static [u8], valued: &'static [u8], operands: usize) -> Wrapper {
    Wrapper { name, valued, valued_long: &[], idle: b"", operands }
}

static WRAPPERS: &[Wrapper] = &[
    Wrapper {
        name: b"sudo",
        valued: b"ugphCDRrtTUa",
        valued_long: &[b"--user", b"--group", b"--prompt", b"--host", b"--chdir", b"--chroot"],
        idle: b"elvkKV",
        operands: 0,
    },
    Wrapper { name: b"doas", valued: b"uCa", valued_long: &[], idle: b"CL", operands: 0 },
    Wrapper { name: b"env", valued: b"uC", valued_long: &[b"--unset", b"--chdir"], idle: b"", operands: 0 },
    Wrapper { name: b"command", valued: b"", valued_long: &[], idle: b"vV", operands: 0 },
    plain(b"builtin", b"", 0),
    plain(b"exec", b"a", 0),
    plain(b"nohup", b"", 0),
    plain(b"setsid", b"", 0),
    plain(b"noglob", b"", 0),
    plain(b"nocorrect", b"", 0),
    plain(b"unbuffer", b"", 0),
    plain(b"caffeinate", b"tw", 0),
    plain(b"busybox", b"", 0),
    plain(b"time", b"of", 0),
    plain(b"nice", b"n", 0),
    Wrapper { name: b"ionice", valued: b"cn", valued_long: &[], idle: b"pPu", operands: 0 },
    plain(b"chrt", b"TPD", 1),
    Wrapper { name: b"taskset", valued: b"", valued_long: &[], idle: b"p", operands: 1 },
    Wrapper {
        name: b"timeout",
        valued: b"sk",
        valued_long: &[b"--signal", b"--kill-after"],
        idle: b"",
        operands: 1,
    },
    plain(b"gtimeout", b"sk", 1),
    Wrapper { name: b"flock", valued: b"wE", valued_long: &[], idle: b"uc", operands: 1 },
    plain(b"stdbuf", b"ioe", 0),
    plain(b"watch", b"nq", 0),
    plain(b"xargs", b"adEILnPs", 0),
    plain(b"sshpass", b"pfdP", 0),
];

fn wrapper(name: &[u8]) -> Option<&'static Wrapper> {
    WRAPPERS.iter().find(|wrapper| wrapper.name == name)
}

impl Wrapper {
    /// Returns the index of the word that names the inner program, looking from `at` on.
    fn inner(&self, text: &[u8], words: &[Range<usize>], mut at: usize) -> Option<usize> {
        while let Some(option) = words.get(at).map(|word| &text[word.clone()]) {
            let Some(letters) = option.strip_prefix(b"-").filter(|letters| !letters.is_empty()) else {
                break;
            };
            at += 1;
            if letters == b"-" {
                break;
            }
            if letters.starts_with(b"-") {
                at += usize::from(self.valued_long.contains(&option));
                continue;
            }
            let stop = letters.iter().position(|letter| self.valued.contains(letter));
            let flags = &letters[..stop.unwrap_or(letters.len())];
            if flags.iter().any(|letter| self.idle.contains(letter)) {
                return None;
            }
            // `-u root` takes the next word, `-uroot` holds its value itself.
            at += usize::from(stop == Some(letters.len() - 1));
        }
        at += self.operands;
        (at < words.len()).then_some(at)
    }
}
