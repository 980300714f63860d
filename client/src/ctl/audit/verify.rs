//! `karoctl audit verify`: is the log as it was written, and who could say if it were not?

use karo_protocol::audit::{AuditVerified, LogVerified};
use karo_protocol::local::{Reply, Request};
use serde_json::{Value, json};

use super::{counted, fingerprint};
use crate::connection::{ConnectionError, Patience};
use crate::ctl::exit::{Exit, Trouble};
use crate::ctl::json;
use crate::ctl::scene::Scene;
use crate::ctl::shown::{Newline, shown};

pub(super) fn run(scene: &mut Scene) -> Result<Exit, Trouble> {
    let mut connection = scene.connect()?;
    connection.wait_for_answers(Patience::LONG);
    let Reply::AuditVerified(AuditVerified { logs }) = connection.ask(&Request::AuditVerify(()))? else {
        return Err(ConnectionError::Unexpected("what a check of the audit found").into());
    };
    if scene.is_json {
        logs.iter().try_for_each(|log| json::write_line(&mut scene.out, &to_json(log)))?;
    } else {
        let text: String =
            logs.iter().enumerate().map(|(place, log)| text(log, place + 1 == logs.len())).collect();
        scene.out.write_all(text.as_bytes())?;
    }
    Ok(if logs.iter().all(is_sound) { Exit::Done } else { Exit::Damaged })
}

const fn is_sound(log: &LogVerified) -> bool {
    log.bad_count == 0 && log.faults.is_empty()
}

fn to_json(log: &LogVerified) -> Value {
    json!({
        "log": log.log.to_string(),
        "ok": is_sound(log),
        "size": log.size,
        "expired": log.expired,
        "bad": log.bad,
        "bad_count": log.bad_count,
        "faults": log.faults,
        "witnessed": log.witnessed.map(|(size, _)| size),
        "witness": log.witnessed.map(|(_, node)| node.to_string()),
    })
}

fn text(log: &LogVerified, is_newest: bool) -> String {
    let which = if is_newest { "" } else { ", closed" };
    let mut text = format!("log {}{which}: {}", log.log, counted(log.size, "entry", "entries"));
    text.push_str(match is_sound(log) {
        true => ", all as they were written\n",
        false => ", NOT as they were written\n",
    });
    if log.expired > 0 {
        text.push_str(&format!(
            "  {} past their retention: only their hashes are kept, and are right\n",
            log.expired
        ));
    }
    log.bad.iter().for_each(|place| text.push_str(&format!("  entry {place} is not as it was written\n")));
    let more = log.bad_count.saturating_sub(log.bad.len() as u64);
    if more > 0 {
        text.push_str(&format!("  and {more} more\n"));
    }
    for fault in &log.faults {
        text.push_str(&format!("  {}\n", shown(fault.as_bytes(), Newline::Arrow)));
    }
    text.push_str(&witness(log));
    text
}

/// Says what part of the log somebody else has seen: the rest could be made anew, and this check would not tell.
fn witness(log: &LogVerified) -> String {
    let Some((size, node)) = log.witnessed else {
        return "  no witness: no peer has seen a head of this log, so nobody could tell if it were made anew\n".to_owned();
    };
    let rest = log.size.saturating_sub(size);
    let unseen = match rest {
        0 => "; none is unwitnessed".to_owned(),
        _ => format!("; the {} since then: no witness yet", counted(rest, "entry", "entries")),
    };
    format!("  the first {} witnessed by {}{unseen}\n", counted(size, "entry", "entries"), fingerprint(&node))
}
