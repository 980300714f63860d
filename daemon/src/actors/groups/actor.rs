//! The actor itself: what it holds, and who is heard. See [`super`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, AsyncContext, Context, Handler, Recipient, SpawnHandle};
use karo_core::sum::seal::SealingSecret;
use karo_core::sum::{AggregatorRecord, Wrong};
use karo_protocol::atom::{AtomId, AtomReason, AtomSays, AtomTalk};
use karo_protocol::audit::{AuditEntry, Deed, Reason};
use karo_protocol::group::Card;
use karo_protocol::local::Failure;
use karo_protocol::node::Nonce;
use karo_protocol::peer::{Control, Signed};
use karo_protocol::{NodeId, Timestamp};
use karo_trust::fingerprint;
use karo_trust::identity::Identity;
use tokio::sync::{Semaphore, oneshot};

use super::closing::{BY_HAND_DAYS_MAX, Machines};
use super::files::refused;
use super::giving::Feeding;
use super::kept::{GivenDay, Kept, forgotten};
use super::messages::{Fetched, Ourselves};
use crate::actors::query::Tabulate;
use crate::actors::rules::RulesDesk;
use crate::actors::store::Keep;
use crate::actors::talks::{self, Introduced, Introducer, Linked, Spoken};
use crate::allowance::Allowance;
use crate::auditor::entry;
use crate::clock;
use crate::groups_desk::{GroupsDesk, Outcome};
use crate::lease::Lease;
use crate::logging::say;
use crate::policy_desk::PolicyDesk;
use crate::report_files::ReportFiles;
use crate::roster_desk::RosterDesk;

/// Messages that may wait: reports and verifications of a group of fifty, twice.
const MAILBOX: usize = 256;

/// How long is waited at the most before the days are looked at again: a machine that slept has missed its timer.
const LOOK_AGAIN: Duration = Duration::from_secs(15 * 60);

/// The hour of the next day at which a day is closed.
pub(super) const OPENING_HOUR: i8 = 6;

/// The hour at which the daily window is over.
pub(super) const ENDING_HOUR: i8 = 18;

/// µs of a day.
const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// Whom the groups talk to within this daemon.
pub struct Neighbours {
    /// Writes down, with the audit.
    pub keep: Recipient<Keep>,
    /// Counts a day.
    pub tabulate: Recipient<Tabulate>,
    /// Has the rules.
    pub rules: RulesDesk,
    /// Has the peers.
    pub roster: RosterDesk,
    /// Says what may leave.
    pub policy: PolicyDesk,
    /// What is changed here and looked at by others.
    pub groups: GroupsDesk,
    /// Where our reports lie until their days are closed.
    pub report_files: ReportFiles,
}

/// The actor. See the module.
pub struct GroupsActor {
    pub(super) keep: Recipient<Keep>,
    pub(super) tabulate: Recipient<Tabulate>,
    pub(super) rules: RulesDesk,
    pub(super) roster: RosterDesk,
    pub(super) policy: PolicyDesk,
    pub(super) groups: GroupsDesk,
    pub(super) report_files: ReportFiles,
    pub(super) peers: Option<Introducer>,
    pub(super) own: Result<Arc<Identity>, String>,
    pub(super) sealing: Option<Arc<SealingSecret>>,
    pub(super) linked: BTreeSet<NodeId>,
    pub(super) cards: BTreeMap<NodeId, Card>,
    /// Files that were offered, by lineage: by whom.
    pub(super) offers: BTreeMap<Nonce, (NodeId, Signed)>,
    pub(super) ledger: BTreeMap<i32, GivenDay>,
    pub(super) records: BTreeMap<AtomId, AggregatorRecord>,
    pub(super) machines: Machines,
    /// Days for which numbers of our owner's other machines are awaited.
    pub(super) feeding: BTreeMap<AtomId, Feeding>,
    /// How often each member did what no honest node does, since the start.
    pub(super) faults: BTreeMap<(NodeId, Wrong), u64>,
    /// Days that we were asked for since the start, and gave nothing.
    pub(super) refusals: BTreeMap<AtomId, AtomReason>,
    /// How often a report was made or taken out again for a day since the start.
    pub(super) reports: BTreeMap<AtomId, usize>,
    /// How many files each peer may offer.
    pub(super) offering: BTreeMap<NodeId, Allowance>,
    /// Who waits for what comes of a day that a person wanted closed.
    pub(super) waiting: BTreeMap<AtomId, Vec<oneshot::Sender<()>>>,
    /// Members who wanted it.
    pub(super) wishers: BTreeMap<AtomId, BTreeSet<NodeId>>,
    /// Verifications that run at once: as many as there are processors.
    pub(super) processors: Arc<Semaphore>,
    timer: Option<SpawnHandle>,
    _lease: Lease,
}

