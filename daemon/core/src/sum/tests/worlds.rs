//! Two worlds with equal sums: a victim and another honest owner swap their values. Can one aggregator, who is the
//! asker too, tell which of them it is in?
//!
//! Named distinguishers look at all that it sees, each as a number; each is given every chance, by taking whichever
//! side of its middle is the better guess in one half of the runs, and tried on the other half. None may beat chance
//! at p = 0.001, one-sided, corrected for how many there are. Evidence, not proof: a distinguisher that nobody thought
//! of was not tried.

use karo_protocol::Bytes;
use karo_protocol::atom::{AtomId, Part};
use karo_protocol::node::{Hash, NodeId, Nonce};

use super::world::Dice;
use crate::sum::record::{Listed, set_hash};
use crate::sum::seal::SealingSecret;
use crate::sum::shares::{Bound, Rank, Scheme, Shape};
use crate::sum::totals::{Sums, commitment};

/// Runs in the house's tests; `KARO_WORLDS` names another number, and 100,000 were run once.
const RUNS: usize = 1_000;

const CELLS: usize = 2;
const BITS: usize = 4;

/// What one aggregator sees of one closing.
struct Seen {
    /// Both boxes of each contributor, in the order of arrival.
    boxes: Vec<[Vec<u8>; 2]>,
    /// What is in its own.
    texts: Vec<Vec<u8>>,
    /// What the other says of each report.
    verification: Vec<Vec<Bytes>>,
    /// The other's sums: of owners, and of visible values.
    sums: Vec<Bytes>,
    /// What the other commits to.
    commitment: Hash,
    /// The reports.
    reports: Vec<Nonce>,
    /// The victim's first value: what the two aggregators see together.
    opened: f64,
}

/// Closes an atom in one of the two worlds, as one aggregator sees it.
fn close(seer: Rank, is_swapped: bool, dice: &mut Dice) -> Seen {
    let shape = Shape { part: Part::Main, values: CELLS, bits: BITS, owners: CELLS };
    let atom = AtomId { group: Hash([1; 32]), day: 1 };
    let scheme = Scheme::shaped(atom, &[shape]);
    let secrets = [SealingSecret::derive(&[1; 32]), SealingSecret::derive(&[2; 32])];
    let keys = [secrets[0].public(), secrets[1].public()];
    let key = Hash(dice.draw());
    let (leader, helper) = (NodeId([2; 32]), NodeId([3; 32]));
    let mut numbers: Vec<[Vec<u128>; 2]> =
        [[15, 0], [0, 15], [3, 4], [7, 1], [2, 9]].map(|values| [values.to_vec(), vec![1, 1]]).to_vec();
    if is_swapped {
        numbers.swap(0, 1);
    }
    let mut seen = Seen {
        boxes: Vec::new(),
        texts: Vec::new(),
        verification: Vec::new(),
        sums: Vec::new(),
        commitment: Hash([0; 32]),
        reports: Vec::new(),
        opened: 0.0,
    };
    let mut sums = [Sums::new(&scheme), Sums::new(&scheme)];
    let mut set = Vec::new();
    for (owner, numbers) in numbers.iter().enumerate() {
        let report = Nonce(dice.draw());
        let bound = Bound { report, contributor: NodeId([10 + owner as u8; 32]), leader, helper };
        let texts = scheme.split(report, numbers).expect("in range");
        let boxes = scheme.seal(&bound, &texts, keys, &dice.draw()).expect("keys");
        let (shares, ticket) = scheme.begin(&key, &secrets[0], &bound, &boxes[0]).expect("sound");
        let (messages, second) = scheme.verify(&key, &secrets[1], &bound, &boxes[1], &shares).expect("sound");
        let first = scheme.finish(ticket, &messages).expect("sound");
        if owner == 0 {
            seen.opened = u128::from(first.0[0][0] + second.0[0][0]) as f64;
        }
        sums[0].add(&first);
        sums[1].add(&second);
        set.push(Listed { report, contributor: bound.contributor, boxes: [Hash([0; 32]); 2] });
        seen.texts.push(texts[seer.index()].clone());
        seen.verification.push(match seer {
            Rank::Leader => messages,
            Rank::Helper => shares,
        });
        seen.boxes.push(boxes);
        seen.reports.push(report);
    }
    let other = match seer {
        Rank::Leader => Rank::Helper,
        Rank::Helper => Rank::Leader,
    };
    let theirs = &sums[other.index()];
    let set = set_hash(atom, leader, helper, &set);
    seen.commitment = commitment(other, &set, &theirs.owners(), &Hash(dice.draw()));
    seen.sums = [theirs.owners(), theirs.values(&[(0..CELLS).collect()])].concat();
    seen
}

