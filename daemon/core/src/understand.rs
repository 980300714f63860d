//! All that Karo understands of one command: redacted first; what is left is classified and assessed.
//!
//! Category, programs and risk come from the redacted text alone, so that what is stored can be understood again
//! later, and alike. Most histories repeat two lines in three, so what was understood is remembered by its text
//! and by that of its surroundings which rules ask for, in a cache of fixed size that no answer depends on. A text
//! with a secret in it is never remembered.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use karo_protocol::event::{Cut, Understanding};
use karo_protocol::explain::{self, Explanation, Span};
use karo_protocol::{Bytes, Event, RawCommand, RedactedCommand, Redaction};

use crate::classify::{Classified, RunCategory, classify, table_fingerprint};
use crate::line::{Line, Run, parse};
use crate::redact::{Reasoned, Redacted, Redactor};
use crate::risk::{Assessment, Reads, Rules, Surroundings};

/// Raised when the same text is understood in another way by the same tables and rules.
const CODE_VERSION: u32 = 2;

/// Texts remembered: a year of one person's history has some thousand that come again.
pub const CACHE_TEXTS_MAX: usize = 4096;

/// Length of what is remembered, in bytes: of the text, with that of its surroundings which counts.
///
/// Longer ones are hardly ever typed twice. With [`CACHE_TEXTS_MAX`] it holds the cache's texts under 4 MiB, whatever
/// is typed.
pub const CACHE_TEXT_BYTES_MAX: usize = 1024;

/// What commands are understood by: the tables of Karo, rules, and what one user wants to be cut out.
#[derive(Debug)]
pub struct Knowledge {
    redactor: Redactor,
    rules: Rules,
    version: u32,
}

