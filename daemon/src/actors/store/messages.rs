//! What the store is asked and told.

use std::sync::Arc;

use actix::Message;
use karo_core::rollup::Rollup;
use karo_core::search::{Key, Position};
use karo_core::understand::Understander;
use karo_protocol::audit::AuditEntry;
use karo_protocol::config::StoreSettings;
use karo_protocol::local::{Compacted, Failure, StoreStatus};
use karo_protocol::{Event, Timestamp};
use karo_store::{Entry, Reclassification};
use karo_trust::identity::Identity;

use crate::actors::Reply;
use crate::actors::worker::Place;

/// Events to keep. Sent by ingest, in order.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Append {
    /// The events.
    pub entries: Vec<Event>,
    /// Where each verdict comes from.
    pub places: Vec<Place>,
    /// Told exactly once, after the sync.
    pub reply: Reply,
}

/// Small values to keep, and what they are in the audit: all of it in one batch, or none.
///
/// Sent by everybody who changes something of the mesh, and with deeds alone by whoever did something.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Failure>")]
pub struct Keep {
    /// The values.
    pub entries: Vec<Entry>,
    /// The deeds.
    pub deeds: Vec<AuditEntry>,
}

/// Another identity is in force, and its audit begins anew. Sent by [`peers`](crate::actors::peers).
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Failure>")]
pub struct NewLog {
    /// The identity.
    pub identity: Arc<Identity>,
    /// Values to keep in the same batch.
    pub entries: Vec<Entry>,
    /// Deeds behind the one that opens the log.
    pub deeds: Vec<AuditEntry>,
}

/// Sign a head over the entries that have none yet. Sent by sessions, before an export: what is not signed is not
/// proven.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct SignHead;

/// Heads of the audit are signed by this identity. Sent by [`peers`](crate::actors::peers).
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Signs(pub Arc<Identity>);

/// These events' shells are gone. Sent by [`shells`](crate::actors::shells).
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Lose(pub Vec<Key>);

/// Forget these events for good. Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Result<u64, Failure>")]
pub struct Delete(pub Vec<(Key, Position)>);

/// Make the log smaller. Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Result<Compacted, Failure>")]
pub struct Compact;

/// Go on with understanding everything again, for some hundred events. Sent by sessions, until it is done.
///
/// Answered with what was sent, further on; `None` when the store has stopped.
#[derive(Debug, Message)]
#[rtype(result = "Option<Box<Revising>>")]
pub struct Revise(pub Box<Revising>);

/// An understanding again on its way: goes to the store and comes back.
#[derive(Debug)]
pub struct Revising {
    /// How far it is.
    pub pass: Reclassification,
    /// What understands.
    pub understander: Understander,
    /// Whether secrets are cut out of the texts.
    pub is_redacting: bool,
    /// Why it cannot go on, if it cannot.
    pub failure: Option<Failure>,
}

/// How is the store? Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "StoreStatus")]
pub struct Report;

/// How much is kept from now on. Sent by the root after a reload.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Retain(pub StoreSettings);

/// Everything in the log can be found. Sent by the root.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Searchable;

/// Are the views what the log says? Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "bool")]
pub struct Compare;

/// What do the events of that time add up to? Sent by [`summary`](crate::actors::summary); `None` as long as the
/// roll-ups are not what the log says.
#[derive(Debug, Message)]
#[rtype(result = "Option<Rollup>")]
pub struct RolledUp {
    /// From this cell on.
    pub since: Timestamp,
    /// Before this one.
    pub until: Timestamp,
}

/// What is the first cell whose sums have changed since this was asked last? Sent by
/// [`summary`](crate::actors::summary); everything counts as changed at the start.
#[derive(Debug, Message)]
#[rtype(result = "Option<Timestamp>")]
pub struct Touched;
