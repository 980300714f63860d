//! From a machine to what is to be done. Pure: each plan is a function of what was found.

use super::machine::{CATALOG, CATALOG_TEXT, Keeper, LABEL, Machine, Scope, Standing, Unit, systemctl};
use super::plan::{Plan, Step};
use super::template::Home;
use super::unit::differing;
use crate::ctl::exit::Trouble;
use crate::ctl::shown::{Newline, shown};

/// What is said of a deed that only root can do.
const ROOT_DOES: &str = "root does this";

/// What a person wants of an installation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wish {
    /// Whether a unit that somebody else wrote or changed is overwritten.
    pub force: bool,
    /// Whether services go on without a login.
    pub linger: bool,
}

/// Plans the installation.
///
/// # Errors
///
/// When no service manager can be asked, karod is not there, or a unit is not ours to change.
pub fn install(machine: &Machine, wish: Wish) -> Result<Plan, Trouble> {
    refuse_served(machine, "uninstall", "to have units of your own instead, root first takes that away")?;
    refuse_without_keeper(machine)?;
    if !machine.has_karod {
        return Err(Trouble::refused(format!(
            "{} is not there: install karod beside karoctl",
            machine.karod.display()
        )));
    }
    refuse_other_home(machine)?;
    if !wish.force {
        refuse_foreign(machine)?;
    }
    let mut plan = Plan::default();
    plan.steps.extend(machine.stray.map(|pid| Step::EndDaemon { pid }));
    let changed: Vec<&Unit> = machine.units.iter().filter(|unit| is_to_be_written(unit, machine)).collect();
    let written_at = plan.steps.len();
    plan.steps.extend(changed.iter().map(|unit| Step::WriteFile {
        path: unit.path.clone(),
        text: unit.wanted.clone(),
        mode: 0o644,
    }));
    match machine.keeper {
        Keeper::Systemd => with_systemd(machine, !changed.is_empty(), &mut plan),
        Keeper::Launchd => with_launchd(machine, !changed.is_empty(), &mut plan),
        Keeper::Nobody(_) => {}
    }
    linger(machine, wish, &mut plan);
    if !plan.is_idle() {
        // Units of a package need them as well, and what others make in passing is in no receipt.
        let directory =
            |path: &std::path::PathBuf| Step::MakeDirectory { path: path.clone(), mode: mode(machine) };
        let made: Vec<Step> = machine.missing.iter().map(directory).collect();
        plan.steps.splice(written_at..written_at, made);
    }
    Ok(plan)
}

/// Directories of one user are that user's alone; those of the system are read by all.
const fn mode(machine: &Machine) -> u32 {
    match machine.scope {
        Scope::User => 0o700,
        Scope::System { .. } => 0o755,
    }
}

/// Refuses what would be done beside the instance by which root's service manager serves this user: two daemons cannot
/// have the same data.
fn refuse_served(machine: &Machine, deed: &str, mend: &str) -> Result<(), Trouble> {
    match &machine.served {
        None => Ok(()),
        Some(account) => Err(Trouble::refused(format!(
            "{}; {mend}: `karoctl service {deed} --system --for {account}`",
            served(account)
        ))),
    }
}

/// Says who runs the daemon of an account that has an instance of the template.
pub fn served(account: &str) -> String {
    format!("root's service manager runs karod for {account} (karod@{account}.service)")
}

/// Refuses where there is nobody to ask, and says what can be done all the same.
fn refuse_without_keeper(machine: &Machine) -> Result<(), Trouble> {
    match &machine.keeper {
        Keeper::Systemd | Keeper::Launchd => Ok(()),
        Keeper::Nobody(why) => Err(Trouble::refused(format!(
            "{why}; `karoctl service run` runs karod in the foreground, for a start-up file or a supervisor of yours"
        ))),
    }
}

