//! The rows of some days, as numbers about a group and about unusual days are made of them.
//!
//! One walk in the order of time; nothing of a command's text is in what it shows.

use std::collections::BTreeMap;

use karo_protocol::category::CategorySet;
use karo_protocol::query::Zone;
use karo_protocol::{Category, Timestamp};

use super::chunk::{CATEGORY_BITS, Chunk};
use super::columns::Columns;
use crate::anomaly::{BASELINE_DAYS, DayShape, Place, Unusual, unusual};
use crate::atom::counts::{CountedEvent, DayCounts};
use crate::calendar::{day_of, hour_of, start_of_day};

/// Distinct commands that are named as the causes of one signal.
const CAUSES_MAX: usize = 10;

/// What is counted of a row.
#[derive(Debug, Clone, Copy)]
pub struct CountedRow<'a> {
    /// When it began.
    pub started_at: Timestamp,
    /// What is counted of it.
    pub event: CountedEvent,
    tools: &'a [u8],
    rules: &'a [u8],
}

impl<'a> CountedRow<'a> {
    /// Returns the names of its programs in their order; one that is no text is left out.
    pub fn tools(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        names(self.tools)
    }

    /// Returns the ids of the rules that matched, in their order.
    pub fn rules(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        names(self.rules)
    }
}

/// Something unusual about a day, with what caused it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusualDay {
    /// The day in the asker's zone, in days since 1970-01-01.
    pub day: i32,
    /// What was unusual.
    pub unusual: Unusual,
    /// The commands behind it as they are stored, the most frequent first; at most ten.
    pub causes: Vec<Vec<u8>>,
}

impl Columns {
    /// Shows every row that began at `since` or later and before `until`, in the order of time.
    pub fn tabulate<'a>(
        &'a self,
        since: Timestamp,
        until: Timestamp,
        zone: &Zone,
        mut show: impl FnMut(CountedRow<'a>),
    ) {
        self.rows_between(since, until, |chunk, row| show(self.counted(chunk, row, zone)));
    }

    /// Adds a day to a table of counts: its events, and what is unusual about it.
    ///
    /// Events of the categories that are kept back are in neither, nor in what the day is compared with.
    pub fn count_day(
        &self,
        counts: &mut DayCounts,
        since: Timestamp,
        until: Timestamp,
        zone: &Zone,
        kept_back: CategorySet,
    ) {
        self.tabulate(since, until, zone, |row| {
            if !kept_back.contains(row.event.category) {
                counts.add(&row.event, row.tools(), row.rules());
            }
        });
        let day = day_of(zone, since);
        let shapes = self.shapes(before(zone, day), until, zone, kept_back);
        for one in unusual_on(&shapes, day) {
            counts.signal(one.signal);
        }
    }

    /// Returns what was unusual about the days from `first` to before `end`, the newest first.
    pub fn unusual_days(&self, first: i32, end: i32, zone: &Zone) -> Vec<UnusualDay> {
        let shapes = self.shapes(before(zone, first), start_of_day(zone, end), zone, CategorySet::default());
        let days = (first..end)
            .rev()
            .flat_map(|day| unusual_on(&shapes, day).into_iter().map(move |one| (day, one)));
        days.map(|(day, unusual)| UnusualDay { day, causes: self.causes(day, &unusual.place, zone), unusual })
            .collect()
    }

    /// Returns the shapes of the days that lie in a time.
    fn shapes(
        &self,
        since: Timestamp,
        until: Timestamp,
        zone: &Zone,
        kept_back: CategorySet,
    ) -> BTreeMap<i32, DayShape> {
        let mut shapes: BTreeMap<i32, DayShape> = BTreeMap::new();
        self.tabulate(since, until, zone, |row| {
            if !kept_back.contains(row.event.category) {
                shapes.entry(day_of(zone, row.started_at)).or_default().add(&row.event, row.rules());
            }
        });
        shapes
    }

