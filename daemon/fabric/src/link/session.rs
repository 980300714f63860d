//! One connection of a link: from the two `Hello`s to the last word.
//!
//! | phase | entered by | what is said |
//! | --- | --- | --- |
//! | greeting | the handshake of TLS | `Hello`, and `HelloAck` for the other's |
//! | open | `Hello` and `HelloAck` of the peer | `Capabilities` once, then everything |
//! | closing | `Goodbye` of this side | nothing; what still comes is not looked at |

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use karo_protocol::Timestamp;
use karo_protocol::node::Nonce;
use karo_protocol::peer::{
    CAPABILITIES_MAX, Capabilities, Control, Goodbye, Hello, HelloAck, PEER_TEXT_BYTES_MAX, PEER_VERSION,
    Parting, Ping, Pong, Signed,
};

use super::words::{Authenticated, LinkEvent, Moment, Output, Settings, Up};
use crate::several::Rival;

/// How long the peer has to say who it is once its key is proven.
pub const HELLO_PATIENCE: Duration = Duration::from_secs(10);

/// How often a link that is up is pinged.
pub const HEARTBEAT: Duration = Duration::from_secs(30);

/// How often it is pinged while a ping is unanswered.
pub const PROBE: Duration = Duration::from_secs(5);

/// A link that was silent for so long is gone.
pub const SILENCE_MAX: Duration = Duration::from_secs(45);

/// How long a last word may take to leave.
pub const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// Clocks this far apart get no link: what is signed could not be judged.
pub const SKEW_MAX_US: u64 = 300_000_000;

/// Clocks this far apart are warned about.
pub const SKEW_WARNED_US: u64 = 60_000_000;

/// Pings without an answer that are remembered: what the probes of one silence need, and [`PINGS_BY_HAND_MAX`].
const PINGS_MAX: usize = PINGS_BY_HAND_MAX + 16;

/// Pings that somebody may wait for: of so many each is remembered until it is answered.
pub const PINGS_BY_HAND_MAX: usize = 16;

/// What a peer said in its `Hello`.
#[derive(Debug, Clone)]
struct Greeted {
    hello: Hello,
    version: u16,
}

#[derive(Debug, Clone)]
enum Phase {
    /// Our `Hello` is on its way; theirs may have come.
    Greeting { theirs: Option<Greeted>, until: Instant },
    /// Both said who they are.
    Open { theirs: Greeted, since: Instant, is_capable: bool, is_introduced: bool },
    /// A last word is on its way.
    Closing { until: Instant },
}

/// What a frame of the peer came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing that the link has to decide.
    Nothing,
    /// The connection is open.
    Opened,
    /// A ping was answered.
    Answered(u64, Nonce),
    /// The peer leaves.
    Left(Goodbye),
}

/// One connection of a link.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) who: Authenticated,
    authenticated_at: Instant,
    phase: Phase,
    last_received: Instant,
    last_ping: Instant,
    next_ping: u64,
    unanswered: BTreeMap<u64, Instant>,
    is_warned: bool,
}

