//! One entry as a line, for standard error.

use std::fmt::Write as _;

use jiff::Timestamp as Moment;
use karo_protocol::logs::Severity;

use super::entry::Entry;

/// Appends to a text, which takes whatever is written to it.
macro_rules! put {
    ($text:expr, $($rest:tt)+) => { write!($text, $($rest)+).expect("a string takes whatever is written to it") };
}

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// For files and pipes.
    Plain,
    /// With colours, for a terminal.
    Coloured,
    /// With the priority before it, for a service manager that reads it (sd-daemon(3)); it dates by itself.
    Prefixed,
}

/// Writes an entry as one line, with its end.
pub fn line(entry: &Entry, style: Style) -> String {
    let mut line = String::with_capacity(128);
    match style {
        Style::Plain => put!(line, "{} {:>6} ", moment(entry), word(entry.severity)),
        Style::Coloured => {
            let (on, off) = (colour(entry.severity), "\x1b[0m");
            put!(line, "\x1b[2m{}{off} {on}{:>6}{off} ", moment(entry), word(entry.severity));
        }
        Style::Prefixed => put!(line, "<{}>", entry.severity.priority()),
    }
    if let Some(class) = entry.class {
        put!(line, "{}: ", class.name());
    }
    line.push_str(&entry.message);
    let named = [("peer", &entry.peer), ("query", &entry.query)];
    for (name, value) in named.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        put!(line, " {name}={value}");
    }
    for (name, value) in &entry.fields {
        put!(line, " {name}={value}");
    }
    line.push('\n');
    line
}

fn moment(entry: &Entry) -> String {
    let moment = Moment::from_microsecond(entry.at.as_micros()).unwrap_or(Moment::UNIX_EPOCH);
    format!("{moment:.6}")
}

const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "ERROR",
        Severity::Warn => "WARN",
        Severity::Notice => "NOTICE",
        Severity::Info => "INFO",
        Severity::Debug => "DEBUG",
        Severity::Trace => "TRACE",
    }
}

const fn colour(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "\x1b[31m",
        Severity::Warn => "\x1b[33m",
        Severity::Notice => "\x1b[1m",
        Severity::Info => "\x1b[32m",
        Severity::Debug | Severity::Trace => "\x1b[2m",
    }
}

#[cfg(test)]
mod tests {
    use karo_protocol::Timestamp;

    use super::*;
    use crate::logging::Class;

    #[test]
    fn lines_are_as_they_look() {
        let entry = Entry::about_the_log(Class::Paired, Timestamp::from_micros(1_500_000), "paired")
            .with("peer", "7a31-04c2")
            .with("name", "\x1b]0;evil\x07");
        assert_eq!(
            line(&entry, Style::Plain),
            "1970-01-01T00:00:01.500000Z NOTICE paired: paired peer=7a31-04c2 name=\\u{1b}]0;evil\\u{7}\n"
        );
        assert_eq!(
            line(&entry, Style::Prefixed),
            "<5>paired: paired peer=7a31-04c2 name=\\u{1b}]0;evil\\u{7}\n"
        );
        let coloured = line(&entry, Style::Coloured);
        assert!(
            coloured.starts_with("\x1b[2m1970-01-01T00:00:01.500000Z\x1b[0m \x1b[1mNOTICE\x1b[0m paired: ")
        );
    }
}
