//! Which rules can match an event at all, found by one pass over its text.
//!
//! Of each compiled rule it is worked out what must hold for it to match: fields that must be there, and groups
//! of words of which at least one must stand in the *subject*, the text of `Image` and `CommandLine`. All words
//! of all rules are one Aho-Corasick automaton; a rule is looked at only when each of its groups was hit. That
//! may only ever let too many through: what is not understood here requires nothing.
//!
//! Aho, Corasick: Efficient String Matching, 1975.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind};
use regex_syntax::hir::{Hir, HirKind};
use rsigma_eval::matcher::{CompiledMatcher, GroupMode};
use rsigma_eval::{CompiledDetection, CompiledDetectionItem, CompiledRule};
use rsigma_parser::{ConditionExpr, Quantifier};

use super::fields::{Field, Fields, Known};

/// Groups of words that a rule keeps: the best ones rule out nearly all.
const GROUPS_MAX: usize = 3;

/// Words in a group; more of them rule out little and cost memory.
const GROUP_WORDS_MAX: usize = 512;

/// Words shorter than this are in every line.
const WORD_BYTES_MIN: usize = 2;

/// Words of which at least one must stand in the subject, in lower case.
type Group = Vec<String>;

/// What must hold for a rule to match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// Fields that must be there; of a claim, that it is true.
    pub(super) fields: Fields,
    groups: Vec<Group>,
}

impl Needs {
    /// Works out what a rule needs.
    pub(super) fn of(rule: &CompiledRule) -> Self {
        let mut needs = any_of(rule.conditions.iter().map(|condition| of_condition(condition, rule)));
        needs.groups.sort_by_key(|group| std::cmp::Reverse(worth(group)));
        needs.groups.truncate(GROUPS_MAX);
        needs
    }
}

/// Says how much a group rules out: by its shortest word, then by how few there are.
fn worth(group: &Group) -> (usize, std::cmp::Reverse<usize>) {
    let shortest = group.iter().map(String::len).min().unwrap_or(0);
    (shortest.min(5), std::cmp::Reverse(group.len()))
}

fn all_of(parts: impl Iterator<Item = Needs>) -> Needs {
    parts.fold(Needs::default(), |mut all, part| {
        all.fields = all.fields.with(part.fields);
        all.groups.extend(part.groups);
        all
    })
}

fn any_of(parts: impl Iterator<Item = Needs>) -> Needs {
    let mut fields: Option<Fields> = None;
    let mut groups: Option<Group> = Some(Group::new());
    for part in parts {
        fields = Some(fields.map_or(part.fields, |fields| fields.in_both(part.fields)));
        let best = part.groups.into_iter().max_by_key(worth);
        groups = groups.zip(best).map(|(mut group, best)| {
            group.extend(best);
            group
        });
    }
    let groups = groups.filter(|group| (1..=GROUP_WORDS_MAX).contains(&group.len()));
    Needs { fields: fields.unwrap_or_default(), groups: groups.into_iter().collect() }
}

fn of_condition(condition: &ConditionExpr, rule: &CompiledRule) -> Needs {
    match condition {
        ConditionExpr::And(parts) => all_of(parts.iter().map(|part| of_condition(part, rule))),
        ConditionExpr::Or(parts) => any_of(parts.iter().map(|part| of_condition(part, rule))),
        ConditionExpr::Not(_) => Needs::default(),
        ConditionExpr::Identifier(name) => rule.detections.get(name).map(of_detection).unwrap_or_default(),
        ConditionExpr::Selector { quantifier, pattern } => {
            // In order of their names, so that the same rule always gives the same groups.
            let named: BTreeMap<_, _> =
                rule.detections.iter().filter(|(name, _)| pattern.matches_detection_name(name)).collect();
            let parts = named.into_values().map(of_detection);
            match quantifier {
                Quantifier::All => all_of(parts),
                Quantifier::Count(0) => Needs::default(),
                Quantifier::Any | Quantifier::Count(_) => any_of(parts),
            }
        }
    }
}

fn of_detection(detection: &CompiledDetection) -> Needs {
    match detection {
        CompiledDetection::AllOf(items) => all_of(items.iter().map(of_item)),
        CompiledDetection::AnyOf(parts) => any_of(parts.iter().map(of_detection)),
        CompiledDetection::And(parts) => all_of(parts.iter().map(of_detection)),
        CompiledDetection::Keywords(_)
        | CompiledDetection::ArrayMatch { .. }
        | CompiledDetection::Conditional { .. } => Needs::default(),
    }
}

