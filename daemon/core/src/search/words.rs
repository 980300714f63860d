//! Looks for words in the packed texts.
//!
//! The first rows ask for single texts, since what was typed last is found last: a frequent word
//! needs no more. When they do not fill the answer soon, one pass over all blocks marks every text
//! that holds the words, and from then on a row costs one bit.

use std::ops::Range;

use memchr::arch::all::packedpair::HeuristicFrequencyRank;
use memchr::memmem::{Finder, FinderBuilder};

use super::column::has;
use super::texts::{BLOCK_TEXTS, Block, Texts};

/// Single texts that are looked into at least: a quarter of a millisecond or so.
const PATIENCE: usize = if cfg!(test) { 3 } else { 4096 };

/// Reading a text by itself costs as much as this many in the pass over all. Measured: 60 ns to 5.
const SINGLE_COST: usize = 8;

/// Blocks that decide which of several words is the rarest.
const SAMPLE_BLOCKS: usize = 8;

/// Which texts hold all of some words.
pub(super) struct WordSearch<'a> {
    texts: &'a Texts,
    /// The longest first: it is the rarest, as a rule.
    words: Vec<Word>,
    /// Texts looked into, those that held the words, and how many of these are wanted.
    checked: usize,
    found: usize,
    wanted: usize,
    /// Once all texts were read.
    marked: Option<Marked>,
}

/// The texts that hold the words.
enum Marked {
    /// At most [`FEW`]: each is compared with.
    Few(Vec<u32>),
    /// One bit for each text.
    Many(Vec<u64>),
}

/// Comparing with so many numbers, several rows in one instruction, is faster than finding a bit.
const FEW: usize = 4;

struct Word {
    /// In lower case.
    folded: Vec<u8>,
    /// Finds the word in lower case, or of a long one a part.
    finder: Finder<'static>,
    /// Where that part begins.
    part_start: usize,
    /// The word itself, if its case matters.
    exact: Option<Vec<u8>>,
}

/// Bytes of a word that are looked for: the finder's fast way ends there.
const PART_BYTES: usize = 32;

