//! Links over wires that are cut, slow, lossy or moved: machines in network namespaces, as root.

use std::thread;
use std::time::{Duration, Instant};

use karo_protocol::audit::Deed;
use karo_protocol::local::Request;
use karo_protocol::mesh::{Change, LinkState};
use karo_protocol::{NodeId, Trust};
use karo_tests::mesh::PORT;
use karo_tests::wait::within;
use karo_tests::wires::{self, Machine, Wires, address};
use karo_tests::{Dice, number_from, until};

/// How long a mesh may take to be whole after everything was healed.
const WHOLE_WITHIN: Duration = Duration::from_secs(65);

/// How long a link may be silent before it is given up.
const SILENCE: Duration = Duration::from_secs(45);

/// What a loaded machine of CI may add to either.
const SLACK: Duration = Duration::from_secs(30);

/// How long the short cut is.
const CUT: Duration = Duration::from_secs(10);

/// Makes each machine trust each other one.
fn trust_all(machines: &[Machine]) -> Vec<NodeId> {
    let keys: Vec<NodeId> = machines.iter().map(|machine| machine.node.node_id()).collect();
    for (place, machine) in machines.iter().enumerate() {
        for (other, key) in keys.iter().enumerate().filter(|(other, _)| *other != place) {
            machine.node.trust(*key, &[&machines[other].node.address], Trust::Member);
        }
    }
    keys
}

/// Tells which pairs are not connected by exactly one connection that both of them mean.
fn not_whole(machines: &[Machine], keys: &[NodeId]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (place, machine) in machines.iter().enumerate() {
        let rows = machine.node.peers();
        for row in rows.iter().filter(|row| row.state != LinkState::Connected) {
            let other = keys.iter().position(|key| *key == row.node_id);
            wrong.push(format!("{place} to {other:?}: {} {:?}", row.state, row.reason));
        }
        let connections = machine.node.karo.connections();
        if rows.len() + 1 != keys.len() || connections.len() != rows.len() {
            wrong.push(format!("{place}: {connections:?} for {} peers", rows.len()));
        }
    }
    wrong
}

/// Waits until each pair is connected once.
fn wait_until_whole(machines: &[Machine], keys: &[NodeId], patience: Duration) {
    let whole = within(patience, || not_whole(machines, keys).is_empty().then_some(()));
    assert!(whole.is_some(), "not whole after {patience:?}: {:?}", not_whole(machines, keys));
}

/// Demands an answer to a ping each way.
fn ping_both(machines: &[Machine], keys: &[NodeId]) {
    for (place, other) in [(0, 1), (1, 0)] {
        let node = &machines[place].node;
        let name = node.peer(keys[other]).expect("it is a peer").name;
        let answered = until("a ping is answered", || node.ping(&name).ok());
        assert_eq!(answered.name, name);
    }
}

/// Two machines that are linked.
fn linked() -> (Wires, Vec<NodeId>) {
    let wires = Wires::new(2);
    let keys = trust_all(&wires.machines);
    wait_until_whole(&wires.machines, &keys, WHOLE_WITHIN);
    (wires, keys)
}

fn losses(machines: &[Machine]) -> Vec<u64> {
    machines.iter().map(|machine| machine.node.audited(Deed::Disconnected, None)).collect()
}

fn dialled(machines: &[Machine]) -> u64 {
    machines.iter().map(Machine::dialled).sum()
}

