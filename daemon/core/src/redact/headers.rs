//! Credentials in HTTP headers: `Authorization: Bearer …`, `Cookie: name=…`, and `Bearer …` wherever it stands.

use std::borrow::Cow;
use std::ops::Range;

use karo_protocol::event::Secret;
use memchr::memmem;

use super::Found;
use super::fields::{Field, end_of_quoted};
use super::found::Rank;
use super::names::{Says, ask};
use super::scan::{forward, is_at, is_inside_word, step};
use super::values::{is_keylike, is_secret};
use super::view::View;

/// Words that may stand before the credentials, as registered at IANA or common in the field.
const SCHEMES: [&[u8]; 20] = [
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
    b"splunk",
    b"apitoken",
    b"api-token",
    b"pve",
    b"klaviyo-api-key",
];

/// Reads the header whose name was found, if it is one of these; returns where its value ends.
pub(super) fn find(found: &mut Found<'_>, view: &View<'_>, field: &Field, name: &[u8]) -> Option<usize> {
    let ends =
        |tail: &[u8]| name.len() >= tail.len() && name[name.len() - tail.len()..].eq_ignore_ascii_case(tail);
    if ends(b"authorization") {
        return Some(authorization(found, view, field));
    }
    if ends(b"cookie") {
        let (start, end) = value(view, field);
        cookies(found, view, start..end);
        return Some(end);
    }
    None
}

/// Returns where the value of a header begins and ends.
fn value(view: &View<'_>, field: &Field) -> (usize, usize) {
    let text = view.text;
    let (start, quote) = field.value(text);
    let end = match quote {
        Some(quote) => end_of_quoted(text, start, quote),
        None if field.is_first(view) => forward(text, start, |byte| byte != b'\n'),
        None => forward(text, start, |byte| !matches!(byte, b'\n' | b'"' | b'\'' | b'\\')),
    };
    (start, end)
}

fn authorization(found: &mut Found<'_>, view: &View<'_>, field: &Field) -> usize {
    let text = view.text;
    let (start, end) = value(view, field);
    let credentials = after_scheme(text, start, end);
    let credentials = inside_parameter(text, credentials..end);
    // A scheme alone, as a pattern of `grep` has it.
    let is_alone = SCHEMES.iter().any(|scheme| text[credentials.clone()].eq_ignore_ascii_case(scheme));
    if !is_alone && is_secret(view, found.text, &credentials) {
        view.push(found, credentials, Secret::Token, Rank::Name, || {
            Cow::Borrowed("credentials of an Authorization header")
        });
    }
    end
}

/// Returns where the credentials begin: behind the scheme, if one is named.
fn after_scheme(text: &[u8], value: usize, end: usize) -> usize {
    let scheme = forward(text, value, |byte| byte.is_ascii_alphanumeric() || byte == b'-').min(end);
    // A scheme of one vendor is a word with a capital, and one word follows.
    let is_word = text[value..scheme].iter().all(u8::is_ascii_alphabetic)
        && text.get(value).is_some_and(u8::is_ascii_uppercase)
        && scheme < end
        && !text[scheme + 1..end].contains(&b' ');
    let is_scheme = is_word || SCHEMES.iter().any(|name| text[value..scheme].eq_ignore_ascii_case(name));
    let credentials = forward(text, scheme, |byte| matches!(byte, b' ' | b'\t')).min(end);
    if is_scheme && credentials > scheme { credentials } else { value }
}

/// Returns the value of `token="…"` and of `PVEAPIToken=user!id=…`, if there is but one parameter.
fn inside_parameter(text: &[u8], credentials: Range<usize>) -> Range<usize> {
    let bytes = &text[credentials.clone()];
    let name = bytes.iter().take_while(|byte| byte.is_ascii_alphabetic() || **byte == b'_').count();
    let is_one =
        name > 0 && bytes.get(name) == Some(&b'=') && !bytes.contains(&b',') && bytes.len() > name + 2;
    if !is_one || bytes[name..].iter().all(|byte| *byte == b'=') {
        return credentials;
    }
    let start = credentials.start + name + 1;
    match text[start] {
        quote @ (b'"' | b'\'') => start + 1..end_of_quoted(text, start + 1, quote).min(credentials.end),
        // `PVEAPIToken=user!name=X`.
        _ => match bytes.iter().rposition(|byte| *byte == b'=').filter(|_| bytes.contains(&b'!')) {
            Some(last) => credentials.start + last + 1..credentials.end,
            None => start..credentials.end,
        },
    }
}

/// Cuts the values of cookies that carry a session or the like.
pub(super) fn cookies(found: &mut Found<'_>, view: &View<'_>, range: Range<usize>) {
    let mut at = range.start;
    while at < range.end {
        let end = forward(view.text, at, |byte| byte != b';').min(range.end);
        let pair = at..end;
        at = end + 1;
        let Some(equals) = view.position_of(b'=', pair.clone()) else { continue };
        let name = view.text[pair.start..equals].trim_ascii();
        let value = equals + 1..pair.end;
        let bytes = &view.text[value.clone()];
        let is_session = ask(name) != Says::Nothing || says_session(name);
        if (is_session || is_keylike(bytes)) && is_secret(view, found.text, &value) && bytes.len() > 3 {
            view.push(found, value, Secret::Cookie, Rank::Place, || Cow::Borrowed("value of a cookie"));
        }
    }
}

fn says_session(name: &[u8]) -> bool {
    const PARTS: [&str; 10] =
        ["sess", "sid", "auth", "csrf", "xsrf", "remember", "logged", "login", "jwt", "user"];
    let name = name.to_ascii_lowercase();
    PARTS.iter().any(|part| memmem::find(&name, part.as_bytes()).is_some())
}

/// Finds `Bearer …` outside of a header that names itself.
pub(super) fn find_bearer(found: &mut Found<'_>, view: &View<'_>) {
    let text = view.text;
    step(text.len());
    let mut done = 0;
    for at in memmem::find_iter(text, b"earer") {
        let Some(start) = at.checked_sub(1).filter(|start| *start >= done) else { continue };
        if is_inside_word(text, start) || !is_at(text, start, b"bearer") {
            continue;
        }
        let name_end = at + b"earer".len();
        let value = forward(text, name_end, |byte| matches!(byte, b' ' | b'\t' | b'\\'));
        let is_token = |byte: u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
        };
        let end = forward(text, value, is_token);
        let token = &text[value..end];
        let is_secret = token.len() >= 20 || (token.len() >= 8 && token.iter().any(u8::is_ascii_digit));
        if value > name_end && is_secret {
            view.push(found, value..end, Secret::Token, Rank::Name, || Cow::Borrowed("token behind Bearer"));
        }
        done = end;
    }
}
