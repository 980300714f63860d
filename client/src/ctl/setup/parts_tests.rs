use super::*;
use crate::ctl::cli::HookMode;
use crate::ctl::service::machine::{Keeper, Unit};

fn args(without: &[SetupPart]) -> SetupArgs {
    SetupArgs { yes: true, dry_run: false, without: without.to_vec(), mode: HookMode::Client, linger: false }
}

fn machine(keeper: Keeper) -> Machine {
    let unit = |kind: &str| Unit {
        name: format!("karod.{kind}"),
        path: format!("/h/.config/systemd/user/karod.{kind}").into(),
        wanted: format!("[{kind}]\n"),
        ..Unit::default()
    };
    Machine {
        keeper,
        uid: 7,
        karod: "/h/.local/bin/karod".into(),
        has_karod: true,
        units: vec![unit("service"), unit("socket")],
        missing: vec!["/h/.local/share/karo".into()],
        lingers: Some(true),
        receipt_path: "/h/.local/share/karo/receipt.json".into(),
        ..Machine::default()
    }
}

fn shell(shell: HookedShell) -> FoundShell {
    FoundShell {
        shell,
        file: format!("/h/.{}rc", shell.name()).into(),
        lines: "hook\n".to_owned(),
        has_program: true,
        has_file: true,
        missing: None,
        is_login: false,
        unread: None,
        is_hooked: Ok(false),
    }
}

fn found() -> Found {
    let history = |name: &str, count| FoundHistory {
        file: format!("/h/{name}").into(),
        format: HistoryFormat::Bash,
        count: Ok(count),
    };
    Found {
        shells: vec![
            shell(HookedShell::Bash),
            FoundShell { has_program: false, ..shell(HookedShell::Zsh) },
            FoundShell { has_file: false, ..shell(HookedShell::Fish) },
        ],
        histories: vec![history(".bash_history", 12), history(".histfile", 0)],
    }
}

fn lines(part: &Part) -> Vec<String> {
    part.plan.steps.iter().map(|step| step.line(false)).collect()
}

#[test]
fn a_first_run_has_three_parts() {
    let parts = parts(&machine(Keeper::Systemd), &found(), &args(&[]));
    let [service, hooks, history] = parts.as_slice() else { panic!("three parts: {parts:?}") };
    assert_eq!(lines(service)[0], "make /h/.local/share/karo");
    assert_eq!(lines(hooks), ["put the hook into /h/.bashrc"]);
    assert_eq!(lines(history), ["take in /h/.bash_history (12 commands)"]);
    assert!(parts.iter().all(|part| part.hindrance.is_none()));
}

#[test]
fn a_shell_that_nobody_uses_is_left_alone_and_that_of_the_account_is_not() {
    let mut found = found();
    found.shells[2].is_login = true;
    found.shells[2].missing = Some("/h/.config/fish".into());
    let parts = parts(&machine(Keeper::Systemd), &found, &args(&[]));
    let expected = ["put the hook into /h/.bashrc", "make /h/.config/fish", "put the hook into /h/.fishrc"];
    assert_eq!(lines(&parts[1]), expected);
    found.shells.iter_mut().for_each(|shell| shell.is_hooked = Ok(true));
    let parts = super::parts(&machine(Keeper::Systemd), &found, &args(&[]));
    assert!(parts[1].plan.is_idle() && parts[1].hindrance.is_none());
    found.shells.iter_mut().for_each(|shell| shell.is_hooked = Err("half".to_owned()));
    let parts = super::parts(&machine(Keeper::Systemd), &found, &args(&[]));
    assert_eq!(parts[1].hindrance.as_deref(), Some("no hook for bash: half; no hook for fish: half"));
    found.shells[0].is_hooked = Ok(true);
    let parts = super::parts(&machine(Keeper::Systemd), &found, &args(&[]));
    assert_eq!(
        (parts[1].hindrance.as_ref(), lines(&parts[1])),
        (None, vec!["no hook for fish: half".to_owned()])
    );
    found.shells.clear();
    let parts = super::parts(&machine(Keeper::Systemd), &found, &args(&[]));
    assert!(parts[1].hindrance.is_some());
}

