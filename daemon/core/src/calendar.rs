//! Days, hours and weeks of a time zone that is told by its offsets.
//!
//! A period begins at the first moment whose local time is not before its own beginning. So an hour that a clock
//! leaves out is no time at all, one that it shows twice is twice as long, and nothing is in two periods.

use karo_protocol::Timestamp;
use karo_protocol::query::Zone;
use karo_protocol::summary::Period;

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

/// A time: from its first moment to before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The first moment in it.
    pub start: Timestamp,
    /// The first moment behind it.
    pub end: Timestamp,
}

impl Span {
    /// Tells whether a moment is in it.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

/// Returns the day of a moment, in days since 1970-01-01.
pub fn day_of(zone: &Zone, at: Timestamp) -> i32 {
    i32::try_from(local(zone, at).div_euclid(DAY)).unwrap_or(i32::MAX)
}

/// Returns the local hour of a moment, 0 to 23.
pub fn hour_of(zone: &Zone, at: Timestamp) -> u8 {
    (local(zone, at).div_euclid(HOUR).rem_euclid(24)) as u8
}

/// Returns the day of the week of a moment; Monday is 0.
pub fn weekday_of(zone: &Zone, at: Timestamp) -> u8 {
    weekday(i64::from(day_of(zone, at)))
}

/// Returns where a day begins.
pub fn start_of_day(zone: &Zone, day: i32) -> Timestamp {
    first_at(zone, i64::from(day).saturating_mul(DAY))
}

/// Returns the period that a moment lies in.
pub fn span_of(zone: &Zone, period: Period, at: Timestamp) -> Span {
    let mut number = number_of(period, local(zone, at));
    loop {
        let (start, end) = (begin(zone, period, number), begin(zone, period, number + 1));
        // Where a clock is set back, local time is before the beginning of a period that has begun.
        if at >= end && number < i64::MAX / DAY / 8 {
            number += 1;
        } else {
            return Span { start, end: end.max(start) };
        }
    }
}

/// Returns the periods that begin at `since` or later and end at `until` or earlier, in their order.
pub fn spans(zone: &Zone, period: Period, since: Timestamp, until: Timestamp) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut span = span_of(zone, period, since);
    while span.end <= until {
        if span.start >= since {
            spans.push(span);
        }
        let next = span_of(zone, period, span.end);
        if next.start <= span.start {
            break;
        }
        span = next;
    }
    spans
}

fn local(zone: &Zone, at: Timestamp) -> i64 {
    at.as_micros().saturating_add(i64::from(zone.offset_seconds(at)) * 1_000_000)
}

/// Returns which of its kind the period is that a local time lies in; weeks are counted from a Monday.
fn number_of(period: Period, local: i64) -> i64 {
    match period {
        Period::Hourly => local.div_euclid(HOUR),
        Period::Daily => local.div_euclid(DAY),
        Period::Weekly => (local.div_euclid(DAY) + 3).div_euclid(7),
    }
}

fn begin(zone: &Zone, period: Period, number: i64) -> Timestamp {
    let local = match period {
        Period::Hourly => number.saturating_mul(HOUR),
        Period::Daily => number.saturating_mul(DAY),
        Period::Weekly => (number.saturating_mul(7) - 3).saturating_mul(DAY),
    };
    first_at(zone, local)
}

/// Returns the day of the week of a day since 1970-01-01, which was a Thursday; Monday is 0.
fn weekday(day: i64) -> u8 {
    (day + 3).rem_euclid(7) as u8
}

