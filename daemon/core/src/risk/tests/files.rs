//! Files that are rules, and files that are not: named, skipped, and nothing worse.

use proptest::prelude::*;

use super::super::limits::{CONDITION_NESTING_MAX, FILE_BYTES_MAX, NESTING_MAX, VALUES_MAX};
use super::*;

/// Demands that a file is refused, at a line, for a reason with those words.
#[track_caller]
fn check(text: &str, line: Option<u32>, words: &str) {
    let rules = one(text);
    let [refused] = rules.refused() else { panic!("refused: {:?}", rules.refused()) };
    assert!(refused.reason.contains(words), "{refused:?}");
    assert_eq!((refused.path.as_str(), refused.line), ("team/one.yml", line), "{refused:?}");
    assert_eq!(rules.listed().count(), 0);
}

fn detecting(detection: &str) -> String {
    written("a-rule", detection)
}

#[test]
fn every_rule_of_sigmahq_for_linux_is_in_use() {
    let rules = all_rules();
    assert_eq!(rules.refused(), []);
    assert_eq!(rules.listed().filter(|rule| rule.origin == Origin::Team).count(), 122);
    assert!(rules.listed().is_sorted_by_key(|rule| std::cmp::Reverse(rule.level)));
    assert_eq!(rules.reads(), Reads { cwd: true, user: true, shell: true });
}

#[test]
fn what_no_line_has_is_remarked() {
    let rules = one(&detecting(
        "one:\n    Image|endswith: /x\n    LogonId: 4\n    Hashes|contains: a\ncondition: one",
    ));
    assert_eq!(rules.refused(), []);
    let listed = rules.listed().find(|rule| rule.id == "a-rule").unwrap();
    assert_eq!(listed.unseen, ["Hashes", "LogonId"]);
    assert_eq!(ids(&rules, "x"), Vec::<String>::new());
}

#[test]
fn files_that_are_no_rules_are_named() {
    check("", None, "no rule in it");
    check("# nothing\n---\n\n", None, "no rule in it");
    check("\n- a\n- b\n", Some(1), "not a map");
    check("title: [\n", Some(2), "did not find expected node content");
    check("a: b\n c: d\n", Some(2), "mapping values");
    check("title: a\ntitle: b\n", Some(1), "duplicate");
}

#[test]
fn rules_that_are_not_for_lines_are_named() {
    let rule = detecting("one:\n    Image: a\ncondition: one");
    check(&rule.replace("id: a-rule\n", ""), Some(1), "no id");
    check(&rule.replace("a-rule", "a rule"), Some(2), "an id is");
    check(&rule.replace("level: high\n", ""), Some(1), "no level");
    check(&rule.replace("level: high\n", "level: hgih\n"), Some(3), "no level");
    check(&rule.replace("level: high", "level: high\nstatus: deprecated"), Some(4), "deprecated");
    check(&rule.replace("product: linux", "product: windows"), Some(4), "for windows");
    check(&rule.replace("category: process_creation", "category: webserver"), Some(4), "about webserver");
    check(&rule.replace("category: process_creation", "service: sshd"), Some(4), "about sshd");
    check(&format!("{rule}correlation:\n    type: event_count\n"), Some(11), "a correlation");
    check(&format!("{rule}filter:\n    rules: any\n"), Some(11), "a filter");
    check(&format!("action: global\n{rule}"), Some(1), "a collection");
    check(&format!("{rule}sigma-version: 3\n"), Some(11), "only Sigma 2");
}

#[test]
fn detections_that_cannot_be_used_are_named() {
    check(&detecting("one:\n    Image: a\ncondition: two"), Some(7), "two");
    check(&detecting("one:\n    Image: a\ncondition: one and"), Some(10), "expected");
    check(&detecting("one:\n    Image: a"), Some(7), "condition");
    check(&detecting("one:\n    Image|begins: a\ncondition: one"), Some(7), "begins");
    check(&detecting("one:\n    Image|not: a\ncondition: one"), Some(7), "not a value modifier");
    check(&detecting("one:\n    Imag: a\ncondition: one"), Some(9), "the field Imag");
    check(&detecting("one:\n    Karo.Pipe: a\ncondition: one"), Some(9), "the field Karo.Pipe");
    check(&detecting("one:\n    User|expand: '%admins%'\ncondition: one"), Some(9), "pipeline");
    check(&detecting("one:\n    User|cidr: nothing\ncondition: one"), Some(7), "CIDR");
    check(&detecting("one:\n    User|re: '(a'\ncondition: one"), Some(9), "unclosed group");
}

#[test]
fn a_rule_may_come_once() {
    let rule = detecting("one:\n    Image: a\ncondition: one");
    let files = [("b.yml", &rule), ("a.yml", &rule)];
    let rules = Rules::load(&files.map(|(path, text)| RuleFile { path, text: text.as_bytes() }));
    let [refused] = rules.refused() else { panic!("{:?}", rules.refused()) };
    assert_eq!((refused.path.as_str(), refused.id.as_deref()), ("b.yml", Some("a-rule")));
    assert_eq!(refused.reason, "its id is that of a.yml");
    let rules = one(&format!("{rule}---\n{}", rule.replace("a-rule", "b rule")));
    assert_eq!(rules.refused()[0].line, Some(13), "a line of the file, not of the document");
}

