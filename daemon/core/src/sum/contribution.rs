//! A contributor's side of one atom: one report, sealed, signed, given until it is taken.

use std::sync::Arc;
use std::time::Instant;

use karo_protocol::atom::{AtomReason, AtomSays, Report};
use karo_protocol::node::{Hash, Nonce};
use karo_protocol::peer::{Object, Signed};
use karo_protocol::{Bytes, NodeId};

use super::closing::Closing;
use super::{BY_HAND_WINDOW, Fault, GIVE_AGAIN, INVITE_AGAIN, Output, SILENCE_PATIENCE, Window, Wrong};

/// Gives one owner's numbers for one atom.
///
/// Made when rank 1 invited this node, the policy and the ledger allow it, and the day's table is there. It keeps its
/// report until the atom is closed or over, because an aggregator that began anew needs the same again.
#[derive(Debug)]
pub struct Contribution {
    closing: Arc<Closing>,
    report: Nonce,
    boxes: [Bytes; 2],
    window: Window,
    heard: Instant,
    /// Not given again before that.
    held: Instant,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Waits for its signature.
    Signing,
    /// Given, and perhaps not arrived.
    Giving {
        signed: Signed,
        again: Instant,
    },
    /// Taken: said again if asked.
    Taken {
        signed: Signed,
    },
    Over,
}

impl Contribution {
    /// Begins one: shares and seals the numbers of this node's owner.
    ///
    /// `numbers` are the vectors of [`Closing::scheme`] in order, `table` is the hash of the table they are of, and
    /// `report` and `chance` are fresh random bytes.
    ///
    /// # Errors
    ///
    /// To be declined with: [`AtomReason::OtherGroup`] when this node contributes nothing to the group, and
    /// [`AtomReason::Invalid`] when the numbers are not those of such vectors.
    pub fn new(
        closing: Arc<Closing>,
        own: NodeId,
        numbers: &[Vec<u128>],
        table: Hash,
        (report, chance): (Nonce, [u8; 32]),
        (window, now): (Window, Instant),
    ) -> Result<(Self, Vec<Output>), AtomReason> {
        if !closing.is_contributor(&own) {
            return Err(AtomReason::OtherGroup);
        }
        let bound = closing.bound(own, report);
        let boxes =
            closing.scheme().share(&bound, numbers, closing.keys(), &chance).ok_or(AtomReason::Invalid)?;
        let boxes = boxes.map(Bytes);
        let body = closing.report(boxes.each_ref().map(|sealed| Hash(blake3::hash(sealed).into())));
        let contribution =
            Self { closing, report, boxes, window, heard: now, held: now, stage: Stage::Signing };
        Ok((contribution, vec![Output::SignReport { id: report, table, report: body }]))
    }

    /// Begins again after a restart with the report that was [given](AtomSays::Report) before: an atom whose set was
    /// agreed upon closes with the same reports or never. Nothing secret is in it: what is in the boxes is sealed to
    /// others. `object` is what `signed` was found to be.
    ///
    /// # Errors
    ///
    /// To be declined with: [`AtomReason::OtherGroup`] when this node contributes nothing to the group, and
    /// [`AtomReason::Invalid`] when it is the report of another node, of another atom, or of other boxes.
    pub fn again(
        closing: Arc<Closing>,
        own: NodeId,
        (signed, object): (Signed, &Object<Report>),
        boxes: [Bytes; 2],
        (window, now): (Window, Instant),
    ) -> Result<Self, AtomReason> {
        if !closing.is_contributor(&own) {
            return Err(AtomReason::OtherGroup);
        }
        let hashes = boxes.each_ref().map(|sealed| Hash(blake3::hash(sealed).into()));
        if object.issuer != own || object.body != closing.report(hashes) {
            return Err(AtomReason::Invalid);
        }
        let stage = Stage::Giving { signed, again: now };
        Ok(Self { closing, report: object.id, boxes, window, heard: now, held: now, stage })
    }

    /// Takes the signed report, once the ledger is on disk.
    pub fn on_signed(&mut self, signed: Signed, now: Instant) -> Vec<Output> {
        match self.stage {
            Stage::Signing => {
                self.stage = Stage::Giving { signed: signed.clone(), again: now + INVITE_AGAIN };
                vec![self.give(signed, now)]
            }
            Stage::Giving { .. } | Stage::Taken { .. } | Stage::Over => Vec::new(),
        }
    }

