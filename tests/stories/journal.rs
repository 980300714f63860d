//! What karod tells the journal, and what a journal in trouble does to it: nothing.

use std::collections::BTreeSet;
use std::fs;

use karo_protocol::Timestamp;
use karo_protocol::local::{Observe, Reply, Request, Verdict};
use karo_protocol::logs::{LogSink, LogsAsk, LogsPage};
use karo_protocol::observation::OBSERVATION_VERSION;
use karo_tests::journald::Journald;
use karo_tests::{Karo, Typist, is_root, until};
use rustix::process::Signal;
use serde_json::{Map, Value};

/// A daemon that logs to a journal of its own, at that level.
fn logging(level: &str) -> Option<(Journald, Karo)> {
    if !is_root("a journal of its own") {
        return None;
    }
    let journald = Journald::start()?;
    let mut karo = Karo::new();
    configure(&karo, level, "");
    let command = journald.daemon_command(&karo);
    karo.launch_as(command);
    Some((journald, karo))
}

fn configure(karo: &Karo, level: &str, more: &str) {
    karo.configure(&format!("[log]\ntarget = \"journald\"\nlevel = \"{level}\"\n{more}"));
}

fn text<'a>(entry: &'a Map<String, Value>, field: &str) -> &'a str {
    entry.get(field).and_then(Value::as_str).unwrap_or_else(|| panic!("no {field} in {entry:?}"))
}

/// Asks the daemon's own memory for all of it.
fn ring(karo: &Karo) -> Vec<LogsPage> {
    let mut session = karo.session();
    let mut pages: Vec<LogsPage> = Vec::new();
    loop {
        let after = pages.last().map(|page| page.cursor);
        let ask = Request::Logs(LogsAsk { after, ..LogsAsk::default() });
        let Reply::Logs(page) = session.ask(&ask).expect("the daemon answers") else {
            panic!("it answers what is asked")
        };
        pages.push(*page);
        if !pages.last().expect("one was pushed").has_more {
            return pages;
        }
    }
}

fn remembered(karo: &Karo, event: &str) -> usize {
    let entries = ring(karo).into_iter().flat_map(|page| page.entries);
    entries.filter(|entry| entry.event.as_deref() == Some(event)).count()
}

fn karoctl(journald: &Journald, karo: &Karo, arguments: &[&str]) -> String {
    let output = journald.ctl(karo, arguments);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {stdout}{}", String::from_utf8_lossy(&output.stderr));
    stdout
}

#[test]
fn root_messages_are_entries_with_fields() {
    let Some((journald, mut karo)) = logging("info") else { return };
    let accepting = &journald.wait_for("accepting", 1)[0];
    assert_eq!(text(accepting, "MESSAGE"), "accepting");
    assert_eq!((text(accepting, "PRIORITY"), text(accepting, "SYSLOG_IDENTIFIER")), ("6", "karod"));
    assert_eq!(text(accepting, "MESSAGE_ID").len(), 32);
    assert_eq!(text(accepting, "KARO_SOCKET"), karo.socket().display().to_string());
    configure(&karo, "info", "[record]\nignore = [\"pass *\"]\n");
    karo.signal(Signal::HUP);
    assert_eq!(text(&journald.wait_for("config-reloaded", 1)[0], "PRIORITY"), "5");
    configure(&karo, "info", "[record]\nignroe = []\n");
    karo.signal(Signal::HUP);
    assert_eq!(text(&journald.wait_for("config-refused", 1)[0], "PRIORITY"), "3");

    // Shown from the journal, with filters, and also when no daemon is there any more.
    let shown = karoctl(&journald, &karo, &["logs", "--level", "notice"]);
    assert!(shown.contains("config-reloaded: ") && shown.contains("config-refused: "), "{shown}");
    assert!(!shown.contains("accepting") && shown.ends_with("(from the journal)\n"), "{shown}");
    let since = ["logs", "--json", "--since", "1h", "--event", "accepting"];
    let object: Value = serde_json::from_str(&karoctl(&journald, &karo, &since)).expect("it is one object");
    assert_eq!((&object["source"], &object["event"]), (&"journal".into(), &"accepting".into()));
    let remembered = karoctl(&journald, &karo, &["logs", "--ring", "--event", "config-refused"]);
    assert!(remembered.contains("config-refused") && remembered.contains("own memory"), "{remembered}");
    assert!(karo.stop().success());
    journald.wait_for("stopping", 1);
    assert!(karoctl(&journald, &karo, &["logs", "--event", "stopping"]).contains("stopping: stopping"));
    assert_eq!(karo.log(), "", "nothing goes to standard error besides");
}

