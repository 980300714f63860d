//! Reading single events by position, on any thread.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::{Arc, RwLockReadGuard};

use karo_core::search::Position;
use karo_protocol::event::Outcome;
use karo_protocol::{Event, EventId, Shell, State};

use super::error::ReadError;
use super::footer::{BlockPlace, Footer, read_shells};
use super::load::Load;
use super::raw;
use super::sealed::{Block, BlockKind, TRAILER_BYTES, prefix, read_block, read_trailer};
use super::table::{Form, RawIndex, SealedIndex, Segment, Shared, Table, place, position, read};
use crate::payload::{self, Base};
use crate::records::{Kind, Record, Series};

/// Reads a log that a [`Store`](super::Store) writes. Cheap to clone; every call blocks on the disk.
#[derive(Debug, Clone)]
pub struct Reader {
    pub(super) shared: Arc<Shared>,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Returns the event at a position; `outcome` is where its end lies, if that is elsewhere.
    ///
    /// # Errors
    ///
    /// [`ReadError::Gone`] when it was deleted or moved since; the rest as they say.
    pub fn event(&self, event: Position, outcome: Option<Position>) -> Result<Event, ReadError> {
        ReadSession::new(&self.shared).event(event, outcome)
    }

    /// Returns many events, in the order of the positions, reading each block once.
    pub fn events(&self, positions: &[(Position, Option<Position>)]) -> Vec<Result<Event, ReadError>> {
        let mut session = ReadSession::new(&self.shared);
        positions.iter().map(|(event, outcome)| session.event(*event, *outcome)).collect()
    }

    /// Returns the positions of events by name, sorted; names that are not there are left out.
    pub fn find(&self, ids: &[EventId]) -> Vec<Position> {
        let mut wanted = ids.to_vec();
        wanted.sort_unstable();
        let session = ReadSession::new(&self.shared);
        let mut found = Vec::new();
        for segment in session.table.0.values() {
            match &segment.form {
                Form::Raw(index) => session.find_in_raw(segment, &read(index), &wanted, &mut found),
                Form::Sealed(index) => session.find_in_sealed(segment, index, &wanted, &mut found),
            }
        }
        found.sort_unstable();
        found
    }

    /// Begins to read what was on disk when the log was opened, from the newest events to the oldest.
    ///
    /// What was appended since comes by [`Store::take_changes`](super::Store::take_changes), before,
    /// between or after this. Once per opening; a second time it is as [`everything`](Self::everything).
    /// As long as the returned value lives, nothing can be deleted.
    pub fn load(&self) -> Load {
        match self.shared.take_opening() {
            Some(opening) => Load::new(Arc::clone(&self.shared), |slot| opening.get(&slot).copied()),
            None => self.everything(),
        }
    }

    /// Begins to read everything that is on disk at this call, for whoever does not follow the changes.
    pub fn everything(&self) -> Load {
        Load::new(Arc::clone(&self.shared), |_| Some(usize::MAX))
    }

    /// Returns the values of a shelf, in the order of their keys.
    pub fn kept(&self, shelf: u8) -> Vec<(Vec<u8>, Vec<u8>)> {
        read(&self.shared.notes).kept(shelf)
    }

    /// Returns the value of a key.
    pub fn value(&self, shelf: u8, key: &[u8]) -> Option<Vec<u8>> {
        read(&self.shared.notes).value(shelf, key).map(<[u8]>::to_vec)
    }

    /// Returns the indexes of a series that are not forgotten: the end is how many lines it has had.
    pub fn line_range(&self, series: Series) -> Range<u64> {
        let notes = read(&self.shared.notes);
        notes.first_line(series)..notes.line_count(series)
    }

    /// Returns a line of a series.
    ///
    /// # Errors
    ///
    /// [`ReadError::Gone`] when there is none, it was forgotten, or it is lost; the rest as they say.
    pub fn line(&self, series: Series, index: u64) -> Result<Vec<u8>, ReadError> {
        ReadSession::new(&self.shared).line(series, index)
    }

