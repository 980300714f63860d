//! A group file that keeps all rules of one: who contributes, who adds up, and what has cells.
//!
//! [`Group::check`] is the door: what is behind it needs no second look. It knows nothing of signatures (whoever
//! calls it has verified the file's and the cards') and nothing of time zones (the daemon knows which there are).

mod check;
mod difference;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use karo_protocol::NodeId;
use karo_protocol::atom::Part;
use karo_protocol::group::{GroupFile, Member};
use karo_protocol::node::Hash;

use crate::atom::layout::Layout;
use crate::cohort::{Cohort, OwnerId, TooFew};

pub use check::GroupRefused;
pub use difference::{Difference, DifferenceKind, diff};

/// What is hashed in front of a group's id to rank its aggregators.
const RANK_DOMAIN: &[u8] = b"karo agg";

/// A group whose file keeps all rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    id: Hash,
    file: GroupFile,
    layout: Arc<Layout>,
}

impl Group {
    /// Takes a file as a group: `id` is the BLAKE3 of its signed bytes.
    ///
    /// # Errors
    ///
    /// The first rule that the file breaks.
    pub fn check(id: Hash, file: GroupFile) -> Result<Self, GroupRefused> {
        check::check(&file)?;
        let layout = Arc::new(Layout::new(&file.tools, &file.rules));
        Ok(Self { id, file, layout })
    }

    /// Returns its file.
    pub const fn file(&self) -> &GroupFile {
        &self.file
    }

    /// Returns the BLAKE3 of its signed file.
    pub const fn id(&self) -> Hash {
        self.id
    }

    /// Returns which cells its atoms have.
    pub const fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Returns the parts of its atoms, in order.
    pub fn parts(&self) -> Vec<Part> {
        self.layout.parts().to_vec()
    }

    /// Returns a machine of it.
    pub fn member(&self, node: &NodeId) -> Option<&Member> {
        let members = &self.file.members;
        members.binary_search_by(|member| member.card.node.cmp(node)).ok().map(|place| &members[place])
    }

    /// Returns the machines that give their owner's numbers, in the order of their keys: one for each owner.
    pub fn contributors(&self) -> impl Iterator<Item = &Member> {
        self.file.members.iter().filter(|member| member.contributes)
    }

    /// Returns the machine that gives an owner's numbers.
    pub fn contributor_of(&self, owner: &str) -> Option<&Member> {
        self.contributors().find(|member| member.owner == owner)
    }

    /// Returns the other machines of a node's owner, in the order of their keys; none if the node is no member.
    pub fn siblings<'a>(&'a self, node: &NodeId) -> impl Iterator<Item = &'a Member> + use<'a> {
        let own = self.member(node);
        let is_sibling = move |member: &&Member| {
            own.is_some_and(|own| own.owner == member.owner && own.card.node != member.card.node)
        };
        self.file.members.iter().filter(is_sibling)
    }

    /// Returns how many owners it has.
    pub fn owners(&self) -> usize {
        self.contributors().count()
    }

    /// Returns the owners of contributing machines as a cohort; what is no contributing machine is nobody.
    ///
    /// # Errors
    ///
    /// When they are fewer than the group's smallest cohort.
    pub fn cohort<'a>(&self, nodes: impl IntoIterator<Item = &'a NodeId>) -> Result<Cohort, TooFew> {
        let owner = |node| self.member(node).filter(|member| member.contributes);
        let owners: BTreeSet<OwnerId> =
            nodes.into_iter().filter_map(owner).map(|member| OwnerId::new(&*member.owner)).collect();
        Cohort::of_at_least(usize::from(self.file.smallest_cohort), owners)
    }

    /// Returns the two machines that add up a day, rank 1 and rank 2: never of one owner.
    ///
    /// The order is that of BLAKE3(`karo agg`, group id, day as `i32` big-endian, node key), so that nobody chooses.
    pub fn aggregators(&self, day: i32) -> Option<(NodeId, NodeId)> {
        let mut ranked: Vec<(Hash, &Member)> = self
            .file
            .members
            .iter()
            .filter(|member| member.may_aggregate)
            .map(|member| (self.rank(day, &member.card.node), member))
            .collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        let (_, first) = ranked.first()?;
        let (_, second) = ranked.iter().find(|(_, member)| member.owner != first.owner)?;
        Some((first.card.node, second.card.node))
    }

    fn rank(&self, day: i32, node: &NodeId) -> Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(RANK_DOMAIN).update(&self.id.0).update(&day.to_be_bytes()).update(&node.0);
        Hash(hasher.finalize().into())
    }
}
