//! One open client connection: reads requests, passes them on, writes the answers.
//!
//! Observations and imports may be sent without waiting for the answers to those before, up to a
//! window. Observations are answered as they are settled, imports in their order among themselves, and
//! everything else in the order of the requests. A
//! slow reader blocks only its own session, and a slow writer has a deadline for each frame.

mod frames;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actix::Recipient;
use interprocess::local_socket::tokio::Stream;
use karo_core::understand::Understander;
use karo_protocol::RequestId;
use karo_protocol::config::SocketSettings;
use karo_protocol::frame::{self, FrameError, Header};
use karo_protocol::limits::{IMPORT_LINES_MAX, PAGE_EVENTS_MAX};
use karo_protocol::local::{
    End, Failure, FailureCode, Import, ImportLine, Imported, Observe, Progress, Reclassified, Reclassify,
    Reply as Answer, Request, Verdict, Verified, peek_id,
};
use karo_protocol::mesh::{Pair, PairAnswer};
use karo_protocol::observation::OBSERVATION_VERSION;
use karo_protocol::query::{Count, Filter, Query};
use karo_store::{Reader, Reclassification};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;

use self::frames::{parts, read_frame, say};
use super::groups::GroupDesk;
use super::meaning;
use super::mesh::MeshDesk;
use super::pairing::Begin;
use super::peers::Noted;
use super::query::{NextPage, Select, Tallying};
use super::rules::RulesDesk;
use super::sharing::SharingDesk;
use super::store::{Compact, Compare, Delete, Revise, Revising};
use super::{Intake, Source};
use crate::counters::Counters;
use crate::logging::LogDesk;
use crate::status::StatusDesk;

/// Observations of one session that may be unanswered.
const WINDOW: usize = 256;

/// How long a frame may take from its first byte to its last.
const FRAME_PATIENCE: Duration = Duration::from_secs(5);

/// How often a long work says how far it is.
const PROGRESS: Duration = Duration::from_millis(100);

/// Answers that may wait to be written; with the size of a page this bounds a session's memory.
const OUTGOING: usize = 8;

/// What all sessions work with.
pub struct Post {
    /// The daemon's own user.
    pub uid: u32,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// Takes observations in.
    pub intake: Intake,
    /// Finds events.
    pub pages: Recipient<NextPage>,
    /// Counts events.
    pub tallies: Recipient<Tallying>,
    /// Says which events a filter means.
    pub select: Recipient<Select>,
    /// Forgets events.
    pub delete: Recipient<Delete>,
    /// Makes the log smaller.
    pub compact: Recipient<Compact>,
    /// Understands again.
    pub revise: Recipient<Revise>,
    /// Lets one at a time have everything understood again.
    pub revising: Arc<Semaphore>,
    /// Checks the log.
    pub reader: Reader,
    /// Checks the views.
    pub compare: Recipient<Compare>,
    /// Knows identity, peers and audit.
    pub mesh: MeshDesk,
    /// What is asked about groups, and of them.
    pub groups: GroupDesk,
    /// What is asked about summaries and the policy.
    pub sharing: SharingDesk,
    /// Is told what belongs into the audit.
    pub noted: Recipient<Noted>,
    /// Knows how everything is.
    pub status: StatusDesk,
    /// Has the newest rules.
    pub rules: RulesDesk,
    /// Has the last entries of the log.
    pub log: LogDesk,
}

/// Steps of a pairing that may wait for the client: there are fewer.
const PAIRING_STEPS: usize = 8;

/// Tells a client that there is no room, so that it spools at once, and closes.
pub async fn turn_away(mut stream: Stream) {
    let answer = failure(FailureCode::Busy, "too many sessions are open; raise socket.sessions_max");
    if let Ok(frame) = answer.encode(RequestId(0)) {
        // A client that does not read this finds the connection closed, which means the same.
        drop(timeout(FRAME_PATIENCE, stream.write_all(&frame)).await);
    }
}

fn failure(code: FailureCode, message: impl Into<String>) -> Answer {
    Answer::Failure(Failure { code, message: message.into() })
}

/// What an actor's absence means to a client.
fn stopping() -> Answer {
    failure(FailureCode::Stopping, "karod is stopping")
}

/// Why a session ends.
enum Over {
    /// The client has left, was silent for too long, or the daemon is stopping.
    Quiet,
    /// The client sent what is no frame of ours.
    Malformed(FrameError),
}

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Self {
        // Clients come and go; what was acknowledged is on disk, what was not they spool.
        Self::Quiet
    }
}

