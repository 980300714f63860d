//! What `karoctl setup` and `karoctl uninstall` do to a person's files, without a service manager.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use karo_tests::Karo;
use karo_tests::groups::{Team, had, yesterday};

/// Programs by which a person's own services could be reached, on a machine where they are.
const KEEPERS: [&str; 3] = ["systemctl", "loginctl", "launchctl"];

/// A user who is nobody here.
const ANOTHER: u32 = 12_345;

/// Hides the service manager of whoever runs the tests: nothing of a story may be said to it.
fn alone(karo: &mut Karo) {
    let bin = karo.root().join("bin");
    fs::create_dir(&bin).expect("there is room");
    for name in KEEPERS {
        let program = bin.join(name);
        fs::write(&program, "#!/bin/sh\nexit 1\n").expect("there is room");
        fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("it is ours");
    }
    let path = std::env::var("PATH").expect("there is a path");
    karo.set("PATH", format!("{}:{path}", bin.display()));
}

/// Returns the names in a directory, sorted.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("it is there").flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

#[test]
fn root_what_is_another_users_stays_as_it_is() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can write into what is another user's");
        return;
    }
    let mut karo = Karo::new();
    alone(&mut karo);
    let rc = karo.home().join(".bashrc");
    fs::write(&rc, "alias ll='ls -l'\n").expect("there is room");
    for path in [karo.home(), rc.clone()] {
        chown(path, Some(ANOTHER), Some(ANOTHER)).expect("root may");
    }
    let before = names(&karo.home());
    for arguments in [
        &["setup", "--yes"][..],
        &["uninstall", "--yes"],
        &["service", "install"],
        &["service", "uninstall"],
        &["shell", "install", "bash"],
        &["shell", "install", "fish"],
    ] {
        let output = karo.ctl(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(4), "{arguments:?}: {said}");
        assert!(said.contains("belongs to another user (uid 12345; this is uid 0"), "{arguments:?}: {said}");
        assert_eq!(names(&karo.home()), before, "{arguments:?}");
        assert_eq!(fs::metadata(&rc).expect("it is there").uid(), ANOTHER, "{arguments:?}");
    }
}

#[test]
fn a_purge_knows_all_that_karod_keeps() {
    let mut team = Team::of(5);
    for node in &team.nodes {
        had(node, yesterday(), &[("git status", 0), ("make", 2)]);
    }
    team.close(0);
    let karo = &mut team.nodes[1].karo;
    alone(karo);
    assert!(karo.stop().success());
    let kept = names(&karo.data());
    for name in ["identity.key", "karod.lock", "log", "reports", "views"] {
        assert!(kept.iter().any(|have| have == name), "{name} is not in {kept:?}");
    }
    karo.ctl_ok(&["uninstall", "--purge", "--yes"]);
    assert!(!karo.data().exists(), "{:?} stay", names(&karo.data()));
}
