//! What the tests of this crate share: dice that fall alike each time, and keys made of them.

use std::time::Instant;

use karo_protocol::NodeId;
use karo_protocol::node::Signature;
use ring::signature::{Ed25519KeyPair, KeyPair};

use crate::{Chance, Signer};

/// Dice of a seed: SplitMix64 (Steele, Lea and Flood, 2014). Anything but secret.
#[derive(Debug, Clone)]
pub(crate) struct Dice(pub u64);

impl Dice {
    /// Throws once.
    pub(crate) fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Returns a number below the bound.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.throw() % bound as u64) as usize
    }
}

impl Chance for Dice {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let thrown = self.throw().to_le_bytes();
            chunk.copy_from_slice(&thrown[..chunk.len()]);
        }
    }
}

/// A key pair of a seed.
pub(crate) struct Key(Ed25519KeyPair);

impl Key {
    /// Makes the key of that number.
    pub(crate) fn of(seed: u64) -> Self {
        let seed: [u8; 32] = Dice(seed).draw();
        Self(Ed25519KeyPair::from_seed_unchecked(&seed).expect("any 32 bytes are a seed"))
    }
}

impl Signer for Key {
    fn node_id(&self) -> NodeId {
        NodeId(self.0.public_key().as_ref().try_into().expect("a key has 32 bytes"))
    }

    fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).as_ref().try_into().expect("a signature has 64 bytes"))
    }
}

/// Returns a moment to count from: no test asks for another.
#[expect(clippy::disallowed_methods, reason = "an Instant cannot be made in another way")]
pub(crate) fn start() -> Instant {
    Instant::now()
}
