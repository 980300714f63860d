//! The actor: carries out what the machine wants. See [`super`].

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, ResponseFuture,
    SpawnHandle, WrapFuture,
};
use karo_fabric::link::{
    Authenticated, ConnectionId, LinkEvent, Loss, Machine, Output, PINGS_BY_HAND_MAX, Settings,
};
use karo_fabric::net::Connection;
use karo_fabric::net::frames::Ended;
use karo_protocol::NodeId;
use karo_protocol::local::{Failure, FailureCode};
use karo_protocol::mesh::{Pinged, TestStep};
use karo_protocol::peer::Control;
use karo_trust::roster::Refusal;
use karo_trust::{Chance, System, fingerprint};
use tokio::sync::oneshot;

use super::connection::{Heard, Lost, Open, Parting};
use super::messages::{
    Arrived, Close, Heads, Hold, Identified, Ping, Release, Routed, Say, Talk, Test, Wake,
};
use super::route::Route;
use crate::actors::peers::{Mesh, News, Noted, PeersActor, moment};
use crate::actors::talks::Spoken;
use crate::allowance::Allowance;
use crate::clock;
use crate::logging::say;

/// Messages that may wait: a frame of each connection, what people ask, and what peers tell.
const MAILBOX: usize = 64;

/// What a peer may say at once beyond the link's own words: a report, a verification and an answer of each kind for a
/// group of fifty.
const TALKS_AT_ONCE_MAX: u32 = 256;

/// After how long it may say one thing more: two hundred a second.
const TALKS_REFILL: Duration = Duration::from_millis(5);

/// A TCP connection stands, and its handshake is under way. Sent by the dial.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Authenticating;

/// Somebody who waits for a pong.
struct Waiting {
    connection: ConnectionId,
    number: u64,
    name: String,
    reply: oneshot::Sender<Result<Pinged, Failure>>,
}

/// The actor. See the module.
pub struct LinkActor {
    node: NodeId,
    machine: Machine,
    mesh: Mesh,
    route: Route,
    peers: Addr<PeersActor>,
    connections: BTreeMap<ConnectionId, Open>,
    /// Those whose last word is on its way.
    parting: BTreeMap<ConnectionId, Parting>,
    addresses: BTreeMap<ConnectionId, SocketAddr>,
    next: u64,
    dialling: Option<SpawnHandle>,
    timer: Option<SpawnHandle>,
    pings: VecDeque<Waiting>,
    closed: Option<oneshot::Sender<()>>,
    is_ending: bool,
    allowance: Allowance,
}

impl LinkActor {
    /// Makes the actor of the link to one peer; it dials nobody before it is [`Routed`].
    pub fn new(
        node: NodeId,
        mesh: &Mesh,
        identity: Arc<karo_trust::identity::Identity>,
        peers: Addr<PeersActor>,
    ) -> Self {
        let program = concat!("karod ", env!("CARGO_PKG_VERSION")).to_owned();
        let settings = Settings::new(mesh.run, identity.next_hash(), program);
        let seed = u64::from_le_bytes(System::default().draw());
        // During the grace of a rotation the key before is known to those who have followed, and to those who have
        // not: a peer that met the new key first would have to hold it.
        let known_as = identity.previous(clock::now()).unwrap_or_else(|| identity.current()).node_id();
        Self {
            node,
            machine: Machine::new(settings, seed, moment()),
            mesh: mesh.clone(),
            route: Route { node, addresses: Vec::new(), resolve: false, identity, known_as },
            peers,
            connections: BTreeMap::new(),
            parting: BTreeMap::new(),
            addresses: BTreeMap::new(),
            next: 0,
            dialling: None,
            timer: None,
            pings: VecDeque::new(),
            closed: None,
            is_ending: false,
            allowance: Allowance::new(TALKS_AT_ONCE_MAX, TALKS_REFILL, moment().now),
        }
    }

    /// Does what the machine wants, in its order, and asks it again when it wants to be asked.
    fn carry_out(&mut self, outputs: Vec<Output>, ctx: &mut Context<Self>) {
        let mut outputs = VecDeque::from(outputs);
        while let Some(output) = outputs.pop_front() {
            let more = self.carry_out_one(output, ctx);
            // What follows from an output comes behind those that are decided already.
            outputs.extend(more);
        }
        self.set_timer(ctx);
        if self.is_ending && self.connections.is_empty() && self.parting.is_empty() {
            self.end(ctx);
        }
    }

