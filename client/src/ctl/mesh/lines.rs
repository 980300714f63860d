//! An answer about a group for scripts: one object with everything, or a line of CSV for each line of it.

use std::borrow::Cow;

use karo_protocol::answer::{AnswerRow, MeshAnswer, Section, Status};
use karo_protocol::atom::Band;
use serde_json::{Map, Value, json};

use crate::ctl::exit::Trouble;
use crate::ctl::scene::Scene;
use crate::ctl::{csv, days};

/// Names of the columns of CSV.
const COLUMNS: [&str; 11] = [
    "section",
    "name",
    "category",
    "count",
    "failed",
    "failed_of",
    "share",
    "mean_ms",
    "owners_at_least",
    "hidden_days",
    "before",
];

/// Returns the answer as one object.
pub(super) fn to_json(answer: &MeshAnswer) -> Value {
    let day = |day: &i32| days::iso(*day);
    let covered: Vec<String> = answer.covered.iter().map(day).collect();
    let covered_before =
        answer.covered_before.as_ref().map(|covered| covered.iter().map(day).collect::<Vec<_>>());
    json!({
        "question": answer.question.name(),
        "group": answer.group,
        "group_id": answer.group_id.to_string(),
        "zone": answer.zone,
        "first_day": days::iso(answer.since_day),
        "last_day": days::iso(answer.until_day.saturating_sub(1)),
        "covered": covered,
        "is_covered": super::is_covered(answer),
        "newest": answer.newest.map(days::iso),
        "contributors_least": answer.contributors.map(|(least, _)| least),
        "contributors_most": answer.contributors.map(|(_, most)| most),
        "owners": answer.owners,
        "smallest_cohort": answer.smallest_cohort,
        "sections": answer.sections.iter().map(section).collect::<Vec<_>>(),
        "covered_before": covered_before,
        "statuses": statuses(&answer.statuses),
        "silent": answer.silent,
        "not_in_it": answer.not_in_it,
    })
}

/// Returns the number of each status, zero among them, so that a script need not ask which keys are there.
fn statuses(found: &[(Status, u32)]) -> Value {
    let count = |status: Status| {
        found.iter().filter(|(of, _)| *of == status).map(|(_, count)| u64::from(*count)).sum::<u64>()
    };
    Value::Object(
        Status::ALL
            .iter()
            .map(|status| (status.name().to_owned(), count(*status).into()))
            .collect::<Map<_, _>>(),
    )
}

fn section(section: &Section) -> Value {
    json!({
        "name": section.name,
        "rows": section.rows.iter().map(row).collect::<Vec<_>>(),
        "hidden": section.hidden,
        "coverage": section.coverage_ppm.map(fraction),
    })
}

fn row(row: &AnswerRow) -> Value {
    json!({
        "name": row.name,
        "category": row.category.map(karo_protocol::Category::name),
        "count": row.count,
        "failed": row.failed,
        "failed_of": row.failed_of,
        "share": row.share_ppm.map(fraction),
        "mean_ms": row.mean_us.map(millis),
        "owners_at_least": owners(row.owners),
        "hidden_days": row.hidden_days,
        "before": row.before,
    })
}

fn fraction(ppm: u32) -> f64 {
    f64::from(ppm) / 1_000_000.0
}

fn millis(us: u64) -> f64 {
    us as f64 / 1000.0
}

/// Returns the least number of people; nothing where there are too few to say.
fn owners(band: Band) -> Option<u16> {
    (band != Band::Hidden).then(|| band.least())
}

/// Writes the lines of all tables below a line of names.
pub(super) fn write_csv(scene: &mut Scene, answer: &MeshAnswer) -> Result<(), Trouble> {
    csv::write_line(&mut scene.out, &COLUMNS.map(Cow::from), false)?;
    for section in &answer.sections {
        for row in &section.rows {
            csv::write_line(&mut scene.out, &cells(section, row), scene.is_terminal)?;
        }
    }
    Ok(())
}

fn cells<'a>(section: &'a Section, row: &'a AnswerRow) -> [Cow<'a, str>; 11] {
    fn maybe<T: ToString>(value: Option<T>) -> Cow<'static, str> {
        value.map_or(Cow::from(""), |value| value.to_string().into())
    }
    [
        Cow::from(section.name.as_str()),
        row.name.as_str().into(),
        row.category.map_or("", karo_protocol::Category::name).into(),
        maybe(row.count),
        maybe(row.failed),
        maybe(row.failed_of),
        maybe(row.share_ppm.map(fraction)),
        maybe(row.mean_us.map(millis)),
        maybe(owners(row.owners)),
        row.hidden_days.to_string().into(),
        maybe(row.before),
    ]
}
