//! Watches for what links should hear of before their timers do: other addresses, a cable that is
//! put in again, and the end of a sleep.
//!
//! Nobody addresses it. It looks at what can be asked of the system, since what would tell it differs on each; and only
//! while there are peers, for without them nothing is to be told.
//!
//! | message | from | answer |
//! | --- | --- | --- |
//! | none | | |

use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Recipient, SpawnHandle, WrapFuture};
use tokio::sync::watch;

use super::peers::Woken;
use crate::clock;
use crate::logging::say;
use crate::network::Addresses;
use crate::roster_desk::RosterDesk;

/// How often it looks: a link notices by its own silence after 45 s, and this is a few system calls.
const LOOK: Duration = Duration::from_secs(10);

/// A sleep that is worth a word to links.
const SLEEP_MIN: Duration = Duration::from_secs(2);

/// The actor. See the module.
pub struct Watch {
    peers: Recipient<Woken>,
    roster: RosterDesk,
    /// Counts changes of the table of peers.
    changes: watch::Receiver<u64>,
    looking: Option<SpawnHandle>,
    slept: Duration,
    addresses: Addresses,
}

impl Watch {
    /// Makes the actor that tells `peers`, as long as there are some in the roster.
    pub fn new(peers: Recipient<Woken>, roster: RosterDesk, changes: watch::Receiver<u64>) -> Self {
        Self { peers, roster, changes, looking: None, slept: clock::slept(), addresses: Addresses::own() }
    }

    /// Begins to look with the first peer, and ends with the last one; and again with each change of the table.
    fn follow_peers(&mut self, ctx: &mut Context<Self>) {
        let has_peers = !self.roster.read().peers().is_empty();
        match (has_peers, self.looking.take()) {
            (true, None) => {
                (self.slept, self.addresses) = (clock::slept(), Addresses::own());
                self.looking = Some(ctx.run_interval(LOOK, |watch, _| watch.look()));
            }
            (true, looking) => self.looking = looking,
            (false, Some(looking)) => _ = ctx.cancel_future(looking),
            (false, None) => {}
        }
        let mut changes = self.changes.clone();
        let changed = async move { changes.changed().await.map(|()| changes) };
        ctx.spawn(changed.into_actor(self).map(|changed, watch, ctx| {
            // An error means that the peers are gone, and then the daemon ends.
            if let Ok(changes) = changed {
                watch.changes = changes;
                watch.follow_peers(ctx);
            }
        }));
    }

    fn look(&mut self) {
        let (slept, addresses) = (clock::slept(), Addresses::own());
        let has_slept = slept > self.slept + SLEEP_MIN;
        if has_slept {
            say!(
                Class::MachineSlept,
                seconds = slept.saturating_sub(self.slept).as_secs(),
                "the machine slept"
            );
        }
        if addresses != self.addresses {
            let (carried, all) = (addresses.carried(), addresses.all().count());
            tracing::debug!(carried, all, "the addresses of this machine are others, or carry otherwise");
        }
        let has_moved = addresses.has_come(&self.addresses);
        (self.slept, self.addresses) = (slept, addresses);
        if (has_slept || has_moved) && self.peers.try_send(Woken).is_err() {
            tracing::debug!("links are too busy to hear of a change of the network");
        }
    }
}

impl Actor for Watch {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.follow_peers(ctx);
    }
}
