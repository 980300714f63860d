use karo_protocol::mesh::PeerShown;
use karo_protocol::policy::{Policy, PolicyReason, PolicySet};

use super::*;
use crate::ctl::samples::{Session, assert_snapshot, peer, run_in, run_line, scene_of};

#[test]
fn what_goes_to_whom_is_shown() {
    let answered = |shown| vec![vec![(Request::Policy(()), vec![Reply::Policy(Box::new(shown))])]];
    let (text, exit) = run_line(&["policy"], answered(off()));
    assert_eq!(exit, Ok(Exit::Done));
    assert_snapshot("policy-off.txt", &text);
    let (text, _) = run_line(&["policy", "show"], answered(on()));
    assert_snapshot("policy-on.txt", &text);
    let (text, _) = run_line(&["--json", "policy"], answered(on()));
    assert_snapshot("policy.json", &text);
}

#[test]
fn what_a_switch_shows_of_a_person_is_said_before_the_yes() {
    let sessions = || vec![asks_policy(), changes(switch_on())];
    let line = ["policy", "set", "summaries", "on"];
    let (daemon, mut scene, written) = scene_of(sessions());
    scene.person = |question| {
        assert_eq!(question, "switch summaries on?");
        Ok(true)
    };
    assert_eq!(run_in(&mut scene, &line), Ok(Exit::Done));
    drop(daemon);
    assert_snapshot("policy-set.txt", &written.text());
    // With --yes nobody is asked, and the sentence is said all the same.
    let (text, _) = run_line(&["policy", "set", "summaries", "on", "--yes"], sessions());
    assert_eq!(text, written.text());
}

#[test]
fn without_a_yes_nothing_is_switched_on() {
    let lines = [
        (["policy", "set", "summaries", "on"], "A summary is about you"),
        (["policy", "set", "groups", "default"], "A group learns sums"),
    ];
    for (line, meaning) in lines {
        let (daemon, mut scene, written) = scene_of(vec![asks_policy()]);
        scene.person = |_| Ok(false);
        assert_eq!(run_in(&mut scene, &line), Err(Trouble::refused("nothing was changed")));
        drop(daemon);
        assert!(written.text().starts_with(meaning), "{}", written.text());
        let (_, exit) = run_line(&line, vec![asks_policy()]);
        assert_eq!(exit, Err(Trouble::refused("nobody is there")));
    }
}

#[test]
fn what_takes_away_is_done_at_once() {
    let set = |names: &[Category]| names.iter().copied().collect::<CategorySet>();
    let off = |what| PolicyChange::Switch { what, to: Some(false) };
    let cases: [(&str, &str, PolicyChange); 8] = [
        ("summaries", "off", off(Sharing::Summaries)),
        ("groups", "off", off(Sharing::Groups)),
        ("health", "on", PolicyChange::Switch { what: Sharing::Health, to: Some(true) }),
        ("allow", "build, vcs", PolicyChange::Allow(Some(set(&[Category::Vcs, Category::Build])))),
        ("allow", "all", PolicyChange::Allow(Some(set(&[])))),
        ("allow", "default", PolicyChange::Allow(None)),
        ("deny", "security", PolicyChange::Deny(set(&[Category::Security]))),
        ("deny", "none", PolicyChange::Deny(set(&[]))),
    ];
    for (key, value, change) in cases {
        let (_, exit) = run_line(&["policy", "set", key, value], vec![changes(change)]);
        assert_eq!(exit, Ok(Exit::Done), "{key} {value}");
    }
}

#[test]
fn a_rule_for_a_peer_leaves_its_others_as_they_were() {
    let node = peer().node_id;
    let shown = PeerShown {
        row: peer(),
        addresses: Vec::new(),
        history: Vec::new(),
        next_try_at: None,
        advice: Vec::new(),
        witnessed: None,
        capabilities: Vec::new(),
    };
    let asks = || {
        vec![
            (Request::PeerShow("lap".to_owned()), vec![Reply::PeerShown(Box::new(shown.clone()))]),
            (Request::Policy(()), vec![Reply::Policy(Box::new(on()))]),
        ]
    };
    let before = on().set.peers[&node];
    let change = |policy| PolicyChange::Peer { peer: node.to_string(), policy };
    let line = ["policy", "set", "health", "off", "--peer", "lap"];
    let policy = PeerPolicy { no_health: true, ..before };
    assert_eq!(run_line(&line, vec![asks(), changes(change(policy))]).1, Ok(Exit::Done));
    let line = ["policy", "set", "summaries", "default", "--peer", "lap"];
    let policy = PeerPolicy { no_summaries: false, ..before };
    assert_eq!(run_line(&line, vec![asks(), changes(change(policy))]).1, Ok(Exit::Done));
}

