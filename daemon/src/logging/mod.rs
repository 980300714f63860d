//! What the daemon says, and where it goes.
//!
//! | module | holds |
//! | --- | --- |
//! | [`table`], [`class`] | every message at info and above: name, id, severity, what it means, what to do; [`say!`] |
//! | [`entry`] | one entry: bounded, escaped, the same wherever it goes |
//! | [`gate`] | how much of one class is logged |
//! | [`ring`] | the last entries, in memory |
//! | [`desk`] | where those who speak, write and ask meet |
//! | [`writer`], [`journal`], [`line`](mod@line) | the thread that writes, to the journal or to standard error |
//! | [`pages`] | the table as documentation, and as the journal's catalogue |
//!
//! Whoever speaks never waits: an entry goes into memory and into a bounded queue. No entry holds a command's text.

pub mod class;
pub mod desk;
pub mod entry;
pub mod gate;
pub mod journal;
pub mod line;
pub mod pages;
pub mod ring;
pub mod table;
pub mod writer;

use std::any::Any;
use std::io::IsTerminal as _;
use std::os::unix::fs::MetadataExt;
use std::panic::PanicHookInfo;
use std::thread;
use std::time::{Duration, Instant};

use karo_protocol::config::{LogLevel, LogSettings, LogTarget};
use karo_protocol::logs::LogSink;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::{Registry, reload};

pub use class::say;
pub use desk::LogDesk;
use entry::Entry;
use journal::{Journal, Journald};
use line::Style;
pub use table::Class;
use writer::Writer;

use crate::clock;

/// How long the end of the daemon waits for its last entries to be written: a frozen journal does not hold it up.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// The log of this process.
#[derive(Clone)]
pub struct LogControl {
    level: reload::Handle<LevelFilter, Registry>,
    desk: LogDesk,
}

impl LogControl {
    /// Sets how much is logged from now on.
    pub fn set_level(&self, level: LogLevel) {
        if let Err(error) = self.level.modify(|filter| *filter = filter_of(level)) {
            say!(Class::LevelUnchanged, %error, "could not change the level of the log");
        }
    }

    /// Returns where the last entries are asked for.
    pub fn desk(&self) -> LogDesk {
        self.desk.clone()
    }

    /// Waits until everything that was said is written, a third of a second at most; nothing is written after it.
    pub fn finish(&self) {
        self.desk.finish(LAST_WORDS);
    }
}

const fn filter_of(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// Starts the log of this process; once per process.
///
/// Where the journal was wanted and is away, standard error takes over and the first line says so.
pub fn start(settings: LogSettings) -> LogControl {
    let is_journal = is_journal_stream();
    let sink = match settings.target {
        LogTarget::Auto if is_journal => LogSink::Journal,
        LogTarget::Auto | LogTarget::Stderr => LogSink::Stderr,
        LogTarget::Journald => LogSink::Journal,
    };
    let stderr = std::io::stderr();
    let style = match (is_journal, stderr.is_terminal()) {
        (true, _) => Style::Prefixed,
        (false, true) => Style::Coloured,
        (false, false) => Style::Plain,
    };
    let (filter, level) = reload::Layer::new(filter_of(settings.level));
    let desk = LogDesk::new(sink);
    let subscriber = Registry::default().with(filter).with(Speaker(desk.clone()));
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        tracing::debug!("this process logs already");
    }
    let journal = (sink == LogSink::Journal).then(|| -> Box<dyn Journal> { Box::new(Journald) });
    let writer = Writer::new(desk.clone(), journal, stderr, style);
    if let Err(error) = thread::Builder::new().name("log".to_owned()).spawn(move || writer.run()) {
        // The ring still has what is said.
        eprintln!("karod: the log has no thread: {error}");
    }
    std::panic::set_hook(Box::new(panicked));
    LogControl { level, desk }
}

/// Says where a panic was.
fn panicked(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let words = words_of(panic.payload(), cfg!(debug_assertions));
    say!(Class::Panicked, place, words, "a part of the daemon panicked");
}

/// Returns what a panic says, if it stands so in the source: a formatted one may quote a command, as a slice of a string
/// out of its bounds does. Developers, whose commands are those of tests, see all of it.
fn words_of(payload: &dyn Any, is_developer: bool) -> Option<&str> {
    let formatted = payload.downcast_ref::<String>().filter(|_| is_developer);
    payload.downcast_ref::<&str>().copied().or_else(|| formatted.map(String::as_str))
}

/// Tells whether standard error is connected to the journal, as `JOURNAL_STREAM` names it.
fn is_journal_stream() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(stderr) = std::fs::metadata("/dev/stderr") else { return false };
    stream == format!("{}:{}", stderr.dev(), stderr.ino())
}

/// Makes entries of events; spans are not written.
struct Speaker(LogDesk);

impl<S: Subscriber> Layer<S> for Speaker {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.say(Entry::of(event, clock::now()), Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use karo_protocol::logs::{LogsAsk, Severity};

    use super::*;

    #[test]
    fn a_panic_quotes_no_command() {
        let quoting: Box<dyn Any> =
            Box::new("byte index 7 is out of bounds of `export PASSWORD=hunter2`".to_owned());
        assert_eq!(words_of(&*quoting, false), None);
        assert!(words_of(&*quoting, true).is_some());
        let literal: Box<dyn Any> = Box::new("the lock is held");
        assert_eq!(words_of(&*literal, false), Some("the lock is held"));
    }

    #[tokio::test]
    async fn what_is_said_is_an_entry_with_its_fields() {
        let desk = LogDesk::new(LogSink::Stderr);
        let hostile = "evil\nMESSAGE_ID=0";
        tracing::subscriber::with_default(Registry::default().with(Speaker(desk.clone())), || {
            let span = tracing::info_span!("link", secret = "of the span");
            let _inside = span.enter();
            say!(Class::PeerConnected, peer = %"7a31-04c2", address = hostile, missing = None::<u8>, "connected");
            tracing::info!(event = "paired\n", count = 3, "from a library");
        });
        let page = desk.page(&LogsAsk::default()).await;
        let [said, foreign] = page.entries.as_slice() else { panic!("two were said: {page:?}") };
        assert_eq!(said.event.as_deref(), Some("peer-connected"));
        assert_eq!((said.severity, said.peer.as_deref()), (Severity::Info, Some("7a31-04c2")));
        assert_eq!(said.message, "connected");
        assert_eq!(said.fields, [("address".to_owned(), r"evil\nMESSAGE_ID=0".to_owned())]);
        assert_eq!((foreign.event.as_deref(), foreign.message.as_str()), (None, "from a library"));
        assert_eq!(foreign.fields, [("count".to_owned(), "3".to_owned())]);
    }
}
