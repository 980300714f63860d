//! Each rule of the pack against its own lines.

use super::super::builtin;
use super::*;

#[test]
fn the_whole_pack_is_in_use() {
    let rules = Rules::builtin();
    assert_eq!(rules.refused(), []);
    assert_eq!(rules.listed().count(), builtin::files().count());
}

/// At a start they are not held against the limits any more.
#[test]
fn each_rule_would_be_taken_from_a_team() {
    let files: Vec<_> = builtin::files().collect();
    let rules = Rules::alone(&files);
    assert_eq!(rules.refused(), []);
    let listed =
        |rules: &Rules| rules.listed().map(|rule| (rule.id.clone(), rule.unseen.clone())).collect::<Vec<_>>();
    assert_eq!(listed(&rules), listed(&Rules::builtin()));
}

#[test]
fn each_rule_matches_its_lines_and_misses_the_others() {
    let rules = Rules::builtin();
    let mut wrong = Vec::new();
    for (path, matches, misses) in builtin::lines() {
        let id = rules.listed().find(|rule| rule.path == path).expect("the pack is in use").id.clone();
        for (lines, is_wanted) in [(matches, true), (misses, false)] {
            for line in lines.lines().filter(|line| !line.is_empty()) {
                let text = line.replace("\\n", "\n");
                if ids(&rules, &text).contains(&id) != is_wanted {
                    wrong.push(format!("{path} {} {line}", if is_wanted { "misses" } else { "matches" }));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