impl GroupsActor {
    /// Makes the actor.
    pub fn new(neighbours: Neighbours, kept: Kept, own: Result<Arc<Identity>, String>, lease: Lease) -> Self {
        let Neighbours { keep, tabulate, rules, roster, policy, groups, report_files } = neighbours;
        let Kept { groups: found, ledger, records } = kept;
        groups.change(|groups| *groups = found);
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            keep,
            tabulate,
            rules,
            roster,
            policy,
            groups,
            report_files,
            peers: None,
            sealing: sealing_of(&own),
            own,
            linked: BTreeSet::new(),
            cards: BTreeMap::new(),
            offers: BTreeMap::new(),
            ledger,
            records,
            machines: Machines::default(),
            feeding: BTreeMap::new(),
            faults: BTreeMap::new(),
            refusals: BTreeMap::new(),
            reports: BTreeMap::new(),
            offering: BTreeMap::new(),
            waiting: BTreeMap::new(),
            wishers: BTreeMap::new(),
            processors: Arc::new(Semaphore::new(processors)),
            timer: None,
            _lease: lease,
        }
    }

    pub(super) fn identity(&self) -> Result<&Arc<Identity>, Failure> {
        self.own.as_ref().map_err(|reason| refused(reason.clone()))
    }

    pub(super) fn sealing(&self) -> Result<&Arc<SealingSecret>, Failure> {
        self.sealing.as_ref().ok_or_else(|| refused("this machine has no identity that could be used"))
    }

    pub(super) fn own_node(&self) -> Option<NodeId> {
        self.own.as_ref().ok().map(|own| own.node_id())
    }

    /// Returns what a node is called here.
    pub(super) fn called(&self, node: &NodeId) -> String {
        let known = self.roster.read().peer(node).map(|peer| peer.name.clone());
        known.unwrap_or_else(|| fingerprint(node).to_string())
    }

    /// Says something of an atom to a node, be it this one.
    pub(super) fn say(&self, to: NodeId, atom: AtomId, says: AtomSays, ctx: &Context<Self>) {
        let control = Control::Atom(AtomTalk { atom, says });
        if self.own_node() == Some(to) {
            // What does not fit is said again, as with any other node.
            if ctx.address().try_send(Spoken { node: to, control }).is_err() {
                tracing::debug!("no room for what this node says to itself");
            }
        } else if let Some(peers) = &self.peers {
            talks::tell(&peers.tell, to, control);
        }
    }

    /// Puts a deed into the audit behind the back of whoever did it.
    pub(super) fn note(&self, deeds: Vec<AuditEntry>) {
        if self.keep.try_send(Keep { entries: Vec::new(), deeds }).is_err() {
            say!(Class::AuditDelayed, "the store is too busy for the audit of the groups");
        }
    }

    /// Opens the days that are due here, and sets the timer for the next thing that is.
    pub(super) fn look_at_days(&mut self, ctx: &mut Context<Self>) {
        let now = clock::now();
        let due: Vec<(AtomId, Instant)> = self.due(now);
        for (atom, until) in due {
            self.open(atom, Some(until), ctx);
        }
        self.forget_old(now);
        self.set_timer(ctx);
    }

    /// Forgets the atoms that nobody asks for any more.
    fn forget_old(&mut self, now: Timestamp) {
        let today = i32::try_from(now.as_micros().div_euclid(DAY_MICROS)).unwrap_or_default();
        self.report_files.forget_before(today - BY_HAND_DAYS_MAX as i32 - 1);
        let (old, entries) = forgotten(today, &self.groups.read().outcomes);
        if old.is_empty() || self.keep.try_send(Keep { entries, deeds: Vec::new() }).is_err() {
            // What did not fit is forgotten at the next look.
            return;
        }
        self.groups.change(|groups| old.iter().for_each(|id| drop(groups.outcomes.remove(id))));
        old.iter().for_each(|id| drop(self.records.remove(id)));
    }

    /// Returns the days that this machine is to open by itself, each with the end of its window.
    fn due(&self, now: Timestamp) -> Vec<(AtomId, Instant)> {
        let own = self.own_node();
        let groups = self.groups.read();
        let atom = |accepted: &crate::groups_desk::Accepted| {
            let day = accepted.civil.day_of(now) - 1;
            let atom = AtomId { group: accepted.group.id(), day };
            let (leader, _) = accepted.group.aggregators(day)?;
            let until = accepted.civil.at(day + 1, ENDING_HOUR);
            let is_open = accepted.civil.at(day + 1, OPENING_HOUR) <= now && now < until;
            let is_new = !groups.outcomes.contains_key(&atom) && !self.machines.leads(&atom);
            let left = Duration::from_micros(until.since(now).0);
            (is_open && is_new && Some(leader) == own).then(|| (atom, Instant::now() + left))
        };
        groups.accepted.values().filter_map(atom).collect()
    }

    /// Sets the timer for the next thing that is due. Without a group there is none.
    pub(super) fn set_timer(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        if self.groups.read().accepted.is_empty() && self.machines.is_empty() {
            return;
        }
        let now = clock::now();
        let opening = |accepted: &crate::groups_desk::Accepted| {
            let today = accepted.civil.day_of(now);
            let openings = [today, today + 1].map(|day| accepted.civil.at(day, OPENING_HOUR));
            let next = openings.into_iter().find(|at| *at > now)?;
            Some(Duration::from_micros(next.since(now).0))
        };
        let next_opening = self.groups.read().accepted.values().filter_map(opening).min();
        let machine = self.machines.deadline().map(|at| at.saturating_duration_since(Instant::now()));
        let wait =
            [next_opening, machine, Some(LOOK_AGAIN)].into_iter().flatten().min().unwrap_or(LOOK_AGAIN);
        self.timer = Some(ctx.run_later(wait, |actor, ctx| {
            actor.timer = None;
            actor.on_timeout(ctx);
            actor.look_at_days(ctx);
        }));
    }

    /// Keeps what came of an atom, and tells whoever waits for it.
    pub(super) fn settle(&mut self, atom: AtomId, outcome: Outcome) {
        self.groups.change(|groups| {
            let is_closed = matches!(groups.outcomes.get(&atom), Some(Outcome::Closed(..)));
            if !is_closed {
                groups.outcomes.insert(atom, outcome);
            }
        });
        if self.groups.read().closed(&atom).is_some() {
            // Only what verified has come here: nothing is given to a day that is closed.
            self.machines.giving.remove(&atom);
            self.report_files.forget(&atom);
        }
        for waiting in self.waiting.remove(&atom).unwrap_or_default() {
            // Whoever waited may have left.
            waiting.send(()).unwrap_or_default();
        }
    }

    pub(super) fn entry(deed: Deed, peer: Option<NodeId>, atom: &AtomId, reason: Reason) -> AuditEntry {
        AuditEntry { peer, day: Some(atom.day), other: Some(atom.group), reason, ..entry(deed) }
    }
}

