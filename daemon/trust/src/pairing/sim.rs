//! Two hundred pairings over a network that loses, doubles, reorders and changes, with people who take their time,
//! say no or say nothing. The seed is in every failure.

use std::collections::BTreeMap;

use karo_protocol::node::Signature;

use super::tests::{End, code};
use super::*;
use crate::testing::{Dice, start};

/// What happens, and to whom: 0 the dialler, 1 the listener.
#[derive(Debug)]
enum Happening {
    Connected(usize),
    Message(usize, PairMessage),
    Answer(usize, bool),
    Lost(usize),
    Timer(usize),
}

struct World {
    seed: u64,
    dice: Dice,
    start: Instant,
    now: Instant,
    /// By moment, and by number where two fall together.
    to_come: BTreeMap<(Instant, u64), Happening>,
    number: u64,
    ends: [End; 2],
    /// Whether the network harms what it carries; otherwise it is slow at most.
    is_hostile: bool,
    answered: [Option<bool>; 2],
}

impl World {
    fn new(seed: u64) -> Self {
        let now = start();
        let mut dice = Dice(seed);
        let ends = [End::dialler(seed * 2 + 10, code(), now), End::listener(seed * 2 + 11, code(), now)];
        let is_hostile = dice.below(2) == 0;
        let to_come = BTreeMap::new();
        let mut world =
            Self { seed, dice, start: now, now, to_come, number: 0, ends, is_hostile, answered: [None; 2] };
        let found = world.delay(100_000);
        world.at(found, Happening::Connected(1));
        world.at(found + Duration::from_millis(1), Happening::Connected(0));
        if world.is_hostile && world.dice.below(3) == 0 {
            let lost = found + world.delay(30_000);
            world.at(lost, Happening::Lost(0));
            world.at(lost, Happening::Lost(1));
        }
        world
    }

    fn delay(&mut self, millis: usize) -> Duration {
        Duration::from_millis(self.dice.below(millis) as u64)
    }

    fn at(&mut self, delay: Duration, happening: Happening) {
        self.number += 1;
        self.to_come.insert((self.now + delay, self.number), happening);
    }

    /// Carries a message to the other end, or what is left of it.
    fn carry(&mut self, to: usize, message: PairMessage) {
        let delay = self.delay(200);
        let late = Duration::from_millis(200 + self.number);
        let harm = if self.is_hostile { self.dice.below(20) } else { usize::MAX };
        match harm {
            0 => {}
            1 => {
                self.at(delay, Happening::Message(to, message.clone()));
                self.at(late, Happening::Message(to, message));
            }
            2 => self.at(late * 3, Happening::Message(to, message)),
            3 => {
                let changed = self.change(message);
                self.at(delay, Happening::Message(to, changed));
            }
            // In order, as the connection keeps it.
            _ => self.at(late, Happening::Message(to, message)),
        }
    }

    fn change(&mut self, message: PairMessage) -> PairMessage {
        let bit = 1 << self.dice.below(8);
        let place = self.dice.below(32);
        match message {
            PairMessage::Commit(mut commit) => {
                commit.commitment.0[place] ^= bit;
                PairMessage::Commit(commit)
            }
            PairMessage::Nonce(mut nonce) => {
                nonce.nonce.0[place] ^= bit;
                PairMessage::Nonce(nonce)
            }
            PairMessage::Yes(mut yes) => {
                let Signature(signature) = &mut yes.signature;
                signature[place] ^= bit;
                PairMessage::Yes(yes)
            }
            PairMessage::Done(_) => PairMessage::End(PairEnd { reason: PairRefusal::Busy }),
            PairMessage::End(_) => PairMessage::Done(PairDone {}),
        }
    }

    fn happen(&mut self, happening: Happening) {
        let now = self.now;
        let keys = [self.ends[0].key.node_id(), self.ends[1].key.node_id()];
        let (whom, sent) = match happening {
            Happening::Connected(whom) => (whom, self.ends[whom].connect(keys[1 - whom], [7; 32], now)),
            Happening::Message(whom, message) => (whom, self.ends[whom].hear(message, now)),
            Happening::Answer(whom, is_yes) => {
                if self.ends[whom].ending.is_none() {
                    self.answered[whom] = Some(is_yes);
                }
                (whom, self.ends[whom].answer(is_yes, now))
            }
            Happening::Lost(whom) => {
                let outputs = self.ends[whom].pairing.on_lost(now);
                (whom, self.ends[whom].note(outputs))
            }
            Happening::Timer(whom) => {
                let outputs = self.ends[whom].pairing.on_timeout(now);
                (whom, self.ends[whom].note(outputs))
            }
        };
        sent.into_iter().for_each(|message| self.carry(1 - whom, message));
    }

    /// Asks the person as soon as there are words: most say yes, if the words are the same.
    fn ask(&mut self, whom: usize) {
        let is_same = self.ends[0].words == self.ends[1].words || self.ends[1 - whom].words.is_none();
        let delay = self.delay(130_000);
        match self.dice.below(10) {
            0 => {}
            1 => self.at(delay, Happening::Answer(whom, false)),
            _ => self.at(delay, Happening::Answer(whom, is_same)),
        }
    }

    /// What must hold at every moment.
    fn assert_sound(&self) {
        let seed = self.seed;
        for (end, other) in [(0, 1), (1, 0)] {
            let Some(partner) = self.ends[end].paired() else {
                continue;
            };
            assert_eq!(self.answered, [Some(true); 2], "seed {seed}: both have said yes");
            assert_eq!(self.ends[end].words, self.ends[other].words, "seed {seed}: to the same words");
            assert_eq!(partner.node, self.ends[other].key.node_id(), "seed {seed}");
        }
        let longest = WINDOW + STEP + STEP + ANSWER;
        for end in &self.ends {
            assert!(
                end.pairing.deadline().is_none_or(|deadline| deadline <= self.start + longest),
                "seed {seed}"
            );
        }
    }

    fn run(mut self) -> [End; 2] {
        let mut asked = [false; 2];
        loop {
            let timer = |whom: usize| self.ends[whom].pairing.deadline().map(|at| (at, whom));
            let timer = [timer(0), timer(1)].into_iter().flatten().min();
            let next = self.to_come.first_key_value().map(|((at, _), _)| *at);
            let happening = match (timer, next) {
                (None, None) => return self.ends,
                (Some((at, whom)), next) if next.is_none_or(|next| at < next) => {
                    self.now = at;
                    Happening::Timer(whom)
                }
                (_, _) => {
                    let ((at, _), happening) = self.to_come.pop_first().expect("there is a next one");
                    self.now = at;
                    happening
                }
            };
            self.happen(happening);
            self.assert_sound();
            for (whom, asked) in asked.iter_mut().enumerate() {
                if self.ends[whom].words.is_some() && !std::mem::replace(asked, true) {
                    self.ask(whom);
                }
            }
        }
    }
}

#[test]
fn two_hundred_pairings_end_rightly() {
    let (mut paired, mut halves) = (0, 0);
    for seed in 0..200 {
        let is_hostile = World::new(seed).is_hostile;
        let ends = World::new(seed).run();
        let count = ends.iter().filter(|end| end.paired().is_some()).count();
        assert!(ends.iter().all(|end| end.ending.is_some()), "seed {seed}: both are over");
        paired += u32::from(count == 2);
        halves += u32::from(count == 1);
        assert!(count != 1 || is_hostile, "seed {seed}: no half pairing where nothing is lost");
    }
    assert!(paired >= 50, "{paired} came about");
    assert!(halves <= 10, "{halves} are trusted by one side only");
}
