//! How a peer is reached: its addresses, and which of our keys it knows.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use karo_fabric::link::{DIAL_PATIENCE, Loss};
use karo_fabric::net::{self, Connection, Dialled};
use karo_protocol::NodeId;
use karo_protocol::address::Address;
use karo_protocol::mesh::ADDRESSES_MAX;
use karo_trust::identity::Identity;
use karo_trust::tls;

use crate::clock;

/// How long one address may take: the machine gives up on all of them after [`DIAL_PATIENCE`].
const ADDRESS_PATIENCE: Duration = DIAL_PATIENCE;

/// Where a peer is, and as whom we come.
#[derive(Debug, Clone)]
pub(super) struct Route {
    /// The peer.
    pub node: NodeId,
    /// Where.
    pub addresses: Vec<Address>,
    /// Whether names are looked up.
    pub resolve: bool,
    /// This machine.
    pub identity: Arc<Identity>,
    /// Which of our keys the peer knows, as far as we know.
    pub known_as: NodeId,
}

impl Route {
    /// Tells whether there is any address.
    pub(super) const fn is_open(&self) -> bool {
        !self.addresses.is_empty()
    }

    /// Takes the other of our keys, where there is one: the peer refused this one.
    pub(super) fn turn(&mut self) {
        let now = clock::now();
        let own = self.identity.node_id();
        let previous = self.identity.previous(now).map(|key| key.node_id());
        self.known_as = if self.known_as == own { previous.unwrap_or(own) } else { own };
    }

    /// Returns what a dial shows and wants to see.
    pub(super) fn dialled(&self) -> Dialled {
        let key = self
            .identity
            .key_known_as(self.known_as, clock::now())
            .unwrap_or_else(|| self.identity.current());
        Dialled::peer(self.node, key.node_id(), tls::client_config(key, self.node))
    }

    /// Returns every address, names looked up where that is allowed.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub(super) async fn resolved(&self) -> Result<Vec<SocketAddr>, Loss> {
        let mut found = Vec::new();
        let mut trouble = None;
        for address in &self.addresses {
            match address {
                Address::Ip(address) => found.push(*address),
                Address::Name { host, port } if self.resolve => {
                    match tokio::net::lookup_host((host.as_str(), *port)).await {
                        Ok(addresses) => found.extend(addresses),
                        Err(error) => trouble = Some(format!("could not look up {host}: {error}")),
                    }
                }
                Address::Name { host, .. } => {
                    trouble = Some(format!("{host} is a name, and mesh.resolve is false"));
                }
            }
        }
        found.truncate(ADDRESSES_MAX * 2);
        match trouble {
            Some(trouble) if found.is_empty() => Err(Loss::Unreachable(trouble)),
            Some(_) | None => Ok(found),
        }
    }

    /// Dials every address.
    ///
    /// # Errors
    ///
    /// Why none leads to the peer.
    pub(super) async fn dial(
        self,
        on_transport: impl Fn(SocketAddr) + Clone + Send + 'static,
    ) -> Result<Connection, Loss> {
        let addresses = self.resolved().await?;
        net::dial(&self.dialled(), &addresses, ADDRESS_PATIENCE, on_transport)
            .await
            .map_err(|failed| failed.loss())
    }
}
