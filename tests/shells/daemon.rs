//! A day with a real daemon: it runs, is frozen, is killed, is away, and comes back.
//!
//! Whatever it does, the shell shows the same, and afterwards every command is there, once.

use crate::arrivals::Sink;
use crate::hook::{HookShell, Mode};
use crate::in_shells;
use crate::shell::{Setup, Shell};

in_shells! {
    every_command_is_there_afterwards: bash zsh fish;
    a_daemon_is_enough: bash zsh fish;
}

/// Where no spool can be made at all, a client still reaches the daemon, and what the hook alone would write is counted.
fn a_daemon_is_enough(setup: Setup) {
    let mode = setup.mode;
    let mut shell = setup.with_daemon().spooling_at("/proc/nowhere/spool".into()).start();
    shell.run("echo one");
    shell.run("sh -c 'exit 3'");
    if mode == Mode::Client {
        shell.expect(&[("echo one", 0), ("sh -c 'exit 3'", 3)]);
    } else {
        assert!(shell.arrived().is_empty());
    }
    assert!(!shell.pty.screen().contains("karo"), "{}", shell.pty.screen());
}

fn every_command_is_there_afterwards(setup: Setup) {
    let mut shell = setup.with_daemon().start();
    let mut wanted = Vec::new();
    type_some(&mut shell, "running", &mut wanted);
    daemon(&mut shell).freeze();
    type_some(&mut shell, "frozen", &mut wanted);
    daemon(&mut shell).thaw();
    type_some(&mut shell, "thawed", &mut wanted);
    daemon(&mut shell).kill();
    type_some(&mut shell, "away", &mut wanted);
    daemon(&mut shell).launch();
    type_some(&mut shell, "back", &mut wanted);
    let found: Vec<_> = shell.finish().iter().map(|sides| (sides.text(), sides.exit())).collect();
    assert_eq!(found, wanted);
    daemon(&mut shell).wait_until_spool_is_empty();
    let events = daemon(&mut shell).session().texts();
    for (text, _) in &wanted {
        assert_eq!(events.iter().filter(|event| *event == text).count(), 1, "{text}: {events:?}");
    }
}

fn daemon(shell: &mut Shell) -> &mut karo_tests::Karo {
    match &mut shell.setup.sink {
        Sink::Daemon(karo) => karo,
        Sink::Files | Sink::Shared(_) => panic!("it was started with a daemon of its own"),
    }
}

/// Types a few lines, each unlike any other, and takes note of what must be found.
fn type_some(shell: &mut Shell, when: &str, wanted: &mut Vec<(String, Option<i32>)>) {
    let fails = if shell.kind() == HookShell::Fish { "not true" } else { "! true" };
    for (line, exit) in [
        (format!("echo {when} | cat"), 0),
        (format!("echo 'a\n{when}'"), 0),
        (format!("true {when}; {fails}"), 1),
        (format!("sh -c 'exit 3' {when}"), 3),
    ] {
        let shown = shell.run(&line.replace('\n', "\r"));
        assert!(!shown.contains("karo"), "{shown}");
        wanted.push((line, Some(exit)));
    }
}
