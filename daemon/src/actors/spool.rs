//! Takes in what waits in the spool directories, once, and removes it after the commit.
//!
//! The watch is only a doorbell; a scan of the directory is the truth, so a lost or overflown watch
//! costs time and no record. Files are taken in batches, and removed when the store has them. What
//! is of a newer version stays; what has no end mark waits until its writer is gone, then it counts
//! as torn and is removed: a spool holds raw text, and not for longer than it must.
//!
//! | message | from | answer |
//! | --- | --- | --- |
//! | [`Ring`] | the watch, and itself | none |
//! | [`Report`] | session | what waits |
//! | [`Drain`] | root | when nothing of it is on its way |

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, MessageResult, WrapFuture,
};
use karo_protocol::local::{ImportLine, SpoolStatus, Verdict};
use karo_protocol::spool::{self, RECORD_BYTES_MAX, SpoolError};
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use rustix::fs::OFlags;

use super::{Drain, Intake, Source};
use crate::ground;
use crate::lease::Lease;
use crate::logging::say;

/// Messages that may wait here; the doorbell rings once until it is answered.
const MAILBOX: usize = 64;

/// Files taken at once: one batch of the store, and few enough to be decoded in a blink.
const BATCH: usize = 256;

/// How long to wait before records that were refused are offered again.
const RETRY: Duration = Duration::from_secs(1);

/// How long until a spool that could not be read, or not be watched, is looked at again.
const RESCAN: Duration = Duration::from_secs(5);

/// How long a file without an end mark may stay as it is before its writer is taken for gone.
const TORN_AFTER: Duration = Duration::from_secs(30);

/// Something may have come. Sent by the watch, and by the actor to itself.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Ring;

/// What waits? Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Vec<SpoolStatus>")]
pub struct Report;

/// The actor. See the module.
pub struct Spool {
    directories: Vec<Directory>,
    intake: Intake,
    watcher: Option<RecommendedWatcher>,
    /// Set while a ring is on its way, so that a thousand files ring once.
    is_rung: Arc<AtomicBool>,
    is_taking: bool,
    has_retry: bool,
    is_draining: bool,
    _lease: Lease,
}

/// One spool directory.
struct Directory {
    path: PathBuf,
    /// Files that are not taken, and why.
    parked: BTreeMap<OsString, Parked>,
    torn: u64,
}

/// Why a file is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parked {
    /// It is of a newer version.
    Newer,
    /// It has no end mark yet.
    Unfinished,
    /// It is not a file of ours.
    Foreign,
    /// It cannot be read at the moment.
    Unreadable,
}

/// A record on its way to the store, with the file it came from.
struct Taken {
    path: PathBuf,
    line: ImportLine,
}

impl Spool {
    /// Makes the actor of its directories.
    pub fn new(paths: Vec<PathBuf>, intake: Intake, lease: Lease) -> Self {
        let directory = |path| Directory { path, parked: BTreeMap::new(), torn: 0 };
        Self {
            directories: paths.into_iter().map(directory).collect(),
            intake,
            watcher: None,
            is_rung: Arc::default(),
            is_taking: false,
            has_retry: false,
            is_draining: false,
            _lease: lease,
        }
    }

