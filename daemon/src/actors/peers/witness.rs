//! The audits of peers: their heads are judged, kept and shown; and our own is proven to them.

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
use crate::actors::audit::{Judged, Prove, WitnessHead};
use crate::actors::link;

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
        let judged = self.mesh.witness.send(question).into_actor(self);
        let done = judged.map(move |judged, actor, _| {
            if let Ok(judged) = judged {
                actor.on_judged(node, judged);
            }
        });
        done.spawn(ctx);
    }

    fn on_judged(&mut self, node: NodeId, judged: Judged) {
        match judged {
            Judged::Known => {}
            Judged::Witnessed(size) => self.with(node, |one| one.witnessed = Some(size)),
            Judged::Ask(ask) => {
                if let Some(neighbour) = self.neighbours.get(&node) {
                    let say = link::Say { connection: None, control: Control::AuditAsk(ask) };
                    link::tell(&neighbour.link, say);
                }
            }
            Judged::Rewritten(why) => {
                tracing::error!(peer = %fingerprint(&node), "{why}");
                self.with(node, |one| one.rewritten = Some(why));
                self.note(Deed::Equivocation, Some(node), Reason::Rewritten);
            }
            Judged::NewLog(why) => {
                tracing::warn!(peer = %fingerprint(&node), "{why}");
                self.with(node, |one| one.new_log = Some(why));
            }
        }
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
            Ok(Judged::Witnessed(size)) => {
                actor.with(node, |one| {
                    (one.new_log, one.rewritten, one.witnessed) = (None, None, Some(size));
                });
                let row = actor.row(&peer);
                row.map(Box::new).ok_or_else(|| {
                    failure(FailureCode::Refused, format!("{} is no peer any more", peer.name))
                })
            }
            Ok(Judged::Known | Judged::Ask(_) | Judged::Rewritten(_) | Judged::NewLog(_)) => {
                Err(failure(FailureCode::Refused, format!("nothing of {} waits for you", peer.name)))
            }
            Err(_) => Err(failure(FailureCode::Stopping, "the daemon is stopping")),
        })))
    }
}
