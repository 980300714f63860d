//! Deleting and retention: what goes is first written down as gone for good, then it is erased.
//!
//! After a crash between the two, what was written down counts: it is not loaded, and the next upkeep
//! erases it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use karo_core::search::{Change, Key, Position};
use karo_protocol::Timestamp;

use super::known::{Contents, Intervals, Progress, Put};
use super::notes::{Dropped, PutFate};
use super::raw;
use super::reader::read_footer;
use super::revise::Revisions;
use super::rewrite::{Unreadable, subject};
use super::salvage::discard_leftovers;
use super::sealed::{Survey, survey};
use super::table::{Deleted, Form, RawIndex, Segment, is_deleted, position, read, write};
use super::{AppendError, Entry, Standing, Store};
use crate::disk::in_doubt;
use crate::payload::{self, Base};
use crate::records::Record;
use crate::retention::{RetentionRule, SegmentSummary};

/// Records in one write.
const PIECE_RECORDS: usize = 8192;

impl Store {
    /// Returns how many of these events are there to be deleted.
    pub fn deletable(&self, keys: &[(Key, Position)]) -> u64 {
        let deleted = self.shared.deleted();
        let there: BTreeSet<Key> = keys.iter().map(|(key, _)| *key).collect();
        there.iter().filter(|key| self.is_there(&deleted, **key)).count() as u64
    }

    fn is_there(&self, deleted: &Deleted, key: Key) -> bool {
        self.known.progress(key) != Progress::Unknown && !is_deleted(deleted, key)
    }

    /// Deletes events for good and returns how many there were; `also` is kept in the batch that says so,
    /// or is not when there is nothing to delete.
    ///
    /// When this returns, the rewritten segments are synced and the old ones unlinked; what is kept is
    /// that these sequences of these shells never come back. Bytes that were damaged or torn go first,
    /// set aside or not, because nobody can tell what they hold. Not promised: what a file system does
    /// with blocks that it has freed.
    ///
    /// # Errors
    ///
    /// [`AppendError::Loading`] while the search is being loaded; else as [`append`](Self::append),
    /// and then the events are gone from the search, and [`upkeep`](Self::upkeep) erases the rest.
    pub fn delete(
        &mut self,
        keys: &[(Key, Position)],
        also: Vec<Entry>,
        now: Timestamp,
    ) -> Result<u64, AppendError> {
        if self.shared.is_loading() {
            return Err(AppendError::Loading);
        }
        self.check_fit(&also)?;
        self.ready_to_rewrite(now)?;
        let deleted = self.shared.deleted();
        let mut doomed: BTreeMap<_, Intervals> = BTreeMap::new();
        let mut positions = Vec::new();
        for (key, position) in keys.iter().filter(|(key, _)| self.is_there(&deleted, *key)) {
            doomed.entry(key.0).or_default().insert(key.1);
            positions.push(*position);
        }
        if doomed.is_empty() {
            return Ok(0);
        }
        self.discard_unreadable(now)?;
        self.condemn(&doomed, also, now)?;
        positions.sort_unstable();
        self.changes.push(Change::Removed(positions));
        self.erase(now)?;
        Ok(doomed.values().map(Intervals::count).sum())
    }

    /// As `ready`, but for deeds that make room.
    pub(super) fn ready_to_rewrite(&mut self, now: Timestamp) -> Result<(), AppendError> {
        match &self.standing {
            Standing::Poisoned(reason) => Err(AppendError::Poisoned { reason: reason.clone() }),
            Standing::Unrenewed => self.renew(now),
            Standing::Sound => Ok(()),
        }
    }

    /// Writes down that sequences never come back, and something else in the first batch that says so.
    fn condemn(&mut self, doomed: &Deleted, mut also: Vec<Entry>, now: Timestamp) -> Result<(), AppendError> {
        let ranges = doomed.iter().flat_map(|(shell, set)| set.iter().map(|range| (*shell, range)));
        let records: Vec<Record<'_>> =
            ranges.map(|(shell, (first, last))| Record::Deleted(shell, first, last)).collect();
        for piece in records.chunks(PIECE_RECORDS) {
            self.append_records(piece, std::mem::take(&mut also), now)?;
            self.erasures += piece.len() as u64;
        }
        let mut deleted = Deleted::clone(&self.shared.deleted());
        for (shell, set) in doomed {
            deleted.entry(*shell).or_default().extend(set);
            set.iter().for_each(|(first, last)| self.known.close_range(*shell, first, last));
        }
        self.shared.publish_deleted(deleted);
        self.is_unerased = true;
        Ok(())
    }

