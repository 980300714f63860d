//! What the log costs: a commit beside a bare append, bytes of disk for each event, loading it all, and
//! understanding it all again.
//!
//! `cargo bench -p karo-store --bench commit [-- EVENTS]`; a million events without an argument. The
//! events are made from a seed in the shape of the KYPO histories: a median of 13 bytes, a 99th
//! percentile of 83, a third of them distinct, fifty to a shell, half of them with start and end. The
//! floor of a commit is one write and one `fdatasync` of as many bytes, batch by batch in turn with it.

#![expect(clippy::print_stdout, reason = "a benchmark is read by people")]
#![expect(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use karo_core::search::{Change, Columns};
use karo_protocol::event::Understanding;
use karo_protocol::observation::{Ending, ShellProcess};
use karo_protocol::{
    Axis, BootId, Bytes, Category, Event, EventId, Micros, Outcome, Precision, RedactedCommand, Risk, Shell,
    ShellId, ShellKind, Timestamp,
};
use karo_store::{Entry, Options, RealDisk, Reclassification, RetentionRule, Revision, Store};

/// Batches of each size that are timed.
const ROUNDS: usize = 300;
/// Events in a step of understanding again: what a daemon does between two batches.
const STEP_EVENTS: usize = 4096;
/// Entries in a batch of the import.
const IMPORT_BATCH: usize = 2048;

