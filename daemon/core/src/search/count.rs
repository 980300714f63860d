//! Answers with numbers: how many events there are by category, by hour, by directory.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use karo_protocol::query::{Count, CountBy, CountKey, Order, Tally, Zone};
use karo_protocol::{Bytes, Category, Timestamp};

use super::assessment::Assessment;
use super::change::Position;
use super::chunk::{CATEGORY_BITS, Chunk, NO_EXIT};
use super::columns::Columns;
use super::plan::Plan;

const HOUR_MICROS: i64 = 3_600_000_000;

/// Number of events, and of those among them that failed.
type Pair = (u64, u64);

impl Columns {
    /// Returns how many events are meant by each key, in the order of the keys; keys without events
    /// are left out. Without a key to count by, one line always.
    ///
    /// `only` is as for [`page`](Self::page).
    pub fn count(&self, count: &Count, only: Option<&[Position]>) -> Vec<Tally> {
        let mut counting = Counting { columns: self, plan: Plan::new(self, &count.filter, only, usize::MAX) };
        let keys: BTreeMap<CountKey, Pair> = match count.by {
            None => BTreeMap::from([(CountKey::All, counting.by_number(1, |_, _| 0)[0])]),
            Some(CountBy::Category) => counting.by_category(),
            Some(CountBy::Tool) => counting.by_tool(),
            Some(CountBy::Hour) => {
                counting.by_time(&count.zone, |hour| CountKey::Hour(hour.rem_euclid(24) as u8))
            }
            Some(CountBy::Weekday) => counting.by_time(&count.zone, |hour| CountKey::Weekday(weekday(hour))),
            Some(CountBy::Day) => {
                counting.by_time(&count.zone, |hour| CountKey::Day(hour.div_euclid(24) as i32))
            }
            Some(CountBy::Cwd) => counting.by_cwd(),
            Some(CountBy::Exit) => counting.by_exit(),
            Some(CountBy::Host) => counting.by_host(),
            Some(CountBy::Risk) => counting.by_risk(),
        };
        keys.into_iter().map(|(key, (count, failed))| Tally { key, count, failed }).collect()
    }
}

struct Counting<'a> {
    columns: &'a Columns,
    plan: Plan<'a>,
}

impl<'a> Counting<'a> {
    /// Counts by a number that each row has, below `numbers`.
    fn by_number(&mut self, numbers: usize, number: impl Fn(&Chunk, usize) -> usize) -> Vec<Pair> {
        let mut pairs = vec![(0, 0); numbers];
        self.plan.walk(Order::OldestFirst, None, |chunk, row| {
            add(&mut pairs[number(chunk, row)], (1, failed(chunk, row)));
            ControlFlow::Continue(())
        });
        pairs
    }

    fn by_category(&mut self) -> BTreeMap<CountKey, Pair> {
        let pairs = self.by_number(usize::from(CATEGORY_BITS) + 1, |chunk, row| {
            usize::from(chunk.kind[row] & CATEGORY_BITS)
        });
        let named =
            Category::ALL.iter().map(|category| (CountKey::Category(*category), *category)).zip(pairs);
        collect(named.map(|((key, _), pair)| (key, pair)))
    }

    fn by_cwd(&mut self) -> BTreeMap<CountKey, Pair> {
        let columns = self.columns;
        let pairs = self.by_number(columns.cwds.len(), |chunk, row| chunk.cwd.at(row) as usize);
        collect(columns.cwds.iter().map(text).zip(pairs))
    }

    fn by_host(&mut self) -> BTreeMap<CountKey, Pair> {
        let columns = self.columns;
        let pairs = self.by_number(columns.shells.len(), |chunk, row| chunk.shell.at(row) as usize);
        // Many shells share a machine: its name is copied once.
        let mut by_name: BTreeMap<&[u8], Pair> = BTreeMap::new();
        for (host, pair) in columns.shells.hosts().zip(pairs) {
            add(by_name.entry(host).or_default(), pair);
        }
        collect(by_name.into_iter().map(|(name, pair)| (text(name), pair)))
    }