#[test]
fn root_levels_are_kept() {
    let Some((journald, mut karo)) = logging("warn") else { return };
    bad_rules(&karo, "warn", 1);
    journald.wait_for("rule-refused", 1);
    assert!(karo.stop().success());
    let priorities: BTreeSet<String> =
        journald.entries().iter().map(|entry| text(entry, "PRIORITY").to_owned()).collect();
    assert_eq!(priorities, ["4".to_owned()].into());
}

#[test]
fn root_journalctl_explains_each_message() {
    let Some((journald, karo)) = logging("info") else { return };
    journald.wait_for("accepting", 1);
    journald.install_catalogue();
    let listed = journald.run("journalctl", &["--list-catalog"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let known = fs::read_to_string(karo_tests::binaries::checkout().join("daemon/tests/golden/messages.txt"));
    let known = known.expect("the golden file is there");
    assert_eq!(
        listed.lines().filter(|line| line.contains("Karo: ")).count(),
        known.lines().count(),
        "{listed}"
    );
    let explained = journald.run("journalctl", &["-x", "--no-pager", "KARO_EVENT=accepting"]);
    let explained = String::from_utf8_lossy(&explained.stdout).into_owned();
    let words = ["Subject: The socket is open", "Defined-By: Karo", "What to do: Nothing."];
    assert!(words.iter().all(|words| explained.contains(words)), "{explained}");
    drop(karo);
}

#[test]
fn root_a_journal_that_was_killed_is_found_again() {
    let Some((mut journald, karo)) = logging("info") else { return };
    journald.wait_for("accepting", 1);
    let reload = |patterns: usize| {
        configure(&karo, "info", &format!("[record]\nignore = {:?}\n", vec!["pass *"; patterns]));
        karo.signal(Signal::HUP);
        until("it is reloaded", || (remembered(&karo, "config-reloaded") == patterns).then_some(()));
    };
    journald.kill();
    reload(1);
    until("standard error takes over", || karo.log().contains("config-reloaded: ").then_some(()));
    assert!(karo.log().contains("journal-away: "), "{}", karo.log());
    journald.launch();
    reload(2);
    journald.wait_for("config-reloaded", 1);
    journald.wait_for("journal-back", 1);
    assert_eq!(karo.log().matches("config-reloaded").count(), 1, "{}", karo.log());
    assert_eq!(karo.log().matches("journal-away").count(), 1, "said once: {}", karo.log());
}

/// Lets so many rules be refused, whose files have names that come from outside into messages.
fn bad_rules(karo: &Karo, level: &str, count: usize) {
    let rules = karo.root().join("rules");
    fs::create_dir(&rules).expect("the place is ours");
    for n in 0..count {
        let name = format!("forged{n}\nPRIORITY=0\nMESSAGE=forged\x1b[31m.yml");
        fs::write(rules.join(name), "title: [\n").expect("the place is ours");
    }
    configure(karo, level, &format!("[rules]\ndirs = [{:?}]\n", rules.display().to_string()));
    karo.signal(Signal::HUP);
}

/// Sends what makes a debug message each: observations of a version to come.
fn chatter(karo: &Karo, count: usize) {
    let mut session = karo.session();
    let mut typist = Typist::new(2);
    for _ in 0..count {
        let newer = Observe { version: OBSERVATION_VERSION + 1, observation: typist.ran("ls", 0) };
        let answer = session.ask(&Request::Observe(newer)).expect("the daemon answers");
        assert_eq!(answer, Reply::Observed(Verdict::Failed));
    }
}

#[test]
fn root_a_frozen_journal_holds_nothing_up() {
    let Some((journald, mut karo)) = logging("debug") else { return };
    journald.wait_for("accepting", 1);
    karo.wait_for_rules();
    journald.freeze();
    // More than the journal's queue and our own hold.
    chatter(&karo, 2_000);
    karo.keep([Typist::new(1).ran("while it is frozen", 0)]);
    assert!(ring(&karo)[0].sink == LogSink::Journal && ring(&karo).len() > 20);
    journald.thaw();
    let lost: u64 = {
        chatter(&karo, 1);
        let entries = journald.wait_for("entries-lost", 1);
        entries.iter().map(|entry| text(entry, "KARO_COUNT").parse::<u64>().expect("it is a number")).sum()
    };
    assert!((1_000..2_000).contains(&lost), "{lost}");
    // A stop does not wait for it either.
    journald.freeze();
    chatter(&karo, 500);
    assert!(karo.stop().success());
    journald.thaw();
}

/// The fields that entries of this story have, besides those that journald adds: they begin with an underscore.
const FIELDS: [&str; 23] = [
    "MESSAGE",
    "MESSAGE_ID",
    "PRIORITY",
    "SYSLOG_IDENTIFIER",
    "CODE_FILE",
    "CODE_LINE",
    "KARO_EVENT",
    "KARO_AT_US",
    "KARO_COUNT",
    "KARO_DATA",
    "KARO_ENDING",
    "KARO_FILE",
    "KARO_FINGERPRINT",
    "KARO_IS_NEW",
    "KARO_LINE",
    "KARO_OF",
    "KARO_PATH",
    "KARO_REASON",
    "KARO_REFUSED",
    "KARO_RULES",
    "KARO_SOCKET",
    "SYSLOG_TIMESTAMP",
    "TARGET",
];

#[test]
fn root_hostile_commands_make_no_entry_and_no_field() {
    const COUNT: usize = 1_000;
    let Some((journald, mut karo)) = logging("trace") else { return };
    karo.wait_for_rules();
    let before = journald.entries().len();
    let mut typist = Typist::new(3);
    let long = "Z".repeat(60_000);
    let poison = |n: usize| match n % 5 {
        0 => format!("canary{n}\nPRIORITY=0\nMESSAGE_ID=8ceb6f2c06a74773000603082d4dd557\n_UID=0"),
        1 => format!("canary{n}\0\x1b]0;evil\x07\nFORGED=1\n"),
        2 => format!("canary{n} {long}"),
        3 => format!("canary{n}\u{202e}\u{200b}\nKARO_EVENT=paired\nFORGED\n\u{7}\0\0\0\0\0\0\0forged!\n"),
        _ => format!("canary{n}=\n.\n"),
    };
    karo.keep((0..COUNT).map(|n| typist.ran(poison(n), 0)));
    bad_rules(&karo, "trace", 50);
    journald.wait_for("rule-refused", 40);
    assert!(karo.stop().success());
    journald.wait_for("stopping", 1);
    let entries = journald.entries();
    assert!(entries.len() - before <= COUNT, "{}", entries.len());
    let documented = |name: &str| FIELDS.contains(&name) || name.starts_with('_');
    for entry in &entries {
        for (name, value) in entry {
            assert!(documented(name), "{name} in {entry:?}");
            let value = value.as_str().unwrap_or_else(|| panic!("{name} is no clean text: {value}"));
            assert!(!value.contains("canary"), "a command's text: {entry:?}");
            assert!(!value.chars().any(char::is_control), "{name}={value:?}");
            assert!(!(name == "MESSAGE" && value == "forged"), "{entry:?}");
        }
        assert_ne!(entry.get("PRIORITY"), Some(&"0".into()), "{entry:?}");
    }
    assert_eq!(journald.of("paired").len(), 0);
    let file = text(&journald.of("rule-refused")[0], "KARO_FILE").to_owned();
    assert!(file.contains(r"\nPRIORITY=0\nMESSAGE=forged\u{1b}[31m"), "{file}");
    // What came too fast is one line.
    let held = journald.of("held-back");
    assert_eq!((held.len(), text(&held[0], "PRIORITY")), (1, "4"), "{held:?}");
}

/// Without a journal, the same is asked of the daemon alone, and followed.
#[test]
fn messages_are_remembered_and_followed() {
    let karo = Karo::running();
    karo.wait_until_searchable();
    let shown = karo.ctl_ok(&["logs"]);
    assert!(shown.contains("accepting: accepting") && shown.contains("own memory"), "{shown}");
    let cursor = ring(&karo).last().expect("there is a page").cursor;
    let mut session = karo.session();
    let ask = LogsAsk { after: Some(cursor), waits: true, ..LogsAsk::default() };
    session.send(&Request::Logs(ask)).expect("the daemon reads");
    karo.configure("[record]\nignore = [\"pass *\"]\n");
    karo.signal(Signal::HUP);
    let (_, reply) = session.receive().expect("the daemon answers");
    let Reply::Logs(page) = reply else { panic!("it answers what is asked: {reply:?}") };
    assert!(!page.entries.is_empty() && page.sink == LogSink::Stderr);
    assert!(page.entries[0].at > Timestamp::from_micros(0) && page.entries[0].sequence == cursor + 1);
    until("standard error has it too", || karo.log().contains("config-reloaded: ").then_some(()));
}
