//! What befalls a service: it stands still, crashes, finds no room, loses its journal or its clock. In each of these
//! nothing that was acknowledged is lost, and what is to be done is said.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Instant;

use karo_protocol::Observation;
use karo_tests::machine::Machine;
use karo_tests::{Typist, until};

use super::{SOCKET, keep, texts};

const UNIT: &str = "karod.service";

/// Short enough for a test, and longer than a daemon that is not optimized needs to read its rules: it answers no
/// ping meanwhile.
const WATCHDOG: &str = "WatchdogSec=8s";

/// Writes a drop-in for the daemons of all users.
fn change(machine: &Machine, lines: &str) {
    machine.write("/etc/systemd/user/karod.service.d/story.conf", &format!("[Service]\n{lines}\n"));
}

/// Boots a machine in which ann's daemon runs, with one command recorded.
fn running(lines: &str) -> Option<(Machine, Typist)> {
    let machine = Machine::boot()?;
    machine.add_user("ann");
    change(&machine, lines);
    let mut shell = Typist::new(1);
    machine.as_user("ann", "systemctl --user daemon-reload && systemctl --user start karod").ok();
    keep(&mut machine.session("ann", SOCKET), [shell.ran("before", 0)]);
    Some((machine, shell))
}

fn pid(machine: &Machine) -> String {
    machine.property(Some("ann"), UNIT, "MainPID")
}

fn wait_for_texts(machine: &Machine, expected: &[&str]) {
    until("all of it is there, once", || {
        let mut texts = texts(machine, "ann", SOCKET);
        texts.sort();
        (texts == expected).then_some(())
    });
}

