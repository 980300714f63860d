//! A daemon for tests: a thread that serves one session over a real socket, by a script.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use karo_protocol::RequestId;
use karo_protocol::frame::Header;
use karo_protocol::limits::FRAME_BYTES_MAX;
use karo_protocol::local::{Reply, Request};
use karo_protocol::places::Places;
use tempfile::TempDir;

/// How long a fake session waits for its client before the test is said to hang.
const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon with its directory; dropped, it waits for its script to be done.
pub(crate) struct FakeDaemon {
    directory: TempDir,
    thread: Option<JoinHandle<()>>,
}

/// What is done in one session.
pub(crate) type Script = Box<dyn FnOnce(&mut FakeSession) + Send>;

/// One session, as the script sees it.
pub(crate) struct FakeSession(UnixStream);

impl FakeDaemon {
    /// Serves one session by that script.
    pub(crate) fn serve(script: impl FnOnce(&mut FakeSession) + Send + 'static) -> Self {
        Self::serve_all(vec![Box::new(script)])
    }

    /// Serves as many sessions as there are scripts, one after the other.
    pub(crate) fn serve_all(scripts: Vec<Script>) -> Self {
        let directory = private_directory();
        let listener = UnixListener::bind(directory.path().join("karod.sock")).expect("the path is free");
        let thread = std::thread::spawn(move || {
            for script in scripts {
                let (stream, _) = listener.accept().expect("a client comes");
                stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
                script(&mut FakeSession(stream));
            }
        });
        Self { directory, thread: Some(thread) }
    }

    /// Returns places whose socket is this daemon's.
    pub(crate) fn places(&self) -> Places {
        places_in(&self.directory)
    }
}

impl Drop for FakeDaemon {
    fn drop(&mut self) {
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.expect("it is taken once").expect("the script ran to its end");
        }
    }
}

/// Makes a directory that only its user can enter.
pub(crate) fn private_directory() -> TempDir {
    let directory = tempfile::tempdir().expect("there is a place for temporary files");
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o700)).expect("it is ours");
    directory
}

/// Makes such a directory at that path.
pub(crate) fn make_private(path: &std::path::Path) {
    std::fs::create_dir(path).expect("there is room");
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o700)).expect("it is ours");
}

/// Returns places that all lie in that directory.
pub(crate) fn places_in(directory: &TempDir) -> Places {
    let at = |name: &str| -> PathBuf { directory.path().join(name) };
    Places {
        config: at("config.toml"),
        data: at("data"),
        hook_spool: at("spool"),
        client_spool: at("spool"),
        socket: at("karod.sock"),
        other_sockets: Vec::new(),
    }
}

impl FakeSession {
    /// Reads the next request.
    pub(crate) fn request(&mut self) -> (RequestId, Request) {
        let mut head = [0; Header::SIZE];
        self.0.read_exact(&mut head).expect("a request comes");
        let header = Header::parse(&head, FRAME_BYTES_MAX).expect("it is a frame");
        let mut payload = vec![0; header.length as usize];
        self.0.read_exact(&mut payload).expect("the frame is whole");
        Request::decode(header.kind, &payload).expect("it is a request")
    }

    /// Answers.
    pub(crate) fn reply(&mut self, id: RequestId, reply: &Reply) {
        self.bytes(&reply.encode(id).expect("the reply fits a frame"));
    }

    /// Sends whatever it is; a client that has gone away is no fault.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        drop(self.0.write_all(bytes));
    }

    /// Waits until the client has closed its side.
    pub(crate) fn until_closed(&mut self) {
        while self.0.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
    }
}
