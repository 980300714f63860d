//! Follows the history files of shells that have no hooks, and takes in what is added to them.
//!
//! Such a file knows neither directories nor outcomes, and when a command was typed only by when it
//! was seen. Each command has its number in the file, so a restart takes nothing in twice.
//!
//! | message | from | answer |
//! | --- | --- | --- |
//! | [`Files`] | root, after a reload | none |
//! | [`Ring`] | the watch, and itself | none |

use std::fs::Metadata;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, WrapFuture};
use karo_core::history::{Line, Reader};
use karo_protocol::config::Follow as File;
use karo_protocol::local::ImportLine;
use karo_protocol::observation::{Ending, Shell};
use karo_protocol::{Bytes, Observation, Phase, Precision, RawCommand, ShellId, Timestamp};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use rustix::fs::OFlags;

use super::{Intake, Source};
use crate::lease::Lease;
use crate::logging::say;
use crate::{clock, ground};

/// Messages that may wait here.
const MAILBOX: usize = 16;

/// Bytes of a history file at the most: a hundred times what shells keep.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Commands passed on at once.
const BATCH: usize = 512;

/// How long to wait before commands that were refused are offered again.
const RETRY: Duration = Duration::from_secs(1);

/// The files to follow from now on. Sent by the root after a reload.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Files(pub Vec<File>);

/// Something may have come. Sent by the watch, and by the actor to itself.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Ring;

/// The actor. See the module.
pub struct Follow {
    histories: Vec<History>,
    intake: Intake,
    watcher: Option<RecommendedWatcher>,
    is_rung: Arc<AtomicBool>,
    is_taking: bool,
    _lease: Lease,
}

/// One file that is followed.
struct History {
    file: File,
    id: ShellId,
    reader: Reader,
    /// Commands that were read and are not settled.
    waiting: Vec<ImportLine>,
    /// Why it could not be read, as it was said last.
    trouble: Option<String>,
}

impl History {
    fn new(file: File) -> Option<Self> {
        let reader = Reader::new(file.shell)?;
        // The same file is the same shell after every restart.
        let hash =
            blake3::derive_key("karo 2026 followed history file", file.path.as_os_str().as_encoded_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        Some(Self { file, id: ShellId::from_bytes(id), reader, waiting: Vec::new(), trouble: None })
    }

    /// Reads what was added.
    fn gather(&mut self, is_first: bool) {
        let (found, bytes) = match read(&self.file.path) {
            Ok(read) => read,
            // Its shell makes it when there is something to keep.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.trouble = None;
                return;
            }
            Err(error) => return self.complain(error.to_string()),
        };
        self.trouble = None;
        // What was there before Karo looked was typed at the time of the last change, or earlier.
        let seen_at = if is_first { changed_at(&found) } else { clock::now() };
        let lines = self.reader.read(&bytes).into_iter().filter(|line| !line.text.starts_with(b" "));
        let arrivals: Vec<_> = lines.map(|line| self.arrival(line, seen_at)).collect();
        self.waiting.extend(arrivals);
    }

    /// Says why nothing can be read, once and not at every ring.
    fn complain(&mut self, reason: String) {
        if self.trouble.as_ref() != Some(&reason) {
            say!(Class::HistoryUnreadable, path = %self.file.path.display(), reason, "a followed history cannot be read");
            self.trouble = Some(reason);
        }
    }

    fn arrival(&self, Line { number, text }: Line, started_at: Timestamp) -> ImportLine {
        let shell = Shell {
            kind: self.file.shell,
            id: self.id,
            user: ground::account(),
            host: ground::host(),
            tty: None,
            is_remote: false,
            parent: None,
            process: None,
        };
        let observation = Observation {
            shell,
            sequence: number,
            phase: Phase::End(Ending::default()),
            command: RawCommand::new(text),
            cwd: Bytes::default(),
            is_cwd_truncated: false,
            started_at,
            precision: Precision::Second,
            dropped: 0,
        };
        ImportLine { observation, id: None, is_lost: false, redactions: Vec::new() }
    }
}

/// Reads a history as a whole; nothing but a file is one.
fn read(path: &Path) -> io::Result<(Metadata, Vec<u8>)> {
    let file = ground::open_file(path, OFlags::empty())?;
    let found = file.metadata()?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok((found, bytes))
}

