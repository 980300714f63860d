//! Reading all of the log for the search, from the newest events to the oldest.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use karo_core::search::{Batch, BriefOutcome, Change, Entry, Position};
use karo_protocol::{Shell, ShellId, State, Timestamp};

use super::footer::{BlockPlace, read_shells};
use super::known::KeyHash;
use super::raw;
use super::sealed::{BlockKind, read_block, survey};
use super::table::{Deleted, Form, RawIndex, SealedIndex, Segment, Shared, is_deleted, position, read};
use crate::payload::{self, Base};
use crate::records::{PackedEnding, PackedEvent, Record};

/// Records in one batch for the search: a batch looks its shells up one by one, so few are better.
const BATCH_RECORDS: usize = 4096;

/// An iterator over the changes that make up everything, segment by segment.
///
/// With each comes the moment from which on everything is searchable once it is applied. Outcomes may
/// come before their events. Damaged places are skipped and noted.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    /// Slots that are left, the greatest start time first, and how many of their records are meant.
    rest: VecDeque<(Option<Timestamp>, u16, usize)>,
    /// One allocation for each shell, however many segments name it.
    shells: HashMap<ShellId, Arc<Shell>, KeyHash>,
    /// As long as it lives, nothing is deleted: what is read but not applied yet would come back.
    _token: Arc<()>,
}

impl Load {
    /// Begins with the segments for which `records` says how many of their records are meant.
    pub(super) fn new(shared: Arc<Shared>, records: impl Fn(u16) -> Option<usize>) -> Self {
        let token = shared.loading();
        let meant = |segment: &Arc<Segment>| {
            let records = records(segment.slot)?.min(segment.ordinals_end());
            Some((segment.newest(), segment.number, segment.slot, records))
        };
        let mut rest: Vec<_> = shared.table().0.values().filter_map(meant).collect();
        rest.sort_by_key(|(newest, number, ..)| std::cmp::Reverse((*newest, *number)));
        let rest = rest.into_iter().map(|(newest, _, slot, records)| (newest, slot, records)).collect();
        Self { rest, shells: HashMap::default(), shared, _token: token }
    }

    /// Returns how many records were not read yet: how far this is.
    pub fn records_left(&self) -> u64 {
        self.rest.iter().map(|(.., records)| *records as u64).sum()
    }

    /// Returns the moment from which on everything is searchable when the rest is not.
    fn searchable_since(&self) -> Timestamp {
        let newest = self.rest.front().and_then(|(newest, ..)| *newest);
        newest.map_or(Timestamp::MIN, |newest| newest.after(karo_protocol::Micros(1)))
    }

    /// Reads a segment's records up to an ordinal.
    fn read(&mut self, slot: u16, records: usize) -> Vec<Change> {
        let shared = Arc::clone(&self.shared);
        let _reading = shared.reading();
        let Some(segment) = shared.table().0.get(&slot).map(Arc::clone) else {
            return Vec::new();
        };
        let path = shared.path(&segment.name());
        let bytes = match shared.disk.read(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                shared.note_damage(&segment.name(), 0, &format!("could not be read: {error}"));
                return Vec::new();
            }
        };
        let changes = Changes::new(&segment, records, &shared);
        match &segment.form {
            Form::Raw(index) => self.read_raw(&bytes, &read(index), changes),
            Form::Sealed(index) => self.read_sealed(&bytes, index, changes),
        }
    }

    fn read_raw(&mut self, bytes: &[u8], index: &RawIndex, mut changes: Changes<'_>) -> Vec<Change> {
        let shells: Vec<Option<Arc<Shell>>> =
            index.shells.iter().map(|shell| shell.as_ref().map(|shell| self.intern(shell))).collect();
        for (ordinal, offset) in index.offsets.iter().take(changes.records).enumerate() {
            let record = raw::read_record(bytes, changes.segment.number, *offset, *offset as usize)
                .and_then(|(kind, payload)| payload::read(kind, payload, &mut Base::default()).ok());
            match record {
                Some(record) => changes.push(ordinal as u16, &record, &shells),
                None => changes.note_damage(*offset, "its checksum is wrong"),
            }
        }
        changes.finish()
    }

    fn read_sealed(&mut self, bytes: &[u8], index: &SealedIndex, mut changes: Changes<'_>) -> Vec<Change> {
        let number = changes.segment.number;
        let block_at = |place: &BlockPlace, kind: BlockKind| {
            let range = place.offset as usize..place.offset as usize + place.bytes as usize;
            let block = bytes.get(range).and_then(|bytes| read_block(bytes, number, place.offset));
            block.filter(|block| block.kind == kind as u8)
        };
        let shells =
            block_at(&index.shells, BlockKind::Shells).and_then(|block| read_shells(&block.bytes).ok());
        // The footer has them once more.
        let shells = shells.unwrap_or_else(|| {
            changes.note_damage(index.shells.offset, "the hash of this block is wrong");
            survey(bytes, number).shells()
        });
        let shells: Vec<Option<Arc<Shell>>> = shells.iter().map(|shell| Some(self.intern(shell))).collect();
        for place in &index.blocks {
            let block = block_at(place, BlockKind::Records);
            let read = block.and_then(|block| {
                block.for_each(|ordinal, record| {
                    changes.push(ordinal, &record, &shells);
                    true
                })
            });
            if read.is_none() {
                changes.note_damage(place.offset, "the hash of this block is wrong");
            }
        }
        changes.finish()
    }

    /// Returns the shell in the allocation that earlier segments have of it.
    fn intern(&mut self, shell: &Arc<Shell>) -> Arc<Shell> {
        let known = self.shells.entry(shell.id).or_insert_with(|| Arc::clone(shell));
        if **known != **shell {
            *known = Arc::clone(shell);
        }
        Arc::clone(known)
    }
}

