//! Understanding again: a pass over all events that writes segments anew where anything changes.
//!
//! A pass reads every segment, because nobody else can say which events new rules are about. Beside
//! that, writing a changed segment anew costs about as much as reading it did, so the understanding is
//! always part of the event: no record elsewhere overrules it, readers look nothing up, and nothing
//! has to be kept in memory, folded, or deleted in a second place. What is in memory is the revisions
//! of one segment, 64 Ki records at most.
//!
//! - A segment is written under another name, synced, renamed, and the directory is synced; so a crash
//!   leaves each segment as it was or as it is to be, and a second pass finds the first ones done.
//! - Before that, [`Record::Understood`] is appended and synced: views that had come so far know that
//!   they are behind, even if what the pass means for them is never written.
//! - A pass that redacts keeps the promise of [`Store::delete`]: when it is done, no file below the data
//!   directory holds what it cut out. So it first lets go all bytes that nobody can read.

use std::collections::BTreeSet;
use std::sync::Arc;

use karo_protocol::{Event, Timestamp};

use super::raw;
use super::reader::ReadSession;
use super::revise::{Revised, Revision, Revisions};
use super::rewrite::Unreadable;
use super::table::{Form, RawIndex, SealedIndex, Segment, is_deleted, read};
use super::{AppendError, Store};
use crate::payload::{self, Base};
use crate::records::{PackedEvent, Packing, Record};

/// How far a pass has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Records that were looked at, events or not.
    pub records: u64,
    /// Records that there are, as far as is known now.
    pub records_total: u64,
    /// Events that were looked at.
    pub events: u64,
    /// Of these, how many are written anew.
    pub changed: u64,
    /// Of those, how many have another text.
    pub redacted: u64,
    /// Segments that were written anew.
    pub segments: u64,
    /// Whether all was looked at.
    pub is_done: bool,
}

/// A pass over all events; kept by whoever calls [`Store::reclassify`] until it is done.
///
/// It may be dropped at any time. Another one looks at everything again, and writes only what still
/// changes.
#[derive(Debug, Default)]
pub struct Reclassification {
    is_redacting: bool,
    is_begun: bool,
    /// Numbers of the segments that are done.
    done: BTreeSet<u32>,
    /// The segment that is looked at.
    look: Option<Look>,
    progress: Progress,
}

impl Reclassification {
    /// Begins a pass; `is_redacting` when texts may change, and what is cut must be gone afterwards.
    pub fn new(is_redacting: bool) -> Self {
        Self { is_redacting, ..Self::default() }
    }

    /// Returns how far it has come.
    pub const fn progress(&self) -> Progress {
        self.progress
    }
}

/// How far one segment is looked at.
#[derive(Debug)]
struct Look {
    slot: u16,
    number: u32,
    /// Blocks of a sealed segment, or records of a raw one, that are looked at.
    next: usize,
    /// Whether that counts blocks.
    is_sealed: bool,
    revisions: Revisions,
    counts: Progress,
    /// Whether something in it cannot be read.
    is_unsound: bool,
}

impl Look {
    fn at(segment: &Segment) -> Self {
        Self {
            slot: segment.slot,
            number: segment.number,
            next: 0,
            is_sealed: segment.is_sealed(),
            revisions: Revisions::new(),
            counts: Progress::default(),
            is_unsound: false,
        }
    }
}

impl Store {
    /// Goes on with a pass: shows the next events to `revise`, about `events_max` of them, and writes the
    /// segment anew when all of it was seen. Until [`Progress::is_done`] it is to be called again;
    /// anything may be appended, deleted or compacted in between.
    ///
    /// `revise` returns what an event becomes, or `None` where it stays; a revision that changes nothing
    /// is none. The outcome that it sees may be older than what is known. What was changed comes by
    /// [`take_changes`](Self::take_changes). A step that writes takes some tens of milliseconds.
    ///
    /// # Errors
    ///
    /// As [`delete`](Self::delete); after [`AppendError::Full`] and [`AppendError::Loading`] the same
    /// pass may go on later.
    pub fn reclassify(
        &mut self,
        pass: &mut Reclassification,
        events_max: usize,
        revise: &mut dyn FnMut(&Event) -> Option<Revision>,
        now: Timestamp,
    ) -> Result<Progress, AppendError> {
        if self.shared.is_loading() {
            return Err(AppendError::Loading);
        }
        self.ready(now)?;
        if !pass.is_begun {
            self.begin(pass, now)?;
        }
        let table = self.shared.table();
        let known = pass
            .look
            .take()
            .filter(|look| table.0.get(&look.slot).is_some_and(|segment| segment.number == look.number));
        let left = || {
            let left = table.0.values().filter(|segment| !pass.done.contains(&segment.number));
            left.min_by_key(|segment| segment.number).map(|segment| Look::at(segment))
        };
        let Some(mut look) = known.or_else(left) else {
            pass.progress.is_done = true;
            return Ok(pass.progress);
        };
        if !self.look(&mut look, events_max, revise) {
            let part = look.counts;
            pass.look = Some(look);
            return Ok(pass.progress.with(&part));
        }
        if let Err(error) = self.write_revised(&look, pass.is_redacting, now) {
            pass.look = Some(look);
            return Err(error);
        }
        pass.progress = pass.progress.with(&look.counts);
        pass.done.insert(look.number);
        pass.progress.is_done = table.0.values().all(|segment| pass.done.contains(&segment.number));
        Ok(pass.progress)
    }

