//! One key pair of a node, and the certificate that shows it in a handshake.

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;

use karo_protocol::NodeId;
use karo_protocol::node::Signature;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustls::SignatureScheme;
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, Signer as TlsSigner, SigningKey};

use crate::{Chance, Signer, certificate};

/// Bytes of the seed that a key pair is made of (RFC 8032, section 5.1.5).
pub(crate) const SEED_BYTES: usize = 32;

/// The secret half of a key; overwritten when it is dropped.
pub(crate) struct Seed(pub(crate) [u8; SEED_BYTES]);

impl Drop for Seed {
    /// As far as that goes without `unsafe`: `black_box` keeps the compiler from leaving the writing out. ring
    /// holds its own expansion of the seed, and clears nothing.
    fn drop(&mut self) {
        self.0.fill(0);
        black_box(&mut self.0);
    }
}

/// A key pair of this node. Cheap to clone; its `Debug` shows the public half alone.
#[derive(Clone)]
pub struct Key(Arc<Pair>);

struct Pair {
    seed: Seed,
    ring: Ed25519KeyPair,
    node: NodeId,
}

impl Key {
    /// Draws a key.
    pub(crate) fn draw(chance: &mut impl Chance) -> Self {
        Self::from_seed(Seed(chance.draw()))
    }

    /// Makes the key of a seed; there is one for each.
    pub(crate) fn from_seed(seed: Seed) -> Self {
        let ring = Ed25519KeyPair::from_seed_unchecked(&seed.0).expect("32 bytes are a seed");
        let public = ring.public_key().as_ref().try_into().expect("an Ed25519 key has 32 bytes");
        Self(Arc::new(Pair { seed, ring, node: NodeId(public) }))
    }

    pub(crate) fn seed(&self) -> &[u8; SEED_BYTES] {
        &self.0.seed.0
    }

    /// Returns the public half.
    pub fn node_id(&self) -> NodeId {
        self.0.node
    }

    /// Signs bytes with Ed25519; the domain stands in front of them already.
    pub fn sign(&self, message: &[u8]) -> Signature {
        let signature = self.0.ring.sign(message);
        Signature(signature.as_ref().try_into().expect("an Ed25519 signature has 64 bytes"))
    }

    /// Returns the certificate and the key as rustls wants them.
    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        let certificate: CertificateDer<'static> = certificate::issue(self);
        Arc::new(CertifiedKey::new(vec![certificate], Arc::new(self.clone())))
    }
}

impl AsRef<Self> for Key {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.0.node)
    }
}

impl Signer for Key {
    fn node_id(&self) -> NodeId {
        self.0.node
    }

    fn sign(&self, message: &[u8]) -> Signature {
        Self::sign(self, message)
    }
}

impl SigningKey for Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn TlsSigner>> {
        offered.contains(&SignatureScheme::ED25519).then(|| Box::new(self.clone()) as Box<dyn TlsSigner>)
    }

    fn algorithm(&self) -> rustls::SignatureAlgorithm {
        rustls::SignatureAlgorithm::ED25519
    }
}

impl TlsSigner for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Ok(Self::sign(self, message).0.to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

impl rcgen::PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        self.0.node.as_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

impl rcgen::SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(Self::sign(self, message).0.to_vec())
    }
}
