use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use karo_protocol::answer::{AtomRow, AtomState, GroupClose, GroupEdit, GroupMake};
use karo_protocol::atom::AtomReason;
use karo_protocol::group::{Card, GroupFile, Member, SealingKey, ToolName};
use karo_protocol::local::{End, Failure, FailureCode, Rule, RulesPage};
use karo_protocol::node::{Hash, Nonce, Signature};
use karo_protocol::peer::Signed;
use karo_protocol::{Axis, Bytes, Category, Fingerprint, NodeId, Risk};
use tempfile::TempDir;

use super::*;
use crate::ctl::samples::{Session, ago, assert_snapshot, run_in, run_line, scene_of};
use crate::fake::private_directory;

#[test]
fn groups_are_a_table_with_what_keeps_them_from_numbers() {
    let sessions = |rows| vec![vec![(Request::Groups(()), vec![Reply::Groups(rows)])]];
    let (text, exit) = run_line(&["group"], sessions(vec![row(), offered()]));
    assert_eq!(exit, Ok(Exit::Done));
    assert_snapshot("group-list.txt", &text);
    let (text, _) = run_line(&["--json", "group", "list"], sessions(vec![row(), offered()]));
    assert_snapshot("group-list.json", &text);
    assert_eq!(run_line(&["group"], sessions(vec![])), (String::new(), Ok(Exit::NothingFound)));
}

#[test]
fn a_card_is_one_line_to_copy() {
    let sessions = || vec![vec![(Request::GroupCard(()), vec![Reply::Card(Box::new(card(7)))])]];
    let (text, _) = run_line(&["group", "card"], sessions());
    assert_eq!(text, format!("{}\n", card(7)));
    let (text, _) = run_line(&["--json", "group", "card"], sessions());
    assert!(text.starts_with("{\"card\":\"karo:card:0707"), "{text}");
}

#[test]
fn a_file_is_made_changed_and_never_overwritten_by_mistake() {
    let place = Place::new();
    let edits = vec![
        GroupEdit::Name("platform".to_owned()),
        GroupEdit::Zone("Europe/Berlin".to_owned()),
        GroupEdit::SmallestCohort(8),
        GroupEdit::Rules(vec!["b-critical".to_owned()]),
    ];
    let made = (Request::GroupMake(GroupMake { base: None, edits }), vec![answered(shown(1))]);
    let line = ["group", "create", place.file(), "--name", "platform"];
    let (text, exit) = run_line(&line, vec![vec![rules(), made]]);
    assert_eq!(exit, Ok(Exit::Done));
    assert_snapshot("group-create.txt", &text.replace(place.file(), "platform.group"));
    assert_eq!(fs::metadata(place.file()).expect("it is there").mode() & 0o777, 0o600);
    let (_, exit) = run_line(&line, vec![]);
    let said = exit.expect_err("the file is there").message;
    assert!(said.ends_with("is there already; name another file, or add --force"), "{said}");

    let add = GroupEdit::Add {
        who: "desk".to_owned(),
        owner: Some("bob".to_owned()),
        name: None,
        contributes: Some(false),
        may_aggregate: false,
        addresses: vec!["10.0.0.3".to_owned()],
    };
    let line = [
        "group",
        "add",
        place.file(),
        "desk",
        "--owner",
        "bob",
        "--feeds",
        "--no-aggregate",
        "--address",
        "10.0.0.3",
    ];
    assert_eq!(run_line(&line, vec![vec![changed(1, add, 2)]]).1, Ok(Exit::Done));
    let remove = GroupEdit::Remove("desk".to_owned());
    let line = ["group", "remove", place.file(), "desk"];
    assert_eq!(run_line(&line, vec![vec![changed(2, remove, 3)]]).1, Ok(Exit::Done));
    assert_eq!(file::read(Path::new(place.file())), Ok(signed(3)));
}

#[test]
fn tools_and_rules_are_what_was_asked_for() {
    let place = Place::new();
    let edits = vec![
        GroupEdit::Name("small".to_owned()),
        GroupEdit::Zone("UTC".to_owned()),
        GroupEdit::SmallestCohort(5),
        GroupEdit::Tools(vec!["git".to_owned(), "make".to_owned()]),
        GroupEdit::Add {
            who: "self".to_owned(),
            owner: Some("ada".to_owned()),
            name: Some("laptop".to_owned()),
            contributes: None,
            may_aggregate: true,
            addresses: vec!["10.0.0.2".to_owned()],
        },
        GroupEdit::Rules(Vec::new()),
    ];
    let made = (Request::GroupMake(GroupMake { base: None, edits }), vec![answered(shown(1))]);
    let line = [
        "--json",
        "group",
        "create",
        place.file(),
        "--name",
        "small",
        "--zone",
        "UTC",
        "--smallest",
        "5",
        "--tools",
        "git,make",
        "--rules",
        "none",
        "--owner",
        "ada",
        "--machine",
        "laptop",
        "--address",
        "10.0.0.2",
    ];
    let (text, exit) = run_line(&line, vec![vec![made]]);
    assert_eq!(exit, Ok(Exit::Done));
    assert_snapshot("group-create.json", &text.replace(place.file(), "platform.group"));
}

