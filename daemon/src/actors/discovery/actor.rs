//! The actor itself: what runs, and when. See [`super`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, MessageResult, SpawnHandle, StreamHandler,
    WrapFuture,
};
use karo_protocol::config::DiscoverySettings;
use karo_protocol::node::Fingerprint;
use karo_trust::fingerprint;
use mdns_sd::ServiceEvent;

use super::mdns::{Multicast, Told, is_flooded, told};
use super::sighting::{Sighting, Source, announcement};
use super::table::{Candidates, Offered};
use super::zone::{ROUND, Round, look};
use super::{Here, Listens, Search, Seen};
use crate::actors::peers::moment;
use crate::logging::say;
use crate::roster_desk::RosterDesk;

/// Messages that may wait here: people ask, and little changes.
const MAILBOX: usize = 64;

/// How often is looked how much multicast DNS holds.
const MEASURE: Duration = Duration::from_secs(10);

/// How long multicast DNS rests when it failed, or when somebody floods the network.
const REST: Duration = Duration::from_secs(60);

/// The actor. See the module.
pub struct DiscoveryActor {
    settings: DiscoverySettings,
    host: String,
    roster: RosterDesk,
    here: Option<Here>,
    candidates: Candidates,
    multicast: Option<Running>,
    rest: Option<SpawnHandle>,
    zone: Option<Rounds>,
}

/// Multicast DNS while it runs, and what listens to it.
struct Running {
    multicast: Multicast,
    tasks: [SpawnHandle; 2],
}

/// The rounds of a zone: the clock of them, and the one under way.
struct Rounds {
    clock: SpawnHandle,
    round: SpawnHandle,
}

impl DiscoveryActor {
    /// Makes the actor; `host` is what this machine is called.
    pub fn new(settings: DiscoverySettings, host: String, roster: RosterDesk) -> Self {
        Self {
            settings,
            host,
            roster,
            here: None,
            candidates: Candidates::default(),
            multicast: None,
            rest: None,
            zone: None,
        }
    }

    /// Runs multicast DNS if it is wanted, and not otherwise.
    fn follow_mdns(&mut self, ctx: &mut Context<Self>) {
        if !self.settings.mdns {
            self.stop_mdns(ctx);
        } else if self.multicast.is_none() && self.rest.is_none() {
            self.start_mdns(ctx);
        }
        self.announce();
    }

    fn start_mdns(&mut self, ctx: &mut Context<Self>) {
        match Multicast::start() {
            Ok((multicast, events)) => {
                let events = ctx.add_stream(events.into_stream());
                let measure = ctx.run_interval(MEASURE, Self::measure);
                self.multicast = Some(Running { multicast, tasks: [events, measure] });
                say!(Class::DiscoveryOn, "looking for candidates by mDNS");
            }
            Err(error) => {
                say!(Class::DiscoveryFailed, %error, "mDNS could not be started");
                self.rest_mdns(ctx);
            }
        }
    }

    fn stop_mdns(&mut self, ctx: &mut Context<Self>) {
        if let Some(rest) = self.rest.take() {
            ctx.cancel_future(rest);
        }
        if let Some(Running { multicast, tasks }) = self.multicast.take() {
            for task in tasks {
                ctx.cancel_future(task);
            }
            drop(multicast);
            say!(Class::DiscoveryOff, "no longer looking for candidates by mDNS");
        }
        self.candidates.clear(Source::Mdns);
    }

    fn rest_mdns(&mut self, ctx: &mut Context<Self>) {
        self.stop_mdns(ctx);
        let again = |actor: &mut Self, ctx: &mut Context<Self>| {
            actor.rest = None;
            actor.follow_mdns(ctx);
        };
        self.rest = Some(ctx.run_later(REST, again));
    }

    fn measure(&mut self, ctx: &mut Context<Self>) {
        let Some(Ok(metrics)) = self.multicast.as_ref().map(|running| running.multicast.measure()) else {
            return;
        };
        let measured = async move { metrics.recv_async().await }.into_actor(self);
        ctx.spawn(measured.map(|metrics, actor, ctx| {
            if metrics.is_ok_and(|metrics| is_flooded(&metrics)) {
                say!(
                    Class::DiscoveryFlooded,
                    seconds = REST.as_secs(),
                    "somebody floods the network with mDNS; it rests"
                );
                actor.rest_mdns(ctx);
            }
        }));
    }

