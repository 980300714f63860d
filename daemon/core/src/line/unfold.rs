//! From what stands in a text to what runs: wrappers are looked into, and scripts within words are read.
//!
//! Each text is read by its grammar first and looked into afterwards, so that one which has to be read a
//! second time, as plain words, costs its own length again and not that of all that stands in it.

use std::ops::Range;

use karo_protocol::explain::Context;

use super::item::Item;
use super::read::Reader;
use super::word::{Source, Word};
use super::wrap::{Part, Rights};
use super::{
    COPIES_MAX, Contexts, LAYERS_MAX, Line, RUNS_MAX, Redirection, RedirectionKind, Run, SCRIPT_BYTES_MAX,
    TEXT_BYTES_MAX, feed, wrap,
};

/// What holds for all that a script runs.
#[derive(Debug, Clone, Default)]
struct Around {
    parent: Option<usize>,
    contexts: Contexts,
    redirections: Vec<Redirection>,
    rights: Rights,
    /// The run that writes what its first command reads through a pipe.
    piped: Option<usize>,
}

/// A line that is being taken apart, with what of its bounds is left.
#[derive(Debug)]
pub(super) struct Unfold {
    pub(super) line: Line,
    /// Of each run, the one that writes what it reads through a pipe.
    writers: Vec<Option<usize>>,
    script_bytes_left: usize,
    copies_left: usize,
    pub(super) effort: usize,
}

impl Unfold {
    pub(super) fn new(text: &[u8]) -> Self {
        let mut unfold = Self {
            line: Line::default(),
            writers: Vec::new(),
            script_bytes_left: SCRIPT_BYTES_MAX,
            copies_left: COPIES_MAX,
            effort: 0,
        };
        unfold.line.is_parsed = unfold.read(Source::line(text), &Around::default(), 0);
        unfold
    }

    /// Reads a text and all that it runs; tells whether it was read by its grammar.
    fn read(&mut self, source: Source<'_>, around: &Around, layers: usize) -> bool {
        let mut reader = Reader::new(source, around.contexts);
        let is_read = source.text.len() <= TEXT_BYTES_MAX && reader.any_script(around.contexts).is_ok();
        if !is_read {
            reader.plain(around.contexts);
        }
        self.effort += reader.effort;
        self.line.assignments.append(&mut reader.assignments);
        let is_parsed = is_read && reader.is_sound;
        let mut items = reader.items;
        let mut order: Vec<usize> = (0..items.len()).collect();
        if !items.is_sorted_by_key(|item| item.start) {
            order.sort_by_key(|at| items[*at].start);
        }
        let mut runs: Vec<Option<usize>> = vec![None; items.len()];
        for (index, at) in order.into_iter().enumerate() {
            let item = std::mem::take(&mut items[at]);
            let writer = item.piped_from.and_then(|from| runs.get(from).copied().flatten());
            let piped = writer.or(around.piped.filter(|_| index == 0));
            if item.is_script {
                let around = Around { contexts: item.contexts, ..around.clone() };
                self.script(&item.words[0], &around, layers + 1);
            } else {
                runs[at] = self.push(item, piped, around);
                if let Some(run) = runs[at] {
                    self.look_into(run, piped, layers);
                }
            }
        }
        is_parsed
    }

    fn push(&mut self, item: Item, piped: Option<usize>, around: &Around) -> Option<usize> {
        let mut redirections = item.redirections;
        for redirection in &around.redirections {
            redirections.extend(
                self.copy(&redirection.target).map(|target| Redirection { target, ..redirection.clone() }),
            );
        }
        let run = Run {
            own: item.words.len(),
            words: item.words,
            assignments: item.assignments,
            redirections,
            contexts: item.contexts,
            is_privileged: around.rights.is_privileged,
            is_remote: around.rights.is_remote,
            is_contained: around.rights.is_contained,
            parent: around.parent,
        };
        self.push_run(run, piped)
    }

    fn push_run(&mut self, run: Run, piped: Option<usize>) -> Option<usize> {
        let index = self.line.runs.len();
        (index < RUNS_MAX).then(|| {
            self.line.runs.push(run);
            self.writers.push(piped);
            index
        })
    }

    /// Copies a word, while copies are left.
    fn copy(&mut self, word: &Word) -> Option<Word> {
        let cost = 1 + word.text().len() / 64;
        self.copies_left = self.copies_left.checked_sub(cost)?;
        Some(word.clone())
    }