/// Refuses an instance that would not find what it is to write in, and so would fail at every start.
fn refuse_other_home(machine: &Machine) -> Result<(), Trouble> {
    let Scope::System { account } = &machine.scope else { return Ok(()) };
    match &machine.home {
        None | Some(Home::Told) => Ok(()),
        Some(Home::Nowhere) => {
            Err(Trouble::refused(format!("there is no account {account} on this machine")))
        }
        Some(Home::Elsewhere(home)) => Err(Trouble::refused(format!(
            "the home of {account} is {}, and karod@.service looks in /home/{account}; first tell it and karod@.socket \
             in files beside them, as docs/service.md shows for homes elsewhere, then do this again",
            home.display()
        ))),
    }
}

fn refuse_foreign(machine: &Machine) -> Result<(), Trouble> {
    let is_foreign = |unit: &&Unit| unit.standing(&machine.receipt) == Standing::Foreign;
    let foreign: Vec<&Unit> = machine.units.iter().filter(is_foreign).collect();
    if foreign.is_empty() {
        return Ok(());
    }
    let told = |unit: &&Unit| {
        let there = String::from_utf8_lossy(unit.found.as_deref().unwrap_or_default()).into_owned();
        let lines = differing(&there, &unit.wanted);
        let lines = lines.iter().map(|line| format!("\n  {}", shown(line.as_bytes(), Newline::Arrow)));
        format!("{} (- is there, + would be written):{}", unit.path.display(), lines.collect::<String>())
    };
    let told: Vec<String> = foreign.iter().map(told).collect();
    Err(Trouble::refused(format!(
        "not written by karoctl, or changed since; --force overwrites it. {}",
        told.join("\n")
    )))
}

fn is_to_be_written(unit: &Unit, machine: &Machine) -> bool {
    match unit.standing(&machine.receipt) {
        Standing::Right | Standing::Packaged => false,
        Standing::Absent | Standing::Outdated | Standing::Foreign => true,
    }
}

/// The catalog is the whole machine's, so it is written with what else is.
fn writes_catalog(machine: &Machine) -> bool {
    machine.lacks_catalog && machine.scope != Scope::User
}

/// Makes a command of the service manager with the names of units.
fn ctl(machine: &Machine, deed: &[&str], units: &[&Unit]) -> Step {
    Step::run(&words(machine, deed, units))
}

fn try_ctl(machine: &Machine, deed: &[&str], units: &[&Unit]) -> Step {
    Step::try_run(&words(machine, deed, units))
}

fn words<'a>(machine: &Machine, deed: &[&'a str], units: &[&'a Unit]) -> Vec<&'a str> {
    let mut words = systemctl(&machine.scope);
    words.extend(deed);
    words.extend(units.iter().map(|unit| unit.name.as_str()));
    words
}

fn with_systemd(machine: &Machine, is_changed: bool, plan: &mut Plan) {
    let units: Vec<&Unit> = machine.units.iter().collect();
    if writes_catalog(machine) {
        plan.push(Step::WriteFile { path: CATALOG.into(), text: CATALOG_TEXT.to_owned(), mode: 0o644 });
        plan.push(Step::try_run(&["journalctl", "--update-catalog"]));
    }
    if is_changed || units.iter().any(|unit| unit.manner.needs_reload) {
        plan.push(ctl(machine, &["daemon-reload"], &[]));
    }
    let disabled: Vec<&Unit> = units.iter().copied().filter(|unit| !unit.manner.is_enabled()).collect();
    if !disabled.is_empty() {
        plan.push(ctl(machine, &["enable"], &disabled));
    }
    if is_changed && units.iter().any(|unit| unit.manner.is_active) {
        plan.push(ctl(machine, &["stop"], &units));
    }
    if is_changed {
        plan.push(try_ctl(machine, &["reset-failed"], &units));
        plan.push(ctl(machine, &["start"], &in_starting_order(&units)));
    } else {
        bring_up(machine, plan);
    }
}

/// The socket first: a service that runs already takes none.
fn in_starting_order<'a>(units: &[&'a Unit]) -> Vec<&'a Unit> {
    units.iter().rev().copied().collect()
}

