//! Understanding again: events become what a pass makes of them, wherever they lie, and nothing else
//! changes.

mod model;
mod shape;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use karo_core::search::{Change, Key};
use karo_protocol::event::{Redaction, Secret, Understanding};
use karo_protocol::{Axis, Bytes, Category, Event, RedactedCommand, Risk};
use karo_store::{AppendError, Entry, Options, Progress, Reclassification, RetentionRule, Revision, Store};
use model::ModelDisk;
use shape::{Search, at, end, event, shell, start};

const OPTIONS: Options = Options { segment_bytes: 8_000, reserve_bytes: 0 };

fn open(disk: &ModelDisk) -> Store {
    Store::open(Path::new("/data"), OPTIONS, Arc::new(disk.clone()), at(0)).expect("the log opens").0
}

/// A store with what was told of it.
struct Told {
    store: Store,
    search: Search,
}

impl Told {
    fn open(disk: &ModelDisk) -> Self {
        let store = open(disk);
        let mut search = Search::default();
        store.reader().load().for_each(|(changes, _)| changes.iter().for_each(|change| search.apply(change)));
        Self { store, search }
    }

    fn follow(&mut self) -> Vec<Change> {
        let changes = self.store.take_changes();
        changes.iter().for_each(|change| self.search.apply(change));
        changes
    }

    /// Takes in starts and ends of three shells, some left open.
    fn fill(&mut self) {
        for sequence in 0..120_u64 {
            let mut batch = Vec::new();
            for number in 1..4 {
                let text = format!("login --as user-{number} --with Hidden{sequence} host");
                batch.push(Entry::Observed(event(&shell(number), sequence, &text, start())));
                if !sequence.is_multiple_of(7) && sequence > 0 {
                    batch.push(Entry::Observed(event(&shell(number), sequence - 1, "late", end(Some(1)))));
                }
            }
            self.store.append(batch, at(0)).expect("there is room");
            if sequence % 50 == 9 {
                self.store.upkeep(RetentionRule::default(), at(0)).expect("there is room");
            }
            self.follow();
        }
    }

    /// Goes over everything in steps of so many events.
    fn pass(
        &mut self,
        is_redacting: bool,
        step: usize,
        revise: &mut dyn FnMut(&Event) -> Option<Revision>,
    ) -> Progress {
        let mut pass = Reclassification::new(is_redacting);
        loop {
            let progress = self.store.reclassify(&mut pass, step, revise, at(9)).expect("there is room");
            self.follow();
            if progress.is_done {
                return progress;
            }
        }
    }

    fn events(&self) -> Vec<Event> {
        self.search.read(&self.store.reader())
    }
}

fn anew(n: u64) -> Understanding {
    Understanding {
        category: Category::Security,
        categories: [Category::Security, Category::Build].into_iter().collect(),
        tools: vec!["login".into(), format!("helper{n}")],
        risk: Some(Risk::High),
        rules: vec!["a-rule-with-a-long-name".into()],
        version: 2,
        axis: Some(Axis::Exposure),
    }
}

/// Understands every third event anew.
fn third(event: &Event) -> Option<Revision> {
    let understanding = event.sequence.is_multiple_of(3).then(|| anew(event.sequence))?;
    Some(Revision { understanding, redacted: None })
}

/// Cuts the hidden word out of an even event.
fn cut(event: &Event) -> Option<Revision> {
    let text = String::from_utf8(event.command.as_bytes().to_vec()).expect("the tests write UTF-8");
    let at = text.find("Hidden").filter(|_| event.sequence.is_multiple_of(2))?;
    let end = at + text[at..].find(' ')?;
    let marker = "[redacted:password]";
    let text = format!("{}{marker}{}", &text[..at], &text[end..]);
    let redaction = Redaction { start: at as u32, end: (at + marker.len()) as u32, kind: Secret::Password };
    let command = RedactedCommand::restored(Bytes(text.into_bytes()), false);
    let understanding = Understanding { version: 3, ..event.understanding.clone() };
    Some(Revision { understanding, redacted: Some((command, vec![redaction])) })
}

fn revised(event: Event, revise: fn(&Event) -> Option<Revision>) -> Event {
    let Some(revision) = revise(&event) else { return event };
    let (command, redactions) = revision.redacted.unwrap_or((event.command, event.redactions));
    Event { understanding: revision.understanding, command, redactions, ..event }
}

