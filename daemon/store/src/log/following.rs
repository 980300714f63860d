//! Keeping the views up with the log.
//!
//! While the daemon runs, what is committed becomes deltas, which the views are given at upkeep. After
//! a crash they are caught up by the raw segments behind their position, and where that cannot be
//! done, made anew of the whole log, some segments at each upkeep. Nothing here delays a commit, and
//! views that fail are done without.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::Arc;

use karo_core::rollup::{Delta, Rollup, Sign};
use karo_core::search::Key;
use karo_protocol::{Micros, Shell, State};

use super::Store;
use super::raw;
use super::reader::read_footer;
use super::sealed::survey;
use super::table::{Form, RECORDS_MAX, Segment, Shared, read};
use crate::payload::{self, Base};
use crate::records::{PackedEvent, Record};
use crate::views::{Digest, LogPosition, Views, ViewsError};

/// Segments that one upkeep adds to views that are made anew: a tenth of a second or two.
const SEGMENTS_AT_ONCE: usize = 2;

/// Running events that are remembered; the start of any other is looked up when its end comes.
const RUNNING_MAX: usize = 4096;

/// What an outcome adds to what is counted of a running event.
type Ended = (Option<i32>, Option<Micros>);

/// The views, and what they do not know yet.
#[derive(Debug)]
pub(super) struct Following {
    views: Views,
    deltas: Vec<Delta>,
    /// Running events, as they were counted.
    running: HashMap<Key, Delta>,
    /// Outcomes of running events that are not among them.
    late: Vec<(Key, Ended)>,
    making: Making,
    /// What is being erased.
    pub(super) erased: Halves,
}

/// How far views are that must be made anew.
#[derive(Debug)]
enum Making {
    /// They are whole.
    Done,
    /// Nothing was done yet.
    Due,
    /// These segments are left, with so many records as they had at the beginning.
    Under { left: VecDeque<(u16, usize)>, halves: Halves, position: LogPosition },
}

/// Events and outcomes that lie apart, until both are known.
#[derive(Debug, Default)]
pub(super) struct Halves(HashMap<Key, Half>);

#[derive(Debug, Default)]
struct Half {
    event: Option<Delta>,
    ended: Option<Ended>,
}

impl Halves {
    /// Adds a record; `shell` is the one that an event names.
    pub(super) fn add(&mut self, record: &Record<'_>, shell: Option<&Arc<Shell>>) {
        match (record, shell) {
            (Record::Event(event), Some(shell)) => {
                self.0.entry((shell.id, event.sequence)).or_default().event = Some(delta(event));
            }
            (Record::Ended(shell, sequence, ending), _) => {
                let ended = (ending.exit, ending.duration);
                self.0.entry((*shell, *sequence)).or_default().ended = Some(ended);
            }
            (Record::Event(_), None)
            | (Record::Void | Record::Shell(..) | Record::Lost(..) | Record::Deleted(..), _) => {}
        }
    }

    /// Returns what the events add, with their outcomes.
    fn conclude(self) -> impl Iterator<Item = Delta> {
        self.0.into_values().filter_map(|half| {
            let mut delta = half.event?;
            if let Some((exit, duration)) = half.ended {
                (delta.exit, delta.duration) = (exit, duration);
            }
            Some(delta)
        })
    }
}

fn delta(event: &PackedEvent<'_>) -> Delta {
    Delta {
        sign: Sign::Added,
        started_at: event.started_at,
        category: event.category,
        tools: event.tools.into(),
        risk: event.risk,
        exit: event.ending.exit,
        duration: event.ending.duration,
    }
}

/// What the views must be told of a record, once it is on disk.
#[derive(Debug)]
pub(super) enum Told {
    Event(Key, State, Delta),
    Ended(Key, Ended),
}

impl Told {
    pub(super) fn event(key: Key, event: &PackedEvent<'_>) -> Self {
        Self::Event(key, event.state, delta(event))
    }
}

impl Following {
    /// Notes what was committed.
    pub(super) fn tell(&mut self, told: Told) {
        match told {
            Told::Event(key, state, delta) => {
                if state != State::Ended && self.running.len() < RUNNING_MAX {
                    self.running.insert(key, delta.clone());
                }
                self.deltas.push(delta);
            }
            Told::Ended(key, ended) => match self.running.remove(&key) {
                Some(counted) => self.replace(counted, ended),
                None => self.late.push((key, ended)),
            },
        }
    }

    fn replace(&mut self, counted: Delta, (exit, duration): Ended) {
        self.deltas.push(Delta { exit, duration, ..counted.clone() });
        self.deltas.push(counted.reversed());
    }

    /// Takes back what was erased.
    pub(super) fn take_back(&mut self) {
        let erased = std::mem::take(&mut self.erased);
        erased.0.keys().for_each(|key| drop(self.running.remove(key)));
        self.deltas.extend(erased.conclude().map(Delta::reversed));
    }

