//! Closing days: the machines of this node's roles, and carrying out what they want.
//!
//! What a machine wants is done in its order, and what stands behind a record waits until that is on disk. A node may
//! have all three roles in one atom; what it says to itself goes through its own mailbox.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{ActorFutureExt, AsyncContext, Context, ResponseActFuture, WrapFuture};
use karo_core::sum::{AggregatorRecord, Closing, Contribution, Helper, Leader, Output, Proven, Window};
use karo_protocol::atom::{Atom, AtomId, AtomReason, AtomSays, AtomSeal, ClosedAtom, DAYS_MAX, Report};
use karo_protocol::audit::{AuditEntry, Deed, Reason};
use karo_protocol::category::CategorySet;
use karo_protocol::node::Hash;
use karo_protocol::peer::Signed;
use karo_protocol::{NodeId, Timestamp};
use karo_trust::{Chance, System, fingerprint, object};

use super::actor::{ENDING_HOUR, GroupsActor};
use super::giving::reason_of;
use super::kept::outcome_entry;
use crate::actors::store::Keep;
use crate::clock;
use crate::groups_desk::{self, Accepted, Outcome};
use crate::logging::say;

/// Days that can be closed by hand, back from yesterday: what a machine can be away for.
pub(super) const BY_HAND_DAYS_MAX: i64 = 30;

/// A proof of an atom is good for as long as anybody keeps it.
pub(super) const NEVER: Timestamp = Timestamp::from_micros(i64::MAX);

/// A role of this node in an atom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// It gives its owner's numbers.
    Gives,
    /// It is rank 1.
    Leads,
    /// It is rank 2.
    Helps,
}

/// The machines of atoms that are being closed.
#[derive(Default)]
pub(super) struct Machines {
    pub(super) giving: BTreeMap<AtomId, Contribution>,
    pub(super) leading: BTreeMap<AtomId, Leader>,
    pub(super) helping: BTreeMap<AtomId, Helper>,
    /// Of how many of our owner's other machines, of how many, numbers are in what is given.
    pub(super) fed: BTreeMap<AtomId, (u16, u16)>,
    /// What the policy kept back of what is given.
    pub(super) kept_back: BTreeMap<AtomId, CategorySet>,
    /// Tables that are to be sealed here.
    pub(super) tables: BTreeMap<AtomId, Signed>,
    /// What waits for a disk, by machine; one that is there is being written.
    pub(super) waiting: BTreeMap<(AtomId, Role), VecDeque<Output>>,
}

impl Machines {
    pub(super) fn leads(&self, atom: &AtomId) -> bool {
        self.leading.contains_key(atom)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.giving.is_empty() && self.leading.is_empty() && self.helping.is_empty()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let giving = self.giving.values().filter_map(Contribution::deadline);
        let leading = self.leading.values().filter_map(Leader::deadline);
        giving.chain(leading).chain(self.helping.values().filter_map(Helper::deadline)).min()
    }
}

impl GroupsActor {
    pub(super) fn window_end(&self, atom: &AtomId) -> Instant {
        let groups = self.groups.read();
        let until =
            groups.by_id(&atom.group).map(|one| one.civil.at(atom.day.saturating_add(1), ENDING_HOUR));
        let left = until.map(|until| until.since(clock::now()).0).unwrap_or_default();
        Instant::now() + Duration::from_micros(left)
    }

    /// Begins to close a day at rank 1; `until` is the end of the daily window, `None` by hand.
    pub(super) fn open(&mut self, atom: AtomId, until: Option<Instant>, ctx: &mut Context<Self>) {
        if self.machines.leading.contains_key(&atom) {
            return;
        }
        let group = self.current(&atom).map(|accepted| Arc::clone(&accepted.group));
        let Some(closing) = group.and_then(|group| Closing::new(group, atom.day)) else { return };
        let Ok(sealing) = self.sealing().cloned() else { return };
        let record = self.record(atom);
        let window = until.map_or(Window::ByHand, Window::Daily);
        say!(
            Class::DayClosing,
            day = atom.day,
            by_hand = window.is_by_hand(),
            "a day of a group is being closed"
        );
        let (leader, outputs) = Leader::new(closing, sealing, record, window, Instant::now());
        self.machines.leading.insert(atom, leader);
        self.carry_out(atom, Role::Leads, outputs, ctx);
    }

