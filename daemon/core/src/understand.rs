//! All that Karo understands of one command: redacted first, classified from what is left.
//!
//! Most histories repeat two lines in three, so what was understood is remembered by its text, in a cache of
//! fixed size that no answer depends on. A text with a secret in it is never remembered.

use std::collections::BTreeMap;
use std::sync::Arc;

use karo_protocol::event::Understanding;
use karo_protocol::{RawCommand, RedactedCommand, Redaction};

use crate::classify::{Classified, classify};
use crate::line;
use crate::redact::redact;

/// Version of the tables and rules; raised when the same text is understood in another way.
pub const RULES_VERSION: u32 = 1;

/// Texts remembered: a year of one person's history has some thousand that come again.
pub const CACHE_TEXTS_MAX: usize = 4096;

/// Length of a text that is remembered, in bytes; longer ones are hardly ever typed twice.
///
/// With [`CACHE_TEXTS_MAX`] it holds the cache's texts under 4 MiB, whatever is typed.
pub const CACHE_TEXT_BYTES_MAX: usize = 1024;

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

/// Understands commands, and remembers what it understood.
#[derive(Debug, Default)]
pub struct Understander {
    cache: Cache,
}

impl Understander {
    /// Makes one that remembers nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Redacts and classifies a command; its text decides alone, and never what came before.
    pub fn understand(&mut self, raw: &RawCommand) -> Understood {
        let text = raw.as_bytes();
        if let Some(understanding) = self.cache.find(text) {
            let (command, redactions) = RedactedCommand::cut(raw, &[]);
            return Understood { command, redactions, understanding };
        }
        let (command, redactions) = redact(raw);
        let understanding = classified(command.as_bytes());
        // The key would be a secret otherwise.
        if redactions.is_empty() && text.len() <= CACHE_TEXT_BYTES_MAX {
            self.cache.keep(text, &understanding);
        }
        Understood { command, redactions, understanding }
    }
}

fn classified(text: &[u8]) -> Understanding {
    let Classified { category, categories, tools, runs: _ } = classify(&line::parse(text));
    Understanding {
        category,
        categories,
        tools,
        risk: None,
        rules: Vec::new(),
        version: RULES_VERSION,
        axis: None,
    }
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
    use karo_protocol::Category;

    use super::*;

    #[test]
    fn a_text_met_before_is_understood_alike() {
        let mut understander = Understander::new();
        for text in ["git push", "export A_TOKEN=hunter2", "", "\u{1f980}", &"x ".repeat(2000)] {
            let raw = RawCommand::new(text);
            let fresh = Understander::new().understand(&raw);
            assert_eq!(understander.understand(&raw), fresh);
            assert_eq!(understander.understand(&raw), fresh);
        }
    }

    #[test]
    fn a_cut_text_is_not_taken_for_the_whole_one() {
        let mut understander = Understander::new();
        assert!(!understander.understand(&RawCommand::new("ls")).command.is_truncated());
        assert!(understander.understand(&RawCommand::with_flag("ls", true)).command.is_truncated());
    }

    #[test]
    fn secrets_are_neither_remembered_nor_called_tools() {
        let mut understander = Understander::new();
        let token = format!("ghp_{}", "a1".repeat(18));
        let understood = understander.understand(&RawCommand::new(token.as_str()));
        assert_eq!(understood.understanding.tools, Vec::<String>::new());
        assert_eq!(understood.understanding.category, Category::Other);
        assert_eq!(understood.redactions.len(), 1);
        assert!(understander.cache.slots.is_empty());
    }

    #[test]
    fn the_cache_stays_within_its_bounds_and_spares_what_is_used() {
        let mut understander = Understander::new();
        let often = RawCommand::new("make test");
        for n in 0..3 * CACHE_TEXTS_MAX {
            understander.understand(&RawCommand::new(format!("ls {n}")));
            understander.understand(&often);
        }
        let cache = &understander.cache;
        assert_eq!((cache.slots.len(), cache.places.len()), (CACHE_TEXTS_MAX, CACHE_TEXTS_MAX));
        assert!(cache.places.contains_key(often.as_bytes()));
        assert!(!cache.places.contains_key(b"ls 0".as_slice()));
        assert!(cache.places.iter().all(|(text, place)| cache.slots[*place].text == *text));
    }
}