    fn carry_out_one(&mut self, output: Output, ctx: &mut Context<Self>) -> Vec<Output> {
        match output {
            Output::Dial => return self.dial(ctx),
            Output::Abandon => {
                if let Some(dialling) = self.dialling.take() {
                    ctx.cancel_future(dialling);
                }
            }
            Output::Admit(connection) => {
                if let Some(open) = self.connections.get(&connection) {
                    open.admit();
                }
            }
            Output::Send { connection, version, control } => {
                let sent = self.connections.get(&connection).map(|open| open.send(version, control));
                if let Some(Err(loss)) = sent {
                    self.connections.remove(&connection);
                    return self.machine.on_lost(connection, &loss, moment());
                }
            }
            Output::Close { connection, goodbye } => {
                self.addresses.remove(&connection);
                // The task that reads says when the connection is through; without a last word nobody waits for that.
                let open = self.connections.remove(&connection);
                match (open, goodbye) {
                    (Some(open), Some((version, goodbye))) => {
                        self.parting.insert(connection, open.part(version, goodbye));
                    }
                    (Some(_) | None, Some(_) | None) => drop(self.parting.remove(&connection)),
                }
            }
            Output::Tell(event) => self.tell(event),
        }
        Vec::new()
    }

    /// Hands on what the peer said about groups, atoms, summaries or questions.
    fn hand_on(&mut self, control: Control) {
        let Some(recipient) = self.mesh.talks.of(&control) else { return };
        let name = control.name();
        if !self.allowance.take(moment().now) {
            tracing::debug!(peer = %fingerprint(&self.node), name, "a peer says more than is listened to");
        } else if recipient.try_send(Spoken { node: self.node, control }).is_err() {
            tracing::debug!(peer = %fingerprint(&self.node), name, "no room for what a peer says");
        }
    }

    fn tell(&mut self, event: LinkEvent) {
        if let LinkEvent::Said(control) = event {
            return self.hand_on(*control);
        }
        match &event {
            LinkEvent::Said(_) => {}
            LinkEvent::Pinged { connection, number, rtt, skew_us } => {
                let is_answered =
                    |waiting: &Waiting| waiting.connection == *connection && waiting.number == *number;
                if let Some(place) = self.pings.iter().position(is_answered)
                    && let Some(waiting) = self.pings.remove(place)
                {
                    let path = self
                        .addresses
                        .get(connection)
                        .map_or_else(String::new, |address| format!("tcp {address}"));
                    let pinged = Pinged {
                        name: waiting.name,
                        rtt_us: rtt.as_micros() as u64,
                        skew_us: *skew_us,
                        path,
                    };
                    // Whoever asked may have left.
                    drop(waiting.reply.send(Ok(pinged)));
                }
            }
            LinkEvent::Down { connection, reason } => self.fail_pings(*connection, reason),
            LinkEvent::State(_)
            | LinkEvent::Up(_)
            | LinkEvent::Moved(_)
            | LinkEvent::Capable { .. }
            | LinkEvent::Greeted { .. }
            | LinkEvent::Clock { .. }
            | LinkEvent::Head(_)
            | LinkEvent::Rotation { .. }
            | LinkEvent::RotationAnswered(_)
            | LinkEvent::AuditAsk { .. }
            | LinkEvent::AuditProof(_)
            | LinkEvent::AuditSeen(_)
            | LinkEvent::Refused { .. }
            | LinkEvent::Twins { .. } => {}
        }
        // A note of the life of a link: each is as rare as a heartbeat, and none may be lost.
        self.peers.do_send(News { node: self.node, event });
    }

    fn fail_pings(&mut self, connection: ConnectionId, reason: &str) {
        let (gone, kept): (VecDeque<Waiting>, _) =
            std::mem::take(&mut self.pings).into_iter().partition(|waiting| waiting.connection == connection);
        self.pings = kept;
        for waiting in gone {
            let message = format!("the link to {} went down: {reason}", waiting.name);
            drop(waiting.reply.send(Err(Failure { code: FailureCode::Refused, message })));
        }
    }

