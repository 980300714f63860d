//! The few deeds of a file system that the store needs, as a seam.
//!
//! [`RealDisk`] does them; the tests put a disk of their own in its place, which fails when told to
//! and forgets at a power cut whatever was not synced. Nothing here retries or hides an error.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

/// A file that is written at its end.
pub trait DiskFile: Send + fmt::Debug {
    /// Writes all bytes behind what was written before.
    ///
    /// # Errors
    ///
    /// Some of the bytes may have been written.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns when all that was written, and the file's length, would survive a power cut.
    ///
    /// # Errors
    ///
    /// Afterwards nothing may be assumed of anything written since the last success.
    fn sync_data(&mut self) -> io::Result<()>;

    /// Cuts the file to so many bytes; the next write goes there.
    ///
    /// # Errors
    ///
    /// The file may have either length.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;
}

/// Held as long as a directory is ours; released by dropping it.
pub trait DiskLock: Send + fmt::Debug {}

/// The deeds. All block; all paths are whole.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Takes a lock file, made if need be, for this process alone; `None` when another holds it.
    ///
    /// # Errors
    ///
    /// As the system says.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>>;

    /// Makes a directory of mode 0700 and its parents, unless it exists.
    ///
    /// # Errors
    ///
    /// As the system says.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// Returns the names in a directory, sorted.
    ///
    /// # Errors
    ///
    /// As the system says.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;

    /// Makes a file of mode 0600 that must not exist.
    ///
    /// # Errors
    ///
    /// As the system says.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file that exists, to be written at its end.
    ///
    /// # Errors
    ///
    /// As the system says.
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Returns the bytes of a whole file.
    ///
    /// # Errors
    ///
    /// As the system says.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Fills the buffer from that place of a file.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the file ends before.
    fn read_at(&self, path: &Path, offset: u64, bytes: &mut [u8]) -> io::Result<()>;

    /// Returns the length of a file in bytes.
    ///
    /// # Errors
    ///
    /// As the system says.
    fn length(&self, path: &Path) -> io::Result<u64>;

    /// Gives a file another name, in place of whatever had it.
    ///
    /// # Errors
    ///
    /// As the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a name away.
    ///
    /// # Errors
    ///
    /// As the system says.
    fn unlink(&self, path: &Path) -> io::Result<()>;

    /// Returns when the names in a directory would survive a power cut.
    ///
    /// # Errors
    ///
    /// Afterwards nothing may be assumed of any name changed since the last success.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// Returns the bytes that we may still write to the file system there.
    ///
    /// # Errors
    ///
    /// As the system says.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// Tells whether an error means that there is no room, so that later the same may work.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Makes an error of one that left names in doubt: it must not pass for a full disk, where the same
/// may be tried again.
pub(crate) fn in_doubt(error: io::Error) -> io::Error {
    io::Error::other(error)
}

/// The disk itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl DiskFile for File {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        Write::write_all(self, bytes)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        Self::sync_data(self)
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }
}

impl DiskLock for File {}

impl Disk for RealDisk {
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(directory)? {
            // A name that is no UTF-8 is none of ours.
            names.extend(entry?.file_name().into_string().ok());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        // Appending, so that after a cut the next write goes to the new end.
        Ok(Box::new(OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().append(true).open(path)?))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn read_at(&self, path: &Path, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        File::open(path)?.read_exact_at(bytes, offset)
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.len())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let found = rustix::fs::statvfs(path)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }
}
