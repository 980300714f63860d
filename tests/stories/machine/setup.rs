//! From nothing to a recorded shell, and back to nothing: what a stranger does, on a machine with a real systemd.

use std::fmt::Write as _;
use std::path::Path;

use karo_tests::binaries::{binaries, checkout};
use karo_tests::machine::Machine;
use karo_tests::until;

/// A machine with the programs, as `install` puts them, and a user who has typed before. Nothing else of Karo.
pub(super) fn with_programs() -> Option<Machine> {
    let machine = Machine::bare()?;
    let programs = binaries();
    for (program, name) in
        [(&programs.karod, "karod"), (&programs.karoctl, "karoctl"), (&programs.karo_observe, "karo-observe")]
    {
        machine.copy(program, &Path::new("/usr/local/bin").join(name), 0o755);
    }
    machine.add_user("ann");
    machine.as_user("ann", "printf 'make all\\ngit log\\n' >~/.bash_history && rm -f ~/.bashrc").ok();
    machine.as_user("ann", "printf 'alias ll=\"ls -l\"' >~/.bashrc").ok();
    Some(machine)
}

/// Types lines into a new terminal of that user, and waits until its shell has ended.
fn type_into_terminal(machine: &Machine, user: &str, lines: &[&str]) {
    let mut typed = String::new();
    for line in lines {
        writeln!(typed, "{line}").expect("a string takes it");
    }
    machine.write("/tmp/typed", &format!("{typed}exit\n"));
    machine.as_user(user, "script --quiet --command 'bash -i' /dev/null </tmp/typed >/dev/null").ok();
    machine.root("rm /tmp/typed").ok();
}

/// Returns what is newer than the stamp and bears Karo's name, speaks of it or leads to it.
///
/// The machine's own directories are looked through: below the others this machine shows, where somebody may be
/// building Karo.
pub(super) fn traces(machine: &Machine) -> String {
    let newer = format!(
        "find /boot /etc /home /media /mnt /opt /root /run /srv /tmp /dev/shm /usr /var -newer /stamp \
         -not -path '/run/karo-machine*' -not -path '/var/tmp/karo-test*' -not -path '{}*'",
        checkout().display()
    );
    // Journals are the system's: they tell for as long as they keep what was said.
    let look = format!(
        "{newer} -iname '*karo*'; {newer} -type l -lname '*karo*'; \
         {newer} -type f -not -path '/var/log/journal/*' -exec grep -il karo {{}} +"
    );
    machine.root(&look).stdout
}

#[test]
fn root_a_bare_machine_records_in_a_minute_and_is_as_it_was_after_a_purge() {
    let Some(machine) = with_programs() else { return };
    let before = machine.as_user("ann", "cat ~/.bashrc; find ~ | sort").ok();
    machine.root("sleep 0.01; touch /stamp; sleep 0.01").ok();

    let dry = machine.as_user("ann", "karoctl setup").code;
    assert_eq!(dry, 2, "nobody is there to ask");
    assert_eq!(traces(&machine), "", "nothing was done");

    let said = machine.as_user("ann", "karoctl setup --yes").ok();
    for expected in
        ["wrote /home/ann/.config/systemd/user/karod.service", "the hook is in /home/ann/.bashrc", "2 added"]
    {
        assert!(said.contains(expected), "{expected} is not in\n{said}");
    }
    assert!(traces(&machine).contains("/home/ann/.bashrc"), "what is there is seen");
    machine.until_property(Some("ann"), "karod.service", "ActiveState", "active");
    let again = machine.as_user("ann", "karoctl setup --yes").ok();
    assert!(again.contains("Nothing to do: Karo is set up already."), "{again}");

    type_into_terminal(&machine, "ann", &["echo found-$((40+2))", "false"]);
    let found = || machine.as_user("ann", "karoctl query --format text found").stdout;
    until("the command is found", || found().contains("echo found-$((40+2))").then_some(()));
    let history = machine.as_user("ann", "karoctl query --format text").ok();
    assert!(history.contains("make all") && history.contains("git log"), "{history}");
    let status = machine.as_user("ann", "karoctl service status").ok();
    assert!(status.contains("karod.service is active (running)"), "{status}");
    let doctor = machine.as_user("ann", "karoctl doctor").stdout;
    assert!(!doctor.contains("FAIL"), "{doctor}");
    let journal =
        |of: &str| machine.as_user("ann", &format!("journalctl --user -u karod -o cat {of}")).stdout;
    until("the journal has it", || (journal("KARO_EVENT=accepting") == "accepting\n").then_some(()));
    let logs = machine.as_user("ann", "karoctl logs").ok();
    assert!(logs.contains("accepting: accepting") && logs.contains("journal"), "{logs}");

    // Typed into a shell that has the hook, and has it still when Karo is gone.
    let lines = ["unset HISTFILE", "karoctl uninstall --purge --yes >/tmp/said", "echo after"];
    type_into_terminal(&machine, "ann", &lines);
    let gone = machine.as_user("ann", "cat /tmp/said; rm /tmp/said").ok();
    assert!(gone.contains("removed log, views and keys in /home/ann/.local/share/karo"), "{gone}");
    until("the last client is gone", || (machine.root("pgrep -x karo-observe").code == 1).then_some(()));
    until("the service is gone", || {
        let state = machine.as_user("ann", "systemctl --user is-active karod.service karod.socket").stdout;
        (state.trim() == "inactive\ninactive").then_some(())
    });
    assert_eq!(traces(&machine), "");
    assert_eq!(machine.as_user("ann", "cat ~/.bashrc; find ~ | sort").ok(), before);
}

