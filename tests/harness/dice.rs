//! Chance that repeats exactly: the seed stands in every failure message.

use std::ops::Range;

/// Draws numbers (xorshift64*, Vigna 2016); good enough to choose by, for nothing else.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Starts from a seed.
    pub const fn new(seed: u64) -> Self {
        // Zero alone would stay zero.
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// Starts from `KARO_SEED`, else from the seed given, and says on stderr from which.
    pub fn seeded(seed: u64) -> Self {
        let seed = crate::number_from("KARO_SEED", seed);
        eprintln!("KARO_SEED={seed}");
        Self::new(seed)
    }

    /// Draws 64 bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Draws a number of a range that is not empty.
    pub const fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.bits() % (range.end - range.start)
    }

    /// Draws bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.bits().to_be_bytes()[0]).collect()
    }
}
