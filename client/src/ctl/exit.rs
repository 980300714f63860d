//! Exit codes, in one table for `--help`, the man page and the programs, and what ends a command early.

use std::fmt;
use std::io;

use karo_protocol::local::{Failure, FailureCode};
use karo_protocol::places::PlaceError;

use crate::connection::ConnectionError;

/// What a command ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It is done.
    Done = 0,
    /// There is nothing that fits.
    NothingFound = 1,
    /// The command line is wrong.
    Usage = 2,
    /// There is no daemon, or it does not answer.
    NoDaemon = 3,
    /// It may not or cannot be done.
    Refused = 4,
    /// The answer does not cover the asked range.
    NotCovered = 5,
    /// The store or the audit is damaged.
    Damaged = 6,
    /// A bug of ours.
    Bug = 70,
}

impl Exit {
    /// Every code of karoctl with its meaning.
    const TABLE: [(Self, &str); 8] = [
        (Self::Done, "done"),
        (Self::NothingFound, "nothing found"),
        (Self::Usage, "usage: the command line or a line of the input is wrong"),
        (Self::NoDaemon, "no daemon, or it does not answer"),
        (
            Self::Refused,
            "refused: by you, by the daemon or by the system; a rule that cannot be used or fails its test; a \
             connection that does not come about",
        ),
        (
            Self::NotCovered,
            "the asked range is not covered by the answer, or a machine that was asked gave none",
        ),
        (Self::Damaged, "the store or the audit is damaged"),
        (Self::Bug, "a bug of Karo's: please report it"),
    ];
}

/// Every code of `karod` with its meaning.
const KAROD_TABLE: [(u8, &str); 8] = [
    (0, "stopped in order; with verify-proof: proven"),
    (1, "could not start or read, for the reason that it names"),
    (2, "usage: the command line is wrong"),
    (3, "another daemon has the data directory"),
    (6, "the store cannot be opened, or is of a newer version; with verify-proof: not proven"),
    (70, "a bug of Karo's: please report it"),
    (74, "the disk failed while writing: start it again"),
    (78, "the configuration is not valid"),
];

/// Returns every code of karoctl with its meaning.
pub fn codes() -> impl Iterator<Item = (u8, &'static str)> {
    Exit::TABLE.iter().map(|(exit, meaning)| (*exit as u8, *meaning))
}

/// Returns every code of `karod` with its meaning.
pub fn karod_codes() -> impl Iterator<Item = (u8, &'static str)> {
    KAROD_TABLE.iter().copied()
}

/// Writes both tables for people.
pub fn table() -> String {
    format!("{}\nExit codes of karod:\n{}", table_of_karoctl(), rows(karod_codes()))
}

/// Writes the table of karoctl for people.
pub fn table_of_karoctl() -> String {
    format!("Exit codes:\n{}", rows(codes()))
}

fn rows(codes: impl Iterator<Item = (u8, &'static str)>) -> String {
    codes.map(|(code, meaning)| format!("  {code:>2}  {meaning}\n")).collect()
}

/// What ends a command before it is done: a code, and a sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The code.
    pub exit: Exit,
    /// A lower-case fragment; empty when there is nothing to say.
    pub message: String,
}

impl Trouble {
    /// The command line asks for what cannot be.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into() }
    }

    /// It may not or cannot be done.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { exit: Exit::Refused, message: message.into() }
    }

    /// A file cannot be used.
    pub fn file(deed: &str, path: &std::path::Path, error: &io::Error) -> Self {
        Self::refused(format!("could not {deed} {}: {error}", path.display()))
    }

    /// Nobody reads the output any more: nothing is wrong, and nothing is left to do.
    fn unread() -> Self {
        Self { exit: Exit::Done, message: String::new() }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<ConnectionError> for Trouble {
    fn from(error: ConnectionError) -> Self {
        let exit = match &error {
            ConnectionError::NoDaemon(_)
            | ConnectionError::Silent { .. }
            | ConnectionError::Closed(_)
            | ConnectionError::Broken(..) => Exit::NoDaemon,
            ConnectionError::Unsafe(..)
            | ConnectionError::Stranger { .. }
            | ConnectionError::Version { .. } => Exit::Refused,
            ConnectionError::Malformed(_) | ConnectionError::Unexpected(_) => Exit::Bug,
            ConnectionError::Failure(failure) => failure_exit(failure),
        };
        Self { exit, message: error.to_string() }
    }
}

const fn failure_exit(failure: &Failure) -> Exit {
    match failure.code {
        FailureCode::VersionMismatch
        | FailureCode::BadRequest
        | FailureCode::Busy
        | FailureCode::Refused
        | FailureCode::Unwritable => Exit::Refused,
        FailureCode::Stopping => Exit::NoDaemon,
        FailureCode::Damaged => Exit::Damaged,
        FailureCode::Bug => Exit::Bug,
    }
}

impl From<PlaceError> for Trouble {
    fn from(error: PlaceError) -> Self {
        Self::refused(error.to_string())
    }
}

/// Errors of standard output; files have [`Trouble::file`], which names them.
impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::unread();
        }
        Self::refused(format!("could not write the answer: {error}"))
    }
}

impl From<serde_json::Error> for Trouble {
    fn from(error: serde_json::Error) -> Self {
        Self::from(io::Error::from(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_in_the_table() {
        let text = table();
        for line in
            ["   0  done", "   1  nothing found", "  70  a bug", "  78  the configuration is not valid"]
        {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn failures_become_codes() {
        let exit =
            |code| Trouble::from(ConnectionError::Failure(Failure { code, message: String::new() })).exit;
        assert_eq!(exit(FailureCode::Damaged), Exit::Damaged);
        assert_eq!(exit(FailureCode::VersionMismatch), Exit::Refused);
        assert_eq!(exit(FailureCode::Stopping), Exit::NoDaemon);
        assert_eq!(exit(FailureCode::Bug), Exit::Bug);
    }
}
