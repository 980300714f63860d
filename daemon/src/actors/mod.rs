//! The actors: one file each, its messages above it, each with a line that says who sends it.
//!
//! ```text
//! session ─┐                      ┌─> query (columns, details)
//! spool ───┼─> ingest ─> store ───┤
//! follow ──┘     │  ^             └─> shells (who is still alive)
//!                v  │
//!              workers
//! ```
//!
//! | actor | arbiter | mailbox |
//! | --- | --- | --- |
//! | root, socket, ingest, shells | main: nothing there blocks | small |
//! | workers | one each | what ingest has outstanding |
//! | spool, follow | `spool`: reads files | small |
//! | store | `store`: writes and syncs | what may wait for the next batch |
//! | query | `query`: searches memory, reads segments | sessions |

pub mod follow;
pub mod ingest;
pub mod query;
pub mod root;
pub mod session;
pub mod shells;
pub mod socket;
pub mod spool;
pub mod store;
pub mod worker;

use std::sync::Arc;

use actix::Message;
use karo_protocol::local::Verdict;
use tokio::sync::oneshot;

use crate::counters::Counters;

/// The last message before stopping: its answer means that everything sent before is done.
///
/// Sent by [`root`], along the stream.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Drain;

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

/// The way back to whoever brought observations: told exactly once, after the sync.
///
/// Dropped untold, the other side reads it as failed.
#[derive(Debug)]
pub struct Reply {
    sender: oneshot::Sender<Vec<Verdict>>,
    source: Source,
    counters: Arc<Counters>,
}

impl Reply {
    /// Makes the way back and the end where the verdicts come out, in the order of the observations.
    pub fn new(source: Source, counters: Arc<Counters>) -> (Self, oneshot::Receiver<Vec<Verdict>>) {
        let (sender, receiver) = oneshot::channel();
        (Self { sender, source, counters }, receiver)
    }

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
