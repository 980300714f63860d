//! A journal of its own: a real journald in a mount namespace, that can be stopped, killed and started again.
//!
//! Its `/run` is empty but for the journal, so nothing of this machine's journal is seen or written. Programs come into
//! it through `nsenter`. Only root can make one.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value};

use crate::binaries::{binaries, checkout};
use crate::karo::Karo;
use crate::wait::until;

/// Where the program lies, by distribution.
const PROGRAMS: [&str; 2] = ["/lib/systemd/systemd-journald", "/usr/lib/systemd/systemd-journald"];

/// Makes the places, says so, and stays until the test's end of the pipe is gone.
///
/// The kernel's own messages are kept out: they are not ours.
const HOLD: &str = "
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/systemd/journald.conf.d /run/log
printf '[Journal]\\nStorage=volatile\\nReadKMsg=no\\nAudit=no\\nForwardToSyslog=no\\n' >/run/systemd/journald.conf.d/story.conf
echo ready
exec cat >/dev/null
";

/// A journal that only this story knows.
#[derive(Debug)]
pub struct Journald {
    holder: Child,
    /// Its end is the namespace's.
    held: Option<ChildStdin>,
    journald: Option<Child>,
    program: &'static str,
}

impl Journald {
    /// Starts one; `None`, with a word on stderr, where this machine does not let us.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub fn start() -> Option<Self> {
        let Some(program) = PROGRAMS.into_iter().find(|program| Path::new(program).exists()) else {
            eprintln!("skipped: there is no systemd-journald");
            return None;
        };
        let mut holder = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", HOLD])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .inspect_err(|error| eprintln!("skipped: unshare: {error}"))
            .ok()?;
        let held = holder.stdin.take();
        let mut said = String::new();
        let stdout = holder.stdout.take().expect("it is a pipe");
        BufReader::new(stdout).read_line(&mut said).expect("the pipe can be read");
        if said != "ready\n" {
            eprintln!("skipped: no mount namespace can be made here");
            return None;
        }
        let mut journald = Self { holder, held, journald: None, program };
        journald.launch();
        Some(journald)
    }

    /// Starts journald where none runs; whoever sends to its socket finds it from then on.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub fn launch(&mut self) {
        // What a killed one left is nobody's socket.
        self.run("rm", &["-f", "/run/systemd/journal/socket"]);
        let mut command = self.command(self.program);
        self.journald = Some(command.stderr(Stdio::null()).spawn().expect("journald can be started"));
        until("journald listens", || self.run("journalctl", &["--sync"]).status.success().then_some(()));
    }

    /// Kills journald, as a crash does.
    ///
    /// # Panics
    ///
    /// When none runs.
    pub fn kill(&mut self) {
        let mut journald = self.journald.take().expect("it runs");
        journald.kill().expect("it is ours");
        journald.wait().expect("it is ours");
    }

    /// Stops it as a machine in trouble does: it is there, and takes nothing.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let journald = self.journald.as_ref().expect("it runs");
        let pid = i32::try_from(journald.id()).ok().and_then(Pid::from_raw).expect("a process has an id");
        kill_process(pid, signal).expect("it is ours");
    }

    /// Prepares a daemon that finds this journal and no other.
    pub fn daemon_command(&self, karo: &Karo) -> Command {
        let holder = self.holder.id().to_string();
        karo.daemon_command_through(&["nsenter", "--mount", "--target", &holder])
    }

    /// Runs `karoctl` where this journal is.
    ///
    /// # Panics
    ///
    /// When it cannot be run.
    pub fn ctl(&self, karo: &Karo, arguments: &[&str]) -> Output {
        let holder = self.holder.id().to_string();
        let mut command = karo.command(Path::new("nsenter"));
        command.args(["--mount", "--target", &holder]).arg(&binaries().karoctl).args(arguments);
        command.output().expect("karoctl can be run")
    }

    /// Runs a program where this journal is.
    ///
    /// # Panics
    ///
    /// When it cannot be run.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Output {
        self.command(program).args(arguments).output().expect("a program of this machine can be run")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &self.holder.id().to_string(), program]).stdin(Stdio::null());
        command
    }

    /// Returns what karod has said, in its order: all fields of each entry.
    ///
    /// # Panics
    ///
    /// When the journal cannot be read.
    pub fn entries(&self) -> Vec<Map<String, Value>> {
        let read = ["--no-pager", "--quiet", "--all", "--output=json", "SYSLOG_IDENTIFIER=karod"];
        let output = self.run("journalctl", &read);
        let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).expect("journalctl writes JSON")).collect()
    }

    /// Returns the entries of that class.
    pub fn of(&self, event: &str) -> Vec<Map<String, Value>> {
        let is_it = |entry: &Map<String, Value>| entry.get("KARO_EVENT").is_some_and(|name| name == event);
        self.entries().into_iter().filter(is_it).collect()
    }

    /// Waits until there are so many entries of that class, and returns them.
    pub fn wait_for(&self, event: &str, count: usize) -> Vec<Map<String, Value>> {
        until(&format!("{count} entries of {event}"), || {
            Some(self.of(event)).filter(|entries| entries.len() >= count)
        })
    }

    /// Makes the catalogue of a package known to `journalctl -x` here.
    ///
    /// # Panics
    ///
    /// When it is not one.
    pub fn install_catalogue(&self) {
        let catalogue = checkout().join("service-units/karod.catalog");
        let script = format!(
            "set -e; mkdir -p /run/root/usr/lib/systemd/catalog /run/root/var/lib/systemd/catalog
             cp '{}' /run/root/usr/lib/systemd/catalog/
             journalctl --root=/run/root --update-catalog
             mkdir -p /var/lib/systemd/catalog
             mount --bind /run/root/var/lib/systemd/catalog /var/lib/systemd/catalog",
            catalogue.display()
        );
        let output = self.run("sh", &["-c", &script]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Journald {
    fn drop(&mut self) {
        if let Some(journald) = &mut self.journald {
            // It may be stopped or gone: killing works on both.
            drop(journald.kill());
            drop(journald.wait());
        }
        drop(self.held.take());
        drop(self.holder.wait());
    }
}
