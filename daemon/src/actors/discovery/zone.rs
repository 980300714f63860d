//! DNS-SD in a configured zone: asks a name server for what stands below it, and for nothing else.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use domain::base::iana::Rcode;
use domain::base::rdata::ParseRecordData;
use domain::base::{Message, Name, Rtype, ToName, Ttl};
use domain::dep::octseq::Octets;
use domain::rdata::{A, Aaaa, Ptr, Srv, Txt};
use domain::resolv::StubResolver;
use domain::resolv::stub::Answer;
use domain::resolv::stub::conf::{ResolvConf, ServerConf, Transport};
use karo_protocol::address::is_host_name;

use super::sighting::{KEY_FINGERPRINT, KEY_VERSION, SERVICE, Sighting, instance};
use super::table::CANDIDATES_MAX;
use crate::logging::say;

/// How often a zone is asked: machines come and go by the day there.
pub(super) const ROUND: Duration = Duration::from_secs(5 * 60);

/// How long one question may take: name servers of one's own are near.
const QUESTION_PATIENCE: Duration = Duration::from_secs(2);

/// How long a round may take; what it has not come to, the next one may.
const ROUND_PATIENCE: Duration = Duration::from_secs(2 * 60);

/// Questions that fail one after the other before a round gives up.
const FAILURES_MAX: usize = 3;

/// Strings of a TXT record that are looked at: ours has two.
const TEXTS_MAX: usize = 16;

type Owned = Name<Vec<u8>>;

/// What one round has found.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// Everyone whom the zone names.
    pub named: BTreeSet<String>,
    /// What it says of them, and how long that is so.
    pub found: Vec<(Sighting, Duration)>,
}

/// Asks for everyone in the zone: `server`, or the system's name servers.
///
/// # Errors
///
/// When nobody says who there is.
pub(super) async fn look(zone: String, server: Option<SocketAddr>) -> Result<Round, String> {
    let began = Instant::now();
    let asker = Asker::new(&zone, configuration(server).await?)?;
    let named = asker.named().await?;
    let mut round = Round { named: named.iter().map(|(name, ..)| name.clone()).collect(), found: Vec::new() };
    let mut failures = 0;
    for (name, whole, live) in named {
        match asker.sighting(name, &whole, live).await {
            Ok(found) => {
                failures = 0;
                round.found.extend(found);
            }
            Err(error) => {
                tracing::debug!(zone, error, "a node in the zone could not be asked for");
                failures += 1;
            }
        }
        if failures == FAILURES_MAX || began.elapsed() > ROUND_PATIENCE {
            say!(Class::DiscoveryCut, zone, "the name server is too slow; the rest is asked for later");
            break;
        }
    }
    Ok(round)
}

/// Returns whom to ask. The system's file is read each time: a machine that moves has another.
async fn configuration(server: Option<SocketAddr>) -> Result<ResolvConf, String> {
    let mut configuration = match server {
        Some(server) => {
            let mut configuration = ResolvConf::new();
            configuration.servers.push(ServerConf::new(server, Transport::UdpTcp));
            configuration
        }
        None => tokio::task::spawn_blocking(ResolvConf::default).await.map_err(|error| error.to_string())?,
    };
    configuration.options.timeout = QUESTION_PATIENCE;
    Ok(configuration)
}

/// Asks one zone.
struct Asker {
    resolver: StubResolver,
    zone: Owned,
    service: Owned,
}

impl Asker {
    fn new(zone: &str, configuration: ResolvConf) -> Result<Self, String> {
        let name = |text: &str| Owned::vec_from_str(text).map_err(|error| format!("{text}: {error}"));
        let service = name(&format!("{SERVICE}.{zone}"))?;
        Ok(Self { resolver: StubResolver::from_conf(configuration), zone: name(zone)?, service })
    }

    /// Asks one question. That there is no such name is an answer without records.
    async fn ask(&self, name: &Owned, kind: Rtype) -> Result<Answer, String> {
        let answer =
            self.resolver.query((name, kind)).await.map_err(|error| format!("{name} {kind}: {error}"))?;
        match answer.header().rcode() {
            Rcode::NOERROR | Rcode::NXDOMAIN => Ok(answer),
            refusal => Err(format!("{name} {kind}: {refusal}")),
        }
    }

