//! Whole machines: a real systemd as process 1 of namespaces of its own, over a layer on this machine's root.
//!
//! What is done in one is seen by nobody else and gone with the value, even when the test is killed: `machine.sh`
//! beside this file holds it, and ends when the test's end of a pipe does. It has journald, logind, a message bus
//! and user managers, no network but a loopback device, and of this machine's services nothing.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, ChildStdin, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::binaries::{binaries, checkout};
use crate::is_root;
use crate::session::Session;
use crate::wait::{PATIENCE, until};

/// Machines that this process has booted: their cgroups differ by it.
static MACHINES: AtomicU32 = AtomicU32::new(0);

/// `machine.sh` ends with it where this machine does not let us.
const REFUSED: i32 = 77;

/// What programs in the machine find.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Becomes a user outside every session, as a job of theirs that the machine started; `$1` is the name, `$2` what is
/// run.
const AS_USER: &str = r#"
uid=$(id -u "$1") && home=$(getent passwd "$1" | cut -d: -f6) && cd "$home" || exit 125
exec setpriv --reuid "$1" --regid "$(id -g "$1")" --init-groups env -i PATH="$PATH" HOME="$home" USER="$1" \
    LOGNAME="$1" SHELL=/bin/bash LANG=C.UTF-8 TERM=dumb XDG_RUNTIME_DIR="/run/user/$uid" \
    DBUS_SESSION_BUS_ADDRESS="unix:path=/run/user/$uid/bus" bash -c "$2"
"#;

