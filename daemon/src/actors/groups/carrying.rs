//! What the machines of closings want, carried out in its order: said, verified on other threads, signed, written down.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use karo_core::sum::{Output, Work, Worked};
use karo_protocol::atom::{Atom, AtomId, AtomReason, AtomSeal, Report};
use karo_protocol::node::{Hash, Nonce};
use karo_trust::{Chance, System, fingerprint, object};

use super::actor::GroupsActor;
use super::closing::{NEVER, Role};
use super::kept::aggregate_entry;
use crate::actors::store::Keep;
use crate::clock;
use crate::logging::say;

impl GroupsActor {
    /// Does what a machine wants, in its order; behind what is being written it waits.
    pub(super) fn carry_out(
        &mut self,
        atom: AtomId,
        role: Role,
        outputs: Vec<Output>,
        ctx: &mut Context<Self>,
    ) {
        if let Some(waiting) = self.machines.waiting.get_mut(&(atom, role)) {
            waiting.extend(outputs);
            return;
        }
        self.go_on(atom, role, outputs.into(), ctx);
    }

    fn go_on(&mut self, atom: AtomId, role: Role, mut outputs: VecDeque<Output>, ctx: &mut Context<Self>) {
        while let Some(output) = outputs.pop_front() {
            let more = match output {
                Output::Send { to, says } => {
                    self.say(to, atom, says, ctx);
                    Vec::new()
                }
                Output::Work(work) => {
                    self.work(atom, role, work, ctx);
                    Vec::new()
                }
                Output::Sign(table) => self.sign_table(atom, table),
                Output::SignSeal(hash) => self.sign_seal(atom, hash),
                Output::Fault(fault) => {
                    let about = fault.contributor.map(|node| fingerprint(&node).to_string());
                    say!(
                        Class::MemberFaulty, peer = %fingerprint(&fault.from), wrong = ?fault.wrong, about, day = atom.day,
                        "a member of a group did what no honest node does"
                    );
                    Vec::new()
                }
                Output::Ended(reason) => {
                    self.on_ended(atom, role, reason, ctx);
                    return;
                }
                Output::Record(record) => {
                    let keep = Keep { entries: vec![aggregate_entry(&record)], deeds: Vec::new() };
                    let then = move |actor: &mut Self, _: &mut Context<Self>| {
                        actor.records.insert(atom, record);
                        Vec::new()
                    };
                    return self.keep_then(atom, role, (keep, outputs), then, ctx);
                }
                Output::SignReport { id, table, report } => {
                    let (given, keep) = self.given(atom, table, id);
                    let then = move |actor: &mut Self, _: &mut Context<Self>| {
                        actor.ledger.insert(atom.day, given);
                        actor.refusals.remove(&atom);
                        actor.sign_report(atom, id, report)
                    };
                    return self.keep_then(atom, role, (keep, outputs), then, ctx);
                }
                Output::Closed(closed) => {
                    let Some((keep, outcome)) = self.closing(atom, &closed, role) else { return };
                    let then = move |actor: &mut Self, ctx: &mut Context<Self>| {
                        actor.settle(atom, outcome);
                        actor.spread(atom, &closed, role, ctx);
                        Vec::new()
                    };
                    return self.keep_then(atom, role, (keep, outputs), then, ctx);
                }
            };
            // What follows from an output comes behind those that are decided already.
            outputs.extend(more);
        }
        self.set_timer(ctx);
    }

    /// Writes something down, and goes on once it is on disk. If it cannot be, the machine is at its end: what it says
    /// next would rest on what nobody remembers.
    fn keep_then(
        &mut self,
        atom: AtomId,
        role: Role,
        (keep, rest): (Keep, VecDeque<Output>),
        then: impl FnOnce(&mut Self, &mut Context<Self>) -> Vec<Output> + 'static,
        ctx: &mut Context<Self>,
    ) {
        self.machines.waiting.insert((atom, role), rest);
        let kept = self.keep.send(keep).into_actor(self);
        ctx.spawn(kept.map(move |kept, actor, ctx| {
            let Some(mut rest) = actor.machines.waiting.remove(&(atom, role)) else { return };
            if let Ok(Ok(())) = kept {
                rest.extend(then(actor, ctx));
                actor.go_on(atom, role, rest, ctx);
            } else {
                say!(
                    Class::DayGivenUp,
                    day = atom.day,
                    "the store takes nothing: the closing of a day is given up"
                );
                actor.on_ended(atom, role, AtomReason::Busy, ctx);
            }
        }));
    }

