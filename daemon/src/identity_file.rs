//! The file that holds this machine's key: looked at with suspicion, written so that it is whole or not there.
//!
//! A key that is gone, unreadable or another than the log remembers is never made anew in silence: peers know this
//! machine by it, and a person must decide. Recording goes on meanwhile; only the mesh rests.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use karo_protocol::{NodeId, Timestamp};
use karo_trust::identity::{Identity, IdentityError};
use karo_trust::{System, fingerprint};
use rustix::fs::OFlags;

use crate::ground::{open_file, uid};

/// Bytes of a key file at the most: what is larger is none.
const FILE_BYTES_MAX: u64 = 4096;

/// Why the identity cannot be used. The mesh rests until a person has mended it.
#[derive(Debug, thiserror::Error)]
pub enum IdentityRefused {
    /// There is no file, and there was one.
    #[error(
        "{path} is missing, and this machine is known as {known}: put it back, or run \
         `karoctl identity restore FILE` with a backup of it"
    )]
    Missing {
        /// Where it was.
        path: PathBuf,
        /// Fingerprint of the key that the log remembers.
        known: String,
    },
    /// The file is not a plain file.
    #[error("{path} is {what}, not a file: move it away and put the key back")]
    NotAFile {
        /// Where.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// Others may read or write the file.
    #[error(
        "{path} has mode {mode:04o}, so others can use this machine's key: run `chmod 600` on it, and \
         `karoctl identity rotate` if somebody may have read it"
    )]
    Open {
        /// Where.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file belongs to somebody else.
    #[error("{path} belongs to user {owner}, not to {own}: whoever put it there knows the key; move it away")]
    Foreign {
        /// Where.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        own: u32,
    },
    /// The file is no key.
    #[error("{path}: {error}")]
    Unreadable {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        error: IdentityError,
    },
    /// The file holds another key than the log remembers.
    #[error(
        "{path} holds the key {found}, and this machine is known as {known}: put the old file back, or run \
         `karoctl identity restore FILE` if the other key is meant"
    )]
    Swapped {
        /// Where.
        path: PathBuf,
        /// Fingerprint of the key in it.
        found: String,
        /// Fingerprint of the key that the log remembers.
        known: String,
    },
    /// The system refuses.
    #[error("could not {deed} {path}: {error}")]
    Io {
        /// What was tried.
        deed: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// What was found, or made. Whatever became of it, the next start reads it again.
#[derive(Debug)]
pub struct Opened {
    /// The identity.
    pub identity: Identity,
    /// Whether it was made by this call.
    pub is_new: bool,
}

/// Reads the key file; makes one where there is none and the log remembers none.
///
/// # Errors
///
/// [`IdentityRefused`] names the file, what is wrong and the mend.
pub fn open(path: &Path, known: Option<NodeId>, now: Timestamp) -> Result<Opened, IdentityRefused> {
    match (fs::symlink_metadata(path), known) {
        (Err(error), None) if error.kind() == io::ErrorKind::NotFound => {
            let identity = Identity::generate(&mut System::default(), now);
            write(path, &identity)?;
            Ok(Opened { identity, is_new: true })
        }
        (Err(error), Some(known)) if error.kind() == io::ErrorKind::NotFound => {
            Err(IdentityRefused::Missing { path: path.to_owned(), known: fingerprint(&known).to_string() })
        }
        (Err(error), _) => Err(refused("look at", path)(error)),
        (Ok(found), known) => {
            judge(path, &found)?;
            let identity = read(path)?;
            match known.filter(|known| *known != identity.node_id()) {
                // A crash came between the file and the log, be it a second ago or a week.
                Some(known) if identity.follows(known) => Ok(Opened { identity, is_new: false }),
                Some(known) => Err(IdentityRefused::Swapped {
                    path: path.to_owned(),
                    found: fingerprint(&identity.node_id()).to_string(),
                    known: fingerprint(&known).to_string(),
                }),
                None => Ok(Opened { identity, is_new: false }),
            }
        }
    }
}

fn refused(deed: &'static str, path: &Path) -> impl FnOnce(io::Error) -> IdentityRefused {
    move |error| IdentityRefused::Io { deed, path: path.to_owned(), error }
}

/// Tells whether only its owner can have read and written the file, and whether that is us.
fn judge(path: &Path, found: &fs::Metadata) -> Result<(), IdentityRefused> {
    let path = path.to_owned();
    if !found.is_file() {
        let what = match (found.is_dir(), found.is_symlink()) {
            (true, _) => "a directory",
            (_, true) => "a link",
            (false, false) => "a pipe, device or socket",
        };
        return Err(IdentityRefused::NotAFile { path, what });
    }
    let (own, owner, mode) = (uid(), found.uid(), found.permissions().mode() & 0o7777);
    if owner != own {
        return Err(IdentityRefused::Foreign { path, owner, own });
    }
    if mode & 0o077 != 0 {
        return Err(IdentityRefused::Open { path, mode });
    }
    Ok(())
}

fn read(path: &Path) -> Result<Identity, IdentityRefused> {
    let mut bytes = Vec::new();
    // Another may lie there by now than what was judged.
    let file = open_file(path, OFlags::NOFOLLOW).map_err(refused("open", path))?;
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(refused("read", path))?;
    Identity::from_file(&bytes).map_err(|error| IdentityRefused::Unreadable { path: path.to_owned(), error })
}

/// Writes the key under another name, makes it last, and gives it its own.
///
/// # Errors
///
/// [`IdentityRefused::Io`]; the file that was there before is still there then.
pub fn write(path: &Path, identity: &Identity) -> Result<(), IdentityRefused> {
    let temporary = path.with_extension("key.new");
    let written = write_whole(&temporary, &identity.to_file())
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| sync_above(path));
    written.map_err(|error| {
        // Half a key is of no use to anybody; where it cannot be taken away, the next writing replaces it.
        fs::remove_file(&temporary).unwrap_or_default();
        refused("write", path)(error)
    })
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_above(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().expect("temporary files can be made");
        let path = directory.path().join("identity.key");
        (directory, path)
    }

    fn now() -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000)
    }

    #[test]
    fn a_key_is_made_once_and_read_again() {
        let (_directory, path) = place();
        let made = open(&path, None, now()).expect("it can be made");
        let node = made.identity.node_id();
        let again = open(&path, Some(node), now()).expect("it can be read");
        assert!(made.is_new && !again.is_new);
        assert_eq!(again.identity.node_id(), node);
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_that_cannot_be_written_leaves_the_one_before() {
        let (_directory, path) = place();
        open(&path, None, now()).expect("it can be made");
        let before = fs::read(&path).unwrap();
        // The name under which it is written first is taken.
        fs::create_dir(path.with_extension("key.new")).unwrap();
        let next = Identity::generate(&mut System::default(), now());
        write(&path, &next).expect_err("there is nowhere to write");
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn what_is_wrong_with_it_is_named_with_the_mend() {
        type Break = fn(&Path);
        let cases: [(Break, &str); 8] = [
            (|path| fs::remove_file(path).unwrap(), "is missing"),
            (|path| fs::write(path, b"").unwrap(), "karoctl identity restore FILE"),
            (
                |path| {
                    let bytes = fs::read(path).unwrap();
                    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
                },
                "karoctl identity restore FILE",
            ),
            (
                |path| {
                    let mut bytes = fs::read(path).unwrap();
                    let place = bytes.len() / 2;
                    bytes[place] ^= 1;
                    fs::write(path, bytes).unwrap();
                },
                "karoctl identity restore FILE",
            ),
            (|path| fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap(), "chmod 600"),
            (
                |path| {
                    fs::remove_file(path).unwrap();
                    fs::create_dir(path).unwrap();
                },
                "a directory",
            ),
            (
                |path| {
                    fs::rename(path, path.with_extension("moved")).unwrap();
                    symlink(path.with_extension("moved"), path).unwrap();
                },
                "a link",
            ),
            (|path| write(path, &Identity::generate(&mut System::default(), now())).unwrap(), "known as"),
        ];
        for (breaking, expected) in cases {
            let (_directory, path) = place();
            let node = open(&path, None, now()).expect("it can be made").identity.node_id();
            breaking(&path);
            let before = fs::read(&path).ok();
            let error = open(&path, Some(node), now()).expect_err(expected).to_string();
            assert!(error.contains(expected) && error.contains("identity.key"), "{error}");
            assert_eq!(fs::read(&path).ok(), before, "{expected}: nothing is made anew");
        }
    }
}
