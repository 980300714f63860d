//! Nodes that are seen on a network: shown to a person, and nothing else.

use std::collections::BTreeSet;

use karo_protocol::audit::{AuditFilter, Deed};
use karo_protocol::local::{Reply, Request};
use karo_protocol::mesh::{Candidate, Change};
use karo_protocol::{Fingerprint, NodeId, Trust};
use karo_tests::name_server::{NameServer, address, pointer, service, texts};
use karo_tests::namespace::{Namespace, udp_ports};
use karo_tests::{Node, is_root, until};
use rustix::process::Signal;

/// The port of multicast DNS.
const MDNS: u16 = 5353;

/// Somebody who is trusted and never there: a machine listens, and announces itself, only while it has a peer.
const NOBODY: NodeId = NodeId([7; 32]);

fn candidates(node: &Node) -> Vec<Candidate> {
    match node.ask(&Request::Candidates(())) {
        Reply::Candidates(found) => found,
        other => panic!("no candidates but {other:?}"),
    }
}

/// Says that nothing has come of what was seen.
fn nothing_is_trusted(node: &Node, peers: &[NodeId]) {
    let known: BTreeSet<NodeId> = node.peers().iter().map(|row| row.node_id).collect();
    assert_eq!(known, BTreeSet::from_iter(peers.iter().copied()));
    let deeds = vec![Deed::PeerAdded, Deed::Connected, Deed::TrustChanged];
    assert_eq!(node.audit(AuditFilter { deeds, ..AuditFilter::default() }).len(), peers.len());
}

/// Starts a daemon in a network, with this address, that knows nobody who is there.
fn lonely(network: &Namespace, address: &str, discovery: &str) -> Node {
    let mut node = Node::new();
    node.address = format!("{address}:9238");
    node.configure(discovery);
    let command = network.daemon_command(&node.karo);
    node.karo.launch_as(command);
    node.trust(NOBODY, &[], Trust::Member);
    node
}

#[test]
fn root_two_on_one_network_see_each_other_and_trust_nothing() {
    if !is_root("networks of its own") {
        return;
    }
    let Some((here, there)) = Namespace::pair() else { return };
    let mut one = lonely(&here, "10.77.0.1", "[discovery]\nmdns = true\n");
    let other = lonely(&there, "10.77.0.2", "[discovery]\nmdns = true\n");
    let (first, second) = (one.identity(), other.identity());
    let sees = |node: &Node, fingerprint: Fingerprint| {
        until("the other one is seen", || {
            candidates(node).into_iter().find(|found| found.fingerprint == Some(fingerprint))
        })
    };
    let found = sees(&one, second.fingerprint);
    assert_eq!((found.source.as_str(), found.addresses), ("mdns", vec![other.address.clone()]));
    assert_eq!((found.peer, found.version.is_some()), (None, true));
    assert_eq!(sees(&other, first.fingerprint).addresses, [one.address.clone()]);
    for node in [&one, &other] {
        nothing_is_trusted(node, &[NOBODY]);
        assert_eq!(candidates(node).len(), 1, "nobody sees itself");
    }
    // Once it is a peer, it is called by its name.
    one.trust(second.node_id, &[], Trust::Member);
    assert_eq!(sees(&one, second.fingerprint).peer, Some(second.fingerprint.to_string()));
    nothing_is_trusted(&one, &[NOBODY, second.node_id]);
    // Whoever goes says so, and whoever listens no more is not announced.
    one.karo.stop();
    until("the one that went is forgotten", || candidates(&other).is_empty().then_some(()));
    let command = here.daemon_command(&one.karo);
    one.karo.launch_as(command);
    sees(&other, first.fingerprint);
    for row in one.peers() {
        one.change(&row.name, Change::Remove);
    }
    until("the one without peers is forgotten", || candidates(&other).is_empty().then_some(()));
    // And switched off, it has neither thread nor socket.
    assert!(udp_ports(&other.karo).contains(&MDNS));
    other.configure("");
    other.karo.signal(Signal::HUP);
    until("the socket is gone", || (!udp_ports(&other.karo).contains(&MDNS)).then_some(()));
    until("the thread is gone", || {
        (!threads(&other).iter().any(|name| name.starts_with("mDNS"))).then_some(())
    });
}

/// Returns the names of a daemon's threads.
fn threads(node: &Node) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", node.karo.pid().as_raw_nonzero()));
    let tasks = tasks.expect("the daemon runs").flatten();
    tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok()).collect()
}

