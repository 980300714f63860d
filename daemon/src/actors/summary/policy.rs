//! The policy: shown, explained, changed. A change is on disk, with its entry in the audit, before it is in force; then
//! it is in force everywhere at once.

use std::sync::Arc;

use actix::{ActorFutureExt, AtomicResponse, Context, Handler, MessageResult, WrapFuture};
use karo_core::policy::{Receiver, changed, explain, in_force, meaning};
use karo_protocol::Trust;
use karo_protocol::audit::{AuditEntry, Deed, Reason};
use karo_protocol::local::{Failure, FailureCode};
use karo_protocol::policy::{PolicyChange, PolicyExplained, PolicySet, PolicyShown};

use super::actor::{SummaryActor, failure};
use super::kept::PolicyKept;
use super::messages::{Change, Explain, Settle, Shown};
use crate::actors::store::Keep;
use crate::auditor::entry;

impl SummaryActor {
    fn shown(&self) -> Box<PolicyShown> {
        let names = self.policy.peers.keys().map(|node| (*node, self.name_of(node))).collect();
        let policy = (*self.policy).clone();
        Box::new(PolicyShown { policy, set: self.set.clone(), meaning: meaning(), names })
    }

    /// Returns what is set once a change is made, with the peer that it is about.
    fn set_by(&self, change: &PolicyChange) -> Result<(PolicySet, Option<karo_protocol::NodeId>), Failure> {
        let peer = match change {
            PolicyChange::Peer { peer, .. } => Some(self.find(peer)?),
            PolicyChange::Switch { .. } | PolicyChange::Allow(_) | PolicyChange::Deny(_) => None,
        };
        let set = changed(&self.set, change, peer);
        Ok((set.map_err(|error| failure(FailureCode::Refused, error.to_string()))?, peer))
    }

    /// Puts in force what the configuration and the commands say by now.
    fn enforce(&mut self, ctx: &mut Context<Self>) {
        self.policy = Arc::new(in_force(&self.configured, &self.set));
        self.sources.keeper.set((*self.policy).clone());
        // What was told may say something else by now, to everybody.
        self.looked_until.clear();
        self.look(ctx);
    }
}

impl Handler<Shown> for SummaryActor {
    type Result = MessageResult<Shown>;

    fn handle(&mut self, _: Shown, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.shown())
    }
}

impl Handler<Explain> for SummaryActor {
    type Result = Result<PolicyExplained, Failure>;

    fn handle(&mut self, Explain(peer): Explain, _: &mut Self::Context) -> Self::Result {
        let node = self.find(&peer)?;
        let trust = self.sources.roster.admit(node, None).unwrap_or(Trust::Untrusted);
        let name = self.name_of(&node);
        Ok(explain(&self.policy, &Receiver { node, name: &name, trust }))
    }
}

impl Handler<Change> for SummaryActor {
    type Result = AtomicResponse<Self, Result<Box<PolicyShown>, Failure>>;

    fn handle(&mut self, Change(change): Change, _: &mut Self::Context) -> Self::Result {
        let (set, peer) = match self.set_by(&change) {
            Ok(changed) => changed,
            Err(failure) => return AtomicResponse::new(Box::pin(async { Err(failure) }.into_actor(self))),
        };
        let deeds = vec![AuditEntry { peer, reason: Reason::Command, ..entry(Deed::PolicyChanged) }];
        let kept = self.sources.keep.send(Keep { entries: vec![PolicyKept::entry(&set)], deeds });
        AtomicResponse::new(Box::pin(kept.into_actor(self).map(move |kept, actor, ctx| {
            kept.unwrap_or_else(|_| Err(failure(FailureCode::Stopping, "the store has stopped")))?;
            actor.set = set;
            actor.enforce(ctx);
            Ok(actor.shown())
        })))
    }
}

impl Handler<Settle> for SummaryActor {
    type Result = ();

    fn handle(&mut self, Settle(configured): Settle, ctx: &mut Self::Context) {
        self.configured = configured;
        self.enforce(ctx);
    }
}
