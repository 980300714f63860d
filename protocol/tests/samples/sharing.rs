//! One message of every type about summaries, the policy, groups and questions.

use std::collections::BTreeMap;

use karo_protocol::answer::{
    AnswerRow, AtomRow, AtomState, GroupClose, GroupEdit, GroupMake, GroupRow, GroupShown, Health, HealthRow,
    MeshAnswer, MeshQuery, Question, Section, SignalRow, SignalsAsk, Status, SummaryAsk, SummaryOf,
    SummaryRow,
};
use karo_protocol::atom::{AtomReason, Band, Signal};
use karo_protocol::category::CategorySet;
use karo_protocol::group::{Card, GroupFile, Member, SealingKey, ToolName};
use karo_protocol::local::{Reply, Request};
use karo_protocol::node::{Hash, Nonce, Signature};
use karo_protocol::policy::{
    PeerPolicy, Policy, PolicyChange, PolicyExplained, PolicyPreview, PolicyReason, PolicySet, PolicyShown,
    PreviewedObject, Sharing,
};
use karo_protocol::query::Zone;
use karo_protocol::summary::{Period, Summary, Sums};
use karo_protocol::{Axis, Bytes, Category, Fingerprint, Risk};

use super::at;
use super::mesh::{NODE, signed};

pub(crate) const GROUP: Hash = Hash([0x33; 32]);

pub(crate) fn card() -> Card {
    Card { node: NODE, sealing: SealingKey(Hash([0x44; 32])), proof: Signature([0x22; 64]) }
}

fn tool(name: &str) -> ToolName {
    ToolName::new(name).expect("it has the form of one")
}

pub(crate) fn group_file() -> GroupFile {
    let member = Member {
        card: card(),
        name: "laptop".to_owned(),
        owner: "ada".to_owned(),
        contributes: true,
        may_aggregate: true,
        addresses: vec!["10.0.0.2:9238".to_owned()],
    };
    let build = Member {
        name: "build-box".to_owned(),
        contributes: false,
        may_aggregate: false,
        addresses: Vec::new(),
        ..member.clone()
    };
    GroupFile {
        name: "platform".to_owned(),
        lineage: Nonce([6; 16]),
        version: 3,
        zone: "Europe/Berlin".to_owned(),
        smallest_cohort: 8,
        members: vec![member, build],
        tools: vec![(tool("g++"), Category::Build), (tool("git"), Category::Vcs)],
        rules: vec![("karo-curl-to-shell".to_owned(), Risk::High)],
    }
}

pub(crate) fn summary() -> Summary {
    let some = Sums { count: 300, failed: 12, mean_us: Some(70_000) };
    Summary {
        period: Period::Weekly,
        start: at(1),
        end: at(2),
        offset_s: -3600,
        version: 2,
        total: some,
        categories: vec![(Category::Shell, Sums::default()), (Category::Other, some)],
        tools: vec![(tool("git"), Category::Vcs, some)],
        hours: (0..24).collect(),
        weekdays: vec![0, 1, 2, 3, 4, 500, 70_000],
        risks: Some(vec![(Risk::Informational, None, 1), (Risk::High, Some(Axis::Exposure), 40)]),
        is_limited: true,
    }
}

fn categories(members: &[Category]) -> CategorySet {
    members.iter().copied().collect()
}

fn denial() -> PeerPolicy {
    PeerPolicy { no_summaries: true, no_health: true, deny: categories(&[Category::Remote]) }
}

fn summaries(of: SummaryOf) -> Request {
    Request::Summaries(SummaryAsk {
        of,
        periods: vec![Period::Hourly, Period::Daily],
        since: Some(at(1)),
        until: Some(at(2)),
    })
}

fn switch(what: Sharing, to: Option<bool>) -> Request {
    Request::PolicyChange(PolicyChange::Switch { what, to })
}

fn edits() -> Vec<GroupEdit> {
    vec![
        GroupEdit::Name("platform".to_owned()),
        GroupEdit::Zone("Europe/Berlin".to_owned()),
        GroupEdit::SmallestCohort(8),
        GroupEdit::Add {
            who: "desk".to_owned(),
            owner: Some("bob".to_owned()),
            name: Some("bobs-desk".to_owned()),
            contributes: Some(false),
            may_aggregate: true,
            addresses: vec!["10.0.0.3:9238".to_owned()],
        },
        GroupEdit::Remove("laptop".to_owned()),
        GroupEdit::Tools(vec!["git".to_owned()]),
        GroupEdit::Rules(vec!["karo-curl-to-shell".to_owned()]),
    ]
}