#[test]
fn root_a_cut_shorter_than_the_silence_is_no_loss() {
    if !wires::are_possible() {
        return;
    }
    let (wires, keys) = linked();
    let before =
        (losses(&wires.machines), dialled(&wires.machines), wires.machines[0].node.karo.connections());
    wires.plug(1, false);
    // Something is under way, so that there is something to be lost; its answer comes too late, or not.
    let one = &wires.machines[0].node;
    let name = one.peer(keys[1]).expect("it is a peer").name;
    let mut session = one.karo.session();
    session.send(&Request::PeerPing(name)).expect("the daemon reads");
    let row =
        |place: usize, other: usize| wires.machines[place].node.peer(keys[other]).expect("it is a peer");
    let lost = within(CUT, || {
        let states = [row(0, 1).state, row(1, 0).state];
        (states != [LinkState::Connected; 2]).then_some(states)
    });
    assert_eq!(lost, None, "given up before its time");
    wires.plug(1, true);
    ping_both(&wires.machines, &keys);
    let connections = wires.machines[0].node.karo.connections();
    assert_eq!((losses(&wires.machines), dialled(&wires.machines), connections), before);
}

#[test]
fn root_a_silent_peer_is_given_up_and_comes_back() {
    if !wires::are_possible() {
        return;
    }
    let (wires, keys) = linked();
    let before = dialled(&wires.machines);
    // Frozen, and its wire cut: the other side of a connection that only one side still has.
    wires.machines[1].node.karo.freeze();
    wires.plug(1, false);
    let one = &wires.machines[0].node;
    let gone = || one.peer(keys[1]).filter(|row| row.state != LinkState::Connected);
    let row = within(SILENCE + SLACK, gone).expect("a silent link is given up");
    assert!(row.reason.is_some(), "{row:?}");
    until("its connection is closed", || one.karo.connections().is_empty().then_some(()));
    wires.machines[1].node.karo.thaw();
    wires.plug(1, true);
    wait_until_whole(&wires.machines, &keys, WHOLE_WITHIN + SLACK);
    ping_both(&wires.machines, &keys);
    let dials = dialled(&wires.machines) - before;
    assert!(dials < 60, "{dials} packets that begin a connection");
    wires.machines.iter().for_each(|machine| machine.node.check_audit());
}

#[test]
fn root_a_crash_that_nobody_hears_of_is_found() {
    if !wires::are_possible() {
        return;
    }
    let (mut wires, keys) = linked();
    // The other side never hears that the connection is gone: it meets a new run of the peer beside the old link.
    wires.plug(1, false);
    wires.machines[1].node.karo.kill();
    wires.machines[1].move_to(Some(12));
    wires.machines[1].node.configure_at(&format!("{}:{PORT}", address(12)));
    wires.machines[1].launch();
    wires.plug(1, true);
    let moved = || {
        let row = wires.machines[0].node.peer(keys[1])?;
        let is_there = row.address.is_some_and(|known| known.starts_with(&address(12).to_string()));
        (row.state == LinkState::Connected && is_there).then_some(())
    };
    within(WHOLE_WITHIN, moved).expect("the new link takes the place of the dead one");
    wait_until_whole(&wires.machines, &keys, WHOLE_WITHIN);
    ping_both(&wires.machines, &keys);
}

#[test]
fn root_a_machine_that_moves_keeps_its_link() {
    if !wires::are_possible() {
        return;
    }
    let (mut wires, keys) = linked();
    let known = wires.machines[0].node.peer(keys[1]).expect("it is a peer").address;
    wires.machines[1].move_to(Some(12));
    let moved = || {
        let row = wires.machines[0].node.peer(keys[1])?;
        let is_there = row.address.is_some_and(|known| known.starts_with(&address(12).to_string()));
        (row.state == LinkState::Connected && is_there).then_some(())
    };
    assert!(moved().is_none(), "{known:?}");
    within(WHOLE_WITHIN, moved).expect("the living link takes the place of the dead one");
    wait_until_whole(&wires.machines, &keys, WHOLE_WITHIN);
    ping_both(&wires.machines, &keys);
}

