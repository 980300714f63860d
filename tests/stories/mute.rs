//! Peers that are let in and then read nothing: what waits for them is bounded, and so is what people wait for.

use std::collections::BTreeSet;
use std::sync::mpsc::channel;
use std::thread;

use karo_protocol::Trust;
use karo_protocol::local::Request;
use karo_protocol::mesh::LinkState;
use karo_protocol::peer::{Control, Ping};
use karo_tests::{Node, until};

use crate::foe::{Foe, Line, now};

/// People who may wait for an answer of one peer at a time.
const PINGS_BY_HAND_MAX: usize = 16;

/// Pings that are asked at a time: each is answered with as many bytes as it has, and a link carries some hundred
/// kibibytes that nobody reads.
const PINGS_AT_ONCE: u64 = 500;

/// Lets a foe in that reads nothing.
fn let_in(node: &Node) -> (Foe, Line, String) {
    let foe = Foe::new();
    let name = node.trust(foe.node(), &[], Trust::Member).name;
    let line = foe.dial_and_stare(node);
    (foe, line, name)
}

#[test]
fn who_asks_and_never_reads_loses_the_link() {
    let node = Node::running();
    let (foe, line, _) = let_in(&node);
    let mut number = 1;
    let lost = until("the link is given up", || {
        for _ in 0..PINGS_AT_ONCE {
            line.say(Control::Ping(Ping { number, now: now(), head: None }));
            number += 1;
        }
        node.peer(foe.node()).filter(|row| row.state != LinkState::Connected)
    });
    let reason = lost.reason.unwrap_or_default();
    assert!(reason.contains("read nothing of the last"), "{}: {reason}", lost.state);
}

#[test]
fn of_many_pings_without_an_answer_the_oldest_is_given_up() {
    let node = Node::running();
    let (_foe, line, name) = let_in(&node);
    let (sender, answers) = channel();
    thread::scope(|scope| {
        for _ in 0..=PINGS_BY_HAND_MAX {
            let (sender, node, name) = (sender.clone(), &node, name.clone());
            scope.spawn(move || {
                let failure = node.refusal(&Request::PeerPing(name));
                sender.send(failure.message).expect("somebody listens");
            });
        }
        let first = until("one is given up", || answers.try_recv().ok());
        assert!(first.contains("given up for later ones"), "{first}");
        // All others wait on, until there is nobody left to wait for.
        assert!(answers.try_recv().is_err());
        drop(line);
    });
    drop(sender);
    let others: Vec<String> = answers.iter().collect();
    assert_eq!(others.len(), PINGS_BY_HAND_MAX);
    let why: BTreeSet<bool> = others.iter().map(|why| why.contains("went down")).collect();
    assert_eq!(why, BTreeSet::from([true]), "{others:?}");
}
