//! One question to many nodes: asked at most so many at a time, waited for until a deadline, never longer.
//!
//! Pure: it says whom to ask, is told who answered, and says when it is done. Whoever has not answered by then is
//! [`Status::NoResponse`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use karo_protocol::NodeId;
use karo_protocol::answer::Status;

/// Questions under way at once: what a link's mailbox and a burst of answers are made for.
pub const IN_FLIGHT_MAX: usize = 64;

/// How long is waited for all answers together.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// A question on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FanOut {
    waiting: VecDeque<NodeId>,
    asked: BTreeSet<NodeId>,
    answers: BTreeMap<NodeId, Status>,
    deadline: Instant,
}

impl FanOut {
    /// Begins a question; returns whom to ask first.
    pub fn start(nodes: BTreeSet<NodeId>, now: Instant, patience: Duration) -> (Self, Vec<NodeId>) {
        let mut fanout = Self {
            waiting: nodes.into_iter().collect(),
            asked: BTreeSet::new(),
            answers: BTreeMap::new(),
            deadline: now + patience,
        };
        let first = fanout.next();
        (fanout, first)
    }

    /// Takes an answer; returns whom to ask next. What nobody asked for, or comes twice, changes nothing.
    pub fn on_answer(&mut self, from: NodeId, status: Status) -> Vec<NodeId> {
        if !self.asked.remove(&from) {
            return Vec::new();
        }
        self.answers.insert(from, status);
        self.next()
    }

    /// Gives up on whoever has not answered by the deadline.
    pub fn on_timeout(&mut self, now: Instant) {
        if now >= self.deadline {
            let silent = std::mem::take(&mut self.asked).into_iter().chain(std::mem::take(&mut self.waiting));
            self.answers.extend(silent.map(|node| (node, Status::NoResponse)));
        }
    }

    /// Tells whether nothing is waited for any more.
    pub fn is_done(&self) -> bool {
        self.asked.is_empty() && self.waiting.is_empty()
    }

    /// Tells whether this node was asked and has not answered.
    pub fn awaits(&self, node: &NodeId) -> bool {
        self.asked.contains(node)
    }

    /// Returns when [`on_timeout`](Self::on_timeout) is due.
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Returns what became of it at each node.
    pub const fn answers(&self) -> &BTreeMap<NodeId, Status> {
        &self.answers
    }

    fn next(&mut self) -> Vec<NodeId> {
        let room = IN_FLIGHT_MAX.saturating_sub(self.asked.len()).min(self.waiting.len());
        let next: Vec<NodeId> = self.waiting.drain(..room).collect();
        self.asked.extend(next.iter().copied());
        next
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an instant is made of nothing else")]
mod tests {
    use super::*;

    fn nodes(count: u8) -> BTreeSet<NodeId> {
        (0..count).map(|number| NodeId([number; 32])).collect()
    }

    #[test]
    fn all_are_asked_and_never_too_many_at_once() {
        let now = Instant::now();
        let (mut fanout, mut under_way) = FanOut::start(nodes(200), now, PATIENCE);
        let mut asked = under_way.len();
        assert_eq!(asked, IN_FLIGHT_MAX);
        while let Some(node) = under_way.pop() {
            let next = fanout.on_answer(node, Status::Success);
            asked += next.len();
            under_way.extend(next);
            assert!(under_way.len() <= IN_FLIGHT_MAX);
        }
        assert_eq!((asked, fanout.answers().len()), (200, 200));
        assert!(fanout.is_done());
    }

    #[test]
    fn the_silent_are_given_up_at_the_deadline_and_not_before() {
        let now = Instant::now();
        let (mut fanout, _) = FanOut::start(nodes(70), now, PATIENCE);
        fanout.on_answer(NodeId([3; 32]), Status::NoData);
        fanout.on_timeout(now + PATIENCE - Duration::from_millis(1));
        assert!(!fanout.is_done());
        fanout.on_timeout(now + PATIENCE);
        assert!(fanout.is_done());
        let silent = fanout.answers().values().filter(|status| **status == Status::NoResponse).count();
        assert_eq!((silent, fanout.answers()[&NodeId([3; 32])]), (69, Status::NoData));
    }

    #[test]
    fn what_was_not_asked_or_comes_twice_changes_nothing() {
        let (mut fanout, _) = FanOut::start(nodes(2), Instant::now(), PATIENCE);
        fanout.on_answer(NodeId([0; 32]), Status::Success);
        fanout.on_answer(NodeId([0; 32]), Status::Error);
        fanout.on_answer(NodeId([9; 32]), Status::Error);
        assert_eq!(fanout.answers().len(), 1);
        assert_eq!(fanout.answers()[&NodeId([0; 32])], Status::Success);
    }
}
