//! The log that grows.

use karo_protocol::Bytes;
use karo_protocol::audit::{AuditEntry, ENTRY_BYTES_MAX, Head};
use karo_protocol::frame;
use karo_protocol::node::{Hash, Nonce};

use super::stored::{Missing, Stored, hash_at};
use super::tree::{TILE_BITS, TILE_HASHES, leaf_hash, root_of, root_of_peaks};
use crate::Chance;

/// A stored entry.
///
/// | bytes | |
/// | --- | --- |
/// | 0..32 | hash of the leaf, by which a changed entry is known before a tile has it |
/// | 32..48 | random bytes |
/// | 48.. | the entry, in MessagePack |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The hash of the leaf, as it is stored.
    pub hash: Hash,
    /// The random bytes that are hashed before the entry.
    pub random: Nonce,
    /// The entry as it is hashed.
    pub entry: Bytes,
}

impl Line {
    /// Reads a stored line; `None` when it is none.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (hash, rest) = bytes.split_first_chunk()?;
        let (random, entry) = rest.split_first_chunk()?;
        Some(Self { hash: Hash(*hash), random: Nonce(*random), entry: Bytes(entry.to_vec()) })
    }

    /// Returns the line as it is stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.hash.0[..], &self.random.0, &self.entry.0].concat()
    }

    /// Tells whether it is as it was written, as far as it knows itself.
    pub fn is_sound(&self) -> bool {
        leaf_hash(&self.random, &self.entry.0) == self.hash
    }

    /// Reads the entry; `None` when it is none, or one of a later version.
    pub fn entry(&self) -> Option<AuditEntry> {
        frame::decode(&self.entry.0).ok()
    }
}

/// 256 hashes of one level that follow one another: what is stored of the tree.
///
/// At level 0 these are leaves, at level 1 the roots over 256 leaves each, and so on. A tile is 8 KiB: the
/// hashes, one behind another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// Which level.
    pub level: u8,
    /// Its place in the level, from 0.
    pub index: u64,
    /// The hashes.
    pub hashes: Vec<Hash>,
}

impl Tile {
    /// Returns the tile as it is stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.hashes.iter().flat_map(|hash| hash.0).collect()
    }

    /// Reads the hashes of a stored tile; `None` when it is none.
    pub fn read(bytes: &[u8]) -> Option<Vec<Hash>> {
        let (hashes, rest) = bytes.as_chunks::<{ Hash::LENGTH }>();
        let is_whole = hashes.len() == TILE_HASHES && rest.is_empty();
        is_whole.then(|| hashes.iter().copied().map(Hash).collect())
    }

    /// Returns the name of the series that a log's tiles of a level are stored in; their index there is
    /// [`index`](Self::index).
    pub fn series(log: &Nonce, level: u8) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"karo/1 audit tiles\0").update(&log.0).update(&[level]);
        let mut name = [0; 16];
        name.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        name
    }
}

/// A new entry, to be stored: the line first, then the tiles, all in one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Its place in the log, from 0.
    pub index: u64,
    /// What is stored of it.
    pub line: Line,
    /// Tiles that are complete with it, lower levels first.
    pub tiles: Vec<Tile>,
}

/// A log that grows: its size and the right edge of its tree, at most 255 hashes a level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLog {
    log: Nonce,
    size: u64,
    /// Of each level the hashes that are in no whole tile yet.
    edges: Vec<Vec<Hash>>,
}

impl AuditLog {
    /// Begins an empty log; `log` is 128 random bits.
    pub const fn begin(log: Nonce) -> Self {
        Self { log, size: 0, edges: Vec::new() }
    }

    /// Takes up a log of so many entries where it was left. Beside it come tiles that a crash kept from being
    /// stored; they go before any new entry.
    ///
    /// # Errors
    ///
    /// [`Missing`] when a line or tile is lost that the edge stands on: the log cannot go on, and another one is to
    /// be begun.
    pub fn restore(log: Nonce, size: u64, stored: &impl Stored) -> Result<(Self, Vec<Tile>), Missing> {
        let (mut edges, mut unstored) = (Vec::new(), Vec::new());
        let mut level = 0_u8;
        while size >> (TILE_BITS * u32::from(level)) > 0 {
            let count = size >> (TILE_BITS * u32::from(level));
            let tiles = count >> TILE_BITS;
            if let Some(last) = tiles.checked_sub(1)
                && stored.tile(level, last).is_none()
            {
                let places = last << TILE_BITS..(last + 1) << TILE_BITS;
                let hashes = places.map(|place| hash_at(stored, level, place)).collect::<Result<_, _>>()?;
                unstored.push(Tile { level, index: last, hashes });
            }
            let rest = tiles << TILE_BITS..count;
            edges.push(rest.map(|place| hash_at(stored, level, place)).collect::<Result<_, _>>()?);
            level += 1;
        }
        Ok((Self { log, size, edges }, unstored))
    }

    /// Adds an entry behind 16 random bytes.
    ///
    /// # Panics
    ///
    /// Never: an [`AuditEntry`] holds nothing that could be longer than [`ENTRY_BYTES_MAX`].
    pub fn add(&mut self, entry: &AuditEntry, chance: &mut impl Chance) -> Leaf {
        let entry = rmp_serde::to_vec(entry).expect("an entry in memory can be written");
        debug_assert!(entry.len() <= ENTRY_BYTES_MAX, "an entry has no part of unbounded length");
        let random = Nonce(chance.draw());
        let hash = leaf_hash(&random, &entry);
        let index = self.size;
        let tiles = self.push(hash);
        Leaf { index, line: Line { hash, random, entry: Bytes(entry) }, tiles }
    }

    /// Adds the hash of a leaf and returns the tiles that it completes.
    pub(super) fn push(&mut self, hash: Hash) -> Vec<Tile> {
        let mut tiles = Vec::new();
        let (mut carried, mut level, mut place) = (hash, 0, self.size);
        self.size += 1;
        loop {
            if self.edges.len() == level {
                self.edges.push(Vec::new());
            }
            let edge = &mut self.edges[level];
            edge.push(carried);
            if edge.len() < TILE_HASHES {
                return tiles;
            }
            let hashes = std::mem::take(edge);
            carried = root_of(&hashes);
            place >>= TILE_BITS;
            tiles.push(Tile { level: level as u8, index: place, hashes });
            level += 1;
        }
    }

    /// Returns which log it is.
    pub const fn log(&self) -> Nonce {
        self.log
    }

    /// Returns how many entries there are.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Returns the root over all entries.
    pub fn root(&self) -> Hash {
        let mut peaks = Vec::new();
        for edge in self.edges.iter().rev() {
            let mut rest = &edge[..];
            while !rest.is_empty() {
                let (peak, behind) = rest.split_at(1 << rest.len().ilog2());
                peaks.push(root_of(peak));
                rest = behind;
            }
        }
        root_of_peaks(&peaks)
    }

    /// Returns what is signed and told to others.
    pub fn head(&self) -> Head {
        Head { log: self.log, size: self.size, root: self.root() }
    }
}
