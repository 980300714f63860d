//! The daemon under a service manager, which here is the story: it holds the socket, and hears what is said.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::time::Duration;

use karo_protocol::local::{Observe, Reply, Request, Verdict};
use karo_protocol::query::{Detail, Filter, Order, Query};
use karo_tests::{Karo, ServiceManager, Typist, until};
use rustix::fs::{CWD, Mode, OFlags, mkfifoat};
use rustix::process::Signal;

/// The first log segment, as a store names it.
const FIRST_SEGMENT: &str = "log/00000001.log";

#[test]
fn the_first_client_starts_the_daemon() {
    let mut karo = Karo::new();
    let manager = ServiceManager::new(&karo);
    let mut shell = Typist::new(1);
    for command in ["the first", "the second"] {
        let mut session = karo.session();
        let sent = session.send(&Request::Observe(Observe::new(shell.ran(command, 0))));
        sent.expect("the socket takes it before anybody reads");
        manager.wait_for_client();
        let activated = manager.activated(&karo);
        karo.spawn(activated);
        manager.hear_of("READY=1");
        let (_, reply) = session.receive().expect("the daemon answers");
        assert!(matches!(reply, Reply::Observed(Verdict::Committed)), "{reply:?}");
        assert!(karo.stop().success(), "{}", karo.log());
        assert!(karo.socket().exists(), "the socket is the manager's");
    }
    let activated = manager.activated(&karo);
    karo.spawn(activated);
    karo.wait_until_searchable();
    assert_eq!(karo.session().texts(), ["the first", "the second"]);
}

#[test]
fn ready_is_said_when_it_accepts_durably() {
    let mut karo = Karo::new();
    let manager = ServiceManager::new(&karo);
    let segment = karo.data().join(FIRST_SEGMENT);
    fs::create_dir(karo.data().join("log")).expect("the places are ours");
    // Whoever reads it waits until somebody writes.
    mkfifoat(CWD, &segment, Mode::RUSR | Mode::WUSR).expect("the places are ours");
    let mut session = karo.session();
    let command = Typist::new(1).ran("early", 0);
    session.send(&Request::Observe(Observe::new(command))).expect("the socket takes it");
    let activated = manager.activated(&karo);
    karo.spawn(activated);
    let held = manager.hear();
    assert_eq!(held, ["EXTEND_TIMEOUT_USEC=60000000", "STATUS=opening the store"]);
    // It reads more than once, and finds nothing each time.
    until("the daemon is ready", || {
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        drop(File::options().write(true).custom_flags(flags).open(&segment));
        manager.overhear().contains(&"READY=1".to_owned()).then_some(())
    });
    let (_, reply) = session.receive().expect("the daemon answers");
    assert!(matches!(reply, Reply::Observed(Verdict::Committed)), "{reply:?}");
}

#[test]
fn a_reload_and_a_stop_are_told() {
    let mut karo = Karo::new();
    let manager = ServiceManager::new(&karo);
    let activated = manager.activated(&karo);
    karo.spawn(activated);
    manager.hear_of("READY=1");
    manager.hear_of("STATUS=0 events");
    karo.configure("[log]\nlevel = \"loud\"\n");
    karo.signal(Signal::HUP);
    let reloading = manager.hear();
    assert!(reloading[0] == "RELOADING=1" && reloading[1].starts_with("MONOTONIC_USEC="), "{reloading:?}");
    let reloaded = manager.hear();
    assert_eq!(reloaded[0], "READY=1");
    assert!(reloaded[1].starts_with("STATUS=the changed configuration is not in force: "), "{reloaded:?}");
    assert!(reloaded[1].contains("log.level is loud"), "{reloaded:?}");
    karo.configure("");
    karo.signal(Signal::HUP);
    assert_eq!(manager.hear()[0], "RELOADING=1");
    assert_eq!(manager.hear(), ["READY=1", "STATUS=0 events"]);
    karo.signal(Signal::TERM);
    assert_eq!(manager.hear(), ["STOPPING=1", "STATUS=stopping"]);
    assert!(karo.wait_for_end().success(), "{}", karo.log());
}

#[test]
fn a_failed_start_says_why() {
    let mut karo = Karo::running();
    let mut other = Karo::new();
    other.set("KARO_DATA_DIR", karo.data());
    let manager = ServiceManager::new(&other);
    let activated = manager.activated(&other);
    other.spawn(activated);
    let failed = manager.hear();
    assert!(failed[0].starts_with("STATUS=another karod has the data directory"), "{failed:?}");
    assert_eq!(failed[1], "ERRNO=16");
    assert_eq!(other.wait_for_end().code(), Some(3));
    assert!(karo.stop().success());
}

#[test]
fn a_socket_that_is_not_right_is_refused() {
    let mut karo = Karo::new();
    let manager = ServiceManager::new(&karo);
    let mut refused = |change: &dyn Fn(&Karo, &mut std::process::Command), expected: &str| {
        let mut command = manager.activated(&karo);
        change(&karo, &mut command);
        karo.spawn(command);
        let said = manager.hear();
        assert!(said[0].contains(expected) && said[1] == "ERRNO=22", "{said:?}");
        assert_eq!(karo.wait_for_end().code(), Some(78), "{}", karo.log());
        assert!(karo.socket().exists(), "the socket is the manager's");
    };
    refused(&|_, command| _ = command.env("LISTEN_FDS", "2"), "karod takes one");
    refused(&|_, command| _ = command.env("LISTEN_FDNAMES", "ssh"), "FileDescriptorName=karod");
    let elsewhere = |karo: &Karo, command: &mut std::process::Command| {
        command.env("KARO_SOCKET", karo.run().join("other.sock"));
    };
    refused(&elsewhere, "set both to one path");
    let open = |karo: &Karo, _: &mut std::process::Command| {
        fs::set_permissions(karo.socket(), Permissions::from_mode(0o666)).expect("the socket is ours");
    };
    refused(&open, "SocketMode=0600");
}

