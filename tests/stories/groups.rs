//! Groups: a file that all accept, a day that is closed, and what is answered of it.

use karo_protocol::answer::{
    AtomState, GroupClose, GroupEdit, GroupMake, GroupRow, MeshQuery, Question, Status,
};
use karo_protocol::atom::{AtomReason, Band};
use karo_protocol::audit::{Deed, Reason};
use karo_protocol::local::{Reply, Request};
use karo_protocol::mesh::{Change, LinkState};
use karo_protocol::policy::{PolicyChange, Sharing};
use karo_protocol::{NodeId, Timestamp, Trust};
use karo_tests::groups::{Team, about, accept, ask, card, close, day, file, had, make, member, yesterday};
use karo_tests::mesh::link;
use karo_tests::{Node, until};

/// What everybody did yesterday.
const DAY: [(&str, i32); 6] = [
    ("git status", 0),
    ("git push", 0),
    ("make -j4", 2),
    ("ssh build.example.org uptime", 0),
    ("curl -s https://example.org/x | sh", 0),
    ("acme-secret-tool --merge", 0),
];

fn groups(node: &Node) -> Vec<GroupRow> {
    match node.ask(&Request::Groups(())) {
        Reply::Groups(rows) => rows,
        other => panic!("no groups but {other:?}"),
    }
}

fn set_groups(node: &Node, is_on: bool) {
    let change = PolicyChange::Switch { what: Sharing::Groups, to: Some(is_on) };
    match node.ask(&Request::PolicyChange(change)) {
        Reply::Policy(shown) => assert_eq!(shown.policy.groups, is_on),
        other => panic!("the policy was not changed: {other:?}"),
    }
}

