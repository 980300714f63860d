//! Messages from the daemon's own memory.

use std::thread::sleep;
use std::time::Duration;

use karo_protocol::Timestamp;
use karo_protocol::local::{Failure, FailureCode};
use karo_protocol::logs::LogsAsk;

use super::shower::Shower;
use super::{Source, Wanted, ask};
use crate::connection::{Connection, ConnectionError};
use crate::ctl::exit::{Exit, Trouble};
use crate::ctl::scene::Scene;

/// How long one answer may take: the daemon holds it back for some seconds while nothing is said.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often a daemon that is gone is looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Shows them, and stays where that is wanted, whatever daemon is there. Returns how many there were.
pub(super) fn show(scene: &mut Scene, mut daemon: Connection, wanted: &Wanted) -> Result<u64, Trouble> {
    let mut shower = Shower::new(scene, Source::Ring);
    if wanted.follows {
        daemon.wait_for_answers(PATIENCE);
        shower.say_source(scene)?;
    }
    let first = LogsAsk { filter: wanted.filter.clone(), after: None, newest: wanted.newest, waits: false };
    let mut next = first.clone();
    let mut last: Option<Timestamp> = None;
    loop {
        let page = match ask(&mut daemon, &next) {
            Ok(page) => page,
            Err(error) if wanted.follows && is_gone(&error) => {
                daemon = another(scene)?;
                // It may be the same one, or one with another memory: whatever was shown is not wanted again.
                next = first.clone();
                if let Some(last) = last {
                    let behind = Timestamp::from_micros(last.as_micros().saturating_add(1));
                    (next.filter.since, next.newest) = (Some(behind), None);
                }
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if page.missed > 0 && next.after.is_some() {
            scene.note(&format!("{} messages came faster than they were read", page.missed));
        }
        for entry in &page.entries {
            shower.show(scene, entry)?;
            last = last.max(Some(entry.at));
        }
        if !page.has_more && !wanted.follows {
            break;
        }
        next = LogsAsk { after: Some(page.cursor), newest: None, waits: !page.has_more, ..next };
    }
    shower.end(scene)?;
    Ok(shower.count())
}

/// Tells whether a daemon has ended, or no longer answers, and another one may come.
const fn is_gone(error: &ConnectionError) -> bool {
    match error {
        ConnectionError::NoDaemon(_)
        | ConnectionError::Silent { .. }
        | ConnectionError::Closed(_)
        | ConnectionError::Broken(..)
        | ConnectionError::Failure(Failure { code: FailureCode::Stopping, .. }) => true,
        ConnectionError::Unsafe(..)
        | ConnectionError::Stranger { .. }
        | ConnectionError::Version { .. }
        | ConnectionError::Malformed(_)
        | ConnectionError::Unexpected(_)
        | ConnectionError::Failure(_) => false,
    }
}

/// Waits until a daemon is there again, for as long as the person does.
fn another(scene: &Scene) -> Result<Connection, Trouble> {
    scene.note("karod is gone; waiting until it is there again");
    loop {
        match scene.connect() {
            Ok(mut daemon) => {
                daemon.wait_for_answers(PATIENCE);
                scene.note("karod is there again");
                return Ok(daemon);
            }
            Err(trouble) if trouble.exit == Exit::NoDaemon => sleep(LOOK_AGAIN),
            Err(trouble) => return Err(trouble),
        }
    }
}
