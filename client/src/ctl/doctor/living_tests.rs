use std::path::Path;
use std::time::Duration;

use karo_protocol::local::End;

use super::super::Mark;
use super::*;
use crate::connection::Patience;
use crate::ctl::samples::event;
use crate::fake::FakeDaemon;
use crate::surroundings::uid;

#[test]
fn a_record_is_sent_found_and_deleted() {
    let (check, deleted) = record(Verdict::Committed, true);
    assert_eq!(check, Check::ok("record", "a record arrives, is found and is deleted"));
    assert!(deleted, "what the doctor sends is deleted");
}

#[test]
fn a_record_that_is_not_found_is_a_failure_and_deleted_all_the_same() {
    let (check, deleted) = record(Verdict::Committed, false);
    assert_eq!(check.mark, Mark::Fail);
    assert!(deleted, "what the doctor sends is deleted");
}

#[test]
fn verdicts_decide() {
    let cases = [
        (Verdict::Ignored, Mark::Warn),
        (Verdict::Busy, Mark::Fail),
        (Verdict::Failed, Mark::Fail),
        (Verdict::Duplicate, Mark::Fail),
    ];
    for (verdict, mark) in cases {
        assert_eq!(record(verdict, true).0.mark, mark, "{verdict}");
    }
}

#[test]
fn clocks_and_versions_are_compared() {
    let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
    assert_eq!(clock(at(100), at(101)).mark, Mark::Ok);
    let ahead = clock(at(160), at(100));
    assert_eq!((ahead.mark, ahead.found.as_str()), (Mark::Warn, "the daemon's clock differs by 60.0 s"));
    assert_eq!(versions(KAROCTL).mark, Mark::Ok);
    assert_eq!(versions("9.9.9").mark, Mark::Warn);
}

#[test]
fn rules_that_cannot_be_used_are_a_warning() {
    let check = |loaded, refused| {
        let rules = RulesStatus { loaded, refused, ..RulesStatus::default() };
        super::rules(&Status { rules, ..crate::ctl::samples::status() })
    };
    assert_eq!(check(0, 0), None);
    assert_eq!(check(9, 0), Some(Check::ok("rules", "9 rules decide on risk")));
    assert_eq!(check(9, 1).map(|check| check.mark), Some(Mark::Warn));
}

#[test]
fn a_spool_that_nobody_watches_is_a_failure() {
    let watched = [SpoolStatus { path: "/a".to_owned(), ..SpoolStatus::default() }];
    assert_eq!(spool_is_watched(&watched, Path::new("/a")).mark, Mark::Ok);
    assert_eq!(spool_is_watched(&watched, Path::new("/b")).mark, Mark::Fail);
    assert_eq!(spool(&watched[0]), None);
    let torn = SpoolStatus { torn: 2, ..watched[0].clone() };
    assert_eq!(spool(&torn).map(|check| check.mark), Some(Mark::Warn));
}

/// Runs the check before a daemon with that verdict, and tells whether the record was deleted in the end.
fn record(verdict: Verdict, is_found: bool) -> (Check, bool) {
    let (send, deleted) = std::sync::mpsc::channel();
    let daemon = FakeDaemon::serve(move |session| {
        let (id, request) = session.request();
        let Request::Observe(observe) = request else { panic!("a record is sent first") };
        session.reply(id, &Reply::Observed(verdict));
        if verdict != Verdict::Committed {
            return;
        }
        let (id, request) = session.request();
        let Request::Query(query) = request else { panic!("then it is looked for") };
        assert_eq!(query.filter.shell_id, Some(observe.observation.shell.id));
        let count = u64::from(is_found);
        if is_found {
            session.reply(id, &Reply::Events(vec![event(b"x")]));
        }
        session.reply(id, &Reply::End(End { count, partial_since: None, unreadable: 0 }));
        let (id, request) = session.request();
        assert_eq!(request, Request::Delete(query.filter));
        session.reply(id, &Reply::Deleted(1));
        send.send(()).expect("the test waits for it");
    });
    let mut connection =
        Connection::open(&daemon.places(), uid(), Patience::default()).expect("the daemon listens");
    let check = record_arrives(&mut connection);
    let was_deleted = deleted.recv_timeout(Duration::from_secs(20)).is_ok();
    (check, was_deleted)
}
