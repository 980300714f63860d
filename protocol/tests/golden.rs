//! Golden frames: the bytes of every message and spool record, per version of the protocol.
//!
//! A changed byte is a decision: daemons and clients of two versions meet on one machine, and a spool
//! outlives an upgrade. A new message or field gets a new file; what is in `v1` is read for good.
//! `UPDATE_GOLDEN=1 cargo test -p karo-protocol --test golden` writes them anew.

mod samples;
mod spoken;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use karo_protocol::frame::{FrameError, Header, VERSION};
use karo_protocol::limits::FRAME_BYTES_MAX;
use karo_protocol::local::{Observe, Reply, Request, RulesStatus};
use karo_protocol::mesh::MeshStatus;
use karo_protocol::observation::OBSERVATION_VERSION;
use karo_protocol::pair::{PAIR_FRAME_BYTES_MAX, PairMessage};
use karo_protocol::peer::{Control, PEER_VERSION, SKIPPED_FROM};
use karo_protocol::query::{Count, LeftOut, Query};
use karo_protocol::spool;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

fn is_update() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

/// Returns what the file of that name holds; in an update, that is what it should.
fn golden(name: &str, bytes: &[u8]) -> Vec<u8> {
    let path = directory().join(format!("{name}.bin"));
    if is_update() {
        fs::write(&path, bytes).expect("the golden files can be written");
    }
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn split(frame: &[u8]) -> (Header, &[u8]) {
    let (header, payload) = frame.split_first_chunk().expect("a frame has a header");
    let header = Header::parse(header, FRAME_BYTES_MAX).expect("the header is ours");
    assert_eq!((header.version, header.length as usize), (VERSION, payload.len()));
    (header, payload)
}

#[test]
fn requests_are_the_bytes_they_were() {
    for (name, request) in samples::requests() {
        let frame = golden(name, &request.encode(samples::ID).expect("a sample fits a frame"));
        assert_eq!(request.encode(samples::ID).expect("a sample fits a frame"), frame, "{name}");
        let (header, payload) = split(&frame);
        assert_eq!(Request::decode(header.kind, payload), Ok((samples::ID, request)), "{name}");
    }
}

#[test]
fn replies_are_the_bytes_they_were() {
    for (name, reply) in samples::replies() {
        let frame = golden(name, &reply.encode(samples::ID).expect("a sample fits a frame"));
        assert_eq!(reply.encode(samples::ID).expect("a sample fits a frame"), frame, "{name}");
        let (header, payload) = split(&frame);
        assert_eq!(Reply::decode(header.kind, payload), Ok((samples::ID, reply)), "{name}");
    }
}

#[test]
fn spool_records_are_the_bytes_they_were() {
    for (name, observation) in samples::spooled() {
        let record = golden(name, &spool::encode(&observation));
        assert_eq!(spool::encode(&observation), record, "{name}");
        assert_eq!(spool::decode(&record), Ok(observation), "{name}");
    }
}

/// Frames as clients wrote them before events had a risk, each with what it means today.
fn older_requests() -> Vec<(&'static str, Request)> {
    let names = ["request-query", "request-query-all", "request-count", "request-delete"];
    let mut requests = samples::requests();
    requests.retain(|(name, _)| names.contains(name));
    for (_, request) in &mut requests {
        if let Request::Query(Query { filter, .. })
        | Request::Count(Count { filter, .. })
        | Request::Delete(filter) = request
        {
            (filter.risk, filter.axis, filter.rule) = (None, None, None);
        }
    }
    requests
}

/// Frames as daemons wrote them before events had a risk, and counts a bound, each with what it means today.
fn older_replies() -> Vec<(&'static str, Reply)> {
    let mut replies = samples::replies();
    replies.retain(|(name, _)| ["reply-rows", "reply-status", "reply-tallies"].contains(name));
    for (_, reply) in &mut replies {
        if let Reply::Rows(rows) = reply {
            rows.iter_mut().for_each(|row| (row.risk, row.axis) = (None, None));
        }
        if let Reply::Tallies(tallies) = reply {
            tallies.left_out = LeftOut::default();
        }
        if let Reply::Status(status) = reply {
            status.rules = RulesStatus::default();
            status.mesh = MeshStatus::default();
        }
    }
    replies
}

/// A field that was added since then stands at the end and has a default.
#[test]
fn older_frames_are_still_read() {
    let read = |name: &str| {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/older/{name}.bin"));
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    for (name, request) in older_requests() {
        let frame = read(name);
        let (header, payload) = split(&frame);
        assert_eq!(Request::decode(header.kind, payload), Ok((samples::ID, request)), "{name}");
    }
    for (name, reply) in older_replies() {
        let frame = read(name);
        let (header, payload) = split(&frame);
        assert_eq!(Reply::decode(header.kind, payload), Ok((samples::ID, reply)), "{name}");
    }
}

#[test]
fn what_peers_say_are_the_bytes_they_were() {
    for (name, message) in spoken::controls() {
        let frame = golden(name, &message.encode(PEER_VERSION).expect("a sample fits a frame"));
        assert_eq!(message.encode(PEER_VERSION).expect("a sample fits a frame"), frame, "{name}");
        let (header, payload) = split(&frame);
        assert_eq!(Control::decode(header.kind, payload), Ok(Some(message)), "{name}");
    }
}

#[test]
fn what_strangers_say_are_the_bytes_they_were() {
    for (name, message) in spoken::pairing() {
        let frame = golden(name, &message.encode().expect("a sample fits a frame"));
        assert_eq!(message.encode().expect("a sample fits a frame"), frame, "{name}");
        let (header, payload) = split(&frame);
        assert!(header.length < PAIR_FRAME_BYTES_MAX / 2, "{name}");
        assert_eq!(PairMessage::decode(header.kind, payload), Ok(message), "{name}");
    }
}

#[test]
fn what_is_signed_are_the_bytes_they_were() {
    for (name, bytes) in spoken::objects() {
        assert_eq!(golden(name, &bytes), bytes, "{name}");
    }
}

#[test]
fn peers_pass_over_what_newer_ones_say() {
    assert_eq!(Control::decode(SKIPPED_FROM, b"\xc0"), Ok(None));
    assert!(Control::decode(SKIPPED_FROM, b"\xc0\xc0").is_err());
    let unknown = SKIPPED_FROM - 1;
    assert_eq!(Control::decode(unknown, b"\xc0"), Err(FrameError::UnknownType(unknown)));
}

#[test]
fn every_message_has_a_golden_frame() {
    let kinds: BTreeSet<u16> = samples::requests()
        .iter()
        .map(|(_, request)| request.kind())
        .chain(samples::replies().iter().map(|(_, reply)| reply.kind()))
        .collect();
    let is_known = |kind: &u16| {
        let unknown = FrameError::UnknownType(*kind);
        Request::decode(*kind, &[]) != Err(unknown.clone()) || Reply::decode(*kind, &[]) != Err(unknown)
    };
    assert_eq!((0..=u16::MAX).filter(is_known).collect::<BTreeSet<u16>>(), kinds);
    let said: BTreeSet<u16> = spoken::controls().iter().map(|(_, message)| message.kind()).collect();
    // Nil is a value that no message is, and that passes where an unknown type is passed over.
    let is_said = |kind: &u16| match Control::decode(*kind, b"\xc0") {
        Ok(None) | Err(FrameError::UnknownType(_)) => false,
        Ok(Some(_)) | Err(_) => true,
    };
    assert_eq!((0..=u16::MAX).filter(is_said).collect::<BTreeSet<u16>>(), said);
    let paired: BTreeSet<u16> = spoken::pairing().iter().map(|(_, message)| message.kind()).collect();
    let is_pairing = |kind: &u16| PairMessage::decode(*kind, &[]) != Err(FrameError::UnknownType(*kind));
    assert_eq!((0..=u16::MAX).filter(is_pairing).collect::<BTreeSet<u16>>(), paired);
}

#[test]
fn no_golden_file_is_left_over() {
    let names = samples::requests().into_iter().map(|(name, _)| name);
    let names = names.chain(samples::replies().into_iter().map(|(name, _)| name));
    let names = names.chain(samples::spooled().into_iter().map(|(name, _)| name));
    let names = names.chain(spoken::controls().into_iter().map(|(name, _)| name));
    let names = names.chain(spoken::pairing().into_iter().map(|(name, _)| name));
    let names = names.chain(spoken::objects().into_iter().map(|(name, _)| name));
    if is_update() {
        return;
    }
    let expected: BTreeSet<String> = names.map(|name| format!("{name}.bin")).collect();
    let entries = fs::read_dir(directory()).expect("the golden files are there");
    let found = entries.map(|entry| entry.expect("it can be listed").file_name().into_string());
    assert_eq!(found.collect::<Result<BTreeSet<String>, _>>(), Ok(expected));
}

#[test]
fn the_version_of_an_observation_can_be_read_alone() {
    for (name, request) in
        samples::requests().into_iter().filter(|(name, _)| name.starts_with("request-observe"))
    {
        let frame = request.encode(samples::ID).expect("a sample fits a frame");
        let (_, payload) = split(&frame);
        assert_eq!(Observe::peek_version(payload), Ok((samples::ID, OBSERVATION_VERSION)), "{name}");
    }
}
