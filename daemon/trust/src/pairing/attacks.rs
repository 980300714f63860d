//! Machines in the middle, and what they try.

use super::tests::{EXPORTER, End, code, own};
use super::*;
use crate::testing::{Dice, Key, start};

/// What a machine in the middle can try before the dialler's nonce is opened to the listener. However many: the
/// listener takes one opening.
const TRIES: u64 = 20_000;

/// A listener that has shown its nonce to somebody who is committed to another.
struct Challenged {
    now: Instant,
    middle: Key,
    listener: End,
    listener_nonce: Hash,
}

impl Challenged {
    /// The middle commits itself to the nonce of that seed.
    fn with(committed: Hash) -> Self {
        let now = start();
        let (middle, mut listener) = (Key::of(66), End::listener(2, code(), now));
        listener.connect(middle.node_id(), EXPORTER, now);
        let commitment = commitment(&middle.node_id(), &listener.key.node_id(), &committed);
        let commit = PairCommit { code: code().to_string(), commitment };
        let answer = listener.hear(PairMessage::Commit(commit), now);
        let [PairMessage::Nonce(PairNonce { nonce })] = answer[..] else {
            panic!("a nonce is the answer, not {answer:?}");
        };
        Self { now, middle, listener, listener_nonce: nonce }
    }

    /// Returns the words that the listener would show for that opening.
    fn words(&self, nonce: Hash) -> [&'static str; 4] {
        let transcript = Transcript {
            dialler: self.middle.node_id(),
            listener: self.listener.key.node_id(),
            dialler_nonce: nonce,
            listener_nonce: self.listener_nonce,
            exporter: EXPORTER,
        };
        transcript.words()
    }
}

fn nonce(seed: u64) -> Hash {
    Hash(Dice(seed).draw())
}

/// With unlimited work an opening is found whose words are whatever they should be; it is not the one that was
/// committed to. (Here the work is bounded, and the first word is what is looked for.)
#[test]
fn a_nonce_that_was_ground_is_refused() {
    let mut challenged = Challenged::with(nonce(0));
    let sought = "walnut";
    let ground = (1..TRIES).map(nonce).find(|nonce| challenged.words(*nonce)[0] == sought);
    let ground = ground.expect("one in 1024 begins with that word");
    challenged.listener.hear(PairMessage::Nonce(PairNonce { nonce: ground }), challenged.now);
    assert_eq!(challenged.listener.failed(), Some(Failure::Commitment));
    assert_eq!(challenged.listener.words, None);
}

#[test]
fn a_nonce_that_was_committed_to_is_taken() {
    let mut challenged = Challenged::with(nonce(0));
    let expected = challenged.words(nonce(0));
    challenged.listener.hear(PairMessage::Nonce(PairNonce { nonce: nonce(0) }), challenged.now);
    assert_eq!(challenged.listener.words, Some(expected));
}

/// A commitment is to the two keys as well: one that is passed on is of no use.
#[test]
fn a_commitment_that_was_passed_on_is_refused() {
    let now = start();
    let (middle, mut dialler, mut listener) =
        (Key::of(66), End::dialler(1, code(), now), End::listener(2, code(), now));
    listener.connect(middle.node_id(), EXPORTER, now);
    let commit = dialler.connect(middle.node_id(), [8; 32], now);
    let challenge = listener.hear(commit[0].clone(), now);
    let opening = dialler.hear(challenge[0].clone(), now);
    listener.hear(opening[0].clone(), now);
    assert_eq!(listener.failed(), Some(Failure::Commitment));
}

/// A machine in the middle that follows the protocol on both sides, with keys of its own or one for both.
#[test]
fn the_two_people_see_different_words() {
    let now = start();
    for seed in 0..200 {
        let middles = [Key::of(66 + seed), Key::of(66)];
        let (mut dialler, mut listener) =
            (End::dialler(1000 + seed, code(), now), End::listener(2000 + seed, code(), now));
        let mut to_dialler = Pairing::listen(own(&middles[0], 1), code(), &mut Dice(seed), now);
        let mut to_listener = Pairing::dial(own(&middles[1], 2), code(), &mut Dice(seed), now);
        // Even where it could make the exporters alike.
        let exporters = [EXPORTER, if seed % 2 == 0 { EXPORTER } else { [8; 32] }];
        play(&mut dialler, &mut to_dialler, exporters[0], now);
        play_listener(&mut listener, &mut to_listener, exporters[1], now);
        assert!(dialler.words.is_some() && listener.words.is_some(), "both are asked");
        assert_ne!(dialler.words, listener.words, "seed {seed}");
    }
}

fn sent(outputs: Vec<Output>) -> Vec<PairMessage> {
    let message = |output| match output {
        Output::Send(message) => Some(message),
        Output::Show { .. } | Output::Over(_) => None,
    };
    outputs.into_iter().filter_map(message).collect()
}

/// Plays until the words are shown, the middle being the listener.
fn play(dialler: &mut End, middle: &mut Pairing, exporter: [u8; 32], now: Instant) {
    sent(middle.on_connected(dialler.key.node_id(), exporter, now));
    let peer = middle.own.node;
    let commit = dialler.connect(peer, exporter, now);
    let challenge = sent(middle.on_message(commit[0].clone(), now));
    dialler.hear(challenge[0].clone(), now);
}

