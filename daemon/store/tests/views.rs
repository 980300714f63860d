//! The views from outside: what lived through it equals what is made anew, whatever happens between.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;

use karo_core::rollup::{CELL, Delta, Rollup, Sign};
use karo_protocol::{Category, Micros, Risk, Timestamp};
use karo_store::views::{Digest, LogPosition, Opened, Views, ViewsError};
use proptest::prelude::*;
use tempfile::TempDir;

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn place(offset: u64) -> LogPosition {
    LogPosition { erasures: 0, segment: 1, offset }
}

/// The `n`th of a made-up history: some events a cell, some of them long or failed.
fn event(n: u64) -> Delta {
    let tools: &[u8] = [&b"git"[..], b"cargo\0rustc", b"", b"ls\0grep\0less"][n as usize % 4];
    Delta {
        sign: Sign::Added,
        started_at: Timestamp::from_micros((n * CELL.0 / 5) as i64),
        category: Category::ALL[n as usize * 7 % Category::ALL.len()],
        tools: tools.into(),
        risk: n.is_multiple_of(9).then_some(Risk::ALL[n as usize % Risk::ALL.len()]),
        axis: None,
        exit: (n % 6 != 1).then_some((n % 5 == 2).into()),
        duration: (n % 6 != 1).then_some(Micros(n * n * 1000)),
    }
}

fn open(dir: &Path) -> (Views, Opened) {
    Views::open(dir, NOW).expect("the place is ours")
}

/// New views that hold the first `events` of the history, flushed.
fn filled(dir: &Path, events: u64) -> Digest {
    let (mut views, opened) = open(dir);
    assert_eq!(opened, Opened::New);
    views.rebuild((0..events).map(event), place(events)).unwrap();
    views.flush().unwrap();
    views.digest().unwrap()
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found.sort();
    found
}

#[test]
fn new_views_wait_for_the_log() {
    let dir = TempDir::new().unwrap();
    let (mut views, opened) = open(dir.path());
    assert_eq!((opened, views.position()), (Opened::New, None));
    // An event that comes in while the log is still being read.
    views.apply([&event(10)], place(11)).unwrap();
    views.flush().unwrap();
    assert_eq!(views.position(), None);
    assert!(matches!(views.whole(), Err(ViewsError::Incomplete)));
    views.fill(&(5..10).map(event).collect()).unwrap();
    views.fill(&(0..5).map(event).collect()).unwrap();
    views.finish_rebuild(place(10)).unwrap();
    assert!(matches!(views.fill(&Rollup::default()), Err(ViewsError::Complete)));
    assert_eq!(views.position(), Some(place(11)));
    assert_eq!(views.whole().unwrap(), (0..11).map(event).collect());
}

#[test]
fn what_is_flushed_is_there_again() {
    let dir = TempDir::new().unwrap();
    let digest = filled(dir.path(), 500);
    let (mut views, opened) = open(dir.path());
    assert_eq!((opened, views.position()), (Opened::Kept, Some(place(500))));
    assert_eq!(views.digest().unwrap(), digest);
    assert_eq!(digest, Digest::of(&(0..500).map(event).collect()));
    assert!(views.bytes() > 0);
}

#[test]
fn a_range_holds_what_is_written_and_what_is_pending() {
    let dir = TempDir::new().unwrap();
    filled(dir.path(), 50);
    let (mut views, _) = open(dir.path());
    let later: Vec<Delta> = (50..100).map(event).collect();
    views.apply(&later, place(100)).unwrap();
    let at = |cell: u64| Timestamp::from_micros((cell * CELL.0) as i64);
    let expected: Rollup = (5 * 5..5 * 15).map(event).collect();
    assert_eq!(views.rollup(at(5), at(15)).unwrap(), expected);
    assert!(views.rollup(at(15), at(5)).unwrap().is_empty());
}

#[test]
fn a_rebuild_forgets_what_was_there() {
    let dir = TempDir::new().unwrap();
    filled(dir.path(), 500);
    let (mut views, _) = open(dir.path());
    views.apply([&event(7)], place(501)).unwrap();
    views.rebuild((100..120).map(event), place(9)).unwrap();
    views.flush().unwrap();
    assert_eq!(views.whole().unwrap(), (100..120).map(event).collect());
    drop(views);
    assert_eq!(open(dir.path()).0.position(), Some(place(9)));
}