#[test]
fn a_day_is_closed_and_everybody_answers_alike() {
    let team = Team::of(6);
    for node in &team.nodes {
        had(node, yesterday(), &DAY);
    }
    // One of them did something that nobody else did.
    had(&team.nodes[3], yesterday() - 1, &[("git log", 0)]);
    let row = team.close(2);
    assert_eq!((row.state, row.contributors, row.is_given), (AtomState::Closed, Some(6), true), "{row:?}");
    let aggregators = row.aggregators.expect("two have closed it");
    let mut answers = Vec::new();
    for place in 0..team.nodes.len() {
        team.wait_until_closed(place);
        answers.push(ask(&team.nodes[place], Question::ToolUsage));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:#?}");
    assert_eq!(
        (answers[0].covered.as_slice(), answers[0].contributors),
        ([yesterday()].as_slice(), Some((6, 6)))
    );
    for place in [team.place(&aggregators.0), team.place(&aggregators.1)] {
        until("the closing is in the audit", || {
            (team.nodes[place].count(Deed::AtomClosed, None) == 1).then_some(())
        });
    }
    for node in &team.nodes {
        assert_eq!(node.count(Deed::DayGiven, None), 1);
        node.check_audit();
    }
}

#[test]
fn what_fewer_than_five_did_is_hidden() {
    let team = Team::of(6);
    for (place, node) in team.nodes.iter().enumerate() {
        had(node, yesterday(), &DAY);
        if place < 4 {
            had(node, yesterday() - 1, &DAY);
        }
    }
    team.close(0);
    let answer = ask(&team.nodes[0], Question::ToolUsage);
    let categories = &answer.sections.iter().find(|one| one.name == "categories").expect("it is there").rows;
    assert!(categories.iter().filter(|row| row.owners == Band::Five).count() >= 3, "{answer:#?}");
    assert!(!format!("{answer:?}").contains("acme"), "a private name got into an answer: {answer:?}");
    // All six gave the day before; two of them nothing. What four had is not told.
    let before = close(&team.nodes[0], yesterday() - 1);
    assert_eq!((before.state, before.contributors), (AtomState::Closed, Some(6)));
    for question in Question::ALL {
        let answer = about(&team.nodes[0], *question, yesterday() - 1);
        let told = answer.sections.iter().flat_map(|section| &section.rows).filter(|row| row.count.is_some());
        assert_eq!(told.count(), 0, "{answer:#?}");
    }
}

#[test]
fn four_owners_make_no_number() {
    let nodes: Vec<Node> = (0..4).map(|_| member()).collect();
    let file = file(&nodes, Vec::new());
    let shown = match nodes[0].ask(&Request::GroupLook(file.clone())) {
        Reply::Group(shown) => shown,
        other => panic!("not shown but {other:?}"),
    };
    match shown.refused_because {
        // Either nobody can be in such a group, or it never closes a day.
        Some(why) => assert!(why.contains('5'), "{why}"),
        None => {
            nodes.iter().for_each(|node| drop(accept(node, &file)));
            assert!(groups(&nodes[0])[0].problems.iter().any(|problem| problem.contains("4 owners")));
            let row = close(&nodes[0], yesterday());
            assert_eq!((row.state, row.reason), (AtomState::Ended, Some(AtomReason::TooFew)));
        }
    }
}

#[test]
fn who_shares_nothing_gives_nothing() {
    let team = Team::of(6);
    team.nodes.iter().for_each(|node| had(node, yesterday(), &DAY));
    set_groups(&team.nodes[4], false);
    let row = team.close(0);
    assert_eq!((row.state, row.contributors), (AtomState::Closed, Some(5)));
    let refused = day(&team.nodes[4], yesterday()).expect("it was asked");
    assert!(!refused.is_given);
    until("the refusal is in the audit", || {
        (team.nodes[4].count(Deed::DayRefused, Some(Reason::Policy)) == 1).then_some(())
    });
    assert_eq!(team.nodes[4].count(Deed::DayGiven, None), 0);
}

#[test]
fn a_day_is_closed_once() {
    let team = Team::of(5);
    team.nodes.iter().for_each(|node| had(node, yesterday(), &DAY));
    let first = team.close(0);
    // What comes later does not count any more.
    had(&team.nodes[1], yesterday(), &[("git fetch", 0)]);
    let again = team.close(1);
    assert_eq!((first.state, again.state), (AtomState::Closed, AtomState::Closed));
    assert_eq!(
        (first.table, first.contributors),
        (day(&team.nodes[0], yesterday()).and_then(|row| row.table), Some(5))
    );
    for node in &team.nodes {
        assert_eq!(node.count(Deed::DayGiven, None), 1);
    }
}

#[test]
fn a_day_is_given_to_one_group() {
    let team = Team::of(6);
    team.nodes.iter().for_each(|node| had(node, yesterday(), &DAY));
    team.close(0);
    // The same without the last of them: the difference would be that one.
    let other = make(
        &team.nodes[0],
        GroupMake {
            base: None,
            edits: std::iter::once(GroupEdit::Name("other".to_owned()))
                .chain(std::iter::once(GroupEdit::SmallestCohort(5)))
                .chain(team.nodes[..5].iter().enumerate().map(|(place, node)| GroupEdit::Add {
                    who: card(node).to_string(),
                    owner: Some(format!("owner-{place}")),
                    name: Some(format!("node-{place}")),
                    contributes: None,
                    may_aggregate: true,
                    addresses: vec![node.address.clone()],
                }))
                .collect(),
        },
    )
    .signed;
    team.nodes[..5].iter().for_each(|node| drop(accept(node, &other)));
    let asked = GroupClose { group: Some("other".to_owned()), day: yesterday() };
    let rows = match team.nodes[0].ask(&Request::GroupClose(asked)) {
        Reply::Atoms(rows) => rows,
        other => panic!("no answer but {other:?}"),
    };
    assert_eq!((rows[0].state, rows[0].reason), (AtomState::Ended, Some(AtomReason::TooFew)), "{rows:?}");
}

#[test]
fn a_file_is_offered_and_never_accepted_by_itself() {
    let team = Team::of(5);
    let newcomer = member();
    let next = make(
        &team.nodes[0],
        GroupMake {
            base: Some(team.file.clone()),
            edits: vec![GroupEdit::Add {
                who: card(&newcomer).to_string(),
                owner: Some("owner-5".to_owned()),
                name: Some("node-5".to_owned()),
                contributes: None,
                may_aggregate: true,
                addresses: vec![newcomer.address.clone()],
            }],
        },
    );
    assert!(next.differences.iter().any(|says| says.contains("node-5")), "{:?}", next.differences);
    accept(&team.nodes[0], &next.signed);
    let offered = until("the new version is offered", || {
        groups(&team.nodes[1]).into_iter().find(|row| row.offered_by.is_some())
    });
    assert_eq!((offered.version, offered.accepted_at), (2, None));
    let accepted = groups(&team.nodes[1]).into_iter().find(|row| row.accepted_at.is_some());
    assert_eq!(accepted.expect("the old one is still in force").version, 1);
    // An older one does not come back.
    accept(&team.nodes[1], &next.signed);
    let refusal = team.nodes[1].refusal(&Request::GroupAccept(team.file.clone()));
    assert!(refusal.message.contains("version 2"), "{}", refusal.message);
}

#[test]
fn accepting_makes_members_and_revocation_outlives_it() {
    let nodes: Vec<Node> = (0..5).map(|_| member()).collect();
    let revoked: NodeId = nodes[4].node_id();
    nodes[0].trust(revoked, &[], Trust::Member);
    let name = nodes[0].peer(revoked).expect("it was added").name;
    nodes[0].change(&name, Change::Revoke);
    let file = file(&nodes, Vec::new());
    nodes.iter().for_each(|node| drop(accept(node, &file)));
    assert!(nodes[0].peer(revoked).is_none());
    let row = nodes[0].wait_for(nodes[1].node_id(), LinkState::Connected);
    assert_eq!(
        (row.trust, row.name.as_str(), row.owner.as_deref()),
        (Trust::Member, "node-1", Some("owner-1"))
    );
    assert!(groups(&nodes[0])[0].problems.iter().any(|problem| problem.contains("node-4")));
}

#[test]
fn an_aggregator_that_is_away_closes_nothing_and_can_come_back() {
    let mut team = Team::of(6);
    team.nodes.iter().for_each(|node| had(node, yesterday(), &DAY));
    let (leader, helper) = team.ranks(yesterday());
    let by = (0..6).find(|place| ![leader, helper].contains(place)).expect("four others are left");
    let asked = Request::GroupClose(GroupClose { group: None, day: yesterday() });
    let leader_id = team.nodes[leader].node_id();
    team.nodes[leader].karo.kill();
    until("the loss is seen", || {
        team.nodes[by].peer(leader_id).filter(|row| row.state != LinkState::Connected)
    });
    let refusal = team.nodes[by].refusal(&asked);
    assert!(refusal.message.contains(&format!("node-{leader}")), "{}", refusal.message);
    team.nodes[leader].karo.launch();
    team.wait_until_linked();
    // Rank 2 dies while the day is being closed, and the day is closed when it is back.
    team.nodes[helper].karo.kill();
    let mut waiting = team.nodes[by].karo.session();
    let id = waiting.send(&asked).expect("the daemon reads");
    until("the day is being closed", || {
        day(&team.nodes[leader], yesterday()).filter(|row| row.state == AtomState::Open)
    });
    team.nodes[helper].karo.launch();
    match waiting.receive() {
        Ok((answered, Reply::Atoms(rows))) if answered == id => {
            assert_eq!((rows[0].state, rows[0].contributors), (AtomState::Closed, Some(6)), "{rows:?}");
        }
        other => panic!("the day was not closed: {other:?}"),
    }
}

#[test]
fn a_crash_of_either_aggregator_gives_one_atom_or_none() {
    for who in [0, 1] {
        let mut team = Team::of(5);
        team.nodes.iter().for_each(|node| had(node, yesterday(), &DAY));
        let ranks = team.ranks(yesterday());
        let dies = [ranks.0, ranks.1][who];
        let by = (0..5).find(|place| ![ranks.0, ranks.1].contains(place)).expect("three others are left");
        let asked = Request::GroupClose(GroupClose { group: None, day: yesterday() });
        let mut waiting = team.nodes[by].karo.session();
        waiting.send(&asked).expect("the daemon reads");
        until("a report was given", || (team.nodes[by].count(Deed::DayGiven, None) == 1).then_some(()));
        team.nodes[dies].karo.kill();
        team.nodes[dies].karo.launch();
        team.wait_until_linked();
        let row = team.close(by);
        assert_eq!((row.state, row.contributors), (AtomState::Closed, Some(5)), "{row:?}");
        for place in 0..5 {
            team.wait_until_closed(place);
        }
        let answers: Vec<_> = team.nodes.iter().map(|node| ask(node, Question::Activity)).collect();
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
    }
}

#[test]
fn who_has_no_atom_gets_it_from_the_members() {
    let nodes: Vec<Node> = (0..6).map(|_| member()).collect();
    // The last of them has not accepted yet, gives nothing, and is not waited for to add up.
    let last = GroupEdit::Add {
        who: card(&nodes[5]).to_string(),
        owner: Some("owner-5".to_owned()),
        name: Some("node-5".to_owned()),
        contributes: None,
        may_aggregate: false,
        addresses: vec![nodes[5].address.clone()],
    };
    let file = file(&nodes, vec![last]);
    nodes[..5].iter().for_each(|node| drop(accept(node, &file)));
    let mut team = Team { nodes, file };
    let last = team.nodes.pop().expect("there are six");
    team.wait_until_linked();
    // It is a peer already, and says that it is in no such group.
    team.nodes.iter().for_each(|node| {
        last.trust(node.node_id(), &[&node.address], Trust::Member);
        node.wait_for(last.node_id(), LinkState::Connected);
    });
    team.nodes.iter().for_each(|node| had(node, yesterday(), &DAY));
    let row = team.close(0);
    assert_eq!((row.state, row.contributors), (AtomState::Closed, Some(5)));
    // What all members are told goes by before the last of them is one.
    for (place, node) in team.nodes.iter().enumerate() {
        team.wait_until_closed(place);
        let name = node.peer(last.node_id()).expect("it is a peer").name;
        node.ping(&name).expect("it is linked");
    }
    accept(&last, &team.file);
    for node in &team.nodes {
        last.wait_for(node.node_id(), LinkState::Connected);
    }
    assert!(day(&last, yesterday()).is_none_or(|row| row.state != AtomState::Closed));
    let answer = ask(&last, Question::SafetyPosture);
    assert_eq!(answer.covered, [yesterday()]);
    let asked: u32 = answer.statuses.iter().map(|(_, count)| count).sum();
    let success = answer.statuses.iter().find(|(status, _)| *status == Status::Success);
    assert_eq!((asked, success.is_some()), (5, true), "{answer:?}");
    // From then on it is here, and nobody is asked.
    let again = ask(&last, Question::SafetyPosture);
    assert_eq!((again.statuses.as_slice(), again.sections), ([].as_slice(), answer.sections));
    until("an answer is in the audit", || {
        team.nodes.iter().find(|node| node.count(Deed::QueryAnswered, None) > 0).map(drop)
    });
}

#[test]
fn atoms_are_for_members_alone() {
    let team = Team::of(5);
    team.nodes.iter().for_each(|node| had(node, yesterday(), &DAY));
    team.close(0);
    let stranger = member();
    link(&stranger, &team.nodes[0], Trust::Peer);
    let refusal = stranger.refusal(&Request::MeshQuery(MeshQuery {
        question: Question::Activity,
        group: Some("team".to_owned()),
        since: None,
        until: None,
        compare: false,
    }));
    assert!(refusal.message.contains("no group"), "{}", refusal.message);
    // Nor does it get the file by itself.
    assert_eq!(groups(&stranger), []);
}

/// Files are kept in pieces, for a value of the store has a limit; and groups outlive a restart.
#[test]
fn a_large_group_and_its_atoms_outlive_a_restart() {
    let mut team = Team::of(5);
    team.nodes.iter().for_each(|node| had(node, yesterday(), &DAY));
    team.close(0);
    let before = ask(&team.nodes[1], Question::ToolUsage);
    // Two hundred rules take the file over 48 KiB no more than members do: each member's name and addresses are long.
    let node = &mut team.nodes[1];
    let others = (0..250_u8).map(|number| GroupEdit::Add {
        who: stranger(number),
        owner: Some(format!("owner-{number:_>50}")),
        name: Some(format!("machine-{number:_>50}")),
        contributes: None,
        may_aggregate: false,
        addresses: vec![format!("10.0.{number}.1:9238"); 4],
    });
    let next = make(node, GroupMake { base: Some(team.file.clone()), edits: others.collect() });
    assert!(next.signed.bytes.0.len() > 64 * 1024, "{} bytes", next.signed.bytes.0.len());
    assert_eq!(next.refused_because, None);
    accept(node, &next.signed);
    node.karo.kill();
    node.karo.launch();
    let row = groups(node).into_iter().find(|row| row.accepted_at.is_some()).expect("it is there again");
    assert_eq!((row.version, row.members), (2, (255, 255)));
    // What was closed under the version before is answered as ever.
    let after = ask(node, Question::ToolUsage);
    assert_eq!((after.covered, after.sections), (before.covered, before.sections));
    match node.ask(&Request::GroupLeave("team".to_owned())) {
        Reply::Group(_) => {}
        other => panic!("it was not left: {other:?}"),
    }
    node.karo.kill();
    node.karo.launch();
    assert_eq!(groups(node).iter().filter(|row| row.accepted_at.is_some()).count(), 0);
}

/// Returns the card of a machine that does not run.
fn stranger(number: u8) -> String {
    let mut seed = [number; 32];
    seed[0] = 0xfe;
    let mut chance = Fixed(seed);
    let identity = karo_trust::Identity::generate(&mut chance, Timestamp::from_micros(1));
    let sealing = karo_protocol::group::SealingKey(karo_protocol::node::Hash(identity.sealing_secret()));
    karo_trust::card::issue(&identity, sealing).to_string()
}

/// Always the same, but for a counter.
struct Fixed([u8; 32]);

impl karo_trust::Chance for Fixed {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = *blake3::hash(&self.0).as_bytes();
            *byte = self.0[0];
        }
    }
}

