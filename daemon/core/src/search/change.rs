//! What the store tells the search: rows that came, ended, went, or lie elsewhere.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use karo_protocol::{Axis, Category, Micros, Risk, Shell, ShellId, State, Timestamp};

/// Where the record of an event lies in the log; only the store reads a meaning into it.
///
/// Greater positions were written later, as long as nothing was rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u32);

/// What names an event between hook, store and search: its shell, and its number there.
pub type Key = (ShellId, u64);

/// What the search keeps of one event, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Where the whole event lies.
    pub position: Position,
    /// Where it was typed.
    pub shell: &'a Arc<Shell>,
    /// Its number there.
    pub sequence: u64,
    /// The redacted text.
    pub command: &'a [u8],
    /// Working directory at the start.
    pub cwd: &'a [u8],
    /// Wall time of the start.
    pub started_at: Timestamp,
    /// The most telling category.
    pub category: Category,
    /// Names of the programs, separated by NUL.
    pub tools: &'a [u8],
    /// The highest level of any rule that matched.
    pub risk: Option<Risk>,
    /// The axis of the rule that gave it.
    pub axis: Option<Axis>,
    /// Ids of the rules that matched, separated by NUL.
    pub rules: &'a [u8],
    /// What became of it.
    pub outcome: BriefOutcome,
}

/// What became of an event, as far as tables and counts need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BriefOutcome {
    /// How far it has come.
    pub state: State,
    /// From start to end, if known.
    pub duration: Option<Micros>,
    /// Exit status, if known.
    pub exit: Option<i32>,
    /// Where its end lies, when that is another record than the event itself.
    pub position: Option<Position>,
}

/// Many entries in a few allocations, so that a million cross from thread to thread cheaply.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    shells: Vec<Arc<Shell>>,
    /// Place of each shell by its address, which holds as long as the batch holds the shell.
    places: BTreeMap<usize, u32>,
    entries: Vec<Packed>,
}

/// An entry whose bytes and shell lie in its batch.
#[derive(Debug, Clone)]
struct Packed {
    position: Position,
    shell: u32,
    sequence: u64,
    command: Range<u32>,
    cwd: Range<u32>,
    tools: Range<u32>,
    risk: Option<Risk>,
    axis: Option<Axis>,
    rules: Range<u32>,
    started_at: Timestamp,
    category: Category,
    outcome: BriefOutcome,
}

/// Bytes of text of an entry, for most of them.
const ENTRY_BYTES: usize = 48;

impl Batch {
    /// Returns an empty one with room for so many entries of common length.
    pub fn with_capacity(entries: usize) -> Self {
        let bytes = Vec::with_capacity(entries * ENTRY_BYTES);
        Self { bytes, entries: Vec::with_capacity(entries), ..Self::default() }
    }

    /// Adds an entry.
    pub fn push(&mut self, entry: Entry<'_>) {
        let shell = match self.entries.last() {
            // Neighbours come from the same shell more often than not.
            Some(last) if Arc::ptr_eq(&self.shells[last.shell as usize], entry.shell) => last.shell,
            Some(_) | None => self.place_shell(entry.shell),
        };
        let packed = Packed {
            position: entry.position,
            shell,
            sequence: entry.sequence,
            command: self.keep(entry.command),
            cwd: self.keep(entry.cwd),
            tools: self.keep(entry.tools),
            risk: entry.risk,
            axis: entry.axis,
            rules: self.keep(entry.rules),
            started_at: entry.started_at,
            category: entry.category,
            outcome: entry.outcome,
        };
        self.entries.push(packed);
    }

    fn place_shell(&mut self, shell: &Arc<Shell>) -> u32 {
        let shells = &mut self.shells;
        *self.places.entry(Arc::as_ptr(shell).addr()).or_insert_with(|| {
            shells.push(Arc::clone(shell));
            shells.len() as u32 - 1
        })
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<u32> {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len() as u32
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the entries in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.iter_with_shells().map(|(entry, _)| entry)
    }

    /// Returns each shell once.
    pub(super) fn shells(&self) -> &[Arc<Shell>] {
        &self.shells
    }

    /// Returns the entries, each with the place of its shell in [`shells`](Self::shells).
    pub(super) fn iter_with_shells(&self) -> impl Iterator<Item = (Entry<'_>, usize)> {
        self.entries.iter().map(|packed| (self.entry(packed), packed.shell as usize))
    }

    fn entry<'a>(&'a self, packed: &Packed) -> Entry<'a> {
        let slice = |range: &Range<u32>| &self.bytes[range.start as usize..range.end as usize];
        Entry {
            position: packed.position,
            shell: &self.shells[packed.shell as usize],
            sequence: packed.sequence,
            command: slice(&packed.command),
            cwd: slice(&packed.cwd),
            started_at: packed.started_at,
            category: packed.category,
            tools: slice(&packed.tools),
            risk: packed.risk,
            axis: packed.axis,
            rules: slice(&packed.rules),
            outcome: packed.outcome,
        }
    }
}

/// One change of what can be found.
#[derive(Debug, Clone)]
pub enum Change {
    /// Events that were not there before.
    Added(Batch),
    /// An event whose outcome became known later than its start; its `Added` may come after this
    /// when the log is loaded from its newest end.
    Outcome {
        /// Which event.
        key: Key,
        /// What became of it.
        outcome: BriefOutcome,
    },
    /// Events that are gone for good.
    Removed(Vec<Position>),
    /// Events that lie where they lay, and of which the text or the understanding was made anew; the
    /// outcomes in it say nothing. Of positions that have no event nothing is taken.
    Revised(Batch),
    /// Records of rewritten segments that lie elsewhere: from where, to where, ordered by the first.
    Moved(Vec<(Position, Position)>),
}
