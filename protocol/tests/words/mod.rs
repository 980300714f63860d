//! Any message, as far as its types allow one.

use karo_protocol::category::CategorySet;
use karo_protocol::event::{RedactedCommand, Secret, Understanding};
use karo_protocol::explain::{Context, Explain, Explanation, Match, Run, Span};
use karo_protocol::limits::{COMMAND_BYTES_MAX, CWD_BYTES_MAX, PIPESTATUS_MAX};
use karo_protocol::local::{
    Compacted, Damage, End, Failure, FailureCode, Import, ImportLine, Imported, Intake, Observe, Progress,
    Reclassified, Reclassify, RefusedRule, Reply, Request, Rule, RuleFile, RulesCheck, RulesPage,
    RulesStatus, SpoolStatus, Status, StoreStatus, Tallies, Verdict, Verified,
};
use karo_protocol::mesh::MeshStatus;
use karo_protocol::observation::{Ending, ShellProcess};
use karo_protocol::query::{
    Count, CountBy, CountKey, Detail, Directory, Exit, LeftOut, Order, Row, Tally, Zone,
};
use karo_protocol::{
    Axis, BootId, Bytes, Category, Event, EventId, Filter, Micros, Observation, Outcome, Phase, Precision,
    Query, RawCommand, Redaction, Risk, Shell, ShellId, ShellKind, State, Timestamp,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

fn any_bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes)
}

fn any_time() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_micros)
}

fn any_duration() -> impl Strategy<Value = Option<Micros>> {
    option::of(any::<u64>().prop_map(Micros))
}

fn any_event_id() -> impl Strategy<Value = EventId> {
    any::<[u8; 16]>().prop_map(EventId::from_bytes)
}

fn any_precision() -> impl Strategy<Value = Precision> {
    select(&[Precision::Micro, Precision::Centi, Precision::Second][..])
}

prop_compose! {
    fn any_process()(
        pid in any::<u32>(), started_ticks in any::<u64>(), boot in any::<[u8; 16]>(), namespace in any::<u64>()
    ) -> ShellProcess {
        ShellProcess { pid, started_ticks, boot: BootId::from_bytes(boot), namespace }
    }
}

prop_compose! {
    fn any_shell()(
        kind in select(ShellKind::ALL),
        id in any::<[u8; 16]>(),
        names in any::<[String; 2]>(),
        tty in any::<Option<String>>(),
        parent in any::<Option<String>>(),
        is_remote in any::<bool>(),
        process in option::of(any_process()),
    ) -> Shell {
        let [user, host] = names;
        Shell { kind, id: ShellId::from_bytes(id), user, host, tty, is_remote, parent, process }
    }
}

prop_compose! {
    fn any_ending()(
        duration in any_duration(), exit in any::<Option<i32>>(), pipestatus in vec(any::<i32>(), 0..8)
    ) -> Ending {
        Ending { duration, exit, pipestatus }
    }
}

fn any_phase() -> impl Strategy<Value = Phase> {
    prop_oneof![Just(Phase::Start), any_ending().prop_map(Phase::End)]
}

/// Mostly short, sometimes longer than Karo keeps.
fn any_raw_command() -> impl Strategy<Value = RawCommand> {
    let text = prop_oneof![
        20 => vec(any::<u8>(), 0..80),
        1 => Just(vec![0xe2; COMMAND_BYTES_MAX + 3]),
        1 => Just("\u{20ac}".repeat(COMMAND_BYTES_MAX / 3 + 2).into_bytes()),
    ];
    (text, any::<bool>()).prop_map(|(text, is_cut)| RawCommand::with_flag(text, is_cut))
}

prop_compose! {
    /// Any observation that its types allow; some are beyond the limits.
    pub(crate) fn any_observation()(
        shell in any_shell(),
        sequence in any::<u64>(),
        phase in any_phase(),
        command in any_raw_command(),
        cwd in prop_oneof![20 => any_bytes(), 1 => Just(Bytes(vec![b'/'; CWD_BYTES_MAX + 1]))],
        is_cwd_truncated in any::<bool>(),
        started_at in any_time(),
        precision in any_precision(),
        dropped in any::<u32>(),
    ) -> Observation {
        Observation { shell, sequence, phase, command, cwd, is_cwd_truncated, started_at, precision, dropped }
    }
}

