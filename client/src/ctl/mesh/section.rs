//! One table of an answer: a line for each thing, with a bar, its share, and how many people are behind it.

use std::collections::BTreeMap;

use karo_protocol::Micros;
use karo_protocol::answer::{AnswerRow, MeshAnswer, Question, Section};
use karo_protocol::atom::{Band, Signal};

use super::answer::{safe, total};
use crate::ctl::bars::{bar, change, counted, grouped, percent, share};
use crate::ctl::explain::prose;
use crate::ctl::shown::{columns, cut_end, pad};
use crate::ctl::table::{DIM, RED, Surface, YELLOW};
use crate::ctl::when;

/// What the name of a line takes at the most.
const NAME_COLUMNS_MAX: usize = 40;

/// What a bar takes at the least and at the most.
const BAR_COLUMNS: (usize, usize) = (8, 24);

/// Share of failures that is worth a colour, in millionths.
const FAILURES_WARNED_PPM: u64 = 250_000;

/// One column of numbers: its name and its cells, all of one width and at the right.
struct Column {
    head: &'static str,
    cells: Vec<String>,
    /// Which cells are worth a colour.
    warned: Vec<bool>,
}

impl Column {
    fn width(&self) -> usize {
        self.cells.iter().map(|cell| columns(cell)).fold(self.head.len(), usize::max)
    }
}

/// Writes a section below its title.
pub(super) fn put(
    surface: &Surface,
    text: &mut String,
    answer: &MeshAnswer,
    section: &Section,
    titles: &BTreeMap<String, String>,
    width: usize,
) {
    let title = title(section, &answer.zone);
    if section.rows.is_empty() {
        text.push_str(&format!("{title}\n"));
    } else if answer.question == Question::Anomalies && section.name == "signals" {
        put_signals(surface, text, &title, section);
    } else {
        put_table(surface, text, answer, section, &title, titles, width);
    }
    let start = text.len();
    for note in notes(section) {
        prose::put(text, "  ", &note, Some(width));
    }
    surface.paint_lines(text, start, DIM);
}

fn title(section: &Section, zone: &str) -> String {
    let name = section.name.as_str();
    match name {
        "categories" => "KIND OF WORK".to_owned(),
        "tools" => "TOOL".to_owned(),
        "risk" => "RISK".to_owned(),
        "rules" => "RULE".to_owned(),
        "hours" => format!("HOUR ({})", safe(zone)),
        "days" => "DAY".to_owned(),
        "signals" => "UNUSUAL".to_owned(),
        other => safe(other).to_uppercase(),
    }
}

/// Says what stands below a section.
fn notes(section: &Section) -> Vec<String> {
    let mut notes = Vec::new();
    if section.name == "signals" && !section.rows.is_empty() {
        notes.push("unusual against the same person's own days before, never against others".to_owned());
    }
    if let Some(row) = peak(section) {
        notes.push(format!("the most at {}", name(section, row, &BTreeMap::new())));
    }
    if let Some(ppm) = section.coverage_ppm {
        notes.push(format!("a risk was found in {} of all commands", percent(ppm)));
    }
    if section.hidden > 0 {
        let lines = counted(section.hidden.into(), "more line is", "more lines are");
        notes.push(format!(
            "{lines} hidden: nobody, fewer than 5 people, or kept back to protect another line"
        ));
    }
    notes
}

/// Returns the greatest line of what is a row of times.
fn peak(section: &Section) -> Option<&AnswerRow> {
    let is_of_times = matches!(section.name.as_str(), "hours" | "days");
    let most = section.rows.iter().rev().max_by_key(|row| row.count)?;
    (is_of_times && most.count.is_some_and(|count| count > 0)).then_some(most)
}

/// Returns what a line is called for a person.
fn name(section: &Section, row: &AnswerRow, titles: &BTreeMap<String, String>) -> String {
    match section.name.as_str() {
        "hours" => match row.name.parse::<u8>() {
            Ok(hour) => format!("{hour:02}:00"),
            Err(_) => safe(&row.name),
        },
        "days" => match row.name.parse::<jiff::civil::Date>() {
            Ok(date) => date.strftime("%a %-d %b").to_string(),
            Err(_) => safe(&row.name),
        },
        "risk" if row.name == "none" => "none found".to_owned(),
        "rules" => match (titles.get(&row.name), row.name.strip_prefix("other ")) {
            (Some(title), _) => safe(title),
            (None, Some(level)) => format!("other rules, {}", safe(level)),
            (None, None) => safe(&row.name),
        },
        "tools" if row.name == "other" => match row.category {
            Some(category) => format!("other {category}"),
            None => safe(&row.name),
        },
        _ => safe(&row.name),
    }
}

fn put_table(
    surface: &Surface,
    text: &mut String,
    answer: &MeshAnswer,
    section: &Section,
    title: &str,
    titles: &BTreeMap<String, String>,
    width: usize,
) {
    let rows: Vec<&AnswerRow> = section.rows.iter().collect();
    let cut = |row: &&AnswerRow| cut_end(&name(section, row, titles), NAME_COLUMNS_MAX);
    let names: Vec<String> = rows.iter().map(cut).collect();
    let numbers = numbers(answer, section, &rows);
    let name_width = names.iter().map(|name| columns(name)).fold(columns(title), usize::max);
    let taken: usize = name_width + numbers.iter().map(|column| column.width() + 2).sum::<usize>() + 2;
    let bar_width = width.saturating_sub(taken).clamp(BAR_COLUMNS.0, BAR_COLUMNS.1);
    let most = rows.iter().filter_map(|row| row.count).max().unwrap_or(0);
    let mut head = title.to_owned();
    pad(&mut head, name_width + 2 + bar_width);
    let heads = numbers.iter().map(|column| format!("  {:>width$}", column.head, width = column.width()));
    head.extend(heads);
    surface.coloured(&head, Some(DIM), text);
    text.push('\n');
    for (place, row) in rows.iter().enumerate() {
        let mut line = names[place].clone();
        pad(&mut line, name_width + 2);
        line.push_str(&bar(row.count.unwrap_or(0), most, bar_width));
        pad(&mut line, name_width + 2 + bar_width);
        text.push_str(&line);
        for column in &numbers {
            let cell = &column.cells[place];
            text.extend(std::iter::repeat_n(' ', 2 + column.width() - columns(cell)));
            surface.coloured(cell, column.warned[place].then_some(RED), text);
        }
        text.push('\n');
    }
}

