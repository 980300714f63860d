//! Who is trusted at this moment: one roster, looked at by every handshake and every frame, changed by one actor.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use karo_protocol::{NodeId, Trust};
use karo_trust::roster::{Refusal, Roster};
use karo_trust::tls::Gate;

use crate::clock;

/// Looks into the roster; cheap to clone. Only [`peers`](crate::actors::peers) changes it.
#[derive(Debug, Clone)]
pub struct RosterDesk(Arc<RwLock<Roster>>);

impl RosterDesk {
    /// Puts a roster where everybody can look at it.
    pub fn new(roster: Roster) -> Self {
        Self(Arc::new(RwLock::new(roster)))
    }

    /// Looks at it; nothing may be waited for meanwhile.
    pub fn read(&self) -> RwLockReadGuard<'_, Roster> {
        // A panic in a reader leaves the roster as it was.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes it, after the change is on disk.
    pub fn change<T>(&self, change: impl FnOnce(&mut Roster) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Decides what a node may do at this moment, from this address.
    ///
    /// # Errors
    ///
    /// [`Refusal`] says which rule refuses it.
    pub fn admit(&self, node: NodeId, address: Option<IpAddr>) -> Result<Trust, Refusal> {
        self.read().admit(node, address, clock::now())
    }
}

impl Gate for RosterDesk {
    fn admits(&self, node: NodeId) -> Result<(), Refusal> {
        self.admit(node, None).map(drop)
    }
}
