//! One blocking session with the user's own daemon: connect, ask, read answers, each within its time.
//!
//! Nothing here waits without an end: the wait for a connection, for a request to leave and for each
//! frame of an answer are bounded by [`Patience`]. Several requests may be under way; the daemon
//! answers them in their order.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use interprocess::ConnectWaitMode;
use interprocess::local_socket::prelude::*;
use interprocess::local_socket::{ConnectOptions, GenericFilePath, Stream};
use karo_protocol::RequestId;
use karo_protocol::frame::{FrameError, Header, VERSION};
use karo_protocol::limits::FRAME_BYTES_MAX;
use karo_protocol::local::{Failure, Reply, Request};
use karo_protocol::places::{Places, Unsafe};

use crate::surroundings::found;

/// How long each step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Until the daemon has accepted the connection.
    pub connect: Duration,
    /// Until a request has left, and until each whole frame of an answer is here.
    pub answer: Duration,
}

impl Default for Patience {
    /// A daemon that is well answers within milliseconds; one that is starting or swapped out, within seconds.
    fn default() -> Self {
        Self { connect: Duration::from_secs(2), answer: Duration::from_secs(10) }
    }
}

impl Patience {
    /// For work that reads or rewrites the whole store.
    pub const LONG: Duration = Duration::from_secs(600);
}

/// Why there is no answer.
#[derive(Debug)]
pub enum ConnectionError {
    /// Nobody listens at any of the places; each with the reason.
    NoDaemon(Vec<(PathBuf, io::Error)>),
    /// A directory or socket on the way is not safe to use.
    Unsafe(PathBuf, Unsafe),
    /// The socket is served by another user's process.
    Stranger {
        /// Where.
        socket: PathBuf,
        /// Whose process it is.
        uid: u32,
    },
    /// The time was up.
    Silent {
        /// Where.
        socket: PathBuf,
        /// How long was waited.
        waited: Duration,
    },
    /// The daemon closed the session.
    Closed(PathBuf),
    /// The session broke.
    Broken(PathBuf, io::Error),
    /// The daemon speaks another version of the protocol.
    Version {
        /// The version of the daemon's frames.
        theirs: u16,
    },
    /// What came is no answer of ours.
    Malformed(FrameError),
    /// The answer is not to what was asked.
    Unexpected(&'static str),
    /// The daemon says why it cannot answer.
    Failure(Failure),
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDaemon(tried) => {
                f.write_str("no daemon")?;
                for (place, (socket, error)) in tried.iter().enumerate() {
                    let lead = if place == 0 { " at" } else { ", nor at" };
                    write!(f, "{lead} {} ({})", socket.display(), in_words(error))?;
                }
                f.write_str("; `karoctl service start` starts it, `karoctl service run` runs it in the foreground, `karoctl setup` has it start by itself")
            }
            Self::Unsafe(path, reason) => write!(f, "{} {reason}", path.display()),
            Self::Stranger { socket, uid } => {
                write!(f, "socket {} is served by a process of user {uid}; remove it", socket.display())
            }
            Self::Silent { socket, waited } => write!(
                f,
                "daemon at {} did not answer within {} s; it may be stopped or overloaded, see `ps` for its state",
                socket.display(),
                waited.as_secs_f64()
            ),
            Self::Closed(socket) => {
                write!(f, "daemon at {} closed the session before its answer was whole", socket.display())
            }
            Self::Broken(socket, error) => write!(f, "session at {} broke: {error}", socket.display()),
            Self::Version { theirs } => write!(
                f,
                "daemon speaks version {theirs} of the local protocol, this karoctl version {VERSION}; install both from one release and restart karod"
            ),
            Self::Malformed(error) => write!(f, "answer cannot be read: {error}"),
            Self::Unexpected(wanted) => write!(f, "answer is not {wanted}"),
            Self::Failure(failure) if failure.message.is_empty() => {
                f.write_str("daemon refuses without a reason")
            }
            Self::Failure(failure) => f.write_str(&failure.message),
        }
    }
}

