//! Links under faults and attacks, on loopback: whoever is not trusted gets no session, whoever crashes or freezes
//! comes back, and there is one link in the end.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;

use karo_protocol::audit::{AuditFilter, Deed, Reason};
use karo_protocol::local::{FailureCode, Reply, Request};
use karo_protocol::mesh::{Change, LinkState, PeerAdd, PeerRow};
use karo_protocol::{NodeId, Timestamp, Trust};
use karo_tests::mesh::link;
use karo_tests::{Karo, Node, Session, Typist, number_from, until};
use karo_trust::{System, tls};
use rustix::process::Signal;

use crate::handshakes::{Target, is_held, somebody, trickle};

/// How many handshakes of one address a daemon sees through at once.
const HANDSHAKES_OF_ONE_MAX: usize = 16;

/// What a daemon may hold more after an attack than before: the allocator gives not all back, and a debug build
/// least of all.
const LEFT_BYTES_MAX: u64 = 24 << 20;

fn trusts(node: &Node, key: NodeId, name: &str, trust: Trust, expires_at: Option<Timestamp>) {
    let add = PeerAdd {
        node_id: key,
        addresses: Vec::new(),
        trust,
        name: Some(name.to_owned()),
        owner: None,
        expires_at,
    };
    let reply = node.ask(&Request::PeerAdd(add));
    assert!(matches!(reply, Reply::Peer(_)), "{reply:?}");
}

/// Waits until exactly one connection stands between a node and everybody, and it is the same at both ends.
fn wait_for_one_connection(one: &Karo, other: &Karo) {
    until("one connection is left", || {
        let (mine, theirs) = (one.connections(), other.connections());
        let is_one = mine.len() == 1 && theirs.len() == 1;
        (is_one && (&mine[0].0, &mine[0].1) == (&theirs[0].1, &theirs[0].0)).then_some(())
    });
}

/// A daemon that strangers and those it refuses are at, with one honest peer.
struct Besieged {
    one: Node,
    honest: Node,
    trusted: NodeId,
    refused: Vec<(&'static str, Arc<rustls::ClientConfig>)>,
    /// Sessions that were let in before the siege.
    guests: u64,
}

impl Besieged {
    fn new() -> Self {
        let (one, honest) = (Node::running(), Node::running());
        let trusted = honest.node_id();
        trusts(&one, trusted, "honest", Trust::Member, None);
        let mut besieged = Self { one, honest, trusted, refused: Vec::new(), guests: 0 };
        let (revoked, untrusted, removed) = (somebody(), somebody(), somebody());
        for (name, what, identity, change) in [
            ("revoked", "a session that was revoked", revoked, Change::Revoke),
            ("untrusted", "a key that is not trusted any more", untrusted, Change::Trust(Trust::Untrusted)),
            ("removed", "a key that was removed", removed, Change::Remove),
        ] {
            trusts(&besieged.one, identity.node_id(), name, Trust::Member, None);
            let config = besieged.target().eager(&identity);
            let guest = until("a key that is trusted is greeted", || besieged.target().greeted(&config));
            besieged.one.change(name, change);
            drop(guest);
            besieged.refused.push((what, config));
            besieged.guests += 1;
        }
        until("the guests are gone", || besieged.one.karo.connections().is_empty().then_some(()));
        besieged
    }

    fn target(&self) -> Target<'_> {
        Target {
            address: &self.one.address,
            node: self.one.node_id(),
            trusted: self.trusted,
            refused: self.refused.clone(),
        }
    }
}

