//! What an announcement says, read at the door: whoever announces writes what they like. And what ours says.

use std::net::{IpAddr, SocketAddr};

use karo_protocol::mesh::{ADDRESSES_MAX, is_owner};
use karo_protocol::node::Fingerprint;

use super::Here;

/// The service, in every domain (RFC 6763, section 7).
pub(super) const SERVICE: &str = "_karo._tcp";

/// Keys of the TXT record.
pub(super) const KEY_VERSION: &str = "version";
pub(super) const KEY_FINGERPRINT: &str = "fingerprint";

/// Bytes of one label (RFC 1035, section 2.3.4), and so of an instance's name.
const LABEL_BYTES_MAX: usize = 63;

/// Bytes of a version that are believed to be one.
const VERSION_BYTES_MAX: usize = 32;

/// How a candidate was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// On the local network.
    Mdns,
    /// In the configured zone.
    DnsSd,
}

impl Source {
    /// Returns its name on the wire.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Mdns => "mdns",
            Self::DnsSd => "dns-sd",
        }
    }
}

/// An announcement, as far as it can be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sighting {
    /// What the node calls itself.
    pub name: String,
    /// The short form of its key, as it says.
    pub fingerprint: Option<Fingerprint>,
    /// Its version, as it says.
    pub version: Option<String>,
    /// Where it says it is, each `ADDR:PORT`; at most [`ADDRESSES_MAX`].
    pub addresses: Vec<String>,
}

impl Sighting {
    /// Makes one of what was announced under a name that [`instance`] took. Whatever else cannot be shown is left out.
    pub(super) fn new(name: String, fingerprint: Option<&str>, version: Option<&str>) -> Self {
        let version = version.filter(|text| is_version(text)).map(str::to_owned);
        let fingerprint = fingerprint.and_then(|text| text.parse().ok());
        Self { name, fingerprint, version, addresses: Vec::new() }
    }

    /// Adds where it is; what no other machine could be reached at is left out.
    pub(super) fn at(mut self, addresses: impl IntoIterator<Item = IpAddr>, port: u16) -> Self {
        let mut reachable: Vec<IpAddr> = addresses
            .into_iter()
            .map(|ip| ip.to_canonical())
            .filter(|ip| port != 0 && is_reachable(*ip))
            .collect();
        reachable.sort_unstable();
        reachable.dedup();
        reachable.truncate(ADDRESSES_MAX);
        self.addresses = reachable.into_iter().map(|ip| SocketAddr::new(ip, port).to_string()).collect();
        self
    }
}

/// Returns an instance's name if it can be shown to a person: nothing in it can drive a terminal, turn the direction of
/// text or be invisible. Parentheses are what multicast DNS tells two of one name apart with.
pub(super) fn instance(label: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(label).ok()?;
    let is_shown = text.len() <= LABEL_BYTES_MAX && is_owner(&text.replace(['(', ')'], "."));
    is_shown.then(|| text.to_owned())
}

