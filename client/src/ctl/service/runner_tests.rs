use tempfile::TempDir;

use super::super::receipt::NAME;
use super::*;
use crate::ctl::cli::HookedShell;
use crate::ctl::samples::quiet_scene;
use crate::fake::private_directory;

/// A runner over a directory, with a `systemctl` that writes down what it is told and fails at `start`.
fn runner(directory: &TempDir) -> Runner {
    let bin = directory.path().join("bin");
    fs::create_dir(&bin).expect("there is room");
    let script = format!(
        "#!/bin/sh\necho \"$@\" >>{}/told\ncase $* in *start*) echo 'no such unit' >&2; exit 5;; esac\n",
        directory.path().display()
    );
    write(&bin.join("systemctl"), script.as_bytes(), 0o755).expect("there is room");
    let mut runner = Runner::new(7, Receipt::default(), Some(directory.path().join(NAME)));
    runner.path = Some(bin.into());
    runner
}

fn plan(steps: Vec<Step>) -> Plan {
    Plan { steps }
}

#[test]
fn what_is_done_is_written_down_and_can_be_undone() {
    let directory = private_directory();
    let at = |name: &str| directory.path().join(name);
    let (mut scene, written) = quiet_scene();
    let mut runner = runner(&directory);
    let deeds = plan(vec![
        Step::MakeDirectory { path: at("a/b"), mode: 0o700 },
        Step::WriteFile { path: at("a/b/unit"), text: "x\n".to_owned(), mode: 0o644 },
        Step::PutLines { shell: HookedShell::Fish, file: at("c/config.fish"), lines: "hook\n".to_owned() },
        Step::run(&["systemctl", "--user", "enable", "karod.socket"]),
        Step::Explain("that is all".to_owned()),
    ]);
    runner.run(&mut scene, &deeds).expect("all of it can be done");
    let receipt = Receipt::read(&at(NAME)).expect("it is written down");
    assert_eq!(receipt.directories, [at("a"), at("a/b"), at("c")]);
    assert_eq!(receipt.hooks[0].file, at("c/config.fish"));
    assert_eq!(receipt.enabled, ["karod.socket"]);
    assert!(receipt.is_as_written(&at("a/b/unit"), b"x\n"));
    assert_eq!(fs::metadata(at("a/b/unit")).expect("it is there").permissions().mode() & 0o777, 0o644);
    assert!(written.text().ends_with("ran systemctl --user enable karod.socket\nthat is all\n"));

    let mut undo = Runner { receipt, ..runner };
    let undone = plan(vec![
        Step::run(&["systemctl", "--user", "disable", "--now", "karod.socket"]),
        Step::RemoveFile { path: at("a/b/unit") },
        Step::TakeLines { file: at("c/config.fish") },
        Step::RemoveEmpty { path: at("c") },
        Step::RemoveEmpty { path: at("a/b") },
        Step::RemoveEmpty { path: at("a") },
    ]);
    undo.run(&mut scene, &undone).expect("all of it can be undone");
    assert!(!at("a").exists() && !at("c").exists());
    assert!(!at(NAME).exists(), "nothing is left to undo");
}

#[test]
fn what_cannot_be_written_down_is_said() {
    let directory = private_directory();
    let (mut scene, _) = quiet_scene();
    let mut runner = runner(&directory);
    runner.receipt_path = Some(directory.path().join("missing").join(NAME));
    runner
        .run(&mut scene, &plan(vec![Step::run(&["systemctl", "status"])]))
        .expect("nothing is to be undone");
    let deed = Step::MakeDirectory { path: directory.path().join("a"), mode: 0o700 };
    assert!(runner.run(&mut scene, &plan(vec![deed])).is_err(), "nobody would take it away again");
}

#[test]
fn a_command_that_fails_ends_the_plan_and_what_was_done_is_known() {
    let directory = private_directory();
    let unit = directory.path().join("unit");
    let (mut scene, _) = quiet_scene();
    let mut runner = runner(&directory);
    let deeds = plan(vec![
        Step::WriteFile { path: unit.clone(), text: "x\n".to_owned(), mode: 0o644 },
        Step::run(&["systemctl", "--user", "start", "karod.socket"]),
        Step::RemoveFile { path: unit.clone() },
    ]);
    let trouble = runner.run(&mut scene, &deeds).expect_err("it cannot be started");
    let expected = "`systemctl --user start karod.socket` failed with exit status: 5: no such unit";
    assert_eq!(trouble, Trouble::refused(expected));
    assert!(unit.exists());
    let receipt = Receipt::read(&directory.path().join(NAME)).expect("it is written down");
    assert!(receipt.is_as_written(&unit, b"x\n"));
    assert!(receipt.enabled.is_empty());
}

#[test]
fn a_command_that_may_fail_does_not() {
    let directory = private_directory();
    let (mut scene, _) = quiet_scene();
    let mut runner = runner(&directory);
    runner.run(&mut scene, &plan(vec![Step::try_run(&["systemctl", "start"])])).expect("it may fail");
    runner.run(&mut scene, &plan(vec![Step::try_run(&["no-such-program"])])).expect("it may fail");
    assert!(!runner.has_changed);
}

