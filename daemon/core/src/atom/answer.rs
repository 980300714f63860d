//! Answers about a group: sums over atoms that are closed, and nothing else.
//!
//! The same for everybody who asks: there is no filter here, no asker and no range below a day. A cell that is hidden
//! on a day is missing from the sum of that day, and the answer says on how many days a line was hidden. Owners are
//! never added up over days: the band of a line is the greatest of any day.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use karo_protocol::answer::{AnswerRow, Question, Section};
use karo_protocol::atom::{Atom, Band, HOURS, Signal};
use karo_protocol::node::Hash;
use karo_protocol::{Axis, Category, Risk};

use super::layout::{Cell, End};
use super::{band_of, value_at};
use crate::group::Group;

/// Days that one sentence names; of more it tells how many.
const DAYS_NAMED_MAX: usize = 5;

/// A closed day, with the file of the group as it was on that day.
#[derive(Debug, Clone)]
pub struct ClosedDay {
    /// The group whose cells the atom has.
    pub group: Arc<Group>,
    /// What was released: verified, and [checked](super::check) against the group.
    pub atom: Arc<Atom>,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What.
    pub question: Question,
    /// The days, in days since 1970-01-01; the end is not asked for.
    pub days: Range<i32>,
    /// Whether as many days before are told as well.
    pub compare: bool,
    /// Days that nobody has looked for, because there was no time, or nobody there: whether they were closed is not
    /// known here.
    pub not_looked_for: BTreeSet<i32>,
}

impl Asked {
    /// Returns as many days as are asked for, right before them.
    pub fn days_before(&self) -> Range<i32> {
        let length = self.days.end.saturating_sub(self.days.start);
        self.days.start.saturating_sub(length)..self.days.start
    }
}

/// What the closed days say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Days asked for that are closed, in order.
    pub covered: Vec<i32>,
    /// The same of the days before; `None` when they were not asked for.
    pub covered_before: Option<Vec<i32>>,
    /// Least and greatest number of owners behind a day; `None` when no day is closed.
    pub contributors: Option<(u16, u16)>,
    /// The tables.
    pub sections: Vec<Section>,
    /// What is not in it, each a sentence.
    pub not_in_it: Vec<String>,
}

/// Answers from what is closed; days that were not asked for may be among it.
pub fn answer(asked: &Asked, closed: &BTreeMap<i32, ClosedDay>) -> Answered {
    let within = |days: Range<i32>| -> BTreeMap<i32, &ClosedDay> {
        if days.is_empty() {
            BTreeMap::new()
        } else {
            closed.range(days).map(|(day, own)| (*day, own)).collect()
        }
    };
    let days = within(asked.days.clone());
    let before = asked.compare.then(|| within(asked.days_before()));
    let sizes = || days.values().map(|day| day.atom.contributors);
    let sections = sections(asked.question)
        .iter()
        .map(|kind| section(*kind, &days, before.as_ref(), asked.days.len() as i32))
        .collect();
    Answered {
        covered: days.keys().copied().collect(),
        covered_before: before.map(|days| days.keys().copied().collect()),
        contributors: sizes().min().zip(sizes().max()),
        sections,
        not_in_it: not_in_it(asked, &days),
    }
}

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Categories,
    Tools,
    Risk,
    Rules,
    Hours,
    Days,
    Signals,
}

const fn sections(question: Question) -> &'static [Kind] {
    match question {
        Question::ToolUsage => &[Kind::Categories, Kind::Tools],
        Question::SafetyPosture => &[Kind::Risk, Kind::Rules],
        Question::Activity => &[Kind::Hours, Kind::Days],
        Question::Anomalies => &[Kind::Signals],
    }
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Categories => "categories",
            Self::Tools => "tools",
            Self::Risk => "risk",
            Self::Rules => "rules",
            Self::Hours => "hours",
            Self::Days => "days",
            Self::Signals => "signals",
        }
    }

    /// Tells whether lines stand by their counts, greatest first, and not in an order of their own.
    const fn is_ranking(self) -> bool {
        match self {
            Self::Categories | Self::Tools | Self::Rules => true,
            Self::Risk | Self::Hours | Self::Days | Self::Signals => false,
        }
    }
}

