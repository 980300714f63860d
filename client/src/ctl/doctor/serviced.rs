//! The service: whether karod starts by itself, by the units that it should, and why it was given up if it was.

use std::path::{Path, PathBuf};

use super::Check;
use crate::ctl::service::machine::{Keeper, Machine, Standing, Unit, output};
use crate::ctl::service::plan::in_shell;
use crate::ctl::service::{show, steps};
use crate::ctl::status::bytes;
use crate::ctl::version::KAROCTL;

/// Lines of the log that are shown of a unit that was given up.
const LOG_LINES: &str = "--lines=3";

/// A log that is longer than this has not been looked at for years.
const LOG_BYTES_MAX: u64 = 32 << 20;

/// Where journald takes messages.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serviced {
    /// The machine, its units among it.
    pub machine: Machine,
    /// The program that the unit runs, and the version that it says of itself; `None` for one that is not there.
    pub program: Option<(PathBuf, Option<String>)>,
    /// Whether the daemon runs a program that is not there any more, as after an upgrade.
    pub is_replaced: bool,
    /// The last lines of the log of a unit that was given up.
    pub log: Vec<String>,
    /// Bytes in the file that karod logs into, where launchd has it do so.
    pub log_bytes: u64,
    /// Whether there is a journal, where there should be one.
    pub has_journal: bool,
    /// The daemon that answers.
    pub answers: Option<u32>,
}

impl Serviced {
    /// Looks at what a plan does not need to know.
    pub fn look(machine: Machine, answers: Option<u32>) -> Self {
        let program = machine.service().and_then(program).map(|path| {
            let said = output(&[&path.to_string_lossy(), "--version"], machine.uid);
            (path, said.map(|said| said.trim().trim_start_matches("karod ").to_owned()))
        });
        let is_failed = machine.service().is_some_and(|service| service.manner.is_failed);
        let daemon = answers.or_else(|| machine.service()?.manner.pid);
        Self {
            program,
            is_replaced: daemon.is_some_and(is_replaced),
            log: if is_failed { last_lines(&machine) } else { Vec::new() },
            log_bytes: match machine.keeper {
                Keeper::Launchd => machine.log.metadata().map_or(0, |meta| meta.len()),
                Keeper::Systemd | Keeper::Nobody(_) => 0,
            },
            has_journal: machine.keeper != Keeper::Systemd || Path::new(JOURNAL).exists(),
            machine,
            answers,
        }
    }
}

/// Tells whether a process runs a file that has no name any more; where the system does not say, it does not.
fn is_replaced(pid: u32) -> bool {
    std::fs::read_link(format!("/proc/{pid}/exe"))
        .is_ok_and(|program| program.as_os_str().as_encoded_bytes().ends_with(b" (deleted)"))
}

fn last_lines(machine: &Machine) -> Vec<String> {
    let asked = ["journalctl", "--user", "--unit=karod.service", LOG_LINES, "--output=cat", "--no-pager"];
    output(&asked, machine.uid).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Returns what the unit that holds runs.
fn program(service: &Unit) -> Option<PathBuf> {
    let packaged = || service.packaged.as_ref().map(|(_, text)| text.clone());
    let text = service.found.clone().or_else(packaged)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("ExecStart="))?;
    let word = match line.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => line.split_whitespace().next()?,
    };
    Some(word.replace("$$", "$").replace("%%", "%").into())
}

