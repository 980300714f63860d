//! Taken once, whatever the clocks do and however often the daemon starts anew.

use karo_protocol::audit::Head;
use karo_protocol::node::Hash;
use karo_protocol::peer::Signed;

use super::*;
use crate::object::{Expected, open, sign};
use crate::testing::{Dice, Key};
use crate::{Chance, Signer};

const MINUTE: i64 = 60 * 1_000_000;
const HOUR: i64 = 60 * MINUTE;

const fn at(minutes: i64) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000 + minutes * MINUTE)
}

fn id(number: u64) -> ObjectId {
    ObjectId { issuer: NodeId([1; 32]), id: Nonce(Dice(number).draw()) }
}

#[test]
fn an_object_is_taken_once() {
    let mut seen = Seen::default();
    let change = seen.offer(id(1), at(5), at(0)).expect("it is the first");
    assert_eq!((change.kept, change.expires, change.forgotten), (id(1), at(5), vec![]));
    assert_eq!(seen.offer(id(1), at(5), at(0)), Err(ReplayRefused::Seen));
    // With another expiry it is another object of the same id, which no honest issuer makes.
    assert_eq!(seen.offer(id(1), at(50), at(0)), Err(ReplayRefused::Seen));
    let others = ObjectId { issuer: NodeId([2; 32]), ..id(1) };
    assert!(seen.offer(others, at(5), at(0)).is_ok());
}

#[test]
fn ids_are_kept_for_ten_minutes_past_their_expiry() {
    let mut seen = Seen::default();
    seen.offer(id(1), at(5), at(0)).expect("it is the first");
    let change = seen.offer(id(2), at(100), at(15)).expect("it is another");
    assert_eq!(change.forgotten, vec![]);
    let change = seen.offer(id(3), at(100), at(16)).expect("it is another");
    assert_eq!((change.forgotten, change.forgotten_until), (vec![id(1)], at(5)));
    assert_eq!(seen.len(), 2);
}

#[test]
fn a_clock_set_back_brings_nothing_back() {
    let mut seen = Seen::default();
    seen.offer(id(1), at(5), at(0)).expect("it is the first");
    // A day ahead, everything is forgotten; then the clock is right again.
    let change = seen.offer(id(2), at(24 * 60 + 5), at(24 * 60)).expect("it is another");
    assert_eq!(change.forgotten, vec![id(1)]);
    assert_eq!(seen.offer(id(1), at(5), at(1)), Err(ReplayRefused::Forgotten));
    let mut restored = Seen::restore([(change.kept, change.expires)], change.forgotten_until);
    assert_eq!(restored.offer(id(1), at(5), at(1)), Err(ReplayRefused::Forgotten));
    assert!(
        restored.offer(id(3), at(6), at(1)).is_ok(),
        "what is new is taken, whatever the clock once said"
    );
}

#[test]
fn what_lives_too_long_is_refused() {
    let mut seen = Seen::default();
    let days = |days: i64| at(days * 24 * 60);
    assert_eq!(seen.offer(id(1), days(32), at(0)), Err(ReplayRefused::TooLong));
    assert_eq!(seen.offer(id(1), Timestamp::MAX, at(0)), Err(ReplayRefused::TooLong));
    assert!(seen.offer(id(1), days(31), at(0)).is_ok());
}

#[test]
fn one_issuer_cannot_fill_it_for_others() {
    let mut seen = Seen::default();
    for number in 0..SEEN_EACH_MAX as u64 {
        seen.offer(id(number), at(5), at(0)).expect("there is room");
    }
    assert_eq!(seen.offer(id(1 << 40), at(5), at(0)), Err(ReplayRefused::Full { kept: SEEN_EACH_MAX }));
    let others = ObjectId { issuer: NodeId([2; 32]), ..id(1) };
    assert!(seen.offer(others, at(5), at(0)).is_ok());
    assert!(seen.offer(id(1 << 40), at(30), at(20)).is_ok(), "there is room once the old ones are forgotten");
    assert_eq!(seen.len(), 1);
}

