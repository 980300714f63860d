use karo_protocol::local::{Failure, FailureCode};
use karo_protocol::mesh::{Candidate, LinkMoment, LinkState, PeerAdd, PeerShown, Pinged, TestStep};
use karo_protocol::{Fingerprint, NodeId, Timestamp, Trust};

use super::*;
use crate::ctl::cli::{self, Cli, Command};
use crate::ctl::samples::{ago, lost_peer, peer, scene};
use crate::fake::{FakeDaemon, FakeSession};

const KEY: &str = "karo:ed25519:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";

#[test]
fn the_table_is_for_eyes() {
    let expected = "\
NAME    FINGERPRINT          STATE      SINCE             ADDRESS        TRUST   OWNER  RTT    CLOCK  VERSION      REASON
laptop  0102-0304-0506-0708  connected  11:58:30          10.0.0.2:9238  peer    ada    400us  -1ms   karod 0.1.0
desk    0909-0909-0909-0909  timed-out  2026-11-01 12:00                 member                                    nothing heard for 45 s\\x1b
";
    let answer = Reply::Peers(PeersTable { change: 4, rows: vec![peer(), lost_peer()] });
    let (written, exit) = run_one(&["peers"], Request::Peers(PeersAsk { unless: None }), answer);
    assert_eq!((written.as_str(), exit), (expected, Ok(Exit::Done)));
}

#[test]
fn lines_for_scripts_have_these_keys_and_no_others() {
    let expected = format!(
        "{{\"name\":\"laptop\",\"node_id\":\"{KEY}\",\"fingerprint\":\"0102-0304-0506-0708\",\
         \"state\":\"connected\",\"since\":\"2026-11-02T10:58:30.000Z\",\"reason\":\"it dialled\",\
         \"address\":\"10.0.0.2:9238\",\"trust\":\"peer\",\"owner\":\"ada\",\"rtt_ms\":0.4,\"skew_ms\":-1.2,\
         \"version\":\"karod 0.1.0\"}}\n\
         {{\"name\":\"desk\",\"node_id\":\"karo:ed25519:CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg\",\
         \"fingerprint\":\"0909-0909-0909-0909\",\"state\":\"timed-out\",\"since\":\"2026-11-01T11:00:00.000Z\",\
         \"reason\":\"nothing heard for 45 s\\u001b\",\"address\":null,\"trust\":\"member\",\"owner\":null,\
         \"rtt_ms\":null,\"skew_ms\":null,\"version\":null}}\n"
    );
    let answer = Reply::Peers(PeersTable { change: 4, rows: vec![peer(), lost_peer()] });
    let (written, _) = run_one(&["--json", "peers"], Request::Peers(PeersAsk { unless: None }), answer);
    assert_eq!(written, expected);
}

#[test]
fn without_peers_nothing_is_found() {
    let answer = Reply::Peers(PeersTable::default());
    let (written, exit) = run_one(&["peers"], Request::Peers(PeersAsk { unless: None }), answer);
    assert_eq!((written.as_str(), exit), ("", Ok(Exit::NothingFound)));
}

#[test]
fn a_watch_leaves_alone_what_was_scrolled_away() {
    let daemon = FakeDaemon::serve(|session| {
        for change in 1..=3 {
            let (id, _) = session.request();
            let rows = if change == 2 { vec![peer(), lost_peer()] } else { vec![peer()] };
            session.reply(id, &Reply::Peers(PeersTable { change, rows }));
        }
        session.request();
    });
    let (mut scene, written) = scene(&daemon);
    scene.is_terminal = true;
    run(&mut scene, &args(&["peers", "--watch"])).expect_err("the daemon is gone");
    let text = written.text();
    assert!(text.starts_with("\x1b[H\x1b[2J"), "{text:?}");
    // A terminal may keep what is cleared from its first corner on, and forgets with 3J what it has kept.
    let count = |code| text.matches(code).count();
    assert_eq!((count("\x1b[H"), count("\x1b[2J"), count("\x1b[H\x1b[J"), count("\x1b[3J")), (3, 1, 0, 0));
    assert!(text.ends_with("\x1b[K\n\x1b[J"), "{text:?}");
}

