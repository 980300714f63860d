//! Cuts secrets out of what was typed, before anything is stored, logged or sent.
//!
//! A secret is found by its own look (vendors' tokens, private keys), by the name it is given
//! (`API_TOKEN=…`, `"password": "…"`), or by the place it has (`mysql -p…`, `scheme://user:…@host`). What
//! has none of these, such as a password alone on a line, is not found: nothing here guesses by entropy.
//!
//! There is no regular expression here. Every finder walks the text by hand and never looks at a stretch
//! of it twice, so the work is linear for any bytes; `scan` counts the steps, and a test holds it.
//!
//! Redacting twice changes nothing: after each cut the result is searched again until nothing is found, so
//! what is returned is what a second redaction would return.

mod assignments;
mod flags;
mod headers;
mod keys;
mod names;
mod scan;
mod urls;
mod values;
mod vendors;

#[cfg(test)]
mod tests;

use std::ops::Range;

use karo_protocol::event::{Cut, Secret, markers};
use karo_protocol::{RawCommand, RedactedCommand, Redaction};

use crate::line::{Line, parse};

/// Searches of one text until nothing more is found; the second finds something in a few lines of a million.
const ROUNDS_MAX: usize = 8;

/// Cuts secrets out of commands, by the tables of Karo and the patterns of one user.
#[derive(Debug, Clone, Default)]
pub struct Redactor {}

/// A command without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Redacted {
    /// The text that may be stored.
    pub command: RedactedCommand,
    /// Where markers were put into it, in order; those that the text held before are not among them.
    pub redactions: Vec<Redaction>,
    /// What was cut, in order, and why.
    pub reasons: Vec<Reasoned>,
}

/// A secret that was cut out, with what gave it away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reasoned {
    /// The range of the raw text, and the kind.
    pub cut: Cut,
    /// What gave it away, in words: `value of curl -u`, `look of a GitHub token`.
    pub reason: String,
}

impl Redactor {
    /// Cuts the secrets out of a command, which is `line` taken apart.
    ///
    /// Markers that the text already holds stay as they are and are not among the places.
    pub fn redact(&self, raw: &RawCommand, _line: &Line) -> Redacted {
        let (command, redactions, cuts) = cut(raw);
        let reasons = cuts.into_iter().map(|cut| Reasoned { reason: cut.kind.to_string(), cut }).collect();
        Redacted { command, redactions, reasons }
    }
}

/// Cuts the secrets out of a command that nobody took apart yet, without a user's own patterns.
pub fn redact(raw: &RawCommand) -> (RedactedCommand, Vec<Redaction>) {
    let Redacted { command, redactions, .. } = Redactor::default().redact(raw, &parse(raw.as_bytes()));
    (command, redactions)
}

fn cut(raw: &RawCommand) -> (RedactedCommand, Vec<Redaction>, Vec<Cut>) {
    let mut cuts = merged(find(raw.as_bytes()));
    for _ in 0..ROUNDS_MAX {
        let (command, redactions) = RedactedCommand::cut(raw, &cuts);
        if cuts.is_empty() {
            return (command, redactions, cuts);
        }
        let more = find(command.as_bytes());
        if more.is_empty() {
            return (command, redactions, cuts);
        }
        cuts.extend(more.into_iter().map(|cut| in_raw(&cut, &cuts, &redactions)).collect::<Vec<_>>());
        cuts = merged(cuts);
    }
    // Not seen with any text so far; the safe answer is to keep nothing of it.
    let all = vec![Cut { start: 0, end: raw.as_bytes().len(), kind: Secret::Key }];
    let (command, redactions) = RedactedCommand::cut(raw, &all);
    (command, redactions, all)
}

/// Collects the secrets of a text.
fn find(text: &[u8]) -> Vec<Cut> {
    let mut found = Found::new(text);
    vendors::find(&mut found);
    keys::find(&mut found);
    urls::find(&mut found);
    headers::find(&mut found);
    assignments::find(&mut found);
    flags::find(&mut found);
    found.cuts
}

/// Sorts cuts and joins those that overlap; the first gives the kind.
fn merged(mut cuts: Vec<Cut>) -> Vec<Cut> {
    cuts.sort_unstable();
    cuts.dedup_by(|next, kept| {
        let overlaps = next.start < kept.end;
        if overlaps {
            kept.end = kept.end.max(next.end);
        }
        overlaps
    });
    cuts
}

/// Returns where a cut of the redacted text lies in the raw text.
///
/// `cuts` are those that were made, sorted and apart; `redactions` are their markers, one for each.
fn in_raw(cut: &Cut, cuts: &[Cut], redactions: &[Redaction]) -> Cut {
    let place = |at: usize, is_end: bool| {
        let before = redactions.partition_point(|redaction| (redaction.start as usize) < at);
        let Some(last) = before.checked_sub(1) else { return at };
        let (made, marker_end) = (&cuts[last], redactions[last].end as usize);
        match at < marker_end {
            true if is_end => made.end,
            true => made.start,
            false => made.end + (at - marker_end),
        }
    };
    Cut { start: place(cut.start, false), end: place(cut.end, true), kind: cut.kind }
}

/// The secrets found in one text so far.
struct Found<'a> {
    text: &'a [u8],
    /// Where markers stand in the text already, in order.
    markers: Vec<Range<usize>>,
    cuts: Vec<Cut>,
}

impl<'a> Found<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self { text, markers: markers(text).into_iter().map(|(place, _)| place).collect(), cuts: Vec::new() }
    }

    /// Notes a secret; markers at either end of it are left standing, and an empty one is none.
    fn push(&mut self, mut secret: Range<usize>, kind: Secret) {
        while let Some(at) = self.marker_at(secret.start) {
            secret.start = at.end;
        }
        while let Some(at) = secret.end.checked_sub(1).and_then(|last| self.marker_at(last)) {
            secret.end = at.start;
        }
        if secret.start < secret.end {
            self.cuts.push(Cut { start: secret.start, end: secret.end, kind });
        }
    }

    /// Returns the marker that covers the byte at `at`.
    fn marker_at(&self, at: usize) -> Option<Range<usize>> {
        let after = self.markers.partition_point(|marker| marker.start <= at);
        let last = self.markers.get(after.checked_sub(1)?)?;
        last.contains(&at).then(|| last.clone())
    }

    /// Returns where a byte first stands in a range, markers left out.
    fn position_of(&self, byte: u8, range: Range<usize>) -> Option<usize> {
        range.into_iter().find(|at| self.text[*at] == byte && self.marker_at(*at).is_none())
    }
}
