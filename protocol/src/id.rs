//! Identifiers: 128 bits each, written as text in one form only.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that is not an identifier of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnId {
    /// What was expected, for the reader of the message.
    pub expected: &'static str,
}

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.expected)
    }
}

impl std::error::Error for NotAnId {}

/// Reads 32 hexadecimal digits, skipping hyphens.
fn parse_hex(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    let mut digits = 0;
    for c in text.bytes().filter(|c| *c != b'-') {
        let value = char::from(c).to_digit(16)? as u8;
        let slot = bytes.get_mut(digits / 2)?;
        *slot = *slot << 4 | value;
        digits += 1;
    }
    (digits == 32).then_some(bytes)
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn write_uuid(bytes: &[u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (place, range) in [0..4, 4..6, 6..8, 8..10, 10..16].into_iter().enumerate() {
        if place > 0 {
            f.write_str("-")?;
        }
        write_hex(&bytes[range], f)?;
    }
    Ok(())
}

struct Exactly16;

impl Visitor<'_> for Exactly16 {
    type Value = [u8; 16];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("16 bytes")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $write:ident, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Makes the identifier of exactly these bytes, in the order they are written.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Returns the bytes, in the order they are written.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $write(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                parse_hex(text).map(Self).ok_or(NotAnId { expected: $expected })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_bytes(Exactly16).map(Self).map_err(D::Error::custom)
            }
        }
    };
}

id! {
    /// One shell, from its start to its end: 128 random bits drawn once by its hook; 32 hexadecimal digits.
    ShellId, write_hex, "a shell id of 32 hexadecimal digits"
}

id! {
    /// One run of a machine, as its kernel names it; written like a UUID.
    BootId, write_uuid, "a boot id in the form of a UUID"
}

id! {
    /// One event, drawn when it is first committed and kept: a UUIDv7, written like one.
    ///
    /// Order of the bytes is order of the drawing, to the millisecond.
    EventId, write_uuid, "an event id in the form of a UUID"
}

impl EventId {
    /// Makes a UUIDv7 (RFC 9562, section 5.7) of a wall time and ten random bytes.
    ///
    /// A time before the epoch or past the year 10889 is clamped to the 48 bits of the format.
    pub fn new(now: crate::Timestamp, random: [u8; 10]) -> Self {
        let millis = (now.as_micros() / 1000).clamp(0, (1 << 48) - 1) as u64;
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        bytes[6..].copy_from_slice(&random);
        bytes[6] = 0x70 | bytes[6] & 0x0f;
        bytes[8] = 0x80 | bytes[8] & 0x3f;
        Self(bytes)
    }

    /// Returns the wall time of the drawing, to the millisecond.
    pub fn drawn_at(&self) -> crate::Timestamp {
        let mut millis = [0; 8];
        millis[2..].copy_from_slice(&self.0[..6]);
        crate::Timestamp::from_micros((u64::from_be_bytes(millis) * 1000) as i64)
    }
}

/// Numbers the requests of one session; a reply names the one it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u64);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    #[test]
    fn text_form_reads_back() {
        let id = EventId::new(Timestamp::from_micros(1_700_000_000_123_456), [0xff; 10]);
        assert_eq!(id.to_string(), "018bcfe5-687b-7fff-bfff-ffffffffffff");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.drawn_at(), Timestamp::from_micros(1_700_000_000_123_000));
    }

    #[test]
    fn wrong_texts_are_refused() {
        for text in ["", "0", "g0000000000000000000000000000000", "000000000000000000000000000000000"] {
            assert!(text.parse::<ShellId>().is_err(), "{text}");
        }
    }
}
