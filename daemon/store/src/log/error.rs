//! What can go wrong in the log, by what the caller can do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another daemon works in this directory.
    #[error("another karod holds {}", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A later version wrote it; this one must not touch it.
    #[error("{} has format {version}, and this karod knows formats up to {known}: a newer karod wrote it", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        version: u16,
        /// The newest format that this version reads.
        known: u16,
    },
    /// The disk refused a deed.
    #[error("could not {deed} {}: {source}", path.display())]
    Disk {
        /// What was tried.
        deed: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl OpenError {
    pub(super) fn disk(deed: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk { deed, path: path.to_owned(), source }
    }
}

/// Why nothing was appended, deleted or rewritten.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// There is too little room. Nothing was acknowledged; the same may be tried later.
    #[error("{free_bytes} bytes are free and {reserve_bytes} are kept in reserve")]
    Full {
        /// Bytes that are free.
        free_bytes: u64,
        /// Bytes that must stay free.
        reserve_bytes: u64,
    },
    /// A write or sync failed, and what is on disk is not known: nothing is written any more, and the
    /// daemon must stop and start again.
    #[error("the log takes nothing until it is opened again: {reason}")]
    Poisoned {
        /// What failed.
        reason: String,
    },
    /// A value or line that no log can hold: too long, too many, of the store's own shelf, or not the next
    /// of its series. Nothing of its batch was written.
    #[error("the log cannot hold this: {reason}")]
    Unfit {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The search is still being loaded, and what is taken away now could come back to it.
    #[error("the log is still being loaded")]
    Loading,
}

/// Why an event cannot be read back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Nothing lies at that position: it was deleted or lies elsewhere since.
    #[error("no event lies there any more")]
    Gone,
    /// What lies there is not as it was written.
    #[error("segment {segment} is damaged at offset {offset}: {reason}")]
    Damaged {
        /// Name of the segment's file.
        segment: String,
        /// Where in it, in bytes.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// The disk refused.
    #[error("could not read segment {segment}: {reason}")]
    Disk {
        /// Name of the segment's file.
        segment: String,
        /// What the system said.
        reason: String,
    },
}
