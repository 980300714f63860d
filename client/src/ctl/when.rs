//! Moments as people write them, and as they read them.

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp as Moment, ToSpan, Zoned};
use karo_protocol::query::Zone;
use karo_protocol::{Micros, Timestamp};

/// What may be written where a moment is wanted.
pub const ACCEPTED: &str = "RFC 3339, 2026-11-01, \"2026-11-01 14:00\", 14:00, today, yesterday, now, \
     or how long ago: 90m, 2h, 3d, 1w, 1h30m";

/// Reads a moment, in the zone of `now` where the text names none.
///
/// A day stands for its beginning, an hour that a change of the clock repeats for its first.
///
/// # Errors
///
/// What would be accepted.
pub fn parse(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let trimmed = text.trim();
    let found = match trimmed {
        "now" => Some(now.clone()),
        "today" => now.start_of_day().ok(),
        "yesterday" => now.checked_sub(1.day()).and_then(|then| then.start_of_day()).ok(),
        _ => parse_ago(trimmed, now).or_else(|| parse_moment(trimmed, now)),
    };
    let found = found.ok_or_else(|| format!("{text:?} is no moment; accepted is {ACCEPTED}"))?;
    Ok(from_jiff(found.timestamp()))
}

fn parse_moment(text: &str, now: &Zoned) -> Option<Zoned> {
    if let Ok(moment) = text.parse::<Moment>() {
        return Some(moment.to_zoned(now.time_zone().clone()));
    }
    if let Some(seconds) = text.strip_prefix('@') {
        let moment = Moment::from_second(seconds.parse().ok()?).ok()?;
        return Some(moment.to_zoned(now.time_zone().clone()));
    }
    let zone = now.time_zone().clone();
    if let Ok(date_time) = text.parse::<DateTime>() {
        return date_time.to_zoned(zone).ok();
    }
    let time = text.parse::<Time>().ok()?;
    now.date().to_datetime(time).to_zoned(zone).ok()
}

/// What may be written where a moment to come is wanted.
pub const ACCEPTED_AHEAD: &str =
    "RFC 3339, 2027-01-31, \"2027-01-31 14:00\", or in how long: 90m, 12h, 30d, 1w, 6 months";

/// Reads a moment to come, in the zone of `now` where the text names none; a span is one from now.
///
/// # Errors
///
/// What would be accepted.
pub fn parse_ahead(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let trimmed = text.trim();
    let in_a_while = span(trimmed).and_then(|span| now.checked_add(span).ok());
    let found = in_a_while.or_else(|| parse_moment(trimmed, now));
    let found =
        found.ok_or_else(|| format!("{text:?} is no moment to come; accepted is {ACCEPTED_AHEAD}"))?;
    if found.timestamp() <= now.timestamp() {
        return Err(format!("{text:?} is over already"));
    }
    Ok(from_jiff(found.timestamp()))
}

/// Reads `2h`, `1h30m`, `3 days ago`: numbers and units, nothing else.
fn parse_ago(text: &str, now: &Zoned) -> Option<Zoned> {
    now.checked_sub(span(text.strip_suffix("ago").unwrap_or(text).trim())?).ok()
}

/// Reads `2h`, `1h30m`, `3 days`.
fn span(text: &str) -> Option<Span> {
    let mut rest = text;
    if rest.is_empty() {
        return None;
    }
    let mut span = Span::new();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        span = add(span, number, &rest[..letters])?;
        rest = rest[letters..].trim_start();
    }
    Some(span)
}

fn add(span: Span, number: i64, unit: &str) -> Option<Span> {
    let sum = |found: i64| found.checked_add(number);
    match unit {
        "s" | "sec" | "second" | "seconds" => span.try_seconds(sum(span.get_seconds())?),
        "m" | "min" | "minute" | "minutes" => span.try_minutes(sum(span.get_minutes())?),
        "h" | "hour" | "hours" => span.try_hours(sum(span.get_hours().into())?),
        "d" | "day" | "days" => span.try_days(sum(span.get_days().into())?),
        "w" | "week" | "weeks" => span.try_weeks(sum(span.get_weeks().into())?),
        "month" | "months" => span.try_months(sum(span.get_months().into())?),
        "y" | "year" | "years" => span.try_years(sum(span.get_years().into())?),
        _ => return None,
    }
    .ok()
}

/// Returns the moment as the protocol has it.
pub fn from_jiff(moment: Moment) -> Timestamp {
    Timestamp::from_micros(moment.as_microsecond())
}

/// Returns the moment as jiff has it; what lies beyond the years it knows is clamped.
pub fn to_jiff(at: Timestamp) -> Moment {
    Moment::from_microsecond(at.as_micros()).unwrap_or(if at < Timestamp::default() {
        Moment::MIN
    } else {
        Moment::MAX
    })
}

/// Writes RFC 3339 in UTC with so many digits after the second.
pub fn rfc3339(at: Timestamp, digits: usize) -> String {
    format!("{:.digits$}", to_jiff(at))
}

/// Writes a moment for a table: the time alone for what is of today, else date and time.
pub fn short(at: Timestamp, now: &Zoned) -> String {
    let then = to_jiff(at).to_zoned(now.time_zone().clone());
    if then.date() == now.date() {
        return then.strftime("%H:%M:%S").to_string();
    }
    then.strftime("%Y-%m-%d %H:%M").to_string()
}

