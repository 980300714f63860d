//! Phases of an event come in any order, any number of times, across seals, reopenings, deletions and
//! passes that understand again.

mod model;
mod shape;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use karo_core::search::Key;
use karo_protocol::{Axis, Bytes, Event, EventId, Outcome, RedactedCommand, Risk};
use karo_store::{Appended, Entry, Options, Reclassification, RetentionRule, Revision, Store};
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
    /// By the rules of that version the sequences that it divides; with their texts, or without.
    Understand(u32, bool),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        12 => (0..2_u8, 1..6_u64, 0..3_u8).prop_map(|(shell, sequence, phase)| Deed::Deliver(shell, sequence, phase)),
        2 => (0..2_u8, 1..6_u64).prop_map(|(shell, sequence)| Deed::Shell(shell, sequence)),
        1 => (0..2_u8, 1..6_u64).prop_map(|(shell, sequence)| Deed::Delete(shell, sequence)),
        1 => Just(Deed::Upkeep),
        1 => Just(Deed::Compact),
        1 => any::<bool>().prop_map(Deed::Reopen),
        2 => (2..5_u32, any::<bool>()).prop_map(|(version, has_text)| Deed::Understand(version, has_text)),
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
    /// Which rules each event was last understood by, and which last cut its text.
    versions: BTreeMap<Key, (u32, u32)>,
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

/// What an event is by the rules of a version, and by those that last cut its text.
fn revised(event: Event, (version, cut): (u32, u32)) -> Event {
    let mut event = event;
    event.understanding.version = version;
    event.understanding.risk = (version > 2).then_some(Risk::Medium);
    event.understanding.axis = (version == 4).then_some(Axis::Threat);
    if cut > 1 {
        event.command = RedactedCommand::restored(Bytes::from(&*format!("echo {cut}")), false);
    }
    event
}

fn understand(store: &mut Store, search: &mut Search, version: u32, has_text: bool) {
    let mut pass = Reclassification::new(has_text);
    let mut revise = |event: &Event| {
        let is_meant = event.sequence.is_multiple_of(u64::from(version));
        let event = revised(event.clone(), (version, if has_text { version } else { 1 }));
        let redacted = has_text.then_some((event.command, event.redactions));
        is_meant.then_some(Revision { understanding: event.understanding, redacted })
    };
    while !store.reclassify(&mut pass, 2, &mut revise, at(0)).expect("it is rewritten").is_done {
        followed(store, search);
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
                    let deleted = store.delete(&Vec::from_iter(known), Vec::new(), at(0)).expect("it is deleted");
                    prop_assert_eq!(deleted == 1, reference.events.remove(&key).is_some());
                    if deleted == 1 {
                        reference.deleted.insert(key);
                    }
                }
                Deed::Upkeep => drop(store.upkeep(RetentionRule::default(), at(0)).expect("it is sealed")),
                Deed::Compact => drop(store.compact(at(0)).expect("it is compacted")),
                Deed::Understand(version, has_text) => {
                    understand(&mut store, &mut search, version, has_text);
                    let meant = reference.events.keys().filter(|key| key.1.is_multiple_of(u64::from(version)));
                    for key in meant {
                        let known = reference.versions.entry(*key).or_insert((1, 1));
                        *known = (version, if has_text { version } else { known.1 });
                    }
                }
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
                .map(|((id, sequence), which)| {
                    let key = (*id, *sequence);
                    let event = event(&shell(id.as_bytes()[0]), *sequence, "echo", phase(*which));
                    let versions = reference.versions.get(&key).copied().unwrap_or((1, 1));
                    revised(Event { id: ids[&key], ..event }, versions)
                })
                .collect();
            prop_assert_eq!(search.read(&store.reader()), expected.clone());
            prop_assert_eq!(loaded(&store).read(&store.reader()), expected);
        }
        prop_assert_eq!(store.reader().verify().damage_count, 0);
    }
}
