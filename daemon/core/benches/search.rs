//! What a search in memory takes: bytes for each event, time for each change, query and count.
//!
//! `cargo bench -p karo-core --bench search [-- EVENTS]`; a million events without an argument. The
//! events are made from a seed in the shape of the KYPO histories: a median of 13 bytes, a 99th
//! percentile of 83, a third of them distinct. The floor is one pass of `memmem` over the same text.

#![expect(clippy::print_stdout, reason = "a benchmark is read by people")]
#![expect(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use karo_core::search::{Batch, BriefOutcome, Change, Columns, Entry, Position};
use karo_protocol::query::{Count, CountBy, Detail, Directory, Exit, Order, Zone};
use karo_protocol::{
    Axis, Bytes, Category, Filter, Micros, Query, Risk, Shell, ShellId, ShellKind, State, Timestamp,
};

/// Events in a batch, as a segment of the log and an import have them.
const BATCH_EVENTS: usize = 4096;
/// How often each query is asked.
const ROUNDS: usize = 200;

fn main() {
    let wanted = std::env::args().skip(1).find_map(|argument| argument.replace('_', "").parse().ok());
    let events = wanted.unwrap_or(1_000_000);
    let mut made = Made::new(events);
    println!("events {events}, distinct {}, command bytes {}", made.texts.len(), made.command_bytes);
    println!("median {} bytes, p99 {} bytes", made.length_at(0.5), made.length_at(0.99));

    let before = resident_kib();
    let columns = load(&made, "load, newest first", made.events.iter().rev());
    println!("resident {} KiB more than before", resident_kib().saturating_sub(before));
    drop(load(&made, "import, oldest first", made.events.iter()));
    print_sizes(&columns);
    live(columns.clone(), &made);
    let floor = floor(&made);
    made.events = Vec::new();
    queries(&columns, &made, floor);
    counts(&columns);
}

/// Puts events into columns batch by batch, and says how fast.
fn load<'a>(made: &'a Made, what: &str, events: impl Iterator<Item = &'a Line>) -> Columns {
    let mut columns = Columns::new();
    let (mut packing, mut applying) = (Duration::ZERO, Duration::ZERO);
    let mut events = events.peekable();
    let mut slowest = Duration::ZERO;
    while events.peek().is_some() {
        let start = Instant::now();
        let mut batch = Batch::default();
        events.by_ref().take(BATCH_EVENTS).for_each(|line| batch.push(made.entry(line)));
        let packed = Instant::now();
        columns.apply(Change::Added(batch));
        packing += packed - start;
        applying += packed.elapsed();
        slowest = slowest.max(packed.elapsed());
    }
    let per_event = |time: Duration| time.as_nanos() / made.events.len() as u128;
    println!(
        "{what}: {} ns/event to apply (slowest batch {} us), {} ns/event to pack",
        per_event(applying),
        slowest.as_micros(),
        per_event(packing),
    );
    columns
}

/// Changes columns as a day of work and a deletion do.
fn live(mut columns: Columns, made: &Made) {
    let newest = made.events.last().expect("a benchmark has events");
    let mut samples = Vec::new();
    for number in 1..=2000_u32 {
        let line = Line {
            position: newest.position + 2 * number,
            sequence: newest.sequence + u64::from(number),
            started_at: newest.started_at + i64::from(number) * 1000,
            state: State::Running,
            ..*newest
        };
        let entry = made.entry(&line);
        let key = (entry.shell.id, entry.sequence);
        let outcome = BriefOutcome {
            state: State::Ended,
            duration: Some(Micros(5)),
            exit: Some(0),
            position: Some(Position(line.position + 1)),
        };
        let start = Instant::now();
        let mut batch = Batch::default();
        batch.push(entry);
        columns.apply(Change::Added(batch));
        columns.apply(Change::Outcome { key, outcome });
        samples.push(start.elapsed());
    }
    print_samples("one event, start and end", &mut samples, None);
    let mut samples = Vec::new();
    for number in 0..50_usize {
        let line = &made.events[number * made.events.len() / 50];
        let start = Instant::now();
        columns.apply(Change::Removed(vec![Position(line.position)]));
        samples.push(start.elapsed());
    }
    print_samples("one event removed", &mut samples, None);
    let moves = made.events.iter().take(35_000).map(|line| line.position);
    let moves: Vec<_> = moves.map(|position| (Position(position), Position(position + (1 << 31)))).collect();
    let start = Instant::now();
    columns.apply(Change::Moved(moves));
    print_samples("35,000 records moved", &mut [start.elapsed()], None);
    let gone = made.events.iter().skip(made.events.len() / 2).map(|line| Position(line.position)).collect();
    let start = Instant::now();
    columns.apply(Change::Removed(gone));
    print_samples("half of all removed", &mut [start.elapsed()], None);
}

