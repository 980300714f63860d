//! Values behind a secret name: `NAME=value`, `--name=value`, `"name": "value"`, `X-Api-Key: value`, a line of
//! YAML, of an `.env` file, of a connection string.
//!
//! What stands before a name tells where its value ends: behind `&` at the next `&`, behind `;` at the next `;`.

use std::borrow::Cow;
use std::ops::Range;

use karo_protocol::event::Secret;
use memchr::{memchr, memchr2};

use super::Found;
use super::found::Rank;
use super::headers;
use super::names::{NAME_BYTES_MAX, Says, ask};
use super::scan::{backward, forward, step};
use super::values::{is_keylike, is_likely, is_plain, is_secret};
use super::view::{Role, View};

/// A name with the sign behind it.
pub(super) struct Field {
    pub(super) name: Range<usize>,
    /// Where the `=` or `:` stands.
    sign: usize,
    /// What stands before the name, a quote around it aside.
    before: Option<u8>,
    is_quoted: bool,
    /// Blanks stand before the sign.
    is_spaced: bool,
}

/// How far the name at the end of a separated list may reach: `&NAME=`.
const NEXT_NAME_BYTES_MAX: usize = 48;

pub(super) fn find(found: &mut Found<'_>, view: &View<'_>) {
    let text = view.text;
    let mut at = 0;
    while let Some(length) = text.get(at..).and_then(|rest| memchr2(b'=', b':', rest)) {
        step(length + 1);
        let sign = at + length;
        at = match view.marker_end(sign).or_else(|| view.expansion_end(sign)) {
            Some(end) => end,
            None => look(found, view, sign).max(sign) + 1,
        };
    }
}

/// Looks at the sign at `sign`; returns the last byte that is done with.
fn look(found: &mut Found<'_>, view: &View<'_>, sign: usize) -> usize {
    let text = view.text;
    let next = text.get(sign + 1).copied();
    let is_other = match text[sign] {
        b'=' => {
            matches!(next, Some(b'=' | b'~'))
                || (sign > 0 && matches!(text[sign - 1], b'!' | b'<' | b'>' | b'='))
        }
        _ => {
            matches!(next, Some(b'=' | b':'))
                || (sign > 0 && text[sign - 1] == b':')
                || text[sign..].starts_with(b"://")
        }
    };
    if is_other {
        return sign;
    }
    let Some(field) = Field::before(text, sign) else { return sign };
    let name = &text[field.name.clone()];
    if let Some(end) = headers::find(found, view, &field, name) {
        return end;
    }
    let is_spared = field.before.is_none() && found.is_spared(&view.place(0..0));
    let is_url = text[sign] == b':' && matches!(field.before, Some(b'/' | b':'));
    let quote =
        field.name.start.checked_sub(1).map(|at| text[at]).filter(|byte| matches!(byte, b'"' | b'\''));
    // In `expect "password:"` the quote closes.
    let is_closed = !field.is_quoted && quote.is_some() && next == quote;
    match says(&field, text) {
        _ if is_url || is_closed || is_spared => sign,
        Says::Nothing => sign,
        says @ (Says::Password | Says::Secret | Says::Maybe) => secret_field(found, view, &field, says),
    }
}

impl Field {
    /// Reads the name that ends before a sign.
    fn before(text: &[u8], sign: usize) -> Option<Self> {
        let is_assigned = text[sign] == b'=';
        let operator =
            backward(text, sign, 1, |byte| is_assigned && matches!(byte, b'+' | b'?' | b':' | b'@'));
        let blanks = backward(text, operator, 8, |byte| matches!(byte, b' ' | b'\t'));
        let closing = backward(text, blanks, 3, |byte| matches!(byte, b'"' | b'\'' | b'\\' | b']'));
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let start = backward(text, closing, NAME_BYTES_MAX, is_name);
        // `printf 'a\\npassword=X'`: the newline is spelled.
        let is_spelled = start > 0 && text[start - 1] == b'\\' && matches!(text[start], b'n' | b'r' | b't');
        let start = start + usize::from(is_spelled && start + 1 < closing);
        let is_quoted = text[closing..blanks].iter().any(|byte| matches!(byte, b'"' | b'\''));
        let opening = backward(text, start, 2, |byte| matches!(byte, b'"' | b'\'' | b'\\'));
        let before = if is_spelled { Some(b'\n') } else { opening.checked_sub(1).map(|at| text[at]) };
        (start < closing).then_some(Self {
            name: start..closing,
            sign,
            before,
            is_quoted,
            is_spaced: blanks < operator,
        })
    }

