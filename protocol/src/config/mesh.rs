//! `[mesh]`, `[[mesh.peers]]` and `[discovery]`: who is trusted by configuration, and where peers are met.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use serde::Deserialize;

use super::{ConfigError, ToToml, comment, moment, one_of, refused};
use crate::address::{Address, NotASubnet, NotAnAddress, Subnet, is_host_name, parse_ip};
use crate::mesh::{ADDRESSES_MAX, NAME_ACCEPTED, OWNER_ACCEPTED, PEERS_MAX, is_name, is_owner};
use crate::peer::PORT;
use crate::{NodeId, Timestamp, Trust};

/// Rules about ranges of addresses: each is tried at each connection.
pub const SUBNETS_MAX: usize = 64;

/// Where name servers listen (RFC 1035, section 4.2).
const DNS_PORT: u16 = 53;

table! {
    /// Other machines: who may link to this one, and where. With nobody in the roster nothing listens.
    MeshTable {
        /// Where peers reach this machine, as "ADDR:PORT" with an IP address: "0.0.0.0:9238" for
        /// all of its own; one of IPv6 stands in brackets. Empty for 127.0.0.1:9238, which no other machine reaches.
        listen: String = String::new(),
        /// Whether host names among the addresses of peers are looked up; without it, they are refused
        /// and nothing is asked of any name server.
        resolve: bool = false,
        /// Upper bounds on trust by the address that a peer has at the moment, at most 64: each that holds the
        /// address is a bound, and "untrusted" refuses it. A peer elsewhere has the trust it was given.
        /// Example: [{ net = "192.168.0.0/16", trust = "member" }].
        subnets: Vec<SubnetEntry> = Vec::new(),
    }
    besides {
        /// `[[mesh.peers]]`.
        peers: Vec<PeerTable>,
    }
}

table! {
    /// One such table for each node that is trusted by configuration, at most 1024 with those that were added
    /// by `karoctl peers`; these are changed here and not by command.
    PeerTable {
        /// Its key, as `karoctl identity show` prints it on that machine.
        node_id: String = String::new(),
        /// Where it is dialled, HOST or HOST:PORT (port 9238 if not said), at most 8, tried together;
        /// with none, it must dial us.
        addresses: Vec<String> = Vec::new(),
        /// What it is trusted with: "untrusted" (refused), "member" (a link, nothing about one person),
        /// "share-to" (gets our summaries), "query-from" (may ask for them), "peer" (both), or
        /// "supervisor" (as member, and may ask after health).
        trust: String = "member".to_owned(),
        /// What it is called here, one word of up to 64 bytes; its fingerprint if not said.
        name: String = String::new(),
        /// Whose machine it is, up to 64 bytes.
        owner: String = String::new(),
        /// When the trust runs out: a day (its beginning, UTC) or RFC 3339; empty for never.
        /// Example: "2027-01-31".
        expires: String = String::new(),
    }
}

table! {
    /// Where candidates are looked for. Discovery trusts nobody: `karoctl peers candidates` shows what it saw.
    DiscoveryTable {
        /// Whether this machine announces itself and looks for others on the local network, by mDNS
        /// (`_karo._tcp.local`).
        mdns: bool = false,
        /// Zone of your own name server in which `_karo._tcp` is looked up, by DNS-SD; empty for none. Naming it
        /// allows these lookups and no others. Example: "karo.example.org".
        dns_sd: String = String::new(),
        /// Name server that is asked for that zone, as ADDR or ADDR:PORT (53 if not said) with an IP address; empty
        /// for those of /etc/resolv.conf. Example: "10.0.0.53".
        dns_server: String = String::new(),
    }
}

/// One entry of `[mesh] subnets`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubnetEntry {
    /// First address and length of the prefix.
    pub net: String,
    /// The most that a peer in it is trusted with.
    pub trust: String,
}

impl ToToml for SubnetEntry {
    fn to_toml(&self) -> String {
        format!("{{ net = {:?}, trust = {:?} }}", self.net, self.trust)
    }
}

/// Other machines: who may link to this one, and where.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MeshSettings {
    /// Where peers reach this machine, if that was said; port 0 for any that is free.
    pub listen: Option<SocketAddr>,
    /// Whether host names are looked up.
    pub resolve: bool,
    /// Upper bounds on trust by address.
    pub subnets: Vec<SubnetRule>,
    /// Who is trusted by configuration: no key and no name twice.
    pub peers: Vec<PeerSettings>,
}

impl MeshSettings {
    /// Returns where to listen: nowhere with an empty roster, and on loopback until told otherwise.
    pub fn listen_at(&self, has_peers: bool) -> Option<SocketAddr> {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
        has_peers.then(|| self.listen.unwrap_or(loopback))
    }
}

