//! How long closing an atom takes, who works for it, and what it carries.
//!
//! `cargo bench -p karo-core --bench atom`; for 50 owners, the main table and three chunks of tools the goal is 300 ms
//! once the reports are in. All nodes are in this process; signatures are not made. `cargo bench -p karo-core
//! --bench atom chunks` prints what the lengths of a proof's chunks cost.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a benchmark is run by hand: it reads the clock, prints a table and knows what is said"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use karo_core::atom::answer::{Asked, ClosedDay, answer};
use karo_core::group::Group;
use karo_core::public::public;
use karo_core::sum::seal::SealingSecret;
use karo_core::sum::{AggregatorRecord, Closing, Contribution, Helper, Leader, Output, Proven, Window};
use karo_protocol::answer::Question;
use karo_protocol::atom::{Atom, AtomSays, AtomSeal, Band, Part, Released, Report};
use karo_protocol::group::{COHORT_MIN, Card, GroupFile, Member, ToolName};
use karo_protocol::node::{Hash, NodeId, Nonce, Signature};
use karo_protocol::peer::{Object, Signed};
use karo_protocol::{Category, Timestamp};
use prio::codec::Encode;
use prio::vdaf::prio3::{Prio3SumVec, optimal_chunk_length};
use prio::vdaf::{Aggregator, Client};

fn main() {
    if std::env::args().any(|argument| argument == "chunks") {
        return chunks();
    }
    for tools in [0, 96] {
        for owners in [5, 20, 50] {
            close(owners, tools);
        }
    }
    for days in [7, 365] {
        answers(days);
    }
}

/// Answers each question over so many closed days of a group with all its cells, none of them hidden: the most that
/// there can be to add up.
fn answers(days: i32) {
    let secrets: Vec<Arc<SealingSecret>> =
        (0..5).map(|owner| Arc::new(SealingSecret::derive(&[owner as u8 + 1; 32]))).collect();
    let group = Arc::new(Group::check(Hash([1; 32]), file(&secrets, 96)).expect("the file keeps all rules"));
    let released = |part: Part| Released {
        part,
        values: (0..part.values() as u64).map(|place| Some(1000 + place)).collect(),
        owners: vec![Band::Fifty; part.owners()],
    };
    let atom = |day: i32| Atom {
        group: group.id(),
        day,
        aggregators: (node(0), node(1)),
        contributors: 50,
        owners: 50,
        parts: group.parts().into_iter().map(released).collect(),
    };
    let closed: BTreeMap<i32, ClosedDay> = (0..days)
        .map(|day| (day, ClosedDay { group: Arc::clone(&group), atom: Arc::new(atom(day)) }))
        .collect();
    for question in Question::ALL {
        let asked =
            Asked { question: *question, days: 0..days, compare: false, not_looked_for: BTreeSet::new() };
        let mut times: Vec<Duration> = (0..50)
            .map(|_| {
                let begun = Instant::now();
                black_box(answer(&asked, black_box(&closed)));
                begun.elapsed()
            })
            .collect();
        times.sort_unstable();
        println!("{question} over {days} closed days: {:.2} ms (median of 50)", millis(times[25]));
    }
}

/// What one closing took.
#[derive(Default)]
struct Costs {
    contributor: Duration,
    leader: Duration,
    helper: Duration,
    leader_works: Duration,
    helper_works: Duration,
    bytes: BTreeMap<&'static str, (usize, usize)>,
}

