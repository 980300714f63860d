//! The directories that Karo stands on: made with the right modes, and judged before they are used.
//!
//! A directory that is not ours, or that others can write, is refused with a sentence that names it
//! and the mend; nothing is mended in silence, for a wrong mode may be somebody's attack. Files that a person names are
//! opened here too, because what lies at such a path need not be a file.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use karo_protocol::places::{Found, PlaceError, Places, Surroundings, Unsafe};
use rustix::fs::OFlags;

/// Why a place cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GroundError {
    /// No place can be named.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// A directory cannot be made or looked at.
    #[error("could not use {path}: {error}")]
    Io {
        /// The path.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A directory is not safe.
    #[error("{path} {reason}")]
    Unsafe {
        /// The path.
        path: PathBuf,
        /// What is wrong with it, and the mend.
        reason: Unsafe,
    },
    /// A directory lies where others can replace it.
    #[error("{path} can be written by others, who could replace what lies in it; run chmod go-w on it")]
    UnsafeParent {
        /// The directory above.
        path: PathBuf,
    },
    /// A directory lies in somebody else's.
    #[error(
        "{path} belongs to user {uid}, who could replace what lies in it (in the sandbox of a unit root is a stranger \
         too); keep Karo's directory below one of yours"
    )]
    ForeignParent {
        /// The directory above.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// There is something at the socket's path that is not a socket.
    #[error("{path} is not a socket; move it away")]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// A living daemon listens there.
    #[error("another karod listens on {path}; stop it, or set KARO_SOCKET")]
    Listening {
        /// The path.
        path: PathBuf,
    },
}

impl GroundError {
    fn io(path: &Path, error: io::Error) -> Self {
        Self::Io { path: path.to_owned(), error }
    }
}

/// Returns the effective user.
pub fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Returns the name of the effective user's account; its number when it has none.
pub fn account() -> String {
    let uid = uid().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let entry = accounts.lines().map(|line| line.split(':')).find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    });
    entry.or_else(|| std::env::var("USER").ok()).unwrap_or(uid)
}

/// Returns the name of this machine.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Reads the table of places from the environment.
///
/// # Errors
///
/// [`GroundError::Place`].
pub fn places() -> Result<Places, GroundError> {
    let variable = |name: &str| -> Option<OsString> { std::env::var_os(name) };
    let uid = uid();
    let is_own_directory =
        |path: &Path| path.symlink_metadata().is_ok_and(|found| found.is_dir() && found.uid() == uid);
    // Whom root's service manager starts is told where the socket is.
    let is_own_socket = |_: &Path| false;
    Ok(Places::resolve(&Surroundings {
        variable: &variable,
        uid,
        is_own_directory: &is_own_directory,
        is_own_socket: &is_own_socket,
    })?)
}

/// Looks at a path without following a link.
fn look(path: &Path) -> io::Result<Found> {
    let found = path.symlink_metadata()?;
    Ok(Found {
        is_directory: found.is_dir(),
        is_link: found.is_symlink(),
        uid: found.uid(),
        mode: found.mode(),
    })
}

/// Makes a directory of mode 0700 if there is none, and judges it and what lies above it.
///
/// # Errors
///
/// [`GroundError`] names the path and the mend.
pub fn secure_directory(path: &Path) -> Result<(), GroundError> {
    match look(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .map_err(|error| GroundError::io(path, error))?;
        }
        Err(error) => return Err(GroundError::io(path, error)),
    }
    let found = look(path).map_err(|error| GroundError::io(path, error))?;
    found.judge(uid()).map_err(|reason| GroundError::Unsafe { path: path.to_owned(), reason })?;
    if found.mode & 0o077 != 0 {
        // Others may read: the files in it are 0600, but their names are not for others either.
        let only_ours = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(path, only_ours).map_err(|error| GroundError::io(path, error))?;
    }
    secure_parent(path)
}

/// Judges the directory of a socket that was handed over: it is ours, or root's own, and then nothing is mended there.
///
/// # Errors
///
/// [`GroundError`] names the path and the mend.
pub fn judge_around_socket(path: &Path) -> Result<(), GroundError> {
    let found = look(path).map_err(|error| GroundError::io(path, error))?;
    match found.judge_around_socket(uid()) {
        Ok(true) => secure_parent(path),
        Ok(false) => secure_directory(path),
        Err(reason) => Err(GroundError::Unsafe { path: path.to_owned(), reason }),
    }
}

/// Judges the directory above: whoever can write it can put another in the place of ours.
fn secure_parent(path: &Path) -> Result<(), GroundError> {
    let Some(parent) = path.parent() else { return Ok(()) };
    let found = parent.metadata().map_err(|error| GroundError::io(parent, error))?;
    let is_sticky = found.mode() & 0o1000 != 0;
    // A group with the number of the user is that user's own, by the custom of most distributions.
    let by_group = found.mode() & 0o020 != 0 && found.gid() != uid() && found.gid() != 0;
    let by_others = found.mode() & 0o002 != 0;
    if found.uid() != uid() && found.uid() != 0 {
        return Err(GroundError::ForeignParent { path: parent.to_owned(), uid: found.uid() });
    }
    if !is_sticky && (by_group || by_others) {
        return Err(GroundError::UnsafeParent { path: parent.to_owned() });
    }
    Ok(())
}