#[test]
fn a_rule_with_the_id_of_a_built_in_one_takes_its_place() {
    let builtin = Rules::builtin().listed().next().unwrap().clone();
    let text = written(&builtin.id, "one:\n    Image: a\ncondition: one");
    let rules = Rules::load(&[RuleFile { path: "team/one.yml", text: text.as_bytes() }]);
    assert_eq!(rules.refused(), []);
    let listed: Vec<_> = rules.listed().filter(|rule| rule.id == builtin.id).collect();
    assert_eq!((listed.len(), listed[0].title.as_str()), (1, "One"));
}

#[test]
fn the_fingerprint_is_that_of_the_files() {
    let rule = detecting("one:\n    Image: a\ncondition: one");
    let fingerprint = one(&rule).fingerprint();
    assert_eq!(fingerprint, one(&rule).fingerprint());
    assert_ne!(fingerprint, Rules::builtin().fingerprint());
    assert_ne!(fingerprint, one(&rule.replace("high", "low")).fingerprint());
}

/// Each of these made some YAML library or some parser hang, grow or run out of stack.
#[test]
fn bombs_are_refused_by_name() {
    let laughs: String =
        (1..30).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(","))).collect();
    check(&format!("a0: &a0 [lol]\n{laughs}"), Some(1), "an anchor");
    check("a: 1\nb:\n  - 'x'\n  - {c: *a}\n", Some(4), "an alias");
    check("a: !!binary aGVsbG8=\n", Some(1), "a tag");
    check(&"[".repeat(100_000), Some(1), "nested deeper");
    check(&"{a: ".repeat(30_000), Some(1), "nested deeper");
    check(&"- ".repeat(50_000), Some(1), "nested deeper");
    let stairs: String = (0..300).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    let line = u32::try_from(NESTING_MAX + 1).unwrap();
    check(&stairs, Some(line), "nested deeper");
    check(&"a".repeat(FILE_BYTES_MAX + 1), None, "bytes long");
    let deep = CONDITION_NESTING_MAX + 1;
    let condition = format!("one:\n    Image: a\ncondition: {}one{}", "(".repeat(deep), ")".repeat(deep));
    check(&detecting(&condition), Some(10), "nested deeper");
    check(
        &detecting(&format!("one:\n    Image: a\ncondition: {}one", "not ".repeat(deep))),
        Some(10),
        "nested deeper",
    );
    check(
        &detecting(&format!("one:\n    Image: a\ncondition: one{}", " or one".repeat(600))),
        Some(10),
        "bytes",
    );
    check(
        &detecting("one:\n    Image|re: '((a{100}){100}){100}'\ncondition: one"),
        Some(9),
        "regular expression",
    );
    check(&detecting("one:\n    Image|re: '\\w{500}'\ncondition: one"), Some(9), "regular expression");
    check(&detecting("one:\n    Image|windash: '-a-b-c-d-e-f-g-h'\ncondition: one"), Some(9), "windash");
    check(
        &detecting(&format!("one:\n    Image: [{}]\ncondition: one", "a, ".repeat(VALUES_MAX + 1))),
        Some(9),
        "values",
    );
    check(
        &detecting(&format!("one:\n    Image: {}\ncondition: one", "a".repeat(9_000))),
        Some(9),
        "a value of",
    );
}

#[test]
fn ordinary_yaml_is_no_bomb() {
    let rule = detecting(
        "one:\n    CommandLine|contains:\n        - '*a'   # *b\n        - \"&b \\\" *c\"\n        - it's *d\n    \
         Image: {}\ncondition: |\n    one\n",
    );
    let rule = rule.replace("Image: {}", "User: x");
    let rule = rule.replace(
        "title: One",
        "title: One\ndescription: >\n  * a list\n  * of &things\nauthor: me\n  *and* you",
    );
    assert_eq!(one(&rule).refused(), []);
}

thread_local! {
    static FILES: Vec<(String, Vec<u8>)> = sigma();
}

proptest! {
    #[test]
    fn any_bytes_are_rules_or_named(text in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let rules = alone(&RuleFile { path: "any.yml", text: &text });
        prop_assert!(!rules.refused().is_empty());
    }

    #[test]
    fn any_change_to_a_rule_is_a_rule_or_named(
        which in 0..122_usize,
        at in 0..4_000_usize,
        piece in "[-&*!|>:{}\\[\\]#'\"%?, \n\t(a]{0,6}",
        length in 0..40_usize,
    ) {
        let (path, mut text) = FILES.with(|files| files[which].clone());
        let at = at.min(text.len());
        let end = (at + length).min(text.len());
        text.splice(at..end, piece.bytes());
        let rules = alone(&RuleFile { path: &path, text: &text });
        prop_assert!(rules.listed().count() + rules.refused().len() > 0);
    }
}