    fn watch(&mut self, address: Addr<Self>) {
        let is_rung = Arc::clone(&self.is_rung);
        let ring = move |event: notify::Result<notify::Event>| {
            let is_news = event.as_ref().map_or(true, is_news);
            if is_news && !is_rung.swap(true, Ordering::AcqRel) && address.try_send(Ring).is_err() {
                is_rung.store(false, Ordering::Release);
            }
        };
        match notify::recommended_watcher(ring) {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) => {
                say!(Class::SpoolUnwatched, %error, "spools cannot be watched; they are scanned every 5 seconds")
            }
        }
        self.directories.iter().for_each(|directory| watch_directory(&mut self.watcher, &directory.path));
    }

    /// Takes the next files, if none are on their way.
    fn take_some(&mut self, ctx: &mut Context<Self>) {
        if self.is_taking || self.is_draining {
            return;
        }
        let mut taken = Vec::new();
        let mut is_unread = false;
        for directory in &mut self.directories {
            match directory.gather(BATCH - taken.len(), &mut taken) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    // A log-out clears /run/user; the next log-in finds the place made anew.
                    restore_directory(&mut self.watcher, &directory.path);
                }
                Err(error) => {
                    say!(Class::SpoolUnusable, %error, path = %directory.path.display(), "a spool cannot be read");
                    is_unread = true;
                }
            }
        }
        is_unread |= self.directories.iter().any(Directory::has_unsettled) || self.watcher.is_none();
        if is_unread {
            self.retry_after(RESCAN, ctx);
        }
        if taken.is_empty() {
            return;
        }
        let (paths, arrivals): (Vec<_>, Vec<_>) =
            taken.into_iter().map(|taken| (taken.path, taken.line)).unzip();
        let intake = self.intake.clone();
        let verdicts = async move { intake.take(Source::Spool, arrivals).await.await };
        self.is_taking = true;
        ctx.spawn(verdicts.into_actor(self).map(move |verdicts, actor, ctx| {
            actor.is_taking = false;
            actor.settle(&paths, &verdicts.unwrap_or_default(), ctx);
        }));
    }

    /// Removes what is settled, and goes on.
    fn settle(&mut self, paths: &[PathBuf], verdicts: &[Verdict], ctx: &mut Context<Self>) {
        let mut is_settled = verdicts.len() == paths.len();
        for (path, verdict) in paths.iter().zip(verdicts) {
            if verdict.is_settled() {
                remove(path);
            } else {
                is_settled = false;
            }
        }
        if is_settled {
            ctx.notify(Ring);
        } else {
            self.retry_after(RETRY, ctx);
        }
    }

    fn retry_after(&mut self, delay: Duration, ctx: &mut Context<Self>) {
        if !self.has_retry {
            self.has_retry = true;
            ctx.run_later(delay, |actor, ctx| {
                actor.has_retry = false;
                actor.take_some(ctx);
            });
        }
    }
}

impl Directory {
    /// Reads the next records, in the order of their shells and numbers.
    fn gather(&mut self, count_max: usize, taken: &mut Vec<Taken>) -> io::Result<()> {
        let mut names = record_names(&self.path)?;
        self.parked.retain(|name, _| names.contains(name));
        names.retain(|name| !matches!(self.parked.get(name), Some(Parked::Newer | Parked::Foreign)));
        names.sort_by_cached_key(order);
        for name in names {
            if taken.len() >= count_max {
                break;
            }
            let path = self.path.join(&name);
            match read(&path) {
                Ok(Some(line)) => {
                    self.parked.remove(&name);
                    taken.push(Taken { path, line });
                }
                Ok(None) => {}
                Err(trouble) => self.park(name, &path, trouble),
            }
        }
        Ok(())
    }

    fn park(&mut self, name: OsString, path: &Path, trouble: Trouble) {
        let why = match trouble {
            Trouble::Record(SpoolError::Newer(version)) => {
                say!(Class::SpoolNewer, version, path = %path.display(), "a record of a newer version waits for a newer karod");
                Parked::Newer
            }
            Trouble::Record(SpoolError::Unfinished) if !is_old(path) => Parked::Unfinished,
            Trouble::Empty if !is_old(path) => Parked::Unfinished,
            // Its hook gave it up and counts the record as dropped: builtins cannot unlink.
            Trouble::Empty => return remove(path),
            Trouble::Record(error) => {
                say!(Class::SpoolTorn, %error, path = %path.display(), "a torn record was removed");
                self.torn += 1;
                remove(path);
                return;
            }
            Trouble::Foreign => {
                say!(Class::SpoolForeign, path = %path.display(), "what is in the spool is not a file of ours");
                Parked::Foreign
            }
            Trouble::Io(error) => {
                if self.parked.get(&name) != Some(&Parked::Unreadable) {
                    say!(Class::SpoolStuck, %error, path = %path.display(), "a record cannot be read and is tried again");
                }
                Parked::Unreadable
            }
        };
        self.parked.insert(name, why);
    }

    /// Tells whether anything must be looked at again without being rung for.
    fn has_unsettled(&self) -> bool {
        self.parked.values().any(|why| matches!(why, Parked::Unfinished | Parked::Unreadable))
    }

    fn status(&self) -> SpoolStatus {
        let files = record_names(&self.path).map_or(0, |names| names.len());
        let newer = self.parked.values().filter(|why| **why == Parked::Newer).count();
        SpoolStatus {
            path: self.path.display().to_string(),
            waiting: files.saturating_sub(newer) as u64,
            newer: newer as u64,
            torn: self.torn,
        }
    }
}

/// Why a file gives no record.
enum Trouble {
    Record(SpoolError),
    Empty,
    Foreign,
    Io(io::Error),
}

