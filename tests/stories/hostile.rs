//! Members and strangers who do not keep to the rules of a group: what they say, and that nothing comes of it.
//!
//! Each story has one real daemon among [foes](crate::foe), so that every aggregator and every member besides it can
//! be bad.

mod canary;
mod crowd;
mod files;
mod floods;
mod given;
mod objects;
mod pages;

use std::path::Path;

use karo_protocol::answer::{AskTalk, AtomState, GroupClose, Status};
use karo_protocol::atom::{AtomId, AtomReason, AtomSays, PartCounts, Report};
use karo_protocol::audit::Deed;
use karo_protocol::local::{Reply, Request};
use karo_protocol::mesh::Change;
use karo_protocol::node::{Hash, Nonce};
use karo_protocol::peer::{Control, Signed};
use karo_protocol::{Bytes, NodeId, Trust};
use karo_tests::groups::{had, yesterday};
use karo_tests::{Node, until};
use karo_trust::object;

use crate::foe::{Circle, Foe, Line, Rank, drawn};

/// Whether by hand, so that stories can be told before six o'clock as well.
const INVITE: AtomSays = AtomSays::Invite { by_hand: true };

fn is_report(says: &AtomSays) -> Option<()> {
    matches!(says, AtomSays::Report { .. }).then_some(())
}

/// Asks a daemon to close yesterday, and does not wait for what comes of it.
fn begin_to_close(node: &Node) -> karo_tests::Session {
    let mut session = node.karo.session();
    let close = GroupClose { group: None, day: yesterday() };
    session.send(&Request::GroupClose(close)).expect("the daemon reads");
    session
}

