//! Shares that were changed, carried elsewhere, or made by somebody who lies: none is taken.

use karo_protocol::Bytes;
use karo_protocol::NodeId;
use karo_protocol::atom::{AtomId, Part};
use karo_protocol::node::{Hash, Nonce};
use prio::codec::Encode as _;
use prio::field::{Field128, FieldElement as _};
use prio::flp::gadgets::{Mul, ParallelSum};
use prio::flp::types::SumVec;
use prio::flp::{Flp, FlpError, Gadget, Type};
use prio::vdaf::Client as _;
use prio::vdaf::prio3::{Prio3, optimal_chunk_length};
use prio::vdaf::xof::XofTurboShake128;

use super::world::Dice;
use crate::sum::seal::SealingSecret;
use crate::sum::shares::{
    Addend, Bound, Kind, Scheme, Shape, Unsound, context, read_elements, write_elements,
};

const CELLS: usize = 3;
const BITS: usize = 3;

/// Two aggregators, one contributor, and small vectors.
struct Table {
    scheme: Scheme,
    secrets: [SealingSecret; 2],
    key: Hash,
    bound: Bound,
}

/// What goes from a contributor and between the two, for one report.
#[derive(Clone)]
struct Said {
    boxes: [Vec<u8>; 2],
    shares: Vec<Bytes>,
    messages: Vec<Bytes>,
}

fn scheme(day: i32, group: u8, part: Part) -> Scheme {
    let shape = Shape { part, values: CELLS, bits: BITS, owners: CELLS };
    Scheme::shaped(AtomId { group: Hash([group; 32]), day }, &[shape])
}

impl Table {
    fn new() -> Self {
        Self {
            scheme: scheme(1, 1, Part::Main),
            secrets: [SealingSecret::derive(&[1; 32]), SealingSecret::derive(&[2; 32])],
            key: Hash([5; 32]),
            bound: Bound {
                report: Nonce([3; 16]),
                contributor: NodeId([1; 32]),
                leader: NodeId([2; 32]),
                helper: NodeId([3; 32]),
            },
        }
    }

    fn texts(&self) -> [Vec<u8>; 2] {
        self.scheme.split(self.bound.report, &[vec![1, 7, 0], vec![1, 1, 0]]).expect("in range")
    }

    fn seal(&self, texts: &[Vec<u8>; 2]) -> [Vec<u8>; 2] {
        let keys = [self.secrets[0].public(), self.secrets[1].public()];
        self.scheme.seal(&self.bound, texts, keys, &[9; 32]).expect("keys")
    }

    /// Lets both aggregators verify; the meddler changes what is said.
    fn verify(
        &self,
        texts: &[Vec<u8>; 2],
        mut meddler: impl FnMut(&mut Said),
    ) -> Result<[Addend; 2], Unsound> {
        let mut said = Said { boxes: self.seal(texts), shares: Vec::new(), messages: Vec::new() };
        meddler(&mut said);
        let (shares, ticket) = self.scheme.begin(&self.key, &self.secrets[0], &self.bound, &said.boxes[0])?;
        said.shares = shares;
        meddler(&mut said);
        let Said { boxes, shares, .. } = &said;
        let (messages, helper) =
            self.scheme.verify(&self.key, &self.secrets[1], &self.bound, &boxes[1], shares)?;
        said.messages = messages;
        meddler(&mut said);
        let leader = self.scheme.finish(ticket, &said.messages)?;
        Ok([leader, helper])
    }
}