/// Observations as hooks can make them: within the limits, and without what no kernel gives.
pub(crate) fn any_spooled() -> impl Strategy<Value = Observation> {
    any_observation().prop_map(|observation| {
        let mut spooled = observation.bounded();
        let name = |name: &str| name.replace('\0', "");
        spooled.shell.user = name(&spooled.shell.user);
        spooled.shell.host = name(&spooled.shell.host);
        let optional = |text: Option<String>| text.map(|text| name(&text)).filter(|text| !text.is_empty());
        spooled.shell.tty = optional(spooled.shell.tty);
        spooled.shell.parent = optional(spooled.shell.parent);
        spooled.cwd.0.retain(|byte| *byte != 0);
        if let Phase::End(ending) = &mut spooled.phase {
            ending.duration = ending.duration.map(|span| Micros(span.0.min(i64::MAX as u64)));
            ending.pipestatus.truncate(PIPESTATUS_MAX);
        }
        spooled
    })
}

fn any_redaction() -> impl Strategy<Value = Redaction> {
    (any::<u32>(), any::<u32>(), select(Secret::ALL)).prop_map(|(start, end, kind)| Redaction {
        start,
        end,
        kind,
    })
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![Just(Outcome::Running), any_ending().prop_map(Outcome::Ended), Just(Outcome::Lost)]
}

fn any_risk() -> impl Strategy<Value = Option<Risk>> {
    option::of(select(Risk::ALL))
}

fn any_axis() -> impl Strategy<Value = Option<Axis>> {
    option::of(select(Axis::ALL))
}

prop_compose! {
    fn any_understanding()(
        category in select(Category::ALL),
        categories in vec(select(Category::ALL), 0..5),
        tools in any::<Vec<String>>(),
        risk in any_risk(),
        rules in any::<Vec<String>>(),
        version in any::<u32>(),
        axis in any_axis(),
    ) -> Understanding {
        let categories = categories.into_iter().collect::<CategorySet>();
        Understanding { category, categories, tools, risk, rules, version, axis }
    }
}

prop_compose! {
    fn any_event()(
        id in any_event_id(),
        shell in any_shell(),
        sequence in any::<u64>(),
        text in any_bytes(),
        redactions in vec(any_redaction(), 0..3),
        places in (any_bytes(), any::<bool>(), any::<bool>()),
        started_at in any_time(),
        precision in any_precision(),
        outcome in any_outcome(),
        understanding in any_understanding(),
    ) -> Event {
        let (cwd, is_cwd_truncated, is_truncated) = places;
        let command = RedactedCommand::restored(text, is_truncated);
        Event {
            id, shell, sequence, command, redactions, cwd, is_cwd_truncated, started_at, precision, outcome,
            understanding,
        }
    }
}

fn any_directory() -> impl Strategy<Value = Directory> {
    prop_oneof![any_bytes().prop_map(Directory::Exactly), any_bytes().prop_map(Directory::Under)]
}

fn any_exit() -> impl Strategy<Value = Exit> {
    prop_oneof![any::<i32>().prop_map(Exit::Code), Just(Exit::Failed), Just(Exit::Ok)]
}

prop_compose! {
    fn any_filter()(
        words in vec(any_bytes(), 0..4),
        times in (option::of(any_time()), option::of(any_time())),
        directory in option::of(any_directory()),
        exit in option::of(any_exit()),
        state in option::of(select(State::ALL)),
        category in option::of(select(Category::ALL)),
        shell in option::of(select(ShellKind::ALL)),
        shell_id in option::of(any::<[u8; 16]>().prop_map(ShellId::from_bytes)),
        names in any::<[Option<String>; 2]>(),
        ids in vec(any_event_id(), 0..4),
        judged in (any_risk(), any_axis(), any::<Option<String>>()),
    ) -> Filter {
        let ((since, until), [host, user], (risk, axis, rule)) = (times, names, judged);
        Filter {
            words, since, until, directory, exit, state, category, shell, shell_id, host, user, ids, risk, axis, rule,
        }
    }
}

prop_compose! {
    fn any_query()(
        filter in any_filter(),
        is_unique in any::<bool>(),
        limit in any::<Option<u32>>(),
        order in select(Order::ALL),
        detail in select(Detail::ALL),
    ) -> Query {
        Query { filter, is_unique, limit, order, detail }
    }
}

fn any_count() -> impl Strategy<Value = Count> {
    let steps = vec((any_time(), any::<i32>()), 0..4);
    (any_filter(), option::of(select(CountBy::ALL)), steps).prop_map(|(filter, by, steps)| Count {
        filter,
        by,
        zone: Zone { steps },
    })
}

prop_compose! {
    fn any_import_line()(
        observation in any_observation(),
        id in option::of(any_event_id()),
        is_lost in any::<bool>(),
        redactions in vec(any_redaction(), 0..3),
    ) -> ImportLine {
        ImportLine { observation, id, is_lost, redactions }
    }
}

fn any_rule_file() -> impl Strategy<Value = RuleFile> {
    (any::<String>(), any_bytes()).prop_map(|(name, text)| RuleFile { name, text })
}

