//! Which rules are looked at for a line as a whole.
//!
//! A rule for processes asks what one program's command line holds; put to a whole line it would match what two
//! programs hold together. So only two kinds of rules are put to it: those that ask for `Karo.Scope`, and those
//! that look in `CommandLine` or `Karo.Line` for what only a shell's text holds, an operator: `| bash`, `>/dev/sda`.

use rsigma_eval::matcher::CompiledMatcher;
use rsigma_eval::{CompiledDetection, CompiledDetectionItem, CompiledRule};

/// What stands in the text of a shell and not among the arguments of a program.
const OPERATORS: [&str; 6] = ["|", ">", "<", ";", "&&", "$("];

/// Tells whether a rule is put to whole lines.
pub(super) fn is_for_whole_lines(rule: &CompiledRule) -> bool {
    rule.detections.values().any(of_detection)
}

fn of_detection(detection: &CompiledDetection) -> bool {
    match detection {
        CompiledDetection::AllOf(items) => items.iter().any(of_item),
        CompiledDetection::AnyOf(parts) | CompiledDetection::And(parts) => parts.iter().any(of_detection),
        CompiledDetection::Keywords(matcher) => has_operator(matcher),
        CompiledDetection::ArrayMatch { .. } | CompiledDetection::Conditional { .. } => false,
    }
}

fn of_item(item: &CompiledDetectionItem) -> bool {
    match item.field.as_deref() {
        Some("Karo.Scope") => true,
        Some("CommandLine" | "Karo.Line") | None => has_operator(&item.matcher),
        Some(_) => false,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "matchers of other kinds hold no text")]
fn has_operator(matcher: &CompiledMatcher) -> bool {
    let holds = |text: &str| OPERATORS.iter().any(|operator| text.contains(operator));
    // In an expression `|` is a choice; where it is meant it stands behind a backslash or in brackets.
    let pattern_holds = |pattern: &str| {
        [r"\|", "[|", ">", ";", "&&"].iter().any(|operator| pattern.contains(operator))
            && !pattern.contains("(?P<")
    };
    match matcher {
        CompiledMatcher::Exact { value, .. }
        | CompiledMatcher::Contains { value, .. }
        | CompiledMatcher::StartsWith { value, .. }
        | CompiledMatcher::EndsWith { value, .. } => holds(value),
        CompiledMatcher::AhoCorasickSet { needles, .. } => needles.iter().any(|needle| holds(needle)),
        CompiledMatcher::Regex(regex) => pattern_holds(regex.as_str()),
        CompiledMatcher::RegexSetMatch { set, .. } => set.patterns().iter().any(|one| pattern_holds(one)),
        CompiledMatcher::AnyOf(parts) | CompiledMatcher::AllOf(parts) => parts.iter().any(has_operator),
        CompiledMatcher::CaseInsensitiveGroup { children, .. } => children.iter().any(has_operator),
        _ => false,
    }
}
