//! Carries out a plan, step by step, says each, and writes down what was done as soon as it is.

use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::machine::environment;
use super::plan::{ENDING, Ours, Plan, Step, in_shell};
use super::receipt::Receipt;
use crate::ctl::exit::Trouble;
use crate::ctl::scene::Scene;
use crate::ctl::shell::{self, block};
use crate::ctl::{import, json};
use crate::surroundings;

/// How long the lock of a daemon may outlive what is seen of it: its first thread goes before the others.
const PARTING: Duration = Duration::from_secs(2);

/// Time between two looks at a process that is ending.
const PAUSE: Duration = Duration::from_millis(20);

/// Carries out plans.
pub struct Runner {
    uid: u32,
    receipt: Receipt,
    /// Where the receipt is kept; `None` where it goes together with all else.
    receipt_path: Option<PathBuf>,
    /// Where programs are looked for, if not where this process looks.
    path: Option<OsString>,
    /// Whether anything was done.
    pub has_changed: bool,
}

impl Runner {
    /// One that goes on with what was done before.
    pub const fn new(uid: u32, receipt: Receipt, receipt_path: Option<PathBuf>) -> Self {
        Self { uid, receipt, receipt_path, path: None, has_changed: false }
    }

    /// Carries out the plan.
    ///
    /// # Errors
    ///
    /// At the first step that fails: those before it are done, and written down.
    pub fn run(&mut self, scene: &mut Scene, plan: &Plan) -> Result<(), Trouble> {
        for step in &plan.steps {
            let is_done = self.step(scene, step)?;
            self.has_changed |= is_done;
            if is_done {
                self.keep()?;
            }
            // What was taken in has said so itself.
            if (is_done || !step.is_deed()) && !matches!(step, Step::TakeIn { .. }) {
                tell(scene, step)?;
            }
        }
        Ok(())
    }

    /// Writes the receipt where it has a place.
    fn keep(&self) -> Result<(), Trouble> {
        match &self.receipt_path {
            // Where nothing was done that has to be undone, there may be no place for it either.
            Some(path) if self.receipt.is_empty() && !path.parent().is_some_and(Path::is_dir) => Ok(()),
            Some(path) => self.receipt.write(path),
            None => Ok(()),
        }
    }

    /// Does one step and tells whether it changed anything.
    fn step(&mut self, scene: &mut Scene, step: &Step) -> Result<bool, Trouble> {
        match step {
            Step::MakeDirectory { path, mode } => self.make_directory(path, *mode),
            Step::WriteFile { path, text, mode } => {
                write(path, text.as_bytes(), *mode).map_err(|error| Trouble::file("write", path, &error))?;
                self.receipt.wrote(path, text.as_bytes());
                Ok(true)
            }
            Step::PutLines { shell, file, lines } => {
                self.make_directory(file.parent().unwrap_or(Path::new("/")), 0o700)?;
                self.receipt.hooked(shell.name(), file);
                shell::put_lines(file, lines).map(|_| true)
            }
            Step::TakeLines { file } => {
                self.receipt.hooks.retain(|hooked| hooked.file != *file);
                shell::take_lines(file).map(|left| left != block::Left::Untouched)
            }
            Step::RemoveFile { path } => {
                self.receipt.forget_file(path);
                // Nothing is written down in what has just been taken away.
                if self.receipt_path.as_ref() == Some(path) {
                    self.receipt_path = None;
                }
                gone(fs::remove_file(path)).map_err(|error| Trouble::file("remove", path, &error))
            }
            Step::RemoveEmpty { path } => {
                let is_gone = remove_empty(path)?;
                if !path.exists() {
                    self.receipt.directories.retain(|made| made != path);
                }
                Ok(is_gone)
            }
            Step::Sweep { path, what, .. } => sweep(scene, path, *what),
            Step::TakeIn { file, format, .. } => {
                import::take_in(scene, file, *format)?;
                self.receipt.took_in(file);
                Ok(true)
            }
            Step::EndDaemon { pid } => end_daemon(scene, *pid).map(|()| true),
            Step::Run { command, may_fail } => self.command(scene, command, *may_fail),
            Step::AwaitGone { command } => self.await_gone(command).map(|()| false),
            Step::Explain(_) => Ok(false),
        }
    }