/// Any request.
pub(crate) fn any_request() -> impl Strategy<Value = Request> {
    prop_oneof![
        any_observation().prop_map(|observation| Request::Observe(Observe::new(observation))),
        any_query().prop_map(Request::Query),
        any_count().prop_map(Request::Count),
        any_filter().prop_map(Request::Delete),
        vec(any_import_line(), 0..3).prop_map(|lines| Request::Import(Import { lines })),
        Just(Request::Status(())),
        Just(Request::StoreVerify(())),
        Just(Request::StoreCompact(())),
        (vec(any_raw_command(), 0..4), any_bytes())
            .prop_map(|(lines, cwd)| Request::Explain(Explain { lines, cwd })),
        Just(Request::Rules(())),
        (vec(any_rule_file(), 0..4), vec(any_raw_command(), 0..4))
            .prop_map(|(files, lines)| Request::RulesCheck(RulesCheck { files, lines })),
        any::<bool>().prop_map(|redact| Request::Reclassify(Reclassify { redact })),
    ]
}

prop_compose! {
    fn any_row()(
        started_at in any_time(), duration in any_duration(), state in select(State::ALL), exit in any::<Option<i32>>(),
        cwd in any_bytes(), command in any_bytes(), risk in any_risk(), axis in any_axis(),
    ) -> Row {
        Row { started_at, duration, state, exit, cwd, command, risk, axis }
    }
}

fn any_count_key() -> impl Strategy<Value = CountKey> {
    prop_oneof![
        Just(CountKey::All),
        select(Category::ALL).prop_map(CountKey::Category),
        any_bytes().prop_map(CountKey::Text),
        any::<u8>().prop_map(CountKey::Hour),
        any::<u8>().prop_map(CountKey::Weekday),
        any::<i32>().prop_map(CountKey::Day),
        any::<Option<i32>>().prop_map(CountKey::Exit),
        any_risk().prop_map(CountKey::Risk),
    ]
}

fn any_tallies() -> impl Strategy<Value = Tallies> {
    let tally = (any_count_key(), any::<u64>(), any::<u64>());
    let tally = tally.prop_map(|(key, count, failed)| Tally { key, count, failed });
    let left_out = any::<[u64; 3]>().prop_map(|[keys, count, failed]| LeftOut { keys, count, failed });
    (vec(tally, 0..5), option::of(any_time()), left_out)
        .prop_map(|(tallies, partial_since, left_out)| Tallies { tallies, partial_since, left_out })
}

prop_compose! {
    fn any_intake()(n in any::<[u64; 7]>()) -> Intake {
        let [committed, duplicates, ignored, busy, failed, spooled, dropped] = n;
        Intake { committed, duplicates, ignored, busy, failed, spooled, dropped }
    }
}

prop_compose! {
    fn any_store_status()(
        n in any::<[u64; 8]>(), times in vec(option::of(any_time()), 3),
        refusing in any::<Option<String>>(), rules_version in any::<u32>(),
    ) -> StoreStatus {
        let [events, texts, segments, log_bytes, view_bytes, free_bytes, reserve_bytes, damage] = n;
        let [oldest, newest, partial_since] = [times[0], times[1], times[2]];
        StoreStatus {
            events, texts, oldest, newest, partial_since, segments, log_bytes, view_bytes, free_bytes, reserve_bytes,
            refusing, damage, rules_version,
        }
    }
}

prop_compose! {
    fn any_spool_status()(path in any::<String>(), n in any::<[u64; 3]>()) -> SpoolStatus {
        let [waiting, newer, torn] = n;
        SpoolStatus { path, waiting, newer, torn }
    }
}

prop_compose! {
    fn any_status()(
        names in any::<[String; 5]>(), small in any::<[u32; 3]>(), large in any::<[u64; 3]>(),
        times in (any_time(), any_time()), spools in vec(any_spool_status(), 0..3), intake in any_intake(),
        store in any_store_status(), notices in any::<Vec<String>>(),
        rules in (any::<[u64; 2]>(), option::of(any_time()), any::<u32>()),
    ) -> Status {
        let [version, user, host, data_dir, socket] = names;
        let ([pid, sessions, sessions_max], [refused_foreign, malformed, resident_bytes]) = (small, large);
        let (started_at, now) = times;
        let ([loaded, refused], loaded_at, version_of_rules) = rules;
        let rules = RulesStatus { loaded, refused, loaded_at, version: version_of_rules };
        Status {
            version, pid, started_at, now, user, host, data_dir, socket, spools, intake, store, sessions,
            sessions_max, refused_foreign, malformed, resident_bytes, notices, rules,
            mesh: MeshStatus::default(),
        }
    }
}

