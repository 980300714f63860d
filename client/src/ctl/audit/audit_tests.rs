use karo_protocol::Bytes;
use karo_protocol::audit::{AuditExport, AuditVerified, Head, InclusionProof, LogVerified};
use karo_protocol::frame::encode;
use karo_protocol::local::End;
use karo_protocol::node::{Hash, Nonce, Signature, Trust};
use karo_protocol::peer::{Object, Signed};

use super::*;
use crate::ctl::cli::{self, Command};
use crate::ctl::samples::{ago, scene};
use crate::fake::{FakeDaemon, private_directory};

#[test]
fn entries_are_shown_for_eyes() {
    let expected = "\
TIME      ENTRY  KIND        PEER                 WHAT
11:59:00  7      peer-added  laptop               as member, by pairing
11:59:01  8      refused     d9b4-4a2b-c4a1-4d1f  3 times, too many
          9      expired                          past its retention: only its hash is kept
11:59:03  10     deleted                          1 event, on 2024-10-04, by command
";
    let (written, exit) = run_one(
        &["audit", "--since", "1h", "--kind", "refused", "--kind", "connected", "--peer", "lap"],
        Request::Audit(AuditFilter {
            since: Some(ago(3600)),
            until: None,
            deeds: vec![Deed::Refused, Deed::Connected],
            peer: Some("lap".to_owned()),
            limit: Some(100),
        }),
        vec![Reply::AuditRows(rows()), end()],
    );
    let expected = expected.replace("d9b4-4a2b-c4a1-4d1f", &fingerprint(&NodeId([8; 32])).to_string());
    assert_eq!((written, exit), (expected, Ok(Exit::Done)));
}

#[test]
fn entries_are_lines_for_scripts() {
    let all = AuditFilter::default();
    let replies = vec![Reply::AuditRows(rows()), end()];
    let (written, _) = run_one(&["--json", "audit", "--limit", "0"], Request::Audit(all), replies);
    let lines: Vec<Value> =
        written.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
    assert_eq!(lines[0]["kind"], "peer-added");
    assert_eq!(lines[0]["at"], "2026-11-02T10:59:00.000Z");
    assert_eq!(lines[0]["trust"], "member");
    assert_eq!(lines[1]["reason"], "too many");
    assert_eq!(lines[2], json!({ "log": "04".repeat(16), "index": 9, "expired": true }));
    assert_eq!(lines[3]["day"], "2024-10-04");
    assert_eq!(lines[3]["peer"], Value::Null);
}

#[test]
fn a_sound_log_says_what_nobody_witnessed() {
    let old = LogVerified { size: 1, ..empty(Nonce([3; 16])) };
    let new = LogVerified {
        size: 200,
        expired: 3,
        witnessed: Some((190, NodeId([8; 32]))),
        ..empty(Nonce([4; 16]))
    };
    let expected = format!(
        "log 03030303030303030303030303030303, closed: 1 entry, all as they were written\n\
         \x20 no witness: no peer has seen a head of this log, so nobody could tell if it were made anew\n\
         log 04040404040404040404040404040404: 200 entries, all as they were written\n\
         \x20 3 past their retention: only their hashes are kept, and are right\n\
         \x20 the first 190 entries witnessed by {}; the 10 entries since then: no witness yet\n",
        fingerprint(&NodeId([8; 32]))
    );
    let (written, exit) = verify(vec![old, new]);
    assert_eq!((written, exit), (expected, Ok(Exit::Done)));
}

#[test]
fn what_was_changed_is_named_and_in_the_exit_code() {
    let log = LogVerified {
        size: 200,
        bad: vec![17],
        bad_count: 3,
        faults: vec!["the head is not of this log".to_owned()],
        witnessed: Some((200, NodeId([8; 32]))),
        ..empty(Nonce([4; 16]))
    };
    let expected = format!(
        "log 04040404040404040404040404040404: 200 entries, NOT as they were written\n\
         \x20 entry 17 is not as it was written\n\
         \x20 and 2 more\n\
         \x20 the head is not of this log\n\
         \x20 the first 200 entries witnessed by {}; none is unwitnessed\n",
        fingerprint(&NodeId([8; 32]))
    );
    let (written, exit) = verify(vec![log]);
    assert_eq!((written, exit), (expected, Ok(Exit::Damaged)));
}

#[test]
fn the_newest_head_is_shown() {
    let head = Head { log: Nonce([4; 16]), size: 200, root: Hash([9; 32]) };
    let object = Object {
        issuer: NodeId([8; 32]),
        audience: None,
        created: ago(60),
        expires: ago(-60),
        id: Nonce([1; 16]),
        body: head,
    };
    // A frame without its header is the object in MessagePack.
    let frame = encode(1, &object).expect("it fits");
    let bytes = Bytes(frame[karo_protocol::frame::Header::SIZE..].to_vec());
    let signed = Signed { bytes, signature: Signature([2; 64]) };
    let expected = format!(
        "log     04040404040404040404040404040404\nsize    200\nroot    {}\n\
         signed  2026-11-02 11:59:00 CET by {}\n",
        "09".repeat(32),
        fingerprint(&NodeId([8; 32]))
    );
    let ask = |signed| run_one(&["audit", "head"], Request::AuditHead(()), vec![Reply::AuditHead(signed)]);
    assert_eq!(ask(Some(signed)), (expected, Ok(Exit::Done)));
    assert_eq!(ask(None).1, Ok(Exit::NothingFound));
}

