//! What two nodes that trust each other say on the control stream of their link.
//!
//! These types cross the network to others, so none of them can name a command, a path, a host or anything else of
//! level 0, and nothing here imports [`local`](crate::local).
//!
//! A peer frame is a frame of [`frame`](crate::frame) with 64 bytes of signature behind it. The signature is over
//! the bytes that were sent, bound to this one connection, stream, direction and place in the order
//! (`karo_trust::frame`). [`Hello`] and [`Goodbye`] are written alike in every version, for good; everything else in
//! the version that the two agreed upon.
//!
//! A frame type from [`SKIPPED_FROM`] up that is not known is passed over, so that a newer node can say more; an
//! unknown one below it ends the link. What keeps a link alive and honest stands below; groups, atoms, summaries and
//! questions, which a node can be without, stand above.

use serde::{Deserialize, Serialize};

use crate::answer::AskTalk;
use crate::atom::AtomTalk;
use crate::audit::{ConsistencyProof, Head};
use crate::frame::{FrameError, decode};
use crate::group::GroupTalk;
use crate::node::{Hash, NodeId, Nonce, Signature};
use crate::summary::SummaryTalk;
use crate::{Bytes, Timestamp, named_enum};

/// Version of the peer protocol that this crate speaks.
pub const PEER_VERSION: u16 = 1;

/// The oldest version that it still speaks.
pub const PEER_VERSION_MIN: u16 = 1;

/// Name of the protocol in the TLS handshake (ALPN).
pub const ALPN: &[u8] = b"karo/1";

/// Name of the pairing protocol in the TLS handshake.
pub const ALPN_PAIR: &[u8] = b"karo-pair/1";

/// Port that nodes listen on unless they are told another.
pub const PORT: u16 = 9238;

/// Port of the listener that is open while a pairing is.
pub const PAIR_PORT: u16 = 9239;

/// Frame types from here up are passed over where they are not known.
pub const SKIPPED_FROM: u16 = 0x8000;

/// Payload of a frame before the other side has said `Hello`, in bytes.
pub const EARLY_FRAME_BYTES_MAX: u32 = 64 * 1024;

/// Capabilities that one node may name.
pub const CAPABILITIES_MAX: usize = 64;

/// Bytes of any text in these messages: a version, a capability, a reason.
pub const PEER_TEXT_BYTES_MAX: usize = 256;

/// Declares the messages: a number for each on the wire, and how each is read.
macro_rules! messages {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident($type:ty) = $kind:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name { $($(#[$vdoc])* $variant($type)),+ }

        impl $name {
            /// Returns the type number of the frame that carries this message.
            pub const fn kind(&self) -> u16 {
                match self { $(Self::$variant(_) => $kind),+ }
            }

            /// Returns the name of the message, for the log.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => stringify!($variant)),+ }
            }

            /// Makes the whole frame but for its signature, as it is written in that version.
            ///
            /// # Errors
            ///
            /// [`FrameError::TooLong`] when the message does not fit a frame.
            pub fn encode(&self, version: u16) -> Result<Vec<u8>, FrameError> {
                match self { $(Self::$variant(message) => crate::frame::encode_as(version, $kind, message)),+ }
            }

            /// Reads the payload of a frame of that type; `None` for one that is passed over.
            ///
            /// # Errors
            ///
            /// [`FrameError::UnknownType`] for another type, and whatever [`decode`] finds.
            pub fn decode(kind: u16, payload: &[u8]) -> Result<Option<Self>, FrameError> {
                match kind {
                    $($kind => decode(payload).map(|message| Some(Self::$variant(message))),)+
                    SKIPPED_FROM.. => crate::scan::scan(payload).map(|_| None).map_err(FrameError::Scan),
                    unknown => Err(FrameError::UnknownType(unknown)),
                }
            }
        }
    };
}

messages! {
    /// What goes over the control stream.
    Control {
        /// The first frame of either side.
        Hello(Hello) = 0x1001,
        /// The answer to the other side's: from here on the link is connected.
        HelloAck(HelloAck) = 0x1002,
        /// What the sender can do; unknown names mean nothing. A dialler's comes behind its first [`Ping`], a
        /// listener's behind its first [`Pong`], so that the first answer waits for nothing else.
        Capabilities(Capabilities) = 0x1003,
        /// Are you there? Answered by [`Pong`].
        Ping(Ping) = 0x1004,
        /// Yes.
        Pong(Pong) = 0x1005,
        /// The last frame: the sender closes the link.
        Goodbye(Goodbye) = 0x1006,
        /// The sender has another key. Answered by [`KeyRotationAck`].
        KeyRotation(Signed) = 0x1007,
        /// What became of it.
        KeyRotationAck(KeyRotationAck) = 0x1008,
        /// Prove that your audit log only grew. Answered by [`Control::AuditProof`].
        AuditAsk(AuditAsk) = 0x1009,
        /// That proof.
        AuditProof(AuditProof) = 0x100a,
        /// The newest head of the receiver's audit log that the sender has witnessed, as the receiver signed it.
        AuditSeen(Signed) = 0x100b,
        /// About groups: cards and files.
        Group(GroupTalk) = 0x8001,
        /// About closing an atom.
        Atom(AtomTalk) = 0x8002,
        /// About summaries.
        Summary(SummaryTalk) = 0x8003,
        /// Questions about no person, and their answers.
        Ask(AskTalk) = 0x8004,
    }
}

/// The first frame of either side. Written alike in every version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The least and the greatest version that the sender speaks.
    pub versions: (u16, u16),
    /// Which run of its daemon this is.
    pub run: Nonce,
    /// Its wall clock.
    pub now: Timestamp,
    /// BLAKE3 of the key that it will have next.
    pub next_key: Hash,
    /// Its program and version, as `karod 0.1.0`; for people only.
    pub program: String,
}

