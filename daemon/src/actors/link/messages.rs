//! What a link is asked and told.

use std::sync::Arc;

use actix::dev::ToEnvelope;
use actix::{Addr, Handler, Message};
use karo_fabric::link::ConnectionId;
use karo_fabric::net::Connection;
use karo_protocol::address::Address;
use karo_protocol::local::Failure;
use karo_protocol::mesh::{Pinged, TestStep};
use karo_protocol::peer::{Control, Parting, Signed};
use karo_trust::identity::Identity;

use super::LinkActor;

/// The peer dialled, and has proven its key. Sent by peers, for the listener.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Arrived(pub Connection);

/// Where the peer can be reached. Sent by peers at the start and at each change.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Routed {
    /// All addresses; none for one that has to dial.
    pub addresses: Vec<Address>,
    /// Whether names are looked up.
    pub resolve: bool,
}

/// This machine has another identity. Sent by peers.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Identified(pub Arc<Identity>);

/// The newest signed head of our audit. Sent by peers.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Heads(pub Signed);

/// The network changed, or the machine woke up. Sent by peers.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Wake;

/// A person has to decide first. Sent by peers.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Hold(pub String);

/// A person has decided. Sent by peers.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Release;

/// Say that to the peer, over this connection or over the link, if that is up. Sent by peers.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Say {
    /// Over which connection.
    pub connection: Option<ConnectionId>,
    /// What.
    pub control: Control,
}

/// Say that to the peer, if the link is up and there is room: what it is about can do without it. Sent by peers.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Talk(pub Control);

/// End the link for good. Sent by peers; answered when the last word has left.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Close {
    /// Why.
    pub parting: Parting,
    /// A sentence for the person at the other side.
    pub message: &'static str,
}

impl Close {
    /// Makes the end of a link to somebody who is trusted no more.
    pub const fn untrusted() -> Self {
        Self { parting: Parting::Untrusted, message: "it was taken out of the roster there" }
    }

    /// Makes the end of a link under a key that another one took the place of.
    pub const fn renewed() -> Self {
        Self {
            parting: Parting::Superseded,
            message: "the new key is known here; the link begins anew under it",
        }
    }

    /// Makes the end of a link of a daemon that stops.
    pub const fn stopping() -> Self {
        Self { parting: Parting::Stopping, message: "" }
    }
}

/// Are you there? Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Result<Pinged, Failure>")]
pub struct Ping {
    /// What the peer is called.
    pub name: String,
}

/// Try each step of a connection. Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Vec<TestStep>")]
pub struct Test {
    /// What the peer is called.
    pub name: String,
}

/// Tells a link something; one that is gone or cannot keep up has lost its connection anyway.
pub fn tell<M>(link: &Addr<LinkActor>, message: M)
where
    M: Message + Send + 'static,
    M::Result: Send,
    LinkActor: Handler<M>,
    <LinkActor as actix::Actor>::Context: ToEnvelope<LinkActor, M>,
{
    if link.try_send(message).is_err() {
        tracing::debug!("a link does not keep up with what it is told");
    }
}