fn any_damage() -> impl Strategy<Value = Damage> {
    any::<(String, u64, String)>().prop_map(|(segment, offset, reason)| Damage { segment, offset, reason })
}

prop_compose! {
    fn any_verified()(
        n in any::<[u64; 3]>(), damage in vec(any_damage(), 0..3), views_agree in any::<bool>()
    ) -> Verified {
        let [segments, records, damage_count] = n;
        Verified { segments, records, damage, damage_count, views_agree }
    }
}

fn any_end() -> impl Strategy<Value = End> {
    (any::<[u64; 2]>(), option::of(any_time())).prop_map(|([count, unreadable], partial_since)| End {
        count,
        partial_since,
        unreadable,
    })
}

fn any_failure() -> impl Strategy<Value = Failure> {
    (select(FailureCode::ALL), any::<String>()).prop_map(|(code, message)| Failure { code, message })
}

prop_compose! {
    fn any_span()(
        start in any::<u32>(), end in any::<u32>(), kind in select(Secret::ALL), reason in any::<String>()
    ) -> Span {
        Span { start, end, kind, reason }
    }
}

prop_compose! {
    fn any_run()(
        argv in vec(any_bytes(), 0..4), context in vec(select(Context::ALL), 0..4),
        is_privileged in any::<bool>(), is_remote in any::<bool>(), parent in any::<Option<u32>>(),
        category in select(Category::ALL), row in any::<String>(), confidence in any::<u8>(),
    ) -> Run {
        Run { argv, context, is_privileged, is_remote, parent, category, row, confidence }
    }
}

prop_compose! {
    fn any_match()(
        names in any::<[String; 2]>(), level in select(Risk::ALL), axis in select(Axis::ALL),
        lists in any::<[Vec<String>; 2]>(), run in any::<Option<u32>>(),
    ) -> Match {
        let ([id, title], [tags, fields]) = (names, lists);
        Match { id, title, level, axis, tags, fields, run }
    }
}

prop_compose! {
    fn any_explanation()(
        redacted in any_bytes(), spans in vec(any_span(), 0..3), runs in vec(any_run(), 0..3),
        flags in any::<[bool; 2]>(), category in select(Category::ALL),
        categories in vec(select(Category::ALL), 0..4), risk in any_risk(), axis in any_axis(),
        matches in vec(any_match(), 0..3),
    ) -> Explanation {
        let [is_parsed, is_cut] = flags;
        Explanation { redacted, spans, runs, is_parsed, category, categories, risk, axis, matches, is_cut }
    }
}

prop_compose! {
    fn any_rule()(
        names in any::<[String; 3]>(), level in select(Risk::ALL), axis in select(Axis::ALL),
        tags in any::<Vec<String>>(),
    ) -> Rule {
        let [id, title, file] = names;
        Rule { id, title, level, axis, tags, file }
    }
}

prop_compose! {
    fn any_rules()(
        rules in vec(any_rule(), 0..3),
        refused in any::<Vec<(String, Option<u32>, Option<String>, String)>>(),
        remarks in any::<Vec<String>>(),
    ) -> RulesPage {
        let refused = refused.into_iter().map(|(file, line, id, reason)| RefusedRule { file, line, id, reason });
        RulesPage { rules, refused: refused.collect(), remarks }
    }
}

/// Any reply.
pub(crate) fn any_reply() -> impl Strategy<Value = Reply> {
    let three = any::<[u64; 3]>();
    let four = any::<[u64; 4]>();
    prop_oneof![
        select(Verdict::ALL).prop_map(Reply::Observed),
        vec(any_row(), 0..5).prop_map(Reply::Rows),
        vec(any_event(), 0..3).prop_map(Reply::Events),
        any_end().prop_map(Reply::End),
        any_tallies().prop_map(Reply::Tallies),
        any::<u64>().prop_map(Reply::Deleted),
        three.prop_map(|[added, duplicates, ignored]| Reply::Imported(Imported {
            added,
            duplicates,
            ignored
        })),
        any_status().prop_map(|status| Reply::Status(Box::new(status))),
        any_verified().prop_map(Reply::Verified),
        three.prop_map(|[bytes_before, bytes_after, segments]| {
            Reply::Compacted(Compacted { bytes_before, bytes_after, segments })
        }),
        vec(any_explanation(), 0..3).prop_map(Reply::Explained),
        any_rules().prop_map(Reply::Rules),
        three.prop_map(|[done, total, changed]| Reply::Progress(Progress { done, total, changed })),
        four.prop_map(|[events, changed, redacted, segments]| {
            Reply::Reclassified(Reclassified { events, changed, redacted, segments })
        }),
        any_failure().prop_map(Reply::Failure),
    ]
}
