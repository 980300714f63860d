//! Which rules are looked at for a line as a whole.
//!
//! A rule for processes asks what one program's command line holds; put to a whole line it would match what two
//! programs hold together. So only two kinds of rules are put to it: those that ask for `Karo.Scope`, and those
//! that look in `CommandLine` or `Karo.Line` for what only a shell's text holds, an operator: `| bash`, `>/dev/sda`.

use rsigma_parser::{Detection, DetectionItem, Modifier, SigmaRule, SigmaValue};

/// What stands in the text of a shell and not among the arguments of a program.
const OPERATORS: [&str; 6] = ["|", ">", "<", ";", "&&", "$("];

/// The same in a regular expression, where `|` is a choice unless it stands behind a backslash or in brackets.
const OPERATORS_IN_EXPRESSIONS: [&str; 6] = [r"\|", "[|", ">", ";", "&&", r"\$\("];

/// Tells whether a rule is put to whole lines.
pub(super) fn is_for_whole_lines(rule: &SigmaRule) -> bool {
    rule.detection.named.values().any(of_detection)
}

fn of_detection(detection: &Detection) -> bool {
    match detection {
        Detection::AllOf(items) => items.iter().any(of_item),
        Detection::AnyOf(parts) | Detection::And(parts) => parts.iter().any(of_detection),
        Detection::Keywords(values) => values.iter().any(|value| holds(value, &OPERATORS)),
        Detection::ArrayMatch { .. } | Detection::Conditional { .. } => false,
    }
}

fn of_item(item: &DetectionItem) -> bool {
    let is_expression = item.field.has_modifier(Modifier::Re);
    let operators = if is_expression { OPERATORS_IN_EXPRESSIONS } else { OPERATORS };
    match item.field.name.as_deref() {
        Some("Karo.Scope") => true,
        Some("CommandLine" | "Karo.Line") | None => item.values.iter().any(|value| holds(value, &operators)),
        Some(_) => false,
    }
}

fn holds(value: &SigmaValue, operators: &[&str]) -> bool {
    matches!(value, SigmaValue::String(text) if operators.iter().any(|operator| text.original.contains(operator)))
}
