//! The wall clock: the one place where it is read.

use std::time::SystemTime;

use karo_protocol::Timestamp;

/// Returns the wall time; before the epoch it is negative.
pub fn now() -> Timestamp {
    let micros = match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
    };
    Timestamp::from_micros(micros)
}
