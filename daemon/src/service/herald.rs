//! Says to the service manager what [`Words`] has decided: datagrams to the socket that `NOTIFY_SOCKET` names.
//!
//! Written here and not taken from a crate, for three reasons: those that are kept take a name that begins with `@`
//! for a file, wait without limit for a manager that does not read, and change the environment of a process that has
//! threads.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::words::{Standing, Words};
use crate::exit::Ending;

/// How long a manager that does not read is waited for: what it is told it is told from the main arbiter too.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long a start may take before the manager is asked to wait longer, and how often it is asked again.
const OPENING_FIRST: Duration = Duration::from_secs(2);
const OPENING_AGAIN: Duration = Duration::from_secs(20);

/// How often it is asked at the most: what takes an hour is no start any more.
const OPENING_TIMES: usize = 180;

/// Says how the daemon is, where there is somebody to say it to; its clones say it together.
#[derive(Debug, Clone, Default)]
pub struct Herald(Option<Arc<Audience>>);

#[derive(Debug)]
struct Audience {
    socket: UnixDatagram,
    to: SocketAddr,
    words: Mutex<Words>,
}

impl Herald {
    /// Finds the manager by `NOTIFY_SOCKET`; without one, or with one that cannot be used, nothing is said.
    pub fn from_environment() -> Self {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return Self::default() };
        match Self::to(&name) {
            Ok(herald) => herald,
            Err(error) => {
                // There is no log yet.
                eprintln!("karod: NOTIFY_SOCKET cannot be used, nothing is told: {error}");
                Self::default()
            }
        }
    }

    /// Finds the manager by the name of its socket: a path, or a name without a file after `@`.
    ///
    /// # Errors
    ///
    /// What the system says of the name.
    pub fn to(name: &OsStr) -> io::Result<Self> {
        Ok(Self(Some(Arc::new(Audience::at(name)?))))
    }

    /// Tells whether anybody listens.
    pub const fn is_heard(&self) -> bool {
        self.0.is_some()
    }

    /// Does what may take long before the daemon is ready, and asks the manager to wait as long as it takes.
    pub fn while_opening<T>(&self, what: &str, work: impl FnOnce() -> T) -> T {
        if !self.is_heard() {
            return work();
        }
        let (working, over) = channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut wait = OPENING_FIRST;
                for _ in 0..OPENING_TIMES {
                    match over.recv_timeout(wait) {
                        Err(RecvTimeoutError::Timeout) => self.say(|words| words.opening(what)),
                        Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
                    }
                    wait = OPENING_AGAIN;
                }
            });
            let done = work();
            drop(working);
            done
        })
    }

    /// The daemon accepts durably.
    pub fn ready(&self) {
        self.say(Words::ready);
    }

    /// The configuration is read again.
    pub fn reloading(&self) {
        self.say(|words| words.reloading(monotonic()));
    }

    /// The configuration was read; `refused` says why it is not in force.
    pub fn reloaded(&self, refused: Option<String>) {
        self.say(|words| words.reloaded(refused));
    }

    /// The daemon stops.
    pub fn stopping(&self, ending: &Ending) {
        let why = (!matches!(ending, Ending::Stopped)).then(|| ending.to_string());
        self.say(|words| words.stopping(why.as_deref()));
    }

    /// The daemon has failed.
    pub fn failed(&self, ending: &Ending) {
        self.say(|words| Some(words.failed(&ending.to_string(), ending.errno())));
    }

    /// Something of the standing is another.
    pub fn change(&self, change: impl FnOnce(&mut Standing)) {
        self.say(|words| words.change(change));
    }

    /// Everybody has answered.
    pub fn alive(&self) {
        self.say(Words::alive);
    }

    fn say(&self, decide: impl FnOnce(&mut Words) -> Option<String>) {
        let Some(audience) = &self.0 else { return };
        // Held while it is sent: what was decided later is heard later.
        let mut words = audience.words();
        if let Some(datagram) = decide(&mut words)
            && let Err(error) = audience.socket.send_to_addr(datagram.as_bytes(), &audience.to)
        {
            tracing::debug!(%error, "the service manager does not hear");
        }
    }
}

impl Audience {
    fn at(name: &OsStr) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, to: address(name)?, words: Mutex::default() })
    }

    fn words(&self) -> MutexGuard<'_, Words> {
        // Words are whole between two statements, so those of a thread that panicked can be used.
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the address that a name means: a path, or with `@` before it a name without a file.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', rest @ ..] => {
            use std::os::linux::net::SocketAddrExt;
            SocketAddr::from_abstract_name(rest)
        }
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a path nor a name after @")),
    }
}

/// Returns the machine's monotonic clock, as the manager reads it.
fn monotonic() -> Duration {
    Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::Monotonic)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(manager: &UnixDatagram) -> String {
        let mut datagram = [0; 1024];
        let length = manager.recv(&mut datagram).expect("something was said");
        String::from_utf8(datagram[..length].to_vec()).expect("words are UTF-8")
    }

    fn herald(name: &OsStr) -> Herald {
        Herald::to(name).expect("the name can be used")
    }

    #[test]
    fn a_path_and_a_name_without_a_file_are_heard() {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("the directory is ours");
        herald(path.as_os_str()).ready();
        assert_eq!(heard(&manager), "READY=1\nSTATUS=accepting\n");
        let name = format!("@karo-test-{}", std::process::id());
        let address = address(OsStr::new(&name)).expect("the name can be used");
        let manager = UnixDatagram::bind_addr(&address).expect("nobody else has the name");
        herald(OsStr::new(&name)).ready();
        assert_eq!(heard(&manager), "READY=1\nSTATUS=accepting\n");
        assert!(Audience::at(OsStr::new("vsock:2:1234")).is_err(), "no machine's console");
    }

    #[test]
    fn nobody_need_listen() {
        let herald = herald(OsStr::new("/nonexistent/notify"));
        herald.ready();
        assert_eq!(herald.while_opening("opening", || 7), 7);
        Herald::default().stopping(&Ending::Stopped);
    }

    #[test]
    fn a_manager_that_does_not_read_keeps_nobody() {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let path = directory.path().join("notify");
        let _manager = UnixDatagram::bind(&path).expect("the directory is ours");
        let herald = herald(path.as_os_str());
        herald.ready();
        // More than any queue of datagrams has room for on a machine of defaults.
        let queue = std::fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen").unwrap_or_default();
        let beyond = queue.trim().parse::<u64>().unwrap_or(10).min(600) + 3;
        for events in 0..beyond {
            herald.change(|standing| standing.events = Some(events));
        }
    }
}