#[test]
fn a_day_that_is_not_over_is_not_closed() {
    let team = Team::of(5);
    let day = yesterday() + 1;
    for node in &team.nodes {
        let refusal = node.refusal(&Request::GroupClose(GroupClose { group: None, day }));
        assert!(refusal.message.contains("not over"), "{}", refusal.message);
        let refusal = node.refusal(&Request::GroupClose(GroupClose { group: None, day: day - 40 }));
        assert!(refusal.message.contains("30 days"), "{}", refusal.message);
        assert_eq!(node.count(Deed::DayGiven, None), 0);
    }
}

#[test]
fn health_is_told_to_whom_it_may_be() {
    let (one, other) = (member(), member());
    link(&one, &other, Trust::Member);
    let ask = || match one.ask(&Request::MeshHealth(())) {
        Reply::Health(rows) => rows.into_iter().next().expect("it has a peer"),
        reply => panic!("no health but {reply:?}"),
    };
    assert_eq!((ask().status, ask().health), (Status::AccessDenied, None));
    let name = other.peers()[0].name.clone();
    other.change(&name, Change::Trust(Trust::Supervisor));
    let row = ask();
    let health = row.health.expect("a supervisor may ask");
    assert_eq!((row.status, health.is_accepting, health.is_damaged), (Status::Success, true, false));
    assert_eq!(health.links, (1, 1));
}