/// Starts what does not run, whatever state it is in.
fn bring_up(machine: &Machine, plan: &mut Plan) {
    let units: Vec<&Unit> = machine.units.iter().collect();
    if units.iter().all(|unit| unit.manner.is_active) {
        return;
    }
    let is_socketless = machine.socket().is_some_and(|socket| !socket.manner.is_active);
    if let Some(service) = machine.service()
        && service.manner.is_active
        && is_socketless
    {
        // A socket does not start beside a service that runs.
        plan.push(ctl(machine, &["stop"], &[service]));
    }
    if units.iter().any(|unit| unit.manner.is_failed) {
        plan.push(try_ctl(machine, &["reset-failed"], &units));
    }
    plan.push(ctl(machine, &["start"], &in_starting_order(&units)));
}

fn domain(machine: &Machine) -> (String, String) {
    (format!("gui/{}", machine.uid), format!("gui/{}/{LABEL}", machine.uid))
}

fn with_launchd(machine: &Machine, is_changed: bool, plan: &mut Plan) {
    let Some(agent) = machine.service() else { return };
    let (domain, target) = domain(machine);
    if agent.manner.is_loaded && !is_changed {
        return;
    }
    if agent.manner.is_loaded {
        boot_out(machine, false, plan);
    }
    plan.push(Step::run(&["launchctl", "enable", &target]));
    plan.push(Step::run(&["launchctl", "bootstrap", &domain, &agent.path.to_string_lossy()]));
}

/// Has launchd forget the agent. It goes on with that after it has said so, and takes nothing of the same name before it
/// is done.
fn boot_out(machine: &Machine, may_fail: bool, plan: &mut Plan) {
    let (_, target) = domain(machine);
    let words = |deed: &str| ["launchctl", deed, &target].map(str::to_owned).to_vec();
    plan.push(Step::Run { command: words("bootout"), may_fail });
    plan.push(Step::AwaitGone { command: words("print") });
}

/// Lingering is switched on only where it is asked for.
fn linger(machine: &Machine, wish: Wish, plan: &mut Plan) {
    match machine.lingers {
        Some(false) if wish.linger => plan.push(Step::run(&["loginctl", "enable-linger"])),
        Some(false) => plan.explain(
            "karod runs while you are logged in; to keep it after your last logout too: `karoctl service install \
             --linger` (this is `loginctl enable-linger`, and holds for all your services)",
        ),
        Some(true) | None => {}
    }
}

/// Whose units are taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Those that karoctl has written or switched on, as the receipt says.
    Receipt,
    /// All of Karo's: nothing can be forgotten that a daemon holds, or that one writes anew at the next login.
    All,
}

/// Plans to take away what `install` did: files as they were written, and what was switched on.
pub fn uninstall(machine: &Machine) -> Plan {
    take_away(machine, Reach::Receipt)
}

/// As [`uninstall`], for whoever wants nothing of Karo any more: whoever wrote or switched on its units.
pub fn purge(machine: &Machine) -> Plan {
    take_away(machine, Reach::All)
}

/// Tells whether karoctl wrote the file of a unit.
fn is_written(unit: &Unit, machine: &Machine) -> bool {
    machine.receipt.files.iter().any(|written| written.path == unit.path)
}

/// Tells whether a unit is karoctl's to switch off: it switched it on, or wrote what it was switched on by.
fn is_switched_on(unit: &Unit, machine: &Machine) -> bool {
    machine.receipt.enabled.contains(&unit.name) || is_written(unit, machine)
}

