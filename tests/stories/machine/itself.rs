//! The machine itself: that it is one, and that nothing of it is left.

use std::fs;

use karo_tests::machine::Machine;
use karo_tests::until;

#[test]
fn root_a_machine_has_users_with_managers() {
    let Some(mut machine) = Machine::boot() else { return };
    assert_eq!(machine.root("systemctl is-system-running").ok(), "running");
    machine.add_user("ann");
    assert_eq!(machine.as_user("ann", "id -un && pwd").ok(), "ann\n/home/ann");
    let written = "systemd-run --user --wait --collect --quiet --unit=word echo said";
    machine.as_user("ann", written).ok();
    let said = || machine.as_user("ann", "journalctl --user --output cat --identifier echo").stdout;
    until("the journal has it", || (said().trim_end() == "said").then_some(()));
    let boot = machine.root("cat /proc/sys/kernel/random/boot_id").ok();
    machine.reboot();
    assert_ne!(machine.root("cat /proc/sys/kernel/random/boot_id").ok(), boot);
    machine.until_property(None, "user@$(id -u ann).service", "ActiveState", "active");
    assert_eq!(machine.as_user("ann", "systemctl --user is-system-running --wait").ok(), "running");

    machine.add_guest("bob");
    let uid = machine.root("id -u bob").ok();
    let manager = format!("user@{uid}.service");
    assert_eq!(machine.property(None, &manager, "ActiveState"), "inactive");
    let login = machine.log_in("bob");
    machine.until_property(None, &manager, "ActiveState", "active");
    login.log_out();
    machine.until_property(None, &manager, "ActiveState", "inactive");
}

#[test]
fn root_nothing_is_left_of_a_machine() {
    let Some(machine) = Machine::bare() else { return };
    let (run, cgroup) = machine.places();
    assert!(run.exists() && cgroup.exists());
    machine.root("touch /etc/karo-was-here").ok();
    drop(machine);
    assert!(!run.exists() && !cgroup.exists());
    let mounts = fs::read_to_string("/proc/self/mounts").expect("the kernel tells");
    assert!(!mounts.contains("karo-machine"), "{mounts}");
    assert!(!fs::exists("/etc/karo-was-here").expect("it can be looked for"));
}
