//! Who a machine is to others: its key, the short form of it for the eye, and what it is trusted with.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::named_enum;

/// How a node id begins as text.
pub const NODE_ID_PREFIX: &str = "karo:ed25519:";

/// The letters of base64url (RFC 4648, section 5).
const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The letters of base32 (RFC 4648, section 6), in lower case.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Why a text is no node id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotANodeId;

impl fmt::Display for NotANodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {NODE_ID_PREFIX} and 43 letters of base64url")
    }
}

impl std::error::Error for NotANodeId {}

/// Declares bytes of a fixed length that go over the wire as such.
macro_rules! fixed_bytes {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $length]);

        impl $name {
            /// How many bytes there are.
            pub const LENGTH: usize = $length;

            /// Returns the bytes.
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_bytes(Exactly::<$length>).map(Self).map_err(D::Error::custom)
            }
        }
    };
}

struct Exactly<const LENGTH: usize>;

impl<'de, const LENGTH: usize> Visitor<'de> for Exactly<LENGTH> {
    type Value = [u8; LENGTH];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{LENGTH} bytes")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut bytes = [0; LENGTH];
        for (place, byte) in bytes.iter_mut().enumerate() {
            *byte = items.next_element()?.ok_or_else(|| A::Error::invalid_length(place, &self))?;
        }
        Ok(bytes)
    }
}

fixed_bytes! {
    /// A node: the public half of its Ed25519 key. Nothing else is its identity.
    NodeId, 32
}

fixed_bytes! {
    /// The short form of a node id, for the eye: it proves nothing. See `karo_trust::fingerprint`.
    Fingerprint, 8
}

fixed_bytes! {
    /// BLAKE3, whole.
    Hash, 32
}

fixed_bytes! {
    /// An Ed25519 signature.
    Signature, 64
}

fixed_bytes! {
    /// 128 random bits: one run of a daemon, one audit log, one signed object.
    Nonce, 16
}

impl NodeId {
    /// Returns the name by which TLS asks for this node and which its certificate bears: the key in lower-case
    /// base32, 52 letters, and `.karo`.
    pub fn server_name(&self) -> String {
        let mut name = encode(&self.0, 5, BASE32);
        name.push_str(".karo");
        name
    }

    /// Reads a [`server_name`](Self::server_name); in that one form only.
    pub fn from_server_name(name: &str) -> Option<Self> {
        decode(name.strip_suffix(".karo")?, 5, BASE32).map(Self)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NODE_ID_PREFIX}{}", encode(&self.0, 6, BASE64_URL))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for NodeId {
    type Err = NotANodeId;

    fn from_str(text: &str) -> Result<Self, NotANodeId> {
        let letters = text.strip_prefix(NODE_ID_PREFIX).ok_or(NotANodeId)?;
        decode(letters, 6, BASE64_URL).map(Self).ok_or(NotANodeId)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, pair) in self.0.chunks(2).enumerate() {
            if place > 0 {
                f.write_str("-")?;
            }
            pair.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        }
        Ok(())
    }
}

/// Why a text is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAFingerprint;

impl fmt::Display for NotAFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected four groups of four hexadecimal digits, as 0123-4567-89ab-cdef")
    }
}

impl std::error::Error for NotAFingerprint {}

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    /// Reads what `Display` writes, and no other form of it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = parse_hex(&text.replace('-', "")).map(Self).ok_or(NotAFingerprint)?;
        if read.to_string() == text { Ok(read) } else { Err(NotAFingerprint) }
    }
}

macro_rules! shown_as_hex {
    ($($name:ident),+) => {
        $(
            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
                }
            }

            impl FromStr for $name {
                type Err = crate::id::NotAnId;

                fn from_str(text: &str) -> Result<Self, Self::Err> {
                    parse_hex(text).map(Self).ok_or(crate::id::NotAnId { expected: "hexadecimal digits, all of them" })
                }
            }
        )+
    };
}

macro_rules! debugged_as_shown {
    ($($name:ident),+) => {
        $(
            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write!(f, concat!(stringify!($name), "({})"), self)
                }
            }
        )+
    };
}

shown_as_hex!(Hash, Signature, Nonce);
debugged_as_shown!(Fingerprint, Hash, Signature, Nonce);

fn parse_hex<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    if text.len() != 2 * LENGTH {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digit = |place: usize| pair.get(place).and_then(|c| char::from(*c).to_digit(16));
        *byte = (digit(0)? << 4 | digit(1)?) as u8;
    }
    Some(bytes)
}

/// Writes bytes in letters of so many bits each, without padding.
fn encode(bytes: &[u8], bits_each: u32, letters: &[u8]) -> String {
    let (mut held, mut bits) = (0_u32, 0);
    let mut text = String::new();
    let mask = (1 << bits_each) - 1;
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= bits_each {
            bits -= bits_each;
            text.push(char::from(letters[(held >> bits & mask) as usize]));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(char::from(letters[(held << (bits_each - bits) & mask) as usize]));
    }
    text
}

/// Reads what [`encode`] writes, and no other form of it.
fn decode(text: &str, bits_each: u32, letters: &[u8]) -> Option<[u8; 32]> {
    let (mut held, mut bits, mut place) = (0_u32, 0, 0);
    let mut bytes = [0; 32];
    for letter in text.bytes() {
        let value = letters.iter().position(|known| *known == letter)?;
        held = held << bits_each | value as u32;
        bits += bits_each;
        if bits >= 8 {
            bits -= 8;
            *bytes.get_mut(place)? = (held >> bits) as u8;
            place += 1;
            held &= (1 << bits) - 1;
        }
    }
    // What is left over of the last letter must be nothing, or two texts would be one key.
    (place == 32 && held == 0 && bits < bits_each).then_some(bytes)
}

