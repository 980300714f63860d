//! What is known of one peer's link, and how it is shown.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use actix::Addr;
use karo_fabric::link::{SKEW_MAX_US, SKEW_WARNED_US, Status, Up};
use karo_protocol::mesh::{HISTORY_MAX, LinkMoment, LinkState, PeerRow, PeerShown};
use karo_protocol::peer::Signed;
use karo_protocol::{Timestamp, Trust};
use karo_trust::roster::{Peer, Refusal};

use crate::actors::link::LinkActor;

/// One peer's link.
#[derive(Debug)]
pub(super) struct Neighbour {
    /// Its actor.
    pub link: Addr<LinkActor>,
    /// How far it is.
    pub status: Status,
    /// With whom, while it is up.
    pub up: Option<Up>,
    /// What the peer said last that it runs.
    pub program: Option<String>,
    /// Round trip of the last ping.
    pub rtt: Option<Duration>,
    /// What its clock said when it was last met.
    pub clock: PeerClock,
    /// What it says it can do.
    pub capabilities: Vec<String>,
    /// When the next try comes.
    pub next_try: Option<(Instant, Timestamp)>,
    /// Entries of its audit that we can witness.
    pub witnessed: Option<u64>,
    /// The head of its audit that it was told last over this link.
    pub told_seen: Option<Signed>,
    /// Whether two daemons were seen with its key, since it was last linked.
    pub twins: bool,
    /// What was found of its audit, if it was cut or rewritten.
    pub rewritten: Option<String>,
    /// That it has begun another audit log, until a person has said that this is known.
    pub new_log: Option<String>,
    /// When a person last confirmed something of its audit.
    pub confirmed: Option<Instant>,
    /// Whether the link has just gone down, and its next state says how.
    pub was_up: bool,
    /// Why a person has to decide first, if so.
    pub held: Option<String>,
    history: History,
}

impl Neighbour {
    /// Makes what is known of a link that was never tried.
    pub(super) fn new(link: Addr<LinkActor>, at: Timestamp) -> Self {
        let status = Status { state: LinkState::Disconnected, since: at, reason: None, address: None };
        Self {
            link,
            status,
            up: None,
            program: None,
            rtt: None,
            clock: PeerClock::default(),
            capabilities: Vec::new(),
            next_try: None,
            witnessed: None,
            told_seen: None,
            twins: false,
            rewritten: None,
            new_log: None,
            confirmed: None,
            was_up: false,
            held: None,
            history: History::default(),
        }
    }

    /// Takes that the link is otherwise.
    pub(super) fn is(&mut self, status: Status) {
        if status.state != LinkState::Connected {
            (self.up, self.rtt) = (None, None);
        }
        if is_end(status.state) {
            self.clock.ends();
        }
        self.history.add(status.clone());
        self.status = status;
    }

    /// Returns what a person is told of this peer whenever they look, each a sentence.
    pub(super) fn notices(&self, name: &str) -> Vec<String> {
        let twins = self.twins.then(|| format!("two daemons live with the key of {name}; stop one of them"));
        let held = self.held.as_ref().map(|why| format!("{name} waits for `karoctl peers confirm`: {why}"));
        let rewritten = self.rewritten.as_ref().map(|why| format!("{name}: {why}"));
        let new_log = self.new_log.as_ref().map(|why| format!("{name}: {why}"));
        [twins, held, rewritten, new_log].into_iter().flatten().collect()
    }

    /// Returns the row of the table.
    pub(super) fn row(&self, peer: &Peer, trust: Result<Trust, Refusal>) -> PeerRow {
        let (state, reason) = match (&self.held, &trust) {
            (Some(why), _) => (LinkState::Held, Some(why.clone())),
            (None, Err(refusal)) => (LinkState::Rejected, Some(refusal.to_string())),
            (None, Ok(_)) => {
                let found = self.rewritten.clone().or_else(|| self.new_log.clone());
                (self.status.state, found.or_else(|| self.status.reason.clone()))
            }
        };
        PeerRow {
            name: peer.name.clone(),
            node_id: peer.node_id,
            fingerprint: peer.fingerprint(),
            state,
            since: self.history.since(&self.status),
            reason,
            address: self.status.address.clone().or_else(|| peer.addresses.first().map(ToString::to_string)),
            trust: trust.unwrap_or(Trust::Untrusted),
            owner: peer.owner.clone(),
            rtt_us: self.rtt.map(|rtt| rtt.as_micros() as u64),
            skew_us: self.clock.skew_us,
            version: self.program.clone(),
            expires_at: peer.expires_at,
            is_configured: peer.is_configured(),
        }
    }

