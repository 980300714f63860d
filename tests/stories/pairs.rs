//! Two strangers pair: both people see the same words and both say yes, or nothing is trusted and nothing stays open.

use std::io::Write;
use std::net::TcpStream;

use karo_protocol::audit::{Deed, Reason};
use karo_protocol::local::{Reply, Request};
use karo_protocol::mesh::{LinkState, Pair, PairAnswer, PairSide, Pairing};
use karo_protocol::node::Hash;
use karo_protocol::pair::{PairMessage, PairNonce};
use karo_protocol::{NodeId, RequestId, Trust};
use karo_tests::binaries::binaries;
use karo_tests::{Node, Session, until};

use crate::handshakes::{Target, is_held, somebody, trickle};
use crate::pty::Pty;

/// One side of a pairing: a session that waits for how far it is.
struct Side {
    session: Session,
    id: RequestId,
}

impl Side {
    fn begin(node: &Node, side: PairSide, name: Option<&str>) -> Self {
        let mut session = node.karo.session();
        let pair = Pair { side, trust: Trust::ShareTo, name: name.map(str::to_owned), owner: None };
        let id = session.send(&Request::Pair(pair)).expect("the daemon reads");
        Self { session, id }
    }

    fn listen(node: &Node) -> Self {
        Self::begin(node, PairSide::Listen { address: Some(listener(node)) }, None)
    }

    fn dial(node: &Node, code: &str, address: &str) -> Self {
        Self::begin(node, PairSide::Dial { code: code.to_owned(), address: address.to_owned() }, None)
    }

    fn next(&mut self) -> Pairing {
        loop {
            match self.session.receive() {
                Ok((id, Reply::Pairing(pairing))) if id == self.id => return pairing,
                // The other side was faster with its no than our answer with its way.
                Ok((id, Reply::Failure(_))) if id != self.id => {}
                other => panic!("not how far the pairing is: {other:?}"),
            }
        }
    }

    fn code(&mut self) -> String {
        match self.next() {
            Pairing::Waiting { code, .. } => code,
            other => panic!("it does not wait: {other:?}"),
        }
    }

    fn words(&mut self) -> Vec<String> {
        match self.next() {
            Pairing::Words { words, .. } => words,
            other => panic!("no words but {other:?}"),
        }
    }

    fn say(&mut self, is_yes: bool) {
        self.session.send(&Request::PairAnswer(PairAnswer { is_yes })).expect("the daemon reads");
    }

    fn failure(&mut self) -> String {
        loop {
            match self.next() {
                Pairing::Failed { reason } => return reason,
                Pairing::Waited => {}
                other => panic!("it did not fail: {other:?}"),
            }
        }
    }

    fn paired(&mut self) -> String {
        loop {
            match self.next() {
                Pairing::Paired(row) => return row.name,
                Pairing::Waited => {}
                other => panic!("they are not paired: {other:?}"),
            }
        }
    }
}

/// Where the stories' listeners wait: at their node's own address, on the usual port.
fn listener(node: &Node) -> String {
    let (host, _) = node.address.rsplit_once(':').expect("it has a port");
    format!("{host}:9239")
}

/// Begins a pairing of two nodes up to the words.
fn begun(one: &Node, other: &Node) -> (Side, Side) {
    let mut waits = Side::listen(one);
    let code = waits.code();
    let mut dials = Side::dial(other, &code, &listener(one));
    assert_eq!(waits.words(), dials.words());
    (waits, dials)
}

/// Demands that nobody is trusted, nothing listens, and the next pairing can begin.
fn nothing_stays(one: &Node, other: &Node) {
    until("the window is closed", || TcpStream::connect(listener(one)).is_err().then_some(()));
    for node in [one, other] {
        assert_eq!(node.peers(), [], "nobody is trusted");
        assert_eq!(node.count(Deed::PeerAdded, None), 0);
    }
    // The next one begins where the last one has ended.
    let mut again = until("another pairing begins", || {
        let mut again = Side::listen(one);
        match again.next() {
            Pairing::Waiting { .. } => Some(again),
            Pairing::Failed { .. } => None,
            other => panic!("it does not wait: {other:?}"),
        }
    });
    again.say(false);
    again.failure();
}

#[test]
fn two_that_say_yes_are_peers_and_linked() {
    let (one, other) = (Node::running(), Node::running());
    let (mut waits, mut dials) = begun(&one, &other);
    waits.say(true);
    dials.say(true);
    waits.paired();
    dials.paired();
    let (first, second) = (one.node_id(), other.node_id());
    for (node, peer) in [(&one, second), (&other, first)] {
        let row = node.wait_for(peer, LinkState::Connected);
        assert_eq!((row.trust, row.is_configured), (Trust::ShareTo, false));
        assert_eq!(node.count(Deed::PeerAdded, Some(Reason::Pairing)), 1);
    }
    until("the window is closed", || TcpStream::connect(listener(&one)).is_err().then_some(()));
}

