//! Versions: older observations are taken, newer ones wait, other strangers get a clear answer.

use std::fs;
use std::io::Write;

use karo_protocol::frame::{Header, VERSION};
use karo_protocol::local::{FailureCode, Observe, Reply, Request, Verdict};
use karo_protocol::observation::OBSERVATION_VERSION;
use karo_protocol::{RequestId, spool};
use karo_tests::{Karo, Typist, until};

#[test]
fn a_newer_observation_is_not_taken_and_its_client_told() {
    let karo = Karo::running();
    let mut session = karo.session();
    let observation = Typist::new(1).ran("from the future", 0);
    let newer = Observe { version: OBSERVATION_VERSION + 1, observation };
    let reply = session.ask(&Request::Observe(newer)).expect("it is answered");
    assert_eq!(reply, Reply::Observed(Verdict::Failed));
    assert_eq!(session.texts(), Vec::<String>::new());
}

#[test]
fn a_newer_observation_with_fields_unknown_today_is_not_malformed() {
    let karo = Karo::running();
    let mut session = karo.session();
    // (7, (version + 1, {"what": [1, 2]})): only id and version can be read.
    let version = u8::try_from(OBSERVATION_VERSION + 1).expect("versions are small yet");
    let payload = [&[0x92, 7, 0x92, version, 0x81, 0xa4][..], b"what", &[0x92, 1, 2]].concat();
    let header = Header { version: VERSION, kind: 1, length: payload.len() as u32 };
    session.stream().write_all(&[&header.to_bytes()[..], &payload].concat()).expect("the daemon reads");
    let (id, reply) = session.receive().expect("it is answered");
    assert_eq!((id, reply), (RequestId(7), Reply::Observed(Verdict::Failed)));
}

#[test]
fn another_frame_version_meets_a_clear_answer() {
    for version in [0, VERSION + 1, u16::MAX] {
        let karo = Karo::running();
        let mut session = karo.session();
        let mut frame = Request::Status(()).encode(RequestId(3)).expect("it is small");
        frame[4..6].copy_from_slice(&version.to_be_bytes());
        session.stream().write_all(&frame).expect("the daemon reads");
        let (_, reply) = session.receive().expect("it is answered");
        let Reply::Failure(failure) = reply else { panic!("no failure: {reply:?}") };
        assert_eq!(failure.code, FailureCode::VersionMismatch, "{failure:?}");
        assert!(failure.message.contains(&version.to_string()), "{failure:?}");
    }
}

#[test]
fn a_newer_record_stays_in_the_spool_and_is_named() {
    let mut karo = Karo::new();
    let mut shell = Typist::new(1);
    let observation = shell.ran("later", 0);
    let newer = spool::encode(&observation);
    let newer =
        [format!("karo {}\0", OBSERVATION_VERSION + 1).as_bytes(), &newer[b"karo 1\0".len()..]].concat();
    let path = karo.spool().join(spool::file_name(shell.shell.id, 1, &observation.phase));
    fs::write(&path, newer).expect("there is room");
    karo.spool_record(&shell.ran("today", 0));
    karo.launch();
    until("today's record is taken in", || (karo.spooled().len() == 1).then_some(()));
    assert!(path.exists());
    until("status names it", || {
        let status = karo.status();
        (status.spools.iter().map(|spool| spool.newer).sum::<u64>() == 1).then_some(())
    });
    assert_eq!(karo.session().texts(), ["today"]);
}
