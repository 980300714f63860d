//! The thread that writes the log: to the journal, and to standard error where there is none.
//!
//! It alone waits for a journal that is frozen or a terminal that is stopped; what finds no room meanwhile is counted,
//! and said once there is room again.

use std::io::Write;
use std::sync::Arc;

use super::Class;
use super::desk::{LogDesk, Work};
use super::entry::Entry;
use super::journal::{self, Journal, Refused};
use super::line::{Style, line};
use crate::clock;

/// Writes what a desk has.
#[derive(Debug)]
pub struct Writer<W> {
    desk: LogDesk,
    journal: Option<Journal>,
    /// Whether the journal took nothing, the last time.
    is_away: bool,
    stderr: W,
    style: Style,
}

impl<W: Write> Writer<W> {
    /// Makes one that writes to the journal, or to standard error alone.
    pub const fn new(desk: LogDesk, journal: Option<Journal>, stderr: W, style: Style) -> Self {
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
            Some(Err(Refused::Away)) => {
                self.went_away();
                self.print(entry)
            }
            // At the stop of the daemon a frozen journal is not waited for.
            Some(Err(Refused::Full)) => self.print(entry),
            None => self.print(entry),
        };
        if is_written {
            self.tell_lost();
        } else {
            self.desk.lose(1);
        }
    }

    /// Sends an entry to the journal, where there is one; waits for a frozen one as long as the daemon runs.
    fn deliver(&mut self, entry: &Entry) -> Option<Result<(), Refused>> {
        let journal = self.journal.as_mut()?;
        loop {
            match journal.send(&journal::encode(entry, clock::now())) {
                Err(Refused::Full) if !self.desk.is_stopping() => {}
                sent => return Some(sent),
            }
        }
    }

    fn print(&mut self, entry: &Entry) -> bool {
        self.stderr.write_all(line(entry, self.style).as_bytes()).is_ok()
    }

    /// Says once that the journal is away, on standard error.
    fn went_away(&mut self) {
        if !std::mem::replace(&mut self.is_away, true)
            && let Some(journal) = &self.journal
        {
            let message = "the journal is away, the log goes to standard error";
            let entry = Entry::about_the_log(Class::JournalAway, clock::now(), message)
                .with("socket", journal.path().display());
            self.print(&entry);
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
    use std::os::unix::net::UnixDatagram;
    use std::path::Path;
    use std::time::{Duration, Instant};

    use karo_protocol::Timestamp;
    use karo_protocol::logs::LogSink;

    use super::*;

    fn said(desk: &LogDesk, message: &str) {
        desk.say(Entry::about_the_log(Class::Paired, Timestamp::from_micros(0), message), Instant::now());
    }

    /// Lets a writer write everything; returns what came to standard error.
    fn run(desk: &LogDesk, journal: &Path) -> String {
        let mut printed = Vec::new();
        desk.finish(Duration::ZERO);
        let mut writer =
            Writer::new(desk.clone(), Some(Journal::new(journal)), &mut printed, Style::Prefixed);
        while let Work::Write(entry) = desk.next() {
            writer.write(&entry);
        }
        String::from_utf8(printed).expect("lines are text")
    }

    fn taken(journal: &UnixDatagram) -> Vec<String> {
        journal.set_nonblocking(true).expect("it is ours");
        let mut bytes = vec![0; 1 << 16];
        std::iter::from_fn(|| journal.recv(&mut bytes).ok().map(|count| bytes[..count].to_vec()))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .collect()
    }

    #[test]
    fn standard_error_takes_over_while_the_journal_is_away() {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let path = directory.path().join("socket");
        let desk = LogDesk::new(LogSink::Journal);
        said(&desk, "one");
        said(&desk, "two");
        let printed = run(&desk, &path);
        let lines: Vec<&str> = printed.lines().collect();
        assert!(lines[0].starts_with("<4>journal-away: "), "{printed}");
        assert_eq!(lines[1..], ["<5>paired: one", "<5>paired: two"]);
    }

    #[test]
    fn a_new_socket_is_found_again() {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let path = directory.path().join("socket");
        let desk = LogDesk::new(LogSink::Journal);
        let mut printed = Vec::new();
        let mut writer = Writer::new(desk.clone(), Some(Journal::new(&path)), &mut printed, Style::Prefixed);
        let mut write = |message: &str| {
            said(&desk, message);
            let Work::Write(entry) = desk.next() else { panic!("it was said") };
            writer.write(&entry);
        };
        let first = UnixDatagram::bind(&path).expect("the directory is ours");
        write("to the first");
        drop(first);
        write("to nobody");
        std::fs::remove_file(&path).expect("the directory is ours");
        let second = UnixDatagram::bind(&path).expect("the directory is ours");
        write("to the second");
        let taken = taken(&second);
        assert_eq!(taken.len(), 2);
        assert!(taken[0].contains("to the second") && taken[1].contains("journal-back"), "{taken:?}");
        let printed = String::from_utf8(printed).expect("lines are text");
        assert!(printed.contains("<5>paired: to nobody\n"), "{printed}");
    }

    #[test]
    fn what_was_lost_is_said() {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let path = directory.path().join("socket");
        let journal = UnixDatagram::bind(&path).expect("the directory is ours");
        let desk = LogDesk::new(LogSink::Journal);
        desk.lose(7);
        said(&desk, "one");
        assert_eq!(run(&desk, &path), "");
        let taken = taken(&journal);
        assert!(
            taken[1].contains("entries-lost") && taken[1].contains("7 entries found no room"),
            "{taken:?}"
        );
    }
}
