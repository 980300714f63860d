//! Where a peer is dialled, and the ranges of addresses that a rule can name: read at the door, then trusted.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// Bytes of a host name (RFC 1035, section 2.3.4).
const HOST_BYTES_MAX: usize = 253;

/// Bytes of one label of it.
const LABEL_BYTES_MAX: usize = 63;

/// Where a peer is dialled.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// A host name, which must be looked up before: only with `[mesh] resolve`.
    Name {
        /// The host, in lower case.
        host: String,
        /// The port.
        port: u16,
    },
}

/// Why a text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnAddress;

impl fmt::Display for NotAnAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected HOST or HOST:PORT, as 10.0.0.2:9238, [fd00::2]:9238 or laptop.example")
    }
}

impl std::error::Error for NotAnAddress {}

impl Address {
    /// Reads `HOST` or `HOST:PORT`; an IPv6 address with a port stands in brackets.
    ///
    /// # Errors
    ///
    /// When the host is neither an IP address nor a host name, or the port is no number from 1 to 65535.
    pub fn parse(text: &str, default_port: u16) -> Result<Self, NotAnAddress> {
        if let Some(at) = parse_ip(text, default_port) {
            return if at.port() == 0 { Err(NotAnAddress) } else { Ok(Self::Ip(at)) };
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, parse_port(port).ok_or(NotAnAddress)?),
            None => (text, default_port),
        };
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if port == 0 || !is_host_name(&host) {
            return Err(NotAnAddress);
        }
        Ok(Self::Name { host, port })
    }

    /// Returns the address if nothing must be looked up for it.
    pub const fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(at) => Some(*at),
            Self::Name { .. } => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(at) => write!(f, "{at}"),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// Reads an IP address with or without a port; port 0 is read like any other.
pub fn parse_ip(text: &str, default_port: u16) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let alone = || bare.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, default_port));
    text.parse().ok().or_else(alone)
}

/// Reads digits and nothing else: no sign, as `u16` would allow.
fn parse_port(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Tells whether a text in lower case is a host name (RFC 1123, section 2.1) that no one could take for an address.
pub fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|c| c == b'-' || c.is_ascii_digit() || c.is_ascii_lowercase())
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_number = |label: &str| label.bytes().all(|c| c.is_ascii_digit());
    text.len() <= HOST_BYTES_MAX
        && text.split('.').all(is_label)
        && !text.rsplit('.').next().is_some_and(is_number)
}

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet {
    first: IpAddr,
    prefix: u8,
}

/// Why a text is no range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotASubnet;

impl fmt::Display for NotASubnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "expected the first address of a range and the length of its prefix, as 10.0.0.0/8 or fd00::/8",
        )
    }
}

impl std::error::Error for NotASubnet {}

impl Subnet {
    /// Tells whether an address lies in the range; an IPv4 address that is written as IPv6 is an IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                masked(u128::from(address.to_bits()), 32, self.prefix) == u128::from(first.to_bits())
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                masked(address.to_bits(), 128, self.prefix) == first.to_bits()
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// Returns how many bits all its addresses share: of two ranges that hold one address, the longer is narrower.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }
}

/// Returns the first so many of an address's bits, and zeros behind them.
const fn masked(bits: u128, length: u32, prefix: u8) -> u128 {
    match (u128::MAX >> (128 - length)).checked_shl(length - prefix as u32) {
        Some(mask) => bits & mask & (u128::MAX >> (128 - length)),
        None => 0,
    }
}

impl FromStr for Subnet {
    type Err = NotASubnet;

    fn from_str(text: &str) -> Result<Self, NotASubnet> {
        let (first, prefix) = text.split_once('/').ok_or(NotASubnet)?;
        let first: IpAddr = first.parse().map_err(|_| NotASubnet)?;
        let prefix = parse_port(prefix).and_then(|prefix| u8::try_from(prefix).ok()).ok_or(NotASubnet)?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let subnet = Self { first, prefix };
        // Bits behind the prefix, or IPv4 in IPv6's clothes, would make a range that holds nothing.
        if prefix > most || !subnet.contains(first) {
            return Err(NotASubnet);
        }
        Ok(subnet)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_text() {
        let cases = [
            ("10.0.0.2", "10.0.0.2:9238"),
            ("10.0.0.2:1", "10.0.0.2:1"),
            ("::1", "[::1]:9238"),
            ("[::1]", "[::1]:9238"),
            ("[fd00::2]:65535", "[fd00::2]:65535"),
            ("Laptop.Example.", "laptop.example:9238"),
            ("laptop:80", "laptop:80"),
            ("4u.example", "4u.example:9238"),
        ];
        for (text, expected) in cases {
            let address = Address::parse(text, 9238).expect(text);
            assert_eq!(address.to_string(), expected);
            assert_eq!(Address::parse(expected, 1), Ok(address));
        }
        for wrong in [
            "",
            ":",
            ":80",
            "a:",
            "a:0",
            "a:65536",
            "a:+1",
            "a:b",
            "a b",
            "10.0.0.2:0",
            "1.2.3",
            "256.1.1.1:80",
            "-a",
            "a-",
            "a..b",
            "a_b",
            "é",
            "::1:x",
            "[::1",
            "a:1:2",
        ] {
            assert_eq!(Address::parse(wrong, 9238), Err(NotAnAddress), "{wrong}");
        }
        assert!(Address::parse(&format!("{}.b", "a".repeat(63)), 1).is_ok());
        assert!(Address::parse(&format!("{}.b", "a".repeat(64)), 1).is_err());
    }

    #[test]
    fn a_subnet_holds_its_addresses_and_no_others() {
        let holds = |net: &str, address: &str| {
            let net: Subnet = net.parse().expect(net);
            net.contains(address.parse().expect(address))
        };
        for (net, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("10.1.2.3/32", "10.1.2.3", "10.1.2.4"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("10.0.0.0/8", "::ffff:10.0.0.1", "::ffff:11.0.0.1"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("::/0", "ffff::1", "1.2.3.4"),
            ("::1/128", "::1", "::2"),
        ] {
            assert!(holds(net, inside), "{net} {inside}");
            assert!(!holds(net, outside), "{net} {outside}");
        }
        for wrong in [
            "",
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "::/129",
            "fd00::1/8",
            "a/8",
            "::ffff:1.2.3.4/128",
            "10.0.0.0/+8",
        ] {
            assert_eq!(wrong.parse::<Subnet>(), Err(NotASubnet), "{wrong}");
        }
    }
}