fn print_sizes(columns: &Columns) {
    let stats = columns.stats();
    let per_event = |bytes: u64| bytes as f64 / stats.events as f64;
    for (name, bytes) in &stats.bytes {
        println!("  {name:<16} {bytes:>12} bytes {:>8.2} an event", per_event(*bytes));
    }
    let total: u64 = stats.bytes.iter().map(|(_, bytes)| bytes).sum();
    println!("  {:<16} {total:>12} bytes {:>8.2} an event; {} texts", "all", per_event(total), stats.texts);
}

/// Returns the time of one pass over the flat text of all events for a word that is not there.
fn floor(made: &Made) -> Duration {
    let mut flat = Vec::with_capacity(made.command_bytes + made.events.len());
    for line in &made.events {
        flat.extend_from_slice(made.texts[line.text as usize].as_bytes());
        flat.push(b'\n');
    }
    let finder = memchr::memmem::Finder::new(ABSENT);
    let mut samples: Vec<Duration> = (0..20)
        .map(|_| {
            let start = Instant::now();
            black_box(finder.find(black_box(&flat)));
            start.elapsed()
        })
        .collect();
    print_samples("floor: memmem over the flat text", &mut samples, None);
    samples[samples.len() / 2]
}

const ABSENT: &str = "zqxjkv";

/// A query by its name, and how it differs from the plainest one.
type Named<'a> = (&'static str, Box<dyn Fn(&mut Query) + 'a>);

fn queries(columns: &Columns, made: &Made, floor: Duration) {
    for (name, change) in asked(made) {
        let mut query = Query {
            filter: Filter::default(),
            is_unique: false,
            limit: Some(100),
            order: Order::NewestFirst,
            detail: Detail::Row,
        };
        change(&mut query);
        let mut hits = 0;
        let mut samples: Vec<Duration> = (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                hits = black_box(columns.page(black_box(&query), None, 100, None)).hits.len();
                start.elapsed()
            })
            .collect();
        print_samples(&format!("{name} ({hits})"), &mut samples, Some(floor));
    }
}