    /// Takes what was said of this atom by another node, or by this one: `Invite`, `Taken`, `Ended` and, once the
    /// signatures were verified, `Closed`. It passes over what is not for it.
    pub fn on(&mut self, from: NodeId, says: &AtomSays, now: Instant) -> Vec<Output> {
        if matches!(self.stage, Stage::Over) {
            return Vec::new();
        }
        let is_leader = from == self.closing.leader();
        match says {
            AtomSays::Invite { .. } | AtomSays::Taken(_) if !is_leader => {
                vec![Output::Fault(Fault { from, contributor: None, wrong: Wrong::Stranger })]
            }
            AtomSays::Invite { .. } => {
                self.heard = now;
                self.on_invited(now)
            }
            AtomSays::Taken(_) => {
                self.heard = now;
                self.on_taken()
            }
            AtomSays::Ended(reason) if is_leader => self.end(*reason),
            AtomSays::Closed(_) => {
                self.stage = Stage::Over;
                Vec::new()
            }
            AtomSays::Ended(_)
            | AtomSays::Report { .. }
            | AtomSays::Decline(_)
            | AtomSays::Open { .. }
            | AtomSays::Half(_)
            | AtomSays::Halves(_)
            | AtomSays::Ready
            | AtomSays::Verify { .. }
            | AtomSays::Verified { .. }
            | AtomSays::Set { .. }
            | AtomSays::Agreed { .. }
            | AtomSays::Owners { .. }
            | AtomSays::Values(_)
            | AtomSays::Table(_)
            | AtomSays::Seal(_)
            | AtomSays::FeedAsk
            | AtomSays::FeedAskWithout(_)
            | AtomSays::Feed(_) => Vec::new(),
        }
    }

    /// Says that a link to that node is there.
    pub fn on_connected(&mut self, node: NodeId, now: Instant) -> Vec<Output> {
        if node == self.closing.leader() && matches!(self.stage, Stage::Giving { .. }) {
            return self.on_invited(now);
        }
        Vec::new()
    }

    /// Says that the [`deadline`](Self::deadline) is past.
    pub fn on_timeout(&mut self, now: Instant) -> Vec<Output> {
        if matches!(self.stage, Stage::Over) {
            return Vec::new();
        }
        if now >= self.given_up() {
            return self.end(AtomReason::Gone);
        }
        match &self.stage {
            Stage::Giving { again, .. } if now >= *again => self.on_invited(now),
            Stage::Giving { .. } | Stage::Signing | Stage::Taken { .. } | Stage::Over => Vec::new(),
        }
    }

    /// Returns when [`on_timeout`](Self::on_timeout) is to be called; `None` when it is over.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Giving { again, .. } => Some(self.given_up().min(*again)),
            Stage::Signing | Stage::Taken { .. } => Some(self.given_up()),
            Stage::Over => None,
        }
    }

    /// Returns the id of its report.
    pub const fn report(&self) -> Nonce {
        self.report
    }

    /// Returns what is given with it: sealed to rank 1, and to rank 2.
    pub const fn boxes(&self) -> &[Bytes; 2] {
        &self.boxes
    }

    fn given_up(&self) -> Instant {
        let silent = self.heard + SILENCE_PATIENCE;
        match self.window {
            Window::Daily(until) => silent.max(until + SILENCE_PATIENCE),
            Window::ByHand => self.heard + BY_HAND_WINDOW + SILENCE_PATIENCE,
        }
    }

    /// Gives the report again, but no oftener than [`GIVE_AGAIN`]: a report is large, an invitation is not.
    fn on_invited(&mut self, now: Instant) -> Vec<Output> {
        if now < self.held {
            return Vec::new();
        }
        let signed = match &mut self.stage {
            Stage::Signing | Stage::Over => return Vec::new(),
            Stage::Giving { signed, again } => {
                *again = now + INVITE_AGAIN;
                signed.clone()
            }
            Stage::Taken { signed } => signed.clone(),
        };
        vec![self.give(signed, now)]
    }

    fn on_taken(&mut self) -> Vec<Output> {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Giving { signed, .. } | Stage::Taken { signed } => Stage::Taken { signed },
            Stage::Signing => Stage::Signing,
            Stage::Over => Stage::Over,
        };
        Vec::new()
    }

    fn end(&mut self, reason: AtomReason) -> Vec<Output> {
        self.stage = Stage::Over;
        vec![Output::Ended(reason)]
    }

    fn give(&mut self, report: Signed, now: Instant) -> Output {
        self.held = now + GIVE_AGAIN;
        let [leader_box, helper_box] = self.boxes.clone();
        Output::Send { to: self.closing.leader(), says: AtomSays::Report { report, leader_box, helper_box } }
    }
}
