//! What is kept of groups and atoms, and how it is read back.

use std::collections::BTreeMap;
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
use crate::logging::say;
use crate::shelves;

/// Versions of a group's file that are kept besides the newest: their atoms are answered from.
pub(super) const PAST_MAX: usize = 8;

/// Bytes of a group's file in one record: a file of a thousand members takes several.
const PIECE_BYTES: usize = 48 * 1024;

/// Days for which atoms are kept: three years, some five MiB for a group with all its cells.
const OUTCOME_DAYS_MAX: i32 = 1096;

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

/// One version of a group's file that was accepted, in pieces of [`PIECE_BYTES`] under its lineage, its version and
/// the number of the piece, big-endian.
#[derive(Serialize, Deserialize)]
struct KeptGroup {
    signed: Signed,
    accepted_at: Timestamp,
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
    pub ledger: BTreeMap<i32, GivenDay>,
    /// Atoms that we help to close.
    pub records: BTreeMap<AtomId, AggregatorRecord>,
}

impl Kept {
    /// Reads it.
    pub fn of(store: &Store) -> Self {
        let mut kept = Self::default();
        for (lineage, versions) in versions(store.kept(shelves::GROUPS)) {
            match accepted_of(versions) {
                Some(accepted) => drop(kept.groups.accepted.insert(lineage, accepted)),
                None => say!(Class::GroupUnreadable, %lineage, "a group that was accepted cannot be read"),
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

/// Puts the pieces of files together: for each lineage its versions in their order.
fn versions(kept: Vec<(Vec<u8>, Vec<u8>)>) -> BTreeMap<Nonce, BTreeMap<u64, Vec<u8>>> {
    let mut files: BTreeMap<Nonce, BTreeMap<u64, Vec<u8>>> = BTreeMap::new();
    // The keys are in order, and with them the pieces.
    for (key, piece) in BTreeMap::from_iter(kept) {
        let lineage = key.first_chunk().copied().map(Nonce);
        let version = key.get(16..24).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        if let (Some(lineage), Some(version)) = (lineage, version) {
            files.entry(lineage).or_default().entry(version).or_default().extend(piece);
        }
    }
    files
}

/// Reads the versions of a group: the newest is in force.
fn accepted_of(versions: BTreeMap<u64, Vec<u8>>) -> Option<Accepted> {
    let mut read = Vec::new();
    for value in versions.into_values() {
        let kept: KeptGroup = rmp_serde::from_slice(&value).ok()?;
        let (maker, group) = read_group(&kept.signed).ok()?;
        read.push((kept, maker, Arc::new(group)));
    }
    let (newest, maker, group) = read.pop()?;
    Some(Accepted {
        maker,
        civil: Civil::named(&group.file().zone).ok()?,
        group,
        accepted_at: newest.accepted_at,
        past: read.into_iter().map(|(kept, _, group)| (kept.signed, group)).collect(),
        signed: newest.signed,
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

fn piece_key(lineage: Nonce, version: u64, piece: usize) -> Vec<u8> {
    [lineage.0.as_slice(), &version.to_be_bytes(), &(piece as u16).to_be_bytes()].concat()
}

/// Makes the records of a group whose newest version was accepted just now; `before` is how it was.
pub(super) fn group_entries(accepted: &Accepted, before: Option<&Accepted>) -> Vec<Entry> {
    let kept = KeptGroup { signed: accepted.signed.clone(), accepted_at: accepted.accepted_at };
    let value = rmp_serde::to_vec(&kept).expect("a value in memory can be written");
    let file = accepted.group.file();
    let pieces = value.chunks(PIECE_BYTES).enumerate().map(|(number, piece)| Entry::Put {
        shelf: shelves::GROUPS,
        key: piece_key(file.lineage, file.version, number),
        value: piece.to_vec(),
    });
    let is_kept = |group: &Group| accepted.version(&group.id()).is_some();
    let past = before.into_iter().flat_map(|before| &before.past);
    let gone =
        past.filter(|(_, group)| !is_kept(group)).flat_map(|(signed, group)| version_gone(signed, group));
    pieces.chain(gone).collect()
}

fn version_gone(signed: &Signed, group: &Group) -> Vec<Entry> {
    // The rest of a record takes less than a kibibyte.
    let pieces = (signed.bytes.0.len() + 1024).div_ceil(PIECE_BYTES);
    let file = group.file();
    let key = |piece| piece_key(file.lineage, file.version, piece);
    (0..pieces).map(|piece| Entry::Remove { shelf: shelves::GROUPS, key: key(piece) }).collect()
}

/// Takes the records of a group away.
pub(super) fn group_gone(accepted: &Accepted) -> Vec<Entry> {
    let past = accepted.past.iter().flat_map(|(signed, group)| version_gone(signed, group));
    past.chain(version_gone(&accepted.signed, &accepted.group)).collect()
}

/// Takes away what is known of atoms that nobody asks for any more, from the day of the newest on; and of what we
/// helped to close, what cannot be closed any more.
pub(super) fn forgotten(newest: i32, outcomes: &BTreeMap<AtomId, Outcome>) -> (Vec<AtomId>, Vec<Entry>) {
    let old: Vec<AtomId> =
        outcomes.keys().filter(|id| id.day < newest.saturating_sub(OUTCOME_DAYS_MAX)).copied().collect();
    let shelves = [shelves::ATOMS, shelves::AGGREGATES];
    let gone = |id: &AtomId| shelves.map(|shelf| Entry::Remove { shelf, key: atom_key(id) });
    let entries = old.iter().flat_map(gone).collect();
    (old, entries)
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

#[cfg(test)]
mod year;
