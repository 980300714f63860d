//! The actor itself: what it holds, and what each message does. See [`super`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, AtomicResponse, Context, Handler, MessageResult,
    ResponseFuture, WrapFuture,
};
use karo_fabric::link::Moment;
use karo_protocol::NodeId;
use karo_protocol::audit::{AuditEntry, Deed, Reason};
use karo_protocol::config::MeshSettings;
use karo_protocol::local::{Failure, FailureCode};
use karo_protocol::mesh::{Change, LinkState, MeshStatus, PeerChange, PeerRow, PeerShown, PeersTable};
use karo_protocol::peer::Signed;
use karo_store::Entry;
use karo_trust::identity::Identity;
use karo_trust::roster::{Peer, RosterChange, Standing};
use karo_trust::rotation::Succession;
use tokio::sync::watch;

use super::messages::{
    Add, Alter, Arriving, Find, Found, NewHead, Noted, Ours, Own, Report, Reported, Settle, Show, Table, Who,
    Woken,
};
use super::neighbour::{Neighbour, clocks_notice};
use super::unwritten::Unwritten;
use super::{Mesh, deeds, rotations};
use crate::actors::Drain;
use crate::actors::link::{self, LinkActor};
use crate::actors::listener::ListenerActor;
use crate::actors::store::Keep;
use crate::actors::talks::Tell;
use crate::clock;
use crate::floodgate::{Floodgate, Width};
use crate::lease::Lease;
use crate::logging::say;
use crate::shelves;

/// Messages that may wait here: what two hundred links tell at once after a change of the network.
const MAILBOX: usize = 1024;

/// How often is looked whether a minute of counting is over: an idle machine wakes up for it with its heartbeats.
const FLUSH: Duration = Duration::from_secs(30);

/// What goes into the audit at once about peers: a link that comes back a few times is read as it happened.
const PEERS_WIDTH: Width = Width { at_once_max: 8, kinds_max: 256 };

/// What goes into the audit at once about strangers. They have a gate of their own, and a narrow one: keys cost
/// nothing, and whoever comes with hundreds must neither fill the audit nor take the place of peers in it.
const STRANGERS_WIDTH: Width = Width { at_once_max: 2, kinds_max: 16 };

/// What is counted together in the audit: a deed, with whom, and why.
pub(super) type Kind = (Deed, Option<NodeId>, Reason);

/// The actor. See the module.
pub struct PeersActor {
    pub(super) mesh: Mesh,
    pub(super) settings: MeshSettings,
    pub(super) own: Result<Arc<Identity>, String>,
    pub(super) neighbours: BTreeMap<NodeId, Neighbour>,
    pub(super) successions: BTreeMap<NodeId, Succession>,
    pub(super) listener: Option<Addr<ListenerActor>>,
    pub(super) listening: Vec<String>,
    pub(super) silent_because: Option<String>,
    pub(super) changes: watch::Sender<u64>,
    pub(super) flood: Floodgate<Kind>,
    pub(super) strangers: Floodgate<Kind>,
    unwritten: Unwritten,
    pub(super) is_stopping: bool,
    _lease: Lease,
}

impl PeersActor {
    /// Makes the actor. `own` is this machine's identity, or why it cannot be used.
    pub fn new(
        mesh: Mesh,
        settings: MeshSettings,
        own: Result<Arc<Identity>, String>,
        (successions, changes): (Vec<Succession>, watch::Sender<u64>),
        lease: Lease,
    ) -> Self {
        Self {
            _lease: lease,
            successions: successions.into_iter().map(|succession| (succession.key, succession)).collect(),
            mesh,
            settings,
            own,
            neighbours: BTreeMap::new(),
            listener: None,
            listening: Vec::new(),
            silent_because: None,
            changes,
            flood: Floodgate::new(PEERS_WIDTH),
            strangers: Floodgate::new(STRANGERS_WIDTH),
            unwritten: Unwritten::default(),
            is_stopping: false,
        }
    }

    pub(super) fn changed(&self) {
        self.changes.send_modify(|change| *change += 1);
    }

    /// Returns the identity, or why there is none.
    pub(super) fn identity(&self) -> Result<&Arc<Identity>, Failure> {
        self.own.as_ref().map_err(|reason| failure(FailureCode::Refused, reason.clone()))
    }

