//! `karoctl audit`: what Karo itself did, and the proof of it.

use karo_protocol::audit::{AuditEntry, AuditFilter, AuditRow, Deed, Reason};
use karo_protocol::local::{Reply, Request};
use karo_protocol::node::{Fingerprint, NodeId};
use serde_json::{Value, json};

use super::cli::{AuditArgs, AuditCommand, AuditFilterArgs};
use super::exit::{Exit, Trouble};
use super::grid::Cell;
use super::scene::Scene;
use super::table::{BOLD_RED, DIM, Surface, YELLOW};
use super::{json, when};
use crate::connection::{ConnectionError, Patience};

mod export;
mod head;
mod verify;

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;

/// Entries that are shown unless another number is asked for.
const LIMIT: u64 = 100;

/// Runs the command.
///
/// # Errors
///
/// When the daemon cannot do it.
pub fn run(scene: &mut Scene, args: &AuditArgs) -> Result<Exit, Trouble> {
    let Some(command) = &args.command else { return list(scene, &args.filter) };
    if args.filter != AuditFilterArgs::default() {
        return Err(Trouble::usage(
            "these options choose entries to show; `karoctl audit export` has its own behind it",
        ));
    }
    match command {
        AuditCommand::Verify => verify::run(scene),
        AuditCommand::Export { file, force, filter } => {
            let filter = filter_of(scene, filter, None)?;
            export::run(scene, file.as_deref(), *force, filter)
        }
        AuditCommand::Head => head::run(scene),
    }
}

fn filter_of(scene: &Scene, args: &AuditFilterArgs, limit: Option<u64>) -> Result<AuditFilter, Trouble> {
    let moment = |option: &str, text: Option<&str>| {
        let found = text.map(|text| when::parse(text, scene.now())).transpose();
        found.map_err(|why| Trouble::usage(format!("{option} {why}")))
    };
    Ok(AuditFilter {
        since: moment("--since", args.since.as_deref())?,
        until: moment("--until", args.until.as_deref())?,
        deeds: args.kind.clone(),
        peer: args.peer.clone(),
        limit: args.limit.or(limit).filter(|limit| *limit > 0),
    })
}

fn list(scene: &mut Scene, args: &AuditFilterArgs) -> Result<Exit, Trouble> {
    let filter = filter_of(scene, args, Some(LIMIT))?;
    let mut connection = scene.connect()?;
    connection.wait_for_answers(Patience::LONG);
    let id = connection.send(&Request::Audit(filter))?;
    let mut rows = Vec::new();
    loop {
        let reply = connection.receive(id)?;
        if let Reply::AuditRows(page) = reply {
            rows.extend(page);
        } else if matches!(reply, Reply::End(_)) {
            break;
        } else {
            return Err(ConnectionError::Unexpected("entries of the audit").into());
        }
    }
    if rows.is_empty() {
        return Ok(Exit::NothingFound);
    }
    if scene.is_json {
        rows.iter().try_for_each(|row| json::write_line(&mut scene.out, &to_json(row)))?;
    } else {
        let text = table(&scene.surface(), &rows);
        scene.out.write_all(text.as_bytes())?;
    }
    Ok(Exit::Done)
}

fn to_json(AuditRow { log, index, entry, peer_name }: &AuditRow) -> Value {
    let (log, index) = (log.to_string(), *index);
    let Some(AuditEntry { at, deed, peer, count, trust, day, reason, other }) = entry else {
        return json!({ "log": log, "index": index, "expired": true });
    };
    json!({
        "log": log,
        "index": index,
        "at": when::rfc3339(*at, 3),
        "kind": deed.name(),
        "peer": peer_name,
        "node_id": peer.map(|peer| peer.to_string()),
        "count": count,
        "trust": trust.map(karo_protocol::Trust::name),
        "day": day.map(day_of),
        "reason": (*reason != Reason::None).then(|| reason.name()),
        "other": other.map(|other| other.to_string()),
    })
}

