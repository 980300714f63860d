//! Tables for eyes: found commands and counts, fitted to the terminal.

use jiff::civil::Date;
use jiff::{Span, Zoned};
use karo_protocol::local::Rule;
use karo_protocol::query::{CountKey, Row, Tally};
use karo_protocol::{Risk, State};

use super::shown::{Newline, columns, cut_end, cut_start, pad, shown};
use super::when;

/// What a table is fitted to.
#[derive(Debug, Clone)]
pub struct Surface {
    /// Columns of the terminal; `None` when the output is no terminal, and nothing is cut.
    pub columns: Option<usize>,
    /// Whether colours are welcome.
    pub has_colour: bool,
    /// The wall clock, in the user's zone.
    pub now: Zoned,
    /// The home directory, shown as `~`.
    pub home: Option<Vec<u8>>,
}

/// What a directory may take at the most, in columns.
const DIRECTORY_COLUMNS_MAX: usize = 32;

/// What a key of counts may take at the most, in columns.
const KEY_COLUMNS_MAX: usize = 60;

/// What is beside the point.
pub const DIM: &str = "\x1b[2m";
/// For what has failed.
pub const RED: &str = "\x1b[31m";
/// For what cannot wait.
pub const BOLD_RED: &str = "\x1b[1;31m";
/// For what may go wrong, or is under way.
pub const YELLOW: &str = "\x1b[33m";
/// For what is well.
pub const GREEN: &str = "\x1b[32m";
/// Ends a colour.
pub const PLAIN: &str = "\x1b[0m";

struct Cells {
    time: String,
    duration: String,
    exit: String,
    exit_colour: Option<&'static str>,
    directory: String,
    risk: Option<Risk>,
    command: String,
}

/// Returns the colour of a level of risk.
pub const fn risk_colour(risk: Risk) -> &'static str {
    match risk {
        Risk::Informational | Risk::Low => DIM,
        Risk::Medium => YELLOW,
        Risk::High => RED,
        Risk::Critical => BOLD_RED,
    }
}

/// Returns the mark of a level of risk in a table: none where a command need not be looked at for it.
const fn risk_mark(risk: Option<Risk>) -> &'static str {
    match risk {
        None | Some(Risk::Informational | Risk::Low) => "",
        Some(Risk::Medium) => "!",
        Some(Risk::High) => "!!",
        Some(Risk::Critical) => "!!!",
    }
}

impl Surface {
    /// Writes found commands, a line each, below a line of names if there is to be one.
    pub fn commands(&self, rows: &[Row], has_head: bool) -> String {
        let lines: Vec<Cells> = rows.iter().map(|row| self.cells(row)).collect();
        let widest = |cell: fn(&Cells) -> &String, least: usize| {
            lines.iter().map(|line| columns(cell(line))).fold(least, usize::max)
        };
        let time = widest(|line| &line.time, "TIME".len());
        let duration = widest(|line| &line.duration, "TOOK".len());
        let exit = widest(|line| &line.exit, "EXIT".len());
        let directory = widest(|line| &line.directory, "DIRECTORY".len());
        // Most answers have no risky command, and they keep the room of the column.
        let is_risky = lines.iter().any(|line| !risk_mark(line.risk).is_empty());
        let risk = if is_risky { "RISK".len() + 2 } else { 0 };
        let room =
            self.columns.map(|all| all.saturating_sub(time + duration + exit + directory + risk + 8).max(8));
        let mut text = String::new();
        let mut put = |line: &Cells, is_head: bool| {
            let dim = if is_head { Some(DIM) } else { None };
            self.push(&line.time, time, Some(DIM), &mut text);
            text.push_str(&" ".repeat(duration.saturating_sub(columns(&line.duration))));
            self.push(&line.duration, 0, dim, &mut text);
            text.push_str(&" ".repeat(exit.saturating_sub(columns(&line.exit))));
            self.push(&line.exit, 0, line.exit_colour.or(dim), &mut text);
            self.push(&line.directory, directory, Some(DIM), &mut text);
            if is_risky {
                let mark = if is_head { "RISK" } else { risk_mark(line.risk) };
                self.push(mark, "RISK".len(), line.risk.map(risk_colour).or(dim), &mut text);
            }
            let command = room.map_or_else(|| line.command.clone(), |room| cut_end(&line.command, room));
            self.push_last(&command, dim, &mut text);
        };
        if has_head {
            put(&Cells::head(), true);
        }
        lines.iter().for_each(|line| put(line, false));
        text
    }

