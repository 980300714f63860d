//! The columns beside a plain list that is asked in the plainest way: both must say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use karo_protocol::query::{Count, CountBy, CountKey, Detail, Directory, Exit, Order, Tally, Zone};
use karo_protocol::{Bytes, Category, Filter, Micros, Query, Shell, ShellId, ShellKind, State, Timestamp};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{Batch, BriefOutcome, Change, Columns, Entry, Hit, Key, Position};

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn columns_answer_as_a_plain_list_does(
        steps in prop::collection::vec(step(), 1..24),
        filters in prop::collection::vec(filter(), 3),
        rows_max in 1..9_usize,
    ) {
        let mut model = Model::default();
        let mut columns = Columns::new();
        for step in steps {
            for change in model.apply(step) {
                columns.apply(change);
            }
            check_all(&model, &columns, &filters[0], rows_max);
        }
        for filter in &filters {
            check_all(&model, &columns, filter, rows_max);
            check_counts(&model, &columns, filter);
        }
        check_stats(&model, &columns);
    }

    #[test]
    fn pages_stay_whole_while_events_come_in(
        before in prop::collection::vec(spec(), 1..60),
        between in prop::collection::vec(prop::collection::vec(spec(), 0..4), 30),
        filter in filter(),
        (is_unique, order) in (any::<bool>(), select(Order::ALL)),
    ) {
        let mut model = Model::default();
        let mut columns = Columns::new();
        model.apply(Step::Add(before)).into_iter().for_each(|change| columns.apply(change));
        let promised: Vec<Known> = model.matching(&filter, None, order).into_iter().cloned().collect();
        let query = query(&filter, is_unique, order, None);
        let (mut cursor, mut shown) = (None, Vec::new());
        for specs in between.into_iter().chain(std::iter::repeat_with(Vec::new)) {
            let page = columns.page(&query, cursor.take(), 3, None);
            shown.extend(page.hits);
            model.apply(Step::Add(specs)).into_iter().for_each(|change| columns.apply(change));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let positions: BTreeSet<Position> = shown.iter().map(|hit| hit.position).collect();
        prop_assert_eq!(positions.len(), shown.len(), "an event was shown twice");
        let texts: BTreeSet<&Bytes> = shown.iter().map(|hit| &hit.row.command).collect();
        if is_unique {
            prop_assert_eq!(texts.len(), shown.len(), "a text was shown twice");
            prop_assert!(promised.iter().all(|event| texts.contains(&event.command)));
        } else {
            prop_assert!(promised.iter().all(|event| positions.contains(&event.position)));
        }
    }
}

#[test]
fn a_deleted_text_is_not_left_in_memory() {
    let mut model = Model::default();
    let mut columns = Columns::new();
    let secret = Spec { command: Bytes::from("Very-Secret"), cwd: Bytes::from("/hidden"), ..Spec::plain() };
    for change in model.apply(Step::Add(vec![Spec::plain(), secret])) {
        columns.apply(change);
    }
    columns.apply(Change::Removed(vec![model.events[1].position]));
    let memory = format!("{columns:?}");
    assert!(memory.contains("108, 115"), "the text that is left, `ls`, is somewhere in {memory}");
    for needle in [&b"very-secret"[..], b"/hidden"] {
        let bytes: Vec<String> = needle.iter().map(u8::to_string).collect();
        assert!(!memory.contains(&bytes.join(", ")));
    }
    assert_eq!((columns.len(), columns.stats().texts), (1, 1));
}

#[test]
fn outcomes_that_nothing_waits_for_are_forgotten_when_all_is_loaded() {
    let mut columns = Columns::new();
    let outcome = BriefOutcome { state: State::Lost, duration: None, exit: None, position: None };
    columns.set_partial_since(Some(Timestamp::from_micros(5)));
    assert_eq!(columns.partial_since(), Some(Timestamp::from_micros(5)));
    columns.apply(Change::Outcome { key: (shell(0).id, 1), outcome });
    let beside = |columns: &Columns| columns.stats().bytes.last().map_or(0, |(_, size)| *size);
    assert_ne!(beside(&columns), 0);
    columns.set_partial_since(None);
    assert_eq!(beside(&columns), 0);
}

