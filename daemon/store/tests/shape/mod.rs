//! Events for tests, and a search so plain that it cannot be wrong.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::BTreeMap;

use karo_core::search::{Change, Key, Position};
use karo_protocol::event::Understanding;
use karo_protocol::observation::Ending;
use karo_protocol::{
    Bytes, Category, Event, EventId, Micros, Outcome, Precision, RedactedCommand, Shell, ShellId, ShellKind,
    State, Timestamp,
};
use karo_store::log::Reader;

/// Returns the moment that many seconds after some day.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_790_000_000 + seconds) * 1_000_000)
}

pub(crate) fn shell(number: u8) -> Shell {
    Shell {
        kind: ShellKind::Bash,
        id: ShellId::from_bytes([number; 16]),
        user: "ada".into(),
        host: "desk".into(),
        tty: Some("pts/3".into()),
        is_remote: false,
        parent: None,
        process: None,
    }
}

pub(crate) fn start() -> Outcome {
    Outcome::Running
}

pub(crate) fn lost() -> Outcome {
    Outcome::Lost
}

pub(crate) fn end(exit: Option<i32>) -> Outcome {
    Outcome::Ended(Ending { duration: Some(Micros(1500)), exit, pipestatus: vec![0, 2] })
}

pub(crate) fn event(shell: &Shell, sequence: u64, command: &str, outcome: Outcome) -> Event {
    Event {
        id: EventId::default(),
        shell: shell.clone(),
        sequence,
        command: RedactedCommand::restored(Bytes::from(command), false),
        redactions: Vec::new(),
        cwd: Bytes::from("/home/ada"),
        is_cwd_truncated: false,
        started_at: at(sequence as i64),
        precision: Precision::Micro,
        outcome,
        understanding: Understanding {
            category: Category::Build,
            categories: [Category::Build].into_iter().collect(),
            tools: vec!["make".into()],
            risk: None,
            rules: Vec::new(),
            version: 1,
            axis: None,
        },
    }
}

/// What a search knows of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) position: Position,
    pub(crate) state: State,
    pub(crate) outcome: Option<Position>,
}

/// Applies changes one by one, in plain maps.
#[derive(Debug, Clone, Default)]
pub(crate) struct Search {
    pub(crate) events: BTreeMap<Key, Known>,
    early: BTreeMap<Key, (State, Option<Position>)>,
    /// The last text that it was told of events that were made anew.
    pub(crate) revised: BTreeMap<Key, Vec<u8>>,
}

pub(crate) const fn rank(state: State) -> u8 {
    match state {
        State::Running => 0,
        State::Lost => 1,
        State::Ended => 2,
    }
}

impl Search {
    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::Added(batch) => {
                for entry in batch.iter() {
                    let key = (entry.shell.id, entry.sequence);
                    let mut known =
                        Known { position: entry.position, state: entry.outcome.state, outcome: None };
                    if let Some((state, outcome)) = self.early.remove(&key)
                        && rank(state) > rank(known.state)
                    {
                        (known.state, known.outcome) = (state, outcome);
                    }
                    assert_eq!(self.events.insert(key, known), None, "added twice");
                }
            }
            Change::Outcome { key, outcome } => match self.events.get_mut(key) {
                Some(known) if rank(outcome.state) > rank(known.state) => {
                    (known.state, known.outcome) = (outcome.state, outcome.position);
                }
                Some(_) => {}
                None => {
                    let early = self.early.entry(*key).or_insert((outcome.state, outcome.position));
                    if rank(outcome.state) > rank(early.0) {
                        *early = (outcome.state, outcome.position);
                    }
                }
            },
            Change::Removed(positions) => {
                self.events.retain(|_, known| !positions.contains(&known.position));
            }
            Change::Revised(batch) => {
                for entry in batch.iter() {
                    let known = self.events.get(&(entry.shell.id, entry.sequence));
                    assert_eq!(known.map(|known| known.position), Some(entry.position), "it lies elsewhere");
                    self.revised.insert((entry.shell.id, entry.sequence), entry.command.to_vec());
                }
            }
            Change::Moved(moves) => {
                let moves: BTreeMap<Position, Position> = moves.iter().copied().collect();
                for known in self.events.values_mut() {
                    known.position = moves.get(&known.position).copied().unwrap_or(known.position);
                    known.outcome =
                        known.outcome.map(|outcome| moves.get(&outcome).copied().unwrap_or(outcome));
                }
            }
        }
    }

    /// Reads every event back, in the order of shell and sequence.
    pub(crate) fn read(&self, reader: &Reader) -> Vec<Event> {
        let positions: Vec<_> = self.events.values().map(|known| (known.position, known.outcome)).collect();
        reader.events(&positions).into_iter().map(|event| event.expect("it can be read")).collect()
    }
}

/// Applies changes to an empty search and reads every event back.
pub(crate) fn events(reader: &Reader, changes: &[Change]) -> Vec<Event> {
    let mut search = Search::default();
    changes.iter().for_each(|change| search.apply(change));
    search.read(reader)
}