pub(crate) fn requests() -> Vec<(&'static str, Request)> {
    let allow = categories(&[Category::Build, Category::Vcs]);
    let deny = categories(&[Category::Security]);
    let peer = || "desk".to_owned();
    let group = || "platform".to_owned();
    let question = MeshQuery {
        question: Question::Activity,
        group: Some(group()),
        since: Some(at(1)),
        until: Some(at(2)),
        compare: true,
    };
    let signals =
        SignalsAsk { since: Some(at(1)), until: Some(at(2)), zone: Zone { steps: vec![(at(0), 3600)] } };
    vec![
        ("request-summaries-own", summaries(SummaryOf::Own)),
        ("request-summaries-sent", summaries(SummaryOf::Sent(Some(peer())))),
        ("request-summaries-received", summaries(SummaryOf::Received(None))),
        ("request-summaries-from", summaries(SummaryOf::From(peer()))),
        ("request-policy", Request::Policy(())),
        ("request-policy-switch", switch(Sharing::Groups, Some(true))),
        ("request-policy-switch-default", switch(Sharing::Health, None)),
        ("request-policy-allow", Request::PolicyChange(PolicyChange::Allow(Some(allow)))),
        ("request-policy-deny", Request::PolicyChange(PolicyChange::Deny(deny))),
        ("request-policy-peer", Request::PolicyChange(PolicyChange::Peer { peer: peer(), policy: denial() })),
        ("request-policy-preview", Request::PolicyPreview(peer())),
        ("request-policy-explain", Request::PolicyExplain(peer())),
        ("request-group-card", Request::GroupCard(())),
        ("request-group-make", Request::GroupMake(GroupMake { base: Some(signed()), edits: edits() })),
        ("request-group-look", Request::GroupLook(signed())),
        ("request-group-show", Request::GroupShow(group())),
        ("request-group-accept", Request::GroupAccept(signed())),
        ("request-group-leave", Request::GroupLeave(group())),
        ("request-groups", Request::Groups(())),
        ("request-group-close", Request::GroupClose(GroupClose { group: Some(group()), day: 20_000 })),
        ("request-group-atoms", Request::GroupAtoms(Some(group()))),
        ("request-mesh-query", Request::MeshQuery(question)),
        ("request-mesh-health", Request::MeshHealth(())),
        ("request-signals", Request::Signals(signals)),
    ]
}

fn policy_shown() -> PolicyShown {
    let peers: BTreeMap<_, _> = [(NODE, denial())].into();
    let deny = categories(&[Category::Security]);
    let policy = Policy {
        summaries: true,
        groups: true,
        health: false,
        allow: categories(&[Category::Build, Category::Vcs]),
        deny,
        peers: peers.clone(),
    };
    let set = PolicySet {
        summaries: Some(true),
        groups: None,
        health: Some(false),
        allow: Some(policy.allow),
        deny,
        peers,
    };
    let meaning = vec!["A summary is about you.".to_owned()];
    PolicyShown { policy, set, meaning, names: vec![(NODE, "desk".to_owned())] }
}

fn policies() -> Vec<(&'static str, Reply)> {
    let preview = PolicyPreview {
        peer: "desk".to_owned(),
        nothing_because: Some("summaries are off".to_owned()),
        objects: vec![PreviewedObject {
            goes_at: at(3),
            summary: summary(),
            bytes: Bytes::from("the exact bytes"),
        }],
    };
    let reason = PolicyReason {
        what: Sharing::Summaries,
        is_allowed: false,
        rule: "its trust is member".to_owned(),
        change: "karoctl peers trust desk share-to".to_owned(),
    };
    let explained = PolicyExplained {
        peer: "desk".to_owned(),
        reasons: vec![reason],
        denied: categories(&[Category::Security]),
    };
    vec![
        ("reply-policy", Reply::Policy(Box::new(policy_shown()))),
        ("reply-policy-preview", Reply::PolicyPreview(Box::new(preview))),
        ("reply-policy-explained", Reply::PolicyExplained(explained)),
    ]
}

