//! Measures a whole daemon from outside and prints one table: `cargo run --release -p karo-tests --bin bench-daemon`.
//!
//! Each figure stands beside its goal, and where there is one beside a floor that is measured in the
//! same run on the same disk. `KARO_BENCH_EVENTS` sets the size of the store (1,000,000).
//! Programs are taken as `./test.sh` names them; for figures that count, build them for release and
//! set `KARO_TEST_DAEMON_DIR=target/release` and `KARO_TEST_CLIENT_DIR=target/client`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use karo_protocol::local::{Import, ImportLine, Observe, Reply, Request, Verdict};
use karo_protocol::query::{Count, CountBy, Detail, Directory, Exit, Filter, Order, Query, Zone};
use karo_protocol::{Bytes, Category, Timestamp};
use karo_tests::history::{Distinct, History};
use karo_tests::{Karo, Session, Typist, number_from};

fn main() {
    let events = number_from("KARO_BENCH_EVENTS", 1_000_000);
    let mut karo = Karo::running();
    row("what", "measured".to_owned(), "floor or goal");
    // Whoever is told of an event knows that the rules are loaded.
    let first = karo.session().observe(Typist::new(3).ran("true".to_owned(), 0)).expect("the daemon answers");
    assert_eq!(first, Verdict::Committed);
    row("resident, empty store, rules loaded", mib(karo.resident_bytes()), "goal 25 MiB");
    lone_events(&karo);
    kept_connections(&karo);
    connection_per_event(&karo);
    import(&karo, events, Distinct::AThird);
    row("resident after the import", mib(karo.resident_bytes()), "");
    disk(&karo);
    start(&mut karo);
    let total = karo.status().store;
    row("resident, everything searchable", mib(karo.resident_bytes()), "goal 90 MiB at 1,000,000");
    println!("{:<58}{:>16}   {} distinct texts", "events", total.events, total.texts);
    queries(&karo);
    counts(&karo);
    whole_process(&karo);
    idle(&karo);
    import(&karo, events / 5, Distinct::All);
    let begun = Instant::now();
    karo.stop();
    row("stop", millis(begun.elapsed()), "goal under 1 s");
}

#[expect(clippy::needless_pass_by_value, reason = "every figure is made for its row")]
fn row(what: &str, measured: String, beside: &str) {
    println!("{what:<58}{measured:>16}   {beside}");
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1024.0 / 1024.0)
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

fn micros(time: Duration) -> String {
    format!("{:.0} µs", time.as_secs_f64() * 1_000_000.0)
}

/// Median and 99th percentile.
fn quantiles(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[(times.len() * 99 / 100).min(times.len() - 1)])
}

/// One event at a time, each waiting for its sync; the floor appends and syncs as many bytes.
fn lone_events(karo: &Karo) {
    let mut session = karo.session();
    let mut typist = Typist::new(1);
    let mut log = File::create(karo.root().join("floor")).expect("there is room");
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for number in 0..300 {
        let observation = typist.ran(format!("make target-{number}"), 0);
        let begun = Instant::now();
        let verdict = session.observe(observation).expect("the daemon answers");
        ours.push(begun.elapsed());
        assert_eq!(verdict, Verdict::Committed);
        let begun = Instant::now();
        log.write_all(&[7; 200]).expect("there is room");
        log.sync_data().expect("the disk is sound");
        floor.push(begun.elapsed());
    }
    let ((ours, ours_99), (floor, floor_99)) = (quantiles(ours), quantiles(floor));
    let beside =
        format!("floor append + fdatasync {} / {}, goal floor + 300 µs", micros(floor), micros(floor_99));
    row(
        "one event, sent to acknowledged, p50 / p99",
        format!("{} / {}", micros(ours), micros(ours_99)),
        &beside,
    );
}

/// Eight sessions, each with a window of requests on the way.
fn kept_connections(karo: &Karo) {
    const SESSIONS: u64 = 8;
    const EACH: u64 = 10_000;
    const WINDOW: usize = 128;
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for number in 0..SESSIONS {
            let mut session = karo.session();
            scope.spawn(move || {
                let mut typist = Typist::new(100 + number);
                let mut on_the_way = 0;
                for turn in 0..EACH {
                    let observation = typist.ran(format!("git commit -m part-{}", turn % 700), 0);
                    session.send(&Request::Observe(Observe::new(observation))).expect("the daemon reads");
                    on_the_way += 1;
                    while on_the_way >= WINDOW {
                        committed(&mut session);
                        on_the_way -= 1;
                    }
                }
                (0..on_the_way).for_each(|_| committed(&mut session));
            });
        }
    });
    let rate = (SESSIONS * EACH) as f64 / begun.elapsed().as_secs_f64();
    row("end to end, 8 kept connections", format!("{rate:.0} events/s"), "goal 20,000 events/s");
}

