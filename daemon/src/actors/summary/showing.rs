//! What people ask: own summaries, those that were sent or received, those of a peer now, and what would go to one.

use std::time::Duration;

use actix::{ActorFutureExt, Handler, ResponseActFuture, WrapFuture};
use karo_core::calendar;
use karo_core::policy::{covers, kept_back};
use karo_core::rollup::Rollup;
use karo_core::summary::days_before;
use karo_protocol::answer::{Status, SummaryAsk, SummaryOf, SummaryRow};
use karo_protocol::local::{Failure, FailureCode};
use karo_protocol::policy::{PolicyPreview, PreviewedObject};
use karo_protocol::summary::{Period, Summary, SummaryId, SummaryTalk};
use karo_protocol::{NodeId, Timestamp};
use karo_trust::object;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::actor::{SummaryActor, failure};
use super::kept::{Record, Shelf};
use super::making::{Between, Due, Maker, Wanted};
use super::messages::{Ask, Preview};
use crate::actors::store::RolledUp;
use crate::clock;

/// How long a peer may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Questions of people to peers that may be under way.
const ASKED_MAX: usize = 16;

/// Days of own summaries that are shown when nobody says how many.
const DAYS_UNLESS_SAID: u64 = 7;

/// Bytes of the objects in one preview, and what they decode to: both go in one frame.
const PREVIEW_BYTES_MAX: usize = 256 << 10;

/// Values of the summaries in one preview, so that a frame may hold them.
const PREVIEW_ITEMS_MAX: usize = 48_000;

/// A question of a person to a peer.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) of: NodeId,
    pub(super) found: Vec<SummaryId>,
    pub(super) status: Option<Status>,
    pub(super) is_over: bool,
    sender: oneshot::Sender<Found>,
}

/// What a peer answered.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) ids: Vec<SummaryId>,
    pub(super) status: Option<Status>,
}

impl Asked {
    /// Tells the person, who may have left.
    pub(super) fn done(self, found: Found) {
        drop(self.sender.send(found));
    }
}

/// Which summaries a person asked for.
#[derive(Debug, Clone)]
struct Range {
    periods: Vec<Period>,
    since: Timestamp,
    until: Timestamp,
}

impl Range {
    fn has(&self, id: &SummaryId) -> bool {
        self.periods.contains(&id.period) && id.start >= self.since && id.start < self.until
    }
}

type Rows = Result<Vec<SummaryRow>, Failure>;

impl SummaryActor {
    /// Shows what is on a shelf, of one peer or of all.
    fn kept_rows<T: Record>(
        &self,
        shelf: &Shelf<T>,
        peer: Option<&str>,
        range: &Range,
        row: impl Fn(&T) -> (Timestamp, bool),
    ) -> Rows {
        let peers = match peer {
            Some(name) => vec![self.find(name)?],
            None => shelf.peers(),
        };
        let mut rows = Vec::new();
        for node in peers.iter().filter(|node| self.sources.roster.read().peer(node).is_some()) {
            let name = self.name_of(node);
            for (_, record) in shelf.of(node).filter(|(id, _)| range.has(id)) {
                let (at, is_taken) = row(record);
                if let Ok(object) = object::read::<Summary>(record.signed(), None) {
                    rows.push(SummaryRow {
                        peer: Some(name.clone()),
                        at: Some(at),
                        is_taken,
                        summary: object.body,
                    });
                }
            }
        }
        rows.sort_by(|one, other| {
            let order = |row: &SummaryRow| (row.summary.end, row.summary.period);
            order(one).cmp(&order(other)).then_with(|| one.peer.cmp(&other.peer))
        });
        Ok(rows)
    }

