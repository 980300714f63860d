use karo_protocol::Micros;
use karo_protocol::node::{Hash, NodeId};

use super::*;
use crate::atom::counts::{CountedEvent, DayCounts};
use crate::atom::rule::visible;
use crate::atom::{OwnerSums, ValueSums, check, release};
use crate::group::tests::{group_of, member, rules, tool, tools};

const DAY: i32 = 20_000;

fn group(owners: usize) -> Arc<Group> {
    let mut file = group_of(owners);
    file.tools = tools(30);
    file.rules = rules(6);
    Arc::new(Group::check(Hash([9; 32]), file).expect("a group"))
}

/// Closes a day as two honest aggregators would: sums of marks, the mask, and sums of what it shows.
fn close(group: &Arc<Group>, day: i32, tables: &[DayCounts]) -> ClosedDay {
    let sum = |part, pick: &dyn Fn(&DayCounts) -> Vec<u128>, length: usize| {
        let mut sums = vec![0_u64; length];
        for table in tables {
            assert!(table.vectors(part).is_some());
            sums.iter_mut().zip(pick(table)).for_each(|(sum, own)| *sum += own as u64);
        }
        sums
    };
    let marks = |part: &karo_protocol::atom::Part| {
        sum(*part, &|table| table.vectors(*part).expect("a part").1, part.owners())
    };
    let owners = OwnerSums::new(group, group.parts().iter().map(marks).collect()).expect("sums of marks");
    let mask = visible(group, &owners);
    let values = |part: &karo_protocol::atom::Part| {
        let all = sum(*part, &|table| table.vectors(*part).expect("a part").0, part.values());
        mask.values(*part).into_iter().map(|place| all[place]).collect()
    };
    let values: Vec<Vec<u64>> = group.parts().iter().map(values).collect();
    let values = ValueSums::new(group, &mask, &values).expect("sums of values");
    let nodes: Vec<NodeId> = (0..tables.len()).map(|owner| member(owner).card.node).collect();
    let cohort = group.cohort(&nodes).expect("enough owners");
    let aggregators = group.aggregators(day).expect("two");
    let atom = release(group, day, aggregators, &cohort, &mask, &owners, &values);
    assert_eq!(check(group, &atom), Ok(()));
    ClosedDay { group: Arc::clone(group), atom: Arc::new(atom) }
}

/// One event of each kind that most owners have, `times` over.
fn table(group: &Group, times: u32, hours: &[u8]) -> DayCounts {
    let mut counts = DayCounts::new(Arc::clone(group.layout()));
    for hour in hours {
        for number in 0..times {
            let event = CountedEvent {
                category: if number % 2 == 0 { Category::Shell } else { Category::Vcs },
                risk: None,
                axis: None,
                exit: Some(i32::from(number % 4 == 3)),
                duration: Some(Micros(1023)),
                hour: *hour,
            };
            // Half of them run a tool that has a cell.
            let tools = if number % 8 < 4 { vec![tool(0), tool(5)] } else { Vec::new() };
            counts.add(&event, tools.into_iter(), std::iter::empty());
        }
    }
    counts
}

fn row<'a>(answered: &'a Answered, section: usize, name: &str) -> &'a AnswerRow {
    answered.sections[section].rows.iter().find(|row| row.name == name).expect(name)
}

fn ask(question: Question) -> Asked {
    Asked { question, days: DAY..DAY + 3, compare: true, not_looked_for: BTreeSet::new() }
}

/// Two days of eight owners, a day that was not closed, and one of the three days before.
fn closed() -> BTreeMap<i32, ClosedDay> {
    let group = group(12);
    let all = |times, owners: usize| vec![table(&group, times, &[9, 10]); owners];
    let mut quiet = all(8, 8);
    // One owner works at night, and nobody else does.
    quiet[3] = table(&group, 8, &[9, 10, 3]);
    BTreeMap::from([
        (DAY - 2, close(&group, DAY - 2, &all(4, 6))),
        (DAY, close(&group, DAY, &all(8, 12))),
        (DAY + 2, close(&group, DAY + 2, &quiet)),
    ])
}

#[test]
fn counts_of_days_are_added_and_bands_are_not() {
    let answered = answer(&ask(Question::ToolUsage), &closed());
    assert_eq!(
        (answered.covered.clone(), answered.covered_before.clone()),
        (vec![DAY, DAY + 2], Some(vec![DAY - 2]))
    );
    assert_eq!(answered.contributors, Some((8, 12)));
    let vcs = row(&answered, 0, "vcs");
    // For the sake of categories that nobody has, the first of equals is hidden: that is the shell's.
    assert!(answered.sections[0].rows.iter().all(|row| row.name != "shell"));
    assert_eq!((vcs.count, vcs.failed, vcs.failed_of), (Some(12 * 8 + 8 * 8 + 4), Some(82), Some(164)));
    assert_eq!((vcs.owners, vcs.hidden_days, vcs.before), (Band::Ten, 0, Some(24)));
    // ⌊log2(1024)⌋ is 10, and a half more is the mean of what was cut.
    assert_eq!(vcs.mean_us, Some(1447));
    let git = row(&answered, 1, tool(5));
    assert_eq!((git.category, git.owners), (Some(Category::Vcs), Band::Ten));
}

#[test]
fn a_night_of_one_owner_is_not_told() {
    let answered = answer(&ask(Question::Activity), &closed());
    assert!(answered.sections[0].rows.iter().all(|row| row.name != "03"));
    let [nine, ten] = ["09", "10"].map(|hour| {
        answered.sections[0].rows.iter().find(|row| row.name == hour).map(|row| (row.count, row.hidden_days))
    });
    // Each day has hours in which nobody works: one of the two that have owners covers them.
    assert_eq!((nine, ten), (None, Some((Some(12 * 8 + 8 * 8), 0))));
    let days: Vec<_> =
        answered.sections[1].rows.iter().map(|row| (&*row.name, row.count, row.before)).collect();
    // A day is told by its categories: which hour an event fell into does not take it away.
    assert_eq!(days, [("2024-10-04", Some(96), None), ("2024-10-06", Some(68), None)]);
}