/// Runs the checks. Pure.
pub fn checks(serviced: &Serviced) -> Vec<Check> {
    let machine = &serviced.machine;
    if let Some(account) = &machine.served {
        return vec![served(account, machine)];
    }
    if let Keeper::Nobody(why) = &machine.keeper {
        return vec![Check::ok("service", format!("karod is started by hand here: {why}"))];
    }
    let known = |unit: &Unit| unit.found.is_some() || unit.packaged.is_some() || unit.manner.is_loaded;
    if !machine.units.iter().any(known) {
        return vec![Check::warn(
            "service",
            "no unit is installed, so karod does not start by itself",
            "run `karoctl service install`, or `karoctl setup` for all of it",
        )];
    }
    let mut checks: Vec<Check> = machine.units.iter().filter_map(|unit| file(unit, machine)).collect();
    checks.extend(apart(machine));
    checks.extend(programs(serviced));
    checks.extend(replaced(serviced));
    checks.extend(enabled(machine));
    checks.push(running(serviced));
    checks.extend(lingers(machine));
    if serviced.log_bytes > LOG_BYTES_MAX {
        let log = machine.log.to_string_lossy().into_owned();
        let empty = format!("run `: >{}`", in_shell(std::slice::from_ref(&log)));
        let found = format!("{log} has grown to {}, and nobody shortens it", bytes(serviced.log_bytes));
        checks.push(Check::warn("log", found, empty));
    }
    if !serviced.has_journal {
        checks.push(Check::warn(
            "journal",
            format!("{JOURNAL} is not there, so nobody keeps what karod logs"),
            "see `systemctl status systemd-journald`",
        ));
    }
    checks
}

/// Two daemons cannot have the same data: whichever comes second finds it taken, and ends.
fn served(account: &str, machine: &Machine) -> Check {
    let starts = |unit: &&Unit| unit.manner.is_active || unit.manner.is_loaded && unit.manner.is_enabled();
    match machine.units.iter().find(starts) {
        Some(unit) => Check::warn(
            "service",
            format!(
                "{}, and {} is there besides: one of them finds the data taken",
                steps::served(account),
                unit.name
            ),
            "run `karoctl service uninstall`, it takes away yours",
        ),
        None => Check::ok("service", steps::served(account)),
    }
}

fn file(unit: &Unit, machine: &Machine) -> Option<Check> {
    let at = unit.path.display();
    match unit.standing(&machine.receipt) {
        Standing::Right | Standing::Packaged if unit.manner.drop_ins.is_empty() => {}
        Standing::Right | Standing::Packaged => {
            let changed = unit.manner.drop_ins.join(", ");
            return Some(Check::ok("unit", format!("{} is changed by {changed}", unit.name)));
        }
        Standing::Absent if unit.packaged.is_some() => {
            return Some(Check::warn(
                "unit",
                format!("{} of the package does not fit your programs and places", unit.name),
                "run `karoctl service install`, it writes one that does",
            ));
        }
        Standing::Absent => {
            return Some(Check::fail("unit", format!("{at} is gone"), "run `karoctl service install`"));
        }
        Standing::Outdated => {
            return Some(Check::warn(
                "unit",
                format!("{at} is of another karoctl"),
                "run `karoctl service install`, it renews it",
            ));
        }
        Standing::Foreign => {
            return Some(Check::warn(
                "unit",
                format!("{at} was not written by karoctl, or changed since"),
                "`karoctl service install` shows the lines; with --force it writes them anew",
            ));
        }
    }
    unit.manner.needs_reload.then(|| {
        Check::warn(
            "unit",
            format!("{} is not read since it was changed", unit.name),
            "run `karoctl service restart`",
        )
    })
}

/// What is asked from here is asked of other places than karod writes in.
fn apart(machine: &Machine) -> Option<Check> {
    let apart = machine.apart();
    let (variable, _) = apart.first()?;
    let set: Vec<String> = apart.iter().map(|(name, there)| in_shell(&[format!("{name}={there}")])).collect();
    Some(Check::warn(
        "places",
        format!("what you have changed beside the unit sets {variable} otherwise than this shell"),
        format!("run `export {}` where your shells begin, or remove it there", set.join(" ")),
    ))
}

