//! A summary: what one node tells of itself, to those whom its person chose.
//!
//! It is about one person's machine, and the interface says so. It can name a category, a program of the public list, a
//! level of risk and an hour, and nothing else: there is no type here for a command, a path, a host or a private
//! program.

use serde::{Deserialize, Serialize};

use crate::group::ToolName;
use crate::peer::{Signed, SignedBody};
use crate::{Axis, Category, Risk, Timestamp, named_enum};

/// Tools that one summary names: those with the most events; the rest are others of their categories.
pub const SUMMARY_TOOLS_MAX: usize = 128;

/// Summaries in one answer, so that it fits a frame.
pub const SUMMARIES_PAGE_MAX: usize = 32;

named_enum! {
    /// How long a time a summary is of; each begins and ends in the local time of its node.
    Period, "period" {
        /// One hour.
        Hourly = "hourly",
        /// One day.
        Daily = "daily",
        /// One week, from Monday.
        Weekly = "weekly",
    }
}

/// Sums over some events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sums {
    /// Events.
    pub count: u64,
    /// Of these, how many ended with a status other than zero.
    pub failed: u64,
    /// Mean duration of those whose duration is known, in µs.
    pub mean_us: Option<u64>,
}

/// One node's numbers of one period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// How long.
    pub period: Period,
    /// Its beginning.
    pub start: Timestamp,
    /// Its end: the first moment that is not in it any more.
    pub end: Timestamp,
    /// Seconds east of UTC at its beginning.
    pub offset_s: i32,
    /// Counts how often this period was told anew: a greater one takes the place of a lesser.
    pub version: u64,
    /// Everything that is told of.
    pub total: Sums,
    /// By the most telling category, in order; what is zero is left out.
    pub categories: Vec<(Category, Sums)>,
    /// By public program and the category of the list, in the order of their names; at most [`SUMMARY_TOOLS_MAX`].
    pub tools: Vec<(ToolName, Category, Sums)>,
    /// Events by 24 hours of local time.
    pub hours: Vec<u32>,
    /// Events by seven days of the week, from Monday.
    pub weekdays: Vec<u32>,
    /// Events by level and axis of risk, in order; `None` where a policy keeps categories back: risk is not told apart
    /// by category.
    pub risks: Option<Vec<(Risk, Option<Axis>, u64)>>,
    /// Whether a policy keeps something back.
    pub is_limited: bool,
}

impl SignedBody for Summary {
    const NAME: &'static str = "summary";

    /// A hundred and twenty-eight tools of some sixty bytes, and the rest.
    const BYTES_MAX: usize = 16 * 1024;
}

/// Which summary of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SummaryId {
    /// How long.
    pub period: Period,
    /// Its beginning.
    pub start: Timestamp,
}

/// What peers say about summaries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SummaryTalk {
    /// One of the sender's own, a [`Summary`] for this receiver alone.
    Push(Signed),
    /// It was taken, and is on disk: it need not come again.
    Taken {
        /// Which.
        id: SummaryId,
        /// In which version.
        version: u64,
    },
    /// Send me yours that begin in that time, of these periods.
    Ask {
        /// Names this question among the asker's.
        id: u64,
        /// Not before.
        since: Timestamp,
        /// Before.
        until: Timestamp,
        /// Which periods.
        periods: Vec<Period>,
    },
    /// An answer to that: some summaries, and whether it was the last of it.
    Answer {
        /// Which question.
        id: u64,
        /// How it went.
        status: crate::answer::Status,
        /// At most [`SUMMARIES_PAGE_MAX`].
        summaries: Vec<Signed>,
        /// Whether nothing more comes.
        is_last: bool,
    },
}
