//! What can be asked about events.

use serde::{Deserialize, Serialize};

use crate::limits::{FILTER_IDS_MAX, FILTER_WORDS_MAX};
use crate::{Axis, Bytes, Category, EventId, Risk, ShellId, ShellKind, State, Timestamp, named_enum};

/// Which events are meant; everything that is set must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Filter {
    /// Each must occur in the command. A word with an upper-case ASCII letter is looked for
    /// exactly; in the others ASCII case is ignored.
    pub words: Vec<Bytes>,
    /// Started at or after.
    pub since: Option<Timestamp>,
    /// Started before.
    pub until: Option<Timestamp>,
    /// Where it was started.
    pub directory: Option<Directory>,
    /// How it ended.
    pub exit: Option<Exit>,
    /// How far it has come.
    pub state: Option<State>,
    /// The most telling category.
    pub category: Option<Category>,
    /// The kind of shell.
    pub shell: Option<ShellKind>,
    /// The shell itself.
    pub shell_id: Option<ShellId>,
    /// Name of the machine.
    pub host: Option<String>,
    /// Name of the account.
    pub user: Option<String>,
    /// Events by name; empty for any.
    pub ids: Vec<EventId>,
    /// The highest level of any rule that matched is this or a higher one.
    #[serde(default)]
    pub risk: Option<Risk>,
    /// The rule of the highest level is of that axis.
    #[serde(default)]
    pub axis: Option<Axis>,
    /// The rule of that id matched.
    #[serde(default)]
    pub rule: Option<String>,
}

impl Filter {
    /// Tells whether nothing is asked, so that every event is meant.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns what is over its limit: the name of the field and the limit.
    pub const fn excess(&self) -> Option<(&'static str, usize)> {
        if self.words.len() > FILTER_WORDS_MAX {
            return Some(("words", FILTER_WORDS_MAX));
        }
        if self.ids.len() > FILTER_IDS_MAX {
            return Some(("ids", FILTER_IDS_MAX));
        }
        None
    }
}

/// A place in the file tree, as absolute path without a slash at its end (but for the root).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Directory {
    /// Exactly there.
    Exactly(Bytes),
    /// There and below.
    Under(Bytes),
}

/// How a command ended; a command without a known status is none of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// With exactly this status.
    Code(i32),
    /// With any but zero.
    Failed,
    /// With zero.
    Ok,
}

named_enum! {
    /// Which events come first; the order itself is always (started at, id).
    Order, "order" {
        /// The latest first.
        NewestFirst = "newest-first",
        /// The earliest first.
        OldestFirst = "oldest-first",
    }
}

named_enum! {
    /// How much of each event an answer holds.
    Detail, "detail" {
        /// What a table shows ([`Row`]), from memory alone.
        Row = "row",
        /// Everything ([`Event`](crate::Event)), from the log.
        Event = "event",
    }
}

/// Asks for events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// Which events.
    pub filter: Filter,
    /// Each text once, the newest of it.
    pub is_unique: bool,
    /// At most so many; `None` for all.
    pub limit: Option<u32>,
    /// In which order; with a limit, those that come first in it are meant.
    pub order: Order,
    /// How much of each.
    pub detail: Detail,
}

/// What a table shows of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Wall time of the start.
    pub started_at: Timestamp,
    /// From start to end, if known.
    pub duration: Option<crate::Micros>,
    /// How far it has come.
    pub state: State,
    /// Exit status, if known.
    pub exit: Option<i32>,
    /// Working directory at the start.
    pub cwd: Bytes,
    /// The redacted text.
    pub command: Bytes,
    /// The highest level of any rule that matched.
    #[serde(default)]
    pub risk: Option<Risk>,
    /// The axis of the rule that gave `risk`.
    #[serde(default)]
    pub axis: Option<Axis>,
}

named_enum! {
    /// By what events are counted.
    CountBy, "count" {
        /// The most telling category.
        Category = "category",
        /// Each program that the line runs.
        Tool = "tool",
        /// Hour of the day.
        Hour = "hour",
        /// Day of the week.
        Weekday = "weekday",
        /// Day.
        Day = "day",
        /// Working directory.
        Cwd = "cwd",
        /// Exit status.
        Exit = "exit",
        /// Machine.
        Host = "host",
        /// The highest level of any rule that matched.
        Risk = "risk",
    }
}

/// The asker's time zone, for the range that is asked about.
///
/// Each step is a moment and the seconds east of UTC that hold from then on, in order of time;
/// before the first step its offset holds too; without any, UTC.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Zone {
    /// From when, and how many seconds east of UTC.
    pub steps: Vec<(Timestamp, i32)>,
}

impl Zone {
    /// Returns the seconds east of UTC at a moment.
    pub fn offset_seconds(&self, at: Timestamp) -> i32 {
        let later = self.steps.partition_point(|(from, _)| *from <= at);
        self.steps.get(later.saturating_sub(1)).map_or(0, |(_, offset)| *offset)
    }
}

/// Asks how many events there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Which events.
    pub filter: Filter,
    /// By what; `None` for their number alone.
    pub by: Option<CountBy>,
    /// Where hours and days begin.
    pub zone: Zone,
}

/// One line of counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// What was counted.
    pub key: CountKey,
    /// How many events.
    pub count: u64,
    /// How many of them ended with a status other than zero.
    pub failed: u64,
}

/// What a line of counts is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CountKey {
    /// Everything that the filter lets through.
    All,
    /// A category.
    Category(Category),
    /// A program, a directory or a machine.
    Text(Bytes),
    /// An hour of the day, 0 to 23.
    Hour(u8),
    /// A day of the week, 0 for Monday to 6 for Sunday.
    Weekday(u8),
    /// A day: days since 1970-01-01 in the asker's zone.
    Day(i32),
    /// An exit status; `None` for those without a known one.
    Exit(Option<i32>),
    /// A level of risk; `None` for those that no rule matched.
    Risk(Option<Risk>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_changes_at_its_steps() {
        let at = Timestamp::from_micros;
        let zone = Zone { steps: vec![(at(0), 3600), (at(100), 7200)] };
        let offsets = [-1, 0, 99, 100, 101].map(|t| zone.offset_seconds(at(t)));
        assert_eq!(offsets, [3600, 3600, 3600, 7200, 7200]);
        assert_eq!(Zone::default().offset_seconds(at(0)), 0);
    }
}
