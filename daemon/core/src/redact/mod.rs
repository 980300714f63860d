//! Cuts secrets out of what was typed, before anything is stored, logged or sent.
//!
//! A secret is found, in the order in which its finders speak:
//!
//! | finder | by |
//! | --- | --- |
//! | `user` | the user's own patterns |
//! | `vendors`, `keys` | its own look: the prefix of a vendor, the block of a private key, a web token |
//! | `programs` | its place among the words of a program: `mysql -pX`, `curl -u user:X`, `--password X` |
//! | `inputs` | what reads it: `echo X | sudo -S ls` |
//! | `urls`, `headers`, `fields` | the name it is given: `API_TOKEN=X`, `"password": "X"`, `scheme://user:X@host` |
//! | `phrases` | the language that it stands in: SQL, `expect`, XML |
//! | `random` | its randomness, where nothing says what it is |
//!
//! All but the first two read words as a shell does, also those of `bash -c '…'` and of here-documents, and map
//! what they find back into the line. There is no regular expression of ours here, and no finder looks at a
//! stretch twice, so the work is linear for any bytes; `scan` counts the steps, and a test holds it.
//!
//! Redacting twice changes nothing: after each cut the result is searched again until nothing is found, so
//! what is returned is what a second redaction would return.

mod fields;
mod flags;
mod found;
mod headers;
mod inputs;
mod keys;
mod names;
mod phrases;
mod programs;
mod quoted;
mod random;
mod scan;
mod shape;
mod urls;
mod user;
mod values;
mod vendors;
mod view;

#[cfg(test)]
mod tests;

use karo_protocol::config::Expression;
use karo_protocol::event::Cut;
use karo_protocol::{RawCommand, RedactedCommand, Redaction};

use self::found::{Found, Hit, merged};
use self::user::Allowed;
use crate::line::{Line, parse};

/// Searches of one text until nothing more is found; the second finds something in a few lines of a million.
const ROUNDS_MAX: usize = 8;

/// Cuts secrets out of commands, by the tables of Karo and the patterns of one user.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    extra: Vec<Expression>,
    allow: Vec<Expression>,
}

/// A command without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Redacted {
    /// The text that may be stored.
    pub command: RedactedCommand,
    /// Where markers were put into it, in order; those that the text held before are not among them.
    pub redactions: Vec<Redaction>,
    /// What was cut, in order, and why.
    pub reasons: Vec<Reasoned>,
    /// The redacted text, taken apart; `None` if nothing was cut, and the line is as it was.
    pub line: Option<Line>,
}

/// A secret that was cut out, with what gave it away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reasoned {
    /// The range of the raw text, and the kind.
    pub cut: Cut,
    /// What gave it away, in words: `value of curl -u`, `looks like: GitHub token`.
    pub reason: String,
}

impl Redactor {
    /// Makes one that knows a user's own patterns, too: what is always cut, and what never is.
    ///
    /// Of a pattern with parentheses in it, what the first pair of them matches is the secret. What is never cut
    /// are secrets that a pattern describes as a whole.
    pub const fn new(extra: Vec<Expression>, allow: Vec<Expression>) -> Self {
        Self { extra, allow }
    }

    /// Cuts the secrets out of a command, which is `line` taken apart.
    ///
    /// Markers that the text already holds stay as they are and are not among the places.
    pub fn redact(&self, raw: &RawCommand, line: &Line) -> Redacted {
        let mut hits = self.find(raw.as_bytes(), line);
        if hits.is_empty() {
            return Redacted { command: RedactedCommand::cut(raw, &[]).0, ..Redacted::default() };
        }
        for _ in 0..ROUNDS_MAX {
            let cuts: Vec<Cut> = hits.iter().map(Hit::cut).collect();
            let (command, redactions) = RedactedCommand::cut(raw, &cuts);
            let line = parse(command.as_bytes());
            let more = self.find(command.as_bytes(), &line);
            if more.is_empty() {
                let reasons = hits.into_iter().map(Hit::reasoned).collect();
                return Redacted { command, redactions, reasons, line: Some(line) };
            }
            hits.extend(more.into_iter().map(|hit| in_raw(hit, &cuts, &redactions)).collect::<Vec<_>>());
            hits = merged(hits);
        }
        // Not seen with any text so far; the safe answer is to keep nothing of it.
        let all = Hit::everything(raw.as_bytes().len());
        let (command, redactions) = RedactedCommand::cut(raw, &[all.cut()]);
        let line = parse(command.as_bytes());
        Redacted { command, redactions, reasons: vec![all.reasoned()], line: Some(line) }
    }

    /// Collects the secrets of a text, in order and apart.
    fn find(&self, text: &[u8], line: &Line) -> Vec<Hit> {
        let mut found = Found::new(text, Allowed(&self.allow));
        user::find(&mut found, &self.extra);
        vendors::find(&mut found);
        keys::find(&mut found);
        programs::find(&mut found, line, false);
        inputs::find(&mut found, line);
        for view in view::views(&found, line) {
            urls::find(&mut found, &view);
            headers::find_bearer(&mut found, &view);
            fields::find(&mut found, &view);
            phrases::find(&mut found, &view);
            random::find(&mut found, &view);
            quoted::find(&mut found, &view);
        }
        inputs::find_asked(&mut found, line);
        found.merged()
    }
}

/// Cuts the secrets out of a command that nobody took apart yet, without a user's own patterns.
pub fn redact(raw: &RawCommand) -> (RedactedCommand, Vec<Redaction>) {
    let Redacted { command, redactions, .. } = Redactor::default().redact(raw, &parse(raw.as_bytes()));
    (command, redactions)
}

/// Returns a hit in the redacted text as one in the raw text.
///
/// `cuts` are those that were made, sorted and apart; `redactions` are their markers, one for each.
fn in_raw(hit: Hit, cuts: &[Cut], redactions: &[Redaction]) -> Hit {
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
    let range = place(hit.range.start, false)..place(hit.range.end, true);
    Hit { range, ..hit }
}
