//! Words: quotes, backslashes, expansions and the parentheses that belong to a word.

use karo_protocol::explain::Context;
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
            words_left: WORDS_MAX,
            copies: 0,
            effort: 0,
        }
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
    fn is_process(&self, ahead: usize) -> bool {
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

    fn typed(&mut self, builder: &mut Builder, length: usize) {
        builder.typed(self.source, self.at..self.at + length);
        self.at += length;
    }

    /// Reads a quote or bracket that nothing closes: an error, or in plain words a byte like any other.
    fn unclosed(&mut self, builder: &mut Builder) -> Result<(), Lost> {
        if !self.is_plain {
            return Err(Lost::Unclosed);
        }
        self.typed(builder, 1);
        Ok(())
    }

    fn single(&mut self, builder: &mut Builder) -> Result<(), Lost> {
        let Some(length) = memchr(b'\'', &self.rest()[1..]) else { return self.unclosed(builder) };
        self.at += 1;
        self.typed(builder, length);
        self.at += 1;
        Ok(())
    }

    fn backslash(&mut self, builder: &mut Builder) {
        match self.byte(1) {
            Some(b'\n') => self.at += 2,
            Some(byte) => {
                builder.escape(self.source, self.at..self.at + 2, &[byte]);
                self.at += 2;
            }
            None => self.typed(builder, 1),
        }
    }

    fn double(&mut self, builder: &mut Builder) -> Result<(), Lost> {
        if self.is_plain && !closes_double(&self.rest()[1..]) {
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

    fn dollar(&mut self, builder: &mut Builder, is_quoted: bool) -> Result<(), Lost> {
        if let Some(end) = self.source.opaque_end(self.at).filter(|end| *end <= self.limit) {
            self.typed(builder, end - self.at);
            return Ok(());
        }
        let start = self.at;
        match self.byte(1) {
            Some(b'{') if self.is_plain => self.plain_braced(builder),
            Some(b'(') if self.is_plain => {}
            Some(b'(') => match self.arithmetic_end(start + 1) {
                Some(end) => self.arithmetic(builder, 3, end)?,
                None => self.substitution(builder, 2)?,
            },
            Some(b'{') => self.braced(builder, is_quoted)?,
            Some(b'\'') if !is_quoted => return self.ansi(builder),
            Some(b'"') if !is_quoted => {
                self.at += 1;
                return self.double(builder);
            }
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' => {
                let name = self.rest()[1..].iter();
                self.at += 1 + name.take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
                builder.expansion(self.source, start..self.at);
            }
            Some(b'@' | b'*' | b'#' | b'?' | b'-' | b'!' | b'0'..=b'9') => {
                self.at += 2;
                builder.expansion(self.source, start..self.at);
            }
            _ => {}
        }
        if self.at == start {
            self.typed(builder, 1);
        }
        Ok(())
    }

    /// Reads `${NAME}` in plain words; anything longer is text.
    fn plain_braced(&mut self, builder: &mut Builder) {
        let name = self.rest()[2..].iter();
        let length = name.take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        if self.byte(2 + length) == Some(b'}') {
            builder.expansion(self.source, self.at..self.at + 3 + length);
            self.at += 3 + length;
        }
    }

    /// Reads `$(…)`, `<(…)` and the like: the commands in it, and itself as typed.
    fn substitution(&mut self, builder: &mut Builder, prefix: usize) -> Result<(), Lost> {
        self.script_within(builder, prefix, End::Parenthesis)
    }

    fn script_within(&mut self, builder: &mut Builder, prefix: usize, end: End) -> Result<(), Lost> {
        let start = self.at;
        self.at += prefix;
        let contexts = self.contexts;
        self.contexts = contexts.with(Contexts::of(Context::Substitution));
        self.level += 1;
        self.script(end)?;
        self.level -= 1;
        self.contexts = contexts;
        builder.expansion(self.source, start..self.at);
        Ok(())
    }

    /// Reads `` `…` ``, whose content is a script once its backslashes are taken away.
    fn backtick(&mut self, builder: &mut Builder, is_quoted: bool) -> Result<(), Lost> {
        let start = self.at;
        if let Some(end) = self.source.opaque_end(start).filter(|end| *end <= self.limit) {
            self.typed(builder, end - start);
            return Ok(());
        }
        self.at += 1;
        let mut script = Builder::default();
        loop {
            let length = memchr2(b'`', b'\\', self.rest()).ok_or(Lost::Unclosed)?;
            self.typed(&mut script, length);
            match (self.byte(0), self.byte(1)) {
                (Some(b'`'), _) => break,
                (_, Some(byte)) if matches!(byte, b'`' | b'\\' | b'$') || (byte == b'"' && is_quoted) => {
                    script.escape(self.source, self.at..self.at + 2, &[byte]);
                    self.at += 2;
                }
                _ => self.typed(&mut script, 1),
            }
        }
        self.at += 1;
        self.effort += self.at - start;
        builder.expansion(self.source, start..self.at);
        let script = script.word(self.source, start + 1..self.at - 1);
        let item = Item::script(script, start, self.level + 1, self.contexts);
        self.push(item)
    }

    /// Reads `${…}`, for the commands that stand in it.
    fn braced(&mut self, builder: &mut Builder, is_quoted: bool) -> Result<(), Lost> {
        if matches!(self.byte(2), Some(b' ' | b'\n' | b'\t' | b'|')) {
            let prefix = 2 + usize::from(self.byte(2) == Some(b'|'));
            return self.script_within(builder, prefix, End::Brace);
        }
        let start = self.at;
        self.enter()?;
        self.at += 2;
        let mut inner = Builder::default();
        loop {
            match self.byte(0).ok_or(Lost::Unclosed)? {
                b'}' => break,
                b'\\' => self.backslash(&mut inner),
                b'\'' if !is_quoted => self.single(&mut inner)?,
                b'"' => self.double(&mut inner)?,
                b'$' => self.dollar(&mut inner, true)?,
                b'`' => self.backtick(&mut inner, is_quoted)?,
                _ => self.at += 1,
            }
        }
        self.at = (self.at + 1).min(self.limit);
        self.leave();
        builder.expansion(self.source, start..self.at);
        Ok(())
    }

    /// Returns where the `((` at `at` closes with `))`: the index of the first of the two.
    pub(super) fn arithmetic_end(&mut self, at: usize) -> Option<usize> {
        let is_double = self.source.text.get(at + 1) == Some(&b'(') && at + 1 < self.limit;
        let end = if is_double { self.closing(at + 1)? } else { return None };
        (end + 1 < self.limit && self.source.text[end + 1] == b')').then_some(end)
    }

    /// Reads `$((…))` or `((…))` up to `end`, for the commands that stand in it.
    pub(super) fn arithmetic(
        &mut self,
        builder: &mut Builder,
        prefix: usize,
        end: usize,
    ) -> Result<(), Lost> {
        let start = self.at;
        self.enter()?;
        self.at += prefix;
        let limit = std::mem::replace(&mut self.limit, end);
        let mut inner = Builder::default();
        while self.quoted_part(&mut inner, None)? {}
        self.limit = limit;
        self.at = end + 2;
        self.leave();
        builder.expansion(self.source, start..self.at);
        Ok(())
    }

    /// Returns the index of the `)` that closes the `(` at `at`, going past quotes and backslashes only.
    pub(super) fn closing(&mut self, at: usize) -> Option<usize> {
        let text = &self.source.text[..self.limit];
        let mut depth = 0_usize;
        let mut end = at;
        while let Some(byte) = text.get(end) {
            match byte {
                b'\\' => end += 1,
                b'\'' => end += memchr(b'\'', &text[end + 1..])? + 1,
                b'"' => end += double_length(&text[end + 1..])? + 1,
                b'(' => depth += 1,
                b')' if depth == 1 => {
                    self.effort += end - at;
                    return Some(end);
                }
                b')' => depth -= 1,
                _ => {}
            }
            end += 1;
        }
        self.effort += text.len() - at;
        None
    }

    /// Reads a `(` within or before a word: an array, a glob of zsh, or a substitution of fish.
    ///
    /// `false` leaves it to the grammar: the parentheses of a function's definition.
    fn parenthesis(&mut self, builder: &mut Builder, is_first: bool) -> Result<bool, Lost> {
        let text = builder.text();
        let is_array = text.last() == Some(&b'=') && assigned_name(text) == Some(text.len() - 1);
        if !is_array {
            let end = self.closing(self.at).ok_or(Lost::Unclosed)?;
            let content = &self.source.text[self.at + 1..end];
            if is_first && content.trim_ascii().is_empty() {
                return Ok(false);
            }
            if !is_first && is_command(content, text.last().copied()) {
                self.substitution(builder, 1)?;
                return Ok(true);
            }
        }
        self.group(builder)?;
        Ok(true)
    }

    /// Reads a `(` to its `)` as text, for the quotes and commands that stand in it.
    pub(super) fn group(&mut self, builder: &mut Builder) -> Result<(), Lost> {
        let mut depth = 0_usize;
        loop {
            match self.byte(0).ok_or(Lost::Unclosed)? {
                b'(' => depth += 1,
                b')' => depth -= 1,
                b'\'' | b'"' | b'\\' | b'$' | b'`' => {
                    self.word_part(builder, false)?;
                    continue;
                }
                b'<' | b'>' if self.is_process(0) => {
                    self.substitution(builder, 2)?;
                    continue;
                }
                _ => {}
            }
            self.typed(builder, 1);
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn ansi(&mut self, builder: &mut Builder) -> Result<(), Lost> {
        let length = ansi_length(&self.rest()[2..]);
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

/// Returns the length of what stands before the closing quote.
fn double_length(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

fn closes_double(text: &[u8]) -> bool {
    double_length(text).is_some()
}

fn ansi_length(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr2(b'\'', b'\\', text.get(at..)?)?;
        if text[at] == b'\'' {
            return Some(at);
        }
        at += 2;
    }
}

/// Tells whether what stands in parentheses is a command of fish, and not a glob of zsh.
///
/// `before` is the byte in front of the parentheses in the same word.
fn is_command(content: &[u8], before: Option<u8>) -> bool {
    let Some(first) = content.first() else { return false };
    let has_blank = content.iter().any(u8::is_ascii_whitespace);
    let could_name = first.is_ascii_alphanumeric() || matches!(first, b'/' | b'.' | b'_' | b'$' | b'~');
    let is_glob = match before {
        Some(b'*' | b'?' | b'+' | b'@' | b'!' | b')' | b']' | b'}') => true,
        // `file(N)`, `dir(om)`: qualifiers are a letter or two.
        Some(_) => !has_blank && (content.len() <= 2 || content.contains(&b'|')),
        None => !has_blank && content.contains(&b'|'),
    };
    could_name && !is_glob
}