fn close(owners: usize, tools: usize) {
    let secrets: Vec<Arc<SealingSecret>> =
        (0..owners).map(|owner| Arc::new(SealingSecret::derive(&[owner as u8 + 1; 32]))).collect();
    let group = Arc::new(Group::check(Hash([9; 32]), file(&secrets, tools)).expect("a group"));
    let closing = Closing::new(group, 20_000).expect("two may add up");
    let secret = |node: NodeId| Arc::clone(&secrets[usize::from(node.0[1])]);
    let mut costs = Costs::default();
    let given = give(&closing, owners, &mut costs);
    let now = Instant::now();
    let window = Window::Daily(now + Duration::from_secs(3600));
    let record = |half| AggregatorRecord::new(closing.atom(), Hash([half; 32]), Hash([half + 1; 32]));
    let (mut leader, out) =
        Leader::new(Arc::clone(&closing), secret(closing.leader()), record(1), window, now);
    let (mut helper, _) = Helper::new(Arc::clone(&closing), secret(closing.helper()), record(3), window, now);
    let begun = Instant::now();
    let mut queue: VecDeque<(bool, Output)> = out.into_iter().map(|output| (true, output)).collect();
    let mut table = None;
    let mut is_closed = false;
    while let Some((is_leader, output)) = queue.pop_front() {
        let start = Instant::now();
        let (at_leader, out) = match output {
            Output::Send { to, says } => {
                costs.count(&says);
                match says {
                    AtomSays::Invite { .. } => {
                        let (says, proven) = given[&to].clone();
                        costs.count(&says);
                        (true, leader.on(to, says, Some(proven), now))
                    }
                    AtomSays::Taken(_) => continue,
                    says if is_leader => {
                        let proven = match &says {
                            AtomSays::Verify { report, .. } => given
                                .values()
                                .find(|(said, _)| matches!(said, AtomSays::Report { report: own, .. } if own == report))
                                .map(|(_, proven)| proven.clone()),
                            AtomSays::Table(_) => table.clone(),
                            _ => None,
                        };
                        (false, helper.on(closing.leader(), says, proven, now))
                    }
                    AtomSays::Seal(seal) => {
                        let atom = Hash(blake3::hash(b"table").into());
                        let proven =
                            Proven::Seal(object(closing.helper(), Nonce([0; 16]), AtomSeal { atom }));
                        (true, leader.on(closing.helper(), AtomSays::Seal(seal), Some(proven), now))
                    }
                    says => (true, leader.on(closing.helper(), says, None, now)),
                }
            }
            Output::Work(work) => {
                let worked = work.run();
                let ran = start.elapsed();
                let works = if is_leader { &mut costs.leader_works } else { &mut costs.helper_works };
                *works += ran;
                (is_leader, if is_leader { leader.on_worked(worked, now) } else { helper.on_worked(worked) })
            }
            Output::Sign(atom) => {
                table = Some(Proven::Table(Box::new(object(closing.leader(), Nonce([1; 16]), atom))));
                (true, leader.on_signed(signed(b"table"), now))
            }
            Output::SignSeal(_) => (false, helper.on_sealed(signed(b"table"), signed(b"seal"))),
            Output::Closed(_) => {
                is_closed = true;
                continue;
            }
            Output::Record(_) => continue,
            Output::SignReport { .. } | Output::Ended(_) | Output::Fault(_) => panic!("an honest closing"),
        };
        let elapsed = start.elapsed();
        *if at_leader { &mut costs.leader } else { &mut costs.helper } += elapsed;
        queue.extend(out.into_iter().map(|output| (at_leader, output)));
    }
    assert!(is_closed, "an honest closing closes");
    costs.print(owners, tools, begun.elapsed());
}

type Given = BTreeMap<NodeId, (AtomSays, Proven)>;

/// Lets every contributor make its report.
fn give(closing: &Arc<Closing>, owners: usize, costs: &mut Costs) -> Given {
    let mut given = Given::new();
    let now = Instant::now();
    for owner in 0..owners {
        let node = node(owner);
        let numbers: Vec<Vec<u128>> = closing
            .scheme()
            .cells()
            .enumerate()
            .map(|(vector, cells)| numbers(vector, cells, owner))
            .collect();
        let chance = (Nonce([owner as u8 + 1; 16]), [owner as u8 + 1; 32]);
        let when = (Window::ByHand, now);
        let start = Instant::now();
        let begun = Contribution::new(Arc::clone(closing), node, &numbers, Hash([1; 32]), chance, when);
        let (mut contribution, out) = begun.expect("in range");
        costs.contributor += start.elapsed();
        let [Output::SignReport { id, report, .. }] = &out[..] else { panic!("a report is signed") };
        let proven: Proven = Proven::Report(object::<Report>(node, *id, *report));
        let mut out = contribution.on_signed(signed(&id.0), now);
        let Some(Output::Send { says, .. }) = out.pop() else { panic!("a report is sent") };
        given.insert(node, (says, proven));
    }
    given
}

