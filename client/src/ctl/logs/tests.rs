//! Whole outputs, from a daemon and from a journal that are played.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use karo_protocol::Timestamp;
use karo_protocol::local::{Failure, FailureCode};
use karo_protocol::logs::Severity;

use super::*;
use crate::ctl::samples::{
    Session, Written, ago, assert_snapshot, noon, peer, quiet_scene, run_in, scene, scene_of,
};
use crate::ctl::table::Surface;
use crate::fake::{FakeDaemon, FakeSession};

fn entries() -> Vec<LogEntry> {
    let entry = |seconds, severity, event: &str, message: &str| LogEntry {
        sequence: 1,
        at: ago(seconds),
        severity,
        event: Some(event.to_owned()).filter(|event| !event.is_empty()),
        peer: None,
        query: None,
        message: message.to_owned(),
        fields: Vec::new(),
    };
    let accepting = LogEntry {
        fields: vec![
            ("data".to_owned(), "/home/ada/.local/share/karo".to_owned()),
            ("socket".to_owned(), "/run/user/1000/karo/karod.sock".to_owned()),
        ],
        ..entry(86_400, Severity::Info, "accepting", "accepting")
    };
    let fingerprint = peer().fingerprint.to_string();
    let paired =
        LogEntry { peer: Some(fingerprint.clone()), ..entry(90, Severity::Notice, "paired", "paired") };
    let twice = LogEntry {
        peer: Some(fingerprint),
        fields: vec![("older".to_owned(), "10.0.0.2:9238\u{1b}[31m".to_owned())],
        ..entry(
            60,
            Severity::Error,
            "peer-twice",
            "two daemons live with the key of this peer; both links are down",
        )
    };
    let slow = entry(30, Severity::Warn, "stop-incomplete", "missed its deadline");
    let debug = LogEntry { query: Some("7".to_owned()), ..entry(2, Severity::Debug, "", "an answer came") };
    vec![accepting, paired, twice, slow, debug]
}

fn page(entries: Vec<LogEntry>, sink: LogSink) -> Vec<Reply> {
    vec![Reply::Logs(Box::new(LogsPage { entries, cursor: 7, has_more: false, missed: 0, sink }))]
}

fn asked(ask: LogsAsk) -> Request {
    Request::Logs(ask)
}

fn nothing() -> LogsAsk {
    LogsAsk { newest: Some(0), ..LogsAsk::default() }
}

/// Runs a line before a daemon that logs there and expects this, with that journal.
fn run_with(line: &[&str], session: Session, journal: Option<PathBuf>) -> (String, Result<Exit, Trouble>) {
    let (daemon, mut scene, written) = scene_of(vec![session]);
    scene.journalctl = journal;
    let exit = run_in(&mut scene, line);
    drop(daemon);
    (written.text(), exit)
}

/// A `journalctl` that notes what it is asked and answers with these lines.
fn journalctl(directory: &tempfile::TempDir, lines: &str) -> PathBuf {
    let at = |name: &str| directory.path().join(name);
    fs::write(at("lines"), lines).expect("the directory is ours");
    let script = format!(
        "#!/bin/sh\nfor word; do printf '%s ' \"$word\" >>'{}'; done\necho >>'{}'\ncat '{}'\n",
        at("asked").display(),
        at("asked").display(),
        at("lines").display()
    );
    fs::write(at("journalctl"), script).expect("the directory is ours");
    fs::set_permissions(at("journalctl"), fs::Permissions::from_mode(0o700)).expect("it is ours");
    at("journalctl")
}

#[test]
fn messages_come_from_the_ring_where_the_log_goes_to_stderr() {
    let session = || {
        vec![
            (asked(nothing()), page(Vec::new(), LogSink::Stderr)),
            (asked(LogsAsk { newest: Some(LINES), ..LogsAsk::default() }), page(entries(), LogSink::Stderr)),
        ]
    };
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let journal = || Some(journalctl(&directory, "{\"MESSAGE\":\"of yesterday\"}\n"));
    let (text, exit) = run_with(&["logs"], session(), journal());
    assert_eq!(exit, Ok(Exit::Done));
    assert_snapshot("logs-ring.log", &text);
    let (text, _) = run_with(&["--json", "logs"], session(), journal());
    assert_snapshot("logs-ring.json", &text);
}

