//! Which shelf of the store holds what of the mesh: each small value is kept under a shelf and a key.
//!
//! | shelf | key | value |
//! | --- | --- | --- |
//! | [`OWN`] | [`OWN_KEY`] | the key that this machine is known by: 32 bytes |
//! | [`OWN`] | [`OWN_LOG`] | the audit log that is written: 16 bytes |
//! | [`ROSTER`] | a peer's key | its last [`RosterChange`](karo_trust::roster::RosterChange), MessagePack |
//! | [`PEERS`] | a peer's key | what its rotations are judged by, MessagePack |
//! | [`WITNESS`] | a peer's key | the last head of its audit that was seen, and as it was signed, MessagePack |
//! | [`WITNESSED`] | a peer's key | the last head of our audit that it has seen, as we signed it, MessagePack |
//! | [`SEEN`] | the id of a signed object | until when it is remembered, MessagePack |
//! | [`HEADS`] | an audit log and a size | the signed head of that size, MessagePack |
//! | [`GROUPS`] | the lineage of a group, a version, a piece | its file as it was accepted, and when, MessagePack |
//! | [`LEDGER`] | a day, big-endian | to which group our numbers of it were given, and the hash of them, MessagePack |
//! | [`ATOMS`] | a group and a day | the closed atom with both signatures, or why there is none, MessagePack |
//! | [`AGGREGATES`] | a group and a day | key and set of an atom that we help to close, MessagePack |
//! | [`SENT`] | a peer's key, a period and its beginning | our summary as it was made for that peer, MessagePack |
//! | [`RECEIVED`] | a peer's key, a period and its beginning | a summary of that peer, as it signed it, MessagePack |
//! | [`POLICY`] | `set` | what was set of the policy by command, MessagePack |
//!
//! Shelf 0 is the store's own.

/// This machine.
pub const OWN: u8 = 1;

/// On [`OWN`]: the key that this machine is known by.
pub const OWN_KEY: &[u8] = b"key";

/// On [`OWN`]: the audit log that is written.
pub const OWN_LOG: &[u8] = b"log";

/// Who is trusted.
pub const ROSTER: u8 = 2;

/// What is known of peers' keys.
pub const PEERS: u8 = 3;

/// What is known of peers' audits.
pub const WITNESS: u8 = 4;

/// Objects that were taken.
pub const SEEN: u8 = 5;

/// Own signed heads.
pub const HEADS: u8 = 6;

/// What peers know of our audit.
pub const WITNESSED: u8 = 7;

/// Groups that were accepted.
pub const GROUPS: u8 = 8;

/// Days that were given, each once, ever.
pub const LEDGER: u8 = 9;

/// Closed atoms.
pub const ATOMS: u8 = 10;

/// Atoms that we help to close.
pub const AGGREGATES: u8 = 11;

/// Own summaries, as they were made for peers.
pub const SENT: u8 = 12;

/// Summaries of peers.
pub const RECEIVED: u8 = 13;

/// The policy, as far as it was set by command.
pub const POLICY: u8 = 14;
