//! What the peers are asked and told.

use std::net::SocketAddr;
use std::sync::Arc;

use actix::{Addr, Message};
use karo_fabric::link::LinkEvent;
use karo_fabric::net::Connection;
use karo_protocol::Bytes;
use karo_protocol::NodeId;
use karo_protocol::audit::{Deed, Reason};
use karo_protocol::config::MeshSettings;
use karo_protocol::local::Failure;
use karo_protocol::mesh::{
    IdentityRestore, IdentityShown, MeshStatus, Passphrase, PeerAdd, PeerChange, PeerRow, PeerShown,
    PeersTable,
};
use karo_protocol::node::Hash;
use karo_protocol::peer::Signed;
use karo_trust::identity::Identity;
use karo_trust::roster::Origin;

use crate::actors::link::LinkActor;

/// The table of peers. Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "PeersTable")]
pub struct Table;

/// How the mesh is. Sent by status.
#[derive(Debug, Message)]
#[rtype(result = "Reported")]
pub struct Report;

/// How the mesh is.
#[derive(Debug, Default)]
pub struct Reported {
    /// In numbers; nothing of the audit.
    pub status: MeshStatus,
    /// What a person has to see to, each a sentence.
    pub notices: Vec<String>,
}

/// Trust a node. Sent by sessions, and by [`pairing`](crate::actors::pairing) when both said yes.
#[derive(Debug, Message)]
#[rtype(result = "Result<Box<PeerRow>, Failure>")]
pub struct Add {
    /// Whom, with what.
    pub add: PeerAdd,
    /// Who says so.
    pub origin: Origin,
    /// BLAKE3 of the key that it will have next, if it was told.
    pub next_key: Option<Hash>,
}

/// Change what is known of a peer. Sent by sessions; answered with the row as it is then, or was.
#[derive(Debug, Message)]
#[rtype(result = "Result<Box<PeerRow>, Failure>")]
pub struct Alter(pub PeerChange);

/// Everything that is known of a peer. Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Result<Box<PeerShown>, Failure>")]
pub struct Show(pub String);

/// Which peer is called so? Sent by sessions that ping or test one, or look for its deeds.
#[derive(Debug, Message)]
#[rtype(result = "Result<Found, Failure>")]
pub struct Find(pub String);

/// A peer that was asked for.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its key.
    pub node: NodeId,
    /// What it is called.
    pub name: String,
    /// Its link.
    pub link: Addr<LinkActor>,
}

/// Who is this machine? Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Result<Box<IdentityShown>, Failure>")]
pub struct Who;

/// This machine's identity, for whoever signs by it. Sent by [`pairing`](crate::actors::pairing).
#[derive(Debug, Message)]
#[rtype(result = "Result<Ours, Failure>")]
pub struct Own;

/// This machine, for whoever signs by it.
#[derive(Debug, Clone)]
pub struct Ours {
    /// Its identity.
    pub identity: Arc<Identity>,
    /// Where it listens for peers, or will when there are any.
    pub listen: Option<SocketAddr>,
}

/// The identity in a file of its own, encrypted. Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Result<Bytes, Failure>")]
pub struct Backup(pub Passphrase);

/// Take over a backed-up identity. Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Result<Box<IdentityShown>, Failure>")]
pub struct Restore(pub IdentityRestore);

/// Take over the next key. Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Result<Box<IdentityShown>, Failure>")]
pub struct Rotate;

/// Other settings are in force. Sent by the root after a reload.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Settle(pub MeshSettings);

/// Something happened to a link. Sent by links.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct News {
    /// Whose.
    pub node: NodeId,
    /// What.
    pub event: LinkEvent,
}

/// A peer dialled, and has proven its key. Sent by [`listener`](crate::actors::listener).
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Arriving(pub Connection);

/// Something was done that belongs into the audit; alike ones are counted together under a flood.
///
/// Sent by [`listener`](crate::actors::listener) and links for those who are refused, by
/// [`socket`](crate::actors::socket) for clients of other users, by the root after a reload.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Noted {
    /// What.
    pub deed: Deed,
    /// With whom, if a key was proven.
    pub peer: Option<NodeId>,
    /// Why.
    pub reason: Reason,
}

impl Noted {
    /// Somebody was refused.
    pub const fn refused(peer: Option<NodeId>, reason: Reason) -> Self {
        Self { deed: Deed::Refused, peer, reason }
    }
}

/// The newest signed head of our audit. Sent by the [`store`](crate::actors::store).
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct NewHead(pub Signed);

/// The network changed, or the machine woke up. Sent by [`watch`](crate::actors::watch).
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Woken;