#[test]
fn an_answer_says_what_is_not_in_it() {
    let answered = answer(&ask(Question::Activity), &closed());
    assert_eq!(
        answered.not_in_it[..2],
        [
            "1 of 3 days were not closed: 2024-10-05.",
            "On 1 day some owners gave no numbers: at the fewest 8 of 12 did."
        ]
    );
    let nothing = answer(&ask(Question::SafetyPosture), &BTreeMap::new());
    assert_eq!((nothing.covered.len(), nothing.contributors), (0, None));
    assert_eq!(nothing.not_in_it[0], "3 of 3 days were not closed: 2024-10-04 to 2024-10-06.");
    // What was not looked for may well be closed.
    let asked = Asked { not_looked_for: BTreeSet::from([DAY, DAY + 2]), ..ask(Question::SafetyPosture) };
    let nothing = answer(&asked, &BTreeMap::new());
    assert_eq!(nothing.not_in_it[0], "1 of 3 days were not closed: 2024-10-05.");
    assert!(nothing.not_in_it[1].starts_with("2 of 3 days are not here, "), "{:?}", nothing.not_in_it);
    assert!(nothing.not_in_it[1].contains("2024-10-04, 2024-10-06. What"), "{:?}", nothing.not_in_it);
    assert!(nothing.sections.iter().all(|section| section.rows.is_empty() && section.coverage_ppm.is_none()));
}

#[test]
fn risk_is_told_worst_first_with_its_coverage() {
    let group = group(8);
    let mut tables = vec![table(&group, 10, &[9]); 8];
    for (owner, table) in tables.iter_mut().enumerate() {
        for (level, axis, owners) in
            [(Risk::High, Axis::Threat, 8), (Risk::Low, Axis::Hazard, 7), (Risk::Low, Axis::Threat, 6)]
        {
            let event = CountedEvent {
                category: Category::Network,
                risk: Some(level),
                axis: Some(axis),
                exit: Some(0),
                duration: None,
                hour: 9,
            };
            if owner < owners {
                table.add(&event, std::iter::empty(), ["rule03", "rule01"].into_iter());
            }
        }
    }
    let closed = BTreeMap::from([(DAY, close(&group, DAY, &tables))]);
    let answered = answer(&ask(Question::SafetyPosture), &closed);
    let rows: Vec<_> = answered.sections[0].rows.iter().map(|row| (&*row.name, row.count)).collect();
    assert_eq!(rows, [("high threat", Some(8)), ("low hazard", Some(7)), ("none", Some(80))]);
    assert_eq!((answered.sections[0].hidden, answered.sections[0].coverage_ppm), (13, Some(157_894)));
    // Both levels have axes that are hidden, and none of their rules has a cover among the rules.
    assert_eq!(answered.sections[1].rows, []);
}

#[test]
fn signals_are_bands_of_owners() {
    let group = group(12);
    let mut tables = vec![table(&group, 4, &[9]); 12];
    tables[..10].iter_mut().for_each(|table| table.signal(Signal::Hours));
    tables[..4].iter_mut().for_each(|table| table.signal(Signal::Pattern));
    let closed = BTreeMap::from([(DAY, close(&group, DAY, &tables))]);
    let answered = answer(&ask(Question::Anomalies), &closed);
    let rows: Vec<_> =
        answered.sections[0].rows.iter().map(|row| (&*row.name, row.count, row.owners)).collect();
    assert_eq!(rows, [("unusual-hours", None, Band::Ten)]);
    assert_eq!(answered.sections[0].hidden, 4);
}

#[test]
fn days_have_dates() {
    for (day, text) in [
        (0, "1970-01-01"),
        (-1, "1969-12-31"),
        (11_016, "2000-02-29"),
        (20_776, "2026-11-19"),
        (-719_468, "0000-03-01"),
    ] {
        assert_eq!(date(day), text);
    }
    assert_eq!(dates(&[0, 1, 2, 4, 6, 7]), "1970-01-01 to 1970-01-03, 1970-01-05, 1970-01-07 to 1970-01-08");
    assert_eq!(
        dates(&[0, 2, 4, 6, 8, 10]),
        "1970-01-01, 1970-01-03, 1970-01-05, 1970-01-07, 1970-01-09 and others"
    );
}

/// A group whose file changes keeps its lines: a tool is the same whatever its place among those that have cells.
#[test]
fn days_of_two_files_are_one_answer() {
    let mut file = group_of(8);
    file.tools = vec![tools(30)[5].clone()];
    let other = Arc::new(Group::check(Hash([8; 32]), file).expect("a group"));
    let closed: BTreeMap<i32, ClosedDay> = [(DAY, group(8)), (DAY + 1, other)]
        .into_iter()
        .map(|(day, group)| (day, close(&group, day, &vec![table(&group, 8, &[9, 10]); 8])))
        .collect();
    let answered = answer(&ask(Question::ToolUsage), &closed);
    let alone = |day: i32| answer(&Asked { days: day..day + 1, ..ask(Question::ToolUsage) }, &closed);
    let count = |answered: &Answered| row(answered, 1, tool(5)).count.expect("it is shown");
    assert_eq!(count(&answered), count(&alone(DAY)) + count(&alone(DAY + 1)));
    assert_eq!(row(&answered, 1, tool(5)).hidden_days, 0);
}
