//! The configuration: its keys, their defaults, units, reasons and ranges, in one table.
//!
//! The daemon and `karoctl config` read TOML into a [`Config`], and [`Config::check`] makes [`Settings`]
//! of it once. What [`default_toml`] prints comes from the same doc comments and defaults, so it cannot
//! differ from the code. Pure: no file is opened here, and no TOML is parsed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::policy::Policy;
use crate::{ShellKind, named_enum};

pub use expression::Expression;
pub use mesh::{
    DiscoverySettings, DiscoveryTable, MeshSettings, MeshTable, PeerSettings, PeerTable, SUBNETS_MAX,
    SubnetEntry, SubnetRule,
};
pub use pattern::Pattern;
pub use service::{ServiceSettings, ServiceTable};
pub use sharing::{SharingPeerTable, SharingTable};
use to_toml::ToToml;

/// Patterns that one list may hold: each is tried on each command.
pub const PATTERNS_MAX: usize = 256;

/// History files that are followed at the most: each is a watch.
pub const FOLLOW_MAX: usize = 16;

/// Directories of rules at the most: each is watched.
pub const RULE_DIRS_MAX: usize = 16;

const MIB: u64 = 1024 * 1024;

/// Declares one table of the file: its keys with type and default, and the text that documents them; and what
/// tables stand in it besides, which are documented by themselves.
macro_rules! table {
    (
        $(#[doc = $about:literal])+
        $name:ident {
            $($(#[doc = $doc:literal])+ $key:ident: $type:ty = $default:expr),+ $(,)?
        }
        $(besides { $($(#[doc = $more_doc:literal])+ $more:ident: $more_type:ty),+ $(,)? })?
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $key: $type,)+
            $($($(#[doc = $more_doc])+ pub $more: $more_type),+)?
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)+ $($($more: Default::default()),+)? }
            }
        }

        impl $name {
            /// Adds each key with its value as TOML, below that name of the table.
            pub(super) fn values(&self, table: &str, values: &mut Vec<(String, String)>) {
                $(values.push((format!("{table}.{}", stringify!($key)), self.$key.to_toml()));)+
            }

            /// Writes the table as it stands in the documented default file, below that line of its name.
            pub(super) fn document(head: &str, text: &mut String) {
                let default = Self::default();
                text.push_str("\n");
                $(comment($about, text);)+
                text.push_str(&format!("{head}\n"));
                $(
                    text.push('\n');
                    $(comment($doc, text);)+
                    text.push_str(&format!("#{} = {}\n", stringify!($key), default.$key.to_toml()));
                )+
            }
        }
    };
}

mod expression;
mod mesh;
mod moment;
mod pattern;
mod service;
mod sharing;
mod to_toml;

fn comment(line: &str, text: &mut String) {
    text.push('#');
    text.push_str(line);
    text.push('\n');
}

table! {
    /// What is recorded, and what is not.
    RecordTable {
        /// Commands that are not recorded: patterns over the whole text, where `*` stands for any
        /// text, `?` for one byte and `\` takes the meaning of the next. Checked before anything is
        /// written; at most 256. Example: ["pass *", "*--password*"].
        ignore: Vec<String> = Vec::new(),
        /// Directories in which nothing is recorded, nor in any directory below: patterns over the
        /// absolute path, `~/` for the home directory; at most 256. Example: ["~/private", "/mnt/*/vault"].
        ignore_dirs: Vec<String> = Vec::new(),
        /// History files of shells that have no hooks, taken in as they grow; at most 16.
        /// `shell` is mksh or ksh, `path` is absolute or begins with `~/`.
        /// Example: [{ shell = "mksh", path = "~/.mksh_history" }].
        follow: Vec<FollowEntry> = Vec::new(),
    }
}

table! {
    /// What is cut out of commands before they are kept, beyond what Karo knows by itself.
    RedactTable {
        /// Secrets that only you know: expressions over the whole text; of one with parentheses, what
        /// the first pair matches is cut. They know . [a-z] \d \w \s \b ^ $ ( | ) (?: ) * + ? {3,5};
        /// at most 256. Example: ["acme_[0-9a-f]{16}", "X-Door: (\\S+)"].
        extra: Vec<String> = Vec::new(),
        /// What is never cut: expressions, each of which describes the whole of what would be; at most
        /// 256. Example: ["hunter2", "test-.*"].
        allow: Vec<String> = Vec::new(),
    }
}

table! {
    /// What tells how risky a command is, besides Karo's own rules.
    RulesTable {
        /// Directories of Sigma rules (`*.yml`, `*.yaml`), read with all that lies below them, and again
        /// whenever something changes there; absolute or from `~/`; at most 16.
        /// Example: ["~/sigma/rules/linux"].
        dirs: Vec<String> = Vec::new(),
    }
}

table! {
    /// How much is kept.
    StoreTable {
        /// Free space in MiB below which nothing more is accepted, 1 to 1048576: the rest of the
        /// system needs it more, and compaction needs room to make room. Hooks spool meanwhile.
        reserve_mib: i64 = 64,
        /// Days after which events are forgotten, up to 36500; 0 for never: a history is worth most
        /// when it is long, and a year of commands is a few MiB.
        retention_days: i64 = 0,
        /// MiB of log above which the oldest events are forgotten, 16 to 1048576; 0 for no limit.
        retention_mib: i64 = 0,
    }
}

table! {
    /// The socket that clients speak to.
    SocketTable {
        /// Sessions open at once, 8 to 4096: each holds one descriptor and one buffer.
        sessions_max: i64 = 256,
        /// Seconds after which a session that sends nothing is closed, 1 to 3600.
        idle_seconds: i64 = 60,
    }
}

table! {
    /// What the daemon says of itself; never a command's text.
    LogTable {
        /// How much: "error", "warn", "info", "debug" or "trace". Info is what an operator acts on.
        level: String = "info".to_owned(),
        /// Where: "stderr", "journald", or "auto" for the journal where standard error is the journal.
        target: String = "auto".to_owned(),
    }
}

/// The file as it was read, unchecked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `[record]`.
    pub record: RecordTable,
    /// `[redact]`.
    pub redact: RedactTable,
    /// `[rules]`.
    pub rules: RulesTable,
    /// `[store]`.
    pub store: StoreTable,
    /// `[socket]`.
    pub socket: SocketTable,
    /// `[log]`.
    pub log: LogTable,
    /// `[service]`.
    pub service: ServiceTable,
    /// `[mesh]`.
    pub mesh: MeshTable,
    /// `[discovery]`.
    pub discovery: DiscoveryTable,
    /// `[sharing]`.
    pub sharing: SharingTable,
}

/// One entry of `[record] follow`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FollowEntry {
    /// `mksh` or `ksh`.
    pub shell: String,
    /// Absolute, or from `~/`.
    pub path: String,
}

/// Returns the documented default file: every key as a comment with its default.
pub fn default_toml() -> String {
    let mut text = String::from(
        "# Configuration of Karo. Every key is optional; what stands here are the defaults.\n\
         # Take the # before a key away to change it, run `karoctl config check`, then send karod a HUP.\n",
    );
    RecordTable::document("[record]", &mut text);
    RedactTable::document("[redact]", &mut text);
    RulesTable::document("[rules]", &mut text);
    StoreTable::document("[store]", &mut text);
    SocketTable::document("[socket]", &mut text);
    LogTable::document("[log]", &mut text);
    ServiceTable::document("[service]", &mut text);
    MeshTable::document("[mesh]", &mut text);
    PeerTable::document("#[[mesh.peers]]", &mut text);
    DiscoveryTable::document("[discovery]", &mut text);
    SharingTable::document("[sharing]", &mut text);
    SharingPeerTable::document("#[[sharing.peers]]", &mut text);
    text
}

/// The configuration, checked: what the daemon runs by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What is recorded.
    pub record: RecordSettings,
    /// What is cut out of commands.
    pub redact: RedactSettings,
    /// What tells how risky a command is.
    pub rules: RulesSettings,
    /// How much is kept.
    pub store: StoreSettings,
    /// The socket.
    pub socket: SocketSettings,
    /// What the daemon says of itself.
    pub log: LogSettings,
    /// How it lives under a service manager.
    pub service: ServiceSettings,
    /// Other machines.
    pub mesh: MeshSettings,
    /// Where candidates are looked for.
    pub discovery: DiscoverySettings,
    /// What goes to others, where no command says otherwise.
    pub sharing: Policy,
}

/// What is recorded, and what is not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordSettings {
    /// Commands that are not.
    pub ignore: Vec<Pattern>,
    /// Directories in and below which nothing is.
    pub ignore_dirs: Vec<Pattern>,
    /// History files that are followed.
    pub follow: Vec<Follow>,
}

impl RecordSettings {
    /// Tells whether a rule of the user keeps this command out of the store.
    pub fn is_ignored(&self, command: &[u8], cwd: &[u8]) -> bool {
        self.ignore.iter().any(|pattern| pattern.matches(command))
            || self.ignore_dirs.iter().any(|pattern| pattern.matches_at_or_above(cwd))
    }
}

/// What is cut out of commands, and what never is, beyond what Karo knows by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RedactSettings {
    /// Secrets that only the user knows.
    pub extra: Vec<Expression>,
    /// What is no secret, whatever it looks like.
    pub allow: Vec<Expression>,
}

