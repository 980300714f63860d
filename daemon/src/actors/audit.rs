//! Reads the audit: shows it, checks it, proves it to peers, and judges what peers say of theirs.
//!
//! It reads the disk, so it lives alone on an arbiter; what is written goes through the [`store`](super::store).
//!
//! | message | from | answer |
//! | --- | --- | --- |
//! | [`List`], [`Verify`], [`NewestHead`], [`Export`] | sessions | what was asked |
//! | [`Prove`] | peers, for a link | the proof, or that there is none |
//! | [`WitnessHead`] | peers, for a link or a person | what the head of a peer's audit means |

use std::collections::BTreeMap;

use actix::{Actor, Context, Handler, Message, MessageResult, Recipient};
use karo_protocol::NodeId;
use karo_protocol::audit::{
    AuditEntry, AuditExport, AuditFilter, AuditRow, AuditVerified, Head, LogVerified,
};
use karo_protocol::local::{Failure, FailureCode};
use karo_protocol::node::Nonce;
use karo_protocol::peer::{AuditAsk, AuditProof, Signed};
use karo_store::{Entry, Reader};
use karo_trust::audit::{Checked, Offered, Refutation, Witness, check, consistency_proof, inclusion_proof};
use karo_trust::object;
use tokio::sync::watch;

use super::store::Keep;
use crate::lease::Lease;
use crate::roster_desk::RosterDesk;
use crate::shelves;
use crate::stored_audit::StoredAudit;

/// Messages that may wait: sessions, and a heartbeat of each link.
const MAILBOX: usize = 1024;

/// Entries in one answer: a day's worth of a busy machine many times over.
const LISTED_MAX: usize = 100_000;

/// Entries in one export: a frame holds them with their proofs.
const EXPORTED_MAX: usize = 256;

/// Which entries are there? Sent by sessions; the oldest first.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<AuditRow>, Failure>")]
pub struct List(pub AuditFilter);

/// Is all of it as it was written? Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "AuditVerified")]
pub struct Verify;

/// The newest signed head. Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Option<Signed>")]
pub struct NewestHead;

/// Entries with their proofs. Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Result<Box<AuditExport>, Failure>")]
pub struct Export(pub AuditFilter);

/// Prove that our audit only grew. Sent by peers.
#[derive(Debug, Message)]
#[rtype(result = "AuditProof")]
pub struct Prove(pub AuditAsk);

/// What does that mean of a peer's audit? Sent by peers.
#[derive(Debug, Message)]
#[rtype(result = "Judged")]
pub enum WitnessHead {
    /// The peer sent a head.
    Head {
        /// Which peer.
        node: NodeId,
        /// The head.
        head: Signed,
    },
    /// The peer sent a proof.
    Proof {
        /// Which peer.
        node: NodeId,
        /// The proof.
        proof: AuditProof,
    },
    /// A person says that the other log of the peer is known.
    Accept {
        /// Which peer.
        node: NodeId,
    },
}

/// What the head of a peer's audit means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// Nothing new.
    Known,
    /// We can witness so many entries.
    Witnessed(u64),
    /// This is to be proven first.
    Ask(AuditAsk),
    /// The log was cut or rewritten; a sentence.
    Rewritten(String),
    /// It is another log; a sentence.
    NewLog(String),
}

/// The actor. See the module.
pub struct AuditActor {
    reader: Reader,
    keep: Recipient<Keep>,
    roster: RosterDesk,
    heads: watch::Receiver<Option<Signed>>,
    witnesses: BTreeMap<NodeId, Witness>,
    /// Heads that wait for their proof.
    unproven: BTreeMap<NodeId, Head>,
    _lease: Lease,
}

impl AuditActor {
    /// Makes the actor; `heads` has the newest head of our own log.
    pub fn new(
        reader: Reader,
        keep: Recipient<Keep>,
        roster: RosterDesk,
        heads: watch::Receiver<Option<Signed>>,
        lease: Lease,
    ) -> Self {
        let kept = reader.kept(shelves::WITNESS).into_iter();
        let witness = |(key, value): (Vec<u8>, Vec<u8>)| {
            Some((NodeId(key.try_into().ok()?), rmp_serde::from_slice(&value).ok()?))
        };
        let witnesses = kept.filter_map(witness).collect();
        Self { reader, keep, roster, heads, witnesses, unproven: BTreeMap::new(), _lease: lease }
    }

    /// Returns the logs, the one that is written last.
    fn logs(&self) -> Vec<Nonce> {
        let current = self
            .reader
            .value(shelves::OWN, shelves::OWN_LOG)
            .and_then(|value| value.try_into().ok().map(Nonce));
        let mut logs: Vec<Nonce> = Vec::new();
        for (key, _) in self.reader.kept(shelves::HEADS) {
            if let Some(log) = key.first_chunk().copied().map(Nonce)
                && !logs.contains(&log)
                && Some(log) != current
            {
                logs.push(log);
            }
        }
        logs.extend(current);
        logs
    }

