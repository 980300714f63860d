//! The layout of the log: every file, every record, drawn once; and what is in a record.
//!
//! How payloads are written and read is in [`payload`](crate::payload).
//!
//! The log is a directory of *segments*, numbered from 1 in the order they were begun. A segment is
//! one file: `NNNNNNNN.log` while it is *raw*, `NNNNNNNN.seg` when it is *sealed*; numbers are
//! decimal. If both exist, the raw one is the truth. Fixed fields are big-endian; in payloads
//! `number` is a varint (seven bits a byte, least first), `signed` a zigzagged one, `bytes` a number
//! and so many bytes.
//!
//! Format 2 added the axis of a risk and the record `understood`, format 3 small values by name and series
//! of lines; all else is as in format 1, so segments of all three lie side by side. What is written is of
//! format 3, and a live segment of an earlier one is written anew before anything is added to it, so that
//! an older version refuses it instead of misreading it.
//!
//! # Raw
//!
//! A header, then batches; a batch is a head and its records.
//!
//! | bytes | segment header, 32 |
//! | --- | --- |
//! | 0..8 | `KAROLOG` and a newline |
//! | 8..10, 10..12 | version of the format, zero |
//! | 12..16 | number of the segment |
//! | 16..24 | when it was begun, µs since the epoch, UTC |
//! | 24..28 | zero |
//! | 28..32 | CRC-32C of 0..28 |
//!
//! | bytes | batch head, 32 |
//! | --- | --- |
//! | 0..4 | `KBAT` |
//! | 4..6, 6..8 | flags: 1 = the log was closed in order, behind it nothing was written; zero |
//! | 8..12, 12..16 | number of its records, their bytes |
//! | 16..24 | the offset up to which the file was synced when the batch was written |
//! | 24..28 | its own offset |
//! | 28..32 | CRC-32C of the segment's number and 0..28 |
//!
//! | bytes | record head, 12, then the payload |
//! | --- | --- |
//! | 0, 1 | kind, zero |
//! | 2..4 | upper half of the CRC-32C of the segment's number, the record's offset, 0..2 and 4..12 |
//! | 4..8 | bytes of the payload |
//! | 8..12 | CRC-32C of the payload |
//!
//! A record's *ordinal* is its number in the segment, from 0, and stays as long as the segment lives.
//!
//! # Sealed
//!
//! A header, blocks of at most 128 records, a block of shells, a footer block, and a trailer.
//!
//! | bytes | segment header, 96 |
//! | --- | --- |
//! | 0..8 | `KAROSEG` and a newline |
//! | 8..10, 10..12 | version of the format, zero |
//! | 12..16 | number of the segment |
//! | 16..24 | when it was sealed |
//! | 24..32, 32..40 | least and greatest start time; the least is greater if there is none |
//! | 40..56, 56..72 | least and greatest event id; likewise |
//! | 72..76, 76..80 | records, zero |
//! | 80..96 | first half of the BLAKE3 of 0..80 |
//!
//! | bytes | block head, 64, then the zstd frame |
//! | --- | --- |
//! | 0..4 | `KBLK` |
//! | 4, 5 | 1 records, 2 shells, 3 footer; zero |
//! | 6..8, 8..10, 10..12 | records in it; ordinal of the first; zero |
//! | 12..16, 16..20 | bytes unpacked, packed |
//! | 20..24 | its own offset |
//! | 24..32, 32..40 | least and greatest start time |
//! | 40..48 | zero |
//! | 48..64 | first half of the BLAKE3 of the segment's number, 0..48 and the frame |
//!
//! Unpacked, a block of records is for each of them: ordinal less the one before and less one
//! (number), kind (byte), payload (bytes). Payloads are relative to the one before ([`Base`](crate::payload::Base)), from
//! zero at the first. The block of shells holds their payloads (bytes each) in the order of their
//! numbers, from 0. The footer is:
//!
//! | field | form |
//! | --- | --- |
//! | start times, ids | least and greatest: two signed, twice 16 bytes |
//! | records | number |
//! | segments it was made of, which go when it is there | count, their numbers |
//! | blocks of records | count; each: ordinal of the first, records, offset, bytes packed with the head, bytes unpacked (numbers), first 8 bytes of least and greatest id |
//! | block of shells | offset, bytes packed with the head, bytes unpacked (numbers) |
//! | shells, once more | count, bytes each |
//! | marks of each shell | count; each: shell, then held, settled, lost: sets |
//! | outcomes by reference of events in other segments | count; each: shell, sequence, ordinal (numbers) |
//! | deleted | count; each: as the record |
//! | values, and what was taken away; this and the next from format 3 on, and only if there are any | count; each: stamp (number), shelf (byte), key (bytes), 1 and the value (bytes) or 0 |
//! | lines | count of series; each: its name (16 bytes), count of its lines; each: index (signed) and ordinal (signed), less those of the line before and less one |
//!
//! There a shell is its number plus 1, or 0 and 16 bytes of its id; a set is the count of its
//! intervals, and for each the gap to the end of the one before and its length less 1 (numbers).
//!
//! | bytes | trailer, 16 |
//! | --- | --- |
//! | 0..4 | `KEND` |
//! | 4..8, 8..12 | offset of the footer block, its bytes with its head |
//! | 12..16 | CRC-32C of the segment's number and 0..12 |
//!
//! # Kinds
//!
//! | kind | record | payload |
//! | --- | --- | --- |
//! | 0 | void: what stood here was deleted; raw only | nothing |
//! | 1 | shell: the number by which records of this segment name it; raw only | number, [`put_shell`](crate::payload::put_shell) |
//! | 2 | started: an event whose outcome is not known yet | [`put_event`](crate::payload::put_event) |
//! | 3 | whole: an event with its outcome | [`put_event`](crate::payload::put_event) |
//! | 4 | ended: the outcome of an event, by reference | [`put_ended`](crate::payload::put_ended) |
//! | 5 | lost: the shell of an event is gone, by reference | id of the shell (16 bytes), sequence (number) |
//! | 6 | deleted: these sequences of a shell never come back | [`put_deleted`](crate::payload::put_deleted) |
//! | 7 | understood: the events of a segment were understood anew; written before that segment is; raw only | its number (number) |
//! | 8 | put: the value of a name from here on | stamp (number), shelf (byte), key and value (bytes) |
//! | 9 | removed: a name has no value from here on | stamp (number), shelf (byte), key (bytes) |
//! | 10 | line: the next line of a series | name of the series (16 bytes), index from 0 (number), line (bytes) |
//!
//! Of all records of one shelf and key the one with the greatest stamp counts, wherever it lies. Puts,
//! removals, lines and deletions of a last batch that is not whole do not count: after a crash within a
//! batch that nobody was told of, none of them is there.

