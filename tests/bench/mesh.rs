//! Measures daemons that are linked, from outside, and prints one table: `cargo run --release -p karo-tests --bin
//! bench-mesh`.
//!
//! Each figure stands beside a floor of the same run on the same machine, with its ratio; what a bare connection of
//! TLS costs is measured below whole daemons, by `cargo bench -p karo-fabric --bench link`. `KARO_BENCH_PEERS` sets
//! how many daemons are linked to one (50: some 30 MiB each). Programs are taken as `./test.sh` names them; for
//! figures that count, build them for release and set `KARO_TEST_DAEMON_DIR=target/release` and
//! `KARO_TEST_CLIENT_DIR=target/client`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use karo_protocol::local::{Observe, Reply, Request, Verdict};
use karo_protocol::mesh::{Change, LinkState, PeerChange, PeersAsk};
use karo_protocol::{NodeId, Trust};
use karo_tests::mesh::link;
use karo_tests::{Node, Session, Typist, number_from, until};

/// Times a peer is added.
const ADDED: usize = 40;

/// Pings, and round trips of each floor.
const ROUND_TRIPS: usize = 2000;

/// How long events are taken in, for each figure.
const INTAKE: Duration = Duration::from_secs(3);

fn main() {
    let peers = number_from("KARO_BENCH_PEERS", 50) as usize;
    row("what", "measured".to_owned(), "floor, ratio or goal");
    let (one, other) = (Node::running(), Node::running());
    [&one, &other].iter().for_each(|node| node.karo.wait_for_rules());
    link(&one, &other, Trust::Member);
    pings(&one, &other);
    audit(&one, &other);
    added(&one, &other);
    drop((one, other));
    crowd(peers);
}

#[expect(clippy::needless_pass_by_value, reason = "every figure is made for its row")]
fn row(what: &str, measured: String, beside: &str) {
    println!("{what:<54}{measured:>22}   {beside}");
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

fn micros(time: Duration) -> String {
    format!("{:.0} µs", time.as_secs_f64() * 1_000_000.0)
}

fn ratio(ours: Duration, floor: Duration) -> f64 {
    ours.as_secs_f64() / floor.as_secs_f64()
}

fn timed(deed: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    deed();
    begun.elapsed()
}

/// Median and 99th percentile.
fn quantiles(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[(times.len() * 99 / 100).min(times.len() - 1)])
}

/// From the request to trust a node to its link, which the daemon has to sync and dial for.
fn added(one: &Node, other: &Node) {
    let (node, name) = (other.node_id(), one.peers()[0].name.clone());
    let mut ours = Vec::new();
    for _ in 0..ADDED {
        one.change(&name, Change::Remove);
        until("the other side has seen it", || {
            other.peers().iter().all(|row| row.state != LinkState::Connected).then_some(())
        });
        ours.push(timed(|| {
            one.trust(node, &[&other.address], Trust::Member);
            wait_for_links(one, 1);
        }));
        one.change(&one.peers()[0].name, Change::Rename(name.clone()));
    }
    let (ours, ours_99) = quantiles(ours);
    let (sync, dial) = (sync_floor(one), dial_floor());
    let beside = format!(
        "floor: one sync {} and one TCP connection {}: {:.1} x",
        micros(sync),
        micros(dial),
        ratio(ours, sync + dial)
    );
    row("peer added to connected, p50 / p99", format!("{} / {}", millis(ours), millis(ours_99)), &beside);
}

/// Appends and syncs as much as a change of the roster with its entry takes.
fn sync_floor(node: &Node) -> Duration {
    let mut log = File::create(node.karo.root().join("floor")).expect("there is room");
    let sync = |_| {
        timed(|| {
            log.write_all(&[7; 600]).expect("there is room");
            log.sync_data().expect("the disk is sound");
        })
    };
    quantiles((0..100).map(sync).collect()).0
}

