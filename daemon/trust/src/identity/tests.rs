//! What an identity keeps through its file and through rotations.

use karo_protocol::node::Hash;
use karo_protocol::peer::Rotation;

use super::*;
use crate::object::{Expected, open};
use crate::testing::Dice;
use crate::{fingerprint, verify};

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn identity() -> Identity {
    Identity::generate(&mut Dice(1), NOW)
}

fn same(one: &Identity, other: &Identity) -> bool {
    one.to_file() == other.to_file()
        && one.node_id() == other.node_id()
        && one.next_hash() == other.next_hash()
}

#[test]
fn it_signs_as_the_node_that_it_is() {
    let identity = identity();
    let signature = identity.sign(b"message");
    assert!(verify(&identity.node_id(), b"message", &signature));
    assert_ne!(identity.node_id(), Identity::generate(&mut Dice(2), NOW).node_id());
    assert_eq!(identity.created_at(), NOW);
}

#[test]
fn a_file_gives_back_what_was_written() {
    let fresh = identity();
    let rotated = fresh.rotate(&mut Dice(3), NOW).identity;
    let settled = rotated.after_grace(NOW.after(GRACE)).unwrap();
    for identity in [fresh, rotated, settled] {
        let read = Identity::from_file(&identity.to_file()).unwrap();
        assert!(same(&read, &identity));
        assert_eq!(read.rotated_at(), identity.rotated_at());
        assert_eq!(read.previous(NOW).map(Key::node_id), identity.previous(NOW).map(Key::node_id));
    }
}

/// The layout is on disks: a changed byte is a decision.
#[test]
fn the_layout_is_as_it_was() {
    let file = identity().rotate(&mut Dice(3), NOW).identity.to_file();
    assert_eq!(file.len(), 156);
    assert_eq!(file[..10], *b"KAROKEY\0\0\x01");
    assert_eq!(Hash(*blake3::hash(&file).as_bytes()).to_string(), LAYOUT);
}

const LAYOUT: &str = "a7377a84d85bb4891602fbdd0af5be2c2e5d25636d85bc128f7e544d87cd1fed";

#[test]
fn a_damaged_file_is_refused() {
    let file = identity().to_file();
    for bit in 0..file.len() * 8 {
        let mut changed = file.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(Identity::from_file(&changed).is_err(), "bit {bit}");
    }
    for length in 0..file.len() {
        assert!(Identity::from_file(&file[..length]).is_err(), "{length} bytes");
    }
    let read = |bytes: &[u8]| Identity::from_file(bytes).err();
    assert_eq!(read(b""), Some(IdentityError::Empty));
    assert_eq!(read(b"-----BEGIN OPENSSH PRIVATE KEY-----"), Some(IdentityError::NotAnIdentity));
    assert_eq!(read(&file[..100]), Some(IdentityError::Length(100)));
    assert_eq!(read(&[&file[..], b"\n"].concat()), Some(IdentityError::Length(157)));
    assert_eq!(read(&[b"KAROKEY\0\0\x02", &file[10..]].concat()), Some(IdentityError::Newer(2)));
    assert_eq!(read(&[0; 156]), Some(IdentityError::NotAnIdentity));
}

#[test]
fn its_debug_shows_no_secret() {
    let identity = identity();
    let shown = format!("{identity:?} {:?}", identity.current());
    assert!(shown.contains(&identity.node_id().to_string()));
    let seed = identity.current().seed();
    for form in [format!("{seed:?}"), Hash(*seed).to_string(), NodeId(*seed).to_string()] {
        assert!(!shown.contains(&form[1..form.len() - 1]));
    }
}

#[test]
fn a_rotation_is_what_was_announced() {
    let old = identity();
    let Rotated { identity: new, announcement } = old.rotate(&mut Dice(3), NOW);
    assert_eq!(key_hash(&new.node_id()), old.next_hash());
    assert_ne!(new.next_hash(), old.next_hash());
    assert_eq!((new.created_at(), new.rotated_at()), (NOW, Some(NOW)));

    let peer = Identity::generate(&mut Dice(9), NOW).node_id();
    let expected = Expected { issuer: Some(old.node_id()), audience: peer, now: NOW };
    let opened = open::<Rotation>(&announcement, &expected).unwrap();
    assert_eq!((opened.body.key, opened.body.next_key), (new.node_id(), new.next_hash()));
    assert!(verify(&new.node_id(), &proof_message(&old.node_id()), &opened.body.proof));
    assert_eq!(opened.expires, NOW.after(GRACE));

    let again = new.announce(&mut Dice(4), NOW.after(Micros(5))).unwrap();
    let repeated = open::<Rotation>(&again, &expected).unwrap();
    assert_eq!(repeated.body, opened.body);
    assert!(repeated.id != opened.id && repeated.expires == opened.expires);
    assert!(old.announce(&mut Dice(4), NOW).is_none());
}

#[test]
fn both_keys_are_kept_for_a_day() {
    let old = identity();
    let new = old.rotate(&mut Dice(3), NOW).identity;
    let (last, over) = (NOW.after(Micros(GRACE.0 - 1)), NOW.after(GRACE));
    assert_eq!(new.previous(last).map(Key::node_id), Some(old.node_id()));
    assert!(new.previous(over).is_none() && new.announce(&mut Dice(4), over).is_none());
    assert_eq!(new.grace_ends(), Some(over));
    assert_eq!(new.key_known_as(old.node_id(), last).map(Key::node_id), Some(old.node_id()));
    assert!(new.key_known_as(old.node_id(), over).is_none());
    assert_eq!(new.key_known_as(new.node_id(), over).map(Key::node_id), Some(new.node_id()));

    assert!(new.after_grace(last).is_none() && old.after_grace(Timestamp::MAX).is_none());
    let settled = new.after_grace(over).unwrap();
    assert!(settled.previous(NOW).is_none(), "a clock that is set back brings no key back");
    assert_eq!(settled.rotated_at(), Some(NOW));
    assert!(settled.after_grace(Timestamp::MAX).is_none());
    let seed = old.current().seed();
    assert!(
        !settled.to_file().windows(seed.len()).any(|bytes| bytes == seed),
        "the old key is gone from the file"
    );
}

#[test]
fn the_fingerprint_is_of_the_current_key() {
    let old = identity();
    let new = old.rotate(&mut Dice(3), NOW).identity;
    assert_eq!(old.next_hash().0[..8], fingerprint(&new.node_id()).0);
}
