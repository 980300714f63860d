//! How many lines the rules flag: `cargo bench -p karo-core --bench pack -- FILE.jsonl... [options]`.
//!
//! Each file has one object a line: `{"source":..,"cmd":..,"level":..}`, of which `source` (or `src`) and `level` may be
//! left out; without files, those of `tests/data/risk`. Printed is for each source the share of lines that are flagged
//! at each level or above, then, of lines with a label (`none`, `medium`, `high`), how many are flagged as it asks,
//! and with options the lines themselves.
//!
//! | option | does |
//! | --- | --- |
//! | `--rules DIR` | adds the `*.yml` below a directory, as a team's own; may be given more than once |
//! | `--level LEVEL` | the level that counts as flagged in lists; `medium` if left out |
//! | `--show` | lists the lines below that level |
//! | `--show-flagged` | lists the lines at or above it, with the rules that matched |
//! | `--show-wrong` | lists the lines whose label asks for another level |
//! | `--by-rule` | counts for each rule how many lines of each source it matched |
//! | `--source NAME` | looks at one source only |

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use karo_core::line;
use karo_core::redact::Redactor;
use karo_core::risk::{RuleFile, Rules, Surroundings};
use karo_protocol::explain::Match;
use karo_protocol::{RawCommand, Risk};

/// The labelled lines that come with the repository.
const LABELLED: [&str; 2] = ["set.jsonl", "holdout.jsonl"];

const LEVELS: [(Risk, &str); 4] =
    [(Risk::Low, "low"), (Risk::Medium, "medium"), (Risk::High, "high"), (Risk::Critical, "critical")];

/// What was asked for on the command line.
#[derive(Default)]
struct Asked {
    files: Vec<PathBuf>,
    rules: Vec<PathBuf>,
    level: Option<Risk>,
    source: Option<String>,
    shows_missed: bool,
    shows_flagged: bool,
    shows_wrong: bool,
    by_rule: bool,
}

/// How often each level was reached in one source.
#[derive(Default)]
struct Tally {
    lines: usize,
    reached: [usize; LEVELS.len()],
    labelled: Labelled,
}

/// What became of lines that a person labelled.
#[derive(Default)]
struct Labelled {
    benign: usize,
    benign_flagged: usize,
    risky: usize,
    risky_flagged: usize,
    high: usize,
    high_flagged: usize,
    high_as_high: usize,
}

impl Labelled {
    /// Counts a line by its label; returns whether it was told as its label asks.
    fn count(&mut self, label: &str, highest: Option<Risk>) -> bool {
        let is_flagged = highest >= Some(Risk::Medium);
        if label == "none" {
            self.benign += 1;
            self.benign_flagged += usize::from(is_flagged);
            return !is_flagged;
        }
        self.risky += 1;
        self.risky_flagged += usize::from(is_flagged);
        if label != "high" {
            assert_eq!(label, "medium", "a label is none, medium or high");
            return is_flagged;
        }
        let is_high = highest >= Some(Risk::High);
        self.high += 1;
        self.high_flagged += usize::from(is_flagged);
        self.high_as_high += usize::from(is_high);
        is_high
    }

    fn add(&mut self, other: &Self) {
        self.benign += other.benign;
        self.benign_flagged += other.benign_flagged;
        self.risky += other.risky;
        self.risky_flagged += other.risky_flagged;
        self.high += other.high;
        self.high_flagged += other.high_flagged;
        self.high_as_high += other.high_as_high;
    }

    fn print(&self, name: &str) {
        let share = |part: usize, of: usize| {
            format!("{part:>4}/{of:<4} {:>5.1}%", 100.0 * part as f64 / of.max(1) as f64)
        };
        println!(
            "{name:<22} {}  {}  {}  {}",
            share(self.risky_flagged, self.risky),
            share(self.high_flagged, self.high),
            share(self.high_as_high, self.high),
            share(self.benign_flagged, self.benign),
        );
    }
}

/// Title of a rule, and for each source how many of its lines it matched.
type Matched = BTreeMap<String, BTreeMap<String, usize>>;

fn main() {
    let mut asked = asked();
    if asked.files.is_empty() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/risk");
        asked.files = LABELLED.map(|name| directory.join(name)).into();
    }
    let texts = rule_texts(&asked.rules);
    let files: Vec<RuleFile<'_>> = texts.iter().map(|(path, text)| RuleFile { path, text }).collect();
    let rules = Rules::load(&files);
    for refused in rules.refused() {
        println!("refused {} line {:?}: {}", refused.path, refused.line, refused.reason);
    }
    let (mut tallies, mut matched) = (BTreeMap::<String, Tally>::new(), Matched::new());
    for file in &asked.files {
        let text = fs::read_to_string(file).expect("a file of lines is readable");
        text.lines().for_each(|line| one(&rules, line, &asked, &mut tallies, &mut matched));
    }
    print(&tallies, &matched, &asked);
}

