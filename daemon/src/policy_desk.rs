//! The policy that is in force at this moment: looked at by everybody who is about to tell a peer anything, changed by
//! one actor.

use std::sync::Arc;

use karo_protocol::policy::Policy;
use tokio::sync::watch;

/// Looks at the policy; cheap to clone. Only [`PolicyKeeper`] changes it.
#[derive(Debug, Clone)]
pub struct PolicyDesk(watch::Receiver<Arc<Policy>>);

/// Changes the policy, after the change is on disk.
#[derive(Debug)]
pub struct PolicyKeeper(watch::Sender<Arc<Policy>>);

/// Puts a policy where everybody can look at it.
pub fn policy_desk(policy: Policy) -> (PolicyKeeper, PolicyDesk) {
    let (sender, receiver) = watch::channel(Arc::new(policy));
    (PolicyKeeper(sender), PolicyDesk(receiver))
}

impl PolicyDesk {
    /// Returns what is in force now: to be asked again at each deed, for it may be stricter by then.
    pub fn now(&self) -> Arc<Policy> {
        Arc::clone(&self.0.borrow())
    }

    /// Waits until there is another; `false` when there will be none.
    pub async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

impl PolicyKeeper {
    /// Puts another in force.
    pub fn set(&self, policy: Policy) {
        self.0.send_replace(Arc::new(policy));
    }
}
