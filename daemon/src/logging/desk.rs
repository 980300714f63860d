//! What the threads that speak and the one that writes share: the gate, the ring, and what waits to be written.
//!
//! Whoever speaks puts an entry down and goes on: no journal, no terminal and no pipe can hold the daemon up.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use karo_protocol::logs::{LogSink, LogsAsk, LogsPage, Severity};
use tokio::sync::watch;

use super::Class;
use super::entry::Entry;
use super::gate::{Gate, Held, Passage};
use super::ring::Ring;
use crate::clock;

/// Entries that may wait to be written.
pub const WAITING_MAX: usize = 1_024;

/// Bytes of those, at most.
pub const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// Of those, how many may be at debug or trace: the rest is for what an operator acts on.
const CHATTER_MAX: usize = WAITING_MAX / 2;

/// How long a client may wait for an entry before it is told that there is none.
const FOLLOW_PATIENCE: Duration = Duration::from_secs(10);

/// The log, as those who speak, write and ask have it.
#[derive(Debug, Clone)]
pub struct LogDesk(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Rung when there is something to write.
    work: Condvar,
    /// Rung when nothing is left to write after a stop.
    done: Condvar,
    /// Tells those who follow.
    newest: watch::Sender<u64>,
    sink: LogSink,
}

#[derive(Debug, Default)]
struct State {
    gate: Gate,
    ring: Ring,
    waiting: VecDeque<Arc<Entry>>,
    waiting_bytes: usize,
    lost: u64,
    is_stopping: bool,
    is_done: bool,
}

/// What the writer has to do.
#[derive(Debug)]
pub enum Work {
    /// Write this.
    Write(Arc<Entry>),
    /// Nothing more will come.
    End,
}

impl LogDesk {
    /// Makes the desk of a log that goes there.
    pub fn new(sink: LogSink) -> Self {
        let (newest, _) = watch::channel(0);
        let (state, work, done) = Default::default();
        Self(Arc::new(Shared { state, work, done, newest, sink }))
    }

    /// Takes an entry: into memory and to the writer, or only into a count.
    pub fn say(&self, entry: Entry, now: Instant) {
        let mut state = self.state();
        // Whoever switches debug on wants to see all of it.
        let is_chatter = entry.severity >= Severity::Debug;
        if is_chatter || state.gate.pass(entry.class, now) == Passage::Open {
            self.put(&mut state, entry);
        }
        drop(state);
        self.0.work.notify_one();
    }

    /// Notes that entries could not be written.
    pub fn lose(&self, count: u64) {
        self.state().lost += count;
    }

    /// Returns how many entries could not be written, and forgets it.
    pub fn lost(&self) -> u64 {
        std::mem::take(&mut self.state().lost)
    }

