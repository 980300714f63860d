//! What was given of a day is given again as it was, or not at all: after a kill, and when a person says no meanwhile.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use karo_protocol::Category;
use karo_protocol::atom::{AtomId, AtomReason, AtomSays, PartCounts};
use karo_protocol::audit::{Deed, Reason};
use karo_protocol::category::CategorySet;
use karo_protocol::local::{Reply, Request};
use karo_protocol::mesh::Change;
use karo_protocol::node::Nonce;
use karo_protocol::policy::{PolicyChange, Sharing};
use karo_protocol::{NodeId, Trust};
use karo_tests::groups::{had, yesterday};
use karo_tests::wait::within;
use karo_tests::{Node, until};

use super::{INVITE, is_closed, is_report};
use crate::foe::{Circle, Line, Rank};

/// What the daemon did yesterday.
const DAY: [(&str, i32); 4] =
    [("git status", 0), ("git push", 1), ("curl -s https://example.org", 0), ("make", 2)];

fn change(node: &Node, change: PolicyChange) {
    match node.ask(&Request::PolicyChange(change)) {
        Reply::Policy(_) => {}
        other => panic!("the policy was not changed: {other:?}"),
    }
}

fn switch(node: &Node, is_on: bool) {
    change(node, PolicyChange::Switch { what: Sharing::Groups, to: Some(is_on) });
}

fn deny(node: &Node, denied: &[Category]) -> CategorySet {
    let denied = denied.iter().copied().collect();
    change(node, PolicyChange::Deny(denied));
    denied
}

/// Invites the daemon now and then, as rank 1 may, until it answers so.
pub(super) fn invite_until<T>(leader: &Line, atom: AtomId, what: &str, wanted: impl Fn() -> Option<T>) -> T {
    until(what, || {
        leader.of(atom, INVITE);
        within(Duration::from_millis(100), &wanted)
    })
}

/// Invites the daemon and returns the report that it gives.
fn invited(leader: &Line, atom: AtomId) -> AtomSays {
    let reports = || leader.heard_of(atom).into_iter().filter(|says| is_report(says).is_some());
    let before = reports().count();
    invite_until(leader, atom, "a report is given", || reports().nth(before))
}

fn restart(node: &mut Node) {
    node.karo.kill();
    node.karo.launch();
}