    /// Returns the commands of a day at some place, the most frequent first.
    fn causes(&self, day: i32, place: &Place, zone: &Zone) -> Vec<Vec<u8>> {
        let mut texts: BTreeMap<u32, u32> = BTreeMap::new();
        self.rows_between(start_of_day(zone, day), start_of_day(zone, day + 1), |chunk, row| {
            if is_at(place, &self.counted(chunk, row, zone)) {
                *texts.entry(chunk.text[row]).or_default() += 1;
            }
        });
        let mut texts: Vec<(u32, u32)> = texts.into_iter().collect();
        texts.sort_by_key(|(text, count)| (std::cmp::Reverse(*count), *text));
        texts.truncate(CAUSES_MAX);
        texts.into_iter().map(|(text, _)| self.texts.text(text)).collect()
    }

    fn rows_between<'a>(
        &'a self,
        since: Timestamp,
        until: Timestamp,
        mut show: impl FnMut(&'a Chunk, usize),
    ) {
        for chunk in &self.chunks {
            let first = chunk.started.partition_point(|started| *started < since.as_micros());
            let end = chunk.started.partition_point(|started| *started < until.as_micros());
            (first..end).for_each(|row| show(chunk, row));
        }
    }

    fn counted<'a>(&'a self, chunk: &Chunk, row: usize, zone: &Zone) -> CountedRow<'a> {
        let started_at = Timestamp::from_micros(chunk.started[row]);
        let assessment = self.assessment(chunk, row);
        let category = Category::from_index(chunk.kind[row] & CATEGORY_BITS).unwrap_or(Category::Other);
        let event = CountedEvent {
            category,
            risk: assessment.risk,
            axis: assessment.axis,
            exit: self.exit(chunk, row),
            duration: self.duration(chunk, row),
            hour: hour_of(zone, started_at),
        };
        CountedRow {
            started_at,
            event,
            tools: self.tools.string(chunk.tools.at(row)),
            rules: assessment.rules(),
        }
    }
}

/// Returns where the days begin that a day is compared with.
fn before(zone: &Zone, day: i32) -> Timestamp {
    start_of_day(zone, day.saturating_sub(BASELINE_DAYS as i32))
}

fn unusual_on(shapes: &BTreeMap<i32, DayShape>, day: i32) -> Vec<Unusual> {
    let Some(shape) = shapes.get(&day) else { return Vec::new() };
    let first = day.saturating_sub(BASELINE_DAYS as i32);
    let before: Vec<DayShape> = shapes.range(first..day).map(|(_, shape)| shape.clone()).collect();
    unusual(shape, &before)
}

fn is_at(place: &Place, row: &CountedRow<'_>) -> bool {
    match place {
        Place::Day => true,
        Place::Failed => row.event.exit.is_some_and(|exit| exit != 0),
        Place::Hours(hours) => hours.contains(&row.event.hour),
        Place::Category(category) => row.event.category == *category,
        Place::Rule(rule) => row.rules().any(|id| id == rule),
    }
}

