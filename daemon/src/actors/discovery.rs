//! Looks for candidates.

use actix::{Actor, Context, Handler, Message, MessageResult};
use karo_protocol::config::DiscoverySettings;
use karo_protocol::mesh::Candidate;

/// What has been seen? Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Vec<Candidate>")]
pub struct Seen;

/// The actor. See the module.
pub struct DiscoveryActor {
    _settings: DiscoverySettings,
}

impl DiscoveryActor {
    /// Makes it.
    pub fn new(settings: DiscoverySettings) -> Self {
        Self { _settings: settings }
    }
}

impl Actor for DiscoveryActor {
    type Context = Context<Self>;
}

impl Handler<Seen> for DiscoveryActor {
    type Result = MessageResult<Seen>;

    fn handle(&mut self, _: Seen, _: &mut Self::Context) -> Self::Result {
        MessageResult(Vec::new())
    }
}