    /// Erases from every segment what was written down as deleted.
    pub(super) fn erase(&mut self, now: Timestamp) -> Result<(), AppendError> {
        if !self.is_unerased {
            return Ok(());
        }
        let deleted = self.shared.deleted();
        for segment in self.shared.table().0.values() {
            let is_doomed = match &segment.form {
                Form::Raw(index) => self.any_record(segment, &read(index), |record, index| {
                    subject(record, index).is_some_and(|key| is_deleted(&deleted, key))
                }),
                Form::Sealed(_) => self.is_doomed(segment, &deleted),
            };
            let erased = is_doomed.and_then(|is_doomed| match is_doomed {
                true => self.rewrite(segment, &Revisions::new(), Unreadable::Dropped, now),
                false => Ok(()),
            });
            erased.map_err(|error| self.refuse("rewrite a segment", &error))?;
        }
        self.is_unerased = false;
        Ok(())
    }

    fn any_record(
        &self,
        segment: &Segment,
        index: &RawIndex,
        is_meant: impl Fn(&Record<'_>, &RawIndex) -> bool,
    ) -> io::Result<bool> {
        let bytes = self.shared.disk.read(&self.shared.path(&segment.name()))?;
        Ok(index.offsets.iter().any(|offset| {
            raw::read_record(&bytes, segment.number, *offset, *offset as usize)
                .and_then(|(kind, payload)| payload::read(kind, payload, &mut Base::default()).ok())
                .is_some_and(|record| is_meant(&record, index))
        }))
    }

    /// Tells whether a sealed segment holds anything of what was deleted.
    fn is_doomed(&self, segment: &Segment, deleted: &Deleted) -> io::Result<bool> {
        let name = segment.name();
        if let Ok(footer) = read_footer(&self.shared, &name, segment.number, false) {
            return Ok(meets(&footer.contents, deleted));
        }
        let bytes = self.shared.disk.read(&self.shared.path(&name))?;
        let survey = survey(&bytes, segment.number);
        let footer = survey.footer.clone().unwrap_or_else(|| survey.rebuilt_footer());
        Ok(meets(&footer.contents, deleted))
    }

    /// Lets go all bytes that nobody can read: they may hold what must be gone, and nobody can tell.
    pub(super) fn discard_unreadable(&mut self, now: Timestamp) -> Result<(), AppendError> {
        let discarded = discard_leftovers(&self.shared);
        discarded.map_err(|error| self.refuse("remove bytes that were set aside", &error))?;
        for segment in self.shared.table().0.values() {
            if self.shared.is_unsound(&segment.name()) {
                self.clean(segment, now)?;
            }
        }
        Ok(())
    }

    /// Writes a segment anew without the bytes that cannot be read; one that cannot be read at all stays.
    pub(super) fn clean(&mut self, segment: &Segment, now: Timestamp) -> Result<(), AppendError> {
        if let Err(error) = self.shared.disk.read(&self.shared.path(&segment.name())) {
            tracing::error!(event = "log-damaged", segment = segment.name(), %error, "a segment cannot be read and stays as it is");
            return Ok(());
        }
        let written = self.rewrite(segment, &Revisions::new(), Unreadable::Dropped, now);
        written.map_err(|error| self.refuse("rewrite a segment", &error))
    }

    /// Lets go the segments that the rule names.
    pub(super) fn retain(&mut self, rule: RetentionRule, now: Timestamp) -> Result<u64, AppendError> {
        let table = self.shared.table();
        let summaries: Vec<SegmentSummary> = table.0.values().map(|segment| segment.summary()).collect();
        let expired: BTreeSet<u64> = rule.expired(&summaries, now).into_iter().collect();
        let mut events = 0;
        for segment in table.0.values().filter(|segment| expired.contains(&u64::from(segment.number))) {
            events += self.let_go(segment, now)?;
        }
        if !expired.is_empty() {
            self.erase(now)?;
        }
        Ok(events)
    }

    fn let_go(&mut self, segment: &Segment, now: Timestamp) -> Result<u64, AppendError> {
        let bytes = self.shared.disk.read(&self.shared.path(&segment.name()));
        let bytes = bytes.map_err(|error| self.refuse("read a segment", &error))?;
        let survey = survey(&bytes, segment.number);
        let footer = survey.footer.clone().unwrap_or_else(|| survey.rebuilt_footer());
        let held = footer.contents.marks.iter().filter(|(_, marks)| !marks.held.is_empty());
        let doomed: Deleted = held.map(|(shell, marks)| (*shell, marks.held.clone())).collect();
        let events = doomed.values().map(Intervals::count).sum();
        self.condemn(&doomed, Vec::new(), now)?;
        let dropped = self.take_over(segment, &survey, now)?;
        // Whatever lies there, or lay there before it was damaged.
        let positions = (0..=u16::MAX).map(|ordinal| position(segment.slot, ordinal)).collect();
        self.changes.push(Change::Removed(positions));
        self.drop_segments(&[segment]).map_err(|error| self.refuse("remove a segment", &error))?;
        write(&self.shared.notes).drop_records(dropped);
        Ok(events)
    }

    /// Appends again what a segment says of other things than its own events, before it goes; returns the
    /// values that go with it.
    fn take_over(
        &mut self,
        segment: &Segment,
        survey: &Survey,
        now: Timestamp,
    ) -> Result<Dropped, AppendError> {
        let deleted = self.shared.deleted();
        let (mut kept, mut dropped, mut stamps) = (Vec::new(), Dropped::new(), BTreeSet::new());
        let shared = Arc::clone(&self.shared);
        let notes = read(&shared.notes);
        for block in &survey.blocks {
            let read = block.for_each(|ordinal, record| {
                let is_kept = match &record {
                    Record::Deleted(..) => true,
                    Record::Ended(shell, sequence, _) | Record::Lost(shell, sequence) => {
                        !is_deleted(&deleted, (*shell, *sequence))
                    }
                    Record::Put(put) => {
                        *dropped.entry((put.shelf, Box::from(put.key))).or_default() += 1;
                        stamps.insert(put.stamp);
                        notes.fate(put, 0) == PutFate::Kept
                    }
                    Record::Line(series, index, _) => notes.is_wanted(*series, *index),
                    Record::Void | Record::Shell(..) | Record::Event(_) | Record::Understood(_) => false,
                };
                if is_kept {
                    kept.push((position(segment.slot, ordinal), record));
                }
                true
            });
            debug_assert!(read.is_some(), "a survey takes only blocks that can be read");
        }
        // Values whose records cannot be read are in the footer once more.
        let puts = survey.footer.as_ref().map_or(&[][..], |footer| &footer.contents.puts);
        let spare = puts.iter().filter(|put| !stamps.contains(&put.stamp)).map(Put::packed);
        let spare: Vec<Record<'_>> =
            spare.filter(|put| notes.fate(put, 0) == PutFate::Kept).map(Record::Put).collect();
        drop(notes);
        for piece in spare.chunks(PIECE_RECORDS) {
            self.append_records(piece, Vec::new(), now)?;
        }
        for piece in kept.chunks(PIECE_RECORDS) {
            let (from, records): (Vec<Position>, Vec<Record<'_>>) = piece.iter().cloned().unzip();
            let to = self.append_records(&records, Vec::new(), now)?;
            self.changes.push(Change::Moved(from.into_iter().zip(to).collect()));
        }
        Ok(dropped)
    }

    /// Takes segments out of the table, then their files away.
    pub(super) fn drop_segments(&self, segments: &[&Segment]) -> io::Result<()> {
        let exchanging = self.shared.exchanging();
        self.shared.publish(|table| segments.iter().for_each(|segment| drop(table.0.remove(&segment.slot))));
        let unlink = |segment: &&Segment| self.shared.disk.unlink(&self.shared.path(&segment.name()));
        segments.iter().try_for_each(unlink).map_err(in_doubt)?;
        drop(exchanging);
        self.shared.disk.sync_directory(&self.shared.directory).map_err(in_doubt)
    }
}

/// Tells whether a segment holds anything of what was deleted.
pub(super) fn meets(contents: &Contents, deleted: &Deleted) -> bool {
    contents.marks.iter().any(|(shell, marks)| deleted.get(shell).is_some_and(|gone| marks.meets(gone)))
}
