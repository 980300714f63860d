//! The log on a real disk, from outside.

mod shape;

use std::sync::Arc;

use karo_core::search::{Change, Position};
use karo_protocol::{Event, EventId, State};
use karo_store::disk::RealDisk;
use karo_store::log::{Appended, Entry, OpenError, Options, Reader, Store};
use shape::{at, end, event, lost, shell, start};

fn open(directory: &std::path::Path) -> Store {
    Store::open(directory, Options { reserve_bytes: 0, ..Options::default() }, Arc::new(RealDisk), at(0))
        .expect("the log opens")
        .0
}

/// Everything that a load says, put together as the search would: positions, and where they ended.
fn loaded(reader: &Reader) -> Vec<Event> {
    let changes: Vec<Change> = reader.everything().flat_map(|(changes, _)| changes).collect();
    shape::events(reader, &changes)
}

#[test]
fn what_was_appended_is_read_back_and_survives() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    let whole = event(&shell(1), 1, "cargo test", end(Some(0)));
    let appended = store.append(vec![Entry::Observed(whole.clone())], at(5)).unwrap();
    let [Appended::Committed(id)] = appended[..] else { panic!("{appended:?}") };
    let expected = Event { id, ..whole.clone() };
    assert_eq!(shape::events(&store.reader(), &store.take_changes()), [expected.clone()]);
    assert_eq!(store.append(vec![Entry::Observed(whole)], at(6)).unwrap(), [Appended::Duplicate]);
    store.close().unwrap();
    drop(store);

    let store = open(directory.path());
    assert_eq!(loaded(&store.reader()), [expected.clone()]);
    assert_eq!(store.reader().find(&[id, EventId::default()]), [Position(1)]);
    drop(store);
    assert_eq!(loaded(&open(directory.path()).reader()), [expected]);
}

#[test]
fn phases_merge_in_any_order() {
    let directory = tempfile::tempdir().unwrap();
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let mut store = open(directory.path());
    for (sequence, order) in orders.iter().enumerate() {
        let phases = [start(), lost(), end(Some(3))];
        for phase in order {
            let event = event(&shell(2), sequence as u64, "make", phases[*phase].clone());
            store.append(vec![Entry::Observed(event)], at(1)).unwrap();
        }
    }
    let seen = |events: Vec<Event>| events.iter().map(|event| event.outcome.state()).collect::<Vec<_>>();
    assert_eq!(seen(shape::events(&store.reader(), &store.take_changes())), [State::Ended; 6]);
    assert_eq!(seen(loaded(&store.reader())), [State::Ended; 6]);
    drop(store);
    let mut store = open(directory.path());
    assert_eq!(seen(loaded(&store.reader())), [State::Ended; 6]);
    for sequence in 0..6 {
        for phase in [start(), lost(), end(None)] {
            let entry = Entry::Observed(event(&shell(2), sequence, "make", phase));
            assert_eq!(store.append(vec![entry], at(2)).unwrap(), [Appended::Duplicate]);
        }
    }
}

#[test]
fn a_directory_has_one_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let second = Store::open(directory.path(), Options::default(), Arc::new(RealDisk), at(0));
    assert!(matches!(second, Err(OpenError::Locked { .. })));
    drop(store);
    open(directory.path());
}