fn sealing_of(own: &Result<Arc<Identity>, String>) -> Option<Arc<SealingSecret>> {
    own.as_ref().ok().map(|own| Arc::new(SealingSecret::derive(&own.sealing_secret())))
}

impl Actor for GroupsActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        // Between the closing of a day and the end of its report there may have been a crash.
        let groups = self.groups.read();
        groups
            .outcomes
            .keys()
            .filter(|id| groups.closed(id).is_some())
            .for_each(|id| self.report_files.forget(id));
    }
}

impl Handler<Introduced> for GroupsActor {
    type Result = ();

    fn handle(&mut self, Introduced(peers): Introduced, _: &mut Self::Context) {
        self.peers = Some(peers);
    }
}

impl Handler<Ourselves> for GroupsActor {
    type Result = ();

    fn handle(&mut self, Ourselves(own): Ourselves, ctx: &mut Self::Context) {
        self.sealing = sealing_of(&own);
        self.own = own;
        let linked: Vec<NodeId> = self.linked.iter().copied().collect();
        linked.into_iter().for_each(|node| self.greet(node));
        self.look_at_days(ctx);
    }
}

impl Handler<Linked> for GroupsActor {
    type Result = ();

    fn handle(&mut self, Linked { node, is_up }: Linked, ctx: &mut Self::Context) {
        if !is_up {
            self.linked.remove(&node);
            return;
        }
        self.linked.insert(node);
        self.greet(node);
        self.on_connected(node, ctx);
    }
}

impl Handler<Spoken> for GroupsActor {
    type Result = ();

    fn handle(&mut self, Spoken { node, control }: Spoken, ctx: &mut Self::Context) {
        // Links hand on nothing else.
        if let Control::Group(talk) = control {
            self.on_group_talk(node, talk);
        } else if let Control::Atom(AtomTalk { atom, says }) = control {
            self.on_says(node, atom, says, ctx);
            self.set_timer(ctx);
        }
    }
}

impl Handler<Fetched> for GroupsActor {
    type Result = actix::ResponseActFuture<Self, ()>;

    fn handle(&mut self, Fetched(atoms): Fetched, _: &mut Self::Context) -> Self::Result {
        self.take_closed(atoms)
    }
}
