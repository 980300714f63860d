//! What is unusual about a person's day, against that person's own days before.
//!
//! A day is compared with the [`BASELINE_DAYS`] before it, of which at least [`ACTIVE_DAYS_MIN`] must have been
//! active. What is usual is the median of those days, and how far they are apart is the median of their distances from
//! it (MAD): a few strange days among them move neither. A value counts as unusual when it is more than [`FAR`] such
//! steps from the median; a step is at least as long as the floor of its kind, so that a very even person is not
//! unusual for one command more. `docs/anomalies.md` says the same in words for everybody.
//!
//! Nothing is compared between people, and nothing here knows a command: causes are looked up afterwards, on the
//! person's own machine.

use std::collections::BTreeMap;

use karo_protocol::atom::Signal;
use karo_protocol::{Category, Risk};

use crate::atom::counts::CountedEvent;

/// Days before a day that it is compared with.
pub const BASELINE_DAYS: usize = 28;

/// Fewer active days than that say nothing about what is usual.
pub const ACTIVE_DAYS_MIN: usize = 10;

/// Commands that make a day an active one.
pub const ACTIVE_EVENTS_MIN: u32 = 5;

/// Steps from the median beyond which a value is unusual.
pub const FAR: f64 = 4.0;

/// What makes a MAD the standard deviation of a normal distribution.
const STEP: f64 = 1.4826;

/// Rules of one day whose repetitions are counted.
const RULES_MAX: usize = 256;

/// What matters of one day.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DayShape {
    events: u32,
    ended: u32,
    failed: u32,
    categories: [u32; Category::ALL.len()],
    hours: [u32; 24],
    /// How often each rule of a medium or higher level matched.
    risky: BTreeMap<String, u32>,
}

/// Something unusual about a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusual {
    /// What kind.
    pub signal: Signal,
    /// What was seen and what is usual, in a sentence.
    pub because: String,
    /// Where its causes are.
    pub place: Place,
}

/// Which of a day's commands are behind something unusual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// All of them.
    Day,
    /// Those that failed.
    Failed,
    /// Those that began in these hours of the day.
    Hours(Vec<u8>),
    /// Those of that category.
    Category(Category),
    /// Those that the rule of that id matched.
    Rule(String),
}

impl DayShape {
    /// Counts an event, with the ids of its rules.
    pub fn add<'a>(&mut self, event: &CountedEvent, rules: impl Iterator<Item = &'a str>) {
        self.events = self.events.saturating_add(1);
        if let Some(exit) = event.exit {
            self.ended = self.ended.saturating_add(1);
            self.failed = self.failed.saturating_add((exit != 0).into());
        }
        raise(self.categories.get_mut(usize::from(event.category.index())));
        raise(self.hours.get_mut(usize::from(event.hour)));
        if event.risk.is_some_and(|risk| risk >= Risk::Medium) {
            for rule in rules {
                if self.risky.len() < RULES_MAX || self.risky.contains_key(rule) {
                    raise(Some(self.risky.entry(rule.to_owned()).or_default()));
                }
            }
        }
    }

    /// Tells whether enough was done for the day to say something about what is usual.
    pub const fn is_active(&self) -> bool {
        self.events >= ACTIVE_EVENTS_MIN
    }

    fn share(&self, events: u32) -> f64 {
        f64::from(events) / f64::from(self.events.max(1))
    }

    fn repeated(&self, rule: &str) -> u32 {
        self.risky.get(rule).copied().unwrap_or(0)
    }
}

/// Returns what is unusual about a day, at most one of each kind, in the order of the kinds.
///
/// `before` are the days before it, of which the inactive ones are passed over.
pub fn unusual(day: &DayShape, before: &[DayShape]) -> Vec<Unusual> {
    let usual: Vec<&DayShape> = before.iter().filter(|day| day.is_active()).collect();
    if usual.len() < ACTIVE_DAYS_MIN || !day.is_active() {
        return Vec::new();
    }
    let of = |signal: &Signal| match signal {
        Signal::Pattern => pattern(day, &usual),
        Signal::Failures => failures(day, &usual),
        Signal::Hours => hours(day, &usual),
        Signal::RepeatedRisk => repeated_risk(day, &usual),
        Signal::Deviation => deviation(day, &usual),
    };
    Signal::ALL.iter().filter_map(of).collect()
}

