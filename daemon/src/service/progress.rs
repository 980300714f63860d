//! How far a long work is, so that whoever does it is busy and not stuck.
//!
//! The writer: each deed that changes something on the disk counts as a step. Compacting, sealing, deleting and
//! understanding years of history again are one work each, segment by segment; it lasts as long as they move.
//!
//! A worker: at the start it waits for the rules, and thousands of Sigma rules take a while to read. That lasts for a
//! while that has an end, because nothing is acknowledged before.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use karo_store::disk::{Disk, DiskFile, DiskLock, RealDisk};

use super::actor::Steps;
use crate::counters::Counter;

/// How long the first rules may take before the workers that wait for them are stuck.
const RULES_WITHIN: Duration = Duration::from_secs(600);

/// Tells how far a worker's wait for the rules is, since that moment.
pub fn until_rules(are_there: impl Fn() -> bool + Send + Sync + 'static, since: Instant) -> Steps {
    Arc::new(move || waited(are_there(), since.elapsed()))
}

/// Another number as long as the rules are waited for, in steps of a millisecond; the same one afterwards.
fn waited(are_there: bool, so_far: Duration) -> u64 {
    if are_there { 0 } else { so_far.min(RULES_WITHIN).as_millis() as u64 + 1 }
}

/// The real disk, whose changes are counted. Reading counts nothing: others read too.
#[derive(Debug, Default)]
pub struct CountedDisk(pub Arc<Counter>);

#[derive(Debug)]
struct CountedFile {
    file: Box<dyn DiskFile>,
    steps: Arc<Counter>,
}

impl CountedDisk {
    fn counted(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(CountedFile { file, steps: Arc::clone(&self.0) })
    }

    /// Counts a deed that has succeeded.
    fn done(&self, done: io::Result<()>) -> io::Result<()> {
        done.inspect(|()| self.0.add(1))
    }
}

impl DiskFile for CountedFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).inspect(|()| self.steps.add(1))
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.file.sync_data().inspect(|()| self.steps.add(1))
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.file.truncate(bytes).inspect(|()| self.steps.add(1))
    }
}

impl Disk for CountedDisk {
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        RealDisk.lock(path)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_directory(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(directory)
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        RealDisk.create_new(path).map(|file| self.counted(file))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        RealDisk.open_append(path).map(|file| self.counted(file))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        RealDisk.read(path)
    }

    fn read_at(&self, path: &Path, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        RealDisk.read_at(path, offset, bytes)
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        RealDisk.length(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.done(RealDisk.rename(from, to))
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.done(RealDisk.unlink(path))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.done(RealDisk.sync_directory(path))
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        RealDisk.free_bytes(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_for_the_rules_moves_and_has_an_end() {
        let second = Duration::from_secs(1);
        assert_ne!(waited(false, second), waited(false, second * 2), "it moves");
        assert_eq!(waited(false, RULES_WITHIN), waited(false, RULES_WITHIN * 2), "it has an end");
        assert_eq!(waited(true, second), waited(true, second * 2), "there is nothing to wait for");
    }

    #[test]
    fn changes_are_steps_and_reading_is_none() {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let (path, other) = (directory.path().join("a"), directory.path().join("b"));
        let disk = CountedDisk::default();
        let steps = || disk.0.count();
        let mut file = disk.create_new(&path).expect("nothing is in the way");
        file.write_all(b"abc").expect("there is room");
        file.sync_data().expect("it can be synced");
        assert_eq!(steps(), 2);
        assert_eq!(disk.read(&path).expect("it is there"), b"abc");
        assert_eq!(disk.length(&path).expect("it is there"), 3);
        assert_eq!(steps(), 2);
        disk.rename(&path, &other).expect("nothing is in the way");
        disk.unlink(&path).expect_err("it has another name");
        disk.unlink(&other).expect("it is there");
        assert_eq!(steps(), 4);
    }
}