named_enum! {
    /// What a node is trusted with, by an explicit act of its owner.
    ///
    /// Each level says what *it* may have of *us*; the other side decides for itself.
    Trust, "trust level" {
        /// Nothing: it is refused.
        Untrusted = "untrusted",
        /// A link: pings, audit heads, and what a group makes of many. Nothing about one person.
        Member = "member",
        /// Our summaries are sent to it.
        ShareTo = "share-to",
        /// It may ask for our summaries.
        QueryFrom = "query-from",
        /// Both.
        Peer = "peer",
        /// As a member, and it may ask after our health.
        Supervisor = "supervisor",
    }
}

impl Trust {
    /// Tells whether a node of this level gets a link at all.
    pub const fn is_linked(self) -> bool {
        !matches!(self, Self::Untrusted)
    }

    /// Tells whether our summaries go to it.
    pub const fn gets_summaries(self) -> bool {
        matches!(self, Self::ShareTo | Self::Peer)
    }

    /// Tells whether it may ask for our summaries.
    pub const fn may_query(self) -> bool {
        matches!(self, Self::QueryFrom | Self::Peer)
    }

    /// Tells whether it may ask after our health.
    pub const fn may_ask_health(self) -> bool {
        matches!(self, Self::Supervisor | Self::Peer)
    }

    /// Returns the part of this level that an upper bound leaves of it.
    ///
    /// The levels are no ladder: what both allow is kept.
    pub const fn bounded(self, bound: Self) -> Self {
        if !self.is_linked() || !bound.is_linked() {
            return Self::Untrusted;
        }
        let summaries = self.gets_summaries() && bound.gets_summaries();
        let queries = self.may_query() && bound.may_query();
        let health = self.may_ask_health() && bound.may_ask_health();
        match (summaries, queries, health) {
            (true, true, _) => Self::Peer,
            (true, false, _) => Self::ShareTo,
            (false, true, _) => Self::QueryFrom,
            (false, false, true) => Self::Supervisor,
            (false, false, false) => Self::Member,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId([
        0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e,
        0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
    ]);

    #[test]
    fn a_fingerprint_has_one_text() {
        let fingerprint = Fingerprint([0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef]);
        assert_eq!("0123-4567-89ab-cdef".parse(), Ok(fingerprint));
        for wrong in
            ["", "0123456789abcdef", "0123-4567-89AB-CDEF", "01-234567-89ab-cdef", "0123-4567-89ab-cde"]
        {
            assert_eq!(wrong.parse::<Fingerprint>(), Err(NotAFingerprint), "{wrong}");
        }
    }

    #[test]
    fn a_node_id_has_one_text() {
        // RFC 8037, appendix A.2, has this key in base64url.
        let text = "karo:ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        assert_eq!(NODE.to_string(), text);
        assert_eq!(text.parse(), Ok(NODE));
        for wrong in [
            "",
            "karo:ed25519:",
            "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "karo:ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURp",
            "karo:ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUR",
            "karo:ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURoA",
            "karo:ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "karo:ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        ] {
            assert_eq!(wrong.parse::<NodeId>(), Err(NotANodeId), "{wrong}");
        }
    }

    #[test]
    fn a_server_name_has_one_text() {
        let name = NODE.server_name();
        assert_eq!(name.len(), 57);
        assert!(name.bytes().all(|c| c == b'.' || c.is_ascii_lowercase() || c.is_ascii_digit()));
        assert_eq!(NodeId::from_server_name(&name), Some(NODE));
        assert_eq!(NodeId::from_server_name(&name.to_uppercase()), None);
        assert_eq!(NodeId::from_server_name(&format!("a{name}")), None);
        assert_eq!(NodeId::from_server_name(name.trim_end_matches(".karo")), None);
    }

    #[test]
    fn short_forms_read_well() {
        assert_eq!(Fingerprint([0, 1, 0xab, 0xcd, 4, 5, 6, 7]).to_string(), "0001-abcd-0405-0607");
        let nonce = Nonce([0xa0; 16]);
        assert_eq!(nonce.to_string().parse(), Ok(nonce));
        assert!("a0".parse::<Nonce>().is_err());
    }

    #[test]
    fn a_bound_leaves_what_both_allow() {
        for level in Trust::ALL.iter().copied() {
            assert_eq!(level.bounded(Trust::Untrusted), Trust::Untrusted);
            assert_eq!(Trust::Untrusted.bounded(level), Trust::Untrusted);
            assert_eq!(level.bounded(level), level);
            for bound in Trust::ALL.iter().copied() {
                let left = level.bounded(bound);
                assert_eq!(left, bound.bounded(level));
                assert!(!left.gets_summaries() || level.gets_summaries() && bound.gets_summaries());
                assert!(!left.may_query() || level.may_query() && bound.may_query());
                assert!(!left.may_ask_health() || level.may_ask_health() && bound.may_ask_health());
            }
        }
        assert_eq!(Trust::Peer.bounded(Trust::Member), Trust::Member);
        assert_eq!(Trust::ShareTo.bounded(Trust::QueryFrom), Trust::Member);
    }
}
