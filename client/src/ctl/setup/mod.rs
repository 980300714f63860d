//! `karoctl setup`: from programs that lie on the disk to a recorded shell, each part shown and asked for.
//!
//! Nothing is looked for on any network, and nothing is done that `karoctl uninstall` does not undo.

pub mod parts;

use serde_json::json;

use self::parts::{Course, Found, Part, part};
use super::cli::{SetupArgs, SetupPart};
use super::exit::{Exit, Trouble};
use super::json;
use super::scene::Scene;
use super::service::machine::{Machine, Scope};
use super::service::runner::Runner;
use super::service::{show, spelling};
use super::shown::{Newline, shown};
use super::whose;

/// Runs the command.
///
/// # Errors
///
/// When nobody can be asked and nobody said yes, a place is another user's or cannot be written down, or a step fails;
/// what was done before it is written down.
pub fn run(scene: &mut Scene, args: &SetupArgs) -> Result<Exit, Trouble> {
    whose::refuse_foreign_places(scene)?;
    spelling::refuse_unwritable(scene)?;
    let machine = Machine::look(scene, Scope::User)?;
    let found = Found::look(args)?;
    if args.dry_run || !args.yes && !scene.has_person {
        show_parts(scene, &parts::parts(&machine, &found, args))?;
        return match args.dry_run {
            true => Ok(Exit::Done),
            false => Err(Trouble::usage(
                "nothing was done, for there is no terminal to ask on; add --yes to have all of this done",
            )),
        };
    }
    if !scene.is_json {
        writeln!(
            scene.out,
            "Karo records what you type into your shells, on this machine and for you alone."
        )?;
    }
    let mut runner = Runner::new(machine.uid, machine.receipt.clone(), Some(machine.receipt_path.clone()));
    let mut course = Course::begin(&machine);
    // Each part is planned when it is come to: what was said to those before makes a difference.
    for which in parts::wanted(args) {
        let part = part(which, &machine, &found, args, course);
        if do_part(scene, &part, args.yes, &mut runner)? {
            course = course.after(&part);
        }
    }
    tell_summary(scene, &machine, runner.has_changed, course.will_run)?;
    Ok(Exit::Done)
}

const fn title(part: SetupPart) -> &'static str {
    match part {
        SetupPart::Service => "service",
        SetupPart::Hooks => "hooks",
        SetupPart::History => "history",
    }
}

/// Says what would be done, whole.
fn show_parts(scene: &mut Scene, parts: &[Part]) -> Result<(), Trouble> {
    for part in parts {
        if scene.is_json {
            part.plan
                .steps
                .iter()
                .try_for_each(|step| json::write_line(&mut scene.out, &step.to_json(false)))?;
            continue;
        }
        heading(scene, part)?;
        scene.out.write_all(part.plan.text().as_bytes())?;
    }
    if !scene.is_json {
        writeln!(scene.out, "\nnothing was done")?;
    }
    Ok(())
}

fn heading(scene: &mut Scene, part: &Part) -> Result<(), Trouble> {
    let state = match &part.hindrance {
        Some(why) => format!(": left out: {}", shown(why.as_bytes(), Newline::Kept)),
        None if part.plan.is_idle() && part.part == SetupPart::History => ": nothing to take in".to_owned(),
        None if part.plan.is_idle() => ": it is so already".to_owned(),
        None => String::new(),
    };
    writeln!(scene.out, "\n{}{state}", title(part.part))?;
    Ok(())
}

/// Does a part, if it can be done and is agreed to, and tells whether it was.
fn do_part(scene: &mut Scene, part: &Part, yes: bool, runner: &mut Runner) -> Result<bool, Trouble> {
    if !scene.is_json {
        heading(scene, part)?;
    }
    if part.hindrance.is_some() {
        return Ok(false);
    }
    if !part.plan.is_idle() && !yes {
        for step in part.plan.steps.iter().filter(|step| step.is_deed()) {
            writeln!(scene.out, "  {}", step.line(false))?;
        }
        if !scene.confirm_seen(part.question)? {
            writeln!(scene.out, "left out")?;
            return Ok(false);
        }
    }
    runner.run(scene, &part.plan)?;
    Ok(true)
}

/// Says what holds from here on, where it lies and how it is undone.
fn tell_summary(
    scene: &mut Scene,
    machine: &Machine,
    has_changed: bool,
    will_run: bool,
) -> Result<(), Trouble> {
    let places = scene.places()?;
    let log = show::log(machine);
    if scene.is_json {
        let summary = json!({
            "changed": has_changed,
            "data": places.data.to_string_lossy(),
            "config": places.config.to_string_lossy(),
            "log": log,
            "explain": machine.catalog_command(),
            "undo": "karoctl uninstall",
        });
        return json::write_line(&mut scene.out, &summary);
    }
    let data = shown(places.data.as_os_str().as_encoded_bytes(), Newline::Arrow);
    let said = if has_changed { "Karo is set up." } else { "Nothing to do: Karo is set up already." };
    // Where no service manager starts karod, the person does.
    let start = if will_run { "" } else { "start      karoctl service run & (in your session's start-up)\n" };
    let explain = machine.catalog_command();
    let explain = explain
        .map_or_else(String::new, |command| format!("explain    {command} (then `journalctl -x` does)\n"));
    write!(
        scene.out,
        "\n{said}\n{start}\
         next       open a new terminal, type a command or two, then: karoctl query\n\
         kept       {data}: for you alone, without secrets; nothing leaves this machine\n\
         pause      export KARO_PAUSE=1 in a shell; a line that begins with a space is not recorded\n\
         log        {log}\n\
         {explain}\
         check      karoctl doctor\n\
         undo       karoctl uninstall; with --purge what was recorded goes too\n"
    )?;
    Ok(())
}
