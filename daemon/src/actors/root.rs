//! Holds everything together: signals, leases, reloads, and the order in which all stops.
//!
//! An actor that others address and that is gone takes the daemon down, and the service manager is
//! the supervisor above: limping on would write wrong data.
//!
//! | message | from | answer |
//! | --- | --- | --- |
//! | [`Gone`] | the lease of a child | none; the daemon ends |
//! | [`Stop`] | signals, the store when the disk failed | none; everything stops in order |
//! | [`Retire`] | service, when nobody needs the daemon | none; it stops if nobody is there |
//! | [`Reload`] | SIGHUP | none; a bad configuration changes nothing |
//! | [`Ready`] | loader | none; running commands are looked after |

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, Recipient, WrapFuture};
use karo_protocol::audit::{Deed, Reason};
use karo_protocol::config::{Settings, SocketSettings};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::discovery::{DiscoveryActor, Search};
use super::ingest::Ingest;
use super::peers::{Noted, PeersActor, Settle};
use super::query::{QueryActor, Running};
use super::rules::{Adopt, RulesActor};
use super::shells::{Begun, Shells};
use super::socket::{Farewell, Limits, Rest, Socket};
use super::spool::Spool;
use super::store::{Retain, Searchable, StoreActor};
use super::summary::{self, SummaryActor};
use super::worker::{Ignore, Worker};
use super::{Drain, follow::Follow};
use crate::exit::Ending;
use crate::lease::Gone;
use crate::logging::LogControl;
use crate::logging::say;
use crate::service::{self, Herald, Look, ServiceActor};
use crate::settings::{self, SettingsError};

/// Messages that may wait here: notes of the life cycle.
const MAILBOX: usize = 64;

/// Deadlines of the steps of a stop; together they stay under a second.
const QUIET_WITHIN: Duration = Duration::from_millis(50);
const UNDERSTOOD_WITHIN: Duration = Duration::from_millis(250);
const PARTED_WITHIN: Duration = Duration::from_millis(150);
const SYNCED_WITHIN: Duration = Duration::from_millis(400);
const ANSWERED_WITHIN: Duration = Duration::from_millis(100);

/// Stop everything in order. Sent on SIGTERM and SIGINT, and by the store when the disk failed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Stop(pub Ending);

/// Read the configuration again. Sent on SIGHUP.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Reload;

/// Stop, unless somebody has come. Sent by [`service`](mod@crate::service) when nobody needs the daemon.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Retire;

/// What there is room for can be found. Sent by the loader.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Ready {
    /// Whether that is everything in the log.
    pub is_whole: bool,
}

/// Everybody whom the root tells something.
pub struct Household {
    /// Listens.
    pub socket: Addr<Socket>,
    /// Takes spooled records.
    pub spool: Addr<Spool>,
    /// Follows history files.
    pub follow: Addr<Follow>,
    /// Puts work in order.
    pub ingest: Addr<Ingest>,
    /// Keeps the rules.
    pub rules: Addr<RulesActor>,
    /// Understand.
    pub workers: Vec<Addr<Worker>>,
    /// Writes.
    pub store: Addr<StoreActor>,
    /// Searches.
    pub query: Addr<QueryActor>,
    /// Watches shells.
    pub shells: Addr<Shells>,
    /// Keeps the peers.
    pub peers: Addr<PeersActor>,
    /// Looks for candidates.
    pub discovery: Addr<DiscoveryActor>,
    /// Keeps the policy.
    pub summary: Addr<SummaryActor>,
    /// Tells the service manager, where there is one.
    pub service: Option<Addr<ServiceActor>>,
}

/// The actor. See the module.
pub struct Root {
    household: Household,
    config: PathBuf,
    settings: Settings,
    sessions_max: Arc<AtomicU32>,
    limits: service::Limits,
    log: LogControl,
    herald: Herald,
    ending: Option<oneshot::Sender<Ending>>,
    is_stopping: bool,
}