    fn dial(&mut self, ctx: &mut Context<Self>) -> Vec<Output> {
        // Whoever is not to have a link is not dialled either: nothing leaves for a trust that has run out.
        if let Err(refusal) = self.mesh.roster.admit(self.node, None) {
            return self.machine.on_dial_failed(&Loss::Refused(refusal.to_string()), moment());
        }
        let me = ctx.address();
        let on_transport = move |_| drop(me.try_send(Authenticating));
        let dialled = self.route.clone().dial(on_transport).into_actor(self).map(|dialled, actor, ctx| {
            actor.dialling = None;
            let outputs = match dialled {
                Ok(connection) => actor.begin(connection, ctx),
                Err(loss) => {
                    if matches!(loss, Loss::Refused(_)) {
                        actor.route.turn();
                    }
                    actor.machine.on_dial_failed(&loss, moment())
                }
            };
            actor.carry_out(outputs, ctx);
        });
        self.dialling = Some(ctx.spawn(dialled));
        Vec::new()
    }

    /// Takes a connection whose handshake is done.
    fn begin(&mut self, connection: Connection, ctx: &mut Context<Self>) -> Vec<Output> {
        let remote = connection.remote().clone();
        let id = ConnectionId(self.next);
        self.next += 1;
        let Some(key) = self.route.identity.key_known_as(remote.own, clock::now()).cloned() else {
            // The key it asked for is not kept any more.
            return Vec::new();
        };
        self.connections.insert(id, Open::start(id, connection, Arc::new(key), ctx.address()));
        self.addresses.insert(id, remote.address);
        let who = Authenticated {
            connection: id,
            own: remote.own,
            peer: remote.peer,
            is_dialled: remote.is_dialled,
            address: remote.address.to_string(),
        };
        let at = moment();
        match self.admits(id) {
            Ok(()) => self.machine.on_connected(who, at),
            Err(refusal) => self.refuse(id, &refusal),
        }
    }

    /// Asks the roster about a connection, by the address that it has.
    fn admits(&self, connection: ConnectionId) -> Result<(), Refusal> {
        let address = self.addresses.get(&connection).map(SocketAddr::ip);
        self.mesh.roster.admit(self.node, address).map(drop)
    }

    /// Cuts a connection that the roster does not admit.
    fn refuse(&mut self, connection: ConnectionId, refusal: &Refusal) -> Vec<Output> {
        say!(Class::PeerRefused, peer = %fingerprint(&self.node), %refusal, "refused");
        let noted = Noted::refused(Some(self.node), refusal.reason());
        if self.peers.try_send(noted).is_err() {
            tracing::debug!("a refusal is not in the audit");
        }
        self.connections.remove(&connection);
        self.addresses.remove(&connection);
        self.machine.on_lost(connection, &Loss::Refused(refusal.to_string()), moment())
    }

    fn set_timer(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        if let Some(deadline) = self.machine.deadline() {
            let wait = deadline.saturating_duration_since(moment().now);
            self.timer = Some(ctx.run_later(wait, |actor, ctx| {
                actor.timer = None;
                let outputs = actor.machine.on_timeout(moment());
                actor.carry_out(outputs, ctx);
            }));
        }
    }

    fn end(&mut self, ctx: &mut Context<Self>) {
        if let Some(closed) = self.closed.take() {
            // Whoever waited may have given up.
            closed.send(()).unwrap_or_default();
        }
        ctx.stop();
    }
}

impl Actor for LinkActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Authenticating> for LinkActor {
    type Result = ();

    fn handle(&mut self, _: Authenticating, ctx: &mut Self::Context) {
        let outputs = self.machine.on_authenticating(moment());
        self.carry_out(outputs, ctx);
    }
}

impl Handler<Heard> for LinkActor {
    type Result = ();

    fn handle(&mut self, Heard { connection, received }: Heard, ctx: &mut Self::Context) {
        if !self.addresses.contains_key(&connection) {
            // It is being closed: what is still on its way is not looked at.
            return;
        }
        let outputs = match self.admits(connection) {
            Ok(()) => self.machine.on_control(connection, received.version, received.control, moment()),
            Err(refusal) => self.refuse(connection, &refusal),
        };
        self.carry_out(outputs, ctx);
    }
}

impl Handler<Lost> for LinkActor {
    type Result = ();

    fn handle(&mut self, Lost { connection, ended }: Lost, ctx: &mut Self::Context) {
        let outputs = match ended {
            Ended::Lost(loss) => {
                self.connections.remove(&connection);
                self.parting.remove(&connection);
                self.addresses.remove(&connection);
                self.machine.on_lost(connection, &loss, moment())
            }
            Ended::Violation(message) => self.machine.on_violation(connection, message, moment()),
        };
        self.carry_out(outputs, ctx);
    }
}

impl Handler<Arrived> for LinkActor {
    type Result = ();

