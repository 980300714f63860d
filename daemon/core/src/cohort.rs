//! Who is behind a number about a group: at least five owners, by type.
//!
//! An aggregate is made of a [`Cohort`] alone ([`crate::atom::release`]), and nothing but enough owners makes one.
//! It counts people, not machines: an owner with three machines is one.

use std::collections::BTreeSet;
use std::fmt;

/// A person in a group, as its file names them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwnerId(String);

impl OwnerId {
    /// Takes the name that a group file gives to an owner.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Why owners are no cohort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooFew {
    /// How many there are.
    pub owners: usize,
    /// How many it takes.
    pub smallest: usize,
}

impl fmt::Display for TooFew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} owners, and it takes {}", self.owners, self.smallest)
    }
}

impl std::error::Error for TooFew {}

/// The contributors behind an aggregate: never fewer than [`Cohort::SMALLEST`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cohort(BTreeSet<OwnerId>);

impl Cohort {
    /// Fewer owners than that are never a number.
    pub const SMALLEST: usize = karo_protocol::group::COHORT_MIN as usize;

    /// Takes owners as a cohort.
    ///
    /// # Errors
    ///
    /// When there are fewer than [`Self::SMALLEST`].
    pub fn new(contributors: BTreeSet<OwnerId>) -> Result<Self, TooFew> {
        Self::of_at_least(Self::SMALLEST, contributors)
    }

    /// Takes owners as a cohort of a group that asks for more of them; it cannot ask for fewer.
    ///
    /// # Errors
    ///
    /// When there are fewer than `smallest`, or than [`Self::SMALLEST`].
    pub fn of_at_least(smallest: usize, contributors: BTreeSet<OwnerId>) -> Result<Self, TooFew> {
        let smallest = smallest.max(Self::SMALLEST);
        if contributors.len() < smallest {
            return Err(TooFew { owners: contributors.len(), smallest });
        }
        Ok(Self(contributors))
    }

    /// Returns how many owners there are.
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// Returns them in the order of their names.
    pub fn owners(&self) -> impl Iterator<Item = &OwnerId> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners(count: usize) -> BTreeSet<OwnerId> {
        (0..count).map(|owner| OwnerId::new(format!("owner {owner}"))).collect()
    }

    #[test]
    fn four_owners_are_no_cohort() {
        assert_eq!(Cohort::new(owners(4)), Err(TooFew { owners: 4, smallest: 5 }));
        assert_eq!(Cohort::new(owners(5)).expect("five are enough").size(), 5);
    }

    #[test]
    fn a_group_may_ask_for_more_and_never_for_fewer() {
        assert_eq!(Cohort::of_at_least(8, owners(7)), Err(TooFew { owners: 7, smallest: 8 }));
        assert_eq!(Cohort::of_at_least(1, owners(4)), Err(TooFew { owners: 4, smallest: 5 }));
        assert!(Cohort::of_at_least(8, owners(8)).is_ok());
    }
}
