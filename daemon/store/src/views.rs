//! The views: what is derived from the log and small, in one sled tree. Today that is the roll-ups.
//!
//! Nothing is lost by deleting them. sled ends a flush in `sync_file_range`, so a power cut may take
//! back whole batches; what it may not do is leave half of one. Deltas and the position in the log
//! that they reach go into one batch, and a checksum over all cells with them: whatever opens is
//! either exactly what the log said at its position, or is moved aside and made anew.
//!
//! [`Views::apply`] only adds in memory; the tree is written when [`SPILL_BYTES`] are pending and at
//! [`Views::flush`]. So a day of ordinary work costs a write or two, and the log is never held up.
//!
//! Everything here blocks and belongs on the store's own thread.

use std::any::Any;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use karo_core::rollup::{Delta, Rollup};
use karo_protocol::Timestamp;

use crate::keys::{
    BadMeta, CELLS_END, META, Meta, Sum, bound_key, cell_key, cell_value, parse_cell_key, parse_cell_value,
};

/// Deltas that wait in memory, in bytes of their own, before they are written to the tree: a few
/// tens of thousands of events.
pub const SPILL_BYTES: usize = 4 * 1024 * 1024;

/// Memory that sled may use for pages: the cells of a year are a few mebibytes, and nobody waits for one.
const CACHE_BYTES: u64 = 1024 * 1024;

/// Damaged trees that are kept for a look at them: they can be made anew, so more would be litter.
const DAMAGED_KEPT: usize = 3;

/// Where the views lie, below the data directory.
const VIEWS_DIR: &str = "views";

/// Where damaged ones are moved to, below the data directory.
const DAMAGED_DIR: &str = "damaged";

/// How far into the log the views have come. The views only keep it; the log gives it its meaning.
///
/// A view whose position is the end of the log is right as it is. One that lies behind, with the same
/// number of erasures, can be caught up by the deltas of the records between. Any other is made anew:
/// what was erased since cannot be read again to be taken back.
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
    /// Nothing: they are new and empty, and must be rebuilt if the log is not.
    New,
    /// They are as they were written, up to [`Views::position`].
    Kept,
    /// They were of another version of their layout and are gone; they must be rebuilt.
    OtherFormat(u16),
    /// They were not as they were written and must be rebuilt.
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
    /// Another process has them open.
    #[error("views are in use by another process")]
    InUse,
    /// They are not as they were written. The next [`Views::open`] moves them aside.
    #[error("views are damaged: {0}")]
    Damaged(String),
    /// An earlier write failed, and nothing is known of what it left; they must be opened anew.
    #[error("views are closed after a failed write")]
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

/// What the tree stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// With what is pending it is what the log says up to there.
    Current(LogPosition),
    /// Nothing: it waits for what the log holds. Pending is what came since, up to there.
    Awaiting(Option<LogPosition>),
    /// A write failed.
    Closed,
}

/// The roll-ups, open.
#[derive(Debug)]
pub struct Views {
    path: PathBuf,
    tree: sled::Db,
    /// The checksum over the cells in the tree.
    sum: Sum,
    standing: Standing,
    pending: Rollup,
    pending_bytes: usize,
}

impl Views {
    /// Opens the views below a data directory; `now` names what has to be moved aside.
    ///
    /// All of the tree is read and checked: a few mebibytes for a year.
    ///
    /// # Errors
    ///
    /// [`ViewsError::Place`] and [`ViewsError::InUse`]; damage is no error.
    pub fn open(data_dir: &Path, now: Timestamp) -> Result<(Self, Opened), ViewsError> {
        let path = data_dir.join(VIEWS_DIR);
        match Self::open_tree(&path) {
            Ok(views) => {
                let opened = if views.position().is_some() { Opened::Kept } else { Opened::New };
                Ok((views, opened))
            }
            Err(Unusable::Format(format)) => {
                at(&path, fs::remove_dir_all(&path))?;
                Ok((Self::open_new(&path)?, Opened::OtherFormat(format)))
            }
            Err(Unusable::Damaged(reason)) => {
                let moved_to = move_aside(data_dir, now)?;
                Ok((Self::open_new(&path)?, Opened::Damaged { moved_to, reason }))
            }
            Err(Unusable::Error(error)) => Err(error),
        }
    }

    fn open_new(path: &Path) -> Result<Self, ViewsError> {
        Self::open_tree(path).map_err(|unusable| match unusable {
            Unusable::Error(error) => error,
            Unusable::Damaged(reason) => ViewsError::Damaged(reason),
            Unusable::Format(format) => ViewsError::Damaged(format!("new views of format {format}")),
        })
    }