fn of_item(item: &CompiledDetectionItem) -> Needs {
    let Some(Known::Present(field)) = item.field.as_deref().map(Known::of) else { return Needs::default() };
    let mut needs = Needs::default();
    // A claim is never absent; any other field that is absent matches nothing but `null`.
    let must_be = match (field, item.exists) {
        (_, Some(false)) => false,
        (Field::Claim(_), Some(true)) => false,
        (_, Some(true)) => true,
        (Field::Claim(_), None) => wants_true(&item.matcher),
        (Field::Text(_) | Field::List(_), None) => !matches!(item.matcher, CompiledMatcher::Null),
    };
    if must_be {
        needs.fields = Fields::of(field);
    }
    if item.exists.is_none() && field.is_of_subject() {
        needs.groups = groups(&item.matcher);
    }
    needs
}

fn wants_true(matcher: &CompiledMatcher) -> bool {
    matches!(matcher, CompiledMatcher::BoolEq(true))
        || matches!(matcher, CompiledMatcher::Exact { value, .. } if value.eq_ignore_ascii_case("true"))
}

/// Returns the groups of words that a text must hold for a matcher to match it.
#[expect(clippy::wildcard_enum_match_arm, reason = "a matcher of another kind needs nothing that we know of")]
fn groups(matcher: &CompiledMatcher) -> Vec<Group> {
    match matcher {
        CompiledMatcher::Exact { value, .. }
        | CompiledMatcher::Contains { value, .. }
        | CompiledMatcher::StartsWith { value, .. }
        | CompiledMatcher::EndsWith { value, .. } => one_of([value.as_str()]),
        CompiledMatcher::AhoCorasickSet { needles, .. } => one_of(needles.iter().map(String::as_str)),
        CompiledMatcher::Regex(regex) => of_pattern(regex.as_str()),
        CompiledMatcher::RegexSetMatch { set, mode } => {
            joined(*mode, set.patterns().iter().map(|pattern| of_pattern(pattern)))
        }
        CompiledMatcher::AnyOf(parts) => joined(GroupMode::Any, parts.iter().map(groups)),
        CompiledMatcher::AllOf(parts) => joined(GroupMode::All, parts.iter().map(groups)),
        CompiledMatcher::CaseInsensitiveGroup { children, mode } => {
            joined(*mode, children.iter().map(groups))
        }
        _ => Vec::new(),
    }
}

fn joined(mode: GroupMode, parts: impl Iterator<Item = Vec<Group>>) -> Vec<Group> {
    let parts = parts.map(|groups| Needs { groups, ..Needs::default() });
    match mode {
        GroupMode::Any => any_of(parts).groups,
        GroupMode::All => all_of(parts).groups,
    }
}

/// Makes a group of words; none where one of them is too short, or has letters whose case is not ASCII's.
fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<Group> {
    let group: Group = words.into_iter().map(str::to_ascii_lowercase).collect();
    let is_useful = (1..=GROUP_WORDS_MAX).contains(&group.len())
        && group.iter().all(|word| word.len() >= WORD_BYTES_MIN && word.is_ascii());
    if is_useful { vec![group] } else { Vec::new() }
}

fn of_pattern(pattern: &str) -> Vec<Group> {
    regex_syntax::parse(pattern).map(|hir| of_expression(&hir)).unwrap_or_default()
}

/// Returns the groups of a regular expression: runs of literal letters that it cannot do without.
fn of_expression(hir: &Hir) -> Vec<Group> {
    match hir.kind() {
        HirKind::Concat(parts) => of_concat(parts),
        HirKind::Alternation(parts) => joined(GroupMode::Any, parts.iter().map(of_expression)),
        HirKind::Capture(capture) => of_expression(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => of_expression(&repetition.sub),
        HirKind::Literal(_) => of_concat(std::slice::from_ref(hir)),
        HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) | HirKind::Repetition(_) => Vec::new(),
    }
}

fn of_concat(parts: &[Hir]) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut run = String::new();
    for part in parts {
        match letters(part) {
            Some(letters) => run.push_str(&letters),
            None => {
                groups.extend(one_of([std::mem::take(&mut run).as_str()]));
                groups.extend(of_expression(part));
            }
        }
    }
    groups.extend(one_of([run.as_str()]));
    groups
}

/// Returns the letters that an expression stands for, case aside, if it stands for one text only.
fn letters(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            text.is_ascii().then(|| text.to_ascii_lowercase())
        }
        // `(?i)k` is a class of `K`, `k` and the Kelvin sign.
        HirKind::Class(regex_syntax::hir::Class::Unicode(class)) => {
            let are_single = class.iter().all(|range| range.start() == range.end());
            let mut folded = class.iter().map(|range| folded(range.start()));
            let first = folded.next()?.filter(|_| are_single)?;
            folded.all(|letter| letter == Some(first)).then(|| first.to_string())
        }
        HirKind::Empty
        | HirKind::Class(_)
        | HirKind::Look(_)
        | HirKind::Repetition(_)
        | HirKind::Capture(_)
        | HirKind::Concat(_)
        | HirKind::Alternation(_) => None,
    }
}

