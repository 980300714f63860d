//! What a command line runs, found without a shell: programs, their words, and where they stand.
//!
//! [`parse`] never fails and is linear in the text, for any bytes. It runs nothing and expands nothing: what
//! `$HOME` or `*.rs` stand for is not known here. The grammar is the union of what bash, zsh and fish read, so
//! that nobody has to say which shell a line is from.

mod escape;
mod expand;
mod feed;
mod item;
mod keyword;
mod plain;
mod read;
mod redirect;
mod script;
#[cfg(test)]
mod tests;
mod unfold;
mod word;
mod wrap;

use karo_protocol::explain::Context;

pub use word::Word;

/// Length of a text that is read by its grammar, in bytes; a longer one is read as plain words.
///
/// Five times the longest line of the histories that we know. Each byte may be looked at once for each bracket
/// around it, and this bounds what that costs to some milliseconds.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;

/// Brackets, substitutions and compound commands that may be open at once.
///
/// They are read by functions that call themselves: this bounds the stack. Real lines open six at most.
pub const DEPTH_MAX: usize = 16;

/// Wrappers and scripts that may stand within one another, each of which is read by its own.
pub const LAYERS_MAX: usize = 16;

/// Programs of one line that are told; those beyond are not read.
///
/// As many as the longest line can hold, so that none is hidden behind others; only scripts that are read
/// again and again could yield more.
pub const RUNS_MAX: usize = 32 * 1024;

/// Words of one text that are read: as many as the longest line can hold.
pub const WORDS_MAX: usize = 32 * 1024;

/// Bytes of scripts within words that are read again, all scripts of a line together.
///
/// A here-document that a hundred shells in one group read would be read a hundred times.
pub const SCRIPT_BYTES_MAX: usize = 256 * 1024;

/// Words that are copied from a wrapper to what it runs, from a group to its commands; 64 bytes count as one.
pub const COPIES_MAX: usize = 32 * 1024;

/// A line, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line {
    /// What it runs, in the order in which it stands there; what one runs for another stands behind it.
    pub runs: Vec<Run>,
    /// Assignments that belong to no program: `A=1`, `export` aside.
    pub assignments: Vec<Word>,
    /// Whether it was read by its grammar; if not, as words between separators.
    pub is_parsed: bool,
}

/// One program that a line runs: each layer of `sudo env A=1 make` is one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Run {
    /// The program and its arguments; never empty. A wrapper's words hold those of what it runs, too.
    pub words: Vec<Word>,
    /// How many of the words are its own: the rest is the command that it runs.
    pub own: usize,
    /// Assignments before it, each `NAME=value`.
    pub assignments: Vec<Word>,
    /// What it reads and writes, those of the groups around it included.
    pub redirections: Vec<Redirection>,
    /// Where it stands.
    pub contexts: Contexts,
    /// Whether it runs with another's rights: behind `sudo`, `doas`, `su`.
    pub is_privileged: bool,
    /// Whether it runs on another machine, or in a container: behind `ssh`, `docker exec`.
    pub is_remote: bool,
    /// Whether it runs in a container: behind `docker exec`, `kubectl exec`.
    pub is_contained: bool,
    /// Which of the runs before it runs it, counted from 0; `None` for the shell itself.
    pub parent: Option<usize>,
}

impl Run {
    /// Returns the program's name without its path; empty when it is not known before it runs.
    pub fn name(&self) -> &[u8] {
        let Some(word) = self.words.first() else { return b"" };
        let name = word.base_name();
        let length = word.text().len();
        if word.is_literal(length - name.len()..length) { name } else { b"" }
    }

    /// Returns its arguments, those of what it runs included.
    pub fn arguments(&self) -> &[Word] {
        self.words.get(1..).unwrap_or_default()
    }
}

/// What a program reads or writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirection {
    /// How.
    pub kind: RedirectionKind,
    /// Which descriptor, if that is said.
    pub descriptor: Option<u32>,
    /// The file, the descriptor, or the text of a here-document or here-string.
    pub target: Word,
}

/// How a program reads or writes what a redirection names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedirectionKind {
    /// `<`.
    Read,
    /// `>`, `>|`, `&>`.
    Write,
    /// `>>`, `&>>`.
    Append,
    /// `<>`.
    ReadWrite,
    /// `>&2`, `<&-`.
    Duplicate,
    /// `<<TAG`: the target is the body.
    HereDocument,
    /// `<<<`.
    HereString,
}

/// A set of [`Context`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Contexts(u8);

impl Contexts {
    /// Returns the set of one.
    pub const fn of(context: Context) -> Self {
        Self(1 << context.index())
    }

    /// Adds one.
    pub fn insert(&mut self, context: Context) {
        self.0 |= 1 << context.index();
    }

    /// Returns this set and that one together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Tells whether it is in the set.
    pub const fn contains(self, context: Context) -> bool {
        self.0 & 1 << context.index() != 0
    }

    /// Returns the members in the order of their index.
    pub fn iter(self) -> impl Iterator<Item = Context> {
        Context::ALL.iter().copied().filter(move |context| self.contains(*context))
    }
}

/// Takes a line apart.
pub fn parse(text: &[u8]) -> Line {
    unfold::Unfold::new(text).line
}

/// Takes a line apart, and tells how many bytes were looked at: what shows that the work is bounded.
pub fn parse_counted(text: &[u8]) -> (Line, usize) {
    let unfold = unfold::Unfold::new(text);
    (unfold.line, unfold.effort)
}