/// Returns the files below a directory that hold some bytes.
fn holders(dir: &Path, needle: &[u8]) -> Vec<std::path::PathBuf> {
    let holds = |path: &std::path::PathBuf| {
        fs::read(path).unwrap().windows(needle.len()).any(|window| window == needle)
    };
    files(dir).into_iter().filter(holds).collect()
}

#[test]
fn what_is_taken_back_can_be_forgotten_for_good() {
    let dir = TempDir::new().unwrap();
    let secret = Delta { tools: b"hunter2secret".as_slice().into(), ..event(3) };
    filled(dir.path(), 300);
    // Once among damaged views.
    let (mut views, _) = open(dir.path());
    views.apply([&secret], place(301)).unwrap();
    views.flush().unwrap();
    drop(views);
    let seal = dir.path().join("views/seal");
    let mut bytes = fs::read(&seal).unwrap();
    bytes[20] ^= 1;
    fs::write(&seal, bytes).unwrap();
    let (mut views, opened) = open(dir.path());
    assert!(matches!(opened, Opened::Damaged { .. }));
    // And once where it was counted and taken back.
    views.rebuild((0..300).map(event).chain([secret.clone()]), place(301)).unwrap();
    views.flush().unwrap();
    views.apply([&secret.reversed()], place(302)).unwrap();
    let digest = views.digest().unwrap();
    assert_eq!(holders(dir.path(), b"hunter2secret").len(), 2);
    views.forget().unwrap();
    assert_eq!(holders(dir.path(), b"hunter2secret"), Vec::<std::path::PathBuf>::new());
    assert_eq!((views.position(), views.digest().unwrap()), (Some(place(302)), digest));
    drop(views);
    let (mut views, opened) = open(dir.path());
    assert_eq!((opened, views.position(), views.digest().unwrap()), (Opened::Kept, Some(place(302)), digest));
    views.forget().unwrap();
    assert_eq!(views.digest().unwrap(), digest);
}

#[test]
fn nobody_else_can_read_them() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().unwrap();
    filled(dir.path(), 5);
    let views = dir.path().join("views");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&views), 0o700);
    let files = files(&views);
    assert!(files.len() > 2);
    files.iter().for_each(|file| assert_eq!(mode(file), 0o600, "{}", file.display()));
}

#[test]
fn a_write_cut_short_is_made_anew() {
    let dir = TempDir::new().unwrap();
    filled(dir.path(), 20);
    fs::remove_file(dir.path().join("views/seal")).unwrap();
    let (mut views, opened) = open(dir.path());
    assert_eq!((opened, views.position()), (Opened::Unfinished, None));
    views.rebuild((0..30).map(event), place(30)).unwrap();
    views.flush().unwrap();
    drop(views);
    let (mut views, opened) = open(dir.path());
    assert_eq!((opened, views.position()), (Opened::Kept, Some(place(30))));
    assert_eq!(views.whole().unwrap(), (0..30).map(event).collect());
}

#[test]
fn whatever_is_no_directory_is_moved_aside() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("views"), "a file").unwrap();
    assert!(matches!(open(dir.path()).1, Opened::Damaged { .. }));
    std::os::unix::fs::symlink("/nowhere", dir.path().join("views")).unwrap();
    assert!(matches!(open(dir.path()).1, Opened::Damaged { .. }));
    assert_eq!(open(dir.path()).1, Opened::New);
}

#[test]
fn only_the_last_damaged_views_are_kept() {
    let dir = TempDir::new().unwrap();
    for round in 0..5 {
        filled(dir.path(), 20);
        fs::write(dir.path().join("views/db"), format!("round {round}")).unwrap();
        let (views, opened) = open(dir.path());
        let Opened::Damaged { moved_to, reason } = opened else { panic!("not damaged but {opened:?}") };
        assert!(!reason.is_empty());
        assert_eq!(fs::read_to_string(moved_to.join("db")).unwrap(), format!("round {round}"));
        assert_eq!(views.position(), None);
    }
    assert_eq!(fs::read_dir(dir.path().join("damaged")).unwrap().count(), 3);
}

