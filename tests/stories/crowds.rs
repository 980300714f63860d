//! More clients than there is room for, and a daemon that does not move.

use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use karo_protocol::local::Verdict;
use karo_tests::{Karo, PATIENCE, Typist, until};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::{Resource, Rlimit, getrlimit, prlimit, setrlimit};

/// Lets this test process open as many descriptors as the system allows.
fn raise_own_limit() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("the soft limit is ours");
}

fn connected(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).expect("the daemon listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream
}

/// Waits until the other side has hung up.
fn await_end(stream: &mut UnixStream) {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the daemon did not hang up: {error}"),
    }
}

#[test]
fn two_hundred_idle_sessions_bother_nobody() {
    raise_own_limit();
    let karo = Karo::running();
    let crowd: Vec<UnixStream> = (0..200).map(|_| connected(&karo.socket())).collect();
    until("all of them are open", || (karo.status().sessions >= 201).then_some(()));
    let mut shell = Typist::new(1);
    karo.keep((0..50).map(|n| shell.ran(format!("echo {n}"), 0)));
    assert_eq!(karo.session().texts().len(), 50);
    drop(crowd);
    until("all of them are closed", || (karo.status().sessions == 1).then_some(()));
}

#[test]
fn idle_sessions_are_closed() {
    let mut karo = Karo::new();
    karo.configure("[socket]\nidle_seconds = 1\n");
    karo.launch();
    let mut crowd: Vec<UnixStream> = (0..20).map(|_| connected(&karo.socket())).collect();
    crowd.iter_mut().for_each(await_end);
}

#[test]
fn beyond_the_limit_a_session_is_refused_and_later_served() {
    raise_own_limit();
    let mut karo = Karo::new();
    karo.configure("[socket]\nsessions_max = 8\nidle_seconds = 3600\n");
    karo.launch();
    let mut crowd: Vec<UnixStream> = (0..40).map(|_| connected(&karo.socket())).collect();
    // Those who came too late are told, and hung up on: they need not wait for anything.
    crowd.drain(8..).for_each(|mut late| await_end(&mut late));
    let mut shell = Typist::new(1);
    // With the house full, `karo-observe` must spool or be served in the end; its prompt is not our concern here.
    let delivered = deliver(&karo, &shell.ran("while full", 0));
    assert!(delivered, "karo-observe always ends with 0");
    drop(crowd);
    until("there is room again", || {
        let verdict =
            karo_tests::Session::connect(&karo.socket()).ok()?.observe(shell.ran("again", 0)).ok()?;
        (verdict == Verdict::Committed).then_some(())
    });
    karo.wait_until_spool_is_empty();
    let full = |karo: &Karo| karo.session().texts().iter().filter(|text| *text == "while full").count();
    until("what came while it was full is there", || (full(&karo) > 0).then_some(()));
    assert_eq!(full(&karo), 1);
}

/// Gives one observation to `karo-observe` on standard input, as a hook may.
pub(crate) fn deliver(karo: &Karo, observation: &karo_protocol::Observation) -> bool {
    use std::io::Write;
    let phase = match observation.phase {
        karo_protocol::Phase::Start => "start",
        karo_protocol::Phase::End(_) => "end",
    };
    let mut child = karo
        .observe_command()
        .args([phase, "--stdin"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("karo-observe can be run");
    let mut stdin = child.stdin.take().expect("it is a pipe");
    stdin.write_all(&karo_protocol::spool::encode(observation)).expect("karo-observe reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "it says nothing: {output:?}");
    output.status.success()
}

#[test]
fn descriptors_at_their_limit_are_survived() {
    raise_own_limit();
    let mut karo = Karo::running();
    let mut shell = Typist::new(1);
    karo.keep([shell.ran("before", 0)]);
    let used =
        std::fs::read_dir(format!("/proc/{}/fd", karo.pid().as_raw_nonzero())).expect("it is ours").count();
    let tight = Rlimit { current: Some(used as u64 + 16), maximum: Some(used as u64 + 16) };
    let before = prlimit(Some(karo.pid()), Resource::Nofile, tight).expect("the daemon is ours");
    let crowd: Vec<UnixStream> = (0..100).map(|_| connected(&karo.socket())).collect();
    assert!(deliver(&karo, &shell.ran("while tight", 0)));
    assert!(karo.is_running(), "{}", karo.log());
    drop(crowd);
    until("it serves again", || {
        let verdict =
            karo_tests::Session::connect(&karo.socket()).ok()?.observe(shell.ran("after", 0)).ok()?;
        (verdict == Verdict::Committed).then_some(())
    });
    // The spool's files are read with descriptors too: all of them come in, under the same limit.
    karo.wait_until_spool_is_empty();
    let texts = until("everything is there", || {
        let texts = karo.session().texts();
        texts.iter().any(|text| text == "while tight").then_some(texts)
    });
    assert_eq!(texts.iter().filter(|text| *text == "while tight").count(), 1);
    let lines = karo.log().lines().count();
    assert!(lines < 1000, "the log was flooded with {lines} lines");
    assert_eq!(before.maximum, getrlimit(Resource::Nofile).maximum);
    assert!(karo.stop().success());
}

/// Connects without waiting; `None` when the backlog is full.
fn connect_at_once(socket: &Path) -> Option<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd =
        socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).expect("there are descriptors");
    let address = SocketAddrUnix::new(socket).expect("the path is short");
    match connect(&fd, &address) {
        Ok(()) => Some(fd),
        Err(rustix::io::Errno::AGAIN) => None,
        Err(error) => panic!("the daemon listens: {error}"),
    }
}

#[test]
fn a_frozen_daemon_with_a_full_backlog_loses_nothing() {
    raise_own_limit();
    let karo = Karo::running();
    let mut shell = Typist::new(1);
    karo.freeze();
    let mut backlog = Vec::new();
    while backlog.len() < 8192 {
        match connect_at_once(&karo.socket()) {
            Some(fd) => backlog.push(fd),
            None => break,
        }
    }
    assert!(backlog.len() < 8192, "the backlog has a limit");
    for n in 0..5 {
        assert!(deliver(&karo, &shell.ran(format!("frozen {n}"), 0)));
    }
    assert_eq!(karo.spooled().len(), 5);
    drop(backlog);
    karo.thaw();
    karo.wait_until_spool_is_empty();
    assert_eq!(karo.session().texts(), (0..5).map(|n| format!("frozen {n}")).collect::<Vec<_>>());
}

#[test]
fn a_frozen_daemon_that_still_accepts_gets_each_record_once() {
    let karo = Karo::running();
    let mut shell = Typist::new(1);
    karo.freeze();
    // The kernel takes the connection and the frame, nobody answers: the client gives up and spools,
    // and the daemon meets both copies when it goes on.
    for n in 0..3 {
        assert!(deliver(&karo, &shell.ran(format!("twice {n}"), 0)));
    }
    assert_eq!(karo.spooled().len(), 3);
    karo.thaw();
    karo.wait_until_spool_is_empty();
    let intake = until("both copies were met", || {
        let intake = karo.status().intake;
        (intake.committed + intake.duplicates == 6).then_some(intake)
    });
    assert_eq!((intake.committed, intake.duplicates), (3, 3));
    assert_eq!(karo.session().texts().len(), 3);
}
