//! Keys that come as a block of lines: PEM, OpenSSH, PGP, PuTTY; and JSON web tokens.

use std::borrow::Cow;
use std::ops::Range;

use karo_protocol::event::Secret;
use memchr::memmem;

use super::Found;
use super::found::Rank;
use super::scan::{forward, forward_at_most, is_inside_word, position, step};

/// The longest label in use, `ENCRYPTED PRIVATE KEY` and the like, with room to spare.
const LABEL_BYTES_MAX: usize = 48;

pub(super) fn find(found: &mut Found<'_>) {
    if memmem::find(found.text, b"-----BEGIN ").is_some() {
        find_blocks(found);
    }
    if memmem::find(found.text, b"Private-Lines:").is_some() {
        find_putty(found);
    }
    find_pasted_lines(found);
    find_json_web_tokens(found);
}

fn note(found: &mut Found<'_>, range: Range<usize>, reason: &'static str) {
    found.push(range, Secret::PrivateKey, Rank::Vendor, || Cow::Borrowed(reason));
}

/// Finds what stands between `-----BEGIN … PRIVATE KEY-----` and `-----END`, or the end of the text.
fn find_blocks(found: &mut Found<'_>) {
    let text = found.text;
    let mut at = 0;
    while let Some(begin) = position(text, at, b"-----BEGIN ") {
        at = begin + b"-----BEGIN ".len();
        let label_end = forward_at_most(text, at, LABEL_BYTES_MAX, |byte| byte != b'-' && byte != b'\n');
        let label = &text[at..label_end];
        let is_private = memmem::find(label, b"PRIVATE KEY").is_some();
        let Some(rest) = text[label_end..].strip_prefix(b"-----").filter(|_| is_private) else { continue };
        let body = text.len() - rest.len();
        let end = position(text, body, b"-----END").unwrap_or(text.len());
        // Newlines may be spelled, as in JSON.
        let is_edge = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'\\');
        let mut begin = forward(text, body, is_edge).min(end);
        if text[body..begin].ends_with(b"\\") && matches!(text.get(begin), Some(b'n' | b'r')) {
            begin += 1;
        }
        let mut length = text[begin..end].iter().rev().take_while(|byte| is_edge(**byte)).count();
        if text[..end].ends_with(b"\\n") && end >= begin + 2 {
            length = 2;
        }
        note(found, begin..end - length, "private key in a block");
        at = end;
    }
}

/// Finds the private lines of a key of PuTTY: up to `Private-MAC`, or the end of the text.
fn find_putty(found: &mut Found<'_>) {
    let text = found.text;
    let mut at = 0;
    while let Some(lines) = position(text, at, b"Private-Lines:") {
        let count =
            forward(text, lines + b"Private-Lines:".len(), |byte| byte == b' ' || byte.is_ascii_digit());
        let end = position(text, count, b"Private-MAC").unwrap_or(text.len());
        let body = &text[count..end];
        let begin = count + (body.len() - body.trim_ascii_start().len());
        note(found, begin..begin + body.trim_ascii().len(), "private key of PuTTY");
        at = end;
    }
}

/// Finds lines of a key that were pasted without its first line: 64 bytes of base64 each, or one that begins as
/// the keys of OpenSSH do.
fn find_pasted_lines(found: &mut Found<'_>) {
    const LINE: usize = 60;
    let text = found.text;
    if text.len() < LINE {
        return;
    }
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let mut at = 0;
    while at < text.len() {
        let end = forward(text, at, is_base64);
        let line = &text[at..end];
        let is_openssh = line.starts_with(b"b3BlbnNzaC1rZXktdjE");
        let is_whole = matches!(line.len(), 64 | 70 | 76) && text.trim_ascii().len() == line.len();
        let is_key =
            is_whole && line.iter().any(|byte| matches!(byte, b'+' | b'/')) && super::shape::is_mixed(line);
        if is_openssh || is_key {
            note(found, at..end, "line of a private key");
        }
        at = end + 1;
    }
}

/// Finds `eyJ….eyJ….…`: two JSON objects and a signature in base64 (RFC 7519), the signature maybe empty; and the
/// five parts of an encrypted one (RFC 7516).
fn find_json_web_tokens(found: &mut Found<'_>) {
    let text = found.text;
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let mut done = 0;
    step(text.len());
    for at in memmem::find_iter(text, "eyJ") {
        if at < done || is_inside_word(text, at) {
            continue;
        }
        let header_end = forward(text, at, is_part);
        let is_encrypted = text.get(header_end) == Some(&b'.') && has_five_parts(text, header_end);
        if !text[header_end..].starts_with(b".eyJ") && !is_encrypted {
            done = header_end;
            continue;
        }
        let mut end = header_end;
        for _ in 0..if is_encrypted { 4 } else { 2 } {
            if text.get(end) == Some(&b'.') {
                end = forward(text, end + 1, is_part);
            }
        }
        found.push(at..end, Secret::Jwt, Rank::Vendor, || Cow::Borrowed("looks like: JSON web token"));
        done = end;
    }
}

fn has_five_parts(text: &[u8], header_end: usize) -> bool {
    let length = forward_at_most(text, header_end, 512, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
    });
    text[header_end..length].iter().filter(|byte| **byte == b'.').count() == 4
}
