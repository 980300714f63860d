//! The candidates: few, and forgotten in time.
//!
//! Pure: the moment is an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use karo_fabric::link::Moment;
use karo_protocol::Timestamp;
use karo_protocol::mesh::Candidate;
use karo_protocol::node::Fingerprint;

use super::sighting::{Sighting, Source};

/// Candidates of one source: more than a person looks through, and a network can announce any number.
pub(super) const CANDIDATES_MAX: usize = 128;

/// Bounds of how long a candidate is believed without being seen again: its time to live, but not so short that it
/// comes and goes between two rounds, nor longer than multicast DNS lets a record live.
const LIFE_MIN: Duration = Duration::from_secs(6 * 60);
const LIFE_MAX: Duration = Duration::from_secs(75 * 60);

/// What became of a sighting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offered {
    /// It was not known.
    New,
    /// It was.
    Known,
    /// There are too many already.
    Refused,
}

/// What was seen, and not yet forgotten.
#[derive(Debug, Default)]
pub(super) struct Candidates(BTreeMap<(Source, String), Found>);

#[derive(Debug)]
struct Found {
    sighting: Sighting,
    seen_at: Timestamp,
    until: Option<Instant>,
}

impl Found {
    fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl Candidates {
    /// Takes in a sighting. It is forgotten when its time to live is over; without one, when it is withdrawn.
    pub(super) fn offer(
        &mut self,
        source: Source,
        sighting: Sighting,
        live: Option<Duration>,
        at: Moment,
    ) -> Offered {
        self.0.retain(|_, found| !found.is_over(at.now));
        let key = (source, sighting.name.clone());
        let is_known = self.0.contains_key(&key);
        if !is_known && self.0.keys().filter(|(other, _)| *other == source).count() >= CANDIDATES_MAX {
            return Offered::Refused;
        }
        let until = live.map(|live| at.now + live.clamp(LIFE_MIN, LIFE_MAX));
        self.0.insert(key, Found { sighting, seen_at: at.wall, until });
        if is_known { Offered::Known } else { Offered::New }
    }

    /// Forgets one that is withdrawn.
    pub(super) fn withdraw(&mut self, source: Source, name: String) {
        self.0.remove(&(source, name));
    }

    /// Forgets all of a source that are not among these: it has just named everyone.
    pub(super) fn keep_only(&mut self, source: Source, names: &BTreeSet<String>) {
        self.0.retain(|(other, name), _| *other != source || names.contains(name));
    }

    /// Forgets everything of a source.
    pub(super) fn clear(&mut self, source: Source) {
        self.keep_only(source, &BTreeSet::new());
    }

    /// Returns them in the order of source and name, without this machine itself. `peer` knows the names of peers by
    /// the fingerprints of their keys.
    pub(super) fn shown(
        &self,
        now: Instant,
        own: Option<Fingerprint>,
        peer: impl Fn(Fingerprint) -> Option<String>,
    ) -> Vec<Candidate> {
        let others = self
            .0
            .iter()
            .filter(|(_, found)| !found.is_over(now) && (own.is_none() || found.sighting.fingerprint != own));
        let candidate =
            |((source, _), Found { sighting, seen_at, .. }): (&(Source, String), &Found)| Candidate {
                fingerprint: sighting.fingerprint,
                name: sighting.name.clone(),
                addresses: sighting.addresses.clone(),
                version: sighting.version.clone(),
                source: source.name().to_owned(),
                seen_at: *seen_at,
                peer: sighting.fingerprint.and_then(&peer),
            };
        others.map(candidate).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(start: Instant, seconds: u64) -> Moment {
        let wall = Timestamp::from_micros(1_000_000 * seconds.cast_signed());
        Moment { now: start + Duration::from_secs(seconds), wall }
    }

    fn sighting(name: &str, fingerprint: u8) -> Sighting {
        let fingerprint = Fingerprint([fingerprint; 8]).to_string();
        Sighting::new(name.to_owned(), Some(&fingerprint), None)
    }

    fn names(candidates: &Candidates, at: Moment) -> Vec<String> {
        candidates.shown(at.now, None, |_| None).into_iter().map(|found| found.name).collect()
    }

    #[test]
    fn a_source_has_so_many_and_no_more() {
        let (start, mut candidates) = (Instant::now(), Candidates::default());
        let at = moment(start, 0);
        for number in 0..10 * CANDIDATES_MAX {
            let offered = candidates.offer(Source::Mdns, sighting(&format!("n{number}"), 1), None, at);
            assert_eq!(offered, if number < CANDIDATES_MAX { Offered::New } else { Offered::Refused });
        }
        assert_eq!(names(&candidates, at).len(), CANDIDATES_MAX);
        // Neither those that are known nor another source suffer from it.
        assert_eq!(candidates.offer(Source::Mdns, sighting("n0", 2), None, at), Offered::Known);
        assert_eq!(candidates.offer(Source::DnsSd, sighting("zone", 3), None, at), Offered::New);
        candidates.clear(Source::Mdns);
        assert_eq!(names(&candidates, at), ["zone"]);
    }

    #[test]
    fn what_is_not_seen_again_is_forgotten() {
        let (start, mut candidates) = (Instant::now(), Candidates::default());
        let mut offer = |name, live, seconds| {
            let live = Some(Duration::from_secs(live));
            candidates.offer(Source::DnsSd, sighting(name, 1), live, moment(start, seconds));
        };
        offer("short", 1, 0);
        offer("hour", 3600, 0);
        offer("years", u64::from(u32::MAX), 0);
        offer("again", 600, 0);
        offer("again", 600, 300);
        let seen = |seconds| names(&candidates, moment(start, seconds));
        assert_eq!(seen(359), ["again", "hour", "short", "years"]);
        assert_eq!(seen(360), ["again", "hour", "years"]);
        assert_eq!(seen(899), ["again", "hour", "years"]);
        assert_eq!(seen(900), ["hour", "years"]);
        assert_eq!(seen(3600), ["years"]);
        assert_eq!(seen(75 * 60), Vec::<String>::new());
        // And they make room.
        candidates.offer(Source::Mdns, sighting("new", 1), None, moment(start, 75 * 60));
        assert_eq!(candidates.0.len(), 1);
    }

    #[test]
    fn what_is_withdrawn_is_gone() {
        let (start, mut candidates) = (Instant::now(), Candidates::default());
        let at = moment(start, 0);
        for (source, name) in
            [(Source::Mdns, "a"), (Source::Mdns, "b"), (Source::DnsSd, "a"), (Source::DnsSd, "b")]
        {
            candidates.offer(source, sighting(name, 1), None, at);
        }
        candidates.withdraw(Source::Mdns, "a".to_owned());
        candidates.keep_only(Source::DnsSd, &BTreeSet::from(["a".to_owned()]));
        let shown = candidates.shown(at.now, None, |_| None);
        let shown: Vec<_> = shown.iter().map(|found| (found.source.as_str(), found.name.as_str())).collect();
        assert_eq!(shown, [("mdns", "b"), ("dns-sd", "a")]);
    }

    #[test]
    fn this_machine_is_no_candidate_and_peers_are_named() {
        let (start, mut candidates) = (Instant::now(), Candidates::default());
        let at = moment(start, 7);
        candidates.offer(Source::Mdns, sighting("own", 1), None, at);
        candidates.offer(Source::Mdns, sighting("peer", 2), None, at);
        candidates.offer(Source::Mdns, Sighting::new("silent".to_owned(), None, None), None, at);
        let own = Some(Fingerprint([1; 8]));
        let shown = candidates.shown(at.now, own, |other| (other.0[0] == 2).then(|| "laptop".to_owned()));
        let shown: Vec<_> = shown.iter().map(|found| (found.name.as_str(), found.peer.as_deref())).collect();
        assert_eq!(shown, [("peer", Some("laptop")), ("silent", None)]);
        assert_eq!(names(&candidates, at).len(), 3);
    }
}
