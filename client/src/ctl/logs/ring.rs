//! Messages from the daemon's own memory.

use std::time::Duration;

use karo_protocol::logs::LogsAsk;

use super::shower::Shower;
use super::{Source, Wanted, ask};
use crate::connection::Connection;
use crate::ctl::exit::Trouble;
use crate::ctl::scene::Scene;

/// How long one answer may take: the daemon holds it back for some seconds while nothing is said.
const PATIENCE: Duration = Duration::from_secs(120);

/// Shows them, and stays where that is wanted. Returns how many there were.
pub(super) fn show(scene: &mut Scene, mut daemon: Connection, wanted: &Wanted) -> Result<u64, Trouble> {
    let mut shower = Shower::new(scene, Source::Ring);
    if wanted.follows {
        daemon.wait_for_answers(PATIENCE);
        shower.say_source(scene)?;
    }
    let mut next =
        LogsAsk { filter: wanted.filter.clone(), after: None, newest: wanted.newest, waits: false };
    loop {
        let page = ask(&mut daemon, next.clone())?;
        if page.missed > 0 && next.after.is_some() {
            scene.note(&format!("{} messages came faster than they were read", page.missed));
        }
        for entry in &page.entries {
            shower.show(scene, entry)?;
        }
        if !page.has_more && !wanted.follows {
            break;
        }
        next = LogsAsk { after: Some(page.cursor), newest: None, waits: !page.has_more, ..next };
    }
    shower.end(scene)?;
    Ok(shower.count())
}
