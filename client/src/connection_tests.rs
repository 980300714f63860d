use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use karo_protocol::frame::MAGIC;
use karo_protocol::local::{End, FailureCode};
use karo_protocol::query::{Detail, Filter, Order, Query};

use super::*;
use crate::fake::{FakeDaemon, places_in, private_directory};
use crate::surroundings::uid;

const SHORT: Patience = Patience { connect: Duration::from_millis(100), answer: Duration::from_millis(100) };

#[test]
fn a_request_meets_its_reply() {
    let daemon = FakeDaemon::serve(|session| {
        for count in [3, 4] {
            let (id, request) = session.request();
            assert_eq!(request, Request::Delete(Filter::default()));
            session.reply(id, &Reply::Deleted(count));
        }
    });
    let mut connection = open(&daemon, Patience::default()).expect("it listens");
    for count in [3, 4] {
        let reply = connection.ask(&Request::Delete(Filter::default())).expect("it answers");
        assert_eq!(reply, Reply::Deleted(count));
    }
}

#[test]
fn requests_may_be_under_way_together() {
    let daemon = FakeDaemon::serve(|session| {
        let ids = [session.request().0, session.request().0];
        ids.iter().for_each(|id| session.reply(*id, &Reply::Deleted(id.0)));
    });
    let mut connection = open(&daemon, Patience::default()).expect("it listens");
    let ids = [0; 2].map(|_| connection.send(&Request::Delete(Filter::default())).expect("it leaves"));
    for id in ids {
        assert_eq!(connection.receive(id).expect("it answers"), Reply::Deleted(id.0));
    }
}

#[test]
fn a_slow_answer_is_a_clear_error() {
    let daemon = FakeDaemon::serve(|session| session.until_closed());
    let mut connection = open(&daemon, SHORT).expect("it listens");
    let error = connection.ask(&Request::Status(())).expect_err("nobody answers");
    assert!(matches!(error, ConnectionError::Silent { .. }), "{error}");
    assert!(error.to_string().contains("did not answer within 0.1 s"), "{error}");
}

#[test]
fn a_dripping_answer_is_bounded_as_a_whole() {
    let daemon = FakeDaemon::serve(|session| {
        session.request();
        let drip = |session: &mut crate::fake::FakeSession| session.bytes(&MAGIC[..1]);
        (0..3).for_each(|_| drip(session));
        session.until_closed();
    });
    let mut connection = open(&daemon, SHORT).expect("it listens");
    let error = connection.ask(&Request::Status(())).expect_err("three bytes are no answer");
    assert!(matches!(error, ConnectionError::Silent { .. }), "{error}");
}

#[test]
fn pages_are_received_until_the_end() {
    let query = Query {
        filter: Filter::default(),
        is_unique: false,
        limit: None,
        order: Order::NewestFirst,
        detail: Detail::Row,
    };
    let end = End { count: 0, partial_since: None, unreadable: 0 };
    let last = Reply::End(end);
    let daemon = FakeDaemon::serve(move |session| {
        let (id, _) = session.request();
        session.reply(id, &Reply::Rows(Vec::new()));
        session.reply(id, &Reply::Rows(Vec::new()));
        // The end comes byte by byte, and still is one frame.
        for byte in last.encode(id).expect("it fits") {
            session.bytes(&[byte]);
        }
    });
    let mut connection = open(&daemon, Patience::default()).expect("it listens");
    let id = connection.send(&Request::Query(query)).expect("it leaves");
    let replies = [0; 3].map(|_| connection.receive(id).expect("it answers"));
    assert_eq!(replies[0], Reply::Rows(Vec::new()));
    assert_eq!(replies[2], Reply::End(End { count: 0, partial_since: None, unreadable: 0 }));
}