    /// Says that a segment changes: views that were to read it must begin again.
    pub(super) fn segment_changes(&mut self, slot: u16) {
        if let Making::Under { left, .. } = &self.making
            && left.iter().any(|(waiting, _)| *waiting == slot)
        {
            self.making = Making::Due;
        }
    }
}

impl Store {
    /// Has the views kept up with the log from here on; call it right after opening.
    pub fn attach(&mut self, views: Views) {
        let position = views.position();
        let mut following = Following {
            views,
            deltas: Vec::new(),
            running: HashMap::new(),
            late: Vec::new(),
            making: Making::Done,
            erased: Halves::default(),
        };
        let is_caught_up = position.is_some_and(|position| self.catch_up(&mut following, position));
        if !is_caught_up {
            following.making = Making::Due;
        }
        self.following = Some(following);
    }

    /// Returns the views, as far as [`upkeep`](Self::upkeep) has brought them.
    pub fn views(&mut self) -> Option<&mut Views> {
        self.following.as_mut().map(|following| &mut following.views)
    }

    /// Tells views of a position what is behind it; `false` when that cannot be told any more.
    fn catch_up(&self, following: &mut Following, position: LogPosition) -> bool {
        if position == self.position() {
            return true;
        }
        let table = self.shared.table();
        let mut behind: Vec<&Arc<Segment>> =
            table.0.values().filter(|segment| u64::from(segment.number) >= position.segment).collect();
        behind.sort_by_key(|segment| segment.number);
        let is_tellable = position.erasures == self.erasures
            && !self.was_cut
            && behind.iter().all(|segment| segment.raw().is_some())
            && behind.first().is_some_and(|segment| {
                u64::from(segment.number) == position.segment
                    && position.offset <= segment.record_count() as u64
            });
        is_tellable
            && behind.iter().all(|segment| {
                let is_first = u64::from(segment.number) == position.segment;
                let from = if is_first { position.offset as usize } else { 0 };
                let told =
                    pass(&self.shared, segment, from, RECORDS_MAX, |record, shell| match (record, shell) {
                        (Record::Event(event), Some(shell)) => {
                            following.tell(Told::event((shell.id, event.sequence), event));
                        }
                        (Record::Ended(shell, sequence, ending), _) => {
                            following.tell(Told::Ended((*shell, *sequence), (ending.exit, ending.duration)));
                        }
                        (Record::Event(_), None)
                        | (Record::Void | Record::Shell(..) | Record::Lost(..) | Record::Deleted(..), _) => {}
                    });
                told.is_ok()
            })
    }

    /// Gives the views what they do not know; tells whether there is more to be done.
    pub(super) fn follow(&mut self, is_patient: bool) -> bool {
        let Some(mut following) = self.following.take() else {
            return false;
        };
        match self.advance(&mut following, is_patient) {
            Ok(has_more) => {
                self.following = Some(following);
                has_more
            }
            Err(error) => {
                tracing::warn!(%error, "the views are left alone until the next start; the log is not affected");
                false
            }
        }
    }

    /// As [`follow`](Self::follow), to the end, and to the disk.
    pub(super) fn follow_through(&mut self) {
        while self.follow(true) {}
        self.flush_views();
    }

    /// Gives the views what they do not know, and has it written, unless they are being made.
    pub(super) fn flush_views(&mut self) {
        if self.following.as_ref().is_none_or(|following| !matches!(following.making, Making::Done)) {
            return;
        }
        self.follow(false);
        let flushed = self.following.as_mut().map(|following| following.views.flush());
        if let Some(Err(error)) = flushed {
            tracing::warn!(%error, "the views could not be written; they will be made anew");
            self.following = None;
        }
    }

    fn advance(&self, following: &mut Following, is_patient: bool) -> Result<bool, ViewsError> {
        if matches!(following.making, Making::Due) {
            following.views.start_rebuild()?;
            following.deltas.clear();
            following.late.clear();
            following.making = self.begin_making();
        }
        if let Making::Under { left, halves, position } = &mut following.making {
            let many = if is_patient { usize::MAX } else { SEGMENTS_AT_ONCE };
            for (slot, records) in left.drain(..many.min(left.len())).collect::<Vec<_>>() {
                following.views.fill(&self.rollup_of(slot, records, halves))?;
            }
            if !left.is_empty() {
                return Ok(true);
            }
            following.views.fill(&std::mem::take(halves).conclude().collect())?;
            following.views.finish_rebuild(*position)?;
            following.making = Making::Done;
        }
        self.look_up_late(following);
        following.views.apply(&following.deltas, self.position())?;
        following.deltas.clear();
        Ok(false)
    }

    fn begin_making(&self) -> Making {
        let table = self.shared.table();
        let left = table.0.values().map(|segment| (segment.slot, segment.ordinals_end())).collect();
        Making::Under { left, halves: Halves::default(), position: self.position() }
    }

