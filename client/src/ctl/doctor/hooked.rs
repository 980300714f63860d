//! Whether the shell that doctor was typed into is recorded: an event of its process must be there.
//!
//! A hook exports nothing, so nothing in the environment tells. What it has sent does: zsh, fish and
//! bash 5.3 send the start of this very command, older bash the end of the one before.

use std::fs;
use std::time::{Duration, Instant};

use karo_protocol::Event;
use karo_protocol::query::{Detail, Filter, Order, Query};

use super::Check;
use crate::connection::Connection;
use crate::ctl::exit::Trouble;
use crate::ctl::query::{Page, stream};

/// Events among which this shell's must be: more than one person types into other shells meanwhile.
const EVENTS_MAX: u32 = 256;

/// How long a record of this very command may be under way.
const PATIENCE: Duration = Duration::from_secs(1);

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Processes above this one that may be the shell: `sudo`, `env`, `time` and the like stand between.
const ANCESTORS_MAX: usize = 6;

/// One process, by its number and when it started.
type Process = (u32, u64);

/// Runs the check.
pub fn check(connection: &mut Connection) -> Check {
    let ancestors = ancestors(std::process::id());
    if ancestors.is_empty() {
        return Check::warn(
            "hook",
            "which shell this is cannot be told here",
            "see `karoctl query --limit 5`",
        );
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        match find(connection, &ancestors) {
            Err(trouble) => return Check::fail("hook", trouble.message, "see the log of karod"),
            Ok(Some(shell)) => return Check::ok("hook", format!("this {shell} is recorded")),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(PAUSE),
            Ok(None) => {
                return Check::warn(
                    "hook",
                    "no record of this shell has arrived",
                    "run `karoctl shell install SHELL`, open a new shell, run a command there, then doctor",
                );
            }
        }
    }
}

fn find(connection: &mut Connection, ancestors: &[Process]) -> Result<Option<&'static str>, Trouble> {
    let query = Query {
        filter: Filter::default(),
        is_unique: false,
        limit: Some(EVENTS_MAX),
        order: Order::NewestFirst,
        detail: Detail::Event,
    };
    let mut found = None;
    stream(connection, &query, |page| {
        if let Page::Events(events) = page {
            found = found.or_else(|| events.iter().find_map(|event| shell_among(event, ancestors)));
        }
        Ok(())
    })?;
    Ok(found)
}

fn shell_among(event: &Event, ancestors: &[Process]) -> Option<&'static str> {
    let process = event.shell.process?;
    let is_ours = ancestors.contains(&(process.pid, process.started_ticks));
    is_ours.then(|| event.shell.kind.name())
}

/// Returns the processes above that one, nearest first; none where `/proc` does not tell.
fn ancestors(pid: u32) -> Vec<Process> {
    let mut ancestors = Vec::new();
    let mut child = pid;
    while ancestors.len() < ANCESTORS_MAX {
        let Some((parent, _)) = parent_and_start(child) else { break };
        let Some((_, started)) = parent_and_start(parent) else { break };
        ancestors.push((parent, started));
        child = parent;
    }
    ancestors
}

/// Reads fields 4 and 22 of `/proc/PID/stat`; the name in field 2 may hold blanks and brackets.
fn parent_and_start(pid: u32) -> Option<(u32, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let started = fields.nth(17)?.parse().ok()?;
    Some((parent, started))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::samples::full_event;

    #[test]
    #[cfg(target_os = "linux")]
    fn ancestors_are_real_processes() {
        let ancestors = ancestors(std::process::id());
        let (parent, _) = ancestors[0];
        assert_eq!(parent, std::os::unix::process::parent_id());
        assert!(ancestors.len() <= ANCESTORS_MAX);
    }

    #[test]
    fn a_process_is_known_by_number_and_start() {
        let event = full_event();
        assert_eq!(shell_among(&event, &[(1, 5), (77, 123_456)]), Some("zsh"));
        assert_eq!(shell_among(&event, &[(77, 123_457)]), None);
    }
}
