//! Rotations that are followed, held and refused; and two hundred lives of a key among thieves.

use karo_protocol::Micros;
use karo_protocol::node::Nonce;

use super::*;
use crate::testing::{Dice, Key};
use crate::{Chance, Identity, Signer};

const HOUR: u64 = 60 * 60 * 1_000_000;

const fn hours(hours: u64) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000).after(Micros(hours * HOUR))
}

fn identity() -> Identity {
    Identity::generate(&mut Dice(1), hours(0))
}

/// What a peer knows that was connected to it.
fn known(identity: &Identity) -> Succession {
    Succession::new(identity.node_id(), Some(identity.next_hash()))
}

/// Signs a rotation as whoever has the key: thieves do so as well.
fn rotation(from: &dyn Signer, to: &dyn Signer, next_key: Hash, created: Timestamp) -> Signed {
    let proof = to.sign(&proof_message(&from.node_id()));
    let body = Rotation { key: to.node_id(), next_key, proof };
    object::sign(from, body, None, created, created.after(GRACE), Nonce([3; 16])).expect("it is short")
}

fn held(verdict: Result<Verdict, RotationRefused>) -> Held {
    match verdict {
        Ok(Verdict::Held(succession)) => succession.held.expect("something is held"),
        other => panic!("held, not {other:?}"),
    }
}

#[test]
fn an_announced_key_is_followed() {
    let before = identity();
    let rotated = before.rotate(&mut Dice(2), hours(0));
    let verdict = known(&before).on_rotation(&rotated.announcement, hours(1));
    let expected = Succession {
        key: rotated.identity.node_id(),
        next: Some(rotated.identity.next_hash()),
        followed: Some((before.node_id(), hours(1))),
        held: None,
    };
    assert_eq!(verdict, Ok(Verdict::Followed(expected)));
    // The answer was lost, and it is said again.
    let again = rotated.identity.announce(&mut Dice(3), hours(2)).expect("it is in its grace");
    assert_eq!(expected.on_rotation(&again, hours(2)), Ok(Verdict::Known));
    assert_eq!(expected.on_rotation(&rotated.announcement, hours(2)), Ok(Verdict::Known));
}

/// Five peers, one of them away for 23 hours, one for 25.
#[test]
fn who_was_away_for_a_day_asks_a_person() {
    let before = identity();
    let rotated = before.rotate(&mut Dice(2), hours(0));
    for away in [0, 1, 2, 23] {
        let again = rotated.identity.announce(&mut Dice(3), hours(away)).expect("it is in its grace");
        let verdict = known(&before).on_rotation(&again, hours(away));
        assert!(matches!(verdict, Ok(Verdict::Followed(_))), "{away}");
    }
    let late = known(&before).on_rotation(&rotated.announcement, hours(25));
    assert_eq!(held(late).why, HeldWhy::Late);
    // By then there is nobody who presents the old key: the new one is met in a handshake.
    assert!(rotated.identity.announce(&mut Dice(3), hours(25)).is_none());
    let met = known(&before).on_stranger(&rotated.identity.node_id(), hours(25)).expect("it was announced");
    assert_eq!(met.key, before.node_id(), "and is not trusted by that");
    assert_eq!(met.held.map(|held| held.why), Some(HeldWhy::Late));
    let confirmed = met.confirm(&rotated.identity.node_id(), hours(26)).expect("it is what is held");
    assert_eq!((confirmed.key, confirmed.held), (rotated.identity.node_id(), None));
    assert_eq!(
        confirmed.on_announced(rotated.identity.next_hash()),
        Announced::First(Succession { next: Some(rotated.identity.next_hash()), ..confirmed })
    );
}

#[test]
fn a_stranger_is_a_stranger() {
    assert_eq!(known(&identity()).on_stranger(&Key::of(66).node_id(), hours(1)), None);
    let silent = Succession::new(identity().node_id(), None);
    assert_eq!(silent.on_stranger(&Key::of(66).node_id(), hours(1)), None);
}

#[test]
fn an_unannounced_key_is_held() {
    let (from, to) = (Key::of(1), Key::of(2));
    for next in [None, Some(Hash([9; 32]))] {
        let succession = Succession::new(from.node_id(), next);
        let verdict = succession.on_rotation(&rotation(&from, &to, Hash([8; 32]), hours(0)), hours(0));
        assert_eq!(held(verdict).why, HeldWhy::Unannounced);
    }
}

#[test]
fn a_second_one_in_the_grace_is_held() {
    let first = identity().rotate(&mut Dice(2), hours(0));
    let second = first.identity.rotate(&mut Dice(3), hours(23));
    let Ok(Verdict::Followed(followed)) = known(&identity()).on_rotation(&first.announcement, hours(0))
    else {
        panic!("the first one is followed");
    };
    let verdict = followed.on_rotation(&second.announcement, hours(23));
    assert_eq!(held(verdict).why, HeldWhy::Second);
    // By a clock that was set back, the grace is not over either.
    let third = first.identity.rotate(&mut Dice(3), hours(0));
    let early = Timestamp::from_micros(hours(0).as_micros() - 1);
    assert_eq!(held(followed.on_rotation(&third.announcement, early)).why, HeldWhy::Second);
    let later = first.identity.rotate(&mut Dice(3), hours(24));
    assert!(matches!(followed.on_rotation(&later.announcement, hours(24)), Ok(Verdict::Followed(_))));
}

