use super::*;
use crate::ctl::samples::{noon, scene, status};
use crate::fake::FakeDaemon;

#[test]
fn a_status_is_written_for_people() {
    let expected = "\
daemon     karod 0.1.0, process 77, up 1h00m
for        ada@engine
socket     /run/user/7/karo/karod.sock
sessions   1 of 256
memory     20.0 MiB
taken in   1000 (3 by spool), 2 again, 5 ignored, 0 refused for a time, 0 failed, 1 lost by hooks
spool      /run/user/7/karo/spool: 4 waiting, 1 of a newer version that need a newer karod
data       /home/ada/.local/share/karo
events     123456 with 42000 distinct texts
from       2026-11-01 12:00:00 CET to 2026-11-02 11:59:00 CET
disk       14.3 MiB of log in 3 sealed segments, 512 B of views; 10.0 GiB free, 64.0 MiB kept free
rules      version 1
since      2026-11-02 11:00:00 CET
notice     the clock\\x1b went back
";
    assert_eq!(text(&status(), &noon()), expected);
}

#[test]
fn a_status_is_one_line_of_json_with_readable_moments() {
    let daemon = FakeDaemon::serve(|session| {
        let (id, _) = session.request();
        session.reply(id, &Reply::Status(Box::new(status())));
    });
    let (mut scene, written) = scene(&daemon);
    scene.is_json = true;
    assert_eq!(run(&mut scene), Ok(Exit::Done));
    let line: Value = serde_json::from_str(&written.text()).expect("it is JSON");
    assert_eq!(line["started_at"], "2026-11-02T10:00:00.000Z");
    assert_eq!(line["store"]["newest"], "2026-11-02T10:59:00.000Z");
    assert_eq!(line["store"]["partial_since"], Value::Null);
    assert_eq!(line["spools"][0]["waiting"], 4);
}

#[test]
fn rules_are_counted_and_those_that_cannot_be_used_are_named() {
    let with = |loaded, refused| {
        let rules = RulesStatus { loaded, refused, loaded_at: None, version: 9 };
        let text = text(&Status { rules, ..status() }, &noon());
        text.lines().find(|line| line.starts_with("rules")).map(str::to_owned)
    };
    assert_eq!(with(0, 0).as_deref(), Some("rules      version 1"));
    assert_eq!(with(312, 0).as_deref(), Some("rules      312 loaded, version 9"));
    let refused = "rules      312 loaded, 2 cannot be used (`karoctl rules check`), version 9";
    assert_eq!(with(312, 2).as_deref(), Some(refused));
}

#[test]
fn the_mesh_is_shown_once_there_is_an_identity() {
    let mesh = MeshStatus {
        node_id: Some(karo_protocol::NodeId([7; 32])),
        fingerprint: Some(karo_protocol::Fingerprint([1, 2, 3, 4, 5, 6, 7, 8])),
        listening: vec!["10.0.0.1:9238".to_owned()],
        peers: 3,
        connected: 2,
        audit_size: 200,
        audit_witnessed: Some(190),
    };
    let lines = |mesh: &MeshStatus| -> Vec<String> {
        let text = text(&Status { mesh: mesh.clone(), ..status() }, &noon());
        let is_of_mesh = |line: &&str| line.starts_with("mesh ") || line.starts_with("audit ");
        text.lines().filter(is_of_mesh).map(str::to_owned).collect()
    };
    assert_eq!(lines(&MeshStatus::default()), Vec::<String>::new());
    assert_eq!(
        lines(&mesh),
        [
            "mesh       0102-0304-0506-0708, 2 of 3 peers connected, listening at 10.0.0.1:9238",
            "audit      200 entries, the newest 10 without a witness",
        ]
    );
    let value = to_json(&Status { mesh: mesh.clone(), ..status() })["mesh"].take();
    let alone = MeshStatus { peers: 0, listening: Vec::new(), audit_witnessed: None, ..mesh };
    assert_eq!(
        lines(&alone),
        ["mesh       0102-0304-0506-0708, no peers, listening nowhere", "audit      200 entries, no witness",]
    );
    assert_eq!(value["node_id"], "karo:ed25519:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc");
    assert_eq!(value["fingerprint"], "0102-0304-0506-0708");
}

#[test]
fn damage_is_in_the_exit_code() {
    let daemon = FakeDaemon::serve(|session| {
        let (id, _) = session.request();
        let mut status = status();
        status.store.damage = 1;
        session.reply(id, &Reply::Status(Box::new(status)));
    });
    let (mut scene, written) = scene(&daemon);
    assert_eq!(run(&mut scene), Ok(Exit::Damaged));
    assert!(written.text().contains("damage     1 places; run `karoctl store verify`"), "{}", written.text());
}

#[test]
fn sizes_are_humanised() {
    assert_eq!(bytes(1023), "1023 B");
    assert_eq!(bytes(1024), "1.0 KiB");
    assert_eq!(bytes(u64::MAX), "16384.0 PiB");
}
