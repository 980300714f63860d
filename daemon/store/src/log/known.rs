//! Which events the log has seen, so that whatever is delivered twice counts once.
//!
//! Per shell a set of intervals of sequences, and the few events whose outcome may still come. It is
//! made of the segments' footers alone; no window of time forgets anything.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use karo_core::search::Key;
use karo_protocol::{ShellId, State};

use crate::records::{PackedPut, Record, Series};

/// A set of sequences as intervals: sorted, apart from one another, both ends within.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Intervals(Vec<(u64, u64)>);

impl Intervals {
    /// Adds one sequence.
    pub(super) fn insert(&mut self, sequence: u64) {
        self.insert_range(sequence, sequence);
    }

    /// Adds the sequences from `first` to `last`.
    pub(super) fn insert_range(&mut self, first: u64, last: u64) {
        // Commands come in order, nearly always: the last interval grows.
        if let Some(end) = self.0.last_mut()
            && end.0 <= first
            && first <= end.1.saturating_add(1)
        {
            end.1 = end.1.max(last);
            return;
        }
        let from = self.0.partition_point(|(_, end)| end.saturating_add(1) < first);
        let to = self.0.partition_point(|(start, _)| *start <= last.saturating_add(1));
        let joined = self.0[from..to]
            .iter()
            .fold((first, last), |joined, next| (joined.0.min(next.0), joined.1.max(next.1)));
        self.0.splice(from..to, [joined]);
    }

    /// Tells whether the sequence is in the set.
    pub(super) fn contains(&self, sequence: u64) -> bool {
        let place = self.0.partition_point(|(_, end)| *end < sequence);
        self.0.get(place).is_some_and(|(start, _)| *start <= sequence)
    }

    /// Adds all of another set.
    pub(super) fn extend(&mut self, other: &Self) {
        other.0.iter().for_each(|(first, last)| self.insert_range(*first, *last));
    }

    /// Returns the intervals in order.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (u64, u64)> {
        self.0.iter().copied()
    }

    /// Returns what is in this set and not in the other.
    pub(super) fn without(&self, other: &Self) -> Self {
        let mut rest = Vec::new();
        let mut cuts = other.0.iter().copied().peekable();
        for (mut first, last) in self.iter() {
            while cuts.next_if(|(_, end)| *end < first).is_some() {}
            let mut is_whole_cut = false;
            while let Some((start, end)) = cuts.peek().copied()
                && start <= last
            {
                if first < start {
                    rest.push((first, start - 1));
                }
                if end >= last {
                    is_whole_cut = true;
                    break;
                }
                first = end + 1;
                cuts.next();
            }
            if !is_whole_cut {
                rest.push((first, last));
            }
        }
        Self(rest)
    }

    /// Tells whether the two sets have anything in common.
    pub(super) fn meets(&self, other: &Self) -> bool {
        other.iter().any(|(first, last)| {
            let place = self.0.partition_point(|(_, end)| *end < first);
            self.0.get(place).is_some_and(|(start, _)| *start <= last)
        })
    }

    /// Tells whether nothing is in the set.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns how many sequences there are.
    pub(super) fn count(&self) -> u64 {
        self.iter().fold(0, |count, (first, last)| count.saturating_add(last - first).saturating_add(1))
    }
}

/// How far an event has come, for the decision whether a record says anything new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Never seen.
    Unknown,
    /// Its start was seen.
    Running,
    /// Its start was seen and its shell is gone; an end may still come.
    Lost,
    /// Nothing more can come: it has ended, or was deleted.
    Closed,
}

/// What one shell's sequences have come to.
#[derive(Debug, Default)]
struct ShellKnown {
    seen: Intervals,
    /// Of those seen, the ones whose end was not, and whether they count as lost; sorted.
    open: Vec<(u64, bool)>,
}

/// Hashes keys: shell ids are random already, and only their own user can choose them.
pub(super) type KeyHash = BuildHasherDefault<KeyHasher>;

/// See [`KeyHash`].
#[derive(Debug, Default)]
pub(super) struct KeyHasher(u64);

impl KeyHasher {
    fn mix(&mut self, word: u64) {
        // The golden ratio spreads the bits; the fold brings the high ones down, where tables look.
        let product = u128::from(self.0 ^ word) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.mix(u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    // The length of an array that is always as long says nothing.
    fn write_usize(&mut self, _: usize) {}
}

/// What all of the log has seen.
#[derive(Debug, Default)]
pub(super) struct Known(HashMap<ShellId, ShellKnown, KeyHash>);

impl Known {
    /// Returns how far an event has come.
    pub(super) fn progress(&self, (shell, sequence): Key) -> Progress {
        let Some(known) = self.0.get(&shell).filter(|known| known.seen.contains(sequence)) else {
            return Progress::Unknown;
        };
        match known.open.binary_search_by_key(&sequence, |(open, _)| *open) {
            Ok(place) if known.open[place].1 => Progress::Lost,
            Ok(_) => Progress::Running,
            Err(_) => Progress::Closed,
        }
    }

    /// Notes how far an event has come.
    pub(super) fn note(&mut self, (shell, sequence): Key, progress: Progress) {
        let known = self.0.entry(shell).or_default();
        let place = known.open.binary_search_by_key(&sequence, |(open, _)| *open);
        let is_lost = match progress {
            Progress::Unknown => return,
            Progress::Running => false,
            Progress::Lost => true,
            Progress::Closed => {
                known.seen.insert(sequence);
                if let Ok(place) = place {
                    known.open.remove(place);
                }
                return;
            }
        };
        known.seen.insert(sequence);
        match place {
            Ok(place) => known.open[place].1 = is_lost,
            Err(place) => known.open.insert(place, (sequence, is_lost)),
        }
    }

    /// Notes that sequences were deleted.
    pub(super) fn close_range(&mut self, shell: ShellId, first: u64, last: u64) {
        let known = self.0.entry(shell).or_default();
        known.seen.insert_range(first, last);
        known.open.retain(|(sequence, _)| !(first..=last).contains(sequence));
    }

    /// Takes over what is known of a shell, from all segments together.
    pub(super) fn restore(&mut self, shell: ShellId, marks: Marks) {
        let open = marks.held.without(&marks.settled);
        let sequences = open.iter().flat_map(|(first, last)| first..=last);
        let open = sequences.map(|sequence| (sequence, marks.lost.contains(sequence))).collect();
        let mut seen = marks.held;
        seen.extend(&marks.settled);
        seen.extend(&marks.lost);
        self.0.insert(shell, ShellKnown { seen, open });
    }
}

/// What a segment holds of one shell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Marks {
    /// The sequences whose events lie in it.
    pub(super) held: Intervals,
    /// Those whose end lies in it, with the event or by reference.
    pub(super) settled: Intervals,
    /// Those of which it says that they are lost.
    pub(super) lost: Intervals,
}

impl Marks {
    /// Tells whether any of these sequences is among them.
    pub(super) fn meets(&self, sequences: &Intervals) -> bool {
        [&self.held, &self.settled, &self.lost].iter().any(|set| sequences.meets(set))
    }

