//! Programs that run another: where in their words that one begins, and how it is given.
//!
//! What there is to know of each stands in a table; here is how the table is read.

mod code;
mod row;
mod search;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use row::{How, Wrapper};

use super::word::{Builder, Word};

/// With whose rights, and where, the inner command runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rights {
    pub(super) is_privileged: bool,
    pub(super) is_remote: bool,
    pub(super) is_contained: bool,
}

/// What a wrapper runs.
#[derive(Debug)]
pub(super) struct Found {
    /// How many of its words are its own.
    pub(super) own: usize,
    pub(super) parts: Vec<Part>,
    /// Which of its words are assignments for what it runs.
    pub(super) assignments: Vec<usize>,
    pub(super) rights: Rights,
    /// Whether it reads a script from its standard input.
    pub(super) is_fed: bool,
    /// Whether what it runs does not read what it reads.
    pub(super) is_detached: bool,
}

/// One command that a wrapper runs.
#[derive(Debug)]
pub(super) enum Part {
    /// Some of its words: one apart, if the program's name stands elsewhere, and those in a row.
    Words { head: Option<Word>, rest: Range<usize> },
    /// Words that are none of its own.
    Listed(Vec<Word>),
    /// A script.
    Script(Word),
}

/// Rows of the table by the first word of their names, each with the words of its name behind that.
type Rows = BTreeMap<&'static [u8], Vec<(&'static str, &'static Wrapper)>>;

static ROWS: LazyLock<Rows> = LazyLock::new(|| {
    let mut rows = Rows::new();
    for row in table::all() {
        for name in row.names.split(", ") {
            let (program, path) = name.split_once(' ').unwrap_or((name, ""));
            rows.entry(program.as_bytes()).or_default().push((path, row));
        }
    }
    // `docker compose exec` is looked at before `docker`.
    for rows in rows.values_mut() {
        rows.sort_by_key(|(path, _)| std::cmp::Reverse(path.split_whitespace().count()));
    }
    rows
});

/// Finds what a program runs; `None` when it runs no other.
pub(super) fn inner(words: &[Word]) -> Option<Found> {
    let name = name(words.first()?);
    let rows = ROWS.get(name).or_else(|| ROWS.get(versionless(name)?))?;
    rows.iter().find_map(|(path, row)| {
        let start = behind(words, path, row)?;
        Walk::new(words, row).find(start)
    })
}

/// Returns the name to look for; what a variable usually holds is known by its name.
fn name(word: &Word) -> &[u8] {
    match word.text() {
        b"$SHELL" | b"${SHELL}" | b"$BASH" => b"sh",
        b"$SUDO" | b"${SUDO}" | b"$sudo" => b"sudo",
        _ => {
            let name = word.base_name();
            name.strip_suffix(b".exe").unwrap_or(name)
        }
    }
}

/// Returns the name of a language whose interpreter is called with its version: `python3.11`.
fn versionless(name: &[u8]) -> Option<&[u8]> {
    const LANGUAGES: [&[u8]; 7] = [b"python", b"pypy", b"perl", b"ruby", b"php", b"lua", b"node"];
    let is_version = |byte: &&u8| byte.is_ascii_digit() || **byte == b'.';
    let version = name.iter().rev().take_while(is_version).count();
    Some(&name[..name.len() - version]).filter(|language| LANGUAGES.contains(language))
}

/// Returns where the words behind a program's subcommands begin, if these are the subcommands.
fn behind(words: &[Word], path: &str, row: &Wrapper) -> Option<usize> {
    let mut at = 1;
    for name in path.split_whitespace() {
        while let Some(option) = words.get(at).map(Word::text).filter(|text| is_option(text)) {
            at += 1 + usize::from(takes_next(option, row.before));
        }
        if words.get(at)?.text() != name.as_bytes() {
            return None;
        }
        at += 1;
    }
    Some(at)
}

fn is_option(text: &[u8]) -> bool {
    text.len() > 1 && text[0] == b'-'
}

/// Tells whether a list of options, such as `-u --user`, names an option.
fn lists(options: &str, option: &[u8]) -> bool {
    options.split(' ').any(|known| known.as_bytes() == option)
}

