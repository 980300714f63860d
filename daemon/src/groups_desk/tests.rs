//! Atoms that are forged, altered, or of others, and those that are right.

use karo_core::sum::seal::SealingSecret;
use karo_protocol::atom::{Band, Part, Released};
use karo_protocol::group::{GroupFile, Member};
use karo_trust::{Chance, Identity, Signer, System, card, object};

use super::*;

const NEVER: Timestamp = Timestamp::from_micros(i64::MAX);
const NOW: Timestamp = Timestamp::from_micros(1_790_000_000_000_000);
const DAY: i32 = 20_700;

/// Six owners, and what signs for them.
struct Team {
    identities: Vec<Identity>,
    group: Group,
}

impl Team {
    fn new() -> Self {
        let mut chance = System::default();
        let identities: Vec<Identity> = (0..6).map(|_| Identity::generate(&mut chance, NOW)).collect();
        let mut members: Vec<Member> = identities
            .iter()
            .enumerate()
            .map(|(place, identity)| Member {
                card: card::issue(identity, SealingSecret::derive(&identity.sealing_secret()).public()),
                name: format!("node-{place}"),
                owner: format!("owner-{place}"),
                contributes: true,
                may_aggregate: true,
                addresses: Vec::new(),
            })
            .collect();
        members.sort_by_key(|member| member.card.node);
        let file = GroupFile {
            name: "team".to_owned(),
            lineage: Nonce([1; 16]),
            version: 1,
            zone: "UTC".to_owned(),
            smallest_cohort: 5,
            members,
            tools: Vec::new(),
            rules: Vec::new(),
        };
        let signed = object::sign(&identities[0], file.clone(), None, NOW, NEVER, Nonce([2; 16])).unwrap();
        let id = Hash(blake3::hash(&signed.bytes.0).into());
        Self { group: Group::check(id, file).unwrap(), identities }
    }

    fn identity(&self, node: NodeId) -> &Identity {
        self.identities.iter().find(|identity| Signer::node_id(*identity) == node).unwrap()
    }

    /// An atom in which everything is hidden.
    fn atom(&self) -> Atom {
        let part = Released {
            part: Part::Main,
            values: vec![None; Part::Main.values()],
            owners: vec![Band::Hidden; Part::Main.owners()],
        };
        Atom {
            group: self.group.id(),
            day: DAY,
            aggregators: self.group.aggregators(DAY).unwrap(),
            contributors: 6,
            owners: 6,
            parts: vec![part],
        }
    }

    fn closed(&self, atom: &Atom, by: (NodeId, NodeId)) -> ClosedAtom {
        let draw = || Nonce(System::default().draw());
        let table = object::sign(self.identity(by.0), atom.clone(), None, NOW, NEVER, draw()).unwrap();
        let hash = Hash(blake3::hash(&table.bytes.0).into());
        let seal =
            object::sign(self.identity(by.1), AtomSeal { atom: hash }, None, NOW, NEVER, draw()).unwrap();
        ClosedAtom { table, seal }
    }
}

#[test]
fn an_atom_of_the_two_who_rank_first_is_believed() {
    let team = Team::new();
    let atom = team.atom();
    assert_eq!(verify(&team.closed(&atom, atom.aggregators), &team.group), Ok(atom));
}

#[test]
fn an_atom_needs_both_signatures_of_the_right_two() {
    let team = Team::new();
    let atom = team.atom();
    let (leader, helper) = atom.aggregators;
    let others: Vec<NodeId> =
        team.identities.iter().map(Signer::node_id).filter(|node| *node != leader).collect();
    for by in [(helper, leader), (leader, leader), (helper, helper)] {
        assert!(verify(&team.closed(&atom, by), &team.group).is_err(), "{by:?}");
    }
    for other in others.into_iter().filter(|node| *node != helper) {
        for by in [(other, helper), (leader, other)] {
            assert!(verify(&team.closed(&atom, by), &team.group).is_err(), "{by:?}");
        }
        let named = Atom { aggregators: (leader, other), ..atom.clone() };
        assert!(verify(&team.closed(&named, (leader, other)), &team.group).is_err());
    }
}

#[test]
fn a_seal_is_for_one_table() {
    let team = Team::new();
    let atom = team.atom();
    let right = team.closed(&atom, atom.aggregators);
    let other = team.closed(&Atom { contributors: 5, ..atom.clone() }, atom.aggregators);
    let mixed = ClosedAtom { table: other.table, seal: right.seal.clone() };
    assert_eq!(verify(&mixed, &team.group), Err(AtomUnproven::Seal));
    for bit in 0..right.table.bytes.0.len() * 8 {
        let mut altered = right.clone();
        altered.table.bytes.0[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&altered, &team.group).is_err(), "bit {bit} of the table");
    }
    for bit in 0..right.seal.bytes.0.len() * 8 {
        let mut altered = right.clone();
        altered.seal.bytes.0[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&altered, &team.group).is_err(), "bit {bit} of the seal");
    }
}

#[test]
fn an_atom_of_another_group_day_or_cohort_is_refused() {
    let team = Team::new();
    let atom = team.atom();
    let wrong = [
        Atom { group: Hash([9; 32]), ..atom.clone() },
        Atom { contributors: 4, ..atom.clone() },
        Atom { contributors: 7, ..atom.clone() },
        Atom { owners: 7, ..atom.clone() },
        Atom { parts: Vec::new(), ..atom },
    ];
    for wrong in wrong {
        assert!(verify(&team.closed(&wrong, atom.aggregators), &team.group).is_err(), "{wrong:?}");
    }
    // On another day two others rank first, sooner or later.
    let other =
        (DAY + 1..DAY + 50).find(|day| team.group.aggregators(*day) != Some(atom.aggregators)).unwrap();
    let wrong = Atom { day: other, ..atom.clone() };
    assert!(verify(&team.closed(&wrong, atom.aggregators), &team.group).is_err());
}

#[test]
fn atoms_are_for_members_alone() {
    let team = Team::new();
    let atom = team.atom();
    let (group, day) = (team.group.id(), atom.day);
    let closed = team.closed(&atom, atom.aggregators);
    let signed = Signed { bytes: Vec::new().into(), signature: karo_protocol::node::Signature([0; 64]) };
    let accepted = Accepted {
        signed,
        maker: atom.aggregators.0,
        group: Arc::new(team.group.clone()),
        civil: Civil::named("UTC").unwrap(),
        accepted_at: NOW,
        past: Vec::new(),
    };
    let mut groups = Groups::default();
    groups.accepted.insert(Nonce([1; 16]), accepted);
    groups
        .outcomes
        .insert(AtomId { group, day }, Outcome::Closed(Box::new(closed.clone()), Arc::new(atom), NOW));
    let member = Signer::node_id(&team.identities[0]);
    assert_eq!(groups.held_for(&member, &group, &[day, day + 1]), (Status::Success, vec![closed]));
    assert_eq!(groups.held_for(&member, &group, &[day + 1]), (Status::NoData, Vec::new()));
    assert_eq!(groups.held_for(&member, &Hash([9; 32]), &[day]), (Status::NoData, Vec::new()));
    assert_eq!(groups.held_for(&NodeId([7; 32]), &group, &[day]), (Status::AccessDenied, Vec::new()));
}
