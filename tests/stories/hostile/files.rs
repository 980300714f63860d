//! Group files and cards that were made up.

use karo_protocol::answer::{GroupEdit, GroupMake, GroupRow};
use karo_protocol::group::{Card, GROUPS_MAX, GroupFile, GroupTalk};
use karo_protocol::local::{Reply, Request};
use karo_protocol::node::Nonce;
use karo_protocol::peer::{Control, Signed};
use karo_protocol::{Bytes, Trust};
use karo_tests::groups::{accept, card, make, member};
use karo_tests::{Node, until};
use karo_trust::object;

use crate::foe::{Circle, Foe, Rank, drawn, group_file, machine};

fn groups(node: &Node) -> Vec<GroupRow> {
    match node.ask(&Request::Groups(())) {
        Reply::Groups(rows) => rows,
        other => panic!("no groups but {other:?}"),
    }
}

/// A daemon, and foes enough for a group with it.
struct Stage {
    node: Node,
    foes: Vec<Foe>,
}

impl Stage {
    fn new() -> Self {
        let stage = Self { node: member(), foes: (0..5).map(|_| Foe::new()).collect() };
        for foe in &stage.foes[..2] {
            stage.node.trust(foe.node(), &[], Trust::Member);
        }
        stage
    }

    /// A file that there is nothing wrong with.
    fn file(&self) -> GroupFile {
        let mut members = vec![machine(card(&self.node), 0, true)];
        let others = self.foes.iter().enumerate();
        members.extend(others.map(|(place, foe)| machine(foe.card(), place + 1, true)));
        group_file(members)
    }

    fn changed(&self, change: impl FnOnce(&mut GroupFile)) -> Signed {
        let mut file = self.file();
        change(&mut file);
        self.foes[0].sign(file)
    }

    /// Returns the card that a file has of a node, to change.
    fn card_in(file: &mut GroupFile, node: karo_protocol::NodeId) -> &mut Card {
        let member = file.members.iter_mut().find(|member| member.card.node == node);
        &mut member.expect("it is a member").card
    }
}

#[test]
fn forged_files_are_neither_offered_nor_accepted() {
    let stage = Stage::new();
    let own = stage.node.node_id();
    let (victim, foe) = (stage.foes[3].node(), stage.foes[0].card());
    let other = Foe::new();
    let mut flipped = stage.changed(|_| {});
    let last = flipped.bytes.len() - 1;
    flipped.bytes.0[last] ^= 1;
    let mut cut = stage.changed(|_| {});
    cut.bytes = Bytes(cut.bytes.0[..last].to_vec());
    let mut unsigned = stage.changed(|_| {});
    unsigned.signature.0[5] ^= 1;
    let wrong = [
        ("not signed by", flipped),
        ("not signed by", cut),
        ("not signed by", unsigned),
        // Whoever makes a file and could put a key of their own into it would read what is sealed to its owner.
        ("card of node-4", stage.changed(|file| Stage::card_in(file, victim).sealing = other.card().sealing)),
        ("card of node-4", stage.changed(|file| Stage::card_in(file, victim).proof = foe.proof)),
        (
            "sealing key for this machine",
            stage.changed(|file| {
                Stage::card_in(file, own).sealing = other.card().sealing;
            }),
        ),
        ("not a member", stage.changed(|file| file.members.retain(|member| member.card.node != own))),
        ("time zone", stage.changed(|file| file.zone = "Europe/Nowhere".to_owned())),
        ("", stage.changed(|file| file.smallest_cohort = 4)),
        ("", stage.changed(|file| file.members.reverse())),
        ("", stage.changed(|file| file.members[1].owner = file.members[0].owner.clone())),
        ("", stage.changed(|file| file.version = 0)),
    ];
    let line = stage.foes[0].dial(&stage.node);
    for (_, file) in &wrong {
        line.say(Control::Group(GroupTalk::Offer(file.clone())));
    }
    for (says, file) in &wrong {
        let refusal = stage.node.refusal(&Request::GroupAccept(file.clone()));
        assert!(refusal.message.contains(says), "{says}: {}", refusal.message);
    }
    line.settle();
    assert_eq!(groups(&stage.node), []);
    // So many were looked at; the one that is sound is offered, and nothing more.
    line.say(Control::Group(GroupTalk::Offer(stage.changed(|_| {}))));
    let rows = until("a file is offered", || Some(groups(&stage.node)).filter(|rows| !rows.is_empty()));
    assert_eq!((rows.len(), rows[0].accepted_at, rows[0].offered_by.is_some()), (1, None, true));
    assert_eq!(stage.node.peers().len(), 2, "an offer makes nobody a peer");
}

