//! Telling peers: what is due is made, kept and pushed; and what they ask for is answered.
//!
//! The policy is asked again before each deed: when something is made, and when it leaves. What was made under a
//! policy that kept less back does not leave any more; it is made anew.

use std::time::Instant;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use karo_core::calendar;
use karo_core::policy::covers;
use karo_core::rollup::Rollup;
use karo_protocol::answer::Status;
use karo_protocol::audit::{AuditEntry, Deed, Reason};
use karo_protocol::category::CategorySet;
use karo_protocol::summary::{Period, SUMMARIES_PAGE_MAX, SummaryId, SummaryTalk};
use karo_protocol::{NodeId, Timestamp};
use karo_trust::fingerprint;

use super::actor::SummaryActor;
use super::kept::put;
use super::making::{Between, Due, Maker, Wanted};
use crate::actors::peers::Noted;
use crate::actors::store::{RolledUp, Touched};
use crate::auditor::entry;
use crate::clock;
use crate::logging::say;

/// Summaries that a peer was sent and has not taken yet.
const IN_FLIGHT_MAX: usize = 32;

/// Summaries in all pages of one answer.
const ANSWERED_MAX: usize = 256;

impl SummaryActor {
    /// Looks whether something is due to those who are linked, makes it, and pushes it.
    pub(super) fn look(&mut self, ctx: &mut Context<Self>) {
        let is_anybody_told = self.linked.iter().any(|node| self.is_told(node).is_some());
        if self.is_looking || self.own.is_none() || !is_anybody_told {
            return;
        }
        self.is_looking = true;
        let touched = self.sources.touched.send(Touched).into_actor(self);
        ctx.spawn(touched.map(|touched, actor, ctx| match touched {
            Ok(touched) => actor.look_since(touched, ctx),
            Err(_) => actor.is_looking = false,
        }));
    }

    fn look_since(&mut self, touched: Option<Timestamp>, ctx: &mut Context<Self>) {
        for looked in self.looked_until.values_mut() {
            *looked = touched.map_or(*looked, |touched| touched.min(*looked));
        }
        let now = clock::now();
        let hour = calendar::span_of(&Self::zone(now, now), Period::Hourly, now).start;
        let looked = |node: &NodeId| self.looked_until.get(node).copied().unwrap_or(Timestamp::MIN);
        let told = self.linked.iter().filter(|node| self.is_told(node).is_some());
        let behind: Vec<NodeId> = told.filter(|node| looked(node) < hour).copied().collect();
        let Some(first) = behind.iter().map(looked).min() else {
            self.is_looking = false;
            return self.push_all();
        };
        let since = self.since(first, now);
        let rolled_up = self.sources.rolled_up.send(RolledUp { since, until: now }).into_actor(self);
        ctx.spawn(rolled_up.map(move |rollup, actor, ctx| {
            actor.is_looking = false;
            // They are being made anew: the next look finds them.
            if let Ok(Some(rollup)) = rollup {
                actor.make(&rollup, (since, now), &behind, ctx);
            }
        }));
    }

    /// Makes what is due to these peers, by the policy of this moment.
    fn make(
        &mut self,
        rollup: &Rollup,
        (since, now): (Timestamp, Timestamp),
        peers: &[NodeId],
        ctx: &mut Context<Self>,
    ) {
        let Some(own) = self.own.clone() else { return };
        let zone = Self::zone(since, now);
        let mut maker = Maker::new(rollup, &zone, now);
        let wanted = Wanted { periods: Period::ALL, since, until: now, is_asked: false };
        let mut all: Vec<(NodeId, Vec<Due>)> = Vec::new();
        for node in peers {
            if let Some(kept_back) = self.is_told(node) {
                let between = Between { own: &own, to: *node, kept_back };
                all.push((*node, maker.due(between, &self.sent, wanted)));
            }
        }
        let entries =
            all.iter().flat_map(|(node, due)| due.iter().map(|one| put(node, &one.id, &one.sent))).collect();
        let deeds = all.iter().filter_map(|(node, due)| told(*node, Deed::SummarySent, due)).collect();
        self.keep((entries, deeds), ctx, move |actor, kept, _| {
            if let Err(failure) = kept {
                say!(
                    Class::SummariesUnwritten,
                    failure.message,
                    "summaries are not told: they could not be written down"
                );
                return;
            }
            for (node, due) in all {
                due.into_iter().for_each(|one| actor.sent.insert(node, one.id, one.sent));
                actor.looked_until.insert(node, now);
                actor.push(node);
            }
        });
    }

    fn push_all(&mut self) {
        let linked: Vec<NodeId> = self.linked.iter().copied().collect();
        linked.into_iter().for_each(|node| self.push(node));
    }

    /// Says to a peer what it has not taken yet, the oldest first, as much at once as may be under way.
    pub(super) fn push(&mut self, node: NodeId) {
        let Some(kept_back) = self.is_told(&node).filter(|_| self.linked.contains(&node)) else { return };
        let in_flight = self.in_flight.entry(node).or_default();
        let mut waiting: Vec<(&SummaryId, Timestamp)> = self
            .sent
            .of(&node)
            .filter(|(id, sent)| {
                !sent.is_taken && !in_flight.contains(*id) && covers(sent.kept_back, kept_back)
            })
            .map(|(id, sent)| (id, sent.end))
            .collect();
        waiting.sort_by_key(|(id, end)| (*end, **id));
        let room = IN_FLIGHT_MAX.saturating_sub(in_flight.len());
        let now: Vec<SummaryId> = waiting.into_iter().take(room).map(|(id, _)| *id).collect();
        in_flight.extend(&now);
        for id in now {
            if let Some(sent) = self.sent.at(&node, &id) {
                self.say(node, SummaryTalk::Push(sent.signed.clone()));
            }
        }
    }

