//! Rank 1: opens an atom, gathers reports, and leads rank 2 from step to step.

mod gathering;

use std::sync::Arc;
use std::time::Instant;

use karo_protocol::atom::{AtomReason, AtomSays, ClosedAtom};
use karo_protocol::node::{Hash, Nonce};
use karo_protocol::peer::Signed;
use karo_protocol::{Bytes, NodeId};

use self::gathering::Gathering;
use super::closing::{Closing, Opened};
use super::record::{AggregatorRecord, Listed, RecordedSet, half_hash, set_hash, verify_key};
use super::seal::SealingSecret;
use super::shares::{Rank, Unsound};
use super::totals::{add_owners, add_values, commitment};
use super::{
    ANSWER_PATIENCE, ASK_AGAIN, BY_HAND_PATIENCE, BY_HAND_WINDOW, Fault, Output, Proven, Window, Worked,
    Wrong,
};

/// How often rank 2 may begin anew in one closing.
const RESTARTS_MAX: u32 = 16;

/// Closes one atom at rank 1.
///
/// It takes `Report`, `Decline`, `Half`, `Ready`, `Verified`, `Agreed`, `Owners`, `Values`, `Seal` and `Ended`, and
/// passes over what is not for it.
pub struct Leader {
    closing: Arc<Closing>,
    secret: Arc<SealingSecret>,
    record: AggregatorRecord,
    window: Window,
    began: Instant,
    stage: Stage,
    question: Option<Question>,
    /// All questions from the set on: rank 2 needs all of them in order when it began anew.
    asked: Vec<AtomSays>,
    /// Rank 2 has said `Half` since it last was ready: it may have begun anew.
    is_anew: bool,
    restarts: u32,
}

/// What rank 2 was asked and did not answer.
struct Question {
    says: AtomSays,
    again: Instant,
    until: Instant,
}

enum Stage {
    /// Waits for the other's half of the key.
    Opening,
    /// Waits until rank 2 has the key.
    Keying,
    /// Gathers reports; `stopped` is when the window was over.
    Gathering {
        gathering: Box<Gathering>,
        stopped: Option<Instant>,
    },
    /// Waits for the same set, and for the hash of rank 2's sums of owners.
    Agreeing {
        gathering: Box<Gathering>,
        set: Vec<Listed>,
    },
    /// Waits for rank 2's sums of owners.
    Comparing {
        gathering: Box<Gathering>,
        set: Vec<Listed>,
    },
    /// Waits for rank 2's sums of visible values.
    Releasing {
        gathering: Box<Gathering>,
        opened: Opened,
    },
    /// Waits for its own signature.
    Signing {
        gathering: Box<Gathering>,
    },
    /// Waits for rank 2's.
    Sealing {
        gathering: Box<Gathering>,
        table: Signed,
    },
    Over,
}

impl Leader {
    /// Opens an atom.
    ///
    /// `record` is what is on disk of it, if this node began it before, and else
    /// [`AggregatorRecord::new`] of fresh random bytes.
    pub fn new(
        closing: Arc<Closing>,
        secret: Arc<SealingSecret>,
        record: AggregatorRecord,
        window: Window,
        now: Instant,
    ) -> (Self, Vec<Output>) {
        let atom = closing.atom();
        let commitment = half_hash(atom, closing.leader(), &record.half);
        let mut out = vec![Output::Record(record.clone())];
        let mut leader = Self {
            closing,
            secret,
            record,
            window,
            began: now,
            stage: Stage::Opening,
            question: None,
            asked: Vec::new(),
            is_anew: false,
            restarts: 0,
        };
        leader.ask(AtomSays::Open { commitment, by_hand: window.is_by_hand() }, now, &mut out);
        (leader, out)
    }

