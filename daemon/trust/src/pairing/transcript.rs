//! What the two sides of a pairing compute alike: the commitment, the words, and what a yes signs.
//!
//! Every field has a fixed length, so that no two inputs run together into the same bytes.

use karo_protocol::NodeId;
use karo_protocol::node::Hash;

use super::Side;
use crate::words;

/// What both sides know once the dialler has opened its commitment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Transcript {
    pub(super) dialler: NodeId,
    pub(super) listener: NodeId,
    pub(super) dialler_nonce: Hash,
    pub(super) listener_nonce: Hash,
    /// Of the TLS connection: it differs on the two sides of a machine in the middle.
    pub(super) exporter: [u8; 32],
}

/// Returns what the dialler commits itself to, before it knows the listener's nonce.
pub(super) fn commitment(dialler: &NodeId, listener: &NodeId, dialler_nonce: &Hash) -> Hash {
    hash(b"karo/1 pair commit\0", &[&dialler.0, &listener.0, &dialler_nonce.0])
}

impl Transcript {
    /// Returns the four words that both people see.
    pub(super) fn words(&self) -> [&'static str; 4] {
        let Hash([a, b, c, d, e, ..]) = self.hash(b"karo/1 pair words\0");
        words::four([a, b, c, d, e])
    }

    /// Returns what the side signs with its yes, its next key and its port.
    pub(super) fn yes(&self, side: Side, next_key: &Hash, port: u16) -> Vec<u8> {
        let transcript = self.hash(b"karo/1 pair transcript\0");
        [b"karo/1 pair yes\0", transcript.0.as_slice(), &[side.byte()], &next_key.0, &port.to_be_bytes()]
            .concat()
    }

    fn hash(&self, domain: &[u8]) -> Hash {
        hash(
            domain,
            &[
                &self.dialler.0,
                &self.listener.0,
                &self.dialler_nonce.0,
                &self.listener_nonce.0,
                &self.exporter,
            ],
        )
    }
}

fn hash(domain: &[u8], fields: &[&[u8; 32]]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(domain);
    for field in fields {
        hasher.update(*field);
    }
    Hash(*hasher.finalize().as_bytes())
}
