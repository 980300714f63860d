//! `karoctl status`: how the daemon is and what it keeps.

use std::fmt::Write as _;

use jiff::Zoned;
use karo_protocol::local::{Reply, Request, RulesStatus, SpoolStatus, Status};
use karo_protocol::mesh::MeshStatus;
use karo_protocol::{Micros, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use super::exit::{Exit, Trouble};
use super::scene::Scene;
use super::shown::{Newline, shown};
use super::{json, when};
use crate::connection::{Connection, ConnectionError};

/// Runs the command.
///
/// # Errors
///
/// When there is no answer.
pub fn run(scene: &mut Scene) -> Result<Exit, Trouble> {
    let status = ask(&mut scene.connect()?)?;
    if scene.is_json {
        json::write_line(&mut scene.out, &to_json(&status))?;
    } else {
        let text = text(&status, scene.now());
        scene.out.write_all(text.as_bytes())?;
    }
    Ok(if status.store.damage > 0 { Exit::Damaged } else { Exit::Done })
}

/// Asks the daemon how it is.
///
/// # Errors
///
/// When there is no answer.
pub fn ask(connection: &mut Connection) -> Result<Status, Trouble> {
    let Reply::Status(status) = connection.ask(&Request::Status(()))? else {
        return Err(ConnectionError::Unexpected("a status").into());
    };
    Ok(*status)
}

/// Returns the status as JSON, with moments as RFC 3339.
fn to_json(status: &Status) -> Value {
    let mut value = plain(status);
    for name in ["started_at", "now"] {
        value[name] = moment(&value[name]);
    }
    value["rules"]["loaded_at"] = moment(&value["rules"]["loaded_at"]);
    value["mesh"] = mesh_json(&status.mesh);
    let store = &mut value["store"];
    for name in ["oldest", "newest", "partial_since"] {
        store[name] = moment(&store[name]);
    }
    value
}

/// Returns how the mesh is as JSON, with keys as they are written everywhere.
fn mesh_json(mesh: &MeshStatus) -> Value {
    json!({
        "node_id": mesh.node_id.map(|node| node.to_string()),
        "fingerprint": mesh.fingerprint.map(|fingerprint| fingerprint.to_string()),
        "listening": mesh.listening,
        "peers": mesh.peers,
        "connected": mesh.connected,
        "audit_size": mesh.audit_size,
        "audit_witnessed": mesh.audit_witnessed,
    })
}

/// Returns what there is to say of the mesh: nothing before there is an identity.
fn mesh_lines(mesh: &MeshStatus) -> Vec<(&'static str, String)> {
    let Some(fingerprint) = mesh.fingerprint else { return Vec::new() };
    let links = match mesh.peers {
        0 => "no peers".to_owned(),
        peers => format!("{} of {peers} peers connected", mesh.connected),
    };
    let listening = match mesh.listening.as_slice() {
        [] => "listening nowhere".to_owned(),
        addresses => format!("listening at {}", addresses.join(", ")),
    };
    let rest = |witnessed: u64| mesh.audit_size.saturating_sub(witnessed);
    let witness = match mesh.audit_witnessed {
        None => "no witness".to_owned(),
        Some(witnessed) if rest(witnessed) == 0 => "all witnessed".to_owned(),
        Some(witnessed) => format!("the newest {} without a witness", rest(witnessed)),
    };
    vec![
        ("mesh", format!("{fingerprint}, {links}, {listening}")),
        ("audit", format!("{} entries, {witness}", mesh.audit_size)),
    ]
}

fn plain(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("a status has nothing that JSON cannot say")
}

fn moment(micros: &Value) -> Value {
    match micros.as_i64() {
        Some(micros) => json!(when::rfc3339(Timestamp::from_micros(micros), 3)),
        None => Value::Null,
    }
}

/// Writes what the store holds as JSON.
pub fn store_json(status: &Status) -> Value {
    let mut value = to_json(status)["store"].take();
    value["data_dir"] = json!(status.data_dir);
    value
}

fn text(status: &Status, now: &Zoned) -> String {
    let mut text = String::new();
    let zone = now.time_zone();
    let mut line = |name: &str, value: String| {
        writeln!(text, "{name:<10} {}", shown(value.as_bytes(), Newline::Arrow))
            .expect("a string takes whatever is written to it");
    };
    let up = when::humanised(Micros(status.now.since(status.started_at).0));
    line("daemon", format!("karod {}, process {}, up {up}", status.version, status.pid));
    line("for", format!("{}@{}", status.user, status.host));
    line("socket", status.socket.clone());
    line("sessions", format!("{} of {}", status.sessions, status.sessions_max));
    line("memory", bytes(status.resident_bytes));
    let intake = &status.intake;
    line(
        "taken in",
        format!(
            "{} ({} by spool), {} again, {} ignored, {} refused for a time, {} failed, {} lost by hooks",
            intake.committed,
            intake.spooled,
            intake.duplicates,
            intake.ignored,
            intake.busy,
            intake.failed,
            intake.dropped
        ),
    );
    for spool in &status.spools {
        line("spool", spool_text(spool));
    }
    for (name, value) in store_lines(status, now) {
        line(name, value);
    }
    for (name, value) in mesh_lines(&status.mesh) {
        line(name, value);
    }
    if status.refused_foreign > 0 || status.malformed > 0 {
        line(
            "refused",
            format!(
                "{} connections of other users, {} malformed frames",
                status.refused_foreign, status.malformed
            ),
        );
    }
    line("since", when::long(status.started_at, zone));
    for notice in &status.notices {
        line("notice", notice.clone());
    }
    text
}

fn spool_text(spool: &SpoolStatus) -> String {
    let mut text = format!("{}: {} waiting", spool.path, spool.waiting);
    if spool.newer > 0 {
        text.push_str(&format!(", {} of a newer version that need a newer karod", spool.newer));
    }
    if spool.torn > 0 {
        text.push_str(&format!(", {} torn", spool.torn));
    }
    text
}

/// Returns what there is to say of the store: names and values.
fn store_lines(status: &Status, now: &Zoned) -> Vec<(&'static str, String)> {
    let store = &status.store;
    let zone = now.time_zone();
    let mut lines = vec![
        ("data", status.data_dir.clone()),
        ("events", format!("{} with {} distinct texts", store.events, store.texts)),
    ];
    if let (Some(oldest), Some(newest)) = (store.oldest, store.newest) {
        lines.push(("from", format!("{} to {}", when::long(oldest, zone), when::long(newest, zone))));
    }
    lines.push((
        "disk",
        format!(
            "{} of log in {} sealed segments, {} of views; {} free, {} kept free",
            bytes(store.log_bytes),
            store.segments,
            bytes(store.view_bytes),
            bytes(store.free_bytes),
            bytes(store.reserve_bytes)
        ),
    ));
    lines.push(("rules", rules_text(status)));
    if let Some(from) = store.partial_since {
        lines.push(("loading", format!("searchable so far from {}", when::long(from, zone))));
    }
    if let Some(reason) = &store.refusing {
        lines.push(("refusing", reason.clone()));
    }
    if store.damage > 0 {
        lines.push(("damage", format!("{} places; run `karoctl store verify`", store.damage)));
    }
    lines
}

/// Returns how many rules there are; a daemon that has none says by what tables it understands.
fn rules_text(status: &Status) -> String {
    let RulesStatus { loaded, refused, version, .. } = &status.rules;
    match (loaded, refused) {
        (0, 0) => format!("version {}", status.store.rules_version),
        (_, 0) => format!("{loaded} loaded, version {version}"),
        (_, _) => {
            format!("{loaded} loaded, {refused} cannot be used (`karoctl rules check`), version {version}")
        }
    }
}

/// Writes what the store holds for people.
pub fn store_text(status: &Status, now: &Zoned) -> String {
    store_lines(status, now)
        .iter()
        .map(|(name, value)| format!("{name:<10} {}\n", shown(value.as_bytes(), Newline::Arrow)))
        .collect()
}

/// Writes a size as people say it, in powers of 1024.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut amount = count as f64 / 1024.0;
    let mut unit = 0;
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{amount:.1} {}", UNITS[unit])
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