/// Asks both the same in all orders, page by page.
fn check_all(model: &Model, columns: &Columns, asked: &Asked, rows_max: usize) {
    let only = asked.only(model);
    let only = only.as_deref();
    let filter = &asked.filter;
    for (order, is_unique) in [true, false].into_iter().flat_map(|u| Order::ALL.iter().map(move |o| (*o, u)))
    {
        let mut expected = model.matching(filter, only, order);
        if is_unique {
            expected = newest_of_each_text(expected, order);
        }
        for limit in [None, Some(4)] {
            let expected = &expected[..expected.len().min(limit.map_or(usize::MAX, |limit| limit as usize))];
            let hits = pages(columns, &query(filter, is_unique, order, limit), only, rows_max);
            let hits: Vec<Known> = hits.into_iter().map(Known::from_hit).collect();
            let expected: Vec<Known> = expected.iter().map(|event| event.as_shown()).collect();
            assert_eq!(hits, expected, "{filter:?} {order} unique {is_unique} limit {limit:?}");
        }
    }
    let expected = model.matching(filter, only, Order::OldestFirst);
    assert_eq!(columns.total(filter, only), expected.len() as u64);
    let keys: Vec<(Key, Position)> = expected.iter().map(|event| (event.key(), event.position)).collect();
    assert_eq!(columns.keys(filter, only), keys);
}

fn check_counts(model: &Model, columns: &Columns, asked: &Asked) {
    let only = asked.only(model);
    for by in CountBy::ALL.iter().map(|by| Some(*by)).chain([None]) {
        for zone in zones() {
            let count = Count { filter: asked.filter.clone(), by, zone };
            let expected = model.count(&count, only.as_deref());
            assert_eq!(columns.count(&count, only.as_deref()), expected, "{count:?}");
        }
    }
}

fn check_stats(model: &Model, columns: &Columns) {
    let stats = columns.stats();
    let texts: BTreeSet<&Bytes> = model.events.iter().map(|event| &event.command).collect();
    assert_eq!((stats.events, stats.texts), (model.events.len() as u64, texts.len() as u64));
    assert_eq!(stats.oldest, model.events.iter().map(|event| event.started_at).min());
    assert_eq!(stats.newest, model.events.iter().map(|event| event.started_at).max());
    let mut running: Vec<_> = columns.running().map(|(shell, seq, at)| (shell.id, seq, at)).collect();
    running.sort();
    let mut expected: Vec<_> = model
        .events
        .iter()
        .filter(|event| event.outcome.state == State::Running)
        .map(|event| (event.shell.id, event.sequence, event.started_at))
        .collect();
    expected.sort();
    assert_eq!(running, expected);
}

fn pages(columns: &Columns, query: &Query, only: Option<&[Position]>, rows_max: usize) -> Vec<Hit> {
    let (mut hits, mut cursor) = (Vec::new(), None);
    loop {
        let page = columns.page(query, cursor, rows_max, only);
        assert!(page.hits.len() <= rows_max);
        hits.extend(page.hits);
        cursor = page.next;
        if cursor.is_none() {
            return hits;
        }
    }
}

fn query(filter: &Filter, is_unique: bool, order: Order, limit: Option<u32>) -> Query {
    Query { filter: filter.clone(), is_unique, limit, order, detail: Detail::Row }
}

/// The plain list.
#[derive(Debug, Default)]
struct Model {
    events: Vec<Known>,
    pending: BTreeMap<Key, BriefOutcome>,
    positions: u32,
    sequences: BTreeMap<ShellId, u64>,
}

#[derive(Debug, Clone, PartialEq)]
struct Known {
    position: Position,
    shell: Arc<Shell>,
    sequence: u64,
    command: Bytes,
    cwd: Bytes,
    started_at: Timestamp,
    category: Option<Category>,
    tools: Vec<&'static str>,
    outcome: BriefOutcome,
}

impl Known {
    fn key(&self) -> Key {
        (self.shell.id, self.sequence)
    }

    /// What of it an answer shows.
    fn as_shown(&self) -> Self {
        Self { category: None, tools: Vec::new(), ..self.clone() }
    }