/// A thief of the current key announces a key of his own, and rotates to it.
#[test]
fn the_first_announcement_counts() {
    let (stolen, thiefs) = (Key::of(1), Key::of(66));
    let succession = Succession::new(stolen.node_id(), Some(key_hash(&Key::of(2).node_id())));
    assert_eq!(succession.on_announced(key_hash(&thiefs.node_id())), Announced::Other);
    assert_eq!(succession.on_announced(key_hash(&Key::of(2).node_id())), Announced::Known);
    let verdict = succession.on_rotation(&rotation(&stolen, &thiefs, Hash([8; 32]), hours(0)), hours(0));
    assert_eq!(held(verdict).why, HeldWhy::Unannounced);
}

#[test]
fn what_is_no_rotation_of_the_peer_is_refused() {
    let (from, to, other) = (Key::of(1), Key::of(2), Key::of(66));
    let succession = Succession::new(from.node_id(), Some(key_hash(&to.node_id())));
    let check = |name: &str, signed: &Signed, expected: RotationRefused| {
        assert_eq!(succession.on_rotation(signed, hours(0)), Err(expected), "{name}");
    };
    let next = Hash([8; 32]);
    let issuer = ObjectRefused::Issuer { issuer: other.node_id(), expected: from.node_id() };
    check("another's", &rotation(&other, &to, next, hours(0)), issuer.into());
    check("to itself", &rotation(&from, &from, next, hours(0)), RotationRefused::Itself);
    let ahead = ObjectRefused::Ahead { ahead_seconds: 3600 };
    check("of tomorrow", &rotation(&from, &to, next, hours(1)), ahead.into());
    let mut forged = rotation(&from, &to, next, hours(0));
    forged.signature.0[0] ^= 1;
    check("forged", &forged, ObjectRefused::Signature { issuer: from.node_id() }.into());
    let unproven = |proof, audience| {
        let body = Rotation { key: to.node_id(), next_key: next, proof };
        object::sign(&from, body, audience, hours(0), hours(1), Nonce([3; 16])).expect("it is short")
    };
    let proof = to.sign(&proof_message(&other.node_id()));
    check("agreed to follow another", &unproven(proof, None), RotationRefused::Proof { key: to.node_id() });
    let proof = from.sign(&proof_message(&from.node_id()));
    check("agreed to by the old key", &unproven(proof, None), RotationRefused::Proof { key: to.node_id() });
    let proof = to.sign(&proof_message(&from.node_id()));
    check("for one alone", &unproven(proof, Some(NodeId([9; 32]))), RotationRefused::Audience);
}

#[test]
fn a_superseded_key_says_nothing_more() {
    let (from, to, thiefs) = (Key::of(1), Key::of(2), Key::of(66));
    let succession = Succession::new(from.node_id(), Some(key_hash(&to.node_id())));
    let verdict = succession.on_rotation(&rotation(&from, &to, Hash([8; 32]), hours(0)), hours(0));
    let Ok(Verdict::Followed(followed)) = verdict else { panic!("followed, not {verdict:?}") };
    let refused = followed.on_rotation(&rotation(&from, &thiefs, Hash([8; 32]), hours(1)), hours(1));
    assert_eq!(refused, Err(RotationRefused::Superseded { issuer: from.node_id() }));
}

#[test]
fn what_a_person_looks_at_does_not_change() {
    let (from, to, thiefs) = (Key::of(1), Key::of(2), Key::of(66));
    let succession = Succession::new(from.node_id(), Some(key_hash(&Key::of(3).node_id())));
    let hold = |succession: Succession, key: &Key, hour| match succession
        .on_rotation(&rotation(&from, key, Hash([8; 32]), hours(hour)), hours(hour))
    {
        Ok(Verdict::Held(succession)) => succession,
        other => panic!("held, not {other:?}"),
    };
    let waiting = hold(succession, &to, 0);
    let contested = hold(waiting, &thiefs, 1);
    let shown = contested.held.expect("one is held");
    assert_eq!((shown.key, shown.since), (to.node_id(), hours(0)));
    assert_eq!(shown.contested_by, Some(thiefs.node_id()));
    assert_eq!(hold(waiting, &to, 2), waiting, "said again, it is the same");
    assert_eq!(contested.confirm(&thiefs.node_id(), hours(3)), None);
    assert_eq!(contested.confirm(&to.node_id(), hours(3)).map(|followed| followed.key), Some(to.node_id()));
    assert_eq!(contested.dismiss(), succession);
    // The announced key proves that it is the peer's, whatever waits.
    let announced = rotation(&from, &Key::of(3), Hash([8; 32]), hours(4));
    let verdict = contested.on_rotation(&announced, hours(4));
    assert!(matches!(verdict, Ok(Verdict::Followed(followed)) if followed.key == Key::of(3).node_id()));
}