#[test]
fn a_zone_is_asked_for_what_stands_in_it_and_nothing_else() {
    let service_name = "_karo._tcp.karo.test";
    let instance = |label: &str| format!("{label}.{service_name}");
    let fingerprint = Fingerprint([9; 8]);
    let server = NameServer::start(vec![
        pointer(service_name, "desk", service_name),
        pointer(service_name, "far", service_name),
        pointer(service_name, "nowhere", service_name),
        pointer(service_name, "a\u{1b}[31mb", service_name),
        pointer(service_name, "a\u{202e}b", service_name),
        pointer(service_name, "stranger", "_karo._tcp.other.test"),
        pointer(service_name, "deep.er", &format!("below.{service_name}")),
        service(&instance("desk"), "a.karo.test", 9238),
        texts(&instance("desk"), &["version=0.9", &format!("fingerprint={fingerprint}"), "else"]),
        address("a.karo.test", "10.0.0.7"),
        address("a.karo.test", "fd00::7"),
        address("a.karo.test", "127.0.0.1"),
        service(&instance("far"), "host.other.test", 7000),
        // That something is there is no reason to show it.
        service(&instance("a\u{1b}[31mb"), "a.karo.test", 9238),
        service(&instance("a\u{202e}b"), "a.karo.test", 9238),
        texts(&instance("far"), &["version=1\u{1b}[2J", "fingerprint=none"]),
    ]);
    let mut node = Node::new();
    let discovery = format!("[discovery]\ndns_sd = \"karo.test\"\ndns_server = \"{}\"\n", server.address());
    node.configure(&discovery);
    node.karo.launch();
    let found = until("the zone is asked", || Some(candidates(&node)).filter(|found| !found.is_empty()));
    let [desk, far] = found.as_slice() else { panic!("two can be shown: {found:?}") };
    assert_eq!((desk.name.as_str(), desk.source.as_str()), ("desk", "dns-sd"));
    assert_eq!((desk.fingerprint, desk.version.as_deref()), (Some(fingerprint), Some("0.9")));
    assert_eq!(desk.addresses, ["10.0.0.7:9238", "[fd00::7]:9238"]);
    assert_eq!((far.name.as_str(), far.fingerprint, far.version.as_deref()), ("far", None, None));
    assert_eq!(far.addresses, ["host.other.test:7000"]);
    let asked = server.asked();
    assert!(asked.iter().all(|name| name.ends_with("karo.test")), "{asked:?}");
    nothing_is_trusted(&node, &[]);
    // Switched off, what it has seen is gone; what is named again is asked again.
    node.configure("");
    node.karo.signal(Signal::HUP);
    until("the zone is forgotten", || candidates(&node).is_empty().then_some(()));
    node.configure(&discovery);
    node.karo.signal(Signal::HUP);
    until("the zone is asked again", || (candidates(&node).len() == 2).then_some(()));
    assert!(server.asked().len() > asked.len());
}

#[test]
fn a_name_server_that_fails_is_left_in_peace() {
    let service_name = "_karo._tcp.karo.test";
    let listed = (0..20).map(|number| pointer(service_name, &format!("n{number}"), service_name));
    let server = NameServer::failing(listed.collect());
    let mut node = Node::new();
    node.configure(&format!("[discovery]\ndns_sd = \"karo.test\"\ndns_server = \"{}\"\n", server.address()));
    node.karo.launch();
    until("the round is given up", || node.karo.log().contains("the rest is asked for later").then_some(()));
    let asked: BTreeSet<String> = server.asked().into_iter().filter(|name| name != service_name).collect();
    assert_eq!(asked.len(), 3, "{asked:?}");
}

#[test]
fn root_a_network_that_comes_up_later_is_searched_as_well() {
    if !is_root("networks of its own") {
        return;
    }
    let Some((here, there)) = Namespace::pair() else { return };
    assert!(
        there.run("ip", &["addr", "flush", "dev", "wire"])
            && there.run("ip", &["link", "set", "wire", "down"])
    );
    let one = lonely(&here, "10.77.0.1", "[discovery]\nmdns = true\n");
    let other = lonely(&there, "0.0.0.0", "[discovery]\nmdns = true\n");
    let (first, second) = (one.identity(), other.identity());
    for node in [&one, &other] {
        until("it searches", || node.karo.log().contains("announced by mDNS").then_some(()));
        assert!(candidates(node).is_empty());
    }
    assert!(there.join("10.77.0.2/24", "10.77.0.1"));
    for (node, fingerprint, address) in
        [(&one, second.fingerprint, "10.77.0.2:9238"), (&other, first.fingerprint, "10.77.0.1:9238")]
    {
        let found = until("the other one is seen", || {
            candidates(node).into_iter().find(|found| found.fingerprint == Some(fingerprint))
        });
        assert_eq!(found.addresses, [address]);
    }
}
