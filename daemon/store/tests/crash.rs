//! The log on a disk that forgets and fails: whatever was acknowledged is there, once, as it was or as
//! it was understood since; and what was deleted or cut out is in no file.

mod model;
mod shape;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use karo_core::search::Key;
use karo_protocol::event::{Redaction, Secret};
use karo_protocol::{Bytes, Event, EventId, RedactedCommand, State};
use karo_store::{
    AppendError, Entry, OpenError, Opened, Options, Reclassification, RetentionRule, Revision, Store,
};
use model::{Dice, Failure, ModelDisk};
use shape::{Search, at, end, event, lost, rank, shell, start};

const DATA: &str = "/data";

/// Small segments, so that a short story has many.
const OPTIONS: Options = Options { segment_bytes: 2500, reserve_bytes: 1 << 20 };

fn open(disk: &ModelDisk) -> Result<(Store, Opened), OpenError> {
    Store::open(Path::new(DATA), OPTIONS, Arc::new(disk.clone()), at(0))
}

/// What the world outside knows.
#[derive(Debug, Clone, Default)]
struct Ledger {
    /// Everything that was ever sent, and how far.
    sent: BTreeMap<Key, BTreeSet<u8>>,
    /// How far each event is known to have come.
    acknowledged: BTreeMap<Key, State>,
    /// Deleted, and told so.
    deleted: BTreeSet<Key>,
    /// Deleted, but nobody was told that it worked.
    doubtful: BTreeSet<Key>,
    /// By which versions of the rules each event may be understood; without an entry, by the first.
    versions: BTreeMap<Key, BTreeSet<u32>>,
    /// Events whose secret is cut out, and told so.
    cut: BTreeSet<Key>,
    /// Events whose secret may be cut out.
    cutting: BTreeSet<Key>,
}

/// Returns what of the text of an event is a secret, if that is found by rules which come later.
fn secret((shell, sequence): Key) -> Option<String> {
    sequence.is_multiple_of(2).then(|| format!("module-{} target-{sequence}.", shell.as_bytes()[0]))
}

/// What an event is by the rules of a version, with or without its secret.
fn revised(event: &Event, version: u32, is_cut: bool) -> Event {
    let mut event = event.clone();
    event.understanding.version = version;
    event.understanding.tools = vec!["make".into(), format!("helper-{version}")];
    if let Some(secret) = secret((event.shell.id, event.sequence)).filter(|_| is_cut) {
        let text = String::from_utf8(event.command.as_bytes().to_vec()).expect("the story is UTF-8");
        if let Some(at) = text.find(&secret) {
            let text = text.replace(&secret, "-");
            event.command = RedactedCommand::restored(Bytes(text.into_bytes()), false);
            event.redactions = vec![Redaction { start: at as u32, end: at as u32 + 1, kind: Secret::Key }];
        }
    }
    event
}

/// The one true form of an event of the story, before anything is understood again.
fn story_event(key: Key, state: State) -> Event {
    let outcome = match state {
        State::Running => start(),
        State::Lost => lost(),
        State::Ended => end(Some((key.1 % 3) as i32)),
    };
    let text = format!("make -C module-{} target-{}. all", key.0.as_bytes()[0], key.1);
    event(&shell(key.0.as_bytes()[0]), key.1, &text, outcome)
}

/// One deed of a story.
#[derive(Debug, Clone)]
enum Deed {
    Append(Vec<(Key, State)>),
    Delete(Vec<Key>),
    Upkeep,
    Compact,
    Reopen,
    /// By the rules of that version, and whether its secrets are to go.
    Understand(u32, bool),
}

/// A story by seed: what shells, the spool, people and the daemon do.
fn story(seed: u64, length: usize) -> Vec<Deed> {
    let mut dice = Dice(seed);
    let mut next = [1_u64; 3];
    let mut deeds = Vec::new();
    for deed in 0..length {
        deeds.push(match dice.below(22) {
            20 | 21 => Deed::Understand(2 + deed as u32, dice.below(2) == 0),
            0 => Deed::Compact,
            1 | 2 => Deed::Upkeep,
            3 => Deed::Reopen,
            4 | 5 => {
                let number = dice.below(3);
                let keys = (0..1 + dice.below(4)).map(|_| 1 + dice.below(next[number as usize]));
                Deed::Delete(keys.map(|sequence| (shell(number as u8).id, sequence)).collect())
            }
            _ => Deed::Append(
                (0..1 + dice.below(9))
                    .map(|_| {
                        let number = dice.below(3) as usize;
                        let is_new = dice.below(2) == 0;
                        next[number] += u64::from(is_new);
                        let sequence = if is_new { next[number] } else { 1 + dice.below(next[number]) };
                        let state =
                            [State::Running, State::Ended, State::Ended, State::Lost][dice.below(4) as usize];
                        ((shell(number as u8).id, sequence), state)
                    })
                    .collect(),
            ),
        });
    }
    deeds
}

