//! Looks for words in the packed texts.
//!
//! The first rows ask for single texts, since what was typed last is found last: a frequent word
//! needs no more. When that has not filled the answer, one pass over all blocks marks every text
//! that holds the words, and from then on a row costs one bit.

use memchr::memmem::Finder;

use super::texts::{BLOCK_TEXTS, Block, Texts};

/// Single texts that are looked into before all are: half a millisecond or so.
const PATIENCE: u32 = if cfg!(test) { 3 } else { 8192 };

/// Which texts hold all of some words.
pub(super) struct WordSearch<'a> {
    texts: &'a Texts,
    /// The longest first: it is the rarest, as a rule.
    words: Vec<Word>,
    patience: u32,
    /// One bit for each text, once all were read.
    marked: Option<Vec<u64>>,
}

struct Word {
    /// Finds the word in lower case.
    finder: Finder<'static>,
    /// The word itself, if its case matters.
    exact: Option<Vec<u8>>,
}

impl<'a> WordSearch<'a> {
    /// Prepares the search; `None` when every text matches.
    pub(super) fn new<'w>(texts: &'a Texts, words: impl Iterator<Item = &'w [u8]>) -> Option<Self> {
        let mut words: Vec<&[u8]> = words.filter(|word| !word.is_empty()).collect();
        words.sort_by_key(|word| (std::cmp::Reverse(word.len()), *word));
        words.dedup();
        if words.is_empty() {
            return None;
        }
        let words = words.into_iter().map(Word::new).collect();
        Some(Self { texts, words, patience: PATIENCE, marked: None })
    }

    /// Unselects the rows whose text does not hold the words.
    pub(super) fn narrow(&mut self, selected: &mut [bool], texts: &[u32]) {
        let mut rows = selected.iter_mut().zip(texts);
        while self.marked.is_none() {
            let Some((is_selected, text)) = rows.find(|(is_selected, _)| **is_selected) else { return };
            *is_selected = self.holds(*text);
            if self.patience == 0 {
                self.mark_all();
            }
        }
        let marked = self.marked.as_ref().expect("the loop above ends with the marks made");
        for (is_selected, text) in rows {
            let bits = marked[*text as usize / 64];
            *is_selected &= bits >> (text % 64) & 1 != 0;
        }
    }

    /// Tells whether no text at all holds the words, if that is known.
    pub(super) fn is_hopeless(&self) -> bool {
        self.marked.as_ref().is_some_and(|bits| bits.iter().all(|bits| *bits == 0))
    }

    fn holds(&mut self, text: u32) -> bool {
        self.patience = self.patience.saturating_sub(1);
        let (block, place) = self.texts.place(text);
        self.words.iter().all(|word| word.is_in(block, place))
    }

    fn mark_all(&mut self) {
        let mut bits = vec![0; self.texts.len().div_ceil(64)];
        for (number, block) in self.texts.blocks().iter().enumerate() {
            self.mark(block, &mut bits[number * BLOCK_TEXTS / 64..]);
        }
        self.marked = Some(bits);
    }

    /// Sets the bits of the texts of one block that hold the words.
    fn mark(&self, block: &Block, bits: &mut [u64]) {
        let (lead, others) = self.words.split_first().expect("a search has a word");
        let length = lead.finder.needle().len();
        let (mut from, mut place) = (0, 0);
        while let Some(found) = lead.finder.find(&block.folded()[from..]) {
            let at = from + found;
            while block.end(place) <= at {
                place += 1;
            }
            let end = block.end(place);
            from = end;
            if at + length > end {
                continue;
            }
            if !lead.is_exactly_at(block, at) {
                from = at + 1;
                continue;
            }
            if others.iter().all(|word| word.is_in(block, place)) {
                bits[place / 64] |= 1 << (place % 64);
            }
        }
    }
}

impl Word {
    fn new(word: &[u8]) -> Self {
        let finder = Finder::new(&word.to_ascii_lowercase()).into_owned();
        let exact = word.iter().any(u8::is_ascii_uppercase).then(|| word.to_vec());
        Self { finder, exact }
    }

    fn is_in(&self, block: &Block, place: usize) -> bool {
        let range = block.range(place);
        let text = &block.folded()[range.clone()];
        let mut from = 0;
        while let Some(found) = self.finder.find(&text[from..]) {
            if self.is_exactly_at(block, range.start + from + found) {
                return true;
            }
            from += found + 1;
        }
        false
    }

    fn is_exactly_at(&self, block: &Block, at: usize) -> bool {
        self.exact.as_ref().is_none_or(|word| block.is_exactly(at, word))
    }
}
