use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use karo_protocol::node::{Hash, Nonce};
use karo_protocol::peer::{
    Capabilities, Control, EARLY_FRAME_BYTES_MAX, Goodbye, Hello, Parting, Ping, SKIPPED_FROM,
};
use karo_protocol::{NodeId, Timestamp, frame};
use karo_trust::roster::Refusal;
use karo_trust::tls::{Gate, Refused};
use karo_trust::{Identity, Signer, System};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::control::{Receiver, Sender};
use super::frames::{Ended, FrameReader, FrameWriter};
use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

/// Admits the nodes it names.
#[derive(Debug)]
struct Named(BTreeSet<NodeId>);

impl Gate for Named {
    fn admits(&self, node: NodeId) -> Result<(), Refusal> {
        if self.0.contains(&node) { Ok(()) } else { Err(Refusal::Unknown { node }) }
    }
}

/// One side of a connection.
struct Side {
    link: Tcp,
    sender: Sender,
    receiver: Receiver,
}

/// Two nodes on loopback, one of which listens.
struct Pair {
    dialler: Arc<Identity>,
    listener: Arc<Identity>,
    socket: TcpListener,
}

fn identity() -> Arc<Identity> {
    Arc::new(Identity::generate(&mut System::default(), Timestamp::from_micros(0)))
}

impl Pair {
    async fn new() -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { dialler: identity(), listener: identity(), socket }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    fn dialled(&self) -> Dialled {
        self.dialled_as(self.listener.node_id())
    }

    fn dialled_as(&self, peer: NodeId) -> Dialled {
        let config = karo_trust::tls::client_config(self.dialler.as_ref(), peer);
        Dialled::peer(peer, self.dialler.node_id(), config)
    }

    fn listening(&self, admitted: &[NodeId]) -> Listening {
        let gate = Named(admitted.iter().copied().collect());
        let config = karo_trust::tls::server_config(&self.listener, Arc::new(gate));
        Listening::links(self.listener.node_id(), config)
    }

    async fn accept_one(&self, listening: &Listening, patience: Duration) -> Result<Connection, NotAccepted> {
        let (tcp, address) = self.socket.accept().await.unwrap();
        accept(listening, tcp, address, patience).await
    }

    /// Connects both sides; nothing is said.
    async fn connect(&self) -> (Connection, Connection) {
        let (dialled, listening) = (self.dialled(), self.listening(&[self.dialler.node_id()]));
        let addresses = [self.address()];
        let (dialled, accepted) =
            tokio::join!(dial(&dialled, &addresses, PATIENCE, |_| {}), self.accept_one(&listening, PATIENCE));
        (dialled.unwrap(), accepted.unwrap())
    }

    async fn start(&self) -> (Side, Side) {
        let (dialled, accepted) = self.connect().await;
        (side(dialled, &self.dialler), side(accepted, &self.listener))
    }
}

/// Begins on both sides, and lets both open streams.
async fn admitted(pair: &Pair) -> (Side, Side) {
    let (mut one, mut other) = pair.start().await;
    one.sender.send(1, &hello()).await.unwrap();
    other.sender.send(1, &hello()).await.unwrap();
    heard(&mut one).await;
    heard(&mut other).await;
    one.link.admit();
    other.link.admit();
    (one, other)
}

fn side(connection: Connection, identity: &Arc<Identity>) -> Side {
    let (link, sender, receiver) = connection.start(Arc::clone(identity) as Arc<dyn Signer>);
    Side { link, sender, receiver }
}

/// Runs a test on a runtime of its own; one that hangs is ended.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(20), test).await.expect("it hangs");
    });
}

fn hello() -> Control {
    Control::Hello(Hello {
        versions: (1, 1),
        run: Nonce([1; 16]),
        now: Timestamp::from_micros(0),
        next_key: Hash([2; 32]),
        program: "karod".to_owned(),
    })
}

fn ping(number: u64) -> Control {
    Control::Ping(Ping { number, now: Timestamp::from_micros(0), head: None })
}

async fn heard(side: &mut Side) -> Control {
    side.receiver.next().await.unwrap().control.unwrap()
}

