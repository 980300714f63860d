//! Cases 47 and 49: the daemon, the spool, the disk or the clock is not as it should be.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Command;

use karo_protocol::limits::SPOOL_FILES_MAX;
use karo_tests::binaries::binaries;
use karo_tests::is_root;
use rustix::fs::{FileType, Mode as FileMode};

use crate::arrivals::{Seen, modes};
use crate::hook::{HookShell, Mode};
use crate::in_shells;
use crate::shell::Setup;

in_shells! {
    case_47_daemon_frozen: bash zsh fish;
    case_47_client_waits: bash zsh fish;
    case_47_backlog_full: bash zsh fish;
    case_47_client_missing: bash zsh fish;
    case_47_spool_full: bash zsh fish;
    case_47_nothing_writable: bash zsh fish;
    case_47_spool_removed: bash zsh fish;
    case_47_spool_made: bash zsh fish;
    case_47_spool_open_to_others: bash zsh fish;
    root_case_47_disk_full: bash zsh fish;
    case_49_clock_set_back: bash zsh fish;
}

/// Somebody listens and never answers, as a daemon does that is stopped.
fn case_47_daemon_frozen(setup: Setup) {
    let socket = setup.home().join("karod.sock");
    let _listener = UnixListener::bind(&socket).expect("the place is ours");
    let mut shell = private(setup.socket_at(socket)).start();
    shell.run("echo one");
    shell.run("false");
    shell.expect(&[("echo one", 0), ("false", 1)]);
}

/// The prompt is there although no client has come to its end, and in the end all of them deliver.
fn case_47_client_waits(setup: Setup) {
    if setup.mode == Mode::Spool {
        return;
    }
    let (gate, observe) = (setup.home().join("gate"), setup.home().join("held-observe"));
    rustix::fs::mknodat(rustix::fs::CWD, &gate, FileType::Fifo, FileMode::RUSR | FileMode::WUSR, 0)
        .expect("the place is ours");
    // Each client takes one line before it goes on; the test holds both ends, so that none is refused.
    let mut gate_held = OpenOptions::new().read(true).write(true).open(&gate).expect("it is a pipe");
    let script = format!(
        "#!/bin/sh\nread -r turn <'{}'\nexec '{}' \"$@\"\n",
        gate.display(),
        binaries().karo_observe.display()
    );
    fs::write(&observe, script).expect("the place is ours");
    fs::set_permissions(&observe, Permissions::from_mode(0o755)).expect("the place is ours");
    let observe = observe.to_str().expect("the path is text").to_owned();
    let mut shell = setup.observe_at(&observe).start();
    shell.run("echo one");
    shell.run("false");
    gate_held.write_all(&[b'\n'; 64]).expect("a pipe holds that much");
    shell.expect(&[("echo one", 0), ("false", 1)]);
}

/// Nobody is even let in any more.
fn case_47_backlog_full(setup: Setup) {
    let socket = setup.home().join("karod.sock");
    let listener =
        rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM, None)
            .expect("there is a descriptor left");
    let address = rustix::net::SocketAddrUnix::new(&socket).expect("it is short");
    rustix::net::bind(&listener, &address).expect("the place is ours");
    rustix::net::listen(&listener, 0).expect("it is bound");
    let _waiting = std::os::unix::net::UnixStream::connect(&socket).expect("one waits");
    let mut shell = private(setup.socket_at(socket)).start();
    shell.run("echo one");
    shell.expect(&[("echo one", 0)]);
}

/// A socket counts only in a directory of one's own.
fn private(setup: Setup) -> Setup {
    fs::set_permissions(setup.home(), Permissions::from_mode(0o700)).expect("the place is ours");
    setup
}

fn case_47_client_missing(setup: Setup) {
    if !setup.sink.keeps_files() {
        return;
    }
    let mut shell = setup.observe_at("/nowhere/karo-observe").start();
    shell.run("echo one");
    shell.expect(&[("echo one", 0)]);
    assert!(!modes(&shell.setup.hook_spool()).is_empty());
}

/// The spool is never fuller than it may be; what could not be put there is counted, and told with the
/// first that can.
fn case_47_spool_full(setup: Setup) {
    if !setup.sink.keeps_files() {
        return;
    }
    if setup.mode == Mode::Client {
        // There karo-observe counts the files; the hook never sees them.
        return;
    }
    let spool = setup.hook_spool();
    for number in 0..SPOOL_FILES_MAX - 200 {
        fs::write(spool.join(format!("other{number}.e")), "").expect("the place is ours");
    }
    let mut shell = setup.start();
    for number in 0..200 {
        shell.run(&format!(": {number}"));
    }
    let count = modes(&spool).iter().filter(|(path, _)| path.extension().is_some()).count();
    assert!(count <= SPOOL_FILES_MAX, "{count}");
    for (path, _) in modes(&spool) {
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"other")) {
            fs::remove_file(path).expect("the place is ours");
        }
    }
    shell.run("echo again");
    let ended: Vec<_> = shell.arrived().into_values().filter(|sides| sides.end.is_some()).collect();
    let Some(last) = ended.last() else { panic!("nothing arrived") };
    assert_eq!(last.text(), "echo again");
    // A start may go before, and take the number with it.
    let dropped: u32 = ended
        .iter()
        .flat_map(|sides| [&sides.start, &sides.end].into_iter().flatten())
        .map(|side| side.dropped)
        .sum();
    assert_eq!(ended.len() - 1 + dropped as usize, 200);
    assert!(dropped > 0);
}