/// Far more or far fewer commands than usual.
fn deviation(day: &DayShape, usual: &[&DayShape]) -> Option<Unusual> {
    let counts = values(usual, |day| f64::from(day.events));
    let median = median(&counts);
    let distance = f64::from(day.events) - median;
    let is_far = distance.abs() > FAR * step(&counts, (median * 0.1).max(5.0));
    is_far.then(|| Unusual {
        signal: Signal::Deviation,
        because: format!(
            "{} commands, far {} than usual: a day of yours has about {median:.0}",
            day.events,
            if distance > 0.0 { "more" } else { "fewer" }
        ),
        place: Place::Day,
    })
}

/// A far greater share of failures than usual.
fn failures(day: &DayShape, usual: &[&DayShape]) -> Option<Unusual> {
    let rate = |day: &DayShape| f64::from(day.failed) / f64::from(day.ended.max(1));
    let rates = values(usual, rate);
    let median = median(&rates);
    let is_far = rate(day) - median > FAR * step(&rates, 0.03);
    (is_far && day.ended >= 20 && day.failed >= 10).then(|| Unusual {
        signal: Signal::Failures,
        because: format!(
            "{} of {} commands failed, {:.0} in a hundred; usually about {:.0} do",
            day.failed,
            day.ended,
            rate(day) * 100.0,
            median * 100.0
        ),
        place: Place::Failed,
    })
}

/// Much work in hours in which this person hardly ever works.
fn hours(day: &DayShape, usual: &[&DayShape]) -> Option<Unusual> {
    let is_rare = |hour: &u8| {
        let active = usual.iter().filter(|day| day.hours[usize::from(*hour)] > 0).count();
        active * 10 < usual.len()
    };
    let rare: Vec<u8> = (0..24).filter(is_rare).collect();
    let within = |day: &DayShape| rare.iter().map(|hour| day.hours[usize::from(*hour)]).sum::<u32>();
    let shares = values(usual, |day| day.share(within(day)));
    let is_far = day.share(within(day)) - median(&shares) > FAR * step(&shares, 0.025);
    let seen: Vec<u8> = rare.iter().copied().filter(|hour| day.hours[usize::from(*hour)] > 0).collect();
    (is_far && within(day) >= 10).then(|| Unusual {
        signal: Signal::Hours,
        because: format!(
            "{} of {} commands were at {}, when you hardly ever work",
            within(day),
            day.events,
            clock(&seen)
        ),
        place: Place::Hours(seen),
    })
}

/// A mix of categories that is far from the usual one.
fn pattern(day: &DayShape, usual: &[&DayShape]) -> Option<Unusual> {
    let place = |category: &Category| usize::from(category.index());
    let profile: Vec<f64> = Category::ALL
        .iter()
        .map(|category| median(&values(usual, |day| day.share(day.categories[place(category)]))))
        .collect();
    let excess = |day: &DayShape, category: &Category| {
        day.share(day.categories[place(category)]) - profile[place(category)]
    };
    let distance =
        |day: &DayShape| Category::ALL.iter().map(|category| excess(day, category).abs()).sum::<f64>() / 2.0;
    let distances = values(usual, distance);
    let is_far = distance(day) - median(&distances) > FAR * step(&distances, 0.05);
    if !is_far || day.events < 30 {
        return None;
    }
    let most =
        Category::ALL.iter().copied().max_by(|one, other| excess(day, one).total_cmp(&excess(day, other)))?;
    Some(Unusual {
        signal: Signal::Pattern,
        because: format!(
            "{} in a hundred commands were of category {most}; usually about {:.0} are",
            (day.share(day.categories[place(&most)]) * 100.0).round(),
            profile[place(&most)] * 100.0
        ),
        place: Place::Category(most),
    })
}

