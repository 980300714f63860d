//! A real interactive shell with Karo's hook, on a terminal, in places of its own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use karo_protocol::Observation;
use karo_tests::Karo;
use karo_tests::binaries::binaries;
use karo_tests::wait::within;
use tempfile::TempDir;

use crate::arrivals::{Seen, Sink, modes};
use crate::hook::{Baked, HookShell, Mode, script};
use crate::pty::{Pty, patience};

/// What a test types last: its record says how many there must be.
const LAST: &str = ": that is all";

/// A shell as it will be started.
#[derive(Debug)]
pub struct Setup {
    pub shell: HookShell,
    pub mode: Mode,
    before: String,
    after: String,
    variables: BTreeMap<String, OsString>,
    places: TempDir,
    program: Option<String>,
    socket: Option<PathBuf>,
    spools: Option<(PathBuf, PathBuf)>,
    pub sink: Sink,
    uid: u32,
    is_hooked: bool,
    observe: Option<PathBuf>,
}

impl Setup {
    pub fn new(shell: HookShell, mode: Mode) -> Self {
        let places = tempfile::Builder::new().prefix("ks-").tempdir().expect("temporary files can be made");
        let setup = Self {
            shell,
            mode,
            before: String::new(),
            after: String::new(),
            variables: BTreeMap::new(),
            places,
            program: None,
            socket: None,
            spools: None,
            sink: Sink::asked_for(),
            uid: rustix::process::geteuid().as_raw(),
            is_hooked: true,
            observe: None,
        };
        let setup = setup.at_home();
        for directory in [setup.home(), setup.hook_spool(), setup.client_spool()] {
            DirBuilder::new().mode(0o700).recursive(true).create(directory).expect("the place is ours");
        }
        setup
    }

    /// Sends to a real daemon of its own, whatever the others do.
    pub fn with_daemon(mut self) -> Self {
        if self.sink.keeps_files() {
            self.sink = Sink::Daemon(Karo::running());
        }
        self.at_home()
    }

    /// Takes the daemon's places, if there is one.
    fn at_home(mut self) -> Self {
        if let Sink::Daemon(karo) = &self.sink {
            self.spools = Some((karo.spool(), karo.spool()));
            self.socket = Some(karo.socket());
        }
        self
    }

    /// Lines of the rc file in front of the hook.
    pub fn before(mut self, lines: &str) -> Self {
        self.before.push_str(lines);
        self.before.push('\n');
        self
    }

    /// Lines of the rc file behind the hook.
    pub fn after(mut self, lines: &str) -> Self {
        self.after.push_str(lines);
        self.after.push('\n');
        self
    }

    /// Sets an environment variable for the shell.
    pub fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// Bakes this client into the hook, also where none is called.
    pub fn observe_at(mut self, observe: &str) -> Self {
        self.observe = Some(observe.into());
        self
    }

    /// Leaves the hook out, to see how the shell is without it.
    pub fn without_hook(mut self) -> Self {
        self.is_hooked = false;
        self
    }

    /// Bakes another user into the hook than the one who runs it.
    pub fn for_user(mut self, uid: u32) -> Self {
        self.uid = uid;
        self
    }

    /// Spools where the other shell does.
    pub fn beside(mut self, other: &Self) -> Self {
        self.spools = Some((other.hook_spool(), other.client_spool()));
        if !other.sink.keeps_files() {
            self.sink = Sink::Shared(other.socket());
            self.socket = Some(other.socket());
        }
        self
    }

    /// Spools here, in a directory that need not be there.
    pub fn spooling_at(mut self, spool: PathBuf) -> Self {
        self.spools = Some((spool.clone(), spool));
        self
    }

    /// Bakes this socket into the hook, where otherwise nobody listens.
    pub fn socket_at(mut self, socket: PathBuf) -> Self {
        self.socket = Some(socket);
        self
    }

    /// Starts this program instead of the shell that is installed.
    #[expect(dead_code, reason = "for other builds of a shell, by hand")]
    pub fn program(mut self, program: &str) -> Self {
        self.program = Some(program.to_owned());
        self
    }

    pub fn home(&self) -> PathBuf {
        self.places.path().join("home")
    }

    pub fn hook_spool(&self) -> PathBuf {
        self.spools.as_ref().map_or_else(|| self.places.path().join("hooks"), |(hooks, _)| hooks.clone())
    }

