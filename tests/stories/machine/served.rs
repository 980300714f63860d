//! Whom root's service manager serves: what `karoctl` does for one user leaves it alone and says whose it is.

use karo_tests::machine::Machine;

use super::{documented, texts};

const SOCKET: &str = "/run/karo/bob/karod.sock";

/// A machine on which root runs karod for bob, who has typed before.
fn serving_bob() -> Option<Machine> {
    let machine = Machine::boot()?;
    machine.add_guest("bob");
    machine.root("systemctl enable --now karod@bob.socket karod@bob.service").ok();
    machine.as_user("bob", "printf 'make all\\n' >~/.bash_history && echo 'alias l=ls' >~/.bashrc").ok();
    Some(machine)
}

fn pid(machine: &Machine) -> String {
    machine.property(None, "karod@bob.service", "MainPID")
}

#[test]
fn root_who_is_served_sets_up_hooks_and_takes_away_nothing_of_roots() {
    let Some(machine) = serving_bob() else { return };
    let daemon = pid(&machine);
    let said = machine.as_user("bob", "karoctl setup --yes").ok();
    assert!(said.contains("root's service manager runs karod for bob (karod@bob.service)"), "{said}");
    assert!(said.contains("the hook is in /home/bob/.bashrc") && said.contains("Karo is set up."), "{said}");
    assert_eq!(texts(&machine, "bob", SOCKET), ["make all"]);

    let doctor = machine.as_user("bob", "karoctl doctor").stdout;
    assert!(
        doctor.contains("root's service manager runs karod for bob") && !doctor.contains("FAIL"),
        "{doctor}"
    );
    assert!(!doctor.contains("kill ") && !doctor.contains("karoctl service start"), "{doctor}");
    let status = machine.as_user("bob", "karoctl service status");
    assert_eq!(status.code, 0, "{status:?}");
    for deed in ["install", "start", "stop", "restart"] {
        let refused = machine.as_user("bob", &format!("karoctl service {deed}"));
        assert_eq!(refused.code, 4, "{refused:?}");
        assert!(refused.stderr.contains("--system --for bob"), "{refused:?}");
    }
    let refused = machine.as_user("bob", "karoctl uninstall --purge --yes");
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(refused.stderr.contains("nothing was done"), "{refused:?}");
    assert!(machine.as_user("bob", "cat ~/.bashrc").ok().contains("karo"), "nothing was done");

    let gone = machine.as_user("bob", "karoctl uninstall --yes").ok();
    assert!(gone.contains("and goes on with it"), "{gone}");
    assert_eq!(machine.as_user("bob", "cat ~/.bashrc").ok(), "alias l=ls");
    assert_eq!(pid(&machine), daemon, "nobody has ended it");
    assert_eq!(texts(&machine, "bob", SOCKET), ["make all"]);
    assert_eq!(machine.root("find /home/bob/.config -path '*systemd*'").stdout, "");
}

#[test]
fn root_an_instance_that_was_given_up_is_still_roots() {
    let Some(machine) = serving_bob() else { return };
    machine.root("systemctl stop karod@bob.socket karod@bob.service").ok();
    let doctor = machine.as_user("bob", "karoctl doctor").stdout;
    assert!(doctor.contains("root's service manager runs karod for bob"), "{doctor}");
    let refused = machine.as_user("bob", "karoctl service install");
    assert_eq!(refused.code, 4, "{refused:?}");
    let refused = machine.as_user("bob", "karoctl uninstall --purge --yes");
    assert_eq!(refused.code, 4, "{refused:?}");
}

#[test]
fn root_whose_own_daemon_runs_can_serve_somebody_else() {
    let Some(machine) = Machine::boot() else { return };
    machine.add_guest("bob");
    machine.root("systemd-run --unit=own --setenv=HOME=/root --setenv=USER=root karod").ok();
    karo_tests::until("it runs", || (machine.root("karoctl status").code == 0).then_some(()));
    let own = machine.property(None, "own.service", "MainPID");
    machine.root("karoctl service install --system --for bob").ok();
    machine.until_property(None, "karod@bob.service", "ActiveState", "active");
    machine.root("karoctl service restart --system --for bob").ok();
    assert_eq!(machine.property(None, "own.service", "MainPID"), own, "it is not in the way");
    // The template of a second account is that of the first, and stays with that.
    machine.add_guest("eve");
    machine.root("rm /usr/lib/systemd/system/karod@.*").ok();
    for account in ["bob", "eve"] {
        machine.root(&format!("karoctl service install --system --for {account}")).ok();
    }
    let said = machine.root("karoctl service uninstall --system --for eve").ok();
    assert!(said.contains("the template and the catalog stay for bob"), "{said}");
    assert_eq!(machine.property(None, "karod@bob.service", "ActiveState"), "active");
    machine
        .root("systemctl restart karod@bob.service && test -e /usr/local/lib/systemd/catalog/karod.catalog")
        .ok();
    machine.root("karoctl service uninstall --system --for bob").ok();
    machine.root("! ls /etc/systemd/system/karod@.* /usr/local/lib/systemd/catalog/karod.catalog").ok();
}

#[test]
fn root_an_account_whose_home_is_elsewhere_is_refused_until_the_template_knows() {
    let Some(machine) = Machine::boot() else { return };
    machine.root("useradd --create-home --home-dir /srv/bob --shell /bin/bash bob").ok();
    let install = "karoctl service install --system --for";
    let refused = machine.root(&format!("{install} nobody-of-that-name"));
    assert!(refused.stderr.contains("there is no account"), "{refused:?}");
    let refused = machine.root(&format!("{install} bob"));
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(refused.stderr.contains("the home of bob is /srv/bob"), "{refused:?}");
    machine
        .root(
            "test ! -e /run/karo/bob && test ! -e /etc/systemd/system/sockets.target.wants/karod@bob.socket",
        )
        .ok();

    let beside = "/etc/systemd/system/karod@";
    machine.write(
        &format!("{beside}.service.d/home.conf"),
        &documented("[Service]\nEnvironment=KARO_CONFIG=/srv"),
    );
    machine.write(&format!("{beside}.socket.d/home.conf"), &documented("[Socket]\nExecStartPre=\n"));
    machine.root("systemctl daemon-reload").ok();
    machine.root(&format!("{install} bob")).ok();
    machine.until_property(None, "karod@bob.service", "ActiveState", "active");
    assert_eq!(machine.root("stat -c '%U %a' /srv/bob/.local/share/karo/identity.key").ok(), "bob 600");
    assert_eq!(machine.as_user("bob", "karoctl status").code, 0);
}
