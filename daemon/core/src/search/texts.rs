//! The distinct texts of all commands, packed for a search that reads them from end to end.
//!
//! A text is kept in lower case, and one bit for each byte says where it had a capital: one pass
//! serves words that ignore case and words that do not, for an eighth more memory instead of a
//! second copy. Texts lie in blocks of [`BLOCK_TEXTS`], so that nothing large ever moves.

use std::hash::Hasher;
use std::ops::Range;

use super::index::Index;

/// Texts in a block: some 25 KiB of typical commands.
pub(super) const BLOCK_TEXTS: usize = if cfg!(test) { 64 } else { 1024 };

/// Set in the end of a text that has capitals; a block is far smaller than this.
const CAPITALS: u32 = 1 << 31;

/// Distinct texts, numbered from zero.
#[derive(Debug, Clone)]
pub(super) struct Texts {
    blocks: Vec<Block>,
    index: Index,
    /// Texts that no row has any more.
    gone: usize,
    /// The text that is looked for, in lower case; kept for its memory.
    folded: Vec<u8>,
    /// How often each byte was added.
    counts: [u32; 256],
}

/// Up to [`BLOCK_TEXTS`] texts, end to end.
#[derive(Debug, Clone, Default)]
pub(super) struct Block {
    folded: Vec<u8>,
    /// One bit for each byte of `folded`: it was a capital.
    capitals: Vec<u64>,
    /// Where each text ends, and [`CAPITALS`].
    ends: Vec<u32>,
}

impl Default for Texts {
    fn default() -> Self {
        Self { blocks: Vec::new(), index: Index::default(), gone: 0, folded: Vec::new(), counts: [0; 256] }
    }
}

impl Texts {
    /// Returns the number of a text, a new one if it was not there.
    pub(super) fn intern(&mut self, text: &[u8]) -> u32 {
        self.folded.clear();
        self.folded.extend(text.iter().map(u8::to_ascii_lowercase));
        let has_capitals = self.folded != text;
        let hash = hash(&self.folded, has_capitals.then_some(text));
        let is_same = |id| self.is_same(id, text, has_capitals);
        if let Some(id) = self.index.find(hash, is_same) {
            return id;
        }
        if self.blocks.last().is_none_or(|block| block.ends.len() == BLOCK_TEXTS) {
            self.blocks.last_mut().into_iter().for_each(Block::seal);
            self.blocks.push(Block::default());
        }
        for byte in &self.folded {
            self.counts[usize::from(*byte)] = self.counts[usize::from(*byte)].saturating_add(1);
        }
        let block = self.blocks.last_mut().expect("a block with room was made sure of");
        block.push(&self.folded, has_capitals.then_some(text));
        let id = self.len() as u32 - 1;
        self.index.insert(hash, id, |other| hash_of(&self.blocks, other));
        id
    }

    fn is_same(&self, id: u32, text: &[u8], has_capitals: bool) -> bool {
        let (block, place) = self.place(id);
        let range = block.range(place);
        block.folded[range.clone()] == self.folded
            && block.has_capitals(place) == has_capitals
            && (!has_capitals || block.is_exactly(range.start, text))
    }

    /// Returns a text as it was typed.
    pub(super) fn text(&self, id: u32) -> Vec<u8> {
        let (block, place) = self.place(id);
        block.text(place)
    }

    /// Returns the block that a text lies in, and its place there.
    pub(super) fn place(&self, id: u32) -> (&Block, usize) {
        place(&self.blocks, id)
    }

    /// Returns all blocks; the number of a text is that of its block times [`BLOCK_TEXTS`] and its
    /// place there.
    pub(super) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Returns how often a byte was added, in whatever case.
    pub(super) const fn count_of(&self, byte: u8) -> u32 {
        self.counts[byte as usize]
    }

    /// Returns how many numbers are given out.
    pub(super) fn len(&self) -> usize {
        let last = self.blocks.last().map_or(0, |block| block.ends.len());
        self.blocks.len().saturating_sub(1) * BLOCK_TEXTS + last
    }

    /// Returns how many texts there are.
    pub(super) fn living(&self) -> usize {
        self.len() - self.gone
    }

    /// Overwrites a text that no row has any more, and does not find it again.
    pub(super) fn forget(&mut self, id: u32) {
        self.index.remove(hash_of(&self.blocks, id), id);
        self.blocks[id as usize / BLOCK_TEXTS].erase(id as usize % BLOCK_TEXTS);
        self.folded.fill(0);
        self.gone += 1;
    }

    /// Tells whether a quarter of the numbers stands for nothing.
    pub(super) fn is_wasteful(&self) -> bool {
        self.gone * 4 > self.len() && self.gone > BLOCK_TEXTS
    }

    /// Keeps the texts that are named, in that order, and returns their new numbers by the old.
    pub(super) fn compact(&mut self, used: impl Iterator<Item = u32>) -> Vec<u32> {
        let old = std::mem::take(self);
        let mut renumbered = vec![u32::MAX; old.len()];
        for id in used {
            if renumbered[id as usize] == u32::MAX {
                renumbered[id as usize] = self.intern(&old.text(id));
            }
        }
        renumbered
    }

    /// Returns the bytes that the texts take, and those of the index over them.
    pub(super) fn sizes(&self) -> (usize, usize) {
        let blocks: usize = self.blocks.iter().map(Block::size).sum();
        (blocks + self.blocks.capacity() * size_of::<Block>(), self.index.size())
    }
}

