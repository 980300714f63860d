//! What holds for all messages: they read back, and whatever else arrives is refused without a panic.

mod samples;
mod value;
mod words;

use karo_protocol::RequestId;
use karo_protocol::frame::{FrameError, Header};
use karo_protocol::limits::FRAME_BYTES_MAX;
use karo_protocol::local::{Observe, Reply, Request, peek_id};
use karo_protocol::scan::scan;
use karo_protocol::spool;
use proptest::prelude::*;

/// Reads bytes as everything they could be.
fn read_as_anything(kind: u16, bytes: &[u8]) {
    let _ = (Request::decode(kind, bytes).is_ok(), Reply::decode(kind, bytes).is_ok());
    let _ = (Observe::peek_version(bytes).is_ok(), peek_id(bytes), spool::decode(bytes).is_ok());
    if let Some((header, payload)) = bytes.split_first_chunk() {
        let kind = Header::parse(header, FRAME_BYTES_MAX).map_or(kind, |header| header.kind);
        let _ = (Request::decode(kind, payload).is_ok(), Reply::decode(kind, payload).is_ok());
    }
}

/// Returns the golden frames and records, whole.
fn golden() -> Vec<Vec<u8>> {
    let id = samples::ID;
    let requests = samples::requests().into_iter().map(|(_, request)| request.encode(id));
    let replies = samples::replies().into_iter().map(|(_, reply)| reply.encode(id));
    let frames = requests.chain(replies).map(|frame| frame.expect("a sample fits a frame"));
    frames.chain(samples::spooled().into_iter().map(|(_, observation)| spool::encode(&observation))).collect()
}

/// One change of some bytes.
#[derive(Debug, Clone)]
enum Edit {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Cut(prop::sample::Index),
    Repeat(prop::sample::Index, usize),
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |index: &prop::sample::Index| index.index(bytes.len().max(1));
        match self {
            Self::Insert(index, byte) => bytes.insert(place(index).min(bytes.len()), *byte),
            _ if bytes.is_empty() => {}
            Self::Set(index, byte) => {
                let place = place(index);
                bytes[place] = *byte;
            }
            Self::Remove(index) => drop(bytes.remove(place(index))),
            Self::Cut(index) => bytes.truncate(place(index)),
            Self::Repeat(index, length) => {
                let start = place(index);
                let end = bytes.len().min(start + length);
                bytes.extend_from_within(start..end);
            }
        }
    }
}

fn any_edit() -> impl Strategy<Value = Edit> {
    // Bytes that begin a value of MessagePack come more often than their share.
    let byte = || prop_oneof![any::<u8>(), 0x80..=0x9f_u8, 0xc0..=0xdf_u8];
    prop_oneof![
        4 => (any::<prop::sample::Index>(), byte()).prop_map(|(index, byte)| Edit::Set(index, byte)),
        2 => (any::<prop::sample::Index>(), byte()).prop_map(|(index, byte)| Edit::Insert(index, byte)),
        2 => any::<prop::sample::Index>().prop_map(Edit::Remove),
        1 => any::<prop::sample::Index>().prop_map(Edit::Cut),
        1 => (any::<prop::sample::Index>(), 0..300_usize).prop_map(|(index, length)| Edit::Repeat(index, length)),
    ]
}

proptest! {
    // What fails is made a test of its own, not a file of seeds.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn requests_read_back(id in any::<u64>(), request in words::any_request()) {
        let frame = request.encode(RequestId(id)).expect("it is small");
        let (header, payload) = frame.split_first_chunk().expect("a frame has a header");
        let header = Header::parse(header, FRAME_BYTES_MAX).expect("the header is ours");
        prop_assert_eq!(header.length as usize, payload.len());
        prop_assert_eq!(peek_id(payload), RequestId(id));
        prop_assert_eq!(Request::decode(header.kind, payload), Ok((RequestId(id), request)));
        prop_assert!(matches!(Reply::decode(header.kind, payload), Err(FrameError::UnknownType(_))));
    }

    #[test]
    fn replies_read_back(id in any::<u64>(), reply in words::any_reply()) {
        let frame = reply.encode(RequestId(id)).expect("it is small");
        let (header, payload) = frame.split_first_chunk().expect("a frame has a header");
        let header = Header::parse(header, FRAME_BYTES_MAX).expect("the header is ours");
        prop_assert_eq!(header.length as usize, payload.len());
        prop_assert_eq!(peek_id(payload), RequestId(id));
        prop_assert_eq!(Reply::decode(header.kind, payload), Ok((RequestId(id), reply)));
        prop_assert!(matches!(Request::decode(header.kind, payload), Err(FrameError::UnknownType(_))));
    }

    #[test]
    fn spool_records_read_back(observation in words::any_spooled()) {
        prop_assert_eq!(spool::decode(&spool::encode(&observation)), Ok(observation));
    }

    #[test]
    fn what_is_bounded_stays_as_it_is(observation in words::any_observation()) {
        let bounded = observation.bounded();
        prop_assert_eq!(bounded.clone().bounded(), bounded);
    }

    #[test]
    fn every_cut_of_a_frame_is_refused(request in words::any_request(), at in any::<prop::sample::Index>()) {
        let frame = request.encode(RequestId(1)).expect("it is small");
        let payload = &frame[Header::SIZE..];
        prop_assert!(Request::decode(request.kind(), &payload[..at.index(payload.len())]).is_err());
        let longer = [payload, &[0xc0]].concat();
        prop_assert!(Request::decode(request.kind(), &longer).is_err());
    }

    #[test]
    fn any_bytes_are_refused_or_read(kind in any::<u16>(), bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        read_as_anything(kind, &bytes);
        read_as_anything(kind & 0x011f, &bytes);
    }

    #[test]
    fn any_value_is_refused_or_read(kind in 0..0x200_u16, value in value::any_value()) {
        prop_assert_eq!(scan(&value), Ok(()));
        read_as_anything(kind, &value);
        read_as_anything(0, &[&[0x92, 0x01], &value[..]].concat());
    }

    #[test]
    fn any_edit_of_a_message_is_refused_or_read(
        which in any::<prop::sample::Index>(), edits in prop::collection::vec(any_edit(), 1..8)
    ) {
        let golden = golden();
        let mut bytes = which.get(&golden).clone();
        edits.iter().for_each(|edit| edit.apply(&mut bytes));
        read_as_anything(0, &bytes);
    }
}
