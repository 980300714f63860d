//! Questions to the mesh: ours to others, and others' to us.
//!
//! A group's answer is arithmetic over closed atoms, the same for everybody; what this machine does not have it looks
//! for at the members, for two seconds at the most: page by page, the newest days first, and for each version of the
//! group's file that is known here. Health is of nodes, and told to those who may ask.
//!
//! | message | from | answer |
//! | --- | --- | --- |
//! | [`Ask`] | sessions | what a group answers |
//! | [`AskHealth`] | sessions | how the nodes are |
//! | [`Spoken`], [`Linked`] | links, peers | none |

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorFuture, ActorFutureExt, AsyncContext, Context, Handler, Message, Recipient,
    ResponseActFuture, WrapFuture,
};
use karo_core::atom::answer::{Asked as AskedOf, ClosedDay};
use karo_core::fanout::{FanOut, PATIENCE};
use karo_protocol::NodeId;
use karo_protocol::answer::{AskTalk, Health, HealthRow, MeshAnswer, MeshQuery, Status};
use karo_protocol::atom::{ATOMS_PAGE_MAX, AtomId, ClosedAtom, DAYS_MAX};
use karo_protocol::audit::{AuditEntry, Deed, Reason};
use karo_protocol::local::{Failure, FailureCode};
use karo_protocol::node::Hash;
use karo_protocol::peer::Control;
use tokio::sync::oneshot;

use super::groups::{Fetched, Ourselves};
use super::peers::{Noted, Table};
use super::store::Keep;
use super::talks::{self, Introduced, Introducer, Linked, Spoken};
use super::{audit, peers, store};
use crate::auditor::entry;
use crate::clock;
use crate::groups_desk::{Accepted, GroupsDesk};
use crate::lease::Lease;
use crate::logging::say;
use crate::policy_desk::PolicyDesk;
use crate::roster_desk::RosterDesk;

/// Messages that may wait: an answer of each node of a large group.
const MAILBOX: usize = 1024;

/// Questions of people that may be under way at once; what more ask is answered as busy.
const PENDING_MAX: usize = 64;

/// Days that are asked for when nobody says how many.
const DAYS_UNLESS_SAID: i32 = 7;

/// How long is waited for those who do not answer, while there are more days to look for.
const PAGE_PATIENCE: Duration = Duration::from_secs(1);

/// Ask a group. Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Result<Box<MeshAnswer>, Failure>")]
pub struct Ask(pub MeshQuery);

/// How are the nodes? Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Vec<HealthRow>")]
pub struct AskHealth;

/// Whom it talks to within this daemon.
pub struct Sources {
    /// The groups and their atoms.
    pub groups: GroupsDesk,
    /// Takes atoms that members had.
    pub fetched: Recipient<Fetched>,
    /// Has the peers.
    pub roster: RosterDesk,
    /// Says what may leave.
    pub policy: PolicyDesk,
    /// Writes down, with the audit.
    pub keep: Recipient<Keep>,
    /// How the store is.
    pub store: Recipient<store::Report>,
    /// How the audit is.
    pub audit: Recipient<audit::Standing>,
}

/// The actor. See the module.
pub struct QuestionsActor {
    sources: Sources,
    peers: Option<Introducer>,
    linked: BTreeSet<NodeId>,
    own: Option<NodeId>,
    pending: BTreeMap<u64, Pending>,
    next: u64,
    _lease: Lease,
}

/// A question that is under way.
struct Pending {
    fanout: FanOut,
    talk: AskTalk,
    atoms: Vec<ClosedAtom>,
    health: BTreeMap<NodeId, Health>,
    done: Option<oneshot::Sender<Gathered>>,
}

/// What came back.
#[derive(Default)]
struct Gathered {
    statuses: BTreeMap<NodeId, Status>,
    atoms: Vec<ClosedAtom>,
    health: BTreeMap<NodeId, Health>,
}

/// What is asked of a group, once it is clear.
struct Clear {
    accepted: Accepted,
    query: MeshQuery,
    since: i32,
    until: i32,
}

impl QuestionsActor {
    /// Makes the actor.
    pub fn new(sources: Sources, own: Option<NodeId>, lease: Lease) -> Self {
        Self {
            sources,
            peers: None,
            linked: BTreeSet::new(),
            own,
            pending: BTreeMap::new(),
            next: 0,
            _lease: lease,
        }
    }

