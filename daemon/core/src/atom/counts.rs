//! What one owner gives of one day: counts of events, and marks of where there are any.
//!
//! **The cut is of events, not of cells.** One owner's day is its first [`COUNT_MAX`] events, and each of them is in
//! every partition. Were each cell cut by itself, the partitions of a busy owner would no longer have one sum, and
//! the sum of all categories less the sum of all hours would be a number about that owner alone.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use karo_protocol::atom::{COUNT_MAX, Part, PartCounts, Signal};
use karo_protocol::category::CategorySet;
use karo_protocol::node::Hash;
use karo_protocol::{Axis, Category, Micros, Risk};

use super::layout::{Cell, End, Layout};

/// The most that one duration adds to a log duration: ⌊log2(2⁶⁴)⌋ less one.
const LOG_MAX: u64 = 63;

/// What is hashed in front of a table.
const TABLE_DOMAIN: &[u8] = b"karo/1 atom table\0";

/// What is counted of one event, besides its tools and rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedEvent {
    /// Its most telling category.
    pub category: Category,
    /// How harmful it could be.
    pub risk: Option<Risk>,
    /// On which axis.
    pub axis: Option<Axis>,
    /// Its exit status; of unknown outcome it is counted nowhere.
    pub exit: Option<i32>,
    /// How long it took; unknown counts as no time at all.
    pub duration: Option<Micros>,
    /// The hour in which it began, 0 to 23, in the group's time zone.
    pub hour: u8,
}

/// Why counts of another machine are not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotATable {
    /// Other parts, or another number of cells, than the group's.
    Shape,
    /// More than one owner can have in a cell, or something in a cell that nothing is counted in.
    Range,
    /// Its partitions are not of the same events.
    Partitions,
    /// A mark without a count, or a count without one.
    Marks,
}

impl fmt::Display for NotATable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shape => "counts of other cells than the group has",
            Self::Range => "counts beyond what one owner can have",
            Self::Partitions => "counts whose parts are not of the same events",
            Self::Marks => "marks that are not those of the counts",
        })
    }
}

impl std::error::Error for NotATable {}

/// One owner's counts of one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayCounts {
    layout: Arc<Layout>,
    denied: CategorySet,
    /// Events in it; [`COUNT_MAX`] at most.
    events: u32,
    /// For each part of the layout its values.
    values: Vec<Vec<u64>>,
    signals: BTreeSet<Signal>,
}

impl DayCounts {
    /// Begins the counts of a day of a group ([`crate::group::Group::layout`]).
    pub fn new(layout: Arc<Layout>) -> Self {
        let values = layout.parts().iter().map(|part| vec![0; part.values()]).collect();
        Self { layout, denied: CategorySet::default(), events: 0, values, signals: BTreeSet::new() }
    }

    /// Leaves out what is added of these categories from here on, as if those events were not there.
    #[must_use]
    pub fn deny(mut self, categories: CategorySet) -> Self {
        self.denied = categories;
        self
    }

