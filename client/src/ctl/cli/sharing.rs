//! The commands about what is shared: `summary`, `policy`, `group`, `anomalies`, and `query --mesh`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use karo_protocol::summary::Period;

use super::names;

/// What is said of a summary below its help.
const SUMMARY_HELP: &str = "A summary is about you: how much you did at which hour, with which kinds of tools, how often \
it failed and how risky it was. It names no command, no path, no machine and no program that is not on the public list. \
None is made or sent until `karoctl policy set summaries on`.\n\nWithout --since, the last seven days are shown; without \
--period, days.";

/// `karoctl summary`.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = SUMMARY_HELP)]
pub struct SummaryArgs {
    /// Which, and whose; without it, your own are shown.
    #[command(subcommand)]
    pub command: Option<SummaryCommand>,
    /// Of this length; may be given several times.
    #[arg(long, global = true, value_name = "P", value_parser = names(Period::ALL, Period::name))]
    pub period: Vec<Period>,
    /// Beginning at or after: RFC 3339, 2026-11-01, today, yesterday, 3d, 2w.
    #[arg(long, global = true, value_name = "T")]
    pub since: Option<String>,
    /// Beginning before; as --since.
    #[arg(long, global = true, value_name = "T")]
    pub until: Option<String>,
    /// Show everything in each, not one line.
    #[arg(long, global = true)]
    pub full: bool,
}

/// Which summaries.
#[derive(Debug, Clone, Subcommand)]
pub enum SummaryCommand {
    /// Show your own, as they would be told without rules for one peer.
    Show,
    /// Show what that peer would get now, to the byte; nothing is sent.
    Preview {
        /// Which peer.
        peer: String,
    },
    /// Show what was sent, and whether it arrived.
    Sent {
        /// To this peer; to all without it.
        peer: Option<String>,
    },
    /// Show what was received.
    Received {
        /// From this peer; from all without it.
        peer: Option<String>,
    },
    /// Ask a peer for its own; it answers if its policy and its trust in this machine allow it.
    Ask {
        /// Which peer.
        peer: String,
    },
}

/// What is said of the policy below its help.
const POLICY_HELP: &str = "What a command sets holds at once and before the configuration, also for what is on its way; \
only denials of both add up. A denial beats everything that allows. Every change is in `karoctl audit`.";

/// What is said below the help of `karoctl policy set`.
const POLICY_SET_HELP: &str = "KEY and VALUE:\n\
\x20 summaries  on, off, default     whether summaries of this machine are made and sent\n\
\x20 groups     on, off, default     whether this machine takes part in the numbers of its groups\n\
\x20 health     on, off, default     whether peers may ask how this machine is\n\
\x20 allow      LIST, all, default   categories that are told of; all of them until told otherwise\n\
\x20 deny       LIST, none           categories that are not told of, whatever is allowed\n\n\
default leaves it to the configuration. LIST is names with commas, as build,vcs. With --peer, KEY is summaries, health \
or deny, and only takes away from what that peer's trust allows.";

/// `karoctl policy`.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = POLICY_HELP)]
pub struct PolicyArgs {
    /// What to do; without it, the policy is shown.
    #[command(subcommand)]
    pub command: Option<PolicyCommand>,
}

/// What can be done with the policy.
#[derive(Debug, Clone, Subcommand)]
pub enum PolicyCommand {
    /// Show what goes to whom.
    Show,
    /// Change it, at once.
    #[command(after_long_help = POLICY_SET_HELP)]
    Set {
        /// What is changed.
        #[arg(value_enum)]
        key: PolicyKey,
        /// To what.
        #[arg(value_name = "VALUE")]
        value: String,
        /// For this peer alone.
        #[arg(long, value_name = "PEER")]
        peer: Option<String>,
        /// Do not ask; what the switch means is printed all the same.
        #[arg(long, short)]
        yes: bool,
    },
    /// Show what that peer would get now, to the byte; nothing is sent.
    Preview {
        /// Which peer.
        peer: String,
    },
    /// Say what goes to that peer and which rule decides.
    Explain {
        /// Which peer.
        peer: String,
    },
}

/// What can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PolicyKey {
    /// Summaries of this machine, to peers with share-to, query-from or peer.
    Summaries,
    /// A part in the numbers of groups.
    Groups,
    /// How this machine is, to peers with peer or supervisor.
    Health,
    /// The categories that are told of.
    Allow,
    /// The categories that are not.
    Deny,
}

/// What is said of groups below their help.
const GROUP_HELP: &str = "A group is a file. Somebody makes it with `create` and `add`, hands it to everybody in it, and each \
accepts the very same file, or is not in the group. Nothing is given until `karoctl policy set groups on`.\n\nWhere NAME|FILE \
is asked for, a file that is there is meant before a group of that name.";

/// `karoctl group`.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = GROUP_HELP)]
pub struct GroupArgs {
    /// What to do; without it, the groups of this machine are listed.
    #[command(subcommand)]
    pub command: Option<GroupCommand>,
}