fn dial_floor() -> Duration {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    let address = listener.local_addr().expect("it is bound");
    let dial = |_| timed(|| drop((TcpStream::connect(address), listener.accept())));
    quantiles((0..200).map(dial).collect()).0
}

/// A ping as `karoctl peers ping` asks for it: client, daemon, peer and back.
fn pings(one: &Node, other: &Node) {
    let name = one.peer(other.node_id()).expect("it is a peer").name;
    let mut session = one.karo.session();
    let mut wire = Vec::new();
    let whole = (0..ROUND_TRIPS).map(|_| {
        timed(|| match session.ask(&Request::PeerPing(name.clone())) {
            Ok(Reply::Pinged(pinged)) => wire.push(Duration::from_micros(pinged.rtt_us)),
            other => panic!("no answer to a ping: {other:?}"),
        })
    });
    let (whole, whole_99) = quantiles(whole.collect());
    let (wire, wire_99) = quantiles(wire);
    let tcp = echo_floor();
    let local = (0..ROUND_TRIPS).map(|_| timed(|| drop(session.ask(&Request::Candidates(())))));
    let (local, _) = quantiles(local.collect());
    let beside = format!(
        "floor: one byte over bare TCP {}: {:.1} x (4 signatures in it)",
        micros(tcp),
        ratio(wire, tcp)
    );
    row("ping over the link, p50 / p99", format!("{} / {}", micros(wire), micros(wire_99)), &beside);
    let beside = format!(
        "floor: that, and a request answered at once {}: {:.1} x",
        micros(local),
        ratio(whole, wire + local)
    );
    row(
        "ping through the local socket, p50 / p99",
        format!("{} / {}", micros(whole), micros(whole_99)),
        &beside,
    );
}

/// One byte there and back between two threads.
fn echo_floor() -> Duration {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    let address = listener.local_addr().expect("it is bound");
    let echo = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody dials");
        stream.set_nodelay(true).expect("it is TCP");
        let mut byte = [0];
        while stream.read_exact(&mut byte).is_ok() {
            stream.write_all(&byte).expect("the other side reads");
        }
    });
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_nodelay(true).expect("it is TCP");
    let round = |_| {
        timed(|| {
            stream.write_all(&[1]).expect("the other side reads");
            stream.read_exact(&mut [0]).expect("the other side answers");
        })
    };
    let (p50, _) = quantiles((0..ROUND_TRIPS).map(round).collect());
    drop(stream);
    echo.join().expect("the echo ends with its connection");
    p50
}

/// Events a second, alone and beside a stream of deeds that are audited: each of those is an entry and a sync.
fn audit(one: &Node, other: &Node) {
    let name = one.peer(other.node_id()).expect("it is a peer").name;
    let alone = intake(one, 1);
    let (is_over, deeds) = (AtomicBool::new(false), AtomicU64::new(0));
    let beside = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut session = one.karo.session();
            for trust in [Trust::ShareTo, Trust::Member].into_iter().cycle() {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let change = PeerChange { peer: name.clone(), change: Change::Trust(trust) };
                let Ok(Reply::Peer(_)) = session.ask(&Request::PeerChange(change)) else {
                    panic!("the peer was not changed");
                };
                deeds.fetch_add(1, Ordering::Relaxed);
            }
        });
        let beside = intake(one, 2);
        is_over.store(true, Ordering::Relaxed);
        beside
    });
    let deeds = deeds.load(Ordering::Relaxed) as f64 / INTAKE.as_secs_f64();
    row("events taken in, 4 kept connections", format!("{alone:.0} events/s"), "");
    let told = format!("with {deeds:.0} audited deeds/s: {:.2} x of that", beside / alone);
    row("the same beside a stream of audited deeds", format!("{beside:.0} events/s"), &told);
    let seconds = timed(|| {
        let verified = one.audit_verified();
        assert!(verified.logs.iter().all(|log| log.bad_count == 0), "{verified:?}");
    });
    let size: u64 = one.audit_verified().logs.iter().map(|log| log.size).sum();
    row("audit verify", millis(seconds), &format!("{size} entries"));
}