/// The address is a static one, and stays.
#[test]
fn root_a_cable_that_is_put_in_again_is_news() {
    if !wires::are_possible() {
        return;
    }
    let (mut wires, keys) = linked();
    let machine = &mut wires.machines[1];
    assert!(machine.node.karo.stop().success());
    machine.node.configure("[log]\nlevel = \"debug\"\n");
    machine.launch();
    wait_until_whole(&wires.machines, &keys, WHOLE_WITHIN);
    let karo = &wires.machines[1].node.karo;
    let log_says = |text: &str| within(WHOLE_WITHIN, || karo.log().contains(text).then_some(()));
    wires.plug(1, false);
    log_says("carried=0").expect("the cable is pulled");
    assert!(!karo.log().contains("the network changed"), "that is no reason to try a link: {}", karo.log());
    wires.plug(1, true);
    log_says("the network changed").expect("it is put in again");
    wait_until_whole(&wires.machines, &keys, WHOLE_WITHIN);
}

#[test]
fn root_an_address_may_come_later_than_the_daemon() {
    if !wires::are_possible() {
        return;
    }
    let (mut wires, keys) = linked();
    wires.machines[1].node.karo.kill();
    wires.machines[1].move_to(None);
    wires.machines[1].launch();
    assert!(wires.machines[1].node.identity().silent_because.is_some());
    wires.machines[1].move_to(Some(2));
    let listens = || (!wires.machines[1].node.identity().listening.is_empty()).then_some(());
    within(WHOLE_WITHIN, listens).expect("it listens when it can");
    wait_until_whole(&wires.machines, &keys, WHOLE_WITHIN);
}

#[test]
fn root_a_link_stands_a_third_of_loss() {
    if !wires::are_possible() {
        return;
    }
    let wires = Wires::new(2);
    wires.machines.iter().for_each(|machine| machine.lose(30));
    let keys = trust_all(&wires.machines);
    let one = &wires.machines[0].node;
    within(WHOLE_WITHIN, || one.peer(keys[1]).filter(|row| row.state == LinkState::Connected))
        .expect("they meet in spite of it");
    let name = one.peer(keys[1]).expect("it is a peer").name;
    for _ in 0..5 {
        until("a ping is answered in spite of it", || one.ping(&name).ok());
    }
    wires.machines.iter().for_each(|machine| machine.lose(0));
    wait_until_whole(&wires.machines, &keys, WHOLE_WITHIN);
    ping_both(&wires.machines, &keys);
}

#[test]
fn root_a_flapping_wire_makes_no_storm() {
    if !wires::are_possible() {
        return;
    }
    let (wires, keys) = linked();
    let before = dialled(&wires.machines);
    let began = Instant::now();
    for flap in 0..12 {
        wires.plug(1, flap % 2 == 1);
        // Half a second each way is what makes it 1 Hz; nothing is waited for but the link's patience.
        let lost = within(Duration::from_millis(500), || {
            let state = wires.machines[0].node.peer(keys[1]).expect("it is a peer").state;
            (state != LinkState::Connected).then_some(())
        });
        assert_eq!(lost, None, "a link was lost to half a second");
    }
    wires.plug(1, true);
    wait_until_whole(&wires.machines, &keys, WHOLE_WITHIN);
    ping_both(&wires.machines, &keys);
    let dials = dialled(&wires.machines) - before;
    assert!(dials < 10, "{dials} dials in {:?}", began.elapsed());
}

#[test]
fn root_a_revocation_that_nobody_hears_holds() {
    if !wires::are_possible() {
        return;
    }
    let (wires, keys) = linked();
    let one = &wires.machines[0].node;
    let name = one.peer(keys[1]).expect("it is a peer").name;
    let before = one.karo.descriptors();
    // Nothing leaves the machine, so neither does the last word, nor the end of the connection.
    wires.plug(1, false);
    one.change(&name, Change::Revoke);
    until("the connection is gone", || one.karo.connections().is_empty().then_some(()));
    until("its descriptor is back", || (one.karo.descriptors() < before).then_some(()));
    wires.plug(1, true);
    let (other, first) = (&wires.machines[1].node, keys[0]);
    let refused = || other.peer(first).filter(|row| row.state == LinkState::Rejected);
    within(WHOLE_WITHIN + SLACK, refused).expect("the other side finds out when it asks");
    assert!(one.peer(keys[1]).is_none() && one.karo.connections().is_empty());
}