/// A history file that is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follow {
    /// The shell that writes it.
    pub shell: ShellKind,
    /// Where it is: absolute.
    pub path: PathBuf,
}

/// What tells how risky a command is, besides Karo's own rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RulesSettings {
    /// Directories of Sigma rules: absolute.
    pub dirs: Vec<PathBuf>,
}

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreSettings {
    /// Free bytes below which nothing is accepted.
    pub reserve_bytes: u64,
    /// Age past which events are forgotten; `None` for never.
    pub retention: Option<Duration>,
    /// Bytes of log above which the oldest events are forgotten; `None` for no limit.
    pub retention_bytes: Option<u64>,
}

/// The socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketSettings {
    /// Sessions open at once.
    pub sessions_max: u32,
    /// Time after which a silent session is closed.
    pub idle: Duration,
}

/// What the daemon says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSettings {
    /// How much.
    pub level: LogLevel,
    /// Where.
    pub target: LogTarget,
}

named_enum! {
    /// How much is logged.
    LogLevel, "level" {
        /// What went wrong.
        Error = "error",
        /// What may go wrong.
        Warn = "warn",
        /// What an operator acts on.
        Info = "info",
        /// What follows one event.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

named_enum! {
    /// Where the log goes.
    LogTarget, "target" {
        /// The journal where standard error is the journal, else standard error.
        Auto = "auto",
        /// Standard error.
        Stderr = "stderr",
        /// The journal.
        Journald = "journald",
    }
}

impl Default for Settings {
    fn default() -> Self {
        Config::default().check(None).expect("the defaults are within their ranges and need no home")
    }
}

/// A value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The key, as `store.reserve_mib` or `record.follow[0].path`.
    pub key: String,
    /// What it is set to.
    pub value: String,
    /// What it may be set to.
    pub accepted: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}, accepted is {}", self.key, self.value, self.accepted)
    }
}