    /// Returns lines of a series in their order, each with its index, reading each block once. What is
    /// below the first or behind the last is left out; ask for some hundreds at a time: all that is read
    /// is in memory.
    pub fn lines(&self, series: Series, indexes: Range<u64>) -> Vec<(u64, Result<Vec<u8>, ReadError>)> {
        let mut session = ReadSession::new(&self.shared);
        let there = self.line_range(series);
        let indexes = indexes.start.max(there.start)..indexes.end.min(there.end);
        indexes.map(|index| (index, session.line(series, index))).collect()
    }

    /// Returns how many damaged places were met since the log was opened.
    pub fn damage_count(&self) -> u64 {
        self.shared.damage_count()
    }
}

/// The shells of a segment, by their numbers.
pub(super) type Shells = Rc<[Option<Arc<Shell>>]>;

/// One call: files and table stay as they are, and what was read is used again.
pub(super) struct ReadSession<'a> {
    shared: &'a Shared,
    table: Arc<Table>,
    blocks: BTreeMap<(u16, usize), Rc<Block>>,
    shells: BTreeMap<u16, Shells>,
    _reading: RwLockReadGuard<'a, ()>,
}

impl<'a> ReadSession<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        let reading = shared.reading();
        let (blocks, shells) = (BTreeMap::new(), BTreeMap::new());
        Self { shared, table: shared.table(), blocks, shells, _reading: reading }
    }

    fn event(&mut self, at: Position, outcome: Option<Position>) -> Result<Event, ReadError> {
        let mut event = self.record(at, |record, shells| match record {
            Record::Event(packed) => {
                let shell = shells.get(packed.shell as usize).and_then(Option::as_ref);
                let shell = shell.ok_or("the record of its shell is lost")?;
                packed.unpack(shell).map(Some).map_err(|error| error.0)
            }
            Record::Void
            | Record::Shell(..)
            | Record::Ended(..)
            | Record::Lost(..)
            | Record::Deleted(..)
            | Record::Understood(_)
            | Record::Put(_)
            | Record::Line(..) => Ok(None),
        })?;
        if event.outcome.state() == State::Ended {
            return Ok(event);
        }
        if let Some(outcome) = outcome {
            event.outcome = match self.outcome(outcome, &event) {
                // Sealing folded it into the event.
                Err(ReadError::Gone) => event.outcome,
                read => read?,
            };
        }
        Ok(event)
    }

    fn line(&mut self, series: Series, index: u64) -> Result<Vec<u8>, ReadError> {
        let at = read(&self.shared.notes).place(series, index).ok_or(ReadError::Gone)?;
        self.record(at, |record, _| match record {
            Record::Line(of, at, line) if (*of, *at) == (series, index) => Ok(Some(line.to_vec())),
            Record::Void
            | Record::Shell(..)
            | Record::Event(_)
            | Record::Ended(..)
            | Record::Lost(..)
            | Record::Deleted(..)
            | Record::Understood(_)
            | Record::Put(_)
            | Record::Line(..) => Ok(None),
        })
    }

    fn outcome(&mut self, at: Position, event: &Event) -> Result<Outcome, ReadError> {
        let key = (event.shell.id, event.sequence);
        self.record(at, |record, _| match record {
            Record::Ended(shell, sequence, ending) if (*shell, *sequence) == key => {
                ending.unpack().map(|ending| Some(Outcome::Ended(ending))).map_err(|error| error.0)
            }
            Record::Lost(shell, sequence) if (*shell, *sequence) == key => Ok(Some(Outcome::Lost)),
            Record::Void
            | Record::Shell(..)
            | Record::Event(_)
            | Record::Ended(..)
            | Record::Lost(..)
            | Record::Deleted(..)
            | Record::Understood(_)
            | Record::Put(_)
            | Record::Line(..) => Ok(None),
        })
    }

    /// Reads one record and makes something of it; `Ok(None)` means that it is not what was looked for.
    fn record<T>(
        &mut self,
        at: Position,
        make: impl FnOnce(&Record<'_>, &[Option<Arc<Shell>>]) -> Result<Option<T>, &'static str>,
    ) -> Result<T, ReadError> {
        let (slot, ordinal) = place(at);
        let segment = Arc::clone(self.table.0.get(&slot).ok_or(ReadError::Gone)?);
        match &segment.form {
            Form::Raw(index) => self.raw_record(&segment, &read(index), ordinal, make),
            Form::Sealed(index) => self.sealed_record(&segment, index, ordinal, make),
        }
    }

    fn raw_record<T>(
        &self,
        segment: &Segment,
        index: &RawIndex,
        ordinal: u16,
        make: impl FnOnce(&Record<'_>, &[Option<Arc<Shell>>]) -> Result<Option<T>, &'static str>,
    ) -> Result<T, ReadError> {
        let offset = *index.offsets.get(usize::from(ordinal)).ok_or(ReadError::Gone)?;
        let end = index.offsets.get(usize::from(ordinal) + 1).copied().unwrap_or(index.end);
        let bytes = self.bytes(segment, offset, (end - offset) as usize)?;
        let damaged = |reason: &str| damaged(self.shared, segment, u64::from(offset), reason);
        let (kind, payload) = raw::read_record(&bytes, segment.number, offset, 0)
            .ok_or_else(|| damaged("its checksum is wrong"))?;
        let record = payload::read(kind, payload, &mut Base::default()).map_err(|error| damaged(error.0))?;
        make(&record, &index.shells).map_err(damaged)?.ok_or(ReadError::Gone)
    }

    fn sealed_record<T>(
        &mut self,
        segment: &Segment,
        index: &SealedIndex,
        ordinal: u16,
        make: impl FnOnce(&Record<'_>, &[Option<Arc<Shell>>]) -> Result<Option<T>, &'static str>,
    ) -> Result<T, ReadError> {
        let (number, place) = index.block_of(ordinal).ok_or(ReadError::Gone)?;
        let block = self.block(segment, number, place)?;
        let shells = self.shells(segment, index)?;
        let (mut make, mut made) = (Some(make), Ok(None));
        let read = block.for_each(|at, record| {
            if at == ordinal
                && let Some(make) = make.take()
            {
                made = make(&record, &shells);
            }
            at < ordinal
        });
        let damaged = |reason: &str| damaged(self.shared, segment, u64::from(place.offset), reason);
        read.ok_or_else(|| damaged("a record in this block cannot be read"))?;
        made.map_err(damaged)?.ok_or(ReadError::Gone)
    }

    fn block(
        &mut self,
        segment: &Segment,
        number: usize,
        place: &BlockPlace,
    ) -> Result<Rc<Block>, ReadError> {
        if let Some(block) = self.blocks.get(&(segment.slot, number)) {
            return Ok(Rc::clone(block));
        }
        let block = Rc::new(self.read_block(segment, place, BlockKind::Records)?);
        self.blocks.insert((segment.slot, number), Rc::clone(&block));
        Ok(block)
    }

    fn read_block(&self, segment: &Segment, place: &BlockPlace, kind: BlockKind) -> Result<Block, ReadError> {
        let bytes = self.bytes(segment, place.offset, place.bytes as usize)?;
        read_block(&bytes, segment.number, place.offset).filter(|block| block.kind == kind as u8).ok_or_else(
            || damaged(self.shared, segment, u64::from(place.offset), "the hash of this block is wrong"),
        )
    }

    /// Returns the segment of that slot.
    pub(super) fn segment(&self, slot: u16) -> Option<Arc<Segment>> {
        self.table.0.get(&slot).map(Arc::clone)
    }

    /// Reads a block of records; one that cannot be read is noted.
    pub(super) fn records(&self, segment: &Segment, place: &BlockPlace) -> Option<Block> {
        self.read_block(segment, place, BlockKind::Records).ok()
    }

    /// Returns the shells of a sealed segment, by their numbers.
    pub(super) fn shells(&mut self, segment: &Segment, index: &SealedIndex) -> Result<Shells, ReadError> {
        if let Some(shells) = self.shells.get(&segment.slot) {
            return Ok(Rc::clone(shells));
        }
        let block = self.read_block(segment, &index.shells, BlockKind::Shells);
        let shells = match block.map(|block| read_shells(&block.bytes)) {
            Ok(Ok(shells)) => shells,
            // The footer has them once more.
            Ok(Err(_)) | Err(_) => self.footer(segment)?.shells,
        };
        let shells: Shells = shells.into_iter().map(Some).collect();
        self.shells.insert(segment.slot, Rc::clone(&shells));
        Ok(shells)
    }

    /// Reads the footer of a sealed segment.
    pub(super) fn footer(&self, segment: &Segment) -> Result<Footer, ReadError> {
        read_footer(self.shared, &segment.name(), segment.number, true)
    }

    /// Reads a part of a segment's file.
    pub(super) fn bytes(&self, segment: &Segment, offset: u32, length: usize) -> Result<Vec<u8>, ReadError> {
        let name = segment.name();
        let mut bytes = vec![0; length];
        match self.shared.disk.read_at(&self.shared.path(&name), u64::from(offset), &mut bytes) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(damaged(self.shared, segment, u64::from(offset), "the file ends before"))
            }
            Err(error) => Err(ReadError::Disk { segment: name, reason: error.to_string() }),
        }
    }

    fn find_in_raw(
        &self,
        segment: &Segment,
        index: &RawIndex,
        wanted: &[EventId],
        found: &mut Vec<Position>,
    ) {
        if !wanted.iter().any(|id| (index.span.ids.0..=index.span.ids.1).contains(id)) {
            return;
        }
        let Ok(bytes) = self.bytes(segment, 0, index.end as usize) else {
            return;
        };
        for (ordinal, offset) in index.offsets.iter().enumerate() {
            let record = raw::read_record(&bytes, segment.number, *offset, *offset as usize);
            if let Some((kind @ (Kind::Started | Kind::Whole), payload)) = record
                && let Ok(Record::Event(event)) = payload::read(kind, payload, &mut Base::default())
                && wanted.binary_search(&event.id).is_ok()
            {
                found.push(position(segment.slot, ordinal as u16));
            }
        }
    }

    fn find_in_sealed(
        &self,
        segment: &Segment,
        index: &SealedIndex,
        wanted: &[EventId],
        found: &mut Vec<Position>,
    ) {
        for place in &index.blocks {
            if !wanted.iter().any(|id| (place.ids.0..=place.ids.1).contains(&prefix(*id))) {
                continue;
            }
            // A damaged block is noted where it is read.
            let Ok(block) = self.read_block(segment, place, BlockKind::Records) else {
                continue;
            };
            let read = block.for_each(|ordinal, record| {
                if let Record::Event(event) = record
                    && wanted.binary_search(&event.id).is_ok()
                {
                    found.push(position(segment.slot, ordinal));
                }
                true
            });
            if read.is_none() {
                let offset = u64::from(place.offset);
                self.shared.note_damage(&segment.name(), offset, "a record in this block cannot be read");
            }
        }
    }
}

