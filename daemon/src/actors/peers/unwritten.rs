//! Entries of the audit on their way to the store: what it has no room for waits here, and goes with the next.

use std::collections::{BTreeMap, VecDeque};

use actix::Recipient;
use actix::dev::SendError;
use karo_protocol::Timestamp;
use karo_protocol::audit::{AuditEntry, Deed, Reason};

use super::deeds;
use crate::actors::store::Keep;
use crate::logging::say;

/// Entries that wait one by one: some minutes of what two hundred peers do. Further ones are counted by their deed.
const WAITING_MAX: usize = 1024;

/// What is not with the store yet, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    waiting: VecDeque<AuditEntry>,
    /// What found no room: since when, and how often.
    counted: BTreeMap<Deed, (Timestamp, u64)>,
}

impl Unwritten {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.counted.is_empty()
    }

    /// Puts entries behind the others.
    pub(super) fn push(&mut self, entries: impl IntoIterator<Item = AuditEntry>) {
        for entry in entries {
            if self.waiting.len() < WAITING_MAX {
                self.waiting.push_back(entry);
            } else {
                let counted = self.counted.entry(entry.deed).or_insert((entry.at, 0));
                counted.1 = counted.1.saturating_add(entry.count);
            }
        }
    }

    /// Returns everything, for a batch. What was counted is one entry for each deed.
    pub(super) fn take(&mut self) -> Vec<AuditEntry> {
        let counted = std::mem::take(&mut self.counted).into_iter();
        let together = counted.map(|(deed, (at, count))| AuditEntry {
            at,
            count,
            reason: Reason::Flood,
            ..deeds::entry(deed)
        });
        std::mem::take(&mut self.waiting).into_iter().chain(together).collect()
    }

    /// Gives everything to the store, if it has room for it.
    pub(super) fn offer(&mut self, store: &Recipient<Keep>) {
        if self.is_empty() {
            return;
        }
        let keep = Keep { entries: Vec::new(), deeds: self.take() };
        if let Err(SendError::Full(keep) | SendError::Closed(keep)) = store.try_send(keep) {
            say!(
                Class::AuditDelayed,
                waiting = keep.deeds.len(),
                "the store is too busy for the audit of the mesh"
            );
            // One entry of each deed may be there that was counted before.
            self.push(keep.deeds);
        }
    }
}

#[cfg(test)]
mod tests {
    use actix::{Actor, Context, Handler, Message};

    use super::*;
    use crate::actors::store;

    /// A store with room for a single message.
    #[derive(Default)]
    struct Narrow(Vec<AuditEntry>);

    impl Actor for Narrow {
        type Context = Context<Self>;

        fn started(&mut self, ctx: &mut Self::Context) {
            ctx.set_mailbox_capacity(1);
        }
    }

    impl Handler<Keep> for Narrow {
        type Result = <Keep as Message>::Result;

        fn handle(&mut self, keep: store::Keep, _: &mut Self::Context) -> Self::Result {
            self.0.extend(keep.deeds);
            Ok(())
        }
    }

    /// What was written so far; asked for once everything before it is handled.
    #[derive(Message)]
    #[rtype(result = "Vec<AuditEntry>")]
    struct Written;

    impl Handler<Written> for Narrow {
        type Result = Vec<AuditEntry>;

        fn handle(&mut self, _: Written, _: &mut Self::Context) -> Self::Result {
            self.0.clone()
        }
    }

    #[actix::test]
    async fn what_the_store_has_no_room_for_is_written_later() {
        let store = Narrow::default().start();
        assert!(store.send(Written).await.unwrap().is_empty());
        let keep = store.clone().recipient();
        let mut unwritten = Unwritten::default();
        let deeds = [Deed::Connected, Deed::Disconnected, Deed::Refused];
        // The store has its turn only when this test waits.
        for number in 0..5000_u64 {
            let entry = deeds::entry(deeds[number as usize % deeds.len()]);
            unwritten.push([AuditEntry { other: None, at: Timestamp::from_micros(number as i64), ..entry }]);
            unwritten.offer(&keep);
        }
        assert!(unwritten.waiting.len() == WAITING_MAX && unwritten.counted.len() == deeds.len());
        store.send(Written).await.unwrap();
        unwritten.offer(&keep);
        assert!(unwritten.is_empty());
        let written = store.send(Written).await.unwrap();
        let all: u64 = written.iter().map(|entry| entry.count).sum();
        assert_eq!(all, 5000);
        let one_by_one: Vec<i64> =
            written.iter().filter(|entry| entry.count == 1).map(|entry| entry.at.as_micros()).collect();
        assert!(one_by_one.len() >= WAITING_MAX && one_by_one.is_sorted());
    }
}
