//! Questions to the mesh, and their answers.
//!
//! Answers about a group are arithmetic over its [atoms](crate::atom): the same for everybody who asks, in whole days,
//! and silent about fewer than five owners. Health is about nodes.

use serde::{Deserialize, Serialize};

use crate::atom::{AtomReason, Band, ClosedAtom, Signal};
use crate::group::GroupFile;
use crate::node::{Fingerprint, Hash, NodeId};
use crate::peer::Signed;
use crate::summary::{Period, Summary};
use crate::{Category, Timestamp, named_enum};

named_enum! {
    /// What can be asked of a group.
    Question, "question" {
        /// Which tools are in use, how often, how long, how well.
        ToolUsage = "tool-usage",
        /// How risky what is run is.
        SafetyPosture = "safety-posture",
        /// When work is done.
        Activity = "activity",
        /// How many owners had an unusual day.
        Anomalies = "anomalies",
    }
}

named_enum! {
    /// What became of a question at one node.
    Status, "status" {
        /// It answered.
        Success = "success",
        /// It does not answer that to this asker.
        AccessDenied = "access-denied",
        /// It does not know such questions.
        NotSupported = "not-supported",
        /// It was not in this group on these days, or has nothing of them.
        NoData = "no-data",
        /// It could not.
        Error = "error",
        /// Nothing came in time.
        NoResponse = "no-response",
    }
}

/// What peers ask each other that is about no person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AskTalk {
    /// Which of these atoms do you have?
    Atoms {
        /// Names this question among the asker's.
        id: u64,
        /// Which group.
        group: Hash,
        /// Which days, in order; at most [`ATOMS_PAGE_MAX`](crate::atom::ATOMS_PAGE_MAX).
        days: Vec<i32>,
    },
    /// The answer.
    AtomsHeld {
        /// Which question.
        id: u64,
        /// How it went.
        status: Status,
        /// Those that the sender has.
        atoms: Vec<ClosedAtom>,
    },
    /// How are you?
    Health {
        /// Names this question among the asker's.
        id: u64,
    },
    /// The answer.
    HealthIs {
        /// Which question.
        id: u64,
        /// How it went.
        status: Status,
        /// With [`Status::Success`] only.
        health: Option<Health>,
    },
}

/// How a node is: no counts of events, no activity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Program and version.
    pub program: String,
    /// Its wall clock.
    pub now: Timestamp,
    /// Whether its store accepts.
    pub is_accepting: bool,
    /// Whether its store is damaged anywhere.
    pub is_damaged: bool,
    /// Links it has, of so many peers.
    pub links: (u32, u32),
    /// Whether its audit has a witness.
    pub is_witnessed: bool,
}

/// Asks a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshQuery {
    /// What.
    pub question: Question,
    /// Which group, by name; the only one when not said.
    pub group: Option<String>,
    /// From the day in which this moment lies; seven days when not said.
    pub since: Option<Timestamp>,
    /// To the end of the day before the one in which this moment lies; to yesterday when not said.
    pub until: Option<Timestamp>,
    /// Whether the same number of days before is told as well.
    pub compare: bool,
}

/// What a group answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshAnswer {
    /// What was asked.
    pub question: Question,
    /// Name of the group.
    pub group: String,
    /// Its file's hash.
    pub group_id: Hash,
    /// Its time zone.
    pub zone: String,
    /// First day asked for, in days since 1970-01-01.
    pub since_day: i32,
    /// The day behind the last one.
    pub until_day: i32,
    /// Days of these that have an atom, in order.
    pub covered: Vec<i32>,
    /// Day of the newest atom that is known at all.
    pub newest: Option<i32>,
    /// Least and greatest number of owners that gave numbers for a day.
    pub contributors: Option<(u16, u16)>,
    /// Owners that the group names.
    pub owners: u16,
    /// Fewest owners that the group closes a day with.
    pub smallest_cohort: u16,
    /// The answer, table by table.
    pub sections: Vec<Section>,
    /// Days of the period before that have an atom; `None` when it was not asked for.
    pub covered_before: Option<Vec<i32>>,
    /// What members answered when atoms were looked for, each status with its number; empty when all were here.
    pub statuses: Vec<(Status, u32)>,
    /// Names of the direct peers from which no answer came in time.
    pub silent: Vec<String>,
    /// What is not in the answer, each a sentence.
    pub not_in_it: Vec<String>,
}

