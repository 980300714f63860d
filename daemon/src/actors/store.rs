//! Owns the store's writer, alone on its arbiter, and is the only one that writes.
//!
//! What waits becomes the next batch: every message that is in the mailbox when the writer comes
//! back is collected, then one `Commit` writes and syncs all of it. A lone event waits for nobody.
//! Senders are told after the sync, and after the search knows, so whoever is told finds it.
//!
//! | message | from | answer |
//! | --- | --- | --- |
//! | [`Append`] | ingest | through its [`Reply`] |
//! | [`Lose`] | shells | none |
//! | [`Keep`] | peers, pairing, audit, root | when it is on disk, with its deeds in the audit |
//! | [`NewLog`] | peers, when an identity was restored | when another audit log has begun |
//! | [`Signs`] | peers | none; heads of the audit are signed by it |
//! | [`SignHead`] | sessions, before an export | when every entry has a signed head over it |
//! | [`Delete`] | session | how many, after the rewritten segments are synced |
//! | [`Compact`] | session | what it did |
//! | [`Revise`] | session, until it is done | how far it is, when what it changed can be found |
//! | [`Searchable`] | root, once everything is loaded | none; views that are behind are made anew |
//! | [`Compare`] | session | whether the views are what the log says |
//! | [`RolledUp`], [`Touched`] | summary | what events add up to, and since when that is another |
//! | [`Report`] | session | how the store is |
//! | [`Retain`] | root, after a reload | none |
//! | [`Drain`] | root | when everything before is synced, and the log is closed |

mod messages;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, ContextFutureSpawner, Handler, Message, Recipient,
    ResponseFuture, WrapFuture,
};
use karo_core::search::Key;
use karo_core::understand::Again;
use karo_protocol::config::StoreSettings;
use karo_protocol::local::{Compacted, Failure, FailureCode, StoreStatus, Verdict};
use karo_protocol::{Event, Outcome, Shell};
use karo_store::views::Views;
use karo_store::{AppendError, Appended, Entry, Revision, Store};

use tokio::sync::oneshot;

pub use self::messages::{
    Append, Compact, Compare, Delete, Keep, Lose, NewLog, Report, Retain, Revise, Revising, RolledUp,
    Searchable, SignHead, Signs, Touched,
};

use super::query::{Apply, Whole};
use super::root::Stop;
use super::shells::Begun;
use super::worker::Place;
use super::{Drain, JOBS_MAX, Reply};
use crate::auditor::Auditor;
use crate::clock;
use crate::counters::Counters;
use crate::exit::Ending;
use crate::lease::Lease;
use crate::logging::say;
use crate::roll_ups::RollUps;

/// Events in one batch: at the measured size of a record about half a mebibyte.
const BATCH_MAX: usize = 4096;

/// How long an entry of the audit may be without a signed head over it (design section 12).
const HEAD_WITHIN: Duration = Duration::from_secs(60);

/// Events that are understood again between two other messages: some milliseconds of the writer's time.
const REVISED_AT_ONCE: usize = 512;

/// Write and sync what was collected. Sent by the actor to itself.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Commit;

/// A deed whose turn comes when nothing is waited for any more. Sent by the actor to itself.
#[derive(Message)]
#[rtype(result = "()")]
struct Turn(Box<Deed>);

type Deed = dyn FnOnce(&mut StoreActor, &mut Context<StoreActor>);

/// The actor. See the module.
pub struct StoreActor {
    store: Store,
    roll_ups: RollUps,
    settings: StoreSettings,
    waiting: Vec<Append>,
    waiting_events: usize,
    lost: Vec<Key>,
    keeping: Vec<(Keep, oneshot::Sender<Result<(), Failure>>)>,
    auditor: Auditor,
    has_commit: bool,
    has_signing: bool,
    has_upkeep: bool,
    /// Whether the disk was too full for the last events.
    is_full: bool,
    query: Recipient<Apply>,
    whole: Recipient<Whole>,
    shells: Recipient<Begun>,
    root: Recipient<Stop>,
    counters: Arc<Counters>,
    _lease: Lease,
}

/// Whom the store tells.
pub struct Listeners {
    /// What can be found.
    pub query: Recipient<Apply>,
    /// The same, for what everything adds up to.
    pub whole: Recipient<Whole>,
    /// What has begun.
    pub shells: Recipient<Begun>,
    /// That it cannot go on.
    pub root: Recipient<Stop>,
}

