//! The control stream: what two nodes say about their link.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use karo_protocol::limits::FRAME_BYTES_MAX;
use karo_protocol::peer::{Control, EARLY_FRAME_BYTES_MAX};
use tokio::sync::{oneshot, watch};

use super::driver::{MuxStream, closed};
use super::frames::{Ended, FrameReader, FrameWriter};
use super::{CONTROL, Remote};
use crate::link::Loss;

/// A frame of the peer on the control stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The version that it is written in.
    pub version: u16,
    /// What it says; `None` for a type that is passed over.
    pub control: Option<Control>,
}

/// Sends what this side says.
#[derive(Debug)]
pub struct Sender(pub(super) FrameWriter<MuxStream>);

impl Sender {
    /// Signs a message in its place and sends it. Dropped half-way, the connection is of no use.
    ///
    /// # Errors
    ///
    /// Why the connection is no more, or cannot be used.
    pub async fn send(&mut self, version: u16, control: &Control) -> Result<(), Loss> {
        let frame = control.encode(version).map_err(|error| Loss::Protocol(error.to_string()))?;
        self.0.write(frame).await
    }
}

/// Receives what the peer says.
#[derive(Debug)]
pub struct Receiver {
    pub(super) stream: Incoming,
    pub(super) remote: Remote,
    pub(super) is_admitted: Arc<AtomicBool>,
    pub(super) closed: watch::Receiver<Option<Loss>>,
}

/// The peer's control stream, before and after its first byte.
#[derive(Debug)]
pub(super) enum Incoming {
    Awaited(oneshot::Receiver<MuxStream>),
    Here(FrameReader<MuxStream>),
}

impl Receiver {
    /// Receives the next message. Before the peer is admitted it may have 64 KiB, afterwards 1 MiB; whoever sends
    /// a longer one waits for the other side's `Capabilities`. Dropped half-way, the connection is of no use.
    ///
    /// # Errors
    ///
    /// [`Ended`]. What the peer sent before it closed comes first, so whoever reads to the end misses no last word.
    pub async fn next(&mut self) -> Result<Received, Ended> {
        if let Incoming::Awaited(stream) = &mut self.stream {
            match stream.await {
                Ok(stream) => {
                    self.stream = Incoming::Here(FrameReader::new(stream, &self.remote, CONTROL));
                }
                Err(_) => return Err(Ended::Lost(closed(&mut self.closed).await)),
            }
        }
        let is_admitted = self.is_admitted.load(Ordering::Acquire);
        let length_max = if is_admitted { FRAME_BYTES_MAX } else { EARLY_FRAME_BYTES_MAX };
        let Incoming::Here(reader) = &mut self.stream else { return Err(Ended::Lost(Loss::Closed)) };
        // What is in the stream comes before the news that the connection is no more, and a stream whose connection
        // this side has closed does not end by itself.
        let read = tokio::select! {
            biased;
            read = reader.read(length_max) => read,
            loss = closed(&mut self.closed) => return Err(Ended::Lost(loss)),
        };
        match read {
            Ok(Some((header, payload))) => {
                let control = Control::decode(header.kind, payload)?;
                Ok(Received { version: header.version, control })
            }
            // The stream knows only that it ended, the connection knows why.
            Ok(None) | Err(Ended::Lost(_)) => Err(Ended::Lost(closed(&mut self.closed).await)),
            Err(violation @ Ended::Violation(_)) => Err(violation),
        }
    }
}
