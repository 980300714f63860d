//! The bytes of an identity on disk.
//!
//! Version 1: 156 bytes, big-endian.
//!
//! | bytes | field | unit |
//! | --- | --- | --- |
//! | 0..8 | `KAROKEY` and a NUL | |
//! | 8..10 | version | 1 |
//! | 10..18 | when the identity was made | µs since the epoch, UTC |
//! | 18..50 | seed of the current key | RFC 8032 |
//! | 50..82 | seed of the next key | |
//! | 82 | rotation | 0 none, 1 the previous key is forgotten, 2 it is kept |
//! | 83..91 | when the current key took over | µs; 0 without a rotation |
//! | 91..123 | seed of the previous key | zeros unless it is kept |
//! | 123 | reserved | 0 |
//! | 124..156 | BLAKE3 of all before | |
//!
//! The checksum finds damage. Whoever can write the file can make another one: that is what its mode is for.

use std::hint::black_box;

use karo_protocol::Timestamp;

use super::key::{SEED_BYTES, Seed};
use super::{Identity, Key, Takeover};

/// How an identity's file begins.
const MAGIC: &[u8; 8] = b"KAROKEY\0";

/// The version that is written, and the only one there is.
const VERSION: u16 = 1;

/// Bytes of a file of that version.
const LENGTH: usize = 156;

/// Bytes before the checksum.
const SUMMED: usize = LENGTH - blake3::OUT_LEN;

/// Why bytes are no identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// There is nothing in it.
    #[error("the file is empty; restore the identity from a backup: karoctl identity restore FILE")]
    Empty,
    /// It is something else.
    #[error("this is not an identity of Karo; restore one from a backup: karoctl identity restore FILE")]
    NotAnIdentity,
    /// It was written by a newer Karo.
    #[error("it is of version {0}, and this Karo reads version {VERSION}; run the newer one")]
    Newer(u16),
    /// It ends too early or too late.
    #[error(
        "it has {0} bytes instead of {LENGTH}; restore the identity from a backup: karoctl identity restore FILE"
    )]
    Length(usize),
    /// Its checksum is not that of its bytes.
    #[error("it is damaged; restore the identity from a backup: karoctl identity restore FILE")]
    Damaged,
}

impl Identity {
    /// Reads what [`to_file`](Self::to_file) wrote.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] says what the bytes are instead; none of them is mended.
    pub fn from_file(bytes: &[u8]) -> Result<Self, IdentityError> {
        let body = checked(bytes)?;
        let mut fields = Fields(body);
        let created_at = Timestamp::from_micros(i64::from_be_bytes(fields.take()?));
        let current = Key::from_seed(Seed(fields.take()?));
        let next = Key::from_seed(Seed(fields.take()?));
        let [kind] = fields.take()?;
        let at = Timestamp::from_micros(i64::from_be_bytes(fields.take()?));
        let previous = Seed(fields.take::<SEED_BYTES>()?);
        let rotated = match kind {
            0 => None,
            1 => Some(Takeover { at, previous: None }),
            2 => Some(Takeover { at, previous: Some(Key::from_seed(previous)) }),
            _ => return Err(IdentityError::Damaged),
        };
        Ok(Self { created_at, current, next, rotated })
    }

    /// Writes it: secret bytes, for a file of mode 0600, or for [`backup`](crate::backup).
    pub fn to_file(&self) -> Vec<u8> {
        let (kind, at, previous) = match &self.rotated {
            None => (0, Timestamp::default(), None),
            Some(Takeover { at, previous: None }) => (1, *at, None),
            Some(Takeover { at, previous: Some(key) }) => (2, *at, Some(key)),
        };
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend(self.created_at.as_micros().to_be_bytes());
        bytes.extend(self.current.seed());
        bytes.extend(self.next.seed());
        bytes.push(kind);
        bytes.extend(at.as_micros().to_be_bytes());
        bytes.extend(previous.map_or(&[0; SEED_BYTES], Key::seed));
        bytes.push(0);
        bytes.extend(blake3::hash(&bytes).as_bytes());
        bytes
    }
}

/// Returns what lies between the version and the checksum.
fn checked(bytes: &[u8]) -> Result<&[u8], IdentityError> {
    if bytes.is_empty() {
        return Err(IdentityError::Empty);
    }
    let known = bytes.len().min(MAGIC.len());
    if bytes[..known] != MAGIC[..known] {
        return Err(IdentityError::NotAnIdentity);
    }
    let version = bytes.get(MAGIC.len()..).and_then(|rest| rest.first_chunk());
    match version.copied().map(u16::from_be_bytes) {
        Some(VERSION) if bytes.len() == LENGTH => {}
        Some(VERSION) | None => return Err(IdentityError::Length(bytes.len())),
        Some(newer) if newer > VERSION => return Err(IdentityError::Newer(newer)),
        Some(_) => return Err(IdentityError::Damaged),
    }
    let (body, sum) = bytes.split_at(SUMMED);
    if blake3::hash(body).as_bytes() != sum {
        return Err(IdentityError::Damaged);
    }
    Ok(&body[MAGIC.len() + size_of::<u16>()..])
}

/// The fields that are left to be read.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const BYTES: usize>(&mut self) -> Result<[u8; BYTES], IdentityError> {
        let (field, rest) = self.0.split_first_chunk().ok_or(IdentityError::Damaged)?;
        self.0 = rest;
        Ok(*field)
    }
}

/// Overwrites bytes that held an identity, once they are written.
///
/// As far as that goes without `unsafe`: `black_box` keeps the compiler from leaving it out.
pub fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    black_box(bytes);
}
