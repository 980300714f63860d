//! History files of shells, from bytes to entries. Pure: opens nothing, and never fails.
//!
//! A file that is not what it is said to be gives strange entries, not an error: each shell reads its
//! own file that way too.

use karo_protocol::Micros;

use crate::ctl::cli::HistoryFormat;

/// One command, as a history file has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// The text.
    pub command: Vec<u8>,
    /// Second of its start since the epoch, UTC, where the file says so.
    pub started: Option<i64>,
    /// How long it took, where the file says so.
    pub duration: Option<Micros>,
}

impl Entry {
    fn untimed(command: impl Into<Vec<u8>>) -> Self {
        Self { command: command.into(), ..Self::default() }
    }
}

/// Reads a whole file; `format` is any but JSON.
pub fn parse(format: HistoryFormat, bytes: &[u8]) -> Vec<Entry> {
    let mut entries = match format {
        HistoryFormat::Bash => bash(bytes),
        HistoryFormat::Zsh => zsh(bytes),
        HistoryFormat::Fish => fish(bytes),
        HistoryFormat::Mksh => mksh(bytes),
        HistoryFormat::Ksh => ksh(bytes),
        HistoryFormat::Plain | HistoryFormat::Json => plain(bytes),
    };
    entries.retain(|entry| !entry.command.trim_ascii().is_empty());
    entries
}

/// Tells what a file is by its name and its first bytes.
pub fn guess(name: &str, bytes: &[u8]) -> HistoryFormat {
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if bytes.starts_with(MKSH_MAGIC) {
        return HistoryFormat::Mksh;
    }
    if bytes.starts_with(KSH_MAGIC) {
        return HistoryFormat::Ksh;
    }
    if first.starts_with(b"- cmd: ") {
        return HistoryFormat::Fish;
    }
    if zsh_extended(first).is_some() {
        return HistoryFormat::Zsh;
    }
    if bash_time(first).is_some() {
        return HistoryFormat::Bash;
    }
    if first.starts_with(b"{\"") || name.ends_with(".jsonl") || name.ends_with(".ndjson") {
        return HistoryFormat::Json;
    }
    let named = [
        ("bash", HistoryFormat::Bash),
        ("zsh", HistoryFormat::Zsh),
        ("zhistory", HistoryFormat::Zsh),
        ("fish", HistoryFormat::Fish),
        ("mksh", HistoryFormat::Mksh),
        ("ksh", HistoryFormat::Ksh),
        (".sh_history", HistoryFormat::Ksh),
    ];
    let found = named.iter().find(|(part, _)| name.contains(part));
    found.map_or(HistoryFormat::Plain, |(_, format)| *format)
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|byte| *byte == b'\n')
}

fn plain(bytes: &[u8]) -> Vec<Entry> {
    lines(bytes).map(Entry::untimed).collect()
}

/// A line `#SECONDS` dates what follows. From the first of them on a text goes on until the next, as
/// bash itself reads it; before it, each line is a command.
fn bash(bytes: &[u8]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut started = None;
    let mut is_timed = false;
    for line in lines(bytes) {
        if let Some(seconds) = bash_time(line) {
            (started, is_timed) = (Some(seconds), true);
            continue;
        }
        match (started.take(), entries.last_mut()) {
            (None, Some(last)) if is_timed => {
                last.command.push(b'\n');
                last.command.extend_from_slice(line);
            }
            (started, _) => entries.push(Entry { started, ..Entry::untimed(line) }),
        }
    }
    entries
}

/// Fewer digits are of 1973 or before, and more likely a comment in a here-document.
fn bash_time(line: &[u8]) -> Option<i64> {
    number(line.strip_prefix(b"#").filter(|digits| digits.len() >= 9)?)
}

