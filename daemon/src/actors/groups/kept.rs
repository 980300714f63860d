//! What is kept of groups and atoms, and how it is read back.

use std::sync::Arc;

use karo_core::atom::ledger::Given;
use karo_core::group::Group;
use karo_core::sum::AggregatorRecord;
use karo_protocol::atom::{Atom, AtomId, AtomReason, ClosedAtom};
use karo_protocol::group::GroupFile;
use karo_protocol::node::{Hash, Nonce};
use karo_protocol::peer::Signed;
use karo_protocol::{NodeId, Timestamp};
use karo_store::{Entry, Store};
use karo_trust::object;
use serde::{Deserialize, Serialize};

use crate::civil::Civil;
use crate::groups_desk::{Accepted, Groups, Outcome};
use crate::shelves;

/// Versions of a group's file that are kept besides the newest: their atoms are answered from.
pub(super) const PAST_MAX: usize = 32;

/// A day that was given, as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenDay {
    /// To which group.
    pub(super) group: Hash,
    /// The hash of the numbers.
    pub(super) table: Hash,
    /// The latest report that was made of them.
    pub(super) report: Nonce,
    /// When.
    pub(super) at: Timestamp,
    /// Of how many of the owner's other machines, of how many, numbers are in it.
    pub(super) fed: (u16, u16),
}

impl GivenDay {
    /// Returns what the rule about days asks for.
    pub(super) const fn given(&self) -> Given {
        Given { group: self.group, table: self.table, report: self.report }
    }
}

#[derive(Serialize, Deserialize)]
struct KeptGroup {
    signed: Signed,
    accepted_at: Timestamp,
    past: Vec<Signed>,
}

#[derive(Serialize, Deserialize)]
enum KeptOutcome {
    Closed(ClosedAtom, Timestamp),
    Ended(AtomReason, Timestamp),
}

/// Everything that the log holds of groups.
#[derive(Debug, Default)]
pub struct Kept {
    /// Groups and outcomes.
    pub groups: Groups,
    /// Days that were given.
    pub ledger: std::collections::BTreeMap<i32, GivenDay>,
    /// Atoms that we help to close.
    pub records: std::collections::BTreeMap<AtomId, AggregatorRecord>,
}

impl Kept {
    /// Reads it.
    pub fn of(store: &Store) -> Self {
        let mut kept = Self::default();
        for (key, value) in store.kept(shelves::GROUPS) {
            match accepted_of(&value) {
                Some(accepted) => {
                    kept.groups.accepted.insert(accepted.group.file().lineage, accepted);
                }
                None => tracing::error!(?key, "a group that was accepted cannot be read"),
            }
        }
        for (key, value) in store.kept(shelves::LEDGER) {
            let day = key.try_into().ok().map(i32::from_be_bytes);
            if let (Some(day), Ok(given)) = (day, rmp_serde::from_slice(&value)) {
                kept.ledger.insert(day, given);
            }
        }
        for (key, value) in store.kept(shelves::ATOMS) {
            if let (Some(id), Some(outcome)) = (atom_id(&key), outcome_of(&value)) {
                kept.groups.outcomes.insert(id, outcome);
            }
        }
        for (key, value) in store.kept(shelves::AGGREGATES) {
            if let (Some(id), Ok(record)) = (atom_id(&key), rmp_serde::from_slice(&value)) {
                kept.records.insert(id, record);
            }
        }
        kept
    }
}

/// Reads a group file: the signature of whoever made it, and all rules of one.
///
/// # Errors
///
/// A sentence.
pub(super) fn read_group(signed: &Signed) -> Result<(NodeId, Group), String> {
    let object = object::read::<GroupFile>(signed, None).map_err(|error| error.to_string())?;
    let group = Group::check(id_of(signed), object.body).map_err(|error| error.to_string())?;
    Ok((object.issuer, group))
}

/// Returns the id of a group file.
pub(super) fn id_of(signed: &Signed) -> Hash {
    Hash(blake3::hash(&signed.bytes.0).into())
}

fn accepted_of(value: &[u8]) -> Option<Accepted> {
    let kept: KeptGroup = rmp_serde::from_slice(value).ok()?;
    let (maker, group) = read_group(&kept.signed).ok()?;
    let past = kept.past.into_iter();
    let past = past.filter_map(|signed| read_group(&signed).ok().map(|(_, group)| (signed, Arc::new(group))));
    Some(Accepted {
        maker,
        civil: Civil::named(&group.file().zone).ok()?,
        group: Arc::new(group),
        accepted_at: kept.accepted_at,
        past: past.collect(),
        signed: kept.signed,
    })
}

fn outcome_of(value: &[u8]) -> Option<Outcome> {
    match rmp_serde::from_slice(value).ok()? {
        // It was verified before it was kept, and the log's own checksums hold since.
        KeptOutcome::Closed(closed, at) => {
            let atom = object::read::<Atom>(&closed.table, None).ok()?.body;
            Some(Outcome::Closed(Box::new(closed), Arc::new(atom), at))
        }
        KeptOutcome::Ended(reason, at) => Some(Outcome::Ended(reason, at)),
    }
}

fn atom_key(id: &AtomId) -> Vec<u8> {
    [id.group.0.as_slice(), &id.day.to_be_bytes()].concat()
}

fn atom_id(key: &[u8]) -> Option<AtomId> {
    let (group, day) = key.split_first_chunk()?;
    Some(AtomId { group: Hash(*group), day: i32::from_be_bytes(day.try_into().ok()?) })
}

fn put(shelf: u8, key: Vec<u8>, value: &impl Serialize) -> Entry {
    Entry::Put { shelf, key, value: rmp_serde::to_vec(value).expect("a value in memory can be written") }
}

/// Makes the record of a group.
pub(super) fn group_entry(accepted: &Accepted) -> Entry {
    let kept = KeptGroup {
        signed: accepted.signed.clone(),
        accepted_at: accepted.accepted_at,
        past: accepted.past.iter().map(|(signed, _)| signed.clone()).collect(),
    };
    put(shelves::GROUPS, accepted.group.file().lineage.0.to_vec(), &kept)
}

/// Takes the record of a group away.
pub(super) fn group_gone(lineage: Nonce) -> Entry {
    Entry::Remove { shelf: shelves::GROUPS, key: lineage.0.to_vec() }
}

/// Makes the record of a day that is given.
pub(super) fn given_entry(day: i32, given: &GivenDay) -> Entry {
    put(shelves::LEDGER, day.to_be_bytes().to_vec(), given)
}

/// Makes the record of what came of an atom.
pub(super) fn outcome_entry(id: &AtomId, outcome: &Outcome) -> Entry {
    let kept = match outcome {
        Outcome::Closed(closed, _, at) => KeptOutcome::Closed((**closed).clone(), *at),
        Outcome::Ended(reason, at) => KeptOutcome::Ended(*reason, *at),
    };
    put(shelves::ATOMS, atom_key(id), &kept)
}

/// Makes the record of an atom that we help to close.
pub(super) fn aggregate_entry(record: &AggregatorRecord) -> Entry {
    put(shelves::AGGREGATES, atom_key(&record.atom), record)
}