/// No place takes anything: the shell works, says nothing, and tells how many are missing.
fn case_47_nothing_writable(setup: Setup) {
    if !setup.sink.keeps_files() {
        return;
    }
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root may write everywhere");
        return;
    }
    let spools = [setup.hook_spool(), setup.client_spool()];
    let mut shell = setup.start();
    let set_mode = |mode| {
        for spool in &spools {
            fs::set_permissions(spool, Permissions::from_mode(mode)).expect("the place is ours");
        }
    };
    set_mode(0o500);
    for line in ["echo one", "echo two", "echo three"] {
        let shown = shell.run(line);
        assert!(!shown.contains("denied"), "{shown}");
    }
    set_mode(0o700);
    assert_dropped(&mut shell, 3);
}

#[track_caller]
fn assert_dropped(shell: &mut crate::shell::Shell, wanted: u32) {
    shell.run("echo again");
    let is_again = |sides: &Seen| sides.text() == "echo again" && sides.end.is_some();
    // Start and end travel apart, and either may carry the count.
    karo_tests::until("the next record has arrived with the count", || {
        let again = shell.arrived().into_values().find(is_again)?;
        let dropped: u32 = [&again.start, &again.end].into_iter().flatten().map(|side| side.dropped).sum();
        (dropped == wanted).then_some(())
    });
}

/// As it is when the last session of a user ends and a terminal multiplexer stays.
fn case_47_spool_removed(setup: Setup) {
    if !setup.sink.keeps_files() {
        return;
    }
    let spool = setup.hook_spool();
    let mut shell = setup.start();
    shell.run("true");
    fs::remove_dir_all(&spool).expect("the place is ours");
    shell.run("echo one");
    shell.run("echo two");
    let dropped = karo_tests::until("the place was made again", || {
        let ended: Vec<Seen> = shell.arrived().into_values().filter(|sides| sides.end.is_some()).collect();
        let both = ["echo one", "echo two"].map(|text| ended.iter().find(|sides| sides.text() == text));
        let both = both.into_iter().collect::<Option<Vec<_>>>()?;
        let sides = both.into_iter().flat_map(|sides| [&sides.start, &sides.end]).flatten();
        Some(sides.map(|side| side.dropped).sum::<u32>())
    });
    assert_eq!(dropped, 0, "{}", shell.pty.screen());
}

/// The directories above a spool that was made are as private as the spool itself, whatever the umask.
fn case_47_spool_made(setup: Setup) {
    if !setup.sink.keeps_files() {
        return;
    }
    let above = setup.home().join("run/karo");
    let mut shell = setup.before("umask 002").spooling_at(above.join("spool")).start();
    shell.run("echo one");
    shell.expect(&[("echo one", 0)]);
    for directory in [above.join("spool"), above.clone(), above.with_file_name("")] {
        let mode = fs::metadata(&directory).expect("it was made").permissions().mode();
        assert_eq!(mode & 0o7777, 0o700, "{}", directory.display());
    }
}

fn case_47_spool_open_to_others(setup: Setup) {
    if !setup.sink.keeps_files() {
        return;
    }
    fs::set_permissions(setup.hook_spool(), Permissions::from_mode(0o777)).expect("the place is ours");
    let mut shell = setup.start();
    shell.run("echo one");
    shell.expect(&[("echo one", 0)]);
    assert!(modes(&shell.setup.hook_spool()).is_empty());
}

/// A file system of a few pages, unmounted at the end.
struct Small(std::path::PathBuf);

impl Drop for Small {
    fn drop(&mut self) {
        // The directory stays behind with a message of its own if this does not work.
        _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn root_case_47_disk_full(setup: Setup) {
    if !setup.sink.keeps_files() {
        return;
    }
    if !is_root("a small file system") {
        return;
    }
    let spools = [setup.hook_spool(), setup.client_spool()];
    let _mounts = spools.clone().map(|spool| {
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=32k,mode=700", "none"])
            .arg(&spool)
            .status()
            .expect("mount(8) is installed");
        assert!(status.success());
        Small(spool)
    });
    let mut shell = setup.start();
    for spool in &spools {
        // What is left of the file system after this is nothing.
        assert!(fs::write(spool.join("filler"), vec![b'x'; 40 * 1024]).is_err());
    }
    for (turn, line) in ["echo one", "echo two", "echo three"].into_iter().enumerate() {
        let shown = shell.run(line);
        // fish itself complains of a full disk, past every redirection; the hook does not let it twice.
        let is_fishs_own = turn == 0 && shell.kind() == HookShell::Fish;
        assert!(is_fishs_own || !shown.contains("space"), "{shown}");
    }
    for spool in &spools {
        fs::remove_file(spool.join("filler")).expect("it is there");
    }
    if shell.setup.mode == Mode::Spool {
        assert_dropped(&mut shell, 3);
    } else {
        // The hook cannot see what its client met; the numbers tell.
        shell.run("echo again");
        let seen = karo_tests::until("the next record has arrived", || {
            shell.arrived().into_iter().find(|(_, sides)| sides.text() == "echo again" && sides.end.is_some())
        });
        assert_eq!(seen.0, 4);
    }
}

fn case_49_clock_set_back(setup: Setup) {
    let lines = match setup.shell {
        HookShell::Bash => ["unset EPOCHREALTIME; EPOCHREALTIME=2000.000000", "EPOCHREALTIME=1000.000000"],
        HookShell::Zsh => {
            ["zmodload -u zsh/datetime; typeset -ga epochtime; epochtime=(2000 0)", "epochtime=(1000 0)"]
        }
        HookShell::Fish => ["set -g __clock 1", "set __karo_clock (math $__karo_clock - 10000000000)"],
    };
    let mut shell = setup.start();
    for line in lines {
        shell.run(line);
    }
    shell.run("true");
    let seen = shell.finish_noisy();
    let set_back = seen.iter().find(|sides| sides.text() == lines[1]).expect("it was seen");
    assert_eq!(set_back.duration_us(), 0);
}