fn numbers(vector: usize, cells: usize, owner: usize) -> Vec<u128> {
    let number = |cell: usize| if vector % 2 == 1 { 1 } else { (cell * 31 + owner) as u128 };
    (0..cells).map(number).collect()
}

fn object<T>(issuer: NodeId, id: Nonce, body: T) -> Object<T> {
    let now = Timestamp::default();
    Object { issuer, audience: None, created: now, expires: now, id, body }
}

/// An object is some three hundred bytes.
fn signed(name: &[u8]) -> Signed {
    Signed { bytes: name.into(), signature: Signature([0; 64]) }
}

fn node(owner: usize) -> NodeId {
    let mut key = [0; 32];
    key[1] = owner as u8;
    NodeId(key)
}

fn file(secrets: &[Arc<SealingSecret>], tools: usize) -> GroupFile {
    let member = |(owner, secret): (usize, &Arc<SealingSecret>)| Member {
        card: Card { node: node(owner), sealing: secret.public(), proof: Signature([0; 64]) },
        name: format!("machine-{owner}"),
        owner: format!("owner {owner}"),
        contributes: true,
        may_aggregate: true,
        addresses: Vec::new(),
    };
    GroupFile {
        name: "team".to_owned(),
        lineage: Nonce([7; 16]),
        version: 1,
        zone: "Europe/Berlin".to_owned(),
        smallest_cohort: COHORT_MIN,
        members: secrets.iter().enumerate().map(member).collect(),
        tools: public_tools(tools),
        rules: Vec::new(),
    }
}

/// Every word of up to three letters is asked whether it is the name of a public tool.
fn public_tools(count: usize) -> Vec<(ToolName, Category)> {
    let letters: Vec<String> = ('a'..='z').map(String::from).collect();
    let longer = |words: &[String]| -> Vec<String> {
        words.iter().flat_map(|word| ('a'..='z').map(move |letter| format!("{word}{letter}"))).collect()
    };
    let two = longer(&letters);
    let words = [two.clone(), longer(&two)].concat();
    let mut names: Vec<ToolName> = words.iter().filter_map(|word| public(word)).collect();
    names.sort();
    assert!(names.len() >= count, "{} short names are public", names.len());
    names.into_iter().take(count).map(|name| (name, Category::ALL[0])).collect()
}

impl Costs {
    fn count(&mut self, says: &AtomSays) {
        let (name, bytes) = match says {
            AtomSays::Invite { .. } => ("1 invite", 1),
            AtomSays::Report { leader_box, helper_box, .. } => {
                ("2 report", leader_box.len() + helper_box.len())
            }
            AtomSays::Verify { helper_box, shares, .. } => {
                ("3 verify", helper_box.len() + shares.iter().map(|share| share.len()).sum::<usize>())
            }
            AtomSays::Verified { messages, .. } => {
                ("4 verified", messages.iter().flatten().map(|message| message.len()).sum())
            }
            AtomSays::Taken(_) => ("5 taken", 16),
            AtomSays::Set { reports, .. } => ("6 set", reports.len() * 16 + 32),
            AtomSays::Agreed { .. } => ("7 agreed", 64),
            AtomSays::Owners { sums, .. } => {
                ("8 owners", sums.iter().map(|sum| sum.len()).sum::<usize>() + 32)
            }
            AtomSays::Values(sums) => ("9 values", sums.iter().map(|sum| sum.len()).sum()),
            AtomSays::Decline(_)
            | AtomSays::Open { .. }
            | AtomSays::Half(_)
            | AtomSays::Halves(_)
            | AtomSays::Ready
            | AtomSays::Table(_)
            | AtomSays::Seal(_)
            | AtomSays::Closed(_)
            | AtomSays::Ended(_)
            | AtomSays::FeedAsk
            | AtomSays::FeedAskWithout(_)
            | AtomSays::Feed(_) => ("0 other", 32),
        };
        let (count, sum) = self.bytes.entry(name).or_default();
        *count += 1;
        *sum += bytes;
    }