#[test]
fn a_watch_shows_what_changes_and_ends_with_the_daemon() {
    let daemon = FakeDaemon::serve(|session| {
        let tables: [(Option<u64>, Vec<PeerRow>); 4] = [
            (None, vec![peer(), lost_peer()]),
            (Some(1), vec![peer(), lost_peer()]),
            (Some(2), vec![PeerRow { state: LinkState::Disconnecting, ..peer() }, lost_peer()]),
            (Some(3), vec![lost_peer()]),
        ];
        for (place, (unless, rows)) in tables.into_iter().enumerate() {
            let (id, request) = session.request();
            assert_eq!(request, Request::Peers(PeersAsk { unless }));
            session.reply(id, &Reply::Peers(PeersTable { change: place as u64 + 1, rows }));
        }
        session.request();
    });
    let (mut scene, written) = scene(&daemon);
    scene.is_json = true;
    let ended = run(&mut scene, &args(&["peers", "--watch"])).map_err(|trouble| trouble.exit);
    assert_eq!(ended, Err(Exit::NoDaemon));
    let states: Vec<String> = written
        .text()
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("it is JSON");
            format!("{} {}", line["name"], line["state"]).replace('"', "")
        })
        .collect();
    assert_eq!(states, ["laptop connected", "desk timed-out", "laptop disconnecting", "laptop removed"]);
}

#[test]
fn a_node_is_added_with_all_that_was_said() {
    let add = PeerAdd {
        node_id: NodeId([7; 32]),
        addresses: vec!["10.0.0.2:9238".to_owned(), "[fd00::2]:7000".to_owned()],
        trust: Trust::ShareTo,
        name: Some("laptop".to_owned()),
        owner: Some("ada".to_owned()),
        expires_at: Some(Timestamp::from_micros(ago(0).as_micros() + 86_400_000_000)),
    };
    let node = format!("{KEY}@10.0.0.2");
    let line =
        ["peers", "add", &node, "--address", "[fd00::2]:7000", "--trust", "share-to", "--name", "laptop"];
    let line = [&line[..], &["--owner", "ada", "--expires", "24h"]].concat();
    let row = PeerRow { trust: Trust::ShareTo, ..peer() };
    let (written, exit) = run_one(&line, Request::PeerAdd(add), Reply::Peer(Box::new(row)));
    assert_eq!(
        (written.as_str(), exit),
        ("laptop (0102-0304-0506-0708) is trusted as share-to\n", Ok(Exit::Done))
    );
}

#[test]
fn what_is_typed_wrong_is_named_before_the_daemon_is_asked() {
    let cases: [(&[&str], &str); 6] = [
        (
            &["peers", "add", "laptop@10.0.0.2", "--trust", "peer"],
            "\"laptop\" is no node id, expected karo:ed25519: and 43 letters of base64url; the other machine prints its own by `karoctl identity show`",
        ),
        (
            &["peers", "add", "KEY@10.0.0.2:0", "--trust", "peer"],
            "\"10.0.0.2:0\" is no address, expected HOST or HOST:PORT, as 10.0.0.2:9238, [fd00::2]:9238 or laptop.example",
        ),
        (
            &["peers", "add", "KEY", "--trust", "peer", "--expires", "yesterday"],
            "--expires \"yesterday\" is no moment to come; accepted is RFC 3339, 2027-01-31, \"2027-01-31 14:00\", or in how long: 90m, 12h, 30d, 1w, 6 months",
        ),
        (
            &["peers", "rename", "laptop", "a\u{202e}b"],
            "the new name is \"a\\u{202e}b\", accepted is 1 to 64 bytes of letters, digits and - _ . @ +, beginning with a letter or digit",
        ),
        (
            &["peers", "--watch", "candidates"],
            "--watch shows the table as it changes, and goes with no other command",
        ),
        (
            &["peers", "pair", "10.0.0.2"],
            "\"10.0.0.2\" is not CODE@ADDR, as the other side shows it: there is no @ in it",
        ),
    ];
    for (line, message) in cases {
        let daemon = FakeDaemon::serve_all(Vec::new());
        let (mut scene, _) = scene(&daemon);
        let line: Vec<String> = line.iter().map(|word| word.replace("KEY", KEY)).collect();
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        assert_eq!(run(&mut scene, &args(&line)), Err(Trouble::usage(message)));
    }
}