    pub fn client_spool(&self) -> PathBuf {
        self.spools
            .as_ref()
            .map_or_else(|| self.places.path().join("clients"), |(_, clients)| clients.clone())
    }

    pub fn socket(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| self.places.path().join("karod.sock"))
    }

    /// Where the hook itself lies; tests that load it twice name it.
    pub fn hook(&self) -> PathBuf {
        self.places.path().join("hook")
    }

    fn write_hook(&self) {
        let observe = match (&self.observe, self.mode) {
            (Some(observe), _) => observe.clone(),
            (None, Mode::Client) => binaries().karo_observe.clone(),
            (None, Mode::Spool) => "/nowhere/karo-observe".into(),
        };
        let baked = Baked {
            uid: self.uid,
            mode: self.mode,
            observe: &observe,
            socket: &self.socket(),
            client_spool: &self.client_spool(),
            hook_spool: &self.hook_spool(),
        };
        let script = if self.is_hooked { script(self.shell, &baked) } else { String::new() };
        fs::write(self.hook(), script).expect("the place is ours");
    }

    /// Writes the rc file and returns the command that starts the shell with it.
    fn command(&self) -> Command {
        let home = self.home();
        let hook = self.hook();
        let (prompt, source) = match self.shell {
            HookShell::Bash => {
                ("PROMPTS=${FIRST:-0}; PS1='<P$((++PROMPTS))>' PS2='' HISTFILE=~/.history", ".")
            }
            HookShell::Zsh => (
                "setopt prompt_subst; unsetopt prompt_sp prompt_cr; PROMPTS=${FIRST:-0}; PS1='<P$((++PROMPTS))>' PS2=''\n\
                 HISTFILE=~/.history HISTSIZE=1000 SAVEHIST=1000; bindkey -e",
                ".",
            ),
            HookShell::Fish => (
                "set -g prompts 0$FIRST; set -g fish_greeting\n\
                 function count_prompt --on-event fish_prompt; set prompts (math $prompts + 1); end\n\
                 function fish_prompt; printf '<P%d>' $prompts; end; function fish_right_prompt; end",
                "source",
            ),
        };
        let rc = format!("{prompt}\n{}\n{source} '{}'\n{}\n", self.before, hook.display(), self.after);
        let rc_file = match self.shell {
            HookShell::Bash => home.join(".bashrc"),
            HookShell::Zsh => home.join(".zshrc"),
            HookShell::Fish => home.join(".config/fish/config.fish"),
        };
        fs::create_dir_all(rc_file.parent().expect("it is below home")).expect("the place is ours");
        fs::write(&rc_file, rc).expect("the place is ours");
        // A fish that finds no such directory reads every manual page in the background.
        let completions = home.join(".local/share/fish/generated_completions");
        fs::create_dir_all(completions).expect("the place is ours");
        let own = self.program.clone().or_else(|| std::env::var(self.override_name()).ok());
        let mut command = Command::new(own.unwrap_or_else(|| self.shell.name().to_owned()));
        match self.shell {
            HookShell::Bash => command.arg("--noprofile").arg("--rcfile").arg(rc_file).arg("-i"),
            HookShell::Zsh => command.args(["-o", "no_global_rcs", "-i"]),
            HookShell::Fish => command.arg("-i"),
        };
        command
    }

    /// The variable that names another build of this shell: `KARO_TEST_BASH` and so on.
    fn override_name(&self) -> String {
        format!("KARO_TEST_{}", self.shell.name().to_uppercase())
    }

    /// Starts the shell and waits for its first prompt.
    pub fn start(self) -> Shell {
        self.write_hook();
        let mut command = self.command();
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
        let user = rustix::process::geteuid().as_raw().to_string();
        command
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.home())
            .env("USER", user)
            .env("TERM", "xterm")
            .env("LANG", "C.UTF-8")
            .env("SHELL", "/bin/sh")
            .envs(&self.variables)
            .current_dir(self.home());
        let mut shell = Shell { pty: Pty::start(&command), setup: self, prompts: 0, seen: 0 };
        shell.prompt();
        shell
    }
}

/// A shell that runs.
#[derive(Debug)]
pub struct Shell {
    pub pty: Pty,
    pub setup: Setup,
    prompts: u64,
    /// How much of what was shown has been looked at.
    seen: usize,
}

