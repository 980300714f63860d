//! Our own numbers of a day: when they are given, to whom, and of which machines.
//!
//! Rank 1 invites, and this machine decides: by its policy, by the group it has accepted, by the ranking, by the clock,
//! and by its ledger. What it gives is on disk as given before the first share leaves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, SpawnHandle, WrapFuture};
use karo_core::atom::counts::DayCounts;
use karo_core::atom::ledger::may_give;
use karo_core::group::Group;
use karo_core::policy;
use karo_core::sum::{Closing, Contribution, REPORTS_EACH_MAX, Window};
use karo_protocol::atom::{AtomId, AtomReason, AtomSays, PartCounts, Report};
use karo_protocol::audit::{Deed, Reason};
use karo_protocol::category::CategorySet;
use karo_protocol::node::{Hash, Nonce};
use karo_protocol::{NodeId, Timestamp};
use karo_trust::{Chance, System, fingerprint, object};

use super::actor::GroupsActor;
use super::closing::Role;
use super::kept::{GivenDay, given_entry};
use crate::actors::peers::Noted;
use crate::actors::query::Tabulate;
use crate::actors::store::Keep;
use crate::clock;
use crate::logging::say;
use crate::report_files::KeptReport;

/// How long our owner's other machines may take to give us their numbers: they are counted, not computed.
const FEED_PATIENCE: Duration = Duration::from_secs(10);

/// Reports are counted of days this far apart: further than a day can be closed by hand.
const REPORTED_DAYS_MAX: u32 = 64;

/// Numbers of our owner's other machines, on their way.
pub(super) struct Feeding {
    window: Window,
    /// What the policy kept back when they were asked.
    kept_back: CategorySet,
    /// How many machines there are besides this one.
    all: u16,
    waiting: BTreeSet<NodeId>,
    got: Vec<Vec<PartCounts>>,
    timer: SpawnHandle,
}

/// What this machine needs to know of a day before it gives anything.
struct Occasion {
    group: Arc<Group>,
    since: Timestamp,
    until: Timestamp,
    zone: karo_protocol::query::Zone,
}

impl GroupsActor {
    /// Decides about an invitation.
    pub(super) fn on_invited(&mut self, from: NodeId, atom: AtomId, by_hand: bool, ctx: &mut Context<Self>) {
        if self.feeding.contains_key(&atom) {
            return;
        }
        if let Err(reason) = self.may_give(from, &atom, by_hand) {
            return self.decline(from, atom, reason, ctx);
        }
        let window = if by_hand { Window::ByHand } else { Window::Daily(self.window_end(&atom)) };
        if self.ledger.get(&atom.day).is_some_and(|given| given.group == atom.group) {
            return match self.begin_again(atom, window) {
                Ok(()) => self.contribution_hears(from, atom, &AtomSays::Invite { by_hand }, ctx),
                Err(reason) => self.decline(from, atom, reason, ctx),
            };
        }
        let kept_back = policy::kept_back(&self.policy.now());
        let (all, linked) = self.siblings(&atom);
        for node in &linked {
            let says = match kept_back == CategorySet::default() {
                true => AtomSays::FeedAsk,
                false => AtomSays::FeedAskWithout(kept_back),
            };
            self.say(*node, atom, says, ctx);
        }
        let timer = ctx.run_later(FEED_PATIENCE, move |actor, ctx| actor.gather(atom, ctx));
        let is_fed = linked.is_empty();
        let got = Vec::new();
        self.feeding.insert(atom, Feeding { window, kept_back, all, waiting: linked, got, timer });
        if is_fed {
            self.gather(atom, ctx);
        }
    }

    /// Goes on with a day that was given to this group before: with the same report, to the last byte. Without it
    /// nothing is given: nobody here knows any more where the report that the ledger names has come to.
    fn begin_again(&mut self, atom: AtomId, window: Window) -> Result<(), AtomReason> {
        let own = self.own_node().ok_or(AtomReason::Busy)?;
        let group = self.groups.read().by_id(&atom.group).map(|accepted| Arc::clone(&accepted.group));
        let closing = group.and_then(|group| Closing::new(group, atom.day)).ok_or(AtomReason::WrongRank)?;
        let found = self.report_files.find(&atom).unwrap_or_else(|error| {
            say!(Class::ReportRefused, day = atom.day, %error, "what was given of a day is refused");
            None
        });
        let KeptReport { signed, boxes, kept_back } = found.ok_or(AtomReason::NoData)?;
        let object = object::read::<Report>(&signed, Some(own)).map_err(|_| AtomReason::Invalid)?;
        let is_given = self.ledger.get(&atom.day).is_some_and(|given| given.report == object.id);
        if !is_given {
            return Err(AtomReason::Invalid);
        }
        self.count_report(atom)?;
        let now = std::time::Instant::now();
        let again = Contribution::again(closing, own, (signed, &object), boxes, (window, now))?;
        self.machines.kept_back.insert(atom, kept_back);
        self.machines.giving.insert(atom, again);
        Ok(())
    }