/// What can be done with groups.
#[derive(Debug, Clone, Subcommand)]
pub enum GroupCommand {
    /// List the groups of this machine, accepted and offered.
    List,
    /// Print this machine's card, for whoever makes a group file.
    Card,
    /// Begin a group file, with this machine as its first member.
    Create(CreateArgs),
    /// Put a machine into a group file.
    Add(AddArgs),
    /// Take a machine out of a group file.
    Remove {
        /// The file; it is written anew.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// The machine's name in the file, or its node id.
        member: String,
    },
    /// Show what a group file says.
    Show {
        /// A file, or a group's name; without it, the only group.
        #[arg(value_name = "NAME|FILE", value_hint = ValueHint::FilePath)]
        what: Option<String>,
    },
    /// Show what is new in a file against the one that is accepted.
    Diff {
        /// A file, or the name of a group that was offered.
        #[arg(value_name = "FILE|NAME", value_hint = ValueHint::FilePath)]
        what: String,
    },
    /// Accept a file, after you have seen what is new in it.
    Accept {
        /// A file, or the name of a group that was offered.
        #[arg(value_name = "FILE|NAME", value_hint = ValueHint::FilePath)]
        what: String,
        /// Do not ask, and accept only if this is its id, as `karoctl group diff` prints it.
        #[arg(long, value_name = "ID")]
        yes_if_id: Option<String>,
    },
    /// Leave a group: nothing is given to it from now on.
    Leave {
        /// Its name.
        name: String,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },
    /// List the days: closed, given, refused, and with whom.
    Atoms {
        /// Of this group; of all without it.
        name: Option<String>,
    },
    /// Close a past day that no numbers were made for; it can be closed once.
    Close {
        /// The group; the only one without it.
        name: Option<String>,
        /// Which day, in the group's time zone: 2026-11-18, yesterday.
        #[arg(long, value_name = "DAY")]
        day: String,
    },
}

/// `karoctl group create`.
#[derive(Debug, Clone, Args)]
pub struct CreateArgs {
    /// The file, made anew and readable by you alone.
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// What the group is called: one word.
    #[arg(long, value_name = "N")]
    pub name: String,
    /// The time zone in which its days begin, as Europe/Berlin; this machine's if not said.
    #[arg(long, value_name = "Z")]
    pub zone: Option<String>,
    /// Fewer people than that never make a number; 5 at least, 8 is wiser and the default.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u16).range(5..=1000))]
    pub smallest: Option<u16>,
    /// Programs that have lines of their own, with commas; `default` for well-known ones, `none` for none.
    #[arg(long, value_name = "A,B", value_delimiter = ',', default_value = "default")]
    pub tools: Vec<String>,
    /// Rules that have lines of their own, ids with commas; `default` for Karo's critical ones, `none` for none.
    #[arg(long, value_name = "ID,ID", value_delimiter = ',', default_value = "default")]
    pub rules: Vec<String>,
    /// Whose this machine is; the name of its account if not said.
    #[arg(long, value_name = "O")]
    pub owner: Option<String>,
    /// What this machine is called in the group; its fingerprint if not said.
    #[arg(long, value_name = "M", requires = "owner")]
    pub machine: Option<String>,
    /// Where this machine is reached by the others.
    #[arg(long, value_name = "ADDR[:PORT]", requires = "owner", value_hint = ValueHint::Hostname)]
    pub address: Vec<String>,
    /// Overwrite a file that is there.
    #[arg(long)]
    pub force: bool,
}

/// `karoctl group add`.
#[derive(Debug, Clone, Args)]
pub struct AddArgs {
    /// The file; it is written anew.
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// A peer by its name, the card that `karoctl group card` prints there, or `self`.
    #[arg(value_name = "PEER|CARD")]
    pub who: String,
    /// Whose machine it is; the peer's owner if not said.
    #[arg(long, value_name = "O")]
    pub owner: Option<String>,
    /// What it is called in the group; the peer's name if not said.
    #[arg(long, value_name = "N")]
    pub name: Option<String>,
    /// It gives its numbers to its owner's other machine, which contributes.
    #[arg(long, conflicts_with = "contributes")]
    pub feeds: bool,
    /// It is the one that contributes for its owner; an owner's first machine is, if not said.
    #[arg(long)]
    pub contributes: bool,
    /// It never adds up for the group.
    #[arg(long)]
    pub no_aggregate: bool,
    /// Where it is reached; the peer's addresses if not said.
    #[arg(long, value_name = "ADDR[:PORT]", value_hint = ValueHint::Hostname)]
    pub address: Vec<String>,
}

/// `karoctl query --mesh`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Ask a group")]
pub struct MeshArgs {
    /// Ask a group, in whole days: never about one person, never about fewer than five.
    #[arg(long, value_name = "QUESTION", value_enum, conflicts_with_all = LOCAL)]
    pub mesh: Option<MeshQuestion>,
    /// Which group; the only one if not said.
    #[arg(long, value_name = "NAME", requires = "mesh")]
    pub group: Option<String>,
    /// Say what has changed against as many days before.
    #[arg(long, value_enum, value_name = "WITH", requires = "mesh")]
    pub compare: Option<CompareWith>,
    /// Name the peers from which no answer came.
    #[arg(long, requires = "mesh")]
    pub who: bool,
}

/// What chooses among one's own commands, and means nothing to a group.
const LOCAL: [&str; 20] = [
    "words",
    "unique",
    "limit",
    "oldest_first",
    "count_by",
    "cwd",
    "under",
    "exit",
    "failed",
    "ok",
    "running",
    "lost",
    "category",
    "risk",
    "axis",
    "rule",
    "shell",
    "shell_id",
    "host",
    "user",
];

/// What can be asked of the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MeshQuestion {
    /// Which kinds of tools are in use, how often, how long, how well.
    ToolUsage,
    /// How risky what is run is.
    SafetyPosture,
    /// When work is done.
    Activity,
    /// How many people had an unusual day.
    Anomalies,
    /// How the machines are; about machines, not about people.
    Health,
}

/// What an answer is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompareWith {
    /// As many days before.
    Previous,
}

/// `karoctl anomalies`.
#[derive(Debug, Clone, Args)]
pub struct AnomaliesArgs {
    /// From the day of this moment; thirty days back if not said.
    #[arg(long, value_name = "T")]
    pub since: Option<String>,
    /// Before the day of this moment; to yesterday if not said.
    #[arg(long, value_name = "T")]
    pub until: Option<String>,
}
