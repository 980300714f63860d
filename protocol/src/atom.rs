//! Atoms: the numbers of one group on one day, made once, of at least five owners, and never of one.
//!
//! Two aggregators make an atom of sealed shares (`karo_core::atom`); neither of them sees what one owner gave. What
//! is in a cell, and where it stands in the vectors that are shared, is drawn here once, because all members must
//! agree on it to the bit.
//!
//! | part | cells of values, in order | cells of owners |
//! | --- | --- | --- |
//! | [`Part::Main`] | 21 categories × (ok, failed, log duration of the ok ones) · risk · 24 hours | 21 × (ok, failed) · risk · 24 hours · kinds of signal |
//! | [`Part::Others`] | 21 categories × (ok, failed) of events whose tool has no cell · 5 levels × rules that have none | the same |
//! | [`Part::Tools`] | 32 tools × (ok, failed, log duration of the ok ones) | 32 × (ok, failed) |
//! | [`Part::Rules`] | 32 rules | the same |
//!
//! An event counts under the first of its programs that the group lists under the event's own category, else under
//! the others of that category; likewise under the first of its rules that the group lists under the event's own level,
//! else under the others of that level. So the tools and the others of a category are a partition of its events, and
//! the rules and the others of a level one of its events. The cells of risk are none, then 5 levels × 3 axes in the order of both. A cell of owners is 1 where this owner
//! has something in the cell of values beside it, else 0. Events of unknown outcome are in no cell at all, so that
//! categories, hours and risk are three partitions of the same events.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::category::CategorySet;
use crate::node::{Hash, NodeId, Nonce};
use crate::peer::{Signed, SignedBody};
use crate::{Axis, Bytes, Category, Risk, named_enum};

/// Where counts are cut: what one owner can add to any cell.
pub const COUNT_MAX: u32 = 65_535;

/// Bits of one value in a vector that is shared: 2²²−1 holds 65,535 durations of 2⁶³ µs.
pub const VALUE_BITS: usize = 22;

/// Tools or rules in one part.
pub const CHUNK: usize = 32;

/// Cells of risk: none, and each level on each axis.
pub const RISK_CELLS: usize = 1 + Risk::ALL.len() * Axis::ALL.len();

/// Hours of a day.
pub const HOURS: usize = 24;

/// Parts of one atom: main, others, three chunks of tools, two of rules.
pub const PARTS_MAX: usize = 7;

/// Days that one question may ask for: ten years.
pub const DAYS_MAX: u16 = 3653;

/// Atoms in one answer of a member, so that it fits a frame.
pub const ATOMS_PAGE_MAX: usize = 64;

named_enum! {
    /// What a person's own machine found unusual about a day: at most one of each kind counts.
    Signal, "signal" {
        /// A mix of kinds of command that this person rarely has.
        Pattern = "unusual-pattern",
        /// Far more failures than usual.
        Failures = "failure-rate",
        /// Work at hours that are unusual for this person.
        Hours = "unusual-hours",
        /// The same risky thing again and again.
        RepeatedRisk = "repeated-risk",
        /// Far more or far fewer commands than usual.
        Deviation = "deviation",
    }
}

/// A part of an atom: one vector of values and one of owners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Categories, risk, hours, signals.
    Main,
    /// What has no cell in the parts behind.
    Others,
    /// The tools of the group from `32 × n` on; `n` below 3.
    Tools(u8),
    /// The rules of the group from `32 × n` on; `n` below 2.
    Rules(u8),
}

impl Part {
    /// Every part there can be, in the order in which they stand everywhere.
    pub const ALL: [Self; PARTS_MAX] = [
        Self::Main,
        Self::Others,
        Self::Tools(0),
        Self::Tools(1),
        Self::Tools(2),
        Self::Rules(0),
        Self::Rules(1),
    ];

    /// Returns the number that stands for it on the wire.
    pub fn index(self) -> u8 {
        Self::ALL.iter().position(|part| *part == self).map_or(u8::MAX, |place| place as u8)
    }

    /// Returns how many cells of values it has.
    pub const fn values(self) -> usize {
        match self {
            Self::Main => 3 * Category::ALL.len() + RISK_CELLS + HOURS,
            Self::Others => 2 * Category::ALL.len() + Risk::ALL.len(),
            Self::Tools(_) => 3 * CHUNK,
            Self::Rules(_) => CHUNK,
        }
    }

    /// Returns how many cells of owners it has.
    pub const fn owners(self) -> usize {
        match self {
            Self::Main => 2 * Category::ALL.len() + RISK_CELLS + HOURS + Signal::ALL.len(),
            Self::Others => 2 * Category::ALL.len() + Risk::ALL.len(),
            Self::Tools(_) => 2 * CHUNK,
            Self::Rules(_) => CHUNK,
        }
    }

