//! A machine whose clock is wrong when it boots, and then is set: events keep their times, and nothing is lost.

use std::process::Command;

use karo_tests::machine::Machine;
use karo_tests::{Typist, until};

use super::{SOCKET, keep, texts};

/// Shifts what a process takes for the time by the seconds that a file holds. Only the daemon sees it: the clock of
/// this machine is not a test's to set.
const SHIFT: &str = r#"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    long result = syscall(SYS_clock_gettime, clock, time);
    char text[32] = {0};
    int file = clock == CLOCK_REALTIME ? open("/etc/karo-clock", O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        if (read(file, text, sizeof text - 1) > 0) time->tv_sec += atol(text);
        close(file);
    }
    return (int)result;
}
"#;

/// Compiles the shift into the machine; `false`, with a word on stderr, where there is no compiler.
fn install_shift(machine: &Machine) -> bool {
    let place = tempfile::tempdir().expect("temporary files can be made");
    let (source, library) = (place.path().join("shift.c"), place.path().join("shift.so"));
    std::fs::write(&source, SHIFT).expect("it is ours");
    let compile =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source]).status();
    if !compile.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no C compiler");
        return false;
    }
    machine.copy(&library, "/usr/local/lib/shift.so".as_ref(), 0o644);
    let drop_in = "[Service]\nEnvironment=LD_PRELOAD=/usr/local/lib/shift.so\n";
    machine.write("/etc/systemd/user/karod.service.d/story.conf", drop_in);
    true
}

#[test]
fn root_a_clock_that_jumps_at_boot_costs_nothing() {
    let Some(mut machine) = Machine::boot() else { return };
    if !install_shift(&machine) {
        return;
    }
    machine.add_user("ann");
    machine
        .as_user("ann", "systemctl --user daemon-reload && systemctl --user enable --now karod.service")
        .ok();
    let mut shell = Typist::new(1);
    keep(&mut machine.session("ann", SOCKET), [shell.ran("before", 0)]);
    let mut expected = vec!["before".to_owned()];
    // A machine without a battery comes up in its past, one with a bad one in its future; then it learns the time.
    for (name, seconds) in [("past", -20 * 365 * 86_400), ("future", 2 * 365 * 86_400)] {
        machine.write("/etc/karo-clock", &seconds.to_string());
        machine.reboot();
        machine.root("systemctl start user@$(id -u ann).service").ok();
        machine.until_property(Some("ann"), "karod.service", "ActiveState", "active");
        for clock in [seconds, 0, 3_600, 0] {
            machine.write("/etc/karo-clock", &clock.to_string());
            let text = format!("{name} {clock} {}", expected.len());
            keep(&mut machine.session("ann", SOCKET), [shell.ran(text.as_str(), 0)]);
            expected.push(text);
        }
        until("all of it is found, in order", || (texts(&machine, "ann", SOCKET) == expected).then_some(()));
        assert_eq!(machine.property(Some("ann"), "karod.service", "NRestarts"), "0");
    }
    machine.as_user("ann", "systemctl --user restart karod").ok();
    until("it is found by the next one too", || (texts(&machine, "ann", SOCKET) == expected).then_some(()));
    machine.as_user("ann", "karoctl store verify").ok();
}
