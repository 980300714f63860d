//! What peers tell: judged, kept with its signature, and only then taken.

use std::time::Instant;

use actix::{AsyncContext, Context, Handler, Message};
use karo_core::summary::{days_before, kept_days};
use karo_protocol::answer::Status;
use karo_protocol::audit::{AuditEntry, Deed, Reason};
use karo_protocol::node::Hash;
use karo_protocol::peer::{Object, Signed};
use karo_protocol::summary::{
    Period, SUMMARIES_PAGE_MAX, SUMMARY_TOOLS_MAX, Summary, SummaryId, SummaryTalk,
};
use karo_protocol::{Micros, NodeId, Timestamp};
use karo_store::Entry;
use karo_trust::identity::Identity;
use karo_trust::object::{AHEAD_MAX, Expected, ObjectRefused};
use karo_trust::{fingerprint, object};

use super::actor::SummaryActor;
use super::kept::{RECEIVED_BYTES_MAX, Received, put};
use super::showing::Found;
use crate::actors::peers::Noted;
use crate::auditor::entry;
use crate::clock;
use crate::logging::say;

/// How much longer than its name a period may be: a week in which a clock is set back, or a traveller's.
const LONGER_MAX: Micros = Micros(26 * 3_600_000_000);

/// A summary of a peer that is good, and not on disk yet.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) node: NodeId,
    pub(super) id: SummaryId,
    pub(super) received: Received,
}

/// Write down what has arrived. Sent by the actor to itself, so that what came together is written together.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct TakeIn;

/// Why a summary of a peer is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum SummaryRefused {
    /// The object is not what it should be.
    #[error(transparent)]
    Object(#[from] ObjectRefused),
    /// Anybody could be told it, and with it anybody could be told that it is ours.
    #[error("summary for nobody in particular")]
    Unaddressed,
    /// Its times or its numbers are none that a node makes.
    #[error("summary that no node makes: {0}")]
    Shape(&'static str),
    /// It says something else in the version that is kept.
    #[error("another summary of the same version")]
    Conflict,
}

/// What a summary means beside what is kept of its period.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is newer.
    New,
    /// It is kept already, or a newer one is.
    Known,
}

/// Judges a summary that a peer sent.
///
/// # Errors
///
/// [`SummaryRefused`]; nothing of it is kept then.
pub(super) fn judge(
    signed: &Signed,
    own: &Identity,
    from: NodeId,
    now: Timestamp,
) -> Result<Object<Summary>, SummaryRefused> {
    let expected = Expected { issuer: Some(from), audience: own.node_id(), now };
    let opened = match object::open::<Summary>(signed, &expected) {
        // A peer that has not heard of our new key yet means us.
        Err(ObjectRefused::Audience { audience }) if own.key_known_as(audience, now).is_some() => {
            object::open::<Summary>(signed, &Expected { audience, ..expected })
        }
        opened => opened,
    }?;
    if opened.audience.is_none() {
        return Err(SummaryRefused::Unaddressed);
    }
    judge_body(&opened.body, now)?;
    Ok(opened)
}

fn judge_body(summary: &Summary, now: Timestamp) -> Result<(), SummaryRefused> {
    let hours = |hours: u64| Micros(hours * 3_600_000_000);
    let longest = match summary.period {
        Period::Hourly => hours(1),
        Period::Daily => hours(24),
        Period::Weekly => hours(7 * 24),
    };
    let length = summary.end.since(summary.start);
    let wrong = [
        (summary.end <= summary.start, "it ends before it begins"),
        (length.0 > longest.0 + LONGER_MAX.0, "it is too long"),
        (summary.end.since(now) > AHEAD_MAX, "it is not over"),
        (summary.end < days_before(now, kept_days(summary.period)), "it was over too long ago"),
        (summary.hours.len() != 24 || summary.weekdays.len() != 7, "another number of hours or days"),
        (summary.tools.len() > SUMMARY_TOOLS_MAX, "too many tools"),
        (summary.categories.len() > karo_protocol::Category::ALL.len(), "too many categories"),
        (summary.version == 0, "no version"),
    ];
    wrong.iter().find(|(is_wrong, _)| *is_wrong).map_or(Ok(()), |(_, why)| Err(SummaryRefused::Shape(why)))
}

/// Tells what a summary means beside what is kept of its period.
///
/// # Errors
///
/// [`SummaryRefused::Conflict`], when a peer says two things in one version.
pub(super) fn standing(
    known: Option<(u64, &Signed)>,
    version: u64,
    signed: &Signed,
) -> Result<Standing, SummaryRefused> {
    match known {
        None => Ok(Standing::New),
        Some((kept, _)) if version > kept => Ok(Standing::New),
        Some((kept, _)) if version < kept => Ok(Standing::Known),
        Some((_, kept)) if hash(kept) == hash(signed) => Ok(Standing::Known),
        Some(_) => Err(SummaryRefused::Conflict),
    }
}