#[test]
fn today_is_not_answered_and_no_part_of_a_day_is() {
    let team = Team::of(5);
    team.nodes.iter().for_each(|node| had(node, yesterday(), &DAY));
    team.close(0);
    let at = |day: i32, hour: i64| Some(Timestamp::from_micros((i64::from(day) * 24 + hour) * 3_600_000_000));
    let query = |since, until| {
        Request::MeshQuery(MeshQuery {
            question: Question::Activity,
            group: None,
            since,
            until,
            compare: false,
        })
    };
    let refusal = team.nodes[0].refusal(&query(at(yesterday() + 1, 1), None));
    assert!(refusal.message.contains("tomorrow"), "{}", refusal.message);
    // Any hour of a day stands for the day.
    let Reply::Answer(whole) = team.nodes[0].ask(&query(at(yesterday(), 0), at(yesterday() + 1, 0))) else {
        panic!("no answer");
    };
    let Reply::Answer(part) = team.nodes[0].ask(&query(at(yesterday(), 9), at(yesterday() + 1, 3))) else {
        panic!("no answer");
    };
    assert_eq!(whole, part);
    let refusal = team.nodes[0].refusal(&query(at(yesterday(), 9), at(yesterday(), 10)));
    assert!(refusal.message.contains("whole"), "{}", refusal.message);
}
