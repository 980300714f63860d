use karo_protocol::answer::{AnswerRow, Health, HealthRow, Section, Status};
use karo_protocol::atom::Band;
use karo_protocol::local::{End, Failure, FailureCode, Rule, RulesPage};
use karo_protocol::node::Hash;
use karo_protocol::{Axis, Category, Risk};

use super::*;
use crate::ctl::days;
use crate::ctl::samples::{ago, assert_snapshot, noon, run_line};
use crate::ctl::table::{DIM, PLAIN, RED, Surface, YELLOW};

#[test]
fn tools_are_told_with_bars_changes_and_what_is_missing() {
    let line = ["query", "--mesh", "tool-usage", "--since", "7d", "--compare", "previous", "--who"];
    let asked = MeshQuery { since: Some(ago(7 * 86_400)), compare: true, ..query(Question::ToolUsage) };
    let (text, exit) = ask(&line, asked, tool_usage(), vec![]);
    assert_eq!(exit, Ok(Exit::NotCovered));
    assert_snapshot("mesh-tool-usage.txt", &text);
}

#[test]
fn risk_is_told_with_the_titles_of_rules() {
    let known = vec![(
        Request::Rules(()),
        vec![
            Reply::Rules(RulesPage { rules: vec![rule()], ..RulesPage::default() }),
            Reply::End(End { count: 1, partial_since: None, unreadable: 0 }),
        ],
    )];
    let line = ["query", "--mesh", "safety-posture", "--group", "platform"];
    let asked = MeshQuery { group: Some("platform".to_owned()), ..query(Question::SafetyPosture) };
    let (text, exit) = ask(&line, asked, posture(), known);
    assert_eq!(exit, Ok(Exit::Done));
    assert_snapshot("mesh-safety-posture.txt", &text);
}

#[test]
fn work_is_told_by_hour_and_by_day() {
    let (text, exit) = ask(&["query", "--mesh", "activity"], query(Question::Activity), activity(), vec![]);
    assert_eq!(exit, Ok(Exit::Done));
    assert_snapshot("mesh-activity.txt", &text);
}

#[test]
fn unusual_days_are_a_band_of_people_and_never_a_number() {
    let (text, exit) =
        ask(&["query", "--mesh", "anomalies"], query(Question::Anomalies), anomalies(), vec![]);
    assert_eq!(exit, Ok(Exit::Done));
    assert_snapshot("mesh-anomalies.txt", &text);
}

#[test]
fn a_group_without_a_closed_day_says_so() {
    let (text, exit) = ask(&["query", "--mesh", "activity"], query(Question::Activity), nothing(), vec![]);
    assert_eq!(exit, Ok(Exit::NotCovered));
    assert_snapshot("mesh-nothing.txt", &text);
}

#[test]
fn json_has_everything_in_these_keys() {
    let asked = query(Question::ToolUsage);
    let (text, exit) = ask(&["--json", "query", "--mesh", "tool-usage"], asked, tool_usage(), vec![]);
    assert_eq!(exit, Ok(Exit::NotCovered));
    assert_snapshot("mesh.json", &text);
}

#[test]
fn colours_change_no_word() {
    let surface = |has_colour| Surface { columns: Some(80), has_colour, now: noon(), home: None };
    for answer in [tool_usage(), posture(), activity(), anomalies(), nothing()] {
        let text = |has_colour| answer::text(&surface(has_colour), &answer, &BTreeMap::new(), true);
        let coloured = text(true);
        assert!(coloured.contains(DIM) && coloured.matches('\u{1b}').count() % 2 == 0, "{coloured:?}");
        let plain = [DIM, RED, YELLOW, PLAIN].iter().fold(coloured, |text, colour| text.replace(colour, ""));
        assert_eq!(plain, text(false));
    }
}

#[test]
fn csv_has_a_line_for_each_line() {
    let asked = query(Question::ToolUsage);
    let line = ["query", "--mesh", "tool-usage", "--format", "csv"];
    let (text, exit) = ask(&line, asked, tool_usage(), vec![]);
    assert_eq!(exit, Ok(Exit::NotCovered));
    assert_snapshot("mesh.csv", &text);
}

