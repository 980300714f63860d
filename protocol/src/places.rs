//! Where everything lies: one table for the daemon, the clients and the hooks.
//!
//! | what | where | override |
//! | --- | --- | --- |
//! | configuration | `$XDG_CONFIG_HOME/karo/config.toml` | `KARO_CONFIG` |
//! | data | `$XDG_DATA_HOME/karo` | `KARO_DATA_DIR` |
//! | spool of hooks | `/run/user/UID/karo/spool`, else the next | `KARO_SPOOL_DIR` |
//! | spool of clients | `$XDG_STATE_HOME/karo/spool` | `KARO_SPOOL_DIR` |
//! | socket | `/run/user/UID/karo/karod.sock`, else `$XDG_STATE_HOME/karo/run/karod.sock` | `KARO_SOCKET` |
//! | socket where root's service manager runs this user's daemon | `/run/karo/USER/karod.sock` | `KARO_SOCKET` |
//!
//! Pure: the environment and what exists come as arguments. An environment variable counts only
//! when it holds an absolute path, as the XDG specification demands.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::limits::SOCKET_PATH_BYTES_MAX;

/// Where one user's Karo lies on one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The configuration file.
    pub config: PathBuf,
    /// Log, views, keys.
    pub data: PathBuf,
    /// Where hooks put records with builtins: in memory, if the machine has such a place.
    pub hook_spool: PathBuf,
    /// Where a client puts a record when it found no daemon.
    pub client_spool: PathBuf,
    /// Where the daemon listens.
    pub socket: PathBuf,
    /// Where else a client looks for it, in this order.
    pub other_sockets: Vec<PathBuf>,
}

/// Why no place can be named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlaceError {
    /// There is no home directory.
    NoHome,
    /// A path is not absolute.
    Relative {
        /// The variable that holds it.
        variable: &'static str,
        /// The path.
        path: PathBuf,
    },
    /// The socket's path does not fit a socket address.
    SocketTooLong {
        /// The path.
        path: PathBuf,
    },
}

impl fmt::Display for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHome => f.write_str("HOME is not set to an absolute path; set it, or KARO_DATA_DIR, KARO_CONFIG, KARO_SPOOL_DIR and KARO_SOCKET"),
            Self::Relative { variable, path } => {
                write!(f, "{variable} is {}, which is not an absolute path", path.display())
            }
            Self::SocketTooLong { path } => write!(
                f,
                "socket path {} is {} bytes long, at most {SOCKET_PATH_BYTES_MAX} fit; set KARO_SOCKET to a shorter one",
                path.display(),
                path.as_os_str().len()
            ),
        }
    }
}

impl std::error::Error for PlaceError {}

/// What the table is read with.
pub struct Surroundings<'a> {
    /// The environment.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// The effective user.
    pub uid: u32,
    /// Tells whether a directory exists and belongs to that user.
    pub is_own_directory: &'a dyn Fn(&Path) -> bool,
    /// Tells whether there is a socket that belongs to that user.
    pub is_own_socket: &'a dyn Fn(&Path) -> bool,
}

impl Surroundings<'_> {
    fn set_to(&self, name: &'static str) -> Result<Option<PathBuf>, PlaceError> {
        match (self.variable)(name).filter(|value| !value.is_empty()).map(PathBuf::from) {
            Some(path) if path.is_absolute() => Ok(Some(path)),
            Some(path) => Err(PlaceError::Relative { variable: name, path }),
            None => Ok(None),
        }
    }

    /// The base directory of that kind, with `karo` below it; the specification says that a relative one is ignored.
    fn base(&self, name: &str, below_home: &str) -> Result<PathBuf, PlaceError> {
        let absolute =
            |name: &str| (self.variable)(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = match absolute(name) {
            Some(base) => base,
            None => absolute("HOME").ok_or(PlaceError::NoHome)?.join(below_home),
        };
        Ok(base.join("karo"))
    }

    fn runtime(&self) -> Option<PathBuf> {
        let runtime = PathBuf::from(format!("/run/user/{}", self.uid));
        (self.is_own_directory)(&runtime).then(|| runtime.join("karo"))
    }

    /// Where root's service manager listens for this user, if it does. A name that is not the user's leads to a
    /// socket of somebody else, or to none.
    fn served(&self) -> Option<PathBuf> {
        let name = (self.variable)("USER")?.into_string().ok()?;
        if name.is_empty() || name.starts_with('.') || name.contains('/') {
            return None;
        }
        let socket = PathBuf::from(format!("/run/karo/{name}/karod.sock"));
        (self.is_own_socket)(&socket).then_some(socket)
    }
}