#[test]
fn both_sides_greet_at_once_and_know_one_another() {
    run(async {
        let pair = Pair::new().await;
        let (dialled, accepted) = pair.connect().await;
        assert_eq!(dialled.remote().exporter, accepted.remote().exporter);
        assert_eq!(dialled.remote().peer, accepted.remote().own);
        assert_eq!(dialled.remote().own, accepted.remote().peer);
        assert!(dialled.remote().is_dialled && !accepted.remote().is_dialled);
        let (again, _) = pair.connect().await;
        assert_ne!(again.remote().exporter, dialled.remote().exporter);
        let (mut one, mut other) = (side(dialled, &pair.dialler), side(accepted, &pair.listener));
        one.sender.send(1, &hello()).await.unwrap();
        other.sender.send(1, &hello()).await.unwrap();
        assert_eq!(heard(&mut one).await, hello());
        assert_eq!(heard(&mut other).await, hello());
        for number in 0..100 {
            one.sender.send(1, &ping(number)).await.unwrap();
            assert_eq!(heard(&mut other).await, ping(number));
        }
    });
}

#[test]
fn streams_carry_bytes_behind_a_signed_frame() {
    run(async {
        let pair = Pair::new().await;
        let (one, other) = admitted(&pair).await;
        let bulk: Vec<u8> = (0..3_000_000_u32).map(|n| (n >> 3) as u8).collect();
        let send = async {
            let stream = one.link.open().await.unwrap();
            let number = stream.number;
            let mut writer = FrameWriter::new(
                stream,
                Arc::clone(&pair.dialler) as Arc<dyn Signer>,
                one.link.remote(),
                number,
            );
            writer.write(frame::encode(SKIPPED_FROM, &"what follows").unwrap()).await.unwrap();
            let mut stream = writer.into_inner();
            stream.write_all(&bulk).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            assert_eq!(answer, b"taken");
        };
        let receive = async {
            let stream = other.link.accept().await.unwrap();
            let number = stream.number;
            let mut reader = FrameReader::new(stream, other.link.remote(), number);
            let (header, payload) = reader.read(1024).await.unwrap().unwrap();
            assert_eq!(
                (header.kind, frame::decode::<String>(payload).unwrap().as_str()),
                (SKIPPED_FROM, "what follows")
            );
            let mut stream = reader.into_inner();
            let mut received = Vec::new();
            stream.read_to_end(&mut received).await.unwrap();
            assert!(received == bulk);
            stream.write_all(b"taken").await.unwrap();
            stream.shutdown().await.unwrap();
        };
        tokio::join!(send, receive);
    });
}

#[test]
fn a_stream_before_the_greeting_ends_the_connection() {
    run(async {
        let pair = Pair::new().await;
        let (mut one, mut other) = pair.start().await;
        one.sender.send(1, &hello()).await.unwrap();
        assert_eq!(heard(&mut other).await, hello());
        let mut stream = one.link.open().await.unwrap();
        stream.write_all(b"early").await.unwrap();
        let lost = other.link.closed().await;
        assert!(matches!(&lost, Loss::Protocol(message) if message.contains("before")), "{lost:?}");
        assert_eq!(other.receiver.next().await, Err(Ended::Lost(lost)));
    });
}

#[test]
fn the_control_stream_comes_first() {
    run(async {
        let pair = Pair::new().await;
        let (one, other) = pair.start().await;
        one.link.admit();
        other.link.admit();
        one.link.open().await.unwrap().write_all(b"first").await.unwrap();
        let lost = other.link.closed().await;
        assert!(matches!(&lost, Loss::Protocol(message) if message.contains("control stream")), "{lost:?}");
    });
}

#[test]
fn a_frame_is_bounded_before_it_is_read() {
    run(async {
        let pair = Pair::new().await;
        let (mut one, mut other) = pair.start().await;
        let names = vec!["x".repeat(EARLY_FRAME_BYTES_MAX as usize)];
        let long = Control::Capabilities(Capabilities { names });
        other.link.admit();
        one.sender.send(1, &long).await.unwrap();
        assert_eq!(heard(&mut other).await, long);
        let (mut one, mut other) = pair.start().await;
        one.sender.send(1, &long).await.unwrap();
        let ended = other.receiver.next().await.unwrap_err();
        assert!(
            matches!(&ended, Ended::Violation(message) if message.contains("at most 65536")),
            "{ended:?}"
        );
    });
}

