//! Small values and series of lines, from outside: they outlive whatever is done to the segments.

mod model;
mod shape;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use karo_protocol::Micros;
use karo_store::disk::RealDisk;
use karo_store::{
    AppendError, Appended, Entry, Options, ReadError, Reclassification, RetentionRule, SERIES_MAX, Series,
    Store, VALUE_BYTES_MAX,
};
use model::Dice;
use shape::{Search, at, end, event, shell};

const A: Series = Series([0xa; 16]);
const B: Series = Series([0xb; 16]);

fn open(directory: &Path) -> Store {
    let options = Options { segment_bytes: 3_000, reserve_bytes: 0 };
    Store::open(directory, options, Arc::new(RealDisk), at(0)).expect("the log opens").0
}

fn put(shelf: u8, key: &str, value: &str) -> Entry {
    Entry::Put { shelf, key: key.into(), value: value.into() }
}

fn line(series: Series, index: u64) -> Entry {
    Entry::Line { series, index, line: text(series, index).into() }
}

fn text(series: Series, index: u64) -> String {
    format!("line {index} of {}", series.0[0])
}

fn command(sequence: u64) -> Entry {
    Entry::Observed(event(&shell(1), sequence, "make something that is long enough", end(Some(0))))
}

/// What must be there, kept in plain maps.
#[derive(Debug, Clone, Default)]
struct Told {
    kept: BTreeMap<(u8, String), String>,
    lines: BTreeMap<Series, u64>,
    forgotten: BTreeMap<Series, u64>,
}

impl Told {
    fn check(&self, store: &Store) {
        for shelf in 1..4 {
            let expected: Vec<(Vec<u8>, Vec<u8>)> = self
                .kept
                .iter()
                .filter(|((of, _), _)| *of == shelf)
                .map(|((_, key), value)| (key.clone().into(), value.clone().into()))
                .collect();
            assert_eq!(store.kept(shelf), expected);
        }
        for series in [A, B] {
            let (count, first) = (self.count(series), self.forgotten.get(&series).copied().unwrap_or(0));
            assert_eq!(store.line_count(series), count);
            let expected: Vec<_> =
                (first..count).map(|index| (index, Ok(text(series, index).into_bytes()))).collect();
            assert_eq!(store.reader().lines(series, 0..u64::MAX), expected);
        }
    }

    fn count(&self, series: Series) -> u64 {
        self.lines.get(&series).copied().unwrap_or(0)
    }

    /// Draws some entries, and takes them in as kept.
    fn draw(&mut self, dice: &mut Dice) -> Vec<Entry> {
        let mut entries = Vec::new();
        for _ in 0..dice.below(6) {
            let (shelf, key) = (1 + dice.below(3) as u8, format!("key-{}", dice.below(5)));
            match dice.below(4) {
                0 => {
                    entries.push(Entry::Remove { shelf, key: key.clone().into() });
                    self.kept.remove(&(shelf, key));
                }
                1 | 2 => {
                    let value = format!("value-{}", dice.below(1000));
                    entries.push(put(shelf, &key, &value));
                    self.kept.insert((shelf, key), value);
                }
                _ => {
                    let series = if dice.below(3) == 0 { B } else { A };
                    entries.push(line(series, self.count(series)));
                    *self.lines.entry(series).or_default() += 1;
                }
            }
        }
        entries
    }
}

