//! What sessions ask about identity, peers and audit.
//!
//! Each question is one message to the actor that knows; what goes over several steps (a table that is waited for, a
//! pairing, pages of the audit) is led here.

use std::time::Duration;

use actix::{Addr, MailboxError, Recipient};
use karo_protocol::audit::{AUDIT_PAGE_MAX, AuditFilter};
use karo_protocol::local::{End, Failure, FailureCode, Reply as Answer};
use karo_protocol::mesh::{IdentityBackup, IdentityRestore, PeerAdd, PeerChange, PeersAsk};
use tokio::sync::watch;
use tokio::time::timeout;

use super::audit::{AuditActor, Export, List, NewestHead, Verify};
use super::discovery::Seen;
use super::link::{self, Ping};
use super::pairing::Begin;
use super::peers::{Add, Alter, Backup, Find, Found, Restore, Rotate, Show, Table, Who};
use super::store::SignHead;
use karo_trust::roster::Origin;

/// How long a client may wait for a change of the table before it is told that there is none.
const TABLE_PATIENCE: Duration = Duration::from_secs(10);

/// How long a ping may take: a link whose peer is silent for longer is probed anyway.
const PING_PATIENCE: Duration = Duration::from_secs(10);

/// Who is asked.
#[derive(Clone)]
pub struct MeshDesk {
    /// The table of peers.
    pub table: Recipient<Table>,
    /// Trusts a node.
    pub add: Recipient<Add>,
    /// Changes what is known of a peer.
    pub alter: Recipient<Alter>,
    /// All that is known of one.
    pub show: Recipient<Show>,
    /// Which one is called so.
    pub find: Recipient<Find>,
    /// Who this machine is.
    pub who: Recipient<Who>,
    /// Its identity, encrypted.
    pub backup: Recipient<Backup>,
    /// Takes over a backed-up one.
    pub restore: Recipient<Restore>,
    /// Takes over the next key.
    pub rotate: Recipient<Rotate>,
    /// What discovery has seen.
    pub seen: Recipient<Seen>,
    /// Pairs with another machine.
    pub pair: Recipient<Begin>,
    /// Reads the audit.
    pub audit: Addr<AuditActor>,
    /// Signs what is not signed yet.
    pub sign: Recipient<SignHead>,
    /// Tells of each change of the table.
    pub changes: watch::Receiver<u64>,
}

impl MeshDesk {
    /// Says who this machine is.
    pub async fn identity(&self) -> Answer {
        fallible(self.who.send(Who).await, Answer::Identity)
    }

    /// Takes over the next key.
    pub async fn rotate(&self) -> Answer {
        fallible(self.rotate.send(Rotate).await, Answer::Identity)
    }

    /// Encrypts the identity.
    pub async fn backup(&self, IdentityBackup { passphrase }: IdentityBackup) -> Answer {
        fallible(self.backup.send(Backup(passphrase)).await, Answer::IdentityBackup)
    }

    /// Takes over a backed-up identity.
    pub async fn restore(&self, restore: IdentityRestore) -> Answer {
        fallible(self.restore.send(Restore(restore)).await, Answer::Identity)
    }

    /// Trusts a node.
    pub async fn add(&self, add: PeerAdd) -> Answer {
        fallible(self.add.send(Add { add, origin: Origin::Command, next_key: None }).await, Answer::Peer)
    }

    /// Changes what is known of a peer.
    pub async fn alter(&self, change: PeerChange) -> Answer {
        fallible(self.alter.send(Alter(change)).await, Answer::Peer)
    }

    /// Says all that is known of a peer.
    pub async fn show(&self, peer: String) -> Answer {
        fallible(self.show.send(Show(peer)).await, Answer::PeerShown)
    }

    /// Says what discovery has seen.
    pub async fn candidates(&self) -> Answer {
        self.seen.send(Seen).await.map_or_else(|_| stopping(), Answer::Candidates)
    }

    /// Returns entries of the audit, page by page, and the end.
    pub async fn audit(&self, filter: AuditFilter) -> Vec<Answer> {
        match self.audit.send(List(filter)).await {
            Ok(Ok(rows)) => {
                let end = End { count: rows.len() as u64, partial_since: None, unreadable: 0 };
                let pages = rows.chunks(AUDIT_PAGE_MAX).map(|page| Answer::AuditRows(page.to_vec()));
                pages.chain([Answer::End(end)]).collect()
            }
            Ok(Err(failure)) => vec![Answer::Failure(failure)],
            Err(_) => vec![stopping()],
        }
    }

    /// Checks the audit.
    pub async fn audit_verify(&self) -> Answer {
        self.audit.send(Verify).await.map_or_else(|_| stopping(), Answer::AuditVerified)
    }

    /// Returns the newest signed head.
    pub async fn audit_head(&self) -> Answer {
        self.audit.send(NewestHead).await.map_or_else(|_| stopping(), Answer::AuditHead)
    }

    /// Returns entries with their proofs.
    pub async fn audit_export(&self, filter: AuditFilter) -> Answer {
        if self.sign.send(SignHead).await.is_err() {
            return stopping();
        }
        fallible(self.audit.send(Export(filter)).await, Answer::AuditExport)
    }

    /// Returns the table once it is another than the one that the client has, or after some seconds.
    pub async fn table(&self, PeersAsk { unless }: PeersAsk) -> Answer {
        let mut changes = self.changes.clone();
        if let Some(known) = unless {
            // The patience running out is an answer as well: nothing has changed.
            drop(timeout(TABLE_PATIENCE, changes.wait_for(|change| *change != known)).await);
        }
        match self.table.send(Table).await {
            Ok(table) => Answer::Peers(table),
            Err(_) => stopping(),
        }
    }

    async fn found(&self, peer: String) -> Result<Found, Failure> {
        self.find.send(Find(peer)).await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Pings a peer.
    pub async fn ping(&self, peer: String) -> Answer {
        self.pinged(peer).await.unwrap_or_else(Answer::Failure)
    }

    async fn pinged(&self, peer: String) -> Result<Answer, Failure> {
        let found = self.found(peer).await?;
        match timeout(PING_PATIENCE, found.link.send(Ping { name: found.name.clone() })).await {
            Ok(Ok(pinged)) => pinged.map(Answer::Pinged),
            Ok(Err(_)) => Err(stopped()),
            Err(_) => Err(Failure {
                code: FailureCode::Busy,
                message: format!(
                    "{} did not answer within 10 s; `karoctl peers show {0}` says how the link is",
                    found.name
                ),
            }),
        }
    }

    /// Tries a connection to a peer, step by step.
    pub async fn test(&self, peer: String) -> Answer {
        self.tested(peer).await.unwrap_or_else(Answer::Failure)
    }

    async fn tested(&self, peer: String) -> Result<Answer, Failure> {
        let found = self.found(peer).await?;
        match found.link.send(link::Test { name: found.name }).await {
            Ok(steps) => Ok(Answer::PeerTested(steps)),
            Err(_) => Err(stopped()),
        }
    }
}

pub(super) fn fallible<T>(
    answered: Result<Result<T, Failure>, MailboxError>,
    answer: impl FnOnce(T) -> Answer,
) -> Answer {
    match answered {
        Ok(Ok(value)) => answer(value),
        Ok(Err(failure)) => Answer::Failure(failure),
        Err(_) => stopping(),
    }
}

pub(super) fn stopped() -> Failure {
    Failure { code: FailureCode::Stopping, message: "the daemon is stopping".to_owned() }
}

pub(super) fn stopping() -> Answer {
    Answer::Failure(stopped())
}
