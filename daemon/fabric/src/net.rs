//! What links run over: streams of an authenticated connection, and how one is got.
//!
//! [`Link`] is the seam: whatever offers these few methods can carry a link. [`dial`] and [`accept`] make the one
//! that exists, TLS 1.3 over TCP with yamux in it. Nothing here decides: who is trusted was decided within the
//! handshake, and when to dial or to give up is the [machine](crate::link)'s.
//!
//! The control stream is two streams of yamux, one each way: the first that either side opens. So both sides greet
//! at once, and neither waits for the other's stream.

pub mod control;
mod driver;
pub mod frames;
mod gather;
mod leftover;
pub mod tcp;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use karo_protocol::NodeId;
use karo_trust::frame::Direction;
use karo_trust::tls;
use rustls::AlertDescription;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;

pub use self::driver::Tcp;
use self::gather::Turn;
pub use self::tcp::{Connection, DialFailed, Dialled, Listening, NotAccepted, accept, dial};
use crate::link::Loss;

/// Streams of one connection, both ways together.
pub const STREAMS_MAX: usize = 32;

/// Streams that one side opens at a time, the control stream not among them. Fewer than half: a stream is gone at
/// its two ends at different times, and one too many would end the connection.
pub const STREAMS_OPENED_MAX: usize = 12;

/// What a connection may hold of what was not read yet, in bytes: 256 KiB for each stream, as yamux has it, and as
/// much again for those that prove, by being read faster than the window comes back, that it holds them up.
pub const WINDOW_BYTES_MAX: usize = 2 * STREAMS_MAX * 256 * 1024;

/// The number of the control stream in the signatures of its frames.
pub const CONTROL: u32 = 0;

/// What a method of [`Link`] gives in time.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An authenticated connection to a peer. Dropping it cuts the connection.
pub trait Link: Send + Sync + fmt::Debug {
    /// Opens a stream; waits while [`STREAMS_OPENED_MAX`] of them are open. To be called only once the peer has
    /// said what it can do: before, it would end the connection.
    fn open(&self) -> Pending<'_, Result<Stream, Loss>>;

    /// Takes the next stream that the peer opens. For one caller at a time.
    fn accept(&self) -> Pending<'_, Result<Stream, Loss>>;

    /// Lets the peer open streams; before, one ends the connection.
    fn admit(&self);

    /// Returns who is at the other end, and how it is reached.
    fn remote(&self) -> &Remote;

    /// Sends what is on its way, and then closes.
    fn close(&self);

    /// Waits until the connection is no more, and tells why.
    fn closed(&self) -> Pending<'_, Loss>;
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// The key that this side showed.
    pub own: NodeId,
    /// The key that the peer proved to hold.
    pub peer: NodeId,
    /// Whether this side dialled.
    pub is_dialled: bool,
    /// The peer's end.
    pub address: SocketAddr,
    /// The secret of this one connection that all its signatures are bound to (RFC 8446, section 7.5).
    pub exporter: [u8; 32],
}

impl Remote {
    /// Returns the direction of what this side sends.
    pub const fn direction(&self) -> Direction {
        if self.is_dialled { Direction::FromDialler } else { Direction::FromListener }
    }
}

/// A stream of a connection: bytes both ways.
///
/// Dropped without a shutdown, it is reset.
pub struct Stream {
    /// Its number in this connection, the same at both ends.
    pub number: u32,
    io: Box<dyn Duplex>,
    /// Makes room for the next one that this side opens.
    _permit: Option<OwnedSemaphorePermit>,
    turn: Turn,
}

/// Bytes both ways.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("number", &self.number).finish_non_exhaustive()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.turn.is_over(cx) {
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.io).poll_write(cx, bytes);
        let written = if let Poll::Ready(Ok(written)) = polled { written } else { 0 };
        self.turn.took(&polled, written);
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Tells what an error of a socket or of TLS means for a link.
pub fn loss(error: &io::Error) -> Loss {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (inner, error.kind()) {
        (Some(error), _) => loss_of_tls(error),
        (None, io::ErrorKind::UnexpectedEof) => {
            Loss::Broken("the connection ended within a message".to_owned())
        }
        (None, _) => Loss::Broken(plain(error)),
    }
}

/// Says an error of the system in its words, without its number.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.as_str(), |(words, _)| words).to_lowercase()
}

/// Alerts by which a peer says that it does not want this node, as rustls sends them.
const UNWANTED: [AlertDescription; 4] = [
    AlertDescription::CertificateUnknown,
    AlertDescription::BadCertificate,
    AlertDescription::UnknownCA,
    AlertDescription::CertificateRequired,
];

/// Alerts by which a node says that it does not hold the key that it was asked for.
const STRANGER: [AlertDescription; 2] = [AlertDescription::AccessDenied, AlertDescription::UnrecognisedName];

fn loss_of_tls(error: &rustls::Error) -> Loss {
    if let Some(refused) = tls::refused(error) {
        return Loss::Refused(refused.to_string());
    }
    if let rustls::Error::InvalidMessage(_) = error {
        return Loss::Protocol("what answers there is no karod".to_owned());
    }
    let rustls::Error::AlertReceived(alert) = error else { return Loss::Protocol(error.to_string()) };
    if STRANGER.contains(alert) {
        Loss::Refused("another node answers there: its key is not the one that was asked for".to_owned())
    } else if UNWANTED.contains(alert) {
        Loss::Refused("the peer does not trust this node's key; its owner can add it".to_owned())
    } else if *alert == AlertDescription::NoApplicationProtocol {
        Loss::Protocol("the peer speaks another protocol".to_owned())
    } else {
        Loss::Protocol(error.to_string())
    }
}
