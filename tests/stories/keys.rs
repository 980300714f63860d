//! The key of a node: refused where it is not as it was left, backed up, restored, and followed when it changes.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use karo_protocol::audit::{AuditFilter, Deed, Reason};
use karo_protocol::local::{Reply, Request};
use karo_protocol::mesh::{
    Change, IdentityBackup, IdentityRestore, IdentityShown, LinkState, Passphrase, PeerChange,
};
use karo_protocol::{Bytes, NodeId, Timestamp, Trust};
use karo_tests::mesh::link;
use karo_tests::{Dice, Node, Typist, is_root, number_from, until};
use rustix::process::Signal;

use crate::disks::Disk;

const PASSPHRASE: &str = "correct horse battery staple";

/// Demands that the identity is refused with these words wherever a person looks, that commands are recorded
/// meanwhile, and that no key is made.
fn refuses(node: &Node, what: &str, words: &[&str]) {
    let failure = node.refusal(&Request::Identity(()));
    for word in words.iter().chain(&["identity.key"]) {
        assert!(failure.message.contains(word), "{what}: {}", failure.message);
        assert!(node.notices(word), "{what}: {:?}", node.karo.status().notices);
        until("the log says it", || node.karo.log().contains(word).then_some(()));
    }
    assert_eq!(node.karo.status().mesh.node_id, None, "{what}");
    node.karo.keep([Typist::new(number_of(what)).ran("ls", 0)]);
    let refused = node.karo.ctl(&["identity", "show"]);
    assert!(
        !refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains(words[0]),
        "{what}"
    );
}

/// Makes a number of a name, so that each case has a shell of its own.
fn number_of(name: &str) -> u64 {
    name.bytes().fold(1, |number, byte| number.wrapping_mul(31).wrapping_add(u64::from(byte)))
}

#[test]
fn a_key_that_is_not_as_it_was_left_is_refused_with_the_mend() {
    type Break = fn(&Path);
    let cases: [(&str, Break, &[&str]); 7] = [
        ("missing", |path| fs::remove_file(path).expect("it is ours"), &["is missing", "identity restore"]),
        ("empty", |path| fs::write(path, b"").expect("it is ours"), &["empty", "identity restore"]),
        (
            "truncated",
            |path| {
                let bytes = fs::read(path).expect("it is ours");
                fs::write(path, &bytes[..bytes.len() / 2]).expect("it is ours");
            },
            &["bytes", "identity restore"],
        ),
        (
            "world-readable",
            |path| fs::set_permissions(path, Permissions::from_mode(0o644)).expect("it is ours"),
            &["chmod 600", "identity rotate"],
        ),
        (
            "a directory",
            |path| {
                fs::remove_file(path).expect("it is ours");
                fs::create_dir(path).expect("it is ours");
            },
            &["a directory", "put the key back"],
        ),
        (
            "a link",
            |path| {
                let moved = path.with_file_name("elsewhere");
                fs::rename(path, &moved).expect("it is ours");
                std::os::unix::fs::symlink(&moved, path).expect("it is ours");
            },
            &["a link", "put the key back"],
        ),
        (
            "a flipped bit",
            |path| {
                let mut bytes = fs::read(path).expect("it is ours");
                bytes[40] ^= 1;
                fs::write(path, bytes).expect("it is ours");
            },
            &["damaged", "identity restore"],
        ),
    ];
    let mut node = Node::running();
    node.trust(NodeId([7; 32]), &[], Trust::Member);
    let first = node.node_id();
    assert!(node.karo.stop().success());
    let path = node.key_file();
    let key = fs::read(&path).expect("it was made");
    for (what, spoil, words) in cases {
        spoil(&path);
        let before = fs::read(&path).ok();
        node.karo.launch();
        refuses(&node, what, words);
        assert_eq!(fs::read(&path).ok(), before, "{what}: nothing is made anew");
        assert!(node.karo.stop().success());
        if path.is_dir() {
            fs::remove_dir(&path).expect("it is ours");
        }
        fs::remove_file(&path).unwrap_or_default();
        fs::write(&path, &key).expect("it is ours");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("it is ours");
    }
    node.karo.launch();
    assert_eq!(node.node_id(), first, "put back, it is the same");
    assert_eq!(node.count(Deed::IdentityCreated, None), 1);
}

