//! Summaries for eyes: a line each, or everything that is in one.

use jiff::tz::{Offset, TimeZone};
use karo_protocol::answer::SummaryRow;
use karo_protocol::summary::{Period, Summary, Sums};
use karo_protocol::{Axis, Micros, Risk, Timestamp};

use crate::ctl::bars::{counted, grouped, share, spark};
use crate::ctl::explain::prose::put;
use crate::ctl::grid::Cell;
use crate::ctl::shown::{Newline, shown};
use crate::ctl::table::{DIM, GREEN, Surface, YELLOW};
use crate::ctl::when;

/// What is pleasant to read at the most, and what is fitted to where nobody says.
const COLUMNS: usize = 80;

/// Columns of what stands in front of the text.
const HEAD: usize = 10;

/// Tools that are named for eyes; JSON and the preview's bytes hold all of them.
const TOOLS_NAMED: usize = 12;

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Writes summaries.
pub fn rows(surface: &Surface, rows: &[SummaryRow], is_full: bool) -> String {
    if !is_full {
        let mut text = table(surface, rows);
        let start = text.len();
        text.push_str("--full shows everything in each\n");
        surface.paint_lines(&mut text, start, DIM);
        return text;
    }
    let mut text = String::new();
    for row in rows {
        if !text.is_empty() {
            text.push('\n');
        }
        let start = text.len();
        text.push_str(&format!("{}{}\n", title(&row.summary), whose(surface, row)));
        surface.paint_lines(&mut text, start, DIM);
        summary(&mut text, surface, &row.summary);
    }
    text
}

/// Says whose it is, and whether it arrived.
fn whose(surface: &Surface, row: &SummaryRow) -> String {
    let peer = row.peer.as_deref().map(|peer| shown(peer.as_bytes(), Newline::Arrow));
    match (peer, row.at) {
        (None, _) => String::new(),
        (Some(peer), None) => format!(", {peer}"),
        (Some(peer), Some(at)) => {
            let taken = if row.is_taken { ", arrived" } else { "" };
            format!(", {peer}, {}{taken}", when::short(at, &surface.now))
        }
    }
}

fn table(surface: &Surface, rows: &[SummaryRow]) -> String {
    let has_peer = rows.iter().any(|row| row.peer.is_some());
    let cells = |row: &SummaryRow| {
        let Sums { count, failed, .. } = row.summary.total;
        let mut cells = vec![
            Cell::new(from(&row.summary)),
            Cell::new(row.summary.period.name()),
            Cell::new(format!("{:>8}", grouped(count))),
            Cell::new(format!("{:>6}", share(failed, count))),
        ];
        if has_peer {
            cells.insert(0, Cell::maybe(row.peer.as_deref()));
            cells.push(Cell::maybe(row.at.map(|at| when::short(at, &surface.now))).in_colour(Some(DIM)));
            let (said, colour) = if row.is_taken { ("yes", GREEN) } else { ("not yet", YELLOW) };
            cells.push(Cell::new(said).in_colour(Some(colour)));
        } else {
            cells.push(Cell::new(spark(&row.summary.hours)));
        }
        cells
    };
    let rows: Vec<Vec<Cell>> = rows.iter().map(cells).collect();
    let names: &[&str] = match has_peer {
        true => &["PEER", "FROM", "PERIOD", "COMMANDS", "FAILED", "AT", "ARRIVED"],
        false => &["FROM", "PERIOD", "COMMANDS", "FAILED", "HOURS 0 TO 23"],
    };
    surface.grid(names, &rows)
}

/// Writes a moment in the local time of the summary's node.
fn local(summary: &Summary, at: Timestamp) -> jiff::Zoned {
    let offset = Offset::from_seconds(summary.offset_s).unwrap_or(Offset::UTC);
    when::to_jiff(at).to_zoned(TimeZone::fixed(offset))
}

/// Says from when it is, as short as its period allows.
fn from(summary: &Summary) -> String {
    let start = local(summary, summary.start);
    match summary.period {
        Period::Hourly => start.strftime("%a %Y-%m-%d %H:%M").to_string(),
        Period::Daily | Period::Weekly => start.strftime("%a %Y-%m-%d").to_string(),
    }
}

/// Says of which time it is.
pub fn title(summary: &Summary) -> String {
    let start = local(summary, summary.start);
    match summary.period {
        Period::Hourly => start.strftime("The hour from %H:%M on %A %-d %B %Y").to_string(),
        Period::Daily => start.strftime("%A %-d %B %Y").to_string(),
        Period::Weekly => start.strftime("The week from %A %-d %B %Y").to_string(),
    }
}

/// Writes everything that is in a summary.
pub fn summary(text: &mut String, surface: &Surface, summary: &Summary) {
    let width = Some(surface.columns.map_or(COLUMNS, |columns| columns.min(COLUMNS)));
    let mut line = |name: &str, words: &str| {
        put(text, &format!("  {name:<HEAD$}"), words, width);
    };
    line("in all", &sums(summary.total));
    let listed = |parts: Vec<String>| parts.join(", ");
    let of = |name: &str, count: u64| format!("{name} {}", grouped(count));
    let mut categories: Vec<_> = summary.categories.iter().collect();
    categories.sort_by_key(|(_, found)| std::cmp::Reverse(found.count));
    let kinds = categories.iter().map(|(category, found)| of(category.name(), found.count)).collect();
    line("kinds", &listed(kinds));
    let mut tools: Vec<_> = summary.tools.iter().collect();
    tools.sort_by_key(|(_, _, found)| std::cmp::Reverse(found.count));
    let mut named: Vec<String> =
        tools.iter().take(TOOLS_NAMED).map(|(tool, _, found)| of(tool.as_str(), found.count)).collect();
    if tools.len() > TOOLS_NAMED {
        named.push(format!("and {} more", tools.len() - TOOLS_NAMED));
    }
    if !named.is_empty() {
        line("tools", &listed(named));
    }
    if summary.period != Period::Hourly {
        line("hours", &format!("{} from 0 to 23", spark(&summary.hours)));
    }
    if summary.period == Period::Weekly {
        let days = WEEKDAYS.iter().zip(&summary.weekdays);
        line("days", &listed(days.map(|(day, count)| of(day, u64::from(*count))).collect()));
    }
    match &summary.risks {
        Some(risks) if risks.is_empty() => line("risk", "none found"),
        Some(risks) => line("risk", &listed(risks.iter().map(risk).collect())),
        None => line("risk", "not told, because some categories are kept back"),
    }
    if summary.is_limited {
        line("kept back", "some categories, by the policy");
    }
    // What was never told has no version yet.
    if summary.version > 0 {
        line("version", &summary.version.to_string());
    }
}

fn risk((level, axis, count): &(Risk, Option<Axis>, u64)) -> String {
    let axis = axis.map_or_else(String::new, |axis| format!(" {axis}"));
    format!("{level}{axis} {}", grouped(*count))
}

fn sums(Sums { count, failed, mean_us }: Sums) -> String {
    let commands = counted(count, "command", "commands");
    let mean = mean_us.map_or_else(String::new, |us| format!(", {} on average", when::humanised(Micros(us))));
    format!("{commands}, {} of them failed{mean}", share(failed, count))
}
