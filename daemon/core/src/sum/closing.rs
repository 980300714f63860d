//! What everybody who takes part in one closing knows alike: the group, the day, the two aggregators, the vectors.

use std::collections::BTreeSet;
use std::sync::Arc;

use karo_protocol::NodeId;
use karo_protocol::atom::{Atom, AtomId, AtomReason, Report};
use karo_protocol::group::SealingKey;
use karo_protocol::node::{Hash, Nonce};

use super::record::Listed;
use super::shares::{Bound, Scheme};
use crate::atom::counts::DayCounts;
use crate::atom::rule::{Mask, visible};
use crate::atom::{OwnerSums, ValueSums, release};
use crate::cohort::Cohort;
use crate::group::Group;

/// One atom that is to be closed, and by whom. Shared by the machines of a node and by their work.
#[derive(Debug)]
pub struct Closing {
    group: Arc<Group>,
    atom: AtomId,
    leader: NodeId,
    helper: NodeId,
    keys: [SealingKey; 2],
    contributors: BTreeSet<NodeId>,
    scheme: Scheme,
}

impl Closing {
    /// Draws the closing of a group's day; `None` when the group has no two aggregators.
    pub fn new(group: Arc<Group>, day: i32) -> Option<Arc<Self>> {
        let atom = AtomId { group: group.id(), day };
        let scheme = Scheme::new(atom, &group.parts());
        Self::of(group, day, scheme)
    }

    pub(super) fn of(group: Arc<Group>, day: i32, scheme: Scheme) -> Option<Arc<Self>> {
        let (leader, helper) = group.aggregators(day)?;
        let key = |node| group.member(node).map(|member| member.card.sealing);
        Some(Arc::new(Self {
            atom: AtomId { group: group.id(), day },
            keys: [key(&leader)?, key(&helper)?],
            contributors: group.contributors().map(|member| member.card.node).collect(),
            leader,
            helper,
            scheme,
            group,
        }))
    }

    /// Returns which atom it is.
    pub const fn atom(&self) -> AtomId {
        self.atom
    }

    /// Returns the group.
    pub const fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// Returns the aggregator of rank 1.
    pub const fn leader(&self) -> NodeId {
        self.leader
    }

    /// Returns the aggregator of rank 2.
    pub const fn helper(&self) -> NodeId {
        self.helper
    }

    /// Returns the vectors.
    pub const fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// Returns one owner's numbers as the vectors that are shared; `None` for counts with other cells than the group's.
    pub fn numbers(&self, counts: &DayCounts) -> Option<Vec<Vec<u128>>> {
        let mut numbers = Vec::new();
        for part in self.scheme.parts() {
            let (values, marks) = counts.vectors(*part)?;
            numbers.extend([values, marks]);
        }
        Some(numbers)
    }

    pub(super) const fn keys(&self) -> [SealingKey; 2] {
        self.keys
    }

    pub(super) const fn contributors(&self) -> &BTreeSet<NodeId> {
        &self.contributors
    }

    pub(super) fn is_contributor(&self, node: &NodeId) -> bool {
        self.contributors.contains(node)
    }

    /// Returns what a contributor signs for these boxes.
    pub(super) const fn report(&self, [leader_box, helper_box]: [Hash; 2]) -> Report {
        Report { atom: self.atom, leader: self.leader, helper: self.helper, leader_box, helper_box }
    }

    /// Returns what the boxes of a report are bound to.
    pub(super) const fn bound(&self, contributor: NodeId, report: Nonce) -> Bound {
        Bound { report, contributor, leader: self.leader, helper: self.helper }
    }

    /// Takes the owners of a set as a cohort.
    ///
    /// # Errors
    ///
    /// [`AtomReason::TooFew`].
    pub(super) fn cohort(&self, set: &[Listed]) -> Result<Cohort, AtomReason> {
        self.group.cohort(set.iter().map(|listed| &listed.contributor)).map_err(|_| AtomReason::TooFew)
    }

    /// Decides what is visible once both sums of owners are open; `None` for sums that the group cannot have.
    pub(super) fn open(&self, set: &[Listed], owners: Vec<Vec<u64>>) -> Option<Opened> {
        let cohort = self.cohort(set).ok()?;
        let owners = OwnerSums::new(&self.group, owners).ok()?;
        let mask = visible(&self.group, &owners);
        let places = self.group.parts().into_iter().map(|part| mask.values(part)).collect();
        Some(Opened { cohort, owners, mask, places })
    }

    /// Makes the table of the sums of visible values; `None` for sums that the group cannot have.
    pub(super) fn table(&self, opened: &Opened, values: &[Vec<u64>]) -> Option<Atom> {
        let values = ValueSums::new(&self.group, &opened.mask, values).ok()?;
        let aggregators = (self.leader, self.helper);
        let Opened { cohort, owners, mask, .. } = opened;
        Some(release(&self.group, self.atom.day, aggregators, cohort, mask, owners, &values))
    }
}

/// What follows from both sums of owners.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) cohort: Cohort,
    owners: OwnerSums,
    mask: Mask,
    /// For each part, the places of the values that are visible.
    pub(super) places: Vec<Vec<usize>>,
}