impl std::error::Error for ConnectionError {}

fn in_words(error: &io::Error) -> String {
    if error.kind() == ErrorKind::NotFound {
        return "no socket there".to_owned();
    }
    if error.kind() == ErrorKind::ConnectionRefused {
        return "a socket that nobody serves".to_owned();
    }
    error.to_string()
}

/// A session.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    socket: PathBuf,
    patience: Patience,
    last_id: u64,
}

impl Connection {
    /// Connects to the first of the places where the user's own daemon listens.
    ///
    /// # Errors
    ///
    /// [`ConnectionError::NoDaemon`] when nobody listens anywhere; an unsafe place ends the search.
    pub fn open(places: &Places, uid: u32, patience: Patience) -> Result<Self, ConnectionError> {
        let mut tried = Vec::new();
        for socket in std::iter::once(&places.socket).chain(&places.other_sockets) {
            match connect(socket, uid, patience.connect)? {
                Ok(stream) => {
                    return Ok(Self { stream, socket: socket.clone(), patience, last_id: 0 });
                }
                Err(error) => tried.push((socket.clone(), error)),
            }
        }
        Err(ConnectionError::NoDaemon(tried))
    }

    /// Returns where the daemon was found.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Returns the process that listens there; `None` where the system does not say.
    pub fn pid(&self) -> Option<u32> {
        let creds = self.stream.peer_creds().ok()?;
        u32::try_from(creds.pid()?).ok()
    }

    /// Sets how long each following frame may take.
    pub const fn wait_for_answers(&mut self, answer: Duration) {
        self.patience.answer = answer;
    }

    /// Sends a request and waits for its one reply.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send) and [`receive`](Self::receive).
    pub fn ask(&mut self, request: &Request) -> Result<Reply, ConnectionError> {
        let id = self.send(request)?;
        self.receive(id)
    }

    /// Sends a request.
    ///
    /// # Errors
    ///
    /// When it does not fit a frame, or has not left in time.
    pub fn send(&mut self, request: &Request) -> Result<RequestId, ConnectionError> {
        self.last_id += 1;
        let id = RequestId(self.last_id);
        let frame = request.encode(id).map_err(ConnectionError::Malformed)?;
        self.send_frame(&frame)?;
        Ok(id)
    }

