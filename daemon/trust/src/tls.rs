//! The handshake: TLS 1.3 alone, both sides by their keys, and nobody past it whom the roster does not admit.
//!
//! | rule | where it is held |
//! | --- | --- |
//! | TLS 1.3, X25519, Ed25519 | [`provider`] and [`Checked`], and what is compiled in |
//! | both sides show a certificate of a node | [`peer_of`], asked by the verifiers |
//! | the peer holds that key | [`Checked::check_signature`] |
//! | the roster admits it | [`Gate`], asked within the handshake and after the signature, so that a stranger who merely names a key learns nothing of it |
//! | the protocol is the one that was meant | [`Presented::resolve`] for a listener, [`settled`] for both |
//! | no session is taken up again, no data come early | [`server`], [`client`]: a resumed session would skip the verifiers, and a revoked key would get back in |
//!
//! No clock is asked: a certificate's dates mean nothing, and there are no tickets that could run out.

use std::fmt;
use std::sync::Arc;

use karo_protocol::NodeId;
use karo_protocol::peer::{ALPN, ALPN_PAIR};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError, ClientConfig, CommonState, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    ProtocolVersion, ServerConfig, SignatureScheme,
};

pub use crate::certificate::{BadCertificate, peer_of};
use crate::identity::{Identity, Key};
use crate::roster::Refusal;
use crate::verify;
use karo_protocol::node::Signature;

/// The name by which a pairing listener is asked for: its key is not known yet.
pub const PAIR_NAME: &str = "pair.karo";

/// Label of the secret that binds frames and pairings to one connection (RFC 5705).
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-karo-1";

/// Who gets in. Asked within each handshake, on the task of the connection: it answers at once.
pub trait Gate: Send + Sync + fmt::Debug {
    /// Tells whether the node, which has just proven its key, gets a link at all.
    ///
    /// # Errors
    ///
    /// [`Refusal`] says which rule refused it.
    fn admits(&self, node: NodeId) -> Result<(), Refusal>;
}

/// Why a handshake was ended by us; see [`refused`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Its certificate is none of a node; whose it is was not proven.
    #[error(transparent)]
    Certificate(#[from] BadCertificate),
    /// Another node answered than the one that was dialled; whose it is was not proven.
    #[error("{found} answered instead of {expected}")]
    Another {
        /// Who was dialled.
        expected: NodeId,
        /// Whose certificate was shown.
        found: NodeId,
    },
    /// It does not hold the key that its certificate shows.
    #[error("the other side does not hold the key that it shows")]
    Signature,
    /// The node has proven its key, and is not admitted.
    #[error("{refusal}")]
    Gate {
        /// Who.
        node: NodeId,
        /// By which rule.
        refusal: Refusal,
    },
    /// Another protocol was agreed upon, or none.
    #[error("the other side speaks another protocol")]
    Protocol,
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refused))))
    }
}

/// Returns why we ended a handshake, where it was we who did.
pub fn refused(error: &Error) -> Option<&Refused> {
    let Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) = error else { return None };
    inner.downcast_ref()
}

/// Makes what a listener for links works with. It answers to the current key and to the previous one if it is
/// still kept, as it is asked; made anew when either changes.
pub fn server_config(identity: &Arc<Identity>, gate: Arc<dyn Gate>) -> Arc<ServerConfig> {
    let offered = identity.keys().map(|key| (key.node_id().server_name(), key.certified())).collect();
    server(Presented { offered, alpn: ALPN }, Checked { expected: Expected::Gate(gate) })
}

/// Makes what a dialler works with, for one peer: `key` is ours, as that peer knows us (an [`Identity`] stands for
/// its current key).
pub fn client_config(key: &impl AsRef<Key>, expected: NodeId) -> Arc<ClientConfig> {
    client(key.as_ref(), ALPN, Checked { expected: Expected::Node(expected) })
}

/// Makes what a pairing listener works with: any node passes, and what is said then decides.
pub fn pair_server_config(identity: &Identity) -> Arc<ServerConfig> {
    let offered = vec![(PAIR_NAME.to_owned(), identity.current().certified())];
    server(Presented { offered, alpn: ALPN_PAIR }, Checked { expected: Expected::Anybody })
}

/// Makes what the dialler of a pairing works with.
pub fn pair_client_config(identity: &Identity) -> Arc<ClientConfig> {
    client(identity.current(), ALPN_PAIR, Checked { expected: Expected::Anybody })
}

/// Returns the name to dial a node by.
pub fn server_name(node: NodeId) -> ServerName<'static> {
    ServerName::try_from(node.server_name()).expect("base32 and a suffix are a name of DNS")
}

