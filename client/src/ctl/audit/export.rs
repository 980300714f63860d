//! `karoctl audit export`: entries with their proofs, for `karod verify-proof`.

use std::path::Path;

use karo_protocol::audit::AuditFilter;
use karo_protocol::local::{Reply, Request};
use serde_json::json;

use super::counted;
use crate::connection::{ConnectionError, Patience};
use crate::ctl::exit::{Exit, Trouble};
use crate::ctl::scene::Scene;
use crate::ctl::shown::{Newline, shown};
use crate::ctl::{json, owned_file};

pub(super) fn run(
    scene: &mut Scene,
    file: Option<&Path>,
    force: bool,
    filter: AuditFilter,
) -> Result<Exit, Trouble> {
    if let Some(path) = file {
        owned_file::refuse_taken(path, force)?;
    }
    let mut connection = scene.connect()?;
    connection.wait_for_answers(Patience::LONG);
    let Reply::AuditExport(export) = connection.ask(&Request::AuditExport(filter))? else {
        return Err(ConnectionError::Unexpected("entries with their proofs").into());
    };
    if export.entries.is_empty() {
        return Ok(Exit::NothingFound);
    }
    let Some(path) = file else {
        json::write_line(&mut scene.out, &*export)?;
        return Ok(Exit::Done);
    };
    let mut bytes = Vec::new();
    json::write_line(&mut bytes, &*export)?;
    owned_file::write(path, &bytes, force)?;
    let (count, name) = (export.entries.len(), path.to_string_lossy());
    if scene.is_json {
        json::write_line(&mut scene.out, &json!({ "file": name, "entries": count }))?;
    } else {
        let name = shown(name.as_bytes(), Newline::Arrow);
        writeln!(
            scene.out,
            "{name} proves {} to anybody: karod verify-proof {name}",
            counted(count as u64, "entry", "entries")
        )?;
    }
    Ok(Exit::Done)
}
