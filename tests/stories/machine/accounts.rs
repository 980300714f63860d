//! Accounts of a server, by `karoctl service install --system`: each its own daemon, and nothing left of any.

use karo_tests::machine::Machine;
use karo_tests::until;

use super::setup::{traces, with_programs};
use super::terminal::Terminal;
use super::texts;

/// What somebody would notice who looks after the machine; the base directories of a home are every program's.
const KEPT: &str = "find /home/bob /home/eve /etc/systemd /usr/local/lib /var/lib -not -path '*/systemd/*/database' \
    -not -name .bash_history -not -name .config -not -name .local -not -path '*/.local/share' \
    -not -path '*/.local/state' -printf '%p %y %m %u\\n' | sort; ls -d /run/karo";

fn instance(user: &str) -> String {
    format!("karod@{user}.service")
}

fn socket(user: &str) -> String {
    format!("/run/karo/{user}/karod.sock")
}

fn pid(machine: &Machine, user: &str) -> String {
    machine.property(None, &instance(user), "MainPID")
}

/// Counts the messages of Karo that the journal explains.
fn explained(machine: &Machine) -> String {
    machine.root("journalctl --dump-catalog | grep -c 'Defined-By: Karo'").stdout.trim().to_owned()
}

/// What was not done says why.
#[track_caller]
fn refused(machine: &Machine, user: &str, script: &str, why: &str) {
    let said = machine.as_user(user, script);
    assert!(said.code != 0 && said.stderr.contains(why), "{said:?}");
}

#[test]
fn root_accounts_of_a_server_have_each_their_own_and_leave_nothing() {
    let Some(machine) = with_programs() else { return };
    for user in ["bob", "eve"] {
        machine.add_guest(user);
    }
    let before = machine.root(KEPT).stdout;
    machine.root("sleep 0.01; touch /stamp; sleep 0.01").ok();
    let install = "karoctl service install --system";
    refused(&machine, "root", &format!("{install} --for ghost"), "there is no account ghost");
    refused(&machine, "root", &format!("{install} --for root"), "the home of root is /root");
    refused(&machine, "bob", &format!("{install} --for bob"), "needs root");
    assert_eq!(traces(&machine), "", "nothing was done");

    for user in ["bob", "eve"] {
        let said = machine.root(&format!("{install} --for {user}")).ok();
        assert!(said.contains(&format!("karod@{user}.socket")), "{said}");
        machine.until_property(None, &instance(user), "ActiveState", "active");
    }
    assert!(machine.root(&format!("{install} --for bob")).ok().contains("nothing to do"));
    assert_ne!(explained(&machine), "0");
    for user in ["bob", "eve"] {
        let said = machine.as_user(user, "karoctl setup --yes").ok();
        assert!(said.contains(&format!("root's service manager runs karod for {user}")), "{said}");
        assert!(!said.contains("karoctl service run"), "{said}");
        let mut terminal = Terminal::open(&machine, user, "bash -i");
        terminal.type_line(&format!("echo of-{user}-$((40+2))"), &format!("of-{user}-42"));
        terminal.leave();
        let typed = format!("echo of-{user}-$((40+2))");
        until("it is recorded", || texts(&machine, user, &socket(user)).contains(&typed).then_some(()));
    }
    for (user, other) in [("bob", "eve"), ("eve", "bob")] {
        let found = machine.as_user(user, "karoctl query --format text").ok();
        assert!(found.contains(&format!("of-{user}")) && !found.contains(&format!("of-{other}")), "{found}");
        machine.as_user(user, "test -s ~/.local/share/karo/identity.key").ok();
    }
    is_told_to_its_user(&machine);

    // Whoever goes first leaves the other alone, and what both use.
    let eves = pid(&machine, "eve");
    machine.root("karoctl service uninstall --system --for bob").ok();
    machine.until_property(None, &instance("bob"), "ActiveState", "inactive");
    assert_eq!(pid(&machine, "eve"), eves);
    machine.root("systemctl restart karod@eve.service").ok();
    machine.as_user("bob", "karoctl uninstall --purge --yes").ok();
    machine.root("karoctl service uninstall --system --for eve").ok();
    machine.as_user("eve", "karoctl uninstall --purge --yes").ok();
    // The journal's own book of explanations is written anew each time, in many languages; in one of them the letters
    // of Karo are the beginning of a word.
    assert_eq!(traces(&machine).replace("/var/lib/systemd/catalog/database\n", ""), "");
    assert_eq!(explained(&machine), "0");
    let after = machine.root(KEPT).stdout;
    let others = |of: &str, than: &str| {
        of.lines()
            .filter(|line| than.lines().all(|other| other != *line))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!((others(&before, &after), others(&after, &before)), (Vec::new(), Vec::new()));
    assert_eq!(machine.root("systemctl --failed --quiet").stdout, "");
}

/// Whoever is served by the system sees what becomes of it, and can take away what is theirs alone.
fn is_told_to_its_user(machine: &Machine) {
    let bobs = pid(machine, "bob");
    let status = machine.as_user("bob", "karoctl service status --system --for bob").ok();
    assert!(status.contains("karod@bob.service is active (running)"), "{status}");
    assert!(status.contains(&format!("process {bobs}")), "{status}");
    let until_logged = || machine.as_user("bob", "karoctl logs").stdout.contains("accepting").then_some(());
    until("the journal has it for its user", until_logged);
    let gone = machine.as_user("bob", "karoctl uninstall --yes").ok();
    assert!(gone.contains("took the hook out of /home/bob/.bashrc"), "{gone}");
    assert_eq!(pid(machine, "bob"), bobs, "it runs on");
    machine.as_user("bob", "karoctl query").ok();
}

#[test]
fn root_a_socket_of_another_unit_is_not_taken_for_a_daemon() {
    let Some(machine) = with_programs() else { return };
    // Somebody's own pair of units: their manager listens, and a karod runs by it.
    let unit = "~/.config/systemd/user/mine";
    machine
        .as_user(
            "ann",
            &format!(
                "mkdir -p ~/.config/systemd/user && printf '[Socket]\\nListenStream=%%t/karo/karod.sock\\n\
                 DirectoryMode=0700\\nSocketMode=0600\\nFileDescriptorName=karod\\n' >{unit}.socket && \
                 printf '[Service]\\nType=notify\\nExecStart=/usr/local/bin/karod\\n' >{unit}.service && \
                 systemctl --user daemon-reload && systemctl --user start mine.socket && karoctl status"
            ),
        )
        .ok();
    let manager = machine.root("systemctl show --property=MainPID --value user@$(id -u ann).service").ok();
    let daemon = machine.property(Some("ann"), "mine.service", "MainPID");
    let planned = machine.as_user("ann", "karoctl service install --dry-run").ok();
    assert!(planned.contains(&format!("end karod, process {daemon} (")), "{planned}");
    assert!(!planned.contains(&format!("process {manager} ")), "{planned}");
}
