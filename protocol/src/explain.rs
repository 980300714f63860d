//! What is understood of a line, with the reason for each part of it.
//!
//! A line of 64 KiB can run thirty thousand programs, so an explanation is [bounded](Explanation::bounded)
//! before it goes into a frame, and many go into one ([`pages`]).

use serde::{Deserialize, Serialize};

use crate::event::Secret;
use crate::limits::{
    CWD_BYTES_MAX, EXPLAIN_LINES_MAX, EXPLANATION_BYTES_MAX, EXPLANATION_ITEMS_MAX, MATCH_FIELD_BYTES_MAX,
};
use crate::page::{Weight, cut};
use crate::{Axis, Bytes, Category, RawCommand, Risk, named_enum};

/// Lines to be explained, and nothing of them stored. Texts understood in one go: one frame holds them all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explain {
    /// At most [`EXPLAIN_LINES_MAX`].
    pub lines: Vec<RawCommand>,
    /// Working directory that rules are told of; empty when unknown.
    pub cwd: Bytes,
}

impl Explain {
    /// Returns what is over its limit: the name of the field and the limit.
    pub const fn excess(&self) -> Option<(&'static str, usize)> {
        if self.lines.len() > EXPLAIN_LINES_MAX {
            return Some(("lines", EXPLAIN_LINES_MAX));
        }
        None
    }

    /// Cuts what a recorded command and its directory would be cut to.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        self.lines = self.lines.into_iter().map(RawCommand::bounded).collect();
        self.cwd.0.truncate(CWD_BYTES_MAX);
        self
    }
}

/// One line, understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The text as it would be stored.
    pub redacted: Bytes,
    /// What was cut out, in order, as ranges of the line as given.
    pub spans: Vec<Span>,
    /// The programs that it runs, in order; what one runs for another stands behind it.
    pub runs: Vec<Run>,
    /// Whether the line was read by its grammar, and not as mere words.
    pub is_parsed: bool,
    /// The most telling category.
    pub category: Category,
    /// All categories of its runs, in the order of their index.
    pub categories: Vec<Category>,
    /// The highest level of any rule that matched.
    pub risk: Option<Risk>,
    /// The axis of the rule that gave `risk`.
    pub axis: Option<Axis>,
    /// The rules that matched, the highest level first.
    pub matches: Vec<Match>,
    /// Whether spans, matches or runs were left out because a frame does not hold them all.
    #[serde(default)]
    pub is_cut: bool,
}

impl Explanation {
    /// Leaves out what is beyond [`EXPLANATION_BYTES_MAX`] and [`EXPLANATION_ITEMS_MAX`] and cuts fields to
    /// [`MATCH_FIELD_BYTES_MAX`]: of the spans, the matches and the runs, in that order, the last ones go first.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        for text in self.matches.iter_mut().flat_map(Match::texts) {
            cut(text, MATCH_FIELD_BYTES_MAX);
        }
        for span in &mut self.spans {
            cut(&mut span.reason, MATCH_FIELD_BYTES_MAX);
        }
        for run in &mut self.runs {
            cut(&mut run.row, MATCH_FIELD_BYTES_MAX);
        }
        let mut left = Weight { bytes: EXPLANATION_BYTES_MAX, items: EXPLANATION_ITEMS_MAX };
        // The text and the category are what the line is about: they stay whatever they take.
        left.spend(self.own_weight());
        self.is_cut |= keep(&mut self.spans, Span::weight, &mut left)
            | keep(&mut self.matches, Match::weight, &mut left)
            | keep(&mut self.runs, Run::weight, &mut left);
        self
    }

    fn own_weight(&self) -> Weight {
        Weight::of_text(self.redacted.len()).plus(Weight::of_numbers(self.categories.len() + 9))
    }

    fn weight(&self) -> Weight {
        let spans = self.spans.iter().map(Span::weight);
        let parts =
            spans.chain(self.matches.iter().map(Match::weight)).chain(self.runs.iter().map(Run::weight));
        parts.fold(self.own_weight(), Weight::plus)
    }
}

/// Puts explanations into pages that fit a frame each, in their order, each of them bounded.
pub fn pages(explanations: impl IntoIterator<Item = Explanation>) -> Vec<Vec<Explanation>> {
    crate::page::pages(explanations.into_iter().map(Explanation::bounded), Explanation::weight)
}

/// Keeps of a list what there is room for, and tells whether something was left out.
fn keep<T>(list: &mut Vec<T>, weight: impl Fn(&T) -> Weight, left: &mut Weight) -> bool {
    let kept = list.iter().take_while(|part| left.spend(weight(part))).count();
    let is_cut = kept < list.len();
    list.truncate(kept);
    is_cut
}

/// A secret that was cut out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Where it begins, in bytes of the line.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
    /// What it is.
    pub kind: Secret,
    /// What gave it away, in words: `value of curl -u`, `looks like: GitHub token`.
    pub reason: String,
}

impl Span {
    const fn weight(&self) -> Weight {
        Weight::of_text(self.reason.len()).plus(Weight::of_numbers(4))
    }
}

