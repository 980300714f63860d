//! What holds of every world: nothing is said before it is on disk, and a table is the plain sums of the agreed set.

use std::collections::BTreeSet;

use karo_protocol::NodeId;
use karo_protocol::atom::{Atom, Part};
use karo_protocol::node::Nonce;

use super::{DAY, Message, World};
use crate::atom::rule::visible;
use crate::atom::{OwnerSums, ValueSums, release};
use crate::sum::AggregatorRecord;
use crate::sum::tests::steps::step;

impl World {
    /// Demands that what follows from a step is on disk before it is said.
    pub(super) fn check_recorded(&self, message: &Message) {
        let is_leader = message.from == self.leader();
        let has = |is: fn(&AggregatorRecord) -> bool| self.record(message.from).is_some_and(is);
        let is_recorded = match step(&message.says) {
            "half" => has(|record| record.promised.is_some()),
            "halves" | "ready" | "verify" | "verified" => has(|record| record.other_half.is_some()),
            "set" => has(|record| record.set.is_some()),
            "agreed" => has(|record| record.set.is_some() && record.commitment.is_some()),
            "owners" | "values" => !is_leader || has(|record| record.commitment.is_some()),
            _ => true,
        };
        assert!(is_recorded, "{} before it is on disk", step(&message.says));
    }

    /// Demands of every table that it is the plain sums of exactly the agreed set, masked by the rule; and that there
    /// is at most one.
    pub(in crate::sum::tests) fn check(&self) {
        let closed = self.closed();
        assert!(closed.len() <= 1, "two tables of one atom");
        let Some(atom) = closed.first() else { return };
        let sets: BTreeSet<Vec<Nonce>> = [self.leader(), self.helper()]
            .iter()
            .filter_map(|node| Some(self.record(*node)?.set.as_ref()?.reports.clone()))
            .collect();
        assert_eq!(sets.len(), 1, "both agreed on one set");
        let set: Vec<NodeId> = sets.first().expect("one").iter().map(|report| self.owners[report]).collect();
        assert_eq!(atom, &self.plain(&set));
    }

    /// Makes the atom that a machine would make that was told everything.
    fn plain(&self, set: &[NodeId]) -> Atom {
        let group = self.closing.group();
        let cohort = group.cohort(set).expect("enough owners");
        assert_eq!(cohort.size(), set.len(), "each owner once");
        let sum = |vector: usize| -> Vec<u64> {
            let cells = self.nodes[&set[0]].numbers[vector].len();
            let of = |cell: usize| set.iter().map(|node| self.nodes[node].numbers[vector][cell] as u64).sum();
            (0..cells).map(of).collect()
        };
        let owners = (0..group.parts().len()).map(|part| sum(2 * part + 1)).collect();
        let owners = OwnerSums::new(group, owners).expect("sums of this group");
        let mask = visible(group, &owners);
        let visible = |(place, part): (usize, &Part)| {
            let sums = sum(2 * place);
            mask.values(*part).into_iter().map(|cell| sums[cell]).collect()
        };
        let values: Vec<Vec<u64>> = group.parts().iter().enumerate().map(visible).collect();
        let values = ValueSums::new(group, &mask, &values).expect("sums of this group");
        release(group, DAY, (self.leader(), self.helper()), &cohort, &mask, &owners, &values)
    }
}
