//! An aggregator that dies at each step, and messages that are lost, doubled or reordered at each.

use std::sync::Arc;
use std::time::Duration;

use karo_protocol::atom::{AtomReason, AtomSays, Report};
use karo_protocol::peer::Signed;
use karo_protocol::{Bytes, NodeId};

use super::signed::proven;
use super::world::{Message, Weather, World};
use crate::sum::{Closing, Contribution, Window};

/// The steps, by what is said in them.
pub(super) const STEPS: [&str; 13] = [
    "invite", "report", "taken", "open", "half", "halves", "ready", "verify", "verified", "set", "agreed",
    "owners", "values",
];

/// Returns the step that something belongs to.
pub(super) fn step(says: &AtomSays) -> &'static str {
    match says {
        AtomSays::Invite { .. } => "invite",
        AtomSays::Report { .. } => "report",
        AtomSays::Decline(_) => "decline",
        AtomSays::Taken(_) => "taken",
        AtomSays::Open { .. } => "open",
        AtomSays::Half(_) => "half",
        AtomSays::Halves(_) => "halves",
        AtomSays::Ready => "ready",
        AtomSays::Verify { .. } => "verify",
        AtomSays::Verified { .. } => "verified",
        AtomSays::Set { .. } => "set",
        AtomSays::Agreed { .. } => "agreed",
        AtomSays::Owners { .. } => "owners",
        AtomSays::Values(_) => "values",
        AtomSays::Table(_) => "table",
        AtomSays::Seal(_) => "seal",
        AtomSays::Closed(_) => "closed",
        AtomSays::Ended(_) => "ended",
        AtomSays::FeedAsk | AtomSays::FeedAskWithout(_) => "feed ask",
        AtomSays::Feed(_) => "feed",
    }
}

/// All steps, the last two with them.
fn steps() -> impl Iterator<Item = &'static str> {
    STEPS.into_iter().chain(["table", "seal"])
}

/// A world in which a node goes down the moment before that step is first heard from it, and comes back, or not.
fn dying(name: &'static str, is_leader: bool, back: Option<Duration>) -> World {
    let mut world = World::new(5, 7);
    let node = if is_leader { world.leader() } else { world.helper() };
    world.dies = Some((name, node, back));
    world
}

#[test]
fn an_aggregator_that_dies_at_any_step_and_comes_back_closes_it() {
    for name in steps() {
        for is_leader in [true, false] {
            let mut world = dying(name, is_leader, Some(Duration::from_secs(40)));
            world.open();
            world.run();
            world.check();
            assert_eq!(world.closed().len(), 1, "{name}, rank 1: {is_leader}");
            assert_eq!(world.faults(), [], "{name}, rank 1: {is_leader}");
        }
    }
}

#[test]
fn an_aggregator_that_stays_away_ends_it_and_the_other_says_so() {
    for name in steps() {
        for is_leader in [true, false] {
            let mut world = dying(name, is_leader, None);
            let other = if is_leader { world.helper() } else { world.leader() };
            world.open();
            world.run();
            world.check();
            // Once rank 2 has sealed the table it is closed, whatever becomes of rank 1.
            let is_sealed = name == "seal" || name == "table" && !world.closed().is_empty();
            if !is_sealed && world.record(other).is_some() {
                assert!(world.ended(other).contains(&AtomReason::Gone), "{name}, rank 1: {is_leader}");
                assert_eq!(world.closed(), [], "{name}, rank 1: {is_leader}");
            }
        }
    }
}

#[test]
fn a_contributor_that_vanishes_after_sharing_is_in_it() {
    let mut world = World::new(6, 3);
    let node = world.bystander();
    world.dies = Some(("taken", node, None));
    world.open();
    world.run();
    world.check();
    assert_eq!(world.closed()[0].contributors, 6);
}

