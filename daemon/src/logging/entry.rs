//! One entry of the log: what a `tracing` event says, bounded, and with nothing in it that could act.
//!
//! It is made once and goes everywhere in the same form: to the journal, to standard error and into memory.

use std::fmt::{self, Write as _};

use karo_protocol::Timestamp;
use karo_protocol::logs::{LOG_ENTRY_BYTES_MAX, LogEntry, LogFilter, Severity};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use super::Class;

/// Bytes of a message, at most.
const MESSAGE_BYTES_MAX: usize = 2 * 1024;

/// Bytes of the value of a field, at most.
const VALUE_BYTES_MAX: usize = 512;

/// Fields of an entry, at most; together with the message they stay under [`LOG_ENTRY_BYTES_MAX`].
const FIELDS_MAX: usize = 10;

const _: () = assert!(
    MESSAGE_BYTES_MAX + (FIELDS_MAX + 2) * VALUE_BYTES_MAX <= LOG_ENTRY_BYTES_MAX,
    "an entry fits its bound"
);

/// What stands at the end of a text that was longer.
const CUT: char = '…';

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it was said.
    pub at: Timestamp,
    /// How grave it is.
    pub severity: Severity,
    /// Its class; none at debug and trace, and for what libraries say.
    pub class: Option<Class>,
    /// Where in the source it is said.
    pub place: Option<(&'static str, u32)>,
    /// The peer that it is about, by its short fingerprint.
    pub peer: Option<String>,
    /// The question that it is about.
    pub query: Option<String>,
    /// What is said.
    pub message: String,
    /// What else is known. Names are those of the source, and never come from outside.
    pub fields: Vec<(&'static str, String)>,
}

impl Entry {
    /// Makes an entry of what a `tracing` event says.
    pub fn of(event: &Event<'_>, at: Timestamp) -> Self {
        let metadata = event.metadata();
        let mut entry = Self::new(at, severity(*metadata.level()));
        entry.place = metadata.file().zip(metadata.line());
        event.record(&mut entry);
        if let Some(class) = entry.class {
            entry.severity = class.severity();
        }
        entry
    }

    /// Makes an entry of a class that the log says about itself.
    pub fn about_the_log(class: Class, at: Timestamp, message: &str) -> Self {
        let mut entry = Self::new(at, class.severity());
        entry.class = Some(class);
        entry.message = clean(format_args!("{message}"), MESSAGE_BYTES_MAX);
        entry
    }

    const fn new(at: Timestamp, severity: Severity) -> Self {
        Self {
            at,
            severity,
            class: None,
            place: None,
            peer: None,
            query: None,
            message: String::new(),
            fields: Vec::new(),
        }
    }

    /// Adds a field.
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.put(name, format_args!("{value}"));
        self
    }

    /// Returns how many bytes of memory its texts take.
    pub fn bytes(&self) -> usize {
        let fields: usize = self.fields.iter().map(|(_, value)| value.len()).sum();
        let named = [&self.peer, &self.query].into_iter().flatten().map(String::len).sum::<usize>();
        size_of::<Self>()
            + self.message.len()
            + named
            + fields
            + self.fields.len() * size_of::<(&str, String)>()
    }

    /// Tells whether a filter wants it.
    pub fn matches(&self, filter: &LogFilter) -> bool {
        let LogFilter { peer, since, least, event } = filter;
        let is_about =
            |wanted: &String| self.peer.as_ref().is_some_and(|peer| peer.starts_with(wanted.as_str()));
        let is_called = |wanted: &String| self.class.is_some_and(|class| class.name() == wanted);
        peer.as_ref().is_none_or(is_about)
            && event.as_ref().is_none_or(is_called)
            && since.is_none_or(|since| self.at >= since)
            && least.is_none_or(|least| self.severity <= least)
    }

    /// Returns it as clients are told of it.
    pub fn told(&self, sequence: u64) -> LogEntry {
        LogEntry {
            sequence,
            at: self.at,
            severity: self.severity,
            event: self.class.map(|class| class.name().to_owned()),
            peer: self.peer.clone(),
            query: self.query.clone(),
            message: self.message.clone(),
            fields: self.fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        }
    }

    fn put(&mut self, name: &'static str, value: fmt::Arguments<'_>) {
        match name {
            "message" => self.message = clean(value, MESSAGE_BYTES_MAX),
            "peer" => self.peer = Some(clean(value, VALUE_BYTES_MAX)),
            "query" => self.query = Some(clean(value, VALUE_BYTES_MAX)),
            // Only a name of the table makes a class: what libraries call an event is dropped.
            "event" => self.class = Class::named(&clean(value, VALUE_BYTES_MAX)),
            _ if self.fields.len() < FIELDS_MAX => self.fields.push((name, clean(value, VALUE_BYTES_MAX))),
            _ => {}
        }
    }
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), format_args!("{value:?}"));
    }
}