    fn begin(&mut self, pass: &mut Reclassification, now: Timestamp) -> Result<(), AppendError> {
        self.seal_waiting(0, now)?;
        if pass.is_redacting {
            self.discard_unreadable(now)?;
        }
        let table = self.shared.table();
        pass.progress.records_total = table.0.values().map(|segment| segment.record_count() as u64).sum();
        pass.is_begun = true;
        Ok(())
    }

    /// Looks at some more of a segment; returns whether that was the rest.
    fn look(
        &self,
        look: &mut Look,
        events_max: usize,
        revise: &mut dyn FnMut(&Event) -> Option<Revision>,
    ) -> bool {
        let mut session = ReadSession::new(&self.shared);
        let Some(segment) = session.segment(look.slot) else { return true };
        if look.is_sealed != segment.is_sealed() {
            // It was sealed since: its records are what they were, in blocks.
            *look = Look::at(&segment);
        }
        let mut looking =
            Looking { look, left: events_max, packing: Packing::default(), revise, store: self };
        match &segment.form {
            Form::Raw(index) => looking.raw(&session, &segment, &read(index)),
            Form::Sealed(index) => looking.sealed(&mut session, &segment, index),
        }
    }

    fn write_revised(&mut self, look: &Look, is_redacting: bool, now: Timestamp) -> Result<(), AppendError> {
        let unreadable = if is_redacting { Unreadable::Dropped } else { Unreadable::SetAside };
        if !look.revisions.is_empty() {
            self.append_records(&[Record::Understood(look.number)], Vec::new(), now)?;
        }
        // That may have sealed it.
        let Some(segment) = self.shared.table().0.get(&look.slot).map(Arc::clone) else { return Ok(()) };
        if look.revisions.is_empty() {
            let is_unclean = look.is_unsound && is_redacting;
            return if is_unclean { self.clean(&segment, now) } else { Ok(()) };
        }
        let written = self.rewrite(&segment, &look.revisions, unreadable, now);
        written.map_err(|error| self.refuse("rewrite a segment", &error))
    }
}

impl Progress {
    /// Adds what was done in one segment.
    fn with(self, part: &Self) -> Self {
        Self {
            records: self.records + part.records,
            records_total: self.records_total.max(self.records + part.records),
            events: self.events + part.events,
            changed: self.changed + part.changed,
            redacted: self.redacted + part.redacted,
            segments: self.segments + part.segments,
            is_done: self.is_done,
        }
    }
}

/// Looks at events of one segment.
struct Looking<'a> {
    look: &'a mut Look,
    /// Events that may still be looked at.
    left: usize,
    packing: Packing,
    revise: &'a mut dyn FnMut(&Event) -> Option<Revision>,
    store: &'a Store,
}

impl Looking<'_> {
    fn raw(&mut self, session: &ReadSession<'_>, segment: &Segment, index: &RawIndex) -> bool {
        let Some(start) = index.offsets.get(self.look.next).copied() else { return true };
        let Ok(bytes) = session.bytes(segment, start, (index.end - start) as usize) else {
            self.look.is_unsound = true;
            return true;
        };
        for (ordinal, offset) in index.offsets.iter().enumerate().skip(self.look.next) {
            if self.left == 0 {
                return false;
            }
            self.look.next = ordinal + 1;
            self.look.counts.records += 1;
            let record = raw::read_record(&bytes, segment.number, *offset, (*offset - start) as usize)
                .and_then(|(kind, payload)| payload::read(kind, payload, &mut Base::default()).ok());
            match record {
                Some(Record::Event(event)) => {
                    let shell = index.shells.get(event.shell as usize).and_then(Option::as_ref);
                    self.event(ordinal as u16, &event, shell.map(Arc::as_ref));
                }
                Some(_) => {}
                None => self.look.is_unsound = true,
            }
        }
        true
    }

    fn sealed(&mut self, session: &mut ReadSession<'_>, segment: &Segment, index: &SealedIndex) -> bool {
        let shells = session.shells(segment, index);
        let Ok(shells) = shells else {
            self.look.is_unsound = true;
            return true;
        };
        while let Some(place) = index.blocks.get(self.look.next) {
            if self.left == 0 {
                return false;
            }
            self.look.next += 1;
            self.look.counts.records += u64::from(place.count);
            let read = session.records(segment, place).and_then(|block| {
                block.for_each(|ordinal, record| {
                    if let Record::Event(event) = record {
                        let shell = shells.get(event.shell as usize).and_then(Option::as_ref);
                        self.event(ordinal, &event, shell.map(Arc::as_ref));
                    }
                    true
                })
            });
            self.look.is_unsound |= read.is_none();
        }
        true
    }

    fn event(&mut self, ordinal: u16, packed: &PackedEvent<'_>, shell: Option<&karo_protocol::Shell>) {
        let Some(shell) = shell else { return };
        let is_gone = is_deleted(&self.store.shared.deleted(), (shell.id, packed.sequence));
        let Ok(event) = packed.unpack(shell) else {
            self.look.is_unsound = true;
            return;
        };
        if is_gone {
            return;
        }
        self.left = self.left.saturating_sub(1);
        self.look.counts.events += 1;
        let Some(revision) = (self.revise)(&event) else { return };
        if let Some(revised) = Revised::of(packed, event, revision, &mut self.packing) {
            self.look.counts.segments = 1;
            self.look.counts.changed += 1;
            self.look.counts.redacted += u64::from(revised.has_text());
            self.look.revisions.insert(ordinal, revised);
        }
    }
}
