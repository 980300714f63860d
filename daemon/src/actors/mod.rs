//! The actors: one file each, its messages above it, each with a line that says who sends it.
//!
//! ```text
//! session ─┐                      ┌─> query (columns, details)
//! spool ───┼─> ingest ─> store ───┤
//! follow ──┘     │  ^             └─> shells (who is still alive)
//!                v  │
//!              workers <┄┄ rules (the newest set, seen by all)
//! ```
//!
//! | actor | arbiter | mailbox |
//! | --- | --- | --- |
//! | root, socket, ingest, shells | main: nothing there blocks | small |
//! | workers | one each | what ingest has outstanding |
//! | rules | `rules`: reads and compiles rules | small |
//! | spool, follow | `spool`: reads files | small |
//! | store | `store`: writes and syncs | what may wait for the next batch |
//! | query | `query`: searches memory, reads segments | sessions |

pub mod audit;
pub mod discovery;
pub mod follow;
pub mod groups;
pub mod ingest;
pub mod link;
pub mod listener;
mod meaning;
pub mod mesh;
pub mod pairing;
pub mod peers;
pub mod query;
pub mod questions;
pub mod root;
pub mod rules;
pub mod session;
pub mod sharing;
pub mod shells;
pub mod socket;
pub mod spool;
pub mod store;
pub mod summary;
pub mod talks;
pub mod watch;
pub mod worker;

use std::sync::Arc;

use actix::{Message, Recipient};
use karo_protocol::local::{ImportLine, Verdict};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use self::ingest::Take;
use crate::counters::Counters;

/// The last message before stopping: its answer means that everything sent before is done.
///
/// Sent by [`root`], along the stream.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Drain;

/// Jobs that may be outstanding between two actors: what the [`Budget`] lets through at the most, so
/// that no mailbox is ever the limit.
pub const JOBS_MAX: usize = Budget::STEPS as usize;

/// The door to ingest: the same for sessions, spools and followed histories.
#[derive(Clone)]
pub struct Intake {
    /// Puts observations in order.
    pub ingest: Recipient<Take>,
    /// What may be on its way.
    pub budget: Budget,
    /// What is counted.
    pub counters: Arc<Counters>,
}

impl Intake {
    /// Hands observations over when there is room; the verdicts come in their order, and a sender
    /// that is gone means that nothing can be said.
    pub async fn take(&self, source: Source, arrivals: Vec<ImportLine>) -> oneshot::Receiver<Vec<Verdict>> {
        let room = self.budget.reserve(&arrivals).await;
        let (sender, verdicts) = oneshot::channel();
        let reply = Reply { sender, source, counters: Arc::clone(&self.counters), _room: room };
        if let Err(full) = self.ingest.try_send(Take { arrivals, reply }) {
            let Take { arrivals, reply } = full.into_inner();
            reply.settle_all(arrivals.len(), Verdict::Busy);
        }
        verdicts
    }
}

/// Where observations came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A session, waiting.
    Session,
    /// A spool file.
    Spool,
    /// A history file that is followed.
    Follow,
}

/// What may be on its way to the disk at once, so that a stalled disk fills no memory.
///
/// Whoever brings observations waits here for room, and a client that waits for too long spools.
#[derive(Debug, Clone)]
pub struct Budget {
    steps: u32,
    room: Arc<Semaphore>,
}

impl Budget {
    /// Bytes at the most: a second of the fastest intake measured.
    pub const BYTES_MAX: u64 = 64 * 1024 * 1024;

    /// The same in steps of a kibibyte.
    const STEPS: u32 = (Self::BYTES_MAX / 1024) as u32;

    /// Makes one of so many bytes: at least a kibibyte, at most [`BYTES_MAX`](Self::BYTES_MAX).
    pub fn of(bytes: u64) -> Self {
        let steps = (bytes.min(Self::BYTES_MAX) / 1024).max(1) as u32;
        Self { steps, room: Arc::new(Semaphore::new(steps as usize)) }
    }

    /// Waits for room for these observations.
    pub async fn reserve(&self, arrivals: &[ImportLine]) -> Option<OwnedSemaphorePermit> {
        let bytes =
            |line: &ImportLine| line.observation.command.as_bytes().len() + line.observation.cwd.len() + 512;
        let steps = arrivals.iter().map(bytes).sum::<usize>() / 1024 + 1;
        let steps = u32::try_from(steps).unwrap_or(u32::MAX).min(self.steps);
        // The semaphore is never closed.
        Arc::clone(&self.room).acquire_many_owned(steps).await.ok()
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::of(Self::BYTES_MAX)
    }
}

/// The way back to whoever brought observations: told exactly once, after the sync.
///
/// Dropped untold, the other side reads it as failed.
#[derive(Debug)]
pub struct Reply {
    sender: oneshot::Sender<Vec<Verdict>>,
    source: Source,
    counters: Arc<Counters>,
    /// Gives room back when the observations are settled.
    _room: Option<OwnedSemaphorePermit>,
}

impl Reply {
    /// Tells what became of the observations, and counts it.
    pub fn settle(self, verdicts: Vec<Verdict>) {
        self.counters.verdicts(&verdicts);
        if self.source == Source::Spool {
            let settled = verdicts.iter().filter(|verdict| verdict.is_settled()).count();
            self.counters.spooled.add(settled as u64);
        }
        if self.sender.send(verdicts).is_err() {
            tracing::debug!("whoever brought observations did not wait for their verdict");
        }
    }

    /// Tells that all of them met the same.
    pub fn settle_all(self, count: usize, verdict: Verdict) {
        self.settle(vec![verdict; count]);
    }
}