/// Makes room for the socket: its directory is safe, and a stale socket is taken away.
///
/// # Errors
///
/// [`GroundError::Listening`] when a living daemon answers there.
pub fn clear_socket(path: &Path) -> Result<(), GroundError> {
    if let Some(directory) = path.parent() {
        secure_directory(directory)?;
    }
    let found = match path.symlink_metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(GroundError::io(path, error)),
    };
    if !found.file_type().is_socket() {
        return Err(GroundError::NotASocket { path: path.to_owned() });
    }
    match connect(path) {
        Ok(()) => Err(GroundError::Listening { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|error| GroundError::io(path, error))
        }
        // A full backlog too is a daemon's.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(GroundError::Listening { path: path.to_owned() })
        }
        Err(error) => Err(GroundError::io(path, error)),
    }
}

/// Opens a file to be read, if there is one at its end: nothing else is read, and nobody is waited for.
///
/// A pipe would be waited for until somebody writes, and a device may never end. Links are followed unless `more` has
/// `NOFOLLOW`.
///
/// # Errors
///
/// What the system says, or what there is in the place of a file.
pub fn open_file(path: &Path, more: OFlags) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | more;
    let file = File::options().read(true).custom_flags(flags.bits() as i32).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        return Ok(file);
    }
    let what = match (kind.is_dir(), kind.is_fifo()) {
        (true, _) => "a directory",
        (_, true) => "a pipe",
        (false, false) => "a device",
    };
    Err(io::Error::other(format!("it is {what}, not a file")))
}

/// Connects without waiting: to a listener whose backlog is full too.
fn connect(path: &Path) -> io::Result<()> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket};
    // Set afterwards: not every system has flags for it, and the daemon starts no other program.
    let socket = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(connect(&socket, &SocketAddrUnix::new(path)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    fn ground() -> tempfile::TempDir {
        tempfile::tempdir().expect("there is room for a directory")
    }

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
    }

    #[test]
    fn a_new_directory_is_ours_alone() {
        let ground = ground();
        let path = ground.path().join("a/b");
        secure_directory(&path).expect("nothing is in the way");
        assert_eq!(path.metadata().expect("it was made").mode() & 0o7777, 0o700);
        set_mode(&path, 0o755);
        secure_directory(&path).expect("others could read only");
        assert_eq!(path.metadata().expect("it is there").mode() & 0o7777, 0o700);
    }

    #[test]
    fn hostile_directories_are_refused() {
        let ground = ground();
        let open = ground.path().join("open");
        std::fs::create_dir(&open).expect("nothing is in the way");
        set_mode(&open, 0o777);
        let error = secure_directory(&open).expect_err("others may write").to_string();
        assert!(error.contains("mode 0777") && error.contains("chmod"), "{error}");
        let error = secure_directory(&open.join("below")).expect_err("others may replace it").to_string();
        assert!(error.contains("open can be written by others"), "{error}");
        let link = ground.path().join("link");
        symlink(ground.path(), &link).expect("nothing is in the way");
        assert!(secure_directory(&link).expect_err("a link").to_string().contains("symbolic link"));
        let file = ground.path().join("file");
        std::fs::write(&file, "").expect("nothing is in the way");
        assert!(secure_directory(&file).expect_err("a file").to_string().contains("not a directory"));
    }

    #[test]
    fn nothing_but_a_file_is_opened() {
        let ground = ground();
        let (file, pipe, link) = (ground.path().join("f"), ground.path().join("p"), ground.path().join("l"));
        std::fs::write(&file, "x").expect("nothing is in the way");
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).expect("nothing is in the way");
        symlink(&file, &link).expect("nothing is in the way");
        let said = |path: &Path| open_file(path, OFlags::empty()).expect_err("no file").to_string();
        assert_eq!(said(&pipe), "it is a pipe, not a file");
        assert_eq!(said(ground.path()), "it is a directory, not a file");
        assert_eq!(said(Path::new("/dev/zero")), "it is a device, not a file");
        for path in [&file, &link] {
            open_file(path, OFlags::empty()).expect("it leads to a file");
        }
        open_file(&link, OFlags::NOFOLLOW).expect_err("it is a link");
    }

    #[test]
    fn only_a_stale_socket_is_taken_away() {
        let ground = ground();
        let path = ground.path().join("run/karod.sock");
        clear_socket(&path).expect("there is nothing yet");
        let listener = UnixListener::bind(&path).expect("the directory was made");
        assert!(matches!(clear_socket(&path), Err(GroundError::Listening { .. })));
        drop(listener);
        clear_socket(&path).expect("nobody listens any more");
        assert!(!path.exists());
        std::fs::write(&path, "").expect("it was taken away");
        assert!(matches!(clear_socket(&path), Err(GroundError::NotASocket { .. })));
    }
}