#[test]
fn root_what_was_kept_is_there_after_an_uninstall_without_a_daemon() {
    let Some(machine) = with_programs() else { return };
    // By another karoctl, whose units differ, and with an rc file where nobody looks who does not know: what is taken
    // away afterwards is what was written down.
    machine.root("mkdir -p /opt/karo && cp /usr/local/bin/karo* /opt/karo").ok();
    machine
        .as_user("ann", "mkdir dots && touch dots/.zshrc && ZDOTDIR=~/dots /opt/karo/karoctl setup --yes")
        .ok();
    // It neither answers nor can be told to stop.
    machine.as_user("ann", "systemctl --user kill --signal=STOP karod.service").ok();
    let gone = machine.as_user("ann", "karoctl uninstall --yes").ok();
    assert!(gone.contains("kept       /home/ann/.local/share/karo"), "{gone}");
    assert_eq!(machine.as_user("ann", "cat ~/.bashrc").ok(), "alias ll=\"ls -l\"");
    assert_eq!(machine.as_user("ann", "cat dots/.zshrc; ls .config/systemd").stdout, "");
    assert_eq!(machine.as_user("ann", "pgrep -u ann karod").code, 1, "it runs no more");
    machine.as_user("ann", "karoctl setup --yes --without history").ok();
    let history = machine.as_user("ann", "karoctl query --format text").ok();
    assert!(history.contains("make all"), "{history}");
}

#[test]
fn root_a_unit_that_was_edited_is_neither_overwritten_nor_removed() {
    let Some(machine) = with_programs() else { return };
    machine.as_user("ann", "karoctl service install").ok();
    let unit = "~/.config/systemd/user/karod.service";
    machine.as_user("ann", &format!("echo '# mine' >>{unit}")).ok();
    let refused = machine.as_user("ann", "karoctl service install");
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(refused.stderr.contains("# mine"), "{refused:?}");
    let doctor = machine.as_user("ann", "karoctl doctor").stdout;
    assert!(doctor.contains("not written by karoctl, or changed since"), "{doctor}");
    let gone = machine.as_user("ann", "karoctl service uninstall").ok();
    assert!(gone.contains("karod.service stays"), "{gone}");
    assert!(machine.as_user("ann", &format!("cat {unit}")).ok().ends_with("# mine"));
    machine.as_user("ann", "karoctl service install --force").ok();
    assert_eq!(machine.as_user("ann", &format!("grep -c '# mine' {unit}")).stdout.trim(), "0");
}

#[test]
fn root_a_daemon_that_was_given_up_is_explained_and_started_anew() {
    let Some(machine) = with_programs() else { return };
    machine.as_user("ann", "karoctl service install").ok();
    // Started by its socket again and again, it dies each time.
    machine.root("mv /usr/local/bin/karod /usr/local/bin/karod.good").ok();
    machine.write(
        "/usr/local/bin/karod.bad",
        "#!/bin/sh\n[ \"$1\" = --version ] && echo karod 0.1.0 && exit\nexit 1\n",
    );
    machine.root("install -m 755 /usr/local/bin/karod.bad /usr/local/bin/karod").ok();
    drop(machine.as_user("ann", "systemctl --user kill --signal=KILL karod.service"));
    machine.until_property(Some("ann"), "karod.socket", "Result", "service-start-limit-hit");
    let doctor = machine.as_user("ann", "karoctl doctor").stdout;
    assert!(doctor.contains("was given up (exit-code, status 1)"), "{doctor}");
    assert!(doctor.contains("`karoctl service restart`"), "{doctor}");
    machine.root("mv /usr/local/bin/karod.good /usr/local/bin/karod").ok();
    machine.as_user("ann", "karoctl service restart").ok();
    machine.until_property(Some("ann"), "karod.service", "ActiveState", "active");
    machine.as_user("ann", "karoctl status").ok();
}