/// Returns the units that are switched on, or run, although karoctl did not have it so: `uninstall` leaves them alone.
pub fn units_of_others(machine: &Machine) -> Vec<&Unit> {
    let is_on = |unit: &&Unit| unit.manner.is_loaded && (unit.manner.is_active || unit.manner.is_enabled());
    machine.units.iter().filter(is_on).filter(|unit| !is_switched_on(unit, machine)).collect()
}

fn take_away(machine: &Machine, reach: Reach) -> Plan {
    let mut plan = Plan::default();
    let units: Vec<&Unit> = machine.units.iter().collect();
    let is_ours = |unit: &&Unit| reach == Reach::All || is_switched_on(unit, machine);
    let known = units.iter().copied().filter(|unit| unit.manner.is_loaded);
    let known: Vec<&Unit> = known.filter(is_ours).collect();
    if reach == Reach::Receipt {
        tell_of_others(machine, &mut plan);
    }
    match machine.keeper {
        Keeper::Systemd if !known.is_empty() => {
            plan.push(try_ctl(machine, &["disable", "--now"], &in_starting_order(&known)));
        }
        Keeper::Launchd if !known.is_empty() => {
            boot_out(machine, true, &mut plan);
        }
        Keeper::Systemd | Keeper::Launchd | Keeper::Nobody(_) => {}
    }
    let mut is_removed = false;
    if !machine.sharers.is_empty() {
        let accounts: Vec<&str> = machine.sharers.iter().map(String::as_str).collect();
        plan.explain(format!("the template and the catalog stay for {}", accounts.join(", ")));
        return plan;
    }
    for unit in &units {
        match unit.standing(&machine.receipt) {
            Standing::Right if reach == Reach::Receipt && !is_written(unit, machine) => plan.explain(
                format!("{} stays: karoctl did not write it; remove it by hand", unit.path.display()),
            ),
            Standing::Right | Standing::Outdated => {
                plan.push(Step::RemoveFile { path: unit.path.clone() });
                is_removed = true;
            }
            Standing::Foreign => plan.explain(format!(
                "{} stays: karoctl did not write it, or it was changed since; remove it by hand",
                unit.path.display()
            )),
            Standing::Absent | Standing::Packaged => {}
        }
        plan.steps.extend(
            unit.manner.drop_ins.iter().map(|path| Step::Explain(format!("{path} stays: it is yours"))),
        );
    }
    if machine.receipt.files.iter().any(|written| written.path == std::path::Path::new(CATALOG)) {
        plan.push(Step::RemoveFile { path: CATALOG.into() });
        plan.push(Step::try_run(&["journalctl", "--update-catalog"]));
    }
    if machine.keeper == Keeper::Systemd && is_removed {
        plan.push(try_ctl(machine, &["daemon-reload"], &[]));
    }
    if machine.keeper == Keeper::Systemd && known.iter().any(|unit| unit.manner.is_failed) {
        plan.push(try_ctl(machine, &["reset-failed"], &known));
    }
    if machine.receipt.linger {
        plan.push(Step::try_run(&["loginctl", "disable-linger"]));
    }
    if let Some(account) = &machine.served {
        plan.explain(format!(
            "{} and goes on with it; root takes that away: `karoctl service uninstall --system --for {account}`",
            served(account)
        ));
    }
    plan
}

/// Says what goes on because somebody else has switched it on, and how it ends.
fn tell_of_others(machine: &Machine, plan: &mut Plan) {
    let others = units_of_others(machine);
    if others.is_empty() {
        return;
    }
    let names: Vec<&str> = others.iter().map(|unit| unit.name.as_str()).collect();
    let off = match machine.keeper {
        Keeper::Launchd => format!("launchctl bootout {}", domain(machine).1),
        Keeper::Systemd | Keeper::Nobody(_) => {
            words(machine, &["disable", "--now"], &in_starting_order(&others)).join(" ")
        }
    };
    plan.explain(format!("{} stays switched on: karoctl did not do that; `{off}` ends it", names.join(", ")));
}

