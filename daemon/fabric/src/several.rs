//! The rule for two links to one peer: one of them stays, and both sides keep the same one.
//!
//! Two nodes may dial each other in the same instant, a machine may come back from another address while its old
//! link looks alive, and a copy of a disk may run with the key of its original. If both handshakes fall within
//! [`TOGETHER`] and the run of the peer's daemon is the same, the link that was dialled by the smaller key stays.
//! Otherwise the older is pinged: when it is silent for [`PATIENCE`] the newer stays; when it answers under the
//! newer's run the older stays; when it answers under another run, two daemons live with one key.

use std::time::{Duration, Instant};

use karo_protocol::node::{NodeId, Nonce};

/// Two handshakes this close to each other were dialled at once.
pub const TOGETHER: Duration = Duration::from_secs(10);

/// How long the older link has to answer.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// One of two links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rival {
    /// When its TLS handshake was done.
    pub authenticated_at: Instant,
    /// Which run of the peer's daemon greeted.
    pub run: Nonce,
    /// Both keys, the dialler's first.
    pub keys: (NodeId, NodeId),
}

/// What becomes of two links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The older stays.
    Older,
    /// The newer stays.
    Newer,
    /// The older has to show first that it lives.
    Ask,
}

/// What an answer of the older link means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// One daemon, and the older link lives: it stays.
    Older,
    /// Two daemons with one key: neither stays.
    Twins,
}

/// Judges two links to one peer.
pub fn judge(older: &Rival, newer: &Rival) -> Verdict {
    let apart = newer.authenticated_at.saturating_duration_since(older.authenticated_at);
    let (dialler, listener) = older.keys;
    if apart > TOGETHER || older.run != newer.run || newer.keys != (listener, dialler) {
        return Verdict::Ask;
    }
    if dialler < listener { Verdict::Older } else { Verdict::Newer }
}

/// Judges the answer of the older link.
pub fn judge_answer(answered: Nonce, newer: &Rival) -> Answered {
    if answered == newer.run { Answered::Older } else { Answered::Twins }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: NodeId = NodeId([1; 32]);
    const GREAT: NodeId = NodeId([2; 32]);
    const RUN: Nonce = Nonce([7; 16]);
    const OTHER: Nonce = Nonce([8; 16]);

    #[test]
    fn the_smaller_key_dialled_the_one_that_stays() {
        let begin = Instant::now();
        let rival = |after_ms, run, dialler, listener| Rival {
            authenticated_at: begin + Duration::from_millis(after_ms),
            run,
            keys: (dialler, listener),
        };
        let by_small = rival(0, RUN, SMALL, GREAT);
        let by_great = rival(0, RUN, GREAT, SMALL);
        let check = |older: Rival, newer: Rival, verdict| assert_eq!(judge(&older, &newer), verdict);
        check(by_small, rival(10_000, RUN, GREAT, SMALL), Verdict::Older);
        check(by_great, rival(10_000, RUN, SMALL, GREAT), Verdict::Newer);
        check(by_great, by_small, Verdict::Newer);
        // Not at once, not the same run, or both dialled by one side.
        check(by_small, rival(10_001, RUN, GREAT, SMALL), Verdict::Ask);
        check(by_great, rival(10_001, RUN, SMALL, GREAT), Verdict::Ask);
        check(by_great, rival(1, OTHER, SMALL, GREAT), Verdict::Ask);
        check(by_small, rival(1, RUN, SMALL, GREAT), Verdict::Ask);
        check(by_great, rival(1, RUN, GREAT, SMALL), Verdict::Ask);
    }

    #[test]
    fn an_answer_under_another_run_names_twins() {
        let newer = Rival { authenticated_at: Instant::now(), run: RUN, keys: (SMALL, GREAT) };
        assert_eq!(judge_answer(RUN, &newer), Answered::Older);
        assert_eq!(judge_answer(OTHER, &newer), Answered::Twins);
    }
}
