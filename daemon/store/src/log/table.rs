//! Which segments there are and where in them each record lies: what writer and readers share.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use karo_core::search::{Key, Position};
use karo_protocol::local::Damage;
use karo_protocol::{EventId, Shell, ShellId, Timestamp};

use super::footer::{BlockPlace, Footer};
use super::known::{Contents, Intervals};
use super::notes::Notes;
use crate::disk::Disk;
use crate::records::Record;
use crate::retention::SegmentSummary;

/// Records in a segment, so that an ordinal has 16 bits.
pub(super) const RECORDS_MAX: usize = 1 << 16;

/// Returns the position of a record: the slot of its segment, then its ordinal.
pub(super) const fn position(slot: u16, ordinal: u16) -> Position {
    Position((slot as u32) << 16 | ordinal as u32)
}

/// Returns slot and ordinal of a position.
pub(super) const fn place(position: Position) -> (u16, u16) {
    ((position.0 >> 16) as u16, position.0 as u16)
}

/// Least and greatest of what a segment or block holds; the least is greater while there is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Start times.
    pub(super) started: (Timestamp, Timestamp),
    /// Event ids.
    pub(super) ids: (EventId, EventId),
}

impl Default for Span {
    fn default() -> Self {
        Self {
            started: (Timestamp::MAX, Timestamp::MIN),
            ids: (EventId::from_bytes([0xff; 16]), EventId::default()),
        }
    }
}

impl Span {
    /// Widens the span by one event.
    pub(super) fn add(&mut self, started_at: Timestamp, id: EventId) {
        self.started = (self.started.0.min(started_at), self.started.1.max(started_at));
        self.ids = (self.ids.0.min(id), self.ids.1.max(id));
    }

    /// Returns the greatest start time, if there is any event.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        (self.started.0 <= self.started.1).then_some(self.started.1)
    }
}

/// Where the records of a raw segment lie, up to what was synced.
#[derive(Debug, Default)]
pub(super) struct RawIndex {
    /// Offset of each record.
    pub(super) offsets: Vec<u32>,
    /// Where the last record or batch ends.
    pub(super) end: u32,
    /// The shells by their numbers; `None` where the record was lost.
    pub(super) shells: Vec<Option<Arc<Shell>>>,
    /// What its events span.
    pub(super) span: Span,
}

impl RawIndex {
    /// Notes the shell of a number; where the numbers before have none, theirs was lost.
    pub(super) fn name(&mut self, number: u32, shell: Arc<Shell>) {
        let place = number as usize;
        if place >= RECORDS_MAX {
            return;
        }
        if self.shells.len() <= place {
            self.shells.resize(place + 1, None);
        }
        self.shells[place] = Some(shell);
    }
}

impl RawIndex {
    /// Returns the shell that a record names by its number.
    pub(super) fn shell_of(&self, record: &Record<'_>) -> Option<&Arc<Shell>> {
        self.shells.get(record.shell()? as usize)?.as_ref()
    }

    /// Counts the next record that was read; `false` when it is an event whose shell is not known.
    pub(super) fn add(&mut self, record: &Record<'_>, contents: &mut Contents) -> bool {
        let shell = self.shell_of(record).map(|shell| shell.id);
        if let Record::Event(event) = record {
            if shell.is_none() {
                return false;
            }
            self.span.add(event.started_at, event.id);
        }
        contents.add(self.offsets.len() as u16, record, shell);
        true
    }
}

/// What a segment is at the moment.
#[derive(Debug, Clone)]
pub(super) enum Form {
    /// Raw; the last of them grows.
    Raw(Arc<RwLock<RawIndex>>),
    /// Sealed.
    Sealed(Arc<SealedIndex>),
}

/// Where the blocks of a sealed segment lie: what of its footer stays in memory.
#[derive(Debug, Default)]
pub(super) struct SealedIndex {
    /// Bytes of the file.
    pub(super) bytes: u64,
    /// What its events span.
    pub(super) span: Span,
    /// Its blocks of records.
    pub(super) blocks: Box<[BlockPlace]>,
    /// Its block of shells.
    pub(super) shells: BlockPlace,
    /// Its records.
    pub(super) records: u32,
}