    fn print(&self, owners: usize, tools: usize, wall: Duration) {
        println!(
            "{owners} owners, {tools} tools: {:.1} ms on one thread once reports are made",
            millis(wall)
        );
        println!("    contributor {:>8.2} ms each", millis(self.contributor) / owners as f64);
        for (name, all, works) in
            [("leader", self.leader, self.leader_works), ("helper", self.helper, self.helper_works)]
        {
            println!(
                "    {name:<11} {:>8.1} ms, of which {:.1} ms can run on any thread, {:.2} ms a report",
                millis(all),
                millis(works),
                millis(works) / owners as f64
            );
        }
        for (name, (count, bytes)) in &self.bytes {
            println!("    {name:<11} {count:>6} messages {bytes:>10} bytes, {} each", bytes / count);
        }
    }
}

/// Prints what each length of a proof's chunk costs, for every vector there is.
fn chunks() {
    let bits = karo_protocol::atom::VALUE_BITS;
    for part in [Part::Main, Part::Others, Part::Tools(0), Part::Rules(0)] {
        for (cells, bits) in [(part.values(), bits), (part.owners(), 1)] {
            let best = optimal_chunk_length(cells * bits);
            println!("{part:?}, {cells} cells of {bits} bits; shortest proof at {best}");
            for chunk in [best / 4, best / 2, best, best * 2, best * 3, best * 4, best * 6, best * 8] {
                if chunk > 0 {
                    chunk_costs(cells, bits, chunk);
                }
            }
        }
    }
}

fn chunk_costs(cells: usize, bits: usize, chunk: usize) {
    const ROUNDS: u32 = 20;
    let prio = Prio3SumVec::new_sum_vec(2, (1 << bits) - 1, cells, chunk).expect("a vector");
    let numbers: Vec<u128> = (0..cells).map(|cell| (cell % (1 << bits)) as u128).collect();
    let (mut shard, mut first, mut second) = (Duration::MAX, Duration::MAX, Duration::MAX);
    let mut bytes = (0, 0);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let (public, inputs) = prio.shard(b"context", &numbers, &[1; 16]).expect("in range");
        shard = shard.min(start.elapsed());
        let start = Instant::now();
        let (_, theirs) =
            prio.verify_init(&[2; 32], b"context", 0, &(), &[1; 16], &public, &inputs[0]).expect("sound");
        first = first.min(start.elapsed());
        let start = Instant::now();
        let (state, own) =
            prio.verify_init(&[2; 32], b"context", 1, &(), &[1; 16], &public, &inputs[1]).expect("sound");
        let length = |encoded: Result<Vec<u8>, _>| encoded.map_or(0, |encoded: Vec<u8>| encoded.len());
        bytes = (length(inputs[0].get_encoded()), length(theirs.get_encoded()));
        let message = prio.verifier_shares_to_message(b"context", &(), [theirs, own]).expect("sound");
        black_box(prio.verify_next(b"context", state, message)).expect("sound");
        second = second.min(start.elapsed());
    }
    println!(
        "    chunk {chunk:>5}: contributor {:>7.3} ms, leader {:>7.3} ms, helper {:>7.3} ms; {:>6} bytes to the leader, {:>6} between",
        millis(shard),
        millis(first),
        millis(second),
        bytes.0,
        bytes.1
    );
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
