//! Makes everything in the log searchable, once, at the start.

use actix::{Addr, Recipient};

use crate::actors::query::{Load, QueryActor};
use crate::actors::root::Ready;
use crate::background;
use crate::logging::say;
use crate::service::Herald;

/// Makes everything in the log searchable, from its newest end, on a thread that ends with it.
pub fn load(reader: karo_store::Reader, query: Addr<QueryActor>, root: Recipient<Ready>, herald: Herald) {
    let arbiter = background::arbiter();
    let handle = arbiter.handle();
    let loading = async move {
        let mut log = reader.load();
        let all = log.records_left().max(1);
        herald.change(|standing| standing.loaded_percent = Some(0));
        while let Some((changes, since)) = log.next() {
            if query.send(Load { changes, since: Some(since) }).await.is_err() {
                return;
            }
            // In steps of ten: each change of the sentence is told.
            let percent = (all - log.records_left()) * 10 / all * 10;
            herald.change(|standing| standing.loaded_percent = Some(percent as u8));
        }
        // While it lives, nothing is deleted.
        drop(log);
        if query.send(Load { changes: Vec::new(), since: None }).await.is_ok() {
            say!(Class::Searchable, "everything can be found");
            // The root may be stopping.
            drop(root.try_send(Ready));
        }
        handle.stop();
    };
    if !arbiter.spawn(loading) {
        say!(Class::LoaderFailed, "the log cannot be loaded");
    }
}
