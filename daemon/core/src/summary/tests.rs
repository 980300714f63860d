use karo_protocol::{Category, Micros, Risk};
use proptest::prelude::*;

use super::*;
use crate::calendar::{span_of, start_of_day};
use crate::rollup::{Delta, Sign};

const HOUR: i64 = 3_600_000_000;

/// 2026-11-20, a Friday.
const DAY: i32 = 20_777;

fn delta(at: i64, category: Category, tools: &str, exit: Option<i32>) -> Delta {
    Delta {
        sign: Sign::Added,
        started_at: Timestamp::from_micros(i64::from(DAY) * 24 * HOUR + at),
        category,
        tools: tools.as_bytes().into(),
        risk: None,
        axis: None,
        exit,
        duration: exit.map(|_| Micros(1000)),
    }
}

fn day_of_utc(deltas: &[Delta], kept_back: &[Category]) -> Summary {
    let rollup: Rollup = deltas.iter().cloned().collect();
    let zone = Zone::default();
    let span = span_of(&zone, Period::Daily, start_of_day(&zone, DAY));
    summarize(&rollup, (Period::Daily, span), &zone, kept_back.iter().copied().collect())
}

fn names(summary: &Summary) -> Vec<&str> {
    summary.tools.iter().map(|(tool, ..)| tool.as_str()).collect()
}

#[test]
fn a_day_is_told_by_category_tool_hour_and_risk() {
    let risky = Delta {
        risk: Some(Risk::High),
        axis: Some(Axis::Hazard),
        ..delta(14 * HOUR, Category::File, "rm", Some(1))
    };
    let summary = day_of_utc(
        &[
            delta(9 * HOUR, Category::Vcs, "git", Some(0)),
            delta(9 * HOUR + 1, Category::Vcs, "git\0less", Some(1)),
            risky,
            delta(25 * HOUR, Category::Vcs, "git", Some(0)),
        ],
        &[],
    );
    assert_eq!(summary.total, Sums { count: 3, failed: 2, mean_us: Some(1000) });
    let counted = summary.categories.iter().map(|(category, sums)| (*category, sums.count));
    assert_eq!(counted.collect::<Vec<_>>(), [(Category::File, 1), (Category::Vcs, 2)]);
    assert_eq!(names(&summary), ["git", "less", "rm"]);
    assert_eq!(summary.tools[1].1, Category::Text);
    assert_eq!((summary.hours[9], summary.hours[14], summary.hours.iter().sum::<u32>()), (2, 1, 3));
    assert_eq!(summary.weekdays, [0, 0, 0, 0, 3, 0, 0]);
    assert_eq!(summary.risks, Some(vec![(Risk::High, Some(Axis::Hazard), 1)]));
    assert!(!summary.is_limited);
}

/// A name that a person made is not told, however often it runs; its events are.
#[test]
fn a_private_program_is_one_of_its_category() {
    let mut deltas: Vec<Delta> =
        (0..500).map(|n| delta(n, Category::Other, "acme-merger-2027", Some(0))).collect();
    deltas.push(delta(1, Category::Other, "git-acme-merger\0deploy-acme.sh\0caf\u{e9}", Some(0)));
    deltas.push(Delta { tools: [0xff, 0xfe].into(), ..delta(2, Category::Other, "", Some(0)) });
    let summary = day_of_utc(&deltas, &[]);
    assert_eq!((summary.total.count, names(&summary).len()), (502, 0));
    assert!(!format!("{summary:?}").contains("acme"));
}

#[test]
fn what_is_kept_back_is_as_if_it_had_not_happened() {
    let kept = delta(1, Category::Security, "nmap\0less", Some(0));
    let told = delta(2, Category::Vcs, "git\0psql", Some(0));
    let summary = day_of_utc(&[kept, told.clone()], &[Category::Security, Category::Database]);
    let alone = day_of_utc(&[told], &[Category::Security, Category::Database]);
    assert_eq!(summary, alone);
    // The list has psql under databases, whatever the line was.
    assert_eq!(names(&summary), ["git"]);
    assert_eq!((summary.risks, summary.is_limited), (None, true));
}

