//! `karoctl audit head`: the newest signed state of the log.

use karo_protocol::audit::Head;
use karo_protocol::frame::decode;
use karo_protocol::local::{Reply, Request};
use karo_protocol::peer::{Object, Signed};
use serde_json::json;

use super::fingerprint;
use crate::connection::ConnectionError;
use crate::ctl::exit::{Exit, Trouble};
use crate::ctl::scene::Scene;
use crate::ctl::{base64, json, when};

pub(super) fn run(scene: &mut Scene) -> Result<Exit, Trouble> {
    let Reply::AuditHead(signed) = scene.connect()?.ask(&Request::AuditHead(()))? else {
        return Err(ConnectionError::Unexpected("a signed head").into());
    };
    let Some(Signed { bytes, signature }) = signed else {
        scene.note("no head was signed yet; the first comes within a minute of the first entry");
        return Ok(Exit::NothingFound);
    };
    let object: Object<Head> = decode(&bytes).map_err(ConnectionError::Malformed)?;
    let Head { log, size, root } = object.body;
    if scene.is_json {
        let line = json!({
            "node_id": object.issuer.to_string(),
            "log": log.to_string(),
            "size": size,
            "root": root.to_string(),
            "created_at": when::rfc3339(object.created, 3),
            "object": base64::encode(&bytes),
            "signature": signature.to_string(),
        });
        json::write_line(&mut scene.out, &line)?;
    } else {
        let made = when::long(object.created, scene.now().time_zone());
        writeln!(scene.out, "log     {log}\nsize    {size}\nroot    {root}")?;
        writeln!(scene.out, "signed  {made} by {}", fingerprint(&object.issuer))?;
    }
    Ok(Exit::Done)
}