fn changed_at(found: &Metadata) -> Timestamp {
    let since = found.modified().ok().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    since.map_or_else(clock::now, |since| Timestamp::from_micros(since.as_micros() as i64))
}

impl Follow {
    /// Makes the actor of the files to follow.
    pub fn new(files: Vec<File>, intake: Intake, lease: Lease) -> Self {
        let histories = files.into_iter().filter_map(History::new).collect();
        Self { histories, intake, watcher: None, is_rung: Arc::default(), is_taking: false, _lease: lease }
    }

    /// Watches the directories of the files: a shell may replace the file itself.
    fn watch(&mut self, address: Addr<Self>) {
        self.watcher = None;
        if self.histories.is_empty() {
            return;
        }
        let is_rung = Arc::clone(&self.is_rung);
        let paths: Vec<PathBuf> = self.histories.iter().map(|history| history.file.path.clone()).collect();
        let ring = move |event: notify::Result<notify::Event>| {
            let is_ours = |path: &PathBuf| paths.contains(path);
            let is_news =
                event.as_ref().map_or(true, |event| event.need_rescan() || event.paths.iter().any(is_ours));
            if is_news && !is_rung.swap(true, Ordering::AcqRel) && address.try_send(Ring).is_err() {
                is_rung.store(false, Ordering::Release);
            }
        };
        match notify::recommended_watcher(ring) {
            Ok(mut watcher) => {
                for directory in self.histories.iter().filter_map(|history| history.file.path.parent()) {
                    watch_directory(&mut watcher, directory);
                }
                self.watcher = Some(watcher);
            }
            Err(error) => say!(Class::HistoryUnwatched, %error, "history files cannot be watched"),
        }
        for history in &mut self.histories {
            history.gather(true);
        }
    }

    /// Passes on what waits, if nothing is on its way.
    fn take_some(&mut self, ctx: &mut Context<Self>) {
        let next = self.histories.iter().position(|history| !history.waiting.is_empty());
        let (Some(place), false) = (next, self.is_taking) else { return };
        let waiting = &self.histories[place].waiting;
        let arrivals = waiting[..waiting.len().min(BATCH)].to_vec();
        let id = self.histories[place].id;
        let count = arrivals.len();
        let intake = self.intake.clone();
        let verdicts = async move { intake.take(Source::Follow, arrivals).await.await };
        self.is_taking = true;
        ctx.spawn(verdicts.into_actor(self).map(move |verdicts, actor, ctx| {
            actor.is_taking = false;
            let verdicts = verdicts.unwrap_or_default();
            if verdicts.len() == count && verdicts.iter().all(|verdict| verdict.is_settled()) {
                // A reload may have taken the file away meanwhile.
                if let Some(history) = actor.histories.iter_mut().find(|history| history.id == id) {
                    history.waiting.drain(..count);
                }
                actor.take_some(ctx);
            } else {
                ctx.run_later(RETRY, |actor, ctx| actor.take_some(ctx));
            }
        }));
    }
}

fn watch_directory(watcher: &mut RecommendedWatcher, directory: &Path) {
    if let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive) {
        say!(Class::HistoryUnwatched, %error, path = %directory.display(), "a history's directory cannot be watched");
    }
}

impl Actor for Follow {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.watch(ctx.address());
        self.take_some(ctx);
    }
}

impl Handler<Files> for Follow {
    type Result = ();

    fn handle(&mut self, Files(files): Files, ctx: &mut Self::Context) {
        let is_same = self.histories.iter().map(|history| &history.file).eq(&files);
        if !is_same && !self.is_taking {
            self.histories = files.into_iter().filter_map(History::new).collect();
            self.watch(ctx.address());
            self.take_some(ctx);
        } else if !is_same {
            ctx.notify_later(Files(files), RETRY);
        }
    }
}

impl Handler<Ring> for Follow {
    type Result = ();

    fn handle(&mut self, _: Ring, ctx: &mut Self::Context) {
        self.is_rung.store(false, Ordering::Release);
        self.histories.iter_mut().for_each(|history| history.gather(false));
        self.take_some(ctx);
    }
}
