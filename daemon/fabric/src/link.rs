//! The state machine of the link to one peer: when it is dialled, when it is up, when it is gone.
//!
//! It does no I/O and has no clock: whoever holds it says what happened and when, carries out the [`Output`]s in
//! their order, and calls [`Machine::on_timeout`] at [`Machine::deadline`]. Connections are numbered by the holder;
//! what is said about one that the machine has closed is passed over, so nothing has to be taken back.
//!
//! ```text
//! Disconnected ─ Dial ─▶ Connecting ─▶ Authenticating ─ Hello, HelloAck ─▶ Connected ─▶ Disconnecting ─┐
//!      ▲                     │                │                                │                        │
//!      └── Failed, Rejected, TimedOut: dialled again after a wait ◀────────────┴────────────────────────┘
//! ```
//!
//! A peer may have several connections for a moment, because both sides dialled or because an old one is dead and
//! does not know it: [`several`](crate::several) says which of them is the link.

mod backoff;
mod dialling;
mod rivals;
mod session;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use karo_protocol::mesh::LinkState;
use karo_protocol::node::Hash;
use karo_protocol::peer::{Control, Goodbye, Parting, Signed};

use self::backoff::Backoff;
use self::dialling::Dialling;
use self::rivals::{Contest, TWINS};
pub use self::session::{
    CLOSE_PATIENCE, HEARTBEAT, HELLO_PATIENCE, PINGS_BY_HAND_MAX, PROBE, SILENCE_MAX, SKEW_MAX_US,
    SKEW_WARNED_US,
};
use self::session::{Progress, Session};
pub use self::words::{Authenticated, ConnectionId, LinkEvent, Loss, Moment, Output, Settings, Status, Up};

/// How long one dial may take, all addresses together.
pub const DIAL_PATIENCE: Duration = Duration::from_secs(10);

/// The least time between two dials, whoever asks for them.
pub const DIAL_INTERVAL_MIN: Duration = Duration::from_millis(500);

/// A link that stood for so long owes nothing to the failures before it.
pub const STEADY: Duration = Duration::from_secs(30);

/// How soon after a change of the network a link that does not answer is dialled anew, beside the old connection.
pub const WAKE_PATIENCE: Duration = Duration::from_secs(5);

/// How often at most a change of the network is followed: interfaces come in swarms.
pub const WAKE_INTERVAL: Duration = Duration::from_secs(5);

/// How long nobody with the key of twins is let in.
pub const TWINS_REST: Duration = Duration::from_secs(300);

/// Connections of one peer at a time: the link, one that may replace it, and two that have not said who they are.
pub const SESSIONS_MAX: usize = 4;

/// Whether there may be a link at all.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Leave {
    /// There may.
    Given,
    /// A person has to decide first.
    Held(String),
    /// There is to be none.
    Ended(Parting, String),
}

/// Decides everything about the link to one peer.
#[derive(Debug)]
pub struct Machine {
    settings: Settings,
    head: Option<Signed>,
    may_dial: bool,
    leave: Leave,
    dialling: Dialling,
    last_dial: Option<Instant>,
    last_wake: Option<Instant>,
    backoff: Backoff,
    sessions: BTreeMap<ConnectionId, Session>,
    primary: Option<ConnectionId>,
    contest: Option<Contest>,
    /// Since when the link has to answer, after a change of the network.
    suspect_since: Option<Instant>,
    twins_until: Option<Instant>,
    /// What the link is while nothing is being done, and why.
    because: (LinkState, Option<String>),
    told: Status,
}

impl Machine {
    /// Makes the machine of a link that is down. All that is left to chance follows from the seed.
    pub fn new(settings: Settings, seed: u64, at: Moment) -> Self {
        let state = LinkState::Disconnected;
        Self {
            settings,
            head: None,
            may_dial: false,
            leave: Leave::Given,
            dialling: Dialling::Resting,
            last_dial: None,
            last_wake: None,
            backoff: Backoff::new(seed),
            sessions: BTreeMap::new(),
            primary: None,
            contest: None,
            suspect_since: None,
            twins_until: None,
            because: (state, None),
            told: Status { state, since: at.wall, reason: None, address: None },
        }
    }

    /// Returns how the link is.
    pub const fn status(&self) -> &Status {
        &self.told
    }

    /// Returns the connection that is the link, while it is up.
    pub const fn primary(&self) -> Option<ConnectionId> {
        self.primary
    }