    /// Adds another segment's.
    pub(super) fn extend(&mut self, other: &Self) {
        self.held.extend(&other.held);
        self.settled.extend(&other.settled);
        self.lost.extend(&other.lost);
    }
}

/// What the records of one segment say, in the sum.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Contents {
    /// Per shell.
    pub(super) marks: BTreeMap<ShellId, Marks>,
    /// Sequences that were deleted, first to last.
    pub(super) deleted: Vec<(ShellId, u64, u64)>,
    /// Values and what was taken away, in the order of the records.
    pub(super) puts: Vec<Put>,
    /// Lines by series: index and ordinal, in the order of the records.
    pub(super) lines: BTreeMap<Series, Vec<(u64, u16)>>,
}

/// A value by its name, as a footer has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Put {
    /// Greater is later.
    pub(super) stamp: u64,
    /// What kind of thing it is.
    pub(super) shelf: u8,
    /// Its name there.
    pub(super) key: Box<[u8]>,
    /// `None` when it was taken away.
    pub(super) value: Option<Box<[u8]>>,
}

impl Put {
    pub(super) fn of(put: &PackedPut<'_>) -> Self {
        let PackedPut { stamp, shelf, key, value } = *put;
        Self { stamp, shelf, key: key.into(), value: value.map(Box::from) }
    }

    pub(super) fn packed(&self) -> PackedPut<'_> {
        let Self { stamp, shelf, key, value } = self;
        PackedPut { stamp: *stamp, shelf: *shelf, key, value: value.as_deref() }
    }
}

impl Contents {
    /// Adds the record of that ordinal; `shell` is the one that an event names by its number.
    pub(super) fn add(&mut self, ordinal: u16, record: &Record<'_>, shell: Option<ShellId>) {
        match (record, shell) {
            (Record::Event(event), Some(shell)) => {
                let marks = self.marks.entry(shell).or_default();
                marks.held.insert(event.sequence);
                match event.state {
                    State::Running => {}
                    State::Ended => marks.settled.insert(event.sequence),
                    State::Lost => marks.lost.insert(event.sequence),
                }
            }
            (Record::Ended(shell, sequence, _), _) => {
                self.marks.entry(*shell).or_default().settled.insert(*sequence);
            }
            (Record::Lost(shell, sequence), _) => {
                self.marks.entry(*shell).or_default().lost.insert(*sequence);
            }
            (Record::Deleted(shell, first, last), _) => self.deleted.push((*shell, *first, *last)),
            (Record::Put(put), _) => self.puts.push(Put::of(put)),
            (Record::Line(series, index, _), _) => {
                self.lines.entry(*series).or_default().push((*index, ordinal));
            }
            (Record::Event(_), None) | (Record::Void | Record::Shell(..) | Record::Understood(_), _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn members(intervals: &Intervals) -> BTreeSet<u64> {
        intervals.iter().flat_map(|(first, last)| first..=last).collect()
    }

    fn built(ranges: &[(u64, u64)]) -> (Intervals, BTreeSet<u64>) {
        let (mut intervals, mut model) = (Intervals::default(), BTreeSet::new());
        for (first, length) in ranges {
            intervals.insert_range(*first, first + length);
            model.extend(*first..=first + length);
        }
        (intervals, model)
    }

    proptest! {
        #[test]
        fn intervals_are_the_set_they_stand_for(
            ranges in prop::collection::vec((0..60_u64, 0..8_u64), 0..12),
            others in prop::collection::vec((0..60_u64, 0..8_u64), 0..12),
        ) {
            let (intervals, model) = built(&ranges);
            let (other, other_model) = built(&others);
            prop_assert!(members(&intervals) == model);
            prop_assert!(intervals.0.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            prop_assert!((0..70).all(|n| intervals.contains(n) == model.contains(&n)));
            prop_assert_eq!(intervals.count(), model.len() as u64);
            prop_assert_eq!(members(&intervals.without(&other)), &model - &other_model);
            prop_assert_eq!(intervals.meets(&other), !model.is_disjoint(&other_model));
        }
    }

    #[test]
    fn the_greatest_sequence_is_no_trap() {
        let mut intervals = Intervals::default();
        for sequence in [u64::MAX, 0, u64::MAX - 1] {
            intervals.insert(sequence);
        }
        assert_eq!(intervals.iter().collect::<Vec<_>>(), [(0, 0), (u64::MAX - 1, u64::MAX)]);
    }
}