#[test]
fn a_socket_of_its_own_is_served_without_one_that_is_handed_over() {
    let mut karo = Karo::new();
    let manager = ServiceManager::new(&karo);
    // A unit of Type=notify without a socket unit.
    fs::remove_file(karo.socket()).expect("the socket is ours");
    let notified = manager.notified(&karo);
    karo.spawn(notified);
    manager.hear_of("READY=1");
    karo.keep([Typist::new(1).ran("alone", 0)]);
    assert!(karo.stop().success());
    assert!(!karo.socket().exists(), "its own socket goes with it");
}

#[test]
fn the_watchdog_is_fed_by_those_who_answer() {
    let mut karo = Karo::new();
    let manager = ServiceManager::new(&karo);
    let mut fed = manager.activated(&karo);
    fed.env("WATCHDOG_USEC", "300000");
    karo.spawn(fed);
    manager.hear_of("READY=1");
    manager.hear_of("WATCHDOG=1");
    manager.hear_of("WATCHDOG=1");
    karo.keep([Typist::new(1).ran("kept", 0)]);
    // A disk that hangs looks like a pipe into which nobody writes: whoever reads it stands still.
    let (segment, aside) = (karo.data().join(FIRST_SEGMENT), karo.data().join("aside"));
    fs::rename(&segment, &aside).expect("the places are ours");
    mkfifoat(CWD, &segment, Mode::RUSR | Mode::WUSR).expect("the places are ours");
    let mut session = karo.session();
    session.send(&Request::Query(whole_events())).expect("the socket takes it");
    manager.hear_until(|line| line.starts_with("STATUS=no answer from query"));
    until("it is in the log", || karo.log().contains("no answer").then_some(()));
    // It is not to be met again.
    let hanging = karo.data().join("hanging");
    fs::rename(&segment, &hanging).expect("the places are ours");
    fs::rename(&aside, &segment).expect("the places are ours");
    drop(File::options().write(true).open(&hanging).expect("the daemon reads it"));
    let mut after = Vec::new();
    while !after.iter().any(|line: &String| line == "WATCHDOG=1") {
        after.extend(manager.hear());
    }
    assert_eq!(after, ["WATCHDOG=1"], "it was not fed while one was stuck");
    assert!(karo.stop().success(), "{}", karo.log());
}

/// Asks for what only the log on the disk holds.
fn whole_events() -> Query {
    let filter = Filter::default();
    Query { filter, is_unique: false, limit: None, order: Order::OldestFirst, detail: Detail::Event }
}

#[test]
fn another_process_is_not_watched_for() {
    let mut karo = Karo::new();
    let manager = ServiceManager::new(&karo);
    let mut command = manager.activated(&karo);
    command.env("WATCHDOG_USEC", "100000").env("WATCHDOG_PID", "1");
    karo.spawn(command);
    manager.hear_of("READY=1");
    // Whoever reads rules answers nobody; then everybody does, and has for a while.
    karo.wait_for_rules();
    let mut shell = Typist::new(1);
    karo.keep((0..100).map(|n| shell.ran(format!("echo {n}"), 0)));
    karo.signal(Signal::TERM);
    let mut heard = Vec::new();
    while !heard.iter().any(|line: &String| line == "STOPPING=1") {
        heard.extend(manager.hear());
    }
    assert!(!heard.contains(&"WATCHDOG=1".to_owned()), "{heard:?}");
}

/// More than the least time after which an idle daemon ends, and the least after that.
const IDLE_PATIENCE: Duration = Duration::from_secs(200);

#[test]
fn whoever_comes_while_an_idle_daemon_ends_finds_the_next() {
    let mut karo = Karo::new();
    karo.configure("[service]\nidle_exit_minutes = 1\n");
    let manager = ServiceManager::new(&karo);
    manager.be_patient(IDLE_PATIENCE);
    let activated = manager.activated(&karo);
    karo.spawn(activated);
    let stopping = manager.hear_of("STOPPING=1");
    assert!(stopping[1].contains("nobody needed karod"), "{stopping:?}");
    // It stops, or has stopped: either way nobody takes this but the next one.
    let mut session = karo.session();
    let command = Typist::new(1).ran("in the gap", 0);
    session.send(&Request::Observe(Observe::new(command))).expect("the manager's socket takes it");
    assert!(karo.wait_for_end().success(), "{}", karo.log());
    manager.wait_for_client();
    let activated = manager.activated(&karo);
    karo.spawn(activated);
    let (_, reply) = session.receive().expect("the next daemon answers");
    assert!(matches!(reply, Reply::Observed(Verdict::Committed)), "{reply:?}");
    // An open session, and then its command, keep the next one for as long as they last.
    assert!(karo.is_running());
}

#[test]
fn a_daemon_with_few_descriptors_has_fewer_sessions_and_says_so() {
    let mut karo = Karo::new();
    karo.configure("[socket]\nsessions_max = 4096\n");
    let mut command = karo.daemon_command_through(&["bash", "-c", "ulimit -n 512; exec \"$@\"", "bash"]);
    command.stdin(std::process::Stdio::null());
    karo.launch_as(command);
    assert_eq!(karo.status().sessions_max, 160);
    assert!(karo.log().contains("512 open files leave room for 160"), "{}", karo.log());
}