fn groups() -> Vec<(&'static str, Reply)> {
    let shown = GroupShown {
        id: GROUP,
        signed: signed(),
        maker: NODE,
        maker_fingerprint: Fingerprint([1; 8]),
        file: group_file(),
        differences: vec!["bobs-desk of bob is new".to_owned()],
        refused_because: Some("three owners are fewer than five".to_owned()),
        is_accepted: true,
    };
    let row = GroupRow {
        name: "platform".to_owned(),
        id: GROUP,
        version: 3,
        accepted_at: Some(at(4)),
        offered_by: Some("desk".to_owned()),
        members: (9, 8),
        role: "contributes".to_owned(),
        aggregators: Some(("laptop".to_owned(), "desk".to_owned())),
        zone: "Europe/Berlin".to_owned(),
        smallest_cohort: 8,
        problems: vec!["sharing is off".to_owned()],
    };
    let atom = AtomRow {
        group: Some("platform".to_owned()),
        group_id: GROUP,
        day: 20_000,
        state: AtomState::Ended,
        reason: Some(AtomReason::TooFew),
        is_given: true,
        table: Some(Hash([5; 32])),
        fed: (1, 2),
        contributors: Some(8),
        aggregators: Some(("laptop".to_owned(), "desk".to_owned())),
        at: Some(at(5)),
    };
    vec![
        ("reply-card", Reply::Card(Box::new(card()))),
        ("reply-group", Reply::Group(Box::new(shown))),
        ("reply-groups", Reply::Groups(vec![row])),
        ("reply-atoms", Reply::Atoms(vec![atom])),
    ]
}

fn answer() -> MeshAnswer {
    let row = AnswerRow {
        name: "git".to_owned(),
        category: Some(Category::Vcs),
        count: Some(4000),
        failed: Some(40),
        failed_of: Some(3900),
        share_ppm: Some(250_000),
        mean_us: Some(70_000),
        owners: Band::Ten,
        hidden_days: 1,
        before: Some(3000),
    };
    let section =
        Section { name: "tools".to_owned(), rows: vec![row], hidden: 3, coverage_ppm: Some(900_000) };
    MeshAnswer {
        question: Question::ToolUsage,
        group: "platform".to_owned(),
        group_id: GROUP,
        zone: "Europe/Berlin".to_owned(),
        since_day: 20_000,
        until_day: 20_007,
        covered: vec![20_000, 20_001, 20_006],
        newest: Some(20_006),
        contributors: Some((8, 12)),
        owners: 12,
        smallest_cohort: 8,
        sections: vec![section],
        covered_before: Some(vec![19_999]),
        statuses: vec![(Status::Success, 6), (Status::NoResponse, 1)],
        silent: vec!["desk".to_owned()],
        not_in_it: vec!["today".to_owned()],
    }
}

pub(crate) fn health() -> Health {
    Health {
        program: "karod 0.1.0".to_owned(),
        now: at(6),
        is_accepting: true,
        is_damaged: true,
        links: (2, 3),
        is_witnessed: true,
    }
}

pub(crate) fn replies() -> Vec<(&'static str, Reply)> {
    let row =
        SummaryRow { peer: Some("desk".to_owned()), at: Some(at(3)), is_taken: true, summary: summary() };
    let healthy = HealthRow {
        name: "desk".to_owned(),
        status: Status::Success,
        health: Some(health()),
        skew_us: Some(-5),
    };
    let silent =
        HealthRow { name: "laptop".to_owned(), status: Status::NoResponse, health: None, skew_us: None };
    let signal = SignalRow {
        day: 20_000,
        signal: Signal::RepeatedRisk,
        because: "12 times, where 2 are usual".to_owned(),
        causes: vec!["curl [REDACTED] | sh".to_owned()],
    };
    let mut replies = vec![
        ("reply-summaries", Reply::Summaries(vec![row])),
        ("reply-answer", Reply::Answer(Box::new(answer()))),
        ("reply-health", Reply::Health(vec![healthy, silent])),
        ("reply-signals", Reply::Signals(vec![signal])),
    ];
    replies.extend(policies());
    replies.extend(groups());
    replies
}