impl Knowledge {
    /// Puts it together.
    pub fn new(redactor: Redactor, rules: Rules) -> Self {
        let tables = crc32c::crc32c_append(table_fingerprint(), &CODE_VERSION.to_be_bytes());
        let version = crc32c::crc32c_append(tables, &rules.fingerprint().to_be_bytes());
        Self { redactor, rules, version }
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

    /// Understands a text that holds no secrets any more.
    pub fn judge(&self, text: &[u8], surroundings: Surroundings<'_>) -> Understanding {
        self.judge_line(text, &parse(text), surroundings)
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

/// Understands commands, and remembers what it understood.
#[derive(Debug)]
pub struct Understander {
    knowledge: Arc<Knowledge>,
    cache: Cache,
}

impl Understander {
    /// Makes one that remembers nothing yet.
    pub fn new(knowledge: Arc<Knowledge>) -> Self {
        Self { knowledge, cache: Cache::default() }
    }

    /// Returns what it understands by.
    pub const fn knowledge(&self) -> &Arc<Knowledge> {
        &self.knowledge
    }

    /// Redacts a command and understands it; what came before never counts.
    pub fn understand(&mut self, raw: &RawCommand, surroundings: Surroundings<'_>) -> Understood {
        let text = raw.as_bytes();
        let key = key(text, surroundings, self.knowledge.rules.reads());
        if let Some(understanding) = self.cache.find(&key) {
            let (command, redactions) = RedactedCommand::cut(raw, &[]);
            return Understood { command, redactions, understanding };
        }
        let line = parse(text);
        let Redacted { command, redactions, line: cut, .. } = self.knowledge.redactor.redact(raw, &line);
        if let Some(cut) = cut {
            let understanding = self.knowledge.judge_line(command.as_bytes(), &cut, surroundings);
            return Understood { command, redactions, understanding };
        }
        let understanding = self.knowledge.judge_line(text, &line, surroundings);
        // With a secret in it, the key would be a secret.
        if key.len() <= CACHE_TEXT_BYTES_MAX {
            self.cache.keep(&key, &understanding);
        }
        Understood { command, redactions, understanding }
    }

    /// Understands a stored event once more; `None` when it is what it was.
    ///
    /// With `is_redacting`, secrets that are found today are cut out of its text as well.
    pub fn again(&mut self, event: &Event, is_redacting: bool) -> Option<Again> {
        let redacted = is_redacting.then(|| self.redacted_again(event)).flatten();
        if redacted.is_none() && event.understanding.version == self.knowledge.version {
            return None;
        }
        let text = redacted.as_ref().map_or(&event.command, |(command, _)| command).as_bytes();
        let understanding = self.judge(text, surroundings(event));
        Some(Again { understanding, redacted })
    }

    fn redacted_again(&self, event: &Event) -> Option<(RedactedCommand, Vec<Redaction>)> {
        let raw = RawCommand::with_flag(event.command.as_bytes(), event.command.is_truncated());
        let line = parse(raw.as_bytes());
        let Redacted { command, redactions, reasons, .. } = self.knowledge.redactor.redact(&raw, &line);
        let redactions = with_moved(&event.redactions, &reasons, redactions);
        (!reasons.is_empty()).then_some((command, redactions))
    }

    /// Understands once more what is stored, and remembers it as well.
    pub fn judge(&mut self, text: &[u8], surroundings: Surroundings<'_>) -> Understanding {
        let key = key(text, surroundings, self.knowledge.rules.reads());
        if let Some(understanding) = self.cache.find(&key) {
            return understanding;
        }
        let understanding = self.knowledge.judge(text, surroundings);
        if key.len() <= CACHE_TEXT_BYTES_MAX {
            self.cache.keep(&key, &understanding);
        }
        understanding
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

/// Returns what an understanding is remembered by: the text, and of its surroundings what rules ask for.
///
/// A number of bytes stands before each part of the surroundings, so that no two keys are the same by chance.
fn key<'a>(text: &'a [u8], surroundings: Surroundings<'_>, reads: Reads) -> Cow<'a, [u8]> {
    let parts = [
        (reads.cwd, surroundings.cwd),
        (reads.user, surroundings.user.as_bytes()),
        (reads.shell, surroundings.shell.as_bytes()),
    ];
    if parts.iter().all(|(is_read, _)| !is_read) {
        return Cow::Borrowed(text);
    }
    let mut key = Vec::with_capacity(text.len() + 64);
    for (_, part) in parts.into_iter().filter(|(is_read, _)| *is_read) {
        key.extend_from_slice(&(part.len() as u32).to_be_bytes());
        key.extend_from_slice(part);
    }
    key.extend_from_slice(text);
    Cow::Owned(key)
}

/// What was understood, by text: full, it gives up a text that was not asked for lately.
///
/// The clock algorithm (Corbató 1968): a hand goes round, spares what was used since it last came by, and takes
/// the first that was not.
#[derive(Debug, Default)]
struct Cache {
    places: BTreeMap<Arc<[u8]>, usize>,
    slots: Vec<Slot>,
    hand: usize,
}

#[derive(Debug)]
struct Slot {
    text: Arc<[u8]>,
    understanding: Understanding,
    is_used: bool,
}

impl Cache {
    fn find(&mut self, text: &[u8]) -> Option<Understanding> {
        let slot = &mut self.slots[*self.places.get(text)?];
        slot.is_used = true;
        Some(slot.understanding.clone())
    }

    /// Remembers a text that is not remembered yet.
    fn keep(&mut self, text: &[u8], understanding: &Understanding) {
        let text: Arc<[u8]> = text.into();
        let slot = Slot { text: Arc::clone(&text), understanding: understanding.clone(), is_used: false };
        let place = self.free_place();
        match self.slots.get_mut(place) {
            Some(old) => {
                self.places.remove(&old.text);
                *old = slot;
            }
            None => self.slots.push(slot),
        }
        self.places.insert(text, place);
    }

    fn free_place(&mut self) -> usize {
        if self.slots.len() < CACHE_TEXTS_MAX {
            return self.slots.len();
        }
        while std::mem::take(&mut self.slots[self.hand].is_used) {
            self.hand = (self.hand + 1) % CACHE_TEXTS_MAX;
        }
        let place = self.hand;
        self.hand = (self.hand + 1) % CACHE_TEXTS_MAX;
        place
    }
}

#[cfg(test)]
mod tests {
    use karo_protocol::{Category, Risk};

    use super::*;
    use crate::risk::RuleFile;

    fn understander() -> Understander {
        Understander::new(Arc::new(Knowledge::new(Redactor::default(), Rules::builtin())))
    }

    fn understand(understander: &mut Understander, text: &str) -> Understood {
        understander.understand(&RawCommand::new(text), Surroundings::default())
    }

    #[test]
    fn a_text_met_before_is_understood_alike() {
        let (mut understander, mut other) = (understander(), understander());
        for text in ["git push", "export A_TOKEN=hunter2", "", "\u{1f980}", &"x ".repeat(2000)] {
            other.cache = Cache::default();
            let fresh = understand(&mut other, text);
            assert_eq!(understand(&mut understander, text), fresh);
            assert_eq!(understand(&mut understander, text), fresh);
        }
    }

    #[test]
    fn what_is_stored_is_understood_again_alike() {
        let mut understander = understander();
        for text in ["curl -u bob:hunter2 https://example.org | sh", "git push", "mysql -phunter2 db"] {
            let first = understand(&mut understander, text);
            let again = understander.judge(first.command.as_bytes(), Surroundings::default());
            assert_eq!(again, first.understanding, "{text}");
            let explanation = understander.knowledge.explain(&RawCommand::new(text), Surroundings::default());
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
        let mut understander = understander();
        let mut cut = |is_cut| {
            let raw = RawCommand::with_flag("ls", is_cut);
            understander.understand(&raw, Surroundings::default()).command.is_truncated()
        };
        assert!(!cut(false) && cut(true));
    }

    #[test]
    fn secrets_are_neither_remembered_nor_called_tools() {
        let mut understander = understander();
        let token = format!("ghp_{}", "a1".repeat(18));
        let understood = understand(&mut understander, &token);
        assert_eq!(understood.understanding.tools, Vec::<String>::new());
        assert_eq!(understood.understanding.category, Category::Other);
        assert_eq!(understood.redactions.len(), 1);
        assert!(understander.cache.slots.is_empty());
    }

    #[test]
    fn what_rules_ask_for_is_part_of_what_is_remembered() {
        let rule = "title: t\nid: 0c2a9c1c-6a52-4f5d-8a13-0f6f6a2f7a11\nstatus: test\nlogsource:\n  category: \
                    process_creation\n  product: linux\ndetection:\n  selection:\n    CurrentDirectory: /srv\n  \
                    condition: selection\nlevel: high\n";
        let rules = Rules::load(&[RuleFile { path: "t.yml", text: rule.as_bytes() }]);
        assert_eq!(rules.refused(), []);
        let mut understander = Understander::new(Arc::new(Knowledge::new(Redactor::default(), rules)));
        let raw = RawCommand::new("echo one");
        let mut risk = |cwd: &[u8]| {
            understander.understand(&raw, Surroundings { cwd, ..Surroundings::default() }).understanding.risk
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

    #[test]
    fn the_cache_stays_within_its_bounds_and_spares_what_is_used() {
        let mut cache = Cache::default();
        let understanding = understand(&mut understander(), "ls").understanding;
        let mut meet = |text: &str| {
            if cache.find(text.as_bytes()).is_none() {
                cache.keep(text.as_bytes(), &understanding);
            }
        };
        for n in 0..3 * CACHE_TEXTS_MAX {
            meet(&format!("ls {n}"));
            meet("make test");
        }
        assert_eq!((cache.slots.len(), cache.places.len()), (CACHE_TEXTS_MAX, CACHE_TEXTS_MAX));
        assert!(cache.places.contains_key(b"make test".as_slice()));
        assert!(!cache.places.contains_key(b"ls 0".as_slice()));
        assert!(cache.places.iter().all(|(text, place)| cache.slots[*place].text == *text));
    }
}
