use std::ffi::OsString;
use std::fs;

use karo_protocol::explain::{Explanation, Match};
use karo_protocol::local::{End, Reply, RulesCheck};
use karo_protocol::{Bytes, Category};

use super::*;
use crate::ctl::samples::scene;
use crate::fake::{FakeDaemon, FakeSession, private_directory};

fn rule(id: &str, level: Risk) -> Rule {
    Rule {
        id: id.to_owned(),
        title: format!("Title of {id}\u{7}"),
        level,
        axis: Axis::Hazard,
        tags: vec!["attack.impact".to_owned()],
        file: format!("/etc/rules/{id}.yml"),
    }
}

fn refused() -> RefusedRule {
    RefusedRule {
        file: "/etc/rules/x.yml".to_owned(),
        line: Some(12),
        id: Some("x".to_owned()),
        reason: "unknown modifier `near`".to_owned(),
    }
}

fn page(rules: &[&str], refused: Vec<RefusedRule>) -> RulesPage {
    let rules = rules.iter().map(|id| rule(id, Risk::High)).collect();
    RulesPage { rules, refused, remarks: Vec::new() }
}

fn end(session: &mut FakeSession, id: karo_protocol::RequestId) {
    session.reply(id, &Reply::End(End { count: 0, partial_since: None, unreadable: 0 }));
}

fn explanation(is_matched: bool) -> Explanation {
    let found = Match {
        id: "a".to_owned(),
        title: "A".to_owned(),
        level: Risk::High,
        axis: Axis::Hazard,
        tags: Vec::new(),
        fields: vec!["Image: /rm".to_owned()],
        run: Some(0),
    };
    Explanation {
        redacted: Bytes::default(),
        spans: Vec::new(),
        runs: Vec::new(),
        is_parsed: true,
        category: Category::File,
        categories: vec![Category::File],
        risk: None,
        axis: None,
        matches: if is_matched { vec![found] } else { Vec::new() },
        is_cut: false,
    }
}

/// Answers a check: rules of that page, and a match for every line with an `r` in it.
fn judge(session: &mut FakeSession, page: RulesPage) -> RulesCheck {
    let (id, request) = session.request();
    let Request::RulesCheck(check) = request else { panic!("files are sent") };
    session.reply(id, &Reply::Rules(page));
    let explained = check.lines.iter().map(|line| explanation(line.as_bytes().contains(&b'r')));
    session.reply(id, &Reply::Explained(explained.collect()));
    end(session, id);
    check
}

#[test]
fn rules_are_listed_page_by_page() {
    let daemon = FakeDaemon::serve(|session| {
        let (id, request) = session.request();
        assert_eq!(request, Request::Rules(()));
        session.reply(
            id,
            &Reply::Rules(RulesPage { rules: vec![rule("rm-root", Risk::Critical)], ..page(&[], vec![]) }),
        );
        session.reply(
            id,
            &Reply::Rules(RulesPage { rules: vec![rule("id", Risk::Low)], ..page(&[], vec![refused()]) }),
        );
        end(session, id);
    });
    let (mut scene, written) = scene(&daemon);
    assert_eq!(run(&mut scene, &RulesCommand::List), Ok(Exit::Done));
    let expected = "\
LEVEL     AXIS    ID       TITLE
critical  hazard  rm-root  Title of rm-root\\x07
low       hazard  id       Title of id\\x07
";
    assert_eq!(written.text(), expected);
}

#[test]
fn a_list_for_programs_names_the_file() {
    let daemon = FakeDaemon::serve(|session| {
        let (id, _) = session.request();
        session.reply(id, &Reply::Rules(page(&["a"], vec![])));
        end(session, id);
    });
    let (mut scene, written) = scene(&daemon);
    scene.is_json = true;
    assert_eq!(run(&mut scene, &RulesCommand::List), Ok(Exit::Done));
    let expected = concat!(
        r#"{"id":"a","title":"Title of a\u0007","level":"high","axis":"hazard","tags":["attack.impact"],"#,
        r#""file":"/etc/rules/a.yml"}"#,
        "\n"
    );
    assert_eq!(written.text(), expected);
}

#[test]
fn what_cannot_be_used_is_named_as_compilers_do() {
    let unnamed = RefusedRule { line: None, id: None, reason: "no rule in it".to_owned(), ..refused() };
    for (found, expected, exit) in [
        (page(&["a"], vec![]), "1 rule in use, 0 cannot be used\n", Exit::Done),
        (
            RulesPage {
                remarks: vec!["rule a asks for ParentUser".to_owned()],
                ..page(&["a", "b"], vec![refused(), unnamed])
            },
            "/etc/rules/x.yml:12: rule x: unknown modifier `near`\n/etc/rules/x.yml: no rule in it\n\
             rule a asks for ParentUser\n2 rules in use, 2 cannot be used\n",
            Exit::Refused,
        ),
    ] {
        let daemon = FakeDaemon::serve(move |session| {
            let (id, _) = session.request();
            session.reply(id, &Reply::Rules(found));
            end(session, id);
        });
        let (mut scene, written) = scene(&daemon);
        assert_eq!(run(&mut scene, &RulesCommand::Check { files: Vec::new() }), Ok(exit));
        assert_eq!(written.text(), expected);
    }
}