    /// Returns the parts of a group with so many tools and rules, in order.
    pub fn of_group(tools: usize, rules: usize) -> Vec<Self> {
        let is_there = |part: &Self| match part {
            Self::Main => true,
            Self::Others => tools + rules > 0,
            Self::Tools(chunk) => usize::from(*chunk) * CHUNK < tools,
            Self::Rules(chunk) => usize::from(*chunk) * CHUNK < rules,
        };
        Self::ALL.iter().copied().filter(is_there).collect()
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.index())
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let index = u8::deserialize(deserializer)?;
        Self::ALL
            .get(usize::from(index))
            .copied()
            .ok_or_else(|| serde::de::Error::custom("unknown part of an atom"))
    }
}

named_enum! {
    /// How many owners are behind a cell, no finer than this.
    Band, "band of owners" {
        /// Fewer than five, or hidden for another's sake: the value is not there either.
        Hidden = "hidden",
        /// Five at least.
        Five = "5+",
        /// Ten at least.
        Ten = "10+",
        /// Twenty at least.
        Twenty = "20+",
        /// Fifty at least.
        Fifty = "50+",
    }
}

impl Band {
    /// Returns the band of so many owners.
    pub const fn of(owners: u64) -> Self {
        match owners {
            0..5 => Self::Hidden,
            5..10 => Self::Five,
            10..20 => Self::Ten,
            20..50 => Self::Twenty,
            50.. => Self::Fifty,
        }
    }

    /// Returns the least number of owners that it stands for; 0 for hidden.
    pub const fn least(self) -> u16 {
        match self {
            Self::Hidden => 0,
            Self::Five => 5,
            Self::Ten => 10,
            Self::Twenty => 20,
            Self::Fifty => 50,
        }
    }
}

/// What was released of one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// Which part.
    pub part: Part,
    /// [`Part::values`] cells; `None` is hidden.
    pub values: Vec<Option<u64>>,
    /// [`Part::owners`] cells.
    pub owners: Vec<Band>,
}

/// The released numbers of one group on one day. The same for everybody who asks, for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Atom {
    /// Which group, by the hash of its file.
    pub group: Hash,
    /// The day in the group's time zone, in days since 1970-01-01.
    pub day: i32,
    /// The two who made it: rank 1, then rank 2.
    pub aggregators: (NodeId, NodeId),
    /// Owners whose numbers are in it.
    pub contributors: u16,
    /// Owners that the group file names.
    pub owners: u16,
    /// The parts in their order.
    pub parts: Vec<Released>,
}

impl SignedBody for Atom {
    const NAME: &'static str = "atom";

    /// All seven parts have some thousand cells of at most nine bytes.
    const BYTES_MAX: usize = 32 * 1024;
}

/// What the second aggregator signs once the table of the first is what it has itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtomSeal {
    /// BLAKE3 of the bytes of the first one's object.
    pub atom: Hash,
}

impl SignedBody for AtomSeal {
    const NAME: &'static str = "atom seal";
}

/// An atom with both signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedAtom {
    /// An [`Atom`], of rank 1.
    pub table: Signed,
    /// An [`AtomSeal`], of rank 2.
    pub seal: Signed,
}

/// Which atom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AtomId {
    /// The group, by the hash of its file.
    pub group: Hash,
    /// The day in its time zone, in days since 1970-01-01.
    pub day: i32,
}

/// What one contributor gives for one atom: signed, so that no carrier can make or change one.
///
/// The id of the object is the id of the report: 128 random bits, and prio's nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// For which atom.
    pub atom: AtomId,
    /// Rank 1, to whom the first box is sealed.
    pub leader: NodeId,
    /// Rank 2, to whom the second is.
    pub helper: NodeId,
    /// BLAKE3 of the first box.
    pub leader_box: Hash,
    /// BLAKE3 of the second.
    pub helper_box: Hash,
}

impl SignedBody for Report {
    const NAME: &'static str = "atom report";
}

named_enum! {
    /// Why a contributor or an aggregator does not go on. New ones are added at the end.
    AtomReason, "reason" {
        /// Its owner contributes to no group.
        NotSharing = "sharing is off",
        /// It has another file of that group, or none.
        OtherGroup = "another group file",
        /// It gave that day to another group.
        GivenElsewhere = "the day was given to another group",
        /// Its numbers of that day are not those that it gave before.
        Changed = "the day's numbers have changed since they were given",
        /// The day is not over, or its hour has not come.
        TooEarly = "too early",
        /// It is not what the group's ranking says that it is.
        WrongRank = "not the aggregator of that day",
        /// The atom was closed before.
        AlreadyClosed = "closed before",
        /// A second key or another set came for an atom that has one.
        Replayed = "another key or set than before",
        /// Fewer owners than the group's smallest cohort.
        TooFew = "too few owners",
        /// Something did not verify.
        Invalid = "did not verify",
        /// The two aggregators have different sets or tables.
        Disagreed = "the aggregators disagree",
        /// The other aggregator, or this node, was gone for too long.
        Gone = "an aggregator was away",
        /// The node has no numbers of that day any more.
        NoData = "no numbers of that day",
        /// It cannot at the moment.
        Busy = "busy",
    }
}