fn has(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn every_event_becomes_what_the_pass_makes_of_it() {
    for step in [1, 50, usize::MAX] {
        let disk = ModelDisk::new();
        let mut told = Told::open(&disk);
        told.fill();
        let before = told.events();
        let expected: Vec<Event> = before.iter().cloned().map(|event| revised(event, third)).collect();
        let progress = told.pass(false, step, &mut third);
        assert_eq!((progress.events, progress.changed, progress.redacted), (360, 120, 0));
        assert_eq!(progress.records, progress.records_total);
        assert!(progress.segments > 3);
        assert_eq!(told.events(), expected);
        assert_eq!(told.search.revised.len(), 120);
        assert_eq!(told.store.reader().verify().damage, []);
        drop(told);
        let mut told = Told::open(&disk);
        assert_eq!(told.events(), expected);
        told.store.upkeep(RetentionRule::default(), at(9)).expect("there is room");
        told.store.compact(at(9)).expect("there is room");
        told.follow();
        assert_eq!(told.events(), expected);
        assert_eq!(Told::open(&disk).events(), expected);
    }
}

#[test]
fn what_does_not_change_is_not_written() {
    let disk = ModelDisk::new();
    let mut told = Told::open(&disk);
    told.fill();
    told.store.upkeep(RetentionRule::default(), at(0)).expect("there is room");
    told.pass(false, 100, &mut third);
    let (files, end) = (disk.files(), told.store.position());
    for revise in [&mut third as &mut dyn FnMut(&Event) -> Option<Revision>, &mut |_| None] {
        let progress = told.pass(false, 100, revise);
        assert_eq!((progress.events, progress.changed, progress.segments), (360, 0, 0));
    }
    assert_eq!((disk.files(), told.store.position()), (files, end));
}

#[test]
fn views_of_before_know_that_they_are_behind() {
    let disk = ModelDisk::new();
    let mut told = Told::open(&disk);
    told.fill();
    told.store.close().expect("there is room");
    drop(told);
    let mut told = Told::open(&disk);
    let end = told.store.position();
    let mut pass = Reclassification::new(false);
    while pass.progress().segments == 0 {
        told.store.reclassify(&mut pass, 10, &mut third, at(9)).expect("there is room");
    }
    assert_ne!(told.store.position(), end);
    drop(told);
    assert_ne!(open(&disk.after_kill()).position(), end);
}

#[test]
fn a_pass_goes_on_whatever_happens_between_its_steps() {
    let disk = ModelDisk::new();
    let mut told = Told::open(&disk);
    told.fill();
    let mut pass = Reclassification::new(false);
    let mut gone: Vec<Key> = Vec::new();
    for round in 0.. {
        let progress = told.store.reclassify(&mut pass, 3, &mut third, at(9)).expect("there is room");
        told.follow();
        if progress.is_done {
            break;
        }
        match round % 8 {
            2 => drop(told.store.upkeep(RetentionRule::default(), at(9)).expect("there is room")),
            5 => drop(told.store.compact(at(9)).expect("there is room")),
            1 | 4 | 7 => {
                let key = (shell(2).id, round * 7 % 120);
                if let Some(known) = told.search.events.get(&key) {
                    told.store.delete(&[(key, known.position)], Vec::new(), at(9)).expect("there is room");
                    gone.push(key);
                }
            }
            _ if round < 400 => {
                let new = event(&shell(9), round, "make more", end(None));
                told.store.append(vec![Entry::Observed(revised(new, third))], at(9)).expect("there is room");
                let late = event(&shell(1), 6 + round % 13 * 7, "", end(Some(5)));
                told.store.append(vec![Entry::Observed(late)], at(9)).expect("there is room");
            }
            _ => {}
        }
        told.follow();
    }
    let events = told.events();
    assert!(gone.len() > 3, "{gone:?}");
    assert!(events.iter().all(|event| !gone.contains(&(event.shell.id, event.sequence))));
    for event in &events {
        assert_eq!(*event, revised(event.clone(), third), "{:?}", event.sequence);
    }
    assert_eq!(told.store.reader().verify().damage, []);
    let by_key = |events: Vec<Event>| -> BTreeMap<Key, Event> {
        events.into_iter().map(|event| ((event.shell.id, event.sequence), event)).collect()
    };
    drop(told);
    assert_eq!(by_key(Told::open(&disk).events()), by_key(events));
}

#[test]
fn a_segment_that_is_sealed_while_it_is_looked_at_is_looked_at_as_a_whole() {
    let disk = ModelDisk::new();
    let mut told = Told::open(&disk);
    let batch = (0..30).map(|n| Entry::Observed(event(&shell(1), n, "make", end(None)))).collect();
    told.store.append(batch, at(0)).expect("there is room");
    told.follow();
    let mut pass = Reclassification::new(false);
    told.store.reclassify(&mut pass, 7, &mut third, at(9)).expect("there is room");
    told.store.compact(at(9)).expect("there is room");
    while !told.store.reclassify(&mut pass, 7, &mut third, at(9)).expect("there is room").is_done {}
    assert_eq!((pass.progress().events, pass.progress().changed), (30, 10));
    told.follow();
    assert!(told.events().into_iter().all(|event| event == revised(event.clone(), third)));
}

#[test]
fn what_a_redaction_cuts_is_gone_from_every_file() {
    let disk = ModelDisk::new();
    let mut told = Told::open(&disk);
    told.fill();
    let last = event(&shell(4), 2000, "login --with Hidden2000 host", end(None));
    told.store.append(vec![Entry::Observed(last)], at(0)).expect("there is room");
    told.follow();
    let expected: Vec<Event> = told.events().into_iter().map(|event| revised(event, cut)).collect();
    assert!(disk.files().values().any(|bytes| has(bytes, b"Hidden2000")), "it lies in the live segment");
    let progress = told.pass(true, 60, &mut cut);
    assert_eq!((progress.changed, progress.redacted), (181, 181));
    assert_eq!(told.events(), expected);
    for (path, bytes) in disk.files() {
        for sequence in (0..120).step_by(2).chain([2000]) {
            assert!(!has(&bytes, format!("Hidden{sequence} ").as_bytes()), "in {}", path.display());
        }
    }
    assert_eq!(told.search.revised.len(), 181);
    assert!(told.search.revised.values().all(|text| !has(text, b"Hidden")));
    drop(told);
    assert_eq!(Told::open(&disk).events(), expected);
}

#[test]
fn nothing_is_understood_again_while_the_log_is_loaded() {
    let disk = ModelDisk::new();
    let mut told = Told::open(&disk);
    told.fill();
    let load = told.store.reader().load();
    let refused = told.store.reclassify(&mut Reclassification::new(false), 5, &mut third, at(9));
    assert_eq!(refused, Err(AppendError::Loading));
    drop(load);
    assert_eq!(told.pass(false, 5, &mut third).changed, 120);
}
