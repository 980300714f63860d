//! Tells the service manager how the daemon is, and asks the busiest actors whether they are there.
//!
//! Alone on its arbiter, so that it can name who is stuck, whoever that is. It is there only under a service
//! manager, and has a timer only where that has a watchdog.
//!
//! | message | from | answer |
//! | --- | --- | --- |
//! | [`Look`] | root, when something has changed | none; the manager is told |
//! | [`Settle`] | root, after a reload | none |
//!
//! Of itself it asks:
//!
//! | message | whom | answer |
//! | --- | --- | --- |
//! | [`Ping`] | root, socket, ingest, workers, spool, store, query, peers | when its turn comes |
//! | `Report` | query, peers, spool, store | what a status line is made of, and what the daemon stays for |
//! | `Watched` | shells | how many run something |
//! | `Retire` | root, when nobody needs the daemon | none |

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, Recipient, SpawnHandle, WrapFuture,
};
use karo_protocol::config::Settings;
use tokio::sync::watch;
use tokio::time::timeout;

use super::Herald;
use super::idle::{Idleness, Needs};
use super::watchdog::{self, Output, Watchdog};
use crate::actors::root::Retire;
use crate::actors::shells::Watched;
use crate::actors::{peers, query, spool, store};
use crate::counters::Counters;
use crate::lease::Lease;
use crate::logging::say;

/// Messages that may wait here: the root's.
const MAILBOX: usize = 16;

/// How long one actor's part of the status line is waited for; without it the last one stands.
const PATIENCE: Duration = Duration::from_secs(1);

/// Are you there? Sent by [`ServiceActor`]; answered when its turn comes.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Ping;

/// Something has changed that the manager is told. Sent by the root.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Look;

/// What the daemon stays for by its configuration, and for how long without anything. Sent by the root after a reload.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Settle {
    /// The time after which it ends, where the socket is the manager's.
    pub idle_exit: Option<Duration>,
    /// History files that are followed.
    pub followed: usize,
    /// Candidates are looked for.
    pub looks_for_peers: bool,
}

impl Settle {
    /// Takes it out of the settings.
    pub fn of(settings: &Settings) -> Self {
        Self {
            idle_exit: settings.service.idle_exit,
            followed: settings.record.follow.len(),
            looks_for_peers: settings.discovery.mdns || settings.discovery.dns_sd.is_some(),
        }
    }
}

/// Somebody who is asked for a sign of life.
#[derive(Clone)]
pub struct Member {
    /// What it is called.
    pub name: &'static str,
    /// Where it is asked.
    pub ask: Recipient<Ping>,
    /// Tells how far its work is, where one may last long.
    pub steps: Option<Steps>,
}

/// Tells how far a work is: another number means that it moves.
pub type Steps = Arc<dyn Fn() -> u64 + Send + Sync>;

impl Member {
    /// Makes one whose works are all short.
    pub const fn new(name: &'static str, ask: Recipient<Ping>) -> Self {
        Self { name, ask, steps: None }
    }
}

/// What a status line is made of.
#[derive(Clone)]
pub struct Sources {
    /// Events that can be found.
    pub query: Recipient<query::Report>,
    /// Peers that are linked.
    pub peers: Recipient<peers::Report>,
    /// Records that wait.
    pub spool: Recipient<spool::Report>,
    /// Why nothing is accepted.
    pub store: Recipient<store::Report>,
    /// Commands that run.
    pub shells: Recipient<Watched>,
    /// Ends the daemon.
    pub root: Recipient<Retire>,
    /// Counts who came.
    pub counters: Arc<Counters>,
    /// Counts changes of the table of peers.
    pub changes: watch::Receiver<u64>,
}

/// What a service manager gives.
#[derive(Debug, Clone)]
pub struct Given {
    /// Tells it how the daemon is.
    pub herald: Herald,
    /// What its watchdog allows, if it has one.
    pub allowed: Option<Duration>,
    /// The socket is its own, so that it can start the daemon again.
    pub is_handed: bool,
}

