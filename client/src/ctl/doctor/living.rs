//! The daemon itself: versions, clock, store, spools, and a record that really arrives.

use std::io::Read;

use karo_protocol::local::{Observe, Reply, Request, RulesStatus, SpoolStatus, Status, Verdict};
use karo_protocol::observation::Ending;
use karo_protocol::places::Places;
use karo_protocol::query::{Detail, Filter, Order, Query};
use karo_protocol::{
    Bytes, Micros, Observation, Phase, Precision, RawCommand, Shell, ShellId, ShellKind, Timestamp,
};

use super::Check;
use crate::connection::Connection;
use crate::ctl::exit::Trouble;
use crate::ctl::query::{Page, stream};
use crate::ctl::scene::Scene;
use crate::ctl::status::bytes;
use crate::ctl::version::KAROCTL;
use crate::ctl::when;

/// Seconds by which two clocks on one machine may differ while both are asked.
const CLOCK_SECONDS_MAX: f64 = 2.0;

/// Runs the checks that a status answers.
pub fn checks(scene: &Scene, status: &Status, places: &Places) -> Vec<Check> {
    let mut checks = vec![versions(&status.version), clock(status.now, when::now())];
    checks.extend(store(scene, status));
    checks.extend(places.spools().into_iter().map(|spool| spool_is_watched(&status.spools, spool)));
    checks.extend(status.spools.iter().filter_map(spool));
    checks.extend(rules(status));
    checks.extend(intake(status));
    checks.extend(status.notices.iter().map(|notice| Check::warn("notice", notice, "see the log of karod")));
    checks
}

fn versions(karod: &str) -> Check {
    if karod == KAROCTL {
        return Check::ok("versions", format!("karoctl and karod are {KAROCTL}"));
    }
    let mend = "install both from one release, then restart karod";
    Check::warn("versions", format!("karoctl is {KAROCTL}, karod is {karod}"), mend)
}

fn clock(theirs: Timestamp, ours: Timestamp) -> Check {
    let seconds = when::difference_seconds(theirs, ours);
    if seconds.abs() <= CLOCK_SECONDS_MAX {
        return Check::ok("clock", "the daemon's clock is this one");
    }
    Check::warn(
        "clock",
        format!("the daemon's clock differs by {seconds:.1} s"),
        "see whether karod runs in a container of its own, or the clock was set while it answered",
    )
}

fn store(scene: &Scene, status: &Status) -> Vec<Check> {
    let store = &status.store;
    let mut checks = Vec::new();
    match &store.refusing {
        Some(reason) => checks.push(Check::fail(
            "store",
            format!("accepts nothing: {reason}"),
            "make room, or see the log of karod",
        )),
        None => checks.push(Check::ok("store", format!("accepts, holds {} events", store.events))),
    }
    if store.damage > 0 {
        checks.push(Check::fail(
            "store",
            format!("damaged in {} places", store.damage),
            "run `karoctl store verify`, and import a backup if you have one",
        ));
    }
    if let Some(from) = store.partial_since {
        let from = when::long(from, scene.now().time_zone());
        checks.push(Check::warn("store", format!("searchable so far from {from}"), "ask again in a moment"));
    }
    let free = format!("{} free, {} kept free", bytes(store.free_bytes), bytes(store.reserve_bytes));
    checks.push(match store.free_bytes {
        room if room <= store.reserve_bytes => Check::fail("room", free, "make room; hooks spool meanwhile"),
        room if room <= store.reserve_bytes.saturating_mul(4) => Check::warn("room", free, "make room soon"),
        _ => Check::ok("room", free),
    });
    checks
}

/// Records that hooks leave where the daemon does not look would wait for ever.
fn spool_is_watched(watched: &[SpoolStatus], spool: &std::path::Path) -> Check {
    let named = spool.display();
    if watched.iter().any(|status| std::path::Path::new(&status.path) == spool) {
        return Check::ok("spool", format!("the daemon takes records from {named}"));
    }
    Check::fail(
        "spool",
        format!("the daemon does not look into {named}"),
        "give karod and your shells the same KARO_SPOOL_DIR, XDG_STATE_HOME and HOME",
    )
}

fn spool(status: &SpoolStatus) -> Option<Check> {
    if status.newer > 0 {
        let found = format!("{} records of a newer version in {}", status.newer, status.path);
        return Some(Check::warn("spool", found, "install a newer karod, it takes them in"));
    }
    let found = format!("{} torn records in {}", status.torn, status.path);
    let mend = "their shells died while writing; they may be deleted";
    (status.torn > 0).then(|| Check::warn("spool", found, mend))
}

