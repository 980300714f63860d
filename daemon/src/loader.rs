//! Makes what is in the log searchable, once, at the start: all of it, or as much as there is room for.

use actix::{Addr, Recipient};

use crate::actors::query::{Load, QueryActor};
use crate::actors::root::Ready;
use crate::background;
use crate::logging::say;
use crate::service::Herald;

/// Makes everything in the log searchable, from its newest end, on a thread that ends with it.
///
/// Where there is no more room, which is looked at after each segment, the rest stays on disk: who searches is told from
/// when on the answer covers everything, as while it is being loaded.
pub fn load(
    reader: karo_store::Reader,
    query: Addr<QueryActor>,
    root: Recipient<Ready>,
    herald: Herald,
    has_room: impl Fn() -> bool + 'static + Send,
) {
    let arbiter = background::arbiter();
    let handle = arbiter.handle();
    let loading = async move {
        let mut log = reader.load();
        let all = log.records_left().max(1);
        let mut covered = None;
        herald.change(|standing| standing.loaded_percent = Some(0));
        while let Some((changes, since)) = log.next() {
            if query.send(Load { changes, since: Some(since), is_last: false }).await.is_err() {
                return;
            }
            // In steps of ten: each change of the sentence is told.
            let percent = (all - log.records_left()) * 10 / all * 10;
            herald.change(|standing| standing.loaded_percent = Some(percent as u8));
            if log.records_left() > 0 && !has_room() {
                covered = Some(since);
                break;
            }
        }
        let left = log.records_left();
        // While it lives, nothing is deleted.
        drop(log);
        let is_over = query.send(Load { changes: Vec::new(), since: covered, is_last: true }).await;
        if is_over.is_ok() {
            match covered {
                None => say!(Class::Searchable, "everything can be found"),
                Some(since) => {
                    say!(
                        Class::MemoryShort,
                        since_us = since.as_micros(),
                        left,
                        "the older history is not loaded"
                    );
                }
            }
            // The root may be stopping.
            drop(root.try_send(Ready { is_whole: covered.is_none() }));
        }
        handle.stop();
    };
    if !arbiter.spawn(loading) {
        say!(Class::LoaderFailed, "the log cannot be loaded");
    }
}
