//! The audit: what Karo itself did, in a log that cannot be rewritten unseen, as it is told and proven.
//!
//! The log is a Merkle tree of RFC 9162's shape over BLAKE3 (`karo_trust::audit`). An entry can hold nothing of
//! level 0: there is no type here for a command, a path or a host.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::node::{Hash, NodeId, Nonce};
use crate::peer::Signed;
use crate::{Bytes, Timestamp, Trust, named_enum};

/// Hashes in one proof: a tree of 2⁶⁴ leaves has no longer path.
pub const PROOF_HASHES_MAX: usize = 128;

/// Bytes of one entry, in MessagePack.
pub const ENTRY_BYTES_MAX: usize = 1024;

/// Entries in one page of an answer.
pub const AUDIT_PAGE_MAX: usize = 256;

named_enum! {
    /// What was done. New ones are added at the end: the number is on disk.
    Deed, "audit kind" {
        /// A log begins; names the one before it, if there was one.
        LogOpened = "log-opened",
        /// The identity was made.
        IdentityCreated = "identity-created",
        /// The key was rotated.
        KeyRotated = "key-rotated",
        /// An encrypted backup of the key was made.
        BackupMade = "backup-made",
        /// The identity was restored from a backup.
        IdentityRestored = "identity-restored",
        /// A peer was added to the roster.
        PeerAdded = "peer-added",
        /// A peer's trust was changed.
        TrustChanged = "trust-changed",
        /// A peer's key is refused from then on.
        Revoked = "revoked",
        /// A peer's new key was taken over.
        PeerRotated = "peer-rotated",
        /// A link came up.
        Connected = "connected",
        /// A link went down.
        Disconnected = "disconnected",
        /// Somebody was refused; under a flood one entry stands for many.
        Refused = "refused",
        /// Events were deleted.
        Deleted = "deleted",
        /// The configuration was read anew.
        Reloaded = "reloaded",
        /// A client of another user was refused.
        ForeignUser = "foreign-user",
        /// Damage was found in the store.
        Damage = "damage",
        /// A peer's audit log was found cut or rewritten, or two daemons live with its key.
        Equivocation = "equivocation",
        /// The policy was changed.
        PolicyChanged = "policy-changed",
        /// A peer's question was answered: atoms, summaries or health.
        QueryAnswered = "query-answered",
        /// A group was asked.
        QueryAsked = "query-asked",
        /// Summaries were sent to a peer.
        SummarySent = "summary-sent",
        /// Summaries of a peer were received.
        SummaryReceived = "summary-received",
        /// A peer was forgotten: nothing is known of its key any more.
        PeerRemoved = "peer-removed",
        /// A group's file was accepted; `other` is its hash.
        GroupAccepted = "group-accepted",
        /// A group was left; `other` is the hash of its file.
        GroupLeft = "group-left",
        /// Our numbers of a day were given to a group, in sealed shares; `other` is the hash of its file.
        DayGiven = "day-given",
        /// A day was asked for by a group, and nothing was given.
        DayRefused = "day-refused",
        /// A day of a group was closed with our help; `count` owners are in it.
        AtomClosed = "atom-closed",
        /// A day of a group that we helped to close ended without an atom.
        AtomEnded = "atom-ended",
    }
}

/// One entry, as it is hashed and stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// What was done.
    pub deed: Deed,
    /// With whom.
    pub peer: Option<NodeId>,
    /// How many times, or how many things.
    pub count: u64,
    /// The trust that a peer has since.
    pub trust: Option<Trust>,
    /// The day that is meant, in days since the epoch, UTC: a deletion says no more than that.
    pub day: Option<i32>,
    /// A reason in words of Karo's own; never a text that somebody else chose.
    pub reason: Reason,
    /// Another log or key that is meant.
    pub other: Option<Hash>,
}

