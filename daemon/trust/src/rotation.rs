//! Whose key a peer's next key is: what is decided when a peer says that it has another one.
//!
//! A node says beforehand which key it will have next, by its hash ([`Succession::on_announced`]). Whoever steals a
//! key has not stolen that one: a rotation to it is followed at once, any other waits for a person. The first hash
//! that is heard of a key counts, and a rotation alone brings the next one: otherwise a thief would announce a key
//! of his own, and rotate to it.
//!
//! | a rotation | is |
//! | --- | --- |
//! | to the announced key, within [`GRACE`] of its making, the first in [`GRACE`] | followed |
//! | to another key, or where none was announced | held: unannounced |
//! | while the last one that was followed is younger than [`GRACE`] | held: second |
//! | met when [`GRACE`] is over, or by the new key alone | held: late |
//! | of another key than the peer's, without the new key's proof, to the same key | refused |
//!
//! Every method returns the new state, which is on disk before anything is done by it.

use karo_protocol::node::Hash;
use karo_protocol::peer::{Rotation, Signed};
use karo_protocol::{NodeId, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::fingerprint::key_hash;
use crate::identity::{GRACE, proof_message};
use crate::object::{self, ObjectRefused};
use crate::signer::verify;

/// What is known of the keys of one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Succession {
    /// The key that it is trusted by.
    pub key: NodeId,
    /// BLAKE3 of the one that it said would follow.
    pub next: Option<Hash>,
    /// The key before, and when we followed it to this one, by our clock.
    pub followed: Option<(NodeId, Timestamp)>,
    /// What waits for a person.
    pub held: Option<Held>,
}

/// A rotation that waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The key that would take over.
    pub key: NodeId,
    /// BLAKE3 of the one after that, if it was told.
    pub next: Option<Hash>,
    /// Why it waits.
    pub why: HeldWhy,
    /// Since when.
    pub since: Timestamp,
    /// Another key that the peer's key was said to be followed by, while this one waits: one of the two at least
    /// is a thief's.
    pub contested_by: Option<NodeId>,
}

/// Why a rotation waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Error)]
pub enum HeldWhy {
    /// The key is not the one that was announced.
    #[error("its new key is not the one that it announced")]
    Unannounced,
    /// The last rotation is younger than [`GRACE`].
    #[error("it changes its key for the second time in a day")]
    Second,
    /// It was met when [`GRACE`] was over.
    #[error("it changed its key more than a day ago")]
    Late,
}

/// What becomes of a hash that a peer announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one for each link that comes up, taken apart at once")]
pub enum Announced {
    /// It is the first: keep it.
    First(Succession),
    /// It is the one that is kept.
    Known,
    /// It is another one than before, and that one counts: the peer was restored from an old backup, or somebody
    /// else has its key.
    Other,
}

/// What becomes of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The peer has that key from here on.
    Followed(Succession),
    /// It had it already: the answer was lost.
    Known,
    /// It waits for a person.
    Held(Succession),
}

/// Why a rotation is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RotationRefused {
    /// It is no object of the peer's, or one from the future.
    #[error(transparent)]
    Object(#[from] ObjectRefused),
    /// It is signed by a key that another one has taken the place of.
    #[error("{issuer} was followed by another key already")]
    Superseded {
        /// That key.
        issuer: NodeId,
    },
    /// The new key has not signed it.
    #[error("{key} has not agreed to take over")]
    Proof {
        /// The new key.
        key: NodeId,
    },
    /// The new key is the old one.
    #[error("a key cannot follow itself")]
    Itself,
    /// It is meant for one node alone: what is not said to all is not said.
    #[error("a rotation is for everybody, and this one is not")]
    Audience,
}

impl Succession {
    /// Begins with a key that was trusted by somebody's act, and the hash of the next one if it came with it.
    pub const fn new(key: NodeId, next: Option<Hash>) -> Self {
        Self { key, next, followed: None, held: None }
    }