    /// Returns where the value begins, blanks and quotes before it passed over, and its closing quote.
    pub(super) fn value(&self, text: &[u8]) -> (usize, Option<u8>) {
        let arrow = self.sign + 1 + usize::from(text.get(self.sign + 1) == Some(&b'>'));
        let skips = self.is_spaced || text[self.sign] == b':' || arrow > self.sign + 1;
        let start = if skips { forward(text, arrow, |byte| matches!(byte, b' ' | b'\t')) } else { arrow };
        let escape =
            usize::from(text.get(start) == Some(&b'\\') && matches!(text.get(start + 1), Some(b'"' | b'\'')));
        match text.get(start + escape).copied().filter(|byte| matches!(byte, b'"' | b'\'')) {
            Some(quote) => (start + escape + 1, Some(quote)),
            None => (start, None),
        }
    }

    /// Tells whether the name is the first of its word, or of its line.
    pub(super) fn is_first(&self, view: &View<'_>) -> bool {
        match self.before {
            None => true,
            Some(b'\n') => true,
            Some(b' ' | b'\t' | b'-') => {
                let indent = backward(view.text, self.name.start, 32, |byte| {
                    matches!(byte, b' ' | b'\t' | b'-' | b'"' | b'\'')
                });
                indent == 0 || view.text[indent - 1] == b'\n'
            }
            Some(_) => false,
        }
    }
}

fn secret_field(found: &mut Found<'_>, view: &View<'_>, field: &Field, says: Says) -> usize {
    let text = view.text;
    let (start, quote) = field.value(text);
    let end = match quote {
        Some(quote) => end_of_quoted(text, start, quote),
        None if text[field.sign] == b'=' => end_of_assigned(view, field, start),
        None => end_of_stated(view, field, start),
    };
    let value = start + head_of(&text[start..end], &text[field.name.clone()])..end;
    let bytes = &text[value.clone()];
    let is_told = match (says, text[field.sign]) {
        (Says::Maybe, _) => {
            (is_keylike(bytes) || is_uuid_of_secret(bytes, &text[field.name.clone()]))
                && !is_id_of_key(&text[field.name.clone()])
        }
        // Prose says `token: word`, code says `password = input()`.
        (_, b':') => field.is_quoted || quote.is_some() || is_stated(view, field, start, bytes),
        _ => !(field.is_spaced && is_code(bytes)),
    };
    if view.is_expanded(&value) {
        found.ask(view.place(value.clone()));
    }
    if is_told && is_secret(view, found.text, &value) && !is_number_of(says, bytes) {
        let name = field.name.clone();
        let reason = || Cow::Owned(format!("value of {}", String::from_utf8_lossy(&text[name])));
        let kind = kind_of(view, field, says);
        match quote.and_then(|quote| rest_of_unclosed(view, found.text, &value, quote)) {
            Some(rest) => found.push(rest, kind, Rank::Name, reason),
            None => view.push(found, value.clone(), kind, Rank::Name, reason),
        }
    }
    // What was refused may hold the next name: `s/TOKEN=.*/TOKEN=X/`.
    const REREAD_MAX: usize = 64;
    let is_refused = !found.covers(&view.place(value));
    if is_refused && end - start <= REREAD_MAX { field.sign } else { end.saturating_sub(1) }
}

/// Asks the name; `pwd` is a password unless a shell could have set it.
fn says(field: &Field, text: &[u8]) -> Says {
    let name = &text[field.name.clone()];
    let is_set = text[field.sign] == b'=' && field.before.is_none_or(|before| before.is_ascii_whitespace());
    match ask(name) {
        Says::Nothing if name.eq_ignore_ascii_case(b"pwd") && !is_set => Says::Password,
        // The half of a pair that vault calls an id.
        Says::Nothing if name.eq_ignore_ascii_case(b"secret_id") => Says::Maybe,
        says @ (Says::Nothing | Says::Maybe | Says::Password | Says::Secret) => says,
    }
}

