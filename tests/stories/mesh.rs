//! Machines that trust each other: how they find together, stay so, and part.

use karo_protocol::audit::{AuditFilter, Deed};
use karo_protocol::local::Request;
use karo_protocol::mesh::{Change, LinkState, PeerAdd, PeersAsk};
use karo_protocol::{NodeId, Trust};
use karo_tests::mesh::link;
use karo_tests::{Node, until};
use rustix::process::Signal;

/// Returns how often each of these was done, as the audit has it.
fn count(node: &Node, deed: Deed) -> usize {
    node.audit(AuditFilter { deeds: vec![deed], ..AuditFilter::default() }).len()
}

#[test]
fn two_that_trust_each_other_are_linked() {
    let (one, other) = (Node::running(), Node::running());
    link(&one, &other, Trust::Member);
    let row = one.wait_for(other.node_id(), LinkState::Connected);
    assert_eq!((row.trust, row.fingerprint), (Trust::Member, other.identity().fingerprint));
    let Ok(karo_protocol::local::Reply::Pinged(pinged)) =
        one.karo.session().ask(&Request::PeerPing(row.name.clone()))
    else {
        panic!("no answer to a ping");
    };
    assert_eq!(pinged.name, row.name);
    // It is written behind the link's back: nobody waits for a disk to be connected.
    until("both have it in their audit", || {
        (count(&one, Deed::Connected) == 1 && count(&other, Deed::Connected) == 1).then_some(())
    });
    assert_eq!((count(&one, Deed::PeerAdded), count(&one, Deed::IdentityCreated)), (1, 1));
}

#[test]
fn trust_of_one_side_is_no_link() {
    let (one, other) = (Node::running(), Node::running());
    // The other listens, for it trusts somebody, but not this one.
    other.trust(NodeId([7; 32]), &[], Trust::Member);
    one.trust(other.node_id(), &[&other.address], Trust::Member);
    let row = one.wait_for(other.node_id(), LinkState::Rejected);
    assert!(row.reason.is_some(), "{row:?}");
    assert!(other.peer(one.node_id()).is_none());
    until("the refusal is in the audit", || (count(&other, Deed::Refused) >= 1).then_some(()));
}

#[test]
fn with_no_peers_nothing_listens() {
    let one = Node::running();
    assert_eq!(one.identity().listening, Vec::<String>::new());
    assert!(std::net::TcpStream::connect(&one.address).is_err());
    one.trust(NodeId([7; 32]), &[], Trust::Member);
    until("it listens", || std::net::TcpStream::connect(&one.address).ok());
    assert_eq!(one.identity().listening, std::slice::from_ref(&one.address));
    let name = one.peers()[0].name.clone();
    one.change(&name, Change::Remove);
    until("it listens no more", || std::net::TcpStream::connect(&one.address).is_err().then_some(()));
}

/// What a person sees where nobody can come in, and that it is gone with its reason.
#[test]
fn a_machine_that_cannot_listen_says_so() {
    let one = Node::running();
    let taken = std::net::TcpListener::bind(&one.address).expect("the address is this story's");
    let name = one.trust(NodeId([7; 32]), &[], Trust::Member).name;
    let reason = format!(
        "could not listen on {}: Address already in use (os error 98); see mesh.listen in the configuration\n",
        one.address
    );
    let status = one.karo.ctl_ok(&["status"]);
    assert!(status.contains(&format!("notice     no peer can dial this machine: {reason}")), "{status}");
    assert!(status.contains(", 0 of 1 peers connected, listening nowhere\n"), "{status}");
    let shown = one.karo.ctl_ok(&["peers", "show", &name]);
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(shown.contains(&format!("{name} cannot dial this machine either: {}", reason.trim())), "{shown}");
    drop(taken);
    one.karo.signal(Signal::HUP);
    until("it listens", || std::net::TcpStream::connect(&one.address).ok());
    let status = one.karo.ctl_ok(&["status"]);
    assert!(!status.contains("can dial this machine"), "{status}");
    assert!(status.contains(&format!("listening at {}\n", one.address)), "{status}");
}

#[test]
fn a_link_comes_back_after_a_crash() {
    let (one, mut other) = (Node::running(), Node::running());
    link(&one, &other, Trust::Member);
    let (first, second) = (one.node_id(), other.node_id());
    other.karo.kill();
    until("the loss is seen", || one.peer(second).filter(|row| row.state != LinkState::Connected));
    other.karo.launch();
    one.wait_for(second, LinkState::Connected);
    other.wait_for(first, LinkState::Connected);
    assert_eq!(other.node_id(), second);
}

#[test]
fn revoking_closes_the_link_for_good() {
    let (one, other) = (Node::running(), Node::running());
    link(&one, &other, Trust::Member);
    let (first, second) = (one.node_id(), other.node_id());
    let name = one.peer(second).expect("it is a peer").name;
    one.change(&name, Change::Revoke);
    until("the link is down at the other side", || {
        other.peer(first).filter(|row| row.state == LinkState::Rejected)
    });
    until("it is in the audit", || (count(&one, Deed::Revoked) == 1).then_some(()));
    let connected = count(&one, Deed::Connected);
    let add = PeerAdd {
        node_id: second,
        addresses: vec![other.address],
        trust: Trust::Member,
        name: None,
        owner: None,
        expires_at: None,
    };
    // Only an explicit act trusts it again.
    one.ask(&Request::PeerAdd(add));
    one.wait_for(second, LinkState::Connected);
    until("it is in the audit", || (count(&one, Deed::Connected) > connected).then_some(()));
}