/// What a line is about; the order is the one in which lines stand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Line {
    Category(Category),
    Tool(Category, String),
    OtherTool(Category),
    /// The worst first, none last.
    Risk(std::cmp::Reverse<Option<(Risk, Axis)>>),
    Rule(String),
    OtherRule(Risk),
    Hour(u8),
    Day(i32),
    Signal(Signal),
}

impl Line {
    fn name(&self) -> String {
        match self {
            Self::Category(category) => category.to_string(),
            Self::Tool(_, name) | Self::Rule(name) => name.clone(),
            Self::OtherTool(_) => "other".to_owned(),
            Self::Risk(std::cmp::Reverse(None)) => "none".to_owned(),
            Self::Risk(std::cmp::Reverse(Some((level, axis)))) => format!("{level} {axis}"),
            Self::OtherRule(level) => format!("other {level}"),
            Self::Hour(hour) => format!("{hour:02}"),
            Self::Day(day) => date(*day),
            Self::Signal(signal) => signal.to_string(),
        }
    }

    fn category(&self) -> Option<Category> {
        match self {
            Self::Tool(category, _) | Self::OtherTool(category) => Some(*category),
            Self::Category(_)
            | Self::Risk(_)
            | Self::Rule(_)
            | Self::OtherRule(_)
            | Self::Hour(_)
            | Self::Day(_)
            | Self::Signal(_) => None,
        }
    }
}

/// Returns the lines of a table on one day, each with its cells.
fn lines(kind: Kind, day: i32, group: &Group) -> Vec<(Line, Vec<Cell>)> {
    let file = group.file();
    let ended = |cell: &dyn Fn(End) -> Cell| End::ALL.map(cell).to_vec();
    match kind {
        Kind::Categories => {
            let line = |own: &Category| (Line::Category(*own), ended(&|end| Cell::Category(*own, end)));
            Category::ALL.iter().map(line).collect()
        }
        Kind::Tools => {
            let line = |((tool, own), place): (&(_, Category), u8)| {
                let tool: &karo_protocol::group::ToolName = tool;
                (Line::Tool(*own, tool.to_string()), ended(&|end| Cell::Tool(place, end)))
            };
            let others: BTreeSet<Category> = file.tools.iter().map(|(_, own)| *own).collect();
            let other = |own: Category| (Line::OtherTool(own), ended(&|end| Cell::OtherTool(own, end)));
            file.tools.iter().zip(0..).map(line).chain(others.into_iter().map(other)).collect()
        }
        Kind::Risk => {
            let line = |risk| (Line::Risk(std::cmp::Reverse(risk)), vec![Cell::Risk(risk)]);
            let on_axes = |level: &'static Risk| Axis::ALL.iter().map(move |axis| Some((*level, *axis)));
            std::iter::once(None).chain(Risk::ALL.iter().flat_map(on_axes)).map(line).collect()
        }
        Kind::Rules => {
            let others: BTreeSet<Risk> = file.rules.iter().map(|(_, level)| *level).collect();
            let other = |level| (Line::OtherRule(level), vec![Cell::OtherRule(level)]);
            let line =
                |((id, _), place): (&(String, _), u8)| (Line::Rule(id.clone()), vec![Cell::Rule(place)]);
            file.rules.iter().zip(0..).map(line).chain(others.into_iter().map(other)).collect()
        }
        Kind::Hours => (0..HOURS as u8).map(|hour| (Line::Hour(hour), vec![Cell::Hour(hour)])).collect(),
        // Of the three partitions of a day's events this one hides the fewest of them: hours are many, and alike.
        Kind::Days => {
            let ends = |category: &Category| [End::Ok, End::Failed].map(|end| Cell::Category(*category, end));
            vec![(Line::Day(day), Category::ALL.iter().flat_map(ends).collect())]
        }
        Kind::Signals => {
            Signal::ALL.iter().map(|signal| (Line::Signal(*signal), vec![Cell::Signal(*signal)])).collect()
        }
    }
}

