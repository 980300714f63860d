//! A package of a newer version comes while people type: they notice nothing, and who asks is told what is left to do.

use std::path::{Path, PathBuf};

use karo_protocol::query::Filter;
use karo_tests::binaries::binaries;
use karo_tests::machine::Machine;
use karo_tests::until;

use super::SOCKET;
use super::terminal::Terminal;

/// Makes a package of that version, of nothing but what an upgrade has to do with, by dpkg's own tool.
const PACKAGE: &str = r#"
set -e
mkdir -p /srv/package/DEBIAN /srv/package/usr/bin /srv/package/usr/lib/systemd/user
cp /srv/new/* /srv/package/usr/bin/
cp /srv/units/* /srv/package/usr/lib/systemd/user/
cp /srv/postinst /srv/package/DEBIAN/postinst
printf 'Package: karo\nVersion: %s\nArchitecture: all\nMaintainer: Karo <karo@example.org>\nDescription: Karo\n' \
    "$1" >/srv/package/DEBIAN/control
dpkg-deb --build --root-owner-group -Znone /srv/package "/srv/karo_$1.deb"
"#;

/// A machine with two packages, the older of which is installed, and a user who is set up.
fn upgradable() -> Option<Machine> {
    let machine = Machine::bare()?;
    let programs = binaries();
    for program in [&programs.karod, &programs.karoctl, &programs.karo_observe] {
        let name = program.file_name().expect("it has a name");
        machine.copy(program, &Path::new("/srv/new").join(name), 0o755);
    }
    let checkout = karo_tests::binaries::checkout();
    for unit in ["karod.service", "karod.socket"] {
        machine.copy(&checkout.join("service-units").join(unit), &Path::new("/srv/units").join(unit), 0o644);
    }
    let scripts: PathBuf = checkout.join("client/packaging/debian/scripts/postinst");
    machine.copy(&scripts, Path::new("/srv/postinst"), 0o755);
    for version in ["0.1.0~1", "0.1.0~2"] {
        machine.root(&format!("set -- '{version}'; {PACKAGE}")).ok();
    }
    machine.root("dpkg --install --force-unsafe-io /srv/karo_0.1.0~1.deb").ok();
    machine.add_user("ann");
    machine.as_user("ann", "karoctl setup --yes").ok();
    Some(machine)
}

#[test]
fn root_an_upgrade_while_terminals_are_open_loses_nothing_and_is_told() {
    if std::process::Command::new("dpkg-deb").arg("--version").output().is_err() {
        eprintln!("skipped: there is no dpkg-deb");
        return;
    }
    let Some(machine) = upgradable() else { return };
    let doctor = || machine.as_user("ann", "karoctl doctor").stdout;
    let said = "the daemon that runs is of before the last upgrade";
    let before = doctor();
    assert!(!before.contains(said) && !before.contains("FAIL"), "{before}");
    let pid = || machine.property(Some("ann"), "karod.service", "MainPID");
    let daemon = pid();

    let mut terminals: Vec<Terminal> = (0..3).map(|_| Terminal::open(&machine, "ann", "bash -i")).collect();
    let type_all = |terminals: &mut Vec<Terminal>, when: &str| {
        for (number, terminal) in terminals.iter_mut().enumerate() {
            terminal.type_line(&format!("echo {when}-{number}-$((40+2))"), &format!("{when}-{number}-42"));
        }
    };
    type_all(&mut terminals, "before");
    std::thread::scope(|scope| {
        let upgrade = scope.spawn(|| machine.root("dpkg --install --force-unsafe-io /srv/karo_0.1.0~2.deb"));
        type_all(&mut terminals, "during");
        let told = upgrade.join().expect("it ends");
        assert_eq!(told.code, 0, "{told:?}");
        assert!(told.stderr.contains("karod of ann is the version before"), "{told:?}");
    });
    type_all(&mut terminals, "between");
    assert_eq!(pid(), daemon, "an upgrade starts nothing anew that is a person's");
    assert!(doctor().contains(said), "{}", doctor());
    std::thread::scope(|scope| {
        let restart = scope.spawn(|| machine.as_user("ann", "karoctl service restart"));
        type_all(&mut terminals, "restarting");
        restart.join().expect("it ends").ok();
    });
    type_all(&mut terminals, "after");
    terminals.into_iter().for_each(Terminal::leave);

    let texts = || -> Vec<String> {
        let events = machine.session("ann", SOCKET).events(Filter::default());
        events.iter().map(|event| String::from_utf8_lossy(event.command.as_bytes()).into_owned()).collect()
    };
    for when in ["before", "during", "between", "restarting", "after"] {
        for number in 0..3 {
            let typed = format!("echo {when}-{number}-$((40+2))");
            let count = || texts().iter().filter(|text| **text == typed).count();
            until("what was typed is recorded", || (count() > 0).then_some(()));
            assert_eq!(count(), 1, "{typed}");
        }
    }
    let after = doctor();
    assert!(!after.contains(said) && !after.contains("FAIL"), "{after}");
}
