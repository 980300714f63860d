use karo_protocol::event::Outcome;
use karo_protocol::{Event, EventId};

use proptest::prelude::*;

use super::*;
use crate::ctl::record::Record;
use crate::ctl::samples::{ago, event, full_event};

#[test]
fn an_export_reads_back_without_loss() {
    let mut running = event(b"sleep 99");
    running.outcome = Outcome::Running;
    let lost = Event { outcome: Outcome::Lost, ..event(b"vi\nx\t\x1b\x7f\xc2\x9b") };
    for event in [full_event(), event(b"ls"), running, lost] {
        let text = serde_json::to_vec(&Record::whole(&event)).expect("a record can be written");
        let line = lines().read(&text).expect("it was ours");
        let observation = &line.observation;
        assert_eq!(line.id, Some(event.id));
        assert_eq!(line.redactions, event.redactions);
        assert_eq!(observation.shell, event.shell);
        assert_eq!(observation.sequence, event.sequence);
        assert_eq!(observation.command.as_bytes(), event.command.as_bytes());
        assert_eq!((&observation.cwd, observation.started_at), (&event.cwd, event.started_at));
        assert_eq!(observation.precision, event.precision);
        let outcome = match (&observation.phase, line.is_lost) {
            (Phase::End(ending), _) => Outcome::Ended(ending.clone()),
            (Phase::Start, true) => Outcome::Lost,
            (Phase::Start, false) => Outcome::Running,
        };
        assert_eq!(outcome, event.outcome);
    }
}

#[test]
fn what_query_writes_reads_back_to_the_millisecond() {
    let event = event(b"ls");
    let text = serde_json::to_vec(&Record::new(&event)).expect("a record can be written");
    let observation = lines().read(&text).expect("it was ours").observation;
    assert_eq!(observation.started_at, Timestamp::from_micros(event.started_at.as_micros() / 1000 * 1000));
    assert_eq!(observation.shell.id, event.shell.id);
    assert!(matches!(observation.phase, Phase::End(ending) if ending.duration == Some(Micros(5_000))));
}

proptest! {
    #[test]
    fn any_command_and_directory_read_back(command: Vec<u8>, cwd: Vec<u8>) {
        let mut event = event(&command);
        event.cwd = Bytes(cwd);
        let mut text = Vec::new();
        crate::ctl::json::write_line(&mut text, &Record::whole(&event)).expect("memory takes it");
        let observation = lines().read(&text).expect("it was ours").observation;
        prop_assert_eq!(observation.command.as_bytes(), event.command.as_bytes());
        prop_assert_eq!(observation.cwd, event.cwd);
    }
}

#[test]
fn a_command_is_enough() {
    let mut lines = lines();
    let mut read = |text: &str| lines.read(text.as_bytes()).expect("there is a command").observation;
    let first = read("{\"command\":\"ls\"}");
    assert_eq!(first.started_at, ago(0));
    assert_eq!((first.shell.user.as_str(), first.shell.host.as_str()), ("ada", "engine"));
    assert_eq!(first.shell.kind, ShellKind::Other);
    assert_eq!(first.phase, Phase::End(Ending::default()));
    let again = read("{\"command\":\"ls\",\"unknown\":[1,{}]}");
    assert_ne!(again.sequence, first.sequence);
}

#[test]
fn wrong_lines_are_named_without_their_text() {
    let cases = [
        ("", "see column 0"),
        ("secret", "see column 1"),
        ("{\"command\":5}", "see column 12"),
        ("{}", "no field command"),
        ("{\"command\":\"x\",\"command_b64\":\"?\"}", "field command_b64 is not base64"),
        ("{\"command\":\"x\",\"started_at\":\"soon\"}", "field started_at is not RFC 3339"),
        ("{\"command\":\"x\",\"duration_ms\":-1}", "field duration_ms is negative"),
        ("{\"command\":\"x\",\"shell\":\"dash\"}", "field shell: unknown shell, expected one of: bash"),
        ("{\"command\":\"x\",\"id\":\"1\"}", "field id: expected an event id"),
        ("{\"command\":\"x\",\"shell_id\":\"1\",\"seq\":1}", "field shell_id: expected a shell id"),
    ];
    for (text, expected) in cases {
        let error = lines().read(text.as_bytes()).expect_err("something is wrong");
        assert!(error.contains(expected), "{text}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn an_id_is_taken_over() {
    let id = EventId::new(ago(0), [3; 10]);
    let line = lines().read(format!("{{\"command\":\"x\",\"id\":\"{id}\"}}").as_bytes());
    assert_eq!(line.expect("it has a command").id, Some(id));
}

fn lines() -> Lines {
    Lines::new(Origin { user: "ada".to_owned(), host: "engine".to_owned(), now: ago(0) })
}
