//! The command line: one definition for parsing, `--help`, completions and man pages.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum, ValueHint};
use karo_protocol::{Axis, Category, EventId, Risk, ShellId, ShellKind};

use super::exit;

pub use living::{DeedArgs, InstallArgs, ScopeArgs, ServiceCommand, SetupArgs, SetupPart, UninstallArgs};
pub use logs::LogsArgs;
pub use mesh::{
    AuditArgs, AuditCommand, AuditFilterArgs, CalledArgs, IdentityCommand, PairArgs, PassphraseArgs,
    PeersArgs, PeersCommand, split_node,
};
pub use sharing::{
    AddArgs, AnomaliesArgs, CompareWith, CreateArgs, GroupArgs, GroupCommand, MeshArgs, MeshQuestion,
    PolicyArgs, PolicyCommand, PolicyKey, SummaryArgs, SummaryCommand,
};

mod events;
mod living;
mod logs;
mod mesh;
mod sharing;

/// Ask for your own recorded commands, look after their recording, and link your machines.
#[derive(Debug, Parser)]
#[command(name = "karoctl", version, max_term_width = 110, after_long_help = exit::table(), after_help = "Exit codes and more: karoctl --help")]
pub struct Cli {
    /// Answer in JSON, one object a line.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What karoctl can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set Karo up on this machine: service, hooks, old history; each asked for, all of it undone by `uninstall`.
    Setup(SetupArgs),
    /// Show how the daemon is and what it keeps.
    Status,
    /// Find your own commands; with --mesh, ask a group.
    Query(QueryArgs),
    /// Forget commands for good.
    Delete(DeleteArgs),
    /// Write events with everything that is known of them.
    Export(ExportArgs),
    /// Take in other histories; what is there already is not taken twice.
    Import(ImportArgs),
    /// Say of a command line what it runs, how risky it is and what in it is secret; nothing is stored.
    Explain(ExplainArgs),
    /// Look at the rules that risk is decided by.
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Understand what is stored by the tables and rules of today.
    Reclassify(ReclassifyArgs),
    /// Put the hook into a shell.
    #[command(subcommand)]
    Shell(ShellCommand),
    /// Have karod started and looked after by this machine's service manager.
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Undo what `setup` did; with --purge forget what was recorded, too.
    Uninstall(UninstallArgs),
    /// Show each value of the configuration with where it comes from, or check a file.
    Config(ConfigArgs),
    /// Look after the store.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Look after the key that this machine is known by.
    #[command(subcommand)]
    Identity(IdentityCommand),
    /// Show the machines that are trusted, and how their links are.
    Peers(PeersArgs),
    /// Show what Karo itself did, and prove it.
    Audit(AuditArgs),
    /// Show what this machine tells of you, and what others told this machine of themselves.
    Summary(SummaryArgs),
    /// Show and change what goes to whom.
    Policy(PolicyArgs),
    /// Make numbers together with others, none of them about one person.
    Group(GroupArgs),
    /// Show what was unusual about your own days; nobody else sees this.
    Anomalies(AnomaliesArgs),
    /// Show what karod said: who came and went, what went wrong, and what it was told.
    Logs(LogsArgs),
    /// Check what goes wrong in life, and name the mend.
    Doctor,
    /// Write completions for a shell to standard output.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the man pages into a directory, or the first of them to standard output.
    Man {
        /// Where to write them.
        #[arg(value_hint = ValueHint::DirPath)]
        directory: Option<PathBuf>,
    },
    /// Show the versions of karoctl, of the protocol and of the daemon.
    Version,
}

