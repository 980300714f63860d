//! Hashes of leaves and nodes, and the one that stands for many.

use karo_protocol::node::{Hash, Nonce};

/// What stands before a leaf, so that no node can be taken for one (RFC 9162, section 2.1.1).
const LEAF: u8 = 0;
/// What stands before a node.
const NODE: u8 = 1;

/// Levels of the binary tree in one level of tiles.
pub(super) const TILE_BITS: u32 = 8;
/// Hashes in a whole tile.
pub(super) const TILE_HASHES: usize = 1 << TILE_BITS;

/// Returns the hash of an entry behind its random bytes.
pub fn leaf_hash(random: &Nonce, entry: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[LEAF]).update(&random.0).update(entry);
    Hash(hasher.finalize().into())
}

/// Returns the hash over two trees of which all leaves of the left come before those of the right.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut both = [NODE; 1 + 2 * Hash::LENGTH];
    both[1..=Hash::LENGTH].copy_from_slice(&left.0);
    both[1 + Hash::LENGTH..].copy_from_slice(&right.0);
    Hash(blake3::hash(&both).into())
}

/// Returns the root of a tree without leaves.
pub fn empty_root() -> Hash {
    Hash(blake3::hash(&[]).into())
}

/// Returns the root over complete trees of one size, whose number is a power of two.
pub(super) fn root_of(hashes: &[Hash]) -> Hash {
    debug_assert!(hashes.len().is_power_of_two(), "a complete tree");
    let mut level = hashes.to_vec();
    while level.len() > 1 {
        level = level.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
    }
    level[0]
}

/// Returns the root over complete trees that follow one another and never grow.
pub(super) fn root_of_peaks(peaks: &[Hash]) -> Hash {
    let Some((last, rest)) = peaks.split_last() else { return empty_root() };
    rest.iter().rev().fold(*last, |right, left| node_hash(left, &right))
}

/// Returns the greatest power of two below a number of two at least: where a tree of so many leaves is split.
pub(super) const fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}
