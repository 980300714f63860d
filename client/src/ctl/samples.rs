//! Events and scenes for the tests of this folder, always the same.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use jiff::Zoned;
use karo_protocol::category::CategorySet;
use karo_protocol::event::{Outcome, RedactedCommand, Redaction, Secret, Understanding};
use karo_protocol::local::{Intake, RulesStatus, SpoolStatus, Status, StoreStatus};
use karo_protocol::mesh::{LinkState, PeerRow};
use karo_protocol::observation::{Ending, ShellProcess};
use karo_protocol::query::Row;
use karo_protocol::{
    Axis, BootId, Bytes, Category, Event, EventId, Fingerprint, Micros, NodeId, Precision, Risk, Shell,
    ShellId, ShellKind, State, Timestamp, Trust,
};

use super::scene::Scene;
use crate::fake::FakeDaemon;

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