fn programs(Serviced { machine, program, .. }: &Serviced) -> Option<Check> {
    let (path, version) = program.as_ref()?;
    let named = path.display();
    let mend = "run `karoctl service install` with the karoctl that you want to keep";
    match version.as_deref() {
        None => Some(Check::fail("program", format!("the unit runs {named}, which cannot be run"), mend)),
        Some(version) if version != KAROCTL => Some(Check::warn(
            "program",
            format!("the unit runs {named}, which is {version}; karoctl is {KAROCTL}"),
            "install both from one release, then run `karoctl service restart`",
        )),
        Some(_) if *path != machine.karod => Some(Check::warn(
            "program",
            format!("the unit runs {named}, not {} beside this karoctl", machine.karod.display()),
            mend,
        )),
        Some(_) => None,
    }
}

/// An upgrade leaves the daemon that runs to whoever it belongs to.
fn replaced(Serviced { is_replaced, .. }: &Serviced) -> Option<Check> {
    is_replaced.then(|| {
        Check::warn(
            "program",
            "the daemon that runs is of before the last upgrade: its program was replaced since",
            "run `karoctl service restart`; what is typed meanwhile is kept",
        )
    })
}

fn enabled(machine: &Machine) -> Option<Check> {
    let off: Vec<&str> = machine
        .units
        .iter()
        .filter(|unit| unit.manner.is_loaded && !unit.manner.is_enabled())
        .map(|unit| unit.name.as_str())
        .collect();
    let found = format!("{} does not start by itself at login", off.join(", "));
    (!off.is_empty()).then(|| Check::warn("service", found, "run `karoctl service install`"))
}

/// Why nothing runs comes before that nothing does.
fn running(Serviced { machine, log, answers, .. }: &Serviced) -> Check {
    let Some(service) = machine.service() else { return Check::ok("service", "there is none") };
    let manner = &service.manner;
    let restart = "run `karoctl service restart`";
    if manner.is_failed {
        let why = match machine.units.iter().any(|unit| unit.manner.is_out_of_starts()) {
            true => "failed so often in a row that it was given up",
            false => "failed",
        };
        let told: String = log.iter().map(|line| format!("; log: {line}")).collect();
        let exit = manner.exit.filter(|exit| *exit != 0);
        let status = exit.map_or_else(String::new, |exit| format!(", status {exit}"));
        let status = match exit.and_then(show::meaning) {
            Some(meaning) => format!("{status}: {meaning}"),
            None => status,
        };
        return Check::fail(
            "service",
            format!("{} {why} ({}{status}){told}", service.name, manner.result),
            format!("mend what the log says (`{}`), then {restart}", show::log(machine)),
        );
    }
    if let Some(pid) = answers.or(machine.stray)
        && manner.pid != Some(pid)
    {
        return Check::warn(
            "service",
            format!("karod runs outside of {}, as process {pid}", service.name),
            format!("run `kill {pid}`, then `karoctl service start`"),
        );
    }
    let socket = machine.socket().map(|socket| &socket.manner);
    match (manner.is_active, socket.is_none_or(|socket| socket.is_active)) {
        (true, true) => Check::ok("service", format!("{} is {}", service.name, manner.doing)),
        (true, false) => Check::warn(
            "service",
            format!(
                "{} runs, and its socket does not listen, so it is not started again on demand",
                service.name
            ),
            restart,
        ),
        (false, true) => Check::ok("service", format!("{} starts with the next command", service.name)),
        (false, false) => {
            Check::fail("service", format!("{} is stopped", service.name), "run `karoctl service start`")
        }
    }
}

/// No fault either way.
fn lingers(machine: &Machine) -> Option<Check> {
    machine.lingers.map(|lingers| {
        let found = match lingers {
            true => "karod goes on after your last logout (lingering is on)",
            false => {
                "karod ends with your last logout (lingering is off; `karoctl service install --linger`)"
            }
        };
        Check::ok("linger", found)
    })
}

#[cfg(test)]
#[path = "serviced_tests.rs"]
mod tests;