    fn from_hit(hit: Hit) -> Self {
        Self {
            position: hit.position,
            shell: hit.shell,
            sequence: hit.sequence,
            command: hit.row.command,
            cwd: hit.row.cwd,
            started_at: hit.row.started_at,
            category: None,
            tools: Vec::new(),
            outcome: BriefOutcome {
                state: hit.row.state,
                duration: hit.row.duration,
                exit: hit.row.exit,
                position: hit.outcome_position,
            },
        }
    }

    fn settle(&mut self, outcome: BriefOutcome) {
        self.outcome = later(self.outcome, outcome);
    }
}

fn later(known: BriefOutcome, other: BriefOutcome) -> BriefOutcome {
    let rank = |outcome: &BriefOutcome| {
        [State::Running, State::Lost, State::Ended].map(|state| state == outcome.state)
    };
    // The later place of the one that is set is the greater rank, and arrays compare from the left.
    if rank(&other) < rank(&known) { other } else { known }
}

impl Model {
    fn apply(&mut self, step: Step) -> Vec<Change> {
        match step {
            Step::Add(specs) => vec![self.add(specs)],
            Step::Settle { which, outcome, is_own } => self.settle(which, outcome, is_own),
            Step::Remove(which) => self.remove(&which),
            Step::Move(which) => self.relocate(&which),
        }
    }