impl Shell {
    pub fn kind(&self) -> HookShell {
        self.setup.shell
    }

    /// Types a line and waits for the next prompt; returns what was shown in between.
    pub fn run(&mut self, line: &str) -> String {
        self.run_bytes(line.as_bytes())
    }

    /// Types a line that need not be UTF-8, as [`run`](Self::run).
    pub fn run_bytes(&mut self, line: &[u8]) -> String {
        self.keys(line);
        self.keys(b"\r");
        self.prompt()
    }

    /// Types keys and waits for nothing.
    pub fn keys(&mut self, keys: &[u8]) {
        self.pty.write(keys);
    }

    /// Pastes as a terminal does that marks what is pasted.
    pub fn paste(&mut self, text: &[u8]) {
        self.keys(&[b"\x1b[200~", text, b"\x1b[201~"].concat());
    }

    /// Waits for the next prompt; returns what was shown before it.
    pub fn prompt(&mut self) -> String {
        let (from, last) = (self.seen, self.prompts);
        let (number, end) = self.pty.read_until("the next prompt", |shown| {
            prompts(&shown[from..]).filter(|(number, _)| *number > last).last()
        });
        self.prompts = number;
        self.seen = from + end;
        String::from_utf8_lossy(&self.pty.shown()[from..self.seen]).into_owned()
    }

    /// Interrupts what is being typed until the prompt is shown once more: a line editor that is busy with
    /// its colours may overlook the first key.
    pub fn interrupt(&mut self) {
        let (from, last) = (self.pty.shown().len(), self.prompts);
        let is_fish = self.kind() == HookShell::Fish;
        let prompted = within(patience(), || {
            self.keys(b"\x03");
            self.pty.read_within(Duration::from_millis(500), |shown| {
                // fish shows the same prompt again.
                prompts(&shown[from..]).filter(|(number, _)| is_fish || *number > last).last()
            })
        });
        let (number, end) = prompted.unwrap_or_else(|| panic!("not interrupted:\n{}", self.pty.screen()));
        (self.prompts, self.seen) = (number, from + end);
    }

    /// Waits until this is shown, be it the echo of keys.
    pub fn wait_for(&mut self, text: &str) {
        let from = self.seen;
        self.seen = self.pty.read_until(text, |shown| {
            let at = shown[from..].windows(text.len()).position(|window| window == text.as_bytes())?;
            Some(from + at + text.len())
        });
    }

    /// Waits until this is shown on a line of its own, so that the echo of the keys is not taken for it.
    pub fn wait_for_line(&mut self, line: &str) {
        // A line editor may put escapes and a carriage return between the line feed and the output.
        let (from, wanted) = (self.seen, format!("{line}\r\n"));
        self.seen = self.pty.read_until(line, |shown| {
            let is_start = |at: usize| at > 0 && matches!(shown[from + at - 1], b'\r' | b'\n');
            let mut places = shown[from..].windows(wanted.len()).enumerate();
            let (at, _) = places.find(|(at, window)| *window == wanted.as_bytes() && is_start(*at))?;
            Some(from + at + wanted.len())
        });
    }

    /// Returns every record of this shell that has arrived, by sequence number, whatever else may come.
    pub fn arrived(&self) -> BTreeMap<u64, Seen> {
        self.arrived_of(|pid| pid == self.pty.pid())
    }

    /// Returns every command that has arrived from shells whose process is wanted.
    pub fn arrived_of(&self, is_wanted: impl Fn(u32) -> bool) -> BTreeMap<u64, Seen> {
        self.setup.sink.arrived(&[self.setup.hook_spool(), self.setup.client_spool()], is_wanted)
    }

    /// Waits until a command with this text has both sides that it will have, and returns everything up to it.
    pub fn records_until(&self, text: &str) -> Vec<Seen> {
        let arrived = within(patience(), || {
            let seen = self.arrived();
            let last = seen
                .iter()
                .find(|(_, sides)| sides.end.is_some() && sides.command() == text.as_bytes())
                .map(|(sequence, _)| *sequence)?;
            let is_whole = (1..=last).all(|n| seen.get(&n).is_some_and(|sides| self.is_whole(sides)));
            is_whole.then(|| seen.range(..last).map(|(_, sides)| sides.clone()).collect())
        });
        arrived.unwrap_or_else(|| {
            let sides = |sides: &Seen| (sides.text(), sides.start.is_some(), sides.end.is_some());
            let there: Vec<_> = self.arrived().iter().map(|(n, seen)| (*n, sides(seen))).collect();
            panic!("no record of {text:?} and all before it, but (number, (text, start, end)) {there:?}; screen:\n{}", self.pty.screen())
        })
    }