/// Returns the bytes of everything below a directory.
fn bytes_below(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_below(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

#[test]
fn only_rank_1_is_given_a_past_day() {
    let circle = Circle::of(Rank::Gives);
    had(&circle.node, yesterday(), &[("git status", 0)]);
    let [leader, helper, member] = [0, 1, 2].map(|place| circle.dial(place));
    let (day, today) = (circle.atom(yesterday()), circle.atom(yesterday() + 1));
    for line in [&helper, &member] {
        line.of(day, INVITE);
        line.is_declined(day, AtomReason::WrongRank);
    }
    leader.of(today, INVITE);
    leader.is_declined(today, AtomReason::TooEarly);
    let other = AtomId { group: Hash([9; 32]), day: yesterday() };
    leader.of(other, INVITE);
    leader.is_declined(other, AtomReason::OtherGroup);
    assert_eq!(circle.node.count(Deed::DayGiven, None), 0);
    assert!(circle.rows().values().all(|row| !row.is_given), "{:?}", circle.rows());
    // The same question of the right one for the right day is answered.
    leader.of(day, INVITE);
    leader.hears_of(day, "a report", is_report);
    assert_eq!(circle.node.count(Deed::DayGiven, None), 1);
    for line in [&helper, &member] {
        assert!(!line.heard_of(day).iter().any(|says| is_report(says).is_some()));
    }
}

#[test]
fn who_is_no_member_is_not_heard() {
    let circle = Circle::of(Rank::Gives);
    let stranger = Foe::new();
    circle.node.trust(stranger.node(), &[], Trust::Peer);
    let line = stranger.dial(&circle.node);
    let day = circle.atom(yesterday());
    line.of(day, INVITE);
    line.of(day, AtomSays::FeedAsk);
    line.settle();
    assert_eq!(line.heard_of(day), []);
    // Nor does it get the files of groups, nor the atoms, and no member is told what is not its own.
    assert!(
        !line
            .heard()
            .iter()
            .any(|control| { matches!(control, Control::Group(karo_protocol::group::GroupTalk::Offer(_))) })
    );
    let leader = circle.dial(0);
    leader.of(day, AtomSays::Closed(Box::new(circle.closed(yesterday(), (0, 1)))));
    until("the atom is kept", || is_closed(&circle).then_some(()));
    assert_eq!(asked(&line, circle.group.id(), 1), (Status::AccessDenied, 0));
    assert_eq!(asked(&line, Hash([9; 32]), 2), (Status::NoData, 0));
    assert_eq!(asked(&leader, circle.group.id(), 3), (Status::Success, 1));
}

fn is_closed(circle: &Circle) -> bool {
    circle.rows().get(&yesterday()).is_some_and(|row| row.state == AtomState::Closed)
}

/// Asks for yesterday's atom of a group.
fn asked(line: &Line, group: Hash, id: u64) -> (Status, usize) {
    line.say(Control::Ask(AskTalk::Atoms { id, group, days: vec![yesterday()] }));
    line.hears("an answer", |control| match control {
        Control::Ask(AskTalk::AtomsHeld { id: answered, status, atoms }) if *answered == id => {
            Some((*status, atoms.len()))
        }
        _ => None,
    })
}

#[test]
fn numbers_are_fed_to_our_own_machine_alone() {
    // The daemon is a second machine of the owner whose numbers `foes[2]` gives.
    let circle = Circle::with(Rank::Gives, |file, own| {
        let member = file.members.iter_mut().find(|member| member.card.node == own).expect("it is there");
        (member.owner, member.contributes) = ("owner-3".to_owned(), false);
        // Five owners are left.
    });
    had(&circle.node, yesterday(), &[("git status", 0), ("git push", 0)]);
    let [leader, sibling] = [0, 2].map(|place| circle.dial(place));
    let (day, today) = (circle.atom(yesterday()), circle.atom(yesterday() + 1));
    let trust = |place: usize, trust: Trust| {
        let node = circle.foes[place].node();
        let name = circle.node.peer(node).expect("it is a member").name;
        circle.node.change(&name, Change::Trust(trust));
    };
    let fed = |line: &Line, atom: AtomId| -> Vec<Option<Vec<PartCounts>>> {
        let parts = |says| if let AtomSays::Feed(parts) = says { Some(parts) } else { None };
        line.heard_of(atom).into_iter().filter_map(parts).collect()
    };
    let answered = |line: &Line, atom: AtomId| {
        let before = fed(line, atom).len();
        line.of(atom, AtomSays::FeedAsk);
        until("there is an answer", || fed(line, atom).get(before).cloned())
    };
    // A stranger to our owner gets nothing, whatever it is trusted with; nor does our own unless it is trusted.
    trust(0, Trust::Peer);
    assert_eq!(answered(&leader, day), None);
    assert_eq!(answered(&sibling, day), None);
    trust(2, Trust::ShareTo);
    assert_eq!(answered(&sibling, today), None);
    assert_eq!(circle.node.count(Deed::DayGiven, None), 0);
    let parts = answered(&sibling, day).expect("it is trusted, and the day is over");
    assert_eq!(parts.iter().map(|part| usize::from(part.part)).collect::<Vec<_>>(), [0]);
    assert!(parts[0].values.contains(&2), "{parts:?}");
    // Nobody asked for numbers here, and it does not contribute itself.
    sibling.of(day, AtomSays::Feed(Some(parts)));
    leader.of(day, INVITE);
    leader.is_declined(day, AtomReason::OtherGroup);
}

#[test]
fn a_report_counts_once_for_its_day_and_its_owner() {
    let circle = Circle::of(Rank::Leads);
    let [helper, one, other] = [1, 2, 3].map(|place| circle.dial(place));
    let day = circle.atom(yesterday());
    let waiting = begin_to_close(&circle.node);
    helper.hears_of(day, "that a day is opened", |says| matches!(says, AtomSays::Open { .. }).then_some(()));
    helper.of(day, AtomSays::Half(Hash(drawn())));
    helper.hears_of(day, "the other half", |says| matches!(says, AtomSays::Halves(_)).then_some(()));
    helper.of(day, AtomSays::Ready);
    for line in [&one, &other] {
        line.hears_of(day, "an invitation", |says| matches!(says, AtomSays::Invite { .. }).then_some(()));
    }
    // Of another day, and in another's name.
    one.of(day, circle.foes[2].report(&circle.group, yesterday() - 1));
    one.of(day, circle.foes[3].report(&circle.group, yesterday()));
    let report = circle.foes[2].report(&circle.group, yesterday());
    // With a box that was not signed.
    if let AtomSays::Report { report, leader_box, .. } = report.clone() {
        let helper_box = Bytes(vec![1; 1000]);
        one.of(day, AtomSays::Report { report, leader_box, helper_box });
    }
    let of = |foe: usize| circle.foes[foe].node();
    // The daemon's own is among them.
    let verified = |issuer: NodeId| {
        let said = helper.heard_of(day).into_iter();
        let report = |says| if let AtomSays::Verify { report, .. } = says { Some(report) } else { None };
        let reports =
            said.filter_map(report).filter(|report| object::read::<Report>(report, Some(issuer)).is_ok());
        reports.count()
    };
    one.of(day, report.clone());
    until("the report is verified", || (verified(of(2)) == 1).then_some(()));
    // Again, by whom it is not, and another of the same owner.
    one.of(day, report.clone());
    other.of(day, report);
    one.of(day, circle.foes[2].report(&circle.group, yesterday()));
    one.settle();
    other.of(day, circle.foes[3].report(&circle.group, yesterday()));
    until("the other's report is verified as well", || (verified(of(3)) == 1).then_some(()));
    one.settle();
    other.settle();
    assert_eq!((verified(of(2)), verified(of(3)), verified(circle.node.node_id())), (1, 1, 1));
    drop(waiting);
}

#[test]
fn rank_2_listens_to_rank_1_alone() {
    let circle = Circle::of(Rank::Helps);
    let [leader, member] = [0, 2].map(|place| circle.dial(place));
    let day = circle.atom(yesterday());
    let open = |commitment| AtomSays::Open { commitment: Hash(commitment), by_hand: true };
    let is_half = |says: &AtomSays| matches!(says, AtomSays::Half(_)).then_some(());
    member.of(day, open([1; 32]));
    member.settle();
    assert_eq!(member.heard_of(day), []);
    assert!(circle.rows().is_empty(), "{:?}", circle.rows());
    // Nor for a day that is not over, or is over for too long.
    for (wrong, reason) in [(yesterday() + 1, AtomReason::TooEarly), (yesterday() - 40, AtomReason::NoData)] {
        let Some((first, _)) = circle.group.aggregators(wrong) else { panic!("there are two") };
        if first == circle.foes[0].node() {
            leader.of(circle.atom(wrong), open([1; 32]));
            leader.hears_of(circle.atom(wrong), "that it is over", |says| {
                (*says == AtomSays::Ended(reason)).then_some(())
            });
        }
    }
    leader.of(day, open([1; 32]));
    leader.hears_of(day, "the other half", is_half);
    // Now there is something to disturb.
    member.of(day, AtomSays::Halves(Hash([2; 32])));
    member.of(
        day,
        AtomSays::Verify {
            report: Signed { bytes: Bytes(vec![0; 64]), signature: karo_protocol::node::Signature([0; 64]) },
            helper_box: Bytes(vec![0; 64]),
            shares: vec![Bytes(vec![0; 64])],
        },
    );
    member.of(day, AtomSays::Set { reports: vec![Nonce([1; 16])], commitment: Hash([3; 32]) });
    member.of(day, AtomSays::Ended(AtomReason::Disagreed));
    member.settle();
    assert_eq!(member.heard_of(day), []);
    assert_eq!(circle.rows()[&yesterday()].state, AtomState::Open);
    // The half that was promised is the one that is taken: another comes to nothing, and rank 1 is told.
    leader.of(day, AtomSays::Halves(Hash([2; 32])));
    leader.hears_of(day, "that it is over", |says| {
        (*says == AtomSays::Ended(AtomReason::Replayed)).then_some(())
    });
}

#[test]
fn a_forged_end_ends_nothing() {
    let circle = Circle::of(Rank::Gives);
    had(&circle.node, yesterday(), &[("git status", 0)]);
    let [leader, helper, member] = [0, 1, 2].map(|place| circle.dial(place));
    let day = circle.atom(yesterday());
    leader.of(day, INVITE);
    leader.hears_of(day, "a report", is_report);
    for line in [&helper, &member] {
        line.of(day, AtomSays::Ended(AtomReason::TooFew));
        line.of(day, AtomSays::Closed(Box::new(circle.closed(yesterday(), (2, 2)))));
        line.settle();
    }
    // Neither of the two who add up can close a day alone.
    leader.of(day, AtomSays::Closed(Box::new(circle.closed(yesterday(), (0, 0)))));
    helper.of(day, AtomSays::Closed(Box::new(circle.closed(yesterday(), (1, 1)))));
    let mut two = circle.closed(yesterday(), (0, 1));
    two.seal = circle.closed(yesterday(), (0, 1)).seal;
    leader.of(day, AtomSays::Closed(Box::new(two)));
    leader.settle();
    helper.settle();
    assert_eq!(circle.rows()[&yesterday()].state, AtomState::Given);
    // What was given is given again to whoever may have it: nothing of that has silenced us.
    let reports = || leader.heard_of(day).iter().filter(|says| is_report(says).is_some()).count();
    let before = reports();
    given::invite_until(&leader, day, "the report is given again", || (reports() > before).then_some(()));
    leader.of(day, AtomSays::Closed(Box::new(circle.closed(yesterday(), (0, 1)))));
    until("the atom is kept", || is_closed(&circle).then_some(()));
    leader.of(day, AtomSays::Ended(AtomReason::TooFew));
    leader.settle();
    assert!(is_closed(&circle));
}

#[test]
fn days_without_end_are_not_written_down() {
    let circle = Circle::of(Rank::Gives);
    let lines = [0, 1].map(|place| circle.dial(place));
    let stranger = Foe::new();
    circle.node.trust(stranger.node(), &[], Trust::Member);
    let stranger = stranger.dial(&circle.node);
    lines.iter().for_each(Line::settle);
    let before = bytes_below(&circle.node.karo.data());
    let ends = [i32::MIN, i32::MIN + 1, -1, 0, i32::MAX - 1, i32::MAX];
    let days = ends.into_iter().chain((0..60).map(|place| yesterday() - 400 - place));
    // Every one of the two is rank 1 on some of them.
    for day in days {
        for line in &lines {
            line.of(circle.atom(day), AtomSays::Ended(AtomReason::TooFew));
            line.of(circle.atom(day), INVITE);
            line.of(circle.atom(day), AtomSays::Closed(Box::new(circle.closed(yesterday(), (2, 2)))));
        }
        for _ in 0..3 {
            stranger.of(AtomId { group: Hash(drawn()), day }, INVITE);
        }
        lines.iter().for_each(Line::settle);
    }
    stranger.settle();
    // What the two sign together verifies, and still no day that never was, nor one that will be, is kept.
    for day in [i32::MIN, -5000, yesterday() + 1, i32::MAX] {
        let by = match circle.group.aggregators(day).expect("there are two").0 == circle.foes[0].node() {
            true => (0, 1),
            false => (1, 0),
        };
        lines[0].of(circle.atom(day), AtomSays::Closed(Box::new(circle.closed(day, by))));
        lines[0].settle();
    }
    let rows = circle.rows();
    assert!(rows.is_empty(), "{:?}", rows.keys());
    assert_eq!(circle.node.count(Deed::DayGiven, None), 0);
    // Alike refusals are counted together in the audit: the stranger's would be two hundred entries.
    let refused = circle.node.count(Deed::DayRefused, None);
    assert!((1..180).contains(&refused), "{refused}");
    let after = bytes_below(&circle.node.karo.data());
    assert!(after < before + 256 * 1024, "{before} bytes became {after}");
}

#[test]
fn a_report_is_made_again_so_many_times() {
    let circle = Circle::of(Rank::Gives);
    had(&circle.node, yesterday(), &[("git status", 0)]);
    let leader = circle.dial(0);
    let day = circle.atom(yesterday());
    let reports = || leader.heard_of(day).iter().filter(|says| is_report(says).is_some()).count();
    for round in 1..=8 {
        leader.of(day, INVITE);
        until("the report is given", || (reports() == round).then_some(()));
        leader.of(day, AtomSays::Ended(AtomReason::Busy));
        leader.settle();
    }
    leader.of(day, INVITE);
    leader.is_declined(day, AtomReason::Replayed);
    assert_eq!(reports(), 8);
}

#[test]
fn a_member_does_not_paint_the_days_of_others() {
    let circle = Circle::of(Rank::Gives);
    let member = circle.dial(2);
    let day = circle.atom(yesterday());
    for wrong in [day, circle.atom(yesterday() - 1), circle.atom(yesterday() + 1)] {
        member.of(wrong, INVITE);
        member.is_declined(wrong, AtomReason::WrongRank);
        member.of(wrong, AtomSays::Ended(AtomReason::Invalid));
        member.of(wrong, AtomSays::Decline(AtomReason::Invalid));
        member.of(wrong, AtomSays::Taken(Nonce([1; 16])));
    }
    member.settle();
    assert!(circle.rows().is_empty(), "{:?}", circle.rows());
}

#[test]
fn atoms_that_nobody_asked_for_are_passed_over() {
    let circle = Circle::of(Rank::Gives);
    let member = circle.dial(2);
    // Not even genuine ones are taken from an answer to nothing.
    for id in 0..4 {
        let atoms = vec![circle.closed(yesterday(), (0, 1)), circle.closed(yesterday(), (2, 3))];
        member.say(Control::Ask(AskTalk::AtomsHeld { id, status: Status::Success, atoms }));
    }
    assert_eq!(asked(&member, circle.group.id(), 9), (Status::NoData, 0));
    assert!(circle.rows().is_empty(), "{:?}", circle.rows());
    // In an answer to a question, forged ones are left out, and the genuine one is found among them.
    let mut session = circle.node.karo.session();
    let query = karo_protocol::answer::MeshQuery {
        question: karo_protocol::answer::Question::Activity,
        group: None,
        since: Some(karo_protocol::Timestamp::from_micros(i64::from(yesterday()) * 86_400_000_000)),
        until: None,
        compare: false,
    };
    session.send(&Request::MeshQuery(query)).expect("the daemon reads");
    let id = member.hears("a question", |control| match control {
        Control::Ask(AskTalk::Atoms { id, .. }) => Some(*id),
        _ => None,
    });
    let other = Circle::of(Rank::Gives);
    let atoms = vec![
        circle.closed(yesterday(), (2, 3)),
        circle.closed(yesterday(), (0, 2)),
        other.closed(yesterday(), (0, 1)),
        circle.closed(yesterday(), (0, 1)),
        circle.closed(yesterday(), (0, 1)),
    ];
    member.say(Control::Ask(AskTalk::AtomsHeld { id, status: Status::Success, atoms }));
    match session.receive() {
        Ok((_, Reply::Answer(answer))) => assert_eq!(answer.covered, [yesterday()]),
        reply => panic!("no answer but {reply:?}"),
    }
    let rows = circle.rows();
    assert_eq!((rows.len(), rows[&yesterday()].group_id), (1, circle.group.id()));
}

#[test]
fn a_member_is_not_told_how_we_are() {
    let circle = Circle::of(Rank::Gives);
    let member = circle.dial(2);
    member.say(Control::Ask(AskTalk::Health { id: 7 }));
    let told = member.hears("an answer", |control| match control {
        Control::Ask(AskTalk::HealthIs { id: 7, status, health }) => Some((*status, health.clone())),
        _ => None,
    });
    assert_eq!(told, (Status::AccessDenied, None));
    let node: NodeId = circle.foes[2].node();
    assert!(circle.node.peer(node).is_some());
}