/// One rule of a medium or higher level that matched far more often than usual.
fn repeated_risk(day: &DayShape, usual: &[&DayShape]) -> Option<Unusual> {
    let excess = |(rule, count): (&String, &u32)| {
        let counts = values(usual, |day| f64::from(day.repeated(rule)));
        let distance = f64::from(*count) - median(&counts);
        let is_far = *count >= 5 && distance > FAR * step(&counts, 1.0);
        is_far.then(|| (distance, median(&counts), rule.clone(), *count))
    };
    let found = day.risky.iter().filter_map(excess);
    // Of equal ones the first by name, whatever order they come in.
    let (_, median, rule, count) = found.max_by(|(one, _, first, _), (other, _, second, _)| {
        one.total_cmp(other).then_with(|| second.cmp(first))
    })?;
    Some(Unusual {
        signal: Signal::RepeatedRisk,
        because: format!(
            "the rule {rule} matched {count} times; usually it does about {median:.0} times a day"
        ),
        place: Place::Rule(rule),
    })
}

fn raise(count: Option<&mut u32>) {
    if let Some(count) = count {
        *count = count.saturating_add(1);
    }
}

fn values(days: &[&DayShape], value: impl Fn(&DayShape) -> f64) -> Vec<f64> {
    days.iter().map(|day| value(day)).collect()
}

/// Returns the value in the middle; 0 of none.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), middle.checked_sub(1).and_then(|before| sorted.get(before))) {
        (Some(value), Some(before)) if sorted.len().is_multiple_of(2) => f64::midpoint(*value, *before),
        (Some(value), _) => *value,
        (None, _) => 0.0,
    }
}

/// Returns how far values of these days usually are from their median, and the floor at least.
fn step(values: &[f64], floor: f64) -> f64 {
    let median_of = median(values);
    let distances: Vec<f64> = values.iter().map(|value| (value - median_of).abs()).collect();
    (median(&distances) * STEP).max(floor)
}

