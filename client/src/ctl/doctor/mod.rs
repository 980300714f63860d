//! `karoctl doctor`: check what goes wrong in life, and name the mend.
//!
//! | module | checks |
//! | --- | --- |
//! | [`ground`] | places, modes, file systems, leftovers: what can be seen without the daemon |
//! | [`living`] | the daemon: versions, clock, store, spools, and a record that really arrives |
//! | [`serviced`] | the service: its units, what they run, and why they do not |
//! | [`hooked`] | whether this shell is recorded |

pub mod ground;
pub mod hooked;
pub mod living;
pub mod serviced;

use karo_protocol::local::Status;
use serde::Serialize;

use self::serviced::Serviced;
use super::exit::{Exit, Trouble};
use super::scene::Scene;
use super::service::machine::{Machine, Scope};
use super::shown::{Newline, shown};
use super::{json, status};

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// All is well.
    Ok,
    /// It may hurt one day, or could not be told.
    Warn,
    /// It hurts.
    Fail,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    mark: Mark,
    check: &'static str,
    found: String,
    mend: Option<String>,
}

impl Check {
    /// All is well.
    pub fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { mark: Mark::Ok, check, found: found.into(), mend: None }
    }

    /// It may hurt one day.
    pub fn warn(check: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { mark: Mark::Warn, check, found: found.into(), mend: Some(mend.into()) }
    }

    /// It hurts.
    pub fn fail(check: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { mark: Mark::Fail, ..Self::warn(check, found, mend) }
    }

    fn line(&self, has_colour: bool) -> String {
        let (word, colour) = match self.mark {
            Mark::Ok => ("ok", "\x1b[32m"),
            Mark::Warn => ("warn", "\x1b[33m"),
            Mark::Fail => ("FAIL", "\x1b[31m"),
        };
        let (on, off) = if has_colour { (colour, "\x1b[0m") } else { ("", "") };
        let found = shown(self.found.as_bytes(), Newline::Arrow);
        let mend =
            self.mend.iter().map(|mend| format!("{:16}-> {}\n", "", shown(mend.as_bytes(), Newline::Arrow)));
        format!("{on}{word:<4}{off}  {:<10}{found}\n{}", self.check, mend.collect::<String>())
    }
}

/// Runs every check.
///
/// # Errors
///
/// When a place has no name, or the answer cannot be written.
pub fn run(scene: &mut Scene) -> Result<Exit, Trouble> {
    let places = scene.places()?;
    let mut checks = ground::checks(&places);
    let mut exit = Exit::Done;
    let mut answers = None;
    match scene.connect().and_then(|mut connection| status::ask(&mut connection).map(|s| (connection, s))) {
        Ok((mut connection, status)) => {
            answers = Some(status.pid);
            let socket = connection.socket().display();
            checks.push(Check::ok("daemon", format!("process {} answers at {socket}", status.pid)));
            checks.extend(living::checks(scene, &status, &places));
            checks.push(living::record_arrives(&mut connection));
            checks.push(hooked::check(&mut connection));
            exit = exit_of(&status);
        }
        Err(trouble) => {
            let (found, mend) = trouble.message.split_once("; ").unwrap_or((trouble.message.as_str(), ""));
            checks.push(Check::fail("daemon", found, mend));
            exit = if trouble.exit == Exit::Bug { exit } else { trouble.exit };
        }
    }
    // Looked at last: to ask the daemon may be what starts it.
    let at = checks.iter().position(|check| check.check == "daemon").unwrap_or(checks.len());
    checks.splice(at..at, service_checks(scene, answers));
    if exit == Exit::Done && checks.iter().any(|check| check.mark == Mark::Fail) {
        exit = Exit::Refused;
    }
    write(scene, &checks)?;
    Ok(exit)
}

fn service_checks(scene: &Scene, answers: Option<u32>) -> Vec<Check> {
    match Machine::look(scene, Scope::User) {
        Ok(machine) => serviced::checks(&Serviced::look(machine, answers)),
        Err(trouble) => vec![Check::warn("service", trouble.message, "see `karoctl service status`")],
    }
}

const fn exit_of(status: &Status) -> Exit {
    if status.store.damage > 0 { Exit::Damaged } else { Exit::Done }
}

fn write(scene: &mut Scene, checks: &[Check]) -> Result<(), Trouble> {
    if scene.is_json {
        return checks.iter().try_for_each(|check| json::write_line(&mut scene.out, check));
    }
    let has_colour = scene.surface().has_colour;
    for check in checks {
        scene.out.write_all(check.line(has_colour).as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_a_line_with_its_mend_below() {
        let check = Check::fail("socket", "has mode 0770", "run chmod 0700 on it\u{7}");
        assert_eq!(
            check.line(false),
            "FAIL  socket    has mode 0770\n                -> run chmod 0700 on it\\x07\n"
        );
        assert_eq!(Check::ok("clock", "fine").line(true), "\x1b[32mok  \x1b[0m  clock     fine\n");
    }
}