    /// Asks nodes, and tells when all have answered or their time is over. Those without a link are silent from the
    /// beginning.
    fn fan_out(
        &mut self,
        nodes: &BTreeSet<NodeId>,
        patience: Duration,
        talk: impl FnOnce(u64) -> AskTalk,
        ctx: &mut Context<Self>,
    ) -> oneshot::Receiver<Gathered> {
        let (sender, receiver) = oneshot::channel();
        let id = self.next;
        self.next += 1;
        let linked: BTreeSet<NodeId> = nodes.intersection(&self.linked).copied().collect();
        say!(Class::QuestionAsked, query = id, nodes = linked.len(), "a question goes to peers");
        let (fanout, first) = FanOut::start(linked, Instant::now(), patience);
        let pending = Pending {
            fanout,
            talk: talk(id),
            atoms: Vec::new(),
            health: BTreeMap::new(),
            done: Some(sender),
        };
        self.pending.insert(id, pending);
        self.send(id, first);
        if !self.finish(id) {
            ctx.run_later(patience + Duration::from_millis(1), move |actor, _| {
                if let Some(pending) = actor.pending.get_mut(&id) {
                    pending.fanout.on_timeout(Instant::now());
                }
                actor.finish(id);
            });
        }
        receiver
    }

    fn send(&self, id: u64, nodes: Vec<NodeId>) {
        let (Some(peers), Some(pending)) = (&self.peers, self.pending.get(&id)) else { return };
        for node in nodes {
            talks::tell(&peers.tell, node, Control::Ask(pending.talk.clone()));
        }
    }

    /// Ends a question that is done, or that nobody waits for any more.
    fn finish(&mut self, id: u64) -> bool {
        let is_over = |pending: &Pending| {
            pending.fanout.is_done() || pending.done.as_ref().is_none_or(oneshot::Sender::is_closed)
        };
        if !self.pending.get(&id).is_some_and(is_over) {
            return !self.pending.contains_key(&id);
        }
        if let Some(Pending { fanout, atoms, health, done: Some(done), .. }) = self.pending.remove(&id) {
            let gathered = Gathered { statuses: fanout.answers().clone(), atoms, health };
            // Whoever asked may have left.
            drop(done.send(gathered));
        }
        true
    }

    fn on_answer(&mut self, id: u64, from: NodeId, status: Status, take: impl FnOnce(&mut Pending)) {
        let Some(pending) = self.pending.get_mut(&id).filter(|pending| pending.fanout.awaits(&from)) else {
            return;
        };
        take(pending);
        let next = pending.fanout.on_answer(from, status);
        self.send(id, next);
        self.finish(id);
    }

    /// Makes clear what is asked: of which group, which whole days.
    fn clear(&self, query: MeshQuery) -> Result<Clear, Failure> {
        let accepted = self.sources.groups.read().find(query.group.as_deref()).cloned().map_err(refused)?;
        let today = accepted.civil.day_of(clock::now());
        let until = query.until.map_or(today, |until| accepted.civil.day_of(until)).min(today);
        let since = query.since.map_or(until - DAYS_UNLESS_SAID, |since| accepted.civil.day_of(since));
        if since >= until {
            return Err(refused(
                "no whole day lies in that time: today's numbers are tomorrow's answer, and a day is asked for as a whole",
            ));
        }
        if until - since > i32::from(DAYS_MAX) {
            return Err(refused(format!(
                "{} days are asked for, and at most {DAYS_MAX} can be",
                until - since
            )));
        }
        Ok(Clear { accepted, query, since, until })
    }

    /// Returns the days of a question that this machine has no atom of, the newest first.
    fn missing(&self, clear: &Clear) -> Vec<i32> {
        let groups = self.sources.groups.read();
        let first = if clear.query.compare { clear.since - (clear.until - clear.since) } else { clear.since };
        let is_closed =
            |day: i32| clear.accepted.ids().any(|group| groups.closed(&AtomId { group, day }).is_some());
        (first..clear.until).rev().filter(|day| !is_closed(*day)).collect()
    }

    fn ask(&self, query: MeshQuery) -> Result<Asking, Failure> {
        if self.pending.len() >= PENDING_MAX {
            let message = format!("{PENDING_MAX} questions are under way already; ask again in two seconds");
            return Err(Failure { code: FailureCode::Busy, message });
        }
        let clear = self.clear(query)?;
        let own = self.own;
        let members = clear.accepted.group.file().members.iter().map(|member| member.card.node);
        let others: BTreeSet<NodeId> = members.filter(|node| Some(*node) != own).collect();
        let deadline = Instant::now() + PATIENCE;
        Ok(Asking { clear, others, deadline, looked_for: BTreeSet::new(), is_over: false, statuses: None })
    }