    /// A peer has one of ours on disk.
    pub(super) fn on_taken(&mut self, node: NodeId, id: SummaryId, version: u64, ctx: &mut Context<Self>) {
        if let Some(in_flight) = self.in_flight.get_mut(&node) {
            in_flight.remove(&id);
        }
        let sent = self.sent.at(&node, &id).filter(|sent| !sent.is_taken && version >= sent.version).cloned();
        if let Some(mut sent) = sent {
            sent.is_taken = true;
            self.keep_aside(vec![put(&node, &id, &sent)], ctx);
            self.sent.insert(node, id, sent);
        }
        self.push(node);
    }

    /// A peer asks for ours.
    pub(super) fn on_ask(
        &mut self,
        node: NodeId,
        id: u64,
        (since, until, periods): (Timestamp, Timestamp, &[Period]),
        ctx: &mut Context<Self>,
    ) {
        let is_allowed = self.allowances(node).asking.take(Instant::now());
        let Some(kept_back) = self.may_ask(&node) else {
            self.note(Noted::refused(Some(node), Reason::Policy));
            return self.answer(node, id, Status::AccessDenied);
        };
        if !is_allowed {
            return self.answer(node, id, Status::Error);
        }
        let now = clock::now();
        let from = self.since(since, now);
        let mut wanted: Vec<Period> =
            Period::ALL.iter().copied().filter(|one| periods.contains(one)).collect();
        if wanted.is_empty() {
            wanted = Period::ALL.to_vec();
        }
        let rolled_up = self.sources.rolled_up.send(RolledUp { since: from, until: now }).into_actor(self);
        ctx.spawn(rolled_up.map(move |rollup, actor, ctx| match rollup {
            Ok(Some(rollup)) => {
                let wanted = Wanted { periods: &wanted, since: since.max(from), until, is_asked: true };
                actor.make_answer((node, id), &rollup, wanted, kept_back, ctx);
            }
            Ok(None) | Err(_) => actor.answer(node, id, Status::Error),
        }));
    }

    /// Makes what a peer asked for. What the policy kept back when it asked stays back, and what it keeps back by now.
    fn make_answer(
        &mut self,
        (node, id): (NodeId, u64),
        rollup: &Rollup,
        wanted: Wanted<'_>,
        asked: CategorySet,
        ctx: &mut Context<Self>,
    ) {
        let (Some(own), Some(kept_back)) = (self.own.clone(), self.may_ask(&node)) else {
            return self.answer(node, id, Status::AccessDenied);
        };
        let kept_back: CategorySet = kept_back.iter().chain(asked.iter()).collect();
        let now = clock::now();
        let zone = Self::zone(wanted.since.max(self.since(Timestamp::MIN, now)), now);
        let due = Maker::new(rollup, &zone, now).due(
            Between { own: &own, to: node, kept_back },
            &self.sent,
            wanted,
        );
        let (since, until) = (wanted.since, wanted.until);
        let periods = wanted.periods.to_vec();
        let entries = due.iter().map(|one| put(&node, &one.id, &one.sent)).collect();
        let deeds = vec![AuditEntry { peer: Some(node), ..entry(Deed::QueryAnswered) }];
        self.keep((entries, deeds), ctx, move |actor, kept, _| {
            if kept.is_err() {
                return actor.answer(node, id, Status::Error);
            }
            due.into_iter().for_each(|one| actor.sent.insert(node, one.id, one.sent));
            actor.say_answer(node, id, &periods, (since, until));
        });
    }

    /// Says what is kept for a peer of a time, page by page.
    fn say_answer(&self, node: NodeId, id: u64, periods: &[Period], (since, until): (Timestamp, Timestamp)) {
        let Some(kept_back) = self.may_ask(&node) else { return self.answer(node, id, Status::AccessDenied) };
        let mut summaries: Vec<_> = self
            .sent
            .of(&node)
            .filter(|(id, sent)| {
                let is_asked = periods.contains(&id.period) && id.start >= since && id.start < until;
                is_asked && covers(sent.kept_back, kept_back)
            })
            .collect();
        summaries.sort_by_key(|(id, sent)| (sent.end, **id));
        // The newest matter most where there are too many.
        let first = summaries.len().saturating_sub(ANSWERED_MAX);
        let signed: Vec<_> = summaries.drain(first..).map(|(_, sent)| sent.signed.clone()).collect();
        if signed.is_empty() {
            return self.answer(node, id, Status::NoData);
        }
        let pages = signed.chunks(SUMMARIES_PAGE_MAX);
        let last = pages.len() - 1;
        for (place, page) in pages.enumerate() {
            let (summaries, is_last) = (page.to_vec(), place == last);
            self.say(node, SummaryTalk::Answer { id, status: Status::Success, summaries, is_last });
        }
        tracing::debug!(peer = %fingerprint(&node), summaries = signed.len(), "answered with summaries");
    }

    fn answer(&self, node: NodeId, id: u64, status: Status) {
        self.say(node, SummaryTalk::Answer { id, status, summaries: Vec::new(), is_last: true });
    }
}

/// Makes the entry of what a peer is told; none where it is nothing new.
fn told(node: NodeId, deed: Deed, due: &[Due]) -> Option<AuditEntry> {
    let count = due.iter().filter(|one| one.is_news).count() as u64;
    (count > 0).then(|| AuditEntry { peer: Some(node), count, ..entry(deed) })
}
