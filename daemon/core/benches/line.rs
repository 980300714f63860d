//! How long one line takes to be taken apart, and how many lines are read by their grammar.
//!
//! `cargo bench -p karo-core --bench line [-- FILE...]` reads further histories from files of JSON lines with a
//! field `cmd`; with `--lost` it prints the lines that were not read by the grammar, with `--runs` what each runs.
//! The goals are 99 % of the lines and 3 µs a line in the mean.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark is run by hand: it reads the clock and prints a table"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};
use std::{env, fs};

use karo_core::line::{self, Line};

const HISTORY: &str = include_str!("../../../tests/data/history/kypo-part.jsonl");

/// Runs over the lines; the first warms up and is not counted.
const ROUNDS: usize = 10;

/// Length of the longest lines that a hook sends.
const LONG: usize = 64 * 1024;

/// Pieces whose repetition is the hardest on some part of the parser.
const WORST: [&str; 14] =
    ["(", "a", "$(", "a;", "a|", "`", "\"$(", "${", "sudo ", "<<E ", "'", "a\\", "x 'a' ", "{ "];

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let says = |flag: &str| arguments.iter().any(|argument| argument == flag);
    println!("{:<28} {:>7} {:>9} {:>8} {:>8} {:>8}", "µs a line", "lines", "parsed", "mean", "p99", "most");
    over("kypo-part.jsonl", &commands(HISTORY), &says);
    for path in arguments.iter().filter(|argument| !argument.starts_with("--")) {
        let text = fs::read_to_string(path).expect("the file can be read");
        over(path.rsplit('/').next().unwrap_or(path), &commands(&text), &says);
    }
    for piece in WORST {
        over(&format!("64 KiB of {piece:?}"), &[piece.repeat(LONG / piece.len())], &|_| false);
    }
}

fn commands(text: &str) -> Vec<String> {
    let command = |line: &str| {
        let fields: serde_json::Value = serde_json::from_str(line).expect("a line of the history is JSON");
        let is_shell = fields["shell"].as_str().is_none_or(|shell| shell != "msf");
        is_shell.then(|| fields["cmd"].as_str().expect("a line of the history has a command").to_owned())
    };
    text.lines().filter_map(command).collect()
}

/// Prints how long each line takes, and what share is read by the grammar.
fn over(name: &str, lines: &[String], says: &impl Fn(&str) -> bool) {
    let mut times = Vec::with_capacity(lines.len() * ROUNDS);
    let mut parsed = 0_usize;
    for round in 0..=ROUNDS {
        for text in lines {
            let start = Instant::now();
            let line = line::parse(text.as_bytes());
            let elapsed = start.elapsed();
            if round > 0 {
                times.push(elapsed);
            } else {
                parsed += usize::from(line.is_parsed);
                show(text, &line, says);
            }
            drop(black_box(line));
        }
    }
    times.sort_unstable();
    let mean =
        times.iter().sum::<Duration>() / u32::try_from(times.len()).expect("there are not that many lines");
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let share = parsed as f64 * 100.0 / lines.len() as f64;
    println!(
        "{name:<28} {:>7} {share:>7.2} % {:>8.2} {:>8.2} {:>8.2}",
        lines.len(),
        micros(mean),
        micros(times[times.len() * 99 / 100]),
        micros(times[times.len() - 1]),
    );
}

fn show(text: &str, line: &Line, says: &impl Fn(&str) -> bool) {
    if says("--lost") && !line.is_parsed {
        println!("lost: {text:?}");
    }
    if says("--runs") {
        println!("{text:?}{}", if line.is_parsed { "" } else { " (plain words)" });
        for run in &line.runs {
            let words: Vec<_> = run.words.iter().map(|word| String::from_utf8_lossy(word.text())).collect();
            let contexts: Vec<_> = run.contexts.iter().map(|context| context.name()).collect();
            println!("    {words:?} {contexts:?} of {:?}", run.parent);
        }
    }
}
