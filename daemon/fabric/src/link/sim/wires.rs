//! The connections of the small world: what gets through, when, and what an end that is gone answers.

use super::*;

/// What goes over a connection.
#[derive(Debug, Clone)]
pub(super) enum Segment {
    Frame(u16, Control),
    End,
    Reset,
}

/// One end of a connection.
#[derive(Debug, Default)]
pub(super) struct End {
    /// Its number at its node, once the handshake is done there.
    pub(super) connection: Option<ConnectionId>,
    pub(super) is_gone: bool,
    /// When what was sent to this end last arrives.
    pub(super) last_arrival: Duration,
    /// What did not get through yet, and how often that was tried.
    pub(super) stalled: VecDeque<Segment>,
    pub(super) tries: u32,
}

#[derive(Debug)]
pub(super) struct Wire {
    pub(super) dialler: usize,
    /// The dial that it belongs to.
    pub(super) serial: u64,
    /// Nothing goes over it any more, and nobody says so.
    pub(super) is_forgotten: bool,
    pub(super) ends: [End; 2],
}

impl World {
    /// One end is gone; the other hears of it if anything gets through.
    pub(super) fn end(&mut self, wire: u64, node: usize, how: Segment) {
        let Some(end) = self.wires.get_mut(&wire).map(|wire| &mut wire.ends[node]) else { return };
        if !end.is_gone {
            end.is_gone = true;
            end.stalled.clear();
            self.transmit(wire, 1 - node, how);
        }
    }

    pub(super) fn latency(&mut self) -> Duration {
        let delay = self.delay_ms;
        let mut latency = self.dice.ms(delay / 2, delay * 2);
        let mut again = Duration::from_millis(200);
        while self.dice.below(100) < self.loss_in_100 {
            latency += again;
            again *= 2;
        }
        latency
    }

    pub(super) fn transmit(&mut self, wire: u64, to: usize, segment: Segment) {
        let arrival = self.now + self.latency();
        let Some(end) = self.wires.get_mut(&wire).map(|wire| &mut wire.ends[to]) else { return };
        end.last_arrival = end.last_arrival.max(arrival);
        let after = end.last_arrival - self.now;
        self.at(after, Happening::Arrival { wire, to, segment });
    }

    pub(super) fn arrive(&mut self, wire: u64, to: usize, segment: Segment) {
        let is_blocked = self.is_blocked[1 - to];
        let Some(Wire { is_forgotten, ends, .. }) = self.wires.get_mut(&wire) else { return };
        let end = &mut ends[to];
        if *is_forgotten {
            return;
        }
        if is_blocked || !end.stalled.is_empty() || end.connection.is_none() && !end.is_gone {
            let is_first = end.stalled.is_empty() && is_blocked;
            end.stalled.push_back(segment);
            if is_first {
                end.tries = 0;
                self.at(Duration::from_millis(200), Happening::Retry { wire, to });
            }
            return;
        }
        self.deliver(wire, to, segment);
    }

    pub(super) fn retry(&mut self, wire: u64, to: usize) {
        let is_blocked = self.is_blocked[1 - to];
        let Some(Wire { is_forgotten: false, ends, .. }) = self.wires.get_mut(&wire) else { return };
        let end = &mut ends[to];
        if is_blocked {
            end.tries += 1;
            let wait = Duration::from_millis(200 << end.tries.min(9));
            return self.at(wait, Happening::Retry { wire, to });
        }
        if end.connection.is_some() || end.is_gone {
            for segment in std::mem::take(&mut end.stalled) {
                self.deliver(wire, to, segment);
            }
        }
    }

    pub(super) fn deliver(&mut self, wire: u64, to: usize, segment: Segment) {
        let Some(end) = self.wires.get_mut(&wire).map(|wire| &mut wire.ends[to]) else { return };
        let (Some(connection), false) = (end.connection, end.is_gone) else {
            // Nobody is there: what is no reset is answered by one.
            if let Segment::Frame(..) = segment {
                self.transmit(wire, 1 - to, Segment::Reset);
            }
            return;
        };
        let loss = match segment {
            Segment::Frame(version, control) => {
                return self
                    .call(to, |machine, at| machine.on_control(connection, version, Some(control), at));
            }
            Segment::End => Loss::Closed,
            Segment::Reset => Loss::Broken("reset".to_owned()),
        };
        end.is_gone = true;
        self.nodes[to].wires.remove(&connection);
        self.note(format!("{to} loses {}", connection.0));
        self.call(to, |machine, at| machine.on_lost(connection, &loss, at));
    }
}