    fn cells(&self, row: &Row) -> Cells {
        let (exit, exit_colour) = match (row.state, row.exit) {
            (State::Running, _) => ("running".to_owned(), Some(GREEN)),
            (State::Lost, _) => ("lost".to_owned(), Some(YELLOW)),
            (State::Ended, None) => ("?".to_owned(), None),
            (State::Ended, Some(0)) => ("0".to_owned(), Some(DIM)),
            (State::Ended, Some(status)) => (status.to_string(), Some(RED)),
        };
        Cells {
            time: when::short(row.started_at, &self.now),
            duration: row.duration.map(when::humanised).unwrap_or_default(),
            exit,
            exit_colour,
            directory: cut_start(&self.directory(&row.cwd), DIRECTORY_COLUMNS_MAX),
            risk: row.risk,
            command: shown(&row.command, Newline::Arrow),
        }
    }

    /// Shows a directory, from `~` if it is at home.
    fn directory(&self, cwd: &[u8]) -> String {
        let below = self.home.as_deref().and_then(|home| cwd.strip_prefix(home));
        match below {
            Some(rest) if rest.is_empty() || rest.starts_with(b"/") => {
                format!("~{}", shown(rest, Newline::Arrow))
            }
            Some(_) | None => shown(cwd, Newline::Arrow),
        }
    }

    /// Pushes a cell in its colour and two spaces after it.
    fn push(&self, cell: &str, width: usize, colour: Option<&str>, text: &mut String) {
        let mut padded = cell.to_owned();
        pad(&mut padded, width);
        self.coloured(&padded, colour, text);
        text.push_str("  ");
    }

    /// Colours a word that was written after `start`, where colours are welcome.
    pub fn paint(&self, text: &mut String, start: usize, word: &str, colour: &str) {
        let place = text[start..].find(word).filter(|_| self.has_colour);
        if let Some(place) = place.map(|place| start + place) {
            text.insert_str(place + word.len(), PLAIN);
            text.insert_str(place, colour);
        }
    }

    /// Colours all lines that were written after `start`.
    pub fn paint_lines(&self, text: &mut String, start: usize, colour: &str) {
        if self.has_colour {
            let painted: String =
                text[start..].lines().flat_map(|line| [colour, line, PLAIN, "\n"]).collect();
            text.replace_range(start.., &painted);
        }
    }

    fn push_last(&self, cell: &str, colour: Option<&str>, text: &mut String) {
        self.coloured(cell, colour, text);
        text.push('\n');
    }

    pub(super) fn coloured(&self, cell: &str, colour: Option<&str>, text: &mut String) {
        match colour.filter(|_| self.has_colour) {
            Some(colour) => text.extend([colour, cell, PLAIN]),
            None => text.push_str(cell),
        }
    }

    /// Writes counts, a line each, with the share of each in all of them.
    pub fn counts(&self, tallies: &[Tally], total: u64) -> String {
        let keys: Vec<String> =
            tallies.iter().map(|tally| cut_end(&self.key(&tally.key), KEY_COLUMNS_MAX)).collect();
        let width = keys.iter().map(|key| columns(key)).fold("KEY".len(), usize::max);
        let mut text = String::new();
        let mut head = String::from("KEY");
        pad(&mut head, width);
        self.push_last(
            &format!("{head}  {:>10}  {:>10}  {:>6}", "COUNT", "FAILED", "SHARE"),
            Some(DIM),
            &mut text,
        );
        for (key, tally) in keys.iter().zip(tallies) {
            self.push(key, width, None, &mut text);
            let share = 100.0 * tally.count as f64 / total.max(1) as f64;
            text.push_str(&format!("{:>10}  ", tally.count));
            let colour = if tally.failed > 0 { Some(RED) } else { Some(DIM) };
            self.coloured(&format!("{:>10}", tally.failed), colour, &mut text);
            self.push_last(&format!("  {share:>5.1}%"), None, &mut text);
        }
        text
    }

