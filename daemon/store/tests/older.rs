//! Logs that earlier versions wrote are read as they were meant, and go on from there.
//!
//! `data/format-1` was written by the code before format 2 (commit 6464d9b), by [`make`] of this file:
//! `KARO_MAKE=PLACE cargo test -p karo-store --test older -- --ignored make`, and PLACE/log copied. It
//! holds sealed segments, raw ones that wait, a live one that was closed in order, events of every
//! state, risk, rules, redactions of each kind there was, late outcomes, and deletions.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod shape;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use karo_core::search::Key;
use karo_protocol::event::{Redaction, Secret};
use karo_protocol::{Axis, Category, Event, EventId, Outcome, Precision, Risk};
use karo_store::disk::RealDisk;
use karo_store::{Entry, Opened, Options, RetentionRule, Store};
use shape::{Search, at, end, event, lost, shell, start};

const OPTIONS: Options = Options { segment_bytes: 6_000, reserve_bytes: 0 };

fn open(directory: &Path) -> Store {
    opened(directory).0
}

fn opened(directory: &Path) -> (Store, Opened) {
    Store::open(directory, OPTIONS, Arc::new(RealDisk), at(0)).expect("the log opens")
}

/// The event of that number in that shell, as it was first observed.
fn written(number: u8, sequence: u64) -> Event {
    let n = sequence as usize + usize::from(number);
    let text = format!("deploy --to host-{number}-{sequence} --key [redacted:token] Zürich");
    let outcome = [start(), end(Some(0)), lost(), end(None), end(Some(-3))][n % 5].clone();
    let mut event = event(&shell(number), sequence, &text, outcome);
    event.id = EventId::new(at(sequence as i64), [number; 10]);
    let marker = text.find('[').expect("there is one") as u32;
    let kind = [Secret::Password, Secret::Token, Secret::Variable, Secret::Key][n % 4];
    if n.is_multiple_of(3) {
        event.redactions = vec![Redaction { start: marker, end: marker + 16, kind }];
    }
    event.precision = [Precision::Micro, Precision::Centi, Precision::Second][n % 3];
    event.understanding.category = Category::ALL[n % Category::ALL.len()];
    event.understanding.categories = [event.understanding.category, Category::Shell].into_iter().collect();
    event.understanding.tools = vec!["deploy".into(), format!("tool{}", n % 4)];
    event.understanding.version = n as u32;
    if n.is_multiple_of(2) {
        event.understanding.risk = Some(Risk::ALL[n / 2 % Risk::ALL.len()]);
        event.understanding.rules = vec![format!("rule-{n}"), "another".into()];
    }
    event
}

/// What must be read of it.
fn expected() -> BTreeMap<Key, Event> {
    let numbers = (1..4_u8).flat_map(|number| (1..41_u64).map(move |sequence| (number, sequence)));
    let all = numbers.filter(|at| !DELETED.contains(at)).map(|(number, sequence)| {
        let mut event = written(number, sequence);
        if [9, 19, 29].contains(&sequence) && !matches!(event.outcome, Outcome::Ended(_)) {
            event.outcome = end(Some(7));
        }
        ((event.shell.id, sequence), event)
    });
    all.collect()
}

const DELETED: [(u8, u64); 3] = [(1, 3), (2, 20), (3, 39)];

/// A copy of the older log that can be worked with.
fn older() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/format-1/log");
    fs::create_dir(directory.path().join("log")).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), directory.path().join("log").join(file.file_name())).unwrap();
    }
    directory
}

fn loaded(store: &Store) -> BTreeMap<Key, Event> {
    let mut search = Search::default();
    store.reader().load().for_each(|(changes, _)| changes.iter().for_each(|change| search.apply(change)));
    let events = search.read(&store.reader()).into_iter();
    events.map(|event| ((event.shell.id, event.sequence), event)).collect()
}

/// Returns the format that each file of the log says it has.
fn formats(directory: &Path) -> BTreeMap<String, u8> {
    let files = fs::read_dir(directory.join("log")).unwrap().map(|file| file.unwrap());
    files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()[9])).collect()
}

#[test]
fn a_log_of_format_1_is_read_as_it_was_meant() {
    let directory = older();
    let (store, opened) = opened(directory.path());
    assert_eq!((opened.migrated_from, opened.was_closed), (Some(1), true));
    assert_eq!(store.reader().verify().damage, []);
    assert_eq!(loaded(&store), expected());
    drop(store);
    let (store, opened) = self::opened(directory.path());
    assert_eq!(opened.migrated_from, None);
    assert_eq!(loaded(&store), expected());
}

#[test]
fn what_is_added_to_a_log_of_format_1_is_of_the_new_one() {
    let directory = older();
    let mut store = open(directory.path());
    drop(store.reader().load());
    let names = |numbers: [(&str, u8); 3]| numbers.map(|(name, format)| (name.to_owned(), format)).into();
    let live_is_new = names([("00000001.seg", 1), ("00000002.log", 1), ("00000003.log", 2)]);
    assert_eq!(formats(directory.path()), live_is_new);
    let mut more = written(7, 1);
    more.understanding.axis = Some(Axis::Hazard);
    more.understanding.risk = Some(Risk::Critical);
    store.append(vec![Entry::Observed(more.clone())], at(0)).unwrap();
    store.upkeep(RetentionRule::default(), at(0)).unwrap();
    let all_are_new = names([("00000001.seg", 1), ("00000002.seg", 2), ("00000003.log", 2)]);
    assert_eq!(formats(directory.path()), all_are_new);
    store.compact(at(0)).unwrap();
    assert_eq!(store.reader().verify().damage, []);
    drop(store);
    let mut all = expected();
    all.insert((more.shell.id, 1), more);
    assert_eq!(loaded(&open(directory.path())), all);
    assert!(formats(directory.path()).values().all(|format| *format == 2));
}

#[test]
fn a_log_of_format_1_that_was_not_closed_is_renewed() {
    let directory = older();
    let live = directory.path().join("log/00000003.log");
    let bytes = fs::read(&live).unwrap();
    // Without the batch that says that nothing follows.
    fs::write(&live, &bytes[..bytes.len() - 32]).unwrap();
    let (store, opened) = opened(directory.path());
    assert_eq!((opened.migrated_from, opened.was_closed), (Some(1), false));
    assert_eq!(loaded(&store), expected());
}

/// Writes the log; with the code of the version that is meant.
#[test]
#[ignore = "makes the data that the other tests read"]
fn make() {
    let place = std::env::var("KARO_MAKE").expect("where");
    let directory = Path::new(&place);
    fs::create_dir_all(directory).unwrap();
    let mut store = open(directory);
    let mut search = Search::default();
    for sequence in 1..41_u64 {
        let batch = (1..4).map(|number| Entry::Observed(written(number, sequence))).collect();
        store.append(batch, at(0)).unwrap();
        if sequence > 10 && sequence % 10 == 5 {
            let late = (1..4).map(|number| {
                let mut event = written(number, sequence - 6);
                event.outcome = end(Some(7));
                Entry::Observed(event)
            });
            store.append(late.collect(), at(0)).unwrap();
        }
        if sequence == 15 {
            store.upkeep(RetentionRule::default(), at(0)).unwrap();
        }
        store.take_changes().iter().for_each(|change| search.apply(change));
    }
    drop(store.reader().load());
    let keys: Vec<_> = DELETED
        .iter()
        .map(|(number, sequence)| (shell(*number).id, *sequence))
        .map(|key| (key, search.events[&key].position))
        .collect();
    assert_eq!(store.delete(&keys, at(0)), Ok(3));
    store.close().unwrap();
}
