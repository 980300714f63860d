//! Puppets: owners that are not people but one attacker, who knows all that they gave.
//!
//! A group file counts owners by name, and a person who accepts it vouches for the names. Keys cost nothing: puppets
//! of one owner are refused. Puppets that a group takes for people are people to it: then the rest is hidden in a sum
//! of five less the puppets, and no arithmetic can do better. docs/privacy.md says so.

use std::collections::{BTreeMap, BTreeSet};

use karo_core::group::{Group, GroupRefused};
use karo_protocol::node::Hash;

use crate::chance::Chance;
use crate::mesh::{Ask, Class, Kind, Mesh, Rules, STRETCHES, Slot};
use crate::world::file;

#[test]
fn four_keys_of_one_owner_and_a_victim_are_no_group() {
    let mut puppets = file(&(0..5).collect());
    puppets.members[..4].iter_mut().for_each(|puppet| puppet.owner = "mallory".to_owned());
    let refused = Group::check(Hash([9; 32]), puppets.clone());
    assert_eq!(refused, Err(GroupRefused::Contributors { owner: "mallory".to_owned(), machines: 4 }));
    puppets.members[1..4].iter_mut().for_each(|puppet| puppet.contributes = false);
    assert_eq!(Group::check(Hash([9; 32]), puppets), Err(GroupRefused::Owners { owners: 2, smallest: 5 }));
}

/// Of five owners, `puppets` are the attacker's: returns what is left of the answer when theirs is taken off.
fn left_of_five(puppets: usize) -> (u64, u64) {
    let mut chance = Chance::new(puppets as u64);
    let slots = (0..5).flat_map(|owner| {
        (0..STRETCHES).flat_map(move |stretch| Kind::ALL.map(|kind| Slot { owner, stretch, kind }))
    });
    let counts: BTreeMap<Slot, u64> = slots.map(|slot| (slot, chance.of(1..17))).collect();
    let ask = Ask {
        asker: 0,
        members: (0..5).collect(),
        left_out: BTreeSet::new(),
        class: Class::Categories,
        stretches: (0..STRETCHES).collect(),
    };
    let told = Mesh::new(Rules::Atoms, counts.clone()).ask(&ask);
    let told = told.first().expect("five owners are a cohort");
    let of = |owners: std::ops::Range<usize>| -> u64 {
        told.of.iter().filter(|slot| owners.contains(&slot.owner)).map(|slot| counts[slot]).sum()
    };
    (told.number - of(0..puppets), of(puppets..5))
}

#[test]
fn enrolled_puppets_leave_the_rest_in_a_sum_of_fewer() {
    // With c of k owners the attacker knows the sum of the k - c others, whoever they are: with four of five, a person.
    for puppets in 0..5 {
        let (left, honest) = left_of_five(puppets);
        assert_eq!(left, honest, "{puppets} puppets leave a sum of {} owners", 5 - puppets);
    }
}
