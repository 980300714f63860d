//! The signature of a frame: who sent it, over this one connection and stream, in this direction, as this one in
//! the order.
//!
//! It proves nothing to anybody else: who could forge a connection's exporter could have made it. What is to be
//! shown to others is an [`object`](crate::object).
//!
//! | bytes | what is signed | |
//! | --- | --- | --- |
//! | 0..12  | domain | `karo/1 frame` |
//! | 12..44 | exporter | of this TLS connection, label `EXPORTER-karo-1` |
//! | 44..48 | stream | u32, big-endian |
//! | 48     | direction | 0 from the dialler, 1 from the listener |
//! | 49..57 | sequence | u64, big-endian, from 0; never sent |
//! | 57..69 | header | as sent |
//! | 69..   | payload | as sent |
//!
//! The 64 bytes of signature follow the payload on the wire. A frame that is lost, doubled, moved or taken from
//! elsewhere has another place than its signature says, and the stream ends with it.

use std::sync::Arc;

use karo_protocol::NodeId;
use karo_protocol::frame::Header;
use karo_protocol::node::Signature;
use thiserror::Error;

use crate::signer::{Signer, verify};

/// What stands before everything that is signed as a frame. No name of an object begins with its second word.
const DOMAIN: &[u8; 12] = b"karo/1 frame";

/// Bytes before the header.
const PLACE_SIZE: usize = 57;

/// Where the sequence stands.
const SEQUENCE: std::ops::Range<usize> = 49..57;

/// What is kept of a buffer between frames, in bytes: heartbeats fit, and an idle link holds no mebibyte.
const KEPT_BYTES_MAX: usize = 4096;

/// Which way a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the side that dialled.
    FromDialler,
    /// From the side that listened.
    FromListener,
}

impl Direction {
    const fn byte(self) -> u8 {
        match self {
            Self::FromDialler => 0,
            Self::FromListener => 1,
        }
    }

    /// Returns the other way.
    pub const fn reversed(self) -> Self {
        match self {
            Self::FromDialler => Self::FromListener,
            Self::FromListener => Self::FromDialler,
        }
    }
}

/// Why a frame is not taken. The link ends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameRefused {
    /// The signature is not the peer's over this frame in this place.
    #[error("frame {sequence} of stream {stream} is not signed by the peer for this place")]
    Signature {
        /// Which frame, from 0.
        sequence: u64,
        /// Which stream.
        stream: u32,
    },
    /// The header declares another length than the payload has: the caller read something else.
    #[error("payload of {length} bytes is not what the header declares")]
    Length {
        /// Of the payload, in bytes.
        length: usize,
    },
    /// All 2⁶⁴ places of the stream are taken.
    #[error("stream has used up its numbers")]
    Exhausted,
    /// A frame before it was refused.
    #[error("stream ended with a frame that was refused")]
    Ended,
}

/// Why a frame cannot be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("stream has used up its numbers")]
pub struct Exhausted;

/// Which frame comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    At(u64),
    Exhausted,
    Ended,
}

impl Next {
    const fn after(sequence: u64) -> Self {
        match sequence.checked_add(1) {
            Some(next) => Self::At(next),
            None => Self::Exhausted,
        }
    }
}

/// What is signed, built in one buffer that is used again.
#[derive(Debug, Clone)]
struct Covered(Vec<u8>);

impl Covered {
    fn new(exporter: &[u8; 32], stream: u32, direction: Direction) -> Self {
        let mut bytes = Vec::with_capacity(PLACE_SIZE);
        bytes.extend(DOMAIN);
        bytes.extend(exporter);
        bytes.extend(stream.to_be_bytes());
        bytes.push(direction.byte());
        bytes.extend(0_u64.to_be_bytes());
        Self(bytes)
    }

    /// Returns what is signed of a frame in that place; [`rest`](Self::rest) comes before the next one.
    fn at(&mut self, sequence: u64, parts: [&[u8]; 2]) -> &[u8] {
        self.0[SEQUENCE].copy_from_slice(&sequence.to_be_bytes());
        parts.iter().for_each(|part| self.0.extend_from_slice(part));
        &self.0
    }

    /// Gives back what a large frame took.
    fn rest(&mut self) {
        self.0.truncate(PLACE_SIZE);
        self.0.shrink_to(KEPT_BYTES_MAX);
    }
}

/// Signs what goes one way over one stream.
pub struct Writer {
    signer: Arc<dyn Signer>,
    covered: Covered,
    next: Next,
}

impl Writer {
    /// Begins a stream of a connection with that exporter.
    pub fn new(signer: Arc<dyn Signer>, exporter: [u8; 32], stream: u32, direction: Direction) -> Self {
        Self { signer, covered: Covered::new(&exporter, stream, direction), next: Next::At(0) }
    }

    /// Puts the signature behind a frame (header and payload): 64 bytes. Frames must go out in the order in which
    /// they were signed.
    ///
    /// # Errors
    ///
    /// [`Exhausted`] after 2⁶⁴ frames.
    pub fn sign(&mut self, mut frame: Vec<u8>) -> Result<Vec<u8>, Exhausted> {
        let Next::At(sequence) = self.next else {
            return Err(Exhausted);
        };
        let signature = self.signer.sign(self.covered.at(sequence, [&frame, &[]]));
        self.covered.rest();
        self.next = Next::after(sequence);
        frame.extend(signature.0);
        Ok(frame)
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("node", &self.signer.node_id()).field("next", &self.next).finish()
    }
}

/// Verifies what comes one way over one stream.
#[derive(Debug, Clone)]
pub struct Reader {
    peer: NodeId,
    stream: u32,
    covered: Covered,
    next: Next,
}

impl Reader {
    /// Begins a stream of a connection with that exporter, whose other end proved to hold the peer's key.
    ///
    /// `direction` is that of the frames that are read: the reverse of the own [`Writer`]'s.
    pub fn new(peer: NodeId, exporter: [u8; 32], stream: u32, direction: Direction) -> Self {
        Self { peer, stream, covered: Covered::new(&exporter, stream, direction), next: Next::At(0) }
    }

    /// Verifies the next frame. The payload may be scanned and decoded afterwards, not before.
    ///
    /// # Errors
    ///
    /// Whatever it is, the stream is of no use afterwards: each further frame is [`FrameRefused::Ended`].
    pub fn open(
        &mut self,
        header: Header,
        payload: &[u8],
        signature: &Signature,
    ) -> Result<(), FrameRefused> {
        let sequence = match self.next {
            Next::At(sequence) => sequence,
            Next::Exhausted => return Err(FrameRefused::Exhausted),
            Next::Ended => return Err(FrameRefused::Ended),
        };
        self.next = Next::Ended;
        if payload.len() != header.length as usize {
            return Err(FrameRefused::Length { length: payload.len() });
        }
        let is_signed =
            verify(&self.peer, self.covered.at(sequence, [&header.to_bytes(), payload]), signature);
        self.covered.rest();
        if !is_signed {
            return Err(FrameRefused::Signature { sequence, stream: self.stream });
        }
        self.next = Next::after(sequence);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
