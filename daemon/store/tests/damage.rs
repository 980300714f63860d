//! A log with a changed byte: the change is named, nothing else is lost, and nothing wrong is read.

mod model;
mod shape;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use karo_core::search::Key;
use karo_protocol::event::{Redaction, Secret, Understanding};
use karo_protocol::{Bytes, Event, RedactedCommand};
use karo_store::{
    Appended, Entry, OpenError, Opened, Options, ReadError, Reclassification, RetentionRule, Revision, Store,
};
use model::{Dice, ModelDisk};
use shape::{Search, at, end, event, shell, start};

const OPTIONS: Options = Options { segment_bytes: 20_000, reserve_bytes: 0 };

fn open(disk: &ModelDisk) -> Result<(Store, Opened), OpenError> {
    Store::open(Path::new("/data"), OPTIONS, Arc::new(disk.clone()), at(0))
}

/// A log of sealed and raw segments with starts, ends and a deletion, and what is in it.
fn written(is_closed: bool) -> (ModelDisk, BTreeMap<Key, Event>) {
    let disk = ModelDisk::new();
    let (mut store, _) = open(&disk).expect("it opens");
    let mut search = Search::default();
    for sequence in 1..260_u64 {
        let events = [1, 2, 3].map(|number| {
            let outcome = if sequence % 5 == 0 { start() } else { end(Some(0)) };
            Entry::Observed(event(&shell(number), sequence, &format!("run {number} {sequence}"), outcome))
        });
        store.append(events.into(), at(0)).expect("it is taken");
        if sequence % 5 == 3 && sequence > 5 {
            let late = event(&shell(1), sequence - 3, "", end(Some(2)));
            store.append(vec![Entry::Observed(late)], at(0)).expect("it is taken");
        }
        if sequence % 100 == 0 {
            store.upkeep(RetentionRule::default(), at(0)).expect("it is sealed");
        }
        store.take_changes().iter().for_each(|change| search.apply(change));
    }
    let key = (shell(2).id, 7);
    store.delete(&[(key, search.events[&key].position)], Vec::new(), at(0)).expect("it is deleted");
    store.take_changes().iter().for_each(|change| search.apply(change));
    let events = search.read(&store.reader());
    if is_closed {
        store.close().expect("it is closed");
    }
    (disk, events.into_iter().map(|event| ((event.shell.id, event.sequence), event)).collect())
}

/// Everything that can be read, and how many events cannot.
fn readable(store: &Store) -> (BTreeMap<Key, Event>, usize) {
    let mut search = Search::default();
    for (changes, _) in store.reader().load() {
        changes.iter().for_each(|change| search.apply(change));
    }
    let (mut events, mut unreadable) = (BTreeMap::new(), 0);
    let positions: Vec<_> = search.events.values().map(|known| (known.position, known.outcome)).collect();
    for event in store.reader().events(&positions) {
        match event {
            Ok(event) => drop(events.insert((event.shell.id, event.sequence), event)),
            Err(ReadError::Damaged { .. }) => unreadable += 1,
            Err(error) => panic!("{error}"),
        }
    }
    (events, unreadable)
}

fn log_files(disk: &ModelDisk) -> Vec<(PathBuf, usize)> {
    let files = disk.files().into_iter().filter(|(path, _)| path.starts_with("/data/log"));
    files.map(|(path, bytes)| (path, bytes.len())).collect()
}

/// An event that was not damaged, but may have lost its end, which lay in a damaged place.
fn is_true(event: &Event, expected: &Event) -> bool {
    *event == *expected || *event == Event { outcome: start(), ..expected.clone() }
}

fn check_damage(disk: &ModelDisk, expected: &BTreeMap<Key, Event>, path: &Path, at_byte: usize, bit: u8) {
    disk.tamper(path, |bytes| bytes[at_byte] ^= bit);
    let (store, opened) = open(disk).expect("damage does not keep a log from being opened");
    let (events, _) = readable(&store);
    let verified = store.reader().verify();
    let is_named = verified.damage_count > 0 || !opened.torn.is_empty() || !opened.undecided.is_empty();
    assert!(is_named, "a changed byte at {at_byte} of {} passed unseen", path.display());
    let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
    let places: BTreeSet<&str> = verified
        .damage
        .iter()
        .map(|damage| damage.segment.as_str())
        .chain(opened.torn.iter().chain(&opened.undecided).map(|aside| aside.segment.as_str()))
        .collect();
    assert_eq!(places, BTreeSet::from([name]), "the wrong file is named");
    for (key, event) in &events {
        let expected = expected.get(key).unwrap_or_else(|| panic!("{key:?} came from nowhere"));
        assert!(is_true(event, expected), "{key:?} is wrong: {event:?}");
    }
    let lost = expected.len() - events.len();
    assert!(lost <= 128, "{lost} events were lost by one byte at {at_byte} of {}", path.display());
}