    /// Finds a peer by what a person types.
    pub(super) fn find(&self, text: &str) -> Result<Peer, Failure> {
        let found = self.mesh.roster.read().find(text).cloned();
        found.map_err(|error| failure(FailureCode::Refused, error.to_string()))
    }

    pub(super) fn row(&self, peer: &Peer) -> Option<PeerRow> {
        let neighbour = self.neighbours.get(&peer.node_id)?;
        let address =
            neighbour.up.as_ref().and_then(|up| up.who.address.parse::<std::net::SocketAddr>().ok());
        let trust = self.mesh.roster.admit(peer.node_id, address.map(|address| address.ip()));
        Some(neighbour.row(peer, trust))
    }

    fn peer(&self, node: NodeId) -> Option<Peer> {
        self.mesh.roster.read().peer(&node).cloned()
    }

    /// Writes something down, waits until it is on disk, and goes on. Nothing else is handled meanwhile, so that what
    /// was checked before is still so.
    pub(super) fn keep_then<T: 'static>(
        &self,
        entries: Vec<Entry>,
        deeds: Vec<AuditEntry>,
        then: impl FnOnce(&mut Self, &mut Context<Self>) -> Result<T, Failure> + 'static,
    ) -> AtomicResponse<Self, Result<T, Failure>> {
        let kept = self.mesh.keep.send(Keep { entries, deeds }).into_actor(self);
        let done = kept.map(move |kept, actor, ctx| match kept {
            Ok(Ok(())) => then(actor, ctx),
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(failure(FailureCode::Stopping, "the store has stopped")),
        });
        AtomicResponse::new(Box::pin(done))
    }

    fn refuse<T: 'static>(&self, failure: Failure) -> AtomicResponse<Self, Result<T, Failure>> {
        AtomicResponse::new(Box::pin(async move { Err(failure) }.into_actor(self)))
    }

    /// Puts a deed into the audit behind the back of whoever did it; alike ones are counted together.
    pub(super) fn note(&mut self, deed: Deed, peer: Option<NodeId>, reason: Reason) {
        let now = Instant::now();
        let is_known = peer.is_some_and(|peer| self.neighbours.contains_key(&peer));
        let kind = if is_known {
            self.flood.offer((deed, peer, reason), (deed, None, Reason::Flood), now)
        } else {
            self.strangers.offer((deed, peer, reason), (deed, None, reason), now)
        };
        if let Some((deed, peer, reason)) = kind {
            self.write_down(vec![AuditEntry { peer, reason, ..deeds::entry(deed) }]);
        }
    }

    fn write_down(&mut self, deeds: Vec<AuditEntry>) {
        self.unwritten.push(deeds);
        self.unwritten.offer(&self.mesh.keep);
    }

    /// Writes down what was counted together and is due, and what the store had no room for.
    fn flush(&mut self, is_last: bool) {
        let now = Instant::now();
        let gates = [&mut self.flood, &mut self.strangers];
        let counted = gates.into_iter().flat_map(|gate| if is_last { gate.rest(now) } else { gate.due(now) });
        let entry = |((deed, peer, reason), count)| AuditEntry { peer, reason, count, ..deeds::entry(deed) };
        let entries: Vec<AuditEntry> = counted.map(entry).collect();
        self.write_down(entries);
    }

    /// Makes links to those who are peers, lets go of those who are none any more, and listens if there is anybody.
    pub(super) fn follow_roster(&mut self, ctx: &mut Context<Self>) {
        let peers: BTreeMap<NodeId, Peer> =
            self.mesh.roster.read().peers().into_iter().map(|peer| (peer.node_id, peer.clone())).collect();
        let gone: Vec<NodeId> =
            self.neighbours.keys().filter(|node| !peers.contains_key(node)).copied().collect();
        for node in gone {
            if let Some(neighbour) = self.neighbours.remove(&node) {
                link::tell(&neighbour.link, link::Close::untrusted());
            }
        }
        if let Ok(identity) = self.own.clone() {
            for (node, peer) in &peers {
                self.follow_peer(*node, peer, &identity, ctx);
            }
        }
        self.listen(!peers.values().all(|peer| !peer.trust.is_linked()), ctx);
        self.changed();
    }

    fn follow_peer(&mut self, node: NodeId, peer: &Peer, identity: &Arc<Identity>, ctx: &mut Context<Self>) {
        let neighbour = self.neighbours.entry(node).or_insert_with(|| {
            let link = LinkActor::new(node, &self.mesh, Arc::clone(identity), ctx.address()).start();
            if let Some(head) = self.mesh.heads.borrow().clone() {
                link::tell(&link, link::Heads(head));
            }
            Neighbour::new(link, clock::now())
        });
        let held = self.successions.get(&node).and_then(|succession| succession.held);
        if let Some(held) = held.filter(|_| neighbour.held.is_none()) {
            let why = rotations::question(&held);
            link::tell(&neighbour.link, link::Hold(why.clone()));
            neighbour.held = Some(why);
        }
        let addresses = if peer.trust.is_linked() { peer.addresses.clone() } else { Vec::new() };
        link::tell(&neighbour.link, link::Routed { addresses, resolve: self.settings.resolve });
    }

    /// Takes over changes of the roster that are on disk.
    pub(super) fn apply(&mut self, changes: Vec<RosterChange>, ctx: &mut Context<Self>) {
        self.mesh.roster.change(|roster| changes.into_iter().for_each(|change| roster.apply(change)));
        self.follow_roster(ctx);
    }

    fn alter(
        &self,
        PeerChange { peer, change }: PeerChange,
    ) -> AtomicResponse<Self, Result<Box<PeerRow>, Failure>> {
        let peer = match self.find(&peer) {
            Ok(peer) => peer,
            Err(failure) => return self.refuse(failure),
        };
        let (node, at) = (peer.node_id, clock::now());
        let roster = self.mesh.roster.read();
        let (changed, deed) = match change {
            Change::Trust(trust) => {
                let entry = AuditEntry { trust: Some(trust), ..deeds::by_command(Deed::TrustChanged, node) };
                (roster.trust(&node, trust, at), Some(entry))
            }
            // A name is for the eye of this machine's user: the audit knows peers by their keys.
            Change::Rename(name) => (roster.rename(&node, name, at), None),
            Change::Remove => (roster.remove(&node, at), Some(deeds::by_command(Deed::PeerRemoved, node))),
            Change::Revoke => (roster.revoke(&node, at), Some(deeds::by_command(Deed::Revoked, node))),
            Change::Confirm => {
                drop(roster);
                return self.confirm(&peer);
            }
        };
        drop(roster);
        let before = self.row(&peer);
        match changed {
            Err(error) => self.refuse(failure(FailureCode::Refused, error.to_string())),
            Ok(change) => self.keep_then(
                kept(std::slice::from_ref(&change)),
                deed.into_iter().collect(),
                move |actor, ctx| {
                    actor.apply(vec![change], ctx);
                    let after = actor.peer(node).and_then(|peer| actor.row(&peer));
                    after.or(before).map(Box::new).ok_or_else(|| gone(&peer.name))
                },
            ),
        }
    }
}