#[test]
fn lines_are_broken_where_the_terminal_ends() {
    let surface = Surface { columns: Some(60), has_colour: false, now: noon(), home: None };
    let (scene, _) = quiet_scene();
    let mut shower = Shower::new(&scene, Source::Ring).on(surface.clone());
    let text: String = entries().iter().map(|entry| shower.text(entry)).collect();
    assert_snapshot("logs-narrow.txt", &text);
    let mut shower = Shower::new(&scene, Source::Ring).on(Surface { has_colour: true, ..surface });
    let text: String = entries().iter().map(|entry| shower.text(entry)).collect();
    assert_snapshot("logs-colours.log", &text);
}

#[test]
fn filters_are_what_the_daemon_is_asked() {
    let filter = LogFilter {
        peer: Some(peer().fingerprint.to_string()),
        since: Some(ago(12 * 3600)),
        least: Some(Severity::Warn),
        event: Some("peer-twice".to_owned()),
    };
    let shown = karo_protocol::mesh::PeerShown {
        row: peer(),
        addresses: Vec::new(),
        history: Vec::new(),
        next_try_at: None,
        advice: Vec::new(),
        witnessed: None,
        capabilities: Vec::new(),
    };
    let first = LogsAsk { filter, newest: Some(3), ..LogsAsk::default() };
    let second = LogsAsk { after: Some(7), newest: None, ..first.clone() };
    let full = LogsPage {
        entries: entries()[2..3].to_vec(),
        cursor: 7,
        has_more: true,
        missed: 0,
        sink: LogSink::Stderr,
    };
    let session = vec![
        (asked(nothing()), page(Vec::new(), LogSink::Stderr)),
        (Request::PeerShow("laptop".to_owned()), vec![Reply::PeerShown(Box::new(shown))]),
        (asked(first), vec![Reply::Logs(Box::new(full))]),
        (asked(second), page(Vec::new(), LogSink::Stderr)),
    ];
    let line = [
        "logs",
        "--peer",
        "laptop",
        "--since",
        "today",
        "--level",
        "warn",
        "--event",
        "peer-twice",
        "-n",
        "3",
    ];
    let (text, exit) = run_with(&line, session, None);
    assert_eq!(exit, Ok(Exit::Done));
    assert!(text.contains("two daemons live") && text.contains(r"10.0.0.2:9238\x1b[31m"), "{text}");
}

/// As `journalctl -o json` of systemd 252 writes them: text, bytes, and more than one of a name.
const JOURNAL: &str = concat!(
    r#"{"__REALTIME_TIMESTAMP":"1793617200000000","MESSAGE":"connected","PRIORITY":"6","KARO_EVENT":"peer-connected","#,
    r#""KARO_PEER":"7a31-04c2-0000-0000","KARO_ADDRESS":"10.0.0.2:9238","_PID":"7","SYSLOG_IDENTIFIER":"karod"}"#,
    "\n",
    r#"{"__REALTIME_TIMESTAMP":"1793617201000000","MESSAGE":[104,105,27,255],"PRIORITY":"4","KARO_AT_US":"1793617190000000","#,
    r#""KARO_PATH":["one","other"],"KARO_LONG":null}"#,
    "\nno json\n",
    r#"{"__REALTIME_TIMESTAMP":"1793617202000000","MESSAGE":"karod: the configuration cannot be used"}"#,
    "\n",
);

#[test]
fn messages_come_from_the_journal_where_it_has_them() {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let journal = journalctl(&directory, JOURNAL);
    let session = || vec![(asked(nothing()), page(Vec::new(), LogSink::Journal))];
    let (text, exit) = run_with(&["logs"], session(), Some(journal.clone()));
    assert_eq!(exit, Ok(Exit::Done));
    assert_snapshot("logs-journal.log", &text);
    let (text, _) = run_with(&["--json", "logs"], session(), Some(journal));
    assert_snapshot("logs-journal.json", &text);
}

