//! What of this machine goes to whom: the policy, as it is set, shown and explained.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::category::CategorySet;
use crate::node::NodeId;
use crate::{Timestamp, named_enum};

/// Peers with rules of their own.
pub const PEER_POLICIES_MAX: usize = 1024;

named_enum! {
    /// What can be shared.
    Sharing, "kind of sharing" {
        /// Summaries of this machine, to peers with `share-to`, `query-from` or `peer`.
        Summaries = "summaries",
        /// A part in the numbers of groups, by secure sum.
        Groups = "groups",
        /// Version, link, clock and store, to peers with `peer` or `supervisor`.
        Health = "health",
    }
}

/// What goes to whom. A denial beats everything that allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Whether summaries are made and sent.
    pub summaries: bool,
    /// Whether this machine contributes to groups.
    pub groups: bool,
    /// Whether health is told to those who may ask.
    pub health: bool,
    /// Categories whose events are told of; all of them when empty.
    pub allow: CategorySet,
    /// Categories whose events are not told of, whatever is allowed.
    pub deny: CategorySet,
    /// What holds for one peer besides.
    pub peers: BTreeMap<NodeId, PeerPolicy>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            summaries: false,
            groups: false,
            health: true,
            allow: CategorySet::default(),
            deny: CategorySet::default(),
            peers: BTreeMap::new(),
        }
    }
}

/// What holds for one peer besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PeerPolicy {
    /// Whether summaries are kept from it.
    pub no_summaries: bool,
    /// Whether health is.
    pub no_health: bool,
    /// Categories that are not told to it.
    pub deny: CategorySet,
}

/// One change of the policy by command. What was set by command goes before what the configuration says, but for
/// denials, which are added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PolicyChange {
    /// Switches something on or off; `None` leaves it to the configuration again.
    Switch {
        /// What.
        what: Sharing,
        /// On, off, or as the configuration says.
        to: Option<bool>,
    },
    /// Only these categories are told of; `None` leaves it to the configuration again.
    Allow(Option<CategorySet>),
    /// These categories are not told of, besides those that the configuration denies.
    Deny(CategorySet),
    /// What holds for one peer besides; a name, a fingerprint or a node id.
    Peer {
        /// Which.
        peer: String,
        /// What.
        policy: PeerPolicy,
    },
}

/// What was set by command, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PolicySet {
    /// A switch, where one was set.
    pub summaries: Option<bool>,
    /// A switch, where one was set.
    pub groups: Option<bool>,
    /// A switch, where one was set.
    pub health: Option<bool>,
    /// Categories, where they were set.
    pub allow: Option<CategorySet>,
    /// Categories besides those of the configuration.
    pub deny: CategorySet,
    /// Peers besides those of the configuration.
    pub peers: BTreeMap<NodeId, PeerPolicy>,
}

/// The policy and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyShown {
    /// What holds.
    pub policy: Policy,
    /// What of it was set by command.
    pub set: PolicySet,
    /// What the switches mean for a person, one for each of [`Sharing::ALL`] in its order: shown when they are on, and
    /// before.
    pub meaning: Vec<String>,
    /// Names of the peers in it.
    pub names: Vec<(NodeId, String)>,
}

/// Why something goes to a peer, or does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyReason {
    /// What.
    pub what: Sharing,
    /// Whether it goes.
    pub is_allowed: bool,
    /// The rule that decides, in a sentence.
    pub rule: String,
    /// How it is changed, as a command; empty where nothing can be.
    pub change: String,
}

/// What goes to one peer, rule by rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyExplained {
    /// Its name.
    pub peer: String,
    /// What decides about each kind.
    pub reasons: Vec<PolicyReason>,
    /// Categories that are not told to it.
    pub denied: CategorySet,
}

/// What would go to a peer now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyPreview {
    /// Its name.
    pub peer: String,
    /// Why nothing would, if so.
    pub nothing_because: Option<String>,
    /// Each object that would go, the newest last: what it says, and the exact bytes that are signed and sent.
    pub objects: Vec<PreviewedObject>,
}

/// An object that would go to a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewedObject {
    /// When it would go: at once, or when its period is over.
    pub goes_at: Timestamp,
    /// What it says.
    pub summary: crate::summary::Summary,
    /// Its bytes, as they are signed and sent.
    pub bytes: crate::Bytes,
}
