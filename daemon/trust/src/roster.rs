//! The roster: which keys are trusted, with what, and who is refused by which rule.
//!
//! It is made of two things. The **configuration** lists peers and stands above what was commanded about the same
//! key. A **[`RosterChange`]** is what a command, a pairing or a rotation made of one key: the daemon keeps the last
//! one of each key, and hands them back at the next start. A change is made first ([`Roster::add`] and its
//! neighbours), then written to disk, and only then [applied](Roster::apply).
//!
//! Deny beats allow: a key that was revoked is refused though the configuration lists it, until a command adds it
//! again; a level of `untrusted` on either side refuses; of several rules about an address the least counts.

mod addresses;
mod change;
mod names;
mod refusal;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use karo_protocol::address::Address;
use karo_protocol::config::{PeerSettings, SubnetRule};
use karo_protocol::mesh::PEERS_MAX;
use karo_protocol::{Fingerprint, NodeId, Timestamp, Trust};
use serde::{Deserialize, Serialize};

pub use change::{RosterChange, Standing};
pub use refusal::{FindError, Refusal, RosterError};

use crate::{fingerprint, is_weak};

/// Keys that something is remembered of, living, revoked or rotated away: above it no key is added.
pub const STANDINGS_MAX: usize = 16 * 1024;

/// How a peer came into the roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// It stands in the configuration file, and is changed there.
    Configuration,
    /// By `karoctl peers add`.
    Command,
    /// By pairing.
    Pairing,
    /// As a member of a group whose file was accepted.
    Group,
}

/// A node in the roster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its key.
    pub node_id: NodeId,
    /// What it is called here: no other peer is.
    pub name: String,
    /// Where it can be reached; when empty it must dial.
    #[serde(with = "addresses")]
    pub addresses: Vec<Address>,
    /// What it is trusted with, before any rule about its address.
    pub trust: Trust,
    /// Whose machine it is.
    pub owner: Option<String>,
    /// When the trust runs out.
    pub expires_at: Option<Timestamp>,
    /// How it came here.
    pub origin: Origin,
}

impl Peer {
    fn configured(listed: &PeerSettings) -> Self {
        Self {
            node_id: listed.node_id,
            name: listed.name.clone().unwrap_or_else(|| fingerprint(&listed.node_id).to_string()),
            addresses: listed.addresses.clone(),
            trust: listed.trust,
            owner: listed.owner.clone(),
            expires_at: listed.expires_at,
            origin: Origin::Configuration,
        }
    }

    /// Returns the short form of its key.
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(&self.node_id)
    }

    /// Tells whether it stands in the configuration file.
    pub fn is_configured(&self) -> bool {
        self.origin == Origin::Configuration
    }
}

/// Which keys are trusted.
#[derive(Debug, Clone)]
pub struct Roster {
    own: NodeId,
    configured: BTreeMap<NodeId, Peer>,
    subnets: Vec<SubnetRule>,
    standings: BTreeMap<NodeId, Standing>,
    /// What the two make together: made anew whenever one of them changes.
    peers: BTreeMap<NodeId, Peer>,
}

impl Roster {
    /// Makes an empty one: nobody is admitted.
    pub fn new(own: NodeId) -> Self {
        Self {
            own,
            configured: BTreeMap::new(),
            subnets: Vec::new(),
            standings: BTreeMap::new(),
            peers: BTreeMap::new(),
        }
    }

    /// Takes over what the configuration lists, in the place of what it listed before.
    ///
    /// A peer that was added by command and has a name that the configuration gives to another key is called by
    /// its fingerprint from then on.
    ///
    /// # Errors
    ///
    /// [`RosterError`] names the first entry that cannot be taken; then nothing has changed.
    pub fn configure(&mut self, peers: &[PeerSettings], subnets: &[SubnetRule]) -> Result<(), RosterError> {
        let mut names = BTreeSet::new();
        let mut configured = BTreeMap::new();
        for listed in peers {
            let peer = Peer::configured(listed);
            self.check(&peer)?;
            if !names.insert(peer.name.clone()) {
                return Err(RosterError::NameTaken(peer.name));
            }
            if configured.insert(listed.node_id, peer).is_some() {
                return Err(RosterError::Twice(listed.node_id));
            }
        }
        let added = self.standings.iter().filter(|(node, standing)| {
            matches!(standing, Standing::Trusted(_)) && !configured.contains_key(node)
        });
        if configured.len() + added.count() > PEERS_MAX {
            return Err(RosterError::Full);
        }
        (self.configured, self.subnets) = (configured, subnets.to_vec());
        self.join();
        Ok(())
    }

    /// Returns this machine's own key.
    pub const fn own(&self) -> NodeId {
        self.own
    }

    /// Takes over another key of this machine, after a rotation.
    pub fn set_own(&mut self, own: NodeId) {
        self.own = own;
    }

    /// Returns the peers, in the order of their names.
    pub fn peers(&self) -> Vec<&Peer> {
        let mut peers: Vec<&Peer> = self.peers.values().collect();
        peers.sort_by(|one, other| one.name.cmp(&other.name));
        peers
    }

    /// Tells whether there is nobody to talk to: then nothing listens.
    pub fn is_empty(&self) -> bool {
        self.peers.values().all(|peer| !peer.trust.is_linked())
    }

    /// Returns the peer that has this key.
    pub fn peer(&self, node: &NodeId) -> Option<&Peer> {
        self.peers.get(node)
    }