/// What the daemon does with a store: one search beside it, told of every change.
struct Daemon {
    store: Store,
    search: Search,
}

impl Daemon {
    fn start(disk: &ModelDisk) -> Result<Self, OpenError> {
        let (store, _) = open(disk)?;
        let mut search = Search::default();
        for (changes, _) in store.reader().load() {
            changes.iter().for_each(|change| search.apply(change));
        }
        Ok(Self { store, search })
    }

    fn follow(&mut self) {
        self.store.take_changes().iter().for_each(|change| self.search.apply(change));
    }

    fn append(&mut self, entries: &[(Key, State)], ledger: &mut Ledger) -> Result<(), AppendError> {
        for (key, state) in entries {
            ledger.sent.entry(*key).or_default().insert(rank(*state));
        }
        let batch = entries.iter().map(|(key, state)| Entry::Observed(story_event(*key, *state))).collect();
        let appended = self.store.append(batch, at(1));
        self.follow();
        // Committed and duplicate are the same to whoever sent it: it is kept.
        for (key, state) in entries.iter().filter(|_| appended.is_ok()) {
            let known = ledger.acknowledged.entry(*key).or_insert(*state);
            *known = if rank(*state) > rank(*known) { *state } else { *known };
        }
        appended.map(drop)
    }

    fn delete(&mut self, keys: &[Key], ledger: &mut Ledger) -> Result<(), AppendError> {
        let found: BTreeMap<Key, _> =
            keys.iter().filter_map(|key| Some((*key, self.search.events.get(key)?.position))).collect();
        ledger.doubtful.extend(found.keys());
        let deleted = self.store.delete(&found.clone().into_iter().collect::<Vec<_>>(), Vec::new(), at(2));
        self.follow();
        if deleted? != found.len() as u64 {
            panic!("{found:?} were to be deleted");
        }
        ledger.deleted.extend(found.keys());
        Ok(())
    }

    fn understand(
        &mut self,
        version: u32,
        is_redacting: bool,
        ledger: &mut Ledger,
    ) -> Result<(), AppendError> {
        let of_first = || BTreeSet::from([1]);
        let secrets = ledger.sent.keys().filter(|key| is_redacting && secret(**key).is_some());
        ledger.cutting.extend(secrets);
        for key in ledger.sent.keys() {
            ledger.versions.entry(*key).or_insert_with(of_first).insert(version);
        }
        let mut pass = Reclassification::new(is_redacting);
        let mut revise = |event: &Event| {
            let Event { command, redactions, understanding, .. } = revised(event, version, is_redacting);
            Some(Revision { understanding, redacted: is_redacting.then_some((command, redactions)) })
        };
        loop {
            let progress = self.store.reclassify(&mut pass, 4, &mut revise, at(7));
            self.follow();
            if progress?.is_done {
                break;
            }
        }
        for key in self.search.events.keys() {
            ledger.versions.insert(*key, BTreeSet::from([version]));
            ledger.cut.extend(Some(*key).filter(|key| is_redacting && secret(*key).is_some()));
        }
        Ok(())
    }

    fn perform(&mut self, deed: &Deed, disk: &ModelDisk, ledger: &mut Ledger) -> Result<(), String> {
        let done = match deed {
            Deed::Append(entries) => self.append(entries, ledger),
            Deed::Delete(keys) => self.delete(keys, ledger),
            Deed::Upkeep => self.store.upkeep(RetentionRule::default(), at(3)).map(drop),
            Deed::Compact => self.store.compact(at(4)).map(drop),
            Deed::Understand(version, is_redacting) => self.understand(*version, *is_redacting, ledger),
            Deed::Reopen => {
                let closed = self.store.close();
                *self = Self::start(disk).map_err(|error| error.to_string())?;
                closed
            }
        };
        self.follow();
        done.map_err(|error| error.to_string())
    }

