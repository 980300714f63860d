//! Writing one segment anew where it stands, raw or sealed: without what was deleted, and with what was
//! revised. Records keep their ordinals, so nothing moves.

use std::io;
use std::sync::{Arc, RwLock};

use karo_core::search::{Batch, Change, Key};
use karo_protocol::{Shell, Timestamp};

use super::Store;
use super::footer::Footer;
use super::known::{Intervals, Marks};
use super::load::entry;
use super::raw::Fault;
use super::reader::read_footer;
use super::revise::Revisions;
use super::salvage::{Bad, Fate, rewrite_raw, set_aside};
use super::seal::Rewriting;
use super::sealed::{Sealer, survey};
use super::table::{Deleted, Form, RawIndex, SealedIndex, Segment, is_deleted, position, read, write};
use crate::records::{PackedEvent, Record};

/// What becomes of bytes that cannot be read when their segment is written anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// They are kept in a file of their own.
    SetAside,
    /// They go, because nobody can tell whether they hold what must be gone.
    Dropped,
}

/// Bytes of texts in one change for the search: it counts them in 32 bits.
const TOLD_BYTES_MAX: usize = 64 << 20;

/// What was revised, for the search: few changes, because each of them costs it a look at every row.
#[derive(Debug, Default)]
struct Told {
    batch: Batch,
    bytes: usize,
    changes: Vec<Change>,
}

impl Told {
    fn push(&mut self, segment: &Segment, ordinal: u16, event: &PackedEvent<'_>, shell: &Arc<Shell>) {
        self.batch.push(entry(position(segment.slot, ordinal), shell, event));
        self.bytes += event.command.len() + event.cwd.len() + event.tools.len() + event.rules.len();
        if self.bytes >= TOLD_BYTES_MAX {
            self.end_batch();
        }
    }

    fn end_batch(&mut self) {
        if !self.batch.is_empty() {
            self.changes.push(Change::Revised(std::mem::take(&mut self.batch)));
            self.bytes = 0;
        }
    }

    fn finish(mut self) -> Vec<Change> {
        self.end_batch();
        self.changes
    }
}

impl Store {
    /// Writes a segment anew; when this returns, the new file is synced and the old one is gone.
    pub(super) fn rewrite(
        &mut self,
        segment: &Segment,
        revisions: &Revisions,
        unreadable: Unreadable,
        now: Timestamp,
    ) -> io::Result<()> {
        let changes = match &segment.form {
            Form::Raw(index) => self.rewrite_one_raw(segment, index, revisions, unreadable, now)?,
            Form::Sealed(_) => self.rewrite_one_sealed(segment, revisions, unreadable, now)?,
        };
        self.shared.note_clean(&segment.name());
        self.changes.extend(changes);
        Ok(())
    }

    fn rewrite_one_raw(
        &mut self,
        segment: &Segment,
        index: &RwLock<RawIndex>,
        revisions: &Revisions,
        unreadable: Unreadable,
        now: Timestamp,
    ) -> io::Result<Vec<Change>> {
        if unreadable == Unreadable::SetAside {
            let bytes = self.shared.disk.read(&self.shared.path(&segment.name()))?;
            self.sound_records(segment, &read(index), &bytes)?;
        }
        let deleted = self.shared.deleted();
        let mut told = Told::default();
        let fate = |ordinal: u16, record: &Record<'_>, index: &RawIndex| {
            if subject(record, index).is_some_and(|key| is_deleted(&deleted, key)) {
                return Fate::Void;
            }
            match (record, revisions.get(&ordinal), index.shell_of(record)) {
                (Record::Event(event), Some(revised), Some(shell)) => {
                    told.push(segment, ordinal, &revised.applied(*event), shell);
                    Fate::Revised(revised)
                }
                _ => Fate::Kept,
            }
        };
        let file = rewrite_raw(&self.shared, segment, index, now.as_micros(), fate)?;
        if let Some(live) = self.live.as_mut().filter(|live| live.slot == segment.slot) {
            live.file = file;
            live.is_closed = false;
            live.forget_staged();
        }
        Ok(told.finish())
    }

    fn rewrite_one_sealed(
        &self,
        segment: &Segment,
        revisions: &Revisions,
        unreadable: Unreadable,
        now: Timestamp,
    ) -> io::Result<Vec<Change>> {
        let name = segment.name();
        let bytes = self.shared.disk.read(&self.shared.path(&name))?;
        let survey = survey(&bytes, segment.number);
        let footer = read_footer(&self.shared, &name, segment.number, false).ok();
        let footer = footer.unwrap_or_else(|| survey.rebuilt_footer());
        survey.note_bad(&self.shared, &name);
        for range in &survey.bad {
            let bad = Bad { segment: name.clone(), range: range.clone(), fault: Fault::Damage };
            match unreadable {
                Unreadable::SetAside => drop(set_aside(&self.shared, &bad)?),
                Unreadable::Dropped => bad.tell_dropped(),
            }
        }
        let (shells, deleted) = (survey.shells(), self.shared.deleted());
        let mut rewriting = Rewriting::new(&deleted, read(&self.shared.notes));
        let mut told = Told::default();
        for block in &survey.blocks {
            let read = block.for_each(|ordinal, record| {
                let shell = record.shell().and_then(|number| shells.get(number as usize));
                match (record, revisions.get(&ordinal), shell) {
                    (Record::Event(event), Some(revised), Some(shell)) => {
                        let revised = revised.applied(event);
                        if rewriting.push(ordinal, Record::Event(revised), Some(shell)) {
                            told.push(segment, ordinal, &revised, shell);
                        }
                    }
                    (record, ..) => drop(rewriting.push(ordinal, record, shell)),
                }
                true
            });
            debug_assert!(read.is_some(), "a survey takes only blocks that can be read");
        }
        rewriting.remember(&footer.contents.puts);
        let (mut sealer, dropped) = rewriting.finish(segment.number);
        if !survey.bad.is_empty() {
            remember(&mut sealer, &footer, &deleted);
        }
        let (sealed, footer) = sealer.finish(now, footer.replaces);
        let form = Form::Sealed(Arc::new(SealedIndex::new(&footer, sealed.len() as u64)));
        self.install(&Segment { form, ..segment.clone() }, &sealed, &footer.contents, &[], &[])?;
        write(&self.shared.notes).drop_records(dropped);
        Ok(told.finish())
    }
}

/// Returns the event that a record of a raw segment is about.
pub(super) fn subject(record: &Record<'_>, index: &RawIndex) -> Option<Key> {
    match record {
        Record::Event(event) => index.shell_of(record).map(|shell| (shell.id, event.sequence)),
        Record::Ended(shell, sequence, _) | Record::Lost(shell, sequence) => Some((*shell, *sequence)),
        Record::Void
        | Record::Shell(..)
        | Record::Deleted(..)
        | Record::Understood(_)
        | Record::Put(_)
        | Record::Line(..) => None,
    }
}

/// Keeps in mind the events of damaged blocks, which would count as new otherwise.
fn remember(sealer: &mut Sealer, footer: &Footer, deleted: &Deleted) {
    let none = Intervals::default();
    for (shell, marks) in &footer.contents.marks {
        let gone = deleted.get(shell).unwrap_or(&none);
        let left = |set: &Intervals| set.without(gone);
        let marks = Marks { held: left(&marks.held), settled: left(&marks.settled), lost: left(&marks.lost) };
        sealer.remember(*shell, &marks);
    }
}
