//! `karoctl version`: which versions are at work.

use karo_protocol::frame::VERSION;
use karo_protocol::observation::OBSERVATION_VERSION;
use serde_json::json;

use super::exit::{Exit, Trouble};
use super::scene::Scene;
use super::{json, status};

/// Version of this program.
pub const KAROCTL: &str = env!("CARGO_PKG_VERSION");

/// Runs the command; a daemon that is not there is no error here.
///
/// # Errors
///
/// When the answer cannot be written.
pub fn run(scene: &mut Scene) -> Result<Exit, Trouble> {
    let daemon = scene.connect().and_then(|mut connection| status::ask(&mut connection));
    let karod = daemon.as_ref().map(|status| status.version.as_str());
    if scene.is_json {
        let line = json!({
            "karoctl": KAROCTL,
            "protocol": VERSION,
            "observation": OBSERVATION_VERSION,
            "karod": karod.ok(),
        });
        json::write_line(&mut scene.out, &line)?;
        return Ok(Exit::Done);
    }
    writeln!(scene.out, "karoctl {KAROCTL}")?;
    writeln!(scene.out, "local protocol {VERSION}, observations {OBSERVATION_VERSION}")?;
    match karod {
        Ok(version) => writeln!(scene.out, "karod {version}")?,
        Err(trouble) => writeln!(scene.out, "karod unknown: {trouble}")?,
    }
    Ok(Exit::Done)
}
