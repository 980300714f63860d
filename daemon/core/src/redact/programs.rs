//! Secrets that are arguments: looked for in the words of each program that a line runs, by the table of
//! [`flags`](super::flags) and by options whose name says so.

use std::borrow::Cow;
use std::ops::Range;

use karo_protocol::event::Secret;

use super::Found;
use super::fields::head_of;
use super::flags::{Any, FLAGS, Flag, Part, Place, Shape, Value};
use super::found::Rank;
use super::headers::cookies;
use super::names::{Says, ask};
use super::scan::step;
use super::values::{is_keylike, is_likely, is_secret};
use super::view::{Role, View};
use crate::line::{Line, Word};

/// Programs whose `-u` is no user with a password, but a group, an address, a protocol.
const OTHER_USERS: [&[u8]; 12] = [
    b"docker",
    b"podman",
    b"nerdctl",
    b"buildah",
    b"kubectl",
    b"sudo",
    b"socat",
    b"nmap",
    b"rsync",
    b"date",
    b"systemd-run",
    b"docker-compose",
];

/// Looks at the programs of a line; `is_quoted` tells that it is a text that may be one, and may be prose.
pub(super) fn find(found: &mut Found<'_>, line: &Line, is_quoted: bool) {
    for run in &line.runs {
        if run.words.len() < 2 {
            continue;
        }
        let own = run.own.clamp(1, run.words.len());
        Program { found, name: run.name(), words: &run.words[1..own], is_quoted }.find();
    }
}

/// Programs that are given addresses, public keys and ids of content, which look like secrets.
const PUBLIC_WORDS: [&[u8]; 16] = [
    b"bitcoin-cli",
    b"litecoin-cli",
    b"monero-wallet-cli",
    b"solana",
    b"cast",
    b"geth",
    b"ipfs",
    b"gdown",
    b"gdrive",
    b"nix",
    b"nix-store",
    b"nix-prefetch-url",
    b"minisign",
    b"yt-dlp",
    b"youtube-dl",
    b"signify",
];

/// Words behind which a public key stands.
const BEFORE_PUBLIC: [&[u8]; 5] = [b"peer", b"--recipient", b"-r", b"--public-key", b"--pubkey"];

/// One program with its own words behind its name.
struct Program<'a, 'b> {
    found: &'a mut Found<'b>,
    name: &'a [u8],
    words: &'a [Word],
    is_quoted: bool,
}

impl Program<'_, '_> {
    fn find(&mut self) {
        if self.name == b"alias" || self.name == b"abbr" {
            self.words.iter().for_each(|word| self.found.spare(word.place(0..0).start));
        }
        let rows: Vec<&Flag> = FLAGS.of(self.name).collect();
        step(self.words.len() + 1);
        let mut told = vec![0; self.words.len()];
        for row in &rows {
            self.row(row, &mut told);
        }
        self.publish();
        for at in (0..self.words.len()).filter(|at| told[*at] == 0) {
            let text = self.words[at].text();
            step(1);
            let is_set = matches!(self.words.get(at + 1).map(Word::text), Some(b"="));
            if text.len() >= 2 && (text[0] == b'-' || is_set) {
                self.named(at);
            }
        }
    }

    /// Notes the words that anyone may know.
    fn publish(&mut self) {
        let is_open = PUBLIC_WORDS.contains(&self.name);
        for (at, word) in self.words.iter().enumerate() {
            step(1);
            if is_open || (at > 0 && BEFORE_PUBLIC.contains(&self.words[at - 1].text())) {
                self.found.publish(word.place(0..0).start);
            }
        }
    }

    /// Looks for what a row describes, and notes the words that it explains.
    fn row(&mut self, row: &Flag, told: &mut [usize]) {
        let Some(begin) = self.behind(row) else { return };
        match row.shape {
            Shape::Place(place) => return self.place(row, place, begin),
            Shape::Any(any) => return self.any(row, any, begin),
            Shape::Value(_) | Shape::Part(_) | Shape::Never | Shape::ByName => {}
        }
        for (at, told) in told.iter_mut().enumerate().skip(begin) {
            step(1);
            let Some(length) = flag_length(self.words[at].text(), row) else { continue };
            // `-password` is not `-p` with a value.
            if *told > row.flag.len() {
                continue;
            }
            *told = row.flag.len();
            match row.shape {
                Shape::Value(value) => self.value(row, value, at, length),
                Shape::Part(part) => self.part(row, part, at, length),
                Shape::Never => self.found.spare(self.words[at].place(0..0).start),
                Shape::Place(_) | Shape::Any(_) | Shape::ByName => {}
            }
        }
    }

