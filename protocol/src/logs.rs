//! What the daemon has logged: its last entries, as it keeps them in memory, and how they are asked for.
//!
//! No entry holds a command's text; whatever came from outside is escaped, so that it drives no terminal.

use serde::{Deserialize, Serialize};

use crate::{Timestamp, named_enum};

/// Entries in one page of an answer, at most: each is [`LOG_ENTRY_BYTES_MAX`] at most, so that a page fits a frame.
pub const LOG_PAGE_MAX: usize = 64;

/// Bytes of one entry, all its texts together, at most.
pub const LOG_ENTRY_BYTES_MAX: usize = 8 * 1024;

named_enum! {
    /// How grave an entry is, the gravest first.
    Severity, "severity" {
        /// What went wrong.
        Error = "error",
        /// What may go wrong.
        Warn = "warn",
        /// What is right and still worth a look: whom is trusted, which configuration is in force.
        Notice = "notice",
        /// What an operator wants to find when looking for something else.
        Info = "info",
        /// What follows one event.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

impl Severity {
    /// Returns the number that syslog and the journal have for it: 3 to 7.
    pub const fn priority(self) -> u8 {
        match self {
            Self::Error => 3,
            Self::Warn => 4,
            Self::Notice => 5,
            Self::Info => 6,
            Self::Debug | Self::Trace => 7,
        }
    }

    /// Returns what such a number means; what is graver than an error is one.
    pub const fn from_priority(priority: u8) -> Self {
        match priority {
            0..=3 => Self::Error,
            4 => Self::Warn,
            5 => Self::Notice,
            6 => Self::Info,
            7.. => Self::Debug,
        }
    }
}

named_enum! {
    /// Where a daemon's log goes.
    LogSink, "sink" {
        /// To standard error.
        Stderr = "stderr",
        /// To the journal.
        Journal = "journal",
    }
}

/// Which entries are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogFilter {
    /// Those about the peer whose short fingerprint begins so.
    pub peer: Option<String>,
    /// Those of this moment or later.
    pub since: Option<Timestamp>,
    /// Those as grave or graver.
    pub least: Option<Severity>,
    /// Those of the class of that name.
    pub event: Option<String>,
}

/// Asks for entries.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogsAsk {
    /// Which.
    pub filter: LogFilter,
    /// Only those behind this [`LogsPage::cursor`].
    pub after: Option<u64>,
    /// Of these only so many, the newest.
    pub newest: Option<u32>,
    /// Whether the answer waits for an entry, some seconds at most, when there is none yet.
    pub waits: bool,
}

/// Some entries, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogsPage {
    /// [`LOG_PAGE_MAX`] at most.
    pub entries: Vec<LogEntry>,
    /// What to ask for next with.
    pub cursor: u64,
    /// Whether more can be had at once.
    pub has_more: bool,
    /// Entries behind the client's cursor that were overwritten before it asked.
    pub missed: u64,
    /// Where the log goes besides.
    pub sink: LogSink,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Counts the entries of this daemon since it started.
    pub sequence: u64,
    /// When it was said.
    pub at: Timestamp,
    /// How grave it is.
    pub severity: Severity,
    /// The name of its class; what is said at debug and trace has none.
    pub event: Option<String>,
    /// The peer that it is about, by its short fingerprint.
    pub peer: Option<String>,
    /// The question that it is about.
    pub query: Option<String>,
    /// What is said.
    pub message: String,
    /// What else is known: names and values.
    pub fields: Vec<(String, String)>,
}
