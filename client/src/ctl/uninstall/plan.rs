//! From what is left of Karo on a machine to what is to be taken away. Pure, but for [`Traces::look`].

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use karo_protocol::places::Places;
use karo_protocol::spool;

use crate::ctl::cli::HookedShell;
use crate::ctl::service::machine::Machine;
use crate::ctl::service::plan::{Ours, Plan, Step};
use crate::ctl::service::receipt::Receipt;
use crate::ctl::service::steps;
use crate::ctl::shell::{self, block::Left};
use crate::ctl::whose;

/// An rc file, and whether a hook can be taken out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RcFile {
    /// Where.
    pub file: PathBuf,
    /// Why the lines cannot be taken out, if they cannot.
    pub hindrance: Option<String>,
}

/// A spool, and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolLeft {
    /// Where.
    pub path: PathBuf,
    /// Names in it, whoever put them there.
    pub names: Vec<String>,
}

/// What is there of Karo besides the service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traces {
    /// Rc files that load a hook.
    pub rc_files: Vec<RcFile>,
    /// Spools.
    pub spools: Vec<SpoolLeft>,
    /// Sockets.
    pub sockets: Vec<PathBuf>,
    /// The data directory, if it is there.
    pub data: Option<PathBuf>,
    /// Names in it.
    pub kept: Vec<String>,
    /// The configuration file, if it is there.
    pub config: Option<PathBuf>,
    /// Files that only a service manager makes for karod.
    pub logs: Vec<PathBuf>,
    /// Directories of Karo's own that go when they are empty, the inner ones first.
    pub own: Vec<PathBuf>,
}

impl Traces {
    /// Looks at this user's places and rc files.
    pub fn look(places: &Places, receipt: &Receipt) -> Self {
        let mut files: Vec<PathBuf> = receipt.hooks.iter().map(|hooked| hooked.file.clone()).collect();
        files.extend(HookedShell::ALL.into_iter().filter_map(|shell| shell::own_rc_file(shell).ok()));
        let mut rc_files: Vec<RcFile> = Vec::new();
        for file in files {
            if rc_files.iter().any(|known| known.file == file) {
                continue;
            }
            match shell::looked_at(&file) {
                Ok(Left::Untouched) => {}
                Ok(Left::Text(_) | Left::NoFile) => {
                    let hindrance = whose::refuse_foreign(&file).err().map(|trouble| trouble.message);
                    rc_files.push(RcFile { file, hindrance });
                }
                Err(trouble) => rc_files.push(RcFile { file, hindrance: Some(trouble.message) }),
            }
        }
        let sockets = std::iter::once(&places.socket).chain(&places.other_sockets);
        let is_socket =
            |path: &&PathBuf| fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
        Self {
            rc_files,
            spools: places.spools().into_iter().filter_map(spool_left).collect(),
            sockets: sockets.filter(is_socket).cloned().collect(),
            data: places.data.exists().then(|| places.data.clone()),
            kept: names(&places.data).unwrap_or_default(),
            config: fs::symlink_metadata(&places.config).is_ok().then(|| places.config.clone()),
            logs: own_logs(places),
            own: own(places),
        }
    }
}

fn spool_left(path: &Path) -> Option<SpoolLeft> {
    Some(SpoolLeft { path: path.to_owned(), names: names(path)? })
}

impl SpoolLeft {
    /// Counts the records that no daemon has taken in.
    fn waiting(&self) -> usize {
        self.names.iter().filter(|name| spool::is_file_name(name)).count()
    }
}

/// Returns what is in a directory, sorted; `None` where there is none.
fn names(directory: &Path) -> Option<Vec<String>> {
    let entries = fs::read_dir(directory).ok()?.flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    Some(names)
}

/// Plans to remove what is Karo's of these names.
fn sweep(path: &Path, what: Ours, names: &[String]) -> Step {
    let found = names.iter().filter(|name| what.has(name)).cloned().collect();
    Step::Sweep { path: path.to_owned(), what, found }
}

