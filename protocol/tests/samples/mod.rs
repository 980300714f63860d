//! One message of every type, each field away from its default: what the golden frames hold.

pub(crate) mod logs;
pub(crate) mod mesh;
pub(crate) mod sharing;

use karo_protocol::category::CategorySet;
use karo_protocol::event::{Cut, RedactedCommand, Secret, Understanding};
use karo_protocol::explain::{Context, Explain, Explanation, Match, Run, Span};
use karo_protocol::local::{
    Compacted, Damage, End, Failure, FailureCode, Import, ImportLine, Imported, Intake, Observe, Progress,
    Reclassified, Reclassify, RefusedRule, Reply, Request, Rule, RuleFile, RulesCheck, RulesPage,
    RulesStatus, SpoolStatus, Status, StoreStatus, Tallies, Verdict, Verified,
};
use karo_protocol::observation::{Ending, ShellProcess};
use karo_protocol::query::{
    Count, CountBy, CountKey, Detail, Directory, Exit, LeftOut, Order, Row, Tally, Zone,
};
use karo_protocol::{
    Axis, BootId, Bytes, Category, Event, EventId, Filter, Micros, Observation, Outcome, Phase, Precision,
    Query, RawCommand, Redaction, RequestId, Risk, Shell, ShellId, ShellKind, State, Timestamp,
};

/// The id that all golden frames carry.
pub(crate) const ID: RequestId = RequestId(0x0102_0304_0506);

pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

pub(crate) fn shell() -> Shell {
    Shell {
        kind: ShellKind::Zsh,
        id: ShellId::from_bytes(*b"0123456789abcdef"),
        user: "ada".to_owned(),
        host: "analytical".to_owned(),
        tty: Some("pts/3".to_owned()),
        is_remote: true,
        parent: Some("tmux: server".to_owned()),
        process: Some(ShellProcess {
            pid: 4242,
            started_ticks: 123_456_789,
            boot: BootId::from_bytes([0xb0; 16]),
            namespace: 4_026_531_836,
        }),
    }
}

fn ending() -> Ending {
    Ending { duration: Some(Micros(1_500_000)), exit: Some(141), pipestatus: vec![141, 0, -1] }
}

pub(crate) fn observation(phase: Phase) -> Observation {
    Observation {
        shell: shell(),
        sequence: 300,
        phase,
        command: RawCommand::with_flag(b"for i in 1 2\ndo echo \xff$i\ndone".as_slice(), true),
        cwd: Bytes::from("/home/ada/h\u{e9}r"),
        is_cwd_truncated: true,
        started_at: at(1_700_000_000_123_456),
        precision: Precision::Centi,
        dropped: 7,
    }
}

/// What a hook can say at the least: everything that may be unknown is.
pub(crate) fn bare_observation() -> Observation {
    Observation {
        shell: Shell {
            kind: ShellKind::Bash,
            id: ShellId::default(),
            user: String::new(),
            host: String::new(),
            tty: None,
            is_remote: false,
            parent: None,
            process: None,
        },
        sequence: 1,
        phase: Phase::End(Ending::default()),
        command: RawCommand::new("ls"),
        cwd: Bytes::from("/"),
        is_cwd_truncated: false,
        started_at: at(-1),
        precision: Precision::Micro,
        dropped: 0,
    }
}

pub(crate) fn event(outcome: Outcome) -> Event {
    let raw = RawCommand::new("curl -u ada:hunter2 https://example.org");
    let (command, redactions) =
        RedactedCommand::cut(&raw, &[Cut { start: 12, end: 19, kind: Secret::Password }]);
    Event {
        id: EventId::new(at(1_700_000_000_123_456), [0xab; 10]),
        shell: shell(),
        sequence: 300,
        command,
        redactions,
        cwd: Bytes::from("/srv"),
        is_cwd_truncated: false,
        started_at: at(1_700_000_000_123_456),
        precision: Precision::Second,
        outcome,
        understanding: Understanding {
            category: Category::Network,
            categories: [Category::Network, Category::Text].into_iter().collect::<CategorySet>(),
            tools: vec!["curl".to_owned(), "jq".to_owned()],
            risk: Some(Risk::Medium),
            rules: vec!["a-rule".to_owned()],
            version: 3,
            axis: Some(karo_protocol::Axis::Exposure),
        },
    }
}

fn filter() -> Filter {
    Filter {
        words: vec![Bytes::from("git"), Bytes::from(&b"\xff"[..])],
        since: Some(at(-5)),
        until: Some(at(1_700_000_000_000_000)),
        directory: Some(Directory::Under(Bytes::from("/srv"))),
        exit: Some(Exit::Code(128)),
        state: Some(State::Ended),
        category: Some(Category::Vcs),
        shell: Some(ShellKind::Fish),
        shell_id: Some(ShellId::from_bytes([9; 16])),
        host: Some("analytical".to_owned()),
        user: Some("ada".to_owned()),
        ids: vec![EventId::from_bytes([1; 16])],
        risk: Some(Risk::High),
        axis: Some(Axis::Hazard),
        rule: Some("a-rule".to_owned()),
    }
}

