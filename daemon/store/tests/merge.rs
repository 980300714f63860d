//! Phases of an event come in any order, any number of times, across seals, reopenings and deletions.

mod model;
mod shape;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use karo_core::rollup::{Delta, Rollup};
use karo_core::search::Key;
use karo_protocol::{Event, EventId, Outcome};
use karo_store::views::{Digest, Views};
use karo_store::{Appended, Entry, Options, RetentionRule, Store, Upkeep};
use model::ModelDisk;
use proptest::prelude::*;
use shape::{Search, at, end, event, lost, shell, start};

fn open(disk: &ModelDisk) -> Store {
    let options = Options { segment_bytes: 1500, reserve_bytes: 0 };
    Store::open(Path::new("/data"), options, Arc::new(disk.clone()), at(0)).expect("it opens").0
}

/// What happens to a store.
#[derive(Debug, Clone)]
enum Deed {
    Deliver(u8, u64, u8),
    Shell(u8, u64),
    Delete(u8, u64),
    Upkeep,
    Compact,
    Reopen(bool),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        12 => (0..2_u8, 1..6_u64, 0..3_u8).prop_map(|(shell, sequence, phase)| Deed::Deliver(shell, sequence, phase)),
        2 => (0..2_u8, 1..6_u64).prop_map(|(shell, sequence)| Deed::Shell(shell, sequence)),
        1 => (0..2_u8, 1..6_u64).prop_map(|(shell, sequence)| Deed::Delete(shell, sequence)),
        1 => Just(Deed::Upkeep),
        1 => Just(Deed::Compact),
        1 => any::<bool>().prop_map(Deed::Reopen),
    ]
}

fn phase(number: u8) -> Outcome {
    match number {
        0 => start(),
        1 => lost(),
        _ => end(Some(4)),
    }
}

/// What must be there: how far each event has come, and what was deleted.
#[derive(Debug, Default)]
struct Reference {
    events: BTreeMap<Key, u8>,
    deleted: BTreeSet<Key>,
}

impl Reference {
    /// Takes in a phase and tells whether it says anything new.
    fn deliver(&mut self, key: Key, phase: u8) -> bool {
        if self.deleted.contains(&key) {
            return false;
        }
        let known = self.events.get(&key).copied();
        let is_new = known.is_none_or(|known| phase > known);
        if is_new {
            self.events.insert(key, phase);
        }
        is_new
    }
}

fn followed(store: &mut Store, search: &mut Search) {
    store.take_changes().iter().for_each(|change| search.apply(change));
}

fn loaded(store: &Store) -> Search {
    let mut search = Search::default();
    store.reader().everything().flat_map(|(changes, _)| changes).for_each(|change| search.apply(&change));
    search
}

/// Opens the log with the views beside it.
fn open_with_views(disk: &ModelDisk, directory: &Path) -> Store {
    let mut store = open(disk);
    store.attach(Views::open(directory, at(0)).expect("the views open").0);
    store
}

fn keep_up(store: &mut Store) {
    while store.upkeep(RetentionRule::default(), at(0)).expect("it is kept up") == Upkeep::More {}
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_views_say_what_the_log_says(deeds in prop::collection::vec(deed(), 1..80)) {
        let (disk, directory) = (ModelDisk::new(), tempfile::tempdir().expect("a directory"));
        let mut store = open_with_views(&disk, directory.path());
        let mut search = Search::default();
        for deed in deeds {
            match deed {
                Deed::Deliver(number, sequence, which) => {
                    let event = event(&shell(number), sequence, "echo", phase(which));
                    store.append(vec![Entry::Observed(event)], at(0)).expect("it is taken");
                }
                Deed::Shell(number, sequence) => {
                    let key = (shell(number).id, sequence);
                    store.append(vec![Entry::Lost { key }], at(0)).expect("it is taken");
                }
                Deed::Delete(number, sequence) => {
                    let key = (shell(number).id, sequence);
                    let known = search.events.get(&key).map(|known| (key, known.position));
                    store.delete(&Vec::from_iter(known), at(0)).expect("it is deleted");
                }
                Deed::Upkeep => keep_up(&mut store),
                Deed::Compact => drop(store.compact(at(0)).expect("it is compacted")),
                Deed::Reopen(is_closed) => {
                    if is_closed {
                        store.close().expect("it is closed");
                    }
                    drop(store);
                    store = open_with_views(&disk, directory.path());
                    search = Search::default();
                    store.reader().load().flat_map(|(changes, _)| changes).for_each(|change| search.apply(&change));
                    store.take_changes();
                }
            }
            followed(&mut store, &mut search);
        }
        prop_assert!(store.views_agree());
        let expected: Rollup = search.read(&store.reader()).iter().map(Delta::added).collect();
        let views = store.views().expect("they were attached").whole().expect("they can be read");
        prop_assert_eq!(Digest::of(&views), Digest::of(&expected));
    }
}