    /// Returns everything, for `karoctl peers show`.
    pub(super) fn shown(&self, peer: &Peer, row: PeerRow, witnessed: Option<u64>) -> PeerShown {
        let mut advice = advice(peer, &row);
        if self.new_log.is_some() {
            advice.push(format!("if its owner has restored it: `karoctl peers confirm {}`", peer.name));
        }
        PeerShown {
            advice,
            row,
            addresses: peer.addresses.iter().map(ToString::to_string).collect(),
            history: self.history.0.iter().cloned().collect(),
            next_try_at: self.next_try.map(|(_, at)| at),
            witnessed,
            capabilities: self.capabilities.clone(),
        }
    }
}

/// What happened to a link, the newest last.
#[derive(Debug, Default)]
struct History(VecDeque<LinkMoment>);

impl History {
    /// Remembers what the link came to. A try that came to the same as the one before it is no news: a peer that
    /// is away for a night would leave nothing else to be seen.
    fn add(&mut self, Status { state, since, reason, address }: Status) {
        if self.0.back().is_some_and(|last| is_passing(last.state)) {
            self.0.pop_back();
        }
        let is_same = |last: &LinkMoment| last.state == state && last.reason == reason;
        if self.0.back().is_some_and(is_same) {
            return;
        }
        if self.0.len() >= HISTORY_MAX {
            self.0.pop_front();
        }
        self.0.push_back(LinkMoment { at: since, state, reason, address });
    }

    /// Returns since when a link is as it is.
    fn since(&self, status: &Status) -> Timestamp {
        let last = self.0.back().filter(|last| last.state == status.state);
        last.map_or(status.since, |last| last.at)
    }
}

/// Tells whether a link, or a try to have one, is over.
const fn is_end(state: LinkState) -> bool {
    !is_passing(state) && !matches!(state, LinkState::Connected)
}

/// What a peer's clock says, as long as that is worth anything: the word of a link that ended, or of a greeting that
/// was refused, holds until another try ends without one.
#[derive(Debug, Default)]
pub(super) struct PeerClock {
    /// Its clock less ours, in µs.
    pub skew_us: Option<i64>,
    is_heard: bool,
}

impl PeerClock {
    /// Takes what it says.
    pub(super) const fn says(&mut self, skew_us: i64) {
        (self.skew_us, self.is_heard) = (Some(skew_us), true);
    }

    /// Takes that a link or a try is over.
    fn ends(&mut self) {
        if !std::mem::take(&mut self.is_heard) {
            self.skew_us = None;
        }
    }

    /// Returns by how much it is wrong, or we are, if that is worth a word.
    pub(super) fn is_off_by(&self) -> Option<i64> {
        self.skew_us.filter(|skew| skew.unsigned_abs() > SKEW_WARNED_US)
    }
}

/// Says whose clocks are off, in one sentence for all of them.
pub(super) fn clocks_notice(off: &[(&str, i64)]) -> Option<String> {
    let whose = |(name, skew_us): &(&str, i64)| {
        let (seconds, sense) =
            (skew_us.unsigned_abs() / 1_000_000, if *skew_us < 0 { "behind" } else { "ahead" });
        format!("{name} {seconds} s {sense}")
    };
    let clocks = match off {
        [] => return None,
        [_] => "the clock of a peer is".to_owned(),
        [_, _, ..] => format!("the clocks of {} peers are", off.len()),
    };
    let mut named: Vec<String> = off.iter().take(CLOCKS_NAMED_MAX).map(whose).collect();
    if off.len() > CLOCKS_NAMED_MAX {
        named.push(format!("and {} more", off.len() - CLOCKS_NAMED_MAX));
    }
    let (named, most) = (named.join(", "), SKEW_MAX_US / 1_000_000);
    Some(format!("{clocks} more than a minute from this one's: {named}; past {most} s there is no link"))
}

/// Tells whether a link is on its way to another state.
const fn is_passing(state: LinkState) -> bool {
    match state {
        LinkState::Connecting | LinkState::Authenticating | LinkState::Disconnecting => true,
        LinkState::Disconnected
        | LinkState::Connected
        | LinkState::Failed
        | LinkState::Rejected
        | LinkState::TimedOut
        | LinkState::Held => false,
    }
}

/// Peers whose clocks are named in one sentence: a person mends one, and asks again.
const CLOCKS_NAMED_MAX: usize = 8;