#[test]
fn any_single_damage_is_found() {
    let dir = TempDir::new().unwrap();
    let digest = filled(dir.path(), 2000);
    let targets = files(&dir.path().join("views"));
    let sizes: Vec<u64> = targets.iter().map(|path| fs::metadata(path).unwrap().len()).collect();
    for round in 0..200_u64 {
        let copy = TempDir::new().unwrap();
        copy_all(dir.path(), copy.path());
        // Every file gets its share; within it, places are spread by a multiplier without a pattern.
        let file = round as usize % targets.len();
        let offset = round.wrapping_mul(0x9e37_79b9_7f4a_7c15) % sizes[file];
        let path = copy.path().join(targets[file].strip_prefix(dir.path()).unwrap());
        let mut bytes = fs::read(&path).unwrap();
        bytes[offset as usize] ^= 1 << (round % 8);
        fs::write(&path, bytes).unwrap();
        let (mut views, opened) = open(copy.path());
        let Opened::Damaged { moved_to, .. } = opened else {
            panic!("round {round}: {opened:?} with a changed byte at {offset} of {}", path.display())
        };
        assert!(moved_to.join("seal").exists());
        assert_eq!(views.position(), None);
        if round % 20 == 0 {
            views.rebuild((0..2000).map(event), place(2000)).unwrap();
            views.flush().unwrap();
            assert_eq!(views.digest().unwrap(), digest, "round {round}");
        }
    }
}

#[test]
fn a_missing_file_is_found() {
    let dir = TempDir::new().unwrap();
    filled(dir.path(), 20);
    fs::remove_file(dir.path().join("views/db")).unwrap();
    assert!(matches!(open(dir.path()).1, Opened::Damaged { .. }));
}

#[test]
fn many_cells_are_written_in_one_batch() {
    let dir = TempDir::new().unwrap();
    let events = 200_000;
    let digest = filled(dir.path(), events);
    let (mut views, opened) = open(dir.path());
    assert_eq!((opened, views.position()), (Opened::Kept, Some(place(events))));
    assert_eq!(views.digest().unwrap(), digest);
    // Taking half of it back in small steps is written as it piles up.
    let (gone, kept) = (0..events).partition::<Vec<_>, _>(|n| n % 2 == 0);
    for (step, part) in gone.chunks(1000).enumerate() {
        let deltas: Vec<Delta> = part.iter().map(|n| event(*n).reversed()).collect();
        views.apply(&deltas, place(events + step as u64)).unwrap();
    }
    assert_eq!(views.digest().unwrap(), Digest::of(&kept.into_iter().map(event).collect()));
}

#[test]
fn a_rebuild_in_parts_cut_short_is_made_anew() {
    let dir = TempDir::new().unwrap();
    let (mut views, _) = open(dir.path());
    // Far more than may be pending.
    views.fill(&(0..100_000).map(event).collect()).unwrap();
    assert!(views.bytes() > 0);
    drop(views);
    let (mut views, opened) = open(dir.path());
    assert_eq!((opened, views.position(), views.bytes()), (Opened::Unfinished, None, 0));
    views.rebuild((0..10).map(event), place(10)).unwrap();
    assert_eq!(views.whole().unwrap(), (0..10).map(event).collect());
}

#[test]
fn a_place_that_cannot_be_written_closes_the_views() {
    use std::os::unix::fs::PermissionsExt;
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root writes everywhere");
        return;
    }
    let dir = TempDir::new().unwrap();
    let (mut views, _) = open(dir.path());
    views.rebuild([event(1)], place(1)).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o500)).unwrap();
    assert!(matches!(views.flush(), Err(ViewsError::Place { .. })));
    assert!(matches!(views.apply([&event(2)], place(2)), Err(ViewsError::Closed)));
    assert_eq!(views.position(), None);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
}

/// What happens to views in the course of their life.
#[derive(Debug, Clone)]
enum Deed {
    /// So many new events.
    Add(u64),
    /// The outcome of an event becomes known.
    End(prop::sample::Index),
    /// An event is deleted, or goes by age.
    Erase(prop::sample::Index),
    /// An event is understood anew.
    Revise(prop::sample::Index, u64),
    /// What was taken back is to be in no file.
    Forget,
    Flush,
    Reopen,
    /// What is on disk at this moment is all that is left.
    Crash,
}