/// Which events are meant.
#[derive(Debug, Clone, Default, Args)]
pub struct FilterArgs {
    /// Started at or after: RFC 3339, 2026-11-01, "2026-11-01 14:00", 14:00, today, yesterday, 2h, 3d.
    #[arg(long, value_name = "T")]
    pub since: Option<String>,
    /// Started before; as --since.
    #[arg(long, value_name = "T")]
    pub until: Option<String>,
    /// Started exactly in this directory.
    #[arg(long, value_name = "DIR", conflicts_with = "under", value_hint = ValueHint::DirPath)]
    pub cwd: Option<PathBuf>,
    /// Started in this directory or below.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub under: Option<PathBuf>,
    /// Ended with exactly this status.
    #[arg(long, value_name = "N", group = "outcome", allow_negative_numbers = true)]
    pub exit: Option<i32>,
    /// Ended with any status but zero.
    #[arg(long, group = "outcome")]
    pub failed: bool,
    /// Ended with zero.
    #[arg(long, group = "outcome")]
    pub ok: bool,
    /// Not ended yet.
    #[arg(long, group = "outcome")]
    pub running: bool,
    /// Its shell went away before it ended.
    #[arg(long, group = "outcome")]
    pub lost: bool,
    /// Of this category.
    #[arg(long, value_name = "C", value_parser = names(Category::ALL, Category::name))]
    pub category: Option<Category>,
    /// Of this level of risk or a higher one.
    #[arg(long, value_name = "LEVEL", value_parser = names(Risk::ALL, Risk::name))]
    pub risk: Option<Risk>,
    /// Risky in this way: threat (an attacker's deed), hazard (it can destroy), exposure (it shows secrets).
    #[arg(long, value_name = "AXIS", value_parser = names(Axis::ALL, Axis::name))]
    pub axis: Option<Axis>,
    /// Matched by the rule of this id; `karoctl rules list` has them.
    #[arg(long, value_name = "ID")]
    pub rule: Option<String>,
    /// Typed into this kind of shell.
    #[arg(long, value_name = "S", value_parser = names(ShellKind::ALL, ShellKind::name))]
    pub shell: Option<ShellKind>,
    /// Typed into this one shell.
    #[arg(long, value_name = "ID")]
    pub shell_id: Option<ShellId>,
    /// Run on this machine.
    #[arg(long, value_name = "H", value_hint = ValueHint::Hostname)]
    pub host: Option<String>,
    /// Run by this account.
    #[arg(long, value_name = "U", value_hint = ValueHint::Username)]
    pub user: Option<String>,
}

/// `karoctl query`.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = QUERY_HELP)]
pub struct QueryArgs {
    /// Each must occur in the command; a capital letter makes a word exact, else ASCII case is ignored.
    #[arg(value_name = "WORD")]
    pub words: Vec<OsString>,
    /// Which events.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Show each text once, the newest of it.
    #[arg(long)]
    pub unique: bool,
    /// Show at most so many; 0 for all.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: u32,
    /// Show the earliest first; with a limit, the earliest of all.
    #[arg(long)]
    pub oldest_first: bool,
    /// Count them, by this.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["unique", "oldest_first"])]
    pub count_by: Option<CountKeyArg>,
    /// How the answer is written.
    #[arg(long, value_enum, default_value_t = Format::Table, conflicts_with = "json")]
    pub format: Format,
    /// What a group is asked.
    #[command(flatten)]
    pub mesh: MeshArgs,
}

/// What `karoctl query --help` says besides.
const QUERY_HELP: &str = "A table marks risk before the command: ! medium, !! high, !!! critical; lower levels have no \
mark. `karoctl explain` says why.";

/// By what to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CountKeyArg {
    /// The most telling category.
    Category,
    /// Each program that a line runs.
    Tool,
    /// Hour of the day.
    Hour,
    /// Day of the week.
    Weekday,
    /// Day.
    Day,
    /// Directory.
    Cwd,
    /// Exit status.
    Exit,
    /// Machine.
    Host,
    /// Level of risk.
    Risk,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For eyes.
    Table,
    /// One object a line, with everything.
    Json,
    /// With a line of names first.
    Csv,
    /// The commands alone.
    Text,
}

/// `karoctl delete`.
#[derive(Debug, Clone, Args)]
pub struct DeleteArgs {
    /// Events by their id.
    #[arg(value_name = "ID")]
    pub ids: Vec<EventId>,
    /// Each must occur in the command, as the words of query.
    #[arg(long = "word", value_name = "WORD")]
    pub words: Vec<OsString>,
    /// Which events.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
}

