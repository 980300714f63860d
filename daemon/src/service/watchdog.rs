//! When a service manager's watchdog is fed: after a round in which everybody has answered, and never else.
//!
//! Pure: time is an argument. A round begins a third of the allowed time after the last one was answered; it asks
//! everybody once and waits for all of them. Whoever has not answered after another third is named, so that the log
//! says why before the manager kills; if the answer comes after all, the watchdog is fed late rather than never.

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
    /// These do not answer: say so.
    Stuck(Vec<&'static str>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Round {
    /// The next one begins then.
    Resting { until: Instant },
    /// Some have not answered, each by its place; named once the moment has come.
    Asking { named_at: Option<Instant>, missing: Vec<usize> },
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

    /// Returns when [`on_timeout`](Self::on_timeout) is due; `None` while only answers are waited for.
    pub const fn deadline(&self) -> Option<Instant> {
        match &self.round {
            Round::Resting { until } => Some(*until),
            Round::Asking { named_at, .. } => *named_at,
        }
    }

    /// Begins a round, or names who has not answered.
    pub fn on_timeout(&mut self, now: Instant) -> Option<Output> {
        match &mut self.round {
            Round::Resting { until } if *until <= now => {
                let missing = (0..self.members.len()).collect();
                self.round = Round::Asking { named_at: Some(now + self.every), missing };
                Some(Output::Ask)
            }
            Round::Asking { named_at, missing } if named_at.is_some_and(|at| at <= now) => {
                *named_at = None;
                Some(Output::Stuck(missing.iter().map(|place| self.members[*place]).collect()))
            }
            Round::Resting { .. } | Round::Asking { .. } => None,
        }
    }

    /// Takes the answer of the member at that place.
    pub fn on_answer(&mut self, place: usize, now: Instant) -> Option<Output> {
        let Round::Asking { missing, .. } = &mut self.round else { return None };
        missing.retain(|missing| *missing != place);
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

    #[test]
    fn only_a_whole_round_feeds_it() {
        let now = Instant::now();
        let mut watchdog = Watchdog::new(ALLOWED, vec!["root", "store", "query"], now);
        assert_eq!(watchdog.deadline(), Some(now), "the first round begins at once");
        assert_eq!(watchdog.on_timeout(now), Some(Output::Ask));
        assert_eq!(watchdog.on_answer(0, now), None);
        assert_eq!(watchdog.on_answer(0, now), None, "one answer twice is no other's");
        assert_eq!(watchdog.on_answer(2, now), None);
        let later = now + Duration::from_secs(3);
        assert_eq!(watchdog.on_answer(1, later), Some(Output::Alive));
        assert_eq!(watchdog.on_answer(1, later), None, "the round is over");
        assert_eq!(watchdog.deadline(), Some(later + THIRD));
        assert_eq!(watchdog.on_timeout(later + THIRD / 2), None);
        assert_eq!(watchdog.on_timeout(later + THIRD), Some(Output::Ask));
    }

    #[test]
    fn the_stuck_are_named_once_and_may_come_back() {
        let now = Instant::now();
        let mut watchdog = Watchdog::new(ALLOWED, vec!["root", "store", "query"], now);
        assert_eq!(watchdog.on_timeout(now), Some(Output::Ask));
        assert_eq!(watchdog.on_answer(1, now), None);
        assert_eq!(watchdog.deadline(), Some(now + THIRD));
        assert_eq!(watchdog.on_timeout(now + THIRD), Some(Output::Stuck(vec!["root", "query"])));
        assert_eq!(watchdog.deadline(), None, "they are waited for without a timer");
        assert_eq!(watchdog.on_timeout(now + ALLOWED), None);
        assert_eq!(watchdog.on_answer(0, now + THIRD), None);
        assert_eq!(watchdog.on_answer(2, now + THIRD * 2), Some(Output::Alive));
    }

    #[test]
    fn a_work_of_half_the_allowed_time_costs_nothing() {
        let mut now = Instant::now();
        let mut watchdog = Watchdog::new(ALLOWED, vec!["store"], now);
        let mut fed = now;
        for _ in 0..100 {
            assert_eq!(watchdog.on_timeout(now), Some(Output::Ask));
            // It answers when its work is done, behind which the question waits.
            now += ALLOWED / 2;
            assert_eq!(watchdog.on_answer(0, now), Some(Output::Alive));
            assert!(now - fed < ALLOWED, "the manager has waited for {:?}", now - fed);
            fed = now;
            now = watchdog.deadline().expect("the next round has its time");
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
