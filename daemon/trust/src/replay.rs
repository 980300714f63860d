//! An object is taken once: the ids of those that were, until none of them could be taken again.
//!
//! What [`Seen::offer`] returns is written to disk, and synced, before the deed that the object asks for: a daemon
//! that dies in between has not done it and will not, and the issuer asks anew.
//!
//! An id is kept until [`KEPT_AFTER_EXPIRY`] past its object's expiry. A clock that ran ahead and was set back
//! must not open the door again, so the latest expiry among the forgotten is kept as well, and no object that
//! expires by then is taken: whatever was forgotten is among those. (Keeping the highest wall time ever seen
//! instead would refuse everything after one jump into the next century.)

use std::collections::{BTreeMap, BTreeSet};

use karo_protocol::node::Nonce;
use karo_protocol::peer::Object;
use karo_protocol::{Micros, NodeId, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How long an id is kept past the expiry of its object.
pub const KEPT_AFTER_EXPIRY: Micros = Micros(10 * 60 * 1_000_000);

/// How far ahead the expiry of an object may be that is to be taken once: its id is kept as long.
pub const LIFETIME_MAX: Micros = Micros(31 * 24 * 60 * 60 * 1_000_000);

/// Ids that are kept, all told: some 6 MiB.
pub const SEEN_MAX: usize = 65_536;

/// Ids that are kept of one issuer, so that none of them can fill it for the others.
pub const SEEN_EACH_MAX: usize = 4096;

/// Which object: its issuer is part of it, so that nobody can use up an id of somebody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectId {
    /// Whose it is.
    pub issuer: NodeId,
    /// The 128 random bits that it was given.
    pub id: Nonce,
}

impl<T> From<&Object<T>> for ObjectId {
    fn from(object: &Object<T>) -> Self {
        Self { issuer: object.issuer, id: object.id }
    }
}

/// Why an object is not taken, though it is in order by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReplayRefused {
    /// It was taken before.
    #[error("object was taken before")]
    Seen,
    /// Its id may be among those that were forgotten: the clock was set back.
    #[error("object expires no later than one that was forgotten: was the clock set back?")]
    Forgotten,
    /// It expires in more than [`LIFETIME_MAX`].
    #[error("object expires in more than {} days", LIFETIME_MAX.0 / 86_400_000_000)]
    TooLong,
    /// So many of its issuer, or of all, are kept already.
    #[error("{kept} objects are kept already, and none may be forgotten yet")]
    Full {
        /// How many.
        kept: usize,
    },
}

/// What must be durable before the deed, in one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenChange {
    /// The id that is kept from here on.
    pub kept: ObjectId,
    /// When its object expires.
    pub expires: Timestamp,
    /// Ids whose records go.
    pub forgotten: Vec<ObjectId>,
    /// The latest expiry among all that were ever forgotten.
    pub forgotten_until: Timestamp,
}

/// The ids of the objects that were taken.
#[derive(Debug, Clone)]
pub struct Seen {
    kept: BTreeMap<ObjectId, Timestamp>,
    /// The same ids by expiry, earliest first.
    by_expiry: BTreeSet<(Timestamp, ObjectId)>,
    each: BTreeMap<NodeId, usize>,
    forgotten_until: Timestamp,
}

impl Default for Seen {
    /// Nothing was ever taken, and nothing forgotten.
    fn default() -> Self {
        Self::restore([], Timestamp::MIN)
    }
}

impl Seen {
    /// Makes it of what was durable: each record, and the latest `forgotten_until`.
    pub fn restore(
        records: impl IntoIterator<Item = (ObjectId, Timestamp)>,
        forgotten_until: Timestamp,
    ) -> Self {
        let (kept, by_expiry, each) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        let mut seen = Self { kept, by_expiry, each, forgotten_until };
        records.into_iter().for_each(|(id, expires)| seen.keep(id, expires));
        seen
    }

    /// Takes an object, once. `expires` is its own, `now` the wall clock.
    ///
    /// # Errors
    ///
    /// [`ReplayRefused`]: the deed must not be done.
    pub fn offer(
        &mut self,
        id: ObjectId,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<SeenChange, ReplayRefused> {
        if self.kept.contains_key(&id) {
            return Err(ReplayRefused::Seen);
        }
        if expires <= self.forgotten_until {
            return Err(ReplayRefused::Forgotten);
        }
        if expires.since(now) > LIFETIME_MAX {
            return Err(ReplayRefused::TooLong);
        }
        self.has_room(id.issuer, now)?;
        let forgotten = self.forget(now);
        self.keep(id, expires);
        Ok(SeenChange { kept: id, expires, forgotten, forgotten_until: self.forgotten_until })
    }

    /// Returns how many ids are kept.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Tells whether none is.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    fn keep(&mut self, id: ObjectId, expires: Timestamp) {
        if let Some(before) = self.kept.insert(id, expires) {
            self.by_expiry.remove(&(before, id));
        } else {
            *self.each.entry(id.issuer).or_default() += 1;
        }
        self.by_expiry.insert((expires, id));
    }

    /// Counts what will be left once the old ones are forgotten; forgets nothing, because a refusal makes nothing
    /// durable.
    fn has_room(&self, issuer: NodeId, now: Timestamp) -> Result<(), ReplayRefused> {
        let each = self.each.get(&issuer).copied().unwrap_or_default();
        if each < SEEN_EACH_MAX && self.len() < SEEN_MAX {
            return Ok(());
        }
        let (mut all_left, mut each_left) = (self.len(), each);
        for id in self.forgettable(now) {
            all_left -= 1;
            each_left -= usize::from(id.issuer == issuer);
        }
        match (each_left >= SEEN_EACH_MAX, all_left >= SEEN_MAX) {
            (true, _) => Err(ReplayRefused::Full { kept: each_left }),
            (false, true) => Err(ReplayRefused::Full { kept: all_left }),
            (false, false) => Ok(()),
        }
    }

    fn forgettable(&self, now: Timestamp) -> impl Iterator<Item = ObjectId> {
        let is_over = move |expires: Timestamp| expires.after(KEPT_AFTER_EXPIRY) < now;
        self.by_expiry.iter().take_while(move |(expires, _)| is_over(*expires)).map(|(_, id)| *id)
    }

    fn forget(&mut self, now: Timestamp) -> Vec<ObjectId> {
        let forgotten: Vec<ObjectId> = self.forgettable(now).collect();
        for id in &forgotten {
            if let Some(expires) = self.kept.remove(id) {
                self.by_expiry.remove(&(expires, *id));
                self.forgotten_until = self.forgotten_until.max(expires);
            }
            if let Some(count) = self.each.get_mut(&id.issuer) {
                *count -= 1;
            }
        }
        self.each.retain(|_, count| *count > 0);
        forgotten
    }
}

#[cfg(test)]
mod tests;
