//! Rules against lines, and files that are no rules.

mod files;
mod labels;
mod lines;
mod pack;
mod reference;

use super::*;
use crate::line::parse;

/// Returns the rules of SigmaHQ for Linux, each with its path.
fn sigma() -> Vec<(String, Vec<u8>)> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/sigma");
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "yml")).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect()
}

/// Returns the rules of SigmaHQ and the built-in ones, in use.
fn all_rules() -> Rules {
    let files = sigma();
    let files: Vec<_> = files.iter().map(|(path, text)| RuleFile { path, text }).collect();
    Rules::load(&files)
}

/// Makes rules of one file that stands for a team's, without the built-in ones.
fn one(text: &str) -> Rules {
    alone(&RuleFile { path: "team/one.yml", text: text.as_bytes() })
}

fn alone(file: &RuleFile<'_>) -> Rules {
    Rules::alone(std::slice::from_ref(file))
}

/// Writes a rule with that detection.
fn written(id: &str, detection: &str) -> String {
    let detection: String = detection.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "title: One\nid: {id}\nlevel: high\nlogsource:\n    category: process_creation\n    product: linux\n\
         detection:\n{detection}"
    )
}

/// Returns the ids of the rules that match a line.
fn ids(rules: &Rules, text: &str) -> Vec<String> {
    ids_at(rules, text, Surroundings { cwd: b"/home/eve", user: "eve", shell: "bash" })
}

fn ids_at(rules: &Rules, text: &str, surroundings: Surroundings<'_>) -> Vec<String> {
    rules
        .matches(text.as_bytes(), &parse(text.as_bytes()), surroundings)
        .into_iter()
        .map(|one| one.id)
        .collect()
}
