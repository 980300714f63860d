//! What the views cost: a year of work, a million events, made anew, written, opened and caught up.
//!
//! Prints one line per measure; nothing is asserted of time.

#![expect(clippy::print_stdout, reason = "a benchmark's table is its output")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use karo_core::rollup::{Delta, Rollup, Sign};
use karo_protocol::{Category, Micros, Timestamp};
use karo_store::views::{LogPosition, Views, ViewsError};

const EVENTS: u64 = 1_000_000;
/// About a segment's worth.
const PART: u64 = 20_000;
const QUARTER: u64 = 15 * 60 * 1_000_000;

/// The `n`th of a million events: 250 days of eight hours, 125 events a quarter, 300 programs of
/// which a few make most of it.
fn event(n: u64) -> Delta {
    let quarter = n / 125;
    let start = ((quarter / 32) * 96 + quarter % 32) * QUARTER + n % 125 * 7_000_000;
    let chance = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    // Squaring twice crowds the low numbers.
    let tool = (((chance % 1000).pow(2) / 1000).pow(2) * 300 / 1_000_000) as usize;
    Delta {
        sign: Sign::Added,
        started_at: Timestamp::from_micros(start as i64),
        category: Category::ALL[tool % Category::ALL.len()],
        tools: format!("tool{tool}").into_bytes().into(),
        risk: None,
        axis: None,
        exit: Some(chance.is_multiple_of(10).into()),
        duration: Some(Micros(chance % 10_000_000)),
    }
}

fn place(offset: u64) -> LogPosition {
    LogPosition { offset, ..LogPosition::default() }
}

/// Times one step and prints it.
fn timed<T>(name: &str, step: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let value = step();
    println!("{name:<44} {:>10.1} ms", start.elapsed().as_secs_f64() * 1000.0);
    value
}

/// Returns how often the threads of this process were switched to so far, as Linux counts it.
fn switches() -> u64 {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let statuses = threads.filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok());
    let count = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|line| line.trim().parse::<u64>().ok())
    };
    statuses.filter_map(count).sum()
}

fn wake_ups_per_second() -> f64 {
    let (before, span) = (switches(), Duration::from_secs(5));
    std::thread::sleep(span);
    (switches() - before).saturating_sub(1) as f64 / span.as_secs_f64()
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

/// Hands the history over as the loader does, newest part first, and returns the tallies of all parts.
fn rollup_in_parts(mut take: impl FnMut(&Rollup) -> Result<(), ViewsError>) -> Result<usize, ViewsError> {
    let mut tallies = 0;
    for part in (0..EVENTS / PART).rev() {
        let part: Rollup = (part * PART..(part + 1) * PART).map(event).collect();
        tallies += part.tallies();
        take(&part)?;
    }
    Ok(tallies)
}

fn measure(dir: &Path) -> Result<(), ViewsError> {
    let now = Timestamp::from_micros(0);
    let (mut views, _) = Views::open(dir, now)?;
    println!("{:<44} {:>10.1} /s", "wake-ups, opened and idle", wake_ups_per_second());
    println!("{:<44} {:>10} KiB", "resident, opened and idle", resident_kib());
    let tallies = timed("rolled up, and nothing else", || rollup_in_parts(|_part| Ok(())))?;
    println!("{:<44} {tallies:>10}", "tallies");
    timed("made anew of 1,000,000 events", || {
        rollup_in_parts(|part| views.fill(part))?;
        views.finish_rebuild(place(EVENTS)).and_then(|()| views.flush())
    })?;
    println!("{:<44} {:>10} KiB", "resident, made anew", resident_kib());
    println!("{:<44} {:>10} bytes", "on disk", views.bytes());
    println!("{:<44} {:>10.2} bytes", "on disk, an event", views.bytes() as f64 / EVENTS as f64);
    let (mut views, _) = timed("opened", || Views::open(dir, now))?;
    timed("a flush of one event", || {
        views.apply([&event(EVENTS)], place(EVENTS + 1)).and_then(|()| views.flush())
    })?;
    let day: Vec<Delta> = (EVENTS..EVENTS + 500).map(event).collect();
    timed("a flush of 500 events", || views.apply(&day, place(EVENTS + 500)).and_then(|()| views.flush()))?;
    timed("all cells read", || views.whole())?;
    println!("{:<44} {:>10} bytes", "on disk, afterwards", views.bytes());
    println!("{:<44} {:>10.1} /s", "wake-ups, once sled has run", wake_ups_per_second());
    println!("{:<44} {:>10} KiB", "resident, once sled has run", resident_kib());
    Ok(())
}

fn main() {
    let dir = tempfile::TempDir::new().expect("a temporary directory can be made");
    measure(dir.path()).expect("a new place can be written");
}
