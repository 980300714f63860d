//! What an aggregator keeps of one atom on disk, so that it cannot be brought to do it twice in two ways.

use karo_protocol::atom::AtomId;
use karo_protocol::node::{Hash, NodeId, Nonce};
use serde::{Deserialize, Serialize};

/// In front of what is hashed when rank 1 says which half of the key it will show.
const HALF_DOMAIN: &[u8] = b"karo/1 atom half\0";

/// In front of the halves of a key.
const KEY_DOMAIN: &[u8] = b"karo/1 atom key\0";

/// In front of a set.
const SET_DOMAIN: &[u8] = b"karo/1 atom set\0";

/// What an aggregator knows of an atom for good. Grows step by step and never changes what stands in it.
///
/// Must be on disk before anything is said that follows from it: one report under two keys, or two sets under one
/// atom, would show what one owner gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AggregatorRecord {
    /// Which atom.
    pub atom: AtomId,
    /// Its own half of the key: 32 random bytes.
    pub half: Hash,
    /// What its sums of owners are hidden with until they are opened: 32 random bytes.
    pub blind: Hash,
    /// At rank 2: the hash of rank 1's half, from before its own was said.
    pub promised: Option<Hash>,
    /// The other's half.
    pub other_half: Option<Hash>,
    /// What was agreed to be summed.
    pub set: Option<RecordedSet>,
    /// The hash of the other's sums of owners.
    pub commitment: Option<Hash>,
}

/// The reports of one atom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedSet {
    /// Their ids in order.
    pub reports: Vec<Nonce>,
    /// Hash over them and over what their contributors signed.
    pub hash: Hash,
}

impl AggregatorRecord {
    /// Begins one, with 32 random bytes each.
    pub const fn new(atom: AtomId, half: Hash, blind: Hash) -> Self {
        Self { atom, half, blind, promised: None, other_half: None, set: None, commitment: None }
    }
}

/// One report of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) report: Nonce,
    pub(super) contributor: NodeId,
    /// Hashes of both boxes, as the contributor signed them.
    pub(super) boxes: [Hash; 2],
}

/// Returns the hash of a set whose reports are in the order of their ids.
///
/// What was signed is in it, so that an id stands for one report and no other.
pub(super) fn set_hash(atom: AtomId, leader: NodeId, helper: NodeId, set: &[Listed]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(SET_DOMAIN).update(&atom.group.0).update(&atom.day.to_be_bytes());
    hasher.update(&leader.0).update(&helper.0);
    for listed in set {
        hasher.update(&listed.report.0).update(&listed.contributor.0);
        hasher.update(&listed.boxes[0].0).update(&listed.boxes[1].0);
    }
    Hash(hasher.finalize().into())
}

/// Returns what rank 1 says of its half before rank 2 shows its own.
pub(super) fn half_hash(atom: AtomId, leader: NodeId, half: &Hash) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(HALF_DOMAIN).update(&atom.group.0).update(&atom.day.to_be_bytes());
    hasher.update(&leader.0).update(&half.0);
    Hash(hasher.finalize().into())
}

/// Returns the key under which the reports of an atom are verified: neither half alone decides it.
pub(super) fn verify_key(atom: AtomId, leader_half: &Hash, helper_half: &Hash) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(KEY_DOMAIN).update(&atom.group.0).update(&atom.day.to_be_bytes());
    hasher.update(&leader_half.0).update(&helper_half.0);
    Hash(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_of_these_reports_as_they_were_signed() {
        let atom = AtomId { group: Hash([1; 32]), day: 1 };
        let (leader, helper) = (NodeId([2; 32]), NodeId([3; 32]));
        let listed = Listed {
            report: Nonce([4; 16]),
            contributor: NodeId([5; 32]),
            boxes: [Hash([6; 32]), Hash([7; 32])],
        };
        let hash = |listed| set_hash(atom, leader, helper, &[listed]);
        let same = hash(listed);
        assert_ne!(hash(Listed { report: Nonce([9; 16]), ..listed }), same);
        assert_ne!(hash(Listed { contributor: NodeId([9; 32]), ..listed }), same);
        assert_ne!(hash(Listed { boxes: [Hash([9; 32]), Hash([7; 32])], ..listed }), same);
        assert_ne!(hash(Listed { boxes: [Hash([6; 32]), Hash([9; 32])], ..listed }), same);
        assert_ne!(set_hash(AtomId { day: 2, ..atom }, leader, helper, &[listed]), same);
        assert_ne!(set_hash(atom, leader, helper, &[listed, listed]), same);
    }

    #[test]
    fn neither_half_is_the_key() {
        let atom = AtomId { group: Hash([1; 32]), day: 1 };
        let key = verify_key(atom, &Hash([2; 32]), &Hash([3; 32]));
        assert_ne!(verify_key(atom, &Hash([2; 32]), &Hash([4; 32])), key);
        assert_ne!(verify_key(atom, &Hash([4; 32]), &Hash([3; 32])), key);
        assert_ne!(verify_key(AtomId { day: 2, ..atom }, &Hash([2; 32]), &Hash([3; 32])), key);
    }
}
