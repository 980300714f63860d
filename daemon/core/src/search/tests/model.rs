//! The plain list: every event as it came, asked in the plainest way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use karo_protocol::query::{Count, CountBy, CountKey, Directory, Exit, Order, Tally, Zone};
use karo_protocol::{Bytes, Category, Filter, Shell, ShellId, State, Timestamp};
use proptest::sample::Index;

use super::made::{Judged, Spec, Step, shell};
use crate::search::{Batch, BriefOutcome, Change, Entry, Hit, Key, Position};

/// The plain list.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) events: Vec<Known>,
    pub(super) pending: BTreeMap<Key, BriefOutcome>,
    pub(super) positions: u32,
    pub(super) sequences: BTreeMap<ShellId, u64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Known {
    pub(super) position: Position,
    pub(super) shell: Arc<Shell>,
    pub(super) sequence: u64,
    pub(super) command: Bytes,
    pub(super) cwd: Bytes,
    pub(super) started_at: Timestamp,
    pub(super) category: Option<Category>,
    pub(super) tools: Vec<&'static str>,
    pub(super) judged: Judged,
    pub(super) outcome: BriefOutcome,
}

impl Known {
    pub(super) fn key(&self) -> Key {
        (self.shell.id, self.sequence)
    }

    /// What of it an answer shows.
    pub(super) fn as_shown(&self) -> Self {
        let judged = Judged { rules: Vec::new(), ..self.judged.clone() };
        Self { category: None, tools: Vec::new(), judged, ..self.clone() }
    }

    pub(super) fn from_hit(hit: Hit) -> Self {
        Self {
            position: hit.position,
            shell: hit.shell,
            sequence: hit.sequence,
            command: hit.row.command,
            cwd: hit.row.cwd,
            started_at: hit.row.started_at,
            category: None,
            tools: Vec::new(),
            judged: Judged { risk: hit.row.risk, axis: hit.row.axis, rules: Vec::new() },
            outcome: BriefOutcome {
                state: hit.row.state,
                duration: hit.row.duration,
                exit: hit.row.exit,
                position: hit.outcome_position,
            },
        }
    }

    pub(super) fn settle(&mut self, outcome: BriefOutcome) {
        self.outcome = later(self.outcome, outcome);
    }
}

pub(super) fn later(known: BriefOutcome, other: BriefOutcome) -> BriefOutcome {
    let rank = |outcome: &BriefOutcome| {
        [State::Running, State::Lost, State::Ended].map(|state| state == outcome.state)
    };
    // The later place of the one that is set is the greater rank, and arrays compare from the left.
    if rank(&other) < rank(&known) { other } else { known }
}

impl Model {
    pub(super) fn apply(&mut self, step: Step) -> Vec<Change> {
        match step {
            Step::Add(specs) => vec![self.add(specs)],
            Step::Settle { which, outcome, is_own } => self.settle(which, outcome, is_own),
            Step::Remove(which) => self.remove(&which),
            Step::Move(which) => self.relocate(&which),
            Step::Revise(which, specs) => self.revise(&which, &specs),
        }
    }

    pub(super) fn add(&mut self, specs: Vec<Spec>) -> Change {
        let mut batch = Batch::default();
        for spec in specs {
            let position = self.position();
            let shell = shell(spec.shell);
            let sequence =
                self.sequences.entry(shell.id).or_insert(if spec.shell == 3 { 1 << 32 } else { 0 });
            *sequence += 1;
            let mut event = Known {
                position,
                sequence: *sequence,
                command: spec.command,
                cwd: spec.cwd,
                started_at: spec.started_at,
                category: Some(spec.category),
                tools: spec.tools,
                judged: spec.judged,
                outcome: spec.outcome,
                shell,
            };
            batch.push(Entry {
                position,
                shell: &event.shell,
                sequence: event.sequence,
                command: &event.command,
                cwd: &event.cwd,
                started_at: event.started_at,
                category: spec.category,
                tools: event.tools.join("\0").as_bytes(),
                risk: event.judged.risk,
                axis: event.judged.axis,
                rules: event.judged.rules.join("\0").as_bytes(),
                outcome: event.outcome,
            });
            if let Some(outcome) = self.pending.remove(&event.key()) {
                event.settle(outcome);
            }
            self.events.push(event);
        }
        Change::Added(batch)
    }

