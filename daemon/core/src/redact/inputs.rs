//! Secrets that a program reads: `echo X | sudo -S ls`, `chpasswd <<< user:X`, a here-document of `passwd`.
//!
//! The table is `inputs.tsv`: programs, words of theirs that must be there, and which [`Part`] is the secret.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use karo_protocol::event::Secret;
use karo_protocol::explain::Context;
use memchr::memmem;

use super::Found;
use super::found::Rank;
use super::names::{Says, ask};
use super::scan::step;
use super::values::{is_likely, is_plain, is_secret};
use super::view::{Role, View};
use crate::line::{Line, RedirectionKind, Run, Word};

/// Which part of what is read is the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The first line.
    First,
    /// Every line.
    Lines,
    /// Every line behind its first `:`.
    Colon,
    /// Every line that looks like a password.
    Likely,
}

struct Row {
    words: Vec<&'static str>,
    part: Part,
}

static INPUTS: LazyLock<BTreeMap<&'static [u8], Vec<Row>>> = LazyLock::new(|| {
    let mut inputs: BTreeMap<&[u8], Vec<Row>> = BTreeMap::new();
    for line in include_str!("inputs.tsv").lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [programs, words, part] = fields[..] else { continue };
        let part = match part {
            "first" => Part::First,
            "lines" => Part::Lines,
            "colon" => Part::Colon,
            _ => Part::Likely,
        };
        for program in programs.split(' ') {
            let words = words.split(' ').filter(|word| *word != "-").collect();
            inputs.entry(program.as_bytes()).or_default().push(Row { words, part });
        }
    }
    inputs
});

/// How far back the writer of a pipe is looked for: the runs between are those that it runs itself.
const BACK_MAX: usize = 8;

pub(super) fn find(found: &mut Found<'_>, line: &Line) {
    for (index, run) in line.runs.iter().enumerate() {
        step(1);
        if let Some(part) = part_of(run) {
            let reads = run.redirections.iter().any(|redirection| is_here(redirection.kind));
            match reads {
                true => here(found, run, part),
                false => piped(found, line, index, part),
            }
        }
        written(found, run);
    }
}

/// Looks at what fills the place of a secret: `-p $(echo X)`.
pub(super) fn find_asked(found: &mut Found<'_>, line: &Line) {
    for run in line.runs.iter().filter(|run| matches!(run.name(), b"echo" | b"printf" | b"print")) {
        for (word, range) in said(run) {
            if found.is_asked(&word.span()) {
                lines(found, word, range, Part::First, b"the place of a secret");
            }
        }
    }
}

/// Returns which part of what a run reads is secret.
fn part_of(run: &Run) -> Option<Part> {
    let rows = INPUTS.get(run.name());
    let decodes = || has_any(run, &["-d", "-D", "--decode", "-di", "-r", "-c", "--check"]);
    let row = rows.into_iter().flatten().find(|row| {
        (row.words.is_empty() || has_any(run, &row.words)) && !(row.part == Part::Likely && decodes())
    });
    let reads_variable = matches!(run.name(), b"read" | b"mapfile" | b"readarray" | b"set")
        && run
            .arguments()
            .last()
            .is_some_and(|word| matches!(ask(word.text()), Says::Password | Says::Secret));
    row.map(|row| row.part).or_else(|| reads_variable.then_some(Part::First))
}

fn has_any(run: &Run, wanted: &[&str]) -> bool {
    let own = &run.words[..run.own.clamp(1, run.words.len())];
    own[1..].iter().take(64).any(|word| {
        let text = word.text();
        wanted.iter().any(|wanted| match (wanted.strip_suffix('*'), wanted.strip_prefix('*')) {
            _ if *wanted == "?secret" => is_secret_file(text),
            (Some(head), _) => text.starts_with(head.as_bytes()),
            (_, Some(tail)) => text.ends_with(tail.as_bytes()),
            _ => text == wanted.as_bytes(),
        })
    })
}

const fn is_here(kind: RedirectionKind) -> bool {
    matches!(kind, RedirectionKind::HereString | RedirectionKind::HereDocument)
}

fn here(found: &mut Found<'_>, run: &Run, part: Part) {
    for redirection in run.redirections.iter().filter(|redirection| is_here(redirection.kind)) {
        let text = redirection.target.text();
        lines(found, &redirection.target, 0..text.len(), part, run.name());
    }
}

/// Looks at what the program before in the pipe writes.
fn piped(found: &mut Found<'_>, line: &Line, index: usize, part: Part) {
    let mut reader = index;
    for _ in 0..BACK_MAX {
        match line.runs[reader].parent {
            Some(parent) if !line.runs[reader].contexts.contains(Context::PipeIn) => reader = parent,
            Some(_) | None => break,
        }
    }
    if !line.runs[reader].contexts.contains(Context::PipeIn) {
        return;
    }
    let before = line.runs[..reader].iter().rev().take(BACK_MAX);
    let mut writers = before.skip_while(|run| !run.contexts.contains(Context::PipeOut));
    let Some(last) = writers.next() else { return };
    // Of `(echo X; echo Y) |` each writes.
    let others =
        writers.take_while(|run| run.contexts.contains(Context::PipeOut) && run.name() == last.name());
    for writer in std::iter::once(last).chain(others) {
        read_from(found, writer, part, line.runs[index].name());
    }
}

