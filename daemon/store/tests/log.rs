//! The log on a real disk, from outside.

mod shape;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use karo_core::search::{Change, Position};
use karo_protocol::{Event, EventId, State, Timestamp};
use karo_store::disk::RealDisk;
use karo_store::{AppendError, Appended, Entry, OpenError, Options, ReadError, Reader, RetentionRule, Store};
use shape::{Search, at, end, event, lost, shell, start};

fn open(directory: &Path) -> Store {
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
    let expected = [expected];
    assert_eq!(shape::events(&store.reader(), &store.take_changes()), expected);
    assert_eq!(store.append(vec![Entry::Observed(whole)], at(6)).unwrap(), [Appended::Duplicate]);
    store.close().unwrap();
    let end = store.position();
    assert!(store.append(vec![Entry::Lost { key: (shell(1).id, 1) }], at(7)).is_err());
    drop(store);

    let store = open(directory.path());
    assert_eq!(store.position(), end);
    assert_eq!(loaded(&store.reader()), expected);
    assert_eq!(store.reader().find(&[id, EventId::default()]), [Position(1)]);
    drop(store);
    assert_eq!(loaded(&open(directory.path()).reader()), expected);
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

fn small(directory: &Path) -> Store {
    let options = Options { reserve_bytes: 0, segment_bytes: 8_000 };
    Store::open(directory, options, Arc::new(RealDisk), at(0)).expect("the log opens").0
}

/// Takes in starts and ends of three shells, some left open, and applies what changes.
fn fill(store: &mut Store, search: &mut Search) {
    for sequence in 0..120_u64 {
        let mut batch = Vec::new();
        for number in 1..4 {
            let text = format!("make target-{number}-{sequence}");
            batch.push(Entry::Observed(event(&shell(number), sequence, &text, start())));
            if !sequence.is_multiple_of(7) && sequence > 0 {
                batch.push(Entry::Observed(event(&shell(number), sequence - 1, "late", end(Some(1)))));
            }
        }
        store.append(batch, at(0)).expect("there is room");
        store.take_changes().iter().for_each(|change| search.apply(change));
    }
}

fn applied(store: &mut Store, search: &mut Search) {
    store.take_changes().iter().for_each(|change| search.apply(change));
}

#[test]
fn sealing_changes_nothing_that_can_be_seen() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = small(directory.path());
    let mut search = Search::default();
    fill(&mut store, &mut search);
    let before = search.read(&store.reader());
    assert_eq!(before.len(), 360);
    store.upkeep(RetentionRule::default(), at(0)).unwrap();
    applied(&mut store, &mut search);
    assert!(store.status().segments > 3);
    assert_eq!(search.read(&store.reader()), before);
    assert_eq!(loaded(&store.reader()), before);
    let verified = store.reader().verify();
    assert_eq!((verified.damage_count, verified.segments), (0, store.status().segments + 1));
    store.close().unwrap();
    drop(store);

    let mut store = small(directory.path());
    assert_eq!(loaded(&store.reader()), before);
    let ids: Vec<EventId> = before.iter().map(|event| event.id).collect();
    assert_eq!(store.reader().find(&ids).len(), 360);
    let again = before.iter().map(|event| Entry::Observed(event.clone())).collect();
    let appended = store.append(again, at(0)).unwrap();
    assert!(appended.iter().all(|appended| *appended == Appended::Duplicate));

    let mut search = Search::default();
    store.reader().load().flat_map(|(changes, _)| changes).for_each(|change| search.apply(&change));
    let compacted = store.compact(at(0)).unwrap();
    assert!(compacted.bytes_after < compacted.bytes_before, "{compacted:?}");
    applied(&mut store, &mut search);
    assert_eq!(search.read(&store.reader()), before);
    assert_eq!(store.reader().verify().damage_count, 0);
    drop(store);
    assert_eq!(loaded(&small(directory.path()).reader()), before);
}

#[test]
fn what_short_lives_leave_raw_is_sealed_by_the_first_upkeep() {
    let directory = tempfile::tempdir().unwrap();
    let mut sequence = 0;
    for _ in 0..5 {
        let mut store = small(directory.path());
        let next = sequence + 60;
        let batch = |range: std::ops::Range<u64>| {
            range
                .map(|n| Entry::Observed(event(&shell(1), n, "make something long enough", end(None))))
                .collect()
        };
        store.append(batch(sequence..next), at(0)).unwrap();
        store.append(batch(next..next + 60), at(0)).unwrap();
        sequence = next + 60;
        // Killed before anything else.
        drop(store);
    }
    let raw = || {
        let files = std::fs::read_dir(directory.path().join("log")).unwrap().map(|file| file.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|end| end == "log")).collect::<Vec<_>>()
    };
    assert!(raw().len() > 2, "{:?}", raw());
    let mut store = small(directory.path());
    let before = loaded(&store.reader());
    store.upkeep(RetentionRule::default(), at(0)).unwrap();
    let full: Vec<_> = raw().into_iter().filter(|path| path.metadata().unwrap().len() >= 8_000).collect();
    assert_eq!(full, Vec::<std::path::PathBuf>::new(), "of {:?}", raw());
    assert!(raw().len() <= 1);
    assert_eq!((before.len(), loaded(&store.reader())), (600, before));
    let more = event(&shell(2), 1, "make more", end(None));
    assert!(matches!(
        store.append(vec![Entry::Observed(more)], at(0)).unwrap()[..],
        [Appended::Committed(_)]
    ));
    store.close().unwrap();
}

