//! What goes into the machine and what comes out of it.

use std::time::{Duration, Instant};

use karo_protocol::Timestamp;
use karo_protocol::mesh::LinkState;
use karo_protocol::node::{Hash, NodeId, Nonce};
use karo_protocol::peer::{
    AuditAsk, AuditProof, Control, Goodbye, KeyRotationAck, PEER_VERSION, PEER_VERSION_MIN, Parting, Signed,
};

/// A connection, numbered by whoever holds it; never used twice by one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// A moment on both clocks: timers run on the one, peers are compared on the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The monotonic clock.
    pub now: Instant,
    /// The wall clock.
    pub wall: Timestamp,
}

/// What this side says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Which run of the daemon this is.
    pub run: Nonce,
    /// BLAKE3 of the key that comes next.
    pub next_key: Hash,
    /// The program and its version, for people.
    pub program: String,
    /// The least and the greatest version that is spoken.
    pub versions: (u16, u16),
    /// What this side can do beyond the protocol.
    pub capabilities: Vec<String>,
}

impl Settings {
    /// Makes settings for the versions that this program speaks.
    pub const fn new(run: Nonce, next_key: Hash, program: String) -> Self {
        Self { run, next_key, program, versions: (PEER_VERSION_MIN, PEER_VERSION), capabilities: Vec::new() }
    }
}

/// A connection whose TLS handshake is done: both keys are proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    /// Which one.
    pub connection: ConnectionId,
    /// The key that this side showed.
    pub own: NodeId,
    /// The key that the peer showed.
    pub peer: NodeId,
    /// Whether this side dialled.
    pub is_dialled: bool,
    /// The peer's end, as `10.0.0.2:9238`.
    pub address: String,
}

impl Authenticated {
    /// Returns the key of the side that dialled.
    pub const fn dialler(&self) -> NodeId {
        if self.is_dialled { self.own } else { self.peer }
    }
}

/// What went wrong with a connection, or with the try to get one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loss {
    /// The peer closed it without a word.
    Closed,
    /// No address answered as it should.
    Unreachable(String),
    /// It took too long.
    TimedOut(String),
    /// One side does not trust the other's key: the handshake said so.
    Refused(String),
    /// It broke: a reset, or an error of the network.
    Broken(String),
    /// The peer broke the protocol.
    Protocol(String),
}

impl Loss {
    /// Returns the state that a link has after it.
    pub const fn state(&self) -> LinkState {
        match self {
            Self::Closed | Self::Broken(_) => LinkState::Disconnected,
            Self::Unreachable(_) | Self::Protocol(_) => LinkState::Failed,
            Self::TimedOut(_) => LinkState::TimedOut,
            Self::Refused(_) => LinkState::Rejected,
        }
    }

    /// Returns a sentence for people.
    pub fn reason(&self) -> String {
        match self {
            Self::Closed => "the peer closed the connection".to_owned(),
            Self::Unreachable(reason)
            | Self::TimedOut(reason)
            | Self::Refused(reason)
            | Self::Broken(reason)
            | Self::Protocol(reason) => reason.clone(),
        }
    }
}

/// What the machine wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Try every address of the peer; answer with `on_connected` or `on_dial_failed`.
    Dial,
    /// Stop trying; nothing is to be answered.
    Abandon,
    /// Let the peer open streams on this connection: it has said who it is.
    Admit(ConnectionId),
    /// Send this, written in that version.
    Send {
        /// Over which connection.
        connection: ConnectionId,
        /// In which version it is written.
        version: u16,
        /// What.
        control: Control,
    },
    /// Close this connection: with a last word, then answer with `on_lost`; without one at once, and nothing is to
    /// be answered.
    Close {
        /// Which one.
        connection: ConnectionId,
        /// The last frame, and the version it is written in.
        goodbye: Option<(u16, Goodbye)>,
    },
    /// Something happened that others want to know.
    Tell(LinkEvent),
}

/// Something that others want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// The link has another state, or the same one for another reason.
    State(Status),
    /// The link is up.
    Up(Up),
    /// The link goes on over another connection; requests over the old one are lost.
    Moved(Up),
    /// The link is down.
    Down {
        /// Over which connection it ran.
        connection: ConnectionId,
        /// Why.
        reason: String,
    },
    /// What the peer can do; from here on streams may be opened.
    Capable {
        /// Over which connection.
        connection: ConnectionId,
        /// Names in order.
        capabilities: Vec<String>,
    },
    /// A ping was answered.
    Pinged {
        /// Over which connection.
        connection: ConnectionId,
        /// Which ping.
        number: u64,
        /// How long it took.
        rtt: Duration,
        /// The peer's clock less ours, in µs, to half a round trip.
        skew_us: i64,
    },
    /// What the peer's clock says in its greeting; a peer that is refused for it has said so as well.
    Greeted {
        /// The peer's clock less ours, in µs.
        skew_us: i64,
    },
    /// The clocks are more than a minute apart, or are not any more.
    Clock {
        /// The peer's clock less ours, in µs.
        skew_us: i64,
        /// Whether they are too far apart for comfort.
        is_far: bool,
    },
    /// The peer sent the newest head of its audit log.
    Head(Signed),
    /// The peer says that it has another key.
    Rotation {
        /// Over which connection.
        connection: ConnectionId,
        /// What it says.
        signed: Signed,
    },
    /// What became of the rotation that was announced to the peer.
    RotationAnswered(KeyRotationAck),
    /// The peer asks for proof that our audit log only grew.
    AuditAsk {
        /// Over which connection.
        connection: ConnectionId,
        /// What it asks.
        ask: AuditAsk,
    },
    /// The proof that was asked for.
    AuditProof(AuditProof),
    /// The newest head of our audit log that the peer has witnessed.
    AuditSeen(Signed),
    /// The peer said something that the link has no part in: about groups, atoms, summaries or questions.
    Said(Box<Control>),
    /// One side refused the other.
    Refused {
        /// Why.
        parting: Parting,
        /// A sentence for people.
        message: String,
        /// Whether it was this side.
        by_us: bool,
    },
    /// Two daemons live with the peer's key.
    Twins {
        /// The run that answered on the older connection.
        older: Nonce,
        /// The run that greeted on the newer one.
        newer: Nonce,
    },
}

/// A link that is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Up {
    /// The connection it runs over, and both keys.
    pub who: Authenticated,
    /// Which run of the peer's daemon it is.
    pub run: Nonce,
    /// BLAKE3 of the key that the peer will have next.
    pub next_key: Hash,
    /// What the peer runs, as it says; for people only.
    pub program: String,
    /// The version that is spoken.
    pub version: u16,
}

/// How a link is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// How far it is.
    pub state: LinkState,
    /// Since when.
    pub since: Timestamp,
    /// Why, where there is something to say.
    pub reason: Option<String>,
    /// The peer's end, while there is one.
    pub address: Option<String>,
}
