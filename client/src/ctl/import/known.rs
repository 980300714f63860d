//! What the hooks have recorded already: a shell's own history file holds the same commands once more.
//!
//! A line of the file and a recorded command are the same when their texts are and they started in the
//! same second, or in the one before or after, for the two clocks are read one after the other.

use std::collections::{HashMap, HashSet};

use karo_protocol::event::markers;
use karo_protocol::query::{Detail, Filter, Order, Query, Row};
use karo_protocol::{ShellKind, Timestamp};

use super::history::Entry;
use crate::connection::Connection;
use crate::ctl::exit::{Exit, Trouble};
use crate::ctl::query::{Page, stream};

/// Commands that are on record, by second and text.
#[derive(Default)]
pub struct Known {
    texts: HashSet<(i64, Vec<u8>)>,
    redacted: HashMap<i64, Vec<Vec<u8>>>,
}

impl Known {
    /// Asks for what that kind of shell ran between the first and the last time of these entries.
    ///
    /// # Errors
    ///
    /// When there is no answer, or it does not go back far enough to be relied upon.
    pub fn ask(connection: &mut Connection, kind: ShellKind, entries: &[Entry]) -> Result<Self, Trouble> {
        let mut known = Self::default();
        let times = || entries.iter().filter_map(|entry| entry.started);
        let (Some(first), Some(last)) = (times().min(), times().max()) else { return Ok(known) };
        let at = |second: i64| Timestamp::from_micros(second.saturating_mul(1_000_000));
        let filter = Filter {
            since: Some(at(first - 1)),
            until: Some(at(last + 2)),
            shell: Some(kind),
            ..Filter::default()
        };
        let query =
            Query { filter, is_unique: false, limit: None, order: Order::OldestFirst, detail: Detail::Row };
        let end = stream(connection, &query, |page| {
            if let Page::Rows(rows) = page {
                rows.iter().for_each(|row| known.insert(row));
            }
            Ok(())
        })?;
        match end.partial_since {
            Some(from) if from > at(first) => Err(Trouble {
                exit: Exit::NotCovered,
                message:
                    "the daemon has not loaded everything yet, so it cannot be told what is there already; \
                          try again in a moment"
                        .to_owned(),
            }),
            Some(_) | None => Ok(known),
        }
    }

    fn insert(&mut self, row: &Row) {
        let second = row.started_at.as_micros().div_euclid(1_000_000);
        let text = row.command.trim_ascii_end().to_vec();
        if !markers(&text).is_empty() {
            self.redacted.entry(second).or_default().push(text);
        } else {
            self.texts.insert((second, text));
        }
    }

    /// Tells whether the entry is on record; one without a time never is.
    pub fn holds(&self, entry: &Entry) -> bool {
        let Some(started) = entry.started else { return false };
        let text = entry.command.trim_ascii_end();
        (started - 1..=started + 1).any(|second| {
            let redacted = || self.redacted.get(&second).into_iter().flatten();
            self.texts.contains(&(second, text.to_vec()))
                || redacted().any(|kept| is_redaction_of(kept, text))
        })
    }
}

/// Tells whether cutting secrets out of `raw` may have given `kept`: what lies around the markers is
/// there, in order, from the beginning to the end.
fn is_redaction_of(kept: &[u8], raw: &[u8]) -> bool {
    let mut raw = raw;
    let mut is_first = true;
    let mut done = 0;
    for (marker, _) in markers(kept) {
        let before = &kept[done..marker.start];
        let at = match is_first {
            true => raw.starts_with(before).then_some(0),
            false => find(raw, before),
        };
        let Some(at) = at else { return false };
        (raw, is_first) = (&raw[at + before.len()..], false);
        done = marker.end;
    }
    raw.ends_with(&kept[done..])
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use karo_protocol::{Bytes, State};

    use super::*;

    #[test]
    fn what_is_on_record_is_known_by_time_and_text() {
        let known = known(&[(100, "ls"), (200, "curl -u ada:[redacted:password] x")]);
        let cases = [
            (Some(100), "ls", true),
            (Some(99), "ls", true),
            (Some(101), "ls ", true),
            (Some(102), "ls", false),
            (Some(100), "ls -l", false),
            (None, "ls", false),
            (Some(200), "curl -u ada:hunter2 x", true),
            (Some(200), "curl -u eve:hunter2 x", false),
            (Some(200), "curl -u ada:hunter2 y", false),
        ];
        for (started, text, expected) in cases {
            let entry = Entry { command: text.into(), started, duration: None };
            assert_eq!(known.holds(&entry), expected, "{started:?} {text}");
        }
    }

    #[test]
    fn redactions_are_matched_from_end_to_end() {
        let cases = [
            ("[redacted:token]", "anything", true),
            ("a [redacted:token] b [redacted:key]", "a 1 b 2", true),
            ("a [redacted:token] b", "a 1 b 2", false),
            ("a [redacted:token] b", "x a 1 b", false),
        ];
        for (kept, raw, expected) in cases {
            assert_eq!(is_redaction_of(kept.as_bytes(), raw.as_bytes()), expected, "{kept} of {raw}");
        }
    }

    fn known(rows: &[(i64, &str)]) -> Known {
        let mut known = Known::default();
        for (second, text) in rows {
            known.insert(&Row {
                started_at: Timestamp::from_micros(second * 1_000_000 + 900_000),
                duration: None,
                state: State::Ended,
                exit: None,
                cwd: Bytes::default(),
                command: Bytes::from(*text),
                risk: None,
                axis: None,
            });
        }
        known
    }
}
