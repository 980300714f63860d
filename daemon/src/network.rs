//! What this machine's network is at the moment.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// The addresses of this machine, each with whether its interface carries anything: one whose cable is pulled keeps its
/// address where that is a static one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses(BTreeMap<IpAddr, bool>);

impl Addresses {
    /// Returns those at which other machines can reach this one: neither loopback nor of one link alone. None where the
    /// system does not say.
    pub fn own() -> Self {
        let mut own = BTreeMap::new();
        for interface in if_addrs::get_if_addrs().unwrap_or_default() {
            let ip = interface.ip();
            if !interface.is_loopback() && !is_of_one_link(&ip) {
                *own.entry(ip).or_default() |= interface.is_oper_up();
            }
        }
        Self(own)
    }

    /// Returns all of them, in their order.
    pub fn all(&self) -> impl Iterator<Item = IpAddr> {
        self.0.keys().copied()
    }

    /// Counts those whose interface carries.
    pub fn carried(&self) -> usize {
        self.0.values().filter(|carries| **carries).count()
    }

    /// Tells whether links have a reason to try, after these before: there are other addresses, or one carries again.
    /// That one carries no more is none: a cable that is soon put in again costs no link.
    pub fn has_come(&self, before: &Self) -> bool {
        let carried_before = |ip: &IpAddr| before.0.get(ip).copied().unwrap_or_default();
        let is_other = !self.0.keys().eq(before.0.keys());
        is_other || self.0.iter().any(|(ip, carries)| *carries && !carried_before(ip))
    }
}

const fn is_of_one_link(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cable_is_news_when_it_is_put_in_again() {
        let of = |found: &[(u8, bool)]| {
            Addresses(found.iter().map(|(last, carries)| ([10, 0, 0, *last].into(), *carries)).collect())
        };
        let (both, pulled) = (of(&[(1, true), (2, true)]), of(&[(1, true), (2, false)]));
        assert!(!both.has_come(&both) && !pulled.has_come(&pulled));
        assert!(!pulled.has_come(&both), "a cable is pulled");
        assert!(both.has_come(&pulled), "it is put in again");
        assert!(both.has_come(&of(&[(1, true)])), "another address");
        assert!(of(&[(1, true)]).has_come(&both), "one fewer");
        assert!(of(&[(1, true), (3, false)]).has_come(&pulled), "one for another");
        assert_eq!((both.carried(), pulled.carried(), pulled.all().count()), (2, 1, 2));
    }
}
