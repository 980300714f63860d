//! Messages from the journal, through `journalctl`: its format on disk is nobody else's to read.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use karo_protocol::Timestamp;
use karo_protocol::logs::{LogEntry, Severity};
use serde_json::{Map, Value};

use super::Wanted;
use crate::ctl::exit::Trouble;
use crate::ctl::scene::Scene;
use crate::ctl::when;
use crate::surroundings;

/// Bytes of one entry as JSON, at most: ours have some kilobytes, those of others are passed over.
const LINE_BYTES_MAX: u64 = 1024 * 1024;

/// What karod is known by in the journal.
const IDENTIFIER: &str = "SYSLOG_IDENTIFIER=karod";

/// A journal that has messages of this user's karod.
#[derive(Debug)]
pub(super) struct Journal {
    program: PathBuf,
    uid: u32,
}

impl Journal {
    /// Returns the journal; none where there is no `journalctl`, or it has nothing that this user may read.
    pub(super) fn of(scene: &Scene) -> Option<Self> {
        let journal = Self { program: scene.journalctl.clone()?, uid: surroundings::uid() };
        let mut found = 0;
        journal.each(&["--lines=1".to_owned()], |_| {
            found += 1;
            Ok(())
        });
        (found > 0).then_some(journal)
    }

    /// Reads what there is, the oldest first.
    pub(super) fn read(
        &self,
        wanted: &Wanted,
        mut take: impl FnMut(&LogEntry) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        self.read_until(wanted, None, &mut take)
    }

    /// Reads what there is up to a moment.
    fn read_until(
        &self,
        wanted: &Wanted,
        until: Option<Timestamp>,
        take: &mut impl FnMut(&LogEntry) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let mut asked = arguments(wanted, self.can_count(wanted), wanted.filter.since);
        asked.extend(until.map(|until| format!("--until={}", moment(until))));
        if self.can_count(wanted) {
            return self.each(&asked, |entry| take(&entry)).unwrap_or(Ok(()));
        }
        let mut newest = VecDeque::new();
        self.each(&asked, |entry| {
            if wanted.wants(&entry) {
                newest.push_back(entry);
                if wanted.newest.is_some_and(|most| newest.len() > most as usize) {
                    newest.pop_front();
                }
            }
            Ok(())
        });
        newest.iter().try_for_each(take)
    }

    /// Reads what there is and what comes, until journalctl or the person stops.
    ///
    /// These are two questions, with a moment between them: whoever asks journalctl of systemd 252 for the newest so
    /// many and to follow, and nothing fits yet, is often told nothing of what comes either.
    pub(super) fn follow(
        &self,
        wanted: &Wanted,
        mut take: impl FnMut(&LogEntry) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let now = when::now();
        let since = wanted.filter.since;
        self.read_until(wanted, Some(now), &mut take)?;
        let mut asked = arguments(wanted, false, Some(since.map_or(now, |since| since.max(now))));
        asked.push("--follow".to_owned());
        // What comes is not held against the moment that journalctl began at.
        let is_wanted = |entry: &LogEntry| wanted.wants(entry) && since.is_none_or(|since| entry.at >= since);
        self.each(&asked, |entry| if is_wanted(&entry) { take(&entry) } else { Ok(()) }).unwrap_or(Ok(()))
    }

    /// Tells whether journalctl can count to the newest so many by itself: it knows no beginnings of fingerprints, and
    /// from a moment on it counts the oldest.
    const fn can_count(&self, wanted: &Wanted) -> bool {
        wanted.filter.since.is_none() && (wanted.filter.peer.is_none() || wanted.is_peer_known)
    }

    /// Takes each entry; ends at the first error. `None` where journalctl cannot be run.
    fn each(
        &self,
        arguments: &[String],
        mut take: impl FnMut(LogEntry) -> Result<(), Trouble>,
    ) -> Option<Result<(), Trouble>> {
        let mut child = Command::new(&self.program)
            .args(["--no-pager", "--quiet", "--output=json"])
            .args(arguments)
            .arg(IDENTIFIER)
            .arg(format!("_UID={}", self.uid))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let done = child.stdout.take().map(|stdout| lines(BufReader::new(stdout), &mut take));
        end(&mut child);
        done
    }
}

/// Passes on each line that is an entry.
fn lines(
    mut from: impl BufRead,
    take: &mut impl FnMut(LogEntry) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = from.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        if let Ok(Value::Object(fields)) = serde_json::from_slice(&line) {
            take(entry(&fields))?;
        }
    }
}

/// Leaves no process behind: one that follows does not end by itself.
fn end(child: &mut Child) {
    // It may have ended already, which is as well.
    drop(child.kill());
    drop(child.wait());
}

/// Returns the options and matches for what is wanted.
fn arguments(wanted: &Wanted, can_count: bool, since: Option<Timestamp>) -> Vec<String> {
    let filter = &wanted.filter;
    let mut arguments = Vec::new();
    match wanted.newest.filter(|_| can_count) {
        Some(newest) => arguments.push(format!("--lines={newest}")),
        None => arguments.push("--lines=all".to_owned()),
    }
    arguments.extend(since.map(|since| format!("--since={}", moment(since))));
    if let Some(least) = filter.least {
        arguments.push(format!("--priority={}", least.priority()));
    }
    if let Some(event) = &filter.event {
        arguments.push(format!("KARO_EVENT={event}"));
    }
    if let Some(peer) = filter.peer.as_ref().filter(|_| wanted.is_peer_known) {
        arguments.push(format!("KARO_PEER={peer}"));
    }
    arguments
}

/// Writes a moment as journalctl reads it.
fn moment(at: Timestamp) -> String {
    let micros = at.as_micros().max(0);
    format!("@{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// Reads an entry as `journalctl -o json` writes it.
fn entry(fields: &Map<String, Value>) -> LogEntry {
    let text = |name: &str| fields.get(name).and_then(string);
    let number = |name: &str| text(name).and_then(|text| text.parse::<i64>().ok());
    let at = number("KARO_AT_US").or_else(|| number("__REALTIME_TIMESTAMP")).unwrap_or_default();
    let priority = number("PRIORITY").and_then(|priority| u8::try_from(priority).ok());
    let own = ["KARO_EVENT", "KARO_PEER", "KARO_QUERY", "KARO_AT_US"];
    let others = fields.iter().filter(|(name, _)| !own.contains(&name.as_str()));
    let others = others
        .filter_map(|(name, value)| Some((name.strip_prefix("KARO_")?.to_ascii_lowercase(), string(value)?)));
    LogEntry {
        sequence: 0,
        at: Timestamp::from_micros(at),
        severity: priority.map_or(Severity::Info, Severity::from_priority),
        event: text("KARO_EVENT"),
        peer: text("KARO_PEER"),
        query: text("KARO_QUERY"),
        message: text("MESSAGE").unwrap_or_default(),
        fields: others.collect(),
    }
}

/// Reads a value: text, bytes where it is none, or the first of several.
fn string(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(several) if several.iter().all(Value::is_u64) => {
            let bytes = several.iter().filter_map(|byte| u8::try_from(byte.as_u64()?).ok());
            Some(String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned())
        }
        Value::Array(several) => several.first().and_then(string),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}
