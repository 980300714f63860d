//! Taking in: what is new of a batch becomes one write and one sync, then it counts.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, RwLockReadGuard};

use karo_core::search::{Batch, BriefOutcome, Change, Key, Position};
use karo_protocol::{Event, EventId, Outcome, State, Timestamp};

use super::known::{KeyHash, Progress, Put};
use super::live::{Live, StagedRecords};
use super::load;
use super::notes::{
    self, KEPT_BYTES_MAX, KEY_BYTES_MAX, LINE_BYTES_MAX, Notes, SERIES_MAX, STORE_SHELF, VALUE_BYTES_MAX,
};
use super::table::{Form, RECORDS_MAX, Segment, position, read, write};
use super::{AppendError, Appended, Entry, Standing, Store};
use crate::disk::is_full;
use crate::fields::put_number;
use crate::records::{Record, Series};

/// Entries in one write: with a shell for each they fill half a segment's ordinals.
const PIECE_ENTRIES_MAX: usize = RECORDS_MAX / 4;

/// Bytes of text in one write, roughly: far below what is held in reserve.
const PIECE_BYTES_MAX: usize = 8 << 20;

/// What a batch will have changed when it is on disk.
#[derive(Debug, Default)]
struct Staged {
    records: StagedRecords,
    /// Where the first of them will lie.
    first: (u16, usize),
    progress: HashMap<Key, Progress, KeyHash>,
    events: Vec<(Timestamp, EventId)>,
    added: Batch,
    outcomes: Vec<Change>,
    puts: Vec<Put>,
    lines: Vec<(Series, u64, Position)>,
    /// The next index of each series that has one of these lines.
    next_lines: BTreeMap<Series, u64>,
}

/// Whether values and lines of a batch can be kept, one after another.
struct Fitting<'a> {
    notes: RwLockReadGuard<'a, Notes>,
    /// Lines that each series will have had.
    counts: BTreeMap<Series, u64>,
    new_series: usize,
    kept_bytes: usize,
}

impl<'a> Fitting<'a> {
    fn new(notes: RwLockReadGuard<'a, Notes>) -> Self {
        let kept_bytes = notes.kept_bytes();
        Self { notes, counts: BTreeMap::new(), new_series: 0, kept_bytes }
    }

    fn check(&mut self, entry: &Entry) -> Result<(), &'static str> {
        match entry {
            Entry::Observed(_) | Entry::Lost { .. } => Ok(()),
            Entry::Put { shelf, key, value } => self.check_put(*shelf, key, Some(value)),
            Entry::Remove { shelf, key } => self.check_put(*shelf, key, None),
            Entry::Line { series, index, line } => self.check_line(*series, *index, line),
        }
    }

    fn check_put(&mut self, shelf: u8, key: &[u8], value: Option<&[u8]>) -> Result<(), &'static str> {
        if shelf == STORE_SHELF {
            return Err("a value on the shelf of the store");
        }
        if key.len() > KEY_BYTES_MAX || value.is_some_and(|value| value.len() > VALUE_BYTES_MAX) {
            return Err("a value that is too long");
        }
        let Some(value) = value else { return Ok(()) };
        let old = self.notes.value(shelf, key).map_or(0, |old| notes::cost(key, Some(old)));
        self.kept_bytes = (self.kept_bytes + notes::cost(key, Some(value))).saturating_sub(old);
        if self.kept_bytes > KEPT_BYTES_MAX { Err("too many values") } else { Ok(()) }
    }

    fn check_line(&mut self, series: Series, index: u64, line: &[u8]) -> Result<(), &'static str> {
        if line.len() > LINE_BYTES_MAX {
            return Err("a line that is too long");
        }
        let count = self.notes.line_count(series);
        let next = self.counts.entry(series).or_insert_with(|| {
            self.new_series += usize::from(count == 0);
            count
        });
        if index > *next {
            return Err("a line that is not the next of its series");
        }
        *next += u64::from(index == *next);
        let series = self.notes.series_count() + self.new_series;
        if series > SERIES_MAX { Err("too many series") } else { Ok(()) }
    }
}