    /// Reads everything back through the search that lived through it all.
    fn events(&self) -> BTreeMap<Key, Event> {
        self.search
            .read(&self.store.reader())
            .into_iter()
            .map(|event| ((event.shell.id, event.sequence), event))
            .collect()
    }
}

/// Checks that what is there is what must and may be there.
fn check(events: &BTreeMap<Key, Event>, ledger: &Ledger) {
    for (key, state) in &ledger.acknowledged {
        match events.get(key) {
            Some(event) => assert!(rank(event.outcome.state()) >= rank(*state), "{key:?} was {state:?}"),
            None => assert!(ledger.doubtful.contains(key), "{key:?} was acknowledged and is lost"),
        }
    }
    for (key, event) in events {
        assert!(!ledger.deleted.contains(key), "{key:?} was deleted and is back");
        let state = event.outcome.state();
        let sent = ledger.sent.get(key).unwrap_or_else(|| panic!("{key:?} was never sent"));
        assert!(sent.contains(&rank(state)), "{key:?} is {state:?}");
        let version = event.understanding.version;
        let is_cut = !event.redactions.is_empty();
        match ledger.versions.get(key) {
            Some(versions) => {
                assert!(versions.contains(&version), "{key:?}: {version} is none of {versions:?}")
            }
            None => assert_eq!(version, 1, "{key:?}"),
        }
        assert!(is_cut || !ledger.cut.contains(key), "{key:?} has its secret again");
        assert!(!is_cut || ledger.cutting.contains(key), "{key:?} has lost what is no secret");
        let first = Event { id: event.id, ..story_event(*key, state) };
        let expected = if version == 1 { first } else { revised(&first, version, is_cut) };
        assert_eq!(*event, expected);
        assert_ne!(event.id, EventId::default());
    }
}

/// Checks that what was deleted or cut out, and told so, is in no file. Sealed segments are packed: what
/// is in them was read and checked.
fn check_files(disk: &ModelDisk, ledger: &Ledger) {
    for (path, bytes) in disk.files() {
        let gone = ledger.cut.iter().chain(&ledger.deleted).filter_map(|key| secret(*key));
        for secret in gone {
            let is_there = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!is_there, "{secret} is still in {}", path.display());
        }
    }
}

/// Opens what is left, checks it, sends everything once more as spools would, and checks again.
fn check_after(disk: &ModelDisk, ledger: &mut Ledger) {
    let mut daemon = Daemon::start(disk).expect("what a crash left can be opened");
    check(&daemon.events(), ledger);
    check_files(disk, ledger);
    assert_eq!(daemon.store.reader().verify().damage, [], "a crash is no damage");
    let before = daemon.events();
    let again: Vec<(Key, State)> = ledger
        .sent
        .iter()
        .flat_map(|(key, states)| {
            states.iter().map(|state| (*key, [State::Running, State::Lost, State::Ended][*state as usize]))
        })
        .collect();
    for entries in again.chunks(16) {
        daemon.append(entries, ledger).expect("a sound disk takes everything");
    }
    let after = daemon.events();
    check(&after, ledger);
    for (key, event) in &before {
        assert_eq!(after[key].id, event.id, "a late copy changed the name of {key:?}");
    }
    daemon.store.upkeep(RetentionRule::default(), at(5)).expect("a sound disk takes everything");
    daemon.store.compact(at(5)).expect("a sound disk takes everything");
    daemon.follow();
    assert_eq!(daemon.events(), after);
    daemon.understand(1000, true, ledger).expect("a sound disk takes everything");
    let last = daemon.events();
    check(&last, ledger);
    check_files(disk, ledger);
    assert!(last.keys().eq(after.keys()));
    daemon.store.close().expect("a sound disk takes everything");
    assert_eq!(Daemon::start(disk).expect("it opens").events(), last);
}

/// Runs a story until something fails.
fn run(disk: &ModelDisk, deeds: &[Deed]) -> (Ledger, Result<(), String>) {
    let mut ledger = Ledger::default();
    let done = Daemon::start(disk)
        .map_err(|error| error.to_string())
        .and_then(|mut daemon| deeds.iter().try_for_each(|deed| daemon.perform(deed, disk, &mut ledger)));
    (ledger, done)
}

