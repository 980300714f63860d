//! Temporary places, and a real daemon in them.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use karo_protocol::local::{Status, Verdict};
use karo_protocol::{Observation, spool};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::binaries::binaries;
use crate::session::Session;
use crate::wait::{until, within};

/// The kernel's number for a TCP connection that stands, in `/proc/net/tcp`.
const ESTABLISHED: &str = "01";

/// One user's Karo in a temporary directory; the daemon in it is killed and the directory removed at the end.
#[derive(Debug)]
pub struct Karo {
    root: TempDir,
    daemon: Option<Child>,
    overrides: Vec<(&'static str, OsString)>,
}

impl Karo {
    /// Makes the places; nothing runs in them.
    ///
    /// # Panics
    ///
    /// When there is no place for temporary files.
    pub fn new() -> Self {
        let root = tempfile::Builder::new().prefix("karo-").tempdir().expect("temporary files can be made");
        let karo = Self { root, daemon: None, overrides: Vec::new() };
        for path in [karo.home(), karo.data(), karo.spool(), karo.run()] {
            DirBuilder::new().mode(0o700).recursive(true).create(&path).expect("the place is ours");
        }
        karo
    }

    /// Makes the places and starts a daemon in them.
    pub fn running() -> Self {
        let mut karo = Self::new();
        karo.launch();
        karo
    }

    /// Returns the temporary directory that holds everything.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Returns the home directory, empty at first.
    pub fn home(&self) -> PathBuf {
        self.root().join("home")
    }

    /// Returns where log and views lie.
    pub fn data(&self) -> PathBuf {
        self.root().join("data")
    }

    /// Returns where records wait for the daemon.
    pub fn spool(&self) -> PathBuf {
        self.root().join("spool")
    }

    /// Returns the directory of the socket.
    pub fn run(&self) -> PathBuf {
        self.root().join("run")
    }

    /// Returns the socket.
    pub fn socket(&self) -> PathBuf {
        self.variable("KARO_SOCKET").map_or_else(|| self.run().join("karod.sock"), PathBuf::from)
    }

    /// Returns the configuration file, which need not exist.
    pub fn config(&self) -> PathBuf {
        self.root().join("config.toml")
    }

    /// Returns everything that the daemons of these places wrote to stderr.
    pub fn log(&self) -> String {
        fs::read(self.log_file()).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.root().join("karod.log")
    }

    /// Writes the configuration file.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn configure(&self, toml: &str) {
        fs::write(self.config(), toml).expect("the configuration file can be written");
    }

    /// Sets a variable for every program that is started from here on, over what the places say.
    pub fn set(&mut self, variable: &'static str, value: impl Into<OsString>) {
        self.overrides.retain(|(name, _)| *name != variable);
        self.overrides.push((variable, value.into()));
    }

    fn variable(&self, name: &str) -> Option<&OsString> {
        self.overrides.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// Returns the environment that leads a program to these places, and all it needs besides.
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
        let mut environment = vec![
            ("PATH", path),
            ("HOME", self.home().into()),
            ("LANG", "C.UTF-8".into()),
            ("KARO_CONFIG", self.config().into()),
            ("KARO_DATA_DIR", self.data().into()),
            ("KARO_SPOOL_DIR", self.spool().into()),
            ("KARO_SOCKET", self.socket().into()),
        ];
        environment.retain(|(name, _)| self.variable(name).is_none());
        environment.extend(self.overrides.iter().cloned());
        environment
    }

