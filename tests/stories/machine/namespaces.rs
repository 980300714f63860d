//! A machine that has no namespaces for ordinary users: why nothing starts is said, and what is documented mends it.

use karo_tests::Typist;
use karo_tests::machine::Machine;

use super::{SOCKET, documented, keep, texts};

#[test]
fn root_without_namespaces_it_is_said_and_what_is_documented_mends_it() {
    let Some(machine) = Machine::boot() else { return };
    // What a machine refuses to all of its users is refused here to their managers, and so to what those start.
    machine.write("/etc/systemd/system/user@.service.d/story.conf", "[Service]\nRestrictNamespaces=~user\n");
    machine.root("systemctl daemon-reload").ok();
    machine.add_user("ann");
    assert_ne!(machine.as_user("ann", "karoctl service install").code, 0);
    machine.until_property(Some("ann"), "karod.service", "ActiveState", "failed");
    let exit = machine.property(Some("ann"), "karod.service", "ExecMainStatus");
    assert!(["217", "226"].contains(&exit.as_str()), "{exit}");
    let status = machine.as_user("ann", "karoctl service status").stdout;
    assert!(status.contains("no namespaces for ordinary users"), "{status}");
    let doctor = machine.as_user("ann", "karoctl doctor").stdout;
    assert!(doctor.contains("no namespaces for ordinary users"), "{doctor}");

    let text = documented("[Service]\nPrivateUsers=no");
    let beside = ".config/systemd/user/karod.service.d";
    machine
        .as_user("ann", &format!("mkdir -p {beside} && printf '%s' '{text}' >{beside}/override.conf"))
        .ok();
    machine.as_user("ann", "systemctl --user daemon-reload && karoctl service restart").ok();
    machine.until_property(Some("ann"), "karod.service", "ActiveState", "active");
    keep(&mut machine.session("ann", SOCKET), [Typist::new(1).ran("echo confined less", 0)]);
    assert_eq!(texts(&machine, "ann", SOCKET), ["echo confined less"]);
}