/// Returns the ASCII letter that a letter is but for its case, if any.
const fn folded(letter: char) -> Option<char> {
    match letter {
        KELVIN => Some('k'),
        LONG_S => Some('s'),
        _ if letter.is_ascii() => Some(letter.to_ascii_lowercase()),
        _ => None,
    }
}

/// The only letters beyond ASCII that are one of ASCII's but for their case.
const KELVIN: char = '\u{212a}';
const LONG_S: char = '\u{17f}';

/// Makes the text that [`Needles::find`] looks through: case beyond ASCII is folded as rules fold it.
pub(super) fn subject(image: &str, command_line: &str) -> String {
    let mut subject = String::with_capacity(image.len() + 1 + command_line.len());
    subject.push_str(image);
    subject.push('\n');
    subject.push_str(command_line);
    if subject.is_ascii() { subject } else { subject.to_lowercase().replace(LONG_S, "s") }
}

/// The words of all rules.
#[derive(Debug)]
pub(super) struct Needles {
    automaton: Option<AhoCorasick>,
    /// For each word the rules and groups that it stands in.
    uses: Vec<Vec<(u16, u8)>>,
    rules: Vec<Needed>,
    /// Rules without any group: only their fields can rule them out.
    groupless: Vec<u16>,
}

#[derive(Debug)]
struct Needed {
    fields: Fields,
    /// One bit for each group.
    groups: u8,
}

/// Room for what one event hits, used again for the next.
#[derive(Debug)]
pub(super) struct Hits {
    words: Vec<u64>,
    groups: Vec<u8>,
    touched: Vec<u16>,
    candidates: Vec<u16>,
}

impl Needles {
    /// Makes the automaton of what the rules need, which come in their order.
    pub(super) fn new(needs: &[Needs]) -> Self {
        let mut words: BTreeMap<&str, Vec<(u16, u8)>> = BTreeMap::new();
        let mut rules = Vec::new();
        let mut groupless = Vec::new();
        for (needs, rule) in needs.iter().zip(0_u16..) {
            for (group, bit) in needs.groups.iter().zip(0_u8..) {
                for word in group {
                    words.entry(word).or_default().push((rule, 1 << bit));
                }
            }
            let groups = needs.groups.iter().zip(0_u8..).fold(0, |bits, (_, bit)| bits | 1 << bit);
            if groups == 0 {
                groupless.push(rule);
            }
            rules.push(Needed { fields: needs.fields, groups });
        }
        let automaton = AhoCorasickBuilder::new()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .ascii_case_insensitive(true)
            .build(words.keys());
        // An automaton that cannot be built, for its size, would rule out nothing.
        let automaton = automaton.ok();
        Self { automaton, uses: words.into_values().collect(), rules, groupless }
    }

    /// Makes the room that [`find`](Self::find) needs.
    pub(super) fn hits(&self) -> Hits {
        Hits {
            words: vec![0; self.uses.len().div_ceil(64)],
            groups: vec![0; self.rules.len()],
            touched: Vec::new(),
            candidates: Vec::new(),
        }
    }

    /// Returns the rules, in order, that can match an event of this subject and these fields.
    pub(super) fn find<'h>(&self, subject: &str, fields: Fields, hits: &'h mut Hits) -> &'h [u16] {
        hits.candidates.clear();
        let Some(automaton) = &self.automaton else {
            hits.candidates.extend(0..u16::try_from(self.rules.len()).unwrap_or(u16::MAX));
            return &hits.candidates;
        };
        hits.words.fill(0);
        for found in automaton.find_overlapping_iter(subject) {
            let word = found.pattern().as_usize();
            let bit = 1 << (word % 64);
            if hits.words[word / 64] & bit != 0 {
                continue;
            }
            hits.words[word / 64] |= bit;
            for (rule, group) in &self.uses[word] {
                let groups = &mut hits.groups[usize::from(*rule)];
                if *groups == 0 {
                    hits.touched.push(*rule);
                }
                *groups |= group;
            }
        }
        for rule in hits.touched.drain(..).chain(self.groupless.iter().copied()) {
            let needed = &self.rules[usize::from(rule)];
            let groups = std::mem::take(&mut hits.groups[usize::from(rule)]);
            if groups == needed.groups && fields.holds(needed.fields) {
                hits.candidates.push(rule);
            }
        }
        hits.candidates.sort_unstable();
        &hits.candidates
    }
}
