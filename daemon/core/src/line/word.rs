//! A word of a line: what it says, and where each byte of that stands.

use std::ops::Range;

use super::lex::unquoted;

/// A word without its quotes, with the places that its bytes come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Word {
    text: Vec<u8>,
    /// Where the word stands in the line, quotes included.
    span: Range<usize>,
    /// Stretches of `text` that stand in the line as they are: where each begins, here and there. In order.
    places: Vec<(usize, usize)>,
    /// Ranges of `text` that are `$NAME`, `$(…)`, `` `…` `` and the like, as typed.
    expansions: Vec<Range<usize>>,
}

impl Word {
    /// Returns what it says, quotes and backslashes taken away; expansions stand in it as typed.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Returns where it stands in the line, in bytes, quotes included.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Returns where a range of its text stands in the line.
    ///
    /// Quotes within the range are within what is returned; quotes at its ends are not.
    pub fn place(&self, range: Range<usize>) -> Range<usize> {
        if range.is_empty() {
            let at = self.place_of(range.start);
            return at..at;
        }
        self.place_of(range.start)..self.place_of(range.end - 1) + 1
    }

    fn place_of(&self, at: usize) -> usize {
        let after = self.places.partition_point(|(here, _)| *here <= at);
        let Some((here, there)) = after.checked_sub(1).map(|last| self.places[last]) else {
            return self.span.start;
        };
        there + (at - here)
    }

    /// Returns the ranges of its text that only a shell could tell: `$NAME`, `$(…)`.
    pub fn expansions(&self) -> &[Range<usize>] {
        &self.expansions
    }

    /// Returns what follows the last slash.
    pub fn base_name(&self) -> &[u8] {
        self.text.rsplit(|byte| *byte == b'/').next().unwrap_or(&self.text)
    }

    pub(super) fn known(text: &[u8]) -> Self {
        Self { text: text.to_vec(), ..Self::default() }
    }

    pub(super) fn quoted(line: &[u8], span: Range<usize>) -> Self {
        let text = unquoted(&line[span.clone()]).into_owned();
        Self { places: vec![(0, span.start)], text, span, expansions: Vec::new() }
    }
}