impl std::error::Error for ConfigError {}

fn refused(key: impl Into<String>, value: impl fmt::Display, accepted: impl Into<String>) -> ConfigError {
    ConfigError { key: key.into(), value: value.to_string(), accepted: accepted.into() }
}

impl Config {
    /// Returns each key with its value as TOML, in the order of the documented default file; a table that may stand
    /// there several times has a number behind its name.
    pub fn values(&self) -> Vec<(String, String)> {
        let mut values = Vec::new();
        self.record.values("record", &mut values);
        self.redact.values("redact", &mut values);
        self.rules.values("rules", &mut values);
        self.store.values("store", &mut values);
        self.socket.values("socket", &mut values);
        self.log.values("log", &mut values);
        self.service.values("service", &mut values);
        self.mesh.values("mesh", &mut values);
        for (place, peer) in self.mesh.peers.iter().enumerate() {
            peer.values(&format!("mesh.peers[{place}]"), &mut values);
        }
        self.discovery.values("discovery", &mut values);
        self.sharing.values("sharing", &mut values);
        for (place, peer) in self.sharing.peers.iter().enumerate() {
            peer.values(&format!("sharing.peers[{place}]"), &mut values);
        }
        values
    }

    /// Checks every value and makes settings of them; `home` stands for `~`.
    ///
    /// # Errors
    ///
    /// The first key whose value is out of its range.
    pub fn check(&self, home: Option<&Path>) -> Result<Settings, ConfigError> {
        Ok(Settings {
            record: self.record.check(home)?,
            redact: self.redact.check()?,
            rules: self.rules.check(home)?,
            store: self.store.check()?,
            socket: self.socket.check()?,
            log: self.log.check()?,
            service: self.service.check()?,
            mesh: self.mesh.check()?,
            discovery: self.discovery.check()?,
            sharing: self.sharing.check()?,
        })
    }
}