    /// Takes what was said of this atom by another node, or by this one; `proven` is the object in it, once its
    /// signature was verified.
    pub fn on(&mut self, from: NodeId, says: AtomSays, proven: Option<Proven>, now: Instant) -> Vec<Output> {
        let mut out = Vec::new();
        match says {
            AtomSays::Report { report, leader_box, helper_box } => {
                self.on_report(from, (report, proven), [leader_box, helper_box], now, &mut out);
            }
            AtomSays::Decline(reason) => {
                if let Stage::Gathering { gathering, .. } = &mut self.stage {
                    gathering.on_decline(from, reason, now, &mut out);
                }
            }
            AtomSays::Invite { .. }
            | AtomSays::Taken(_)
            | AtomSays::Open { .. }
            | AtomSays::Halves(_)
            | AtomSays::Verify { .. }
            | AtomSays::Set { .. }
            | AtomSays::Table(_)
            | AtomSays::Closed(_)
            | AtomSays::FeedAsk
            | AtomSays::FeedAskWithout(_)
            | AtomSays::Feed(_) => return out,
            AtomSays::Half(_)
            | AtomSays::Ready
            | AtomSays::Verified { .. }
            | AtomSays::Agreed { .. }
            | AtomSays::Owners { .. }
            | AtomSays::Values(_)
            | AtomSays::Seal(_)
            | AtomSays::Ended(_) => self.on_helper(from, says, proven, now, &mut out),
        }
        self.go_on(now, &mut out);
        out
    }

    /// Takes what came of a [`Work`](super::Work).
    pub fn on_worked(&mut self, worked: Worked, now: Instant) -> Vec<Output> {
        let mut out = Vec::new();
        if let Stage::Gathering { gathering, .. } = &mut self.stage {
            gathering.on_worked(worked, now, &mut out);
        }
        self.go_on(now, &mut out);
        out
    }

    /// Takes the signed table.
    pub fn on_signed(&mut self, table: Signed, now: Instant) -> Vec<Output> {
        let mut out = Vec::new();
        if !matches!(self.stage, Stage::Signing { .. }) {
            return out;
        }
        self.ask(AtomSays::Table(table.clone()), now, &mut out);
        if let Stage::Signing { gathering } = std::mem::replace(&mut self.stage, Stage::Over) {
            self.stage = Stage::Sealing { gathering, table };
        }
        out
    }

    /// Says that a link to that node is there: what it was asked or invited to is said again.
    pub fn on_connected(&mut self, node: NodeId, now: Instant) -> Vec<Output> {
        let mut out = Vec::new();
        if node == self.closing.helper() {
            if let Some(question) = &mut self.question {
                question.again = now;
            }
            if let Some(gathering) = self.stage.gathering_mut() {
                gathering.hurry(now);
            }
        }
        if let Stage::Gathering { gathering, .. } = &mut self.stage {
            gathering.on_connected(node);
        }
        self.go_on(now, &mut out);
        out
    }

    /// Says that the [`deadline`](Self::deadline) is past.
    pub fn on_timeout(&mut self, now: Instant) -> Vec<Output> {
        let mut out = Vec::new();
        self.go_on(now, &mut out);
        out
    }

    /// Returns when [`on_timeout`](Self::on_timeout) is to be called; `None` when it is over or waits for this node.
    pub fn deadline(&self) -> Option<Instant> {
        let question = self.question.as_ref().map(|question| question.again.min(question.until));
        let gathering = match &self.stage {
            Stage::Gathering { gathering, stopped } => {
                let end = stopped.map_or_else(
                    || window_ends(self.window, self.began, gathering),
                    |stopped| stopped + ANSWER_PATIENCE,
                );
                Some(gathering.deadline().map_or(end, |again| again.min(end)))
            }
            Stage::Agreeing { gathering, .. }
            | Stage::Comparing { gathering, .. }
            | Stage::Releasing { gathering, .. }
            | Stage::Signing { gathering, .. }
            | Stage::Sealing { gathering, .. } => gathering.deadline(),
            Stage::Opening | Stage::Keying | Stage::Over => None,
        };
        question.into_iter().chain(gathering).min()
    }

    fn on_report(
        &mut self,
        from: NodeId,
        (signed, proven): (Signed, Option<Proven>),
        boxes: [Bytes; 2],
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        let Some(Proven::Report(object)) = proven else {
            return out.push(fault(from, Wrong::Unsigned));
        };
        // Before the key is there a report is too early: its contributor is invited in its turn.
        if let Some(gathering) = self.stage.gathering_mut() {
            gathering.on_report(from, (&object, signed), boxes, now, out);
        }
    }

