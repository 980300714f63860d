//! Reading files as a whole, up to a limit: those that a person names now, and those that are found.
//!
//! A person may name a pipe, as `<(command)` does, and sees what is waited for. What is found at its usual place, or
//! below a directory, is a file or is refused: nobody knows why nothing happens while a pipe is waited for.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Bytes of a file that people write by hand, at the most.
pub const TEXT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Reads what a person named, whatever it is.
///
/// # Errors
///
/// What the system says; or when there is more than that.
pub fn named(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    whole(File::open(path)?, bytes_max)
}

/// Reads what was found; nothing but a file is read, and nobody is waited for.
///
/// # Errors
///
/// What the system says, or what there is in the place of a file; or when it holds more than that.
pub fn found(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        return whole(file, bytes_max);
    }
    let what = match (kind.is_dir(), kind.is_fifo()) {
        (true, _) => "a directory",
        (_, true) => "a pipe",
        (false, false) => "a device",
    };
    Err(io::Error::other(format!("it is {what}, not a file")))
}

/// Makes text of what was read.
///
/// # Errors
///
/// When it is not UTF-8.
pub fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

fn whole(file: File, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::other(format!("it holds more than {bytes_max} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
pub mod tests {
    use std::thread;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;
    use crate::fake::private_directory;

    /// Makes a pipe into which nobody writes.
    pub fn pipe(path: &Path) {
        mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("there is room");
    }

    #[test]
    fn what_is_found_must_be_a_file() {
        let directory = private_directory();
        let path = directory.path().join("found");
        pipe(&path);
        let said = |path: &Path| found(path, 8).expect_err("no file").to_string();
        assert_eq!(said(&path), "it is a pipe, not a file");
        assert_eq!(said(directory.path()), "it is a directory, not a file");
        assert_eq!(said(Path::new("/dev/zero")), "it is a device, not a file");
        std::fs::remove_file(&path).expect("it is ours");
        std::fs::write(&path, "12345678").expect("there is room");
        assert_eq!(found(&path, 8).expect("it fits"), b"12345678");
        assert!(found(&path, 7).is_err());
    }

    #[test]
    fn what_is_named_may_be_a_pipe_and_has_an_end() {
        let directory = private_directory();
        let path = directory.path().join("named");
        pipe(&path);
        let written = path.clone();
        let writer = thread::spawn(move || std::fs::write(written, "words").expect("somebody reads"));
        assert_eq!(named(&path, 8).expect("somebody writes"), b"words");
        writer.join().expect("it wrote");
        assert_eq!(
            named(Path::new("/dev/zero"), 8).expect_err("it never ends").to_string(),
            "it holds more than 8 bytes"
        );
    }
}