    fn by_tool(&mut self) -> BTreeMap<CountKey, Pair> {
        let columns = self.columns;
        let pairs = self.by_number(columns.tools.len(), |chunk, row| chunk.tools.at(row) as usize);
        let mut named: Vec<(&[u8], Pair)> = Vec::new();
        for (list, pair) in columns.tools.iter().zip(pairs).filter(|(_, pair)| pair.0 > 0) {
            let first = named.len();
            for name in list.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
                if !named[first..].iter().any(|(other, _)| *other == name) {
                    named.push((name, pair));
                }
            }
        }
        // Sorted once: there may be as many lists as there are texts, and a map would look for the place of each.
        named.sort_unstable_by_key(|(name, _)| *name);
        named.dedup_by(|(name, pair), (kept, sum)| {
            let is_same = name == kept;
            if is_same {
                add(sum, *pair);
            }
            is_same
        });
        named.into_iter().map(|(name, pair)| (text(name), pair)).collect()
    }

    fn by_risk(&mut self) -> BTreeMap<CountKey, Pair> {
        let columns = self.columns;
        let pairs = self.by_number(columns.assessments.len(), |chunk, row| chunk.assessment.at(row) as usize);
        let levels = columns.assessments.iter().map(|packed| CountKey::Risk(Assessment::unpack(packed).risk));
        collect(levels.zip(pairs))
    }

    fn by_exit(&mut self) -> BTreeMap<CountKey, Pair> {
        let columns = self.columns;
        let mut wide: BTreeMap<CountKey, Pair> = BTreeMap::new();
        let mut narrow = [(0, 0); 256];
        self.plan.walk(Order::OldestFirst, None, |chunk, row| {
            let pair = match chunk.exit[row] {
                super::chunk::WIDE_EXIT => wide.entry(CountKey::Exit(columns.exit(chunk, row))).or_default(),
                exit => &mut narrow[usize::from(exit)],
            };
            add(pair, (1, failed(chunk, row)));
            ControlFlow::Continue(())
        });
        let key = |exit: u8| CountKey::Exit((exit != NO_EXIT).then_some(i32::from(exit)));
        collect((0..=u8::MAX).map(key).zip(narrow).chain(wide))
    }

    /// Counts by a key of the hour, counted from 1970-01-01T00 in the asker's zone.
    fn by_time(&mut self, zone: &Zone, key: impl Fn(i64) -> CountKey) -> BTreeMap<CountKey, Pair> {
        let mut hours: Vec<(i64, Pair)> = Vec::new();
        let mut end = None;
        self.plan.walk(Order::OldestFirst, None, |chunk, row| {
            let started = chunk.started[row];
            // Rows come in order of time: the hour is worked out only where the last one ends.
            if end.is_none_or(|end| started >= end) {
                let (hour, hour_end) = hour_at(zone, started);
                end = Some(hour_end);
                if hours.last().is_none_or(|(last, _)| *last != hour) {
                    hours.push((hour, (0, 0)));
                }
            }
            if let Some((_, pair)) = hours.last_mut() {
                add(pair, (1, failed(chunk, row)));
            }
            ControlFlow::Continue(())
        });
        collect(hours.into_iter().map(|(hour, pair)| (key(hour), pair)))
    }
}

/// Returns the local hour of a moment, and a later moment up to which it lasts at least.
fn hour_at(zone: &Zone, at: i64) -> (i64, i64) {
    let offset = i64::from(zone.offset_seconds(Timestamp::from_micros(at))) * 1_000_000;
    let hour = at.saturating_add(offset).div_euclid(HOUR_MICROS);
    let end = (hour + 1).saturating_mul(HOUR_MICROS).saturating_sub(offset);
    let later = zone.steps.partition_point(|(from, _)| from.as_micros() <= at);
    (hour, zone.steps.get(later).map_or(end, |(from, _)| from.as_micros().min(end)))
}

/// Returns the day of the week of an hour since 1970-01-01T00, which was a Thursday; Monday is 0.
fn weekday(hour: i64) -> u8 {
    (hour.div_euclid(24) + 3).rem_euclid(7) as u8
}

fn failed(chunk: &Chunk, row: usize) -> u64 {
    u64::from(chunk.exit[row] != 0 && chunk.exit[row] != NO_EXIT)
}

fn add(pair: &mut Pair, more: Pair) {
    pair.0 += more.0;
    pair.1 += more.1;
}

fn text(bytes: &[u8]) -> CountKey {
    CountKey::Text(Bytes::from(bytes))
}

fn collect(pairs: impl Iterator<Item = (CountKey, Pair)>) -> BTreeMap<CountKey, Pair> {
    let mut keys = BTreeMap::new();
    for (key, pair) in pairs.filter(|(_, pair)| pair.0 > 0) {
        add(keys.entry(key).or_default(), pair);
    }
    keys
}
