//! What this machine gave for days that are not closed yet: each report as it was given, in a file of its own.
//!
//! A day closes with the reports that its set names or never, and two reports of one day are one too many; so a
//! machine that was started anew gives the same again, and it needs the very bytes for that. A report takes some
//! 200 KB, which is too large for a value of the store. Nothing secret is in it: its boxes are sealed to others. What
//! it is trusted with is decided by whoever reads it: by the signature in it, and by the ledger.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use karo_core::sum::BOX_BYTES_MAX;
use karo_protocol::Bytes;
use karo_protocol::atom::AtomId;
use karo_protocol::category::CategorySet;
use karo_protocol::peer::Signed;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use crate::ground::uid;
use crate::logging::say;

/// Name of the directory, below that of the data.
const DIRECTORY: &str = "reports";

/// Name under which a report is written first.
const TEMPORARY: &str = "new";

/// Bytes of a file at the most: two boxes, and a signature over their hashes.
const FILE_BYTES_MAX: u64 = 2 * BOX_BYTES_MAX as u64 + 4096;

/// A report, as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptReport {
    /// A [`Report`](karo_protocol::atom::Report).
    pub signed: Signed,
    /// Sealed to rank 1, and to rank 2.
    pub boxes: [Bytes; 2],
    /// What the policy kept back of it.
    pub kept_back: CategorySet,
}

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum ReportRefused {
    /// It is a link, a directory, another user's, or open to others.
    #[error("{} is not a file of our own that nobody else can write or read", path.display())]
    Foreign {
        /// Where.
        path: PathBuf,
    },
    /// It is no report.
    #[error("{} holds no report", path.display())]
    Unreadable {
        /// Where.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("could not read {}: {error}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
}

/// Where the reports lie.
#[derive(Debug, Clone)]
pub struct ReportFiles(PathBuf);

impl ReportFiles {
    /// Names the directory, below that of the data. It is made with the first report.
    pub fn below(data: &Path) -> Self {
        Self(data.join(DIRECTORY))
    }

    /// Keeps a report in the place of what was kept of that day: whole and on disk when this returns, or not there.
    ///
    /// # Errors
    ///
    /// What the system says; the report must not be given then.
    pub fn keep(&self, atom: &AtomId, report: &KeptReport) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        let bytes = rmp_serde::to_vec(report).expect("a report in memory can be written");
        let temporary = self.0.join(TEMPORARY);
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, self.path(atom))?;
        self.sync()
    }

    /// Reads what was kept of a day.
    ///
    /// # Errors
    ///
    /// [`ReportRefused`] names the file.
    pub fn find(&self, atom: &AtomId) -> Result<Option<KeptReport>, ReportRefused> {
        let path = self.path(atom);
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match File::options().read(true).custom_flags(flags.bits() as i32).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                return Err(ReportRefused::Foreign { path });
            }
            Err(error) => return Err(ReportRefused::Io { path, error }),
        };
        match file.metadata() {
            Ok(found) if is_own(&found) => {}
            Ok(_) => return Err(ReportRefused::Foreign { path }),
            Err(error) => return Err(ReportRefused::Io { path, error }),
        }
        let mut bytes = Vec::new();
        match file.take(FILE_BYTES_MAX).read_to_end(&mut bytes) {
            Ok(_) => rmp_serde::from_slice(&bytes).map(Some).map_err(|_| ReportRefused::Unreadable { path }),
            Err(error) => Err(ReportRefused::Io { path, error }),
        }
    }

    /// Lets go of the report of a day: it is closed, or its group was left.
    pub fn forget(&self, atom: &AtomId) {
        self.forget_file(&self.path(atom));
    }

    /// Lets go of all that is of a day before that one: it can be closed no more.
    pub fn forget_before(&self, day: i32) {
        let Ok(entries) = fs::read_dir(&self.0) else { return };
        let is_old = |path: &PathBuf| day_of(path).is_some_and(|found| found < day);
        let old: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_old).collect();
        old.iter().for_each(|path| self.forget_file(path));
    }

    fn forget_file(&self, path: &Path) {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                say!(Class::ReportRemains, path = %path.display(), %error, "a report that is needed no more is still there");
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// The day comes first, so that what is old can be told by its name.
    fn path(&self, atom: &AtomId) -> PathBuf {
        self.0.join(format!("{}.{}", atom.day, atom.group))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()?;
        // The directory itself may be new.
        self.0.parent().map_or(Ok(()), |above| File::open(above)?.sync_all())
    }
}

fn is_own(found: &fs::Metadata) -> bool {
    found.is_file() && found.uid() == uid() && found.permissions().mode() & 0o077 == 0
}

fn day_of(path: &Path) -> Option<i32> {
    path.file_name()?.to_str()?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use karo_protocol::node::{Hash, Signature};

    use super::*;

    const DAY: AtomId = AtomId { group: Hash([7; 32]), day: 20_000 };

    fn place() -> (tempfile::TempDir, ReportFiles) {
        let directory = tempfile::tempdir().expect("temporary files can be made");
        let files = ReportFiles::below(directory.path());
        (directory, files)
    }

    fn report(byte: u8) -> KeptReport {
        KeptReport {
            signed: Signed { bytes: Bytes(vec![byte; 200]), signature: Signature([byte; 64]) },
            boxes: [Bytes(vec![byte; BOX_BYTES_MAX]), Bytes(vec![byte; 20_000])],
            kept_back: [karo_protocol::Category::Vcs].into_iter().collect(),
        }
    }

    #[test]
    fn a_report_is_read_as_it_was_given_until_it_is_let_go() {
        let (_directory, files) = place();
        assert_eq!(files.find(&DAY).unwrap(), None);
        files.keep(&DAY, &report(1)).unwrap();
        let later = AtomId { day: 20_001, ..DAY };
        files.keep(&later, &report(2)).unwrap();
        assert_eq!(files.find(&DAY).unwrap(), Some(report(1)));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&files.0), mode(&files.path(&DAY))), (0o700, 0o600));
        assert_eq!(fs::read_dir(&files.0).unwrap().count(), 2);
        files.forget_before(20_001);
        assert_eq!((files.find(&DAY).unwrap(), files.find(&later).unwrap()), (None, Some(report(2))));
        files.forget(&later);
        files.forget(&later);
        assert_eq!(fs::read_dir(&files.0).unwrap().count(), 0);
    }

    #[test]
    fn what_is_not_ours_alone_is_not_read() {
        type Break = fn(&Path);
        let cases: [Break; 5] = [
            |path| fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap(),
            |path| {
                fs::rename(path, path.with_extension("moved")).unwrap();
                symlink(path.with_extension("moved"), path).unwrap();
            },
            |path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            },
            |path| {
                let bytes = fs::read(path).unwrap();
                fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
            },
            |path| fs::write(path, b"").unwrap(),
        ];
        for breaking in cases {
            let (_directory, files) = place();
            files.keep(&DAY, &report(1)).unwrap();
            breaking(&files.path(&DAY));
            files.find(&DAY).expect_err("it is refused");
        }
    }
}