impl StoreActor {
    /// Makes the actor of an opened store.
    pub fn new(
        (store, views, auditor): (Store, Views, Auditor),
        settings: StoreSettings,
        Listeners { query, whole, shells, root }: Listeners,
        counters: Arc<Counters>,
        lease: Lease,
    ) -> Self {
        Self {
            roll_ups: RollUps::new(views, store.position()),
            store,
            settings,
            waiting: Vec::new(),
            waiting_events: 0,
            lost: Vec::new(),
            keeping: Vec::new(),
            auditor,
            has_commit: false,
            has_signing: false,
            has_upkeep: false,
            is_full: false,
            query,
            whole,
            shells,
            root,
            counters,
            _lease: lease,
        }
    }

    /// Sees to it that a commit follows, behind everything that waits in the mailbox by now.
    fn commit_soon(&mut self, ctx: &mut Context<Self>) {
        if self.waiting_events >= BATCH_MAX {
            self.commit(ctx);
        } else if !self.has_commit {
            self.has_commit = true;
            ctx.notify(Commit);
        }
    }

    /// Writes and syncs what was collected, then tells the search, then everybody who waits.
    fn commit(&mut self, ctx: &mut Context<Self>) {
        self.waiting_events = 0;
        self.keep(ctx);
        let waiting = std::mem::take(&mut self.waiting);
        let lost = std::mem::take(&mut self.lost);
        if waiting.is_empty() && lost.is_empty() {
            return;
        }
        let mut entries = Vec::new();
        let mut begun = Vec::new();
        let mut told = Vec::with_capacity(waiting.len());
        for Append { entries: events, places, reply } in waiting {
            begun.extend(events.iter().filter_map(begun_of));
            entries.extend(events.into_iter().map(Entry::Observed));
            told.push((places, reply));
        }
        entries.extend(lost.into_iter().map(|key| Entry::Lost { key }));
        let appended = self.store.append(entries, clock::now());
        self.when_found(ctx, move |actor, _| match appended {
            Ok(appended) => {
                actor.has_room();
                actor.tell(told, &appended, begun);
            }
            Err(error) => actor.refuse(told, &error),
        });
        self.upkeep_soon(ctx);
    }

    /// Writes down what is to be kept, with its deeds in the audit, and tells those who wait.
    ///
    /// In a batch of its own: one of events may be written in pieces, and a deed is there as a whole or not at all.
    fn keep(&mut self, ctx: &mut Context<Self>) {
        let keeping = std::mem::take(&mut self.keeping);
        if keeping.is_empty() {
            return;
        }
        let (mut entries, mut deeds, mut told) = (Vec::new(), Vec::new(), Vec::with_capacity(keeping.len()));
        for (keep, reply) in keeping {
            entries.extend(keep.entries);
            deeds.extend(keep.deeds);
            told.push(reply);
        }
        let kept = self.auditor.append(&mut self.store, entries, &deeds, clock::now());
        if let Err(AppendError::Poisoned { .. }) = &kept {
            self.root.do_send(Stop(Ending::Disk("the audit could not be written".to_owned())));
        }
        let kept = kept.map_err(|error| failure(&error));
        for reply in told {
            // Whoever asked may have left; the deed is done.
            drop(reply.send(kept.clone()));
        }
        self.sign_soon(ctx);
    }

    /// Sees to it that a head is signed a minute after the first entry that has none.
    fn sign_soon(&mut self, ctx: &mut Context<Self>) {
        if !self.has_signing {
            self.has_signing = true;
            ctx.run_later(HEAD_WITHIN, |actor, _| {
                actor.has_signing = false;
                actor.auditor.sign_if(&mut actor.store, 1, clock::now());
            });
        }
    }