fn main() {
    let wanted = std::env::args().skip(1).find_map(|argument| argument.replace('_', "").parse().ok());
    let events = wanted.unwrap_or(1_000_000);
    let directory = std::env::temp_dir().join(format!("karo-bench-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory for the benchmark");
    for size in [1, 8, 64, 512] {
        commits(&directory, size);
    }
    import(&directory.join("import"), events);
    fs::remove_dir_all(&directory).expect("the directory is ours");
}

/// Times commits of a size against bare appends of the same bytes.
fn commits(directory: &Path, size: usize) {
    let place = directory.join(format!("commits-{size}"));
    let mut store = open(&place);
    let bare = place.join("bare");
    let mut bare = OpenOptions::new().create(true).append(true).open(bare).expect("a file to append to");
    let mut made = Made::new(7);
    let (mut ours, mut floor, mut bytes) = (Duration::ZERO, Duration::ZERO, 0);
    let (mut slowest, mut samples) = (Duration::ZERO, Vec::new());
    for _ in 0..ROUNDS {
        let batch: Vec<Entry> = (0..size).map(|_| made.entry()).collect();
        let now = made.now;
        let before = store.status().log_bytes;
        let start = Instant::now();
        store.append(batch, now).expect("the disk has room");
        let took = start.elapsed();
        ours += took;
        samples.push(took);
        slowest = slowest.max(took);
        drop(store.take_changes());
        let written = store.status().log_bytes - before;
        bytes += written;
        floor += bare_append(&mut bare, written as usize);
        store.upkeep(RetentionRule::default(), now).expect("the disk has room");
    }
    samples.sort_unstable();
    println!(
        "commit of {size:>3}: {:>8.1} us mean, {:>8.1} median, {:>5} bytes; bare append {:>8.1} us; ratio {:.2} of the goal 0.80",
        micros(ours) / ROUNDS as f64,
        micros(samples[ROUNDS / 2]),
        bytes / ROUNDS as u64,
        micros(floor) / ROUNDS as f64,
        floor.as_secs_f64() / ours.as_secs_f64(),
    );
}

fn bare_append(file: &mut File, bytes: usize) -> Duration {
    let buffer = vec![0x5a; bytes];
    let start = Instant::now();
    file.write_all(&buffer).expect("the disk has room");
    file.sync_data().expect("the disk has room");
    start.elapsed()
}

/// Takes in many events, seals them, and reads them all for the search.
fn import(place: &Path, events: usize) {
    let mut store = open(place);
    let mut made = Made::new(11);
    let (mut taken, mut taken_cpu, mut sealing, mut lengths) =
        (Duration::ZERO, Duration::ZERO, Duration::ZERO, Vec::new());
    let (mut entries, mut left) = (0, events);
    while left > 0 {
        let mut batch = Vec::new();
        while batch.len() < IMPORT_BATCH && left > 0 {
            batch.push(made.entry());
            left -= usize::from(made.pending.is_none());
        }
        lengths.extend(batch.iter().filter_map(length));
        entries += batch.len();
        let (start, before) = (Instant::now(), cpu());
        store.append(batch, made.now).expect("the disk has room");
        drop(store.take_changes());
        taken += start.elapsed();
        taken_cpu += cpu() - before;
        let before = cpu();
        store.upkeep(RetentionRule::default(), made.now).expect("the disk has room");
        sealing += cpu() - before;
    }
    lengths.sort_unstable();
    let at = |part: usize| lengths[(lengths.len() - 1) * part / 100];
    println!("{events} events in {entries} records: median {} bytes, p99 {}", at(50), at(99));
    let rate = |time: Duration| events as f64 / time.as_secs_f64();
    println!(
        "taken in: {:.0} events/s, {:.0} by CPU; sealed: {:.0} events/s by CPU",
        rate(taken),
        rate(taken_cpu),
        rate(sealing)
    );
    let status = store.status();
    let per_event = status.log_bytes as f64 / events as f64;
    println!(
        "{} segments, {} bytes: {per_event:.1} bytes/event with the raw tail",
        status.segments, status.log_bytes
    );
    drop(store);
    load(place, events);
    understand(place);
}

/// Understands everything again: twice with another result, then with the same, then each text cut.
fn understand(place: &Path) {
    let mut store = open(place);
    let mut columns = Columns::new();
    store.reader().load().flat_map(|(changes, _)| changes).for_each(|change| columns.apply(change));
    let mut lived = columns.rollup();
    for (name, version, is_cut) in [
        ("all understood anew", 2, false),
        ("and once more", 3, false),
        ("none changed", 3, false),
        ("every text cut", 4, true),
    ] {
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        let mut pass = Reclassification::new(is_cut);
        let (start, before) = (Instant::now(), cpu());
        let (mut slowest, mut columns_cpu) = (Duration::ZERO, Duration::ZERO);
        let mut revise = |event: &Event| revision(event, version, is_cut);
        let progress = loop {
            let step = Instant::now();
            let progress = store.reclassify(&mut pass, STEP_EVENTS, &mut revise, now);
            let progress = progress.expect("the disk has room");
            slowest = slowest.max(step.elapsed());
            let before = cpu();
            for change in store.take_changes() {
                let deltas = columns.apply_counted(change).expect("all is loaded");
                deltas.iter().for_each(|delta| lived.apply(delta));
            }
            columns_cpu += cpu() - before;
            if progress.is_done {
                break progress;
            }
        };
        println!(
            "{name}: {} of {} events, {} segments, {} bytes, {:.0} ms ({:.0} ms of CPU, {:.0} of them the columns and roll-ups), slowest step {:.0} ms",
            progress.changed,
            progress.events,
            progress.segments,
            store.status().log_bytes,
            start.elapsed().as_secs_f64() * 1000.0,
            (cpu() - before).as_secs_f64() * 1000.0,
            columns_cpu.as_secs_f64() * 1000.0,
            slowest.as_secs_f64() * 1000.0,
        );
        assert!(lived == columns.rollup(), "the roll-up that lived is not the one made anew");
    }
}

/// What rules of another version would make of an event: nothing is understood here.
fn revision(event: &Event, version: u32, is_cut: bool) -> Option<Revision> {
    let risk = Risk::ALL[(event.sequence % 5) as usize];
    let understanding = Understanding {
        version,
        risk: Some(risk),
        axis: Some(Axis::Threat),
        rules: vec![format!("rule-{}", event.sequence % 7)],
        ..event.understanding.clone()
    };
    let redacted = is_cut.then(|| {
        let text = [event.command.as_bytes(), b"[redacted:token]"].concat();
        (RedactedCommand::restored(Bytes(text), false), Vec::new())
    });
    Some(Revision { understanding, redacted })
}

fn load(place: &Path, events: usize) {
    let start = Instant::now();
    let mut store = open(place);
    println!("opened after a crash: {:.1} ms", start.elapsed().as_secs_f64() * 1000.0);
    store.close().expect("the disk has room");
    drop(store);
    let start = Instant::now();
    let store = open(place);
    println!("opened after a close: {:.1} ms", start.elapsed().as_secs_f64() * 1000.0);
    let reader = store.reader();
    let before = cpu();
    let changes: usize =
        reader.everything().map(|(changes, _)| changes.iter().map(weight).sum::<usize>()).sum();
    let reading = cpu() - before;
    let mut columns = Columns::new();
    let before = cpu();
    reader.load().flat_map(|(changes, _)| changes).for_each(|change| columns.apply(change));
    let all = cpu() - before;
    let rate = |time: Duration| events as f64 / time.as_secs_f64();
    println!(
        "read for the search: {changes} changes, {:.0} ms of CPU, {:.0} events/s; with the columns {:.0} ms, {:.0} events/s",
        reading.as_secs_f64() * 1000.0,
        rate(reading),
        all.as_secs_f64() * 1000.0,
        rate(all),
    );
    let start = Instant::now();
    let verified = reader.verify();
    println!(
        "verified {} records in {:.0} ms, {} damaged places",
        verified.records,
        start.elapsed().as_secs_f64() * 1000.0,
        verified.damage_count
    );
}

fn weight(change: &Change) -> usize {
    match change {
        Change::Added(batch) | Change::Revised(batch) => batch.len(),
        Change::Outcome { .. } => 1,
        Change::Removed(positions) => positions.len(),
        Change::Moved(moves) => moves.len(),
    }
}

fn open(place: &Path) -> Store {
    fs::create_dir_all(place).expect("a directory for the benchmark");
    let options = Options { reserve_bytes: 0, ..Options::default() };
    Store::open(place, options, Arc::new(RealDisk), Timestamp::from_micros(0)).expect("it opens").0
}

fn length(entry: &Entry) -> Option<usize> {
    match entry {
        Entry::Observed(event) => Some(event.command.as_bytes().len()),
        Entry::Lost { .. } | Entry::Put { .. } | Entry::Remove { .. } | Entry::Line { .. } => None,
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Returns the CPU time of this process so far.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Makes events, one after another, the same for the same seed.
struct Made {
    chance: u64,
    now: Timestamp,
    shell: Shell,
    sequence: u64,
    texts: Vec<String>,
    /// The end of the event whose start was made last.
    pending: Option<Event>,
}

const WORDS: [&str; 24] = [
    "ls",
    "cd",
    "nmap",
    "ssh",
    "cat",
    "sudo",
    "grep",
    "vim",
    "make",
    "git",
    "--verbose",
    "-la",
    "-p",
    "/etc/passwd",
    "172.18.1.5",
    "status",
    "commit",
    "src/main.rs",
    "target",
    "|",
    "head",
    "/home/kali",
    "python3",
    "exploit.py",
];

impl Made {
    fn new(seed: u64) -> Self {
        let now = Timestamp::from_micros(1_790_000_000_000_000);
        let mut made = Self {
            chance: seed,
            now,
            shell: shell(0, [0; 16]),
            sequence: 0,
            texts: Vec::new(),
            pending: None,
        };
        made.next_shell();
        made
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.chance ^ self.chance >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % limit
    }

    fn next_shell(&mut self) {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.below(u64::MAX).to_be_bytes());
        id[8..].copy_from_slice(&self.below(u64::MAX).to_be_bytes());
        let pid = 1000 + self.below(60_000) as u32;
        (self.shell, self.sequence) = (shell(pid, id), 0);
    }

    fn text(&mut self) -> String {
        let known = self.texts.len() as u64;
        if known > 0 && self.below(100) >= 34 {
            // What was typed lately is typed again.
            let back = self.below(200).min(known - 1);
            return self.texts[(known - 1 - back) as usize].clone();
        }
        // One in fifty is long.
        let length = if self.below(40) == 0 { 60 + self.below(40) } else { 4 + self.below(14) };
        let mut text = format!("{} {}", WORDS[self.below(10) as usize], self.below(30_000));
        while (text.len() as u64) < length {
            text.push(' ');
            text.push_str(WORDS[self.below(24) as usize]);
        }
        self.texts.push(text.clone());
        text
    }

    fn entry(&mut self) -> Entry {
        if let Some(event) = self.pending.take() {
            return Entry::Observed(event);
        }
        if self.sequence == 50 {
            self.next_shell();
        }
        self.sequence += 1;
        self.now = self.now.after(Micros(1_000_000 + self.below(60_000_000)));
        let ending = Ending {
            duration: Some(Micros(self.below(1 << 26) >> self.below(20))),
            exit: Some(if self.below(10) == 0 { 1 } else { 0 }),
            pipestatus: Vec::new(),
        };
        let text = self.text();
        let tool = text.split(' ').next().unwrap_or_default().to_owned();
        let category = Category::ALL[self.below(Category::ALL.len() as u64) as usize];
        let ended = Event {
            id: EventId::default(),
            shell: self.shell.clone(),
            sequence: self.sequence,
            command: RedactedCommand::restored(Bytes::from(text.as_str()), false),
            redactions: Vec::new(),
            cwd: Bytes::from(format!("/home/kali/project-{}", self.below(40)).as_str()),
            is_cwd_truncated: false,
            started_at: self.now,
            precision: Precision::Micro,
            outcome: Outcome::Ended(ending),
            understanding: Understanding {
                category,
                categories: [category].into_iter().collect(),
                tools: vec![tool.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned()],
                risk: None,
                rules: Vec::new(),
                version: 1,
                axis: None,
            },
        };
        if self.below(2) == 0 {
            return Entry::Observed(ended);
        }
        let started = Event { outcome: Outcome::Running, ..ended.clone() };
        self.pending = Some(ended);
        Entry::Observed(started)
    }
}

fn shell(pid: u32, id: [u8; 16]) -> Shell {
    let process = ShellProcess {
        pid,
        started_ticks: u64::from(pid) * 977,
        boot: BootId::from_bytes([9; 16]),
        namespace: 4_026_531_836,
    };
    Shell {
        kind: ShellKind::Zsh,
        id: ShellId::from_bytes(id),
        user: "kali".into(),
        host: "attacker".into(),
        tty: Some(format!("pts/{}", pid % 9)),
        is_remote: false,
        parent: Some("tmux".into()),
        process: Some(process),
    }
}
