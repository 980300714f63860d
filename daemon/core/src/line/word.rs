//! A word of a line: what it says, and where each byte of that stands.

use std::ops::Range;

use memchr::memchr;

use super::escape;

/// A word without its quotes, with the places that its bytes come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Word {
    pub(super) text: Vec<u8>,
    /// Where the word stands in the line, quotes included.
    pub(super) span: Range<usize>,
    /// Stretches that the text is made of, in its order; empty when it stands in the line as it is.
    pub(super) places: Vec<Stretch>,
    /// Ranges of `text` that are `$NAME`, `$(…)`, `` `…` `` and the like, as typed.
    pub(super) expansions: Vec<Range<usize>>,
}

/// A part of a word's text that comes from one place of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Where it begins in the text; it ends where the next one begins.
    pub(super) here: usize,
    /// Where it begins in the line.
    pub(super) there: usize,
    /// How many bytes of the line it stands for as a whole; `None` when byte stands for byte.
    pub(super) width: Option<usize>,
}

impl Stretch {
    fn start_of(&self, at: usize) -> usize {
        if self.width.is_some() { self.there } else { self.there + (at - self.here) }
    }

    fn end_of(&self, at: usize) -> usize {
        self.width.map_or_else(|| self.there + (at - self.here) + 1, |width| self.there + width)
    }
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
    /// Quotes within the range are within what is returned; quotes at its ends are not. An escape, as `\$` or
    /// the `\x24` of `$'\x24'`, is returned whole.
    pub fn place(&self, range: Range<usize>) -> Range<usize> {
        if self.text.is_empty() || range.start >= self.text.len() {
            return self.span.end..self.span.end;
        }
        let start = self.stretch(range.start).start_of(range.start);
        if range.is_empty() {
            return start..start;
        }
        let last = range.end.min(self.text.len()) - 1;
        let end = self.stretch(last).end_of(last);
        // The arguments of `printf` may stand in the line in another order than in what it prints.
        if start <= end { start..end } else { self.hull(range.start..last + 1) }
    }

    /// Returns the smallest range of the line that holds every stretch of a range of the text.
    fn hull(&self, range: Range<usize>) -> Range<usize> {
        let starts = self.places.iter().map(|stretch| stretch.here).filter(|here| range.contains(here));
        let firsts = std::iter::once(range.start).chain(starts.clone());
        let lasts = starts.filter_map(|here| here.checked_sub(1)).chain(std::iter::once(range.end - 1));
        let start = firsts.map(|at| self.stretch(at).start_of(at)).min();
        let end = lasts.map(|at| self.stretch(at).end_of(at)).max();
        start.unwrap_or(self.span.start)..end.unwrap_or(self.span.end)
    }

    /// Returns the stretch that holds the byte at `at`.
    fn stretch(&self, at: usize) -> Stretch {
        let after = self.places.partition_point(|stretch| stretch.here <= at);
        let as_typed = Stretch { here: 0, there: self.span.start, width: None };
        after.checked_sub(1).map_or(as_typed, |last| self.places[last])
    }

    /// Returns the stretches of a range of the text, each cut to it and counted from the range's start.
    pub(super) fn stretches(&self, range: Range<usize>) -> impl Iterator<Item = Stretch> + '_ {
        let after = self.places.partition_point(|stretch| stretch.here <= range.start);
        let first = (!range.is_empty()).then(|| {
            let stretch = self.stretch(range.start);
            Stretch { here: 0, there: stretch.start_of(range.start), width: stretch.width }
        });
        let rest = self.places[after..].iter().take_while(move |stretch| stretch.here < range.end);
        let rest = rest.map(move |stretch| Stretch { here: stretch.here - range.start, ..*stretch });
        first.into_iter().chain(rest)
    }

    /// Returns the ranges of its text that only a shell could tell: `$NAME`, `$(…)`; in order, and apart.
    pub fn expansions(&self) -> &[Range<usize>] {
        &self.expansions
    }

    /// Returns what follows the last slash.
    pub fn base_name(&self) -> &[u8] {
        self.text.rsplit(|byte| *byte == b'/').next().unwrap_or(&self.text)
    }

    /// Tells whether a range of its text is said in the line, and not left to a shell to find out.
    pub(super) fn is_literal(&self, range: Range<usize>) -> bool {
        self.expansions.iter().all(|expansion| expansion.end <= range.start || range.end <= expansion.start)
    }

    /// Returns the word that a range of the text is.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        let mut builder = Builder::default();
        builder.append(self, range.clone());
        builder.finish(self.place(range))
    }

    /// Returns the word behind the first `skip` bytes of the text.
    pub(super) fn tail(&self, skip: usize) -> Self {
        self.part(skip..self.text.len())
    }
}

/// Text that is read, and where it comes from: the line itself, or a word that holds a script.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) text: &'a [u8],
    /// The word whose text it is; `None` for the line.
    word: Option<&'a Word>,
}

