//! Where peers come in: accepts, sees the handshake through, and hands over who has proven a trusted key.
//!
//! Before a key is proven the other side is nobody, and everybody may be at it: so many at once in all, so many of
//! one address, and ten seconds for each. Past that the oldest is given up for the newest: a peer is through in
//! milliseconds, and whoever dawdles loses.
//!
//! | message | from | answer |
//! | --- | --- | --- |
//! | [`Stop`] | peers | none; nobody is let in any more |
//! | [`Offer`] | peers | none; whoever comes from here on is met with other keys |

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message, WrapFuture};
use karo_fabric::net::{self, Listening, NotAccepted};
use karo_protocol::audit::Reason;
use karo_trust::tls::Refused;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::peers::{Arriving, Noted, PeersActor};
use crate::logging::say;

/// Handshakes at once: each holds a descriptor and some 40 KiB.
pub const HANDSHAKES_MAX: usize = 64;

/// Of these, how many may be of one address: a peer dials once at a time, and several may share an address.
pub const HANDSHAKES_OF_ONE_MAX: usize = 16;

/// How long a handshake may take.
pub const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);

/// How long accepting rests when the system has no descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Messages that may wait: there is one.
const MAILBOX: usize = 4;

/// Let nobody in any more. Sent by peers.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Stop;

/// The actor. See the module.
pub struct ListenerActor {
    socket: Option<std::net::TcpListener>,
    door: Rc<Door>,
}

/// Meet whoever comes with other keys. Sent by peers, when this machine has another identity: the port stays open.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Offer(pub Listening);

/// What each handshake works with.
struct Door {
    listening: RefCell<Rc<Listening>>,
    peers: Addr<PeersActor>,
    handshakes: RefCell<Handshakes>,
}

impl ListenerActor {
    /// Makes the actor of a bound socket.
    pub fn new(socket: std::net::TcpListener, listening: Listening, peers: Addr<PeersActor>) -> Self {
        let listening = RefCell::new(Rc::new(listening));
        let door = Door { listening, peers, handshakes: RefCell::default() };
        Self { socket: Some(socket), door: Rc::new(door) }
    }
}

impl Actor for ListenerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        let Some(socket) = self.socket.take() else { return };
        let socket = socket.set_nonblocking(true).and_then(|()| TcpListener::from_std(socket));
        match socket {
            Ok(socket) => {
                ctx.spawn(accept(Rc::clone(&self.door), socket).into_actor(self));
            }
            Err(error) => say!(Class::PeersUnheard, %error, "peers cannot be listened for"),
        }
    }
}

impl Handler<Stop> for ListenerActor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl Handler<Offer> for ListenerActor {
    type Result = ();

    fn handle(&mut self, Offer(listening): Offer, _: &mut Self::Context) {
        self.door.listening.replace(Rc::new(listening));
    }
}

async fn accept(door: Rc<Door>, socket: TcpListener) {
    loop {
        match socket.accept().await {
            Ok((tcp, address)) => door.let_in(tcp, address),
            Err(error) => {
                say!(Class::PeersResting, %error, "accepting peers rests");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

impl Door {
    /// Begins a handshake; gives up the oldest one when there are too many.
    fn let_in(self: &Rc<Self>, tcp: TcpStream, address: SocketAddr) {
        let door = Rc::clone(self);
        let listening = Rc::clone(&self.listening.borrow());
        let number = self.handshakes.borrow_mut().next_number();
        let task = tokio::task::spawn_local(async move {
            let accepted = net::accept(&listening, tcp, address, HANDSHAKE_PATIENCE).await;
            door.handshakes.borrow_mut().done(number);
            match accepted {
                Ok(connection) => {
                    if door.peers.send(Arriving(connection)).await.is_err() {
                        tracing::debug!("a peer came while the daemon stops");
                    }
                }
                Err(error) => {
                    tracing::debug!(%address, %error, "a handshake came to nothing");
                    door.turn_away(refused(&error));
                }
            }
        });
        let given_up =
            self.handshakes.borrow_mut().begin(number, address.ip().to_canonical(), task.abort_handle());
        if given_up {
            self.turn_away(Noted::refused(None, Reason::Flood));
        }
    }

    fn turn_away(&self, noted: Noted) {
        if self.peers.try_send(noted).is_err() {
            tracing::debug!("a refusal is not in the audit");
        }
    }
}

/// Says who was refused, if a key was proven, and why.
fn refused(error: &NotAccepted) -> Noted {
    match error {
        NotAccepted::Refused(Refused::Gate { node, refusal }) => {
            Noted::refused(Some(*node), refusal.reason())
        }
        NotAccepted::Refused(
            Refused::Certificate(_) | Refused::Another { .. } | Refused::Signature | Refused::Protocol,
        )
        | NotAccepted::TimedOut(_)
        | NotAccepted::Lost(_) => Noted::refused(None, Reason::Handshake),
    }
}

/// The handshakes that are under way, the oldest first.
#[derive(Debug, Default)]
struct Handshakes {
    last: u64,
    under_way: BTreeMap<u64, (IpAddr, AbortHandle)>,
}

impl Handshakes {
    fn next_number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Takes in a handshake. Tells whether another one was given up for it.
    fn begin(&mut self, number: u64, address: IpAddr, task: AbortHandle) -> bool {
        self.under_way.insert(number, (address, task));
        let is_of_it = |(_, (other, _)): &(&u64, &(IpAddr, AbortHandle))| *other == address;
        let of_one = self.under_way.iter().filter(is_of_it).count();
        let oldest = if of_one > HANDSHAKES_OF_ONE_MAX {
            self.under_way.iter().find(is_of_it)
        } else if self.under_way.len() > HANDSHAKES_MAX {
            self.under_way.iter().next()
        } else {
            return false;
        };
        if let Some(oldest) = oldest.map(|(number, _)| *number)
            && let Some((_, task)) = self.under_way.remove(&oldest)
        {
            task.abort();
        }
        true
    }

    fn done(&mut self, number: u64) {
        self.under_way.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn whoever_dawdles_loses() {
        let mut handshakes = Handshakes::default();
        let address = |last| IpAddr::from(Ipv4Addr::new(127, 0, 0, last));
        let mut begin = |last| {
            let task = tokio::spawn(std::future::pending::<()>());
            let number = handshakes.next_number();
            let given_up = handshakes.begin(number, address(last), task.abort_handle());
            (task, given_up)
        };
        let of_one: Vec<_> = (0..=HANDSHAKES_OF_ONE_MAX).map(|_| begin(1)).collect();
        assert_eq!(of_one.iter().filter(|(_, given_up)| *given_up).count(), 1);
        let (oldest, _) = of_one.into_iter().next().expect("there are some");
        assert!(oldest.await.expect_err("it was given up").is_cancelled());
        let of_all: Vec<_> = (0..HANDSHAKES_MAX).map(|place| begin(2 + (place % 8) as u8)).collect();
        assert_eq!(of_all.iter().filter(|(_, given_up)| *given_up).count(), HANDSHAKES_OF_ONE_MAX);
        assert_eq!(handshakes.under_way.len(), HANDSHAKES_MAX);
        assert!(handshakes.under_way.values().all(|(of, _)| *of != address(1)));
    }
}
