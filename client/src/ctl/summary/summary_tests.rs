use karo_protocol::group::ToolName;
use karo_protocol::local::{End, Failure, FailureCode};
use karo_protocol::policy::{PolicyPreview, PreviewedObject};
use karo_protocol::summary::{Summary, Sums};
use karo_protocol::{Axis, Bytes, Category, Risk};

use super::*;
use crate::ctl::samples::{ago, assert_snapshot, run_line};

#[test]
fn own_days_are_a_line_each() {
    let rows = vec![own(day(12, 300, 12)), own(day(36, 0, 0))];
    let (text, exit) = run_line(&["summary"], session(ask(SummaryOf::Own), rows));
    assert_eq!(exit, Ok(Exit::Done));
    assert_snapshot("summary.txt", &text);
}

#[test]
fn everything_in_a_summary_is_shown_where_it_is_asked_for() {
    let week = Summary {
        period: Period::Weekly,
        risks: Some(vec![(Risk::Informational, None, 1), (Risk::High, Some(Axis::Exposure), 40)]),
        ..day(12 + 24 * 7, 12_345, 617)
    };
    let limited = Summary { period: Period::Hourly, tools: Vec::new(), risks: None, ..day(12, 7, 0) };
    let sent =
        SummaryRow { peer: Some("desk\u{1b}".to_owned()), at: Some(ago(60)), is_taken: true, summary: week };
    let rows = vec![sent, own(limited)];
    let asked = SummaryAsk { periods: vec![Period::Weekly, Period::Hourly], ..ask(SummaryOf::Sent(None)) };
    let line = ["summary", "sent", "--period", "weekly", "--period", "hourly", "--full"];
    let (text, exit) = run_line(&line, session(asked, rows));
    assert_eq!(exit, Ok(Exit::Done));
    assert_snapshot("summary-full.txt", &text);
}

#[test]
fn what_went_to_whom_is_a_table() {
    let to = |peer: &str, is_taken| SummaryRow {
        peer: Some(peer.to_owned()),
        at: Some(ago(86_400 + 60)),
        is_taken,
        summary: day(36, 300, 12),
    };
    let rows = || vec![to("desk", true), to("laptop", false)];
    let asked = || ask(SummaryOf::Received(Some("desk".to_owned())));
    let (text, _) = run_line(&["summary", "received", "desk"], session(asked(), rows()));
    assert_snapshot("summary-received.txt", &text);
    let (text, _) = run_line(&["--json", "summary", "received", "desk"], session(asked(), rows()));
    assert_snapshot("summary-received.json", &text);
}

#[test]
fn a_peer_is_asked_and_its_refusal_is_said_as_it_is() {
    let asked = SummaryAsk { since: Some(ago(2 * 86_400)), ..ask(SummaryOf::From("desk".to_owned())) };
    let line = ["summary", "ask", "desk", "--since", "2d"];
    let (text, exit) = run_line(&line, session(asked.clone(), Vec::new()));
    assert_eq!((text.as_str(), exit), ("", Ok(Exit::NothingFound)));
    let failure = Failure { code: FailureCode::Refused, message: "desk tells you nothing".to_owned() };
    let (_, exit) = run_line(&line, vec![vec![(Request::Summaries(asked), vec![Reply::Failure(failure)])]]);
    assert_eq!(exit, Err(Trouble::refused("desk tells you nothing")));
}

#[test]
fn a_preview_shows_the_exact_bytes() {
    let preview = || PolicyPreview {
        peer: "desk".to_owned(),
        nothing_because: None,
        objects: vec![PreviewedObject {
            goes_at: ago(-12 * 3600),
            summary: day(12, 300, 12),
            bytes: Bytes(b"the exact bytes, \x00\xff\x1b[31m and no others".to_vec()),
        }],
    };
    let sessions = |preview| {
        let reply = Reply::PolicyPreview(Box::new(preview));
        vec![vec![(Request::PolicyPreview("desk".to_owned()), vec![reply])]]
    };
    let (text, exit) = run_line(&["summary", "preview", "desk"], sessions(preview()));
    assert_eq!(exit, Ok(Exit::Done));
    assert_snapshot("summary-preview.txt", &text);
    let (same, _) = run_line(&["policy", "preview", "desk"], sessions(preview()));
    assert_eq!(same, text);
    let (text, _) = run_line(&["--json", "summary", "preview", "desk"], sessions(preview()));
    assert_snapshot("summary-preview.json", &text);
    let nothing = PolicyPreview {
        nothing_because: Some("its trust is member".to_owned()),
        objects: Vec::new(),
        ..preview()
    };
    let (text, exit) = run_line(&["summary", "preview", "desk"], sessions(nothing));
    assert_eq!((text.as_str(), exit), ("desk gets nothing: its trust is member\n", Ok(Exit::NothingFound)));
}

#[test]
fn options_that_mean_nothing_are_refused() {
    for line in [
        &["summary", "preview", "desk", "--period", "daily"][..],
        &["summary", "--since", "2d", "--until", "3d"],
        &["summary", "--since", "soon"],
    ] {
        let (_, exit) = run_line(line, vec![]);
        assert_eq!(exit.map_err(|trouble| trouble.exit), Err(Exit::Usage), "{line:?}");
    }
}

fn session(ask: SummaryAsk, rows: Vec<SummaryRow>) -> Vec<crate::ctl::samples::Session> {
    let end = End { count: rows.len() as u64, partial_since: None, unreadable: 0 };
    vec![vec![(Request::Summaries(ask), vec![Reply::Summaries(rows), Reply::End(end)])]]
}

/// What is asked for when nothing is said: days of the last week.
fn ask(of: SummaryOf) -> SummaryAsk {
    let since = Some(ago(7 * 86_400 + 12 * 3600));
    SummaryAsk { of, periods: vec![Period::Daily], since, until: None }
}

fn own(summary: Summary) -> SummaryRow {
    SummaryRow { peer: None, at: None, is_taken: false, summary }
}

/// A day that began that many hours before noon.
fn day(hours_ago: i64, count: u64, failed: u64) -> Summary {
    let sums = |count, failed| Sums { count, failed, mean_us: Some(70_000) };
    // Only the core makes a name of a recorded one; this is one as it comes off the wire.
    let tool =
        |name: &str| -> ToolName { serde_json::from_value(name.into()).expect("it has the form of one") };
    Summary {
        period: Period::Daily,
        start: ago(hours_ago * 3600),
        end: ago((hours_ago - 24) * 3600),
        offset_s: 3600,
        version: 2,
        total: sums(count, failed),
        categories: vec![(Category::Shell, sums(count / 3, 0)), (Category::Vcs, sums(count * 2 / 3, failed))],
        tools: vec![
            (tool("cd"), Category::Shell, sums(count / 3, 0)),
            (tool("git"), Category::Vcs, sums(count / 2, failed)),
        ],
        hours: (0..24_u32)
            .map(|hour| if (8..18).contains(&hour) { count as u32 / 10 + hour } else { 0 })
            .collect(),
        weekdays: vec![10, 20, 30, 40, 50, 0, 0],
        risks: Some(Vec::new()),
        is_limited: false,
    }
}
