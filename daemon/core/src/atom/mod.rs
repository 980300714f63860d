//! Atoms: which cells they have, what one owner puts in, what is shown of their sum, and what is answered from them.
//!
//! Pure arithmetic. Nothing here shares, seals or sends: that is `karo_core::sum`'s. Nothing here asks who may see an
//! atom either: an atom is what everybody in the group may see, and the rule of what stays hidden was applied when
//! it was made ([`rule`]).
//!
//! ```text
//! events of a day -> counts (one owner) -> ...secure sum... -> rule: what is visible -> release: an Atom -> answer
//! ```

pub mod answer;
pub mod counts;
pub mod layout;
pub mod ledger;
mod release;
pub mod rule;

pub use release::{AtomRefused, Misshapen, OwnerSums, ValueSums, band_of, check, release, value_at};
