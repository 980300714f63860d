//! Summaries and atoms that were forged, altered, made by another, for another, for a time to come, told twice or out of
//! their order.

use karo_protocol::atom::{Atom, AtomSays, Band, ClosedAtom};
use karo_protocol::node::Hash;
use karo_protocol::peer::{Control, Signed};
use karo_protocol::summary::{Period, Summary, SummaryId, SummaryTalk, Sums};
use karo_protocol::{Category, Micros, Timestamp, Trust};
use karo_tests::Node;
use karo_tests::groups::{member, yesterday};
use karo_tests::until;

use super::is_closed;
use crate::foe::{Circle, Foe, Line, NEVER, Rank, drawn, now};
use crate::sharing::received;

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// A summary of yesterday that there is nothing wrong with.
fn summary(version: u64, count: u32) -> Summary {
    let start = Timestamp::from_micros(i64::from(yesterday()) * DAY);
    let sums = Sums { count: count.into(), failed: 0, mean_us: Some(1000) };
    let mut hours = vec![0; 24];
    hours[9] = count;
    let mut weekdays = vec![0; 7];
    weekdays[(yesterday() + 3).rem_euclid(7) as usize] = count;
    Summary {
        period: Period::Daily,
        start,
        end: start.after(Micros(DAY as u64)),
        offset_s: 0,
        version,
        total: sums,
        categories: vec![(Category::Vcs, sums)],
        tools: Vec::new(),
        hours,
        weekdays,
        risks: None,
        is_limited: false,
    }
}

fn push(line: &Line, signed: &Signed) {
    line.say(Control::Summary(SummaryTalk::Push(signed.clone())));
}

/// Returns how often the foe was told that a version of yesterday is taken.
fn taken(line: &Line, version: u64) -> usize {
    let id = SummaryId { period: Period::Daily, start: summary(1, 1).start };
    let is = |control: &&Control| **control == Control::Summary(SummaryTalk::Taken { id, version });
    line.heard().iter().filter(is).count()
}

/// Returns version and events of each summary that a daemon has.
fn kept(node: &Node) -> Vec<(u64, u64)> {
    received(node).iter().map(|row| (row.summary.version, row.summary.total.count)).collect()
}

fn flipped(signed: &Signed, place: usize) -> Signed {
    let mut flipped = signed.clone();
    let length = flipped.bytes.0.len();
    flipped.bytes.0[place % length] ^= 1;
    flipped
}

#[test]
fn forged_summaries_are_refused_and_newer_ones_supersede() {
    let node = member();
    let [foe, other] = [Foe::new(), Foe::new()];
    for one in [&foe, &other] {
        node.trust(one.node(), &[], Trust::Peer);
    }
    let own = node.node_id();
    let [line, others] = [&foe, &other].map(|one| one.dial(&node));
    let at = |minutes: i64| Timestamp::from_micros(now().as_micros() + minutes * MINUTE);
    let times = (now(), NEVER);
    let sound = |version, count| foe.sign_for(summary(version, count), Some(own), times);
    let changed = |change: fn(&mut Summary)| {
        let mut made = summary(2, 3);
        change(&mut made);
        foe.sign_for(made, Some(own), times)
    };
    let mut unsigned = sound(2, 3);
    unsigned.signature.0[7] ^= 1;
    let wrong = [
        ("a bit of it is flipped", flipped(&sound(2, 3), 90)),
        ("its last bit is flipped", flipped(&sound(2, 3), usize::MAX)),
        ("its signature is another's", unsigned),
        ("it is of another node", other.sign_for(summary(2, 3), Some(own), times)),
        ("it is for nobody in particular", foe.sign_for(summary(2, 3), None, times)),
        ("it is for another node", foe.sign_for(summary(2, 3), Some(other.node()), times)),
        ("it is from a time to come", foe.sign_for(summary(2, 3), Some(own), (at(10), NEVER))),
        ("it is good no more", foe.sign_for(summary(2, 3), Some(own), (at(-20), at(-10)))),
        (
            "its day is not over",
            changed(|made| {
                (made.start, made.end) =
                    (made.start.after(Micros(2 * DAY as u64)), made.end.after(Micros(2 * DAY as u64)))
            }),
        ),
        (
            "it is of three days",
            changed(|made| made.start = Timestamp::from_micros(made.start.as_micros() - 2 * DAY)),
        ),
        ("it ends before it begins", changed(|made| made.end = made.start)),
        ("its day has 23 hours", changed(|made| made.hours.truncate(23))),
        ("it has no version", changed(|made| made.version = 0)),
    ];
    for (_, signed) in &wrong {
        push(&line, signed);
    }
    // What comes behind them is judged behind them.
    push(&others, &other.sign_for(summary(1, 9), Some(own), times));
    until("the other's is taken", || (taken(&others, 1) == 1).then_some(()));
    push(&line, &sound(2, 3));
    until("a sound one is taken", || (taken(&line, 2) == 1).then_some(()));
    let mut both = kept(&node);
    both.sort_unstable();
    assert_eq!(both, [(1, 9), (2, 3)], "of what is wrong nothing is kept");
    // An older version out of its order, the same twice, and another of the same number.
    let second = sound(2, 3);
    push(&line, &sound(1, 50));
    until("the older one is answered with the newer", || (taken(&line, 2) == 2).then_some(()));
    push(&line, &sound(2, 60));
    push(&line, &second);
    push(&line, &sound(3, 4));
    until("the newest is taken", || (taken(&line, 3) == 1).then_some(()));
    assert_eq!(taken(&line, 2), 2, "two things in one version are a lie");
    // What is one node's is not told by another, be it genuine.
    push(&others, &sound(4, 70));
    push(&others, &other.sign_for(summary(2, 8), Some(own), times));
    until("the other's next is taken", || (taken(&others, 2) == 1).then_some(()));
    let mut both = kept(&node);
    both.sort_unstable();
    assert_eq!(both, [(2, 8), (3, 4)]);
    let refused = node.karo.log().lines().filter(|line| line.contains("a summary is refused")).count();
    assert_eq!(refused, wrong.len() + 3, "each is named in the log");
}