impl Places {
    /// Reads the table.
    ///
    /// # Errors
    ///
    /// [`PlaceError`] names the variable or path at fault and the mend.
    pub fn resolve(surroundings: &Surroundings<'_>) -> Result<Self, PlaceError> {
        let or_base = |variable, base, below_home, name: &str| match surroundings.set_to(variable)? {
            Some(path) => Ok(path),
            None => surroundings.base(base, below_home).map(|base| base.join(name)),
        };
        let state =
            |name: &str| surroundings.base("XDG_STATE_HOME", ".local/state").map(|base| base.join(name));
        let served = surroundings.served();
        let runtime = surroundings.runtime();
        let client_spool = or_base("KARO_SPOOL_DIR", "XDG_STATE_HOME", ".local/state", "spool")?;
        let hook_spool = match (surroundings.set_to("KARO_SPOOL_DIR")?, &runtime, &served) {
            (Some(path), ..) => path,
            (None, Some(runtime), None) => runtime.join("spool"),
            // A daemon that outlives the sessions does not see what goes with them.
            (None, Some(_), Some(_)) | (None, None, _) => client_spool.clone(),
        };
        let in_runtime = runtime.map(|runtime| runtime.join("karod.sock"));
        let (socket, other_sockets) = match (surroundings.set_to("KARO_SOCKET")?, served.or(in_runtime)) {
            (Some(path), _) => (path, Vec::new()),
            (None, Some(first)) => (first, state("run/karod.sock").into_iter().collect()),
            (None, None) => (state("run/karod.sock")?, Vec::new()),
        };
        if socket.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
            return Err(PlaceError::SocketTooLong { path: socket });
        }
        let data = match surroundings.set_to("KARO_DATA_DIR")? {
            Some(path) => path,
            None => surroundings.base("XDG_DATA_HOME", ".local/share")?,
        };
        Ok(Self {
            config: or_base("KARO_CONFIG", "XDG_CONFIG_HOME", ".config", "config.toml")?,
            data,
            hook_spool,
            client_spool,
            socket,
            other_sockets,
        })
    }

    /// Returns both spools, each once.
    pub fn spools(&self) -> Vec<&Path> {
        let mut spools = vec![self.hook_spool.as_path(), self.client_spool.as_path()];
        spools.dedup();
        spools
    }
}

/// What was found at a path, as far as trust in it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Whether it is a directory (not a link to one).
    pub is_directory: bool,
    /// Whether it is a symbolic link.
    pub is_link: bool,
    /// Its owner.
    pub uid: u32,
    /// Its permission bits.
    pub mode: u32,
}

/// Why a directory is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsafe {
    /// It is a symbolic link.
    Link,
    /// It is not a directory.
    NotADirectory,
    /// It belongs to somebody else.
    Owner {
        /// Whose it is.
        uid: u32,
        /// Whose it should be.
        expected: u32,
    },
    /// Others may write in it.
    Writable {
        /// Its permission bits.
        mode: u32,
    },
}

impl fmt::Display for Unsafe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link => f.write_str("is a symbolic link; replace it by a directory of your own"),
            Self::NotADirectory => f.write_str("is not a directory; move it away"),
            Self::Owner { uid, expected } => {
                write!(f, "belongs to user {uid}, not to user {expected}; remove it or give it back")
            }
            Self::Writable { mode } => {
                write!(f, "has mode {:04o}, so others may write in it; run chmod 0700 on it", mode & 0o7777)
            }
        }
    }
}

impl std::error::Error for Unsafe {}

impl Found {
    /// Judges a directory that Karo would keep something in.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and the mend.
    pub const fn judge(self, uid: u32) -> Result<(), Unsafe> {
        if self.is_link {
            return Err(Unsafe::Link);
        }
        if !self.is_directory {
            return Err(Unsafe::NotADirectory);
        }
        if self.uid != uid {
            return Err(Unsafe::Owner { uid: self.uid, expected: uid });
        }
        if self.mode & 0o022 != 0 {
            return Err(Unsafe::Writable { mode: self.mode });
        }
        Ok(())
    }

