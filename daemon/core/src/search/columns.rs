//! The columns: every event that can be found, and how changes come in.
//!
//! Rows lie in order of (start, position), in chunks. What comes at either end of the time that is
//! known costs nothing but itself; what falls into the middle moves a part of one chunk.

use std::ops::Range;
use std::sync::Arc;

use karo_protocol::query::Row;
use karo_protocol::{Bytes, Micros, Shell, State, Timestamp};

use super::assessment::Assessment;
use super::beside::{Moves, Places, Unsettled, Wide, settled};
use super::change::{Batch, BriefOutcome, Change, Entry, Key, Position};
use super::chunk::{
    CHUNK_ROWS, Chunk, HIGH_SEQUENCE, LONG_DURATION, NO_DURATION, NO_EXIT, NO_POSITION, RowKey, WIDE_EXIT,
    kind, state_of,
};
use super::column::{Growth, Slim};
use super::dictionary::Dictionary;
use super::shells::Shells;
use super::texts::Texts;

/// Everything that can be found, in memory.
///
/// One thread changes it; asking needs no more than a shared reference. No position may be
/// `u32::MAX`.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    /// Oldest first; none is empty.
    pub(super) chunks: Vec<Chunk>,
    pub(super) texts: Texts,
    pub(super) cwds: Dictionary,
    pub(super) tools: Dictionary,
    pub(super) assessments: Dictionary,
    /// The assessment that is looked for; kept for its memory.
    packed: Vec<u8>,
    pub(super) shells: Shells,
    pub(super) wide: Wide,
    unsettled: Unsettled,
    /// Counts how often the texts got new numbers.
    pub(super) generation: u64,
    partial_since: Option<Timestamp>,
}

/// How much there is, and what it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Number of events.
    pub events: u64,
    /// Number of distinct texts.
    pub texts: u64,
    /// Start of the first event.
    pub oldest: Option<Timestamp>,
    /// Start of the last.
    pub newest: Option<Timestamp>,
    /// Bytes of each column and of what lies beside them, room to grow included.
    pub bytes: Vec<(&'static str, u64)>,
}

