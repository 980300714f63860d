//! Multicast DNS: asks the local network, and answers it. Runs on a thread that ends with the value.

use std::net::IpAddr;

use mdns_sd::{Error, IfKind, Metrics, Receiver, ResolvedService, ServiceDaemon, ServiceEvent, ServiceInfo};

use super::sighting::{Announcement, KEY_FINGERPRINT, KEY_VERSION, SERVICE, Sighting, instance};
use crate::logging::say;

/// How often the library looks for other interfaces, in seconds: a machine that moves is patient for that long.
const INTERFACES_LOOK_SECONDS: u32 = 15;

/// Records that the library may hold: what all candidates need, many times over.
const RECORDS_MAX: i64 = 8192;

/// What the library counts of its records.
const RECORDS: [&str; 5] = ["cached-ptr", "cached-srv", "cached-txt", "cached-addr", "cached-nsec"];

/// The running thing.
pub(super) struct Multicast {
    daemon: ServiceDaemon,
    announced: Option<(Announcement, String)>,
}

impl Multicast {
    /// Begins to ask; what is seen comes from the receiver, which ends when the library has given up.
    ///
    /// # Errors
    ///
    /// When there is no socket.
    pub(super) fn start() -> Result<(Self, Receiver<ServiceEvent>), Error> {
        let multicast = Self { daemon: ServiceDaemon::new()?, announced: None };
        // Whoever is on this machine is asked over its socket.
        multicast.daemon.disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6])?;
        multicast.daemon.set_ip_check_interval(INTERFACES_LOOK_SECONDS)?;
        let events = multicast.daemon.browse(&domain())?;
        Ok((multicast, events))
    }

    /// Tells this of the machine from here on, and takes back what was told.
    pub(super) fn announce(&mut self, announcement: Option<Announcement>) {
        if self.announced.as_ref().map(|(announced, _)| announced) == announcement.as_ref() {
            return;
        }
        if let Some((_, name)) = self.announced.take()
            && let Err(error) = self.daemon.unregister(&name)
        {
            say!(Class::DiscoveryFailed, %error, "an announcement could not be taken back");
        }
        let Some(announcement) = announcement else { return };
        let told = service(&announcement).and_then(|service| {
            let name = service.get_fullname().to_owned();
            self.daemon.register(service).map(|()| name)
        });
        match told {
            Ok(name) => {
                say!(Class::DiscoveryAnnounced, name = announcement.instance, address = %announcement.at, "announced by mDNS");
                self.announced = Some((announcement, name));
            }
            Err(error) => say!(Class::DiscoveryFailed, %error, "this machine is not announced"),
        }
    }

    /// Asks how many records are held; [`is_flooded`] judges the answer.
    pub(super) fn measure(&self) -> Result<Receiver<Metrics>, Error> {
        self.daemon.get_metrics()
    }
}

impl Drop for Multicast {
    fn drop(&mut self) {
        // It says goodbye for what it told, and its thread ends; nobody waits for that.
        if let Err(error) = self.daemon.shutdown() {
            say!(Class::DiscoveryFailed, %error, "mDNS could not be stopped");
        }
    }
}

/// Tells whether somebody makes the library remember more than a network can need.
pub(super) fn is_flooded(metrics: &Metrics) -> bool {
    RECORDS.iter().filter_map(|name| metrics.get(*name)).sum::<i64>() > RECORDS_MAX
}

/// What a message of the library means.
pub(super) enum Told {
    /// It is there.
    There(Sighting),
    /// It is gone.
    Gone(String),
    /// Nothing that matters, or nothing that could be shown.
    Nothing,
}

/// Reads a message of the library.
pub(super) fn told(event: ServiceEvent) -> Told {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library says that there will be more")]
    match event {
        ServiceEvent::ServiceResolved(service) => {
            named(&service.fullname).map_or(Told::Nothing, |name| Told::There(sighting(name, &service)))
        }
        ServiceEvent::ServiceRemoved(_, fullname) => named(&fullname).map_or(Told::Nothing, Told::Gone),
        _ => Told::Nothing,
    }
}

fn sighting(name: String, service: &ResolvedService) -> Sighting {
    let text = |key| service.get_property_val_str(key);
    let addresses: Vec<IpAddr> = service.get_addresses().iter().map(mdns_sd::ScopedIp::to_ip_addr).collect();
    Sighting::new(name, text(KEY_FINGERPRINT), text(KEY_VERSION)).at(addresses, service.get_port())
}

/// Returns the instance's name of a whole one, as `desk 0123._karo._tcp.local.`.
fn named(fullname: &str) -> Option<String> {
    let domain = domain();
    let end = fullname.len().checked_sub(domain.len() + 1)?;
    let (name, rest) = fullname.split_at_checked(end)?;
    let is_ours = rest.strip_prefix('.').is_some_and(|rest| rest.eq_ignore_ascii_case(&domain));
    // A dot within a label is escaped; any other escape makes the name one that is not shown.
    if is_ours { instance(name.replace("\\.", ".").as_bytes()) } else { None }
}

fn domain() -> String {
    format!("{SERVICE}.local.")
}

fn service(announcement: &Announcement) -> Result<ServiceInfo, Error> {
    let Announcement { instance, host, fingerprint, at } = announcement;
    let fingerprint = fingerprint.to_string();
    let texts = [(KEY_VERSION, env!("CARGO_PKG_VERSION")), (KEY_FINGERPRINT, &fingerprint)];
    let none: &[IpAddr] = &[];
    let service =
        ServiceInfo::new(&domain(), instance, &format!("{host}.local."), none, at.port(), &texts[..]);
    // Only what follows the machine's addresses is announced on an interface that comes up later.
    let mut service = service?.enable_addr_auto();
    service.set_interfaces(vec![match at.ip() {
        IpAddr::V4(any) if any.is_unspecified() => IfKind::IPv4,
        // A socket of IPv6 that listens everywhere takes IPv4 as well.
        IpAddr::V6(any) if any.is_unspecified() => IfKind::All,
        one @ (IpAddr::V4(_) | IpAddr::V6(_)) => IfKind::Addr(one),
    }]);
    Ok(service)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names_are_read() {
        assert_eq!(named("desk 0123._karo._tcp.local.").as_deref(), Some("desk 0123"));
        assert_eq!(named("a\\.b._KARO._tcp.local.").as_deref(), Some("a.b"));
        for wrong in [
            "",
            ".",
            "_karo._tcp.local.",
            "desk._http._tcp.local.",
            "a\\\\b._karo._tcp.local.",
            "é._karo._tcp.loc",
        ] {
            assert_eq!(named(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_flood_is_seen() {
        let metrics = |each: i64| RECORDS.iter().map(|name| ((*name).to_owned(), each)).collect::<Metrics>();
        assert!(!is_flooded(&metrics(RECORDS_MAX / 5)));
        assert!(is_flooded(&metrics(RECORDS_MAX / 5 + 1)));
    }
}
