//! Own summaries: what the roll-ups say of one hour, day or week, as it may be told.
//!
//! A summary is a function of the roll-up's cells, a time zone and the categories that are kept back: made twice, it
//! is the same. Numbers come from the cells alone; names come from the list of [public](crate::public) tools alone, so
//! that whatever is written in a cell, no byte of it leaves. A program that is not on the list counts in its category
//! and nowhere else.
//!
//! What is kept back is kept back as if it had not happened: an event of such a category is in no number, and a tool
//! that the list has under such a category is not named.

use std::collections::BTreeMap;

use karo_protocol::category::CategorySet;
use karo_protocol::group::ToolName;
use karo_protocol::node::Hash;
use karo_protocol::query::Zone;
use karo_protocol::summary::{Period, SUMMARY_TOOLS_MAX, Summary, Sums};
use karo_protocol::{Axis, Category, Risk, Timestamp};

use crate::calendar::{Span, hour_of, weekday_of};
use crate::public::{category_of, public};
use crate::rollup::{Cell, Rollup, Tally};

/// What was told of a period before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// In which version.
    pub version: u64,
    /// The [digest](Summary) of what it said.
    pub digest: Hash,
}

/// Returns the version that a summary is told as; `None` when nothing new is to be told.
///
/// `digest` is of what it says, and not of its version: what says the same is not told again. Of a period in which
/// nothing happened nothing is told, unless something was told of it before.
pub fn version_of(told: Option<Told>, digest: Hash, summary: &Summary) -> Option<u64> {
    match told {
        None => (summary.total.count > 0).then_some(1),
        Some(told) if told.digest == digest => None,
        Some(told) => Some(told.version.saturating_add(1)),
    }
}

/// Returns what the roll-up says of a period, in version 0.
///
/// The roll-up holds the cells of that time at least; others are passed over.
pub fn summarize(
    rollup: &Rollup,
    (period, span): (Period, Span),
    zone: &Zone,
    kept_back: CategorySet,
) -> Summary {
    let mut counting = Counting { kept_back, ..Counting::default() };
    for (start, cell) in rollup.range(span.start, span.end) {
        counting.add(cell, (hour_of(zone, start.at()), weekday_of(zone, start.at())));
    }
    let is_limited = kept_back != CategorySet::default();
    let total = counting.categories.values().fold(Tally::default(), |mut total, tally| {
        total.add(tally);
        total
    });
    let categories = counting.categories.iter().map(|(category, tally)| (*category, sums(tally)));
    let risks = counting.risks.iter().map(|((risk, axis), events)| (*risk, *axis, count(*events)));
    Summary {
        period,
        start: span.start,
        end: span.end,
        offset_s: zone.offset_seconds(span.start),
        version: 0,
        total: sums(&total),
        categories: categories.filter(|(_, sums)| sums.count > 0).collect(),
        tools: named(&counting.tools, kept_back),
        hours: counting.hours.iter().map(|events| narrow(*events)).collect(),
        weekdays: counting.weekdays.iter().map(|events| narrow(*events)).collect(),
        // Risk is not told apart by category, so where a category is kept back none of it can be told.
        risks: (!is_limited).then(|| risks.filter(|(_, _, events)| *events > 0).collect()),
        is_limited,
    }
}

/// Sums over the cells of a period; names are still those of the roll-up.
#[derive(Default)]
struct Counting<'a> {
    kept_back: CategorySet,
    categories: BTreeMap<Category, Tally>,
    tools: BTreeMap<&'a [u8], Tally>,
    hours: [i64; 24],
    weekdays: [i64; 7],
    risks: BTreeMap<(Risk, Option<Axis>), i64>,
}

impl<'a> Counting<'a> {
    fn add(&mut self, cell: &'a Cell, (hour, weekday): (u8, u8)) {
        for (category, tally) in &cell.categories {
            if !self.kept_back.contains(*category) {
                self.categories.entry(*category).or_default().add(tally);
                self.hours[usize::from(hour)] += tally.events;
                self.weekdays[usize::from(weekday)] += tally.events;
            }
        }
        for (category, tools) in &cell.tools {
            if !self.kept_back.contains(*category) {
                tools.iter().for_each(|(tool, tally)| self.tools.entry(tool).or_default().add(tally));
            }
        }
        for (key, tally) in &cell.risks {
            *self.risks.entry(*key).or_default() += tally.events;
        }
    }
}

/// Returns the public ones of these programs, those with the most events, in the order of their names.
fn named(tools: &BTreeMap<&[u8], Tally>, kept_back: CategorySet) -> Vec<(ToolName, Category, Sums)> {
    let mut named: Vec<(ToolName, Category, Sums)> = tools
        .iter()
        .filter_map(|(name, tally)| {
            let tool = public(std::str::from_utf8(name).ok()?)?;
            let category = category_of(&tool).filter(|category| !kept_back.contains(*category))?;
            Some((tool, category, sums(tally)))
        })
        .filter(|(_, _, sums)| sums.count > 0)
        .collect();
    // Of equal ones the first by name stays: the sort keeps the order in which they come.
    named.sort_by_key(|(_, _, sums)| std::cmp::Reverse(sums.count));
    named.truncate(SUMMARY_TOOLS_MAX);
    named.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    named
}

fn sums(tally: &Tally) -> Sums {
    let mean = tally.duration_us.checked_div(tally.timed.into()).filter(|_| tally.timed > 0);
    Sums {
        count: count(tally.events),
        failed: count(tally.failed),
        mean_us: mean.map(|mean| u64::try_from(mean.max(0)).unwrap_or(u64::MAX)),
    }
}

/// Returns the sum of a whole roll-up, which is never negative.
fn count(events: i64) -> u64 {
    u64::try_from(events).unwrap_or(0)
}

fn narrow(events: i64) -> u32 {
    u32::try_from(count(events)).unwrap_or(u32::MAX)
}

/// How long ago the end of a period may be for it to be told for the first time: the rest of an absence is not told.
pub const fn first_told_within_days(period: Period) -> u64 {
    match period {
        // Whoever was away for longer has the days.
        Period::Hourly => 1,
        Period::Daily | Period::Weekly => 35,
    }
}

/// How long a summary is kept, here and at whoever received it, in days behind the end of its period; for so long it
/// is told anew when the numbers change.
pub const fn kept_days(period: Period) -> u64 {
    match period {
        // There are 24 a day, and the day says the same.
        Period::Hourly => 35,
        Period::Daily | Period::Weekly => 365,
    }
}

/// Returns the moment so many days before another.
pub fn days_before(now: Timestamp, days: u64) -> Timestamp {
    let micros = i64::try_from(days.saturating_mul(86_400_000_000)).unwrap_or(i64::MAX);
    Timestamp::from_micros(now.as_micros().saturating_sub(micros))
}

#[cfg(test)]
mod tests;
