//! What leaves the machine: nothing for anybody whom nobody configured. Every packet is looked at.

use karo_protocol::local::{Reply, Request};
use karo_protocol::mesh::{LinkState, PeersAsk};
use karo_protocol::{NodeId, Trust};
use karo_tests::mesh::link;
use karo_tests::namespace::{Namespace, udp_ports};
use karo_tests::{Karo, Node, is_root, until};

/// Says that the watch sees: a packet to a name server is noted.
fn the_watch_sees(network: &Namespace) {
    network.run("bash", &["-c", "echo > /dev/udp/10.77.0.2/53"]);
    assert_eq!(network.went_elsewhere(), ["10.77.0.2 . udp . 53"]);
}

#[test]
fn root_by_default_nothing_leaves() {
    if !is_root("networks of its own") {
        return;
    }
    let Some((here, _there)) = Namespace::pair() else { return };
    if !here.watch(&[]) {
        return;
    }
    let mut karo = Karo::new();
    let command = here.daemon_command(&karo);
    karo.launch_as(command);
    karo.wait_until_searchable();
    karo.wait_for_rules();
    for request in [Request::Status(()), Request::Peers(PeersAsk::default()), Request::Candidates(())] {
        karo.session().ask(&request).expect("the daemon answers");
    }
    assert_eq!(udp_ports(&karo), Vec::<u16>::new());
    karo.stop();
    assert_eq!(here.went_elsewhere(), Vec::<String>::new());
    the_watch_sees(&here);
}

#[test]
fn root_with_peers_packets_go_to_them_alone() {
    if !is_root("networks of its own") {
        return;
    }
    let Some((here, there)) = Namespace::pair() else { return };
    if !here.watch(&["10.77.0.2"]) {
        return;
    }
    let [mut one, mut other] = [(&here, "10.77.0.1"), (&there, "10.77.0.2")].map(|(network, address)| {
        let mut node = Node::new();
        node.address = format!("{address}:9238");
        node.configure("");
        let command = network.daemon_command(&node.karo);
        node.karo.launch_as(command);
        node
    });
    link(&one, &other, Trust::Member);
    let name = one.peer(other.node_id()).expect("it is a peer").name;
    assert!(matches!(one.ask(&Request::PeerPing(name)), Reply::Pinged(_)));
    // A link that is lost, and dialled again.
    other.karo.kill();
    until("the loss is seen", || one.peers().into_iter().find(|row| row.state != LinkState::Connected));
    let command = there.daemon_command(&other.karo);
    other.karo.launch_as(command);
    one.wait_for(other.node_id(), LinkState::Connected);
    assert_eq!(udp_ports(&one.karo), Vec::<u16>::new());
    one.karo.stop();
    assert_eq!(here.went_elsewhere(), Vec::<String>::new());
    the_watch_sees(&here);
}

#[test]
fn root_no_name_is_looked_up_unless_allowed() {
    if !is_root("networks of its own") {
        return;
    }
    let Some((here, _there)) = Namespace::pair() else { return };
    if !here.watch(&[]) {
        return;
    }
    let mut node = Node::new();
    node.address = "127.0.0.1:9238".to_owned();
    node.configure("resolve = true\n");
    let command = here.daemon_command(&node.karo);
    node.karo.launch_as(command);
    let name = node.trust(NodeId([7; 32]), &["nowhere.karo.test:9238"], Trust::Member).name;
    let is_asked = || here.went_elsewhere().iter().any(|packet| packet.ends_with(". udp . 53"));
    until("the name is looked up where that is allowed", || is_asked().then_some(()));
    node.karo.kill();
    assert!(here.forget());
    // The peer is still in the roster, with its name.
    node.configure("");
    let command = here.daemon_command(&node.karo);
    node.karo.launch_as(command);
    let Reply::PeerTested(steps) = node.ask(&Request::PeerTest(name)) else { panic!("not tested") };
    let errors: Vec<_> = steps.into_iter().filter_map(|step| step.error).collect();
    assert!(errors.iter().any(|error| error.contains("mesh.resolve is false")), "{errors:?}");
    until("the link says why it rests", || {
        node.peers()
            .into_iter()
            .find(|row| row.reason.as_deref().is_some_and(|why| why.contains("mesh.resolve")))
    });
    node.karo.stop();
    assert_eq!(here.went_elsewhere(), Vec::<String>::new());
}
