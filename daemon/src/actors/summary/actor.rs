//! The actor: whom it knows, when it looks whether something is due, and what it forgets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, ContextFutureSpawner, Handler, Recipient, SpawnHandle,
    WrapFuture,
};
use karo_core::calendar;
use karo_core::policy::{Receiver, decide, in_force, kept_back_from};
use karo_core::summary::days_before;
use karo_protocol::audit::AuditEntry;
use karo_protocol::category::CategorySet;
use karo_protocol::local::{Failure, FailureCode};
use karo_protocol::policy::{Policy, PolicyReason, PolicySet, Sharing};
use karo_protocol::summary::{Period, SummaryId, SummaryTalk};
use karo_protocol::{NodeId, Timestamp, Trust};
use karo_store::Entry;
use karo_trust::fingerprint;
use karo_trust::identity::Identity;

use super::hearing::Arrived;
use super::kept::{Kept, RECEIVED_BYTES_MAX, Received, SENT_BYTES_MAX, Sent, Shelf};
use super::showing::Asked;
use crate::actors::groups::Ourselves;
use crate::actors::peers::Noted;
use crate::actors::store::{Keep, RolledUp, Touched};
use crate::actors::talks::{self, Introduced, Introducer, Linked, Spoken};
use crate::allowance::Allowance;
use crate::civil::Civil;
use crate::clock;
use crate::lease::Lease;
use crate::logging::say;
use crate::policy_desk::PolicyKeeper;
use crate::roster_desk::RosterDesk;

/// Messages that may wait: what a peer may say at once, of several peers.
const MAILBOX: usize = 1024;

/// How often it is looked whether something is due. It costs a message to the store where somebody is to be told.
const TICK: Duration = Duration::from_secs(10);

/// The same while nobody is in the roster; whoever links then has it begin anew.
const TICK_ALONE: Duration = Duration::from_secs(3600);

/// How far back numbers are looked at: as long as a summary is kept, and the week that it is in.
const LOOKED_BACK_DAYS: u64 = 365 + 8;

/// Whom it talks to within this daemon.
pub struct Sources {
    /// Has the peers.
    pub roster: RosterDesk,
    /// Puts a policy in force.
    pub keeper: PolicyKeeper,
    /// Writes down, with the audit.
    pub keep: Recipient<Keep>,
    /// What events add up to.
    pub rolled_up: Recipient<RolledUp>,
    /// Since when that is another.
    pub touched: Recipient<Touched>,
}

/// The actor. See the module.
pub struct SummaryActor {
    pub(super) sources: Sources,
    pub(super) peers: Option<Introducer>,
    pub(super) own: Option<Arc<Identity>>,
    pub(super) linked: BTreeSet<NodeId>,
    timer: Option<SpawnHandle>,
    /// What the configuration says.
    pub(super) configured: Policy,
    /// What was set by command.
    pub(super) set: PolicySet,
    /// What is in force.
    pub(super) policy: Arc<Policy>,
    pub(super) sent: Shelf<Sent>,
    pub(super) received: Shelf<Received>,
    /// Up to when everything that began before was looked at for a peer; not there for one that is new.
    pub(super) looked_until: BTreeMap<NodeId, Timestamp>,
    pub(super) is_looking: bool,
    /// What was said to a peer over this link and not yet taken.
    pub(super) in_flight: BTreeMap<NodeId, BTreeSet<SummaryId>>,
    /// Summaries of peers that are not on disk yet.
    pub(super) arrived: Vec<Arrived>,
    /// What each peer may ask and tell.
    pub(super) allowances: BTreeMap<NodeId, Allowances>,
    /// Questions of people that are under way.
    pub(super) asked: BTreeMap<u64, Asked>,
    pub(super) next_question: u64,
    _lease: Lease,
}

/// What one peer may ask of us and tell us.
pub(super) struct Allowances {
    pub(super) asking: Allowance,
    pub(super) telling: Allowance,
}

impl Allowances {
    fn new(now: Instant) -> Self {
        Self {
            // A question costs a look at all roll-ups.
            asking: Allowance::new(4, Duration::from_secs(2), now),
            // All that a peer may have to tell after an absence, and then far more than there are hours.
            telling: Allowance::new(512, Duration::from_secs(1), now),
        }
    }
}