/// Returns how many events are acknowledged in a second by four sessions, each with a window on the way.
fn intake(node: &Node, round: u64) -> f64 {
    const SESSIONS: u64 = 4;
    const WINDOW: usize = 128;
    let (begun, taken) = (Instant::now(), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for number in 0..SESSIONS {
            let (mut session, taken) = (node.karo.session(), &taken);
            scope.spawn(move || {
                let mut typist = Typist::new(round * 100 + number);
                let mut on_the_way = 0;
                while begun.elapsed() < INTAKE || on_the_way > 0 {
                    if on_the_way < WINDOW && begun.elapsed() < INTAKE {
                        let observation = typist.ran(format!("git commit -m part-{on_the_way}"), 0);
                        session.send(&Request::Observe(Observe::new(observation))).expect("the daemon reads");
                        on_the_way += 1;
                    } else {
                        committed(&mut session);
                        taken.fetch_add(1, Ordering::Relaxed);
                        on_the_way -= 1;
                    }
                }
            });
        }
    });
    taken.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64()
}

fn committed(session: &mut Session) {
    match session.receive() {
        Ok((_, Reply::Observed(Verdict::Committed))) => {}
        other => panic!("not committed: {other:?}"),
    }
}

/// Many peers of one daemon: what an idle link takes there, and how soon all are back when it was restarted.
fn crowd(count: usize) {
    let mut hub = Node::running();
    hub.karo.wait_for_rules();
    let floor = restart(&mut hub, 0);
    hub.karo.wait_for_rules();
    let peers: Vec<Node> = (0..count).map(|_| Node::running()).collect();
    let keys: Vec<NodeId> = peers.iter().map(Node::node_id).collect();
    let own = hub.node_id();
    let before = hub.karo.resident_bytes();
    let begun = Instant::now();
    for (peer, key) in peers.iter().zip(&keys) {
        peer.trust(own, &[&hub.address], Trust::Member);
        hub.trust(*key, &[&peer.address], Trust::Member);
    }
    wait_for_links(&hub, count);
    row(&format!("{count} peers added one after the other"), millis(begun.elapsed()), "");
    let bytes = hub.karo.resident_bytes().saturating_sub(before) / count.max(1) as u64;
    let told = "goal 150 KiB; the daemon's resident memory before and after";
    row(&format!("memory of the daemon per idle link, {count} links"), format!("{} KiB", bytes / 1024), told);
    let restarted = restart(&mut hub, count);
    let beside = format!(
        "floor: the same without peers, to the first answer {}: {:.1} x",
        millis(floor),
        ratio(restarted, floor)
    );
    row(&format!("{count} peers connected again after a restart"), millis(restarted), &beside);
    let killed = timed(|| {
        hub.karo.kill();
        hub.karo.launch();
        wait_for_links(&hub, count);
    });
    row(&format!("{count} peers connected again after kill -9"), millis(killed), "from the kill");
}

/// Restarts a daemon and returns how long it takes from the start until so many links are up.
fn restart(hub: &mut Node, links: usize) -> Duration {
    hub.karo.stop();
    timed(|| {
        hub.karo.launch();
        hub.karo.status();
        wait_for_links(hub, links);
    })
}

/// Waits until that many links are up; the daemon tells of each change of its table.
fn wait_for_links(node: &Node, count: usize) {
    let mut session = node.karo.session();
    let mut unless = None;
    loop {
        let table = match session.ask(&Request::Peers(PeersAsk { unless })) {
            Ok(Reply::Peers(table)) => table,
            other => panic!("no peers but {other:?}"),
        };
        if table.rows.iter().filter(|row| row.state == LinkState::Connected).count() >= count {
            return;
        }
        unless = Some(table.change);
    }
}