#[test]
fn all_of_them_have_a_limit() {
    let issuer = |number: usize| NodeId([number as u8; 32]);
    let records = (0..SEEN_MAX).map(|number| {
        let id = ObjectId { issuer: issuer(number / SEEN_EACH_MAX), ..id(number as u64) };
        (id, at(5))
    });
    let mut seen = Seen::restore(records, Timestamp::MIN);
    let one_more = ObjectId { issuer: NodeId([0xff; 32]), ..id(0) };
    assert_eq!(seen.offer(one_more, at(5), at(0)), Err(ReplayRefused::Full { kept: SEEN_MAX }));
    assert!(seen.offer(one_more, at(30), at(20)).is_ok());
}

/// What a daemon has on disk.
#[derive(Default)]
struct Disk {
    records: BTreeMap<ObjectId, Timestamp>,
    forgotten_until: Option<Timestamp>,
}

impl Disk {
    fn write(&mut self, change: &SeenChange) {
        self.records.retain(|id, _| !change.forgotten.contains(id));
        self.records.insert(change.kept, change.expires);
        self.forgotten_until = Some(change.forgotten_until);
    }

    fn restored(&self) -> Seen {
        let records = self.records.iter().map(|(id, expires)| (*id, *expires));
        Seen::restore(records, self.forgotten_until.unwrap_or(Timestamp::MIN))
    }
}

/// Twenty thousand replays of signed objects, by two hundred seeds, to daemons that restart, die between the question
/// and the disk, and whose clocks jump: none is taken twice.
#[test]
fn replayed_objects_are_refused() {
    let taken: usize = (0..200).map(|seed| replay(seed, 100)).sum();
    assert!(taken > 400, "{taken} were taken");
}

fn replay(seed: u64, replays_max: usize) -> usize {
    let (issuer, me) = (Key::of(1), NodeId([9; 32]));
    let mut dice = Dice(seed);
    let (mut seen, mut disk) = (Seen::default(), Disk::default());
    let (mut sent, mut taken): (Vec<Signed>, BTreeMap<ObjectId, u32>) = (Vec::new(), BTreeMap::new());
    let (mut now, mut replays, mut skew) = (at(0), 0, 0_i64);
    while replays < replays_max {
        now = now.after(Micros(1_000_000));
        if dice.below(40) == 0 {
            skew = [0, HOUR, -HOUR, 24 * HOUR, -24 * HOUR][dice.below(5)];
        }
        if dice.below(50) == 0 {
            seen = disk.restored();
        }
        let clock = Timestamp::from_micros(now.as_micros() + skew);
        let is_new = sent.is_empty() || dice.below(20) == 0;
        let which = if is_new {
            let body = Head { log: Nonce([4; 16]), size: 1, root: Hash([8; 32]) };
            let expires = now.after(Micros(((1 + dice.below(120)) as u64) * MINUTE as u64));
            let signed = sign(&issuer, body, Some(me), now, expires, Nonce(dice.draw()));
            sent.push(signed.expect("a head is short"));
            sent.len() - 1
        } else {
            replays += 1;
            dice.below(sent.len())
        };
        let expected = Expected { issuer: Some(issuer.node_id()), audience: me, now: clock };
        let Ok(object) = open::<Head>(&sent[which], &expected) else {
            continue;
        };
        let id = ObjectId::from(&object);
        if let Ok(change) = seen.offer(id, object.expires, clock) {
            if dice.below(20) == 0 {
                // It dies before this is on disk: the deed was not done, and may be asked for again.
                seen = disk.restored();
                continue;
            }
            disk.write(&change);
            *taken.entry(id).or_default() += 1;
        }
    }
    let twice = taken.values().filter(|times| **times > 1).count();
    assert_eq!(twice, 0, "seed {seed}: {twice} of {} were taken twice", taken.len());
    taken.len()
}

/// The same for another peer: it is refused by its audience, whatever was seen there.
#[test]
fn what_was_for_one_peer_is_refused_by_another() {
    let issuer = Key::of(1);
    let body = Head { log: Nonce([4; 16]), size: 1, root: Hash([8; 32]) };
    let signed = sign(&issuer, body, Some(NodeId([9; 32])), at(0), at(5), Nonce([3; 16])).expect("short");
    let expected = Expected { issuer: None, audience: NodeId([8; 32]), now: at(0) };
    assert!(open::<Head>(&signed, &expected).is_err());
}