/// Returns the files that hold what was given.
fn files(node: &Node) -> Vec<PathBuf> {
    let entries = fs::read_dir(node.karo.data().join("reports"));
    entries.into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

#[test]
fn whoever_is_killed_gives_the_same_report_again() {
    let mut circle = Circle::of(Rank::Gives);
    had(&circle.node, yesterday(), &DAY);
    let day = circle.atom(yesterday());
    let first = invited(&circle.dial(0), day);
    let file = files(&circle.node).pop().expect("it is kept");
    assert_eq!(fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);
    for _ in 0..2 {
        restart(&mut circle.node);
        // What the day has become since changes nothing of what was given of it.
        had(&circle.node, yesterday(), &[("git fetch", 0)]);
        assert_eq!(invited(&circle.dial(0), day), first, "another report of the same day");
    }
    assert_eq!(circle.node.count(Deed::DayGiven, None), 1);
    // Nobody else gets it, whatever has happened in between.
    let other = circle.dial(1);
    other.of(day, INVITE);
    other.settle();
    assert_eq!(other.heard_of(day), []);
    // Once the day is closed there is nothing to give any more.
    let leader = circle.dial(0);
    leader.of(day, AtomSays::Closed(Box::new(circle.closed(yesterday(), (0, 1)))));
    until("the atom is kept", || is_closed(&circle).then_some(()));
    assert_eq!(files(&circle.node), Vec::<PathBuf>::new());
    leader.of(day, INVITE);
    leader.is_declined(day, AtomReason::AlreadyClosed);
}

#[test]
fn what_was_given_is_not_replaced_by_what_is_found() {
    let mut circle = Circle::of(Rank::Gives);
    had(&circle.node, yesterday(), &DAY);
    had(&circle.node, yesterday() - 1, &DAY);
    let (day, before) = (circle.atom(yesterday()), circle.atom(yesterday() - 1));
    let leader = circle.dial(0);
    let given = [day, before].map(|atom| invited(&leader, atom));
    drop(leader);
    let of = |atom: AtomId| {
        let name = atom.day.to_string();
        let is_of = |path: &PathBuf| {
            path.file_name().and_then(|file| file.to_str()).is_some_and(|file| file.starts_with(&name))
        };
        files(&circle.node).into_iter().find(is_of).expect("it is kept")
    };
    let (file, other) = (of(day), of(before));
    let whole = fs::read(&file).expect("it can be read");
    let flipped = |place: usize| {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        bytes
    };
    type Break<'a> = Box<dyn Fn(&Path) + 'a>;
    let breaks: [(&str, Break<'_>, AtomReason); 6] = [
        (
            "a bit of a box",
            Box::new(|file| fs::write(file, flipped(whole.len() - 100)).expect("the file is ours")),
            AtomReason::Invalid,
        ),
        (
            "a bit of what is signed",
            Box::new(|file| fs::write(file, flipped(40)).expect("the file is ours")),
            AtomReason::Invalid,
        ),
        (
            "half of it",
            Box::new(|file| fs::write(file, &whole[..whole.len() / 2]).expect("the file is ours")),
            AtomReason::NoData,
        ),
        (
            "that of another day",
            Box::new(|file| assert!(fs::copy(&other, file).expect("the file is ours") > 0)),
            AtomReason::Invalid,
        ),
        (
            "one that others can write",
            Box::new(|file| {
                fs::set_permissions(file, fs::Permissions::from_mode(0o666)).expect("the file is ours")
            }),
            AtomReason::NoData,
        ),
        (
            "a link",
            Box::new(|file| {
                fs::rename(file, file.with_extension("moved")).expect("the file is ours");
                symlink(file.with_extension("moved"), file).expect("the file is ours");
            }),
            AtomReason::NoData,
        ),
    ];
    for (what, breaking, reason) in breaks {
        circle.node.karo.kill();
        breaking(&file);
        circle.node.karo.launch();
        let leader = circle.dial(0);
        leader.of(day, INVITE);
        leader.is_declined(day, reason);
        assert!(!leader.heard_of(day).iter().any(|says| is_report(says).is_some()), "{what}");
        fs::remove_file(&file).expect("the file is ours");
        fs::write(&file, &whole).expect("the file is ours");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("the file is ours");
        drop(leader);
        let leader = circle.dial(0);
        assert_eq!([invited(&leader, day), invited(&leader, before)], given, "{what}");
    }
    // Gone, and nothing else is made in its place.
    circle.node.karo.kill();
    fs::remove_file(&file).expect("the file is ours");
    circle.node.karo.launch();
    let leader = circle.dial(0);
    leader.of(day, INVITE);
    leader.is_declined(day, AtomReason::NoData);
}

#[test]
fn whoever_says_no_meanwhile_gives_no_more() {
    let mut circle = Circle::of(Rank::Gives);
    had(&circle.node, yesterday(), &DAY);
    let day = circle.atom(yesterday());
    let leader = circle.dial(0);
    let first = invited(&leader, day);
    let declined = |line: &Line, reason: AtomReason, times: usize| {
        let is = |says: &&AtomSays| **says == AtomSays::Decline(reason);
        invite_until(line, day, "it is declined", || {
            (line.heard_of(day).iter().filter(is).count() > times).then_some(())
        });
        line.settle();
    };
    let reports = |line: &Line| line.heard_of(day).iter().filter(|says| is_report(says).is_some()).count();
    let before = reports(&leader);
    switch(&circle.node, false);
    declined(&leader, AtomReason::NotSharing, 0);
    assert_eq!(reports(&leader), before, "a report was given to somebody who may not have it");
    until("the refusal is in the audit", || {
        (circle.node.count(Deed::DayRefused, Some(Reason::Policy)) == 1).then_some(())
    });
    // Allowed again, it is the same; with a category denied that is in it, it is not given, after a restart neither.
    switch(&circle.node, true);
    assert_eq!(invited(&leader, day), first);
    let before = reports(&leader);
    deny(&circle.node, &[Category::Network]);
    let refusals = leader
        .heard_of(day)
        .iter()
        .filter(|says| **says == AtomSays::Decline(AtomReason::NotSharing))
        .count();
    declined(&leader, AtomReason::NotSharing, refusals);
    assert_eq!(reports(&leader), before);
    drop(leader);
    restart(&mut circle.node);
    let leader = circle.dial(0);
    declined(&leader, AtomReason::NotSharing, 0);
    assert_eq!(reports(&leader), 0);
    deny(&circle.node, &[]);
    assert_eq!(invited(&leader, day), first);
}

#[test]
fn whoever_breaks_the_rules_without_end_is_named_now_and_then() {
    let circle = Circle::of(Rank::Gives);
    had(&circle.node, yesterday(), &DAY);
    let day = circle.atom(yesterday());
    let [leader, member] = [0, 2].map(|place| circle.dial(place));
    invited(&leader, day);
    for _ in 0..150 {
        member.of(day, AtomSays::Taken(Nonce([1; 16])));
    }
    member.settle();
    let lines =
        || circle.node.karo.log().lines().filter(|line| line.contains("what no honest node does")).count();
    until("it is named", || (lines() >= 3).then_some(()));
    assert_eq!(lines(), 3, "the first time, the tenth, and the hundredth");
}

/// A circle in which `foes[2]` is a second machine of the daemon's owner, trusted with its summaries.
fn with_second_machine() -> Circle {
    let mut sibling = None;
    let circle = Circle::with(Rank::Gives, |file, _| {
        let member = file.members.iter_mut().find(|member| member.owner == "owner-3").expect("it is there");
        (member.owner, member.contributes) = ("owner-0".to_owned(), false);
        sibling = Some(member.card.node);
    });
    let sibling: NodeId = sibling.expect("the file was changed");
    assert_eq!(sibling, circle.foes[2].node());
    let name = circle.node.peer(sibling).expect("it is a member").name;
    circle.node.change(&name, Change::Trust(Trust::ShareTo));
    had(&circle.node, yesterday(), &DAY);
    circle
}

fn asks(says: &AtomSays) -> Option<CategorySet> {
    match says {
        AtomSays::FeedAsk => Some(CategorySet::default()),
        AtomSays::FeedAskWithout(kept_back) => Some(*kept_back),
        _ => None,
    }
}

fn asked(line: &Line, atom: AtomId, times: usize) -> CategorySet {
    until("the second machine is asked", || line.heard_of(atom).iter().filter_map(asks).nth(times))
}

#[test]
fn a_denial_in_the_middle_of_a_closing_holds_for_all_machines() {
    let circle = with_second_machine();
    let [leader, sibling] = [0, 2].map(|place| circle.dial(place));
    let day = circle.atom(yesterday());
    leader.of(day, INVITE);
    assert_eq!(asked(&sibling, day, 0), CategorySet::default());
    // Our own numbers wait for those of the second machine; a person says no to a category now.
    let denied = deny(&circle.node, &[Category::Vcs]);
    sibling.of(day, AtomSays::Feed(None));
    assert_eq!(asked(&sibling, day, 1), denied, "it is asked again, without what is denied");
    assert_eq!(circle.node.count(Deed::DayGiven, None), 0, "nothing was written of what was counted before");
    // And to all of it.
    switch(&circle.node, false);
    sibling.of(day, AtomSays::Feed(Some(vec![PartCounts::default()])));
    leader.is_declined(day, AtomReason::NotSharing);
    assert!(!leader.heard_of(day).iter().any(|says| is_report(says).is_some()));
    assert_eq!((circle.node.count(Deed::DayGiven, None), files(&circle.node)), (0, Vec::new()));
    switch(&circle.node, true);
    leader.of(day, INVITE);
    assert_eq!(asked(&sibling, day, 2), denied);
    sibling.of(day, AtomSays::Feed(None));
    leader.hears_of(day, "a report", is_report);
}

#[test]
fn what_the_other_machine_denies_is_fed_as_nothing() {
    // The daemon is the second machine, and `foes[2]` gives the numbers of both.
    let circle = Circle::with(Rank::Gives, |file, own| {
        let member = file.members.iter_mut().find(|member| member.card.node == own).expect("it is there");
        (member.owner, member.contributes) = ("owner-3".to_owned(), false);
    });
    had(&circle.node, yesterday(), &DAY);
    had(&circle.node, yesterday() - 1, &DAY);
    let sibling = circle.dial(2);
    let name = circle.node.peer(circle.foes[2].node()).expect("it is a member").name;
    circle.node.change(&name, Change::Trust(Trust::ShareTo));
    let fed = |says: &AtomSays| if let AtomSays::Feed(parts) = says { Some(parts.clone()) } else { None };
    let total = |atom: AtomId, ask: AtomSays| {
        sibling.of(atom, ask);
        let parts = sibling.hears_of(atom, "numbers", fed).expect("there are some");
        // Of each category: ok, failed, duration; the first two are events.
        let of = |category: Category| {
            parts[0].values[3 * usize::from(category.index())..][..2].iter().sum::<u64>()
        };
        (of(Category::Vcs), of(Category::Network))
    };
    assert_eq!(total(circle.atom(yesterday()), AtomSays::FeedAsk), (2, 1));
    let without = AtomSays::FeedAskWithout([Category::Vcs].into_iter().collect());
    assert_eq!(total(circle.atom(yesterday() - 1), without), (0, 1));
}