    /// Sends a frame that is made already.
    ///
    /// # Errors
    ///
    /// When it has not left in time.
    pub(crate) fn send_frame(&mut self, frame: &[u8]) -> Result<(), ConnectionError> {
        let deadline = Instant::now() + self.patience.answer;
        let mut rest = frame;
        while !rest.is_empty() {
            self.stream.set_send_timeout(Some(self.left(deadline)?)).map_err(|e| self.broken(e))?;
            match (&self.stream).write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) => self.judge(error)?,
            }
        }
        Ok(())
    }

    /// Waits for the next reply to that request.
    ///
    /// # Errors
    ///
    /// [`ConnectionError::Failure`] when the daemon says why not; the session stays usable. After any
    /// other error it is of no use.
    pub fn receive(&mut self, id: RequestId) -> Result<Reply, ConnectionError> {
        let (kind, payload) = self.receive_frame()?;
        let (answered, reply) = Reply::decode(kind, &payload).map_err(ConnectionError::Malformed)?;
        if let Reply::Failure(failure) = reply {
            return Err(ConnectionError::Failure(failure));
        }
        if answered != id {
            return Err(ConnectionError::Unexpected("to the request that was sent"));
        }
        Ok(reply)
    }

    /// Waits for the next frame, and returns its type and its payload.
    ///
    /// # Errors
    ///
    /// When none that is whole and of our version comes in time.
    pub(crate) fn receive_frame(&mut self) -> Result<(u16, Vec<u8>), ConnectionError> {
        let deadline = Instant::now() + self.patience.answer;
        let mut head = [0; Header::SIZE];
        self.fill(&mut head, deadline)?;
        let header = Header::parse(&head, FRAME_BYTES_MAX).map_err(ConnectionError::Malformed)?;
        if header.version != VERSION {
            return Err(ConnectionError::Version { theirs: header.version });
        }
        let mut payload = vec![0; header.length as usize];
        self.fill(&mut payload, deadline)?;
        Ok((header.kind, payload))
    }

    fn fill(&self, mut rest: &mut [u8], deadline: Instant) -> Result<(), ConnectionError> {
        while !rest.is_empty() {
            self.stream.set_recv_timeout(Some(self.left(deadline)?)).map_err(|e| self.broken(e))?;
            match (&self.stream).read(rest) {
                Ok(0) => return Err(ConnectionError::Closed(self.socket.clone())),
                Ok(count) => rest = &mut rest[count..],
                Err(error) => self.judge(error)?,
            }
        }
        Ok(())
    }

    fn left(&self, deadline: Instant) -> Result<Duration, ConnectionError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(self.silent()) } else { Ok(left) }
    }

    fn silent(&self) -> ConnectionError {
        ConnectionError::Silent { socket: self.socket.clone(), waited: self.patience.answer }
    }

    fn broken(&self, error: io::Error) -> ConnectionError {
        ConnectionError::Broken(self.socket.clone(), error)
    }

    /// Lets an interrupted call be repeated; anything else ends the session.
    fn judge(&self, error: io::Error) -> Result<(), ConnectionError> {
        let is_any_of = |kinds: &[ErrorKind]| kinds.contains(&error.kind());
        if is_any_of(&[ErrorKind::Interrupted]) {
            return Ok(());
        }
        if is_any_of(&[ErrorKind::WouldBlock, ErrorKind::TimedOut]) {
            return Err(self.silent());
        }
        if is_any_of(&[ErrorKind::BrokenPipe, ErrorKind::ConnectionReset]) {
            return Err(ConnectionError::Closed(self.socket.clone()));
        }
        Err(self.broken(error))
    }
}

/// Connects to one place; the inner error means that nobody is there, and the next place may be tried.
fn connect(
    socket: &Path,
    uid: u32,
    patience: Duration,
) -> Result<Result<Stream, io::Error>, ConnectionError> {
    let directory = socket.parent().unwrap_or(Path::new("/"));
    let Some(around) = found(directory) else { return Ok(Err(ErrorKind::NotFound.into())) };
    let is_roots = around
        .judge_around_socket(uid)
        .map_err(|reason| ConnectionError::Unsafe(directory.to_owned(), reason))?;
    let silent = || ConnectionError::Silent { socket: socket.to_owned(), waited: patience };
    let deadline = Instant::now() + patience;
    let stream = loop {
        match connect_once(socket, deadline.saturating_duration_since(Instant::now())) {
            Ok(stream) => break stream,
            // A full backlog answers at once; only asking again tells when there is room.
            Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err(silent());
            }
            Err(error) => return Ok(Err(error)),
        }
    };
    match stream.peer_creds().map(|creds| creds.euid()) {
        // Whoever listened first is named, even when another accepts: where root's manager does, that is root.
        Ok(Some(0)) if is_roots => Ok(Ok(stream)),
        Ok(Some(peer)) if peer != uid => {
            Err(ConnectionError::Stranger { socket: socket.to_owned(), uid: peer })
        }
        // The directory is the user's own or root's, so a platform that cannot name its peer is no danger.
        Ok(_) | Err(_) => Ok(Ok(stream)),
    }
}

fn connect_once(socket: &Path, patience: Duration) -> io::Result<Stream> {
    let name = socket.as_os_str().to_fs_name::<GenericFilePath>()?;
    let stream =
        ConnectOptions::new().name(name).wait_mode(ConnectWaitMode::Timeout(patience)).connect_sync()?;
    // A Unix socket never connects later: a full backlog is refused with EAGAIN, which interprocess 2.4
    // takes for "under way", and then gives a stream that is connected to nothing.
    let Stream::UdSocket(connected) = &stream;
    match connected.inner().peer_addr() {
        Ok(_) => Ok(stream),
        Err(_) => Err(ErrorKind::WouldBlock.into()),
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
