//! What is counted while the daemon runs: shared numbers, each written in one place.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use karo_protocol::local::{Intake, Verdict};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Returns it.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All counters of one daemon, since its start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Events on disk.
    pub committed: Counter,
    /// Observations that were on disk before.
    pub duplicates: Counter,
    /// Observations that a rule of the user keeps out.
    pub ignored: Counter,
    /// Observations refused because too much was waiting.
    pub busy: Counter,
    /// Observations that could not be kept.
    pub failed: Counter,
    /// Observations that came through a spool and are settled.
    pub spooled: Counter,
    /// Records that hooks could put nowhere.
    pub dropped: Counter,
    /// Connections of other users.
    pub refused_foreign: Counter,
    /// Frames that were no messages of ours.
    pub malformed: Counter,
    /// Sessions that ever began.
    pub sessions_begun: Counter,
    /// Sessions open at this moment.
    pub sessions: AtomicU32,
}

impl Counters {
    /// Counts what became of observations.
    pub fn verdicts(&self, verdicts: &[Verdict]) {
        for verdict in verdicts {
            match verdict {
                Verdict::Committed => self.committed.add(1),
                Verdict::Duplicate => self.duplicates.add(1),
                Verdict::Ignored => self.ignored.add(1),
                Verdict::Busy => self.busy.add(1),
                Verdict::Failed => self.failed.add(1),
            }
        }
    }

    /// Returns what came in, as `status` shows it.
    pub fn intake(&self) -> Intake {
        Intake {
            committed: self.committed.count(),
            duplicates: self.duplicates.count(),
            ignored: self.ignored.count(),
            busy: self.busy.count(),
            failed: self.failed.count(),
            spooled: self.spooled.count(),
            dropped: self.dropped.count(),
        }
    }
}
