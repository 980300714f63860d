//! How many lines the rules flag: `cargo bench -p karo-core --bench pack -- FILE.jsonl... [options]`.
//!
//! Each file has one object a line: `{"src":..,"cmd":..}`, of which `src` may be left out. Printed is for each
//! source the share of lines that are flagged at each level or above, and with options the lines themselves. No
//! data come with the repository, so a run without files says so and ends.
//!
//! | option | does |
//! | --- | --- |
//! | `--rules DIR` | adds the `*.yml` below a directory, as a team's own; may be given more than once |
//! | `--level LEVEL` | the level that counts as flagged in lists; `medium` if left out |
//! | `--show` | lists the lines below that level |
//! | `--show-flagged` | lists the lines at or above it, with the rules that matched |
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
    by_rule: bool,
}

/// How often each level was reached in one source.
#[derive(Default)]
struct Tally {
    lines: usize,
    reached: [usize; LEVELS.len()],
}

/// Title of a rule, and for each source how many of its lines it matched.
type Matched = BTreeMap<String, BTreeMap<String, usize>>;

fn main() {
    let asked = asked();
    if asked.files.is_empty() {
        println!("no files given: {} rules are built in", Rules::builtin().listed().count());
        return;
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
    let source = row["src"].as_str().unwrap_or("lines").to_owned();
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
    if asked.shows_missed && !is_flagged || asked.shows_flagged && is_flagged {
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
    if asked.by_rule {
        for (rule, sources) in matched {
            let counts: Vec<_> = sources.iter().map(|(source, count)| format!("{source} {count}")).collect();
            println!("{rule}: {}", counts.join(", "));
        }
    }
}