impl Iterator for Load {
    type Item = (Vec<Change>, Timestamp);

    fn next(&mut self) -> Option<Self::Item> {
        let (_, slot, records) = self.rest.pop_front()?;
        let changes = self.read(slot, records);
        Some((changes, self.searchable_since()))
    }
}

/// The changes that the records of a segment are.
struct Changes<'a> {
    shared: &'a Shared,
    segment: &'a Segment,
    /// Ordinals from here on are not meant.
    records: usize,
    deleted: Arc<Deleted>,
    batch: Batch,
    changes: Vec<Change>,
}

impl<'a> Changes<'a> {
    fn new(segment: &'a Segment, records: usize, shared: &'a Shared) -> Self {
        let deleted = shared.deleted();
        Self { shared, segment, records, deleted, batch: Batch::default(), changes: Vec::new() }
    }

    fn note_damage(&self, offset: u32, reason: &str) {
        self.shared.note_damage(&self.segment.name(), u64::from(offset), reason);
    }

    fn push(&mut self, ordinal: u16, record: &Record<'_>, shells: &[Option<Arc<Shell>>]) {
        if usize::from(ordinal) >= self.records {
            return;
        }
        let position = position(self.segment.slot, ordinal);
        match record {
            Record::Event(event) => {
                let Some(shell) = shells.get(event.shell as usize).and_then(Option::as_ref) else {
                    return;
                };
                if is_deleted(&self.deleted, (shell.id, event.sequence)) {
                    return;
                }
                self.batch.push(entry(position, shell, event));
                if self.batch.len() >= BATCH_RECORDS {
                    self.changes.push(Change::Added(std::mem::take(&mut self.batch)));
                }
            }
            Record::Ended(shell, sequence, ending) => {
                self.push_outcome((*shell, *sequence), brief(State::Ended, ending, Some(position)));
            }
            Record::Lost(shell, sequence) => {
                let ending = PackedEnding::default();
                self.push_outcome((*shell, *sequence), brief(State::Lost, &ending, Some(position)));
            }
            Record::Void
            | Record::Shell(..)
            | Record::Deleted(..)
            | Record::Understood(_)
            | Record::Put(_)
            | Record::Line(..) => {}
        }
    }

    fn push_outcome(&mut self, key: (ShellId, u64), outcome: BriefOutcome) {
        if !is_deleted(&self.deleted, key) {
            self.changes.push(Change::Outcome { key, outcome });
        }
    }

    fn finish(mut self) -> Vec<Change> {
        if !self.batch.is_empty() {
            self.changes.push(Change::Added(self.batch));
        }
        self.changes
    }
}

/// Returns what the search keeps of an event that lies there.
pub(super) fn entry<'a>(position: Position, shell: &'a Arc<Shell>, event: &PackedEvent<'a>) -> Entry<'a> {
    Entry {
        position,
        shell,
        sequence: event.sequence,
        command: event.command,
        cwd: event.cwd,
        started_at: event.started_at,
        category: event.category,
        tools: event.tools,
        risk: event.risk,
        axis: event.axis,
        rules: event.rules,
        outcome: brief(event.state, &event.ending, None),
    }
}

fn brief(state: State, ending: &PackedEnding<'_>, position: Option<Position>) -> BriefOutcome {
    BriefOutcome { state, duration: ending.duration, exit: ending.exit, position }
}
