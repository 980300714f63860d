//! What of an atom is shown: the rule of five owners, over all parts together.
//!
//! A cell is visible if at least five owners have something in it; none at all is hidden as few are. Then, for each
//! partition of the same events, the whole before its parts: if anything of it is hidden, or of the whole that it
//! makes up, then the hidden cells must include one that has five owners itself. If they do not, the visible cell
//! with the fewest owners is hidden as well (of equals the first), and if none is visible, all of it is.
//!
//! **Why that is enough.** What is known of hidden cells are sums: a visible cell is known, and a partition has the
//! sum of its whole. Whoever adds and subtracts known sums can give each visible cell any weight, but all hidden
//! cells of one partition get one weight, less that of the partition below for cells that are such a whole. So
//! whatever is left over of a partition is: all of its hidden cells; or, where a hidden whole was replaced by its
//! parts, the hidden cells of those. Either contains a cell with five owners. `tests/attacks` demands it of thousands of
//! atoms by linear algebra, and of rules that are weaker that they fail. As a cell with five owners has five less c
//! that are honest, whoever knows what c of the owners did has everybody else in a sum of at least five less c.
//!
//! **What it is not.** A sum is a bound: if the hidden cells of a partition come to 60 and one of them has five owners,
//! no other is above 55; and of five owners with five events each had one. Whoever knows by other ways what is in
//! the cell that covers another knows the other. That is so of any sum that is told exactly.

use std::collections::BTreeSet;

use karo_protocol::atom::Part;

use super::layout::{Cell, Partition};
use super::release::OwnerSums;
use crate::cohort::Cohort;
use crate::group::Group;

/// Which cells of one atom are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask(BTreeSet<Cell>);

impl Mask {
    /// Tells whether a cell is shown.
    pub fn shows(&self, cell: Cell) -> bool {
        self.0.contains(&cell)
    }

    /// Returns the places of a part's values that are shown, rising: those whose sums the aggregators tell.
    pub fn values(&self, part: Part) -> Vec<usize> {
        let mut places: Vec<usize> = self
            .0
            .iter()
            .filter(|cell| cell.part() == part)
            .flat_map(|cell| cell.value().into_iter().chain(cell.duration()))
            .collect();
        places.sort_unstable();
        places
    }
}

/// Decides which cells are shown, by how many owners have something in each.
pub fn visible(group: &Group, owners: &OwnerSums) -> Mask {
    let has_five = |cell: Cell| owners.of(cell) >= Cohort::SMALLEST as u64;
    let mut shown: BTreeSet<Cell> =
        group.layout().cells().iter().copied().filter(|cell| has_five(*cell)).collect();
    for partition in group.layout().partitions() {
        if lacks_cover(partition, &shown, has_five) {
            hide_fewest(partition, &mut shown, owners);
        }
    }
    Mask(shown)
}

/// Tells whether something around a partition is hidden, and nothing in it that has five owners itself.
fn lacks_cover(partition: &Partition, shown: &BTreeSet<Cell>, has_five: impl Fn(Cell) -> bool) -> bool {
    let is_hidden = |cell: &&Cell| !shown.contains(cell);
    let mut around = partition.whole.iter().chain(&partition.cells);
    around.any(|cell| is_hidden(&cell))
        && !partition.cells.iter().filter(is_hidden).any(|cell| has_five(*cell))
}

fn hide_fewest(partition: &Partition, shown: &mut BTreeSet<Cell>, owners: &OwnerSums) {
    let visible = partition.cells.iter().filter(|cell| shown.contains(cell));
    if let Some(fewest) = visible.min_by_key(|cell| owners.of(**cell)).copied() {
        shown.remove(&fewest);
    }
}