    fn current(&self, atom: &AtomId) -> Option<Accepted> {
        self.groups.read().accepted.values().find(|one| one.group.id() == atom.group).cloned()
    }

    fn record(&self, atom: AtomId) -> AggregatorRecord {
        let mut chance = System::default();
        let fresh = || AggregatorRecord::new(atom, Hash(chance.draw()), Hash(chance.draw()));
        self.records.get(&atom).cloned().unwrap_or_else(fresh)
    }

    /// Takes what somebody, be it this node, says of an atom.
    pub(super) fn on_says(&mut self, from: NodeId, atom: AtomId, says: AtomSays, ctx: &mut Context<Self>) {
        let Some(accepted) = self.current(&atom) else {
            if let AtomSays::Invite { .. } = says {
                self.turn_away(from, atom, AtomReason::OtherGroup, ctx);
            }
            return;
        };
        if accepted.group.member(&from).is_none() {
            tracing::debug!(peer = %fingerprint(&from), "a stranger to the group speaks of its atom");
            return;
        }
        let Some((leader, helper)) = accepted.group.aggregators(atom.day) else { return };
        match says {
            AtomSays::Invite { by_hand: true } if self.own_node() == Some(leader) && from != leader => {
                self.on_wish(from, atom, ctx);
            }
            AtomSays::Invite { by_hand } => match self.machines.giving.contains_key(&atom) {
                true => self.contribution_hears(from, atom, &says, ctx),
                false => self.on_invited(from, atom, by_hand, ctx),
            },
            AtomSays::Taken(_) => self.contribution_hears(from, atom, &says, ctx),
            AtomSays::Open { by_hand, .. } => {
                self.begin_helping(from, &accepted, (atom, by_hand), ctx);
                self.helper_hears(from, atom, says, ctx);
            }
            AtomSays::Halves(_) | AtomSays::Verify { .. } | AtomSays::Set { .. } | AtomSays::Table(_) => {
                self.help_again(from, &accepted, atom, ctx);
                self.helper_hears(from, atom, says, ctx);
            }
            AtomSays::Report { .. }
            | AtomSays::Decline(_)
            | AtomSays::Half(_)
            | AtomSays::Ready
            | AtomSays::Verified { .. }
            | AtomSays::Agreed { .. }
            | AtomSays::Seal(_) => self.leader_hears(from, atom, says, ctx),
            AtomSays::Owners { .. } | AtomSays::Values(_) => match from == helper {
                true => self.leader_hears(from, atom, says, ctx),
                false => {
                    self.help_again(from, &accepted, atom, ctx);
                    self.helper_hears(from, atom, says, ctx);
                }
            },
            AtomSays::Ended(reason) => {
                if from == leader {
                    self.contribution_hears(from, atom, &says, ctx);
                    self.helper_hears(from, atom, AtomSays::Ended(reason), ctx);
                    // Of a day that nobody here has a part in, rank 1 could tell anything, as often as it likes.
                    if self.waiting.contains_key(&atom) {
                        self.settle_ended(atom, reason);
                    }
                } else {
                    self.leader_hears(from, atom, says, ctx);
                }
            }
            AtomSays::Closed(closed) => {
                let taken = self.take_closed(vec![*closed]);
                ctx.spawn(taken);
            }
            AtomSays::FeedAsk => self.on_feed_ask(from, atom, CategorySet::default(), ctx),
            AtomSays::FeedAskWithout(kept_back) => self.on_feed_ask(from, atom, kept_back, ctx),
            AtomSays::Feed(parts) => self.on_feed(from, atom, parts, ctx),
        }
    }

    /// A member wants a past day closed: so be it, once.
    fn on_wish(&mut self, from: NodeId, atom: AtomId, ctx: &mut Context<Self>) {
        let outcome = self.groups.read().outcomes.get(&atom).cloned();
        if let Some(Outcome::Closed(closed, ..)) = outcome {
            return self.say(from, atom, AtomSays::Closed(closed), ctx);
        }
        if let Err(reason) = self.may_open(&atom) {
            return self.say(from, atom, AtomSays::Ended(reason), ctx);
        }
        self.wishers.entry(atom).or_default().insert(from);
        self.open(atom, None, ctx);
    }

