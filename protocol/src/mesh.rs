//! What a user asks the daemon about its identity, its peers and its audit, and what it answers.
//!
//! Wherever a peer is named, its name, its fingerprint or its node id will do, or the beginning of one that no
//! other peer has.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::node::{Fingerprint, NodeId, Trust};
use crate::{Bytes, Timestamp, named_enum};

/// Peers in the roster: each has an actor, and what it costs was measured for two hundred.
pub const PEERS_MAX: usize = 1024;

/// Addresses of one peer.
pub const ADDRESSES_MAX: usize = 8;

/// Bytes of a peer's name, owner or note.
pub const PEER_NAME_BYTES_MAX: usize = 64;

/// What may be a peer's name: [`is_name`].
pub const NAME_ACCEPTED: &str =
    "1 to 64 bytes of letters, digits and - _ . @ +, beginning with a letter or digit";

/// What may be a peer's owner: [`is_owner`].
pub const OWNER_ACCEPTED: &str = "1 to 64 bytes of letters, digits, spaces and - _ . @ + ', beginning with a letter or digit, no space at the end";

/// Tells whether a text may be a peer's name: one word.
///
/// Nothing in it can drive a terminal, turn the direction of text or be invisible, and none can be taken for an option
/// or for a node id.
pub fn is_name(text: &str) -> bool {
    is_made_of(text, "-_.@+")
}

/// Tells whether a text may be a peer's owner: as a name, and of several words.
pub fn is_owner(text: &str) -> bool {
    !text.ends_with(' ') && is_made_of(text, "-_.@+ '")
}

fn is_made_of(text: &str, marks: &str) -> bool {
    // Fillers of Hangul are letters to Unicode, and nothing to the eye.
    let is_seen =
        |c: char| c.is_alphanumeric() && !matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}');
    text.len() <= PEER_NAME_BYTES_MAX
        && text.starts_with(is_seen)
        && text.chars().all(|c| is_seen(c) || marks.contains(c))
}

/// Bytes of an address: the longest host name and a port.
pub const ADDRESS_BYTES_MAX: usize = 260;

/// Moments of a link that are remembered for `peers show`.
pub const HISTORY_MAX: usize = 64;

/// A passphrase on its way to the daemon; its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Passphrase(pub String);

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// Who this machine is to others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityShown {
    /// Its key.
    pub node_id: NodeId,
    /// The short form of it.
    pub fingerprint: Fingerprint,
    /// When it was made.
    pub created_at: Timestamp,
    /// Where the key lies.
    pub path: String,
    /// When it took over from another key, if it did.
    pub rotated_at: Option<Timestamp>,
    /// Where peers can reach it; empty when nothing listens.
    pub listening: Vec<String>,
    /// Why nothing listens, if so.
    pub silent_because: Option<String>,
}

/// Puts a backed-up identity in the place of this machine's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityRestore {
    /// The file, as [`IdentityBackup`] was answered.
    pub backup: Bytes,
    /// What it was encrypted with.
    pub passphrase: Passphrase,
    /// Whether an identity that peers know already may be replaced.
    pub replace: bool,
}

/// Asks for the identity, encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityBackup {
    /// What it is encrypted with.
    pub passphrase: Passphrase,
}

/// Asks for the table of peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PeersAsk {
    /// The [`PeersTable::change`] that the client has: the answer waits for another, some seconds at most.
    pub unless: Option<u64>,
}

/// The table of peers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PeersTable {
    /// Counts the changes of the table since the daemon started.
    pub change: u64,
    /// In the order of their names.
    pub rows: Vec<PeerRow>,
}

named_enum! {
    /// How far the link to a peer is.
    LinkState, "state" {
        /// Down; the next try comes by itself.
        Disconnected = "disconnected",
        /// An address is dialled.
        Connecting = "connecting",
        /// The handshake is under way.
        Authenticating = "authenticating",
        /// Up.
        Connected = "connected",
        /// Being closed.
        Disconnecting = "disconnecting",
        /// The last try failed; the next one comes by itself.
        Failed = "failed",
        /// One side refuses the other; tried again, slowly.
        Rejected = "rejected",
        /// The last try or the link timed out; the next try comes by itself.
        TimedOut = "timed-out",
        /// Nothing is tried before a person has decided: `karoctl peers confirm`.
        Held = "held",
    }
}

/// One peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRow {
    /// What it is called here.
    pub name: String,
    /// Its key.
    pub node_id: NodeId,
    /// The short form of it.
    pub fingerprint: Fingerprint,
    /// How far the link is.
    pub state: LinkState,
    /// Since when.
    pub since: Timestamp,
    /// Why, where there is something to say.
    pub reason: Option<String>,
    /// The address of the living link, else the first of the configured ones.
    pub address: Option<String>,
    /// What it is trusted with at the moment.
    pub trust: Trust,
    /// Whose machine it is.
    pub owner: Option<String>,
    /// Round trip of the last ping, in µs.
    pub rtt_us: Option<u64>,
    /// Its clock less ours, in µs, to half a round trip.
    pub skew_us: Option<i64>,
    /// Program and version that it says it runs.
    pub version: Option<String>,
    /// When its trust runs out.
    pub expires_at: Option<Timestamp>,
    /// Whether it stands in the configuration file: then it is changed there.
    pub is_configured: bool,
}

/// Trusts a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerAdd {
    /// Its key.
    pub node_id: NodeId,
    /// Where it can be reached, each `HOST:PORT`; may be empty: then it must dial.
    pub addresses: Vec<String>,
    /// What it is trusted with.
    pub trust: Trust,
    /// What it is called here; by its fingerprint if not said.
    pub name: Option<String>,
    /// Whose machine it is.
    pub owner: Option<String>,
    /// When the trust runs out.
    pub expires_at: Option<Timestamp>,
}

