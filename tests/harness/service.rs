//! A service manager of a story's own: it listens before the daemon runs, hears what the daemon says, and starts it
//! when somebody comes.

use std::fs::{self, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::karo::Karo;
use crate::wait::PATIENCE;

/// Puts the socket where systemd puts it, and the daemon in its own place, so that `LISTEN_PID` is right.
const HAND_OVER: &str = "exec 3<&0 </dev/null; export LISTEN_PID=$$; exec \"$@\"";

/// What a service manager holds for one daemon.
#[derive(Debug)]
pub struct ServiceManager {
    listener: UnixListener,
    notified: UnixDatagram,
}

impl ServiceManager {
    /// Listens on the socket of these places, as `karod.socket` does, and for what a daemon says.
    ///
    /// # Panics
    ///
    /// When the places are not there.
    pub fn new(karo: &Karo) -> Self {
        let listener = UnixListener::bind(karo.socket()).expect("the directory of the socket is there");
        fs::set_permissions(karo.socket(), Permissions::from_mode(0o600)).expect("the socket is ours");
        let notified = UnixDatagram::bind(karo.root().join("notify")).expect("the places are there");
        notified.set_read_timeout(Some(PATIENCE)).expect("a time can be set");
        Self { listener, notified }
    }

    /// Prepares the daemon as a unit of `Type=notify` starts it, without a socket.
    pub fn notified(&self, karo: &Karo) -> Command {
        let mut command = karo.daemon_command();
        command.env("NOTIFY_SOCKET", karo.root().join("notify"));
        command
    }

    /// Prepares the daemon as `karod.socket` starts it.
    ///
    /// # Panics
    ///
    /// When there are no descriptors left.
    pub fn activated(&self, karo: &Karo) -> Command {
        let mut command = karo.daemon_command_through(&["bash", "-c", HAND_OVER, "bash"]);
        let handed = self.listener.try_clone().expect("there are descriptors left");
        command
            .env("NOTIFY_SOCKET", karo.root().join("notify"))
            .env("LISTEN_FDS", "1")
            .env("LISTEN_FDNAMES", "karod")
            .stdin(Stdio::from(OwnedFd::from(handed)));
        command
    }

    /// Waits until somebody has connected whom nobody has taken yet.
    ///
    /// # Panics
    ///
    /// When nobody comes.
    pub fn wait_for_client(&self) {
        let mut listening = [PollFd::new(&self.listener, PollFlags::IN)];
        let patience = Timespec::try_from(PATIENCE).expect("a minute fits");
        let found = poll(&mut listening, Some(&patience)).expect("the socket can be waited for");
        assert_eq!(found, 1, "nobody has connected");
    }

    /// Waits for up to that long from here on for what a daemon says.
    ///
    /// # Panics
    ///
    /// When the time is nothing.
    pub fn be_patient(&self, patience: Duration) {
        self.notified.set_read_timeout(Some(patience)).expect("a time can be set");
    }

    /// Waits for the next thing that the daemon says, line by line.
    ///
    /// # Panics
    ///
    /// When it says nothing.
    pub fn hear(&self) -> Vec<String> {
        let mut datagram = [0; 4096];
        let length = self.notified.recv(&mut datagram).expect("the daemon says something");
        let text = std::str::from_utf8(&datagram[..length]).expect("what it says is UTF-8");
        text.lines().map(str::to_owned).collect()
    }

    /// Waits until the daemon says this line, and returns all lines that came with it.
    pub fn hear_of(&self, line: &str) -> Vec<String> {
        self.hear_until(|heard| heard == line)
    }

    /// Waits until the daemon says a line that is meant, and returns all lines that came with it.
    ///
    /// # Panics
    ///
    /// When it says nothing, or for as long as that something else.
    pub fn hear_until(&self, is_meant: impl Fn(&str) -> bool) -> Vec<String> {
        let patience = self.notified.read_timeout().ok().flatten().unwrap_or(PATIENCE);
        let deadline = Instant::now() + patience;
        loop {
            let lines = self.hear();
            if lines.iter().any(|line| is_meant(line)) {
                return lines;
            }
            assert!(Instant::now() < deadline, "it goes on saying {lines:?} and never what is meant");
        }
    }

    /// Takes what was said already, if anything was.
    pub fn overhear(&self) -> Vec<String> {
        let mut datagram = [0; 4096];
        self.notified.set_nonblocking(true).expect("it can be asked without waiting");
        let mut heard = Vec::new();
        while let Ok(length) = self.notified.recv(&mut datagram) {
            heard.extend(String::from_utf8_lossy(&datagram[..length]).lines().map(str::to_owned));
        }
        self.notified.set_nonblocking(false).expect("it can be waited for");
        heard
    }
}