#[test]
fn changes_say_what_is_since() {
    let cases: [(&[&str], Change, &str); 5] = [
        (
            &["trust", "lap", "member"],
            Change::Trust(Trust::Member),
            "laptop (0102-0304-0506-0708) is trusted as peer\n",
        ),
        (
            &["rename", "lap", "laptop"],
            Change::Rename("laptop".to_owned()),
            "laptop (0102-0304-0506-0708) is called so from now on\n",
        ),
        (&["remove", "lap"], Change::Remove, "laptop (0102-0304-0506-0708) is forgotten\n"),
        (
            &["revoke", "lap"],
            Change::Revoke,
            "laptop (0102-0304-0506-0708) is refused from now on; its owner is not told, nor is any other machine\n",
        ),
        (
            &["confirm", "lap", "--yes"],
            Change::Confirm,
            "what was held of laptop (0102-0304-0506-0708) is accepted\n",
        ),
    ];
    for (words, change, expected) in cases {
        let line = [&["peers"], words].concat();
        let request = Request::PeerChange(PeerChange { peer: "lap".to_owned(), change });
        let (written, exit) = run_one(&line, request, Reply::Peer(Box::new(peer())));
        assert_eq!((written.as_str(), exit), (expected, Ok(Exit::Done)));
    }
}

#[test]
fn what_is_held_is_seen_before_it_is_accepted() {
    let daemon = FakeDaemon::serve(|session| {
        let (id, request) = session.request();
        assert_eq!(request, Request::PeerShow("laptop".to_owned()));
        let reason = Some("a new key that was not announced".to_owned());
        let row = PeerRow { state: LinkState::Held, reason, ..peer() };
        session.reply(id, &Reply::PeerShown(Box::new(PeerShown { row, ..shown() })));
    });
    let (mut scene, _) = scene(&daemon);
    scene.person = |question| {
        assert_eq!(question, "laptop (0102-0304-0506-0708): a new key that was not announced; accept it?");
        Ok(false)
    };
    let refusal = Trouble::refused("nothing was accepted");
    assert_eq!(run(&mut scene, &args(&["peers", "confirm", "laptop"])), Err(refusal));
}

#[test]
fn all_that_is_known_of_a_peer_is_shown() {
    let expected = "\
name        desk
node id     karo:ed25519:CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg
fingerprint 0909-0909-0909-0909
trust       member until 2026-11-02 13:00:00 CET, by the configuration: it is changed there
link        timed-out since 2026-11-01 12:00:00 CET: nothing heard for 45 s\\x1b
dialled at  10.0.0.3:9238, [fd00::3]:9238
next try    2026-11-02 12:00:08 CET
can         audit
witnessed   its audit up to entry 120

TIME      STATE         ADDRESS        REASON
11:58:20  connected     10.0.0.3:9238
11:59:50  disconnected                 nothing heard for 45 s

what to do:
  - start karod there
";
    let answer = || Reply::PeerShown(Box::new(shown()));
    let request = || Request::PeerShow("desk".to_owned());
    let (written, _) = run_one(&["peers", "show", "desk"], request(), answer());
    assert_eq!(written, expected);
    let (written, _) = run_one(&["--json", "peers", "show", "desk"], request(), answer());
    let line: serde_json::Value = serde_json::from_str(&written).expect("it is JSON");
    assert_eq!(line["state"], "timed-out");
    assert_eq!(line["history"][1]["reason"], "nothing heard for 45 s");
    assert_eq!(line["next_try_at"], "2026-11-02T11:00:08.000Z");
}

#[test]
fn a_ping_says_time_clock_and_path() {
    let pinged =
        Pinged { name: "laptop".to_owned(), rtt_us: 300, skew_us: -5, path: "tcp 10.0.0.2:9238".to_owned() };
    let ask =
        |line: &[&str]| run_one(line, Request::PeerPing("lap".to_owned()), Reply::Pinged(pinged.clone())).0;
    let expected = "laptop answered in 300us, its clock -5us, by tcp 10.0.0.2:9238\n";
    assert_eq!(ask(&["peers", "ping", "lap"]), expected);
    let expected = "{\"name\":\"laptop\",\"path\":\"tcp 10.0.0.2:9238\",\"rtt_ms\":0.3,\"skew_ms\":-0.005}\n";
    assert_eq!(ask(&["--json", "peers", "ping", "lap"]), expected);
}