use std::sync::Arc;

use karo_protocol::category::CategorySet;
use karo_protocol::event::{Outcome, Redaction, Secret, Understanding};
use karo_protocol::observation::Ending;
use karo_protocol::{
    Axis, Bytes, Category, Event, EventId, Micros, Precision, RedactedCommand, Risk, Shell, ShellId, State,
    Timestamp,
};

use crate::fields::{Fields, Malformed, put_number, put_signed};

/// Version of the layout in this module; a newer one is refused.
pub const FORMAT: u16 = 3;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Nothing any more.
    Void = 0,
    /// A shell and its number in the segment.
    Shell = 1,
    /// An event that was running.
    Started = 2,
    /// An event with its outcome.
    Whole = 3,
    /// An outcome.
    Ended = 4,
    /// That there will be no outcome.
    Lost = 5,
    /// That events were deleted.
    Deleted = 6,
    /// That events were understood anew.
    Understood = 7,
    /// A value.
    Put = 8,
    /// That there is no value any more.
    Removed = 9,
    /// A line of a series.
    Line = 10,
}

impl Kind {
    /// Returns the kind of that number.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Void,
            1 => Self::Shell,
            2 => Self::Started,
            3 => Self::Whole,
            4 => Self::Ended,
            5 => Self::Lost,
            6 => Self::Deleted,
            7 => Self::Understood,
            8 => Self::Put,
            9 => Self::Removed,
            10 => Self::Line,
            _ => return None,
        })
    }
}

/// Names a series of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series(pub [u8; 16]);

/// A value as it lies in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedPut<'a> {
    /// Greater than that of every record written before.
    pub stamp: u64,
    /// What kind of thing it is.
    pub shelf: u8,
    /// Its name there.
    pub key: &'a [u8],
    /// `None` when it was taken away.
    pub value: Option<&'a [u8]>,
}

/// How an event ended, its pipe statuses still packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PackedEnding<'a> {
    /// From start to end.
    pub duration: Option<Micros>,
    /// Exit status.
    pub exit: Option<i32>,
    /// One signed for each part of the pipeline.
    pub pipestatus: &'a [u8],
}