#[test]
fn a_no_or_a_loss_on_either_side_leaves_nothing() {
    type End = fn(Side, Side);
    let ends: [(&str, End); 8] = [
        ("the listener says no", |mut waits, mut dials| {
            waits.say(false);
            assert!(waits.failure().contains("you said no"));
            assert!(dials.failure().contains("said no"));
        }),
        ("the dialler says no", |mut waits, mut dials| {
            dials.say(false);
            assert!(dials.failure().contains("you said no"));
            assert!(waits.failure().contains("said no"));
        }),
        ("the listener says no to a yes", |mut waits, mut dials| {
            dials.say(true);
            waits.say(false);
            assert!(waits.failure().contains("you said no"));
            assert!(dials.failure().contains("said no"));
        }),
        ("the dialler says no to a yes", |mut waits, mut dials| {
            waits.say(true);
            dials.say(false);
            assert!(dials.failure().contains("you said no"));
            assert!(waits.failure().contains("said no"));
        }),
        ("the listener's person leaves", |waits, mut dials| {
            drop(waits);
            dials.failure();
        }),
        ("the dialler's person leaves", |mut waits, dials| {
            drop(dials);
            waits.failure();
        }),
        ("the listener's person leaves after a yes", |mut waits, mut dials| {
            waits.say(true);
            drop(waits);
            dials.failure();
        }),
        ("the dialler's person leaves after a yes of the other", |mut waits, dials| {
            waits.say(true);
            drop(dials);
            waits.failure();
        }),
    ];
    let (one, other) = (Node::running(), Node::running());
    for (what, end) in ends {
        eprintln!("{what}");
        let (waits, dials) = begun(&one, &other);
        end(waits, dials);
        nothing_stays(&one, &other);
    }
}

#[test]
fn a_daemon_that_dies_in_a_pairing_leaves_nothing() {
    let (mut one, mut other) = (Node::running(), Node::running());
    let (waits, mut dials) = begun(&one, &other);
    dials.say(true);
    one.karo.kill();
    dials.failure();
    drop(waits);
    one.karo.launch();
    nothing_stays(&one, &other);
    let (mut waits, dials) = begun(&one, &other);
    waits.say(true);
    other.karo.kill();
    waits.failure();
    drop(dials);
    other.karo.launch();
    nothing_stays(&one, &other);
}

#[test]
fn whoever_leaves_before_anybody_comes_closes_the_window() {
    let (one, other) = (Node::running(), Node::running());
    let mut waits = Side::listen(&one);
    waits.code();
    drop(waits);
    nothing_stays(&one, &other);
}

#[test]
fn a_wrong_code_costs_the_whole_session() {
    let (one, other) = (Node::running(), Node::running());
    let mut waits = Side::listen(&one);
    let code = waits.code();
    let first = if code.starts_with('a') { 'b' } else { 'a' };
    let mut dials = Side::dial(&other, &format!("{first}{}", &code[1..]), &listener(&one));
    assert!(waits.failure().contains("another code"));
    assert!(dials.failure().contains("code"));
    nothing_stays(&one, &other);
    let mut dials = Side::dial(&other, "not a code", &listener(&one));
    assert!(dials.failure().contains("is no code"));
    let mut dials = Side::dial(&other, &code, &listener(&one));
    assert!(dials.failure().contains("peers pair --listen"));
}

#[test]
fn strangers_at_the_listener_keep_nobody_out() {
    let (one, other) = (Node::running(), Node::running());
    let mut waits = Side::listen(&one);
    let code = waits.code();
    // One says nothing, one says something else, one leaves at once.
    let silent = TcpStream::connect(listener(&one)).expect("it listens");
    let mut loud = TcpStream::connect(listener(&one)).expect("it listens");
    loud.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("it reads");
    drop(TcpStream::connect(listener(&one)).expect("it listens"));
    let mut dials = Side::dial(&other, &code, &listener(&one));
    assert_eq!(waits.words(), dials.words());
    drop((silent, loud));
    // A second one finds nobody: there is one session, and it is taken.
    let third = Node::running();
    let mut late = Side::dial(&third, &code, &listener(&one));
    assert!(late.failure().contains("peers pair --listen"));
    dials.say(true);
    waits.say(true);
    waits.paired();
    dials.paired();
    assert!(one.peer(third.node_id()).is_none() && third.peers().is_empty());
}

#[test]
fn strangers_who_dawdle_are_let_go() {
    let (one, other) = (Node::running(), Node::running());
    let mut waits = Side::listen(&one);
    let code = waits.code();
    // As many as are seen through at once.
    let silent: Vec<_> = (0..8).map(|_| TcpStream::connect(listener(&one)).expect("it listens")).collect();
    let (mut dials, words) = until("a place is free again", || {
        let mut dials = Side::dial(&other, &code, &listener(&one));
        match dials.next() {
            Pairing::Words { words, .. } => Some((dials, words)),
            Pairing::Failed { .. } => None,
            shown => panic!("no words but {shown:?}"),
        }
    });
    drop(silent);
    assert_eq!(waits.words(), words);
    dials.say(true);
    waits.say(true);
    waits.paired();
    dials.paired();
}

