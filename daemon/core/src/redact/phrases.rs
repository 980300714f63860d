//! Secrets in the languages that lines carry along: SQL, `expect`, XML, `.netrc`, calls with a password in them.

use std::borrow::Cow;
use std::ops::Range;

use karo_protocol::event::Secret;
use memchr::{memchr, memchr2, memmem};

use super::Found;
use super::fields::end_of_quoted;
use super::found::Rank;
use super::names::{Says, ask};
use super::scan::{backward, forward, is_at, is_inside_word, step};
use super::values::{is_likely, is_secret};
use super::view::View;

/// A text shorter than any phrase with a secret in it.
const SHORT: usize = 12;

pub(super) fn find(found: &mut Found<'_>, view: &View<'_>) {
    let text = view.text;
    if text.len() < SHORT {
        return;
    }
    step(text.len());
    let has_quote = memchr2(b'\'', b'"', text).is_some();
    if has_quote && memchr(b' ', text).is_some() {
        sql(found, view);
        expect(found, view);
    }
    if has_quote {
        pairs(found, view);
    }
    mnemonic(found, view);
    if memchr(b'<', text).is_some() {
        elements(found, view);
    }
    if memchr(b' ', text).is_some() {
        words(found, view);
    }
}

/// Returns where words that begin with a letter of either case stand, each not within a longer word.
fn places<'a>(text: &'a [u8], word: &'static [u8]) -> impl Iterator<Item = usize> + 'a {
    let (small, capital) = (word[0], word[0].to_ascii_uppercase());
    memchr::memchr2_iter(small, capital, text)
        .filter(move |at| is_at(text, *at, word) && !is_inside_word(text, *at))
}

fn note(found: &mut Found<'_>, view: &View<'_>, secret: Range<usize>, reason: &'static str) {
    if is_secret(view, found.text, &secret) {
        view.push(found, secret, Secret::Password, Rank::Place, || Cow::Borrowed(reason));
    }
}

/// Returns what stands in quotes from `at` on, blanks before them passed over.
fn quoted(text: &[u8], at: usize) -> Option<Range<usize>> {
    let opening = forward(text, at, |byte| matches!(byte, b' ' | b'\t' | b'='));
    let quote = text.get(opening).copied().filter(|byte| matches!(byte, b'"' | b'\''))?;
    Some(opening + 1..end_of_quoted(text, opening + 1, quote))
}

/// Twelve words or more that recover a wallet (BIP 39): each of three to eight small letters, and nothing else.
fn mnemonic(found: &mut Found<'_>, view: &View<'_>) {
    const LONGEST: usize = 24 * 9;
    let text = view.text.trim_ascii();
    let is_word = |word: &[u8]| (3..=8).contains(&word.len()) && word.iter().all(u8::is_ascii_lowercase);
    if text.len() > LONGEST || !text.split(|byte| *byte == b' ').all(is_word) {
        return;
    }
    if matches!(text.split(|byte| *byte == b' ').count(), 12 | 15 | 18 | 21 | 24) {
        let start = view.text.len() - view.text.trim_ascii_start().len();
        view.push(found, start..start + text.len(), Secret::Key, Rank::Place, || {
            Cow::Borrowed("words that open a wallet")
        });
    }
}

/// `IDENTIFIED BY 'X'`, `PASSWORD 'X'`, `PASSWORD('X')`, `SET PASSWORD FOR bob = 'X'`.
fn sql(found: &mut Found<'_>, view: &View<'_>) {
    const REASON: &str = "password of a user in SQL";
    const REACH: usize = 80;
    let text = view.text;
    for at in places(text, b"identified") {
        let end = (at + REACH).min(text.len());
        let by = places(&text[at..end], b"by").next().map(|by| at + by + 2);
        if let Some(secret) = by.and_then(|by| quoted(text, by)) {
            note(found, view, secret, REASON);
        }
    }
    for at in places(text, b"password") {
        let behind = at + b"password".len();
        let inner = if text.get(behind) == Some(&b'(') { behind + 1 } else { behind };
        let is_call = inner > behind || matches!(text.get(behind), Some(b' '));
        let for_user =
            places(&text[behind..(behind + REACH).min(text.len())], b"for").next().filter(|at| *at <= 2);
        let assigned = for_user.and_then(|_| memchr(b'=', &text[behind..(behind + REACH).min(text.len())]));
        let from = assigned.map_or(inner, |equals| behind + equals);
        if let Some(secret) = quoted(text, from).filter(|_| is_call) {
            note(found, view, secret, REASON);
        }
    }
}