/// Returns the names of the files that are records by their name: hooks keep other things beside them.
fn record_names(path: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let name = entry?.file_name();
        if name.to_str().is_some_and(spool::is_file_name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Reads a record; `None` when the file is gone by now.
fn read(path: &Path) -> Result<Option<ImportLine>, Trouble> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = std::fs::OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(Trouble::Foreign);
        }
        Err(error) => return Err(Trouble::Io(error)),
    };
    let found = file.metadata().map_err(Trouble::Io)?;
    if !found.is_file() || found.uid() != ground::uid() {
        return Err(Trouble::Foreign);
    }
    let mut record = Vec::new();
    file.take(RECORD_BYTES_MAX as u64 + 1).read_to_end(&mut record).map_err(Trouble::Io)?;
    if record.is_empty() {
        return Err(Trouble::Empty);
    }
    let observation = spool::decode(&record).map_err(Trouble::Record)?;
    Ok(Some(ImportLine { observation, id: None, is_lost: false, redactions: Vec::new() }))
}

/// Tells whether nobody has written to the file for so long that its writer must be gone.
fn is_old(path: &Path) -> bool {
    let modified = path.metadata().and_then(|found| found.modified());
    modified.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age >= TORN_AFTER))
}

/// By shell, then by number, then the start before the end.
fn order(name: &OsString) -> (String, u64, bool) {
    let name = name.to_string_lossy();
    let mut parts = name.split('.');
    let shell = parts.next().unwrap_or_default().to_owned();
    let sequence = parts.next().and_then(|digits| digits.parse().ok()).unwrap_or(u64::MAX);
    (shell, sequence, parts.next() == Some("e"))
}

fn remove(path: &Path) {
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            say!(Class::SpoolStuck, %error, path = %path.display(), "a record that was taken in cannot be removed")
        }
    }
}

/// Tells whether a file may have come, or the watch may have missed one.
fn is_news(event: &notify::Event) -> bool {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) | EventKind::Any | EventKind::Other => true,
        EventKind::Modify(ModifyKind::Name(_)) | EventKind::Remove(_) => true,
        // Where the system does not tell of a close, every change may be the last.
        EventKind::Create(_) | EventKind::Modify(_) => cfg!(not(target_os = "linux")) || event.need_rescan(),
        EventKind::Access(_) => event.need_rescan(),
    }
}

fn watch_directory(watcher: &mut Option<RecommendedWatcher>, path: &Path) {
    let Some(watcher) = watcher else { return };
    if let Err(error) = watcher.watch(path, RecursiveMode::NonRecursive) {
        say!(Class::SpoolUnwatched, %error, path = %path.display(), "a spool cannot be watched");
    }
}

fn restore_directory(watcher: &mut Option<RecommendedWatcher>, path: &Path) {
    match ground::secure_directory(path) {
        Ok(()) => watch_directory(watcher, path),
        Err(error) => say!(Class::SpoolUnusable, %error, "a spool is gone and cannot be made again"),
    }
}

impl Actor for Spool {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.watch(ctx.address());
        self.take_some(ctx);
    }
}

impl Handler<Ring> for Spool {
    type Result = ();

    fn handle(&mut self, _: Ring, ctx: &mut Self::Context) {
        // Before the scan: what comes during it rings again.
        self.is_rung.store(false, Ordering::Release);
        self.take_some(ctx);
    }
}

impl Handler<Report> for Spool {
    type Result = MessageResult<Report>;

    fn handle(&mut self, _: Report, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.directories.iter().map(Directory::status).collect())
    }
}

impl Handler<Drain> for Spool {
    type Result = ();

    fn handle(&mut self, _: Drain, _: &mut Self::Context) {
        // What is on its way stays in its file too, and is a duplicate next time.
        self.is_draining = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_taken_in_the_order_they_were_written() {
        let mut names: Vec<OsString> =
            ["b.2.s", "a.10.s", "a.9.e", "a.9.s", "junk"].map(OsString::from).into();
        names.sort_by_cached_key(order);
        assert_eq!(names, ["a.9.s", "a.9.e", "a.10.s", "b.2.s", "junk"]);
    }

    #[test]
    fn links_and_pipes_are_not_read() {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).expect("nothing is in the way");
        assert!(matches!(read(&link), Err(Trouble::Foreign)));
        let pipe = directory.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).expect("nothing is in the way");
        assert!(matches!(read(&pipe), Err(Trouble::Foreign)));
        assert!(matches!(read(&directory.path().join("none")), Ok(None)));
    }
}
