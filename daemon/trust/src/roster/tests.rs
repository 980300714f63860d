//! What the roster admits and what it refuses, who is found in it, and what can be done to it.

use karo_protocol::audit::Reason;
use karo_protocol::mesh::{ADDRESSES_MAX, PEERS_MAX, PeerAdd};
use karo_protocol::{NodeId, Timestamp, Trust};

use super::*;
use crate::testing::{Dice, Key};
use crate::{Chance, Signer};

const NOW: Timestamp = Timestamp::from_micros(1_000_000);
const LATER: Timestamp = Timestamp::from_micros(2_000_000);

fn node(number: u64) -> NodeId {
    Key::of(number).node_id()
}

fn own() -> NodeId {
    node(1_000)
}

fn peer(number: u64, name: &str) -> Peer {
    Peer {
        node_id: node(number),
        name: name.to_owned(),
        addresses: vec![Address::parse("10.0.0.2", 9238).unwrap()],
        trust: Trust::Peer,
        owner: Some("Ann Lee".to_owned()),
        expires_at: None,
        origin: Origin::Configuration,
    }
}

fn add(number: u64, name: &str) -> PeerAdd {
    let Peer { node_id, trust, owner, expires_at, .. } = peer(number, name);
    PeerAdd { node_id, addresses: Vec::new(), trust, name: Some(name.to_owned()), owner, expires_at }
}

/// Peers as the configuration lists them.
fn listed(peers: &[Peer]) -> Vec<PeerSettings> {
    let settings = |peer: &Peer| PeerSettings {
        node_id: peer.node_id,
        addresses: peer.addresses.clone(),
        trust: peer.trust,
        name: Some(peer.name.clone()),
        owner: peer.owner.clone(),
        expires_at: peer.expires_at,
    };
    peers.iter().map(settings).collect()
}

fn configured(peers: &[Peer]) -> Roster {
    let mut roster = Roster::new(own());
    roster.configure(&listed(peers), &[]).unwrap();
    roster
}

/// A roster with peers that were added by command, named by their numbers.
fn commanded(numbers: &[u64]) -> Roster {
    let mut roster = Roster::new(own());
    for number in numbers {
        let change = roster.add(add(*number, &format!("peer-{number}")), Origin::Command, NOW).unwrap();
        roster.apply(change);
    }
    roster
}

fn ruled(rules: &[(&str, Trust)]) -> Roster {
    let rule = |(net, trust): &(&str, Trust)| SubnetRule { net: net.parse().unwrap(), trust: *trust };
    let mut roster = Roster::new(own());
    let rules: Vec<SubnetRule> = rules.iter().map(rule).collect();
    roster.configure(&listed(&[peer(1, "ann")]), &rules).unwrap();
    roster
}

#[test]
fn who_is_listed_is_admitted_and_nobody_else() {
    let roster = configured(&[peer(1, "ann")]);
    assert_eq!(roster.admit(node(1), None, NOW), Ok(Trust::Peer));
    assert_eq!(roster.admit(node(2), None, NOW), Err(Refusal::Unknown { node: node(2) }));
    assert_eq!(roster.admit(own(), None, NOW), Err(Refusal::Own));
    assert_eq!(Roster::new(own()).admit(node(1), None, NOW), Err(Refusal::Unknown { node: node(1) }));
    assert!(!roster.is_empty() && Roster::new(own()).is_empty());
}

#[test]
fn a_weak_key_is_neither_listed_nor_admitted() {
    let weak = Peer { node_id: NodeId([0; 32]), ..peer(1, "ann") };
    let mut roster = Roster::new(own());
    assert_eq!(
        roster.configure(&listed(std::slice::from_ref(&weak)), &[]),
        Err(RosterError::WeakKey(weak.node_id))
    );
    let at = NOW;
    roster.apply(RosterChange {
        node_id: weak.node_id,
        at,
        standing: Standing::Trusted(Box::new(weak.clone())),
    });
    assert_eq!(roster.admit(weak.node_id, None, NOW), Err(Refusal::WeakKey));
}