/// Returns a story in which everything happens often enough, and the disk that it leaves.
fn rich_story(seed: u64) -> (Vec<Deed>, ModelDisk) {
    let rich = (seed..).step_by(1000).find_map(|seed| {
        let (deeds, disk) = (story(seed, 40), ModelDisk::new());
        assert_eq!(run(&disk, &deeds).1, Ok(()), "seed {seed}");
        let count = |kind| (0..disk.operations()).filter(|operation| disk.kind(*operation) == kind).count();
        let understood = |is_redacting| {
            let is_such =
                |deed: &&Deed| matches!(deed, Deed::Understand(_, redacts) if *redacts == is_redacting);
            deeds.iter().filter(is_such).count() >= 2
        };
        let is_rich = count("unlink") >= 8 && count("rename") >= 20 && understood(true) && understood(false);
        (is_rich && disk.operations() < 500).then_some((deeds, disk))
    });
    rich.expect("there are many stories")
}

/// Runs `each`, and says where it was when it panics.
fn at_place(place: &str, each: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(each)) {
        eprintln!("at {place}");
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn the_power_is_cut_after_every_operation() {
    let (deeds, whole) = rich_story(1);
    for operation in 0..whole.operations() {
        let disk = ModelDisk::new();
        disk.fail_at(operation, Failure::Power);
        let (ledger, done) = run(&disk, &deeds);
        assert!(done.is_err());
        for variant in 0..3 {
            at_place(&format!("{operation} ({}), variant {variant}", disk.kind(operation)), || {
                check_after(&disk.after_power_cut(&mut Dice(operation * 7 + variant)), &mut ledger.clone());
            });
        }
        at_place(&format!("{operation} ({}), killed", disk.kind(operation)), || {
            check_after(&disk.after_kill(), &mut ledger.clone());
        });
    }
}

#[test]
fn the_power_is_cut_in_random_stories() {
    for seed in 2..40 {
        let deeds = story(seed, 50);
        let whole = ModelDisk::new();
        let (_, done) = run(&whole, &deeds);
        assert_eq!(done, Ok(()), "seed {seed}");
        let mut dice = Dice(seed);
        for _ in 0..6 {
            let operation = dice.below(whole.operations());
            let disk = ModelDisk::new();
            disk.fail_at(operation, Failure::Power);
            let (mut ledger, _) = run(&disk, &deeds);
            at_place(&format!("seed {seed}, operation {operation} ({})", disk.kind(operation)), || {
                check_after(&disk.after_power_cut(&mut dice), &mut ledger);
            });
        }
    }
}

#[test]
fn a_power_cut_may_meet_the_recovery_from_the_one_before() {
    for seed in 100..130 {
        let deeds = story(seed, 40);
        let mut dice = Dice(seed);
        let whole = ModelDisk::new();
        run(&whole, &deeds).1.expect("a sound disk takes everything");
        let disk = ModelDisk::new();
        disk.fail_at(dice.below(whole.operations()), Failure::Power);
        let (mut ledger, _) = run(&disk, &deeds);
        let mut disk = disk.after_power_cut(&mut dice);
        for _ in 0..4 {
            disk.fail_at(dice.below(14), Failure::Power);
            if let Ok(mut daemon) = Daemon::start(&disk) {
                // It may fail here or there; only what is acknowledged counts.
                drop(daemon.append(&[((shell(7).id, dice.below(20)), State::Ended)], &mut ledger));
                drop(daemon.store.upkeep(RetentionRule::default(), at(6)));
            }
            disk = disk.after_power_cut(&mut dice);
        }
        at_place(&format!("seed {seed}"), || check_after(&disk, &mut ledger));
    }
}

/// After a failure of the device nothing may be acknowledged; the daemon goes and comes again.
#[test]
fn the_device_fails_at_every_operation() {
    let (deeds, whole) = rich_story(3);
    for operation in 0..whole.operations() {
        let disk = ModelDisk::new();
        disk.fail_at(operation, Failure::Io);
        let mut ledger = Ledger::default();
        let Ok(mut daemon) = Daemon::start(&disk) else { continue };
        let failed = deeds
            .iter()
            .find_map(|deed| daemon.perform(deed, &disk, &mut ledger).err().map(|error| (deed, error)));
        let Some((deed, _)) = failed else {
            panic!("operation {operation} ({}) failed unseen", disk.kind(operation));
        };
        if !matches!(deed, Deed::Reopen) {
            let operations = disk.operations();
            let entry = (shell(6).id, 1);
            let refused = daemon.append(&[(entry, State::Ended)], &mut ledger.clone());
            assert!(matches!(refused, Err(AppendError::Poisoned { .. })), "at {operation}: {refused:?}");
            assert_eq!(disk.operations(), operations, "something was written behind a failure");
            assert!(daemon.store.status().refusing.is_some());
        }
        drop(daemon);
        at_place(&format!("{operation} ({}), killed", disk.kind(operation)), || {
            check_after(&disk.after_kill(), &mut ledger.clone());
        });
        at_place(&format!("{operation} ({}), cut", disk.kind(operation)), || {
            check_after(&disk.after_power_cut(&mut Dice(operation)), &mut ledger.clone());
            let reopened = disk.after_kill();
            drop(Daemon::start(&reopened).expect("it opens"));
            check_after(&reopened.after_power_cut(&mut Dice(operation)), &mut ledger.clone());
        });
    }
}

/// A full disk is no catastrophe: the same deed works when there is room.
#[test]
fn the_disk_is_full_at_every_operation() {
    let (deeds, whole) = rich_story(4);
    for operation in 0..whole.operations() {
        let disk = ModelDisk::new();
        disk.fail_at(operation, Failure::Full);
        let mut ledger = Ledger::default();
        let kind = disk.kind(operation);
        let mut daemon = match Daemon::start(&disk) {
            Ok(daemon) => daemon,
            Err(_) => Daemon::start(&disk).expect("there is room the second time"),
        };
        for deed in &deeds {
            let mut tries = 0;
            while let Err(error) = daemon.perform(deed, &disk, &mut ledger) {
                tries += 1;
                assert!(tries < 4, "at {operation} ({kind}): {error}");
                let is_poisoned = daemon.store.status().refusing.is_some();
                if is_poisoned {
                    // A sync that fails for lack of room leaves no more certainty than any other.
                    daemon = Daemon::start(&disk).expect("it opens");
                }
            }
        }
        at_place(&format!("{operation} ({})", disk.kind(operation)), || {
            check(&daemon.events(), &ledger);
            check_after(&disk.after_power_cut(&mut Dice(operation)), &mut ledger);
        });
    }
}

#[test]
fn below_the_reserve_nothing_is_taken_and_it_resumes_by_itself() {
    let disk = ModelDisk::new();
    let mut ledger = Ledger::default();
    let mut daemon = Daemon::start(&disk).expect("it opens");
    let entry = |sequence| [((shell(0).id, sequence), State::Ended)];
    daemon.append(&entry(1), &mut ledger).expect("there is room");
    disk.set_free(OPTIONS.reserve_bytes - 1);
    let operations = disk.operations();
    let refused = daemon.append(&entry(2), &mut ledger);
    let full =
        AppendError::Full { free_bytes: OPTIONS.reserve_bytes - 1, reserve_bytes: OPTIONS.reserve_bytes };
    assert_eq!(refused, Err(full));
    assert_eq!(disk.operations(), operations);
    assert!(daemon.store.status().refusing.is_some());
    // What is there can be deleted all the same.
    daemon.delete(&[(shell(0).id, 1)], &mut ledger).expect("deleting makes room");
    disk.set_free(OPTIONS.reserve_bytes);
    daemon.append(&entry(2), &mut ledger).expect("there is room again");
    assert_eq!(daemon.store.status().refusing, None);
    check(&daemon.events(), &ledger);
}

#[test]
fn a_full_disk_can_be_opened_after_a_crash_and_takes_nothing_before_there_is_room() {
    let disk = ModelDisk::new();
    let mut ledger = Ledger::default();
    let mut daemon = Daemon::start(&disk).expect("it opens");
    daemon.append(&[((shell(0).id, 1), State::Ended)], &mut ledger).expect("there is room");
    drop(daemon);
    let disk = disk.after_kill();
    disk.set_free(0);
    // Making directories and the lock are the first two operations; then the copy begins.
    disk.fail_at(2, Failure::Full);
    let (mut store, opened) = open(&disk).expect("it opens");
    assert!(opened.is_waiting_for_room);
    let entry = || vec![Entry::Observed(story_event((shell(0).id, 1), State::Ended))];
    assert!(matches!(store.append(entry(), at(0)), Err(AppendError::Full { .. })));
    assert_eq!(store.reader().verify().records, 2);
    disk.set_free(OPTIONS.reserve_bytes);
    assert_eq!(store.append(entry(), at(0)), Ok(vec![karo_store::Appended::Duplicate]));
    drop(store);
    check_after(&disk.after_power_cut(&mut Dice(1)), &mut ledger);
}
