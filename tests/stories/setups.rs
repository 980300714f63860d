//! What `karoctl setup` and `karoctl uninstall` do to a person's files, without a service manager.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use karo_tests::Karo;
use karo_tests::binaries::binaries;
use karo_tests::groups::{Team, had, yesterday};

use crate::pty::Pty;

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

/// Returns a `karoctl` with the other programs beside it, as they are installed; builds put them into several places.
fn installed(karo: &Karo) -> PathBuf {
    let programs = karo.root().join("programs");
    let karoctl = programs.join("karoctl");
    if !programs.exists() {
        fs::create_dir(&programs).expect("there is room");
        // It looks beside the file that it is, not beside a link to that.
        fs::copy(&binaries().karoctl, &karoctl).expect("there is room");
        for program in [&binaries().karod, &binaries().karo_observe] {
            let name = program.file_name().expect("it has a name");
            symlink(program, programs.join(name)).expect("the place is free");
        }
    }
    karoctl
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

/// Runs a program where a systemd seems to run that does whatever it is told, for root.
const BESIDE_SYSTEMD: &str = "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system /run/user/0/systemd/private && \
    chmod 700 /run/user/0 && exec \"$@\"";

/// Prepares `karoctl` beside a systemd that shows this of its units, and does nothing that it is told.
fn beside_systemd(karo: &Karo, shown: &str, arguments: &[&str]) -> Command {
    let units = karo.root().join("units");
    fs::write(&units, shown).expect("there is room");
    let program = karo.root().join("bin/systemctl");
    let script = format!("#!/bin/sh\ncase $* in *show*) cat {} ;; esac\n", units.display());
    fs::write(&program, script).expect("there is room");
    let mut command = karo.command(Path::new("unshare"));
    command.args(["--mount", "sh", "-c", BESIDE_SYSTEMD, "sh"]).arg(installed(karo)).args(arguments);
    command
}

/// Answers the questions of a program one by one, each when it is asked, and returns all that was shown.
fn answered(command: &Command, answers: &[&str]) -> (i32, String) {
    let mut terminal = Pty::start(command);
    for (place, answer) in answers.iter().enumerate() {
        let asked = |shown: &[u8]| memchr::memmem::find_iter(shown, "[y/N] ").nth(place).map(|_| ());
        terminal.read_until("a question", asked);
        terminal.write(format!("{answer}\n").as_bytes());
    }
    let code = terminal.ended().code().expect("it ends by itself");
    (code, String::from_utf8_lossy(terminal.shown()).replace("\r\n", "\n"))
}

#[test]
fn root_a_service_that_is_declined_leaves_the_rest_whole() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can show a karoctl another /run");
        return;
    }
    let mut karo = Karo::new();
    alone(&mut karo);
    karo.set("KARO_DATA_DIR", karo.home().join("share/karo"));
    fs::write(karo.home().join(".bashrc"), "alias ll='ls -l'").expect("there is room");
    fs::write(karo.home().join(".bash_history"), "make all\n").expect("there is room");
    let before = names(&karo.home());

    let (code, shown) = answered(&beside_systemd(&karo, "", &["setup"]), &["n", "y"]);
    assert_eq!(code, 0, "{shown}");
    for expected in
        ["left out: no karod runs", "karoctl import auto", "karoctl service run &", "karoctl uninstall"]
    {
        assert!(shown.contains(expected), "{expected} is not in\n{shown}");
    }
    let receipt = fs::read_to_string(karo.home().join("share/karo/receipt.json"));
    assert!(receipt.expect("what was done is written down").contains(".bashrc"));

    karo.ctl_ok(&["uninstall", "--yes"]);
    assert_eq!(fs::read(karo.home().join(".bashrc")).expect("it is there"), b"alias ll='ls -l'");
    karo.ctl_ok(&["uninstall", "--purge", "--yes"]);
    assert_eq!(names(&karo.home()), before);
}