named_enum! {
    /// Why, in words of Karo's own: an entry can hold no other text. New ones are added at the end.
    Reason, "reason" {
        /// None is needed.
        None = "",
        /// By a command of the user.
        Command = "by command",
        /// By the configuration.
        Configuration = "by the configuration",
        /// By pairing.
        Pairing = "by pairing",
        /// The other side closed the link.
        Closed = "closed by the peer",
        /// Nothing was heard of the other side for too long.
        Silent = "nothing heard",
        /// This daemon stops.
        Stopping = "stopping",
        /// A better link to the same peer took over.
        Superseded = "superseded",
        /// The key is not in the roster.
        UnknownKey = "unknown key",
        /// The key is, and nothing is allowed to it.
        Untrusted = "untrusted",
        /// Its trust has run out.
        Expired = "expired",
        /// Its address is outside of what is allowed to it.
        Address = "address not allowed",
        /// The handshake was no handshake of ours.
        Handshake = "bad handshake",
        /// A frame broke the protocol.
        Protocol = "broke the protocol",
        /// No version is spoken by both.
        Version = "no common version",
        /// The clocks are too far apart.
        Clock = "clock",
        /// Too many at once.
        Flood = "too many",
        /// Two living daemons with one key.
        Twins = "two daemons with one key",
        /// A log that is shorter or other than one that was seen.
        Rewritten = "rewritten log",
        /// A rotation that nobody announced.
        Unannounced = "unannounced key",
        /// The log was begun anew because an identity was restored.
        Restored = "restored",
        /// By retention.
        Retention = "by retention",
        /// By the own policy.
        Policy = "by the policy",
        /// The day was given before, to another group or with other numbers.
        Given = "given before",
        /// Fewer owners than the smallest cohort.
        TooFew = "too few owners",
        /// An aggregator was away.
        Away = "an aggregator was away",
        /// Something did not verify.
        Invalid = "did not verify",
    }
}

/// The signed state of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Which log.
    pub log: Nonce,
    /// Entries in it.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
}

/// Proof that a log is the beginning of another (RFC 9162, section 2.1.4).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConsistencyProof {
    /// At most [`PROOF_HASHES_MAX`].
    pub hashes: Vec<Hash>,
}

/// Proof that an entry is in a log (RFC 9162, section 2.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct InclusionProof {
    /// At most [`PROOF_HASHES_MAX`].
    pub hashes: Vec<Hash>,
}

/// An entry in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// Which log.
    pub log: Nonce,
    /// Its place in that log, from 0.
    pub index: u64,
    /// `None` for one that is past its retention: only its hash is kept.
    pub entry: Option<AuditEntry>,
    /// The name of the peer that is meant, as the roster has it today.
    pub peer_name: Option<String>,
}

/// Which entries are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AuditFilter {
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// Of these kinds; of any when empty.
    pub deeds: Vec<Deed>,
    /// With this peer: a name, a fingerprint, a node id, or the beginning of one.
    pub peer: Option<String>,
    /// The newest so many.
    pub limit: Option<u64>,
}

/// What a check of the own log found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AuditVerified {
    /// Each log, the newest last.
    pub logs: Vec<LogVerified>,
}

/// What a check found of one log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogVerified {
    /// Which log.
    pub log: Nonce,
    /// Entries in it.
    pub size: u64,
    /// Entries that are past their retention: their hashes were checked.
    pub expired: u64,
    /// Places of entries that are not as they were written, at most the first hundred.
    pub bad: Vec<u64>,
    /// How many such places there are.
    pub bad_count: u64,
    /// What else is wrong, each a sentence.
    pub faults: Vec<String>,
    /// The size that a peer has seen, and whose head it was: what lies above it nobody could witness.
    pub witnessed: Option<(u64, NodeId)>,
    /// The newest signed head.
    pub head: Option<Signed>,
}

/// Proof for others, in a file: `karod verify-proof` reads it without a daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditExport {
    /// Whose log.
    pub node: NodeId,
    /// The head that all of it is proven by.
    pub head: Signed,
    /// Entries by their place: the leaf's random bytes, the entry as it was hashed, the proof.
    pub entries: BTreeMap<u64, (Nonce, Bytes, InclusionProof)>,
}
