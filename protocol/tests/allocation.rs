//! Whatever a stranger sends, reading it takes no more memory than a frame may cost.
//!
//! Alone in its binary: the allocator counts for the whole process.

mod samples;
mod value;

use std::collections::BTreeSet;

use karo_protocol::Outcome;
use karo_protocol::frame::{FrameError, Header};
use karo_protocol::limits::{DEPTH_MAX, FRAME_BYTES_MAX, ITEMS_MAX};
use karo_protocol::local::{Import, Observe, Reply, Request, Tallies, peek_id};
use karo_protocol::query::{CountKey, LeftOut, Tally};
use karo_protocol::spool;
use peak_alloc::PeakAlloc;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What reading one payload may take beyond the payload itself, in bytes, whatever is in it.
///
/// A frame holds at most 65,536 items, so at most so many elements of a list. The widest element
/// that one item can stand for is a string of 24 bytes; a list that grows holds its old half meanwhile.
const MEMORY_MAX: usize = 4 * 1024 * 1024;

/// Returns the types of frames that mean something, and one that does not.
fn kinds() -> BTreeSet<u16> {
    let requests = samples::requests().into_iter().map(|(_, request)| request.kind());
    let replies = samples::replies().into_iter().map(|(_, reply)| reply.kind());
    requests.chain(replies).chain([0x0999]).collect()
}

/// Fields of a filter, and the places of its lists among them; the others may be nil.
const FILTER_FIELDS: u8 = 15;
const WORDS_FIELD: usize = 0;
const IDS_FIELD: usize = 11;

/// Returns how much memory a deed takes at its worst moment, beyond what was taken before.
fn memory_of(deed: impl FnOnce()) -> usize {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    deed();
    MEMORY.peak_usage().saturating_sub(before)
}

/// Reads bytes as every message, and returns the most memory that one took.
fn worst(kinds: &BTreeSet<u16>, payload: &[u8]) -> usize {
    let spooled = memory_of(|| drop(spool::decode(payload)));
    let peeked = memory_of(|| drop((peek_id(payload), Observe::peek_version(payload))));
    let read = kinds.iter().map(|kind| {
        let request = memory_of(|| drop(Request::decode(*kind, payload)));
        request.max(memory_of(|| drop(Reply::decode(*kind, payload))))
    });
    read.max().unwrap_or(0).max(spooled).max(peeked)
}

/// An array of so many copies of an item, which declares as many as it holds.
fn array(item: &[u8], count: usize) -> Vec<u8> {
    let mut bytes = vec![0xdd];
    bytes.extend((count as u32).to_be_bytes());
    (0..count).for_each(|_| bytes.extend_from_slice(item));
    bytes
}

/// A pair of a request's id and something else.
fn with_id(message: &[u8]) -> Vec<u8> {
    [&[0x92, 0x01], message].concat()
}

