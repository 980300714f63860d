//! This machine's identity: shown, rotated, backed up and restored.
//!
//! Another key is on disk before anything else is done with it, and then in the log with its entry in the audit; in
//! between, a crash leaves a file that is newer than the log, which is understood at the next start.

use std::sync::Arc;

use actix::{ActorFutureExt, AtomicResponse, Context, Handler, ResponseFuture, WrapFuture};
use karo_protocol::audit::{AuditEntry, Deed, Reason};
use karo_protocol::local::{Failure, FailureCode};
use karo_protocol::mesh::{IdentityRestore, IdentityShown};
use karo_protocol::node::Hash;
use karo_protocol::peer::Parting;
use karo_protocol::{Bytes, NodeId};
use karo_store::Entry;
use karo_trust::identity::Identity;
use karo_trust::{System, backup, fingerprint};

use super::actor::{PeersActor, failure};
use super::deeds;
use super::messages::{Backup, Restore, Rotate};
use crate::actors::link;
use crate::actors::store::{Keep, NewLog, Signs};
use crate::logging::say;
use crate::{clock, identity_file, shelves};

/// Returns the record of the key that this machine is known by.
pub fn known_as(node: NodeId) -> Entry {
    Entry::Put { shelf: shelves::OWN, key: shelves::OWN_KEY.to_vec(), value: node.as_bytes().to_vec() }
}

/// Makes the entry of a key that took over from that one.
pub fn rotated_from(old: NodeId) -> AuditEntry {
    let other = Some(Hash(*old.as_bytes()));
    AuditEntry { other, reason: Reason::Command, ..deeds::entry(Deed::KeyRotated) }
}

impl PeersActor {
    pub(super) fn shown(&self, identity: &Identity) -> IdentityShown {
        let node_id = identity.node_id();
        IdentityShown {
            node_id,
            fingerprint: fingerprint(&node_id),
            created_at: identity.created_at(),
            path: self.mesh.identity_path.display().to_string(),
            rotated_at: identity.rotated_at(),
            listening: self.listening.clone(),
            silent_because: self.silent_because.clone(),
        }
    }

    /// Forgets the key before the last rotation when its day is over.
    pub(super) fn end_grace(&mut self, ctx: &mut Context<Self>) {
        let Ok(identity) = &self.own else { return };
        let Some(alone) = identity.after_grace(clock::now()) else { return };
        match identity_file::write(&self.mesh.identity_path, &alone) {
            Ok(()) => self.take_over(&Arc::new(alone), ctx),
            Err(error) => {
                say!(Class::KeyUnforgotten, %error, "the previous key could not be forgotten; tried again soon")
            }
        }
    }

    /// Lets everything go by another identity, which is on disk.
    fn take_over(&mut self, identity: &Arc<Identity>, ctx: &mut Context<Self>) {
        let own = identity.node_id();
        self.mesh.roster.change(|roster| roster.set_own(own));
        self.own = Ok(Arc::clone(identity));
        self.mesh.talks.tell_own(&self.own);
        for neighbour in self.neighbours.values() {
            link::tell(&neighbour.link, link::Identified(Arc::clone(identity)));
        }
        self.listen_as(identity);
        self.follow_roster(ctx);
    }

    /// Ends every link of the identity that was here before: whoever is linked to it is not linked to this one.
    fn part_from_all(&mut self) {
        for neighbour in std::mem::take(&mut self.neighbours).into_values() {
            let close =
                link::Close { parting: Parting::Stopping, message: "another identity was restored there" };
            link::tell(&neighbour.link, close);
        }
    }

    /// Puts everything back to the identity before a rotation that the log could not take.
    fn take_back(&self, before: &Arc<Identity>) {
        self.mesh.signs.do_send(Signs(Arc::clone(before)));
        if let Err(error) = identity_file::write(&self.mesh.identity_path, before) {
            say!(Class::IdentityUnwritten, %error, "the key is rotated in its file, and not in the log; the next start goes on with it");
        }
    }
}

impl Handler<Rotate> for PeersActor {
    type Result = AtomicResponse<Self, Result<Box<IdentityShown>, Failure>>;

