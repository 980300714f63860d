//! Where a peer can be reached: an address and a port, or a host's name and a port.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use karo_protocol::mesh::ADDRESS_BYTES_MAX;
use serde::{Deserialize, Serialize};

/// Where a peer can be reached. On disk and in answers it is a text, `HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Address {
    /// An address that can be dialled as it is.
    Socket(SocketAddr),
    /// A host's name: dialled only where `[mesh] resolve = true`.
    Host {
        /// The name, in small letters.
        name: String,
        /// The port, never 0.
        port: u16,
    },
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// It has too many bytes.
    #[error("an address of {0} bytes; at most {ADDRESS_BYTES_MAX} are taken")]
    TooLong(usize),
    /// It has no port.
    #[error("{0:?} is no address; expected HOST:PORT, as 10.0.0.2:9238 or [fd00::2]:9238")]
    Form(String),
    /// Nobody can be there.
    #[error("nobody can be reached at {0}")]
    Nowhere(SocketAddr),
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(BadAddress::TooLong(text.len()));
        }
        if let Ok(socket) = text.parse::<SocketAddr>() {
            let is_somewhere = socket.port() != 0 && !is_nowhere(socket.ip().to_canonical());
            return if is_somewhere { Ok(Self::Socket(socket)) } else { Err(BadAddress::Nowhere(socket)) };
        }
        let form = || BadAddress::Form(text.to_owned());
        let (name, port) = text.rsplit_once(':').ok_or_else(form)?;
        let is_number = !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit());
        let port = if is_number { port.parse().unwrap_or(0) } else { 0 };
        if port == 0 || !is_host(name) {
            return Err(form());
        }
        Ok(Self::Host { name: name.to_ascii_lowercase(), port })
    }
}

fn is_nowhere(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    address.is_unspecified() || address.is_multicast() || is_broadcast
}

/// Tells whether a text is a host's name (RFC 1123, section 2.1), and no address that was mistyped.
fn is_host(name: &str) -> bool {
    let mut labels = name.strip_suffix('.').unwrap_or(name).split('.');
    let last = labels.clone().next_back().unwrap_or_default();
    name.len() <= 253 && labels.all(is_label) && !last.bytes().all(|digit| digit.is_ascii_digit())
}

fn is_label(label: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !label.is_empty() && label.len() <= 63 && label.bytes().all(is_letter) && !label.starts_with('-')
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(socket) => write!(f, "{socket}"),
            Self::Host { name, port } => write!(f, "{name}:{port}"),
        }
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl TryFrom<String> for Address {
    type Error = BadAddress;

    fn try_from(text: String) -> Result<Self, BadAddress> {
        text.parse()
    }
}