impl<'a> Source<'a> {
    pub(super) fn line(text: &'a [u8]) -> Self {
        Self { text, word: None }
    }

    pub(super) fn script(word: &'a Word) -> Self {
        Self { text: &word.text, word: Some(word) }
    }

    /// Returns where a range of the text stands in the line.
    fn place(&self, range: Range<usize>) -> Range<usize> {
        self.word.map_or(range.clone(), |word| word.place(range))
    }

    /// Returns the end of what was expanded before the text was read, if `at` is the first byte of such.
    pub(super) fn opaque_end(&self, at: usize) -> Option<usize> {
        let expansions = &self.word?.expansions;
        let before = expansions.partition_point(|range| range.start < at);
        expansions.get(before).filter(|range| range.start == at).map(|range| range.end)
    }

    /// Returns the word that stands in a range, which holds nothing that a shell reads in another way.
    pub(super) fn plain_word(&self, range: Range<usize>) -> Word {
        if self.word.is_none() {
            let text = self.text[range.clone()].to_vec();
            return Word { text, span: range, places: Vec::new(), expansions: Vec::new() };
        }
        let mut builder = Builder::default();
        builder.typed(*self, range.clone());
        builder.word(*self, range)
    }
}

/// Puts a word together.
#[derive(Debug, Default)]
pub(super) struct Builder {
    word: Word,
}

impl Builder {
    pub(super) fn text(&self) -> &[u8] {
        &self.word.text
    }

    /// Appends bytes of the source as they are, with what was expanded in them before.
    pub(super) fn typed(&mut self, source: Source<'_>, range: Range<usize>) {
        match source.word {
            Some(word) => self.append(word, range),
            None => {
                self.stretch(range.start, None);
                self.word.text.extend_from_slice(&source.text[range]);
            }
        }
    }

    /// Appends bytes of the source that only a shell can expand.
    pub(super) fn expansion(&mut self, source: Source<'_>, range: Range<usize>) {
        let start = self.word.text.len();
        let before = self.word.expansions.len();
        self.typed(source, range);
        self.word.expansions.truncate(before);
        self.word.expansions.push(start..self.word.text.len());
    }

    /// Appends bytes that the source spells in another way.
    pub(super) fn escape(&mut self, source: Source<'_>, range: Range<usize>, bytes: &[u8]) {
        self.spelled(source.place(range), bytes);
    }

    /// Appends bytes that a range of the line spells in another way.
    pub(super) fn spelled(&mut self, place: Range<usize>, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.stretch(place.start, Some(place.len()));
            self.word.text.extend_from_slice(bytes);
        }
    }

    /// Appends a range of another word's text.
    pub(super) fn append(&mut self, other: &Word, range: Range<usize>) {
        let base = self.word.text.len();
        for stretch in other.stretches(range.clone()) {
            self.stretch_at(base + stretch.here, stretch.there, stretch.width);
        }
        self.word.text.extend_from_slice(&other.text[range.clone()]);
        for expansion in &other.expansions {
            let (start, end) = (expansion.start.max(range.start), expansion.end.min(range.end));
            if start < end {
                self.word.expansions.push(base + start - range.start..base + end - range.start);
            }
        }
    }

    /// Appends a range of another word's text, its backslashes read as in `$'…'`.
    pub(super) fn append_unescaped(&mut self, other: &Word, range: Range<usize>) {
        let mut at = range.start;
        while at < range.end {
            let rest = &other.text[at..range.end];
            let plain = memchr(b'\\', rest).unwrap_or(rest.len());
            if plain > 0 {
                self.append(other, at..at + plain);
                at += plain;
            } else {
                let (length, bytes) = escape::ansi(rest);
                self.spelled(other.place(at..at + length), bytes.as_slice());
                at += length;
            }
        }
    }

    /// Appends bytes that stand nowhere, such as the blank between the words that `eval` joins.
    pub(super) fn filling(&mut self, at: usize, bytes: &[u8]) {
        self.spelled(at..at, bytes);
    }

    fn stretch(&mut self, there: usize, width: Option<usize>) {
        self.stretch_at(self.word.text.len(), there, width);
    }

    fn stretch_at(&mut self, here: usize, there: usize, width: Option<usize>) {
        let continues = width.is_none()
            && self
                .word
                .places
                .last()
                .is_some_and(|last| last.width.is_none() && last.there + (here - last.here) == there);
        if !continues {
            self.word.places.push(Stretch { here, there, width });
        }
    }

    /// Returns the word, which stands in a range of the source.
    pub(super) fn word(self, source: Source<'_>, range: Range<usize>) -> Word {
        self.finish(source.place(range))
    }

    /// Returns the word, which stands in a range of the line.
    pub(super) fn finish(mut self, span: Range<usize>) -> Word {
        self.word.span = span;
        let is_as_typed = match &*self.word.places {
            [only] => only.width.is_none() && only.there == self.word.span.start,
            [] => true,
            _ => false,
        };
        if is_as_typed {
            self.word.places = Vec::new();
        }
        self.word
    }
}
