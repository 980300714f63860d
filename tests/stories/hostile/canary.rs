//! What a member that is trusted with everything hears of what was typed here: nothing of it.

use std::fs;
use std::path::{Path, PathBuf};

use karo_protocol::answer::{AskTalk, AtomState, Question};
use karo_protocol::atom::AtomSays;
use karo_protocol::local::Request;
use karo_protocol::mesh::Change;
use karo_protocol::node::Hash;
use karo_protocol::peer::Control;
use karo_protocol::{Bytes, Observation, Timestamp, Trust};
use karo_tests::groups::{Team, about, yesterday};
use karo_tests::{Node, Typist};
use memchr::memmem;

use super::begin_to_close;
use crate::foe::{Circle, Line, Rank, drawn};

/// Words that are nowhere but in what was typed, where, as whom, and on what.
const CANARIES: [&str; 8] = [
    "canarycommand",
    "canaryprogram",
    "canarypath",
    "canaryhost",
    "canaryuser",
    "canarysecret",
    "canarytty",
    "canaryremote",
];

/// Records a day of work with a canary in every place there is.
fn work(node: &Node) {
    let mut typist = Typist::new(7);
    (typist.shell.user, typist.shell.host) = ("canaryuser".into(), "canaryhost".into());
    (typist.shell.tty, typist.shell.parent) = (Some("canarytty".into()), Some("canaryprogram".into()));
    typist.cwd = Bytes::from("/home/canaryuser/canarypath");
    let start = i64::from(yesterday()) * 86_400_000_000 + 9 * 3_600_000_000;
    let commands = [
        "git commit -m canarycommand",
        "./canaryprogram --canarycommand",
        "canaryprogram /srv/canarypath",
        "ssh canaryuser@canaryremote uptime",
        "curl -s https://canaryremote/canarypath | sh",
        "export API_TOKEN=canarysecret0123456789abcdef",
        "rm -rf /home/canaryuser/canarypath",
        "sudo canaryprogram",
    ];
    let minutes = commands.iter().zip(0..);
    node.karo.keep(minutes.map(|(command, minute)| Observation {
        started_at: Timestamp::from_micros(start + minute * 60_000_000),
        ..typist.ran(*command, 0)
    }));
    // They are there to be heard.
    assert!(node.karo.session().texts().iter().any(|text| text.contains("canarycommand")));
}

/// Returns the canaries in what a foe heard.
fn sung(line: &Line) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    for control in line.heard() {
        let frame = control.encode(karo_protocol::peer::PEER_VERSION).expect("it came in a frame");
        let here = CANARIES.iter().filter(|word| memmem::find(&frame, word.as_bytes()).is_some());
        found.extend(here.map(|word| (control.name().to_owned(), *word)));
    }
    found
}

fn trust_all(circle: &Circle) {
    for foe in &circle.foes {
        let name = circle.node.peer(foe.node()).expect("it is a member").name;
        circle.node.change(&name, Change::Trust(Trust::Peer));
    }
}

/// Asks all that can be asked.
fn ask_everything(circle: &Circle, line: &Line) {
    line.say(Control::Ask(AskTalk::Health { id: 1 }));
    line.say(Control::Ask(AskTalk::Atoms { id: 2, group: circle.group.id(), days: vec![yesterday()] }));
    line.of(circle.atom(yesterday()), AtomSays::FeedAsk);
    line.hears("how it is", |control| match control {
        Control::Ask(AskTalk::HealthIs { id: 1, health, .. }) => health.clone(),
        _ => None,
    });
    line.hears("which atoms there are", |control| {
        matches!(control, Control::Ask(AskTalk::AtomsHeld { id: 2, .. })).then_some(())
    });
    let name = circle.node.peers().into_iter().find(|row| row.node_id == circle.foes[2].node());
    circle.node.ping(&name.expect("it is a member").name).expect("the foe answers");
    line.settle();
}

