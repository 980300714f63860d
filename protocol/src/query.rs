//! What can be asked about events.

use serde::{Deserialize, Serialize};

use crate::limits::{FILTER_IDS_MAX, FILTER_WORDS_MAX, TALLIES_MAX, TALLIES_TEXT_BYTES_MAX};
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

impl Tally {
    /// Bytes of the name that was counted; all other keys are numbers.
    const fn text_bytes(&self) -> usize {
        match &self.key {
            CountKey::Text(text) => text.0.len(),
            CountKey::All
            | CountKey::Category(_)
            | CountKey::Hour(_)
            | CountKey::Weekday(_)
            | CountKey::Day(_)
            | CountKey::Exit(_)
            | CountKey::Risk(_) => 0,
        }
    }
}

/// The lines of counts that did not fit one answer: those with the least counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LeftOut {
    /// How many lines.
    pub keys: u64,
    /// What they add up to.
    pub count: u64,
    /// How many of that ended with a status other than zero.
    pub failed: u64,
}

/// Keeps of many lines those with the greatest counts, as many as fit a frame, in the order that they have.
///
/// Among lines with the same count the first ones are kept.
pub fn keep_greatest(tallies: &mut Vec<Tally>) -> LeftOut {
    let mut ranked: Vec<usize> = (0..tallies.len()).collect();
    ranked.sort_by_key(|place| std::cmp::Reverse(tallies[*place].count));
    let mut text_bytes = 0;
    let fitting = ranked.iter().take(TALLIES_MAX).take_while(|place| {
        text_bytes += tallies[**place].text_bytes();
        text_bytes <= TALLIES_TEXT_BYTES_MAX
    });
    let kept = fitting.count();
    let mut is_kept = vec![false; tallies.len()];
    ranked[..kept].iter().for_each(|place| is_kept[*place] = true);
    let mut left_out = LeftOut::default();
    let mut kept = is_kept.into_iter();
    tallies.retain(|tally| {
        let is_kept = kept.next().unwrap_or_default();
        if !is_kept {
            left_out.keys += 1;
            left_out.count += tally.count;
            left_out.failed += tally.failed;
        }
        is_kept
    });
    left_out
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
    use crate::RequestId;
    use crate::frame::Header;
    use crate::limits::FRAME_BYTES_MAX;
    use crate::local::{Reply, Tallies};

    use super::*;

    fn named(names: impl Iterator<Item = (String, u64)>) -> Vec<Tally> {
        names
            .map(|(name, count)| Tally { key: CountKey::Text(Bytes::from(name.as_str())), count, failed: 1 })
            .collect()
    }

    #[test]
    fn what_fits_is_kept_whole() {
        let mut tallies = named((0..TALLIES_MAX).map(|number| (number.to_string(), 1)));
        assert_eq!((keep_greatest(&mut tallies), tallies.len()), (LeftOut::default(), TALLIES_MAX));
    }

    #[test]
    fn the_greatest_counts_are_kept_in_the_order_of_their_keys() {
        // The key at every third place is counted often, and of the others only the first ones have room.
        let all = TALLIES_MAX + 300;
        let mut tallies =
            named((0..all).map(|number| (format!("{number:06}"), if number % 3 == 0 { 9 } else { 2 })));
        let rare: Vec<Tally> = tallies.iter().filter(|tally| tally.count == 2).cloned().collect();
        let left_out = keep_greatest(&mut tallies);
        assert_eq!(left_out, LeftOut { keys: 300, count: 600, failed: 300 });
        assert_eq!(tallies.len(), TALLIES_MAX);
        assert!(tallies.is_sorted_by(|one, other| one.key < other.key));
        assert!(rare[..rare.len() - 300].iter().all(|tally| tallies.contains(tally)));
    }

    #[test]
    fn long_names_count_by_their_bytes() {
        let name = |number: u64| (format!("{number:04}{}", "/".repeat(4092)), number);
        let mut tallies = named((0..1000).map(name));
        let left_out = keep_greatest(&mut tallies);
        assert_eq!(tallies.len(), TALLIES_TEXT_BYTES_MAX / 4096);
        assert_eq!(left_out.keys as usize, 1000 - tallies.len());
        assert!(tallies.iter().all(|tally| tally.count >= left_out.keys));
    }

    #[test]
    fn the_most_that_is_kept_fits_a_frame() {
        let longest = TALLIES_TEXT_BYTES_MAX / TALLIES_MAX;
        let mut tallies =
            named((0..TALLIES_MAX + 1).map(|number| (format!("{number:0longest$}"), u64::MAX / 2)));
        for tally in &mut tallies {
            (tally.count, tally.failed) =
                (u64::MAX / TALLIES_MAX as u64 / 2, u64::MAX / TALLIES_MAX as u64 / 2);
        }
        let left_out = keep_greatest(&mut tallies);
        assert_eq!((left_out.keys, tallies.len()), (1, TALLIES_MAX));
        let reply = Reply::Tallies(Tallies { tallies, partial_since: Some(Timestamp::MAX), left_out });
        let frame = reply.encode(RequestId(u64::MAX)).expect("it fits");
        let (header, payload) = frame.split_first_chunk().expect("a frame has a header");
        let header = Header::parse(header, FRAME_BYTES_MAX).expect("it is short enough");
        assert_eq!(Reply::decode(header.kind, payload), Ok((RequestId(u64::MAX), reply)));
    }

    #[test]
    fn a_zone_changes_at_its_steps() {
        let at = Timestamp::from_micros;
        let zone = Zone { steps: vec![(at(0), 3600), (at(100), 7200)] };
        let offsets = [-1, 0, 99, 100, 101].map(|t| zone.offset_seconds(at(t)));
        assert_eq!(offsets, [3600, 3600, 3600, 7200, 7200]);
        assert_eq!(Zone::default().offset_seconds(at(0)), 0);
    }
}
