//! What is understood of a line, with the reason for each part of it.

use serde::{Deserialize, Serialize};

use crate::event::Secret;
use crate::{Axis, Bytes, Category, RawCommand, Risk, named_enum};

/// Lines to be explained, and nothing of them stored. Texts understood in one go: one frame holds them all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explain {
    /// At most [`EXPLAIN_LINES_MAX`](crate::limits::EXPLAIN_LINES_MAX).
    pub lines: Vec<RawCommand>,
    /// Working directory that rules are told of; empty when unknown.
    pub cwd: Bytes,
}

/// One line, understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The text as it would be stored.
    pub redacted: Bytes,
    /// What was cut out, in order, as ranges of the line as given.
    pub spans: Vec<Span>,
    /// The programs that it runs, in order; what one runs for another stands behind it.
    pub runs: Vec<Run>,
    /// Whether the line was read by its grammar, and not as mere words.
    pub is_parsed: bool,
    /// The most telling category.
    pub category: Category,
    /// All categories of its runs, in the order of their index.
    pub categories: Vec<Category>,
    /// The highest level of any rule that matched.
    pub risk: Option<Risk>,
    /// The axis of the rule that gave `risk`.
    pub axis: Option<Axis>,
    /// The rules that matched, the highest level first.
    pub matches: Vec<Match>,
}

/// A secret that was cut out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Where it begins, in bytes of the line.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
    /// What it is.
    pub kind: Secret,
    /// What gave it away, in words: `value of curl -u`, `prefix of a GitHub token`.
    pub reason: String,
}

named_enum! {
    /// Where in its line a program stands.
    Context, "context" {
        /// It reads what the one before it writes.
        PipeIn = "pipe_in",
        /// It writes what the next one reads.
        PipeOut = "pipe_out",
        /// Its output becomes a part of another command.
        Substitution = "substitution",
        /// Its input is written out in the line, or it stands in such an input.
        Heredoc = "heredoc",
        /// Nobody waits for it.
        Background = "background",
        /// It stands in a function's body and runs when that is called.
        Function = "function",
    }
}

/// One program that a line runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The program and its arguments without quotes, secrets replaced by markers.
    pub argv: Vec<Bytes>,
    /// Where it stands.
    pub context: Vec<Context>,
    /// Whether it runs with another's rights: behind `sudo`, `doas`, `su`.
    pub is_privileged: bool,
    /// Whether it runs on another machine or in a container.
    pub is_remote: bool,
    /// Which of the runs before it runs it, counted from 0; `None` for the shell.
    pub parent: Option<u32>,
    /// What kind of command it is.
    pub category: Category,
    /// The row of the table that decided: `git push`, `docker *`; empty when there is none.
    pub row: String,
    /// How sure the row is, in hundredths.
    pub confidence: u8,
}

/// A rule that matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// Id of the rule.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its level.
    pub level: Risk,
    /// Its axis.
    pub axis: Axis,
    /// Its tags: `attack.t1059.004`.
    pub tags: Vec<String>,
    /// The fields that it looked at and found, each `Field: value`, secrets replaced by markers.
    pub fields: Vec<String>,
    /// Which run it matched, counted from 0; `None` for the whole line.
    pub run: Option<u32>,
}
