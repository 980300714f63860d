//! How long one line takes to be understood, over real lines and over the worst ones we know.
//!
//! `cargo bench -p karo-core --bench understand`; the goal is 12 µs a line in the mean and 1 ms at p99.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark is run by hand: it reads the clock and prints a table"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use karo_core::classify::classify;
use karo_core::line::{self, Line};
use karo_core::redact::Redactor;
use karo_core::redact::redact;
use karo_core::risk::{Rules, Surroundings};
use karo_core::understand::{Knowledge, Understander};
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
    let knowledge = Arc::new(Knowledge::new(Redactor::default(), Rules::builtin()));
    let fresh = |line: &RawCommand| {
        Understander::new(Arc::clone(&knowledge)).understand(line, Surroundings::default())
    };
    over(&lines, "understand, all new", |line| drop(black_box(fresh(line))));
    let mut understander = Understander::new(Arc::clone(&knowledge));
    over(&lines, "understand, as it comes", |line| {
        drop(black_box(understander.understand(line, Surroundings::default())));
    });
    over(&lines, "explain", |line| drop(black_box(knowledge.explain(line, Surroundings::default()))));
    for piece in WORST {
        let line = RawCommand::new(piece.repeat(COMMAND_BYTES_MAX / piece.len()));
        over(&[line], &format!("64 KiB of {piece:?}"), |line| drop(black_box(fresh(line))));
    }
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
