//! Fifty attacks on the day of one person, each played on real daemons in two worlds.
//!
//! The worlds differ in the victim's day in a way that the release rule hides ([`Secret`]). Whatever the attackers can
//! get out over their own sockets while they play (what came of each closing, each answer to each question, each
//! refusal, the days of their groups, and what their audits hold of these days) must be the same in both, to the last
//! number. Dates are taken out, for the two worlds are two days of the same team; so is which member was silent.
//!
//! Two teams of sixteen serve all fifty: a past day can be closed by hand once, each scenario has days of its own, and
//! most need but half of a team. Of each half, the first two owners are the attackers', the first of them adds up every
//! day, and the last is the victim.

mod table;
mod world;

use std::thread;

use karo_protocol::answer::{
    AtomRow, AtomState, GroupClose, GroupEdit, GroupMake, MeshAnswer, MeshQuery, Question,
};
use karo_protocol::audit::{AuditFilter, AuditRow};
use karo_protocol::local::{Reply, Request};
use karo_protocol::mesh::LinkState;
use karo_protocol::peer::Signed;
use karo_protocol::policy::{PolicyChange, Sharing};
use karo_protocol::query::Filter;
use karo_protocol::{Category, Micros, Observation, Phase, Timestamp};
use karo_tests::groups::{Team, accept, card, make, yesterday};
use karo_tests::{Node, Typist, until};
use table::SCENARIOS;
use world::{Scenario, Size, World};

/// Owners of a team.
const OWNERS: usize = 16;

/// Owners of one half of it.
const HALF: usize = 8;

/// Days of a team: as many as can be closed by hand. The oldest are played first, so that midnight may come.
const DAYS: i32 = 30;

/// µs of a day.
const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// What everybody does each day: fewer commands than make a day an active one, so that none is ever unusual.
const USUAL: [(&str, i32); 4] = [("git status", 0), ("make -j4", 2), ("ls -l", 0), ("ssh build uptime", 0)];

/// The groups of each half, by the places of their members in it.
const GROUPS_OF_HALF: [(&str, &[usize]); 5] = [
    ("all", &[0, 1, 2, 3, 4, 5, 6, 7]),
    ("less", &[0, 1, 2, 3, 4, 5, 6]),
    ("few", &[0, 1, 2, 3, 7]),
    ("with-6", &[0, 1, 2, 3, 4, 6]),
    ("with-7", &[0, 1, 2, 3, 4, 7]),
];

