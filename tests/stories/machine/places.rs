//! A shell and its service manager that do not agree on where things are.

use karo_tests::machine::Machine;
use karo_tests::until;

/// A machine with ann, and the programs where no package has put units beside them.
fn with_programs() -> Option<Machine> {
    let machine = Machine::boot()?;
    machine.root("rm /usr/lib/systemd/user/karod.*").ok();
    machine.add_user("ann");
    Some(machine)
}

#[test]
fn root_units_go_where_the_manager_looks() {
    let Some(machine) = with_programs() else { return };
    // As of a line in .zshenv, which the manager has never read.
    machine.as_user("ann", "XDG_CONFIG_HOME=$HOME/conf karoctl service install").ok();
    machine.as_user("ann", "test -e .config/systemd/user/karod.service && test ! -e conf/systemd").ok();
    machine.until_property(Some("ann"), "karod.service", "ActiveState", "active");
    let unit = machine.as_user("ann", "cat .config/systemd/user/karod.service").ok();
    assert!(unit.contains("Environment=KARO_CONFIG=/home/ann/conf/karo/config.toml"), "{unit}");
    machine.as_user("ann", "XDG_CONFIG_HOME=$HOME/conf karoctl service uninstall").ok();
    machine.as_user("ann", "test ! -e .config/systemd/user/karod.service").ok();

    let homeless = "cd /tmp && env -u HOME KARO_CONFIG=/tmp/c KARO_DATA_DIR=/tmp/d KARO_SPOOL_DIR=/tmp/s \
        KARO_SOCKET=/tmp/k karoctl service install --dry-run";
    let refused = machine.as_user("ann", homeless);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(refused.stderr.contains("HOME is not set"), "{refused:?}");
}

#[test]
fn root_what_root_runs_for_the_catalog_is_said_and_works() {
    let Some(machine) = with_programs() else { return };
    let said = machine.as_user("ann", "karoctl setup --yes --without hooks --without history").ok();
    let line = said.lines().find_map(|line| line.strip_prefix("explain")).expect("it is said");
    let (command, _) = line.trim().split_once(" (then").expect("it says what for");
    machine.root(&command.replace("sudo ", "")).ok();
    let known = machine.root("journalctl --list-catalog").ok();
    assert!(known.contains("The socket is open"), "{known}");
    let again = machine.as_user("ann", "karoctl setup --yes --without hooks --without history").ok();
    assert!(!again.contains("explain"), "{again}");
    let gone = machine.as_user("ann", "karoctl uninstall --yes").ok();
    let line = gone.lines().find_map(|line| line.strip_prefix("explain")).expect("it is said");
    machine.root(&line.replace("sudo ", "")).ok();
    machine.root("test ! -e /usr/local/lib/systemd/catalog/karod.catalog").ok();
}

#[test]
fn root_places_that_only_the_unit_knows_are_named_and_not_passed_over() {
    let Some(machine) = with_programs() else { return };
    machine.as_user("ann", "karoctl service install").ok();
    machine.root("install -d -m 0700 -o ann -g ann /srv/ann /srv/ann/karo /srv/data").ok();
    let beside = ".config/systemd/user/karod.service.d";
    // In the sandbox, /srv is a stranger's.
    let lines = "[Service]\\nEnvironment=KARO_DATA_DIR=/srv/data\\nBindPaths=/srv/data\\n";
    machine.as_user("ann", &format!("mkdir {beside} && printf '{lines}' >{beside}/override.conf")).ok();
    machine.as_user("ann", "systemctl --user daemon-reload; karoctl service restart");
    let says = || machine.property(Some("ann"), "karod.service", "StatusText");
    until("it says why", || says().contains("/srv belongs to user").then_some(()));
    let lines = "[Service]\\nEnvironment=KARO_DATA_DIR=/srv/ann/karo\\nBindPaths=/srv/ann/karo\\n";
    machine.as_user("ann", &format!("printf '{lines}' >{beside}/override.conf")).ok();
    machine.as_user("ann", "systemctl --user daemon-reload && karoctl service restart").ok();
    machine.until_property(Some("ann"), "karod.service", "ActiveState", "active");
    machine.as_user("ann", "test -e /srv/ann/karo/identity.key").ok();

    let doctor = machine.as_user("ann", "karoctl doctor").stdout;
    assert!(doctor.contains("`export KARO_DATA_DIR=/srv/ann/karo`"), "{doctor}");
    let doctor = machine.as_user("ann", "KARO_DATA_DIR=/srv/ann/karo karoctl doctor").stdout;
    assert!(!doctor.contains("otherwise than this shell"), "{doctor}");
    let refused = machine.as_user("ann", "karoctl uninstall --purge --yes");
    assert_eq!(refused.code, 4, "{refused:?}");
    machine.as_user("ann", "test -e .config/systemd/user/karod.service").ok();
    let line = refused.stderr.split('`').nth(3).expect("it says what to do").to_owned();
    machine.as_user("ann", &format!("karoctl uninstall --yes && {line} --yes")).ok();
    assert_eq!(machine.root("ls -A /srv/ann").stdout, "", "all of it is forgotten");
    machine.as_user("ann", "test ! -e .config/systemd/user/karod.service").ok();
}