/// `karoctl export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// Which events; all without any.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// How they are written; JSON Lines can be imported again without loss.
    #[arg(long, value_enum, default_value_t = ExportFormat::Json, conflicts_with = "json")]
    pub format: ExportFormat,
    /// Write to this file, made anew and readable by you alone, not to standard output.
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
}

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// JSON Lines.
    Json,
    /// With a line of names first.
    Csv,
}

/// `karoctl import`.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = IMPORT_HELP)]
pub struct ImportArgs {
    /// What to take in: a file, `-` for standard input, or `auto` for the history files that are found.
    #[arg(value_name = "FILE|auto", value_hint = ValueHint::FilePath)]
    pub source: PathBuf,
    /// What the file is; without it, its name and its beginning tell.
    #[arg(long, value_enum)]
    pub format: Option<HistoryFormat>,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
}

/// What `karoctl import --help` says besides.
const IMPORT_HELP: &str = "A line is known again by its shell's kind, its time, its text and how many \
before it say the same, so a file that has grown, was cut by its shell or was copied adds only what is new. \
What the hooks recorded in the same second is not taken in again either. Without a time in the file, a \
command has the time of the nearest one before it that has one, else the time of the import.\n\n\
JSON Lines need only `command`; `started_at` (RFC 3339) or `started_us`, `duration_ms` or `duration_us`, \
`cwd`, `exit`, `host`, `user`, `shell` and all else that `karoctl export` writes is read where it is there.";

/// What a history file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum HistoryFormat {
    /// What `karoctl export` writes, or any JSON Lines with a `command`.
    Json,
    /// bash, with or without times.
    Bash,
    /// zsh, plain or extended.
    Zsh,
    /// fish.
    Fish,
    /// mksh, plain or binary.
    Mksh,
    /// ksh, plain or binary.
    Ksh,
    /// One command a line.
    Plain,
}

/// `karoctl explain`.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = EXPLAIN_HELP)]
pub struct ExplainArgs {
    /// A whole command line, in quotes; several are explained one after the other, `-` reads standard input.
    #[arg(value_name = "LINE", conflicts_with = "jsonl")]
    pub lines: Vec<OsString>,
    /// Read lines {"id":..,"cmd":..} from standard input, and write a line for each.
    #[arg(long)]
    pub jsonl: bool,
    /// Directory that rules are told of; without it, the current one, and none with --jsonl.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub cwd: Option<PathBuf>,
}

/// What `karoctl explain --help` says besides.
const EXPLAIN_HELP: &str = "--jsonl answers each line with one object: id as it was given; redacted; spans as \
[start, end, kind] in bytes of cmd; runs, each with argv, context (pipe_in, pipe_out, substitution, heredoc, \
background, function), privileged and remote; category; categories; risk (none, or the highest level); axis (null \
without a risk); rules. A line that is no such object is named on standard error and left out; the others are \
answered, and the exit code is 2.";

/// `karoctl rules`.
#[derive(Debug, Clone, Subcommand)]
pub enum RulesCommand {
    /// List the rules in use, the highest level first.
    List,
    /// Name the rules that cannot be used, with file, line and reason; with any of them, the exit code is 4.
    Check {
        /// Rule files, or directories of them; without any, what the daemon has loaded.
        #[arg(value_hint = ValueHint::AnyPath)]
        files: Vec<PathBuf>,
    },
    /// Say which lines the rules of one file match, whether or not the daemon uses it.
    #[command(after_long_help = RULES_TEST_HELP)]
    Test {
        /// The rule file, or its directory with rule.yml in it.
        #[arg(value_hint = ValueHint::AnyPath)]
        file: PathBuf,
        /// Command lines, in quotes; `-` reads them from standard input.
        #[arg(value_name = "LINE")]
        lines: Vec<OsString>,
    },
}

/// What `karoctl rules test --help` says besides.
const RULES_TEST_HELP: &str = "Without a LINE, every line of match.txt beside the file must match and no line of \
miss.txt may; empty lines count for nothing, and the exit code is 4 if a line is not as it should be. With LINEs, \
each is shown with the fields that matched, and the exit code is 1 if none does.";