/// Tells whether a list names the short option of a letter.
fn lists_letter(options: &str, letter: u8) -> bool {
    options.split(' ').any(|known| known.as_bytes() == [b'-', letter])
}

/// Tells whether an option's value is the next word, by the list of those that have one.
fn takes_next(option: &[u8], valued: &str) -> bool {
    if valued.is_empty() || !is_option(option) {
        return false;
    }
    if lists(valued, option) {
        return true;
    }
    if option.starts_with(b"--") {
        return false;
    }
    // `-u root` and `-nu root` take the next word, `-uroot` holds its value itself.
    let letters = &option[1..];
    letters.iter().position(|letter| lists_letter(valued, *letter)) == Some(letters.len() - 1)
}

/// Walks along the words of a wrapper.
struct Walk<'a> {
    words: &'a [Word],
    row: &'static Wrapper,
    found: Found,
    /// The word that an option names as the program, as `--entrypoint` does.
    head: Option<Word>,
    /// Whether the script is the first operand, as behind the `-c` of a shell.
    is_script_next: bool,
}

/// What an option means for what follows it.
enum Met {
    /// It and so many words behind it say nothing.
    Skip(usize),
    /// With it, nothing is run.
    Idle,
}

impl<'a> Walk<'a> {
    fn new(words: &'a [Word], row: &'static Wrapper) -> Self {
        let found = Found {
            own: words.len(),
            parts: Vec::new(),
            assignments: Vec::new(),
            rights: row.rights,
            is_fed: false,
            is_detached: row.is_detached,
        };
        Self { words, row, found, head: None, is_script_next: false }
    }

