//! A program on a terminal of its own: what a person types goes in, what they would see comes out.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use karo_tests::number_from;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, open};
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// How long anything may take before a test gives up; fewer seconds are for a person who looks for a fault.
pub fn patience() -> Duration {
    Duration::from_secs(number_from("KARO_TEST_PATIENCE", 60))
}

/// A program, its terminal, and everything it has shown so far.
#[derive(Debug)]
pub struct Pty {
    terminal: File,
    child: Child,
    shown: Vec<u8>,
}

impl Pty {
    /// Starts the program as the leader of a session on a new terminal, wide enough that no line wraps.
    pub fn start(command: &Command) -> Self {
        let (terminal, side) = terminal();
        let side = File::from(side);
        let copy = || side.try_clone().expect("a descriptor can be copied");
        // setsid(1) makes the terminal the controlling one, which safe Rust cannot.
        let mut start = Command::new("setsid");
        start.arg("--ctty").arg(command.get_program()).args(command.get_args());
        start.env_clear();
        start.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(directory) = command.get_current_dir() {
            start.current_dir(directory);
        }
        let child =
            start.stdin(copy()).stdout(copy()).stderr(copy()).spawn().expect("setsid(1) is installed");
        Self { terminal, child, shown: Vec::new() }
    }

    /// Returns the id of the program's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns everything shown so far.
    pub fn shown(&self) -> &[u8] {
        &self.shown
    }

    /// Types these bytes; what is shown meanwhile is taken in, so that neither side waits for the other.
    pub fn write(&mut self, mut keys: &[u8]) {
        let deadline = Instant::now() + patience();
        while !keys.is_empty() {
            assert!(Instant::now() < deadline, "the terminal takes no keys:\n{}", self.screen());
            match self.terminal.write(keys) {
                Ok(count) => keys = &keys[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.wait(PollFlags::IN | PollFlags::OUT, Duration::from_millis(100));
                }
                Err(error) => panic!("the terminal is gone: {error}\n{}", self.screen()),
            }
            self.read();
        }
    }

    /// Reads until the condition on everything shown yields a value.
    pub fn read_until<T>(&mut self, what: &str, condition: impl FnMut(&[u8]) -> Option<T>) -> T {
        self.read_within(patience(), condition)
            .unwrap_or_else(|| panic!("waited in vain for {what}:\n{}", self.screen()))
    }

    /// Reads until the condition on everything shown yields a value, the time is over, or the program has ended.
    pub fn read_within<T>(
        &mut self,
        patience: Duration,
        mut condition: impl FnMut(&[u8]) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + patience;
        loop {
            let is_open = self.read();
            let value = condition(&self.shown);
            if value.is_some() || !is_open || Instant::now() >= deadline {
                return value;
            }
            self.wait(PollFlags::IN, Duration::from_millis(200));
        }
    }

    /// Reads until the program has ended, and returns how.
    pub fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + patience();
        loop {
            self.read();
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                self.read();
                return status;
            }
            assert!(Instant::now() < deadline, "the shell does not end:\n{}", self.screen());
            self.wait(PollFlags::IN, Duration::from_millis(10));
        }
    }

    /// Kills the program, as nothing can catch.
    pub fn kill(&mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }

    /// Returns what was shown, for a person who looks for what went wrong.
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.shown).escape_debug().to_string().replace("\\n", "\n")
    }

    fn wait(&self, flags: PollFlags, patience: Duration) {
        let timeout = Timespec::try_from(patience).expect("it is short");
        let mut descriptors = [PollFd::new(&self.terminal, flags)];
        // An interrupted wait is only a short one.
        _ = poll(&mut descriptors, Some(&timeout));
    }

    /// Takes in what is there; tells whether the other side is still open.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.terminal.read(&mut buffer) {
                Ok(0) => return false,
                Ok(count) => self.shown.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // EIO: nobody holds the other side any more.
                Err(_) => return false,
            }
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let pid = Pid::from_child(&self.child);
        if matches!(self.child.try_wait(), Ok(None)) {
            _ = kill_process_group(pid, Signal::KILL);
            _ = self.child.kill();
            _ = self.child.wait();
        }
    }
}

fn terminal() -> (File, OwnedFd) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
        .expect("there is a terminal left");
    grantpt(&terminal).and_then(|()| unlockpt(&terminal)).expect("the terminal is ours");
    let name = ptsname(&terminal, Vec::new()).expect("it has a name");
    let side = open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).expect("it opens");
    let size = Winsize { ws_row: 50, ws_col: 500, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).expect("it has a size");
    let flags = fcntl_getfl(&terminal).expect("it is open");
    fcntl_setfl(&terminal, flags | OFlags::NONBLOCK).expect("it is open");
    (File::from(terminal), side)
}
