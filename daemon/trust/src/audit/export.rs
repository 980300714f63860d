//! Entries with their proofs, looked at by somebody who trusts nothing but the key of the node.

use karo_protocol::audit::{AuditEntry, AuditExport, Head};
use karo_protocol::{NodeId, Timestamp, frame};
use thiserror::Error;

use super::proof::verify_inclusion;
use super::tree::leaf_hash;
use crate::object::{self, ObjectRefused};

/// What an export proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// Whose log.
    pub node: NodeId,
    /// The signed state that all of it is proven by.
    pub head: Head,
    /// When that was signed, by the node's clock.
    pub signed_at: Timestamp,
    /// The entries by their places.
    pub entries: Vec<(u64, AuditEntry)>,
}

/// Why an export proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExportFault {
    /// The head is not signed by the node.
    #[error("the head is not the node's: {0}")]
    Head(#[from] ObjectRefused),
    /// An entry is not in the log that the head stands for.
    #[error("entry {index} is not in the log of {size} entries that {node} signed")]
    Entry {
        /// Its place.
        index: u64,
        /// The size of the log.
        size: u64,
        /// Whose log.
        node: NodeId,
    },
    /// An entry is in the log and cannot be read.
    #[error("entry {index} is in the log, and this version cannot read it")]
    Unreadable {
        /// Its place.
        index: u64,
    },
}

/// Verifies an export. A head is a proof for good: when it was signed is told and not judged.
///
/// # Errors
///
/// [`ExportFault`], the first that is found: nothing of the export may be believed.
pub fn verify_export(export: &AuditExport) -> Result<Proven, ExportFault> {
    let AuditExport { node, head, entries } = export;
    let object = object::read::<Head>(head, Some(*node))?;
    let head = object.body;
    let mut proven = Vec::with_capacity(entries.len());
    for (index, (random, entry, proof)) in entries {
        let leaf = leaf_hash(random, &entry.0);
        if !verify_inclusion(&leaf, *index, head.size, &head.root, proof) {
            return Err(ExportFault::Entry { index: *index, size: head.size, node: *node });
        }
        let entry = frame::decode(&entry.0).map_err(|_| ExportFault::Unreadable { index: *index })?;
        proven.push((*index, entry));
    }
    Ok(Proven { node: *node, head, signed_at: object.created, entries: proven })
}
