//! What links tell, and what follows from it.

use actix::{Context, Handler};
use karo_fabric::link::{LinkEvent, Status, Up};
use karo_protocol::NodeId;
use karo_protocol::audit::{Deed, Reason};
use karo_protocol::mesh::LinkState;
use karo_protocol::peer::Signed;

use super::actor::{PeersActor, moment};
use super::deeds;
use super::messages::News;
use crate::actors::link;
use crate::logging::say;

impl Handler<News> for PeersActor {
    type Result = ();

    fn handle(&mut self, News { node, event }: News, ctx: &mut Context<Self>) {
        if !self.neighbours.contains_key(&node) {
            // It was let go, and says its last.
            return;
        }
        match event {
            LinkEvent::State(status) => self.on_state(node, status),
            LinkEvent::Up(up) => self.on_up(node, up, true),
            // The same peer over another connection: for the audit the link never went down.
            LinkEvent::Moved(up) => self.on_up(node, up, false),
            // Its state follows at once, and says how it went down.
            LinkEvent::Down { .. } => self.with(node, |one| one.was_up = true),
            LinkEvent::Capable { capabilities, .. } => self.with(node, |one| one.capabilities = capabilities),
            LinkEvent::Pinged { rtt, skew_us, .. } => {
                self.with(node, |one| {
                    one.rtt = Some(rtt);
                    one.clock.says(skew_us);
                });
            }
            LinkEvent::Greeted { skew_us } => self.with(node, |one| one.clock.says(skew_us)),
            LinkEvent::Clock { skew_us, is_far } => {
                let peer = karo_trust::fingerprint(&node);
                match is_far {
                    true => {
                        say!(Class::PeerClockFar, %peer, skew_us, "the clocks are more than a minute apart")
                    }
                    false => say!(Class::PeerClockAgrees, %peer, skew_us, "the clocks agree again"),
                }
            }
            LinkEvent::Head(head) => self.on_head(node, head, ctx),
            LinkEvent::Rotation { connection, signed } => self.on_rotation(node, connection, &signed, ctx),
            LinkEvent::RotationAnswered(ack) => self.on_rotation_answered(node, &ack),
            LinkEvent::AuditAsk { connection, ask } => self.on_audit_ask(node, connection, ask, ctx),
            LinkEvent::AuditProof(proof) => self.on_audit_proof(node, proof, ctx),
            LinkEvent::AuditSeen(head) => self.on_seen(node, head, ctx),
            // Links hand it on by themselves.
            LinkEvent::Said(_) => {}
            LinkEvent::Refused { parting, message, by_us } => {
                say!(Class::PeerParted, peer = %karo_trust::fingerprint(&node), %parting, message, by_us, "no link");
                if by_us {
                    self.note(Deed::Refused, Some(node), deeds::parted(parting));
                }
            }
            LinkEvent::Twins { older, newer } => {
                say!(
                    Class::PeerTwice, peer = %karo_trust::fingerprint(&node), %older, %newer,
                    "two daemons live with the key of this peer; both links are down"
                );
                self.with(node, |one| one.twins = true);
                self.note(Deed::Equivocation, Some(node), Reason::Twins);
            }
        }
    }
}

impl PeersActor {
    pub(super) fn with(&mut self, node: NodeId, change: impl FnOnce(&mut super::neighbour::Neighbour)) {
        if let Some(neighbour) = self.neighbours.get_mut(&node) {
            change(neighbour);
            self.changed();
        }
    }

    fn on_state(&mut self, node: NodeId, status: Status) {
        let peer = karo_trust::fingerprint(&node);
        match status.state {
            LinkState::Connected => say!(Class::PeerConnected, %peer, address = status.address, "connected"),
            LinkState::Disconnected
            | LinkState::Connecting
            | LinkState::Authenticating
            | LinkState::Disconnecting
            | LinkState::Failed
            | LinkState::Rejected
            | LinkState::TimedOut
            | LinkState::Held => {
                tracing::debug!(%peer, state = %status.state, reason = status.reason, "link")
            }
        }
        let (state, reason) = (status.state, status.reason.clone());
        let mut is_down = false;
        self.with(node, |one| {
            is_down = std::mem::take(&mut one.was_up) && state != LinkState::Connected;
            one.is(status);
        });
        if is_down {
            self.mesh.talks.tell_linked(node, false);
        }
        // A stop has written it down already.
        if is_down && !self.is_stopping {
            say!(Class::PeerLost, %peer, %state, reason, "link lost");
            self.note(Deed::Disconnected, Some(node), deeds::down(state));
        }
    }

    fn on_up(&mut self, node: NodeId, up: Up, is_new: bool) {
        self.announce_rotation(node, &up);
        self.learn_next_key(node, up.next_key);
        self.with(node, |one| {
            one.program = Some(up.program.clone());
            one.up = Some(up);
            one.told_seen = None;
            one.twins = false;
        });
        if is_new {
            self.mesh.talks.tell_linked(node, true);
            self.note(Deed::Connected, Some(node), Reason::None);
        }
    }

    /// Gives every link the newest head of our audit, for its next heartbeat.
    pub(super) fn spread_head(&self, head: &Signed) {
        for neighbour in self.neighbours.values() {
            link::tell(&neighbour.link, link::Heads(head.clone()));
        }
    }

    /// Holds a link until a person has decided.
    pub(super) fn hold(&mut self, node: NodeId, why: &str) {
        self.with(node, |one| {
            one.held = Some(why.to_owned());
            let at = moment();
            one.is(Status {
                state: LinkState::Held,
                since: at.wall,
                reason: Some(why.to_owned()),
                address: None,
            });
            link::tell(&one.link, link::Hold(why.to_owned()));
        });
    }
}
