//! Values with wildcards, made regular expressions by us.
//!
//! rsigma-eval 0.23 binds them to the wrong end: under `startswith` it demands that the text *ends* there, under
//! `endswith` that it begins there; and its `*` and `?` stop at a newline, which a shell line may hold. So every
//! such value is handed on as a regular expression that says what Sigma says.

use rsigma_parser::value::{SpecialChar, StringPart};
use rsigma_parser::{Detection, DetectionItem, FieldSpec, Modifier, SigmaRule, SigmaValue};

/// Modifiers that say where in a text a value stands, and nothing that changes the value.
const PLAIN: [Modifier; 5] =
    [Modifier::Contains, Modifier::StartsWith, Modifier::EndsWith, Modifier::All, Modifier::Cased];

/// Makes regular expressions of all values with wildcards.
pub(super) fn settle(rule: &mut SigmaRule) {
    rule.detection.named.values_mut().for_each(of_detection);
}

fn of_detection(detection: &mut Detection) {
    match detection {
        Detection::AllOf(items) => {
            let (wild, mut plain): (Vec<_>, Vec<_>) = items.drain(..).partition(is_wild);
            let mut parts = Vec::new();
            for item in wild {
                let is_all = item.field.has_modifier(Modifier::All);
                let each = apart(item);
                if is_all {
                    plain.extend(each);
                } else {
                    parts.push(Detection::AnyOf(
                        each.into_iter().map(|item| Detection::AllOf(vec![item])).collect(),
                    ));
                }
            }
            if parts.is_empty() {
                *items = plain;
                return;
            }
            if !plain.is_empty() {
                parts.push(Detection::AllOf(plain));
            }
            *detection = Detection::And(parts);
        }
        Detection::AnyOf(parts) | Detection::And(parts) => parts.iter_mut().for_each(of_detection),
        Detection::Keywords(_) | Detection::ArrayMatch { .. } | Detection::Conditional { .. } => {}
    }
}

fn is_wild(item: &DetectionItem) -> bool {
    item.field.name.is_some()
        && item.field.modifiers.iter().all(|modifier| PLAIN.contains(modifier))
        && item.values.iter().any(has_wildcards)
}

/// Takes an item apart: each value with wildcards by itself, and the others together, if there are any.
fn apart(mut item: DetectionItem) -> Vec<DetectionItem> {
    let (wild, plain): (Vec<_>, Vec<_>) = item.values.drain(..).partition(has_wildcards);
    let mut items = Vec::new();
    for value in wild {
        let field = FieldSpec::new(item.field.name.clone(), vec![Modifier::Re]);
        let pattern = SigmaValue::from_raw_string(&pattern(&value, &item.field.modifiers));
        items.push(DetectionItem { field, values: vec![pattern] });
    }
    // `all` of one value is refused, and says nothing.
    if plain.len() == 1 {
        item.field.modifiers.retain(|modifier| *modifier != Modifier::All);
    }
    if !plain.is_empty() {
        item.values = plain;
        items.push(item);
    }
    items
}

fn has_wildcards(value: &SigmaValue) -> bool {
    matches!(value, SigmaValue::String(text) if text.contains_wildcards())
}

/// Returns the regular expression that says what a value says.
fn pattern(value: &SigmaValue, modifiers: &[Modifier]) -> String {
    let SigmaValue::String(text) = value else { return String::new() };
    let has = |modifier| modifiers.contains(&modifier);
    let mut pattern = String::from(if has(Modifier::Cased) { "(?s)" } else { "(?is)" });
    if !has(Modifier::Contains) && !has(Modifier::EndsWith) {
        pattern.push('^');
    }
    for part in &text.parts {
        match part {
            StringPart::Plain(text) => pattern.push_str(&regex_syntax::escape(text)),
            StringPart::Special(SpecialChar::WildcardMulti) => pattern.push_str(".*"),
            StringPart::Special(SpecialChar::WildcardSingle) => pattern.push('.'),
        }
    }
    if !has(Modifier::Contains) && !has(Modifier::StartsWith) {
        pattern.push('$');
    }
    pattern
}