    /// Returns the keys that were revoked, with what they were called, in the order of the keys.
    pub fn revoked(&self) -> impl Iterator<Item = (&NodeId, &str)> {
        self.standings.iter().filter_map(|(node, standing)| match standing {
            Standing::Revoked { name } => Some((node, name.as_str())),
            Standing::Trusted(_) | Standing::Removed | Standing::Rotated { .. } => None,
        })
    }

    /// Tells whether a key was revoked, and not added again since.
    pub fn is_revoked(&self, node: &NodeId) -> bool {
        matches!(self.standings.get(node), Some(Standing::Revoked { .. }))
    }

    /// Returns the key under which the peer is in the roster that shows this one: another one for the rest of its
    /// grace, after its rotation was accepted.
    pub fn known_as(&self, node: NodeId, now: Timestamp) -> NodeId {
        match self.standings.get(&node) {
            Some(Standing::Rotated { to, until }) if now < *until => *to,
            Some(
                Standing::Rotated { .. }
                | Standing::Trusted(_)
                | Standing::Removed
                | Standing::Revoked { .. },
            )
            | None => node,
        }
    }

    /// Decides what a node may do that has proven its key: at each handshake, after it, and at each frame.
    ///
    /// `address` is that of the living connection; without one no rule about addresses is asked.
    ///
    /// # Errors
    ///
    /// [`Refusal`] says which rule refuses it, and how that is changed.
    pub fn admit(&self, node: NodeId, address: Option<IpAddr>, now: Timestamp) -> Result<Trust, Refusal> {
        if node == self.own {
            return Err(Refusal::Own);
        }
        if is_weak(&node) {
            return Err(Refusal::WeakKey);
        }
        let node = match self.standings.get(&node) {
            Some(Standing::Revoked { .. }) => return Err(Refusal::Revoked { node }),
            Some(Standing::Rotated { to, until }) if now >= *until => {
                return Err(Refusal::Rotated { node, to: *to });
            }
            Some(Standing::Rotated { to, .. }) => *to,
            Some(Standing::Trusted(_) | Standing::Removed) | None => node,
        };
        if let Some(Standing::Revoked { .. }) = self.standings.get(&node) {
            return Err(Refusal::Revoked { node });
        }
        let peer = self.peers.get(&node).ok_or(Refusal::Unknown { node })?;
        if !peer.trust.is_linked() {
            return Err(Refusal::Untrusted { name: peer.name.clone(), is_configured: peer.is_configured() });
        }
        if let Some(at) = peer.expires_at.filter(|at| *at <= now) {
            return Err(Refusal::Expired {
                name: peer.name.clone(),
                at,
                is_configured: peer.is_configured(),
            });
        }
        let Some(address) = address else {
            return Ok(peer.trust);
        };
        self.bounded(peer, address)
    }

    /// Applies the rules about addresses to a peer's trust: each one that covers the address takes from it.
    fn bounded(&self, peer: &Peer, address: IpAddr) -> Result<Trust, Refusal> {
        let mut trust = peer.trust;
        for rule in self.subnets.iter().filter(|rule| rule.net.contains(address)) {
            trust = trust.bounded(rule.trust);
            if !trust.is_linked() {
                return Err(Refusal::Address { name: peer.name.clone(), address, net: rule.net });
            }
        }
        Ok(trust)
    }

    /// Finds a peer by its name, its node id, its fingerprint, or the beginning of one of these that no other has.
    ///
    /// A whole name, node id or fingerprint beats the beginning of another.
    ///
    /// # Errors
    ///
    /// [`FindError`] names what fits when several do.
    pub fn find(&self, text: &str) -> Result<&Peer, FindError> {
        let wanted = names::Wanted::new(text).ok_or_else(|| FindError::Unknown(text.to_owned()))?;
        if let Some(exact) = self.peers.values().find(|peer| wanted.is(peer)) {
            return Ok(exact);
        }
        let fitting: Vec<&Peer> = self.peers().into_iter().filter(|peer| wanted.begins(peer)).collect();
        match fitting[..] {
            [] => Err(FindError::Unknown(text.to_owned())),
            [one] => Ok(one),
            [..] => Err(FindError::Ambiguous {
                text: text.to_owned(),
                names: fitting.iter().map(|peer| peer.name.clone()).collect(),
            }),
        }
    }

    /// Joins the configuration and the standings to the peers that there are.
    fn join(&mut self) {
        let mut peers: BTreeMap<NodeId, Peer> = self
            .configured
            .iter()
            .filter_map(|(node, listed)| Some((*node, self.standing_listed(listed)?)))
            .collect();
        let names: BTreeSet<String> = peers.values().map(|peer| peer.name.clone()).collect();
        for (node, standing) in &self.standings {
            let Standing::Trusted(added) = standing else { continue };
            let mut peer = (**added).clone();
            if names.contains(&peer.name) {
                peer.name = fingerprint(node).to_string();
            }
            peers.entry(*node).or_insert(peer);
        }
        self.peers = peers;
    }

    /// Returns what the standing of a key leaves of its place in the configuration.
    fn standing_listed(&self, listed: &Peer) -> Option<Peer> {
        match self.standings.get(&listed.node_id) {
            Some(Standing::Revoked { .. } | Standing::Rotated { .. }) => None,
            Some(Standing::Trusted(added)) if !added.trust.is_linked() => {
                Some(Peer { trust: Trust::Untrusted, ..listed.clone() })
            }
            Some(Standing::Trusted(_) | Standing::Removed) | None => Some(listed.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