#[test]
fn the_first_message_of_each_kind_may_be_lost() {
    for name in steps() {
        let mut world = World::new(5, 11);
        let mut is_lost = false;
        world.meddler = Some(Box::new(move |message: &mut Message, _| {
            let loses = !is_lost && step(&message.says) == name;
            is_lost |= loses;
            !loses
        }));
        world.open();
        world.run();
        world.check();
        assert_eq!(world.closed().len(), 1, "{name}");
        assert_eq!(world.faults(), [], "{name}");
    }
}

#[test]
fn every_message_may_come_twice_and_overtake_others() {
    for delay in [0, 5, 30] {
        let mut world = World::new(5, 12);
        world.weather = Weather { lost: 0, doubled: 100, delay: Duration::from_secs(delay) };
        world.open();
        world.run();
        world.check();
        assert_eq!(world.closed().len(), 1, "{delay} s late");
        assert_eq!(world.faults(), [], "{delay} s late");
    }
}

#[test]
fn by_hand_it_waits_a_minute_for_the_last_and_closes() {
    let mut world = World::new(6, 5);
    world.window = Window::ByHand;
    let silent: NodeId = world.bystander();
    world.plan(Duration::ZERO, silent, false);
    world.open();
    world.run();
    world.check();
    assert_eq!(world.closed()[0].contributors, 5);
    let after = world.closed_after().expect("it closed");
    assert!(after < Duration::from_secs(100), "{after:?}");
}

#[test]
fn a_daily_window_waits_twelve_hours_for_who_is_away() {
    let mut world = World::new(6, 6);
    let late = world.bystander();
    world.plan(Duration::ZERO, late, false);
    world.plan(Duration::from_secs(11 * 3600), late, true);
    world.open();
    world.run();
    world.check();
    assert_eq!(world.closed()[0].contributors, 6);
    let mut world = World::new(6, 6);
    world.plan(Duration::ZERO, late, false);
    world.plan(Duration::from_secs(12 * 3600 + 1), late, true);
    world.open();
    world.run();
    world.check();
    assert_eq!(world.closed()[0].contributors, 5);
}

#[test]
fn whoever_begins_again_gives_its_own_report_of_that_day_or_none() {
    let mut world = World::new(6, 31);
    world.keeps_said = true;
    let (own, other) = (world.bystander(), world.leader());
    world.open();
    world.run();
    let given = |from: NodeId| {
        let of = |message: &Message| {
            let AtomSays::Report { report, leader_box, helper_box } = &message.says else { return None };
            (message.from == from).then(|| (report.clone(), [leader_box.clone(), helper_box.clone()]))
        };
        world.said.iter().find_map(of).expect("it gave something")
    };
    let again = |closing: &Arc<Closing>, node: NodeId, signed: &Signed, boxes: [Bytes; 2]| {
        let object = proven::<Report>(signed).expect("it is signed");
        let when = (Window::ByHand, world.now);
        Contribution::again(Arc::clone(closing), node, (signed.clone(), &object), boxes, when)
            .map(|again| again.report())
    };
    let (signed, boxes) = given(own);
    let id = proven::<Report>(&signed).expect("it is signed").id;
    assert_eq!(again(&world.closing, own, &signed, boxes.clone()), Ok(id));
    // Of somebody else, with other boxes, and of another day.
    let (others, their_boxes) = given(other);
    assert_eq!(again(&world.closing, own, &others, their_boxes.clone()), Err(AtomReason::Invalid));
    assert_eq!(again(&world.closing, own, &signed, their_boxes), Err(AtomReason::Invalid));
    let [leader_box, helper_box] = boxes.clone();
    assert_eq!(again(&world.closing, own, &signed, [helper_box, leader_box]), Err(AtomReason::Invalid));
    let tomorrow =
        Closing::new(Arc::clone(world.closing.group()), world.closing.atom().day + 1).expect("there are two");
    assert_eq!(again(&tomorrow, own, &signed, boxes.clone()), Err(AtomReason::Invalid));
    assert_eq!(again(&world.closing, NodeId([9; 32]), &signed, boxes), Err(AtomReason::OtherGroup));
}