#[test]
fn what_cannot_be_in_a_file_is_refused_before_it_is_made() {
    let place = Place::new();
    for line in [
        &["group", "create", place.file(), "--name", "two words"][..],
        &["group", "create", place.file(), "--name", "a", "--zone", "Berlin"],
        &["group", "add", place.file(), "desk", "--owner", ""],
        &["group", "close", "--day", "monday"],
    ] {
        let (_, exit) = run_line(line, vec![]);
        assert_eq!(exit.map_err(|trouble| trouble.exit), Err(Exit::Usage), "{line:?}");
    }
    let too_small = ["group", "create", place.file(), "--name", "a", "--smallest", "4"];
    assert!(crate::ctl::cli::parse_from(&too_small).is_err());
    fs::write(place.file(), "karo group 2\nabc\n").expect("there is room");
    let (_, exit) = run_line(&["group", "remove", place.file(), "desk"], vec![]);
    assert_eq!(exit.map_err(|trouble| trouble.exit), Err(Exit::Refused));
}

#[test]
fn a_file_is_shown_whole() {
    let place = Place::with(&signed(2));
    let looks = || vec![vec![(Request::GroupLook(signed(2)), vec![answered(shown(2))])]];
    let (text, exit) = run_line(&["group", "show", place.file()], looks());
    assert_eq!(exit, Ok(Exit::Done));
    assert_snapshot("group-show.txt", &text);
    let (text, _) = run_line(&["--json", "group", "show", place.file()], looks());
    assert_snapshot("group-show.json", &text);
    let only = vec![vec![
        (Request::Groups(()), vec![Reply::Groups(vec![row()])]),
        (Request::GroupShow("platform".to_owned()), vec![answered(shown(2))]),
    ]];
    assert_eq!(run_line(&["group", "show"], only).1, Ok(Exit::Done));
    let several = vec![vec![(Request::Groups(()), vec![Reply::Groups(vec![row(), offered()])])]];
    let (_, exit) = run_line(&["group", "show"], several);
    assert_eq!(exit, Err(Trouble::usage("there are several groups: platform, research")));
}

#[test]
fn a_file_is_accepted_after_it_was_seen() {
    let accepted = || GroupShown { is_accepted: true, differences: Vec::new(), ..shown(2) };
    let sessions =
        || vec![looks(shown(2)), vec![(Request::GroupAccept(signed(2)), vec![answered(accepted())])]];
    let (daemon, mut scene, written) = scene_of(sessions());
    scene.has_person = true;
    scene.person = |question| {
        assert_eq!(question, "accept this file?");
        Ok(true)
    };
    assert_eq!(run_in(&mut scene, &["group", "accept", "platform"]), Ok(Exit::Done));
    drop(daemon);
    assert_snapshot("group-accept.txt", &written.text());
    let id = shown(2).id.to_string();
    let (text, exit) = run_line(&["group", "accept", "platform", "--yes-if-id", &id], sessions());
    assert_eq!(exit, Ok(Exit::Done));
    assert!(text.starts_with("platform, version 2, is accepted here\n"), "{text}");
}

#[test]
fn nobody_accepts_blindly() {
    // Nobody is there, and no id is named: the daemon is not even asked.
    let (_, exit) = run_line(&["group", "accept", "platform"], vec![]);
    let said = exit.expect_err("nobody has seen it").message;
    assert!(said.contains("--yes-if-id"), "{said}");
    // Another id than the file's, or only its beginning.
    let id = shown(2).id.to_string();
    for wrong in [&"0".repeat(64), &id[..16], ""] {
        let line = ["group", "accept", "platform", "--yes-if-id", wrong];
        let (_, exit) = run_line(&line, vec![looks(shown(2))]);
        assert_eq!(exit.map_err(|trouble| trouble.exit), Err(Exit::Refused), "{wrong}");
    }
    // The person says no.
    let (daemon, mut scene, _) = scene_of(vec![looks(shown(2))]);
    scene.has_person = true;
    scene.person = |_| Ok(false);
    let exit = run_in(&mut scene, &["group", "accept", "platform"]);
    assert_eq!(exit, Err(Trouble::refused("nothing was accepted")));
    drop(daemon);
    // It cannot be accepted, whatever anybody says.
    let refused = GroupShown { refused_because: Some("it has three owners".to_owned()), ..shown(2) };
    let line = ["group", "accept", "platform", "--yes-if-id", &id];
    let (_, exit) = run_line(&line, vec![looks(refused)]);
    assert_eq!(exit, Err(Trouble::refused("platform cannot be accepted here: it has three owners")));
}

