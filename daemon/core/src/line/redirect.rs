//! Redirections and here-documents.

use std::ops::Range;

use karo_protocol::explain::Context;
use memchr::memchr;

use super::read::{Lost, Reader};
use super::script::Script;
use super::word::{Builder, Word};
use super::{COPIES_MAX, Redirection, RedirectionKind};

/// A here-document whose body has not been read.
#[derive(Debug)]
pub(super) struct Heredoc {
    tag: Vec<u8>,
    strips_tabs: bool,
    is_quoted: bool,
    redirection: Redirection,
    owner: Owner,
}

/// Which commands read a here-document.
#[derive(Debug)]
enum Owner {
    /// The simple command that is being read.
    Current,
    /// One command.
    Item(usize),
    /// All commands of a compound one that are not in a substitution of their own.
    Group(Range<usize>),
}

impl Heredoc {
    pub(super) fn is_of_current(&self) -> bool {
        matches!(self.owner, Owner::Current)
    }

    /// Notes which command the current one has become.
    pub(super) fn belongs_to(&mut self, item: usize) {
        if self.is_of_current() {
            self.owner = Owner::Item(item);
        }
    }
}

/// Operators with what they mean, longer ones before those that they begin with.
const OPERATORS: &[(&[u8], RedirectionKind)] = &[
    (b"<<<", RedirectionKind::HereString),
    (b"<<-", RedirectionKind::HereDocument),
    (b"<<", RedirectionKind::HereDocument),
    (b"<&", RedirectionKind::Duplicate),
    (b"<>", RedirectionKind::ReadWrite),
    (b"<?", RedirectionKind::Read),
    (b"<", RedirectionKind::Read),
    (b"&>>|", RedirectionKind::Append),
    (b"&>>", RedirectionKind::Append),
    (b"&>|", RedirectionKind::Write),
    (b"&>", RedirectionKind::Write),
    (b">>&", RedirectionKind::Append),
    (b">>|", RedirectionKind::Append),
    (b">>!", RedirectionKind::Append),
    (b">>", RedirectionKind::Append),
    (b">&", RedirectionKind::Duplicate),
    (b">|", RedirectionKind::Write),
    (b">!", RedirectionKind::Write),
    (b">?", RedirectionKind::Write),
    (b">", RedirectionKind::Write),
];

