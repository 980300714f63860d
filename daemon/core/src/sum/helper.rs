//! Rank 2: verifies what it is given, answers each question of rank 1, and each the same way however often it comes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use karo_protocol::atom::{Atom, AtomReason, AtomSays, ClosedAtom, Report};
use karo_protocol::node::{Hash, Nonce};
use karo_protocol::peer::{Object, Signed};
use karo_protocol::{Bytes, NodeId};

use super::closing::{Closing, Opened};
use super::record::{AggregatorRecord, Listed, RecordedSet, half_hash, set_hash, verify_key};
use super::seal::SealingSecret;
use super::shares::{Addend, Rank, Unsound};
use super::totals::{Sums, add_owners, add_values, commitment};
use super::work::Made;
use super::{
    BOX_BYTES_MAX, BY_HAND_WINDOW, Fault, Output, Proven, REPORTS_EACH_MAX, SILENCE_PATIENCE, VERIFYING_MAX,
    Window, Work, Worked, Wrong,
};

/// Closes one atom at rank 2.
///
/// It takes `Open`, `Halves`, `Verify`, `Set`, `Owners`, `Values`, `Table` and `Ended`, and passes over what is not
/// for it. An atom that this node has closed before is not its to judge: the daemon answers with what it has.
pub struct Helper {
    closing: Arc<Closing>,
    secret: Arc<SealingSecret>,
    record: AggregatorRecord,
    window: Window,
    heard: Instant,
    /// It was made of a record: rank 1 may speak of reports that are not here again yet.
    is_anew: bool,
    reports: BTreeMap<NodeId, Entry>,
    /// Whose each report is, so that an id counts once.
    ids: BTreeMap<Nonce, NodeId>,
    // Each of the following needs the one before it; all stay, because rank 1 may begin anew and ask again.
    agreed: Option<Agreed>,
    opened: Option<Opened>,
    exchanged: Option<Exchanged>,
    closed: Option<Box<ClosedAtom>>,
    is_over: bool,
}

/// The newest report of one contributor.
struct Entry {
    listed: Listed,
    /// How many reports of this contributor were begun.
    count: usize,
    standing: Standing,
}

enum Standing {
    Working,
    Verified { messages: Vec<Bytes>, addend: Addend },
    Refused,
}

/// The set, and this node's sums over it.
struct Agreed {
    set: Vec<Listed>,
    sums: Sums,
}

/// What rank 1 told of the visible values, and the table that follows.
struct Exchanged {
    theirs: Vec<Bytes>,
    atom: Box<Atom>,
}

impl Helper {
    /// Begins when rank 1 opens an atom, or anew after a restart.
    ///
    /// `record` is what is on disk of it, if this node began it before, and else [`AggregatorRecord::new`] of fresh
    /// random bytes.
    pub fn new(
        closing: Arc<Closing>,
        secret: Arc<SealingSecret>,
        record: AggregatorRecord,
        window: Window,
        now: Instant,
    ) -> (Self, Vec<Output>) {
        let is_anew = record.promised.is_some();
        let half = AtomSays::Half(record.half);
        let out = if is_anew { vec![Output::Send { to: closing.leader(), says: half }] } else { Vec::new() };
        let helper = Self {
            closing,
            secret,
            record,
            window,
            heard: now,
            is_anew,
            reports: BTreeMap::new(),
            ids: BTreeMap::new(),
            agreed: None,
            opened: None,
            exchanged: None,
            closed: None,
            is_over: false,
        };
        (helper, out)
    }

    /// Takes what was said of this atom by another node, or by this one; `proven` is the object in it, once its
    /// signature was verified.
    pub fn on(&mut self, from: NodeId, says: AtomSays, proven: Option<Proven>, now: Instant) -> Vec<Output> {
        let mut out = Vec::new();
        if self.is_over {
            return out;
        }
        if from == self.closing.leader() {
            self.heard = now;
        }
        match says {
            AtomSays::Invite { .. }
            | AtomSays::Report { .. }
            | AtomSays::Decline(_)
            | AtomSays::Taken(_)
            | AtomSays::Half(_)
            | AtomSays::Ready
            | AtomSays::Verified { .. }
            | AtomSays::Agreed { .. }
            | AtomSays::Seal(_)
            | AtomSays::Closed(_)
            | AtomSays::FeedAsk
            | AtomSays::FeedAskWithout(_)
            | AtomSays::Feed(_) => {}
            AtomSays::Open { .. }
            | AtomSays::Halves(_)
            | AtomSays::Verify { .. }
            | AtomSays::Set { .. }
            | AtomSays::Owners { .. }
            | AtomSays::Values(_)
            | AtomSays::Table(_)
            | AtomSays::Ended(_)
                if from != self.closing.leader() =>
            {
                out.push(Output::Fault(Fault { from, contributor: None, wrong: Wrong::Stranger }));
            }
            AtomSays::Open { commitment, .. } => self.on_open(commitment, &mut out),
            AtomSays::Halves(half) => self.on_halves(half, &mut out),
            AtomSays::Verify { report: _, helper_box, shares } => {
                self.on_verify(proven, helper_box, shares, &mut out);
            }
            AtomSays::Set { reports, commitment } => self.on_set(&reports, commitment, &mut out),
            AtomSays::Owners { sums, blind } => self.on_owners(&sums, &blind, &mut out),
            AtomSays::Values(sums) => self.on_values(sums, &mut out),
            AtomSays::Table(signed) => self.on_table(&signed, proven, &mut out),
            AtomSays::Ended(reason) => {
                if self.closed.is_none() {
                    self.end(reason, &mut out);
                }
            }
        }
        out
    }

