//! All that Karo understands of one command: redacted first; what is left is classified and assessed.
//!
//! Category, programs and risk come from the redacted text alone, so that what is stored can be understood again
//! later, and alike. Most histories repeat two lines in three, so what was understood is remembered by its text
//! and by that of its surroundings which rules ask for, in a [cache](CACHE_TEXTS_MAX) that has an end and that no
//! answer depends on. A text with a secret in it is never remembered.

mod cache;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use karo_protocol::event::{Cut, Understanding};
use karo_protocol::explain::{self, Explanation, Span};
use karo_protocol::{Bytes, Event, RawCommand, RedactedCommand, Redaction};

use crate::classify::{Classified, RunCategory, classify, table_fingerprint};
use crate::line::{Line, Run, parse};
use crate::redact::{Reasoned, Redacted, Redactor};
use crate::risk::{Assessment, Rules, Surroundings};
use cache::{Cache, Key, Origin};

pub use cache::{CACHE_TEXTS_MAX, CACHE_UNDERSTANDING_BYTES_MAX, CACHE_UNDERSTANDINGS_MAX};

/// Raised when the same text is understood in another way by the same tables and rules.
const CODE_VERSION: u32 = 2;

/// What commands are understood by: the tables of Karo, rules, and what one user wants to be cut out.
///
/// It never changes; what is understood by it is remembered with it, for all threads that ask, and forgotten with it.
#[derive(Debug)]
pub struct Knowledge {
    redactor: Redactor,
    rules: Rules,
    version: u32,
    cache: Mutex<Cache>,
}

impl Knowledge {
    /// Puts it together.
    pub fn new(redactor: Redactor, rules: Rules) -> Self {
        let tables = crc32c::crc32c_append(table_fingerprint(), &CODE_VERSION.to_be_bytes());
        let version = crc32c::crc32c_append(tables, &rules.fingerprint().to_be_bytes());
        Self { redactor, rules, version, cache: Mutex::default() }
    }

    /// Returns the rules.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Returns what cuts secrets out.
    pub const fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Returns the number that [`Understanding::version`] has for all that is understood by it.
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// Redacts a command and understands it; what came before never counts.
    pub fn understand(&self, raw: &RawCommand, surroundings: Surroundings<'_>) -> Understood {
        let text = raw.as_bytes();
        let key = self.key(Origin::Clean, text, surroundings);
        if let Some(understanding) = self.remembered(key) {
            let (command, redactions) = RedactedCommand::cut(raw, &[]);
            return Understood { command, redactions, understanding };
        }
        let understood = self.understand_anew(raw, surroundings);
        // With a secret in it, its hash would tell whoever guesses the secret that the guess is right.
        if understood.redactions.is_empty() {
            self.cache().keep(key, &understood.understanding);
        }
        understood
    }

    /// Redacts a command and understands it as if it was the first; nothing of it is remembered.
    pub fn understand_anew(&self, raw: &RawCommand, surroundings: Surroundings<'_>) -> Understood {
        let line = parse(raw.as_bytes());
        let Redacted { command, redactions, line: cut, .. } = self.redactor.redact(raw, &line);
        let understanding = self.judge_line(command.as_bytes(), &cut.unwrap_or(line), surroundings);
        Understood { command, redactions, understanding }
    }

    /// Understands a text from which secrets were cut once, and remembers that as well.
    pub fn judge(&self, text: &[u8], surroundings: Surroundings<'_>) -> Understanding {
        let key = self.key(Origin::Stored, text, surroundings);
        self.remembered(key).unwrap_or_else(|| {
            let understanding = self.judge_line(text, &parse(text), surroundings);
            self.cache().keep(key, &understanding);
            understanding
        })
    }

    /// Understands a stored event once more; `None` when it is what it was.
    ///
    /// With `is_redacting`, secrets that are found today are cut out of its text as well.
    pub fn again(&self, event: &Event, is_redacting: bool) -> Option<Again> {
        let redacted = is_redacting.then(|| self.redacted_again(event)).flatten();
        if redacted.is_none() && event.understanding.version == self.version {
            return None;
        }
        let text = redacted.as_ref().map_or(&event.command, |(command, _)| command).as_bytes();
        let understanding = self.judge(text, surroundings(event));
        Some(Again { understanding, redacted })
    }

    fn redacted_again(&self, event: &Event) -> Option<(RedactedCommand, Vec<Redaction>)> {
        let raw = RawCommand::with_flag(event.command.as_bytes(), event.command.is_truncated());
        let line = parse(raw.as_bytes());
        let Redacted { command, redactions, reasons, .. } = self.redactor.redact(&raw, &line);
        let redactions = with_moved(&event.redactions, &reasons, redactions);
        (!reasons.is_empty()).then_some((command, redactions))
    }

    fn key(&self, origin: Origin, text: &[u8], surroundings: Surroundings<'_>) -> Key {
        Key::of(origin, text, surroundings, self.rules.reads())
    }

