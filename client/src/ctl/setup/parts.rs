//! The parts of a first run: which there are to do on this machine. Pure, but for [`Found::look`].

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::ctl::cli::{HistoryFormat, HookedShell, SetupArgs, SetupPart, ShellArgs};
use crate::ctl::exit::Trouble;
use crate::ctl::import::{self, find};
use crate::ctl::service::machine::Machine;
use crate::ctl::service::plan::{Plan, Step};
use crate::ctl::service::steps::{self, Wish};
use crate::ctl::shell;
use crate::ctl::whose;

/// One part: what it is, what there is to do, or why it cannot be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Which.
    pub part: SetupPart,
    /// What is asked for.
    pub question: &'static str,
    /// What there is to do.
    pub plan: Plan,
    /// Why it is left out, if it is.
    pub hindrance: Option<String>,
}

/// A shell as it is found on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundShell {
    /// Which.
    pub shell: HookedShell,
    /// Its rc file.
    pub file: PathBuf,
    /// The lines that load its hook.
    pub lines: String,
    /// Whether its program is on the path.
    pub has_program: bool,
    /// Whether it has an rc file.
    pub has_file: bool,
    /// The directory of its rc file, if that is not there.
    pub missing: Option<PathBuf>,
    /// Whether the account starts with it.
    pub is_login: bool,
    /// Why its logins would not be recorded, if so.
    pub unread: Option<String>,
    /// Whether its rc file has these lines, or why that cannot be told.
    pub is_hooked: Result<bool, String>,
}

/// A history file as it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundHistory {
    /// Where.
    pub file: PathBuf,
    /// What it is.
    pub format: HistoryFormat,
    /// Commands in it, or why they cannot be counted.
    pub count: Result<usize, String>,
}

/// What a first run finds besides the service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Shells that have hooks.
    pub shells: Vec<FoundShell>,
    /// History files.
    pub histories: Vec<FoundHistory>,
}

impl Found {
    /// Looks at the shells and at their histories.
    ///
    /// # Errors
    ///
    /// When there is no home directory.
    pub fn look(args: &SetupArgs) -> Result<Self, Trouble> {
        let variable = |name: &str| std::env::var_os(name);
        let login = variable("SHELL").map(PathBuf::from);
        let login = login.as_deref().and_then(Path::file_name).map(OsString::from);
        let home = variable("HOME").map(PathBuf::from);
        let look = |shell: HookedShell| {
            let file = shell::own_rc_file(shell)?;
            let lines = shell::own_lines(ShellArgs { shell, mode: args.mode })?;
            Ok(FoundShell {
                shell,
                has_program: is_on_path(shell.name(), variable("PATH")),
                has_file: file.exists(),
                missing: file.parent().filter(|above| !above.exists()).map(Path::to_owned),
                is_login: login.as_deref().is_some_and(|login| login == shell.name()),
                unread: home.as_deref().and_then(|home| shell::unread_at_login(shell, home)),
                is_hooked: is_hooked(&file, &lines).map_err(|trouble| trouble.message),
                file,
                lines,
            })
        };
        let history = |(file, format): (PathBuf, HistoryFormat)| FoundHistory {
            count: import::count(&file, format).map_err(|trouble| trouble.message),
            file,
            format,
        };
        Ok(Self {
            shells: HookedShell::ALL.into_iter().map(look).collect::<Result<_, Trouble>>()?,
            histories: find::found(&variable).into_iter().map(history).collect(),
        })
    }
}

fn is_hooked(file: &Path, lines: &str) -> Result<bool, Trouble> {
    let is_hooked = shell::has_lines(file, lines)?;
    if !is_hooked {
        whose::refuse_foreign(file)?;
    }
    Ok(is_hooked)
}

fn is_on_path(program: &str, path: Option<OsString>) -> bool {
    let is_program = |at: PathBuf| {
        at.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    path.is_some_and(|path| std::env::split_paths(&path).any(|directory| is_program(directory.join(program))))
}

/// The parts, in the order in which they are done.
const ORDER: [SetupPart; 3] = [SetupPart::Service, SetupPart::Hooks, SetupPart::History];

/// How far a first run has come: what of the parts before makes a difference to those that follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// Whether the directories are there in which is written down what is done.
    has_ground: bool,
    /// Whether a daemon answers by then.
    pub will_run: bool,
}

impl Course {
    /// Before anything is done.
    pub fn begin(machine: &Machine) -> Self {
        let is_active = machine.units.iter().any(|unit| unit.manner.is_active);
        let will_run = is_active || machine.stray.is_some() || machine.served.is_some();
        Self { has_ground: false, will_run }
    }

    /// After a part was carried out.
    pub fn after(self, part: &Part) -> Self {
        let is_started = part.part == SetupPart::Service && part.hindrance.is_none();
        Self { has_ground: self.has_ground || !part.plan.is_idle(), will_run: self.will_run || is_started }
    }
}

