//! Who comes and goes: sessions with and without lingering, several users, restarts while shells type.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use karo_protocol::query::Filter;
use karo_tests::machine::Machine;
use karo_tests::{Ledger, Typist, until};

use super::{SOCKET, keep, texts};

const UNIT: &str = "karod.service";

#[test]
fn root_users_are_strangers_to_each_other() {
    let Some(machine) = Machine::boot() else { return };
    for (number, user) in [(1, "ann"), (2, "eve")] {
        machine.add_user(user);
        machine.as_user(user, "systemctl --user enable --now karod.socket").ok();
        keep(&mut machine.session(user, SOCKET), [Typist::new(number).ran(format!("of {user}"), 0)]);
    }
    let socket = machine.as_user("ann", "echo /run/user/$UID/karo/karod.sock").ok();
    for user in ["ann", "eve"] {
        assert_eq!(texts(&machine, user, SOCKET), [format!("of {user}")]);
    }
    let refused = machine.as_user("eve", &format!("KARO_SOCKET={socket} karoctl query"));
    assert!(refused.code != 0 && !refused.stdout.contains("of ann"), "{refused:?}");
    // Root gets through to the socket, and the daemon itself refuses whoever is not its user.
    let mut foreign = machine.session("root", &socket);
    assert!(foreign.ask(&karo_protocol::local::Request::Status(())).is_err(), "root is not ann");
    assert_eq!(machine.session("ann", SOCKET).status().refused_foreign, 1);
}

#[test]
fn root_a_daemon_ends_with_the_last_session_unless_its_user_lingers() {
    let Some(machine) = Machine::boot() else { return };
    machine.root("systemctl --global enable karod.socket karod.service").ok();
    machine.add_guest("bob");
    let uid = machine.root("id -u bob").ok();
    let manager = format!("user@{uid}.service");
    for (number, expected) in [(1, 1), (2, 2)] {
        let login = machine.log_in("bob");
        machine.until_property(Some("bob"), UNIT, "ActiveState", "active");
        keep(&mut machine.session("bob", SOCKET), [Typist::new(number).ran(format!("login {number}"), 0)]);
        assert_eq!(texts(&machine, "bob", SOCKET).len(), expected);
        login.log_out();
        machine.until_property(None, &manager, "ActiveState", "inactive");
    }
    // What the daemon said and what its manager said of it: it was told to stop, and stopped.
    let ends = "journalctl --output cat _SYSTEMD_USER_UNIT=karod.service + USER_UNIT=karod.service";
    let ends = machine.root(ends).ok();
    assert_eq!(ends.lines().filter(|line| line.starts_with("Stopped ")).count(), 2, "{ends}");
    assert!(
        !["missed its deadline", "timed out", "Killing"].iter().any(|word| ends.contains(word)),
        "{ends}"
    );

    machine.add_user("ann");
    machine.until_property(Some("ann"), UNIT, "ActiveState", "active");
    let before = machine.property(Some("ann"), UNIT, "MainPID");
    machine.log_in("ann").log_out();
    assert_eq!(machine.property(Some("ann"), UNIT, "MainPID"), before);
}

#[test]
fn root_restarts_while_shells_type_lose_nothing() {
    const SHELLS: u64 = 4;
    let Some(machine) = Machine::boot() else { return };
    machine.add_user("ann");
    machine.as_user("ann", "systemctl --user start karod").ok();
    let is_over = AtomicBool::new(false);
    let kept = AtomicU64::new(0);
    let more = || {
        let enough = kept.load(Ordering::Relaxed) + 20;
        until("shells type on", || (kept.load(Ordering::Relaxed) >= enough).then_some(()));
    };
    let ledger = std::thread::scope(|scope| {
        let (machine, is_over, kept) = (&machine, &is_over, &kept);
        let typing: Vec<_> =
            (0..SHELLS).map(|number| scope.spawn(move || types(machine, number, is_over, kept))).collect();
        for deed in ["restart karod", "daemon-reload", "restart karod", "reload karod", "restart karod"] {
            more();
            let begun = Instant::now();
            machine.as_user("ann", &format!("systemctl --user {deed}")).ok();
            eprintln!("{deed}: {} ms", begun.elapsed().as_millis());
        }
        more();
        is_over.store(true, Ordering::Relaxed);
        let mut ledger = Ledger::default();
        typing.into_iter().for_each(|typed| ledger.absorb(typed.join().expect("a shell types to its end")));
        ledger
    });
    let mut session = machine.session("ann", SOCKET);
    until("everything is searchable", || session.covers_everything().then_some(()));
    let found = ledger.compare(&session.events(Filter::default()));
    assert_eq!((found.lost, found.twice, found.torn), (0, 0, 0), "{found:?}");
    assert!(found.kept > 100, "{found:?}");
}

/// Types until it is over; what was not answered is sent again in a new session, as from the spool.
fn types(machine: &Machine, number: u64, is_over: &AtomicBool, kept: &AtomicU64) -> Ledger {
    let mut ledger = Ledger::default();
    let mut shell = Typist::new(number);
    let mut session = machine.session("ann", SOCKET);
    while !is_over.load(Ordering::Relaxed) {
        let observation = shell.ran(format!("echo {number} {}", shell.sequence), 0);
        ledger.sends(&observation);
        loop {
            match session.observe(observation.clone()) {
                Ok(verdict) => {
                    ledger.hears(observation.shell.id, observation.sequence, verdict);
                    kept.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                Err(_) => session = machine.session("ann", SOCKET),
            }
        }
    }
    ledger
}