/// Tells of each head of our audit that is signed.
async fn pass_heads_on(mut heads: watch::Receiver<Option<Signed>>, peers: Addr<PeersActor>) {
    while heads.changed().await.is_ok() {
        let head = heads.borrow_and_update().clone();
        if let Some(head) = head
            && peers.send(NewHead(head)).await.is_err()
        {
            return;
        }
    }
}

/// Makes the records of changes of the roster.
pub(super) fn kept(changes: &[RosterChange]) -> Vec<Entry> {
    let entry = |change: &RosterChange| {
        let key = change.node_id.as_bytes().to_vec();
        match (&change.standing, rmp_serde::to_vec(change)) {
            (Standing::Removed, _) | (_, Err(_)) => Entry::Remove { shelf: shelves::ROSTER, key },
            (_, Ok(value)) => Entry::Put { shelf: shelves::ROSTER, key, value },
        }
    };
    changes.iter().map(entry).collect()
}

pub(super) fn failure(code: FailureCode, message: impl Into<String>) -> Failure {
    Failure { code, message: message.into() }
}

fn gone(name: &str) -> Failure {
    failure(FailureCode::Refused, format!("{name} is no peer any more"))
}

/// Returns the moment on both clocks.
pub fn moment() -> Moment {
    Moment { now: Instant::now(), wall: clock::now() }
}

impl Actor for PeersActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        ctx.run_interval(FLUSH, |actor, ctx| {
            actor.flush(false);
            actor.end_grace(ctx);
            actor.listen_again(ctx);
        });
        self.end_grace(ctx);
        self.mesh.talks.tell_own(&self.own);
        ctx.spawn(pass_heads_on(self.mesh.heads.clone(), ctx.address()).into_actor(self));
        self.follow_roster(ctx);
    }
}

