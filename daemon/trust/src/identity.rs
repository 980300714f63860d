//! Who this node is: its key, the one that follows it, and for a day after a rotation the one before.
//!
//! An identity never changes in place: a rotation makes another one, which is written to disk before it is used.

mod file;
mod key;

use karo_protocol::node::{Hash, Nonce, Signature};
use karo_protocol::peer::{Rotation, Signed};
use karo_protocol::{Micros, NodeId, Timestamp};

pub use file::{IdentityError, wipe};
pub use key::Key;

use crate::{Chance, Signer, key_hash, object};

/// How long both keys are kept after a rotation.
pub const GRACE: Micros = Micros(24 * 60 * 60 * 1_000_000);

/// The domain of the signature by which a new key names the one it takes over from.
const PROOF_DOMAIN: &[u8] = b"karo/1 rotation proof\0";

/// Who this node is.
#[derive(Debug, Clone)]
pub struct Identity {
    created_at: Timestamp,
    current: Key,
    next: Key,
    rotated: Option<Takeover>,
}

/// A rotation that has happened: when, and the key before it as long as that is kept.
#[derive(Debug, Clone)]
struct Takeover {
    at: Timestamp,
    previous: Option<Key>,
}

/// What a rotation makes.
#[derive(Debug, Clone)]
pub struct Rotated {
    /// Written to disk before the announcement is sent.
    pub identity: Identity,
    /// The [`Rotation`], signed by the key that steps back; it expires with the grace.
    pub announcement: Signed,
}

impl Identity {
    /// Draws a new one.
    pub fn generate(chance: &mut impl Chance, created_at: Timestamp) -> Self {
        Self { created_at, current: Key::draw(chance), next: Key::draw(chance), rotated: None }
    }

    /// Returns the key that others know this node by.
    pub fn node_id(&self) -> NodeId {
        self.current.node_id()
    }

    /// Returns that key, whole.
    pub fn current(&self) -> &Key {
        &self.current
    }

    /// Returns when the identity was made; a rotation leaves that as it is.
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// Returns when the key took over from another, if it did.
    pub fn rotated_at(&self) -> Option<Timestamp> {
        self.rotated.as_ref().map(|takeover| takeover.at)
    }

    /// Returns BLAKE3 of the key that will follow this one: what peers are told beforehand.
    pub fn next_hash(&self) -> Hash {
        key_hash(&self.next.node_id())
    }

    /// Returns the secret that the sealing key of this node is made of: it lives and is backed up with the key, and
    /// another key has another one.
    pub fn sealing_secret(&self) -> [u8; 32] {
        blake3::derive_key("karo 2026-11 sealing key of a node", self.current.seed())
    }

    /// Signs bytes with the current key; the domain stands in front of them already.
    pub fn sign(&self, message: &[u8]) -> Signature {
        self.current.sign(message)
    }

    /// Returns the key before this one, during the grace of [`GRACE`] after a rotation.
    ///
    /// A clock set back to before the rotation does not bring it back for longer: the grace ends by the clock, or
    /// when [`after_grace`](Self::after_grace) was called.
    pub fn previous(&self, now: Timestamp) -> Option<&Key> {
        let takeover = self.rotated.as_ref()?;
        takeover.previous.as_ref().filter(|_| now < takeover.at.after(GRACE))
    }

    /// Returns when the previous key is to be forgotten, if one is kept.
    pub fn grace_ends(&self) -> Option<Timestamp> {
        let takeover = self.rotated.as_ref()?;
        takeover.previous.as_ref().map(|_| takeover.at.after(GRACE))
    }

    /// Returns the key to show to a peer that knows this one; `None` when we do not hold it (any more).
    pub fn key_known_as(&self, node: NodeId, now: Timestamp) -> Option<&Key> {
        if node == self.node_id() {
            return Some(&self.current);
        }
        self.previous(now).filter(|previous| previous.node_id() == node)
    }

    /// Tells whether that key is the one before this, and still kept, be its grace over or not: whoever knew this node
    /// by it knows this node.
    pub fn follows(&self, node: NodeId) -> bool {
        let previous = self.rotated.as_ref().and_then(|takeover| takeover.previous.as_ref());
        previous.is_some_and(|previous| previous.node_id() == node)
    }

    /// Returns the identity without its previous key once the grace is over; `None` when nothing is to be done.
    ///
    /// What is returned is written to disk, and configurations of TLS are made anew from it: a listener offers
    /// whatever keys its identity holds.
    pub fn after_grace(&self, now: Timestamp) -> Option<Self> {
        if self.grace_ends().is_none_or(|end| now < end) {
            return None;
        }
        let rotated = self.rotated_at().map(|at| Takeover { at, previous: None });
        Some(Self { rotated, ..self.clone() })
    }

    /// Every key that a listener answers to: the current one first.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        let previous = self.rotated.as_ref().and_then(|takeover| takeover.previous.as_ref());
        [&self.current].into_iter().chain(previous)
    }

    /// Lets the next key take over, and draws another next one.
    ///
    /// A second rotation within the grace is possible, for a key that is lost, but peers hold it until a person
    /// has confirmed it; see [`previous`](Self::previous).
    pub fn rotate(&self, chance: &mut impl Chance, now: Timestamp) -> Rotated {
        let identity = Self {
            created_at: self.created_at,
            current: self.next.clone(),
            next: Key::draw(chance),
            rotated: Some(Takeover { at: now, previous: Some(self.current.clone()) }),
        };
        let announcement = identity.announcement(&self.current, chance, now);
        Rotated { identity, announcement }
    }

    /// Announces the last rotation once more, for a peer that knows the previous key; `None` without a grace.
    pub fn announce(&self, chance: &mut impl Chance, now: Timestamp) -> Option<Signed> {
        let previous = self.previous(now)?.clone();
        Some(self.announcement(&previous, chance, now))
    }

    fn announcement(&self, previous: &Key, chance: &mut impl Chance, now: Timestamp) -> Signed {
        let proof = self.sign(&proof_message(&previous.node_id()));
        let body = Rotation { key: self.node_id(), next_key: self.next_hash(), proof };
        let expires = self.rotated_at().unwrap_or(now).after(GRACE);
        object::sign(previous, body, None, now, expires, Nonce(chance.draw())).expect("a rotation is short")
    }
}

/// Returns the bytes that a new key signs over the one it takes over from ([`Rotation::proof`]).
pub fn proof_message(previous: &NodeId) -> Vec<u8> {
    [PROOF_DOMAIN, previous.as_bytes()].concat()
}

impl AsRef<Key> for Identity {
    fn as_ref(&self) -> &Key {
        &self.current
    }
}

impl Signer for Identity {
    fn node_id(&self) -> NodeId {
        Self::node_id(self)
    }

    fn sign(&self, message: &[u8]) -> Signature {
        Self::sign(self, message)
    }
}

#[cfg(test)]
mod tests;