    /// Returns where a row begins to count.
    fn behind(&self, row: &Flag) -> Option<usize> {
        if row.behind.is_empty() {
            return Some(0);
        }
        if let [wanted] = row.behind[..]
            && let Some(wanted) = wanted.strip_prefix('?')
        {
            return self.words.iter().any(|word| word.text() == wanted.as_bytes()).then_some(0);
        }
        let is_one = |word: &Word| {
            row.behind.iter().any(|behind| match behind.strip_suffix('*') {
                Some(head) => word.text().starts_with(head.as_bytes()),
                None => word.text() == behind.as_bytes(),
            })
        };
        step(self.words.len());
        // `secrets set`: operands are counted from the last of the words.
        let first = self.words.iter().position(is_one)?;
        let more = self.words[first + 1..].iter().take_while(|word| is_one(word)).count();
        Some(first + 1 + more)
    }

    /// Cuts the value of a flag whose first `length` bytes are its name.
    fn value(&mut self, row: &Flag, value: Value, at: usize, length: usize) {
        let end = self.words[at].text().len();
        let is_alone = length == end;
        let assigned = (self.words[at].text().get(length) == Some(&b'=')).then_some(length + 1..end);
        match value {
            Value::Attached if !is_alone => self.cut(at, length..end, row),
            Value::Either if !is_alone => self.cut(at, assigned.unwrap_or(length..end), row),
            Value::Next | Value::Either | Value::Long if is_alone => self.cut_next(at + 1, row),
            Value::NextTwo => {
                self.cut_next(at + 1, row);
                self.cut_next(at + 2, row);
            }
            Value::Attached | Value::Either => {}
            Value::Next | Value::Long | Value::Equals => {
                if let Some(value) = assigned {
                    self.cut(at, value, row);
                }
            }
        }
    }

    /// Cuts the part that is the secret of a flag's value, in the same word or in the next one.
    fn part(&mut self, row: &Flag, part: Part, at: usize, length: usize) {
        let end = self.words[at].text().len();
        let (at, start) = match self.words[at].text().get(length) {
            None => (at + 1, 0),
            Some(b'=') => (at, length + 1),
            Some(_) => (at, length),
        };
        let Some(word) = self.words.get(at) else { return };
        let value = start..if start == 0 { word.text().len() } else { end };
        let view = View::of_word(word, Role::Argument, self.found);
        let text = &view.text[value.clone()];
        match part {
            Part::After(byte) => {
                let sign = view.position_of(byte, value.clone());
                // The `:` of an address tells of no password.
                if let Some(sign) = sign.filter(|sign| !view.text[*sign..].starts_with(b"://")) {
                    self.cut(at, sign + 1..value.end, row);
                }
            }
            Part::LastColon => {
                let Some(colon) = text.iter().rposition(|byte| *byte == b':') else { return };
                self.cut(at, value.start + colon + 1..value.end, row);
            }
            Part::Headed(head) => {
                if text.starts_with(head.as_bytes()) {
                    self.cut(at, value.start + head.len()..value.end, row);
                }
            }
            Part::Literal => {
                let Some(secret) = put_value(text) else { return };
                self.cut(at, value.start + secret.start..value.start + secret.end, row);
            }
            Part::Cookies => cookies(self.found, &view, value),
        }
    }

    /// Cuts what stands at a place among the words that are no flags.
    fn place(&mut self, row: &Flag, place: Place, begin: usize) {
        let operands = self.operands_from(begin, row);
        let nth = |n: usize| n.checked_sub(1).and_then(|n| operands.get(n)).copied();
        match place {
            Place::Nth(n) => self.cut_operand(nth(n), row),
            Place::Last => self.cut_operand(operands.last().copied(), row),
            Place::Radtest => {
                self.cut_operand(nth(2), row);
                self.cut_operand(nth(5), row);
            }
            Place::Htpasswd => {
                if self.has_letter(b'b') {
                    self.cut_operand(nth(if self.has_letter(b'n') { 2 } else { 3 }), row);
                }
            }
            Place::LastAfter(byte) => {
                let Some(at) = operands.last().copied().filter(|_| operands.len() > 1) else { return };
                let text = self.words[at].text();
                let colon = text.iter().position(|found| *found == byte).map_or(0, |colon| colon + 1);
                if colon > 0 || is_likely(text) {
                    self.cut(at, colon..text.len(), row);
                }
            }
            Place::BehindShare => {
                let is_share = |at: &&usize| {
                    let text = self.words[**at].text();
                    text.starts_with(b"\\\\") || text.ends_with(b":")
                };
                let shares = operands.iter().take_while(is_share).count();
                self.cut_operand(operands.get(shares).copied().filter(|_| shares > 0), row);
            }
        }
    }

