//! What tokens look like: patterns that are read from left to right, each byte once.

use std::ops::Range;

use super::scan::{backward, forward_at_most};

/// The bytes that a part of a token is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Class(u8);

impl Class {
    /// Letters of classes, as they stand in a pattern.
    const LETTERS: &'static [u8] = b"adhluwCbBDPQTFESR";

    const fn holds(self, byte: u8) -> bool {
        if byte.is_ascii_digit() {
            return true;
        }
        match self.0 {
            b'd' => false,
            b'h' => byte.is_ascii_hexdigit(),
            b'l' => byte.is_ascii_lowercase(),
            b'u' => byte.is_ascii_hexdigit() || byte == b'-',
            b'C' => byte.is_ascii_uppercase(),
            _ if byte.is_ascii_alphabetic() => true,
            b'w' => byte == b'_',
            b'b' => matches!(byte, b'_' | b'-'),
            b'B' => matches!(byte, b'+' | b'/' | b'='),
            b'D' => matches!(byte, b'_' | b'-' | b'.' | b'=' | b'/'),
            b'P' => byte == b'-',
            b'Q' => matches!(byte, b'_' | b'-' | b'.' | b'~'),
            b'T' => matches!(byte, b'_' | b'-' | b'.' | b'=' | b'/' | b'@' | b'%' | b'?' | b'&'),
            b'F' => matches!(byte, b'_' | b'-' | b'.' | b'=' | b'/' | b'+' | b','),
            b'E' => byte == b'%',
            b'S' => matches!(byte, b'.' | b'/' | b'$' | b'=' | b',' | b'+' | b'-'),
            b'R' => matches!(
                byte,
                b'.' | b'/' | b'$' | b'=' | b',' | b'+' | b'-' | b':' | b'*' | b'@' | b'_' | b'#'
            ),
            _ => false,
        }
    }
}

/// A part of a token.
#[derive(Debug, Clone)]
enum Part {
    /// So many bytes of a class, taken as far as they go.
    Run { class: Class, least: usize, most: usize },
    /// These bytes.
    Literal(Vec<u8>),
}

/// A pattern: `a36` is 36 letters or digits, `h40+` 40 or more hex digits, `d8-10` a range, `'.'` itself.
///
/// A part with `<` stands before the prefix. `~` leaves the prefix in the text. `!` wants digits, capitals and
/// small letters in the body: for prefixes that are words, too. `+` may only end a pattern: what stands before it
/// is bounded.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    head: Option<Part>,
    parts: Vec<Part>,
    is_mixed: bool,
    keeps_prefix: bool,
}

impl Shape {
    /// Reads a pattern; `None` if it is none.
    pub(super) fn read(pattern: &str) -> Option<Self> {
        let keeps_prefix = pattern.starts_with('~');
        let mut shape = Self { head: None, parts: Vec::new(), is_mixed: false, keeps_prefix };
        for token in pattern.trim_start_matches('~').split(' ') {
            let plain = token.trim_end_matches('!');
            shape.is_mixed |= plain.len() < token.len();
            match plain.strip_suffix('<') {
                Some(head) => shape.head = Some(Part::read(head)?),
                None if plain.is_empty() => {}
                None => shape.parts.push(Part::read(plain)?),
            }
        }
        Some(shape)
    }

    /// Tells whether a part of the token stands before the prefix.
    pub(super) const fn has_head(&self) -> bool {
        self.head.is_some()
    }

    /// Reads the token whose prefix stands from `prefix` to `body`.
    ///
    /// Where it is none, the error tells how far it looked in vain.
    pub(super) fn read_at(&self, text: &[u8], prefix: usize, body: usize) -> Result<Range<usize>, usize> {
        let start = match &self.head {
            None => prefix,
            Some(head) => head.begin(text, prefix).ok_or(prefix)?,
        };
        let mut at = body;
        for part in &self.parts {
            at = part.end(text, at)?;
        }
        let is_over = match self.parts.last() {
            Some(Part::Run { most: usize::MAX, .. }) => true,
            Some(Part::Run { .. } | Part::Literal(_)) | None => {
                text.get(at).is_none_or(|byte| !byte.is_ascii_alphanumeric())
            }
        };
        if !is_over {
            return Err(prefix);
        }
        if self.is_mixed && !is_mixed(&text[body..at]) {
            return Err(at);
        }
        Ok(if self.keeps_prefix { body } else { start }..at)
    }

