//! Passwords and tokens before the `@` of a URL.

use std::borrow::Cow;
use std::ops::Range;

use karo_protocol::event::Secret;

use super::Found;
use super::found::Rank;
use super::scan::{forward, position, step};
use super::values::is_reference;
use super::view::View;

/// Finds `scheme://user:password@host` and `scheme://token@host`; the URL keeps its shape.
pub(super) fn find(found: &mut Found<'_>, view: &View<'_>) {
    let text = view.text;
    let mut at = 0;
    // No `@` stands between the last place that was searched in vain and this one.
    let mut searched = 0;
    while let Some(colon) = position(text, at, b"://") {
        at = colon + 3;
        let Some(user) = user_part(text, at, &mut searched).filter(|_| has_scheme(text, colon)) else {
            continue;
        };
        at = user.end;
        note(found, view, user);
    }
}

fn has_scheme(text: &[u8], colon: usize) -> bool {
    colon > 0 && text[colon - 1].is_ascii_alphanumeric()
}

/// Returns what stands between `://` and the last `@` of the authority.
///
/// A password with a bare `/`, `?` or `#` in it reaches further than a parser of URLs would go.
fn user_part(text: &[u8], begin: usize, searched: &mut usize) -> Option<Range<usize>> {
    let is_authority = |byte: u8| is_url(byte) && !matches!(byte, b'/' | b'?' | b'#' | b',');
    let authority = begin..forward(text, begin, is_authority);
    if let Some(length) = text[authority.clone()].iter().rposition(|byte| *byte == b'@') {
        return Some(begin..begin + length);
    }
    let colon = text[authority.clone()].iter().position(|byte| *byte == b':')?;
    let port = &text[begin + colon + 1..authority.end];
    let is_port = port.iter().all(u8::is_ascii_digit) || matches!(port.first(), Some(b'$' | b'{' | b'<'));
    let is_address = text.get(begin) == Some(&b'[');
    if is_port || is_address || begin < *searched {
        return None;
    }
    let word_end = forward(text, begin, is_url);
    let at = text[begin..word_end].iter().rposition(|byte| *byte == b'@').map(|length| begin..begin + length);
    if at.is_none() {
        *searched = word_end;
    }
    at
}

/// Tells whether a byte can be part of a URL as people type them.
fn is_url(byte: u8) -> bool {
    !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'`' | b'|')
}

/// Pairs that stand in manuals where a user and a password would.
const PLACEHOLDERS: [&[u8]; 8] = [
    b"user:password",
    b"username:password",
    b"user:pass",
    b"login:password",
    b"user:passwd",
    b"USER:PASSWORD",
    b"USER:PASS",
    b"username:pass",
];

fn note(found: &mut Found<'_>, view: &View<'_>, user: Range<usize>) {
    let text = view.text;
    step(user.len());
    if PLACEHOLDERS.contains(&&text[user.clone()]) {
        return;
    }
    let colon = view.position_of(b':', user.clone());
    let name = user.start..colon.unwrap_or(user.end);
    if is_token(&text[name.clone()]) {
        view.push(found, name, Secret::Token, Rank::Url, || Cow::Borrowed("token in a URL"));
    }
    let Some(colon) = colon.filter(|colon| text[..*colon].last() != Some(&b'[')) else { return };
    let password = colon + 1..user.end;
    let bytes = &text[password.clone()];
    let is_open = matches!(bytes, b"x-oauth-basic" | b"password" | b"****") || view.is_expanded(&password);
    if !is_reference(bytes) && !is_open && !matches!(bytes, [b'<' | b'{', ..]) {
        view.push(found, password, Secret::UrlPassword, Rank::Url, || Cow::Borrowed("password in a URL"));
    }
}

/// Tells whether a user's name is a token rather: long, and of letters and digits.
fn is_token(name: &[u8]) -> bool {
    name.len() >= 20
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        && name.iter().any(u8::is_ascii_digit)
        && name.iter().any(u8::is_ascii_alphabetic)
}
