//! Where peers come in: nowhere with nobody in the roster.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix::{Actor, AsyncContext, Context};
use karo_fabric::net::Listening;
use karo_protocol::address::Address;
use karo_protocol::local::{Failure, FailureCode};
use karo_protocol::peer::PORT;
use karo_trust::identity::Identity;
use karo_trust::tls;

use super::actor::{PeersActor, failure};
use crate::actors::discovery::{Here, Listens};
use crate::actors::listener::{ListenerActor, Offer, Stop};
use crate::logging::say;

/// Ports that are tried behind the usual one, for the daemons of other users of this machine.
const PORTS_TRIED: u16 = 16;

impl PeersActor {
    /// Listens while there is somebody to hear.
    pub(super) fn listen(&mut self, has_peers: bool, ctx: &mut Context<Self>) {
        let Some(address) = self.settings.listen_at(has_peers) else {
            self.stop_listening();
            self.silent_because = Some("there are no peers".to_owned());
            return;
        };
        let Ok(identity) = self.own.clone() else { return };
        if self.listener.is_some() {
            return;
        }
        let bound = bind(address, self.settings.listen.is_none());
        let listener = bound.and_then(|listener| Ok((listener.local_addr()?, listener)));
        match listener {
            Ok((local, listener)) => {
                let actor = ListenerActor::new(listener, self.offered(&identity), ctx.address());
                self.listener = Some(actor.start());
                self.listening = vec![local.to_string()];
                self.silent_because = None;
                let fingerprint = karo_trust::fingerprint(&identity.node_id());
                self.mesh.listens.do_send(Listens(Some(Here { fingerprint, at: local })));
                say!(Class::PeersHeard, address = %local, "listening for peers");
            }
            Err(error) => {
                let reason =
                    format!("could not listen on {address}: {error}; see mesh.listen in the configuration");
                // It is tried again and again, and said once.
                if self.silent_because.as_ref() != Some(&reason) {
                    say!(Class::PeersUnheard, "{reason}");
                }
                self.silent_because = Some(reason);
            }
        }
    }

    /// Listens where it could not before: a machine's address may come later than its daemon.
    pub(super) fn listen_again(&mut self, ctx: &mut Context<Self>) {
        if self.listener.is_none() && !self.is_stopping {
            let has_peers = self.mesh.roster.read().peers().iter().any(|peer| peer.trust.is_linked());
            self.listen(has_peers, ctx);
        }
    }

    /// Returns why nobody can dial this machine, though there are peers who might.
    pub(super) fn deaf_because(&self) -> Option<&str> {
        let has_peers = || self.mesh.roster.read().peers().iter().any(|peer| peer.trust.is_linked());
        self.silent_because.as_deref().filter(|_| self.listener.is_none() && self.own.is_ok() && has_peers())
    }

    fn offered(&self, identity: &Arc<Identity>) -> Listening {
        let config = tls::server_config(identity, Arc::new(self.mesh.roster.clone()));
        Listening::links(identity.node_id(), config)
    }

    /// Meets whoever comes with the keys of another identity; the port stays open.
    pub(super) fn listen_as(&self, identity: &Arc<Identity>) {
        if let Some(listener) = &self.listener {
            // A note of the life cycle: it must not be lost, and there is one for each identity.
            listener.do_send(Offer(self.offered(identity)));
        }
    }

    /// Lets nobody in any more; links that are up stay.
    pub(super) fn stop_listening(&mut self) {
        if let Some(listener) = self.listener.take() {
            // Notes of the life cycle: they must not be lost, and there is one for each listener.
            listener.do_send(Stop);
            self.mesh.listens.do_send(Listens(None));
            say!(Class::PeersUnlistened, "no longer listening for peers");
        }
        self.listening.clear();
    }

    /// Refuses names where they are not looked up, before anything is kept.
    pub(super) fn check_hosts(&self, addresses: &[String]) -> Result<(), Failure> {
        let is_host = |text: &&String| matches!(Address::parse(text, PORT), Ok(Address::Name { .. }));
        match addresses.iter().find(is_host) {
            Some(host) if !self.settings.resolve => Err(failure(
                FailureCode::Refused,
                format!(
                    "{host} is a name, and no name is looked up: give an IP address, or set mesh.resolve = true"
                ),
            )),
            Some(_) | None => Ok(()),
        }
    }
}

/// Binds the address; of the usual port, the next one that is free.
fn bind(address: SocketAddr, may_move: bool) -> std::io::Result<TcpListener> {
    let last = if may_move { PORT.saturating_add(PORTS_TRIED) } else { address.port() };
    let mut port = address.port();
    loop {
        let bound = TcpListener::bind(SocketAddr::new(address.ip(), port));
        match bound {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && port < last => port += 1,
            bound => return bound,
        }
    }
}
