//! One connection of a link: a task that reads, a task that writes, and what holds both.

use std::sync::Arc;

use actix::{Addr, Message};
use karo_fabric::link::{ConnectionId, Loss};
use karo_fabric::net::control::{Received, Receiver, Sender};
use karo_fabric::net::frames::Ended;
use karo_fabric::net::{Connection, Link, Tcp};
use karo_protocol::peer::{Control, Goodbye};
use karo_trust::Signer;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::AbortHandle;

use super::LinkActor;

/// Frames that may wait for the network: a peer that reads nothing for so long is gone.
const OUTGOING_MAX: usize = 64;

/// The peer said something. Sent by the task that reads.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Heard {
    /// Over which connection.
    pub connection: ConnectionId,
    /// What.
    pub received: Received,
}

/// A connection is no more, or is to be no more. Sent by the task that reads.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Lost {
    /// Which one.
    pub connection: ConnectionId,
    /// Why.
    pub ended: Ended,
}

/// A connection that is open. Dropped, it is cut.
#[derive(Debug)]
pub(super) struct Open {
    tcp: Arc<Tcp>,
    outgoing: mpsc::Sender<(u16, Control)>,
    writing: Parting,
}

/// A connection that ends with a last word. Dropped, it is cut before that.
#[derive(Debug)]
pub(super) struct Parting(AbortHandle);

impl Drop for Parting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Open {
    /// Begins to talk.
    pub(super) fn start(
        id: ConnectionId,
        connection: Connection,
        signer: Arc<dyn Signer>,
        link: Addr<LinkActor>,
    ) -> Self {
        let (tcp, sender, receiver) = connection.start(signer);
        let tcp = Arc::new(tcp);
        let (outgoing, waiting) = mpsc::channel(OUTGOING_MAX);
        let writing = tokio::task::spawn_local(write(sender, waiting, Arc::clone(&tcp)));
        tokio::task::spawn_local(read(id, receiver, link));
        Self { tcp, outgoing, writing: Parting(writing.abort_handle()) }
    }

    /// Lets the peer open streams.
    pub(super) fn admit(&self) {
        self.tcp.admit();
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// When the peer takes nothing any more.
    pub(super) fn send(&self, version: u16, control: Control) -> Result<(), Loss> {
        match self.outgoing.try_send((version, control)) {
            // The connection is no more, and the task that reads is about to say why.
            Ok(()) | Err(TrySendError::Closed(_)) => Ok(()),
            Err(TrySendError::Full(_)) => {
                Err(Loss::Broken(format!("the peer read nothing of the last {OUTGOING_MAX} messages")))
            }
        }
    }

    /// Tells whether there is room for what need not be said: the link's own words always have theirs.
    pub(super) fn has_room(&self) -> bool {
        self.outgoing.capacity() > OUTGOING_MAX / 4
    }

    /// Sends a last word; the connection ends behind it.
    pub(super) fn part(self, version: u16, goodbye: Goodbye) -> Parting {
        if self.outgoing.try_send((version, Control::Goodbye(goodbye))).is_err() {
            self.tcp.close();
        }
        self.writing
    }
}

/// Writes what waits, and closes the connection when nothing more will come.
async fn write(mut sender: Sender, mut waiting: mpsc::Receiver<(u16, Control)>, tcp: Arc<Tcp>) {
    while let Some((version, control)) = waiting.recv().await {
        let is_last = matches!(control, Control::Goodbye(_));
        if let Err(loss) = sender.send(version, &control).await {
            // Whoever reads is told the same.
            tracing::debug!(?loss, "a message of the link could not be sent");
            if let Loss::Protocol(_) = loss {
                // It was this side's own, and of that nobody reads.
                tcp.close();
            }
            return;
        }
        if is_last {
            break;
        }
    }
    tcp.close();
    // The driver goes on until the close is through; cut before, the last word would be lost.
    tcp.closed().await;
}

/// Reads until the connection is no more. The next message is read when the last one was handled.
async fn read(connection: ConnectionId, mut receiver: Receiver, link: Addr<LinkActor>) {
    loop {
        match receiver.next().await {
            Ok(received) => {
                if link.send(Heard { connection, received }).await.is_err() {
                    return;
                }
            }
            Err(ended) => {
                // A link that is gone misses nothing.
                link.send(Lost { connection, ended }).await.unwrap_or_default();
                return;
            }
        }
    }
}
