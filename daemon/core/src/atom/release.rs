//! The only way from sums to an [`Atom`]: a cohort, a mask, and the sums of what the mask shows.

use std::collections::BTreeMap;
use std::fmt;

use karo_protocol::NodeId;
use karo_protocol::atom::{Atom, Band, Part, Released, VALUE_BITS};

use super::layout::Cell;
use super::rule::Mask;
use crate::cohort::Cohort;
use crate::group::Group;

/// Sums that have not the cells of their group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misshapen;

impl fmt::Display for Misshapen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sums that have not the cells of their group, or more than its owners can give")
    }
}

impl std::error::Error for Misshapen {}

/// How many owners have something in each cell: known to the two aggregators alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerSums(BTreeMap<Part, Vec<u64>>);

impl OwnerSums {
    /// Takes the sums of marks, one vector for each part of the group, in order.
    ///
    /// # Errors
    ///
    /// When there are other parts or cells, or more marks in a cell than the group has owners.
    pub fn new(group: &Group, sums: Vec<Vec<u64>>) -> Result<Self, Misshapen> {
        let owners = group.owners() as u64;
        let is_shaped = |(part, sums): (&Part, &Vec<u64>)| {
            sums.len() == part.owners() && sums.iter().all(|sum| *sum <= owners)
        };
        let parts = group.parts();
        if parts.len() != sums.len() || !parts.iter().zip(&sums).all(is_shaped) {
            return Err(Misshapen);
        }
        Ok(Self(parts.into_iter().zip(sums).collect()))
    }

    /// Returns how many owners have something in a cell.
    pub fn of(&self, cell: Cell) -> u64 {
        self.0.get(&cell.part()).map_or(0, |sums| sums[cell.owners()])
    }
}

/// The sums of the values that a mask shows, and of no others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueSums(BTreeMap<(Part, usize), u64>);

impl ValueSums {
    /// Takes sums, one vector for each part of the group, each in the order of [`Mask::values`].
    ///
    /// # Errors
    ///
    /// When they are not the cells that the mask shows, or more than the group's owners can give.
    pub fn new(group: &Group, mask: &Mask, sums: &[Vec<u64>]) -> Result<Self, Misshapen> {
        let most = group.owners() as u64 * ((1 << VALUE_BITS) - 1);
        let parts = group.parts();
        if parts.len() != sums.len() {
            return Err(Misshapen);
        }
        let mut found = BTreeMap::new();
        for (part, sums) in parts.into_iter().zip(sums) {
            let places = mask.values(part);
            if places.len() != sums.len() || sums.iter().any(|sum| *sum > most) {
                return Err(Misshapen);
            }
            found.extend(places.into_iter().map(|place| (part, place)).zip(sums.iter().copied()));
        }
        Ok(Self(found))
    }
}

/// Makes the atom of a day of what its mask shows; whose it is and how many stand in the cohort.
pub fn release(
    group: &Group,
    day: i32,
    aggregators: (NodeId, NodeId),
    cohort: &Cohort,
    mask: &Mask,
    owners: &OwnerSums,
    values: &ValueSums,
) -> Atom {
    let parts = group.parts().into_iter().map(|part| part_of(group, part, mask, owners, values)).collect();
    let contributors = cohort.size() as u16;
    Atom { group: group.id(), day, aggregators, contributors, owners: group.owners() as u16, parts }
}

fn part_of(group: &Group, part: Part, mask: &Mask, owners: &OwnerSums, values: &ValueSums) -> Released {
    let mut bands = vec![Band::Hidden; part.owners()];
    for cell in group.layout().cells().iter().filter(|cell| cell.part() == part && mask.shows(**cell)) {
        bands[cell.owners()] = Band::of(owners.of(*cell));
    }
    let values = (0..part.values()).map(|place| values.0.get(&(part, place)).copied()).collect();
    Released { part, values, owners: bands }
}

