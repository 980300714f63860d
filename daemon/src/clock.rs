//! The clocks of the system: the one place where they are read.

use std::time::{Duration, SystemTime};

use karo_protocol::Timestamp;

/// Returns the wall time; before the epoch it is negative.
pub fn now() -> Timestamp {
    let micros = match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
    };
    Timestamp::from_micros(micros)
}

/// Returns how long the machine has slept since it was started; nothing where the system does not say.
pub fn slept() -> Duration {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::time::{ClockId, clock_gettime};
        let read = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
        read(ClockId::Boottime).saturating_sub(read(ClockId::Monotonic))
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    Duration::ZERO
}
