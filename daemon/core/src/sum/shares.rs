//! Vectors as shares: how one owner's numbers are split for two aggregators, and how these prove to each other,
//! without showing it, that what they hold is in range.
//!
//! Prio3SumVec of the VDAF draft does the work; here stand the contexts that keep shares of different atoms, parts
//! and kinds apart, and the layout of what is sealed. Every vector has a proof of its own.
//!
//! What is sealed to one aggregator, for each vector of [`Scheme`] in order, without anything between them:
//!
//! | bytes | field |
//! | --- | --- |
//! | 32 | public share: the other aggregator's part of the joint randomness; its own it computes |
//! | leader: 16 × (cells × bits + proof) + 32; helper: 64 | input share |

use std::io::{Cursor, Read as _};
use std::sync::Arc;

use karo_protocol::Bytes;
use karo_protocol::atom::{AtomId, Part, VALUE_BITS};
use karo_protocol::node::{Hash, NodeId, Nonce};
use prio::codec::{Decode as _, Encode, ParameterizedDecode};
use prio::field::Field128;
use prio::vdaf::prio3::{
    Prio3InputShare, Prio3PublicShare, Prio3SumVec, Prio3VerifierMessage, Prio3VerifierShare,
    Prio3VerifyState, optimal_chunk_length,
};
use prio::vdaf::{Aggregator as _, Client as _, VerifyTransition};

use super::seal::{SealingSecret, seal};
use karo_protocol::group::SealingKey;

/// In front of everything that makes a context.
const CONTEXT_DOMAIN: &[u8] = b"karo/1 atom context\0";

/// The library that makes and reads shares, as it is pinned in `Cargo.toml`.
pub const PRIO_VERSION: &str = "prio 0.18.1";

/// What stands in a context where a vector has its part.
const ALL_PARTS: u8 = 0xff;

/// Bytes of one aggregator's part of the joint randomness.
const SEED_BYTES: usize = 32;

/// Bytes of one element of a share.
pub const ELEMENT_BYTES: usize = 16;

/// An element of a share: a number modulo a prime of 128 bits.
pub type Element = Field128;

/// What the numbers of a vector, or of a box, are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Counts and sums of logarithms, of 22 bits.
    Values,
    /// Whether this owner has something in a cell: 0 or 1.
    Owners,
    /// Everything that is sealed to rank 1.
    LeaderBox,
    /// Everything that is sealed to rank 2.
    HelperBox,
}

impl Kind {
    const fn index(self) -> u8 {
        match self {
            Self::Values => 0,
            Self::Owners => 1,
            Self::LeaderBox => 2,
            Self::HelperBox => 3,
        }
    }
}

/// Which of the two aggregators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Rank 1, prio's aggregator 0.
    Leader,
    /// Rank 2, prio's aggregator 1.
    Helper,
}

impl Rank {
    /// Returns the number that prio gives it.
    pub(super) const fn index(self) -> usize {
        match self {
            Self::Leader => 0,
            Self::Helper => 1,
        }
    }

    /// Returns where the other aggregator's part stands in a public share.
    const fn others_part(self) -> std::ops::Range<usize> {
        match self {
            Self::Leader => SEED_BYTES..2 * SEED_BYTES,
            Self::Helper => 0..SEED_BYTES,
        }
    }

    const fn box_kind(self) -> Kind {
        match self {
            Self::Leader => Kind::LeaderBox,
            Self::Helper => Kind::HelperBox,
        }
    }
}

/// Why a share was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsound {
    /// The box does not open: it is for another, for something else, or was changed.
    Sealed,
    /// What is in it, or what was said of it, has not the form that it must have.
    Form,
    /// A proof does not hold: a number is out of range, or one of the three made it up.
    Proof,
}

/// The parts of the context of one box that no atom has: whose report, for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Id of the report.
    pub report: Nonce,
    /// Who signed it.
    pub contributor: NodeId,
    /// Rank 1.
    pub leader: NodeId,
    /// Rank 2.
    pub helper: NodeId,
}

