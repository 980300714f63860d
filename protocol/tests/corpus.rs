//! Replays what fuzzing has found worth keeping, in every ordinary run.

mod reading;

use std::fs;
use std::path::PathBuf;

/// Reads each file of a target's corpus; there are at least as many as the golden ones it began with.
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
fn frames_of_the_corpus_are_refused_or_read_back() {
    replay("frame", 24, reading::frame);
}

#[test]
fn what_peers_say_in_the_corpus_is_refused_or_reads_back() {
    replay("spoken", 40, reading::spoken);
}

#[test]
fn objects_of_the_corpus_are_refused_or_read_back() {
    replay("object", 7, reading::object);
}

#[test]
fn records_of_the_corpus_are_refused_or_read_back() {
    replay("spool", 3, reading::record);
}
