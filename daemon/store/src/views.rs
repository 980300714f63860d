//! The views: what is derived from the log and small, in one sled tree. Today that is the roll-ups.
//!
//! Nothing is lost by deleting them, and three rules keep them right or gone:
//!
//! - Deltas and the position in the log that they reach are written in one batch.
//! - [`Views::apply`] adds in memory. sled is opened when [`PENDING_MAX`] sums are pending and at
//!   [`Views::flush`], for that one write, and closed behind it. So a day of ordinary work costs one
//!   write, at its end, and the log is never held up.
//! - While sled is closed a seal lies beside its files: the position, and BLAKE3 over all of them,
//!   synced before it. sled's own flush ends in `sync_file_range`, and at a changed byte it forgets
//!   whole batches without a word; so files whose seal does not match are moved aside, files without
//!   one (a write was cut short) are removed, and both are made anew from the log.
//!
//! Everything here blocks and belongs on the store's own thread, in a data directory that the
//! store's lock holds.

mod place;
mod tree;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use karo_core::rollup::{Delta, Rollup};
use karo_protocol::Timestamp;

use self::place::{Found, Place};
use crate::keys::{CELLS_END, bound_key, cell_key, cell_value};

/// Tallies that wait in memory before they are written: some five mebibytes, and the work of months.
pub const PENDING_MAX: usize = 32 * 1024;

/// How far into the log the views have come. The views only keep it; the log gives it its meaning.
///
/// A view whose position is the end of the log is right as it is. One that lies behind, with the same
/// number of erasures, can be caught up by the deltas of the records between, unless one of them says
/// that events were understood anew. Any other is made anew: what was erased or overwritten since
/// cannot be read again to be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LogPosition {
    /// How many times records were erased for good: deletions and retention.
    pub erasures: u64,
    /// Number of the segment.
    pub segment: u64,
    /// Where in it the next record goes, in bytes.
    pub offset: u64,
}

/// What was found where the views lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// Nothing.
    New,
    /// They are as they were written, up to [`Views::position`].
    Kept,
    /// A write to them was cut short; they are gone.
    Unfinished,
    /// They were of another version of their layout; they are gone.
    OtherFormat(u16),
    /// They were not as they were written.
    Damaged {
        /// Where they can be looked at.
        moved_to: PathBuf,
        /// What is wrong with them, in words.
        reason: String,
    },
}

/// Why the views cannot be read or written; the store goes on without them.
#[derive(Debug, thiserror::Error)]
pub enum ViewsError {
    /// The place itself is in the way: full, read-only, foreign, or out of descriptors.
    #[error("could not use {}: {source}", path.display())]
    Place {
        /// Which file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Somebody else has them open.
    #[error("views are in use")]
    InUse,
    /// They are not what they were when they were written.
    #[error("views are damaged: {0}")]
    Damaged(String),
    /// They wait for what the log holds.
    #[error("views are not rebuilt yet")]
    Incomplete,
    /// They wait for nothing.
    #[error("views are complete")]
    Complete,
    /// Something failed before, and nothing is known of what it left; they must be opened anew.
    #[error("views are closed after a failure")]
    Closed,
}

/// What all roll-ups say, in 32 bytes: equal for equal sums, however they came about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Returns the digest of a roll-up.
    pub fn of(rollup: &Rollup) -> Self {
        let mut hasher = blake3::Hasher::new();
        for (start, cell) in rollup.iter() {
            let value = cell_value(cell);
            hasher.update(&cell_key(start)).update(&(value.len() as u64).to_be_bytes()).update(&value);
        }
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// What the views stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// They are what the log says up to there.
    Current(LogPosition),
    /// They are part of what the log says; what came in meanwhile reaches up to there.
    Awaiting(Option<LogPosition>),
    /// Something failed.
    Closed,
}

/// What lies on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Nothing,
    /// Parts of a rebuild, without a seal.
    Parts,
    /// Everything up to there, sealed.
    Sealed(LogPosition),
}

/// The roll-ups.
#[derive(Debug)]
pub struct Views {
    place: Place,
    standing: Standing,
    written: Written,
    /// What is to be added to what is written.
    pending: Rollup,
}

