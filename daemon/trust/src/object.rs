//! The signature of an object: what a node says to anybody, whoever carries it.
//!
//! Signed are `karo/1 `, the name of the type ([`SignedBody::NAME`]), a NUL and the exact bytes of the object: an
//! [`Object`] in MessagePack. Nothing is written anew to be verified, and nothing but the issuer's key, which
//! stands at one place in front, is read before the signature is.
//!
//! | bytes | of an object | |
//! | --- | --- | --- |
//! | 0     | `0x96` | six fields follow |
//! | 1..35 | issuer | `0xc4 0x20` and the key |
//! | 35..  | audience, created, expires, id, body | |
//!
//! That an object is taken once only is for [`replay`](crate::replay) to see to.

use karo_protocol::frame::FrameError;
use karo_protocol::node::Nonce;
use karo_protocol::peer::{Object, Signed, SignedBody};
use karo_protocol::{Bytes, Micros, NodeId, Timestamp};
use thiserror::Error;

use crate::signer::{Signer, verify};

/// How far a clock may be ahead of ours.
pub const AHEAD_MAX: Micros = Micros(5 * 60 * 1_000_000);

/// An object's bytes before the issuer's key: six fields, 32 bytes.
const ISSUER_MARK: [u8; 3] = [0x96, 0xc4, NodeId::LENGTH as u8];

/// Why an object cannot be signed: it is longer than its type allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{name} of {length} bytes, at most {length_max} are allowed")]
pub struct TooLong {
    /// The name of its type.
    pub name: &'static str,
    /// What it has, in bytes.
    pub length: usize,
    /// What it may have.
    pub length_max: usize,
}

/// What is demanded of an object.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    /// Whose it must be; `None` when whoever signed it is looked up afterwards.
    pub issuer: Option<NodeId>,
    /// Who takes it: it must be for this node, or for anybody.
    pub audience: NodeId,
    /// By the own wall clock.
    pub now: Timestamp,
}

/// Why an object is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ObjectRefused {
    /// It is longer than its type allows.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// It does not begin as an object does.
    #[error("not a signed object")]
    Shape,
    /// It is somebody else's.
    #[error("object of {issuer}, not of {expected}")]
    Issuer {
        /// Whose it says that it is.
        issuer: NodeId,
        /// Whose it must be.
        expected: NodeId,
    },
    /// The signature is not the issuer's over these bytes as this type.
    #[error("object is not signed by {issuer}")]
    Signature {
        /// Whose it says that it is.
        issuer: NodeId,
    },
    /// It is signed, and still cannot be read.
    #[error("object cannot be read: {0}")]
    Body(#[from] FrameError),
    /// It is meant for another node.
    #[error("object is for {audience}, not for this node")]
    Audience {
        /// For whom.
        audience: NodeId,
    },
    /// Its maker's clock is more than [`AHEAD_MAX`] ahead of ours.
    #[error("object was made {ahead_seconds} s in the future: one of the two clocks is wrong")]
    Ahead {
        /// By so many seconds.
        ahead_seconds: u64,
    },
    /// Its time is over.
    #[error("object expired {past_seconds} s ago")]
    Expired {
        /// So many seconds ago.
        past_seconds: u64,
    },
    /// It expires before it was made.
    #[error("object expires before it was made")]
    Backwards,
}

/// Returns what is signed of an object.
fn covered<T: SignedBody>(bytes: &[u8]) -> Vec<u8> {
    const {
        // A frame's domain is `karo/1 frame` and no more: an object of such a name could be taken for one.
        assert!(!begins_with(T::NAME.as_bytes(), b"frame"), "no object is called a frame");
        assert!(!begins_with(T::NAME.as_bytes(), b"pair"), "no object is called as what a pairing signs");
    }
    [b"karo/1 ", T::NAME.as_bytes(), b"\0", bytes].concat()
}

