//! What is known of one peer's link, and how it is shown.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use actix::Addr;
use karo_fabric::link::{Status, Up};
use karo_protocol::mesh::{HISTORY_MAX, LinkMoment, LinkState, PeerRow, PeerShown};
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
    /// Its clock less ours, in µs.
    pub skew_us: Option<i64>,
    /// What it says it can do.
    pub capabilities: Vec<String>,
    /// When the next try comes.
    pub next_try: Option<(Instant, Timestamp)>,
    /// Entries of its audit that we can witness.
    pub witnessed: Option<u64>,
    /// What was found of its audit, if it was cut or rewritten.
    pub rewritten: Option<String>,
    /// That it has begun another audit log, until a person has said that this is known.
    pub new_log: Option<String>,
    /// Whether the link has just gone down, and its next state says how.
    pub was_up: bool,
    /// Why a person has to decide first, if so.
    pub held: Option<String>,
    history: VecDeque<LinkMoment>,
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
            skew_us: None,
            capabilities: Vec::new(),
            next_try: None,
            witnessed: None,
            rewritten: None,
            new_log: None,
            was_up: false,
            held: None,
            history: VecDeque::new(),
        }
    }

    /// Takes that the link is otherwise.
    pub(super) fn is(&mut self, status: Status) {
        let Status { state, since, reason, address } = status.clone();
        if self.history.len() >= HISTORY_MAX {
            self.history.pop_front();
        }
        self.history.push_back(LinkMoment { at: since, state, reason, address });
        if state != LinkState::Connected {
            (self.up, self.rtt) = (None, None);
        }
        self.status = status;
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
            since: self.status.since,
            reason,
            address: self.status.address.clone().or_else(|| peer.addresses.first().map(ToString::to_string)),
            trust: trust.unwrap_or(Trust::Untrusted),
            owner: peer.owner.clone(),
            rtt_us: self.rtt.map(|rtt| rtt.as_micros() as u64),
            skew_us: self.skew_us,
            version: self.program.clone(),
            expires_at: peer.expires_at,
            is_configured: peer.is_configured(),
        }
    }

    /// Returns everything, for `karoctl peers show`.
    pub(super) fn shown(&self, peer: &Peer, row: PeerRow, witnessed: Option<u64>) -> PeerShown {
        PeerShown {
            advice: advice(peer, &row),
            row,
            addresses: peer.addresses.iter().map(ToString::to_string).collect(),
            history: self.history.iter().cloned().collect(),
            next_try_at: self.next_try.map(|(_, at)| at),
            witnessed,
            capabilities: self.capabilities.clone(),
        }
    }
}

/// Clocks that are further apart are worth a word, in µs; past five minutes there is no link.
const SKEW_WORTH_A_WORD_US: u64 = 60_000_000;

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
        LinkState::Rejected => vec![
            format!("see whether {name} has this machine in its roster: `karoctl peers` there"),
            format!("`karoctl peers test {name}` tries each step of a connection"),
        ],
        LinkState::Disconnected | LinkState::Failed | LinkState::TimedOut if peer.addresses.is_empty() => {
            vec![format!("no address of {name} is known here, so it has to dial this machine")]
        }
        LinkState::Disconnected | LinkState::Failed | LinkState::TimedOut => vec![
            format!("see whether karod runs on {name} and listens where this machine can reach it"),
            format!("`karoctl peers test {name}` tries each step of a connection"),
        ],
    };
    if row.skew_us.is_some_and(|skew| skew.unsigned_abs() > SKEW_WORTH_A_WORD_US) {
        advice.push("set the clocks: past five minutes there is no link".to_owned());
    }
    advice
}