/// Writes hours as a person reads them, neighbours together: `02:00–04:00 and 23:00–24:00`.
fn clock(hours: &[u8]) -> String {
    let mut ranges: Vec<(u8, u8)> = Vec::new();
    for hour in hours {
        match ranges.last_mut() {
            Some((_, end)) if *end == *hour => *end = hour + 1,
            Some(_) | None => ranges.push((*hour, hour + 1)),
        }
    }
    let ranges: Vec<String> =
        ranges.iter().map(|(from, to)| format!("{from:02}:00\u{2013}{to:02}:00")).collect();
    ranges.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: CountedEvent = CountedEvent {
        category: Category::Vcs,
        risk: None,
        axis: None,
        exit: Some(0),
        duration: None,
        hour: 10,
    };

    /// A day of so many plain commands, and what is put on top.
    fn day(plain: u32, more: &[(u32, CountedEvent, &str)]) -> DayShape {
        let mut day = DayShape::default();
        (0..plain)
            .for_each(|n| day.add(&CountedEvent { hour: 9 + (n % 8) as u8, ..PLAIN }, std::iter::empty()));
        for (times, event, rule) in more {
            (0..*times).for_each(|_| day.add(event, std::iter::once(*rule)));
        }
        day
    }

    /// Four weeks in which weekends are free, and no two days are alike.
    fn usual() -> Vec<DayShape> {
        (0..28)
            .map(|n| match n % 7 {
                5 | 6 => DayShape::default(),
                _ => day(80 + n % 5 * 5, &[(n % 4, CountedEvent { exit: Some(1), ..PLAIN }, "")]),
            })
            .collect()
    }

    fn check(day: &DayShape, expected: &[(Signal, Place)]) {
        let found: Vec<(Signal, Place)> =
            unusual(day, &usual()).into_iter().map(|one| (one.signal, one.place)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_day_like_the_others_is_not_unusual() {
        usual().iter().for_each(|day| check(day, &[]));
        check(&day(110, &[]), &[]);
    }

    #[test]
    fn far_more_and_far_fewer_commands_are_a_deviation() {
        check(&day(400, &[]), &[(Signal::Deviation, Place::Day)]);
        check(&day(10, &[]), &[(Signal::Deviation, Place::Day)]);
    }

    #[test]
    fn many_failures_are_one_signal() {
        let failed = CountedEvent { exit: Some(1), ..PLAIN };
        check(&day(60, &[(30, failed, "")]), &[(Signal::Failures, Place::Failed)]);
        // Nine failures are few, whatever their share is.
        check(&day(75, &[(9, failed, "")]), &[]);
    }

    #[test]
    fn work_at_night_is_unusual_for_whom_works_by_day() {
        let night = |hour| CountedEvent { hour, ..PLAIN };
        check(
            &day(70, &[(8, night(2), ""), (7, night(3), "")]),
            &[(Signal::Hours, Place::Hours(vec![2, 3]))],
        );
        check(&day(80, &[(5, night(3), "")]), &[]);
    }

    #[test]
    fn another_mix_of_commands_is_a_pattern() {
        let scan = CountedEvent { category: Category::Security, ..PLAIN };
        check(&day(50, &[(40, scan, "")]), &[(Signal::Pattern, Place::Category(Category::Security))]);
    }

    #[test]
    fn the_same_risk_again_and_again_is_a_signal() {
        let risky = CountedEvent { risk: Some(Risk::High), ..PLAIN };
        let low = CountedEvent { risk: Some(Risk::Low), ..PLAIN };
        let expected = [(Signal::RepeatedRisk, Place::Rule("curl-to-shell".to_owned()))];
        check(&day(80, &[(6, risky, "curl-to-shell"), (5, risky, "chmod-777")]), &expected);
        check(&day(80, &[(4, risky, "curl-to-shell"), (9, low, "sudo")]), &[]);
    }

    #[test]
    fn too_few_days_say_nothing() {
        let few: Vec<DayShape> = usual().into_iter().take(12).collect();
        assert_eq!(few.iter().filter(|day| day.is_active()).count(), 10);
        assert_eq!(unusual(&day(400, &[]), &few).len(), 1);
        assert_eq!(unusual(&day(400, &[]), &few[..11]), []);
    }

    /// What a mean and a standard deviation would not survive.
    #[test]
    fn a_few_strange_days_do_not_make_strange_usual() {
        let mut days = usual();
        (0..4).for_each(|place| days[place] = day(5000, &[]));
        assert_eq!(unusual(&day(400, &[]), &days).len(), 1);
    }

    #[test]
    fn sentences_say_what_was_seen_and_what_is_usual() {
        let because = |day: &DayShape| unusual(day, &usual())[0].because.clone();
        assert_eq!(because(&day(400, &[])), "400 commands, far more than usual: a day of yours has about 92");
        let night = |hour| CountedEvent { hour, ..PLAIN };
        assert_eq!(
            because(&day(70, &[(15, night(2), ""), (1, night(3), ""), (1, night(23), "")])),
            "17 of 87 commands were at 02:00\u{2013}04:00 and 23:00\u{2013}24:00, when you hardly ever work"
        );
    }

    #[test]
    fn medians_are_in_the_middle() {
        for (values, expected) in [
            (&[][..], 0.0),
            (&[3.0], 3.0),
            (&[1.0, 2.0], 1.5),
            (&[9.0, 1.0, 5.0], 5.0),
            (&[4.0, 1.0, 3.0, 2.0], 2.5),
        ] {
            assert!((median(values) - expected).abs() < f64::EPSILON, "{values:?}");
        }
        assert!((step(&[1.0, 1.0, 1.0], 0.5) - 0.5).abs() < f64::EPSILON);
    }
}