    fn open_tree(path: &Path) -> Result<Self, Unusable> {
        create_private(path).map_err(Unusable::Error)?;
        let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        let (tree, meta) = guarded(path, || {
            let tree = config.open()?;
            let meta = check(&tree)?;
            Ok((tree, meta))
        })?;
        make_private(path);
        let (sum, standing) = match meta {
            Some(meta) => (meta.sum, Standing::Current(meta.position)),
            None => (Sum::default(), Standing::Awaiting(None)),
        };
        Ok(Self { path: path.to_owned(), tree, sum, standing, pending: Rollup::default(), pending_bytes: 0 })
    }

    /// Returns how far into the log the views have come, what is pending included; `None` when they
    /// must be rebuilt first.
    pub const fn position(&self) -> Option<LogPosition> {
        match self.standing {
            Standing::Current(position) => Some(position),
            Standing::Awaiting(_) | Standing::Closed => None,
        }
    }

    /// Adds deltas, and remembers that they reach up to `position` in the log.
    ///
    /// Between [`start_rebuild`](Self::start_rebuild) and [`finish_rebuild`](Self::finish_rebuild),
    /// and as long as there is no [`position`](Self::position), they wait in memory.
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
        for delta in deltas {
            self.pending.apply(delta);
            self.pending_bytes += size_of::<Delta>() + delta.tools.len();
        }
        if self.pending_bytes > SPILL_BYTES { self.spill() } else { Ok(()) }
    }

    /// Writes what is pending, and hands it to the disk as well as sled can.
    ///
    /// # Errors
    ///
    /// When that fails; then the views are closed.
    pub fn flush(&mut self) -> Result<(), ViewsError> {
        self.spill()?;
        let tree = &self.tree;
        let flushed = guarded(&self.path, || Ok(tree.flush()?));
        self.closing(flushed).map(|_bytes| ())
    }

    /// Forgets everything: from here on, deltas wait for the rest of the log.
    ///
    /// # Errors
    ///
    /// [`ViewsError::Closed`].
    pub fn start_rebuild(&mut self) -> Result<(), ViewsError> {
        if self.standing == Standing::Closed {
            return Err(ViewsError::Closed);
        }
        self.standing = Standing::Awaiting(None);
        self.pending = Rollup::default();
        self.pending_bytes = 0;
        Ok(())
    }

    /// Replaces everything by what the log holds up to `position`, and by what was applied since
    /// [`start_rebuild`](Self::start_rebuild) or [`open`](Self::open), in one batch.
    ///
    /// # Errors
    ///
    /// When that cannot be written; then the views are closed.
    pub fn finish_rebuild(&mut self, mut log: Rollup, position: LogPosition) -> Result<(), ViewsError> {
        let position = match self.standing {
            Standing::Awaiting(reached) => reached.unwrap_or(position),
            Standing::Current(_) => {
                self.start_rebuild()?;
                position
            }
            Standing::Closed => return Err(ViewsError::Closed),
        };
        log.merge(&self.pending);
        let replaced = guarded(&self.path, || replace(&self.tree, &log, position));
        self.sum = self.closing(replaced)?;
        self.standing = Standing::Current(position);
        self.settle();
        Ok(())
    }

    /// Replaces everything by the deltas of the whole log, which reach up to `position`.
    ///
    /// # Errors
    ///
    /// As [`finish_rebuild`](Self::finish_rebuild).
    pub fn rebuild(
        &mut self,
        deltas: impl IntoIterator<Item = Delta>,
        position: LogPosition,
    ) -> Result<(), ViewsError> {
        self.start_rebuild()?;
        self.finish_rebuild(deltas.into_iter().collect(), position)
    }

    /// Returns the cells that begin at `since` or later and before `until`, what is pending included.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn rollup(&self, since: Timestamp, until: Timestamp) -> Result<Rollup, ViewsError> {
        let end = bound_key(until.max(since));
        self.read(&bound_key(since), &end, self.pending.range(since, until))
    }

    /// Returns all cells, what is pending included.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn whole(&self) -> Result<Rollup, ViewsError> {
        self.read(&bound_key(Timestamp::MIN), CELLS_END, self.pending.iter())
    }

    /// Returns the digest of all cells, to be compared with that of the log.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn digest(&self) -> Result<Digest, ViewsError> {
        self.whole().map(|rollup| Digest::of(&rollup))
    }

    /// Returns the bytes of all files of the views; zero for what cannot be looked at.
    pub fn bytes(&self) -> u64 {
        directory_bytes(&self.path)
    }

    fn read<'a>(
        &self,
        start: &[u8],
        end: &[u8],
        pending: impl Iterator<Item = (karo_core::rollup::CellStart, &'a karo_core::rollup::Cell)>,
    ) -> Result<Rollup, ViewsError> {
        let mut rollup = match self.standing {
            Standing::Current(_) => guarded(&self.path, || cells(&self.tree, start, end))?,
            Standing::Awaiting(_) => Rollup::default(),
            Standing::Closed => return Err(ViewsError::Closed),
        };
        pending.for_each(|(start, cell)| rollup.merge_cell(start, cell));
        Ok(rollup)
    }

    /// Writes what is pending and the position it reaches, in one batch.
    fn spill(&mut self) -> Result<(), ViewsError> {
        let position = match self.standing {
            Standing::Current(position) => position,
            Standing::Awaiting(_) => return Ok(()),
            Standing::Closed => return Err(ViewsError::Closed),
        };
        let written = guarded(&self.path, || add(&self.tree, self.sum, &self.pending, position));
        self.sum = self.closing(written)?;
        self.settle();
        Ok(())
    }

    fn settle(&mut self) {
        self.pending = Rollup::default();
        self.pending_bytes = 0;
    }

    /// Passes a result of sled on, and closes the views when it is a failure.
    fn closing<T>(&mut self, result: Result<T, Unusable>) -> Result<T, ViewsError> {
        result.map_err(|unusable| {
            self.standing = Standing::Closed;
            self.settle();
            unusable.into()
        })
    }
}