#[test]
fn what_had_to_be_left_out_is_no_success() {
    let mut karo = Karo::new();
    alone(&mut karo);
    karo.set("SHELL", "/bin/bash");
    if Path::new("/run/systemd/system").exists() {
        eprintln!("skipped: a service manager runs here");
        return;
    }
    let set_up = |arguments: &[&str]| {
        karo.command(&installed(&karo)).args(arguments).output().expect("karoctl can be run")
    };
    let output = set_up(&["setup", "--yes"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("service: left out: systemd does not run this machine"), "{said}");
    assert!(
        said.contains("Karo is set up but for this: service; the reason is above.\nstart      "),
        "{said}"
    );
    let output = set_up(&["setup", "--yes", "--without", "service"]);
    let wanted = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{wanted}");
    assert!(wanted.contains("Nothing to do: Karo is set up already.\nstart      "), "{wanted}");

    let output = set_up(&["--json", "setup", "--yes"]);
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    assert_eq!((&lines[0]["step"], &lines[0]["part"]), (&"left-out".into(), &"service".into()));
    let summary = lines.last().expect("it says how it ended");
    assert_eq!(summary["left_out"], serde_json::json!(["service"]));
}

#[test]
fn questions_are_no_part_of_an_answer() {
    let mut karo = Karo::new();
    alone(&mut karo);
    fs::write(karo.home().join(".bashrc"), "").expect("there is room");
    let answer = karo.root().join("answer");
    let mut command = karo.command(Path::new("sh"));
    let script = format!("exec \"$@\" >{}", answer.display());
    command.args(["-c", &script, "sh"]).arg(&binaries().karoctl);
    command.args(["--json", "setup", "--without", "service", "--without", "history"]);
    let (code, shown) = answered(&command, &["n"]);
    assert!(code == 0 && shown.contains("  put the hook into ") && shown.contains("left out"), "{shown}");
    let answer = fs::read_to_string(answer).expect("it is there");
    let summary: serde_json::Value = serde_json::from_str(&answer).expect("it is one line of JSON");
    assert_eq!((&summary["changed"], &summary["left_out"]), (&false.into(), &serde_json::json!(["hooks"])));
}

#[test]
fn root_what_is_only_shown_starts_nothing() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can show a karoctl another /run");
        return;
    }
    let mut karo = Karo::new();
    alone(&mut karo);
    for name in ["identity.key", "notes"] {
        fs::write(karo.data().join(name), "").expect("there is room");
    }
    let units = "Id=karod.service\nLoadState=loaded\nActiveState=inactive\nUnitFileState=enabled\n\n\
        Id=karod.socket\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\n";
    let listener = UnixListener::bind(karo.socket()).expect("nobody has it");
    listener.set_nonblocking(true).expect("it can be asked without waiting");
    let mut command = beside_systemd(&karo, units, &["uninstall", "--purge", "--dry-run"]);
    let output = command.output().expect("karoctl can be run");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("run systemctl --user disable --now karod.socket karod.service\n"), "{said}");
    assert!(said.contains("if nothing else is in it:\n    identity.key\nnothing "), "{said}");
    let came = listener.accept().map(|_| ()).expect_err("whoever connects starts karod");
    assert_eq!(came.kind(), ErrorKind::WouldBlock);
    assert_eq!(names(&karo.data()), ["identity.key", "notes"]);
}

#[test]
fn a_home_that_no_unit_can_name_is_refused_before_the_first_step() {
    for name in [&b"h\xff"[..], b"h\nEnvironment=X=1"] {
        let mut karo = Karo::new();
        alone(&mut karo);
        let home = karo.root().join(OsStr::from_bytes(name));
        fs::create_dir(&home).expect("there is room");
        fs::write(home.join(".bashrc"), "mine").expect("there is room");
        karo.set("HOME", &home);
        let before = names(karo.root());
        for arguments in [&["setup", "--yes"][..], &["service", "install"], &["setup", "--dry-run"]] {
            let output = karo.ctl(arguments);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(4), "{arguments:?}: {said}");
            assert!(said.contains("so no unit can name it"), "{arguments:?}: {said}");
        }
        assert_eq!(names(karo.root()), before);
        assert_eq!(names(&home), [".bashrc"]);
        assert_eq!(fs::read(home.join(".bashrc")).expect("it is there"), b"mine");
        assert!(names(&karo.data()).is_empty());
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

#[test]
fn programs_of_a_package_are_named_by_the_link_that_stays() {
    let karo = Karo::new();
    let root = karo.root().canonicalize().expect("it is there");
    let (version, bin) = (root.join("brew/Cellar/karo/0.1.0/bin"), root.join("brew/bin"));
    fs::create_dir_all(&version).expect("there is room");
    fs::create_dir_all(&bin).expect("there is room");
    fs::copy(&binaries().karoctl, version.join("karoctl")).expect("there is room");
    std::os::unix::fs::symlink("../Cellar/karo/0.1.0/bin/karoctl", bin.join("karoctl"))
        .expect("there is room");
    let installed = karo.command(&bin.join("karoctl")).args(["shell", "install", "bash"]).output();
    assert!(installed.expect("it can be run").status.success());
    let rc = fs::read_to_string(karo.home().join(".bashrc")).expect("the hook is in it");
    assert!(rc.contains(&bin.join("karoctl").display().to_string()) && !rc.contains("Cellar"), "{rc}");
}
