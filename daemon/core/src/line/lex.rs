//! Shell words and the operators between them.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

/// One piece of a line, as a range of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A word with its quotes, as typed.
    Word(Range<usize>),
    /// `;`, `|`, `&`, a newline and the like: a command ends here.
    Separator,
    /// `(`: a command ends here, and a subshell or the parentheses of a function begin.
    Open,
    /// `)`.
    Close,
}

/// Splits a line into [`Piece`]s; redirections with their targets, comments and here-documents are left out.
pub(crate) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    /// Whether the next word is the target of a redirection.
    is_target_next: bool,
    /// Tags of the here-documents that begin at the next newline, and whether tabs before them count.
    pending: Vec<(Vec<u8>, bool)>,
    /// Whether the next target is the tag of a here-document, and whether its tabs count.
    tag_next: Option<bool>,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, is_target_next: false, pending: Vec::new(), tag_next: None }
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    fn separator(&mut self, length: usize) -> Piece {
        self.at += length;
        self.is_target_next = false;
        Piece::Separator
    }

    /// Reads `<`, `>` and what follows them up to the target.
    fn redirection(&mut self) {
        let begin = self.at;
        while let Some(b'<' | b'>' | b'|' | b'&') = self.byte(0) {
            self.at += 1;
            if self.at - begin == 3 {
                break;
            }
        }
        let operator = &self.text[begin..self.at];
        self.tag_next = (operator == b"<<").then(|| {
            let strips_tabs = self.byte(0) == Some(b'-');
            self.at += usize::from(strips_tabs);
            strips_tabs
        });
        self.is_target_next = true;
    }

    /// Goes past a newline, and past the here-documents that begin behind it.
    fn newline(&mut self) -> Piece {
        self.at += 1;
        self.is_target_next = false;
        for (tag, strips_tabs) in std::mem::take(&mut self.pending) {
            while self.at < self.text.len() {
                let rest = &self.text[self.at..];
                let end = memchr(b'\n', rest).unwrap_or(rest.len());
                self.at = (self.at + end + 1).min(self.text.len());
                let line = &rest[..end];
                let tabs =
                    if strips_tabs { line.iter().take_while(|byte| **byte == b'\t').count() } else { 0 };
                if line[tabs..] == tag {
                    break;
                }
            }
        }
        Piece::Separator
    }

    /// Takes a word that was read; `None` when it belongs to a redirection.
    fn take_word(&mut self, word: Range<usize>) -> Option<Piece> {
        if std::mem::take(&mut self.is_target_next) {
            if let Some(strips_tabs) = self.tag_next.take() {
                self.pending.push((unquoted(&self.text[word]).into_owned(), strips_tabs));
            }
            return None;
        }
        let is_descriptor = matches!(self.byte(0), Some(b'<' | b'>'))
            && self.text[word.clone()].iter().all(u8::is_ascii_digit);
        (!is_descriptor).then_some(Piece::Word(word))
    }
}

impl Iterator for Lexer<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        loop {
            match self.byte(0)? {
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'\\' if self.byte(1) == Some(b'\n') => self.at += 2,
                b'\n' => return Some(self.newline()),
                b'#' => self.at += memchr(b'\n', &self.text[self.at..]).unwrap_or(self.text.len() - self.at),
                b'&' if self.byte(1) == Some(b'>') => {
                    self.at += 1;
                    self.redirection();
                }
                b';' | b'|' | b'&' => return Some(self.separator(1)),
                b'(' if self.byte(1) == Some(b'(') => {
                    let word = self.at..end_of_word(self.text, self.at);
                    self.at = word.end;
                    return Some(Piece::Word(word));
                }
                b'(' => {
                    self.at += 1;
                    return Some(Piece::Open);
                }
                b')' => {
                    self.at += 1;
                    return Some(Piece::Close);
                }
                b'<' | b'>' if self.byte(1) != Some(b'(') => self.redirection(),
                _ => {
                    let word = self.at..end_of_word(self.text, self.at);
                    self.at = word.end;
                    if let Some(piece) = self.take_word(word) {
                        return Some(piece);
                    }
                }
            }
        }
    }
}

/// Finds the end of the word that begins at `begin`, with all that its quotes and brackets enclose.
///
/// What is never closed reaches to the end of the text. At least one byte is taken.
pub(crate) fn end_of_word(text: &[u8], begin: usize) -> usize {
    let mut at = begin;
    // Closing bytes of what is open, innermost last; a list of our own, so that depth costs no stack.
    let mut open: Vec<u8> = Vec::new();
    while let Some(&byte) = text.get(at) {
        let inner = open.last().copied();
        let next = text.get(at + 1).copied();
        if inner == Some(byte) {
            open.pop();
            at += 1;
            continue;
        }
        match (byte, next) {
            (b'\\', _) => at += 1,
            (b'\'', _) if !matches!(inner, Some(b'"' | b'`')) => at = end_of_single_quotes(text, at) - 1,
            (b'"', _) if inner != Some(b'`') => open.push(b'"'),
            (b'`', _) => open.push(b'`'),
            (b'$', Some(b'(')) => {
                open.push(b')');
                at += 1;
            }
            (b'$', Some(b'{')) => {
                open.push(b'}');
                at += 1;
            }
            (b'(', _) if inner == Some(b')') || (inner.is_none() && opens_in_word(text, begin, at)) => {
                open.push(b')');
            }
            (b'<' | b'>', Some(b'(')) if inner.is_none() && at == begin => {
                open.push(b')');
                at += 1;
            }
            (b' ' | b'\t' | b'\r' | b'\n' | b';' | b'|' | b'&' | b'<' | b'>' | b'(' | b')', _)
                if inner.is_none() =>
            {
                break;
            }
            _ => {}
        }
        at += 1;
    }
    at.clamp(begin + 1, text.len())
}

/// Tells whether a `(` belongs to the word it stands in: arithmetic, an array, or an extended glob.
fn opens_in_word(text: &[u8], begin: usize, at: usize) -> bool {
    at == begin || matches!(text[at - 1], b'=' | b'?' | b'*' | b'+' | b'@' | b'!')
}

/// Finds the end of single quotes that open at `at`, closing quote included; `$'` knows escapes.
fn end_of_single_quotes(text: &[u8], at: usize) -> usize {
    let has_escapes = at > 0 && text[at - 1] == b'$';
    let mut end = at + 1;
    while let Some(&byte) = text.get(end) {
        match byte {
            b'\\' if has_escapes => end += 1,
            b'\'' => return end + 1,
            _ => {}
        }
        end += 1;
    }
    text.len()
}

/// Returns a word without its quotes and backslashes, as far as that is known without running anything.
pub(crate) fn unquoted(word: &[u8]) -> Cow<'_, [u8]> {
    if !word.iter().any(|byte| matches!(byte, b'\'' | b'"' | b'\\')) {
        return Cow::Borrowed(word);
    }
    let mut plain = Vec::with_capacity(word.len());
    let mut quote = None;
    let mut bytes = word.iter().copied();
    while let Some(byte) = bytes.next() {
        match (byte, quote) {
            (b'\\', None | Some(b'"')) => plain.extend(bytes.next()),
            (b'\'' | b'"', None) => quote = Some(byte),
            (_, Some(open)) if byte == open => quote = None,
            _ => plain.push(byte),
        }
    }
    Cow::Owned(plain)
}
