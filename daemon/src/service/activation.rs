//! The socket that a service manager listened on before karod ran: taken, and judged like one of our own.
//!
//! systemd hands it over as descriptor 3 and says so in `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES`; launchd
//! gives the one that the property list calls `karod` to whoever asks. It is the manager's: it is never removed or
//! replaced here, and what connects while no karod runs waits in it.

use std::fs::Metadata;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use interprocess::local_socket::tokio::Listener;
use interprocess::os::unix::uds_local_socket::tokio::Listener as UnixListening;

use crate::ground::{self, GroundError};

/// What units call the socket.
pub const NAME: &str = "karod";

/// Why a socket that was handed over cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ActivationError {
    /// How many there are is not said in digits.
    #[error("LISTEN_FDS is {0:?}, which is no number; the service manager sets it to 1")]
    NotCounted(String),
    /// There are several.
    #[error(
        "the service manager hands over {0} sockets and karod takes one; keep one ListenStream= in its socket unit"
    )]
    Several(u32),
    /// It is meant for something else.
    #[error(
        "the service manager hands over a socket called {0:?}; set FileDescriptorName={NAME} in its socket unit"
    )]
    ForeignName(String),
    /// It is not a socket, or not of our kind.
    #[error(
        "what the service manager hands over is no Unix stream socket: {0}; use ListenStream= with a path"
    )]
    ForeignKind(io::Error),
    /// Nobody can connect to it.
    #[error(
        "the socket that the service manager hands over does not listen; use ListenStream= and Accept=no"
    )]
    Deaf,
    /// Clients look for it elsewhere.
    #[error("the service manager listens on {found} and KARO_SOCKET is {wanted}; set both to one path")]
    Elsewhere {
        /// Where it is.
        found: String,
        /// Where clients look.
        wanted: PathBuf,
    },
    /// Its file is gone, or another's.
    #[error("{path} is not the socket that the service manager listens on any more; restart its socket unit")]
    Removed {
        /// Where it was.
        path: PathBuf,
    },
    /// It belongs to somebody else.
    #[error("{path} belongs to user {uid}; set SocketUser= in its socket unit, or remove the line")]
    ForeignOwner {
        /// The socket.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// Others may connect.
    #[error("{path} has mode {mode:04o}, so others may connect; set SocketMode=0600 in its socket unit")]
    Open {
        /// The socket.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Its directory is not safe.
    #[error(transparent)]
    Directory(#[from] GroundError),
    /// The system refuses.
    #[error("could not use the socket that the service manager hands over: {0}")]
    Io(#[from] io::Error),
}

/// What the environment says of descriptors that were handed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Handed {
    pid: Option<String>,
    count: Option<String>,
    names: Option<String>,
}

impl Handed {
    #[cfg(not(target_os = "macos"))]
    fn by_environment() -> Self {
        let variable = |name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        Self { pid: variable("LISTEN_PID"), count: variable("LISTEN_FDS"), names: variable("LISTEN_FDNAMES") }
    }

    /// Tells whether one socket was handed to the process of that number.
    ///
    /// What is meant for another process is not ours to look at: a shell that was started so hands its variables on.
    fn is_for(&self, pid: u32) -> Result<bool, ActivationError> {
        if self.pid.as_ref().and_then(|text| text.parse().ok()) != Some(pid) {
            return Ok(false);
        }
        let Some(count) = &self.count else { return Ok(false) };
        match count.parse::<u32>() {
            Ok(0) => return Ok(false),
            Ok(1) => {}
            Ok(several) => return Err(ActivationError::Several(several)),
            Err(_) => return Err(ActivationError::NotCounted(count.clone())),
        }
        match self.names.as_deref() {
            // Whoever names nothing means nothing by it.
            None | Some("" | NAME) => Ok(true),
            Some(foreign) => Err(ActivationError::ForeignName(foreign.to_owned())),
        }
    }
}

/// Takes the socket that was handed over, if one was; once per process, before it has other threads.
///
/// # Errors
///
/// [`ActivationError`] names what is wrong with the unit.
#[cfg(not(target_os = "macos"))]
pub fn take() -> Result<Option<UnixListener>, ActivationError> {
    if !Handed::by_environment().is_for(std::process::id())? {
        return Ok(None);
    }
    // It looks at the descriptor before it owns it, and sees to it that no child inherits it.
    let taken = listenfd::ListenFd::from_env().take_unix_listener(0);
    taken.map_err(ActivationError::ForeignKind)
}

/// The same from launchd, by the name in the property list.
///
/// # Errors
///
/// [`ActivationError`] names what is wrong with the property list.
#[cfg(target_os = "macos")]
pub fn take() -> Result<Option<UnixListener>, ActivationError> {
    use service_binding::{Binding, Error, Listener};
    let binding: Binding = match format!("fd://{NAME}").parse() {
        Ok(binding) => binding,
        Err(Error::DescriptorOutOfRange(several)) => {
            return Err(ActivationError::Several(several.unsigned_abs()));
        }
        // Not started by launchd, or without a socket of that name.
        Err(_) => return Ok(None),
    };
    match Listener::try_from(binding)? {
        Listener::Unix(listener) => {
            rustix::io::fcntl_setfd(&listener, rustix::io::FdFlags::CLOEXEC).map_err(io::Error::from)?;
            Ok(Some(listener))
        }
        Listener::Tcp(_) | Listener::NamedPipe(_) => {
            Err(ActivationError::ForeignKind(io::Error::from(io::ErrorKind::InvalidInput)))
        }
    }
}

/// Judges a socket that was handed over, and its directory, as one that we would have made at `path`.
///
/// # Errors
///
/// [`ActivationError`] names what is wrong, and the mend.
pub fn judge(listener: &UnixListener, path: &Path) -> Result<(), ActivationError> {
    // Apple declares the option and does not have it; accepting says it there.
    #[cfg(not(target_vendor = "apple"))]
    if !rustix::net::sockopt::socket_acceptconn(listener).map_err(io::Error::from)? {
        return Err(ActivationError::Deaf);
    }
    let address = listener.local_addr()?;
    let is_same = |found: &Path| found == path || is_same_place(found, path);
    if !address.as_pathname().is_some_and(is_same) {
        let found = address.as_pathname().map_or_else(|| "no path".to_owned(), |at| at.display().to_string());
        return Err(ActivationError::Elsewhere { found, wanted: path.to_owned() });
    }
    if let Some(directory) = path.parent() {
        ground::judge_around_socket(directory)?;
    }
    let found = path.symlink_metadata();
    let found: Option<Metadata> = found.ok().filter(|found| found.file_type().is_socket());
    let found = found.ok_or_else(|| ActivationError::Removed { path: path.to_owned() })?;
    if found.uid() != ground::uid() {
        return Err(ActivationError::ForeignOwner { path: path.to_owned(), uid: found.uid() });
    }
    if found.mode() & 0o077 != 0 {
        return Err(ActivationError::Open { path: path.to_owned(), mode: found.mode() & 0o7777 });
    }
    Ok(())
}

/// Tells whether two paths lead to the same file of the same directory, whatever links lead there.
fn is_same_place(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| Some((path.parent()?.canonicalize().ok()?, path.file_name()?.to_owned()));
    place(one).is_some_and(|one| place(other) == Some(one))
}

/// Makes of it what sessions are accepted from; its file stays when that is dropped.
///
/// # Errors
///
/// What the system says.
pub fn listen(listener: UnixListener) -> io::Result<Listener> {
    Ok(UnixListening::try_from(OwnedFd::from(listener))?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn handed(pid: &str, count: &str, names: &str) -> Handed {
        let some = |text: &str| (text != "-").then(|| text.to_owned());
        Handed { pid: some(pid), count: some(count), names: some(names) }
    }

    #[test]
    fn only_one_socket_of_our_name_is_taken() {
        let told = |pid, count, names| handed(pid, count, names).is_for(7).map_err(|error| error.to_string());
        for (names, is_ours) in [("karod", true), ("-", true), ("", true)] {
            assert_eq!(told("7", "1", names), Ok(is_ours), "{names}");
        }
        for (pid, count) in [("8", "1"), ("-", "1"), ("x", "1"), ("7", "-"), ("7", "0"), ("8", "junk")] {
            assert_eq!(told(pid, count, "karod"), Ok(false), "{pid} {count}");
        }
        for (count, names, expected) in [
            ("2", "karod:karod", "hands over 2 sockets"),
            ("4294967295", "-", "hands over 4294967295 sockets"),
            ("-1", "karod", "is \"-1\", which is no number"),
            ("1", "ssh", "FileDescriptorName=karod"),
            ("1", "karod:ssh", "called \"karod:ssh\""),
        ] {
            let refused = told("7", count, names).expect_err("it is refused");
            assert!(refused.contains(expected), "{refused}");
        }
    }

    /// A socket as a unit makes it, and where it is.
    fn socket() -> (tempfile::TempDir, PathBuf, UnixListener) {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let path = directory.path().join("karod.sock");
        let listener = UnixListener::bind(&path).expect("the directory is ours");
        set_mode(&path, 0o600);
        (directory, path, listener)
    }

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
    }

    #[test]
    fn a_socket_of_the_unit_is_judged_like_one_of_ours() {
        let (directory, path, listener) = socket();
        judge(&listener, &path).expect("it is as ours would be");
        let beside = directory.path().join("link");
        std::os::unix::fs::symlink(directory.path(), &beside).expect("nothing is in the way");
        assert!(judge(&listener, &beside.join("karod.sock")).is_err(), "a link is no directory of ours");
        let refused = |path: &Path| judge(&listener, path).expect_err("it is refused").to_string();
        assert!(refused(&directory.path().join("other")).contains("set both to one path"));
        set_mode(&path, 0o660);
        assert!(refused(&path).contains("mode 0660") && refused(&path).contains("SocketMode=0600"));
        set_mode(&path, 0o600);
        set_mode(directory.path(), 0o777);
        assert!(refused(&path).contains("mode 0777"));
        set_mode(directory.path(), 0o700);
        std::fs::remove_file(&path).expect("it is ours");
        assert!(refused(&path).contains("restart its socket unit"));
        std::fs::write(&path, "").expect("it was removed");
        assert!(refused(&path).contains("restart its socket unit"));
    }

    #[test]
    fn what_does_not_listen_is_refused() {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let path = directory.path().join("karod.sock");
        let socket =
            rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM, None)
                .expect("there is room for a socket");
        let address = rustix::net::SocketAddrUnix::new(&path).expect("the path is short");
        rustix::net::bind(&socket, &address).expect("nothing is in the way");
        set_mode(&path, 0o600);
        assert!(matches!(judge(&socket.into(), &path), Err(ActivationError::Deaf)));
    }

    #[test]
    fn the_file_stays_when_we_go() {
        let (_directory, path, listener) = socket();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        runtime.block_on(async { drop(listen(listener).expect("it can be listened on")) });
        assert!(path.exists());
    }
}
