//! Objects that are taken, and those that are not.

use karo_protocol::audit::Head;
use karo_protocol::node::{Hash, Signature};
use serde::{Deserialize, Serialize};

use super::*;
use crate::testing::{Dice, Key};

const NOON: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
const US: NodeId = NodeId([1; 32]);

const fn seconds_from_noon(seconds: i64) -> Timestamp {
    Timestamp::from_micros(NOON.as_micros() + seconds * 1_000_000)
}

fn head() -> Head {
    Head { log: Nonce([4; 16]), size: 200, root: Hash([8; 32]) }
}

/// Signs a head with key 1, made at noon, for an hour.
fn signed_for(audience: Option<NodeId>) -> Signed {
    sign(&Key::of(1), head(), audience, NOON, seconds_from_noon(3600), Nonce([3; 16]))
        .expect("a head is short")
}

fn expected(now: Timestamp) -> Expected {
    Expected { issuer: Some(Key::of(1).node_id()), audience: US, now }
}

fn open_head(signed: &Signed, expected: &Expected) -> Result<Object<Head>, ObjectRefused> {
    open(signed, expected)
}

#[test]
fn what_was_signed_is_read() {
    for audience in [None, Some(US)] {
        let object = open_head(&signed_for(audience), &expected(NOON)).expect("it is in order");
        assert_eq!((object.issuer, object.audience, object.body), (Key::of(1).node_id(), audience, head()));
        let anybodys = Expected { issuer: None, ..expected(NOON) };
        assert!(open_head(&signed_for(audience), &anybodys).is_ok());
    }
}

#[test]
fn the_layout_is_the_drawn_one() {
    let signed = signed_for(None);
    let covered = [b"karo/1 audit head\0".as_slice(), &signed.bytes.0].concat();
    assert!(verify(&Key::of(1).node_id(), &covered, &signed.signature));
}

#[test]
fn clocks_are_bounded() {
    let check = |now, is_taken: bool| {
        assert_eq!(open_head(&signed_for(None), &expected(now)).is_ok(), is_taken, "{now:?}");
    };
    check(seconds_from_noon(-299), true);
    check(seconds_from_noon(-300), true);
    check(seconds_from_noon(-301), false);
    check(seconds_from_noon(-86_400), false);
    check(seconds_from_noon(3600), true);
    check(seconds_from_noon(3601), false);
    check(Timestamp::MIN, false);
    check(Timestamp::MAX, false);
}

#[test]
fn what_expires_before_it_was_made_is_refused() {
    let made = |created, expires| sign(&Key::of(1), head(), None, created, expires, Nonce([3; 16]));
    let signed = made(seconds_from_noon(60), seconds_from_noon(59)).expect("a head is short");
    assert_eq!(open_head(&signed, &expected(NOON)), Err(ObjectRefused::Backwards));
}

#[test]
fn what_is_for_another_node_is_refused() {
    let other = NodeId([2; 32]);
    let refused = open_head(&signed_for(Some(other)), &expected(NOON));
    assert_eq!(refused, Err(ObjectRefused::Audience { audience: other }));
}

#[test]
fn what_another_node_signed_is_refused() {
    let (issuer, expected) = (Key::of(1).node_id(), Key::of(2).node_id());
    let asked = Expected { issuer: Some(expected), audience: US, now: NOON };
    assert_eq!(open_head(&signed_for(None), &asked), Err(ObjectRefused::Issuer { issuer, expected }));
    // Another's signature over an object that names the first.
    let mut forged = signed_for(None);
    forged.signature = Key::of(2).sign(&covered::<Head>(&forged.bytes.0));
    let anybodys = Expected { issuer: None, ..asked };
    assert_eq!(open_head(&forged, &anybodys), Err(ObjectRefused::Signature { issuer }));
}

/// Of the same shape as a [`Head`], and something else.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Lookalike(Nonce, u64, Hash);

impl SignedBody for Lookalike {
    const NAME: &'static str = "audit tail";
}

