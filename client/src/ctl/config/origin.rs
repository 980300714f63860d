//! `karoctl config show`: each value with where it comes from: the default, a line of the file, the environment, or a
//! flag.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use karo_protocol::config::Config;
use karo_protocol::limits::CONFIG_BYTES_MAX;
use karo_protocol::places::Places;
use serde_json::{Value, json};
use toml::de::{DeTable, DeValue};

use super::judge;
use crate::ctl::exit::{Exit, Trouble};
use crate::ctl::json;
use crate::ctl::scene::Scene;
use crate::ctl::service::template;
use crate::ctl::shown::{Newline, columns, pad, shown};
use crate::ctl::whole_file;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody has set it.
    Default,
    /// A line of the file, counted from 1.
    File(usize),
    /// A variable of the environment.
    Environment(&'static str),
    /// An option of the command line.
    Flag(&'static str),
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its key; of places the name that the documentation has for them.
    pub key: String,
    /// Its value as TOML.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// Runs the command.
///
/// # Errors
///
/// When the file cannot be read, or the daemon would refuse it.
pub fn run(scene: &mut Scene, flag: Option<&Path>) -> Result<Exit, Trouble> {
    let places = scene.places()?;
    let path = flag.unwrap_or(&places.config).to_owned();
    let bytes = match flag {
        Some(path) => whole_file::named(path, CONFIG_BYTES_MAX),
        None => whole_file::found(&path, CONFIG_BYTES_MAX),
    };
    let text = match bytes.and_then(whole_file::text) {
        Ok(text) => text,
        // A file that was named must be there; the usual one need not be.
        Err(error) if error.kind() == ErrorKind::NotFound && flag.is_none() => String::new(),
        Err(error) => return Err(Trouble::file("read", &path, &error)),
    };
    let home = std::env::var_os("HOME").map(PathBuf::from);
    judge(&text, home.as_deref()).map_err(|why| Trouble::refused(format!("{}: {why}", path.display())))?;
    let mut lines = of_places(&places, flag, &|name| std::env::var_os(name));
    lines.extend(of_file(&text).map_err(|why| Trouble::refused(format!("{}: {why}", path.display())))?);
    if scene.is_json {
        return lines
            .iter()
            .try_for_each(|line| json::write_line(&mut scene.out, &to_json(line, &path)))
            .map(|()| Exit::Done);
    }
    scene.out.write_all(to_text(&lines, &path).as_bytes())?;
    Ok(Exit::Done)
}

/// Returns the places with the variable that decides on each.
fn of_places(places: &Places, flag: Option<&Path>, variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<Line> {
    let of = |own: &'static str, base: &'static str, path: &Path| {
        let is_set = |name: &str| variable(name).is_some_and(|value| Path::new(&value).is_absolute());
        let is_of_session = path.starts_with("/run/user");
        let origin = match (is_set(own), template::served(path)) {
            (true, _) => Origin::Environment(own),
            // Where root's service manager listens for whoever has that name.
            (false, Some(_)) => Origin::Environment("USER"),
            (false, None) if is_set(base) && !is_of_session => Origin::Environment(base),
            (false, None) => Origin::Default,
        };
        (toml_of(path), origin)
    };
    let rows = [
        ("config", "KARO_CONFIG", "XDG_CONFIG_HOME", &places.config),
        ("data", "KARO_DATA_DIR", "XDG_DATA_HOME", &places.data),
        ("spool of hooks", "KARO_SPOOL_DIR", "XDG_STATE_HOME", &places.hook_spool),
        ("spool of clients", "KARO_SPOOL_DIR", "XDG_STATE_HOME", &places.client_spool),
        ("socket", "KARO_SOCKET", "XDG_STATE_HOME", &places.socket),
    ];
    let line = |(key, own, base, path): (&str, &'static str, &'static str, &PathBuf)| {
        let (value, origin) = match flag.filter(|_| key == "config") {
            Some(flag) => (toml_of(flag), Origin::Flag("--config")),
            None => of(own, base, path),
        };
        Line { key: key.to_owned(), value, origin }
    };
    rows.into_iter().map(line).collect()
}

fn toml_of(path: &Path) -> String {
    toml::Value::from(path.to_string_lossy().into_owned()).to_string()
}

/// Returns every key of the configuration with the line of the file that sets it.
fn of_file(text: &str) -> Result<Vec<Line>, String> {
    let failed = |error: toml::de::Error| error.to_string().trim_end().to_owned();
    let config: Config = toml::from_str(text).map_err(failed)?;
    let table = DeTable::parse(text).map_err(failed)?;
    let mut places = BTreeMap::new();
    find_keys(table.get_ref(), "", &mut places);
    let origin = |key: &str| match places.get(key) {
        Some(start) => Origin::File(text[..*start].matches('\n').count() + 1),
        None => Origin::Default,
    };
    let line = |(key, value): (String, String)| Line { origin: origin(&key), key, value };
    Ok(config.values().into_iter().map(line).collect())
}

/// Notes where each key begins: byte offsets.
fn find_keys(table: &DeTable<'_>, above: &str, places: &mut BTreeMap<String, usize>) {
    for (name, value) in table {
        let key = match above {
            "" => name.get_ref().to_string(),
            above => format!("{above}.{}", name.get_ref()),
        };
        places.insert(key.clone(), name.span().start);
        match value.get_ref() {
            DeValue::Table(inner) => find_keys(inner, &key, places),
            DeValue::Array(entries) => {
                for (place, entry) in entries.iter().enumerate() {
                    if let DeValue::Table(inner) = entry.get_ref() {
                        find_keys(inner, &format!("{key}[{place}]"), places);
                    }
                }
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {}
        }
    }
}

fn to_text(lines: &[Line], path: &Path) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let origin = |origin: &Origin| match origin {
        Origin::Default => "default".to_owned(),
        Origin::File(line) => format!("{file}:{line}"),
        Origin::Environment(name) => (*name).to_owned(),
        Origin::Flag(name) => (*name).to_owned(),
    };
    let safe = |text: &str| shown(text.as_bytes(), Newline::Arrow);
    let key_columns = lines.iter().map(|line| columns(&line.key)).max().unwrap_or(0);
    let origin_columns = lines.iter().map(|line| columns(&safe(&origin(&line.origin)))).max().unwrap_or(0);
    let mut text = String::new();
    for Line { key, value, origin: from } in lines {
        let mut line = safe(key);
        pad(&mut line, key_columns + 2);
        line.push_str(&safe(&origin(from)));
        pad(&mut line, key_columns + 2 + origin_columns + 2);
        line.push_str(&safe(value));
        text.push_str(&line);
        text.push('\n');
    }
    text
}

fn to_json(Line { key, value, origin }: &Line, path: &Path) -> Value {
    // A value is TOML that was made of a value, so it can be read back.
    let value = toml::from_str::<toml::Table>(&format!("v = {value}"))
        .ok()
        .and_then(|mut table| table.remove("v"))
        .and_then(|value| serde_json::to_value(value).ok());
    let mut line = json!({ "key": key, "value": value, "origin": "default" });
    match origin {
        Origin::Default => {}
        Origin::File(number) => {
            line["origin"] = json!("file");
            line["file"] = json!(path.to_string_lossy());
            line["line"] = json!(number);
        }
        Origin::Environment(name) => {
            line["origin"] = json!("environment");
            line["variable"] = json!(name);
        }
        Origin::Flag(name) => {
            line["origin"] = json!("flag");
            line["flag"] = json!(name);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::samples::quiet_scene;
    use crate::fake::{places_in, private_directory};

    const FILE: &str = "\
# mine
[record]
ignore = [\"pass *\"]

[store]
reserve_mib = 128

[[mesh.peers]]
name = \"desk\"
";

    fn value<'a>(lines: &'a [Line], key: &str) -> &'a Line {
        lines.iter().find(|line| line.key == key).unwrap_or_else(|| panic!("{key} is not in {lines:#?}"))
    }

    #[test]
    fn each_value_has_its_origin() {
        let lines = of_file(FILE).expect("it is TOML");
        let cases = [
            ("record.ignore", "[\"pass *\"]", Origin::File(3)),
            ("record.ignore_dirs", "[]", Origin::Default),
            ("store.reserve_mib", "128", Origin::File(6)),
            ("store.retention_days", "0", Origin::Default),
            ("mesh.peers[0].name", "\"desk\"", Origin::File(9)),
        ];
        for (key, expected, origin) in cases {
            let line = value(&lines, key);
            assert_eq!((line.value.as_str(), &line.origin), (expected, &origin), "{key}");
        }
    }

    #[test]
    fn every_key_of_the_default_file_is_shown() {
        let text = karo_protocol::config::default_toml();
        let is_key = |line: &&str| {
            line.strip_prefix('#').is_some_and(|rest| {
                rest.starts_with(|c: char| c.is_ascii_lowercase()) && rest.contains(" = ")
            })
        };
        let mut config = Config::default();
        config.mesh.peers.push(Default::default());
        config.sharing.peers.push(Default::default());
        assert_eq!(config.values().len(), text.lines().filter(is_key).count());
    }

    #[test]
    fn places_are_decided_by_the_environment() {
        let directory = private_directory();
        let places = Places { hook_spool: "/run/user/7/karo/spool".into(), ..places_in(&directory) };
        let variable = |name: &str| match name {
            "KARO_DATA_DIR" => Some("/d".into()),
            "XDG_STATE_HOME" => Some("/s".into()),
            "XDG_CONFIG_HOME" => Some("relative".into()),
            _ => None,
        };
        let lines = of_places(&places, None, &variable);
        let origin = |key: &str| value(&lines, key).origin.clone();
        assert_eq!(origin("config"), Origin::Default);
        assert_eq!(origin("data"), Origin::Environment("KARO_DATA_DIR"));
        assert_eq!(origin("spool of hooks"), Origin::Default);
        assert_eq!(origin("spool of clients"), Origin::Environment("XDG_STATE_HOME"));
        assert_eq!(origin("socket"), Origin::Environment("XDG_STATE_HOME"));
        let served = Places { socket: "/run/karo/ann/karod.sock".into(), ..places.clone() };
        let lines = of_places(&served, None, &variable);
        assert_eq!(value(&lines, "socket").origin, Origin::Environment("USER"));
        let lines = of_places(&places, Some(Path::new("/f")), &variable);
        assert_eq!(value(&lines, "config").origin, Origin::Flag("--config"));
    }

    #[test]
    fn it_is_shown_for_people_and_for_programs() {
        let lines = [
            Line { key: "store.reserve_mib".into(), value: "128".into(), origin: Origin::File(6) },
            Line {
                key: "data".into(),
                value: "\"/d\x1b\"".into(),
                origin: Origin::Environment("KARO_DATA_DIR"),
            },
            Line { key: "log.level".into(), value: "\"info\"".into(), origin: Origin::Default },
        ];
        let expected = "\
store.reserve_mib  config.toml:6  128
data               KARO_DATA_DIR  \"/d\\x1b\"
log.level          default        \"info\"
";
        assert_eq!(to_text(&lines, Path::new("/c/config.toml")), expected);
        let line = to_json(&lines[0], Path::new("/c/config.toml"));
        assert_eq!(
            line,
            json!({ "key": "store.reserve_mib", "value": 128, "origin": "file", "file": "/c/config.toml", "line": 6 })
        );
    }

    #[test]
    fn a_file_that_is_wrong_or_named_and_not_there_is_refused() {
        let directory = private_directory();
        let path = directory.path().join("config.toml");
        let (mut scene, _) = quiet_scene();
        assert!(run(&mut scene, Some(&path)).is_err());
        std::fs::write(&path, "[store]\nreserve = 1\n").expect("there is room");
        let trouble = run(&mut scene, Some(&path)).expect_err("there is no such key");
        assert!(trouble.message.contains("unknown field `reserve`"), "{trouble}");
        assert_eq!(run(&mut scene, None), Ok(Exit::Done));
    }
}