fn committed(session: &mut Session) {
    match session.receive() {
        Ok((_, Reply::Observed(Verdict::Committed))) => {}
        other => panic!("not committed: {other:?}"),
    }
}

fn connection_per_event(karo: &Karo) {
    const THREADS: u64 = 8;
    const EACH: u64 = 250;
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for number in 0..THREADS {
            let socket = karo.socket();
            scope.spawn(move || {
                let mut typist = Typist::new(200 + number);
                for _ in 0..EACH {
                    let mut session = Session::connect(&socket).expect("the daemon listens");
                    session.observe(typist.ran("ls -la", 0)).expect("the daemon answers");
                }
            });
        }
    });
    let rate = (THREADS * EACH) as f64 / begun.elapsed().as_secs_f64();
    row("end to end, a connection per event, 8 at once", format!("{rate:.0} events/s"), "reported");
}

fn import(karo: &Karo, events: u64, distinct: Distinct) {
    const LINES_EACH: u64 = 1000;
    let mut history = History::new(distinct);
    let mut typist = Typist::new(1000 + distinct as u64);
    let directories = ["/home/story", "/home/story/src/karo", "/etc", "/var/log", "/home/story/notes"];
    let mut requests = Vec::new();
    for first in (0..events).step_by(LINES_EACH as usize) {
        let lines = (first..events.min(first + LINES_EACH)).map(|number| {
            typist.cwd = Bytes::from(directories[(number % 5) as usize]);
            let exit = i32::from(number % 17 == 0);
            let observation = typist.ran(history.line(), exit);
            ImportLine { observation, id: None, is_lost: false, redactions: Vec::new() }
        });
        requests.push(Request::Import(Import { lines: lines.collect() }));
    }
    let mut session = karo.session();
    let worked = processor_seconds(karo);
    let begun = Instant::now();
    let mut on_the_way = 0;
    for request in &requests {
        // The daemon reads the next request while those before are synced.
        session.send(request).expect("the daemon reads");
        on_the_way += 1;
        if on_the_way > 4 {
            imported(&mut session);
            on_the_way -= 1;
        }
    }
    (0..on_the_way).for_each(|_| imported(&mut session));
    let rate = events as f64 / begun.elapsed().as_secs_f64();
    let (shape, goal) = match distinct {
        Distinct::AThird => ("a third distinct", "goal 150,000 lines/s"),
        Distinct::All => ("all distinct", "goal 50,000 lines/s"),
    };
    let each = (processor_seconds(karo) - worked) * 1e6 / events as f64;
    let beside = format!("{goal}; {each:.1} µs of the daemon's processor time a line");
    row(&format!("import of {events} lines, {shape}"), format!("{rate:.0} lines/s"), &beside);
}

fn imported(session: &mut Session) {
    match session.receive() {
        Ok((_, Reply::Imported(_))) => {}
        other => panic!("not imported: {other:?}"),
    }
}

fn disk(karo: &Karo) {
    let events = karo.status().store.events;
    let bytes = bytes_below(&karo.data());
    row("disk per event, all told", format!("{:.1} bytes", bytes as f64 / events as f64), "goal 120 bytes");
}

fn bytes_below(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).expect("the place is ours").flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_below(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

fn start(karo: &mut Karo) {
    karo.stop();
    let begun = Instant::now();
    karo.launch();
    karo.status();
    row("start to first answer", millis(begun.elapsed()), "goal 200 ms");
    karo.wait_until_searchable();
    row("start to everything searchable", millis(begun.elapsed()), "");
    row("processor time of the start", format!("{:.2} s", processor_seconds(karo)), "goal 2 s");
}

/// User and system time of the daemon so far (fields 14 and 15 of `/proc/PID/stat`, hundredths of a second).
fn processor_seconds(karo: &Karo) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", karo.pid().as_raw_nonzero()));
    let stat = stat.expect("the daemon runs");
    let fields = stat.rsplit_once(')').expect("the name is in brackets").1.split_ascii_whitespace();
    let ticks: f64 =
        fields.skip(11).take(2).map(|field| field.parse::<f64>().expect("ticks are numbers")).sum();
    ticks / 100.0
}