    /// Looks for what is missing at the members, page by page, until all is here, nothing is left to ask for, or the
    /// time is over.
    fn look_for(&mut self, mut asking: Asking, ctx: &mut Context<Self>) -> Looking {
        let missing = self.missing(&asking.clear);
        let left = asking.deadline.saturating_duration_since(Instant::now());
        let page = asking.page(&missing).filter(|_| !left.is_zero() && !asking.is_over);
        let Some((page, is_last)) = page else {
            return Box::pin(async { asking }.into_actor(self));
        };
        let looked_for: Vec<(Hash, i32)> = page.days.iter().map(|day| (page.group, *day)).collect();
        let Page { group, days } = page;
        let patience = if is_last { left } else { left.min(PAGE_PATIENCE) };
        let receiver =
            self.fan_out(&asking.reachable(), patience, |id| AskTalk::Atoms { id, group, days }, ctx);
        let fetched = self.sources.fetched.clone();
        let gathered = async move {
            let Gathered { statuses, atoms, .. } = receiver.await.unwrap_or_default();
            if !atoms.is_empty() {
                // If the groups have stopped, so will this.
                fetched.send(Fetched(atoms)).await.unwrap_or_default();
            }
            asking.heard(statuses, looked_for);
            asking
        };
        Box::pin(gathered.into_actor(self).then(|asking, actor, ctx| actor.look_for(asking, ctx)))
    }

    /// Answers a peer's question.
    fn on_asked(&self, from: NodeId, talk: &AskTalk, ctx: &mut Context<Self>) {
        match talk {
            AskTalk::Atoms { id, group, days } => {
                let (status, atoms) = self.sources.groups.read().held_for(&from, group, days);
                self.say(from, AskTalk::AtomsHeld { id: *id, status, atoms });
                self.note(*id, from, status);
            }
            AskTalk::Health { id } => {
                let (id, status) = (*id, self.may_ask_health(from));
                if status != Status::Success {
                    self.note(id, from, status);
                    return self.say(from, AskTalk::HealthIs { id, status, health: None });
                }
                let health = self.health();
                ctx.spawn(health.into_actor(self).map(move |health, actor, _| {
                    // Between the question and this moment a person may have said no.
                    let status = actor.may_ask_health(from);
                    let health = health.filter(|_| status == Status::Success);
                    actor.note(id, from, status);
                    actor.say(from, AskTalk::HealthIs { id, status, health });
                }));
            }
            AskTalk::AtomsHeld { .. } | AskTalk::HealthIs { .. } => {}
        }
    }

    fn may_ask_health(&self, from: NodeId) -> Status {
        let policy = self.sources.policy.now();
        let is_trusted =
            self.sources.roster.admit(from, None).is_ok_and(karo_protocol::Trust::may_ask_health);
        let is_kept_back = policy.peers.get(&from).is_some_and(|peer| peer.no_health);
        if is_trusted && policy.health && !is_kept_back { Status::Success } else { Status::AccessDenied }
    }

    /// Says how this machine is: nothing about what was done on it.
    fn health(&self) -> impl Future<Output = Option<Health>> + use<> {
        let (store, audit) = (self.sources.store.clone(), self.sources.audit.clone());
        let peers = self.peers.as_ref().map(|peers| peers.report.clone());
        async move {
            let (store, standing) = tokio::join!(store.send(store::Report), audit.send(audit::Standing));
            let (store, standing) = (store.ok()?, standing.ok()?);
            let mesh = peers?.send(peers::Report).await.ok()?.status;
            Some(Health {
                program: concat!("karod ", env!("CARGO_PKG_VERSION")).to_owned(),
                now: clock::now(),
                is_accepting: store.refusing.is_none(),
                is_damaged: store.damage > 0,
                links: (mesh.connected, mesh.peers),
                is_witnessed: standing.witnessed.is_some(),
            })
        }
    }

    fn say(&self, to: NodeId, talk: AskTalk) {
        if let Some(peers) = &self.peers {
            talks::tell(&peers.tell, to, Control::Ask(talk));
        }
    }

    /// Puts an answer into the audit; alike ones are counted together.
    fn note(&self, query: u64, peer: NodeId, status: Status) {
        let (deed, fingerprint) = (Deed::QueryAnswered, karo_trust::fingerprint(&peer));
        say!(Class::QuestionAnswered, peer = %fingerprint, query, %status, "a peer's question was answered");
        let reason = if status == Status::AccessDenied { Reason::Policy } else { Reason::None };
        let noted =
            self.peers.as_ref().map(|peers| peers.noted.try_send(Noted { deed, peer: Some(peer), reason }));
        if let Some(Err(_)) = noted {
            say!(Class::AuditDelayed, "the mesh is too busy for the audit of an answer");
        }
    }

