//! What arrived of the commands that were typed: files in a spool, or events of a real daemon.
//!
//! Without a daemon the files stay where the hook or its client put them, and show everything that was
//! sent. `KARO_TEST_SINK=daemon` starts a real one for each shell, which takes all of it in.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use karo_protocol::event::{Event, Outcome};
use karo_protocol::observation::{Ending, Observation, Phase};
use karo_protocol::query::Filter;
use karo_protocol::{RawCommand, spool};
use karo_tests::{Karo, Session};

use crate::shell::Shell;

/// Where what a shell sends ends up.
#[derive(Debug)]
pub enum Sink {
    /// In the spools of the shell's own places.
    Files,
    /// In the store of this daemon.
    Daemon(Karo),
    /// In the store of another shell's daemon, whose socket this is.
    Shared(PathBuf),
}

impl Sink {
    /// Makes the one that the whole run of the tests asks for.
    pub fn asked_for() -> Self {
        let is_daemon = std::env::var("KARO_TEST_SINK").is_ok_and(|sink| sink == "daemon");
        if is_daemon { Self::Daemon(Karo::running()) } else { Self::Files }
    }

    /// Tells whether files stay in the spools to be looked at.
    pub fn keeps_files(&self) -> bool {
        matches!(self, Self::Files)
    }

    /// Returns every command that has arrived from shells whose process is wanted, by sequence number.
    pub fn arrived(&self, spools: &[PathBuf], is_wanted: impl Fn(u32) -> bool) -> BTreeMap<u64, Seen> {
        let socket = match self {
            Self::Files => return filed(spools, is_wanted),
            Self::Daemon(karo) => karo.socket(),
            Self::Shared(socket) => socket.clone(),
        };
        // While the daemon is away nothing is known to have arrived.
        let Ok(mut session) = Session::connect(&socket) else { return BTreeMap::new() };
        let events = session.events(Filter::default());
        let wanted = events
            .into_iter()
            .filter(|event| event.shell.process.is_some_and(|process| is_wanted(process.pid)));
        wanted.map(|event| (event.sequence, Seen::from(event))).collect()
    }
}

fn filed(spools: &[PathBuf], is_wanted: impl Fn(u32) -> bool) -> BTreeMap<u64, Seen> {
    let mut seen: BTreeMap<u64, Seen> = BTreeMap::new();
    for (_, observation) in records(spools) {
        if !observation.shell.process.is_some_and(|process| is_wanted(process.pid)) {
            continue;
        }
        let sides = seen.entry(observation.sequence).or_default();
        match observation.phase {
            Phase::Start => sides.start = Some(observation),
            Phase::End(_) => sides.end = Some(observation),
        }
    }
    seen
}

/// Both sides of one command, as they arrived.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub start: Option<Observation>,
    pub end: Option<Observation>,
    /// Whether a daemon has found out that there will be no end.
    pub is_lost: bool,
}

impl From<Event> for Seen {
    fn from(event: Event) -> Self {
        let is_lost = event.outcome == Outcome::Lost;
        let observation = Observation {
            shell: event.shell,
            sequence: event.sequence,
            phase: Phase::Start,
            command: RawCommand::with_flag(event.command.as_bytes(), event.command.is_truncated()),
            cwd: event.cwd,
            is_cwd_truncated: event.is_cwd_truncated,
            started_at: event.started_at,
            precision: event.precision,
            dropped: 0,
        };
        match event.outcome {
            Outcome::Running | Outcome::Lost => Self { start: Some(observation), end: None, is_lost },
            Outcome::Ended(ending) => Self {
                start: None,
                end: Some(Observation { phase: Phase::End(ending), ..observation }),
                is_lost,
            },
        }
    }
}

impl Seen {
    /// Returns the side that tells most.
    pub fn any(&self) -> &Observation {
        self.end.as_ref().or(self.start.as_ref()).expect("one side was seen")
    }

    pub fn command(&self) -> &[u8] {
        self.any().command.as_bytes()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.command()).into_owned()
    }

    pub fn cwd(&self) -> &[u8] {
        &self.any().cwd.0
    }

    pub fn ending(&self) -> Option<&Ending> {
        match &self.end.as_ref()?.phase {
            Phase::End(ending) => Some(ending),
            Phase::Start => None,
        }
    }

    pub fn exit(&self) -> Option<i32> {
        self.ending()?.exit
    }

    pub fn pipestatus(&self) -> &[i32] {
        self.ending().map_or(&[], |ending| &ending.pipestatus)
    }

    pub fn duration_us(&self) -> u64 {
        self.ending().and_then(|ending| ending.duration).expect("it has ended").0
    }
}

/// Reads every finished record of these spools, each with its file.
pub fn records(spools: &[PathBuf]) -> Vec<(PathBuf, Observation)> {
    let mut records = Vec::new();
    for (path, _) in spools.iter().flat_map(|spool| modes(spool)) {
        let is_record = path.extension().is_some_and(|side| side == "s" || side == "e");
        let Some(bytes) = is_record.then(|| fs::read(&path).ok()).flatten() else { continue };
        match spool::decode(&bytes) {
            Ok(observation) => records.push((path, observation)),
            Err(spool::SpoolError::Unfinished) => {}
            Err(error) => panic!("{}: {error}: {}", path.display(), String::from_utf8_lossy(&bytes)),
        }
    }
    records
}

/// Returns what lies in a directory, with its mode.
pub fn modes(directory: &Path) -> Vec<(PathBuf, u32)> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.permissions().mode())))
        .collect()
}

/// Fails when any file in a spool, finished or not, holds this text.
#[track_caller]
pub fn assert_nowhere(shell: &Shell, text: &str) {
    let events = shell.arrived_of(|_| true);
    assert!(events.values().all(|sides| !sides.text().contains(text)), "{text:?} was recorded");
    for directory in [shell.setup.hook_spool(), shell.setup.client_spool()] {
        for (path, _) in modes(&directory) {
            let bytes = fs::read(&path).unwrap_or_default();
            let is_there = bytes.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(!is_there, "{} holds {text:?}", path.display());
        }
    }
}
