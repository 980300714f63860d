//! Attacks on one atom: a cell of the victim alone, hidden, against all that is shown beside it.
//!
//! The attacker knows in which cell only the victim has something, and which cells nobody has anything in; what they
//! do not know is how much. Whatever partition the cell is in, the attacker takes the sum of the whole, by whatever
//! other partition or cell tells it, and subtracts what is shown.

use std::collections::{BTreeMap, BTreeSet};

use karo_core::atom::counts::{CountedEvent, DayCounts};
use karo_core::atom::layout::{Cell, End, Partition};
use karo_core::atom::value_at;
use karo_core::group::Group;
use karo_protocol::{Axis, Category, Micros, Risk};

use crate::chance::{Chance, tail};
use crate::world::{Closing, Showing, group};

/// Scenarios of each attack on Karo's rule.
const SCENARIOS: u64 = 1_000;

/// Scenarios of each attack on a weaker one.
const WEAKER_SCENARIOS: u64 = 100;

/// Owners of each scenario, the victim among them.
const OWNERS: usize = 8;

/// What the victim alone does.
#[derive(Debug, Clone, Copy)]
struct Secret {
    name: &'static str,
    event: CountedEvent,
    tool: Option<&'static str>,
    rule: Option<&'static str>,
    cell: Cell,
}

const USUAL: CountedEvent = CountedEvent {
    category: Category::Vcs,
    risk: Some(Risk::Low),
    axis: Some(Axis::Hazard),
    exit: Some(0),
    duration: Some(Micros(1)),
    hour: 9,
};

const TOOLS: [(&str, Category); 3] =
    [("gcc", Category::Build), ("git", Category::Vcs), ("make", Category::Build)];

const RULES: [(&str, Risk); 3] = [("r0", Risk::Low), ("r1", Risk::Low), ("r2", Risk::Medium)];

const SECRETS: [Secret; 5] = [
    Secret {
        name: "a category against the sum of all hours",
        event: CountedEvent { category: Category::Security, ..USUAL },
        tool: None,
        rule: Some("r0"),
        cell: Cell::Category(Category::Security, End::Ok),
    },
    Secret {
        name: "what failed against what went well",
        event: CountedEvent { category: Category::Network, exit: Some(1), ..USUAL },
        tool: None,
        rule: Some("r0"),
        cell: Cell::Category(Category::Network, End::Failed),
    },
    Secret {
        name: "an hour against the sum of all risks",
        event: CountedEvent { hour: 3, ..USUAL },
        tool: Some("git"),
        rule: Some("r0"),
        cell: Cell::Hour(3),
    },
    Secret {
        name: "a tool against its category",
        event: CountedEvent { category: Category::Build, ..USUAL },
        tool: Some("make"),
        rule: Some("r0"),
        cell: Cell::Tool(2, End::Ok),
    },
    Secret {
        name: "a rule against its level",
        event: USUAL,
        tool: Some("git"),
        rule: Some("r1"),
        cell: Cell::Rule(1),
    },
];

/// What everybody does: each category, hour, level and tool but those of the secret, so often as is drawn.
fn usual_day(group: &Group, secret: &Secret, chance: &mut Chance) -> DayCounts {
    let mut counts = DayCounts::new(group.layout().clone());
    for hour in (0..24).filter(|hour| secret.cell != Cell::Hour(*hour)) {
        let place = usize::from(hour);
        let (category, tool) = [
            (Category::Vcs, Some("git")),
            (Category::Build, Some("gcc")),
            (Category::Build, None),
            (Category::Network, None),
            (Category::Vcs, None),
        ][place % 5];
        let (risk, axis) = (Risk::ALL[place % 5], Axis::ALL[place / 5 % 3]);
        let is_calm = place >= 15;
        let rule = if place.is_multiple_of(2) { "r0" } else { "r2" };
        let event = CountedEvent {
            category,
            risk: (!is_calm).then_some(risk),
            axis: (!is_calm).then_some(axis),
            hour,
            ..USUAL
        };
        for _ in 0..chance.of(1..5) {
            counts.add(&event, tool.into_iter(), std::iter::once(rule));
        }
    }
    counts
}

/// What of an atom an attacker sees and knows.
struct Seen<'a> {
    group: &'a Group,
    shown: BTreeMap<Cell, u64>,
    /// Cells in which nobody has anything.
    empty: BTreeSet<Cell>,
}

impl Seen<'_> {
    fn of(&self, cell: Cell) -> Option<u64> {
        self.shown.get(&cell).copied().or(self.empty.contains(&cell).then_some(0))
    }

    fn sum(&self, cells: &[Cell]) -> Option<u64> {
        cells.iter().map(|cell| self.of(*cell)).sum()
    }

    /// Returns the sum of a partition's whole, if any way leads to it.
    fn whole(&self, partition: &Partition) -> Option<u64> {
        if !partition.whole.is_empty() {
            return self.sum(&partition.whole);
        }
        let roots = self.group.layout().partitions().iter().filter(|other| other.whole.is_empty());
        roots.filter_map(|other| self.sum(&other.cells)).next()
    }

    /// Returns what is left of the partition in which a cell is hidden, and else anything that the cell is a part of.
    fn left_with(&self, cell: Cell) -> Option<u64> {
        let partitions = self.group.layout().partitions();
        let own = partitions.iter().find(|partition| partition.cells.contains(&cell))?;
        let shown: u64 = own.cells.iter().filter_map(|other| self.of(*other)).sum();
        let whole = self.whole(own)?;
        (whole >= shown).then(|| whole - shown)
    }
}