    /// Makes the answer of what is here now.
    fn answer(&self, Asking { clear, others, looked_for, statuses, .. }: Asking) -> Box<MeshAnswer> {
        let groups = self.sources.groups.read();
        let Clear { accepted, query, since, until } = clear;
        let is_looked_for =
            |day: &i32| others.is_empty() || accepted.ids().all(|group| looked_for.contains(&(group, *day)));
        let asked = AskedOf {
            question: query.question,
            days: since..until,
            compare: query.compare,
            not_looked_for: (since..until).filter(|day| !is_looked_for(day)).collect(),
        };
        let closed = |day: i32| {
            accepted.ids().find_map(|group| {
                let (_, atom) = groups.closed(&AtomId { group, day })?;
                let group = Arc::clone(accepted.version(&group)?);
                Some((day, ClosedDay { group, atom: Arc::clone(atom) }))
            })
        };
        let first = if query.compare { asked.days_before().start } else { since };
        let closed: BTreeMap<i32, ClosedDay> = (first..until).filter_map(closed).collect();
        let told = karo_core::atom::answer::answer(&asked, &closed);
        let ids: Vec<Hash> = accepted.ids().collect();
        let newest =
            groups.outcomes.keys().filter(|id| ids.contains(&id.group) && groups.closed(id).is_some());
        let newest = newest.map(|id| id.day).max();
        let file = accepted.group.file();
        let (statuses, silent) =
            statuses.map_or_else(Default::default, |statuses| self.tell_statuses(&others, &statuses));
        Box::new(MeshAnswer {
            question: query.question,
            group: file.name.clone(),
            group_id: accepted.group.id(),
            zone: file.zone.clone(),
            since_day: since,
            until_day: until,
            covered: told.covered,
            newest,
            contributors: told.contributors,
            owners: accepted.group.owners() as u16,
            smallest_cohort: file.smallest_cohort,
            sections: told.sections,
            covered_before: told.covered_before,
            statuses,
            silent,
            not_in_it: told.not_in_it,
        })
    }

    fn tell_statuses(
        &self,
        others: &BTreeSet<NodeId>,
        statuses: &BTreeMap<NodeId, Status>,
    ) -> (Vec<(Status, u32)>, Vec<String>) {
        let mut counted: BTreeMap<Status, u32> = BTreeMap::new();
        let mut silent = Vec::new();
        let roster = self.sources.roster.read();
        for node in others {
            let status = statuses.get(node).copied().unwrap_or(Status::NoResponse);
            *counted.entry(status).or_default() += 1;
            if status == Status::NoResponse {
                silent.extend(roster.peer(node).map(|peer| peer.name.clone()));
            }
        }
        silent.sort();
        (counted.into_iter().collect(), silent)
    }
}

/// What comes of looking for atoms.
type Looking = Pin<Box<dyn ActorFuture<QuestionsActor, Output = Asking>>>;

/// A question of a person that is under way.
struct Asking {
    clear: Clear,
    others: BTreeSet<NodeId>,
    deadline: Instant,
    /// What members have looked for: which days of which version of the file.
    looked_for: BTreeSet<(Hash, i32)>,
    /// Nobody answered any more.
    is_over: bool,
    /// What became of it at each node, once anybody was asked.
    statuses: Option<BTreeMap<NodeId, Status>>,
}

/// What members are asked for at once.
struct Page {
    group: Hash,
    days: Vec<i32>,
}

impl Asking {
    /// Returns what to ask for next of what is missing, and whether it is the last: the newest file and the newest
    /// days come first, and nothing is asked for twice.
    fn page(&self, missing: &[i32]) -> Option<(Page, bool)> {
        let left = |group: Hash| {
            let is_new = move |day: &&i32| !self.looked_for.contains(&(group, **day));
            missing.iter().filter(is_new).copied()
        };
        let group = self.clear.accepted.ids().find(|group| left(*group).next().is_some())?;
        let mut days: Vec<i32> = left(group).take(ATOMS_PAGE_MAX).collect();
        let all: usize = self.clear.accepted.ids().map(|group| left(group).count()).sum();
        let is_last = days.len() == all;
        days.reverse();
        Some((Page { group, days }, is_last))
    }