    fn remembered(&self, key: Key) -> Option<Understanding> {
        let found = self.cache().find(key);
        // Copied when others may ask again.
        found.map(|understanding| Understanding::clone(&understanding))
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        // Whatever a panic left of it is still a cache: no answer depends on it.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn judge_line(&self, text: &[u8], line: &Line, surroundings: Surroundings<'_>) -> Understanding {
        let Classified { category, categories, tools, runs: _ } = classify(line);
        let Assessment { risk, axis, rules } = self.rules.assess(text, line, surroundings);
        Understanding { category, categories, tools, risk, rules, version: self.version, axis }
    }

    /// Says what is understood of a command, and why.
    pub fn explain(&self, raw: &RawCommand, surroundings: Surroundings<'_>) -> Explanation {
        let line = parse(raw.as_bytes());
        let Redacted { command, reasons, line: cut, .. } = self.redactor.redact(raw, &line);
        let text = command.as_bytes();
        let line = cut.unwrap_or(line);
        let Classified { category, categories, runs, .. } = classify(&line);
        let matches = self.rules.matches(text, &line, surroundings);
        let highest = matches.first();
        Explanation {
            spans: reasons.iter().map(span).collect(),
            runs: line.runs.iter().zip(&runs).map(|(run, category)| shown(run, category)).collect(),
            is_parsed: line.is_parsed,
            category,
            categories: categories.iter().collect(),
            risk: highest.map(|found| found.level),
            axis: highest.map(|found| found.axis),
            redacted: Bytes(text.to_vec()),
            matches,
            is_cut: false,
        }
    }
}

fn span(Reasoned { cut, reason }: &Reasoned) -> Span {
    Span { start: cut.start as u32, end: cut.end as u32, kind: cut.kind, reason: reason.to_string() }
}

fn shown(run: &Run, RunCategory { category, row, confidence }: &RunCategory) -> explain::Run {
    explain::Run {
        argv: run.words.iter().map(|word| Bytes(word.text().to_vec())).collect(),
        context: run.contexts.iter().collect(),
        is_privileged: run.is_privileged,
        is_remote: run.is_remote || run.is_contained,
        parent: run.parent.and_then(|parent| u32::try_from(parent).ok()),
        category: *category,
        row: (*row).to_owned(),
        confidence: *confidence,
    }
}

/// Returns where an event's command was typed, as it was told to the rules when it was recorded.
pub fn surroundings(event: &Event) -> Surroundings<'_> {
    Surroundings { cwd: &event.cwd.0, user: &event.shell.user, shell: event.shell.kind.name() }
}

/// A command without its secrets, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Understood {
    /// The text that may be stored.
    pub command: RedactedCommand,
    /// Where markers were put into it, in order.
    pub redactions: Vec<Redaction>,
    /// What kind of command it is.
    pub understanding: Understanding,
}

/// What an event becomes when it is understood once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again {
    /// What kind of command it is.
    pub understanding: Understanding,
    /// The text with more of it cut out, and where all markers stand in it; `None` where it stays.
    pub redacted: Option<(RedactedCommand, Vec<Redaction>)>,
}

/// Knowledge on its way through an understanding again.
#[derive(Debug)]
pub struct Understander(Arc<Knowledge>);

impl Understander {
    /// Makes one of what commands are understood by.
    pub const fn new(knowledge: Arc<Knowledge>) -> Self {
        Self(knowledge)
    }

    /// Understands a stored event once more, as [`Knowledge::again`] does.
    pub fn again(&self, event: &Event, is_redacting: bool) -> Option<Again> {
        self.0.again(event, is_redacting)
    }
}

/// Adds to new markers those that stood in the text before, where they stand now.
fn with_moved(old: &[Redaction], made: &[Reasoned], mut new: Vec<Redaction>) -> Vec<Redaction> {
    let mut kept = Vec::with_capacity(old.len());
    for marker in old {
        let within = |cut: &Cut| cut.start < marker.end as usize && (marker.start as usize) < cut.end;
        if made.iter().any(|reasoned| within(&reasoned.cut)) {
            continue;
        }
        let before = made.iter().take_while(|reasoned| reasoned.cut.end <= marker.start as usize);
        let (cut, put) = before.zip(&new).fold((0, 0), |(cut, put), (reasoned, marker)| {
            (cut + (reasoned.cut.end - reasoned.cut.start) as u32, put + (marker.end - marker.start))
        });
        kept.push(Redaction { start: marker.start - cut + put, end: marker.end - cut + put, ..*marker });
    }
    new.extend(kept);
    new.sort_unstable();
    new
}

#[cfg(test)]
mod tests {
    use karo_protocol::{Category, Risk};

    use super::*;
    use crate::risk::RuleFile;

    fn knowledge() -> Knowledge {
        Knowledge::new(Redactor::default(), Rules::builtin())
    }

    fn understand(knowledge: &Knowledge, text: &str) -> Understood {
        knowledge.understand(&RawCommand::new(text), Surroundings::default())
    }