/// One session. See the module.
pub struct Session {
    post: Rc<Post>,
    limits: SocketSettings,
    closing: watch::Receiver<bool>,
}

impl Session {
    /// Counts a session in; it is counted out when it is dropped.
    pub fn new(post: Rc<Post>, limits: SocketSettings, closing: watch::Receiver<bool>) -> Self {
        post.counters.sessions.fetch_add(1, Ordering::Relaxed);
        post.counters.sessions_begun.add(1);
        Self { post, limits, closing }
    }

    /// Serves until the client leaves.
    pub async fn serve(self, stream: Stream) {
        let (reading, mut writing) = tokio::io::split(stream);
        let (outgoing, mut answers) = mpsc::channel::<Vec<u8>>(OUTGOING);
        let read = async {
            let desk = Desk {
                session: &self,
                outgoing,
                window: Arc::new(Semaphore::new(WINDOW)),
                last_import: RefCell::default(),
                pairing: RefCell::default(),
            };
            if let Err(Over::Malformed(error)) = desk.read(BufReader::new(reading)).await {
                self.post.counters.malformed.add(1);
                desk.say(RequestId(0), failure(FailureCode::BadRequest, error.to_string())).await;
            }
            // Those who still wait for their verdict hold a sender each.
        };
        let write = async {
            while let Some(frame) = answers.recv().await {
                if writing.write_all(&frame).await.is_err() {
                    return;
                }
            }
        };
        tokio::join!(read, write);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.post.counters.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One side of a session: what requests are worked on with.
struct Desk<'a> {
    session: &'a Session,
    outgoing: mpsc::Sender<Vec<u8>>,
    window: Arc<Semaphore>,
    /// Ends when the last import so far is answered: imports are answered in their order.
    last_import: RefCell<Option<oneshot::Receiver<()>>>,
    /// Takes the person's answer, while a pairing of this session is under way; dropped, it means no.
    pairing: RefCell<Option<mpsc::Sender<bool>>>,
}

impl Desk<'_> {
    /// Reads frames until there are no more.
    async fn read(&self, mut stream: impl AsyncReadExt + Unpin) -> Result<(), Over> {
        loop {
            let mut header = [0; Header::SIZE];
            header[0] = self.first_byte(&mut stream).await?;
            let frame = timeout(FRAME_PATIENCE, read_frame(&mut stream, header));
            let (header, payload) = frame.await.map_err(|_| Over::Quiet)??;
            self.answer(header, &payload).await?;
        }
    }

    /// Waits for a frame to begin, for as long as a session may be silent.
    async fn first_byte(&self, stream: &mut (impl AsyncReadExt + Unpin)) -> Result<u8, Over> {
        let mut closing = self.session.closing.clone();
        loop {
            tokio::select! {
                byte = stream.read_u8() => return Ok(byte?),
                _ = closing.wait_for(|closing| *closing) => return Err(Over::Quiet),
                () = tokio::time::sleep(self.session.limits.idle) => {
                    // Whoever waits for a verdict is not idle.
                    if self.window.available_permits() == WINDOW {
                        return Err(Over::Quiet);
                    }
                }
            }
        }
    }

    /// Writes an answer; one that the client does not take any more is dropped.
    async fn say(&self, id: RequestId, answer: Answer) {
        say(&self.outgoing, id, answer).await;
    }

    async fn say_all(&self, id: RequestId, answers: Vec<Answer>) -> Result<(), Over> {
        for answer in answers {
            self.say(id, answer).await;
        }
        Ok(())
    }