fn flip(bytes: &mut [u8], dice: &mut Dice) {
    let bit = dice.below(bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
}

#[test]
fn an_honest_report_is_what_it_says() {
    let table = Table::new();
    let [leader, helper] = table.verify(&table.texts(), |_| {}).expect("sound");
    let sums: Vec<Vec<u128>> = (leader.0.iter().zip(&helper.0))
        .map(|(one, other)| {
            one.iter().zip(other.iter()).map(|(one, other)| u128::from(*one + *other)).collect()
        })
        .collect();
    assert_eq!(sums, [vec![1, 7, 0], vec![1, 1, 0]]);
}

/// Eight thousand bits on the way: of both boxes, and of both halves of the verification.
#[test]
fn no_bit_may_flip_on_the_way() {
    let table = Table::new();
    let texts = table.texts();
    let mut dice = Dice(1);
    for round in 0..8000 {
        let mut bits = dice.clone();
        let place = round % 4;
        let is_box = place < 2;
        let found = table.verify(&texts, |said| {
            let bytes: &mut [u8] = match place {
                0 | 1 if said.shares.is_empty() => &mut said.boxes[place],
                2 if !said.shares.is_empty() && said.messages.is_empty() => &mut said.shares[round / 4 % 2].0,
                3 if !said.messages.is_empty() => &mut said.messages[round / 4 % 2].0,
                _ => return,
            };
            flip(bytes, &mut bits);
        });
        let wrong = found.err().unwrap_or_else(|| panic!("round {round} was taken"));
        assert!(!is_box || wrong == Unsound::Sealed, "round {round}: {wrong:?}");
        dice.throw();
    }
}

/// A contributor who seals something else than it made: two thousand bits of what is in the boxes.
#[test]
fn no_bit_may_flip_in_a_box() {
    let table = Table::new();
    let mut dice = Dice(2);
    for round in 0..2000 {
        let mut texts = table.texts();
        flip(&mut texts[round % 2], &mut dice);
        assert!(table.verify(&texts, |_| {}).is_err(), "round {round} was taken");
    }
}

#[test]
fn nothing_stands_behind_the_shares() {
    let table = Table::new();
    for place in 0..2 {
        let mut texts = table.texts();
        texts[place].push(0);
        assert_eq!(table.verify(&texts, |_| {}).err(), Some(Unsound::Form));
        texts[place].truncate(texts[place].len() - 2);
        assert_eq!(table.verify(&texts, |_| {}).err(), Some(Unsound::Form));
    }
}

/// Ten thousand boxes that are sound where they belong, carried elsewhere.
#[test]
fn no_box_opens_in_another_place() {
    let table = Table::new();
    let texts = table.texts();
    let boxes = table.seal(&texts);
    let mut dice = Dice(3);
    for round in 0..10_000_usize {
        let mut bound = table.bound;
        let mut other = None;
        let place = round % 2;
        let mut sealed = &boxes[place];
        match round % 7 {
            0 => bound.report = Nonce(dice.draw()),
            1 => bound.contributor = NodeId(dice.draw()),
            2 => bound.leader = NodeId(dice.draw()),
            3 => bound.helper = NodeId(dice.draw()),
            4 => other = Some(scheme(2 + round as i32, 1, Part::Main)),
            5 => other = Some(scheme(1, 2 + (round % 200) as u8, Part::Main)),
            _ => sealed = &boxes[1 - place],
        }
        let scheme = other.as_ref().unwrap_or(&table.scheme);
        let found = match place {
            0 => scheme.begin(&table.key, &table.secrets[0], &bound, sealed).map(|_| ()),
            _ => scheme.verify(&table.key, &table.secrets[1], &bound, sealed, &[]).map(|_| ()),
        };
        assert_eq!(found, Err(Unsound::Sealed), "round {round}");
    }
}

/// A contributor can seal yesterday's shares for today; the proofs are yesterday's.
#[test]
fn shares_prove_nothing_in_another_place() {
    let table = Table::new();
    let numbers = [vec![1, 7, 0], vec![1, 1, 0]];
    for round in 0..300 {
        let mut report = table.bound.report;
        let other = match round % 4 {
            0 => scheme(2 + round, 1, Part::Main),
            1 => scheme(1, 2, Part::Main),
            2 => scheme(1, 1, Part::Others),
            _ => {
                report = Nonce([round as u8; 16]);
                scheme(1, 1, Part::Main)
            }
        };
        let texts = other.split(report, &numbers).expect("in range");
        let is_same = report == table.bound.report && round % 4 == 3;
        assert_eq!(table.verify(&texts, |_| {}).is_ok(), is_same, "round {round}");
    }
}

#[test]
fn one_key_verifies_a_report_and_no_other() {
    let table = Table::new();
    let [leader_box, helper_box] = table.seal(&table.texts());
    let (shares, _) =
        table.scheme.begin(&table.key, &table.secrets[0], &table.bound, &leader_box).expect("sound");
    let other = Hash([6; 32]);
    let found = table.scheme.verify(&other, &table.secrets[1], &table.bound, &helper_box, &shares);
    assert_eq!(found.err(), Some(Unsound::Proof));
}

#[test]
fn nobody_shares_what_is_out_of_range() {
    let table = Table::new();
    for numbers in [
        vec![vec![1, 8, 0], vec![1, 1, 0]],
        vec![vec![1, 7, 0], vec![1, 2, 0]],
        vec![vec![1, 7], vec![1, 1, 0]],
        vec![vec![1, 7, 0]],
        vec![vec![1, 7, 0, 0], vec![1, 1, 0]],
    ] {
        assert!(table.scheme.split(table.bound.report, &numbers).is_none(), "{numbers:?}");
    }
}

/// The type of honest vectors, without the check that what is shared is in range.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unchecked(SumVec<Field128, ParallelSum<Field128, Mul>>);

impl Flp for Unchecked {
    type Field = Field128;

    fn gadget(&self) -> Vec<Box<dyn Gadget<Field128>>> {
        self.0.gadget()
    }

    fn num_gadgets(&self) -> usize {
        self.0.num_gadgets()
    }

    fn valid(
        &self,
        gadgets: &mut Vec<Box<dyn Gadget<Field128>>>,
        input: &[Field128],
        joint_rand: &[Field128],
        shares: usize,
    ) -> Result<Vec<Field128>, FlpError> {
        self.0.valid(gadgets, input, joint_rand, shares)
    }

    fn input_len(&self) -> usize {
        self.0.input_len()
    }

    fn proof_len(&self) -> usize {
        self.0.proof_len()
    }

    fn verifier_len(&self) -> usize {
        self.0.verifier_len()
    }

    fn joint_rand_len(&self) -> usize {
        self.0.joint_rand_len()
    }

    fn eval_output_len(&self) -> usize {
        self.0.eval_output_len()
    }

    fn prove_rand_len(&self) -> usize {
        self.0.prove_rand_len()
    }
}

impl Type for Unchecked {
    type Measurement = Vec<Field128>;
    type AggregateResult = Vec<u128>;

    fn encode_measurement(&self, bits: &Vec<Field128>) -> Result<Vec<Field128>, FlpError> {
        Ok(bits.clone())
    }

    fn truncate(&self, input: Vec<Field128>) -> Result<Vec<Field128>, FlpError> {
        self.0.truncate(input)
    }

    fn decode_result(&self, elements: &[Field128], count: usize) -> Result<Vec<u128>, FlpError> {
        self.0.decode_result(elements, count)
    }

    fn output_len(&self) -> usize {
        self.0.output_len()
    }
}

/// Shares a vector whose bits are anything, with a proof made as carefully as for a sound one.
fn lie(table: &Table, bits: &[Field128], width: usize, kind: Kind) -> [Vec<u8>; 2] {
    let chunk = optimal_chunk_length(CELLS * width);
    let vector = Unchecked(SumVec::new((1 << width) - 1, CELLS, chunk).expect("a vector"));
    let prio = Prio3::<_, XofTurboShake128, 32>::new(2, 1, 3, vector).expect("two aggregators");
    let context = context(AtomId { group: Hash([1; 32]), day: 1 }, Part::Main.index(), kind);
    let (public, inputs) = prio.shard(&context.0, &bits.to_vec(), &table.bound.report.0).expect("a proof");
    let public = public.get_encoded().expect("bytes");
    let input = |place: usize| inputs[place].get_encoded().expect("bytes");
    [[&public[32..], &input(0)].concat(), [&public[..32], &input(1)].concat()]
}

fn bits(numbers: &[u128], width: usize) -> Vec<Field128> {
    let bit = |number: u128, place: usize| Field128::from(number >> place & 1);
    numbers.iter().flat_map(|number| (0..width).map(move |place| bit(*number, place))).collect()
}

#[test]
fn no_proof_of_a_number_out_of_range_is_taken() {
    let table = Table::new();
    let (values, marks) = (bits(&[1, 7, 0], BITS), bits(&[1, 1, 0], 1));
    let shared = |values: &[Field128], marks: &[Field128]| {
        let [mut leader, mut helper] = lie(&table, values, BITS, Kind::Values);
        let [more_leader, more_helper] = lie(&table, marks, 1, Kind::Owners);
        leader.extend(more_leader);
        helper.extend(more_helper);
        [leader, helper]
    };
    assert!(table.verify(&shared(&values, &marks), |_| {}).is_ok(), "who does not lie is believed");
    let half = Field128::from(2).inv();
    let wrong = [
        Field128::from(2),
        -Field128::from(1),
        Field128::from(1 << 22),
        half,
        Field128::from(u128::MAX >> 8),
    ];
    for round in 0..200 {
        let element = wrong[round % wrong.len()];
        let (mut values, mut marks) = (values.clone(), marks.clone());
        if round % 2 == 0 {
            values[round % (CELLS * BITS)] = element;
        } else {
            marks[round % CELLS] = element;
        }
        assert_eq!(
            table.verify(&shared(&values, &marks), |_| {}).err(),
            Some(Unsound::Proof),
            "round {round}"
        );
    }
}

#[test]
fn elements_are_read_as_they_are_written_and_in_no_other_way() {
    let elements = [Field128::from(1), -Field128::from(1)];
    let bytes = write_elements(elements.iter());
    assert_eq!(read_elements(&bytes), Some(elements.to_vec()));
    assert_eq!(read_elements(&bytes[1..]), None);
    assert_eq!(read_elements(&[0xff; 16]), None, "one number has one form");
}