fn hash(signed: &Signed) -> Hash {
    Hash(blake3::hash(&signed.bytes.0).into())
}

impl SummaryActor {
    /// A peer tells one of its own.
    pub(super) fn on_push(&mut self, node: NodeId, signed: Signed, ctx: &mut Context<Self>) {
        if !self.allowances(node).telling.take(Instant::now()) {
            tracing::debug!(peer = %fingerprint(&node), "a peer tells more summaries than there are hours");
            return;
        }
        match self.take(node, signed) {
            Ok(Some((id, version))) => self.say(node, SummaryTalk::Taken { id, version }),
            Ok(None) => ctx.notify(TakeIn),
            Err(error) => self.refused(node, &error),
        }
    }

    /// Puts a good summary among those that are about to be written down; `Some` says which is known already.
    fn take(&mut self, node: NodeId, signed: Signed) -> Result<Option<(SummaryId, u64)>, SummaryRefused> {
        let Some(own) = self.own.clone() else { return Ok(None) };
        let now = clock::now();
        let summary = judge(&signed, &own, node, now)?.body;
        let id = SummaryId { period: summary.period, start: summary.start };
        let arriving = self.arrived.iter().rev().find(|one| one.node == node && one.id == id);
        let known = arriving.map(|one| &one.received).or_else(|| self.received.at(&node, &id));
        match standing(known.map(|known| (known.version, &known.signed)), summary.version, &signed)? {
            // One that is about to be written is told as taken when it is.
            Standing::Known if arriving.is_some() => Ok(None),
            Standing::Known => Ok(known.map(|known| (id, known.version))),
            Standing::New => {
                let received = Received { version: summary.version, end: summary.end, at: now, signed };
                self.arrived.push(Arrived { node, id, received });
                Ok(None)
            }
        }
    }

    pub(super) fn refused(&self, node: NodeId, error: &SummaryRefused) {
        say!(Class::SummaryRefused, peer = %fingerprint(&node), %error, "a summary is refused");
        self.note(Noted::refused(Some(node), Reason::Invalid));
    }

    /// A peer answers what a person asked.
    pub(super) fn on_answer(
        &mut self,
        node: NodeId,
        (id, status, is_last): (u64, Status, bool),
        summaries: Vec<Signed>,
        ctx: &mut Context<Self>,
    ) {
        // Nobody is answered that was not asked.
        if self.asked.get(&id).is_none_or(|asked| asked.of != node) || summaries.len() > SUMMARIES_PAGE_MAX {
            return;
        }
        let mut found = Vec::new();
        for signed in summaries {
            let named = object::read::<Summary>(&signed, Some(node)).ok().map(|object| object.body);
            match self.take(node, signed) {
                Ok(_) => found.extend(named.map(|one| SummaryId { period: one.period, start: one.start })),
                Err(error) => self.refused(node, &error),
            }
        }
        if let Some(asked) = self.asked.get_mut(&id) {
            asked.found.extend(found);
            asked.status = Some(status);
            asked.is_over = is_last || status != Status::Success;
        }
        ctx.notify(TakeIn);
    }

    /// Answers people whose question is over, once everything is on disk.
    fn answer_people(&mut self) {
        let over: Vec<u64> =
            self.asked.iter().filter(|(_, asked)| asked.is_over).map(|(id, _)| *id).collect();
        for id in over {
            if let Some(mut asked) = self.asked.remove(&id) {
                let found = Found { ids: std::mem::take(&mut asked.found), status: asked.status };
                asked.done(found);
            }
        }
    }
}

impl Handler<TakeIn> for SummaryActor {
    type Result = ();

    fn handle(&mut self, _: TakeIn, ctx: &mut Self::Context) {
        let mut arrived = std::mem::take(&mut self.arrived);
        // Whoever was revoked meanwhile has told nothing.
        arrived.retain(|one| {
            let roster = self.sources.roster.read();
            roster.peer(&one.node).is_some_and(|peer| peer.trust.is_linked())
        });
        if arrived.is_empty() {
            return self.answer_people();
        }
        let entries: Vec<Entry> = arrived.iter().map(|one| put(&one.node, &one.id, &one.received)).collect();
        let mut counts = std::collections::BTreeMap::<NodeId, u64>::new();
        arrived.iter().for_each(|one| *counts.entry(one.node).or_default() += 1);
        let deed = |(node, count)| AuditEntry { peer: Some(node), count, ..entry(Deed::SummaryReceived) };
        let deeds = counts.into_iter().map(deed).collect();
        self.keep((entries, deeds), ctx, move |actor, kept, ctx| {
            if let Err(failure) = kept {
                say!(
                    Class::SummariesUnwritten,
                    failure.message,
                    "summaries of peers are not taken: they could not be written down"
                );
                return;
            }
            for Arrived { node, id, received } in arrived {
                actor.say(node, SummaryTalk::Taken { id, version: received.version });
                actor.received.insert(node, id, received);
            }
            let gone = actor.received.forget_old(clock::now(), RECEIVED_BYTES_MAX);
            actor.keep_aside(gone, ctx);
            actor.answer_people();
        });
    }
}