#[test]
fn differences_are_sentences() {
    let (text, exit) = run_line(&["group", "diff", "platform"], vec![looks(shown(2))]);
    assert_eq!(exit, Ok(Exit::Done));
    assert_snapshot("group-diff.txt", &text);
    let first = GroupShown {
        differences: [
            "It is a new group, platform, in its version 1.",
            "The tool cargo, as build, has a number of its own.",
            "The tool git, as vcs, has a number of its own.",
            "The rule a-high, as high, has a number of its own.",
            "The rule unknown, as high, has a number of its own.",
            "The tool make has no number of its own any more.",
        ]
        .map(str::to_owned)
        .to_vec(),
        ..shown(1)
    };
    let mut session = looks(first);
    session.push(rules());
    let (text, _) = run_line(&["group", "diff", "platform"], vec![session]);
    assert_snapshot("group-diff-first.txt", &text);
    let same = GroupShown { is_accepted: true, differences: Vec::new(), ..shown(2) };
    let (text, exit) = run_line(&["group", "diff", "platform"], vec![looks(same)]);
    assert_eq!(exit, Ok(Exit::NothingFound));
    assert!(text.ends_with("\nnothing is new in it\n"), "{text}");
    let failure = Failure { code: FailureCode::Refused, message: "there is no group x here".to_owned() };
    let sessions = vec![vec![(Request::GroupShow("x".to_owned()), vec![Reply::Failure(failure)])]];
    assert_eq!(
        run_line(&["group", "diff", "x"], sessions).1,
        Err(Trouble::refused("there is no group x here"))
    );
}

#[test]
fn leaving_is_asked_for() {
    let left = || vec![vec![(Request::GroupLeave("platform".to_owned()), vec![answered(shown(2))])]];
    let (text, exit) = run_line(&["group", "leave", "platform", "--yes"], left());
    assert_eq!(exit, Ok(Exit::Done));
    assert_eq!(text, "platform is left; the others see it when their next day has one person less\n");
    let (_, exit) = run_line(&["group", "leave", "platform"], vec![]);
    assert_eq!(exit, Err(Trouble::refused("nobody is there")));
}

#[test]
fn days_are_a_table() {
    let sessions = || vec![vec![(Request::GroupAtoms(None), vec![Reply::Atoms(days_of_groups())])]];
    let (text, exit) = run_line(&["group", "atoms"], sessions());
    assert_eq!(exit, Ok(Exit::Done));
    assert_snapshot("group-atoms.txt", &text);
    let (text, _) = run_line(&["--json", "group", "atoms"], sessions());
    assert_snapshot("group-atoms.json", &text);
}

#[test]
fn a_day_is_closed_or_says_why_not() {
    let closed = |state, reason| AtomRow { state, reason, day: 20_758, ..day(0) };
    let sessions = |row| {
        let asked = GroupClose { group: Some("platform".to_owned()), day: 20_758 };
        vec![vec![(Request::GroupClose(asked), vec![Reply::Atoms(vec![row])])]]
    };
    let line = ["group", "close", "platform", "--day", "yesterday"];
    assert_eq!(run_line(&line, sessions(closed(AtomState::Closed, None))).1, Ok(Exit::Done));
    let (text, exit) = run_line(&line, sessions(closed(AtomState::Ended, Some(AtomReason::TooFew))));
    assert_eq!(exit, Ok(Exit::Refused));
    assert!(text.contains("too few owners"), "{text}");
}

/// A directory with a place for a group file.
struct Place {
    _directory: TempDir,
    file: PathBuf,
}

impl Place {
    fn new() -> Self {
        let directory = private_directory();
        Self { file: directory.path().join("platform.group"), _directory: directory }
    }

    fn with(signed: &Signed) -> Self {
        let place = Self::new();
        file::write(&place.file, signed, false).expect("there is room");
        place
    }

    fn file(&self) -> &str {
        self.file.to_str().expect("it is UTF-8")
    }
}

fn answered(shown: GroupShown) -> Reply {
    Reply::Group(Box::new(shown))
}

fn looks(shown: GroupShown) -> Session {
    vec![(Request::GroupShow("platform".to_owned()), vec![answered(shown)])]
}

fn changed(from: u64, edit: GroupEdit, to: u64) -> (Request, Vec<Reply>) {
    let make = GroupMake { base: Some(signed(from)), edits: vec![edit] };
    (Request::GroupMake(make), vec![answered(shown(to))])
}