/// Says what a person can do about a link.
fn advice(peer: &Peer, row: &PeerRow) -> Vec<String> {
    let name = &peer.name;
    let mut advice = match row.state {
        LinkState::Connected
        | LinkState::Authenticating
        | LinkState::Connecting
        | LinkState::Disconnecting => Vec::new(),
        LinkState::Held => vec![format!(
            "ask its owner whether that is meant; then `karoctl peers confirm {name}`, or `karoctl peers revoke {name}`"
        )],
        // What it was refused for is said below.
        LinkState::Rejected if row.skew_us.is_some_and(|skew| skew.unsigned_abs() > SKEW_MAX_US) => {
            Vec::new()
        }
        LinkState::Rejected => vec![
            format!("see whether {name} has this machine in its roster: `karoctl peers` there"),
            format!("`karoctl peers test {name}` tries each step of a connection"),
        ],
        LinkState::Disconnected | LinkState::Failed | LinkState::TimedOut if peer.addresses.is_empty() => {
            vec![format!("no address of {name} is known here, so it has to dial this machine")]
        }
        LinkState::Disconnected | LinkState::Failed | LinkState::TimedOut => vec![
            format!(
                "see whether karod runs on {name}, trusts this machine (with no peers it does not listen), and listens \
                 where this machine can reach it"
            ),
            format!("`karoctl peers test {name}` tries each step of a connection"),
        ],
    };
    if row.skew_us.is_some_and(|skew| skew.unsigned_abs() > SKEW_WARNED_US) {
        advice.push(format!("set the clocks: past {} s there is no link", SKEW_MAX_US / 1_000_000));
    }
    advice
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_believed_until_a_try_ends_without_its_word() {
        let mut clock = PeerClock::default();
        clock.says(90_000_000);
        clock.ends();
        assert_eq!(clock.is_off_by(), Some(90_000_000), "what it said last, when the link went down");
        clock.says(-400_000_000);
        clock.ends();
        assert_eq!(clock.is_off_by(), Some(-400_000_000), "what it is refused for");
        clock.ends();
        assert_eq!(clock.skew_us, None, "nobody was there to say it");
        clock.says(60_000_000);
        assert_eq!(clock.is_off_by(), None);
    }

    #[test]
    fn clocks_that_are_off_are_counted_and_named() {
        assert_eq!(clocks_notice(&[]), None);
        assert_eq!(
            clocks_notice(&[("desk", 312_500_000)]).as_deref(),
            Some(
                "the clock of a peer is more than a minute from this one's: desk 312 s ahead; past 300 s there is no link"
            )
        );
        let many: Vec<(&str, i64)> = (0..10).map(|_| ("desk", -70_000_000)).collect();
        let notice = clocks_notice(&many).expect("they are off");
        assert!(notice.starts_with("the clocks of 10 peers are more than a minute"), "{notice}");
        assert_eq!(notice.matches("desk 70 s behind").count(), CLOCKS_NAMED_MAX, "{notice}");
        assert!(notice.contains("and 2 more"), "{notice}");
    }

    fn status(seconds: i64, state: LinkState, reason: Option<&str>) -> Status {
        let since = Timestamp::from_micros(seconds * 1_000_000);
        Status { state, since, reason: reason.map(str::to_owned), address: None }
    }

    #[test]
    fn tries_that_come_to_the_same_are_one_moment() {
        let mut history = History::default();
        history.add(status(1, LinkState::Connected, None));
        for seconds in (10..2000).step_by(10) {
            history.add(status(seconds, LinkState::Connecting, Some("refused")));
            history.add(status(seconds + 1, LinkState::Failed, Some("refused")));
        }
        let now = status(2000, LinkState::Connecting, Some("refused"));
        assert_eq!(history.since(&status(1991, LinkState::Failed, Some("refused"))).as_micros(), 11_000_000);
        history.add(now.clone());
        let seen: Vec<(i64, LinkState)> =
            history.0.iter().map(|moment| (moment.at.as_micros() / 1_000_000, moment.state)).collect();
        let expected = [(1, LinkState::Connected), (11, LinkState::Failed), (2000, LinkState::Connecting)];
        assert_eq!(seen, expected);
        assert_eq!(history.since(&now).as_micros(), 2_000_000_000);
        history.add(status(2001, LinkState::Failed, Some("no route")));
        assert_eq!(history.0.len(), 3);
    }

    #[test]
    fn only_so_many_moments_are_remembered() {
        let mut history = History::default();
        for seconds in 0..200 {
            let state = if seconds % 2 == 0 { LinkState::Connected } else { LinkState::Disconnected };
            history.add(status(seconds, state, None));
        }
        assert_eq!(history.0.len(), HISTORY_MAX);
        assert_eq!(history.0.back().map(|moment| moment.at.as_micros()), Some(199_000_000));
    }
}