/// Payloads made to take much: few bytes that declare many, and many small elements.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let all = ITEMS_MAX as usize - 2;
    let fields = |count: u8, place: usize, field: &[u8]| {
        let mut bytes = vec![0xdc, 0, count];
        for at in 0..count as usize {
            bytes.extend_from_slice(match at {
                _ if at == place => field,
                WORDS_FIELD | IDS_FIELD => &[0x90],
                _ => &[0xc0],
            });
        }
        bytes
    };
    let declared: [&[u8]; 6] = [
        &[0xdd, 0xff, 0xff, 0xff, 0xff],
        &[0xdf, 0xff, 0xff, 0xff, 0xff],
        &[0xc6, 0xff, 0xff, 0xff, 0xff],
        &[0xdb, 0xff, 0xff, 0xff, 0xff],
        &[0xdd, 0x00, 0x0f, 0xff, 0xff],
        &[0xdc, 0xff, 0xff],
    ];
    let mut bombs: Vec<(&'static str, Vec<u8>)> = Vec::new();
    for bytes in declared {
        bombs.push(("declared", bytes.to_vec()));
        bombs.push(("declared behind an id", with_id(bytes)));
        bombs.push(("declared deeper", with_id(&array(bytes, 1))));
        bombs.push(("declared in a filter", with_id(&fields(FILTER_FIELDS, WORDS_FIELD, bytes))));
    }
    // More than may be: a scan that lets them through costs tens of mebibytes.
    let too_many = array(&[0xa0], FRAME_BYTES_MAX as usize - 64);
    bombs.push(("too many words", with_id(&fields(FILTER_FIELDS, WORDS_FIELD, &too_many))));
    bombs.push(("many explanations", with_id(&array(&fields(11, 1, &[0xc0]), all / 11))));
    bombs.push(("too many rows", with_id(&too_many)));
    bombs.push(("deep", vec![0x91; FRAME_BYTES_MAX as usize]));
    bombs.push(("deep maps", vec![0x81; FRAME_BYTES_MAX as usize]));
    bombs.push(("just deep enough", [vec![0x91; DEPTH_MAX], vec![0xc0]].concat()));
    bombs.push(("zeros", vec![0; FRAME_BYTES_MAX as usize]));
    for item in [&[0xc0][..], &[0x90], &[0x00], &[0xa0], &[0xc4, 0x00], &[0xa1, b'x']] {
        bombs.push(("many items", with_id(&array(item, all))));
        bombs.push(("many words", with_id(&fields(FILTER_FIELDS, WORDS_FIELD, &array(item, all - 20)))));
        bombs.push(("many ids", with_id(&fields(FILTER_FIELDS, IDS_FIELD, &array(item, all - 20)))));
    }
    bombs
}

/// Makes the frame of as many elements as fit one.
fn full(make: impl Fn(usize) -> Result<Vec<u8>, FrameError>) -> Vec<u8> {
    let fitting = (0..=16).map_while(|power| make(1 << power).ok()).last();
    fitting.expect("a single element fits a frame")
}

/// Whole messages, some of them with as many elements as a frame can carry.
fn messages() -> Vec<Vec<u8>> {
    let id = samples::ID;
    let mut frames = vec![
        full(|count| Reply::Rows(vec![samples::running_row(); count]).encode(id)),
        full(|count| Reply::Events(vec![samples::event(Outcome::Running); count]).encode(id)),
        full(|count| {
            let tallies = vec![Tally { key: CountKey::All, count: 0, failed: 0 }; count];
            Reply::Tallies(Tallies { tallies, partial_since: None, left_out: LeftOut::default() }).encode(id)
        }),
        full(|count| Request::Import(Import { lines: vec![samples::bare_line(); count] }).encode(id)),
    ];
    let requests = samples::requests().into_iter().map(|(_, request)| request.encode(id));
    let replies = samples::replies().into_iter().map(|(_, reply)| reply.encode(id));
    frames.extend(requests.chain(replies).map(|frame| frame.expect("a sample fits a frame")));
    frames
}

#[test]
fn no_payload_takes_more_memory_than_a_frame_may_cost() {
    let kinds = kinds();
    let mut most = (0, String::new());
    let mut check = |name: &str, payload: &[u8]| {
        let taken = worst(&kinds, payload);
        assert!(taken <= MEMORY_MAX, "{name} of {} bytes took {taken}", payload.len());
        if taken > most.0 {
            most = (taken, format!("{name} of {} bytes", payload.len()));
        }
    };
    for (name, bomb) in bombs() {
        check(name, &bomb);
    }
    for frame in messages() {
        check("a message", &frame[Header::SIZE..]);
    }
    for (name, observation) in samples::spooled() {
        check(name, &spool::encode(&observation));
    }
    let mut runner = TestRunner::deterministic();
    let mut any = |strategy: &dyn Fn(&mut TestRunner) -> Vec<u8>| strategy(&mut runner);
    for _ in 0..200 {
        check(
            "any value",
            &any(&|runner| value::any_value().new_tree(runner).expect("it is made").current()),
        );
        let bytes = any(&|runner| {
            proptest::collection::vec(proptest::num::u8::ANY, 0..3000)
                .new_tree(runner)
                .expect("it is made")
                .current()
        });
        check("any bytes", &bytes);
        check("any bytes behind an id", &with_id(&bytes));
    }
    eprintln!("the most is {} bytes, for {}", most.0, most.1);
}
