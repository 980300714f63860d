//! Bytes that are no frames of ours: none is taken in, nobody else suffers, memory stays flat.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use karo_protocol::RequestId;
use karo_protocol::frame::{Header, MAGIC, VERSION};
use karo_protocol::limits::FRAME_BYTES_MAX;
use karo_protocol::local::{FailureCode, Observe, Reply, Request, Verdict};
use karo_protocol::query::{Filter, Query};
use karo_tests::{Dice, Karo, PATIENCE, Session, Typist, number_from, until};

/// Malformed frames, all told; `KARO_FRAMES` for another number.
const FRAMES: u64 = 10_000;

/// How much the daemon's memory may grow while it is fed with them: a few of its own buffers.
const GROWTH_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// An honest frame: what the malformed ones are made of.
fn honest(shell: &mut Typist) -> Vec<u8> {
    let observation = shell.ran("never to be seen", 0);
    Request::Observe(Observe::new(observation)).encode(RequestId(1)).expect("it is small")
}

/// A header of ours before any payload.
fn framed(kind: u16, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("it is small");
    let mut frame = Header { version: VERSION, kind, length }.to_bytes().to_vec();
    frame.extend_from_slice(payload);
    frame
}

/// A way to go wrong, drawn by the dice.
fn malformed(dice: &mut Dice, shell: &mut Typist) -> Vec<u8> {
    let mut frame = honest(shell);
    match dice.within(0..12) {
        0 => frame[..4].copy_from_slice(&dice.bytes(4)),
        1 => frame[8..12].copy_from_slice(&u32::MAX.to_be_bytes()),
        2 => frame[8..12].copy_from_slice(&(FRAME_BYTES_MAX + 1).to_be_bytes()),
        3 => frame[6..8].copy_from_slice(&(0x7000 | dice.within(0..0xfff) as u16).to_be_bytes()),
        // Nests deeper than any message of ours: arrays, and maps.
        4 => frame = framed(1, &vec![0x91; dice.within(17..60_000) as usize]),
        5 => frame = framed(2, &[0x81, 0x00].repeat(dice.within(17..30_000) as usize)),
        // Declares four gibibytes of items, text or bytes in five.
        6 => {
            frame = framed(1, &[[0xdd, 0xdf, 0xdb, 0xc6][dice.within(0..4) as usize], 0xff, 0xff, 0xff, 0xff])
        }
        7 => {
            let extra = dice.within(1..64) as usize;
            frame.extend_from_slice(&dice.bytes(extra));
            let length = (frame.len() - Header::SIZE) as u32;
            frame[8..12].copy_from_slice(&length.to_be_bytes());
        }
        8 => frame.truncate(dice.within(1..frame.len() as u64) as usize),
        9 => {
            let size = dice.within(0..4096) as usize;
            let payload = dice.bytes(size);
            // Half of them begin as an observation does, so that more than the scan is reached.
            let payload =
                if dice.within(0..2) == 0 { [&[0x92, 0x01], &payload[..]].concat() } else { payload };
            frame = framed(dice.within(1..0x20) as u16, &payload);
        }
        // The honest frame of a type that is somebody else's: a reply.
        10 => frame[6..8].copy_from_slice(&0x0101_u16.to_be_bytes()),
        _ => {
            let length = dice.within(1..200) as usize;
            frame = dice.bytes(length);
            // Never by chance a frame of ours.
            frame[0] |= 0x80;
        }
    }
    frame
}

/// Sends the bytes, says that no more will come, and returns what was answered before the end.
fn feed(karo: &Karo, bytes: &[u8]) -> Vec<Reply> {
    let mut stream = UnixStream::connect(karo.socket()).expect("the daemon listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
    // The daemon may hang up while we still write, and our unread bytes reset what it said.
    let sent = stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write));
    let mut answer = Vec::new();
    let received = stream.read_to_end(&mut answer);
    for result in [sent, received.map(drop)] {
        if let Err(error) = result {
            let hung_up = matches!(
                error.kind(),
                ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::NotConnected
            );
            assert!(hung_up, "the daemon neither answers nor hangs up: {error}");
        }
    }
    replies(&answer)
}

fn replies(mut bytes: &[u8]) -> Vec<Reply> {
    let mut replies = Vec::new();
    while let Some((header, rest)) = bytes.split_first_chunk::<{ Header::SIZE }>() {
        let header = Header::parse(header, FRAME_BYTES_MAX).expect("the daemon sends frames");
        let (payload, rest) = rest.split_at(header.length as usize);
        replies.push(Reply::decode(header.kind, payload).expect("the daemon sends replies").1);
        bytes = rest;
    }
    assert!(bytes.is_empty(), "the daemon sends whole frames");
    replies
}

