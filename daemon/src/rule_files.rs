//! The team's own rule files: found below the configured directories and read, in the order of their paths.
//!
//! What a file says is not looked at here. Whatever cannot be read is named, and the rest is taken.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use karo_core::risk::limits::FILE_BYTES_MAX;
use rustix::fs::OFlags;

use crate::ground;

/// Files read at the most: SigmaHQ's whole collection has some 4,000.
pub const FILES_MAX: usize = 8192;

/// Bytes that are read of one file: one more than a rule file may have, so that the refusal is the core's.
const FILE_BYTES_READ: u64 = FILE_BYTES_MAX as u64 + 1;

/// Directories below a configured one, one in another.
pub const DEPTH_MAX: usize = 12;

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it lies.
    pub path: PathBuf,
    /// What it holds.
    pub text: Vec<u8>,
}

/// Something that was not read, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Where it lies.
    pub path: PathBuf,
    /// Why, in words.
    pub reason: String,
}

/// What lies below some directories.
#[derive(Debug, Default)]
pub struct RuleFiles {
    /// In the order of the directories, then of the paths; a file that is reached twice is there once.
    pub files: Vec<Found>,
    /// What was not read.
    pub unread: Vec<Unread>,
    seen: BTreeSet<(u64, u64)>,
}

impl RuleFiles {
    /// Reads all `*.yml` and `*.yaml` below the directories. Blocks as long as the disk does.
    pub fn read(directories: &[PathBuf]) -> Self {
        let mut found = Self::default();
        directories.iter().for_each(|directory| found.directory(directory, 0));
        found
    }

    fn directory(&mut self, path: &Path, depth: usize) {
        if depth > DEPTH_MAX {
            return self.leave(path, format!("more than {DEPTH_MAX} directories deep"));
        }
        match entries(path) {
            Ok((metadata, entries)) if self.seen.insert((metadata.dev(), metadata.ino())) => {
                entries.iter().for_each(|entry| self.entry(entry, depth));
            }
            // A link led here before.
            Ok(_) => {}
            Err(error) => self.leave(path, error.to_string()),
        }
    }

    fn entry(&mut self, path: &Path, depth: usize) {
        let is_rule = path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml");
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.directory(path, depth + 1),
            Ok(_) if is_rule => self.file(path),
            Ok(_) => {}
            Err(error) if is_rule => self.leave(path, error.to_string()),
            Err(_) => {}
        }
    }

    fn file(&mut self, path: &Path) {
        if self.files.len() >= FILES_MAX {
            // One word for all of them.
            if self.files.len() == FILES_MAX
                && !self.unread.iter().any(|unread| unread.reason.starts_with("one of more"))
            {
                self.leave(path, format!("one of more than {FILES_MAX} files"));
            }
            return;
        }
        match read(path) {
            Ok((file, _)) if !self.seen.insert(file) => {}
            Ok((_, text)) => self.files.push(Found { path: path.to_owned(), text }),
            Err(error) => self.leave(path, error.to_string()),
        }
    }

    fn leave(&mut self, path: &Path, reason: String) {
        self.unread.push(Unread { path: path.to_owned(), reason });
    }
}

/// Lists a directory in the order of the names; what begins with a dot is left out.
fn entries(path: &Path) -> io::Result<(fs::Metadata, Vec<PathBuf>)> {
    let metadata = fs::metadata(path)?;
    let mut entries = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            entries.push(entry.path());
        }
    }
    entries.sort();
    Ok((metadata, entries))
}

/// Reads one file, and tells which one it is; nothing but a file is read, and of a large one the beginning.
fn read(path: &Path) -> io::Result<((u64, u64), Vec<u8>)> {
    let file = ground::open_file(path, OFlags::empty())?;
    let metadata = file.metadata()?;
    let mut text = Vec::new();
    file.take(FILE_BYTES_READ).read_to_end(&mut text)?;
    Ok(((metadata.dev(), metadata.ino()), text))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(found: &RuleFiles) -> Vec<String> {
        let name = |found: &Found| found.path.file_name().map(|name| name.to_string_lossy().into_owned());
        found.files.iter().filter_map(name).collect()
    }

    #[test]
    fn files_are_found_once_and_in_order() {
        let place = tempfile::tempdir().expect("there is room");
        let (root, below) = (place.path(), place.path().join("b/below"));
        fs::create_dir_all(&below).expect("the place is ours");
        fs::create_dir(root.join(".git")).expect("the place is ours");
        for name in ["z.yml", "a.yaml", "b/below/m.yml", "notes.txt", ".git/x.yml", ".hidden.yml"] {
            fs::write(root.join(name), name).expect("the place is ours");
        }
        symlink(root, below.join("loop")).expect("the place is ours");
        symlink(root.join("z.yml"), root.join("again.yml")).expect("the place is ours");
        let found = RuleFiles::read(&[root.to_owned(), below]);
        assert_eq!(names(&found), ["a.yaml", "again.yml", "m.yml"]);
        assert_eq!(found.unread, []);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let place = tempfile::tempdir().expect("there is room");
        let root = place.path();
        fs::write(root.join("good.yml"), "good").expect("the place is ours");
        symlink(root.join("nothing"), root.join("gone.yml")).expect("the place is ours");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            root.join("pipe.yml"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .expect("the place is ours");
        let found = RuleFiles::read(&[root.join("missing"), root.to_owned()]);
        assert_eq!(names(&found), ["good.yml"]);
        let unread: Vec<_> = found
            .unread
            .iter()
            .map(|unread| unread.path.file_name().expect("it has one").to_owned())
            .collect();
        assert_eq!(unread, ["missing", "gone.yml", "pipe.yml"]);
    }
}