/// Runs a line without a daemon; returns what journalctl was asked the second time.
fn journalctl_asked(line: &[&str]) -> (String, String) {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let (mut scene, written): (Scene, Written) = quiet_scene();
    scene.journalctl = Some(journalctl(&directory, JOURNAL));
    assert_eq!(run_in(&mut scene, line), Ok(Exit::Done));
    let asked = fs::read_to_string(directory.path().join("asked")).expect("it was asked");
    let [_, asked] = asked.lines().collect::<Vec<_>>()[..] else { panic!("twice: {asked}") };
    (asked.trim_end().to_owned(), written.text())
}

#[test]
fn filters_are_what_the_journal_is_asked_even_without_a_daemon() {
    let uid = surroundings_uid();
    let (asked, _) = journalctl_asked(&["logs", "--level", "notice", "--event", "paired", "-n", "5"]);
    let expected = format!(
        "--no-pager --quiet --output=json --lines=5 --priority=5 KARO_EVENT=paired SYSLOG_IDENTIFIER=karod _UID={uid}"
    );
    assert_eq!(asked, expected);
    // Whom nobody knows any more is looked for by the beginning of the fingerprint.
    let (asked, text) =
        journalctl_asked(&["logs", "--peer", "7a31", "--since", "2026-11-02T00:00:00Z", "-n", "1"]);
    assert!(asked.contains("--lines=all --since=@1793577600.000000 SYSLOG"), "{asked}");
    assert!(text.contains("peer-connected: connected") && !text.contains("cannot be used"), "{text}");
}

/// Runs a line before a daemon that is asked once where its log goes, and does this instead of an answer.
fn run_before(line: &[&str], deed: impl FnOnce(&mut FakeSession) + Send + 'static) -> String {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let daemon = FakeDaemon::serve(move |session| {
        let (_, request) = session.request();
        assert_eq!(request, asked(nothing()));
        deed(session);
    });
    let (mut scene, written) = scene(&daemon);
    scene.patience.answer = Duration::from_millis(50);
    scene.journalctl = Some(journalctl(&directory, JOURNAL));
    assert_eq!(run_in(&mut scene, line), Ok(Exit::Done));
    // A session that is held open ends with the client's side, which is by now gone.
    drop(daemon);
    written.text()
}

#[test]
fn whoever_hangs_or_cannot_tell_is_read_in_the_journal() {
    let refusal = |message: &str| {
        Reply::Failure(Failure { code: FailureCode::BadRequest, message: message.to_owned() })
    };
    for line in [vec!["logs"], vec!["logs", "--peer", "7a31"]] {
        let hung = run_before(&line, FakeSession::until_closed);
        assert!(hung.contains("peer-connected: connected"), "{hung}");
        let ended = run_before(&line, |_| ());
        assert_eq!(ended, hung);
    }
    let old = refusal("unknown request");
    let (text, exit) = {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let journal = journalctl(&directory, JOURNAL);
        run_with(&["logs"], vec![(asked(nothing()), vec![old.clone()])], Some(journal))
    };
    assert_eq!(exit, Ok(Exit::Done));
    assert!(text.contains("peer-connected: connected"), "{text}");
    // Who asks for the daemon's own memory is told why there is none.
    let (_, exit) = run_with(&["logs", "--ring"], vec![(asked(nothing()), vec![old])], None);
    assert!(exit.expect_err("it cannot answer").to_string().contains("unknown request"));
}

#[test]
fn the_newest_since_a_moment_are_counted_here() {
    // journalctl would count the oldest.
    let line = ["logs", "--event", "peer-connected", "--since", "2026-11-02T00:00:00Z", "-n", "1"];
    let (asked, text) = journalctl_asked(&line);
    assert!(asked.contains("--lines=all --since=@1793577600.000000 KARO_EVENT=peer-connected"), "{asked}");
    assert!(text.contains("cannot be used") && !text.contains("peer-connected: connected"), "{text}");
}

