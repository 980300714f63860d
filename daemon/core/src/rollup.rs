//! Roll-ups: how many events, how they ended and how long they took, in cells of fifteen minutes.
//!
//! A cell holds sums and nothing of any single event. What adds to it can be taken back from it: a
//! late outcome, a deletion and retention subtract exactly what was added before. So the order in
//! which deltas arrive never shows, and a roll-up made anew of the log equals the one that lived
//! through it. Nothing here writes to disk; the store's views do.

use std::collections::BTreeMap;

use karo_protocol::{Axis, Category, Event, Micros, Risk, Timestamp};

/// Length of a cell: the finest step of any time zone in use, so that hours and days of every zone
/// are made of whole cells.
pub const CELL: Micros = Micros(15 * 60 * 1_000_000);

/// A tool's name in a roll-up, in bytes; the rest of a longer one is cut.
pub const TOOL_BYTES_MAX: usize = 64;

/// Tools of one event in a roll-up; a line that runs more counts for the first of them.
pub const TOOLS_MAX: usize = 32;

/// Where a cell begins: a multiple of [`CELL`] since the epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellStart(Timestamp);

impl CellStart {
    /// Returns the start of the cell that a moment lies in.
    pub const fn of(at: Timestamp) -> Self {
        let micros = at.as_micros();
        // The very first cell is cut short by the least moment there is.
        Self(Timestamp::from_micros(micros.saturating_sub(micros.rem_euclid(CELL.0 as i64))))
    }

    /// Returns the moment itself.
    pub const fn at(self) -> Timestamp {
        self.0
    }
}

/// Whether an event comes or goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It counts from here on.
    Added,
    /// What was added for it is taken back.
    TakenBack,
}

/// What one event adds to its cell, or takes back from it.
///
/// What is taken back must be what was added, field by field: for a late outcome that is the event
/// as it ran, and then it is added as it ended ([`Delta::replaced`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// Whether it comes or goes.
    pub sign: Sign,
    /// Wall time of the start.
    pub started_at: Timestamp,
    /// The most telling category.
    pub category: Category,
    /// Names of the programs, separated by NUL, as [`search::Entry`](crate::search::Entry) has them.
    pub tools: Box<[u8]>,
    /// The highest level of risk, if rules looked at it.
    pub risk: Option<Risk>,
    /// The axis of the rule that gave it.
    pub axis: Option<Axis>,
    /// Exit status, if known.
    pub exit: Option<i32>,
    /// From start to end, if known.
    pub duration: Option<Micros>,
}

impl Delta {
    /// Returns what an event adds.
    pub fn added(event: &Event) -> Self {
        let ending = event.outcome.ending();
        Self {
            sign: Sign::Added,
            started_at: event.started_at,
            category: event.understanding.category,
            tools: event.understanding.tools.join("\0").into_bytes().into(),
            risk: event.understanding.risk,
            axis: event.understanding.axis,
            exit: ending.and_then(|ending| ending.exit),
            duration: ending.and_then(|ending| ending.duration),
        }
    }

    /// Returns the opposite.
    pub fn reversed(self) -> Self {
        let sign = match self.sign {
            Sign::Added => Sign::TakenBack,
            Sign::TakenBack => Sign::Added,
        };
        Self { sign, ..self }
    }

    /// Returns what it takes to have `after` counted in place of `before`.
    pub fn replaced(before: &Event, after: &Event) -> [Self; 2] {
        [Self::added(before).reversed(), Self::added(after)]
    }

    /// Returns the names of the first [`TOOLS_MAX`] programs, cut to [`TOOL_BYTES_MAX`], each once.
    fn tools(&self) -> impl Iterator<Item = &[u8]> {
        let cut = |name| <[u8]>::get(name, ..TOOL_BYTES_MAX).unwrap_or(name);
        let names = move || self.tools.split(|byte| *byte == 0).take(TOOLS_MAX).map(cut);
        names().enumerate().filter_map(move |(place, name)| {
            let is_first = !names().take(place).any(|earlier| earlier == name);
            (is_first && !name.is_empty()).then_some(name)
        })
    }

    /// Returns the sums of this one event.
    fn tally(&self) -> Tally {
        let duration = self.duration.unwrap_or_default().0;
        let tally = Tally {
            events: 1,
            ok: self.exit.is_some_and(|exit| exit == 0).into(),
            failed: self.exit.is_some_and(|exit| exit != 0).into(),
            timed: self.duration.is_some().into(),
            duration_us: duration.into(),
            duration_log2: (u128::from(duration) + 1).ilog2().into(),
        };
        match self.sign {
            Sign::Added => tally,
            Sign::TakenBack => tally.negated(),
        }
    }
}

/// Sums over some events.
///
/// They are signed, because a part of a roll-up may take back what another part added; the sums of a
/// whole one are never negative. Additions wrap: sums stay exact whatever is added and taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Events, whatever became of them.
    pub events: i64,
    /// Of these, how many ended with status zero.
    pub ok: i64,
    /// How many ended with another status.
    pub failed: i64,
    /// Of how many the duration is known.
    pub timed: i64,
    /// The sum of those durations, in microseconds.
    pub duration_us: i128,
    /// The sum of ⌊log2(duration in microseconds + 1)⌋, for a geometric mean.
    pub duration_log2: i64,
}

impl Tally {
    /// Adds the sums of other events.
    pub const fn add(&mut self, other: &Self) {
        self.events = self.events.wrapping_add(other.events);
        self.ok = self.ok.wrapping_add(other.ok);
        self.failed = self.failed.wrapping_add(other.failed);
        self.timed = self.timed.wrapping_add(other.timed);
        self.duration_us = self.duration_us.wrapping_add(other.duration_us);
        self.duration_log2 = self.duration_log2.wrapping_add(other.duration_log2);
    }

