//! Measures karod under its unit and prints one table: `cargo run --release -p karo-tests --bin bench-service`, as root.
//!
//! A real systemd runs it, in a machine of its own whose disk is memory: what a sync costs is in `bench-daemon`.
//! `KARO_BENCH_EVENTS` sets the size of the history (1,000,000), `KARO_BENCH_IDLE_SECONDS` how long nothing happens
//! (60). Programs are taken as `./test.sh` names them; for figures that count, build them for release and set
//! `KARO_TEST_DAEMON_DIR=target/release` and `KARO_TEST_CLIENT_DIR=target/client`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use karo_protocol::Bytes;
use karo_protocol::local::{Import, ImportLine, Reply, Request, Verdict};
use karo_tests::history::{Distinct, History};
use karo_tests::machine::Machine;
use karo_tests::{Session, Typist, number_from, until};

/// Whose unit it is.
const USER: &str = "ann";

/// How often a start is measured.
const ROUNDS: usize = 20;

/// Where this program lies in the machine.
const INSIDE: &str = "/usr/bin/bench-service";

/// What a manager needs to start the smallest service by a connection: a copy of `cat` for each.
const FLOOR_SOCKET: &str = "[Socket]\nListenStream=%t/floor\nAccept=yes\n";
const FLOOR_SERVICE: &str = "[Service]\nExecStart=/bin/cat\nStandardInput=socket\nStandardOutput=socket\n";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => outside(),
        ["echo", socket] => println!("{}", echo(Path::new(socket)).as_micros()),
        ["first", socket, number] => println!("{}", first(Path::new(socket), count(number)).as_micros()),
        ["import", socket, events] => import(Path::new(socket), count(events)),
        ["type", socket, number] => type_on(Path::new(socket), count(number)),
        _ => panic!("called with nothing; the rest is for the machine"),
    }
}

fn count(text: &str) -> u64 {
    text.parse().expect("it is a count")
}

fn outside() {
    let events = number_from("KARO_BENCH_EVENTS", 1_000_000);
    let Some(machine) = Machine::boot() else { return };
    machine.add_user(USER);
    machine.copy(&std::env::current_exe().expect("it runs"), Path::new(INSIDE), 0o755);
    machine.write("/etc/systemd/user/floor.socket", FLOOR_SOCKET);
    machine.write("/etc/systemd/user/floor@.service", FLOOR_SERVICE);
    let start = "systemctl --user daemon-reload && systemctl --user start floor.socket karod.socket";
    machine.as_user(USER, start).ok();
    row("what", "median / most", "floor or goal");
    let floor = rounds(&machine, "floor", |_| inside(&machine, "echo $XDG_RUNTIME_DIR/floor"));
    activation(&machine, "an empty history", &floor);
    row("resident, rules loaded", &resident(&machine), "goal 25 MiB");
    restarts(&machine, "nobody types");
    let begun = Instant::now();
    inside(&machine, &format!("import {SOCKET} {events}"));
    row(&format!("import of {events} lines"), &millis(begun.elapsed()), "");
    row("resident after the import", &resident(&machine), "");
    activation(&machine, &format!("{events} events"), &floor);
    until("all of it is searchable", || is_searchable(&machine).then_some(()));
    row("resident, everything searchable", &resident(&machine), "goal 90 MiB at 1,000,000");
    restarts(&machine, "nobody types");
    loaded_restarts(&machine);
    until("all of it is searchable", || is_searchable(&machine).then_some(()));
    idle(&machine);
}

/// Where the unit's socket is, for its user.
const SOCKET: &str = "$XDG_RUNTIME_DIR/karo/karod.sock";

fn row(what: &str, measured: &str, beside: &str) {
    println!("{what:<58}{measured:>22}   {beside}");
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    format!("{} / {}", millis(times[times.len() / 2]), millis(times[times.len() - 1]))
}

fn rounds(machine: &Machine, what: &str, mut measure: impl FnMut(usize) -> String) -> String {
    let times = (0..ROUNDS).map(|round| Duration::from_micros(count(&measure(round)))).collect();
    let spread = spread(times);
    drop(machine.as_user(USER, &format!("systemctl --user reset-failed {what} 2>/dev/null")));
    spread
}

/// Runs this program as the user, in the machine.
fn inside(machine: &Machine, arguments: &str) -> String {
    machine.as_user(USER, &format!("{INSIDE} {arguments}")).ok()
}

/// From the first connection to the acknowledgement of what came over it, with nobody there before.
fn activation(machine: &Machine, of: &str, floor: &str) {
    let measured = rounds(machine, "karod.service", |round| {
        // Stopping it and giving up after five starts a minute are the manager's; neither is measured.
        machine.as_user(USER, "systemctl --user stop karod.service 2>&1; systemctl --user reset-failed karod.service karod.socket; systemctl --user start karod.socket").ok();
        inside(machine, &format!("first {SOCKET} {round}"))
    });
    row(
        &format!("first connection to acknowledged, {of}"),
        &measured,
        &format!("floor: cat by its socket, {floor}"),
    );
}

