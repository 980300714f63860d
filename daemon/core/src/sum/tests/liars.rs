//! Those who do not keep to the rules, one at a time: no table but the right one, and their name in the log.
#![expect(clippy::wildcard_enum_match_arm, reason = "what is changed is named, and nothing else is")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use karo_protocol::atom::{Atom, AtomReason, AtomSays, AtomSeal, Part, Report};
use karo_protocol::node::{Hash, Nonce};
use karo_protocol::{Bytes, NodeId};

use super::signed::{proven, proven_in, sign};
use super::steps::{STEPS, step};
use super::world::{Dice, Message, World};
use crate::sum::record::half_hash;
use crate::sum::seal::SealingSecret;
use crate::sum::shares::ELEMENT_BYTES;
use crate::sum::{AggregatorRecord, Helper, Output, REPORTS_EACH_MAX, VERIFYING_MAX, Window, Wrong};

/// Every stretch of bytes in what is said.
fn stretches(says: &mut AtomSays) -> Vec<&mut [u8]> {
    match says {
        AtomSays::Report { report, leader_box, helper_box } => {
            vec![&mut report.bytes.0, &mut report.signature.0, &mut leader_box.0, &mut helper_box.0]
        }
        AtomSays::Verify { report, helper_box, shares } => {
            let mut all: Vec<&mut [u8]> =
                vec![&mut report.bytes.0, &mut report.signature.0, &mut helper_box.0];
            all.extend(shares.iter_mut().map(|share| &mut share.0[..]));
            all
        }
        AtomSays::Taken(report) => vec![&mut report.0],
        AtomSays::Open { commitment, .. } => vec![&mut commitment.0],
        AtomSays::Half(half) | AtomSays::Halves(half) => vec![&mut half.0],
        AtomSays::Verified { report, messages } => {
            let mut all: Vec<&mut [u8]> = vec![&mut report.0];
            all.extend(messages.iter_mut().flatten().map(|message| &mut message.0[..]));
            all
        }
        AtomSays::Set { reports, commitment } => {
            let mut all: Vec<&mut [u8]> = reports.iter_mut().map(|report| &mut report.0[..]).collect();
            all.push(&mut commitment.0);
            all
        }
        AtomSays::Agreed { set, commitment } => vec![&mut set.0, &mut commitment.0],
        AtomSays::Owners { sums, blind } => {
            let mut all: Vec<&mut [u8]> = sums.iter_mut().map(|sum| &mut sum.0[..]).collect();
            all.push(&mut blind.0);
            all
        }
        AtomSays::Values(sums) => sums.iter_mut().map(|sum| &mut sum.0[..]).collect(),
        AtomSays::Table(signed) | AtomSays::Seal(signed) => {
            vec![&mut signed.bytes.0, &mut signed.signature.0]
        }
        AtomSays::Invite { .. }
        | AtomSays::Decline(_)
        | AtomSays::Ready
        | AtomSays::Closed(_)
        | AtomSays::Ended(_)
        | AtomSays::FeedAsk
        | AtomSays::FeedAskWithout(_)
        | AtomSays::Feed(_) => Vec::new(),
    }
}

