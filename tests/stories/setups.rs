//! What `karoctl setup` and `karoctl uninstall` do to a person's files, without a service manager.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use karo_tests::Karo;
use karo_tests::groups::{Team, had, yesterday};

/// Programs by which a person's own services could be reached, on a machine where they are.
const KEEPERS: [&str; 3] = ["systemctl", "loginctl", "launchctl"];

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
