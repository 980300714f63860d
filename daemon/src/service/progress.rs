//! How far the writer's work is: each deed that changes something on the disk counts as a step.
//!
//! Compacting, sealing, deleting and understanding years of history again are one work each, segment by segment. While
//! its segments move, the writer is busy and not stuck, however long it takes.

use std::io;
use std::path::Path;
use std::sync::Arc;

use karo_store::disk::{Disk, DiskFile, DiskLock, RealDisk};

use crate::counters::Counter;

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
