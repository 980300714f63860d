//! Sums of shares, and what the two aggregators tell each other of them.
//!
//! A sum of shares is as good as random without the other's. Of owners all are opened, once both have said by a hash
//! what they will open; of values only those of cells that stay visible.

use karo_protocol::Bytes;
use karo_protocol::atom::VALUE_BITS;
use karo_protocol::node::Hash;

use super::shares::{Addend, Element, Rank, Scheme, Unsound, read_elements, write_elements};

/// In front of what is hashed when an aggregator says what it will open.
const COMMITMENT_DOMAIN: &[u8] = b"karo/1 atom owners\0";

/// The greatest number that one owner can have in a cell of values.
const VALUE_MAX: u128 = (1 << VALUE_BITS) - 1;

/// One aggregator's sums: for each part its values, then its owners.
pub(super) struct Sums(Vec<Vec<Element>>);

impl Sums {
    /// Returns the sums of no report.
    pub(super) fn new(scheme: &Scheme) -> Self {
        Self(scheme.cells().map(|cells| vec![Element::from(0); cells]).collect())
    }

    /// Adds one report.
    pub(super) fn add(&mut self, addend: &Addend) {
        for (sums, addend) in self.0.iter_mut().zip(&addend.0) {
            for (sum, element) in sums.iter_mut().zip(addend.iter()) {
                *sum += *element;
            }
        }
    }

    /// Returns each part's sums of owners, as they are opened.
    pub(super) fn owners(&self) -> Vec<Bytes> {
        self.0.iter().skip(1).step_by(2).map(|sums| write_elements(sums.iter())).collect()
    }

    /// Returns each part's sums of the values at these places, as they are released.
    pub(super) fn values(&self, places: &[Vec<usize>]) -> Vec<Bytes> {
        let released = |(sums, places): (&Vec<Element>, &Vec<usize>)| {
            write_elements(places.iter().filter_map(|place| sums.get(*place)))
        };
        self.0.iter().step_by(2).zip(places).map(released).collect()
    }
}

/// Returns what an aggregator says before it opens its sums of owners.
///
/// Its rank is in it, so that neither can say what the other said; so is the set, so that it is said of one.
pub(super) fn commitment(rank: Rank, set: &Hash, owners: &[Bytes], blind: &Hash) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(COMMITMENT_DOMAIN);
    hasher.update(&[rank.index() as u8]).update(&set.0).update(&blind.0);
    for part in owners {
        hasher.update(&(part.len() as u64).to_be_bytes()).update(part);
    }
    Hash(hasher.finalize().into())
}

/// Adds both aggregators' sums of owners: for each part, how many owners have something in each cell.
///
/// # Errors
///
/// [`Unsound::Form`] for more or fewer cells than there are; [`Unsound::Proof`] where there would be more owners than
/// reports: one of the two made its sums up.
pub(super) fn add_owners(own: &[Bytes], theirs: &[Bytes], reports: usize) -> Result<Vec<Vec<u64>>, Unsound> {
    add_all(own, theirs, reports as u128)
}

/// Adds both aggregators' sums of visible values: for each part, those of its visible cells in order.
///
/// # Errors
///
/// [`Unsound::Form`] for more or fewer cells than are visible; [`Unsound::Proof`] where a sum is more than so many
/// reports can make.
pub(super) fn add_values(own: &[Bytes], theirs: &[Bytes], reports: usize) -> Result<Vec<Vec<u64>>, Unsound> {
    add_all(own, theirs, reports as u128 * VALUE_MAX)
}

fn add_all(own: &[Bytes], theirs: &[Bytes], most: u128) -> Result<Vec<Vec<u64>>, Unsound> {
    if own.len() != theirs.len() {
        return Err(Unsound::Form);
    }
    own.iter().zip(theirs).map(|(own, theirs)| add_part(own, theirs, most)).collect()
}

fn add_part(own: &[u8], theirs: &[u8], most: u128) -> Result<Vec<u64>, Unsound> {
    if own.len() != theirs.len() {
        return Err(Unsound::Form);
    }
    let own = read_elements(own).ok_or(Unsound::Form)?;
    let theirs = read_elements(theirs).ok_or(Unsound::Form)?;
    let add = |(own, theirs): (Element, Element)| match u128::from(own + theirs) {
        sum if sum <= most => u64::try_from(sum).map_err(|_| Unsound::Proof),
        _ => Err(Unsound::Proof),
    };
    own.into_iter().zip(theirs).map(add).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(number: u128) -> Vec<Bytes> {
        vec![write_elements([Element::from(number)].iter())]
    }

    #[test]
    fn sums_that_no_such_set_can_have_are_refused() {
        assert_eq!(add_owners(&one(2), &one(3), 5), Ok(vec![vec![5]]));
        assert_eq!(add_owners(&one(3), &one(3), 5), Err(Unsound::Proof));
        assert_eq!(add_values(&one(5 * VALUE_MAX), &one(0), 5), Ok(vec![vec![5 * VALUE_MAX as u64]]));
        assert_eq!(add_values(&one(5 * VALUE_MAX), &one(1), 5), Err(Unsound::Proof));
        assert_eq!(add_owners(&one(2), &[], 5), Err(Unsound::Form));
        assert_eq!(add_owners(&one(2), &[Bytes::default()], 5), Err(Unsound::Form));
    }
}