/// Looks at what one program writes for another.
fn read_from(found: &mut Found<'_>, writer: &Run, part: Part, reader: &[u8]) {
    match writer.name() {
        b"echo" | b"printf" | b"print" | b"yes" => {
            for (word, range) in said(writer) {
                lines(found, word, range, part, reader);
            }
        }
        b"cat" | b"tee" => {
            for redirection in writer.redirections.iter().filter(|redirection| is_here(redirection.kind)) {
                lines(found, &redirection.target, 0..redirection.target.text().len(), part, reader);
            }
        }
        _ => {}
    }
}

/// Returns the words that `echo` or `printf` writes, without the flags and without a format.
fn said(run: &Run) -> impl Iterator<Item = (&Word, Range<usize>)> {
    let arguments = run.arguments();
    let is_flag = |word: &&Word| {
        let text = word.text();
        text.len() > 1
            && text[0] == b'-'
            && text[1..].iter().all(|byte| matches!(byte, b'n' | b'e' | b'E' | b'r' | b'-'))
    };
    let flags = arguments.iter().take_while(is_flag).count();
    let rest = &arguments[flags..];
    let has_format = run.name() == b"printf" && rest.len() > 1;
    rest[usize::from(has_format)..].iter().map(|word| (word, 0..word.text().len()))
}

/// Cuts the secret part of each line; `\n` ends a line as well.
fn lines(found: &mut Found<'_>, word: &Word, range: Range<usize>, part: Part, reader: &[u8]) {
    let view = View::of_word(word, Role::Argument, found);
    let mut start = range.start;
    while start < range.end {
        let rest = &view.text[start..range.end];
        step(rest.len().min(256));
        let newline = rest.iter().position(|byte| *byte == b'\n');
        let escaped = memmem::find(&rest[..newline.unwrap_or(rest.len())], b"\\n");
        let length = escaped.or(newline).unwrap_or(rest.len());
        let next = start + length + if escaped.is_some() { 2 } else { 1 };
        secret_line(found, &view, start..start + length, part, reader);
        if part == Part::First {
            break;
        }
        start = next;
    }
}

fn secret_line(found: &mut Found<'_>, view: &View<'_>, line: Range<usize>, part: Part, reader: &[u8]) {
    let start = match part {
        Part::Colon => match view.position_of(b':', line.clone()) {
            Some(colon) => colon + 1,
            None => return,
        },
        Part::First | Part::Lines => line.start,
        Part::Likely => of_record(view, line.clone()),
    };
    let carriage = usize::from(view.text[start..line.end].ends_with(b"\r"));
    let secret = start..line.end - carriage;
    let bytes = &view.text[secret.clone()];
    let is_told = match part {
        Part::Likely => is_likely(bytes) && !is_plain(bytes) && !bytes.contains(&b'/'),
        Part::First | Part::Lines | Part::Colon => !bytes.is_empty(),
    };
    // A key in a block has a finder of its own.
    if is_told && !bytes.starts_with(b"-----") && is_secret(view, found.text, &secret) {
        let reader = reader.to_vec();
        view.push(found, secret, Secret::Password, Rank::Place, || {
            Cow::Owned(format!("read by {}", String::from_utf8_lossy(&reader)))
        });
    }
}

/// Returns where the secret begins in `host:5432:db:user:X` and in `user:X`.
fn of_record(view: &View<'_>, line: Range<usize>) -> usize {
    let mut colons = 0;
    let mut at = line.start;
    while let Some(colon) = view.position_of(b':', at..line.end) {
        (colons, at) = (colons + 1, colon + 1);
    }
    if matches!(colons, 1 | 4) { at } else { line.start }
}

/// Looks at what is written into a file whose name says that it holds a secret: `echo X > db_password.txt`.
fn written(found: &mut Found<'_>, run: &Run) {
    if !matches!(run.name(), b"echo" | b"printf" | b"print") {
        return;
    }
    if run.name() == b"printf" {
        formatted(found, run.arguments());
    }
    let is_target = run.redirections.iter().any(|redirection| {
        matches!(redirection.kind, RedirectionKind::Write | RedirectionKind::Append)
            && is_secret_file(redirection.target.text())
    });
    if is_target {
        for (word, range) in said(run) {
            lines(found, word, range, Part::Likely, b"a file for secrets");
        }
    }
}

/// Cuts the words that `printf` puts behind a secret name: `printf 'DB_PASS=%s' X`.
fn formatted(found: &mut Found<'_>, arguments: &[Word]) {
    let Some((format, values)) = arguments.split_first() else { return };
    let format = format.text();
    step(format.len());
    for (place, value) in memmem::find_iter(format, b"%s").zip(values) {
        let before = &format[..place];
        let name = before.strip_suffix(b"\"").unwrap_or(before);
        let Some((b'=' | b':', name)) = name.trim_ascii_end().split_last() else { continue };
        let start = name.iter().rposition(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
        let name = &name[start.map_or(0, |start| start + 1)..];
        let view = View::of_word(value, Role::Argument, found);
        let secret = 0..value.text().len();
        let is_told = matches!(ask(name), Says::Password | Says::Secret);
        if is_told && is_secret(&view, found.text, &secret) {
            view.push(found, secret, Secret::Variable, Rank::Place, || {
                Cow::Borrowed("value behind a secret name")
            });
        }
    }
}

fn is_secret_file(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    let stem = name.strip_prefix(b".").unwrap_or(name).split(|byte| *byte == b'.').next().unwrap_or(name);
    !path.starts_with(b"-") && matches!(ask(stem), Says::Password | Says::Secret)
}