/// The actor. See the module.
pub struct ServiceActor {
    herald: Herald,
    is_handed: bool,
    members: Vec<Member>,
    watchdog: Option<Watchdog>,
    idleness: Idleness,
    idle_timer: Option<SpawnHandle>,
    settled: Settle,
    timer: Option<SpawnHandle>,
    /// Who was named last.
    stuck: Vec<&'static str>,
    sources: Sources,
    is_looking: bool,
    /// Something changed while it looked.
    is_stale: bool,
    _lease: Lease,
}

impl ServiceActor {
    /// Makes the actor of what the manager gives, who is asked for what, and the settings.
    pub fn new(given: Given, members: Vec<Member>, sources: Sources, settled: Settle, lease: Lease) -> Self {
        let Given { herald, allowed, is_handed } = given;
        let names = || members.iter().map(|member| member.name).collect();
        let watchdog = allowed.map(|allowed| Watchdog::new(allowed, names(), Instant::now()));
        let idle_exit = settled.idle_exit.filter(|_| is_handed);
        Self {
            herald,
            is_handed,
            members,
            watchdog,
            idleness: Idleness::new(idle_exit, Instant::now()),
            idle_timer: None,
            settled,
            timer: None,
            stuck: Vec::new(),
            sources,
            is_looking: false,
            is_stale: false,
            _lease: lease,
        }
    }

    /// Sets the timer for what the watchdog does next.
    fn wind(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let Some(due) = self.watchdog.as_ref().map(Watchdog::deadline) else { return };
        self.timer = Some(ctx.run_later(due.saturating_duration_since(Instant::now()), |actor, ctx| {
            actor.timer = None;
            let members = &actor.members;
            let moves = |place: usize| members[place].steps.as_ref().map_or(0, |steps| steps());
            let output =
                actor.watchdog.as_mut().and_then(|watchdog| watchdog.on_timeout(Instant::now(), moves));
            actor.carry_out(output, ctx);
        }));
    }

    fn carry_out(&mut self, output: Option<Output>, ctx: &mut Context<Self>) {
        match output {
            Some(Output::Ask) => self.ask(ctx),
            Some(Output::Alive) => {
                self.herald.alive();
                self.stuck.clear();
                self.herald.change(|standing| standing.stuck.clear());
                self.look(ctx);
            }
            Some(Output::Stuck(names)) => {
                if self.stuck != names {
                    say!(
                        Class::NoAnswer,
                        actors = names.join(", "),
                        "no answer; the service manager's watchdog is not fed"
                    );
                    self.stuck.clone_from(&names);
                }
                self.herald.change(|standing| standing.stuck = names);
            }
            None => {}
        }
        self.wind(ctx);
    }

    fn ask(&self, ctx: &mut Context<Self>) {
        for (place, member) in self.members.iter().enumerate() {
            ctx.spawn(member.ask.send(Ping).into_actor(self).map(move |answered, actor, ctx| {
                // One that is gone takes the daemon down by its lease.
                if answered.is_ok() {
                    let watchdog = actor.watchdog.as_mut();
                    let output = watchdog.and_then(|watchdog| watchdog.on_answer(place, Instant::now()));
                    actor.carry_out(output, ctx);
                }
            }));
        }
    }

    /// Asks everybody for a part of the status line; once at a time.
    fn look(&mut self, ctx: &mut Context<Self>) {
        if !self.herald.is_heard() {
            return;
        }
        if self.is_looking {
            self.is_stale = true;
            return;
        }
        (self.is_looking, self.is_stale) = (true, false);
        let sources = self.sources.clone();
        let parts = async move {
            tokio::join!(
                timeout(PATIENCE, sources.query.send(query::Report)),
                timeout(PATIENCE, sources.peers.send(peers::Report)),
                timeout(PATIENCE, sources.spool.send(spool::Report)),
                timeout(PATIENCE, sources.store.send(store::Report)),
            )
        };
        ctx.spawn(parts.into_actor(self).map(|(found, mesh, spools, store), actor, ctx| {
            actor.is_looking = false;
            actor.herald.change(|standing| {
                if let Ok(Ok(found)) = found {
                    standing.events = Some(found.events);
                }
                if let Ok(Ok(mesh)) = mesh {
                    standing.peers = (mesh.status.peers, mesh.status.connected);
                }
                if let Ok(Ok(spools)) = spools {
                    standing.spooled = spools.iter().map(|spool| spool.waiting).sum();
                }
                if let Ok(Ok(store)) = store {
                    standing.refusing = store.refusing;
                }
            });
            if actor.is_stale {
                actor.look(ctx);
            }
        }));
    }