    /// Waits for work.
    pub fn next(&self) -> Work {
        let mut state = self.state();
        loop {
            let now = Instant::now();
            let held = if state.is_stopping { state.gate.tell_all() } else { state.gate.tell(now) };
            held.into_iter().for_each(|held| self.put(&mut state, told(held)));
            if let Some(entry) = state.waiting.pop_front() {
                state.waiting_bytes -= entry.bytes();
                return Work::Write(entry);
            }
            if state.is_stopping {
                return Work::End;
            }
            let until = state.gate.due().map(|due| due.saturating_duration_since(now));
            state = match until {
                Some(until) => {
                    self.0.work.wait_timeout(state, until).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.0.work.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Says that everything is written.
    pub fn end(&self) {
        self.state().is_done = true;
        self.0.done.notify_all();
    }

    /// Lets no more come, and waits until what has come is written, for so long at most.
    pub fn finish(&self, patience: Duration) {
        let mut state = self.state();
        state.is_stopping = true;
        self.0.work.notify_all();
        let waited = self.0.done.wait_timeout_while(state, patience, |state| !state.is_done);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Returns what a client asks for; waits for an entry where it wants that.
    pub async fn page(&self, ask: &LogsAsk) -> LogsPage {
        let mut newest = self.0.newest.subscribe();
        let deadline = tokio::time::Instant::now() + FOLLOW_PATIENCE;
        loop {
            newest.mark_unchanged();
            let found = self.state().ring.find(ask);
            let is_answer = !ask.waits || !found.entries.is_empty() || found.missed > 0;
            if is_answer || tokio::time::timeout_at(deadline, newest.changed()).await.is_err() {
                let super::ring::Found { entries, cursor, has_more, missed } = found;
                return LogsPage { entries, cursor, has_more, missed, sink: self.0.sink };
            }
        }
    }

    fn put(&self, state: &mut State, entry: Entry) {
        let entry = Arc::new(entry);
        let number = state.ring.push(Arc::clone(&entry));
        self.0.newest.send_replace(number);
        let room = if entry.severity >= Severity::Debug { CHATTER_MAX } else { WAITING_MAX };
        let bytes = entry.bytes();
        if state.waiting.len() >= room || state.waiting_bytes + bytes > WAITING_BYTES_MAX {
            state.lost += 1;
        } else {
            state.waiting_bytes += bytes;
            state.waiting.push_back(entry);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A thread that panicked here left whole entries behind: what it did is in one step each.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the line about what was held back; as grave as that would have been, so that filters find it.
fn told(Held { class, count }: Held) -> Entry {
    let of = class.map_or("what libraries say", Class::name);
    let message = format!("{count} more of {of} came too fast to be logged");
    let mut entry = Entry::about_the_log(Class::HeldBack, clock::now(), &message);
    entry.severity = class.map_or(entry.severity, Class::severity);
    entry.with("of", of).with("count", count)
}

#[cfg(test)]
mod tests {
    use karo_protocol::Timestamp;
    use karo_protocol::logs::LogFilter;

    use super::*;
    use crate::logging::gate::{BURST, TELL_AFTER};

    fn entry(class: Class, message: &str) -> Entry {
        Entry::about_the_log(class, Timestamp::from_micros(0), message)
    }

    fn chatter() -> Entry {
        Entry { class: None, severity: Severity::Debug, ..entry(Class::Accepting, "chatter") }
    }

    /// Takes everything that waits.
    fn written(desk: &LogDesk) -> Vec<Arc<Entry>> {
        desk.finish(Duration::ZERO);
        std::iter::from_fn(|| match desk.next() {
            Work::Write(entry) => Some(entry),
            Work::End => None,
        })
        .collect()
    }

    #[test]
    fn what_nobody_writes_is_bounded_and_counted() {
        let desk = LogDesk::new(LogSink::Stderr);
        let now = Instant::now();
        (0..5_000).for_each(|_| desk.say(chatter(), now));
        desk.say(entry(Class::Paired, "paired"), now);
        assert_eq!(desk.lost(), 5_000 - CHATTER_MAX as u64);
        let written = written(&desk);
        assert_eq!(written.len(), CHATTER_MAX + 1);
        assert_eq!(written.last().expect("one is there").class, Some(Class::Paired), "the grave has room");
    }

    #[test]
    fn floods_of_graver_entries_are_bounded_too() {
        let desk = LogDesk::new(LogSink::Stderr);
        let now = Instant::now();
        let long = "x".repeat(4_000);
        // Each a second apart from the last of its class, so that the gate lets it pass.
        for second in 0..2_000 {
            desk.say(entry(Class::Paired, &long), now + Duration::from_secs(second));
        }
        let state = desk.state();
        assert!(state.waiting.len() <= WAITING_MAX && state.waiting_bytes <= WAITING_BYTES_MAX);
        assert_eq!(state.lost, 2_000 - state.waiting.len() as u64);
    }

    #[test]
    fn what_was_held_back_is_told_in_one_line() {
        let desk = LogDesk::new(LogSink::Stderr);
        let now = Instant::now();
        (0..1_000).for_each(|_| desk.say(entry(Class::ClientForeign, "refused"), now));
        let written = written(&desk);
        assert_eq!(written.len(), BURST as usize + 1);
        let last = written.last().expect("one is there");
        assert_eq!((last.class, last.severity), (Some(Class::HeldBack), Severity::Warn));
        assert_eq!(last.message, "960 more of client-foreign came too fast to be logged");
        assert!(TELL_AFTER > Duration::ZERO);
    }

    #[tokio::test]
    async fn whoever_follows_is_told_at_once() {
        let desk = LogDesk::new(LogSink::Stderr);
        let filter = LogFilter { event: Some("paired".to_owned()), ..LogFilter::default() };
        let ask = LogsAsk { filter, waits: true, ..LogsAsk::default() };
        let speaker = desk.clone();
        let speaks = async move {
            for class in [Class::Accepting, Class::Searchable, Class::Paired] {
                tokio::task::yield_now().await;
                speaker.say(entry(class, "said"), Instant::now());
            }
        };
        let (page, ()) = tokio::join!(desk.page(&ask), speaks);
        assert_eq!(page.entries.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [3]);
        assert_eq!(page.cursor, 3);
    }
}
