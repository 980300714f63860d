//! The last entries of the log, in memory: what `karoctl logs` shows where no journal keeps them.

use std::collections::VecDeque;
use std::sync::Arc;

use karo_protocol::logs::{LOG_PAGE_MAX, LogEntry, LogsAsk};

use super::entry::Entry;

/// Entries that are kept, at most.
pub const ENTRIES_MAX: usize = 2_048;

/// Bytes that they take, at most.
pub const BYTES_MAX: usize = 1024 * 1024;

/// The last entries, each with its number.
#[derive(Debug, Default)]
pub struct Ring {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
    /// How many there ever were: the number of the newest.
    said: u64,
}

/// Some entries of a ring.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// The oldest first.
    pub entries: Vec<LogEntry>,
    /// The number behind which the next ones are.
    pub cursor: u64,
    /// Whether there are more behind it that are wanted.
    pub has_more: bool,
    /// Entries behind the asker's number that are gone.
    pub missed: u64,
}

impl Ring {
    /// Keeps an entry, and lets the oldest go where there is no room. Returns its number, from 1 on.
    pub fn push(&mut self, entry: Arc<Entry>) -> u64 {
        self.bytes += entry.bytes();
        self.entries.push_back(entry);
        self.said += 1;
        while self.entries.len() > ENTRIES_MAX || self.bytes > BYTES_MAX {
            let Some(gone) = self.entries.pop_front() else { break };
            self.bytes -= gone.bytes();
        }
        self.said
    }

    /// Returns the number of the newest entry; 0 when nothing was said.
    pub const fn newest(&self) -> u64 {
        self.said
    }

    /// Returns a page of what is wanted.
    pub fn find(&self, ask: &LogsAsk) -> Found {
        let gone = self.said - self.entries.len() as u64;
        let after = ask.after.unwrap_or(gone).min(self.said);
        let numbered = (gone + 1..).zip(&self.entries);
        let mut wanted: Vec<(u64, &Entry)> = numbered
            .filter(|(number, entry)| *number > after && entry.matches(&ask.filter))
            .map(|(number, entry)| (number, entry.as_ref()))
            .collect();
        if let Some(newest) = ask.newest {
            wanted.drain(..wanted.len().saturating_sub(newest as usize));
        }
        let has_more = wanted.len() > LOG_PAGE_MAX;
        wanted.truncate(LOG_PAGE_MAX);
        let cursor =
            if has_more { wanted.last().map_or(self.said, |(number, _)| *number) } else { self.said };
        let entries = wanted.into_iter().map(|(number, entry)| entry.told(number)).collect();
        Found { entries, cursor, has_more, missed: gone.saturating_sub(after) }
    }
}

#[cfg(test)]
mod tests {
    use karo_protocol::Timestamp;
    use karo_protocol::logs::LogFilter;

    use super::*;
    use crate::logging::Class;

    fn said(number: i64, class: Class) -> Arc<Entry> {
        Arc::new(Entry::about_the_log(class, Timestamp::from_micros(number), &format!("entry {number}")))
    }

    fn ring(count: i64) -> Ring {
        let mut ring = Ring::default();
        for number in 1..=count {
            let class = if number % 100 == 0 { Class::Paired } else { Class::PeerConnected };
            assert_eq!(ring.push(said(number, class)), number as u64);
        }
        ring
    }

    #[test]
    fn a_cursor_leads_through_all_of_it_once() {
        let ring = ring(1_000);
        let mut ask = LogsAsk::default();
        let mut numbers = Vec::new();
        loop {
            let found = ring.find(&ask);
            numbers.extend(found.entries.iter().map(|entry| entry.sequence));
            ask.after = Some(found.cursor);
            assert_eq!(found.missed, 0);
            if !found.has_more {
                break;
            }
        }
        assert_eq!(numbers, (1..=1_000).collect::<Vec<_>>());
        assert_eq!(ring.find(&ask).entries, []);
    }

    #[test]
    fn the_newest_of_those_that_are_wanted() {
        let ring = ring(1_000);
        let filter = LogFilter { event: Some("paired".to_owned()), ..LogFilter::default() };
        let found = ring.find(&LogsAsk { filter, newest: Some(2), ..LogsAsk::default() });
        assert_eq!(found.entries.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [900, 1_000]);
        assert_eq!((found.cursor, found.has_more), (1_000, false));
    }

    #[test]
    fn what_is_gone_is_counted() {
        let ring = ring(3_000);
        assert_eq!(ring.entries.len(), ENTRIES_MAX);
        let found = ring.find(&LogsAsk { after: Some(900), ..LogsAsk::default() });
        assert_eq!((found.missed, found.entries[0].sequence), (52, 953));
        // A number of a daemon before this one.
        let found = ring.find(&LogsAsk { after: Some(u64::MAX), ..LogsAsk::default() });
        assert_eq!((found.entries.len(), found.cursor), (0, 3_000));
    }

    #[test]
    fn the_ring_is_bounded_by_bytes_too() {
        let mut ring = Ring::default();
        let long = "x".repeat(1 << 20);
        for number in 0..2_000 {
            let entry = Entry::about_the_log(Class::PeerConnected, Timestamp::from_micros(number), &long);
            ring.push(Arc::new(entry.with("path", &long)));
            assert!(ring.bytes <= BYTES_MAX);
        }
        assert!(ring.entries.len() > 300);
    }
}
