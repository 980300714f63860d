//! The audit of a node and those who witness it: what is changed, cut or copied is found, and nothing else is.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use karo_protocol::audit::{Deed, Reason};
use karo_protocol::local::{Reply, Request};
use karo_protocol::mesh::{Change, LinkState, PeerChange};
use karo_protocol::{NodeId, Trust};
use karo_tests::binaries::binaries;
use karo_tests::mesh::{copy, link};
use karo_tests::{Dice, Node, number_from, until};

/// Entries after which a head is signed at once.
const HEAD_ENTRIES: usize = 100;

/// Waits until a peer has seen all but the newest entries of a node's audit.
fn wait_until_witnessed(node: &Node, at_least: u64) {
    until("a peer has seen the audit", || {
        node.karo.status().mesh.audit_witnessed.filter(|witnessed| *witnessed >= at_least)
    });
}

/// Tells whether a check finds everything as it was written.
fn is_sound(node: &Node) -> bool {
    node.audit_verified().logs.iter().all(|log| log.bad_count == 0 && log.faults.is_empty())
}

#[test]
fn what_no_peer_has_seen_is_said() {
    let (one, other) = (Node::running(), Node::running());
    let status = one.karo.status().mesh;
    assert!(status.audit_size > 0 && status.audit_witnessed.is_none(), "{status:?}");
    assert!(one.karo.ctl_ok(&["audit", "verify"]).contains("no witness"));
    assert!(one.karo.ctl_ok(&["status"]).contains("no witness"));
    link(&one, &other, Trust::Member);
    one.do_much(HEAD_ENTRIES);
    wait_until_witnessed(&one, HEAD_ENTRIES as u64);
    let verified = one.audit_verified();
    let log = verified.logs.last().expect("there is a log");
    let (size, witness) = log.witnessed.expect("it has a witness");
    assert!(witness == other.node_id() && size >= HEAD_ENTRIES as u64 && size <= log.size, "{log:?}");
    assert!(one.karo.ctl_ok(&["audit", "verify"]).contains("witnessed by"));
    until("the witness says so as well", || {
        other.shown(&one.node_id().to_string()).witnessed.filter(|seen| *seen >= HEAD_ENTRIES as u64)
    });
}

#[test]
fn what_a_peer_has_seen_is_known_after_a_restart() {
    let (mut one, mut other) = (Node::running(), Node::running());
    link(&one, &other, Trust::Member);
    one.do_much(HEAD_ENTRIES);
    wait_until_witnessed(&one, HEAD_ENTRIES as u64);
    other.karo.kill();
    one.karo.kill();
    one.karo.launch();
    let witnessed = one.karo.status().mesh.audit_witnessed;
    assert!(witnessed.is_some_and(|witnessed| witnessed >= HEAD_ENTRIES as u64), "{witnessed:?}");
}

#[test]
fn entries_are_proven_to_others() {
    let one = Node::running();
    one.do_much(3);
    let file = one.karo.root().join("proof.json");
    one.karo.ctl_ok(&["audit", "export", file.to_str().expect("it is UTF-8")]);
    let verify = || {
        let run = Command::new(&binaries().karod).arg("verify-proof").arg(&file).output();
        run.expect("karod can be run")
    };
    let verdict = verify();
    let said = String::from_utf8_lossy(&verdict.stdout).into_owned();
    assert!(verdict.status.success() && said.contains("peer-added"), "{verdict:?}");
    let text = fs::read_to_string(&file).expect("it was written");
    // Another random number before one entry: it is not the one that was hashed.
    let place = text.find("\"entries\"").expect("there are entries");
    let digit = place + text[place..].find(|c: char| ('1'..='8').contains(&c)).expect("there are numbers");
    let mut forged = text.into_bytes();
    forged[digit] += 1;
    fs::write(&file, forged).expect("it is ours");
    assert!(!verify().status.success());
}

/// Returns the files that hold the log of a stopped node, without those that are made anew of it.
fn segments(node: &Node) -> Vec<PathBuf> {
    let mut pending = vec![node.karo.data()];
    let mut files = Vec::new();
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).expect("it is ours").flatten() {
            let path = entry.path();
            match path.is_dir() {
                true if entry.file_name() == "views" => {}
                true => pending.push(path),
                false
                    if path.extension().is_some_and(|extension| extension == "seg" || extension == "log") =>
                {
                    files.push(path);
                }
                false => {}
            }
        }
    }
    files.sort();
    files
}

