//! A bar on standard error for work that takes its time; nothing where that is no terminal.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often the bar is drawn: more cannot be seen.
const REDRAW: Duration = Duration::from_millis(100);

/// Columns of the bar itself.
const BAR_COLUMNS: u64 = 30;

/// A bar.
pub struct Progress {
    label: String,
    total: u64,
    done: u64,
    drawn_at: Option<Instant>,
    is_shown: bool,
}

impl Progress {
    /// Starts at nothing of `total`; a total of zero is one that nobody knows.
    pub fn new(label: impl Into<String>, total: u64) -> Self {
        let is_shown = std::io::stderr().is_terminal();
        Self { label: label.into(), total, done: 0, drawn_at: None, is_shown }
    }

    /// Goes on by so much.
    pub fn advance(&mut self, amount: u64) {
        self.reach(self.done + amount, self.total);
    }

    /// Stands at so much, of a total that may have become another.
    pub fn reach(&mut self, done: u64, total: u64) {
        (self.done, self.total) = (done, total);
        if !self.is_shown || self.drawn_at.is_some_and(|at| at.elapsed() < REDRAW) {
            return;
        }
        self.drawn_at = Some(Instant::now());
        // A bar that cannot be drawn is no reason to stop the work.
        drop(write!(std::io::stderr(), "\r\x1b[K{}", self.line()));
    }

    fn line(&self) -> String {
        if self.total == 0 {
            return format!("{}  {}", self.label, self.done);
        }
        let done = self.done.min(self.total);
        let full = (done * BAR_COLUMNS / self.total) as usize;
        let percent = done * 100 / self.total;
        let rest = BAR_COLUMNS as usize - full;
        format!("{}  [{}{}] {percent:>3}%", self.label, "#".repeat(full), " ".repeat(rest))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn_at.is_some() {
            drop(write!(std::io::stderr(), "\r\x1b[K"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_the_share_that_is_done() {
        let bar = |done, total| {
            Progress { label: "x".to_owned(), total, done, drawn_at: None, is_shown: false }.line()
        };
        assert_eq!(bar(0, 10), format!("x  [{}]   0%", " ".repeat(30)));
        assert_eq!(bar(5, 10), format!("x  [{}{}]  50%", "#".repeat(15), " ".repeat(15)));
        assert_eq!(bar(11, 10), format!("x  [{}] 100%", "#".repeat(30)));
        assert_eq!(bar(7, 0), "x  7");
    }
}