/// What a line comes to over some days.
#[derive(Debug, Default)]
struct Sum {
    /// `None` until a day shows any of it.
    count: Option<u64>,
    /// Of the days on which both how many went well and how many failed are shown.
    ended: Option<(u64, u64)>,
    /// Events that went well, and the sum of their log durations.
    log: (u64, u64),
    owners: Option<Band>,
    /// Days on which the line could be shown.
    days: u16,
    shown_days: u16,
}

impl Sum {
    fn add(&mut self, atom: &Atom, cells: &[Cell]) {
        self.days += 1;
        let band = cells.iter().map(|cell| band_of(atom, *cell)).max().unwrap_or(Band::Hidden);
        if band == Band::Hidden {
            return;
        }
        self.shown_days += 1;
        self.owners = self.owners.max(Some(band));
        let value = |cell: &Cell| value_at(atom, cell.part(), cell.value()?);
        for cell in cells {
            let Some(count) = value(cell) else { continue };
            self.count = Some(self.count.unwrap_or_default() + count);
            if let Some(log) = cell.duration().and_then(|place| value_at(atom, cell.part(), place)) {
                self.log = (self.log.0 + count, self.log.1 + log);
            }
        }
        if let [ok @ (Cell::Category(..) | Cell::Tool(..) | Cell::OtherTool(..)), failed] = cells
            && let (Some(ok), Some(failed)) = (value(ok), value(failed))
        {
            let (events, failures) = self.ended.unwrap_or_default();
            self.ended = Some((events + ok + failed, failures + failed));
        }
    }

    /// Returns the geometric mean of the durations in µs: each logarithm was cut to a whole number, on average by half.
    /// `None` where all of them are nothing: no command takes less than a microsecond, so nobody knew how long they took.
    fn mean_us(&self) -> Option<u64> {
        let (events, log) = self.log;
        (events > 0 && log > 0).then(|| ((log as f64 / events as f64 + 0.5).exp2() - 1.0).round() as u64)
    }
}

type Sums = BTreeMap<Line, Sum>;

fn sums(kind: Kind, days: &BTreeMap<i32, &ClosedDay>) -> Sums {
    let mut sums = Sums::new();
    for alike in days_alike(kind, days) {
        let Some((day, closed)) = alike.first() else { continue };
        for (line, cells) in lines(kind, *day, &closed.group) {
            let sum = sums.entry(line).or_default();
            alike.iter().for_each(|(_, closed)| sum.add(&closed.atom, &cells));
        }
    }
    sums
}

/// Days that have the same lines.
type Lot<'a> = Vec<(i32, &'a ClosedDay)>;

/// Returns the days in lots that have the same lines: those of one group file, and each alone if it is a line itself.
fn days_alike<'a>(kind: Kind, days: &BTreeMap<i32, &'a ClosedDay>) -> Vec<Lot<'a>> {
    let mut lots: BTreeMap<(Hash, Option<i32>), Lot<'_>> = BTreeMap::new();
    for (day, closed) in days {
        let alone = (kind == Kind::Days).then_some(*day);
        lots.entry((closed.group.id(), alone)).or_default().push((*day, closed));
    }
    lots.into_values().collect()
}

fn section(
    kind: Kind,
    days: &BTreeMap<i32, &ClosedDay>,
    before: Option<&BTreeMap<i32, &ClosedDay>>,
    length: i32,
) -> Section {
    let sums = sums(kind, days);
    let before = before.map(|days| self::sums(kind, days)).unwrap_or_default();
    let shown: u64 = sums.values().filter_map(|sum| sum.count).sum();
    let mut rows: Vec<AnswerRow> = Vec::new();
    let mut hidden = 0;
    for (line, sum) in &sums {
        let Some(owners) = sum.owners else {
            hidden += 1;
            continue;
        };
        let earlier =
            if let Line::Day(day) = line { Line::Day(day.saturating_sub(length)) } else { line.clone() };
        rows.push(AnswerRow {
            name: line.name(),
            category: line.category(),
            count: sum.count,
            failed: sum.ended.map(|(_, failed)| failed),
            failed_of: sum.ended.map(|(events, _)| events),
            share_ppm: sum.count.and_then(|count| millionths(count, shown)),
            mean_us: sum.mean_us(),
            owners,
            hidden_days: sum.days - sum.shown_days,
            before: before.get(&earlier).and_then(|sum| sum.count),
        });
    }
    if kind.is_ranking() {
        rows.sort_by_key(|row| std::cmp::Reverse(row.count));
    }
    Section { name: kind.name().to_owned(), rows, hidden, coverage_ppm: coverage(kind, &sums, shown) }
}