/// The most that a peer is trusted with while its address is in a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubnetRule {
    /// The range.
    pub net: Subnet,
    /// The bound.
    pub trust: Trust,
}

/// A node that is trusted by configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerSettings {
    /// Its key.
    pub node_id: NodeId,
    /// Where it is dialled; host names only where they may be looked up.
    pub addresses: Vec<Address>,
    /// What it is trusted with.
    pub trust: Trust,
    /// What it is called here.
    pub name: Option<String>,
    /// Whose machine it is.
    pub owner: Option<String>,
    /// When the trust runs out.
    pub expires_at: Option<Timestamp>,
}

/// Where candidates are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DiscoverySettings {
    /// On the local network.
    pub mdns: bool,
    /// In this zone, in lower case and without a dot at its end.
    pub dns_sd: Option<String>,
    /// Who is asked for it; those of the system if nobody.
    pub dns_server: Option<SocketAddr>,
}

impl MeshTable {
    pub(super) fn check(&self) -> Result<MeshSettings, ConfigError> {
        few("mesh.subnets", self.subnets.len(), SUBNETS_MAX, "rules")?;
        few("mesh.peers", self.peers.len(), PEERS_MAX, "peers")?;
        let subnets = self.subnets.iter().enumerate().map(|(place, entry)| entry.check(place));
        let peers = self.peers.iter().enumerate().map(|(place, table)| table.check(place, self.resolve));
        let peers = peers.collect::<Result<Vec<_>, _>>()?;
        refuse_twice("node_id", "a key that no other peer has", peers.iter().map(|peer| Some(peer.node_id)))?;
        refuse_twice("name", "a name that no other peer has", peers.iter().map(|peer| peer.name.as_deref()))?;
        Ok(MeshSettings {
            listen: self.check_listen()?,
            resolve: self.resolve,
            subnets: subnets.collect::<Result<_, _>>()?,
            peers,
        })
    }

    fn check_listen(&self) -> Result<Option<SocketAddr>, ConfigError> {
        if self.listen.is_empty() {
            return Ok(None);
        }
        let accepted = "an IP address and a port, as 0.0.0.0:9238 or [::]:9238";
        let refusal = || refused("mesh.listen", format_args!("{:?}", self.listen), accepted);
        parse_ip(&self.listen, PORT).map(Some).ok_or_else(refusal)
    }
}

impl SubnetEntry {
    fn check(&self, place: usize) -> Result<SubnetRule, ConfigError> {
        let key = |field: &str| format!("mesh.subnets[{place}].{field}");
        let net = self.net.parse().map_err(|error: NotASubnet| {
            refused(key("net"), format_args!("{:?}", self.net), without_expected(error))
        })?;
        Ok(SubnetRule { net, trust: trust(key("trust"), &self.trust)? })
    }
}

impl PeerTable {
    fn check(&self, place: usize, resolve: bool) -> Result<PeerSettings, ConfigError> {
        let key = |field: &str| format!("mesh.peers[{place}].{field}");
        let node_id = self.node_id.parse().map_err(|error: crate::node::NotANodeId| {
            refused(key("node_id"), format_args!("{:?}", self.node_id), without_expected(error))
        })?;
        few(&key("addresses"), self.addresses.len(), ADDRESSES_MAX, "addresses")?;
        let addresses = self.addresses.iter().enumerate();
        let addresses = addresses.map(|(number, text)| address(&key("addresses"), number, text, resolve));
        let expires_at = match self.expires.as_str() {
            "" => None,
            text => Some(
                moment::parse(text)
                    .ok_or_else(|| refused(key("expires"), format_args!("{text:?}"), moment::ACCEPTED))?,
            ),
        };
        Ok(PeerSettings {
            node_id,
            addresses: addresses.collect::<Result<_, _>>()?,
            trust: trust(key("trust"), &self.trust)?,
            name: called(key("name"), &self.name, is_name, NAME_ACCEPTED)?,
            owner: called(key("owner"), &self.owner, is_owner, OWNER_ACCEPTED)?,
            expires_at,
        })
    }
}

impl DiscoveryTable {
    pub(super) fn check(&self) -> Result<DiscoverySettings, ConfigError> {
        let zone = self.dns_sd.strip_suffix('.').unwrap_or(&self.dns_sd).to_ascii_lowercase();
        let is_local = zone == "local" || zone.ends_with(".local");
        if !self.dns_sd.is_empty() && (is_local || !is_host_name(&zone)) {
            let accepted = "a zone of your own, as karo.example.org; what ends in .local is mDNS's";
            return Err(refused("discovery.dns_sd", format_args!("{:?}", self.dns_sd), accepted));
        }
        let dns_server = self.check_server()?;
        Ok(DiscoverySettings { mdns: self.mdns, dns_sd: (!zone.is_empty()).then_some(zone), dns_server })
    }