    pub(super) fn settle(&mut self, which: Index, mut outcome: BriefOutcome, is_own: bool) -> Vec<Change> {
        outcome.position = is_own.then(|| self.position());
        // One in three outcomes is of an event that is yet to come.
        let place = which.index(self.events.len() * 3 / 2 + 1);
        let Some(event) = self.events.get_mut(place) else {
            let shell = shell(place % 4);
            let base = if place % 4 == 3 { 1 << 32 } else { 0 };
            let next = self.sequences.get(&shell.id).copied().unwrap_or(base) + 1 + place as u64 % 3;
            let pending = self.pending.entry((shell.id, next)).or_insert(outcome);
            *pending = later(*pending, outcome);
            return vec![Change::Outcome { key: (shell.id, next), outcome }];
        };
        event.settle(outcome);
        vec![Change::Outcome { key: event.key(), outcome }]
    }

    pub(super) fn remove(&mut self, which: &[bool]) -> Vec<Change> {
        let mut marks = which.iter().cycle();
        let (gone, kept) = std::mem::take(&mut self.events)
            .into_iter()
            .partition::<Vec<_>, _>(|_| marks.next().copied().unwrap_or(false));
        self.events = kept;
        vec![Change::Removed(gone.into_iter().rev().map(|event| event.position).collect())]
    }

    pub(super) fn relocate(&mut self, which: &[bool]) -> Vec<Change> {
        let mut places: Vec<Position> = Vec::new();
        for outcome in self.events.iter().map(|event| &event.outcome).chain(self.pending.values()) {
            places.extend(outcome.position);
        }
        places.extend(self.events.iter().map(|event| event.position));
        places.sort();
        let chosen: Vec<Position> = places
            .into_iter()
            .zip(which.iter().cycle())
            .filter(|(_, chosen)| **chosen)
            .map(|(p, _)| p)
            .collect();
        // Some get the places of others: what moves is one change, not many in a row.
        let half = chosen.len() / 2;
        let mut moves: Vec<(Position, Position)> = Vec::new();
        for (number, from) in chosen.iter().enumerate() {
            let to = if number < half { chosen[number + half] } else { self.position() };
            moves.push((*from, to));
        }
        let target = |position: Position| {
            moves.iter().find(|(from, _)| *from == position).map_or(position, |(_, to)| *to)
        };
        for event in &mut self.events {
            event.position = target(event.position);
            event.outcome.position = event.outcome.position.map(target);
        }
        for outcome in self.pending.values_mut() {
            outcome.position = outcome.position.map(target);
        }
        vec![Change::Moved(moves)]
    }

    /// Gives some events the text, category and programs of others.
    pub(super) fn revise(&mut self, which: &[bool], specs: &[Spec]) -> Vec<Change> {
        let mut batch = Batch::default();
        let chosen = self.events.iter_mut().zip(which.iter().cycle()).filter(|(_, chosen)| **chosen);
        for ((event, _), spec) in chosen.zip(specs.iter().cycle()) {
            (event.command, event.category) = (spec.command.clone(), Some(spec.category));
            event.tools.clone_from(&spec.tools);
            event.judged = spec.judged.clone();
            batch.push(Entry {
                position: event.position,
                shell: &event.shell,
                sequence: event.sequence,
                command: &event.command,
                cwd: &event.cwd,
                started_at: event.started_at,
                category: spec.category,
                tools: event.tools.join("\0").as_bytes(),
                risk: event.judged.risk,
                axis: event.judged.axis,
                rules: event.judged.rules.join("\0").as_bytes(),
                outcome: spec.outcome,
            });
        }
        vec![Change::Revised(batch)]
    }

    pub(super) fn position(&mut self) -> Position {
        self.positions += 1;
        Position(self.positions)
    }

    pub(super) fn matching(&self, filter: &Filter, only: Option<&[Position]>, order: Order) -> Vec<&Known> {
        let mut events: Vec<&Known> =
            self.events.iter().filter(|event| is_meant(event, filter, only)).collect();
        events.sort_by_key(|event| (event.started_at, event.position));
        if order == Order::NewestFirst {
            events.reverse();
        }
        events
    }

    pub(super) fn count(&self, count: &Count, only: Option<&[Position]>) -> Vec<Tally> {
        let mut tallies: BTreeMap<CountKey, (u64, u64)> = BTreeMap::new();
        if count.by.is_none() {
            tallies.insert(CountKey::All, (0, 0));
        }
        for event in self.matching(&count.filter, only, Order::OldestFirst) {
            for key in keys(event, count) {
                let tally = tallies.entry(key).or_default();
                tally.0 += 1;
                tally.1 += u64::from(event.outcome.exit.is_some_and(|exit| exit != 0));
            }
        }
        tallies.into_iter().map(|(key, (count, failed))| Tally { key, count, failed }).collect()
    }
}