impl<'a> WordSearch<'a> {
    /// Prepares the search for so many rows; `None` when every text matches.
    pub(super) fn new<'w>(
        texts: &'a Texts,
        words: impl Iterator<Item = &'w [u8]>,
        wanted: usize,
    ) -> Option<Self> {
        let mut words: Vec<&[u8]> = words.filter(|word| !word.is_empty()).collect();
        words.sort_by_key(|word| (std::cmp::Reverse(word.len()), *word));
        words.dedup();
        if words.is_empty() {
            return None;
        }
        let words = words.into_iter().map(|word| Word::new(word, texts)).collect();
        Some(Self { texts, words, checked: 0, found: 0, wanted, marked: None })
    }

    /// Tells whether none of these texts holds the words, as far as that is known at a glance.
    pub(super) fn is_none_of(&self, texts: &[u32]) -> bool {
        match &self.marked {
            Some(Marked::Few(few)) => !few.iter().any(|wanted| has(texts, *wanted)),
            Some(Marked::Many(_)) | None => false,
        }
    }

    /// Marks the rows of a strip whose text holds the words, if the pass over all texts was made.
    pub(super) fn mark(&self, marks: &mut [bool], texts: &[u32]) -> bool {
        match &self.marked {
            None => return false,
            Some(Marked::Few(few)) => {
                marks.fill(false);
                for wanted in few {
                    marks.iter_mut().zip(texts).for_each(|(mark, text)| *mark |= text == wanted);
                }
            }
            Some(Marked::Many(bits)) => {
                marks.iter_mut().zip(texts).for_each(|(mark, text)| *mark = has_bit(bits, *text));
            }
        }
        true
    }

    /// Strikes the rows whose text does not hold the words; `texts` has the text of each row.
    pub(super) fn narrow(&mut self, rows: &mut Vec<u16>, texts: &[u32]) {
        if self.marked.is_none() && self.is_worth_a_pass() {
            self.mark_all();
        }
        match &self.marked {
            None => rows.retain(|row| self.holds(texts[usize::from(*row)])),
            Some(Marked::Few(few)) => rows.retain(|row| few.contains(&texts[usize::from(*row)])),
            Some(Marked::Many(bits)) => {
                let mut kept = 0;
                for place in 0..rows.len() {
                    let row = rows[place];
                    rows[kept] = row;
                    // Added, not branched on: whether a row is kept is as good as a coin's throw.
                    kept += usize::from(has_bit(bits, texts[usize::from(row)]));
                }
                rows.truncate(kept);
            }
        }
    }

    /// Tells whether no text at all holds the words, if that is known.
    pub(super) fn is_hopeless(&self) -> bool {
        matches!(&self.marked, Some(Marked::Few(few)) if few.is_empty())
    }

    /// Tells whether the pass over all texts is cheaper than going on with single ones, if they
    /// hold the words as often as those before.
    fn is_worth_a_pass(&self) -> bool {
        let missing = self.wanted.saturating_sub(self.found);
        let expected = missing.saturating_mul(self.checked) / self.found.max(1);
        self.checked >= PATIENCE && expected > self.texts.len() / SINGLE_COST
    }

    fn holds(&mut self, text: u32) -> bool {
        let (block, place) = self.texts.place(text);
        let holds = self.words.iter().all(|word| word.is_in(block, place));
        self.checked += 1;
        self.found += usize::from(holds);
        holds
    }

    fn mark_all(&mut self) {
        self.put_rarest_first();
        let mut bits = vec![0; self.texts.len().div_ceil(64)];
        for (number, block) in self.texts.blocks().iter().enumerate() {
            self.mark_block(block, &mut bits[number * BLOCK_TEXTS / 64..]);
        }
        self.marked = Some(Marked::of(bits));
    }

    /// Brings the word to the front that occurs least often in some of the blocks.
    fn put_rarest_first(&mut self) {
        if self.words.len() > 1 {
            let blocks = self.texts.blocks();
            let step = blocks.len().div_ceil(SAMPLE_BLOCKS).max(1);
            let hits = |word: &Word| -> usize {
                blocks.iter().step_by(step).map(|block| word.finder.find_iter(block.folded()).count()).sum()
            };
            self.words.sort_by_cached_key(hits);
        }
    }

    /// Sets the bits of the texts of one block that hold the words.
    fn mark_block(&self, block: &Block, bits: &mut [u64]) {
        let (lead, others) = self.words.split_first().expect("a search has a word");
        let (mut from, mut place) = (0, 0);
        while let Some(found) = lead.finder.find(&block.folded()[from..]) {
            let at = from + found;
            while block.end(place) <= at {
                place += 1;
            }
            let range = block.range(place);
            if !lead.is_at(block, &range, at) {
                from = at + 1;
                continue;
            }
            from = range.end;
            if others.iter().all(|word| word.is_in(block, place)) {
                bits[place / 64] |= 1 << (place % 64);
            }
        }
    }
}

impl Marked {
    fn of(bits: Vec<u64>) -> Self {
        let texts = bits.iter().enumerate().filter(|(_, word)| **word != 0).flat_map(|(place, word)| {
            (0..64).filter(move |bit| word >> bit & 1 != 0).map(move |bit| place as u32 * 64 + bit)
        });
        let few: Vec<u32> = texts.take(FEW + 1).collect();
        if few.len() > FEW { Self::Many(bits) } else { Self::Few(few) }
    }
}

fn has_bit(bits: &[u64], number: u32) -> bool {
    bits[number as usize / 64] >> (number % 64) & 1 != 0
}

impl Word {
    fn new(word: &[u8], texts: &Texts) -> Self {
        let folded = word.to_ascii_lowercase();
        let rarest = (0..folded.len()).min_by_key(|place| texts.count_of(folded[*place])).unwrap_or(0);
        let latest = folded.len().saturating_sub(PART_BYTES);
        let part_start = rarest.saturating_sub(PART_BYTES / 2).min(latest);
        let part = &folded[part_start..folded.len().min(part_start + PART_BYTES)];
        // The finder looks for the two rarest bytes of the part first: rare in these texts.
        let finder = FinderBuilder::new().build_forward_with_ranker(Ranks(texts), part).into_owned();
        let exact = word.iter().any(u8::is_ascii_uppercase).then(|| word.to_vec());
        Self { folded, finder, part_start, exact }
    }

    fn is_in(&self, block: &Block, place: usize) -> bool {
        let range = block.range(place);
        let text = &block.folded()[range.clone()];
        let mut from = 0;
        while let Some(found) = self.finder.find(&text[from..]) {
            if self.is_at(block, &range, range.start + from + found) {
                return true;
            }
            from += found + 1;
        }
        false
    }

