//! Reads the audit: shows it, checks it, proves it to peers, and judges what peers say of theirs.
//!
//! It reads the disk, so it lives alone on an arbiter; what is written goes through the [`store`](super::store).
//!
//! | message | from | answer |
//! | --- | --- | --- |
//! | [`List`], [`Verify`], [`NewestHead`], [`Export`] | sessions | what was asked |
//! | [`Prove`] | peers, for a link | the proof, or that there is none |
//! | [`WitnessHead`] | peers, for a link or a person | what the head of a peer's audit means |
//! | [`Seen`] | peers, for a link | what is wrong with our own audit, if a peer has seen another one |
//! | [`Standing`] | status | how much there is, and how much of it has a witness |

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
use karo_trust::audit::{
    Checked, Offered, Refutation, Witness, check, consistency_proof, inclusion_proof, root_at,
};
use karo_trust::rotation::Succession;
use karo_trust::{fingerprint, object};
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
    /// We can witness what is below this head.
    Witnessed(Seen),
    /// This is to be proven first.
    Ask(AuditAsk),
    /// The log was cut or rewritten.
    Rewritten {
        /// A sentence.
        why: String,
        /// The head that was seen of it before, for the peer: its own disk may know nothing of it.
        seen: Option<Signed>,
    },
    /// It is another log, which we witness as well.
    NewLog {
        /// A sentence.
        why: String,
        /// The head of it.
        seen: Seen,
    },
}

/// A head of a peer's audit that we can witness, or one of ours that a peer can.
///
/// Sent by peers, for one of ours; answered with what is wrong with our own audit, if that is news.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "Option<String>")]
pub struct Seen {
    /// Whose audit it is of, or who has seen ours.
    pub node: NodeId,
    /// Entries below it.
    pub size: u64,
    /// The head, as it was signed.
    pub head: Signed,
}

/// How much of the audit is there, and how much has a witness? Sent by status.
#[derive(Debug, Message)]
#[rtype(result = "Stood")]
pub struct Standing;

/// How the audit stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stood {
    /// Entries of the log that is written.
    pub size: u64,
    /// How many of these a peer has seen.
    pub witnessed: Option<u64>,
    /// Who has seen another log than this one, each a sentence.
    pub faults: Vec<String>,
}

/// What is kept of a peer's audit: on disk, both parts one behind the other.
#[derive(Debug, Clone, Default)]
struct Watched {
    witness: Witness,
    /// The last head that was taken, as the peer signed it: that proves to the peer itself what it has had.
    signed: Option<Signed>,
}

