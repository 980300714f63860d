//! What is done to the columns and asked of them: from small pools, so that much of it meets.

use std::sync::Arc;

use karo_protocol::query::{Directory, Exit};
use karo_protocol::{
    Axis, Bytes, Category, Filter, Micros, Risk, Shell, ShellId, ShellKind, State, Timestamp,
};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::model::Model;
use crate::search::{BriefOutcome, Position};

#[derive(Debug, Clone)]
pub(super) enum Step {
    Add(Vec<Spec>),
    Settle { which: Index, outcome: BriefOutcome, is_own: bool },
    Remove(Vec<bool>),
    Move(Vec<bool>),
    Revise(Vec<bool>, Vec<Spec>),
}

#[derive(Debug, Clone)]
pub(super) struct Spec {
    pub(super) shell: usize,
    pub(super) command: Bytes,
    pub(super) cwd: Bytes,
    pub(super) started_at: Timestamp,
    pub(super) category: Category,
    pub(super) tools: Vec<&'static str>,
    pub(super) judged: Judged,
    pub(super) outcome: BriefOutcome,
}

/// What rules say of an event.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Judged {
    pub(super) risk: Option<Risk>,
    pub(super) axis: Option<Axis>,
    pub(super) rules: Vec<&'static str>,
}

impl Spec {
    pub(super) fn plain() -> Self {
        Self {
            shell: 0,
            command: Bytes::from("ls"),
            cwd: Bytes::from("/"),
            started_at: Timestamp::from_micros(7),
            category: Category::File,
            tools: vec!["ls"],
            judged: Judged::default(),
            outcome: BriefOutcome { state: State::Ended, duration: None, exit: Some(0), position: None },
        }
    }
}

/// A filter, and which events its ids name.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) filter: Filter,
    pub(super) only: Option<Vec<bool>>,
}

impl std::ops::Deref for Asked {
    type Target = Filter;

    fn deref(&self) -> &Filter {
        &self.filter
    }
}

impl Asked {
    pub(super) fn only(&self, model: &Model) -> Option<Vec<Position>> {
        let marks = self.only.as_ref()?;
        let chosen = model.events.iter().zip(marks.iter().cycle()).filter(|(_, chosen)| **chosen);
        let mut positions: Vec<Position> = chosen.map(|(event, _)| event.position).collect();
        positions.sort();
        Some(positions)
    }
}

pub(super) fn shell(number: usize) -> Arc<Shell> {
    Arc::new(Shell {
        kind: [ShellKind::Bash, ShellKind::Zsh, ShellKind::Bash, ShellKind::Fish][number],
        // The third is the first after an `su`.
        id: ShellId::from_bytes([[1, 2, 5, 3][number]; 16]),
        user: ["ann", "ann", "root", "bob"][number].to_owned(),
        host: ["alpha", "beta", "alpha", "beta"][number].to_owned(),
        tty: None,
        is_remote: false,
        parent: None,
        process: None,
    })
}

pub(super) const CWDS: [&str; 7] =
    ["/", "/home", "/home/ann", "/home/ann/src", "/homer", "", "/home/ann/Src"];

pub(super) fn step() -> impl Strategy<Value = Step> {
    let settle = (any::<Index>(), outcome(), any::<bool>());
    prop_oneof![
        6 => prop::collection::vec(spec(), 0..30).prop_map(Step::Add),
        2 => spec().prop_map(|spec| Step::Add(vec![spec])),
        5 => settle.prop_map(|(which, outcome, is_own)| Step::Settle { which, outcome, is_own }),
        2 => prop::collection::vec(prop::bool::weighted(0.3), 1..40).prop_map(Step::Remove),
        1 => prop::collection::vec(prop::bool::weighted(0.95), 40).prop_map(Step::Remove),
        2 => prop::collection::vec(any::<bool>(), 1..40).prop_map(Step::Move),
        2 => (prop::collection::vec(any::<bool>(), 1..40), prop::collection::vec(spec(), 1..6))
            .prop_map(|(which, specs)| Step::Revise(which, specs)),
    ]
}

pub(super) fn spec() -> impl Strategy<Value = Spec> {
    let tools = select(vec![vec![], vec!["ls"], vec!["sudo", "ls"], vec!["git"], vec!["ls", "git", "ls"]]);
    let category = select(vec![Category::Shell, Category::Vcs, Category::Other]);
    (0..4_usize, command(), select(&CWDS), moment(), category, tools, judged(), outcome()).prop_map(
        |(shell, command, cwd, started_at, category, tools, judged, outcome)| Spec {
            shell,
            command,
            cwd: Bytes::from(cwd),
            started_at,
            category,
            tools,
            judged,
            outcome,
        },
    )
}

/// Mostly nothing, as most commands are harmless.
fn judged() -> impl Strategy<Value = Judged> {
    let rules = select(vec![vec!["rm-root"], vec!["curl-sh"], vec!["rm-root", "curl-sh"], vec![]]);
    let judged = (select(Risk::ALL), prop::option::weighted(0.9, select(Axis::ALL)), rules)
        .prop_map(|(risk, axis, rules)| Judged { risk: Some(risk), axis, rules });
    prop_oneof![2 => Just(Judged::default()), 1 => judged]
}

