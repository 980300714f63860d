//! What the hook says: options of this process, two environment variables, or a record on standard input.
//!
//! The command and its directory are never options: everybody may read a process's arguments.

use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use karo_protocol::Observation;
use karo_protocol::spool::{self, RECORD_BYTES_MAX, SpoolError};

use super::found;

/// The options that are fields of a record, as `--shell-id` is `shell_id`.
const FIELDS: [&str; 21] = [
    "shell",
    "shell_id",
    "seq",
    "started_us",
    "duration_us",
    "precision_us",
    "exit",
    "pipestatus",
    "user",
    "host",
    "tty",
    "ssh",
    "pid",
    "pid_start",
    "boot_id",
    "pid_ns",
    "parent",
    "dropped",
    "command_cut",
    "cwd_cut",
    // The last of the same name counts, so that a test or a person may say it once more.
    "phase",
];

/// One observation as it was handed over, and where it shall go.
#[derive(Debug, Default)]
pub(super) struct Given {
    fields: Vec<(&'static str, Vec<u8>)>,
    record: Option<Vec<u8>>,
    /// Where the daemon listens, if the hook knows.
    pub(super) socket: Option<PathBuf>,
    /// Where to spool, in this order.
    pub(super) spools: Vec<PathBuf>,
}

impl Given {
    /// Reads everything.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong with the options.
    pub(super) fn read() -> Result<Self, String> {
        let mut given = Self::options(std::env::args_os().skip(1))?;
        if given.record.is_some() {
            let mut record = Vec::new();
            let limit = RECORD_BYTES_MAX as u64 + 1;
            std::io::stdin()
                .lock()
                .take(limit)
                .read_to_end(&mut record)
                .map_err(|error| format!("standard input cannot be read: {error}"))?;
            given.record = Some(record);
            return Ok(given);
        }
        let variable = |name| std::env::var_os(name).map(OsString::into_vec);
        given.fields.push(("cwd", variable("KARO_CWD").ok_or("KARO_CWD is not set")?));
        given.fields.push(("command", variable("KARO_COMMAND").ok_or("KARO_COMMAND is not set")?));
        Ok(given)
    }

    fn options(mut arguments: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut given = Self::default();
        let phase = arguments.next().unwrap_or_default();
        if phase != "start" && phase != "end" {
            return Err("the first argument is start or end".to_owned());
        }
        given.fields.push(("phase", phase.into_vec()));
        while let Some(option) = arguments.next() {
            if option == "--stdin" {
                given.record = Some(Vec::new());
                continue;
            }
            let value = arguments.next().ok_or_else(|| format!("{} needs a value", option.display()))?;
            match option.as_bytes() {
                b"--socket" => given.socket = Some(PathBuf::from(value)),
                b"--spool" => given.spools.push(PathBuf::from(value)),
                _ => given.fields.push((field(&option)?, value.into_vec())),
            }
        }
        Ok(given)
    }

    /// Puts the observation together; what the hook left out is found out here.
    ///
    /// # Errors
    ///
    /// The field that is missing or cannot be read.
    pub(super) fn observation(&self) -> Result<Observation, SpoolError> {
        if let Some(record) = &self.record {
            return spool::decode(record);
        }
        let mut fields = spool::Fields::default();
        // A hook that could not find something out says so with an empty value.
        let is_given =
            |name: &str| self.fields.iter().any(|(given, value)| *given == name && !value.is_empty());
        let pid = self.fields.iter().rev().find(|(name, _)| *name == "pid").map(|(_, pid)| pid.as_slice());
        let found = found::fields(pid, is_given);
        for (name, value) in self.fields.iter().chain(&found) {
            fields.push(name.as_bytes(), value);
        }
        fields.observation()
    }
}

/// Returns the field that an option names.
fn field(option: &OsStr) -> Result<&'static str, String> {
    let unknown = || format!("unknown option {}", option.display());
    let name = option.to_str().and_then(|text| text.strip_prefix("--")).ok_or_else(unknown)?;
    let names = |field: &str| field.len() == name.len() && field.split('_').eq(name.split('-'));
    FIELDS.into_iter().find(|field| names(field)).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(words: &[&str]) -> Result<Given, String> {
        Given::options(words.iter().map(OsString::from))
    }

    #[test]
    fn options_are_fields() {
        let given = options(&["end", "--shell-id", "ab", "--seq", "3", "--spool", "/a", "--spool", "/b"])
            .expect("all are known");
        assert_eq!(given.spools, [PathBuf::from("/a"), PathBuf::from("/b")]);
        let names: Vec<_> = given.fields.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["phase", "shell_id", "seq"]);
        assert!(given.record.is_none());
        assert!(options(&["start", "--stdin"]).is_ok_and(|given| given.record.is_some()));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for words in
            [&["begin"][..], &[], &["end", "--seq"], &["end", "--command", "x"], &["end", "--cwd", "/"]]
        {
            assert!(options(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn the_man_page_names_every_option() {
        let page = include_str!("../../packaging/karo-observe.1").replace("\\-", "-");
        let options = FIELDS.iter().map(|field| format!("--{}", field.replace('_', "-")));
        for option in options.chain(["--stdin", "--socket", "--spool"].map(str::to_owned)) {
            assert!(page.contains(&format!("\\fB{option}\\fR")), "{option}");
        }
    }
}