    /// Tells whether this side may open streams on a connection.
    pub fn may_open(&self, connection: ConnectionId) -> bool {
        self.sessions.get(&connection).is_some_and(Session::is_capable)
    }

    /// Returns when the next dial comes, if one is waited for.
    pub const fn next_dial(&self) -> Option<Instant> {
        match self.dialling {
            Dialling::Waiting { until } => Some(until),
            Dialling::Resting | Dialling::Trying { .. } => None,
        }
    }

    /// Returns when [`on_timeout`](Self::on_timeout) is due; `None` while nothing is.
    pub fn deadline(&self) -> Option<Instant> {
        let dialling = match self.dialling {
            Dialling::Resting => None,
            Dialling::Waiting { until } => Some(until),
            Dialling::Trying { began, .. } => Some(began + DIAL_PATIENCE),
        };
        let contest = self.contest.map(|contest| contest.until);
        let suspect = self.suspect_since.map(|since| since + WAKE_PATIENCE);
        let sessions = self.sessions.values().map(Session::deadline);
        sessions.chain(dialling).chain(contest).chain(suspect).chain(self.twins_until).min()
    }

    /// Takes the newest signed head of our audit log that is on disk: it rides on the next heartbeats.
    pub fn head_is(&mut self, head: Signed) {
        self.head = Some(head);
    }

    /// Takes the hash of our next key, after a rotation.
    pub const fn next_key_is(&mut self, next_key: Hash) {
        self.settings.next_key = next_key;
    }

    /// Takes whether there is an address to dial; the first one is dialled at once.
    pub fn reachable(&mut self, is_reachable: bool, at: Moment) -> Vec<Output> {
        let mut outputs = Vec::new();
        let is_news = is_reachable && !self.may_dial;
        self.may_dial = is_reachable;
        match (is_reachable, self.dialling) {
            (true, Dialling::Resting | Dialling::Waiting { .. }) if is_news => {
                self.backoff.reset();
                self.seek(Duration::ZERO, at);
            }
            (false, Dialling::Waiting { .. }) => self.dialling = Dialling::Resting,
            (false, Dialling::Trying { .. }) => self.abandon(&mut outputs),
            (true, _) | (false, Dialling::Resting) => {}
        }
        self.settle(at, outputs)
    }

    /// Dials at once: a person asked, or the peer was trusted anew.
    pub fn dial(&mut self, at: Moment) -> Vec<Output> {
        self.backoff.reset();
        if let (Leave::Ended(..), true) = (&self.leave, self.sessions.values().all(Session::is_closing)) {
            self.leave = Leave::Given;
        }
        self.twins_until = None;
        if self.primary.is_none() {
            self.seek(Duration::ZERO, at);
        }
        self.settle(at, Vec::new())
    }

    /// Takes that the network changed or the machine woke up: what is waited for comes earlier, and a link that
    /// does not answer soon is dialled anew beside the old connection.
    pub fn wake(&mut self, at: Moment) -> Vec<Output> {
        let mut outputs = Vec::new();
        if self.last_wake.is_some_and(|last| at.now < last + WAKE_INTERVAL) {
            return outputs;
        }
        self.last_wake = Some(at.now);
        self.backoff.wake();
        if let Some(primary) = self.primary.and_then(|primary| self.sessions.get_mut(&primary)) {
            primary.ping(self.head.as_ref(), at, &mut outputs);
            self.suspect_since = Some(at.now);
        } else if let Dialling::Waiting { .. } = self.dialling {
            self.seek(Duration::ZERO, at);
        }
        self.settle(at, outputs)
    }

    /// Takes that the dial has a connection whose handshake is under way.
    pub fn on_authenticating(&mut self, at: Moment) -> Vec<Output> {
        if let Dialling::Trying { is_authenticating, .. } = &mut self.dialling {
            *is_authenticating = true;
        }
        self.settle(at, Vec::new())
    }

    /// Takes that the dial came to nothing.
    pub fn on_dial_failed(&mut self, loss: &Loss, at: Moment) -> Vec<Output> {
        let mut outputs = Vec::new();
        if let Dialling::Trying { .. } = self.dialling {
            self.failed_dial(loss, at, &mut outputs);
        }
        self.settle(at, outputs)
    }

