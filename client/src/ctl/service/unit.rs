//! The texts of the units: those of the packages, with this user's programs and places filled in. Pure.
//!
//! A line is replaced only where what it says differs from what holds here, so that on a machine with the usual
//! places a unit is what the package has, but for the path of karod.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The user unit.
pub const SERVICE: &str = include_str!("../../../../service-units/karod.service");
/// The socket that starts it.
pub const SOCKET: &str = include_str!("../../../../service-units/karod.socket");
/// The system template, an instance for each account.
pub const SYSTEM_SERVICE: &str = include_str!("../../../../service-units/karod@.service");
/// The sockets that start its instances.
pub const SYSTEM_SOCKET: &str = include_str!("../../../../service-units/karod@.socket");
/// The agent of launchd.
pub const AGENT: &str = include_str!("../../../../service-units/org.karo.karod.plist");

/// Where the texts say that karod is.
const PACKAGED_KAROD: &str = "/usr/bin/karod";

/// The keys that open directories to a unit that is otherwise closed.
const OPENING: [&str; 2] = ["ReadWritePaths", "BindPaths"];

/// What is filled in. All paths are absolute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filling {
    /// The karod to run.
    pub karod: PathBuf,
    /// What `%h` stands for.
    pub home: PathBuf,
    /// What `%t` stands for.
    pub runtime: PathBuf,
    /// The places, as variables of the environment.
    pub variables: BTreeMap<&'static str, PathBuf>,
    /// Directories that the texts name, each with the one that holds here.
    pub directories: Vec<(&'static str, PathBuf)>,
    /// Directories in which karod must be able to write.
    pub written: Vec<PathBuf>,
    /// Where karod logs to where nobody takes its standard error.
    pub log: PathBuf,
}

