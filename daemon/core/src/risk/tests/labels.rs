//! The built-in pack against lines that a person labelled: `tests/data/risk`.

use super::*;
use crate::redact::Redactor;
use karo_protocol::RawCommand;

const SET: &str = include_str!("../../../../../tests/data/risk/set.jsonl");
const HOLDOUT: &str = include_str!("../../../../../tests/data/risk/holdout.jsonl");

/// Sources of everyday work; what attackers type to look around is no measure of what people are bothered with.
const EVERYDAY: [&str; 4] = ["tldr", "nl2bash", "kypo", "own"];

/// Returns what the pack says of a line, as the daemon asks it: without the line's secrets.
fn risk(rules: &Rules, text: &str) -> Option<Risk> {
    let redacted = Redactor::default().redact(&RawCommand::new(text), &parse(text.as_bytes()));
    let text = redacted.command.as_bytes();
    rules.assess(text, &parse(text), Surroundings::default()).risk
}

fn share(part: usize, of: usize) -> f64 {
    part as f64 / of as f64
}

#[test]
fn labelled_lines_are_told_as_a_person_told_them() {
    let rules = Rules::builtin();
    let (mut risky, mut risky_flagged) = (0, 0);
    let (mut high, mut high_flagged, mut high_as_high) = (0, 0, 0);
    let (mut everyday, mut everyday_flagged) = (0, 0);
    for row in SET.lines().chain(HOLDOUT.lines()) {
        let row: serde_json::Value = serde_json::from_str(row).unwrap();
        let risk = risk(&rules, row["cmd"].as_str().unwrap());
        let is_flagged = usize::from(risk >= Some(Risk::Medium));
        let label = row["level"].as_str().unwrap();
        if label == "none" {
            if EVERYDAY.contains(&row["source"].as_str().unwrap()) {
                everyday += 1;
                everyday_flagged += is_flagged;
            }
            continue;
        }
        risky += 1;
        risky_flagged += is_flagged;
        if label == "high" {
            high += 1;
            high_flagged += is_flagged;
            high_as_high += usize::from(risk >= Some(Risk::High));
        }
    }
    assert!(share(risky_flagged, risky) >= 0.9, "{risky_flagged} of {risky} risky lines are flagged");
    assert!(share(high_flagged, high) >= 0.97, "{high_flagged} of {high} high lines are flagged");
    assert!(share(high_as_high, high) >= 0.92, "{high_as_high} of {high} high lines are told as high");
    assert!(
        share(everyday_flagged, everyday) <= 0.01,
        "{everyday_flagged} of {everyday} everyday lines are flagged"
    );
}
