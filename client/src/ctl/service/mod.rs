//! `karoctl service`: have karod looked after by the service manager of this machine, or run it in the foreground.
//!
//! | module | holds |
//! | --- | --- |
//! | [`machine`] | what is found here: service manager, units, files, what was done before |
//! | [`manner`] | what the service managers say of a unit |
//! | [`unit`](mod@unit) | the texts of the units, with this user's places filled in |
//! | [`steps`] | from what is found to what is to be done |
//! | [`plan`], [`runner`] | what is to be done, shown or carried out |
//! | [`spelling`] | which paths a unit and a receipt can name |
//! | [`receipt`] | what was done, for whoever undoes it |
//! | [`show`] | `karoctl service status` |
//! | [`template`] | the system's template: who is served by an instance of it |

pub mod machine;
pub mod manner;
pub mod plan;
pub mod receipt;
pub mod runner;
pub mod show;
pub mod spelling;
pub mod steps;
pub mod template;
pub mod unit;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use self::machine::{CATALOG_TEXT, Machine, Scope};
use self::plan::{Plan, Step, in_shell};
use self::runner::Runner;
use self::steps::Wish;
use super::cli::{DeedArgs, ScopeArgs, ServiceCommand};
use super::exit::{Exit, Trouble};
use super::json;
use super::scene::Scene;
use super::shell::own_path;
use super::whose;

/// Runs the command.
///
/// # Errors
///
/// When there is no service manager, a file is not ours to change, or a step fails.
pub fn run(scene: &mut Scene, command: &ServiceCommand) -> Result<Exit, Trouble> {
    match command {
        ServiceCommand::Install(args) => {
            spelling::refuse_unwritable(scene)?;
            let wish = Wish { force: args.force, linger: args.linger };
            deed(scene, &args.deed, &|machine| steps::install(machine, wish))
        }
        ServiceCommand::Uninstall(args) => deed(scene, args, &|machine| Ok(uninstall(machine))),
        ServiceCommand::Start(args) => deed(scene, args, &steps::start),
        ServiceCommand::Stop(args) => deed(scene, args, &steps::stop),
        ServiceCommand::Restart(args) => deed(scene, args, &steps::restart),
        ServiceCommand::Status(args) => status(scene, args),
        ServiceCommand::Catalog => {
            if scene.is_json {
                json::write_line(&mut scene.out, &json!({ "catalog": CATALOG_TEXT }))?;
            } else {
                scene.out.write_all(CATALOG_TEXT.as_bytes())?;
            }
            Ok(Exit::Done)
        }
        ServiceCommand::Run { dry_run } => run_here(scene, *dry_run),
    }
}

fn scope(args: &ScopeArgs) -> Result<Scope, Trouble> {
    if !args.system {
        return Ok(Scope::User);
    }
    let named = args.account.clone().or_else(|| std::env::var("SUDO_USER").ok());
    let account =
        named.ok_or_else(|| Trouble::usage("--system needs --for USER: whose commands are recorded"))?;
    let is_name = !account.is_empty()
        && !account.starts_with('-')
        && account.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    match is_name {
        true => Ok(Scope::System { account }),
        false => Err(Trouble::usage(format!("{account:?} is no name of an account that a unit can have"))),
    }
}

/// Plans, and carries it out or shows it.
fn deed(
    scene: &mut Scene,
    args: &DeedArgs,
    plan: &dyn Fn(&Machine) -> Result<Plan, Trouble>,
) -> Result<Exit, Trouble> {
    let scope = scope(&args.scope)?;
    if scope == Scope::User {
        whose::refuse_foreign_places(scene)?;
    }
    let machine = Machine::look(scene, scope)?;
    let plan = plan(&machine)?;
    if args.dry_run {
        return show_plan(scene, &plan);
    }
    if machine.scope != Scope::User && !rustix::process::geteuid().is_root() && !plan.is_idle() {
        return Err(Trouble::refused(
            "--system changes /etc/systemd/system and needs root: run it with sudo, or see it with --dry-run",
        ));
    }
    let mut runner = Runner::new(machine.uid, machine.receipt, Some(machine.receipt_path));
    runner.run(scene, &plan)?;
    if !runner.has_changed {
        nothing_to_do(scene)?;
    }
    Ok(Exit::Done)
}