    /// Takes the hash that the peer announces in its `Hello`, under its current key.
    pub fn on_announced(&self, next: Hash) -> Announced {
        match self.next {
            None => Announced::First(Self { next: Some(next), ..*self }),
            Some(known) if known == next => Announced::Known,
            Some(_) => Announced::Other,
        }
    }

    /// Takes a rotation that the peer sent over its link.
    ///
    /// # Errors
    ///
    /// [`RotationRefused`]: it is as if nothing had been said.
    pub fn on_rotation(&self, signed: &Signed, now: Timestamp) -> Result<Verdict, RotationRefused> {
        let object = object::read::<Rotation>(signed, None)?;
        let (issuer, rotation) = (object.issuer, object.body);
        let previous = self.followed.map(|(key, _)| key);
        if issuer != self.key && Some(issuer) != previous {
            return Err(ObjectRefused::Issuer { issuer, expected: self.key }.into());
        }
        if object.audience.is_some() {
            return Err(RotationRefused::Audience);
        }
        object::judge_creation(object.created, now)?;
        if rotation.key == issuer {
            return Err(RotationRefused::Itself);
        }
        if !verify(&rotation.key, &proof_message(&issuer), &rotation.proof) {
            return Err(RotationRefused::Proof { key: rotation.key });
        }
        if issuer != self.key {
            let is_known = rotation.key == self.key;
            return if is_known { Ok(Verdict::Known) } else { Err(RotationRefused::Superseded { issuer }) };
        }
        let is_late = now > object.expires || now > object.created.after(GRACE);
        Ok(match self.doubt(&rotation, is_late, now) {
            None => Verdict::Followed(self.follow(rotation.key, Some(rotation.next_key), now)),
            Some(why) => Verdict::Held(self.hold(rotation.key, Some(rotation.next_key), why, now)),
        })
    }

    /// Takes a key that is in no roster, and whose holder has proven in a handshake that it has it: that may be the
    /// peer's announced one, when all that knew the old one was missed. Then it is held; `None` means a stranger.
    pub fn on_stranger(&self, key: &NodeId, now: Timestamp) -> Option<Self> {
        let is_announced = self.next == Some(key_hash(key));
        is_announced.then(|| self.hold(*key, None, HeldWhy::Late, now))
    }

    /// Lets a person say that the key which waits is the peer's. `None` when another one does, or none: what the
    /// person saw is what is confirmed.
    pub fn confirm(&self, key: &NodeId, now: Timestamp) -> Option<Self> {
        let held = self.held.filter(|held| held.key == *key)?;
        Some(self.follow(held.key, held.next, now))
    }

    /// Lets a person say that the key which waits is not the peer's.
    pub const fn dismiss(&self) -> Self {
        Self { held: None, ..*self }
    }

    /// Says why a rotation must wait, if it must.
    fn doubt(&self, rotation: &Rotation, is_late: bool, now: Timestamp) -> Option<HeldWhy> {
        if self.next != Some(key_hash(&rotation.key)) {
            return Some(HeldWhy::Unannounced);
        }
        if self.followed.is_some_and(|(_, at)| now.since(at) < GRACE) {
            return Some(HeldWhy::Second);
        }
        is_late.then_some(HeldWhy::Late)
    }

    const fn follow(&self, key: NodeId, next: Option<Hash>, now: Timestamp) -> Self {
        Self { key, next, followed: Some((self.key, now)), held: None }
    }

    /// Holds a key. The announced one takes the place of any other; otherwise the first one stays, so that nobody
    /// changes what a person is looking at.
    fn hold(&self, key: NodeId, next: Option<Hash>, why: HeldWhy, now: Timestamp) -> Self {
        let is_announced = |key: &NodeId| self.next == Some(key_hash(key));
        let fresh = Held { key, next, why, since: now, contested_by: None };
        let held = match self.held {
            None => fresh,
            // What is told later completes what is known.
            Some(held) if held.key == key => Held { next: held.next.or(next), ..held },
            Some(held) if is_announced(&key) => Held { contested_by: Some(held.key), ..fresh },
            Some(held) => Held { contested_by: Some(key), ..held },
        };
        Self { held: Some(held), ..*self }
    }
}

#[cfg(test)]
mod tests;