impl Session {
    /// Begins one: this side's `Hello` goes out at once.
    pub(super) fn begin(
        who: Authenticated,
        settings: &Settings,
        at: Moment,
        outputs: &mut Vec<Output>,
    ) -> Self {
        let session = Self {
            who,
            authenticated_at: at.now,
            phase: Phase::Greeting { theirs: None, until: at.now + HELLO_PATIENCE },
            last_received: at.now,
            last_ping: at.now,
            next_ping: 0,
            unanswered: BTreeMap::new(),
            is_warned: false,
        };
        outputs.push(session.send(Control::Hello(Hello {
            versions: settings.versions,
            run: settings.run,
            now: at.wall,
            next_key: settings.next_key,
            program: settings.program.clone(),
        })));
        session
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open { .. })
    }

    pub(super) const fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing { .. })
    }

    /// Tells since when the connection is open.
    pub(super) const fn open_since(&self) -> Option<Instant> {
        match self.phase {
            Phase::Open { since, .. } => Some(since),
            Phase::Greeting { .. } | Phase::Closing { .. } => None,
        }
    }

    /// Tells whether the peer may be sent streams: it has said what it can do, so it knows that it is admitted.
    pub(super) const fn is_capable(&self) -> bool {
        matches!(self.phase, Phase::Open { is_capable: true, .. })
    }

    /// Returns what the rule for two links asks; `None` before the connection is open.
    pub(super) const fn rival(&self) -> Option<Rival> {
        let Phase::Open { theirs, .. } = &self.phase else { return None };
        let Authenticated { own, peer, is_dialled, .. } = self.who;
        let keys = if is_dialled { (own, peer) } else { (peer, own) };
        Some(Rival { authenticated_at: self.authenticated_at, run: theirs.hello.run, keys })
    }

    /// Returns what others want to know of an open connection.
    pub(super) fn up(&self) -> Option<Up> {
        let Phase::Open { theirs: Greeted { hello, version }, .. } = &self.phase else { return None };
        Some(Up {
            who: self.who.clone(),
            run: hello.run,
            next_key: hello.next_key,
            program: hello.program.clone(),
            version: *version,
        })
    }

    /// Returns the version that frames are written in: until one is agreed upon, the one that this program has.
    const fn version(&self) -> u16 {
        match &self.phase {
            Phase::Open { theirs, .. } | Phase::Greeting { theirs: Some(theirs), .. } => theirs.version,
            Phase::Greeting { theirs: None, .. } | Phase::Closing { .. } => PEER_VERSION,
        }
    }

    /// Makes the output that sends a message.
    pub(super) const fn send(&self, control: Control) -> Output {
        Output::Send { connection: self.who.connection, version: self.version(), control }
    }

    /// Takes a frame of the peer: its version, and what it says; `None` for a type that is passed over.
    ///
    /// # Errors
    ///
    /// The last word to a peer that cannot be talked to.
    pub(super) fn on_control(
        &mut self,
        version: u16,
        control: Option<Control>,
        mine: (&Settings, Option<&Signed>),
        at: Moment,
        outputs: &mut Vec<Output>,
    ) -> Result<Progress, Goodbye> {
        if self.is_closing() {
            return Ok(Progress::Nothing);
        }
        self.last_received = at.now;
        // A `Hello` is written alike in every version, and so is a last word: it has to be understood by a peer
        // with which no version is shared.
        let is_timeless = matches!(control, Some(Control::Hello(_) | Control::Goodbye(_)));
        if !is_timeless && version != self.version() {
            return Err(violation(format!(
                "a frame of version {version} where {} is spoken",
                self.version()
            )));
        }
        let Some(control) = control else { return Ok(Progress::Nothing) };
        match (&self.phase, control) {
            (_, Control::Goodbye(mut goodbye)) => {
                cut(&mut goodbye.message);
                Ok(Progress::Left(goodbye))
            }
            (Phase::Greeting { theirs: None, .. }, Control::Hello(hello)) => {
                self.on_hello(hello, mine.0, at, outputs).map(|()| Progress::Nothing)
            }
            (Phase::Greeting { theirs: Some(_), .. }, Control::HelloAck(ack)) => {
                self.on_hello_ack(&ack, mine, at, outputs).map(|()| Progress::Opened)
            }
            (Phase::Open { .. }, control) => self.on_open(control, mine, at, outputs),
            (Phase::Greeting { .. } | Phase::Closing { .. }, early) => {
                Err(violation(format!("{} where a greeting was due", early.name())))
            }
        }
    }

    /// Agrees upon a version, compares the clocks, and acknowledges.
    fn on_hello(
        &mut self,
        hello: Hello,
        settings: &Settings,
        at: Moment,
        outputs: &mut Vec<Output>,
    ) -> Result<(), Goodbye> {
        if hello.program.len() > PEER_TEXT_BYTES_MAX {
            return Err(violation("a Hello with too long a text".to_owned()));
        }
        let (least, greatest) = settings.versions;
        let version = greatest.min(hello.versions.1);
        if version < least || version < hello.versions.0 {
            let (theirs_least, theirs_greatest) = hello.versions;
            let message = format!(
                "no protocol version in common: {least} to {greatest} here, {theirs_least} to {theirs_greatest} \
                 there; update the older karod"
            );
            return Err(Goodbye { reason: Parting::Version, message });
        }
        let skew_us = skew(hello.now, at.wall);
        outputs.push(Output::Tell(LinkEvent::Greeted { skew_us }));
        if skew_us.unsigned_abs() > SKEW_MAX_US {
            let message = format!(
                "the clocks are {} s apart, 300 s are allowed; set them",
                // What is too much by less than a second is not said to be what is allowed.
                skew_us.unsigned_abs().div_ceil(1_000_000)
            );
            return Err(Goodbye { reason: Parting::Clock, message });
        }
        self.compare_clocks(skew_us, outputs);
        let run = hello.run;
        let Phase::Greeting { theirs, .. } = &mut self.phase else { return Ok(()) };
        *theirs = Some(Greeted { hello, version });
        outputs.push(self.send(Control::HelloAck(HelloAck { version, run })));
        Ok(())
    }

    /// Opens the connection: the peer has understood us as we have understood it.
    fn on_hello_ack(
        &mut self,
        ack: &HelloAck,
        (settings, head): (&Settings, Option<&Signed>),
        at: Moment,
        outputs: &mut Vec<Output>,
    ) -> Result<(), Goodbye> {
        if ack.run != settings.run || ack.version != self.version() {
            return Err(violation("a HelloAck for another Hello".to_owned()));
        }
        let Phase::Greeting { theirs: Some(theirs), .. } = &self.phase else { return Ok(()) };
        self.phase =
            Phase::Open { theirs: theirs.clone(), since: at.now, is_capable: false, is_introduced: false };
        // Admitted before it is told: whoever hears our capabilities may open streams.
        outputs.push(Output::Admit(self.who.connection));
        // The dialler asks at once whether all of it works; what it can do comes behind, and the listener says
        // nothing of its own before it has answered, so that nothing stands in the way of that answer.
        if self.who.is_dialled {
            self.ping(head, at, outputs);
            self.introduce(settings, outputs);
        }
        Ok(())
    }

    /// Says what this side can do, once.
    fn introduce(&mut self, settings: &Settings, outputs: &mut Vec<Output>) {
        let Phase::Open { is_introduced, .. } = &mut self.phase else { return };
        if !std::mem::replace(is_introduced, true) {
            let names = settings.capabilities.clone();
            outputs.push(self.send(Control::Capabilities(Capabilities { names })));
        }
    }

    fn on_open(
        &mut self,
        control: Control,
        (settings, head): (&Settings, Option<&Signed>),
        at: Moment,
        outputs: &mut Vec<Output>,
    ) -> Result<Progress, Goodbye> {
        let connection = self.who.connection;
        let event = match control {
            Control::Capabilities(capabilities) => return self.on_capabilities(capabilities, outputs),
            Control::Ping(ping) => return Ok(self.on_ping(ping, (settings, head), at, outputs)),
            Control::Pong(pong) => return self.on_pong(pong, at, outputs),
            Control::KeyRotation(signed) => LinkEvent::Rotation { connection, signed },
            Control::KeyRotationAck(ack) => LinkEvent::RotationAnswered(ack),
            Control::AuditAsk(ask) => LinkEvent::AuditAsk { connection, ask },
            Control::AuditProof(proof) => LinkEvent::AuditProof(proof),
            Control::AuditSeen(head) => LinkEvent::AuditSeen(head),
            talk @ (Control::Group(_) | Control::Atom(_) | Control::Summary(_) | Control::Ask(_)) => {
                LinkEvent::Said(Box::new(talk))
            }
            again @ (Control::Hello(_) | Control::HelloAck(_)) => {
                return Err(violation(format!("a second {}", again.name())));
            }
            Control::Goodbye(goodbye) => return Ok(Progress::Left(goodbye)),
        };
        outputs.push(Output::Tell(event));
        Ok(Progress::Nothing)
    }

    fn on_capabilities(
        &mut self,
        Capabilities { names }: Capabilities,
        outputs: &mut Vec<Output>,
    ) -> Result<Progress, Goodbye> {
        let connection = self.who.connection;
        let Phase::Open { is_capable, .. } = &mut self.phase else { return Ok(Progress::Nothing) };
        let is_too_much =
            names.len() > CAPABILITIES_MAX || names.iter().any(|name| name.len() > PEER_TEXT_BYTES_MAX);
        if *is_capable || is_too_much {
            return Err(violation("Capabilities twice, or too many of them".to_owned()));
        }
        *is_capable = true;
        outputs.push(Output::Tell(LinkEvent::Capable { connection, capabilities: names }));
        Ok(Progress::Nothing)
    }

    fn on_ping(
        &mut self,
        ping: Ping,
        (settings, head): (&Settings, Option<&Signed>),
        at: Moment,
        outputs: &mut Vec<Output>,
    ) -> Progress {
        let pong = Pong { number: ping.number, now: at.wall, run: settings.run, head: head.cloned() };
        outputs.push(self.send(Control::Pong(pong)));
        outputs.extend(ping.head.map(|head| Output::Tell(LinkEvent::Head(head))));
        if matches!(self.phase, Phase::Open { is_introduced: false, .. }) {
            self.introduce(settings, outputs);
            self.ping(head, at, outputs);
        }
        Progress::Nothing
    }

    fn on_pong(&mut self, pong: Pong, at: Moment, outputs: &mut Vec<Output>) -> Result<Progress, Goodbye> {
        if pong.number >= self.next_ping {
            return Err(violation("a Pong without its Ping".to_owned()));
        }
        let Some(sent_at) = self.unanswered.remove(&pong.number) else { return Ok(Progress::Nothing) };
        // Frames keep their order: what was asked before and not answered will not be.
        self.unanswered = self.unanswered.split_off(&pong.number);
        let rtt = at.now.saturating_duration_since(sent_at);
        let skew_us = skew(pong.now, at.wall).saturating_add((rtt / 2).as_micros() as i64);
        let connection = self.who.connection;
        outputs.push(Output::Tell(LinkEvent::Pinged { connection, number: pong.number, rtt, skew_us }));
        outputs.extend(pong.head.map(|head| Output::Tell(LinkEvent::Head(head))));
        self.compare_clocks(skew_us, outputs);
        Ok(Progress::Answered(pong.number, pong.run))
    }

    /// Warns once when the clocks drift apart, and says once that they are back.
    fn compare_clocks(&mut self, skew_us: i64, outputs: &mut Vec<Output>) {
        let is_far = skew_us.unsigned_abs() > SKEW_WARNED_US;
        if is_far != self.is_warned {
            self.is_warned = is_far;
            outputs.push(Output::Tell(LinkEvent::Clock { skew_us, is_far }));
        }
    }

    /// Sends a ping and returns its number.
    pub(super) fn ping(&mut self, head: Option<&Signed>, at: Moment, outputs: &mut Vec<Output>) -> u64 {
        let number = self.next_ping;
        self.next_ping += 1;
        self.last_ping = at.now;
        self.unanswered.insert(number, at.now);
        if self.unanswered.len() > PINGS_MAX {
            self.unanswered.pop_first();
        }
        outputs.push(self.send(Control::Ping(Ping { number, now: at.wall, head: head.cloned() })));
        number
    }

    /// Begins to close with a last word.
    pub(super) fn close(&mut self, goodbye: Goodbye, now: Instant) -> Output {
        let version = self.version();
        self.phase = Phase::Closing { until: now + CLOSE_PATIENCE };
        Output::Close { connection: self.who.connection, goodbye: Some((version, goodbye)) }
    }

    /// Returns when something is to be done next.
    pub(super) fn deadline(&self) -> Instant {
        match self.phase {
            Phase::Greeting { until, .. } | Phase::Closing { until } => until,
            Phase::Open { .. } => self.next_beat().min(self.gone_at()),
        }
    }

    fn next_beat(&self) -> Instant {
        self.last_ping + if self.unanswered.is_empty() { HEARTBEAT } else { PROBE }
    }

    fn gone_at(&self) -> Instant {
        self.last_received + SILENCE_MAX
    }

    /// Tells why the connection is over, if its time is; sends a heartbeat if one is due.
    pub(super) fn on_timeout(
        &mut self,
        head: Option<&Signed>,
        at: Moment,
        outputs: &mut Vec<Output>,
    ) -> Option<&'static str> {
        match self.phase {
            Phase::Greeting { until, .. } => {
                (at.now >= until).then_some("the peer did not say who it is within 10 s")
            }
            Phase::Closing { until } => (at.now >= until).then_some("the last word did not leave within 2 s"),
            Phase::Open { .. } if at.now >= self.gone_at() => Some("the peer was silent for 45 s"),
            Phase::Open { .. } => {
                if at.now >= self.next_beat() {
                    self.ping(head, at, outputs);
                }
                None
            }
        }
    }

    /// Returns the moment of the last frame of the peer.
    pub(super) const fn last_received(&self) -> Instant {
        self.last_received
    }
}

/// Returns how far their clock is ahead of ours, in µs.
const fn skew(theirs: Timestamp, ours: Timestamp) -> i64 {
    theirs.as_micros().saturating_sub(ours.as_micros())
}

/// Makes the last word to a peer that breaks the protocol.
pub(super) const fn violation(message: String) -> Goodbye {
    Goodbye { reason: Parting::Protocol, message }
}

/// Cuts a text of a peer to what is kept.
fn cut(text: &mut String) {
    let end = (0..=PEER_TEXT_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
}
