//! Handshakes with real rustls on both sides, in memory: the right ones, and wrong ones that get nowhere.

use std::io::{Read, Write};
use std::sync::{Mutex, PoisonError};

use karo_protocol::Timestamp;
use rustls::{ClientConnection, ConnectionCommon, ServerConnection, SideData};

use super::*;
use crate::testing::Dice;

mod wrong;

/// Admits all but one key at a time, and remembers who was asked for.
#[derive(Debug, Default)]
struct Door {
    refused: Mutex<Option<NodeId>>,
    asked: Mutex<Vec<NodeId>>,
}

impl Door {
    fn refuse(&self, node: NodeId) {
        *self.refused.lock().unwrap() = Some(node);
    }

    fn asked(&self) -> Vec<NodeId> {
        self.asked.lock().unwrap().clone()
    }
}

impl Gate for Door {
    fn admits(&self, node: NodeId) -> Result<(), Refusal> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(node);
        match *self.refused.lock().unwrap() {
            Some(refused) if refused == node => Err(Refusal::Revoked { node }),
            Some(_) | None => Ok(()),
        }
    }
}

/// Two nodes, and a door before the second.
struct Pair {
    dialler: Identity,
    listener: Arc<Identity>,
    door: Arc<Door>,
}

impl Pair {
    fn new() -> Self {
        let mut chance = Dice(1);
        let made = |chance: &mut Dice| Identity::generate(chance, Timestamp::default());
        Self { dialler: made(&mut chance), listener: Arc::new(made(&mut chance)), door: Arc::default() }
    }

    fn server(&self) -> Arc<ServerConfig> {
        server_config(&self.listener, Arc::clone(&self.door) as Arc<dyn Gate>)
    }

    fn client(&self) -> Arc<ClientConfig> {
        client_config(&self.dialler, self.listener.node_id())
    }

    fn name(&self) -> ServerName<'static> {
        server_name(self.listener.node_id())
    }

    fn meet(&self, client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> Meeting {
        Meeting::of(client, self.name(), server)
    }
}

/// What became of a handshake on both sides.
struct Meeting {
    client: ClientConnection,
    server: ServerConnection,
    client_error: Option<Error>,
    server_error: Option<Error>,
}

impl Meeting {
    fn of(client: Arc<ClientConfig>, name: ServerName<'static>, server: Arc<ServerConfig>) -> Self {
        let client = ClientConnection::new(client, name).unwrap();
        let server = ServerConnection::new(server).unwrap();
        let mut meeting = Self { client, server, client_error: None, server_error: None };
        // A handshake takes three flights; what follows it takes a few more.
        for _ in 0..8 {
            meeting.server_error = carry(&mut meeting.client, &mut meeting.server).or(meeting.server_error);
            meeting.client_error = carry(&mut meeting.server, &mut meeting.client).or(meeting.client_error);
        }
        meeting
    }

    /// Who the listener has at the other side.
    fn seen_by_server(&self) -> Option<NodeId> {
        settled(&self.server, ALPN).ok().filter(|_| self.server_error.is_none())
    }

    /// Who the dialler has at the other side.
    fn seen_by_client(&self) -> Option<NodeId> {
        settled(&self.client, ALPN).ok().filter(|_| self.client_error.is_none())
    }

    /// Why the listener ended it.
    fn refused_by_server(&self) -> Option<&Refused> {
        self.server_error.as_ref().and_then(refused)
    }

    /// Why the dialler ended it.
    fn refused_by_client(&self) -> Option<&Refused> {
        self.client_error.as_ref().and_then(refused)
    }
}

/// Carries all that one side has to say to the other; returns what the other found wrong with it.
fn carry<From: SideData, To: SideData>(
    from: &mut ConnectionCommon<From>,
    to: &mut ConnectionCommon<To>,
) -> Option<Error> {
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).unwrap();
    }
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        to.read_tls(&mut rest).unwrap();
        if let Err(error) = to.process_new_packets() {
            return Some(error);
        }
    }
    None
}

#[test]
fn two_nodes_meet_and_know_each_other() {
    let pair = Pair::new();
    let mut meeting = pair.meet(pair.client(), pair.server());
    assert_eq!(meeting.seen_by_server(), Some(pair.dialler.node_id()));
    assert_eq!(meeting.seen_by_client(), Some(pair.listener.node_id()));
    assert_eq!(pair.door.asked(), [pair.dialler.node_id()]);

    meeting.client.writer().write_all(b"hello").unwrap();
    assert!(carry(&mut meeting.client, &mut meeting.server).is_none());
    let mut heard = [0; 5];
    meeting.server.reader().read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello");

    let secret = |bytes: [u8; 32]| bytes;
    let of_client = meeting.client.export_keying_material(secret([0; 32]), EXPORTER_LABEL, None).unwrap();
    let of_server = meeting.server.export_keying_material(secret([0; 32]), EXPORTER_LABEL, None).unwrap();
    assert_eq!(of_client, of_server);
}

#[test]
fn a_pairing_lets_any_node_in_and_no_link() {
    let pair = Pair::new();
    let server = pair_server_config(&pair.listener);
    let meeting = Meeting::of(pair_client_config(&pair.dialler), pair_server_name(), Arc::clone(&server));
    assert_eq!(settled(&meeting.server, ALPN_PAIR), Ok(pair.dialler.node_id()));
    assert_eq!(settled(&meeting.client, ALPN_PAIR), Ok(pair.listener.node_id()));
    assert!(pair.door.asked().is_empty());

    assert_eq!(pair.meet(pair.client(), server).seen_by_server(), None);
    let other_way = Meeting::of(pair_client_config(&pair.dialler), pair_server_name(), pair.server());
    assert_eq!(other_way.seen_by_server(), None);
}

#[test]
fn a_rotated_listener_shows_the_key_that_is_asked_for() {
    let pair = Pair::new();
    let rotated = pair.listener.rotate(&mut Dice(2), Timestamp::default()).identity;
    let (old, new) = (pair.listener.node_id(), rotated.node_id());
    let server = server_config(&Arc::new(rotated.clone()), Arc::clone(&pair.door) as Arc<dyn Gate>);
    for known in [old, new] {
        let client = client_config(&pair.dialler, known);
        let meeting = Meeting::of(client, server_name(known), Arc::clone(&server));
        assert_eq!(meeting.seen_by_client(), Some(known));
    }
    let over = rotated.after_grace(Timestamp::MAX).unwrap();
    let server = server_config(&Arc::new(over), Arc::clone(&pair.door) as Arc<dyn Gate>);
    assert_eq!(pair.meet(pair.client(), server).seen_by_client(), None);
}

#[test]
fn a_rotated_dialler_shows_the_key_that_is_known() {
    let pair = Pair::new();
    let rotated = pair.dialler.rotate(&mut Dice(2), Timestamp::default()).identity;
    for known in [pair.dialler.node_id(), rotated.node_id()] {
        let key = rotated.key_known_as(known, Timestamp::default()).unwrap();
        let meeting = pair.meet(client_config(key, pair.listener.node_id()), pair.server());
        assert_eq!(meeting.seen_by_server(), Some(known));
    }
}