    /// Counts how often rank 1 has us give a report of a day anew: it could have us do it every second.
    fn count_report(&mut self, atom: AtomId) -> Result<(), AtomReason> {
        self.reports.retain(|one, _| one.day.abs_diff(atom.day) <= REPORTED_DAYS_MAX);
        let made = self.reports.entry(atom).or_default();
        if *made >= REPORTS_EACH_MAX {
            return Err(AtomReason::Replayed);
        }
        *made += 1;
        Ok(())
    }

    /// Tells whether what is given of a day may still leave: the policy may be stricter than when it was counted.
    pub(super) fn may_leave(&self, atom: &AtomId) -> bool {
        let policy = self.policy.now();
        let kept_back = self.machines.kept_back.get(atom).copied().unwrap_or_default();
        policy.groups && policy::covers(kept_back, policy::kept_back(&policy))
    }

    /// Gives no more of a day, because a person said no in the middle of it.
    pub(super) fn break_off(&mut self, atom: AtomId, reason: AtomReason, ctx: &Context<Self>) {
        self.machines.giving.remove(&atom);
        let ranks = self.groups.read().by_id(&atom.group).and_then(|one| one.group.aggregators(atom.day));
        if let Some((leader, _)) = ranks {
            self.decline(leader, atom, reason, ctx);
        }
    }

    /// Gives nothing to somebody whom nothing of that day would be given to anyway: that is not remembered, because
    /// they could name any number of days, and alike ones are counted together in the audit.
    pub(super) fn turn_away(&self, from: NodeId, atom: AtomId, reason: AtomReason, ctx: &Context<Self>) {
        if let Some(peers) = &self.peers {
            let noted = Noted { deed: Deed::DayRefused, peer: Some(from), reason: reason_of(reason) };
            if peers.noted.try_send(noted).is_err() {
                say!(Class::AuditDelayed, "the mesh is too busy for the audit of a day that is not given");
            }
        }
        self.say(from, atom, AtomSays::Decline(reason), ctx);
    }

    fn decline(&mut self, to: NodeId, atom: AtomId, reason: AtomReason, ctx: &Context<Self>) {
        let ranks = self.groups.read().by_id(&atom.group).and_then(|one| one.group.aggregators(atom.day));
        if ranks.is_none_or(|(leader, _)| leader != to) || self.may_open(&atom).is_err() {
            return self.turn_away(to, atom, reason, ctx);
        }
        if self.refusals.insert(atom, reason) != Some(reason) {
            say!(Class::DayUngiven, peer = %fingerprint(&to), day = atom.day, %reason, "a day is not given");
            self.note(vec![Self::entry(Deed::DayRefused, Some(to), &atom, reason_of(reason))]);
        }
        self.say(to, atom, AtomSays::Decline(reason), ctx);
    }

    /// Decides whether anything may be given of a day at all.
    fn may_give(&self, from: NodeId, atom: &AtomId, by_hand: bool) -> Result<(), AtomReason> {
        let own = self.own_node().ok_or(AtomReason::Busy)?;
        let groups = self.groups.read();
        let current = groups.accepted.values().find(|one| one.group.id() == atom.group);
        let accepted = current.ok_or(AtomReason::OtherGroup)?;
        if !self.policy.now().groups {
            return Err(AtomReason::NotSharing);
        }
        if accepted.group.aggregators(atom.day).is_none_or(|(leader, _)| leader != from) {
            return Err(AtomReason::WrongRank);
        }
        self.may_open(atom)?;
        let now = clock::now();
        let opens = accepted
            .civil
            .at(atom.day.saturating_add(1), if by_hand { 0 } else { super::actor::OPENING_HOUR });
        if now < opens {
            return Err(AtomReason::TooEarly);
        }
        if groups.closed(atom).is_some() {
            return Err(AtomReason::AlreadyClosed);
        }
        if !accepted.group.member(&own).is_some_and(|member| member.contributes) {
            return Err(AtomReason::OtherGroup);
        }
        Ok(())
    }

    /// Returns how many other machines our owner has in the group, and those that can be asked now.
    fn siblings(&self, atom: &AtomId) -> (u16, BTreeSet<NodeId>) {
        let groups = self.groups.read();
        let group = groups.by_id(&atom.group).map(|accepted| &accepted.group);
        let (Some(group), Some(own)) = (group, self.own_node()) else { return (0, BTreeSet::new()) };
        let all: Vec<NodeId> = group.siblings(&own).map(|member| member.card.node).collect();
        let count = u16::try_from(all.len()).unwrap_or(u16::MAX);
        (count, all.into_iter().filter(|node| self.linked.contains(node)).collect())
    }

