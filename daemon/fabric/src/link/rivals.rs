//! Several connections to one peer: which of them is the link, as [`crate::several`] has it.

use std::time::Instant;

use karo_protocol::mesh::LinkState;
use karo_protocol::node::Nonce;
use karo_protocol::peer::{Goodbye, Parting};

use super::session::Session;
use super::words::{ConnectionId, LinkEvent, Moment, Output};
use super::{Machine, TWINS_REST};
use crate::several::{self, Answered, PATIENCE, Verdict};

/// What is said of twins.
pub(super) const TWINS: &str =
    "two daemons live with this key; stop one of them, or give it an identity of its own";

/// The older of two links was asked whether it lives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Contest {
    pub(super) newer: ConnectionId,
    /// The ping that it has to answer.
    pub(super) number: u64,
    pub(super) until: Instant,
}

impl Machine {
    /// A connection is open: it is the link, or there is one too many.
    pub(super) fn on_open(&mut self, connection: ConnectionId, at: Moment, outputs: &mut Vec<Output>) {
        if self.primary.is_none() {
            self.rise(connection, outputs);
        } else if self.contest.is_none() {
            self.compare(connection, at, outputs);
        }
        // Whoever opens during a contest waits for its end.
    }

    pub(super) fn rise(&mut self, connection: ConnectionId, outputs: &mut Vec<Output>) {
        self.primary = Some(connection);
        self.suspect_since = None;
        self.abandon(outputs);
        let up = self.sessions.get(&connection).and_then(Session::up);
        outputs.extend(up.map(|up| Output::Tell(LinkEvent::Up(up))));
    }

    /// Holds a new connection against the link.
    pub(super) fn compare(&mut self, newer: ConnectionId, at: Moment, outputs: &mut Vec<Output>) {
        let Some(older) = self.primary else { return };
        let rival = |connection| self.sessions.get(&connection).and_then(Session::rival);
        let (Some(old), Some(new)) = (rival(older), rival(newer)) else { return };
        match several::judge(&old, &new) {
            Verdict::Older => self.supersede(newer, at, outputs),
            Verdict::Newer => self.replace(newer, at, outputs),
            Verdict::Ask => {
                let Some(session) = self.sessions.get_mut(&older) else { return };
                let number = session.ping(self.head.as_ref(), at, outputs);
                self.contest = Some(Contest { newer, number, until: at.now + PATIENCE });
            }
        }
    }

    /// The older link was silent for too long.
    pub(super) fn on_silent(&mut self, at: Moment, outputs: &mut Vec<Output>) {
        if let Some(contest) = self.contest.take() {
            self.replace(contest.newer, at, outputs);
            self.next_rival(at, outputs);
        }
    }

    /// A ping was answered: it may have been the one that decides between two links.
    pub(super) fn on_answer(
        &mut self,
        connection: ConnectionId,
        number: u64,
        run: Nonce,
        at: Moment,
        outputs: &mut Vec<Output>,
    ) {
        let Some(contest) = self.contest else { return };
        if self.primary != Some(connection) || number < contest.number {
            return;
        }
        self.contest = None;
        let newer = self.sessions.get(&contest.newer).and_then(Session::rival);
        match newer.map(|newer| (several::judge_answer(run, &newer), newer)) {
            None => {}
            Some((Answered::Older, _)) => self.supersede(contest.newer, at, outputs),
            Some((Answered::Twins, newer)) => return self.twins(run, newer.run, at, outputs),
        }
        self.next_rival(at, outputs);
    }

    /// Both links go down, and whoever has that key rests: nobody can tell which of the two is meant.
    pub(super) fn twins(&mut self, older: Nonce, newer: Nonce, at: Moment, outputs: &mut Vec<Output>) {
        outputs.push(Output::Tell(LinkEvent::Twins { older, newer }));
        self.close_all(Parting::Twins, TWINS, at, outputs);
        self.twins_until = Some(at.now + TWINS_REST);
        self.because = (LinkState::Rejected, Some(TWINS.to_owned()));
        self.seek(TWINS_REST, at);
    }

    /// Closes a connection that is one too many.
    pub(super) fn supersede(&mut self, connection: ConnectionId, at: Moment, outputs: &mut Vec<Output>) {
        if let Some(session) = self.sessions.get_mut(&connection) {
            let goodbye = Goodbye { reason: Parting::Superseded, message: "another link is kept".to_owned() };
            outputs.push(session.close(goodbye, at.now));
        }
    }

    /// Lets the newer connection be the link.
    pub(super) fn replace(&mut self, newer: ConnectionId, at: Moment, outputs: &mut Vec<Output>) {
        let older = self.primary.replace(newer);
        if let Some(older) = older {
            self.supersede(older, at, outputs);
        }
        self.suspect_since = None;
        let up = self.sessions.get(&newer).and_then(Session::up);
        outputs.extend(up.map(|up| Output::Tell(LinkEvent::Moved(up))));
    }

    /// After a contest, looks for one more open connection that is not the link.
    pub(super) fn next_rival(&mut self, at: Moment, outputs: &mut Vec<Output>) {
        while self.contest.is_none() {
            let open = |(id, session): (&ConnectionId, &Session)| {
                (session.is_open() && self.primary != Some(*id)).then_some(*id)
            };
            let Some(rival) = self.sessions.iter().find_map(open) else { return };
            self.compare(rival, at, outputs);
        }
    }
}
