//! A record in a spool: written whole under another name, then renamed, so that nobody reads a half.

use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use karo_protocol::Observation;
use karo_protocol::limits::SPOOL_FILES_MAX;
use karo_protocol::places::Unsafe;
use karo_protocol::spool;

use crate::surroundings;

/// Why a record could not be spooled.
#[derive(Debug)]
pub(super) enum SpoolingError {
    /// The directory cannot be used as one's own.
    Unsafe(Unsafe),
    /// It holds as many files as it may.
    Full,
    /// The system refused.
    Io(io::Error),
}

impl fmt::Display for SpoolingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsafe(reason) => reason.fmt(f),
            Self::Full => write!(f, "holds {SPOOL_FILES_MAX} records already"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for SpoolingError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Writes the record into the directory, which is made if it is not there; returns its path.
///
/// The directory around it is not made: where that is gone, Karo was taken away, and a shell that is open still must
/// not bring it back with what is typed into it.
///
/// # Errors
///
/// Nothing is left behind then.
pub(super) fn write(directory: &Path, observation: &Observation) -> Result<PathBuf, SpoolingError> {
    match DirBuilder::new().mode(0o700).create(directory) {
        // It is judged below, whoever made it.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    let found = surroundings::found(directory).ok_or(io::Error::from(io::ErrorKind::NotFound))?;
    found.judge(surroundings::uid()).map_err(SpoolingError::Unsafe)?;
    if fs::read_dir(directory)?.take(SPOOL_FILES_MAX).count() >= SPOOL_FILES_MAX {
        return Err(SpoolingError::Full);
    }
    let name = spool::file_name(observation.shell.id, observation.sequence, &observation.phase);
    // Another process with the same record has a name of its own, so that neither takes the other's away.
    let unfinished = directory.join(format!(".{name}.{}.tmp", std::process::id()));
    let whole = directory.join(&name);
    let written =
        create(&unfinished, &spool::encode(observation)).and_then(|()| fs::rename(&unfinished, &whole));
    match written {
        Ok(()) => Ok(whole),
        Err(error) => {
            // What cannot be removed either is a name that no reader takes for a record.
            _ = fs::remove_file(&unfinished);
            Err(error.into())
        }
    }
}

fn create(path: &Path, record: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(path)?.write_all(record)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const RECORD: &[u8] =
        b"karo 1\0shell=zsh\0shell_id=000102030405060708090a0b0c0d0e0f\0seq=3\0phase=start\0\
        started_us=17\0cwd=/\0command=true\0end\n";

    #[test]
    fn a_record_is_whole_and_private() {
        let place = tempfile::tempdir().expect("temporary files can be made");
        let spool = place.path().join("a/spool");
        let observation = spool::decode(RECORD).expect("it is whole");
        assert!(write(&spool, &observation).is_err(), "Karo was taken away");
        assert!(!place.path().join("a").exists(), "and nothing brings it back");
        fs::create_dir(place.path().join("a")).expect("there is room");
        let path = write(&spool, &observation).expect("the place is ours");
        assert_eq!(path, spool.join("000102030405060708090a0b0c0d0e0f.3.s"));
        assert_eq!(spool::decode(&fs::read(&path).expect("it is there")), Ok(observation.clone()));
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o7777;
        assert_eq!((mode(&path), mode(&spool)), (0o600, 0o700));
        assert_eq!(fs::read_dir(&spool).expect("it is there").count(), 1);

        fs::set_permissions(&spool, fs::Permissions::from_mode(0o770)).expect("the place is ours");
        assert!(matches!(write(&spool, &observation), Err(SpoolingError::Unsafe(_))));
    }

    #[test]
    fn a_full_spool_takes_nothing() {
        let place = tempfile::tempdir().expect("temporary files can be made");
        for number in 0..SPOOL_FILES_MAX {
            fs::write(place.path().join(number.to_string()), "").expect("the place is ours");
        }
        let observation = spool::decode(RECORD).expect("it is whole");
        assert!(matches!(write(place.path(), &observation), Err(SpoolingError::Full)));
    }
}
