//! Credentials in HTTP headers: `Authorization: Bearer …`, and `Bearer …` wherever it stands.

use karo_protocol::event::Secret;
use memchr::memchr2_iter;

use super::Found;
use super::scan::{forward, is_at, is_inside_word, step};
use super::values::is_reference;

/// Words that may stand before the credentials, as registered at IANA or common in the field.
const SCHEMES: [&[u8]; 15] = [
    b"bearer",
    b"basic",
    b"token",
    b"digest",
    b"negotiate",
    b"ntlm",
    b"apikey",
    b"api-key",
    b"key",
    b"jwt",
    b"oauth",
    b"bot",
    b"ssws",
    b"geniekey",
    b"aws4-hmac-sha256",
];

pub(super) fn find(found: &mut Found<'_>) {
    find_authorization(found);
    find_bearer(found);
}

fn find_authorization(found: &mut Found<'_>) {
    let text = found.text;
    let mut done = 0;
    step(text.len());
    for at in memchr2_iter(b'a', b'A', text) {
        if at >= done && is_at(text, at, b"authorization") {
            done = authorization(found, at);
        }
    }
}

/// Reads the header whose name begins at `name`, and returns where its value ends.
fn authorization(found: &mut Found<'_>, name: usize) -> usize {
    let text = found.text;
    let blank = |byte: u8| matches!(byte, b' ' | b'\t');
    let escape_or_quote = |byte: u8| matches!(byte, b'\\' | b'"' | b'\'');
    let name_end = name + b"authorization".len();
    let key_end = forward(text, name_end, escape_or_quote);
    let colon = forward(text, key_end, blank);
    if !matches!(text.get(colon), Some(b':' | b'=')) {
        return colon;
    }
    let opening = forward(text, colon + 1, |byte| blank(byte) || byte == b'\\');
    let value = forward(text, opening, escape_or_quote);
    let quote = match text[opening..value].last() {
        Some(quote) => Some(*quote),
        // The header stands in quotes as a whole, unless they close behind its name.
        None if key_end == name_end && name > 0 => {
            Some(text[name - 1]).filter(|byte| matches!(byte, b'"' | b'\''))
        }
        None => None,
    };
    let credentials = after_scheme(text, value);
    let end = forward(text, credentials, |byte| match quote {
        Some(quote) => byte != quote && byte != b'\n' && byte != b'\\',
        None => !byte.is_ascii_whitespace() && !escape_or_quote(byte),
    });
    if !is_reference(&text[credentials..end]) {
        found.push(credentials..end, Secret::Token);
    }
    end.max(name_end)
}

/// Returns where the credentials begin: behind the scheme, if one is named.
fn after_scheme(text: &[u8], value: usize) -> usize {
    let end = forward(text, value, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_scheme = SCHEMES.iter().any(|scheme| text[value..end].eq_ignore_ascii_case(scheme));
    let credentials = forward(text, end, |byte| matches!(byte, b' ' | b'\t' | b'\\'));
    if is_scheme && (credentials > end || credentials == text.len() || text[end] != b':') {
        credentials
    } else {
        value
    }
}

fn find_bearer(found: &mut Found<'_>) {
    let text = found.text;
    let mut done = 0;
    step(text.len());
    for at in memchr2_iter(b'b', b'B', text) {
        if at < done || is_inside_word(text, at) || !is_at(text, at, b"bearer") {
            continue;
        }
        let name_end = at + b"bearer".len();
        let value = forward(text, name_end, |byte| matches!(byte, b' ' | b'\t' | b'\\'));
        let is_token = |byte: u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
        };
        let end = forward(text, value, is_token);
        let token = &text[value..end];
        let is_secret = token.len() >= 20 || (token.len() >= 8 && token.iter().any(u8::is_ascii_digit));
        if value > name_end && is_secret {
            found.push(value..end, Secret::Token);
        }
        done = end;
    }
}
