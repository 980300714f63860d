//! Tables for eyes: found commands and counts, fitted to the terminal.

use jiff::civil::Date;
use jiff::{Span, Zoned};
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

const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const GREEN: &str = "\x1b[32m";
const PLAIN: &str = "\x1b[0m";

struct Cells {
    time: String,
    duration: String,
    exit: String,
    exit_colour: Option<&'static str>,
    directory: String,
    command: String,
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
        let room = self.columns.map(|all| all.saturating_sub(time + duration + exit + directory + 8).max(8));
        let mut text = String::new();
        let mut put = |line: &Cells, is_head: bool| {
            let dim = if is_head { Some(DIM) } else { None };
            self.push(&line.time, time, Some(DIM), &mut text);
            text.push_str(&" ".repeat(duration.saturating_sub(columns(&line.duration))));
            self.push(&line.duration, 0, dim, &mut text);
            text.push_str(&" ".repeat(exit.saturating_sub(columns(&line.exit))));
            self.push(&line.exit, 0, line.exit_colour.or(dim), &mut text);
            self.push(&line.directory, directory, Some(DIM), &mut text);
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

    fn push_last(&self, cell: &str, colour: Option<&str>, text: &mut String) {
        self.coloured(cell, colour, text);
        text.push('\n');
    }

    fn coloured(&self, cell: &str, colour: Option<&str>, text: &mut String) {
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