/// One table of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// What it is of: `categories`, `tools`, `risk`, `rules`, `hours`, `days`, `signals`.
    pub name: String,
    /// The lines that can be shown.
    pub rows: Vec<AnswerRow>,
    /// How many lines there are that cannot on any day.
    pub hidden: u32,
    /// Share of the events that have what the table is of, in millionths, as `coverage` of risk.
    pub coverage_ppm: Option<u32>,
}

/// One line of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerRow {
    /// What it is about: `git`, `network`, `high threat`, `14`, `2026-11-19`, `unusual-hours`.
    pub name: String,
    /// The category it belongs to, for tools.
    pub category: Option<Category>,
    /// Events that are told of.
    pub count: Option<u64>,
    /// Events that failed, on the days on which both that and how many went well can be told.
    pub failed: Option<u64>,
    /// All events of these days: what `failed` is a part of.
    pub failed_of: Option<u64>,
    /// Share of the section, in millionths.
    pub share_ppm: Option<u32>,
    /// Geometric mean of the durations of those that did not fail, in µs.
    pub mean_us: Option<u64>,
    /// Owners, at least: the greatest band of any day.
    pub owners: Band,
    /// Days of those covered on which it is hidden.
    pub hidden_days: u16,
    /// Events in the period before, where that was asked for and can be told.
    pub before: Option<u64>,
}

/// How one node is, or what became of the question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthRow {
    /// Its name here.
    pub name: String,
    /// How it went.
    pub status: Status,
    /// With [`Status::Success`].
    pub health: Option<Health>,
    /// Its clock less ours, in µs, to half a round trip.
    pub skew_us: Option<i64>,
}

/// Which summaries are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SummaryAsk {
    /// Which.
    pub of: SummaryOf,
    /// Of these periods; of all when empty.
    pub periods: Vec<Period>,
    /// Beginning not before.
    pub since: Option<Timestamp>,
    /// Beginning before.
    pub until: Option<Timestamp>,
}

/// Whose summaries, and which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SummaryOf {
    /// Our own, as they would be told to nobody in particular: the policy's categories are kept back.
    Own,
    /// What was sent, to that peer or to all.
    Sent(Option<String>),
    /// What was received, from that peer or from all.
    Received(Option<String>),
    /// Ask that peer for its own now.
    From(String),
}

/// One summary in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SummaryRow {
    /// From or to whom; `None` for our own.
    pub peer: Option<String>,
    /// When it was sent or received.
    pub at: Option<Timestamp>,
    /// Whether the peer said that it has it.
    pub is_taken: bool,
    /// What it says.
    pub summary: Summary,
}

/// Asks what was unusual about the own days.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SignalsAsk {
    /// From the day in which this moment lies; thirty days when not said.
    pub since: Option<Timestamp>,
    /// Before the day in which this moment lies; to today when not said.
    pub until: Option<Timestamp>,
    /// Where days begin.
    pub zone: crate::query::Zone,
}

/// What a person's own machine found unusual about a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalRow {
    /// The day in local time, in days since 1970-01-01.
    pub day: i32,
    /// What kind.
    pub signal: Signal,
    /// What was seen and what is usual, in a sentence.
    pub because: String,
    /// The commands behind it at the most telling place, each as it may be shown; at most ten.
    pub causes: Vec<String>,
}

/// Makes a group file, or a new version of one. Nothing is accepted by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupMake {
    /// The file that it begins from; `None` begins a group, with this machine as its only member.
    pub base: Option<Signed>,
    /// What is changed, in order.
    pub edits: Vec<GroupEdit>,
}

