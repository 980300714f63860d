//! When a service manager's watchdog is fed: after a round in which everybody has answered, and never else.
//!
//! Pure: time is an argument. A round begins a third of the allowed time after the last one was answered; it asks
//! everybody once and waits for all of them. Whoever has neither answered nor moved on in its work after another third
//! is named, so that the log says why before the manager kills; if the answer comes after all, the watchdog is fed late
//! rather than never. A work may last as long as it likes while it moves: compacting years of history takes a while.

use std::time::{Duration, Instant};

/// The shortest time between two rounds, however little the manager allows: each wakes every asked actor.
const EVERY_MIN: Duration = Duration::from_millis(100);

/// Returns what the manager allows between two signs of life, as `WATCHDOG_USEC` and `WATCHDOG_PID` say.
///
/// None without a watchdog, with one for another process, and for what is no number.
pub fn allowed(usec: Option<&str>, pid: Option<&str>, own_pid: u32) -> Option<Duration> {
    let is_ours = pid.is_none_or(|pid| pid.parse() == Ok(own_pid));
    let usec = usec?.parse().ok().filter(|usec| *usec > 0 && is_ours)?;
    Some(Duration::from_micros(usec))
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Ask everybody.
    Ask,
    /// Feed the manager's watchdog; what was stuck is stuck no more.
    Alive,
    /// These neither answer nor move: say so, if it was not said yet.
    Stuck(Vec<&'static str>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Round {
    /// The next one begins then.
    Resting { until: Instant },
    /// Some have not answered, each by its place and how far its work was; looked at when the moment has come.
    Asking { until: Instant, missing: Vec<(usize, u64)> },
}

/// Asks in rounds. See the module.
#[derive(Debug)]
pub struct Watchdog {
    every: Duration,
    members: Vec<&'static str>,
    round: Round,
}

impl Watchdog {
    /// Makes one that asks these members, for a manager that allows so much; the first round begins at once.
    pub fn new(allowed: Duration, members: Vec<&'static str>, now: Instant) -> Self {
        Self { every: (allowed / 3).max(EVERY_MIN), members, round: Round::Resting { until: now } }
    }

    /// Returns when [`on_timeout`](Self::on_timeout) is due.
    pub const fn deadline(&self) -> Instant {
        match &self.round {
            Round::Resting { until } | Round::Asking { until, .. } => *until,
        }
    }

    /// Begins a round, or looks at those who have not answered; `moves` tells how far the work of a member is.
    pub fn on_timeout(&mut self, now: Instant, moves: impl Fn(usize) -> u64) -> Option<Output> {
        if now < self.deadline() {
            return None;
        }
        match &mut self.round {
            Round::Resting { .. } => {
                let missing = (0..self.members.len()).map(|place| (place, moves(place))).collect();
                self.round = Round::Asking { until: now + self.every, missing };
                Some(Output::Ask)
            }
            Round::Asking { until, missing } => {
                *until = now + self.every;
                let mut stuck = Vec::new();
                for (place, moved) in missing {
                    let before = std::mem::replace(moved, moves(*place));
                    if before == *moved {
                        stuck.push(self.members[*place]);
                    }
                }
                Some(if stuck.is_empty() { Output::Alive } else { Output::Stuck(stuck) })
            }
        }
    }

    /// Takes the answer of the member at that place.
    pub fn on_answer(&mut self, place: usize, now: Instant) -> Option<Output> {
        let Round::Asking { missing, .. } = &mut self.round else { return None };
        missing.retain(|(missing, _)| *missing != place);
        if !missing.is_empty() {
            return None;
        }
        self.round = Round::Resting { until: now + self.every };
        Some(Output::Alive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: Duration = Duration::from_secs(30);
    const THIRD: Duration = Duration::from_secs(10);

    /// Nobody's work is further than before.
    const fn still(_: usize) -> u64 {
        0
    }

    #[test]
    fn only_a_whole_round_feeds_it() {
        let now = Instant::now();
        let mut watchdog = Watchdog::new(ALLOWED, vec!["root", "store", "query"], now);
        assert_eq!(watchdog.deadline(), now, "the first round begins at once");
        assert_eq!(watchdog.on_timeout(now, still), Some(Output::Ask));
        assert_eq!(watchdog.on_answer(0, now), None);
        assert_eq!(watchdog.on_answer(0, now), None, "one answer twice is no other's");
        assert_eq!(watchdog.on_answer(2, now), None);
        let later = now + Duration::from_secs(3);
        assert_eq!(watchdog.on_answer(1, later), Some(Output::Alive));
        assert_eq!(watchdog.on_answer(1, later), None, "the round is over");
        assert_eq!(watchdog.deadline(), later + THIRD);
        assert_eq!(watchdog.on_timeout(later + THIRD / 2, still), None);
        assert_eq!(watchdog.on_timeout(later + THIRD, still), Some(Output::Ask));
    }

    #[test]
    fn the_stuck_are_named_and_may_come_back() {
        let now = Instant::now();
        let mut watchdog = Watchdog::new(ALLOWED, vec!["root", "store", "query"], now);
        assert_eq!(watchdog.on_timeout(now, still), Some(Output::Ask));
        assert_eq!(watchdog.on_answer(1, now), None);
        assert_eq!(watchdog.on_timeout(now + THIRD, still), Some(Output::Stuck(vec!["root", "query"])));
        assert_eq!(watchdog.on_answer(0, now + THIRD), None);
        assert_eq!(watchdog.on_timeout(now + THIRD * 2, still), Some(Output::Stuck(vec!["query"])));
        assert_eq!(watchdog.on_answer(2, now + THIRD * 2), Some(Output::Alive));
    }

    #[test]
    fn a_work_that_moves_may_take_long_and_one_that_stands_may_not() {
        let now = Instant::now();
        let mut watchdog = Watchdog::new(ALLOWED, vec!["root", "store"], now);
        assert_eq!(watchdog.on_timeout(now, still), Some(Output::Ask));
        assert_eq!(watchdog.on_answer(0, now), None);
        for round in 1..100 {
            let moves = |place| if place == 1 { u64::from(round) } else { 0 };
            assert_eq!(watchdog.on_timeout(now + THIRD * round, moves), Some(Output::Alive));
        }
        let stands = |place| if place == 1 { 99 } else { 0 };
        assert_eq!(watchdog.on_timeout(now + THIRD * 100, stands), Some(Output::Stuck(vec!["store"])));
        // What moves covers nobody else.
        assert_eq!(watchdog.on_answer(1, now + THIRD * 101), Some(Output::Alive));
        assert_eq!(watchdog.on_timeout(now + THIRD * 102, stands), Some(Output::Ask));
        let moves = |place| if place == 1 { 100 } else { 0 };
        assert_eq!(watchdog.on_timeout(now + THIRD * 103, moves), Some(Output::Stuck(vec!["root"])));
    }

    #[test]
    fn a_work_of_half_the_allowed_time_costs_nothing() {
        let mut now = Instant::now();
        let mut watchdog = Watchdog::new(ALLOWED, vec!["store"], now);
        let mut fed = now;
        for _ in 0..100 {
            assert_eq!(watchdog.on_timeout(now, still), Some(Output::Ask));
            // It answers when its work is done, behind which the question waits.
            now += ALLOWED / 2;
            assert_eq!(watchdog.on_answer(0, now), Some(Output::Alive));
            assert!(now - fed < ALLOWED, "the manager has waited for {:?}", now - fed);
            fed = now;
            now = watchdog.deadline();
        }
    }

    #[test]
    fn the_manager_says_how_long() {
        let allowed = |usec, pid| allowed(usec, pid, 7);
        assert_eq!(allowed(Some("30000000"), Some("7")), Some(ALLOWED));
        assert_eq!(allowed(Some("30000000"), None), Some(ALLOWED));
        for (usec, pid) in
            [(None, None), (None, Some("7")), (Some("30000000"), Some("8")), (Some("1"), Some(""))]
        {
            assert_eq!(allowed(usec, pid), None, "{usec:?} {pid:?}");
        }
        for usec in ["0", "-1", "", "30s", "99999999999999999999999999"] {
            assert_eq!(allowed(Some(usec), None), None, "{usec}");
        }
    }
}
