use karo_protocol::Timestamp;
use karo_protocol::node::{NodeId, Nonce, Signature};
use karo_protocol::peer::{Capabilities, Hello, HelloAck, Ping, Pong};

use super::*;
use crate::several::PATIENCE;

const OWN: NodeId = NodeId([1; 32]);
const PEER: NodeId = NodeId([2; 32]);
const OWN_RUN: Nonce = Nonce([1; 16]);
const RUN: Nonce = Nonce([2; 16]);
const OTHER_RUN: Nonce = Nonce([3; 16]);
const WALL: i64 = 1_700_000_000_000_000;

/// A machine with a clock that is set by hand; the peer is played by the test.
struct Stage {
    machine: Machine,
    begin: Instant,
    at: Moment,
    next: u64,
}

impl Stage {
    fn new() -> Self {
        let begin = Instant::now();
        let at = Moment { now: begin, wall: Timestamp::from_micros(WALL) };
        let settings = Settings::new(OWN_RUN, Hash([9; 32]), "karod test".to_owned());
        Self { machine: Machine::new(settings, 1, at), begin, at, next: 0 }
    }

    /// Lets time pass, without a call.
    fn pass(&mut self, span: Duration) {
        self.at.now += span;
        self.at.wall = Timestamp::from_micros(self.at.wall.as_micros() + span.as_micros() as i64);
    }

    /// Lets time pass, and calls the machine whenever it wants to be.
    fn wait(&mut self, span: Duration) -> Vec<Output> {
        let end = self.at.now + span;
        let mut outputs = Vec::new();
        while let Some(deadline) = self.machine.deadline().filter(|deadline| *deadline <= end) {
            self.pass(deadline.saturating_duration_since(self.at.now));
            outputs.extend(self.machine.on_timeout(self.at));
        }
        self.pass(end.saturating_duration_since(self.at.now));
        outputs
    }

    fn connect(&mut self, is_dialled: bool) -> (ConnectionId, Vec<Output>) {
        let connection = ConnectionId(self.next);
        self.next += 1;
        let address = "10.0.0.2:9238".to_owned();
        let who = Authenticated { connection, own: OWN, peer: PEER, is_dialled, address };
        (connection, self.machine.on_connected(who, self.at))
    }

    fn hear(&mut self, connection: ConnectionId, control: Control) -> Vec<Output> {
        self.machine.on_control(connection, 1, Some(control), self.at)
    }

    fn hello(&self, run: Nonce, skew_s: i64) -> Control {
        let now = Timestamp::from_micros(self.at.wall.as_micros() + skew_s * 1_000_000);
        Control::Hello(Hello {
            versions: (1, 1),
            run,
            now,
            next_key: Hash([8; 32]),
            program: "karod peer".to_owned(),
        })
    }

    /// Brings a connection up, whatever becomes of it then.
    fn open(&mut self, is_dialled: bool, run: Nonce) -> (ConnectionId, Vec<Output>) {
        let (connection, mut outputs) = self.connect(is_dialled);
        let hello = self.hello(run, 0);
        outputs.extend(self.hear(connection, hello));
        outputs.extend(self.hear(connection, Control::HelloAck(HelloAck { version: 1, run: OWN_RUN })));
        if !is_dialled && self.machine.primary().is_some() {
            let ping = Ping { number: 0, now: self.at.wall, head: None };
            outputs.extend(self.hear(connection, Control::Ping(ping)));
        }
        (connection, outputs)
    }

    fn up(&mut self) -> ConnectionId {
        let (connection, _) = self.open(false, RUN);
        assert_eq!(self.state(), LinkState::Connected);
        connection
    }

    fn pong(&mut self, connection: ConnectionId, number: u64, run: Nonce) -> Vec<Output> {
        let now = self.at.wall;
        self.hear(connection, Control::Pong(Pong { number, now, run, head: None }))
    }

    fn state(&self) -> LinkState {
        self.machine.status().state
    }

