//! The compiled rules against a plain reading of Sigma's specification, slow and short.
#![expect(clippy::wildcard_enum_match_arm, reason = "the rules that it reads use little of what Sigma has")]

use rsigma_eval::Event as _;
use rsigma_parser::value::{SpecialChar, StringPart};
use rsigma_parser::{
    ConditionExpr, Detection, DetectionItem, Modifier, Quantifier, SigmaRule, SigmaValue, parse_sigma_yaml,
};

use super::super::builtin;
use super::*;

/// What is looked for, character by character; `None` for any text.
type Glob = Vec<Option<char>>;

fn matches(glob: &[Option<char>], text: &[char]) -> bool {
    match (glob.first(), text.first()) {
        (None, _) => text.is_empty(),
        (Some(None), _) => (0..=text.len()).any(|skipped| matches(&glob[1..], &text[skipped..])),
        (Some(Some(ANY_ONE)), Some(_)) => matches(&glob[1..], &text[1..]),
        (Some(Some(letter)), Some(other)) => letter == other && matches(&glob[1..], &text[1..]),
        (Some(Some(_)), None) => false,
    }
}

const ANY_ONE: char = '\u{0}';

fn glob(value: &SigmaValue, modifiers: &[Modifier]) -> Glob {
    let mut glob = Glob::new();
    if modifiers.contains(&Modifier::Contains) || modifiers.contains(&Modifier::EndsWith) {
        glob.push(None);
    }
    match value {
        SigmaValue::String(text) => {
            for part in &text.parts {
                match part {
                    StringPart::Plain(text) => glob.extend(text.chars().map(Some)),
                    StringPart::Special(SpecialChar::WildcardMulti) => glob.push(None),
                    StringPart::Special(SpecialChar::WildcardSingle) => glob.push(Some(ANY_ONE)),
                }
            }
        }
        other => glob.extend(other.to_string().chars().map(Some)),
    }
    if modifiers.contains(&Modifier::Contains) || modifiers.contains(&Modifier::StartsWith) {
        glob.push(None);
    }
    glob
}

fn is_value(value: &SigmaValue, modifiers: &[Modifier], text: &str) -> bool {
    if modifiers.contains(&Modifier::Re) {
        return regex::Regex::new(&value.to_string()).unwrap().is_match(text);
    }
    let fold = |text: String| if modifiers.contains(&Modifier::Cased) { text } else { text.to_lowercase() };
    let text: Vec<char> = fold(text.to_owned()).chars().collect();
    let glob: Glob = glob(value, modifiers)
        .into_iter()
        .flat_map(|one| match one {
            Some(letter) => fold(letter.to_string()).chars().map(Some).collect(),
            None => vec![None],
        })
        .collect();
    matches(&glob, &text)
}

fn of_item(item: &DetectionItem, event: &Event<'_>) -> bool {
    let texts: Vec<String> = match &item.field.name {
        None => event.all_string_values().into_iter().map(Into::into).collect(),
        Some(name) => match event.get_field(name).map(|value| value.to_json()) {
            None => return false,
            Some(serde_json::Value::Array(values)) => {
                values.iter().map(|value| value.as_str().unwrap().to_owned()).collect()
            }
            Some(serde_json::Value::String(text)) => vec![text],
            Some(other) => vec![other.to_string()],
        },
    };
    let modifiers = &item.field.modifiers;
    let found = |value| texts.iter().any(|text| is_value(value, modifiers, text));
    if modifiers.contains(&Modifier::All) {
        item.values.iter().all(found)
    } else {
        item.values.iter().any(found)
    }
}

fn of_detection(detection: &Detection, event: &Event<'_>) -> bool {
    match detection {
        Detection::AllOf(items) => items.iter().all(|item| of_item(item, event)),
        Detection::AnyOf(parts) => parts.iter().any(|part| of_detection(part, event)),
        Detection::And(parts) => parts.iter().all(|part| of_detection(part, event)),
        other => panic!("{other:?}"),
    }
}

fn of_condition(condition: &ConditionExpr, rule: &SigmaRule, event: &Event<'_>) -> bool {
    match condition {
        ConditionExpr::And(parts) => parts.iter().all(|part| of_condition(part, rule, event)),
        ConditionExpr::Or(parts) => parts.iter().any(|part| of_condition(part, rule, event)),
        ConditionExpr::Not(part) => !of_condition(part, rule, event),
        ConditionExpr::Identifier(name) => of_detection(&rule.detection.named[name], event),
        ConditionExpr::Selector { quantifier, pattern } => {
            let pattern = pattern.to_string();
            let is_meant = |name: &str| match pattern.split_once('*') {
                _ if pattern == "them" => !name.starts_with('_'),
                Some((begin, end)) => name.starts_with(begin) && name.ends_with(end),
                None => name == pattern,
            };
            let mut meant = rule.detection.named.iter().filter(|(name, _)| is_meant(name));
            match quantifier {
                Quantifier::Any => meant.any(|(_, one)| of_detection(one, event)),
                Quantifier::All => meant.all(|(_, one)| of_detection(one, event)),
                Quantifier::Count(least) => {
                    meant.filter(|(_, one)| of_detection(one, event)).count() as u64 >= *least
                }
            }
        }
    }
}

