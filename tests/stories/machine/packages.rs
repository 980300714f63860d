//! What the Debian package's own scripts do where a systemd runs: the fresh root of the package's story has none.

use karo_tests::machine::Machine;
use karo_tests::{Typist, until};

use super::{SOCKET, keep, texts};

const POSTINST: &str = include_str!("../../../client/packaging/debian/scripts/postinst");
const PRERM: &str = include_str!("../../../client/packaging/debian/scripts/prerm");

/// Runs one of them as dpkg does, and returns what it tells the person.
fn run(machine: &Machine, script: &str, arguments: &str) -> String {
    machine.write("/tmp/script", script);
    let said = machine.root(&format!("sh /tmp/script {arguments}"));
    assert_eq!(said.code, 0, "{said:?}");
    said.stderr
}

/// Tells whether a daemon runs the program that lies in `/usr/bin` now.
fn is_of_now(machine: &Machine, user: Option<&str>, unit: &str) -> bool {
    let pid = machine.property(user, unit, "MainPID");
    machine.root(&format!("readlink /proc/{pid}/exe")).stdout.trim() == "/usr/bin/karod"
}

#[test]
fn root_a_package_starts_anew_what_the_system_keeps_and_names_the_others() {
    let Some(machine) = Machine::boot() else { return };
    if machine.root("command -v deb-systemd-invoke").code != 0 {
        eprintln!("skipped: this machine is not a Debian");
        return;
    }
    // Whoever builds an image forbids packages to start anything.
    machine.root("rm -f /usr/sbin/policy-rc.d").ok();
    machine.add_user("ann");
    machine.add_guest("bob");
    assert_eq!(run(&machine, POSTINST, "configure ''"), "", "a first installation starts nothing");
    assert_eq!(machine.property(None, "karod@bob.service", "ActiveState"), "inactive");

    machine.as_user("ann", "systemctl --user start karod").ok();
    machine.root("systemctl enable --now karod@bob.socket karod@bob.service").ok();
    let mut shell = Typist::new(1);
    keep(&mut machine.session("ann", SOCKET), [shell.ran("before", 0)]);
    // A new program, and units with a line more.
    let upgrade = "cp /usr/bin/karod /usr/bin/new && mv /usr/bin/new /usr/bin/karod && cd /usr/lib/systemd \
        && echo 'SyslogIdentifier=later' | tee -a user/karod.service.new system/karod@.service.new >/dev/null \
        && for unit in user/karod.service system/karod@.service; do \
            sed '/^\\[Service]/r '$unit.new $unit >$unit.later && mv $unit.later $unit && rm $unit.new; done";
    machine.root(upgrade).ok();
    let told = run(&machine, POSTINST, "configure 0.0.9-1");
    assert!(is_of_now(&machine, None, "karod@bob.service"), "{told}");
    assert_eq!(machine.property(None, "karod@bob.service", "SyslogIdentifier"), "later");
    assert!(!is_of_now(&machine, Some("ann"), "karod.service"), "a person's own is theirs to start anew");
    let named: Vec<&str> = told.lines().filter(|line| line.contains("version before")).collect();
    assert!(named.len() == 1 && named[0].contains("karod of ann"), "{told}");

    // What it says is enough, also for the unit.
    let advised = told.split('`').nth(1).expect("it names a command");
    machine.as_user("ann", advised).ok();
    assert!(is_of_now(&machine, Some("ann"), "karod.service"), "{advised}");
    assert_eq!(machine.property(Some("ann"), "karod.service", "SyslogIdentifier"), "later", "{advised}");
    assert_eq!(machine.property(Some("ann"), "karod.service", "NeedDaemonReload"), "no");
    until("all of it is there", || (texts(&machine, "ann", SOCKET) == ["before"]).then_some(()));
    assert!(!run(&machine, POSTINST, "configure 0.0.9-1").contains("version before"));

    run(&machine, PRERM, "upgrade 0.1.0-1");
    assert_eq!(machine.property(None, "karod@bob.service", "ActiveState"), "active");
    run(&machine, PRERM, "remove");
    for unit in ["karod@bob.service", "karod@bob.socket"] {
        assert_eq!(machine.property(None, unit, "ActiveState"), "inactive", "{unit}");
    }
    assert_eq!(machine.property(Some("ann"), "karod.service", "ActiveState"), "active");
}