    /// Sets the timer for the end of a time in which nobody came.
    fn wait_for_idleness(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.idle_timer.take() {
            ctx.cancel_future(timer);
        }
        let Some(due) = self.idleness.deadline() else { return };
        self.idle_timer = Some(ctx.run_later(due.saturating_duration_since(Instant::now()), |actor, ctx| {
            actor.idle_timer = None;
            let came = actor.sources.counters.sessions_begun.count();
            if actor.idleness.on_timeout(Instant::now(), came) {
                actor.retire_unless_needed(ctx);
            }
            actor.wait_for_idleness(ctx);
        }));
    }

    /// Asks what the daemon stays for; whoever does not say is taken for busy.
    fn retire_unless_needed(&self, ctx: &mut Context<Self>) {
        let (sources, settled) = (self.sources.clone(), self.settled);
        let needs = async move {
            let (found, mesh, spools, shells) = tokio::join!(
                timeout(PATIENCE, sources.query.send(query::Report)),
                timeout(PATIENCE, sources.peers.send(peers::Report)),
                timeout(PATIENCE, sources.spool.send(spool::Report)),
                timeout(PATIENCE, sources.shells.send(Watched)),
            );
            let (Ok(Ok(found)), Ok(Ok(mesh)), Ok(Ok(spools)), Ok(Ok(shells))) = (found, mesh, spools, shells)
            else {
                return None;
            };
            Some(Needs {
                sessions: sources.counters.sessions.load(Ordering::Relaxed),
                peers: mesh.status.peers,
                looks_for_peers: settled.looks_for_peers || !mesh.status.listening.is_empty(),
                shells,
                spooled: spools.iter().map(|spool| spool.waiting).sum(),
                has_spooling_hooks: sources.counters.spooled.count() > 0,
                followed: settled.followed,
                is_loading: found.is_loading,
            })
        };
        ctx.spawn(needs.into_actor(self).map(|needs, actor, _| match needs.as_ref().map(Needs::reason) {
            Some(None) if actor.sources.root.try_send(Retire).is_ok() => {}
            Some(Some(reason)) => tracing::debug!(reason, "the daemon is idle and stays"),
            Some(None) | None => tracing::debug!("the daemon seems idle and is too busy to say so"),
        }));
    }

    /// Looks whenever the table of peers has changed.
    fn follow_peers(&self, ctx: &mut Context<Self>) {
        let mut changes = self.sources.changes.clone();
        let changed = async move { changes.changed().await.map(|()| changes) };
        ctx.spawn(changed.into_actor(self).map(|changed, actor, ctx| {
            // An error means that the peers are gone, and then the daemon ends.
            if let Ok(changes) = changed {
                actor.sources.changes = changes;
                actor.look(ctx);
                actor.follow_peers(ctx);
            }
        }));
    }
}

/// Returns what the manager's watchdog allows, as the environment says.
pub fn allowed_by_environment() -> Option<Duration> {
    let variable = |name| std::env::var(name).ok();
    let (usec, pid) = (variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"));
    watchdog::allowed(usec.as_deref(), pid.as_deref(), std::process::id())
}

impl Actor for ServiceActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.follow_peers(ctx);
        self.wind(ctx);
        self.wait_for_idleness(ctx);
    }
}

impl Handler<Settle> for ServiceActor {
    type Result = ();

    fn handle(&mut self, settled: Settle, ctx: &mut Self::Context) {
        self.settled = settled;
        self.idleness.settle(settled.idle_exit.filter(|_| self.is_handed), Instant::now());
        self.wait_for_idleness(ctx);
    }
}

impl Handler<Look> for ServiceActor {
    type Result = ();

