//! Members who say more than anybody can listen to, and members who never listen.

use std::time::{Duration, Instant};

use karo_protocol::NodeId;
use karo_protocol::answer::AskTalk;
use karo_protocol::atom::{AtomReason, AtomSays};
use karo_protocol::group::GroupTalk;
use karo_protocol::mesh::LinkState;
use karo_protocol::peer::{Control, Signed};
use karo_protocol::{Bytes, Trust};
use karo_tests::groups::{had, yesterday};
use karo_tests::{Node, Typist, until};

use crate::foe::{Circle, Line, Rank};

/// Messages of a flood: a hundred times what a link takes at once.
const FLOOD: usize = 25_600;

/// What a daemon may grow by meanwhile, in bytes: what is on the way of some connections, and no more.
const GROWTH_MAX: u64 = 96 * 1024 * 1024;

/// An honest peer of the daemon, that has to get through.
fn honest(circle: &Circle) -> (Node, NodeId) {
    let honest = Node::running();
    let node = honest.node_id();
    karo_tests::mesh::link(&honest, &circle.node, Trust::Member);
    (honest, node)
}

/// Demands that the daemon answers a peer, and records what is typed.
fn goes_on(circle: &Circle, honest: &Node, typist: &mut Typist) {
    let name = honest.peer(circle.node.node_id()).expect("it is a peer").name;
    honest.ping(&name).expect("heartbeats go on");
    circle.node.karo.keep([typist.ran("make -j4", 0)]);
}

/// Everything that can be said of groups and days, in turn.
fn talk(circle: &Circle, place: usize) -> Control {
    let day = yesterday() - (place % 40) as i32;
    let says = |says| Control::Atom(karo_protocol::atom::AtomTalk { atom: circle.atom(day), says });
    match place % 8 {
        0 => says(AtomSays::Invite { by_hand: true }),
        1 => says(AtomSays::Table(Signed {
            bytes: Bytes(vec![1; 16 * 1024]),
            signature: karo_protocol::node::Signature([1; 64]),
        })),
        2 => says(AtomSays::Closed(Box::new(circle.closed(yesterday(), (2, 3))))),
        3 => says(AtomSays::FeedAsk),
        4 => says(AtomSays::Ended(AtomReason::Invalid)),
        5 => Control::Group(GroupTalk::Offer(circle.file.clone())),
        6 => Control::Ask(AskTalk::Health { id: place as u64 }),
        _ => Control::Ask(AskTalk::Atoms { id: place as u64, group: circle.group.id(), days: vec![day; 64] }),
    }
}

#[test]
fn a_flood_is_not_answered_and_stops_nobody() {
    let circle = Circle::of(Rank::Gives);
    had(&circle.node, yesterday(), &[("git status", 0)]);
    let [leader, foe] = [0, 2].map(|place| circle.dial(place));
    let (honest, _) = honest(&circle);
    let mut typist = Typist::new(1);
    let before = circle.node.karo.resident_bytes();
    let said: Vec<Control> = (0..8 * 40).map(|place| talk(&circle, place)).collect();
    let begun = Instant::now();
    for place in 0..FLOOD {
        foe.say(said[place % said.len()].clone());
        if place % (FLOOD / 8) == 0 {
            goes_on(&circle, &honest, &mut typist);
        }
    }
    // Its own link goes on as well, and answers it behind all that.
    foe.say(Control::Ping(karo_protocol::peer::Ping { number: 999, now: crate::foe::now(), head: None }));
    foe.hears("a pong", |control| matches!(control, Control::Pong(pong) if pong.number == 999).then_some(()));
    let seconds = begun.elapsed().as_secs() + 1;
    let answered = foe.heard().iter().filter(|control| matches!(control, Control::Ask(_))).count();
    // A quarter of what it says asks; what a link may say at once and in that time is all that is heard of it.
    let heard_max = 256 + 200 * usize::try_from(seconds).expect("it is short");
    assert!(answered <= heard_max, "{answered} of {} were answered within {seconds} s", FLOOD / 4);
    goes_on(&circle, &honest, &mut typist);
    let day = circle.atom(yesterday());
    leader.of(day, AtomSays::Invite { by_hand: true });
    leader.hears_of(day, "a report", |says| matches!(says, AtomSays::Report { .. }).then_some(()));
    let after = circle.node.karo.resident_bytes();
    assert!(after < before + GROWTH_MAX, "{before} bytes of memory became {after}");
    assert_eq!(circle.node.karo.session().texts().iter().filter(|text| *text == "make -j4").count(), 9);
}

#[test]
fn who_never_reads_holds_up_nobody() {
    let circle = Circle::of(Rank::Gives);
    had(&circle.node, yesterday(), &[("git status", 0)]);
    let leader = circle.dial(0);
    let day = circle.atom(yesterday());
    leader.of(day, AtomSays::Closed(Box::new(circle.closed(yesterday(), (0, 1)))));
    let foe: Line = circle.foes[2].dial_and_stare(&circle.node);
    let (honest, _) = honest(&circle);
    let mut typist = Typist::new(1);
    let before = circle.node.karo.resident_bytes();
    // Each answer has sixty-four atoms, as soon as there is one.
    let ask = Control::Ask(AskTalk::Atoms { id: 1, group: circle.group.id(), days: vec![yesterday(); 64] });
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        (0..64).for_each(|_| foe.say(ask.clone()));
        goes_on(&circle, &honest, &mut typist);
    }
    let after = circle.node.karo.resident_bytes();
    assert!(after < before + GROWTH_MAX, "{before} bytes of memory became {after}");
    leader.settle();
    let other = circle.dial(3);
    other.settle();
    until("the honest peer is connected", || {
        circle.node.peer(honest.node_id()).filter(|row| row.state == LinkState::Connected)
    });
}