fn rules(status: &Status) -> Option<Check> {
    let RulesStatus { loaded, refused, .. } = status.rules;
    match (loaded, refused) {
        (0, 0) => None,
        (_, 0) => Some(Check::ok("rules", format!("{loaded} rules decide on risk"))),
        (_, _) => {
            let found = format!("{loaded} rules decide on risk, {refused} cannot be used");
            Some(Check::warn("rules", found, "see `karoctl rules check` for file, line and reason of each"))
        }
    }
}

fn intake(status: &Status) -> Vec<Check> {
    let intake = &status.intake;
    let mut checks = Vec::new();
    if intake.dropped > 0 {
        let found = format!("hooks could put {} records nowhere", intake.dropped);
        checks.push(Check::warn("lost", found, "see that the spool directories can be written"));
    }
    if status.sessions.saturating_mul(10) > status.sessions_max.saturating_mul(9) {
        let found = format!("{} of {} sessions are open", status.sessions, status.sessions_max);
        checks.push(Check::warn("sessions", found, "raise [socket] sessions_max, or close what holds them"));
    }
    if status.refused_foreign > 0 {
        let found = format!("{} connections of other users were refused", status.refused_foreign);
        checks.push(Check::warn("foreign", found, "see who can reach the socket's directory"));
    }
    checks
}

/// Sends a record of a shell that exists nowhere else, finds it, and deletes it again.
pub fn record_arrives(connection: &mut Connection) -> Check {
    match try_record(connection) {
        Ok(check) => check,
        Err(trouble) => Check::fail("record", trouble.message, "see the log of karod"),
    }
}

fn try_record(connection: &mut Connection) -> Result<Check, Trouble> {
    let shell_id = random_shell_id()?;
    let request = Request::Observe(Observe::new(observation(shell_id)));
    let Reply::Observed(verdict) = connection.ask(&request)? else {
        return Ok(Check::fail("record", "the daemon answered something else", "see the log of karod"));
    };
    match verdict {
        Verdict::Committed => {}
        Verdict::Duplicate => {
            return Ok(Check::fail("record", "a new record counts as a known one", "please report this bug"));
        }
        Verdict::Ignored => {
            let mend = "look at [record] ignore and ignore_dirs in the configuration";
            return Ok(Check::warn("record", "your rules keep a record of doctor out", mend));
        }
        Verdict::Busy | Verdict::Failed => {
            let found = format!("the daemon answers {verdict}, so hooks spool");
            return Ok(Check::fail("record", found, "see `karoctl status` and the log of karod"));
        }
    }
    let filter = Filter { shell_id: Some(shell_id), ..Filter::default() };
    let query = Query {
        filter: filter.clone(),
        is_unique: false,
        limit: Some(1),
        order: Order::NewestFirst,
        detail: Detail::Event,
    };
    let mut is_found = false;
    stream(connection, &query, |page| {
        is_found |= matches!(&page, Page::Events(events) if !events.is_empty());
        Ok(())
    })?;
    let deleted = connection.ask(&Request::Delete(filter))?;
    Ok(match (is_found, deleted) {
        (true, Reply::Deleted(1)) => Check::ok("record", "a record arrives, is found and is deleted"),
        (true, _) => Check::fail("record", "a record is found and cannot be deleted", "see the log of karod"),
        (false, _) => {
            Check::fail("record", "a record is taken in and cannot be found", "see the log of karod")
        }
    })
}

fn observation(shell_id: ShellId) -> Observation {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Observation {
        shell: Shell {
            kind: ShellKind::Other,
            id: shell_id,
            user: std::env::var("USER").unwrap_or_default(),
            host,
            tty: None,
            is_remote: false,
            parent: None,
            process: None,
        },
        sequence: 1,
        phase: Phase::End(Ending { duration: Some(Micros(0)), exit: Some(0), pipestatus: Vec::new() }),
        command: RawCommand::new("karoctl doctor: does a record arrive?"),
        cwd: Bytes::from("/"),
        is_cwd_truncated: false,
        started_at: when::now(),
        precision: Precision::Micro,
        dropped: 0,
    }
}

fn random_shell_id() -> Result<ShellId, Trouble> {
    let mut bytes = [0; 16];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(|error| Trouble::file("read", std::path::Path::new("/dev/urandom"), &error))?;
    Ok(ShellId::from_bytes(bytes))
}

#[cfg(test)]
#[path = "living_tests.rs"]
mod tests;
