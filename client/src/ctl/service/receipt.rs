//! What was done to this machine by `karoctl service install` and `karoctl setup`, written down so that undoing takes
//! away that and not what others have written or switched on: a file for its owner alone beside the data.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ctl::exit::Trouble;
use crate::ctl::{owned_file, whole_file};

/// The name of the file in the data directory.
pub const NAME: &str = "receipt.json";

/// The version of what is written.
const VERSION: u32 = 1;

/// Bytes of it at the most: it names a handful of files.
const BYTES_MAX: u64 = 1 << 20;

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Where: absolute.
    pub path: PathBuf,
    /// BLAKE3 of what was written, in hex.
    pub hash: String,
}

/// An rc file that loads a hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hooked {
    /// The shell.
    pub shell: String,
    /// Its rc file.
    pub file: PathBuf,
}

/// All that was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The version of this text.
    version: u32,
    /// Files, as they were written.
    #[serde(default)]
    pub files: Vec<Written>,
    /// Directories that were not there before, the outer ones first.
    #[serde(default)]
    pub directories: Vec<PathBuf>,
    /// Rc files.
    #[serde(default)]
    pub hooks: Vec<Hooked>,
    /// Units that were enabled, whoever wrote them.
    #[serde(default)]
    pub enabled: Vec<String>,
    /// Whether lingering was switched on.
    #[serde(default)]
    pub linger: bool,
    /// Histories that were taken in; forgetting them means nothing but that they may be taken in once more.
    #[serde(default)]
    pub imported: Vec<PathBuf>,
}

impl Receipt {
    /// Reads what was done; nothing was where there is no file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or a newer karoctl wrote it.
    pub fn read(path: &Path) -> Result<Self, Trouble> {
        let bytes = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Ok(_) | Err(_) => {
                whole_file::found(path, BYTES_MAX).map_err(|error| Trouble::file("read", path, &error))?
            }
        };
        let receipt: Self = serde_json::from_slice(&bytes).map_err(|error| {
            Trouble::refused(format!("{} cannot be understood: {error}; move it away", path.display()))
        })?;
        if receipt.version > VERSION {
            return Err(Trouble::refused(format!(
                "{} was written by a newer karoctl; use that one",
                path.display()
            )));
        }
        Ok(receipt)
    }

    /// Writes it; one that names nothing is removed.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Trouble> {
        if self.is_empty() {
            return match fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    Err(Trouble::file("remove", path, &error))
                }
                Ok(()) | Err(_) => Ok(()),
            };
        }
        let stamped = Self { version: VERSION, ..self.clone() };
        let mut text = serde_json::to_vec_pretty(&stamped)?;
        text.push(b'\n');
        owned_file::write(path, &text, true)
    }

    /// Tells whether nothing is left that undoing would have to take away.
    pub fn is_empty(&self) -> bool {
        let Self { version: _, files, directories, hooks, enabled, linger, imported: _ } = self;
        files.is_empty() && directories.is_empty() && hooks.is_empty() && enabled.is_empty() && !linger
    }

    /// Notes a file that was written.
    pub fn wrote(&mut self, path: &Path, bytes: &[u8]) {
        self.forget_file(path);
        self.files.push(Written { path: path.to_owned(), hash: hash(bytes) });
    }

    /// Notes that a file is gone.
    pub fn forget_file(&mut self, path: &Path) {
        self.files.retain(|written| written.path != path);
    }

    /// Notes a directory that was made.
    pub fn made(&mut self, path: &Path) {
        if self.directories.iter().all(|known| known != path) {
            self.directories.push(path.to_owned());
        }
    }

    /// Notes a history that was taken in.
    pub fn took_in(&mut self, file: &Path) {
        if self.imported.iter().all(|known| known != file) {
            self.imported.push(file.to_owned());
        }
    }

    /// Notes an rc file that loads a hook.
    pub fn hooked(&mut self, shell: &str, file: &Path) {
        self.hooks.retain(|hooked| hooked.file != file);
        self.hooks.push(Hooked { shell: shell.to_owned(), file: file.to_owned() });
    }

    /// Tells whether a file holds what was written, and nobody has changed it since.
    pub fn is_as_written(&self, path: &Path, bytes: &[u8]) -> bool {
        let hash = hash(bytes);
        self.files.iter().any(|written| written.path == path && written.hash == hash)
    }
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::fake::private_directory;

    #[test]
    fn what_was_done_is_read_back_and_is_its_owners() {
        let directory = private_directory();
        let path = directory.path().join(NAME);
        assert_eq!(Receipt::read(&path), Ok(Receipt::default()));
        let mut receipt = Receipt::default();
        receipt.wrote(Path::new("/u"), b"old");
        receipt.wrote(Path::new("/u"), b"new");
        receipt.made(Path::new("/d"));
        receipt.made(Path::new("/d"));
        receipt.hooked("bash", Path::new("/h/.bashrc"));
        receipt.write(&path).expect("there is room");
        assert_eq!(fs::metadata(&path).expect("it is there").mode() & 0o777, 0o600);
        let read = Receipt::read(&path).expect("it is whole");
        assert_eq!((read.files.len(), read.directories.len(), read.hooks.len()), (1, 1, 1));
        assert!(read.is_as_written(Path::new("/u"), b"new"));
        assert!(!read.is_as_written(Path::new("/u"), b"old"));
        assert!(!read.is_as_written(Path::new("/v"), b"new"));
    }

    #[test]
    fn one_that_names_nothing_is_no_file() {
        let directory = private_directory();
        let path = directory.path().join(NAME);
        Receipt::default().write(&path).expect("there is nothing to do");
        let mut receipt = Receipt { linger: true, ..Receipt::default() };
        receipt.write(&path).expect("there is room");
        assert!(path.exists());
        receipt.linger = false;
        receipt.write(&path).expect("it can be removed");
        assert!(!path.exists());
    }

    #[test]
    fn one_of_a_newer_karoctl_or_of_nobody_is_refused() {
        let directory = private_directory();
        let path = directory.path().join(NAME);
        fs::write(&path, r#"{"version":2}"#).expect("there is room");
        let newer = Receipt::read(&path).expect_err("it is newer");
        assert!(newer.message.ends_with("was written by a newer karoctl; use that one"), "{newer}");
        fs::write(&path, "{").expect("there is room");
        assert!(Receipt::read(&path).is_err());
    }
}