fn millionths(part: u64, whole: u64) -> Option<u32> {
    let share = u128::from(part) * 1_000_000 / u128::from(whole).max(1);
    (whole > 0).then_some(share as u32)
}

/// Returns the share of the shown events that have a risk, if those without are shown at all.
fn coverage(kind: Kind, sums: &Sums, shown: u64) -> Option<u32> {
    let none = sums.get(&Line::Risk(std::cmp::Reverse(None)))?.count?;
    if kind == Kind::Risk { millionths(shown - none, shown) } else { None }
}

fn not_in_it(asked: &Asked, days: &BTreeMap<i32, &ClosedDay>) -> Vec<String> {
    let mut says = Vec::new();
    let absent = asked.days.clone().filter(|day| !days.contains_key(day));
    let (unknown, missing): (Vec<i32>, Vec<i32>) = absent.partition(|day| asked.not_looked_for.contains(day));
    let all = asked.days.len();
    if !missing.is_empty() {
        says.push(format!("{} of {all} days were not closed: {}.", missing.len(), dates(&missing)));
    }
    if !unknown.is_empty() {
        says.push(format!(
            "{} of {all} days are not here, and no member looked for them in time: {}. What was found is kept; ask again to go on.",
            unknown.len(),
            dates(&unknown)
        ));
    }
    let absent = days.values().filter(|day| day.atom.contributors < day.atom.owners).count();
    let fewest = days.values().map(|day| (day.atom.contributors, day.atom.owners)).min();
    if let (1.., Some((contributors, owners))) = (absent, fewest) {
        let days = if absent == 1 { "1 day" } else { &*format!("{absent} days") };
        says.push(format!(
            "On {days} some owners gave no numbers: at the fewest {contributors} of {owners} did."
        ));
    }
    says.push(match asked.question {
        Question::ToolUsage | Question::SafetyPosture | Question::Activity => {
            "What fewer than five owners did is hidden, and at times one line more, so that it cannot be calculated."
        }
        Question::Anomalies => "What fewer than five owners' machines found is hidden; nobody counts them exactly.",
    }
    .to_owned());
    says.push(
        "Commands whose outcome is unknown, and what an owner's policy keeps back, are not counted."
            .to_owned(),
    );
    says
}

/// Returns dates one after the other; runs of more than two days as first and last, and of many only some.
fn dates(days: &[i32]) -> String {
    let mut runs: Vec<(i32, i32)> = Vec::new();
    for day in days {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *day => *last = *day,
            Some(_) | None => runs.push((*day, *day)),
        }
    }
    let told = runs.iter().take(DAYS_NAMED_MAX).map(|(first, last)| match last - first {
        0 => date(*first),
        _ => format!("{} to {}", date(*first), date(*last)),
    });
    let mut text = told.collect::<Vec<_>>().join(", ");
    if runs.len() > DAYS_NAMED_MAX {
        text.push_str(" and others");
    }
    text
}

/// Returns a day as `2026-11-19`, in the proleptic Gregorian calendar.
///
/// Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
fn date(day: i32) -> String {
    const DAYS_OF_ERA: i64 = 146_097;
    let shifted = i64::from(day) + 719_468;
    let (era, of_era) = (shifted.div_euclid(DAYS_OF_ERA), shifted.rem_euclid(DAYS_OF_ERA));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // The year begins in March.
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{of_month:02}", year + era * 400 + carry)
}

#[cfg(test)]
mod tests;
