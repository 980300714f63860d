//! How often the category of a line is what a person said, by the source of the line.
//!
//! `cargo bench -p karo-core --bench categories` measures the labelled set. With paths behind `--`, it measures
//! those files; a line without a label is printed with its category and the rows that decided.
#![expect(clippy::print_stdout, reason = "a benchmark is run by hand and prints a table")]

use std::collections::BTreeMap;

use karo_core::classify::{Classified, classify};
use karo_core::line;
use serde_json::Value;

const SET: &str = include_str!("../../../tests/data/categories/set.jsonl");

/// What was counted of one source.
#[derive(Default)]
struct Count {
    lines: u32,
    exact: u32,
    acceptable: u32,
}

fn main() {
    let paths: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if paths.is_empty() {
        measure("tests/data/categories/set.jsonl", SET);
    }
    for path in paths {
        let lines = std::fs::read_to_string(&path).expect("a file that was named can be read");
        measure(&path, &lines);
    }
}

fn measure(name: &str, lines: &str) {
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).expect("a line of the set is JSON");
        let text = line["cmd"].as_str().expect("a line of the set has a command");
        let classified = classify(&line::parse(text.as_bytes()));
        match line["exact"].as_str() {
            None => println!("{}\t{}\t{text:?}", classified.category, rows(&classified)),
            Some(exact) => {
                let source = line["source"].as_str().expect("a labelled line has a source");
                if exact != classified.category.name() {
                    println!("{}\t{exact}\t{}\t{text:?}", classified.category, rows(&classified));
                }
                for source in [source, "all"] {
                    count(counts.entry(source.to_owned()).or_default(), &line, exact, &classified);
                }
            }
        }
    }
    if !counts.is_empty() {
        println!("{name}\n{:<12} {:>6} {:>10} {:>10}", "source", "lines", "exact", "acceptable");
    }
    for (source, Count { lines, exact, acceptable }) in counts {
        let share = |count: u32| f64::from(count) / f64::from(lines);
        println!("{source:<12} {lines:>6} {:>10.3} {:>10.3}", share(exact), share(acceptable));
    }
}

fn count(count: &mut Count, line: &Value, exact: &str, classified: &Classified) {
    let category = classified.category.name();
    let acceptable = line["acceptable"].as_array().expect("a label has a list of what is acceptable");
    let is_acceptable = acceptable.iter().any(|one| one == category);
    count.lines += 1;
    count.exact += u32::from(exact == category);
    count.acceptable += u32::from(is_acceptable);
}

fn rows(classified: &Classified) -> String {
    let row = |run: &karo_core::classify::RunCategory| format!("{}:{}", run.row, run.category);
    classified.runs.iter().map(row).collect::<Vec<_>>().join(" ")
}
