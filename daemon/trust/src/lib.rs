//! Who is trusted, and how it is proven.
//!
//! Pure: no file is opened here, no clock is read, and chance comes as an argument ([`Chance`]). What is decided
//! here is decided before the first byte of a peer is read (`tls`), at each frame (`frame`) and at each object
//! (`object`). What was done is proven afterwards (`audit`).

#![warn(missing_docs)]

pub mod audit;
pub mod backup;
pub mod card;
pub mod certificate;
mod chance;
pub mod fingerprint;
pub mod frame;
pub mod identity;
pub mod object;
pub mod pairing;
pub mod replay;
pub mod roster;
pub mod rotation;
mod signer;
#[cfg(test)]
mod testing;
pub mod tls;
mod words;

pub use chance::{Chance, System};
pub use fingerprint::{fingerprint, key_hash};
pub use identity::Identity;
pub use signer::{Signer, is_weak, verify};