    /// Shows own summaries, as they would be told to nobody in particular.
    fn own_rows(&self, range: &Range) -> ResponseActFuture<Self, Rows> {
        let now = clock::now();
        let since = range.since.max(days_before(now, 366));
        let range = range.clone();
        let from = self.since(since, now);
        let rolled_up = self.sources.rolled_up.send(RolledUp { since: from, until: now }).into_actor(self);
        Box::pin(rolled_up.map(move |rollup, actor, _| {
            let rollup = rolled(rollup.ok().flatten())?;
            let zone = Self::zone(from, now);
            let kept_back = kept_back(&actor.policy);
            let mut maker = Maker::new(&rollup, &zone, now);
            let mut rows = Vec::new();
            for period in &range.periods {
                for span in calendar::spans(&zone, *period, since, now.min(range.until)) {
                    let (summary, _) = maker.summary(kept_back, *period, span, None);
                    if summary.total.count > 0 {
                        rows.push(SummaryRow { peer: None, at: None, is_taken: false, summary });
                    }
                }
            }
            rows.sort_by_key(|row| (row.summary.end, row.summary.period));
            Ok(rows)
        }))
    }

    /// Asks a peer for its own.
    fn rows_from(&mut self, peer: &str, range: Range) -> ResponseActFuture<Self, Rows> {
        let (sender, answered) = oneshot::channel();
        let asked = self.find(peer).and_then(|of| {
            if !self.linked.contains(&of) {
                let message = format!("there is no link to {peer}; `karoctl peers show {peer}` says why");
                return Err(failure(FailureCode::Refused, message));
            }
            if self.asked.len() >= ASKED_MAX {
                return Err(failure(FailureCode::Busy, "too many questions to peers are under way"));
            }
            Ok(of)
        });
        let of = match asked {
            Ok(of) => of,
            Err(failure) => return Box::pin(async { Err(failure) }.into_actor(self)),
        };
        let id = self.next_question;
        self.next_question += 1;
        self.asked.insert(id, Asked { of, found: Vec::new(), status: None, is_over: false, sender });
        let Range { periods, since, until } = range;
        self.say(of, SummaryTalk::Ask { id, since, until, periods });
        let answered = async move { timeout(PATIENCE, answered).await }.into_actor(self);
        let name = peer.to_owned();
        Box::pin(answered.map(move |answered, actor, _| {
            actor.asked.remove(&id);
            let Ok(Ok(found)) = answered else {
                return Err(failure(FailureCode::Busy, format!("{name} did not answer within 2 s")));
            };
            actor.found_rows(&name, of, &found)
        }))
    }

    fn found_rows(&self, name: &str, of: NodeId, found: &Found) -> Rows {
        match found.status {
            Some(Status::Success | Status::NoData) => {}
            Some(Status::AccessDenied) => {
                let message = format!("{name} does not tell its summaries to this machine");
                return Err(failure(FailureCode::Refused, message));
            }
            Some(Status::NotSupported | Status::Error | Status::NoResponse) | None => {
                return Err(failure(FailureCode::Busy, format!("{name} could not answer; try again")));
            }
        }
        let everything =
            Range { periods: Period::ALL.to_vec(), since: Timestamp::MIN, until: Timestamp::MAX };
        let all: Vec<SummaryRow> = {
            let node = of.to_string();
            self.kept_rows(&self.received, Some(&node), &everything, |received| (received.at, true))?
        };
        let is_found = |row: &SummaryRow| {
            let id = SummaryId { period: row.summary.period, start: row.summary.start };
            found.ids.contains(&id)
        };
        Ok(all.into_iter().filter(is_found).collect())
    }

