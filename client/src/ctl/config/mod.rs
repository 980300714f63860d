//! `karoctl config`: the configuration, as the daemon reads it, and where each of its values comes from.

pub mod origin;

use std::path::{Path, PathBuf};

use karo_protocol::config::{Config, default_toml};
use karo_protocol::limits::CONFIG_BYTES_MAX;
use serde_json::json;

use super::cli::{ConfigArgs, ConfigCommand};
use super::exit::{Exit, Trouble};
use super::scene::Scene;
use super::{json, whole_file};

/// Runs the command.
///
/// # Errors
///
/// When the file cannot be read, or the daemon would refuse it.
pub fn run(scene: &mut Scene, args: &ConfigArgs) -> Result<Exit, Trouble> {
    match &args.command {
        None => origin::run(scene, None),
        Some(ConfigCommand::Show { config }) => origin::run(scene, config.as_deref()),
        Some(ConfigCommand::Default) => {
            if scene.is_json {
                json::write_line(&mut scene.out, &json!({ "default": default_toml() }))?;
            } else {
                scene.out.write_all(default_toml().as_bytes())?;
            }
            Ok(Exit::Done)
        }
        Some(ConfigCommand::Check { file }) => check(scene, file.as_deref()),
    }
}

fn check(scene: &mut Scene, file: Option<&Path>) -> Result<Exit, Trouble> {
    let path = match file {
        Some(path) => path.to_owned(),
        None => scene.places()?.config,
    };
    let is_there = path.exists();
    if is_there || file.is_some() {
        let bytes = match file {
            Some(path) => whole_file::named(path, CONFIG_BYTES_MAX),
            None => whole_file::found(&path, CONFIG_BYTES_MAX),
        };
        let text = bytes.and_then(whole_file::text);
        let text = text.map_err(|error| Trouble::file("read", &path, &error))?;
        let home = std::env::var_os("HOME").map(PathBuf::from);
        judge(&text, home.as_deref())
            .map_err(|why| Trouble::refused(format!("{}: {why}", path.display())))?;
    }
    if scene.is_json {
        json::write_line(
            &mut scene.out,
            &json!({ "file": path.to_string_lossy(), "exists": is_there, "ok": true }),
        )?;
    } else if is_there {
        writeln!(scene.out, "{} is right", path.display())?;
    } else {
        writeln!(scene.out, "{} is not there, so the defaults hold", path.display())?;
    }
    Ok(Exit::Done)
}

/// Reads and checks a configuration, as the daemon does.
fn judge(text: &str, home: Option<&Path>) -> Result<(), String> {
    let config: Config = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
    config.check(home).map(drop).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use karo_protocol::config::{PeerTable, SharingPeerTable};

    use super::*;

    #[test]
    fn the_default_file_is_the_default() {
        let read = |text: &str| toml::from_str::<Config>(text).expect("the default file is TOML");
        assert_eq!(read(&default_toml()), Config::default());
        let uncommented: String = default_toml()
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(key) if key.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()) => {
                    format!("{key}\n")
                }
                Some(_) | None => format!("{line}\n"),
            })
            .collect();
        let mut expected = Config::default();
        expected.mesh.peers.push(PeerTable::default());
        expected.sharing.peers.push(SharingPeerTable::default());
        assert_eq!(read(&uncommented), expected);
        let keys = uncommented.lines().filter(|line| line.contains(" = ") && !line.starts_with('#')).count();
        assert_eq!(keys, 35);
    }

    #[test]
    fn wrong_files_are_named_by_key() {
        assert_eq!(judge("[store]\nreserve_mib = 128\n", None), Ok(()));
        let unknown = judge("[store]\nreserve = 1\n", None).expect_err("there is no such key");
        assert!(unknown.contains("unknown field `reserve`"), "{unknown}");
        let range = judge("[socket]\nidle_seconds = 0\n", None).expect_err("zero is too little");
        assert_eq!(range, "socket.idle_seconds is 0, accepted is 1 to 3600 seconds");
        assert!(judge("[store", None).is_err());
    }
}
