//! `karoctl uninstall`: ends karod and takes away what karoctl wrote and switched on; with `--purge` what Karo kept as well.
//!
//! It needs no daemon: what it takes away it finds in the receipt, in the rc files and in the places of this user.

pub mod plan;

use std::path::Path;

use karo_protocol::local::Status;

use self::plan::{Traces, plan};
use super::cli::UninstallArgs;
use super::exit::{Exit, Trouble};
use super::lasting::is_versioned;
use super::scene::Scene;
use super::service::machine::{CATALOG, Machine, Scope};
use super::service::plan::in_shell;
use super::service::runner::Runner;
use super::service::{nothing_to_do, show_plan, steps};
use super::shell::own_path;
use super::shown::{Newline, shown};
use super::status;
use super::whose;
use crate::ctl::status::bytes;

/// What has to be typed before everything is forgotten.
const WORD: &str = "forget";

/// Runs the command.
///
/// # Errors
///
/// When nobody agrees, a place is another user's, or something cannot be removed.
pub fn run(scene: &mut Scene, args: UninstallArgs) -> Result<Exit, Trouble> {
    whose::refuse_foreign_places(scene)?;
    let places = scene.places()?;
    // Asked before the machine is looked at: the question may be what starts a daemon that systemd holds ready.
    let is_asked = args.purge && !args.yes && !args.dry_run;
    let status =
        is_asked.then(|| scene.connect().and_then(|mut connection| status::ask(&mut connection)).ok());
    let status = status.flatten();
    let machine = Machine::look(scene, Scope::User)?;
    if args.purge {
        refuse_served(&machine)?;
        refuse_apart(&machine)?;
    }
    let traces = Traces::look(&places, &machine.receipt);
    let plan = plan(&machine, &traces, args.purge);
    if args.dry_run {
        return show_plan(scene, &plan);
    }
    if plan.is_idle() {
        nothing_to_do(scene)?;
        return Ok(Exit::NothingFound);
    }
    if !args.yes {
        let lost = || lost(status.as_ref(), traces.data.as_deref(), traces.config.is_some());
        agree(scene, &plan, args.purge.then(lost))?;
    }
    let receipt_path = (!args.purge).then_some(machine.receipt_path);
    Runner::new(machine.uid, machine.receipt, receipt_path).run(scene, &plan)?;
    tell_rest(scene, &traces, args.purge)?;
    Ok(Exit::Done)
}

/// Refuses to forget what a daemon has that only root can end.
fn refuse_served(machine: &Machine) -> Result<(), Trouble> {
    match &machine.served {
        None => Ok(()),
        Some(account) => Err(Trouble::refused(format!(
            "nothing was done: {} on what --purge would forget; root first takes that away: \
             `karoctl service uninstall --system --for {account}`",
            steps::served(account)
        ))),
    }
}

/// Refuses to forget what lies in places of which only the unit knows: something else would be forgotten.
fn refuse_apart(machine: &Machine) -> Result<(), Trouble> {
    let apart = machine.apart();
    if apart.is_empty() {
        return Ok(());
    }
    let set: Vec<String> = apart.iter().map(|(name, there)| in_shell(&[format!("{name}={there}")])).collect();
    Err(Trouble::refused(format!(
        "nothing was done: what you have changed beside the unit has karod keep things elsewhere; run `karoctl uninstall`, \
         then `env {} karoctl uninstall --purge`",
        set.join(" ")
    )))
}

