//! Pairing: two people who see the same four words make their machines trust each other.
//!
//! Each side is a machine of its own that takes what happens with the moment when it does, and says what is to be
//! done. It knows no socket: the connection is TLS with any well-formed certificate at the other end, and gives
//! the other's key and the exporter.
//!
//! ```text
//! dialler                                   listener
//!    |  Commit: code, C = H(keyA, keyB, nA)    |   the nonce is fixed before the other one is known
//!    |---------------------------------------->|
//!    |                              Nonce: nB  |
//!    |<----------------------------------------|
//!    |  Nonce: nA                              |   C is checked
//!    |---------------------------------------->|
//!    |        both show H(keys, nonces, exporter) as four words, both ask their people
//!    |  Yes, signed                Yes, signed |   in any order
//!    |<--------------------------------------->|
//!    |  Done                              Done |   each has verified the other's yes
//!    |<--------------------------------------->|
//! ```
//!
//! A machine in the middle holds two connections, with other keys and another exporter on either. To show both
//! people the same words it would have to choose a nonce when it knows all the rest, and neither side lets it: the
//! dialler's is committed to before the listener's is sent, and the listener's is sent before the dialler's is
//! opened. It has one guess in 2⁴⁰, and a wrong one is seen by two people.
//!
//! Nobody is trusted before [`Ending::Paired`]: the person here said yes, the other side's yes is verified, and it
//! has said that it verified ours. A connection that is lost between the two `Done` leaves one side that trusts
//! and one that does not; the second refuses the first, and no stranger has gained anything.
//!
//! One failure of any kind closes it: a guess costs the guesser the whole session.

mod code;
mod transcript;

use std::time::{Duration, Instant};

use karo_protocol::NodeId;
use karo_protocol::node::Hash;
use karo_protocol::pair::{PairCommit, PairDone, PairEnd, PairMessage, PairNonce, PairRefusal, PairYes};
use thiserror::Error;

pub use code::{Code, NotACode};
use transcript::{Transcript, commitment};

use crate::Chance;
use crate::signer::{Signer, is_weak, verify};

/// How long a listener waits to be found, and a dialler for its connection.
pub const WINDOW: Duration = Duration::from_secs(120);

/// How long a message may take that no person has to think about.
pub const STEP: Duration = Duration::from_secs(10);

/// How long the two people may take to compare the words; then a half pairing is over.
pub const ANSWER: Duration = Duration::from_secs(120);

/// Which side one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Dialler,
    Listener,
}

impl Side {
    const fn byte(self) -> u8 {
        match self {
            Self::Dialler => 0,
            Self::Listener => 1,
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::Dialler => Self::Listener,
            Self::Listener => Self::Dialler,
        }
    }
}

/// What this node says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Own {
    /// Its key, which the connection is made with.
    pub node: NodeId,
    /// BLAKE3 of the one that follows.
    pub next_key: Hash,
    /// Where it listens for peers; 0 if nowhere.
    pub port: u16,
}

/// Who is trusted in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partner {
    /// The other's key.
    pub node: NodeId,
    /// BLAKE3 of its next one.
    pub next_key: Hash,
    /// Where it listens for peers, at the address of the connection; 0 if nowhere.
    pub port: u16,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send it over the connection.
    Send(PairMessage),
    /// Show the words and ask the person; the answer goes to [`Pairing::on_answer`].
    Show {
        /// The words, in order.
        words: [&'static str; 4],
        /// Who is at the other end.
        peer: NodeId,
    },
    /// It is over: close the connection, once all is sent, and the listener with it.
    Over(Ending),
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Both said yes: the partner is to be trusted.
    Paired(Partner),
    /// It came to nothing, and nobody is.
    Failed(Failure),
}