fn asked() -> Asked {
    let mut asked = Asked::default();
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        let mut next = || words.next().expect("the option has a value");
        match word.as_str() {
            "--bench" => {}
            "--rules" => asked.rules.push(next().into()),
            "--level" => {
                let level = next();
                asked.level = LEVELS.iter().find(|(_, name)| *name == level).map(|(risk, _)| *risk);
            }
            "--source" => asked.source = Some(next()),
            "--show" => asked.shows_missed = true,
            "--show-flagged" => asked.shows_flagged = true,
            "--show-wrong" => asked.shows_wrong = true,
            "--by-rule" => asked.by_rule = true,
            file => asked.files.push(file.into()),
        }
    }
    asked
}

/// Reads every `*.yml` below the directories, in the order of their paths.
fn rule_texts(directories: &[PathBuf]) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for directory in directories {
        below(directory, &mut found);
    }
    found.sort();
    found
}

fn below(directory: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(directory).expect("a directory of rules is readable") {
        let path = entry.expect("a directory of rules is readable").path();
        if path.is_dir() {
            below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            found.push((path.display().to_string(), fs::read(&path).expect("a rule is readable")));
        }
    }
}

fn one(
    rules: &Rules,
    row: &str,
    asked: &Asked,
    tallies: &mut BTreeMap<String, Tally>,
    matched: &mut Matched,
) {
    let row: serde_json::Value = serde_json::from_str(row).expect("each line is an object");
    let source = row["source"].as_str().or(row["src"].as_str()).unwrap_or("lines").to_owned();
    if asked.source.as_ref().is_some_and(|wanted| *wanted != source) {
        return;
    }
    let text = row["cmd"].as_str().expect("each object has a text `cmd`");
    let matches = matches(rules, text);
    let highest = matches.first().map(|one| one.level);
    let tally = tallies.entry(source.clone()).or_default();
    tally.lines += 1;
    for (reached, (level, _)) in tally.reached.iter_mut().zip(LEVELS) {
        *reached += usize::from(highest >= Some(level));
    }
    let is_flagged = highest >= Some(asked.level.unwrap_or(Risk::Medium));
    for one in &matches {
        *matched
            .entry(format!("{:?} {}", one.level, one.title))
            .or_default()
            .entry(source.clone())
            .or_default() += 1;
    }
    let label = row["level"].as_str();
    let is_wrong = label.is_some_and(|label| !tally.labelled.count(label, highest));
    if asked.shows_missed && !is_flagged || asked.shows_flagged && is_flagged || asked.shows_wrong && is_wrong
    {
        let source = format!("{source} {}", label.unwrap_or_default());
        let titles: Vec<_> = matches.iter().map(|one| format!("{:?} {}", one.level, one.title)).collect();
        println!("{source}\t{}\t{}", text.replace('\n', "\\n"), titles.join(" + "));
    }
}

/// Does with a line what the daemon does: rules see it without its secrets.
fn matches(rules: &Rules, text: &str) -> Vec<Match> {
    let raw = RawCommand::new(text);
    let line = line::parse(text.as_bytes());
    let redacted = Redactor::default().redact(&raw, &line);
    let (text, line) = if redacted.redactions.is_empty() {
        (text.as_bytes(), line)
    } else {
        let text = redacted.command.as_bytes();
        (text, line::parse(text))
    };
    rules.matches(text, &line, Surroundings::default())
}

fn print(tallies: &BTreeMap<String, Tally>, matched: &Matched, asked: &Asked) {
    println!("{:<22} {:>7}  {:>8} {:>8} {:>8} {:>8}", "source", "lines", "low", "medium", "high", "critical");
    for (source, tally) in tallies {
        let shares =
            tally.reached.map(|reached| format!("{:>7.2}%", 100.0 * reached as f64 / tally.lines as f64));
        println!("{source:<22} {:>7}  {}", tally.lines, shares.join(" "));
    }
    let mut all = Labelled::default();
    tallies.values().for_each(|tally| all.add(&tally.labelled));
    if all.benign + all.risky > 0 {
        let heads = ["risky: medium", "high: medium", "high: high", "benign: medium"];
        println!("\n{:<22} {}", "labelled as", heads.map(|head| format!("{head:<17}")).concat());
        tallies.iter().for_each(|(source, tally)| tally.labelled.print(source));
        all.print("all");
    }
    if asked.by_rule {
        for (rule, sources) in matched {
            let counts: Vec<_> = sources.iter().map(|(source, count)| format!("{source} {count}")).collect();
            println!("{rule}: {}", counts.join(", "));
        }
    }
}
