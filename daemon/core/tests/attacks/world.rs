//! Virtual owners: their group, and the sums that an honest closing makes of their counts.

use std::collections::{BTreeMap, BTreeSet};

use karo_core::atom::counts::DayCounts;
use karo_core::atom::layout::{Cell, Layout};
use karo_core::atom::rule::{Mask, visible};
use karo_core::atom::{OwnerSums, ValueSums, check, release};
use karo_core::group::{Group, GroupRefused};
use karo_core::public::public;
use karo_protocol::atom::{Atom, Part};
use karo_protocol::group::{COHORT_MIN, Card, GroupFile, Member, SealingKey};
use karo_protocol::node::{Hash, NodeId, Nonce, Signature};
use karo_protocol::{Category, Risk};

/// The key of an owner's only machine.
pub(crate) fn node(owner: usize) -> NodeId {
    let mut key = [1; 32];
    key[..8].copy_from_slice(&(owner as u64).to_be_bytes());
    NodeId(key)
}

pub(crate) fn member(owner: usize) -> Member {
    let NodeId(key) = node(owner);
    Member {
        card: Card { node: NodeId(key), sealing: SealingKey(Hash(key)), proof: Signature([3; 64]) },
        name: format!("machine-{owner}"),
        owner: format!("owner {owner}"),
        contributes: true,
        may_aggregate: true,
        addresses: Vec::new(),
    }
}

pub(crate) fn file(owners: &BTreeSet<usize>) -> GroupFile {
    GroupFile {
        name: "team".to_owned(),
        lineage: Nonce([7; 16]),
        version: 1,
        zone: "UTC".to_owned(),
        smallest_cohort: COHORT_MIN,
        members: owners.iter().map(|owner| member(*owner)).collect(),
        tools: Vec::new(),
        rules: Vec::new(),
    }
}

/// A group of these owners, with tools and rules that have cells; its id says who is in it.
pub(crate) fn group(
    owners: &BTreeSet<usize>,
    tools: &[(&str, Category)],
    rules: &[(&str, Risk)],
) -> Result<Group, GroupRefused> {
    let mut file = file(owners);
    file.tools = tools.iter().map(|(name, own)| (public(name).expect("a public tool"), *own)).collect();
    file.tools.sort();
    file.rules = rules.iter().map(|(id, level)| ((*id).to_owned(), *level)).collect();
    let who: Vec<u8> = owners.iter().flat_map(|owner| owner.to_be_bytes()).collect();
    Group::check(Hash(*blake3::hash(&who).as_bytes()), file)
}

/// Sums over some owners' tables, as the two aggregators have them together.
#[derive(Debug, Clone)]
pub(crate) struct Closing {
    pub(crate) owners: OwnerSums,
    /// Each part's sums of all values, shown or not: no machine has them.
    pub(crate) values: BTreeMap<Part, Vec<u64>>,
}

impl Closing {
    pub(crate) fn new(group: &Group, tables: &[DayCounts]) -> Self {
        let mut marks = Vec::new();
        let mut values = BTreeMap::new();
        for part in group.parts() {
            let mut sums = (vec![0; part.values()], vec![0; part.owners()]);
            for table in tables {
                let (own_values, own_marks) = table.vectors(part).expect("a part of the group");
                sums.0.iter_mut().zip(own_values).for_each(|(sum, own)| *sum += own as u64);
                sums.1.iter_mut().zip(own_marks).for_each(|(sum, own)| *sum += own as u64);
            }
            values.insert(part, sums.0);
            marks.push(sums.1);
        }
        Self { owners: OwnerSums::new(group, marks).expect("sums of the group's owners"), values }
    }

    pub(crate) fn value(&self, cell: Cell) -> Option<u64> {
        cell.value().map(|place| self.values[&cell.part()][place])
    }

    /// What is released by the rule.
    pub(crate) fn release(&self, group: &Group, day: i32, set: &BTreeSet<usize>) -> Option<Atom> {
        let nodes: Vec<NodeId> = set.iter().map(|owner| node(*owner)).collect();
        let cohort = group.cohort(&nodes).ok()?;
        let mask = visible(group, &self.owners);
        let shown =
            |part: Part| mask.values(part).into_iter().map(|place| self.values[&part][place]).collect();
        let values: Vec<Vec<u64>> = group.parts().into_iter().map(shown).collect();
        let values = ValueSums::new(group, &mask, &values).expect("sums of what the mask shows");
        let aggregators = group.aggregators(day).expect("two owners");
        let atom = release(group, day, aggregators, &cohort, &mask, &self.owners, &values);
        assert_eq!(check(group, &atom), Ok(()));
        Some(atom)
    }
}

/// A rule of what is shown: Karo's, or one that lacks something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Showing {
    /// Karo's own.
    Karo,
    /// Five owners, and nothing else.
    FiveAlone,
    /// Covers only where all events are parted, not below a category or level.
    NoCoverBelow,
    /// Covers that do not mind whether the whole is hidden.
    WholeForgotten,
    /// A cover may be any hidden cell, of however few owners.
    AnyCover,
}

impl Showing {
    /// Returns the cells that are shown.
    pub(crate) fn shown(self, group: &Group, owners: &OwnerSums) -> BTreeSet<Cell> {
        let cells = group.layout().cells().iter().copied();
        if self == Self::Karo {
            let mask: Mask = visible(group, owners);
            return cells.filter(|cell| mask.shows(*cell)).collect();
        }
        let has_five = |cell: &Cell| owners.of(*cell) >= 5;
        let mut shown: BTreeSet<Cell> = cells.filter(has_five).collect();
        for partition in group.layout().partitions() {
            self.cover(&partition.whole, &partition.cells, owners, &mut shown);
        }
        shown
    }

    fn cover(self, whole: &[Cell], cells: &[Cell], owners: &OwnerSums, shown: &mut BTreeSet<Cell>) {
        let hidden: Vec<Cell> = cells.iter().copied().filter(|cell| !shown.contains(cell)).collect();
        let is_whole_hidden = whole.iter().any(|cell| !shown.contains(cell));
        let has_big = hidden.iter().any(|cell| owners.of(*cell) >= 5);
        let lacks = match self {
            Self::Karo | Self::FiveAlone => false,
            Self::NoCoverBelow => whole.is_empty() && !hidden.is_empty() && !has_big,
            Self::WholeForgotten => !hidden.is_empty() && !has_big,
            Self::AnyCover => (is_whole_hidden || !hidden.is_empty()) && hidden.len() < 2,
        };
        let visible = cells.iter().filter(|cell| shown.contains(cell));
        if let (true, Some(fewest)) = (lacks, visible.min_by_key(|cell| owners.of(**cell)).copied()) {
            shown.remove(&fewest);
        }
    }
}

/// Returns who has something in each cell.
pub(crate) fn owners_of(layout: &Layout, tables: &[DayCounts]) -> BTreeMap<Cell, BTreeSet<usize>> {
    let has = |cell: Cell| (0..tables.len()).filter(|owner| tables[*owner].of(cell) > 0).collect();
    layout.cells().iter().map(|cell| (*cell, has(*cell))).collect()
}
