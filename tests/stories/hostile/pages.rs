//! Questions over more days than one answer of a member can hold, and members who stop answering in the middle.

use karo_protocol::Timestamp;
use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use karo_protocol::answer::{AskTalk, MeshAnswer, MeshQuery, Question, Status};
use karo_protocol::atom::{ATOMS_PAGE_MAX, ClosedAtom};
use karo_protocol::local::{Reply, Request};
use karo_protocol::node::Hash;
use karo_protocol::peer::Control;
use karo_tests::groups::yesterday;
use karo_tests::wait::within;
use karo_tests::{Session, until};

use crate::foe::{Circle, Line, Rank};

/// Days that are asked for: four pages.
const DAYS: i32 = 200;

fn ask(circle: &Circle) -> Session {
    let mut session = circle.node.karo.session();
    let at = |day: i32| Some(Timestamp::from_micros(i64::from(day) * 86_400_000_000));
    let (since, until) = (at(yesterday() + 1 - DAYS), at(yesterday() + 1));
    let query = MeshQuery { question: Question::Activity, group: None, since, until, compare: false };
    session.send(&Request::MeshQuery(query)).expect("the daemon reads");
    session
}

fn answer(session: &mut Session) -> MeshAnswer {
    match session.receive() {
        Ok((_, Reply::Answer(answer))) => *answer,
        other => panic!("no answer but {other:?}"),
    }
}

/// Returns a page of days that was asked for, counted from the first, if it was.
fn try_asked(line: &Line, page: usize) -> Option<(u64, Hash, Vec<i32>)> {
    let asks = line.heard().into_iter().filter_map(|control| match control {
        Control::Ask(AskTalk::Atoms { id, group, days }) => Some((id, group, days)),
        _ => None,
    });
    asks.into_iter().nth(page)
}

/// Waits for that page.
fn asked(line: &Line, page: usize) -> (u64, Hash, Vec<i32>) {
    until("the foe is asked", || try_asked(line, page))
}

fn closed(circle: &Circle, day: i32) -> ClosedAtom {
    let is_first = circle.group.aggregators(day).expect("there are two").0 == circle.foes[0].node();
    circle.closed(day, if is_first { (0, 1) } else { (1, 0) })
}

fn held(circle: &Circle, line: &Line, id: u64, days: &[i32]) {
    let atoms = days.iter().map(|day| closed(circle, *day)).collect();
    line.say(Control::Ask(AskTalk::AtomsHeld { id, status: Status::Success, atoms }));
}

#[test]
fn two_hundred_days_are_looked_for_page_by_page() {
    let circle = Circle::of(Rank::Gives);
    let line = circle.dial(3);
    let (mut questions, mut pages) = (0, Vec::new());
    // Ten of the days nobody has. On a machine that is very busy one question may not come to the end of it.
    let is_had = |day: &i32| (day - yesterday()) % 20 != 0;
    let told = loop {
        questions += 1;
        let mut session = ask(&circle);
        let told = thread::scope(|scope| {
            let told = scope.spawn(|| answer(&mut session));
            while !told.is_finished() {
                let page = within(Duration::from_millis(20), || try_asked(&line, pages.len()));
                if let Some((id, group, days)) = page {
                    assert_eq!(group, circle.group.id());
                    held(&circle, &line, id, &days.iter().copied().filter(is_had).collect::<Vec<i32>>());
                    pages.push(days);
                }
            }
            told.join().expect("there is an answer")
        });
        assert!(questions < 20, "{:?}", told.not_in_it);
        if told.covered.len() == 190 && !told.not_in_it[0].contains("not here") {
            break told;
        }
    };
    assert!(told.not_in_it[0].starts_with("10 of 200 days were not closed"), "{:?}", told.not_in_it);
    assert!(pages.iter().all(|days| (1..=ATOMS_PAGE_MAX).contains(&days.len())), "{pages:?}");
    let asked: BTreeSet<i32> = pages.iter().flatten().copied().collect();
    assert!(asked.into_iter().eq(yesterday() + 1 - DAYS..=yesterday()));
    assert!(
        pages.len() > questions,
        "one question asks for more than one page: {} of {questions}",
        pages.len()
    );
    // The others of the group have no link, and are not waited for.
    let silent = told.statuses.iter().find(|(status, _)| *status == Status::NoResponse);
    assert_eq!(silent.map(|(_, count)| *count), Some(4), "{:?}", told.statuses);
}

#[test]
fn what_nobody_looked_for_is_said_and_can_be_asked_for_again() {
    let circle = Circle::of(Rank::Gives);
    let line = circle.dial(3);
    let mut pages = 0;
    let mut covered = 0;
    for left in [200, 136] {
        // Whoever answers one page and then nothing more: what there is comes in time, and what is not known is said.
        let told = loop {
            let mut session = ask(&circle);
            let (id, _, days) = asked(&line, pages);
            assert_eq!(
                days.last(),
                Some(&(yesterday() - covered)),
                "the newest come first, and what is here not again"
            );
            held(&circle, &line, id, &days);
            let told = answer(&mut session);
            while try_asked(&line, pages).is_some() {
                pages += 1;
            }
            if !told.covered.is_empty() && told.covered.len() != covered as usize {
                break told;
            }
        };
        covered += 64;
        assert_eq!(told.covered.len(), covered as usize);
        let unknown = format!("{} of 200 days are not here", left - 64);
        assert!(told.not_in_it[0].starts_with(&unknown), "{:?}", told.not_in_it);
    }
}
