//! Replays what fuzzing has found worth keeping, in every ordinary run.

mod cutting;
mod reading;
mod ruling;

use std::fs;
use std::path::PathBuf;

/// Reads each file of a target's corpus, of which there are so many at least.
fn replay(target: &str, least: usize, read: fn(&[u8])) {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = fs::read_dir(&directory).expect("the corpus is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    paths.sort();
    assert!(paths.len() >= least, "{} files in {}", paths.len(), directory.display());
    for path in paths {
        let bytes = fs::read(&path).expect("the corpus can be read");
        // The file's name is in the output of a failure.
        eprintln!("{}", path.display());
        read(&bytes);
    }
}

#[test]
fn lines_of_the_corpus_are_taken_apart() {
    replay("line", 20, reading::line);
}

#[test]
fn rules_of_the_corpus_are_used_or_named() {
    replay("rules", 5, ruling::rules);
}

#[test]
fn secrets_of_the_corpus_are_cut_once() {
    replay("redact", 40, cutting::secrets);
}