    fn occasion(&self, atom: &AtomId) -> Option<Occasion> {
        let groups = self.groups.read();
        let accepted = groups.accepted.values().find(|one| one.group.id() == atom.group)?;
        let (since, until) = (accepted.civil.start_of(atom.day), accepted.civil.start_of(atom.day + 1));
        let zone = accepted.civil.between(since, until);
        Some(Occasion { group: Arc::clone(&accepted.group), since, until, zone })
    }

    /// Counts our own day, without what is kept back.
    fn count(
        &self,
        occasion: Occasion,
        kept_back: CategorySet,
    ) -> impl Future<Output = Result<DayCounts, AtomReason>> + use<> {
        let layout = Arc::clone(occasion.group.layout());
        let asked = self.tabulate.send(Tabulate {
            layout,
            since: occasion.since,
            until: occasion.until,
            zone: occasion.zone,
            kept_back,
        });
        async move { asked.await.map_err(|_| AtomReason::Busy)?.ok_or(AtomReason::Busy) }
    }

    /// Counts our own day, adds what our other machines gave, and makes the report.
    fn gather(&mut self, atom: AtomId, ctx: &mut Context<Self>) {
        let Some(occasion) = self.occasion(&atom) else {
            self.feeding.remove(&atom);
            return;
        };
        let Some(feeding) = self.feeding.get_mut(&atom) else { return };
        ctx.cancel_future(feeding.timer);
        feeding.waiting.clear();
        let kept_back = feeding.kept_back;
        let group = Arc::clone(&occasion.group);
        let counted = self.count(occasion, kept_back).into_actor(self);
        ctx.spawn(counted.map(move |counted, actor, ctx| {
            let Some(feeding) = actor.feeding.remove(&atom) else { return };
            let Some((leader, _)) = group.aggregators(atom.day) else { return };
            if !policy::covers(feeding.kept_back, policy::kept_back(&actor.policy.now())) {
                // A person keeps back more than when it was counted, and the stricter one holds: it is counted anew.
                return actor.on_invited(leader, atom, feeding.window.is_by_hand(), ctx);
            }
            let made = counted.and_then(|counts| actor.contribute(&group, atom, counts, feeding, ctx));
            if let Err(reason) = made {
                actor.decline(leader, atom, reason, ctx);
            }
        }));
    }

    fn contribute(
        &mut self,
        group: &Arc<Group>,
        atom: AtomId,
        mut counts: DayCounts,
        Feeding { window, kept_back, all, got, .. }: Feeding,
        ctx: &mut Context<Self>,
    ) -> Result<(), AtomReason> {
        let own = self.own_node().ok_or(AtomReason::Busy)?;
        let read = |parts: &Vec<PartCounts>| {
            DayCounts::from_parts(Arc::clone(group.layout()), parts)
                .inspect_err(|error| say!(Class::FeedRefused, %error, "numbers of another machine of ours are refused"))
                .ok()
        };
        let feeds: Vec<DayCounts> = got.iter().filter_map(read).collect();
        let left_out = counts.merge(&feeds);
        let fed = u16::try_from(feeds.len() - left_out).unwrap_or(u16::MAX);
        let table = counts.hash();
        may_give(self.ledger.get(&atom.day).map(GivenDay::given).as_ref(), atom.group, table)?;
        self.count_report(atom)?;
        let closing = Closing::new(Arc::clone(group), atom.day).ok_or(AtomReason::WrongRank)?;
        let numbers: Vec<Vec<u128>> = group
            .parts()
            .into_iter()
            .filter_map(|part| counts.vectors(part))
            .flat_map(|(values, marks)| [values, marks])
            .collect();
        let mut chance = System::default();
        let drawn = (Nonce(chance.draw()), chance.draw());
        let now = std::time::Instant::now();
        let (contribution, outputs) = Contribution::new(closing, own, &numbers, table, drawn, (window, now))?;
        self.machines.fed.insert(atom, (fed, all));
        self.machines.kept_back.insert(atom, kept_back);
        self.machines.giving.insert(atom, contribution);
        self.carry_out(atom, Role::Gives, outputs, ctx);
        Ok(())
    }

    /// Writes into the ledger that a day is given; what is said afterwards is said of what is on disk.
    pub(super) fn given(&self, atom: AtomId, table: Hash, report: Nonce) -> (GivenDay, Keep) {
        let fed = self.machines.fed.get(&atom).copied().unwrap_or_default();
        let given = GivenDay { group: atom.group, table, report, at: clock::now(), fed };
        let groups = self.groups.read();
        let leader =
            groups.by_id(&atom.group).and_then(|one| one.group.aggregators(atom.day)).map(|ranks| ranks.0);
        let deed = Self::entry(Deed::DayGiven, leader, &atom, Reason::None);
        (given, Keep { entries: vec![given_entry(atom.day, &given)], deeds: vec![deed] })
    }