impl Bound {
    fn bytes(&self) -> Vec<u8> {
        [&self.report.0[..], &self.contributor.0, &self.leader.0, &self.helper.0].concat()
    }
}

/// One vector that is shared.
#[derive(Debug)]
struct Vector {
    cells: usize,
    context: [u8; 32],
    prio: Prio3SumVec,
}

/// All vectors of one atom: for each part its values, then its owners.
#[derive(Debug)]
pub struct Scheme {
    parts: Vec<Part>,
    vectors: Vec<Vector>,
    boxes: [[u8; 32]; 2],
}

/// The shape of one part's two vectors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) part: Part,
    pub(super) values: usize,
    pub(super) bits: usize,
    pub(super) owners: usize,
}

impl Scheme {
    /// Draws the vectors of an atom with these parts.
    pub fn new(atom: AtomId, parts: &[Part]) -> Self {
        let shape = |part: &Part| Shape {
            part: *part,
            values: part.values(),
            bits: VALUE_BITS,
            owners: part.owners(),
        };
        Self::shaped(atom, &parts.iter().map(shape).collect::<Vec<_>>())
    }

    /// Draws vectors of any shape.
    pub(super) fn shaped(atom: AtomId, shapes: &[Shape]) -> Self {
        let vectors = shapes.iter().flat_map(|shape| {
            let part = shape.part.index();
            [
                Vector::new(shape.values, shape.bits, context(atom, part, Kind::Values)),
                Vector::new(shape.owners, 1, context(atom, part, Kind::Owners)),
            ]
        });
        Self {
            parts: shapes.iter().map(|shape| shape.part).collect(),
            vectors: vectors.collect(),
            boxes: [Rank::Leader, Rank::Helper].map(|rank| context(atom, ALL_PARTS, rank.box_kind()).0),
        }
    }

    /// Returns the parts in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Returns how many cells each vector has: for each part its values, then its owners.
    pub fn cells(&self) -> impl Iterator<Item = usize> {
        self.vectors.iter().map(|vector| vector.cells)
    }

    /// Splits one owner's numbers and seals each half: returns rank 1's box, then rank 2's.
    ///
    /// `numbers` are the vectors in order. `None` when there are more or fewer of them than there are vectors, when
    /// one is too long, too short or out of range, and when a key cannot be sealed to. prio draws its randomness
    /// itself; `chance` is for the boxes: 32 fresh random bytes.
    pub fn share(
        &self,
        bound: &Bound,
        numbers: &[Vec<u128>],
        keys: [SealingKey; 2],
        chance: &[u8; 32],
    ) -> Option<[Vec<u8>; 2]> {
        self.seal(bound, &self.split(bound.report, numbers)?, keys, chance)
    }

    /// Seals to each aggregator what is for it.
    pub(super) fn seal(
        &self,
        bound: &Bound,
        texts: &[Vec<u8>; 2],
        keys: [SealingKey; 2],
        chance: &[u8; 32],
    ) -> Option<[Vec<u8>; 2]> {
        let sealed = [Rank::Leader, Rank::Helper].map(|rank| {
            let place = rank.index();
            let chance = blake3::keyed_hash(chance, &[place as u8]);
            seal(keys[place], &self.boxes[place], &bound.bytes(), &texts[place], chance.as_bytes())
        });
        let [leader, helper] = sealed;
        Some([leader?, helper?])
    }

    /// Splits one owner's numbers into what each aggregator is to get.
    pub(super) fn split(&self, report: Nonce, numbers: &[Vec<u128>]) -> Option<[Vec<u8>; 2]> {
        if numbers.len() != self.vectors.len() {
            return None;
        }
        let mut texts = [Vec::new(), Vec::new()];
        for (vector, numbers) in self.vectors.iter().zip(numbers) {
            let (public, inputs) = vector.prio.shard(&vector.context, numbers, &report.0).ok()?;
            let public = public.get_encoded().ok()?;
            for (rank, (text, input)) in
                [Rank::Leader, Rank::Helper].into_iter().zip(texts.iter_mut().zip(&inputs))
            {
                text.extend_from_slice(public.get(rank.others_part())?);
                input.encode(text).ok()?;
            }
        }
        Some(texts)
    }

