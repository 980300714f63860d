//! Sealing what is complete, and writing sealed segments anew.
//!
//! A sealed file is written under another name, synced, renamed, and the directory is synced; only then
//! does the raw one go. So at every moment one of the two is whole, and if both are there the raw one
//! is the truth. Records keep their ordinals: nothing moves.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::{Arc, RwLockReadGuard};

use karo_core::search::Key;
use karo_protocol::{Shell, ShellId, State, Timestamp};

use super::known::{Contents, KeyHash, Put};
use super::notes::{Dropped, Notes, PutFate};
use super::raw::{self, Fault};
use super::salvage::{Bad, UNFINISHED, set_aside};
use super::sealed::Sealer;
use super::table::{Deleted, Form, RawIndex, SealedIndex, Segment, is_deleted, read, sealed_name, write};
use super::{AppendError, Standing, Store};
use crate::disk::in_doubt;
use crate::payload::{self, Base};
use crate::records::{PackedEnding, PackedEvent, PackedPut, Record};
use crate::retention::RetentionRule;

/// Raw segments that may wait to be sealed before appending does it itself.
const WAITING_MAX: usize = 8;

impl Store {
    /// Does what can wait: seals complete segments, finishes deletions that were cut short, and lets go
    /// what the rule says. Afterwards [`take_changes`](Self::take_changes) may have something. Returns how many
    /// events the rule let go.
    ///
    /// Meant for quiet moments; each segment takes some tens of milliseconds.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    pub fn upkeep(&mut self, rule: RetentionRule, now: Timestamp) -> Result<u64, AppendError> {
        self.spent = Vec::new();
        if let Standing::Poisoned(reason) = &self.standing {
            return Err(AppendError::Poisoned { reason: reason.clone() });
        }
        if self.standing == Standing::Unrenewed {
            self.renew(now)?;
        }
        self.end_full_live();
        self.seal_waiting(0, now)?;
        if self.shared.is_loaded() {
            self.erase(now)?;
            return self.retain(rule, now);
        }
        Ok(0)
    }

    /// Lets the live segment wait to be sealed when it is full, although nothing more comes in.
    fn end_full_live(&mut self) {
        let segment_bytes = self.options.segment_bytes;
        drop(self.live.take_if(|live| !live.has_room_for(1, segment_bytes)));
    }

    /// Seals complete segments before too many wait.
    pub(super) fn seal_excess(&mut self, now: Timestamp) -> Result<(), AppendError> {
        self.seal_waiting(WAITING_MAX, now)
    }

    /// Seals complete segments until so many are left.
    pub(super) fn seal_waiting(&mut self, left: usize, now: Timestamp) -> Result<(), AppendError> {
        let live = self.live.as_ref().map(|live| live.slot);
        let table = self.shared.table();
        let mut waiting: Vec<&Arc<Segment>> = table
            .0
            .values()
            .filter(|segment| segment.raw().is_some() && Some(segment.slot) != live)
            .collect();
        waiting.sort_by_key(|segment| segment.number);
        let excess = waiting.len().saturating_sub(left);
        for segment in waiting.into_iter().take(excess) {
            self.seal(segment, now).map_err(|error| self.refuse("seal a segment", &error))?;
        }
        Ok(())
    }

    /// Seals one complete segment.
    fn seal(&self, segment: &Segment, now: Timestamp) -> io::Result<()> {
        let Some(index) = segment.raw() else {
            return Ok(());
        };
        let bytes = self.shared.disk.read(&self.shared.path(&segment.name()))?;
        let index = read(index);
        let records = self.sound_records(segment, &index, &bytes)?;
        let deleted = self.shared.deleted();
        let mut rewriting = Rewriting::new(&deleted, read(&self.shared.notes));
        for (ordinal, record) in records {
            let shell = index.shell_of(&record).cloned();
            rewriting.push(ordinal, record, shell.as_ref());
        }
        let (sealer, dropped) = rewriting.finish(segment.number);
        let (sealed, footer) = sealer.finish(now, Vec::new());
        let form = Form::Sealed(Arc::new(SealedIndex::new(&footer, sealed.len() as u64)));
        let sealed_segment = Segment { form, ..segment.clone() };
        self.install(&sealed_segment, &sealed, &footer.contents, &[segment.name()], &[])?;
        write(&self.shared.notes).drop_records(dropped);
        Ok(())
    }

    /// Returns the records of a raw segment that are as they were written; the bytes of others are kept.
    pub(super) fn sound_records<'a>(
        &self,
        segment: &Segment,
        index: &RawIndex,
        bytes: &'a [u8],
    ) -> io::Result<Vec<(u16, Record<'a>)>> {
        let mut records = Vec::with_capacity(index.offsets.len());
        for (ordinal, offset) in index.offsets.iter().enumerate() {
            let record = raw::read_record(bytes, segment.number, *offset, *offset as usize)
                .and_then(|(kind, payload)| payload::read(kind, payload, &mut Base::default()).ok());
            if let Some(record) = record {
                records.push((ordinal as u16, record));
                continue;
            }
            self.shared.note_damage(&segment.name(), u64::from(*offset), "its checksum is wrong");
            let end = index.offsets.get(ordinal + 1).copied().unwrap_or(index.end);
            let range = u64::from(*offset)..u64::from(end);
            set_aside(&self.shared, &Bad { segment: segment.name(), range, fault: Fault::Damage })?;
        }
        Ok(records)
    }

    /// Puts a sealed file in its place, then takes files away that it makes needless, and tells readers.
    pub(super) fn install(
        &self,
        segment: &Segment,
        bytes: &[u8],
        contents: &Contents,
        needless: &[String],
        gone: &[u16],
    ) -> io::Result<()> {
        let disk = &self.shared.disk;
        let name = sealed_name(segment.number);
        let (path, unfinished) = (self.shared.path(&name), self.shared.path(&format!("{name}{UNFINISHED}")));
        match disk.unlink(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = disk.create_new(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        {
            let _exchanging = self.shared.exchanging();
            disk.rename(&unfinished, &path).map_err(in_doubt)?;
            self.shared.publish(|table| {
                table.0.insert(segment.slot, Arc::new(segment.clone()));
                gone.iter().for_each(|slot| drop(table.0.remove(slot)));
            });
            write(&self.shared.notes).set_places(segment.slot, contents);
        }
        disk.sync_directory(&self.shared.directory).map_err(in_doubt)?;
        if needless.is_empty() {
            return Ok(());
        }
        let exchanging = self.shared.exchanging();
        needless.iter().try_for_each(|name| disk.unlink(&self.shared.path(name))).map_err(in_doubt)?;
        drop(exchanging);
        disk.sync_directory(&self.shared.directory).map_err(in_doubt)
    }
}

/// The records of a segment in the making: without what was deleted, outcomes folded into their events.
#[derive(Debug)]
pub(super) struct Rewriting<'a> {
    deleted: &'a Deleted,
    shells: Vec<Arc<Shell>>,
    numbers: HashMap<ShellId, Vec<u32>, KeyHash>,
    records: Vec<(u16, Record<'a>)>,
    events: HashMap<Key, usize, KeyHash>,
    notes: RwLockReadGuard<'a, Notes>,
    /// Stamps of the values that were added.
    stamps: BTreeSet<u64>,
    /// Current values whose records cannot be read.
    spare: Vec<Put>,
    dropped: Dropped,
}

impl<'a> Rewriting<'a> {
    /// Begins one; `notes` says which values are current.
    pub(super) fn new(deleted: &'a Deleted, notes: RwLockReadGuard<'a, Notes>) -> Self {
        Self {
            deleted,
            shells: Vec::new(),
            numbers: HashMap::default(),
            records: Vec::new(),
            events: HashMap::default(),
            notes,
            stamps: BTreeSet::new(),
            spare: Vec::new(),
            dropped: Dropped::new(),
        }
    }

    /// Adds a record; `shell` is the one that an event names, in the numbering of its old segment.
    /// Tells whether it took up the ordinal.
    pub(super) fn push(&mut self, ordinal: u16, record: Record<'a>, shell: Option<&Arc<Shell>>) -> bool {
        let before = self.records.len();
        self.sort_in(ordinal, record, shell);
        self.records.len() > before
    }

    fn sort_in(&mut self, ordinal: u16, record: Record<'a>, shell: Option<&Arc<Shell>>) {
        match record {
            Record::Void | Record::Shell(..) | Record::Understood(_) => {}
            Record::Deleted(..) => self.records.push((ordinal, record)),
            Record::Event(event) => {
                // Without its shell nobody can say what it was.
                let Some(shell) = shell else { return };
                let key = (shell.id, event.sequence);
                if is_deleted(self.deleted, key) {
                    return;
                }
                let shell = self.number_of(shell);
                self.events.insert(key, self.records.len());
                self.records.push((ordinal, Record::Event(PackedEvent { shell, ..event })));
            }
            Record::Ended(shell, sequence, ending) => {
                self.push_outcome(ordinal, (shell, sequence), record, State::Ended, ending);
            }
            Record::Lost(shell, sequence) => {
                self.push_outcome(ordinal, (shell, sequence), record, State::Lost, PackedEnding::default());
            }
            Record::Put(put) => self.push_put(ordinal, put),
            Record::Line(series, index, _) => {
                if self.notes.is_wanted(series, index) {
                    self.records.push((ordinal, record));
                }
            }
        }
    }

    fn push_put(&mut self, ordinal: u16, put: PackedPut<'a>) {
        let name = (put.shelf, Box::from(put.key));
        let dropped = self.dropped.get(&name).copied().unwrap_or_default();
        match self.notes.fate(&put, dropped) {
            PutFate::Kept => {
                self.stamps.insert(put.stamp);
                self.records.push((ordinal, Record::Put(put)));
            }
            PutFate::Dropped => *self.dropped.entry(name).or_default() += 1,
        }
    }

    /// Keeps current values of a footer whose records were not among those that could be read.
    pub(super) fn remember(&mut self, puts: &[Put]) {
        for put in puts.iter().filter(|put| !self.stamps.contains(&put.stamp)) {
            let is_current = self.notes.fate(&put.packed(), 0) == PutFate::Kept;
            self.spare.extend(is_current.then(|| put.clone()));
        }
    }

    fn push_outcome(
        &mut self,
        ordinal: u16,
        key: Key,
        record: Record<'a>,
        state: State,
        ending: PackedEnding<'a>,
    ) {
        if is_deleted(self.deleted, key) {
            return;
        }
        let event = self.events.get(&key).and_then(|place| self.records.get_mut(*place));
        let Some((_, Record::Event(event))) = event else {
            self.records.push((ordinal, record));
            return;
        };
        if event.state == State::Running || state == State::Ended && event.state == State::Lost {
            (event.state, event.ending) = (state, ending);
        }
    }

    fn number_of(&mut self, shell: &Arc<Shell>) -> u32 {
        let numbers = self.numbers.entry(shell.id).or_default();
        let known = numbers.iter().copied().find(|number| *self.shells[*number as usize] == **shell);
        known.unwrap_or_else(|| {
            let number = self.shells.len() as u32;
            self.shells.push(Arc::clone(shell));
            numbers.push(number);
            number
        })
    }

    /// Puts everything into a sealed segment of that number, and returns which values were left out.
    pub(super) fn finish(self, number: u32) -> (Sealer, Dropped) {
        let mut sealer = Sealer::begin(number, self.shells);
        self.records.iter().for_each(|(ordinal, record)| sealer.push(*ordinal, record));
        self.spare.into_iter().for_each(|put| sealer.remember_put(put));
        (sealer, self.dropped)
    }
}
