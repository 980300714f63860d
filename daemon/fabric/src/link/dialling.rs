//! When a peer is dialled, and what a dial came to.

use std::time::{Duration, Instant};

use karo_protocol::mesh::LinkState;
use karo_protocol::peer::Parting;

use super::session::Session;
use super::words::{Loss, Moment, Output};
use super::{DIAL_INTERVAL_MIN, DIAL_PATIENCE, Leave, Machine, WAKE_PATIENCE, refused};

/// What is being done to get a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialling {
    /// Nothing: the link is up, or nothing may be done.
    Resting,
    /// The next try comes then.
    Waiting { until: Instant },
    /// A try is under way.
    Trying { began: Instant, is_authenticating: bool },
}

impl Machine {
    pub(super) fn on_dial_timeout(&mut self, at: Moment, outputs: &mut Vec<Output>) {
        match self.dialling {
            Dialling::Waiting { until } if at.now >= until => {
                self.dialling = Dialling::Trying { began: at.now, is_authenticating: false };
                self.last_dial = Some(at.now);
                outputs.push(Output::Dial);
            }
            Dialling::Trying { began, .. } if at.now >= began + DIAL_PATIENCE => {
                outputs.push(Output::Abandon);
                self.failed_dial(&Loss::TimedOut("no answer within 10 s".to_owned()), at, outputs);
            }
            Dialling::Resting | Dialling::Waiting { .. } | Dialling::Trying { .. } => {}
        }
    }

    /// Dials beside a link that did not answer after the network changed.
    pub(super) fn on_suspect(&mut self, at: Moment) {
        let Some(since) = self.suspect_since else { return };
        let heard = self.primary.and_then(|primary| self.sessions.get(&primary)).map(Session::last_received);
        if heard.is_none_or(|heard| heard > since) {
            self.suspect_since = None;
        } else if at.now >= since + WAKE_PATIENCE {
            self.suspect_since = None;
            self.seek(Duration::ZERO, at);
        }
    }

    pub(super) fn failed_dial(&mut self, loss: &Loss, at: Moment, outputs: &mut Vec<Output>) {
        let Dialling::Trying { began, .. } = self.dialling else { return };
        self.dialling = Dialling::Resting;
        // A connection that breaks before the handshake is done was none.
        let state = match loss {
            Loss::Closed | Loss::Broken(_) => LinkState::Failed,
            Loss::Unreachable(_) | Loss::TimedOut(_) | Loss::Refused(_) | Loss::Protocol(_) => loss.state(),
        };
        self.because = (state, Some(loss.reason()));
        if let Loss::Refused(message) = loss {
            outputs.push(refused(Parting::Untrusted, message.clone(), false));
        }
        if self.primary.is_some() {
            return;
        }
        // A wait counts from the beginning of the try: one that hung for ten seconds has waited already.
        let wait = self.backoff.next(self.because.0 == LinkState::Rejected);
        let waited = at.now.saturating_duration_since(began);
        self.seek(wait.saturating_sub(waited).max(DIAL_INTERVAL_MIN), at);
    }

    /// Sees to it that the peer is dialled so long from now, if it may be.
    pub(super) fn seek(&mut self, wait: Duration, at: Moment) {
        if !self.may_dial || self.leave != Leave::Given || matches!(self.dialling, Dialling::Trying { .. }) {
            return;
        }
        let earliest = self.last_dial.map_or(at.now, |last| last + DIAL_INTERVAL_MIN);
        self.dialling = Dialling::Waiting { until: (at.now + wait).max(earliest) };
    }

    pub(super) fn abandon(&mut self, outputs: &mut Vec<Output>) {
        if let Dialling::Trying { .. } = self.dialling {
            outputs.push(Output::Abandon);
        }
        self.dialling = Dialling::Resting;
    }
}
