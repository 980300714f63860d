//! Chance, as an argument.

use ring::rand::{SecureRandom, SystemRandom};

/// A source of random bytes: the system's in the daemon, a seeded one in tests and simulations.
pub trait Chance {
    /// Fills all of it.
    fn fill(&mut self, bytes: &mut [u8]);

    /// Draws so many bytes.
    fn draw<const LENGTH: usize>(&mut self) -> [u8; LENGTH]
    where
        Self: Sized,
    {
        let mut bytes = [0; LENGTH];
        self.fill(&mut bytes);
        bytes
    }
}

/// The randomness of the operating system.
#[derive(Debug, Clone)]
pub struct System(SystemRandom);

impl Default for System {
    fn default() -> Self {
        Self(SystemRandom::new())
    }
}

impl Chance for System {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes).expect("the operating system has randomness");
    }
}