/// Why it came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Failure {
    /// The person here said no.
    #[error("you said no")]
    SaidNo,
    /// The other side ended it.
    #[error("the other side ended it: {}", refusal(*.0))]
    Refused(PairRefusal),
    /// The dialler named another code.
    #[error("the other side named another code")]
    Code,
    /// It took too long.
    #[error("it took too long")]
    Late,
    /// The connection was lost.
    #[error("the connection was lost")]
    Lost,
    /// The other side opened another nonce than it was committed to: somebody may be in the middle.
    #[error("the other side changed its mind about a number: somebody may be in the middle")]
    Commitment,
    /// A yes is not signed by the other side for this session.
    #[error("the other side's yes is not signed by it for this session")]
    Signature,
    /// A message came that this step does not have.
    #[error("the other side sent {0} out of turn")]
    OutOfTurn(&'static str),
    /// The other end has our own key.
    #[error("the other end is this node itself")]
    Oneself,
    /// Anybody could sign for the key of the other end.
    #[error("the other side's key is worthless")]
    WeakKey,
}

const fn refusal(reason: PairRefusal) -> &'static str {
    match reason {
        PairRefusal::No => "the person there said no",
        PairRefusal::Code => "it shows another code",
        PairRefusal::Late => "it took too long",
        PairRefusal::Protocol => "it did not expect what it was sent",
        PairRefusal::Busy => "somebody else is being paired there",
    }
}

impl Failure {
    /// Returns what the other side is told; `None` where there is nobody to tell, or nothing new.
    const fn told(self) -> Option<PairRefusal> {
        match self {
            Self::SaidNo => Some(PairRefusal::No),
            Self::Code => Some(PairRefusal::Code),
            Self::Late => Some(PairRefusal::Late),
            Self::Commitment | Self::Signature | Self::OutOfTurn(_) | Self::Oneself | Self::WeakKey => {
                Some(PairRefusal::Protocol)
            }
            Self::Refused(_) | Self::Lost => None,
        }
    }
}

/// Whom one is connected to.
#[derive(Debug, Clone, Copy)]
struct Session {
    peer: NodeId,
    exporter: [u8; 32],
}

/// How far it is. Each carries what is true in it.
#[derive(Debug, Clone)]
enum Stage {
    /// There is no connection.
    Alone,
    /// The listener is connected and waits for the commitment.
    Found(Session),
    /// The dialler has committed itself and waits for the listener's nonce.
    Committed(Session),
    /// The listener has sent its nonce and waits for what is in the commitment.
    Challenged(Session, Hash),
    /// The words are shown.
    Agreeing(Agreement),
    /// It is over.
    Over,
}

/// What has been said of the words.
#[derive(Debug, Clone)]
struct Agreement {
    peer: NodeId,
    transcript: Transcript,
    /// Whether the person here said yes.
    is_ours_said: bool,
    /// The other's, once it is verified.
    theirs: Option<PairYes>,
}

impl Agreement {
    /// Takes the other side's yes once, if it is one for this session.
    fn take(&mut self, side: Side, yes: PairYes) -> Result<(), Failure> {
        if self.theirs.is_some() {
            return Err(Failure::OutOfTurn("a second yes"));
        }
        let signed = self.transcript.yes(side.other(), &yes.next_key, yes.port);
        if !verify(&self.peer, &signed, &yes.signature) {
            return Err(Failure::Signature);
        }
        self.theirs = Some(yes);
        Ok(())
    }

    /// Says that both yeses are there, when the second one is.
    fn done(&self) -> Option<Output> {
        (self.is_ours_said && self.theirs.is_some()).then_some(Output::Send(PairMessage::Done(PairDone {})))
    }

    /// Takes the other side's word that it has verified our yes.
    fn finish(&self) -> Result<Partner, Failure> {
        match self.theirs {
            Some(yes) if self.is_ours_said => {
                Ok(Partner { node: self.peer, next_key: yes.next_key, port: yes.port })
            }
            Some(_) | None => Err(Failure::OutOfTurn("done")),
        }
    }
}

/// One side of a pairing.
#[derive(Debug, Clone)]
pub struct Pairing {
    own: Own,
    side: Side,
    code: Code,
    nonce: Hash,
    stage: Stage,
    deadline: Instant,
}

impl Pairing {
    /// Waits to be found by a dialler that names the code.
    pub fn listen(own: Own, code: Code, chance: &mut impl Chance, now: Instant) -> Self {
        Self::begin(own, Side::Listener, code, chance, now)
    }

