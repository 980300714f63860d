//! Looks for nodes that could become peers, and lets others find this one.
//!
//! What it finds are candidates: they are shown to a person and nothing else is done with them. Nobody here has the
//! roster's pen, so nothing that a network says can become trust. Both ways are off by default, and what is off has no
//! thread and no socket, and sends nothing.
//!
//! | message | from | answer |
//! | --- | --- | --- |
//! | [`Seen`] | sessions | the candidates of this moment |
//! | [`Listens`] | peers, whenever it changes | none; what is announced follows |
//! | [`Search`] | root, after a reload | none; what is switched off ends at once |
//!
//! | file | holds |
//! | --- | --- |
//! | `actor` | the actor: what runs, and when |
//! | `sighting` | pure: what one announcement says, checked; and what ours says |
//! | `table` | pure: the candidates, bounded and forgotten in time |
//! | `mdns` | multicast DNS (RFC 6762) through `mdns-sd` |
//! | `zone` | DNS-SD (RFC 6763) in a configured zone through the resolver of `domain` |

mod actor;
mod mdns;
mod sighting;
mod table;
mod zone;

use std::net::SocketAddr;

use actix::Message;
use karo_protocol::config::DiscoverySettings;
use karo_protocol::mesh::Candidate;
use karo_protocol::node::Fingerprint;

pub use actor::DiscoveryActor;

/// What has been seen? Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Vec<Candidate>")]
pub struct Seen;

/// Other settings are in force. Sent by the root after a reload.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Search(pub DiscoverySettings);

/// Where this machine listens for peers, if it does. Sent by [`peers`](super::peers) whenever it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct Listens(pub Option<Here>);

/// This machine, as peers reach it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Here {
    /// The short form of its key.
    pub fingerprint: Fingerprint,
    /// The socket that it listens on.
    pub at: SocketAddr,
}