impl SummaryActor {
    /// Makes the actor with what is on disk.
    pub fn new(
        sources: Sources,
        configured: Policy,
        Kept { sent, received, policy }: Kept,
        lease: Lease,
    ) -> Self {
        let set = policy.0;
        let policy = Arc::new(in_force(&configured, &set));
        Self {
            sources,
            peers: None,
            own: None,
            linked: BTreeSet::new(),
            timer: None,
            configured,
            set,
            policy,
            sent,
            received,
            looked_until: BTreeMap::new(),
            is_looking: false,
            in_flight: BTreeMap::new(),
            arrived: Vec::new(),
            allowances: BTreeMap::new(),
            asked: BTreeMap::new(),
            next_question: 0,
            _lease: lease,
        }
    }

    /// Decides whether summaries go to a peer at this moment; `None` for one that is no peer (any more).
    pub(super) fn decided(&self, node: &NodeId) -> Option<(PolicyReason, Trust, CategorySet)> {
        let roster = self.sources.roster.read();
        let peer = roster.peer(node)?;
        let trust = roster.admit(*node, None, clock::now()).unwrap_or(Trust::Untrusted);
        let receiver = Receiver { node: *node, name: &peer.name, trust };
        let reason = decide(&self.policy, Sharing::Summaries, &receiver);
        Some((reason, trust, kept_back_from(&self.policy, node)))
    }

    /// Returns what is kept back from a peer to whom summaries are sent; `None` for one to whom none are.
    pub(super) fn is_told(&self, node: &NodeId) -> Option<CategorySet> {
        let (reason, trust, kept_back) = self.decided(node)?;
        (reason.is_allowed && trust.gets_summaries()).then_some(kept_back)
    }

    /// Returns what is kept back from a peer that may ask; `None` for one that may not.
    pub(super) fn may_ask(&self, node: &NodeId) -> Option<CategorySet> {
        let (reason, trust, kept_back) = self.decided(node)?;
        (reason.is_allowed && trust.may_query()).then_some(kept_back)
    }

    pub(super) fn name_of(&self, node: &NodeId) -> String {
        let roster = self.sources.roster.read();
        roster.peer(node).map_or_else(|| fingerprint(node).to_string(), |peer| peer.name.clone())
    }

    /// Finds the peer that is called so.
    pub(super) fn find(&self, text: &str) -> Result<NodeId, Failure> {
        let found = self.sources.roster.read().find(text).map(|peer| peer.node_id);
        found.map_err(|error| failure(FailureCode::Refused, error.to_string()))
    }

    pub(super) fn allowances(&mut self, node: NodeId) -> &mut Allowances {
        self.allowances.entry(node).or_insert_with(|| Allowances::new(Instant::now()))
    }

    pub(super) fn say(&self, node: NodeId, talk: SummaryTalk) {
        if let Some(peers) = &self.peers {
            talks::tell(&peers.tell, node, karo_protocol::peer::Control::Summary(talk));
        }
    }

    pub(super) fn note(&self, noted: Noted) {
        if let Some(peers) = &self.peers
            && peers.noted.try_send(noted).is_err()
        {
            tracing::debug!("no room for what was refused to a peer");
        }
    }