#[test]
fn a_frame_of_another_key_or_another_place_is_refused() {
    run(async {
        let pair = Pair::new().await;
        let (dialled, accepted) = pair.connect().await;
        let mut one = side(dialled, &identity());
        let mut other = side(accepted, &pair.listener);
        one.sender.send(1, &hello()).await.unwrap();
        assert!(matches!(other.receiver.next().await, Err(Ended::Violation(_))));

        // The number of a stream is part of what is signed.
        let (one, other) = admitted(&pair).await;
        let stream = one.link.open().await.unwrap();
        let mut writer = FrameWriter::new(
            stream,
            Arc::clone(&pair.dialler) as Arc<dyn Signer>,
            one.link.remote(),
            CONTROL,
        );
        writer.write(hello().encode(1).unwrap()).await.unwrap();
        let stream = other.link.accept().await.unwrap();
        let number = stream.number;
        let mut reader = FrameReader::new(stream, other.link.remote(), number);
        assert!(matches!(reader.read(1024).await, Err(Ended::Violation(_))));
    });
}

#[test]
fn an_unknown_type_is_passed_over_from_8000_up() {
    run(async {
        let pair = Pair::new().await;
        let (mut one, mut other) = pair.start().await;
        for (kind, is_passed) in [(SKIPPED_FROM, true), (0xffff, true), (SKIPPED_FROM - 1, false)] {
            one.sender.0.write(frame::encode_as(1, kind, &7_u8).unwrap()).await.unwrap();
            let received = other.receiver.next().await;
            assert_eq!(received.is_ok_and(|received| received.control.is_none()), is_passed, "{kind:#x}");
        }
    });
}

#[test]
fn a_last_word_comes_before_the_end() {
    run(async {
        let pair = Pair::new().await;
        let (mut one, mut other) = pair.start().await;
        let goodbye = Control::Goodbye(Goodbye { reason: Parting::Stopping, message: String::new() });
        one.sender.send(1, &goodbye).await.unwrap();
        one.link.close();
        assert_eq!(one.link.closed().await, Loss::Closed);
        assert_eq!(heard(&mut other).await, goodbye);
        assert_eq!(other.receiver.next().await, Err(Ended::Lost(Loss::Closed)));
        assert!(other.link.open().await.is_err());
        assert!(other.link.accept().await.is_err());
    });
}

/// The goodbye lies unread, and what is written meets a socket that is closed.
#[test]
fn a_last_word_reaches_whoever_writes_meanwhile() {
    let (dialler, listener) = (identity(), identity());
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = socket.local_addr().unwrap();
    let config = karo_trust::tls::client_config(dialler.as_ref(), listener.node_id());
    let dialled = Dialled::peer(listener.node_id(), dialler.node_id(), config);
    let goodbye = Control::Goodbye(Goodbye { reason: Parting::Stopping, message: String::new() });
    let (greeted, is_greeted) = std::sync::mpsc::channel();
    let (own, last_word) = (Arc::clone(&dialler), goodbye.clone());
    let peer = std::thread::spawn(move || {
        run(async move {
            let pair = Pair { dialler, listener, socket: TcpListener::from_std(socket).unwrap() };
            let listening = pair.listening(&[pair.dialler.node_id()]);
            let mut other = side(pair.accept_one(&listening, PATIENCE).await.unwrap(), &pair.listener);
            other.sender.send(1, &hello()).await.unwrap();
            heard(&mut other).await;
            is_greeted.recv().unwrap();
            other.sender.send(1, &last_word).await.unwrap();
            other.link.close();
            assert_eq!(other.link.closed().await, Loss::Closed);
        });
    });
    run(async move {
        let mut one = side(dial(&dialled, &[address], PATIENCE, |_| {}).await.unwrap(), &own);
        one.sender.send(1, &hello()).await.unwrap();
        heard(&mut one).await;
        // Nothing is read here until the peer is gone, and then two messages are on their way already.
        greeted.send(()).unwrap();
        peer.join().unwrap();
        one.sender.send(1, &ping(0)).await.unwrap();
        one.sender.send(1, &ping(1)).await.unwrap();
        assert_eq!(heard(&mut one).await, goodbye);
        assert_eq!(one.receiver.next().await, Err(Ended::Lost(Loss::Closed)));
    });
}