fn is_version(text: &str) -> bool {
    (1..=VERSION_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Tells whether an address may be another machine's. One of a link alone (IPv6) means nothing without its interface.
fn is_reachable(ip: IpAddr) -> bool {
    let is_of_one_link = match ip {
        IpAddr::V4(v4) => v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || is_of_one_link)
}

/// What is told of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Announcement {
    /// The instance's name: the host's, and the beginning of the fingerprint, for users who share it.
    pub instance: String,
    /// The host in the SRV record: one of our own making, so that it is in nobody's way who announces the machine.
    pub host: String,
    /// The short form of the key.
    pub fingerprint: Fingerprint,
    /// Where it listens.
    pub at: SocketAddr,
}

/// Decides what is told: nothing while nobody else could reach what listens.
pub(super) fn announcement(here: Option<Here>, host: &str) -> Option<Announcement> {
    let Here { fingerprint, at } = here?;
    if at.ip().to_canonical().is_loopback() {
        return None;
    }
    let shown = fingerprint.to_string();
    let beginning = shown.split('-').next().unwrap_or_default();
    let label = host.split('.').next().unwrap_or_default();
    let whole = instance(format!("{label} {beginning}").as_bytes());
    let instance = whole.unwrap_or_else(|| format!("karo {beginning}"));
    Some(Announcement { instance, host: format!("karo-{}", shown.replace('-', "")), fingerprint, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINGERPRINT: &str = "0123-4567-89ab-cdef";

    #[test]
    fn names_that_an_eye_can_tell_are_taken_and_no_others() {
        for name in ["desk", "desk 0123", "desk 0123 (2)", "Ada's phone", "Zoë"] {
            assert_eq!(instance(name.as_bytes()).as_deref(), Some(name));
        }
        let too_long = "a".repeat(LABEL_BYTES_MAX + 1);
        for name in
            ["", " ", "a\nb", "a\u{1b}[31m", "a\u{202e}b", "a\u{200b}b", "karo:ed25519:x", "a\\b", &too_long]
        {
            assert_eq!(instance(name.as_bytes()), None, "{name:?}");
        }
        assert_eq!(instance(b"desk\xff"), None);
    }

    #[test]
    fn what_cannot_be_shown_is_left_out() {
        let sighting = |fingerprint, version| Sighting::new("desk".to_owned(), fingerprint, version);
        let right = sighting(Some(FINGERPRINT), Some("0.1.0"));
        assert_eq!(
            right.fingerprint.map(|fingerprint| fingerprint.to_string()).as_deref(),
            Some(FINGERPRINT)
        );
        assert_eq!(right.version.as_deref(), Some("0.1.0"));
        let long = "1".repeat(VERSION_BYTES_MAX + 1);
        for (fingerprint, version) in
            [("", ""), ("0123", "1\u{1b}[2J"), ("0123-4567-89ab-cdeX", "a b"), ("x", &long)]
        {
            let wrong = sighting(Some(fingerprint), Some(version));
            assert_eq!((wrong.fingerprint, wrong.version), (None, None), "{fingerprint:?} {version:?}");
        }
    }

    #[test]
    fn addresses_are_few_and_another_machines() {
        let at = |texts: &[&str], port| {
            let ips: Vec<IpAddr> = texts.iter().map(|text| text.parse().expect("it is an address")).collect();
            Sighting::new("desk".to_owned(), None, None).at(ips, port).addresses
        };
        let mixed = [
            "fd00::2",
            "10.0.0.2",
            "127.0.0.1",
            "::1",
            "0.0.0.0",
            "::",
            "224.0.0.251",
            "ff02::fb",
            "fe80::1",
        ];
        assert_eq!(at(&mixed, 9238), ["10.0.0.2:9238", "[fd00::2]:9238"]);
        assert_eq!(
            at(&["::ffff:127.0.0.1", "255.255.255.255", "10.0.0.2", "::ffff:10.0.0.2"], 1),
            ["10.0.0.2:1"]
        );
        assert!(at(&["10.0.0.2"], 0).is_empty());
        let many: Vec<String> = (0..=255).map(|last| format!("10.0.0.{last}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(at(&many, 1).len(), ADDRESSES_MAX);
    }

    #[test]
    fn only_what_others_can_reach_is_announced() {
        let fingerprint = FINGERPRINT.parse().expect("it is one");
        let here = |at: &str| Some(Here { fingerprint, at: at.parse().expect("it is an address") });
        for at in ["127.0.0.1:9238", "[::1]:9238", "[::ffff:127.0.0.1]:9238"] {
            assert_eq!(announcement(here(at), "desk"), None, "{at}");
        }
        assert_eq!(announcement(None, "desk"), None);
        let told = announcement(here("0.0.0.0:9238"), "desk.example.org").expect("it is told");
        assert_eq!((told.instance.as_str(), told.host.as_str()), ("desk 0123", "karo-0123456789abcdef"));
        for host in ["", "-", "a\u{202e}b", &"a".repeat(LABEL_BYTES_MAX)] {
            assert_eq!(announcement(here("10.0.0.2:1"), host).expect("it is told").instance, "karo 0123");
        }
    }
}
