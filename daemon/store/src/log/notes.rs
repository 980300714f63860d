//! What the log keeps beside events: small values by name, the last one of each, and series of lines that
//! are only ever added to.
//!
//! A value is replaced by a later one, and [`stamps`](Put::stamp) say which is later wherever records come
//! to lie. Values are in memory, because there are few and all of them are wanted; of a line there is only
//! its position, four bytes. Both are in the footers of sealed segments, so opening reads no more than it
//! did without them.
//!
//! What is not the last value any more is left out when its segment is sealed, merged or rewritten. That a
//! value was taken away is itself a record, and may be left out only when no other record of that name is
//! left: hence their count.

use std::collections::BTreeMap;

use karo_core::search::Position;

use super::known::{Contents, Put};
use super::table::position;
use crate::fields::Fields;
use crate::records::{PackedPut, Series};

/// Bytes in the name of a value.
pub const KEY_BYTES_MAX: usize = 256;
/// Bytes in a value.
pub const VALUE_BYTES_MAX: usize = 64 << 10;
/// Bytes of all values with their names: they are in memory.
pub const KEPT_BYTES_MAX: usize = 16 << 20;
/// Bytes in a line: a tile of an audit log has 8 KiB.
pub const LINE_BYTES_MAX: usize = 64 << 10;
/// Series in a log: an audit log has one and some for its tiles, and a restored backup begins another.
pub const SERIES_MAX: usize = 1024;
/// Lines in a row that may be missing in a series: more are no series of ours.
const GAP_MAX: u64 = 1 << 24;

/// The shelf of the store's own values: below which index a series is forgotten, by its name.
pub(super) const STORE_SHELF: u8 = 0;

/// No position: the record of the line is lost.
const HOLE: u32 = u32::MAX;

/// What a value costs in memory beside its bytes, roughly.
const KEPT_COST: usize = 96;

/// A value that is current.
#[derive(Debug)]
struct Kept {
    stamp: u64,
    /// `None` when it was taken away.
    value: Option<Box<[u8]>>,
    /// Records of this name in all segments.
    records: u32,
}

/// A series, from the first line that is not forgotten.
#[derive(Debug, Default)]
struct Lines {
    first: u64,
    places: Vec<u32>,
}

impl Lines {
    fn count(&self) -> u64 {
        self.first + self.places.len() as u64
    }

    fn set(&mut self, index: u64, at: Position) {
        let Some(place) = index.checked_sub(self.first).filter(|_| index <= self.count() + GAP_MAX) else {
            return;
        };
        let place = place as usize;
        if self.places.len() <= place {
            self.places.resize(place + 1, HOLE);
        }
        self.places[place] = at.0;
    }

    fn forget(&mut self, below: u64) {
        let gone = below.saturating_sub(self.first).min(self.places.len() as u64);
        self.places.drain(..gone as usize);
        self.first = self.first.max(below);
    }
}

/// What becomes of the record of a value when its segment is written anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PutFate {
    /// It is current, or must stay to hide an earlier one.
    Kept,
    /// It is of no use any more.
    Dropped,
}

/// The name of a value.
pub(super) type Name = (u8, Box<[u8]>);

/// Records of values that were left out, by name.
pub(super) type Dropped = BTreeMap<Name, u32>;

/// Everything that is kept.
#[derive(Debug, Default)]
pub(super) struct Notes {
    kept: BTreeMap<Name, Kept>,
    kept_bytes: usize,
    series: BTreeMap<Series, Lines>,
    /// The greatest stamp there is.
    stamp: u64,
}

impl Notes {
    /// Returns the values of a shelf, in the order of their names.
    pub(super) fn kept(&self, shelf: u8) -> Vec<(Vec<u8>, Vec<u8>)> {
        let named = self.kept.range((shelf, Box::default())..).take_while(|((of, _), _)| *of == shelf);
        named.filter_map(|((_, key), kept)| Some((key.to_vec(), kept.value.as_ref()?.to_vec()))).collect()
    }

    /// Returns a value.
    pub(super) fn value(&self, shelf: u8, key: &[u8]) -> Option<&[u8]> {
        self.kept.get(&(shelf, Box::from(key)))?.value.as_deref()
    }

    /// Returns how many lines a series has had.
    pub(super) fn line_count(&self, series: Series) -> u64 {
        self.series.get(&series).map_or(0, Lines::count)
    }

    /// Returns the index of the first line that is not forgotten.
    pub(super) fn first_line(&self, series: Series) -> u64 {
        self.series.get(&series).map_or(0, |lines| lines.first)
    }

    /// Returns how many series there are.
    pub(super) fn series_count(&self) -> usize {
        self.series.len()
    }