    /// Tells whether the word is in a text where its part was found in the block.
    fn is_at(&self, block: &Block, text: &Range<usize>, found: usize) -> bool {
        let Some(start) = found.checked_sub(self.part_start) else { return false };
        let end = start + self.folded.len();
        text.start <= start
            && end <= text.end
            && (self.folded.len() <= PART_BYTES || block.folded()[start..end] == self.folded)
            && self.exact.as_ref().is_none_or(|word| block.is_exactly(start, word))
    }
}

/// Ranks bytes by how often they occur in the texts.
struct Ranks<'a>(&'a Texts);

impl HeuristicFrequencyRank for Ranks<'_> {
    fn rank(&self, byte: u8) -> u8 {
        // The logarithm to the base 2 in eighths, so that an order of magnitude is some 27 ranks.
        let count = u64::from(self.0.count_of(byte)) + 8;
        let power = count.ilog2();
        ((power - 3) * 8 + (count >> (power - 3) & 7) as u32).min(255) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks for words in texts, one by one and in a pass over all; both must find the same.
    fn check(texts: &[&str], words: &[&str], expected: &[u32]) {
        let mut packed = Texts::default();
        let numbers: Vec<u32> = texts.iter().map(|text| packed.intern(text.as_bytes())).collect();
        let words = || words.iter().map(|word| word.as_bytes());
        let mut single = WordSearch::new(&packed, words(), 1).expect("there are words");
        let found: Vec<u32> = numbers.iter().copied().filter(|number| single.holds(*number)).collect();
        assert_eq!(found, expected, "one by one");
        let mut pass = WordSearch::new(&packed, words(), usize::MAX).expect("there are words");
        pass.mark_all();
        let mut marks = vec![false; numbers.len()];
        assert!(pass.mark(&mut marks, &numbers));
        let marked: Vec<u32> = numbers.iter().copied().filter(|number| marks[*number as usize]).collect();
        assert_eq!(marked, expected, "in a pass");
        let mut rows: Vec<u16> = (0..numbers.len() as u16).collect();
        pass.narrow(&mut rows, &numbers);
        assert_eq!(rows.into_iter().map(u32::from).collect::<Vec<_>>(), expected, "row by row");
        assert_eq!(pass.is_hopeless(), expected.is_empty());
    }

    #[test]
    fn words_are_found_within_texts_only() {
        check(&["ab", "cd", "abcd", "", "bc"], &["bc"], &[2, 4]);
        check(&["ab", "cd"], &["bc"], &[]);
        check(&["a1", "a2", "a3", "a4", "a5", "a6", "b"], &["a"], &[0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_capital_makes_a_word_exact() {
        check(&["aAab", "Ab", "ab", "AB"], &["Ab"], &[1]);
        check(&["aAab", "Ab", "ab", "AB"], &["ab"], &[0, 1, 2, 3]);
        check(&["aAAb", "AaAb"], &["AAb"], &[0]);
    }

    #[test]
    fn all_words_must_occur_in_any_order() {
        check(&["git push", "git pull", "push", "PUSH the GIT"], &["push", "git", "push"], &[0, 3]);
        check(&["git push", "x"], &["push", "absent"], &[]);
    }

    #[test]
    fn a_long_word_is_compared_as_a_whole() {
        let word = format!("{}q{}", "l0ng ".repeat(6), "l0ng ".repeat(2));
        let twins = [word.replacen('l', "1", 1), format!("{}{}", &word[..40], "1")];
        let texts = [&word, &twins[0], &twins[1], &word[5..], "l0ng l0ng ", &word[10..], &word[1..]];
        check(&texts, &[&word], &[0]);
        check(&["l0ng l0ng ", &word[10..]], &[&word], &[]);
        check(&["l0ng ", &word[5..]], &[&word], &[]);
        check(&[&word[..38], &word[38..]], &[&word], &[]);
    }

    #[test]
    fn what_is_not_found_soon_is_looked_for_in_all_texts() {
        let mut packed = Texts::default();
        let numbers: Vec<u32> = (0..200).map(|n| packed.intern(format!("text {n}").as_bytes())).collect();
        let mut search = WordSearch::new(&packed, [&b"t 199"[..]].into_iter(), 10).expect("there is a word");
        for strip in numbers.chunks(4) {
            search.narrow(&mut (0..strip.len() as u16).collect(), strip);
        }
        assert_eq!(search.checked, 4, "the pass is made once patience is at its end");
        assert!(matches!(search.marked, Some(Marked::Few(few)) if few == [199]));
    }
}