fn restarts(machine: &Machine, while_what: &str) {
    let times = (0..ROUNDS).map(|_| restart(machine)).collect();
    row(&format!("systemctl --user restart, {while_what}"), &spread(times), "");
}

fn restart(machine: &Machine) -> Duration {
    machine.as_user(USER, "systemctl --user reset-failed karod.service karod.socket").ok();
    let begun = Instant::now();
    machine.as_user(USER, "systemctl --user restart karod.service").ok();
    begun.elapsed()
}

fn loaded_restarts(machine: &Machine) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for number in 100..104 {
            let is_over = &is_over;
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    // Each ends with its daemon, and the next types on.
                    drop(machine.as_user(USER, &format!("{INSIDE} type {SOCKET} {number} 2>/dev/null")));
                }
            });
        }
        restarts(machine, "while 4 shells type");
        is_over.store(true, Ordering::Relaxed);
        // Who types ends with the daemon.
        restart(machine);
    });
}

/// Lets nothing happen, and tells what the daemon did nevertheless.
fn idle(machine: &Machine) {
    let seconds = number_from("KARO_BENCH_IDLE_SECONDS", 60);
    // The upkeep after a start and a change is over by then (docs/karod.md).
    std::thread::sleep(Duration::from_secs(70));
    let before = Usage::of(machine);
    std::thread::sleep(Duration::from_secs(seconds));
    let after = Usage::of(machine);
    let a_minute = 60.0 / seconds as f64;
    let woken = (after.switches - before.switches) as f64 * a_minute;
    let worked = (after.nanoseconds - before.nanoseconds) as f64 * a_minute / 1e6;
    row(&format!("{seconds} s idle: wake-ups a minute"), &format!("{woken:.0}"), "goal: its timers only");
    row(&format!("{seconds} s idle: processor time a minute"), &format!("{worked:.2} ms"), "");
    row(&format!("{seconds} s idle: resident"), &resident(machine), "");
}

/// What all threads of the daemon have used so far.
struct Usage {
    switches: u64,
    nanoseconds: u64,
}

impl Usage {
    fn of(machine: &Machine) -> Self {
        let pid = machine.property(Some(USER), "karod.service", "MainPID");
        let sum = |script: String| count(machine.root(&script).ok().trim());
        let switches = sum(format!(
            "cat /proc/{pid}/task/*/status | awk '/^voluntary/ {{ sum += $2 }} END {{ print sum }}'"
        ));
        let nanoseconds =
            sum(format!("cat /proc/{pid}/task/*/schedstat | awk '{{ sum += $1 }} END {{ print sum }}'"));
        Self { switches, nanoseconds }
    }
}

fn resident(machine: &Machine) -> String {
    let pid = machine.property(Some(USER), "karod.service", "MainPID");
    let kib = machine.root(&format!("awk '/^VmRSS/ {{ print $2 }}' /proc/{pid}/status")).ok();
    format!("{:.1} MiB", count(&kib) as f64 / 1024.0)
}

fn is_searchable(machine: &Machine) -> bool {
    machine.session(USER, SOCKET).covers_everything()
}

fn echo(socket: &Path) -> Duration {
    let begun = Instant::now();
    let mut stream = UnixStream::connect(socket).expect("somebody listens");
    stream.write_all(b"x").expect("it is taken");
    stream.read_exact(&mut [0]).expect("it comes back");
    begun.elapsed()
}

fn first(socket: &Path, number: u64) -> Duration {
    let observation = Typist::new(number).ran("make all", 0);
    let begun = Instant::now();
    let mut session = Session::connect(socket).expect("the manager listens");
    let verdict = session.observe(observation).expect("the daemon answers");
    let took = begun.elapsed();
    assert!(matches!(verdict, Verdict::Committed | Verdict::Duplicate), "{verdict:?}");
    took
}

/// Types until the daemon goes.
fn type_on(socket: &Path, number: u64) {
    let Ok(mut session) = Session::connect(socket) else { return };
    let mut typist = Typist::new(number);
    while session.observe(typist.ran(format!("echo {number}"), 0)).is_ok() {}
}

/// Imports so many lines.
fn import(socket: &Path, events: u64) {
    const EACH: u64 = 1000;
    let mut history = History::new(Distinct::AThird);
    let mut session = Session::connect(socket).expect("the manager listens");
    let mut typist = Typist::new(1000);
    typist.cwd = Bytes::from("/home/ann/src");
    for start in (0..events).step_by(EACH as usize) {
        let lines = (start..events.min(start + EACH)).map(|number| {
            let observation = typist.ran(history.line(), i32::from(number % 17 == 0));
            ImportLine { observation, id: None, is_lost: false, redactions: Vec::new() }
        });
        let request = Request::Import(Import { lines: lines.collect() });
        match session.ask(&request) {
            Ok(Reply::Imported(_)) => {}
            other => panic!("not imported: {other:?}"),
        }
    }
}
