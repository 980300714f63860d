//! Files for their owner alone: written whole or not at all, and read only up to a limit.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::exit::Trouble;

/// Refuses a path where a file is already, unless it may be overwritten: before a person is asked for anything.
///
/// # Errors
///
/// When something is there, whatever it is.
pub fn refuse_taken(path: &Path, force: bool) -> Result<(), Trouble> {
    if force || fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    Err(Trouble::refused(format!("{} is there already; name another file, or add --force", path.display())))
}

/// Writes a file that only its owner can read, and syncs it.
///
/// # Errors
///
/// When it cannot be written, or is there already and may not be overwritten; what was there before stays as it was.
pub fn write(path: &Path, bytes: &[u8], force: bool) -> Result<(), Trouble> {
    refuse_taken(path, force)?;
    let failed = |error: io::Error| Trouble::file("write", path, &error);
    let place = if force { beside(path) } else { path.to_owned() };
    // Without --force the file is made under its own name, so whatever came there in between is not touched.
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&place).map_err(failed)?;
    let written = fill(&mut file, bytes).and_then(|()| match force {
        true => fs::rename(&place, path),
        false => Ok(()),
    });
    if let Err(error) = written {
        // Half a file is worse than none; that it cannot be removed either changes nothing of what is said.
        drop(fs::remove_file(&place));
        return Err(failed(error));
    }
    sync_directory(path).map_err(failed)
}

fn fill(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

/// Returns a name beside the file that nobody else uses.
fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

/// Reads a file that holds no more than so many bytes.
///
/// # Errors
///
/// When it cannot be read, or holds more.
pub fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Trouble> {
    let failed = |error: io::Error| Trouble::file("read", path, &error);
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(bytes_max + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > bytes_max {
        return Err(Trouble::refused(format!("{} holds more than {bytes_max} bytes", path.display())));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::fake::private_directory;

    #[test]
    fn a_file_is_its_owners_and_is_not_overwritten() {
        let directory = private_directory();
        let path = directory.path().join("backup");
        write(&path, b"first", false).expect("there is room");
        assert_eq!(fs::metadata(&path).expect("it is there").mode() & 0o777, 0o600);
        let refusal = write(&path, b"second", false).expect_err("it is there already");
        assert!(
            refusal.message.ends_with("is there already; name another file, or add --force"),
            "{refusal}"
        );
        assert_eq!(read(&path, 5), Ok(b"first".to_vec()));
        write(&path, b"second", true).expect("it may be overwritten");
        assert_eq!(read(&path, 6), Ok(b"second".to_vec()));
        assert_eq!(fs::metadata(&path).expect("it is there").mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).expect("it is there").count(), 1);
        assert!(read(&path, 5).is_err());
    }

    #[test]
    fn a_link_to_elsewhere_is_something_that_is_there() {
        let directory = private_directory();
        let (link, target) = (directory.path().join("link"), directory.path().join("target"));
        std::os::unix::fs::symlink(&target, &link).expect("there is room");
        assert!(write(&link, b"x", false).is_err());
        assert!(!target.exists());
    }
}