#[test]
fn untrusted_is_refused() {
    let roster = configured(&[Peer { trust: Trust::Untrusted, ..peer(1, "ann") }]);
    let refusal = Refusal::Untrusted { name: "ann".to_owned(), is_configured: true };
    assert_eq!(roster.admit(node(1), None, NOW), Err(refusal));
    assert!(roster.is_empty());
}

#[test]
fn trust_runs_out() {
    let roster = configured(&[Peer { expires_at: Some(LATER), ..peer(1, "ann") }]);
    assert_eq!(roster.admit(node(1), None, NOW), Ok(Trust::Peer));
    let refusal = roster.admit(node(1), None, LATER).unwrap_err();
    assert_eq!(refusal.reason(), Reason::Expired);
}

#[test]
fn a_rule_about_addresses_takes_and_never_gives() {
    let check = |rules: &[(&str, Trust)], address: &str, expected: Option<Trust>| {
        let admitted = ruled(rules).admit(node(1), Some(address.parse().unwrap()), NOW);
        assert_eq!(admitted.clone().ok(), expected, "{rules:?} from {address}: {admitted:?}");
    };
    let member = ("10.0.0.0/8", Trust::Member);
    check(&[member], "10.1.2.3", Some(Trust::Member));
    check(&[member], "11.1.2.3", Some(Trust::Peer));
    check(&[member], "::ffff:10.1.2.3", Some(Trust::Member));
    check(&[member], "::10.1.2.3", Some(Trust::Peer));
    check(&[member, ("10.1.0.0/16", Trust::Peer)], "10.1.2.3", Some(Trust::Member));
    check(&[("10.1.0.0/16", Trust::Peer), member], "10.1.2.3", Some(Trust::Member));
    check(&[member, ("10.1.0.0/16", Trust::Untrusted)], "10.1.2.3", None);
    check(&[("10.1.0.0/16", Trust::Untrusted), member], "10.1.2.3", None);
    check(&[("0.0.0.0/0", Trust::Untrusted)], "192.0.2.1", None);
    check(&[("0.0.0.0/0", Trust::Untrusted)], "fd00::1", Some(Trust::Peer));
    check(&[("fd00::/8", Trust::ShareTo)], "fd12::1", Some(Trust::ShareTo));
    check(&[("fd00::1/128", Trust::Untrusted)], "fd00::1", None);
    check(&[("fd00::1/128", Trust::Untrusted)], "fd00::2", Some(Trust::Peer));
    check(&[("::/0", Trust::Untrusted)], "fd00::2", None);
    assert_eq!(ruled(&[("0.0.0.0/0", Trust::Untrusted)]).admit(node(1), None, NOW), Ok(Trust::Peer));
}

#[test]
fn revoked_stays_revoked_until_it_is_added_again() {
    let mut roster = configured(&[peer(1, "ann")]);
    let revoked = roster.revoke(&node(1), NOW).unwrap();
    roster.apply(revoked.clone());
    let refusal = Refusal::Revoked { node: node(1) };
    assert_eq!(roster.admit(node(1), None, NOW), Err(refusal.clone()));
    roster.configure(&listed(&[peer(1, "ann")]), &[]).unwrap();
    assert_eq!(roster.admit(node(1), None, NOW), Err(refusal.clone()), "listed again");
    assert!(roster.peers().is_empty() && roster.is_empty());
    assert_eq!(roster.revoked().collect::<Vec<_>>(), [(&node(1), "ann")]);

    let mut restarted = configured(&[peer(1, "ann")]);
    restarted.restore([revoked]);
    assert_eq!(restarted.admit(node(1), None, NOW), Err(refusal));

    let again = restarted.add(add(1, "ann"), Origin::Command, NOW).unwrap();
    restarted.apply(again);
    assert_eq!(restarted.admit(node(1), None, NOW), Ok(Trust::Peer));
}

