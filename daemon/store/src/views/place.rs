//! Where the views lie, and the seal over them; knows files, and nothing of sled.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use karo_protocol::Timestamp;

use super::{LogPosition, ViewsError};
use crate::keys::{BadStamp, Seal};

/// Damaged trees that are kept for a look at them: they can be made anew, so more would be litter.
const DAMAGED_KEPT: usize = 3;

const VIEWS_DIR: &str = "views";
const DAMAGED_DIR: &str = "damaged";
const SEAL: &str = "seal";
const SEAL_NEW: &str = "seal.new";

/// What lies where the views should.
#[derive(Debug)]
pub(super) enum Found {
    Nothing,
    /// A tree as it was left, up to there in the log.
    Sealed(LogPosition),
    /// A tree that somebody was writing to when he died.
    Unsealed,
    OtherFormat(u16),
    Damaged(String),
}

/// The directory of the views.
#[derive(Debug)]
pub(super) struct Place {
    data_dir: PathBuf,
    path: PathBuf,
}

impl Place {
    pub(super) fn below(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.to_owned(), path: data_dir.join(VIEWS_DIR) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads all of the files, and tells what they are.
    pub(super) fn look(&self) -> Result<Found, ViewsError> {
        let found = self.try_look();
        found.or_else(|source| match is_in_the_way(&source) {
            true => Err(ViewsError::Place { path: self.path.clone(), source }),
            false => Ok(Found::Damaged(source.to_string())),
        })
    }

    fn try_look(&self) -> io::Result<Found> {
        match fs::symlink_metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(error),
            Ok(metadata) if !metadata.is_dir() => return Err(io::ErrorKind::NotADirectory.into()),
            Ok(_) => {}
        }
        let files = tree_files(&self.path)?;
        let seal = match fs::read(self.path.join(SEAL)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(if files.is_empty() { Found::Nothing } else { Found::Unsealed });
            }
            seal => seal?,
        };
        match Seal::parse(&seal) {
            Err(BadStamp::Format(format)) => Ok(Found::OtherFormat(format)),
            Err(BadStamp::Damaged) => Ok(Found::Damaged("the seal is not as it was written".to_owned())),
            Ok(seal) if seal.files == hash(&self.path, &files)? => Ok(Found::Sealed(seal.position)),
            Ok(_) => Ok(Found::Damaged("the files are not as they were sealed".to_owned())),
        }
    }

    /// Makes the directory, without a seal: from here on, somebody writes.
    pub(super) fn unseal(&self) -> Result<(), ViewsError> {
        self.at(DirBuilder::new().recursive(true).mode(0o700).create(&self.path))?;
        match fs::remove_file(self.path.join(SEAL)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            // Were the seal to come back after a power cut, the files would not match it.
            removed => self.at(removed.and_then(|()| sync(&self.path))),
        }
    }

    /// Hands the files to the disk, and seals them: nobody writes any more.
    pub(super) fn seal(&self, position: LogPosition) -> Result<(), ViewsError> {
        self.at(self.try_seal(position))
    }

    fn try_seal(&self, position: LogPosition) -> io::Result<()> {
        let files = tree_files(&self.path)?;
        for file in &files {
            fs::set_permissions(self.path.join(file), Permissions::from_mode(0o600))?;
            sync(&self.path.join(file))?;
        }
        for directory in directories(&files) {
            sync(&self.path.join(directory))?;
        }
        let seal = Seal { position, files: hash(&self.path, &files)? };
        let new = self.path.join(SEAL_NEW);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&seal.to_bytes())?;
        file.sync_all()?;
        fs::rename(&new, self.path.join(SEAL))?;
        sync(&self.path)?;
        sync(&self.data_dir)
    }

    /// Removes the views.
    pub(super) fn remove(&self) -> Result<(), ViewsError> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => self.at(removed.and_then(|()| sync(&self.data_dir))),
        }
    }

    /// Removes all views that were moved aside.
    pub(super) fn drop_damaged(&self) -> Result<(), ViewsError> {
        let damaged = self.data_dir.join(DAMAGED_DIR);
        let kept = moved_aside(&damaged);
        if kept.is_empty() {
            return Ok(());
        }
        self.at(kept.iter().try_for_each(|path| remove_any(path)).and_then(|()| sync(&damaged)))
    }

    /// Moves the views to where damaged ones lie, and returns where exactly.
    pub(super) fn move_aside(&self, now: Timestamp) -> Result<PathBuf, ViewsError> {
        let damaged = self.data_dir.join(DAMAGED_DIR);
        self.at(DirBuilder::new().recursive(true).mode(0o700).create(&damaged))?;
        drop_oldest(&damaged);
        let name = |attempt: u32| match attempt {
            0 => format!("{VIEWS_DIR}-{:020}", now.as_micros()),
            _ => format!("{VIEWS_DIR}-{:020}-{attempt}", now.as_micros()),
        };
        let target = (0..).map(|attempt| damaged.join(name(attempt))).find(|target| !target.exists());
        let target = target.expect("there are more names than directories");
        self.at(fs::rename(&self.path, &target))?;
        // They are derived: should a power cut undo the rename, it is done again.
        self.at(sync(&self.data_dir))?;
        Ok(target)
    }

    /// Returns the bytes of all files; those that cannot be looked at count nothing.
    pub(super) fn bytes(&self) -> u64 {
        let files = tree_files(&self.path).unwrap_or_default();
        files.iter().filter_map(|file| fs::metadata(self.path.join(file)).ok()).map(|file| file.len()).sum()
    }

    fn at<T>(&self, result: io::Result<T>) -> Result<T, ViewsError> {
        result.map_err(|source| ViewsError::Place { path: self.path.clone(), source })
    }
}