    /// Returns who is asked: everybody, and then no more those who did not answer, for their silence takes time.
    fn reachable(&self) -> BTreeSet<NodeId> {
        let is_silent = |node: &NodeId| {
            self.statuses
                .as_ref()
                .is_some_and(|statuses| statuses.get(node).is_none_or(|status| *status == Status::NoResponse))
        };
        self.others.iter().filter(|node| !is_silent(node)).copied().collect()
    }

    /// Notes what nodes answered to a page: whoever had anything for one has answered well.
    fn heard(&mut self, statuses: BTreeMap<NodeId, Status>, page: Vec<(Hash, i32)>) {
        if statuses.values().any(|status| matches!(status, Status::Success | Status::NoData)) {
            self.looked_for.extend(page);
        } else {
            self.is_over = true;
        }
        let known = self.statuses.get_or_insert_default();
        for (node, status) in statuses {
            let known = known.entry(node).or_insert(status);
            if *known != Status::Success {
                *known = status;
            }
        }
    }
}

fn refused(message: impl Into<String>) -> Failure {
    Failure { code: FailureCode::Refused, message: message.into() }
}

impl Actor for QuestionsActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Introduced> for QuestionsActor {
    type Result = ();

    fn handle(&mut self, Introduced(peers): Introduced, _: &mut Self::Context) {
        self.peers = Some(peers);
    }
}

impl Handler<Ourselves> for QuestionsActor {
    type Result = ();

    fn handle(&mut self, Ourselves(own): Ourselves, _: &mut Self::Context) {
        self.own = own.ok().map(|own| own.node_id());
    }
}

impl Handler<Linked> for QuestionsActor {
    type Result = ();

    fn handle(&mut self, Linked { node, is_up }: Linked, _: &mut Self::Context) {
        match is_up {
            true => self.linked.insert(node),
            false => self.linked.remove(&node),
        };
    }
}

impl Handler<Spoken> for QuestionsActor {
    type Result = ();

    fn handle(&mut self, Spoken { node, control }: Spoken, ctx: &mut Self::Context) {
        let Control::Ask(talk) = control else { return };
        match talk {
            AskTalk::Atoms { .. } | AskTalk::Health { .. } => self.on_asked(node, &talk, ctx),
            AskTalk::AtomsHeld { id, status, atoms } => {
                self.on_answer(id, node, status, |pending| {
                    pending.atoms.extend(atoms.into_iter().take(ATOMS_PAGE_MAX));
                });
            }
            AskTalk::HealthIs { id, status, health } => {
                self.on_answer(id, node, status, |pending| {
                    pending.health.extend(health.map(|health| (node, health)));
                });
            }
        }
    }
}

impl Handler<Ask> for QuestionsActor {
    type Result = ResponseActFuture<Self, Result<Box<MeshAnswer>, Failure>>;

    fn handle(&mut self, Ask(query): Ask, ctx: &mut Self::Context) -> Self::Result {
        let asking = match self.ask(query) {
            Ok(asking) => asking,
            Err(failure) => return Box::pin(async { Err(failure) }.into_actor(self)),
        };
        let group = asking.clear.accepted.group.id();
        let deed = AuditEntry { other: Some(group), ..entry(Deed::QueryAsked) };
        if self.sources.keep.try_send(Keep { entries: Vec::new(), deeds: vec![deed] }).is_err() {
            say!(Class::AuditDelayed, "the store is too busy for the audit of a question");
        }
        Box::pin(self.look_for(asking, ctx).map(|asking, actor, _| Ok(actor.answer(asking))))
    }
}

impl Handler<AskHealth> for QuestionsActor {
    type Result = ResponseActFuture<Self, Vec<HealthRow>>;

    fn handle(&mut self, _: AskHealth, ctx: &mut Self::Context) -> Self::Result {
        let nodes: BTreeSet<NodeId> =
            self.sources.roster.read().peers().into_iter().map(|peer| peer.node_id).collect();
        let receiver = self.fan_out(&nodes, PATIENCE, |id| AskTalk::Health { id }, ctx);
        let table = self.peers.as_ref().map(|peers| peers.table.clone());
        let gathered = async move {
            let gathered = receiver.await.unwrap_or_default();
            let table = match table {
                Some(table) => table.send(Table).await.unwrap_or_default(),
                None => Default::default(),
            };
            let row = |row: karo_protocol::mesh::PeerRow| HealthRow {
                status: gathered.statuses.get(&row.node_id).copied().unwrap_or(Status::NoResponse),
                health: gathered.health.get(&row.node_id).cloned(),
                skew_us: row.skew_us,
                name: row.name,
            };
            table.rows.into_iter().map(row).collect()
        };
        Box::pin(gathered.into_actor(self))
    }
}