    /// Writes rules, a line each.
    pub fn rules(&self, rules: &[Rule]) -> String {
        let safe = |text: &str| shown(text.as_bytes(), Newline::Arrow);
        let ids: Vec<String> = rules.iter().map(|rule| cut_end(&safe(&rule.id), KEY_COLUMNS_MAX)).collect();
        let widest = |names: &mut dyn Iterator<Item = usize>, least: usize| names.fold(least, usize::max);
        let level = widest(&mut rules.iter().map(|rule| rule.level.name().len()), "LEVEL".len());
        let axis = widest(&mut rules.iter().map(|rule| rule.axis.name().len()), "AXIS".len());
        let id = widest(&mut ids.iter().map(|id| columns(id)), "ID".len());
        let room = self.columns.map(|all| all.saturating_sub(level + axis + id + 6).max(8));
        let mut text = String::new();
        let mut put = |[first, second, third, last]: [&str; 4], colours: [Option<&str>; 2]| {
            self.push(first, level, colours[0], &mut text);
            self.push(second, axis, colours[1], &mut text);
            self.push(third, id, colours[1], &mut text);
            let last = room.map_or_else(|| last.to_owned(), |room| cut_end(last, room));
            self.push_last(&last, colours[1].filter(|_| colours[0] == colours[1]), &mut text);
        };
        put(["LEVEL", "AXIS", "ID", "TITLE"], [Some(DIM); 2]);
        for (rule, id) in rules.iter().zip(&ids) {
            let colours = [Some(risk_colour(rule.level)), None];
            put([rule.level.name(), rule.axis.name(), id, &safe(&rule.title)], colours);
        }
        text
    }

    fn key(&self, key: &CountKey) -> String {
        match key {
            CountKey::Text(text) if text.is_empty() => "unknown".to_owned(),
            CountKey::Text(text) => self.directory(text),
            CountKey::All
            | CountKey::Category(_)
            | CountKey::Hour(_)
            | CountKey::Weekday(_)
            | CountKey::Day(_)
            | CountKey::Exit(_)
            | CountKey::Risk(_) => key_name(key),
        }
    }
}

impl Cells {
    fn head() -> Self {
        let name = str::to_owned;
        Self {
            time: name("TIME"),
            duration: name("TOOK"),
            exit: name("EXIT"),
            exit_colour: None,
            directory: name("DIRECTORY"),
            risk: None,
            command: name("COMMAND"),
        }
    }
}

/// Returns the name of a key; bytes that are not UTF-8 become U+FFFD.
pub fn key_name(key: &CountKey) -> String {
    const WEEKDAYS: [&str; 7] =
        ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    match key {
        CountKey::All => "all".to_owned(),
        CountKey::Category(category) => category.name().to_owned(),
        CountKey::Text(text) => String::from_utf8_lossy(text).into_owned(),
        CountKey::Hour(hour) => format!("{hour:02}:00"),
        CountKey::Weekday(day) => {
            WEEKDAYS.get(usize::from(*day)).map_or_else(String::new, ToString::to_string)
        }
        CountKey::Day(days) => {
            let span = Span::new().try_days(*days);
            let day = span.and_then(|span| Date::constant(1970, 1, 1).checked_add(span));
            day.map_or_else(|_| days.to_string(), |day| day.to_string())
        }
        CountKey::Exit(None) => "unknown".to_owned(),
        CountKey::Exit(Some(status)) => status.to_string(),
        CountKey::Risk(risk) => risk.map_or("none", Risk::name).to_owned(),
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
