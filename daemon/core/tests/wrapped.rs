//! Programs behind wrappers, over lines that were labelled by hand.

use std::collections::BTreeSet;

use karo_core::line::{Run, parse};

const LINES: &str = include_str!("../../../tests/data/line/wrapped.tsv");

/// Returns a program's name, or what stands in its place.
fn name(run: &Run) -> String {
    let name = if run.name().is_empty() { run.words[0].text() } else { run.name() };
    String::from_utf8_lossy(name).into_owned()
}

/// A goal of issue 3: of a hundred programs, ninety-eight are found; and no more than that are made up.
const SHARE: f64 = 0.98;

#[test]
fn wrapped_programs_are_found() {
    let (mut labelled, mut found, mut told) = (0_usize, 0_usize, 0_usize);
    let mut faults = Vec::new();
    for row in LINES.lines() {
        let (line, names) = row.split_once('\t').expect("a row has two fields");
        let line = line.replace("\\\\", "\u{1}").replace("\\n", "\n").replace('\u{1}', "\\");
        let expected: BTreeSet<String> = names.split(' ').map(str::to_owned).collect();
        let programs: BTreeSet<String> = parse(line.as_bytes()).runs.iter().map(name).collect();
        let right = expected.intersection(&programs).count();
        labelled += expected.len();
        found += right;
        told += programs.len();
        if right < expected.len() || right < programs.len() {
            faults.push(format!("{line}\n  {expected:?}\n  {programs:?}"));
        }
    }
    eprintln!("{found} of {labelled} programs found, {} made up\n{}", told - found, faults.join("\n"));
    assert!(LINES.lines().count() >= 150);
    assert!(found as f64 >= SHARE * labelled as f64 && found as f64 >= SHARE * told as f64);
}