    /// Takes a connection whose handshake is done: the one that was dialled, or one that the peer dialled.
    pub fn on_connected(&mut self, who: Authenticated, at: Moment) -> Vec<Output> {
        let mut outputs = Vec::new();
        if who.is_dialled && matches!(self.dialling, Dialling::Trying { .. }) {
            self.dialling = Dialling::Resting;
        }
        let connection = who.connection;
        let living = self.sessions.values().filter(|session| !session.is_closing()).count();
        match self.refusal() {
            Some(goodbye) => {
                let mut session = Session::begin(who, &self.settings, at, &mut Vec::new());
                outputs.push(session.close(goodbye, at.now));
                self.sessions.insert(connection, session);
            }
            None if living >= SESSIONS_MAX => outputs.push(Output::Close { connection, goodbye: None }),
            None => {
                let session = Session::begin(who, &self.settings, at, &mut outputs);
                self.sessions.insert(connection, session);
            }
        }
        self.settle(at, outputs)
    }

    /// Returns the last word to whoever connects while there may be no link.
    fn refusal(&self) -> Option<Goodbye> {
        let goodbye = |reason, message: &str| Some(Goodbye { reason, message: message.to_owned() });
        match &self.leave {
            Leave::Given if self.twins_until.is_some() => goodbye(Parting::Twins, TWINS),
            Leave::Given => None,
            Leave::Held(message) => goodbye(Parting::Held, message),
            Leave::Ended(parting, message) => goodbye(*parting, message),
        }
    }

    /// Takes a frame of the peer: its version and what it says; `None` for a type that is passed over.
    pub fn on_control(
        &mut self,
        connection: ConnectionId,
        version: u16,
        control: Option<Control>,
        at: Moment,
    ) -> Vec<Output> {
        let mut outputs = Vec::new();
        let Some(session) = self.sessions.get_mut(&connection) else { return outputs };
        let mine = (&self.settings, self.head.as_ref());
        match session.on_control(version, control, mine, at, &mut outputs) {
            Ok(Progress::Nothing) => {}
            Ok(Progress::Opened) => self.on_open(connection, at, &mut outputs),
            Ok(Progress::Answered(number, run)) => self.on_answer(connection, number, run, at, &mut outputs),
            Ok(Progress::Left(goodbye)) => self.on_goodbye(connection, goodbye, at, &mut outputs),
            Err(goodbye) => self.refuse(connection, goodbye, at, &mut outputs),
        }
        if self.primary != Some(connection) {
            // Heads keep their order over one connection alone: over two, an old one would look like a log that was
            // cut.
            outputs.retain(|output| !matches!(output, Output::Tell(LinkEvent::Head(_))));
        }
        self.settle(at, outputs)
    }

    /// Takes that a connection is no more.
    pub fn on_lost(&mut self, connection: ConnectionId, loss: &Loss, at: Moment) -> Vec<Output> {
        let mut outputs = Vec::new();
        if self.sessions.get(&connection).is_some_and(Session::is_closing) {
            self.sessions.remove(&connection);
        } else if self.sessions.contains_key(&connection) {
            self.gone(connection, (loss.state(), loss.reason()), at, &mut outputs);
        }
        self.settle(at, outputs)
    }

    /// Takes that a frame was refused before it could be read: the connection is closed, with a word why.
    pub fn on_violation(&mut self, connection: ConnectionId, message: String, at: Moment) -> Vec<Output> {
        let mut outputs = Vec::new();
        if self.sessions.get(&connection).is_some_and(|session| !session.is_closing()) {
            self.refuse(connection, session::violation(message), at, &mut outputs);
        }
        self.settle(at, outputs)
    }

    /// Pings the peer for somebody who waits for the answer; `None` while the link is down. Of more than
    /// [`PINGS_BY_HAND_MAX`] at a time, the oldest may be forgotten.
    pub fn ping(&mut self, at: Moment) -> (Option<(ConnectionId, u64)>, Vec<Output>) {
        let mut outputs = Vec::new();
        let pinged = self.primary.and_then(|primary| {
            let session = self.sessions.get_mut(&primary)?;
            Some((primary, session.ping(self.head.as_ref(), at, &mut outputs)))
        });
        (pinged, outputs)
    }

    /// Makes the output that sends a message over a connection, or over the link; `None` while that is not open.
    pub fn send(&self, connection: Option<ConnectionId>, control: Control) -> Option<Output> {
        let session = self.sessions.get(&connection.or(self.primary)?)?;
        session.is_open().then(|| session.send(control))
    }

