//! Rules decide how risky a command is: the team's own beside Karo's, read anew when they change.

use std::fs;
use std::path::{Path, PathBuf};

use karo_protocol::event::Event;
use karo_protocol::explain::{Explain, Explanation};
use karo_protocol::local::{Reply, Request, RulesPage, Verdict};
use karo_protocol::query::Filter;
use karo_protocol::{Bytes, RawCommand, Risk};
use karo_tests::Karo;
use karo_tests::session::Session;
use karo_tests::typist::Typist;
use karo_tests::wait::until;
use rustix::process::Signal;

const ID: &str = "4d1f8a52-9c0e-4a27-9d0b-7c2f4a1e6b10";

/// A rule for a program that nobody else has a rule for.
fn rule(program: &str, level: &str) -> String {
    format!(
        "title: The team's own\nid: {ID}\nstatus: test\nlogsource:\n  category: process_creation\n  product: linux\n\
         detection:\n  selection:\n    Image|endswith: '/{program}'\n  condition: selection\nlevel: {level}\n"
    )
}

/// A daemon that reads rules in a directory of its own.
fn with_rules() -> (Karo, PathBuf) {
    let karo = Karo::new();
    let rules = karo.root().join("rules");
    fs::create_dir(&rules).expect("the place is ours");
    configure(&karo, &rules);
    (karo, rules)
}

fn configure(karo: &Karo, rules: &Path) {
    karo.configure(&format!("[rules]\ndirs = [\"{}\"]\n", rules.display()));
}

/// Records a command and returns what became of it.
fn recorded(session: &mut Session, shell: &mut Typist, text: &str) -> Event {
    assert_eq!(session.observe(shell.ran(text, 0)).expect("it answers"), Verdict::Committed);
    session.events(Filter::default()).pop().expect("it was kept")
}

fn loaded(session: &mut Session) -> RulesPage {
    let mut whole = RulesPage::default();
    let mut reply = session.ask(&Request::Rules(())).expect("it answers");
    loop {
        match reply {
            Reply::Rules(page) => {
                whole.rules.extend(page.rules);
                whole.refused.extend(page.refused);
            }
            Reply::End(_) => return whole,
            other => panic!("not part of a list of rules: {other:?}"),
        }
        reply = session.receive().expect("there is more").1;
    }
}

fn explained(session: &mut Session, lines: &[&str]) -> Vec<Explanation> {
    let explain =
        Explain { lines: lines.iter().map(|line| RawCommand::new(*line)).collect(), cwd: Bytes::default() };
    let mut explanations = Vec::new();
    let mut reply = session.ask(&Request::Explain(explain)).expect("it answers");
    loop {
        match reply {
            Reply::Explained(page) => explanations.extend(page),
            Reply::End(_) => return explanations,
            other => panic!("not part of an explanation: {other:?}"),
        }
        reply = session.receive().expect("there is more").1;
    }
}

#[test]
fn a_rule_of_the_team_holds_as_soon_as_its_file_is_there() {
    let (mut karo, rules) = with_rules();
    karo.launch();
    let mut session = karo.session();
    let mut shell = Typist::new(1);
    assert_eq!(recorded(&mut session, &mut shell, "frobnicate one").understanding.risk, None);
    for (level, risk) in [("high", Risk::High), ("low", Risk::Low)] {
        let before = session.status().rules.version;
        fs::write(rules.join("own.yml"), rule("frobnicate", level)).expect("the place is ours");
        until("the rule is read", || (session.status().rules.version != before).then_some(()));
        let event = recorded(&mut session, &mut shell, "frobnicate two");
        assert_eq!(
            (event.understanding.risk, &*event.understanding.rules),
            (Some(risk), &[ID.to_owned()][..])
        );
        assert_eq!(event.understanding.version, session.status().rules.version);
    }
    fs::remove_file(rules.join("own.yml")).expect("it is there");
    until("the rule is gone", || {
        let rules = loaded(&mut session).rules;
        (!rules.iter().any(|rule| rule.id == ID)).then_some(())
    });
    assert_eq!(recorded(&mut session, &mut shell, "frobnicate one").understanding.risk, None);
}

#[test]
fn a_reload_loses_nothing() {
    let (mut karo, rules) = with_rules();
    karo.launch();
    let mut shell = Typist::new(1);
    let mut session = karo.session();
    let mut sent = 0;
    for level in ["low", "medium", "high", "critical"] {
        let before = session.status().rules.version;
        fs::write(rules.join("own.yml"), rule("frobnicate", level)).expect("the place is ours");
        until("the rule is read", || {
            for _ in 0..20 {
                assert_eq!(
                    session.observe(shell.ran("frobnicate", 0)).expect("it answers"),
                    Verdict::Committed
                );
                sent += 1;
            }
            (session.status().rules.version != before).then_some(())
        });
    }
    assert_eq!(session.events(Filter::default()).len(), sent);
}

#[test]
fn what_cannot_be_used_is_named_and_the_rest_holds() {
    let (mut karo, rules) = with_rules();
    fs::write(rules.join("bad.yml"), "title: [\n").expect("the place is ours");
    fs::write(rules.join("good.yml"), rule("frobnicate", "high")).expect("the place is ours");
    karo.launch();
    let mut session = karo.session();
    let event = recorded(&mut session, &mut Typist::new(1), "sudo frobnicate");
    assert_eq!(event.understanding.risk, Some(Risk::High));
    let page = loaded(&mut session);
    assert!(page.rules.iter().any(|rule| rule.id == ID && rule.file.ends_with("good.yml")));
    assert!(
        page.refused.iter().any(|refused| refused.file.ends_with("bad.yml") && !refused.reason.is_empty())
    );
    let status = session.status().rules;
    assert_eq!((status.loaded, status.refused), (page.rules.len() as u64, 1));
    assert!(karo.log().contains("bad.yml"), "{}", karo.log());
}

#[test]
fn hup_brings_other_directories_and_one_that_comes_later_is_found() {
    let karo = Karo::running();
    let mut session = karo.session();
    let rules = karo.root().join("later");
    configure(&karo, &rules);
    karo.signal(Signal::HUP);
    until("the missing directory is named", || (session.status().rules.refused == 1).then_some(()));
    fs::create_dir(&rules).expect("the place is ours");
    fs::write(rules.join("own.yml"), rule("frobnicate", "high")).expect("the place is ours");
    karo.signal(Signal::HUP);
    until("its rules are read", || loaded(&mut session).rules.iter().any(|rule| rule.id == ID).then_some(()));
    assert_eq!(session.status().rules.refused, 0);
}

#[test]
fn a_line_is_explained_and_not_stored() {
    let karo = Karo::running();
    let mut session = karo.session();
    let lines = ["curl -u bob:hunter2 https://example.org | sh", "", "ls"];
    let explanations = explained(&mut session, &lines);
    assert_eq!(explanations.len(), lines.len());
    let first = &explanations[0];
    assert_eq!(&lines[0][first.spans[0].start as usize..first.spans[0].end as usize], "hunter2");
    assert!(!String::from_utf8_lossy(&first.redacted.0).contains("hunter2"));
    assert!(first.runs.iter().all(|run| run.argv.iter().all(|word| !word.0.ends_with(b"hunter2"))));
    assert_eq!(session.events(Filter::default()), []);
    assert!(!karo.log().contains("hunter2"));
}
