//! A team of which some are frozen, some dead, some refuse and one asks without end.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use karo_protocol::NodeId;
use karo_protocol::answer::{AtomRow, AtomState, MeshAnswer, MeshQuery, Question, Status};
use karo_protocol::local::{Reply, Request};
use karo_protocol::mesh::LinkState;
use karo_tests::groups::{Team, about, day, had, yesterday};
use karo_tests::wait::within;
use karo_tests::{Node, Typist, number_from, until};

use super::begin_to_close;

/// Machines, unless `KARO_GROUP_NODES` says another number: a fifth of them is frozen, a tenth dead, a tenth refuses.
const NODES: u64 = 12;

/// What a question may take, however many do not answer: two seconds of asking, and what a loaded machine adds.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

/// What closing may take: a minute for those who do not answer, and what the flood and a loaded machine add.
const CLOSED_WITHIN: Duration = Duration::from_secs(240);

/// What everybody did yesterday.
const DAY: [(&str, i32); 4] = [("git status", 0), ("git push", 0), ("make -j4", 2), ("ssh build uptime", 0)];

/// Has a machine give nothing from here on.
fn refuse(node: &mut Node) {
    node.karo.kill();
    node.configure("[sharing]\ngroups = false\n");
    node.karo.launch();
}

/// Asks about a day that nobody has, so that everybody is asked each time, and demands that it does not take long.
fn ask_all(node: &Node) -> MeshAnswer {
    let begun = Instant::now();
    let answer = about(node, Question::Activity, yesterday() - 3);
    assert!(begun.elapsed() < ANSWERED_WITHIN, "a question took {:?}", begun.elapsed());
    answer
}

/// Who is what.
struct Roles {
    /// Rank 1.
    leads: usize,
    asks: usize,
    frozen: Vec<usize>,
    dead: Vec<usize>,
    refusing: Vec<usize>,
    floods: usize,
}

impl Roles {
    /// Those who add up are well: with one of them away there is no day, which is another story.
    fn of(team: &Team) -> Self {
        let all = team.nodes.len();
        let (leader, helper) = team.ranks(yesterday());
        let mut others = (0..all).filter(|place| ![leader, helper].contains(place));
        let mut some = |count: usize| others.by_ref().take(count.max(1)).collect::<Vec<_>>();
        let (frozen, dead, refusing) = (some(all / 5), some(all / 10), some(all / 10));
        let rest = some(2);
        Self { leads: leader, asks: rest[0], floods: rest[1], frozen, dead, refusing }
    }
}

#[test]
fn faults_of_groups() {
    let nodes = usize::try_from(number_from("KARO_GROUP_NODES", NODES)).expect("it is a number of daemons");
    let mut team = Team::of(nodes);
    team.nodes.iter().for_each(|node| had(node, yesterday(), &DAY));
    let roles = Roles::of(&team);
    let dead: Vec<NodeId> = roles.dead.iter().map(|place| team.nodes[*place].node_id()).collect();
    roles.refusing.iter().for_each(|place| refuse(&mut team.nodes[*place]));
    team.wait_until_linked();
    roles.dead.iter().for_each(|place| team.nodes[*place].karo.kill());
    for node in dead {
        until("the loss is seen", || {
            team.nodes[roles.asks].peer(node).filter(|row| row.state != LinkState::Connected)
        });
    }
    roles.frozen.iter().for_each(|place| team.nodes[*place].karo.freeze());
    let (is_over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (team, roles) = (&team, &roles);
    let typed = std::thread::scope(|scope| {
        scope.spawn(|| flood(&team.nodes[roles.floods], &is_over, &asked));
        let typing = scope.spawn(|| work(team, roles, &is_over));
        // Those that are frozen do not answer, and the window by hand waits a minute for them.
        let begun = Instant::now();
        // Whatever happens, the threads come to an end.
        let end = End(&is_over);
        let row = close(&team.nodes[roles.asks]);
        let given = nodes - roles.frozen.len() - roles.dead.len() - roles.refusing.len();
        assert_eq!(
            (row.state, row.contributors.map(usize::from)),
            (AtomState::Closed, Some(given)),
            "{row:?}"
        );
        eprintln!("{nodes} daemons: closed within {:.1} s", begun.elapsed().as_secs_f64());
        let answer = ask_all(&team.nodes[roles.asks]);
        let silent = answer.statuses.iter().find(|(status, _)| *status == Status::NoResponse);
        let away = roles.frozen.len() + roles.dead.len();
        assert_eq!(silent.map(|(_, count)| *count as usize), Some(away), "{answer:?}");
        drop(end);
        typing.join().expect("everything was recorded")
    });
    assert!(asked.load(Ordering::Relaxed) > 0, "nobody was asked in a loop");
    roles.frozen.iter().for_each(|place| team.nodes[*place].karo.thaw());
    for place in [roles.asks, roles.leads] {
        let texts = team.nodes[place].karo.session().texts();
        let found = texts.iter().filter(|text| text.starts_with("echo at work")).count();
        assert_eq!(found, typed, "node-{place} has lost something");
    }
    // They had nothing to do with it, and get to know.
    for place in &roles.frozen {
        team.nodes[*place].wait_for(team.nodes[roles.asks].node_id(), LinkState::Connected);
        let answer = about(&team.nodes[*place], Question::Activity, yesterday());
        assert_eq!(answer.covered, [yesterday()]);
    }
}

/// Ends the threads of a story, be it by a panic.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Closes yesterday, for longer than a session waits for one answer.
fn close(node: &Node) -> AtomRow {
    let waiting = begin_to_close(node);
    let row = within(CLOSED_WITHIN, || {
        day(node, yesterday()).filter(|row| matches!(row.state, AtomState::Closed | AtomState::Ended))
    });
    drop(waiting);
    row.unwrap_or_else(|| panic!("the day was not closed:\n{}", node.karo.log()))
}

/// Asks without end over sessions of its own.
fn flood(node: &Node, is_over: &AtomicBool, asked: &AtomicUsize) {
    let query =
        MeshQuery { question: Question::ToolUsage, group: None, since: None, until: None, compare: true };
    while !is_over.load(Ordering::Acquire) {
        let mut sessions: Vec<_> = (0..8).map(|_| node.karo.session()).collect();
        for session in &mut sessions {
            (0..8).for_each(|_| drop(session.send(&Request::MeshQuery(query.clone()))));
        }
        for session in &mut sessions {
            for _ in 0..8 {
                match session.receive() {
                    Ok((_, Reply::Answer(_) | Reply::Failure(_))) => {
                        asked.fetch_add(1, Ordering::Relaxed);
                    }
                    other => panic!("neither answered nor refused but {other:?}"),
                }
            }
        }
    }
}

/// Types at two machines until it is over, and asks now and then; returns how many commands there were at each.
fn work(team: &Team, roles: &Roles, is_over: &AtomicBool) -> usize {
    let places = [roles.asks, roles.leads];
    let mut typists = places.map(|place| Typist::new(900 + place as u64));
    let mut typed = 0;
    while !is_over.load(Ordering::Acquire) {
        for (place, typist) in places.iter().zip(&mut typists) {
            team.nodes[*place].karo.keep([typist.ran(format!("echo at work {typed}"), 0)]);
        }
        typed += 1;
        if typed % 50 == 1 {
            ask_all(&team.nodes[roles.asks]);
        }
    }
    typed
}
