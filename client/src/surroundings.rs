//! The real environment, as the table of [`Places`] is read with it. Opens nothing.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use karo_protocol::places::{Found, PlaceError, Places, Surroundings};

/// Returns the effective user of this process.
pub fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Reads the table of places for the effective user of this process.
///
/// # Errors
///
/// [`PlaceError`] names the variable or path at fault and the mend.
pub fn places() -> Result<Places, PlaceError> {
    let uid = uid();
    let is_own_directory = |path: &Path| found(path).is_some_and(|found| found.judge(uid).is_ok());
    let is_own_socket = |path: &Path| {
        fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket() && found.uid() == uid)
    };
    Places::resolve(&Surroundings {
        variable: &|name| std::env::var_os(name),
        uid,
        is_own_directory: &is_own_directory,
        is_own_socket: &is_own_socket,
    })
}

/// Returns what is at a path, without following a link; `None` when nothing can be seen there.
pub fn found(path: &Path) -> Option<Found> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some(Found {
        is_directory: metadata.is_dir(),
        is_link: metadata.is_symlink(),
        uid: metadata.uid(),
        mode: metadata.mode(),
    })
}
