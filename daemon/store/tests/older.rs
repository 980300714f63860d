//! Logs that earlier versions wrote are read as they were meant, and go on from there.
//!
//! `data/format-1` was written by the code before format 2 (commit 6464d9b), `data/format-2` by the code
//! before format 3 (commit 2df7796), by [`make`] of this file:
//! `KARO_MAKE=PLACE cargo test -p karo-store --test older -- --ignored make`, and PLACE/log copied. Each
//! holds sealed segments, raw ones that wait, a live one that was closed in order, events of every
//! state, risk, rules, redactions of each kind there was, late outcomes, and deletions; the second also
//! axes of risks, and an event that was understood anew.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod shape;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use karo_core::search::Key;
use karo_protocol::event::{Redaction, Secret, Understanding};
use karo_protocol::{Axis, Category, Event, EventId, Outcome, Precision, Risk};
use karo_store::disk::RealDisk;
use karo_store::records::FORMAT;
use karo_store::{Entry, Opened, Options, Reclassification, RetentionRule, Revision, Series, Store};
use shape::{Search, at, end, event, lost, shell, start};

const OPTIONS: Options = Options { segment_bytes: 6_000, reserve_bytes: 0 };

fn open(directory: &Path) -> Store {
    opened(directory).0
}

fn opened(directory: &Path) -> (Store, Opened) {
    Store::open(directory, OPTIONS, Arc::new(RealDisk), at(0)).expect("the log opens")
}

/// The event of that number in that shell, as it was first observed, with what the format can hold.
fn written(format: u16, number: u8, sequence: u64) -> Event {
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
        if format > 1 && !n.is_multiple_of(3) {
            event.understanding.axis = Some(Axis::ALL[n / 3 % Axis::ALL.len()]);
        }
    }
    event
}

/// What must be read of it.
fn expected(format: u16) -> BTreeMap<Key, Event> {
    let numbers = (1..4_u8).flat_map(|number| (1..41_u64).map(move |sequence| (number, sequence)));
    let all = numbers.filter(|at| !DELETED.contains(at)).map(|(number, sequence)| {
        let mut event = written(format, number, sequence);
        if format > 1 && (number, sequence) == UNDERSTOOD {
            event.understanding.version = 1000;
        }
        if [9, 19, 29].contains(&sequence) && !matches!(event.outcome, Outcome::Ended(_)) {
            event.outcome = end(Some(7));
        }
        ((event.shell.id, sequence), event)
    });
    all.collect()
}

const DELETED: [(u8, u64); 3] = [(1, 3), (2, 20), (3, 39)];
const UNDERSTOOD: (u8, u64) = (2, 8);

/// The formats of which there is a log.
const FORMATS: [u16; 2] = [1, 2];

/// A copy of the older log that can be worked with.
fn older(format: u16) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/format-{format}/log"));
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
fn an_older_log_is_read_as_it_was_meant() {
    for format in FORMATS {
        let directory = older(format);
        let (store, opened) = opened(directory.path());
        assert_eq!((opened.migrated_from, opened.was_closed), (Some(format), true));
        assert_eq!(store.reader().verify().damage, []);
        assert_eq!(loaded(&store), expected(format));
        drop(store);
        let (store, opened) = self::opened(directory.path());
        assert_eq!(opened.migrated_from, None);
        assert_eq!(loaded(&store), expected(format));
    }
}

#[test]
fn what_is_added_to_an_older_log_is_of_the_new_format() {
    for format in FORMATS {
        let directory = older(format);
        let mut store = open(directory.path());
        drop(store.reader().load());
        let (old, new) = (format as u8, FORMAT as u8);
        let names = |numbers: [(&str, u8); 3]| numbers.map(|(name, format)| (name.to_owned(), format)).into();
        let live_is_new = names([("00000001.seg", old), ("00000002.log", old), ("00000003.log", new)]);
        assert_eq!(formats(directory.path()), live_is_new);
        let mut more = written(format, 7, 1);
        more.understanding.axis = Some(Axis::Hazard);
        more.understanding.risk = Some(Risk::Critical);
        let line = Entry::Line { series: Series([1; 16]), index: 0, line: b"first".to_vec() };
        let put = Entry::Put { shelf: 9, key: b"name".to_vec(), value: b"value".to_vec() };
        store.append(vec![Entry::Observed(more.clone()), line, put], at(0)).unwrap();
        store.upkeep(RetentionRule::default(), at(0)).unwrap();
        let all_are_new = names([("00000001.seg", old), ("00000002.seg", new), ("00000003.log", new)]);
        assert_eq!(formats(directory.path()), all_are_new);
        store.compact(at(0)).unwrap();
        assert_eq!(store.reader().verify().damage, []);
        drop(store);
        let mut all = expected(format);
        all.insert((more.shell.id, 1), more);
        let store = open(directory.path());
        assert_eq!(loaded(&store), all);
        assert_eq!(store.kept(9), [(b"name".to_vec(), b"value".to_vec())]);
        assert_eq!(store.reader().line(Series([1; 16]), 0), Ok(b"first".to_vec()));
        assert!(formats(directory.path()).values().all(|format| *format == new));
    }
}

#[test]
fn an_older_log_that_was_not_closed_is_renewed() {
    for format in FORMATS {
        let directory = older(format);
        let live = directory.path().join("log/00000003.log");
        let bytes = fs::read(&live).unwrap();
        // Without the batch that says that nothing follows.
        fs::write(&live, &bytes[..bytes.len() - 32]).unwrap();
        let (store, opened) = opened(directory.path());
        assert_eq!((opened.migrated_from, opened.was_closed), (Some(format), false));
        assert_eq!(loaded(&store), expected(format));
    }
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
        let batch = (1..4).map(|number| Entry::Observed(written(FORMAT, number, sequence))).collect();
        store.append(batch, at(0)).unwrap();
        if sequence > 10 && sequence % 10 == 5 {
            let late = (1..4).map(|number| {
                let mut event = written(FORMAT, number, sequence - 6);
                event.outcome = end(Some(7));
                Entry::Observed(event)
            });
            store.append(late.collect(), at(0)).unwrap();
        }
        if sequence == 15 {
            store.upkeep(RetentionRule::default(), at(0)).unwrap();
            drop(store.reader().load());
            understand_one(&mut store);
        }
        store.take_changes().iter().for_each(|change| search.apply(change));
    }
    let keys: Vec<_> = DELETED
        .iter()
        .map(|(number, sequence)| (shell(*number).id, *sequence))
        .map(|key| (key, search.events[&key].position))
        .collect();
    assert_eq!(store.delete(&keys, Vec::new(), at(0)), Ok(3));
    store.close().unwrap();
}

/// Understands one event anew.
fn understand_one(store: &mut Store) {
    let mut pass = Reclassification::new(false);
    let mut revise = |event: &Event| {
        let is_meant = (event.shell.id, event.sequence) == (shell(UNDERSTOOD.0).id, UNDERSTOOD.1);
        let understanding = Understanding { version: 1000, ..event.understanding.clone() };
        is_meant.then_some(Revision { understanding, redacted: None })
    };
    while !store.reclassify(&mut pass, 4096, &mut revise, at(0)).unwrap().is_done {}
}
