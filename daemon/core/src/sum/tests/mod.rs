//! A whole closing in one process: nodes, a network that can lose and repeat, and those who do not keep to the rules.

mod attacks;
mod liars;
mod signed;
mod simulation;
mod steps;
mod world;
mod worlds;

use std::sync::Arc;

use karo_protocol::atom::{AtomId, AtomReason, Part};
use karo_protocol::group::MEMBERS_MAX;
use karo_protocol::node::{Hash, Nonce};
use karo_protocol::{Bytes, NodeId};

use self::world::{DAY, World};
use super::seal::SealingSecret;
use super::shares::{Bound, ELEMENT_BYTES, Scheme};
use super::{BOX_BYTES_MAX, Closing, VERIFYING_MAX};
use crate::atom::counts::DayCounts;
use crate::group::Group;
use crate::group::tests::{group_of, tools};

#[test]
fn five_owners_close_an_atom() {
    let mut world = World::new(5, 1);
    world.open();
    world.run();
    world.check();
    assert_eq!(world.closed().len(), 1);
    assert_eq!(world.faults(), []);
}

#[test]
fn four_owners_do_not() {
    let mut world = World::new(5, 2);
    world.decline(4, AtomReason::NotSharing);
    world.open();
    world.run();
    assert_eq!(world.closed(), []);
    assert!(world.ended(world.leader()).contains(&AtomReason::TooFew));
    assert!(world.ended(world.helper()).contains(&AtomReason::TooFew));
}

#[test]
fn the_counts_of_a_day_are_vectors_of_its_closing() {
    let world = World::new(5, 3);
    let group = world.closing.group();
    let counts = DayCounts::new(Arc::clone(group.layout()));
    let numbers = world.closing.numbers(&counts).expect("the cells are this group's");
    assert!(numbers.iter().map(Vec::len).eq(world.closing.scheme().cells()));
    let mut file = group_of(5);
    file.tools = tools(40);
    let other = Arc::new(Group::check(Hash([2; 32]), file).expect("a group"));
    let closing = Closing::new(other, DAY).expect("two may add up");
    assert_eq!(closing.numbers(&counts), None);
}

/// What a group of a thousand with all seven parts takes at each aggregator: 64 MiB at the most.
#[test]
fn a_thousand_reports_fit() {
    const MEMORY_MAX: usize = 64 * 1024 * 1024;
    /// What a signed report, ids and the maps around them take.
    const AROUND: usize = 1024;
    let scheme = Scheme::new(AtomId { group: Hash([1; 32]), day: 1 }, &Part::ALL);
    let secrets = [SealingSecret::derive(&[1; 32]), SealingSecret::derive(&[2; 32])];
    let node = |byte| NodeId([byte; 32]);
    let bound = Bound { report: Nonce([3; 16]), contributor: node(1), leader: node(2), helper: node(3) };
    let numbers: Vec<Vec<u128>> = scheme.cells().map(|cells| vec![1; cells]).collect();
    let keys = [secrets[0].public(), secrets[1].public()];
    let [leader_box, helper_box] = scheme.share(&bound, &numbers, keys, &[4; 32]).expect("in range");
    let key = Hash([5; 32]);
    let (shares, ticket) = scheme.begin(&key, &secrets[0], &bound, &leader_box).expect("sound");
    let (messages, _) = scheme.verify(&key, &secrets[1], &bound, &helper_box, &shares).expect("sound");
    assert!(scheme.finish(ticket, &messages).is_ok());
    let length = |all: &[Bytes]| all.iter().map(|bytes| bytes.len()).sum::<usize>();
    let cells: usize = scheme.cells().sum();
    // A box is there three times while it is worked on: as it came, opened, and as elements.
    let worked_on = VERIFYING_MAX * 3 * leader_box.len();
    let at_leader = AROUND + helper_box.len() + length(&shares);
    let at_helper = AROUND + cells * ELEMENT_BYTES + length(&messages);
    eprintln!("boxes {} and {}, kept {at_leader} and {at_helper}", leader_box.len(), helper_box.len());
    assert!(leader_box.len() < BOX_BYTES_MAX);
    assert!(worked_on + MEMBERS_MAX * at_leader.max(at_helper) < MEMORY_MAX);
}