#[test]
fn untrusted_by_command_beats_the_configuration() {
    let mut roster = Roster::new(own());
    let change =
        roster.add(PeerAdd { trust: Trust::Untrusted, ..add(1, "ann") }, Origin::Command, NOW).unwrap();
    roster.apply(change);
    roster.configure(&listed(&[peer(1, "ann")]), &[]).unwrap();
    assert!(roster.admit(node(1), None, NOW).is_err());
}

#[test]
fn what_stands_in_the_configuration_is_changed_there() {
    let roster = configured(&[peer(1, "ann")]);
    let refused = roster.trust(&node(1), Trust::Member, NOW).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "ann stands in the configuration file; change its trust there, then reload"
    );
    assert!(roster.rename(&node(1), "eve".to_owned(), NOW).is_err());
    assert!(roster.remove(&node(1), NOW).is_err());
    assert!(roster.add(add(1, "ann"), Origin::Command, NOW).is_err());
    assert!(roster.revoke(&node(1), NOW).is_ok());
}

#[test]
fn what_was_commanded_is_changed_by_command() {
    let mut roster = commanded(&[1, 2]);
    let change = roster.trust(&node(1), Trust::Member, NOW).unwrap();
    assert_eq!(roster.admit(node(1), None, NOW), Ok(Trust::Peer), "a change is durable before it is applied");
    roster.apply(change);
    assert_eq!(roster.admit(node(1), None, NOW), Ok(Trust::Member));
    let change = roster.rename(&node(1), "ann".to_owned(), NOW).unwrap();
    roster.apply(change);
    assert_eq!(roster.find("ann").unwrap().node_id, node(1));
    assert_eq!(roster.rename(&node(2), "ann".to_owned(), NOW), Err(RosterError::NameTaken("ann".to_owned())));
    let change = roster.remove(&node(1), NOW).unwrap();
    roster.apply(change);
    assert_eq!(roster.admit(node(1), None, NOW), Err(Refusal::Unknown { node: node(1) }));
}

#[test]
fn changes_survive_as_they_are_written() {
    let roster = commanded(&[1, 2]);
    let [retired, renewed] = roster.rotated(&node(1), node(3), LATER, NOW).unwrap();
    let revoked = roster.revoke(&node(2), NOW).unwrap();
    for change in [retired, renewed, revoked] {
        let bytes = rmp_serde::to_vec(&change).unwrap();
        assert_eq!(rmp_serde::from_slice::<RosterChange>(&bytes).unwrap(), change);
    }
}

#[test]
fn a_rotated_key_stands_for_the_new_one_until_the_grace_is_over() {
    for mut roster in [commanded(&[1]), configured(&[peer(1, "peer-1")])] {
        let changes = roster.rotated(&node(1), node(2), LATER, NOW).unwrap();
        changes.into_iter().for_each(|change| roster.apply(change));
        assert_eq!(roster.find("peer-1").unwrap().node_id, node(2));
        assert_eq!(roster.peers().len(), 1);
        assert_eq!(roster.admit(node(1), None, NOW), Ok(Trust::Peer));
        assert_eq!((roster.known_as(node(1), NOW), roster.known_as(node(1), LATER)), (node(2), node(1)));
        let refusal = Refusal::Rotated { node: node(1), to: node(2) };
        assert_eq!(roster.admit(node(1), None, LATER), Err(refusal));
        assert_eq!(roster.admit(node(2), None, LATER), Ok(Trust::Peer));
        let revoked = roster.revoke(&node(2), NOW).unwrap();
        roster.apply(revoked);
        assert!(
            roster.admit(node(1), None, NOW).is_err(),
            "whose new key is revoked is not let in by the old one"
        );
        assert!(roster.rotated(&node(2), node(3), LATER, NOW).is_err());
    }
}