    async fn answer(&self, header: Header, payload: &[u8]) -> Result<(), Over> {
        if header.kind == Observe::KIND {
            return self.observe(payload).await;
        }
        if header.version != frame::VERSION {
            let message = format!("karod speaks version {}, the client {}", frame::VERSION, header.version);
            self.say(peek_id(payload), failure(FailureCode::VersionMismatch, message)).await;
            return Ok(());
        }
        let (id, request) = Request::decode(header.kind, payload).map_err(Over::Malformed)?;
        let answer = match request {
            // Answered above, whatever the frame's version is.
            Request::Observe(_) => return Ok(()),
            Request::Query(query) => self.query(id, query).await,
            Request::Count(count) => self.count(count).await,
            Request::Delete(filter) => self.delete(filter).await,
            Request::Import(import) => return self.import(id, import).await,
            Request::Status(()) => Answer::Status(Box::new(self.session.post.status.report().await)),
            Request::StoreVerify(()) => self.verify().await,
            Request::StoreCompact(()) => match self.session.post.compact.send(Compact).await {
                Ok(compacted) => compacted.map_or_else(Answer::Failure, Answer::Compacted),
                Err(_) => stopping(),
            },
            Request::Explain(explain) => {
                let user = self.session.post.status.identity.user.clone();
                return self
                    .say_all(id, meaning::explain(&self.session.post.rules, user, explain).await)
                    .await;
            }
            Request::Rules(()) => {
                return self.say_all(id, meaning::rules(&self.session.post.rules).await).await;
            }
            Request::RulesCheck(check) => {
                return self.say_all(id, meaning::check(&self.session.post.rules, check).await).await;
            }
            Request::Reclassify(reclassify) => self.reclassify(id, reclassify).await,
            Request::Identity(()) => self.session.post.mesh.identity().await,
            Request::IdentityBackup(ask) => self.session.post.mesh.backup(ask).await,
            Request::IdentityRestore(ask) => self.session.post.mesh.restore(ask).await,
            Request::IdentityRotate(()) => self.session.post.mesh.rotate().await,
            Request::Peers(ask) => {
                let mut closing = self.session.closing.clone();
                tokio::select! {
                    table = self.session.post.mesh.table(ask) => table,
                    _ = closing.wait_for(|closing| *closing) => stopping(),
                }
            }
            Request::PeerAdd(add) => self.session.post.mesh.add(add).await,
            Request::PeerChange(change) => self.session.post.mesh.alter(change).await,
            Request::PeerShow(peer) => self.session.post.mesh.show(peer).await,
            Request::PeerPing(peer) => self.session.post.mesh.ping(peer).await,
            Request::PeerTest(peer) => self.session.post.mesh.test(peer).await,
            Request::Candidates(()) => self.session.post.mesh.candidates().await,
            Request::Pair(pair) => return self.pair(id, pair).await,
            Request::PairAnswer(PairAnswer { is_yes }) => match self.answered(is_yes) {
                Ok(()) => return Ok(()),
                Err(refusal) => refusal,
            },
            Request::Audit(filter) => {
                return self.say_all(id, self.session.post.mesh.audit(filter).await).await;
            }
            Request::AuditVerify(()) => self.session.post.mesh.audit_verify().await,
            Request::AuditHead(()) => self.session.post.mesh.audit_head().await,
            Request::AuditExport(filter) => self.session.post.mesh.audit_export(filter).await,
            Request::Summaries(ask) => {
                return self.say_all(id, self.session.post.sharing.summaries(ask).await).await;
            }
            Request::Policy(()) => self.session.post.sharing.policy().await,
            Request::PolicyChange(change) => self.session.post.sharing.change(change).await,
            Request::PolicyPreview(peer) => self.session.post.sharing.preview(peer).await,
            Request::PolicyExplain(peer) => self.session.post.sharing.explain(peer).await,
            Request::Logs(ask) => {
                let mut closing = self.session.closing.clone();
                tokio::select! {
                    page = self.session.post.log.page(&ask) => Answer::Logs(Box::new(page)),
                    _ = closing.wait_for(|closing| *closing) => stopping(),
                }
            }
            Request::Signals(ask) => self.session.post.sharing.signals(ask).await,
            Request::GroupCard(()) => self.session.post.groups.card().await,
            Request::GroupMake(make) => self.session.post.groups.make(make).await,
            Request::GroupLook(signed) => self.session.post.groups.look(signed).await,
            Request::GroupShow(name) => self.session.post.groups.show(name).await,
            Request::GroupAccept(signed) => self.session.post.groups.accept(signed).await,
            Request::GroupLeave(name) => self.session.post.groups.leave(name).await,
            Request::Groups(()) => self.session.post.groups.list().await,
            Request::GroupClose(close) => self.session.post.groups.close(close).await,
            Request::GroupAtoms(name) => self.session.post.groups.atoms(name).await,
            Request::MeshQuery(query) => self.session.post.groups.query(query).await,
            Request::MeshHealth(()) => self.session.post.groups.health().await,
        };
        self.say(id, answer).await;
        Ok(())
    }