    /// Closes the link and lets nobody in, until [`release`](Self::release): a person has to decide.
    pub fn hold(&mut self, message: &str, at: Moment) -> Vec<Output> {
        let mut outputs = Vec::new();
        self.leave = Leave::Held(message.to_owned());
        self.close_all(Parting::Held, message, at, &mut outputs);
        self.settle(at, outputs)
    }

    /// Lets the peer in again, and dials it.
    pub fn release(&mut self, at: Moment) -> Vec<Output> {
        self.leave = Leave::Given;
        self.dial(at)
    }

    /// Ends the link for good, with a last word: the daemon stops, or the peer is trusted no more.
    pub fn close(&mut self, parting: Parting, message: &str, at: Moment) -> Vec<Output> {
        let mut outputs = Vec::new();
        self.leave = Leave::Ended(parting, message.to_owned());
        self.close_all(parting, message, at, &mut outputs);
        self.settle(at, outputs)
    }

    fn close_all(&mut self, reason: Parting, message: &str, at: Moment, outputs: &mut Vec<Output>) {
        self.abandon(outputs);
        self.dialling = Dialling::Resting;
        self.because =
            (LinkState::Disconnected, Some(message.to_owned()).filter(|message| !message.is_empty()));
        for session in self.sessions.values_mut().filter(|session| !session.is_closing()) {
            outputs.push(session.close(Goodbye { reason, message: message.to_owned() }, at.now));
        }
        self.contest = None;
        self.down(message, outputs);
    }

    /// Does what the time has come for.
    pub fn on_timeout(&mut self, at: Moment) -> Vec<Output> {
        let mut outputs = Vec::new();
        self.on_dial_timeout(at, &mut outputs);
        if self.contest.is_some_and(|contest| at.now >= contest.until) {
            self.on_silent(at, &mut outputs);
        }
        self.twins_until = self.twins_until.filter(|until| at.now < *until);
        let mut over = Vec::new();
        for session in self.sessions.values_mut() {
            let reason = session.on_timeout(self.head.as_ref(), at, &mut outputs);
            over.extend(reason.map(|reason| (session.who.connection, session.is_closing(), reason)));
        }
        for (connection, is_closing, reason) in over {
            outputs.push(Output::Close { connection, goodbye: None });
            if is_closing {
                self.sessions.remove(&connection);
            } else {
                self.gone(connection, (LinkState::TimedOut, reason.to_owned()), at, &mut outputs);
            }
        }
        self.on_suspect(at);
        self.settle(at, outputs)
    }

    fn on_goodbye(
        &mut self,
        connection: ConnectionId,
        goodbye: Goodbye,
        at: Moment,
        outputs: &mut Vec<Output>,
    ) {
        outputs.push(Output::Close { connection, goodbye: None });
        let Goodbye { reason: parting, message } = goodbye;
        let (state, said) = left(parting);
        if state == LinkState::Rejected {
            outputs.push(refused(parting, message.clone(), false));
        }
        let reason = if message.is_empty() { said.to_owned() } else { format!("{said}: {message}") };
        self.gone(connection, (state, reason), at, outputs);
    }

    /// Closes a connection whose peer cannot be talked to.
    fn refuse(&mut self, connection: ConnectionId, goodbye: Goodbye, at: Moment, outputs: &mut Vec<Output>) {
        outputs.push(refused(goodbye.reason, goodbye.message.clone(), true));
        let (state, _) = left(goodbye.reason);
        let because = (state, goodbye.message.clone());
        let Some(mut session) = self.sessions.remove(&connection) else { return };
        // The link is judged without it before its last word leaves.
        let closing = session.close(goodbye, at.now);
        self.lose(connection, session.open_since(), because, at, outputs);
        self.sessions.insert(connection, session);
        outputs.push(closing);
    }

    /// A connection is no more: the link goes on over another one, or is sought anew.
    fn gone(
        &mut self,
        connection: ConnectionId,
        because: (LinkState, String),
        at: Moment,
        outputs: &mut Vec<Output>,
    ) {
        let Some(session) = self.sessions.remove(&connection) else { return };
        self.lose(connection, session.open_since(), because, at, outputs);
    }

