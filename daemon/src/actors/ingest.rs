//! Turns observations into events and hands them to the store, in the order they came.
//!
//! Understanding is work, so it is done by a small pool of [`worker`](super::worker)s; each job has a
//! ticket, and what comes back is put in the order of the tickets before it goes on to the writer.
//!
//! | message | from | answer |
//! | --- | --- | --- |
//! | [`Take`] | session, spool, follow | through its [`Reply`] |
//! | [`Drain`] | root | when nothing is outstanding; what comes later is `Busy` |

use std::collections::BTreeMap;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, Recipient, ResponseFuture, WrapFuture,
};
use karo_protocol::local::{ImportLine, Verdict};
use tokio::sync::oneshot;

use super::store::Append;
use super::worker::{Understand, Understood};
use super::{Drain, JOBS_MAX, Reply};
use crate::lease::Lease;

/// Observations, as a shell hook or another history saw them.
///
/// Sent by sessions, the spool and the follower.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Take {
    /// What was seen.
    pub arrivals: Vec<ImportLine>,
    /// Told exactly once, after the sync.
    pub reply: Reply,
}

/// The actor. See the module.
pub struct Ingest {
    workers: Vec<Recipient<Understand>>,
    store: Recipient<Append>,
    tickets: Tickets<(Understood, Reply)>,
    draining: Option<Vec<oneshot::Sender<()>>>,
    _lease: Lease,
}

impl Ingest {
    /// Makes the actor of its workers, at least one, and the store.
    pub const fn new(workers: Vec<Recipient<Understand>>, store: Recipient<Append>, lease: Lease) -> Self {
        Self { workers, store, tickets: Tickets::new(), draining: None, _lease: lease }
    }

    fn on_understood(&mut self, ticket: u64, understood: Understood, reply: Reply) {
        for (understood, reply) in self.tickets.settle(ticket, (understood, reply)) {
            if let Err(full) =
                self.store.try_send(Append { entries: understood.entries, places: understood.places, reply })
            {
                let append = full.into_inner();
                append.reply.settle_all(append.places.len(), Verdict::Busy);
            }
        }
        if self.tickets.outstanding() == 0 {
            for waiting in self.draining.iter_mut().flat_map(|waiting| waiting.drain(..)) {
                if waiting.send(()).is_err() {
                    tracing::debug!("nobody waits for the drain any more");
                }
            }
        }
    }
}

impl Actor for Ingest {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(JOBS_MAX);
    }
}

impl Handler<Take> for Ingest {
    type Result = ();

    fn handle(&mut self, Take { arrivals, reply }: Take, ctx: &mut Self::Context) {
        if self.draining.is_some() {
            return reply.settle_all(arrivals.len(), Verdict::Busy);
        }
        let ticket = self.tickets.draw();
        let worker = &self.workers[(ticket % self.workers.len() as u64) as usize];
        let count = arrivals.len();
        let understanding =
            worker.send(Understand { arrivals }).into_actor(self).map(move |understood, ingest, _| {
                // A worker that is gone takes the daemon down; until then its jobs fail.
                let understood = understood.unwrap_or_else(|_| Understood::failed(count));
                ingest.on_understood(ticket, understood, reply);
            });
        ctx.spawn(understanding);
    }
}

impl Handler<Drain> for Ingest {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        let (sender, receiver) = oneshot::channel();
        let waiting = self.draining.get_or_insert_default();
        if self.tickets.outstanding() == 0 {
            drop(sender);
        } else {
            waiting.push(sender);
        }
        // A sender that is gone means the same: nothing is outstanding.
        Box::pin(async move { drop(receiver.await) })
    }
}

/// Gives out numbers, and gives back what was done in the order of the numbers.
struct Tickets<T> {
    drawn: u64,
    settled: u64,
    done: BTreeMap<u64, T>,
}

impl<T> Tickets<T> {
    const fn new() -> Self {
        Self { drawn: 0, settled: 0, done: BTreeMap::new() }
    }

    /// Returns the next number.
    const fn draw(&mut self) -> u64 {
        let ticket = self.drawn;
        self.drawn += 1;
        ticket
    }

    /// Returns how many were drawn and did not come back in order.
    const fn outstanding(&self) -> u64 {
        self.drawn - self.settled
    }

    /// Takes what was done under a number, and returns all that is next in order.
    fn settle(&mut self, ticket: u64, done: T) -> Vec<T> {
        self.done.insert(ticket, done);
        let mut ordered = Vec::new();
        while let Some(next) = self.done.remove(&self.settled) {
            self.settled += 1;
            ordered.push(next);
        }
        ordered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_restored() {
        let mut tickets = Tickets::new();
        let drawn = [tickets.draw(), tickets.draw(), tickets.draw()];
        assert_eq!(tickets.settle(drawn[2], 'c'), []);
        assert_eq!(tickets.settle(drawn[0], 'a'), ['a']);
        assert_eq!(tickets.outstanding(), 2);
        assert_eq!(tickets.settle(drawn[1], 'b'), ['b', 'c']);
        assert_eq!(tickets.outstanding(), 0);
    }
}
