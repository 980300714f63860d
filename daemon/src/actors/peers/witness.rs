//! The audits of peers: their heads are judged, kept and shown; and our own is proven to them.

use std::time::Instant;

use actix::{ActorFutureExt, AtomicResponse, Context, ContextFutureSpawner, WrapFuture};
use karo_fabric::link::ConnectionId;
use karo_protocol::NodeId;
use karo_protocol::audit::{Deed, Reason};
use karo_protocol::local::{Failure, FailureCode};
use karo_protocol::mesh::PeerRow;
use karo_protocol::peer::{AuditAsk, AuditProof, Control, Signed};
use karo_trust::fingerprint;
use karo_trust::roster::Peer;

use super::actor::{PeersActor, failure};
use super::neighbour::Neighbour;
use crate::actors::audit::{Judged, Prove, Seen, WitnessHead};
use crate::actors::link;
use crate::logging::say;

impl PeersActor {
    /// Has the head of a peer's audit judged.
    pub(super) fn on_head(&mut self, node: NodeId, head: Signed, ctx: &mut Context<Self>) {
        self.judge(WitnessHead::Head { node, head }, node, ctx);
    }

    /// Has a proof judged that was asked for.
    pub(super) fn on_audit_proof(&mut self, node: NodeId, proof: AuditProof, ctx: &mut Context<Self>) {
        self.judge(WitnessHead::Proof { node, proof }, node, ctx);
    }

    fn judge(&self, question: WitnessHead, node: NodeId, ctx: &mut Context<Self>) {
        let asked = Instant::now();
        let judged = self.mesh.witness.send(question).into_actor(self);
        let done = judged.map(move |judged, actor, _| {
            // What was asked before a person confirmed says again what that person knows.
            let confirmed = actor.neighbours.get(&node).and_then(|one| one.confirmed);
            if let Ok(judged) = judged
                && confirmed.is_none_or(|confirmed| asked > confirmed)
            {
                actor.on_judged(node, judged);
            }
        });
        done.spawn(ctx);
    }

    fn on_judged(&mut self, node: NodeId, judged: Judged) {
        match judged {
            Judged::Known => {}
            Judged::Witnessed(seen) => self.witnessed(node, seen),
            Judged::Ask(ask) => self.say(node, Control::AuditAsk(ask)),
            Judged::Rewritten { why, seen } => {
                seen.into_iter().for_each(|head| self.tell_seen(node, head));
                if self.finds(node, &why, |one| &mut one.rewritten) {
                    say!(Class::PeerAuditForked, peer = %fingerprint(&node), "{why}");
                    self.note(Deed::Equivocation, Some(node), Reason::Rewritten);
                }
            }
            Judged::NewLog { why, seen } => {
                self.witnessed(node, seen);
                if self.finds(node, &why, |one| &mut one.new_log) {
                    say!(Class::PeerAuditNew, peer = %fingerprint(&node), "{why}");
                }
            }
        }
    }

    /// Puts down what was found of a peer's audit; tells whether it is news. Each heartbeat finds it again.
    fn finds(&mut self, node: NodeId, why: &str, place: fn(&mut Neighbour) -> &mut Option<String>) -> bool {
        let mut is_news = false;
        self.with(node, |one| {
            is_news = place(one).replace(why.to_owned()).is_none_or(|before| before != why)
        });
        is_news
    }

    fn witnessed(&mut self, node: NodeId, seen: Seen) {
        self.with(node, |one| one.witnessed = Some(seen.size));
        self.tell_seen(node, seen.head);
    }

    /// Tells a peer which head of its audit is known here, once over each link: a copy of its disk may not know it.
    fn tell_seen(&mut self, node: NodeId, head: Signed) {
        let mut is_news = false;
        self.with(node, |one| {
            is_news =
                one.up.is_some() && one.told_seen.replace(head.clone()).is_none_or(|before| before != head);
        });
        if is_news {
            self.say(node, Control::AuditSeen(head));
        }
    }

    fn say(&self, node: NodeId, control: Control) {
        if let Some(neighbour) = self.neighbours.get(&node) {
            link::tell(&neighbour.link, link::Say { connection: None, control });
        }
    }

    /// Takes which head of our audit a peer has: what it has seen and our disk has not is gone from here.
    pub(super) fn on_seen(&mut self, node: NodeId, head: Signed, ctx: &mut Context<Self>) {
        let told = self.mesh.seen.send(Seen { node, size: 0, head }).into_actor(self);
        let done = told.map(move |told, actor, _| {
            if let Ok(Some(fault)) = told {
                say!(Class::PeerAuditForked, peer = %fingerprint(&node), "{fault}");
                let own = actor.own.as_ref().ok().map(|own| own.node_id());
                actor.note(Deed::Equivocation, own, Reason::Rewritten);
            }
        });
        done.spawn(ctx);
    }

    /// Proves to a peer that our audit only grew.
    pub(super) fn on_audit_ask(
        &mut self,
        node: NodeId,
        connection: ConnectionId,
        ask: AuditAsk,
        ctx: &mut Context<Self>,
    ) {
        let proven = self.mesh.prove.send(Prove(ask)).into_actor(self);
        let said = proven.map(move |proof, actor, _| {
            if let (Ok(proof), Some(neighbour)) = (proof, actor.neighbours.get(&node)) {
                let control = Control::AuditProof(proof);
                link::tell(&neighbour.link, link::Say { connection: Some(connection), control });
            }
        });
        said.spawn(ctx);
    }

    pub(super) fn witnessed_of(&self, node: NodeId) -> Option<u64> {
        self.neighbours.get(&node)?.witnessed
    }

    /// Accepts the other audit log that a peer has begun.
    pub(super) fn confirm_log(&self, peer: &Peer) -> AtomicResponse<Self, Result<Box<PeerRow>, Failure>> {
        let (node, peer) = (peer.node_id, peer.clone());
        let accepted = self.mesh.witness.send(WitnessHead::Accept { node }).into_actor(self);
        AtomicResponse::new(Box::pin(accepted.map(move |accepted, actor, _| match accepted {
            Ok(Judged::Witnessed(seen)) => {
                let now = Instant::now();
                actor.with(node, |one| (one.new_log, one.rewritten, one.confirmed) = (None, None, Some(now)));
                actor.witnessed(node, seen);
                let row = actor.row(&peer);
                row.map(Box::new).ok_or_else(|| {
                    failure(FailureCode::Refused, format!("{} is no peer any more", peer.name))
                })
            }
            Ok(Judged::Known | Judged::Ask(_) | Judged::Rewritten { .. } | Judged::NewLog { .. }) => {
                Err(failure(FailureCode::Refused, format!("nothing of {} waits for you", peer.name)))
            }
            Err(_) => Err(failure(FailureCode::Stopping, "the daemon is stopping")),
        })))
    }
}
