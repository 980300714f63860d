use karo_protocol::{Axis, Category, Micros, Risk, Timestamp};
use proptest::prelude::*;

use super::{CELL, Cell, CellStart, Delta, Rollup, Sign, TOOL_BYTES_MAX, TOOLS_MAX, Tally};

fn delta(started_us: i64, tools: &str, exit: Option<i32>, duration: Option<u64>) -> Delta {
    Delta {
        sign: Sign::Added,
        started_at: Timestamp::from_micros(started_us),
        category: Category::Vcs,
        tools: tools.as_bytes().into(),
        risk: None,
        axis: None,
        exit,
        duration: duration.map(Micros),
    }
}

fn cell_of(deltas: &[Delta]) -> Cell {
    let mut cell = Cell::default();
    deltas.iter().for_each(|delta| cell.apply(delta));
    cell
}

#[test]
fn cells_begin_at_whole_quarters_before_and_after_the_epoch() {
    let width = CELL.0 as i64;
    let check =
        |at, start| assert_eq!(CellStart::of(Timestamp::from_micros(at)).at().as_micros(), start, "{at}");
    check(0, 0);
    check(width - 1, 0);
    check(width, width);
    check(-1, -width);
    check(-width, -width);
    check(-width - 1, -2 * width);
    check(i64::MIN, i64::MIN);
    check(i64::MAX, i64::MAX - i64::MAX % width);
}

#[test]
fn a_cell_counts_by_category_and_by_each_tool_once() {
    let cell = cell_of(&[
        delta(0, "git\0less\0git", Some(0), Some(7)),
        delta(1, "git", Some(128), Some(8)),
        delta(2, "", None, None),
    ]);
    let git = Tally { events: 2, ok: 1, failed: 1, timed: 2, duration_us: 15, duration_log2: 3 + 3 };
    let less = Tally { events: 1, ok: 1, failed: 0, timed: 1, duration_us: 7, duration_log2: 3 };
    assert_eq!(
        cell.tools().collect::<Vec<_>>(),
        [(Category::Vcs, &b"git"[..], &git), (Category::Vcs, &b"less"[..], &less)]
    );
    assert_eq!(cell.categories[&Category::Vcs], Tally { events: 3, ..git });
    assert!(cell.risks.is_empty());
}

#[test]
fn a_program_is_counted_under_the_category_of_each_event() {
    let scan = Delta { category: Category::Security, ..delta(1, "nmap\0less", Some(0), None) };
    let cell = cell_of(&[delta(0, "less", Some(0), None), scan.clone()]);
    let named =
        cell.tools().map(|(category, tool, tally)| (category, tool, tally.events)).collect::<Vec<_>>();
    assert_eq!(
        named,
        [
            (Category::Vcs, &b"less"[..], 1),
            (Category::Security, b"less", 1),
            (Category::Security, b"nmap", 1)
        ]
    );
    let without = cell_of(&[delta(0, "less", Some(0), None), scan.clone(), scan.reversed()]);
    assert_eq!(without.tools.len(), 1);
}

#[test]
fn risk_is_counted_by_level_and_axis() {
    let risky = |risk, axis| Delta { risk: Some(risk), axis, ..delta(0, "", Some(0), None) };
    let (high, low) = (risky(Risk::High, Some(Axis::Threat)), risky(Risk::Low, None));
    let cell = cell_of(&[high.clone(), low, high]);
    let counted = cell.risks.iter().map(|(key, tally)| (*key, tally.events)).collect::<Vec<_>>();
    assert_eq!(counted, [((Risk::Low, None), 1), ((Risk::High, Some(Axis::Threat)), 2)]);
}

#[test]
fn what_is_taken_back_leaves_nothing() {
    let mut event = delta(5, "make\0cc", Some(2), Some(u64::MAX));
    (event.risk, event.axis) = (Some(Risk::High), Some(Axis::Hazard));
    let mut rollup = Rollup::default();
    rollup.apply(&event);
    assert_eq!(rollup.len(), 1);
    rollup.apply(&event.reversed());
    assert!(rollup.is_empty());
}

