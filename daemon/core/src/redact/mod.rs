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

use karo_protocol::event::{Cut, Secret, marker};
use karo_protocol::{RawCommand, RedactedCommand, Redaction};
use memchr::memmem;

/// Searches of one text until nothing more is found; the second finds something in a few lines of a million.
const ROUNDS_MAX: usize = 8;

/// Cuts the secrets out of a command; returns it with the places of the markers, in order.
///
/// Markers that the text already holds stay as they are and are not among the places.
pub fn redact(raw: &RawCommand) -> (RedactedCommand, Vec<Redaction>) {
    let mut cuts = merged(find(raw.as_bytes()));
    for _ in 0..ROUNDS_MAX {
        let (command, redactions) = RedactedCommand::cut(raw, &cuts);
        if cuts.is_empty() {
            return (command, redactions);
        }
        let more = find(command.as_bytes());
        if more.is_empty() {
            return (command, redactions);
        }
        cuts.extend(more.into_iter().map(|cut| in_raw(&cut, &cuts, &redactions)).collect::<Vec<_>>());
        cuts = merged(cuts);
    }
    // Not seen with any text so far; the safe answer is to keep nothing of it.
    RedactedCommand::cut(raw, &[Cut { start: 0, end: raw.as_bytes().len(), kind: Secret::Key }])
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
        Self { text, markers: markers(text), cuts: Vec::new() }
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

/// Finds the markers that stand in a text.
fn markers(text: &[u8]) -> Vec<Range<usize>> {
    memmem::find_iter(text, "[redacted:")
        .filter_map(|at| {
            let kinds = Secret::ALL.iter().map(|kind| marker(*kind).as_bytes());
            kinds
                .into_iter()
                .find(|marker| text[at..].starts_with(marker))
                .map(|marker| at..at + marker.len())
        })
        .collect()
}
