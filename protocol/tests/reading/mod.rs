//! What must hold for any bytes that arrive: they are refused, or they are a message that reads back.
//!
//! The fuzz targets and the replay of their corpus share it.

use karo_protocol::RequestId;
use karo_protocol::atom::{Atom, AtomSeal, Report};
use karo_protocol::frame::{FrameError, Header, decode};
use karo_protocol::group::GroupFile;
use karo_protocol::limits::FRAME_BYTES_MAX;
use karo_protocol::local::{Observe, Reply, Request, peek_id};
use karo_protocol::peer::{Control, Object, PEER_VERSION, SignedBody};
use karo_protocol::spool;
use karo_protocol::summary::Summary;

/// Reads bytes as a frame: a header, and all that follows as its payload.
pub(crate) fn frame(bytes: &[u8]) {
    let Some((header, payload)) = bytes.split_first_chunk() else { return };
    let Ok(header) = Header::parse(header, FRAME_BYTES_MAX) else { return };
    assert!(header.length <= FRAME_BYTES_MAX);
    let id = peek_id(payload);
    let request = Request::decode(header.kind, payload);
    check(id, request.clone(), Request::encode, |again| Request::decode(header.kind, again));
    check(id, Reply::decode(header.kind, payload), Reply::encode, |again| Reply::decode(header.kind, again));
    if let Ok((id, Request::Observe(observe))) = request {
        assert_eq!(Observe::peek_version(payload), Ok((id, observe.version)));
    }
}

/// Checks that what was read can be written, and reads as the same.
fn check<T: PartialEq + std::fmt::Debug>(
    peeked: RequestId,
    read: Result<(RequestId, T), FrameError>,
    encode: impl Fn(&T, RequestId) -> Result<Vec<u8>, FrameError>,
    decode: impl Fn(&[u8]) -> Result<(RequestId, T), FrameError>,
) {
    let Ok((id, message)) = read else { return };
    assert_eq!(peeked, id);
    match encode(&message, id) {
        Ok(frame) => assert_eq!(decode(&frame[Header::SIZE..]), Ok((id, message))),
        // Empty arrays read as empty byte strings, and those take a byte more.
        Err(error) => assert!(matches!(error, FrameError::TooLong { .. }), "{error}"),
    }
}

/// Reads bytes as a spool record.
pub(crate) fn record(bytes: &[u8]) {
    let Ok(observation) = spool::decode(bytes) else { return };
    assert!(bytes.len() <= spool::RECORD_BYTES_MAX);
    assert_eq!(observation.clone().bounded(), observation);
    let again = spool::encode(&observation);
    assert!(again.len() <= spool::RECORD_BYTES_MAX);
    assert_eq!(spool::decode(&again), Ok(observation));
}

/// Reads bytes as what a peer says on its control stream: of groups, atoms, summaries and questions among others.
pub(crate) fn spoken(bytes: &[u8]) {
    let Some((header, payload)) = bytes.split_first_chunk() else { return };
    let Ok(header) = Header::parse(header, FRAME_BYTES_MAX) else { return };
    let Ok(Some(control)) = Control::decode(header.kind, payload) else { return };
    match control.encode(PEER_VERSION) {
        Ok(frame) => assert_eq!(Control::decode(header.kind, &frame[Header::SIZE..]), Ok(Some(control))),
        // Empty arrays read as empty byte strings, and those take a byte more.
        Err(error) => assert!(matches!(error, FrameError::TooLong { .. }), "{error}"),
    }
}

/// Reads bytes as each object of groups, atoms and summaries that peers sign.
pub(crate) fn object(bytes: &[u8]) {
    object_of::<GroupFile>(bytes);
    object_of::<Atom>(bytes);
    object_of::<AtomSeal>(bytes);
    object_of::<Report>(bytes);
    object_of::<Summary>(bytes);
}

fn object_of<T: SignedBody + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    let Ok(object) = decode::<Object<T>>(bytes) else { return };
    let again = rmp_serde::to_vec(&object).expect("an object in memory can be written");
    assert_eq!(decode::<Object<T>>(&again), Ok(object));
}