#[test]
fn a_key_of_another_is_refused() {
    let (mut one, other) = (Node::running(), Node::running());
    let known = one.identity().fingerprint.to_string();
    assert!(one.karo.stop().success());
    fs::copy(other.key_file(), one.key_file()).expect("it is ours");
    one.karo.launch();
    refuses(&one, "swapped", &["is known as", &known, "identity restore"]);
}

#[test]
fn a_key_that_cannot_be_written_is_made_when_it_can() {
    let mut node = Node::new();
    // The name under which it is written first is taken.
    let blocked = node.karo.data().join("identity.key.new");
    fs::create_dir(&blocked).expect("it is ours");
    node.karo.launch();
    refuses(&node, "blocked", &["could not write"]);
    assert!(!node.key_file().exists());
    // What is deleted meanwhile is in the audit, though nobody signs it yet.
    node.karo.wait_until_searchable();
    node.karo.ctl_ok(&["delete", "--yes", "--word", "ls"]);
    assert_eq!(node.count(Deed::Deleted, None), 1);
    assert!(node.karo.stop().success());
    fs::remove_dir(&blocked).expect("it is ours");
    node.karo.launch();
    node.identity();
    assert_eq!((node.count(Deed::Deleted, None), node.count(Deed::IdentityCreated, None)), (1, 1));
    assert_eq!(node.audit(AuditFilter::default())[0].index, 0);
}

#[test]
fn root_a_key_that_is_not_ours_is_refused() {
    if !is_root("giving a file away") {
        return;
    }
    let mut node = Node::running();
    assert!(node.karo.stop().success());
    chown(node.key_file(), Some(65_533), None).expect("root may");
    node.karo.launch();
    refuses(&node, "foreign", &["belongs to user 65533", "move it away"]);
}

#[test]
fn root_on_a_full_disk_the_key_stays_what_it_was() {
    if !is_root("a small file system") {
        return;
    }
    let Some(disk) = Disk::tmpfs(24) else { return };
    let mut node = Node::new();
    node.karo.set("KARO_DATA_DIR", disk.at().join("data"));
    node.karo.configure("[store]\nreserve_mib = 1\n");
    node.karo.launch();
    let first = node.node_id();
    let key = fs::read(disk.at().join("data/identity.key")).expect("it is ours");
    let ballast = disk.at().join("ballast");
    // As much as there is room for: the last write is refused.
    let mut room = Vec::new();
    while fs::write(&ballast, &room).is_ok() {
        room.extend_from_slice(&[1; 1 << 16]);
    }
    let failure = node.refusal(&Request::IdentityRotate(()));
    assert!(!failure.message.is_empty(), "{failure:?}");
    assert_eq!(node.node_id(), first);
    assert_eq!(fs::read(disk.at().join("data/identity.key")).expect("it is ours"), key);
    fs::remove_file(&ballast).expect("it is ours");
    node.karo.kill();
    node.karo.launch();
    assert_eq!(node.node_id(), first);
}

#[test]
fn a_rotation_that_the_log_refuses_is_taken_back() {
    let (mut node, peer) = (Node::running(), Node::running());
    link(&node, &peer, Trust::Member);
    let first = node.identity();
    let key = fs::read(node.key_file()).expect("it is ours");
    // No disk has so much room as is to be kept free from here on.
    node.configure("[store]\nreserve_mib = 1048576\n");
    node.karo.signal(Signal::HUP);
    until("nothing is accepted", || node.notices("nothing is accepted").then_some(()));
    let failure = node.refusal(&Request::IdentityRotate(()));
    assert!(failure.message.contains("reserve"), "{failure:?}");
    assert_eq!(node.node_id(), first.node_id);
    assert_eq!(fs::read(node.key_file()).expect("it is ours"), key, "the file holds the key that peers know");
    node.configure("");
    node.karo.signal(Signal::HUP);
    until("all is accepted", || (!node.notices("nothing is accepted")).then_some(()));
    // The key that signs the audit is the old one again, and so it is at the next start.
    node.do_much(100);
    until("a head is signed", || node.karo.ctl(&["audit", "verify"]).status.success().then_some(()));
    node.check_audit();
    assert!(node.karo.stop().success());
    node.karo.launch();
    assert_eq!(node.node_id(), first.node_id);
    assert_eq!(node.count(Deed::KeyRotated, None), 0);
    peer.wait_for(first.node_id, LinkState::Connected);
    node.check_audit();
}