#[test]
fn a_flipped_bit_is_named() {
    let rounds = number_from("KARO_ROUNDS", 20);
    let mut dice = Dice::seeded(0x6269_7473);
    let mut one = Node::running();
    one.do_much(200);
    assert!(one.karo.stop().success());
    let whole = one.karo.root().join("whole");
    copy(&one.karo.data(), &whole);
    for round in 0..rounds {
        one.copy_data(&whole);
        let files = segments(&one);
        let file = &files[dice.within(0..files.len() as u64) as usize];
        let mut bytes = fs::read(file).expect("it is ours");
        // What lies behind the last record is room, and says nothing.
        let end = bytes.iter().rposition(|byte| *byte != 0).expect("it was written to");
        let place = dice.within(0..end as u64 + 1) as usize;
        bytes[place] ^= 1 << dice.within(0..8);
        fs::write(file, &bytes).expect("it is ours");
        let said = one.karo.log().len();
        one.karo.launch();
        let is_found = !is_sound(&one) || one.karo.status().store.damage > 0;
        if !is_found {
            let is_said = || {
                let log = &one.karo.log()[said..];
                ["damaged", "torn", "undecided", "is lost"]
                    .iter()
                    .any(|word| log.contains(word))
                    .then_some(())
            };
            let byte = format!("round {round}: byte {place} of {} of {}", bytes.len(), file.display());
            until(&format!("the log says it, {byte}"), is_said);
        }
        one.karo.kill();
    }
}

#[test]
fn an_older_copy_of_the_data_is_reported_on_both_sides() {
    let (mut one, other) = (Node::running(), Node::running());
    link(&one, &other, Trust::Member);
    let node = one.node_id();
    assert!(one.karo.stop().success());
    let older = one.karo.root().join("older");
    copy(&one.karo.data(), &older);
    one.karo.launch();
    one.wait_for(other.node_id(), LinkState::Connected);
    one.do_much(HEAD_ENTRIES);
    wait_until_witnessed(&one, HEAD_ENTRIES as u64);
    one.karo.kill();
    one.copy_data(&older);
    one.karo.launch();
    until("the peer reports it", || {
        other.peer(node).filter(|row| row.reason.as_ref().is_some_and(|reason| reason.contains("it was cut")))
    });
    assert!(other.notices("it was cut"));
    until("the peer's audit has it", || {
        (other.count(Deed::Equivocation, Some(Reason::Rewritten)) == 1).then_some(())
    });
    until("the node knows it as well", || one.notices("older copy").then_some(()));
    until("its audit has it", || (one.count(Deed::Equivocation, Some(Reason::Rewritten)) == 1).then_some(()));
    assert!(!is_sound(&one));
    // Whoever goes on behind the cut does not grow out of it.
    one.do_much(2 * HEAD_ENTRIES);
    until("the peer reports what was written since", || {
        let reason = other.peer(node).and_then(|row| row.reason);
        reason.filter(|reason| reason.contains("does not continue") || reason.contains("was cut"))
    });
    assert!(!is_sound(&one));
}

#[test]
fn living_twins_are_named_and_get_no_link() {
    let (mut one, other) = (Node::running(), Node::running());
    link(&one, &other, Trust::Member);
    let node = one.node_id();
    assert!(one.karo.stop().success());
    let mut twin = Node::new();
    twin.copy_data(&one.karo.data());
    one.karo.launch();
    one.wait_for(other.node_id(), LinkState::Connected);
    other.wait_for(node, LinkState::Connected);
    twin.karo.launch();
    let row = other.wait_for(node, LinkState::Rejected);
    assert!(row.reason.is_some_and(|reason| reason.contains("two daemons live with this key")));
    assert!(other.notices("two daemons live with the key"));
    until("it is in the audit", || (other.count(Deed::Equivocation, Some(Reason::Twins)) == 1).then_some(()));
    for each in [&one, &twin] {
        let row = each.wait_for(other.node_id(), LinkState::Rejected);
        assert!(row.reason.is_some_and(|reason| reason.contains("two daemons")));
    }
}

#[test]
fn a_crash_while_appending_is_no_cut() {
    let rounds = number_from("KARO_ROUNDS", 50);
    let mut dice = Dice::seeded(0x6372_7968);
    let (mut one, other) = (Node::running(), Node::running());
    link(&one, &other, Trust::Member);
    one.do_much(1);
    let (node, name) = (one.node_id(), one.peer(NodeId([7; 32])).expect("it was added").name);
    for round in 0..rounds {
        let mut session = one.karo.session();
        let name = name.clone();
        let done = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&done);
        let busy = thread::spawn(move || {
            for time in 0_u64.. {
                let trust = if time % 2 == 0 { Trust::QueryFrom } else { Trust::Member };
                let change = PeerChange { peer: name.clone(), change: Change::Trust(trust) };
                if !matches!(session.ask(&Request::PeerChange(change)), Ok(Reply::Peer(_))) {
                    return;
                }
                counted.store(time, Ordering::Relaxed);
            }
        });
        let enough = dice.within(0..12);
        until("some are done", || (done.load(Ordering::Relaxed) >= enough).then_some(()));
        one.karo.kill();
        busy.join().expect("it ends with its session");
        one.karo.launch();
        assert!(is_sound(&one), "round {round}: {:?}", one.audit_verified());
    }
    one.wait_for(other.node_id(), LinkState::Connected);
    one.do_much(HEAD_ENTRIES);
    wait_until_witnessed(&one, HEAD_ENTRIES as u64);
    assert_eq!(other.peer(node).expect("it is a peer").reason, None);
    for each in [&one, &other] {
        assert_eq!(each.count(Deed::Equivocation, None), 0, "{:?}", each.karo.status().notices);
    }
}
