//! Scripts that a shell reads from its standard input: here-documents, and what `echo` and its like write.

use super::word::{Builder, Word};
use super::{RedirectionKind, Run, escape};

/// Programs between the writer of a script and its shell that are looked past: `tee log` writes what it reads.
const PASSED_MAX: usize = 4;

/// Returns the here-document or here-string that a program reads.
pub(super) fn of_redirections(run: &Run) -> Option<Word> {
    let input = run.redirections.iter().rev().find(|redirection| {
        let reads = match redirection.kind {
            RedirectionKind::Read | RedirectionKind::ReadWrite => true,
            RedirectionKind::HereDocument | RedirectionKind::HereString => true,
            RedirectionKind::Write | RedirectionKind::Append | RedirectionKind::Duplicate => false,
        };
        reads && redirection.descriptor.is_none_or(|descriptor| descriptor == 0)
    })?;
    matches!(input.kind, RedirectionKind::HereDocument | RedirectionKind::HereString)
        .then(|| input.target.clone())
}

/// Returns what the program at `writer` writes, if the line says it; `writers` tells of each who it reads from.
pub(super) fn of_writer(runs: &[Run], writers: &[Option<usize>], writer: usize) -> Option<Word> {
    let mut at = writer;
    for _ in 0..PASSED_MAX {
        let inner = innermost(runs, at);
        let run = &runs[inner];
        match run.name() {
            b"echo" => return echoed(run),
            b"printf" => return printed(run),
            b"cat" if run.arguments().iter().any(|word| word.text() != b"-") => return None,
            b"cat" => {
                if let Some(script) = of_redirections(run) {
                    return Some(script);
                }
            }
            b"tee" => {}
            _ => return None,
        }
        at = writers[at]?;
    }
    None
}

/// Returns the program behind all wrappers of one.
fn innermost(runs: &[Run], outer: usize) -> usize {
    let mut at = outer;
    while runs.get(at + 1).is_some_and(|next| next.parent == Some(at)) {
        at += 1;
    }
    at
}

/// Returns what `echo` writes.
fn echoed(run: &Run) -> Option<Word> {
    let arguments = run.arguments();
    let is_flag = |word: &&Word| {
        let letters = word.text().strip_prefix(b"-").unwrap_or_default();
        !letters.is_empty() && letters.iter().all(|letter| b"neE".contains(letter))
    };
    let flags = arguments.iter().take_while(is_flag).count();
    let has_escapes = arguments[..flags].iter().any(|flag| flag.text().contains(&b'e'));
    let mut builder = Builder::default();
    for (index, word) in arguments[flags..].iter().enumerate() {
        if index > 0 {
            builder.filling(word.span().start, b" ");
        }
        append(&mut builder, word, has_escapes);
    }
    finish(builder, &arguments[flags..])
}

/// Returns what `printf` writes: its format once, each `%s` and `%b` replaced by an argument.
fn printed(run: &Run) -> Option<Word> {
    let arguments = run.arguments();
    let skip = usize::from(arguments.first().is_some_and(|word| word.text() == b"--"));
    let (format, values) = arguments[skip..].split_first()?;
    let mut values = values.iter();
    let text = format.text();
    let mut builder = Builder::default();
    let mut at = 0;
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            (b'\\', _) => {
                let (length, bytes) = escape::ansi(&text[at..]);
                builder.spelled(format.place(at..at + length), bytes.as_slice());
                at += length;
            }
            (b'%', Some(b'%')) => {
                builder.append(format, at..at + 1);
                at += 2;
            }
            (b'%', Some(b's' | b'b')) => {
                if let Some(value) = values.next() {
                    append(&mut builder, value, text[at + 1] == b'b');
                }
                at += 2;
            }
            // What the other directives write is not worth knowing.
            (b'%', _) => return None,
            _ => {
                let plain = text[at..].iter().take_while(|byte| !matches!(byte, b'\\' | b'%')).count();
                builder.append(format, at..at + plain);
                at += plain;
            }
        }
    }
    // A format is used again for the values that are left: one script a line is what that is used for.
    for value in values.filter(|_| text.windows(2).any(|pair| matches!(pair, b"%s" | b"%b"))) {
        builder.filling(value.span().start, b"\n");
        append(&mut builder, value, false);
    }
    finish(builder, &arguments[skip..])
}

/// Appends a word, its escapes read if it has such.
fn append(builder: &mut Builder, word: &Word, has_escapes: bool) {
    let all = 0..word.text().len();
    if has_escapes { builder.append_unescaped(word, all) } else { builder.append(word, all) }
}

fn finish(builder: Builder, words: &[Word]) -> Option<Word> {
    let (first, last) = (words.first()?, words.last()?);
    Some(builder.finish(first.span().start..last.span().end))
}