    fn on_helper(
        &mut self,
        from: NodeId,
        says: AtomSays,
        proven: Option<Proven>,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        if from != self.closing.helper() {
            // What this node tells its own contribution is heard here too.
            if from != self.closing.leader() {
                out.push(fault(from, Wrong::Stranger));
            }
            return;
        }
        match says {
            AtomSays::Half(half) => self.on_half(half, now, out),
            AtomSays::Ready => self.on_ready(now, out),
            AtomSays::Verified { report, messages } => {
                self.on_verified(report, messages.as_deref(), now, out);
            }
            AtomSays::Agreed { set, commitment } => self.on_agreed(set, commitment, now, out),
            AtomSays::Owners { sums, blind } => self.on_owners(&sums, &blind, now, out),
            AtomSays::Values(sums) => self.on_values(&sums, out),
            AtomSays::Seal(signed) => self.on_seal(signed, proven, out),
            AtomSays::Ended(reason) => {
                if !matches!(self.stage, Stage::Over) {
                    self.end(reason, out);
                }
            }
            AtomSays::Invite { .. }
            | AtomSays::Report { .. }
            | AtomSays::Decline(_)
            | AtomSays::Taken(_)
            | AtomSays::Open { .. }
            | AtomSays::Halves(_)
            | AtomSays::Verify { .. }
            | AtomSays::Set { .. }
            | AtomSays::Table(_)
            | AtomSays::Closed(_)
            | AtomSays::FeedAsk
            | AtomSays::FeedAskWithout(_)
            | AtomSays::Feed(_) => {}
        }
    }

    fn on_half(&mut self, half: Hash, now: Instant, out: &mut Vec<Output>) {
        if matches!(self.stage, Stage::Over) {
            return;
        }
        if *self.record.other_half.get_or_insert(half) != half {
            return self.fail(Wrong::Replay, AtomReason::Replayed, out);
        }
        let says = AtomSays::Halves(self.record.half);
        if matches!(self.stage, Stage::Opening) {
            out.push(Output::Record(self.record.clone()));
            self.stage = Stage::Keying;
            self.ask(says, now, out);
        } else if self.restarts < RESTARTS_MAX {
            self.is_anew = true;
            out.push(Output::Send { to: self.closing.helper(), says });
        }
    }

    fn on_ready(&mut self, now: Instant, out: &mut Vec<Output>) {
        match &mut self.stage {
            Stage::Keying => self.gather(now),
            Stage::Gathering { gathering, .. }
            | Stage::Agreeing { gathering, .. }
            | Stage::Comparing { gathering, .. }
            | Stage::Releasing { gathering, .. }
            | Stage::Signing { gathering, .. }
            | Stage::Sealing { gathering, .. }
                if self.is_anew =>
            {
                gathering.recheck(now);
                self.is_anew = false;
                self.restarts += 1;
                self.prolong(now);
            }
            Stage::Gathering { .. }
            | Stage::Agreeing { .. }
            | Stage::Comparing { .. }
            | Stage::Releasing { .. }
            | Stage::Signing { .. }
            | Stage::Sealing { .. }
            | Stage::Opening
            | Stage::Over => {}
        }
        self.go_on(now, out);
    }

    fn gather(&mut self, now: Instant) {
        let Some(other) = self.record.other_half else { return };
        let key = verify_key(self.record.atom, &self.record.half, &other);
        let wanted = self.record.set.as_ref().map(|set| set.reports.as_slice());
        let by_hand = self.window.is_by_hand();
        let gathering = Gathering::new(&self.closing, &self.secret, key, wanted, (by_hand, now));
        self.began = now;
        self.question = None;
        self.asked.clear();
        self.stage = Stage::Gathering { gathering: Box::new(gathering), stopped: None };
    }

    fn on_verified(
        &mut self,
        report: Nonce,
        messages: Option<&[Bytes]>,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        let Some(gathering) = self.stage.gathering_mut() else { return };
        match gathering.on_verified(report, messages, now, out) {
            Ok(()) => self.prolong(now),
            Err(reason) => self.fail(Wrong::Set, reason, out),
        }
    }

    fn on_agreed(&mut self, set: Hash, theirs: Hash, now: Instant, out: &mut Vec<Output>) {
        if matches!(self.stage, Stage::Opening | Stage::Keying | Stage::Gathering { .. } | Stage::Over) {
            return;
        }
        if self.record.set.as_ref().is_some_and(|own| own.hash != set) {
            return self.fail(Wrong::Set, AtomReason::Disagreed, out);
        }
        if *self.record.commitment.get_or_insert(theirs) != theirs {
            return self.fail(Wrong::Replay, AtomReason::Replayed, out);
        }
        let Stage::Agreeing { gathering, .. } = &self.stage else { return };
        let sums = gathering.sums().owners();
        out.push(Output::Record(self.record.clone()));
        self.ask(AtomSays::Owners { sums, blind: self.record.blind }, now, out);
        if let Stage::Agreeing { gathering, set } = std::mem::replace(&mut self.stage, Stage::Over) {
            self.stage = Stage::Comparing { gathering, set };
        }
    }