type Distinguisher = (&'static str, fn(&Seen) -> f64);

/// What is looked at: the victim is owner 0, the other is owner 1.
const DISTINGUISHERS: [Distinguisher; 20] = [
    ("mean of the victim's share", |seen| mean(&seen.texts[0])),
    ("mean of the victim's share less the other's", |seen| mean(&seen.texts[0]) - mean(&seen.texts[1])),
    ("bits of the victim's share", |seen| bits(&seen.texts[0])),
    ("bits of the victim's share less the other's", |seen| bits(&seen.texts[0]) - bits(&seen.texts[1])),
    ("first byte of the victim's first element", |seen| f64::from(seen.texts[0][32])),
    ("last byte of the victim's first element", |seen| f64::from(seen.texts[0][47])),
    ("lowest bits of the victim's elements", |seen| low_bits(&seen.texts[0])),
    ("lowest bits of the other's elements", |seen| low_bits(&seen.texts[1])),
    ("the first element less the other's", |seen| element(&seen.texts[0], 0) - element(&seen.texts[1], 0)),
    ("the sum of the first bits' elements", |seen| (0..BITS).map(|bit| element(&seen.texts[0], bit)).sum()),
    ("mean of the victim's boxes", |seen| mean(&seen.boxes[0][0]) + mean(&seen.boxes[0][1])),
    ("bits of the box that is not its own", |seen| bits(&seen.boxes[0][0]) - bits(&seen.boxes[1][0])),
    ("length of all that the victim said", |seen| (seen.boxes[0][0].len() + seen.boxes[0][1].len()) as f64),
    ("mean of the victim's verification", |seen| mean(&seen.verification[0].concat_all())),
    ("verification less the other's", |seen| {
        mean(&seen.verification[0].concat_all()) - mean(&seen.verification[1].concat_all())
    }),
    ("first byte of the victim's verification", |seen| f64::from(seen.verification[0][0][0])),
    ("bits of the other's sums", |seen| bits(&seen.sums.concat_all())),
    ("the other's sum less the victim's share", |seen| {
        element(&seen.sums[1], 0) - element(&seen.texts[0], 0)
    }),
    ("bits of the commitment", |seen| bits(&seen.commitment.0)),
    ("order of the ids", |seen| f64::from(u8::from(seen.reports[0] < seen.reports[1]))),
];

trait ConcatAll {
    fn concat_all(&self) -> Vec<u8>;
}

impl ConcatAll for Vec<Bytes> {
    fn concat_all(&self) -> Vec<u8> {
        self.iter().flat_map(|bytes| bytes.0.iter().copied()).collect()
    }
}

fn mean(bytes: &[u8]) -> f64 {
    bytes.iter().map(|byte| f64::from(*byte)).sum::<f64>() / bytes.len().max(1) as f64
}

fn bits(bytes: &[u8]) -> f64 {
    f64::from(bytes.iter().map(|byte| byte.count_ones()).sum::<u32>())
}

fn low_bits(text: &[u8]) -> f64 {
    f64::from(text[32..].iter().step_by(16).map(|byte| u32::from(byte & 1)).sum::<u32>())
}

/// An element as a number; what a helper has is a seed, and its bytes are looked at alike.
fn element(text: &[u8], place: usize) -> f64 {
    let from = if text.len() > 64 { 32 } else { 0 } + 16 * place;
    let bytes = text.get(from..from + 16).unwrap_or_default();
    bytes.iter().rev().fold(0.0, |number, byte| number * 256.0 + f64::from(*byte))
}

/// Returns how often a distinguisher is right in the second half of the runs, having learnt from the first.
fn right(worlds: &[bool], numbers: &[f64]) -> usize {
    let half = worlds.len() / 2;
    let mut sorted = numbers[..half].to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = (sorted[half / 4] + sorted[half * 3 / 4]) / 2.0;
    let agrees = |run: usize| (numbers[run] > middle) == worlds[run];
    let learnt = (0..half).filter(|run| agrees(*run)).count() * 2 >= half;
    (half..worlds.len()).filter(|run| agrees(*run) == learnt).count()
}

/// Returns whether so many right guesses of so many beat chance: 4.1 standard deviations are p = 0.00002, which is
/// 0.001 for forty distinguishers together.
fn beats_chance(right: usize, guesses: usize) -> bool {
    right as f64 > guesses as f64 / 2.0 + 4.1 * (guesses as f64 / 4.0).sqrt()
}

/// Returns how often each is right, of the second half of the runs.
fn tried(seer: Rank, runs: usize, looks: &[Distinguisher]) -> Vec<usize> {
    let mut dice = Dice(42 + seer.index() as u64);
    let mut worlds = Vec::with_capacity(runs);
    let mut numbers = vec![Vec::with_capacity(runs); looks.len()];
    for _ in 0..runs {
        let is_swapped = dice.throw() >> 40 & 1 == 1;
        let seen = close(seer, is_swapped, &mut dice);
        worlds.push(is_swapped);
        for (numbers, (_, look)) in numbers.iter_mut().zip(looks) {
            numbers.push(look(&seen));
        }
    }
    numbers.iter().map(|numbers| right(&worlds, numbers)).collect()
}

fn runs() -> usize {
    std::env::var("KARO_WORLDS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(RUNS)
}

#[test]
fn no_distinguisher_tells_two_worlds_apart() {
    for seer in [Rank::Leader, Rank::Helper] {
        let runs = runs() / 2;
        let found = tried(seer, runs, &DISTINGUISHERS);
        for ((name, _), right) in DISTINGUISHERS.iter().zip(found) {
            let guesses = runs - runs / 2;
            eprintln!("{seer:?}: {name}: {right} of {guesses}");
            assert!(!beats_chance(right, guesses), "{seer:?}: {name}: {right} of {guesses} right");
        }
    }
}

/// The test can fail: with both shares in hand it is plain.
#[test]
fn both_aggregators_together_tell_them_apart() {
    let runs = 200;
    let found = tried(Rank::Leader, runs, &[("the victim's value", |seen| seen.opened)]);
    assert_eq!(found, [runs / 2]);
}
