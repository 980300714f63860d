//! Cases 23, 24 and 30 to 32: how a command ends, and what it leaves running.

use std::os::unix::process::ExitStatusExt;
use std::time::Instant;

use crate::arrivals::Seen;
use crate::hook::HookShell;
use crate::in_shells;
use crate::pty::patience;
use crate::shell::{Setup, Shell};
use karo_tests::wait::within;

in_shells! {
    case_23_interrupted: bash zsh fish;
    case_24_suspended: bash zsh fish;
    case_30_exit: bash zsh fish;
    case_30_end_of_input: bash zsh fish;
    case_31_exec: bash zsh fish;
    case_31_killed: bash zsh fish;
    case_31_terminal_gone: bash zsh;
    case_32_background: bash zsh fish;
}

/// Says that it is there, then stays until a signal comes.
const STAYS: &str = "sh -c 'echo up; exec sleep 1000'";

fn case_23_interrupted(setup: Setup) {
    let mut shell = setup.start();
    let typed = Instant::now();
    shell.keys(STAYS.as_bytes());
    shell.keys(b"\r");
    shell.wait_for_line("up");
    let seen_up = Instant::now();
    within(patience(), || (seen_up.elapsed().as_millis() > 50).then_some(()));
    let least = seen_up.elapsed();
    shell.keys(b"\x03");
    shell.prompt();
    let most = typed.elapsed();
    let seen = shell.expect(&[(STAYS, 130)]);
    // fish's clock goes in steps of 10 ms.
    let (duration, step) = (u128::from(seen[0].duration_us()), 10_000);
    assert!(duration + step >= least.as_micros() && duration <= most.as_micros() + step, "{duration} µs");
}

fn case_24_suspended(setup: Setup) {
    let mut shell = setup.start();
    shell.keys(STAYS.as_bytes());
    shell.keys(b"\r");
    shell.wait_for_line("up");
    shell.keys(b"\x1a");
    shell.prompt();
    shell.keys(b"fg\r");
    // Each shell says in its own way which job it continues; the job itself is seen to run again.
    let group = shell.pty.pid();
    within(patience(), || is_foreground(group).then_some(())).expect("the job is in the foreground again");
    shell.keys(b"\x03");
    shell.prompt();
    let seen = shell.finish();
    let found: Vec<_> = seen.iter().map(|sides| (sides.text(), sides.exit())).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!((found[0].0.as_str(), found[1].0.as_str()), (STAYS, "fg"));
    if shell.kind() != HookShell::Fish {
        assert_eq!((found[0].1, found[1].1), (Some(148), Some(130)));
    }
}

/// Tells whether another process group than the shell's own has the terminal, and runs.
fn is_foreground(shell: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{shell}/stat")).unwrap_or_default();
    let words: Vec<_> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let (Some(group), Some(foreground)) = (words.get(2), words.get(5)) else { return false };
    let other = std::fs::read_to_string(format!("/proc/{foreground}/stat")).unwrap_or_default();
    group != foreground && other.contains(") S ")
}

/// Waits until a command with this text has both its sides.
fn arrives(shell: &Shell, text: &str) -> Seen {
    let arrived = within(patience(), || {
        shell.arrived().into_values().find(|sides| sides.text() == text && sides.end.is_some())
    });
    arrived.unwrap_or_else(|| panic!("{text:?} never came; screen:\n{}", shell.pty.screen()))
}

fn case_30_exit(setup: Setup) {
    let mut shell = setup.start();
    shell.keys(b"exit 7\r");
    assert_eq!(shell.pty.ended().code(), Some(7));
    assert_eq!(arrives(&shell, "exit 7").exit(), Some(7));
}

fn case_30_end_of_input(setup: Setup) {
    let mut shell = setup.start();
    shell.run("true");
    shell.keys(b"\x04");
    shell.pty.ended();
    assert_eq!(arrives(&shell, "true").exit(), Some(0));
    assert_eq!(shell.arrived().len(), 1);
}

fn case_31_exec(setup: Setup) {
    let mut shell = setup.start();
    shell.run("true");
    shell.keys(b"exec true\r");
    assert_eq!(shell.pty.ended().code(), Some(0));
    assert_lost(&shell, "exec true");
}

fn case_31_killed(setup: Setup) {
    let mut shell = setup.start();
    shell.run("true");
    shell.keys(STAYS.as_bytes());
    shell.keys(b"\r");
    shell.wait_for_line("up");
    shell.pty.kill();
    assert_lost(&shell, STAYS);
}

/// The start is there and no end will come; bash before 5.3 could not send a start.
fn assert_lost(shell: &Shell, text: &str) {
    arrives(shell, "true");
    if !shell.sends_starts() {
        assert!(shell.arrived().into_values().all(|sides| sides.text() != text));
        return;
    }
    let lost = within(patience(), || shell.arrived().into_values().find(|sides| sides.text() == text));
    let lost = lost.expect("its start was sent");
    assert!(lost.start.is_some() && lost.end.is_none(), "{lost:?}");
    if !shell.setup.sink.keeps_files() {
        karo_tests::until("the daemon calls it lost", || {
            shell.arrived().into_values().find(|sides| sides.text() == text && sides.is_lost)
        });
    }
}

/// The window is closed while a command runs: what was typed is not forgotten.
fn case_31_terminal_gone(setup: Setup) {
    let mut shell = setup.start();
    shell.run("true");
    shell.keys(STAYS.as_bytes());
    shell.keys(b"\r");
    shell.wait_for_line("up");
    let pid = rustix::process::Pid::from_raw(i32::try_from(shell.pty.pid()).expect("it is a pid"));
    rustix::process::kill_process(pid.expect("it is not 0"), rustix::process::Signal::HUP).expect("it runs");
    let status = shell.pty.ended();
    assert!(status.signal().is_some() || status.code().is_some());
    let found = within(patience(), || shell.arrived().into_values().find(|sides| sides.text() == STAYS));
    assert!(found.is_some(), "{}", shell.pty.screen());
}

fn case_32_background(setup: Setup) {
    let mut shell = setup.start();
    let typed = Instant::now();
    shell.run("sleep 1000 &");
    let most = typed.elapsed();
    let seen = shell.expect(&[("sleep 1000 &", 0)]);
    assert!(u128::from(seen[0].duration_us()) <= most.as_micros() + 10_000);
}