    /// Returns the sums that take these back.
    pub const fn negated(&self) -> Self {
        Self {
            events: self.events.wrapping_neg(),
            ok: self.ok.wrapping_neg(),
            failed: self.failed.wrapping_neg(),
            timed: self.timed.wrapping_neg(),
            duration_us: self.duration_us.wrapping_neg(),
            duration_log2: self.duration_log2.wrapping_neg(),
        }
    }

    fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

/// Sums of the events that started within one cell; what is zero is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cell {
    /// By the most telling category: each event is in one of them.
    pub categories: BTreeMap<Category, Tally>,
    /// By level of risk and the axis of the rule that gave it: each event that rules looked at is in one of them.
    pub risks: BTreeMap<(Risk, Option<Axis>), Tally>,
    /// By the most telling category of the event and by program: an event is in all that its line runs. So what is
    /// kept back by category is kept back of the programs as well.
    pub tools: BTreeMap<Category, BTreeMap<Box<[u8]>, Tally>>,
}

impl Cell {
    /// Adds the sums of one event, or takes them back.
    pub fn apply(&mut self, delta: &Delta) {
        let tally = delta.tally();
        add(&mut self.categories, &delta.category, &tally);
        if let Some(risk) = delta.risk {
            add(&mut self.risks, &(risk, delta.axis), &tally);
        }
        for tool in delta.tools() {
            self.add_tool(delta.category, tool, &tally);
        }
    }

    /// Adds another part of the same cell.
    pub fn merge(&mut self, other: &Self) {
        other.categories.iter().for_each(|(category, tally)| add(&mut self.categories, category, tally));
        other.risks.iter().for_each(|(risk, tally)| add(&mut self.risks, risk, tally));
        other.tools().for_each(|(category, tool, tally)| self.add_tool(category, tool, tally));
    }

    fn add_tool(&mut self, category: Category, tool: &[u8], tally: &Tally) {
        let tools = self.tools.entry(category).or_default();
        if let Some(known) = tools.get_mut(tool) {
            known.add(tally);
            if known.is_zero() {
                tools.remove(tool);
            }
        } else {
            tools.insert(tool.into(), *tally);
        }
        if tools.is_empty() {
            self.tools.remove(&category);
        }
    }

    /// Returns the sums of each program under each category of events, in the order of both.
    pub fn tools(&self) -> impl Iterator<Item = (Category, &[u8], &Tally)> {
        self.tools
            .iter()
            .flat_map(|(category, tools)| tools.iter().map(|(tool, tally)| (*category, &**tool, tally)))
    }

    /// Returns the sums over all events of the cell.
    pub fn total(&self) -> Tally {
        self.categories.values().fold(Tally::default(), |mut total, tally| {
            total.add(tally);
            total
        })
    }

    /// Tells whether nothing is counted here.
    pub fn is_empty(&self) -> bool {
        self.tallies() == 0
    }

    /// Returns how many tallies it holds: what its size goes by.
    pub fn tallies(&self) -> usize {
        self.categories.len() + self.risks.len() + self.tools.values().map(BTreeMap::len).sum::<usize>()
    }
}

fn add<K: Ord + Clone>(tallies: &mut BTreeMap<K, Tally>, key: &K, tally: &Tally) {
    let sum = tallies.entry(key.clone()).or_default();
    sum.add(tally);
    if sum.is_zero() {
        tallies.remove(key);
    }
}

/// Cells by their start; empty ones are not in it, so that equal sums are equal values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rollup {
    cells: BTreeMap<CellStart, Cell>,
    tallies: usize,
}

impl Rollup {
    /// Adds one event, or takes it back.
    pub fn apply(&mut self, delta: &Delta) {
        self.change(CellStart::of(delta.started_at), |cell| cell.apply(delta));
    }

    /// Adds a part of the cell that begins there.
    pub fn merge_cell(&mut self, start: CellStart, part: &Cell) {
        self.change(start, |cell| cell.merge(part));
    }

    /// Adds all of another roll-up.
    pub fn merge(&mut self, other: &Self) {
        other.iter().for_each(|(start, cell)| self.merge_cell(start, cell));
    }

    fn change(&mut self, start: CellStart, change: impl FnOnce(&mut Cell)) {
        let cell = self.cells.entry(start).or_default();
        self.tallies -= cell.tallies();
        change(cell);
        self.tallies += cell.tallies();
        if cell.is_empty() {
            self.cells.remove(&start);
        }
    }

    /// Returns the cells in the order of time.
    pub fn iter(&self) -> impl Iterator<Item = (CellStart, &Cell)> {
        self.cells.iter().map(|(start, cell)| (*start, cell))
    }

    /// Returns the cells that begin at `since` or later and before `until`, in the order of time.
    pub fn range(&self, since: Timestamp, until: Timestamp) -> impl Iterator<Item = (CellStart, &Cell)> {
        let until = until.max(since);
        self.cells.range(CellStart(since)..CellStart(until)).map(|(start, cell)| (*start, cell))
    }

    /// Returns the number of cells.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Returns how many tallies its cells hold: some 150 bytes of memory each.
    pub const fn tallies(&self) -> usize {
        self.tallies
    }

    /// Tells whether nothing is counted at all.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }
}

impl FromIterator<Delta> for Rollup {
    fn from_iter<I: IntoIterator<Item = Delta>>(deltas: I) -> Self {
        let mut rollup = Self::default();
        deltas.into_iter().for_each(|delta| rollup.apply(&delta));
        rollup
    }
}

#[cfg(test)]
mod tests;
