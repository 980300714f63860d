//! The command line of `logs`.

use clap::Args;
use karo_protocol::logs::Severity;

use super::events::EventName;
use super::names;

/// `karoctl logs`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_long_help = LOGS_HELP)]
pub struct LogsArgs {
    /// Stay, and show each message as it comes.
    #[arg(long, short)]
    pub follow: bool,
    /// Only what is about this peer: its name, or its fingerprint or the beginning of that.
    #[arg(long, value_name = "PEER")]
    pub peer: Option<String>,
    /// From then on: RFC 3339, 2026-11-01, "2026-11-01 14:00", 14:00, today, yesterday, 2h, 3d.
    #[arg(long, value_name = "T")]
    pub since: Option<String>,
    /// Only what is as grave, or graver.
    #[arg(long, value_name = "LEVEL", value_parser = names(Severity::ALL, Severity::name))]
    pub level: Option<Severity>,
    /// Only messages of this name: docs/messages.md lists all of them.
    #[arg(long, value_name = "NAME", value_parser = EventName, hide_possible_values = true)]
    pub event: Option<String>,
    /// The newest so many; without it and without --since, 100.
    #[arg(long = "lines", short = 'n', value_name = "N")]
    pub lines: Option<u32>,
    /// Ask karod's own memory, even where the journal has messages.
    #[arg(long)]
    pub ring: bool,
}

/// What `karoctl logs --help` says besides.
const LOGS_HELP: &str = "Messages come from the journal where karod logs to it and you may read it, also while no karod \
runs; elsewhere from karod's own memory, which holds its last 2,048 messages since it started. The last line, or \
\"source\" in each object of --json, says which it was. With --follow a karod that ends is waited for until the next \
one is there. No message holds a command.";