impl Views {
    /// Opens the views below a data directory; `now` names what has to be moved aside.
    ///
    /// Reads all of their files once, and does not start sled.
    ///
    /// # Errors
    ///
    /// [`ViewsError::Place`]; damage is no error.
    pub fn open(data_dir: &Path, now: Timestamp) -> Result<(Self, Opened), ViewsError> {
        let place = Place::below(data_dir);
        let (mut standing, mut written) = (Standing::Awaiting(None), Written::Nothing);
        let opened = match place.look()? {
            Found::Nothing => Opened::New,
            Found::Sealed(position) => {
                (standing, written) = (Standing::Current(position), Written::Sealed(position));
                Opened::Kept
            }
            Found::Unsealed => {
                place.remove()?;
                Opened::Unfinished
            }
            Found::OtherFormat(format) => {
                place.remove()?;
                Opened::OtherFormat(format)
            }
            Found::Damaged(reason) => Opened::Damaged { moved_to: place.move_aside(now)?, reason },
        };
        Ok((Self { place, standing, written, pending: Rollup::default() }, opened))
    }

    /// Returns how far into the log the views have come; `None` when they must be rebuilt first.
    pub const fn position(&self) -> Option<LogPosition> {
        match self.standing {
            Standing::Current(position) => Some(position),
            Standing::Awaiting(_) | Standing::Closed => None,
        }
    }