#[test]
fn only_what_is_empty_is_removed() {
    let directory = private_directory();
    let kept = directory.path().join("kept");
    fs::create_dir(&kept).expect("there is room");
    fs::write(kept.join("yours"), "").expect("there is room");
    let (mut scene, _) = quiet_scene();
    let mut runner = runner(&directory);
    runner.run(&mut scene, &plan(vec![Step::RemoveEmpty { path: kept.clone() }])).expect("it may stay");
    assert!(kept.join("yours").exists());
}

#[test]
fn a_link_is_replaced_and_not_followed() {
    let directory = private_directory();
    let (link, target) = (directory.path().join("unit"), directory.path().join("target"));
    fs::write(&target, "theirs").expect("there is room");
    std::os::unix::fs::symlink(&target, &link).expect("there is room");
    let (mut scene, _) = quiet_scene();
    let mut runner = runner(&directory);
    let deed = Step::WriteFile { path: link.clone(), text: "ours".to_owned(), mode: 0o644 };
    runner.run(&mut scene, &plan(vec![deed])).expect("there is room");
    assert_eq!(fs::read_to_string(&target).expect("it is there"), "theirs");
    assert_eq!(fs::read_to_string(&link).expect("it is there"), "ours");
}

#[test]
fn a_daemon_is_ended_in_order_and_by_force_only_if_it_must() {
    let (scene, _) = quiet_scene();
    let mut child = Command::new("sleep").arg("600").spawn().expect("there is a sleep");
    end_daemon(&scene, child.id()).expect("it ends");
    assert!(!child.wait().expect("it has ended").success());
}

#[test]
fn only_what_is_ours_is_swept() {
    let directory = private_directory();
    let data = directory.path().join("data");
    crate::fake::make_private(&data);
    for name in ["log", "views"] {
        fs::create_dir_all(data.join(name).join("deep")).expect("there is room");
    }
    for name in ["identity.key", "receipt.json", "thesis.tex"] {
        fs::write(data.join(name), "").expect("there is room");
    }
    let (mut scene, _) = quiet_scene();
    let mut runner = runner(&directory);
    let sweep = || plan(vec![Step::Sweep { path: data.clone(), what: Ours::Data, found: Vec::new() }]);
    runner.run(&mut scene, &sweep()).expect("it can be removed");
    let left: Vec<_> =
        fs::read_dir(&data).expect("it stays").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["thesis.tex"]);
    fs::remove_file(data.join("thesis.tex")).expect("it is ours");
    runner.run(&mut scene, &sweep()).expect("it can be removed");
    assert!(!data.exists());
}

#[test]
fn data_that_a_daemon_holds_is_not_removed() {
    let directory = private_directory();
    let data = directory.path().join("data");
    crate::fake::make_private(&data);
    let lock = fs::File::create(data.join("karod.lock")).expect("there is room");
    lock.lock().expect("nobody else has it");
    fs::write(data.join("identity.key"), "").expect("there is room");
    let (mut scene, _) = quiet_scene();
    let deed = plan(vec![Step::Sweep { path: data.clone(), what: Ours::Data, found: Vec::new() }]);
    let trouble = runner(&directory).run(&mut scene, &deed).expect_err("it is in use");
    assert!(trouble.message.starts_with("karod still runs on "), "{trouble}");
    assert!(data.join("identity.key").exists());
}

#[test]
fn what_lies_behind_a_link_is_not_swept() {
    let directory = private_directory();
    let (data, link) = (directory.path().join("theirs"), directory.path().join("data"));
    crate::fake::make_private(&data);
    fs::write(data.join("identity.key"), "").expect("there is room");
    std::os::unix::fs::symlink(&data, &link).expect("there is room");
    let (mut scene, _) = quiet_scene();
    let deed = plan(vec![Step::Sweep { path: link, what: Ours::Data, found: Vec::new() }]);
    assert!(runner(&directory).run(&mut scene, &deed).is_err());
    assert!(data.join("identity.key").exists());
}

#[test]
fn what_goes_away_by_itself_is_waited_for() {
    let directory = private_directory();
    let (mut scene, written) = quiet_scene();
    let mut runner = runner(&directory);
    // It shows something twice.
    let script = format!(
        "#!/bin/sh\necho x >>{0}\n[ $(wc -l <{0}) -le 2 ]\n",
        directory.path().join("asked").display()
    );
    write(&directory.path().join("bin/launchctl"), script.as_bytes(), 0o755).expect("there is room");
    runner.path = Some(
        std::env::join_paths([directory.path().join("bin"), "/usr/bin".into(), "/bin".into()])
            .expect("no colons"),
    );
    let command = ["launchctl", "print", "gui/7/x"].map(str::to_owned).to_vec();
    runner.run(&mut scene, &plan(vec![Step::AwaitGone { command }])).expect("it goes");
    assert_eq!(fs::read_to_string(directory.path().join("asked")).expect("it was asked"), "x\nx\nx\n");
    assert!(!runner.has_changed && written.text().is_empty());
}