    fn lose(
        &mut self,
        connection: ConnectionId,
        open_since: Option<Instant>,
        because: (LinkState, String),
        at: Moment,
        outputs: &mut Vec<Output>,
    ) {
        let was_primary = self.primary == Some(connection);
        let contest = self.contest.filter(|contest| was_primary || contest.newer == connection);
        if contest.is_some() {
            self.contest = None;
        }
        if !was_primary {
            if contest.is_some() {
                self.next_rival(at, outputs);
            }
            return self.sought(because, at);
        }
        if open_since.is_some_and(|since| at.now >= since + STEADY) {
            self.backoff.reset();
        }
        let next = contest.map(|contest| contest.newer).or_else(|| self.first_open());
        match next.and_then(|next| self.sessions.get(&next)).and_then(Session::up) {
            Some(up) => {
                self.primary = Some(up.who.connection);
                outputs.push(Output::Tell(LinkEvent::Moved(up)));
                self.next_rival(at, outputs);
            }
            None => {
                self.down(&because.1, outputs);
                self.sought(because, at);
            }
        }
    }

    fn first_open(&self) -> Option<ConnectionId> {
        self.sessions.iter().find_map(|(id, session)| session.is_open().then_some(*id))
    }

    fn down(&mut self, reason: &str, outputs: &mut Vec<Output>) {
        self.suspect_since = None;
        if let Some(connection) = self.primary.take() {
            outputs.push(Output::Tell(LinkEvent::Down { connection, reason: reason.to_owned() }));
        }
    }

    /// Without a link, remembers why, and dials later unless that is seen to.
    fn sought(&mut self, (state, reason): (LinkState, String), at: Moment) {
        if self.primary.is_some() {
            return;
        }
        self.because = (state, Some(reason));
        let is_greeting =
            self.sessions.values().any(|session| session.who.is_dialled && !session.is_closing());
        if self.dialling == Dialling::Resting && !is_greeting {
            let wait = self.backoff.next(state == LinkState::Rejected);
            self.seek(wait, at);
        }
    }

    /// Dials if the time for it is now, and tells the new state if there is one.
    fn settle(&mut self, at: Moment, mut outputs: Vec<Output>) -> Vec<Output> {
        self.on_dial_timeout(at, &mut outputs);
        let (state, reason) = self.state();
        let told = &self.told;
        let address = self.shown().map(|session| session.who.address.clone());
        if (state, &reason, &address) != (told.state, &told.reason, &told.address) {
            let since = if state == told.state { told.since } else { at.wall };
            self.told = Status { state, since, reason, address };
            outputs.push(Output::Tell(LinkEvent::State(self.told.clone())));
        }
        outputs
    }

    /// Returns the connection that people mean: the link, else the one that may be it next.
    fn shown(&self) -> Option<&Session> {
        let primary = self.primary.and_then(|primary| self.sessions.get(&primary));
        primary.or_else(|| self.sessions.values().find(|session| !session.is_closing()))
    }

    fn state(&self) -> (LinkState, Option<String>) {
        if let Leave::Held(message) = &self.leave {
            return (LinkState::Held, Some(message.clone()));
        }
        if self.primary.is_some() {
            return (LinkState::Connected, None);
        }
        if self.shown().is_some() {
            return (LinkState::Authenticating, None);
        }
        match self.dialling {
            Dialling::Trying { is_authenticating: true, .. } => {
                (LinkState::Authenticating, self.because.1.clone())
            }
            Dialling::Trying { is_authenticating: false, .. } => {
                (LinkState::Connecting, self.because.1.clone())
            }
            Dialling::Resting | Dialling::Waiting { .. } if self.sessions.is_empty() => self.because.clone(),
            Dialling::Resting | Dialling::Waiting { .. } => {
                (LinkState::Disconnecting, self.because.1.clone())
            }
        }
    }
}

const fn refused(parting: Parting, message: String, by_us: bool) -> Output {
    Output::Tell(LinkEvent::Refused { parting, message, by_us })
}

/// What becomes of a link after a last word, and how it is said.
const fn left(parting: Parting) -> (LinkState, &'static str) {
    match parting {
        Parting::Stopping => (LinkState::Disconnected, "its daemon stopped"),
        Parting::Superseded => (LinkState::Disconnected, "it keeps another link"),
        Parting::Version => (LinkState::Rejected, "no version in common"),
        Parting::Clock => (LinkState::Rejected, "the clocks are too far apart"),
        Parting::Untrusted => (LinkState::Rejected, "it does not trust this node"),
        Parting::Protocol => (LinkState::Failed, "the protocol was broken"),
        Parting::Twins => (LinkState::Rejected, "it sees two daemons with this node's key"),
        Parting::Held => (LinkState::Rejected, "it waits for a person to confirm"),
        Parting::Failed => (LinkState::Failed, "its daemon failed"),
    }
}