#[test]
fn an_export_reads_back_and_is_not_overwritten() {
    let directory = private_directory();
    let path = directory.path().join("proof.json");
    let file = path.to_string_lossy().into_owned();
    let proof = InclusionProof { hashes: vec![Hash([5; 32])] };
    let export = AuditExport {
        node: NodeId([8; 32]),
        head: Signed { bytes: Bytes::from("object"), signature: Signature([2; 64]) },
        entries: [(7, (Nonce([6; 16]), Bytes::from("entry"), proof))].into(),
    };
    let line = ["audit", "export", &file, "--peer", "lap"];
    let asked = AuditFilter { peer: Some("lap".to_owned()), ..AuditFilter::default() };
    let replies = vec![Reply::AuditExport(Box::new(export.clone()))];
    let (written, exit) = run_one(&line, Request::AuditExport(asked), replies);
    assert_eq!(exit, Ok(Exit::Done));
    assert_eq!(written, format!("{file} proves 1 entry to anybody: karod verify-proof {file}\n"));
    let read = std::fs::read(&path).expect("it was written");
    assert_eq!(serde_json::from_slice::<AuditExport>(&read).expect("it is one"), export);
    let daemon = FakeDaemon::serve_all(Vec::new());
    let (mut scene, _) = scene(&daemon);
    assert_eq!(run(&mut scene, &args(&line)).map_err(|trouble| trouble.exit), Err(Exit::Refused));
}

#[test]
fn options_that_do_nothing_are_refused() {
    let daemon = FakeDaemon::serve_all(Vec::new());
    let (mut scene, _) = scene(&daemon);
    let refusal =
        run(&mut scene, &args(&["audit", "--since", "1h", "verify"])).map_err(|trouble| trouble.exit);
    assert_eq!(refusal, Err(Exit::Usage));
}

/// A log of which nothing is known but its id.
fn empty(log: Nonce) -> LogVerified {
    LogVerified {
        log,
        size: 0,
        expired: 0,
        bad: Vec::new(),
        bad_count: 0,
        faults: Vec::new(),
        witnessed: None,
        head: None,
    }
}

fn rows() -> Vec<AuditRow> {
    let entry = |seconds, deed, reason| AuditEntry {
        at: ago(seconds),
        deed,
        peer: None,
        count: 1,
        trust: None,
        day: None,
        reason,
        other: None,
    };
    let row = |index, entry, name: Option<&str>| AuditRow {
        log: Nonce([4; 16]),
        index,
        entry,
        peer_name: name.map(str::to_owned),
    };
    let added = entry(60, Deed::PeerAdded, Reason::Pairing);
    let added = AuditEntry { peer: Some(NodeId([7; 32])), trust: Some(Trust::Member), ..added };
    let refused = entry(59, Deed::Refused, Reason::Flood);
    let refused = AuditEntry { peer: Some(NodeId([8; 32])), count: 3, ..refused };
    let deleted = AuditEntry { day: Some(20_000), ..entry(57, Deed::Deleted, Reason::Command) };
    vec![
        row(7, Some(added), Some("laptop")),
        row(8, Some(refused), None),
        row(9, None, None),
        row(10, Some(deleted), None),
    ]
}

fn end() -> Reply {
    Reply::End(End { count: 4, partial_since: None, unreadable: 0 })
}

fn verify(logs: Vec<LogVerified>) -> (String, Result<Exit, Trouble>) {
    let answer = Reply::AuditVerified(AuditVerified { logs });
    run_one(&["audit", "verify"], Request::AuditVerify(()), vec![answer])
}

fn args(line: &[&str]) -> AuditArgs {
    let Command::Audit(args) = cli::parse_from(line).unwrap_or_else(|error| panic!("{error}")).command else {
        panic!("it is about the audit")
    };
    args
}

/// Runs a command line before a daemon that expects that request and gives those answers.
fn run_one(line: &[&str], expected: Request, answers: Vec<Reply>) -> (String, Result<Exit, Trouble>) {
    let daemon = FakeDaemon::serve(move |session| {
        let (id, request) = session.request();
        assert_eq!(request, expected);
        answers.iter().for_each(|answer| session.reply(id, answer));
    });
    let (mut scene, written) = scene(&daemon);
    scene.is_json = cli::parse_from(line).unwrap_or_else(|error| panic!("{error}")).json;
    let exit = run(&mut scene, &args(line));
    (written.text(), exit)
}
