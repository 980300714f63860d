//! Messages for eyes, and as JSON: each at once, because there may be no last one.

use jiff::civil::Date;
use karo_protocol::logs::{LogEntry, Severity};
use serde_json::json;

use super::Source;
use crate::ctl::exit::Trouble;
use crate::ctl::scene::Scene;
use crate::ctl::shown::{Newline, columns, cut_end, pad, shown};
use crate::ctl::table::{BOLD_RED, DIM, GREEN, Surface, YELLOW};
use crate::ctl::{json, when};

/// Columns of the time, and of the severity behind it.
const TIME: usize = 10;
const SEVERITY: usize = 8;

/// The room that a text has at least, however narrow the terminal is.
const ROOM_MIN: usize = 20;

/// Shows messages, one after the other.
pub(super) struct Shower {
    surface: Surface,
    source: Source,
    day: Option<Date>,
    count: u64,
}

impl Shower {
    pub(super) fn new(scene: &Scene, source: Source) -> Self {
        Self { surface: scene.surface(), source, day: None, count: 0 }
    }

    /// Shows them on another surface.
    #[cfg(test)]
    pub(super) fn on(self, surface: Surface) -> Self {
        Self { surface, ..self }
    }

    /// Returns how many were shown.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// Shows one.
    pub(super) fn show(&mut self, scene: &mut Scene, entry: &LogEntry) -> Result<(), Trouble> {
        self.count += 1;
        if scene.is_json {
            json::write_line(&mut scene.out, &object(entry, self.source))?;
        } else {
            let text = self.text(entry);
            scene.out.write_all(text.as_bytes())?;
        }
        scene.out.flush()?;
        Ok(())
    }

    /// Says where they come from, below them.
    pub(super) fn end(&self, scene: &mut Scene) -> Result<(), Trouble> {
        if self.count > 0 { self.say_source(scene) } else { Ok(()) }
    }

    /// Says where they come from; of those that are followed, there is no end to say it at.
    pub(super) fn say_source(&self, scene: &mut Scene) -> Result<(), Trouble> {
        if !scene.is_json {
            let mut text = format!("({})\n", self.source.sentence());
            self.surface.paint_lines(&mut text, 0, DIM);
            scene.out.write_all(text.as_bytes())?;
            scene.out.flush()?;
        }
        Ok(())
    }

    /// Writes a message: time, severity, name and words, then what else is known; below the day where that is new.
    pub(super) fn text(&mut self, entry: &LogEntry) -> String {
        let mut text = String::new();
        let then = when::to_jiff(entry.at).to_zoned(self.surface.now.time_zone().clone());
        if self.day.replace(then.date()) != Some(then.date()) {
            let start = text.len();
            text.push_str(&then.strftime("%A %-d %B %Y\n").to_string());
            self.surface.paint_lines(&mut text, start, DIM);
        }
        let mut time = then.strftime("%H:%M:%S").to_string();
        pad(&mut time, TIME);
        let mut severity = entry.severity.name().to_owned();
        pad(&mut severity, SEVERITY);
        self.surface.coloured(&time, Some(DIM), &mut text);
        self.surface.coloured(&severity, colour(entry.severity), &mut text);
        let room =
            self.surface.columns.map_or(usize::MAX, |all| all.saturating_sub(TIME + SEVERITY).max(ROOM_MIN));
        let mut used = 0;
        for (word, is_beside) in words(entry) {
            let word = cut_end(&word, room);
            let wide = columns(&word);
            if used > 0 && used + 1 + wide > room {
                text.push('\n');
                pad_by(&mut text, TIME + SEVERITY);
                used = 0;
            } else if used > 0 {
                text.push(' ');
                used += 1;
            }
            self.surface.coloured(&word, is_beside.then_some(DIM), &mut text);
            used += wide;
        }
        text.push('\n');
        text
    }
}

/// Returns what a line is broken between, each with whether it is beside the point.
fn words(entry: &LogEntry) -> Vec<(String, bool)> {
    let plain = |text: &str| shown(text.as_bytes(), Newline::Arrow);
    let name = entry.event.iter().map(|event| (format!("{}:", plain(event)), false));
    let message = plain(&entry.message);
    let said = message.split(' ').filter(|word| !word.is_empty()).map(|word| (word.to_owned(), false));
    let named = [("peer", &entry.peer), ("query", &entry.query)];
    let named = named.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    let fields = entry.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let beside = named.chain(fields).map(|(name, value)| (format!("{}={}", plain(name), plain(value)), true));
    name.chain(said).chain(beside).collect()
}

fn object(entry: &LogEntry, source: Source) -> serde_json::Value {
    let fields: serde_json::Map<_, _> =
        entry.fields.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    json!({
        "at": when::rfc3339(entry.at, 6),
        "level": entry.severity.name(),
        "event": entry.event,
        "peer": entry.peer,
        "query": entry.query,
        "message": entry.message,
        "fields": fields,
        "source": source.name(),
    })
}

const fn colour(severity: Severity) -> Option<&'static str> {
    match severity {
        Severity::Error => Some(BOLD_RED),
        Severity::Warn => Some(YELLOW),
        Severity::Notice => Some(GREEN),
        Severity::Info => None,
        Severity::Debug | Severity::Trace => Some(DIM),
    }
}

fn pad_by(text: &mut String, columns: usize) {
    text.extend(std::iter::repeat_n(' ', columns));
}
