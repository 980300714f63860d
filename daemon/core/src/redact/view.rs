//! What the finders read: words as a shell reads them, each byte with its place in the line, and what stands
//! between them as typed.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::ops::Range;

use karo_protocol::event::Secret;

use super::found::{Found, Rank, marker_at, places_of_markers};
use super::scan::step;
use crate::line::{Line, RedirectionKind, Run, Word};

/// What a text is in its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// `NAME=value`, and the value is all the rest.
    Assignment,
    /// A word of a program.
    Argument,
    /// The text of a here-document: lines.
    Document,
    /// What belongs to no word: a comment, a word of the grammar.
    Loose,
}

/// A text that is searched.
pub(super) struct View<'a> {
    pub(super) text: &'a [u8],
    pub(super) role: Role,
    word: Option<&'a Word>,
    /// Where a text that is no word begins in the line.
    offset: usize,
    markers: Vec<Range<usize>>,
}

impl<'a> View<'a> {
    pub(super) fn of_word(word: &'a Word, role: Role, found: &Found<'_>) -> Self {
        let markers = if found.has_markers() { places_of_markers(word.text()) } else { Vec::new() };
        Self { text: word.text(), role, word: Some(word), offset: 0, markers }
    }

    fn loose(text: &'a [u8], range: Range<usize>) -> Self {
        let text = &text[range.clone()];
        Self { text, role: Role::Loose, word: None, offset: range.start, markers: places_of_markers(text) }
    }

    /// Returns where a range of the text stands in the line.
    pub(super) fn place(&self, range: Range<usize>) -> Range<usize> {
        self.word.map_or_else(
            || self.offset + range.start..self.offset + range.end,
            |word| word.place(range.clone()),
        )
    }

    /// Returns the end of what only a shell can tell, `$NAME` or `$(…)`, if the byte at `at` belongs to such.
    pub(super) fn expansion_end(&self, at: usize) -> Option<usize> {
        let expansions = self.word?.expansions();
        let after = expansions.partition_point(|range| range.start <= at);
        let last = expansions.get(after.checked_sub(1)?)?;
        last.contains(&at).then_some(last.end)
    }

    pub(super) fn marker_end(&self, at: usize) -> Option<usize> {
        marker_at(&self.markers, at).map(|marker| marker.end)
    }

    /// Returns where a byte first stands in a range, markers and expansions left out.
    pub(super) fn position_of(&self, byte: u8, range: Range<usize>) -> Option<usize> {
        let mut at = range.start;
        while at < range.end {
            step(1);
            match self.marker_end(at).or_else(|| self.expansion_end(at)) {
                Some(end) => at = end,
                None if self.text[at] == byte => return Some(at),
                None => at += 1,
            }
        }
        None
    }

    /// Tells whether a value is left to a shell to find out, and holds no text of its own.
    pub(super) fn is_expanded(&self, range: &Range<usize>) -> bool {
        let mut at = range.start;
        while let Some(end) = self.expansion_end(at).filter(|_| at < range.end) {
            if !super::values::is_reference(&self.text[at..end.min(range.end)]) {
                return false;
            }
            at = end;
        }
        at >= range.end && at > range.start
    }

    /// Notes a secret that stands in a range of the text.
    pub(super) fn push(
        &self,
        found: &mut Found<'_>,
        range: Range<usize>,
        kind: Secret,
        rank: Rank,
        reason: impl FnOnce() -> Cow<'static, str>,
    ) {
        if range.start < range.end {
            found.push(self.place(range), kind, rank, reason);
        }
    }
}

/// Returns all texts of a line that hold more than a name, each once.
///
/// A word that is a script is left out: the words of the script are there.
pub(super) fn views<'a>(found: &Found<'a>, line: &'a Line) -> Vec<View<'a>> {
    let mut words: Vec<(&Word, Role)> = Vec::new();
    words.extend(line.assignments.iter().map(|word| (word, Role::Assignment)));
    for run in &line.runs {
        words.extend(run.assignments.iter().map(|word| (word, Role::Assignment)));
        words.extend(own_words(run));
        words.extend(run.redirections.iter().map(|redirection| match redirection.kind {
            RedirectionKind::HereDocument => (&redirection.target, Role::Document),
            RedirectionKind::Read
            | RedirectionKind::Write
            | RedirectionKind::Append
            | RedirectionKind::ReadWrite
            | RedirectionKind::Duplicate
            | RedirectionKind::HereString => (&redirection.target, Role::Argument),
        }));
    }
    step(words.len());
    words.sort_by_key(|(word, role)| (word.span().start, Reverse(word.span().end), *role));
    words.dedup_by(|next, kept| next.0.span() == kept.0.span());
    let is_script = scripts(&words);
    let mut views = Vec::with_capacity(words.len());
    let mut covered = 0;
    for ((word, role), is_script) in words.into_iter().zip(is_script) {
        let span = word.span();
        if span.start > covered {
            push_loose(&mut views, found.text, covered..span.start);
        }
        covered = covered.max(span.end);
        if !is_script {
            views.push(View::of_word(word, role, found));
        }
    }
    push_loose(&mut views, found.text, covered..found.text.len());
    views
}

fn push_loose<'a>(views: &mut Vec<View<'a>>, text: &'a [u8], range: Range<usize>) {
    const LEAST: usize = 6;
    if range.len() >= LEAST && !text[range.clone()].trim_ascii().is_empty() {
        views.push(View::loose(text, range));
    }
}

/// Returns the words that are a run's own, with what they are.
fn own_words(run: &Run) -> impl Iterator<Item = (&Word, Role)> {
    let sets = matches!(
        run.name(),
        b"export" | b"declare" | b"typeset" | b"local" | b"readonly" | b"env" | b"setenv" | b"unset"
    );
    let is_env_flag = matches!(
        run.name(),
        b"docker"
            | b"podman"
            | b"nerdctl"
            | b"buildah"
            | b"docker-compose"
            | b"compose"
            | b"systemd-run"
            | b"qsub"
            | b"sbatch"
    );
    let own = &run.words[..run.own.clamp(1, run.words.len().max(1)).min(run.words.len())];
    let mut is_set_next = false;
    own.iter().map(move |word| {
        let is_set = sets || is_set_next;
        is_set_next =
            is_env_flag && matches!(word.text(), b"-e" | b"--env" | b"--build-arg" | b"-E" | b"--setenv");
        (word, if is_set { Role::Assignment } else { Role::Argument })
    })
}

/// Tells of each word whether it is a script: other words stand in it, and not in its substitutions.
fn scripts(words: &[(&Word, Role)]) -> Vec<bool> {
    let mut is_script = vec![false; words.len()];
    let mut open: Vec<usize> = Vec::new();
    for (index, (word, _)) in words.iter().enumerate() {
        step(1);
        let span = word.span();
        while open.last().is_some_and(|last| {
            words[*last].0.span().end < span.end || words[*last].0.span().end <= span.start
        }) {
            open.pop();
        }
        if let Some(outer) = open.last() {
            let outer_word = words[*outer].0;
            let place = |range: &Range<usize>| outer_word.place(range.clone());
            let after = outer_word.expansions().partition_point(|range| place(range).start <= span.start);
            let expansion = after.checked_sub(1).map(|last| place(&outer_word.expansions()[last]));
            is_script[*outer] |= expansion.is_none_or(|place| place.end < span.end);
        }
        open.push(index);
    }
    is_script
}