    fn check_server(&self) -> Result<Option<SocketAddr>, ConfigError> {
        if self.dns_server.is_empty() {
            return Ok(None);
        }
        let server = parse_ip(&self.dns_server, DNS_PORT).filter(|server| server.port() != 0);
        let accepted = "an IP address, with a port or without, as 10.0.0.53 or [fd00::53]:5300";
        let refusal = || refused("discovery.dns_server", format_args!("{:?}", self.dns_server), accepted);
        server.map(Some).ok_or_else(refusal)
    }
}

fn address(list: &str, number: usize, text: &str, resolve: bool) -> Result<Address, ConfigError> {
    let refusal = |accepted: &str| refused(format!("{list}[{number}]"), format_args!("{text:?}"), accepted);
    let address =
        Address::parse(text, PORT).map_err(|error: NotAnAddress| refusal(&without_expected(error)))?;
    if address.ip().is_none() && !resolve {
        return Err(refusal("an IP address, for names are looked up only with mesh.resolve = true"));
    }
    Ok(address)
}

fn trust(key: String, text: &str) -> Result<Trust, ConfigError> {
    text.parse().map_err(|error: crate::category::UnknownName| refused(key, text, one_of(&error.expected)))
}

fn called(
    key: String,
    text: &str,
    is_right: fn(&str) -> bool,
    accepted: &str,
) -> Result<Option<String>, ConfigError> {
    match text {
        "" => Ok(None),
        _ if is_right(text) => Ok(Some(text.to_owned())),
        _ => Err(refused(key, format_args!("{text:?}"), accepted)),
    }
}

fn few(key: &str, found: usize, most: usize, things: &str) -> Result<(), ConfigError> {
    if found <= most {
        return Ok(());
    }
    Err(refused(key, format_args!("{found} {things}"), format!("at most {most} {things}")))
}

/// Refuses a value that an earlier peer has already.
fn refuse_twice<T: Ord + fmt::Display>(
    field: &str,
    accepted: &str,
    values: impl Iterator<Item = Option<T>>,
) -> Result<(), ConfigError> {
    let mut known = BTreeSet::new();
    for (place, value) in values.enumerate() {
        let Some(value) = value else { continue };
        let shown = value.to_string();
        if !known.insert(value) {
            return Err(refused(format!("mesh.peers[{place}].{field}"), shown, accepted));
        }
    }
    Ok(())
}