    /// Opens a box and reads what is in it.
    fn open(
        &self,
        rank: Rank,
        secret: &SealingSecret,
        bound: &Bound,
        sealed: &[u8],
    ) -> Result<Vec<Given>, Unsound> {
        let text = secret.open(&self.boxes[rank.index()], &bound.bytes(), sealed).ok_or(Unsound::Sealed)?;
        let mut cursor = Cursor::new(text.as_slice());
        let given = self.vectors.iter().map(|vector| Given::read(vector, rank, &mut cursor));
        let given = given.collect::<Option<Vec<_>>>().ok_or(Unsound::Form)?;
        if cursor.position() != text.len() as u64 {
            return Err(Unsound::Form);
        }
        Ok(given)
    }

    /// Begins to verify a report at rank 1: returns its half of the verification, and what is kept of the report.
    ///
    /// # Errors
    ///
    /// [`Unsound`]: the report is not to be taken.
    pub fn begin(
        &self,
        key: &Hash,
        secret: &SealingSecret,
        bound: &Bound,
        sealed: &[u8],
    ) -> Result<(Vec<Bytes>, Ticket), Unsound> {
        let given = self.open(Rank::Leader, secret, bound, sealed)?;
        let mut shares = Vec::with_capacity(given.len());
        let mut states = Vec::with_capacity(given.len());
        for (vector, given) in self.vectors.iter().zip(&given) {
            let (state, share) = vector.start(key, Rank::Leader, bound, given)?;
            shares.push(written(&share)?);
            states.push(state);
        }
        Ok((shares, Ticket(states)))
    }

    /// Verifies a report at rank 2, with rank 1's half: returns what lets rank 1 finish, and what is added up.
    ///
    /// # Errors
    ///
    /// [`Unsound`]: the report is not to be taken.
    pub fn verify(
        &self,
        key: &Hash,
        secret: &SealingSecret,
        bound: &Bound,
        sealed: &[u8],
        shares: &[Bytes],
    ) -> Result<(Vec<Bytes>, Addend), Unsound> {
        let given = self.open(Rank::Helper, secret, bound, sealed)?;
        if shares.len() != self.vectors.len() {
            return Err(Unsound::Form);
        }
        let mut messages = Vec::with_capacity(given.len());
        let mut addend = Vec::with_capacity(given.len());
        for ((vector, given), theirs) in self.vectors.iter().zip(&given).zip(shares) {
            let (state, own) = vector.start(key, Rank::Helper, bound, given)?;
            let theirs =
                Prio3VerifierShare::get_decoded_with_param(&state, theirs).map_err(|_| Unsound::Form)?;
            let message = vector.prio.verifier_shares_to_message(&vector.context, &(), [theirs, own]);
            let message = message.map_err(|_| Unsound::Proof)?;
            messages.push(written(&message)?);
            addend.push(vector.finish(state, message)?);
        }
        Ok((messages, Addend(addend)))
    }

    /// Finishes at rank 1 with what rank 2 said: returns what is added up.
    ///
    /// # Errors
    ///
    /// [`Unsound`]: the report is not to be taken.
    pub fn finish(&self, ticket: Ticket, messages: &[Bytes]) -> Result<Addend, Unsound> {
        if messages.len() != self.vectors.len() {
            return Err(Unsound::Form);
        }
        let steps = self.vectors.iter().zip(ticket.0).zip(messages);
        let finish = |((vector, state), message): ((&Vector, _), &Bytes)| {
            let message = Prio3VerifierMessage::get_decoded_with_param(&state, message);
            vector.finish(state, message.map_err(|_| Unsound::Form)?)
        };
        steps.map(finish).collect::<Result<_, _>>().map(Addend)
    }
}