    /// Reads a script that a word holds.
    fn script(&mut self, script: &Word, around: &Around, layers: usize) {
        let length = script.text().len();
        // What `eval "$(ssh-agent)"` runs, nobody knows before.
        if script.expansions().first().is_some_and(|expansion| *expansion == (0..length)) {
            return;
        }
        if layers < LAYERS_MAX && length <= self.script_bytes_left {
            self.script_bytes_left -= length;
            self.read(Source::script(script), around, layers);
        }
    }

    /// Finds what a program runs that only runs others. `piped` is the one that writes what it reads.
    fn look_into(&mut self, index: usize, piped: Option<usize>, layers: usize) {
        if layers >= LAYERS_MAX {
            return;
        }
        let Some(found) = wrap::inner(&self.line.runs[index].words) else { return };
        let run = &mut self.line.runs[index];
        run.own = found.own.min(run.words.len());
        let mut rights = found.rights;
        rights.is_privileged |= run.is_privileged;
        rights.is_remote |= run.is_remote;
        rights.is_contained |= run.is_contained;
        let piped = piped.filter(|_| !found.is_detached);
        for part in found.parts {
            match part {
                Part::Words { head, rest } => {
                    let words = self.copies(index, head, rest);
                    let run = self.inner_run(index, words, &found.assignments, rights);
                    if let Some(inner) = self.push_run(run, piped) {
                        self.look_into(inner, piped, layers + 1);
                    }
                }
                Part::Listed(words) => {
                    let run = self.inner_run(index, words, &found.assignments, rights);
                    if let Some(inner) = self.push_run(run, None) {
                        self.look_into(inner, None, layers + 1);
                    }
                }
                Part::Script(script) => {
                    let around = Around { piped, ..self.around(index, rights, |_| true) };
                    self.script(&script, &around, layers + 1);
                }
            }
        }
        if found.is_fed {
            self.feed(index, piped, rights, layers);
        }
    }

    /// Returns what holds for a script that a run reads.
    fn around(&mut self, index: usize, rights: Rights, inherits: impl Fn(RedirectionKind) -> bool) -> Around {
        let contexts = self.line.runs[index].contexts;
        let redirections = self.redirections(index, inherits);
        Around { parent: Some(index), contexts, redirections, rights, piped: None }
    }

    fn redirections(&mut self, index: usize, inherits: impl Fn(RedirectionKind) -> bool) -> Vec<Redirection> {
        let mut copies = Vec::new();
        for at in 0..self.line.runs[index].redirections.len() {
            let redirection = self.line.runs[index].redirections[at].clone();
            let cost = 1 + redirection.target.text().len() / 64;
            if inherits(redirection.kind) && self.copies_left >= cost {
                self.copies_left -= cost;
                copies.push(redirection);
            }
        }
        copies
    }

    /// Copies words of a run for another; the program itself is always told.
    fn copies(&mut self, index: usize, head: Option<Word>, rest: Range<usize>) -> Vec<Word> {
        let mut copies = Vec::from_iter(head);
        for at in rest {
            let word = self.line.runs[index].words[at].clone();
            match self.copies_left.checked_sub(1 + word.text().len() / 64) {
                Some(left) => self.copies_left = left,
                None if copies.is_empty() => {}
                None => break,
            }
            copies.push(word);
        }
        copies
    }

    fn inner_run(&mut self, index: usize, words: Vec<Word>, assignments: &[usize], rights: Rights) -> Run {
        let redirections = self.redirections(index, |_| true);
        let run = &self.line.runs[index];
        Run {
            own: words.len(),
            words,
            assignments: assignments.iter().map(|at| run.words[*at].clone()).collect(),
            redirections,
            contexts: run.contexts,
            is_privileged: rights.is_privileged,
            is_remote: rights.is_remote,
            is_contained: rights.is_contained,
            parent: Some(index),
        }
    }

    /// Reads the script that a shell is given on its standard input, if the line says it.
    fn feed(&mut self, index: usize, piped: Option<usize>, rights: Rights, layers: usize) {
        let run = &self.line.runs[index];
        let written = feed::of_redirections(run);
        let is_heredoc = written.is_some();
        let Some(script) = written.or_else(|| feed::of_writer(&self.line.runs, &self.writers, piped?)) else {
            return;
        };
        let is_input = |kind| matches!(kind, RedirectionKind::HereDocument | RedirectionKind::HereString);
        let mut around = self.around(index, rights, |kind| !is_input(kind));
        if is_heredoc {
            around.contexts.insert(Context::Heredoc);
        }
        self.script(&script, &around, layers + 1);
    }
}
