//! Upgrade and rollback: what a version left is read by the next, and what a later one wrote is left alone.
//!
//! `tests/fixtures` holds what earlier versions left; `fixture` reads it. How an upgrade looks from five shells is in
//! `tests/shells/upgrades.rs`.

mod fixture;
mod shape;

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;

use karo_protocol::local::Verdict;
use karo_tests::binaries::binaries;
use karo_tests::talk::Side;
use karo_tests::{Karo, Typist, until};
use serde_json::Value;

use self::shape::Shape;

/// Tells whether all that was said is still said: objects may have more keys, and what was not known may be known.
fn still_says(new: &Value, old: &Value) -> bool {
    match (old, new) {
        (Value::Null, _) => true,
        (Value::Object(old), Value::Object(new)) => {
            old.iter().all(|(key, old)| new.get(key).is_some_and(|new| still_says(new, old)))
        }
        (Value::Array(old), Value::Array(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| still_says(new, old))
        }
        _ => old == new,
    }
}

/// Returns the events of an export by their ids. A command whose shell went away is `lost` as soon as the daemon has
/// looked for that shell, before or after an upgrade: until then it runs, and here it does so for good.
fn by_id(mut events: Vec<Value>) -> BTreeMap<String, Value> {
    for event in events.iter_mut().filter(|event| event["state"] == "lost") {
        event["state"] = "running".into();
    }
    let id = |event: &Value| event["id"].as_str().expect("an event has an id").to_owned();
    events.into_iter().map(|event| (id(&event), event)).collect()
}

fn exported(karo: &Karo) -> BTreeMap<String, Value> {
    karo.wait_until_searchable();
    let text = karo.ctl_ok(&["export"]);
    by_id(text.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect())
}

#[test]
fn every_event_of_an_old_store_is_found() {
    for fixture in fixture::all() {
        let mut karo = fixture.laid_out();
        karo.launch();
        karo.wait_until_spool_is_empty();
        let (old, new) = (by_id(fixture.exported()), exported(&karo));
        assert!(old.len() > 100, "{}: {}", fixture.name, old.len());
        for (id, old) in &old {
            let new = new.get(id).unwrap_or_else(|| panic!("{}: lost {old}", fixture.name));
            assert!(still_says(new, old), "{}:\n{old}\nis read as\n{new}", fixture.name);
        }
        // What else there is came out of the spool.
        let mut added: Vec<String> =
            new.iter().filter(|(id, _)| !old.contains_key(*id)).map(|(_, event)| text(event)).collect();
        added.sort_unstable();
        let mut spooled = fixture.spooled();
        spooled.sort_unstable();
        assert_eq!(added, spooled, "{}", fixture.name);
        karo.ctl_ok(&["store", "verify"]);
        // And all of it once more, as the version that found it left it.
        assert!(karo.stop().success(), "{}", karo.log());
        karo.launch();
        assert_eq!(exported(&karo), new, "{}", fixture.name);
    }
}

fn text(event: &Value) -> String {
    event["command"].as_str().expect("an event has a command").replace('\n', "\\n")
}

#[test]
fn what_was_deleted_before_an_upgrade_stays_deleted() {
    for fixture in fixture::all() {
        let mut karo = fixture.laid_out();
        karo.launch();
        // The tenth of that shell, as `fixture::make` typed it.
        let mut late = Typist::new(1);
        late.sequence = 9;
        let copy = late.ran(format!("echo {} # 1.9", fixture::DELETED), 1);
        let verdict = karo.session().observe(copy).expect("the daemon answers");
        assert_eq!(verdict, Verdict::Duplicate, "{}", fixture.name);
        // Another shell typed the like after the deletion.
        let is_copy =
            |event: &Value| text(event).contains(fixture::DELETED) && text(event).ends_with("# 1.9");
        assert!(!exported(&karo).values().any(is_copy), "{}", fixture.name);
    }
}

/// Key, roster and audit are those of the node that it was.
#[test]
fn a_machine_is_the_same_after_an_upgrade() {
    for fixture in fixture::all() {
        let talks = fixture.talks();
        let Some(before) = talks.iter().find(|talk| talk.name == "identity-show") else { continue };
        let mut karo = fixture.laid_out();
        karo.launch();
        let now = until("there is an identity", || {
            let output = karo.ctl(&["--json", "identity", "show"]);
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
        });
        let now: Value = serde_json::from_str(&now).expect("it is JSON");
        assert_eq!(now["node"], before.printed[0]["node"], "{}", fixture.name);
        assert!(karo.ctl_ok(&["peers"]).contains("laptop"), "{}", fixture.name);
        karo.ctl_ok(&["audit", "verify"]);
    }
}

#[test]
fn a_client_of_the_version_before_can_read_the_answers() {
    for fixture in fixture::all() {
        let mut karo = fixture.laid_out();
        // What waits there would be among the events that are compared.
        fs::remove_dir_all(karo.spool()).expect("it is ours");
        karo.launch();
        karo.wait_for_rules();
        karo.wait_until_searchable();
        for recorded in fixture.talks() {
            let now = recorded.talk.ask(&karo.socket());
            let pairs = recorded.talk.said_by(Side::Daemon).zip(now.said_by(Side::Daemon));
            for ((old_kind, old), (kind, new)) in pairs {
                assert_eq!(kind, old_kind, "{} {}", fixture.name, recorded.name);
                let differs = Shape::of(old).differs(&Shape::of(new));
                assert_eq!(differs, None, "{} {}", fixture.name, recorded.name);
            }
        }
    }
}