#[test]
fn forged_atoms_are_refused_and_the_first_stays() {
    let circle = Circle::of(Rank::Gives);
    let [leader, helper, member] = [0, 1, 2].map(|place| circle.dial(place));
    let day = circle.atom(yesterday());
    let changed = |change: &dyn Fn(&mut Atom)| {
        let mut table = circle.table(yesterday());
        change(&mut table);
        circle.closed_as(table, (0, 1))
    };
    let genuine = circle.closed(yesterday(), (0, 1));
    let flipped =
        |place: usize| ClosedAtom { table: self::flipped(&genuine.table, place), ..genuine.clone() };
    let mut unsealed = genuine.clone();
    unsealed.seal.signature.0[3] ^= 1;
    let other = Circle::of(Rank::Gives);
    let wrong = [
        ("a bit of it is flipped", flipped(100)),
        ("its last bit is flipped", flipped(usize::MAX)),
        ("its seal is another's", unsealed),
        (
            "its seal is of another table",
            ClosedAtom { seal: circle.closed(yesterday(), (0, 1)).seal, ..genuine.clone() },
        ),
        ("the two have changed places", circle.closed(yesterday(), (1, 0))),
        (
            "it says that they have",
            changed(&|atom| atom.aggregators = (atom.aggregators.1, atom.aggregators.0)),
        ),
        ("it is of another day", circle.closed(yesterday() + 1, (0, 1))),
        ("it is of another group", other.closed(yesterday(), (0, 1))),
        ("it names another group", changed(&|atom| atom.group = Hash(drawn()))),
        ("four owners are in it", changed(&|atom| atom.contributors = 4)),
        ("more are in it than there are", changed(&|atom| atom.contributors = 7)),
        ("it counts the owners otherwise", changed(&|atom| atom.owners = 5)),
        ("a part is missing", changed(&|atom| drop(atom.parts.pop()))),
        ("a cell is missing", changed(&|atom| atom.parts[0].values.truncate(102))),
        ("a value is shown whose owners are not", changed(&|atom| atom.parts[0].values[0] = Some(3))),
        ("owners are shown whose value is not", changed(&|atom| atom.parts[0].owners[0] = Band::Five)),
        (
            "ten of five are in a cell",
            changed(&|atom| {
                (atom.parts[0].owners[0], atom.parts[0].values[0]) = (Band::Ten, Some(10));
                atom.parts[0].values[2] = Some(10);
            }),
        ),
    ];
    // Whoever tells it, rank 1 itself included, and under whatever name.
    for (_, closed) in &wrong {
        for line in [&leader, &helper, &member] {
            line.of(day, AtomSays::Closed(Box::new(closed.clone())));
            line.of(circle.atom(yesterday() - 1), AtomSays::Closed(Box::new(closed.clone())));
            line.settle();
        }
        assert!(circle.rows().is_empty(), "{:?}", circle.rows());
    }
    // A later day before an earlier one, and each twice.
    for closed in [&genuine, &circle.closed(yesterday() - 1, (0, 1)), &genuine] {
        member.of(day, AtomSays::Closed(Box::new(closed.clone())));
    }
    until("both are kept", || (is_closed(&circle) && circle.rows().len() == 2).then_some(()));
    // What both have signed once they cannot sign otherwise any more.
    let second = changed(&|atom| atom.contributors = 6);
    leader.of(day, AtomSays::Closed(Box::new(second)));
    leader.settle();
    assert_eq!(circle.rows()[&yesterday()].contributors, Some(5));
}
