//! Pairings that come about, and each way in which one does not.

use super::*;
use crate::testing::{Dice, Key, start};

pub(super) const EXPORTER: [u8; 32] = [7; 32];

/// One side, with its key, and what it has done.
pub(super) struct End {
    pub(super) key: Key,
    pub(super) pairing: Pairing,
    pub(super) words: Option<[&'static str; 4]>,
    pub(super) ending: Option<Ending>,
}

pub(super) fn own(key: &Key, port: u16) -> Own {
    Own { node: key.node_id(), next_key: Hash([port as u8; 32]), port }
}

impl End {
    pub(super) fn dialler(seed: u64, code: Code, now: Instant) -> Self {
        let key = Key::of(seed);
        let pairing = Pairing::dial(own(&key, 1), code, &mut Dice(seed + 1000), now);
        Self { key, pairing, words: None, ending: None }
    }

    pub(super) fn listener(seed: u64, code: Code, now: Instant) -> Self {
        let key = Key::of(seed);
        let pairing = Pairing::listen(own(&key, 2), code, &mut Dice(seed + 1000), now);
        Self { key, pairing, words: None, ending: None }
    }

    /// Notes what comes out, and returns what is to be sent.
    pub(super) fn note(&mut self, outputs: Vec<Output>) -> Vec<PairMessage> {
        let mut sent = Vec::new();
        for output in outputs {
            assert_eq!(self.ending, None, "nothing comes after the end");
            match output {
                Output::Send(message) => sent.push(message),
                Output::Show { words, .. } => self.words = Some(words),
                Output::Over(ending) => self.ending = Some(ending),
            }
        }
        assert_eq!(self.pairing.deadline().is_none(), self.ending.is_some());
        sent
    }

    pub(super) fn hear(&mut self, message: PairMessage, now: Instant) -> Vec<PairMessage> {
        let outputs = self.pairing.on_message(message, now);
        self.note(outputs)
    }

    pub(super) fn answer(&mut self, is_yes: bool, now: Instant) -> Vec<PairMessage> {
        let outputs = self.pairing.on_answer(is_yes, &self.key, now);
        self.note(outputs)
    }

    pub(super) fn connect(&mut self, peer: NodeId, exporter: [u8; 32], now: Instant) -> Vec<PairMessage> {
        let outputs = self.pairing.on_connected(peer, exporter, now);
        self.note(outputs)
    }

    pub(super) fn failed(&self) -> Option<Failure> {
        match &self.ending {
            Some(Ending::Failed(failure)) => Some(*failure),
            Some(Ending::Paired(_)) | None => None,
        }
    }

    pub(super) fn paired(&self) -> Option<Partner> {
        match &self.ending {
            Some(Ending::Paired(partner)) => Some(*partner),
            Some(Ending::Failed(_)) | None => None,
        }
    }
}

pub(super) fn code() -> Code {
    "k7m2qd".parse().expect("it is a code")
}

/// The messages of a whole pairing in the order in which one thing leads to the next; `true` from the dialler.
struct Story {
    now: Instant,
    dialler: End,
    listener: End,
    /// What is on its way.
    under_way: Vec<(bool, PairMessage)>,
    /// How many steps were made.
    steps: usize,
}

impl Story {
    fn begin() -> Self {
        let now = start();
        let (dialler, listener) = (End::dialler(1, code(), now), End::listener(2, code(), now));
        Self { now, dialler, listener, under_way: Vec::new(), steps: 0 }
    }

    fn send(&mut self, is_dialler: bool, messages: Vec<PairMessage>) {
        self.under_way.extend(messages.into_iter().map(|message| (is_dialler, message)));
    }

