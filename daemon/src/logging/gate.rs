//! How much of one class is logged: a flood of one is counted, so that the journal does not drop the others.
//!
//! The journal lets each service say 10,000 entries in 30 seconds, by default, and drops whatever comes then, grave or
//! not. Here each class has a bucket of its own; what does not fit is counted and told in one line.

use std::time::{Duration, Instant};

use super::Class;

/// Entries of one class that may come at once.
pub const BURST: u32 = 40;

/// How long it takes until one more may come.
pub const REFILL: Duration = Duration::from_secs(1);

/// How long what was held back is counted before it is told.
pub const TELL_AFTER: Duration = Duration::from_secs(30);

/// Entries that the journal takes of one service in 30 seconds: `RateLimitBurst` of journald.conf(5).
#[cfg(test)]
const JOURNAL_BURST: usize = 10_000;

/// What becomes of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// It is logged.
    Open,
    /// It is counted.
    Held,
}

/// So many of one class were held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The class; none for what libraries say.
    pub class: Option<Class>,
    /// How many.
    pub count: u64,
}

/// The buckets of all classes, and of what libraries say.
#[derive(Debug, Default)]
pub struct Gate {
    buckets: std::collections::BTreeMap<Option<Class>, Bucket>,
}

#[derive(Debug)]
struct Bucket {
    left: u32,
    /// When `left` was right.
    since: Instant,
    held: u64,
    /// When what is held is told.
    due: Instant,
}

impl Gate {
    /// Decides over one entry.
    pub fn pass(&mut self, class: Option<Class>, now: Instant) -> Passage {
        let fresh = Bucket { left: BURST, since: now, held: 0, due: now };
        let bucket = self.buckets.entry(class).or_insert(fresh);
        bucket.fill(now);
        // What follows held ones waits until they are told, so that the count stands where they would have stood.
        if bucket.left > 0 && bucket.held == 0 {
            bucket.left -= 1;
            return Passage::Open;
        }
        if bucket.held == 0 {
            bucket.due = now + TELL_AFTER;
        }
        bucket.held += 1;
        Passage::Held
    }

    /// Returns when there is something to be told.
    pub fn due(&self) -> Option<Instant> {
        self.buckets.values().filter(|bucket| bucket.held > 0).map(|bucket| bucket.due).min()
    }

    /// Returns what is to be told now, and forgets it.
    pub fn tell(&mut self, now: Instant) -> Vec<Held> {
        self.tell_if(|bucket| bucket.due <= now)
    }

    /// Returns whatever is held, at the end.
    pub fn tell_all(&mut self) -> Vec<Held> {
        self.tell_if(|_| true)
    }

    fn tell_if(&mut self, is_due: impl Fn(&Bucket) -> bool) -> Vec<Held> {
        let held = self.buckets.iter_mut().filter(|(_, bucket)| bucket.held > 0 && is_due(bucket));
        held.map(|(class, bucket)| Held { class: *class, count: std::mem::take(&mut bucket.held) }).collect()
    }
}

impl Bucket {
    fn fill(&mut self, now: Instant) {
        let filled = now.saturating_duration_since(self.since).as_secs() / REFILL.as_secs();
        let filled = u32::try_from(filled).unwrap_or(u32::MAX);
        if filled > 0 {
            self.left = self.left.saturating_add(filled).min(BURST);
            self.since += REFILL * filled;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOODED: Option<Class> = Some(Class::ClientForeign);

    fn passed(gate: &mut Gate, count: u32, now: Instant) -> u32 {
        (0..count).map(|_| u32::from(gate.pass(FLOODED, now) == Passage::Open)).sum()
    }

    #[test]
    fn a_flood_of_one_class_is_counted_and_others_pass() {
        let (mut gate, now) = (Gate::default(), Instant::now());
        assert_eq!(passed(&mut gate, 1_000, now), BURST);
        assert_eq!(gate.pass(Some(Class::Paired), now), Passage::Open);
        assert_eq!(gate.due(), Some(now + TELL_AFTER));
        assert_eq!(gate.tell(now + TELL_AFTER - Duration::from_millis(1)), []);
        assert_eq!(gate.tell(now + TELL_AFTER), [Held { class: FLOODED, count: 1_000 - u64::from(BURST) }]);
        assert_eq!((gate.due(), gate.tell_all()), (None, Vec::new()));
    }

    #[test]
    fn a_bucket_fills_again_and_no_further() {
        let (mut gate, now) = (Gate::default(), Instant::now());
        assert_eq!(passed(&mut gate, BURST, now), BURST);
        assert_eq!(passed(&mut gate, 10, now + 3 * REFILL), 3);
        gate.tell_all();
        assert_eq!(passed(&mut gate, 1_000, now + Duration::from_secs(86_400)), BURST);
        // A clock that stands still or is asked out of order gives nothing.
        gate.tell_all();
        assert_eq!(passed(&mut gate, 10, now), 0);
    }

    #[test]
    fn the_journal_takes_all_that_all_classes_can_say() {
        let in_window = (BURST as usize) + (30 / REFILL.as_secs() as usize);
        assert!((Class::ALL.len() + 1) * in_window <= JOURNAL_BURST);
    }
}