impl Root {
    /// Makes the actor; `ending` is told how the daemon ended.
    pub fn new(
        household: Household,
        config: PathBuf,
        settings: Settings,
        (sessions_max, limits): (Arc<AtomicU32>, service::Limits),
        log: LogControl,
        herald: Herald,
        ending: oneshot::Sender<Ending>,
    ) -> Self {
        let ending = Some(ending);
        Self { household, config, settings, sessions_max, limits, log, herald, ending, is_stopping: false }
    }

    fn end(&mut self, ending: Ending) {
        if let Some(sender) = self.ending.take() {
            // The other side waits for nothing else.
            drop(sender.send(ending));
        }
    }

    /// Has the service manager told how things are.
    fn look(&self) {
        if self.household.service.as_ref().is_some_and(|service| service.try_send(Look).is_err()) {
            tracing::debug!("the service manager is told at the next occasion");
        }
    }

    /// Puts new settings in force, or returns why they are not.
    fn adopt(&mut self, settings: Settings) -> Option<String> {
        if settings.log.target != self.settings.log.target {
            say!(Class::ConfigNeedsRestart, key = "log.target", "takes a restart");
        }
        self.log.set_level(settings.log.level);
        let (sessions_max, cut) = self.limits.sessions(settings.socket.sessions_max);
        if let Some(cut) = cut {
            say!(Class::LimitCut, "{cut}");
        }
        let socket = SocketSettings { sessions_max, ..settings.socket };
        self.sessions_max.store(sessions_max, Ordering::Relaxed);
        let ignore = Ignore(Arc::new(settings.record.clone()));
        let mut is_told = self.household.workers.iter().all(|worker| worker.try_send(ignore.clone()).is_ok());
        is_told &=
            self.household.rules.try_send(Adopt(settings.rules.clone(), settings.redact.clone())).is_ok();
        is_told &= self.household.socket.try_send(Limits(socket)).is_ok();
        is_told &= self.household.store.try_send(Retain(settings.store)).is_ok();
        is_told &=
            self.household.follow.try_send(super::follow::Files(settings.record.follow.clone())).is_ok();
        is_told &= self.household.peers.try_send(Settle(settings.mesh.clone())).is_ok();
        is_told &= self.household.discovery.try_send(Search(settings.discovery.clone())).is_ok();
        let policy = summary::Settle(settings.sharing.clone());
        is_told &= self.household.summary.try_send(policy).is_ok();
        let service = self.household.service.as_ref();
        is_told &= service.is_none_or(|service| service.try_send(service::Settle::of(&settings)).is_ok());
        let reloaded = Noted { deed: Deed::Reloaded, peer: None, reason: Reason::None };
        is_told &= self.household.peers.try_send(reloaded).is_ok();
        if is_told {
            say!(Class::ConfigReloaded, path = %self.config.display(), "configuration reloaded");
            self.settings = settings;
            None
        } else {
            say!(
                Class::ConfigPartly,
                "the configuration could not be put in force everywhere; send another HUP"
            );
            Some("too much was waiting; reload again".to_owned())
        }
    }
}

/// Stops everything along the stream; what missed its deadline is named.
async fn stop(household: Stopping) {
    step("socket", QUIET_WITHIN, household.socket.send(Drain)).await;
    step("spool", QUIET_WITHIN, household.spool.send(Drain)).await;
    step("ingest", UNDERSTOOD_WITHIN, household.ingest.send(Drain)).await;
    step("peers", PARTED_WITHIN, household.peers.send(Drain)).await;
    step("store", SYNCED_WITHIN, household.store.send(Drain)).await;
    step("sessions", ANSWERED_WITHIN, household.farewell.send(Farewell)).await;
}

/// Whom a stop passes, in its order.
struct Stopping {
    socket: Recipient<Drain>,
    spool: Recipient<Drain>,
    ingest: Recipient<Drain>,
    peers: Recipient<Drain>,
    store: Recipient<Drain>,
    farewell: Recipient<Farewell>,
}

