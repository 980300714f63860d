//! How long a link waits before it dials again.
//!
//! 1, 2, 4 … 60 s after a failure, 30 … 300 s after a refusal. Chance only shortens it, to a half at the least, so
//! that two hundred peers of a machine that restarts do not dial it in one instant.

use std::time::Duration;

/// What the first failure costs.
const FIRST: Duration = Duration::from_secs(1);

/// The longest wait after a failure.
const LONGEST: Duration = Duration::from_secs(60);

/// What the first refusal costs: a person has to do something first.
const REFUSED_FIRST: Duration = Duration::from_secs(30);

/// The longest wait after a refusal.
const REFUSED_LONGEST: Duration = Duration::from_secs(300);

/// How far the wait has grown when the network is another: its failures were those of the old one.
const ATTEMPT_AFTER_WAKE: u32 = 3;

/// Counts failures in a row, and draws the waits between them.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    attempt: u32,
    refusals: u32,
    chance: u64,
}

impl Backoff {
    /// Makes one whose draws all follow from the seed.
    pub(super) const fn new(seed: u64) -> Self {
        Self { attempt: 0, refusals: 0, chance: seed }
    }

    /// Returns how long to wait after one more failure, or refusal.
    pub(super) fn next(&mut self, is_refusal: bool) -> Duration {
        let whole = if is_refusal {
            grown(REFUSED_FIRST, REFUSED_LONGEST, &mut self.refusals)
        } else {
            self.refusals = 0;
            grown(FIRST, LONGEST, &mut self.attempt)
        };
        whole.mul_f64(0.5 + self.draw() / 2.0)
    }

    /// Begins anew: the link stood for a while, or a person asked.
    pub(super) const fn reset(&mut self) {
        self.attempt = 0;
        self.refusals = 0;
    }

    /// Shortens the next waits: the network is another.
    pub(super) fn wake(&mut self) {
        self.attempt = self.attempt.min(ATTEMPT_AFTER_WAKE);
        self.refusals = 0;
    }

    /// Draws from 0 to 1 (SplitMix64: Steele, Lea, Flood 2014). Nothing secret depends on it.
    fn draw(&mut self) -> f64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.chance;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 31 ^ mixed) as f64 / u64::MAX as f64
    }
}

fn grown(first: Duration, longest: Duration, count: &mut u32) -> Duration {
    let wait = first.saturating_mul(1_u32.checked_shl(*count).unwrap_or(u32::MAX)).min(longest);
    *count = count.saturating_add(1);
    wait
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_chance_only_shortens_them() {
        for seed in 0..100 {
            let mut backoff = Backoff::new(seed);
            for whole in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
                let wait = backoff.next(false);
                let whole = Duration::from_secs(whole);
                assert!(wait <= whole && wait >= whole / 2, "seed {seed}: {wait:?} of {whole:?}");
            }
            for whole in [30, 60, 120, 240, 300, 300] {
                let wait = backoff.next(true);
                let whole = Duration::from_secs(whole);
                assert!(wait <= whole && wait >= whole / 2, "seed {seed}: {wait:?} of {whole:?}");
            }
            backoff.wake();
            assert!(backoff.next(false) <= Duration::from_secs(8));
            backoff.reset();
            assert!(backoff.next(false) <= Duration::from_secs(1));
        }
    }

    #[test]
    fn seeds_draw_apart() {
        let first = |seed| Backoff::new(seed).next(false);
        assert_ne!(first(1), first(2));
        assert_eq!(first(1), first(1));
        let mut tireless = Backoff::new(0);
        assert!((0..100).all(|_| tireless.next(false) <= LONGEST));
    }
}