/// Returns how much of a value only leads to the secret: `pass:` of openssl's kin, the user of credentials.
pub(super) fn head_of(value: &[u8], name: &[u8]) -> usize {
    if let Some(head) = [b"pass:".as_slice(), b"base64:"].iter().find(|head| value.starts_with(head)) {
        return head.len();
    }
    let name = name.to_ascii_lowercase();
    let is_pair =
        [b"cred".as_slice(), b"creds", b"credential", b"credentials"].iter().any(|end| name.ends_with(end));
    let colon =
        memchr(b':', value).filter(|colon| is_pair && *colon > 0 && !value[*colon..].starts_with(b"://"));
    colon.map_or(0, |colon| colon + 1)
}

/// Returns the range of the line that a value takes whose quote is not closed in its word: to the end of its line.
fn rest_of_unclosed(view: &View<'_>, line: &[u8], value: &Range<usize>, quote: u8) -> Option<Range<usize>> {
    let range = view.place(value.clone());
    let is_unclosed = value.end == view.text.len() && line[..range.start].last() == Some(&quote);
    let rest = is_unclosed.then(|| &line[range.end..])?;
    let length = memchr2(quote, b'\n', rest).unwrap_or(rest.len());
    step(length);
    Some(range.start..range.end + length)
}

/// Tells what is cut: a value that is set keeps the kind of a variable.
fn kind_of(view: &View<'_>, field: &Field, says: Says) -> Secret {
    let is_option = view.text[field.name.start] == b'-' || view.text[field.sign] == b':';
    match says {
        _ if view.role == Role::Assignment || (field.is_first(view) && !is_option) => Secret::Variable,
        Says::Password => Secret::Password,
        Says::Secret | Says::Maybe | Says::Nothing => Secret::Token,
    }
}

/// Tells whether a `:` states a value: in a header, in a line of YAML, or of something that looks like a secret.
fn is_stated(view: &View<'_>, field: &Field, start: usize, value: &[u8]) -> bool {
    let is_header = view.text[field.name.clone()].contains(&b'-') && field.is_first(view);
    let is_line = field.is_first(view) && (view.role == Role::Document || view.text.contains(&b'\n'));
    let is_word = !value.contains(&b' ');
    let is_spaced = start > field.sign + 1;
    is_header || (is_word && ((is_line && is_spaced) || is_likely(value)))
}

/// Tells whether a value is code that gives one: `input()`, `os.environ["X"]`.
fn is_code(value: &[u8]) -> bool {
    let name =
        value.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')).count();
    name > 0 && matches!(value.get(name), Some(b'(' | b'['))
}

/// Tells whether a small number stands where a token would: a setting.
fn is_number_of(says: Says, value: &[u8]) -> bool {
    says != Says::Password && value.len() <= 5 && value.iter().all(u8::is_ascii_digit)
}

/// Tells whether a UUID is the value of a name that has a secret in it.
fn is_uuid_of_secret(value: &[u8], name: &[u8]) -> bool {
    let is_uuid = value.len() == 36
        && value.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    is_uuid && memchr::memmem::find(&name.to_ascii_lowercase(), b"secret").is_some()
}

/// Tells whether a name with `KEY` in it names a key that is no secret.
fn is_id_of_key(name: &[u8]) -> bool {
    const OPEN: [&str; 14] = [
        "recv",
        "public",
        "pub",
        "signed",
        "cache",
        "sort",
        "partition",
        "primary",
        "foreign",
        "object",
        "trusted",
        "fingerprint",
        "host",
        "s3",
    ];
    let name = name.to_ascii_lowercase();
    OPEN.iter().any(|word| memchr::memmem::find(&name, word.as_bytes()).is_some())
}

/// Returns the end of a value that opened with a quote.
pub(super) fn end_of_quoted(text: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start;
    while let Some(&byte) = text.get(at) {
        step(1);
        match byte {
            _ if byte == quote || byte == b'\n' => break,
            b'\\' if text.get(at + 1) == Some(&quote) && text[..start].ends_with(&[b'\\', quote]) => break,
            b'\\' => at += 1,
            _ => {}
        }
        at += 1;
    }
    at.min(text.len())
}