    /// Takes what came of a [`Work`].
    pub fn on_worked(&mut self, worked: Worked) -> Vec<Output> {
        let mut out = Vec::new();
        let Some(entry) = self.reports.get_mut(&worked.contributor) else { return out };
        if entry.listed.report != worked.report || !matches!(entry.standing, Standing::Working) {
            return out;
        }
        let messages = match worked.made {
            Ok(Made::Verified(messages, addend)) => {
                entry.standing = Standing::Verified { messages: messages.clone(), addend };
                Some(messages)
            }
            Ok(Made::Begun(..)) => unreachable!("rank 2 verifies what rank 1 begins"),
            Err(unsound) => {
                entry.standing = Standing::Refused;
                let contributor = Some(worked.contributor);
                let from = match unsound {
                    Unsound::Sealed => worked.contributor,
                    // Who of the two made it up cannot be told: it came from rank 1.
                    Unsound::Form | Unsound::Proof => self.closing.leader(),
                };
                out.push(Output::Fault(Fault { from, contributor, wrong: Wrong::of(unsound) }));
                None
            }
        };
        self.answer(AtomSays::Verified { report: worked.report, messages }, &mut out);
        out
    }

    /// Takes the signed seal.
    pub fn on_sealed(&mut self, table: Signed, seal: Signed) -> Vec<Output> {
        let mut out = Vec::new();
        if self.exchanged.is_some() && !self.is_over {
            self.answer(AtomSays::Seal(seal.clone()), &mut out);
            let closed = ClosedAtom { table, seal };
            self.closed = Some(Box::new(closed.clone()));
            out.push(Output::Closed(closed));
        }
        out
    }