    /// Returns where a line lies.
    pub(super) fn place(&self, series: Series, index: u64) -> Option<Position> {
        let lines = self.series.get(&series)?;
        let place = *lines.places.get(usize::try_from(index.checked_sub(lines.first)?).ok()?)?;
        (place != HOLE).then_some(Position(place))
    }

    /// Returns the bytes that values take in memory.
    pub(super) const fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// Returns the stamp of the value that is written next.
    pub(super) const fn next_stamp(&self) -> u64 {
        self.stamp + 1
    }

    /// Takes in the record of a value, written or read.
    pub(super) fn put(&mut self, put: Put) {
        self.stamp = self.stamp.max(put.stamp);
        let cost = cost(&put.key, put.value.as_deref());
        let name = (put.shelf, put.key);
        let Some(known) = self.kept.get_mut(&name) else {
            self.forget_by(&name, put.value.as_deref());
            self.kept_bytes += cost;
            self.kept.insert(name, Kept { stamp: put.stamp, value: put.value, records: 1 });
            return;
        };
        known.records += 1;
        if put.stamp > known.stamp {
            self.kept_bytes = self.kept_bytes + cost - self::cost(&name.1, known.value.as_deref());
            (known.stamp, known.value) = (put.stamp, put.value.clone());
            self.forget_by(&name, put.value.as_deref());
        }
    }

    /// Lets lines go as a value of the store's own says.
    fn forget_by(&mut self, (shelf, key): &Name, value: Option<&[u8]>) {
        let below = value.and_then(|value| Fields(value).number("index").ok());
        if let (STORE_SHELF, Ok(series), Some(below)) = (*shelf, <[u8; 16]>::try_from(&**key), below) {
            self.series.entry(Series(series)).or_default().forget(below);
        }
    }

    /// Takes in the place of a line, written or moved.
    pub(super) fn set_place(&mut self, series: Series, index: u64, at: Position) {
        self.series.entry(series).or_default().set(index, at);
    }

    /// Takes in where the lines of a segment lie.
    pub(super) fn set_places(&mut self, slot: u16, contents: &Contents) {
        for (series, lines) in &contents.lines {
            for (index, ordinal) in lines {
                self.set_place(*series, *index, position(slot, *ordinal));
            }
        }
    }

    /// Says what becomes of a record of a value, of whose name so many were left out already.
    pub(super) fn fate(&self, put: &PackedPut<'_>, dropped: u32) -> PutFate {
        match self.kept.get(&(put.shelf, Box::from(put.key))) {
            Some(known) if known.stamp == put.stamp && known.value.is_some() => PutFate::Kept,
            Some(known) if known.stamp == put.stamp && known.records > dropped + 1 => PutFate::Kept,
            Some(_) | None => PutFate::Dropped,
        }
    }

    /// Tells whether a line is not forgotten.
    pub(super) fn is_wanted(&self, series: Series, index: u64) -> bool {
        index >= self.first_line(series)
    }

    /// Takes in that records of values are in no segment any more.
    pub(super) fn drop_records(&mut self, dropped: Dropped) {
        for (name, count) in dropped {
            let Some(known) = self.kept.get_mut(&name) else { continue };
            known.records = known.records.saturating_sub(count);
            if known.records == 0 && known.value.is_none() {
                self.kept_bytes -= cost(&name.1, None);
                self.kept.remove(&name);
            }
        }
    }
}

/// Returns what a value costs in memory.
pub(super) fn cost(key: &[u8], value: Option<&[u8]>) -> usize {
    KEPT_COST + key.len() + value.map_or(0, <[u8]>::len)
}

/// What all segments say of it together.
#[derive(Debug, Default)]
pub(super) struct NotesCensus {
    notes: Notes,
    lines: BTreeMap<Series, Vec<(u64, Position)>>,
}

impl NotesCensus {
    /// Adds what the segment of that slot holds.
    pub(super) fn add(&mut self, slot: u16, contents: &mut Contents) {
        contents.puts.drain(..).for_each(|put| self.notes.put(put));
        for (series, lines) in &contents.lines {
            let placed = lines.iter().map(|(index, ordinal)| (*index, position(slot, *ordinal)));
            self.lines.entry(*series).or_default().extend(placed);
        }
    }

    pub(super) fn conclude(mut self) -> Notes {
        for (series, mut placed) in self.lines {
            placed.sort_unstable();
            let lines = self.notes.series.entry(series).or_default();
            // What is missing at the beginning, and was not forgotten, is lost for good.
            lines.first = lines.first.max(placed.first().map_or(0, |(index, _)| *index));
            placed.into_iter().for_each(|(index, at)| lines.set(index, at));
        }
        self.notes
    }
}