const fn severity(level: Level) -> Severity {
    match level {
        Level::ERROR => Severity::Error,
        Level::WARN => Severity::Warn,
        Level::INFO => Severity::Info,
        Level::DEBUG => Severity::Debug,
        Level::TRACE => Severity::Trace,
    }
}

/// Writes a value down, bounded, on one line, with escapes for whatever drives a terminal, turns text or is unseen.
fn clean(value: fmt::Arguments<'_>, bytes_max: usize) -> String {
    let mut clean = Clean { text: String::new(), bytes_max: bytes_max - CUT.len_utf8() };
    if clean.write_fmt(value).is_err() {
        clean.text.push(CUT);
    }
    clean.text
}

/// Takes text until there is no more room; an error then stops whoever writes.
struct Clean {
    text: String,
    bytes_max: usize,
}

impl fmt::Write for Clean {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| self.write_char(c))
    }

    fn write_char(&mut self, c: char) -> fmt::Result {
        let is_plain = !is_active(c);
        // The longest escape is that of a tag: `\u{e0041}`.
        let wanted = if is_plain { c.len_utf8() } else { 10 };
        if self.text.len() + wanted > self.bytes_max {
            return Err(fmt::Error);
        }
        if is_plain {
            self.text.push(c);
        } else {
            self.text.extend(c.escape_default());
        }
        Ok(())
    }
}

/// Tells whether a character drives a terminal, turns the direction of text, ends a line or cannot be seen, as
/// karoctl does: controls, formats, separators of lines and paragraphs, and what is default-ignorable in Unicode 16.
fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_cannot_act() {
        let hostile = "a\nPRIORITY=0\r\x1b[2J\0\u{202e}\u{200b}\u{e0041}é";
        let shown = clean(format_args!("{hostile}"), 200);
        assert_eq!(shown, r"a\nPRIORITY=0\r\u{1b}[2J\u{0}\u{202e}\u{200b}\u{e0041}é");
    }

    #[test]
    fn long_texts_are_cut_and_show_it() {
        for text in ["x".repeat(1 << 20), "\u{1b}".repeat(1 << 20), "é".repeat(1 << 20)] {
            let shown = clean(format_args!("{text}"), VALUE_BYTES_MAX);
            assert!(shown.len() <= VALUE_BYTES_MAX && shown.ends_with(CUT), "{}", shown.len());
        }
        assert_eq!(clean(format_args!("{}", "x".repeat(509)), VALUE_BYTES_MAX).len(), 509);
    }

    #[test]
    fn an_entry_is_bounded_however_much_is_said() {
        let long = "y".repeat(1 << 16);
        let mut entry = Entry::about_the_log(Class::HeldBack, Timestamp::from_micros(0), &long);
        for name in ["peer", "query", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"] {
            entry = entry.with(name, &long);
        }
        let told = entry.told(1);
        let fields: usize = told.fields.iter().map(|(_, value)| value.len()).sum();
        let texts = told.message.len() + fields + told.peer.map_or(0, |peer| peer.len());
        assert!(texts <= LOG_ENTRY_BYTES_MAX, "{texts}");
        assert_eq!(told.fields.len(), FIELDS_MAX);
    }

    #[test]
    fn only_the_table_makes_a_class() {
        let entry = |event: &str| Entry::new(Timestamp::from_micros(0), Severity::Info).with("event", event);
        assert_eq!(entry("paired").class, Some(Class::Paired));
        let forged = entry("paired\nMESSAGE=forged");
        assert_eq!((forged.class, forged.fields), (None, Vec::new()));
    }

    #[test]
    fn filters_narrow() {
        let entry = Entry::about_the_log(Class::PeerConnected, Timestamp::from_micros(5), "connected")
            .with("peer", "7a31-04c2");
        let filter = LogFilter::default();
        assert!(entry.matches(&filter));
        let wants = |change: fn(&mut LogFilter)| {
            let mut filter = LogFilter::default();
            change(&mut filter);
            entry.matches(&filter)
        };
        assert!(wants(|filter| filter.peer = Some("7a31".to_owned())));
        assert!(!wants(|filter| filter.peer = Some("7a32".to_owned())));
        assert!(wants(|filter| filter.since = Some(Timestamp::from_micros(5))));
        assert!(!wants(|filter| filter.since = Some(Timestamp::from_micros(6))));
        assert!(wants(|filter| filter.least = Some(Severity::Info)));
        assert!(!wants(|filter| filter.least = Some(Severity::Notice)));
        assert!(wants(|filter| filter.event = Some("peer-connected".to_owned())));
        assert!(!wants(|filter| filter.event = Some("peer".to_owned())));
    }
}
