//! Who can sign: whatever holds the private half of a node's key.

use karo_protocol::NodeId;
use karo_protocol::node::Signature;

/// The holder of a node's private key.
///
/// Frames, objects, rotations and pairings are signed through it, so that none of them can reach the key itself.
pub trait Signer {
    /// Returns the public half: the key that its signatures verify under.
    fn node_id(&self) -> NodeId;

    /// Signs bytes with Ed25519 (RFC 8032, pure). The caller has put the domain in front of them.
    fn sign(&self, message: &[u8]) -> Signature;
}