/// What is wrong with a machine at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Cut,
    Frozen,
    Lossy,
}

/// A mesh, and what is wrong in it.
struct Weather {
    wires: Wires,
    faults: Vec<Fault>,
}

impl Weather {
    /// Does one thing to one machine.
    fn change(&mut self, dice: &mut Dice) -> String {
        let place = dice.within(0..self.wires.machines.len() as u64) as usize;
        let deed = match (self.faults[place], dice.within(0..5)) {
            (Fault::None, 0) => {
                self.wires.machines[place].node.karo.kill();
                self.wires.machines[place].launch();
                return format!("kill {place}");
            }
            (Fault::None, 1) => Fault::Cut,
            (Fault::None, 2) => Fault::Frozen,
            (Fault::None, 3) => Fault::Lossy,
            _ => Fault::None,
        };
        self.set(place, deed);
        format!("{deed:?} {place}")
    }

    fn set(&mut self, place: usize, fault: Fault) {
        let machine = &self.wires.machines[place];
        match self.faults[place] {
            Fault::None => {}
            Fault::Cut => self.wires.plug(place, true),
            Fault::Frozen => machine.node.karo.thaw(),
            Fault::Lossy => machine.lose(0),
        }
        match fault {
            Fault::None => {}
            Fault::Cut => self.wires.plug(place, false),
            Fault::Frozen => machine.node.karo.freeze(),
            Fault::Lossy => machine.lose(30),
        }
        self.faults[place] = fault;
    }
}

#[test]
fn root_a_mesh_of_five_is_whole_after_mixed_faults() {
    if !wires::are_possible() {
        return;
    }
    let mut dice = Dice::seeded(4);
    let wires = Wires::new(5);
    let keys = trust_all(&wires.machines);
    wait_until_whole(&wires.machines, &keys, WHOLE_WITHIN);
    let held = |wires: &Wires| -> Vec<(usize, u64)> {
        let machines = wires.machines.iter();
        machines.map(|one| (one.node.karo.descriptors(), one.node.karo.resident_bytes())).collect()
    };
    let before = held(&wires);
    let dialled_before = dialled(&wires.machines);
    let mut weather = Weather { faults: vec![Fault::None; wires.machines.len()], wires };
    let began = Instant::now();
    let bad = Duration::from_secs(number_from("KARO_MESH_SECONDS", 60));
    let mut deeds = Vec::new();
    while began.elapsed() < bad {
        deeds.push(weather.change(&mut dice));
        // Some things happen at once, some a while apart: this is the weather, not a wait.
        thread::sleep(Duration::from_millis(dice.within(0..2000)));
    }
    for place in 0..keys.len() {
        weather.set(place, Fault::None);
    }
    let healed = Instant::now();
    wait_until_whole(&weather.wires.machines, &keys, WHOLE_WITHIN + SLACK);
    let (whole_after, dials) = (healed.elapsed(), dialled(&weather.wires.machines) - dialled_before);
    eprintln!("{} deeds, whole {whole_after:?} after the healing, {dials} dials", deeds.len());
    let minutes = began.elapsed().as_secs() / 60 + 1;
    // Ten pairs, both of whom may dial; whoever crashes or wakes up begins with short waits.
    assert!(dials < minutes * 20 * 20 + 20 * deeds.len() as u64, "{dials} dials: {deeds:?}");
    for (place, (descriptors, bytes)) in before.iter().enumerate() {
        let node = &weather.wires.machines[place].node;
        // A session of this story, and what a crash has left to do.
        until("descriptors are back", || (node.karo.descriptors() <= descriptors + 4).then_some(()));
        let now = node.karo.resident_bytes();
        assert!(now < bytes + (48 << 20), "{place}: {bytes} bytes before, {now} now, after {deeds:?}");
        node.check_audit();
    }
}
