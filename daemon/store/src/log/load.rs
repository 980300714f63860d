//! Reading all of the log for the search, from the newest events to the oldest.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use karo_core::search::{Batch, BriefOutcome, Change, Entry, Position};
use karo_protocol::{Shell, ShellId, State, Timestamp};

use super::raw;
use super::table::{Deleted, Form, Segment, Shared, is_deleted, position, read};
use crate::payload::{self, Base};
use crate::records::{PackedEnding, Record};

/// Records in one batch for the search: a batch looks its shells up one by one, so few are better.
const BATCH_RECORDS: usize = 4096;

/// An iterator over the changes that make up everything, segment by segment.
///
/// With each comes the moment from which on everything is searchable once it is applied. Outcomes may
/// come before their events. Damaged places are skipped and noted.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    deleted: Arc<Deleted>,
    /// What is left, the greatest start time first; of a raw segment so many records.
    rest: VecDeque<(Option<Timestamp>, Arc<Segment>, usize)>,
    /// One allocation for each shell, however many segments name it.
    shells: BTreeMap<ShellId, Arc<Shell>>,
    /// As long as it lives, nothing is deleted: what is read but not applied yet would come back.
    _token: Arc<()>,
}

impl Load {
    /// Begins with the segments for which `records` says how many of their records are meant.
    pub(super) fn new(shared: Arc<Shared>, records: impl Fn(u16) -> Option<usize>) -> Self {
        let token = shared.loading();
        let meant = |segment: &Arc<Segment>| {
            let records = records(segment.slot)?.min(segment.records());
            Some((segment.newest(), Arc::clone(segment), records))
        };
        let mut rest: Vec<_> = shared.table().0.values().filter_map(meant).collect();
        rest.sort_by_key(|(newest, segment, _)| std::cmp::Reverse((*newest, segment.number)));
        let deleted = shared.deleted();
        Self { deleted, rest: rest.into(), shells: BTreeMap::new(), shared, _token: token }
    }

    /// Returns the moment from which on everything is searchable when the rest is not.
    fn searchable_since(&self) -> Timestamp {
        let newest = self.rest.front().and_then(|(newest, ..)| *newest);
        newest.map_or(Timestamp::MIN, |newest| newest.after(karo_protocol::Micros(1)))
    }

    fn read_raw(&mut self, segment: &Segment, records: usize) -> Vec<Change> {
        let Form::Raw(index) = &segment.form;
        let index = read(index);
        let path = self.shared.path(&segment.name());
        let bytes = match self.shared.disk.read(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.shared.note_damage(&segment.name(), 0, &format!("could not be read: {error}"));
                return Vec::new();
            }
        };
        let mut changes = Changes::new(segment.slot, Arc::clone(&self.deleted));
        let shells: Vec<Option<Arc<Shell>>> =
            index.shells.iter().map(|shell| shell.as_ref().map(|shell| self.intern(shell))).collect();
        for (ordinal, offset) in index.offsets.iter().take(records).enumerate() {
            let record = raw::read_record(&bytes, segment.number, *offset, *offset as usize)
                .and_then(|(kind, payload)| payload::read(kind, payload, &mut Base::default()).ok());
            match record {
                Some(record) => changes.push(ordinal as u16, &record, &shells),
                None => self.shared.note_damage(&segment.name(), u64::from(*offset), "its checksum is wrong"),
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
        let (_, segment, records) = self.rest.pop_front()?;
        let changes = self.read_raw(&segment, records);
        Some((changes, self.searchable_since()))
    }
}

/// The changes that the records of a segment are.
struct Changes {
    slot: u16,
    deleted: Arc<Deleted>,
    batch: Batch,
    changes: Vec<Change>,
}

impl Changes {
    fn new(slot: u16, deleted: Arc<Deleted>) -> Self {
        Self { slot, deleted, batch: Batch::default(), changes: Vec::new() }
    }

    fn push(&mut self, ordinal: u16, record: &Record<'_>, shells: &[Option<Arc<Shell>>]) {
        let position = position(self.slot, ordinal);
        match record {
            Record::Event(event) => {
                let Some(shell) = shells.get(event.shell as usize).and_then(Option::as_ref) else {
                    return;
                };
                if is_deleted(&self.deleted, (shell.id, event.sequence)) {
                    return;
                }
                self.batch.push(Entry {
                    position,
                    shell,
                    sequence: event.sequence,
                    command: event.command,
                    cwd: event.cwd,
                    started_at: event.started_at,
                    category: event.category,
                    tools: event.tools,
                    outcome: brief(event.state, &event.ending, None),
                });
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
            Record::Void | Record::Shell(..) | Record::Deleted(..) => {}
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

fn brief(state: State, ending: &PackedEnding<'_>, position: Option<Position>) -> BriefOutcome {
    BriefOutcome { state, duration: ending.duration, exit: ending.exit, position }
}