/// Why what came as an atom is none of that group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtomRefused {
    /// Of another group.
    OtherGroup,
    /// Made by others than the two whose turn it was.
    Aggregators,
    /// Of fewer owners than the group's smallest cohort, or of more than it has.
    Cohort,
    /// Other parts or cells than the group has.
    Shape,
    /// A value whose owners are hidden, or owners whose value is.
    Hidden,
    /// Values that no such number of owners can give, or parts that do not fit their whole.
    Sums,
}

impl fmt::Display for AtomRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherGroup => "an atom of another group",
            Self::Aggregators => "made by others than the two whose day it was",
            Self::Cohort => "a number of owners that the group cannot have",
            Self::Shape => "other cells than the group has",
            Self::Hidden => "a cell that is half hidden",
            Self::Sums => "sums that cannot be",
        })
    }
}

impl std::error::Error for AtomRefused {}

/// Checks an atom that another made: what can be seen without the sums behind it.
///
/// # Errors
///
/// The first thing that is wrong with it.
pub fn check(group: &Group, atom: &Atom) -> Result<(), AtomRefused> {
    if atom.group != group.id() {
        return Err(AtomRefused::OtherGroup);
    }
    if Some(atom.aggregators) != group.aggregators(atom.day) {
        return Err(AtomRefused::Aggregators);
    }
    let most = group.owners() as u16;
    if atom.owners != most || !(group.file().smallest_cohort..=most).contains(&atom.contributors) {
        return Err(AtomRefused::Cohort);
    }
    let has_shape = |part: &Part, released: &Released| {
        (released.part, released.values.len(), released.owners.len()) == (*part, part.values(), part.owners())
    };
    let parts = group.parts();
    if parts.len() != atom.parts.len()
        || !parts.iter().zip(&atom.parts).all(|(part, own)| has_shape(part, own))
    {
        return Err(AtomRefused::Shape);
    }
    check_cells(group, atom)
}

fn check_cells(group: &Group, atom: &Atom) -> Result<(), AtomRefused> {
    let mut owners: BTreeMap<(Part, usize), Band> = BTreeMap::new();
    let mut shown: BTreeMap<(Part, usize), bool> = BTreeMap::new();
    for cell in group.layout().cells().iter().copied() {
        let band = band_of(atom, cell);
        if band.least() > atom.contributors {
            return Err(AtomRefused::Sums);
        }
        owners.insert((cell.part(), cell.owners()), band);
        for place in cell.value().into_iter().chain(cell.duration()) {
            shown.insert((cell.part(), place), band != Band::Hidden);
        }
    }
    let most = u64::from(atom.contributors) * ((1 << VALUE_BITS) - 1);
    for part in &atom.parts {
        let is_known = |place: usize| owners.contains_key(&(part.part, place));
        if (0..part.owners.len()).any(|place| part.owners[place] != Band::Hidden && !is_known(place)) {
            return Err(AtomRefused::Hidden);
        }
        for (place, value) in part.values.iter().enumerate() {
            if value.is_some() != shown.get(&(part.part, place)).copied().unwrap_or_default() {
                return Err(AtomRefused::Hidden);
            }
            if value.is_some_and(|value| value > most) {
                return Err(AtomRefused::Sums);
            }
        }
    }
    Ok(())
}

/// Returns the band of owners of a cell; hidden also if the atom has not that part.
pub fn band_of(atom: &Atom, cell: Cell) -> Band {
    let part = atom.parts.iter().find(|released| released.part == cell.part());
    part.and_then(|released| released.owners.get(cell.owners())).copied().unwrap_or(Band::Hidden)
}

/// Returns the value at a place of a part; `None` also if the atom has not that part.
pub fn value_at(atom: &Atom, part: Part, place: usize) -> Option<u64> {
    atom.parts.iter().find(|released| released.part == part)?.values.get(place).copied().flatten()
}

#[cfg(test)]
mod tests;
