//! Who gives what to whom within a line.

use std::ops::Range;

use karo_protocol::explain::Context;

use crate::line::{Line, Run, Word};

/// Runs that are looked at for the neighbours of one: what goes through them is cubic in this, at the worst.
const STEPS_MAX: usize = 32;

/// Returns the runs that the output of a run goes to, through the rest of its pipe.
pub(super) fn readers(line: &Line, index: usize) -> Vec<usize> {
    let mut found = Vec::new();
    if !line.runs[index].contexts.contains(Context::PipeOut) {
        return found;
    }
    for next in (index + 1..line.runs.len()).take(STEPS_MAX) {
        let run = &line.runs[next];
        if is_below(line, next, index) || is_aside(&line.runs[index], run) {
            continue;
        }
        // A pipe within a substitution ends with it.
        if is_aside(run, &line.runs[index]) {
            break;
        }
        let is_inner = run.parent.is_some_and(|parent| found.contains(&parent));
        if is_inner || run.contexts.contains(Context::PipeIn) {
            found.push(next);
        } else if !found.is_empty() || !run.contexts.contains(Context::PipeOut) {
            // Behind the pipe; before it there may be others of the same group.
            break;
        }
    }
    found
}

/// Returns the runs that the input of a run comes from, in the order of the line.
pub(super) fn writers(line: &Line, index: usize) -> Vec<usize> {
    let from = index.saturating_sub(STEPS_MAX);
    (from..index).filter(|writer| readers(line, *writer).contains(&index)).collect()
}

/// Returns the runs in whose words a run stands as `$(…)` or the like.
pub(super) fn holders(line: &Line, index: usize) -> Vec<usize> {
    let run = &line.runs[index];
    let Some(place) = run.words.first().map(Word::span) else { return Vec::new() };
    if !run.contexts.contains(Context::Substitution) {
        return Vec::new();
    }
    let from = index.saturating_sub(STEPS_MAX);
    (from..index).filter(|holder| is_within(&place, &line.runs[*holder])).collect()
}

/// Tells whether a place of the line lies within an expansion of one of a run's words.
fn is_within(place: &Range<usize>, run: &Run) -> bool {
    // Words stand in order, so that the one around the place is the last that begins before it.
    let after = run.words.partition_point(|word| word.span().start < place.start);
    let around = after.checked_sub(1).map(|last| &run.words[last]);
    around.is_some_and(|word| place.end < word.span().end && !word.expansions().is_empty())
}

/// Tells whether one run is run by another, through whatever is between them.
fn is_below(line: &Line, mut index: usize, above: usize) -> bool {
    for _ in 0..STEPS_MAX {
        match line.runs[index].parent {
            Some(parent) if parent == above => return true,
            // A parent stands before what it runs.
            Some(parent) if parent < index => index = parent,
            _ => return false,
        }
    }
    false
}

/// Tells whether a run stands in a substitution that another does not stand in.
fn is_aside(run: &Run, other: &Run) -> bool {
    other.contexts.contains(Context::Substitution) && !run.contexts.contains(Context::Substitution)
}

/// Shells, by their names.
const SHELLS: [&[u8]; 10] =
    [b"sh", b"bash", b"dash", b"zsh", b"fish", b"ksh", b"mksh", b"ash", b"csh", b"tcsh"];

/// Tells whether a run is a shell that reads commands from its terminal.
pub(super) fn is_interactive(run: &Run) -> bool {
    if !SHELLS.contains(&run.name()) {
        return false;
    }
    let reads_elsewhere = run.contexts.contains(Context::PipeIn) || run.contexts.contains(Context::Heredoc);
    let mut has_script = false;
    for word in run.arguments() {
        match word.text() {
            [b'-', letters @ ..] if !letters.starts_with(b"-") => {
                if letters.contains(&b'i') {
                    return true;
                }
                has_script |= letters.contains(&b'c');
            }
            [b'-', ..] => {}
            _ => has_script = true,
        }
    }
    !has_script && !reads_elsewhere
}