#[test]
fn what_is_there_and_what_comes_are_asked_apart() {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let (mut scene, _) = quiet_scene();
    scene.journalctl = Some(journalctl(&directory, JOURNAL));
    assert_eq!(run_in(&mut scene, &["logs", "-f", "-n", "5", "--event", "paired"]), Ok(Exit::Done));
    let asked = fs::read_to_string(directory.path().join("asked")).expect("it was asked");
    let [_, there, comes] = asked.lines().collect::<Vec<_>>()[..] else { panic!("three times: {asked}") };
    let between = |line: &str, key: &str| {
        let value = line.split(' ').find_map(|word| word.strip_prefix(key)).map(str::to_owned);
        value.unwrap_or_else(|| panic!("no {key} in {line}"))
    };
    assert!(there.contains("--lines=5 ") && !there.contains("--follow"), "{there}");
    assert!(comes.contains("--lines=all ") && comes.contains(" --follow "), "{comes}");
    assert_eq!(between(there, "--until="), between(comes, "--since="));
}

fn surroundings_uid() -> u32 {
    crate::surroundings::uid()
}

#[test]
fn without_a_journal_and_without_a_daemon_there_is_nothing() {
    let (mut scene, _) = quiet_scene();
    scene.journalctl = Some(PathBuf::from("/nowhere/journalctl"));
    let exit = run_in(&mut scene, &["logs"]);
    assert_eq!(exit.expect_err("nobody is there").exit, Exit::NoDaemon);
}

/// What came before is not shown again, whichever daemon it is; and a refusal ends it.
#[test]
fn a_daemon_that_ends_is_waited_for_by_whoever_follows() {
    let reply = |entries: Vec<LogEntry>| page(entries, LogSink::Stderr);
    let begin = LogsAsk { newest: Some(LINES), ..LogsAsk::default() };
    let waiting = |ask: &LogsAsk| LogsAsk { after: Some(7), newest: None, waits: true, ..ask.clone() };
    let stopping = Failure { code: FailureCode::Stopping, message: "stopping".to_owned() };
    let refused = Failure { code: FailureCode::Bug, message: "enough".to_owned() };
    let behind = Timestamp::from_micros(entries()[2].at.as_micros() + 1);
    let filter = LogFilter { since: Some(behind), ..LogFilter::default() };
    let again = LogsAsk { filter, ..LogsAsk::default() };
    let (daemon, mut scene, written) = scene_of(vec![
        vec![
            (asked(nothing()), reply(Vec::new())),
            (asked(begin.clone()), reply(entries()[..3].to_vec())),
            (asked(waiting(&begin)), vec![Reply::Failure(stopping)]),
        ],
        vec![(asked(again.clone()), reply(entries()[3..4].to_vec()))],
        vec![(
            asked(LogsAsk {
                filter: LogFilter {
                    since: Some(Timestamp::from_micros(entries()[3].at.as_micros() + 1)),
                    ..LogFilter::default()
                },
                ..again
            }),
            vec![Reply::Failure(refused)],
        )],
    ]);
    let ended = run_in(&mut scene, &["logs", "--follow", "--ring"]);
    drop(daemon);
    assert_eq!(ended.expect_err("the last one refuses").exit, Exit::Bug);
    let text = written.text();
    assert_eq!(text.matches("two daemons live").count(), 1, "{text}");
    assert!(text.contains("missed its deadline"), "{text}");
}

#[test]
fn nothing_that_fits_is_said() {
    let session = vec![
        (asked(nothing()), page(Vec::new(), LogSink::Stderr)),
        (asked(LogsAsk { newest: Some(LINES), ..LogsAsk::default() }), page(Vec::new(), LogSink::Stderr)),
    ];
    assert_eq!(run_with(&["logs", "--ring"], session, None), (String::new(), Ok(Exit::NothingFound)));
}