/// Returns the parts that are wanted, in the order in which they are done.
pub fn wanted(args: &SetupArgs) -> impl Iterator<Item = SetupPart> {
    ORDER.into_iter().filter(|part| !args.without.contains(part))
}

/// Returns a part as it is when the run has come so far.
pub fn part(which: SetupPart, machine: &Machine, found: &Found, args: &SetupArgs, course: Course) -> Part {
    match which {
        SetupPart::Service => service(machine, args),
        SetupPart::Hooks => on_ground(machine, course, hooks(found)),
        SetupPart::History => on_ground(machine, course, history(machine, found, course.will_run)),
    }
}

/// Returns the parts that are wanted, as they are when each of them is agreed to.
pub fn parts(machine: &Machine, found: &Found, args: &SetupArgs) -> Vec<Part> {
    let mut course = Course::begin(machine);
    let come_to = |which: SetupPart| {
        let part = part(which, machine, found, args, course);
        course = course.after(&part);
        part
    };
    wanted(args).map(come_to).collect()
}

/// What is done is written down in the data directory, so whichever part is done first makes that; and the spools, so
/// that what is above them goes again with the rest.
fn on_ground(machine: &Machine, course: Course, mut part: Part) -> Part {
    if course.has_ground || part.plan.is_idle() {
        return part;
    }
    let is_of_units = |path: &PathBuf| machine.units.iter().any(|unit| unit.path.parent() == Some(path));
    let is_made = |path: &&PathBuf| match machine.served {
        // The rest is made by whoever serves.
        Some(_) => machine.receipt_path.starts_with(path),
        None => !is_of_units(path),
    };
    let made = machine.missing.iter().filter(is_made);
    let steps: Vec<Step> = made.map(|path| Step::MakeDirectory { path: path.clone(), mode: 0o700 }).collect();
    part.plan.steps.splice(0..0, steps);
    part
}

fn service(machine: &Machine, args: &SetupArgs) -> Part {
    let question = "start karod at login and with the first command?";
    if let Some(account) = &machine.served {
        let mut plan = Plan::default();
        plan.explain(steps::served(account));
        return Part { part: SetupPart::Service, question, plan, hindrance: None };
    }
    let planned = steps::install(machine, Wish { force: false, linger: args.linger });
    let (plan, hindrance) = match planned {
        Ok(plan) => (plan, None),
        Err(trouble) => (Plan::default(), Some(trouble.message)),
    };
    Part { part: SetupPart::Service, question, plan, hindrance }
}

fn hooks(found: &Found) -> Part {
    let mut plan = Plan::default();
    let mut refused = Vec::new();
    let is_used = |shell: &&FoundShell| shell.has_program && (shell.has_file || shell.is_login);
    for shell in found.shells.iter().filter(is_used) {
        match &shell.is_hooked {
            Ok(true) => {}
            Ok(false) => {
                let made = shell.missing.iter().cloned();
                plan.steps.extend(made.map(|path| Step::MakeDirectory { path, mode: 0o700 }));
                plan.push(Step::PutLines {
                    shell: shell.shell,
                    file: shell.file.clone(),
                    lines: shell.lines.clone(),
                });
            }
            Err(why) => refused.push(format!("no hook for {}: {why}", shell.shell.name())),
        }
        if let Some(why) = shell.unread.as_ref().filter(|_| shell.is_login) {
            plan.explain(why.clone());
        }
    }
    let used: Vec<&FoundShell> = found.shells.iter().filter(is_used).collect();
    let hindrance = if used.is_empty() {
        Some("neither bash nor zsh nor fish is used here; see `karoctl doctor`".to_owned())
    } else if used.iter().all(|shell| shell.is_hooked.is_err()) {
        Some(refused.join("; "))
    } else {
        plan.steps.extend(refused.into_iter().map(Step::Explain));
        None
    };
    Part { part: SetupPart::Hooks, question: "record what is typed into new shells?", plan, hindrance }
}

fn history(machine: &Machine, found: &Found, will_run: bool) -> Part {
    let mut plan = Plan::default();
    for history in found.histories.iter().filter(|history| !machine.receipt.imported.contains(&history.file))
    {
        match &history.count {
            Ok(0) => {}
            Ok(count) => {
                plan.push(Step::TakeIn { file: history.file.clone(), format: history.format, count: *count })
            }
            Err(why) => plan.explain(format!("{} is left out: {why}", history.file.display())),
        }
    }
    let hindrance = (!will_run && !plan.is_idle())
        .then(|| "no karod runs that could take it in; once one does: `karoctl import auto`".to_owned());
    if hindrance.is_some() {
        plan = Plan::default();
    }
    Part { part: SetupPart::History, question: "take in the history of your shells?", plan, hindrance }
}

#[cfg(test)]
#[path = "parts_tests.rs"]
mod tests;
