//! How much one peer may ask of us: so many at once, so many a second.

use std::time::{Duration, Instant};

/// A bucket that fills again with time.
#[derive(Debug, Clone)]
pub struct Allowance {
    left: u32,
    at_once_max: u32,
    refill: Duration,
    filled_at: Instant,
}

impl Allowance {
    /// Makes a full one: `at_once_max` at once, and one more each `refill`.
    pub const fn new(at_once_max: u32, refill: Duration, now: Instant) -> Self {
        Self { left: at_once_max, at_once_max, refill, filled_at: now }
    }

    /// Takes one, if there is one left.
    pub fn take(&mut self, now: Instant) -> bool {
        let waited = now.saturating_duration_since(self.filled_at);
        let more = u32::try_from(waited.as_nanos() / self.refill.as_nanos().max(1)).unwrap_or(u32::MAX);
        if more >= self.at_once_max - self.left {
            (self.left, self.filled_at) = (self.at_once_max, now);
        } else {
            (self.left, self.filled_at) = (self.left + more, self.filled_at + self.refill * more);
        }
        let is_left = self.left > 0;
        self.left -= u32::from(is_left);
        is_left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_at_once_and_so_many_a_second() {
        let start = Instant::now();
        let mut allowance = Allowance::new(3, Duration::from_millis(100), start);
        let mut taken = |after_ms| allowance.take(start + Duration::from_millis(after_ms));
        assert_eq!([0, 0, 0, 0, 99].map(&mut taken), [true, true, true, false, false]);
        assert_eq!([100, 150, 199, 200, 201].map(&mut taken), [true, false, false, true, false]);
        assert_eq!([10_000, 10_000, 10_000, 10_000].map(&mut taken), [true, true, true, false]);
    }
}
