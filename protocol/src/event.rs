//! What Karo keeps of an observation: classified, redacted, dated, named.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::category::CategorySet;
use crate::observation::Ending;
use crate::{Axis, Bytes, Category, EventId, Precision, RawCommand, Risk, Shell, Timestamp, named_enum};

pub use crate::secret::{Secret, marker, markers};

/// A marker in a redacted text, where a secret stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Redaction {
    /// Where the marker begins, in bytes of the redacted text.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
    /// What it stands for.
    pub kind: Secret,
}

/// A secret to be cut out: a range of bytes of the raw text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cut {
    /// Where the secret begins, in bytes of the raw text.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// What it is.
    pub kind: Secret,
}

/// A command that may be stored: its secrets are cut out and replaced by markers.
///
/// It is made of a [`RawCommand`] and its [`Cut`]s only, and only `karo_core::redact` does so: the
/// other crates' `clippy.toml` forbids the call.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct RedactedCommand {
    text: Bytes,
    is_truncated: bool,
}

impl RedactedCommand {
    /// Cuts secrets out of a raw command and returns the rest with the places of the markers.
    ///
    /// Cuts may come in any order and overlap: overlapping ones become one of the first's kind.
    /// What lies outside the text is ignored.
    pub fn cut(raw: &RawCommand, cuts: &[Cut]) -> (Self, Vec<Redaction>) {
        let bytes = raw.as_bytes();
        let mut text = Vec::with_capacity(bytes.len());
        let mut redactions = Vec::new();
        let mut done = 0;
        for cut in merged(cuts, bytes.len()) {
            text.extend_from_slice(&bytes[done..cut.start]);
            let start = text.len() as u32;
            text.extend_from_slice(marker(cut.kind).as_bytes());
            redactions.push(Redaction { start, end: text.len() as u32, kind: cut.kind });
            done = cut.end;
        }
        text.extend_from_slice(&bytes[done..]);
        (Self { text: Bytes(text), is_truncated: raw.is_truncated() }, redactions)
    }

    /// Takes back what [`as_bytes`](Self::as_bytes) and [`is_truncated`](Self::is_truncated) gave
    /// to a store; the text must have been redacted before.
    pub const fn restored(text: Bytes, is_truncated: bool) -> Self {
        Self { text, is_truncated }
    }

    /// Returns the redacted bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text.0
    }

    /// Tells whether the typed text was longer than Karo keeps.
    pub const fn is_truncated(&self) -> bool {
        self.is_truncated
    }
}

impl fmt::Debug for RedactedCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedactedCommand({} bytes)", self.text.0.len())
    }
}

/// Sorts cuts, bounds them by the text's length, and joins those that overlap or touch.
fn merged(cuts: &[Cut], length: usize) -> Vec<Cut> {
    let mut sorted: Vec<Cut> = cuts
        .iter()
        .copied()
        .map(|cut| Cut { end: cut.end.min(length), ..cut })
        .filter(|cut| cut.start < cut.end)
        .collect();
    sorted.sort();
    sorted.dedup_by(|next, kept| {
        let overlaps = next.start < kept.end;
        if overlaps {
            kept.end = kept.end.max(next.end);
        }
        overlaps
    });
    sorted
}

named_enum! {
    /// How far a command has come, as far as Karo knows.
    State, "state" {
        /// Its start was seen and its shell lives.
        Running = "running",
        /// Its end was seen.
        Ended = "ended",
        /// Its start was seen, and its shell is gone.
        Lost = "lost",
    }
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Its start was seen and its shell lives.
    Running,
    /// It has ended.
    Ended(Ending),
    /// Its shell is gone, and with it the outcome.
    Lost,
}

impl Outcome {
    /// Returns the state alone.
    pub const fn state(&self) -> State {
        match self {
            Self::Running => State::Running,
            Self::Ended(_) => State::Ended,
            Self::Lost => State::Lost,
        }
    }

    /// Returns how the command ended, if that is known.
    pub const fn ending(&self) -> Option<&Ending> {
        match self {
            Self::Ended(ending) => Some(ending),
            Self::Running | Self::Lost => None,
        }
    }
}

/// What Karo understands of a command: a function of its text and of the rules' version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Understanding {
    /// The most telling category.
    pub category: Category,
    /// All categories of what the line runs, the most telling among them.
    pub categories: CategorySet,
    /// Names of the programs that the line runs, in order, each once.
    pub tools: Vec<String>,
    /// The highest level of any rule that matched; `None` when none did, or none looked at it.
    pub risk: Option<Risk>,
    /// Ids of the rules that matched, those of the highest level first.
    pub rules: Vec<String>,
    /// Names the tables and rules that all of this comes from; another number, another understanding.
    pub version: u32,
    /// The axis of the rule that gave `risk`.
    #[serde(default)]
    pub axis: Option<Axis>,
}

/// One command, as Karo keeps it. Level 0: it never leaves its user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Drawn at the first commit and kept.
    pub id: EventId,
    /// Where it was typed.
    pub shell: Shell,
    /// Number of the command in its shell, from 1.
    pub sequence: u64,
    /// The text without its secrets.
    pub command: RedactedCommand,
    /// Where markers stand in it, in order.
    pub redactions: Vec<Redaction>,
    /// Working directory at the start.
    pub cwd: Bytes,
    /// Whether the directory was cut.
    pub is_cwd_truncated: bool,
    /// Wall time of the start.
    pub started_at: Timestamp,
    /// How fine the clock was.
    pub precision: Precision,
    /// What became of it.
    pub outcome: Outcome,
    /// What it is.
    pub understanding: Understanding,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_all(text: &str, cuts: &[(usize, usize)]) -> (String, Vec<(u32, u32)>) {
        let cuts: Vec<Cut> =
            cuts.iter().map(|(start, end)| Cut { start: *start, end: *end, kind: Secret::Token }).collect();
        let (command, redactions) = RedactedCommand::cut(&RawCommand::new(text), &cuts);
        let text = String::from_utf8(command.as_bytes().to_vec()).expect("the text was UTF-8");
        (text, redactions.iter().map(|r| (r.start, r.end)).collect())
    }

    #[test]
    fn spans_are_of_the_marker_in_the_redacted_text() {
        let (text, spans) = cut_all("a SECRET b HIDDEN", &[(11, 17), (2, 8)]);
        assert_eq!(text, "a ‹secret:token› b ‹secret:token›");
        assert_eq!(spans, [(2, 20), (23, 41)]);
    }

    #[test]
    fn overlapping_and_outside_cuts_are_joined_and_bounded() {
        assert_eq!(
            cut_all("abcdef", &[(1, 3), (2, 4), (9, 12), (5, 99)]).0,
            "a‹secret:token›e‹secret:token›"
        );
        assert_eq!(cut_all("abc", &[(2, 2), (3, 1)]).0, "abc");
    }
}
