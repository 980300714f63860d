//! What must hold for any bytes that are typed: they are taken apart, with bounded work, each word in its place.
//!
//! The fuzz target, the replay of its corpus and the properties share it.

use std::ops::Range;

use karo_core::line::{self, DEPTH_MAX, LAYERS_MAX, RUNS_MAX, SCRIPT_BYTES_MAX, Word};

/// Takes bytes apart as a line.
pub(crate) fn line(bytes: &[u8]) {
    let (line, effort) = line::parse_counted(bytes);
    // Each byte is looked at for each bracket around it, by the grammar, by that of fish and then as a plain
    // word; so is each byte of a script.
    let most = (bytes.len() + SCRIPT_BYTES_MAX.min(bytes.len() * LAYERS_MAX)) * (3 * DEPTH_MAX + 3);
    assert!(effort <= most, "{effort} of {most}");
    assert!(line.runs.len() <= RUNS_MAX);
    for (index, run) in line.runs.iter().enumerate() {
        assert!(!run.words.is_empty());
        assert!(1 <= run.own && run.own <= run.words.len());
        assert!(run.parent.is_none_or(|parent| parent < index));
        let targets = run.redirections.iter().map(|redirection| &redirection.target);
        run.words.iter().chain(&run.assignments).chain(targets).for_each(|word| placed(bytes, word));
    }
    line.assignments.iter().for_each(|word| placed(bytes, word));
}

/// Bytes at either end of a word whose places are looked at one by one.
const LOOKED_AT: usize = 64;

/// Demands that a word stands in its line, and each of its bytes and of its expansions, too.
fn placed(line: &[u8], word: &Word) {
    let within = |place: Range<usize>| place.start <= place.end && place.end <= line.len();
    let length = word.text().len();
    assert!(within(word.span()), "{word:?}");
    assert!(within(word.place(0..length)), "{word:?}");
    for at in (0..length.min(LOOKED_AT)).chain(length.saturating_sub(LOOKED_AT)..length) {
        assert!(within(word.place(at..at + 1)), "{word:?} at {at}");
    }
    let mut end = 0;
    for expansion in word.expansions() {
        assert!(end <= expansion.start && expansion.start < expansion.end, "{word:?}");
        assert!(expansion.end <= length && within(word.place(expansion.clone())), "{word:?}");
        end = expansion.end;
    }
}