    fn add(&mut self, specs: Vec<Spec>) -> Change {
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
                outcome: event.outcome,
            });
            if let Some(outcome) = self.pending.remove(&event.key()) {
                event.settle(outcome);
            }
            self.events.push(event);
        }
        Change::Added(batch)
    }

    fn settle(&mut self, which: Index, mut outcome: BriefOutcome, is_own: bool) -> Vec<Change> {
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

    fn remove(&mut self, which: &[bool]) -> Vec<Change> {
        let mut marks = which.iter().cycle();
        let (gone, kept) = std::mem::take(&mut self.events)
            .into_iter()
            .partition::<Vec<_>, _>(|_| marks.next().copied().unwrap_or(false));
        self.events = kept;
        vec![Change::Removed(gone.into_iter().rev().map(|event| event.position).collect())]
    }

    fn relocate(&mut self, which: &[bool]) -> Vec<Change> {
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

    fn position(&mut self) -> Position {
        self.positions += 1;
        Position(self.positions)
    }

    fn matching(&self, filter: &Filter, only: Option<&[Position]>, order: Order) -> Vec<&Known> {
        let mut events: Vec<&Known> =
            self.events.iter().filter(|event| is_meant(event, filter, only)).collect();
        events.sort_by_key(|event| (event.started_at, event.position));
        if order == Order::NewestFirst {
            events.reverse();
        }
        events
    }

    fn count(&self, count: &Count, only: Option<&[Position]>) -> Vec<Tally> {
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

fn newest_of_each_text(mut events: Vec<&Known>, order: Order) -> Vec<&Known> {
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

fn is_meant(event: &Known, filter: &Filter, only: Option<&[Position]>) -> bool {
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
        && only.is_none_or(|only| only.contains(&event.position))
}

fn keys(event: &Known, count: &Count) -> Vec<CountKey> {
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
    };
    vec![key]
}

fn zones() -> [Zone; 3] {
    let step = |hour: i64, offset: i32| (Timestamp::from_micros(hour * 3_600_000_000), offset);
    [
        Zone::default(),
        Zone { steps: vec![step(0, 5 * 3600 + 1800)] },
        Zone {
            steps: vec![step(-40, -9 * 3600), step(3, 3600), (Timestamp::from_micros(20_000_000_001), 7200)],
        },
    ]
}

#[derive(Debug, Clone)]
enum Step {
    Add(Vec<Spec>),
    Settle { which: Index, outcome: BriefOutcome, is_own: bool },
    Remove(Vec<bool>),
    Move(Vec<bool>),
}

#[derive(Debug, Clone)]
struct Spec {
    shell: usize,
    command: Bytes,
    cwd: Bytes,
    started_at: Timestamp,
    category: Category,
    tools: Vec<&'static str>,
    outcome: BriefOutcome,
}

impl Spec {
    fn plain() -> Self {
        Self {
            shell: 0,
            command: Bytes::from("ls"),
            cwd: Bytes::from("/"),
            started_at: Timestamp::from_micros(7),
            category: Category::File,
            tools: vec!["ls"],
            outcome: BriefOutcome { state: State::Ended, duration: None, exit: Some(0), position: None },
        }
    }
}

/// A filter, and which events its ids name.
#[derive(Debug, Clone)]
struct Asked {
    filter: Filter,
    only: Option<Vec<bool>>,
}

impl std::ops::Deref for Asked {
    type Target = Filter;

    fn deref(&self) -> &Filter {
        &self.filter
    }
}

impl Asked {
    fn only(&self, model: &Model) -> Option<Vec<Position>> {
        let marks = self.only.as_ref()?;
        let chosen = model.events.iter().zip(marks.iter().cycle()).filter(|(_, chosen)| **chosen);
        let mut positions: Vec<Position> = chosen.map(|(event, _)| event.position).collect();
        positions.sort();
        Some(positions)
    }
}

fn shell(number: usize) -> Arc<Shell> {
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

const CWDS: [&str; 7] = ["/", "/home", "/home/ann", "/home/ann/src", "/homer", "", "/home/ann/Src"];

fn step() -> impl Strategy<Value = Step> {
    let settle = (any::<Index>(), outcome(), any::<bool>());
    prop_oneof![
        6 => prop::collection::vec(spec(), 0..30).prop_map(Step::Add),
        2 => spec().prop_map(|spec| Step::Add(vec![spec])),
        5 => settle.prop_map(|(which, outcome, is_own)| Step::Settle { which, outcome, is_own }),
        2 => prop::collection::vec(prop::bool::weighted(0.3), 1..40).prop_map(Step::Remove),
        1 => prop::collection::vec(prop::bool::weighted(0.95), 40).prop_map(Step::Remove),
        2 => prop::collection::vec(any::<bool>(), 1..40).prop_map(Step::Move),
    ]
}

fn spec() -> impl Strategy<Value = Spec> {
    let tools = select(vec![vec![], vec!["ls"], vec!["sudo", "ls"], vec!["git"], vec!["ls", "git", "ls"]]);
    let category = select(vec![Category::Shell, Category::Vcs, Category::Other]);
    (0..4_usize, command(), select(&CWDS), moment(), category, tools, outcome()).prop_map(
        |(shell, command, cwd, started_at, category, tools, outcome)| Spec {
            shell,
            command,
            cwd: Bytes::from(cwd),
            started_at,
            category,
            tools,
            outcome,
        },
    )
}

fn command() -> impl Strategy<Value = Bytes> {
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
fn long(at: usize, has_capital: bool) -> Vec<u8> {
    let mut text = b"l0ng ".repeat(8);
    text[at] = if has_capital { b'Q' } else { b'q' };
    text
}

fn word() -> impl Strategy<Value = Bytes> {
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
fn moment() -> impl Strategy<Value = Timestamp> {
    let hour = 3_600_000_000_i64;
    prop_oneof![
        12 => (-60..60_i64).prop_map(move |n| n * hour / 4),
        1 => select(vec![i64::MIN / 4, i64::MAX / 4]),
    ]
    .prop_map(Timestamp::from_micros)
}

fn outcome() -> impl Strategy<Value = BriefOutcome> {
    let long = u64::from(u32::MAX);
    let duration = prop::option::of(select(vec![0, 5, long - 2, long - 1, long, long + 1, u64::MAX]));
    let exit = prop::option::of(select(vec![0, 0, 1, 253, 254, 255, 256, -1, i32::MIN]));
    (select(State::ALL), duration, exit).prop_map(|(state, duration, exit)| match state {
        State::Ended => BriefOutcome { state, duration: duration.map(Micros), exit, position: None },
        State::Running | State::Lost => BriefOutcome { state, duration: None, exit: None, position: None },
    })
}

fn filter() -> impl Strategy<Value = Asked> {
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
    let only = prop::option::weighted(0.1, prop::collection::vec(any::<bool>(), 1..20));
    (prop::collection::vec(word(), 0..3), time, place, shell, only).prop_map(
        |(words, time, place, shell, only)| {
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
            };
            Asked { filter, only }
        },
    )
}
