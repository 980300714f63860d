//! Pairing: one at a time, from the first word to the row in the roster, or to nothing.
//!
//! The machine decides (`karo_trust::pairing`); here are its socket, its clock and the person who answers. While a
//! pairing waits there is a listener of its own, for one stranger; a second one is turned away, and whatever goes
//! wrong closes it.
//!
//! | message | from | answer |
//! | --- | --- | --- |
//! | [`Begin`] | sessions | when it is over; meanwhile it tells how far it is |

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix::{Actor, Context, Handler, Message, Recipient, ResponseFuture};
use karo_fabric::net::{self, Connection, Dialled, Listening, Remote};
use karo_protocol::frame::Header;
use karo_protocol::local::Failure;
use karo_protocol::mesh::{Pair, PairSide, Pairing as Progress, PeerAdd, PeerRow};
use karo_protocol::pair::{PAIR_FRAME_BYTES_MAX, PairMessage};
use karo_protocol::peer::{PAIR_PORT, PORT};
use karo_trust::pairing::{Code, Ending, Output, Own as OwnSide, Pairing, Partner, WINDOW};
use karo_trust::roster::Origin;
use karo_trust::{System, fingerprint, tls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};
use tokio_rustls::TlsStream;

use super::peers::{Add, Ours, Own};
use crate::clock;
use crate::logging::say;
use crate::network::Addresses;
use crate::roster_desk::RosterDesk;

/// How long a handshake may take: a stranger who dawdles must not use the window up.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(5);

/// Handshakes at once while a pairing waits: the others wait behind them, for as long as one of them may take.
const HANDSHAKES_MAX: usize = 8;

/// How long the last word may take to leave.
const PARTING_PATIENCE: Duration = Duration::from_secs(2);

/// Addresses of this machine that are shown: more are of no help to a person.
const ADDRESSES_SHOWN_MAX: usize = 4;

/// Messages that may wait: each is a person's.
const MAILBOX: usize = 8;

/// Pair with another machine. Sent by sessions; answered when it is over.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Begin {
    /// What is wanted.
    pub pair: Pair,
    /// Where the person's answer comes from; closed when the person has left.
    pub answers: mpsc::Receiver<bool>,
    /// Who is told how far it is.
    pub progress: mpsc::Sender<Progress>,
}

/// The actor. See the module.
pub struct PairingActor {
    own: Recipient<Own>,
    add: Recipient<Add>,
    roster: RosterDesk,
    is_busy: Rc<Cell<bool>>,
}

impl PairingActor {
    /// Makes the actor; `own` knows who this machine is, `add` trusts the other, and `roster` says whether it may.
    pub fn new(own: Recipient<Own>, add: Recipient<Add>, roster: RosterDesk) -> Self {
        Self { own, add, roster, is_busy: Rc::default() }
    }
}

impl Actor for PairingActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Begin> for PairingActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, begin: Begin, _: &mut Self::Context) -> Self::Result {
        let (own, add, is_busy) = (self.own.clone(), self.add.clone(), Rc::clone(&self.is_busy));
        let roster = self.roster.clone();
        Box::pin(async move {
            let progress = begin.progress.clone();
            let ended = if is_busy.replace(true) {
                Err("another pairing of this machine is under way; end it first".to_owned())
            } else {
                let _free = Freed(is_busy);
                pair(begin, own, add, &roster).await
            };
            let told = match ended {
                Ok(row) => Progress::Paired(row),
                Err(reason) => {
                    say!(Class::PairingFailed, reason, "a pairing came to nothing");
                    Progress::Failed { reason }
                }
            };
            // Whoever asked may have left: what is trusted stays trusted.
            drop(progress.send(told).await);
        })
    }
}

/// Lets the next pairing begin when this one is over, however it ends.
struct Freed(Rc<Cell<bool>>);