#[test]
fn a_test_shows_each_step_and_ends_with_its_failure() {
    let step = |step: &str, error: Option<&str>| TestStep {
        step: step.to_owned(),
        took_us: 800,
        error: error.map(str::to_owned),
        advice: error.map(|_| "add this node there".to_owned()),
    };
    let steps =
        vec![step("connect 10.0.0.2:9238", None), step("TLS handshake", Some("refused by the other side"))];
    let expected = "\
STEP                   TOOK   RESULT
connect 10.0.0.2:9238  800us  ok
TLS handshake          800us  refused by the other side
-> add this node there
";
    let (written, exit) =
        run_one(&["peers", "test", "lap"], Request::PeerTest("lap".to_owned()), Reply::PeerTested(steps));
    assert_eq!((written.as_str(), exit), (expected, Ok(Exit::Refused)));
}

#[test]
fn candidates_are_what_they_say_of_themselves() {
    let candidate = Candidate {
        fingerprint: Some(Fingerprint([9; 8])),
        name: "desk\n".to_owned(),
        addresses: vec!["10.0.0.3:9238".to_owned()],
        version: Some("1".to_owned()),
        source: "mdns".to_owned(),
        seen_at: ago(4),
        peer: None,
    };
    let expected = "\
NAME   FINGERPRINT          BY    SEEN      VERSION  PEER  ADDRESSES
desk↵  0909-0909-0909-0909  mdns  11:59:56  1              10.0.0.3:9238
";
    let ask = |found| run_one(&["peers", "candidates"], Request::Candidates(()), Reply::Candidates(found));
    assert_eq!(ask(vec![candidate]), (expected.to_owned(), Ok(Exit::Done)));
    assert_eq!(ask(Vec::new()).1, Ok(Exit::NothingFound));
}

#[test]
fn refusals_of_the_daemon_are_said_as_they_are() {
    let daemon = FakeDaemon::serve(|session| {
        let (id, _) = session.request();
        let message = "two peers begin with \"l\": laptop and lab; write one letter more".to_owned();
        session.reply(id, &Reply::Failure(Failure { code: FailureCode::Refused, message }));
    });
    let (mut scene, _) = scene(&daemon);
    let refusal = Trouble::refused("two peers begin with \"l\": laptop and lab; write one letter more");
    assert_eq!(run(&mut scene, &args(&["peers", "ping", "l"])), Err(refusal));
}

fn shown() -> PeerShown {
    let moment = |seconds, state, reason: Option<&str>, address: Option<&str>| LinkMoment {
        at: ago(seconds),
        state,
        reason: reason.map(str::to_owned),
        address: address.map(str::to_owned),
    };
    PeerShown {
        row: lost_peer(),
        addresses: vec!["10.0.0.3:9238".to_owned(), "[fd00::3]:9238".to_owned()],
        history: vec![
            moment(100, LinkState::Connected, None, Some("10.0.0.3:9238")),
            moment(10, LinkState::Disconnected, Some("nothing heard for 45 s"), None),
        ],
        next_try_at: Some(ago(-8)),
        advice: vec!["start karod there".to_owned()],
        witnessed: Some(120),
        capabilities: vec!["audit".to_owned()],
    }
}

fn parsed(line: &[&str]) -> Cli {
    cli::parse_from(line).unwrap_or_else(|error| panic!("{error}"))
}

fn args(line: &[&str]) -> PeersArgs {
    let Command::Peers(args) = parsed(line).command else { panic!("it is about peers") };
    args
}

/// Runs a command line before a daemon that expects that request and gives that answer.
fn run_one(line: &[&str], expected: Request, answer: Reply) -> (String, Result<Exit, Trouble>) {
    let daemon = FakeDaemon::serve(move |session: &mut FakeSession| {
        let (id, request) = session.request();
        assert_eq!(request, expected);
        session.reply(id, &answer);
    });
    let (mut scene, written) = scene(&daemon);
    scene.is_json = parsed(line).json;
    let exit = run(&mut scene, &args(line));
    (written.text(), exit)
}
