//! What two strangers say to each other in a pairing, over a TLS connection of its own ([`ALPN_PAIR`]).
//!
//! | frame | from | says |
//! | --- | --- | --- |
//! | [`PairCommit`] | dialler | the code, and a commitment to a nonce |
//! | [`PairNonce`] | listener | its own nonce, in the open |
//! | [`PairNonce`] | dialler | the nonce that it was committed to |
//! | [`PairYes`] | either | the person here sees the same words; signed |
//! | [`PairDone`] | either | both have said yes, and this side has verified it |
//! | [`PairEnd`] | either | it comes to nothing |
//!
//! The frames are those of [`frame`](crate::frame), without a signature behind them: the connection is
//! authenticated, and what must be proven is signed in [`PairYes`]. `karo_trust::pairing` is who says them.
//!
//! [`ALPN_PAIR`]: crate::peer::ALPN_PAIR

use serde::{Deserialize, Serialize};

use crate::frame::{FrameError, decode};
use crate::named_enum;
use crate::node::{Hash, Signature};

/// Version of the pairing protocol.
pub const PAIR_VERSION: u16 = 1;

/// Payload of one of its frames, in bytes: none is half as long.
pub const PAIR_FRAME_BYTES_MAX: u32 = 512;

/// Letters of a code.
pub const PAIR_CODE_LETTERS: usize = 6;

/// Bytes of a nonce.
pub const PAIR_NONCE_BYTES: usize = 32;

/// Declares the messages: a number for each on the wire.
macro_rules! pair_messages {
    ($($(#[$doc:meta])* $variant:ident($type:ty) = $kind:literal),+ $(,)?) => {
        /// What goes over the connection of a pairing.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum PairMessage { $($(#[$doc])* $variant($type)),+ }

        impl PairMessage {
            /// Returns the type number of the frame that carries this message.
            pub const fn kind(&self) -> u16 {
                match self { $(Self::$variant(_) => $kind),+ }
            }

            /// Makes the whole frame.
            ///
            /// # Errors
            ///
            /// [`FrameError::TooLong`] when the message does not fit a frame.
            pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
                match self {
                    $(Self::$variant(message) => crate::frame::encode_as(PAIR_VERSION, $kind, message)),+
                }
            }

            /// Reads the payload of a frame of that type.
            ///
            /// # Errors
            ///
            /// [`FrameError::UnknownType`] for another type, and whatever [`decode`] finds.
            pub fn decode(kind: u16, payload: &[u8]) -> Result<Self, FrameError> {
                match kind {
                    $($kind => decode(payload).map(Self::$variant),)+
                    unknown => Err(FrameError::UnknownType(unknown)),
                }
            }
        }
    };
}

pair_messages! {
    /// The code, and a commitment to a nonce.
    Commit(PairCommit) = 0x2001,
    /// A nonce: the listener's, then the dialler's.
    Nonce(PairNonce) = 0x2002,
    /// The person here sees the same words.
    Yes(PairYes) = 0x2003,
    /// Both have said yes.
    Done(PairDone) = 0x2004,
    /// It comes to nothing.
    End(PairEnd) = 0x2005,
}

/// The first frame of the dialler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairCommit {
    /// What the listener shows: it finds the session, and proves nothing.
    pub code: String,
    /// BLAKE3 over the domain, both keys and the nonce.
    pub commitment: Hash,
}

/// 256 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairNonce {
    /// They.
    pub nonce: Hash,
}

/// The person at this side sees the same words as the one at the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairYes {
    /// BLAKE3 of the key that the sender will have next.
    pub next_key: Hash,
    /// Where it can be reached by its peers: a port at the address of this connection; 0 if nowhere.
    pub port: u16,
    /// Over the domain, the side, the transcript and the two fields before.
    pub signature: Signature,
}

/// Both have said yes, and the sender has verified the other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairDone {}

/// The pairing comes to nothing; the last frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairEnd {
    /// Why.
    pub reason: PairRefusal,
}

named_enum! {
    /// Why one side ends a pairing.
    PairRefusal, "reason" {
        /// The person there said no.
        No = "no",
        /// The code is another.
        Code = "code",
        /// It took too long.
        Late = "late",
        /// A message was not what it had to be.
        Protocol = "protocol",
        /// Somebody else is being paired.
        Busy = "busy",
    }
}
