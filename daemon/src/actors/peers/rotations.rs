//! The keys of peers, when they change: followed where they were announced, held for a person otherwise.

use actix::{ActorFutureExt, AtomicResponse, Context, ContextFutureSpawner, WrapFuture};
use karo_fabric::link::{ConnectionId, Up};
use karo_protocol::NodeId;
use karo_protocol::audit::{AuditEntry, Deed, Reason};
use karo_protocol::local::{Failure, FailureCode};
use karo_protocol::mesh::PeerRow;
use karo_protocol::node::Hash;
use karo_protocol::peer::{Control, KeyRotationAck, Signed};
use karo_store::Entry;
use karo_trust::identity::GRACE;
use karo_trust::roster::{Peer, RosterChange};
use karo_trust::rotation::{Announced, Held, Succession, Verdict};
use karo_trust::{System, fingerprint};

use super::actor::{PeersActor, failure, kept};
use super::deeds;
use crate::actors::link;
use crate::actors::store::Keep;
use crate::logging::say;
use crate::{clock, shelves};

/// Makes the record of what a peer's rotations are judged by.
pub(super) fn record(succession: &Succession) -> Vec<Entry> {
    let key = succession.key.as_bytes().to_vec();
    let value = rmp_serde::to_vec(succession);
    value.map(|value| Entry::Put { shelf: shelves::PEERS, key, value }).into_iter().collect()
}

/// Reads the records of an earlier run; one that is none is as if it had never been written.
pub fn successions(records: Vec<(Vec<u8>, Vec<u8>)>) -> impl Iterator<Item = Succession> {
    records.into_iter().filter_map(|(_, value)| rmp_serde::from_slice(&value).ok())
}

fn forget(node: NodeId) -> Entry {
    Entry::Remove { shelf: shelves::PEERS, key: node.as_bytes().to_vec() }
}

/// Says to a person what waits for them.
pub(super) fn question(held: &Held) -> String {
    let contested = match held.contested_by {
        Some(other) => format!(
            "; {} claims to be its new key as well, and one of the two is a thief's",
            fingerprint(&other)
        ),
        None => String::new(),
    };
    format!("{}: {} wants to take over{contested}", held.why, fingerprint(&held.key))
}

impl PeersActor {
    pub(super) fn succession(&self, node: NodeId) -> Succession {
        self.successions.get(&node).copied().unwrap_or_else(|| Succession::new(node, None))
    }

    /// Keeps what was learned, behind the back of the link.
    fn remember(&mut self, succession: Succession) {
        let known = self.successions.insert(succession.key, succession);
        if known != Some(succession) {
            let keep = Keep { entries: record(&succession), deeds: Vec::new() };
            if self.mesh.keep.try_send(keep).is_err() {
                say!(Class::RotationForgotten, "the store is too busy to remember the next key of a peer");
            }
        }
    }

    /// Learns which key a peer will have next, the first time.
    pub(super) fn learn_next_key(&mut self, node: NodeId, next: Hash) {
        match self.succession(node).on_announced(next) {
            Announced::First(succession) => self.remember(succession),
            Announced::Known => {}
            Announced::Other => {
                let peer = fingerprint(&node);
                say!(Class::RotationHeld, %peer, "it announces another next key than before; its next rotation will be held");
            }
        }
    }

    /// Tells a peer that knows our previous key of the one that took over.
    pub(super) fn announce_rotation(&self, node: NodeId, up: &Up) {
        let Ok(identity) = &self.own else { return };
        if up.who.own == identity.node_id() {
            return;
        }
        let announcement = identity.announce(&mut System::default(), clock::now());
        if let (Some(signed), Some(neighbour)) = (announcement, self.neighbours.get(&node)) {
            let say =
                link::Say { connection: Some(up.who.connection), control: Control::KeyRotation(signed) };
            link::tell(&neighbour.link, say);
        }
    }

    /// Tells every connected peer of the key that took over.
    pub(super) fn announce_to_all(&self) {
        for (node, neighbour) in &self.neighbours {
            if let Some(up) = &neighbour.up {
                self.announce_rotation(*node, up);
            }
        }
    }

    /// Takes what a peer says of its new key.
    pub(super) fn on_rotation(
        &mut self,
        node: NodeId,
        connection: ConnectionId,
        signed: &Signed,
        ctx: &mut Context<Self>,
    ) {
        let now = clock::now();
        match self.succession(node).on_rotation(signed, now) {
            Err(refused) => {
                say!(Class::RotationRefused, peer = %fingerprint(&node), %refused, "a rotation is refused")
            }
            Ok(Verdict::Known) => self.acknowledge(node, connection, node, true),
            Ok(Verdict::Held(succession)) => self.hold_rotation(node, succession),
            Ok(Verdict::Followed(succession)) => self.follow_key(node, connection, succession, ctx),
        }
    }

    fn acknowledge(&self, node: NodeId, connection: ConnectionId, key: NodeId, is_accepted: bool) {
        if let Some(neighbour) = self.neighbours.get(&node) {
            let control = Control::KeyRotationAck(KeyRotationAck { key, is_accepted });
            link::tell(&neighbour.link, link::Say { connection: Some(connection), control });
        }
    }