/// Returns the end of a bare value behind `=`.
fn end_of_assigned(view: &View<'_>, field: &Field, start: usize) -> usize {
    let text = view.text;
    let is_own = field.before.is_none() || field.before == Some(b'=');
    if is_own && view.role == Role::Assignment {
        return text.len();
    }
    if field.is_first(view) && (view.role == Role::Document || field.before == Some(b'\n')) {
        return end_of_line(text, start);
    }
    let ends = |byte: u8| match field.before {
        _ if byte == b'\n' => true,
        None | Some(b'=') => byte == b' ' && is_plain(&text[start..end_of_word(text, start)]),
        Some(b'?' | b'&') => byte.is_ascii_whitespace() || matches!(byte, b'&' | b'?' | b'#' | b'"' | b'\''),
        Some(b';') => matches!(byte, b';' | b'"' | b'\''),
        Some(b',') => matches!(byte, b',' | b'"' | b'\'' | b' ' | b'}' | b')'),
        Some(b' ' | b'\t' | b'\n') => {
            byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b';' | b'|')
        }
        Some(b'^') => matches!(byte, b'/' | b'|' | b'#' | b'@') || byte.is_ascii_whitespace(),
        Some(sign @ (b'/' | b'|' | b'#')) => byte == sign || byte.is_ascii_whitespace(),
        Some(_) => {
            byte.is_ascii_whitespace()
                || matches!(byte, b'&' | b';' | b',' | b')' | b']' | b'}' | b'"' | b'\'' | b'>' | b'<')
        }
    };
    let mut end = start;
    while let Some(&byte) = text.get(end) {
        step(1);
        match view.expansion_end(end) {
            Some(past) => {
                end = past;
                continue;
            }
            None if ends(byte) => break,
            None if byte == b'\\'
                && field.before == Some(b'\n')
                && matches!(text.get(end + 1), Some(b'n' | b'r')) =>
            {
                break;
            }
            None if matches!(byte, b'&' | b';' | b',' | b' ') && begins_field(text, end + 1) => break,
            None => end += 1,
        }
    }
    // The last of a connection string ends in its own sign.
    if end == text.len() && end > start + 1 && text[end - 1] == b';' { end - 1 } else { end }
}

/// Returns where the first blank behind `start` stands.
fn end_of_word(text: &[u8], start: usize) -> usize {
    memchr(b' ', &text[start..]).map_or(text.len(), |length| start + length)
}

/// Tells whether `NAME=` stands at `at`.
fn begins_field(text: &[u8], at: usize) -> bool {
    let rest = &text[at.min(text.len())..];
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let is_name =
        |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b' ' | b'[' | b']');
    let length = rest.iter().take(NEXT_NAME_BYTES_MAX).take_while(is_name).count();
    step(length);
    length > 0 && rest.get(length) == Some(&b'=')
}

/// Returns the end of a line's value, a comment behind it left out.
fn end_of_line(text: &[u8], start: usize) -> usize {
    let line = &text[start.min(text.len())..];
    let line = &line[..memchr(b'\n', line).unwrap_or(line.len())];
    step(line.len() + 1);
    let spelled = [b"\\n", b"\\r"].into_iter().filter_map(|end| memchr::memmem::find(line, end)).min();
    let line = &line[..spelled.unwrap_or(line.len())];
    let comment = memchr::memmem::find(line, b" #").unwrap_or(line.len());
    let command = memchr::memmem::find(line, b"; ").unwrap_or(line.len());
    start + line[..comment.min(command)].trim_ascii_end().len()
}

/// Returns the end of a bare value behind `:`.
fn end_of_stated(view: &View<'_>, field: &Field, start: usize) -> usize {
    let text = view.text;
    let is_whole = field.is_first(view) && !field.is_quoted && field.before.is_none();
    if field.is_first(view) && !field.is_quoted && (view.role == Role::Document || text.contains(&b'\n')) {
        return end_of_line(text, start);
    }
    if is_whole && text[field.name.clone()].contains(&b'-') {
        return forward(text, start, |byte| byte != b'\n');
    }
    let ends = |byte: u8| {
        byte.is_ascii_whitespace()
            || (!is_whole && matches!(byte, b',' | b'}' | b']' | b'"' | b'\'' | b')' | b';' | b'&' | b'\\'))
    };
    forward(text, start, |byte| !ends(byte))
}
