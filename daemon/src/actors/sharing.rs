//! What sessions ask about summaries, the policy, and what was unusual.

use actix::Recipient;
use karo_core::calendar::day_of;
use karo_core::summary::days_before;
use karo_protocol::answer::{SignalsAsk, SummaryAsk};
use karo_protocol::local::{End, Reply as Answer};
use karo_protocol::policy::PolicyChange;
use karo_protocol::summary::SUMMARIES_PAGE_MAX;

use super::mesh::{fallible, stopping};
use super::query::Unusual;
use super::summary::{Ask, Change, Explain, Preview, Shown};
use crate::clock;

/// Days whose signals are shown when nobody says how many.
const DAYS_UNLESS_SAID: u64 = 30;

/// Days whose signals one answer tells: ten years.
const DAYS_MAX: i32 = 3653;

/// Who is asked.
#[derive(Clone)]
pub struct SharingDesk {
    /// Own summaries, and those of peers.
    pub summaries: Recipient<Ask>,
    /// The policy.
    pub policy: Recipient<Shown>,
    /// Changes it.
    pub change: Recipient<Change>,
    /// Says what exactly would go to a peer.
    pub preview: Recipient<Preview>,
    /// Says why.
    pub explain: Recipient<Explain>,
    /// What was unusual.
    pub unusual: Recipient<Unusual>,
}

impl SharingDesk {
    /// Returns summaries, page by page, and the end.
    pub async fn summaries(&self, ask: SummaryAsk) -> Vec<Answer> {
        match self.summaries.send(Ask(ask)).await {
            Ok(Ok(rows)) => {
                let end = End { count: rows.len() as u64, partial_since: None, unreadable: 0 };
                let pages = rows.chunks(SUMMARIES_PAGE_MAX).map(|page| Answer::Summaries(page.to_vec()));
                pages.chain([Answer::End(end)]).collect()
            }
            Ok(Err(failure)) => vec![Answer::Failure(failure)],
            Err(_) => vec![stopping()],
        }
    }

    /// Returns the policy.
    pub async fn policy(&self) -> Answer {
        self.policy.send(Shown).await.map_or_else(|_| stopping(), Answer::Policy)
    }

    /// Changes it.
    pub async fn change(&self, change: PolicyChange) -> Answer {
        fallible(self.change.send(Change(change)).await, Answer::Policy)
    }

    /// Says what exactly would go to a peer.
    pub async fn preview(&self, peer: String) -> Answer {
        fallible(self.preview.send(Preview(peer)).await, Answer::PolicyPreview)
    }

    /// Says why.
    pub async fn explain(&self, peer: String) -> Answer {
        fallible(self.explain.send(Explain(peer)).await, Answer::PolicyExplained)
    }

    /// Says what was unusual.
    pub async fn signals(&self, SignalsAsk { since, until, zone }: SignalsAsk) -> Answer {
        let now = clock::now();
        let end = day_of(&zone, until.unwrap_or(now)).min(day_of(&zone, now));
        let first = day_of(&zone, since.unwrap_or_else(|| days_before(now, DAYS_UNLESS_SAID)));
        let first = first.max(end.saturating_sub(DAYS_MAX));
        self.unusual.send(Unusual { first, end, zone }).await.map_or_else(|_| stopping(), Answer::Signals)
    }
}