#[test]
fn a_link_that_is_dropped_is_cut() {
    run(async {
        let pair = Pair::new().await;
        let (one, mut other) = pair.start().await;
        drop(one.link);
        assert!(matches!(other.receiver.next().await, Err(Ended::Lost(_))));
        other.link.closed().await;
    });
}

/// As a daemon closes one: a task waits for the peer's next word, and hears of the end.
#[test]
fn whoever_closes_hears_of_the_end() {
    run(async {
        let pair = Pair::new().await;
        let (mut one, mut other) = pair.start().await;
        let hello = Control::Ping(Ping { number: 0, now: Timestamp::from_micros(0), head: None });
        other.sender.send(1, &hello).await.unwrap();
        assert_eq!(heard(&mut one).await, hello);
        let reading = tokio::spawn(async move { one.receiver.next().await });
        one.link.close();
        assert_eq!(reading.await.unwrap(), Err(Ended::Lost(Loss::Closed)));
    });
}

#[test]
fn open_streams_are_few_and_make_room() {
    run(async {
        let pair = Pair::new().await;
        let (one, other) = admitted(&pair).await;
        for _ in 0..3 {
            let mut held = Vec::new();
            for _ in 0..STREAMS_OPENED_MAX {
                let mut mine = one.link.open().await.unwrap();
                mine.write_all(b"x").await.unwrap();
                let theirs = other.link.accept().await.unwrap();
                let mut back = other.link.open().await.unwrap();
                back.write_all(b"y").await.unwrap();
                held.push((mine, theirs, back, one.link.accept().await.unwrap()));
            }
            let mut next = one.link.open();
            let is_waiting =
                std::future::poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx).is_pending())).await;
            assert!(is_waiting);
            held.pop();
            next.await.unwrap();
        }
    });
}

#[test]
fn the_first_good_address_wins() {
    run(async {
        let pair = Pair::new().await;
        // Nobody listens at the first, and at the second somebody who says nothing.
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = [nobody, mute.local_addr().unwrap(), pair.address()];
        let (dialled, listening) = (pair.dialled(), pair.listening(&[pair.dialler.node_id()]));
        // So long that the test would be over before the mute one is given up.
        let patience = 10 * PATIENCE;
        let (dialled, accepted) =
            tokio::join!(dial(&dialled, &addresses, patience, |_| {}), pair.accept_one(&listening, PATIENCE));
        accepted.unwrap();
        assert_eq!(dialled.unwrap().remote().address, pair.address());
    });
}

#[test]
fn a_dial_says_what_became_of_each_address() {
    run(async {
        let pair = Pair::new().await;
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mute_address = mute.local_addr().unwrap();
        let failed = dial(&pair.dialled(), &[nobody, mute_address], Duration::from_millis(300), |_| {}).await;
        let DialFailed(failures) = failed.unwrap_err();
        assert!(
            matches!(&failures[..], [(one, Loss::TimedOut(_)), (other, Loss::Unreachable(_))]
            if *one == mute_address && *other == nobody),
            "{failures:?}"
        );
        let failed = dial(&pair.dialled(), &[], PATIENCE, |_| {}).await.unwrap_err();
        assert_eq!(failed.loss(), Loss::Unreachable("no address to dial".to_owned()));
    });
}