#[cfg(test)]
mod tests {
    use karo_protocol::node::Nonce;
    use karo_protocol::summary::Sums;
    use karo_trust::System;

    use super::*;

    const HOUR: u64 = 3_600_000_000;
    const NOW: Timestamp = Timestamp::from_micros(20_777 * 24 * HOUR as i64 + 10 * HOUR as i64);

    fn identity() -> Identity {
        Identity::generate(&mut System::default(), Timestamp::from_micros(0))
    }

    fn summary() -> Summary {
        Summary {
            period: Period::Hourly,
            start: Timestamp::from_micros(NOW.as_micros() - 2 * HOUR as i64),
            end: Timestamp::from_micros(NOW.as_micros() - HOUR as i64),
            offset_s: 0,
            version: 1,
            total: Sums::default(),
            categories: Vec::new(),
            tools: Vec::new(),
            hours: vec![0; 24],
            weekdays: vec![0; 7],
            risks: None,
            is_limited: false,
        }
    }

    fn signed_by(own: &Identity, summary: Summary, to: Option<NodeId>) -> Signed {
        let (created, expires) = (summary.end, summary.end.after(Micros(30 * 24 * HOUR)));
        object::sign(own, summary, to, created, expires, Nonce([1; 16])).unwrap()
    }

    fn refusal(signed: &Signed, own: &Identity, from: &Identity) -> String {
        judge(signed, own, from.node_id(), NOW).map_or_else(|error| error.to_string(), |_| "taken".to_owned())
    }

    #[test]
    fn only_the_peer_itself_tells_us_of_itself() {
        let (own, peer, other) = (identity(), identity(), identity());
        let to = Some(own.node_id());
        assert_eq!(refusal(&signed_by(&peer, summary(), to), &own, &peer), "taken");
        assert!(refusal(&signed_by(&other, summary(), to), &own, &peer).starts_with("object of"));
        assert!(refusal(&signed_by(&peer, summary(), Some(other.node_id())), &own, &peer).contains("is for"));
        assert!(refusal(&signed_by(&peer, summary(), None), &own, &peer).contains("nobody in particular"));
    }

    #[test]
    fn no_changed_bit_is_taken() {
        let (own, peer) = (identity(), identity());
        let signed = signed_by(&peer, summary(), Some(own.node_id()));
        for bit in 0..signed.bytes.0.len() * 8 {
            let mut changed = signed.clone();
            changed.bytes.0[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(refusal(&changed, &own, &peer), "taken", "bit {bit}");
        }
    }

    #[test]
    fn what_no_node_makes_is_refused() {
        let (own, peer) = (identity(), identity());
        let check = |change: fn(&mut Summary), why: &str| {
            let mut summary = summary();
            change(&mut summary);
            let told = refusal(&signed_by(&peer, summary, Some(own.node_id())), &own, &peer);
            assert!(told.contains(why), "{told}, not {why}");
        };
        check(|one| one.end = NOW.after(Micros(HOUR)), "in the future");
        check(|one| one.end = one.start, "ends before");
        check(|one| one.start = days_before(one.start, 3), "too long");
        check(|one| (one.start, one.end) = (days_before(one.start, 36), days_before(one.end, 36)), "expired");
        check(|one| one.hours.push(1), "hours or days");
        check(|one| one.version = 0, "no version");
    }

    #[test]
    fn the_newest_version_stays_whatever_comes_when() {
        let peer = identity();
        let told = |version| signed_by(&peer, Summary { version, ..summary() }, None);
        let (one, two) = (told(1), told(2));
        assert_eq!(standing(None, 1, &one).unwrap(), Standing::New);
        assert_eq!(standing(Some((1, &one)), 2, &two).unwrap(), Standing::New);
        // Out of order, and twice.
        assert_eq!(standing(Some((2, &two)), 1, &one).unwrap(), Standing::Known);
        assert_eq!(standing(Some((2, &two)), 2, &two).unwrap(), Standing::Known);
        let other = signed_by(&peer, Summary { version: 2, is_limited: true, ..summary() }, None);
        assert!(standing(Some((2, &two)), 2, &other).is_err());
    }
}
