//! Writing a raw segment anew under its own name, and keeping bytes that were no records.
//!
//! A rewritten segment is a new file: it is written under another name, synced, renamed over the old
//! one, and the directory is synced. So a sync that failed on the old file says nothing of the new
//! one, and a crash on the way leaves the old one as it was.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::raw::{self, BatchWriter, Fault, HEADER_BYTES};
use super::revise::Revised;
use super::table::{RawIndex, Segment, Shared, raw_name, read, write};
use crate::disk::{DiskFile, in_doubt};
use crate::payload::{self, Base};
use crate::records::{Kind, Record};

/// What ends the name of a file that is not finished; leftovers are taken away at the next opening.
pub(super) const UNFINISHED: &str = ".tmp";

/// Bytes in one batch of a rewritten segment: what one damaged head could make doubtful.
const BATCH_BYTES: usize = 64 * 1024;

/// Bytes of a segment's file that are not as they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bad {
    pub(super) segment: String,
    pub(super) range: Range<u64>,
    pub(super) fault: Fault,
}

impl Bad {
    /// Says in the log that these bytes are not kept.
    pub(super) fn tell_dropped(&self) {
        let (segment, offset, bytes) = (&self.segment, self.range.start, self.range.end - self.range.start);
        tracing::warn!(
            event = "store-bytes-removed",
            segment,
            offset,
            bytes,
            "damaged bytes removed: nobody can tell whether they hold what must be gone"
        );
    }
}

impl Fault {
    /// Returns what ends the name of the file where such bytes are kept.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Damage => "damage",
            Self::Torn => "torn",
            Self::Undecided => "undecided",
        }
    }
}