#[test]
fn a_stranger_is_refused_and_told() {
    run(async {
        let pair = Pair::new().await;
        let (dialled, listening) = (pair.dialled(), pair.listening(&[]));
        let addresses = [pair.address()];
        let (dialled, accepted) =
            tokio::join!(dial(&dialled, &addresses, PATIENCE, |_| {}), pair.accept_one(&listening, PATIENCE));
        let refused = accepted.unwrap_err();
        let NotAccepted::Refused(Refused::Gate { node, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(node, pair.dialler.node_id());
        // In TLS 1.3 the dialler is done before it is refused: it hears of it with the first answer.
        let mut one = side(dialled.unwrap(), &pair.dialler);
        let ended = one.receiver.next().await.unwrap_err();
        assert!(matches!(&ended, Ended::Lost(Loss::Refused(_))), "{ended:?}");
    });
}

/// With its first message on the way already: a reset would look like a bad network, and be dialled again at once.
#[test]
fn a_stranger_who_speaks_at_once_is_told_all_the_same() {
    run(async {
        for _ in 0..50 {
            let pair = Pair::new().await;
            let (dialled, listening) = (pair.dialled(), pair.listening(&[]));
            let addresses = [pair.address()];
            let talk = async {
                let mut one =
                    side(dial(&dialled, &addresses, PATIENCE, |_| {}).await.unwrap(), &pair.dialler);
                let ping = Control::Ping(Ping { number: 0, now: Timestamp::from_micros(0), head: None });
                // Whether it still leaves is the network's affair.
                drop(one.sender.send(1, &ping).await);
                one.receiver.next().await.unwrap_err()
            };
            let (ended, accepted) = tokio::join!(talk, pair.accept_one(&listening, PATIENCE));
            accepted.unwrap_err();
            assert!(matches!(&ended, Ended::Lost(Loss::Refused(_))), "{ended:?}");
        }
    });
}

#[test]
fn another_key_than_the_one_that_was_dialled_is_refused() {
    run(async {
        let pair = Pair::new().await;
        let listening = pair.listening(&[pair.dialler.node_id()]);
        let dialled = pair.dialled_as(identity().node_id());
        let addresses = [pair.address()];
        let (dialled, accepted) =
            tokio::join!(dial(&dialled, &addresses, PATIENCE, |_| {}), pair.accept_one(&listening, PATIENCE));
        accepted.unwrap_err();
        dialled.unwrap_err();
    });
}

#[test]
fn whoever_says_nothing_or_nonsense_is_let_go() {
    run(async {
        let pair = Pair::new().await;
        let listening = pair.listening(&[pair.dialler.node_id()]);
        let patience = Duration::from_millis(50);
        let mute = TcpStream::connect(pair.address()).await.unwrap();
        assert_eq!(pair.accept_one(&listening, patience).await.unwrap_err(), NotAccepted::TimedOut(patience));
        drop(mute);
        let mut http = TcpStream::connect(pair.address()).await.unwrap();
        http.write_all(b"GET / HTTP/1.1\r\nHost: karo\r\n\r\n").await.unwrap();
        let refused = pair.accept_one(&listening, PATIENCE).await.unwrap_err();
        assert!(matches!(refused, NotAccepted::Lost(Loss::Protocol(_))), "{refused:?}");
        drop(TcpStream::connect(pair.address()).await.unwrap());
        let refused = pair.accept_one(&listening, PATIENCE).await.unwrap_err();
        assert!(matches!(refused, NotAccepted::Lost(_)), "{refused:?}");
    });
}

/// The deadline is that of the whole handshake: a byte now and then does not put it off.
#[test]
fn whoever_sends_a_byte_now_and_then_is_let_go() {
    run(async {
        let pair = Pair::new().await;
        let listening = pair.listening(&[pair.dialler.node_id()]);
        let patience = Duration::from_millis(500);
        let mut slow = TcpStream::connect(pair.address()).await.unwrap();
        let trickle = async {
            // The head of a record of 16 KiB: the rest of it is a long time in coming.
            slow.write_all(&[0x16, 3, 1, 0x40, 0]).await.unwrap();
            let mut beat = tokio::time::interval(patience / 20);
            loop {
                beat.tick().await;
                slow.write_all(&[1]).await.unwrap();
            }
        };
        tokio::select! {
            accepted = pair.accept_one(&listening, patience) => {
                assert_eq!(accepted.unwrap_err(), NotAccepted::TimedOut(patience));
            }
            () = trickle => unreachable!("it sends on"),
        }
    });
}