/// Returns the first moment whose local time is not before that one.
fn first_at(zone: &Zone, wanted: i64) -> Timestamp {
    let starts = zone.steps.iter().map(|(from, _)| from.as_micros());
    let offsets = zone.steps.iter().map(|(_, offset)| i64::from(*offset) * 1_000_000);
    // Before the first step its offset holds too.
    let from = std::iter::once(i64::MIN).chain(starts.clone().skip(1));
    let until = starts.skip(1).chain([i64::MAX]);
    let mut segments = from.zip(until).zip(offsets.chain(zone.steps.is_empty().then_some(0)));
    let at = segments.find_map(|((from, until), offset)| {
        let at = wanted.saturating_sub(offset).max(from);
        (at < until).then_some(at)
    });
    Timestamp::from_micros(at.unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Berlin in 2026: the clock goes forward on 29 March at 01:00 UTC, and back on 25 October at 01:00 UTC.
    fn berlin() -> Zone {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        Zone { steps: vec![(at(1_761_440_400), 3600), (at(1_774_746_000), 7200), (at(1_792_890_000), 3600)] }
    }

    fn hours(span: Span) -> i64 {
        span.end.since(span.start).0 as i64 / HOUR
    }

    #[test]
    fn days_of_a_changed_clock_are_longer_or_shorter() {
        let zone = berlin();
        for (day, length) in
            [(20_540, 24), (20_541, 23), (20_542, 24), (20_750, 24), (20_751, 25), (20_752, 24)]
        {
            let start = start_of_day(&zone, day);
            let span = span_of(&zone, Period::Daily, start);
            assert_eq!((span.start, hours(span)), (start, length), "{day}");
            assert_eq!(day_of(&zone, span.start), day);
            assert_eq!(day_of(&zone, Timestamp::from_micros(span.end.as_micros() - 1)), day);
        }
    }

    #[test]
    fn an_hour_that_is_left_out_is_none_and_one_shown_twice_is_long() {
        let zone = berlin();
        let of_day = |day| {
            let (since, until) = (start_of_day(&zone, day), start_of_day(&zone, day + 1));
            let of = |span: &Span| (hour_of(&zone, span.start), hours(*span));
            spans(&zone, Period::Hourly, since, until).iter().map(of).collect::<Vec<_>>()
        };
        let spring = of_day(20_541);
        assert_eq!((spring.len(), &spring[1..3]), (23, &[(1, 1), (3, 1)][..]));
        let autumn = of_day(20_751);
        assert_eq!((autumn.len(), &autumn[1..4]), (24, &[(1, 1), (2, 2), (3, 1)][..]));
    }

    #[test]
    fn weeks_begin_on_monday() {
        let zone = berlin();
        // 2026-11-20 is a Friday.
        let friday = start_of_day(&zone, 20_777);
        assert_eq!(weekday_of(&zone, friday), 4);
        let week = span_of(&zone, Period::Weekly, friday);
        assert_eq!((week.start, hours(week)), (start_of_day(&zone, 20_773), 7 * 24));
        assert_eq!(weekday_of(&zone, week.start), 0);
        // The week in which the clock goes back has an hour more.
        assert_eq!(hours(span_of(&zone, Period::Weekly, start_of_day(&zone, 20_750))), 7 * 24 + 1);
    }

    #[test]
    fn every_moment_is_in_one_period_of_each_kind() {
        let zone = berlin();
        for period in Period::ALL {
            let (since, until) = (start_of_day(&zone, 20_500), start_of_day(&zone, 20_800));
            let spans = spans(&zone, *period, since, until);
            assert!(spans.windows(2).all(|pair| pair[0].end == pair[1].start), "{period}");
            for span in &spans {
                let last = Timestamp::from_micros(span.end.as_micros() - 1);
                assert_eq!(span_of(&zone, *period, span.start), *span);
                assert_eq!(span_of(&zone, *period, last), *span, "{period}");
            }
        }
    }

    #[test]
    fn a_clock_that_is_set_back_over_midnight_makes_no_day_twice() {
        // At midnight the clock goes back an hour: 23 h of that day are shown twice.
        let midnight = 20_000 * DAY;
        let zone = Zone { steps: vec![(Timestamp::MIN, 0), (Timestamp::from_micros(midnight), -3600)] };
        let after = Timestamp::from_micros(midnight + 60);
        let span = span_of(&zone, Period::Daily, after);
        assert!(span.contains(after), "{span:?}");
        assert_eq!(span_of(&zone, Period::Daily, span.start), span);
    }

    #[test]
    fn the_ends_of_time_are_no_trouble() {
        for zone in [Zone::default(), berlin()] {
            for at in [Timestamp::MIN, Timestamp::MAX, Timestamp::from_micros(0)] {
                for period in Period::ALL {
                    span_of(&zone, *period, at);
                    spans(&zone, *period, at, at);
                }
                assert!(day_of(&zone, at) < i32::MAX && hour_of(&zone, at) < 24 && weekday_of(&zone, at) < 7);
            }
        }
        assert_eq!(start_of_day(&Zone::default(), 1).as_micros(), DAY);
    }
}