/// One change of a group file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GroupEdit {
    /// Its name.
    Name(String),
    /// Its time zone.
    Zone(String),
    /// Its smallest cohort.
    SmallestCohort(u16),
    /// A member is added, or takes the place of the one with its key.
    Add {
        /// A peer whose card is known, by name, or a card as text.
        who: String,
        /// Its owner; the roster's when not said.
        owner: Option<String>,
        /// Its name; the roster's when not said.
        name: Option<String>,
        /// Whether it gives its owner's numbers; the first machine of an owner does when not said.
        contributes: Option<bool>,
        /// Whether it may add up.
        may_aggregate: bool,
        /// Where it is reached; the roster's when empty.
        addresses: Vec<String>,
    },
    /// A member goes, by its name in the file or its key.
    Remove(String),
    /// Tools with cells, in place of those before; names of the public list.
    Tools(Vec<String>),
    /// Rules with cells, in place of those before; ids of loaded rules.
    Rules(Vec<String>),
}

/// A group file as it is shown to the person who is to accept it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupShown {
    /// Its id: BLAKE3 of the signed bytes.
    pub id: Hash,
    /// The file itself.
    pub signed: Signed,
    /// Who made it.
    pub maker: NodeId,
    /// The short form of that.
    pub maker_fingerprint: Fingerprint,
    /// What it says.
    pub file: GroupFile,
    /// What is new against the version that is accepted here, each a sentence; against nothing, all that matters.
    pub differences: Vec<String>,
    /// Why it cannot be accepted here, if so.
    pub refused_because: Option<String>,
    /// Whether it is accepted.
    pub is_accepted: bool,
}

/// A group of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRow {
    /// What it is called.
    pub name: String,
    /// Its id.
    pub id: Hash,
    /// Version of its file.
    pub version: u64,
    /// When it was accepted here; `None` for one that was only offered.
    pub accepted_at: Option<Timestamp>,
    /// Who offered it, for one that was.
    pub offered_by: Option<String>,
    /// Members, and owners.
    pub members: (u16, u16),
    /// What this machine is in it: `contributes`, `feeds NAME`, `none`.
    pub role: String,
    /// Names of the two who add up today's numbers tomorrow.
    pub aggregators: Option<(String, String)>,
    /// Its time zone.
    pub zone: String,
    /// Its smallest cohort.
    pub smallest_cohort: u16,
    /// What keeps it from making numbers, each a sentence.
    pub problems: Vec<String>,
}

named_enum! {
    /// How far a day of a group is, as this machine knows.
    AtomState, "state" {
        /// Its reports are being collected.
        Open = "open",
        /// Our numbers were given; what came of it is not known yet.
        Given = "given",
        /// There is an atom.
        Closed = "closed",
        /// It ended without one.
        Ended = "ended",
        /// We did not give, and know of no atom.
        Refused = "refused",
    }
}

/// A day of a group, as this machine knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtomRow {
    /// Name of the group, if it is still one of ours.
    pub group: Option<String>,
    /// Its id.
    pub group_id: Hash,
    /// The day.
    pub day: i32,
    /// How far it is.
    pub state: AtomState,
    /// Why it ended, or why we gave nothing.
    pub reason: Option<AtomReason>,
    /// Whether our numbers were given.
    pub is_given: bool,
    /// Hash of the table that was given.
    pub table: Option<Hash>,
    /// Of how many of our owner's other machines, of how many, numbers are in it.
    pub fed: (u16, u16),
    /// Owners in the atom.
    pub contributors: Option<u16>,
    /// The two who made it.
    pub aggregators: Option<(String, String)>,
    /// When it was closed, or ended, as far as is known here.
    pub at: Option<Timestamp>,
}

/// Asks that a past day be closed now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupClose {
    /// Which group, by name; the only one when not said.
    pub group: Option<String>,
    /// Which day.
    pub day: i32,
}