#[test]
fn two_hundred_changed_bytes_are_named_and_none_is_believed() {
    let (disk, expected) = written(true);
    let files = log_files(&disk);
    assert!(files.iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "seg")).count() >= 2);
    let mut dice = Dice(5);
    for _ in 0..200 {
        let (path, length) = &files[dice.below(files.len() as u64) as usize];
        let at_byte = dice.below(*length as u64) as usize;
        check_damage(&disk.after_kill(), &expected, path, at_byte, 1 << dice.below(8));
    }
}

#[test]
fn a_log_that_was_not_closed_names_changed_bytes_too() {
    let (disk, expected) = written(false);
    let files = log_files(&disk);
    let mut dice = Dice(6);
    for _ in 0..60 {
        let (path, length) = &files[dice.below(files.len() as u64) as usize];
        let at_byte = dice.below(*length as u64) as usize;
        check_damage(&disk.after_kill(), &expected, path, at_byte, 1 << dice.below(8));
    }
}

/// The ends of files are where the structure is: heads, footers, trailers.
#[test]
fn every_byte_of_header_footer_and_trailer_counts() {
    let (disk, expected) = written(true);
    for (path, length) in log_files(&disk) {
        for at_byte in (0..96).step_by(11).chain((length - 200..length).step_by(17)) {
            check_damage(&disk.after_kill(), &expected, &path, at_byte, 0x10);
        }
    }
}

#[test]
fn a_damaged_log_can_be_worked_with_and_the_damage_is_kept() {
    let (disk, expected) = written(false);
    let (path, _) = log_files(&disk).pop().expect("there are files");
    disk.tamper(&path, |bytes| bytes[150] ^= 0x20);
    let (mut store, opened) = open(&disk).expect("it opens");
    assert_eq!(opened.damage.len(), 1);
    assert_eq!(store.status().damage, 1);
    let kept: Vec<PathBuf> =
        disk.files().into_keys().filter(|path| path.starts_with("/data/damaged")).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let whole = event(&shell(8), 1, "more", end(None));
    store.append(vec![Entry::Observed(whole)], at(0)).expect("it is taken");
    drop(store);
    let (store, opened) = open(&disk).expect("it opens");
    assert_eq!(opened.damage, []);
    assert_eq!(readable(&store).0.len(), expected.len());
    let verified = store.reader().verify();
    assert_eq!(verified.damage_count, 1, "what was set aside stays named");
}

#[test]
fn a_later_format_is_refused_and_left_alone() {
    for name in ["00000001.log", "00000002.seg"] {
        let disk = ModelDisk::new();
        drop(open(&disk).expect("it opens"));
        // Headers as a later version would write them: only the version and its check differ.
        let bytes = if name.ends_with("log") { later_raw() } else { later_sealed() };
        disk.put(&Path::new("/data/log").join(name), &bytes);
        let before = disk.files();
        let refused = open(&disk).map(|(_, opened)| opened);
        assert!(matches!(refused, Err(OpenError::Newer { version: 9, .. })), "{refused:?}");
        assert_eq!(disk.files(), before);
    }
}

fn is_in_any_file(disk: &ModelDisk, needle: &[u8]) -> Vec<PathBuf> {
    let files = disk.files().into_iter();
    let holds = |bytes: &Vec<u8>| bytes.windows(needle.len()).any(|window| window == needle);
    files.filter(|(_, bytes)| holds(bytes)).map(|(path, _)| path).collect()
}

/// A log whose raw segment was damaged: one of two events with the same secret was set aside.
fn with_secret_set_aside() -> (ModelDisk, Store, Key) {
    let disk = ModelDisk::new();
    let (mut store, _) = open(&disk).expect("it opens");
    for sequence in 1..3 {
        let secret = event(&shell(1), sequence, "login with a Secret-Of-Mine", end(Some(0)));
        store.append(vec![Entry::Observed(secret)], at(0)).expect("it is taken");
    }
    drop(store);
    let path = Path::new("/data/log/00000001.log");
    disk.tamper(path, |bytes| {
        let at = bytes.windows(6).position(|window| window == b"Secret").expect("it is there");
        bytes[at - 3] ^= 1;
    });
    let (store, opened) = open(&disk).expect("it opens");
    assert_eq!(opened.damage.len(), 1);
    let holders = is_in_any_file(&disk, b"Secret-Of-Mine");
    assert!(holders.iter().any(|path| path.starts_with("/data/damaged")), "{holders:?}");
    (disk, store, (shell(1).id, 2))
}

#[test]
fn a_deleted_secret_is_not_kept_among_what_was_damaged() {
    let (disk, mut store, key) = with_secret_set_aside();
    let mut search = Search::default();
    store.reader().load().for_each(|(changes, _)| changes.iter().for_each(|change| search.apply(change)));
    assert_eq!(store.delete(&[(key, search.events[&key].position)], Vec::new(), at(0)), Ok(1));
    assert_eq!(is_in_any_file(&disk, b"Secret-Of-Mine"), Vec::<PathBuf>::new());
    assert_eq!(is_in_any_file(&disk.after_power_cut(&mut Dice(1)), b"Secret-Of-Mine"), Vec::<PathBuf>::new());
}

