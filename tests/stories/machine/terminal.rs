//! Programs on a terminal in a machine: typed into, and read as they go.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex};

use karo_tests::machine::Machine;
use karo_tests::{PATIENCE, until, within};

/// A program that runs for a user; killed with the value.
pub(super) struct Terminal {
    runner: Child,
    keys: Option<ChildStdin>,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Opens a terminal with that program in it.
    pub(super) fn open(machine: &Machine, user: &str, program: &str) -> Self {
        Self::run(machine, user, &format!("exec script --quiet --return --command '{program}' /dev/null"))
    }

    /// Runs a script without a terminal, and reads what it prints.
    pub(super) fn run(machine: &Machine, user: &str, script: &str) -> Self {
        let mut command = machine.command_as(user, script);
        let mut runner = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh can be run");
        let mut stdout = runner.stdout.take().expect("it was piped");
        let shown = Arc::new(Mutex::new(Vec::new()));
        let reads = Arc::clone(&shown);
        // It ends with what it reads.
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut bytes) {
                reads.lock().expect("nobody dies with it").extend_from_slice(&bytes[..count]);
            }
        });
        Self { keys: runner.stdin.take(), runner, shown }
    }

    /// Returns all that was shown so far.
    pub(super) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().expect("nobody dies with it")).into_owned()
    }

    /// Types a line, and waits until that is shown which the line itself does not hold.
    pub(super) fn type_line(&mut self, line: &str, shows: &str) {
        assert!(!line.contains(shows), "a terminal shows what is typed");
        let keys = self.keys.as_mut().expect("it takes keys until it is left");
        keys.write_all(format!("{line}\n").as_bytes()).expect("the terminal reads");
        self.until_shown(shows);
    }

    /// Waits until that is shown.
    pub(super) fn until_shown(&self, text: &str) {
        let what = format!("{text:?} is shown");
        if within(PATIENCE, || self.shown().contains(text).then_some(())).is_none() {
            panic!("{what}: {}", self.shown());
        }
    }

    /// Leaves the shell, and waits for its end.
    pub(super) fn leave(mut self) {
        let mut keys = self.keys.take().expect("it is left once");
        keys.write_all(b"exit\n").expect("the terminal reads");
        until("the shell ends", || self.runner.try_wait().expect("it is our child"));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.keys.take());
        // It may have ended before.
        drop(self.runner.kill());
        drop(self.runner.wait());
    }
}
