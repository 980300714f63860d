//! The thread that writes the log: to the journal, and to standard error where there is none.
//!
//! It alone waits for a journal that is frozen or a terminal that is stopped; what finds no room meanwhile is counted,
//! and said once there is room again. A daemon that stops meanwhile does not wait for it, and takes those entries along.

use std::io::Write;
use std::sync::Arc;

use super::Class;
use super::desk::{LogDesk, Work};
use super::entry::Entry;
use super::journal::{Away, Journal, SOCKET};
use super::line::{Style, line};
use crate::clock;

/// Writes what a desk has.
#[derive(Debug)]
pub struct Writer<W> {
    desk: LogDesk,
    journal: Option<Box<dyn Journal>>,
    /// Whether the journal took nothing, the last time.
    is_away: bool,
    stderr: W,
    style: Style,
}

impl<W: Write> Writer<W> {
    /// Makes one that writes to the journal, or to standard error alone.
    pub fn new(desk: LogDesk, journal: Option<Box<dyn Journal>>, stderr: W, style: Style) -> Self {
        Self { desk, journal, is_away: false, stderr, style }
    }

    /// Writes until the log ends.
    pub fn run(mut self) {
        while let Work::Write(entry) = self.desk.next() {
            self.write(&entry);
        }
        self.desk.end();
    }

    fn write(&mut self, entry: &Arc<Entry>) {
        let is_written = match self.deliver(entry) {
            Some(Ok(())) => {
                self.came_back();
                true
            }
            Some(Err(Away)) => {
                self.went_away();
                self.print(entry)
            }
            None => self.print(entry),
        };
        if is_written {
            self.tell_lost();
        } else {
            self.desk.lose(1);
        }
    }

    /// Sends an entry to the journal, where there is one.
    fn deliver(&mut self, entry: &Entry) -> Option<Result<(), Away>> {
        let journal = self.journal.as_mut()?;
        Some(journal.send(entry, clock::now()))
    }

    fn print(&mut self, entry: &Entry) -> bool {
        self.stderr.write_all(line(entry, self.style).as_bytes()).is_ok()
    }

    /// Says once that the journal is away, on standard error.
    fn went_away(&mut self) {
        if !std::mem::replace(&mut self.is_away, true) {
            let message = "the journal is away, the log goes to standard error";
            let entry = Entry::about_the_log(Class::JournalAway, clock::now(), message);
            self.print(&entry.with("socket", SOCKET));
        }
    }

    fn came_back(&mut self) {
        if std::mem::replace(&mut self.is_away, false) {
            let message = "the journal takes entries again";
            self.add(&Entry::about_the_log(Class::JournalBack, clock::now(), message));
        }
    }

    fn tell_lost(&mut self) {
        let count = self.desk.lost();
        if count > 0 {
            let message = format!("{count} entries found no room");
            self.add(&Entry::about_the_log(Class::EntriesLost, clock::now(), &message).with("count", count));
        }
    }

    /// Writes what the log says about itself; what cannot be written here is in no other place.
    fn add(&mut self, entry: &Entry) {
        if self.deliver(entry).is_none_or(|sent| sent.is_err()) {
            self.print(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};
    use std::time::{Duration, Instant};

    use karo_protocol::Timestamp;
    use karo_protocol::logs::LogSink;

    use super::*;

    /// A journal that comes and goes.
    #[derive(Debug, Clone, Default)]
    struct Played(Arc<Mutex<(bool, Vec<String>)>>);

    impl Played {
        fn there(self, is_there: bool) -> Self {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = is_there;
            self
        }

        fn taken(&self) -> Vec<String> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
        }
    }

    impl Journal for Played {
        fn send(&mut self, entry: &Entry, _: Timestamp) -> Result<(), Away> {
            let mut played = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if !played.0 {
                return Err(Away);
            }
            let event = entry.class.map_or("", Class::name);
            played.1.push(format!("{event}: {}", entry.message));
            Ok(())
        }
    }

    fn said(desk: &LogDesk, message: &str) {
        desk.say(Entry::about_the_log(Class::Paired, Timestamp::from_micros(0), message), Instant::now());
    }

    /// Lets a writer write everything; returns what came to standard error.
    fn run(desk: &LogDesk, journal: &Played) -> String {
        let mut printed = Vec::new();
        desk.finish(Duration::ZERO);
        let journal: Box<dyn Journal> = Box::new(journal.clone());
        let mut writer = Writer::new(desk.clone(), Some(journal), &mut printed, Style::Prefixed);
        while let Work::Write(entry) = desk.next() {
            writer.write(&entry);
        }
        String::from_utf8(printed).expect("lines are text")
    }

    #[test]
    fn standard_error_takes_over_while_the_journal_is_away() {
        let desk = LogDesk::new(LogSink::Journal);
        said(&desk, "one");
        said(&desk, "two");
        let printed = run(&desk, &Played::default());
        let lines: Vec<&str> = printed.lines().collect();
        assert!(lines[0].starts_with("<4>journal-away: "), "{printed}");
        assert_eq!(lines[1..], ["<5>paired: one", "<5>paired: two"]);
    }

    #[test]
    fn a_new_socket_is_found_again() {
        let desk = LogDesk::new(LogSink::Journal);
        let journal = Played::default().there(true);
        let mut printed = Vec::new();
        let boxed: Box<dyn Journal> = Box::new(journal.clone());
        let mut writer = Writer::new(desk.clone(), Some(boxed), &mut printed, Style::Prefixed);
        let mut write = |message: &str| {
            said(&desk, message);
            let Work::Write(entry) = desk.next() else { panic!("it was said") };
            writer.write(&entry);
        };
        write("to the first");
        drop(journal.clone().there(false));
        write("to nobody");
        drop(journal.clone().there(true));
        write("to the second");
        let taken = journal.taken();
        assert_eq!(taken[..2], ["paired: to the first", "paired: to the second"]);
        assert!(taken[2].starts_with("journal-back: "), "{taken:?}");
        let printed = String::from_utf8(printed).expect("lines are text");
        assert!(printed.contains("<5>paired: to nobody\n"), "{printed}");
    }

    #[test]
    fn what_was_lost_is_said() {
        let journal = Played::default().there(true);
        let desk = LogDesk::new(LogSink::Journal);
        desk.lose(7);
        said(&desk, "one");
        assert_eq!(run(&desk, &journal), "");
        let taken = journal.taken();
        assert_eq!(taken[1], "entries-lost: 7 entries found no room");
    }
}