    /// Dials a listener that shows the code.
    pub fn dial(own: Own, code: Code, chance: &mut impl Chance, now: Instant) -> Self {
        Self::begin(own, Side::Dialler, code, chance, now)
    }

    fn begin(own: Own, side: Side, code: Code, chance: &mut impl Chance, now: Instant) -> Self {
        let nonce = Hash(chance.draw());
        Self { own, side, code, nonce, stage: Stage::Alone, deadline: now + WINDOW }
    }

    /// Tells whether it may be connected: a listener refuses a second stranger while there is one.
    pub const fn is_alone(&self) -> bool {
        matches!(self.stage, Stage::Alone)
    }

    /// Returns when [`on_timeout`](Self::on_timeout) is to be called; `None` once it is over.
    pub const fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Over => None,
            Stage::Alone
            | Stage::Found(_)
            | Stage::Committed(_)
            | Stage::Challenged(..)
            | Stage::Agreeing(_) => Some(self.deadline),
        }
    }

    /// Takes the connection: the key that the other end proved to hold, and the exporter, which is bound to it.
    ///
    /// Called once; a second stranger is turned away by whoever asks [`is_alone`](Self::is_alone).
    pub fn on_connected(&mut self, peer: NodeId, exporter: [u8; 32], now: Instant) -> Vec<Output> {
        self.step(now, |pairing| {
            if !pairing.is_alone() {
                return Err(Failure::OutOfTurn("a second connection"));
            }
            if peer == pairing.own.node {
                return Err(Failure::Oneself);
            }
            if is_weak(&peer) {
                return Err(Failure::WeakKey);
            }
            pairing.deadline = now + STEP;
            Ok(pairing.greet(Session { peer, exporter }))
        })
    }

    fn greet(&mut self, session: Session) -> Vec<Output> {
        match self.side {
            Side::Listener => {
                self.stage = Stage::Found(session);
                vec![]
            }
            Side::Dialler => {
                let commitment = commitment(&self.own.node, &session.peer, &self.nonce);
                self.stage = Stage::Committed(session);
                let commit = PairCommit { code: self.code.to_string(), commitment };
                vec![Output::Send(PairMessage::Commit(commit))]
            }
        }
    }

    /// Takes a message of the other side.
    pub fn on_message(&mut self, message: PairMessage, now: Instant) -> Vec<Output> {
        self.step(now, |pairing| match message {
            PairMessage::Commit(commit) => pairing.on_commit(&commit, now),
            PairMessage::Nonce(nonce) => pairing.on_nonce(nonce, now),
            PairMessage::Yes(yes) => pairing.on_yes(yes),
            PairMessage::Done(PairDone {}) => pairing.on_done(),
            PairMessage::End(PairEnd { reason }) => Err(Failure::Refused(reason)),
        })
    }

    /// Takes bytes that are no message: whoever sent them is not one of ours.
    pub fn on_nonsense(&mut self, now: Instant) -> Vec<Output> {
        self.step(now, |_| Err(Failure::OutOfTurn("something that cannot be read")))
    }

    /// Takes the answer of the person here. A no ends it at any time, a yes counts once and for words that are shown.
    pub fn on_answer(&mut self, is_yes: bool, signer: &dyn Signer, now: Instant) -> Vec<Output> {
        self.step(now, |pairing| {
            let (own, side) = (pairing.own, pairing.side);
            let Stage::Agreeing(agreement) = &mut pairing.stage else {
                return if is_yes { Ok(vec![]) } else { Err(Failure::SaidNo) };
            };
            if !is_yes {
                return Err(Failure::SaidNo);
            }
            if agreement.is_ours_said {
                return Ok(vec![]);
            }
            agreement.is_ours_said = true;
            let signature = signer.sign(&agreement.transcript.yes(side, &own.next_key, own.port));
            let yes = PairYes { next_key: own.next_key, port: own.port, signature };
            Ok([Output::Send(PairMessage::Yes(yes))].into_iter().chain(agreement.done()).collect())
        })
    }

    /// Takes the loss of the connection, or that none could be made.
    pub fn on_lost(&mut self, now: Instant) -> Vec<Output> {
        self.step(now, |_| Err(Failure::Lost))
    }

    /// Takes that time has passed; nothing happens before the deadline.
    pub fn on_timeout(&mut self, now: Instant) -> Vec<Output> {
        self.step(now, |_| Ok(vec![]))
    }

    fn on_commit(&mut self, commit: &PairCommit, now: Instant) -> Result<Vec<Output>, Failure> {
        let Stage::Found(session) = self.stage else {
            return Err(Failure::OutOfTurn("a commitment"));
        };
        if commit.code.parse() != Ok(self.code) {
            return Err(Failure::Code);
        }
        self.deadline = now + STEP;
        self.stage = Stage::Challenged(session, commit.commitment);
        Ok(vec![Output::Send(PairMessage::Nonce(PairNonce { nonce: self.nonce }))])
    }

    fn on_nonce(&mut self, PairNonce { nonce }: PairNonce, now: Instant) -> Result<Vec<Output>, Failure> {
        match self.stage {
            Stage::Committed(session) => {
                let opening = Output::Send(PairMessage::Nonce(PairNonce { nonce: self.nonce }));
                let transcript = Transcript {
                    dialler: self.own.node,
                    listener: session.peer,
                    dialler_nonce: self.nonce,
                    listener_nonce: nonce,
                    exporter: session.exporter,
                };
                Ok(vec![opening, self.show(session.peer, transcript, now)])
            }
            Stage::Challenged(session, committed) => {
                if commitment(&session.peer, &self.own.node, &nonce) != committed {
                    return Err(Failure::Commitment);
                }
                let transcript = Transcript {
                    dialler: session.peer,
                    listener: self.own.node,
                    dialler_nonce: nonce,
                    listener_nonce: self.nonce,
                    exporter: session.exporter,
                };
                Ok(vec![self.show(session.peer, transcript, now)])
            }
            Stage::Alone | Stage::Found(_) | Stage::Agreeing(_) | Stage::Over => {
                Err(Failure::OutOfTurn("a nonce"))
            }
        }
    }

    fn show(&mut self, peer: NodeId, transcript: Transcript, now: Instant) -> Output {
        self.deadline = now + ANSWER;
        self.stage = Stage::Agreeing(Agreement { peer, transcript, is_ours_said: false, theirs: None });
        Output::Show { words: transcript.words(), peer }
    }

    fn on_yes(&mut self, yes: PairYes) -> Result<Vec<Output>, Failure> {
        let Stage::Agreeing(agreement) = &mut self.stage else {
            return Err(Failure::OutOfTurn("a yes"));
        };
        agreement.take(self.side, yes)?;
        Ok(agreement.done().into_iter().collect())
    }

    fn on_done(&mut self) -> Result<Vec<Output>, Failure> {
        let Stage::Agreeing(agreement) = &self.stage else {
            return Err(Failure::OutOfTurn("done"));
        };
        let partner = agreement.finish()?;
        self.stage = Stage::Over;
        Ok(vec![Output::Over(Ending::Paired(partner))])
    }

    /// Takes a step, unless it is over or too late; whatever fails ends it.
    fn step(
        &mut self,
        now: Instant,
        take: impl FnOnce(&mut Self) -> Result<Vec<Output>, Failure>,
    ) -> Vec<Output> {
        if matches!(self.stage, Stage::Over) {
            return vec![];
        }
        let taken = if now >= self.deadline { Err(Failure::Late) } else { take(self) };
        taken.unwrap_or_else(|failure| self.fail(failure))
    }

    fn fail(&mut self, failure: Failure) -> Vec<Output> {
        let is_connected = !self.is_alone();
        self.stage = Stage::Over;
        let told = failure.told().filter(|_| is_connected);
        let told = told.map(|reason| Output::Send(PairMessage::End(PairEnd { reason })));
        told.into_iter().chain([Output::Over(Ending::Failed(failure))]).collect()
    }
}

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;