/// The groups of a whole team: P, Q and R are five each, v is the last.
const GROUPS_OF_ALL: [(&str, &[usize]); 5] = [
    ("everybody", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
    ("p+q", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ("p+r", &[0, 1, 2, 3, 4, 10, 11, 12, 13, 14]),
    ("q+r+v", &[5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
    ("p", &[0, 1, 2, 3, 4]),
];

/// A team with the files of its groups.
struct Stage {
    team: Team,
    files: Vec<(String, Signed)>,
    first: i32,
}

/// A scenario and the days and owners that it is played with.
#[derive(Clone)]
struct Part {
    scenario: &'static Scenario,
    /// Place in the team of each of its owners.
    cast: Vec<usize>,
    prefix: &'static str,
    /// The first day of either world.
    days: [i32; 2],
}

/// Gives each scenario days and owners of its own.
fn casting(scenarios: &'static [Scenario], first: i32) -> Vec<Part> {
    let mut free = [first; 2];
    let mut parts = Vec::new();
    for scenario in scenarios {
        let (half, cast): (_, Vec<usize>) = match scenario.size {
            Size::Whole => {
                free = [free[0].max(free[1]); 2];
                (None, (0..OWNERS).collect())
            }
            Size::Half => {
                let half = usize::from(free[1] < free[0]);
                (Some(half), (half * HALF..(half + 1) * HALF).collect())
            }
        };
        let begins = free[half.unwrap_or(0)];
        let days = [begins, begins + scenario.days];
        for half in half.map_or(0..2, |half| half..half + 1) {
            free[half] = begins + 2 * scenario.days;
        }
        let prefix = half.map_or("", |half| ["a-", "b-"][half]);
        parts.push(Part { scenario, cast, prefix, days });
    }
    assert!(free.iter().all(|day| *day <= first + DAYS), "there are not days enough: {free:?} from {first}");
    parts
}

/// Returns all that one owner does on all days, in the order of time.
fn life(parts: &[Part], place: usize, first: i32) -> Vec<Observation> {
    let mut typist = Typist::new(1000 + place as u64);
    let mut life = Vec::new();
    for day in first..first + DAYS {
        let mut done: Vec<(i64, &str, i32, i64)> = USUAL
            .iter()
            .zip(0..)
            .map(|((command, exit), minute)| (540 + minute, *command, *exit, 10))
            .collect();
        for part in parts {
            let world = (0..2).find(|world| part.days[*world] + part.scenario.days - 1 == day);
            let role = part.cast.iter().position(|one| *one == place);
            if let (Some(world), Some(role)) = (world, role) {
                let world = [World::One, World::Other][world];
                done.extend(part.scenario.secret.done(role, part.cast.len() - 1, world));
            }
        }
        done.sort_unstable();
        life.extend(done.into_iter().map(|(minute, command, exit, ms)| {
            let mut ran = typist.ran(command, exit);
            if let Phase::End(ending) = &mut ran.phase {
                ending.duration = Some(Micros((ms * 1000) as u64));
            }
            Observation {
                started_at: Timestamp::from_micros(i64::from(day) * DAY + minute * 60_000_000),
                ..ran
            }
        }));
    }
    life
}

impl Stage {
    fn set(parts: &[Part], first: i32) -> Self {
        let team = Team::of(OWNERS);
        thread::scope(|scope| {
            for (place, node) in team.nodes.iter().enumerate() {
                scope.spawn(move || node.karo.keep(life(parts, place, first)));
            }
        });
        let mut stage = Self { team, files: Vec::new(), first };
        for (half, prefix) in ["a-", "b-"].into_iter().enumerate() {
            for (name, members) in GROUPS_OF_HALF {
                let places: Vec<usize> = members.iter().map(|place| half * HALF + place).collect();
                stage.found(&format!("{prefix}{name}"), &places);
            }
        }
        for (name, members) in GROUPS_OF_ALL {
            stage.found(name, members);
        }
        stage
    }

    /// Makes a group in which the first and the third add up, and has all of them accept it.
    fn found(&mut self, name: &str, places: &[usize]) {
        let nodes = &self.team.nodes;
        let mut edits = vec![
            GroupEdit::Name(name.to_owned()),
            GroupEdit::Zone("UTC".to_owned()),
            GroupEdit::SmallestCohort(5),
        ];
        edits.extend(places.iter().enumerate().map(|(rank, place)| GroupEdit::Add {
            who: card(&nodes[*place]).to_string(),
            owner: Some(format!("owner-{place}")),
            name: Some(format!("node-{place}")),
            contributes: None,
            may_aggregate: rank == 0 || rank == 2,
            addresses: vec![nodes[*place].address.clone()],
        }));
        let file = make(&nodes[places[0]], GroupMake { base: None, edits }).signed;
        places.iter().for_each(|place| drop(accept(&nodes[*place], &file)));
        self.files.push((name.to_owned(), file));
    }

    fn play(&mut self, part: &Part, world: usize) -> Vec<String> {
        let first = part.days[world];
        let mut play = Play { stage: self, part, first, day: first, told: Vec::new(), closed: 0 };
        (part.scenario.play)(&mut play);
        play.look_around();
        assert_eq!(play.closed, part.scenario.closes, "{}: {:#?}", part.scenario.name, play.told);
        play.told
    }
}

/// One scenario in one world, and what its attackers were told.
struct Play<'a> {
    stage: &'a mut Stage,
    part: &'a Part,
    /// The first of the days, and the one that it is about.
    first: i32,
    day: i32,
    told: Vec<String>,
    closed: usize,
}

impl Play<'_> {
    fn node(&self, role: usize) -> &Node {
        &self.stage.team.nodes[self.part.cast[role]]
    }

    fn named(&self, group: &str) -> String {
        format!("{}{group}", self.part.prefix)
    }

    fn file(&self, group: &str) -> Signed {
        let name = self.named(group);
        let file = self.stage.files.iter().find(|(known, _)| *known == name);
        file.expect("there is such a group").1.clone()
    }

    fn tell(&mut self, what: &str) {
        self.told.push(without_dates(what));
    }

    /// An attacker has the day closed, and sees what comes of it.
    fn close(&mut self, group: &str, by: usize) {
        let close = GroupClose { group: Some(self.named(group)), day: self.day };
        let told = match self.node(by).ask(&Request::GroupClose(close)) {
            Reply::Atoms(rows) => {
                self.closed += rows.iter().filter(|row| row.state == AtomState::Closed).count();
                rows.iter().map(row_told).collect()
            }
            Reply::Failure(failure) => failure.message,
            other => panic!("{group} was not closed: {other:?}"),
        };
        self.tell(&format!("{group} closed by {by}: {told}"));
    }

    /// It is about the next day from here on.
    const fn go_on(&mut self) {
        self.day += 1;
    }

    /// Both attackers ask everything about the day.
    fn ask(&mut self, group: &str) {
        for by in [0, 1] {
            self.ask_at(group, by);
        }
    }

    /// One of them asks everything about the day.
    fn ask_at(&mut self, group: &str, by: usize) {
        self.ask_range(group, by, (0, 24), false);
    }

    /// One of them asks about a range, in hours from the beginning of the day.
    fn ask_range(&mut self, group: &str, by: usize, (from, to): (i64, i64), compare: bool) {
        let day = self.day;
        let at = |hour: i64| Some(Timestamp::from_micros(i64::from(day) * DAY + hour * 3_600_000_000));
        for question in Question::ALL.iter().copied() {
            let (group, since, until) = (Some(self.named(group)), at(from), at(to));
            let query = MeshQuery { question, group, since, until, compare };
            let told = match self.node(by).ask(&Request::MeshQuery(query)) {
                Reply::Answer(answer) => answer_told(*answer, day),
                Reply::Failure(failure) => failure.message,
                other => panic!("no answer but {other:?}"),
            };
            self.tell(&format!("{by} asked {question} of {from} to {to}: {told}"));
        }
    }

    /// What the attackers see besides: the days of their groups and their own audits.
    fn look_around(&mut self) {
        let days = self.first..self.first + self.part.scenario.days;
        for by in [0, 1] {
            let rows = until("nothing is under way", || {
                let rows = atoms(self.node(by));
                let rows: Vec<AtomRow> = rows.into_iter().filter(|row| days.contains(&row.day)).collect();
                let is_open = |row: &AtomRow| matches!(row.state, AtomState::Open | AtomState::Given);
                (!rows.iter().any(is_open)).then_some(rows)
            });
            let mut rows: Vec<String> = rows.iter().map(row_told).collect();
            rows.sort();
            let audit =
                self.node(by).audit(AuditFilter::default()).into_iter().filter_map(|row: AuditRow| row.entry);
            let audit = audit.filter(|entry| entry.day.is_some_and(|day| days.contains(&day)));
            let mut audit: Vec<String> = audit
                .map(|entry| format!("{:?} {:?} {} {:?}", entry.deed, entry.reason, entry.count, entry.other))
                .collect();
            audit.sort();
            self.tell(&format!("{by} sees {rows:#?} and did {audit:#?}"));
        }
    }

    /// Somebody's machine dies and is started anew.
    fn restart(&mut self, role: usize) {
        let place = self.part.cast[role];
        let node = &mut self.stage.team.nodes[place];
        node.karo.kill();
        node.karo.launch();
        let own = node.node_id();
        for (other, node) in self.stage.team.nodes.iter().enumerate() {
            if other != place {
                node.wait_for(own, LinkState::Connected);
            }
        }
        let is_up = |node: &Node| node.peers().iter().all(|row| row.state == LinkState::Connected);
        until("it is linked again", || is_up(&self.stage.team.nodes[place]).then_some(()));
    }

    fn change(&self, role: usize, change: PolicyChange) {
        match self.node(role).ask(&Request::PolicyChange(change)) {
            Reply::Policy(_) => {}
            other => panic!("the policy was not changed: {other:?}"),
        }
    }

    /// Somebody contributes to groups from now on, or to none.
    fn share(&self, role: usize, is_on: bool) {
        self.change(role, PolicyChange::Switch { what: Sharing::Groups, to: Some(is_on) });
    }

    /// Somebody keeps these back from now on.
    fn deny(&self, role: usize, denied: &[Category]) {
        self.change(role, PolicyChange::Deny(denied.iter().copied().collect()));
    }

    /// Somebody leaves a group.
    fn leave(&self, role: usize, group: &str) {
        match self.node(role).ask(&Request::GroupLeave(self.named(group))) {
            Reply::Group(_) => {}
            other => panic!("{group} was not left: {other:?}"),
        }
    }

    /// Somebody accepts a group that they have left.
    fn join(&self, role: usize, group: &str) {
        accept(self.node(role), &self.file(group));
    }

    /// Somebody deletes all that they did on the day.
    fn delete(&self, role: usize) {
        let at = |day: i32| Some(Timestamp::from_micros(i64::from(day) * DAY));
        let filter = Filter { since: at(self.day), until: at(self.day + 1), ..Filter::default() };
        match self.node(role).ask(&Request::Delete(filter)) {
            Reply::Deleted(count) => assert!(count > 0, "there was nothing to delete"),
            other => panic!("nothing was deleted: {other:?}"),
        }
    }

    /// Something of the day comes late.
    fn late(&self, role: usize, commands: &[(&str, i32)]) {
        let mut typist = Typist::new(
            5000 + self.part.cast[role] as u64 * 100 + u64::from(self.day.unsigned_abs()) * 10_000,
        );
        let start = i64::from(self.day) * DAY + 15 * 3_600_000_000;
        self.node(role).karo.keep(commands.iter().map(|(command, exit)| Observation {
            started_at: Timestamp::from_micros(start),
            ..typist.ran(*command, *exit)
        }));
    }
}

fn atoms(node: &Node) -> Vec<AtomRow> {
    match node.ask(&Request::GroupAtoms(None)) {
        Reply::Atoms(rows) => rows,
        other => panic!("no days but {other:?}"),
    }
}

/// What a row says, without its day and hour; whoever of the two comes first changes with the day.
fn row_told(row: &AtomRow) -> String {
    let AtomRow { group, state, reason, is_given, table, fed, contributors, aggregators, .. } = row;
    let mut aggregators: Vec<&String> = aggregators.iter().flat_map(|(one, other)| [one, other]).collect();
    aggregators.sort();
    format!("{group:?} {state:?} {reason:?} {is_given} {table:?} {fed:?} {contributors:?} {aggregators:?}; ")
}

/// All of an answer, with its days counted from the first; who of the members was silent is not about anybody's day.
fn answer_told(mut answer: MeshAnswer, day: i32) -> String {
    let counted = |days: &mut Vec<i32>| days.iter_mut().for_each(|one| *one -= day);
    (answer.since_day, answer.until_day) = (answer.since_day - day, answer.until_day - day);
    counted(&mut answer.covered);
    answer.covered_before.iter_mut().for_each(counted);
    // The newest day of a group is that of another scenario, unless this one has closed it.
    answer.newest = answer.newest.map(|newest| newest - day).filter(|newest| *newest >= 0);
    (answer.statuses, answer.silent) = (Vec::new(), Vec::new());
    format!("{answer:#?}")
}

/// Puts a word in the place of each date.
fn without_dates(text: &str) -> String {
    let is_date = |bytes: &[u8]| {
        bytes.iter().enumerate().all(|(place, byte)| match place {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
    };
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if rest.len() >= 10 && is_date(&rest.as_bytes()[..10]) {
            told.push_str("DATE");
            rest = &rest[10..];
        } else {
            told.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    told
}

/// Plays some scenarios with one team.
fn tour(scenarios: &'static [Scenario]) {
    let first = yesterday() + 1 - DAYS;
    let parts = casting(scenarios, first);
    let mut stage = Stage::set(&parts, first);
    // The days go by as they would, so that what is newest is of the day that is played.
    let mut order: Vec<(i32, usize, usize)> = parts
        .iter()
        .enumerate()
        .flat_map(|(number, part)| [(part.days[0], number, 0), (part.days[1], number, 1)])
        .collect();
    order.sort_unstable();
    let mut told: Vec<[Vec<String>; 2]> = vec![[Vec::new(), Vec::new()]; parts.len()];
    for (_, number, world) in order {
        told[number][world] = stage.play(&parts[number], world);
    }
    for (part, [one, other]) in parts.iter().zip(&told) {
        let Scenario { name, compares, .. } = part.scenario;
        assert_eq!(one.len(), other.len(), "{name}: more was told in one world");
        for (one, other) in one.iter().zip(other) {
            let unlike = one.lines().zip(other.lines()).find(|(one, other)| one != other);
            let what = one.lines().next().unwrap_or_default();
            assert!(one == other, "{name}: what should hide {compares} differs: {what}: {unlike:?}");
        }
    }
    assert!(stage.first <= first);
}

#[test]
fn fifty_attacks_tell_two_worlds_apart_in_nothing() {
    assert_eq!(SCENARIOS.len(), 50);
    let (one, other) = SCENARIOS.split_at(25);
    thread::scope(|scope| {
        let tours = [one, other].map(|scenarios| scope.spawn(move || tour(scenarios)));
        tours
            .into_iter()
            .for_each(|tour| tour.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
    });
}