    fn announce(&mut self) {
        if let Some(Running { multicast, .. }) = &mut self.multicast {
            multicast.announce(announcement(self.here, &self.host));
        }
    }

    /// Asks the zone if one is named, and not otherwise.
    fn follow_zone(&mut self, ctx: &mut Context<Self>) {
        if let Some(Rounds { clock, round }) = self.zone.take() {
            ctx.cancel_future(clock);
            ctx.cancel_future(round);
        }
        self.candidates.clear(Source::DnsSd);
        let Some(zone) = self.settings.dns_sd.clone() else { return };
        say!(Class::DiscoveryOn, zone, "looking for candidates by DNS-SD");
        let round = self.ask(zone.clone(), ctx);
        let clock = ctx.run_interval(ROUND, move |actor, ctx| {
            let round = actor.ask(zone.clone(), ctx);
            if let Some(rounds) = &mut actor.zone {
                rounds.round = round;
            }
        });
        self.zone = Some(Rounds { clock, round });
    }

    fn ask(&self, zone: String, ctx: &mut Context<Self>) -> SpawnHandle {
        let round = look(zone, self.settings.dns_server).into_actor(self);
        ctx.spawn(round.map(|round, actor, _| actor.take_round(round)))
    }

    fn take_round(&mut self, round: Result<Round, String>) {
        match round {
            Ok(Round { named, found }) => {
                self.candidates.keep_only(Source::DnsSd, &named);
                found.into_iter().for_each(|(sighting, live)| self.take(Source::DnsSd, sighting, Some(live)));
            }
            Err(error) => say!(Class::DiscoveryFailed, error, "the zone cannot be asked for candidates"),
        }
    }

    fn take(&mut self, source: Source, sighting: Sighting, live: Option<Duration>) {
        let name = sighting.name.clone();
        match self.candidates.offer(source, sighting, live, moment()) {
            Offered::New => tracing::debug!(name, source = source.name(), "a candidate was seen"),
            Offered::Known => {}
            Offered::Refused => {
                tracing::debug!(name, source = source.name(), "there are too many candidates")
            }
        }
    }
}

impl Actor for DiscoveryActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.follow_mdns(ctx);
        self.follow_zone(ctx);
    }
}

impl Handler<Seen> for DiscoveryActor {
    type Result = MessageResult<Seen>;

    fn handle(&mut self, _: Seen, _: &mut Self::Context) -> Self::Result {
        let (own, peers): (_, BTreeMap<Fingerprint, String>) = {
            let roster = self.roster.read();
            let peers = roster.peers().into_iter();
            let peers = peers.map(|peer| (fingerprint(&peer.node_id), peer.name.clone())).collect();
            (fingerprint(&roster.own()), peers)
        };
        MessageResult(self.candidates.shown(Instant::now(), Some(own), |other| peers.get(&other).cloned()))
    }
}

impl Handler<Search> for DiscoveryActor {
    type Result = ();

    fn handle(&mut self, Search(settings): Search, ctx: &mut Self::Context) {
        let is_other_zone =
            (&settings.dns_sd, settings.dns_server) != (&self.settings.dns_sd, self.settings.dns_server);
        self.settings = settings;
        self.follow_mdns(ctx);
        if is_other_zone {
            self.follow_zone(ctx);
        }
    }
}

impl Handler<Listens> for DiscoveryActor {
    type Result = ();

    fn handle(&mut self, Listens(here): Listens, _: &mut Self::Context) {
        self.here = here;
        self.announce();
    }
}

impl StreamHandler<ServiceEvent> for DiscoveryActor {
    fn handle(&mut self, event: ServiceEvent, _: &mut Self::Context) {
        match told(event) {
            Told::There(sighting) => self.take(Source::Mdns, sighting, None),
            Told::Gone(name) => self.candidates.withdraw(Source::Mdns, name),
            Told::Nothing => {}
        }
    }

    /// The library gives up on whom it tells more than can be read: then nobody knows what is still there.
    fn finished(&mut self, ctx: &mut Self::Context) {
        say!(Class::DiscoveryFailed, seconds = REST.as_secs(), "mDNS has given up; it rests");
        self.rest_mdns(ctx);
    }
}