    /// Judges a directory in which a socket lies that Karo connects to or is handed: root's is as safe, if others
    /// cannot write in it, and tells whether it is root's.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and the mend.
    pub const fn judge_around_socket(self, uid: u32) -> Result<bool, Unsafe> {
        let is_roots = self.uid == 0 && uid != 0;
        match self.judge(if is_roots { 0 } else { uid }) {
            Ok(()) => Ok(is_roots),
            Err(reason) => Err(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(variables: &[(&str, &str)], has_runtime: bool) -> Result<Places, PlaceError> {
        let variable =
            |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value));
        Places::resolve(&Surroundings {
            variable: &variable,
            uid: 7,
            is_own_directory: &|_| has_runtime,
            is_own_socket: &|path| path == Path::new("/run/karo/ann/karod.sock"),
        })
    }

    #[test]
    fn the_table_holds() {
        let with = places(&[("HOME", "/h")], true).expect("a home is enough");
        assert_eq!(with.socket, Path::new("/run/user/7/karo/karod.sock"));
        assert_eq!(with.other_sockets, [Path::new("/h/.local/state/karo/run/karod.sock")]);
        assert_eq!(with.hook_spool, Path::new("/run/user/7/karo/spool"));
        assert_eq!(with.client_spool, Path::new("/h/.local/state/karo/spool"));
        let without = places(&[("HOME", "/h"), ("XDG_STATE_HOME", "/s"), ("XDG_DATA_HOME", "rel")], false)
            .expect("home");
        assert_eq!(without.socket, Path::new("/s/karo/run/karod.sock"));
        assert_eq!(without.spools(), [Path::new("/s/karo/spool")]);
        assert_eq!(without.data, Path::new("/h/.local/share/karo"));
        assert_eq!(without.config, Path::new("/h/.config/karo/config.toml"));
    }

    #[test]
    fn roots_manager_comes_before_the_session() {
        for has_runtime in [true, false] {
            let served = places(&[("HOME", "/h"), ("USER", "ann")], has_runtime).expect("a home is enough");
            assert_eq!(served.socket, Path::new("/run/karo/ann/karod.sock"));
            assert_eq!(served.other_sockets, [Path::new("/h/.local/state/karo/run/karod.sock")]);
            assert_eq!(served.spools(), [Path::new("/h/.local/state/karo/spool")]);
        }
        for user in ["bob", "", "..", "../ann", "x/../ann"] {
            let places = places(&[("HOME", "/h"), ("USER", user)], true).expect("a home is enough");
            assert_eq!(places.socket, Path::new("/run/user/7/karo/karod.sock"), "{user}");
        }
    }

    #[test]
    fn overrides_win_and_need_no_home() {
        let all =
            [("KARO_CONFIG", "/c"), ("KARO_DATA_DIR", "/d"), ("KARO_SPOOL_DIR", "/p"), ("KARO_SOCKET", "/k")];
        let places = places(&all, true).expect("nothing else is needed");
        assert_eq!(places.spools(), [Path::new("/p")]);
        assert_eq!(places.socket, Path::new("/k"));
        assert!(places.other_sockets.is_empty());
    }

    #[test]
    fn bad_places_are_named() {
        assert_eq!(places(&[], false), Err(PlaceError::NoHome));
        let relative = places(&[("HOME", "/h"), ("KARO_SOCKET", "k")], false);
        assert_eq!(relative, Err(PlaceError::Relative { variable: "KARO_SOCKET", path: "k".into() }));
        let long = format!("/{}", "x".repeat(107));
        assert!(matches!(
            places(&[("HOME", "/h"), ("KARO_SOCKET", &long)], false),
            Err(PlaceError::SocketTooLong { .. })
        ));
    }

    #[test]
    fn a_directory_of_others_is_unsafe() {
        let own = Found { is_directory: true, is_link: false, uid: 7, mode: 0o40700 };
        assert_eq!(own.judge(7), Ok(()));
        assert_eq!(own.judge(0), Err(Unsafe::Owner { uid: 7, expected: 0 }));
        assert_eq!(Found { mode: 0o40770, ..own }.judge(7), Err(Unsafe::Writable { mode: 0o40770 }));
        assert_eq!(Found { is_link: true, ..own }.judge(7), Err(Unsafe::Link));
        assert_eq!(Found { is_directory: false, ..own }.judge(7), Err(Unsafe::NotADirectory));
        assert_eq!(own.judge_around_socket(7), Ok(false));
        assert_eq!(Found { uid: 0, ..own }.judge_around_socket(7), Ok(true));
        assert_eq!(Found { uid: 0, ..own }.judge_around_socket(0), Ok(false));
        let open = Found { uid: 0, mode: 0o40777, ..own };
        assert_eq!(open.judge_around_socket(7), Err(Unsafe::Writable { mode: 0o40777 }));
        for uid in [8, 0] {
            assert_eq!(own.judge_around_socket(uid), Err(Unsafe::Owner { uid: 7, expected: uid }));
        }
    }
}