#[test]
fn malformed_answers_are_named() {
    let cases: [(&[u8], &str); 5] = [
        (b"HTTP/1.1 400", "frame begins with"),
        (b"KARO\x00\x01\x01\x08\xff\xff\xff\xff", "frame of 4294967295 bytes, at most 1048576"),
        (b"KARO\x00\x01\x01\x06\x00\x00\x00\x01\xc1", "answer cannot be read"),
        (b"KARO\x00\x01\x77\x77\x00\x00\x00\x02\x91\x01", "unknown frame type 0x7777"),
        (b"KARO\x00\x02\x01\x08\x00\x00\x00\x00", "daemon speaks version 2 of the local protocol"),
    ];
    for (bytes, expected) in cases {
        let daemon = FakeDaemon::serve(move |session| {
            session.request();
            session.bytes(bytes);
            session.until_closed();
        });
        let mut connection = open(&daemon, Patience::default()).expect("it listens");
        let error = connection.ask(&Request::Status(())).expect_err("that is no answer").to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn an_answer_to_another_request_is_refused() {
    let daemon = FakeDaemon::serve(|session| {
        session.request();
        session.reply(RequestId(99), &Reply::Deleted(1));
    });
    let mut connection = open(&daemon, Patience::default()).expect("it listens");
    let error = connection.ask(&Request::Status(())).expect_err("nobody asked request 99");
    assert!(matches!(error, ConnectionError::Unexpected(_)), "{error}");
}

#[test]
fn a_failure_says_what_the_daemon_says() {
    let failure = Failure { code: FailureCode::Busy, message: "too much is going on".to_owned() };
    let daemon = FakeDaemon::serve({
        let reply = Reply::Failure(failure);
        move |session| {
            let (id, _) = session.request();
            session.reply(id, &reply);
        }
    });
    let mut connection = open(&daemon, Patience::default()).expect("it listens");
    let error = connection.ask(&Request::Status(())).expect_err("it is busy");
    assert_eq!(error.to_string(), "too much is going on");
}

#[test]
fn a_session_closed_amid_an_answer_is_an_error() {
    let daemon = FakeDaemon::serve(|session| {
        session.request();
        session.bytes(b"KARO\x00\x01");
    });
    let mut connection = open(&daemon, Patience::default()).expect("it listens");
    let error = connection.ask(&Request::Status(())).expect_err("half a header is no answer");
    assert!(matches!(error, ConnectionError::Closed(_)), "{error}");
}

#[test]
fn the_next_place_is_tried_when_nobody_is_at_the_first() {
    let daemon = FakeDaemon::serve(|_| {});
    let empty = private_directory();
    let mut places = places_in(&empty);
    places.other_sockets = vec![daemon.places().socket];
    let connection = Connection::open(&places, uid(), Patience::default()).expect("it is at the second");
    assert_eq!(connection.socket(), daemon.places().socket);
}

#[test]
fn every_place_is_named_when_nobody_is_anywhere() {
    let directory = private_directory();
    let places = places_in(&directory);
    drop(UnixListener::bind(&places.socket).expect("the path is free"));
    let error = Connection::open(&places, uid(), SHORT).expect_err("it is stale").to_string();
    let expected =
        format!("no daemon at {} (a socket that nobody serves); `karoctl", places.socket.display());
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn an_unsafe_directory_is_refused() {
    let daemon = FakeDaemon::serve(|_| {});
    let directory = daemon.places().socket.parent().expect("it has one").to_owned();
    let set =
        |mode| std::fs::set_permissions(&directory, PermissionsExt::from_mode(mode)).expect("it is ours");
    set(0o770);
    let error = open(&daemon, SHORT).expect_err("others may write there").to_string();
    assert!(error.contains("has mode 0770") && error.contains("chmod 0700"), "{error}");
    set(0o700);
    // Root's directories hold the sockets of everybody's services.
    if uid() != 0 {
        let error =
            Connection::open(&daemon.places(), uid() + 1, SHORT).expect_err("it is another's").to_string();
        assert!(error.contains("belongs to user"), "{error}");
    }
    drop(open(&daemon, Patience::default()).expect("it is safe again"));
}

#[test]
fn a_full_backlog_is_waited_for_and_named() {
    let directory = private_directory();
    let places = places_in(&directory);
    let listener = UnixListener::bind(&places.socket).expect("the path is free");
    rustix::net::listen(&listener, 0).expect("a listener may be told its backlog");
    let mut waiting = Vec::new();
    let error = loop {
        match Connection::open(&places, uid(), SHORT) {
            Ok(connection) => waiting.push(connection),
            Err(error) => break error,
        }
        assert!(waiting.len() < 100, "a backlog of zero holds few");
    };
    assert!(matches!(error, ConnectionError::Silent { .. }), "{error}");
}

fn open(daemon: &FakeDaemon, patience: Patience) -> Result<Connection, ConnectionError> {
    Connection::open(&daemon.places(), uid(), patience)
}