    /// Says that the [`deadline`](Self::deadline) is past.
    pub fn on_timeout(&mut self, now: Instant) -> Vec<Output> {
        let mut out = Vec::new();
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            match self.closed {
                Some(_) => self.is_over = true,
                None => self.end(AtomReason::Gone, &mut out),
            }
        }
        out
    }

    /// Returns when [`on_timeout`](Self::on_timeout) is to be called; `None` when it is over.
    pub fn deadline(&self) -> Option<Instant> {
        if self.is_over {
            return None;
        }
        Some(match self.window {
            Window::Daily(until) => (self.heard + SILENCE_PATIENCE).max(until + SILENCE_PATIENCE),
            Window::ByHand => self.heard + BY_HAND_WINDOW + SILENCE_PATIENCE,
        })
    }

    fn on_open(&mut self, commitment: Hash, out: &mut Vec<Output>) {
        let is_new = self.record.promised.is_none();
        if *self.record.promised.get_or_insert(commitment) != commitment {
            return self.fail(Wrong::Replay, AtomReason::Replayed, out);
        }
        if is_new {
            out.push(Output::Record(self.record.clone()));
        }
        self.answer(AtomSays::Half(self.record.half), out);
    }

    fn on_halves(&mut self, half: Hash, out: &mut Vec<Output>) {
        let Some(promised) = self.record.promised else { return };
        if half_hash(self.record.atom, self.closing.leader(), &half) != promised {
            return self.fail(Wrong::Commitment, AtomReason::Replayed, out);
        }
        if self.record.other_half.replace(half).is_none() {
            out.push(Output::Record(self.record.clone()));
        }
        self.answer(AtomSays::Ready, out);
    }

    fn on_verify(
        &mut self,
        proven: Option<Proven>,
        helper_box: Bytes,
        shares: Vec<Bytes>,
        out: &mut Vec<Output>,
    ) {
        let from = self.closing.leader();
        let Some(Proven::Report(object)) = proven else {
            return out.push(Output::Fault(Fault { from, contributor: None, wrong: Wrong::Unsigned }));
        };
        // Without a key on disk nothing is verified: rank 1 hears the half again, and begins there.
        let Some(other) = self.record.other_half else { return };
        if let Err(wrong) = self.judge(&object, &helper_box) {
            out.push(Output::Fault(Fault { from, contributor: Some(object.issuer), wrong }));
            return self.answer(AtomSays::Verified { report: object.id, messages: None }, out);
        }
        if self.known(&object, out) {
            return;
        }
        if self.working() >= VERIFYING_MAX {
            let contributor = Some(object.issuer);
            return out.push(Output::Fault(Fault { from, contributor, wrong: Wrong::Crowd }));
        }
        self.begin(&object);
        out.push(Output::Work(Work {
            closing: Arc::clone(&self.closing),
            secret: Arc::clone(&self.secret),
            key: verify_key(self.record.atom, &other, &self.record.half),
            contributor: object.issuer,
            report: object.id,
            sealed: helper_box,
            shares: Some(shares),
        }));
    }

    /// Judges a report by what its contributor signed, and by what came before it.
    fn judge(&self, object: &Object<Report>, helper_box: &Bytes) -> Result<(), Wrong> {
        if !self.closing.is_contributor(&object.issuer) {
            return Err(Wrong::Stranger);
        }
        if helper_box.len() > BOX_BYTES_MAX {
            return Err(Wrong::Form);
        }
        let own = Hash(blake3::hash(helper_box).into());
        if object.body != self.closing.report([object.body.leader_box, own]) {
            return Err(Wrong::Misplaced);
        }
        if self.ids.get(&object.id).is_some_and(|owner| *owner != object.issuer) {
            return Err(Wrong::Replay);
        }
        let is_fixed =
            self.record.set.as_ref().is_some_and(|set| set.reports.binary_search(&object.id).is_err());
        if is_fixed {
            return Err(Wrong::Set);
        }
        match self.reports.get(&object.issuer) {
            Some(entry) if entry.listed.report == object.id && entry.listed.boxes != boxes(object) => {
                Err(Wrong::Replay)
            }
            Some(entry) if entry.listed.report != object.id && entry.count >= REPORTS_EACH_MAX => {
                Err(Wrong::Crowd)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Answers for a report that was judged before; tells whether it was.
    fn known(&self, object: &Object<Report>, out: &mut Vec<Output>) -> bool {
        let same = self.reports.get(&object.issuer).filter(|entry| entry.listed.report == object.id);
        let Some(entry) = same else { return false };
        let messages = match &entry.standing {
            Standing::Working => return true,
            Standing::Verified { messages, .. } => Some(messages.clone()),
            Standing::Refused => None,
        };
        self.answer(AtomSays::Verified { report: object.id, messages }, out);
        true
    }

    /// Notes a report; of one contributor only the newest stands.
    fn begin(&mut self, object: &Object<Report>) {
        let count = self.reports.get(&object.issuer).map_or(0, |entry| entry.count) + 1;
        let listed = Listed { report: object.id, contributor: object.issuer, boxes: boxes(object) };
        self.ids.insert(object.id, object.issuer);
        self.reports.insert(object.issuer, Entry { listed, count, standing: Standing::Working });
    }

    fn working(&self) -> usize {
        self.reports.values().filter(|entry| matches!(entry.standing, Standing::Working)).count()
    }

    fn on_set(&mut self, reports: &[Nonce], theirs: Hash, out: &mut Vec<Output>) {
        if self.record.other_half.is_none() {
            return;
        }
        if !reports.is_sorted_by(|one, next| one < next) {
            return self.fail(Wrong::Form, AtomReason::Invalid, out);
        }
        let Some(set) = self.find(reports) else {
            // What is not here again yet is given again; else rank 1 speaks of what was never verified.
            if !self.is_anew {
                self.fail(Wrong::Set, AtomReason::Disagreed, out);
            }
            return;
        };
        if self.closing.cohort(&set).is_err() {
            return self.fail(Wrong::Set, AtomReason::TooFew, out);
        }
        let hash = set_hash(self.record.atom, self.closing.leader(), self.closing.helper(), &set);
        let recorded = RecordedSet { reports: reports.to_vec(), hash };
        let is_new = self.record.set.is_none();
        if *self.record.set.get_or_insert_with(|| recorded.clone()) != recorded
            || *self.record.commitment.get_or_insert(theirs) != theirs
        {
            return self.fail(Wrong::Replay, AtomReason::Replayed, out);
        }
        if is_new {
            out.push(Output::Record(self.record.clone()));
        }
        let sums = self.sum(&set);
        let commitment = commitment(Rank::Helper, &hash, &sums.owners(), &self.record.blind);
        self.agreed = Some(Agreed { set, sums });
        self.answer(AtomSays::Agreed { set: hash, commitment }, out);
    }

    /// Finds verified reports by their ids; `None` if one is not here.
    fn find(&self, reports: &[Nonce]) -> Option<Vec<Listed>> {
        let find = |report: &Nonce| {
            let entry = self.reports.get(self.ids.get(report)?)?;
            let is_verified = matches!(entry.standing, Standing::Verified { .. });
            (is_verified && entry.listed.report == *report).then_some(entry.listed)
        };
        reports.iter().map(find).collect()
    }

    fn sum(&self, set: &[Listed]) -> Sums {
        let mut sums = Sums::new(self.closing.scheme());
        for listed in set {
            if let Some(Entry { standing: Standing::Verified { addend, .. }, .. }) =
                self.reports.get(&listed.contributor)
            {
                sums.add(addend);
            }
        }
        sums
    }

    fn on_owners(&mut self, theirs: &[Bytes], blind: &Hash, out: &mut Vec<Output>) {
        let (Some(set), Some(committed)) = (&self.record.set, self.record.commitment) else { return };
        if commitment(Rank::Leader, &set.hash, theirs, blind) != committed {
            return self.fail(Wrong::Commitment, AtomReason::Invalid, out);
        }
        let Some(agreed) = &self.agreed else { return };
        let own = agreed.sums.owners();
        let owners = add_owners(&own, theirs, agreed.set.len());
        let opened = owners.and_then(|owners| self.closing.open(&agreed.set, owners).ok_or(Unsound::Proof));
        match opened {
            Ok(opened) => self.opened = Some(opened),
            Err(unsound) => return self.fail(Wrong::of_sums(unsound), AtomReason::Invalid, out),
        }
        self.answer(AtomSays::Owners { sums: own, blind: self.record.blind }, out);
    }

    fn on_values(&mut self, theirs: Vec<Bytes>, out: &mut Vec<Output>) {
        let (Some(agreed), Some(opened)) = (&self.agreed, &self.opened) else { return };
        if self.exchanged.as_ref().is_some_and(|exchanged| exchanged.theirs != theirs) {
            return self.fail(Wrong::Replay, AtomReason::Replayed, out);
        }
        let values = agreed.sums.values(&opened.places);
        let added = add_values(&values, &theirs, opened.cohort.size());
        let table = added.and_then(|added| self.closing.table(opened, &added).ok_or(Unsound::Proof));
        match table {
            Ok(atom) => {
                self.answer(AtomSays::Values(values), out);
                self.exchanged = Some(Exchanged { theirs, atom: Box::new(atom) });
            }
            Err(unsound) => self.fail(Wrong::of_sums(unsound), AtomReason::Invalid, out),
        }
    }

    fn on_table(&mut self, table: &Signed, proven: Option<Proven>, out: &mut Vec<Output>) {
        let from = self.closing.leader();
        let Some(exchanged) = &self.exchanged else { return };
        if let Some(closed) = self.closed.as_ref().filter(|closed| closed.table == *table) {
            return self.answer(AtomSays::Seal(closed.seal.clone()), out);
        }
        let Some(Proven::Table(object)) = proven else {
            return out.push(Output::Fault(Fault { from, contributor: None, wrong: Wrong::Unsigned }));
        };
        if object.issuer != from || object.body != *exchanged.atom {
            return self.fail(Wrong::Table, AtomReason::Disagreed, out);
        }
        out.push(Output::SignSeal(Hash(blake3::hash(&table.bytes).into())));
    }

    fn answer(&self, says: AtomSays, out: &mut Vec<Output>) {
        out.push(Output::Send { to: self.closing.leader(), says });
    }

    fn fail(&mut self, wrong: Wrong, reason: AtomReason, out: &mut Vec<Output>) {
        out.push(Output::Fault(Fault { from: self.closing.leader(), contributor: None, wrong }));
        self.answer(AtomSays::Ended(reason), out);
        self.end(reason, out);
    }

    fn end(&mut self, reason: AtomReason, out: &mut Vec<Output>) {
        self.is_over = true;
        out.push(Output::Ended(reason));
    }
}

fn boxes(object: &Object<Report>) -> [Hash; 2] {
    [object.body.leader_box, object.body.helper_box]
}