/// Tells a place that is in the way from files that are not as they were written.
pub(super) fn is_in_the_way(error: &io::Error) -> bool {
    use io::ErrorKind::{OutOfMemory, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let kinds = [OutOfMemory, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull];
    let no_descriptors = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE];
    kinds.contains(&error.kind())
        || no_descriptors.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Returns the files of the tree, the seal not among them, in the order of their names.
fn tree_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(path.join(&directory))? {
            let entry = entry?;
            let name = directory.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                open.push(name);
            } else if name != Path::new(SEAL) && name != Path::new(SEAL_NEW) {
                files.push(name);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Returns the directories below the views that hold some of these files.
fn directories(files: &[PathBuf]) -> Vec<&Path> {
    let mut directories: Vec<&Path> =
        files.iter().filter_map(|file| file.parent()).filter(|path| !path.as_os_str().is_empty()).collect();
    directories.dedup();
    directories
}

/// Hashes each file's name, its length and its bytes; lengths are of eight bytes, big-endian.
fn hash(path: &Path, files: &[PathBuf]) -> io::Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    for name in files {
        let file = File::open(path.join(name))?;
        let (name, length) = (name.as_os_str().as_encoded_bytes(), file.metadata()?.len());
        hasher.update(&(name.len() as u64).to_be_bytes()).update(name).update(&length.to_be_bytes());
        hasher.update_reader(file)?;
    }
    Ok(hasher.finalize().into())
}

/// Leaves room for one more among the damaged views that are kept.
fn drop_oldest(damaged: &Path) {
    let kept = moved_aside(damaged);
    let surplus = (kept.len() + 1).saturating_sub(DAMAGED_KEPT);
    for path in &kept[..surplus] {
        if let Err(error) = remove_any(path) {
            tracing::warn!(event = "views-left", path = %path.display(), %error, "could not remove old damaged views");
        }
    }
}

/// Returns the views that were moved aside, the oldest first.
fn moved_aside(damaged: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(damaged) else { return Vec::new() };
    let is_ours = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("views-"))
    };
    let mut kept: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_ours).collect();
    kept.sort();
    kept
}

fn remove_any(path: &Path) -> io::Result<()> {
    let is_directory = fs::symlink_metadata(path)?.is_dir();
    if is_directory { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}