const fn begins_with(name: &[u8], word: &[u8]) -> bool {
    let mut place = 0;
    while place < word.len() && place < name.len() && name[place] == word[place] {
        place += 1;
    }
    place == word.len()
}

/// Writes and signs an object. `id` is 128 random bits; `audience` is `None` for anybody.
///
/// # Errors
///
/// [`TooLong`] when it would be refused.
pub fn sign<T: SignedBody>(
    signer: &dyn Signer,
    body: T,
    audience: Option<NodeId>,
    created: Timestamp,
    expires: Timestamp,
    id: Nonce,
) -> Result<Signed, TooLong> {
    let object = Object { issuer: signer.node_id(), audience, created, expires, id, body };
    let bytes = rmp_serde::to_vec(&object).expect("an object in memory can be written");
    bounded::<T>(&bytes)?;
    let signature = signer.sign(&covered::<T>(&bytes));
    Ok(Signed { bytes: Bytes(bytes), signature })
}

const fn bounded<T: SignedBody>(bytes: &[u8]) -> Result<(), TooLong> {
    if bytes.len() > T::BYTES_MAX {
        return Err(TooLong { name: T::NAME, length: bytes.len(), length_max: T::BYTES_MAX });
    }
    Ok(())
}

/// Verifies an object and reads it.
///
/// # Errors
///
/// [`ObjectRefused`]; nothing of it may be believed then.
pub fn open<T: SignedBody>(signed: &Signed, expected: &Expected) -> Result<Object<T>, ObjectRefused> {
    let object = read(signed, expected.issuer)?;
    judge(&object, expected)?;
    Ok(object)
}

/// Verifies an object and reads it, and does not judge for whom it is, nor when: for what proves something for
/// good, as the head of an audit does.
///
/// # Errors
///
/// [`ObjectRefused`]; nothing of it may be believed then.
pub fn read<T: SignedBody>(signed: &Signed, expected: Option<NodeId>) -> Result<Object<T>, ObjectRefused> {
    let bytes = &signed.bytes.0;
    bounded::<T>(bytes)?;
    let issuer = issuer_of(bytes)?;
    if let Some(expected) = expected.filter(|expected| *expected != issuer) {
        return Err(ObjectRefused::Issuer { issuer, expected });
    }
    if !verify(&issuer, &covered::<T>(bytes), &signed.signature) {
        return Err(ObjectRefused::Signature { issuer });
    }
    Ok(karo_protocol::frame::decode::<Object<T>>(bytes)?)
}

/// Reads whose object it says that it is; nothing else.
fn issuer_of(bytes: &[u8]) -> Result<NodeId, ObjectRefused> {
    let key = bytes.strip_prefix(&ISSUER_MARK).and_then(|rest| rest.first_chunk());
    key.copied().map(NodeId).ok_or(ObjectRefused::Shape)
}

/// Judges for whom an object is, and when.
fn judge<T>(object: &Object<T>, expected: &Expected) -> Result<(), ObjectRefused> {
    if let Some(audience) = object.audience.filter(|audience| *audience != expected.audience) {
        return Err(ObjectRefused::Audience { audience });
    }
    if object.expires < object.created {
        return Err(ObjectRefused::Backwards);
    }
    judge_creation(object.created, expected.now)?;
    if expected.now > object.expires {
        return Err(ObjectRefused::Expired { past_seconds: seconds(expected.now.since(object.expires)) });
    }
    Ok(())
}

/// Refuses what a clock far ahead of ours has made.
pub(crate) fn judge_creation(created: Timestamp, now: Timestamp) -> Result<(), ObjectRefused> {
    let ahead = created.since(now);
    if ahead > AHEAD_MAX {
        return Err(ObjectRefused::Ahead { ahead_seconds: seconds(ahead) });
    }
    Ok(())
}

const fn seconds(span: Micros) -> u64 {
    span.0.div_ceil(1_000_000)
}

#[cfg(test)]
mod tests;