/// Ten seconds are for each message, whole: neither who says nothing keeps a window open, nor who says a byte a second.
#[test]
fn whoever_says_nothing_ends_the_pairing() {
    let nodes = [Node::running(), Node::running()];
    let message = PairMessage::Nonce(PairNonce { nonce: Hash([7; 32]) }).encode().expect("it is short");
    let mut strangers = nodes.each_ref().map(|node| {
        let mut waits = Side::listen(node);
        waits.code();
        let address = listener(node);
        let target =
            Target { address: &address, node: node.node_id(), trusted: node.node_id(), refused: Vec::new() };
        (waits, target.meets(&somebody()).expect("it waits to be paired with"))
    });
    let held = strangers
        .each_ref()
        .map(|(_, stranger)| stranger.sock.try_clone().expect("a socket can be held twice"));
    let mut trickle = trickle(&mut strangers[1].1, &message);
    until("both are let go", || {
        trickle();
        (!held.iter().any(is_held)).then_some(())
    });
    drop(trickle);
    for (waits, _) in &mut strangers {
        assert_eq!(waits.failure(), "it took too long");
    }
    nothing_stays(&nodes[0], &nodes[1]);
    nothing_stays(&nodes[1], &nodes[0]);
}

#[test]
fn one_pairing_at_a_time() {
    let (one, other) = (Node::running(), Node::running());
    let (mut waits, mut dials) = begun(&one, &other);
    for node in [&one, &other] {
        assert!(Side::listen(node).failure().contains("another pairing"));
    }
    waits.say(true);
    dials.say(true);
    waits.paired();
    dials.paired();
}

#[test]
fn what_cannot_be_a_peer_is_refused_before_anybody_says_yes() {
    let (one, other) = (Node::running(), Node::running());
    one.trust(NodeId([7; 32]), &[], Trust::Member);
    let name = one.peers()[0].name.clone();
    let mut waits = Side::begin(&one, PairSide::Listen { address: Some(listener(&one)) }, Some(&name));
    let code = waits.code();
    let mut dials = Side::dial(&other, &code, &listener(&one));
    assert!(waits.failure().contains(&name));
    dials.failure();
    assert_eq!(other.peers(), []);
    assert_eq!(one.peers().len(), 1);
}

/// Reads on until the text was shown, and returns everything that was.
fn shows(pty: &mut Pty, text: &str) -> String {
    pty.read_until(text, |shown| {
        let shown = String::from_utf8_lossy(shown).into_owned();
        shown.contains(text).then_some(shown)
    })
}

/// Returns the line in the frame.
fn framed(screen: &str) -> String {
    let framed = screen.lines().filter(|line| line.contains('│')).map(|line| line.replace('│', " "));
    let words = framed.map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" "));
    words.into_iter().find(|line| !line.is_empty()).unwrap_or_else(|| panic!("no words in a frame: {screen}"))
}

#[test]
fn two_people_pair_as_the_manual_says() {
    let (one, other) = (Node::running(), Node::running());
    let ctl = |node: &Node, arguments: &[&str]| {
        let mut command = node.karo.command(&binaries().karoctl);
        command.args(arguments).env("TERM", "dumb");
        Pty::start(&command)
    };
    let at = listener(&one);
    let mut desk = ctl(&one, &["peers", "pair", "--listen", &at, "--name", "laptop"]);
    let shown = shows(&mut desk, "karoctl peers pair ");
    let shown = if shown.contains('@') { shown } else { shows(&mut desk, &at) };
    let line = shown.lines().find(|line| line.contains("karoctl peers pair ")).expect("it was shown");
    let target = line.trim().rsplit(' ').next().expect("it ends with what to type").to_owned();
    let mut laptop = ctl(&other, &["peers", "pair", &target, "--name", "desk"]);
    let question = "in this order?";
    let words = [&mut desk, &mut laptop].map(|pty| framed(&shows(pty, question)));
    assert_eq!(words[0], words[1]);
    assert_eq!(words[0].split(' ').count(), 4);
    for pty in [&mut desk, &mut laptop] {
        // What was typed before the question is forgotten, so it is read first.
        shows(pty, "[y/N] ");
        pty.write(b"y\n");
    }
    shows(&mut desk, "laptop");
    for pty in [&mut desk, &mut laptop] {
        shows(pty, "is trusted as member");
        assert!(pty.ended().success(), "{}", pty.screen());
    }
    one.wait_for(other.node_id(), LinkState::Connected);
    other.wait_for(one.node_id(), LinkState::Connected);
    assert!(one.karo.ctl_ok(&["peers"]).contains("laptop"));
    assert!(other.karo.ctl_ok(&["peers"]).contains("desk"));
}