fn backup(node: &Node) -> Bytes {
    let request = IdentityBackup { passphrase: Passphrase(PASSPHRASE.to_owned()) };
    match node.ask(&Request::IdentityBackup(request)) {
        Reply::IdentityBackup(sealed) => sealed,
        other => panic!("no backup but {other:?}"),
    }
}

fn restoring(backup: &Bytes, passphrase: &str, replace: bool) -> Request {
    let passphrase = Passphrase(passphrase.to_owned());
    Request::IdentityRestore(IdentityRestore { backup: backup.clone(), passphrase, replace })
}

fn restored(node: &Node, backup: &Bytes, replace: bool) -> IdentityShown {
    match node.ask(&restoring(backup, PASSPHRASE, replace)) {
        Reply::Identity(identity) => *identity,
        other => panic!("not restored: {other:?}"),
    }
}

/// Waits until a peer shows that a node has begun another audit log.
fn wait_for_new_log(node: &Node, peer: NodeId) {
    until("the new log is shown", || {
        let reason = node.peer(peer)?.reason?;
        reason.contains("another audit log").then_some(())
    });
}

#[test]
fn a_restored_key_is_shown_as_one_until_a_person_confirms() {
    let (mut old, other) = (Node::running(), Node::running());
    link(&old, &other, Trust::Member);
    let node = old.node_id();
    until("the old log has a witness", || old.karo.status().mesh.audit_witnessed);
    let sealed = backup(&old);
    assert_eq!(old.count(Deed::BackupMade, None), 1);
    old.karo.kill();

    let new = Node::running();
    let fresh = new.node_id();
    let failure = new.refusal(&restoring(&sealed, "another passphrase", false));
    assert!(failure.message.contains("passphrase"), "{failure:?}");
    assert_eq!(new.node_id(), fresh, "nothing was changed");
    let fresh_log = new.audit(AuditFilter::default())[0].log;
    assert_eq!(restored(&new, &sealed, false).node_id, node);
    assert_eq!(new.node_id(), node);
    let rows = new.audit(AuditFilter::default());
    let opened = rows.iter().find(|row| row.log != fresh_log).expect("another log has begun");
    let entry = opened.entry.as_ref().expect("it is kept");
    assert_eq!((opened.index, entry.deed, entry.reason), (0, Deed::LogOpened, Reason::Restored));
    assert_eq!(entry.other.map(|other| other.0[..16].to_vec()), Some(fresh_log.0.to_vec()));
    assert_eq!(new.count(Deed::IdentityRestored, None), 1);

    new.trust(other.node_id(), &[&other.address], Trust::Member);
    other.wait_for(node, LinkState::Connected);
    wait_for_new_log(&other, node);
    assert!(other.notices("another audit log"));
    assert_eq!(other.count(Deed::Equivocation, None), 0, "a restore is no crime");
    let name = other.peer(node).expect("it is a peer").name;
    assert_eq!(other.change(&name, Change::Confirm).reason, None);
    assert!(!other.notices("another audit log"));
    // Once is enough: nothing is left to be confirmed.
    let again = PeerChange { peer: name, change: Change::Confirm };
    assert!(other.refusal(&Request::PeerChange(again)).message.contains("nothing"));
    until("the new log has a witness", || new.karo.status().mesh.audit_witnessed);
}

#[test]
fn a_key_that_peers_know_is_replaced_only_when_that_is_said() {
    let (mut one, other, third) = (Node::running(), Node::running(), Node::running());
    link(&one, &other, Trust::Member);
    let (node, stranger) = (one.node_id(), third.node_id());
    let sealed = backup(&third);
    let refused = |one: &Node| {
        let failure = one.refusal(&restoring(&sealed, PASSPHRASE, false));
        assert!(failure.message.contains("--replace"), "{failure:?}");
    };
    refused(&one);
    assert_eq!(one.node_id(), node);
    // Lost, it is still the one that peers know.
    assert!(one.karo.stop().success());
    fs::remove_file(one.key_file()).expect("it is ours");
    one.karo.launch();
    refused(&one);
    assert!(!one.key_file().exists());
    assert_eq!(restored(&one, &sealed, true).node_id, stranger);
    assert_eq!(one.node_id(), stranger);
    one.karo.kill();
    one.karo.launch();
    assert_eq!(one.node_id(), stranger, "it is on disk, and in the log");
}

