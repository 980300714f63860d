//! Events and scenes for the tests of this folder, always the same.

use std::cell::RefCell;
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;

use jiff::Zoned;
use karo_protocol::category::CategorySet;
use karo_protocol::event::{Outcome, RedactedCommand, Redaction, Secret, Understanding};
use karo_protocol::local::{Intake, Reply, Request, RulesStatus, SpoolStatus, Status, StoreStatus};
use karo_protocol::mesh::{LinkState, PeerRow};
use karo_protocol::observation::{Ending, ShellProcess};
use karo_protocol::places::Places;
use karo_protocol::query::Row;
use karo_protocol::{
    Axis, BootId, Bytes, Category, Event, EventId, Fingerprint, Micros, NodeId, Precision, Risk, Shell,
    ShellId, ShellKind, State, Timestamp, Trust,
};

use super::cli;
use super::exit::{Exit, Trouble};
use super::scene::Scene;
use crate::fake::{FakeDaemon, Script};

/// A clock that stands at noon in Berlin.
pub(super) fn noon() -> Zoned {
    "2026-11-02T12:00:00+01:00[Europe/Berlin]".parse().expect("the zone database has Berlin")
}

/// That many seconds before noon.
pub(super) fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_micros(noon().timestamp().as_microsecond() - seconds * 1_000_000)
}

/// A row of a command that has ended.
pub(super) fn row(seconds_ago: i64, exit: Option<i32>, cwd: &str, command: &[u8]) -> Row {
    Row {
        started_at: ago(seconds_ago),
        duration: exit.map(|_| Micros(1_234_567)),
        state: if exit.is_some() { State::Ended } else { State::Running },
        exit,
        cwd: Bytes::from(cwd),
        command: Bytes::from(command),
        risk: None,
        axis: None,
    }
}

/// An event with something in every field.
pub(super) fn full_event() -> Event {
    let mut event = event(b"curl -H [redacted:token] \xff | wc");
    event.redactions = vec![Redaction { start: 8, end: 24, kind: Secret::Token }];
    event.cwd = Bytes::from(&b"/tmp/\xfe"[..]);
    event.shell.tty = Some("pts/3".to_owned());
    event.shell.parent = Some("tmux".to_owned());
    event.shell.is_remote = true;
    event.shell.process = Some(ShellProcess {
        pid: 77,
        started_ticks: 123_456,
        boot: BootId::from_bytes([0xab; 16]),
        namespace: 4_026_531_836,
    });
    event.outcome =
        Outcome::Ended(Ending { duration: Some(Micros(1_234_567)), exit: Some(1), pipestatus: vec![22, 1] });
    event.understanding.risk = Some(Risk::Medium);
    event.understanding.axis = Some(Axis::Exposure);
    event.understanding.rules = vec!["header-token".to_owned(), "b".to_owned()];
    event
}

/// An event that has ended well.
pub(super) fn event(command: &[u8]) -> Event {
    Event {
        id: EventId::new(ago(60), [7; 10]),
        shell: Shell {
            kind: ShellKind::Zsh,
            id: ShellId::from_bytes([0x11; 16]),
            user: "ada".to_owned(),
            host: "engine".to_owned(),
            tty: None,
            is_remote: false,
            parent: None,
            process: None,
        },
        sequence: 42,
        command: RedactedCommand::restored(Bytes::from(command), false),
        redactions: Vec::new(),
        cwd: Bytes::from("/home/ada/src"),
        is_cwd_truncated: false,
        started_at: Timestamp::from_micros(ago(60).as_micros() + 123_456),
        precision: Precision::Micro,
        outcome: Outcome::Ended(Ending {
            duration: Some(Micros(5_000)),
            exit: Some(0),
            pipestatus: Vec::new(),
        }),
        understanding: Understanding {
            category: Category::Network,
            categories: CategorySet::from_iter([Category::Network, Category::Text]),
            tools: vec!["curl".to_owned(), "wc".to_owned()],
            risk: None,
            rules: Vec::new(),
            version: 1,
            axis: None,
        },
    }
}

/// A daemon that is well.
pub(super) fn status() -> Status {
    Status {
        version: "0.1.0".to_owned(),
        pid: 77,
        started_at: ago(3600),
        now: ago(0),
        user: "ada".to_owned(),
        host: "engine".to_owned(),
        data_dir: "/home/ada/.local/share/karo".to_owned(),
        socket: "/run/user/7/karo/karod.sock".to_owned(),
        spools: vec![SpoolStatus {
            path: "/run/user/7/karo/spool".to_owned(),
            waiting: 4,
            newer: 1,
            torn: 0,
        }],
        intake: Intake {
            committed: 1000,
            duplicates: 2,
            ignored: 5,
            busy: 0,
            failed: 0,
            spooled: 3,
            dropped: 1,
        },
        store: StoreStatus {
            events: 123_456,
            texts: 42_000,
            oldest: Some(ago(86_400)),
            newest: Some(ago(60)),
            partial_since: None,
            segments: 3,
            log_bytes: 15_000_000,
            view_bytes: 512,
            free_bytes: 10 << 30,
            reserve_bytes: 64 << 20,
            refusing: None,
            damage: 0,
            rules_version: 1,
        },
        sessions: 1,
        sessions_max: 256,
        refused_foreign: 0,
        malformed: 0,
        resident_bytes: 20 << 20,
        notices: vec!["the clock\u{1b} went back".to_owned()],
        rules: RulesStatus::default(),
        mesh: karo_protocol::mesh::MeshStatus::default(),
    }
}