#[test]
fn a_secret_that_is_cut_out_is_not_kept_among_what_was_damaged() {
    let (disk, mut store, _) = with_secret_set_aside();
    drop(store.reader().load());
    let mut pass = Reclassification::new(true);
    let mut revise = |event: &Event| {
        let command = RedactedCommand::restored(Bytes::from("login with a -"), false);
        let redaction = Redaction { start: 13, end: 14, kind: Secret::Password };
        let redacted = Some((command, vec![redaction]));
        Some(Revision { understanding: event.understanding.clone(), redacted })
    };
    while !store.reclassify(&mut pass, 9, &mut revise, at(0)).expect("it is rewritten").is_done {}
    assert_eq!(is_in_any_file(&disk, b"Secret-Of-Mine"), Vec::<PathBuf>::new());
    assert_eq!(is_in_any_file(&disk.after_power_cut(&mut Dice(1)), b"Secret-Of-Mine"), Vec::<PathBuf>::new());
}

/// A log with a damaged block in a sealed segment, and what can be read of it; and what there was.
fn with_damaged_block() -> (ModelDisk, Store, [BTreeMap<Key, Event>; 2]) {
    let (disk, all) = written(true);
    let path = Path::new("/data/log/00000001.seg");
    disk.tamper(path, |bytes| bytes[300] ^= 0x10);
    let (store, _) = open(&disk).expect("it opens");
    let events = readable(&store).0;
    assert!(store.reader().verify().damage_count > 0 && events.len() < all.len());
    (disk, store, [events, all])
}

fn understand(store: &mut Store, is_redacting: bool) {
    let mut pass = Reclassification::new(is_redacting);
    let mut revise = |event: &Event| {
        let understanding = Understanding { version: 7, ..event.understanding.clone() };
        Some(Revision { understanding, redacted: None })
    };
    while !store.reclassify(&mut pass, 100, &mut revise, at(0)).expect("it is rewritten").is_done {}
}

fn set_aside(disk: &ModelDisk) -> usize {
    disk.files().keys().filter(|path| path.starts_with("/data/damaged")).count()
}

#[test]
fn damaged_bytes_of_a_segment_that_is_understood_again_are_kept() {
    let (disk, mut store, [before, all]) = with_damaged_block();
    understand(&mut store, false);
    let expected: BTreeMap<Key, Event> = before
        .into_iter()
        .map(|(key, event)| {
            let understanding = Understanding { version: 7, ..event.understanding.clone() };
            (key, Event { understanding, ..event })
        })
        .collect();
    assert_eq!(readable(&store).0, expected);
    assert_eq!(set_aside(&disk), 1);
    drop(store);
    let (mut store, _) = open(&disk).expect("it opens");
    assert_eq!(store.reader().verify().damage_count, 1, "what was set aside stays named");
    // The events of the block are gone, and late copies of them are none the less.
    let lost: Vec<Key> = all.into_keys().filter(|key| !expected.contains_key(key)).collect();
    drop(store.reader().load());
    for key in lost {
        let copy = event(&shell(key.0.as_bytes()[0]), key.1, "a late copy", start());
        let appended = store.append(vec![Entry::Observed(copy)], at(0)).expect("it is taken");
        assert_eq!(appended, [Appended::Duplicate]);
    }
    understand(&mut store, true);
    assert_eq!(set_aside(&disk), 0);
    assert_eq!(store.reader().verify().damage_count, 0);
}

#[test]
fn damaged_bytes_in_a_segment_go_with_the_first_deletion() {
    let (disk, mut store, [before, _]) = with_damaged_block();
    let mut search = Search::default();
    let everything = store.reader().everything();
    everything.for_each(|(changes, _)| changes.iter().for_each(|change| search.apply(change)));
    // It lies in another segment.
    let key = (shell(3).id, 258);
    assert_eq!(store.delete(&[(key, search.events[&key].position)], Vec::new(), at(0)), Ok(1));
    assert_eq!(set_aside(&disk), 0);
    drop(store);
    let (store, _) = open(&disk).expect("it opens");
    assert_eq!(store.reader().verify().damage_count, 0);
    let mut expected = before;
    expected.remove(&key);
    assert_eq!(readable(&store).0, expected);
}

fn later_raw() -> Vec<u8> {
    let mut bytes = vec![0; 32];
    bytes[..8].copy_from_slice(b"KAROLOG\n");
    bytes[9] = 9;
    bytes[15] = 1;
    let check = crc32c::crc32c(&bytes[..28]);
    bytes[28..].copy_from_slice(&check.to_be_bytes());
    bytes
}

fn later_sealed() -> Vec<u8> {
    let mut bytes = vec![0; 96];
    bytes[..8].copy_from_slice(b"KAROSEG\n");
    bytes[9] = 9;
    bytes[15] = 2;
    let hash = blake3::hash(&bytes[..80]);
    bytes[80..].copy_from_slice(&hash.as_bytes()[..16]);
    bytes
}