/// `send "X\r"` behind an `expect` of a password.
fn expect(found: &mut Found<'_>, view: &View<'_>) {
    let text = view.text;
    let mut done = 0;
    for at in places(text, b"send") {
        let head = forward(text, at + 4, |byte| matches!(byte, b' ' | b'-'));
        let Some(secret) = quoted(text, head).filter(|_| head > at + 4) else { continue };
        let before = text[done..at].to_ascii_lowercase();
        step(before.len());
        done = secret.end;
        let asks = [b"assword".as_slice(), b"assphrase", b"passcode", b"pin:", b"token"];
        if asks.iter().any(|ask| memmem::find(&before, ask).is_some()) {
            let bytes = &text[secret.clone()];
            let ending =
                ["\\r\\n", "\\r", "\\n", "\r", "\n"].iter().find(|ending| bytes.ends_with(ending.as_bytes()));
            let end = secret.end - ending.map_or(0, |ending| ending.len());
            note(found, view, secret.start..end, "answer to a password prompt");
        }
    }
}

/// `define('DB_PASSWORD', 'X')`, `db.auth("bob", "X")`, `ConvertTo-SecureString 'X'`.
fn pairs(found: &mut Found<'_>, view: &View<'_>) {
    let text = view.text;
    let mut at = 0;
    while let Some(length) = memchr(b',', &text[at.min(text.len())..]) {
        let comma = at + length;
        step(length + 1);
        at = comma + 1;
        let closing = backward(text, comma, 2, |byte| byte == b' ');
        let Some(quote) =
            closing.checked_sub(1).map(|last| text[last]).filter(|byte| matches!(byte, b'"' | b'\''))
        else {
            continue;
        };
        let start = backward(text, closing - 1, 64, |byte| byte != quote);
        let Some(secret) = quoted(text, comma + 1) else { continue };
        let call = &text[..start.saturating_sub(1)];
        let is_login = [b"auth(".as_slice(), b"auth=(", b"login(", b"authenticate(", b"uthentication("]
            .iter()
            .any(|head| call.ends_with(head));
        let is_named = matches!(ask(&text[start..closing - 1]), Says::Password | Says::Secret);
        let is_set = is_named
            && [b"define(".as_slice(), b"Variable(", b"set(", b"put(", b"etenv(", b"Header("]
                .iter()
                .any(|head| call.ends_with(head));
        if is_login || is_set {
            note(found, view, secret, "password in a call");
        }
    }
    calls(found, view);
    for at in memmem::find_iter(text, b"SecureString ") {
        if let Some(secret) = quoted(text, at + b"SecureString ".len()) {
            note(found, view, secret, "text of a secure string");
        }
    }
}

/// `new PDO("…", "bob", "X")`, `DBI->connect("…", "bob", "X")`: the third is the password.
fn calls(found: &mut Found<'_>, view: &View<'_>) {
    let text = view.text;
    for head in [b"PDO(".as_slice(), b"connect(", b"mysqli(", b"getConnection("] {
        for at in memmem::find_iter(text, head) {
            let second = behind_comma(text, at + head.len()).and_then(|comma| behind_comma(text, comma));
            if let Some(secret) = second.and_then(|comma| quoted(text, comma)) {
                note(found, view, secret, "password in a call");
            }
        }
    }
}

