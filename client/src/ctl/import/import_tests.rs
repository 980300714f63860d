use karo_protocol::limits::IMPORT_LINES_MAX;
use karo_protocol::local::{End, Failure, FailureCode, Reply, Request};
use karo_protocol::query::{Detail, Filter};

use super::*;
use crate::ctl::samples::{ago, row, scene, status};
use crate::fake::{FakeDaemon, FakeSession};

#[test]
fn a_history_file_is_taken_in_but_for_what_is_known() {
    let at = ago(3600).as_micros() / 1_000_000;
    let file = written(&format!("#{at}\nls\n#{}\nmake\n#{}\nmake\n", at + 10, at + 20));
    let daemon = serve(move |session| {
        let (id, request) = session.request();
        let Request::Query(query) = request else { panic!("what is known was asked for") };
        assert_eq!(query.detail, Detail::Row);
        assert_eq!(query.filter.shell, Some(ShellKind::Bash));
        session.reply(id, &Reply::Rows(vec![row(3600, Some(0), "/", b"ls")]));
        session.reply(id, &Reply::End(End { count: 1, partial_since: None, unreadable: 0 }));
        let lines = take(session);
        assert_eq!(texts(&lines), ["make", "make"]);
        assert_ne!(lines[0].observation.sequence, lines[1].observation.sequence);
        assert_eq!(lines[0].observation.started_at, ago(3590));
    });
    let (text, exit) = run_import(&daemon, file.path(), None);
    assert_eq!(exit, Ok(Exit::Done));
    let expected = ": 2 added, 1 were there already, 0 kept out by your rules\n";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn json_lines_are_taken_in_and_bad_ones_named() {
    let file = written("{\"command\":\"ls\"}\n\nnoise\n{\"command\":\"pwd\",\"exit\":1}\n");
    let daemon = serve(|session| assert_eq!(texts(&take(session)), ["ls", "pwd"]));
    let (text, exit) = run_import(&daemon, file.path(), Some(HistoryFormat::Json));
    assert_eq!(exit, Ok(Exit::Refused));
    assert!(
        text.ends_with(": 2 added, 0 were there already, 0 kept out by your rules, 1 unreadable\n"),
        "{text}"
    );
}

#[test]
fn many_lines_go_in_batches_and_a_busy_daemon_gets_them_again() {
    let count = 5 * IMPORT_LINES_MAX + 1;
    let file = written(&(0..count).map(|n| format!("{{\"command\":\"echo {n}\"}}\n")).collect::<String>());
    let daemon = serve(move |session| {
        let busy = Failure { code: FailureCode::Busy, message: "later".to_owned() };
        let (id, _) = session.request();
        session.reply(id, &Reply::Failure(busy));
        let mut taken = 0;
        while taken < count {
            taken += take(session).len();
        }
        assert_eq!(taken, count);
    });
    let (text, exit) = run_import(&daemon, file.path(), None);
    assert_eq!(exit, Ok(Exit::Done));
    assert!(text.contains(&format!(": {count} added")), "{text}");
}

#[test]
fn a_daemon_that_is_still_loading_cannot_tell_what_is_known() {
    let file = written("#1700000000\nls\n");
    let daemon = serve(|session| {
        let (id, request) = session.request();
        assert!(matches!(request, Request::Query(query) if query.filter != Filter::default()));
        session.reply(id, &Reply::End(End { count: 0, partial_since: Some(ago(60)), unreadable: 0 }));
    });
    let (_, exit) = run_import(&daemon, file.path(), None);
    assert_eq!(exit.map_err(|trouble| trouble.exit), Err(Exit::NotCovered));
}

#[test]
fn an_empty_file_has_nothing() {
    let file = written("\n\n");
    let daemon = serve(|session| session.until_closed());
    let (_, exit) = run_import(&daemon, file.path(), None);
    assert_eq!(exit, Ok(Exit::NothingFound));
}

#[test]
fn entries_without_a_time_keep_their_place() {
    let entry = |started| Entry { command: b"x".to_vec(), started, duration: None };
    let micros = |started: &[Option<i64>]| -> Vec<i64> {
        let entries: Vec<Entry> = started.iter().copied().map(entry).collect();
        starts(&entries, Timestamp::from_micros(9_000_000)).iter().map(|at| at.as_micros()).collect()
    };
    assert_eq!(micros(&[None, None]), [9_000_000, 9_000_001]);
    assert_eq!(
        micros(&[None, Some(5), None, Some(5), Some(4)]),
        [5_000_000, 5_000_001, 5_000_002, 5_000_003, 4_000_000]
    );
}

/// Serves an import: first the daemon is asked whose it is.
fn serve(script: impl FnOnce(&mut FakeSession) + Send + 'static) -> FakeDaemon {
    FakeDaemon::serve(|session| {
        let (id, request) = session.request();
        assert_eq!(request, Request::Status(()));
        session.reply(id, &Reply::Status(Box::new(status())));
        script(session);
    })
}

fn written(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("there is a place for temporary files");
    std::fs::write(file.path(), text).expect("it is ours");
    file
}

/// Takes in one batch, all of it new.
fn take(session: &mut FakeSession) -> Vec<ImportLine> {
    let (id, request) = session.request();
    let Request::Import(import) = request else { panic!("lines were to be imported") };
    session.reply(id, &Reply::Imported(Imported { added: import.lines.len() as u64, ..Imported::default() }));
    import.lines
}

fn texts(lines: &[ImportLine]) -> Vec<String> {
    lines.iter().map(|l| String::from_utf8_lossy(l.observation.command.as_bytes()).into_owned()).collect()
}

fn run_import(
    daemon: &FakeDaemon,
    path: &Path,
    format: Option<HistoryFormat>,
) -> (String, Result<Exit, Trouble>) {
    let (mut scene, written) = scene(daemon);
    let exit = run(&mut scene, &ImportArgs { source: path.to_owned(), format, yes: true });
    (written.text(), exit)
}
