//! Makes one entry of many alike: under a flood the audit grows by some entries a minute, not by one a deed.
//!
//! The first ones of a kind go through at once, so that nobody waits to read of them. What comes behind them within
//! the minute is counted, and goes through as one when the minute is over. Pure: time is an argument.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long alike deeds are counted before they become an entry.
const WINDOW: Duration = Duration::from_secs(60);

/// How much goes through a gate.
#[derive(Debug, Clone, Copy)]
pub struct Width {
    /// How many of a kind go through in each window.
    pub at_once_max: u32,
    /// Kinds that are counted apart; further ones are counted together, under the last word of [`Floodgate::offer`].
    pub kinds_max: usize,
}

/// Counts what is alike. `K` says what is.
#[derive(Debug)]
pub struct Floodgate<K> {
    width: Width,
    open: BTreeMap<K, Window>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    until: Instant,
    passed: u32,
    count: u64,
}

impl Window {
    fn begin(now: Instant) -> Self {
        Self { until: now + WINDOW, passed: 0, count: 0 }
    }
}

impl<K: Ord + Clone> Floodgate<K> {
    /// Makes one that has seen nothing.
    pub const fn new(width: Width) -> Self {
        Self { width, open: BTreeMap::new() }
    }

    /// Takes one of a kind, or of `rest` when there are too many kinds. Returns the kind if it is to be written down
    /// at once.
    pub fn offer(&mut self, kind: K, rest: K, now: Instant) -> Option<K> {
        let kind =
            if self.open.len() < self.width.kinds_max || self.open.contains_key(&kind) { kind } else { rest };
        let window = self.open.entry(kind.clone()).or_insert_with(|| Window::begin(now));
        if window.passed < self.width.at_once_max {
            window.passed += 1;
            return Some(kind);
        }
        window.count += 1;
        None
    }

    /// Returns the kinds whose minute is over, with how many came in it; one that is still coming gets another minute.
    pub fn due(&mut self, now: Instant) -> Vec<(K, u64)> {
        self.take(|window| window.until <= now, now)
    }

    /// Returns everything that was counted, before the end.
    pub fn rest(&mut self, now: Instant) -> Vec<(K, u64)> {
        self.take(|_| true, now)
    }

    fn take(&mut self, is_over: impl Fn(&Window) -> bool, now: Instant) -> Vec<(K, u64)> {
        let mut counted = Vec::new();
        let passed = self.width.at_once_max;
        self.open.retain(|kind, window| {
            if !is_over(window) {
                return true;
            }
            let is_coming = window.count > 0;
            if is_coming {
                counted.push((kind.clone(), window.count));
            }
            *window = Window { passed, ..Window::begin(now) };
            is_coming
        });
        counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: Width = Width { at_once_max: 8, kinds_max: 256 };

    #[test]
    fn a_flood_is_a_few_entries_and_then_one_a_minute() {
        let begun = Instant::now();
        let mut gate = Floodgate::new(WIDTH);
        let mut written = 0;
        for tenth in 0..6000_u32 {
            let now = begun + Duration::from_millis(100) * tenth;
            written += u64::from(gate.offer('a', '*', now).is_some());
            written += gate.due(now).len() as u64;
        }
        assert!((17..=18).contains(&written), "{written}");
        let counted = gate.rest(begun + Duration::from_secs(600));
        assert!(counted.len() <= 1 && gate.rest(begun + Duration::from_secs(600)).is_empty());
    }

    #[test]
    fn nothing_is_lost_in_the_counting() {
        let begun = Instant::now();
        let mut gate = Floodgate::new(WIDTH);
        let mut counted = 0;
        for second in 0..1000_u32 {
            let now = begun + Duration::from_secs(1) * second;
            let kind = second % 3;
            counted += u64::from(gate.offer(kind, 99, now).is_some());
            counted += gate.due(now).iter().map(|(_, count)| count).sum::<u64>();
        }
        counted += gate.rest(begun + Duration::from_secs(1000)).iter().map(|(_, count)| count).sum::<u64>();
        assert_eq!(counted, 1000);
    }

    #[test]
    fn too_many_kinds_are_counted_together() {
        let now = Instant::now();
        let mut gate = Floodgate::new(WIDTH);
        let at_once = (0..10_000_usize).filter(|kind| gate.offer(*kind, usize::MAX, now).is_some()).count();
        assert_eq!(at_once, WIDTH.kinds_max + WIDTH.at_once_max as usize);
        assert!(gate.open.len() <= WIDTH.kinds_max + 1);
        let all: u64 = gate.rest(now).iter().map(|(_, count)| count).sum();
        assert_eq!(all + at_once as u64, 10_000);
    }
}