    fn handle(&mut self, _: Rotate, _: &mut Self::Context) -> Self::Result {
        let rotated = self.identity().and_then(|identity| {
            let now = clock::now();
            if let Some(until) = identity.grace_ends().filter(|until| now < *until) {
                let hours = until.since(now).0 / 3_600_000_000 + 1;
                let message = format!(
                    "the key was rotated less than a day ago, and peers would hold a second one; wait {hours} hours"
                );
                return Err(failure(FailureCode::Refused, message));
            }
            let rotated = identity.rotate(&mut System::default(), now);
            let written = identity_file::write(&self.mesh.identity_path, &rotated.identity);
            written.map_err(|error| failure(FailureCode::Unwritable, error.to_string()))?;
            Ok((Arc::clone(identity), Arc::new(rotated.identity)))
        });
        match rotated {
            Err(failure) => AtomicResponse::new(Box::pin(async move { Err(failure) }.into_actor(self))),
            Ok((old, identity)) => {
                self.mesh.signs.do_send(Signs(Arc::clone(&identity)));
                let entries = vec![known_as(identity.node_id())];
                let keep = Keep { entries, deeds: vec![rotated_from(old.node_id())] };
                let kept = self.mesh.keep.send(keep).into_actor(self);
                AtomicResponse::new(Box::pin(kept.map(move |kept, actor, ctx| {
                    let kept =
                        kept.unwrap_or_else(|_| Err(failure(FailureCode::Stopping, "the store has stopped")));
                    if let Err(failure) = kept {
                        actor.take_back(&old);
                        return Err(failure);
                    }
                    actor.take_over(&identity, ctx);
                    actor.announce_to_all();
                    Ok(Box::new(actor.shown(&identity)))
                })))
            }
        }
    }
}

impl Handler<Backup> for PeersActor {
    type Result = ResponseFuture<Result<Bytes, Failure>>;

    fn handle(&mut self, Backup(passphrase): Backup, _: &mut Self::Context) -> Self::Result {
        let identity = self.identity().cloned();
        let keep = self.mesh.keep.clone();
        Box::pin(async move {
            let identity = identity?;
            // A key of a passphrase is made slowly, on purpose.
            let sealing = tokio::task::spawn_blocking(move || {
                backup::seal(&identity.to_file(), &passphrase.0, &mut System::default())
            });
            let sealed = sealing.await.map_err(|error| failure(FailureCode::Bug, error.to_string()))?;
            let sealed = sealed.map_err(|error| failure(FailureCode::Refused, error.to_string()))?;
            let deeds = vec![AuditEntry { reason: Reason::Command, ..deeds::entry(Deed::BackupMade) }];
            match keep.send(Keep { entries: Vec::new(), deeds }).await {
                Ok(kept) => kept.map(|()| Bytes(sealed)),
                Err(_) => Err(failure(FailureCode::Stopping, "the store has stopped")),
            }
        })
    }
}

impl Handler<Restore> for PeersActor {
    type Result = AtomicResponse<Self, Result<Box<IdentityShown>, Failure>>;

    fn handle(&mut self, Restore(restore): Restore, _: &mut Self::Context) -> Self::Result {
        let IdentityRestore { backup, passphrase, replace } = restore;
        let opening = tokio::task::spawn_blocking(move || {
            let bytes = backup::open(&backup.0, &passphrase.0);
            let bytes = bytes.map_err(|error| failure(FailureCode::Refused, error.to_string()))?;
            Identity::from_file(&bytes).map_err(|error| {
                failure(FailureCode::Refused, format!("what is in the backup is no key: {error}"))
            })
        });
        let opened = opening.into_actor(self).map(|opened, _, _| match opened {
            Ok(opened) => opened,
            Err(error) => Err(failure(FailureCode::Bug, error.to_string())),
        });
        let restored = opened.then(move |opened, actor: &mut Self, _| {
            let taken = opened.and_then(|identity| actor.take_from_backup(identity, replace));
            let new_log = actor.mesh.new_log.clone();
            async move {
                let identity = taken?;
                let entries = vec![known_as(identity.node_id())];
                let deeds =
                    vec![AuditEntry { reason: Reason::Restored, ..deeds::entry(Deed::IdentityRestored) }];
                match new_log.send(NewLog { identity: Arc::clone(&identity), entries, deeds }).await {
                    Ok(kept) => kept.map(|()| identity),
                    Err(_) => Err(failure(FailureCode::Stopping, "the store has stopped")),
                }
            }
            .into_actor(actor)
        });
        AtomicResponse::new(Box::pin(restored.map(|restored, actor, ctx| {
            let identity = restored?;
            actor.part_from_all();
            actor.take_over(&identity, ctx);
            Ok(Box::new(actor.shown(&identity)))
        })))
    }
}

impl PeersActor {
    /// Writes a restored identity to its place, if it may take that.
    fn take_from_backup(&self, identity: Identity, replace: bool) -> Result<Arc<Identity>, Failure> {
        // A key that is lost is still the one that peers know.
        let known = self.own.as_ref().map(|own| own.node_id()).ok().or(self.mesh.known);
        let has_peers = !self.mesh.roster.read().peers().is_empty();
        if let Some(known) = known.filter(|known| *known != identity.node_id() && has_peers && !replace) {
            let message = format!(
                "this machine is {} to its peers, and the backup holds {}; to replace it: --replace",
                fingerprint(&known),
                fingerprint(&identity.node_id())
            );
            return Err(failure(FailureCode::Refused, message));
        }
        let written = identity_file::write(&self.mesh.identity_path, &identity);
        written.map_err(|error| failure(FailureCode::Unwritable, error.to_string()))?;
        Ok(Arc::new(identity))
    }
}