pub(super) fn command() -> impl Strategy<Value = Bytes> {
    let known =
        vec!["ls", "LS", "ls -la", "git Status", "git status", "aAaAb", "", "make", "caf\u{e9} \u{c9}A"];
    prop_oneof![
        3 => select(known).prop_map(Bytes::from),
        1 => "[abAB /]{0,9}".prop_map(|text| Bytes::from(&text[..])),
        1 => (0..30_usize, any::<bool>()).prop_map(|(at, has_capital)| Bytes(long(at, has_capital))),
        1 => (0..400_u32).prop_map(|number| Bytes::from(&format!("Run {number}")[..])),
        1 => prop::collection::vec(any::<u8>(), 0..6).prop_map(Bytes),
    ]
}

/// A text or word of forty bytes that differs from its likes in one.
pub(super) fn long(at: usize, has_capital: bool) -> Vec<u8> {
    let mut text = b"l0ng ".repeat(8);
    text[at] = if has_capital { b'Q' } else { b'q' };
    text
}

pub(super) fn word() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        (0..30_usize, 0..9_usize, any::<bool>())
            .prop_map(|(at, cut, has_capital)| Bytes(long(at, has_capital)[cut..].to_vec())),
        select(vec![
            "ls", "s", "git", "Status", "status", "Ab", "ab", "AA", "", "-", "no such", "run 1", "\u{e9}"
        ])
        .prop_map(Bytes::from),
        "[abAB]{1,3}".prop_map(|text| Bytes::from(&text[..])),
    ]
}

/// Few moments, so that many events share one, on both sides of the epoch and at the ends of time.
pub(super) fn moment() -> impl Strategy<Value = Timestamp> {
    let hour = 3_600_000_000_i64;
    prop_oneof![
        12 => (-60..60_i64, 0..2_i64).prop_map(move |(n, more)| n * hour / 4 - more),
        1 => select(vec![i64::MIN / 4, i64::MAX / 4]),
    ]
    .prop_map(Timestamp::from_micros)
}

pub(super) fn outcome() -> impl Strategy<Value = BriefOutcome> {
    let long = u64::from(u32::MAX);
    let duration = prop::option::of(select(vec![0, 5, long - 2, long - 1, long, long + 1, u64::MAX]));
    let exit = prop::option::of(select(vec![0, 0, 1, 253, 254, 255, 256, -1, i32::MIN]));
    (select(State::ALL), duration, exit).prop_map(|(state, duration, exit)| match state {
        State::Ended | State::Lost => {
            BriefOutcome { state, duration: duration.map(Micros), exit, position: None }
        }
        State::Running => BriefOutcome { state, duration: None, exit: None, position: None },
    })
}

pub(super) fn filter() -> impl Strategy<Value = Asked> {
    let rarely = |probability| prop::option::weighted(probability, any::<()>());
    let directory = (select(&CWDS), any::<bool>()).prop_map(|(path, is_exact)| match is_exact {
        true => Directory::Exactly(Bytes::from(path)),
        false if path.is_empty() => Directory::Under(Bytes::from("/")),
        false => Directory::Under(Bytes::from(path)),
    });
    let exit =
        select(vec![Exit::Ok, Exit::Failed, Exit::Code(0), Exit::Code(254), Exit::Code(-1), Exit::Code(7)]);
    let place = (
        prop::option::weighted(0.3, directory),
        prop::option::weighted(0.2, exit),
        prop::option::weighted(0.2, select(State::ALL)),
        prop::option::weighted(0.2, select(vec![Category::Vcs, Category::Media])),
    );
    let shell = (
        prop::option::weighted(0.2, select(ShellKind::ALL)),
        prop::option::weighted(0.1, (0..4_usize).prop_map(|number| shell(number).id)),
        prop::option::weighted(0.1, select(vec!["alpha", "gamma"])),
        prop::option::weighted(0.1, select(vec!["ann", "nobody"])),
    );
    let time = (rarely(0.2), moment(), rarely(0.2), moment());
    let judged = (
        prop::option::weighted(0.2, select(Risk::ALL)),
        prop::option::weighted(0.2, select(Axis::ALL)),
        prop::option::weighted(0.2, select(vec!["rm-root", "curl-sh", "sh", "", "no-such"])),
    );
    let only = prop::option::weighted(0.1, prop::collection::vec(any::<bool>(), 1..20));
    (prop::collection::vec(word(), 0..3), time, place, shell, judged, only).prop_map(
        |(words, time, place, shell, judged, only)| {
            let filter = Filter {
                words,
                since: time.0.map(|()| time.1),
                until: time.2.map(|()| time.3),
                directory: place.0,
                exit: place.1,
                state: place.2,
                category: place.3,
                shell: shell.0,
                shell_id: shell.1,
                host: shell.2.map(str::to_owned),
                user: shell.3.map(str::to_owned),
                ids: Vec::new(),
                risk: judged.0,
                axis: judged.1,
                rule: judged.2.map(str::to_owned),
            };
            Asked { filter, only }
        },
    )
}