    fn text(&self, at: usize) -> Option<&'a [u8]> {
        self.words.get(at).map(Word::text)
    }

    fn find(mut self, start: usize) -> Option<Found> {
        if let How::Search(search) = self.row.how {
            self.found.parts = search(self.words, start);
            let first = self.found.parts.iter().find_map(|part| match part {
                Part::Words { rest, .. } => Some(rest.start),
                Part::Script(_) | Part::Listed(_) => None,
            });
            self.found.own = first.unwrap_or(self.words.len());
            return Some(self.found);
        }
        let at = self.walk(start)?;
        self.take(at);
        Some(self.found)
    }

    /// Goes past options and operands to where the inner command begins; `None` when there is none.
    fn walk(&mut self, start: usize) -> Option<usize> {
        let mut at = start;
        let mut operands = self.row.operands;
        let mut has_operand = false;
        while let Some(text) = self.text(at) {
            if text == b"--" {
                at += 1 + operands;
                break;
            }
            // Behind its operands, a wrapper leaves options to the inner command, unless it mixes them.
            let looks = !has_operand || operands > 0 || self.row.is_mixed;
            if looks
                && (is_option(text)
                    || (text == b"-" && self.row.how == How::Split)
                    || (text.starts_with(b"+") && self.row.how == How::Shell))
            {
                match self.option(at, text) {
                    Met::Skip(words) => at += 1 + words,
                    Met::Idle => return None,
                }
            } else if self.row.takes_assignments && super::read::assigned_name(text).is_some() {
                self.found.assignments.push(at);
                at += 1;
            } else if self.is_list_of_assignments(at) {
                at += 1;
            } else if operands > 0 {
                operands -= 1;
                has_operand = true;
                at += 1;
            } else if self.row.how == How::Options && self.row.is_mixed {
                at += 1;
            } else {
                break;
            }
        }
        Some(at)
    }

    /// Tells whether a word holds the assignments of `env $(cat .env) program`.
    fn is_list_of_assignments(&self, at: usize) -> bool {
        let word = &self.words[at];
        let is_expansion = word.expansions().first().is_some_and(|range| *range == (0..word.text().len()));
        self.row.how == How::Split && is_expansion && at + 1 < self.words.len()
    }

    fn option(&mut self, at: usize, text: &'a [u8]) -> Met {
        let row = self.row;
        if lists(row.idle, text) {
            return Met::Idle;
        }
        let is_long = text.starts_with(b"--");
        let equals = text.iter().position(|byte| *byte == b'=').filter(|_| is_long);
        let name = &text[..equals.unwrap_or(text.len())];
        if lists(row.script, name) {
            return self.script_option(at, equals);
        }
        if lists(row.program, name) {
            self.head = match equals {
                Some(equals) => Some(self.words[at].tail(equals + 1)),
                None => self.words.get(at + 1).cloned(),
            };
            return Met::Skip(usize::from(equals.is_none()));
        }
        if is_long || text.len() <= 2 {
            self.is_script_next |= row.how == How::Shell && matches!(text, b"-c" | b"--command");
            return Met::Skip(usize::from(lists(row.valued, text)));
        }
        for (index, letter) in text.iter().enumerate().skip(1) {
            if lists_letter(row.valued, *letter) && !lists(row.valued, text) {
                return Met::Skip(usize::from(index == text.len() - 1));
            }
            if lists_letter(row.script, *letter) {
                return if index == text.len() - 1 {
                    self.script_option(at, None)
                } else {
                    self.script_option(at, Some(index))
                };
            }
            if lists_letter(row.idle, *letter) && !lists(row.valued, text) {
                return Met::Idle;
            }
            self.is_script_next |= row.how == How::Shell && *letter == b'c';
        }
        Met::Skip(usize::from(lists(row.valued, text)))
    }

    /// Takes an option's value as a script: the next word, or what stands behind a byte of its own.
    fn script_option(&mut self, at: usize, behind: Option<usize>) -> Met {
        if let Some(behind) = behind {
            self.found.parts.push(Part::Script(self.words[at].tail(behind + 1)));
            return Met::Skip(0);
        }
        if let Some(word) = self.words.get(at + 1) {
            self.found.parts.push(Part::Script(word.clone()));
        }
        Met::Skip(1)
    }

    /// Takes the inner command, which begins at a word.
    fn take(&mut self, at: usize) {
        let has_script = !self.found.parts.is_empty();
        let end = self.words.len();
        if self.row.how == How::Split && has_script {
            return self.join_to_script(at);
        }
        match self.row.how {
            How::Shell if self.is_script_next => {
                self.found.parts.extend(self.words.get(at).cloned().map(Part::Script));
            }
            How::Shell => {
                let is_input = self.text(at).is_none_or(|text| matches!(text, b"-" | b"/dev/stdin"));
                let is_asked = self.words[1..at.min(end)].iter().any(|word| word.text() == b"-s");
                self.found.is_fed = !has_script && (is_input || is_asked);
            }
            How::Words | How::Split | How::Remote if self.head.is_some() || at < end => {
                if has_script {
                    return;
                }
                if self.row.how == How::Remote {
                    return self.join(at..end);
                }
                self.found.own = at.min(end);
                let rest = at.min(end)..end;
                self.found.parts.push(Part::Words { head: self.head.take(), rest });
            }
            How::Joined if at < end => self.join(at..end),
            How::Each => self.found.parts.extend(self.words.iter().skip(at).cloned().map(Part::Script)),
            How::First if at < end => self.found.parts.push(Part::Script(self.words[at].clone())),
            How::Options => {}
            How::Words | How::Split | How::Remote | How::Joined | How::First | How::Search(_) => {}
        }
        self.found.is_fed |= self.row.is_fed && self.found.parts.is_empty();
    }

    /// Takes words as one script, joined by blanks.
    fn join(&mut self, range: Range<usize>) {
        self.found.own = range.start;
        let script = joined(&self.words[range]);
        self.found.parts.push(Part::Script(script));
    }

    /// Appends the words from `at` on to the script that an option holds, as `env -S` does.
    fn join_to_script(&mut self, at: usize) {
        if let Some(Part::Script(script)) = self.found.parts.pop() {
            let mut words = vec![script];
            words.extend(self.words.iter().skip(at).cloned());
            self.found.parts = vec![Part::Script(joined(&words))];
        }
    }
}

/// Returns words as one script, joined by blanks.
fn joined(words: &[Word]) -> Word {
    let mut builder = Builder::default();
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            builder.filling(word.span().start, b" ");
        }
        builder.append(word, 0..word.text().len());
    }
    let (start, end) =
        (words.first().map_or(0, |word| word.span().start), words.last().map_or(0, |word| word.span().end));
    builder.finish(start..end.max(start))
}