#[test]
fn a_login_that_would_not_be_recorded_is_told_to_whom_it_concerns() {
    let mut found = found();
    found.shells[0].unread = Some("bash reads another file".to_owned());
    let lines_of = |found: &Found| lines(&parts(&machine(Keeper::Systemd), found, &args(&[]))[1]);
    assert_eq!(lines_of(&found), ["put the hook into /h/.bashrc"]);
    found.shells[0].is_login = true;
    assert_eq!(lines_of(&found), ["put the hook into /h/.bashrc", "bash reads another file"]);
}

#[test]
fn without_a_service_manager_the_rest_is_done_and_the_way_is_named() {
    let parts = parts(&machine(Keeper::Nobody("nobody".to_owned())), &found(), &args(&[]));
    let why = parts[0].hindrance.as_deref().expect("there is nobody to ask");
    assert!(why.contains("`karoctl service run`"), "{why}");
    assert_eq!(lines(&parts[1]), ["make /h/.local/share/karo", "put the hook into /h/.bashrc"]);
    assert!(parts[2].hindrance.as_deref().is_some_and(|why| why.contains("`karoctl import auto`")));
}

#[test]
fn what_is_not_wanted_is_not_planned() {
    let without = [SetupPart::Service, SetupPart::History];
    let parts = parts(&machine(Keeper::Systemd), &found(), &args(&without));
    assert_eq!(parts.len(), 1);
    assert_eq!(parts[0].part, SetupPart::Hooks);
}

#[test]
fn a_service_that_is_declined_leaves_the_rest_whole() {
    let machine = machine(Keeper::Systemd);
    let course = Course::begin(&machine);
    let at = |which, course| part(which, &machine, &found(), &args(&[]), course);
    // Nothing was made so far, so what is done can be written down nowhere.
    let hooks = at(SetupPart::Hooks, course);
    assert_eq!(lines(&hooks), ["make /h/.local/share/karo", "put the hook into /h/.bashrc"]);
    let history = at(SetupPart::History, course.after(&hooks));
    assert!(history.hindrance.is_some_and(|why| why.contains("`karoctl import auto`")));
    let started = course.after(&at(SetupPart::Service, course));
    assert_eq!(lines(&at(SetupPart::Hooks, started)), ["put the hook into /h/.bashrc"]);
    assert!(at(SetupPart::History, started).hindrance.is_none());
    // Of a daemon that runs already it makes no difference what is said to the service.
    let machine = Machine { stray: Some(9), ..machine.clone() };
    assert!(Course::begin(&machine).will_run);
}

#[test]
fn a_history_is_taken_in_once() {
    let mut machine = machine(Keeper::Systemd);
    machine.receipt.took_in(Path::new("/h/.bash_history"));
    let parts = parts(&machine, &found(), &args(&[]));
    assert!(parts[2].plan.is_idle() && parts[2].hindrance.is_none());
}

#[test]
fn whom_roots_service_manager_serves_gets_hooks_and_history() {
    let machine = Machine {
        served: Some("ann".to_owned()),
        ..machine(Keeper::Nobody("ann has no session".to_owned()))
    };
    let parts = parts(&machine, &found(), &args(&[]));
    assert!(parts[0].plan.is_idle() && parts[0].hindrance.is_none(), "{parts:?}");
    assert_eq!(lines(&parts[0]), ["root's service manager runs karod for ann (karod@ann.service)"]);
    assert_eq!(lines(&parts[1]).last().map(String::as_str), Some("put the hook into /h/.bashrc"));
    assert_eq!(lines(&parts[2]), ["take in /h/.bash_history (12 commands)"]);
}
