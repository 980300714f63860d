//! Reading single events by position, on any thread.

use std::sync::Arc;

use karo_core::search::Position;
use karo_protocol::event::Outcome;
use karo_protocol::{Event, EventId, Shell, State};

use super::error::ReadError;
use super::load::Load;
use super::raw;
use super::table::{Form, Segment, Shared, Table, place, position, read};
use crate::payload::{self, Base};
use crate::records::{Kind, Record};

/// Reads a log that a [`Store`](super::Store) writes. Cheap to clone; every call blocks on the disk.
#[derive(Debug, Clone)]
pub struct Reader {
    shared: Arc<Shared>,
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
        let mut events = self.events(&[(event, outcome)]);
        events.pop().unwrap_or(Err(ReadError::Gone))
    }

    /// Returns many events, in the order of the positions, opening each file and block once.
    pub fn events(&self, positions: &[(Position, Option<Position>)]) -> Vec<Result<Event, ReadError>> {
        let mut session = ReadSession::new(&self.shared);
        positions.iter().map(|(event, outcome)| session.event(*event, *outcome)).collect()
    }

    /// Returns the positions of events by name, sorted; names that are not there are left out.
    pub fn find(&self, ids: &[EventId]) -> Vec<Position> {
        let mut wanted = ids.to_vec();
        wanted.sort_unstable();
        let mut session = ReadSession::new(&self.shared);
        let mut found = Vec::new();
        for segment in session.table.clone().0.values() {
            session.find(segment, &wanted, &mut found);
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

    /// Returns how many damaged places were met since the log was opened.
    pub fn damage_count(&self) -> u64 {
        self.shared.damage_count()
    }
}

/// One call: what it has read so far is used again.
struct ReadSession<'a> {
    shared: &'a Shared,
    table: Arc<Table>,
}

impl<'a> ReadSession<'a> {
    fn new(shared: &'a Shared) -> Self {
        Self { shared, table: shared.table() }
    }

    fn event(&mut self, at: Position, outcome: Option<Position>) -> Result<Event, ReadError> {
        let mut event = self.record(at, |record, shells| match record {
            Record::Event(packed) => {
                let shell = shells.get(packed.shell as usize).and_then(Option::as_ref);
                let shell = shell.ok_or("the record of its shell is lost")?;
                packed.unpack(shell).map(Some).map_err(|error| error.0)
            }
            Record::Void | Record::Shell(..) | Record::Ended(..) | Record::Lost(..) | Record::Deleted(..) => {
                Ok(None)
            }
        })?;
        if event.outcome.state() == State::Ended {
            return Ok(event);
        }
        if let Some(outcome) = outcome {
            event.outcome = match self.outcome(outcome, &event) {
                // Sealing folded it into the event, or the log was rewritten since.
                Err(ReadError::Gone) => event.outcome,
                read => read?,
            };
        }
        Ok(event)
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
            | Record::Deleted(..) => Ok(None),
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
            Form::Raw(index) => {
                let index = read(index);
                let offset = *index.offsets.get(usize::from(ordinal)).ok_or(ReadError::Gone)?;
                let end = index.offsets.get(usize::from(ordinal) + 1).copied().unwrap_or(index.end);
                let mut bytes = vec![0; (end - offset) as usize];
                self.fill(&segment, offset, &mut bytes)?;
                let damaged = |reason: &str| damaged(self.shared, &segment, u64::from(offset), reason);
                let (kind, payload) = raw::read_record(&bytes, segment.number, offset, 0)
                    .ok_or_else(|| damaged("its checksum is wrong"))?;
                let record =
                    payload::read(kind, payload, &mut Base::default()).map_err(|error| damaged(error.0))?;
                make(&record, &index.shells).map_err(damaged)?.ok_or(ReadError::Gone)
            }
        }
    }

    fn fill(&self, segment: &Segment, offset: u32, bytes: &mut [u8]) -> Result<(), ReadError> {
        let name = segment.name();
        self.shared
            .disk
            .read_at(&self.shared.path(&name), u64::from(offset), bytes)
            .map_err(|error| ReadError::Disk { segment: name, reason: error.to_string() })
    }

    fn find(&mut self, segment: &Segment, wanted: &[EventId], found: &mut Vec<Position>) {
        let in_span = |span: (EventId, EventId)| wanted.iter().any(|id| (span.0..=span.1).contains(id));
        match &segment.form {
            Form::Raw(index) => {
                let index = read(index);
                if !in_span(index.span.ids) {
                    return;
                }
                let Ok(bytes) = self.shared.disk.read(&self.shared.path(&segment.name())) else {
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
        }
    }
}

/// Notes a damaged place and returns the error that names it.
pub(super) fn damaged(shared: &Shared, segment: &Segment, offset: u64, reason: &str) -> ReadError {
    let name = segment.name();
    shared.note_damage(&name, offset, reason);
    ReadError::Damaged { segment: name, offset, reason: reason.to_owned() }
}