    /// Passes an observation on and lets the next request come; the verdict follows when it is there.
    async fn observe(&self, payload: &[u8]) -> Result<(), Over> {
        let (id, version) = Observe::peek_version(payload).map_err(Over::Malformed)?;
        if version > OBSERVATION_VERSION {
            tracing::debug!(version, "an observation of a newer client stays with it");
            self.say(id, Answer::Observed(Verdict::Failed)).await;
            return Ok(());
        }
        let (_, request) = Request::decode(Observe::KIND, payload).map_err(Over::Malformed)?;
        let Request::Observe(observe) = request else { return Ok(()) };
        let Ok(permit) = Arc::clone(&self.window).acquire_owned().await else { return Ok(()) };
        let line = ImportLine {
            observation: observe.observation.bounded(),
            id: None,
            is_lost: false,
            redactions: Vec::new(),
        };
        let verdicts = self.session.post.intake.take(Source::Session, vec![line]).await;
        let outgoing = self.outgoing.clone();
        tokio::task::spawn_local(async move {
            let verdicts = verdicts.await.unwrap_or_default();
            let verdict = verdicts.first().copied().unwrap_or(Verdict::Failed);
            say(&outgoing, id, Answer::Observed(verdict)).await;
            drop(permit);
        });
        Ok(())
    }

    /// Streams the pages of an answer and returns its end.
    async fn query(&self, id: RequestId, query: Query) -> Answer {
        if let Some(refusal) = excess(&query.filter) {
            return refusal;
        }
        let mut left = query.limit.map_or(usize::MAX, |limit| limit as usize);
        let query = Arc::new(query);
        let mut end = End { count: 0, partial_since: None, unreadable: 0 };
        let mut cursor = None;
        while left > 0 {
            let rows_max = left.min(PAGE_EVENTS_MAX);
            let ask = NextPage { query: Arc::clone(&query), cursor, rows_max };
            let Ok(page) = self.session.post.pages.send(ask).await else { return stopping() };
            let found = page.rows.len() + page.events.len();
            left = left.saturating_sub(found);
            end.count += found as u64;
            end.unreadable += page.unreadable;
            end.partial_since = end.partial_since.max(page.partial_since);
            cursor = page.next.clone();
            for part in parts(query.detail, page) {
                self.say(id, part).await;
            }
            if cursor.is_none() || self.outgoing.is_closed() {
                break;
            }
        }
        Answer::End(end)
    }

    async fn count(&self, count: Count) -> Answer {
        if let Some(refusal) = excess(&count.filter) {
            return refusal;
        }
        match self.session.post.tallies.send(Tallying(count)).await {
            Ok(tallies) => Answer::Tallies(tallies),
            Err(_) => stopping(),
        }
    }

    async fn delete(&self, filter: Filter) -> Answer {
        if filter.is_empty() {
            return failure(FailureCode::Refused, "a deletion needs ids or a filter");
        }
        if let Some(refusal) = excess(&filter) {
            return refusal;
        }
        let post = &self.session.post;
        let asked_since = filter.since;
        let Ok(selection) = post.select.send(Select(filter)).await else { return stopping() };
        // What there is no room for never comes, and a deletion that does not reach it is whole all the same.
        let is_covered = |since| !selection.is_loading && asked_since.is_some_and(|asked| asked >= since);
        if let Some(since) = selection.partial_since.filter(|since| !is_covered(*since)) {
            if !selection.is_loading {
                let message = format!(
                    "what started before {} µs is not in memory, which the unit limits: name a later beginning, or \
                     raise MemoryHigh= and MemoryMax=",
                    since.as_micros()
                );
                return failure(FailureCode::Refused, message);
            }
            let message =
                format!("the log is still being loaded, so far down to {}; try again", since.as_micros());
            return failure(FailureCode::Busy, message);
        }
        match post.delete.send(Delete(selection.events)).await {
            Ok(deleted) => deleted.map_or_else(Answer::Failure, Answer::Deleted),
            Err(_) => stopping(),
        }
    }

    /// Passes lines on and lets the next request come, as [`observe`](Self::observe) does.
    async fn import(&self, id: RequestId, Import { lines }: Import) -> Result<(), Over> {
        if lines.len() > IMPORT_LINES_MAX {
            let message =
                format!("{} lines in one import, at most {IMPORT_LINES_MAX} are allowed", lines.len());
            self.say(id, failure(FailureCode::BadRequest, message)).await;
            return Ok(());
        }
        let Ok(permit) = Arc::clone(&self.window).acquire_owned().await else { return Ok(()) };
        let bounded = |line: ImportLine| ImportLine { observation: line.observation.bounded(), ..line };
        let lines = lines.into_iter().map(bounded).collect();
        let verdicts = self.session.post.intake.take(Source::Session, lines).await;
        let outgoing = self.outgoing.clone();
        let (done, turn) = oneshot::channel::<()>();
        let before = self.last_import.replace(Some(turn));
        tokio::task::spawn_local(async move {
            let answer = imported(&verdicts.await.unwrap_or_default());
            if let Some(before) = before {
                // Its sender is dropped when the answer before is on its way.
                drop(before.await);
            }
            say(&outgoing, id, answer).await;
            drop((done, permit));
        });
        Ok(())
    }