/// `karoctl reclassify`.
#[derive(Debug, Clone, Copy, Args)]
#[command(after_long_help = RECLASSIFY_HELP)]
pub struct ReclassifyArgs {
    /// Also cut out of stored commands the secrets that are found today; what is cut is gone for good.
    #[arg(long)]
    pub redact: bool,
}

/// What `karoctl reclassify --help` says besides.
const RECLASSIFY_HELP: &str = "It may be stopped at any time: what is done stays done, and the next one does the rest. \
Meanwhile commands are recorded and found as always.";

/// `karoctl shell`.
#[derive(Debug, Clone, Subcommand)]
pub enum ShellCommand {
    /// Print the hook, for `eval`.
    Init(ShellArgs),
    /// Load the hook in every new shell, by a few marked lines in its rc file.
    Install(ShellArgs),
    /// Take these lines out again.
    Uninstall {
        /// The shell.
        shell: HookedShell,
    },
}

/// Which hook.
#[derive(Debug, Clone, Copy, Args)]
pub struct ShellArgs {
    /// The shell.
    pub shell: HookedShell,
    /// How records reach the daemon.
    #[arg(long, value_enum, default_value_t = HookMode::Client)]
    pub mode: HookMode,
}

/// The shells that have hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HookedShell {
    /// GNU bash.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
}

/// How records reach the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HookMode {
    /// By karo-observe in the background.
    Client,
    /// By files that the shell writes itself.
    Spool,
}

impl HookedShell {
    /// Every shell that has a hook.
    pub const ALL: [Self; 3] = [Self::Bash, Self::Zsh, Self::Fish];

    /// Returns the name that is typed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
        }
    }
}

impl HookMode {
    /// Returns the name that is typed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Spool => "spool",
        }
    }
}

/// `karoctl config`.
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// What is done; without it, `show`.
    #[command(subcommand)]
    pub command: Option<ConfigCommand>,
}

/// What is done with the configuration.
#[derive(Debug, Clone, Subcommand)]
pub enum ConfigCommand {
    /// Show each value, and whether it is the default or comes from a line of the file, the environment or a flag.
    Show {
        /// The file that karod is given by its own --config.
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        config: Option<PathBuf>,
    },
    /// Print the default file, every key with its meaning, unit and range.
    Default,
    /// Check a file, without reloading it.
    Check {
        /// The file; without it, the one that the daemon reads.
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
}

/// `karoctl store`.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum StoreCommand {
    /// Show what the store holds and how much room it takes.
    Info,
    /// Read all of it and check it.
    Verify,
    /// Make it as small as it can be.
    Compact,
}

/// Returns the definition with the exit codes below the help of every command.
pub fn command() -> clap::Command {
    Cli::command().mut_subcommands(|command| {
        let before = command.get_after_long_help().map(|text| format!("{text}\n\n")).unwrap_or_default();
        command.after_long_help(format!("{before}{}", exit::table_of_karoctl()))
    })
}

/// Reads the command line of this process.
///
/// # Errors
///
/// What clap says, the wish for help or the version among it.
pub fn parse() -> Result<Cli, clap::Error> {
    Cli::from_arg_matches(&command().try_get_matches()?)
}

/// Reads a command line, without the name of the program.
///
/// # Errors
///
/// As [`parse`].
#[cfg(test)]
pub fn parse_from(line: &[&str]) -> Result<Cli, clap::Error> {
    let line = std::iter::once("karoctl").chain(line.iter().copied());
    Cli::from_arg_matches(&command().try_get_matches_from(line)?)
}

/// Accepts the names of one of the protocol's closed lists.
fn names<T>(all: &'static [T], name: fn(T) -> &'static str) -> impl TypedValueParser<Value = T>
where
    T: std::str::FromStr<Err: std::fmt::Debug> + Copy + Send + Sync + 'static,
{
    PossibleValuesParser::new(all.iter().map(|value| name(*value)))
        .map(|name| name.parse().expect("only names of the list come this far"))
}
