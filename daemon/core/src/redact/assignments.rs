//! Values behind a secret name: `NAME=value`, `--name=value`, `"name": "value"`, `X-Api-Key: value`.
//!
//! It does not matter what stands before the name: `export`, `env`, `docker -e`, `?` of a URL, or a quote.

use std::ops::Range;

use karo_protocol::event::Secret;
use memchr::memchr2;

use super::Found;
use super::names::{NAME_BYTES_MAX, Says, ask};
use super::scan::{backward, forward, step};
use super::values::{inside_quotes, is_secret, is_substitution_at};
use crate::line::end_of_word;

/// The quotes around the place that is looked at.
#[derive(Debug, Clone, Copy)]
struct Quotes {
    quote: u8,
    /// The first byte within them.
    begin: usize,
}

pub(super) fn find(found: &mut Found<'_>) {
    let text = found.text;
    if memchr2(b'=', b':', text).is_none() {
        return;
    }
    let mut quotes: Option<Quotes> = None;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        step(1);
        match byte {
            b'\\' if quotes.is_none_or(|quotes| quotes.quote == b'"') => at += 1,
            b'"' | b'\'' => {
                quotes = match quotes {
                    None => Some(Quotes { quote: byte, begin: at + 1 }),
                    Some(open) => Some(open).filter(|open| open.quote != byte),
                };
            }
            b'=' => at = assignment(found, at, quotes),
            b':' => at = field(found, at, quotes),
            _ => {}
        }
        at += 1;
    }
}

/// Looks at the `=` at `equals`; returns the last byte that is done with.
fn assignment(found: &mut Found<'_>, equals: usize, quotes: Option<Quotes>) -> usize {
    let text = found.text;
    let value = equals + 1;
    if text.get(value) == Some(&b'=') {
        return value; // A comparison.
    }
    let operator = backward(text, equals, 1, |byte| matches!(byte, b'+' | b'?' | b':'));
    let Some(name) = name_before(text, operator) else { return equals };
    let says = ask(&text[name.clone()]);
    if says == Says::Nothing || is_substitution_at(text, value) {
        return equals;
    }
    let kind = match says {
        Says::Password if text[name.start] == b'-' => Secret::Password,
        Says::Secret if text[name.start] == b'-' => Secret::Token,
        Says::Password | Says::Secret | Says::Nothing => Secret::Variable,
    };
    let value = match quotes {
        None => inside_quotes(text, value..end_of_bare_value(text, value)),
        Some(quotes) => value_in_quotes(text, &name, value, quotes),
    };
    note(found, value, kind, equals)
}

/// Looks at the `:` at `colon`, of JSON or of a header; returns the last byte that is done with.
fn field(found: &mut Found<'_>, colon: usize, quotes: Option<Quotes>) -> usize {
    let text = found.text;
    let closing = backward(text, colon, 3, |byte| matches!(byte, b' ' | b'"' | b'\'' | b'\\'));
    let is_quoted = text[closing..colon].iter().any(|byte| matches!(byte, b'"' | b'\''));
    let Some(name) = name_before(text, closing) else { return colon };
    let is_header = closing == colon && text[name.clone()].contains(&b'-');
    if !(is_quoted || is_header) || ask(&text[name]) == Says::Nothing {
        return colon;
    }
    let opening = forward(text, colon + 1, |byte| matches!(byte, b' ' | b'\t' | b'\\'));
    let value = match text.get(opening).copied().filter(|byte| matches!(byte, b'"' | b'\'')) {
        Some(quote) if quotes.is_none_or(|quotes| quotes.quote != quote || text[opening - 1] == b'\\') => {
            let end = forward(text, opening + 1, |byte| byte != quote && byte != b'\n');
            let is_escaped = end > opening + 1 && text[end - 1] == b'\\';
            opening + 1..end - usize::from(is_escaped)
        }
        _ if is_header && quotes.is_some() => {
            let quote = quotes.map(|quotes| quotes.quote);
            opening..forward(text, opening, |byte| Some(byte) != quote && byte != b'\n')
        }
        _ => {
            let ends =
                |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b'}' | b']' | b'"' | b'\'');
            opening..forward(text, opening, |byte| !ends(byte))
        }
    };
    note(found, value, Secret::Variable, colon)
}

/// Cuts a value unless it says on its face that it is no secret; returns the last byte of it.
fn note(found: &mut Found<'_>, value: Range<usize>, kind: Secret, operator: usize) -> usize {
    let end = value.end;
    if is_secret(found.text, &value) {
        found.push(value, kind);
    }
    operator.max(end.saturating_sub(1))
}

/// Returns the name that ends before `end`: of a variable, an option, or in brackets of a form.
fn name_before(text: &[u8], end: usize) -> Option<Range<usize>> {
    let end = end - usize::from(end > 0 && text[end - 1] == b']');
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let begin = backward(text, end, NAME_BYTES_MAX, is_name);
    (begin < end).then_some(begin..end)
}

/// Returns the end of a value outside of quotes: that of its shell word.
fn end_of_bare_value(text: &[u8], value: usize) -> usize {
    let ends = |byte: u8| {
        byte.is_ascii_whitespace() || matches!(byte, b';' | b'|' | b'&' | b'<' | b'>' | b'(' | b')')
    };
    if text.get(value).is_none_or(|byte| ends(*byte)) {
        return value;
    }
    let end = end_of_word(text, value);
    step(end - value);
    end
}

/// Returns the value within the quotes that its name stands in.
///
/// Right behind the opening quote the name owns all of them (`-e "PASS=two words"`), except in a script
/// (`sh -c "PASS=x ./run"`); further in, the value is one word of a form, a URL, or a script.
fn value_in_quotes(text: &[u8], name: &Range<usize>, value: usize, quotes: Quotes) -> Range<usize> {
    let before = &text[..quotes.begin - 1];
    let is_script = before.ends_with(b"-c ") || before.ends_with(b"-c");
    if name.start == quotes.begin && !is_script {
        return value..forward(text, value, |byte| byte != quotes.quote);
    }
    let opening = value + usize::from(text.get(value) == Some(&b'\\'));
    if let Some(inner) = text.get(opening).copied().filter(|byte| matches!(byte, b'"' | b'\''))
        && (inner != quotes.quote || opening > value)
    {
        let end = forward(text, opening + 1, |byte| byte != inner && byte != quotes.quote);
        let is_escaped = end > opening + 1 && text[end - 1] == b'\\';
        return opening + 1..end - usize::from(is_escaped);
    }
    let ends = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b'&' | b';' | b'|');
    value..forward(text, value, |byte| byte != quotes.quote && !ends(byte))
}
