use super::*;
use crate::group::tests::{rules, tool, tools};

fn layout() -> Arc<Layout> {
    Arc::new(Layout::new(&tools(40), &rules(10)))
}

fn event(category: Category) -> CountedEvent {
    CountedEvent { category, risk: None, axis: None, exit: Some(0), duration: Some(Micros(1023)), hour: 9 }
}

fn add(counts: &mut DayCounts, event: &CountedEvent, tools: &[&str], rules: &[&str]) {
    counts.add(event, tools.iter().copied(), rules.iter().copied());
}

#[test]
fn an_event_counts_once_in_each_partition() {
    let mut counts = DayCounts::new(layout());
    let risky = CountedEvent {
        risk: Some(Risk::High),
        axis: Some(Axis::Hazard),
        exit: Some(1),
        hour: 23,
        ..event(Category::Shell)
    };
    // The tools of all categories come in turn: the first and the twenty-second are the shell's.
    add(&mut counts, &risky, &[tool(1), tool(21), tool(0)], &["rule00", "rule08", "rule03"]);
    add(&mut counts, &event(Category::Shell), &["nothing"], &[]);
    let expected = [
        (Cell::Category(Category::Shell, End::Ok), 1),
        (Cell::Category(Category::Shell, End::Failed), 1),
        (Cell::Risk(None), 1),
        (Cell::Risk(Some((Risk::High, Axis::Hazard))), 1),
        (Cell::Hour(9), 1),
        (Cell::Hour(23), 1),
        (Cell::Tool(21, End::Failed), 1),
        (Cell::OtherTool(Category::Shell, End::Ok), 1),
        (Cell::Rule(8), 1),
    ];
    for cell in counts.layout.cells().iter().copied() {
        let count = expected.iter().find(|(other, _)| *other == cell).map_or(0, |(_, count)| *count);
        assert_eq!(counts.of(cell), count, "{cell:?}");
    }
    // ⌊log2(1024)⌋ of the ok one alone.
    assert_eq!(counts.at(Part::Main, 2), 10);
}

#[test]
fn unknown_outcomes_and_denied_categories_are_nowhere() {
    let empty = DayCounts::new(layout());
    let mut counts = DayCounts::new(layout()).deny([Category::Security].into_iter().collect());
    add(&mut counts, &CountedEvent { exit: None, ..event(Category::Shell) }, &[], &[]);
    add(&mut counts, &event(Category::Security), &[tool(17)], &[]);
    assert_eq!((counts.to_parts(), counts.hash()), (empty.to_parts(), empty.hash()));
}

#[test]
fn a_busy_day_is_cut_alike_in_all_partitions() {
    let mut counts = DayCounts::new(layout());
    for number in 0..COUNT_MAX + 1000 {
        let hour = if number % 2 == 0 { 8 } else { 9 };
        add(&mut counts, &CountedEvent { hour, ..event(Category::Build) }, &[], &[]);
    }
    let build = counts.of(Cell::Category(Category::Build, End::Ok));
    assert_eq!(build, u64::from(COUNT_MAX));
    assert_eq!(counts.of(Cell::Hour(8)) + counts.of(Cell::Hour(9)), build);
    assert_eq!(counts.of(Cell::Risk(None)), build);
    assert_eq!(counts.at(Part::Main, 3 * usize::from(Category::Build.index()) + 2), 10 * build);
    // Nor does a second machine of that owner bring more: what does not fit is left out whole.
    let mut second = DayCounts::new(layout());
    add(&mut second, &event(Category::Text), &[], &[]);
    assert_eq!(counts.merge([&second]), 1);
    assert_eq!(counts.of(Cell::Category(Category::Text, End::Ok)), 0);
}

#[test]
fn the_longest_durations_fit_their_bits() {
    let mut counts = DayCounts::new(layout());
    for _ in 0..COUNT_MAX {
        add(
            &mut counts,
            &CountedEvent { duration: Some(Micros(u64::MAX)), ..event(Category::Build) },
            &[],
            &[],
        );
    }
    let (values, _) = counts.vectors(Part::Main).expect("every group has it");
    let most = values.into_iter().max().expect("there are cells");
    assert_eq!(most, u128::from(COUNT_MAX) * u128::from(LOG_MAX));
    assert!(most < 1 << karo_protocol::atom::VALUE_BITS);
}

#[test]
fn machines_of_one_owner_make_one_table() {
    let mut one = DayCounts::new(layout());
    add(&mut one, &event(Category::Vcs), &[tool(5)], &[]);
    one.signal(Signal::Hours);
    let mut other = DayCounts::new(layout());
    add(&mut other, &event(Category::Vcs), &[], &[]);
    other.signal(Signal::Hours);
    other.signal(Signal::Pattern);
    let sent = DayCounts::from_parts(layout(), &other.to_parts()).expect("as it was counted");
    assert_eq!(sent, other);
    assert_eq!(one.merge([&sent]), 0);
    assert_eq!(one.events(), 2);
    let (values, marks) = one.vectors(Part::Main).expect("every group has it");
    let vcs = Cell::Category(Category::Vcs, End::Ok);
    assert_eq!((values[vcs.value().unwrap()], marks[vcs.owners()]), (2, 1));
    assert_eq!(one.of(Cell::Signal(Signal::Pattern)), 1);
}

#[test]
fn a_feed_that_nobody_counted_is_refused() {
    let mut counts = DayCounts::new(layout());
    add(&mut counts, &event(Category::Vcs), &[tool(5)], &[]);
    let good = counts.to_parts();
    let check = |change: &dyn Fn(&mut Vec<PartCounts>)| {
        let mut parts = good.clone();
        change(&mut parts);
        DayCounts::from_parts(layout(), &parts).map(|_| ())
    };
    assert_eq!(check(&|_| ()), Ok(()));
    assert_eq!(check(&|parts| parts.truncate(1)), Err(NotATable::Shape));
    assert_eq!(check(&|parts| parts[0].values.push(0)), Err(NotATable::Shape));
    assert_eq!(check(&|parts| parts.swap(0, 1)), Err(NotATable::Shape));
    let hour = Cell::Hour(9).value().unwrap();
    assert_eq!(check(&|parts| parts[0].values[hour] = 2), Err(NotATable::Partitions));
    assert_eq!(check(&|parts| parts[0].values[hour] = 1 << 40), Err(NotATable::Range));
    assert_eq!(check(&|parts| parts[0].values[2] = 1), Err(NotATable::Range));
    // The second chunk has eight tools: what stands behind them is nobody's.
    assert_eq!(check(&|parts| parts[3].values[95] = 1), Err(NotATable::Range));
    assert_eq!(check(&|parts| parts[0].marks[0] = 1), Err(NotATable::Marks));
    assert_eq!(check(&|parts| parts[0].marks[Part::Main.owners() - 1] = 2), Err(NotATable::Marks));
}

#[test]
fn other_numbers_have_another_hash() {
    let mut one = DayCounts::new(layout());
    let empty = one.hash();
    one.signal(Signal::Pattern);
    let signalled = one.hash();
    add(&mut one, &event(Category::Vcs), &[], &[]);
    assert!(empty != signalled && signalled != one.hash());
}
