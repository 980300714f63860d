//! Who is trusted, and how it is proven.
//!
//! Pure: no file is opened here, no clock is read, and chance comes as an argument ([`Chance`]). What is decided
//! here is decided before the first byte of a peer is read (`tls`), at each frame (`frame`) and at each object
//! (`object`).

#![warn(missing_docs)]

mod chance;
pub mod frame;
pub mod object;
mod signer;
#[cfg(test)]
mod testing;

pub use chance::{Chance, System};
pub use signer::{Signer, is_weak, verify};