#[test]
fn wrong_handshakes_make_no_session() {
    let besieged = Besieged::new();
    let target = besieged.target();
    let (one, honest) = (&besieged.one, &besieged.honest);
    let before = (one.karo.descriptors(), one.karo.threads(), one.karo.resident_bytes());
    let refused_before = one.audited(Deed::Refused, None);

    let wrong = target.wrong();
    assert!(wrong.len() >= 30, "{}", wrong.len());
    let mut turned_away = wrong.len() as u64;
    for (what, wrong) in wrong {
        assert!(!target.lets_in(wrong), "{what} was let in");
    }
    // Those who dawdle: nothing, a byte, half a hello, and a hello whose answer nobody follows.
    let hello = target.hello();
    let dawdle = |place: usize| {
        let mut tcp = target.connect();
        let said = [0, 1, hello.len() / 2, hello.len()][place % 4];
        tcp.write_all(&hello[..said]).expect("the daemon listens");
        tcp
    };
    let mut dawdlers: Vec<TcpStream> = (0..HANDSHAKES_OF_ONE_MAX).map(dawdle).collect();
    honest.trust(one.node_id(), &[&one.address], Trust::Member);
    honest.wait_for(one.node_id(), LinkState::Connected);
    one.wait_for(honest.node_id(), LinkState::Connected);
    let held = dawdlers.iter().filter(|tcp| is_held(tcp)).count();
    assert!(held > 0, "the honest peer was let in only when nobody dawdled any more");

    // More of them than are seen through: the oldest are given up at once.
    dawdlers.extend((0..100).map(dawdle));
    turned_away += dawdlers.len() as u64;
    let given_up = (dawdlers.len() - HANDSHAKES_OF_ONE_MAX) as u64;
    let flooded = || one.karo.connections().len() <= HANDSHAKES_OF_ONE_MAX + 1;
    until("the oldest are given up", || flooded().then_some(()));
    // And nobody dawdles for ever, though nobody comes for whom to give them up: not by a byte a second either.
    let half = dawdlers.len() - 2;
    let mut trickle =
        trickle(dawdlers[half].try_clone().expect("a socket can be held twice"), &hello[hello.len() / 2..]);
    until("the last are given up", || {
        trickle();
        (!dawdlers.iter().any(is_held)).then_some(())
    });
    drop(dawdlers);

    let connected: Vec<_> = one.peers().into_iter().filter(|row| row.state == LinkState::Connected).collect();
    assert_eq!(connected.iter().map(|row| row.node_id).collect::<Vec<_>>(), [honest.node_id()]);
    let (descriptors, threads, bytes) = before;
    // One more is the link of the honest peer.
    until("descriptors are back", || (one.karo.descriptors() <= descriptors + 1).then_some(()));
    until("threads are back", || (one.karo.threads() <= threads).then_some(()));
    assert!(one.karo.resident_bytes() < bytes + LEFT_BYTES_MAX);
    check_refusals(besieged, refused_before, turned_away, given_up);
}

/// Demands that each of those who were turned away is in the audit, in a few entries.
fn check_refusals(besieged: Besieged, before: u64, turned_away: u64, given_up: u64) {
    let mut one = besieged.one;
    // What is counted together is written down when its minute is over, or at the end.
    assert!(one.karo.stop().success());
    one.karo.launch();
    let refused = |reason| one.audited(Deed::Refused, reason);
    assert_eq!(refused(None) - before, turned_away);
    assert!(refused(Some(Reason::Flood)) >= given_up - 1, "{}", refused(Some(Reason::Flood)));
    let entries = one.audit(AuditFilter { deeds: vec![Deed::Refused], ..AuditFilter::default() });
    assert!(entries.len() < 40, "{} entries", entries.len());
    // Those who had a session while they were trusted did not greet, so they were no links either.
    let connected = one.audit(AuditFilter { deeds: vec![Deed::Connected], ..AuditFilter::default() });
    let with: Vec<_> = connected.iter().filter_map(|row| row.entry.as_ref()?.peer).collect();
    assert!(with.iter().all(|node| *node == besieged.trusted), "{connected:?}");
    one.check_audit();
}