impl Store {
    /// Keeps what is new of a batch, and returns for each entry, in order, what became of it.
    ///
    /// One write and one sync, and when this returns they are done. Only a batch of many mebibytes
    /// takes more of them.
    ///
    /// # Errors
    ///
    /// [`AppendError::Full`]: nothing of it may be acknowledged, and it may be tried again.
    /// [`AppendError::Poisoned`]: likewise, and the store must be opened again.
    pub fn append(&mut self, batch: Vec<Entry>, now: Timestamp) -> Result<Vec<Appended>, AppendError> {
        self.ready(now)?;
        self.check_fit(&batch)?;
        let mut appended = Vec::with_capacity(batch.len());
        let mut batch = batch;
        let mut rest = batch.as_mut_slice();
        while !rest.is_empty() {
            let (piece, later) = rest.split_at_mut(piece_length(rest));
            self.append_piece(piece, now, &mut appended)?;
            rest = later;
        }
        // Whoever waits for the answer does not wait until half a dozen allocations an event are freed.
        self.spent = batch;
        Ok(appended)
    }

    /// Lets the lines of a series below an index go: at once for readers, on disk when their segments are
    /// rewritten. Indexes go on as before.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    pub fn forget_lines(&mut self, series: Series, below: u64, now: Timestamp) -> Result<(), AppendError> {
        let there = self.reader().line_range(series);
        if below <= there.start {
            return Ok(());
        }
        self.ready(now)?;
        let mut value = Vec::new();
        put_number(&mut value, below.min(there.end));
        let forgotten = Entry::Put { shelf: STORE_SHELF, key: series.0.to_vec(), value };
        self.append_piece(&mut [forgotten], now, &mut Vec::new())
    }

    /// Refuses a batch with a value or line that cannot be kept, as [`append`](Self::append) would: for
    /// whoever puts the deeds of many into one batch.
    ///
    /// # Errors
    ///
    /// [`AppendError::Unfit`].
    pub fn check_fit(&self, batch: &[Entry]) -> Result<(), AppendError> {
        let mut fitting = None;
        for entry in batch {
            match entry {
                Entry::Observed(_) | Entry::Lost { .. } => {}
                Entry::Put { .. } | Entry::Remove { .. } | Entry::Line { .. } => {
                    let fitting = fitting.get_or_insert_with(|| Fitting::new(read(&self.shared.notes)));
                    fitting.check(entry).map_err(|reason| AppendError::Unfit { reason })?;
                }
            }
        }
        Ok(())
    }

    /// Returns when the next record may be written.
    pub(super) fn ready(&mut self, now: Timestamp) -> Result<(), AppendError> {
        if let Standing::Poisoned(reason) = &self.standing {
            return Err(AppendError::Poisoned { reason: reason.clone() });
        }
        self.check_room()?;
        if self.standing == Standing::Unrenewed {
            self.renew(now)?;
        }
        Ok(())
    }

    fn check_room(&self) -> Result<(), AppendError> {
        let reserve_bytes = self.options.reserve_bytes;
        // A file system that cannot tell is not refused: a full one will say so at the write.
        match self.shared.disk.free_bytes(&self.shared.directory) {
            Ok(free_bytes) if free_bytes < reserve_bytes => {
                Err(AppendError::Full { free_bytes, reserve_bytes })
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn append_piece(
        &mut self,
        piece: &mut [Entry],
        now: Timestamp,
        appended: &mut Vec<Appended>,
    ) -> Result<(), AppendError> {
        let mut live = self.live_for(piece.len() * 2, now)?;
        let mut staged = Staged::for_entries(piece.len(), &live);
        self.batch.begin(live.number, live.index_end());
        let first = appended.len();
        for entry in piece {
            appended.push(self.stage(entry, &mut live, &mut staged, now));
        }
        let committed = match staged.records.offsets.is_empty() {
            true => Ok(()),
            false => self.commit(&mut live, false).map(|()| self.settle(&live, staged)),
        };
        if committed.is_err() {
            live.forget_staged();
            appended.truncate(first);
        }
        self.live = Some(live);
        committed
    }

    /// Returns the segment to append so many records to, a new one if need be; the caller puts it back.
    fn live_for(&mut self, records: usize, now: Timestamp) -> Result<Live, AppendError> {
        let segment_bytes = self.options.segment_bytes;
        if let Some(live) = self.live.take_if(|live| live.has_room_for(records, segment_bytes)) {
            return Ok(live);
        }
        self.seal_excess(now)?;
        self.begin_live(now)
    }

    pub(super) fn begin_live(&mut self, now: Timestamp) -> Result<Live, AppendError> {
        let slot = self.free_slot()?;
        let live = Live::begin(&self.shared, slot, self.next_number, now)
            .map_err(|error| self.refuse("begin a segment", &error))?;
        self.next_number += 1;
        let form = Form::Raw(Arc::clone(&live.index));
        let segment = Segment { slot, number: live.number, form };
        self.shared.publish(|table| {
            table.0.insert(slot, Arc::new(segment));
        });
        Ok(live)
    }

    /// Returns a slot that no segment has: a new one as long as there are any, so that a position
    /// which was moved away from stays empty.
    pub(super) fn free_slot(&mut self) -> Result<u16, AppendError> {
        if let Ok(slot) = u16::try_from(self.next_slot) {
            self.next_slot += 1;
            return Ok(slot);
        }
        let table = self.shared.table();
        let free = (0..=u16::MAX).find(|slot| !table.0.contains_key(slot));
        free.ok_or_else(|| AppendError::Poisoned { reason: "the log has 65536 segments".into() })
    }

    /// Puts what is new of an entry into the batch.
    fn stage(&mut self, entry: &mut Entry, live: &mut Live, staged: &mut Staged, now: Timestamp) -> Appended {
        match entry {
            Entry::Observed(event) => {
                let key = (event.shell.id, event.sequence);
                match (self.progress(staged, key), &event.outcome) {
                    (Progress::Unknown, _) => self.stage_event(event, live, staged, now),
                    (Progress::Running | Progress::Lost, Outcome::Ended(ending)) => {
                        let packed = self.packing.pack_ending(ending);
                        staged.records.offsets.push(self.batch.push(&Record::Ended(key.0, key.1, packed)));
                        let (duration, exit) = (ending.duration, ending.exit);
                        let state = State::Ended;
                        staged.note_outcome(key, BriefOutcome { state, duration, exit, position: None })
                    }
                    (Progress::Running, Outcome::Lost) => self.stage_lost(key, staged),
                    (Progress::Running, Outcome::Running)
                    | (Progress::Lost, Outcome::Running | Outcome::Lost)
                    | (Progress::Closed, _) => Appended::Duplicate,
                }
            }
            Entry::Lost { key } => match self.progress(staged, *key) {
                Progress::Running => self.stage_lost(*key, staged),
                Progress::Unknown | Progress::Lost | Progress::Closed => Appended::Duplicate,
            },
            Entry::Put { shelf, key, value } => {
                self.stage_put(*shelf, std::mem::take(key), Some(std::mem::take(value)), staged)
            }
            Entry::Remove { shelf, key } => self.stage_put(*shelf, std::mem::take(key), None, staged),
            Entry::Line { series, index, line } => self.stage_line(*series, *index, line, staged),
        }
    }

    fn stage_put(
        &mut self,
        shelf: u8,
        key: Vec<u8>,
        value: Option<Vec<u8>>,
        staged: &mut Staged,
    ) -> Appended {
        let stamp = read(&self.shared.notes).next_stamp() + staged.puts.len() as u64;
        let value = value.map(Vec::into_boxed_slice);
        let put = Put { stamp, shelf, key: key.into_boxed_slice(), value };
        staged.records.offsets.push(self.batch.push(&Record::Put(put.packed())));
        staged.puts.push(put);
        Appended::Committed(EventId::default())
    }

    fn stage_line(&mut self, series: Series, index: u64, line: &[u8], staged: &mut Staged) -> Appended {
        let count = || read(&self.shared.notes).line_count(series);
        let next = staged.next_lines.entry(series).or_insert_with(count);
        if index < *next {
            return Appended::Duplicate;
        }
        *next = index + 1;
        staged.records.offsets.push(self.batch.push(&Record::Line(series, index, line)));
        staged.lines.push((series, index, staged.last_position()));
        Appended::Committed(EventId::default())
    }

    fn progress(&self, staged: &Staged, key: Key) -> Progress {
        staged.progress.get(&key).copied().unwrap_or_else(|| self.known.progress(key))
    }

    fn stage_event(
        &mut self,
        event: &mut Event,
        live: &mut Live,
        staged: &mut Staged,
        now: Timestamp,
    ) -> Appended {
        if event.id == EventId::default() {
            event.id = self.ids.draw(now);
        }
        let (number, shell) = live.name_shell(&event.shell, &mut self.batch, &mut staged.records);
        let packed = self.packing.pack(event, number);
        staged.records.offsets.push(self.batch.push(&Record::Event(packed)));
        staged.events.push((event.started_at, event.id));
        let key = (event.shell.id, event.sequence);
        let progress = match packed.state {
            State::Running => Progress::Running,
            State::Lost => Progress::Lost,
            State::Ended => Progress::Closed,
        };
        staged.progress.insert(key, progress);
        let position = staged.last_position();
        staged.added.push(load::entry(position, shell, &packed));
        Appended::Committed(event.id)
    }

    fn stage_lost(&mut self, key: Key, staged: &mut Staged) -> Appended {
        staged.records.offsets.push(self.batch.push(&Record::Lost(key.0, key.1)));
        let outcome = BriefOutcome { state: State::Lost, duration: None, exit: None, position: None };
        staged.note_outcome(key, outcome)
    }

    /// Appends records as they are and returns their positions; they must change nothing that is known
    /// but where values and lines lie. Entries go before them, in the same batch.
    pub(super) fn append_records(
        &mut self,
        records: &[Record<'_>],
        mut also: Vec<Entry>,
        now: Timestamp,
    ) -> Result<Vec<Position>, AppendError> {
        let mut live = self.live_for(records.len() + also.len() * 2, now)?;
        let mut staged = Staged::for_entries(also.len(), &live);
        self.batch.begin(live.number, live.index_end());
        for entry in &mut also {
            self.stage(entry, &mut live, &mut staged, now);
        }
        let mut positions = Vec::with_capacity(records.len());
        for record in records {
            staged.records.offsets.push(self.batch.push(record));
            let at = staged.last_position();
            positions.push(at);
            match record {
                Record::Put(put) => staged.puts.push(Put::of(put)),
                Record::Line(series, index, _) => staged.lines.push((*series, *index, at)),
                Record::Void
                | Record::Shell(..)
                | Record::Event(_)
                | Record::Ended(..)
                | Record::Lost(..)
                | Record::Deleted(..)
                | Record::Understood(_) => {}
            }
        }
        let committed = self.commit(&mut live, false).map(|()| self.settle(&live, staged));
        if committed.is_err() {
            live.forget_staged();
        }
        self.live = Some(live);
        committed.map(|()| positions)
    }

    /// Writes the batch and syncs it; `is_closing` says that nothing will follow.
    pub(super) fn commit(&mut self, live: &mut Live, is_closing: bool) -> Result<(), AppendError> {
        let end = live.index_end();
        live.is_closed = is_closing;
        if let Err(error) = live.file.write_all(self.batch.finish(is_closing)) {
            // What was written of it goes again, or nothing may follow it.
            return Err(match live.file.truncate(u64::from(end)) {
                Ok(()) => self.refuse("write to the log", &error),
                Err(_) => self.poison("write to the log", &error),
            });
        }
        live.file.sync_data().map_err(|error| self.poison("sync the log", &error))
    }

    /// Lets everything that is on disk now count.
    fn settle(&mut self, live: &Live, staged: Staged) {
        let mut index = write(&live.index);
        index.offsets.extend_from_slice(&staged.records.offsets);
        index.end = self.batch.next_offset();
        for (number, shell) in staged.records.shells {
            index.name(number, shell);
        }
        staged.events.iter().for_each(|(started_at, id)| index.span.add(*started_at, *id));
        drop(index);
        if !staged.puts.is_empty() || !staged.lines.is_empty() {
            let mut notes = write(&self.shared.notes);
            staged.puts.into_iter().for_each(|put| notes.put(put));
            staged.lines.into_iter().for_each(|(series, index, at)| notes.set_place(series, index, at));
        }
        staged.progress.into_iter().for_each(|(key, progress)| self.known.note(key, progress));
        if !staged.added.is_empty() {
            self.changes.push(Change::Added(staged.added));
        }
        self.changes.extend(staged.outcomes);
    }

    /// Turns a failed write into an answer: full can be tried again, anything else poisons.
    pub(super) fn refuse(&mut self, deed: &str, error: &io::Error) -> AppendError {
        if !is_full(error) {
            return self.poison(deed, error);
        }
        let free_bytes = self.shared.disk.free_bytes(&self.shared.directory).unwrap_or(0);
        AppendError::Full { free_bytes, reserve_bytes: self.options.reserve_bytes }
    }

    /// Stops all writing: what is on disk is not known any more.
    pub(super) fn poison(&mut self, deed: &str, error: &io::Error) -> AppendError {
        let reason = format!("could not {deed}: {error}");
        self.standing = Standing::Poisoned(reason.clone());
        AppendError::Poisoned { reason }
    }
}

impl Staged {
    fn for_entries(count: usize, live: &Live) -> Self {
        let progress = HashMap::with_capacity_and_hasher(count, KeyHash::default());
        let records = StagedRecords { offsets: Vec::with_capacity(2 * count), ..StagedRecords::default() };
        let (events, added) = (Vec::with_capacity(count), Batch::with_capacity(count));
        let first = (live.slot, live.records());
        Self { records, first, progress, events, added, ..Self::default() }
    }

    /// Returns the position that the record pushed last will have.
    fn last_position(&self) -> Position {
        let (slot, first) = self.first;
        position(slot, (first + self.records.offsets.len() - 1) as u16)
    }

    fn note_outcome(&mut self, key: Key, outcome: BriefOutcome) -> Appended {
        let progress = if outcome.state == State::Lost { Progress::Lost } else { Progress::Closed };
        self.progress.insert(key, progress);
        let position = Some(self.last_position());
        self.outcomes.push(Change::Outcome { key, outcome: BriefOutcome { position, ..outcome } });
        Appended::Committed(EventId::default())
    }
}

/// Returns how many of the entries go into one write.
fn piece_length(entries: &[Entry]) -> usize {
    let mut bytes = 0;
    let mut is_within = |entry: &Entry| {
        bytes += weight(entry);
        bytes < PIECE_BYTES_MAX
    };
    // One at least, however long.
    1 + entries[1..].iter().take(PIECE_ENTRIES_MAX - 1).take_while(|entry| is_within(entry)).count()
}

/// Returns the bytes of an entry, roughly.
fn weight(entry: &Entry) -> usize {
    match entry {
        Entry::Observed(event) => 256 + event.command.as_bytes().len() + event.cwd.len(),
        Entry::Lost { .. } => 64,
        Entry::Put { key, value, .. } => 64 + key.len() + value.len(),
        Entry::Remove { key, .. } => 64 + key.len(),
        Entry::Line { line, .. } => 64 + line.len(),
    }
}