    /// Adds up a segment; what may still have its outcome elsewhere goes to the halves.
    fn rollup_of(&self, slot: u16, records: usize, halves: &mut Halves) -> Rollup {
        let mut rollup = Rollup::default();
        let table = self.shared.table();
        let Some(segment) = table.0.get(&slot) else {
            return rollup;
        };
        let read = pass(&self.shared, segment, 0, records, |record, shell| match (record, shell) {
            (Record::Event(event), Some(_)) if event.state == State::Ended => rollup.apply(&delta(event)),
            _ => halves.add(record, shell),
        });
        if let Err(error) = read {
            self.shared.note_damage(&segment.name(), 0, &format!("could not be read: {error}"));
        }
        rollup
    }

    /// Finds the starts of events that have ended since and were not remembered.
    fn look_up_late(&self, following: &mut Following) {
        let late = std::mem::take(&mut following.late);
        let mut wanted: HashSet<Key> = late.iter().map(|(key, _)| *key).collect();
        let mut counted = HashMap::new();
        let table = self.shared.table();
        let mut segments: Vec<&Arc<Segment>> = table.0.values().collect();
        segments.sort_by_key(|segment| std::cmp::Reverse(segment.number));
        for segment in segments {
            if wanted.is_empty() {
                break;
            }
            if !self.may_hold(segment, &wanted) {
                continue;
            }
            let read = pass(&self.shared, segment, 0, RECORDS_MAX, |record, shell| {
                if let (Record::Event(event), Some(shell)) = (record, shell)
                    && wanted.remove(&(shell.id, event.sequence))
                {
                    let running = Delta { exit: None, duration: None, ..delta(event) };
                    counted.insert((shell.id, event.sequence), running);
                }
            });
            if let Err(error) = read {
                self.shared.note_damage(&segment.name(), 0, &format!("could not be read: {error}"));
            }
        }
        // One that is not found was never counted: it lies in a damaged place.
        for (key, ended) in late {
            if let Some(counted) = counted.remove(&key) {
                following.replace(counted, ended);
            }
        }
    }

    fn may_hold(&self, segment: &Segment, wanted: &HashSet<Key>) -> bool {
        if segment.raw().is_some() {
            return true;
        }
        read_footer(&self.shared, &segment.name(), segment.number).map_or(true, |footer| {
            let marks = |shell| footer.contents.marks.get(shell);
            wanted
                .iter()
                .any(|(shell, sequence)| marks(shell).is_some_and(|marks| marks.held.contains(*sequence)))
        })
    }

    /// Says that a segment is rewritten: views that were to read it must begin again.
    pub(super) fn segment_changes(&mut self, slot: u16) {
        if let Some(following) = &mut self.following {
            following.segment_changes(slot);
        }
    }

    /// Tells whether the views say what the log says, reading all of it; true when there are none.
    ///
    /// Blocks for about a second for a million events.
    pub fn views_agree(&mut self) -> bool {
        while self.follow(true) {}
        let Making::Under { left, mut halves, .. } = self.begin_making() else {
            return false;
        };
        let Some(mut following) = self.following.take() else {
            return true;
        };
        let mut rollup = Rollup::default();
        for (slot, records) in left {
            rollup.merge(&self.rollup_of(slot, records, &mut halves));
        }
        halves.conclude().for_each(|delta| rollup.apply(&delta));
        let agrees = following.views.digest().is_ok_and(|digest| digest == Digest::of(&rollup));
        if !agrees {
            following.making = Making::Due;
        }
        self.following = Some(following);
        agrees
    }

    /// Returns the bytes of the views' files.
    pub(super) fn view_bytes(&self) -> u64 {
        self.following.as_ref().map_or(0, |following| following.views.bytes())
    }
}

/// Hands over the sound records of a segment from one ordinal to another, with the shells of events.
fn pass(
    shared: &Shared,
    segment: &Segment,
    from: usize,
    to: usize,
    mut take: impl FnMut(&Record<'_>, Option<&Arc<Shell>>),
) -> io::Result<()> {
    let bytes = shared.disk.read(&shared.path(&segment.name()))?;
    match &segment.form {
        Form::Raw(index) => {
            let index = read(index);
            for offset in index.offsets.iter().take(to).skip(from) {
                let record = raw::read_record(&bytes, segment.number, *offset, *offset as usize)
                    .and_then(|(kind, payload)| payload::read(kind, payload, &mut Base::default()).ok());
                if let Some(record) = record {
                    take(&record, index.shell_of(&record));
                }
            }
        }
        Form::Sealed(_) => {
            let survey = survey(&bytes, segment.number);
            let shells = survey.shells();
            for block in &survey.blocks {
                let read = block.for_each(|ordinal, record| {
                    if (from..to).contains(&usize::from(ordinal)) {
                        take(&record, record.shell().and_then(|number| shells.get(number as usize)));
                    }
                    true
                });
                debug_assert!(read.is_some(), "a survey takes only blocks that can be read");
            }
        }
    }
    Ok(())
}
