//! TCP connections with their TLS handshake: dialled, several addresses together, and accepted.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use karo_protocol::NodeId;
use karo_protocol::peer::{ALPN, ALPN_PAIR};
use karo_trust::tls::{self, Refused};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::{Remote, loss, plain};
use crate::link::Loss;

/// How long one address may keep the next one waiting (RFC 8305, section 5, has 250 ms): a dead one costs little,
/// and a living one is seldom dialled in vain.
pub const DIAL_STAGGER: Duration = Duration::from_millis(250);

/// How long a refused connection is held for its alert to arrive.
const LINGER: Duration = Duration::from_millis(500);

/// What is read of it meanwhile, in bytes: a dialler sends its first frame behind the handshake.
const LINGER_BYTES_MAX: usize = 16 * 1024;

/// An authenticated connection over which nothing was said yet.
#[derive(Debug)]
pub struct Connection {
    tls: TlsStream<TcpStream>,
    remote: Remote,
}

impl Connection {
    /// Returns who is at the other end.
    pub const fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Returns the address of this machine that the other end reaches it by; `None` where the system does not say.
    pub fn local(&self) -> Option<IpAddr> {
        self.tls.get_ref().0.local_addr().ok().map(|local| local.ip())
    }

    /// Returns the bare connection, for whoever speaks another protocol over it.
    pub fn into_parts(self) -> (TlsStream<TcpStream>, Remote) {
        (self.tls, self.remote)
    }

    /// Asks who is there once the handshake is done, and draws the secret of the connection.
    fn settle(
        tls: TlsStream<TcpStream>,
        own: NodeId,
        alpn: &[u8],
        address: SocketAddr,
    ) -> Result<Self, Refused> {
        let peer = tls::settled(tls.get_ref().1, alpn)?;
        let (is_dialled, exported) = match &tls {
            TlsStream::Client(client) => {
                (true, client.get_ref().1.export_keying_material([0; 32], tls::EXPORTER_LABEL, None))
            }
            TlsStream::Server(server) => {
                (false, server.get_ref().1.export_keying_material([0; 32], tls::EXPORTER_LABEL, None))
            }
        };
        let exporter = exported.map_err(|_| Refused::Protocol)?;
        Ok(Self { tls, remote: Remote { own, peer, is_dialled, address, exporter } })
    }
}

/// Whom to dial, and with which key.
#[derive(Debug, Clone)]
pub struct Dialled {
    name: ServerName<'static>,
    alpn: &'static [u8],
    own: NodeId,
    config: Arc<ClientConfig>,
}

impl Dialled {
    /// A peer whose key is known, by a configuration that shows it our key `own`.
    pub fn peer(peer: NodeId, own: NodeId, config: Arc<ClientConfig>) -> Self {
        Self { name: tls::server_name(peer), alpn: ALPN, own, config }
    }

    /// A listener for pairing, whose key is not known yet.
    pub fn pairing(own: NodeId, config: Arc<ClientConfig>) -> Self {
        Self { name: tls::pair_server_name(), alpn: ALPN_PAIR, own, config }
    }
}

/// Why no address led to the peer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", told(.0))]
pub struct DialFailed(
    /// What became of each address, the most telling first.
    pub Vec<(SocketAddr, Loss)>,
);

/// Says the most telling failure, and of which address it is where there are several.
fn told(failures: &[(SocketAddr, Loss)]) -> String {
    match failures {
        [] => "no address to dial".to_owned(),
        [(_, loss)] => loss.reason(),
        [(address, loss), ..] => format!("{address}: {}", loss.reason()),
    }
}

impl DialFailed {
    /// Returns what the link is told: a peer that was met and refused says more than an address that is away.
    pub fn loss(&self) -> Loss {
        let told = self.to_string();
        match self.0.first().map(|(_, loss)| loss) {
            None | Some(Loss::Unreachable(_)) => Loss::Unreachable(told),
            Some(Loss::Refused(_)) => Loss::Refused(told),
            Some(Loss::Protocol(_)) => Loss::Protocol(told),
            Some(Loss::TimedOut(_)) => Loss::TimedOut(told),
            Some(Loss::Broken(_) | Loss::Closed) => Loss::Broken(told),
        }
    }
}

/// How much a failure tells, the most first.
const fn weight(loss: &Loss) -> u8 {
    match loss {
        Loss::Refused(_) => 0,
        Loss::Protocol(_) => 1,
        Loss::Broken(_) | Loss::Closed => 2,
        Loss::TimedOut(_) => 3,
        Loss::Unreachable(_) => 4,
    }
}