    /// Adds deltas, and remembers that they reach up to `position` in the log.
    ///
    /// Without a [`position`](Self::position) they count as what came in while the views are rebuilt.
    ///
    /// # Errors
    ///
    /// When they had to be written and could not be; then the views are closed.
    pub fn apply<'a>(
        &mut self,
        deltas: impl IntoIterator<Item = &'a Delta>,
        position: LogPosition,
    ) -> Result<(), ViewsError> {
        match &mut self.standing {
            Standing::Current(reached) => *reached = position,
            Standing::Awaiting(reached) => *reached = Some(position),
            Standing::Closed => return Err(ViewsError::Closed),
        }
        deltas.into_iter().for_each(|delta| self.pending.apply(delta));
        self.spill()
    }

    /// Writes what is pending, and returns when it would survive a power cut.
    ///
    /// Does nothing as long as there is no [`position`](Self::position), or nothing new.
    ///
    /// # Errors
    ///
    /// When that fails; then the views are closed.
    pub fn flush(&mut self) -> Result<(), ViewsError> {
        let position = match self.standing {
            Standing::Current(position) => position,
            Standing::Awaiting(_) => return Ok(()),
            Standing::Closed => return Err(ViewsError::Closed),
        };
        let is_written = self.written == Written::Sealed(position) && self.pending.is_empty();
        if is_written { Ok(()) } else { self.write(Some(position)) }
    }

    /// Forgets everything: from here on, [`apply`](Self::apply) brings what comes in, and
    /// [`fill`](Self::fill) the rest of the log, in any order.
    ///
    /// # Errors
    ///
    /// When what is there cannot be removed, and [`ViewsError::Closed`].
    pub fn start_rebuild(&mut self) -> Result<(), ViewsError> {
        if self.standing == Standing::Closed {
            return Err(ViewsError::Closed);
        }
        if self.written != Written::Nothing {
            let removed = self.place.remove();
            self.closing(removed)?;
        }
        self.standing = Standing::Awaiting(None);
        self.written = Written::Nothing;
        self.pending = Rollup::default();
        Ok(())
    }

    /// Lets go every byte of what was taken back: names of programs that nothing counts any more stay in
    /// sled's files, and in those of damaged views.
    ///
    /// What the views say stays the same. When they wait for a rebuild, it begins anew with this.
    ///
    /// # Errors
    ///
    /// When they cannot be removed, read or written; then the views are closed.
    pub fn forget(&mut self) -> Result<(), ViewsError> {
        let dropped = self.place.drop_damaged();
        self.closing(dropped)?;
        match (self.standing, self.written) {
            (Standing::Closed, _) => self.place.remove(),
            (_, Written::Nothing) => Ok(()),
            (Standing::Awaiting(_), _) => self.start_rebuild(),
            (Standing::Current(position), _) => {
                let whole = self.whole()?;
                let removed = self.place.remove();
                self.closing(removed)?;
                (self.written, self.pending) = (Written::Nothing, whole);
                self.write(Some(position))
            }
        }
    }

    /// Adds a part of what the log holds, while the views are rebuilt.
    ///
    /// # Errors
    ///
    /// When it had to be written and could not be; then the views are closed. And when they are
    /// [`Complete`](ViewsError::Complete): the part would be counted twice, and is not counted.
    pub fn fill(&mut self, part: &Rollup) -> Result<(), ViewsError> {
        match self.standing {
            Standing::Awaiting(_) => {}
            Standing::Current(_) => return Err(ViewsError::Complete),
            Standing::Closed => return Err(ViewsError::Closed),
        }
        self.pending.merge(part);
        self.spill()
    }

    /// Ends a rebuild: the parts were all that the log holds up to `position`, but for what
    /// [`apply`](Self::apply) brought since its start and reaches further.
    ///
    /// # Errors
    ///
    /// As [`fill`](Self::fill).
    pub fn finish_rebuild(&mut self, position: LogPosition) -> Result<(), ViewsError> {
        match self.standing {
            Standing::Awaiting(reached) => self.standing = Standing::Current(reached.unwrap_or(position)),
            Standing::Current(_) => return Err(ViewsError::Complete),
            Standing::Closed => return Err(ViewsError::Closed),
        }
        if self.written == Written::Parts { self.flush() } else { Ok(()) }
    }

    /// Makes the views what the deltas of the whole log say, which reach up to `position`.
    ///
    /// # Errors
    ///
    /// When they had to be written and could not be; then the views are closed.
    pub fn rebuild(
        &mut self,
        deltas: impl IntoIterator<Item = Delta>,
        position: LogPosition,
    ) -> Result<(), ViewsError> {
        self.start_rebuild()?;
        for delta in deltas {
            self.pending.apply(&delta);
            self.spill()?;
        }
        self.finish_rebuild(position)
    }

    /// Returns the cells that begin at `since` or later and before `until`.
    ///
    /// What was written is read from disk each time; that starts sled.
    ///
    /// # Errors
    ///
    /// [`ViewsError::Incomplete`], and when they cannot be read; then the views are closed.
    pub fn rollup(&mut self, since: Timestamp, until: Timestamp) -> Result<Rollup, ViewsError> {
        let mut rollup = self.read(&bound_key(since), &bound_key(until.max(since)))?;
        self.pending.range(since, until).for_each(|(start, cell)| rollup.merge_cell(start, cell));
        Ok(rollup)
    }

    /// Returns all cells, as [`rollup`](Self::rollup) does: some 150 bytes of memory a tally.
    ///
    /// # Errors
    ///
    /// As [`rollup`](Self::rollup).
    pub fn whole(&mut self) -> Result<Rollup, ViewsError> {
        let mut rollup = self.read(&bound_key(Timestamp::MIN), CELLS_END)?;
        rollup.merge(&self.pending);
        Ok(rollup)
    }

    /// Returns the digest of all cells, to be compared with that of the log.
    ///
    /// # Errors
    ///
    /// As [`rollup`](Self::rollup).
    pub fn digest(&mut self) -> Result<Digest, ViewsError> {
        self.whole().map(|rollup| Digest::of(&rollup))
    }

    /// Returns the bytes of the files on disk; those that cannot be looked at count nothing.
    pub fn bytes(&self) -> u64 {
        self.place.bytes()
    }

    /// Reads cells from disk, from the first key to before the second.
    fn read(&mut self, start: &[u8], end: &[u8]) -> Result<Rollup, ViewsError> {
        match (self.standing, self.written) {
            (Standing::Closed, _) => Err(ViewsError::Closed),
            (Standing::Awaiting(_), _) => Err(ViewsError::Incomplete),
            (Standing::Current(_), Written::Nothing | Written::Parts) => Ok(Rollup::default()),
            (Standing::Current(_), Written::Sealed(written)) => {
                self.work(Some(written), |tree| tree::cells(tree, written, start, end))
            }
        }
    }

    /// Writes when too much is pending.
    fn spill(&mut self) -> Result<(), ViewsError> {
        if self.pending.tallies() <= PENDING_MAX { Ok(()) } else { self.write(self.position()) }
    }

    /// Adds what is pending to what is written, which then is all up to `position`, or parts.
    fn write(&mut self, position: Option<LogPosition>) -> Result<(), ViewsError> {
        let pending = std::mem::take(&mut self.pending);
        let written = match self.written {
            Written::Sealed(written) => Some(written),
            Written::Nothing | Written::Parts => None,
        };
        self.work(position, |tree| tree::add(tree, written, &pending, position))
    }

    /// Works with the tree. If it stands at a position afterwards, it is sealed.
    fn work<T>(
        &mut self,
        position: Option<LogPosition>,
        work: impl FnOnce(&sled::Tree) -> Result<T, tree::Trouble>,
    ) -> Result<T, ViewsError> {
        let worked = self.place.unseal().and_then(|()| tree::with(self.place.path(), work));
        let value = self.closing(worked)?;
        self.written = Written::Parts;
        if let Some(position) = position {
            let sealed = self.place.seal(position);
            self.closing(sealed)?;
            self.written = Written::Sealed(position);
        }
        Ok(value)
    }

    /// Passes a result on, and closes the views when it is a failure.
    fn closing<T>(&mut self, result: Result<T, ViewsError>) -> Result<T, ViewsError> {
        if result.is_err() {
            self.standing = Standing::Closed;
            self.pending = Rollup::default();
        }
        result
    }
}