/// A peer that is connected.
pub(super) fn peer() -> PeerRow {
    PeerRow {
        name: "laptop".to_owned(),
        node_id: NodeId([7; 32]),
        fingerprint: Fingerprint([1, 2, 3, 4, 5, 6, 7, 8]),
        state: LinkState::Connected,
        since: ago(90),
        reason: Some("it dialled".to_owned()),
        address: Some("10.0.0.2:9238".to_owned()),
        trust: Trust::Peer,
        owner: Some("ada".to_owned()),
        rtt_us: Some(400),
        skew_us: Some(-1200),
        version: Some("karod 0.1.0".to_owned()),
        expires_at: None,
        is_configured: false,
    }
}

/// A peer that cannot be reached, of which little is known, and whose reason is hostile.
pub(super) fn lost_peer() -> PeerRow {
    PeerRow {
        name: "desk".to_owned(),
        node_id: NodeId([8; 32]),
        fingerprint: Fingerprint([9; 8]),
        state: LinkState::TimedOut,
        since: ago(86_400),
        reason: Some("nothing heard for 45 s\u{1b}".to_owned()),
        address: None,
        trust: Trust::Member,
        owner: None,
        rtt_us: None,
        skew_us: None,
        version: None,
        expires_at: Some(ago(-3600)),
        is_configured: true,
    }
}

/// What a command has written.
#[derive(Clone, Default)]
pub(super) struct Written(Rc<RefCell<Vec<u8>>>);

impl Written {
    /// Returns it as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).expect("answers are UTF-8")
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A scene before that daemon, and what it writes.
pub(super) fn scene(daemon: &FakeDaemon) -> (Scene, Written) {
    let written = Written::default();
    (Scene::given(daemon.places(), Box::new(written.clone()), noon()), written)
}

/// A scene without a daemon, whose places are nowhere, and what it writes.
pub(super) fn quiet_scene() -> (Scene, Written) {
    let written = Written::default();
    let at = |name: &str| Path::new("/nowhere").join(name);
    let places = Places {
        config: at("config.toml"),
        data: at("data"),
        hook_spool: at("spool"),
        client_spool: at("spool"),
        socket: at("karod.sock"),
        other_sockets: Vec::new(),
    };
    (Scene::given(places, Box::new(written.clone()), noon()), written)
}

/// What happens in one session: requests that are expected, each with its replies.
pub(super) type Session = Vec<(Request, Vec<Reply>)>;

/// A scene before a daemon that expects these sessions, one after the other, and nothing else.
pub(super) fn scene_of(sessions: Vec<Session>) -> (FakeDaemon, Scene, Written) {
    let script = |session: Session| -> Script {
        Box::new(move |fake| {
            for (expected, replies) in session {
                let (id, request) = fake.request();
                assert_eq!(request, expected);
                replies.iter().for_each(|reply| fake.reply(id, reply));
            }
        })
    };
    let daemon = FakeDaemon::serve_all(sessions.into_iter().map(script).collect());
    let (scene, written) = scene(&daemon);
    (daemon, scene, written)
}

/// Runs a whole command line before such a daemon; returns what it wrote and how it ended.
pub(super) fn run_line(line: &[&str], sessions: Vec<Session>) -> (String, Result<Exit, Trouble>) {
    let (daemon, mut scene, written) = scene_of(sessions);
    let exit = run_in(&mut scene, line);
    drop(daemon);
    (written.text(), exit)
}

/// Runs a whole command line in a scene.
pub(super) fn run_in(scene: &mut Scene, line: &[&str]) -> Result<Exit, Trouble> {
    let cli = cli::parse_from(line).unwrap_or_else(|error| panic!("{error}"));
    scene.is_json = cli.json;
    super::run(scene, &cli.command)
}

/// Compares a whole output with the file of that name in `snapshots/`; `UPDATE_GOLDEN=1` writes it anew.
#[track_caller]
pub(super) fn assert_snapshot(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ctl/snapshots").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).expect("the snapshots can be written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(text, expected, "{name}");
    let widest = text.lines().map(super::shown::columns).max().unwrap_or(0);
    assert!(!name.ends_with(".txt") || widest <= 80, "{name} is {widest} columns wide");
}