#[test]
fn a_rotation_brings_no_known_key_back() {
    let mut roster = commanded(&[1, 2, 3]);
    let revoked = roster.revoke(&node(3), NOW).unwrap();
    roster.apply(revoked);
    for taken in [2, 3] {
        assert_eq!(roster.rotated(&node(1), node(taken), LATER, NOW), Err(RosterError::Twice(node(taken))));
    }
    assert_eq!(roster.rotated(&node(1), own(), LATER, NOW), Err(RosterError::Own));
    let weak = NodeId([0; 32]);
    assert_eq!(roster.rotated(&node(1), weak, LATER, NOW), Err(RosterError::WeakKey(weak)));
}

#[test]
fn a_peer_is_found_by_whatever_is_its_alone() {
    let roster = configured(&[peer(1, "ann"), peer(2, "anna"), peer(3, "bob")]);
    let bob = roster.peer(&node(3)).unwrap();
    let short = bob.fingerprint().to_string();
    for text in [
        "bob",
        "bo",
        &short,
        &short.to_uppercase(),
        &short[..6],
        &node(3).to_string(),
        &node(3).to_string()[..20],
    ] {
        assert_eq!(roster.find(text), Ok(bob), "{text}");
    }
    assert_eq!(roster.find("ann").unwrap().node_id, node(1), "the whole name beats the beginning of another");
    let names = vec!["ann".to_owned(), "anna".to_owned()];
    assert_eq!(roster.find("an"), Err(FindError::Ambiguous { text: "an".to_owned(), names }));
    for nobody in ["", "karo", "karo:ed25519:", "carol", "BOB"] {
        assert_eq!(roster.find(nobody), Err(FindError::Unknown(nobody.to_owned())));
    }
}

/// What is a name is decided by `mesh::is_name`; here, that it is asked about every name and owner.
#[test]
fn hostile_names_are_refused() {
    let roster = commanded(&[]);
    for name in ["", "-a", "\u{1b}[31mann", "a\u{202e}b", "a\u{200b}b", "karo:ed25519:abc", &"a".repeat(65)] {
        let refused = Err(RosterError::Name(name.to_owned()));
        assert_eq!(roster.add(add(1, name), Origin::Command, NOW), refused, "{name:?}");
        let owned = PeerAdd { owner: Some(name.to_owned()), ..add(1, "ann") };
        let refused_owner = Err(RosterError::Owner(name.to_owned()));
        assert_eq!(roster.add(owned, Origin::Command, NOW), refused_owner, "{name:?}");
        let renamed = commanded(&[1]).rename(&node(1), name.to_owned(), NOW);
        assert_eq!(renamed, refused, "{name:?}");
        let configured = Roster::new(own()).configure(&listed(&[peer(1, name)]), &[]);
        assert_eq!(configured.err(), refused.err(), "{name:?}");
    }
    let short = "0001-abcd-0405-0607".to_owned();
    let of_another = roster.add(add(1, &short), Origin::Command, NOW);
    assert_eq!(of_another, Err(RosterError::NameOfAKey(short)));
    let nowhere = PeerAdd { addresses: vec!["a b".to_owned()], ..add(1, "ann") };
    assert_eq!(roster.add(nowhere, Origin::Command, NOW), Err(RosterError::Address("a b".to_owned())));
}

#[test]
fn names_are_unique_whoever_gives_them() {
    let mut roster = commanded(&[1]);
    assert_eq!(
        roster.add(add(2, "peer-1"), Origin::Command, NOW),
        Err(RosterError::NameTaken("peer-1".to_owned()))
    );
    let twice = vec![peer(2, "ann"), peer(3, "ann")];
    assert_eq!(roster.configure(&listed(&twice), &[]), Err(RosterError::NameTaken("ann".to_owned())));
    roster.configure(&listed(&[peer(2, "peer-1")]), &[]).unwrap();
    assert_eq!(roster.find("peer-1").unwrap().node_id, node(2));
    assert_eq!(roster.peer(&node(1)).unwrap().name, roster.peer(&node(1)).unwrap().fingerprint().to_string());
    assert_eq!(
        roster.configure(&listed(&[peer(2, "a"), peer(2, "b")]), &[]),
        Err(RosterError::Twice(node(2)))
    );
}