#[test]
fn what_cannot_be_set_is_refused_before_anything_is_asked() {
    for line in [
        &["policy", "set", "summaries", "yes"][..],
        &["policy", "set", "allow", "none"],
        &["policy", "set", "deny", "games"],
        &["policy", "set", "groups", "off", "--peer", "desk"],
        &["policy", "set", "allow", "vcs", "--peer", "desk"],
    ] {
        let (_, exit) = run_line(line, vec![]);
        assert_eq!(exit.map_err(|trouble| trouble.exit), Err(Exit::Usage), "{line:?}");
    }
}

#[test]
fn the_rule_that_decides_is_named() {
    let reason = |what, is_allowed, rule: &str, change: &str| PolicyReason {
        what,
        is_allowed,
        rule: rule.to_owned(),
        change: change.to_owned(),
    };
    let explained = || PolicyExplained {
        peer: "desk".to_owned(),
        reasons: vec![
            reason(
                Sharing::Summaries,
                false,
                "its trust is member, and summaries go to share-to, query-from and peer only",
                "karoctl peers trust desk share-to",
            ),
            reason(Sharing::Groups, true, "groups are on, and it is a member of platform", ""),
            reason(
                Sharing::Health,
                true,
                "health is on, and its trust is peer",
                "karoctl policy set health off",
            ),
        ],
        denied: [Category::Security, Category::Database].into_iter().collect(),
    };
    let sessions =
        || vec![vec![(Request::PolicyExplain("desk".to_owned()), vec![Reply::PolicyExplained(explained())])]];
    let (text, exit) = run_line(&["policy", "explain", "desk"], sessions());
    assert_eq!(exit, Ok(Exit::Done));
    assert_snapshot("policy-explain.txt", &text);
    let (text, _) = run_line(&["--json", "policy", "explain", "desk"], sessions());
    assert_snapshot("policy-explain.json", &text);
}

fn switch_on() -> PolicyChange {
    PolicyChange::Switch { what: Sharing::Summaries, to: Some(true) }
}

fn asks_policy() -> Session {
    vec![(Request::Policy(()), vec![Reply::Policy(Box::new(off()))])]
}

fn changes(change: PolicyChange) -> Session {
    vec![(Request::PolicyChange(change), vec![Reply::Policy(Box::new(on()))])]
}

fn meaning() -> Vec<String> {
    vec![
        "A summary is about you: how much you did at which hour, with which kinds of tools, how often it failed and \
         how risky it was. Whoever gets it knows that it is yours."
            .to_owned(),
        "A group learns sums of at least five people, and never which part of them is yours.".to_owned(),
        "Health shows nothing that you did.".to_owned(),
    ]
}

fn off() -> PolicyShown {
    PolicyShown {
        policy: Policy::default(),
        set: PolicySet::default(),
        meaning: meaning(),
        names: Vec::new(),
    }
}

fn on() -> PolicyShown {
    let deny: CategorySet = [Category::Security].into_iter().collect();
    let kept_back = PeerPolicy { no_summaries: true, no_health: false, deny };
    let policy = Policy {
        summaries: true,
        groups: true,
        health: false,
        allow: CategorySet::default(),
        deny: [Category::Security, Category::Database].into_iter().collect(),
        peers: [(peer().node_id, kept_back), (NodeId([9; 32]), PeerPolicy::default())].into(),
    };
    let set = PolicySet {
        summaries: Some(true),
        deny,
        peers: [(peer().node_id, kept_back)].into(),
        ..PolicySet::default()
    };
    PolicyShown { policy, set, meaning: meaning(), names: vec![(peer().node_id, "laptop".to_owned())] }
}
