//! Days of a time zone: where they begin, and which of them a moment lies in.
//!
//! The zones come from the system's database, as for everything else that runs on it. Two members whose databases
//! disagree about a day give different hours of it; nothing else depends on it.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp as Moment, ToSpan};
use karo_protocol::Timestamp;
use karo_protocol::query::Zone;

/// A time zone by its name.
#[derive(Debug, Clone)]
pub struct Civil(TimeZone);

/// Days before and behind the epoch that a calendar is asked about: more than ten thousand years.
const DAYS_MAX: i32 = 4_000_000;

/// The day from which days are counted.
const EPOCH: Date = Date::constant(1970, 1, 1);

impl Civil {
    /// Finds a zone by its name in the system's database.
    ///
    /// # Errors
    ///
    /// A sentence that names it, when there is none.
    pub fn named(name: &str) -> Result<Self, String> {
        if name == "UTC" {
            return Ok(Self(TimeZone::UTC));
        }
        let zone = TimeZone::get(name);
        zone.map(Self).map_err(|_| format!("this machine knows no time zone {name:?}; is tzdata installed?"))
    }

    /// Returns the system's own zone.
    pub fn local() -> Self {
        Self(TimeZone::system())
    }

    /// Returns the day that a moment lies in, in days since 1970-01-01.
    pub fn day_of(&self, at: Timestamp) -> i32 {
        let date = moment(at).to_zoned(self.0.clone()).date();
        (date - EPOCH).get_days()
    }

    /// Returns where an hour of a day begins; one that a change of the clock leaves out, where it would have.
    pub fn at(&self, day: i32, hour: i8) -> Timestamp {
        // A member may name any day at all: what lies beyond the years that are known is clamped.
        let near = day.clamp(-DAYS_MAX, DAYS_MAX).days();
        let date = EPOCH.checked_add(near).unwrap_or(if day < 0 { Date::MIN } else { Date::MAX });
        let begun = date.at(hour, 0, 0, 0).to_zoned(self.0.clone());
        let at = begun.map_or(if day < 0 { Moment::MIN } else { Moment::MAX }, |begun| begun.timestamp());
        Timestamp::from_micros(at.as_microsecond())
    }

    /// Returns where a day begins.
    pub fn start_of(&self, day: i32) -> Timestamp {
        self.at(day, 0)
    }

    /// Returns what the zone says between two moments.
    pub fn between(&self, since: Timestamp, until: Timestamp) -> Zone {
        let first = moment(since);
        let later = self
            .0
            .following(first)
            .take_while(|change| change.timestamp() <= moment(until))
            .map(|change| (from(change.timestamp()), change.offset().seconds()));
        Zone { steps: std::iter::once((since, self.0.to_offset(first).seconds())).chain(later).collect() }
    }
}

fn from(at: Moment) -> Timestamp {
    Timestamp::from_micros(at.as_microsecond())
}

/// Returns the moment as jiff has it; what lies beyond the years it knows is clamped.
fn moment(at: Timestamp) -> Moment {
    let clamped = at.as_micros().clamp(Moment::MIN.as_microsecond(), Moment::MAX.as_microsecond());
    Moment::from_microsecond(clamped).unwrap_or(Moment::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_where_the_zone_says() {
        let berlin = Civil::named("Europe/Berlin").expect("the zone is known");
        // 2026-03-29, on which a clock in Berlin leaves out an hour.
        let day = 20_541;
        let (start, end) = (berlin.start_of(day), berlin.start_of(day + 1));
        assert_eq!(end.since(start).0, 23 * 3_600_000_000);
        assert_eq!(berlin.day_of(start), day);
        assert_eq!(berlin.day_of(Timestamp::from_micros(start.as_micros() - 1)), day - 1);
        let zone = berlin.between(start, end);
        assert_eq!((zone.offset_seconds(start), zone.offset_seconds(end)), (3600, 7200));
        assert_eq!(berlin.at(day, 2), berlin.at(day, 3));
    }

    #[test]
    fn the_first_day_is_day_zero_and_no_day_is_too_far() {
        let utc = Civil::named("UTC").expect("UTC needs no database");
        assert_eq!(utc.start_of(0), Timestamp::from_micros(0));
        assert_eq!(utc.day_of(Timestamp::from_micros(-1)), -1);
        assert!(utc.start_of(i32::MIN) < utc.start_of(i32::MAX));
        utc.day_of(Timestamp::from_micros(i64::MAX));
        assert!(Civil::named("Europe/Nowhere").is_err_and(|error| error.contains("Europe/Nowhere")));
    }
}