/// What contributors and aggregators say to close an atom. Every message names its atom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtomTalk {
    /// Which atom.
    pub atom: AtomId,
    /// What is said of it.
    pub says: AtomSays,
}

/// What is said of an atom; who says it to whom stands in front.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AtomSays {
    /// Rank 1 to contributors: give your report. `by_hand` if a person asked for a past day.
    Invite {
        /// Whether it comes outside the daily window.
        by_hand: bool,
    },
    /// A contributor to rank 1.
    Report {
        /// A [`Report`].
        report: Signed,
        /// Sealed to rank 1.
        leader_box: Bytes,
        /// Sealed to rank 2.
        helper_box: Bytes,
    },
    /// A contributor to rank 1: nothing comes.
    Decline(AtomReason),
    /// Rank 1 to a contributor: the report of that id was taken.
    Taken(Nonce),
    /// Rank 1 to rank 2: let us close; the hash of my half of the key.
    Open {
        /// BLAKE3 of rank 1's half.
        commitment: Hash,
        /// Whether it comes outside the daily window.
        by_hand: bool,
    },
    /// Rank 2 to rank 1: my half.
    Half(Hash),
    /// Rank 1 to rank 2: my half. Both have it on disk before the first report is verified.
    Halves(Hash),
    /// Rank 2 to rank 1: ready.
    Ready,
    /// Rank 1 to rank 2: one report to verify.
    Verify {
        /// A [`Report`], as the contributor signed it.
        report: Signed,
        /// As the contributor sealed it.
        helper_box: Bytes,
        /// Rank 1's half of the verification, for each part its values and its owners.
        shares: Vec<Bytes>,
    },
    /// Rank 2 to rank 1: what became of it: the messages that finish the verification, or none.
    Verified {
        /// Id of the report.
        report: Nonce,
        /// As [`Verify`](Self::Verify)'s shares; `None` when it did not verify.
        messages: Option<Vec<Bytes>>,
    },
    /// Rank 1 to rank 2: these reports, in the order of their ids, and the hash of my sums of owners.
    Set {
        /// Ids of the reports.
        reports: Vec<Nonce>,
        /// Hash over rank 1's sums of owners and a blind.
        commitment: Hash,
    },
    /// Rank 2 to rank 1: the same here, and the hash of mine.
    Agreed {
        /// Hash of the set.
        set: Hash,
        /// Hash over rank 2's sums of owners and a blind.
        commitment: Hash,
    },
    /// Each to the other: what the hash was over.
    Owners {
        /// Each part's sums of owners.
        sums: Vec<Bytes>,
        /// The blind.
        blind: Hash,
    },
    /// Each to the other: the sums of the values of the cells that stay visible.
    Values(Vec<Bytes>),
    /// Rank 1 to rank 2: an [`Atom`] with my signature.
    Table(Signed),
    /// Rank 2 to rank 1: an [`AtomSeal`].
    Seal(Signed),
    /// To all members: it is closed.
    Closed(Box<ClosedAtom>),
    /// It is over without an atom; to all who took part.
    Ended(AtomReason),
    /// The contributing node to its owner's other machines: what is your table?
    FeedAsk,
    /// The answer, to that node alone: each part's counts. `None` when there is nothing to give.
    Feed(Option<Vec<PartCounts>>),
    /// As [`FeedAsk`](Self::FeedAsk): what is your table without these categories? The policy of the contributing node
    /// keeps them back, and what is told in its name must not hold them either.
    FeedAskWithout(CategorySet),
}

/// One machine's own counts of a day: goes to another machine of the same owner and to nobody else.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PartCounts {
    /// [`Part::index`].
    pub part: u8,
    /// [`Part::values`] counts.
    pub values: Vec<u64>,
    /// [`Part::owners`] marks, 0 or 1.
    pub marks: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_one_number_each() {
        for (index, part) in Part::ALL.iter().enumerate() {
            assert_eq!(usize::from(part.index()), index);
        }
        assert_eq!((Part::Main.values(), Part::Main.owners()), (103, 87));
        assert_eq!((Part::Others.values(), Part::Others.owners()), (47, 47));
    }

    #[test]
    fn a_group_has_the_parts_that_it_needs() {
        assert_eq!(Part::of_group(0, 0), [Part::Main]);
        assert_eq!(Part::of_group(33, 0), [Part::Main, Part::Others, Part::Tools(0), Part::Tools(1)]);
        assert_eq!(Part::of_group(0, 1), [Part::Main, Part::Others, Part::Rules(0)]);
        assert_eq!(Part::of_group(96, 64), Part::ALL);
    }

    #[test]
    fn bands_hide_fewer_than_five() {
        let bands = [0, 4, 5, 9, 10, 19, 20, 49, 50, 1000].map(Band::of);
        use Band::{Fifty, Five, Hidden, Ten, Twenty};
        assert_eq!(bands, [Hidden, Hidden, Five, Five, Ten, Ten, Twenty, Twenty, Fifty, Fifty]);
    }
}