/// Says what will be lost for good.
fn lost(status: Option<&Status>, data: Option<&Path>, has_config: bool) -> String {
    let mut lost = Vec::new();
    if let Some(status) = status {
        lost.push(format!("{} events", status.store.events));
        lost.push(match status.mesh.fingerprint {
            Some(fingerprint) => {
                format!("the key of this machine ({fingerprint}, known to {} peers)", status.mesh.peers)
            }
            None => "the key of this machine".to_owned(),
        });
    } else if let Some(data) = data {
        lost.push(format!(
            "all that was recorded ({} in {}; karod does not answer, so the events are not counted)",
            bytes(bytes_below(data)),
            shown(data.as_os_str().as_encoded_bytes(), Newline::Arrow)
        ));
        lost.push("the key of this machine".to_owned());
    }
    lost.extend(has_config.then(|| "the configuration".to_owned()));
    match lost.split_last() {
        None => "what is left of Karo here".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

fn bytes_below(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => bytes_below(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Shows what will be done, and asks; before anything is forgotten a word has to be typed.
fn agree(scene: &mut Scene, plan: &super::service::plan::Plan, lost: Option<String>) -> Result<(), Trouble> {
    if !scene.has_person {
        return Err(Trouble::usage(
            "nothing was done, for there is no terminal to ask on; see it with --dry-run, or add --yes",
        ));
    }
    for step in &plan.steps {
        scene.show_beside(&format!("  {}", step.line(false)))?;
    }
    let Some(lost) = lost else {
        return match scene.confirm_seen("do all of this?")? {
            true => Ok(()),
            false => Err(Trouble::refused("nothing was done")),
        };
    };
    let question = format!("this forgets for good: {lost}. Nothing brings it back. Type {WORD} to go on:");
    match scene.typed(&question)? == WORD {
        true => Ok(()),
        false => Err(Trouble::refused("nothing was done")),
    }
}

/// Says what is left and how it goes.
fn tell_rest(scene: &mut Scene, traces: &Traces, purge: bool) -> Result<(), Trouble> {
    if scene.is_json {
        return Ok(());
    }
    writeln!(scene.out)?;
    if let Some(data) = traces.data.as_ref().filter(|_| !purge) {
        let data = shown(data.as_os_str().as_encoded_bytes(), Newline::Arrow);
        writeln!(
            scene.out,
            "kept       {data}, all that was recorded; `karoctl uninstall --purge` forgets it"
        )?;
    }
    if !traces.rc_files.is_empty() {
        writeln!(scene.out, "shells     those that are open have the hook until they end: close them")?;
    }
    let programs = own_path()?;
    let directory = programs.parent().unwrap_or(Path::new("/"));
    writeln!(scene.out, "programs   {}", how_programs_go(directory))?;
    writeln!(scene.out, "journal    what karod logged stays in the system's journal until that forgets it")?;
    if Path::new(CATALOG).exists() {
        writeln!(scene.out, "explain    sudo rm {CATALOG} && sudo journalctl --update-catalog")?;
    }
    Ok(())
}

/// Says who takes away the programs, by where they lie.
fn how_programs_go(directory: &Path) -> String {
    let named = shown(directory.as_os_str().as_encoded_bytes(), Newline::Arrow);
    if directory.ends_with(".cargo/bin") {
        return "cargo uninstall karo-daemon karo-client".to_owned();
    }
    let is_of_package = directory == Path::new("/usr/bin")
        || directory.join("karoctl").canonicalize().is_ok_and(|program| is_versioned(&program));
    match is_of_package {
        true => format!("they lie in {named}: the package manager that brought them takes them away"),
        false => format!("rm {named}/karod {named}/karoctl {named}/karo-observe"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::samples;
    use crate::ctl::service::plan::{Plan, Step};

    #[test]
    fn nothing_is_forgotten_before_the_word_is_typed() {
        let (mut scene, written) = samples::quiet_scene();
        let plan = Plan { steps: vec![Step::RemoveFile { path: "/x".into() }] };
        let lost = || Some("7 events".to_owned());
        let alone = agree(&mut scene, &plan, lost()).expect_err("nobody can be asked");
        assert_eq!(alone.exit, Exit::Usage);
        scene.has_person = true;
        scene.word = |question| {
            assert!(question.starts_with("this forgets for good: 7 events. "), "{question}");
            Ok("yes".to_owned())
        };
        assert_eq!(agree(&mut scene, &plan, lost()), Err(Trouble::refused("nothing was done")));
        scene.word = |_| Ok(WORD.to_owned());
        assert_eq!(agree(&mut scene, &plan, lost()), Ok(()));
        assert!(written.text().starts_with("  remove /x\n"));
        scene.person = |_| Ok(false);
        assert_eq!(agree(&mut scene, &plan, None), Err(Trouble::refused("nothing was done")));
    }

    #[test]
    fn what_is_lost_is_said() {
        let status = samples::status();
        let expected = "123456 events, the key of this machine and the configuration";
        assert_eq!(lost(Some(&status), None, true), expected);
        assert_eq!(lost(Some(&status), None, false), "123456 events and the key of this machine");
        assert_eq!(lost(None, None, true), "the configuration");
        assert_eq!(lost(None, None, false), "what is left of Karo here");
        let directory = crate::fake::private_directory();
        std::fs::create_dir(directory.path().join("log")).expect("there is room");
        std::fs::write(directory.path().join("log/1"), vec![0; 2048]).expect("there is room");
        let text = lost(None, Some(directory.path()), false);
        assert!(text.starts_with("all that was recorded (2.0 KiB in "), "{text}");
    }

    #[test]
    fn programs_are_left_to_whoever_brought_them() {
        let cases = [
            ("/home/ann/.cargo/bin", "cargo uninstall karo-daemon karo-client"),
            ("/usr/bin", "they lie in /usr/bin: the package manager that brought them takes them away"),
            ("/opt/k", "rm /opt/k/karod /opt/k/karoctl /opt/k/karo-observe"),
        ];
        for (directory, expected) in cases {
            assert_eq!(how_programs_go(Path::new(directory)), expected);
        }
        let prefix = crate::fake::private_directory();
        let cellar = prefix.path().join("Cellar/karo/0.1.0/bin");
        std::fs::create_dir_all(&cellar).expect("there is room");
        std::fs::write(cellar.join("karoctl"), "").expect("there is room");
        std::os::unix::fs::symlink(&cellar, prefix.path().join("bin")).expect("there is room");
        assert!(how_programs_go(&prefix.path().join("bin")).ends_with("brought them takes them away"));
    }
}