    /// Gives our numbers to the machine that gives our owner's, and to nobody else.
    ///
    /// What that machine's policy keeps back is kept back here as well: it is told in the name of both.
    pub(super) fn on_feed_ask(
        &mut self,
        from: NodeId,
        atom: AtomId,
        kept_back: CategorySet,
        ctx: &mut Context<Self>,
    ) {
        let occasion = self.may_feed(from, &atom).and_then(|()| self.occasion(&atom));
        let Some(occasion) = occasion else {
            return self.say(from, atom, AtomSays::Feed(None), ctx);
        };
        let own = policy::kept_back(&self.policy.now());
        let kept_back: CategorySet = own.iter().chain(kept_back.iter()).collect();
        let counted = self.count(occasion, kept_back).into_actor(self);
        ctx.spawn(counted.map(move |counted, actor, ctx| match counted {
            Ok(counts) => actor.feed(from, atom, (&counts, kept_back), ctx),
            Err(_) => actor.say(from, atom, AtomSays::Feed(None), ctx),
        }));
    }

    fn feed(
        &mut self,
        to: NodeId,
        atom: AtomId,
        (counts, kept_back): (&DayCounts, CategorySet),
        ctx: &mut Context<Self>,
    ) {
        let table = counts.hash();
        let before = self.ledger.get(&atom.day).map(GivenDay::given);
        if may_give(before.as_ref(), atom.group, table).is_err() || !self.may_be_fed(kept_back) {
            return self.say(to, atom, AtomSays::Feed(None), ctx);
        }
        let given =
            GivenDay { group: atom.group, table, report: Nonce([0; 16]), at: clock::now(), fed: (0, 0) };
        let deed = Self::entry(Deed::DayGiven, Some(to), &atom, Reason::None);
        let kept = self.keep.send(Keep { entries: vec![given_entry(atom.day, &given)], deeds: vec![deed] });
        let parts = counts.to_parts();
        ctx.spawn(kept.into_actor(self).map(move |kept, actor, ctx| {
            let is_kept = matches!(kept, Ok(Ok(())));
            if is_kept {
                actor.ledger.insert(atom.day, given);
            }
            let parts = (is_kept && actor.may_be_fed(kept_back)).then_some(parts);
            actor.say(to, atom, AtomSays::Feed(parts), ctx);
        }));
    }

    fn may_be_fed(&self, kept_back: CategorySet) -> bool {
        let policy = self.policy.now();
        policy.groups && policy::covers(kept_back, policy::kept_back(&policy))
    }

    /// Decides whether our numbers may go to another machine in the clear: only to the one that gives our owner's, and
    /// only if it is trusted with summaries here, because what it gets is as much as one.
    fn may_feed(&self, from: NodeId, atom: &AtomId) -> Option<()> {
        let own = self.own_node()?;
        let groups = self.groups.read();
        let accepted = groups.accepted.values().find(|one| one.group.id() == atom.group)?;
        let member = accepted.group.member(&own)?;
        let is_ours =
            accepted.group.contributor_of(&member.owner).is_some_and(|other| other.card.node == from);
        let is_trusted = self.roster.admit(from, None).is_ok_and(karo_protocol::Trust::gets_summaries);
        let is_over = self.may_open(atom).is_ok();
        (is_ours && from != own && is_trusted && is_over && self.policy.now().groups).then_some(())
    }

    pub(super) fn on_feed(
        &mut self,
        from: NodeId,
        atom: AtomId,
        parts: Option<Vec<PartCounts>>,
        ctx: &mut Context<Self>,
    ) {
        let Some(feeding) = self.feeding.get_mut(&atom) else { return };
        if !feeding.waiting.remove(&from) {
            return;
        }
        feeding.got.extend(parts);
        if feeding.waiting.is_empty() {
            self.gather(atom, ctx);
        }
    }
}

/// Returns what the audit calls a reason.
pub(super) const fn reason_of(reason: AtomReason) -> Reason {
    match reason {
        AtomReason::NotSharing => Reason::Policy,
        AtomReason::GivenElsewhere
        | AtomReason::Changed
        | AtomReason::AlreadyClosed
        | AtomReason::Replayed => Reason::Given,
        AtomReason::OtherGroup | AtomReason::WrongRank => Reason::Untrusted,
        AtomReason::TooEarly => Reason::Clock,
        AtomReason::TooFew => Reason::TooFew,
        AtomReason::Invalid | AtomReason::Disagreed => Reason::Invalid,
        AtomReason::Gone => Reason::Away,
        AtomReason::NoData | AtomReason::Busy => Reason::None,
    }
}