    /// Returns what would go to a peer now, and what when the periods that have begun are over.
    fn previewed(
        &self,
        node: NodeId,
        rollup: &Rollup,
        (since, now): (Timestamp, Timestamp),
    ) -> PolicyPreview {
        let peer = self.name_of(&node);
        let nothing = |because: String| PolicyPreview {
            peer: peer.clone(),
            nothing_because: Some(because),
            objects: Vec::new(),
        };
        let Some((reason, _, kept_back)) = self.decided(&node) else {
            return nothing(format!("{peer} is no peer"));
        };
        let Some(own) = self.own.as_ref().filter(|_| reason.is_allowed) else {
            let is_silent = self.own.is_none().then(|| "this machine has no identity".to_owned());
            return nothing(is_silent.unwrap_or(reason.rule));
        };
        let zone = Self::zone(since, now);
        let mut maker = Maker::new(rollup, &zone, now);
        let between = Between { own, to: node, kept_back };
        let wanted = Wanted { periods: Period::ALL, since, until: now, is_asked: false };
        let due = maker.due(between, &self.sent, wanted);
        let again = self.sent.of(&node).filter(|(id, sent)| {
            let is_replaced = due.iter().any(|one| one.id == **id);
            !sent.is_taken && !is_replaced && covers(sent.kept_back, kept_back)
        });
        let again = again.filter_map(|(_, sent)| {
            let summary = object::read::<Summary>(&sent.signed, None).ok()?.body;
            Some(PreviewedObject { goes_at: now, summary, bytes: sent.signed.bytes.clone() })
        });
        let shown = |one: Due, goes_at| PreviewedObject {
            goes_at,
            summary: one.summary,
            bytes: one.sent.signed.bytes,
        };
        let mut objects: Vec<PreviewedObject> = again.collect();
        objects.extend(due.into_iter().map(|one| shown(one, now)));
        objects.sort_by_key(|one| (one.summary.end, one.summary.period, one.summary.start));
        let unfinished = maker.unfinished(between, &self.sent);
        objects.extend(unfinished.into_iter().map(|one| {
            let end = one.sent.end;
            shown(one, end)
        }));
        let nothing_because =
            objects.is_empty().then(|| format!("{peer} has everything that there is to tell"));
        PolicyPreview { peer, nothing_because, objects: newest_that_fit(objects) }
    }
}

/// Leaves out the oldest of what one frame cannot hold.
fn newest_that_fit(mut objects: Vec<PreviewedObject>) -> Vec<PreviewedObject> {
    let (mut bytes, mut items) = (0, 0);
    let fits = |one: &&PreviewedObject| {
        let summary = &one.summary;
        bytes += one.bytes.0.len();
        items += 64
            + summary.categories.len() * 6
            + summary.tools.len() * 8
            + summary.risks.iter().flatten().count() * 4;
        bytes <= PREVIEW_BYTES_MAX && items <= PREVIEW_ITEMS_MAX
    };
    let fitting = objects.iter().rev().take_while(fits).count();
    objects.drain(..objects.len() - fitting);
    objects
}

fn rolled(rollup: Option<Rollup>) -> Result<Rollup, Failure> {
    rollup.ok_or_else(|| failure(FailureCode::Busy, "the roll-ups are being made; try again in a moment"))
}

impl Handler<Ask> for SummaryActor {
    type Result = ResponseActFuture<Self, Rows>;

    fn handle(
        &mut self,
        Ask(SummaryAsk { of, periods, since, until }): Ask,
        ctx: &mut Self::Context,
    ) -> Self::Result {
        // Nobody is shown what was to be dropped.
        self.forget(ctx);
        let periods = if periods.is_empty() { Period::ALL.to_vec() } else { periods };
        let range =
            Range { periods, since: since.unwrap_or(Timestamp::MIN), until: until.unwrap_or(Timestamp::MAX) };
        let lately = since.unwrap_or_else(|| days_before(clock::now(), DAYS_UNLESS_SAID));
        let rows = match of {
            SummaryOf::Own => return self.own_rows(&Range { since: lately, ..range }),
            SummaryOf::From(peer) => return self.rows_from(&peer, Range { since: lately, ..range }),
            SummaryOf::Sent(peer) => {
                self.kept_rows(&self.sent, peer.as_deref(), &range, |sent| (sent.at, sent.is_taken))
            }
            SummaryOf::Received(peer) => {
                self.kept_rows(&self.received, peer.as_deref(), &range, |received| (received.at, true))
            }
        };
        Box::pin(async { rows }.into_actor(self))
    }
}

impl Handler<Preview> for SummaryActor {
    type Result = ResponseActFuture<Self, Result<Box<PolicyPreview>, Failure>>;

    fn handle(&mut self, Preview(peer): Preview, _: &mut Self::Context) -> Self::Result {
        let node = match self.find(&peer) {
            Ok(node) => node,
            Err(failure) => return Box::pin(async { Err(failure) }.into_actor(self)),
        };
        let now = clock::now();
        let since = self.since(Timestamp::MIN, now);
        let rolled_up = self.sources.rolled_up.send(RolledUp { since, until: now }).into_actor(self);
        Box::pin(rolled_up.map(move |rollup, actor, _| {
            let rollup = rolled(rollup.ok().flatten())?;
            Ok(Box::new(actor.previewed(node, &rollup, (since, now))))
        }))
    }
}