impl Drop for Freed {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

fn message(failure: Failure) -> String {
    failure.message
}

/// Pairs, and returns the row of the new peer, or why there is none.
async fn pair(
    begin: Begin,
    own: Recipient<Own>,
    add: Recipient<Add>,
    roster: &RosterDesk,
) -> Result<Box<PeerRow>, String> {
    let Begin { pair, mut answers, progress } = begin;
    let stopped = || "the daemon is stopping".to_owned();
    let ours = own.send(Own).await.map_err(|_| stopped())?.map_err(message)?;
    let met = tokio::select! {
        met = meet(&ours, pair.side.clone(), &progress) => met?,
        () = left(&mut answers) => return Err(LEFT.to_owned()),
    };
    let (tls, remote) = met.connection.into_parts();
    let mut add_peer = PeerAdd {
        node_id: remote.peer,
        addresses: Vec::new(),
        trust: pair.trust,
        name: pair.name,
        owner: pair.owner,
        expires_at: None,
    };
    // Before anybody says yes: what is refused afterwards would leave the other side alone with its trust.
    roster.read().add(add_peer.clone(), Origin::Pairing, clock::now()).map_err(|error| error.to_string())?;
    let mut session =
        Session { machine: met.machine, tls, inbox: Vec::new(), answers, progress: progress.clone() };
    let partner = session.run(&ours, &remote).await?;
    let address = (partner.port != 0).then(|| SocketAddr::new(remote.address.ip(), partner.port).to_string());
    add_peer.addresses = address.into_iter().collect();
    let added = Add { add: add_peer, origin: Origin::Pairing, next_key: Some(partner.next_key) };
    let row = add.send(added).await.map_err(|_| stopped())?.map_err(message)?;
    say!(Class::Paired, peer = %fingerprint(&partner.node), "paired");
    Ok(row)
}

/// What is said of a person who left before the other side came.
const LEFT: &str = "whoever wanted to pair has left";

/// Waits until the person has left, or says no before there is anything to say yes to.
async fn left(answers: &mut mpsc::Receiver<bool>) {
    // A yes to words that nobody has seen is none.
    while answers.recv().await == Some(true) {}
}

/// The other side, and the machine that deals with it.
struct Met {
    connection: Connection,
    machine: Pairing,
}

/// Finds the other side. Dropped, it has let go of its port.
async fn meet(ours: &Ours, side: PairSide, progress: &mpsc::Sender<Progress>) -> Result<Met, String> {
    match side {
        PairSide::Listen { address } => listen(ours, address, progress, WINDOW).await,
        PairSide::Dial { code, address } => dial(ours, &code, &address).await,
    }
}

/// Says where this machine listens for its peers, as far as the other side can reach that: it is told a port, and
/// dials the address that it pairs with.
fn own_side(ours: &Ours, connection: &Connection) -> OwnSide {
    let is_reached = |listen: &SocketAddr| connection.local().is_some_and(|local| is_heard(*listen, local));
    let port = ours
        .listen
        .filter(is_reached)
        .map_or(0, |listen| if listen.port() == 0 { PORT } else { listen.port() });
    OwnSide { node: ours.identity.node_id(), next_key: ours.identity.next_hash(), port }
}

/// Tells whether who listens there hears what comes to that address of this machine.
fn is_heard(listen: SocketAddr, local: IpAddr) -> bool {
    let local = local.to_canonical();
    match listen.ip().to_canonical() {
        IpAddr::V4(any) if any.is_unspecified() => local.is_ipv4(),
        IpAddr::V6(any) if any.is_unspecified() => true,
        one @ (IpAddr::V4(_) | IpAddr::V6(_)) => one == local,
    }
}

/// Where a pairing is waited for if nothing else is said: where links will come in, if that is one address which
/// others can reach.
fn waiting_at(ours: &Ours) -> SocketAddr {
    let one = ours.listen.map(|listen| listen.ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified());
    SocketAddr::new(one.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), PAIR_PORT)
}

/// Waits so long for the first stranger who comes through the handshake.
async fn listen(
    ours: &Ours,
    address: Option<String>,
    progress: &mpsc::Sender<Progress>,
    window: Duration,
) -> Result<Met, String> {
    let address = match address {
        None => waiting_at(ours),
        Some(text) => parse(&text)?,
    };
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("could not listen on {address}: {error}"))?;
    let local = listener.local_addr().map_err(|error| error.to_string())?;
    let code = Code::draw(&mut System::default());
    let waiting = Progress::Waiting {
        code: code.to_string(),
        addresses: shown(local),
        seconds: window.as_secs() as u32,
    };
    if progress.send(waiting).await.is_err() {
        return Err(LEFT.to_owned());
    }
    let begun = Instant::now();
    let listening = Listening::pairing(ours.identity.node_id(), tls::pair_server_config(&ours.identity));
    let late = sleep_until((begun + window).into());
    tokio::select! {
        connection = stranger(&listener, &listening) => {
            // The listener is dropped with this: there is one stranger, and no second one.
            let own = own_side(ours, &connection);
            Ok(Met { connection, machine: Pairing::listen(own, code, &mut System::default(), begun) })
        }
        () = late => Err("nobody came; the window is closed".to_owned()),
    }
}