impl PackedEnding<'_> {
    /// Unpacks it.
    ///
    /// # Errors
    ///
    /// When the pipe statuses are none.
    pub fn unpack(&self) -> Result<Ending, Malformed> {
        let mut fields = Fields(self.pipestatus);
        let mut pipestatus = Vec::new();
        while !fields.is_empty() {
            let status = fields.signed("pipe status")?;
            pipestatus.push(i32::try_from(status).map_err(|_| Malformed("pipe status"))?);
        }
        Ok(Ending { duration: self.duration, exit: self.exit, pipestatus })
    }
}

/// An event as it lies in a record: borrowed, its lists still packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedEvent<'a> {
    /// Number of its shell in the segment.
    pub shell: u32,
    /// Its number in that shell.
    pub sequence: u64,
    /// Its name.
    pub id: EventId,
    /// Wall time of the start.
    pub started_at: Timestamp,
    /// How fine the clock was.
    pub precision: Precision,
    /// Whether the text was cut.
    pub is_truncated: bool,
    /// Whether the directory was cut.
    pub is_cwd_truncated: bool,
    /// The redacted text.
    pub command: &'a [u8],
    /// For each marker: start (number), length (number), kind (byte).
    pub redactions: &'a [u8],
    /// Working directory.
    pub cwd: &'a [u8],
    /// The most telling category.
    pub category: Category,
    /// Bits of the set of categories.
    pub categories: u32,
    /// Names of the programs, separated by NUL.
    pub tools: &'a [u8],
    /// The highest level.
    pub risk: Option<Risk>,
    /// The axis of the rule that gave it.
    pub axis: Option<Axis>,
    /// Ids of the rules, separated by NUL.
    pub rules: &'a [u8],
    /// Version of the rules.
    pub version: u32,
    /// How far it has come.
    pub state: State,
    /// How it ended, if it has.
    pub ending: PackedEnding<'a>,
}

impl PackedEvent<'_> {
    /// Unpacks it; `shell` is the one that its number stands for.
    ///
    /// # Errors
    ///
    /// When one of the lists is none.
    pub fn unpack(&self, shell: &Shell) -> Result<Event, Malformed> {
        let outcome = match self.state {
            State::Running => Outcome::Running,
            State::Lost => Outcome::Lost,
            State::Ended => Outcome::Ended(self.ending.unpack()?),
        };
        let understanding = Understanding {
            category: self.category,
            categories: categories(self.categories)?,
            tools: names(self.tools)?,
            risk: self.risk,
            rules: names(self.rules)?,
            version: self.version,
            axis: self.axis,
        };
        Ok(Event {
            id: self.id,
            shell: shell.clone(),
            sequence: self.sequence,
            command: RedactedCommand::restored(Bytes(self.command.to_vec()), self.is_truncated),
            redactions: redactions(self.redactions)?,
            cwd: Bytes(self.cwd.to_vec()),
            is_cwd_truncated: self.is_cwd_truncated,
            started_at: self.started_at,
            precision: self.precision,
            outcome,
            understanding,
        })
    }
}

fn categories(bits: u32) -> Result<CategorySet, Malformed> {
    if bits >> Category::ALL.len() != 0 {
        return Err(Malformed("set of categories"));
    }
    Ok(Category::ALL.iter().copied().filter(|category| bits & 1 << category.index() != 0).collect())
}

