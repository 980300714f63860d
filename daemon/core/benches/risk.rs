//! How long rules take to load, and a line to be assessed, over real lines and over the worst ones we know.
//!
//! `cargo bench -p karo-core --bench risk`; with SigmaHQ's rules for Linux and the built-in pack the goal is 4 µs a
//! line in the mean and 1 ms at p99, and half a second to load them all. `KARO_BENCH_LINES` names another file
//! of JSON lines with the field `cmd`.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark is run by hand: it reads the clock and prints a table"
)]

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use karo_core::line::parse;
use karo_core::risk::{RuleFile, Rules, Surroundings};
use karo_protocol::limits::COMMAND_BYTES_MAX;

const HISTORY: &str = include_str!("../../../tests/data/history/kypo-part.jsonl");

/// How often each line is assessed.
const ROUNDS: usize = 20;

/// Pieces whose repetition is the hardest on some matcher.
const WORST: [&str; 7] = [
    "curl -F a ",
    "base64 -d | bash ",
    "cat /etc/shadow; ",
    "ls -R;",
    "a",
    "python3 -c 'import pty' | ",
    "sudo ",
];

fn main() {
    let files = sigma();
    let given: Vec<_> = files.iter().map(|(path, text)| RuleFile { path, text }).collect();
    let before = resident_kib();
    let start = Instant::now();
    let rules = Rules::load(&given);
    let elapsed = start.elapsed();
    println!(
        "{} rules in {:.1} ms, {} KiB",
        rules.listed().count(),
        millis(elapsed),
        resident_kib() - before
    );
    let start = Instant::now();
    let count = Rules::builtin().listed().count();
    println!("{count} built-in rules alone in {:.1} ms", millis(start.elapsed()));
    for refused in rules.refused() {
        println!("refused: {refused:?}");
    }
    for (name, text) in hostile() {
        let start = Instant::now();
        let rules = Rules::load(&[RuleFile { path: "hostile.yml", text: text.as_bytes() }]);
        println!("{name:<44} {:>8.1} ms, {} refused", millis(start.elapsed()), rules.refused().len());
    }
    let lines = lines();
    println!("{:<44} {:>10} {:>10} {:>10}", "µs a line", "mean", "p99", "most");
    over(&rules, &lines, "kypo-part, SigmaHQ and pack", ROUNDS);
    over(&Rules::builtin(), &lines, "kypo-part, pack", ROUNDS);
    for piece in WORST {
        let line = piece.repeat(COMMAND_BYTES_MAX / piece.len()).into_bytes();
        over(&rules, &[line], &format!("64 KiB of {piece:?}"), 5);
    }
}

/// Files that are the most work to be told from rules.
fn hostile() -> Vec<(&'static str, String)> {
    let most = karo_core::risk::limits::FILE_BYTES_MAX - 300;
    let rule = |values: &str| {
        format!(
            "title: a\nid: a\nlevel: low\nlogsource: {{category: process_creation}}\ndetection:\n  one:\n    \
             {values}\n  condition: one\n"
        )
    };
    let list = |key: &str, value: &str| {
        rule(&format!("{key}: [{}]", format!("'{value}', ").repeat(1_900.min(most / (value.len() + 4)))))
    };
    vec![
        ("128 KiB of a", "a".repeat(most)),
        ("128 KiB of documents", "a\n---\n".repeat(most / 6)),
        ("128 KiB of keys", "a: b\n".repeat(most / 5)),
        ("128 KiB of different keys", (0..most / 12).map(|n| format!("k{n}: b\n")).collect()),
        ("128 KiB of a folded text", format!("a: >\n{}", " b\n".repeat(most / 3))),
        ("128 KiB in quotes", format!("a: '{}", "''".repeat(most / 2))),
        ("128 KiB of flow", format!("a: [{}", "a, ".repeat(most / 3))),
        ("128 KiB of commas", format!("a: [{}", ",".repeat(most))),
        ("128 KiB of rules", vec![rule("Image: a"); most / 120].join("---\n")),
        ("expressions", list("Image|re", "\\w{40}a")),
        ("expressions that are too big", list("Image|re", "((a{100}){100}){100}")),
        ("expressions of any text", list("Image|re", &".".repeat(60))),
        ("wildcards", list("Image|contains", "a?????????????*b")),
        ("dashes", list("Image|windash|contains", "-a-b")),
        ("words", list("CommandLine|contains", "aaaaaaaaaaaaaaaaaaaab")),
        (
            "conditions",
            rule("Image: a").replace("condition: one", &format!("condition: {}one", "one or ".repeat(580))),
        ),
    ]
}

fn sigma() -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/sigma");
    let paths = std::fs::read_dir(directory).expect("the rules are in tests/data");
    let mut paths: Vec<_> = paths.map(|entry| entry.expect("an entry can be read").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yml"));
    paths.sort();
    paths
        .into_iter()
        .map(|path| (path.display().to_string(), std::fs::read(&path).expect("a rule can be read")))
        .collect()
}

fn lines() -> Vec<Vec<u8>> {
    let command = |line: &str| {
        let fields: serde_json::Value = serde_json::from_str(line).expect("a line of the history is JSON");
        fields["cmd"].as_str().expect("a line of the history has a command").as_bytes().to_vec()
    };
    let other = std::env::var("KARO_BENCH_LINES").ok();
    let other = other.map(|path| std::fs::read_to_string(path).expect("the file of lines can be read"));
    other.as_deref().unwrap_or(HISTORY).lines().map(command).collect()
}

/// Prints how long each line takes to be assessed: the least of its rounds, so that what else the machine does is
/// not counted.
fn over(rules: &Rules, lines: &[Vec<u8>], name: &str, rounds: usize) {
    let surroundings = Surroundings { cwd: b"/home/eve", user: "eve", shell: "bash" };
    let mut flagged = 0;
    let mut times = Vec::with_capacity(lines.len());
    for text in lines {
        let line = parse(text);
        let time = |_| {
            let start = Instant::now();
            black_box(rules.assess(text, &line, surroundings));
            start.elapsed()
        };
        times.extend((0..rounds).map(time).min());
        flagged += usize::from(rules.assess(text, &line, surroundings).risk.is_some());
    }
    times.sort_unstable();
    let count = u32::try_from(times.len()).expect("there are not that many lines");
    let mean = times.iter().sum::<Duration>() / count;
    let (p99, most) = (times[times.len() * 99 / 100], times[times.len() - 1]);
    let micros = |time: Duration| millis(time) * 1e3;
    println!(
        "{name:<44} {:>10.2} {:>10.2} {:>10.2}  {:.0} lines/s, {flagged} flagged",
        micros(mean),
        micros(p99),
        micros(most),
        1.0 / mean.as_secs_f64(),
    );
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Returns how much memory this process holds; 0 where nobody says.
fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