/// Waits for the first who comes through the handshake. One who dawdles keeps nobody else out.
async fn stranger(listener: &TcpListener, listening: &Listening) -> Connection {
    let mut handshakes = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if handshakes.len() < HANDSHAKES_MAX => {
                let Ok((tcp, other)) = accepted else { continue };
                let listening = listening.clone();
                handshakes.spawn(async move { net::accept(&listening, tcp, other, HANDSHAKE_PATIENCE).await });
            }
            Some(done) = handshakes.join_next() => match done {
                Ok(Ok(met)) => return met,
                // Whoever speaks another protocol has not found the session, and does not end it.
                Ok(Err(error)) => tracing::debug!(%error, "not a pairing"),
                Err(error) => tracing::debug!(%error, "a handshake was given up"),
            },
        }
    }
}

async fn dial(ours: &Ours, code: &str, address: &str) -> Result<Met, String> {
    let code: Code = code.parse().map_err(|error| format!("{code:?} is no code: {error}"))?;
    let address = parse(address)?;
    let dialled = Dialled::pairing(ours.identity.node_id(), tls::pair_client_config(&ours.identity));
    let connection = net::dial(&dialled, &[address], HANDSHAKE_PATIENCE, |_| ()).await;
    let connection = connection.map_err(|failed| {
        format!("{failed}; is `karoctl peers pair --listen` open there, and does a firewall let {address} through?")
    })?;
    let own = own_side(ours, &connection);
    Ok(Met { connection, machine: Pairing::dial(own, code, &mut System::default(), Instant::now()) })
}

/// Reads an address, with the usual port where none is said.
fn parse(text: &str) -> Result<SocketAddr, String> {
    let bare = || text.trim_matches(['[', ']']).parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PAIR_PORT));
    text.parse()
        .or_else(|_| bare())
        .map_err(|_| format!("{text} is no address: give an IP address, or ADDR:PORT"))
}

/// Returns what the other person can type: this machine's own addresses where it listens on all of them.
fn shown(local: SocketAddr) -> Vec<String> {
    if !local.ip().is_unspecified() {
        return vec![local.to_string()];
    }
    let found = Addresses::own();
    // Who listens on every address of IPv4 hears nobody who dials one of IPv6; the other way round both are heard.
    let mut shown: Vec<String> = found
        .all()
        .filter(|ip| ip.is_ipv4() || local.is_ipv6())
        .take(ADDRESSES_SHOWN_MAX)
        .map(|ip| SocketAddr::new(ip, local.port()).to_string())
        .collect();
    if shown.is_empty() {
        shown.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), local.port()).to_string());
    }
    shown
}

/// A pairing that has found its other side.
struct Session {
    machine: Pairing,
    tls: TlsStream<TcpStream>,
    inbox: Vec<u8>,
    answers: mpsc::Receiver<bool>,
    progress: mpsc::Sender<Progress>,
}

/// What the machine hears next.
enum Heard {
    Message(PairMessage),
    Nonsense,
    Lost,
    Answer(bool),
    Late,
}

impl Session {
    async fn run(&mut self, ours: &Ours, remote: &Remote) -> Result<Partner, String> {
        let mut outputs = self.machine.on_connected(remote.peer, remote.exporter, Instant::now());
        loop {
            for output in outputs {
                if let Some(ending) = self.carry_out(output).await {
                    return self.end(ending).await;
                }
            }
            let heard = self.hear().await;
            let now = Instant::now();
            outputs = match heard {
                Heard::Message(message) => self.machine.on_message(message, now),
                Heard::Nonsense => self.machine.on_nonsense(now),
                Heard::Lost => self.machine.on_lost(now),
                Heard::Answer(is_yes) => {
                    let answered = self.machine.on_answer(is_yes, ours.identity.as_ref(), now);
                    if is_yes {
                        // A person who has left is told nothing, and the machine hears of it as a no.
                        drop(self.progress.send(Progress::Waited).await);
                    }
                    answered
                }
                Heard::Late => self.machine.on_timeout(now),
            };
        }
    }

