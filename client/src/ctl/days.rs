//! Days of a calendar, which the protocol counts from 1970-01-01, as people read and write them.

use jiff::civil::Date;
use jiff::{Span, ToSpan as _, Zoned};

const EPOCH: Date = Date::constant(1970, 1, 1);

/// Returns the day; what lies beyond the years that the calendar knows is clamped.
pub fn date(day: i32) -> Date {
    let found = Span::new().try_days(day).and_then(|span| EPOCH.checked_add(span));
    found.unwrap_or(if day < 0 { Date::MIN } else { Date::MAX })
}

/// Returns how many days after 1970-01-01 that is.
pub fn number(date: Date) -> i32 {
    // The calendar of jiff has fewer than eight million days.
    date.since(EPOCH).map_or(0, |span| span.get_days())
}

/// Writes `2026-11-19`.
pub fn iso(day: i32) -> String {
    date(day).to_string()
}

/// Writes `Thursday 19 November 2026`.
pub fn long(day: i32) -> String {
    date(day).strftime("%A %-d %B %Y").to_string()
}

/// Writes the days from the first to before the last: `13 to 19 November 2026`, with what must be said twice.
pub fn range(first: i32, behind: i32) -> String {
    let (from, to) = (date(first), date(behind.saturating_sub(1)));
    let end = to.strftime("%-d %B %Y");
    match () {
        () if from >= to => long(first),
        () if (from.year(), from.month()) == (to.year(), to.month()) => format!("{} to {end}", from.day()),
        () if from.year() == to.year() => format!("{} to {end}", from.strftime("%-d %B")),
        () => format!("{} to {end}", from.strftime("%-d %B %Y")),
    }
}

/// Reads a day: `2026-11-19`, `today` or `yesterday`.
///
/// # Errors
///
/// What would be accepted.
pub fn parse(text: &str, now: &Zoned) -> Result<i32, String> {
    let found = match text.trim() {
        "today" => Some(now.date()),
        "yesterday" => now.date().checked_sub(1.day()).ok(),
        text => text.parse().ok(),
    };
    found.map(number).ok_or_else(|| format!("{text:?} is no day; accepted is 2026-11-19, yesterday, today"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_the_epoch() {
        assert_eq!(iso(0), "1970-01-01");
        assert_eq!(iso(-1), "1969-12-31");
        for day in [-800_000, 0, 20_000, 20_776] {
            assert_eq!(number(date(day)), day);
        }
        assert_eq!((iso(i32::MIN), iso(i32::MAX)), ("-009999-01-01".to_owned(), "9999-12-31".to_owned()));
    }

    #[test]
    fn ranges_say_nothing_twice() {
        let cases = [
            (("2026-11-13", "2026-11-20"), "13 to 19 November 2026"),
            (("2026-10-28", "2026-11-04"), "28 October to 3 November 2026"),
            (("2025-12-30", "2026-01-02"), "30 December 2025 to 1 January 2026"),
            (("2026-11-19", "2026-11-20"), "Thursday 19 November 2026"),
        ];
        for ((first, behind), expected) in cases {
            let day = |text: &str| number(text.parse().expect("it is a day"));
            assert_eq!(range(day(first), day(behind)), expected);
        }
    }

    #[test]
    fn days_are_read_as_people_write_them() {
        let now = "2026-11-02T12:00:00+01:00[Europe/Berlin]".parse().expect("the zone database has Berlin");
        let day = |text| parse(text, &now).map(iso);
        assert_eq!(day("yesterday").as_deref(), Ok("2026-11-01"));
        assert_eq!(day(" 2026-02-28 ").as_deref(), Ok("2026-02-28"));
        assert!(day("2026-02-30").is_err() && day("monday").is_err());
    }
}
