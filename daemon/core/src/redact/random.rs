//! Secrets that nothing gives away but their randomness: the last and most careful of the finders.
//!
//! It wants digits, capitals and small letters, mixed as only chance mixes them, in a word that is no path, no
//! address, no digest and no text in base64. Hex digits are never enough: most are the ids of commits.

use std::borrow::Cow;

use karo_protocol::event::Secret;

use super::Found;
use super::found::Rank;
use super::scan::{forward, step};
use super::shape::is_mixed;
use super::view::{Role, View};

/// Bytes of the shortest and the longest word that is looked at.
const LEAST: usize = 20;
const MOST: usize = 256;

/// Bytes of the longest run of letters and digits in it, at the least.
const DENSE_LEAST: usize = 16;

/// What public things begin with: keys of ssh and certificates, digests, ids of content.
const PUBLIC_HEADS: &[&[u8]] = &[
    b"pk_", b"phc_", b"age1", b"0x", b"RWQ", b"ssh-", b"AAAAB3", b"AAAAC3", b"AAAAE2", b"AAAAG", b"MII",
    b"LS0t", b"Qm", b"sha512-", b"sha384-", b"sha256-", b"bafy", b"h1:", b"arn:", b"CN=", b"iVBOR", b"PD94",
];

pub(super) fn find(found: &mut Found<'_>, view: &View<'_>) {
    let text = view.text;
    let is_public =
        [b"://".as_slice(), b"-----BEGIN "].iter().any(|part| memchr::memmem::find(text, part).is_some());
    let is_comment = view.role == Role::Loose && text.trim_ascii_start().starts_with(b"#");
    if text.len() < LEAST || is_comment || is_public || found.is_public(&view.place(0..0)) {
        return;
    }
    let is_token =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-');
    let mut at = 0;
    while at < text.len() {
        let end = forward(text, at, is_token);
        if (LEAST..=MOST).contains(&(end - at))
            && view.marker_end(at).is_none()
            && view.expansion_end(at).is_none()
        {
            word(found, view, at, end);
        }
        at = end.max(at) + 1;
    }
}

/// Looks at a word, without the name before a `=` in it.
fn word(found: &mut Found<'_>, view: &View<'_>, start: usize, end: usize) {
    let text = view.text;
    step(end - start);
    let padding = text[start..end].iter().rev().take_while(|byte| **byte == b'=').count();
    let body = &text[start..end - padding];
    let name = body.iter().rposition(|byte| *byte == b'=').map_or(0, |equals| equals + 1);
    let start = start + name;
    let before = start.checked_sub(1).map(|at| text[at]);
    let is_part = matches!(before, Some(b'.' | b'@' | b':' | b'$' | b'%' | b'~' | b'#' | b'\\'))
        || matches!(text.get(end), Some(b'.' | b'@' | b':' | b'%' | b'(' | b'*' | b'[' | b'{' | b'\\'));
    let name = &text[start - name..start];
    if !is_part && !says_public(name) && is_random(&text[start..end]) {
        view.push(found, start..end, Secret::Random, Rank::Random, || {
            Cow::Borrowed("looks random, as a key does, and like nothing else")
        });
    }
}

/// Tells whether the name before a value says that anyone may know it.
fn says_public(name: &[u8]) -> bool {
    const WORDS: &[&[u8]] = &[
        b"id=",
        b"list=",
        b"hash=",
        b"sha",
        b"digest",
        b"integrity",
        b"checksum",
        b"public",
        b"etag",
        b"version",
    ];
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|word| memchr::memmem::find(&name, word).is_some())
}

/// Tells whether a word looks like chance made it.
pub(super) fn is_random(word: &[u8]) -> bool {
    let body = word.trim_ascii_end();
    let body = &body[..body.len() - body.iter().rev().take_while(|byte| **byte == b'=').count()];
    if body.len() < LEAST || !is_mixed(body) || PUBLIC_HEADS.iter().any(|head| word.starts_with(head)) {
        return false;
    }
    let dense = body.split(|byte| !byte.is_ascii_alphanumeric()).map(<[u8]>::len).max().unwrap_or(0);
    let count = |is: fn(&u8) -> bool| body.iter().filter(|byte| is(byte)).count();
    let (capitals, smalls) = (count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase));
    let digits = body.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_path = body.contains(&b'/') && !is_base64_with_slash(word, body);
    dense >= DENSE_LEAST
        && digits >= 2
        && capitals >= 3
        && smalls >= 3
        && !is_path
        && changes_enough(body)
        && !is_text_in_base64(body)
        && !is_coin_address(body)
}

/// Tells whether a word has the length and letters of an address of Monero or Bitcoin.
fn is_coin_address(word: &[u8]) -> bool {
    let is_base58 = word.iter().all(|byte| byte.is_ascii_alphanumeric() && !b"0OIl".contains(byte));
    let has_form = match word.len() {
        95 | 106 => matches!(word[0], b'4' | b'8'),
        26..=35 => matches!(word[0], b'1' | b'3'),
        _ => false,
    };
    is_base58 && has_form
}

/// Tells whether a word with `/` in it is base64 rather than a path.
fn is_base64_with_slash(word: &[u8], body: &[u8]) -> bool {
    let has_sign = word.contains(&b'+') || word.len() > body.len() || body.len() == 40;
    let names = |part: &[u8]| part.len() >= 3 && part.iter().all(u8::is_ascii_lowercase);
    has_sign
        && !body.starts_with(b"/")
        && !body.iter().any(|byte| matches!(byte, b'_' | b'-'))
        && !body.split(|byte| *byte == b'/').any(names)
}

/// Tells whether neighbours differ in kind as often as chance has it: six times in ten; names do so half as often.
fn changes_enough(body: &[u8]) -> bool {
    let kind = |byte: u8| match byte {
        b'0'..=b'9' => 0,
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        _ => 3,
    };
    let changes = body.windows(2).filter(|pair| kind(pair[0]) != kind(pair[1])).count();
    let wanted = if body.len() < 28 { 45 } else { 40 };
    changes * 100 >= (body.len() - 1) * wanted
}

/// Tells whether a word is text that somebody wrote in base64.
fn is_text_in_base64(body: &[u8]) -> bool {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        _ => 63,
    };
    let mut bytes = 0;
    let mut printable = 0;
    for group in body.chunks_exact(4) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 6 | u32::from(digit(*byte)));
        for byte in [bits >> 16, bits >> 8, bits].map(|byte| byte as u8) {
            bytes += 1;
            printable += usize::from(matches!(byte, b' '..=b'~' | b'\n' | b'\t' | b'\r'));
        }
    }
    printable * 100 >= bytes * 85
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_told_from_names() {
        for random in
            ["aB3dE5gH7jK9mN1pQ3sT5vW7", "x7Kp2mQ9vR4tL8wN3zB6", "q8Zr/2Lx+9vTnB4kYw7PmD3sHc6GfJ1aEo5UiQ0R"]
        {
            assert!(is_random(random.as_bytes()), "{random}");
        }
        for name in [
            "TestUserServiceV2CreateAccount",
            "0123456789abcdef0123456789abcdef",
            "aGVsbG8gd29ybGQsIGhvdyBhcmUgeW91",
            "path/To/Some/Directory2/With/Names",
            "ThisIsALongCamelCaseName1",
            "my-long-slug-Of-words-2",
        ] {
            assert!(!is_random(name.as_bytes()), "{name}");
        }
    }
}