/// Dials addresses together and returns the first connection whose handshake is good; the others are dropped. The
/// next address begins when one before it failed, or after [`DIAL_STAGGER`]. `on_transport` is told of each TCP
/// connection that stands. Dropped, it stops; it has no deadline of its own but each address's `patience`.
///
/// # Errors
///
/// [`DialFailed`] when no address is left.
pub async fn dial(
    dialled: &Dialled,
    addresses: &[SocketAddr],
    patience: Duration,
    on_transport: impl Fn(SocketAddr) + Clone + Send + 'static,
) -> Result<Connection, DialFailed> {
    let mut tries = JoinSet::new();
    let mut failures = Vec::new();
    let mut left = addresses.iter().copied();
    loop {
        if let Some(address) = left.next() {
            let (dialled, on_transport) = (dialled.clone(), on_transport.clone());
            tries.spawn(async move {
                let tried = timeout(patience, dial_one(&dialled, address, on_transport)).await;
                (
                    address,
                    tried.unwrap_or_else(|_| {
                        Err(Loss::TimedOut(format!("no answer within {} s", patience.as_secs())))
                    }),
                )
            });
        }
        let ended = if left.len() == 0 {
            tries.join_next().await
        } else {
            match timeout(DIAL_STAGGER, tries.join_next()).await {
                Ok(ended) => ended,
                Err(_) => continue,
            }
        };
        match ended {
            Some(Ok((_, Ok(connection)))) => return Ok(connection),
            Some(Ok((address, Err(loss)))) => failures.push((address, loss)),
            // A try that panicked is a bug that the runtime has reported; its address has failed.
            Some(Err(_)) => {}
            None => break,
        }
    }
    failures.sort_by_key(|(_, loss)| weight(loss));
    Err(DialFailed(failures))
}

async fn dial_one(
    dialled: &Dialled,
    address: SocketAddr,
    on_transport: impl Fn(SocketAddr),
) -> Result<Connection, Loss> {
    let tcp = TcpStream::connect(address).await.map_err(|error| Loss::Unreachable(plain(&error)))?;
    on_transport(address);
    tcp.set_nodelay(true).map_err(|error| loss(&error))?;
    let connector = TlsConnector::from(Arc::clone(&dialled.config));
    let tls = connector.connect(dialled.name.clone(), tcp).await.map_err(|error| loss(&error))?;
    Connection::settle(TlsStream::Client(tls), dialled.own, dialled.alpn, address)
        .map_err(|refused| Loss::Refused(refused.to_string()))
}

/// What a listener shows, and whom it lets in.
#[derive(Debug, Clone)]
pub struct Listening {
    alpn: &'static [u8],
    own: NodeId,
    config: Arc<ServerConfig>,
}

impl Listening {
    /// For links; `own` is the current key.
    pub const fn links(own: NodeId, config: Arc<ServerConfig>) -> Self {
        Self { alpn: ALPN, own, config }
    }

    /// For pairing.
    pub const fn pairing(own: NodeId, config: Arc<ServerConfig>) -> Self {
        Self { alpn: ALPN_PAIR, own, config }
    }
}

/// Why a connection was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotAccepted {
    /// This side refused it, and knows by which rule.
    #[error(transparent)]
    Refused(Refused),
    /// It did not come to an end in time.
    #[error("no handshake within {0:?}")]
    TimedOut(Duration),
    /// It was no handshake of a peer, or it broke.
    #[error("{}", .0.reason())]
    Lost(Loss),
}

/// Accepts a TCP connection: the handshake, and whatever the configuration asks of the roster within it. Until
/// it is done the other side is nobody; the deadline holds for all of it.
///
/// # Errors
///
/// [`NotAccepted`]; the connection is closed then.
pub async fn accept(
    listening: &Listening,
    tcp: TcpStream,
    address: SocketAddr,
    patience: Duration,
) -> Result<Connection, NotAccepted> {
    let handshake = within(patience, async {
        tcp.set_nodelay(true)?;
        let handshake = TlsAcceptor::from(Arc::clone(&listening.config)).accept(tcp).into_fallible();
        match handshake.await {
            Ok(tls) => Ok(tls),
            Err((error, mut tcp)) => {
                linger(&mut tcp).await;
                Err(error)
            }
        }
    });
    let tls = handshake.await?;
    // A node may be asked for by the key it had before.
    let asked = tls.get_ref().1.server_name().and_then(NodeId::from_server_name);
    let own = asked.unwrap_or(listening.own);
    Connection::settle(TlsStream::Server(tls), own, listening.alpn, address).map_err(NotAccepted::Refused)
}

/// Lets the alert of a handshake that failed arrive: a connection that is closed with something unread in it is
/// reset, and the other side would hear of that reset alone and dial again at once.
async fn linger(tcp: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let drain = async {
        tcp.shutdown().await?;
        let mut left = LINGER_BYTES_MAX;
        let mut bytes = [0; 1024];
        loop {
            match tcp.read(&mut bytes).await? {
                0 => return io::Result::Ok(()),
                read => left = left.saturating_sub(read),
            }
            if left == 0 {
                return Ok(());
            }
        }
    };
    // Whoever sends on or says nothing is cut: it was refused anyway.
    drop(timeout(LINGER, drain).await);
}

async fn within<T>(
    patience: Duration,
    handshake: impl Future<Output = io::Result<T>>,
) -> Result<T, NotAccepted> {
    match timeout(patience, handshake).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(not_accepted(&error)),
        Err(_) => Err(NotAccepted::TimedOut(patience)),
    }
}

fn not_accepted(error: &io::Error) -> NotAccepted {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls.and_then(tls::refused) {
        Some(refused) => NotAccepted::Refused(refused.clone()),
        None => NotAccepted::Lost(loss(error)),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{join, repeat, sink};

    use super::*;

    /// Bytes of somebody who has much to say.
    const MUCH: u64 = 64 * 1024 * 1024;

    #[test]
    fn whoever_is_refused_is_not_listened_to_for_long() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let mut talker = join(repeat(0).take(MUCH), sink());
        runtime.expect("there is room for it").block_on(linger(&mut talker));
        let heard = MUCH - talker.reader().limit();
        assert!(heard <= LINGER_BYTES_MAX as u64, "{heard} bytes were read of somebody who was refused");
    }
}