impl RecordTable {
    fn check(&self, home: Option<&Path>) -> Result<RecordSettings, ConfigError> {
        let ignore = patterns("record.ignore", &self.ignore, |_, text| Ok(text.to_owned()))?;
        let ignore_dirs = patterns("record.ignore_dirs", &self.ignore_dirs, |key, text| {
            absolute(key, text, home).map(|path| match path.trim_end_matches('/') {
                "" => path,
                trimmed => trimmed.to_owned(),
            })
        })?;
        if self.follow.len() > FOLLOW_MAX {
            let accepted = format!("at most {FOLLOW_MAX} entries");
            return Err(refused("record.follow", format_args!("{} entries", self.follow.len()), accepted));
        }
        let follow = self.follow.iter().enumerate().map(|(place, entry)| entry.check(place, home));
        Ok(RecordSettings { ignore, ignore_dirs, follow: follow.collect::<Result<_, _>>()? })
    }
}

impl RedactTable {
    fn check(&self) -> Result<RedactSettings, ConfigError> {
        let extra = expressions("redact.extra", &self.extra)?;
        Ok(RedactSettings { extra, allow: expressions("redact.allow", &self.allow)? })
    }
}

impl FollowEntry {
    fn check(&self, place: usize, home: Option<&Path>) -> Result<Follow, ConfigError> {
        let key = format!("record.follow[{place}]");
        let shell = match self.shell.parse() {
            Ok(shell @ (ShellKind::Mksh | ShellKind::Ksh)) => shell,
            Ok(ShellKind::Bash | ShellKind::Zsh | ShellKind::Fish | ShellKind::Other) | Err(_) => {
                let accepted = "mksh or ksh; bash, zsh and fish have hooks";
                return Err(refused(format!("{key}.shell"), &self.shell, accepted));
            }
        };
        let path = absolute(&format!("{key}.path"), &self.path, home)?;
        Ok(Follow { shell, path: path.into() })
    }
}

impl RulesTable {
    fn check(&self, home: Option<&Path>) -> Result<RulesSettings, ConfigError> {
        if self.dirs.len() > RULE_DIRS_MAX {
            let accepted = format!("at most {RULE_DIRS_MAX} directories");
            return Err(refused("rules.dirs", format_args!("{} entries", self.dirs.len()), accepted));
        }
        let dirs =
            self.dirs.iter().enumerate().map(|(place, text)| {
                absolute(&format!("rules.dirs[{place}]"), text, home).map(PathBuf::from)
            });
        Ok(RulesSettings { dirs: dirs.collect::<Result<_, _>>()? })
    }
}