    fn handle(&mut self, _: Look, ctx: &mut Self::Context) {
        self.look(ctx);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::sync::mpsc;

    use actix::{Addr, Arbiter, MessageResult, System};

    use super::*;

    /// An actor that stands still whenever it is told to, for as long as somebody holds the other end.
    struct Stub;

    #[derive(Message)]
    #[rtype(result = "()")]
    struct StandStill(mpsc::Receiver<()>);

    impl Actor for Stub {
        type Context = Context<Self>;
    }

    impl Handler<StandStill> for Stub {
        type Result = ();

        fn handle(&mut self, StandStill(held): StandStill, _: &mut Self::Context) {
            held.recv().expect_err("nothing is sent, it is only let go");
        }
    }

    impl Handler<Ping> for Stub {
        type Result = ();

        fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
    }

    macro_rules! report {
        ($($message:ty => $answer:expr),+ $(,)?) => {$(
            impl Handler<$message> for Stub {
                type Result = MessageResult<$message>;

                fn handle(&mut self, _: $message, _: &mut Self::Context) -> Self::Result {
                    MessageResult($answer)
                }
            }
        )+};
    }

    report!(
        query::Report => query::Found { events: 3, ..query::Found::default() },
        peers::Report => peers::Reported::default(),
        spool::Report => Vec::new(),
        store::Report => karo_protocol::local::StoreStatus::default(),
        Watched => 0,
        Retire => (),
    );

    impl Handler<crate::lease::Gone> for Stub {
        type Result = ();

        fn handle(&mut self, _: crate::lease::Gone, _: &mut Self::Context) {}
    }

    /// Waits until the manager hears that line; returns all that it heard before.
    fn heard(manager: &UnixDatagram, line: &str) -> Vec<String> {
        let mut heard: Vec<String> = Vec::new();
        while heard.last().is_none_or(|last| last != line) {
            let mut datagram = [0; 1024];
            let length = manager.recv(&mut datagram).expect("something is said within a minute");
            heard.extend(String::from_utf8_lossy(&datagram[..length]).lines().map(str::to_owned));
        }
        heard
    }

    fn stub() -> Addr<Stub> {
        Stub::start_in_arbiter(&Arbiter::new().handle(), |_| Stub)
    }

    #[test]
    fn a_stuck_actor_is_named_and_keeps_the_watchdog_hungry() {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("the directory is ours");
        manager.set_read_timeout(Some(Duration::from_secs(60))).expect("a time can be set");
        let system = System::new();
        let (quick, stuck) = system.block_on(async { (stub(), stub()) });
        let herald = Herald::to(path.as_os_str()).expect("the manager listens");
        herald.ready();
        let (_changes, changes) = watch::channel(0);
        let sources = Sources {
            query: quick.clone().recipient(),
            peers: quick.clone().recipient(),
            spool: quick.clone().recipient(),
            store: quick.clone().recipient(),
            shells: quick.clone().recipient(),
            root: quick.clone().recipient(),
            counters: Arc::default(),
            changes,
        };
        let members = vec![
            Member::new("store", stuck.clone().recipient()),
            Member::new("query", quick.clone().recipient()),
        ];
        let lease = Lease::new("service", quick.recipient());
        let given = Given { herald, allowed: Some(Duration::from_millis(300)), is_handed: false };
        let settled = Settle::of(&Settings::default());
        let _service = system.block_on(async {
            ServiceActor::start_in_arbiter(&Arbiter::new().handle(), move |_| {
                ServiceActor::new(given, members, sources, settled, lease)
            })
        });
        heard(&manager, "WATCHDOG=1");
        heard(&manager, "STATUS=3 events");
        let (held, holding) = mpsc::channel();
        stuck.do_send(StandStill(holding));
        heard(&manager, "STATUS=no answer from store; 3 events");
        drop(held);
        let after = heard(&manager, "STATUS=3 events");
        assert_eq!(after, ["WATCHDOG=1", "STATUS=3 events"], "it is not fed before everybody has answered");
        heard(&manager, "WATCHDOG=1");
    }
}
