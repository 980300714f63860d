//! The certificate that shows a node's key in a handshake, and what is read of another's.
//!
//! TLS wants a certificate, and Karo wants a key: so a certificate says the key twice, as its subject's public key
//! and as its one name, and nothing else of it is believed. Its dates are ignored, its issuer is nobody, its own
//! signature is not looked at: the handshake proves that the other side holds the key, and the roster decides
//! whether that key gets in.

use karo_protocol::NodeId;
use rcgen::string::Ia5String;
use rcgen::{CertificateParams, DistinguishedName, DnType, SanType};
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use crate::identity::Key;
use crate::is_weak;

/// Bytes of a certificate that is read at all; ours have about 330.
pub const CERTIFICATE_BYTES_MAX: usize = 1024;

/// What stands in front of the 32 bytes of an Ed25519 key in a certificate (RFC 8410, section 4): a sequence of the
/// algorithm 1.3.101.112 without parameters, and a string of 256 bits.
const ED25519_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The extension that holds the names of a certificate (RFC 5280, section 4.2.1.6), as an object identifier.
const NAMES: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x11];

/// What follows it where the only name is one of DNS with 57 letters: a string of bytes, a sequence, the name.
const ONE_NAME: [u8; 6] = [0x04, 0x3d, 0x30, 0x3b, 0x82, 0x39];

/// Why the certificate of the other side is none of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCertificate {
    /// None came.
    #[error("no certificate was presented")]
    None,
    /// A node's certificate comes alone.
    #[error("{0} certificates were presented where one is expected")]
    Several(usize),
    /// Longer than any that a node makes.
    #[error("a certificate of {0} bytes; at most {CERTIFICATE_BYTES_MAX} are read")]
    TooLong(usize),
    /// It cannot be read.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// Its key is of another kind.
    #[error("the certificate's key is not Ed25519")]
    NotEd25519,
    /// Anybody could sign with its key.
    #[error("the certificate's key is one that proves nothing")]
    WeakKey,
    /// Its name is another key's, or it has other names.
    #[error("the certificate's name is not that of its key")]
    OtherName,
}

/// Makes the certificate of a key: the same one each time.
pub(crate) fn issue(key: &Key) -> CertificateDer<'static> {
    let name = Ia5String::try_from(key.node_id().server_name()).expect("base32 is ASCII");
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, "karo");
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    params.subject_alt_names = vec![SanType::DnsName(name)];
    let certificate = params.self_signed(key).expect("these parameters are fit for a certificate");
    certificate.der().clone()
}

/// Returns the node whose key the other side presents: what it proves by its signature of the handshake.
///
/// # Errors
///
/// [`BadCertificate`] unless there is exactly one certificate, of an Ed25519 key, with the name of that key alone.
pub fn peer_of(certificates: &[CertificateDer<'_>]) -> Result<NodeId, BadCertificate> {
    let certificate = match certificates {
        [] => return Err(BadCertificate::None),
        [one] if one.len() > CERTIFICATE_BYTES_MAX => return Err(BadCertificate::TooLong(one.len())),
        [one] => one,
        several => return Err(BadCertificate::Several(several.len())),
    };
    let read = EndEntityCert::try_from(certificate).map_err(|_| BadCertificate::Unreadable)?;
    let spki = read.subject_public_key_info();
    let key = spki.strip_prefix(&ED25519_HEAD).ok_or(BadCertificate::NotEd25519)?;
    let node = NodeId(key.try_into().map_err(|_| BadCertificate::NotEd25519)?);
    if is_weak(&node) {
        return Err(BadCertificate::WeakKey);
    }
    let name = node.server_name();
    let is_named = read.valid_dns_names().eq([name.as_str()]);
    if !is_named || !has_one_name(certificate, &name) {
        return Err(BadCertificate::OtherName);
    }
    Ok(node)
}

/// Tells whether a certificate that was read, and has this name of DNS, has no other name of any kind.
///
/// webpki shows names of DNS and URIs alone, so an address or a mailbox would pass unseen. Its reading has shown
/// that the extension is there; where its identifier stands only once, what follows it is what was read.
fn has_one_name(certificate: &[u8], name: &str) -> bool {
    let mut places = certificate.windows(NAMES.len()).enumerate().filter(|(_, bytes)| *bytes == NAMES);
    let (Some((place, _)), None) = (places.next(), places.next()) else {
        return false;
    };
    let after = certificate.get(place + NAMES.len()..).unwrap_or_default();
    after.strip_prefix(&ONE_NAME).is_some_and(|rest| rest.starts_with(name.as_bytes()))
}
