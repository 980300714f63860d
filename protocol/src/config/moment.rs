//! Moments in the configuration: RFC 3339, or a day for its beginning in UTC.

use crate::Timestamp;

/// What may be written.
pub(super) const ACCEPTED: &str = "a day or RFC 3339, as 2027-01-31 or 2027-01-31T18:00:00+01:00";

const DAY_SECONDS: i64 = 86_400;

/// Reads a moment of the years 1970 to 9999, to the second.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let day = days(number(text, 0, 4)?, number(text, 5, 2)?, number(text, 8, 2)?)?;
    let is_day = text.get(4..5)? == "-" && text.get(7..8)? == "-";
    let seconds = match text.get(10..)? {
        "" => 0,
        rest => clock(rest)?,
    };
    let at = day.checked_mul(DAY_SECONDS)?.checked_add(seconds)?;
    (is_day && at >= 0).then(|| Timestamp::from_micros(at * 1_000_000))
}

/// Reads `T18:00:00+01:00` into seconds since the beginning of the day in UTC.
fn clock(text: &str) -> Option<i64> {
    let (hour, minute, second) = (number(text, 1, 2)?, number(text, 4, 2)?, number(text, 7, 2)?);
    let has_marks =
        matches!(text.get(..1)?, "T" | "t" | " ") && text.get(3..4)? == ":" && text.get(6..7)? == ":";
    if !has_marks || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let offset = match text.get(9..)? {
        "Z" | "z" => 0,
        zone => offset(zone)?,
    };
    Some(hour * 3600 + minute * 60 + second - offset)
}

/// Reads `+01:00` into seconds.
fn offset(text: &str) -> Option<i64> {
    let (hour, minute) = (number(text, 1, 2)?, number(text, 4, 2)?);
    if text.len() != 6 || text.get(3..4)? != ":" || hour > 23 || minute > 59 {
        return None;
    }
    let seconds = hour * 3600 + minute * 60;
    match text.get(..1)? {
        "+" => Some(seconds),
        "-" => Some(-seconds),
        _ => None,
    }
}

/// Reads so many digits at a place.
fn number(text: &str, from: usize, digits: usize) -> Option<i64> {
    let found = text.get(from..from + digits)?;
    found.bytes().all(|byte| byte.is_ascii_digit()).then(|| found.parse().ok()).flatten()
}

/// Returns the days from the epoch to a day of the Gregorian calendar, if there is that day.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = if is_leap { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let place = usize::try_from(month.checked_sub(1)?).ok()?;
    if year < 1970 || !(1..=*lengths.get(place)?).contains(&day) {
        return None;
    }
    let leaps_before = |year: i64| (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400;
    let years = (year - 1970) * 365 + leaps_before(year) - leaps_before(1970);
    Some(years + lengths[..place].iter().sum::<i64>() + day - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read() {
        // The seconds are what `date -u -d TEXT +%s` says.
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("2000-03-01", 951_868_800),
            ("2024-02-29", 1_709_164_800),
            ("2027-01-31", 1_801_353_600),
            ("2027-01-31T18:00:00+01:00", 1_801_414_800),
            ("2027-01-31T18:00:00Z", 1_801_418_400),
            ("2027-01-31 18:00:01-00:30", 1_801_420_201),
            ("9999-12-31", 253_402_214_400),
        ] {
            assert_eq!(parse(text), Some(Timestamp::from_micros(seconds * 1_000_000)), "{text}");
        }
        for wrong in [
            "",
            "2027",
            "2027-1-1",
            "2027-02-29",
            "2100-02-29",
            "2027-13-01",
            "2027-00-01",
            "2027-01-00",
            "1969-12-31",
            "2027/01/31",
            "2027-01-31T",
            "2027-01-31T24:00:00Z",
            "2027-01-31T18:00:00",
            "2027-01-31T18:00:00+1:00",
            "2027-01-31T18:00:00.5Z",
            "2027-01-31x",
            "１９７０-01-01",
            "1970-01-01T00:00:00+01:00",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