    fn is_whole(&self, sides: &Seen) -> bool {
        // bash sends some ends alone even where it can send starts: beside a DEBUG trap, and from an editor.
        let has_start = sides.start.is_some() || self.kind() == HookShell::Bash;
        // A daemon has made one event of both.
        sides.end.is_some() && (has_start || !self.setup.sink.keeps_files())
    }

    /// Tells whether this shell can send a record before the command has ended: bash only from 5.3 on.
    pub fn sends_starts(&self) -> bool {
        self.kind() != HookShell::Bash || bash_version() >= (5, 3)
    }

    /// Types a last command and returns every record but its own; checks what holds for each of them.
    pub fn finish(&mut self) -> Vec<Seen> {
        let seen = self.finish_noisy();
        assert!(!self.pty.screen().contains("karo"), "the hook speaks:\n{}", self.pty.screen());
        seen
    }

    /// As [`finish`](Self::finish), where the test itself shows what belongs to the hook.
    pub fn finish_noisy(&mut self) -> Vec<Seen> {
        self.run(LAST);
        let seen = self.records_until(LAST);
        self.check(&seen);
        seen
    }

    /// Looks for prompts with higher numbers than this from here on: another shell counts its own.
    pub fn number_prompts_from(&mut self, number: u64) {
        self.prompts = number;
    }

    /// Types a last command; there must be exactly these records: text and exit status.
    #[track_caller]
    pub fn expect(&mut self, wanted: &[(&str, i32)]) -> Vec<Seen> {
        let seen = self.finish();
        let found: Vec<_> = seen.iter().map(|sides| (sides.text(), sides.exit())).collect();
        let wanted: Vec<_> = wanted.iter().map(|(text, exit)| ((*text).to_owned(), Some(*exit))).collect();
        assert_eq!(found, wanted, "screen:\n{}", self.pty.screen());
        seen
    }

    /// What holds for every record: one shell, no record lost, and both sides tell of the same command.
    fn check(&self, seen: &[Seen]) {
        for sides in seen {
            let any = sides.any();
            assert_eq!(any.shell.process.map(|process| process.pid), Some(self.pty.pid()), "{any:?}");
            assert_eq!(any.shell.kind.name(), self.kind().name());
            assert_eq!(any.dropped, 0, "{any:?}");
            assert!(any.shell.tty.as_deref().is_some_and(|tty| tty.starts_with("pts/")), "{any:?}");
            if let (Some(start), Some(end)) = (&sides.start, &sides.end) {
                let side =
                    |o: &Observation| (o.command.clone(), o.cwd.clone(), o.started_at, o.shell.clone());
                assert_eq!(side(start), side(end));
            }
        }
        for directory in [self.setup.hook_spool(), self.setup.client_spool()] {
            for (name, mode) in modes(&directory) {
                assert_eq!(mode & 0o7777, 0o600, "{}", name.display());
            }
        }
    }
}

/// Finds every prompt in what was shown: its number, and where it ends.
fn prompts(shown: &[u8]) -> impl Iterator<Item = (u64, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            at += shown[at..].windows(2).position(|window| window == b"<P")? + 2;
            let digits = shown[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits > 0 && shown.get(at + digits) == Some(&b'>') {
                let number = std::str::from_utf8(&shown[at..at + digits]).ok()?.parse().ok()?;
                return Some((number, at + digits + 1));
            }
        }
    })
}

/// Returns the version of the bash under test.
pub fn bash_version() -> (u32, u32) {
    static VERSION: OnceLock<(u32, u32)> = OnceLock::new();
    *VERSION.get_or_init(|| {
        let bash = std::env::var("KARO_TEST_BASH").unwrap_or_else(|_| "bash".to_owned());
        let output = Command::new(bash)
            .args(["-c", "echo ${BASH_VERSINFO[0]} ${BASH_VERSINFO[1]}"])
            .output()
            .expect("bash is installed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut numbers = text.split_whitespace().map(|number| number.parse().expect("a number"));
        (numbers.next().expect("major"), numbers.next().expect("minor"))
    })
}