impl SealedIndex {
    /// Keeps of a footer what reading needs.
    pub(super) fn new(footer: &Footer, bytes: u64) -> Self {
        Self {
            bytes,
            span: footer.span,
            blocks: footer.blocks.clone().into(),
            shells: footer.shell_block,
            records: footer.records,
        }
    }

    /// Returns the block that a record lies in, if it is there.
    pub(super) fn block_of(&self, ordinal: u16) -> Option<(usize, &BlockPlace)> {
        let place = self.blocks.partition_point(|block| block.first <= ordinal).checked_sub(1)?;
        Some((place, &self.blocks[place]))
    }
}

/// One segment.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    /// Its place in the table and in positions.
    pub(super) slot: u16,
    /// Its number, which names its file.
    pub(super) number: u32,
    /// Raw or sealed.
    pub(super) form: Form,
}

impl Segment {
    /// Returns the greatest start time of its events, if it has any.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        match &self.form {
            Form::Raw(index) => read(index).span.newest(),
            Form::Sealed(index) => index.span.newest(),
        }
    }

    /// Returns what retention decides by.
    pub(super) fn summary(&self) -> SegmentSummary {
        SegmentSummary {
            number: u64::from(self.number),
            is_sealed: self.is_sealed(),
            bytes: self.bytes(),
            newest: self.newest(),
        }
    }

    /// Returns how many records it has.
    pub(super) fn record_count(&self) -> usize {
        match &self.form {
            Form::Raw(index) => read(index).offsets.len(),
            Form::Sealed(index) => index.records as usize,
        }
    }

    /// Returns the ordinal that follows all of its own.
    pub(super) fn ordinals_end(&self) -> usize {
        match &self.form {
            Form::Raw(index) => read(index).offsets.len(),
            Form::Sealed(_) => RECORDS_MAX,
        }
    }

    /// Returns where its records lie, if it is raw.
    pub(super) fn raw(&self) -> Option<&Arc<RwLock<RawIndex>>> {
        match &self.form {
            Form::Raw(index) => Some(index),
            Form::Sealed(_) => None,
        }
    }

    /// Returns the name of its file.
    pub(super) fn name(&self) -> String {
        match &self.form {
            Form::Raw(_) => raw_name(self.number),
            Form::Sealed(_) => sealed_name(self.number),
        }
    }
}

/// Returns the name of a raw segment's file.
pub(super) fn raw_name(number: u32) -> String {
    format!("{number:08}.log")
}

/// Returns the name of a sealed segment's file.
pub(super) fn sealed_name(number: u32) -> String {
    format!("{number:08}.seg")
}

/// All segments, by slot.
#[derive(Debug, Clone, Default)]
pub(super) struct Table(pub(super) BTreeMap<u16, Arc<Segment>>);

/// Sequences that were deleted, by shell.
pub(super) type Deleted = BTreeMap<ShellId, Intervals>;

/// Tells whether an event was deleted.
pub(super) fn is_deleted(deleted: &Deleted, (shell, sequence): Key) -> bool {
    deleted.get(&shell).is_some_and(|sequences| sequences.contains(sequence))
}

/// What the writer and all readers have in common.
#[derive(Debug)]
pub(super) struct Shared {
    /// The disk.
    pub(super) disk: Arc<dyn Disk>,
    /// The directory of the segments.
    pub(super) directory: PathBuf,
    /// The directory of bytes that were no records.
    pub(super) damaged: PathBuf,
    table: RwLock<Arc<Table>>,
    /// Held for reading while files are read by what the table says of them, and for writing while
    /// both change.
    files: RwLock<()>,
    deleted: RwLock<Arc<Deleted>>,
    /// Values and series. Taken after `files`, and never for writing while a segment is written.
    pub(super) notes: RwLock<Notes>,
    damage: Mutex<BTreeSet<(String, u64, String)>>,
    /// Names of segments that hold bytes which cannot be read.
    unsound: Mutex<BTreeSet<String>>,
    loading: Arc<()>,
    opening: Mutex<Option<BTreeMap<u16, usize>>>,
}

