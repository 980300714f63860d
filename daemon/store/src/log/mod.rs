//! The segment log: everything that must last, in records that are only ever added.
//!
//! [`Store`] is the one writer: single-threaded, blocking, for one actor alone on its thread.
//! [`Reader`]s are cheap to clone and read on other threads. Nothing here knows of sled, of actors or
//! of the wall clock: `now` is an argument.
//!
//! | file | holds |
//! | --- | --- |
//! | `raw` | how batches are framed, and how a file is read that may be torn or damaged |
//! | `known` | which events were seen, so that what comes twice counts once |
//! | `notes` | small values by name, and series of lines |
//! | `table` | which segments there are, shared by writer and readers |
//! | `sealed`, `footer` | how a sealed segment is made and read |
//! | `append` | taking in: one write, one sync |
//! | `seal`, `delete`, `compact` | rewriting: what is complete, what must go, what can be smaller |
//! | `reclassify`, `revise` | understanding again, and what events become by it |
//! | `rewrite` | one segment anew where it stands, for deleting and understanding again |
//! | `open`, `open_sealed` | opening, and what is done about a crash |
//! | `salvage` | keeping bytes that are no records, and writing a raw segment anew |
//! | `reader`, `load` | single events by position, and all of them for the search |
//! | `verify`, `status` | whether all is as it was written; how the log is |

mod append;
mod compact;
mod delete;
mod error;
mod footer;
mod ids;
mod known;
mod live;
mod load;
mod notes;
mod open;
mod open_sealed;
mod raw;
mod reader;
mod reclassify;
mod revise;
mod rewrite;
mod salvage;
mod seal;
mod sealed;
mod status;
mod table;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;

use karo_core::search::{Change, Key};
use karo_protocol::local::Damage;
use karo_protocol::{Event, EventId};

pub use self::error::{AppendError, OpenError, ReadError};
pub use self::load::Load;
pub use self::notes::{KEPT_BYTES_MAX, KEY_BYTES_MAX, LINE_BYTES_MAX, SERIES_MAX, VALUE_BYTES_MAX};
pub use self::reader::Reader;
pub use self::reclassify::{Progress, Reclassification};
pub use self::revise::Revision;

use self::ids::Ids;
use self::known::Known;
use self::live::Live;
use self::raw::BatchWriter;
use self::salvage::Bad;
use self::table::Shared;
use crate::disk::DiskLock;
use crate::records::{Packing, Series};

/// The sizes that a store works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Bytes after which a raw segment is sealed.
    ///
    /// Four mebibytes: some thirty thousand commands, checked in a few milliseconds after a crash.
    pub segment_bytes: u64,
    /// Bytes of the file system that stay free.
    ///
    /// Sixty-four mebibytes: enough to rewrite segments, and for the user to clean up.
    pub reserve_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 4 << 20, reserve_bytes: 64 << 20 }
    }
}

/// Something to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly all of them are events")]
pub enum Entry {
    /// One side of a command: running for its start, ended for its end; a lost one is an import.
    ///
    /// A nil id means that the store draws one.
    Observed(Event),
    /// The shell of a running event is gone.
    Lost {
        /// Which event.
        key: Key,
    },
    /// A small value by its name, instead of the one before.
    ///
    /// Of the puts, removals, lines and deletions of a batch that a crash tore, none is kept: what explains
    /// another thing goes into its batch.
    Put {
        /// What kind of thing it is; 0 is the store's own.
        shelf: u8,
        /// Its name there, [`KEY_BYTES_MAX`] at most.
        key: Vec<u8>,
        /// At most [`VALUE_BYTES_MAX`].
        value: Vec<u8>,
    },
    /// That a name has no value any more.
    Remove {
        /// As in [`Put`](Self::Put).
        shelf: u8,
        /// Its name there.
        key: Vec<u8>,
    },
    /// The next line of a series.
    Line {
        /// Which series; it begins with its first line.
        series: Series,
        /// Its place, from 0: the number of lines before it. A lower one is a duplicate.
        index: u64,
        /// At most [`LINE_BYTES_MAX`].
        line: Vec<u8>,
    },
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is on disk; for anything but a whole event the id is nil.
    Committed(EventId),
    /// It says nothing that is not on disk already, or its event was deleted.
    Duplicate,
}

/// Bytes that were no records, and where they can be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Name of the segment's file.
    pub segment: String,
    /// Where in it they began.
    pub offset: u64,
    /// How many.
    pub bytes: u64,
    /// Where they are kept; `None` when there are none: the file is just shorter than its batch.
    pub moved_to: Option<PathBuf>,
}

/// What was found when the log was opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Opened {
    /// Segments, the live one included.
    pub segments: u64,
    /// Whether the log had been closed in order, or was new.
    pub was_closed: bool,
    /// Batches that were never written whole, and never acknowledged.
    pub torn: Vec<SetAside>,
    /// Bytes of a last batch that has its length: torn, or synced and damaged since.
    pub undecided: Vec<SetAside>,
    /// Bytes that were synced once and are not as they were written.
    pub damage: Vec<Damage>,
    /// The format that the log had, if it was migrated.
    pub migrated_from: Option<u16>,
    /// Whether the disk was too full to finish what a crash left; nothing is accepted before that.
    pub is_waiting_for_room: bool,
}

/// Whether anything can be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    /// Yes.
    Sound,
    /// Once there is room to copy what a crash left of the live segment.
    Unrenewed,
    /// Not before the log is opened again.
    Poisoned(String),
}

/// The one writer of a log.
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    options: Options,
    known: Known,
    live: Option<Live>,
    next_number: u32,
    next_slot: u32,
    standing: Standing,
    /// Bytes that must be kept elsewhere before their segment may be rewritten.
    unsaved: Vec<Bad>,
    /// Whether something that was written down as deleted may still lie in a segment.
    is_unerased: bool,
    /// Records of what was deleted.
    erasures: u64,
    ids: Ids,
    batch: BatchWriter,
    packing: Packing,
    changes: Vec<Change>,
    /// The batch that was appended last, until there is time to free it.
    spent: Vec<Entry>,
    /// Held for as long as the store lives.
    _lock: Box<dyn DiskLock>,
}

impl Store {
    /// Returns what the search must apply since the last call, in this order.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Returns the values of a shelf, in the order of their keys.
    pub fn kept(&self, shelf: u8) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.reader().kept(shelf)
    }

    /// Returns how many lines a series has had: the index of the next one.
    pub fn line_count(&self, series: Series) -> u64 {
        self.reader().line_range(series).end
    }

    /// Returns a reader of this log, for any thread.
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.shared))
    }
}
