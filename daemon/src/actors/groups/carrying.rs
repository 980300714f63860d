//! What the machines of closings want, carried out in its order: said, verified on other threads, signed, written down.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use karo_core::sum::{Fault, Output, Work, Worked};
use karo_protocol::atom::{Atom, AtomId, AtomReason, AtomSays, AtomSeal, Report};
use karo_protocol::node::{Hash, Nonce};
use karo_protocol::peer::Signed;
use karo_trust::{Chance, System, fingerprint, object};

use super::actor::GroupsActor;
use super::closing::{NEVER, Role};
use super::kept::aggregate_entry;
use crate::actors::store::Keep;
use crate::clock;
use crate::logging::say;
use crate::report_files::KeptReport;

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
                Output::Send { says: AtomSays::Report { .. }, .. } if !self.may_leave(&atom) => {
                    self.break_off(atom, AtomReason::NotSharing, ctx);
                    return;
                }
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
                    self.on_fault(&atom, &fault);
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
                    let signed = match self.sign_report(&atom, id, report) {
                        Ok(signed) => signed,
                        Err(reason) => return self.break_off(atom, reason, ctx),
                    };
                    let (given, keep) = self.given(atom, table, id);
                    let then = move |actor: &mut Self, _: &mut Context<Self>| {
                        actor.ledger.insert(atom.day, given);
                        actor.refusals.remove(&atom);
                        let machine = actor.machines.giving.get_mut(&atom);
                        machine.map(|machine| machine.on_signed(signed, Instant::now())).unwrap_or_default()
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

    /// Names whoever did what no honest node does: the first time, the tenth, the hundredth. Whoever says nothing else
    /// would else fill the log, and hide behind it what others do.
    fn on_fault(&mut self, atom: &AtomId, fault: &Fault) {
        let times = self.faults.entry((fault.from, fault.wrong)).or_default();
        *times += 1;
        if is_told(*times) {
            let about = fault.contributor.map(|node| fingerprint(&node).to_string());
            say!(
                Class::MemberFaulty, peer = %fingerprint(&fault.from), wrong = ?fault.wrong, about, day = atom.day,
                times, "a member of a group did what no honest node does"
            );
        }
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

    /// Signs our report and keeps it, if the policy still lets it go: since it was counted a person may have said no.
    fn sign_report(&self, atom: &AtomId, id: Nonce, report: Report) -> Result<Signed, AtomReason> {
        if !self.may_leave(atom) {
            return Err(AtomReason::NotSharing);
        }
        let identity = self.identity().map_err(|_| AtomReason::Busy)?;
        let machine = self.machines.giving.get(atom).ok_or(AtomReason::Busy)?;
        let signed = object::sign(identity.as_ref(), report, None, clock::now(), NEVER, id);
        let signed = signed.map_err(|error| {
            say!(Class::DayUnsigned, %error, "a report cannot be signed");
            AtomReason::Busy
        })?;
        let kept_back = self.machines.kept_back.get(atom).copied().unwrap_or_default();
        let kept = KeptReport { signed: signed.clone(), boxes: machine.boxes().clone(), kept_back };
        self.report_files.keep(atom, &kept).map_err(|error| {
            say!(Class::ReportUnkept, %error, day = atom.day, "a report cannot be kept, and is not given");
            AtomReason::Busy
        })?;
        Ok(signed)
    }
}

/// Tells whether what was done so often is worth a line: at each power of ten.
fn is_told(times: u64) -> bool {
    std::iter::successors(Some(1_u64), |power| power.checked_mul(10)).any(|power| power == times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_without_end_is_told_ever_less_often() {
        let told: Vec<u64> = (0..=100_000).filter(|times| is_told(*times)).collect();
        assert_eq!(told, [1, 10, 100, 1000, 10_000, 100_000]);
        assert!(!is_told(u64::MAX));
    }
}