fn wins(secret: &Secret, showing: Showing, scenarios: u64) -> u64 {
    (0..scenarios).filter(|seed| is_won(secret, showing, *seed)).count() as u64
}

fn is_won(secret: &Secret, showing: Showing, seed: u64) -> bool {
    let name = *blake3::hash(secret.name.as_bytes()).as_bytes();
    let mut chance = Chance::new(seed ^ u64::from_be_bytes(name[..8].try_into().expect("eight bytes")));
    let owners: BTreeSet<usize> = (0..OWNERS).collect();
    let group = group(&owners, &TOOLS, &RULES).expect("a group");
    let mut tables: Vec<DayCounts> = owners.iter().map(|_| usual_day(&group, secret, &mut chance)).collect();
    let count = chance.of(1..17);
    for _ in 0..count {
        tables[0].add(&secret.event, secret.tool.into_iter(), secret.rule.into_iter());
    }
    assert_eq!(tables[0].of(secret.cell), count, "the victim has the cell alone");
    let closing = Closing::new(&group, &tables);
    let shown = seen(&group, &closing, showing);
    let is_empty = |cell: &&Cell| closing.owners.of(**cell) == 0;
    let empty = group.layout().cells().iter().filter(is_empty).copied().collect();
    let seen = Seen { group: &group, shown, empty };
    let guess = seen.left_with(secret.cell).map_or_else(|| chance.coin(), |left| left % 2 == 1);
    guess == (count % 2 == 1)
}

fn seen(group: &Group, closing: &Closing, showing: Showing) -> BTreeMap<Cell, u64> {
    if showing != Showing::Karo {
        let shown = showing.shown(group, &closing.owners);
        return shown.into_iter().filter_map(|cell| Some((cell, closing.value(cell)?))).collect();
    }
    let atom = closing.release(group, 20_000, &(0..OWNERS).collect()).expect("enough owners");
    let value = |cell: &Cell| Some((*cell, value_at(&atom, cell.part(), cell.value()?)?));
    group.layout().cells().iter().filter_map(value).collect()
}

#[test]
fn a_hidden_cell_is_not_what_is_left_of_a_sum() {
    let mut all = 0;
    for secret in &SECRETS {
        let wins = wins(secret, Showing::Karo, SCENARIOS);
        let chance = tail(wins, SCENARIOS);
        assert!(chance > 0.001, "{}: {wins} of {SCENARIOS}", secret.name);
        all += wins;
    }
    assert!(tail(all, SCENARIOS * SECRETS.len() as u64) > 0.001, "{all} in all");
}

#[test]
fn five_owners_alone_leave_the_hidden_cell() {
    for secret in &SECRETS {
        let wins = wins(secret, Showing::FiveAlone, WEAKER_SCENARIOS);
        assert!(wins > WEAKER_SCENARIOS * 9 / 10, "{}: {wins} wins", secret.name);
    }
    // Covers among all events do not help below a category or level.
    for secret in &SECRETS[3..] {
        let wins = wins(secret, Showing::NoCoverBelow, WEAKER_SCENARIOS);
        assert!(wins > WEAKER_SCENARIOS * 9 / 10, "{}: {wins} wins", secret.name);
    }
}

/// What is not promised: a sum of counts is a bound of each of them, and the smaller it is the closer.
#[test]
fn a_sum_bounds_what_is_hidden_in_it() {
    let secret = &SECRETS[0];
    let owners: BTreeSet<usize> = (0..OWNERS).collect();
    let group = group(&owners, &TOOLS, &RULES).expect("a group");
    let mut chance = Chance::new(1);
    let mut tables: Vec<DayCounts> = owners.iter().map(|_| usual_day(&group, secret, &mut chance)).collect();
    for _ in 0..3 {
        tables[0].add(&secret.event, secret.tool.into_iter(), secret.rule.into_iter());
    }
    let closing = Closing::new(&group, &tables);
    let shown = seen(&group, &closing, Showing::Karo);
    let is_empty = |cell: &&Cell| closing.owners.of(**cell) == 0;
    let empty = group.layout().cells().iter().filter(is_empty).copied().collect();
    let left =
        Seen { group: &group, shown: shown.clone(), empty }.left_with(secret.cell).expect("hours are shown");
    let categories = &group.layout().partitions()[0].cells;
    let covers: Vec<Cell> = categories
        .iter()
        .copied()
        .filter(|cell| closing.owners.of(*cell) >= 5 && !shown.contains_key(cell))
        .collect();
    let [cover] = covers.as_slice() else { panic!("one cell covers: {covers:?}") };
    assert_eq!(left, 3 + closing.value(*cover).expect("a category has a value"));
    assert!(
        left - closing.owners.of(*cover) >= 3,
        "no more is known than that it is at most what is left of five"
    );
}