/// Returns the columns of numbers; what no line has anything for is left out.
fn numbers(answer: &MeshAnswer, section: &Section, rows: &[&AnswerRow]) -> Vec<Column> {
    let total = total(section);
    let cells = |head, cell: &dyn Fn(&AnswerRow) -> Option<String>| {
        let cells: Vec<Option<String>> = rows.iter().map(|row| cell(row)).collect();
        let is_there = cells.iter().any(Option::is_some);
        let warned = vec![false; cells.len()];
        let cells = cells.into_iter().map(|cell| cell.unwrap_or_else(|| "-".to_owned())).collect();
        is_there.then_some(Column { head, cells, warned })
    };
    let star = |row: &AnswerRow| if row.hidden_days > 0 { "*" } else { " " };
    let is_starred = rows.iter().any(|row| row.hidden_days > 0);
    let count = |row: &AnswerRow| {
        let count = grouped(row.count?);
        Some(if is_starred { format!("{count}{}", star(row)) } else { count })
    };
    let share_of = |row: &AnswerRow| match row.share_ppm {
        Some(ppm) => Some(percent(ppm)),
        None => row.count.map(|count| share(count, total)),
    };
    let mut failed = cells("FAILED", &|row| Some(share(row.failed?, row.failed_of?)));
    if let Some(failed) = &mut failed {
        failed.warned = rows.iter().map(|row| is_failing(row)).collect();
    }
    let is_compared = answer.covered_before.is_some();
    let columns = [
        cells("SHARE", &share_of),
        cells("COMMANDS", &count),
        cells("CHANGE", &|row| is_compared.then(|| changed(answer, row)).flatten()),
        failed,
        cells("TAKES", &|row| row.mean_us.map(|us| when::humanised(Micros(us)))),
        cells("PEOPLE", &|row| (row.owners != Band::Hidden).then(|| row.owners.to_string())),
    ];
    columns.into_iter().flatten().collect()
}

fn is_failing(row: &AnswerRow) -> bool {
    let (count, failed) = (row.failed_of.unwrap_or(0), row.failed.unwrap_or(0));
    u128::from(failed) * 1_000_000 > u128::from(count) * u128::from(FAILURES_WARNED_PPM)
}

/// Says how much more or less there is a day than before; nothing where that cannot be told.
fn changed(answer: &MeshAnswer, row: &AnswerRow) -> Option<String> {
    let days_before = answer.covered_before.as_ref()?.len();
    let days = answer.covered.len().saturating_sub(row.hidden_days.into());
    let (before, after) = (row.before?, row.count?);
    if days == 0 || days_before == 0 {
        return None;
    }
    Some(change(before as f64 / days_before as f64, after as f64 / days as f64))
}

/// Writes how many people had what kind of unusual day: a band, never a number.
fn put_signals(surface: &Surface, text: &mut String, title: &str, section: &Section) {
    let width = section.rows.iter().map(|row| columns(&safe(&row.name))).fold(columns(title), usize::max);
    let mut head = title.to_owned();
    pad(&mut head, width + 2);
    surface.coloured(&format!("{head}{:<8}", "PEOPLE"), Some(DIM), text);
    surface.coloured("WHAT IT IS\n", Some(DIM), text);
    for row in &section.rows {
        let mut line = safe(&row.name);
        pad(&mut line, width + 2);
        text.push_str(&line);
        let colour = (row.owners >= Band::Ten).then_some(YELLOW);
        surface.coloured(&format!("{:<8}", row.owners.to_string()), colour, text);
        let what = row.name.parse().map_or("", meaning);
        text.push_str(what);
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
}

/// Says what a signal is: always measured against the same person's own usual days.
pub(in crate::ctl) const fn meaning(signal: Signal) -> &'static str {
    match signal {
        Signal::Pattern => "a rare mix of kinds of work",
        Signal::Failures => "far more failures than usual",
        Signal::Hours => "work at unusual hours",
        Signal::RepeatedRisk => "the same risky thing again and again",
        Signal::Deviation => "far more or far fewer commands than usual",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::days;

    #[test]
    fn a_day_of_a_row_is_read_or_shown_as_it_is() {
        let section = Section { name: "days".to_owned(), rows: Vec::new(), hidden: 0, coverage_ppm: None };
        let row = |name: &str| AnswerRow {
            name: name.to_owned(),
            category: None,
            count: None,
            failed: None,
            failed_of: None,
            share_ppm: None,
            mean_us: None,
            owners: Band::Five,
            hidden_days: 0,
            before: None,
        };
        assert_eq!(name(&section, &row(&days::iso(20_776)), &BTreeMap::new()), "Thu 19 Nov");
        assert_eq!(name(&section, &row("x\u{1b}"), &BTreeMap::new()), "x\\x1b");
    }
}
