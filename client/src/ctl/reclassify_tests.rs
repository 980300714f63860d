use karo_protocol::local::{Failure, FailureCode, Progress as Far};

use super::*;
use crate::ctl::samples::scene;
use crate::fake::{FakeDaemon, FakeSession};

const DONE: Reclassified = Reclassified { events: 1000, changed: 30, redacted: 2, segments: 4 };

fn daemon(redact: bool, last: Reply) -> FakeDaemon {
    FakeDaemon::serve(move |session: &mut FakeSession| {
        let (id, request) = session.request();
        assert_eq!(request, Request::Reclassify(Reclassify { redact }));
        for done in [0, 500, 1000] {
            session.reply(id, &Reply::Progress(Far { done, total: 1000, changed: done / 50 }));
        }
        session.reply(id, &last);
    })
}

#[test]
fn what_was_done_is_told() {
    let cases = [
        (false, "1000 events looked at, 30 are understood in another way; 4 segments written anew\n"),
        (
            true,
            "1000 events looked at, 30 are understood in another way, out of 2 a secret was cut; 4 segments written anew\n",
        ),
    ];
    for (redact, expected) in cases {
        let daemon = daemon(redact, Reply::Reclassified(DONE));
        let (mut scene, written) = scene(&daemon);
        assert_eq!(run(&mut scene, ReclassifyArgs { redact }), Ok(Exit::Done));
        assert_eq!(written.text(), expected);
    }
}

#[test]
fn programs_read_numbers() {
    let daemon = daemon(false, Reply::Reclassified(DONE));
    let (mut scene, written) = scene(&daemon);
    scene.is_json = true;
    assert_eq!(run(&mut scene, ReclassifyArgs { redact: false }), Ok(Exit::Done));
    assert_eq!(written.text(), "{\"events\":1000,\"changed\":30,\"redacted\":2,\"segments\":4}\n");
}

#[test]
fn what_stops_it_says_that_the_next_goes_on() {
    let failure = Failure { code: FailureCode::Unwritable, message: "the disk is full".to_owned() };
    let daemon = daemon(false, Reply::Failure(failure));
    let (mut scene, _) = scene(&daemon);
    let expected = "the disk is full; what is done stays done, and `karoctl reclassify` again does the rest";
    assert_eq!(run(&mut scene, ReclassifyArgs { redact: false }), Err(Trouble::refused(expected)));
}