#[test]
fn whatever_is_done_to_the_segments_values_and_lines_are_there() {
    for seed in 0..12 {
        let directory = tempfile::tempdir().unwrap();
        let mut store = open(directory.path());
        let (mut dice, mut told, mut search) = (Dice(seed), Told::default(), Search::default());
        let mut sequence = 0;
        drop(store.reader().load());
        for step in 0..250 {
            match dice.below(30) {
                0 => {
                    drop(store);
                    store = open(directory.path());
                    let (loaded, reader) = (&mut search, store.reader());
                    *loaded = Search::default();
                    reader.load().for_each(|(changes, _)| changes.iter().for_each(|c| loaded.apply(c)));
                }
                1 => drop(store.upkeep(RetentionRule::default(), at(0)).unwrap()),
                2 => drop(store.compact(at(0)).unwrap()),
                3 => {
                    let rule = RetentionRule { age: Some(Micros(30_000_000)), bytes: None };
                    store.upkeep(rule, at(sequence as i64)).unwrap();
                }
                4 | 5 => {
                    let keys: Vec<_> =
                        search.events.iter().map(|(key, known)| (*key, known.position)).collect();
                    let keys = &keys[..keys.len().min(2)];
                    assert_eq!(store.deletable(keys), keys.len() as u64);
                    let also = if keys.is_empty() { Vec::new() } else { told.draw(&mut dice) };
                    assert_eq!(store.delete(keys, also, at(0)), Ok(keys.len() as u64));
                }
                6 => {
                    let mut pass = Reclassification::new(true);
                    while !store.reclassify(&mut pass, 100, &mut |_| None, at(0)).unwrap().is_done {}
                }
                7 => {
                    let below = dice.below(told.count(A) + 1);
                    store.forget_lines(A, below, at(0)).unwrap();
                    let first = told.forgotten.entry(A).or_default();
                    *first = below.max(*first);
                }
                _ => {
                    let mut entries = told.draw(&mut dice);
                    sequence += 1;
                    entries.push(command(sequence));
                    let appended = store.append(entries.clone(), at(0)).unwrap();
                    assert!(appended.iter().all(|appended| matches!(appended, Appended::Committed(_))));
                }
            }
            store.take_changes().iter().for_each(|change| search.apply(change));
            if step % 10 == 0 {
                told.check(&store);
            }
        }
        told.check(&store);
        assert_eq!(store.reader().verify().damage, []);
        drop(store);
        told.check(&open(directory.path()));
    }
}

#[test]
fn a_line_comes_once_and_in_its_turn() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    let committed = Appended::Committed(karo_protocol::EventId::default());
    assert_eq!(
        store.append(vec![line(A, 0), line(A, 1), line(A, 0)], at(0)),
        Ok(vec![committed, committed, Appended::Duplicate])
    );
    let before = store.status().log_bytes;
    let unfit = |entry| matches!(entry, Err(AppendError::Unfit { .. }));
    assert!(unfit(store.append(vec![command(1), line(A, 3)], at(0))));
    assert!(unfit(store.append(vec![put(0, "of the store", "x")], at(0))));
    assert!(unfit(store.append(vec![put(1, &"k".repeat(257), "x")], at(0))));
    assert!(unfit(store.append(vec![put(1, "k", &"x".repeat(VALUE_BYTES_MAX + 1))], at(0))));
    assert!(unfit(store.append(vec![Entry::Line { series: A, index: 2, line: vec![0; 70_000] }], at(0))));
    let series =
        |number: usize| Series([number as u8, (number >> 8) as u8, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let many = (0..SERIES_MAX).map(|number| line(series(number), 0)).collect();
    assert!(unfit(store.append(many, at(0))));
    let much = (0..300).map(|number| put(1, &number.to_string(), &"x".repeat(60_000))).collect();
    assert!(unfit(store.append(much, at(0))));
    assert_eq!(store.status().log_bytes, before, "nothing was written");
    assert_eq!(store.line_count(A), 2);
    assert_eq!(store.reader().line(A, 2), Err(ReadError::Gone));
    assert_eq!(store.reader().line(B, 0), Err(ReadError::Gone));
}

#[test]
fn a_torn_batch_leaves_none_of_its_values_and_lines() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    store.append(vec![line(A, 0), put(1, "first", "whole")], at(0)).unwrap();
    let whole = fs::read(directory.path().join("log/00000001.log")).unwrap();
    let batch =
        vec![line(A, 1), put(1, "a", "1"), command(1), line(A, 2), line(B, 0), put(1, "b", "2"), line(A, 3)];
    store.append(batch, at(0)).unwrap();
    drop(store);
    let bytes = fs::read(directory.path().join("log/00000001.log")).unwrap();
    let mut seen = BTreeSet::new();
    let mut check = |bytes: &[u8], place: &str| {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("log")).unwrap();
        fs::write(directory.path().join("log/00000001.log"), bytes).unwrap();
        let store = open(directory.path());
        let kept: Vec<_> = store.kept(1).into_iter().map(|(key, _)| key).collect();
        let has = |key: &str| kept.contains(&key.as_bytes().to_vec());
        let (a, b) = (store.line_count(A), store.line_count(B));
        let state = (a, has("a"), b, has("b"));
        assert!([(1, false, 0, false), (4, true, 1, true)].contains(&state), "{state:?} at {place}");
        assert!(has("first"));
        (0..a).for_each(|index| assert_eq!(store.reader().line(A, index), Ok(text(A, index).into_bytes())));
        seen.insert(state);
    };
    for length in (whole.len()..=bytes.len()).filter(|length| length % 3 == 0 || *length == bytes.len()) {
        check(&bytes[..length], &length.to_string());
        // A file that has its length, and not yet its bytes.
        let mut hollow = bytes.clone();
        let until = (length + 40).min(hollow.len());
        hollow[length..until].fill(0);
        check(&hollow, &format!("a hollow at {length}"));
    }
    assert_eq!(seen.len(), 2);
}