/// Whoever makes keys by the hundred must not be able to hide in the audit who came and went.
#[test]
fn strangers_do_not_drown_a_peer_in_the_audit() {
    let (mut one, other) = (Node::running(), Node::running());
    trusts(&one, other.node_id(), "other", Trust::Member, None);
    let target =
        Target { address: &one.address, node: one.node_id(), trusted: other.node_id(), refused: Vec::new() };
    let strangers = 300;
    for _ in 0..strangers {
        let config = tls::client_config(&somebody(), target.node);
        assert!(target.greeted(&config).is_none());
    }
    other.trust(one.node_id(), &[&one.address], Trust::Member);
    one.wait_for(other.node_id(), LinkState::Connected);
    assert!(one.karo.stop().success());
    one.karo.launch();
    assert_eq!(one.audited(Deed::Refused, None), strangers);
    let of = |deed| one.audit(AuditFilter { deeds: vec![deed], ..AuditFilter::default() });
    let peer = |row: &karo_protocol::audit::AuditRow| row.entry.as_ref().and_then(|entry| entry.peer);
    // As many keys as are told apart, and the rest counted together.
    assert!(of(Deed::Refused).len() <= 32, "{} entries for {strangers} strangers", of(Deed::Refused).len());
    for deed in [Deed::Connected, Deed::Disconnected] {
        let with: Vec<_> = of(deed).iter().map(peer).collect();
        assert!(with.contains(&Some(other.node_id())), "{deed}: {with:?}");
    }
}

#[test]
fn a_trusted_key_that_says_nothing_is_let_go() {
    let one = Node::running();
    let peer = karo_trust::Identity::generate(&mut System::default(), Timestamp::default());
    trusts(&one, peer.node_id(), "mute", Trust::Member, None);
    let before = one.karo.descriptors();
    let target =
        Target { address: &one.address, node: one.node_id(), trusted: peer.node_id(), refused: Vec::new() };
    let config = tls::client_config(&peer, one.node_id());
    // More than may be of one peer: those too many are closed at once, the others when they do not greet.
    let mut mute: Vec<_> = (0..8).filter_map(|_| target.greeted(&config)).collect();
    assert!(!mute.is_empty());
    // And one that greets with what is no frame, and one whose greeting is a byte a second.
    let slow = mute.pop().expect("there are some");
    if let Some(last) = mute.last_mut() {
        last.write_all(&[0xff; 64]).expect("the daemon reads");
    }
    let mut trickle = trickle(slow, &[0; 64]);
    until("all are let go", || {
        trickle();
        one.karo.connections().is_empty().then_some(())
    });
    until("descriptors are back", || (one.karo.descriptors() <= before).then_some(()));
    assert!(!one.was_connected("mute"));
}

/// Asks a node to ping a peer that stands still, and returns the session when the ping lies unread at the peer.
fn pinging(one: &Node, frozen: &Node, name: &str) -> Session {
    let before = frozen.karo.unread_bytes();
    let mut session = one.karo.session();
    session.send(&Request::PeerPing(name.to_owned())).expect("the daemon reads");
    until("the ping is there", || (frozen.karo.unread_bytes() > before).then_some(()));
    session
}

#[test]
fn revocation_closes_the_link_and_what_is_open() {
    let (mut one, mut other) = (Node::running(), Node::running());
    // Somebody else is trusted: with nobody left it would not listen at all.
    trusts(&one, somebody().node_id(), "another", Trust::Member, None);
    link(&one, &other, Trust::Member);
    let (first, second) = (one.node_id(), other.node_id());
    let name = one.peer(second).expect("it is a peer").name;
    let back = other.peer(first).expect("it is a peer").name;
    // It stands still, so nothing is answered; and nobody waits for its answers.
    other.karo.freeze();
    let mut session = pinging(&one, &other, &name);
    one.change(&name, Change::Revoke);
    let Ok((_, Reply::Failure(failure))) = session.receive() else {
        panic!("a ping was answered by a peer that stands still");
    };
    assert_eq!(failure.code, FailureCode::Refused, "{failure:?}");
    assert!(failure.message.contains("taken out of the roster there"), "{failure:?}");
    assert!(one.peer(second).is_none());
    until("the connection is gone", || one.karo.connections().is_empty().then_some(()));
    // The last word was said, though nobody listened then.
    other.karo.thaw();
    let row = other.wait_for(first, LinkState::Rejected);
    assert!(
        row.reason.as_ref().is_some_and(|reason| reason.contains("taken out of the roster there")),
        "{row:?}"
    );

    // Nothing comes back: not by itself, not after either has begun anew.
    let connected = other.audited(Deed::Connected, None);
    let refused = one.audited(Deed::Refused, None);
    for crashes in [&mut one, &mut other] {
        crashes.karo.kill();
        crashes.karo.launch();
    }
    until("it was refused again", || (one.audited(Deed::Refused, None) > refused).then_some(()));
    other.wait_for(first, LinkState::Rejected);
    assert!(one.peer(second).is_none());
    assert_eq!(other.audited(Deed::Connected, None), connected);
    assert!(one.karo.connections().is_empty());

    one.trust(second, &[&other.address], Trust::Member);
    one.wait_for(second, LinkState::Connected);
    other.wait_for(first, LinkState::Connected);
    wait_for_one_connection(&one.karo, &other.karo);
    other.ping(&back).expect("the link is whole");
}

