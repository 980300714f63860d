//! How one atom is closed: contributors give sealed shares, two aggregators verify them, agree, and release.
//!
//! Pure: each machine takes what is said and the time, and answers with [`Output`]s and a deadline; signatures are
//! verified and made outside, what is kept is written outside, and what takes a processor's time is a [`Work`] that
//! any thread can run. Neither aggregator ever holds what one owner gave: it holds shares that are as good as random.
//!
//! | step | rank 1 says | rank 2 answers | why |
//! | --- | --- | --- | --- |
//! | opening | `Open`: the hash of its half of the key | `Half`: its own | neither decides the key alone |
//! | keying | `Halves`: its own | `Ready` | both have the key on disk, and verify under no other |
//! | gathering | `Invite` to contributors, then `Verify` of each report | `Verified` | a report out of range is none |
//! | agreeing | `Set`: the reports, the hash of its sums of owners | `Agreed`: the same | one set, on disk; neither can make up its sums from the other's |
//! | comparing | `Owners` | `Owners` | what is visible follows from both |
//! | releasing | `Values` of visible cells | `Values` | nothing else ever leaves |
//! | sealing | `Table`, signed | `Seal`, signed | both have the same table, or there is none |
//!
//! Rank 1 asks and asks again; rank 2 answers the same each time. What a machine says to its own node goes the same
//! way as to any other: a node that contributes and aggregates hears itself. An atom closes with these two or never:
//! a step that the other leaves unanswered for [`ANSWER_PATIENCE`] ends it, or when the window is over if that is
//! later. After a restart a machine is made again of its [`AggregatorRecord`], and contributors give their reports
//! again, the same ones.

mod closing;
mod contribution;
mod helper;
mod leader;
mod record;
pub mod seal;
pub mod shares;
#[cfg(test)]
mod tests;
mod totals;
mod work;

use std::time::{Duration, Instant};

use karo_protocol::NodeId;
use karo_protocol::atom::{Atom, AtomReason, AtomSays, AtomSeal, ClosedAtom, Report};
use karo_protocol::node::{Hash, Nonce};
use karo_protocol::peer::Object;

pub use closing::Closing;
pub use contribution::Contribution;
pub use helper::Helper;
pub use leader::Leader;
pub use record::{AggregatorRecord, RecordedSet};
pub use work::{Work, Worked};

/// Reports that an aggregator has in verification at once. Each takes some 200 KB there, and 20 KB once it is through.
pub const VERIFYING_MAX: usize = 32;

/// Reports of one contributor that rank 2 verifies for one atom: after restarts, each is another.
pub const REPORTS_EACH_MAX: usize = 8;

/// Bytes of a box: that of rank 1 with all seven parts takes 200 KB.
pub const BOX_BYTES_MAX: usize = 256 * 1024;

/// How long the other aggregator may leave one question unanswered once the window is over.
pub const ANSWER_PATIENCE: Duration = Duration::from_secs(60);

/// How long a question waits before it is asked again.
pub const ASK_AGAIN: Duration = Duration::from_secs(10);

/// How long a daily window is open.
pub const DAILY_WINDOW: Duration = Duration::from_secs(12 * 60 * 60);

/// How long a window that a person opened stays open after the last report or refusal.
pub const BY_HAND_PATIENCE: Duration = Duration::from_secs(60);

/// How long such a window stays open at all.
pub const BY_HAND_WINDOW: Duration = Duration::from_secs(15 * 60);

/// How long an invitation holds a place among [`VERIFYING_MAX`].
pub const INVITE_PATIENCE: Duration = Duration::from_secs(5);

/// How long a contributor that did not answer is left alone.
pub const INVITE_AGAIN: Duration = Duration::from_secs(15);

/// How long a contributor waits before it gives its report again.
pub const GIVE_AGAIN: Duration = Duration::from_secs(1);

/// How long rank 2 and contributors hear nothing before they give up, once the window is over.
pub const SILENCE_PATIENCE: Duration = Duration::from_secs(5 * 60);

/// When an atom's reports are gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// The daily one: open until then, [`DAILY_WINDOW`] after its opening.
    Daily(Instant),
    /// A person asked for it.
    ByHand,
}

impl Window {
    /// Tells whether a person asked for it.
    pub const fn is_by_hand(self) -> bool {
        matches!(self, Self::ByHand)
    }
}

/// What a machine wants done, in this order. What stands behind a [`Record`](Self::Record) must wait until that is on
/// disk.
#[derive(Debug)]
pub enum Output {
    /// Write it, in the place of the last one of that atom.
    Record(AggregatorRecord),
    /// Say it to that node, be it this one. If there is no link it may be dropped: it is said again.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        says: AtomSays,
    },
    /// Run it, on any thread, and give what comes of it to the machine.
    Work(Work),
    /// Sign the report as an object of that id; keep it, and write into the ledger that this day is given to this
    /// group, with this table and this report; then give it to [`Contribution::on_signed`]. Whoever is invited again
    /// after a restart gives this one, by [`Contribution::again`], and never another.
    SignReport {
        /// Id of the object.
        id: Nonce,
        /// Hash of the table, as the ledger keeps it.
        table: Hash,
        /// What is signed.
        report: Report,
    },
    /// Sign the table, and give it to [`Leader::on_signed`].
    Sign(Atom),
    /// Sign an [`AtomSeal`] over this hash, and give it to [`Helper::on_sealed`].
    SignSeal(Hash),
    /// The atom is closed: keep it, and tell all members. Nothing follows but answers to questions that come again.
    Closed(ClosedAtom),
    /// There is no atom, and this machine has no further use.
    Ended(AtomReason),
    /// Somebody did not keep to the protocol: log it, with their name.
    Fault(Fault),
}

/// Somebody did what no honest node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Who said it.
    pub from: NodeId,
    /// Whose report it was about.
    pub contributor: Option<NodeId>,
    /// What was wrong.
    pub wrong: Wrong,
}

/// What was wrong with something that was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrong {
    /// It is not theirs to say.
    Stranger,
    /// It is about another atom, other aggregators or another box than was signed.
    Misplaced,
    /// A signature is missing, or does not verify.
    Unsigned,
    /// A box does not open.
    Sealed,
    /// It has not the form that it must have.
    Form,
    /// A proof does not hold.
    Proof,
    /// It was said before, with other words, or it is a second of what there is one of.
    Replay,
    /// It is not what was committed to.
    Commitment,
    /// The set is none that both have.
    Set,
    /// Sums that no such set can have.
    Range,
    /// The table is not that of both.
    Table,
    /// More than is allowed at once.
    Crowd,
}

impl Wrong {
    const fn of(unsound: shares::Unsound) -> Self {
        match unsound {
            shares::Unsound::Sealed => Self::Sealed,
            shares::Unsound::Form => Self::Form,
            shares::Unsound::Proof => Self::Proof,
        }
    }

    /// What is wrong with sums.
    const fn of_sums(unsound: shares::Unsound) -> Self {
        match unsound {
            shares::Unsound::Sealed | shares::Unsound::Form => Self::Form,
            shares::Unsound::Proof => Self::Range,
        }
    }
}

/// The object in what was said, once its signature was found to be its issuer's.
#[derive(Debug, Clone)]
pub enum Proven {
    /// In [`AtomSays::Report`] and [`AtomSays::Verify`].
    Report(Object<Report>),
    /// In [`AtomSays::Table`].
    Table(Box<Object<Atom>>),
    /// In [`AtomSays::Seal`].
    Seal(Object<AtomSeal>),
}
