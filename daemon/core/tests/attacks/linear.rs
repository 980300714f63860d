//! Whoever adds and subtracts all that is released of an atom never gets a number of fewer than five owners.
//!
//! **Method.** Unknown are the sums of all cells. Known are those that are shown, and that partitions have the sum of
//! their whole. So what is known beyond single cells are the combinations of partitions in which something shown has
//! a part; each leaves a combination of hidden cells. The kernel of the partitions over the hidden cells that have
//! five owners are all combinations in which only small cells are left: there may be none that leaves any.
//!
//! A partition below a whole of which no part is shown is left out of that: whoever puts all its parts in the place
//! of the whole has the same owners behind them, and more than five if any of the whole is shown. The second test
//! leaves nothing out, and asks for each four owners there are.

use std::collections::{BTreeMap, BTreeSet};

use karo_core::atom::counts::{CountedEvent, DayCounts};
use karo_core::atom::layout::{Cell, End};
use karo_core::group::Group;
use karo_protocol::atom::Signal;
use karo_protocol::{Axis, Category, Micros, Risk};

use crate::chance::Chance;
use crate::field::{Matrix, spans};
use crate::world::{Closing, Showing, group, owners_of};

pub(crate) const TOOLS: [&str; 12] =
    ["aws", "cargo", "curl", "docker", "gcc", "git", "grep", "make", "npm", "python", "ssh", "tar"];

const RULES: [&str; 8] = ["r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7"];

/// A sum: of the events of a cell, or of their log durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sum {
    Count(Cell),
    Duration(Cell),
}

impl Sum {
    const fn cell(self) -> Cell {
        match self {
            Self::Count(cell) | Self::Duration(cell) => cell,
        }
    }
}

/// Sums that together are nothing, each with its sign.
type Relation = Vec<(Sum, i64)>;

/// Partitions of all events: each but the first is compared with the one before it.
const ROOTS: usize = 3;

fn relations(group: &Group) -> Vec<Relation> {
    let mut found = Vec::new();
    let partitions = group.layout().partitions();
    let counts =
        |cells: &[Cell], sign| cells.iter().map(|cell| (Sum::Count(*cell), sign)).collect::<Vec<_>>();
    let whole = |partition: &&karo_core::atom::layout::Partition| partition.whole.is_empty();
    let roots: Vec<_> = partitions.iter().filter(whole).collect();
    for pair in roots.windows(2) {
        found.push([counts(&pair[0].cells, 1), counts(&pair[1].cells, -1)].concat());
    }
    for partition in partitions.iter().filter(|partition| !partition.whole.is_empty()) {
        found.push([counts(&partition.whole, 1), counts(&partition.cells, -1)].concat());
        // The log durations of a category are those of its tools and of the others, which have no cell.
        if let [whole @ Cell::Category(_, End::Ok)] = partition.whole.as_slice() {
            let parts = partition.cells.iter().map(|cell| (Sum::Duration(*cell), -1));
            found.push(std::iter::once((Sum::Duration(*whole), 1)).chain(parts).collect());
        }
    }
    found
}

/// What is known of an atom, and of whom.
struct Known {
    relations: Vec<Relation>,
    shown: BTreeSet<Cell>,
}

impl Known {
    /// With every partition there is.
    fn all(group: &Group, shown: BTreeSet<Cell>) -> Self {
        Self { relations: relations(group), shown }
    }

    /// With those that say more of their parts than that there are some.
    fn telling(group: &Group, shown: BTreeSet<Cell>) -> Self {
        let mut known = Self::all(group, shown);
        let mut relations = std::mem::take(&mut known.relations);
        let is_telling =
            |relation: &Relation| relation.iter().any(|(sum, sign)| *sign < 0 && known.is_shown(*sum));
        let mut below = relations.split_off(ROOTS - 1);
        below.retain(is_telling);
        relations.append(&mut below);
        known.relations = relations;
        known
    }

    fn is_shown(&self, sum: Sum) -> bool {
        let has_cell = match sum {
            Sum::Count(_) => true,
            Sum::Duration(cell) => cell.duration().is_some(),
        };
        has_cell && self.shown.contains(&sum.cell())
    }

    /// Returns the columns of some sums, equal ones once, as a matrix with a row for each relation.
    fn columns(&self, is_wanted: impl Fn(Sum) -> bool) -> Matrix {
        let mut columns: BTreeMap<Sum, Vec<i64>> = BTreeMap::new();
        for (row, relation) in self.relations.iter().enumerate() {
            for (sum, sign) in relation.iter().filter(|(sum, _)| is_wanted(*sum)) {
                columns.entry(*sum).or_insert_with(|| vec![0; self.relations.len()])[row] += sign;
            }
        }
        let unlike: BTreeSet<Vec<i64>> = columns.into_values().collect();
        Matrix::new((0..self.relations.len()).map(|row| unlike.iter().map(|column| column[row]).collect()))
    }

    /// Tells whether a number follows that is about small cells alone.
    ///
    /// Left out are weights under which nothing shown has a part, and such under which nothing hidden has one: what
    /// these two come to is known to anybody.
    fn isolates(&self, is_small: impl Fn(Cell) -> bool) -> bool {
        let covering = self.columns(|sum| !self.is_shown(sum) && !is_small(sum.cell()));
        let mut plain = self.columns(|sum| self.is_shown(sum)).left_kernel();
        plain.extend(self.columns(|sum| !self.is_shown(sum)).left_kernel());
        !spans(&plain, &covering.left_kernel())
    }
}

