//! The audit log as a tree: what is hashed, what is proven, and what a witness makes of a head.
//!
//! The tree has the shape of RFC 9162, section 2.1, over BLAKE3. Its leaves are entries behind 16 random bytes
//! each, so that the hash of an entry which is past its retention confirms no guess of it. A signed
//! [`Head`](karo_protocol::audit::Head) stands for all entries below its size: no one of them can be changed,
//! and none be cut, without another head.
//!
//! Nothing is stored here. [`AuditLog`] keeps the right edge of the tree, and gives each entry as a [`Leaf`]: the
//! line to be stored, and the tiles that it completes. Whoever stores them gives them back through [`Stored`].
//!
//! | file | holds |
//! | --- | --- |
//! | `tree` | hashes, and the one for many leaves |
//! | `log` | the log that grows |
//! | `stored` | what is read back: any hash of the tree, of tiles and lines |
//! | `proof` | proofs: made of what is stored, verified by anybody |
//! | `check` | whether a stored log is as it was written |
//! | `witness` | what is known of another's log, and what a new head of it means |
//! | `export` | entries with their proofs, for others |

mod check;
mod export;
mod log;
mod proof;
mod stored;
#[cfg(test)]
mod tests;
mod tree;
mod witness;

pub use check::{Checked, check};
pub use export::{ExportFault, Proven, verify_export};
pub use log::{AuditLog, Leaf, Line, Tile};
pub use proof::{consistency_proof, inclusion_proof, verify_consistency, verify_inclusion};
pub use stored::{Missing, Stored, forgettable, root_at};
pub use tree::{empty_root, leaf_hash, node_hash};
pub use witness::{Offered, Refutation, Witness};