fn names(joined: &[u8]) -> Result<Vec<String>, Malformed> {
    let text = std::str::from_utf8(joined).map_err(|_| Malformed("list of names"))?;
    Ok(text.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

fn redactions(packed: &[u8]) -> Result<Vec<Redaction>, Malformed> {
    const WHAT: &str = "redaction";
    let mut fields = Fields(packed);
    let mut redactions = Vec::new();
    while !fields.is_empty() {
        let start: u32 = fields.small(WHAT)?;
        let length: u32 = fields.small(WHAT)?;
        let end = start.checked_add(length).ok_or(Malformed(WHAT))?;
        let kind = Secret::from_index(fields.byte(WHAT)?).ok_or(Malformed(WHAT))?;
        redactions.push(Redaction { start, end, kind });
    }
    Ok(redactions)
}

/// Room for the packed lists of one event, used again for the next.
#[derive(Debug, Default)]
pub struct Packing {
    redactions: Vec<u8>,
    tools: Vec<u8>,
    rules: Vec<u8>,
    pipestatus: Vec<u8>,
}

impl Packing {
    /// Packs an event; `shell` is the number of its shell in the segment.
    pub fn pack<'a>(&'a mut self, event: &'a Event, shell: u32) -> PackedEvent<'a> {
        let ending = event.outcome.ending();
        self.fill(event, ending);
        let understanding = &event.understanding;
        PackedEvent {
            shell,
            sequence: event.sequence,
            id: event.id,
            started_at: event.started_at,
            precision: event.precision,
            is_truncated: event.command.is_truncated(),
            is_cwd_truncated: event.is_cwd_truncated,
            command: event.command.as_bytes(),
            redactions: &self.redactions,
            cwd: &event.cwd,
            category: understanding.category,
            categories: understanding
                .categories
                .iter()
                .fold(0, |bits, category| bits | 1 << category.index()),
            tools: &self.tools,
            risk: understanding.risk,
            axis: understanding.axis,
            rules: &self.rules,
            version: understanding.version,
            state: event.outcome.state(),
            ending: PackedEnding {
                duration: ending.and_then(|ending| ending.duration),
                exit: ending.and_then(|ending| ending.exit),
                pipestatus: &self.pipestatus,
            },
        }
    }

    /// Packs an ending that is written by reference.
    pub fn pack_ending(&mut self, ending: &Ending) -> PackedEnding<'_> {
        self.pipestatus.clear();
        ending.pipestatus.iter().for_each(|status| put_signed(&mut self.pipestatus, i64::from(*status)));
        PackedEnding { duration: ending.duration, exit: ending.exit, pipestatus: &self.pipestatus }
    }

    fn fill(&mut self, event: &Event, ending: Option<&Ending>) {
        self.redactions.clear();
        for redaction in &event.redactions {
            put_number(&mut self.redactions, u64::from(redaction.start));
            put_number(&mut self.redactions, u64::from(redaction.end.saturating_sub(redaction.start)));
            self.redactions.push(redaction.kind.index());
        }
        join(&mut self.tools, &event.understanding.tools);
        join(&mut self.rules, &event.understanding.rules);
        self.pipestatus.clear();
        for status in ending.iter().flat_map(|ending| &ending.pipestatus) {
            put_signed(&mut self.pipestatus, i64::from(*status));
        }
    }
}

/// Joins names by NUL; a NUL in a name, which no program's can have, parts it.
fn join(out: &mut Vec<u8>, names: &[String]) {
    out.clear();
    for name in names {
        if !out.is_empty() {
            out.push(0);
        }
        out.extend_from_slice(name.as_bytes());
    }
}

/// One record, as it lies in a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record<'a> {
    /// Nothing any more.
    Void,
    /// A shell and its number in the segment.
    Shell(u32, Arc<Shell>),
    /// An event, running or with its outcome.
    Event(PackedEvent<'a>),
    /// The outcome of an event, by its shell and its number there.
    Ended(ShellId, u64, PackedEnding<'a>),
    /// An event without an outcome, likewise.
    Lost(ShellId, u64),
    /// The sequences of a shell, first to last, that never come back.
    Deleted(ShellId, u64, u64),
    /// That the events of the segment of that number are understood anew: what was derived from the log
    /// before this record may be wrong since.
    Understood(u32),
    /// A value, or that it was taken away.
    Put(PackedPut<'a>),
    /// The line of a series at an index.
    Line(Series, u64, &'a [u8]),
}

impl Record<'_> {
    /// Returns the kind that stands in its head.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Void => Kind::Void,
            Self::Shell(..) => Kind::Shell,
            Self::Event(event) => match event.state {
                State::Running => Kind::Started,
                State::Ended | State::Lost => Kind::Whole,
            },
            Self::Ended(..) => Kind::Ended,
            Self::Lost(..) => Kind::Lost,
            Self::Deleted(..) => Kind::Deleted,
            Self::Understood(_) => Kind::Understood,
            Self::Put(PackedPut { value: Some(_), .. }) => Kind::Put,
            Self::Put(PackedPut { value: None, .. }) => Kind::Removed,
            Self::Line(..) => Kind::Line,
        }
    }

    /// Returns the number by which it names its shell, if it does.
    pub const fn shell(&self) -> Option<u32> {
        match self {
            Self::Event(event) => Some(event.shell),
            Self::Void
            | Self::Shell(..)
            | Self::Ended(..)
            | Self::Lost(..)
            | Self::Deleted(..)
            | Self::Understood(_)
            | Self::Put(_)
            | Self::Line(..) => None,
        }
    }
}