    /// Prepares a program that finds these places and nothing else of its environment.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.environment()).current_dir(self.root()).stdin(Stdio::null());
        command
    }

    /// Prepares the daemon; its stderr goes to [`log`](Self::log).
    ///
    /// # Panics
    ///
    /// When the log cannot be opened.
    pub fn daemon_command(&self) -> Command {
        let command = self.command(&binaries().karod);
        self.logged(command)
    }

    /// Prepares the daemon as another program runs it, in whose place it comes.
    ///
    /// # Panics
    ///
    /// When nothing is named, or the log cannot be opened.
    pub fn daemon_command_through(&self, through: &[&str]) -> Command {
        let (program, arguments) = through.split_first().expect("a program is named");
        let mut command = self.command(Path::new(program));
        command.args(arguments).arg(&binaries().karod);
        self.logged(command)
    }

    fn logged(&self, mut command: Command) -> Command {
        let log = File::options().create(true).append(true).open(self.log_file()).expect("the log is ours");
        command.stdout(Stdio::null()).stderr(log);
        command
    }

    /// Starts the daemon and waits until it answers.
    pub fn launch(&mut self) {
        let command = self.daemon_command();
        self.launch_as(command);
    }

    /// Starts a prepared daemon and waits until it answers.
    ///
    /// # Panics
    ///
    /// When it ends before it answers.
    pub fn launch_as(&mut self, command: Command) {
        self.spawn(command);
        until("the daemon answers", || {
            if let Some(status) = self.ended() {
                panic!("karod ended with {status} before it answered:\n{}", self.log());
            }
            Session::connect(&self.socket()).ok()
        });
    }

    /// Starts a prepared daemon without waiting for anything.
    ///
    /// # Panics
    ///
    /// When one runs already, or it cannot be run.
    pub fn spawn(&mut self, mut command: Command) {
        assert!(self.daemon.is_none(), "a daemon of this story runs already");
        self.daemon = Some(command.spawn().expect("karod can be run"));
    }

    /// Returns how the daemon ended, if it has; it may be started again then.
    fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.daemon.as_mut()?.try_wait().expect("the daemon is our child")?;
        self.daemon = None;
        Some(status)
    }

    /// Waits until the daemon has ended and tells how.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        until("the daemon ends", || self.ended())
    }

    /// Tells whether the daemon still runs.
    pub fn is_running(&mut self) -> bool {
        self.daemon.is_some() && self.ended().is_none()
    }

    /// Returns the daemon's process id.
    ///
    /// # Panics
    ///
    /// When none runs.
    pub fn pid(&self) -> Pid {
        let child = self.daemon.as_ref().expect("a daemon runs");
        Pid::from_raw(child.id().cast_signed()).expect("a child has a process id")
    }

    /// Sends the daemon a signal.
    ///
    /// # Panics
    ///
    /// When none runs.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the daemon is our child");
    }

    /// Kills the daemon as a crash would, and waits until it is gone.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        let status = self.wait_for_end();
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "the daemon had ended by itself: {status}");
    }

    /// Kills the daemon unless it has ended by itself, and waits until it is gone.
    pub fn kill_if_running(&mut self) {
        if self.is_running() {
            // Between the look and the signal it may end by itself, which is as good.
            kill_process(self.pid(), Signal::KILL).unwrap_or_default();
            self.wait_for_end();
        }
    }

    /// Asks the daemon to stop, waits, and tells how it ended.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait_for_end()
    }

    /// Stops the daemon's process where it stands.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        until("the daemon stands still", || (self.process_state() == 'T').then_some(()));
    }

    /// Lets a frozen daemon go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Returns the kernel's letter for the state of the daemon's process.
    fn process_state(&self) -> char {
        let stat =
            fs::read_to_string(format!("/proc/{}/stat", self.pid().as_raw_nonzero())).unwrap_or_default();
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).unwrap_or('?')
    }

    /// Returns the daemon's resident memory, in bytes.
    ///
    /// # Panics
    ///
    /// When none runs.
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid().as_raw_nonzero()));
        let status = status.expect("the daemon runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib =
            line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse::<u64>().ok());
        kib.expect("the kernel tells resident memory in KiB") * 1024
    }

    /// Returns the processor time that the daemon has taken so far, to ten milliseconds.
    ///
    /// # Panics
    ///
    /// When none runs.
    pub fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid().as_raw_nonzero()));
        let stat = stat.expect("the daemon runs");
        let (_, rest) = stat.rsplit_once(") ").expect("the name stands in parentheses");
        // User and system time are the 12th and 13th fields behind the name, in hundredths of a second.
        let ticks = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }

    /// Returns how many descriptors the daemon holds, sessions of the story among them.
    ///
    /// # Panics
    ///
    /// When none runs.
    pub fn descriptors(&self) -> usize {
        self.counted("fd")
    }

    /// Returns how many threads the daemon has.
    ///
    /// # Panics
    ///
    /// When none runs.
    pub fn threads(&self) -> usize {
        self.counted("task")
    }

    fn counted(&self, what: &str) -> usize {
        let entries = fs::read_dir(format!("/proc/{}/{what}", self.pid().as_raw_nonzero()));
        entries.expect("the daemon runs").count()
    }

    /// Returns the daemon's TCP connections that stand, by their addresses as the kernel prints them: its own and
    /// the other end's.
    ///
    /// # Panics
    ///
    /// When none runs.
    pub fn connections(&self) -> Vec<(String, String)> {
        self.standing().into_iter().map(|(own, other, _)| (own, other)).collect()
    }

    /// Returns how many bytes have come for the daemon over TCP that it has not read yet.
    ///
    /// # Panics
    ///
    /// When none runs.
    pub fn unread_bytes(&self) -> u64 {
        self.standing().into_iter().map(|(.., unread)| unread).sum()
    }

    fn standing(&self) -> Vec<(String, String, u64)> {
        let process = format!("/proc/{}", self.pid().as_raw_nonzero());
        let own: Vec<String> = fs::read_dir(format!("{process}/fd"))
            .expect("the daemon runs")
            .flatten()
            .filter_map(|entry| fs::read_link(entry.path()).ok())
            .filter_map(|to| Some(to.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
            .collect();
        // That of the daemon's own namespace.
        let table = fs::read_to_string(format!("{process}/net/tcp")).expect("the kernel tells of TCP");
        let standing = |line: &str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let &[_, local, remote, ESTABLISHED, queues, _, _, _, _, inode, ..] = &fields[..] else {
                return None;
            };
            let (_, unread) = queues.split_once(':')?;
            let unread = u64::from_str_radix(unread, 16).ok()?;
            own.iter().any(|own| own == inode).then(|| (local.to_owned(), remote.to_owned(), unread))
        };
        table.lines().skip(1).filter_map(standing).collect()
    }

    /// Opens a session.
    ///
    /// # Panics
    ///
    /// When the daemon cannot be reached.
    pub fn session(&self) -> Session {
        match Session::connect(&self.socket()) {
            Ok(session) => session,
            Err(error) => panic!("no session: {error}\n{}", self.log()),
        }
    }

    /// Asks how the daemon is, in a session of its own.
    pub fn status(&self) -> Status {
        self.session().status()
    }

    /// Delivers observations one after the other and demands that each is kept.
    ///
    /// # Panics
    ///
    /// When one is not.
    pub fn keep(&self, observations: impl IntoIterator<Item = Observation>) {
        let mut session = self.session();
        for observation in observations {
            let verdict = session.observe(observation).expect("the daemon answers");
            assert!(matches!(verdict, Verdict::Committed | Verdict::Duplicate), "not kept: {verdict:?}");
        }
    }

    /// Waits until everything that is in the log can be found.
    pub fn wait_until_searchable(&self) {
        until("everything is searchable", || self.session().covers_everything().then_some(()));
    }

    /// Waits until the first rules are read: before, an observation takes as long as that does, and a client that
    /// has no such patience spools.
    pub fn wait_for_rules(&self) {
        until("the rules are read", || (self.session().status().rules.loaded > 0).then_some(()));
    }

    /// Puts a record into the spool as a hook does: under another name first, so that it appears whole.
    ///
    /// # Panics
    ///
    /// When the spool cannot be written.
    pub fn spool_record(&self, observation: &Observation) -> PathBuf {
        let name = spool::file_name(observation.shell.id, observation.sequence, &observation.phase);
        let path = self.spool().join(&name);
        let temporary = self.spool().join(format!(".{name}.tmp"));
        fs::write(&temporary, spool::encode(observation)).expect("the spool can be written");
        fs::rename(&temporary, &path).expect("the spool can be written");
        path
    }

    /// Returns the names of the files in the spool, sorted.
    pub fn spooled(&self) -> Vec<String> {
        let entries = fs::read_dir(self.spool()).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Waits until nothing waits in the spool.
    pub fn wait_until_spool_is_empty(&self) {
        let is_record = |name: &String| !name.starts_with('.');
        let empty = || (!self.spooled().iter().any(is_record)).then_some(());
        if within(crate::PATIENCE, empty).is_none() {
            panic!("still in the spool: {:?}\n{}", self.spooled(), self.log());
        }
    }

    /// Runs `karoctl` to its end.
    ///
    /// # Panics
    ///
    /// When it cannot be run.
    pub fn ctl(&self, arguments: &[&str]) -> Output {
        self.command(&binaries().karoctl).args(arguments).output().expect("karoctl can be run")
    }

    /// Runs `karoctl` and returns what it printed.
    ///
    /// # Panics
    ///
    /// When it ends with anything but 0.
    pub fn ctl_ok(&self, arguments: &[&str]) -> String {
        let output = self.ctl(arguments);
        let [stdout, stderr] =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert!(output.status.success(), "karoctl {arguments:?}: {}\n{stdout}{stderr}", output.status);
        stdout
    }

    /// Prepares `karo-observe`.
    pub fn observe_command(&self) -> Command {
        self.command(&binaries().karo_observe)
    }
}

impl Default for Karo {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Karo {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            // It may have ended by itself; then there is nothing to kill, and that is what we want.
            drop(daemon.kill());
            drop(daemon.wait());
        }
        if std::thread::panicking() {
            eprintln!("what the daemon said:\n{}", self.log());
            if std::env::var_os("KARO_KEEP").is_some() {
                self.root.disable_cleanup(true);
                eprintln!("KARO_KEEP is set: everything stays in {}", self.root().display());
            }
        }
    }
}