named_enum! {
    /// Where in its line a program stands.
    Context, "context" {
        /// It reads what the one before it writes.
        PipeIn = "pipe_in",
        /// It writes what the next one reads.
        PipeOut = "pipe_out",
        /// Its output becomes a part of another command.
        Substitution = "substitution",
        /// Its input is written out in the line, or it stands in such an input.
        Heredoc = "heredoc",
        /// Nobody waits for it.
        Background = "background",
        /// It stands in a function's body and runs when that is called.
        Function = "function",
    }
}

/// One program that a line runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The program and its arguments without quotes, secrets replaced by markers.
    pub argv: Vec<Bytes>,
    /// Where it stands.
    pub context: Vec<Context>,
    /// Whether it runs with another's rights: behind `sudo`, `doas`, `su`.
    pub is_privileged: bool,
    /// Whether it runs on another machine or in a container.
    pub is_remote: bool,
    /// Which of the runs before it runs it, counted from 0; `None` for the shell.
    pub parent: Option<u32>,
    /// What kind of command it is.
    pub category: Category,
    /// The row of the table that decided: `git push`, `docker`, `*.sh`; empty when there is none.
    pub row: String,
    /// How sure the row is, in hundredths.
    pub confidence: u8,
}

impl Run {
    fn weight(&self) -> Weight {
        let numbers = Weight::of_numbers(self.context.len() + 8);
        Weight::of_texts(&self.argv).plus(Weight::of_text(self.row.len())).plus(numbers)
    }
}

/// A rule that matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// Id of the rule.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its level.
    pub level: Risk,
    /// Its axis.
    pub axis: Axis,
    /// Its tags: `attack.t1059.004`.
    pub tags: Vec<String>,
    /// The fields that it looked at and found, each `Field: value`, secrets replaced by markers.
    pub fields: Vec<String>,
    /// Which run it matched, counted from 0; `None` for the whole line.
    pub run: Option<u32>,
}

impl Match {
    fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        self.tags.iter_mut().chain(&mut self.fields).chain([&mut self.id, &mut self.title])
    }

    fn weight(&self) -> Weight {
        let texts = Weight::of_text(self.id.len()).plus(Weight::of_text(self.title.len()));
        let lists = Weight::of_texts(&self.tags).plus(Weight::of_texts(&self.fields));
        texts.plus(lists).plus(Weight::of_numbers(4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RequestId;
    use crate::limits::{COMMAND_BYTES_MAX, ITEMS_MAX};
    use crate::local::Reply;

    fn explanation(runs: usize, argv: usize, bytes: usize) -> Explanation {
        let run = Run {
            argv: vec![Bytes(vec![b'x'; bytes]); argv],
            context: Context::ALL.to_vec(),
            is_privileged: true,
            is_remote: true,
            parent: Some(u32::MAX),
            category: Category::Shell,
            row: "row".repeat(200),
            confidence: 255,
        };
        let found = Match {
            id: "id".to_owned(),
            title: "title".to_owned(),
            level: Risk::High,
            axis: Axis::Threat,
            tags: vec!["tag".to_owned(); 10],
            fields: vec!["field".repeat(120); 3],
            run: Some(u32::MAX),
        };
        let span = Span { start: u32::MAX, end: u32::MAX, kind: Secret::Key, reason: "reason".to_owned() };
        Explanation {
            redacted: Bytes(vec![b'x'; COMMAND_BYTES_MAX * 4]),
            spans: vec![span; runs.min(3000)],
            runs: vec![run; runs],
            is_parsed: true,
            category: Category::Shell,
            categories: Category::ALL.to_vec(),
            risk: Some(Risk::High),
            axis: Some(Axis::Threat),
            matches: vec![found; runs.min(3000)],
            is_cut: false,
        }
    }

    #[test]
    fn whatever_a_line_runs_its_explanation_fits_a_frame() {
        for (runs, argv, bytes) in [(0, 0, 0), (3, 3, 3), (30_000, 1, 1), (2, 70_000, 0), (20, 2, 60_000)] {
            let pages = pages(vec![explanation(runs, argv, bytes); 2]);
            assert_eq!(pages.iter().map(Vec::len).sum::<usize>(), 2);
            for page in pages {
                assert!(page.iter().all(|explanation| explanation.is_cut == (runs > 3 || argv > 3)));
                let reply = Reply::Explained(page);
                let frame = reply.encode(RequestId(u64::MAX)).expect("a page fits a frame");
                let read = Reply::decode(reply.kind(), &frame[crate::frame::Header::SIZE..]);
                assert_eq!(read.expect("it holds fewer items than are allowed").1, reply);
            }
        }
        let bounded = explanation(9_000, 1, 1).bounded();
        assert_eq!(bounded.clone().bounded(), bounded);
        let weight = bounded.weight();
        assert!(weight.items <= EXPLANATION_ITEMS_MAX && weight.items <= ITEMS_MAX as usize);
    }
}