    /// Returns the signed heads of a log, the smallest first.
    fn heads_of(&self, log: Nonce) -> Vec<(Head, Signed)> {
        let kept = self.reader.kept(shelves::HEADS).into_iter().filter(|(key, _)| key.starts_with(&log.0));
        kept.filter_map(|(_, value)| {
            let signed: Signed = rmp_serde::from_slice(&value).ok()?;
            let head = object::read::<Head>(&signed, None).ok()?;
            Some((head.body, signed))
        })
        .collect()
    }

    fn verify(&self, log: Nonce) -> LogVerified {
        let stored = StoredAudit::new(self.reader.clone(), log);
        let range = stored.range();
        let heads = self.heads_of(log);
        let bare: Vec<Head> = heads.iter().map(|(head, _)| *head).collect();
        let Checked { expired, bad, bad_count, faults } =
            check(log, range.end, range.start, &stored, |index| stored.line(index), &bare);
        let head = heads.into_iter().next_back().map(|(_, signed)| signed);
        LogVerified { log, size: range.end, expired, bad, bad_count, faults, witnessed: None, head }
    }

    /// Returns the entries that a filter lets through, the oldest first.
    fn list(&self, filter: &AuditFilter) -> Result<Vec<AuditRow>, Failure> {
        let peer = filter.peer.as_deref().map(|text| self.named(text)).transpose()?;
        let limit = filter.limit.map_or(LISTED_MAX, |limit| (limit as usize).min(LISTED_MAX));
        let mut rows = Vec::new();
        for log in self.logs().into_iter().rev() {
            let stored = StoredAudit::new(self.reader.clone(), log);
            for index in stored.range().rev() {
                if rows.len() >= limit {
                    break;
                }
                let entry = stored.line(index).and_then(|line| line.entry());
                if entry.as_ref().is_some_and(|entry| passes(entry, filter, peer)) {
                    let peer_name = entry.as_ref().and_then(|entry| self.name_of(entry.peer?));
                    rows.push(AuditRow { log, index, entry, peer_name });
                }
            }
        }
        rows.reverse();
        Ok(rows)
    }

    /// Finds the key that is meant: of a peer, or one that is none any more, by its whole id.
    fn named(&self, text: &str) -> Result<NodeId, Failure> {
        if let Ok(node) = text.parse() {
            return Ok(node);
        }
        let found = self.roster.read().find(text).map(|peer| peer.node_id);
        found.map_err(|error| Failure { code: FailureCode::Refused, message: error.to_string() })
    }

    fn name_of(&self, node: NodeId) -> Option<String> {
        self.roster.read().peer(&node).map(|peer| peer.name.clone())
    }

    fn export(&self, filter: &AuditFilter) -> Result<AuditExport, Failure> {
        let refused = |message: String| Failure { code: FailureCode::Refused, message };
        let head = self.heads.borrow().clone();
        let signed = head.ok_or_else(|| refused("no head of the audit is signed yet".to_owned()))?;
        let object = object::read::<Head>(&signed, None).map_err(|error| refused(error.to_string()))?;
        let (node, head) = (object.issuer, object.body);
        let rows = self.list(filter)?;
        let wanted: Vec<u64> = rows
            .iter()
            .filter(|row| row.log == head.log && row.index < head.size)
            .map(|row| row.index)
            .collect();
        if wanted.len() > EXPORTED_MAX {
            let message =
                format!("{} entries, and at most {EXPORTED_MAX} go into one proof; say which", wanted.len());
            return Err(refused(message));
        }
        let stored = StoredAudit::new(self.reader.clone(), head.log);
        let mut entries = BTreeMap::new();
        for index in wanted {
            let proof =
                inclusion_proof(&stored, index, head.size).map_err(|missing| refused(missing.to_string()))?;
            if let Some(line) = stored.line(index) {
                entries.insert(index, (line.random, line.entry, proof));
            }
        }
        Ok(AuditExport { node, head: signed, entries })
    }

    fn judge(&mut self, node: NodeId, head: &Signed) -> Judged {
        let Ok(head) = object::read::<Head>(head, Some(node)).map(|object| object.body) else {
            return Judged::Rewritten("it sent a head of its audit that it has not signed".to_owned());
        };
        let witness = self.witnesses.entry(node).or_default();
        match witness.offered(&head) {
            Offered::Same => self.seen(node, head),
            Offered::First | Offered::NewLog => self.take(node, head),
            Offered::Newer { from } => {
                self.unproven.insert(node, head);
                Judged::Ask(AuditAsk { log: head.log, old_size: from.size, new_size: head.size })
            }
            Offered::Refuted(refutation) => Judged::Rewritten(refuted(&refutation)),
        }
    }