/// Why a tree cannot be used.
#[derive(Debug)]
enum Unusable {
    Error(ViewsError),
    Damaged(String),
    Format(u16),
}

impl From<Unusable> for ViewsError {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Error(error) => error,
            Unusable::Damaged(reason) => Self::Damaged(reason),
            Unusable::Format(format) => Self::Damaged(format!("format {format} among views of our own")),
        }
    }
}

/// What sled or the check of its contents says, before a path is known.
#[derive(Debug)]
enum Trouble {
    Sled(sled::Error),
    Damaged(String),
    Format(u16),
}

impl From<sled::Error> for Trouble {
    fn from(error: sled::Error) -> Self {
        Self::Sled(error)
    }
}

impl From<BadMeta> for Trouble {
    fn from(bad: BadMeta) -> Self {
        match bad {
            BadMeta::Format(format) => Self::Format(format),
            BadMeta::Damaged => Self::Damaged("position does not match its checksum".to_owned()),
        }
    }
}

/// Calls into sled. It panics on some damage that it does not expect: here that is damage too.
fn guarded<T>(path: &Path, call: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Unusable> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(Trouble::Damaged(reason))) => Err(Unusable::Damaged(reason)),
        Ok(Err(Trouble::Format(format))) => Err(Unusable::Format(format)),
        Ok(Err(Trouble::Sled(sled::Error::Io(source)))) => Err(judge(path, source)),
        Ok(Err(Trouble::Sled(error))) => Err(Unusable::Damaged(error.to_string())),
        Err(panic) => Err(Unusable::Damaged(format!("sled panicked: {}", panic_text(panic.as_ref())))),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word")
}