/// Returns the name to dial a pairing listener by.
pub fn pair_server_name() -> ServerName<'static> {
    ServerName::try_from(PAIR_NAME).expect("it is a name of DNS")
}

/// Returns who is at the other side of a handshake that is done. To be asked on both sides, before anything is read.
///
/// A rustls client goes on without a protocol where the listener names none, so the protocol is looked at here.
///
/// # Errors
///
/// [`Refused`]; the connection is closed then.
pub fn settled(connection: &CommonState, alpn: &[u8]) -> Result<NodeId, Refused> {
    let is_ours = connection.alpn_protocol() == Some(alpn)
        && connection.protocol_version() == Some(ProtocolVersion::TLSv1_3)
        && !connection.is_handshaking();
    if !is_ours {
        return Err(Refused::Protocol);
    }
    Ok(peer_of(connection.peer_certificates().unwrap_or_default())?)
}

fn server(presented: Presented, checked: Checked) -> Arc<ServerConfig> {
    let alpn = presented.alpn.to_vec();
    let mut config = ServerConfig::builder_with_details(provider(), Arc::new(Timeless))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("X25519 and three suites make TLS 1.3")
        .with_client_cert_verifier(Arc::new(checked))
        .with_cert_resolver(Arc::new(presented));
    config.alpn_protocols = vec![alpn];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Arc::new(config)
}

fn client(key: &Key, alpn: &[u8], checked: Checked) -> Arc<ClientConfig> {
    let mut config = ClientConfig::builder_with_details(provider(), Arc::new(Timeless))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("X25519 and three suites make TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(checked))
        .with_client_cert_resolver(Arc::new(Own(key.certified())));
    config.alpn_protocols = vec![alpn.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Arc::new(config)
}

/// What ring has, but for other curves: one way to agree on a secret.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.kx_groups = vec![rustls::crypto::ring::kx_group::X25519];
    Arc::new(provider)
}

/// A clock that stands still: nothing here depends on one.
#[derive(Debug)]
struct Timeless;

impl TimeProvider for Timeless {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::ZERO))
    }
}

/// What a dialler shows.
#[derive(Debug)]
struct Own(Arc<CertifiedKey>);

impl ResolvesClientCert for Own {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// What a listener shows to whoever asks for it by name, in the one protocol.
#[derive(Debug)]
struct Presented {
    offered: Vec<(String, Arc<CertifiedKey>)>,
    alpn: &'static [u8],
}

impl ResolvesServerCert for Presented {
    /// A client that names no protocol would pass rustls, which compares only what both have named.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if !hello.alpn()?.eq([self.alpn]) {
            return None;
        }
        let asked = hello.server_name()?;
        let (_, key) = self.offered.iter().find(|(name, _)| name == asked)?;
        Some(Arc::clone(key))
    }
}

/// Whom a side wants at the other end.
#[derive(Debug)]
enum Expected {
    /// The node that was dialled.
    Node(NodeId),
    /// Whoever is admitted.
    Gate(Arc<dyn Gate>),
    /// Whoever holds the key that it shows.
    Anybody,
}

/// Checks the other side: its certificate when it comes, its signature and the gate when that has come too.
#[derive(Debug)]
struct Checked {
    expected: Expected,
}

impl Checked {
    fn check_certificate(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<NodeId, Refused> {
        if !intermediates.is_empty() {
            return Err(BadCertificate::Several(1 + intermediates.len()).into());
        }
        let found = peer_of(std::slice::from_ref(certificate))?;
        match &self.expected {
            Expected::Node(expected) if *expected != found => {
                Err(Refused::Another { expected: *expected, found })
            }
            Expected::Node(_) | Expected::Gate(_) | Expected::Anybody => Ok(found),
        }
    }

    fn check_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let node = self.check_certificate(certificate, &[])?;
        let signature = signed.signature().try_into().map(Signature).map_err(|_| Refused::Signature)?;
        if signed.scheme != SignatureScheme::ED25519 || !verify(&node, message, &signature) {
            return Err(Refused::Signature.into());
        }
        if let Expected::Gate(gate) = &self.expected {
            gate.admits(node).map_err(|refusal| Refused::Gate { node, refusal })?;
        }
        Ok(HandshakeSignatureValid::assertion())
    }
}

impl ServerCertVerifier for Checked {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check_certificate(certificate, intermediates)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Refused::Protocol.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

impl ClientCertVerifier for Checked {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check_certificate(certificate, intermediates)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Refused::Protocol.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

#[cfg(test)]
mod tests;