    /// Decides whether anything may be done for a day at all: it is over, and not for so long that whoever names days
    /// could have us write about more of them than there were.
    pub(super) fn may_open(&self, atom: &AtomId) -> Result<(), AtomReason> {
        let accepted = self.current(atom).ok_or(AtomReason::OtherGroup)?;
        let today = accepted.civil.day_of(clock::now());
        match i64::from(today) - i64::from(atom.day) {
            ..1 => Err(AtomReason::TooEarly),
            1..=BY_HAND_DAYS_MAX => Ok(()),
            _ => Err(AtomReason::NoData),
        }
    }

    fn begin_helping(
        &mut self,
        from: NodeId,
        accepted: &Accepted,
        (atom, by_hand): (AtomId, bool),
        ctx: &mut Context<Self>,
    ) {
        let ranks = accepted.group.aggregators(atom.day);
        let is_ours = ranks.is_some_and(|(leader, helper)| leader == from && self.own_node() == Some(helper));
        if self.machines.helping.contains_key(&atom) || !is_ours {
            return;
        }
        let closed = self.groups.read().closed(&atom).map(|(closed, _)| Box::new(closed.clone()));
        if let Some(closed) = closed {
            // Rank 1 died between the seal and its disk: what both have signed is all that there will be.
            return self.say(from, atom, AtomSays::Closed(closed), ctx);
        }
        if let Err(reason) = self.may_open(&atom) {
            return self.say(from, atom, AtomSays::Ended(reason), ctx);
        }
        let Some(closing) = Closing::new(Arc::clone(&accepted.group), atom.day) else { return };
        let Ok(sealing) = self.sealing().cloned() else { return };
        let window = if by_hand { Window::ByHand } else { Window::Daily(self.window_end(&atom)) };
        let (helper, outputs) = Helper::new(closing, sealing, self.record(atom), window, Instant::now());
        self.machines.helping.insert(atom, helper);
        self.carry_out(atom, Role::Helps, outputs, ctx);
    }

    /// Goes on with an atom that this node helped to close before it was started anew: rank 1 need not know of that.
    fn help_again(&mut self, from: NodeId, accepted: &Accepted, atom: AtomId, ctx: &mut Context<Self>) {
        if self.records.contains_key(&atom) {
            let now = clock::now();
            let by_hand = now >= accepted.civil.at(atom.day.saturating_add(1), ENDING_HOUR);
            self.begin_helping(from, accepted, (atom, by_hand), ctx);
        }
    }

    pub(super) fn contribution_hears(
        &mut self,
        from: NodeId,
        atom: AtomId,
        says: &AtomSays,
        ctx: &mut Context<Self>,
    ) {
        if let Some(machine) = self.machines.giving.get_mut(&atom) {
            let outputs = machine.on(from, says, Instant::now());
            self.carry_out(atom, Role::Gives, outputs, ctx);
        }
    }

    fn leader_hears(&mut self, from: NodeId, atom: AtomId, says: AtomSays, ctx: &mut Context<Self>) {
        if let Some(machine) = self.machines.leading.get_mut(&atom) {
            let proven = proven(&says, from);
            let outputs = machine.on(from, says, proven, Instant::now());
            self.carry_out(atom, Role::Leads, outputs, ctx);
        }
    }

    fn helper_hears(&mut self, from: NodeId, atom: AtomId, says: AtomSays, ctx: &mut Context<Self>) {
        let leader = self.current(&atom).and_then(|one| one.group.aggregators(atom.day)).map(|ranks| ranks.0);
        if let Some(machine) = self.machines.helping.get_mut(&atom) {
            if let AtomSays::Table(table) = &says
                && leader == Some(from)
            {
                self.machines.tables.insert(atom, table.clone());
            }
            let proven = proven(&says, from);
            let outputs = machine.on(from, says, proven, Instant::now());
            self.carry_out(atom, Role::Helps, outputs, ctx);
        }
    }