/// Changes what is known of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerChange {
    /// Which one.
    pub peer: String,
    /// What is changed.
    pub change: Change,
}

/// What is changed of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// It is trusted with that.
    Trust(Trust),
    /// It is called that.
    Rename(String),
    /// It is forgotten.
    Remove,
    /// It is refused from now on, and what was received from it is dropped.
    Revoke,
    /// A rotation or a new audit log of it that was held is accepted.
    Confirm,
}

/// A peer, and all that is known of its link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerShown {
    /// As in the table.
    pub row: PeerRow,
    /// Every address that is tried.
    pub addresses: Vec<String>,
    /// What happened to the link, the newest last; at most [`HISTORY_MAX`].
    pub history: Vec<LinkMoment>,
    /// When the next try comes, if one does.
    pub next_try_at: Option<Timestamp>,
    /// What a person can do about it, each a sentence.
    pub advice: Vec<String>,
    /// Entries of its audit log that we can witness.
    pub witnessed: Option<u64>,
    /// What it says it can do.
    pub capabilities: Vec<String>,
}

/// Something that happened to a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkMoment {
    /// When.
    pub at: Timestamp,
    /// The state it has since.
    pub state: LinkState,
    /// Why.
    pub reason: Option<String>,
    /// With which address.
    pub address: Option<String>,
}

/// A ping that was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinged {
    /// Its name.
    pub name: String,
    /// Round trip, in µs.
    pub rtt_us: u64,
    /// Its clock less ours, in µs, to half a round trip.
    pub skew_us: i64,
    /// The way it took, as `tcp 10.0.0.2:9238`.
    pub path: String,
}

/// A step of a connection that was tried for the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestStep {
    /// What was done, as `resolve`, `connect 10.0.0.2:9238`, `TLS handshake`, `hello`, `ping`.
    pub step: String,
    /// How long it took, in µs.
    pub took_us: u64,
    /// What went wrong, in a sentence; `None` when it worked.
    pub error: Option<String>,
    /// What can be done about it.
    pub advice: Option<String>,
}

/// A node that discovery saw: nothing is trusted for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The short form of its key, as it says itself.
    pub fingerprint: Option<Fingerprint>,
    /// What it calls itself there.
    pub name: String,
    /// Where it says it is.
    pub addresses: Vec<String>,
    /// Its version, as it says.
    pub version: Option<String>,
    /// How it was seen: `mdns` or `dns-sd`.
    pub source: String,
    /// When it was seen last.
    pub seen_at: Timestamp,
    /// The name of the peer that has this fingerprint, if one has.
    pub peer: Option<String>,
}

/// Starts a pairing. Answered by [`Pairing`]s; the session then waits for a [`PairAnswer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// Which side this is.
    pub side: PairSide,
    /// What the other one will be trusted with.
    pub trust: Trust,
    /// What it is called here.
    pub name: Option<String>,
    /// Whose machine it is.
    pub owner: Option<String>,
}

/// Which side of a pairing this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PairSide {
    /// It waits at an address, `HOST:PORT`; on every one of the machine's by default.
    Listen {
        /// Where.
        address: Option<String>,
    },
    /// It dials one that waits.
    Dial {
        /// What the other side shows.
        code: String,
        /// Where it waits, `HOST:PORT`.
        address: String,
    },
}

/// How far a pairing is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pairing {
    /// Waiting for the other side.
    Waiting {
        /// What the other side types.
        code: String,
        /// Where it can reach us, each `HOST:PORT`.
        addresses: Vec<String>,
        /// For how long, in seconds.
        seconds: u32,
    },
    /// The other side is there: do both people see the same words?
    Words {
        /// The words.
        words: Vec<String>,
        /// The other side's key.
        node_id: NodeId,
        /// The short form of it.
        fingerprint: Fingerprint,
    },
    /// We said yes; the other side has not yet.
    Waited,
    /// Both said yes.
    Paired(Box<PeerRow>),
    /// It came to nothing, and nothing is trusted.
    Failed {
        /// Why, in a sentence.
        reason: String,
    },
}

/// What the person at this side says to the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairAnswer {
    /// Whether both see the same words.
    pub is_yes: bool,
}

/// How the mesh is: what `karoctl status` shows of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MeshStatus {
    /// The own key.
    pub node_id: Option<NodeId>,
    /// The short form of it.
    pub fingerprint: Option<Fingerprint>,
    /// Where peers can reach us.
    pub listening: Vec<String>,
    /// Peers in the roster.
    pub peers: u32,
    /// Of these, how many are connected.
    pub connected: u32,
    /// Entries of the audit.
    pub audit_size: u64,
    /// How many of these a peer has witnessed; `None` without a witness.
    pub audit_witnessed: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_an_eye_can_tell() {
        let most = "a".repeat(PEER_NAME_BYTES_MAX);
        for name in ["laptop", "ada@example.org", "Zoë", "日本", "7", &most] {
            assert!(is_name(name) && is_owner(name), "{name}");
        }
        assert!(is_owner("Ada's people") && !is_name("Ada's") && !is_name("a b"));
        let too_long = "a".repeat(PEER_NAME_BYTES_MAX + 1);
        for name in [
            "",
            " a",
            "a ",
            "-a",
            "a\nb",
            "a\u{1b}[31m",
            "a\u{202e}b",
            "a\u{200b}",
            "\u{3164}",
            "karo:ed25519:x",
            "a/b",
            "*",
            &too_long,
        ] {
            assert!(!is_name(name) && !is_owner(name), "{name:?}");
        }
    }
}
