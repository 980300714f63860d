//! Other users: refused by their credentials, even where somebody loosened the modes.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use karo_protocol::local::{Request, Verdict};
use karo_tests::{Karo, Session, Typist, is_root, until};
use rustix::process::Uid;
use rustix::thread::set_thread_res_uid;

/// A user who is nobody here.
const FOREIGNER: u32 = 65_533;

fn loosen(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("root may");
}

/// Runs something as another user: on a thread of its own, for credentials belong to threads.
fn as_foreigner<T: Send>(deed: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let uid = Uid::from_raw(FOREIGNER);
            set_thread_res_uid(uid, uid, uid).expect("root may become anybody");
            deed()
        });
        thread.join().expect("the deed does not panic")
    })
}

#[test]
fn root_a_foreigner_is_refused_and_counted() {
    if !is_root("becoming another user") {
        return;
    }
    let karo = Karo::running();
    let mut shell = Typist::new(1);
    karo.keep([shell.ran("mine", 0)]);
    loosen(karo.root(), 0o755);
    loosen(&karo.run(), 0o755);
    loosen(&karo.socket(), 0o666);
    let socket = karo.socket();
    for round in 1..=3 {
        let observation = shell.ran("theirs", 0);
        let answers = as_foreigner(|| {
            let mut session = Session::connect(&socket).expect("the modes let anybody in");
            let observed = session.observe(observation);
            let told = session.ask(&Request::Status(()));
            (observed.ok(), told.ok())
        });
        assert!(!matches!(answers.0, Some(Verdict::Committed | Verdict::Duplicate | Verdict::Ignored)));
        assert!(answers.1.is_none_or(|reply| matches!(reply, karo_protocol::local::Reply::Failure(_))));
        until("the refusal is counted", || (karo.status().refused_foreign >= round).then_some(()));
    }
    assert_eq!(karo.status().refused_foreign, 3);
    assert_eq!(karo.session().texts(), ["mine"]);
}

#[test]
fn root_without_loosened_modes_a_foreigner_does_not_even_connect() {
    if !is_root("becoming another user") {
        return;
    }
    let karo = Karo::running();
    loosen(karo.root(), 0o755);
    let socket = karo.socket();
    let error = as_foreigner(|| Session::connect(&socket).map(drop)).expect_err("the directory is closed");
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    assert_eq!(karo.status().refused_foreign, 0);
}

#[test]
fn root_places_of_somebody_else_are_refused() {
    if !is_root("giving directories away") {
        return;
    }
    for place in [Karo::run, Karo::spool, Karo::data] {
        let mut karo = Karo::new();
        let path = place(&karo);
        chown(&path, Some(FOREIGNER), None).expect("root may");
        let command = karo.daemon_command();
        karo.spawn(command);
        let status = karo.wait_for_end();
        assert_eq!(status.code(), Some(1), "{}", karo.log());
        let log = karo.log();
        let named = log.contains(&path.display().to_string()) && log.contains("belongs to user 65533");
        assert!(named, "{log}");
    }
}

#[test]
fn root_a_client_does_not_speak_to_somebody_elses_daemon() {
    if !is_root("giving directories away") {
        return;
    }
    // Somebody else's socket where ours should be: a listener that would take down what it hears.
    let karo = Karo::new();
    let listener = std::os::unix::net::UnixListener::bind(karo.socket()).expect("the place is free");
    listener.set_nonblocking(true).expect("it is ours");
    chown(karo.run(), Some(FOREIGNER), None).expect("root may");
    let output = karo
        .observe_command()
        .args(["end", "--shell", "bash", "--shell-id", &"5a".repeat(16), "--seq", "1"])
        .args(["--started-us", "1767225600000000", "--duration-us", "5", "--exit", "0"])
        .env("KARO_COMMAND", "echo private")
        .env("KARO_CWD", "/tmp")
        .output()
        .expect("karo-observe can be run");
    assert!(output.status.success());
    let heard = listener.accept();
    assert!(heard.is_err(), "the client connected to a socket in somebody else's directory");
    assert_eq!(karo.spooled().len(), 1);
}
