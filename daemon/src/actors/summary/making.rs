//! What is due to a peer, and its exact bytes: a function of the roll-up, the policy and what was made before.
//!
//! Nothing of an object is drawn: its id is a hash of what it is, and its times are those of its period. So what a
//! preview shows is what is sent, to the byte, and what is made twice is the same.

use std::collections::BTreeMap;

use karo_core::calendar::{self, Span};
use karo_core::rollup::Rollup;
use karo_core::summary::{days_before, first_told_within_days, kept_days, summarize, version_of};
use karo_protocol::category::CategorySet;
use karo_protocol::node::{Hash, Nonce};
use karo_protocol::peer::Signed;
use karo_protocol::query::Zone;
use karo_protocol::summary::{Period, Summary, SummaryId};
use karo_protocol::{Micros, NodeId, Timestamp};
use karo_trust::identity::Identity;
use karo_trust::object;

use super::kept::{Sent, Shelf};

/// What the id of an object is derived with.
const ID_CONTEXT: &str = "karo 2026-11 id of a summary";

/// Makes summaries of a roll-up, each once for each set of what is kept back.
pub(super) struct Maker<'a> {
    rollup: &'a Rollup,
    zone: &'a Zone,
    now: Timestamp,
    made: BTreeMap<(CategorySet, Period, Span), (Summary, Hash)>,
}

/// Which summaries are wanted: those that begin in a time, which the roll-up covers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Of these periods.
    pub(super) periods: &'a [Period],
    /// Beginning not before.
    pub(super) since: Timestamp,
    /// Beginning before.
    pub(super) until: Timestamp,
    /// Whether the peer asked for them; otherwise what was over long ago is not told for the first time.
    pub(super) is_asked: bool,
}

/// For whom, by whom.
#[derive(Clone, Copy)]
pub(super) struct Between<'a> {
    /// This machine.
    pub(super) own: &'a Identity,
    /// The peer.
    pub(super) to: NodeId,
    /// What is kept back from it.
    pub(super) kept_back: CategorySet,
}

/// A summary to be kept, and then told.
#[derive(Debug, Clone)]
pub(super) struct Due {
    /// Which.
    pub(super) id: SummaryId,
    /// What it says.
    pub(super) summary: Summary,
    /// As it is kept.
    pub(super) sent: Sent,
    /// Whether the peer was not told this before.
    pub(super) is_news: bool,
}

impl<'a> Maker<'a> {
    /// Makes them of a roll-up, in a time zone, at this moment.
    pub(super) const fn new(rollup: &'a Rollup, zone: &'a Zone, now: Timestamp) -> Self {
        Self { rollup, zone, now, made: BTreeMap::new() }
    }

    /// Returns what is told of a period, in version 0, and the digest of that.
    pub(super) fn summary(
        &mut self,
        kept_back: CategorySet,
        period: Period,
        span: Span,
        offset_s: Option<i32>,
    ) -> (Summary, Hash) {
        let (rollup, zone) = (self.rollup, self.zone);
        let made = self.made.entry((kept_back, period, span)).or_insert_with(|| {
            // A period that was told in another zone keeps its own.
            let is_other = |offset: &i32| {
                zone.offset_seconds(span.start) != *offset
                    || calendar::span_of(zone, period, span.start) != span
            };
            let fixed =
                offset_s.filter(is_other).map(|offset| Zone { steps: vec![(Timestamp::MIN, offset)] });
            let summary = summarize(rollup, (period, span), fixed.as_ref().unwrap_or(zone), kept_back);
            let bytes = rmp_serde::to_vec(&summary).expect("a summary in memory can be written");
            let digest = Hash(blake3::hash(&bytes).into());
            (summary, digest)
        });
        made.clone()
    }

    /// Returns what is new for a peer, the oldest first: periods that were not told, and those that say something else
    /// than what was told.
    pub(super) fn due(&mut self, between: Between<'_>, sent: &Shelf<Sent>, wanted: Wanted<'_>) -> Vec<Due> {
        let mut due = Vec::new();
        for period in wanted.periods {
            for (span, offset) in self.spans(between.to, sent, *period, wanted) {
                due.extend(self.made_anew(between, sent, *period, span, offset));
            }
        }
        due.sort_by_key(|one: &Due| (one.sent.end, one.id));
        due
    }

    /// Returns what the periods that are not over yet would say if they ended as they are.
    pub(super) fn unfinished(&mut self, between: Between<'_>, sent: &Shelf<Sent>) -> Vec<Due> {
        let spans =
            Period::ALL.iter().map(|period| (*period, calendar::span_of(self.zone, *period, self.now)));
        let spans: Vec<(Period, Span)> = spans.collect();
        spans
            .into_iter()
            .filter_map(|(period, span)| self.made_anew(between, sent, period, span, None))
            .collect()
    }

