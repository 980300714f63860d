//! Values that are no secrets themselves, although their name says so.

use std::ops::Range;

/// Tells whether the value of a secret name is a secret itself.
pub(super) fn is_secret(text: &[u8], value: &Range<usize>) -> bool {
    let bytes = &text[value.clone()];
    // Within single quotes a shell replaces nothing.
    let is_literal = value.start > 0 && text[value.start - 1] == b'\'';
    (is_literal || !is_reference(bytes)) && !is_plain(bytes)
}

/// Tells whether a value is only a reference to where a secret is: `$NAME`, `${NAME}`, `$(…)`, `{{ … }}`.
///
/// `${NAME:-text}` and `$A$B` are none: a part of them may be the secret. Double quotes around it do not count.
pub(super) fn is_reference(value: &[u8]) -> bool {
    let value = value.strip_prefix(b"\"").unwrap_or(value);
    let value = value.strip_suffix(b"\"").unwrap_or(value);
    let is_name = |name: &[u8]| {
        !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    };
    match value {
        [b'`', ..] | [b'$', b'(', ..] | [b'{', b'{', ..] => true,
        [b'$', b'{', name @ .., b'}'] => is_name(name),
        [b'$', b'@' | b'*' | b'?'] => true,
        [b'$', name @ ..] => is_name(name),
        _ => false,
    }
}

/// Tells whether a command's output stands at `at`, whatever its end; looks at two bytes.
pub(super) fn is_substitution_at(text: &[u8], at: usize) -> bool {
    let rest = text.get(at..).unwrap_or_default();
    let rest = rest.strip_prefix(b"\"").unwrap_or(rest);
    rest.starts_with(b"$(") || rest.starts_with(b"`")
}

/// Tells whether a value says on its face that it is no secret: a boolean, a place, a row of stars.
pub(super) fn is_plain(value: &[u8]) -> bool {
    is_boolean(value)
        || is_place(value)
        || value.iter().all(|byte| matches!(byte, b'*' | b'.' | b'-' | b'=' | b'\\'))
}

fn is_boolean(value: &[u8]) -> bool {
    const WORDS: [&[u8]; 16] = [
        b"0",
        b"1",
        b"true",
        b"false",
        b"yes",
        b"no",
        b"y",
        b"n",
        b"on",
        b"off",
        b"none",
        b"null",
        b"nil",
        b"enabled",
        b"disabled",
        b"undefined",
    ];
    WORDS.iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// Endings of files that hold secrets or settings.
const ENDINGS: [&[u8]; 22] = [
    b".pem", b".key", b".crt", b".cer", b".p12", b".pfx", b".jks", b".gpg", b".asc", b".pub", b".txt",
    b".json", b".yml", b".yaml", b".toml", b".env", b".conf", b".cfg", b".ini", b".sh", b".py", b".xml",
];

/// Tells whether a value names a file or directory.
fn is_place(value: &[u8]) -> bool {
    let is_path_byte =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-' | b'~' | b'@');
    let path = value.strip_prefix(b"$").unwrap_or(value);
    if !path.iter().all(is_path_byte) {
        return false;
    }
    let is_marked =
        [b"./".as_slice(), b"../", b"~/", b"@/", b"@./"].iter().any(|head| value.starts_with(head));
    let is_absolute =
        value.starts_with(b"/") && value.split(|byte| *byte == b'/').all(|part| !is_dense(part));
    let has_ending = ENDINGS.iter().any(|ending| value.len() > ending.len() && value.ends_with(ending));
    is_marked || is_absolute || has_ending
}

/// Tells whether a part of a path looks like base64 rather than like a name.
fn is_dense(part: &[u8]) -> bool {
    part.len() >= 16
        && part.iter().any(u8::is_ascii_digit)
        && part.iter().any(u8::is_ascii_uppercase)
        && part.iter().any(u8::is_ascii_lowercase)
}

/// Returns the inside of a word that is one quoted piece, or the word itself.
pub(super) fn inside_quotes(text: &[u8], word: Range<usize>) -> Range<usize> {
    let head = usize::from(text[word.clone()].starts_with(b"$'"));
    match &text[word.start + head..word.end] {
        [quote @ (b'"' | b'\''), inner @ .., last] if quote == last && is_one_piece(*quote, inner) => {
            word.start + head + 1..word.end - 1
        }
        // Never closed.
        [quote @ (b'"' | b'\''), inner @ ..] if !inner.contains(quote) => word.start + head + 1..word.end,
        _ => word,
    }
}

fn is_one_piece(quote: u8, inner: &[u8]) -> bool {
    let mut is_escaped = false;
    inner.iter().all(|byte| {
        let closes = *byte == quote && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        !closes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_told_from_text() {
        for reference in ["$A", "${A_1}", "\"$A\"", "$(pass x)", "`x`", "$1", "$@", "{{ x }}"] {
            assert!(is_reference(reference.as_bytes()), "{reference}");
        }
        for text in ["", "$", "a$b", "$a$b", "${A:-x}", "$a-b", "%", "'$A'"] {
            assert!(!is_reference(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn plain_values_are_told_from_secrets() {
        for plain in ["true", "No", "1", "/run/secrets/db", "./x", "~/.pw", "token.txt", "***", "/dev/stdin"]
        {
            assert!(is_plain(plain.as_bytes()), "{plain}");
        }
        for secret in ["hunter2", "12345", "/aB3dE5gH7jK9mN1pQ/x", "a b.txt", "truely", ".key"] {
            assert!(!is_plain(secret.as_bytes()), "{secret}");
        }
    }

    #[test]
    fn quotes_are_taken_off_one_piece_only() {
        let inner = |word: &str| word[inside_quotes(word.as_bytes(), 0..word.len())].to_owned();
        assert_eq!(inner("'a b'"), "a b");
        assert_eq!(inner("\"a \\\" b\""), "a \\\" b");
        assert_eq!(inner("$'a'"), "a");
        assert_eq!(inner("'a'b'c'"), "'a'b'c'");
        assert_eq!(inner("'open"), "open");
        assert_eq!(inner("'"), "");
        assert_eq!(inner("x"), "x");
        assert_eq!(inner(""), "");
    }
}
