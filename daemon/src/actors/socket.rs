//! Listens on the local socket, lets the own user in, and gives each client a session.
//!
//! A session is a task with a permit, not an actor. Whoever is not the daemon's own user is refused
//! by what the kernel says of the connection, whatever the modes of the socket are by then.
//!
//! | message | from | answer |
//! | --- | --- | --- |
//! | [`Limits`] | root, after a reload | none |
//! | [`Rest`] | root, when nobody seems to need the daemon | whether nobody is here, and nothing more is accepted |
//! | [`Drain`] | root, first of all | when nothing more is accepted or read |
//! | [`Farewell`] | root, last of all | when every session has had its answers |

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message, ResponseFuture, WrapFuture};
use interprocess::local_socket::tokio::{Listener, Stream};
use interprocess::local_socket::traits::StreamCommon;
use interprocess::local_socket::traits::tokio::Listener as _;
use interprocess::local_socket::{GenericFilePath, ListenerOptions, ToFsName};
use interprocess::os::unix::local_socket::ListenerOptionsExt;
use karo_protocol::audit::{Deed, Reason};
use karo_protocol::config::SocketSettings;
use tokio::sync::watch;

use super::Drain;
use super::peers::Noted;
use super::session::{Post, Session, turn_away};
use crate::lease::Lease;
use crate::logging::say;

/// Messages that may wait here: the root's.
const MAILBOX: usize = 16;

/// How long accepting rests when descriptors or memory have run out.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// How many sessions there may be from now on. Sent by the root after a reload.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Limits(pub SocketSettings);

/// Accept nothing more, if nobody is here. Sent by the root, when nobody seems to need the daemon.
///
/// Answered with whether that is so; who connects after it waits in the service manager's socket.
#[derive(Debug, Message)]
#[rtype(result = "bool")]
pub struct Rest;

/// The last message: its answer means that no session is left. Sent by the root.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Farewell;

/// Binds the socket, of mode 0600 from its creation; the path must be clear.
///
/// # Errors
///
/// What the system says.
pub fn bind(path: &Path) -> io::Result<Listener> {
    let name = path.to_fs_name::<GenericFilePath>()?;
    ListenerOptions::new().name(name).mode(0o600).create_tokio()
}

/// The actor. See the module.
pub struct Socket {
    listener: Option<Listener>,
    post: Rc<Post>,
    limits: Rc<Cell<SocketSettings>>,
    closing: watch::Sender<bool>,
    _lease: Lease,
}

impl Socket {
    /// Makes the actor of a bound listener; `post` is what its sessions work with.
    pub fn new(listener: Listener, post: Post, limits: SocketSettings, lease: Lease) -> Self {
        Self {
            listener: Some(listener),
            post: Rc::new(post),
            limits: Rc::new(Cell::new(limits)),
            closing: watch::Sender::new(false),
            _lease: lease,
        }
    }
}

impl Actor for Socket {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        if let Some(listener) = self.listener.take() {
            let door = Door {
                post: Rc::clone(&self.post),
                limits: Rc::clone(&self.limits),
                closing: self.closing.subscribe(),
            };
            ctx.spawn(door.accept(listener).into_actor(self));
        }
    }
}

impl Handler<Limits> for Socket {
    type Result = ();

    fn handle(&mut self, Limits(limits): Limits, _: &mut Self::Context) {
        self.limits.set(limits);
    }
}

impl Handler<Rest> for Socket {
    type Result = bool;

    fn handle(&mut self, _: Rest, _: &mut Self::Context) -> bool {
        let is_empty = self.post.counters.sessions.load(Ordering::Relaxed) == 0;
        if is_empty {
            self.closing.send_replace(true);
        }
        is_empty
    }
}

impl Handler<Drain> for Socket {
    type Result = ();

    fn handle(&mut self, _: Drain, _: &mut Self::Context) {
        self.closing.send_replace(true);
    }
}

impl Handler<Farewell> for Socket {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Farewell, _: &mut Self::Context) -> Self::Result {
        self.closing.send_replace(true);
        let closing = self.closing.clone();
        // Each session and the listener hold a receiver; when all are gone, everybody has left.
        Box::pin(async move { closing.closed().await })
    }
}

/// Where clients come in.
struct Door {
    post: Rc<Post>,
    limits: Rc<Cell<SocketSettings>>,
    closing: watch::Receiver<bool>,
}

impl Door {
    async fn accept(mut self, listener: Listener) {
        loop {
            let accepted = tokio::select! {
                // First: who is accepted after the end would be sent away, and waits well where it is.
                biased;
                _ = self.closing.wait_for(|closing| *closing) => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok(stream) => self.let_in(stream),
                Err(error) => {
                    say!(Class::SocketResting, %error, "accepting rests; clients spool meanwhile");
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            }
        }
    }

    fn let_in(&self, stream: Stream) {
        if !is_own(&stream, self.post.uid) {
            self.post.counters.refused_foreign.add(1);
            say!(Class::ClientForeign, "a connection of another user was refused");
            let noted = Noted { deed: Deed::ForeignUser, peer: None, reason: Reason::None };
            if self.post.noted.try_send(noted).is_err() {
                tracing::debug!("a refusal is not in the audit");
            }
            return;
        }
        let limits = self.limits.get();
        let sessions = &self.post.counters.sessions;
        if sessions.load(Ordering::Relaxed) >= limits.sessions_max {
            say!(
                Class::SessionsFull,
                limit = limits.sessions_max,
                "a client was turned away: socket.sessions_max is reached"
            );
            tokio::task::spawn_local(turn_away(stream));
            return;
        }
        let session = Session::new(Rc::clone(&self.post), limits, self.closing.clone());
        tokio::task::spawn_local(session.serve(stream));
    }
}

/// Tells whether the process at the other end runs as the daemon's own user.
fn is_own(stream: &Stream, uid: u32) -> bool {
    match stream.peer_creds() {
        Ok(credentials) => credentials.euid() == Some(uid),
        Err(error) => {
            say!(Class::ClientForeign, %error, "a connection without credentials");
            false
        }
    }
}
