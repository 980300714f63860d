//! Proofs that an entry is in a log (RFC 9162, section 2.1.3), and that a log is the beginning of another
//! (section 2.1.4): made of what is stored, verified by whoever has two roots.

use karo_protocol::audit::{ConsistencyProof, InclusionProof, PROOF_HASHES_MAX};
use karo_protocol::node::Hash;

use super::stored::{Missing, Stored, range_hash};
use super::tree::{empty_root, node_hash, split};

/// Makes the proof that the entry of that index is in the log of that size.
///
/// # Errors
///
/// [`Missing`] when a hash cannot be had.
///
/// # Panics
///
/// When the index is not below the size.
pub fn inclusion_proof(stored: &impl Stored, index: u64, size: u64) -> Result<InclusionProof, Missing> {
    assert!(index < size, "an entry that is in the log");
    let (mut start, mut end) = (0, size);
    let mut hashes = Vec::new();
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            hashes.push(range_hash(stored, middle, end)?);
            end = middle;
        } else {
            hashes.push(range_hash(stored, start, middle)?);
            start = middle;
        }
    }
    hashes.reverse();
    Ok(InclusionProof { hashes })
}

/// Makes the proof that the log of the first size is the beginning of the log of the second.
///
/// # Errors
///
/// [`Missing`] when a hash cannot be had.
///
/// # Panics
///
/// When the first size is greater.
pub fn consistency_proof(stored: &impl Stored, first: u64, second: u64) -> Result<ConsistencyProof, Missing> {
    assert!(first <= second, "a log that has grown");
    let mut hashes = Vec::new();
    if first == 0 || first == second {
        return Ok(ConsistencyProof { hashes });
    }
    let (mut start, mut end, mut is_whole) = (0, second, true);
    // What is left to be proven is that the leaves up to `first` begin those from `start` to `end`.
    while first != end {
        let middle = start + split(end - start);
        if first <= middle {
            hashes.push(range_hash(stored, middle, end)?);
            end = middle;
        } else {
            hashes.push(range_hash(stored, start, middle)?);
            (start, is_whole) = (middle, false);
        }
    }
    if !is_whole {
        hashes.push(range_hash(stored, start, end)?);
    }
    hashes.reverse();
    Ok(ConsistencyProof { hashes })
}

/// Tells whether the leaf of that hash is at that index of the log of that size and root.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, root: &Hash, proof: &InclusionProof) -> bool {
    if index >= size || proof.hashes.len() > PROOF_HASHES_MAX {
        return false;
    }
    let (mut place, mut last, mut hash) = (index, size - 1, *leaf);
    for next in &proof.hashes {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            hash = node_hash(next, &hash);
            while place & 1 == 0 && place != 0 {
                (place, last) = (place >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, next);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// Tells whether the log of the first size and root is the beginning of the log of the second.
pub fn verify_consistency(first: (u64, &Hash), second: (u64, &Hash), proof: &ConsistencyProof) -> bool {
    let ((first, first_root), (second, second_root)) = (first, second);
    if first > second || proof.hashes.len() > PROOF_HASHES_MAX {
        return false;
    }
    if first == 0 {
        return proof.hashes.is_empty() && *first_root == empty_root();
    }
    if first == second {
        return proof.hashes.is_empty() && first_root == second_root;
    }
    let (mut place, mut last) = (first - 1, second - 1);
    while place & 1 == 1 {
        (place, last) = (place >> 1, last >> 1);
    }
    let mut rest = proof.hashes.iter();
    // A first log that is a complete tree is itself the hash that the proof begins with.
    let begin = if first.is_power_of_two() { Some(first_root) } else { rest.next() };
    let Some(begin) = begin.copied() else { return false };
    let (mut of_first, mut of_second) = (begin, begin);
    for next in rest {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            of_first = node_hash(next, &of_first);
            of_second = node_hash(next, &of_second);
            while place & 1 == 0 && place != 0 {
                (place, last) = (place >> 1, last >> 1);
            }
        } else {
            of_second = node_hash(&of_second, next);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    last == 0 && of_first == *first_root && of_second == *second_root
}
