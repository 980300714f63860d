//! How many secrets are found, and how many look-alikes are touched, on lines made by seed.
//!
//! `cargo test -p karo-core --test redaction -- --nocapture` prints both. A secret counts as found when all its
//! bytes are cut and nothing of the rest of the line is.
#![expect(clippy::print_stdout, reason = "the measure is printed for whoever asks for it")]

#[path = "secrets/draw.rs"]
mod draw;

use std::collections::BTreeMap;
use std::ops::Range;

use draw::{Dice, Line, line};
use karo_core::line::parse;
use karo_core::redact::Redactor;
use karo_protocol::RawCommand;

/// Lines made of each template.
const DRAWS: usize = 3;

#[test]
fn secrets_are_found() {
    let (found, all) = measure_secrets("development", include_str!("secrets/secrets.tsv"), 1);
    assert!(found * 1000 >= all * 985, "{found} of {all}");
}

#[test]
fn look_alikes_are_left_alone() {
    let (touched, all) = measure_look_alikes("development", include_str!("secrets/lookalikes.tsv"), 2);
    assert!(touched * 100 <= all, "{touched} of {all}");
}

#[test]
fn secrets_of_lines_written_later_are_found() {
    let (found, all) = measure_secrets("holdout", include_str!("secrets/holdout.tsv"), 3);
    assert!(found * 1000 >= all * 980, "{found} of {all}");
}

#[test]
fn look_alikes_written_later_are_left_alone() {
    let table = include_str!("secrets/holdout_lookalikes.tsv");
    let (touched, all) = measure_look_alikes("holdout", table, 4);
    assert!(touched * 100 <= all, "{touched} of {all}");
}

#[test]
fn secrets_of_a_second_set_are_found() {
    let (found, all) = measure_secrets("second", include_str!("secrets/second.tsv"), 5);
    assert!(found * 1000 >= all * 970, "{found} of {all}");
}

#[test]
fn look_alikes_of_a_second_set_are_left_alone() {
    let (touched, all) = measure_look_alikes("second", include_str!("secrets/second_lookalikes.tsv"), 6);
    assert!(touched * 100 <= all, "{touched} of {all}");
}

fn lines(table: &str, seed: u64) -> Vec<(&str, Line)> {
    let mut dice = Dice(seed);
    let rows = table.lines().filter(|row| !row.starts_with('#')).filter_map(|row| row.split_once('\t'));
    let rows: Vec<_> = rows.collect();
    (0..DRAWS)
        .flat_map(|_| rows.iter().map(|(kind, row)| (*kind, line(row, &mut dice))).collect::<Vec<_>>())
        .collect()
}

fn cuts(text: &str) -> Vec<(Range<usize>, String)> {
    let raw = RawCommand::new(text);
    let redacted = Redactor::default().redact(&raw, &parse(text.as_bytes()));
    redacted.reasons.into_iter().map(|told| (told.cut.start..told.cut.end, told.reason)).collect()
}

/// Prints what was missed; returns how many secrets were found, of how many.
fn measure_secrets(name: &str, table: &str, seed: u64) -> (usize, usize) {
    let lines = lines(table, seed);
    let kinds: BTreeMap<&str, usize> = lines.iter().map(|(kind, _)| (*kind, 0)).collect();
    let (mut found, mut all) = (0, 0);
    for (kind, line) in &lines {
        let cuts = cuts(&line.text);
        let is_whole = |secret: &&Range<usize>| cuts.iter().any(|(cut, _)| cut == *secret);
        let hits = line.secrets.iter().filter(is_whole).count();
        let has_more = cuts.iter().any(|(cut, _)| !line.secrets.iter().any(|secret| secret == cut));
        found += if has_more { hits.saturating_sub(1) } else { hits };
        all += line.secrets.len();
        if has_more || hits < line.secrets.len() {
            let shown: Vec<_> = cuts.iter().map(|(cut, reason)| (&line.text[cut.clone()], reason)).collect();
            println!("missed {kind}: {}\n    cut {shown:?}", line.text);
        }
    }
    println!("{name}: {found} of {all} secrets of {} kinds", kinds.len());
    (found, all)
}

/// Prints what was touched; returns how many lines, of how many.
fn measure_look_alikes(name: &str, table: &str, seed: u64) -> (usize, usize) {
    let lines = lines(table, seed);
    let mut touched = 0;
    for (kind, line) in &lines {
        let cuts = cuts(&line.text);
        if !cuts.is_empty() {
            touched += 1;
            let shown: Vec<_> = cuts.iter().map(|(cut, reason)| (&line.text[cut.clone()], reason)).collect();
            println!("touched {kind}: {}\n    cut {shown:?}", line.text);
        }
    }
    println!("{name}: {touched} of {} look-alikes touched", lines.len());
    (touched, lines.len())
}