    async fn carry_out(&mut self, output: Output) -> Option<Ending> {
        match output {
            Output::Send(message) => {
                if let Ok(frame) = message.encode() {
                    // A connection that is lost is seen by whoever reads.
                    drop(self.tls.write_all(&frame).await.and(self.tls.flush().await));
                }
                None
            }
            Output::Show { words, peer } => {
                let words = words.map(str::to_owned).to_vec();
                let shown = Progress::Words { words, node_id: peer, fingerprint: fingerprint(&peer) };
                drop(self.progress.send(shown).await);
                None
            }
            Output::Over(ending) => Some(ending),
        }
    }

    async fn end(&mut self, ending: Ending) -> Result<Partner, String> {
        // What was said last is to arrive; who does not take it has lost the connection.
        drop(timeout(PARTING_PATIENCE, self.tls.shutdown()).await);
        match ending {
            Ending::Paired(partner) => Ok(partner),
            Ending::Failed(failure) => Err(failure.to_string()),
        }
    }

    /// Waits for the other side, the person or the deadline, whichever comes first.
    async fn hear(&mut self) -> Heard {
        let deadline = self.machine.deadline().unwrap_or_else(Instant::now);
        tokio::select! {
            message = read(&mut self.tls, &mut self.inbox) => message,
            answer = self.answers.recv() => Heard::Answer(answer.unwrap_or(false)),
            () = sleep_until(deadline.into()) => Heard::Late,
        }
    }
}

/// Reads until a message is whole. What was read of it is kept, so that this can be dropped and called again.
async fn read(tls: &mut TlsStream<TcpStream>, inbox: &mut Vec<u8>) -> Heard {
    loop {
        if let Some(heard) = taken(inbox) {
            return heard;
        }
        match tls.read_buf(inbox).await {
            Ok(0) | Err(_) => return Heard::Lost,
            Ok(_) => {}
        }
    }
}

/// Takes a message out of what was read, if one is whole, or says that what was read is none.
fn taken(inbox: &mut Vec<u8>) -> Option<Heard> {
    let header = *inbox.first_chunk()?;
    let Ok(header) = Header::parse(&header, PAIR_FRAME_BYTES_MAX) else { return Some(Heard::Nonsense) };
    let end = Header::SIZE + header.length as usize;
    let payload = inbox.get(Header::SIZE..end)?.to_vec();
    inbox.drain(..end);
    Some(PairMessage::decode(header.kind, &payload).map_or(Heard::Nonsense, Heard::Message))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use karo_protocol::Timestamp;
    use karo_trust::Identity;

    use super::*;

    #[tokio::test]
    async fn nobody_is_waited_for_longer_than_the_window() {
        let identity = Arc::new(Identity::generate(&mut System::default(), Timestamp::default()));
        let ours = Ours { identity, listen: None };
        let (progress, mut told) = mpsc::channel(1);
        let waits = listen(&ours, Some("127.0.0.1:0".to_owned()), &progress, Duration::from_millis(50));
        let ended = timeout(Duration::from_secs(20), waits).await.expect("the window closes");
        assert_eq!(ended.err().as_deref(), Some("nobody came; the window is closed"));
        let Some(Progress::Waiting { addresses, .. }) = told.recv().await else { panic!("it did not wait") };
        assert!(TcpStream::connect(addresses[0].as_str()).await.is_err(), "nothing stays open");
    }

    #[test]
    fn a_port_is_told_to_whom_it_can_be_reached_by() {
        let check = |listen: &str, local: &str, expected| {
            let is_heard = is_heard(listen.parse().unwrap(), local.parse().unwrap());
            assert_eq!(is_heard, expected, "{listen} at {local}");
        };
        check("0.0.0.0:9238", "192.168.1.20", true);
        check("0.0.0.0:9238", "::ffff:192.168.1.20", true);
        check("0.0.0.0:9238", "2001:db8::1", false);
        check("[::]:9238", "192.168.1.20", true);
        check("[::]:9238", "2001:db8::1", true);
        check("192.168.1.20:9238", "192.168.1.20", true);
        check("192.168.1.20:9238", "10.0.0.5", false);
        check("127.0.0.1:9238", "127.0.0.1", true);
        check("127.0.0.1:9238", "192.168.1.20", false);
        check("127.0.0.12:9238", "127.0.0.1", false);
    }
}