/// Carries what comes on standard input to a socket, and back what comes from there; `$ARGV[0]` is its path.
const RELAY: &str = r#"
use IO::Socket::UNIX; use IO::Select;
my $socket = IO::Socket::UNIX->new(Peer => $ARGV[0]) or exit 1;
my %to = (fileno(STDIN), $socket, fileno($socket), \*STDOUT);
my $either = IO::Select->new(\*STDIN, $socket);
while (1) {
    for my $from ($either->can_read) {
        sysread($from, my $bytes, 65536) or exit 0;
        while (length $bytes) { substr($bytes, 0, syswrite($to{fileno $from}, $bytes) // exit 0, "") }
    }
}
"#;

/// A machine that runs.
#[derive(Debug)]
pub struct Machine {
    holder: Child,
    /// Its end is the machine's.
    held: Option<ChildStdin>,
    /// Says that it is up.
    ready: UnixDatagram,
    run: TempDir,
    cgroup: PathBuf,
}

/// How something ended that was run in a machine.
#[derive(Debug)]
pub struct Said {
    /// What was run.
    pub script: String,
    /// Its exit code; 128 and the signal where that ended it.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

impl Said {
    fn of(script: &str, output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let code = output.status.code().or_else(|| output.status.signal().map(|signal| 128 + signal));
        let [stdout, stderr] =
            [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned());
        Self { script: script.to_owned(), code: code.expect("it has ended"), stdout, stderr }
    }

    /// Returns what it printed, without the last newline.
    ///
    /// # Panics
    ///
    /// When it did not end with 0; the message holds all that it said.
    #[track_caller]
    pub fn ok(self) -> String {
        let Self { script, code, stdout, stderr } = self;
        assert_eq!(code, 0, "{script}\n{stdout}{stderr}");
        stdout.trim_end_matches('\n').to_owned()
    }
}

impl Machine {
    /// Boots one with the programs under test in `/usr/bin` and the units in their places, nothing of it enabled;
    /// `None`, with a word on stderr, where this machine does not let us.
    ///
    /// # Panics
    ///
    /// When it could be made and does not come up.
    pub fn boot() -> Option<Self> {
        let machine = Self::bare()?;
        let programs = binaries();
        for program in [&programs.karod, &programs.karoctl, &programs.karo_observe] {
            machine.copy(
                program,
                &Path::new("/usr/bin").join(program.file_name().expect("it has a name")),
                0o755,
            );
        }
        for unit in fs::read_dir(checkout().join("service-units")).expect("there are units").flatten() {
            let name = unit.file_name().into_string().expect("our names are text");
            let is_template = name.contains('@');
            if name.ends_with(".service") || name.ends_with(".socket") {
                let scope = if is_template { "system" } else { "user" };
                machine.copy(&unit.path(), &Path::new("/usr/lib/systemd").join(scope).join(&name), 0o644);
            }
        }
        Some(machine)
    }

    /// Boots one that has never heard of Karo, for what is to be installed in it.
    ///
    /// # Panics
    ///
    /// When it could be made and does not come up.
    pub fn bare() -> Option<Self> {
        if !is_root("a machine of its own") {
            return None;
        }
        let Some(hierarchy) = cgroups() else {
            eprintln!("skipped: no cgroups of version 2 are mounted");
            return None;
        };
        let run =
            tempfile::Builder::new().prefix("karo-machine-").tempdir().expect("temporary files can be made");
        let place = run.path().join("place");
        fs::create_dir(&place).expect("it is ours");
        let ready = UnixDatagram::bind(place.join("notify")).expect("it is ours");
        ready.set_read_timeout(Some(Duration::from_millis(50))).expect("a socket waits as long as one likes");
        let number = MACHINES.fetch_add(1, Ordering::Relaxed);
        let cgroup = hierarchy.join(format!("karo-machine-{}-{number}", process::id()));
        let mut holder = Command::new("bash")
            .arg(checkout().join("tests/harness/machine.sh"))
            .arg("start")
            .args([run.path(), &cgroup])
            .env_clear()
            .env("PATH", PATH)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(fs::File::create(run.path().join("said")).expect("it is ours"))
            // A test that is ended together with all that it started still leaves somebody to clear away.
            .process_group(0)
            .spawn()
            .expect("bash can be run");
        let held = holder.stdin.take();
        let mut machine = Self { holder, held, ready, run, cgroup };
        machine.is_up().then_some(machine)
    }

    /// Waits until the machine says that it is up; `false`, with a word on stderr, when it may not be made.
    fn is_up(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        let mut note = [0; 4096];
        while Instant::now() < deadline {
            match self.ready.recv(&mut note) {
                Ok(length) if note[..length].starts_with(b"READY=1") => return true,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("the machine cannot be heard: {error}"),
            }
            if let Some(status) = self.holder.try_wait().expect("it is our child") {
                assert_eq!(status.code(), Some(REFUSED), "the machine fell: {}", self.holder_said());
                eprintln!("skipped: {}", self.holder_said().trim_end());
                return false;
            }
        }
        panic!("the machine did not come up within {PATIENCE:?}: {}", self.holder_said());
    }

    /// Returns where it keeps what it is made of, on this machine: a directory and a cgroup.
    pub fn places(&self) -> (PathBuf, PathBuf) {
        (self.run.path().to_owned(), self.cgroup.clone())
    }

    fn holder_said(&self) -> String {
        fs::read_to_string(self.run.path().join("said")).unwrap_or_default()
    }

    /// Boots it anew, with what lies on its disk, and waits until it is up.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub fn reboot(&mut self) {
        // It may be gone before it has said that it goes.
        drop(self.root("systemctl reboot"));
        assert!(self.is_up(), "it came up before");
    }

    /// Returns process 1 of the machine, as this machine counts.
    fn init(&self) -> String {
        let pid =
            fs::read_to_string(self.run.path().join("place/pid")).expect("a machine that is up has said it");
        pid.trim().to_owned()
    }

    /// Prepares a program in the machine, as root, in an environment with nothing but a path.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("sh");
        // Whoever was in a cgroup of this machine would be in none of theirs.
        let enter = r#"echo $$ >"$0/cgroup.procs" && exec nsenter --mount --uts --ipc --net --pid --cgroup --root --wd \
            --target "$@""#;
        command.args(["-c", enter]).arg(self.cgroup.join("karo-test")).arg(self.init());
        command.args(["env", "-i", &format!("PATH={PATH}"), "HOME=/root", "LANG=C.UTF-8", "TERM=dumb"]);
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// Prepares a script of bash in the machine, as root.
    pub fn command_as_root(&self, script: &str) -> Command {
        self.command(&["bash", "-c", script])
    }

    /// Prepares a script of bash as that user, outside every session, in their home, with the addresses of their
    /// manager.
    pub fn command_as(&self, user: &str, script: &str) -> Command {
        self.command(&["bash", "-c", AS_USER, "as-user", user, script])
    }

    /// Runs a script of bash in the machine, as root.
    ///
    /// # Panics
    ///
    /// When nothing can be run.
    pub fn root(&self, script: &str) -> Said {
        Said::of(script, self.command_as_root(script).output().expect("sh can be run"))
    }

    /// Runs a script of bash as that user, outside every session, in their home, with the addresses of their
    /// manager: `systemctl --user` works.
    ///
    /// # Panics
    ///
    /// When nothing can be run.
    pub fn as_user(&self, user: &str, script: &str) -> Said {
        Said::of(script, self.command_as(user, script).output().expect("sh can be run"))
    }

    /// Opens a session with a daemon, as that user.
    ///
    /// # Panics
    ///
    /// When nothing can be run. A socket that nobody listens on ends the session at the first request.
    pub fn session(&self, user: &str, socket: &str) -> Session {
        let (ours, theirs) = UnixStream::pair().expect("there are sockets");
        let mut relay = self.command_as(user, &format!("exec perl -e '{RELAY}' {socket}"));
        let both = theirs.try_clone().expect("there are descriptors");
        relay.stdin(OwnedFd::from(theirs)).stdout(OwnedFd::from(both)).stderr(Stdio::null());
        let mut relay = relay.spawn().expect("sh can be run");
        // It ends with either side.
        std::thread::spawn(move || relay.wait());
        Session::over(ours).expect("a socket has deadlines")
    }

    /// Makes an ordinary user that has no manager before the first session.
    pub fn add_guest(&self, user: &str) {
        self.root(&format!("useradd --create-home --shell /bin/bash {user}")).ok();
    }

    /// Makes an ordinary user that lingers: their manager runs, and goes on running.
    pub fn add_user(&self, user: &str) {
        self.add_guest(user);
        self.root(&format!("loginctl enable-linger {user} && systemctl start user@$(id -u {user}).service"))
            .ok();
        let state = self.as_user(user, "systemctl --user is-system-running --wait");
        assert_eq!(state.stdout.trim(), "running", "{state:?}");
    }

    /// Begins a session of that user, as a login at a terminal does.
    ///
    /// # Panics
    ///
    /// When they are not let in.
    pub fn log_in(&self, user: &str) -> Login {
        let script = "echo in && exec cat";
        let mut shell = self.command(&["runuser", "--login", user, "--command", script]);
        let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sh can be run");
        let mut said = [0; 3];
        let stdout = shell.stdout.as_mut().expect("it is a pipe");
        stdout.read_exact(&mut said).expect("the shell of a session says that it is there");
        assert_eq!(said, *b"in\n");
        Login { shell }
    }

    /// Puts a file of this machine into the other.
    ///
    /// # Panics
    ///
    /// When it cannot be read, or not be written there.
    pub fn copy(&self, from: &Path, to: &Path, mode: u32) {
        let file = fs::File::open(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        self.receive(&to.display().to_string(), mode, file.into());
    }

    /// Writes a file in the machine, that belongs to root.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn write(&self, to: &str, text: &str) {
        let (reader, mut writer) = io::pipe().expect("there are pipes");
        std::thread::scope(|scope| {
            scope.spawn(move || writer.write_all(text.as_bytes()).expect("the machine reads"));
            self.receive(to, 0o644, reader.into());
        });
    }

    fn receive(&self, to: &str, mode: u32, from: Stdio) {
        // Through another name: what runs from the old file goes on with it.
        let script =
            r#"mkdir -p "$(dirname "$1")" && cat >"$1.new" && chmod "$2" "$1.new" && mv "$1.new" "$1""#;
        let mut command = self.command(&["bash", "-c", script, "receive", to, &format!("{mode:o}")]);
        let output = command.stdin(from).output().expect("sh can be run");
        Said::of(to, output).ok();
    }

    /// Returns a property of a unit of that user, or of the system.
    pub fn property(&self, user: Option<&str>, unit: &str, property: &str) -> String {
        let show = format!("show --property={property} --value -- {unit}");
        match user {
            Some(user) => self.as_user(user, &format!("systemctl --user {show}")).ok(),
            None => self.root(&format!("systemctl {show}")).ok(),
        }
    }

    /// Waits until a property of a unit has that value.
    pub fn until_property(&self, user: Option<&str>, unit: &str, property: &str, value: &str) {
        let what = format!("{property} of {unit} is {value}");
        until(&what, || (self.property(user, unit, property) == value).then_some(()));
    }

    /// Returns what the journal holds, for a failure's message.
    pub fn journal(&self) -> String {
        self.root("journalctl --no-pager --boot --lines=200").stdout
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() && self.run.path().join("place/pid").exists() {
            eprintln!("what the machine's journal holds:\n{}", self.journal());
        }
        drop(self.held.take());
        // It is gone together with everything in it; how does not matter any more.
        drop(self.holder.wait());
    }
}

/// A session of a user; gone with the value.
#[derive(Debug)]
pub struct Login {
    shell: Child,
}

impl Login {
    /// Ends the session as whoever logs out does, and waits until the session's own process is gone.
    pub fn log_out(mut self) {
        drop(self.shell.stdin.take());
        self.shell.wait().expect("it is our child");
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // Whoever logged out before has waited; then there is nothing to wait for.
        drop(self.shell.wait());
    }
}

/// Returns where cgroups of version 2 are mounted.
fn cgroups() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let cgroup2 = |line: &str| {
        let mut fields = line.split(' ').skip(1);
        let (place, kind) = (fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(place))
    };
    mounts.lines().find_map(cgroup2)
}
