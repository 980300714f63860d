//! What a command, a pairing or a rotation makes of one key: first decided, then written to disk, then applied.

use karo_protocol::address::Address;
use karo_protocol::mesh::{ADDRESSES_MAX, PEERS_MAX, PeerAdd, is_name, is_owner};
use karo_protocol::peer::PORT;
use karo_protocol::{NodeId, Timestamp, Trust};
use serde::{Deserialize, Serialize};

use super::names::is_short_form;
use super::{Origin, Peer, Roster, RosterError, STANDINGS_MAX};
use crate::{fingerprint, is_weak};

/// How one key stands: one record on disk for each key, the last one counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterChange {
    /// Which key.
    pub node_id: NodeId,
    /// Since when.
    pub at: Timestamp,
    /// How.
    pub standing: Standing,
}

/// How a key stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It is in the roster.
    Trusted(Box<Peer>),
    /// Nothing is known of it any more; its record may go.
    Removed,
    /// It is refused, whatever the configuration says, until a command adds it again.
    Revoked {
        /// What it was called.
        name: String,
    },
    /// Another key has taken over; this one stands for it until its grace is over, and is refused then.
    Rotated {
        /// The key that took over.
        to: NodeId,
        /// The end of the grace.
        until: Timestamp,
    },
}

impl Roster {
    /// Takes over a change that is on disk: one that was just made, or one of an earlier run.
    pub fn apply(&mut self, change: RosterChange) {
        match change.standing {
            Standing::Removed => self.standings.remove(&change.node_id),
            standing @ (Standing::Trusted(_) | Standing::Revoked { .. } | Standing::Rotated { .. }) => {
                self.standings.insert(change.node_id, standing)
            }
        };
        self.join();
    }

    /// Takes over all changes of an earlier run, in the order in which they were written.
    pub fn restore(&mut self, changes: impl IntoIterator<Item = RosterChange>) {
        self.standings = changes
            .into_iter()
            .filter(|change| change.standing != Standing::Removed)
            .map(|change| (change.node_id, change.standing))
            .collect();
        self.join();
    }

    /// Trusts a key, by command or by pairing; also one that was revoked.
    ///
    /// # Errors
    ///
    /// [`RosterError`] when the key is there already, or something about it cannot be taken.
    pub fn add(&self, add: PeerAdd, origin: Origin, at: Timestamp) -> Result<RosterChange, RosterError> {
        let node_id = add.node_id;
        if let Some(known) = self.peers.get(&node_id) {
            return Err(RosterError::Known { name: known.name.clone() });
        }
        if self.peers.len() >= PEERS_MAX || self.standings.len() >= STANDINGS_MAX {
            return Err(RosterError::Full);
        }
        let read = |text: &String| Address::parse(text, PORT).map_err(|_| RosterError::Address(text.clone()));
        let addresses: Result<Vec<Address>, _> = add.addresses.iter().map(read).collect();
        let peer = Peer {
            node_id,
            name: add.name.unwrap_or_else(|| fingerprint(&node_id).to_string()),
            addresses: addresses?,
            trust: add.trust,
            owner: add.owner,
            expires_at: add.expires_at,
            origin,
        };
        self.check(&peer)?;
        self.check_name_is_free(&peer.name, &node_id)?;
        if let Some(past) = peer.expires_at.filter(|expires| *expires <= at) {
            return Err(RosterError::ExpiresInThePast(past));
        }
        Ok(RosterChange { node_id, at, standing: Standing::Trusted(Box::new(peer)) })
    }

    /// Changes what a peer is trusted with.
    ///
    /// # Errors
    ///
    /// [`RosterError`] for a peer that is not there, or that stands in the configuration file.
    pub fn trust(&self, node: &NodeId, trust: Trust, at: Timestamp) -> Result<RosterChange, RosterError> {
        let peer = self.changeable(node, "its trust")?;
        Ok(trusted(Peer { trust, ..peer.clone() }, at))
    }

    /// Calls a peer something else.
    ///
    /// # Errors
    ///
    /// As [`trust`](Self::trust), and for a name that cannot be one, or is another's.
    pub fn rename(&self, node: &NodeId, name: String, at: Timestamp) -> Result<RosterChange, RosterError> {
        let peer = self.changeable(node, "its name")?;
        let renamed = Peer { name, ..peer.clone() };
        self.check(&renamed)?;
        self.check_name_is_free(&renamed.name, node)?;
        Ok(trusted(renamed, at))
    }