    fn handle(&mut self, Arrived(connection): Arrived, ctx: &mut Self::Context) {
        if !self.is_ending {
            let outputs = self.begin(connection, ctx);
            self.carry_out(outputs, ctx);
        }
    }
}

impl Handler<Routed> for LinkActor {
    type Result = ();

    fn handle(&mut self, Routed { addresses, resolve }: Routed, ctx: &mut Self::Context) {
        (self.route.addresses, self.route.resolve) = (addresses, resolve);
        let mut outputs = self.machine.reachable(self.route.is_open(), moment());
        let refused: Vec<(ConnectionId, Refusal)> = self
            .addresses
            .keys()
            .filter_map(|connection| Some((*connection, self.admits(*connection).err()?)))
            .collect();
        for (connection, refusal) in refused {
            outputs.extend(self.refuse(connection, &refusal));
        }
        self.carry_out(outputs, ctx);
    }
}

impl Handler<Identified> for LinkActor {
    type Result = ();

    fn handle(&mut self, Identified(identity): Identified, _: &mut Self::Context) {
        self.machine.next_key_is(identity.next_hash());
        self.route.identity = identity;
    }
}

impl Handler<Heads> for LinkActor {
    type Result = ();

    fn handle(&mut self, Heads(head): Heads, _: &mut Self::Context) {
        self.machine.head_is(head);
    }
}

impl Handler<Wake> for LinkActor {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Self::Context) {
        let outputs = self.machine.wake(moment());
        self.carry_out(outputs, ctx);
    }
}

impl Handler<Hold> for LinkActor {
    type Result = ();

    fn handle(&mut self, Hold(why): Hold, ctx: &mut Self::Context) {
        let outputs = self.machine.hold(&why, moment());
        self.carry_out(outputs, ctx);
    }
}

impl Handler<Release> for LinkActor {
    type Result = ();

    fn handle(&mut self, _: Release, ctx: &mut Self::Context) {
        let outputs = self.machine.release(moment());
        self.carry_out(outputs, ctx);
    }
}

impl Handler<Say> for LinkActor {
    type Result = ();

    fn handle(&mut self, Say { connection, control }: Say, ctx: &mut Self::Context) {
        let outputs = self.machine.send(connection, control).into_iter().collect();
        self.carry_out(outputs, ctx);
    }
}

impl Handler<Talk> for LinkActor {
    type Result = ();

    fn handle(&mut self, Talk(control): Talk, ctx: &mut Self::Context) {
        let connection = self.machine.primary();
        let has_room = connection
            .and_then(|id| self.connections.get(&id))
            .is_some_and(super::connection::Open::has_room);
        if !has_room {
            tracing::debug!(peer = %fingerprint(&self.node), name = control.name(), "not said: no link, or no room");
            return;
        }
        let outputs = self.machine.send(connection, control).into_iter().collect();
        self.carry_out(outputs, ctx);
    }
}

impl Handler<Close> for LinkActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Close { parting, message }: Close, ctx: &mut Self::Context) -> Self::Result {
        let (sender, closed) = oneshot::channel();
        self.closed = Some(sender);
        self.is_ending = true;
        let outputs = self.machine.close(parting, message, moment());
        self.carry_out(outputs, ctx);
        Box::pin(async move { drop(closed.await) })
    }
}

impl Handler<Ping> for LinkActor {
    type Result = ResponseFuture<Result<Pinged, Failure>>;

    fn handle(&mut self, Ping { name }: Ping, ctx: &mut Self::Context) -> Self::Result {
        let refused = |message| Failure { code: FailureCode::Refused, message };
        let (pinged, outputs) = self.machine.ping(moment());
        let Some((connection, number)) = pinged else {
            let message = format!("{name} is not connected; `karoctl peers show {name}` says why");
            return Box::pin(async move { Err(refused(message)) });
        };
        let (reply, answer) = oneshot::channel();
        if self.pings.len() >= PINGS_BY_HAND_MAX {
            self.pings.pop_front();
        }
        self.pings.push_back(Waiting { connection, number, name, reply });
        self.carry_out(outputs, ctx);
        let gone = refused("the ping was given up for later ones".to_owned());
        Box::pin(async move { answer.await.unwrap_or(Err(gone)) })
    }
}

impl Handler<Test> for LinkActor {
    type Result = ResponseFuture<Vec<TestStep>>;

    fn handle(&mut self, Test { name }: Test, _: &mut Self::Context) -> Self::Result {
        let is_up = self.machine.primary().is_some();
        Box::pin(super::test::steps(name, self.route.clone(), is_up))
    }
}