#[test]
fn aggregators_hear_nothing_of_what_was_typed() {
    let circle = Circle::of(Rank::Gives);
    trust_all(&circle);
    work(&circle.node);
    let lines = [0, 1, 2].map(|place| circle.dial(place));
    let day = circle.atom(yesterday());
    lines[0].of(day, AtomSays::Invite { by_hand: true });
    lines[0].hears_of(day, "a report", |says| matches!(says, AtomSays::Report { .. }).then_some(()));
    about(&circle.node, Question::ToolUsage, yesterday());
    ask_everything(&circle, &lines[2]);
    lines[0].of(day, AtomSays::Closed(Box::new(circle.closed(yesterday(), (0, 1)))));
    lines[0].settle();
    circle.node.do_much(150);
    lines.iter().for_each(Line::settle);
    for line in &lines {
        assert!(!line.heard().is_empty());
        assert_eq!(sung(line), []);
    }
}

/// Returns the canaries in the files below a directory.
fn nested(below: &Path) -> Vec<(PathBuf, &'static str)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(nested(&path)),
            Ok(kind) if kind.is_file() => {
                let bytes = fs::read(&path).unwrap_or_default();
                let here = CANARIES.iter().filter(|word| memmem::find(&bytes, word.as_bytes()).is_some());
                found.extend(here.map(|word| (path.clone(), *word)));
            }
            Ok(_) | Err(_) => {}
        }
    }
    found
}

#[test]
fn nothing_of_what_was_typed_lies_in_the_files_of_others() {
    let team = Team::of(5);
    work(&team.nodes[0]);
    for row in team.nodes[0].peers() {
        team.nodes[0].change(&row.name, Change::Trust(Trust::Peer));
    }
    for other in &team.nodes[1..] {
        karo_tests::groups::had(other, yesterday(), &[("git status", 0)]);
    }
    assert_eq!(team.close(1).state, AtomState::Closed);
    for (place, node) in team.nodes.iter().enumerate() {
        team.wait_until_closed(place);
        for question in Question::ALL {
            about(node, *question, yesterday());
        }
        node.ask(&Request::MeshHealth(()));
    }
    assert!(!nested(team.nodes[0].karo.root()).is_empty(), "there was nothing to be found");
    for other in &team.nodes[1..] {
        assert_eq!(nested(other.karo.root()), []);
    }
}

#[test]
fn the_machine_of_our_own_gets_numbers_and_nothing_else() {
    let circle = Circle::with(Rank::Gives, |file, own| {
        let member = file.members.iter_mut().find(|member| member.card.node == own).expect("it is there");
        (member.owner, member.contributes) = ("owner-3".to_owned(), false);
    });
    trust_all(&circle);
    work(&circle.node);
    let line = circle.dial(2);
    let day = circle.atom(yesterday());
    line.of(day, AtomSays::FeedAsk);
    line.hears_of(day, "numbers", |says| matches!(says, AtomSays::Feed(Some(_))).then_some(()));
    ask_everything(&circle, &line);
    assert_eq!(sung(&line), []);
}

#[test]
fn rank_1_tells_rank_2_nothing_of_what_was_typed() {
    let circle = Circle::of(Rank::Leads);
    trust_all(&circle);
    work(&circle.node);
    let [helper, member] = [1, 2].map(|place| circle.dial(place));
    let day = circle.atom(yesterday());
    let waiting = begin_to_close(&circle.node);
    helper.hears_of(day, "that a day is opened", |says| matches!(says, AtomSays::Open { .. }).then_some(()));
    helper.of(day, AtomSays::Half(Hash(drawn())));
    helper.hears_of(day, "the other half", |says| matches!(says, AtomSays::Halves(_)).then_some(()));
    helper.of(day, AtomSays::Ready);
    // Its own report is among those that it has verified.
    helper.hears_of(day, "a report", |says| matches!(says, AtomSays::Verify { .. }).then_some(()));
    ask_everything(&circle, &member);
    for line in [&helper, &member] {
        line.settle();
        assert_eq!(sung(line), []);
    }
    assert_eq!(circle.rows()[&yesterday()].state, AtomState::Open);
    drop(waiting);
}
