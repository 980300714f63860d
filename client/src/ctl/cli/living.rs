//! The command line of what makes Karo live on a machine: `service`, `setup`, `uninstall`.

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use super::HookMode;

/// `karoctl service`.
#[derive(Debug, Clone, Subcommand)]
pub enum ServiceCommand {
    /// Write the units, switch them on and start them; what is so already stays as it is.
    #[command(after_long_help = INSTALL_HELP)]
    Install(InstallArgs),
    /// Stop karod and take its units away, as far as they are as karoctl wrote them; data stays.
    Uninstall(DeedArgs),
    /// Start karod, and the socket by which the first command of a day starts it.
    Start(DeedArgs),
    /// Stop karod and its socket, until the next login; hooks put records into a spool meanwhile.
    Stop(DeedArgs),
    /// Start karod anew, also when its unit was given up after too many failures.
    Restart(DeedArgs),
    /// Show whether it runs, since when, how it ended last, and how its log is read.
    Status(ScopeArgs),
    /// Print what explains karod's messages to `journalctl -x`, for root to install.
    Catalog,
    /// Run the karod beside this karoctl in the foreground, with its own exit codes.
    Run {
        /// Show the command, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

/// What `karoctl service install --help` says besides.
const INSTALL_HELP: &str = "Units go where your service manager looks, $XDG_CONFIG_HOME/systemd/user (with --system into /etc/systemd/system), or an \
agent of launchd into ~/Library/LaunchAgents; where a package has brought units that fit, they are used as they are. A \
unit that karoctl did not write, or that was changed since, is left alone without --force. What is done is written down \
in receipt.json beside the data, and `karoctl service uninstall` takes away what is in it: units that somebody else wrote \
or switched on stay as they are, and are named.";

/// For whom the service is.
#[derive(Debug, Clone, Default, Args)]
pub struct ScopeArgs {
    /// Run it from the system's service manager, for an account without a login session; needs root.
    #[arg(long)]
    pub system: bool,
    /// That account; without it, who called sudo.
    #[arg(long = "for", value_name = "USER", requires = "system", value_hint = ValueHint::Username)]
    pub account: Option<String>,
}

/// What is done to the service.
#[derive(Debug, Clone, Default, Args)]
pub struct DeedArgs {
    /// For whom.
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Show every file with its whole content and every command, and do nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// `karoctl service install`.
#[derive(Debug, Clone, Default, Args)]
pub struct InstallArgs {
    /// For whom, and whether at all.
    #[command(flatten)]
    pub deed: DeedArgs,
    /// Overwrite a unit that somebody else wrote or changed.
    #[arg(long)]
    pub force: bool,
    /// Keep your services running after your last logout, all of them (loginctl enable-linger).
    #[arg(long, conflicts_with = "system")]
    pub linger: bool,
}

/// `karoctl setup`.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = SETUP_HELP)]
pub struct SetupArgs {
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
    /// Show every file with its whole content and every command, and do nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Leave this out; may be given more than once.
    #[arg(long, value_enum, value_name = "PART")]
    pub without: Vec<SetupPart>,
    /// How records reach the daemon.
    #[arg(long, value_enum, default_value_t = HookMode::Client)]
    pub mode: HookMode,
    /// Keep your services running after your last logout, all of them (loginctl enable-linger).
    #[arg(long)]
    pub linger: bool,
}

/// What `karoctl setup --help` says besides.
const SETUP_HELP: &str = "Each part is shown and asked for, and what is so already stays as it is, so it may be run \
again at any time. Nothing is looked for on any network, and nothing leaves this machine. What was done is written down \
in receipt.json beside the data; `karoctl uninstall` undoes it. It ends with 4 where the service or the hooks had to be \
left out, and with 0 where you wanted it so.";

/// A part of the first run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SetupPart {
    /// The units by which karod starts at login and on demand.
    Service,
    /// The lines in rc files by which new shells are recorded.
    Hooks,
    /// What shells have kept in their history files so far.
    History,
}

/// `karoctl uninstall`.
#[derive(Debug, Clone, Copy, Args)]
#[command(after_long_help = UNINSTALL_HELP)]
pub struct UninstallArgs {
    /// Also forget for good what was recorded, with the configuration and the key of this machine.
    #[arg(long)]
    pub purge: bool,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
    /// Show what would be done, and do nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// What `karoctl uninstall --help` says besides.
const UNINSTALL_HELP: &str = "It stops karod, takes away the units and the lines in rc files that karoctl wrote (by \
`setup` or by `shell install`), spools and sockets. A unit that was changed since, or that somebody else wrote or switched \
on, stays as it is, and is named. Without --purge the data, the configuration and records that wait in a spool stay, so \
that `karoctl setup` can go on with them. With --purge the units are switched off whoever switched them on.";
