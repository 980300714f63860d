//! Signals: an orderly stop, and a configuration read again.

use std::io::ErrorKind;

use karo_protocol::local::{Observe, Reply, Request, Verdict};
use karo_tests::{Karo, Ledger, Session, Typist, until};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

#[test]
fn term_and_int_stop_in_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut karo = Karo::running();
        let mut shell = Typist::new(1);
        karo.keep([shell.ran("before", 0)]);
        karo.signal(signal);
        assert_eq!(karo.wait_for_end().code(), Some(0), "{}", karo.log());
        assert!(!karo.socket().exists(), "an orderly stop takes the socket away");
        karo.launch();
        karo.wait_until_searchable();
        assert_eq!(karo.session().texts(), ["before"]);
    }
}

#[test]
fn an_open_session_does_not_keep_the_daemon() {
    let mut karo = Karo::running();
    let mut idle = karo.session();
    assert!(karo.stop().success());
    let error = idle.receive().expect_err("nothing was asked");
    assert!(matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset), "{error}");
}

/// Sends many observations without waiting, then hears what became of them until the daemon hangs up.
fn flood(mut session: Session, number: u64, ready: &std::sync::Barrier) -> Ledger {
    let mut shell = Typist::new(number);
    let mut ledger = Ledger::default();
    for n in 0..200 {
        let observation = shell.ran(format!("flood {number} {n}"), 0);
        ledger.sends(&observation);
        if session.send(&Request::Observe(Observe::new(observation))).is_err() {
            break;
        }
    }
    ready.wait();
    // Request n is the shell's command n: both are numbered from 1.
    while let Ok((id, reply)) = session.receive() {
        match reply {
            Reply::Observed(verdict) => ledger.hears(shell.shell.id, id.0, verdict),
            Reply::Failure(_) => {}
            other => panic!("no verdict: {other:?}"),
        }
    }
    ledger
}

#[test]
fn a_full_queue_is_settled_before_the_end() {
    const SESSIONS: usize = 16;
    let mut karo = Karo::running();
    // Before, nothing is understood, and so nothing would be on its way to the disk.
    karo.wait_for_rules();
    let ready = std::sync::Barrier::new(SESSIONS + 1);
    let mut ledger = Ledger::default();
    let mut status = None;
    std::thread::scope(|scope| {
        let floods: Vec<_> = (0..SESSIONS as u64)
            .map(|n| {
                let session = karo.session();
                let ready = &ready;
                scope.spawn(move || flood(session, n, ready))
            })
            .collect();
        ready.wait();
        status = Some(karo.stop());
        floods.into_iter().for_each(|flood| ledger.absorb(flood.join().expect("no flood panics")));
    });
    assert_eq!(status.and_then(|s| s.code()), Some(0), "{}", karo.log());
    karo.launch();
    karo.wait_until_searchable();
    let events = karo.session().events(Default::default());
    let found = ledger.compare(&events);
    assert_eq!((found.lost, found.twice, found.torn), (0, 0, 0), "{found:?}");
    // Each step of a stop has a deadline; a machine that is too busy to keep it leaves some untold, and says so.
    if !karo.log().contains("missed its deadline") {
        assert_eq!(found.kept, found.found, "whatever was kept was told: {found:?}");
    }
}

#[test]
fn hup_reads_the_configuration_again() {
    let mut karo = Karo::running();
    let mut shell = Typist::new(1);
    let mut session = karo.session();
    assert_eq!(session.observe(shell.ran("pass a", 0)).expect("it answers"), Verdict::Committed);
    karo.configure("[record]\nignore = [\"pass *\"]\n");
    karo.signal(Signal::HUP);
    let mut verdict = || session.observe(shell.ran("pass b", 0)).expect("it answers");
    until("the new rule holds", || (verdict() == Verdict::Ignored).then_some(()));

    for (toml, key) in [
        ("[record]\nignore = []\n[socket]\nidle_seconds = 0\n", "idle_seconds"),
        ("[record]\nignroe = []\n", "ignroe"),
        ("[record\n", "config.toml"),
    ] {
        let told = karo.log().len();
        karo.configure(toml);
        karo.signal(Signal::HUP);
        until("the log names the key", || karo.log()[told..].contains(key).then_some(()));
        assert_eq!(verdict(), Verdict::Ignored, "the old configuration stays");
    }
    assert!(karo.stop().success());
}

#[test]
fn a_bad_configuration_at_the_start_is_named() {
    let mut karo = Karo::new();
    karo.configure("[store]\nreserve_mib = 0\n");
    let command = karo.daemon_command();
    karo.spawn(command);
    assert_eq!(karo.wait_for_end().code(), Some(78), "{}", karo.log());
    let log = karo.log();
    assert!(log.contains("store.reserve_mib") && log.contains("1 to 1048576"), "{log}");
}

#[test]
fn no_core_is_dumped() {
    let limit = getrlimit(Resource::Core);
    if limit.maximum == Some(0) {
        eprintln!("skipped: nobody may dump a core here");
        return;
    }
    setrlimit(Resource::Core, Rlimit { current: limit.maximum, ..limit }).expect("the soft limit is ours");
    let karo = Karo::running();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", karo.pid().as_raw_nonzero()));
    let limits = limits.expect("the daemon is ours");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("Linux names it");
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
}