fn table(surface: &Surface, rows: &[AuditRow]) -> String {
    let is_of_several = rows.iter().any(|row| row.log != rows[0].log);
    let cells = |row: &AuditRow| {
        let mut cells = match &row.entry {
            Some(entry) => entry_cells(surface, row, entry),
            None => expired_cells(row.index),
        };
        if is_of_several {
            cells.insert(0, Cell::new(&row.log.to_string()[..8]).in_colour(Some(DIM)));
        }
        cells
    };
    let rows: Vec<Vec<Cell>> = rows.iter().map(cells).collect();
    let names = ["LOG", "TIME", "ENTRY", "KIND", "PEER", "WHAT"];
    surface.grid(if is_of_several { &names } else { &names[1..] }, &rows)
}

fn entry_cells(surface: &Surface, row: &AuditRow, entry: &AuditEntry) -> Vec<Cell> {
    let name = row.peer_name.clone();
    let peer = name.or_else(|| entry.peer.map(|node| fingerprint(&node).to_string()));
    vec![
        Cell::new(when::short(entry.at, &surface.now)).in_colour(Some(DIM)),
        Cell::new(row.index.to_string()).in_colour(Some(DIM)),
        Cell::new(entry.deed.name()).in_colour(deed_colour(entry.deed)),
        Cell::maybe(peer),
        Cell::new(what(entry)),
    ]
}

fn expired_cells(index: u64) -> Vec<Cell> {
    let dim = |text: &str| Cell::new(text).in_colour(Some(DIM));
    let why = "past its retention: only its hash is kept";
    vec![Cell::default(), dim(&index.to_string()), dim("expired"), Cell::default(), dim(why)]
}

/// Says in a few words what an entry holds besides its kind and its peer.
fn what(entry: &AuditEntry) -> String {
    let mut parts = Vec::new();
    parts.extend(entry.trust.map(|trust| format!("as {trust}")));
    // The deeds that are about a number of things; of all others the count says how often.
    let things = [
        (Deed::Deleted, ("event", "events")),
        (Deed::GroupAccepted, ("machine", "machines")),
        (Deed::AtomClosed, ("person", "people")),
    ];
    match things.iter().find(|(deed, _)| *deed == entry.deed) {
        Some((_, (one, many))) => parts.push(counted(entry.count, one, many)),
        None if entry.count > 1 => parts.push(format!("{} times", entry.count)),
        None => {}
    }
    parts.extend(entry.day.map(|day| format!("on {}", day_of(day))));
    parts.extend((entry.reason != Reason::None).then(|| entry.reason.to_string()));
    parts.extend(entry.other.map(|other| format!("{}...", &other.to_string()[..16])));
    parts.join(", ")
}

/// Writes a day that is so many days after the epoch.
fn day_of(days: i32) -> String {
    super::table::key_name(&karo_protocol::query::CountKey::Day(days))
}

/// Returns the colour of what a person should look at.
const fn deed_colour(deed: Deed) -> Option<&'static str> {
    match deed {
        Deed::Equivocation | Deed::Damage => Some(BOLD_RED),
        Deed::Refused | Deed::ForeignUser | Deed::Revoked => Some(YELLOW),
        Deed::LogOpened
        | Deed::IdentityCreated
        | Deed::KeyRotated
        | Deed::BackupMade
        | Deed::IdentityRestored
        | Deed::PeerAdded
        | Deed::PeerRemoved
        | Deed::TrustChanged
        | Deed::PeerRotated
        | Deed::Connected
        | Deed::Disconnected
        | Deed::Deleted
        | Deed::Reloaded
        | Deed::PolicyChanged
        | Deed::QueryAnswered
        | Deed::QueryAsked
        | Deed::SummarySent
        | Deed::SummaryReceived
        | Deed::GroupAccepted
        | Deed::GroupLeft
        | Deed::DayGiven
        | Deed::DayRefused
        | Deed::AtomClosed
        | Deed::AtomEnded => None,
    }
}

/// Returns the short form of a key, for the eye: the first bytes of its BLAKE3.
fn fingerprint(node: &NodeId) -> Fingerprint {
    let mut short = [0; Fingerprint::LENGTH];
    short.copy_from_slice(&blake3::hash(node.as_bytes()).as_bytes()[..Fingerprint::LENGTH]);
    Fingerprint(short)
}

/// Writes a number of things.
fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
