//! Rank 1 and its contributors: who was invited, whose report is where, and what was verified.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use karo_protocol::atom::{AtomReason, AtomSays, Report};
use karo_protocol::node::{Hash, Nonce};
use karo_protocol::peer::{Object, Signed};
use karo_protocol::{Bytes, NodeId};

use super::super::closing::Closing;
use super::super::record::Listed;
use super::super::seal::SealingSecret;
use super::super::shares::{Ticket, Unsound};
use super::super::totals::Sums;
use super::super::work::Made;
use super::super::{
    ASK_AGAIN, BOX_BYTES_MAX, Fault, INVITE_AGAIN, INVITE_PATIENCE, Output, VERIFYING_MAX, Work, Worked,
    Wrong,
};

/// Where one contributor stands.
#[derive(Debug)]
enum Standing {
    /// Nothing came.
    Awaited,
    /// Its report is opened and verified on some thread of ours.
    Working { listed: Listed, report: Signed, helper_box: Bytes },
    /// Rank 2 has it.
    Asked { listed: Listed, ticket: Ticket, verify: AtomSays, again: Instant },
    /// It is in the sums. The question is kept, in case rank 2 begins anew.
    Verified { listed: Listed, verify: AtomSays, recheck: Recheck },
    /// It gives nothing.
    Declined,
    /// What it gave was not sound.
    Refused,
}

/// What rank 2, having begun anew, knows of a report that was verified before.
#[derive(Debug, Clone, Copy)]
enum Recheck {
    /// It knows it.
    Done,
    /// It is to be told.
    Waiting,
    /// It was told.
    Asked { again: Instant },
}

/// What the contributors gave so far.
pub(super) struct Gathering {
    closing: Arc<Closing>,
    secret: Arc<SealingSecret>,
    key: Hash,
    /// The reports of a set that was agreed upon before this node began anew: no others count.
    wanted: Option<BTreeSet<Nonce>>,
    standings: BTreeMap<NodeId, Standing>,
    /// Whose each report is, so that an id counts once.
    reports: BTreeMap<Nonce, NodeId>,
    queue: VecDeque<NodeId>,
    /// Who was invited a moment ago, and until when that holds a place.
    invited: BTreeMap<NodeId, Instant>,
    /// When those who did not answer are invited again.
    round: Instant,
    is_by_hand: bool,
    is_over: bool,
    answered: Instant,
    sums: Sums,
}

impl Gathering {
    pub(super) fn new(
        closing: &Arc<Closing>,
        secret: &Arc<SealingSecret>,
        key: Hash,
        wanted: Option<&[Nonce]>,
        (is_by_hand, now): (bool, Instant),
    ) -> Self {
        let awaited = |node: &NodeId| (*node, Standing::Awaited);
        Self {
            closing: Arc::clone(closing),
            secret: Arc::clone(secret),
            key,
            wanted: wanted.map(|reports| reports.iter().copied().collect()),
            standings: closing.contributors().iter().map(awaited).collect(),
            reports: BTreeMap::new(),
            queue: closing.contributors().iter().copied().collect(),
            invited: BTreeMap::new(),
            round: now + INVITE_AGAIN,
            is_by_hand,
            is_over: false,
            answered: now,
            sums: Sums::new(closing.scheme()),
        }
    }

    /// Returns when the last report or refusal came.
    pub(super) const fn answered(&self) -> Instant {
        self.answered
    }

    pub(super) const fn sums(&self) -> &Sums {
        &self.sums
    }

    /// Takes nothing more: the window is over.
    pub(super) fn stop(&mut self) {
        self.is_over = true;
        self.queue.clear();
        self.invited.clear();
    }

    /// Tells whether nothing more can come: every contributor answered, or every report of the set is there.
    pub(super) fn is_complete(&self) -> bool {
        match &self.wanted {
            Some(wanted) => self.verified().count() == wanted.len(),
            None => !self.standings.values().any(|standing| matches!(standing, Standing::Awaited)),
        }
    }

    /// Tells whether a report is on its way through verification.
    pub(super) fn is_busy(&self) -> bool {
        self.standings
            .values()
            .any(|standing| matches!(standing, Standing::Working { .. } | Standing::Asked { .. }))
            || self.is_rechecking()
    }