#[test]
fn a_nameless_peer_is_called_by_its_fingerprint() {
    let mut roster = commanded(&[]);
    let change = roster.add(PeerAdd { name: None, ..add(1, "") }, Origin::Pairing, NOW).unwrap();
    roster.apply(change);
    let named = roster.peer(&node(1)).unwrap();
    assert_eq!((named.name.clone(), named.origin), (named.fingerprint().to_string(), Origin::Pairing));
    let changes = roster.rotated(&node(1), node(2), LATER, NOW).unwrap();
    changes.into_iter().for_each(|change| roster.apply(change));
    let renewed = roster.peer(&node(2)).unwrap();
    assert_eq!(renewed.name, renewed.fingerprint().to_string());
}

#[test]
fn the_roster_has_bounds() {
    let peers: Vec<Peer> = (0..PEERS_MAX as u64)
        .map(|number| Peer { node_id: NodeId(Dice(number).draw()), ..peer(1, &format!("peer-{number}")) })
        .collect();
    let mut roster = configured(&peers);
    assert_eq!(roster.add(add(1, "more"), Origin::Command, NOW), Err(RosterError::Full));
    let more: Vec<Peer> = peers.into_iter().chain([peer(1, "more")]).collect();
    assert_eq!(roster.configure(&listed(&more), &[]), Err(RosterError::Full));
    assert_eq!(roster.peers().len(), PEERS_MAX, "what is refused changes nothing");

    let addresses = vec!["10.0.0.2:9238".to_owned(); ADDRESSES_MAX + 1];
    assert_eq!(
        commanded(&[]).add(PeerAdd { addresses, ..add(1, "ann") }, Origin::Command, NOW),
        Err(RosterError::TooManyAddresses(ADDRESSES_MAX + 1))
    );
    let past = PeerAdd { expires_at: Some(NOW), ..add(1, "ann") };
    assert_eq!(commanded(&[]).add(past, Origin::Command, NOW), Err(RosterError::ExpiresInThePast(NOW)));
    let own = PeerAdd { node_id: own(), ..add(1, "ann") };
    assert_eq!(commanded(&[]).add(own, Origin::Command, NOW), Err(RosterError::Own));
}

#[test]
fn every_refusal_says_how_it_is_changed() {
    let net = "10.0.0.0/8".parse().unwrap();
    let name = || "ann".to_owned();
    let refusals = [
        (Refusal::Own, "another identity"),
        (Refusal::WeakKey, "new identity"),
        (Refusal::Unknown { node: node(1) }, "karoctl peers add karo:ed25519:"),
        (Refusal::Revoked { node: node(1) }, "karoctl peers add karo:ed25519:"),
        (Refusal::Rotated { node: node(1), to: node(2) }, "use the new one"),
        (Refusal::Untrusted { name: name(), is_configured: false }, "karoctl peers trust ann LEVEL"),
        (Refusal::Untrusted { name: name(), is_configured: true }, "change `trust` of its [[mesh.peers]]"),
        (Refusal::Expired { name: name(), at: NOW, is_configured: false }, "karoctl peers remove ann"),
        (
            Refusal::Expired { name: name(), at: NOW, is_configured: true },
            "change `expires` of its [[mesh.peers]]",
        ),
        (Refusal::Address { name: name(), address: [10, 0, 0, 1].into(), net }, "change `subnets` of [mesh]"),
    ];
    for (refusal, mend) in refusals {
        assert!(refusal.to_string().contains(mend), "{refusal}");
        assert_ne!(refusal.reason(), Reason::None);
    }
}
