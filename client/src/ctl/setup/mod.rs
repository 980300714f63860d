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
use super::service::machine::{Keeper, Machine, Scope};
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
    let mut left_out: Vec<(SetupPart, Why)> = Vec::new();
    for which in parts::wanted(args) {
        let part = part(which, &machine, &found, args, course);
        match do_part(scene, &part, args.yes, &mut runner)? {
            None => course = course.after(&part),
            Some(why) => left_out.push((which, why)),
        }
    }
    let end = End { has_changed: runner.has_changed, will_run: course.will_run, left_out };
    tell_summary(scene, &machine, &end)?;
    Ok(if end.hindered().is_empty() { Exit::Done } else { Exit::Refused })
}

/// Why a part was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// It cannot be done here.
    Hindered,
    /// The person said no.
    Declined,
}

/// How a run ended.
struct End {
    has_changed: bool,
    will_run: bool,
    left_out: Vec<(SetupPart, Why)>,
}

impl End {
    /// Names the parts that were wanted and could not be done.
    fn hindered(&self) -> Vec<&'static str> {
        // A history that waits for a daemon is no trouble of its own: whoever has one takes it in.
        let is_trouble =
            |(part, why): &&(SetupPart, Why)| *why == Why::Hindered && *part != SetupPart::History;
        self.left_out.iter().filter(is_trouble).map(|(part, _)| title(*part)).collect()
    }

    /// Tells whether karod is to be started by hand from here on; beside a unit that is somebody else's it is not.
    fn is_by_hand(&self, keeper: &Keeper) -> bool {
        let is_refused = self.left_out.contains(&(SetupPart::Service, Why::Hindered));
        !self.will_run && (matches!(keeper, Keeper::Nobody(_)) || !is_refused)
    }

    fn sentence(&self) -> String {
        let hindered = self.hindered();
        if !hindered.is_empty() {
            return format!("Karo is set up but for this: {}; the reason is above.", hindered.join(", "));
        }
        let sentence = match (self.has_changed, self.left_out.is_empty()) {
            (true, _) => "Karo is set up.",
            (false, true) => "Nothing to do: Karo is set up already.",
            (false, false) => "Nothing was changed.",
        };
        sentence.to_owned()
    }
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
            write_hindrance(scene, part)?;
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

/// Says to a program what is left out, and why.
fn write_hindrance(scene: &mut Scene, part: &Part) -> Result<(), Trouble> {
    let Some(why) = &part.hindrance else { return Ok(()) };
    let line = json!({ "step": "left-out", "part": title(part.part), "why": why });
    json::write_line(&mut scene.out, &line)
}

/// Does a part, if it can be done and is agreed to, and tells why it was not.
fn do_part(scene: &mut Scene, part: &Part, yes: bool, runner: &mut Runner) -> Result<Option<Why>, Trouble> {
    if scene.is_json {
        write_hindrance(scene, part)?;
    } else {
        heading(scene, part)?;
    }
    if part.hindrance.is_some() {
        return Ok(Some(Why::Hindered));
    }
    if !part.plan.is_idle() && !yes {
        for step in part.plan.steps.iter().filter(|step| step.is_deed()) {
            scene.show_beside(&format!("  {}", step.line(false)))?;
        }
        if !scene.confirm_seen(part.question)? {
            scene.show_beside("left out")?;
            return Ok(Some(Why::Declined));
        }
    }
    runner.run(scene, &part.plan)?;
    Ok(None)
}

/// Says what holds from here on, where it lies and how it is undone.
fn tell_summary(scene: &mut Scene, machine: &Machine, end: &End) -> Result<(), Trouble> {
    let places = scene.places()?;
    let log = show::log(machine);
    if scene.is_json {
        let summary = json!({
            "changed": end.has_changed,
            "left_out": end.left_out.iter().map(|(part, _)| title(*part)).collect::<Vec<_>>(),
            "data": places.data.to_string_lossy(),
            "config": places.config.to_string_lossy(),
            "log": log,
            "explain": machine.catalog_command(),
            "undo": "karoctl uninstall",
        });
        return json::write_line(&mut scene.out, &summary);
    }
    let data = shown(places.data.as_os_str().as_encoded_bytes(), Newline::Arrow);
    let said = end.sentence();
    // Where no service manager starts karod, the person does.
    let explain = machine.catalog_command();
    let explain = explain
        .map_or_else(String::new, |command| format!("explain    {command} (then `journalctl -x` does)\n"));
    let start = match machine.has_karod && end.is_by_hand(&machine.keeper) {
        true => "start      karoctl service run & (in your session's start-up)\n",
        false => "",
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_says_what_was_left_out_and_whose_karod_is() {
        let nobody = Keeper::Nobody("nobody".to_owned());
        let end = |has_changed, will_run, left_out: &[(SetupPart, Why)]| End {
            has_changed,
            will_run,
            left_out: left_out.to_vec(),
        };
        let refused =
            end(true, false, &[(SetupPart::Service, Why::Hindered), (SetupPart::History, Why::Hindered)]);
        assert_eq!(refused.sentence(), "Karo is set up but for this: service; the reason is above.");
        assert!(refused.is_by_hand(&nobody), "nobody else starts it");
        assert!(!refused.is_by_hand(&Keeper::Systemd), "there is a unit that somebody has changed");
        let declined = end(true, false, &[(SetupPart::Service, Why::Declined)]);
        assert_eq!((declined.sentence().as_str(), declined.hindered().len()), ("Karo is set up.", 0));
        assert!(declined.is_by_hand(&Keeper::Systemd));
        assert_eq!(end(false, true, &[]).sentence(), "Nothing to do: Karo is set up already.");
        let nothing = end(false, true, &[(SetupPart::Hooks, Why::Declined)]);
        assert_eq!(nothing.sentence(), "Nothing was changed.");
        assert!(!nothing.is_by_hand(&nobody), "one runs");
    }
}