/// Reads the footer of a sealed file by its trailer; the shells only where they are wanted.
pub(super) fn read_footer(
    shared: &Shared,
    name: &str,
    number: u32,
    wants_shells: bool,
) -> Result<Footer, ReadError> {
    let path = shared.path(name);
    let disk =
        |error: std::io::Error| ReadError::Disk { segment: name.to_owned(), reason: error.to_string() };
    let length = shared.disk.length(&path).map_err(disk)?;
    let at = length.saturating_sub(TRAILER_BYTES as u64);
    let damaged = |offset: u64, reason: &str| ReadError::Damaged {
        segment: name.to_owned(),
        offset,
        reason: reason.to_owned(),
    };
    let mut trailer = [0; TRAILER_BYTES];
    if length < TRAILER_BYTES as u64 {
        return Err(damaged(0, "the file is too short"));
    }
    shared.disk.read_at(&path, at, &mut trailer).map_err(disk)?;
    let (offset, bytes) = read_trailer(&trailer, number)
        .filter(|(offset, bytes)| u64::from(*offset) + u64::from(*bytes) <= at)
        .ok_or_else(|| damaged(at, "the trailer is not as it was written"))?;
    let mut block = vec![0; bytes as usize];
    shared.disk.read_at(&path, u64::from(offset), &mut block).map_err(disk)?;
    read_block(&block, number, offset)
        .filter(|block| block.kind == BlockKind::Footer as u8)
        .and_then(|block| Footer::read(&block.bytes, wants_shells).ok())
        .ok_or_else(|| damaged(u64::from(offset), "the footer is not as it was written"))
}

/// Notes a damaged place and returns the error that names it.
fn damaged(shared: &Shared, segment: &Segment, offset: u64, reason: &str) -> ReadError {
    let name = segment.name();
    shared.note_damage(&name, offset, reason);
    ReadError::Damaged { segment: name, offset, reason: reason.to_owned() }
}
