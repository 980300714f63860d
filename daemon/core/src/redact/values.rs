//! Values that are no secrets themselves, although their name or place says so.

use std::ops::Range;

use super::shape::is_mixed;
use super::view::View;

/// Tells whether the value of a secret name or place is a secret itself.
pub(super) fn is_secret(view: &View<'_>, line: &[u8], value: &Range<usize>) -> bool {
    let bytes = &view.text[value.clone()];
    if view.is_expanded(value) || is_plain(bytes) {
        return false;
    }
    // Within single quotes a shell replaces nothing.
    let is_literal =
        view.place(value.clone()).start.checked_sub(1).is_some_and(|before| line[before] == b'\'');
    is_literal || !is_reference(bytes)
}

/// Tells whether a value is only a reference to where a secret is: `$NAME`, `${NAME}`, `$(…)`, `{{ … }}`.
///
/// `${NAME:-text}` and `$A$B` are none: a part of them may be the secret. Double quotes around it do not count.
pub(super) fn is_reference(value: &[u8]) -> bool {
    let value = value.strip_prefix(b"\"").unwrap_or(value);
    let value = value.strip_suffix(b"\"").unwrap_or(value);
    let value = value.strip_prefix(b"\\").filter(|rest| rest.first() == Some(&b'$')).unwrap_or(value);
    let is_name = |name: &[u8]| {
        !name.is_empty()
            && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'.'))
            && !name[0].is_ascii_digit()
    };
    match value {
        [b'`', ..] | [b'$' | b'<' | b'>' | b'=', b'(', ..] | [b'{', b'{', ..] | [b'(', .., b')'] => true,
        [b'$', b'{', b'{', ..] => true,
        [b'$', b'{', inner @ .., b'}'] => is_name(inner) || has_no_text(inner),
        [b'%', name @ .., b'%'] => is_name(name) && !name.iter().any(u8::is_ascii_lowercase),
        [b'$', b'@' | b'*' | b'?' | b'#' | b'0'..=b'9'] => true,
        [b'$', name @ ..] => is_name(name),
        _ => false,
    }
}

/// Tells whether the inside of `${…}` gives no text of its own: `NAME:-`, `NAME:?message`, `NAME:-$OTHER`.
fn has_no_text(inner: &[u8]) -> bool {
    let length = inner.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
    let rest = &inner[length..];
    let rest = rest.strip_prefix(b":").unwrap_or(rest);
    match rest {
        _ if length == 0 => false,
        [b'?', ..] | [b'-' | b'=' | b'+'] => true,
        [b'-' | b'=' | b'+', other @ ..] => is_reference(other),
        _ => false,
    }
}

/// Tells whether a value says on its face that it is no secret: a boolean, a place, a row of stars.
pub(super) fn is_plain(value: &[u8]) -> bool {
    is_boolean(value) || is_place(value) || is_placeholder(value) || is_address(value) || is_source(value)
}

