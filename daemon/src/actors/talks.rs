//! What peers say that the link itself has no part in: about groups, atoms, summaries and questions.
//!
//! Links hand it on by what it is about; answers go back through [`peers`](super::peers), which knows the links. What
//! does not find room is dropped and not answered: whoever waits for it asks again, or does without it.

use std::sync::Arc;

use actix::{Message, Recipient};
use karo_protocol::NodeId;
use karo_protocol::peer::Control;
use karo_trust::identity::Identity;

use super::groups::Ourselves;
use super::peers::{Add, Noted, Report, Table};

/// A peer said something. Sent by links, after the roster was asked about the frame.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Spoken {
    /// Who.
    pub node: NodeId,
    /// What: never a message of the link's own.
    pub control: Control,
}

/// A link came up or went down. Sent by [`peers`](super::peers).
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Linked {
    /// With whom.
    pub node: NodeId,
    /// Whether it is up.
    pub is_up: bool,
}

/// Say something to a peer. Answered by whether there is a link to say it over; it may be lost on the way.
#[derive(Debug, Message)]
#[rtype(result = "bool")]
pub struct Tell {
    /// To whom.
    pub node: NodeId,
    /// What.
    pub control: Control,
}

/// Says something to a peer, and does not wait for what becomes of it.
pub fn tell(peers: &Recipient<Tell>, node: NodeId, control: Control) {
    if peers.try_send(Tell { node, control }).is_err() {
        tracing::debug!(peer = %karo_trust::fingerprint(&node), "no room for what was to be said to a peer");
    }
}

/// What those who talk need of [`peers`](super::peers).
#[derive(Clone)]
pub struct Introducer {
    /// Says something to one.
    pub tell: Recipient<Tell>,
    /// Puts deeds into the audit, alike ones together.
    pub noted: Recipient<Noted>,
    /// How the mesh is.
    pub report: Recipient<Report>,
    /// Each peer.
    pub table: Recipient<Table>,
    /// Trusts a node.
    pub add: Recipient<Add>,
}

/// You talk to peers through these. Sent by the wiring, because those who talk and those who link need each other.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct Introduced(pub Introducer);

/// Who is told what is said, by what it is about.
#[derive(Clone)]
pub struct Talks {
    /// Groups and atoms.
    pub groups: Recipient<Spoken>,
    /// Summaries.
    pub summaries: Recipient<Spoken>,
    /// Questions about no person.
    pub questions: Recipient<Spoken>,
    /// Everybody who is told which links are up.
    pub linked: [Recipient<Linked>; 3],
    /// Everybody who is told who this machine is.
    pub own: [Recipient<Ourselves>; 3],
}

impl Talks {
    /// Returns who is told such a message; nobody for one of the link's own.
    pub const fn of(&self, control: &Control) -> Option<&Recipient<Spoken>> {
        match control {
            Control::Group(_) | Control::Atom(_) => Some(&self.groups),
            Control::Summary(_) => Some(&self.summaries),
            Control::Ask(_) => Some(&self.questions),
            Control::Hello(_)
            | Control::HelloAck(_)
            | Control::Capabilities(_)
            | Control::Ping(_)
            | Control::Pong(_)
            | Control::Goodbye(_)
            | Control::KeyRotation(_)
            | Control::KeyRotationAck(_)
            | Control::AuditAsk(_)
            | Control::AuditProof(_)
            | Control::AuditSeen(_) => None,
        }
    }

    /// Tells everybody who this machine is, or why it is nobody.
    pub fn tell_own(&self, own: &Result<Arc<Identity>, String>) {
        for listener in &self.own {
            // As rare as a rotation, and it may not be lost.
            listener.do_send(Ourselves(own.clone()));
        }
    }

    /// Tells everybody of a link.
    pub fn tell_linked(&self, node: NodeId, is_up: bool) {
        for listener in &self.linked {
            // A note of the life of a link: as rare as those, and none may be lost.
            listener.do_send(Linked { node, is_up });
        }
    }
}