#[test]
fn health_is_a_line_for_each_machine() {
    let sessions = || vec![vec![(Request::MeshHealth(()), vec![Reply::Health(health())])]];
    let (text, exit) = run_line(&["query", "--mesh", "health"], sessions());
    assert_eq!(exit, Ok(Exit::NotCovered));
    assert_snapshot("mesh-health.txt", &text);
    let (text, _) = run_line(&["--json", "query", "--mesh", "health"], sessions());
    assert_snapshot("mesh-health.json", &text);
    let (text, _) = run_line(&["query", "--mesh", "health", "--format", "csv"], sessions());
    assert_eq!(
        text.lines().nth(1),
        Some("desk,success,karod 0.1.0,2026-11-02T11:00:00.000Z,-0.005,true,false,2,3,true")
    );
}

#[test]
fn what_the_daemon_refuses_is_said_as_it_says_it() {
    let failure =
        Failure { code: FailureCode::Refused, message: "there are several groups: a, b".to_owned() };
    let sessions = vec![vec![(Request::MeshQuery(query(Question::Activity)), vec![Reply::Failure(failure)])]];
    let (text, exit) = run_line(&["query", "--mesh", "activity"], sessions);
    assert_eq!((text.as_str(), exit), ("", Err(Trouble::refused("there are several groups: a, b"))));
}

#[test]
fn a_group_takes_no_options_about_ones_own_commands() {
    for line in [
        &["query", "--mesh", "activity", "ssh"][..],
        &["query", "--mesh", "activity", "--failed"],
        &["query", "--mesh", "activity", "--limit", "3"],
        &["query", "--mesh", "activity", "--user", "ada"],
        &["query", "--mesh", "who-is-slow"],
        &["query", "--group", "platform"],
        &["query", "--who"],
    ] {
        assert!(super::super::cli::parse_from(line).is_err(), "{line:?}");
    }
    for line in [
        &["query", "--mesh", "activity", "--format", "text"][..],
        &["query", "--mesh", "health", "--since", "2d"],
        &["query", "--mesh", "activity", "--since", "2d", "--until", "3d"],
        &["query", "--mesh", "activity", "--since", "soon"],
    ] {
        let (_, exit) = run_line(line, vec![]);
        assert_eq!(exit.map_err(|trouble| trouble.exit), Err(Exit::Usage), "{line:?}");
    }
}

/// Asks a group in a session that goes on as that says.
fn ask(
    line: &[&str],
    asked: MeshQuery,
    answer: MeshAnswer,
    more: Vec<(Request, Vec<Reply>)>,
) -> (String, Result<Exit, Trouble>) {
    let mut session = vec![(Request::MeshQuery(asked), vec![Reply::Answer(Box::new(answer))])];
    session.extend(more);
    run_line(line, vec![session])
}

fn query(question: Question) -> MeshQuery {
    MeshQuery { question, group: None, since: None, until: None, compare: false }
}

const LAST: i32 = 20_776;

fn answer(question: Question, sections: Vec<Section>) -> MeshAnswer {
    MeshAnswer {
        question,
        group: "platform".to_owned(),
        group_id: Hash([0xab; 32]),
        zone: "Europe/Berlin".to_owned(),
        since_day: LAST - 6,
        until_day: LAST + 1,
        covered: (LAST - 6..=LAST).collect(),
        newest: Some(LAST),
        contributors: Some((12, 12)),
        owners: 12,
        smallest_cohort: 8,
        sections,
        covered_before: None,
        statuses: Vec::new(),
        silent: Vec::new(),
        not_in_it: vec![
            "Commands whose outcome is unknown, and what an owner's policy keeps back, are not counted."
                .to_owned(),
        ],
    }
}

fn section(name: &str, rows: Vec<AnswerRow>, hidden: u32) -> Section {
    Section { name: name.to_owned(), rows, hidden, coverage_ppm: None }
}

fn row(name: &str, count: u64, of: u64, owners: Band) -> AnswerRow {
    AnswerRow {
        name: name.to_string(),
        category: None,
        count: Some(count),
        failed: None,
        failed_of: None,
        share_ppm: Some((count * 1_000_000 / of) as u32),
        mean_us: None,
        owners,
        hidden_days: 0,
        before: None,
    }
}

