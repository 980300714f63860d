//! What must hold for any bytes that are rules: they are used or named, and lines are put to them.
//!
//! The fuzz target and the replay of its corpus share it.

use karo_core::line::parse;
use karo_core::risk::limits::IDS_PER_LINE_MAX;
use karo_core::risk::{RuleFile, Rules, Surroundings};

/// Takes bytes as a line and, behind the first NUL, a file of rules; puts the line to the rules.
pub(crate) fn rules(bytes: &[u8]) {
    let at = bytes.iter().position(|byte| *byte == 0).unwrap_or(0);
    let (text, file) = bytes.split_at(at);
    let rules = Rules::alone(&[RuleFile { path: "any.yml", text: file }]);
    assert!(rules.listed().count() + rules.refused().len() > 0, "a file is used or named");
    let line = parse(text);
    let surroundings = Surroundings { cwd: b"/home/eve", user: "eve", shell: "bash" };
    let assessment = rules.assess(text, &line, surroundings);
    let matches = rules.matches(text, &line, surroundings);
    let ids: Vec<_> = matches.iter().map(|one| one.id.as_str()).take(IDS_PER_LINE_MAX).collect();
    assert_eq!(assessment.rules, ids);
    assert_eq!(assessment.risk, matches.first().map(|one| one.level));
}
