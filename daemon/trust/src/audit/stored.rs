//! What is stored of a log, and any hash of its tree, made of that.

use karo_protocol::node::Hash;
use thiserror::Error;

use super::tree::{TILE_BITS, TILE_HASHES, empty_root, node_hash, root_of, split};

/// What is stored of one log; a store answers from tiles and lines, a test from lists.
pub trait Stored {
    /// Returns the 256 hashes of a tile; `None` when it is not there or cannot be read.
    fn tile(&self, level: u8, index: u64) -> Option<Vec<Hash>>;

    /// Returns the hash of an entry by its line; `None` when that is not there or cannot be read.
    fn leaf(&self, index: u64) -> Option<Hash>;
}

/// A hash that nothing stored gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the entry {index} of the audit log is lost, and no tile has its hash")]
pub struct Missing {
    /// The place of the entry.
    pub index: u64,
}

/// Returns below which index lines may be forgotten: hashes of the others are in no tile yet.
pub const fn forgettable(size: u64, below: u64) -> u64 {
    let tiled = size >> TILE_BITS << TILE_BITS;
    if below < tiled { below } else { tiled }
}

/// Returns the root that the log had when it had so many entries.
///
/// # Errors
///
/// [`Missing`] when a line or tile is lost that it stands on.
pub fn root_at(stored: &impl Stored, size: u64) -> Result<Hash, Missing> {
    range_hash(stored, 0, size)
}

/// Returns the hash at a place of a level of tiles: the root over `256^level` leaves.
pub(super) fn hash_at(stored: &(impl Stored + ?Sized), level: u8, place: u64) -> Result<Hash, Missing> {
    let tile = stored.tile(level, place >> TILE_BITS).filter(|tile| tile.len() == TILE_HASHES);
    if let Some(tile) = tile {
        return Ok(tile[(place % TILE_HASHES as u64) as usize]);
    }
    let Some(below) = level.checked_sub(1) else {
        return stored.leaf(place).ok_or(Missing { index: place });
    };
    let first = place << TILE_BITS;
    if let Some(tile) = stored.tile(below, place).filter(|tile| tile.len() == TILE_HASHES) {
        return Ok(root_of(&tile));
    }
    let hashes = (first..first + TILE_HASHES as u64).map(|place| hash_at(stored, below, place));
    Ok(root_of(&hashes.collect::<Result<Vec<_>, _>>()?))
}

/// Returns the hash over the leaves from `start` to `end`; `start` is a multiple of every power of two that is not
/// greater than their number, as it is for every part that RFC 9162 splits a tree into.
pub(super) fn range_hash(stored: &(impl Stored + ?Sized), start: u64, end: u64) -> Result<Hash, Missing> {
    let leaves = end - start;
    match leaves {
        0 => Ok(empty_root()),
        _ if leaves.is_power_of_two() => complete(stored, start, leaves),
        _ => {
            let middle = start + split(leaves);
            Ok(node_hash(&range_hash(stored, start, middle)?, &range_hash(stored, middle, end)?))
        }
    }
}

/// Returns the hash over a complete tree of so many leaves: of few hashes of the level of tiles below it.
fn complete(stored: &(impl Stored + ?Sized), start: u64, leaves: u64) -> Result<Hash, Missing> {
    let level = leaves.ilog2() / TILE_BITS;
    let shift = level * TILE_BITS;
    let places = start >> shift..(start + leaves) >> shift;
    let hashes = places.map(|place| hash_at(stored, level as u8, place));
    Ok(root_of(&hashes.collect::<Result<Vec<_>, _>>()?))
}