    /// Tells every machine whose deadline is past.
    pub(super) fn on_timeout(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        let mut outputs = Vec::new();
        for (atom, machine) in &mut self.machines.giving {
            if machine.deadline().is_some_and(|at| at <= now) {
                outputs.push((*atom, Role::Gives, machine.on_timeout(now)));
            }
        }
        for (atom, machine) in &mut self.machines.leading {
            if machine.deadline().is_some_and(|at| at <= now) {
                outputs.push((*atom, Role::Leads, machine.on_timeout(now)));
            }
        }
        for (atom, machine) in &mut self.machines.helping {
            if machine.deadline().is_some_and(|at| at <= now) {
                outputs.push((*atom, Role::Helps, machine.on_timeout(now)));
            }
        }
        for (atom, role, outputs) in outputs {
            self.carry_out(atom, role, outputs, ctx);
        }
        // Rank 2 has a closed day at hand for a while, and then it has no further use.
        self.machines.helping.retain(|_, machine| machine.deadline().is_some());
        let helping = &self.machines.helping;
        self.machines.tables.retain(|atom, _| helping.contains_key(atom));
    }

    /// Tells every machine that a link is up.
    pub(super) fn on_connected(&mut self, node: NodeId, ctx: &mut Context<Self>) {
        let now = Instant::now();
        let mut outputs = Vec::new();
        for (atom, machine) in &mut self.machines.giving {
            outputs.push((*atom, Role::Gives, machine.on_connected(node, now)));
        }
        for (atom, machine) in &mut self.machines.leading {
            outputs.push((*atom, Role::Leads, machine.on_connected(node, now)));
        }
        for (atom, role, outputs) in outputs {
            self.carry_out(atom, role, outputs, ctx);
        }
    }

    /// Lets go of the machines of a group that was left.
    pub(super) fn forget_machines(&mut self, is_left: impl Fn(&AtomId) -> bool) {
        self.machines.giving.retain(|atom, _| !is_left(atom));
        let given = self.ledger.iter().map(|(day, given)| AtomId { group: given.group, day: *day });
        given.filter(&is_left).for_each(|atom| self.report_files.forget(&atom));
        self.machines.leading.retain(|atom, _| !is_left(atom));
        self.machines.helping.retain(|atom, _| !is_left(atom));
    }

    /// Returns what is written of an atom that was closed with our help.
    pub(super) fn closing(&self, atom: AtomId, closed: &ClosedAtom, role: Role) -> Option<(Keep, Outcome)> {
        let accepted = self.current(&atom)?;
        let table = groups_desk::verify(closed, &accepted.group)
            .inspect_err(
                |error| say!(Class::AtomUnsound, %error, "the atom that was closed here does not verify"),
            )
            .ok()?;
        let count = u64::from(table.contributors);
        let other = match role {
            Role::Leads => table.aggregators.1,
            Role::Helps | Role::Gives => table.aggregators.0,
        };
        let outcome = Outcome::Closed(Box::new(closed.clone()), Arc::new(table), clock::now());
        let deed = AuditEntry { count, ..Self::entry(Deed::AtomClosed, Some(other), &atom, Reason::None) };
        Some((Keep { entries: vec![outcome_entry(&atom, &outcome)], deeds: vec![deed] }, outcome))
    }

    /// Tells all members, once the atom is on disk here.
    pub(super) fn spread(&self, atom: AtomId, closed: &ClosedAtom, role: Role, ctx: &Context<Self>) {
        let Some(accepted) = self.current(&atom).filter(|_| role == Role::Leads) else { return };
        let own = self.own_node();
        say!(
            Class::DayClosed,
            day = atom.day,
            group = accepted.group.file().name,
            "a day of a group is closed"
        );
        for member in &accepted.group.file().members {
            let to = member.card.node;
            // Our own contribution hears of it as well.
            if self.linked.contains(&to) || Some(to) == own {
                self.say(to, atom, AtomSays::Closed(Box::new(closed.clone())), ctx);
            }
        }
    }

    pub(super) fn on_ended(&mut self, atom: AtomId, role: Role, reason: AtomReason, ctx: &mut Context<Self>) {
        say!(Class::DayEnded, day = atom.day, ?role, %reason, "a day of a group ended without an atom");
        match role {
            Role::Gives => drop(self.machines.giving.remove(&atom)),
            Role::Helps => drop(self.machines.helping.remove(&atom)),
            Role::Leads => {
                drop(self.machines.leading.remove(&atom));
                for wisher in self.wishers.remove(&atom).unwrap_or_default() {
                    self.say(wisher, atom, AtomSays::Ended(reason), ctx);
                }
            }
        }
        if role != Role::Gives {
            let ranks = self.current(&atom).and_then(|one| one.group.aggregators(atom.day));
            let other = ranks.map(|(leader, helper)| if role == Role::Leads { helper } else { leader });
            self.note(vec![Self::entry(Deed::AtomEnded, other, &atom, reason_of(reason))]);
        }
        self.settle_ended(atom, reason);
        self.set_timer(ctx);
    }

