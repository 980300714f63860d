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
    let mut patience = Patience::until(Instant::now() + ROUND_PATIENCE);
    let asker = Asker::new(&zone, configuration(server).await?)?;
    let named = asker.named().await?;
    let mut round = Round { named: named.iter().map(|(name, ..)| name.clone()).collect(), found: Vec::new() };
    for (name, whole, live) in named {
        let sighting = asker.sighting(name, &whole, live).await;
        let is_over = patience.is_over(sighting.is_ok(), Instant::now());
        match sighting {
            Ok(found) => round.found.extend(found),
            Err(error) => tracing::debug!(zone, error, "a node in the zone could not be asked for"),
        }
        if is_over {
            say!(Class::DiscoveryCut, zone, "the name server is too slow; the rest is asked for later");
            break;
        }
    }
    Ok(round)
}

/// How much a round puts up with.
struct Patience {
    until: Instant,
    failures: usize,
}

impl Patience {
    const fn until(until: Instant) -> Self {
        Self { until, failures: 0 }
    }

    /// Takes what became of one node's questions, and tells whether the round is over.
    fn is_over(&mut self, is_answered: bool, now: Instant) -> bool {
        self.failures = if is_answered { 0 } else { self.failures + 1 };
        self.failures >= FAILURES_MAX || now > self.until
    }
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
        Ok(listed(&answer, &self.service))
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

/// Returns the nodes that an answer lists: the names to show, whole, and how long each is so.
fn listed<O: Octets>(answer: &Message<O>, service: &Owned) -> Vec<(String, Owned, Duration)> {
    let mut named = Vec::new();
    for (pointer, live) in records::<_, Ptr<_>>(answer) {
        let whole = pointer.ptrdname().to_vec();
        match below(&whole, service) {
            Some(name) if named.len() < CANDIDATES_MAX => named.push((name, whole, live)),
            Some(_) => {
                say!(Class::DiscoveryCut, zone = %service, most = CANDIDATES_MAX, "the zone names more nodes than are looked at");
                break;
            }
            None => tracing::debug!(%service, "the zone names a node that cannot be shown"),
        }
    }
    named
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

#[cfg(test)]
mod tests {
    use domain::base::MessageBuilder;
    use domain::base::rdata::ComposeRecordData;

    use super::*;

    const SERVICE_NAME: &str = "_karo._tcp.karo.test";

    fn name(text: &str) -> Owned {
        Owned::vec_from_str(text).expect("it is a name")
    }

    /// Makes the answer of a name server that has these records of a name.
    fn answer(owner: &Owned, records: impl IntoIterator<Item = impl ComposeRecordData>) -> Message<Vec<u8>> {
        let mut answer = MessageBuilder::new_vec().answer();
        for record in records {
            answer.push((owner, 600, record)).expect("there is room");
        }
        answer.into_message()
    }

    #[test]
    fn a_zone_lists_so_many_and_no_more() {
        let service = name(SERVICE_NAME);
        let all = (0..2 * CANDIDATES_MAX).map(|number| Ptr::new(name(&format!("n{number}.{SERVICE_NAME}"))));
        let listed = listed(&answer(&service, all), &service);
        assert_eq!(listed.len(), CANDIDATES_MAX);
        assert_eq!((listed[0].0.as_str(), listed[0].2), ("n0", Duration::from_secs(600)));
    }

    #[test]
    fn few_strings_of_a_text_are_looked_at() {
        let text_behind = |strings: usize| {
            let mut texts = b"\x03x=y".repeat(strings);
            texts.extend(b"\x09version=1");
            let texts = Txt::from_octets(texts).expect("it is a text");
            text(&answer(&name(SERVICE_NAME), [texts]), KEY_VERSION)
        };
        assert_eq!(text_behind(TEXTS_MAX - 1).as_deref(), Some("1"));
        assert_eq!(text_behind(TEXTS_MAX), None);
    }

    #[test]
    fn a_round_has_an_end() {
        let (now, over) = (Instant::now(), ROUND_PATIENCE + Duration::from_millis(1));
        let ends_at = |answers: &[bool]| {
            let mut patience = Patience::until(now + ROUND_PATIENCE);
            answers.iter().position(|is_answered| patience.is_over(*is_answered, now))
        };
        assert_eq!(ends_at(&[true; 1000]), None);
        assert_eq!(ends_at(&[false; 1000]), Some(2));
        // One that answers makes up for those before it.
        assert_eq!(ends_at(&[false, false, true, false, false, true]), None);
        let mut patience = Patience::until(now + ROUND_PATIENCE);
        assert!(!patience.is_over(true, now + ROUND_PATIENCE));
        assert!(patience.is_over(true, now + over));
    }

    #[test]
    fn a_question_is_asked_of_one_server_and_not_for_long() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("there is room for it");
        let server = "10.0.0.1:53".parse().expect("it is an address");
        let configuration = runtime.block_on(configuration(Some(server))).expect("nothing is read for it");
        assert_eq!(configuration.options.timeout, QUESTION_PATIENCE);
        let asked: Vec<SocketAddr> = configuration.servers.iter().map(|server| server.addr).collect();
        assert_eq!(asked, [server]);
    }
}