/// Refuses where there is no unit to start, stop or look at.
fn refuse_uninstalled(machine: &Machine) -> Result<(), Trouble> {
    refuse_without_keeper(machine)?;
    if machine.is_installed() || machine.units.iter().any(|unit| unit.manner.is_loaded) {
        return Ok(());
    }
    Err(Trouble::refused("no unit of karod is installed; run `karoctl service install`"))
}

/// Plans to start what is installed.
///
/// # Errors
///
/// When nothing is installed, or a daemon runs that no unit started.
pub fn start(machine: &Machine) -> Result<Plan, Trouble> {
    refuse_served(machine, "start", ROOT_DOES)?;
    refuse_uninstalled(machine)?;
    if let Some(pid) = machine.stray {
        return Err(Trouble::refused(format!(
            "karod runs outside of its unit, as process {pid}; end it with `kill {pid}`, or run `karoctl service install`"
        )));
    }
    let mut plan = Plan::default();
    match machine.keeper {
        Keeper::Systemd => bring_up(machine, &mut plan),
        Keeper::Launchd => match machine.service().is_some_and(|agent| agent.manner.is_loaded) {
            true if machine.service().is_some_and(|agent| agent.manner.is_active) => {}
            true => plan.push(Step::run(&["launchctl", "kickstart", &domain(machine).1])),
            false => with_launchd(machine, false, &mut plan),
        },
        Keeper::Nobody(_) => {}
    }
    Ok(plan)
}

/// Plans to stop what is installed: the socket as well, or the next command would start karod again.
///
/// # Errors
///
/// When nothing is installed.
pub fn stop(machine: &Machine) -> Result<Plan, Trouble> {
    let running: Vec<&Unit> = machine.units.iter().filter(|unit| unit.manner.is_active).collect();
    // Units of their own that run beside root's can be stopped.
    if running.is_empty() {
        refuse_served(machine, "stop", ROOT_DOES)?;
    }
    refuse_uninstalled(machine)?;
    let mut plan = Plan::default();
    match machine.keeper {
        Keeper::Systemd if !running.is_empty() => plan.push(ctl(machine, &["stop"], &running)),
        Keeper::Launchd if machine.service().is_some_and(|agent| agent.manner.is_loaded) => {
            boot_out(machine, false, &mut plan);
        }
        Keeper::Systemd | Keeper::Launchd | Keeper::Nobody(_) => {}
    }
    plan.explain("until it is started again, or you log in anew, hooks put records into a spool");
    Ok(plan)
}

/// Plans to start anew, whether it runs, has stopped or was given up after too many failures.
///
/// # Errors
///
/// As [`start`].
pub fn restart(machine: &Machine) -> Result<Plan, Trouble> {
    refuse_served(machine, "restart", ROOT_DOES)?;
    let listens = machine.socket().is_none_or(|socket| socket.manner.is_active);
    if !listens || machine.stray.is_some() {
        return start(machine);
    }
    refuse_uninstalled(machine)?;
    let mut plan = Plan::default();
    let Some(service) = machine.service() else { return Ok(plan) };
    match machine.keeper {
        Keeper::Systemd => {
            let units: Vec<&Unit> = machine.units.iter().collect();
            if units.iter().any(|unit| unit.manner.needs_reload) {
                plan.push(ctl(machine, &["daemon-reload"], &[]));
            }
            // A unit that was given up refuses even to be started by hand.
            plan.push(try_ctl(machine, &["reset-failed"], &units));
            plan.push(ctl(machine, &["restart"], &[service]));
        }
        Keeper::Launchd if service.manner.is_loaded => {
            plan.push(Step::run(&["launchctl", "kickstart", "-k", &domain(machine).1]));
        }
        Keeper::Launchd => with_launchd(machine, false, &mut plan),
        Keeper::Nobody(_) => {}
    }
    Ok(plan)
}

#[cfg(test)]
#[path = "steps_tests.rs"]
mod tests;