/// The answer to a [`Hello`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloAck {
    /// The version that all further frames are written in: the greatest that both speak.
    pub version: u16,
    /// The run in the `Hello` that is answered.
    pub run: Nonce,
}

/// What a node can do beyond this protocol.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Capabilities {
    /// Names in order, at most [`CAPABILITIES_MAX`].
    pub names: Vec<String>,
}

/// Are you there?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {
    /// Numbers the pings of one side, from 0.
    pub number: u64,
    /// The sender's wall clock.
    pub now: Timestamp,
    /// The newest signed head of its audit log that is on disk.
    pub head: Option<Signed>,
}

/// Yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pong {
    /// The ping that is answered.
    pub number: u64,
    /// The sender's wall clock.
    pub now: Timestamp,
    /// Which run of its daemon answers: two living daemons with one key are found by it.
    pub run: Nonce,
    /// The newest signed head of its audit log that is on disk.
    pub head: Option<Signed>,
}

/// The last frame of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goodbye {
    /// Why.
    pub reason: Parting,
    /// A sentence for the person at the other side; may be empty.
    pub message: String,
}

named_enum! {
    /// Why a link is closed by one side.
    Parting, "reason" {
        /// Its daemon stops.
        Stopping = "stopping",
        /// There is a better link to the same peer.
        Superseded = "superseded",
        /// No version is spoken by both.
        Version = "version",
        /// The clocks are too far apart.
        Clock = "clock",
        /// The peer is not trusted any more, or not from this address.
        Untrusted = "untrusted",
        /// A frame broke the protocol.
        Protocol = "protocol",
        /// Another daemon lives with the same key.
        Twins = "twins",
        /// A rotation of the key waits for a person.
        Held = "held",
        /// The daemon of the other side failed; it will be back.
        Failed = "failed",
    }
}

/// What became of a [`Control::KeyRotation`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRotationAck {
    /// The new key.
    pub key: NodeId,
    /// Whether it is in force, or waits for a person.
    pub is_accepted: bool,
}

/// Asks for proof that a log of a size is the beginning of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditAsk {
    /// Which log.
    pub log: Nonce,
    /// Entries of the older head, at least one.
    pub old_size: u64,
    /// Entries of the newer one.
    pub new_size: u64,
}

/// Proof that a log of a size is the beginning of another, or that there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditProof {
    /// What was asked.
    pub ask: AuditAsk,
    /// `None` when the sender cannot prove it.
    pub proof: Option<ConsistencyProof>,
}

/// An object with a signature that proves it to anybody: the exact bytes, as received.
///
/// `karo_trust::object` makes and verifies it. The bytes are an [`Object`] in MessagePack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The object, as its issuer wrote it.
    pub bytes: Bytes,
    /// Ed25519 over `karo/1 `, the type's name, a NUL and the bytes.
    pub signature: Signature,
}

/// What is in a [`Signed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object<T> {
    /// Whose signature it bears.
    pub issuer: NodeId,
    /// For whom; `None` for anybody.
    pub audience: Option<NodeId>,
    /// When it was made, by the issuer's clock.
    pub created: Timestamp,
    /// Past which it is refused.
    pub expires: Timestamp,
    /// 128 random bits, so that it is taken once.
    pub id: Nonce,
    /// What it says.
    pub body: T,
}

/// Something that may stand in a [`Signed`].
pub trait SignedBody: Serialize + for<'de> Deserialize<'de> {
    /// Its name in the signature, so that no object can be taken for one of another type.
    const NAME: &'static str;

    /// Bytes of the whole object at the most: what is longer is neither hashed nor read.
    const BYTES_MAX: usize = 1024;
}

/// An issuer's key and the one that follows it: signed by the old key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// The key that takes over.
    pub key: NodeId,
    /// BLAKE3 of the key after that.
    pub next_key: Hash,
    /// The new key's signature over the old one: whoever rotates holds both.
    pub proof: Signature,
}

impl SignedBody for Rotation {
    const NAME: &'static str = "rotation";
}

impl SignedBody for Head {
    const NAME: &'static str = "audit head";
}
