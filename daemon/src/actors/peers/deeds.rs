//! Entries of the audit, as the mesh makes them.

use karo_protocol::NodeId;
use karo_protocol::audit::{AuditEntry, Deed, Reason};
use karo_protocol::mesh::LinkState;
use karo_protocol::peer::Parting;
use karo_trust::roster::Origin;

pub(super) use crate::auditor::entry;

/// Makes the entry of what a user did to a peer.
pub(super) fn by_command(deed: Deed, node: NodeId) -> AuditEntry {
    AuditEntry { peer: Some(node), reason: Reason::Command, ..entry(deed) }
}

/// Makes the entry of a peer that was added.
pub(super) fn added(origin: Origin, node: NodeId) -> AuditEntry {
    let reason = match origin {
        Origin::Configuration => Reason::Configuration,
        // A group is accepted by a command.
        Origin::Command | Origin::Group => Reason::Command,
        Origin::Pairing => Reason::Pairing,
    };
    AuditEntry { peer: Some(node), reason, ..entry(Deed::PeerAdded) }
}

/// Returns the audit's word for why a link is down, by the state it has then.
pub(super) const fn down(state: LinkState) -> Reason {
    match state {
        LinkState::TimedOut => Reason::Silent,
        LinkState::Rejected => Reason::Untrusted,
        LinkState::Failed => Reason::Protocol,
        LinkState::Held => Reason::Unannounced,
        LinkState::Disconnected
        | LinkState::Connecting
        | LinkState::Authenticating
        | LinkState::Connected
        | LinkState::Disconnecting => Reason::Closed,
    }
}

/// Returns the audit's word for a last word of ours.
pub(super) const fn parted(parting: Parting) -> Reason {
    match parting {
        Parting::Stopping => Reason::Stopping,
        Parting::Superseded => Reason::Superseded,
        Parting::Version => Reason::Version,
        Parting::Clock => Reason::Clock,
        Parting::Untrusted => Reason::Untrusted,
        Parting::Protocol => Reason::Protocol,
        Parting::Twins => Reason::Twins,
        Parting::Held => Reason::Unannounced,
        Parting::Failed => Reason::None,
    }
}
