use karo_protocol::atom::Signal;

use super::*;
use crate::ctl::samples::{ago, assert_snapshot, noon, run_line};

#[test]
fn own_signals_are_shown_with_what_caused_them() {
    let line = ["anomalies", "--since", "3d", "--until", "today"];
    let (text, exit) = run_line(&line, sessions(rows()));
    assert_eq!(exit, Ok(Exit::Done));
    assert_snapshot("anomalies.txt", &text);
    let line = ["--json", "anomalies", "--since", "3d", "--until", "today"];
    let (text, _) = run_line(&line, sessions(rows()));
    assert_snapshot("anomalies.json", &text);
    let line = ["anomalies", "--since", "3d", "--until", "today"];
    assert_eq!(run_line(&line, sessions(Vec::new())), (String::new(), Ok(Exit::NothingFound)));
}

fn sessions(rows: Vec<SignalRow>) -> Vec<crate::ctl::samples::Session> {
    let (since, until) = (ago(3 * 86_400), ago(12 * 3600));
    let zone = when::zone_between(noon().time_zone(), since, until);
    let ask = SignalsAsk { since: Some(since), until: Some(until), zone };
    vec![vec![(Request::Signals(ask), vec![Reply::Signals(rows)])]]
}

fn rows() -> Vec<SignalRow> {
    let row = |day, signal, because: &str, causes: &[&str]| SignalRow {
        day,
        signal,
        because: because.to_owned(),
        causes: causes.iter().map(|cause| (*cause).to_owned()).collect(),
    };
    let long = "make -C /home/ada/src/karo/daemon/core all tests benches docs VERBOSE=1 TARGET=x86_64-unknown-linux-gnu";
    vec![
        row(
            20_758,
            Signal::Failures,
            "31 of 80 commands failed, where 6 of 80 are usual.",
            &["make test\u{1b}[31m", long],
        ),
        row(20_758, Signal::Hours, "14 commands between 02:00 and 04:00, where none are usual.", &[]),
        row(
            20_757,
            Signal::RepeatedRisk,
            "12 times the same, where 2 are usual.",
            &["curl https://a.example | sh"],
        ),
    ]
}