    /// Tells whether a short flag is there, alone or in a cluster.
    fn has_letter(&self, letter: u8) -> bool {
        self.words.iter().any(|word| {
            let text = word.text();
            text.len() > 1 && text[0] == b'-' && text[1] != b'-' && text.contains(&letter)
        })
    }

    /// Looks at each word that is no flag.
    fn any(&mut self, row: &Flag, any: Any, begin: usize) {
        let operands = self.operands_from(begin, row);
        for (place, at) in operands.iter().copied().enumerate() {
            let text = self.words[at].text();
            step(text.len());
            let secret = match any {
                Any::Likely => (is_likely(text) && !text.contains(&b'/')).then_some(0..text.len()),
                Any::Puts => put_value(text),
                Any::Slash => behind_slash(text),
                Any::Login => in_login(text),
                Any::Named => {
                    let next = operands.get(place + 1).copied().filter(|next| *next == at + 1);
                    if is_secret_name(text) {
                        self.cut_operand(next, row);
                    }
                    None
                }
            };
            if let Some(secret) = secret {
                self.cut(at, secret, row);
            }
        }
    }

    /// Returns the words from `begin` on that are neither flags nor their values.
    fn operands_from(&self, begin: usize, row: &Flag) -> Vec<usize> {
        let mut operands = Vec::new();
        let mut is_value = false;
        let mut is_over = false;
        for (at, word) in self.words.iter().enumerate().skip(begin) {
            let text = word.text();
            step(1);
            let is_flag = !is_over && text.len() > 1 && text[0] == b'-';
            if is_flag {
                is_over = text == b"--";
                is_value = row.valued.iter().any(|flag| flag.as_bytes() == text);
            } else if !std::mem::take(&mut is_value) {
                operands.push(at);
            }
        }
        operands
    }

    /// Cuts the word behind an option with a secret name, or behind `NAME =`.
    fn named(&mut self, at: usize) {
        let text = self.words[at].text();
        let is_name =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'$');
        if !text.iter().all(is_name) {
            return self.any_user(at);
        }
        let is_option = text[0] == b'-' && text.len() > 3;
        let value = if is_option { at + 1 } else { at + 2 };
        let says = if is_option || text[0] != b'-' { ask(last_name(text)) } else { Says::Nothing };
        let Some(word) = self.words.get(value) else { return self.any_user(at) };
        let is_flag = word.text().starts_with(b"-") && word.span().len() == word.text().len();
        let (kind, is_told) = match says {
            Says::Password => (Secret::Password, true),
            Says::Secret => (Secret::Token, true),
            Says::Maybe => (Secret::Token, is_keylike(word.text()) && is_option),
            Says::Nothing => return self.any_user(at),
        };
        if is_told && !is_flag {
            let name = text.to_vec();
            self.cut_as(value, head_of(word.text(), text)..word.text().len(), kind, || {
                Cow::Owned(format!("value of {}", String::from_utf8_lossy(&name)))
            });
        }
    }

    /// Cuts the password of `-u user:password`, whatever the program.
    fn any_user(&mut self, at: usize) {
        if self.words[at].text() != b"-u" || OTHER_USERS.contains(&self.name) {
            return;
        }
        let Some(word) = self.words.get(at + 1) else { return };
        let view = View::of_word(word, Role::Argument, self.found);
        let text = view.text;
        let Some(colon) = view.position_of(b':', 0..text.len()) else { return };
        let is_user = colon > 0
            && text[..colon].iter().all(|byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+' | b'@' | b'$')
            });
        let is_number = text.iter().all(|byte| byte.is_ascii_digit() || *byte == b':');
        if is_user && !is_number && !text[colon..].starts_with(b"://") {
            self.cut_as(at + 1, colon + 1..text.len(), Secret::Password, || {
                Cow::Borrowed("password of -u user:password")
            });
        }
    }

    fn cut_next(&mut self, at: usize, row: &Flag) {
        let Some(word) = self.words.get(at) else { return };
        let is_flag = word.text().starts_with(b"-") && word.span().len() == word.text().len();
        if !is_flag {
            self.cut(at, 0..word.text().len(), row);
        }
    }

    fn cut_operand(&mut self, at: Option<usize>, row: &Flag) {
        // `vault login username=bob` names its operands.
        let is_named = |at: &usize| {
            let text = self.words[*at].text();
            let name = text.iter().take_while(|byte| byte.is_ascii_lowercase() || **byte == b'_').count();
            name > 0 && text.len() > name + 1 && text[name] == b'='
        };
        if let Some(at) = at.filter(|at| !is_named(at)) {
            self.cut(at, 0..self.words[at].text().len(), row);
        }
    }

    fn cut(&mut self, at: usize, range: Range<usize>, row: &Flag) {
        let name = self.name.to_vec();
        let flag = if row.flag == "-" { "arguments" } else { row.flag };
        self.cut_as(at, range, row.kind, || {
            Cow::Owned(format!("value of {} {flag}", String::from_utf8_lossy(&name)))
        });
    }

    fn cut_as(
        &mut self,
        at: usize,
        range: Range<usize>,
        kind: Secret,
        reason: impl FnOnce() -> Cow<'static, str>,
    ) {
        let view = View::of_word(&self.words[at], Role::Argument, self.found);
        step(range.len());
        if view.is_expanded(&range) {
            self.found.ask(view.place(range.clone()));
        }
        let is_told = !self.is_quoted || is_likely(&view.text[range.clone()]);
        // `-hashes :NT` leaves the other half out.
        let colon = usize::from(kind == Secret::Hash && view.text[range.clone()].starts_with(b":"));
        let range = range.start + colon..range.end;
        if is_told && is_secret(&view, self.found.text, &range) {
            view.push(self.found, range, kind, Rank::Place, reason);
        }
    }
}