    /// Gives the search what has changed, and goes on when it knows; nothing else is handled meanwhile.
    fn when_found(
        &mut self,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, &mut Context<Self>) + 'static,
    ) {
        let changes = self.store.take_changes();
        if changes.is_empty() {
            return then(self, ctx);
        }
        self.query
            .send(Apply(changes))
            .into_actor(self)
            .map(move |applied, actor, ctx| {
                match applied {
                    Ok(deltas) => actor.roll_ups.apply(deltas, actor.store.position()),
                    Err(_) => say!(Class::SearchGone, "the search is gone"),
                }
                then(actor, ctx);
            })
            .wait(ctx);
    }

    /// Writes what was collected, and does the deed when the search knows and everybody was told: of
    /// several futures that a context waits for, it polls the last one first.
    fn after_commit(
        &mut self,
        ctx: &mut Context<Self>,
        deed: impl FnOnce(&mut Self, &mut Context<Self>) + 'static,
    ) {
        self.commit(ctx);
        ctx.notify(Turn(Box::new(deed)));
    }

    /// Understands some events again; tells whether that were the last ones.
    fn revise(&mut self, revising: &mut Revising) -> bool {
        let Revising { pass, understander, is_redacting, failure: why } = revising;
        let mut revise = |event: &Event| {
            let Again { understanding, redacted } = understander.again(event, *is_redacting)?;
            Some(Revision { understanding, redacted })
        };
        let went = self.store.reclassify(pass, REVISED_AT_ONCE, &mut revise, clock::now());
        *why = went.as_ref().err().map(failure);
        went.is_ok_and(|progress| progress.is_done)
    }

    fn tell(&self, told: Vec<(Vec<Place>, Reply)>, appended: &[Appended], begun: Vec<(Arc<Shell>, u64)>) {
        let mut appended = appended.iter();
        for (places, reply) in told {
            let verdicts = places.iter().map(|place| match place {
                Place::Settled(verdict) => *verdict,
                Place::Stored { dropped } => match appended.next() {
                    Some(Appended::Committed(_)) => {
                        self.counters.dropped.add(u64::from(*dropped));
                        Verdict::Committed
                    }
                    Some(Appended::Duplicate) => Verdict::Duplicate,
                    None => Verdict::Failed,
                },
            });
            let verdicts = verdicts.collect();
            reply.settle(verdicts);
        }
        if !begun.is_empty() && self.shells.try_send(Begun(begun)).is_err() {
            tracing::debug!("shells are not watched closely enough; the next start looks again");
        }
    }

    /// Says once that events are accepted again.
    fn has_room(&mut self) {
        if std::mem::take(&mut self.is_full) {
            say!(Class::DiskRoomy, "there is room again");
        }
    }

    /// Tells everybody that nothing was kept; a failed disk ends the daemon. A full one is said once in the log.
    fn refuse(&mut self, told: Vec<(Vec<Place>, Reply)>, error: &AppendError) {
        let is_full = matches!(error, AppendError::Full { .. });
        if is_full && !std::mem::replace(&mut self.is_full, true) {
            say!(Class::DiskFull, %error, "nothing is accepted until there is room");
        }
        let verdict = match error {
            AppendError::Full { .. } | AppendError::Loading => Verdict::Busy,
            AppendError::Unfit { .. } => Verdict::Failed,
            AppendError::Poisoned { .. } => {
                self.root.do_send(Stop(Ending::Disk(error.to_string())));
                Verdict::Failed
            }
        };
        for (places, reply) in told {
            let settled = |place: &Place| match place {
                Place::Settled(verdict) => *verdict,
                Place::Stored { .. } => verdict,
            };
            reply.settle(places.iter().map(settled).collect());
        }
    }
}

/// A command that runs in a process that can be watched.
fn begun_of(event: &Event) -> Option<(Arc<Shell>, u64)> {
    let is_running = event.outcome == Outcome::Running && event.shell.process.is_some();
    is_running.then(|| (Arc::new(event.shell.clone()), event.sequence))
}

fn stopped() -> Failure {
    Failure { code: FailureCode::Stopping, message: "the store has stopped".to_owned() }
}

/// What a person is told when the store cannot do something.
fn failure(error: &AppendError) -> Failure {
    let code = match error {
        AppendError::Loading => FailureCode::Busy,
        AppendError::Unfit { .. } => FailureCode::Refused,
        AppendError::Full { .. } | AppendError::Poisoned { .. } => FailureCode::Unwritable,
    };
    Failure { code, message: error.to_string() }
}

impl Actor for StoreActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(JOBS_MAX);
        self.upkeep_soon(ctx);
    }
}

impl Handler<Append> for StoreActor {
    type Result = ();

    fn handle(&mut self, append: Append, ctx: &mut Self::Context) {
        self.waiting_events += append.entries.len();
        self.waiting.push(append);
        self.commit_soon(ctx);
    }
}

impl Handler<Lose> for StoreActor {
    type Result = ();

    fn handle(&mut self, Lose(keys): Lose, ctx: &mut Self::Context) {
        self.waiting_events += keys.len();
        self.lost.extend(keys);
        self.commit_soon(ctx);
    }
}

impl Handler<Keep> for StoreActor {
    type Result = ResponseFuture<Result<(), Failure>>;