fn asked(made: &Made) -> Vec<Named<'_>> {
    let words = |words: &'static [&'static str]| {
        move |query: &mut Query| query.filter.words = words.iter().map(|word| Bytes::from(*word)).collect()
    };
    let long = made.texts.iter().skip(made.texts.len() / 3).find(|text| text.len() > 50);
    let long = long.expect("one line in twenty is long").as_bytes().to_vec();
    let rarest = made.texts[made.texts.len() / 3].as_bytes().to_vec();
    println!("old lines: {:?} {:?}", String::from_utf8_lossy(&rarest), String::from_utf8_lossy(&long));
    let under = |path: &str| Some(Directory::Under(Bytes::from(path)));
    let span = made.newest - made.oldest;
    vec![
        ("everything", Box::new(|_| {})),
        ("word: git", Box::new(words(&["git"]))),
        ("word: one letter", Box::new(words(&["e"]))),
        ("word: absent", Box::new(words(&[ABSENT]))),
        ("word: a whole old line", Box::new(move |q| q.filter.words = vec![Bytes(rarest.clone())])),
        ("word: a long old line", Box::new(move |q| q.filter.words = vec![Bytes(long.clone())])),
        ("word: with a capital", Box::new(words(&["READ"]))),
        ("word: a capital, absent", Box::new(words(&["rEaDmE"]))),
        ("words: two, frequent", Box::new(words(&["ssh", "10.1"]))),
        ("words: frequent and absent", Box::new(words(&["e", ABSENT]))),
        ("words: two digits and a capital", Box::new(words(&["97", "R", "ssh"]))),
        ("failed", Box::new(|q| q.filter.exit = Some(Exit::Failed))),
        ("exit 143", Box::new(|q| q.filter.exit = Some(Exit::Code(143)))),
        (
            "word and failed in a tree",
            Box::new(move |q| {
                words(&["make"])(q);
                (q.filter.exit, q.filter.directory) = (Some(Exit::Failed), under("/home/user1"));
            }),
        ),
        (
            "exactly in a directory",
            Box::new(|q| {
                q.filter.directory = Some(Directory::Exactly(Bytes::from("/home/user0/project1990")));
            }),
        ),
        (
            "absent word in a tree",
            Box::new(move |q| {
                words(&[ABSENT])(q);
                q.filter.directory = under("/home/user2");
            }),
        ),
        (
            "category and host",
            Box::new(|q| {
                (q.filter.category, q.filter.host) = (Some(Category::Build), Some("host2".to_owned()));
            }),
        ),
        ("risk: at least high", Box::new(|q| q.filter.risk = Some(Risk::High))),
        (
            "a rule, and an axis that none has",
            Box::new(|q| {
                (q.filter.rule, q.filter.axis) = (Some("karo-hazard-rm-root".to_owned()), Some(Axis::Hazard));
            }),
        ),
        ("an old shell", Box::new(|q| q.filter.shell_id = Some(shell_id(77)))),
        ("running", Box::new(|q| q.filter.state = Some(State::Running))),
        (
            "word in an old month",
            Box::new(move |q| {
                words(&["git"])(q);
                q.filter.since = Some(Timestamp::from_micros(made.oldest + span / 10));
                q.filter.until = Some(Timestamp::from_micros(made.oldest + span / 7));
            }),
        ),
        ("unique", Box::new(|q| q.is_unique = true)),
        (
            "unique: rare word",
            Box::new(move |q| {
                words(&["97 "])(q);
                q.is_unique = true;
            }),
        ),
        (
            "oldest first: word",
            Box::new(move |q| {
                words(&["nmap"])(q);
                q.order = Order::OldestFirst;
            }),
        ),
        (
            "oldest first: unique",
            Box::new(|q| {
                (q.order, q.is_unique) = (Order::OldestFirst, true);
            }),
        ),
    ]
}

fn counts(columns: &Columns) {
    let zone =
        Zone { steps: vec![(Timestamp::from_micros(0), 3600), (Timestamp::from_micros(1 << 50), 7200)] };
    let by = CountBy::ALL.iter().map(|by| (Some(*by), Filter::default()));
    let words = |word: &str| Filter { words: vec![Bytes::from(word)], ..Filter::default() };
    let filtered = [
        (None, words("e")),
        (Some(CountBy::Tool), words("git")),
        (Some(CountBy::Day), Filter { exit: Some(Exit::Failed), ..Filter::default() }),
    ];
    for (by, filter) in by.chain(filtered) {
        let count = Count { filter, by, zone: zone.clone() };
        let mut lines = 0;
        let mut samples: Vec<Duration> = (0..20)
            .map(|_| {
                let start = Instant::now();
                lines = black_box(columns.count(black_box(&count), None)).len();
                start.elapsed()
            })
            .collect();
        let word = count.filter.words.first().map_or(String::new(), |word| word.to_lossy().0.into_owned());
        let name = by.map_or("all", CountBy::name);
        print_samples(&format!("count by {name} {word} ({lines})"), &mut samples, None);
    }
}

