//! Moments and spans of time: microseconds, UTC, as integers.

use serde::{Deserialize, Serialize};

/// A moment: microseconds since the epoch, UTC; negative before 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The least moment there is.
    pub const MIN: Self = Self(i64::MIN);
    /// The greatest moment there is.
    pub const MAX: Self = Self(i64::MAX);

    /// Makes the moment that many microseconds after the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Returns the microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Returns the span from `earlier` to this moment; zero when the clock was set back.
    pub const fn since(self, earlier: Self) -> Micros {
        let span = self.0.saturating_sub(earlier.0);
        Micros(if span < 0 { 0 } else { span as u64 })
    }

    /// Returns the moment `span` later, at most [`Self::MAX`].
    pub const fn after(self, span: Micros) -> Self {
        Self(self.0.saturating_add_unsigned(span.0))
    }
}

/// A span of time in microseconds; never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Micros(pub u64);

/// How fine the clock was that a hook had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Precision {
    /// One microsecond.
    #[default]
    Micro,
    /// Ten milliseconds: a shell that has only `/proc/uptime`.
    Centi,
    /// One second: a history file.
    Second,
}

impl Precision {
    /// Returns the step of the clock, in microseconds.
    pub const fn as_micros(self) -> u32 {
        match self {
            Self::Micro => 1,
            Self::Centi => 10_000,
            Self::Second => 1_000_000,
        }
    }

    /// Returns the finest precision whose step is at least this many microseconds.
    pub const fn from_micros(step: u32) -> Self {
        match step {
            0..=1 => Self::Micro,
            2..=10_000 => Self::Centi,
            _ => Self::Second,
        }
    }
}

impl Serialize for Precision {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.as_micros())
    }
}

impl<'de> Deserialize<'de> for Precision {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u32::deserialize(deserializer).map(Self::from_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_gives_no_negative_span() {
        let (early, late) = (Timestamp::from_micros(-5), Timestamp::from_micros(10));
        assert_eq!(late.since(early), Micros(15));
        assert_eq!(early.since(late), Micros(0));
        assert_eq!(Timestamp::MAX.since(Timestamp::MIN), Micros(i64::MAX as u64));
    }
}