    fn made_anew(
        &mut self,
        between: Between<'_>,
        sent: &Shelf<Sent>,
        period: Period,
        span: Span,
        offset_s: Option<i32>,
    ) -> Option<Due> {
        let id = SummaryId { period, start: span.start };
        let before = sent.at(&between.to, &id);
        let (summary, digest) = self.summary(between.kept_back, period, span, offset_s);
        match version_of(before.map(Sent::told), digest, &summary) {
            Some(version) => {
                let summary = Summary { version, ..summary };
                let signed = sign(between, &summary, digest);
                let sent = Sent {
                    version,
                    digest,
                    end: span.end,
                    offset_s: summary.offset_s,
                    kept_back: between.kept_back,
                    at: self.now,
                    is_taken: false,
                    signed,
                };
                Some(Due { id, summary, sent, is_news: true })
            }
            // It says the same under what is kept back by now, so it may still go as it is.
            None => before.filter(|before| !before.is_taken && before.kept_back != between.kept_back).map(
                |before| {
                    let sent = Sent { kept_back: between.kept_back, ..before.clone() };
                    Due { id, summary: Summary { version: before.version, ..summary }, sent, is_news: false }
                },
            ),
        }
    }

    /// Returns the periods that may have something new, those that were told before with their offset.
    fn spans(
        &self,
        to: NodeId,
        sent: &Shelf<Sent>,
        period: Period,
        wanted: Wanted<'_>,
    ) -> Vec<(Span, Option<i32>)> {
        let kept_since = days_before(self.now, kept_days(period));
        let told: BTreeMap<Timestamp, (Span, i32)> = sent
            .of(&to)
            .filter(|(id, _)| id.period == period)
            .map(|(id, sent)| (id.start, (Span { start: id.start, end: sent.end }, sent.offset_s)))
            .collect();
        let is_wanted = |span: &Span| {
            span.start >= wanted.since
                && span.start < wanted.until
                && span.end >= kept_since
                && span.end <= self.now
        };
        let again =
            told.values().filter(|(span, _)| is_wanted(span)).map(|(span, offset)| (*span, Some(*offset)));
        let first = match wanted.is_asked {
            true => kept_since,
            false => days_before(self.now, first_told_within_days(period)),
        };
        // Where the zone is another one by now, no time is told twice.
        let is_told = |span: &Span| {
            let last = told.range(..span.end).next_back();
            last.is_some_and(|(_, (told, _))| told.end > span.start)
        };
        let first = first.max(wanted.since);
        let fresh = calendar::spans(self.zone, period, first, self.now).into_iter();
        let fresh = fresh.filter(|span| is_wanted(span) && !is_told(span)).map(|span| (span, None));
        again.chain(fresh).collect()
    }
}

/// Signs a summary for its receiver.
fn sign(between: Between<'_>, summary: &Summary, digest: Hash) -> Signed {
    let Between { own, to, .. } = between;
    let mut hasher = blake3::Hasher::new_derive_key(ID_CONTEXT);
    hasher.update(own.node_id().as_bytes()).update(to.as_bytes()).update(&[summary.period.index()]);
    hasher.update(&summary.start.as_micros().to_be_bytes()).update(&summary.version.to_be_bytes());
    let id = hasher.update(&digest.0).finalize();
    let id = Nonce(*id.as_bytes().first_chunk().expect("a hash has 32 bytes"));
    let expires = summary.end.after(Micros(kept_days(summary.period) * 86_400_000_000));
    object::sign(own, summary.clone(), Some(to), summary.end, expires, id)
        .expect("a summary of so many tools is not too long")
}

#[cfg(test)]
mod tests {
    use karo_core::rollup::{Delta, Sign};
    use std::sync::LazyLock;

    use karo_protocol::Category;
    use karo_trust::System;

    use super::*;
    use crate::actors::summary::kept::Record;

    const HOUR: i64 = 3_600_000_000;
    const NOW: Timestamp = Timestamp::from_micros(20_777 * 24 * HOUR + 10 * HOUR + 5);
    const PEER: NodeId = NodeId([5; 32]);

    fn at_hours_ago(hours: i64, category: Category) -> Delta {
        Delta {
            sign: Sign::Added,
            started_at: Timestamp::from_micros(NOW.as_micros() - hours * HOUR),
            category,
            tools: b"git\0acme-secret".as_slice().into(),
            risk: None,
            axis: None,
            exit: Some(0),
            duration: Some(Micros(7)),
        }
    }

    fn rollup(hours_ago: &[i64]) -> Rollup {
        hours_ago.iter().map(|hours| at_hours_ago(*hours, Category::Vcs)).collect()
    }