fn print_samples(name: &str, samples: &mut [Duration], floor: Option<Duration>) {
    samples.sort();
    let at = |part: f64| samples[((samples.len() - 1) as f64 * part).round() as usize];
    let ratio = floor.map_or(String::new(), |floor| {
        format!(" {:>6.2} floors", at(0.5).as_secs_f64() / floor.as_secs_f64())
    });
    println!("{name:<40} p50 {:>8.1} us, p99 {:>8.1} us{ratio}", micros(at(0.5)), micros(at(0.99)));
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Events from a seed.
struct Made {
    texts: Vec<String>,
    cwds: Vec<String>,
    shells: Vec<Arc<Shell>>,
    /// In order of time.
    events: Vec<Line>,
    command_bytes: usize,
    oldest: i64,
    newest: i64,
}

/// One event by numbers.
#[derive(Clone, Copy)]
struct Line {
    position: u32,
    text: u32,
    cwd: u32,
    shell: u32,
    sequence: u64,
    started_at: i64,
    duration: u64,
    exit: i32,
    state: State,
}

impl Line {
    /// One text in thirty has a risk, of the higher levels fewer.
    const fn risk(&self) -> Option<Risk> {
        match self.text % 1000 {
            0 => Some(Risk::Critical),
            1..=4 => Some(Risk::High),
            5..=12 => Some(Risk::Medium),
            13..=33 => Some(Risk::Low),
            _ => None,
        }
    }

    const fn rules(&self) -> &'static [u8] {
        match self.risk() {
            Some(_) => RULES[self.text as usize / 1000 % RULES.len()].as_bytes(),
            None => b"",
        }
    }
}

/// Lists of rules that match together.
const RULES: [&str; 4] = [
    "5c84856b-55a5-45f1-826f-13f37250cf4e",
    "karo-hazard-rm-root",
    "karo-hazard-rm-root\0karo-hazard-recursive",
    "karo-threat-curl-sh\0cec8e918-30f7-4e2d-9bfa-a59cc97ae60f\0d4d2574f-ac17-4d9e-b986-aeeae0dc8fe2",
];

/// Events of one shell.
const SHELL_EVENTS: usize = 30;

impl Made {
    fn new(events: usize) -> Self {
        let mut chance = Chance(0x6b61_726f);
        let cwds =
            (0..2000).map(|n| format!("/home/user{}/project{n}{}", n % 3, "/src".repeat(n % 4))).collect();
        let shells = (0..events.div_ceil(SHELL_EVENTS)).map(|n| Arc::new(shell(n))).collect();
        let oldest = 1_600_000_000_000_000;
        let mut made = Self {
            texts: Vec::new(),
            cwds,
            shells,
            events: Vec::new(),
            command_bytes: 0,
            oldest,
            newest: oldest,
        };
        let mut distinct = std::collections::BTreeSet::new();
        for number in 0..events {
            let text = made.pick_text(&mut chance, &mut distinct);
            made.newest += chance.below(120_000_000) as i64;
            made.command_bytes += made.texts[text].len();
            made.events.push(Line {
                position: number as u32,
                text: text as u32,
                cwd: chance.skewed(2000, 3) as u32,
                shell: (number / SHELL_EVENTS) as u32,
                sequence: (number % SHELL_EVENTS) as u64 + 1,
                started_at: made.newest,
                duration: 1 << chance.below(33),
                exit: [0, 0, 0, 0, 0, 0, 0, 1, 1, 127, 130, 2][chance.below(12)],
                state: if chance.below(500) == 0 { State::Lost } else { State::Ended },
            });
        }
        made
    }

    /// Picks a text: one of those that were there two times of three, the oldest most often.
    fn pick_text(&mut self, chance: &mut Chance, distinct: &mut std::collections::BTreeSet<String>) -> usize {
        // What everybody types all day comes first.
        if self.texts.len() < PROGRAMS.len() {
            self.texts.push(PROGRAMS[self.texts.len()].to_owned());
            return self.texts.len() - 1;
        }
        if chance.below(100) < 66 {
            return chance.skewed(self.texts.len(), 9);
        }
        loop {
            let text = chance.command();
            if distinct.insert(text.clone()) {
                self.texts.push(text);
                return self.texts.len() - 1;
            }
        }
    }

