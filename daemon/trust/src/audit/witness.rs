//! A witness: what a node remembers of another's audit log, and what a head that it is told means.
//!
//! A witness keeps the last head that was proven to continue the one before. From then on nobody, the log's own
//! node included, can change or cut what lies below it without every witness knowing. A head comes after it is on
//! the disk of the node that tells it, so a crash is no excuse for a lower one.

use karo_protocol::audit::{ConsistencyProof, Head};
use karo_protocol::node::Nonce;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::proof::verify_consistency;

/// What is remembered of one node's log; small, to be stored whenever it changes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Witness {
    /// The last head of the log that is taken for the node's.
    pub known: Option<Head>,
    /// The last head of another log of that node, which no person here has acknowledged: its identity was
    /// restored, or somebody has its key.
    pub held: Option<Head>,
}

/// What a head means to a witness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    /// It is known.
    Same,
    /// It is the first that was ever told: there is nothing to compare it with.
    First,
    /// The log has grown since `from`: a consistency proof is to be asked for, then
    /// [`prove`](Witness::prove).
    Newer {
        /// The head that it must continue.
        from: Head,
    },
    /// It is of another log than the one that is known, and was not seen before.
    NewLog,
    /// It cannot be of the log that is known: that was cut or rewritten.
    Refuted(Refutation),
}

/// How a log was found to be another than the one that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refutation {
    /// It is shorter than it was.
    #[error("the audit log had {seen} entries, and now it says that it has {told}: it was cut")]
    Rollback {
        /// The size that was seen.
        seen: u64,
        /// The size that is told now.
        told: u64,
    },
    /// It has the same size and another root.
    #[error("there are two audit logs of {size} entries with different contents: one was rewritten")]
    Equivocation {
        /// The size of both.
        size: u64,
    },
    /// It does not continue what was seen.
    #[error("the audit log of {told} entries does not continue the one of {seen}: it was rewritten")]
    Inconsistent {
        /// The size that was seen.
        seen: u64,
        /// The size that is told now.
        told: u64,
    },
}

impl Witness {
    /// Says what a head means; changes nothing. The caller has verified its signature.
    pub fn offered(&self, head: &Head) -> Offered {
        match (self.remembered(&head.log), self.known) {
            (Some(seen), _) => compare(seen, head),
            (None, None) => Offered::First,
            (None, Some(_)) => Offered::NewLog,
        }
    }

    /// Takes a head that is the [first](Offered::First), or of a [new log](Offered::NewLog), which is then held.
    /// Returns whether anything changed.
    pub fn take(&mut self, head: Head) -> bool {
        match self.offered(&head) {
            Offered::First => self.known = Some(head),
            Offered::NewLog => self.held = Some(head),
            Offered::Same | Offered::Newer { .. } | Offered::Refuted(_) => return false,
        }
        true
    }

    /// Takes a head whose proof shows that it continues the one that is remembered.
    ///
    /// # Errors
    ///
    /// [`Refutation`]: nothing is taken, and what was seen stays the measure.
    pub fn prove(&mut self, head: Head, proof: &ConsistencyProof) -> Result<(), Refutation> {
        match self.offered(&head) {
            Offered::Same => Ok(()),
            Offered::First | Offered::NewLog => {
                self.take(head);
                Ok(())
            }
            Offered::Refuted(refutation) => Err(refutation),
            Offered::Newer { from } => {
                if !verify_consistency((from.size, &from.root), (head.size, &head.root), proof) {
                    return Err(Refutation::Inconsistent { seen: from.size, told: head.size });
                }
                let place = if self.is_known(&head.log) { &mut self.known } else { &mut self.held };
                *place = Some(head);
                Ok(())
            }
        }
    }

    /// Takes the log that is held for the node's from now on, because a person says so; returns whether it was
    /// held.
    pub fn acknowledge(&mut self, log: &Nonce) -> bool {
        let is_held = self.held.is_some_and(|held| held.log == *log);
        if is_held {
            self.known = self.held.take();
        }
        is_held
    }

    fn is_known(&self, log: &Nonce) -> bool {
        self.known.is_some_and(|known| known.log == *log)
    }

    fn remembered(&self, log: &Nonce) -> Option<Head> {
        [self.known, self.held].into_iter().flatten().find(|head| head.log == *log)
    }
}

fn compare(seen: Head, told: &Head) -> Offered {
    if told.size > seen.size {
        return Offered::Newer { from: seen };
    }
    if told.size < seen.size {
        return Offered::Refuted(Refutation::Rollback { seen: seen.size, told: told.size });
    }
    if told.root == seen.root {
        return Offered::Same;
    }
    Offered::Refuted(Refutation::Equivocation { size: seen.size })
}
