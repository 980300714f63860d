//! A history that takes more memory than the unit allows: as much of it as there is room for can be found.

use karo_tests::machine::Machine;
use karo_tests::until;

const UNIT: &str = "karod@bob.service";

/// Lines of history, each so long that a segment holds some ten thousand of them.
const LINES: usize = 26_000;

/// Restarts the daemon where its control group has that limit, and waits until it has loaded what it will.
///
/// What it reads of the limit is laid over: not every machine has control groups of version 2 for memory, and with a
/// real one the kernel would have its say, too.
fn restart_with(machine: &Machine, limit: &str, expected: &str) {
    machine.write("/run/limits/memory.high", limit);
    let drop_in = "[Service]\nBindReadOnlyPaths=/run/limits:/sys/fs/cgroup\n";
    machine.write("/etc/systemd/system/karod@.service.d/story.conf", drop_in);
    machine.root(&format!("systemctl daemon-reload && systemctl restart {UNIT}")).ok();
    let pid = machine.property(None, UNIT, "MainPID");
    let said = format!("journalctl --output cat _PID={pid} KARO_EVENT={expected}");
    until("it has loaded what it will", || (!machine.root(&said).stdout.is_empty()).then_some(()));
}

#[test]
fn root_a_history_that_finds_no_room_is_searched_as_far_as_there_is() {
    let Some(machine) = Machine::boot() else { return };
    machine.add_guest("bob");
    machine.root(&format!("systemctl start {UNIT}")).ok();
    let line = |n: usize| format!("#{}\necho {n} {}\n", 1_767_225_600 + n, format!("{n:08}").repeat(40));
    machine.write("/home/bob/history", &(0..LINES).map(line).collect::<String>());
    machine.as_user("bob", "karoctl import --yes --format bash history").ok();
    let resident =
        machine.as_user("bob", "karoctl status --json | grep -o '\"resident_bytes\": *[0-9]*'").ok();
    let resident: u64 =
        resident.rsplit([':', ' ']).next().and_then(|n| n.parse().ok()).expect("it is a number");

    // Of half of what it took, the daemon itself takes more than three quarters.
    restart_with(&machine, &(resident / 2).to_string(), "memory-short");
    let newest = LINES - 1;
    let asked = machine.as_user("bob", "karoctl query --limit 1 --format text echo");
    assert!(asked.code == 5 && asked.stdout.starts_with(&format!("echo {newest} ")), "{asked:?}");
    let oldest = machine.as_user("bob", "karoctl query --limit 1 --oldest-first --format text echo");
    assert!(oldest.code == 5 && !oldest.stdout.starts_with("echo 0 "), "{:.300}", oldest.stdout);
    let status = machine.as_user("bob", "karoctl status").ok();
    assert!(status.contains("raise MemoryHigh="), "{status}");
    assert_eq!(machine.property(None, UNIT, "NRestarts"), "0");
    // What reaches into what is not there is refused, for that reason.
    let deleted = machine.as_user("bob", "karoctl delete --yes --word echo");
    assert!(deleted.code != 0 && deleted.stderr.contains("raise MemoryHigh="), "{deleted:?}");

    restart_with(&machine, "max", "searchable");
    let oldest = machine.as_user("bob", "karoctl query --limit 1 --oldest-first --format text echo").ok();
    assert!(oldest.starts_with("echo 0 "), "{oldest:.300}");
}