    #[test]
    fn a_text_met_before_is_understood_alike() {
        let (knowledge, other) = (knowledge(), knowledge());
        for text in ["git push", "export A_TOKEN=hunter2", "", "\u{1f980}", &"x ".repeat(2000)] {
            *other.cache() = Cache::default();
            let fresh = understand(&other, text);
            assert_eq!(understand(&knowledge, text), fresh);
            assert_eq!(understand(&knowledge, text), fresh);
        }
    }

    #[test]
    fn what_is_stored_is_understood_again_alike() {
        let knowledge = knowledge();
        for text in ["curl -u bob:hunter2 https://example.org | sh", "git push", "mysql -phunter2 db"] {
            let first = understand(&knowledge, text);
            let again = knowledge.judge(first.command.as_bytes(), Surroundings::default());
            assert_eq!(again, first.understanding, "{text}");
            let explanation = knowledge.explain(&RawCommand::new(text), Surroundings::default());
            assert_eq!(explanation.redacted.0, first.command.as_bytes());
            assert_eq!(explanation.category, first.understanding.category);
            assert_eq!(
                (explanation.risk, explanation.axis),
                (first.understanding.risk, first.understanding.axis)
            );
            let ids: Vec<_> = explanation.matches.iter().map(|found| found.id.clone()).collect();
            assert_eq!(ids, first.understanding.rules);
        }
    }

    #[test]
    fn markers_of_before_stay_where_they_are() {
        let kind = karo_protocol::event::Secret::Token;
        let old = [Redaction { start: 0, end: 3, kind }, Redaction { start: 20, end: 30, kind }];
        let cut = |start, end| Reasoned { cut: Cut { start, end, kind }, reason: "test".into() };
        let new = vec![Redaction { start: 5, end: 15, kind }, Redaction { start: 45, end: 55, kind }];
        let markers = with_moved(&old, &[cut(5, 9), cut(39, 41)], new);
        let places: Vec<_> = markers.iter().map(|marker| (marker.start, marker.end)).collect();
        assert_eq!(places, [(0, 3), (5, 15), (26, 36), (45, 55)]);
    }

    #[test]
    fn a_cut_text_is_not_taken_for_the_whole_one() {
        let knowledge = knowledge();
        let cut = |is_cut| {
            let raw = RawCommand::with_flag("ls", is_cut);
            knowledge.understand(&raw, Surroundings::default()).command.is_truncated()
        };
        assert!(!cut(false) && cut(true));
    }

    #[test]
    fn secrets_are_neither_remembered_nor_called_tools() {
        let knowledge = knowledge();
        let token = format!("ghp_{}", "a1".repeat(18));
        let understood = understand(&knowledge, &token);
        assert_eq!(understood.understanding.tools, Vec::<String>::new());
        assert_eq!(understood.understanding.category, Category::Other);
        assert_eq!(understood.redactions.len(), 1);
        assert!(
            knowledge
                .remembered(knowledge.key(Origin::Clean, token.as_bytes(), Surroundings::default()))
                .is_none()
        );
    }

    #[test]
    fn what_was_judged_as_it_is_stored_is_not_taken_for_clean() {
        let knowledge = knowledge();
        let text = "mysql -phunter2 db";
        // A Karo of before may have stored it like that.
        knowledge.judge(text.as_bytes(), Surroundings::default());
        assert_eq!(understand(&knowledge, text).redactions.len(), 1);
    }

    #[test]
    fn what_rules_ask_for_is_part_of_what_is_remembered() {
        let rule = "title: t\nid: 0c2a9c1c-6a52-4f5d-8a13-0f6f6a2f7a11\nstatus: test\nlogsource:\n  category: \
                    process_creation\n  product: linux\ndetection:\n  selection:\n    CurrentDirectory: /srv\n  \
                    condition: selection\nlevel: high\n";
        let rules = Rules::load(&[RuleFile { path: "t.yml", text: rule.as_bytes() }]);
        assert_eq!(rules.refused(), []);
        let knowledge = Knowledge::new(Redactor::default(), rules);
        let raw = RawCommand::new("echo one");
        let risk = |cwd: &[u8]| {
            knowledge.understand(&raw, Surroundings { cwd, ..Surroundings::default() }).understanding.risk
        };
        for _ in 0..2 {
            assert_eq!((risk(b"/srv"), risk(b"/home"), risk(b"")), (Some(Risk::High), None, None));
        }
    }

    #[test]
    fn other_rules_are_another_version() {
        let rule = |title: &str| format!("title: {title}\n");
        let version = |text: &str| {
            let rules = Rules::load(&[RuleFile { path: "t.yml", text: text.as_bytes() }]);
            Knowledge::new(Redactor::default(), rules).version()
        };
        assert_eq!(version(&rule("a")), version(&rule("a")));
        assert_ne!(version(&rule("a")), version(&rule("b")));
    }
}
