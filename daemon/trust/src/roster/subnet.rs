//! Rules about addresses: what a peer may have at most that comes from one.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use karo_protocol::Trust;
use serde::{Deserialize, Serialize};

/// What is allowed at most to whoever comes from some addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubnetRule {
    /// From which.
    pub net: Subnet,
    /// What at most; nothing where it is [`Trust::Untrusted`].
    pub trust: Trust,
}

/// Addresses that begin with the same bits, as `10.0.0.0/8`. IPv4 in the dress of IPv6 counts as IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Subnet {
    net: IpAddr,
    bits: u8,
}

/// Why a text is no subnet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSubnet {
    /// It has another form.
    #[error("{0:?} is no subnet; expected ADDRESS/BITS, as 10.0.0.0/8 or fd00::/8")]
    Form(String),
    /// It has bits behind those that count: one of the two is not meant.
    #[error("{text} is no subnet; {meant} is meant?")]
    Beyond {
        /// What was given.
        text: String,
        /// What it would be without them.
        meant: Subnet,
    },
}

/// All the bits of an address, the first ones high, and how many there are.
fn bits_of(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

/// A mask of so many high bits.
fn mask(bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)
}

impl Subnet {
    /// Tells whether an address is among these.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (own, own_length) = bits_of(self.net);
        let (other, other_length) = bits_of(address.to_canonical());
        own_length == other_length && (own ^ other) & mask(self.bits) == 0
    }
}

impl FromStr for Subnet {
    type Err = BadSubnet;

    fn from_str(text: &str) -> Result<Self, BadSubnet> {
        let form = || BadSubnet::Form(text.to_owned());
        let (address, bits) = text.split_once('/').map_or((text, None), |(net, bits)| (net, Some(bits)));
        let net: IpAddr = address.parse().map_err(|_| form())?;
        let (value, length) = bits_of(net);
        let bits = match bits {
            None => length,
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                digits.parse().map_err(|_| form())?
            }
            Some(_) => return Err(form()),
        };
        // A subnet in the dress of IPv4 within IPv6 would never meet an address, since those are undressed.
        if bits > length || net.to_canonical() != net {
            return Err(form());
        }
        let kept = value & mask(bits);
        if kept != value {
            let net = match net {
                IpAddr::V4(_) => IpAddr::V4(((kept >> 96) as u32).into()),
                IpAddr::V6(_) => IpAddr::V6(kept.into()),
            };
            return Err(BadSubnet::Beyond { text: text.to_owned(), meant: Self { net, bits } });
        }
        Ok(Self { net, bits })
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.net, self.bits)
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

impl TryFrom<String> for Subnet {
    type Error = BadSubnet;

    fn try_from(text: String) -> Result<Self, BadSubnet> {
        text.parse()
    }
}
