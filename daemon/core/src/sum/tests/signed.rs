//! Signed objects without keys: enough that nothing which was changed passes.

use karo_protocol::atom::{Atom, AtomSays, AtomSeal, Report};
use karo_protocol::node::{Nonce, Signature};
use karo_protocol::peer::{Object, Signed, SignedBody};
use karo_protocol::{NodeId, Timestamp};
use serde::de::DeserializeOwned;

use crate::sum::Proven;

/// Signs as the daemon would; the form of the object is no matter here.
pub(super) fn sign<T: SignedBody>(issuer: NodeId, id: Nonce, body: T) -> Signed {
    let now = Timestamp::default();
    let object = Object { issuer, audience: None, created: now, expires: now, id, body };
    let bytes = serde_json::to_vec(&object).expect("an object has a text");
    let signature = signature::<T>(issuer, &bytes);
    Signed { bytes: bytes.into(), signature }
}

fn signature<T: SignedBody>(issuer: NodeId, bytes: &[u8]) -> Signature {
    let mut hasher = blake3::Hasher::new_keyed(&issuer.0);
    hasher.update(T::NAME.as_bytes()).update(bytes);
    let mut signature = [0; 64];
    hasher.finalize_xof().fill(&mut signature);
    Signature(signature)
}

/// Verifies a signature, as the daemon would.
pub(super) fn proven<T: SignedBody + DeserializeOwned>(signed: &Signed) -> Option<Object<T>> {
    let object: Object<T> = serde_json::from_slice(&signed.bytes).ok()?;
    (signed.signature == signature::<T>(object.issuer, &signed.bytes)).then_some(object)
}

pub(super) fn proven_in(says: &AtomSays) -> Option<Proven> {
    if let AtomSays::Report { report, .. } | AtomSays::Verify { report, .. } = says {
        return proven::<Report>(report).map(Proven::Report);
    }
    if let AtomSays::Table(table) = says {
        return proven::<Atom>(table).map(Box::new).map(Proven::Table);
    }
    if let AtomSays::Seal(seal) = says {
        return proven::<AtomSeal>(seal).map(Proven::Seal);
    }
    None
}