/// A group of virtual owners with a random day: most of them do the usual, and each something of their own.
pub(crate) fn random_day(chance: &mut Chance) -> (Group, Vec<DayCounts>) {
    let owners: BTreeSet<usize> = (0..chance.of(5..21) as usize).collect();
    let kinds = chance.of(2..12);
    let tools: Vec<(&str, Category)> = TOOLS[..chance.of(0..13) as usize]
        .iter()
        .map(|name| (*name, Category::ALL[chance.of(0..kinds) as usize]))
        .collect();
    let rules: Vec<(&str, Risk)> = RULES[..chance.of(0..9) as usize]
        .iter()
        .map(|id| (*id, Risk::ALL[chance.of(0..3) as usize]))
        .collect();
    let group = group(&owners, &tools, &rules).expect("a group");
    let day = DayHabits {
        kinds,
        failing: chance.of(2..9),
        risky: chance.of(2..12),
        levels: chance.of(1..6),
        hours: chance.of(1..25),
    };
    let tables = owners.iter().map(|_| day.of_one(&group, chance)).collect();
    (group, tables)
}

struct DayHabits {
    kinds: u64,
    failing: u64,
    risky: u64,
    levels: u64,
    hours: u64,
}

impl DayHabits {
    fn of_one(&self, group: &Group, chance: &mut Chance) -> DayCounts {
        let mut counts = DayCounts::new(group.layout().clone());
        for _ in 0..chance.of(0..30) {
            // The less usual is drawn less often: the smaller of two draws.
            let mut rare = |most: u64| chance.of(0..most).min(chance.of(0..most)) as usize;
            let (kind, hour, level, axis) = (rare(self.kinds), rare(self.hours), rare(self.levels), rare(3));
            let is_risky = chance.of(0..self.risky) == 0;
            let event = CountedEvent {
                category: Category::ALL[kind],
                risk: is_risky.then(|| Risk::ALL[level]),
                axis: is_risky.then(|| Axis::ALL[axis]),
                exit: Some(i32::from(chance.of(0..self.failing) == 0)),
                duration: Some(Micros(chance.of(0..1 << 30))),
                hour: hour as u8,
            };
            let tool = (chance.of(0..3) > 0).then(|| TOOLS[chance.of(0..12) as usize]);
            let rule = chance.coin().then(|| RULES[chance.of(0..8) as usize]);
            counts.add(&event, tool.into_iter(), rule.into_iter());
        }
        if chance.of(0..4) == 0 {
            counts.signal(Signal::Hours);
        }
        counts
    }
}

/// Tells whether anything of fewer than five owners is shown by such a rule, or follows from what is.
fn fails(showing: Showing, group: &Group, tables: &[DayCounts]) -> bool {
    let closing = Closing::new(group, tables);
    let is_small = |cell| closing.owners.of(cell) < 5;
    let shown = showing.shown(group, &closing.owners);
    shown.iter().any(|cell| is_small(*cell)) || Known::telling(group, shown).isolates(is_small)
}

#[test]
fn no_sum_has_fewer_than_five_owners() {
    let mut shown = 0;
    for seed in 0..3_000 {
        let (group, tables) = random_day(&mut Chance::new(seed));
        let closing = Closing::new(&group, &tables);
        shown += Showing::Karo.shown(&group, &closing.owners).len();
        assert!(!fails(Showing::Karo, &group, &tables), "seed {seed}");
    }
    assert!(shown > 10_000, "only {shown} cells were shown at all");
}

/// The same without a word about single cells: whichever four owners there are, no number is about them alone.
#[test]
fn no_four_owners_are_told_of() {
    let mut tried = 0;
    for seed in 10_000..10_080 {
        let (group, tables) = random_day(&mut Chance::new(seed));
        let closing = Closing::new(&group, &tables);
        let owners = owners_of(group.layout(), &tables);
        let known = Known::all(&group, Showing::Karo.shown(&group, &closing.owners));
        for few in fours(&owners) {
            tried += 1;
            assert!(!known.isolates(|cell| owners[&cell].is_subset(&few)), "seed {seed}: {few:?}");
        }
    }
    assert!(tried > 600, "only {tried} sets of owners were tried");
}

/// Returns each set of at most four owners that is made of the owners of small cells.
fn fours(owners: &BTreeMap<Cell, BTreeSet<usize>>) -> BTreeSet<BTreeSet<usize>> {
    let small: BTreeSet<&BTreeSet<usize>> = owners.values().filter(|owners| owners.len() < 5).collect();
    let mut found: BTreeSet<BTreeSet<usize>> = BTreeSet::from([BTreeSet::new()]);
    for set in small {
        let more: Vec<BTreeSet<usize>> =
            found.iter().map(|known| known | set).filter(|union| union.len() < 5).collect();
        found.extend(more);
    }
    let is_within_other =
        |set: &BTreeSet<usize>| found.iter().any(|other| other != set && set.is_subset(other));
    found.iter().filter(|set| !is_within_other(set)).cloned().collect()
}

#[test]
fn a_rule_that_lacks_a_piece_tells_of_fewer() {
    for showing in [Showing::FiveAlone, Showing::NoCoverBelow, Showing::WholeForgotten, Showing::AnyCover] {
        let failed = (0..300)
            .filter(|seed| {
                let (group, tables) = random_day(&mut Chance::new(*seed));
                fails(showing, &group, &tables)
            })
            .count();
        assert!(failed > 0, "{showing:?} failed on {failed} of 300 days");
    }
}