#[test]
fn a_late_outcome_counts_as_if_it_had_been_there() {
    let running = delta(5, "make", None, None);
    let ended = delta(5, "make", Some(2), Some(100));
    let late = cell_of(&[running.clone(), running.reversed(), ended.clone()]);
    assert_eq!(late, cell_of(&[ended]));
}

#[test]
fn long_names_of_tools_are_cut() {
    let cell = cell_of(&[delta(0, &"x".repeat(300), None, None), delta(0, &"x".repeat(301), None, None)]);
    let lengths = cell.tools().map(|(_, name, tally)| (name.len(), tally.events)).collect::<Vec<_>>();
    assert_eq!(lengths, [(TOOL_BYTES_MAX, 2)]);
}

#[test]
fn a_line_with_very_many_tools_counts_for_the_first() {
    let names: Vec<String> = (0..100).map(|n| format!("t{n:03}")).collect();
    let cell = cell_of(&[delta(0, &names.join("\0"), None, None)]);
    assert_eq!(cell.tools().count(), TOOLS_MAX);
    assert!(cell.tools().zip(&names).all(|((_, tool, _), name)| tool == name.as_bytes()));
}

#[test]
fn a_range_holds_the_cells_that_begin_in_it() {
    let width = CELL.0 as i64;
    let rollup: Rollup = (0..4).map(|n| delta(n * width + 3, "", None, None)).collect();
    let at = Timestamp::from_micros;
    let starts = |since, until| {
        rollup.range(at(since), at(until)).map(|(start, _)| start.at().as_micros()).collect::<Vec<_>>()
    };
    assert_eq!(starts(0, 2 * width), [0, width]);
    assert_eq!(starts(1, 2 * width + 1), [width, 2 * width]);
    assert!(starts(9, 3).is_empty());
}

prop_compose! {
    fn any_delta()(
        started_us in prop_oneof![0..4 * CELL.0 as i64, any::<i64>()],
        category in prop::sample::select(Category::ALL),
        tools in prop::collection::vec("[a-c]{0,2}", 0..4),
        risk in prop::option::of(prop::sample::select(Risk::ALL)),
        axis in prop::option::of(prop::sample::select(Axis::ALL)),
        exit in prop::option::of(-1..3),
        duration in prop::option::of(any::<u64>()),
        is_added in any::<bool>(),
    ) -> Delta {
        let sign = if is_added { Sign::Added } else { Sign::TakenBack };
        let tools = tools.join("\0").into_bytes().into();
        Delta { sign, category, risk, axis, duration: duration.map(Micros), ..Delta { tools, ..delta(started_us, "", exit, None) } }
    }
}

proptest! {
    #[test]
    fn order_never_shows(deltas in prop::collection::vec(any_delta(), 0..40), cut in 0..40_usize) {
        let forwards: Rollup = deltas.iter().cloned().collect();
        let backwards: Rollup = deltas.iter().rev().cloned().collect();
        prop_assert_eq!(&forwards, &backwards);
        let (left, right) = deltas.split_at(cut.min(deltas.len()));
        let mut merged: Rollup = left.iter().cloned().collect();
        merged.merge(&right.iter().cloned().collect());
        prop_assert_eq!(&merged, &forwards);
        let undone = deltas.into_iter().flat_map(|delta| [delta.clone(), delta.reversed()]).collect::<Rollup>();
        prop_assert!(undone.is_empty());
    }

    #[test]
    fn every_event_is_in_one_category(deltas in prop::collection::vec(any_delta(), 0..40)) {
        let rollup: Rollup = deltas.iter().cloned().map(|delta| Delta { sign: Sign::Added, ..delta }).collect();
        let total: i64 = rollup.iter().map(|(_, cell)| cell.total().events).sum();
        prop_assert_eq!(total, deltas.len() as i64);
        let tallies: usize = rollup.iter().map(|(_, cell)| cell.tallies()).sum();
        prop_assert_eq!(total == 0 && tallies == 0, rollup.is_empty());
        prop_assert_eq!(tallies, rollup.tallies());
    }
}