    #[cfg(test)]
    pub(super) const fn wants_mixed(&self) -> bool {
        self.is_mixed
    }

    /// Makes a token without its prefix, of bytes that `draw` gives: in 0..its argument.
    #[cfg(test)]
    pub(super) fn example(&self, draw: &mut impl FnMut(usize) -> usize) -> (String, String) {
        let head = self.head.as_ref().map(|head| head.example(draw)).unwrap_or_default();
        let body = self.parts.iter().map(|part| part.example(draw)).collect();
        (head, body)
    }
}

/// Tells whether digits, capitals and small letters are all there.
pub(super) fn is_mixed(body: &[u8]) -> bool {
    body.iter().any(u8::is_ascii_digit)
        && body.iter().any(u8::is_ascii_uppercase)
        && body.iter().any(u8::is_ascii_lowercase)
}

impl Part {
    fn read(token: &str) -> Option<Self> {
        if let Some(literal) = token.strip_prefix('\'') {
            return Some(Self::Literal(literal.strip_suffix('\'')?.into()));
        }
        let letter = *token.as_bytes().first().filter(|letter| Class::LETTERS.contains(letter))?;
        let class = Class(letter);
        let count = &token[1..];
        let (least, most) = match (count.strip_suffix('+'), count.split_once('-')) {
            (Some(least), _) => (least.parse().ok()?, usize::MAX),
            (None, Some((least, most))) => (least.parse().ok()?, most.parse().ok()?),
            (None, None) => (count.parse().ok()?, count.parse().ok()?),
        };
        Some(Self::Run { class, least, most })
    }

    /// Returns where it ends, or how far it was looked at in vain.
    fn end(&self, text: &[u8], at: usize) -> Result<usize, usize> {
        match self {
            Self::Literal(bytes) => {
                let is_there = text.get(at..).is_some_and(|rest| rest.starts_with(bytes));
                if is_there { Ok(at + bytes.len()) } else { Err(at) }
            }
            Self::Run { class, least, most } => {
                let end = forward_at_most(text, at, *most, |byte| class.holds(byte));
                if end - at >= *least { Ok(end) } else { Err(at) }
            }
        }
    }

    /// Returns where it begins if it ends before `to`.
    fn begin(&self, text: &[u8], to: usize) -> Option<usize> {
        match self {
            Self::Literal(bytes) => text[..to].ends_with(bytes).then(|| to - bytes.len()),
            Self::Run { class, least, most } => {
                let begin = backward(text, to, most + 1, |byte| class.holds(byte));
                let length = to - begin;
                // Letters may stand before a number: `bot123:…`.
                let is_number = class.0 == b'd';
                let begins_word = begin == 0 || is_number || !text[begin - 1].is_ascii_alphanumeric();
                (length >= *least && length <= *most && begins_word).then_some(begin)
            }
        }
    }

    #[cfg(test)]
    fn example(&self, draw: &mut impl FnMut(usize) -> usize) -> String {
        match self {
            Self::Literal(bytes) => String::from_utf8(bytes.clone()).expect("the table is text"),
            Self::Run { class, least, .. } => {
                let alphabet: Vec<u8> = match class.0 {
                    b'd' => (b'0'..=b'9').collect(),
                    b'h' | b'u' => b"0123456789abcdef".to_vec(),
                    b'l' => (b'a'..=b'z').chain(b'0'..=b'9').collect(),
                    b'C' => (b'A'..=b'Z').chain(b'0'..=b'9').collect(),
                    _ => (b'a'..=b'z').chain(b'A'..=b'Z').chain(b'0'..=b'9').collect(),
                };
                if class.0 == b'u' {
                    let group = |length| Self::Run { class: Class(b'h'), least: length, most: length };
                    return [8, 4, 4, 4, 12].map(|length| group(length).example(draw)).join("-");
                }
                let bytes = (0..*least).map(|_| alphabet[draw(alphabet.len())]).collect();
                String::from_utf8(bytes).expect("the alphabets are ASCII")
            }
        }
    }
}
