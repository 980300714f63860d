//! What is asked about the daemon's log, and answered.

use karo_protocol::local::{Reply, Request};
use karo_protocol::logs::{LogEntry, LogFilter, LogSink, LogsAsk, LogsPage, Severity};

use super::at;

pub(crate) fn requests() -> Vec<(&'static str, Request)> {
    let filter = LogFilter {
        peer: Some("7a31-04c2".to_owned()),
        since: Some(at(1)),
        least: Some(Severity::Warn),
        event: Some("peer-connected".to_owned()),
    };
    let narrow = LogsAsk { filter, after: Some(70_000), newest: Some(100), waits: true };
    vec![("request-logs", Request::Logs(LogsAsk::default())), ("request-logs-narrow", Request::Logs(narrow))]
}

pub(crate) fn replies() -> Vec<(&'static str, Reply)> {
    let said = LogEntry {
        sequence: 70_001,
        at: at(2),
        severity: Severity::Info,
        event: Some("peer-connected".to_owned()),
        peer: Some("7a31-04c2".to_owned()),
        query: Some("7".to_owned()),
        message: "connected".to_owned(),
        fields: vec![("address".to_owned(), "10.77.0.2:9238".to_owned())],
    };
    let bare = LogEntry {
        sequence: 70_002,
        severity: Severity::Trace,
        event: None,
        peer: None,
        query: None,
        fields: Vec::new(),
        ..said.clone()
    };
    let page = |entries, sink| LogsPage { entries, cursor: 70_002, has_more: true, missed: 3, sink };
    vec![
        ("reply-logs", Reply::Logs(Box::new(page(vec![said, bare], LogSink::Journal)))),
        ("reply-logs-none", Reply::Logs(Box::new(page(Vec::new(), LogSink::Stderr)))),
    ]
}