fn number(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || digits.len() > 12 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The byte after which zsh writes a byte with its sixth bit flipped.
const ZSH_META: u8 = 0x83;

/// A line that ends in `\` goes on with a newline in the next; `: SECONDS:ELAPSED;` may stand before it.
fn zsh(bytes: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut text: Vec<u8> = Vec::new();
    for line in lines(bytes) {
        if let Some(before) = line.strip_suffix(b"\\") {
            text.extend_from_slice(before);
            text.push(b'\n');
            continue;
        }
        text.extend_from_slice(line);
        entries.push(zsh_entry(&std::mem::take(&mut text)));
    }
    if !text.is_empty() {
        entries.push(zsh_entry(text.trim_ascii_end()));
    }
    entries
}

fn zsh_entry(text: &[u8]) -> Entry {
    let (started, elapsed, command) = match zsh_extended(text) {
        Some((started, elapsed, command)) => (Some(started), elapsed, command),
        None => (None, 0, text),
    };
    // With some of its options zsh writes an elapsed time of zero for every command.
    let duration = (elapsed > 0).then(|| Micros(elapsed.unsigned_abs() * 1_000_000));
    Entry { command: unmetafied(without_guard(command)), started, duration }
}

fn zsh_extended(line: &[u8]) -> Option<(i64, i64, &[u8])> {
    let rest = line.strip_prefix(b":")?.trim_ascii_start();
    let colon = rest.iter().position(|byte| *byte == b':')?;
    let semicolon = colon + rest[colon..].iter().position(|byte| *byte == b';')?;
    Some((number(&rest[..colon])?, number(&rest[colon + 1..semicolon])?, &rest[semicolon + 1..]))
}

/// Takes away the space that zsh writes behind a text that ends in a backslash, spaces or not between.
fn without_guard(command: &[u8]) -> &[u8] {
    let spaces = command.iter().rev().take_while(|byte| **byte == b' ').count();
    let is_guarded = spaces > 0 && command[..command.len() - spaces].ends_with(b"\\");
    &command[..command.len() - usize::from(is_guarded)]
}

fn unmetafied(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match (*byte, bytes.as_slice().first()) {
            (ZSH_META, Some(next)) => {
                plain.push(next ^ 0x20);
                bytes.next();
            }
            (byte, _) => plain.push(byte),
        }
    }
    plain
}

/// Items of a list, `- cmd: TEXT`, with `when: SECONDS` and `paths:` below; `\\` and `\n` are escapes.
fn fish(bytes: &[u8]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in lines(bytes) {
        if let Some(text) = line.strip_prefix(b"- cmd: ") {
            entries.push(Entry::untimed(fish_unescaped(text)));
        } else if let (Some(when), Some(last)) = (line.strip_prefix(b"  when: "), entries.last_mut()) {
            last.started = number(when.trim_ascii());
        }
    }
    entries
}

fn fish_unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter().peekable();
    while let Some(byte) = bytes.next() {
        let escaped = match (byte, bytes.peek()) {
            (b'\\', Some(b'n')) => b'\n',
            (b'\\', Some(b'\\')) => b'\\',
            _ => {
                plain.push(*byte);
                continue;
            }
        };
        plain.push(escaped);
        bytes.next();
    }
    plain
}

const MKSH_MAGIC: &[u8] = &[0xab, 0xcd];

/// What stands before each entry: this byte, and the number of the line in four.
const MKSH_ENTRY: u8 = 0xff;

/// After two magic bytes each entry is a mark, a number of four bytes, and text up to a NUL.
fn mksh(bytes: &[u8]) -> Vec<Entry> {
    let Some(mut rest) = bytes.strip_prefix(MKSH_MAGIC) else { return plain(bytes) };
    let mut entries = Vec::new();
    while let Some(start) = rest.iter().position(|byte| *byte == MKSH_ENTRY) {
        let text = rest.get(start + 5..).unwrap_or_default();
        let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
        entries.push(Entry::untimed(&text[..end]));
        rest = text.get(end + 1..).unwrap_or_default();
    }
    entries
}

const KSH_MAGIC: &[u8] = &[0x81, 0x01];

/// What stands where the entry before is taken back, followed by a NUL.
const KSH_UNDO: u8 = 0x81;

/// What stands before a number of the line: it, a NUL, three bytes and a NUL.
const KSH_NUMBER: u8 = 0x82;

/// After two magic bytes each entry is text with a newline at its end, then one NUL or more.
fn ksh(bytes: &[u8]) -> Vec<Entry> {
    let Some(mut rest) = bytes.strip_prefix(KSH_MAGIC) else { return plain(bytes) };
    let mut entries = Vec::new();
    loop {
        rest = match rest {
            [] => return entries,
            [0, after @ ..] | [KSH_NUMBER, 0, _, _, _, 0, after @ ..] => after,
            [KSH_UNDO, 0, after @ ..] => {
                entries.pop();
                after
            }
            text => {
                let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
                let command = &text[..end];
                entries.push(Entry::untimed(command.strip_suffix(b"\n").unwrap_or(command)));
                &text[end..]
            }
        };
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