#[test]
fn an_object_is_of_one_type_only() {
    let body = Lookalike(Nonce([4; 16]), 200, Hash([8; 32]));
    let signed = sign(&Key::of(1), body, None, NOON, seconds_from_noon(3600), Nonce([3; 16])).expect("short");
    assert!(open::<Lookalike>(&signed, &expected(NOON)).is_ok());
    let issuer = Key::of(1).node_id();
    assert_eq!(open_head(&signed, &expected(NOON)), Err(ObjectRefused::Signature { issuer }));
}

/// A text, to have objects of any length.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Text(String);

impl SignedBody for Text {
    const NAME: &'static str = "text";
    const BYTES_MAX: usize = 200;
}

#[test]
fn length_is_bounded_before_anything_is_read() {
    let text = |length| sign(&Key::of(1), Text("x".repeat(length)), None, NOON, NOON, Nonce([3; 16]));
    let signed = text(100).expect("it is short enough");
    assert!(open::<Text>(&signed, &expected(NOON)).is_ok());
    assert!(text(200).is_err());
    // Signed all the same, by somebody without that limit.
    let object = Object {
        issuer: Key::of(1).node_id(),
        audience: None,
        created: NOON,
        expires: NOON,
        id: Nonce([3; 16]),
        body: Text("x".repeat(200)),
    };
    let bytes = Bytes(rmp_serde::to_vec(&object).expect("it can be written"));
    let signature = Key::of(1).sign(&covered::<Text>(&bytes.0));
    let refused = open::<Text>(&Signed { bytes, signature }, &expected(NOON));
    assert!(matches!(refused, Err(ObjectRefused::TooLong(TooLong { name: "text", length_max: 200, .. }))));
}

/// What its issuer signed is scanned all the same: it may be the issuer who attacks.
#[test]
fn signed_nonsense_is_refused() {
    let check = |tail: &[u8]| {
        let mut bytes = signed_for(None).bytes.0;
        bytes.truncate(35);
        bytes.extend(tail);
        let signature = Key::of(1).sign(&covered::<Head>(&bytes));
        let refused = open_head(&Signed { bytes: Bytes(bytes), signature }, &expected(NOON));
        assert!(matches!(refused, Err(ObjectRefused::Body(_))), "{tail:02x?}: {refused:?}");
    };
    check(b"");
    check(b"\xdd\xff\xff\xff\xff");
    check(b"\xc0\xc0\xc0\xc0\xc0");
    let whole = signed_for(None).bytes.0;
    check(&[&whole[35..], b"\xc0"].concat());
}

#[test]
fn what_does_not_begin_as_an_object_is_refused() {
    let check = |bytes: &[u8]| {
        let signed = Signed { bytes: Bytes(bytes.to_vec()), signature: Signature([0; 64]) };
        assert_eq!(open_head(&signed, &expected(NOON)), Err(ObjectRefused::Shape), "{bytes:02x?}");
    };
    check(b"");
    check(b"\x96\xc4\x20");
    check(&[0x95; 64]);
    check(&signed_for(None).bytes.0[1..]);
}

#[test]
fn mutated_objects_are_refused() {
    let signed = signed_for(None);
    let anybodys = Expected { issuer: None, ..expected(NOON) };
    let mut dice = Dice(5);
    let mut accepted = 0;
    for _ in 0..10_000 {
        let mut mutated = signed.clone();
        let length = mutated.bytes.0.len();
        match dice.below(4) {
            0 => mutated.bytes.0[dice.below(length)] ^= 1 << dice.below(8),
            1 => mutated.signature.0[dice.below(64)] ^= 1 << dice.below(8),
            2 => mutated.bytes.0.truncate(dice.below(length)),
            _ => mutated.bytes.0.insert(dice.below(length + 1), dice.throw() as u8),
        }
        accepted += u32::from(open_head(&mutated, &anybodys).is_ok());
    }
    assert_eq!(accepted, 0);
}