    /// Makes a directory with those above it, and notes each that was not there.
    fn make_directory(&mut self, path: &Path, mode: u32) -> Result<bool, Trouble> {
        let mut missing: Vec<&Path> = path.ancestors().take_while(|path| !path.exists()).collect();
        missing.reverse();
        for path in &missing {
            match fs::DirBuilder::new().mode(mode).create(path) {
                Ok(()) => self.receipt.made(path),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Trouble::file("make", path, &error)),
            }
        }
        Ok(!missing.is_empty())
    }

    fn command(&mut self, scene: &Scene, command: &[String], may_fail: bool) -> Result<bool, Trouble> {
        let failed = match self.output(command) {
            Ok(output) if output.status.success() => {
                self.note_command(command);
                return Ok(true);
            }
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                format!("`{}` failed with {}: {said}", in_shell(command), output.status)
            }
            Err(error) => format!("`{}` could not be run: {error}", in_shell(command)),
        };
        if may_fail {
            scene.note(&failed);
            return Ok(false);
        }
        Err(Trouble::refused(failed))
    }

    /// Waits as long as a daemon may take to end.
    fn await_gone(&self, command: &[String]) -> Result<(), Trouble> {
        let deadline = Instant::now() + ENDING;
        while self.output(command).is_ok_and(|output| output.status.success()) {
            if Instant::now() >= deadline {
                let seconds = ENDING.as_secs();
                let asked = in_shell(command);
                return Err(Trouble::refused(format!("what `{asked}` shows is not gone after {seconds} s")));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn output(&self, command: &[String]) -> std::io::Result<Output> {
        let (program, arguments) = command.split_first().ok_or(ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command.args(arguments).envs(environment(self.uid)).stdin(Stdio::null());
        command.envs(self.path.iter().map(|path| ("PATH", path)));
        command.output()
    }

    /// Notes what was switched on, and forgets what was switched off.
    fn note_command(&mut self, command: &[String]) {
        let words: Vec<&str> =
            command.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
        let enabled = &mut self.receipt.enabled;
        match words.as_slice() {
            ["systemctl", "enable", units @ ..] => {
                enabled.retain(|known| !units.contains(&known.as_str()));
                enabled.extend(units.iter().map(|&unit| unit.to_owned()));
            }
            ["systemctl", "disable", units @ ..] => enabled.retain(|known| !units.contains(&known.as_str())),
            ["loginctl", "enable-linger", ..] => self.receipt.linger = true,
            ["loginctl", "disable-linger", ..] => self.receipt.linger = false,
            [..] => {}
        }
    }
}

/// Says what was done.
fn tell(scene: &mut Scene, step: &Step) -> Result<(), Trouble> {
    if scene.is_json {
        return json::write_line(&mut scene.out, &step.to_json(step.is_deed()));
    }
    writeln!(scene.out, "{}", step.line(true))?;
    Ok(())
}

/// Writes a file whole or not at all; a link is replaced, not followed.
fn write(path: &Path, text: &[u8], mode: u32) -> std::io::Result<()> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".karo-{}", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = (|| {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(text)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // The error of the deed is the one to report.
        drop(fs::remove_file(&temporary));
    }
    written
}

/// Tells whether something was removed; what was not there is as good.
fn gone(removed: std::io::Result<()>) -> std::io::Result<bool> {
    match removed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes what is ours in a directory, and the directory if that was all; names what stays.
fn sweep(scene: &Scene, path: &Path, what: Ours) -> Result<bool, Trouble> {
    let Some(found) = surroundings::found(path) else { return Ok(false) };
    // Behind a link lies what somebody else has chosen.
    found.judge(surroundings::uid()).map_err(|reason| {
        Trouble::refused(format!("{} {reason}; nothing was removed there", path.display()))
    })?;
    if what == Ours::Data {
        refuse_in_use(path)?;
    }
    let failed = |error: std::io::Error| Trouble::file("look into", path, &error);
    let mut has_changed = false;
    let mut others = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_name().to_str().is_some_and(|name| what.has(name)) {
            others.push(entry.file_name().to_string_lossy().into_owned());
            continue;
        }
        let is_directory = entry.file_type().map_err(failed)?.is_dir();
        let at = entry.path();
        let removed = if is_directory { fs::remove_dir_all(&at) } else { fs::remove_file(&at) };
        has_changed |= gone(removed).map_err(|error| Trouble::file("remove", &at, &error))?;
    }
    if others.is_empty() {
        return remove_empty(path).map(|is_gone| is_gone || has_changed);
    }
    if what != Ours::Scratch {
        others.sort_unstable();
        scene.note(&format!("{} stays for what else is in it: {}", path.display(), others.join(", ")));
    }
    Ok(has_changed)
}

/// Refuses to take the data from under a daemon that runs.
fn refuse_in_use(data: &Path) -> Result<(), Trouble> {
    let Ok(lock) = fs::File::open(data.join("karod.lock")) else { return Ok(()) };
    let deadline = Instant::now() + PARTING;
    while let Err(fs::TryLockError::WouldBlock) = lock.try_lock() {
        if Instant::now() >= deadline {
            return Err(Trouble::refused(format!(
                "karod still runs on {}, so nothing was removed there; end it and do this again",
                data.display()
            )));
        }
        std::thread::sleep(PAUSE);
    }
    // Where files cannot be locked, no daemon has started either.
    Ok(())
}

fn remove_empty(path: &Path) -> Result<bool, Trouble> {
    match fs::remove_dir(path) {
        // A directory in which something else lies is somebody else's by now, and a link is no directory of ours.
        Err(error) if matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::NotADirectory) => {
            Ok(false)
        }
        // Of a directory that may not be removed nothing of ours is left inside.
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ResourceBusy) => {
            Ok(false)
        }
        removed => gone(removed).map_err(|error| Trouble::file("remove", path, &error)),
    }
}

/// Ends a daemon in order, and by force if it does not end: it keeps what it has acknowledged either way.
fn end_daemon(scene: &Scene, pid: u32) -> Result<(), Trouble> {
    let process = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let process = process.ok_or_else(|| Trouble::refused(format!("{pid} is no process")))?;
    for signal in [Signal::TERM, Signal::KILL] {
        if signal == Signal::KILL {
            scene.note(&format!("karod, process {pid}, does not stop by itself and is killed"));
        }
        if kill_process(process, signal).is_err() {
            break;
        }
        let deadline = Instant::now() + ENDING;
        while is_alive(process) && Instant::now() < deadline {
            std::thread::sleep(PAUSE);
        }
        if !is_alive(process) {
            return Ok(());
        }
    }
    match is_alive(process) {
        true => Err(Trouble::refused(format!("karod, process {pid}, cannot be ended; end it by hand"))),
        false => Ok(()),
    }
}

/// Tells whether a process runs; one that only waits to be seen by its parent does not.
fn is_alive(process: Pid) -> bool {
    if test_kill_process(process).is_err() {
        return false;
    }
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()));
    !stat.is_ok_and(|stat| stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z')))
}

#[cfg(test)]
#[path = "runner_tests.rs"]
mod tests;