#[test]
fn what_is_overwritten_removed_or_forgotten_goes_from_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    for number in 0..40 {
        let (key, value) = (format!("name-{number}"), format!("overwritten-{number}"));
        let entries = vec![put(1, "same", &value), put(2, &key, &value), line(A, number)];
        store.append(entries, at(0)).unwrap();
        store.append(vec![Entry::Remove { shelf: 2, key: key.into() }], at(0)).unwrap();
    }
    store.append(vec![put(1, "same", "last")], at(0)).unwrap();
    store.forget_lines(A, 38, at(0)).unwrap();
    assert_eq!(store.reader().line(A, 37), Err(ReadError::Gone));
    store.compact(at(0)).unwrap();
    drop(store.reader().load());
    for _ in 0..3 {
        store.compact(at(0)).unwrap();
    }
    // One value, one word of how far lines are forgotten, two lines; an empty live segment.
    assert_eq!(store.reader().verify().records, 4);
    assert_eq!(store.kept(2), []);
    drop(store);
    let mut store = open(directory.path());
    assert_eq!(store.kept(1), [(b"same".to_vec(), b"last".to_vec())]);
    assert_eq!((store.reader().line_range(A), store.line_count(A)), (38..40, 40));
    store.append(vec![line(A, 40)], at(0)).unwrap();
    assert_eq!(store.reader().line(A, 40), Ok(text(A, 40).into_bytes()));
}

#[test]
fn a_value_whose_block_is_damaged_is_in_the_footer_once_more() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    store.append(vec![put(1, "name", "value"), command(1), line(A, 0), line(A, 1)], at(0)).unwrap();
    drop(store.reader().load());
    store.compact(at(0)).unwrap();
    drop(store);
    let sealed = directory.path().join("log/00000001.seg");
    let mut bytes = fs::read(&sealed).unwrap();
    bytes[96 + 64 + 5] ^= 1;
    fs::write(&sealed, bytes).unwrap();
    let mut store = open(directory.path());
    assert_eq!(store.kept(1).len(), 1);
    assert!(matches!(store.reader().line(A, 0), Err(ReadError::Damaged { .. })));
    assert_eq!(store.line_count(A), 2);
    drop(store.reader().load());
    let mut pass = Reclassification::new(true);
    while !store.reclassify(&mut pass, 100, &mut |_| None, at(0)).unwrap().is_done {}
    drop(store);
    assert_eq!(open(directory.path()).kept(1), [(b"name".to_vec(), b"value".to_vec())]);
}