    fn on_owners(&mut self, sums: &[Bytes], blind: &Hash, now: Instant, out: &mut Vec<Output>) {
        let Stage::Comparing { gathering, set } = &self.stage else { return };
        let (Some(own), Some(committed)) = (&self.record.set, self.record.commitment) else { return };
        if commitment(Rank::Helper, &own.hash, sums, blind) != committed {
            return self.fail(Wrong::Commitment, AtomReason::Invalid, out);
        }
        let owners = add_owners(&gathering.sums().owners(), sums, set.len());
        let opened = owners.and_then(|owners| self.closing.open(set, owners).ok_or(Unsound::Proof));
        let opened = match opened {
            Ok(opened) => opened,
            Err(unsound) => return self.fail(Wrong::of_sums(unsound), AtomReason::Invalid, out),
        };
        let values = gathering.sums().values(&opened.places);
        if let Stage::Comparing { gathering, .. } = std::mem::replace(&mut self.stage, Stage::Over) {
            self.stage = Stage::Releasing { gathering, opened };
        }
        self.ask(AtomSays::Values(values), now, out);
    }

    fn on_values(&mut self, sums: &[Bytes], out: &mut Vec<Output>) {
        let Stage::Releasing { gathering, opened } = &self.stage else { return };
        let own = gathering.sums().values(&opened.places);
        let values = add_values(&own, sums, opened.cohort.size());
        let table = values.and_then(|values| self.closing.table(opened, &values).ok_or(Unsound::Proof));
        let atom = match table {
            Ok(atom) => atom,
            Err(unsound) => return self.fail(Wrong::of_sums(unsound), AtomReason::Invalid, out),
        };
        out.push(Output::Sign(atom));
        if let Stage::Releasing { gathering, .. } = std::mem::replace(&mut self.stage, Stage::Over) {
            self.stage = Stage::Signing { gathering };
        }
    }

    fn on_seal(&mut self, seal: Signed, proven: Option<Proven>, out: &mut Vec<Output>) {
        let Stage::Sealing { table, .. } = &self.stage else { return };
        let Some(Proven::Seal(object)) = proven else {
            return out.push(fault(self.closing.helper(), Wrong::Unsigned));
        };
        let sealed = Hash(blake3::hash(&table.bytes).into());
        if object.issuer != self.closing.helper() || object.body.atom != sealed {
            return out.push(fault(self.closing.helper(), Wrong::Table));
        }
        let table = table.clone();
        self.question = None;
        self.stage = Stage::Over;
        out.push(Output::Closed(ClosedAtom { table, seal }));
    }

    /// Does what time, or what was just heard, allows.
    fn go_on(&mut self, now: Instant, out: &mut Vec<Output>) {
        if let Some(gathering) = self.stage.gathering_mut() {
            gathering.go_on(now, out);
        }
        self.stop_gathering(now);
        self.agree(now, out);
        self.ask_again(now, out);
    }

    fn stop_gathering(&mut self, now: Instant) {
        let Stage::Gathering { gathering, stopped } = &mut self.stage else { return };
        let ends = window_ends(self.window, self.began, gathering);
        if stopped.is_none() && (now >= ends || gathering.is_complete()) {
            gathering.stop();
            *stopped = Some(now);
        }
    }

    /// Proposes the set, once all that came is verified.
    fn agree(&mut self, now: Instant, out: &mut Vec<Output>) {
        let Stage::Gathering { gathering, stopped: Some(stopped) } = &mut self.stage else { return };
        let is_busy = gathering.is_busy();
        if is_busy && now < *stopped + ANSWER_PATIENCE {
            return;
        }
        let set = gathering.set();
        if is_busy && (gathering.is_rechecking() || self.closing.cohort(&set).is_err()) {
            return self.end(AtomReason::Gone, out);
        }
        gathering.forget_pending();
        if self.closing.cohort(&set).is_err() {
            return self.end(AtomReason::TooFew, out);
        }
        let hash = set_hash(self.record.atom, self.closing.leader(), self.closing.helper(), &set);
        let reports: Vec<Nonce> = set.iter().map(|listed| listed.report).collect();
        let recorded = RecordedSet { reports: reports.clone(), hash };
        if *self.record.set.get_or_insert_with(|| recorded.clone()) != recorded {
            // Some of the reports that were agreed upon did not come again.
            return self.end(AtomReason::Gone, out);
        }
        out.push(Output::Record(self.record.clone()));
        let commitment = commitment(Rank::Leader, &hash, &gathering.sums().owners(), &self.record.blind);
        if let Stage::Gathering { gathering, .. } = std::mem::replace(&mut self.stage, Stage::Over) {
            self.stage = Stage::Agreeing { gathering, set };
        }
        self.ask(AtomSays::Set { reports, commitment }, now, out);
    }