    /// Has everything understood again, and tells how far that is.
    async fn reclassify(&self, id: RequestId, Reclassify { redact }: Reclassify) -> Answer {
        let post = &self.session.post;
        let Ok(_turn) = post.revising.try_acquire() else {
            return failure(
                FailureCode::Busy,
                "everything is being understood again already; try again later",
            );
        };
        let Some(loaded) = post.rules.loaded().await else { return stopping() };
        let mut revising = Box::new(Revising {
            pass: Reclassification::new(redact),
            understander: Understander::new(Arc::clone(&loaded.knowledge)),
            is_redacting: redact,
            failure: None,
        });
        let mut told = Instant::now();
        loop {
            let Ok(Some(back)) = post.revise.send(Revise(revising)).await else { return stopping() };
            revising = back;
            if let Some(failure) = revising.failure.take() {
                return Answer::Failure(failure);
            }
            let at = revising.pass.progress();
            if at.is_done {
                return Answer::Reclassified(Reclassified {
                    events: at.events,
                    changed: at.changed,
                    redacted: at.redacted,
                    segments: at.segments,
                });
            }
            if self.outgoing.is_closed() {
                // Whoever asked has left; what is done stays done.
                return stopping();
            }
            if told.elapsed() >= PROGRESS {
                told = Instant::now();
                let progress = Progress { done: at.records, total: at.records_total, changed: at.changed };
                self.say(id, Answer::Progress(progress)).await;
            }
        }
    }

    /// Begins a pairing and lets the next request come, which is the person's answer.
    async fn pair(&self, id: RequestId, pair: Pair) -> Result<(), Over> {
        // Whoever compares words is not idle.
        let Ok(permit) = Arc::clone(&self.window).acquire_owned().await else { return Ok(()) };
        let (answer, answers) = mpsc::channel(1);
        let (progress, mut told) = mpsc::channel(PAIRING_STEPS);
        self.pairing.replace(Some(answer));
        let over = self.session.post.mesh.pair.send(Begin { pair, answers, progress });
        let outgoing = self.outgoing.clone();
        tokio::task::spawn_local(async move {
            let tell = async {
                while let Some(step) = told.recv().await {
                    say(&outgoing, id, Answer::Pairing(step)).await;
                }
            };
            if let (Err(_), ()) = tokio::join!(over, tell) {
                say(&outgoing, id, stopping()).await;
            }
            drop(permit);
        });
        Ok(())
    }

    /// Passes the person's answer on to the pairing of this session.
    fn answered(&self, is_yes: bool) -> Result<(), Answer> {
        let pairing = self.pairing.borrow();
        let told = pairing.as_ref().map(|pairing| pairing.try_send(is_yes));
        match told {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => {
                Err(failure(FailureCode::BadRequest, "no pairing of this session waits for an answer"))
            }
        }
    }

    /// Reads all of the log on a thread of its own: it takes as long as the disk does.
    async fn verify(&self) -> Answer {
        let reader = self.session.post.reader.clone();
        match tokio::task::spawn_blocking(move || reader.verify()).await {
            Ok(verified) => {
                let Ok(views_agree) = self.session.post.compare.send(Compare).await else {
                    return stopping();
                };
                Answer::Verified(Verified { views_agree, ..verified })
            }
            Err(error) => failure(FailureCode::Bug, format!("the check ended early: {error}")),
        }
    }
}

/// What became of the lines of one import, in one answer.
fn imported(verdicts: &[Verdict]) -> Answer {
    let count = |wanted| verdicts.iter().filter(|verdict| **verdict == wanted).count() as u64;
    if count(Verdict::Busy) > 0 {
        return failure(FailureCode::Busy, "the daemon takes nothing at the moment; try again");
    }
    if count(Verdict::Failed) > 0 {
        return failure(FailureCode::Unwritable, "the lines could not be kept");
    }
    Answer::Imported(Imported {
        added: count(Verdict::Committed),
        duplicates: count(Verdict::Duplicate),
        ignored: count(Verdict::Ignored),
    })
}

fn excess(filter: &Filter) -> Option<Answer> {
    let (field, limit) = filter.excess()?;
    Some(failure(
        FailureCode::BadRequest,
        format!("too many {field} in the filter, at most {limit} are allowed"),
    ))
}