fn status() -> Status {
    Status {
        version: "0.1.0".to_owned(),
        pid: 77,
        started_at: at(1),
        now: at(2),
        user: "ada".to_owned(),
        host: "analytical".to_owned(),
        data_dir: "/home/ada/.local/share/karo".to_owned(),
        socket: "/run/user/1000/karo/karod.sock".to_owned(),
        spools: vec![SpoolStatus { path: "/run/spool".to_owned(), waiting: 1, newer: 2, torn: 3 }],
        intake: Intake {
            committed: 1,
            duplicates: 2,
            ignored: 3,
            busy: 4,
            failed: 5,
            spooled: 6,
            dropped: 7,
        },
        store: StoreStatus {
            events: 1,
            texts: 2,
            oldest: Some(at(3)),
            newest: None,
            partial_since: Some(at(4)),
            segments: 5,
            log_bytes: 6,
            view_bytes: 7,
            free_bytes: 8,
            reserve_bytes: 9,
            refusing: Some("the disk is full".to_owned()),
            damage: 10,
            rules_version: 11,
        },
        sessions: 8,
        sessions_max: 9,
        refused_foreign: 10,
        malformed: 11,
        resident_bytes: 12,
        notices: vec!["one".to_owned()],
        rules: RulesStatus { loaded: 13, refused: 14, loaded_at: Some(at(15)), version: 16 },
        mesh: mesh::mesh_status(),
    }
}

fn explain() -> Explain {
    let lines = vec![RawCommand::new("sudo ls"), RawCommand::with_flag(&b"\xff"[..], true)];
    Explain { lines, cwd: Bytes::from("/srv") }
}

fn explanation() -> Explanation {
    let run = Run {
        argv: vec![Bytes::from("ls"), Bytes::from(&b"\xff"[..])],
        context: vec![Context::PipeIn, Context::Background],
        is_privileged: true,
        is_remote: true,
        parent: Some(0),
        category: Category::File,
        row: "ls".to_owned(),
        confidence: 95,
    };
    let outer = Run { parent: None, context: Vec::new(), ..run.clone() };
    let found = Match {
        id: "a-rule".to_owned(),
        title: "A rule".to_owned(),
        level: Risk::Critical,
        axis: Axis::Threat,
        tags: vec!["attack.t1059.004".to_owned()],
        fields: vec!["Image: /ls".to_owned()],
        run: Some(1),
    };
    Explanation {
        redacted: Bytes::from("sudo ls x"),
        spans: vec![Span { start: 1, end: 5, kind: Secret::Token, reason: "prefix of a token".to_owned() }],
        runs: vec![outer, run],
        is_parsed: true,
        category: Category::File,
        categories: vec![Category::File, Category::Identity],
        risk: Some(Risk::Critical),
        axis: Some(Axis::Threat),
        matches: vec![found.clone(), Match { run: None, ..found }],
        is_cut: true,
    }
}

fn rules() -> RulesPage {
    let rule = Rule {
        id: "a-rule".to_owned(),
        title: "A rule".to_owned(),
        level: Risk::Low,
        axis: Axis::Exposure,
        tags: vec!["attack.t1059".to_owned()],
        file: "karo:a-rule/rule.yml".to_owned(),
    };
    let refused = RefusedRule {
        file: "/etc/rules/b.yml".to_owned(),
        line: Some(7),
        id: Some("b".to_owned()),
        reason: "no detection".to_owned(),
    };
    let unnamed = RefusedRule { line: None, id: None, ..refused.clone() };
    RulesPage { rules: vec![rule], refused: vec![refused, unnamed], remarks: vec!["a remark".to_owned()] }
}

fn import() -> Import {
    let line = ImportLine {
        observation: observation(Phase::End(ending())),
        id: Some(EventId::from_bytes([2; 16])),
        is_lost: true,
        redactions: vec![Redaction { start: 3, end: 21, kind: Secret::Key }],
    };
    Import { lines: vec![line, bare_line()] }
}

pub(crate) fn bare_line() -> ImportLine {
    ImportLine { observation: bare_observation(), id: None, is_lost: false, redactions: Vec::new() }
}

pub(crate) fn running_row() -> Row {
    Row {
        started_at: at(1_700_000_000_123_456),
        duration: None,
        state: State::Running,
        exit: None,
        cwd: Bytes::from("/srv"),
        command: Bytes::from(&b"echo \xff"[..]),
        risk: None,
        axis: None,
    }
}