    /// Asks who there is: the names to show, whole, and how long each is so.
    async fn named(&self) -> Result<Vec<(String, Owned, Duration)>, String> {
        let answer = self.ask(&self.service, Rtype::PTR).await?;
        let mut named = Vec::new();
        for (pointer, live) in records::<_, Ptr<_>>(&answer) {
            let whole = pointer.ptrdname().to_vec();
            match below(&whole, &self.service) {
                Some(name) if named.len() < CANDIDATES_MAX => named.push((name, whole, live)),
                Some(_) => {
                    say!(Class::DiscoveryCut, zone = %self.zone, most = CANDIDATES_MAX, "the zone names more nodes than are looked at");
                    break;
                }
                None => tracing::debug!(zone = %self.zone, "the zone names a node that cannot be shown"),
            }
        }
        Ok(named)
    }

    /// Asks for one of them; `None` when nothing says where it is.
    async fn sighting(
        &self,
        name: String,
        whole: &Owned,
        live: Duration,
    ) -> Result<Option<(Sighting, Duration)>, String> {
        let answer = self.ask(whole, Rtype::SRV).await?;
        let Some((service, srv_live)) = records::<_, Srv<_>>(&answer).next() else { return Ok(None) };
        let (host, port) = (service.target().to_vec(), service.port());
        let texts = self.ask(whole, Rtype::TXT).await?;
        let text = |key| text(&texts, key);
        let sighting = Sighting::new(name, text(KEY_FINGERPRINT).as_deref(), text(KEY_VERSION).as_deref());
        let live = live.min(srv_live);
        if !host.ends_with(&self.zone) {
            return Ok(Some((elsewhere(sighting, &host, port), live)));
        }
        let (v4, v6) = (self.ask(&host, Rtype::A).await?, self.ask(&host, Rtype::AAAA).await?);
        let v4 = records::<_, A>(&v4).map(|(address, live)| (IpAddr::V4(address.addr()), live));
        let v6 = records::<_, Aaaa>(&v6).map(|(address, live)| (IpAddr::V6(address.addr()), live));
        let found: Vec<(IpAddr, Duration)> = v4.chain(v6).collect();
        let live = found.iter().map(|(_, live)| *live).fold(live, Duration::min);
        Ok(Some((sighting.at(found.into_iter().map(|(ip, _)| ip), port), live)))
    }
}

/// Shows a host that is not in the zone by its name: nothing was said of other names being looked up.
fn elsewhere(mut sighting: Sighting, host: &Owned, port: u16) -> Sighting {
    let host = host.to_string().trim_end_matches('.').to_ascii_lowercase();
    if port != 0 && is_host_name(&host) {
        sighting.addresses = vec![format!("{host}:{port}")];
    }
    sighting
}

/// Returns the instance's name if a whole one is exactly one label below the service's.
fn below(whole: &Owned, service: &Owned) -> Option<String> {
    let (label, rest) = whole.split_first()?;
    if rest == *service { instance(label.as_slice()) } else { None }
}

/// Returns the records of one kind in an answer, each with its time to live.
fn records<'a, O: Octets, D: ParseRecordData<'a, O>>(
    message: &'a Message<O>,
) -> impl Iterator<Item = (D, Duration)> + use<'a, O, D> {
    let section = message.answer().into_iter();
    let records = section.flat_map(|section| section.limit_to_in::<D>());
    // What cannot be read is as good as not there: nothing here is believed anyway.
    records.filter_map(Result::ok).map(|record| {
        let live = Ttl::as_secs(&record.ttl());
        (record.into_data(), Duration::from_secs(live.into()))
    })
}

/// Returns the value of a key in the TXT records (RFC 6763, section 6.4).
fn text<O: Octets>(message: &Message<O>, key: &str) -> Option<String> {
    let (texts, _) = records::<_, Txt<_>>(message).next()?;
    let value = |string: &[u8]| {
        let (name, value) = std::str::from_utf8(string).ok()?.split_once('=')?;
        name.eq_ignore_ascii_case(key).then(|| value.to_owned())
    };
    texts.iter().take(TEXTS_MAX).find_map(value)
}
