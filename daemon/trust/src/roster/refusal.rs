//! Why the roster says no: which rule it was, and how that is changed.

use std::net::IpAddr;

use karo_protocol::address::{NotAnAddress, Subnet};
use karo_protocol::audit::Reason;
use karo_protocol::mesh::{ADDRESSES_MAX, NAME_ACCEPTED, OWNER_ACCEPTED, PEERS_MAX};
use karo_protocol::{NodeId, Timestamp};

use crate::fingerprint;

/// Why a node that has proven its key is not admitted. Each is a sentence that ends in what can be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It has this machine's own key: a copy of the identity lives elsewhere.
    #[error("it has the key of this machine; make the copy another identity, or stop it")]
    Own,
    /// Anybody could sign with its key.
    #[error("its key is one that proves nothing; it needs a new identity")]
    WeakKey,
    /// It is not in the roster.
    #[error("its key is not in the roster; to trust it: karoctl peers add {node}@ADDRESS --trust LEVEL")]
    Unknown {
        /// Who.
        node: NodeId,
    },
    /// It was revoked.
    #[error("its key was revoked; to trust it again: karoctl peers add {node}@ADDRESS --trust LEVEL")]
    Revoked {
        /// Who.
        node: NodeId,
    },
    /// Another key took over from it, and the grace is over.
    #[error(
        "its key was replaced by {}, and the day of both is over; it must use the new one",
        fingerprint(to)
    )]
    Rotated {
        /// The old key.
        node: NodeId,
        /// The new one.
        to: NodeId,
    },
    /// It is in the roster, and nothing is allowed to it.
    #[error("{name} is untrusted; to change that: {}", mend(name, *is_configured, "trust"))]
    Untrusted {
        /// What it is called.
        name: String,
        /// Whether the configuration file says so.
        is_configured: bool,
    },
    /// Its trust has run out.
    #[error("the trust in {name} has run out; to renew it: {}", mend_expiry(name, *is_configured))]
    Expired {
        /// What it is called.
        name: String,
        /// When that was.
        at: Timestamp,
        /// Whether the configuration file says so.
        is_configured: bool,
    },
    /// A rule about addresses leaves nothing.
    #[error(
        "{name} comes from {address}, and the rule about {net} allows nothing; change `subnets` of [mesh] in the configuration file"
    )]
    Address {
        /// What it is called.
        name: String,
        /// Where the connection comes from.
        address: IpAddr,
        /// Which rule it was.
        net: Subnet,
    },
}

fn mend(name: &str, is_configured: bool, key: &str) -> String {
    if is_configured {
        format!("change `{key}` of its [[mesh.peers]] in the configuration file")
    } else {
        format!("karoctl peers trust {name} LEVEL")
    }
}

fn mend_expiry(name: &str, is_configured: bool) -> String {
    if is_configured {
        "change `expires` of its [[mesh.peers]] in the configuration file".to_owned()
    } else {
        format!("karoctl peers remove {name}, then karoctl peers add")
    }
}

impl Refusal {
    /// Returns the word that the audit has for it.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Own => Reason::Twins,
            Self::WeakKey | Self::Unknown { .. } | Self::Rotated { .. } => Reason::UnknownKey,
            Self::Revoked { .. } | Self::Untrusted { .. } => Reason::Untrusted,
            Self::Expired { .. } => Reason::Expired,
            Self::Address { .. } => Reason::Address,
        }
    }
}

/// Why no peer was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// None has that name, node id or fingerprint, nor one that begins so.
    #[error("no peer is called {0:?}; see karoctl peers")]
    Unknown(String),
    /// Several have one that begins so.
    #[error("{text:?} is the beginning of several: {}; say more of it", names.join(", "))]
    Ambiguous {
        /// What was typed.
        text: String,
        /// What they are called, in order.
        names: Vec<String>,
    },
}

/// Why the roster cannot be changed so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// That key is this machine.
    #[error("that is the key of this machine")]
    Own,
    /// Anybody could sign with that key.
    #[error("the key {0} is one that proves nothing")]
    WeakKey(NodeId),
    /// It is there already.
    #[error("that node is a peer already, {name}; to change it: karoctl peers trust {name} LEVEL")]
    Known {
        /// What it is called.
        name: String,
    },
    /// It is not in the roster.
    #[error("{0} is not in the roster")]
    Unknown(NodeId),
    /// It stands in the configuration file.
    #[error("{name} stands in the configuration file; change {what} there, then reload")]
    Configured {
        /// What it is called.
        name: String,
        /// What was to be changed.
        what: &'static str,
    },
    /// A key is listed twice.
    #[error("the key {0} is known already")]
    Twice(NodeId),
    /// Another peer is called so.
    #[error("another peer is called {0:?}; choose another name")]
    NameTaken(String),
    /// It would be taken for another key.
    #[error("{0:?} has the form of a fingerprint, and is not that of its key")]
    NameOfAKey(String),
    /// It is no name.
    #[error("{0:?} is no name; accepted is {NAME_ACCEPTED}")]
    Name(String),
    /// It is no owner.
    #[error("{0:?} is no owner; accepted is {OWNER_ACCEPTED}")]
    Owner(String),
    /// It is no address.
    #[error("{0:?} is no address; {NotAnAddress}")]
    Address(String),
    /// Too many addresses.
    #[error("{0} addresses of one peer; at most {ADDRESSES_MAX} are taken")]
    TooManyAddresses(usize),
    /// The trust would have run out already.
    #[error("the trust would have run out already")]
    ExpiresInThePast(Timestamp),
    /// There is no room.
    #[error("the roster is full: {PEERS_MAX} peers at most; remove one: karoctl peers remove NAME")]
    Full,
}