    /// Writes something down, waits until it is on disk, and goes on. Nothing else is handled meanwhile.
    pub(super) fn keep(
        &self,
        (entries, deeds): (Vec<Entry>, Vec<AuditEntry>),
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, Result<(), Failure>, &mut Context<Self>) + 'static,
    ) {
        let kept = self.sources.keep.send(Keep { entries, deeds }).into_actor(self);
        kept.map(|kept, actor, ctx| {
            let stopping = || Err(failure(FailureCode::Stopping, "the store has stopped"));
            then(actor, kept.unwrap_or_else(|_| stopping()), ctx);
        })
        .wait(ctx);
    }

    /// Writes down what need not be waited for: at the worst it is found again.
    pub(super) fn keep_aside(&self, entries: Vec<Entry>, ctx: &mut Context<Self>) {
        if entries.is_empty() {
            return;
        }
        let kept = self.sources.keep.send(Keep { entries, deeds: Vec::new() }).into_actor(self);
        ctx.spawn(kept.map(|kept, _, _| match kept {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => {
                say!(
                    Class::SummariesUnwritten,
                    failure.message,
                    "what is known of summaries is not written down"
                )
            }
            Err(_) => tracing::debug!("the store has stopped"),
        }));
    }

    /// Asks what events added up to from a moment on; the answer covers whole weeks.
    pub(super) fn since(&self, wanted: Timestamp, now: Timestamp) -> Timestamp {
        let since = wanted.max(days_before(now, LOOKED_BACK_DAYS));
        calendar::span_of(&Self::zone(since, now), Period::Weekly, since).start
    }

    /// Returns what the local time is from some weeks before a moment to a week behind another.
    pub(super) fn zone(since: Timestamp, until: Timestamp) -> karo_protocol::query::Zone {
        Civil::local().between(
            days_before(since, 14),
            days_before(until, 0).after(karo_protocol::Micros(8 * 86_400_000_000)),
        )
    }

    /// Sets the timer: while nobody is trusted nothing is due to anybody, and only what is old is to be dropped.
    fn wind(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let is_alone = self.sources.roster.read().peers().is_empty();
        self.timer = Some(ctx.run_later(if is_alone { TICK_ALONE } else { TICK }, Self::tick));
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        self.forget(ctx);
        // What was not taken by now may be lost.
        self.in_flight.clear();
        self.look(ctx);
        self.wind(ctx);
    }

    /// Drops what peers told that are none any more, and what is past its time.
    pub(super) fn forget(&mut self, ctx: &mut Context<Self>) {
        let now = clock::now();
        let mut entries = Vec::new();
        let peers: BTreeSet<NodeId> = self.sent.peers().into_iter().chain(self.received.peers()).collect();
        for node in peers {
            let (known, is_peer) = {
                let roster = self.sources.roster.read();
                let known = roster.known_as(node, now);
                let is_peer = roster.peer(&known).is_some_and(|peer| peer.trust != Trust::Untrusted);
                (known, is_peer)
            };
            if !is_peer {
                entries.extend(self.sent.drop_peer(&node));
                entries.extend(self.received.drop_peer(&node));
                self.looked_until.remove(&node);
            } else if known != node {
                entries.extend(self.sent.rename(&node, known));
                entries.extend(self.received.rename(&node, known));
            }
        }
        entries.extend(self.sent.forget_old(now, SENT_BYTES_MAX));
        entries.extend(self.received.forget_old(now, RECEIVED_BYTES_MAX));
        self.allowances.retain(|node, _| self.linked.contains(node));
        self.keep_aside(entries, ctx);
    }
}

pub(super) fn failure(code: FailureCode, message: impl Into<String>) -> Failure {
    Failure { code, message: message.into() }
}

impl Actor for SummaryActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.wind(ctx);
    }
}

impl Handler<Introduced> for SummaryActor {
    type Result = ();

    fn handle(&mut self, Introduced(peers): Introduced, _: &mut Self::Context) {
        self.peers = Some(peers);
    }
}

impl Handler<Ourselves> for SummaryActor {
    type Result = ();

    fn handle(&mut self, Ourselves(own): Ourselves, _: &mut Self::Context) {
        self.own = own.ok();
    }
}

impl Handler<Linked> for SummaryActor {
    type Result = ();

    fn handle(&mut self, Linked { node, is_up }: Linked, ctx: &mut Self::Context) {
        self.in_flight.remove(&node);
        if is_up {
            self.linked.insert(node);
            self.wind(ctx);
            self.look(ctx);
            self.push(node);
        } else {
            self.linked.remove(&node);
            self.forget(ctx);
        }
    }
}

impl Handler<Spoken> for SummaryActor {
    type Result = ();

    fn handle(&mut self, Spoken { node, control }: Spoken, ctx: &mut Self::Context) {
        let karo_protocol::peer::Control::Summary(talk) = control else { return };
        match talk {
            SummaryTalk::Push(signed) => self.on_push(node, signed, ctx),
            SummaryTalk::Taken { id, version } => self.on_taken(node, id, version, ctx),
            SummaryTalk::Ask { id, since, until, periods } => {
                self.on_ask(node, id, (since, until, &periods), ctx)
            }
            SummaryTalk::Answer { id, status, summaries, is_last } => {
                self.on_answer(node, (id, status, is_last), summaries, ctx);
            }
        }
    }
}