impl StoreTable {
    fn check(&self) -> Result<StoreSettings, ConfigError> {
        let retention_mib = match self.retention_mib {
            0 => 0,
            _ => within("store.retention_mib", self.retention_mib, 16, 1_048_576, "MiB, or 0 for no limit")?,
        };
        let days = within("store.retention_days", self.retention_days, 0, 36_500, "days, 0 for never")?;
        let reserve_mib = within("store.reserve_mib", self.reserve_mib, 1, 1_048_576, "MiB")?;
        Ok(StoreSettings {
            reserve_bytes: reserve_mib * MIB,
            retention: (days > 0).then(|| Duration::from_secs(days * 86_400)),
            retention_bytes: (retention_mib > 0).then_some(retention_mib * MIB),
        })
    }
}

impl SocketTable {
    fn check(&self) -> Result<SocketSettings, ConfigError> {
        let sessions_max = within("socket.sessions_max", self.sessions_max, 8, 4096, "sessions")?;
        let idle_seconds = within("socket.idle_seconds", self.idle_seconds, 1, 3600, "seconds")?;
        Ok(SocketSettings { sessions_max: sessions_max as u32, idle: Duration::from_secs(idle_seconds) })
    }
}

impl LogTable {
    fn check(&self) -> Result<LogSettings, ConfigError> {
        let level = self.level.parse::<LogLevel>();
        let target = self.target.parse::<LogTarget>();
        Ok(LogSettings {
            level: level.map_err(|error| refused("log.level", &self.level, one_of(&error.expected)))?,
            target: target.map_err(|error| refused("log.target", &self.target, one_of(&error.expected)))?,
        })
    }
}

fn one_of(names: &str) -> String {
    format!("one of {names}")
}

fn within(key: &str, value: i64, min: i64, max: i64, unit: &str) -> Result<u64, ConfigError> {
    if (min..=max).contains(&value) {
        return Ok(value.unsigned_abs());
    }
    Err(refused(key, value, format!("{min} to {max} {unit}")))
}

fn expressions(list: &str, texts: &[String]) -> Result<Vec<Expression>, ConfigError> {
    if texts.len() > PATTERNS_MAX {
        let found = format_args!("{} expressions", texts.len()).to_string();
        return Err(refused(list, found, format!("at most {PATTERNS_MAX} expressions")));
    }
    let expression = |(place, text): (usize, &String)| {
        Expression::new(text)
            .map_err(|accepted| refused(format!("{list}[{place}]"), format_args!("{text:?}"), accepted))
    };
    texts.iter().enumerate().map(expression).collect()
}

fn patterns(
    list: &str,
    texts: &[String],
    full: impl Fn(&str, &str) -> Result<String, ConfigError>,
) -> Result<Vec<Pattern>, ConfigError> {
    if texts.len() > PATTERNS_MAX {
        let found = format_args!("{} patterns", texts.len()).to_string();
        return Err(refused(list, found, format!("at most {PATTERNS_MAX} patterns")));
    }
    let pattern = |(place, text): (usize, &String)| {
        let key = format!("{list}[{place}]");
        let text = full(&key, text)?;
        Pattern::new(&text).map_err(|accepted| refused(key, format_args!("{text:?}"), accepted))
    };
    texts.iter().enumerate().map(pattern).collect()
}

/// Puts the home directory in the place of `~`, and wants an absolute path.
fn absolute(key: &str, text: &str, home: Option<&Path>) -> Result<String, ConfigError> {
    let path = match (text.strip_prefix('~'), home.and_then(Path::to_str)) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => format!("{home}{rest}"),
        (Some(rest), None) if rest.is_empty() || rest.starts_with('/') => {
            return Err(refused(key, format_args!("{text:?}"), "an absolute path, for HOME is not set"));
        }
        (Some(_) | None, _) => text.to_owned(),
    };
    if path.starts_with('/') {
        return Ok(path);
    }
    Err(refused(key, format_args!("{text:?}"), "an absolute path, or one from ~/"))
}

#[cfg(test)]
mod tests;