    /// Tells whether rank 2 does not know all that was verified.
    pub(super) fn is_rechecking(&self) -> bool {
        let is = |standing: &Standing| match standing {
            Standing::Verified { recheck: Recheck::Waiting | Recheck::Asked { .. }, .. } => true,
            Standing::Verified { recheck: Recheck::Done, .. }
            | Standing::Awaited
            | Standing::Working { .. }
            | Standing::Asked { .. }
            | Standing::Declined
            | Standing::Refused => false,
        };
        self.standings.values().any(is)
    }

    /// Returns the reports that are in the sums, in the order of their ids.
    pub(super) fn set(&self) -> Vec<Listed> {
        let mut set: Vec<Listed> = self.verified().copied().collect();
        set.sort_unstable_by_key(|listed| listed.report);
        set
    }

    fn verified(&self) -> impl Iterator<Item = &Listed> {
        self.standings.values().filter_map(|standing| match standing {
            Standing::Verified { listed, .. } => Some(listed),
            Standing::Awaited
            | Standing::Working { .. }
            | Standing::Asked { .. }
            | Standing::Declined
            | Standing::Refused => None,
        })
    }

    /// Returns all who gave something, to be told how it ended.
    pub(super) fn given(&self) -> impl Iterator<Item = NodeId> {
        let gave = |standing: &Standing| !matches!(standing, Standing::Awaited | Standing::Declined);
        self.standings.iter().filter(move |(_, standing)| gave(standing)).map(|(node, _)| *node)
    }

    /// Takes a report, as far as it can be judged without opening it.
    pub(super) fn on_report(
        &mut self,
        from: NodeId,
        (object, signed): (&Object<Report>, Signed),
        [leader_box, helper_box]: [Bytes; 2],
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        if let Err(wrong) = self.judge(from, object, [&leader_box, &helper_box]) {
            out.push(Output::Fault(Fault { from, contributor: Some(object.issuer), wrong }));
            return;
        }
        let is_full = self.in_verification() >= VERIFYING_MAX;
        let is_wanted = self.wanted.as_ref().is_none_or(|wanted| wanted.contains(&object.id));
        let Some(standing) = self.standings.get_mut(&from) else { return };
        match standing {
            Standing::Verified { listed, .. } => {
                out.push(Output::Send { to: from, says: AtomSays::Taken(listed.report) });
                return;
            }
            Standing::Working { .. } | Standing::Asked { .. } => return,
            Standing::Refused => {
                out.push(Output::Send { to: from, says: AtomSays::Ended(AtomReason::Invalid) });
                return;
            }
            Standing::Awaited | Standing::Declined if self.is_over || !is_wanted => {
                out.push(Output::Send { to: from, says: AtomSays::Ended(AtomReason::AlreadyClosed) });
                return;
            }
            Standing::Awaited | Standing::Declined => {}
        }
        self.invited.remove(&from);
        if is_full {
            *standing = Standing::Awaited;
            self.queue.retain(|node| *node != from);
            self.queue.push_front(from);
            return;
        }
        let boxes = [object.body.leader_box, object.body.helper_box];
        let listed = Listed { report: object.id, contributor: from, boxes };
        *standing = Standing::Working { listed, report: signed, helper_box };
        self.reports.insert(object.id, from);
        self.answered = now;
        out.push(Output::Work(Work {
            closing: Arc::clone(&self.closing),
            secret: Arc::clone(&self.secret),
            key: self.key,
            contributor: from,
            report: object.id,
            sealed: leader_box,
            shares: None,
        }));
    }

    fn judge(&self, from: NodeId, object: &Object<Report>, boxes: [&Bytes; 2]) -> Result<(), Wrong> {
        if object.issuer != from || !self.closing.is_contributor(&from) {
            return Err(Wrong::Stranger);
        }
        if boxes.iter().any(|sealed| sealed.len() > BOX_BYTES_MAX) {
            return Err(Wrong::Form);
        }
        let hashes = boxes.map(|sealed| Hash(blake3::hash(sealed).into()));
        if object.body != self.closing.report(hashes) {
            return Err(Wrong::Misplaced);
        }
        match self.reports.get(&object.id) {
            Some(owner) if *owner != from => Err(Wrong::Replay),
            Some(_) | None => Ok(()),
        }
    }

