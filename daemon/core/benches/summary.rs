//! What summaries take of a store with a million events: one of a kind, and all that a new peer gets.
//!
//! `cargo bench -p karo-core --bench summary [-- EVENTS]`; a million events without an argument, over a year of
//! working days, from a seed. Times are of making them of a roll-up in memory.

#![expect(clippy::print_stdout, reason = "a benchmark is read by people")]
#![expect(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]

use std::hint::black_box;
use std::time::Instant;

use karo_core::calendar::{span_of, spans};
use karo_core::rollup::{Delta, Rollup, Sign};
use karo_core::summary::summarize;
use karo_protocol::category::CategorySet;
use karo_protocol::query::Zone;
use karo_protocol::summary::Period;
use karo_protocol::{Axis, Category, Micros, Risk, Timestamp};

/// How often each is made.
const ROUNDS: usize = 20;

const HOUR: i64 = 3_600_000_000;

/// Public tools and private ones, a few of which make most of the events.
const TOOLS: [&str; 12] = [
    "git",
    "ls",
    "cd",
    "make",
    "cargo",
    "vim",
    "ssh",
    "docker",
    "kubectl",
    "acme-tool",
    "python",
    "deploy-acme",
];

/// The `n`th of so many events: 250 days of ten hours.
fn event(n: u64, events: u64) -> Delta {
    let chance = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let per_day = (events / 250).max(1);
    let (day, within) = ((n / per_day) as i64, (n % per_day) as i64);
    let day = day / 5 * 7 + day % 5;
    let tool = ((chance % 1000).pow(2) as usize * TOOLS.len()) / 1_000_000;
    let more = chance as usize / 7 % 400;
    let tools = if chance.is_multiple_of(3) {
        format!("{}\0tool{more}", TOOLS[tool])
    } else {
        TOOLS[tool].to_owned()
    };
    Delta {
        sign: Sign::Added,
        started_at: Timestamp::from_micros((day * 24 + 8) * HOUR + within * 10 * HOUR / per_day as i64),
        category: Category::ALL[(tool + chance as usize % 3) % Category::ALL.len()],
        tools: tools.into_bytes().into(),
        risk: chance.is_multiple_of(50).then_some(Risk::ALL[chance as usize % Risk::ALL.len()]),
        axis: Some(Axis::ALL[chance as usize % Axis::ALL.len()]),
        exit: Some(chance.is_multiple_of(10).into()),
        duration: Some(Micros(chance % 10_000_000)),
    }
}

/// Says how long the middle and the slowest of some rounds took.
fn timed<T>(what: &str, mut make: impl FnMut() -> T) {
    let mut times: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            black_box(make());
            start.elapsed()
        })
        .collect();
    times.sort();
    println!("{what:<44} median {:>9.1?}  slowest {:>9.1?}", times[ROUNDS / 2], times[ROUNDS - 1]);
}

fn main() {
    let wanted = std::env::args().skip(1).find_map(|argument| argument.replace('_', "").parse().ok());
    let events: u64 = wanted.unwrap_or(1_000_000);
    let rollup: Rollup = (0..events).map(|n| event(n, events)).collect();
    println!("events {events}, cells {}, tallies {}", rollup.len(), rollup.tallies());
    let zone = Zone { steps: vec![(Timestamp::MIN, 3600)] };
    let last = event(events - 1, events).started_at;
    for (what, kept_back) in
        [("", CategorySet::default()), (", one category kept back", [Category::Vcs].into_iter().collect())]
    {
        for period in Period::ALL {
            let span = span_of(&zone, *period, last);
            timed(&format!("one {period} summary{what}"), || {
                summarize(&rollup, (*period, span), &zone, kept_back)
            });
        }
    }
    let day = 24 * HOUR;
    for (period, days) in [(Period::Hourly, 1), (Period::Daily, 35), (Period::Weekly, 35)] {
        let since = Timestamp::from_micros(last.as_micros() - days * day);
        let spans = spans(&zone, period, since, last);
        timed(&format!("all {period} ones of {days} days ({})", spans.len()), || {
            spans
                .iter()
                .map(|span| summarize(&rollup, (period, *span), &zone, CategorySet::default()))
                .collect::<Vec<_>>()
        });
    }
    let since = Timestamp::from_micros(last.as_micros() - 365 * day);
    timed("everything of 365 days told anew", || {
        let all = Period::ALL.iter().flat_map(|period| {
            let days = if *period == Period::Hourly { 35 } else { 365 };
            let first = since.max(Timestamp::from_micros(last.as_micros() - days * day));
            spans(&zone, *period, first, last).into_iter().map(|span| (*period, span))
        });
        all.map(|one| summarize(&rollup, one, &zone, CategorySet::default())).collect::<Vec<_>>()
    });
}