fn flip(says: &mut AtomSays, dice: &mut Dice) -> bool {
    let mut stretches = stretches(says);
    stretches.retain(|bytes| !bytes.is_empty());
    if stretches.is_empty() {
        return false;
    }
    let place = dice.below(stretches.len());
    let bytes = &mut stretches[place];
    let bit = dice.below(bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
    true
}

/// Lets a message of a step be changed once; returns the world, and who said it.
fn changed(
    seed: u64,
    name: &'static str,
    change: impl Fn(&mut Message, &mut Dice) -> bool + 'static,
) -> (World, Option<NodeId>) {
    let mut world = World::new(5, seed);
    let liar = Rc::new(RefCell::new(None));
    let noted = Rc::clone(&liar);
    world.meddler = Some(Box::new(move |message: &mut Message, dice| {
        if noted.borrow().is_none() && step(&message.says) == name && change(message, dice) {
            *noted.borrow_mut() = Some(message.from);
        }
        true
    }));
    world.open();
    world.run();
    world.meddler = None;
    let liar = *liar.borrow();
    (world, liar)
}

/// Whoever said what nobody could say is named; what is heard by nobody need not be.
#[test]
fn a_bit_that_flips_in_any_message_makes_no_other_table_and_names_its_sender() {
    for (place, name) in STEPS.into_iter().chain(["table", "seal"]).enumerate() {
        for round in 0..10 {
            let (world, liar) =
                changed(place as u64 * 100 + round, name, |message, dice| flip(&mut message.says, dice));
            world.check();
            let faults = world.faults();
            let is_named = |(from, contributor, _): &(NodeId, Option<NodeId>, Wrong)| {
                Some(*from) == liar || contributor.is_some() && *contributor == liar
            };
            // An id that nobody gave, and a word of thanks, are passed over; so is nothing at all.
            let is_passed_over =
                matches!(name, "invite" | "taken" | "ready" | "verified") && faults.is_empty();
            assert!(faults.iter().any(is_named) || is_passed_over, "{name} {round}: {faults:?}");
        }
    }
}

#[test]
fn what_has_another_form_ends_it_or_is_refused() {
    let cut = |message: &mut Message, _: &mut Dice| match &mut message.says {
        AtomSays::Verify { shares, .. } => shares.pop().is_some(),
        AtomSays::Verified { messages: Some(messages), .. } => messages.pop().is_some(),
        AtomSays::Owners { sums, .. } | AtomSays::Values(sums) => sums[0].0.pop().is_some(),
        AtomSays::Set { reports, .. } => {
            reports.swap(0, 1);
            true
        }
        AtomSays::Report { helper_box, .. } => helper_box.0.pop().is_some(),
        _ => false,
    };
    let (world, liar) = changed(2, "verify", |message, _| {
        let AtomSays::Verify { helper_box, .. } = &mut message.says else { return false };
        helper_box.0.pop().is_some()
    });
    let is_misplaced =
        |(from, _, wrong): &(NodeId, _, Wrong)| Some(*from) == liar && *wrong == Wrong::Misplaced;
    assert!(world.faults().iter().any(is_misplaced));
    for name in ["verify", "verified", "owners", "values", "set", "report"] {
        let (world, liar) = changed(1, name, cut);
        world.check();
        assert!(world.faults().iter().any(|(from, ..)| Some(*from) == liar), "{name}: {:?}", world.faults());
    }
}

#[test]
fn boxes_that_were_not_signed_go_no_further() {
    for place in 0..2 {
        let (world, liar) = changed(28, "report", move |message, _| {
            let AtomSays::Report { leader_box, helper_box, .. } = &mut message.says else { return false };
            let sealed = if place == 0 { leader_box } else { helper_box };
            sealed.0[50] ^= 1;
            true
        });
        assert_eq!(world.faults(), [(liar.expect("it lied"), liar, Wrong::Misplaced)], "box {place}");
        // It gives the right ones when it is asked again.
        assert_eq!(world.closed()[0].contributors, 5);
    }
}

#[test]
fn five_of_six_close_it_when_one_lies() {
    let mut world = World::new(6, 4);
    let liar = world.bystander();
    world.meddler = Some(Box::new(move |message: &mut Message, _| {
        if let AtomSays::Report { report, helper_box, .. } = &mut message.says
            && message.from == liar
        {
            helper_box.0[40] ^= 1;
            let mut object = proven::<Report>(report).expect("it is signed");
            object.body.helper_box = Hash(blake3::hash(helper_box).into());
            *report = sign(liar, object.id, object.body);
        }
        true
    }));
    world.open();
    world.run();
    world.check();
    assert_eq!(world.closed()[0].contributors, 5);
    assert!(world.faults().contains(&(liar, Some(liar), Wrong::Sealed)), "{:?}", world.faults());
    assert!(world.ended(liar).contains(&AtomReason::Invalid));
}

/// Says something in another's name, or in the liar's own, while the atom is being closed.
fn whispered(
    seed: u64,
    name: &'static str,
    whisper: impl Fn(&Message) -> Option<Message> + 'static,
) -> World {
    let mut world = World::new(6, seed);
    world.keeps_said = true;
    world.whisper = Some((name, Box::new(whisper)));
    world.open();
    world.run();
    world.check();
    world
}

#[test]
fn who_is_no_aggregator_says_nothing_between_them() {
    for name in ["half", "ready", "verified", "agreed", "owners", "values", "open", "halves", "set", "table"]
    {
        let mut stranger = NodeId([0; 32]);
        let world = World::new(6, 9);
        stranger.0 = world.bystander().0;
        let world = whispered(9, name, move |message| {
            Some(Message { from: stranger, to: message.to, says: message.says.clone() })
        });
        assert_eq!(world.closed().len(), 1, "{name}");
        assert!(world.faults().contains(&(stranger, None, Wrong::Stranger)), "{name}: {:?}", world.faults());
    }
}

#[test]
fn nobody_gives_a_report_in_anothers_name() {
    let world = World::new(6, 9);
    let stranger = world.bystander();
    let leader = world.leader();
    let world = whispered(9, "report", move |message| {
        (message.from != stranger).then(|| Message { from: stranger, to: leader, says: message.says.clone() })
    });
    assert_eq!(world.closed()[0].contributors, 6);
    let by_stranger = |(from, _, wrong): &(NodeId, _, Wrong)| *from == stranger && *wrong == Wrong::Stranger;
    assert!(world.faults().iter().any(by_stranger));
}

#[test]
fn two_reports_of_one_contributor_count_once() {
    let world = whispered(10, "taken", |message| {
        let again = AtomSays::Invite { by_hand: false };
        Some(Message { from: message.from, to: message.to, says: again })
    });
    assert_eq!(world.closed()[0].contributors, 6);
    let mut world = World::new(6, 10);
    world.keeps_given = false;
    let node = world.bystander();
    // It loses its memory once its report was taken, and gives another.
    world.dies = Some(("taken", node, Some(Duration::from_secs(1))));
    let silent = world.node(5);
    world.plan(Duration::ZERO, silent, false);
    world.plan(Duration::from_secs(600), silent, true);
    world.open();
    world.run();
    world.check();
    assert_eq!(world.closed()[0].contributors, 6);
}

#[test]
fn one_id_is_one_report() {
    let mut world = World::new(6, 13);
    world.same_ids = true;
    world.open();
    world.run();
    world.check();
    assert_eq!(world.closed(), []);
    let faults = world.faults();
    let is_own = |(from, contributor, wrong): &&(NodeId, Option<NodeId>, Wrong)| {
        *contributor == Some(*from) && *wrong == Wrong::Replay
    };
    let replays: BTreeSet<NodeId> = faults.iter().filter(is_own).map(|(from, ..)| *from).collect();
    assert_eq!(replays.len(), 5, "the others are named");
}

#[test]
fn a_second_key_is_refused_for_good() {
    // Rank 1 opens the atom again under another half, when rank 2 has verified reports under the first.
    let world = whispered(14, "set", |message| {
        let says = AtomSays::Open { commitment: Hash([1; 32]), by_hand: false };
        Some(Message { says, ..message.clone() })
    });
    assert!(world.ended(world.helper()).contains(&AtomReason::Replayed));
    assert!(world.faults().contains(&(world.leader(), None, Wrong::Replay)));
    // Rank 2 shows another half.
    let world = whispered(15, "agreed", |message| {
        Some(Message { says: AtomSays::Half(Hash([1; 32])), ..message.clone() })
    });
    assert!(world.ended(world.leader()).contains(&AtomReason::Replayed));
    assert!(world.faults().contains(&(world.helper(), None, Wrong::Replay)));
    // Rank 1 shows another half than it promised, having seen rank 2's.
    let (world, _) = changed(16, "halves", |message, _| {
        message.says = AtomSays::Halves(Hash([1; 32]));
        true
    });
    assert!(world.faults().contains(&(world.leader(), None, Wrong::Commitment)));
    assert_eq!(world.closed(), []);
}

#[test]
fn a_second_set_is_refused_for_good() {
    // The same reports but one: the difference would be one owner.
    let mut world = World::new(6, 17);
    let mut first = None;
    world.meddler = Some(Box::new(move |message: &mut Message, _| {
        if let AtomSays::Set { .. } = &message.says {
            first = Some(message.says.clone());
        }
        let is_next = matches!(message.says, AtomSays::Owners { .. });
        if let Some(AtomSays::Set { reports, commitment }) = first.take_if(|_| is_next) {
            message.says = AtomSays::Set { reports: reports[1..].to_vec(), commitment };
        }
        true
    }));
    world.open();
    world.run();
    assert_eq!(world.closed(), []);
    assert!(world.faults().contains(&(world.leader(), None, Wrong::Replay)), "{:?}", world.faults());
    assert!(world.ended(world.helper()).contains(&AtomReason::Replayed));
}

#[test]
fn a_set_must_be_a_cohort_of_what_was_verified() {
    for (seed, change) in [0_usize, 1].into_iter().enumerate() {
        let (world, liar) = changed(seed as u64, "set", move |message, _| {
            let AtomSays::Set { reports, .. } = &mut message.says else { return false };
            match change {
                0 => reports.truncate(4),
                _ => reports.push(Nonce([0xff; 16])),
            }
            true
        });
        assert_eq!(world.closed(), [], "change {change}");
        assert!(world.faults().iter().any(|(from, _, wrong)| Some(*from) == liar && *wrong == Wrong::Set));
    }
}

#[test]
fn what_was_committed_to_is_what_is_opened() {
    for seed in 0..4 {
        let (world, liar) = changed(seed, "owners", move |message, _| {
            let AtomSays::Owners { sums, .. } = &mut message.says else { return false };
            let is_one = |place: usize| place == seed as usize;
            for (place, byte) in sums[0].0.iter_mut().enumerate().step_by(16) {
                // One owner more in a cell, to make it visible.
                *byte = if is_one(place / 16) { byte.wrapping_add(1) } else { *byte };
            }
            true
        });
        assert_eq!(world.closed(), [], "seed {seed}");
        assert!(world.faults().contains(&(liar.expect("it lied"), None, Wrong::Commitment)));
    }
}

#[test]
fn rank_2_cannot_say_what_rank_1_said() {
    let mut world = World::new(5, 20);
    let helper = world.helper();
    let mut set = None;
    let mut opened = None;
    world.meddler = Some(Box::new(move |message: &mut Message, _| {
        match &mut message.says {
            AtomSays::Set { commitment, .. } => set = Some(*commitment),
            AtomSays::Agreed { commitment, .. } => *commitment = set.expect("it was said"),
            AtomSays::Owners { .. } if message.from != helper => opened = Some(message.says.clone()),
            AtomSays::Owners { .. } => message.says = opened.clone().expect("it was said"),
            _ => {}
        }
        true
    }));
    world.open();
    world.run();
    assert_eq!(world.closed(), []);
    assert!(world.faults().contains(&(helper, None, Wrong::Commitment)), "{:?}", world.faults());
}

#[test]
fn a_second_commitment_is_refused() {
    let mut world = World::new(5, 22);
    let helper = world.helper();
    let mut agreed = None;
    world.meddler = Some(Box::new(move |message: &mut Message, _| {
        if let AtomSays::Agreed { set, .. } = &message.says {
            agreed = Some(*set);
        }
        // Rank 1 has opened its sums: whoever could commit now could choose what is visible.
        if matches!(message.says, AtomSays::Owners { .. }) && message.from == helper {
            let set = agreed.expect("it was said");
            message.says = AtomSays::Agreed { set, commitment: Hash([1; 32]) };
        }
        true
    }));
    world.open();
    world.run();
    assert_eq!(world.closed(), []);
    assert!(world.faults().contains(&(helper, None, Wrong::Replay)), "{:?}", world.faults());
}

#[test]
fn a_table_that_is_not_that_of_both_is_not_sealed() {
    let (world, liar) = changed(23, "table", |message, _| {
        let AtomSays::Table(table) = &mut message.says else { return false };
        let mut object = proven::<Atom>(table).expect("it is signed");
        object.body.contributors += 1;
        *table = sign(message.from, object.id, object.body);
        true
    });
    assert_eq!(world.closed(), []);
    assert!(world.faults().contains(&(liar.expect("it lied"), None, Wrong::Table)));
}

#[test]
fn a_seal_of_another_table_is_none() {
    let (world, liar) = changed(24, "seal", |message, _| {
        let atom = Hash([1; 32]);
        message.says = AtomSays::Seal(sign(message.from, Nonce([1; 16]), AtomSeal { atom }));
        true
    });
    world.check();
    assert!(world.faults().contains(&(liar.expect("it lied"), None, Wrong::Table)));
}

#[test]
fn nothing_of_hidden_cells_is_told() {
    let mut world = World::new(5, 25);
    world.keeps_said = true;
    world.open();
    world.run();
    world.check();
    let visible = world.closed()[0].parts[0].values.iter().flatten().count();
    assert!((1..Part::Main.values()).contains(&visible), "some are hidden and some are not");
    let mut told = 0;
    for message in &world.said {
        if let AtomSays::Values(sums) = &message.says {
            told += 1;
            assert_eq!(sums.iter().map(|sum| sum.len()).sum::<usize>(), visible * ELEMENT_BYTES);
        }
    }
    assert_eq!(told, 2);
}

#[test]
fn no_more_are_in_verification_than_there_is_room_for() {
    let mut world = World::new(VERIFYING_MAX + 8, 26);
    world.keeps_said = true;
    let leader = world.leader();
    let mut lost = 0;
    world.meddler = Some(Box::new(move |message: &mut Message, _| {
        let is_lost = matches!(message.says, AtomSays::Verify { .. }) && lost < 100;
        lost += u32::from(is_lost);
        !is_lost
    }));
    for place in 0..VERIFYING_MAX + 8 {
        let to = world.node(place);
        world.put(Message { from: leader, to, says: AtomSays::Invite { by_hand: false } });
    }
    world.open();
    world.run();
    world.check();
    assert_eq!(usize::from(world.closed()[0].contributors), VERIFYING_MAX + 8);
    let (mut asked, mut answered) = (BTreeSet::new(), BTreeSet::new());
    for message in &world.said {
        match &message.says {
            AtomSays::Verify { report, .. } => {
                asked.insert(proven::<Report>(report).expect("it is signed").id);
            }
            AtomSays::Verified { report, .. } => {
                answered.insert(*report);
            }
            _ => {}
        }
        let at_once = asked.difference(&answered).count();
        assert!(at_once <= VERIFYING_MAX, "{at_once} at once");
    }
}

/// A contributor that begins anew gives another report; one that never stops gives eight.
#[test]
fn rank_2_verifies_so_many_of_one_and_no_more() {
    let world = World::new(5, 29);
    let (closing, leader, node) = (Arc::clone(&world.closing), world.leader(), world.bystander());
    let secret = Arc::new(SealingSecret::derive(&[1; 32]));
    let record = AggregatorRecord::new(closing.atom(), Hash([1; 32]), Hash([2; 32]));
    let (mut helper, _) = Helper::new(Arc::clone(&closing), secret, record, Window::ByHand, world.now);
    let half = Hash([3; 32]);
    let commitment = half_hash(closing.atom(), leader, &half);
    helper.on(leader, AtomSays::Open { commitment, by_hand: true }, None, world.now);
    helper.on(leader, AtomSays::Halves(half), None, world.now);
    for round in 0..=REPORTS_EACH_MAX {
        let helper_box = Bytes(vec![1; 100]);
        let body = closing.report([Hash([1; 32]), Hash(blake3::hash(&helper_box).into())]);
        let report = sign(node, Nonce([round as u8 + 1; 16]), body);
        let says = AtomSays::Verify { report, helper_box, shares: Vec::new() };
        let proven = proven_in(&says);
        let out = helper.on(leader, says, proven, world.now);
        let is_verified = out.iter().any(|output| matches!(output, Output::Work(_)));
        assert_eq!(is_verified, round < REPORTS_EACH_MAX, "report {round}");
    }
}

#[test]
fn a_report_is_not_given_as_often_as_it_is_asked_for() {
    let mut world = World::new(5, 27);
    world.keeps_said = true;
    let (leader, node) = (world.leader(), world.bystander());
    for _ in 0..100 {
        world.put(Message { from: leader, to: node, says: AtomSays::Invite { by_hand: false } });
    }
    world.open();
    world.run();
    world.check();
    let given = world.said.iter().filter(|message| message.from == node && step(&message.says) == "report");
    assert!(given.count() <= 3);
}

#[test]
fn a_late_report_is_in_nothing() {
    let mut world = World::new(6, 21);
    let late = world.bystander();
    world.plan(Duration::ZERO, late, false);
    world.window = Window::ByHand;
    world.plan(Duration::from_millis(60_005), late, true);
    world.open();
    world.run();
    world.check();
    assert_eq!(world.closed()[0].contributors, 5);
}
