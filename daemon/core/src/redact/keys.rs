//! Private keys in PEM blocks.

use karo_protocol::event::Secret;

use super::Found;
use super::scan::{forward_at_most, position};

/// The longest label in use, `ENCRYPTED PRIVATE KEY` and the like, with room to spare.
const LABEL_BYTES_MAX: usize = 48;

/// Finds what stands between `-----BEGIN … PRIVATE KEY-----` and `-----END`, or the end of the text.
pub(super) fn find(found: &mut Found<'_>) {
    let text = found.text;
    let mut at = 0;
    while let Some(begin) = position(text, at, b"-----BEGIN ") {
        at = begin + b"-----BEGIN ".len();
        let label_end = forward_at_most(text, at, LABEL_BYTES_MAX, |byte| byte != b'-' && byte != b'\n');
        let label = &text[at..label_end];
        let is_private = memchr::memmem::find(label, b"PRIVATE KEY").is_some();
        let Some(rest) = text[label_end..].strip_prefix(b"-----").filter(|_| is_private) else { continue };
        let body = text.len() - rest.len();
        let end = position(text, body, b"-----END").unwrap_or(text.len());
        let lines = &text[body..end];
        let begin = body + (lines.len() - lines.trim_ascii_start().len());
        found.push(begin..begin + lines.trim_ascii().len(), Secret::Key);
        at = end;
    }
}