    fn reason(&self) -> &str {
        self.machine.status().reason.as_deref().unwrap_or_default()
    }
}

fn sent(outputs: &[Output]) -> Vec<&'static str> {
    let name = |output: &Output| match output {
        Output::Send { control, .. } => Some(control.name()),
        Output::Dial | Output::Abandon | Output::Admit(_) | Output::Close { .. } | Output::Tell(_) => None,
    };
    outputs.iter().filter_map(name).collect()
}

fn partings(outputs: &[Output]) -> Vec<(ConnectionId, Option<Parting>)> {
    let closed = |output: &Output| match output {
        Output::Close { connection, goodbye } => {
            Some((*connection, goodbye.as_ref().map(|(_, goodbye)| goodbye.reason)))
        }
        Output::Dial | Output::Abandon | Output::Admit(_) | Output::Send { .. } | Output::Tell(_) => None,
    };
    outputs.iter().filter_map(closed).collect()
}

fn dials(outputs: &[Output]) -> usize {
    outputs.iter().filter(|output| **output == Output::Dial).count()
}

fn tells(outputs: &[Output], told: impl Fn(&LinkEvent) -> bool) -> bool {
    outputs.iter().any(|output| matches!(output, Output::Tell(event) if told(event)))
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_link_comes_up() {
    let mut stage = Stage::new();
    assert_eq!(stage.state(), LinkState::Disconnected);
    assert_eq!(dials(&stage.machine.reachable(true, stage.at)), 1);
    assert_eq!(stage.state(), LinkState::Connecting);
    stage.machine.on_authenticating(stage.at);
    assert_eq!(stage.state(), LinkState::Authenticating);
    let (connection, outputs) = stage.connect(true);
    assert_eq!(sent(&outputs), ["Hello"]);
    let hello = stage.hello(RUN, 0);
    assert_eq!(sent(&stage.hear(connection, hello)), ["HelloAck"]);
    assert_eq!(stage.state(), LinkState::Authenticating);
    let outputs = stage.hear(connection, Control::HelloAck(HelloAck { version: 1, run: OWN_RUN }));
    assert_eq!(sent(&outputs), ["Ping", "Capabilities"]);
    assert_eq!(outputs[0], Output::Admit(connection));
    assert!(tells(&outputs, |event| matches!(event, LinkEvent::Up(up) if up.run == RUN && up.version == 1)));
    assert_eq!(stage.state(), LinkState::Connected);
    assert!(!stage.machine.may_open(connection));
    stage.hear(connection, Control::Capabilities(Capabilities::default()));
    assert!(stage.machine.may_open(connection));
    stage.pass(Duration::from_millis(4));
    let outputs = stage.pong(connection, 0, RUN);
    let pinged = |event: &LinkEvent| matches!(event, LinkEvent::Pinged { rtt, skew_us: 2000, .. } if *rtt == Duration::from_millis(4));
    assert!(tells(&outputs, pinged));
}

#[test]
fn a_listener_answers_before_it_speaks_of_itself() {
    let mut stage = Stage::new();
    let (connection, _) = stage.connect(false);
    let hello = stage.hello(RUN, 0);
    stage.hear(connection, hello);
    let outputs = stage.hear(connection, Control::HelloAck(HelloAck { version: 1, run: OWN_RUN }));
    assert_eq!(sent(&outputs), Vec::<&str>::new());
    let ping = |number| Control::Ping(Ping { number, now: Timestamp::from_micros(WALL), head: None });
    assert_eq!(sent(&stage.hear(connection, ping(0))), ["Pong", "Capabilities", "Ping"]);
    assert_eq!(sent(&stage.hear(connection, ping(1))), ["Pong"]);
}

#[test]
fn nothing_but_a_greeting_is_taken_before_it() {
    let early = [
        Control::HelloAck(HelloAck { version: 1, run: OWN_RUN }),
        Control::Ping(Ping { number: 0, now: Timestamp::from_micros(WALL), head: None }),
        Control::Capabilities(Capabilities::default()),
    ];
    for control in early {
        let mut stage = Stage::new();
        let (connection, _) = stage.connect(false);
        let outputs = stage.hear(connection, control);
        assert_eq!(partings(&outputs), [(connection, Some(Parting::Protocol))]);
        assert_eq!(stage.machine.primary(), None);
    }
}

#[test]
fn a_broken_protocol_ends_the_link() {
    let hello = Stage::new().hello(RUN, 0);
    let wrong = [
        (1, hello),
        (1, Control::HelloAck(HelloAck { version: 1, run: OWN_RUN })),
        (1, Control::Pong(Pong { number: 1, now: Timestamp::from_micros(WALL), run: RUN, head: None })),
        (1, Control::Capabilities(Capabilities { names: vec![String::new(); 65] })),
        (2, Control::Capabilities(Capabilities::default())),
    ];
    for (version, control) in wrong {
        let mut stage = Stage::new();
        let connection = stage.up();
        let outputs = stage.machine.on_control(connection, version, Some(control), stage.at);
        assert_eq!(partings(&outputs), [(connection, Some(Parting::Protocol))]);
        assert!(tells(&outputs, |event| matches!(event, LinkEvent::Down { .. })));
        assert_eq!(stage.machine.primary(), None);
    }
    let mut stage = Stage::new();
    let connection = stage.up();
    assert_eq!(stage.machine.on_control(connection, 1, None, stage.at), []);
    stage.hear(connection, Control::Capabilities(Capabilities::default()));
    let again = stage.hear(connection, Control::Capabilities(Capabilities::default()));
    assert_eq!(partings(&again), [(connection, Some(Parting::Protocol))]);
}

#[test]
fn an_acknowledgement_is_of_this_hello() {
    for ack in [HelloAck { version: 1, run: OTHER_RUN }, HelloAck { version: 2, run: OWN_RUN }] {
        let mut stage = Stage::new();
        let (connection, _) = stage.connect(false);
        let hello = stage.hello(RUN, 0);
        stage.hear(connection, hello);
        let outputs = stage.hear(connection, Control::HelloAck(ack));
        assert_eq!(partings(&outputs), [(connection, Some(Parting::Protocol))]);
    }
}

#[test]
fn versions_are_agreed_upon_or_refused() {
    let check = |ours: (u16, u16), theirs: (u16, u16), agreed: Option<u16>| {
        let mut stage = Stage::new();
        stage.machine.settings.versions = ours;
        let (connection, _) = stage.connect(false);
        let Control::Hello(hello) = stage.hello(RUN, 0) else { unreachable!() };
        let outputs = stage.hear(connection, Control::Hello(Hello { versions: theirs, ..hello }));
        match agreed {
            None => {
                assert_eq!(partings(&outputs), [(connection, Some(Parting::Version))]);
                assert!(
                    stage.reason().is_empty() || stage.reason().contains("no protocol version in common")
                );
            }
            Some(version) => {
                let ack = Control::HelloAck(HelloAck { version, run: RUN });
                assert!(outputs.contains(&Output::Send { connection, version, control: ack }));
                let ack = Some(Control::HelloAck(HelloAck { version, run: OWN_RUN }));
                stage.machine.on_control(connection, version, ack, stage.at);
                assert_eq!(stage.state(), LinkState::Connected);
            }
        }
    };
    check((1, 1), (1, 1), Some(1));
    check((1, 1), (1, 9), Some(1));
    check((1, 3), (2, 2), Some(2));
    check((2, 3), (1, 4), Some(3));
    check((1, 1), (2, 3), None);
    check((2, 3), (1, 1), None);
    check((1, 1), (0, 0), None);
    // Turned around, it speaks nothing.
    check((1, 3), (3, 1), None);
}

#[test]
fn clocks_are_compared() {
    for (skew_s, is_refused, is_far) in
        [(0, false, false), (60, false, false), (61, false, true), (299, false, true), (301, true, false)]
    {
        for skew_s in [skew_s, -skew_s] {
            let mut stage = Stage::new();
            let (connection, _) = stage.connect(false);
            let hello = stage.hello(RUN, skew_s);
            let outputs = stage.hear(connection, hello);
            let said = |event: &LinkEvent| *event == LinkEvent::Greeted { skew_us: skew_s * 1_000_000 };
            assert!(tells(&outputs, said), "{skew_s} s: refused or not, it is told what the clock said");
            let expected = if is_refused { vec![(connection, Some(Parting::Clock))] } else { vec![] };
            assert_eq!(partings(&outputs), expected, "{skew_s} s");
            let warned = tells(&outputs, |event| matches!(event, LinkEvent::Clock { is_far: true, .. }));
            assert_eq!(warned, is_far, "{skew_s} s");
        }
    }
}

#[test]
fn a_clock_that_jumps_moves_no_timer() {
    for jump_s in [3600, -3600, 86_400, -86_400] {
        let mut stage = Stage::new();
        let connection = stage.up();
        stage.pong(connection, 0, RUN);
        let deadline = stage.machine.deadline();
        let before = stage.at.wall;
        stage.at.wall = Timestamp::from_micros(before.as_micros() + jump_s * 1_000_000);
        assert_eq!(stage.machine.on_timeout(stage.at), []);
        assert_eq!(stage.machine.deadline(), deadline);
        stage.machine.ping(stage.at);
        let pong = Control::Pong(Pong { number: 1, now: before, run: RUN, head: None });
        let outputs = stage.hear(connection, pong);
        assert!(tells(&outputs, |event| matches!(event, LinkEvent::Clock { is_far: true, .. })));
        assert_eq!(stage.state(), LinkState::Connected);
    }
}

#[test]
fn a_silent_link_is_probed_and_then_gone() {
    let mut stage = Stage::new();
    let connection = stage.up();
    stage.pong(connection, 0, RUN);
    assert_eq!(sent(&stage.wait(Duration::from_millis(29_999))), <[&str; 0]>::default());
    assert_eq!(sent(&stage.wait(Duration::from_millis(1))), ["Ping"]);
    assert_eq!(sent(&stage.wait(seconds(14))), ["Ping"; 2]);
    assert_eq!(stage.state(), LinkState::Connected);
    let outputs = stage.wait(seconds(1));
    assert_eq!(partings(&outputs), [(connection, None)]);
    assert_eq!(stage.state(), LinkState::TimedOut);
    // Any frame keeps it alive, even of an unknown type.
    let mut stage = Stage::new();
    let connection = stage.up();
    for _ in 0..10 {
        stage.wait(seconds(44));
        stage.machine.on_control(connection, 1, None, stage.at);
    }
    assert_eq!(stage.state(), LinkState::Connected);
}

#[test]
fn a_peer_that_answers_no_ping_is_not_remembered_for_all_of_them() {
    let mut stage = Stage::new();
    let connection = stage.up();
    let ping = |stage: &mut Stage| stage.machine.ping(stage.at).0.expect("the link is up").1;
    let numbers: Vec<u64> = (0..1000).map(|_| ping(&mut stage)).collect();
    let is_answered = |stage: &mut Stage, number: u64| {
        let outputs = stage.pong(connection, number, RUN);
        assert_eq!(partings(&outputs), [], "a late answer is no offence");
        tells(&outputs, |event| matches!(event, LinkEvent::Pinged { number: told, .. } if *told == number))
    };
    assert!(!is_answered(&mut stage, numbers[numbers.len() / 2]), "it was given up for later ones");
    // Probes come between those that people wait for, and push none of them out.
    let waited_for: Vec<u64> = (0..PINGS_BY_HAND_MAX).map(|_| ping(&mut stage)).collect();
    stage.wait(SILENCE_MAX - Duration::from_millis(1));
    assert!(waited_for.into_iter().all(|number| is_answered(&mut stage, number)));
}

#[test]
fn a_peer_that_does_not_greet_is_let_go() {
    let mut stage = Stage::new();
    let (connection, _) = stage.connect(false);
    assert_eq!(partings(&stage.wait(Duration::from_millis(9_999))), []);
    assert_eq!(partings(&stage.wait(Duration::from_millis(1))), [(connection, None)]);
    assert_eq!(stage.state(), LinkState::TimedOut);
}

#[test]
fn dials_become_rarer() {
    let mut stage = Stage::new();
    stage.machine.reachable(true, stage.at);
    let mut count = 1;
    while stage.at.now < stage.begin + seconds(600) {
        stage.machine.on_dial_failed(&Loss::Unreachable("refused".to_owned()), stage.at);
        assert_eq!(stage.state(), LinkState::Failed);
        count += dials(&stage.wait(Duration::from_millis(250)));
    }
    assert!((14..=30).contains(&count), "{count} dials in ten minutes");
}

#[test]
fn a_dial_that_hangs_is_abandoned_and_its_time_counts() {
    let mut stage = Stage::new();
    stage.machine.reachable(true, stage.at);
    let mut starts = Vec::new();
    while stage.at.now < stage.begin + seconds(600) {
        let outputs = stage.wait(Duration::from_millis(100));
        starts.extend(std::iter::repeat_n(stage.at.now, dials(&outputs)));
        assert!(dials(&outputs) == 0 || !outputs.contains(&Output::Abandon));
    }
    let longest = starts.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(longest <= Some(seconds(61)), "{longest:?} between two dials");
    assert!((9..25).contains(&starts.len()), "{} dials", starts.len());
}

#[test]
fn a_refusal_is_tried_again_slowly() {
    let mut stage = Stage::new();
    stage.machine.reachable(true, stage.at);
    let (connection, _) = stage.connect(true);
    let loss = Loss::Refused("the peer does not trust this node".to_owned());
    let outputs = stage.machine.on_lost(connection, &loss, stage.at);
    assert_eq!(stage.state(), LinkState::Rejected, "{outputs:?}");
    assert_eq!(dials(&stage.wait(Duration::from_millis(14_900))), 0);
    assert_eq!(dials(&stage.wait(seconds(16))), 1);
    // A person who mended it does not wait.
    let mut stage = Stage::new();
    stage.machine.reachable(true, stage.at);
    stage.machine.on_dial_failed(&loss, stage.at);
    stage.pass(seconds(1));
    assert_eq!(dials(&stage.machine.dial(stage.at)), 1);
}

#[test]
fn a_peer_that_leaves_says_why() {
    for (reason, state) in [
        (Parting::Stopping, LinkState::Disconnected),
        (Parting::Untrusted, LinkState::Rejected),
        (Parting::Failed, LinkState::Failed),
    ] {
        let mut stage = Stage::new();
        let connection = stage.up();
        let message = "x".repeat(10_000);
        let outputs = stage.hear(connection, Control::Goodbye(Goodbye { reason, message }));
        assert_eq!(partings(&outputs), [(connection, None)]);
        assert_eq!(stage.state(), state);
        assert!(stage.reason().len() < 400);
    }
}

#[test]
fn two_dials_at_once_leave_the_one_of_the_smaller_key() {
    // OWN is smaller: what we dialled stays, whichever came first.
    let mut stage = Stage::new();
    let (theirs, _) = stage.open(false, RUN);
    stage.pass(seconds(10));
    let (ours, outputs) = stage.open(true, RUN);
    assert_eq!(partings(&outputs), [(theirs, Some(Parting::Superseded))]);
    assert_eq!(stage.machine.primary(), Some(ours));
    let (late, outputs) = stage.open(false, RUN);
    assert_eq!(partings(&outputs), [(late, Some(Parting::Superseded))]);
    assert_eq!(stage.machine.primary(), Some(ours));
    assert_eq!(stage.state(), LinkState::Connected);
}

#[test]
fn a_dead_link_makes_room_for_a_living_one() {
    let mut stage = Stage::new();
    let dead = stage.up();
    stage.pass(seconds(11));
    let (living, outputs) = stage.open(false, OTHER_RUN);
    assert!(sent(&outputs).ends_with(&["Ping"]));
    assert_eq!(stage.machine.primary(), Some(dead));
    assert_eq!(partings(&stage.wait(Duration::from_millis(1_999))), []);
    let outputs = stage.wait(Duration::from_millis(1));
    assert_eq!(partings(&outputs), [(dead, Some(Parting::Superseded))]);
    assert_eq!(stage.machine.primary(), Some(living));
    assert!(tells(&outputs, |event| matches!(event, LinkEvent::Moved(up) if up.run == OTHER_RUN)));
    assert!(!tells(&outputs, |event| matches!(event, LinkEvent::Down { .. })));
}

#[test]
fn a_living_link_is_kept() {
    let mut stage = Stage::new();
    let living = stage.up();
    stage.pass(seconds(11));
    let (newer, _) = stage.open(false, RUN);
    // An answer to a ping from before the question is none.
    stage.pong(living, 0, RUN);
    assert_eq!(stage.machine.primary(), Some(living));
    let outputs = stage.pong(living, 1, RUN);
    assert_eq!(partings(&outputs), [(newer, Some(Parting::Superseded))]);
    assert_eq!(stage.machine.primary(), Some(living));
    assert_eq!(partings(&stage.wait(seconds(3))), [(newer, None)]);
}

#[test]
fn twins_both_go_down() {
    let mut stage = Stage::new();
    let first = stage.up();
    let (second, _) = stage.open(false, OTHER_RUN);
    let outputs = stage.pong(first, 1, RUN);
    assert_eq!(partings(&outputs), [(first, Some(Parting::Twins)), (second, Some(Parting::Twins))]);
    let named = LinkEvent::Twins { older: RUN, newer: OTHER_RUN };
    assert!(tells(&outputs, |event| *event == named));
    assert_eq!(stage.machine.primary(), None);
    stage.wait(seconds(3));
    assert_eq!(stage.state(), LinkState::Rejected);
    // Neither comes back at once.
    let (again, outputs) = stage.connect(false);
    assert_eq!(partings(&outputs), [(again, Some(Parting::Twins))]);
    assert_eq!(sent(&outputs), <[&str; 0]>::default());
    stage.wait(TWINS_REST);
    stage.up();
}

#[test]
fn connections_of_one_peer_are_few() {
    let mut stage = Stage::new();
    for _ in 0..SESSIONS_MAX {
        assert_eq!(sent(&stage.connect(false).1), ["Hello"]);
    }
    let (connection, outputs) = stage.connect(false);
    assert_eq!(partings(&outputs), [(connection, None)]);
    assert_eq!(stage.hear(connection, Control::Capabilities(Capabilities::default())), []);
}

#[test]
fn a_wake_is_followed_soon_and_seldom() {
    let mut stage = Stage::new();
    stage.machine.reachable(true, stage.at);
    for _ in 0..8 {
        stage.machine.on_dial_failed(&Loss::Unreachable("no route".to_owned()), stage.at);
        stage.wait(seconds(60));
    }
    stage.machine.on_dial_failed(&Loss::Unreachable("no route".to_owned()), stage.at);
    stage.pass(seconds(1));
    assert_eq!(dials(&stage.machine.wake(stage.at)), 1);
    stage.machine.on_dial_failed(&Loss::Unreachable("no route".to_owned()), stage.at);
    stage.pass(seconds(1));
    assert_eq!(dials(&stage.machine.wake(stage.at)), 0);
}

#[test]
fn a_link_that_does_not_answer_after_a_wake_is_dialled_anew() {
    let mut stage = Stage::new();
    let (old, _) = stage.open(true, RUN);
    stage.machine.reachable(true, stage.at);
    stage.pong(old, 0, RUN);
    stage.wait(seconds(11));
    assert_eq!(sent(&stage.machine.wake(stage.at)), ["Ping"]);
    assert_eq!(dials(&stage.wait(Duration::from_millis(4_999))), 0);
    assert_eq!(dials(&stage.wait(Duration::from_millis(1))), 1);
    assert_eq!(stage.state(), LinkState::Connected);
    let (new, _) = stage.open(true, RUN);
    stage.wait(PATIENCE);
    assert_eq!(stage.machine.primary(), Some(new));
    // One that answers is left alone.
    stage.wait(seconds(1));
    let pings = stage.machine.wake(stage.at);
    assert_eq!(sent(&pings), ["Ping"]);
    stage.pass(seconds(1));
    stage.machine.on_control(new, 1, None, stage.at);
    assert_eq!(dials(&stage.wait(seconds(20))), 0);
}

#[test]
fn a_held_link_waits_for_a_person() {
    let mut stage = Stage::new();
    let connection = stage.up();
    stage.machine.reachable(true, stage.at);
    let outputs = stage.machine.hold("its key is another", stage.at);
    assert!(partings(&outputs).contains(&(connection, Some(Parting::Held))));
    assert_eq!(stage.state(), LinkState::Held);
    assert_eq!(dials(&stage.wait(seconds(1000))), 0);
    let (again, outputs) = stage.connect(false);
    assert_eq!(partings(&outputs), [(again, Some(Parting::Held))]);
    assert_eq!(dials(&stage.machine.release(stage.at)), 1);
    assert_ne!(stage.state(), LinkState::Held);
}

#[test]
fn a_link_that_was_ended_stays_down() {
    let mut stage = Stage::new();
    stage.machine.reachable(true, stage.at);
    let (connection, _) = stage.open(true, RUN);
    let outputs = stage.machine.close(Parting::Untrusted, "revoked", stage.at);
    assert_eq!(partings(&outputs), [(connection, Some(Parting::Untrusted))]);
    assert_eq!(stage.state(), LinkState::Disconnecting);
    stage.machine.on_lost(connection, &Loss::Closed, stage.at);
    assert_eq!(stage.state(), LinkState::Disconnected);
    let hello = stage.hello(RUN, 0);
    assert_eq!(stage.hear(connection, hello), []);
    assert_eq!(dials(&stage.wait(seconds(1000))), 0);
    assert_eq!(dials(&stage.machine.wake(stage.at)), 0);
    let (again, outputs) = stage.connect(false);
    assert_eq!(partings(&outputs), [(again, Some(Parting::Untrusted))]);
}

#[test]
fn a_flapping_link_is_no_storm() {
    let mut stage = Stage::new();
    let mut count = dials(&stage.machine.reachable(true, stage.at));
    for _ in 0..600 {
        if stage.state() == LinkState::Connecting {
            let (connection, _) = stage.open(true, RUN);
            stage.machine.on_lost(connection, &Loss::Broken("reset".to_owned()), stage.at);
        }
        count += dials(&stage.wait(seconds(1)));
    }
    assert!((10..=30).contains(&count), "{count} dials in ten minutes");
}

#[test]
fn heads_are_heard_of_the_link_alone() {
    let mut stage = Stage::new();
    let older = stage.up();
    stage.pass(seconds(11));
    let (newer, _) = stage.open(true, RUN);
    assert_eq!(stage.machine.primary(), Some(older), "the older one is asked first");
    let signed = Signed { bytes: karo_protocol::Bytes(vec![1]), signature: Signature([0; 64]) };
    let is_told = |stage: &mut Stage, connection| {
        let ping = Ping { number: 9, now: stage.at.wall, head: Some(signed.clone()) };
        let outputs = stage.hear(connection, Control::Ping(ping));
        tells(&outputs, |event| matches!(event, LinkEvent::Head(_)))
    };
    assert!(is_told(&mut stage, older));
    assert!(!is_told(&mut stage, newer), "it may be older than one that is told already");
    stage.wait(seconds(3));
    assert_eq!(stage.machine.primary(), Some(newer), "the older one was silent");
    assert!(is_told(&mut stage, newer));
}