/// Says that a plan had nothing left to do.
///
/// # Errors
///
/// When it cannot be written.
pub fn nothing_to_do(scene: &mut Scene) -> Result<(), Trouble> {
    if !scene.is_json {
        writeln!(scene.out, "nothing to do: it is so already")?;
    }
    Ok(())
}

/// Shows every file and every command, and does nothing.
///
/// # Errors
///
/// When it cannot be written.
pub fn show_plan(scene: &mut Scene, plan: &Plan) -> Result<Exit, Trouble> {
    if scene.is_json {
        plan.steps.iter().try_for_each(|step| json::write_line(&mut scene.out, &step.to_json(false)))?;
        return Ok(Exit::Done);
    }
    scene.out.write_all(plan.text().as_bytes())?;
    let said =
        if plan.is_idle() { "nothing to do: it is so already" } else { "nothing was done (--dry-run)" };
    writeln!(scene.out, "{said}")?;
    Ok(Exit::Done)
}

/// Plans to take the service away, with the directories that were made for its files.
fn uninstall(machine: &Machine) -> Plan {
    let mut plan = steps::uninstall(machine);
    let emptied = |path: &Path| Step::RemoveEmpty { path: path.to_owned() };
    let made = machine.receipt.directories.iter().rev().map(PathBuf::as_path);
    match &machine.scope {
        Scope::User => {
            let holds_units = |path: &&Path| machine.units.iter().any(|unit| unit.path.starts_with(path));
            plan.steps.extend(made.filter(holds_units).map(emptied));
        }
        Scope::System { account } => {
            let sockets = Path::new(template::SERVED);
            let own = Some(sockets.join(account)).filter(|path| path.is_dir());
            plan.steps.extend(own.as_deref().map(emptied));
            // Whoever goes last takes along what is there for all.
            if machine.sharers.is_empty() {
                plan.steps.extend(Some(sockets).filter(|path| path.is_dir()).map(emptied));
                let receipt = Some(&machine.receipt_path).filter(|path| path.is_file());
                plan.steps.extend(receipt.map(|path| Step::RemoveFile { path: path.clone() }));
                plan.steps.extend(made.map(emptied));
            }
        }
    }
    if plan.is_idle() {
        plan.explain("no unit of karoctl's is installed");
    }
    plan
}

fn status(scene: &mut Scene, args: &ScopeArgs) -> Result<Exit, Trouble> {
    let machine = Machine::look(scene, scope(args)?)?;
    if scene.is_json {
        json::write_line(&mut scene.out, &show::to_json(&machine))?;
    } else {
        let text = show::text(&show::lines(&machine, scene));
        scene.out.write_all(text.as_bytes())?;
    }
    let runs = machine.served.is_some() || machine.service().is_some_and(|service| service.manner.is_active);
    Ok(if runs { Exit::Done } else { Exit::NoDaemon })
}

/// Becomes the karod beside this karoctl.
fn run_here(scene: &mut Scene, dry_run: bool) -> Result<Exit, Trouble> {
    let karod = own_path()?.with_file_name("karod");
    if dry_run {
        let command = vec![karod.to_string_lossy().into_owned()];
        let plan = Plan { steps: vec![Step::Run { command, may_fail: false }] };
        return show_plan(scene, &plan);
    }
    scene.out.flush()?;
    // It returns only if that cannot be done.
    let error = Command::new(&karod).exec();
    let command = in_shell(&[karod.to_string_lossy().into_owned()]);
    Err(Trouble::refused(format!("{command} cannot be run: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_a_name_and_nothing_else() {
        let of = |account: &str| scope(&ScopeArgs { system: true, account: Some(account.to_owned()) });
        assert_eq!(of("ann"), Ok(Scope::System { account: "ann".to_owned() }));
        for account in ["", "-x", "a/../b", "a b", "a\n", "%i"] {
            assert_eq!(of(account).map_err(|trouble| trouble.exit), Err(Exit::Usage), "{account:?}");
        }
        assert_eq!(scope(&ScopeArgs::default()), Ok(Scope::User));
    }
}