    /// Forgets a peer: its key is unknown then.
    ///
    /// # Errors
    ///
    /// As [`trust`](Self::trust).
    pub fn remove(&self, node: &NodeId, at: Timestamp) -> Result<RosterChange, RosterError> {
        self.changeable(node, "that it is listed")?;
        Ok(RosterChange { node_id: *node, at, standing: Standing::Removed })
    }

    /// Refuses a peer from now on, wherever it is listed.
    ///
    /// # Errors
    ///
    /// [`RosterError::Unknown`] for a key that is not in the roster: it is refused anyway.
    pub fn revoke(&self, node: &NodeId, at: Timestamp) -> Result<RosterChange, RosterError> {
        let peer = self.peers.get(node).ok_or(RosterError::Unknown(*node))?;
        let standing = Standing::Revoked { name: peer.name.clone() };
        Ok(RosterChange { node_id: *node, at, standing })
    }

    /// Puts a peer's new key in the place of its old one, as an accepted rotation says: two changes, to be written
    /// together.
    ///
    /// The old key stands for the new one until `until`. A peer of the configuration file becomes one that was
    /// added by command, since the file does not list the new key.
    ///
    /// # Errors
    ///
    /// [`RosterError`] when the old key is not in the roster, or the new one is known already, revoked, or weak.
    pub fn rotated(
        &self,
        old: &NodeId,
        new: NodeId,
        until: Timestamp,
        at: Timestamp,
    ) -> Result<[RosterChange; 2], RosterError> {
        let peer = self.peers.get(old).ok_or(RosterError::Unknown(*old))?;
        if self.peers.contains_key(&new) || self.standings.contains_key(&new) {
            return Err(RosterError::Twice(new));
        }
        if self.standings.len() >= STANDINGS_MAX {
            return Err(RosterError::Full);
        }
        let origin = match peer.origin {
            Origin::Configuration | Origin::Command => Origin::Command,
            Origin::Pairing => Origin::Pairing,
            Origin::Group => Origin::Group,
        };
        let is_unnamed = peer.name == fingerprint(old).to_string();
        let name = if is_unnamed { fingerprint(&new).to_string() } else { peer.name.clone() };
        let renewed = Peer { node_id: new, name, origin, ..peer.clone() };
        self.check(&renewed)?;
        let standing = Standing::Rotated { to: new, until };
        Ok([RosterChange { node_id: *old, at, standing }, trusted(renewed, at)])
    }

    fn changeable(&self, node: &NodeId, what: &'static str) -> Result<&Peer, RosterError> {
        let peer = self.peers.get(node).ok_or(RosterError::Unknown(*node))?;
        if peer.is_configured() {
            return Err(RosterError::Configured { name: peer.name.clone(), what });
        }
        Ok(peer)
    }

    /// Checks what can be checked of a peer alone.
    pub(super) fn check(&self, peer: &Peer) -> Result<(), RosterError> {
        if peer.node_id == self.own {
            return Err(RosterError::Own);
        }
        if is_weak(&peer.node_id) {
            return Err(RosterError::WeakKey(peer.node_id));
        }
        if !is_name(&peer.name) {
            return Err(RosterError::Name(peer.name.clone()));
        }
        if let Some(hostile) = peer.owner.as_ref().filter(|owner| !is_owner(owner)) {
            return Err(RosterError::Owner(hostile.clone()));
        }
        if is_short_form(&peer.name) && peer.name != fingerprint(&peer.node_id).to_string() {
            return Err(RosterError::NameOfAKey(peer.name.clone()));
        }
        if peer.addresses.len() > ADDRESSES_MAX {
            return Err(RosterError::TooManyAddresses(peer.addresses.len()));
        }
        Ok(())
    }

    fn check_name_is_free(&self, name: &str, node: &NodeId) -> Result<(), RosterError> {
        let other = self.peers.values().find(|other| other.name == name && other.node_id != *node);
        other.map_or(Ok(()), |_| Err(RosterError::NameTaken(name.to_owned())))
    }
}

fn trusted(peer: Peer, at: Timestamp) -> RosterChange {
    RosterChange { node_id: peer.node_id, at, standing: Standing::Trusted(Box::new(peer)) }
}