#[test]
fn the_identity_and_the_roster_outlive_the_daemon() {
    let (mut one, other) = (Node::running(), Node::running());
    link(&one, &other, Trust::ShareTo);
    let (first, second) = (one.node_id(), other.node_id());
    let name = one.peer(second).expect("it is a peer").name;
    one.change(&name, Change::Rename("desk".to_owned()));
    one.karo.signal(Signal::TERM);
    one.karo.wait_for_end();
    one.karo.launch();
    assert_eq!(one.node_id(), first);
    let row = one.wait_for(second, LinkState::Connected);
    assert_eq!((row.name.as_str(), row.trust), ("desk", Trust::ShareTo));
    let verified = one.audit_verified();
    assert!(verified.logs.iter().all(|log| log.bad.is_empty() && log.faults.is_empty()), "{verified:?}");
}

#[test]
fn who_waits_for_the_table_hears_of_a_change() {
    let (one, other) = (Node::running(), Node::running());
    let karo_protocol::local::Reply::Peers(table) = one.ask(&Request::Peers(PeersAsk::default())) else {
        panic!("no table");
    };
    let mut session = one.karo.session();
    session.send(&Request::Peers(PeersAsk { unless: Some(table.change) })).expect("the daemon reads");
    one.trust(other.node_id(), &[], Trust::Member);
    let (_, karo_protocol::local::Reply::Peers(changed)) = session.receive().expect("the daemon answers")
    else {
        panic!("no table");
    };
    assert!(changed.change != table.change && changed.rows.len() == 1, "{changed:?}");
}

#[test]
fn what_cannot_be_a_peer_is_refused() {
    let one = Node::running();
    let add = |node_id, addresses: &[&str], name: Option<&str>| {
        Request::PeerAdd(PeerAdd {
            node_id,
            addresses: addresses.iter().map(ToString::to_string).collect(),
            trust: Trust::Member,
            name: name.map(str::to_owned),
            owner: None,
            expires_at: None,
        })
    };
    let own = one.node_id();
    for (request, expected) in [
        (add(own, &[], None), "this machine"),
        (add(NodeId([7; 32]), &["nowhere"], None), "nowhere"),
        (add(NodeId([7; 32]), &["host.example:9238"], None), "mesh.resolve"),
        (add(NodeId([7; 32]), &[], Some("a\u{1b}[31mb")), "name"),
        (Request::PeerShow("nobody".to_owned()), "nobody"),
        (Request::PeerPing("nobody".to_owned()), "nobody"),
    ] {
        let failure = one.refusal(&request);
        assert!(failure.message.contains(expected), "{request:?}: {}", failure.message);
    }
}

/// Returns the first step of a test of a connection that went wrong, and why.
fn wrong_step(node: &Node, name: &str) -> Option<(String, String)> {
    let karo_protocol::local::Reply::PeerTested(steps) = node.ask(&Request::PeerTest(name.to_owned())) else {
        panic!("no test of {name}");
    };
    steps.into_iter().find_map(|step| Some((step.step, step.error?)))
}

#[test]
fn a_test_of_a_connection_says_at_which_step_it_ends() {
    let (one, other, third) = (Node::running(), Node::running(), Node::running());
    // The other listens, for it trusts somebody, but not this one; the third trusts nobody, and does not listen.
    other.trust(NodeId([7; 32]), &[], Trust::Member);
    let trust = |node: &Node, address: &str, name: &str| {
        one.ask(&Request::PeerAdd(PeerAdd {
            node_id: node.node_id(),
            addresses: vec![address.to_owned()],
            trust: Trust::Member,
            name: Some(name.to_owned()),
            owner: None,
            expires_at: None,
        }));
    };
    trust(&other, &other.address, "stranger");
    trust(&third, &other.address, "mistaken");
    let refused = count(&other, Deed::Refused);
    for (name, step, error) in
        [("stranger", "being let in", "does not trust"), ("mistaken", "TLS handshake", "another node")]
    {
        let found = wrong_step(&one, name);
        let fits = found.as_ref().is_some_and(|(at, why)| at == step && why.contains(error));
        assert!(fits, "{name}: {found:?}");
    }
    until("both are in the audit", || (count(&other, Deed::Refused) >= refused + 2).then_some(()));
    one.change("mistaken", Change::Remove);
    trust(&third, &third.address, "silent");
    let (step, error) = wrong_step(&one, "silent").expect("nobody listens there");
    assert_eq!((step, error.as_str()), (format!("connect {}", third.address), "connection refused"));
    third.trust(one.node_id(), &[], Trust::Member);
    one.wait_for(third.node_id(), LinkState::Connected);
    assert_eq!(wrong_step(&one, "silent"), None);
}

#[test]
fn who_is_forgotten_is_not_revoked() {
    let (one, other) = (Node::running(), Node::running());
    let name = one.trust(other.node_id(), &[], Trust::Member).name;
    one.change(&name, Change::Remove);
    assert_eq!((count(&one, Deed::PeerRemoved), count(&one, Deed::Revoked)), (1, 0));
}