/// Returns where the next argument begins, if this one is quoted.
fn behind_comma(text: &[u8], at: usize) -> Option<usize> {
    let end = quoted(text, at)?.end + 1;
    let comma = forward(text, end, |byte| byte == b' ');
    (text.get(comma) == Some(&b',')).then_some(comma + 1)
}

/// `<password>X</password>`, `<add key="password" value="X"`.
fn elements(found: &mut Found<'_>, view: &View<'_>) {
    let text = view.text;
    let mut at = 0;
    while let Some(length) = memchr(b'<', &text[at.min(text.len())..]) {
        let open = at + length;
        step(length + 1);
        at = open + 1;
        let name = open + 1..forward(text, open + 1, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':')
        });
        if name.is_empty() || text.get(name.end) != Some(&b'>') {
            continue;
        }
        let value = name.end + 1..forward(text, name.end + 1, |byte| !matches!(byte, b'<' | b'\n'));
        if text[value.end..].starts_with(b"</")
            && matches!(ask(&text[name.clone()]), Says::Password | Says::Secret)
        {
            note(found, view, value.clone(), "value in an element with a secret name");
        }
        at = value.end;
    }
}

/// `machine h login bob password X`, `set SMBPass X`, `requirepass X`.
fn words(found: &mut Found<'_>, view: &View<'_>) {
    let text = view.text;
    let is_netrc = memmem::find(text, b"machine ").is_some() || memmem::find(text, b"login ").is_some();
    if is_netrc {
        for at in places(text, b"password") {
            next_word(found, view, at + b"password".len(), "password of a login");
        }
    }
    for at in places(text, b"set") {
        // Prose says `how to set`.
        let begins = text[..at]
            .trim_ascii_end()
            .last()
            .is_none_or(|byte| matches!(byte, b';' | b'\n' | b'&' | b'|' | b'{'));
        if !begins && text[..at].last() != Some(&b'\n') {
            continue;
        }
        let name = forward(text, at + 3, |byte| byte == b' ');
        let end =
            forward(text, name, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b':'));
        if name > at + 3 && matches!(ask(&text[name..end]), Says::Password | Says::Secret) {
            next_word(found, view, end, "value that is set");
        }
    }
    for at in memmem::find_iter(text, b"nickserv identify") {
        next_word(found, view, at + b"nickserv identify".len(), "password of a nick");
    }
    for at in memmem::find_iter(text, b" --") {
        let end = forward(text, at + 3, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if matches!(ask(&text[at + 1..end]), Says::Password | Says::Secret) && is_likely(word_at(text, end)) {
            next_word(found, view, end, "value of an option");
        }
    }
    for head in [b"requirepass".as_slice(), b"masterauth", b"-wpa-psk", b"secret:"] {
        for at in memmem::find_iter(text, head) {
            next_word(found, view, at + head.len(), "value of a setting");
        }
    }
}

fn word_at(text: &[u8], at: usize) -> &[u8] {
    let start = forward(text, at, |byte| byte == b' ');
    &text[start..forward(text, start, |byte| !byte.is_ascii_whitespace())]
}

fn next_word(found: &mut Found<'_>, view: &View<'_>, from: usize, reason: &'static str) {
    let text = view.text;
    let start = forward(text, from, |byte| matches!(byte, b' ' | b'\t'));
    if start == from {
        return;
    }
    let secret = quoted(text, start).unwrap_or_else(|| {
        let end =
            forward(text, start, |byte| !byte.is_ascii_whitespace() && !matches!(byte, b';' | b'"' | b'\''));
        // `printf` spells its newlines.
        let spelled = memmem::find(&text[start..end], b"\\n");
        start..spelled.map_or(end, |length| start + length)
    });
    let is_operator = matches!(text.get(secret.start), Some(b'=' | b'>' | b'|' | b'&' | b'('));
    let is_word = [b"for".as_slice(), b"to", b"and", b"in"]
        .iter()
        .any(|word| text[secret.clone()].eq_ignore_ascii_case(word));
    if !is_operator && !is_word {
        note(found, view, secret, reason);
    }
}