#[test]
fn offers_are_few_and_nobody_has_them_all() {
    let stage = Stage::new();
    let [greedy, modest] = [0, 1].map(|foe| stage.foes[foe].dial(&stage.node));
    let before = stage.node.karo.resident_bytes();
    let offer = |foe: &Foe, file: GroupFile| Control::Group(GroupTalk::Offer(foe.sign(file)));
    for _ in 0..200 {
        greedy.say(offer(&stage.foes[0], stage.file()));
    }
    greedy.settle();
    assert_eq!(groups(&stage.node).len(), GROUPS_MAX);
    let file = GroupFile { name: "honest".to_owned(), ..stage.file() };
    modest.say(offer(&stage.foes[1], file));
    modest.settle();
    let rows = groups(&stage.node);
    assert_eq!((rows.len(), rows.iter().filter(|row| row.name == "honest").count()), (GROUPS_MAX, 1));
    assert!(stage.node.karo.resident_bytes() < before + 64 * 1024 * 1024);
}

#[test]
fn another_maker_does_not_hide_the_next_version() {
    let circle = Circle::of(Rank::Gives);
    let [maker, foe] = [4, 2].map(|place| circle.dial(place));
    let file = object::read::<GroupFile>(&circle.file, None).expect("it is a group file").body;
    let of = |version: u64| GroupFile { version, ..file.clone() };
    let version =
        || groups(&circle.node).into_iter().find(|row| row.offered_by.is_some()).map(|row| row.version);
    // Somebody else's comes first, and again afterwards.
    foe.say(Control::Group(GroupTalk::Offer(circle.foes[2].sign(of(u64::MAX)))));
    foe.settle();
    assert_eq!(version(), Some(u64::MAX));
    maker.say(Control::Group(GroupTalk::Offer(circle.foes[4].sign(of(2)))));
    maker.settle();
    assert_eq!(version(), Some(2));
    foe.say(Control::Group(GroupTalk::Offer(circle.foes[2].sign(of(u64::MAX)))));
    foe.settle();
    assert_eq!(version(), Some(2));
    // No version comes after the last one.
    let base = Some(circle.foes[2].sign(of(u64::MAX)));
    let refusal = circle.node.refusal(&Request::GroupMake(GroupMake { base, edits: Vec::new() }));
    assert!(refusal.message.contains("last version"), "{}", refusal.message);
    // Whoever accepted the newer one does not go back.
    accept(&circle.node, &circle.foes[4].sign(of(2)));
    let refusal = circle.node.refusal(&Request::GroupAccept(circle.file.clone()));
    assert!(refusal.message.contains("version 2"), "{}", refusal.message);
}

#[test]
fn a_card_is_told_by_its_own_node() {
    let stage = Stage::new();
    let line = stage.foes[0].dial(&stage.node);
    let (own, other) = (stage.foes[0].card(), stage.foes[1].card());
    let name = |foe: usize| stage.node.peer(stage.foes[foe].node()).expect("it is a peer").name;
    let add = |foe: usize| GroupMake {
        base: None,
        edits: vec![GroupEdit::Add {
            who: name(foe),
            owner: Some("somebody".to_owned()),
            name: None,
            contributes: None,
            may_aggregate: true,
            addresses: Vec::new(),
        }],
    };
    // Its own node and a key that it did not sign, and another's card, genuine or not.
    line.say(Control::Group(GroupTalk::Card(Card { sealing: other.sealing, ..own })));
    line.say(Control::Group(GroupTalk::Card(other)));
    line.say(Control::Group(GroupTalk::Card(Card { sealing: own.sealing, ..other })));
    line.settle();
    for foe in [0, 1] {
        let refusal = stage.node.refusal(&Request::GroupMake(add(foe)));
        assert!(refusal.message.contains("card"), "{}", refusal.message);
    }
    line.say(Control::Group(GroupTalk::Card(own)));
    line.settle();
    let made = make(&stage.node, add(0));
    assert!(made.file.members.iter().any(|member| member.card == own), "{:?}", made.file);
    // Nor can a card that was copied wrongly be put in by hand.
    let forged = Card { sealing: other.sealing, ..own }.to_string();
    let edits = vec![GroupEdit::Add {
        who: forged,
        owner: Some("somebody".to_owned()),
        name: None,
        contributes: None,
        may_aggregate: true,
        addresses: Vec::new(),
    }];
    let refusal = stage.node.refusal(&Request::GroupMake(GroupMake { base: None, edits }));
    assert!(refusal.message.contains("card"), "{}", refusal.message);
    assert_ne!(Nonce(drawn()), Nonce(drawn()));
}