/// Tells a place that is in the way from a tree that is not as it was written.
fn judge(path: &Path, source: io::Error) -> Unusable {
    use io::ErrorKind::{OutOfMemory, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let descriptors_gone =
        [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
    if source.kind() == io::ErrorKind::Other {
        // sled makes one error of its own, and it is that of its lock.
        return Unusable::Error(ViewsError::InUse);
    }
    let is_place = [OutOfMemory, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull]
        .contains(&source.kind());
    if is_place || descriptors_gone.contains(&source.raw_os_error()) {
        return Unusable::Error(ViewsError::Place { path: path.to_owned(), source });
    }
    Unusable::Damaged(source.to_string())
}

/// Reads all of a tree and compares it with what it says of itself; `None` for an empty one.
fn check(tree: &sled::Tree) -> Result<Option<Meta>, Trouble> {
    let meta = tree.get(META)?.map(|bytes| Meta::parse(&bytes)).transpose()?;
    let mut sum = Sum::default();
    for entry in tree.iter() {
        let (key, value) = entry?;
        if key == META {
            continue;
        }
        if parse_cell_key(&key).is_none() || parse_cell_value(&value).is_none() {
            return Err(Trouble::Damaged("an entry is no roll-up cell".to_owned()));
        }
        sum.insert(&key, &value);
    }
    if meta.map_or(Sum::default(), |meta| meta.sum) != sum {
        return Err(Trouble::Damaged("roll-ups do not match their checksum".to_owned()));
    }
    Ok(meta)
}

fn cells(tree: &sled::Tree, start: &[u8], end: &[u8]) -> Result<Rollup, Trouble> {
    let mut rollup = Rollup::default();
    for entry in tree.range(start..end) {
        let (key, value) = entry?;
        let cell = parse_cell_key(&key).zip(parse_cell_value(&value));
        let (start, cell) = cell.ok_or_else(|| Trouble::Damaged("an entry is no roll-up cell".to_owned()))?;
        rollup.merge_cell(start, &cell);
    }
    Ok(rollup)
}

/// Adds to the tree, and returns its checksum from then on.
fn add(tree: &sled::Tree, mut sum: Sum, pending: &Rollup, position: LogPosition) -> Result<Sum, Trouble> {
    let mut batch = sled::Batch::default();
    for (start, part) in pending.iter() {
        let key = cell_key(start);
        let mut cell = part.clone();
        if let Some(old) = tree.get(key)? {
            let known = parse_cell_value(&old);
            cell.merge(&known.ok_or_else(|| Trouble::Damaged("an entry is no roll-up cell".to_owned()))?);
            sum.remove(&key, &old);
        }
        if cell.is_empty() {
            batch.remove(&key);
        } else {
            let value = cell_value(&cell);
            sum.insert(&key, &value);
            batch.insert(&key, value);
        }
    }
    batch.insert(META, Meta { position, sum }.to_bytes());
    tree.apply_batch(batch)?;
    Ok(sum)
}

/// Makes the tree hold this and nothing else, and returns its checksum.
fn replace(tree: &sled::Tree, rollup: &Rollup, position: LogPosition) -> Result<Sum, Trouble> {
    let mut batch = sled::Batch::default();
    for key in tree.iter().keys() {
        batch.remove(key?);
    }
    let mut sum = Sum::default();
    for (start, cell) in rollup.iter() {
        let (key, value) = (cell_key(start), cell_value(cell));
        sum.insert(&key, &value);
        batch.insert(&key, value);
    }
    batch.insert(META, Meta { position, sum }.to_bytes());
    tree.apply_batch(batch)?;
    Ok(sum)
}

fn at<T>(path: &Path, result: io::Result<T>) -> Result<T, ViewsError> {
    result.map_err(|source| ViewsError::Place { path: path.to_owned(), source })
}

fn create_private(path: &Path) -> Result<(), ViewsError> {
    at(path, fs::DirBuilder::new().recursive(true).mode(0o700).create(path))
}

/// Takes from others what sled gave them of its files.
///
/// The directory above is closed to them anyhow, so a failure here opens nothing.
fn make_private(path: &Path) {
    let Ok(entries) = fs::read_dir(path) else { return };
    for entry in entries.flatten() {
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let mode = if is_dir { 0o700 } else { 0o600 };
        if let Err(error) = fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode)) {
            tracing::warn!(path = %entry.path().display(), %error, "could not close a file of the views to others");
        }
    }
}

/// Moves the views to where damaged ones lie, and returns where exactly.
fn move_aside(data_dir: &Path, now: Timestamp) -> Result<PathBuf, ViewsError> {
    let damaged = data_dir.join(DAMAGED_DIR);
    create_private(&damaged)?;
    drop_oldest(&damaged);
    let name = |attempt: u32| match attempt {
        0 => format!("{VIEWS_DIR}-{:020}", now.as_micros()),
        _ => format!("{VIEWS_DIR}-{:020}-{attempt}", now.as_micros()),
    };
    let target = (0..).map(|attempt| damaged.join(name(attempt))).find(|target| !target.exists());
    let target = target.expect("there are more names than directories");
    at(&target, fs::rename(data_dir.join(VIEWS_DIR), &target))?;
    // The views are derived: when the rename is not on disk after a power cut, it is done again.
    at(data_dir, File::open(data_dir).and_then(|directory| directory.sync_all()))?;
    Ok(target)
}

/// Leaves room for one more among the damaged views that are kept.
fn drop_oldest(damaged: &Path) {
    let Ok(entries) = fs::read_dir(damaged) else { return };
    let is_ours = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("views-"))
    };
    let mut kept: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_ours).collect();
    kept.sort();
    let surplus = (kept.len() + 1).saturating_sub(DAMAGED_KEPT);
    for path in &kept[..surplus] {
        if let Err(error) = fs::remove_dir_all(path) {
            tracing::warn!(path = %path.display(), %error, "could not remove old damaged views");
        }
    }
}

fn directory_bytes(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => directory_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        // It went between the listing and the look.
        Err(_) => 0,
    });
    sizes.sum()
}
