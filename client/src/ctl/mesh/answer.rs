//! An answer about a group for people who are no engineers: what it says, what it rests on, what is not in it.

use std::collections::BTreeMap;

use karo_protocol::answer::{MeshAnswer, Question, Section, Status};

use super::section;
use crate::ctl::bars::counted;
use crate::ctl::days;
use crate::ctl::explain::prose::put;
use crate::ctl::shown::{Newline, shown};
use crate::ctl::table::{DIM, Surface, YELLOW};

/// What an answer is fitted to where nobody says how wide it may be, and what is pleasant to read at the most.
const COLUMNS: (usize, usize) = (80, 100);

/// Writes an answer.
pub(super) fn text(
    surface: &Surface,
    answer: &MeshAnswer,
    titles: &BTreeMap<String, String>,
    is_who: bool,
) -> String {
    let width = surface.columns.map_or(COLUMNS.0, |columns| columns.min(COLUMNS.1));
    let mut text = String::new();
    put(&mut text, "", &format!("Group {}: {}", safe(&answer.group), title(answer.question)), Some(width));
    put(&mut text, "", &asked(answer), Some(width));
    let start = text.len();
    put(&mut text, "", &rests_on(answer), Some(width));
    surface.paint_lines(&mut text, start, DIM);
    // Of days without numbers there is nothing to say, table by table.
    let is_told =
        |section: &&Section| !answer.covered.is_empty() && (!section.rows.is_empty() || section.hidden > 0);
    for found in answer.sections.iter().filter(is_told) {
        text.push('\n');
        section::put(surface, &mut text, answer, found, titles, width);
    }
    text.push('\n');
    for (lead, sentence) in beneath(answer, is_who) {
        put(&mut text, &format!("{lead:<11}"), &sentence, Some(width));
    }
    let start = text.len();
    for (place, sentence) in answer.not_in_it.iter().enumerate() {
        let lead = if place == 0 { "not in it  " } else { "           " };
        put(&mut text, lead, &safe(sentence), Some(width));
    }
    surface.paint_lines(&mut text, start, DIM);
    if answer.covered.is_empty() {
        surface.paint(&mut text, 0, "no day has numbers", YELLOW);
    }
    text
}

/// Returns a text that may come from anywhere, made safe for a terminal.
pub(super) fn safe(text: &str) -> String {
    shown(text.as_bytes(), Newline::Arrow)
}

const fn title(question: Question) -> &'static str {
    match question {
        Question::ToolUsage => "which tools are in use",
        Question::SafetyPosture => "how risky what is run is",
        Question::Activity => "when work is done",
        Question::Anomalies => "how many people had an unusual day",
    }
}

/// Says which days were asked for, and how many of them are in the answer.
fn asked(answer: &MeshAnswer) -> String {
    let range = days::range(answer.since_day, answer.until_day);
    let all = i64::from(answer.until_day) - i64::from(answer.since_day);
    let covered = answer.covered.len() as i64;
    let found = match covered {
        0 => "no day has numbers".to_owned(),
        _ if covered >= all => format!("all {} in it", counted(all.unsigned_abs(), "day", "days")),
        _ => format!("{covered} of {all} days in it"),
    };
    format!("{range} ({}), {found}", safe(&answer.zone))
}

/// Says on whom the numbers rest, and what they cannot say.
fn rests_on(answer: &MeshAnswer) -> String {
    let (owners, smallest) = (answer.owners, answer.smallest_cohort);
    let gave = match answer.contributors {
        None => format!("The group has {owners} people"),
        Some((least, most)) if least == most => format!("{least} of {owners} people gave numbers each day"),
        Some((least, most)) => {
            format!("{least} to {most} of {owners} people gave numbers, depending on the day")
        }
    };
    format!(
        "{gave}; a day with fewer than {smallest} is not counted. No number is about one person: every line has at least \
         5 people behind it, or is hidden."
    )
}

/// Returns what is said below the tables, each with a word in front.
fn beneath(answer: &MeshAnswer, is_who: bool) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(before) = &answer.covered_before {
        lines.push(("compared", compared(answer, before.len())));
    }
    if answer.sections.iter().flat_map(|section| &section.rows).any(|row| row.hidden_days > 0) {
        lines.push((
            "*",
            "on some of the days fewer than 5 people, or hidden to protect another line: the number is of the other \
             days"
                .to_owned(),
        ));
    }
    let newest = answer.newest.map_or_else(|| "no day was closed yet".to_owned(), days::long);
    lines.push(("newest day", format!("{newest}; today's numbers can be asked for tomorrow")));
    lines.extend(answered(answer, is_who).map(|sentence| ("answered", sentence)));
    lines
}

fn compared(answer: &MeshAnswer, covered: usize) -> String {
    let all = answer.until_day.saturating_sub(answer.since_day);
    let range = days::range(answer.since_day.saturating_sub(all), answer.since_day);
    let days = counted(all.unsigned_abs().into(), "day", "days");
    match covered {
        0 => format!("with {range}: no day of it has numbers"),
        _ if covered as u64 == u64::from(all.unsigned_abs()) => {
            format!("with {range}, day by day on average")
        }
        _ => format!("with {range}, of which {covered} of {days} have numbers; day by day on average"),
    }
}

/// Says how those answered who were asked for days that were not here.
fn answered(answer: &MeshAnswer, is_who: bool) -> Option<String> {
    let all: u64 = answer.statuses.iter().map(|(_, count)| u64::from(*count)).sum();
    if all == 0 {
        return None;
    }
    let parts = answer.statuses.iter().filter(|(_, count)| *count > 0).map(|(status, count)| {
        let said = match status {
            Status::Success => "answered",
            Status::AccessDenied => "may not tell us",
            Status::NotSupported => "cannot be asked that",
            Status::NoData => "had nothing of these days",
            Status::Error => "failed",
            Status::NoResponse => return format!("{count} gave no response{}", silent(answer, is_who)),
        };
        format!("{count} {said}")
    });
    let parts: Vec<String> = parts.collect();
    let machines = counted(all, "machine was", "machines were");
    Some(format!("{machines} asked for days that are not here: {}", parts.join(", ")))
}

/// Names those that gave no response, or says how that is asked for.
fn silent(answer: &MeshAnswer, is_who: bool) -> String {
    let names: Vec<String> = answer.silent.iter().map(|name| safe(name)).collect();
    match (names.is_empty(), is_who) {
        (true, _) => String::new(),
        (false, true) => format!(" ({})", names.join(", ")),
        (false, false) => " (--who names those that are peers)".to_owned(),
    }
}

/// Returns the sum of what can be shown in a section.
pub(super) fn total(section: &Section) -> u64 {
    section.rows.iter().filter_map(|row| row.count).fold(0, u64::saturating_add)
}