impl Columns {
    /// Makes columns without events.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a change.
    ///
    /// Batches of thousands are fastest, but a single event is cheap as well. Removing reads one
    /// column of every row: many positions at once cost no more than one.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Added(batch) => self.add(&batch),
            Change::Outcome { key, outcome } => self.settle(key, outcome),
            Change::Removed(mut positions) => {
                positions.sort_unstable();
                self.remove(&positions);
            }
            Change::Revised(batch) => self.revise(&batch),
            Change::Moved(moves) => self.relocate(&moves),
        }
    }

    /// Returns the events that are running as far as is known, each with its shell, its number
    /// there, and its start.
    pub fn running(&self) -> impl Iterator<Item = (Arc<Shell>, u64, Timestamp)> + '_ {
        self.unsettled.open.iter().filter_map(|((_, sequence), (started_at, position))| {
            let (chunk, row) = self.find((started_at.as_micros(), *position))?;
            let is_running = state_of(chunk.kind[row]) == State::Running;
            is_running.then(|| (self.shells.shell(chunk.shell.at(row)), *sequence, *started_at))
        })
    }

    /// Notes up to where the log is loaded: `None` when all of it is, else events that started
    /// before that moment may be missing.
    ///
    /// With `None`, outcomes whose events never came are forgotten.
    pub fn set_partial_since(&mut self, since: Option<Timestamp>) {
        self.partial_since = since;
        if since.is_none() {
            self.unsettled.pending.clear();
        }
    }

    /// Returns the moment before which events may be missing, if the log is not loaded to its end.
    pub const fn partial_since(&self) -> Option<Timestamp> {
        self.partial_since
    }

    /// Returns how many events there are.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(Chunk::len).sum()
    }

    /// Tells whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Returns how much there is, and what it takes.
    pub fn stats(&self) -> Stats {
        let mut bytes: Vec<(&'static str, u64)> = Vec::new();
        for (place, size) in self.chunks.iter().flat_map(|chunk| chunk.sizes().into_iter().enumerate()) {
            match bytes.get_mut(place) {
                Some((_, total)) => *total += size.1 as u64,
                None => bytes.push((size.0, size.1 as u64)),
            }
        }
        let (texts, index) = self.texts.sizes();
        let beside = [
            ("texts", texts),
            ("index of texts", index),
            ("directories", self.cwds.size()),
            ("tool lists", self.tools.size()),
            ("assessments", self.assessments.size()),
            ("shells", self.shells.size()),
            ("beside", self.wide.size() + self.unsettled.size()),
        ];
        bytes.extend(beside.map(|(name, size)| (name, size as u64)));
        let at = |key: RowKey| Timestamp::from_micros(key.0);
        Stats {
            events: self.len() as u64,
            texts: self.texts.living() as u64,
            oldest: self.chunks.first().map(|chunk| at(chunk.first())),
            newest: self.chunks.last().map(|chunk| at(chunk.last())),
            bytes,
        }
    }

    /// Returns the place of the row that belongs exactly there.
    pub(super) fn find(&self, key: RowKey) -> Option<(&Chunk, usize)> {
        let (number, row) = self.place(key)?;
        Some((&self.chunks[number], row))
    }

    fn place(&self, key: RowKey) -> Option<(usize, usize)> {
        let number = self.chunks.partition_point(|chunk| chunk.first() <= key).checked_sub(1)?;
        let chunk = &self.chunks[number];
        let row = chunk.row_from(key);
        (row < chunk.len() && chunk.key(row) == key).then_some((number, row))
    }

    /// Returns the start and the position of an event that has no outcome.
    pub(super) fn open_at(&self, key: Key) -> Option<(Timestamp, Position)> {
        self.unsettled.open.get(&key).copied()
    }

    /// Returns what a table shows of a row.
    pub(super) fn row(&self, chunk: &Chunk, row: usize) -> Row {
        let assessment = self.assessment(chunk, row);
        Row {
            started_at: Timestamp::from_micros(chunk.started[row]),
            duration: self.duration(chunk, row),
            state: state_of(chunk.kind[row]),
            exit: self.exit(chunk, row),
            cwd: Bytes::from(self.cwds.string(chunk.cwd.at(row))),
            command: Bytes(self.texts.text(chunk.text[row])),
            risk: assessment.risk,
            axis: assessment.axis,
        }
    }

    /// Returns what rules say of a row.
    pub(super) fn assessment(&self, chunk: &Chunk, row: usize) -> Assessment<'_> {
        Assessment::unpack(self.assessments.string(chunk.assessment.at(row)))
    }

    pub(super) fn duration(&self, chunk: &Chunk, row: usize) -> Option<Micros> {
        match chunk.duration[row] {
            NO_DURATION => None,
            LONG_DURATION => self.wide.durations.get(&Position(chunk.position[row])).copied().map(Micros),
            micros => Some(Micros(u64::from(micros))),
        }
    }

    pub(super) fn exit(&self, chunk: &Chunk, row: usize) -> Option<i32> {
        match chunk.exit[row] {
            NO_EXIT => None,
            WIDE_EXIT => self.wide.exits.get(&Position(chunk.position[row])).copied(),
            status => Some(i32::from(status)),
        }
    }

    pub(super) fn sequence(&self, chunk: &Chunk, row: usize) -> u64 {
        let wide = || self.wide.sequences.get(&Position(chunk.position[row])).copied();
        match chunk.sequence.at(row) {
            HIGH_SEQUENCE => wide().unwrap_or(u64::from(HIGH_SEQUENCE)),
            sequence => u64::from(sequence),
        }
    }

    fn add(&mut self, batch: &Batch) {
        let mut rows = self.stage(batch);
        rows.sort();
        self.insert(&rows);
    }

    /// Makes rows of entries, in the order they came.
    fn stage(&mut self, batch: &Batch) -> Chunk {
        let shells: Vec<u32> = batch.shells().iter().map(|shell| self.shells.intern(shell)).collect();
        let mut rows = Chunk::with_room(batch.len());
        for (entry, shell) in batch.iter_with_shells() {
            // Neighbours were typed in the same place more often than not.
            let cwd = match rows.cwd.last() {
                Some(last) if self.cwds.string(last) == entry.cwd => last,
                Some(_) | None => self.cwds.intern(entry.cwd),
            };
            rows.cwd.push(cwd);
            rows.shell.push(shells[shell]);
            self.stage_entry(&mut rows, &entry);
        }
        rows
    }

    fn stage_entry(&mut self, rows: &mut Chunk, entry: &Entry<'_>) {
        let key = (entry.shell.id, entry.sequence);
        let outcome = match self.unsettled.pending.is_empty() {
            true => entry.outcome,
            false => self
                .unsettled
                .pending
                .remove(&key)
                .map_or(entry.outcome, |known| settled(entry.outcome, known)),
        };
        if outcome.state != State::Ended {
            self.unsettled.open.insert(key, (entry.started_at, entry.position));
        }
        let sequence = u32::try_from(entry.sequence).unwrap_or(HIGH_SEQUENCE);
        if sequence == HIGH_SEQUENCE {
            self.wide.sequences.insert(entry.position, entry.sequence);
        }
        rows.started.push(entry.started_at.as_micros());
        rows.position.push(entry.position.0);
        rows.sequence.push(sequence);
        rows.duration.push(self.wide.narrow_duration(entry.position, outcome.duration));
        rows.exit.push(self.wide.narrow_exit(entry.position, outcome.exit));
        self.describe(rows, entry, outcome.state);
        if !rows.outcome.is_empty() {
            rows.outcome.push(NO_POSITION);
        }
        rows.set_outcome_position(rows.len() - 1, outcome.position);
    }

    /// Adds to the columns of rows what may be made anew of an event: its text and its understanding.
    fn describe(&mut self, rows: &mut Chunk, entry: &Entry<'_>, state: State) {
        rows.text.push(self.texts.intern(entry.command));
        rows.tools.push(self.tools.intern(entry.tools));
        rows.kind.push(kind(entry.category, state));
        Assessment::of(entry).pack(&mut self.packed);
        rows.assessment.push(self.assessments.intern(&self.packed));
    }

    /// Adds rows in order wherever they belong.
    fn insert(&mut self, rows: &Chunk) {
        let mut from = 0;
        while from < rows.len() {
            let after = self.chunks.partition_point(|chunk| chunk.first() <= rows.key(from));
            let end = self.chunks.get(after).map_or(rows.len(), |next| rows.row_from(next.first()));
            match after.checked_sub(1) {
                Some(number) => self.insert_at(number, rows, from..end),
                None => self.insert_chunks(0, rows, from..end),
            }
            from = end;
        }
    }

    /// Adds rows that come after the first row of a chunk and before the next chunk.
    fn insert_at(&mut self, number: usize, rows: &Chunk, range: Range<usize>) {
        let growth = if number + 1 == self.chunks.len() { Growth::Roomy(CHUNK_ROWS) } else { Growth::Exact };
        let chunk = &mut self.chunks[number];
        if chunk.last() < rows.key(range.start) {
            let room = CHUNK_ROWS.saturating_sub(chunk.len()).min(range.len());
            chunk.append(rows, range.start..range.start + room, growth);
            return self.insert_chunks(number + 1, rows, range.start + room..range.end);
        }
        chunk.splice(rows, range, growth);
        self.split_large(number);
    }

    /// Splits a chunk with too many rows, from the back, into halves of what one may have or more.
    fn split_large(&mut self, number: usize) {
        while self.chunks[number].len() > CHUNK_ROWS {
            let excess = self.chunks[number].len() - CHUNK_ROWS;
            let tail_rows = excess.clamp(CHUNK_ROWS / 2, CHUNK_ROWS);
            let chunk = &mut self.chunks[number];
            let tail = chunk.split_off(chunk.len() - tail_rows);
            self.chunks.insert(number + 1, tail);
        }
    }

    /// Adds rows as chunks of their own, the first at that place.
    fn insert_chunks(&mut self, number: usize, rows: &Chunk, range: Range<usize>) {
        for (added, start) in range.clone().step_by(CHUNK_ROWS).enumerate() {
            let mut chunk = Chunk::default();
            chunk.append(rows, start..range.end.min(start + CHUNK_ROWS), Growth::Exact);
            self.chunks.insert(number + added, chunk);
        }
        if !range.is_empty() {
            self.join_from(number);
        }
    }

    /// Joins chunks from there on as long as each is about as large as the next: a log that is
    /// loaded from its newest end in small batches copies a row a few times, not each time.
    fn join_from(&mut self, number: usize) {
        while let [first, second, ..] = &mut self.chunks[number..] {
            let is_alike = second.len() <= 2 * first.len();
            if !is_alike || first.len() + second.len() > CHUNK_ROWS {
                return;
            }
            first.append(second, 0..second.len(), Growth::Exact);
            self.chunks.remove(number + 1);
        }
    }

    fn settle(&mut self, key: Key, outcome: BriefOutcome) {
        let Some((started_at, position)) = self.unsettled.open.get(&key).copied() else {
            let events = self.len();
            return self.unsettled.await_event(key, outcome, events);
        };
        let Some((number, row)) = self.place((started_at.as_micros(), position)) else { return };
        let chunk = &mut self.chunks[number];
        let known =
            BriefOutcome { state: state_of(chunk.kind[row]), duration: None, exit: None, position: None };
        if settled(known, outcome) == known {
            return;
        }
        chunk.set_state(row, outcome.state);
        self.wide.durations.remove(&position);
        self.wide.exits.remove(&position);
        chunk.duration[row] = self.wide.narrow_duration(position, outcome.duration);
        chunk.exit[row] = self.wide.narrow_exit(position, outcome.exit);
        chunk.set_outcome_position(row, outcome.position);
        if outcome.state == State::Ended {
            self.unsettled.open.remove(&key);
        }
    }

    fn remove(&mut self, positions: &[Position]) {
        let places = Places::new(positions);
        let taken = self.take(|position| places.contains(position));
        for chunk in &taken {
            for row in 0..chunk.len() {
                let shell = self.shells.id(chunk.shell.at(row));
                let position = Position(chunk.position[row]);
                let key = (shell, self.sequence(chunk, row));
                if self.unsettled.open.get(&key).is_some_and(|(_, open)| *open == position) {
                    self.unsettled.open.remove(&key);
                }
                self.wide.remove(position);
            }
        }
        self.forget(&taken);
    }

    /// Gives rows another text and understanding, and forgets what no row has any more.
    fn revise(&mut self, batch: &Batch) {
        let mut revised: Vec<Entry<'_>> = batch.iter().collect();
        revised.sort_unstable_by_key(|entry| entry.position);
        let positions: Vec<Position> = revised.iter().map(|entry| entry.position).collect();
        let places = Places::new(&positions);
        let taken = self.take(|position| places.contains(position));
        for chunk in &taken {
            let mut rows = Chunk { text: Vec::new(), kind: Vec::new(), ..chunk.clone() };
            (rows.tools, rows.assessment) = (Slim::default(), Slim::default());
            for row in 0..chunk.len() {
                let place = positions.partition_point(|position| position.0 < chunk.position[row]);
                self.describe(&mut rows, &revised[place], state_of(chunk.kind[row]));
            }
            self.insert(&rows);
        }
        self.forget(&taken);
    }

    /// Takes rows out by their position.
    fn take(&mut self, is_taken: impl Fn(Position) -> bool) -> Vec<Chunk> {
        let mut taken = Vec::new();
        for chunk in &mut self.chunks {
            let marks: Vec<bool> =
                chunk.position.iter().map(|position| is_taken(Position(*position))).collect();
            if marks.contains(&true) {
                taken.push(chunk.take(&marks));
                chunk.shrink();
            }
        }
        self.chunks.retain(|chunk| !chunk.is_empty());
        taken
    }

    fn relocate(&mut self, moves: &[(Position, Position)]) {
        let moves = Moves::of(moves);
        for chunk in &mut self.chunks {
            for position in chunk.position.iter_mut().chain(&mut chunk.outcome) {
                *position = moves.target(Position(*position)).map_or(*position, |target| target.0);
            }
        }
        self.wide.relocate(&moves);
        self.unsettled.relocate(&moves);
        self.restore_order();
    }

    /// Orders rows with the same start again, after their positions have changed.
    fn restore_order(&mut self) {
        for number in 0..self.chunks.len() {
            self.chunks[number].sort();
        }
        let is_in_order = |pair: &[Chunk]| pair[0].last() < pair[1].first();
        if self.chunks.windows(2).all(is_in_order) {
            return;
        }
        // Rows with one start lie in several chunks: rare enough to bring them all in again.
        for chunk in std::mem::take(&mut self.chunks) {
            self.insert(&chunk);
        }
    }
}

impl Wide {
    /// Returns what the column holds for a duration, and keeps it if that is not enough.
    fn narrow_duration(&mut self, position: Position, duration: Option<Micros>) -> u32 {
        match duration {
            None => NO_DURATION,
            Some(Micros(micros)) if micros < u64::from(LONG_DURATION) => micros as u32,
            Some(Micros(micros)) => {
                self.durations.insert(position, micros);
                LONG_DURATION
            }
        }
    }

    /// Returns what the column holds for an exit status, and keeps it if that is not enough.
    fn narrow_exit(&mut self, position: Position, exit: Option<i32>) -> u8 {
        let Some(status) = exit else { return NO_EXIT };
        match u8::try_from(status) {
            Ok(status) if status < WIDE_EXIT => status,
            Ok(_) | Err(_) => {
                self.exits.insert(position, status);
                WIDE_EXIT
            }
        }
    }
}