fn queries(karo: &Karo) {
    let word = |words: &[&str]| Filter {
        words: words.iter().map(|word| Bytes::from(*word)).collect(),
        ..Filter::default()
    };
    let at = |seconds: i64| Some(Timestamp::from_micros(1_767_225_600_000_000 + seconds * 1_000_000));
    let filters = [
        ("nothing", word(&[])),
        ("ls", word(&["ls"])),
        ("ssh", word(&["ssh"])),
        ("Rare word", word(&["Xyzzy"])),
        ("absent word", word(&["qqqqqqqqzz"])),
        ("two words", word(&["cat", "log"])),
        ("three words", word(&["a", "e", "1"])),
        ("digits", word(&["98765"])),
        ("one letter", word(&["z"])),
        ("long word", word(&["authorized_keys"])),
        ("failed", Filter { exit: Some(Exit::Failed), ..word(&[]) }),
        ("failed nmap", Filter { exit: Some(Exit::Failed), ..word(&["nmap"]) }),
        ("exit 77", Filter { exit: Some(Exit::Code(77)), ..word(&[]) }),
        ("in /etc", Filter { directory: Some(Directory::Exactly(Bytes::from("/etc"))), ..word(&[]) }),
        (
            "under /home/story",
            Filter { directory: Some(Directory::Under(Bytes::from("/home/story"))), ..word(&["vim"]) },
        ),
        ("nowhere", Filter { directory: Some(Directory::Exactly(Bytes::from("/nowhere"))), ..word(&[]) }),
        ("category", Filter { category: Some(Category::Network), ..word(&[]) }),
        ("rare category", Filter { category: Some(Category::Media), ..word(&["a"]) }),
        ("a day", Filter { since: at(86_400), until: at(2 * 86_400), ..word(&["cat"]) }),
        ("other host", Filter { host: Some("elsewhere".to_owned()), ..word(&[]) }),
    ];
    let mut session = karo.session();
    let mut all = Vec::new();
    for (name, filter) in filters {
        let query = Query {
            filter,
            is_unique: false,
            limit: Some(100),
            order: Order::NewestFirst,
            detail: Detail::Row,
        };
        let times: Vec<_> = (0..50).map(|_| timed(|| drop(session.query(query.clone())))).collect();
        let (p50, p99) = quantiles(times.clone());
        row(&format!("query: {name}, p50 / p99"), format!("{} / {}", micros(p50), micros(p99)), "");
        all.extend(times);
    }
    let (p50, p99) = quantiles(all);
    row(
        "20 queries together, p50 / p99",
        format!("{} / {}", micros(p50), micros(p99)),
        "goal p99 5 ms in the daemon",
    );
}

fn timed(deed: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    deed();
    begun.elapsed()
}

fn counts(karo: &Karo) {
    let mut session = karo.session();
    for by in CountBy::ALL {
        let count = Count { filter: Filter::default(), by: Some(*by), zone: Zone::default() };
        let request = Request::Count(count);
        let mut keys = String::new();
        let times = (0..20).map(|_| {
            timed(|| match session.ask(&request) {
                Ok(Reply::Tallies(found)) => {
                    keys = format!("{} keys, {} left out", found.tallies.len(), found.left_out.keys);
                }
                other => panic!("not counted: {other:?}"),
            })
        });
        let (p50, p99) = quantiles(times.collect());
        let beside = format!("goal 10 ms; {keys}");
        row(&format!("count by {by}, p50 / p99"), format!("{} / {}", millis(p50), millis(p99)), &beside);
    }
}

fn whole_process(karo: &Karo) {
    let karoctl = &karo_tests::binaries::binaries().karoctl;
    let run = |program: &Path, arguments: &[&str]| {
        let times = (0..40).map(|_| {
            let mut command = karo.command(program);
            command.args(arguments).stdout(Stdio::null());
            timed(|| assert!(command.status().expect("the program runs").code().is_some()))
        });
        quantiles(times.collect())
    };
    let (floor, _) = run(Path::new("/bin/true"), &[]);
    for arguments in
        [&["query", "ssh"][..], &["query", "--json", "ssh"], &["query", "--count-by", "category"]]
    {
        let (p50, p99) = run(karoctl, arguments);
        let beside = format!("floor /bin/true {}, goal 10 ms", millis(floor));
        let what = format!("karoctl {}, whole process, p50 / p99", arguments.join(" "));
        row(&what, format!("{} / {}", millis(p50), millis(p99)), &beside);
    }
}

/// Counts how often the daemon's threads gave up the processor by themselves while nobody asked anything.
fn idle(karo: &Karo) {
    const SECONDS: u64 = 10;
    let before = wake_ups(karo);
    std::thread::sleep(Duration::from_secs(SECONDS));
    let woken = wake_ups(karo) - before;
    row("wake-ups, idle", format!("{:.1} /s", woken as f64 / SECONDS as f64), "goal: its timers only");
}

fn wake_ups(karo: &Karo) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", karo.pid().as_raw_nonzero()));
    let status =
        |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
    let switches = |status: String| {
        let line =
            status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).map(str::trim);
        line.and_then(|count| count.parse::<u64>().ok()).unwrap_or(0)
    };
    tasks.expect("the daemon runs").flatten().map(status).map(switches).sum()
}