/// Writes a moment in full, in the local zone.
pub fn long(at: Timestamp, zone: &TimeZone) -> String {
    to_jiff(at).to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// Writes a span as a person would say it, in at most seven columns below a thousand days.
pub fn humanised(span: Micros) -> String {
    let micros = span.0;
    let seconds = micros / 1_000_000;
    match micros {
        0..1_000 => format!("{micros}us"),
        1_000..1_000_000 => format!("{}ms", micros / 1_000),
        1_000_000..10_000_000 => format!("{}.{}s", seconds, micros / 100_000 % 10),
        10_000_000..60_000_000 => format!("{seconds}s"),
        60_000_000..3_600_000_000 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600_000_000..86_400_000_000 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Returns what the zone says between two moments, for a daemon that counts hours and days in it.
pub fn zone_between(zone: &TimeZone, since: Timestamp, until: Timestamp) -> Zone {
    let first = to_jiff(since);
    let offset = |at: Moment| zone.to_offset(at).seconds();
    let later = zone
        .following(first)
        .take_while(|change| change.timestamp() <= to_jiff(until))
        .map(|change| (from_jiff(change.timestamp()), change.offset().seconds()));
    Zone { steps: std::iter::once((from_jiff(first), offset(first))).chain(later).collect() }
}

/// Returns the wall clock.
pub fn now() -> Timestamp {
    from_jiff(Moment::now())
}

/// Returns the difference of two clocks in seconds, the first minus the second.
pub fn difference_seconds(first: Timestamp, second: Timestamp) -> f64 {
    SignedDuration::from_micros(first.as_micros().saturating_sub(second.as_micros())).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_a_moment_or_refused(text: String, like in "[0-9]{0,20}[smhdwy:T@+ -]{0,3}[0-9a-z]{0,8}") {
            drop(parse(&text, &berlin_noon()));
            drop(parse(&like, &berlin_noon()));
        }

        #[test]
        fn any_moment_can_be_written(micros: i64) {
            let at = Timestamp::from_micros(micros);
            prop_assert!(!rfc3339(at, 3).is_empty() && !short(at, &berlin_noon()).is_empty());
            prop_assert!(humanised(Micros(micros.unsigned_abs())).len() <= 13);
        }
    }

    fn berlin_noon() -> Zoned {
        "2026-11-02T12:00:00+01:00[Europe/Berlin]".parse().expect("the zone database has Berlin")
    }

    #[test]
    fn moments_are_read_as_people_write_them() {
        let cases = [
            ("now", "2026-11-02T11:00:00.000Z"),
            ("today", "2026-11-01T23:00:00.000Z"),
            ("yesterday", "2026-10-31T23:00:00.000Z"),
            ("2h", "2026-11-02T09:00:00.000Z"),
            ("90m", "2026-11-02T09:30:00.000Z"),
            ("1h30m", "2026-11-02T09:30:00.000Z"),
            ("3 days ago", "2026-10-30T11:00:00.000Z"),
            ("10d", "2026-10-23T10:00:00.000Z"),
            ("2026-11-01", "2026-10-31T23:00:00.000Z"),
            ("2026-11-01 14:00", "2026-11-01T13:00:00.000Z"),
            ("2026-11-01T14:00:05", "2026-11-01T13:00:05.000Z"),
            ("2026-11-01T14:00:05Z", "2026-11-01T14:00:05.000Z"),
            ("2026-11-01T14:00:05.25+02:00", "2026-11-01T12:00:05.250Z"),
            ("14:30", "2026-11-02T13:30:00.000Z"),
            ("@0", "1970-01-01T00:00:00.000Z"),
        ];
        for (text, expected) in cases {
            let found = parse(text, &berlin_noon()).map(|at| rfc3339(at, 3));
            assert_eq!(found.as_deref(), Ok(expected), "{text}");
        }
        for text in
            ["", "h", "2", "2x", "tomorrowish", "2026-13-01", "ago", "99999999999999999999d", "9999999y"]
        {
            assert!(parse(text, &berlin_noon()).is_err(), "{text}");
        }
    }

    #[test]
    fn moments_to_come_are_read_and_no_others() {
        let now = berlin_noon();
        for (text, expected) in [
            ("2h", "2026-11-02T13:00:00.000Z"),
            ("30d", "2026-12-02T11:00:00.000Z"),
            ("2027-01-31", "2027-01-30T23:00:00.000Z"),
            ("2027-01-31T18:00:00Z", "2027-01-31T18:00:00.000Z"),
        ] {
            assert_eq!(parse_ahead(text, &now).map(|at| rfc3339(at, 3)).as_deref(), Ok(expected), "{text}");
        }
        for text in ["", "yesterday", "2026-11-02", "0s", "3 days ago", "99999999999999999999d"] {
            assert!(parse_ahead(text, &now).is_err(), "{text}");
        }
    }

    #[test]
    fn spans_are_humanised() {
        let cases = [
            (0, "0us"),
            (999, "999us"),
            (12_345, "12ms"),
            (1_250_000, "1.2s"),
            (59_999_999, "59s"),
            (61_000_000, "1m01s"),
            (3_660_000_000, "1h01m"),
            (90_000_000_000, "1d01h"),
        ];
        for (micros, expected) in cases {
            assert_eq!(humanised(Micros(micros)), expected);
        }
    }

    #[test]
    fn today_has_a_time_and_other_days_have_a_date() {
        let now = berlin_noon();
        let at = |text| parse(text, &now).expect("the moment is right");
        assert_eq!(short(at("09:15:01"), &now), "09:15:01");
        assert_eq!(short(at("yesterday"), &now), "2026-11-01 00:00");
    }

    #[test]
    fn a_zone_is_sent_with_its_changes() {
        let now = berlin_noon();
        let at = |text| parse(text, &now).expect("the moment is right");
        let zone = zone_between(now.time_zone(), at("2026-10-01"), at("2026-11-01"));
        let change = parse("2026-10-25T01:00:00Z", &now).expect("the moment is right");
        assert_eq!(zone.steps, [(at("2026-10-01"), 7200), (change, 3600)]);
    }
}