    /// Lets a rotation wait for a person.
    fn hold_rotation(&mut self, node: NodeId, succession: Succession) {
        let Some(held) = succession.held else { return };
        let why = question(&held);
        say!(Class::RotationHeld, peer = %fingerprint(&node), "{why}");
        self.remember(succession);
        self.hold(node, &why);
        self.note(Deed::Refused, Some(node), Reason::Unannounced);
    }

    /// Puts an announced key in the place of the old one: on disk first, then in force, then acknowledged.
    fn follow_key(
        &mut self,
        node: NodeId,
        connection: ConnectionId,
        succession: Succession,
        ctx: &mut Context<Self>,
    ) {
        let changes = match self.taking_over(node, &succession) {
            Ok(changes) => changes,
            Err(refused) => {
                say!(Class::RotationRefused, peer = %fingerprint(&node), message = refused.message, "a rotation cannot be followed");
                return;
            }
        };
        let keep =
            Keep { entries: replaced(node, &succession, &changes), deeds: vec![rotated(node, &succession)] };
        let kept = self.mesh.keep.send(keep).into_actor(self);
        let followed = kept.map(move |kept, actor, ctx| {
            if let Ok(Ok(())) = kept {
                actor.acknowledge(node, connection, succession.key, true);
                actor.replace_key(node, succession, changes.to_vec(), ctx);
            }
        });
        followed.wait(ctx);
    }

    fn taking_over(&self, node: NodeId, succession: &Succession) -> Result<[RosterChange; 2], Failure> {
        let now = clock::now();
        let changes = self.mesh.roster.read().rotated(&node, succession.key, now.after(GRACE), now);
        changes.map_err(|error| failure(FailureCode::Refused, error.to_string()))
    }

    fn replace_key(
        &mut self,
        node: NodeId,
        succession: Succession,
        changes: Vec<RosterChange>,
        ctx: &mut Context<Self>,
    ) {
        let (old, new) = (fingerprint(&node), fingerprint(&succession.key));
        say!(Class::PeerKeyChanged, %old, %new, "a peer has another key");
        // The link under the old key goes with a word that lets the peer dial again at once: it is trusted still.
        if let Some(neighbour) = self.neighbours.remove(&node) {
            link::tell(&neighbour.link, link::Close::renewed());
        }
        self.successions.remove(&node);
        self.successions.insert(succession.key, succession);
        self.apply(changes, ctx);
    }

    /// A stranger proved a key: it may be the announced one of a peer that we missed for a day.
    pub(super) fn on_stranger(&mut self, key: NodeId) {
        let now = clock::now();
        let claims = self.neighbours.keys().filter_map(|node| {
            self.succession(*node).on_stranger(&key, now).map(|succession| (*node, succession))
        });
        let claims: Vec<_> = claims.collect();
        claims.into_iter().for_each(|(node, succession)| self.hold_rotation(node, succession));
    }

    /// Takes what a peer says of our rotation.
    pub(super) fn on_rotation_answered(&self, node: NodeId, ack: &KeyRotationAck) {
        let peer = fingerprint(&node);
        match ack.is_accepted {
            true => say!(Class::RotationKnown, %peer, "it knows this machine's new key"),
            false => {
                say!(Class::RotationHeld, %peer, "it holds this machine's new key until a person confirms it there")
            }
        }
    }

    /// Accepts what was held of a peer: a rotation, or another audit log.
    pub(super) fn confirm(&self, peer: &Peer) -> AtomicResponse<Self, Result<Box<PeerRow>, Failure>> {
        let (node, now) = (peer.node_id, clock::now());
        let succession = self.succession(node);
        let Some(held) = succession.held else { return self.confirm_log(peer) };
        let Some(followed) = succession.confirm(&held.key, now) else { return self.confirm_log(peer) };
        match self.taking_over(node, &followed) {
            Err(refused) => AtomicResponse::new(Box::pin(async move { Err(refused) }.into_actor(self))),
            Ok(changes) => {
                let entries = replaced(node, &followed, &changes);
                let deed = AuditEntry { reason: Reason::Command, ..rotated(node, &followed) };
                let name = peer.name.clone();
                self.keep_then(entries, vec![deed], move |actor, ctx| {
                    actor.replace_key(node, followed, changes.to_vec(), ctx);
                    let peer = actor.mesh.roster.read().peer(&followed.key).cloned();
                    let row = peer.and_then(|peer| actor.row(&peer));
                    row.map(Box::new)
                        .ok_or_else(|| failure(FailureCode::Refused, format!("{name} is no peer any more")))
                })
            }
        }
    }
}

/// Makes the records of a key that another one takes the place of.
fn replaced(node: NodeId, succession: &Succession, changes: &[RosterChange]) -> Vec<Entry> {
    let mut entries = kept(changes);
    entries.extend(record(succession));
    entries.push(forget(node));
    entries
}

fn rotated(node: NodeId, succession: &Succession) -> AuditEntry {
    AuditEntry {
        peer: Some(succession.key),
        other: Some(Hash(*node.as_bytes())),
        ..deeds::entry(Deed::PeerRotated)
    }
}
