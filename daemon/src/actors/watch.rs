//! Watches for what links should hear of before their timers do: other addresses, and the end of a sleep.
//!
//! Nobody addresses it. It looks at what can be asked of the system, since what would tell it differs on each.
//!
//! | message | from | answer |
//! | --- | --- | --- |
//! | none | | |

use std::net::IpAddr;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Recipient};

use super::peers::Woken;
use crate::clock;
use crate::logging::say;
use crate::network::own_addresses;

/// How often it looks: a link notices by its own silence after 45 s, and this is a few system calls.
const LOOK: Duration = Duration::from_secs(10);

/// A sleep that is worth a word to links.
const SLEEP_MIN: Duration = Duration::from_secs(2);

/// The actor. See the module.
pub struct Watch {
    peers: Recipient<Woken>,
    slept: Duration,
    addresses: Vec<IpAddr>,
}

impl Watch {
    /// Makes the actor that tells `peers`.
    pub fn new(peers: Recipient<Woken>) -> Self {
        Self { peers, slept: clock::slept(), addresses: own_addresses() }
    }

    fn look(&mut self) {
        let (slept, addresses) = (clock::slept(), own_addresses());
        let has_slept = slept > self.slept + SLEEP_MIN;
        if has_slept {
            say!(
                Class::MachineSlept,
                seconds = slept.saturating_sub(self.slept).as_secs(),
                "the machine slept"
            );
        }
        let has_moved = addresses != self.addresses;
        (self.slept, self.addresses) = (slept, addresses);
        if (has_slept || has_moved) && self.peers.try_send(Woken).is_err() {
            tracing::debug!("links are too busy to hear of a change of the network");
        }
    }
}

impl Actor for Watch {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(LOOK, |watch, _| watch.look());
    }
}
