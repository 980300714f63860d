//! What this machine's network is at the moment.

use std::net::IpAddr;

/// Returns the addresses at which other machines can reach this one: neither loopback nor of one link alone, in the
/// order of the addresses. Empty where the system does not say.
pub fn own_addresses() -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let is_of_one_link = |ip: &IpAddr| match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let mut addresses: Vec<IpAddr> = interfaces
        .into_iter()
        .filter(|interface| !interface.is_loopback())
        .map(|interface| interface.ip())
        .filter(|ip| !is_of_one_link(ip))
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}
