//! The frame codec: bytes in, bytes out, no I/O. Both protocols use it.
//!
//! | bytes | field | |
//! | --- | --- | --- |
//! | 0..4   | magic | `KARO` |
//! | 4..6   | version | u16, big-endian |
//! | 6..8   | type | u16, big-endian |
//! | 8..12  | length of the payload | u32, big-endian |
//! | 12..   | payload | MessagePack, one value |
//!
//! A reader reads [`Header::SIZE`] bytes, makes a [`Header`] of them, which checks the length before
//! anything is allocated, then reads that many and gives them to [`decode`].

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::FRAME_BYTES_MAX;
use crate::scan::{ScanError, scan};

/// The first four bytes of every frame.
pub const MAGIC: [u8; 4] = *b"KARO";

/// Version of the local protocol that this crate speaks.
pub const VERSION: u16 = 1;

/// Why bytes are no frame of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameError {
    /// The first four bytes are not [`MAGIC`].
    Magic([u8; 4]),
    /// The payload is longer than the limit.
    TooLong {
        /// What the header declares, in bytes.
        length: u64,
        /// What is allowed, in bytes.
        length_max: u32,
    },
    /// The payload must not be decoded.
    Scan(ScanError),
    /// The payload is not the message that its type announces.
    Message(String),
    /// No message has that type.
    UnknownType(u16),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic(magic) => write!(f, "frame begins with {magic:02x?}, not with KARO"),
            Self::TooLong { length, length_max } => {
                write!(f, "frame of {length} bytes, at most {length_max} are allowed")
            }
            Self::Scan(error) => error.fmt(f),
            Self::Message(reason) => write!(f, "payload does not fit its type: {reason}"),
            Self::UnknownType(kind) => write!(f, "unknown frame type {kind:#06x}"),
        }
    }
}

impl std::error::Error for FrameError {}

impl From<ScanError> for FrameError {
    fn from(error: ScanError) -> Self {
        Self::Scan(error)
    }
}

/// What stands before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Version of the protocol that the sender speaks.
    pub version: u16,
    /// Type of the message.
    pub kind: u16,
    /// Length of the payload in bytes, within the reader's limit.
    pub length: u32,
}

impl Header {
    /// Bytes of a header.
    pub const SIZE: usize = 12;

    /// Reads a header and checks its magic and length.
    ///
    /// The version is not judged here: what a reader does with another one depends on the type.
    ///
    /// # Errors
    ///
    /// [`FrameError::Magic`] or [`FrameError::TooLong`]; the stream is of no use afterwards.
    pub fn parse(bytes: &[u8; Self::SIZE], length_max: u32) -> Result<Self, FrameError> {
        let [m0, m1, m2, m3, v0, v1, k0, k1, l0, l1, l2, l3] = *bytes;
        let magic = [m0, m1, m2, m3];
        if magic != MAGIC {
            return Err(FrameError::Magic(magic));
        }
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        if length > length_max {
            return Err(FrameError::TooLong { length: length.into(), length_max });
        }
        Ok(Self { version: u16::from_be_bytes([v0, v1]), kind: u16::from_be_bytes([k0, k1]), length })
    }

    /// Returns the bytes of the header.
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&self.version.to_be_bytes());
        bytes[6..8].copy_from_slice(&self.kind.to_be_bytes());
        bytes[8..].copy_from_slice(&self.length.to_be_bytes());
        bytes
    }
}

/// Makes a whole frame of a message.
///
/// # Errors
///
/// [`FrameError::TooLong`] when the payload is over [`FRAME_BYTES_MAX`]: the sender made a page too big.
pub fn encode<T: Serialize>(kind: u16, message: &T) -> Result<Vec<u8>, FrameError> {
    encode_as(VERSION, kind, message)
}

/// Makes a whole frame of a message in that version of its protocol.
///
/// # Errors
///
/// As [`encode`].
pub fn encode_as<T: Serialize>(version: u16, kind: u16, message: &T) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![0; Header::SIZE];
    rmp_serde::encode::write(&mut frame, message).map_err(|error| FrameError::Message(error.to_string()))?;
    let length = frame.len() - Header::SIZE;
    match u32::try_from(length) {
        Ok(length) if length <= FRAME_BYTES_MAX => {
            frame[..Header::SIZE].copy_from_slice(&Header { version, kind, length }.to_bytes());
            Ok(frame)
        }
        Ok(_) | Err(_) => Err(FrameError::TooLong { length: length as u64, length_max: FRAME_BYTES_MAX }),
    }
}

/// Scans a payload and decodes it.
///
/// # Errors
///
/// [`FrameError::Scan`] before anything is decoded, [`FrameError::Message`] when it is another message.
pub fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T, FrameError> {
    scan(payload)?;
    rmp_serde::from_slice(payload).map_err(|error| FrameError::Message(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_a_header_and_its_payload() {
        let frame = encode(7, &(1_u8, "hi")).expect("two small values fit");
        assert_eq!(frame, b"KARO\x00\x01\x00\x07\x00\x00\x00\x05\x92\x01\xa2hi");
        let header = Header::parse(frame[..12].try_into().expect("twelve bytes"), 64).expect("it is ours");
        assert_eq!(header, Header { version: 1, kind: 7, length: 5 });
        assert_eq!(decode::<(u8, String)>(&frame[12..]), Ok((1, "hi".to_owned())));
    }

    #[test]
    fn length_is_checked_before_the_payload() {
        let mut bytes = Header { version: 1, kind: 1, length: u32::MAX }.to_bytes();
        let error = Header::parse(&bytes, FRAME_BYTES_MAX).expect_err("four gibibytes are too many");
        assert_eq!(error, FrameError::TooLong { length: u32::MAX.into(), length_max: FRAME_BYTES_MAX });
        bytes[0] = b'k';
        assert_eq!(Header::parse(&bytes, FRAME_BYTES_MAX), Err(FrameError::Magic(*b"kARO")));
        assert!(encode(1, &"x".repeat(FRAME_BYTES_MAX as usize)).is_err());
    }

    #[test]
    fn trailing_bytes_are_refused() {
        assert_eq!(decode::<u8>(&[1, 2]), Err(FrameError::Scan(ScanError::Trailing)));
    }
}