/// Rules of Karo's own, of which the gravest are taken, and one of a team's.
fn rules() -> (Request, Vec<Reply>) {
    let rule = |id: &str, level, file: &str| Rule {
        id: id.to_owned(),
        title: "a rule".to_owned(),
        level,
        axis: Axis::Threat,
        tags: Vec::new(),
        file: file.to_owned(),
    };
    let rules = vec![
        rule("a-high", Risk::High, "a/rule.yml"),
        rule("b-critical", Risk::Critical, "b/rule.yml"),
        rule("c-medium", Risk::Medium, "c/rule.yml"),
        rule("ours-critical", Risk::Critical, "/etc/karo/rules/ours.yml"),
    ];
    let page = RulesPage { rules, ..RulesPage::default() };
    let end = End { count: 4, partial_since: None, unreadable: 0 };
    (Request::Rules(()), vec![Reply::Rules(page), Reply::End(end)])
}

fn signed(version: u64) -> Signed {
    Signed { bytes: Bytes(vec![version as u8; 300]), signature: Signature([7; 64]) }
}

/// Only the core makes a name of a recorded one; this is one as it comes off the wire.
fn public(name: &str) -> ToolName {
    serde_json::from_value(name.into()).expect("it has the form of one")
}

fn card(node: u8) -> Card {
    Card {
        node: NodeId([node; 32]),
        sealing: SealingKey(Hash([node + 1; 32])),
        proof: Signature([node + 2; 64]),
    }
}

fn member(node: u8, name: &str, owner: &str, contributes: bool) -> Member {
    Member {
        card: card(node),
        name: name.to_owned(),
        owner: owner.to_owned(),
        contributes,
        may_aggregate: contributes,
        addresses: if contributes { vec!["10.0.0.2:9238".to_owned()] } else { Vec::new() },
    }
}

fn shown(version: u64) -> GroupShown {
    let tool = |name: &str, category| (public(name), category);
    GroupShown {
        id: Hash([0xab; 32]),
        signed: signed(version),
        maker: NodeId([1; 32]),
        maker_fingerprint: Fingerprint([1, 2, 3, 4, 5, 6, 7, 8]),
        file: GroupFile {
            name: "platform".to_owned(),
            lineage: Nonce([6; 16]),
            version,
            zone: "Europe/Berlin".to_owned(),
            smallest_cohort: 8,
            members: vec![
                member(1, "laptop", "ada", true),
                member(2, "build-box\u{1b}", "ada", false),
                member(3, "desk", "bob", true),
            ],
            tools: vec![tool("cargo", Category::Build), tool("git", Category::Vcs)],
            rules: vec![("a-high".to_owned(), Risk::High)],
        },
        differences: vec![
            "desk of bob is new, and may add up".to_owned(),
            "the smallest cohort is 8 and was 10: a day is closed with fewer people than before, which hides each of \
             them among fewer"
                .to_owned(),
        ],
        refused_because: None,
        is_accepted: false,
    }
}

fn row() -> GroupRow {
    GroupRow {
        name: "platform".to_owned(),
        id: Hash([0xab; 32]),
        version: 2,
        accepted_at: Some(ago(86_400)),
        offered_by: None,
        members: (14, 12),
        role: "contributes".to_owned(),
        aggregators: Some(("laptop".to_owned(), "desk".to_owned())),
        zone: "Europe/Berlin".to_owned(),
        smallest_cohort: 8,
        problems: vec!["this machine gives nothing: `karoctl policy set groups on` lets it".to_owned()],
    }
}

fn offered() -> GroupRow {
    GroupRow {
        name: "research".to_owned(),
        accepted_at: None,
        offered_by: Some("desk".to_owned()),
        role: "none".to_owned(),
        aggregators: None,
        problems: Vec::new(),
        ..row()
    }
}

fn day(back: i32) -> AtomRow {
    AtomRow {
        group: Some("platform".to_owned()),
        group_id: Hash([0xab; 32]),
        day: 20_759 - back,
        state: AtomState::Closed,
        reason: None,
        is_given: true,
        table: Some(Hash([5; 32])),
        fed: (0, 0),
        contributors: Some(12),
        aggregators: Some(("laptop".to_owned(), "desk".to_owned())),
        at: Some(ago(3600)),
    }
}

fn days_of_groups() -> Vec<AtomRow> {
    let ended = AtomRow {
        state: AtomState::Ended,
        reason: Some(AtomReason::Gone),
        contributors: None,
        fed: (1, 2),
        ..day(2)
    };
    let refused = AtomRow {
        group: None,
        group_id: Hash([0xcd; 32]),
        state: AtomState::Refused,
        reason: Some(AtomReason::GivenElsewhere),
        is_given: false,
        table: None,
        contributors: None,
        aggregators: None,
        at: None,
        ..day(2)
    };
    vec![AtomRow { state: AtomState::Open, contributors: None, at: None, ..day(0) }, day(1), ended, refused]
}
