//! Lines of an input that may never end, each of bounded length.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::ctl::exit::Trouble;

/// Bytes of one line at the most: a command of full length, escaped as JSON in the widest way.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// Bytes read at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its place, from 1.
    pub number: u64,
    /// What is in it, without its end.
    pub text: Vec<u8>,
    /// Whether it is longer than [`LINE_BYTES_MAX`], and the rest was left out.
    pub is_cut: bool,
}

/// Reads lines.
pub struct Input<R> {
    reader: BufReader<R>,
    number: u64,
}

impl<R: Read> Input<R> {
    /// Starts with the first line.
    pub fn new(input: R) -> Self {
        Self { reader: BufReader::with_capacity(BUFFER_BYTES, input), number: 0 }
    }

    /// Waits for the next line; `None` at the end.
    ///
    /// # Errors
    ///
    /// When the input cannot be read.
    pub fn line(&mut self) -> Result<Option<Line>, Trouble> {
        let mut text = Vec::new();
        let mut is_cut = false;
        let mut is_begun = false;
        loop {
            let part = self.reader.fill_buf();
            let part = part.map_err(|error| Trouble::file("read", Path::new("standard input"), &error))?;
            if part.is_empty() {
                break;
            }
            is_begun = true;
            let end = part.iter().position(|byte| *byte == b'\n');
            let line = &part[..end.unwrap_or(part.len())];
            let room = LINE_BYTES_MAX.saturating_sub(text.len());
            is_cut |= line.len() > room;
            text.extend_from_slice(&line[..line.len().min(room)]);
            let read = end.map_or(part.len(), |end| end + 1);
            self.reader.consume(read);
            if end.is_some() {
                break;
            }
        }
        self.number += u64::from(is_begun);
        Ok(is_begun.then_some(Line { number: self.number, text, is_cut }))
    }

    /// Tells whether another whole line is here already, so that reading it waits for nobody.
    pub fn has_more(&self) -> bool {
        self.reader.buffer().contains(&b'\n')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_and_the_longest_are_cut() {
        let long = "x".repeat(LINE_BYTES_MAX + 5);
        let text = format!("a\n\n{long}\nlast");
        let mut input = Input::new(text.as_bytes());
        let mut lines = Vec::new();
        while let Some(line) = input.line().expect("memory is read") {
            lines.push((line.number, line.text.len(), line.is_cut));
        }
        assert_eq!(lines, [(1, 1, false), (2, 0, false), (3, LINE_BYTES_MAX, true), (4, 4, false)]);
    }
}