    fn entry<'a>(&'a self, line: &Line) -> Entry<'a> {
        let command = self.texts[line.text as usize].as_bytes();
        let tool = command.split(|byte| *byte == b' ').next().unwrap_or_default();
        let outcome = match line.state {
            State::Running | State::Lost => {
                BriefOutcome { state: line.state, duration: None, exit: None, position: None }
            }
            State::Ended => BriefOutcome {
                state: State::Ended,
                duration: Some(Micros(line.duration)),
                exit: Some(line.exit),
                position: None,
            },
        };
        Entry {
            position: Position(line.position),
            shell: &self.shells[line.shell as usize],
            sequence: line.sequence,
            command,
            cwd: self.cwds[line.cwd as usize].as_bytes(),
            started_at: Timestamp::from_micros(line.started_at),
            category: Category::ALL[tool.len() * 3 % Category::ALL.len()],
            tools: tool,
            risk: line.risk(),
            axis: line.risk().map(|_| Axis::Threat),
            rules: line.rules(),
            outcome,
        }
    }

    fn length_at(&self, part: f64) -> usize {
        let mut lengths: Vec<usize> =
            self.events.iter().map(|line| self.texts[line.text as usize].len()).collect();
        lengths.sort_unstable();
        lengths[(lengths.len() as f64 * part) as usize]
    }
}

fn shell_id(number: usize) -> ShellId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    ShellId::from_bytes(bytes)
}

fn shell(number: usize) -> Shell {
    Shell {
        kind: [ShellKind::Bash, ShellKind::Zsh][number % 2],
        id: shell_id(number),
        user: "user0".to_owned(),
        host: format!("host{}", number % 3),
        tty: Some(format!("pts/{}", number % 20)),
        is_remote: false,
        parent: Some("tmux".to_owned()),
        process: None,
    }
}

/// Numbers from a seed: xorshift.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % bound as u64) as usize
    }

    /// Returns a number below `bound`, a small one far more often than a large one.
    fn skewed(&mut self, bound: usize, power: i32) -> usize {
        let part = self.below(1 << 30) as f64 / f64::from(1 << 30);
        (part.powi(power) * bound as f64) as usize
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    /// Makes a line: short ones mostly, and a long one now and then.
    fn command(&mut self) -> String {
        let mut text = self.of(PROGRAMS).to_owned();
        let words = match self.below(400) {
            0..150 => 0,
            150..330 => 1,
            330..380 => 2,
            380..392 => 5,
            _ => 12,
        };
        for _ in 0..words {
            text.push(' ');
            text.push_str(self.of(ARGUMENTS));
        }
        // Most lines that occur once differ from another by a name or a number.
        match self.below(4) {
            0 => text.push_str(&format!(" {}", self.below(1_000_000))),
            1 => text.push_str(&format!(" {}{}", self.of(ARGUMENTS), self.below(10_000))),
            2 => text.push_str(&format!(" 10.1.{}.{}", self.below(256), self.below(256))),
            _ => text.push_str(&format!(" {:x}", self.below(1 << 20))),
        }
        text
    }
}

const PROGRAMS: &[&str] = &[
    "ls",
    "cd",
    "cd ..",
    "cat",
    "git",
    "make",
    "ssh",
    "nmap",
    "vim",
    "grep",
    "find",
    "python3",
    "cargo",
    "sudo",
    "exploit",
    "set",
    "use",
    "show",
    "run",
    "exit",
    "clear",
    "scp",
    "john",
    "tar",
    "rm",
    "cp",
    "mv",
    "systemctl",
];

const ARGUMENTS: &[&str] = &[
    "-la",
    "-a",
    "-sV",
    "options",
    "--all",
    "READ-ME.txt",
    "/usr/share/wordlists",
    "LHOST",
    "RHOSTS",
    "root@",
    "invoices",
    "src",
    "README",
    "status",
    "test",
    "-v",
    "-p",
    "admin",
    "Documents",
    "..",
    "id_rsa",
    "x",
    "build",
];
