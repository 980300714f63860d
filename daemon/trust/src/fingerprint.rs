//! The short forms of a key: one for the eye, and one to announce it by before it is shown.

use karo_protocol::node::Hash;
use karo_protocol::{Fingerprint, NodeId};

/// Returns the first 8 bytes of BLAKE3 of the key: for the eye, never a proof of anything.
pub fn fingerprint(node: &NodeId) -> Fingerprint {
    let hash = key_hash(node);
    let short = hash.0.first_chunk().expect("a hash is longer than its short form");
    Fingerprint(*short)
}

/// Returns BLAKE3 of the key, whole: how a key is announced before it is shown.
pub fn key_hash(node: &NodeId) -> Hash {
    Hash(*blake3::hash(node.as_bytes()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BLAKE3 of 32 zeros, as b3sum gives it.
    #[test]
    fn the_short_form_begins_the_hash() {
        let node = NodeId([0; 32]);
        assert_eq!(fingerprint(&node).0[..], key_hash(&node).0[..8]);
        assert_eq!(fingerprint(&node).to_string(), "2ada-83c1-819a-5372");
    }
}