/// Returns what is accepted, of an error that says what was expected.
fn without_expected(error: impl fmt::Display) -> String {
    let text = error.to_string();
    text.strip_prefix("expected ").map_or_else(|| text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const KEY: &str = "karo:ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    #[test]
    fn nothing_listens_for_nobody_and_only_loopback_until_told_otherwise() {
        let listen_at = |listen: &str, has_peers| {
            let table = MeshTable { listen: listen.to_owned(), ..MeshTable::default() };
            let at = table.check().expect("it is an address").listen_at(has_peers);
            at.map(|at| at.to_string())
        };
        assert_eq!(listen_at("", false), None);
        assert_eq!(listen_at("0.0.0.0:9238", false), None);
        assert_eq!(listen_at("", true).as_deref(), Some("127.0.0.1:9238"));
        assert_eq!(listen_at("[::]:7000", true).as_deref(), Some("[::]:7000"));
        assert_eq!(listen_at("10.0.0.1", true).as_deref(), Some("10.0.0.1:9238"));
        assert_eq!(listen_at("127.0.0.1:0", true).as_deref(), Some("127.0.0.1:0"));
    }

    #[test]
    fn peers_become_settings() {
        let table = PeerTable {
            addresses: vec!["10.0.0.2".to_owned(), "[fd00::2]:7000".to_owned(), "Laptop:80".to_owned()],
            trust: "share-to".to_owned(),
            name: "laptop".to_owned(),
            expires: "2027-01-31".to_owned(),
            ..peer()
        };
        let mesh = MeshTable { resolve: true, peers: vec![table], ..MeshTable::default() };
        let settings = mesh.check().expect("all of it is right");
        let [found] = settings.peers.as_slice() else { panic!("there is one") };
        assert_eq!(found.node_id.to_string(), KEY);
        let addresses: Vec<String> = found.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["10.0.0.2:9238", "[fd00::2]:7000", "laptop:80"]);
        assert_eq!(
            (found.trust, found.name.as_deref(), found.owner.as_deref()),
            (Trust::ShareTo, Some("laptop"), None)
        );
        assert_eq!(found.expires_at, Some(Timestamp::from_micros(1_801_353_600_000_000)));
        let discovery = DiscoveryTable {
            mdns: true,
            dns_sd: "Karo.Example.org.".to_owned(),
            dns_server: "10.0.0.53".to_owned(),
        };
        let expected = DiscoverySettings {
            mdns: true,
            dns_sd: Some("karo.example.org".to_owned()),
            dns_server: Some(SocketAddr::from(([10, 0, 0, 53], 53))),
        };
        assert_eq!(discovery.check(), Ok(expected));
    }

    #[test]
    fn refusals_name_key_value_and_range() {
        type Change = fn(&mut Config);
        let cases: [(Change, &str); 15] = [
            (
                |c| c.mesh.listen = "laptop:1".to_owned(),
                "mesh.listen is \"laptop:1\", accepted is an IP address and a port, as 0.0.0.0:9238 or [::]:9238",
            ),
            (
                |c| c.mesh.subnets = vec![subnet("10.0.0.1/8", "peer")],
                "mesh.subnets[0].net is \"10.0.0.1/8\", accepted is the first address of a range and the length of its prefix, as 10.0.0.0/8 or fd00::/8",
            ),
            (
                |c| c.mesh.subnets = vec![subnet("::/0", "all")],
                "mesh.subnets[0].trust is all, accepted is one of untrusted, member, share-to, query-from, peer, supervisor",
            ),
            (
                |c| c.mesh.subnets = vec![subnet("::/0", "peer"); 65],
                "mesh.subnets is 65 rules, accepted is at most 64 rules",
            ),
            (
                |c| c.mesh.peers = vec![PeerTable::default()],
                "mesh.peers[0].node_id is \"\", accepted is karo:ed25519: and 43 letters of base64url",
            ),
            (
                |c| c.mesh.peers = vec![peer(), peer()],
                "mesh.peers[1].node_id is karo:ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo, accepted is a key that no other peer has",
            ),
            (
                |c| c.mesh.peers[0].addresses = vec!["10.0.0.2".to_owned(), "a b".to_owned()],
                "mesh.peers[0].addresses[1] is \"a b\", accepted is HOST or HOST:PORT, as 10.0.0.2:9238, [fd00::2]:9238 or laptop.example",
            ),
            (
                |c| c.mesh.peers[0].addresses = vec!["laptop".to_owned()],
                "mesh.peers[0].addresses[0] is \"laptop\", accepted is an IP address, for names are looked up only with mesh.resolve = true",
            ),
            (
                |c| c.mesh.peers[0].addresses = vec!["::1".to_owned(); 9],
                "mesh.peers[0].addresses is 9 addresses, accepted is at most 8 addresses",
            ),
            (
                |c| c.mesh.peers[0].trust = "friend".to_owned(),
                "mesh.peers[0].trust is friend, accepted is one of untrusted, member, share-to, query-from, peer, supervisor",
            ),
            (
                |c| c.mesh.peers[0].name = "a\u{202e}b".to_owned(),
                "mesh.peers[0].name is \"a\\u{202e}b\", accepted is 1 to 64 bytes of letters, digits and - _ . @ +, beginning with a letter or digit",
            ),
            (
                |c| c.mesh.peers[0].expires = "soon".to_owned(),
                "mesh.peers[0].expires is \"soon\", accepted is a day or RFC 3339, as 2027-01-31 or 2027-01-31T18:00:00+01:00",
            ),
            (
                |c| c.discovery.dns_sd = "x.local".to_owned(),
                "discovery.dns_sd is \"x.local\", accepted is a zone of your own, as karo.example.org; what ends in .local is mDNS's",
            ),
            (
                |c| c.discovery.dns_server = "ns.example.org".to_owned(),
                "discovery.dns_server is \"ns.example.org\", accepted is an IP address, with a port or without, as 10.0.0.53 or [fd00::53]:5300",
            ),
            (
                |c| c.mesh.peers = vec![peer(); 1025],
                "mesh.peers is 1025 peers, accepted is at most 1024 peers",
            ),
        ];
        for (change, expected) in cases {
            let mut config = Config::default();
            config.mesh.peers = vec![peer()];
            change(&mut config);
            let refusal = config.check(None).expect_err("the value is out of its range");
            assert_eq!(refusal.to_string(), expected);
        }
    }

    #[test]
    fn one_name_is_one_peer() {
        let other = "karo:ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let named = |key: &str| PeerTable { node_id: key.to_owned(), name: "laptop".to_owned(), ..peer() };
        let mesh = MeshTable { peers: vec![named(KEY), named(other)], ..MeshTable::default() };
        let refusal = mesh.check().expect_err("two have one name").to_string();
        assert_eq!(refusal, "mesh.peers[1].name is laptop, accepted is a name that no other peer has");
    }

    fn peer() -> PeerTable {
        PeerTable { node_id: KEY.to_owned(), ..PeerTable::default() }
    }

    fn subnet(net: &str, trust: &str) -> SubnetEntry {
        SubnetEntry { net: net.to_owned(), trust: trust.to_owned() }
    }
}
