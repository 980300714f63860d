//! Frames that are taken, and a hundred and ten thousand that are not.

use super::*;
use crate::testing::{Dice, Key};

const EXPORTER: [u8; 32] = [7; 32];

/// What a reader is given: a frame taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    header: Header,
    payload: Vec<u8>,
    signature: Signature,
}

impl Parts {
    /// Takes apart what a writer made, as a transport does; `None` where no reader is asked at all.
    fn of(bytes: &[u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk()?;
        let header = Header::parse(header, 1 << 20).ok()?;
        let (payload, signature) = rest.split_at_checked(header.length as usize)?;
        Some(Self { header, payload: payload.to_vec(), signature: Signature(signature.try_into().ok()?) })
    }

    fn offer(&self, reader: &mut Reader) -> Result<(), FrameRefused> {
        reader.open(self.header, &self.payload, &self.signature)
    }
}

fn writer(key: u64, exporter: [u8; 32], stream: u32, direction: Direction) -> Writer {
    Writer::new(Arc::new(Key::of(key)), exporter, stream, direction)
}

fn reader() -> Reader {
    Reader::new(Key::of(1).node_id(), EXPORTER, 0, Direction::FromDialler)
}

/// Returns the first frames of a stream, each with another payload.
fn frames(mut writer: Writer, count: u8) -> Vec<Vec<u8>> {
    let frame = |number| karo_protocol::frame::encode(0x1004, &(number, "ping")).expect("it fits a frame");
    (0..count).map(|number| writer.sign(frame(number)).expect("there are numbers left")).collect()
}

fn honest() -> Vec<Vec<u8>> {
    frames(writer(1, EXPORTER, 0, Direction::FromDialler), 20)
}

/// Returns a reader that has taken so many of the honest frames.
fn reader_after(frames: &[Vec<u8>]) -> Reader {
    let mut reader = reader();
    for frame in frames {
        Parts::of(frame).expect("it is a frame").offer(&mut reader).expect("it is the next one");
    }
    reader
}

#[test]
fn frames_in_order_are_taken() {
    let frames = honest();
    assert_eq!(reader_after(&frames).next, Next::At(20));
}

#[test]
fn the_layout_is_the_drawn_one() {
    let frame = karo_protocol::frame::encode(0x1004, &1_u8).expect("it fits a frame");
    let mut writer = writer(1, EXPORTER, 0x0102_0304, Direction::FromListener);
    writer.next = Next::At(0x0506);
    let signed = writer.sign(frame.clone()).expect("there are numbers left");
    let covered = [
        b"karo/1 frame".as_slice(),
        &[7; 32],
        &[1, 2, 3, 4, 1, 0, 0, 0, 0, 0, 0, 5, 6],
        b"KARO\x00\x01\x10\x04\x00\x00\x00\x01\x01",
    ]
    .concat();
    assert_eq!(signed[..frame.len()], frame);
    let signature = Signature(signed[frame.len()..].try_into().expect("64 bytes"));
    assert!(verify(&Key::of(1).node_id(), &covered, &signature));
}

/// Each of the things that a signature is bound to is the only one that differs.
#[test]
fn a_frame_is_bound_to_its_place() {
    let check = |name: &str, writer: Writer| {
        let frame = &frames(writer, 1)[0];
        let refused = Parts::of(frame).expect("it is a frame").offer(&mut reader());
        assert_eq!(refused, Err(FrameRefused::Signature { sequence: 0, stream: 0 }), "{name}");
    };
    check("another key", writer(2, EXPORTER, 0, Direction::FromDialler));
    check("another connection", writer(1, [8; 32], 0, Direction::FromDialler));
    check("another stream", writer(1, EXPORTER, 1, Direction::FromDialler));
    check("the other direction", writer(1, EXPORTER, 0, Direction::FromListener));
    let mut later = writer(1, EXPORTER, 0, Direction::FromDialler);
    later.next = Next::At(1);
    check("another place in the order", later);
}

#[test]
fn nothing_is_taken_after_a_refusal() {
    let frames = honest();
    let (first, second) = (Parts::of(&frames[0]).expect("a frame"), Parts::of(&frames[1]).expect("a frame"));
    let mut reader = reader();
    assert_eq!(second.offer(&mut reader), Err(FrameRefused::Signature { sequence: 0, stream: 0 }));
    assert_eq!(first.offer(&mut reader), Err(FrameRefused::Ended));
}

#[test]
fn a_header_that_declares_another_length_is_refused() {
    let mut parts = Parts::of(&honest()[0]).expect("a frame");
    parts.header.length += 1;
    let length = parts.payload.len();
    assert_eq!(parts.offer(&mut reader()), Err(FrameRefused::Length { length }));
}

#[test]
fn numbers_are_never_used_twice() {
    let mut writer = writer(1, EXPORTER, 0, Direction::FromDialler);
    let mut reader = reader();
    (writer.next, reader.next) = (Next::At(u64::MAX), Next::At(u64::MAX));
    let frame = karo_protocol::frame::encode(1, &1_u8).expect("it fits a frame");
    let last = Parts::of(&writer.sign(frame.clone()).expect("one number is left")).expect("a frame");
    assert_eq!(writer.sign(frame), Err(Exhausted));
    assert_eq!(last.offer(&mut reader), Ok(()));
    assert_eq!(last.offer(&mut reader), Err(FrameRefused::Exhausted));
}

#[test]
fn a_large_frame_leaves_no_large_buffer() {
    let frame = karo_protocol::frame::encode(1, &vec![0_u8; 500_000]).expect("it fits a frame");
    let mut writer = writer(1, EXPORTER, 0, Direction::FromDialler);
    let signed = writer.sign(frame).expect("there are numbers left");
    let reader = reader_after(&[signed]);
    assert!(writer.covered.0.capacity() <= KEPT_BYTES_MAX && reader.covered.0.capacity() <= KEPT_BYTES_MAX);
}

/// Frames of other places that an attacker may have seen: of the same key, and of others.
fn foreign() -> Vec<Vec<u8>> {
    let mut foreign = frames(writer(1, EXPORTER, 0, Direction::FromListener), 20);
    foreign.extend(frames(writer(1, EXPORTER, 3, Direction::FromDialler), 20));
    foreign.extend(frames(writer(1, [8; 32], 0, Direction::FromDialler), 20));
    foreign.extend(frames(writer(2, EXPORTER, 0, Direction::FromDialler), 20));
    foreign
}

/// Changes the frame, or makes one of several; tells nothing of whether anything differs in the end.
fn mutate(dice: &mut Dice, frame: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = frame.to_vec();
    let other = &others[dice.below(others.len())];
    let place = dice.below(bytes.len());
    match dice.below(6) {
        0 => bytes[place] ^= 1 << dice.below(8),
        1 => bytes[place] = dice.throw() as u8,
        // The front of one and the end of another, cut alike so that it is a frame more often than not.
        2 => bytes.splice(place.., other[place.min(other.len())..].iter().copied()).for_each(drop),
        3 => bytes.truncate(place),
        4 => bytes.clone_from(other),
        _ => (0..=dice.below(4)).for_each(|_| {
            let place = dice.below(bytes.len());
            bytes[place] ^= dice.throw() as u8;
        }),
    }
    bytes
}

#[test]
fn mutated_frames_are_refused() {
    let frames = honest();
    let foreign = foreign();
    let readers: Vec<Reader> = (0..frames.len()).map(|taken| reader_after(&frames[..taken])).collect();
    let mut dice = Dice(4);
    let (mut offered, mut accepted) = (0, 0);
    while offered < 100_000 {
        let place = dice.below(frames.len());
        let bytes = mutate(&mut dice, &frames[place], &foreign);
        let Some(parts) = Parts::of(&bytes).filter(|_| bytes != frames[place]) else {
            continue;
        };
        offered += 1;
        accepted += u32::from(parts.offer(&mut readers[place].clone()).is_ok());
    }
    assert_eq!(accepted, 0);
}

/// In the same session at each later place, and in another session at each place.
#[test]
fn replayed_frames_are_refused() {
    let frames = super::tests::frames(writer(1, EXPORTER, 0, Direction::FromDialler), 101);
    let parts: Vec<Parts> = frames.iter().map(|frame| Parts::of(frame).expect("a frame")).collect();
    let other = super::tests::frames(writer(1, [8; 32], 0, Direction::FromDialler), 101);
    let (mut used, mut fresh) =
        (reader(), Reader::new(Key::of(1).node_id(), [8; 32], 0, Direction::FromDialler));
    let (mut offered, mut accepted) = (0, 0);
    for (taken, (frame, others)) in parts.iter().zip(&other).enumerate() {
        for (place, part) in parts.iter().enumerate().filter(|(place, _)| *place != taken) {
            offered += 1;
            let reader = if place < taken { &used } else { &fresh };
            accepted += u32::from(part.offer(&mut reader.clone()).is_ok());
        }
        frame.offer(&mut used).expect("it is the next one");
        Parts::of(others).expect("a frame").offer(&mut fresh).expect("it is the next one");
    }
    assert!(offered >= 10_000, "{offered}");
    assert_eq!(accepted, 0);
}