/// Returns every text that a rule looks for, wildcards as they are.
fn texts(detection: &Detection) -> Vec<(bool, String)> {
    match detection {
        Detection::AllOf(items) => {
            let of_item = |item: &DetectionItem| {
                let is_image = item.field.name.as_deref() == Some("Image");
                item.values.iter().map(move |value| (is_image, value.to_string())).collect::<Vec<_>>()
            };
            items.iter().flat_map(of_item).collect()
        }
        Detection::AnyOf(parts) | Detection::And(parts) => parts.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// Writes lines that a rule may match: each program that it names with all, half and each of what it looks for.
fn lines_for(rule: &SigmaRule) -> Vec<String> {
    let all: Vec<_> = rule.detection.named.values().flat_map(texts).collect();
    let programs = all.iter().filter(|(is_image, _)| *is_image).map(|(_, text)| text.as_str());
    let wanted: Vec<_> =
        all.iter().filter(|(is_image, _)| !is_image).map(|(_, text)| text.as_str()).collect();
    let mut lines = Vec::new();
    for program in programs.take(5).chain(["bash"]) {
        lines.push(format!("{program} {}", wanted.join(" ")));
        lines.push(format!("{program} {} ", wanted[..wanted.len() / 2].join("  ").to_uppercase()));
        lines.extend(wanted.iter().take(2).map(|text| format!("{program} {text} x")));
    }
    lines
}

#[test]
fn compiled_rules_say_what_the_specification_says() {
    let rules = all_rules();
    let files = sigma();
    let mut parsed: Vec<SigmaRule> = Vec::new();
    for (_, text) in &files {
        parsed.append(&mut parse_sigma_yaml(std::str::from_utf8(text).unwrap()).unwrap().rules);
    }
    let mut lines: Vec<String> = parsed.iter().flat_map(lines_for).collect();
    lines.extend(include_str!("../../../../../tests/data/history/kypo-part.jsonl").lines().step_by(40).map(
        |line| {
            let fields: serde_json::Value = serde_json::from_str(line).unwrap();
            fields["cmd"].as_str().unwrap().to_owned()
        },
    ));
    lines.sort();
    lines.dedup();
    let mut matched = std::collections::BTreeSet::new();
    for line in &lines {
        let found = parse(line.as_bytes());
        let surroundings = Surroundings { cwd: b"/tmp/work", user: "eve", shell: "zsh" };
        let scene = Scene::new(line.as_bytes(), &found, surroundings);
        let kept = ids_at(&rules, line, surroundings);
        let events = (0..found.runs.len()).map(|run| scene.of_run(run));
        let events: Vec<_> = events.chain([scene.whole()]).collect();
        for rule in &parsed {
            let id = rule.id.as_deref().unwrap();
            let compiled = rules.rules.iter().find(|one| one.listed.id == id).unwrap();
            let is_for_whole = whole::is_for_whole_lines(&compiled.parsed);
            let mut is_wanted = false;
            for event in &events {
                let wanted = rule.detection.conditions.iter().any(|one| of_condition(one, rule, event));
                let is_found = evaluate_rule(compiled.compiled().unwrap(), event).is_some();
                assert_eq!(is_found, wanted, "{} of {line:?} by {}", event.command_line, rule.title);
                is_wanted |= wanted && (event.run.is_some() || is_for_whole);
            }
            // What the search for words leaves out must not have matched.
            assert_eq!(kept.iter().any(|kept| kept == id), is_wanted, "{line:?} by {}", rule.title);
            if is_wanted {
                matched.insert(id.to_owned());
            }
        }
    }
    // The others ask for what no such line has: a parent, a directory, an expression.
    assert!(matched.len() >= 90, "{} rules matched any of {} lines", matched.len(), lines.len());
}

/// Every line of the pack's own tests and of a history: what is not looked at must not have matched.
#[test]
fn the_search_for_words_leaves_out_nothing_that_matches() {
    let rules = all_rules();
    let mut lines: Vec<String> = Vec::new();
    for (_, matches, misses) in builtin::lines() {
        lines.extend(matches.lines().chain(misses.lines().take(1)).map(|line| line.replace("\\n", "\n")));
    }
    lines.extend(["MA\u{17f}K \u{212a}x", "\u{130}d; ls", "ls | \u{e9} > /dev/sda"].map(str::to_owned));
    let surroundings = Surroundings { cwd: b"/tmp/work", user: "eve", shell: "zsh" };
    let mut looked_at = 0;
    for line in lines.iter().filter(|line| !line.is_empty()).step_by(4) {
        let found = parse(line.as_bytes());
        let scene = Scene::new(line.as_bytes(), &found, surroundings);
        let mut wanted = std::collections::BTreeSet::new();
        let events = (0..found.runs.len()).map(|run| scene.of_run(run));
        for event in events.chain([scene.whole()]) {
            for (rule, is_whole) in rules.rules.iter().zip(&rules.whole) {
                let is_put = event.run.is_some() || *is_whole;
                if is_put && evaluate_rule(rule.compiled().unwrap(), &event).is_some() {
                    wanted.insert(rule.listed.id.clone());
                }
            }
            looked_at += 1;
        }
        let kept: std::collections::BTreeSet<_> = ids_at(&rules, line, surroundings).into_iter().collect();
        assert_eq!(kept, wanted, "{line:?}");
    }
    assert!(looked_at > 200);
}