/// A change of the roster is not left to the next frame: from a peer that stands still none comes.
#[test]
fn trust_that_is_taken_ends_the_link_at_once() {
    let (one, other) = (Node::running(), Node::running());
    link(&one, &other, Trust::Member);
    let name = one.peer(other.node_id()).expect("it is a peer").name;
    let second = other.node_id();
    other.karo.freeze();
    let mut session = pinging(&one, &other, &name);
    one.change(&name, Change::Trust(Trust::Untrusted));
    let Ok((_, Reply::Failure(failure))) = session.receive() else {
        panic!("a ping was answered by a peer that stands still");
    };
    assert_eq!(failure.code, FailureCode::Refused, "{failure:?}");
    until("the connection is gone", || one.karo.connections().is_empty().then_some(()));
    assert_eq!(one.peer(second).map(|row| row.trust), Some(Trust::Untrusted));
}

/// Nobody tells the link that a trust has run out: the roster is asked at each frame.
#[test]
fn trust_that_runs_out_ends_the_link_at_the_next_frame() {
    let (mut one, other) = (Node::running(), Node::running());
    let (first, second) = (one.node_id(), other.node_id());
    other.trust(first, &[], Trust::Member);
    let now = Timestamp::from_micros(other.peers()[0].since.as_micros());
    let expires_at = Timestamp::from_micros(now.as_micros() + 6_000_000);
    let add = PeerAdd {
        node_id: second,
        addresses: vec![other.address.clone()],
        trust: Trust::Member,
        name: None,
        owner: None,
        expires_at: Some(expires_at),
    };
    let reply = one.ask(&Request::PeerAdd(add));
    assert!(matches!(reply, Reply::Peer(_)), "{reply:?}");
    other.wait_for(first, LinkState::Connected);
    let back = other.peer(first).expect("it is a peer").name;
    until("a frame is refused", || other.ping(&back).is_err().then_some(()));
    until("the connection is gone", || one.karo.connections().is_empty().then_some(()));
    let row = one.peer(second).expect("it is a peer still");
    assert!(row.state == LinkState::Rejected && row.trust == Trust::Untrusted, "{row:?}");
    until("it is in the audit", || (one.audited(Deed::Refused, Some(Reason::Expired)) > 0).then_some(()));

    // Nor is it dialled any more, not even by a daemon that has just begun and dials everybody.
    one.karo.kill();
    one.karo.launch();
    let history = || one.shown(&row.name).history;
    until("it would be dialled", || {
        history().iter().any(|moment| moment.state == LinkState::Rejected).then_some(())
    });
    assert!(history().iter().all(|moment| moment.state != LinkState::Authenticating), "{:?}", history());
}

#[test]
fn either_side_may_crash() {
    let (mut one, mut other) = (Node::running(), Node::running());
    link(&one, &other, Trust::Member);
    let (first, second) = (one.node_id(), other.node_id());
    let before = (one.karo.descriptors(), other.karo.descriptors());
    for round in 0..number_from("KARO_ROUNDS", 6) {
        let crashing = if round % 2 == 0 { &mut one } else { &mut other };
        crashing.karo.kill();
        crashing.karo.launch();
        one.wait_for(second, LinkState::Connected);
        other.wait_for(first, LinkState::Connected);
        wait_for_one_connection(&one.karo, &other.karo);
    }
    for (node, before) in [(&one, before.0), (&other, before.1)] {
        until("descriptors are back", || (node.karo.descriptors() <= before).then_some(()));
        node.check_audit();
    }
}

