//! Values too wide for their column, and what is awaited or open: few, so kept beside the rows.

use std::collections::BTreeMap;

use karo_protocol::{State, Timestamp};

use super::change::{BriefOutcome, Key, Position};

/// Values that do not fit into the columns, by the position of their event.
#[derive(Debug, Clone, Default)]
pub(super) struct Wide {
    /// Durations in microseconds.
    pub(super) durations: BTreeMap<Position, u64>,
    /// Exit statuses.
    pub(super) exits: BTreeMap<Position, i32>,
    /// Sequence numbers.
    pub(super) sequences: BTreeMap<Position, u64>,
}

impl Wide {
    /// Forgets an event.
    pub(super) fn remove(&mut self, position: Position) {
        self.durations.remove(&position);
        self.exits.remove(&position);
        self.sequences.remove(&position);
    }

    /// Follows events to where they lie.
    pub(super) fn relocate(&mut self, moves: &Moves<'_>) {
        moves.rekey(&mut self.durations);
        moves.rekey(&mut self.exits);
        moves.rekey(&mut self.sequences);
    }

    /// Returns the bytes it takes, roughly.
    pub(super) fn size(&self) -> usize {
        (self.durations.len() + self.exits.len() + self.sequences.len()) * 24
    }
}

/// Events that have not ended, and outcomes of events that are not there yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Unsettled {
    /// Start and position of every event that is running or lost.
    pub(super) open: BTreeMap<Key, (Timestamp, Position)>,
    /// Outcomes that came before their events.
    pub(super) pending: BTreeMap<Key, BriefOutcome>,
}

/// Outcomes that are kept for events that may still come, on top of one for each that is loaded.
const PENDING_MIN: usize = 64 * 1024;

impl Unsettled {
    /// Keeps an outcome until its event comes; beyond the limit it is dropped.
    pub(super) fn await_event(&mut self, key: Key, outcome: BriefOutcome, events: usize) {
        let has_room = self.pending.len() < events + PENDING_MIN;
        match self.pending.get_mut(&key) {
            Some(known) => *known = settled(*known, outcome),
            None if has_room => drop(self.pending.insert(key, outcome)),
            None => {}
        }
    }

    /// Follows records to where they lie.
    pub(super) fn relocate(&mut self, moves: &Moves<'_>) {
        for (_, position) in self.open.values_mut() {
            *position = moves.target(*position).unwrap_or(*position);
        }
        for position in self.pending.values_mut().filter_map(|outcome| outcome.position.as_mut()) {
            *position = moves.target(*position).unwrap_or(*position);
        }
    }

    /// Returns the bytes it takes, roughly.
    pub(super) fn size(&self) -> usize {
        self.open.len() * 60 + self.pending.len() * 100
    }
}

/// Returns the outcome that holds of two: ended before lost before running; of equals the first.
pub(super) fn settled(known: BriefOutcome, other: BriefOutcome) -> BriefOutcome {
    let rank = |state| match state {
        State::Running => 0,
        State::Lost => 1,
        State::Ended => 2,
    };
    if rank(other.state) > rank(known.state) { other } else { known }
}

/// A set of positions that is asked once for every row.
#[derive(Debug, Clone)]
pub(super) struct Places<T> {
    sorted: T,
    /// One bit for each hash: most positions are told to be absent without a search.
    hashes: Vec<u64>,
}

/// Bits in the hashes of [`Places`] for each member, at least: one row in 32 is looked up in vain.
const HASH_BITS: usize = 32;

impl<T> Places<T> {
    fn with_hashes(sorted: T, positions: impl ExactSizeIterator<Item = Position>) -> Self {
        let words = (positions.len() * HASH_BITS / 64).next_power_of_two();
        let mut places = Self { sorted, hashes: vec![0; words] };
        for position in positions {
            let (word, bit) = places.hash(position);
            places.hashes[word] |= bit;
        }
        places
    }

    fn hash(&self, position: Position) -> (usize, u64) {
        let hash = position.0.wrapping_mul(0x9e37_79b1);
        let word = (u64::from(hash) * self.hashes.len() as u64) >> 32;
        (word as usize, 1 << (hash >> 3 & 63))
    }

    fn may_contain(&self, position: Position) -> bool {
        let (word, bit) = self.hash(position);
        self.hashes[word] & bit != 0
    }
}

impl<'a> Places<&'a [Position]> {
    /// Takes a sorted list.
    pub(super) fn new(sorted: &'a [Position]) -> Self {
        Self::with_hashes(sorted, sorted.iter().copied())
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    pub(super) fn contains(&self, position: Position) -> bool {
        self.may_contain(position) && self.sorted.binary_search(&position).is_ok()
    }
}

/// Where records lie instead, by where they lay.
pub(super) type Moves<'a> = Places<&'a [(Position, Position)]>;

impl<'a> Moves<'a> {
    /// Takes a list sorted by the first.
    pub(super) fn of(moves: &'a [(Position, Position)]) -> Self {
        Self::with_hashes(moves, moves.iter().map(|(from, _)| *from))
    }

    /// Returns where a record lies instead.
    pub(super) fn target(&self, from: Position) -> Option<Position> {
        if !self.may_contain(from) {
            return None;
        }
        let place = self.sorted.binary_search_by_key(&from, |(from, _)| *from).ok()?;
        Some(self.sorted[place].1)
    }

    fn rekey<V>(&self, values: &mut BTreeMap<Position, V>) {
        let from: Vec<Position> = values.keys().copied().filter(|key| self.target(*key).is_some()).collect();
        // All leave before any arrives: the target of one may be the source of another.
        let moved: Vec<(Position, V)> =
            from.into_iter().filter_map(|key| self.target(key).zip(values.remove(&key))).collect();
        values.extend(moved);
    }
}