    /// Verifies a report on another thread.
    fn work(&self, atom: AtomId, role: Role, work: Work, ctx: &mut Context<Self>) {
        let processors = Arc::clone(&self.processors);
        let worked = async move {
            // The semaphore is never closed.
            let permit = processors.acquire_owned().await;
            let worked = tokio::task::spawn_blocking(move || work.run()).await;
            drop(permit);
            worked
        };
        ctx.spawn(worked.into_actor(self).map(move |worked, actor, ctx| match worked {
            Ok(worked) => actor.on_worked(atom, role, worked, ctx),
            Err(error) => say!(Class::DayGivenUp, %error, "the verification of a report broke off"),
        }));
    }

    fn on_worked(&mut self, atom: AtomId, role: Role, worked: Worked, ctx: &mut Context<Self>) {
        let outputs = match role {
            Role::Leads => {
                self.machines.leading.get_mut(&atom).map(|one| one.on_worked(worked, Instant::now()))
            }
            Role::Helps => self.machines.helping.get_mut(&atom).map(|one| one.on_worked(worked)),
            Role::Gives => None,
        };
        self.carry_out(atom, role, outputs.unwrap_or_default(), ctx);
        self.set_timer(ctx);
    }

    fn sign_table(&mut self, atom: AtomId, table: Atom) -> Vec<Output> {
        let Ok(identity) = self.identity() else { return Vec::new() };
        let id = Nonce(System::default().draw());
        match object::sign(identity.as_ref(), table, None, clock::now(), NEVER, id) {
            Ok(signed) => {
                let machine = self.machines.leading.get_mut(&atom);
                machine.map(|machine| machine.on_signed(signed, Instant::now())).unwrap_or_default()
            }
            Err(error) => {
                say!(Class::DayUnsigned, %error, "a table cannot be signed");
                Vec::new()
            }
        }
    }

    fn sign_seal(&mut self, atom: AtomId, hash: Hash) -> Vec<Output> {
        let Some(table) = self.machines.tables.remove(&atom) else { return Vec::new() };
        let Ok(identity) = self.identity() else { return Vec::new() };
        let id = Nonce(System::default().draw());
        let sealed = object::sign(identity.as_ref(), AtomSeal { atom: hash }, None, clock::now(), NEVER, id);
        match sealed {
            Ok(signed) => {
                let machine = self.machines.helping.get_mut(&atom);
                machine.map(|machine| machine.on_sealed(table, signed)).unwrap_or_default()
            }
            Err(error) => {
                say!(Class::DayUnsigned, %error, "a seal cannot be signed");
                Vec::new()
            }
        }
    }

    /// Signs our report, if the policy still lets it go: between the question and this moment a person may have said no.
    fn sign_report(&mut self, atom: AtomId, id: Nonce, report: Report) -> Vec<Output> {
        if !self.policy.now().groups {
            self.machines.giving.remove(&atom);
            self.refusals.insert(atom, AtomReason::NotSharing);
            return Vec::new();
        }
        let Ok(identity) = self.identity() else { return Vec::new() };
        match object::sign(identity.as_ref(), report, None, clock::now(), NEVER, id) {
            Ok(signed) => {
                let machine = self.machines.giving.get_mut(&atom);
                machine.map(|machine| machine.on_signed(signed, Instant::now())).unwrap_or_default()
            }
            Err(error) => {
                say!(Class::DayUnsigned, %error, "a report cannot be signed");
                Vec::new()
            }
        }
    }
}