/// Hands an observation to `karo-observe` as that user, which spools it where nobody answers in time.
fn observe(machine: &Machine, user: &str, observation: &Observation) {
    use std::io::Write;
    let mut command = machine.command_as(user, "exec karo-observe end --stdin");
    let mut child = command.stdin(Stdio::piped()).spawn().expect("sh can be run");
    let record = karo_protocol::spool::encode(observation);
    child.stdin.take().expect("it is a pipe").write_all(&record).expect("karo-observe reads");
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn root_a_daemon_that_stands_still_is_started_anew() {
    // With the watchdog that is shipped: half a minute, of which a test's patience is twice.
    let Some((machine, mut shell)) = running("") else { return };
    machine.root(&format!("kill -STOP {}", pid(&machine))).ok();
    let stopped = Instant::now();
    // Nobody answers; the record waits in the spool, and the log is read without a daemon.
    observe(&machine, "ann", &shell.ran("meanwhile", 0));
    let told = machine.as_user("ann", "karoctl logs").ok();
    assert!(told.contains("accepting"), "{told}");
    machine.until_property(Some("ann"), UNIT, "NRestarts", "1");
    machine.until_property(Some("ann"), UNIT, "ActiveState", "active");
    let allowed = machine.property(Some("ann"), UNIT, "WatchdogUSec");
    eprintln!("stood still: {:.1} s with a watchdog of {allowed}", stopped.elapsed().as_secs_f64());
    keep(&mut machine.session("ann", SOCKET), [shell.ran("within", 0)]);
    wait_for_texts(&machine, &["before", "meanwhile", "within"]);
}

/// Stops one thread of a process where it stands, until the process is killed.
const HOLD: &str = r#"
my ($seize, $interrupt, $all) = (0x4206, 0x4207, 0x40000000);
my $number = (POSIX::uname())[4] eq "x86_64" ? 101 : 117;
syscall($number, $seize, $ARGV[0] + 0, 0, 0) == 0 or die $!;
syscall($number, $interrupt, $ARGV[0] + 0, 0, 0) == 0 or die $!;
waitpid($ARGV[0], $all) > 0 or die $!;
$| = 1; print "held\n";
1 while waitpid($ARGV[0], $all) > 0;
"#;

#[test]
fn root_a_blocked_actor_is_a_daemon_that_stands_still() {
    let Some((machine, mut shell)) = running(WATCHDOG) else { return };
    let daemon = pid(&machine);
    keep(&mut machine.session("ann", SOCKET), (0..40).map(|n| shell.ran(format!("echo {n}"), 0)));
    // The thread that wrote the most is the store's.
    let busiest = format!(
        "cd /proc/{daemon}/task && for t in *; do echo $(sed -n 's/^wchar: //p' $t/io) $t; done | sort -n | tail -1"
    );
    let thread = machine.root(&busiest).ok();
    let thread = thread.split(' ').next_back().expect("there are threads").to_owned();
    let mut holder = machine.command(&["perl", "-MPOSIX", "-e", HOLD, &thread]);
    let mut holder = holder.stdout(Stdio::piped()).spawn().expect("perl can be run");
    let mut said = String::new();
    BufReader::new(holder.stdout.as_mut().expect("it is a pipe")).read_line(&mut said).expect("it says");
    assert_eq!(said, "held\n");
    machine.until_property(Some("ann"), UNIT, "NRestarts", "1");
    holder.wait().expect("it is our child");
    machine.until_property(Some("ann"), UNIT, "ActiveState", "active");
    keep(&mut machine.session("ann", SOCKET), [shell.ran("after", 0)]);
    let texts = texts(&machine, "ann", SOCKET);
    assert_eq!((texts.len(), texts.last().map(String::as_str)), (42, Some("after")));
}

#[test]
fn root_who_crashes_five_times_in_a_row_is_given_up_and_doctor_says_so() {
    let Some((machine, mut shell)) = running("RestartSec=100ms") else { return };
    for _ in 0..5 {
        machine.until_property(Some("ann"), UNIT, "ActiveState", "active");
        let fallen = pid(&machine);
        machine.root(&format!("kill -KILL {fallen}")).ok();
        until("its end is seen", || (pid(&machine) != fallen).then_some(()));
    }
    machine.until_property(Some("ann"), UNIT, "ActiveState", "failed");
    observe(&machine, "ann", &shell.ran("meanwhile", 0));
    machine.until_property(Some("ann"), "karod.socket", "ActiveState", "failed");
    let doctor = machine.as_user("ann", "karoctl doctor");
    let is_told = ["given up", "karoctl service restart"].iter().all(|what| doctor.stdout.contains(what));
    assert!(is_told, "{doctor:?}");
    machine.as_user("ann", "karoctl service restart").ok();
    wait_for_texts(&machine, &["before", "meanwhile"]);
}

/// Boots a machine in which ann's configuration cannot be used.
fn misconfigured() -> Option<Machine> {
    let machine = Machine::boot()?;
    machine.add_user("ann");
    machine.write("/home/ann/.config/karo/config.toml", "[store]\nreserve_mib = 0\n");
    machine.root("chown -R ann: /home/ann/.config").ok();
    Some(machine)
}

#[test]
fn root_a_configuration_that_cannot_be_used_is_tried_once() {
    let Some(machine) = misconfigured() else { return };
    assert_ne!(machine.as_user("ann", "systemctl --user start karod").code, 0);
    machine.until_property(Some("ann"), UNIT, "ActiveState", "failed");
    assert_eq!(machine.property(Some("ann"), UNIT, "ExecMainStatus"), "78");
    assert_eq!(machine.property(Some("ann"), UNIT, "NRestarts"), "0");
    assert!(machine.property(Some("ann"), UNIT, "StatusText").contains("reserve_mib"));
}

/// A connection that waits in the manager's socket starts whoever has just ended, whatever it ended with.
#[test]
fn root_who_waits_for_a_bad_configuration_has_it_tried_until_the_limit() {
    let Some(machine) = misconfigured() else { return };
    let mut shell = Typist::new(1);
    machine.as_user("ann", "systemctl --user start karod.socket").ok();
    observe(&machine, "ann", &shell.ran("meanwhile", 0));
    machine.until_property(Some("ann"), "karod.socket", "ActiveState", "failed");
    assert_eq!(machine.property(Some("ann"), UNIT, "ExecMainStatus"), "78");
    assert_eq!(machine.property(Some("ann"), UNIT, "NRestarts"), "0");
    let told = machine.as_user("ann", "journalctl --user --user-unit karod --output cat").ok();
    assert_eq!(told.matches("reserve_mib").count(), 5, "{told}");
    let doctor = machine.as_user("ann", "karoctl doctor");
    let is_told = ["given up", "reserve_mib", "karoctl service restart"]
        .iter()
        .all(|what| doctor.stdout.contains(what));
    assert!(is_told, "{doctor:?}");
    // From here on hooks reach nobody, and spool.
    observe(&machine, "ann", &shell.ran("later", 0));
    machine.as_user("ann", "rm .config/karo/config.toml && karoctl service restart").ok();
    wait_for_texts(&machine, &["later", "meanwhile"]);
}

#[test]
fn root_without_a_journal_it_goes_on_and_is_heard_again() {
    // Whoever says much is cut short by the journal, not held up by it.
    let Some((machine, mut shell)) = running("LogRateLimitIntervalSec=1h\nLogRateLimitBurst=5") else {
        return;
    };
    let daemon = pid(&machine);
    machine
        .root("systemctl stop systemd-journald.socket systemd-journald-dev-log.socket systemd-journald")
        .ok();
    machine.as_user("ann", "systemctl --user reload karod").ok();
    keep(&mut machine.session("ann", SOCKET), (0..50).map(|n| shell.ran(format!("silent {n}"), 0)));
    machine.root("systemctl start systemd-journald").ok();
    change(&machine, "");
    machine.as_user("ann", "systemctl --user daemon-reload").ok();
    // Of the journal's own protocol: what comes by standard error has no such field.
    let heard = || {
        let said = "journalctl --user --user-unit karod --output cat KARO_EVENT=config-reloaded";
        machine.as_user("ann", said).stdout.lines().count()
    };
    let heard_anew = |what: &str| {
        let before = heard();
        until(what, || {
            machine.as_user("ann", "systemctl --user reload karod").ok();
            (heard() > before).then_some(())
        });
    };
    heard_anew("it is heard again");
    // One that is killed is started anew by systemd, which has kept its sockets meanwhile.
    let journald = || machine.property(None, "systemd-journald.service", "MainPID");
    let fallen = journald();
    machine.root(&format!("kill -KILL {fallen}")).ok();
    keep(&mut machine.session("ann", SOCKET), (0..50).map(|n| shell.ran(format!("killed {n}"), 0)));
    until("another journald runs", || (![fallen.as_str(), "0"].contains(&journald().as_str())).then_some(()));
    heard_anew("the next one hears it too");
    assert_eq!(pid(&machine), daemon, "it never ended");
    assert_eq!(texts(&machine, "ann", SOCKET).len(), 101);
}

#[test]
fn root_on_a_full_disk_it_starts_and_serves_what_there_is() {
    let Some((machine, mut shell)) = running("") else { return };
    // It is killed, so what it left must be mended at the next start.
    machine
        .as_user(
            "ann",
            "systemctl --user kill --signal=KILL karod && systemctl --user stop karod \
             && printf '[store]\\nreserve_mib = 1\\n' >.config/karo/config.toml",
        )
        .ok();
    let small = "cd /home/ann/.local/share && cp -a karo saved && mount -t tmpfs -o size=8m,mode=0700,uid=$(id -u ann) none karo \
        && cp -a saved/. karo/ && (cat /dev/zero >karo/ballast || true) 2>/dev/null";
    machine.root(small).ok();
    observe(&machine, "ann", &shell.ran("meanwhile", 0));
    machine.until_property(Some("ann"), UNIT, "ActiveState", "active");
    assert_eq!(texts(&machine, "ann", SOCKET), ["before"]);
    let daemon = pid(&machine);
    let verdict = machine.session("ann", SOCKET).observe(shell.ran("refused", 0));
    assert_eq!(verdict.expect("the daemon answers"), karo_protocol::local::Verdict::Busy);
    assert_eq!(pid(&machine), daemon, "it waits for room");
    machine.root("rm /home/ann/.local/share/karo/ballast").ok();
    wait_for_texts(&machine, &["before", "meanwhile"]);
}

#[test]
fn root_a_read_only_disk_is_named_and_given_up() {
    let Some((machine, mut shell)) = running("RestartSec=100ms") else { return };
    let place = "/home/ann/.local/share/karo";
    machine.as_user("ann", "systemctl --user stop karod").ok();
    machine.root(&format!("mount --bind {place} {place} && mount -o remount,bind,ro {place}")).ok();
    observe(&machine, "ann", &shell.ran("meanwhile", 0));
    machine.until_property(Some("ann"), "karod.socket", "ActiveState", "failed");
    assert!(machine.property(Some("ann"), UNIT, "StatusText").contains("Read-only file system"));
    machine.root(&format!("umount {place}")).ok();
    machine
        .as_user(
            "ann",
            "systemctl --user reset-failed karod.service karod.socket && systemctl --user start karod",
        )
        .ok();
    wait_for_texts(&machine, &["before", "meanwhile"]);
}

#[test]
fn root_in_a_full_runtime_directory_it_starts_all_the_same() {
    let Some((machine, mut shell)) = running("") else { return };
    let fill = "cd /run/user/$(id -u ann) && mount -o remount,size=1m . && (cat /dev/zero >ballast || true) 2>/dev/null";
    machine.root(fill).ok();
    machine.as_user("ann", "systemctl --user stop karod.service karod.socket").ok();
    // Nobody listens, and there is no room where hooks spool: it goes where clients do.
    observe(&machine, "ann", &shell.ran("meanwhile", 0));
    machine.as_user("ann", "systemctl --user start karod").ok();
    keep(&mut machine.session("ann", SOCKET), [shell.ran("within", 0)]);
    wait_for_texts(&machine, &["before", "meanwhile", "within"]);
}
