use std::path::PathBuf;

use karo_protocol::{Fingerprint, NodeId, Trust};

use super::*;
use crate::ctl::cli::CalledArgs;
use crate::ctl::samples::{peer, scene};
use crate::fake::{FakeDaemon, FakeSession, private_directory};

#[test]
fn the_listener_shows_its_code_and_both_see_the_words() {
    let daemon = FakeDaemon::serve(|session| {
        let (id, request) = session.request();
        assert_eq!(request, Request::Pair(asked(PairSide::Listen { address: None })));
        let waiting = Pairing::Waiting {
            code: "4711".to_owned(),
            addresses: vec!["10.0.0.1:9239".to_owned(), "[fd00::1]:9239".to_owned()],
            seconds: 120,
        };
        session.reply(id, &Reply::Pairing(waiting));
        session.reply(id, &Reply::Pairing(words()));
        let (_, request) = session.request();
        assert_eq!(request, Request::PairAnswer(PairAnswer { is_yes: true }));
        session.reply(id, &Reply::Pairing(Pairing::Waited));
        session.reply(id, &Reply::Pairing(Pairing::Paired(Box::new(peer()))));
    });
    let (mut scene, written) = scene(&daemon);
    scene.has_person = true;
    scene.person = |question| {
        assert_eq!(question, "does the other screen show the same four words, in this order?");
        Ok(true)
    };
    assert_eq!(run(&mut scene, &listen()), Ok(Exit::Done));
    let expected = "\
On the other machine, within 120 s, by the first of these that it reaches:

    karoctl peers pair 4711@10.0.0.1:9239
    karoctl peers pair 4711@[fd00::1]:9239

The other side is 0102-0304-0506-0708. Both screens must show:

    ┌────────────────────────────────────────┐
    │                                        │
    │    four    words    are    seen\\x1b    │
    │                                        │
    └────────────────────────────────────────┘

You said yes. Waiting for the other side to say yes as well.
laptop (0102-0304-0506-0708) is trusted as peer; `karoctl peers` shows its link
";
    assert_eq!(written.text(), expected);
}

#[test]
fn a_no_is_sent_and_nothing_is_trusted() {
    let daemon = FakeDaemon::serve(|session| answered(session, false));
    let (mut scene, _) = scene(&daemon);
    scene.has_person = true;
    scene.person = |_| Ok(false);
    assert_eq!(run(&mut scene, &dial(None)), Err(Trouble::refused("you said no: nothing is trusted")));
}

#[test]
fn nobody_says_yes_blindly_where_there_is_no_person() {
    let daemon = FakeDaemon::serve_all(Vec::new());
    let (mut scene, _) = scene(&daemon);
    let refusal = run(&mut scene, &listen()).expect_err("nobody can compare the words");
    assert_eq!(refusal.exit, Exit::Refused);
    assert!(refusal.message.contains("add --words-from FILE"), "{refusal}");
}

#[test]
fn words_that_are_handed_in_must_be_the_same() {
    let directory = private_directory();
    let with = |text: &str, is_yes: bool| {
        let path = directory.path().join("words");
        std::fs::write(&path, text).expect("there is room");
        let daemon = FakeDaemon::serve(move |session| answered(session, is_yes));
        let (mut scene, written) = scene(&daemon);
        scene.is_json = true;
        (run(&mut scene, &dial(Some(path))), written.text())
    };
    let (same, written) = with("  Four words  are seen\u{1b}\nand more", true);
    assert_eq!(same, Ok(Exit::Done));
    let lines: Vec<Value> =
        written.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
    assert_eq!(lines[0]["words"], "four words are seen\u{1b}");
    assert_eq!(lines[0]["fingerprint"], "0102-0304-0506-0708");
    assert_eq!(lines[1]["peer"]["name"], "laptop");
    for other in ["", "four words are", "four words are seen\u{1b} too", "words four are seen\u{1b}"] {
        let refusal = with(other, false).0.expect_err("they are others");
        assert!(refusal.message.starts_with("the other side's words are not the same"), "{refusal}");
    }
}

#[test]
fn why_it_came_to_nothing_is_said_in_the_words_of_the_daemon() {
    let daemon = FakeDaemon::serve(|session| {
        let (id, _) = session.request();
        let reason = "nobody came within 120 s".to_owned();
        session.reply(id, &Reply::Pairing(Pairing::Failed { reason }));
    });
    let (mut scene, _) = scene(&daemon);
    scene.has_person = true;
    assert_eq!(run(&mut scene, &listen()), Err(Trouble::refused("nobody came within 120 s")));
}

#[test]
fn both_sides_are_read_off_the_command_line() {
    let dialled =
        |code: &str, address: &str| PairSide::Dial { code: code.to_owned(), address: address.to_owned() };
    let of = |target: &str| side(&PairArgs { target: Some(target.to_owned()), ..dial(None) });
    assert_eq!(of("4711@10.0.0.2"), Ok(dialled("4711", "10.0.0.2:9239")));
    assert_eq!(of("4711@[fd00::2]:7000"), Ok(dialled("4711", "[fd00::2]:7000")));
    assert_eq!(of("4711@Laptop"), Ok(dialled("4711", "laptop:9239")));
    assert!(of("@laptop").is_err() && of("4711").is_err() && of("4711@a b").is_err());
    let at = |text: &str| side(&PairArgs { listen: Some(text.to_owned()), ..listen() });
    assert_eq!(at("::1"), Ok(PairSide::Listen { address: Some("[::1]:9239".to_owned()) }));
    assert!(at("laptop").is_err() && at("4711@10.0.0.2").is_err());
}

/// Shows the words, takes that answer, and ends as the answer says.
fn answered(session: &mut FakeSession, is_yes: bool) {
    let (id, request) = session.request();
    let side = PairSide::Dial { code: "4711".to_owned(), address: "10.0.0.2:9239".to_owned() };
    assert_eq!(request, Request::Pair(asked(side)));
    session.reply(id, &Reply::Pairing(words()));
    let (_, request) = session.request();
    assert_eq!(request, Request::PairAnswer(PairAnswer { is_yes }));
    let failed = || Pairing::Failed { reason: "one side said no".to_owned() };
    let end = if is_yes { Pairing::Paired(Box::new(peer())) } else { failed() };
    session.reply(id, &Reply::Pairing(end));
}

fn words() -> Pairing {
    Pairing::Words {
        words: ["four", "words", "are", "seen\u{1b}"].map(str::to_owned).to_vec(),
        node_id: NodeId([7; 32]),
        fingerprint: Fingerprint([1, 2, 3, 4, 5, 6, 7, 8]),
    }
}

fn asked(side: PairSide) -> Pair {
    Pair { side, trust: Trust::Member, name: Some("laptop".to_owned()), owner: None }
}

fn listen() -> PairArgs {
    PairArgs { target: None, listen: Some(String::new()), ..dial(None) }
}

fn dial(words_from: Option<PathBuf>) -> PairArgs {
    PairArgs {
        target: Some("4711@10.0.0.2".to_owned()),
        listen: None,
        trust: Trust::Member,
        called: CalledArgs { name: Some("laptop".to_owned()), owner: None },
        words_from,
    }
}