pub(super) fn newest_of_each_text(mut events: Vec<&Known>, order: Order) -> Vec<&Known> {
    if order == Order::OldestFirst {
        events.reverse();
    }
    let mut texts = BTreeSet::new();
    events.retain(|event| texts.insert(event.command.clone()));
    if order == Order::OldestFirst {
        events.reverse();
    }
    events
}

pub(super) fn is_meant(event: &Known, filter: &Filter, only: Option<&[Position]>) -> bool {
    let holds = |word: &Bytes| {
        let is_exact = word.iter().any(u8::is_ascii_uppercase);
        let command = if is_exact { event.command.0.clone() } else { event.command.to_ascii_lowercase() };
        word.is_empty() || command.windows(word.len()).any(|window| *window == **word)
    };
    let is_there = |directory: &Directory| {
        let parts = |path: &[u8]| -> Vec<Vec<u8>> {
            path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).map(<[u8]>::to_vec).collect()
        };
        match directory {
            Directory::Exactly(path) => event.cwd == *path,
            Directory::Under(path) => {
                event.cwd.starts_with(b"/") && parts(&event.cwd).starts_with(&parts(path))
            }
        }
    };
    let has_ended = |exit: Exit| match exit {
        Exit::Code(code) => event.outcome.exit == Some(code),
        Exit::Failed => event.outcome.exit.is_some_and(|exit| exit != 0),
        Exit::Ok => event.outcome.exit == Some(0),
    };
    filter.words.iter().all(holds)
        && filter.since.is_none_or(|since| event.started_at >= since)
        && filter.until.is_none_or(|until| event.started_at < until)
        && filter.directory.as_ref().is_none_or(is_there)
        && filter.exit.is_none_or(has_ended)
        && filter.state.is_none_or(|state| event.outcome.state == state)
        && filter.category.is_none_or(|category| event.category == Some(category))
        && filter.shell.is_none_or(|kind| event.shell.kind == kind)
        && filter.shell_id.is_none_or(|id| event.shell.id == id)
        && filter.host.as_ref().is_none_or(|host| event.shell.host == *host)
        && filter.user.as_ref().is_none_or(|user| event.shell.user == *user)
        && filter.risk.is_none_or(|least| event.judged.risk >= Some(least))
        && filter.axis.is_none_or(|axis| event.judged.axis == Some(axis))
        && filter.rule.as_ref().is_none_or(|rule| event.judged.rules.contains(&&rule[..]))
        && only.is_none_or(|only| only.contains(&event.position))
}

pub(super) fn keys(event: &Known, count: &Count) -> Vec<CountKey> {
    let seconds = event.started_at.as_micros().div_euclid(1_000_000)
        + i64::from(count.zone.offset_seconds(event.started_at));
    let day = seconds.div_euclid(86_400);
    let key = match count.by {
        None => CountKey::All,
        Some(CountBy::Category) => CountKey::Category(event.category.expect("an event of the list has one")),
        Some(CountBy::Tool) => {
            let names: BTreeSet<&str> = event.tools.iter().copied().collect();
            return names.into_iter().map(|name| CountKey::Text(Bytes::from(name))).collect();
        }
        Some(CountBy::Hour) => CountKey::Hour((seconds.rem_euclid(86_400) / 3600) as u8),
        // 1970-01-05 was a Monday.
        Some(CountBy::Weekday) => CountKey::Weekday((day - 4).rem_euclid(7) as u8),
        Some(CountBy::Day) => CountKey::Day(day as i32),
        Some(CountBy::Cwd) => CountKey::Text(event.cwd.clone()),
        Some(CountBy::Exit) => CountKey::Exit(event.outcome.exit),
        Some(CountBy::Host) => CountKey::Text(Bytes::from(&event.shell.host[..])),
        Some(CountBy::Risk) => CountKey::Risk(event.judged.risk),
    };
    vec![key]
}

pub(super) fn zones() -> [Zone; 3] {
    let step = |hour: i64, offset: i32| (Timestamp::from_micros(hour * 3_600_000_000), offset);
    [
        Zone::default(),
        Zone { steps: vec![step(0, 5 * 3600 + 1800)] },
        Zone {
            steps: vec![step(-40, -9 * 3600), step(3, 3600), (Timestamp::from_micros(20_000_000_001), 7200)],
        },
    ]
}