fn names(packed: &[u8]) -> impl Iterator<Item = &str> {
    packed
        .split(|byte| *byte == 0)
        .filter_map(|name| std::str::from_utf8(name).ok())
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use karo_protocol::atom::{COUNT_MAX, Signal};
    use karo_protocol::{Axis, Micros, Risk, Shell, ShellId, ShellKind, State};

    use super::*;
    use crate::search::{Batch, BriefOutcome, Change, Entry, Position};

    const HOUR: i64 = 3_600_000_000;

    fn shell() -> Arc<Shell> {
        Arc::new(Shell {
            id: ShellId::from_bytes([1; 16]),
            kind: ShellKind::Bash,
            user: "ada".to_owned(),
            host: "private-host".to_owned(),
            tty: None,
            is_remote: false,
            parent: None,
            process: None,
        })
    }

    /// Columns of commands, each with its hour since the epoch, how often it ran, and whether it failed.
    fn columns(lines: &[(i64, u32, &str, Category, bool)]) -> Columns {
        let (mut columns, mut batch, shell, mut number) = (Columns::new(), Batch::default(), shell(), 0);
        for (hour, times, command, category, is_failed) in lines {
            for n in 0..*times {
                number += 1;
                batch.push(Entry {
                    position: Position(number),
                    shell: &shell,
                    sequence: u64::from(number),
                    command: command.as_bytes(),
                    cwd: b"/private",
                    started_at: Timestamp::from_micros(hour * HOUR + i64::from(n)),
                    category: *category,
                    tools: b"git\0acme",
                    risk: Some(Risk::High),
                    axis: Some(Axis::Hazard),
                    rules: b"one\0two",
                    outcome: BriefOutcome {
                        state: State::Ended,
                        duration: Some(Micros(5)),
                        exit: Some(i32::from(*is_failed)),
                        position: None,
                    },
                });
            }
        }
        columns.apply(Change::Added(batch));
        columns
    }

    #[test]
    fn rows_of_a_time_are_shown_in_its_order() {
        let columns = columns(&[
            (25, 1, "b", Category::Vcs, false),
            (23, 1, "a", Category::Build, true),
            (48, 1, "c", Category::Vcs, false),
        ]);
        let mut seen = Vec::new();
        let at = |hour: i64| Timestamp::from_micros(hour * HOUR);
        let zone = Zone { steps: vec![(Timestamp::MIN, 3600)] };
        columns.tabulate(at(23), at(48), &zone, |row| {
            assert_eq!(row.tools().collect::<Vec<_>>(), ["git", "acme"]);
            assert_eq!(row.rules().collect::<Vec<_>>(), ["one", "two"]);
            seen.push((row.event.category, row.event.hour, row.event.exit));
        });
        assert_eq!(seen, [(Category::Build, 0, Some(1)), (Category::Vcs, 2, Some(0))]);
    }

    /// Twenty ordinary days, and one that is not.
    fn with_a_strange_day() -> Columns {
        let ordinary =
            (0..20).map(|day| (day * 24 + 10, 40 + (day % 3) as u32, "git status", Category::Vcs, false));
        let strange = [
            (20 * 24 + 10, 60, "git status", Category::Vcs, false),
            (20 * 24 + 11, 20, "make it", Category::Build, true),
        ];
        columns(&ordinary.chain(strange).collect::<Vec<_>>())
    }

    #[test]
    fn unusual_days_are_told_with_their_causes() {
        let found = with_a_strange_day().unusual_days(0, 21, &Zone::default());
        let told: Vec<_> =
            found.iter().map(|one| (one.day, one.unusual.signal, one.causes.clone())).collect();
        let make = vec![b"make it".to_vec()];
        for (place, signal) in [Signal::Pattern, Signal::Failures, Signal::Hours].into_iter().enumerate() {
            assert_eq!(told[place], (20, signal, make.clone()));
        }
        assert_eq!(told[3], (20, Signal::RepeatedRisk, vec![b"git status".to_vec(), b"make it".to_vec()]));
        assert!(told.iter().all(|(day, ..)| *day == 20), "{told:?}");
    }

    #[test]
    fn a_day_is_counted_with_its_signals_and_without_what_is_kept_back() {
        let layout = Arc::new(crate::atom::layout::Layout::new(&[], &[]));
        let columns = with_a_strange_day();
        let count = |kept_back: &[Category]| {
            let mut counts = DayCounts::new(Arc::clone(&layout));
            let (since, until) = (start_of_day(&Zone::default(), 20), start_of_day(&Zone::default(), 21));
            let kept_back = kept_back.iter().copied().collect();
            columns.count_day(&mut counts, since, until, &Zone::default(), kept_back);
            let has = |signal| counts.of(crate::atom::layout::Cell::Signal(signal)) == 1;
            (counts.events(), has(Signal::Failures), has(Signal::Deviation))
        };
        assert_eq!(count(&[]), (80, true, true));
        // The failures were all of that category: what is kept back leaves no trace in the signals either.
        assert_eq!(count(&[Category::Build]), (60, false, false));
        assert!(count(&[]).0 < COUNT_MAX);
    }
}