#[test]
fn links_of_a_replaced_key_end() {
    let (one, other, third) = (Node::running(), Node::running(), Node::running());
    link(&one, &other, Trust::Member);
    let node = one.node_id();
    restored(&one, &backup(&third), true);
    until("the peer of the old key is alone", || {
        other.peer(node).filter(|row| row.state != LinkState::Connected)
    });
    one.wait_for(other.node_id(), LinkState::Rejected);
}

pub(crate) fn rotate(node: &Node) -> NodeId {
    match node.ask(&Request::IdentityRotate(())) {
        Reply::Identity(identity) => identity.node_id,
        other => panic!("not rotated: {other:?}"),
    }
}

#[test]
fn five_peers_follow_a_rotation_one_of_them_later() {
    let mut one = Node::running();
    let peers: Vec<Node> = (0..4).map(|_| Node::running()).collect();
    for peer in &peers {
        link(&one, peer, Trust::Member);
    }
    let old = one.node_id();
    // The fifth does not dial: it has to be met by the key that it knows.
    let mut away = Node::running();
    let away_id = away.node_id();
    away.trust(old, &[], Trust::Member);
    one.trust(away_id, &[&away.address], Trust::Member);
    for peer in peers.iter().chain([&away]) {
        until("it witnesses the audit", || peer.shown(&old.to_string()).witnessed);
    }
    away.karo.kill();
    let new = rotate(&one);
    assert!(new != old && one.node_id() == new);
    assert_eq!(one.count(Deed::KeyRotated, Some(Reason::Command)), 1);
    for peer in &peers {
        peer.wait_for(new, LinkState::Connected);
        one.wait_for(peer.node_id(), LinkState::Connected);
        assert!(peer.peer(old).is_none());
        assert_eq!(peer.count(Deed::PeerRotated, None), 1);
        until("it goes on to witness the audit", || peer.shown(&new.to_string()).witnessed);
    }
    let failure = one.refusal(&Request::IdentityRotate(()));
    assert!(failure.message.contains("less than a day"), "{failure:?}");
    // Neither side remembers in memory what the other knew.
    one.karo.kill();
    one.karo.launch();
    away.karo.launch();
    away.wait_for(new, LinkState::Connected);
    one.wait_for(away_id, LinkState::Connected);
    for peer in peers.iter().chain([&away]) {
        peer.wait_for(new, LinkState::Connected);
        assert_eq!(peer.count(Deed::PeerRotated, None), 1);
        assert_eq!(peer.count(Deed::Equivocation, None), 0, "{:?}", peer.karo.status().notices);
    }
}

#[test]
fn a_rotation_hides_no_cut() {
    let (mut one, mut other) = (Node::running(), Node::running());
    link(&one, &other, Trust::Member);
    assert!(one.karo.stop().success());
    let older = one.karo.root().join("older");
    karo_tests::mesh::copy(&one.karo.data(), &older);
    one.karo.launch();
    one.wait_for(other.node_id(), LinkState::Connected);
    one.do_much(200);
    let name = one.peer(other.node_id()).expect("it is a peer").name;
    until("the other has seen it", || {
        // The newest head rides on each ping.
        one.ping(&name).expect("the link is up");
        one.karo.status().mesh.audit_witnessed.filter(|seen| *seen >= 200)
    });
    // While nobody looks, it is set back and rotated: the other meets the cut log under the new key alone.
    assert!(other.karo.stop().success());
    one.karo.kill();
    one.copy_data(&older);
    one.karo.launch();
    let new = rotate(&one);
    one.do_much(100);
    other.karo.launch();
    until("the other reports it", || {
        other.peer(new).filter(|row| row.reason.as_ref().is_some_and(|reason| reason.contains("it was cut")))
    });
}

/// Bytes of a key file, as `karo_trust::identity` draws them.
const ROTATION: usize = 82;

/// Writes a key file with its checksum.
fn forge(path: &Path, change: impl FnOnce(&mut [u8])) {
    let mut bytes = fs::read(path).expect("it is ours");
    let (body, sum) = bytes.split_at_mut(124);
    change(body);
    sum.copy_from_slice(blake3::hash(body).as_bytes());
    fs::write(path, bytes).expect("it is ours");
}

