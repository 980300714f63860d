//! How long one line takes to be understood, over real lines and over the worst ones we know.
//!
//! `cargo bench -p karo-core --bench understand`; the goal is 12 µs a line in the mean and 1 ms at p99.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark is run by hand: it reads the clock and prints a table"
)]

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use karo_core::classify::classify;
use karo_core::line::{self, Line};
use karo_core::redact::Redactor;
use karo_core::redact::redact;
use karo_core::risk::{RuleFile, Rules, Surroundings};
use karo_core::understand::Knowledge;
use karo_protocol::RawCommand;
use karo_protocol::limits::COMMAND_BYTES_MAX;

const HISTORY: &str = include_str!("../../../tests/data/history/kypo-part.jsonl");

/// Runs over the history; the first warms up and is not counted.
const ROUNDS: usize = 20;

/// Pieces whose repetition is the hardest on some finder.
const WORST: [&str; 8] = ["PASS=", "mysql -p", "a://b:c/", "a;", "$(", "sk-a-", "sudo ", "x 'a' "];

fn main() {
    let lines = lines();
    println!("{} lines of tests/data/history/kypo-part.jsonl, {ROUNDS} rounds", lines.len());
    println!("{:<28} {:>10} {:>10} {:>10} {:>10}", "µs a line", "mean", "median", "p99", "most");
    over(&lines, "parse", |line| drop(black_box(line::parse(line.as_bytes()))));
    over(&parsed(&lines), "classify", |line| drop(black_box(classify(line))));
    over(&lines, "redact", |line| drop(black_box(redact(line))));
    let knowledge = Knowledge::new(Redactor::default(), Rules::builtin());
    let fresh = |line: &RawCommand| knowledge.understand_anew(line, Surroundings::default());
    over(&lines, "understand, all new", |line| drop(black_box(fresh(line))));
    over(&lines, "understand, as it comes", |line| {
        drop(black_box(knowledge.understand(line, Surroundings::default())));
    });
    with_sigma(&lines);
    over(&lines, "explain", |line| drop(black_box(knowledge.explain(line, Surroundings::default()))));
    for piece in WORST {
        let line = RawCommand::new(piece.repeat(COMMAND_BYTES_MAX / piece.len()));
        over(&[line], &format!("64 KiB of {piece:?}"), |line| drop(black_box(fresh(line))));
    }
}

/// The same with all Linux rules of SigmaHQ beside the own pack: what design section 13 sets the goal for.
fn with_sigma(lines: &[RawCommand]) {
    let files = sigma();
    let begun = Instant::now();
    let files: Vec<RuleFile<'_>> =
        files.iter().map(|(path, text)| RuleFile { path, text: text.as_bytes() }).collect();
    let rules = Rules::load(&files);
    let count = rules.listed().count();
    println!(
        "own pack and SigmaHQ Linux: {count} rules, loaded in {:.0} ms",
        begun.elapsed().as_secs_f64() * 1e3
    );
    let knowledge = Knowledge::new(Redactor::default(), rules);
    over(lines, "both, all new", |line| {
        drop(black_box(knowledge.understand_anew(line, Surroundings::default())));
    });
    over(lines, "both, as it comes", |line| {
        drop(black_box(knowledge.understand(line, Surroundings::default())));
    });
}

/// Returns path and text of each rule of SigmaHQ.
fn sigma() -> Vec<(String, String)> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/sigma");
    let entries = std::fs::read_dir(directory).expect("the rules are part of the repository").flatten();
    let paths =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "yml"));
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a rule is UTF-8");
        (path.display().to_string(), text)
    };
    paths.map(read).collect()
}

fn lines() -> Vec<RawCommand> {
    let command = |line: &str| {
        let fields: serde_json::Value = serde_json::from_str(line).expect("a line of the history is JSON");
        RawCommand::new(fields["cmd"].as_str().expect("a line of the history has a command"))
    };
    HISTORY.lines().map(command).collect()
}

fn parsed(lines: &[RawCommand]) -> Vec<Line> {
    lines.iter().map(|line| line::parse(line.as_bytes())).collect()
}

/// Prints how long `work` takes for each line.
fn over<T>(lines: &[T], name: &str, mut work: impl FnMut(&T)) {
    let mut times = Vec::with_capacity(lines.len() * ROUNDS);
    for round in 0..=ROUNDS {
        for line in lines {
            let start = Instant::now();
            work(line);
            let elapsed = start.elapsed();
            if round > 0 {
                times.push(elapsed);
            }
        }
    }
    times.sort_unstable();
    let mean =
        times.iter().sum::<Duration>() / u32::try_from(times.len()).expect("there are not that many lines");
    let median = times[times.len() / 2];
    let p99 = times[times.len() * 99 / 100];
    let most = times[times.len() - 1];
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let [mean, median, p99, most] = [mean, median, p99, most].map(micros);
    println!("{name:<28} {mean:>10.2} {median:>10.2} {p99:>10.2} {most:>10.2}");
}