    /// Takes that a contributor gives nothing.
    pub(super) fn on_decline(
        &mut self,
        from: NodeId,
        reason: AtomReason,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        let Some(standing @ Standing::Awaited) = self.standings.get_mut(&from) else {
            if !self.closing.is_contributor(&from) {
                out.push(Output::Fault(Fault { from, contributor: None, wrong: Wrong::Stranger }));
            }
            return;
        };
        self.invited.remove(&from);
        if reason != AtomReason::Busy {
            *standing = Standing::Declined;
            self.answered = now;
        }
    }

    /// Takes what came of opening a report: gives it to rank 2, or refuses it.
    pub(super) fn on_worked(&mut self, worked: Worked, now: Instant, out: &mut Vec<Output>) {
        let contributor = worked.contributor;
        let Some(standing) = self.standings.get_mut(&contributor) else { return };
        match (std::mem::replace(standing, Standing::Awaited), worked.made) {
            (Standing::Working { listed, report, helper_box }, made) if listed.report == worked.report => {
                match made {
                    Ok(Made::Begun(shares, ticket)) => {
                        let verify = AtomSays::Verify { report, helper_box, shares };
                        out.push(Output::Send { to: self.closing.helper(), says: verify.clone() });
                        *standing = Standing::Asked { listed, ticket, verify, again: now + ASK_AGAIN };
                    }
                    Ok(Made::Verified(..)) => unreachable!("rank 1 begins what rank 2 verifies"),
                    Err(unsound) => self.refuse(contributor, contributor, Wrong::of(unsound), out),
                }
            }
            (other, _) => *standing = other,
        }
    }

    /// Takes rank 2's word on a report.
    ///
    /// # Errors
    ///
    /// When rank 2, having begun anew, refuses what it verified before.
    pub(super) fn on_verified(
        &mut self,
        report: Nonce,
        messages: Option<&[Bytes]>,
        now: Instant,
        out: &mut Vec<Output>,
    ) -> Result<(), AtomReason> {
        let Some(contributor) = self.reports.get(&report).copied() else { return Ok(()) };
        let Some(standing) = self.standings.get_mut(&contributor) else { return Ok(()) };
        match (std::mem::replace(standing, Standing::Awaited), messages) {
            (Standing::Asked { listed, ticket, verify, .. }, Some(messages)) if listed.report == report => {
                match self.closing.scheme().finish(ticket, messages) {
                    Ok(addend) => {
                        self.sums.add(&addend);
                        *standing = Standing::Verified { listed, verify, recheck: Recheck::Done };
                        out.push(Output::Send { to: contributor, says: AtomSays::Taken(report) });
                        self.answered = self.answered.max(now);
                    }
                    Err(unsound) => self.refuse(contributor, self.closing.helper(), Wrong::of(unsound), out),
                }
            }
            (Standing::Asked { listed, .. }, None) if listed.report == report => {
                self.refuse(contributor, contributor, Wrong::of(Unsound::Proof), out);
            }
            (Standing::Verified { listed, verify, recheck }, said) if listed.report == report => {
                let is_known = matches!(recheck, Recheck::Done);
                let recheck = if said.is_some() { Recheck::Done } else { recheck };
                *standing = Standing::Verified { listed, verify, recheck };
                if said.is_none() && !is_known {
                    return Err(AtomReason::Disagreed);
                }
            }
            (other, _) => *standing = other,
        }
        Ok(())
    }

    fn refuse(&mut self, contributor: NodeId, from: NodeId, wrong: Wrong, out: &mut Vec<Output>) {
        self.standings.insert(contributor, Standing::Refused);
        out.push(Output::Fault(Fault { from, contributor: Some(contributor), wrong }));
        out.push(Output::Send { to: contributor, says: AtomSays::Ended(AtomReason::Invalid) });
    }

    /// Gives up those that rank 2 does not answer for.
    pub(super) fn forget_pending(&mut self) {
        for standing in self.standings.values_mut() {
            if matches!(standing, Standing::Working { .. } | Standing::Asked { .. }) {
                *standing = Standing::Refused;
            }
        }
    }

    /// Rank 2 began anew and knows no report: tells it all of them again.
    pub(super) fn recheck(&mut self, now: Instant) {
        for standing in self.standings.values_mut() {
            match standing {
                Standing::Verified { recheck, .. } => *recheck = Recheck::Waiting,
                Standing::Asked { again, .. } => *again = now,
                Standing::Awaited | Standing::Working { .. } | Standing::Declined | Standing::Refused => {}
            }
        }
    }