impl Shared {
    /// Makes it for an empty log.
    pub(super) fn new(disk: Arc<dyn Disk>, directory: &Path, damaged: &Path) -> Self {
        Self {
            disk,
            directory: directory.to_owned(),
            damaged: damaged.to_owned(),
            files: RwLock::default(),
            table: RwLock::default(),
            deleted: RwLock::default(),
            notes: RwLock::default(),
            damage: Mutex::default(),
            unsound: Mutex::default(),
            loading: Arc::default(),
            opening: Mutex::default(),
        }
    }

    /// Keeps the files as the table says they are, for as long as the returned value lives.
    pub(super) fn reading(&self) -> RwLockReadGuard<'_, ()> {
        read(&self.files)
    }

    /// Keeps readers away, for as long as the returned value lives.
    pub(super) fn exchanging(&self) -> RwLockWriteGuard<'_, ()> {
        write(&self.files)
    }

    /// Returns the table as it is at this moment.
    pub(super) fn table(&self) -> Arc<Table> {
        Arc::clone(&read(&self.table))
    }

    /// Replaces the table; only the writer does.
    pub(super) fn publish(&self, change: impl FnOnce(&mut Table)) {
        let mut table = Table::clone(&self.table());
        change(&mut table);
        *write(&self.table) = Arc::new(table);
    }

    /// Returns what was deleted up to this moment.
    pub(super) fn deleted(&self) -> Arc<Deleted> {
        Arc::clone(&read(&self.deleted))
    }

    /// Replaces what was deleted; only the writer does.
    pub(super) fn publish_deleted(&self, deleted: Deleted) {
        *write(&self.deleted) = Arc::new(deleted);
    }

    /// Returns a token that says, while it lives, that something is being loaded.
    pub(super) fn loading(&self) -> Arc<()> {
        Arc::clone(&self.loading)
    }

    /// Tells whether something is being loaded.
    pub(super) fn is_loading(&self) -> bool {
        Arc::strong_count(&self.loading) > 1
    }

    /// Keeps what there was when the log was opened: slots, and how many records they had.
    pub(super) fn keep_opening(&self) {
        let table = self.table();
        let ends = table.0.values().map(|segment| (segment.slot, segment.ordinals_end()));
        *lock(&self.opening) = Some(ends.collect());
    }

    /// Takes what there was when the log was opened; the first time only.
    pub(super) fn take_opening(&self) -> Option<BTreeMap<u16, usize>> {
        lock(&self.opening).take()
    }

    /// Tells whether nothing of what there was at the opening is still to be loaded.
    pub(super) fn is_loaded(&self) -> bool {
        !self.is_loading() && lock(&self.opening).as_ref().is_none_or(BTreeMap::is_empty)
    }

    /// Returns the path of a segment's file.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Notes a damaged place; the same place counts once.
    pub(super) fn note_damage(&self, segment: &str, offset: u64, reason: &str) {
        lock(&self.damage).insert((segment.to_owned(), offset, reason.to_owned()));
        lock(&self.unsound).insert(segment.to_owned());
    }

    /// Notes that all of a segment can be read.
    pub(super) fn note_clean(&self, segment: &str) {
        lock(&self.unsound).remove(segment);
    }

    /// Tells whether a damaged place was met in a segment that is still there.
    pub(super) fn is_unsound(&self, segment: &str) -> bool {
        lock(&self.unsound).contains(segment)
    }

    /// Returns the damaged places that were met since the log was opened.
    pub(super) fn damage(&self) -> Vec<Damage> {
        let noted = |(segment, offset, reason): &(String, u64, String)| Damage {
            segment: segment.clone(),
            offset: *offset,
            reason: reason.clone(),
        };
        lock(&self.damage).iter().map(noted).collect()
    }

    /// Returns how many damaged places were met since the log was opened.
    pub(super) fn damage_count(&self) -> u64 {
        lock(&self.damage).len() as u64
    }
}

/// Locks for reading; each change under these locks is whole before anything can panic.
pub(super) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Locks for writing, likewise.
pub(super) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

fn lock<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