    fn take(&mut self, node: NodeId, head: Head) -> Judged {
        let witness = self.witnesses.entry(node).or_default();
        if witness.take(head) {
            self.remember(node);
        }
        self.seen(node, head)
    }

    /// Says what a head means that is taken: of a log that no person has acknowledged, that it is one.
    fn seen(&self, node: NodeId, head: Head) -> Judged {
        let held = self.witnesses.get(&node).and_then(|witness| witness.held);
        match held.filter(|held| held.log == head.log) {
            Some(held) => Judged::NewLog(new_log(&held)),
            None => Judged::Witnessed(head.size),
        }
    }

    fn prove(&mut self, node: NodeId, AuditProof { ask, proof }: &AuditProof) -> Judged {
        let Some(head) =
            self.unproven.get(&node).filter(|head| head.log == ask.log && head.size == ask.new_size).copied()
        else {
            return Judged::Known;
        };
        self.unproven.remove(&node);
        let Some(proof) = proof else {
            return Judged::Rewritten("it cannot prove that its audit only grew".to_owned());
        };
        let witness = self.witnesses.entry(node).or_default();
        match witness.prove(head, proof) {
            Ok(()) => {
                self.remember(node);
                self.seen(node, head)
            }
            Err(refutation) => Judged::Rewritten(refuted(&refutation)),
        }
    }

    fn accept(&mut self, node: NodeId) -> Judged {
        let witness = self.witnesses.entry(node).or_default();
        let Some(held) = witness.held else { return Judged::Known };
        witness.acknowledge(&held.log);
        self.remember(node);
        Judged::Witnessed(held.size)
    }

    /// Keeps what was seen; what cannot be kept now is kept with the next head.
    fn remember(&self, node: NodeId) {
        let witness = self.witnesses.get(&node).map(rmp_serde::to_vec);
        if let Some(Ok(value)) = witness {
            let entries = vec![Entry::Put { shelf: shelves::WITNESS, key: node.as_bytes().to_vec(), value }];
            if self.keep.try_send(Keep { entries, deeds: Vec::new() }).is_err() {
                tracing::debug!("the store is too busy for the head of a peer");
            }
        }
    }
}

fn passes(entry: &AuditEntry, filter: &AuditFilter, peer: Option<NodeId>) -> bool {
    filter.since.is_none_or(|since| entry.at >= since)
        && filter.until.is_none_or(|until| entry.at < until)
        && (filter.deeds.is_empty() || filter.deeds.contains(&entry.deed))
        && peer.is_none_or(|peer| entry.peer == Some(peer))
}

fn refuted(refutation: &Refutation) -> String {
    format!("{refutation}; ask its owner what happened")
}

fn new_log(head: &Head) -> String {
    format!(
        "it has begun another audit log ({}), as a restored identity does; if its owner knows of that: \
         karoctl peers confirm",
        head.log
    )
}

impl Actor for AuditActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<List> for AuditActor {
    type Result = Result<Vec<AuditRow>, Failure>;

    fn handle(&mut self, List(filter): List, _: &mut Self::Context) -> Self::Result {
        self.list(&filter)
    }
}

impl Handler<Verify> for AuditActor {
    type Result = MessageResult<Verify>;

    fn handle(&mut self, _: Verify, _: &mut Self::Context) -> Self::Result {
        MessageResult(AuditVerified { logs: self.logs().into_iter().map(|log| self.verify(log)).collect() })
    }
}

impl Handler<NewestHead> for AuditActor {
    type Result = Option<Signed>;

    fn handle(&mut self, _: NewestHead, _: &mut Self::Context) -> Self::Result {
        self.heads.borrow().clone()
    }
}

impl Handler<Export> for AuditActor {
    type Result = Result<Box<AuditExport>, Failure>;

    fn handle(&mut self, Export(filter): Export, _: &mut Self::Context) -> Self::Result {
        self.export(&filter).map(Box::new)
    }
}

impl Handler<Prove> for AuditActor {
    type Result = MessageResult<Prove>;

    fn handle(&mut self, Prove(ask): Prove, _: &mut Self::Context) -> Self::Result {
        let stored = StoredAudit::new(self.reader.clone(), ask.log);
        let is_ours = self.logs().contains(&ask.log);
        let is_possible = is_ours && ask.old_size <= ask.new_size && ask.new_size <= stored.range().end;
        let proof =
            if is_possible { consistency_proof(&stored, ask.old_size, ask.new_size).ok() } else { None };
        MessageResult(AuditProof { ask, proof })
    }
}

impl Handler<WitnessHead> for AuditActor {
    type Result = MessageResult<WitnessHead>;

    fn handle(&mut self, question: WitnessHead, _: &mut Self::Context) -> Self::Result {
        MessageResult(match question {
            WitnessHead::Head { node, head } => self.judge(node, &head),
            WitnessHead::Proof { node, proof } => self.prove(node, &proof),
            WitnessHead::Accept { node } => self.accept(node),
        })
    }
}