    /// Does the next thing: a message that is under way, else a connection, else an answer. `false` at the end.
    fn step(&mut self) -> bool {
        let (now, keys) = (self.now, (self.dialler.key.node_id(), self.listener.key.node_id()));
        if !self.under_way.is_empty() {
            let (is_dialler, message) = self.under_way.remove(0);
            let heard = match is_dialler {
                true => self.listener.hear(message, now),
                false => self.dialler.hear(message, now),
            };
            self.send(!is_dialler, heard);
        } else if self.listener.pairing.is_alone() {
            let none = self.listener.connect(keys.0, EXPORTER, now);
            assert_eq!(none, vec![]);
        } else if self.dialler.pairing.is_alone() {
            let sent = self.dialler.connect(keys.1, EXPORTER, now);
            self.send(true, sent);
        } else if self.steps < 6 {
            let sent = self.dialler.answer(true, now);
            self.send(true, sent);
        } else {
            let sent = self.listener.answer(true, now);
            self.send(false, sent);
        }
        self.steps += 1;
        self.dialler.ending.is_none() || self.listener.ending.is_none()
    }

    fn after(steps: usize) -> Self {
        let mut story = Self::begin();
        for _ in 0..steps {
            story.step();
        }
        story
    }
}

/// Connected twice, three messages, two answers, four messages.
const STEPS: usize = 11;

#[test]
fn two_who_say_yes_trust_each_other() {
    let mut story = Story::begin();
    while story.step() {}
    assert_eq!(story.steps, STEPS);
    assert!(story.dialler.words.is_some());
    assert_eq!(story.dialler.words, story.listener.words);
    let (dialler, listener) = (own(&story.dialler.key, 1), own(&story.listener.key, 2));
    let partner = |own: Own| Some(Partner { node: own.node, next_key: own.next_key, port: own.port });
    assert_eq!((story.dialler.paired(), story.listener.paired()), (partner(listener), partner(dialler)));
    assert_eq!((story.dialler.pairing.deadline(), story.listener.pairing.deadline()), (None, None));
}

#[test]
fn nobody_is_trusted_before_the_end() {
    for steps in 0..STEPS - 1 {
        let story = Story::after(steps);
        assert_eq!((story.dialler.paired(), story.listener.paired()), (None, None), "after {steps} steps");
    }
}

/// A connection that is lost between the two last messages leaves one side alone with its trust; at every other
/// step nobody trusts anybody.
#[test]
fn a_connection_lost_at_any_step_ends_it() {
    for steps in 0..STEPS {
        let Story { now, mut dialler, mut listener, .. } = Story::after(steps);
        for end in [&mut dialler, &mut listener] {
            let outputs = end.pairing.on_lost(now);
            assert_eq!(end.note(outputs), vec![], "there is nobody to tell");
        }
        let one_done = steps == STEPS - 1;
        let trusting = [&dialler, &listener].into_iter().filter(|end| end.paired().is_some()).count();
        assert_eq!(trusting, usize::from(one_done), "{steps}");
        for end in [&dialler, &listener] {
            assert!(end.failed() == Some(Failure::Lost) || one_done && end.paired().is_some(), "{steps}");
        }
    }
}

#[test]
fn a_no_at_any_step_ends_it() {
    for steps in 0..STEPS - 1 {
        let mut story = Story::after(steps);
        let told = story.listener.answer(false, story.now);
        assert_eq!(story.listener.failed(), Some(Failure::SaidNo), "{steps}");
        for message in told {
            story.dialler.hear(message, story.now);
            assert_eq!(story.dialler.failed(), Some(Failure::Refused(PairRefusal::No)), "{steps}");
        }
    }
}

#[test]
fn silence_at_any_step_ends_it() {
    for steps in 0..STEPS - 1 {
        let mut story = Story::after(steps);
        for end in [&mut story.dialler, &mut story.listener] {
            let deadline = end.pairing.deadline().expect("it is not over");
            assert!(deadline <= story.now + ANSWER);
            let outputs = end.pairing.on_timeout(deadline - Duration::from_millis(1));
            assert_eq!(outputs, vec![]);
            let outputs = end.pairing.on_timeout(deadline);
            end.note(outputs);
            assert_eq!(end.failed(), Some(Failure::Late), "{steps}");
        }
    }
}

/// Even where no timer went off, what comes too late is too late.
#[test]
fn a_half_pairing_expires() {
    let mut story = Story::after(5);
    let late = story.now + ANSWER;
    story.listener.answer(true, late - Duration::from_millis(1));
    let yes = story.dialler.answer(true, late - Duration::from_millis(1));
    assert_eq!(yes.len(), 1);
    story.listener.hear(yes[0].clone(), late);
    assert_eq!(story.listener.failed(), Some(Failure::Late));
    story.dialler.answer(true, late);
    assert_eq!(story.dialler.failed(), Some(Failure::Late));
}

#[test]
fn a_stranger_with_another_code_closes_the_window() {
    let now = start();
    let mut listener = End::listener(2, code(), now);
    let mut stranger = End::dialler(3, "000000".parse().expect("it is a code"), now);
    listener.connect(stranger.key.node_id(), EXPORTER, now);
    let commit = stranger.connect(listener.key.node_id(), EXPORTER, now);
    let told = listener.hear(commit[0].clone(), now);
    assert_eq!(told, vec![PairMessage::End(PairEnd { reason: PairRefusal::Code })]);
    assert_eq!(listener.failed(), Some(Failure::Code));
    // And no second try, with the right code or without.
    assert_eq!(listener.connect(Key::of(1).node_id(), EXPORTER, now), vec![]);
    assert_eq!(listener.hear(commit[0].clone(), now), vec![]);
}

#[test]
fn a_second_stranger_finds_it_taken() {
    let mut story = Story::after(1);
    assert!(!story.listener.pairing.is_alone());
    story.listener.connect(Key::of(3).node_id(), EXPORTER, story.now);
    assert_eq!(story.listener.failed(), Some(Failure::OutOfTurn("a second connection")));
}

#[test]
fn nobody_pairs_with_themselves_or_with_a_worthless_key() {
    let now = start();
    let check = |peer: NodeId, expected: Failure| {
        for mut end in [End::dialler(1, code(), now), End::listener(1, code(), now)] {
            assert_eq!(end.connect(peer, EXPORTER, now), vec![]);
            assert_eq!(end.failed(), Some(expected));
        }
    };
    check(Key::of(1).node_id(), Failure::Oneself);
    check(NodeId([0; 32]), Failure::WeakKey);
}

#[test]
fn nonsense_ends_it() {
    for steps in 1..STEPS - 1 {
        let mut story = Story::after(steps);
        let outputs = story.listener.pairing.on_nonsense(story.now);
        story.listener.note(outputs);
        assert!(matches!(story.listener.failed(), Some(Failure::OutOfTurn(_))), "{steps}");
    }
}

/// Every message in every stage but the one that it belongs to, and each one twice.
#[test]
fn messages_out_of_turn_end_it() {
    let mut said: Vec<(bool, PairMessage)> = Vec::new();
    let mut story = Story::begin();
    while story.step() {
        let new = story.under_way.iter().filter(|message| !said.contains(message));
        said.extend(new.cloned().collect::<Vec<_>>());
    }
    assert_eq!(said.len(), 7);
    let mut refused = 0;
    for steps in 2..STEPS - 1 {
        for (is_dialler, message) in &said {
            let mut story = Story::after(steps);
            let (now, is_next) = (story.now, story.under_way.contains(&(*is_dialler, message.clone())));
            let end = if *is_dialler { &mut story.listener } else { &mut story.dialler };
            end.hear(message.clone(), now);
            // A yes may come before ours, and whoever says that it has verified ours is believed.
            let may_be_early = match message {
                PairMessage::Yes(_) => end.words.is_some(),
                PairMessage::Done(_) => *is_dialler && steps >= 8,
                // Each is waited for one step before it is sent.
                PairMessage::Nonce(_) => steps == if *is_dialler { 3 } else { 2 },
                PairMessage::Commit(_) | PairMessage::End(_) => false,
            };
            if !is_next && (end.failed().is_some() || !may_be_early) {
                assert!(end.failed().is_some(), "{message:?} after {steps} steps");
                refused += 1;
            }
        }
    }
    assert!(refused >= 40, "{refused}");
}