impl Vector {
    fn new(cells: usize, bits: usize, context: Hash) -> Self {
        let chunk = optimal_chunk_length(cells * bits);
        let prio = Prio3SumVec::new_sum_vec(2, (1 << bits) - 1, cells, chunk);
        Self { cells, context: context.0, prio: prio.expect("a vector has a cell, and a number of it a bit") }
    }

    fn start(
        &self,
        key: &Hash,
        rank: Rank,
        bound: &Bound,
        given: &Given,
    ) -> Result<(State, Prio3VerifierShare<Element, 32>), Unsound> {
        self.prio
            .verify_init(
                &key.0,
                &self.context,
                rank.index(),
                &(),
                &bound.report.0,
                &given.public,
                &given.input,
            )
            .map_err(|_| Unsound::Proof)
    }

    fn finish(&self, state: State, message: Prio3VerifierMessage<32>) -> Result<Arc<[Element]>, Unsound> {
        match self.prio.verify_next(&self.context, state, message) {
            Ok(VerifyTransition::Finish(output)) => Ok(output.as_ref().into()),
            Ok(VerifyTransition::Continue(..)) | Err(_) => Err(Unsound::Proof),
        }
    }
}

type State = Prio3VerifyState<Element, 32>;

/// What one aggregator was given of one vector.
struct Given {
    public: Prio3PublicShare<32>,
    input: Prio3InputShare<Element, 32>,
}

impl Given {
    fn read(vector: &Vector, rank: Rank, cursor: &mut Cursor<&[u8]>) -> Option<Self> {
        // An aggregator computes its own part, so that nothing that is sent could be changed without a trace.
        let mut public = [0; 2 * SEED_BYTES];
        cursor.read_exact(&mut public[rank.others_part()]).ok()?;
        let public = Prio3PublicShare::get_decoded_with_param(&vector.prio, &public).ok()?;
        let input = Prio3InputShare::decode_with_param(&(&vector.prio, rank.index()), cursor).ok()?;
        Some(Self { public, input })
    }
}

/// What rank 1 keeps of a report while rank 2 verifies it: 16 bytes for each cell.
pub struct Ticket(Vec<State>);

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<ticket>")
    }
}

/// One aggregator's share of one verified report: for each vector an element for each cell.
#[derive(Clone)]
pub struct Addend(pub(super) Vec<Arc<[Element]>>);

impl std::fmt::Debug for Addend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<addend>")
    }
}

fn written(share: &impl Encode) -> Result<Bytes, Unsound> {
    share.get_encoded().map(Bytes).map_err(|_| Unsound::Form)
}

/// Reads elements, and nothing behind them.
pub(super) fn read_elements(bytes: &[u8]) -> Option<Vec<Element>> {
    let (chunks, rest) = bytes.as_chunks::<ELEMENT_BYTES>();
    if !rest.is_empty() {
        return None;
    }
    chunks.iter().map(|chunk| Element::get_decoded(chunk).ok()).collect()
}

/// Writes elements one behind the other, 16 bytes each, in little endian.
pub(super) fn write_elements<'a>(elements: impl Iterator<Item = &'a Element>) -> Bytes {
    let bytes = |element: &Element| <[u8; ELEMENT_BYTES]>::from(*element);
    Bytes(elements.flat_map(bytes).collect())
}

/// What keeps the shares of one atom, part and kind apart from all others.
pub(super) fn context(atom: AtomId, part: u8, kind: Kind) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(CONTEXT_DOMAIN);
    hasher.update(&atom.group.0).update(&atom.day.to_be_bytes()).update(&[part, kind.index()]);
    hasher.update(PRIO_VERSION.as_bytes());
    Hash(hasher.finalize().into())
}