impl Block {
    /// Returns all texts, end to end, in lower case.
    pub(super) fn folded(&self) -> &[u8] {
        &self.folded
    }

    /// Returns where a text lies.
    pub(super) fn range(&self, place: usize) -> Range<usize> {
        let start = place.checked_sub(1).map_or(0, |before| self.end(before));
        start..self.end(place)
    }

    /// Returns where a text ends.
    pub(super) fn end(&self, place: usize) -> usize {
        (self.ends[place] & !CAPITALS) as usize
    }

    /// Tells whether the bytes from `start`, equal but for case, are equal in case too.
    pub(super) fn is_exactly(&self, start: usize, word: &[u8]) -> bool {
        word.iter().enumerate().all(|(at, byte)| byte.is_ascii_uppercase() == self.is_capital(start + at))
    }

    fn has_capitals(&self, place: usize) -> bool {
        self.ends[place] & CAPITALS != 0
    }

    fn is_capital(&self, at: usize) -> bool {
        self.capitals.get(at / 64).is_some_and(|bits| bits >> (at % 64) & 1 != 0)
    }

    fn text(&self, place: usize) -> Vec<u8> {
        let range = self.range(place);
        let mut text = self.folded[range.clone()].to_vec();
        if self.has_capitals(place) {
            for (at, byte) in range.zip(&mut text).filter(|(at, _)| self.is_capital(*at)) {
                debug_assert!(byte.is_ascii_lowercase(), "only letters are folded, not byte {at}");
                byte.make_ascii_uppercase();
            }
        }
        text
    }

    /// Adds a text in lower case, and as it was typed if that differs.
    fn push(&mut self, folded: &[u8], typed: Option<&[u8]>) {
        let start = self.folded.len();
        self.folded.extend_from_slice(folded);
        let end = self.folded.len();
        self.ends.push(end as u32 | if typed.is_some() { CAPITALS } else { 0 });
        let Some(typed) = typed else { return };
        // Texts without capitals need no bits: the words of the column are made when one has.
        self.capitals.resize(end.div_ceil(64), 0);
        for (at, _) in typed.iter().enumerate().filter(|(_, byte)| byte.is_ascii_uppercase()) {
            self.capitals[(start + at) / 64] |= 1 << ((start + at) % 64);
        }
    }

    fn seal(&mut self) {
        self.folded.shrink_to_fit();
        self.capitals.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    fn erase(&mut self, place: usize) {
        let range = self.range(place);
        for at in range.clone() {
            if let Some(bits) = self.capitals.get_mut(at / 64) {
                *bits &= !(1 << (at % 64));
            }
        }
        self.ends[place] &= !CAPITALS;
        self.folded[range].fill(0);
    }

    fn size(&self) -> usize {
        self.folded.capacity() + self.capitals.capacity() * 8 + self.ends.capacity() * 4
    }
}

fn place(blocks: &[Block], id: u32) -> (&Block, usize) {
    (&blocks[id as usize / BLOCK_TEXTS], id as usize % BLOCK_TEXTS)
}

fn hash_of(blocks: &[Block], id: u32) -> u64 {
    let (block, place) = place(blocks, id);
    let typed = block.has_capitals(place).then(|| block.text(place));
    hash(&block.folded[block.range(place)], typed.as_deref())
}

/// Hashes a text; the typed form is given when it differs from that in lower case.
fn hash(folded: &[u8], typed: Option<&[u8]>) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(typed.unwrap_or(folded));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_as_typed_and_differ_by_case() {
        let typed = ["ls", "LS", "Ls", "", "make -C Dir", "\u{c4}rger \u{e4}", "ls"];
        let mut texts = Texts::default();
        let ids = typed.map(|text| texts.intern(text.as_bytes()));
        assert_eq!(ids, [0, 1, 2, 3, 4, 5, 0]);
        for (id, text) in ids.into_iter().zip(typed) {
            assert_eq!(texts.text(id), text.as_bytes());
        }
    }

    #[test]
    fn every_case_of_a_text_is_another() {
        let typed =
            |n: u32| -> Vec<u8> { (0..13).map(|bit| if n >> bit & 1 == 0 { b'a' } else { b'A' }).collect() };
        let mut texts = Texts::default();
        for round in [0..8192, 0..8192] {
            round.for_each(|n| assert_eq!(texts.intern(&typed(n)), n));
        }
        assert!((0..8192).all(|n| texts.text(n) == typed(n)));
    }

    #[test]
    fn compaction_keeps_what_is_used_in_the_order_of_use() {
        let text = |n: u32| format!("Text {n}").into_bytes();
        let mut texts = Texts::default();
        (0..5000).for_each(|n| assert_eq!(texts.intern(&text(n)), n));
        (0..4000).for_each(|n| texts.forget(n));
        assert_eq!((texts.len(), texts.living()), (5000, 1000));
        assert!(texts.is_wasteful());
        let renumbered = texts.compact((4000..5000).rev());
        assert_eq!((renumbered[0], renumbered[4999], texts.len()), (u32::MAX, 0, 1000));
        assert_eq!(texts.text(0), text(4999));
        assert_eq!(texts.intern(&text(4000)), 999);
        assert_eq!(texts.intern(&text(0)), 1000);
    }
}