    fn settle_ended(&mut self, atom: AtomId, reason: AtomReason) {
        let outcome = Outcome::Ended(reason, clock::now());
        let entries = vec![outcome_entry(&atom, &outcome)];
        if self.groups.read().closed(&atom).is_none()
            && self.keep.try_send(Keep { entries, deeds: Vec::new() }).is_err()
        {
            say!(Class::EndUnwritten, "the store is too busy for the end of a day");
        }
        self.settle(atom, outcome);
    }

    /// Takes closed atoms that somebody had: those that verify are kept, and can be looked at when this is done.
    pub(super) fn take_closed(&self, atoms: Vec<ClosedAtom>) -> ResponseActFuture<Self, ()> {
        let mut outcomes: BTreeMap<AtomId, Outcome> = BTreeMap::new();
        let groups = self.groups.read();
        for closed in atoms {
            let peeked = object::read::<Atom>(&closed.table, None).map(|object| object.body);
            let Ok(Atom { group, day, .. }) = peeked else { continue };
            let id = AtomId { group, day };
            // Members have the same ones: each is verified and written once.
            if groups.closed(&id).is_some() || outcomes.contains_key(&id) {
                continue;
            }
            let Some(accepted) = groups.by_id(&group).filter(|accepted| may_keep(accepted, day)) else {
                continue;
            };
            let Some(known) = accepted.version(&group) else { continue };
            match groups_desk::verify(&closed, known) {
                Ok(atom) => {
                    outcomes.insert(id, Outcome::Closed(Box::new(closed), Arc::new(atom), clock::now()));
                }
                Err(error) => say!(Class::AtomRefused, %error, day, "an atom is refused"),
            }
        }
        drop(groups);
        if outcomes.is_empty() {
            return Box::pin(async {}.into_actor(self));
        }
        let entries = outcomes.iter().map(|(id, outcome)| outcome_entry(id, outcome)).collect();
        let kept = self.keep.send(Keep { entries, deeds: Vec::new() }).into_actor(self);
        Box::pin(kept.map(move |kept, actor, _| {
            if let Ok(Ok(())) = kept {
                outcomes.into_iter().for_each(|(id, outcome)| actor.settle(id, outcome));
            }
        }))
    }
}

/// Tells whether an atom of that day is kept: it is over, and can be asked for.
fn may_keep(accepted: &Accepted, day: i32) -> bool {
    let today = i64::from(accepted.civil.day_of(clock::now()));
    (1..=i64::from(DAYS_MAX)).contains(&(today - i64::from(day)))
}

/// Verifies the object in what was said; the machine judges what follows from it.
fn proven(says: &AtomSays, from: NodeId) -> Option<Proven> {
    let read = |signed: &Signed, issuer| object::read::<Report>(signed, issuer).ok().map(Proven::Report);
    match says {
        AtomSays::Report { report, .. } => read(report, Some(from)),
        AtomSays::Verify { report, .. } => read(report, None),
        AtomSays::Table(signed) => {
            object::read::<Atom>(signed, Some(from)).ok().map(|object| Proven::Table(Box::new(object)))
        }
        AtomSays::Seal(signed) => object::read::<AtomSeal>(signed, Some(from)).ok().map(Proven::Seal),
        AtomSays::Invite { .. }
        | AtomSays::Decline(_)
        | AtomSays::Taken(_)
        | AtomSays::Open { .. }
        | AtomSays::Half(_)
        | AtomSays::Halves(_)
        | AtomSays::Ready
        | AtomSays::Verified { .. }
        | AtomSays::Set { .. }
        | AtomSays::Agreed { .. }
        | AtomSays::Owners { .. }
        | AtomSays::Values(_)
        | AtomSays::Closed(_)
        | AtomSays::Ended(_)
        | AtomSays::FeedAsk
        | AtomSays::FeedAskWithout(_)
        | AtomSays::Feed(_) => None,
    }
}