impl Filling {
    /// Fills in a unit of systemd.
    pub fn unit(&self, template: &str) -> String {
        let mut lines: Vec<String> = template.lines().map(|line| self.line(line)).collect();
        self.add_variables(&mut lines);
        self.add_written(&mut lines);
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    fn line(&self, line: &str) -> String {
        let Some((key, value)) = line.split_once('=') else { return line.to_owned() };
        match key {
            "ExecStart" => self.exec_start(line, value),
            "ExecPaths" | "ReadOnlyPaths" | "BindReadOnlyPaths" | "ReadWritePaths" | "BindPaths"
            | "ExecStartPre" => {
                let words: Vec<String> = value.split(' ').map(|word| self.word(word)).collect();
                format!("{key}={}", words.join(" "))
            }
            "Environment" => self.variable(line, value),
            "ListenStream" => match self.variables.get("KARO_SOCKET") {
                Some(socket) if self.expanded(value) != *socket => format!("{key}={}", escaped(socket)),
                Some(_) | None => line.to_owned(),
            },
            _ => line.to_owned(),
        }
    }

    /// Puts the place that holds here where a word of a list names the usual one.
    fn word(&self, word: &str) -> String {
        let bare = word.trim_start_matches(['-', '+', '!', '@']);
        let prefix = &word[..word.len() - bare.len()];
        let real = match bare == PACKAGED_KAROD {
            true => Some(&self.karod),
            false => self.directories.iter().find(|(usual, _)| *usual == bare).map(|(_, real)| real),
        };
        match real.filter(|real| self.expanded(bare) != **real) {
            Some(real) => quoted(&format!("{prefix}{}", escaped(real))),
            None => word.to_owned(),
        }
    }

    fn exec_start(&self, line: &str, value: &str) -> String {
        if self.karod == Path::new(PACKAGED_KAROD) {
            return line.to_owned();
        }
        let (_, arguments) = value.split_once(' ').unwrap_or((value, ""));
        // systemd also reads variables here, and takes `$$` for a dollar.
        let karod = quoted(&escaped(&self.karod).replace('$', "$$"));
        format!("ExecStart={karod} {arguments}").trim_end().to_owned()
    }

    fn variable(&self, line: &str, value: &str) -> String {
        let Some((name, path)) = value.trim_matches('"').split_once('=') else { return line.to_owned() };
        match self.variables.get(name) {
            Some(real) if self.expanded(path) != *real => assignment(name, real),
            Some(_) | None => line.to_owned(),
        }
    }

    /// Adds places that the template has no line for.
    fn add_variables(&self, lines: &mut Vec<String>) {
        let is_set = |name: &str, lines: &[String]| {
            let (plain, quoted) = (format!("Environment={name}="), format!("Environment=\"{name}="));
            lines.iter().any(|line| line.starts_with(&plain) || line.starts_with(&quoted))
        };
        let Some(last) = lines.iter().rposition(|line| line.starts_with("Environment=")) else { return };
        let missing = self.variables.iter().filter(|(name, _)| !is_set(name, lines));
        let missing: Vec<String> = missing.map(|(name, path)| assignment(name, path)).collect();
        lines.splice(last + 1..last + 1, missing);
    }

    /// Opens the directories that the template keeps closed because it does not know of them.
    ///
    /// One that is missing is an error: what is written in the place of one that is hidden would go with the daemon.
    fn add_written(&self, lines: &mut Vec<String>) {
        let key_of = |line: &String| {
            OPENING.into_iter().find(|key| line.strip_prefix(key).is_some_and(|rest| rest.starts_with('=')))
        };
        let Some(last) = lines.iter().rposition(|line| key_of(line).is_some()) else { return };
        let Some(key) = key_of(&lines[last]) else { return };
        let open: Vec<PathBuf> = lines
            .iter()
            .filter(|line| key_of(line).is_some())
            .filter_map(|line| line.split_once('='))
            .flat_map(|(_, value)| match value.starts_with('"') {
                true => vec![value.trim_matches('"')],
                false => value.split_whitespace().collect(),
            })
            .map(|word| self.expanded(word.trim_start_matches(['-', '+'])))
            .collect();
        let closed = self.written.iter().filter(|path| !open.iter().any(|open| path.starts_with(open)));
        let added: Vec<String> = closed.map(|path| format!("{key}={}", quoted(&escaped(path)))).collect();
        lines.splice(last + 1..last + 1, added);
    }

    fn expanded(&self, text: &str) -> PathBuf {
        let text = text.replace("%%", "\0");
        let text = text.replace("%h", &self.home.to_string_lossy());
        text.replace("%t", &self.runtime.to_string_lossy()).replace('\0', "%").into()
    }

    /// Fills in the agent of launchd: the value of each key that names a path of ours.
    pub fn agent(&self, template: &str) -> String {
        let mut text = template.to_owned();
        let socket = self.variables.get("KARO_SOCKET");
        let mut values: Vec<(&str, &Path)> = vec![("ProgramArguments", &self.karod)];
        values.extend(self.variables.iter().map(|(name, path)| (*name, path.as_path())));
        values.extend(socket.map(|path| ("SockPathName", path.as_path())));
        values.extend(["StandardErrorPath", "StandardOutPath"].map(|name| (name, self.log.as_path())));
        for (key, path) in values {
            text = with_string_after(&text, key, path);
        }
        text
    }
}

/// Puts a path into the first `<string>` behind a key; a text without that key stays as it is.
fn with_string_after(text: &str, key: &str, path: &Path) -> String {
    let replaced = (|| {
        let key = format!("<key>{key}</key>");
        let behind_key = text.find(&key)? + key.len();
        let start = behind_key + text[behind_key..].find("<string>")? + "<string>".len();
        let end = start + text[start..].find("</string>")?;
        Some(format!("{}{}{}", &text[..start], in_xml(path), &text[end..]))
    })();
    replaced.unwrap_or_else(|| text.to_owned())
}

fn in_xml(path: &Path) -> String {
    path.to_string_lossy().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn assignment(name: &str, path: &Path) -> String {
    let path = escaped(path);
    let word = quoted(&format!("{name}={path}"));
    format!("Environment={word}")
}

/// Takes the meaning from systemd's specifiers.
fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace('%', "%%")
}

/// Quotes a word as systemd reads it, where it needs that: a bare colon parts where something is from where it is seen.
fn quoted(word: &str) -> String {
    if !word.contains([' ', '\t', '"', '\'', '\\', ';', ':']) {
        return word.to_owned();
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Lines in which two texts differ that are shown at the most.
const DIFFERING_MAX: usize = 12;

/// Returns the lines that only one of two texts has: `-` is there, `+` would be written.
pub fn differing(there: &str, wanted: &str) -> Vec<String> {
    let only = |mark: char, one: &str, other: &str| -> Vec<String> {
        let other: Vec<&str> = other.lines().collect();
        one.lines()
            .enumerate()
            .filter(|(_, line)| !other.contains(line))
            .map(|(place, line)| format!("{mark}{:<4}{line}", place + 1))
            .collect()
    };
    let mut lines = only('-', there, wanted);
    lines.extend(only('+', wanted, there));
    if lines.is_empty() {
        lines.push("the same lines, in another order or number".to_owned());
    }
    let rest = lines.len().saturating_sub(DIFFERING_MAX);
    lines.truncate(DIFFERING_MAX);
    if rest > 0 {
        lines.push(format!("and {rest} more"));
    }
    lines
}

#[cfg(test)]
#[path = "unit_tests.rs"]
mod tests;