fn is_boolean(value: &[u8]) -> bool {
    const WORDS: [&[u8]; 18] = [
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
        b"auto",
        b"default",
    ];
    value.len() <= 9 && WORDS.iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// Tells whether a value stands for one that is to be put there: `<token>`, `****`, `YOUR_KEY`, `.*`.
fn is_placeholder(value: &[u8]) -> bool {
    if value.iter().all(|byte| {
        matches!(byte, b'*' | b'.' | b'-' | b'=' | b'\\' | b'+' | b'x' | b'X' | b'?' | b',' | b';')
    }) {
        return true;
    }
    let is_word = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-' | b' ' | b'.');
    let is_bracketed = matches!(
        value,
        [b'<', inner @ .., b'>'] | [b'[', inner @ .., b']'] | [b'{', inner @ .., b'}'] if inner.iter().all(is_word)
    );
    const HEADS: [&[u8]; 13] = [
        b"your-",
        b"your_",
        b"YOUR_",
        b"YOUR-",
        b"my-secret-name",
        b"INSERT_",
        b"REPLACE_",
        b"<your",
        b"\\w",
        b"\\S",
        b"[^",
        b"(.",
        b"(?",
    ];
    let is_expression = [b"[A-Z".as_slice(), b"[a-z", b"[0-9", b"[^", b"\\w", b"\\S", b".*", b".+"]
        .iter()
        .any(|part| memchr::memmem::find(value, part).is_some());
    const MASKS: [&[u8]; 5] = [b"redacted", b"hidden", b"masked", b"placeholder", b"fuzz"];
    let is_mask = MASKS.iter().any(|mask| value.eq_ignore_ascii_case(mask));
    let is_format = value.starts_with(b"%s") || value.starts_with(b"%v");
    // A key in a block has a finder of its own.
    let is_block = memchr::memmem::find(value, b"PRIVATE KEY-----").is_some();
    is_mask
        || is_format
        || is_block
        || is_bracketed
        || is_expression
        || value.starts_with(b")")
        || HEADS.iter().any(|head| value.starts_with(head))
}

/// Tells whether a value says where the secret is: `env:NAME`, `file:/x`, as openssl and its kin read it.
fn is_source(value: &[u8]) -> bool {
    [b"env:".as_slice(), b"file:", b"fd:", b"cmd:", b"op://", b"keyring:"]
        .iter()
        .any(|head| value.starts_with(head))
}

/// Tells whether a value is the address of something: a URL without a password in it.
fn is_address(value: &[u8]) -> bool {
    let Some(colon) = memchr::memmem::find(&value[..value.len().min(16)], b"://") else { return false };
    colon > 0
        && value[..colon].iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-'))
        && !value.contains(&b'@')
}

/// Endings of files that hold secrets or settings.
const ENDINGS: [&[u8]; 34] = [
    b".pem",
    b".key",
    b".crt",
    b".cer",
    b".p12",
    b".pfx",
    b".jks",
    b".gpg",
    b".asc",
    b".pub",
    b".txt",
    b".json",
    b".yml",
    b".yaml",
    b".toml",
    b".env",
    b".conf",
    b".cfg",
    b".ini",
    b".sh",
    b".py",
    b".xml",
    b".der",
    b".csv",
    b".log",
    b".age",
    b".enc",
    b".sock",
    b".properties",
    b".keytab",
    b".lst",
    b".kdbx",
    b".keystore",
    b".cnf",
];

/// Tells whether a value names a file or directory.
fn is_place(value: &[u8]) -> bool {
    let is_path_byte = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'/' | b'.' | b'_' | b'-' | b'~' | b'@' | b'$' | b'{' | b'}')
    };
    if !value.iter().all(is_path_byte) {
        return false;
    }
    let is_marked = [b"./".as_slice(), b"../", b"~/", b"@/", b"@./", b"$HOME/", b"${HOME}/", b"$PWD/"]
        .iter()
        .any(|head| value.starts_with(head));
    let is_absolute = value.starts_with(b"/")
        && value.len() > 1
        && value.split(|byte| *byte == b'/').all(|part| !is_dense(part));
    let has_ending = ENDINGS.iter().any(|ending| value.len() > ending.len() && value.ends_with(ending));
    is_marked || is_absolute || has_ending
}

/// Tells whether a part of a path looks like base64 rather than like a name.
pub(super) fn is_dense(part: &[u8]) -> bool {
    part.len() >= 16 && is_mixed(part)
}

/// Tells whether a value looks like a password or token at all, and not like a word of prose.
pub(super) fn is_likely(value: &[u8]) -> bool {
    let letters = value.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let has_small = value.iter().any(u8::is_ascii_lowercase);
    let has_capital = value.get(1..).is_some_and(|rest| rest.iter().any(u8::is_ascii_uppercase));
    let has_digit = value.iter().any(u8::is_ascii_digit);
    let has_sign = value
        .iter()
        .any(|byte| matches!(byte, b'!' | b'#' | b'$' | b'%' | b'^' | b'&' | b'*' | b'@' | b'+' | b'?'));
    let classes = [has_small, has_capital, has_digit, has_sign].into_iter().filter(|has| *has).count();
    value.len() >= 6 && letters > 0 && classes >= if value.contains(&b' ') { 4 } else { 2 }
}

/// Tells whether a value looks like a key: long, and of digits and letters of both cases, or of hex digits.
pub(super) fn is_keylike(value: &[u8]) -> bool {
    let is_hex =
        value.len() >= 32 && value.iter().all(u8::is_ascii_hexdigit) && value.iter().any(u8::is_ascii_digit);
    let is_token = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-' | b'.' | b'%')
    };
    let is_dense =
        value.len() >= 16 && value.iter().all(is_token) && is_mixed(value) && !value.starts_with(b"/");
    is_hex || is_dense
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_told_from_text() {
        for reference in
            ["$A", "${A_1}", "\"$A\"", "$(pass x)", "`x`", "$1", "$@", "{{ x }}", "%PASS%", "$env:X"]
        {
            assert!(is_reference(reference.as_bytes()), "{reference}");
        }
        for text in ["", "$", "a$b", "$a$b", "${A:-x}", "$a-b", "%", "'$A'", "$6x"] {
            assert!(!is_reference(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn plain_values_are_told_from_secrets() {
        for plain in ["true", "No", "1", "/run/secrets/db", "./x", "~/.pw", "token.txt", "***", "/dev/stdin"]
        {
            assert!(is_plain(plain.as_bytes()), "{plain}");
        }
        for plain in ["<password>", "YOUR_TOKEN", "https://id.example.org/token", ".*", "[token]", "xxxx"] {
            assert!(is_plain(plain.as_bytes()), "{plain}");
        }
        for secret in
            ["hunter2", "12345", "/aB3dE5gH7jK9mN1pQ/x", "a b.txt", "truely", ".key", "https://a:b@c"]
        {
            assert!(!is_plain(secret.as_bytes()), "{secret}");
        }
    }
}
