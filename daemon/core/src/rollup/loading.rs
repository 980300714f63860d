//! A roll-up of the log as it is loaded: from its newest end, outcomes before their events.

use std::collections::BTreeMap;

use super::{Delta, Rollup, Sign};
use crate::search::{Batch, BriefOutcome, Entry, Key};

impl Delta {
    /// Returns what a row of the search adds; its risk is not among what the search keeps.
    pub fn entered(entry: &Entry<'_>) -> Self {
        Self {
            sign: Sign::Added,
            started_at: entry.started_at,
            category: entry.category,
            tools: entry.tools.into(),
            risk: None,
            exit: entry.outcome.exit,
            duration: entry.outcome.duration,
        }
    }
}

/// Rolls up what the log yields while it is loaded, part by part.
///
/// Knows the outcomes whose events lie further back: as many as commands that ended in another
/// segment than they started in.
#[derive(Debug, Default)]
pub struct Loading {
    outcomes: BTreeMap<Key, BriefOutcome>,
    part: Rollup,
}

impl Loading {
    /// Takes in an outcome whose event comes later.
    pub fn outcome(&mut self, key: Key, outcome: BriefOutcome) {
        // From the newest end, the first outcome of an event is the last that was written.
        self.outcomes.entry(key).or_insert(outcome);
    }

    /// Takes in events, each with the outcome that came before it, if one did.
    pub fn added(&mut self, batch: &Batch) {
        for mut entry in batch.iter() {
            if let Some(outcome) = self.outcomes.remove(&(entry.shell.id, entry.sequence)) {
                entry.outcome = outcome;
            }
            self.part.apply(&Delta::entered(&entry));
        }
    }

    /// Returns the roll-up of what was taken in since the last part.
    pub fn part(&mut self) -> Rollup {
        std::mem::take(&mut self.part)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use karo_protocol::{Category, Micros, Shell, ShellId, ShellKind, State, Timestamp};

    use super::*;
    use crate::search::Position;

    const RUNNING: BriefOutcome =
        BriefOutcome { state: State::Running, duration: None, exit: None, position: None };

    fn batch(sequences: &[u64]) -> Batch {
        let shell = Arc::new(Shell {
            kind: ShellKind::Zsh,
            id: ShellId::from_bytes([7; 16]),
            user: String::new(),
            host: String::new(),
            tty: None,
            is_remote: false,
            parent: None,
            process: None,
        });
        let mut batch = Batch::default();
        for sequence in sequences.iter().copied() {
            batch.push(Entry {
                position: Position(sequence as u32),
                shell: &shell,
                sequence,
                command: b"make",
                cwd: b"/",
                started_at: Timestamp::from_micros(sequence as i64),
                category: Category::Build,
                tools: b"make",
                outcome: RUNNING,
            });
        }
        batch
    }

    #[test]
    fn an_outcome_waits_for_its_event_across_parts() {
        let key = (ShellId::from_bytes([7; 16]), 1);
        let failed =
            BriefOutcome { state: State::Ended, duration: Some(Micros(3)), exit: Some(2), position: None };
        let mut loading = Loading::default();
        loading.outcome(key, failed);
        loading.outcome(key, RUNNING);
        loading.added(&batch(&[2]));
        let mut whole = loading.part();
        assert_eq!(whole.iter().map(|(_, cell)| cell.total().failed).sum::<i64>(), 0);
        loading.added(&batch(&[1]));
        whole.merge(&loading.part());
        let totals: Vec<_> = whole.iter().map(|(_, cell)| cell.total()).collect();
        assert_eq!(
            totals.iter().map(|total| (total.events, total.failed, total.timed)).collect::<Vec<_>>(),
            [(2, 1, 1)]
        );
        assert!(loading.part().is_empty());
    }
}
