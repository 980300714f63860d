//! The groups that this machine is in, and their closed atoms: looked at by whoever answers questions, changed by one
//! actor.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use karo_core::atom::{self, AtomRefused};
use karo_core::group::Group;
use karo_protocol::answer::Status;
use karo_protocol::atom::{ATOMS_PAGE_MAX, Atom, AtomId, AtomReason, AtomSeal, ClosedAtom};
use karo_protocol::node::{Hash, Nonce};
use karo_protocol::peer::Signed;
use karo_protocol::{NodeId, Timestamp};
use karo_trust::object::{self, ObjectRefused};

use crate::civil::Civil;

/// A group that was accepted.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// Its file, as its maker signed it.
    pub signed: Signed,
    /// Who made that.
    pub maker: NodeId,
    /// What it says.
    pub group: Arc<Group>,
    /// Its days.
    pub civil: Civil,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// Earlier versions that were accepted here, the newest last: their atoms are answered from as well.
    pub past: Vec<(Signed, Arc<Group>)>,
}

impl Accepted {
    /// Returns the version of the file that has this id.
    pub fn version(&self, id: &Hash) -> Option<&Arc<Group>> {
        let mut versions = std::iter::once(&self.group).chain(self.past.iter().map(|(_, group)| group));
        versions.find(|group| group.id() == *id)
    }

    /// Returns the ids of all versions, the newest first.
    pub fn ids(&self) -> impl Iterator<Item = Hash> {
        std::iter::once(self.group.id()).chain(self.past.iter().rev().map(|(_, group)| group.id()))
    }
}

/// What came of an atom, as far as this machine knows.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// There is one.
    Closed(Box<ClosedAtom>, Arc<Atom>, Timestamp),
    /// There is none.
    Ended(AtomReason, Timestamp),
}

/// Everything.
#[derive(Debug, Default)]
pub struct Groups {
    /// By lineage.
    pub accepted: BTreeMap<Nonce, Accepted>,
    /// What came of the atoms.
    pub outcomes: BTreeMap<AtomId, Outcome>,
}

impl Groups {
    /// Returns the group whose file, in any version that was accepted, has this id.
    pub fn by_id(&self, id: &Hash) -> Option<&Accepted> {
        self.accepted.values().find(|accepted| accepted.version(id).is_some())
    }

    /// Returns the closed atom.
    pub fn closed(&self, id: &AtomId) -> Option<(&ClosedAtom, &Arc<Atom>)> {
        match self.outcomes.get(id)? {
            Outcome::Closed(closed, atom, _) => Some((closed, atom)),
            Outcome::Ended(..) => None,
        }
    }

    /// Returns the atoms of these days that a node may have: they are the same for all members, and for nobody else.
    pub fn held_for(&self, node: &NodeId, group: &Hash, days: &[i32]) -> (Status, Vec<ClosedAtom>) {
        let Some(known) = self.by_id(group).and_then(|accepted| accepted.version(group)) else {
            return (Status::NoData, Vec::new());
        };
        if known.member(node).is_none() {
            return (Status::AccessDenied, Vec::new());
        }
        let days = days.iter().take(ATOMS_PAGE_MAX);
        let closed = days.filter_map(|day| self.closed(&AtomId { group: *group, day: *day }));
        let atoms: Vec<ClosedAtom> = closed.map(|(closed, _)| closed.clone()).collect();
        (if atoms.is_empty() { Status::NoData } else { Status::Success }, atoms)
    }

    /// Finds the group of that name; the only one, when none is said.
    ///
    /// # Errors
    ///
    /// A sentence with the names there are.
    pub fn find(&self, name: Option<&str>) -> Result<&Accepted, String> {
        let names = || {
            let names: Vec<&str> = self.accepted.values().map(|one| one.group.file().name.as_str()).collect();
            names.join(", ")
        };
        let Some(name) = name else {
            return match self.accepted.len() {
                0 => Err("this machine is in no group; `karoctl group accept FILE` makes it a member of one"
                    .to_owned()),
                1 => self.accepted.values().next().ok_or_else(String::new),
                _ => Err(format!("this machine is in several groups, say which with --group: {}", names())),
            };
        };
        let mut found = self.accepted.values().filter(|one| one.group.file().name == name);
        let missing = || match self.accepted.is_empty() {
            true => format!("this machine is in no group {name:?}, and in no other"),
            false => format!("this machine is in no group {name:?}; it is in {}", names()),
        };
        let first = found.next().ok_or_else(missing)?;
        match found.next() {
            None => Ok(first),
            Some(_) => {
                Err(format!("two groups are called {name:?}; leave one of them, or have its maker rename it"))
            }
        }
    }
}

/// Looks at the groups; cheap to clone. Only the groups' actor changes them.
#[derive(Debug, Clone, Default)]
pub struct GroupsDesk(Arc<RwLock<Groups>>);

impl GroupsDesk {
    /// Looks at them; nothing may be waited for meanwhile.
    pub fn read(&self) -> RwLockReadGuard<'_, Groups> {
        // A panic in a reader leaves them as they were.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes them, after the change is on disk.
    pub fn change<T>(&self, change: impl FnOnce(&mut Groups) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Why an atom is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AtomUnproven {
    /// One of the signatures, or what is signed.
    #[error(transparent)]
    Object(#[from] ObjectRefused),
    /// It is no atom that this group can have.
    #[error(transparent)]
    Atom(#[from] AtomRefused),
    /// The two signed different tables.
    #[error("its two signatures are under different tables")]
    Seal,
}

/// Verifies an atom: both signatures, of the two who rank first on that day, under one table that this group can have.
///
/// # Errors
///
/// [`AtomUnproven`]; nothing of it may be believed then.
pub fn verify(closed: &ClosedAtom, group: &Group) -> Result<Atom, AtomUnproven> {
    let day = object::read::<Atom>(&closed.table, None)?.body.day;
    let (leader, helper) = group.aggregators(day).ok_or(AtomRefused::Aggregators)?;
    let atom = object::read::<Atom>(&closed.table, Some(leader))?.body;
    let seal = object::read::<AtomSeal>(&closed.seal, Some(helper))?.body;
    if seal.atom.0 != *blake3::hash(&closed.table.bytes.0).as_bytes() {
        return Err(AtomUnproven::Seal);
    }
    atom::check(group, &atom)?;
    Ok(atom)
}

#[cfg(test)]
mod tests;
