//! What was acknowledged, kept outside the daemon.

use std::collections::BTreeMap;

use karo_protocol::event::Event;
use karo_protocol::local::Verdict;
use karo_protocol::{Observation, ShellId};

/// Every observation that was sent, and whether the daemon said that it is kept.
#[derive(Debug, Default)]
pub struct Ledger {
    sent: BTreeMap<(ShellId, u64), Entry>,
}

#[derive(Debug)]
struct Entry {
    text: Vec<u8>,
    is_acknowledged: bool,
}

/// What a comparison of the ledger with a store found; all zero but `kept` and `found` when nothing is wrong.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Acknowledged and in the store.
    pub kept: usize,
    /// In the store at all.
    pub found: usize,
    /// Acknowledged and not in the store.
    pub lost: usize,
    /// The first of those, as shell and sequence.
    pub lost_first: Option<(ShellId, u64)>,
    /// In the store more than once.
    pub twice: usize,
    /// In the store with another text than was sent, or never sent.
    pub torn: usize,
}

impl Ledger {
    /// Notes an observation that is about to be sent.
    pub fn sends(&mut self, observation: &Observation) {
        let key = (observation.shell.id, observation.sequence);
        let text = observation.command.as_bytes().to_vec();
        self.sent.entry(key).or_insert(Entry { text, is_acknowledged: false });
    }

    /// Notes what the daemon said of it.
    pub fn hears(&mut self, shell: ShellId, sequence: u64, verdict: Verdict) {
        let is_kept = matches!(verdict, Verdict::Committed | Verdict::Duplicate);
        if let Some(entry) = self.sent.get_mut(&(shell, sequence)) {
            entry.is_acknowledged |= is_kept;
        }
    }

    /// Takes over what another ledger noted.
    pub fn absorb(&mut self, other: Self) {
        for (key, entry) in other.sent {
            let own = self.sent.entry(key).or_insert(Entry { text: entry.text, is_acknowledged: false });
            own.is_acknowledged |= entry.is_acknowledged;
        }
    }

    /// Returns how many were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.sent.values().filter(|entry| entry.is_acknowledged).count()
    }

    /// Compares with what a store gave back.
    pub fn compare(&self, events: &[Event]) -> Comparison {
        let mut seen: BTreeMap<(ShellId, u64), usize> = BTreeMap::new();
        let mut comparison = Comparison { found: events.len(), ..Comparison::default() };
        for event in events {
            let key = (event.shell.id, event.sequence);
            *seen.entry(key).or_default() += 1;
            let is_as_sent = self.sent.get(&key).is_some_and(|entry| entry.text == event.command.as_bytes());
            comparison.torn += usize::from(!is_as_sent);
        }
        comparison.twice = seen.values().filter(|count| **count > 1).count();
        let kept = |(key, entry): &(&(ShellId, u64), &Entry)| entry.is_acknowledged && seen.contains_key(key);
        comparison.kept = self.sent.iter().filter(kept).count();
        comparison.lost = self.acknowledged() - comparison.kept;
        let lost =
            |(key, entry): &(&(ShellId, u64), &Entry)| entry.is_acknowledged && !seen.contains_key(key);
        comparison.lost_first = self.sent.iter().find(lost).map(|(key, _)| *key);
        comparison
    }
}