    /// Rank 2 can be reached again: what it was asked is asked now.
    pub(super) fn hurry(&mut self, now: Instant) {
        for standing in self.standings.values_mut() {
            match standing {
                Standing::Asked { again, .. }
                | Standing::Verified { recheck: Recheck::Asked { again }, .. } => *again = now,
                Standing::Verified { .. }
                | Standing::Awaited
                | Standing::Working { .. }
                | Standing::Declined
                | Standing::Refused => {}
            }
        }
    }

    /// Says that a contributor can be reached.
    pub(super) fn on_connected(&mut self, node: NodeId) {
        let is_awaited = matches!(self.standings.get(&node), Some(Standing::Awaited));
        if is_awaited && !self.is_over {
            self.invited.remove(&node);
            self.queue.retain(|queued| *queued != node);
            self.queue.push_front(node);
        }
    }

    /// Invites and asks as much as there is room for.
    pub(super) fn go_on(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.ask_again(now, out);
        self.invited.retain(|_, until| *until > now);
        if now >= self.round && !self.is_over {
            self.round = now + INVITE_AGAIN;
            self.invite_again();
        }
        while self.in_verification() + self.invited.len() < VERIFYING_MAX {
            let Some(node) = self.queue.pop_front() else { break };
            if matches!(self.standings.get(&node), Some(Standing::Awaited)) {
                self.invited.insert(node, now + INVITE_PATIENCE);
                out.push(Output::Send { to: node, says: AtomSays::Invite { by_hand: self.is_by_hand } });
            }
        }
    }

    fn invite_again(&mut self) {
        let queued: BTreeSet<NodeId> = self.queue.iter().copied().collect();
        let awaited = |(node, standing): &(&NodeId, &Standing)| {
            matches!(standing, Standing::Awaited)
                && !queued.contains(node)
                && !self.invited.contains_key(node)
        };
        let silent: Vec<NodeId> = self.standings.iter().filter(awaited).map(|(node, _)| *node).collect();
        self.queue.extend(silent);
    }

    /// Asks rank 2 again what it did not answer, and tells it what it has to be told.
    fn ask_again(&mut self, now: Instant, out: &mut Vec<Output>) {
        let helper = self.closing.helper();
        let mut room = VERIFYING_MAX.saturating_sub(self.rechecks_asked());
        for standing in self.standings.values_mut() {
            match standing {
                Standing::Asked { verify, again, .. } if now >= *again => {
                    *again = now + ASK_AGAIN;
                    out.push(Output::Send { to: helper, says: verify.clone() });
                }
                Standing::Verified { verify, recheck: Recheck::Asked { again }, .. } if now >= *again => {
                    *again = now + ASK_AGAIN;
                    out.push(Output::Send { to: helper, says: verify.clone() });
                }
                Standing::Verified { verify, recheck: recheck @ Recheck::Waiting, .. } if room > 0 => {
                    room -= 1;
                    *recheck = Recheck::Asked { again: now + ASK_AGAIN };
                    out.push(Output::Send { to: helper, says: verify.clone() });
                }
                Standing::Asked { .. }
                | Standing::Verified { .. }
                | Standing::Awaited
                | Standing::Working { .. }
                | Standing::Declined
                | Standing::Refused => {}
            }
        }
    }

    fn rechecks_asked(&self) -> usize {
        let is_asked = |standing: &&Standing| {
            matches!(standing, Standing::Verified { recheck: Recheck::Asked { .. }, .. })
        };
        self.standings.values().filter(is_asked).count()
    }

    fn in_verification(&self) -> usize {
        let is = |standing: &&Standing| matches!(standing, Standing::Working { .. } | Standing::Asked { .. });
        self.standings.values().filter(is).count()
    }

    /// Returns when [`go_on`](Self::go_on) has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let again = self.standings.values().filter_map(|standing| match standing {
            Standing::Asked { again, .. } | Standing::Verified { recheck: Recheck::Asked { again }, .. } => {
                Some(*again)
            }
            Standing::Verified { .. }
            | Standing::Awaited
            | Standing::Working { .. }
            | Standing::Declined
            | Standing::Refused => None,
        });
        let is_silent = self.standings.values().any(|standing| matches!(standing, Standing::Awaited));
        let round = (!self.is_over && is_silent).then_some(self.round);
        let room = if self.queue.is_empty() { None } else { self.invited.values().min().copied() };
        again.chain(round).chain(room).min()
    }
}