#[test]
fn who_was_away_for_longer_than_a_day_holds_the_new_key() {
    let (mut one, mut other) = (Node::running(), Node::running());
    link(&one, &other, Trust::Member);
    let old = one.node_id();
    other.karo.kill();
    let new = rotate(&one);
    assert!(one.karo.stop().success());
    // As it is 25 hours later: no clock is set, the rotation is moved back.
    let path = one.key_file();
    forge(&path, |body| {
        let at = i64::from_be_bytes(body[ROTATION + 1..][..8].try_into().expect("it is ours"));
        let at = Timestamp::from_micros(at - 25 * 3_600_000_000);
        body[ROTATION + 1..][..8].copy_from_slice(&at.as_micros().to_be_bytes());
    });
    one.karo.launch();
    assert_eq!(one.node_id(), new);
    until("the old key is forgotten", || {
        (fs::read(&path).expect("it is ours")[ROTATION..124][9..].iter().all(|byte| *byte == 0)).then_some(())
    });
    other.karo.launch();
    let row = other.wait_for(old, LinkState::Held);
    assert!(row.reason.is_some_and(|reason| reason.contains("more than a day ago")));
    assert!(other.notices("peers confirm"));
    let name = other.peer(old).expect("it is a peer").name;
    assert_eq!(other.change(&name, Change::Confirm).node_id, new);
    other.wait_for(new, LinkState::Connected);
    assert!(other.peer(old).is_none());
}

#[test]
fn a_key_that_was_not_announced_is_held() {
    let (mut one, other) = (Node::running(), Node::running());
    link(&one, &other, Trust::Member);
    let old = one.node_id();
    assert!(one.karo.stop().success());
    // Whoever stole the key has not stolen the next one: it draws one of its own and lets it take over.
    forge(&one.key_file(), |body| {
        let now = one_hour_ago();
        let current: Vec<u8> = body[18..50].to_vec();
        body[18..50].fill(0x31);
        body[ROTATION] = 2;
        body[ROTATION + 1..][..8].copy_from_slice(&now.as_micros().to_be_bytes());
        body[ROTATION + 9..][..32].copy_from_slice(&current);
    });
    one.karo.launch();
    assert_ne!(one.node_id(), old);
    let row = other.wait_for(old, LinkState::Held);
    assert!(row.reason.is_some_and(|reason| reason.contains("not the one that it announced")));
    until("it is in the audit", || {
        (other.count(Deed::Refused, Some(Reason::Unannounced)) >= 1).then_some(())
    });
}

fn one_hour_ago() -> Timestamp {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is past 1970");
    Timestamp::from_micros(now.as_micros() as i64 - 3_600_000_000)
}

#[test]
fn a_rotation_goes_on_after_a_crash_between_the_file_and_the_log() {
    let mut one = Node::running();
    assert!(one.karo.stop().success());
    let before = one.karo.root().join("before");
    karo_tests::mesh::copy(&one.karo.data(), &before);
    one.karo.launch();
    let new = rotate(&one);
    one.karo.kill();
    let rotated = fs::read(one.key_file()).expect("it is ours");
    one.copy_data(&before);
    fs::write(one.key_file(), rotated).expect("it is ours");
    // It may lie so for longer than both keys are kept.
    forge(&one.key_file(), |body| {
        let at = i64::from_be_bytes(body[ROTATION + 1..][..8].try_into().expect("it is ours"))
            - 25 * 3_600_000_000;
        body[ROTATION + 1..][..8].copy_from_slice(&at.to_be_bytes());
    });
    one.karo.launch();
    assert_eq!(one.node_id(), new);
    assert_eq!(one.count(Deed::KeyRotated, None), 1);
    one.karo.kill();
    one.karo.launch();
    assert_eq!((one.node_id(), one.count(Deed::KeyRotated, None)), (new, 1));
}

#[test]
fn a_rotation_survives_a_crash_at_any_moment() {
    let rounds = number_from("KARO_ROUNDS", 10);
    let mut dice = Dice::seeded(0x726f_7461);
    let other = Node::running();
    for round in 0..rounds {
        let mut one = Node::running();
        link(&one, &other, Trust::Member);
        let old = one.node_id();
        let mut session = one.karo.session();
        session.send(&Request::IdentityRotate(())).expect("the daemon reads");
        // How far it comes by then is the chance of this test.
        for _ in 0..dice.within(0..400) {
            std::hint::black_box(fs::metadata(one.key_file()).is_ok());
        }
        one.karo.kill();
        one.karo.launch();
        let node = one.node_id();
        assert_eq!(one.count(Deed::KeyRotated, None), usize::from(node != old), "round {round}");
        other.wait_for(node, LinkState::Connected);
        one.wait_for(other.node_id(), LinkState::Connected);
    }
}