async fn step<E>(name: &str, within: Duration, done: impl Future<Output = Result<(), E>>) {
    match timeout(within, done).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => say!(Class::StopIncomplete, name, "was gone before it was stopped"),
        Err(_) => {
            say!(Class::StopIncomplete, name, within_ms = within.as_millis() as u64, "missed its deadline")
        }
    }
}

impl Actor for Root {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Gone> for Root {
    type Result = ();

    fn handle(&mut self, Gone { name, panicked }: Gone, _: &mut Self::Context) {
        if !self.is_stopping {
            let how = if panicked { "panicked" } else { "ended" };
            self.end(Ending::Bug(format!("actor {name} {how}")));
        }
    }
}

impl Handler<Stop> for Root {
    type Result = ();

    fn handle(&mut self, Stop(ending): Stop, ctx: &mut Self::Context) {
        if self.is_stopping {
            return;
        }
        self.is_stopping = true;
        say!(Class::Stopping, %ending, "stopping");
        self.herald.stopping(&ending);
        let stopping = Stopping {
            socket: self.household.socket.clone().recipient(),
            spool: self.household.spool.clone().recipient(),
            ingest: self.household.ingest.clone().recipient(),
            peers: self.household.peers.clone().recipient(),
            store: self.household.store.clone().recipient(),
            farewell: self.household.socket.clone().recipient(),
        };
        ctx.spawn(stop(stopping).into_actor(self).map(move |(), root, _| root.end(ending)));
    }
}

impl Handler<Retire> for Root {
    type Result = ();

    fn handle(&mut self, _: Retire, ctx: &mut Self::Context) {
        let rests = self.household.socket.send(Rest).into_actor(self);
        ctx.spawn(rests.map(|rests, _, ctx| match rests {
            Ok(true) => ctx.notify(Stop(Ending::Idle)),
            Ok(false) => tracing::debug!("somebody came; the daemon stays"),
            Err(error) => tracing::debug!(%error, "the socket is gone already"),
        }));
    }
}

impl Handler<Reload> for Root {
    type Result = ();

    fn handle(&mut self, _: Reload, ctx: &mut Self::Context) {
        let path = self.config.clone();
        self.herald.reloading();
        let load = tokio::task::spawn_blocking(move || settings::load(&path));
        ctx
            .spawn(load.into_actor(self).map(|loaded: Result<Result<Settings, SettingsError>, _>, root, _| {
            let refused = match loaded {
                Ok(Ok(settings)) => root.adopt(settings),
                Ok(Err(error)) => {
                    say!(Class::ConfigRefused, %error, "configuration refused, the old one stays");
                    Some(error.to_string())
                }
                Err(error) => {
                    say!(Class::ConfigRefused, %error, "configuration could not be read, the old one stays");
                    Some(error.to_string())
                }
            };
            root.herald.reloaded(refused);
            root.look();
        }));
    }
}

impl Handler<Ready> for Root {
    type Result = ();

    fn handle(&mut self, Ready { is_whole }: Ready, ctx: &mut Self::Context) {
        // Views are made anew from what can be found, so only from everything.
        if is_whole && self.household.store.try_send(Searchable).is_err() {
            say!(Class::ViewsBehind, "the views are not looked after before the next start");
        }
        self.herald.change(|standing| {
            standing.is_memory_short = !is_whole;
            if is_whole {
                standing.loaded_percent = None;
            }
        });
        self.look();
        let shells = self.household.shells.clone();
        let running = self.household.query.send(Running).into_actor(self);
        ctx.spawn(running.map(move |running, _, _| {
            if let Ok(running) = running
                && shells.try_send(Begun(running)).is_err()
            {
                say!(Class::ShellUnwatched, "commands that run since before the start are not watched");
            }
        }));
    }
}
