//! Words: quotes, backslashes, expansions and the parentheses that belong to a word.

use memchr::{memchr, memchr2};

use super::item::Item;
use super::word::{Builder, Source, Word};
use super::{Contexts, DEPTH_MAX, RUNS_MAX, WORDS_MAX};

/// Why a text cannot be read by its grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// A quote or a bracket is never closed.
    Unclosed,
    /// Brackets and compound commands are nested too deep.
    TooDeep,
    /// There are too many words or commands.
    TooMany,
}

/// Where a script ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With the text.
    Text,
    /// With the `)` of a substitution.
    Parenthesis,
    /// With the `}` of `${ …; }`.
    Brace,
}

/// A word, and what its quotes hide.
pub(super) struct Lexed {
    pub(super) word: Word,
    /// How many bytes of its text stand before the first quote or backslash.
    pub(super) unquoted: usize,
}

impl Lexed {
    pub(super) fn is_quoted(&self) -> bool {
        self.unquoted < self.word.text.len() || self.word.text.is_empty()
    }

    /// Tells whether it is `NAME=…`, the name and the sign not quoted.
    pub(super) fn is_assignment(&self) -> bool {
        assigned_name(&self.word.text).is_some_and(|length| length < self.unquoted)
    }
}

/// Returns the words of `{cat,/etc/passwd}`, by which a blank is avoided.
pub(super) fn braces(word: &Word) -> Option<Vec<Word>> {
    let text = word.text();
    let inner = text.strip_prefix(b"{")?.strip_suffix(b"}").filter(|inner| inner.contains(&b','))?;
    let mut words = Vec::new();
    let mut depth = 0_usize;
    let mut from = 1;
    for (index, byte) in inner.iter().enumerate() {
        let at = index + 1;
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 && word.is_literal(at..at + 1) => {
                words.push(word.part(from..at));
                from = at + 1;
            }
            _ => {}
        }
    }
    words.push(word.part(from..text.len() - 1));
    (words.len() > 1 && words.iter().all(|word| !word.text().is_empty())).then_some(words)
}

/// Returns the length of `NAME`, `NAME+` or `NAME[…]` if the text is an assignment.
pub(super) fn assigned_name(text: &[u8]) -> Option<usize> {
    if !text.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_') {
        return None;
    }
    let name = text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
    let mut at = name;
    if text.get(at) == Some(&b'[') {
        at += memchr(b']', &text[at..])? + 1;
    }
    at += usize::from(text.get(at) == Some(&b'+'));
    (text.get(at) == Some(&b'=')).then_some(at)
}

/// Bytes between the `<` and the `>` of what a manual wants filled in.
const PLACEHOLDER_MAX: usize = 64;

/// Tells of each byte whether it is nothing but itself in a word.
const PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let special = b" \t\r\n;&|<>()'\"\\$`";
    let mut at = 0;
    while at < special.len() {
        plain[special[at] as usize] = false;
        at += 1;
    }
    plain
};