/// The actor. See the module.
pub struct AuditActor {
    reader: Reader,
    keep: Recipient<Keep>,
    roster: RosterDesk,
    heads: watch::Receiver<Option<Signed>>,
    witnesses: BTreeMap<NodeId, Watched>,
    /// Heads that wait for their proof.
    unproven: BTreeMap<NodeId, (Head, Signed)>,
    /// The last heads of our own audit that peers have seen.
    seen: BTreeMap<NodeId, (Head, Signed)>,
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
            let (witness, signed) = rmp_serde::from_slice(&value).ok()?;
            Some((NodeId(key.try_into().ok()?), Watched { witness, signed }))
        };
        let witnesses = kept.filter_map(witness).collect();
        let seen = |(key, value): (Vec<u8>, Vec<u8>)| {
            let signed: Signed = rmp_serde::from_slice(&value).ok()?;
            let head = object::read::<Head>(&signed, None).ok()?.body;
            Some((NodeId(key.try_into().ok()?), (head, signed)))
        };
        let seen = reader.kept(shelves::WITNESSED).into_iter().filter_map(seen).collect();
        Self { reader, keep, roster, heads, witnesses, unproven: BTreeMap::new(), seen, _lease: lease }
    }

    /// Returns the log that is written, if one was begun.
    fn current(&self) -> Option<Nonce> {
        let value = self.reader.value(shelves::OWN, shelves::OWN_LOG)?;
        value.try_into().ok().map(Nonce)
    }

    /// Returns the logs, the one that is written last.
    fn logs(&self) -> Vec<Nonce> {
        let current = self.current();
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
        let Checked { expired, bad, bad_count, mut faults } =
            check(log, range.end, range.start, &stored, |index| stored.line(index), &bare);
        let (witnessed, refuted) = self.witnessed(log, &stored);
        faults.extend(refuted);
        let head = heads.into_iter().next_back().map(|(_, signed)| signed);
        LogVerified { log, size: range.end, expired, bad, bad_count, faults, witnessed, head }
    }

    /// Returns how much of a log a peer has seen, and which peer, and who has seen another log of that name.
    fn witnessed(&self, log: Nonce, stored: &StoredAudit) -> (Option<(u64, NodeId)>, Vec<String>) {
        let of_log = self.seen.iter().filter(|(_, (head, _))| head.log == log);
        let (mut most, mut faults) = (None, Vec::new());
        for (node, (head, _)) in of_log {
            match self.refuted(*node, head, stored) {
                Some(fault) => faults.push(fault),
                None => most = most.max(Some((head.size, *node))),
            }
        }
        (most, faults)
    }

    /// Says what is wrong with our own log, if it does not continue a head that we signed and a peer has kept.
    fn refuted(&self, node: NodeId, head: &Head, stored: &StoredAudit) -> Option<String> {
        let who = self.name_of(node).unwrap_or_else(|| fingerprint(&node).to_string());
        let size = stored.range().end;
        if head.size > size {
            return Some(format!(
                "{who} holds a signed head of {} entries, and there are {size}: the data directory was set back to an \
                 older copy; `karoctl identity restore` with a backup of the key begins a log that says so",
                head.size
            ));
        }
        // Where a hash is lost nothing can be compared, and the check of the log itself says so.
        let is_other = root_at(stored, head.size).is_ok_and(|root| root != head.root);
        is_other.then(|| {
            format!(
                "{who} holds a signed head of {} entries that are not these: the log was rewritten",
                head.size
            )
        })
    }

    fn standing(&self) -> Stood {
        let Some(log) = self.current() else { return Stood::default() };
        let stored = StoredAudit::new(self.reader.clone(), log);
        let (most, faults) = self.witnessed(log, &stored);
        Stood { size: stored.range().end, witnessed: most.map(|(size, _)| size), faults }
    }

    /// Takes a head of our own log that a peer has kept: what we signed ourselves is beyond doubt.
    fn on_seen(&mut self, Seen { node, head: signed, .. }: Seen) -> Option<String> {
        let own = NodeId(self.reader.value(shelves::OWN, shelves::OWN_KEY)?.try_into().ok()?);
        let head = object::read::<Head>(&signed, Some(own)).ok()?.body;
        let is_news = self.seen.get(&node).is_none_or(|(known, _)| match known.log == head.log {
            true => known.size < head.size,
            false => self.current() == Some(head.log),
        });
        if !is_news {
            return None;
        }
        let value = rmp_serde::to_vec(&signed).ok()?;
        self.seen.insert(node, (head, signed));
        self.put(shelves::WITNESSED, node, value);
        self.refuted(node, &head, &StoredAudit::new(self.reader.clone(), head.log))
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

    /// Returns what is kept of a peer's audit; a key that took over goes on with what its predecessor was known by.
    fn watched(&mut self, node: NodeId) -> &mut Watched {
        if !self.witnesses.contains_key(&node) {
            let record = self.reader.value(shelves::PEERS, node.as_bytes());
            let succession = record.and_then(|value| rmp_serde::from_slice::<Succession>(&value).ok());
            let before = succession.and_then(|succession| Some(succession.followed?.0));
            let inherited = before.and_then(|before| self.witnesses.get(&before)).cloned();
            self.witnesses.insert(node, inherited.unwrap_or_default());
        }
        self.witnesses.entry(node).or_default()
    }

    fn judge(&mut self, node: NodeId, signed: Signed) -> Judged {
        let Ok(head) = object::read::<Head>(&signed, Some(node)).map(|object| object.body) else {
            // Signed by the key before or after, while it rotates: the next one is by the right key.
            tracing::debug!(peer = %fingerprint(&node), "a head that is not signed by the peer's key says nothing");
            return Judged::Known;
        };
        match self.watched(node).witness.offered(&head) {
            Offered::Same => self.seen(node, head, signed),
            Offered::First | Offered::NewLog => self.take(node, head, signed),
            Offered::Newer { from } => {
                self.unproven.insert(node, (head, signed));
                Judged::Ask(AuditAsk { log: head.log, old_size: from.size, new_size: head.size })
            }
            Offered::Refuted(refutation) => self.rewritten(node, head.log, &refutation),
        }
    }

    fn take(&mut self, node: NodeId, head: Head, signed: Signed) -> Judged {
        let watched = self.watched(node);
        if watched.witness.take(head) {
            watched.signed = Some(signed.clone());
            self.remember(node);
        }
        self.seen(node, head, signed)
    }

    /// Says what a head means that is taken: of a log that no person has acknowledged, that it is one.
    fn seen(&mut self, node: NodeId, head: Head, signed: Signed) -> Judged {
        let seen = Seen { node, size: head.size, head: signed };
        match self.watched(node).witness.held.filter(|held| held.log == head.log) {
            Some(held) => Judged::NewLog { why: new_log(&held), seen },
            None => Judged::Witnessed(seen),
        }
    }

    fn rewritten(&mut self, node: NodeId, log: Nonce, refutation: &Refutation) -> Judged {
        let signed = self.watched(node).signed.clone();
        let of_log =
            |signed: &Signed| object::read::<Head>(signed, None).is_ok_and(|object| object.body.log == log);
        Judged::Rewritten { why: refuted(refutation), seen: signed.filter(of_log) }
    }

    fn prove(&mut self, node: NodeId, AuditProof { ask, proof }: &AuditProof) -> Judged {
        let is_asked = |(head, _): &(Head, Signed)| head.log == ask.log && head.size == ask.new_size;
        if !self.unproven.get(&node).is_some_and(is_asked) {
            return Judged::Known;
        }
        let Some((head, signed)) = self.unproven.remove(&node) else { return Judged::Known };
        let Some(proof) = proof else {
            let unproven = Refutation::Inconsistent { seen: ask.old_size, told: ask.new_size };
            return self.rewritten(node, head.log, &unproven);
        };
        let watched = self.watched(node);
        match watched.witness.prove(head, proof) {
            Ok(()) => {
                watched.signed = Some(signed.clone());
                self.remember(node);
                self.seen(node, head, signed)
            }
            Err(refutation) => self.rewritten(node, head.log, &refutation),
        }
    }

    fn accept(&mut self, node: NodeId) -> Judged {
        let watched = self.watched(node);
        let Some((held, signed)) = watched.witness.held.zip(watched.signed.clone()) else {
            return Judged::Known;
        };
        watched.witness.acknowledge(&held.log);
        self.remember(node);
        Judged::Witnessed(Seen { node, size: held.size, head: signed })
    }

    /// Keeps what was seen; what cannot be kept now is kept with the next head.
    fn remember(&self, node: NodeId) {
        let value = |watched: &Watched| rmp_serde::to_vec(&(&watched.witness, &watched.signed));
        if let Some(Ok(value)) = self.witnesses.get(&node).map(value) {
            self.put(shelves::WITNESS, node, value);
        }
    }

    fn put(&self, shelf: u8, node: NodeId, value: Vec<u8>) {
        let entries = vec![Entry::Put { shelf, key: node.as_bytes().to_vec(), value }];
        if self.keep.try_send(Keep { entries, deeds: Vec::new() }).is_err() {
            tracing::debug!("the store is too busy for the head of an audit");
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
    format!(
        "{refutation}; ask its owner what happened: a disk that was set back is mended there with `karoctl identity \
         restore`"
    )
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

impl Handler<Seen> for AuditActor {
    type Result = Option<String>;

    fn handle(&mut self, seen: Seen, _: &mut Self::Context) -> Self::Result {
        self.on_seen(seen)
    }
}

impl Handler<Standing> for AuditActor {
    type Result = MessageResult<Standing>;

    fn handle(&mut self, _: Standing, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.standing())
    }
}

impl Handler<WitnessHead> for AuditActor {
    type Result = MessageResult<WitnessHead>;

    fn handle(&mut self, question: WitnessHead, _: &mut Self::Context) -> Self::Result {
        MessageResult(match question {
            WitnessHead::Head { node, head } => self.judge(node, head),
            WitnessHead::Proof { node, proof } => self.prove(node, &proof),
            WitnessHead::Accept { node } => self.accept(node),
        })
    }
}
