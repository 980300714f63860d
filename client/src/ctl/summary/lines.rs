//! Summaries for scripts: an object a line, with everything.

use karo_protocol::answer::SummaryRow;
use karo_protocol::summary::{Summary, Sums};
use serde_json::{Value, json};

use crate::ctl::when;

/// Returns a summary with from or to whom it went.
pub(super) fn row(row: &SummaryRow) -> Value {
    json!({
        "peer": row.peer,
        "at": row.at.map(|at| when::rfc3339(at, 3)),
        "taken": row.is_taken,
        "summary": to_json(&row.summary),
    })
}

/// Returns what a summary says.
pub fn to_json(summary: &Summary) -> Value {
    let categories = summary.categories.iter().map(|(category, found)| named(category.name(), *found));
    let tools = summary.tools.iter().map(|(tool, category, found)| {
        let mut object = named(tool.as_str(), *found);
        object["category"] = category.name().into();
        object
    });
    let risks = summary.risks.as_ref().map(|risks| {
        let risk = |(level, axis, count): &(_, Option<karo_protocol::Axis>, u64)| {
            let level: &karo_protocol::Risk = level;
            json!({ "level": level.name(), "axis": axis.map(karo_protocol::Axis::name), "count": count })
        };
        risks.iter().map(risk).collect::<Vec<_>>()
    });
    json!({
        "period": summary.period.name(),
        "start": when::rfc3339(summary.start, 3),
        "end": when::rfc3339(summary.end, 3),
        "offset_s": summary.offset_s,
        "version": summary.version,
        "total": sums(summary.total),
        "categories": categories.collect::<Vec<_>>(),
        "tools": tools.collect::<Vec<_>>(),
        "hours": summary.hours,
        "weekdays": summary.weekdays,
        "risks": risks,
        "limited": summary.is_limited,
    })
}

fn sums(Sums { count, failed, mean_us }: Sums) -> Value {
    json!({ "count": count, "failed": failed, "mean_ms": mean_us.map(|us| us as f64 / 1000.0) })
}

fn named(name: &str, found: Sums) -> Value {
    let mut object = sums(found);
    object["name"] = name.into();
    object
}
