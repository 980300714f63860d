//! `karoctl logs`: what karod said, from the journal where that has it, else from the daemon's own memory.

mod journal;
mod ring;
mod shower;

#[cfg(test)]
mod tests;

use std::time::Duration;

use karo_protocol::local::{Reply, Request};
use karo_protocol::logs::{LogEntry, LogFilter, LogSink, LogsAsk, LogsPage};

use self::journal::Journal;
use self::shower::Shower;
use super::cli::LogsArgs;
use super::exit::{Exit, Trouble};
use super::mesh::moment;
use super::scene::Scene;
use crate::connection::{Connection, ConnectionError};

/// Messages that are shown when nobody says how many.
const LINES: u32 = 100;

/// How long the daemon may take to say where its log goes, where the journal can be read without an answer.
const SINK_PATIENCE: Duration = Duration::from_secs(2);

/// Where messages come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Journal,
    Ring,
}

impl Source {
    const fn name(self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Ring => "ring",
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::Journal => "from the journal",
            Self::Ring => "from karod's own memory, which begins with its start",
        }
    }
}

/// What is wanted.
#[derive(Debug)]
struct Wanted {
    filter: LogFilter,
    /// Whether the peer of the filter is a whole fingerprint.
    is_peer_known: bool,
    newest: Option<u32>,
    follows: bool,
}

/// Runs the command.
///
/// # Errors
///
/// When the options cannot be read, or there is neither a journal nor a daemon.
pub fn run(scene: &mut Scene, args: &LogsArgs) -> Result<Exit, Trouble> {
    let since = moment(scene, "--since", args.since.as_deref())?;
    let newest = args.lines.or_else(|| args.since.is_none().then_some(LINES));
    let (mut daemon, is_elsewhere) = match listening(scene, args.ring) {
        Ok((daemon, sink)) => (Ok(daemon), sink == LogSink::Stderr),
        Err(trouble) => (Err(trouble), false),
    };
    let known = args.peer.as_deref().and_then(|peer| fingerprint(daemon.as_mut().ok()?, peer));
    let filter = LogFilter {
        peer: known.clone().or_else(|| args.peer.clone()),
        since,
        least: args.level,
        event: args.event.clone(),
    };
    let wanted = Wanted { filter, is_peer_known: known.is_some(), newest, follows: args.follow };
    let journal = if args.ring || is_elsewhere { None } else { Journal::of(scene) };
    let (source, count) = match (journal, daemon) {
        (Some(journal), _) => (Source::Journal, from_journal(scene, &journal, &wanted)?),
        (None, Ok(daemon)) => (Source::Ring, ring::show(scene, daemon, &wanted)?),
        (None, Err(trouble)) => return Err(trouble),
    };
    if count == 0 {
        scene.note(&format!("nothing fits, {}", source.sentence()));
        return Ok(Exit::NothingFound);
    }
    Ok(Exit::Done)
}

fn from_journal(scene: &mut Scene, journal: &Journal, wanted: &Wanted) -> Result<u64, Trouble> {
    let mut shower = Shower::new(scene, Source::Journal);
    if wanted.follows {
        shower.say_source(scene)?;
        journal.follow(wanted, |entry| shower.show(scene, entry))?;
    } else {
        journal.read(wanted, |entry| shower.show(scene, entry))?;
        shower.end(scene)?;
    }
    Ok(shower.count())
}

/// Returns a session with the daemon, and where that daemon's log goes.
///
/// One that hangs, starts or is too old to say it is one whose log is wanted most, so where there is a journal it is
/// not waited for as for an answer that is needed.
fn listening(scene: &Scene, is_needed: bool) -> Result<(Connection, LogSink), Trouble> {
    let mut daemon = scene.connect()?;
    if !is_needed && scene.journalctl.is_some() {
        daemon.wait_for_answers(SINK_PATIENCE.min(scene.patience.answer));
    }
    let sink = sink(&mut daemon)?;
    daemon.wait_for_answers(scene.patience.answer);
    Ok((daemon, sink))
}

/// Asks where the daemon's log goes.
fn sink(daemon: &mut Connection) -> Result<LogSink, Trouble> {
    let nothing = LogsAsk { newest: Some(0), ..LogsAsk::default() };
    Ok(ask(daemon, &nothing)?.sink)
}

fn ask(daemon: &mut Connection, wanted: &LogsAsk) -> Result<LogsPage, ConnectionError> {
    let Reply::Logs(page) = daemon.ask(&Request::Logs(wanted.clone()))? else {
        return Err(ConnectionError::Unexpected("what was logged"));
    };
    Ok(*page)
}

/// Returns the fingerprint of a peer; none for one that is forgotten, or that was not named in full.
fn fingerprint(daemon: &mut Connection, peer: &str) -> Option<String> {
    match daemon.ask(&Request::PeerShow(peer.to_owned())) {
        Ok(Reply::PeerShown(shown)) => Some(shown.row.fingerprint.to_string()),
        Ok(_) | Err(_) => None,
    }
}

impl Wanted {
    /// Tells whether a message is wanted, as far as the journal cannot tell.
    fn wants(&self, entry: &LogEntry) -> bool {
        let is_about =
            |peer: &String| entry.peer.as_ref().is_some_and(|about| about.starts_with(peer.as_str()));
        self.filter.peer.as_ref().is_none_or(is_about)
    }
}