/// An answer with everything that can be said of it: days without numbers, hidden lines, silent members.
fn tool_usage() -> MeshAnswer {
    let used = |name: &str, count: u64, failed: u64, mean_us: u64, before: Option<u64>, owners| AnswerRow {
        failed: Some(failed),
        failed_of: Some(count),
        mean_us: Some(mean_us),
        before,
        ..row(name, count, 20_000, owners)
    };
    let categories = vec![
        used("vcs", 9_120, 182, 70_000, Some(7_000), Band::Ten),
        used("build", 6_400, 1_920, 12_400_000, Some(9_100), Band::Ten),
        AnswerRow { hidden_days: 2, ..used("container", 2_480, 248, 3_100_000, None, Band::Five) },
        AnswerRow {
            failed: None,
            failed_of: None,
            mean_us: None,
            ..used("network", 2_000, 0, 0, Some(1_430), Band::Five)
        },
    ];
    let tool = |category, row| AnswerRow { category: Some(category), ..row };
    let tools = vec![
        tool(Category::Vcs, used("git", 9_000, 180, 68_000, Some(6_900), Band::Ten)),
        tool(Category::Build, used("other", 1_000, 30, 900_000, Some(714), Band::Five)),
    ];
    MeshAnswer {
        covered: vec![LAST - 6, LAST - 5, LAST - 4, LAST - 3, LAST],
        contributors: Some((9, 12)),
        covered_before: Some((LAST - 13..LAST - 6).collect()),
        statuses: vec![(Status::NoData, 6), (Status::NoResponse, 2)],
        silent: vec!["desk".to_owned(), "lab\u{1b}".to_owned()],
        not_in_it: vec![
            "2 of 7 days were not closed: 2026-11-17 to 2026-11-18.".to_owned(),
            "On 4 days some owners gave no numbers: at the fewest 9 of 12 did.".to_owned(),
            "What fewer than five owners did is hidden, and at times one line more, so that it cannot be calculated."
                .to_owned(),
        ],
        ..answer(Question::ToolUsage, vec![section("categories", categories, 4), section("tools", tools, 1)])
    }
}

fn posture() -> MeshAnswer {
    let risk = vec![
        row("high exposure", 40, 20_000, Band::Five),
        row("medium hazard", 560, 20_000, Band::Ten),
        row("none", 19_400, 20_000, Band::Ten),
    ];
    let rules = vec![row(RULE, 38, 598, Band::Five), row("other medium", 560, 598, Band::Ten)];
    let risk = Section { coverage_ppm: Some(30_000), ..section("risk", risk, 13) };
    answer(Question::SafetyPosture, vec![risk, section("rules", rules, 0)])
}

const RULE: &str = "8a5acc94-fd2d-43b5-99a6-be31ef92ad05";

fn rule() -> Rule {
    Rule {
        id: RULE.to_owned(),
        title: "A secret is on the command line".to_owned(),
        level: Risk::High,
        axis: Axis::Exposure,
        tags: Vec::new(),
        file: "secret-in-line/rule.yml".to_owned(),
    }
}

fn activity() -> MeshAnswer {
    let count = |hour: u64| 100 + 190 * (6 - hour.abs_diff(14).min(6));
    let hours = (7..20).map(|hour| row(&format!("{hour:02}"), count(hour), 9_000, Band::Ten)).collect();
    let day = |day: i32| row(&days::iso(day), 1_000 + day.unsigned_abs() as u64 % 7 * 100, 9_000, Band::Ten);
    let days = (LAST - 6..=LAST).map(day).collect();
    answer(Question::Activity, vec![section("hours", hours, 11), section("days", days, 0)])
}

fn anomalies() -> MeshAnswer {
    let signal = |name: &str, owners| AnswerRow { count: None, share_ppm: None, ..row(name, 0, 1, owners) };
    let rows = vec![signal("unusual-hours", Band::Ten), signal("failure-rate", Band::Five)];
    answer(Question::Anomalies, vec![section("signals", rows, 3)])
}

fn nothing() -> MeshAnswer {
    MeshAnswer {
        covered: Vec::new(),
        newest: None,
        contributors: None,
        not_in_it: vec!["7 of 7 days were not closed: 2026-11-13 to 2026-11-19.".to_owned()],
        ..answer(Question::Activity, vec![section("hours", vec![], 24), section("days", vec![], 0)])
    }
}

fn health() -> Vec<HealthRow> {
    let well = Health {
        program: "karod 0.1.0".to_owned(),
        now: ago(0),
        is_accepting: true,
        is_damaged: false,
        links: (2, 3),
        is_witnessed: true,
    };
    let ill = Health { is_accepting: false, is_witnessed: false, ..well.clone() };
    let row =
        |name: &str, status, health, skew_us| HealthRow { name: name.to_owned(), status, health, skew_us };
    vec![
        row("desk", Status::Success, Some(well), Some(-5)),
        row("lab", Status::Success, Some(ill), Some(75_000_000)),
        row("laptop", Status::AccessDenied, None, None),
        row("old-box", Status::NoResponse, None, None),
    ]
}