/// Returns the value of `NAME=value`, unless it says in which file the value is.
fn put_value(text: &[u8]) -> Option<Range<usize>> {
    let sign = text.iter().position(|byte| *byte == b'=').filter(|sign| *sign > 0)?;
    const OPEN: [&[u8]; 11] = [
        b"user",
        b"username",
        b"host",
        b"hostname",
        b"port",
        b"url",
        b"email",
        b"name",
        b"region",
        b"ttl",
        b"login",
    ];
    let is_open = OPEN.iter().any(|name| text[..sign].eq_ignore_ascii_case(name));
    let is_address = memchr::memmem::find(&text[sign..], b"://").is_some();
    (!is_open && !is_address && text.get(sign + 1) != Some(&b'@')).then_some(sign + 1..text.len())
}

/// Returns the password of `user/password@database`.
fn behind_slash(text: &[u8]) -> Option<Range<usize>> {
    let slash = text.iter().position(|byte| *byte == b'/').filter(|slash| *slash > 0)?;
    let end = text.iter().rposition(|byte| *byte == b'@').filter(|at| *at > slash).unwrap_or(text.len());
    let is_path = text[slash + 1..end].contains(&b'/')
        || text[..slash].iter().any(|byte| matches!(byte, b'.' | b'@' | b'~'));
    (!is_path).then_some(slash + 1..end)
}

/// Returns the password of `domain/user:password@host`.
fn in_login(text: &[u8]) -> Option<Range<usize>> {
    let host = text.iter().rposition(|byte| *byte == b'@').unwrap_or(text.len());
    let user = text[..host].iter().position(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let colon = text[user..host].iter().position(|byte| *byte == b':')?;
    (user > 0 || host < text.len()).then_some(user + colon + 1..host)
}

/// Tells whether an operand is the name of something that is secret, maybe behind a path.
fn is_secret_name(text: &[u8]) -> bool {
    let is_name =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/' | b'@');
    text.iter().all(is_name) && matches!(ask(last_name(text)), Says::Password | Says::Secret)
}

/// Returns what stands behind the last `/` or `:` of a name that is a path.
fn last_name(name: &[u8]) -> &[u8] {
    name.rsplit(|byte| matches!(byte, b'/' | b':')).next().unwrap_or(name)
}

/// Returns the length of a row's flag at the head of a word.
fn flag_length(word: &[u8], row: &Flag) -> Option<usize> {
    let flag = row.flag.as_bytes();
    let is_there = word.starts_with(flag);
    let is_whole = is_there && word.len() == flag.len();
    let is_assigned = is_there && word.get(flag.len()) == Some(&b'=');
    let may_attach = !flag.starts_with(b"--")
        && matches!(row.shape, Shape::Value(Value::Attached | Value::Either) | Shape::Part(Part::After(_)));
    if is_whole || is_assigned || (is_there && may_attach) {
        return Some(flag.len());
    }
    let is_cluster = row.clusters
        && (3..=6).contains(&word.len())
        && word[0] == b'-'
        && word[1..].iter().all(u8::is_ascii_alphabetic)
        && word.last() == flag.last();
    is_cluster.then_some(word.len())
}