/// Plays until the words are shown, the middle being the dialler.
fn play_listener(listener: &mut End, middle: &mut Pairing, exporter: [u8; 32], now: Instant) {
    listener.connect(middle.own.node, exporter, now);
    let commit = sent(middle.on_connected(listener.key.node_id(), exporter, now));
    let challenge = listener.hear(commit[0].clone(), now);
    let opening = sent(middle.on_message(challenge[0].clone(), now));
    listener.hear(opening[0].clone(), now);
}

/// Two that see their words, connected to each other.
fn agreeing() -> (End, End, Instant) {
    let now = start();
    let (mut dialler, mut listener) = (End::dialler(1, code(), now), End::listener(2, code(), now));
    listener.connect(dialler.key.node_id(), EXPORTER, now);
    let commit = dialler.connect(listener.key.node_id(), EXPORTER, now);
    let challenge = listener.hear(commit[0].clone(), now);
    let opening = dialler.hear(challenge[0].clone(), now);
    listener.hear(opening[0].clone(), now);
    (dialler, listener, now)
}

fn yes_of(messages: &[PairMessage]) -> PairYes {
    match messages {
        [PairMessage::Yes(yes), ..] => *yes,
        other => panic!("a yes, not {other:?}"),
    }
}

#[test]
fn the_words_are_bound_to_the_connection_and_to_both_nonces_and_keys() {
    let node = |byte: u8| NodeId([byte; 32]);
    let base = Transcript {
        dialler: node(1),
        listener: node(2),
        dialler_nonce: Hash([3; 32]),
        listener_nonce: Hash([4; 32]),
        exporter: [5; 32],
    };
    let others = [
        Transcript { dialler: node(9), ..base },
        Transcript { listener: node(9), ..base },
        Transcript { dialler: node(2), listener: node(1), ..base },
        Transcript { dialler_nonce: Hash([9; 32]), ..base },
        Transcript { listener_nonce: Hash([9; 32]), ..base },
        Transcript { exporter: [9; 32], ..base },
    ];
    for other in others {
        assert_ne!(base.words(), other.words());
        assert_ne!(base.yes(Side::Dialler, &Hash([0; 32]), 1), other.yes(Side::Dialler, &Hash([0; 32]), 1));
    }
}

/// A yes with anything changed, one of another session, one's own that comes back, one by another key.
#[test]
fn a_yes_is_for_this_session_alone() {
    let check = |name: &str, forge: &dyn Fn(PairYes) -> PairYes| {
        let (mut dialler, mut listener, now) = agreeing();
        dialler.answer(true, now);
        let yes = forge(yes_of(&listener.answer(true, now)));
        assert_eq!(
            dialler.hear(PairMessage::Yes(yes), now),
            vec![PairMessage::End(PairEnd { reason: PairRefusal::Protocol })]
        );
        assert_eq!(dialler.failed(), Some(Failure::Signature), "{name}");
    };
    check("another next key", &|yes| PairYes { next_key: Hash([9; 32]), ..yes });
    check("another port", &|yes| PairYes { port: yes.port + 1, ..yes });
    check("a flipped bit", &|mut yes| {
        yes.signature.0[0] ^= 1;
        yes
    });
    let (mut dialler, _, now) = agreeing();
    let own = yes_of(&dialler.answer(true, now));
    check("one's own", &|_| own);
    let transcript = |exporter| Transcript {
        dialler: Key::of(1).node_id(),
        listener: Key::of(2).node_id(),
        dialler_nonce: Hash(Dice(1001).draw()),
        listener_nonce: Hash(Dice(1002).draw()),
        exporter,
    };
    let signed = |key: u64, transcript: Transcript, yes: PairYes| PairYes {
        signature: Key::of(key).sign(&transcript.yes(Side::Listener, &yes.next_key, yes.port)),
        ..yes
    };
    check("another key", &|yes| signed(66, transcript(EXPORTER), yes));
    check("another session", &|yes| signed(2, transcript([8; 32]), yes));
    // What the forgery is made of is right but for the one thing.
    let (mut dialler, mut listener, now) = agreeing();
    let yes = signed(2, transcript(EXPORTER), yes_of(&listener.answer(true, now)));
    dialler.hear(PairMessage::Yes(yes), now);
    assert_eq!(dialler.failed(), None);
}

#[test]
fn a_yes_of_the_other_side_alone_is_nothing() {
    let (mut dialler, mut listener, now) = agreeing();
    let yes = listener.answer(true, now);
    assert_eq!(dialler.hear(yes[0].clone(), now), vec![]);
    dialler.hear(PairMessage::Done(PairDone {}), now);
    assert_eq!(dialler.failed(), Some(Failure::OutOfTurn("done")));
}

#[test]
fn a_yes_of_this_side_alone_is_nothing() {
    let (mut dialler, _, now) = agreeing();
    dialler.answer(true, now);
    dialler.hear(PairMessage::Done(PairDone {}), now);
    assert_eq!(dialler.failed(), Some(Failure::OutOfTurn("done")));
}

/// A yes before there are words is no yes to the words that come.
#[test]
fn a_yes_before_the_words_is_not_kept() {
    let now = start();
    let mut listener = End::listener(2, code(), now);
    assert_eq!(listener.answer(true, now), vec![]);
    let mut dialler = End::dialler(1, code(), now);
    listener.connect(dialler.key.node_id(), EXPORTER, now);
    let commit = dialler.connect(listener.key.node_id(), EXPORTER, now);
    let challenge = listener.hear(commit[0].clone(), now);
    let opening = dialler.hear(challenge[0].clone(), now);
    listener.hear(opening[0].clone(), now);
    let yes = dialler.answer(true, now);
    assert_eq!(listener.hear(yes[0].clone(), now), vec![], "it has not said yes");
}