#[test]
fn none_of_ten_thousand_is_taken_in() {
    let mut karo = Karo::running();
    let mut dice = Dice::seeded(0x0f4a_3e00);
    let mut shell = Typist::new(1);
    let mut honest = Typist::new(2);
    let mut friend = karo.session();
    let frames = number_from("KARO_FRAMES", FRAMES);
    let warm = frames / 10;
    let mut resident_before = 0;
    let mut kept = 0_usize;
    for round in 0..frames {
        if round == warm {
            resident_before = karo.resident_bytes();
        }
        let bytes = malformed(&mut dice, &mut shell);
        for reply in feed(&karo, &bytes) {
            let refused = match &reply {
                Reply::Failure(failure) => {
                    matches!(failure.code, FailureCode::BadRequest | FailureCode::VersionMismatch)
                }
                Reply::Observed(verdict) => *verdict == Verdict::Failed,
                _ => false,
            };
            assert!(refused, "round {round}: {reply:?} to {bytes:02x?}");
        }
        if round % 100 == 0 {
            let verdict = friend.observe(honest.ran(format!("honest {round}"), 0));
            assert_eq!(verdict.expect("honest clients are served meanwhile"), Verdict::Committed);
            kept += 1;
        }
    }
    let grown = karo.resident_bytes().saturating_sub(resident_before);
    assert!(grown <= GROWTH_BYTES_MAX, "resident memory grew by {grown} bytes");
    let texts = karo.session().texts();
    assert_eq!(texts.len(), kept);
    assert!(texts.iter().all(|text| text.starts_with("honest ")), "{texts:?}");
    let status = karo.status();
    assert!(status.malformed >= frames / 2, "only {} of {frames} were counted", status.malformed);
    assert!(karo.is_running());
    assert!(karo.stop().success());
}

#[test]
fn a_frame_that_never_ends_is_given_up() {
    let mut karo = Karo::new();
    karo.configure("[socket]\nidle_seconds = 1\n");
    karo.launch();
    let frame = honest(&mut Typist::new(1));
    let mut stream = UnixStream::connect(karo.socket()).expect("the daemon listens");
    // Reading is the wait between two bytes: it ends at once when the daemon hangs up.
    stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout can be set");
    let mut sent = 0;
    let closed = until("the trickle is given up", || {
        // The frame is long enough that its last byte is never reached.
        let byte = frame.get(sent..=sent).filter(|_| sent < frame.len() - 1).unwrap_or_default();
        sent += byte.len();
        if stream.write_all(byte).is_err() {
            return Some(true);
        }
        match stream.read(&mut [0; 4096]) {
            Ok(0) => Some(true),
            Ok(_) => None,
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(_) => Some(true),
        }
    });
    assert!(closed);
    assert!(sent < frame.len() - 1, "it was given up only when nothing more came");
    assert_eq!(karo.session().texts(), Vec::<String>::new());
}

#[test]
fn a_reader_that_does_not_read_blocks_only_itself() {
    let karo = Karo::running();
    let mut shell = Typist::new(1);
    let text = "x".repeat(4000);
    karo.keep((0..1000).map(|n| shell.ran(format!("{n} {text}"), 0)));
    let query = || Query {
        filter: Filter::default(),
        is_unique: false,
        limit: None,
        order: karo_protocol::query::Order::OldestFirst,
        detail: karo_protocol::query::Detail::Event,
    };
    let mut lazy: Vec<Session> = (0..8).map(|_| karo.session()).collect();
    for session in &mut lazy {
        session.send(&Request::Query(query())).expect("the daemon reads");
    }
    let mut shell = Typist::new(2);
    karo.keep((0..100).map(|n| shell.ran(format!("meanwhile {n}"), 0)));
    assert_eq!(karo.session().texts().len(), 1100);
}

#[test]
fn frames_in_one_write_are_answered_one_by_one() {
    let karo = Karo::running();
    let mut session = karo.session();
    let mut shell = Typist::new(1);
    let mut bytes = Vec::new();
    for id in 1..=100 {
        let request = Request::Observe(Observe::new(shell.ran(format!("echo {id}"), 0)));
        bytes.extend(request.encode(RequestId(id)).expect("it is small"));
    }
    assert!(bytes.starts_with(&MAGIC));
    session.stream().write_all(&bytes).expect("the daemon reads");
    let mut answered: Vec<u64> = (0..100)
        .map(|_| match session.receive().expect("the daemon answers") {
            (RequestId(id), Reply::Observed(Verdict::Committed)) => id,
            other => panic!("not committed: {other:?}"),
        })
        .collect();
    answered.sort_unstable();
    assert_eq!(answered, (1..=100).collect::<Vec<_>>());
    assert_eq!(karo.session().texts().len(), 100);
}