    fn ask_again(&mut self, now: Instant, out: &mut Vec<Output>) {
        let is_rechecking = self.stage.gathering_mut().is_some_and(|gathering| gathering.is_rechecking());
        let Some(question) = &mut self.question else { return };
        if now >= question.until {
            return self.end(AtomReason::Gone, out);
        }
        if now >= question.again {
            question.again = now + ASK_AGAIN;
            // Rank 2 cannot answer before it knows the reports again.
            if !is_rechecking {
                let to = self.closing.helper();
                let before = self.asked.iter().filter(|_| self.restarts > 0);
                let all = before.chain(std::iter::once(&question.says));
                out.extend(all.map(|says| Output::Send { to, says: says.clone() }));
            }
        }
    }

    fn ask(&mut self, says: AtomSays, now: Instant, out: &mut Vec<Output>) {
        out.push(Output::Send { to: self.closing.helper(), says: says.clone() });
        if let (Some(before), Some(_)) = (&mut self.question, &self.record.set) {
            self.asked.push(std::mem::replace(&mut before.says, says.clone()));
        }
        self.question = Some(Question { says, again: now + ASK_AGAIN, until: self.patience(now) });
    }

    /// Rank 2 shows life: what it was asked may take longer.
    fn prolong(&mut self, now: Instant) {
        let until = self.patience(now);
        if let Some(question) = &mut self.question {
            question.until = question.until.max(until);
        }
    }

    fn patience(&self, now: Instant) -> Instant {
        let patience = now + ANSWER_PATIENCE;
        match self.window {
            Window::Daily(until) => patience.max(until),
            Window::ByHand => patience,
        }
    }

    fn fail(&mut self, wrong: Wrong, reason: AtomReason, out: &mut Vec<Output>) {
        out.push(fault(self.closing.helper(), wrong));
        self.end(reason, out);
    }

    fn end(&mut self, reason: AtomReason, out: &mut Vec<Output>) {
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        self.question = None;
        let given: Vec<NodeId> =
            stage.gathering().map(|gathering| gathering.given().collect()).unwrap_or_default();
        for to in std::iter::once(self.closing.helper()).chain(given) {
            out.push(Output::Send { to, says: AtomSays::Ended(reason) });
        }
        out.push(Output::Ended(reason));
    }
}

impl Stage {
    fn gathering(&self) -> Option<&Gathering> {
        match self {
            Self::Gathering { gathering, .. }
            | Self::Agreeing { gathering, .. }
            | Self::Comparing { gathering, .. }
            | Self::Releasing { gathering, .. }
            | Self::Signing { gathering, .. }
            | Self::Sealing { gathering, .. } => Some(gathering),
            Self::Opening | Self::Keying | Self::Over => None,
        }
    }

    fn gathering_mut(&mut self) -> Option<&mut Gathering> {
        match self {
            Self::Gathering { gathering, .. }
            | Self::Agreeing { gathering, .. }
            | Self::Comparing { gathering, .. }
            | Self::Releasing { gathering, .. }
            | Self::Signing { gathering, .. }
            | Self::Sealing { gathering, .. } => Some(gathering),
            Self::Opening | Self::Keying | Self::Over => None,
        }
    }
}

fn window_ends(window: Window, began: Instant, gathering: &Gathering) -> Instant {
    match window {
        Window::Daily(until) => until,
        Window::ByHand => (gathering.answered() + BY_HAND_PATIENCE).min(began + BY_HAND_WINDOW),
    }
}

fn fault(from: NodeId, wrong: Wrong) -> Output {
    Output::Fault(Fault { from, contributor: None, wrong })
}