    /// Counts an event with the names of its programs and the ids of its rules, both in their order.
    ///
    /// Events are added in the order of the log: from the [`COUNT_MAX`]-th on they are left out.
    pub fn add<'a>(
        &mut self,
        event: &CountedEvent,
        mut tools: impl Iterator<Item = &'a str>,
        mut rules: impl Iterator<Item = &'a str>,
    ) {
        let CountedEvent { category, exit, .. } = *event;
        let Some(exit) = exit else { return };
        if self.denied.contains(category) || self.events >= COUNT_MAX {
            return;
        }
        self.events += 1;
        let end = if exit == 0 { End::Ok } else { End::Failed };
        let risk = event.risk.zip(event.axis);
        self.raise(Cell::Hour(event.hour.min(23)));
        self.raise(Cell::Risk(risk));
        let whole = Cell::Category(category, end);
        self.raise(whole);
        self.lengthen(whole, event.duration);
        if !self.layout.has_others() {
            return;
        }
        let listed = tools.find_map(|name| self.layout.tool(name, category));
        let tool = listed.map_or(Cell::OtherTool(category, end), |tool| Cell::Tool(tool, end));
        self.raise(tool);
        self.lengthen(tool, event.duration);
        if let Some((level, _)) = risk {
            let listed = rules.find_map(|id| self.layout.rule(id, level));
            self.raise(listed.map_or(Cell::OtherRule(level), Cell::Rule));
        }
    }

    /// Marks that this owner's machine found something unusual about the day.
    pub fn signal(&mut self, signal: Signal) {
        self.signals.insert(signal);
    }

    /// Adds what the owner's other machines counted, each already without what is denied.
    ///
    /// They are taken in the order given. One with which the day would have more than [`COUNT_MAX`] events is left
    /// out whole, because a part of a table is no table; returns how many were.
    pub fn merge<'a>(&mut self, feeds: impl IntoIterator<Item = &'a Self>) -> usize {
        let mut left_out = 0;
        for feed in feeds {
            if feed.layout != self.layout || feed.events > COUNT_MAX - self.events {
                left_out += 1;
                continue;
            }
            self.events += feed.events;
            for (own, other) in self.values.iter_mut().flatten().zip(feed.values.iter().flatten()) {
                *own += other;
            }
            self.signals.extend(&feed.signals);
        }
        left_out
    }

    /// Returns how many events are in it.
    pub const fn events(&self) -> u32 {
        self.events
    }

    /// Returns the count of a cell; of a signal 1 or 0.
    pub fn of(&self, cell: Cell) -> u64 {
        match (cell, cell.value()) {
            (Cell::Signal(signal), _) => u64::from(self.signals.contains(&signal)),
            (_, Some(place)) => self.part(cell.part()).map_or(0, |values| values[place]),
            (_, None) => 0,
        }
    }

    /// Returns a part's two vectors as they are shared: values and marks; `None` if the group has not that part.
    pub fn vectors(&self, part: Part) -> Option<(Vec<u128>, Vec<u128>)> {
        let values = self.part(part)?.iter().map(|value| u128::from(*value)).collect();
        let marks = self.marks(part).into_iter().map(u128::from).collect();
        Some((values, marks))
    }

    /// Returns BLAKE3 over all of it: the same numbers, the same hash.
    pub fn hash(&self) -> Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(TABLE_DOMAIN);
        for PartCounts { part, values, marks } in self.to_parts() {
            hasher.update(&[part]);
            for value in values {
                hasher.update(&value.to_be_bytes());
            }
            hasher.update(&marks);
        }
        Hash(hasher.finalize().into())
    }

    /// Returns all of it as it goes to another machine of the same owner.
    pub fn to_parts(&self) -> Vec<PartCounts> {
        let parts = self.layout.parts().iter().zip(&self.values);
        parts
            .map(|(part, values)| PartCounts {
                part: part.index(),
                values: values.clone(),
                marks: self.marks(*part),
            })
            .collect()
    }

    /// Takes what another machine of the same owner counted.
    ///
    /// # Errors
    ///
    /// When it is no table that could have been counted: such a one would make the partitions of the whole group
    /// differ, and their difference is a number about this owner.
    pub fn from_parts(layout: Arc<Layout>, parts: &[PartCounts]) -> Result<Self, NotATable> {
        let mut table = Self::new(layout);
        let has_shape = |part: &Part, counts: &PartCounts| {
            (counts.part, counts.values.len(), counts.marks.len())
                == (part.index(), part.values(), part.owners())
        };
        let own = table.layout.parts();
        if own.len() != parts.len() || !own.iter().zip(parts).all(|(part, counts)| has_shape(part, counts)) {
            return Err(NotATable::Shape);
        }
        table.values = parts.iter().map(|counts| counts.values.clone()).collect();
        table.signals = signals_of(parts);
        table.check_range()?;
        table.check_partitions()?;
        if table.to_parts() != parts {
            return Err(NotATable::Marks);
        }
        Ok(table)
    }

    fn check_range(&self) -> Result<(), NotATable> {
        let mut known: BTreeSet<(Part, usize)> = BTreeSet::new();
        for cell in self.layout.cells().iter().copied() {
            let count = self.of(cell);
            let duration = cell.duration().map_or(0, |place| self.at(cell.part(), place));
            if count > u64::from(COUNT_MAX) || duration > count * LOG_MAX {
                return Err(NotATable::Range);
            }
            known.extend(cell.value().into_iter().chain(cell.duration()).map(|place| (cell.part(), place)));
        }
        for (part, values) in self.layout.parts().iter().zip(&self.values) {
            if (0..values.len()).any(|place| values[place] != 0 && !known.contains(&(*part, place))) {
                return Err(NotATable::Range);
            }
        }
        Ok(())
    }

    /// Compares each whole with what makes it up, and remembers how many events there are.
    fn check_partitions(&mut self) -> Result<(), NotATable> {
        let sum = |cells: &[Cell]| cells.iter().map(|cell| self.of(*cell)).sum::<u64>();
        let events = (0..24).map(|hour| self.of(Cell::Hour(hour))).sum();
        for partition in self.layout.partitions() {
            let whole = if partition.whole.is_empty() { events } else { sum(&partition.whole) };
            if whole != sum(&partition.cells) {
                return Err(NotATable::Partitions);
            }
        }
        if events > u64::from(COUNT_MAX) {
            return Err(NotATable::Range);
        }
        self.events = events as u32;
        Ok(())
    }

    fn raise(&mut self, cell: Cell) {
        if let Some(place) = cell.value() {
            self.grow(cell.part(), place, 1);
        }
    }

    /// Adds ⌊log2(µs + 1)⌋ to the log duration of a cell that has one.
    fn lengthen(&mut self, cell: Cell, duration: Option<Micros>) {
        if let (Some(place), Some(Micros(micros))) = (cell.duration(), duration) {
            self.grow(cell.part(), place, u64::from(micros.saturating_add(1).ilog2()));
        }
    }

    fn grow(&mut self, part: Part, place: usize, by: u64) {
        if let Some(index) = self.place(part) {
            self.values[index][place] += by;
        }
    }

    fn place(&self, part: Part) -> Option<usize> {
        self.layout.parts().iter().position(|own| *own == part)
    }

    fn part(&self, part: Part) -> Option<&[u64]> {
        self.place(part).map(|index| self.values[index].as_slice())
    }

    fn at(&self, part: Part, place: usize) -> u64 {
        self.part(part).map_or(0, |values| values[place])
    }

    fn marks(&self, part: Part) -> Vec<u8> {
        let mut marks = vec![0; part.owners()];
        for cell in self.layout.cells().iter().filter(|cell| cell.part() == part) {
            marks[cell.owners()] = u8::from(self.of(*cell) > 0);
        }
        marks
    }
}

fn signals_of(parts: &[PartCounts]) -> BTreeSet<Signal> {
    let main = parts.iter().find(|counts| counts.part == Part::Main.index());
    let is_marked =
        |signal: &Signal| main.is_some_and(|main| main.marks[Cell::Signal(*signal).owners()] == 1);
    Signal::ALL.iter().copied().filter(is_marked).collect()
}

#[cfg(test)]
mod tests;