#[test]
fn both_may_dial_at_once() {
    let (mut one, mut other) = (Node::running(), Node::running());
    link(&one, &other, Trust::Member);
    let (first, second) = (one.node_id(), other.node_id());
    for round in 0..number_from("KARO_ROUNDS", 6) {
        // Both are away, and both are there again before either may run: they dial in one instant.
        one.karo.kill();
        other.karo.kill();
        one.karo.launch();
        one.karo.freeze();
        other.karo.launch();
        one.karo.thaw();
        one.wait_for(second, LinkState::Connected);
        other.wait_for(first, LinkState::Connected);
        wait_for_one_connection(&one.karo, &other.karo);
        let names = (one.peer(second).expect("a peer").name, other.peer(first).expect("a peer").name);
        let pinged = (one.ping(&names.0), other.ping(&names.1));
        assert!(pinged.0.is_ok() && pinged.1.is_ok(), "round {round}: {pinged:?}");
    }
    let dials = |node: &Node, key| {
        let shown = node.shown(&node.peer(key).expect("a peer").name);
        shown.history.iter().filter(|moment| moment.state == LinkState::Connecting).count()
    };
    // A life of each: the first dial, and a few behind it while the other was away.
    assert!(dials(&one, second) <= 8 && dials(&other, first) <= 8);
}

#[test]
fn a_frozen_peer_is_itself_when_it_thaws() {
    let (one, other) = (Node::running(), Node::running());
    link(&one, &other, Trust::Member);
    let (first, second) = (one.node_id(), other.node_id());
    let (name, back) = (one.peer(second).expect("a peer").name, other.peer(first).expect("a peer").name);
    let connections = one.karo.connections();
    for _ in 0..3 {
        other.karo.freeze();
        let mut session = pinging(&one, &other, &name);
        other.karo.thaw();
        let (_, reply) = session.receive().expect("the daemon answers");
        assert!(matches!(reply, Reply::Pinged(_)), "{reply:?}");
        other.ping(&back).expect("the link is whole");
    }
    // Too short a rest to be anything but slow: the link is the one that it was.
    assert_eq!(one.karo.connections(), connections);
    assert_eq!((one.audited(Deed::Disconnected, None), other.audited(Deed::Disconnected, None)), (0, 0));
}

#[test]
fn heartbeats_are_answered_under_load() {
    let (one, other) = (Node::running(), Node::running());
    link(&one, &other, Trust::Member);
    let (first, second) = (one.node_id(), other.node_id());
    let (name, back) = (one.peer(second).expect("a peer").name, other.peer(first).expect("a peer").name);
    one.karo.wait_for_rules();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let karo = &one.karo;
                scope.spawn(move || {
                    let mut shell = Typist::new(writer);
                    karo.keep((0..150).map(|line| shell.ran(format!("tar -xzf backup-{line}.tar.gz"), 0)));
                })
            })
            .collect();
        let mut answered = 0;
        while writers.iter().any(|writer| !writer.is_finished()) || answered == 0 {
            one.ping(&name).expect("answered under load");
            other.ping(&back).expect("answered under load");
            answered += 1;
        }
    });
    assert_eq!((one.audited(Deed::Connected, None), one.audited(Deed::Disconnected, None)), (1, 0));
}

#[test]
fn a_clean_stop_says_so() {
    let (one, mut other) = (Node::running(), Node::running());
    link(&one, &other, Trust::Member);
    let (first, second) = (one.node_id(), other.node_id());
    // A side that is still writing finds a broken pipe before it reads why.
    until("they are silent", || one.peer(second).and_then(|row| row.rtt_us));
    until("they are silent", || other.peer(first).and_then(|row| row.rtt_us));
    other.karo.signal(Signal::TERM);
    let is_told = |row: &PeerRow| row.reason.as_ref().is_some_and(|reason| reason.contains("stopped"));
    until("the peer is known to have stopped", || one.peer(second).filter(is_told));
    assert_eq!(other.karo.wait_for_end().code(), Some(0));
}