#[test]
fn files_are_sent_and_an_id_that_comes_twice_is_refused() {
    let directory = private_directory();
    for name in ["a.yml", "b.yml"] {
        fs::write(directory.path().join(name), "x".repeat(200 * 1024)).expect("there is room");
    }
    fs::write(directory.path().join("c.yml"), "title: c").expect("there is room");
    let daemon = FakeDaemon::serve(|session| {
        assert_eq!(judge(session, page(&["a", "b"], vec![])).files.len(), 2);
        let check = judge(session, page(&["a"], vec![]));
        assert_eq!(check.files[0].text, Bytes::from("title: c"));
    });
    let (mut scene, written) = scene(&daemon);
    let files = vec![directory.path().to_owned()];
    assert_eq!(run(&mut scene, &RulesCommand::Check { files }), Ok(Exit::Refused));
    assert_eq!(
        written.text(),
        "/etc/rules/a.yml: rule a: /etc/rules/a.yml has a rule of the same id\n2 rules can be used, 1 cannot be used\n"
    );
}

/// Makes a rule with lines beside it.
fn rule_directory(matching: &str, missing: &str) -> tempfile::TempDir {
    let directory = private_directory();
    for (name, text) in [("rule.yml", "title: a"), ("match.txt", matching), ("miss.txt", missing)] {
        fs::write(directory.path().join(name), text).expect("there is room");
    }
    directory
}

fn test(directory: &tempfile::TempDir, lines: &[&str]) -> RulesCommand {
    RulesCommand::Test {
        file: directory.path().to_owned(),
        lines: lines.iter().map(OsString::from).collect(),
    }
}

#[test]
fn lines_beside_a_rule_are_as_they_should_be_or_named() {
    let cases = [
        ("rm x\nrm y\n", "ls\n", "3 lines are as they should be, 0 are not\n", Exit::Done),
        (
            "rm x\n\nls\n",
            "pwd\nfor\n",
            "match.txt:3: is not matched: ls\nmiss.txt:2: is matched: for\n       Image: /rm\n\
             2 lines are as they should be, 2 are not\n",
            Exit::Refused,
        ),
    ];
    for (matching, missing, expected, exit) in cases {
        let directory = rule_directory(matching, missing);
        let daemon = FakeDaemon::serve(|session| drop(judge(session, page(&["a"], vec![]))));
        let (mut scene, written) = scene(&daemon);
        assert_eq!(run(&mut scene, &test(&directory, &[])), Ok(exit));
        assert_eq!(written.text(), expected);
    }
}

#[test]
fn given_lines_are_shown_with_what_matched() {
    let directory = rule_directory("", "");
    let cases = [
        (
            &["rm x", "ls"][..],
            "match  rm x\n       Image: /rm\nmiss   ls\n1 lines matched, 1 not\n",
            Exit::Done,
        ),
        (&["ls"], "miss   ls\n0 lines matched, 1 not\n", Exit::NothingFound),
    ];
    for (lines, expected, exit) in cases {
        let daemon = FakeDaemon::serve(|session| drop(judge(session, page(&["a"], vec![]))));
        let (mut scene, written) = scene(&daemon);
        assert_eq!(run(&mut scene, &test(&directory, lines)), Ok(exit));
        assert_eq!(written.text(), expected);
    }
}

#[test]
fn a_rule_that_cannot_be_used_is_not_tested() {
    let directory = rule_directory("rm", "");
    let daemon = FakeDaemon::serve(|session| drop(judge(session, page(&[], vec![refused()]))));
    let (mut scene, written) = scene(&daemon);
    assert_eq!(run(&mut scene, &test(&directory, &[])), Ok(Exit::Refused));
    assert_eq!(written.text(), "/etc/rules/x.yml:12: rule x: unknown modifier `near`\n");
}

#[test]
fn a_rule_without_lines_says_where_to_put_them() {
    let directory = private_directory();
    fs::write(directory.path().join("rule.yml"), "title: a").expect("there is room");
    let daemon = FakeDaemon::serve_all(Vec::new());
    let (mut scene, _) = scene(&daemon);
    let trouble = run(&mut scene, &test(&directory, &[])).expect_err("there is nothing to test");
    assert_eq!(trouble.exit, Exit::Usage);
    assert!(trouble.message.starts_with("no match.txt and no miss.txt lie beside "), "{}", trouble.message);
}