#[test]
fn a_daemon_of_the_version_before_can_be_asked() {
    for fixture in fixture::all() {
        for recorded in fixture.talks() {
            let karo = Karo::new();
            let arguments: Vec<&str> = recorded.arguments.iter().map(String::as_str).collect();
            let output = recorded.talk.answer(&karo.socket(), || karo.ctl(&arguments));
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(
                output.status.code(),
                Some(recorded.exit),
                "{} {}: {said}",
                fixture.name,
                recorded.name
            );
            let printed = String::from_utf8(output.stdout).expect("karoctl prints UTF-8");
            let now: Vec<Value> = printed.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
            assert_eq!(now.len(), recorded.printed.len(), "{} {}", fixture.name, recorded.name);
            for (now, then) in now.iter().zip(&recorded.printed) {
                assert!(still_says(now, then), "{} {}:\n{then}\n{now}", fixture.name, recorded.name);
            }
        }
    }
}

/// The header of a raw segment: where its format stands, and the checksum behind it.
const FORMAT_AT: usize = 8;
const CHECKED_BYTES: usize = 28;

#[test]
fn a_store_of_a_later_version_is_refused_and_left_as_it_is() {
    let mut karo = Karo::running();
    karo.keep([Typist::new(1).ran("before the upgrade", 0)]);
    assert!(karo.stop().success());
    let segment = karo.data().join("log/00000001.log");
    let mut bytes = fs::read(&segment).expect("it is ours");
    let format = u16::from_be_bytes([bytes[FORMAT_AT], bytes[FORMAT_AT + 1]]);
    bytes[FORMAT_AT..FORMAT_AT + 2].copy_from_slice(&(format + 1).to_be_bytes());
    let check = crc32c(&bytes[..CHECKED_BYTES]).to_be_bytes();
    bytes[CHECKED_BYTES..CHECKED_BYTES + 4].copy_from_slice(&check);
    fs::write(&segment, &bytes).expect("it is ours");
    let files = || {
        let files = fs::read_dir(karo.data().join("log")).expect("it is ours");
        files.map(|file| file.expect("it can be listed").path()).collect::<Vec<_>>()
    };
    let before = files();
    let late = karo.spool_record(&Typist::new(2).ran("after the rollback", 0));
    let command = karo.daemon_command();
    karo.spawn(command);
    assert_eq!(karo.wait_for_end().code(), Some(6));
    for words in [&format!("has format {}", format + 1)[..], "a newer karod wrote it", "00000001.log"] {
        assert!(karo.log().contains(words), "no {words:?} in {}", karo.log());
    }
    assert_eq!(fs::read(&segment).expect("it is ours"), bytes);
    let files = || {
        let files = fs::read_dir(karo.data().join("log")).expect("it is ours");
        files.map(|file| file.expect("it can be listed").path()).collect::<Vec<_>>()
    };
    assert_eq!(files(), before);
    assert!(late.exists(), "what is typed meanwhile waits for the daemon that can keep it");
}

/// CRC-32C, as the store's headers have it.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 * (crc & 1)))
    };
    !bytes.iter().fold(!0, step)
}

/// Enough that a daemon can be replaced while they come in.
const HISTORY_LINES: usize = 20_000;

#[test]
fn an_import_that_an_upgrade_cut_short_is_completed_by_the_next() {
    let mut karo = Karo::running();
    karo.wait_for_rules();
    let history = karo.root().join("history.jsonl");
    let line = |n| {
        format!(
            "{{\"command\":\"make target-{n}\",\"started_us\":{}}}\n",
            1_700_000_000_000_000_u64 + n as u64
        )
    };
    fs::write(&history, (0..HISTORY_LINES).map(line).collect::<String>()).expect("there is room");
    let file = history.display().to_string();
    let mut import = karo.command(&binaries().karoctl);
    let import = import.args(["import", &file]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let import = import.expect("karoctl can be run");
    let kept = |karo: &Karo| karo.status().store.events;
    until("some of it is there", || (kept(&karo) > 0).then_some(()));
    assert!(karo.stop().success(), "{}", karo.log());
    let cut = import.wait_with_output().expect("it is our child");
    assert_eq!(cut.status.code(), Some(3), "it was done already: {}", String::from_utf8_lossy(&cut.stdout));
    karo.launch();
    karo.wait_until_searchable();
    let before = kept(&karo);
    assert!((1..HISTORY_LINES as u64).contains(&before), "{before}");
    let report: Value = serde_json::from_str(&karo.ctl_ok(&["--json", "import", &file])).expect("it is JSON");
    assert_eq!(report["duplicates"], before, "what was acknowledged is there: {report}");
    assert_eq!(report["added"], HISTORY_LINES as u64 - before, "{report}");
    assert_eq!(kept(&karo), HISTORY_LINES as u64);
    karo.ctl_ok(&["store", "verify"]);
}
