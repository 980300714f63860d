//! One explanation for eyes: the line with its markers, what it is, then why.

use karo_protocol::explain::{Explanation, Match, Span};
use karo_protocol::{Axis, Category};

use super::prose::{heading, listed, put, put_exactly};
use super::runs;
use crate::ctl::shown::{Newline, columns, cut_end, pad, shown};
use crate::ctl::table::{self, DIM, Surface};

/// What of a line is shown at the most, in columns: some screens of it.
const LINE_COLUMNS_MAX: usize = 4000;

/// Rules and secrets that are shown at the most, of each.
const SHOWN_MAX: usize = 100;

/// Writes an explanation for people, who need not know Karo.
pub fn text(found: &Explanation, surface: &Surface) -> String {
    let mut text = String::new();
    put_head(&mut text, found, surface);
    put_section(&mut text, "WHAT RUNS", surface, !found.runs.is_empty());
    runs::put_all(&mut text, &found.runs, surface);
    let rules = by_rule(&found.matches);
    put_section(&mut text, "RULES THAT MATCHED", surface, !rules.is_empty());
    put_rules(&mut text, &rules, surface);
    put_section(&mut text, "SECRETS REPLACED", surface, !found.spans.is_empty());
    put_secrets(&mut text, &found.spans, surface);
    if found.is_cut {
        put(&mut text, "", "There is more in this line than an answer holds.", surface.columns);
    }
    text
}

fn put_head(text: &mut String, found: &Explanation, surface: &Surface) {
    let line = cut_end(&shown(&found.redacted, Newline::Arrow), LINE_COLUMNS_MAX);
    put_exactly(text, &heading("LINE"), &line, surface.columns);
    let start = text.len();
    put(text, &heading("RISK"), &risk(found), surface.columns);
    if let Some(risk) = found.risk {
        surface.paint(text, start, risk.name(), table::risk_colour(risk));
    }
    put(text, &heading("CATEGORY"), &categories(found), surface.columns);
    put(text, &heading("SECRETS"), &secrets(found.spans.len()), surface.columns);
    if !found.is_parsed {
        let words = "word by word only: its quotes or brackets do not close, or it is too long or too deep";
        put(text, &heading("READ"), words, surface.columns);
    }
    if found.runs.is_empty() {
        put(text, &heading("RUNS"), "nothing", surface.columns);
    }
}

fn secrets(count: usize) -> String {
    match count {
        0 => "none found".to_owned(),
        _ => format!("{count} replaced: Karo keeps the marker, never the secret"),
    }
}

fn risk(found: &Explanation) -> String {
    let Some(risk) = found.risk else { return "none: no rule matched".to_owned() };
    match found.axis {
        Some(axis) => format!("{risk}, {axis}: {}", meaning(axis)),
        None => risk.name().to_owned(),
    }
}

const fn meaning(axis: Axis) -> &'static str {
    match axis {
        Axis::Threat => "attackers type such lines",
        Axis::Hazard => "it can destroy or stop something",
        Axis::Exposure => "it can show what should stay hidden",
    }
}

fn categories(found: &Explanation) -> String {
    let others: Vec<&str> = found
        .categories
        .iter()
        .filter(|other| **other != found.category)
        .copied()
        .map(Category::name)
        .collect();
    match others.is_empty() {
        true => found.category.name().to_owned(),
        false => format!("{}; also {}", found.category, listed(&others)),
    }
}

fn put_section(text: &mut String, name: &str, surface: &Surface, is_there: bool) {
    if is_there {
        text.push('\n');
        let start = text.len();
        put(text, "", name, surface.columns);
        surface.paint(text, start, name, DIM);
    }
}

/// Matches of one rule: with which runs, and the first of them.
type OfRule<'a> = (&'a Match, Vec<&'a Match>);

fn by_rule(matches: &[Match]) -> Vec<OfRule<'_>> {
    let mut rules: Vec<OfRule<'_>> = Vec::new();
    for found in matches {
        match rules.iter_mut().find(|(rule, _)| rule.id == found.id) {
            Some((_, same)) => same.push(found),
            None => rules.push((found, vec![found])),
        }
    }
    rules
}

fn put_rules(text: &mut String, rules: &[OfRule<'_>], surface: &Surface) {
    let width = rules.iter().map(|(rule, _)| columns(rule.level.name())).max().unwrap_or(0) + 2;
    let below = " ".repeat(width);
    for (rule, matches) in rules.iter().take(SHOWN_MAX) {
        let start = text.len();
        put(text, &format!("{:<width$}", rule.level.name()), &safe(&rule.title), surface.columns);
        surface.paint(text, start, rule.level.name(), table::risk_colour(rule.level));
        put(text, &below, &kind(rule), surface.columns);
        for found in matches.iter().take(SHOWN_MAX) {
            put(text, &below, &matched(found), surface.columns);
        }
    }
    put_rest(text, rules.len(), surface);
}

/// Returns the axis, the techniques and the id of a rule; its axis stands among the tags of Karo's own rules too,
/// and is said once.
fn kind(rule: &Match) -> String {
    let tags = rule.tags.iter().filter(|tag| !tag.starts_with("karo."));
    let tags = tags.map(|tag| safe(tag)).collect::<Vec<_>>();
    let tags = if tags.is_empty() { String::new() } else { format!("; {}", tags.join(", ")) };
    format!("{}{tags}; rule {}", rule.axis, safe(&rule.id))
}

/// Returns where a rule matched and which fields it found; the text of the line stands above already.
fn matched(found: &Match) -> String {
    let place =
        found.run.map_or("the whole line".to_owned(), |run| format!("program {}", u64::from(run) + 1));
    let fields = found.fields.iter().filter_map(|field| match field.split_once(": ") {
        Some(("Karo.Scope", _)) => None,
        Some((name @ ("CommandLine" | "Karo.Line"), _)) => Some(name.to_owned()),
        _ => Some(safe(field)),
    });
    let fields = fields.collect::<Vec<_>>();
    if fields.is_empty() { place } else { format!("{place}, by {}", fields.join("; ")) }
}

fn put_secrets(text: &mut String, spans: &[Span], surface: &Surface) {
    let shown = &spans[..spans.len().min(SHOWN_MAX)];
    let markers: Vec<String> = shown.iter().map(|span| format!("‹secret:{}›", span.kind)).collect();
    let width = markers.iter().map(|marker| columns(marker)).max().unwrap_or(0) + 2;
    for (Span { start, end, reason, .. }, marker) in shown.iter().zip(markers) {
        let mut first = marker;
        pad(&mut first, width);
        let place = format!("bytes {start} to {end} of the line");
        let why = if reason.is_empty() { place } else { format!("{}, {place}", safe(reason)) };
        put(text, &first, &why, surface.columns);
    }
    put_rest(text, spans.len(), surface);
}

/// Says how many are not shown.
pub(super) fn put_rest(text: &mut String, count: usize, surface: &Surface) {
    if count > SHOWN_MAX {
        put(text, "", &format!("and {} more", count - SHOWN_MAX), surface.columns);
    }
}

fn safe(text: &str) -> String {
    shown(text.as_bytes(), Newline::Arrow)
}