impl Reader<'_> {
    /// Reads an operator and its target.
    pub(super) fn redirection(&mut self, script: &mut Script, descriptor: Option<&Word>) -> Result<(), Lost> {
        let rest = self.rest();
        let found = OPERATORS.iter().find(|(operator, _)| rest.starts_with(operator));
        let Some(&(operator, kind)) = found else {
            // Every `<`, `>` and `&>` is in the table.
            self.at += 1;
            return Ok(());
        };
        self.at += operator.len();
        self.skip_blanks();
        if matches!(self.byte(0), None | Some(b'\n' | b';' | b'&' | b'|' | b')')) {
            self.is_sound = false;
            return Ok(());
        }
        if matches!(self.byte(0), Some(b'<' | b'>')) && self.byte(1) != Some(b'(') {
            self.is_sound = false;
            return Ok(());
        }
        let begin = self.at;
        let lexed = self.word(false)?;
        self.at += usize::from(self.at == begin);
        let descriptor = descriptor.and_then(|word| str::from_utf8(word.text()).ok()?.parse().ok());
        let is_heredoc = kind == RedirectionKind::HereDocument;
        let kind = if kind == RedirectionKind::Duplicate && !names_descriptor(&lexed.word) {
            if operator[0] == b'<' { RedirectionKind::Read } else { RedirectionKind::Write }
        } else {
            kind
        };
        let (is_quoted, target) = (lexed.is_quoted(), lexed.word);
        let redirection = Redirection { kind, descriptor, target };
        if is_heredoc {
            let owner = match script.closed {
                Some(from) => Owner::Group(from..self.items.len()),
                None => Owner::Current,
            };
            let tag = redirection.target.text().to_vec();
            let strips_tabs = operator == b"<<-";
            script.heredocs.push(Heredoc { tag, strips_tabs, is_quoted, redirection, owner });
            return Ok(());
        }
        match script.closed {
            Some(from) => self.redirect(from..self.items.len(), &redirection),
            None => script.current.redirect(redirection),
        }
        Ok(())
    }

    /// Applies the redirection of a compound command to the commands in it.
    fn redirect(&mut self, items: Range<usize>, redirection: &Redirection) {
        let level = self.level;
        for item in self.items[items].iter_mut().filter(|item| item.level == level) {
            let cost = 1 + redirection.target.text().len() / 64;
            if self.copies + cost > COPIES_MAX {
                return;
            }
            self.copies += cost;
            item.redirect(redirection.clone());
        }
    }

    /// Reads the bodies of the here-documents that were announced; the newline before them is read.
    pub(super) fn bodies(&mut self, script: &mut Script) {
        for heredoc in std::mem::take(&mut script.heredocs) {
            self.body(heredoc);
        }
    }

    /// Takes back the here-documents whose bodies cannot follow any more.
    pub(super) fn no_bodies(&mut self, script: &mut Script) {
        let limit = std::mem::replace(&mut self.limit, self.at);
        self.bodies(script);
        self.limit = limit;
    }

    fn body(&mut self, heredoc: Heredoc) {
        let Heredoc { tag, strips_tabs, is_quoted, mut redirection, owner } = heredoc;
        let begin = self.at;
        let mut lines = Vec::new();
        let mut end = begin;
        while self.at < self.limit {
            let rest = self.rest();
            let length = memchr(b'\n', rest).unwrap_or(rest.len());
            let line = &rest[..length];
            let tabs = if strips_tabs { line.iter().take_while(|byte| **byte == b'\t').count() } else { 0 };
            let start = self.at;
            self.at = (start + length + 1).min(self.limit);
            let ending = line[tabs..].strip_suffix(b"\r").unwrap_or(&line[tabs..]);
            if ending == tag {
                break;
            }
            end = self.at;
            if tabs > 0 {
                lines.push(start..start + tabs);
            }
        }
        self.effort += self.at - begin;
        redirection.target = self.body_word(begin..end, &lines, is_quoted || self.is_plain);
        match owner {
            Owner::Current => {}
            Owner::Item(item) => self.items[item].redirect(redirection),
            Owner::Group(items) => self.redirect(items, &redirection),
        }
    }

    /// Returns a body without the tabs that are stripped, and reads the substitutions in it.
    fn body_word(&mut self, body: Range<usize>, tabs: &[Range<usize>], is_quoted: bool) -> Word {
        let (after, limit, items, depth) = (self.at, self.limit, self.items.len(), self.depth);
        let (level, contexts) = (self.level, self.contexts);
        self.contexts.insert(Context::Heredoc);
        let mut builder = Builder::default();
        if is_quoted || self.expanded_body(&mut builder, body.clone(), tabs).is_err() {
            // What opens in a body and never closes there is text: it is no program's source.
            builder = Builder::default();
            self.items.truncate(items);
            (self.depth, self.level) = (depth, level);
            let mut at = body.start;
            for tabs in tabs {
                builder.typed(self.source, at..tabs.start);
                at = tabs.end;
            }
            builder.typed(self.source, at..body.end);
        }
        (self.at, self.limit, self.contexts) = (after, limit, contexts);
        builder.word(self.source, body)
    }

    fn expanded_body(
        &mut self,
        builder: &mut Builder,
        body: Range<usize>,
        tabs: &[Range<usize>],
    ) -> Result<(), Lost> {
        self.at = body.start;
        for end in tabs.iter().map(|tabs| tabs.start).chain([body.end]) {
            self.limit = end;
            while self.quoted_part(builder, None)? {}
            let next = tabs.partition_point(|tabs| tabs.start < end);
            self.at = tabs.get(next).map_or(end, |tabs| tabs.end);
        }
        Ok(())
    }
}

/// Tells whether the target of `>&` is a descriptor: `2`, `3-`, `-`, or what an expansion says.
fn names_descriptor(word: &Word) -> bool {
    let text = word.text();
    let digits = text.strip_suffix(b"-").unwrap_or(text);
    digits.iter().all(u8::is_ascii_digit) || !word.expansions().is_empty()
}