impl Handler<Table> for PeersActor {
    type Result = MessageResult<Table>;

    fn handle(&mut self, _: Table, _: &mut Self::Context) -> Self::Result {
        let peers: Vec<Peer> = self.mesh.roster.read().peers().into_iter().cloned().collect();
        let rows = peers.iter().filter_map(|peer| self.row(peer)).collect();
        MessageResult(PeersTable { change: *self.changes.borrow(), rows })
    }
}

impl Handler<Add> for PeersActor {
    type Result = AtomicResponse<Self, Result<Box<PeerRow>, Failure>>;

    fn handle(&mut self, Add { add, origin, next_key }: Add, _: &mut Self::Context) -> Self::Result {
        if let Err(failure) = self.identity() {
            return self.refuse(failure);
        }
        let (node, trust) = (add.node_id, add.trust);
        if let Err(failure) = self.check_hosts(&add.addresses) {
            return self.refuse(failure);
        }
        let added = self.mesh.roster.read().add(add, origin, clock::now());
        match added {
            Err(error) => self.refuse(failure(FailureCode::Refused, error.to_string())),
            Ok(change) => {
                let deed = AuditEntry { trust: Some(trust), ..deeds::added(origin, node) };
                let succession = Succession::new(node, next_key);
                let mut entries = kept(std::slice::from_ref(&change));
                entries.extend(rotations::record(&succession));
                self.keep_then(entries, vec![deed], move |actor, ctx| {
                    actor.successions.insert(node, succession);
                    actor.apply(vec![change], ctx);
                    let row = actor.peer(node).and_then(|peer| actor.row(&peer));
                    row.map(Box::new).ok_or_else(|| gone("it"))
                })
            }
        }
    }
}

impl Handler<Alter> for PeersActor {
    type Result = AtomicResponse<Self, Result<Box<PeerRow>, Failure>>;

    fn handle(&mut self, Alter(change): Alter, _: &mut Self::Context) -> Self::Result {
        self.alter(change)
    }
}

impl Handler<Show> for PeersActor {
    type Result = Result<Box<PeerShown>, Failure>;

    fn handle(&mut self, Show(text): Show, _: &mut Self::Context) -> Self::Result {
        let peer = self.find(&text)?;
        let (row, neighbour) =
            self.row(&peer).zip(self.neighbours.get(&peer.node_id)).ok_or_else(|| gone(&text))?;
        let mut shown = neighbour.shown(&peer, row, self.witnessed_of(peer.node_id));
        if shown.row.state != LinkState::Connected {
            let deaf = self.deaf_because();
            shown
                .advice
                .extend(deaf.map(|why| format!("{} cannot dial this machine either: {why}", peer.name)));
        }
        Ok(Box::new(shown))
    }
}

impl Handler<Find> for PeersActor {
    type Result = Result<Found, Failure>;

    fn handle(&mut self, Find(text): Find, _: &mut Self::Context) -> Self::Result {
        let peer = self.find(&text)?;
        let neighbour = self.neighbours.get(&peer.node_id).ok_or_else(|| gone(&text))?;
        Ok(Found { node: peer.node_id, name: peer.name, link: neighbour.link.clone() })
    }
}

impl Handler<Tell> for PeersActor {
    type Result = bool;

    fn handle(&mut self, Tell { node, control }: Tell, _: &mut Self::Context) -> Self::Result {
        let up = self.neighbours.get(&node).filter(|one| one.status.state == LinkState::Connected);
        if let Some(neighbour) = up {
            link::tell(&neighbour.link, link::Talk(control));
        }
        up.is_some()
    }
}

impl Handler<Own> for PeersActor {
    type Result = Result<Ours, Failure>;

    fn handle(&mut self, _: Own, _: &mut Self::Context) -> Self::Result {
        Ok(Ours { identity: Arc::clone(self.identity()?), listen: self.settings.listen_at(true) })
    }
}

impl Handler<Who> for PeersActor {
    type Result = Result<Box<karo_protocol::mesh::IdentityShown>, Failure>;

    fn handle(&mut self, _: Who, _: &mut Self::Context) -> Self::Result {
        self.identity().map(|identity| Box::new(self.shown(identity)))
    }
}

impl Handler<Report> for PeersActor {
    type Result = MessageResult<Report>;