/// Launchd has karod log into a file; systemd has the journal.
fn own_logs(places: &Places) -> Vec<PathBuf> {
    let log = places.client_spool.with_file_name("karod.log");
    if log.is_file() { vec![log] } else { Vec::new() }
}

/// Returns the directories around sockets and spools that bear Karo's name.
fn own(places: &Places) -> Vec<PathBuf> {
    let mut own: Vec<PathBuf> = Vec::new();
    let around = std::iter::once(&places.socket)
        .chain(&places.other_sockets)
        .chain([&places.hook_spool, &places.client_spool]);
    for path in around {
        for above in path.ancestors().skip(1).take(2) {
            let is_ours =
                above.ancestors().take(2).any(|part| part.file_name().is_some_and(|name| name == "karo"));
            if is_ours && above.is_dir() && own.iter().all(|known| known != above) {
                own.push(above.to_owned());
            }
        }
    }
    // The sockets' units make it, so that the sandbox can show it; whoever has a configuration keeps it.
    let around_config =
        places.config.parent().filter(|path| path.file_name().is_some_and(|name| name == "karo"));
    own.extend(around_config.filter(|path| path.is_dir()).map(Path::to_owned));
    own.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
    own
}

/// Plans to take away what karoctl put there; with `purge` the data, the configuration, what waits, and the service of
/// whoever switched it on, too.
pub fn plan(machine: &Machine, traces: &Traces, purge: bool) -> Plan {
    let mut plan = Plan::default();
    for rc in &traces.rc_files {
        match &rc.hindrance {
            None => plan.push(Step::TakeLines { file: rc.file.clone() }),
            Some(why) => plan.explain(why.clone()),
        }
    }
    let service = if purge { steps::purge(machine) } else { steps::uninstall(machine) };
    plan.steps.extend(service.steps);
    plan.steps.extend(machine.stray.map(|pid| Step::EndDaemon { pid }));
    // What root's service manager runs, or somebody else has switched on, goes on listening and taking in what is spooled.
    let rest = Traces { spools: Vec::new(), sockets: Vec::new(), own: Vec::new(), ..traces.clone() };
    let goes_on = machine.served.is_some() || !purge && !steps::units_of_others(machine).is_empty();
    let traces = if goes_on { &rest } else { traces };
    spools(traces, purge, &mut plan);
    plan.steps.extend(traces.sockets.iter().map(|path| Step::RemoveFile { path: path.clone() }));
    if purge {
        forget(traces, &mut plan);
    }
    let own = traces.own.iter().map(|path| Step::RemoveEmpty { path: path.clone() });
    plan.steps.extend(own);
    let made = machine.receipt.directories.iter().rev().filter(|path| !traces.own.contains(path));
    plan.steps.extend(made.map(|path| Step::RemoveEmpty { path: path.clone() }));
    plan
}

fn spools(traces: &Traces, purge: bool, plan: &mut Plan) {
    for spool in &traces.spools {
        let (path, waiting) = (&spool.path, spool.waiting());
        let what = if purge { Ours::Spool } else { Ours::Scratch };
        plan.push(sweep(path, what, &spool.names));
        if waiting > 0 && !purge {
            plan.explain(format!(
                "{waiting} records that no daemon has taken in stay in {}; --purge removes them too",
                path.display()
            ));
        }
    }
}

/// Removes the data last of all: until then, what was done can be read in it.
fn forget(traces: &Traces, plan: &mut Plan) {
    plan.steps.extend(traces.logs.iter().map(|path| Step::RemoveFile { path: path.clone() }));
    plan.steps.extend(traces.config.iter().map(|path| Step::RemoveFile { path: path.clone() }));
    if let Some(data) = &traces.data {
        plan.push(sweep(data, Ours::Data, &traces.kept));
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