#[test]
fn what_is_deleted_is_gone_from_every_file_and_stays_away() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = small(directory.path());
    let mut search = Search::default();
    fill(&mut store, &mut search);
    store.upkeep(RetentionRule::default(), at(0)).unwrap();
    let late = event(&shell(9), 1, "secret in the live segment", end(Some(0)));
    store.append(vec![Entry::Observed(late.clone())], at(0)).unwrap();
    applied(&mut store, &mut search);
    let all = search.read(&store.reader());
    let is_doomed =
        |event: &Event| event.shell.id == shell(2).id && event.sequence < 80 || event.shell.id == shell(9).id;
    let (doomed, kept): (Vec<Event>, Vec<Event>) = all.into_iter().partition(is_doomed);
    let keys: Vec<_> = doomed
        .iter()
        .map(|event| (event.shell.id, event.sequence))
        .map(|key| (key, search.events[&key].position))
        .collect();
    assert_eq!(store.delete(&keys, Vec::new(), at(0)), Ok(81));
    applied(&mut store, &mut search);
    assert_eq!(search.read(&store.reader()), kept);
    assert_eq!(store.delete(&keys, Vec::new(), at(0)), Ok(0));
    for phase in [start(), lost(), end(Some(0))] {
        let entry = Entry::Observed(Event { outcome: phase, ..late.clone() });
        assert_eq!(store.append(vec![entry], at(0)).unwrap(), [Appended::Duplicate]);
    }
    for file in std::fs::read_dir(directory.path().join("log")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"secret"));
    }
    drop(store);
    let mut store = small(directory.path());
    assert_eq!(loaded(&store.reader()), kept);
    assert_eq!(store.append(vec![Entry::Observed(late)], at(0)).unwrap(), [Appended::Duplicate]);
    assert_eq!(store.reader().verify().damage_count, 0);
}

#[test]
fn retention_lets_whole_segments_go_and_nothing_of_them_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = small(directory.path());
    let mut search = Search::default();
    fill(&mut store, &mut search);
    store.upkeep(RetentionRule::default(), at(0)).unwrap();
    let all = search.read(&store.reader());
    let bytes = store.status().log_bytes;
    store.upkeep(RetentionRule { age: None, bytes: Some(bytes / 2) }, at(0)).unwrap();
    applied(&mut store, &mut search);
    let kept = search.read(&store.reader());
    assert!(!kept.is_empty() && kept.len() < all.len());
    assert!(all.iter().filter(|event| kept.contains(event)).eq(kept.iter()));
    assert!(store.status().log_bytes <= bytes / 2 + 8_000);
    drop(store);
    let mut store = small(directory.path());
    assert_eq!(loaded(&store.reader()), kept);
    let again = all.into_iter().map(Entry::Observed).collect();
    let appended = store.append(again, at(0)).unwrap();
    assert!(appended.iter().all(|appended| *appended == Appended::Duplicate));
}

#[test]
fn loading_covers_what_was_there_at_the_opening_and_nothing_goes_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = small(directory.path());
    let mut before = Search::default();
    fill(&mut store, &mut before);
    drop(store);
    let mut store = small(directory.path());
    let mut search = Search::default();
    // Something comes in, and is sealed, before the search has been told of anything.
    let late = event(&shell(8), 1, "make first", end(Some(0)));
    store.append(vec![Entry::Observed(late)], at(0)).unwrap();
    applied(&mut store, &mut search);
    store.upkeep(RetentionRule::default(), at(0)).unwrap();
    let mut load = store.reader().load();
    let mut since = Vec::new();
    for (changes, searchable_since) in load.by_ref() {
        changes.iter().for_each(|change| search.apply(change));
        since.push(searchable_since);
    }
    assert!(since.is_sorted_by(|earlier, later| earlier >= later) && since.last() == Some(&Timestamp::MIN));
    let key = (shell(8).id, 1);
    let found = [(key, search.events[&key].position)];
    assert_eq!(store.delete(&found, Vec::new(), at(0)), Err(AppendError::Loading));
    drop(load);
    assert_eq!(store.delete(&found, Vec::new(), at(0)), Ok(1));
    applied(&mut store, &mut search);
    assert_eq!(search.read(&store.reader()), before.read(&store.reader()));
}

#[test]
fn readers_see_whole_events_while_the_log_is_rewritten() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = small(directory.path());
    let mut search = Search::default();
    fill(&mut store, &mut search);
    let events: Vec<Event> = search.read(&store.reader());
    let positions: Vec<_> = search.events.values().map(|known| (known.position, known.outcome)).collect();
    let reader = store.reader();
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut rounds = 0;
            while !is_done.load(Ordering::Relaxed) || rounds == 0 {
                for (found, expected) in reader.events(&positions).into_iter().zip(&events) {
                    match found {
                        Ok(event) => assert_eq!(event, *expected),
                        Err(error) => assert_eq!(error, ReadError::Gone),
                    }
                }
                assert_eq!(reader.verify().damage, []);
                rounds += 1;
            }
        });
        store.upkeep(RetentionRule::default(), at(0)).unwrap();
        for sequence in 0..40 {
            let key = (shell(1).id, sequence);
            assert_eq!(store.delete(&[(key, search.events[&key].position)], Vec::new(), at(0)), Ok(1));
            let new = event(&shell(5), sequence, "make more", end(None));
            store.append(vec![Entry::Observed(new)], at(0)).unwrap();
        }
        store.compact(at(0)).unwrap();
        is_done.store(true, Ordering::Relaxed);
        watcher.join().expect("the watcher saw nothing wrong");
    });
}

#[test]
fn only_the_user_can_look_at_the_files() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = small(directory.path());
    fill(&mut store, &mut Search::default());
    store.upkeep(RetentionRule::default(), at(0)).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let log = directory.path().join("log");
    assert_eq!(mode(&log), 0o700);
    let mut files: Vec<_> = std::fs::read_dir(&log).unwrap().map(|file| file.unwrap().path()).collect();
    files.push(directory.path().join("karod.lock"));
    assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
}