    fn handle(&mut self, _: Report, _: &mut Self::Context) -> Self::Result {
        let own = self.own.as_ref().ok().map(|identity| identity.node_id());
        let connected =
            self.neighbours.values().filter(|one| one.status.state == LinkState::Connected).count();
        let deaf = self.deaf_because().map(|why| format!("no peer can dial this machine: {why}"));
        let roster = self.mesh.roster.read();
        let status = MeshStatus {
            node_id: own,
            fingerprint: own.map(|own| karo_trust::fingerprint(&own)),
            listening: self.listening.clone(),
            peers: roster.peers().len() as u32,
            connected: connected as u32,
            ..MeshStatus::default()
        };
        let mut notices: Vec<String> =
            self.own.as_ref().err().map(|reason| format!("no peers: {reason}")).into_iter().collect();
        notices.extend(deaf);
        let mut clocks = Vec::new();
        for peer in roster.peers() {
            let Some(neighbour) = self.neighbours.get(&peer.node_id) else { continue };
            notices.extend(neighbour.notices(&peer.name));
            clocks.extend(neighbour.clock.is_off_by().map(|skew_us| (peer.name.as_str(), skew_us)));
        }
        notices.extend(clocks_notice(&clocks));
        MessageResult(Reported { status, notices })
    }
}

impl Handler<Settle> for PeersActor {
    type Result = ();

    fn handle(&mut self, Settle(settings): Settle, ctx: &mut Self::Context) {
        let taken = self.mesh.roster.change(|roster| roster.configure(&settings.peers, &settings.subnets));
        match taken {
            Ok(()) => {
                if settings.listen != self.settings.listen {
                    self.stop_listening();
                }
                self.settings = settings;
                self.follow_roster(ctx);
            }
            Err(error) => {
                say!(Class::ConfigPeersRefused, %error, "the peers of the configuration are refused, the old ones stay")
            }
        }
    }
}

impl Handler<Woken> for PeersActor {
    type Result = ();

    fn handle(&mut self, _: Woken, ctx: &mut Self::Context) {
        tracing::debug!("the network changed, or the machine woke up");
        self.listen_again(ctx);
        self.neighbours.values().for_each(|neighbour| link::tell(&neighbour.link, link::Wake));
    }
}

impl Handler<Arriving> for PeersActor {
    type Result = ();

    fn handle(&mut self, Arriving(connection): Arriving, _: &mut Self::Context) {
        // Under the key that it had before, for the rest of its grace.
        let node = self.mesh.roster.read().known_as(connection.remote().peer, clock::now());
        match self.neighbours.get(&node) {
            Some(neighbour) => link::tell(&neighbour.link, link::Arrived(connection)),
            None => self.note(Deed::Refused, Some(node), Reason::UnknownKey),
        }
    }
}

impl Handler<NewHead> for PeersActor {
    type Result = ();

    fn handle(&mut self, NewHead(head): NewHead, _: &mut Self::Context) {
        self.spread_head(&head);
    }
}

impl Handler<Drain> for PeersActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        self.is_stopping = true;
        self.stop_listening();
        let links: Vec<_> =
            self.neighbours.values().map(|one| one.link.send(link::Close::stopping())).collect();
        let is_up =
            |(node, one): (&NodeId, &Neighbour)| (one.status.state == LinkState::Connected).then_some(*node);
        let connected: Vec<NodeId> = self.neighbours.iter().filter_map(is_up).collect();
        connected.into_iter().for_each(|node| self.note(Deed::Disconnected, Some(node), Reason::Stopping));
        self.flush(true);
        let deeds = self.unwritten.take();
        let unwritten = (!deeds.is_empty()).then(|| self.mesh.keep.send(Keep { entries: Vec::new(), deeds }));
        Box::pin(async move {
            if let Some(unwritten) = unwritten
                && !matches!(unwritten.await, Ok(Ok(())))
            {
                say!(Class::AuditUnwritten, "the last entries of the audit of the mesh are not written");
            }
            for link in links {
                // A link that is gone has nothing to say.
                link.await.unwrap_or_default();
            }
        })
    }
}

impl Handler<Noted> for PeersActor {
    type Result = ();

    fn handle(&mut self, Noted { deed, peer, reason }: Noted, _: &mut Self::Context) {
        self.note(deed, peer, reason);
        if let (Some(key), Reason::UnknownKey) = (peer, reason) {
            self.on_stranger(key);
        }
    }
}
