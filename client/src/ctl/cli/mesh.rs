//! The commands about the mesh: `identity`, `peers`, `audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use karo_protocol::audit::Deed;
use karo_protocol::{NodeId, Trust};

use super::names;

/// What is said of trust levels below the help of the commands that take one.
const TRUST_HELP: &str = "Trust levels: untrusted (refused), member (a link and nothing about one person), share-to (gets \
our summaries), query-from (may ask for them), peer (both), supervisor (as member, and may ask after health). Each says \
what the other machine may have of this one; what this one may have of it is decided there.";

/// What is said of names below the help of `karoctl peers`.
const PEERS_HELP: &str = "NAME is a peer's name, its fingerprint, its node id, or the beginning of one that no other peer \
has.\n\n--json writes an object a line: name, node_id, fingerprint, state, since, reason, address, trust, owner, rtt_ms, \
skew_ms (its clock less ours), version. With --watch there is a line for each peer first and then one for each change; \
one that is forgotten has the state \"removed\".";

/// `karoctl identity`.
#[derive(Debug, Clone, Subcommand)]
pub enum IdentityCommand {
    /// Show who this machine is to others.
    Show,
    /// Write the key, encrypted with a passphrase, to a file of your own.
    Backup {
        /// The file, made anew and readable by you alone.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Overwrite a file that is there.
        #[arg(long)]
        force: bool,
        /// Where the passphrase is.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Take over a key that was backed up; the audit says so, and so do the peers.
    Restore {
        /// What `karoctl identity backup` wrote.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Replace an identity that peers know already.
        #[arg(long)]
        replace: bool,
        /// Where the passphrase is.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Take over the next key; peers that meet this machine within 24 hours follow by themselves.
    Rotate,
}

/// Where a passphrase comes from; never from the command line, which every user of the machine can read.
#[derive(Debug, Clone, Default, Args)]
pub struct PassphraseArgs {
    /// Read the passphrase from the first line of this file, which is yours alone; without it, you are asked.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub passphrase_file: Option<PathBuf>,
}

/// `karoctl peers`.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = PEERS_HELP)]
pub struct PeersArgs {
    /// Stay, and show each change.
    #[arg(long)]
    pub watch: bool,
    /// What to do; without it, the table is shown.
    #[command(subcommand)]
    pub command: Option<PeersCommand>,
}

/// What can be done with peers.
#[derive(Debug, Clone, Subcommand)]
pub enum PeersCommand {
    /// Trust a node.
    #[command(after_long_help = TRUST_HELP)]
    Add {
        /// Its key, and where it is dialled if it can be: NODE_ID@ADDR or NODE_ID@ADDR:PORT.
        #[arg(value_name = "NODE_ID[@ADDR[:PORT]]")]
        node: String,
        /// Another address of it; up to 8 in all are tried together.
        #[arg(long, value_name = "ADDR[:PORT]", value_hint = ValueHint::Hostname)]
        address: Vec<String>,
        /// What it is trusted with.
        #[arg(long, value_name = "LEVEL", value_parser = names(Trust::ALL, Trust::name))]
        trust: Trust,
        /// What it is called here, and whose it is.
        #[command(flatten)]
        called: CalledArgs,
        /// When the trust runs out: 30d, 12h, 2027-01-31, RFC 3339.
        #[arg(long, value_name = "T")]
        expires: Option<String>,
    },
    /// Trust a machine whose screen you can see or whose owner you can hear: both show the same four words.
    #[command(after_long_help = PAIR_HELP)]
    Pair(PairArgs),
    /// Change what a peer is trusted with.
    #[command(after_long_help = TRUST_HELP)]
    Trust {
        /// Which peer.
        name: String,
        /// What it is trusted with.
        #[arg(value_parser = names(Trust::ALL, Trust::name))]
        level: Trust,
    },
    /// Call a peer something else here.
    Rename {
        /// Which peer.
        name: String,
        /// What it is called from now on.
        new: String,
    },
    /// Forget a peer; it can be added again.
    Remove {
        /// Which peer.
        name: String,
    },
    /// Refuse a key from now on, close its link and drop what was received from it; other machines are not told.
    Revoke {
        /// Which peer.
        name: String,
    },
    /// Show all that is known of a peer: the history of its link, why it is down, and what to do.
    Show {
        /// Which peer.
        name: String,
    },
    /// Measure the round trip to a connected peer, and how far apart the clocks are.
    Ping {
        /// Which peer.
        name: String,
    },
    /// Show the nodes that discovery saw; none is trusted for it.
    Candidates,
    /// Try a connection step by step, with the time and the error of each; a step that fails is exit code 4.
    Test {
        /// Which peer.
        name: String,
    },
    /// Accept what is held: a new key that was not announced, or an audit log that begins anew.
    Confirm {
        /// Which peer.
        name: String,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },
}

/// What a peer is called.
#[derive(Debug, Clone, Default, Args)]
pub struct CalledArgs {
    /// What it is called here; its fingerprint if not said.
    #[arg(long, value_name = "N")]
    pub name: Option<String>,
    /// Whose machine it is.
    #[arg(long, value_name = "O")]
    pub owner: Option<String>,
}

/// `karoctl peers pair`.
#[derive(Debug, Clone, Args)]
pub struct PairArgs {
    /// What the other machine shows: CODE@ADDR or CODE@ADDR:PORT, port 9239 if not said.
    #[arg(value_name = "CODE@ADDR[:PORT]", required_unless_present = "listen", conflicts_with = "listen")]
    pub target: Option<String>,
    /// Wait for the other machine, on every address of this one or on this one; port 9239 if not said.
    #[arg(long, value_name = "ADDR[:PORT]", num_args = 0..=1, default_missing_value = "")]
    pub listen: Option<String>,
    /// What the other machine is trusted with.
    #[arg(long, value_name = "LEVEL", default_value = "member", value_parser = names(Trust::ALL, Trust::name))]
    pub trust: Trust,
    /// What it is called here, and whose it is.
    #[command(flatten)]
    pub called: CalledArgs,
    /// Do not ask: once this side has its words, read from FILE (a pipe, or - for standard input) the line of words
    /// that the other side shows, and say yes only if they are the same.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub words_from: Option<PathBuf>,
}

/// What `karoctl peers pair --help` says besides.
const PAIR_HELP: &str = "One machine waits with --listen and shows a code and its addresses; the other dials with \
CODE@ADDR. The code only finds the other side: what proves it is that both screens show the same four words. Compare \
them aloud or by eye, and say yes on both. Anything else, silence for 120 s, or a lost connection, and nobody is \
trusted.";

/// `karoctl audit`.
#[derive(Debug, Clone, Args)]
pub struct AuditArgs {
    /// Which entries.
    #[command(flatten)]
    pub filter: AuditFilterArgs,
    /// What to do; without it, entries are shown.
    #[command(subcommand)]
    pub command: Option<AuditCommand>,
}

/// Which entries are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct AuditFilterArgs {
    /// Made at or after: RFC 3339, 2026-11-01, "2026-11-01 14:00", 14:00, today, yesterday, 2h, 3d.
    #[arg(long, value_name = "T")]
    pub since: Option<String>,
    /// Made before; as --since.
    #[arg(long, value_name = "T")]
    pub until: Option<String>,
    /// Of this kind; may be given several times.
    #[arg(long, value_name = "KIND", value_parser = names(Deed::ALL, Deed::name))]
    pub kind: Vec<Deed>,
    /// About this peer: name, fingerprint, node id, or the beginning of one.
    #[arg(long, value_name = "NAME")]
    pub peer: Option<String>,
    /// At most so many, the newest; 0 for all.
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}

/// What can be done with the audit.
#[derive(Debug, Clone, Subcommand)]
pub enum AuditCommand {
    /// Read all of it, and say what is not as it was written and what no peer has witnessed.
    Verify,
    /// Write entries with their proofs, for `karod verify-proof`.
    Export {
        /// The file, made anew and readable by you alone; without it, standard output.
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
        /// Overwrite a file that is there.
        #[arg(long, requires = "file")]
        force: bool,
        /// Which entries; all without any.
        #[command(flatten)]
        filter: AuditFilterArgs,
    },
    /// Show the newest signed state of the log: what peers witness.
    Head,
}

/// Reads `NODE_ID` or `NODE_ID@ADDR`.
///
/// # Errors
///
/// What is no node id.
pub fn split_node(text: &str) -> Result<(NodeId, Option<&str>), String> {
    let (key, address) = match text.split_once('@') {
        Some((key, address)) => (key, Some(address)),
        None => (text, None),
    };
    let node_id = key.parse().map_err(|error| {
        format!("{key:?} is no node id, {error}; the other machine prints its own by `karoctl identity show`")
    })?;
    Ok((node_id, address))
}