    fn own() -> &'static Identity {
        static OWN: LazyLock<Identity> =
            LazyLock::new(|| Identity::generate(&mut System::default(), Timestamp::from_micros(0)));
        &OWN
    }

    const ALL: Wanted<'static> =
        Wanted { periods: Period::ALL, since: Timestamp::MIN, until: Timestamp::MAX, is_asked: false };

    fn due_of(rollup: &Rollup, sent: &Shelf<Sent>, now: Timestamp, kept_back: &[Category]) -> Vec<Due> {
        let kept_back = kept_back.iter().copied().collect();
        let zone = Zone::default();
        Maker::new(rollup, &zone, now).due(Between { own: own(), to: PEER, kept_back }, sent, ALL)
    }

    fn keep(sent: &mut Shelf<Sent>, due: &[Due]) {
        due.iter().for_each(|one| sent.insert(PEER, one.id, Sent { is_taken: true, ..one.sent.clone() }));
    }

    fn told(due: &[Due]) -> Vec<(Period, u64, u64)> {
        due.iter().map(|one| (one.id.period, one.summary.version, one.summary.total.count)).collect()
    }

    #[test]
    fn what_is_over_is_told_once_and_in_the_same_bytes() {
        let rollup = rollup(&[0, 2, 3, 30, 24 * 8]);
        let due = due_of(&rollup, &Shelf::default(), NOW, &[]);
        let expected = [
            // The week of eight days ago, its day, yesterday and the one before, two hours of today.
            (Period::Daily, 1, 1),
            (Period::Weekly, 1, 1),
            (Period::Daily, 1, 1),
            (Period::Hourly, 1, 1),
            (Period::Hourly, 1, 1),
        ];
        assert_eq!(told(&due).len(), expected.len());
        assert!(expected.iter().all(|one| told(&due).contains(one)));
        let again = due_of(&rollup, &Shelf::default(), NOW, &[]);
        assert!(due.iter().zip(&again).all(|(one, other)| one.sent.signed() == other.sent.signed()));
        let mut sent = Shelf::default();
        keep(&mut sent, &due);
        assert!(due_of(&rollup, &sent, NOW, &[]).is_empty());
    }

    #[test]
    fn what_says_something_else_is_told_in_a_newer_version() {
        let mut sent = Shelf::default();
        keep(&mut sent, &due_of(&rollup(&[2, 2, 3]), &Shelf::default(), NOW, &[]));
        let due = due_of(&rollup(&[2, 3]), &sent, NOW, &[]);
        assert_eq!(told(&due), [(Period::Hourly, 2, 1)]);
        // Nothing is left of the hour: that is told as well.
        keep(&mut sent, &due);
        assert_eq!(told(&due_of(&rollup(&[3]), &sent, NOW, &[])), [(Period::Hourly, 3, 0)]);
    }

    #[test]
    fn a_denial_is_told_as_if_it_had_not_happened() {
        let rollup: Rollup =
            [at_hours_ago(2, Category::Vcs), at_hours_ago(2, Category::Security)].into_iter().collect();
        let mut sent = Shelf::default();
        keep(&mut sent, &due_of(&rollup, &Shelf::default(), NOW, &[]));
        let due = due_of(&rollup, &sent, NOW, &[Category::Security]);
        assert_eq!(told(&due), [(Period::Hourly, 2, 1)]);
        assert!(due[0].summary.is_limited && due[0].summary.risks.is_none());
    }

    #[test]
    fn an_absence_is_told_of_by_days() {
        let hours: Vec<i64> = (1..24 * 60).collect();
        let due = due_of(&rollup(&hours), &Shelf::default(), NOW, &[]);
        let count = |period| due.iter().filter(|one| one.id.period == period).count();
        assert_eq!((count(Period::Hourly), count(Period::Daily), count(Period::Weekly)), (23, 34, 4));
    }

    #[test]
    fn another_zone_tells_no_time_twice() {
        let rollup = rollup(&[2, 30, 54]);
        let mut sent = Shelf::default();
        keep(&mut sent, &due_of(&rollup, &Shelf::default(), NOW, &[]));
        let zone = Zone { steps: vec![(Timestamp::MIN, -5 * 3600)] };
        let between = Between { own: own(), to: PEER, kept_back: CategorySet::default() };
        let due = Maker::new(&rollup, &zone, NOW).due(between, &sent, ALL);
        assert_eq!(told(&due), []);
    }

    #[test]
    fn an_object_is_for_one_receiver_and_expires() {
        let due = due_of(&rollup(&[2]), &Shelf::default(), NOW, &[]);
        let expected = object::Expected { issuer: Some(own().node_id()), audience: PEER, now: NOW };
        let opened = object::open::<Summary>(due[0].sent.signed(), &expected).unwrap();
        assert_eq!((opened.audience, opened.body), (Some(PEER), due[0].summary.clone()));
        assert_eq!(opened.created, due[0].sent.end);
        let other = object::Expected { audience: NodeId([6; 32]), ..expected };
        assert!(object::open::<Summary>(due[0].sent.signed(), &other).is_err());
    }

    /// Every byte that leaves, of a machine on which everything private has a canary in it.
    #[test]
    fn no_byte_of_a_private_name_is_in_an_object() {
        let due = due_of(&rollup(&[1, 2, 3, 30, 60, 500]), &Shelf::default(), NOW, &[]);
        assert!(due.len() > 5);
        for one in due {
            let has =
                |wanted: &[u8]| one.sent.signed.bytes.0.windows(wanted.len()).any(|bytes| bytes == wanted);
            assert!(has(b"git") && !has(b"acme") && !has(b"secret"));
        }
    }
}
