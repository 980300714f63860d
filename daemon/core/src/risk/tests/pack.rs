//! Each rule of the pack against its own lines.

use super::super::builtin;
use super::*;

#[test]
fn the_whole_pack_is_in_use() {
    let rules = Rules::builtin();
    assert_eq!(rules.refused(), []);
    assert_eq!(rules.listed().count(), builtin::files().count());
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