    fn handle(&mut self, keep: Keep, ctx: &mut Self::Context) -> Self::Result {
        let (sender, kept) = oneshot::channel();
        self.keeping.push((keep, sender));
        self.commit_soon(ctx);
        Box::pin(async move { kept.await.unwrap_or_else(|_| Err(stopped())) })
    }
}

impl Handler<NewLog> for StoreActor {
    type Result = Result<(), Failure>;

    fn handle(
        &mut self,
        NewLog { identity, entries, deeds }: NewLog,
        ctx: &mut Self::Context,
    ) -> Self::Result {
        self.keep(ctx);
        let begun = self.auditor.begin_anew(&mut self.store, identity, entries, &deeds, clock::now());
        begun.map_err(|error| failure(&error))
    }
}

impl Handler<Signs> for StoreActor {
    type Result = ();

    fn handle(&mut self, Signs(identity): Signs, _: &mut Self::Context) {
        self.auditor.sign_by(identity);
    }
}

impl Handler<SignHead> for StoreActor {
    type Result = ();

    fn handle(&mut self, _: SignHead, ctx: &mut Self::Context) {
        self.keep(ctx);
        self.auditor.sign_if(&mut self.store, 1, clock::now());
    }
}

impl Handler<Commit> for StoreActor {
    type Result = ();

    fn handle(&mut self, _: Commit, ctx: &mut Self::Context) {
        self.has_commit = false;
        self.commit(ctx);
    }
}

impl Handler<Turn> for StoreActor {
    type Result = ();

    fn handle(&mut self, Turn(deed): Turn, ctx: &mut Self::Context) {
        deed(self, ctx);
    }
}

impl Handler<Delete> for StoreActor {
    type Result = ResponseFuture<Result<u64, Failure>>;

    fn handle(&mut self, Delete(keys): Delete, ctx: &mut Self::Context) -> Self::Result {
        let (sender, receiver) = oneshot::channel();
        self.after_commit(ctx, move |actor, ctx| {
            let deleted = actor.auditor.delete(&mut actor.store, &keys, clock::now());
            let deleted = deleted.map_err(|error| failure(&error));
            // Whoever is told can look into every file.
            actor.when_found(ctx, move |actor, _| {
                actor.roll_ups.forget();
                if sender.send(deleted).is_err() {
                    tracing::debug!("nobody waits for the deletion any more");
                }
            });
        });
        Box::pin(async move { receiver.await.unwrap_or_else(|_| Err(stopped())) })
    }
}

impl Handler<Compact> for StoreActor {
    type Result = Result<Compacted, Failure>;

    fn handle(&mut self, _: Compact, ctx: &mut Self::Context) -> Self::Result {
        self.commit(ctx);
        let compacted = self.store.compact(clock::now()).map_err(|error| failure(&error));
        self.when_found(ctx, |_, _| {});
        compacted
    }
}

impl Handler<Revise> for StoreActor {
    type Result = ResponseFuture<Option<Box<Revising>>>;

    fn handle(&mut self, Revise(mut revising): Revise, ctx: &mut Self::Context) -> Self::Result {
        let (sender, receiver) = oneshot::channel();
        self.after_commit(ctx, move |actor, ctx| {
            let is_done = actor.revise(&mut revising);
            // Whoever is told that it is done finds what it has changed, and can look into every file.
            actor.when_found(ctx, move |actor, _| {
                if is_done && revising.is_redacting {
                    actor.roll_ups.forget();
                }
                if sender.send(revising).is_err() {
                    tracing::debug!("nobody waits for the understanding again any more");
                }
            });
        });
        // A store that is gone says nothing; what it did is done.
        Box::pin(async move { receiver.await.ok() })
    }
}

impl Handler<Report> for StoreActor {
    type Result = actix::MessageResult<Report>;

    fn handle(&mut self, _: Report, _: &mut Self::Context) -> Self::Result {
        actix::MessageResult(StoreStatus { view_bytes: self.roll_ups.bytes(), ..self.store.status() })
    }
}

impl Handler<Drain> for StoreActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, ctx: &mut Self::Context) -> Self::Result {
        let (sender, receiver) = oneshot::channel::<()>();
        self.after_commit(ctx, move |actor, _| {
            actor.auditor.sign_if(&mut actor.store, 1, clock::now());
            if let Err(error) = actor.store.close() {
                say!(Class::StoreUncleanClose, %error, "the store was not closed cleanly; nothing acknowledged is lost");
            }
            actor.roll_ups.close(actor.store.position());
            drop(sender);
        });
        Box::pin(async move { drop(receiver.await) })
    }
}
