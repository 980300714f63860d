//! Expansions: what of a word only a shell can tell, the commands that stand in it, and its parentheses.

use karo_protocol::explain::Context;
use memchr::{memchr, memchr2};

use super::Contexts;
use super::item::Item;
use super::read::{End, Lost, Reader, assigned_name, quoted_length};
use super::word::Builder;

impl Reader<'_> {
    pub(super) fn dollar(&mut self, builder: &mut Builder, is_quoted: bool) -> Result<(), Lost> {
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
    pub(super) fn substitution(&mut self, builder: &mut Builder, prefix: usize) -> Result<(), Lost> {
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
    pub(super) fn backtick(&mut self, builder: &mut Builder, is_quoted: bool) -> Result<(), Lost> {
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
                b'\'' if self.is_fish => end += quoted_length(b'\'', &text[end + 1..])? + 1,
                b'\'' => end += memchr(b'\'', &text[end + 1..])? + 1,
                b'"' => end += quoted_length(b'"', &text[end + 1..])? + 1,
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
    pub(super) fn parenthesis(&mut self, builder: &mut Builder, is_first: bool) -> Result<bool, Lost> {
        let text = builder.text();
        let is_array = text.last() == Some(&b'=') && assigned_name(text) == Some(text.len() - 1);
        if is_array {
            return self.group(builder, true).map(|()| true);
        }
        let end = self.closing(self.at).ok_or(Lost::Unclosed)?;
        let content = &self.source.text[self.at + 1..end];
        if is_first && content.trim_ascii().is_empty() {
            return Ok(false);
        }
        if !is_first && is_command(content, text.last().copied()) {
            self.substitution(builder, 1)?;
        } else {
            self.group(builder, false)?;
        }
        Ok(true)
    }

    /// Reads a `(` to its `)` as text, for the quotes and commands that stand in it.
    pub(super) fn group(&mut self, builder: &mut Builder, is_array: bool) -> Result<(), Lost> {
        let mut depth = 0_usize;
        let mut is_behind_blank = false;
        loop {
            let byte = self.byte(0).ok_or(Lost::Unclosed)?;
            let is_comment = is_array && is_behind_blank && byte == b'#';
            is_behind_blank = byte.is_ascii_whitespace() || byte == b'(';
            match byte {
                b'#' if is_comment => {
                    let length = memchr(b'\n', self.rest()).ok_or(Lost::Unclosed)?;
                    self.typed(builder, length);
                    continue;
                }
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