/// A key that rotates now and then, a peer that is away for hours or days, a thief who gets each key when it has
/// been replaced, or while it is used, but never the next one. No person confirms anything of a thief's.
struct Life {
    seed: u64,
    dice: Dice,
    now: Timestamp,
    identity: Identity,
    /// Every key that was truly the node's.
    true_keys: Vec<NodeId>,
    /// What was announced, for a thief to say again.
    announcements: Vec<Signed>,
    thief: Key,
    peer: Succession,
}

impl Life {
    fn begin(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let identity = Identity::generate(&mut dice, hours(0));
        let peer = known(&identity);
        let true_keys = vec![identity.node_id()];
        let thief = Key::of(seed + 1_000_000);
        Self { seed, dice, now: hours(0), identity, true_keys, announcements: Vec::new(), thief, peer }
    }

    fn rotate(&mut self) {
        let rotated = self.identity.rotate(&mut self.dice, self.now);
        self.identity = rotated.identity;
        self.announcements.push(rotated.announcement);
        self.true_keys.push(self.identity.node_id());
    }

    /// The node and the peer meet, by whichever key is known there.
    fn meet(&mut self) {
        if self.identity.key_known_as(self.peer.key, self.now).is_none() {
            if let Some(held) = self.peer.on_stranger(&self.identity.node_id(), self.now) {
                self.peer = held;
            }
            return;
        }
        let announcement = self.identity.announce(&mut self.dice, self.now);
        if let Some(announcement) = announcement.filter(|_| self.peer.key != self.identity.node_id()) {
            self.tell(&announcement);
        }
        if self.peer.key == self.identity.node_id()
            && let Announced::First(succession) = self.peer.on_announced(self.identity.next_hash())
        {
            self.peer = succession;
        }
    }

    fn tell(&mut self, announcement: &Signed) {
        match self.peer.on_rotation(announcement, self.now) {
            Ok(Verdict::Followed(succession) | Verdict::Held(succession)) => self.peer = succession,
            Ok(Verdict::Known) | Err(_) => {}
        }
    }

    /// A thief with the node's current key says what he likes, or says again what was said.
    fn steal(&mut self) {
        match self.dice.below(3) {
            0 if !self.announcements.is_empty() => {
                let old = self.announcements[self.dice.below(self.announcements.len())].clone();
                self.tell(&old);
            }
            1 => {
                let announced = self.peer.on_announced(key_hash(&self.thief.node_id()));
                let is_pinned = self.peer.next.is_some();
                assert!(!is_pinned || announced == Announced::Other, "seed {}", self.seed);
            }
            _ => {
                let forged = rotation(self.identity.current(), &self.thief, Hash([8; 32]), self.now);
                self.tell(&forged);
            }
        }
    }

    /// The person confirms what is the node's and dismisses what is not: that was asked by telephone.
    fn decide(&mut self) {
        if let Some(held) = self.peer.held {
            let is_true = held.key == self.identity.node_id();
            let decided =
                if is_true { self.peer.confirm(&held.key, self.now) } else { Some(self.peer.dismiss()) };
            self.peer = decided.expect("what is held can be confirmed");
        }
    }

    fn run(mut self) -> usize {
        for _ in 0..200 {
            self.now = self.now.after(Micros(self.dice.below(30) as u64 * HOUR));
            if let Some(identity) = self.identity.after_grace(self.now) {
                self.identity = identity;
            }
            match self.dice.below(8) {
                0 => self.rotate(),
                1 | 2 => self.steal(),
                3 => self.decide(),
                _ => self.meet(),
            }
            assert!(self.true_keys.contains(&self.peer.key), "seed {}: a thief's key is trusted", self.seed);
        }
        self.true_keys.len()
    }
}

#[test]
fn two_hundred_lives_trust_no_thief() {
    let rotations: usize = (0..200).map(|seed| Life::begin(seed).run()).sum();
    assert!(rotations > 1000, "{rotations}");
}

/// What is kept on disk is read again.
#[test]
fn a_succession_is_kept() {
    let (from, to) = (Key::of(1), Key::of(2));
    let succession = Succession::new(from.node_id(), Some(Hash(Dice(1).draw())));
    let verdict = succession.on_rotation(&rotation(&from, &to, Hash([8; 32]), hours(0)), hours(0));
    let Ok(Verdict::Held(held)) = verdict else { panic!("held, not {verdict:?}") };
    let bytes = rmp_serde::to_vec(&held).expect("it can be written");
    assert_eq!(rmp_serde::from_slice::<Succession>(&bytes).expect("it can be read"), held);
}