/// Reads one text: the line, or a script within it.
pub(super) struct Reader<'a> {
    pub(super) source: Source<'a>,
    pub(super) at: usize,
    /// Where reading ends: within the text while the body of a here-document is read.
    pub(super) limit: usize,
    /// Brackets and compound commands that are open.
    pub(super) depth: usize,
    /// Substitutions that are open.
    pub(super) level: u8,
    /// Where the commands that are read stand.
    pub(super) contexts: Contexts,
    pub(super) items: Vec<Item>,
    pub(super) assignments: Vec<Word>,
    /// Whether each word of the grammar stood where it may.
    pub(super) is_sound: bool,
    /// Whether words are read without the grammar: nothing is ever unclosed.
    pub(super) is_plain: bool,
    /// Whether `\'` does not end single quotes, as in fish.
    pub(super) is_fish: bool,
    pub(super) words_left: usize,
    /// What was copied so far, in words: see [`COPIES_MAX`](super::COPIES_MAX).
    pub(super) copies: usize,
    /// Bytes that were looked at.
    pub(super) effort: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: Source<'a>, contexts: Contexts) -> Self {
        Self {
            source,
            at: 0,
            limit: source.text.len(),
            depth: 0,
            level: 0,
            contexts,
            items: Vec::new(),
            assignments: Vec::new(),
            is_sound: true,
            is_plain: false,
            is_fish: false,
            words_left: WORDS_MAX,
            copies: 0,
            effort: 0,
        }
    }

    /// Begins again, with what was read forgotten.
    pub(super) fn restart(&mut self, contexts: Contexts) {
        (self.at, self.limit, self.depth, self.level) = (0, self.source.text.len(), 0, 0);
        (self.contexts, self.words_left, self.is_sound) = (contexts, WORDS_MAX, true);
        self.items.clear();
        self.assignments.clear();
    }

    pub(super) fn byte(&self, ahead: usize) -> Option<u8> {
        self.rest().get(ahead).copied()
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        &self.source.text[self.at.min(self.limit)..self.limit]
    }

    pub(super) fn enter(&mut self) -> Result<(), Lost> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(Lost::TooDeep) } else { Ok(()) }
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Accounts for one more word.
    fn count_word(&mut self) -> Result<(), Lost> {
        self.words_left = self.words_left.checked_sub(1).ok_or(Lost::TooMany)?;
        Ok(())
    }

    pub(super) fn push(&mut self, item: Item) -> Result<(), Lost> {
        if self.items.len() == RUNS_MAX {
            return Err(Lost::TooMany);
        }
        self.items.push(item);
        Ok(())
    }

    /// Goes past blanks and continued lines.
    pub(super) fn skip_blanks(&mut self) {
        loop {
            match self.byte(0) {
                Some(b' ' | b'\t' | b'\r') => self.at += 1,
                Some(b'\\') if self.byte(1) == Some(b'\n') => self.at += 2,
                _ => return,
            }
        }
    }

    pub(super) fn skip_comment(&mut self) {
        let rest = self.rest();
        self.at += memchr(b'\n', rest).unwrap_or(rest.len());
    }

    /// Goes past blanks, newlines and comments.
    pub(super) fn skip_space(&mut self) {
        loop {
            self.skip_blanks();
            match self.byte(0) {
                Some(b'\n') => self.at += 1,
                Some(b'#') => self.skip_comment(),
                _ => return,
            }
        }
    }

    /// Reads the word that begins here; `is_first` tells that it would be the name of a program.
    pub(super) fn word(&mut self, is_first: bool) -> Result<Lexed, Lost> {
        self.count_word()?;
        let begin = self.at;
        let mut builder = Builder::default();
        let mut unquoted = None;
        if self.rest().starts_with(b"=(") && !self.is_plain {
            self.substitution(&mut builder, 2)?;
        }
        if let Some(length) = self.placeholder() {
            self.typed(&mut builder, length);
        }
        loop {
            let plain = self.rest().iter().take_while(|byte| PLAIN[usize::from(**byte)]).count();
            let next = self.byte(plain);
            if self.at == begin && next.is_none_or(ends_word) && !self.is_process(plain) {
                self.at += plain;
                self.effort += plain;
                let word = self.source.plain_word(begin..self.at);
                return Ok(Lexed { unquoted: word.text.len(), word });
            }
            if plain > 0 {
                builder.typed(self.source, self.at..self.at + plain);
                self.at += plain;
            }
            match next {
                Some(b'\'' | b'"' | b'\\') => {
                    unquoted.get_or_insert(builder.text().len());
                }
                Some(b'$') if matches!(self.byte(1), Some(b'\'' | b'"')) => {
                    unquoted.get_or_insert(builder.text().len());
                }
                _ => {}
            }
            if !self.word_part(&mut builder, is_first)? {
                break;
            }
        }
        self.effort += self.at - begin;
        let word = builder.word(self.source, begin..self.at);
        Ok(Lexed { unquoted: unquoted.unwrap_or(word.text.len()), word })
    }

    /// Returns the length of the `<file>` that a manual writes for what is to be filled in, if one stands here.
    ///
    /// What would be two redirections, the second without a target, is no command of any shell otherwise.
    pub(super) fn placeholder(&self) -> Option<usize> {
        let name = self.rest().strip_prefix(b"<").filter(|_| !self.is_plain)?;
        let is_name =
            |byte: &&u8| !matches!(**byte, b'<' | b'>' | b'\n' | b'\'' | b'"' | b'`' | b'$' | b';' | b'&');
        let length = name.iter().take(PLACEHOLDER_MAX).take_while(is_name).count();
        let rest = name[length..].strip_prefix(b">").filter(|_| length > 0 && name[0] != b'(')?;
        let next = rest.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r'));
        next.is_none_or(|next| matches!(next, b'\n' | b';' | b'&' | b'|' | b')' | b'<')).then_some(length + 2)
    }

    /// Tells whether `<(` or `>(` stands so far ahead.
    pub(super) fn is_process(&self, ahead: usize) -> bool {
        !self.is_plain && matches!(self.byte(ahead), Some(b'<' | b'>')) && self.byte(ahead + 1) == Some(b'(')
    }

    /// Reads one part of a word that is not plain; `false` at the word's end.
    pub(super) fn word_part(&mut self, builder: &mut Builder, is_first: bool) -> Result<bool, Lost> {
        match self.byte(0) {
            Some(b'\'') => self.single(builder)?,
            Some(b'"') => self.double(builder)?,
            Some(b'\\') => self.backslash(builder),
            Some(b'$') => self.dollar(builder, false)?,
            Some(b'`') if self.is_plain => return Ok(false),
            Some(b'`') => self.backtick(builder, false)?,
            Some(b'<' | b'>') if self.is_process(0) => self.substitution(builder, 2)?,
            Some(b'(') if !self.is_plain => return self.parenthesis(builder, is_first),
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn typed(&mut self, builder: &mut Builder, length: usize) {
        builder.typed(self.source, self.at..self.at + length);
        self.at += length;
    }

    /// Reads a quote or bracket that nothing closes: an error, or in plain words a byte like any other.
    pub(super) fn unclosed(&mut self, builder: &mut Builder) -> Result<(), Lost> {
        if !self.is_plain {
            return Err(Lost::Unclosed);
        }
        self.typed(builder, 1);
        Ok(())
    }

    pub(super) fn single(&mut self, builder: &mut Builder) -> Result<(), Lost> {
        if self.is_fish {
            return self.single_of_fish(builder);
        }
        let Some(length) = memchr(b'\'', &self.rest()[1..]) else { return self.unclosed(builder) };
        self.at += 1;
        self.typed(builder, length);
        self.at += 1;
        Ok(())
    }

    /// Reads single quotes in which a backslash may stand before a quote and a backslash.
    fn single_of_fish(&mut self, builder: &mut Builder) -> Result<(), Lost> {
        self.at += 1;
        loop {
            let length = memchr2(b'\'', b'\\', self.rest()).ok_or(Lost::Unclosed)?;
            self.typed(builder, length);
            match (self.byte(0), self.byte(1)) {
                (Some(b'\\'), Some(byte @ (b'\'' | b'\\'))) => {
                    builder.escape(self.source, self.at..self.at + 2, &[byte]);
                    self.at += 2;
                }
                (Some(b'\\'), _) => self.typed(builder, 1),
                _ => break,
            }
        }
        self.at += 1;
        Ok(())
    }

    pub(super) fn backslash(&mut self, builder: &mut Builder) {
        match self.byte(1) {
            Some(b'\n') => self.at += 2,
            Some(byte) => {
                builder.escape(self.source, self.at..self.at + 2, &[byte]);
                self.at += 2;
            }
            None => self.typed(builder, 1),
        }
    }

    pub(super) fn double(&mut self, builder: &mut Builder) -> Result<(), Lost> {
        if self.is_plain && quoted_length(b'"', &self.rest()[1..]).is_none() {
            return self.unclosed(builder);
        }
        self.at += 1;
        loop {
            if !self.quoted_part(builder, Some(b'"'))? {
                return Err(Lost::Unclosed);
            }
            if self.byte(0) == Some(b'"') {
                self.at += 1;
                return Ok(());
            }
        }
    }

    /// Reads on as between double quotes, up to `end` or past one expansion; `false` at the text's end.
    pub(super) fn quoted_part(&mut self, builder: &mut Builder, end: Option<u8>) -> Result<bool, Lost> {
        let is_special = |byte: &u8| matches!(*byte, b'\\' | b'$' | b'`') || Some(*byte) == end;
        let plain = self.rest().iter().take_while(|byte| !is_special(byte)).count();
        if plain > 0 {
            self.typed(builder, plain);
        }
        match (self.byte(0), self.byte(1)) {
            (None, _) => return Ok(false),
            (Some(b'\\'), Some(b'\n')) => self.at += 2,
            (Some(b'\\'), Some(byte)) if matches!(byte, b'\\' | b'$' | b'`') || Some(byte) == end => {
                builder.escape(self.source, self.at..self.at + 2, &[byte]);
                self.at += 2;
            }
            (Some(b'$'), _) => self.dollar(builder, true)?,
            (Some(b'`'), _) if !self.is_plain => self.backtick(builder, true)?,
            (Some(b'\\' | b'`'), _) => self.typed(builder, 1),
            _ => {}
        }
        Ok(true)
    }

    pub(super) fn ansi(&mut self, builder: &mut Builder) -> Result<(), Lost> {
        let length = quoted_length(b'\'', &self.rest()[2..]);
        let Some(length) = length else { return self.unclosed(builder) };
        self.at += 2;
        let end = self.at + length;
        while self.at < end {
            let rest = &self.source.text[self.at..end];
            let plain = memchr(b'\\', rest).unwrap_or(rest.len());
            if plain > 0 {
                self.typed(builder, plain);
            } else {
                let (width, bytes) = super::escape::ansi(rest);
                builder.escape(self.source, self.at..self.at + width, bytes.as_slice());
                self.at += width;
            }
        }
        self.at = end + 1;
        Ok(())
    }
}

/// Tells whether a byte ends a word wherever it stands.
fn ends_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b')')
}

/// Returns the length of what stands before the closing quote, which a backslash hides.
pub(super) fn quoted_length(quote: u8, text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr2(quote, b'\\', text.get(at..)?)?;
        if text[at] == quote {
            return Some(at);
        }
        at += 2;
    }
}
