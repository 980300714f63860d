//! The programs of a line as a tree: what runs another stands above it.

use karo_protocol::explain::{Context, Run};

use super::prose::put_below;
use super::text::put_rest;
use crate::ctl::shown::{Newline, columns, cut_end, shown};
use crate::ctl::table::{DIM, Surface};

/// Runs that are shown at the most.
const RUNS_MAX: usize = 100;

/// What is shown of a program and its arguments at the most, in columns, where no terminal cuts it.
const ARGV_COLUMNS_MAX: usize = 1000;

/// From how many hundredths on the table is believed; below that its word is a guess, and called one.
const SURE: u8 = 80;

/// Levels that the tree is drawn with; what lies deeper stands below the last.
const LEVELS_MAX: usize = 8;

/// Writes all runs, each with what is known of it below.
pub fn put_all(text: &mut String, runs: &[Run], surface: &Surface) {
    let digits = runs.len().min(RUNS_MAX).to_string().len();
    for Branch { index, lead, below } in branches(runs).into_iter().take(RUNS_MAX) {
        let first = format!("{:>digits$}  {lead}", index + 1);
        let room =
            surface.columns.map_or(ARGV_COLUMNS_MAX, |all| all.saturating_sub(columns(&first)).max(20));
        text.push_str(&first);
        text.push_str(&cut_end(&command(&runs[index]), room));
        text.push('\n');
        let start = text.len();
        let below = format!("{:digits$}  {below}", "");
        put_below(text, &below, &below, &described(&runs[index]), surface.columns);
        surface.paint_lines(text, start, DIM);
    }
    put_rest(text, runs.len(), surface);
}

/// Where a run stands in the tree.
struct Branch {
    index: usize,
    /// What stands before its program.
    lead: String,
    /// What stands before the lines below it.
    below: String,
}

/// Returns the runs from the top, each followed by what it runs.
fn branches(runs: &[Run]) -> Vec<Branch> {
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); runs.len()];
    let mut top = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        // Whatever a daemon says, only what stands before a run can be above it.
        match run.parent.map(|parent| parent as usize).filter(|parent| *parent < index) {
            Some(parent) => children[parent].push(index),
            None => top.push(index),
        }
    }
    let mut branches = Vec::new();
    // The last that was put comes first: runs of one level are put from the back.
    let mut waiting: Vec<(usize, usize, String, bool)> =
        top.into_iter().rev().map(|index| (index, 0, String::new(), false)).collect();
    while let Some((index, level, before, has_next)) = waiting.pop() {
        let (lead, below) = match level {
            0 => (String::new(), String::new()),
            _ if has_next => (format!("{before}├─ "), format!("{before}│  ")),
            _ => (format!("{before}└─ "), format!("{before}   ")),
        };
        let inner = &children[index];
        for (place, child) in inner.iter().enumerate().rev() {
            let before = if level < LEVELS_MAX { below.clone() } else { before.clone() };
            waiting.push((*child, level + 1, before, place + 1 < inner.len()));
        }
        let bar = if inner.is_empty() { "   " } else { "│  " };
        branches.push(Branch { index, lead, below: format!("{below}{bar}") });
    }
    branches
}

/// Returns a program with its arguments, quoted where they would be taken for several.
fn command(run: &Run) -> String {
    let words = run.argv.iter().map(|word| {
        let plain = shown(word, Newline::Arrow);
        let needs_quotes = plain.is_empty() || plain.contains(|c: char| " '\";&|<>()".contains(c));
        if needs_quotes { format!("'{}'", plain.replace('\'', "'\\''")) } else { plain }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Returns what is known of a run, in words.
fn described(run: &Run) -> String {
    let row = shown(run.row.as_bytes(), Newline::Arrow);
    let mut parts = vec![match row.is_empty() {
        true => format!("{}: not in the table of programs", run.category),
        false if run.confidence < SURE => format!("{}, a guess from `{row}`", run.category),
        false => format!("{}, known as `{row}`", run.category),
    }];
    if run.is_privileged {
        parts.push("as root or another user".to_owned());
    }
    if run.is_remote {
        parts.push("on another machine or in a container".to_owned());
    }
    parts.extend(run.context.iter().map(|context| place(*context).to_owned()));
    parts.join("; ")
}

const fn place(context: Context) -> &'static str {
    match context {
        Context::PipeIn => "reads what the one before it writes",
        Context::PipeOut => "writes what the next one reads",
        Context::Substitution => "its output becomes a part of another command",
        Context::Heredoc => "its input stands in the line",
        Context::Background => "in the background",
        Context::Function => "only when the function is called",
    }
}

#[cfg(test)]
mod tests {
    use karo_protocol::{Bytes, Category};

    use super::*;

    fn run(name: &str, parent: Option<u32>) -> Run {
        Run {
            argv: vec![Bytes::from(name)],
            context: Vec::new(),
            is_privileged: false,
            is_remote: false,
            parent,
            category: Category::Other,
            row: String::new(),
            confidence: 0,
        }
    }

    fn drawn(parents: &[Option<u32>]) -> Vec<String> {
        let runs: Vec<Run> = parents.iter().map(|parent| run("x", *parent)).collect();
        branches(&runs).into_iter().map(|branch| format!("{}{}", branch.lead, branch.index)).collect()
    }

    #[test]
    fn what_a_run_runs_stands_below_it() {
        let tree = drawn(&[None, Some(0), Some(1), None, Some(0), Some(3)]);
        assert_eq!(tree, ["0", "├─ 1", "│  └─ 2", "└─ 4", "3", "└─ 5"]);
    }

    #[test]
    fn a_daemon_that_tells_nonsense_gets_a_flat_tree_and_every_run_is_shown() {
        assert_eq!(drawn(&[Some(0), Some(7), Some(1)]), ["0", "1", "└─ 2"]);
        let deep: Vec<Option<u32>> = (0..500_u32).map(|index| index.checked_sub(1)).collect();
        let tree = drawn(&deep);
        assert_eq!(tree.len(), 500);
        assert!(columns(&tree[499]) <= (LEVELS_MAX + 2) * 3 + 3, "{}", tree[499]);
    }

    #[test]
    fn words_are_quoted_where_they_would_be_taken_for_several() {
        let mut told = run("echo", None);
        told.argv.extend([Bytes::from(""), Bytes::from("it's"), Bytes::from("a\nb"), Bytes::from("\x1b[2J")]);
        assert_eq!(command(&told), "echo '' 'it'\\''s' a↵b \\x1b[2J");
    }
}