/// Requests, each under the name of its golden frame.
pub(crate) fn requests() -> Vec<(&'static str, Request)> {
    let query = Query {
        filter: filter(),
        is_unique: true,
        limit: Some(50),
        order: Order::OldestFirst,
        detail: Detail::Event,
    };
    let open = Query {
        filter: Filter::default(),
        is_unique: false,
        limit: None,
        order: Order::NewestFirst,
        detail: Detail::Row,
    };
    let count = Count {
        filter: Filter { exit: Some(Exit::Failed), ..Filter::default() },
        by: Some(CountBy::Weekday),
        zone: Zone { steps: vec![(at(0), 3600), (at(9), -7200)] },
    };
    let delete = Filter {
        directory: Some(Directory::Exactly(Bytes::from("/"))),
        exit: Some(Exit::Ok),
        ..Filter::default()
    };
    let file = RuleFile { name: "b.yml".to_owned(), text: Bytes::from("title: b") };
    let check = RulesCheck { files: vec![file], lines: explain().lines };
    let mut requests = vec![
        ("request-observe-start", Request::Observe(Observe::new(observation(Phase::Start)))),
        ("request-observe-end", Request::Observe(Observe::new(observation(Phase::End(ending()))))),
        ("request-observe-bare", Request::Observe(Observe::new(bare_observation()))),
        ("request-query", Request::Query(query)),
        ("request-query-all", Request::Query(open)),
        ("request-count", Request::Count(count)),
        ("request-delete", Request::Delete(delete)),
        ("request-import", Request::Import(import())),
        ("request-status", Request::Status(())),
        ("request-store-verify", Request::StoreVerify(())),
        ("request-store-compact", Request::StoreCompact(())),
        ("request-explain", Request::Explain(explain())),
        ("request-rules", Request::Rules(())),
        ("request-rules-check", Request::RulesCheck(check)),
        ("request-reclassify", Request::Reclassify(Reclassify { redact: true })),
    ];
    requests.extend(mesh::requests());
    requests.extend(sharing::requests());
    requests.extend(logs::requests());
    requests
}

fn tallies() -> Tallies {
    let keys = [
        CountKey::All,
        CountKey::Category(Category::Vcs),
        CountKey::Text(Bytes::from("git")),
        CountKey::Hour(23),
        CountKey::Weekday(6),
        CountKey::Day(-1),
        CountKey::Exit(Some(1)),
        CountKey::Exit(None),
        CountKey::Risk(Some(Risk::High)),
        CountKey::Risk(None),
    ];
    let tally = |(place, key)| Tally { key, count: place as u64 * 100, failed: place as u64 };
    let left_out = LeftOut { keys: 70_000, count: 80_000, failed: 3 };
    Tallies {
        tallies: keys.into_iter().enumerate().map(tally).collect(),
        partial_since: Some(at(5)),
        left_out,
    }
}

/// Replies, each under the name of its golden frame.
pub(crate) fn replies() -> Vec<(&'static str, Reply)> {
    let running = running_row();
    let row = Row { duration: Some(Micros(70_000)), state: State::Ended, exit: Some(1), ..running.clone() };
    let row = Row { risk: Some(Risk::Medium), axis: Some(Axis::Exposure), ..row };
    let damage = Damage { segment: "00000001.seg".to_owned(), offset: 4096, reason: "checksum".to_owned() };
    let verified =
        Verified { segments: 2, records: 3, damage: vec![damage], damage_count: 101, views_agree: true };
    let failure = Failure { code: FailureCode::VersionMismatch, message: "speak version 1".to_owned() };
    let mut replies = vec![
        ("reply-observed", Reply::Observed(Verdict::Committed)),
        ("reply-rows", Reply::Rows(vec![row, running])),
        ("reply-event-running", Reply::Events(vec![event(Outcome::Running)])),
        ("reply-event-ended", Reply::Events(vec![event(Outcome::Ended(ending()))])),
        ("reply-event-lost", Reply::Events(vec![event(Outcome::Lost)])),
        ("reply-end", Reply::End(End { count: 2, partial_since: Some(at(6)), unreadable: 1 })),
        ("reply-tallies", Reply::Tallies(tallies())),
        ("reply-deleted", Reply::Deleted(1_000_000)),
        ("reply-imported", Reply::Imported(Imported { added: 1, duplicates: 2, ignored: 3 })),
        ("reply-status", Reply::Status(Box::new(status()))),
        ("reply-verified", Reply::Verified(verified)),
        ("reply-compacted", Reply::Compacted(Compacted { bytes_before: 9, bytes_after: 4, segments: 1 })),
        ("reply-explained", Reply::Explained(vec![explanation()])),
        ("reply-rules", Reply::Rules(rules())),
        ("reply-progress", Reply::Progress(Progress { done: 1, total: 2, changed: 3 })),
        (
            "reply-reclassified",
            Reply::Reclassified(Reclassified { events: 4, changed: 3, redacted: 2, segments: 1 }),
        ),
        ("reply-failure", Reply::Failure(failure)),
    ];
    replies.extend(mesh::replies());
    replies.extend(sharing::replies());
    replies.extend(logs::replies());
    replies
}

/// Observations that wait in a spool, each under the name of its golden record.
pub(crate) fn spooled() -> Vec<(&'static str, Observation)> {
    vec![
        ("spool-start", observation(Phase::Start)),
        ("spool-end", observation(Phase::End(ending()))),
        ("spool-bare", bare_observation()),
    ]
}
