//! `karoctl identity`: the key that this machine is known by.

use std::path::Path;

use karo_protocol::Bytes;
use karo_protocol::local::{Reply, Request};
use karo_protocol::mesh::{IdentityBackup, IdentityRestore, IdentityShown};
use serde_json::{Value, json};

use super::cli::{IdentityCommand, PassphraseArgs};
use super::exit::{Exit, Trouble};
use super::passphrase::{self, Times};
use super::scene::Scene;
use super::shown::{Newline, shown};
use super::{json, owned_file, when};
use crate::connection::{ConnectionError, Patience};

/// Bytes of a backup at the most: one has some hundreds.
const BACKUP_BYTES_MAX: u64 = 64 * 1024;

/// Runs the command.
///
/// # Errors
///
/// When the daemon cannot do it, or a file cannot be read or written.
pub fn run(scene: &mut Scene, command: &IdentityCommand) -> Result<Exit, Trouble> {
    match command {
        IdentityCommand::Show => show(scene, &Request::Identity(())),
        IdentityCommand::Rotate => show(scene, &Request::IdentityRotate(())),
        IdentityCommand::Backup { file, force, passphrase } => backup(scene, file, *force, passphrase),
        IdentityCommand::Restore { file, replace, passphrase } => {
            let backup = Bytes(owned_file::read(file, BACKUP_BYTES_MAX)?);
            let passphrase = passphrase::get(scene, passphrase, Times::Once)?;
            let restore = IdentityRestore { backup, passphrase, replace: *replace };
            let exit = show(scene, &Request::IdentityRestore(restore))?;
            scene.out.flush()?;
            scene.note("peers see that its audit begins anew, until each says `karoctl peers confirm` of this machine");
            Ok(exit)
        }
    }
}

/// Asks, and shows the identity that is there since.
fn show(scene: &mut Scene, request: &Request) -> Result<Exit, Trouble> {
    let mut connection = scene.connect()?;
    // A passphrase is made slow to try on purpose, and what is taken over is synced and told to the peers.
    connection.wait_for_answers(Patience::LONG);
    let Reply::Identity(identity) = connection.ask(request)? else {
        return Err(ConnectionError::Unexpected("an identity").into());
    };
    if scene.is_json {
        json::write_line(&mut scene.out, &to_json(&identity))?;
    } else {
        let text = text(&identity, scene);
        scene.out.write_all(text.as_bytes())?;
    }
    Ok(Exit::Done)
}

fn to_json(identity: &IdentityShown) -> Value {
    json!({
        "node_id": identity.node_id.to_string(),
        "fingerprint": identity.fingerprint.to_string(),
        "created_at": when::rfc3339(identity.created_at, 3),
        "rotated_at": identity.rotated_at.map(|at| when::rfc3339(at, 3)),
        "path": identity.path,
        "listening": identity.listening,
        "silent_because": identity.silent_because,
    })
}

fn text(identity: &IdentityShown, scene: &Scene) -> String {
    let long = |at| when::long(at, scene.now().time_zone());
    let mut lines = vec![
        ("node id", identity.node_id.to_string()),
        ("fingerprint", identity.fingerprint.to_string()),
        ("made", long(identity.created_at)),
    ];
    lines.extend(identity.rotated_at.map(|at| ("rotated", long(at))));
    lines.push(("key", identity.path.clone()));
    if !identity.listening.is_empty() {
        lines.push(("listening", identity.listening.join(", ")));
    }
    lines.extend(identity.silent_because.iter().map(|why| ("listening", format!("nowhere: {why}"))));
    lines
        .iter()
        .map(|(name, value)| format!("{name:<11} {}\n", shown(value.as_bytes(), Newline::Arrow)))
        .collect()
}

fn backup(scene: &mut Scene, file: &Path, force: bool, args: &PassphraseArgs) -> Result<Exit, Trouble> {
    owned_file::refuse_taken(file, force)?;
    let passphrase = passphrase::get(scene, args, Times::Twice)?;
    let mut connection = scene.connect()?;
    connection.wait_for_answers(Patience::LONG);
    let request = Request::IdentityBackup(IdentityBackup { passphrase });
    let Reply::IdentityBackup(sealed) = connection.ask(&request)? else {
        return Err(ConnectionError::Unexpected("an encrypted identity").into());
    };
    owned_file::write(file, &sealed, force)?;
    if scene.is_json {
        json::write_line(
            &mut scene.out,
            &json!({ "file": file.to_string_lossy(), "bytes": sealed.0.len() }),
        )?;
    } else {
        let name = shown(file.to_string_lossy().as_bytes(), Newline::Arrow);
        writeln!(
            scene.out,
            "{name} holds the key; without the passphrase it is of no use to anybody, you included"
        )?;
    }
    Ok(Exit::Done)
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