fn any_deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (1..30_u64).prop_map(Deed::Add),
        3 => any::<prop::sample::Index>().prop_map(Deed::End),
        2 => any::<prop::sample::Index>().prop_map(Deed::Erase),
        2 => (any::<prop::sample::Index>(), 0..50_u64).prop_map(|(which, as_if)| Deed::Revise(which, as_if)),
        1 => Just(Deed::Forget),
        1 => Just(Deed::Flush),
        1 => Just(Deed::Reopen),
        1 => Just(Deed::Crash),
    ]
}

/// The log as far as views see it: every delta that ever was, and the events as they stand.
#[derive(Default)]
struct Model {
    log: Vec<Delta>,
    standing: Vec<Delta>,
    events: u64,
}

impl Model {
    fn run(&mut self, deed: &Deed) {
        match deed {
            Deed::Add(count) => {
                let new: Vec<Delta> = (self.events..self.events + count).map(event).collect();
                self.events += count;
                self.log.extend(new.iter().cloned());
                self.standing.extend(new);
            }
            Deed::End(which) if !self.standing.is_empty() => {
                let place = which.index(self.standing.len());
                let ended =
                    Delta { exit: Some(1), duration: Some(Micros(5)), ..self.standing[place].clone() };
                self.log.push(self.standing[place].clone().reversed());
                self.log.push(ended.clone());
                self.standing[place] = ended;
            }
            Deed::Erase(which) if !self.standing.is_empty() => {
                let gone = self.standing.swap_remove(which.index(self.standing.len()));
                self.log.push(gone.reversed());
            }
            Deed::Revise(which, as_if) if !self.standing.is_empty() => {
                let place = which.index(self.standing.len());
                let Delta { category, tools, risk, axis, .. } = event(*as_if);
                let revised = Delta { category, tools, risk, axis, ..self.standing[place].clone() };
                self.log.push(self.standing[place].clone().reversed());
                self.log.push(revised.clone());
                self.standing[place] = revised;
            }
            Deed::End(_)
            | Deed::Erase(_)
            | Deed::Revise(..)
            | Deed::Forget
            | Deed::Flush
            | Deed::Reopen
            | Deed::Crash => {}
        }
    }
}

/// Brings views to the end of the log, as the store does.
fn catch_up(views: &mut Views, model: &Model) {
    let end = place(model.log.len() as u64);
    match views.position() {
        Some(reached) => views.apply(&model.log[reached.offset as usize..], end).unwrap(),
        None => views.rebuild(model.standing.iter().cloned(), end).unwrap(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn views_made_anew_equal_those_that_lived(deeds in prop::collection::vec(any_deed(), 1..60)) {
        let mut dir = TempDir::new().unwrap();
        let mut model = Model::default();
        let mut views = Some(open(dir.path()).0);
        catch_up(views.as_mut().unwrap(), &model);
        for deed in &deeds {
            model.run(deed);
            match deed {
                Deed::Flush => views.as_mut().unwrap().flush().unwrap(),
                Deed::Forget => views.as_mut().unwrap().forget().unwrap(),
                Deed::Reopen => {
                    let mut old = views.take().unwrap();
                    old.flush().unwrap();
                    drop(old);
                    let (new, opened) = open(dir.path());
                    prop_assert_eq!(opened, Opened::Kept);
                    views = Some(new);
                }
                Deed::Crash => {
                    let copy = TempDir::new().unwrap();
                    copy_all(dir.path(), copy.path());
                    drop(views.take());
                    dir = copy;
                    views = Some(open(dir.path()).0);
                }
                Deed::Add(_) | Deed::End(_) | Deed::Erase(_) | Deed::Revise(..) => {}
            }
            catch_up(views.as_mut().unwrap(), &model);
        }
        let anew: Rollup = model.standing.into_iter().collect();
        let mut views = views.unwrap();
        prop_assert_eq!(&views.whole().unwrap(), &anew);
        prop_assert_eq!(views.digest().unwrap(), Digest::of(&anew));
    }
}
