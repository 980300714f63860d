//! What follows the log some time later: the views, and retention.

use std::time::Duration;

use actix::{
    ActorFutureExt, AsyncContext, Context, ContextFutureSpawner, Handler, MessageResult, ResponseFuture,
    WrapFuture,
};
use karo_protocol::Micros;
use karo_protocol::config::StoreSettings;
use karo_store::RetentionRule;
use tokio::sync::oneshot;

use super::{Compare, Retain, RolledUp, Searchable, StoreActor, Touched};
use crate::actors::query::Whole;
use crate::clock;
use crate::logging::say;

/// How long views may be behind the log, and how often retention is looked at.
const UPKEEP: Duration = Duration::from_secs(30);

impl StoreActor {
    /// Sees to it that views and retention follow, once, some time after the first change.
    pub(super) fn upkeep_soon(&mut self, ctx: &mut Context<Self>) {
        if !self.has_upkeep {
            self.has_upkeep = true;
            ctx.run_later(UPKEEP, |actor, ctx| {
                actor.has_upkeep = false;
                actor.upkeep(ctx);
            });
        }
    }

    fn upkeep(&mut self, ctx: &mut Context<Self>) {
        let rule = retention_of(&self.settings);
        match self.store.upkeep(rule, clock::now()) {
            Ok(0) => {}
            Ok(events) => self.auditor.retained(&mut self.store, events, clock::now()),
            Err(error) => say!(Class::StoreUpkeepFailed, %error, "upkeep of the store failed"),
        }
        self.auditor.forget_old(&mut self.store, clock::now());
        self.when_found(ctx, |_, _| {});
    }
}

/// What the store's rule of retention is by the settings.
fn retention_of(settings: &StoreSettings) -> RetentionRule {
    let micros = |age: Duration| Micros(u64::try_from(age.as_micros()).unwrap_or(u64::MAX));
    RetentionRule { age: settings.retention.map(micros), bytes: settings.retention_bytes }
}

impl Handler<RolledUp> for StoreActor {
    type Result = MessageResult<RolledUp>;

    fn handle(&mut self, RolledUp { since, until }: RolledUp, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.roll_ups.sums(since, until))
    }
}

impl Handler<Touched> for StoreActor {
    type Result = MessageResult<Touched>;

    fn handle(&mut self, _: Touched, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.roll_ups.take_touched())
    }
}

impl Handler<Searchable> for StoreActor {
    type Result = ();

    fn handle(&mut self, _: Searchable, ctx: &mut Self::Context) {
        // What daemons that lived too short for upkeep have left.
        self.upkeep(ctx);
        self.after_commit(ctx, |actor, ctx| {
            if actor.roll_ups.is_behind() {
                // Nothing is applied meanwhile, so the sum and the position belong together.
                let sum = actor.whole.send(Whole).into_actor(actor);
                let made = sum.map(|whole, actor, _| {
                    if let Ok(whole) = whole {
                        actor.roll_ups.rebuild(&whole, actor.store.position());
                    }
                });
                made.wait(ctx);
            }
        });
    }
}

impl Handler<Compare> for StoreActor {
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, _: Compare, ctx: &mut Self::Context) -> Self::Result {
        let (sender, receiver) = oneshot::channel();
        // With nothing applied meanwhile.
        self.after_commit(ctx, move |actor, ctx| {
            let sum = actor.whole.send(Whole).into_actor(actor);
            let compared = sum.map(move |whole, actor, _| {
                let agrees = whole.is_ok_and(|whole| actor.roll_ups.agrees_with(&whole));
                if sender.send(agrees).is_err() {
                    tracing::debug!("nobody waits for the comparison any more");
                }
            });
            compared.wait(ctx);
        });
        Box::pin(async move { receiver.await.unwrap_or(false) })
    }
}

impl Handler<Retain> for StoreActor {
    type Result = ();

    fn handle(&mut self, Retain(settings): Retain, ctx: &mut Self::Context) {
        self.settings = settings;
        self.store.set_reserve(settings.reserve_bytes);
        self.upkeep(ctx);
    }
}