#[test]
fn views_are_caught_up_after_a_crash_and_only_made_anew_when_they_must() {
    let (disk, directory) = (ModelDisk::new(), tempfile::tempdir().expect("a directory"));
    let mut store = open_with_views(&disk, directory.path());
    let commands = |store: &mut Store, from: u64, to: u64| {
        for sequence in from..to {
            let event = event(&shell(1), sequence, "echo", start());
            store.append(vec![Entry::Observed(event)], at(0)).expect("it is taken");
        }
    };
    commands(&mut store, 1, 40);
    keep_up(&mut store);
    store.close().expect("it is closed");
    drop(store);
    let mut store = open_with_views(&disk, directory.path());
    commands(&mut store, 40, 42);
    let ended = event(&shell(1), 3, "echo", end(Some(1)));
    store.append(vec![Entry::Observed(ended)], at(0)).expect("it is taken");
    drop(store);
    let mut store = open_with_views(&disk, directory.path());
    assert!(store.views().expect("they were attached").position().is_some(), "they were thrown away");
    assert!(store.views_agree());
    drop(store);
    // Without its last segment a log is not the one that the views know.
    let (last, _) = disk.files().pop_last().expect("there are files");
    disk.tamper(&last, |bytes| bytes.truncate(40));
    let mut store = open_with_views(&disk, directory.path());
    keep_up(&mut store);
    assert!(store.views_agree());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_what_its_reference_is(deeds in prop::collection::vec(deed(), 1..60)) {
        let disk = ModelDisk::new();
        let (mut store, mut search, mut reference) = (open(&disk), Search::default(), Reference::default());
        let mut ids: BTreeMap<Key, EventId> = BTreeMap::new();
        for deed in deeds {
            match deed {
                Deed::Deliver(number, sequence, which) => {
                    let key = (shell(number).id, sequence);
                    let entry = Entry::Observed(event(&shell(number), sequence, "echo", phase(which)));
                    let is_new = reference.deliver(key, which);
                    let appended = store.append(vec![entry.clone(), entry], at(0)).expect("it is taken");
                    prop_assert_eq!(matches!(appended[0], Appended::Committed(_)), is_new);
                    prop_assert_eq!(appended[1], Appended::Duplicate);
                    if let Appended::Committed(id) = appended[0] && id != EventId::default() {
                        ids.insert(key, id);
                    }
                }
                Deed::Shell(number, sequence) => {
                    let key = (shell(number).id, sequence);
                    let is_running = reference.events.get(&key) == Some(&0);
                    if is_running {
                        reference.deliver(key, 1);
                    }
                    let appended = store.append(vec![Entry::Lost { key }], at(0)).expect("it is taken");
                    prop_assert_eq!(matches!(appended[0], Appended::Committed(_)), is_running);
                }
                Deed::Delete(number, sequence) => {
                    let key = (shell(number).id, sequence);
                    let known = search.events.get(&key).map(|known| (key, known.position));
                    let deleted = store.delete(&Vec::from_iter(known), at(0)).expect("it is deleted");
                    prop_assert_eq!(deleted == 1, reference.events.remove(&key).is_some());
                    if deleted == 1 {
                        reference.deleted.insert(key);
                    }
                }
                Deed::Upkeep => keep_up(&mut store),
                Deed::Compact => drop(store.compact(at(0)).expect("it is compacted")),
                Deed::Reopen(is_closed) => {
                    followed(&mut store, &mut search);
                    if is_closed {
                        store.close().expect("it is closed");
                    }
                    drop(store);
                    store = open(&disk);
                    drop(store.reader().load());
                    search = loaded(&store);
                }
            }
            followed(&mut store, &mut search);
            let expected: Vec<Event> = reference
                .events
                .iter()
                .map(|((id, sequence), which)| Event {
                    id: ids[&(*id, *sequence)],
                    ..event(&shell(id.as_bytes()[0]), *sequence, "echo", phase(*which))
                })
                .collect();
            prop_assert_eq!(search.read(&store.reader()), expected.clone());
            prop_assert_eq!(loaded(&store).read(&store.reader()), expected);
        }
        prop_assert_eq!(store.reader().verify().damage_count, 0);
    }
}
