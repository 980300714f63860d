//! Signed frames over a stream: what is read is bounded first, verified next, and decoded last.

use std::io;
use std::sync::Arc;

use karo_protocol::frame::{FrameError, Header};
use karo_protocol::node::Signature;
use karo_trust::Signer;
use karo_trust::frame::{FrameRefused, Reader, Writer};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Remote, loss};
use crate::link::Loss;

/// What is kept of a buffer between frames, in bytes: heartbeats fit, and an idle link holds no mebibyte.
const KEPT_BYTES_MAX: usize = 4096;

/// Why no frame was read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Ended {
    /// The connection is no more.
    #[error("{}", .0.reason())]
    Lost(Loss),
    /// What came is not to be taken, whoever it is from: the connection is to be closed with a word.
    #[error("{0}")]
    Violation(String),
}

impl From<FrameError> for Ended {
    fn from(error: FrameError) -> Self {
        Self::Violation(error.to_string())
    }
}

impl From<FrameRefused> for Ended {
    fn from(error: FrameRefused) -> Self {
        Self::Violation(error.to_string())
    }
}

/// Writes frames to a stream, each signed in its place.
#[derive(Debug)]
pub struct FrameWriter<W> {
    io: W,
    writer: Writer,
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    /// Begins what this side sends over a stream of a connection. The signer holds [`Remote::own`].
    pub fn new(io: W, signer: Arc<dyn Signer>, remote: &Remote, stream: u32) -> Self {
        Self { io, writer: Writer::new(signer, remote.exporter, stream, remote.direction()) }
    }

    /// Signs a frame and writes it. Dropped half-way, the stream is of no use.
    ///
    /// # Errors
    ///
    /// Why the connection is no more, or cannot be used.
    pub async fn write(&mut self, frame: Vec<u8>) -> Result<(), Loss> {
        let signed = self.writer.sign(frame).map_err(|error| Loss::Protocol(error.to_string()))?;
        let written = async {
            self.io.write_all(&signed).await?;
            self.io.flush().await
        };
        written.await.map_err(|error| loss(&error))
    }

    /// Returns the stream: what is written from here on is not signed.
    pub fn into_inner(self) -> W {
        self.io
    }
}

/// Reads frames from a stream, each verified in its place.
#[derive(Debug)]
pub struct FrameReader<R> {
    io: R,
    reader: Reader,
    payload: Vec<u8>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Begins what the peer sends over a stream of a connection.
    pub fn new(io: R, remote: &Remote, stream: u32) -> Self {
        let reader = Reader::new(remote.peer, remote.exporter, stream, remote.direction().reversed());
        Self { io, reader, payload: Vec::new() }
    }

    /// Reads a frame of at most so many bytes of payload: that is looked at before there is room for it, and the
    /// signature before the payload is returned. Dropped half-way, the stream is of no use.
    ///
    /// # Errors
    ///
    /// [`Ended`]; the stream is of no use afterwards. `None` where it ends between two frames.
    pub async fn read(&mut self, length_max: u32) -> Result<Option<(Header, &[u8])>, Ended> {
        let mut bytes = [0; Header::SIZE];
        if !fill(&mut self.io, &mut bytes).await? {
            return Ok(None);
        }
        let header = Header::parse(&bytes, length_max)?;
        self.payload.truncate(0);
        self.payload.shrink_to(KEPT_BYTES_MAX);
        self.payload.resize(header.length as usize, 0);
        let mut signature = [0; Signature::LENGTH];
        let is_whole =
            fill(&mut self.io, &mut self.payload).await? && fill(&mut self.io, &mut signature).await?;
        if !is_whole {
            return Err(Ended::Lost(loss(&io::ErrorKind::UnexpectedEof.into())));
        }
        self.reader.open(header, &self.payload, &Signature(signature))?;
        Ok(Some((header, &self.payload)))
    }

    /// Returns the stream: what is read from here on is not signed.
    pub fn into_inner(self) -> R {
        self.io
    }
}

/// Reads as many bytes as there is room for; false where the stream ends before the first.
async fn fill(io: &mut (impl AsyncRead + Unpin), bytes: &mut [u8]) -> Result<bool, Ended> {
    let mut filled = 0;
    while filled < bytes.len() {
        match io.read(&mut bytes[filled..]).await {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(Ended::Lost(loss(&io::ErrorKind::UnexpectedEof.into()))),
            Ok(read) => filled += read,
            Err(error) => return Err(Ended::Lost(loss(&error))),
        }
    }
    Ok(true)
}
