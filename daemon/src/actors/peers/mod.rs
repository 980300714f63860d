//! Who the peers are: the roster, one link to each, and what happens to them.
//!
//! The roster is changed here and nowhere else: a change is checked, written down with its entry in the audit, and
//! then in force, before anything else is handled.
//!
//! | message | from | answer |
//! | --- | --- | --- |
//! | [`Table`], [`Show`], [`Find`], [`Report`] | sessions | how peers are |
//! | [`Add`] | sessions, pairing | the row of the new peer, when it is on disk |
//! | [`Alter`] | sessions | the row as it is then, when it is on disk |
//! | [`Who`], [`Own`], [`Backup`], [`Restore`], [`Rotate`] | sessions, pairing | who this machine is |
//! | [`News`] | links | none |
//! | [`Noted`] | listener, links | none; it is in the audit |
//! | [`Settle`] | root, after a reload | none |
//! | [`Woken`] | watch | none; links that rest try earlier |
//! | [`Tell`](super::talks::Tell) | groups, summaries, questions | whether there is a link |
//! | [`NewHead`] | audit | none; it rides on the next heartbeats |
//! | [`Drain`](super::Drain) | root | when every link has said goodbye |
//!
//! | file | holds |
//! | --- | --- |
//! | `actor` | the actor, and what people ask and change |
//! | `events` | what links tell |
//! | `listening` | where peers come in |
//! | `own` | this machine's identity: shown, rotated, backed up, restored |
//! | `rotations` | the keys of peers, when they change |
//! | `witness` | the audits of peers, and proofs of our own for them |
//! | `unwritten` | entries of the audit that wait for room |
//! | `neighbour`, `deeds` | what is known of one link; entries of the audit |

mod actor;
mod deeds;
mod events;
mod listening;
mod messages;
mod neighbour;
mod own;
mod rotations;
mod unwritten;
mod witness;

use actix::Recipient;
use karo_protocol::NodeId;
use karo_protocol::node::Nonce;
use karo_protocol::peer::Signed;
use tokio::sync::watch;

use crate::actors::audit::{Prove, Seen, WitnessHead};
use crate::actors::discovery::Listens;
use crate::actors::store::{Keep, NewLog, Signs};
use crate::actors::talks::Talks;
use crate::roster_desk::RosterDesk;

pub use actor::{PeersActor, moment};
pub use messages::{
    Add, Alter, Arriving, Backup, Find, Found, NewHead, News, Noted, Ours, Own, Report, Reported, Restore,
    Rotate, Settle, Show, Table, Who, Woken,
};
pub use own::{known_as, rotated_from};
pub use rotations::successions;

/// What everything of the mesh works with.
#[derive(Clone)]
pub struct Mesh {
    /// Which run of the daemon this is.
    pub run: Nonce,
    /// Where the key lies.
    pub identity_path: std::path::PathBuf,
    /// The key that the log remembered at the start.
    pub known: Option<NodeId>,
    /// Who is trusted.
    pub roster: RosterDesk,
    /// Writes down, with the audit.
    pub keep: Recipient<Keep>,
    /// Is told which identity heads are signed by.
    pub signs: Recipient<Signs>,
    /// Begins another audit log.
    pub new_log: Recipient<NewLog>,
    /// Proves our audit to peers.
    pub prove: Recipient<Prove>,
    /// Judges the heads of peers' audits.
    pub witness: Recipient<WitnessHead>,
    /// Takes what peers have seen of our audit.
    pub seen: Recipient<Seen>,
    /// Has the newest signed head of our own.
    pub heads: watch::Receiver<Option<Signed>>,
    /// Is told where this machine listens.
    pub listens: Recipient<Listens>,
    /// Are told what peers say about groups, atoms, summaries and questions.
    pub talks: Talks,
}