/// Copies bad bytes to a file of their own, synced; `None` when the segment ends before them.
///
/// Twice is once: a crash between this and the rewriting leads here again.
pub(super) fn set_aside(shared: &Shared, bad: &Bad) -> io::Result<Option<PathBuf>> {
    let damaged = shared.damaged.as_path();
    let bytes = shared.disk.read(&shared.path(&bad.segment))?;
    let end = bytes.len().min(bad.range.end as usize);
    let Some(bytes) = bytes.get(bad.range.start as usize..end).filter(|bytes| !bytes.is_empty()) else {
        return Ok(None);
    };
    shared.disk.create_directory(damaged)?;
    let there = shared.disk.list(damaged)?;
    let first = format!("{}.{}.{}", bad.segment, bad.range.start, bad.fault.name());
    let mut name = first.clone();
    let mut again = 0;
    while there.contains(&name) {
        if shared.disk.read(&damaged.join(&name))? == bytes {
            return Ok(Some(damaged.join(name)));
        }
        again += 1;
        name = format!("{first}.{again}");
    }
    let (unfinished, path) = (damaged.join(format!("{name}{UNFINISHED}")), damaged.join(&name));
    if there.contains(&format!("{name}{UNFINISHED}")) {
        shared.disk.unlink(&unfinished)?;
    }
    let mut file = shared.disk.create_new(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    shared.disk.rename(&unfinished, &path)?;
    shared.disk.sync_directory(damaged)?;
    // The directory itself may be new.
    damaged.parent().map_or(Ok(()), |parent| shared.disk.sync_directory(parent))?;
    Ok(Some(path))
}

/// Takes away what was set aside, and what was never finished; returns when it is gone for good.
pub(super) fn discard_leftovers(shared: &Shared) -> io::Result<()> {
    let unfinished =
        shared.disk.list(&shared.directory)?.into_iter().filter(|name| name.ends_with(UNFINISHED));
    discard(shared, &shared.directory, &unfinished.collect::<Vec<_>>())?;
    let pieces = match shared.disk.list(&shared.damaged) {
        Ok(names) => names.into_iter().filter(|name| is_piece(name)).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    discard(shared, &shared.damaged, &pieces)
}

/// Tells whether a file of that name holds bytes of a segment.
fn is_piece(name: &str) -> bool {
    let mut parts = name.split('.');
    let number = parts.next().unwrap_or_default();
    number.bytes().all(|digit| digit.is_ascii_digit()) && matches!(parts.next(), Some("log" | "seg"))
}

fn discard(shared: &Shared, directory: &Path, names: &[String]) -> io::Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    for name in names {
        tracing::warn!(
            event = "store-bytes-removed",
            name,
            "removed: nobody can tell whether it holds what must be gone"
        );
        shared.disk.unlink(&directory.join(name))?;
    }
    shared.disk.sync_directory(directory)
}

/// What becomes of a record when its segment is written anew.
pub(super) enum Fate<'a> {
    /// It stays.
    Kept,
    /// Its ordinal stays, and nothing in it.
    Void,
    /// It is an event and stays as this.
    Revised(&'a Revised),
}

/// Writes a raw segment anew, each record in its old ordinal with the fate that `fate` says, and returns
/// the file, open at its end. Readers are kept away while it changes places.
pub(super) fn rewrite_raw<'a>(
    shared: &Shared,
    segment: &Segment,
    index: &std::sync::RwLock<RawIndex>,
    begun_at: i64,
    mut fate: impl FnMut(u16, &Record<'_>, &RawIndex) -> Fate<'a>,
) -> io::Result<Box<dyn DiskFile>> {
    let name = raw_name(segment.number);
    let (path, unfinished) = (shared.path(&name), shared.path(&format!("{name}{UNFINISHED}")));
    let bytes = shared.disk.read(&path)?;
    let old = read(index);
    let mut rewriting = Rewriting::begin(shared, segment.number, &unfinished, begun_at)?;
    for (ordinal, offset) in old.offsets.iter().copied().enumerate() {
        let found = raw::read_record(&bytes, segment.number, offset, offset as usize);
        let record = found.and_then(|(kind, payload)| {
            Some((kind, payload, payload::read(kind, payload, &mut Base::default()).ok()?))
        });
        let Some((kind, payload, record)) = record else {
            shared.note_damage(&name, u64::from(offset), "its checksum is wrong");
            rewriting.push(Kind::Void, &[])?;
            continue;
        };
        match (fate(ordinal as u16, &record, &old), record) {
            (Fate::Void, _) => rewriting.push(Kind::Void, &[])?,
            (Fate::Revised(revised), Record::Event(event)) => {
                rewriting.push_record(&Record::Event(revised.applied(event)))?;
            }
            (Fate::Kept | Fate::Revised(_), _) => rewriting.push(kind, payload)?,
        }
    }
    drop(old);
    let (mut file, offsets, end) = rewriting.finish()?;
    file.sync_data()?;
    let exchanging = shared.exchanging();
    shared.disk.rename(&unfinished, &path).map_err(in_doubt)?;
    let mut index = write(index);
    (index.offsets, index.end) = (offsets, end);
    drop((index, exchanging));
    shared.disk.sync_directory(&shared.directory).map_err(in_doubt)?;
    Ok(file)
}

/// A raw segment on its way to a file.
struct Rewriting {
    number: u32,
    file: Box<dyn DiskFile>,
    batch: BatchWriter,
    offsets: Vec<u32>,
}

impl Rewriting {
    fn begin(shared: &Shared, number: u32, path: &Path, begun_at: i64) -> io::Result<Self> {
        // An earlier try may have met a full disk.
        match shared.disk.unlink(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = shared.disk.create_new(path)?;
        file.write_all(&raw::header(number, begun_at))?;
        let mut batch = BatchWriter::default();
        batch.begin(number, HEADER_BYTES as u32);
        Ok(Self { number, file, batch, offsets: Vec::new() })
    }

    fn push(&mut self, kind: Kind, payload: &[u8]) -> io::Result<()> {
        self.offsets.push(self.batch.push_packed(kind, payload));
        if self.batch.len() >= BATCH_BYTES { self.spill() } else { Ok(()) }
    }

    fn push_record(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.offsets.push(self.batch.push(record));
        if self.batch.len() >= BATCH_BYTES { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> io::Result<()> {
        let next = self.batch.next_offset();
        self.file.write_all(self.batch.finish(false))?;
        self.batch.begin(self.number, next);
        Ok(())
    }

    fn finish(mut self) -> io::Result<(Box<dyn DiskFile>, Vec<u32>, u32)> {
        if self.batch.count() > 0 {
            self.spill()?;
        }
        let end = self.batch.next_offset() - raw::BATCH_HEAD_BYTES as u32;
        Ok((self.file, self.offsets, end))
    }
}