#[test]
fn the_tools_with_the_most_events_are_named() {
    let table = include_str!("../classify/categories.tsv");
    let tools: Vec<&str> = table
        .lines()
        .filter_map(|line| line.split('\t').next())
        .filter(|name| public(name).is_some())
        .take(SUMMARY_TOOLS_MAX + 40)
        .collect();
    let deltas: Vec<Delta> = tools
        .iter()
        .enumerate()
        .flat_map(|(place, tool)| {
            vec![delta(place as i64, Category::File, tool, None); 1 + usize::from(place >= 40)]
        })
        .collect();
    let summary = day_of_utc(&deltas, &[]);
    assert_eq!(summary.tools.len(), SUMMARY_TOOLS_MAX);
    assert!(summary.tools.is_sorted_by_key(|(tool, ..)| tool.clone()));
    assert!(summary.tools.iter().all(|(_, _, sums)| sums.count == 2));
}

/// Berlin in 2026, where the clock goes back on 25 October.
#[test]
fn hours_are_those_of_the_local_clock() {
    let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
    let zone = Zone { steps: vec![(at(1_774_746_000), 7200), (at(1_792_890_000), 3600)] };
    let start = start_of_day(&zone, 20_751);
    let each_hour = (0..25).map(|hour| Delta {
        started_at: start.after(Micros(hour * 3_600_000_000)),
        ..delta(0, Category::Vcs, "git", Some(0))
    });
    let rollup: Rollup = each_hour.collect();
    let span = span_of(&zone, Period::Daily, start);
    let summary = summarize(&rollup, (Period::Daily, span), &zone, CategorySet::default());
    assert_eq!((summary.total.count, summary.offset_s), (25, 7200));
    let expected: Vec<u32> = (0..24).map(|hour| if hour == 2 { 2 } else { 1 }).collect();
    assert_eq!(summary.hours, expected);
    assert_eq!(summary.weekdays, [0, 0, 0, 0, 0, 0, 25]);
}

#[test]
fn a_summary_is_told_once_and_anew_when_it_says_something_else() {
    let summary = day_of_utc(&[delta(1, Category::Vcs, "git", Some(0))], &[]);
    let empty = day_of_utc(&[], &[]);
    let (one, other) = (Hash([1; 32]), Hash([2; 32]));
    assert_eq!(version_of(None, one, &summary), Some(1));
    assert_eq!(version_of(None, one, &empty), None);
    let told = Some(Told { version: 4, digest: one });
    assert_eq!(version_of(told, one, &summary), None);
    assert_eq!(version_of(told, other, &summary), Some(5));
    // What is gone is told as gone.
    assert_eq!(version_of(told, other, &empty), Some(5));
}

proptest! {
    /// Whatever is in the roll-up: what is told is a public name, a number or a word of ours.
    #[test]
    fn no_byte_of_a_name_gets_into_a_summary(names in prop::collection::vec("[a-z]{1,12}-zq", 1..20)) {
        let deltas: Vec<Delta> =
            names.iter().map(|name| delta(1, Category::Build, &format!("make\0{name}"), Some(0))).collect();
        let summary = day_of_utc(&deltas, &[]);
        prop_assert!(summary.tools.iter().all(|(tool, ..)| tool.as_str() == "make"));
    }

    #[test]
    fn days_add_up_to_their_week_and_hours_to_their_day(
        deltas in prop::collection::vec((0..7 * 24 * 3_600_000_000_i64, prop::sample::select(Category::ALL)), 0..60)
    ) {
        // From the Monday before.
        let deltas: Vec<Delta> =
            deltas.into_iter().map(|(at, category)| delta(at - 4 * 24 * HOUR, category, "git", Some(0))).collect();
        let rollup: Rollup = deltas.iter().cloned().collect();
        let zone = Zone::default();
        let of = |period, within: Span| -> u64 {
            let spans = crate::calendar::spans(&zone, period, within.start, within.end);
            spans.iter().map(|span| summarize(&rollup, (period, *span), &zone, CategorySet::default()).total.count).sum()
        };
        let week = span_of(&zone, Period::Weekly, start_of_day(&zone, DAY));
        prop_assert_eq!(of(Period::Weekly, week), deltas.len() as u64);
        prop_assert_eq!(of(Period::Daily, week), deltas.len() as u64);
        prop_assert_eq!(of(Period::Hourly, week), deltas.len() as u64);
    }
}
