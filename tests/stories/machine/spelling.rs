//! Places whose names mean something to systemd: each is taken as it is written.

use std::path::Path;

use karo_tests::binaries::binaries;
use karo_tests::machine::Machine;

#[test]
fn root_a_path_is_taken_as_it_is_written() {
    let Some(machine) = Machine::bare() else { return };
    let programs = binaries();
    for (program, name) in [(&programs.karod, "karod"), (&programs.karoctl, "karoctl")] {
        machine.copy(program, &Path::new("/usr/local/bin").join(name), 0o755);
    }
    machine.add_user("ann");
    let odd = "/home/ann/a ${HOME}%h$$;\"b";
    let with = format!("KARO_DATA_DIR='{odd}'");
    machine.as_user("ann", &format!("{with} karoctl service install")).ok();
    // The unit makes it anew, and karod finds it.
    machine.as_user("ann", "systemctl --user stop karod.socket karod.service").ok();
    machine.as_user("ann", &format!("rm -r '{odd}'")).ok();
    machine.as_user("ann", "systemctl --user start karod.socket karod.service").ok();
    let status = machine.as_user("ann", &format!("{with} karoctl status")).ok();
    assert!(status.contains(odd), "{status}");
    let made = machine.as_user("ann", "ls -A").ok();
    assert!(made.lines().any(|name| name == "a ${HOME}%h$$;\"b"), "{made}");
    assert_eq!(made.lines().filter(|name| name.starts_with('a')).count(), 1, "{made}");
}
