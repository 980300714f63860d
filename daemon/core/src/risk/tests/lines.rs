//! What rules see of a line.

use super::*;
use crate::risk::event::{Event, Scene};
use crate::risk::limits::TEXT_BYTES_MAX;
use rsigma_eval::Event as _;

/// Demands which of the events of a line match a detection: `line` or the number of a run.
#[track_caller]
fn check(detection: &str, text: &str, wanted: &[&str]) {
    let rules = one(&written("a-rule", &format!("one:\n    {detection}\ncondition: one")));
    assert_eq!(rules.refused(), []);
    let rule = rules.rules.iter().find(|rule| rule.listed.id == "a-rule").unwrap().compiled().unwrap();
    let line = parse(text.as_bytes());
    let surroundings = Surroundings { cwd: b"/home/eve", user: "eve", shell: "zsh" };
    let scene = Scene::new(text.as_bytes(), &line, surroundings);
    let events: Vec<Event<'_>> =
        std::iter::once(scene.whole()).chain((0..line.runs.len()).map(|run| scene.of_run(run))).collect();
    let matching = events.iter().filter(|event| evaluate_rule(rule, *event).is_some());
    let matching: Vec<_> =
        matching.map(|event| event.run.map_or("line".to_owned(), |run| run.to_string())).collect();
    let shown: Vec<_> = events.iter().map(|event| event.to_json().to_string()).collect();
    assert_eq!(matching, wanted, "{detection} in {text}: {shown:#?}");
}

#[test]
fn programs_have_paths_and_command_lines() {
    check("Image|endswith: /curl", "curl x", &["0"]);
    check("Image: /usr/bin/curl", "curl x", &["0"]);
    check("Image|endswith: /zsh", "ls", &["line"]);
    check("CommandLine: ls -l a b", "ls  -l  'a b'", &["0"]);
    check("CommandLine|contains: \"'a b'\"", "ls -l 'a b'", &["line"]);
    check("Karo.Program: ls", "/bin/ls; ls", &["0", "1"]);
    check("Karo.Arguments: a b", "ls 'a b'", &["0"]);
    check("Karo.Arguments: a", "ls 'a b'", &[]);
}

#[test]
fn surroundings_are_told() {
    check("CurrentDirectory: /home/eve", "ls", &["line", "0"]);
    check("User: eve", "ls", &["line", "0"]);
    check("ParentImage: /usr/bin/zsh", "ls", &["0"]);
    check("Karo.Scope: line", "ls", &["line"]);
    check("Karo.Scope: run", "ls", &["0"]);
    check("Karo.Line|contains: ';'", "ls; id", &["line", "0", "1"]);
    check("Karo.Programs: id", "ls; id", &["line", "0", "1"]);
}

#[test]
fn an_absent_field_is_null_and_nothing_else() {
    check("CurrentDirectory: null", "ls", &[]);
    check("Karo.RedirectTarget: null", "ls", &["line", "0"]);
    check("Karo.RedirectTarget|exists: false", "ls", &["line", "0"]);
    check("Karo.RedirectTarget|contains: a", "ls", &[]);
    check("Karo.Privileged: false", "ls", &["line", "0"]);
    check("Karo.Privileged: true", "ls", &[]);
}

#[test]
fn rules_meant_for_one_program_do_not_see_the_whole_line() {
    let two = "one:\n    CommandLine|contains|all:\n        - alpha\n        - beta\ncondition: one";
    assert_eq!(ids(&one(&written("a-rule", two)), "alpha; beta"), Vec::<String>::new());
    let operator = "one:\n    CommandLine|contains|all:\n        - alpha\n        - '; beta'\ncondition: one";
    assert_eq!(ids(&one(&written("a-rule", operator)), "alpha; beta"), ["a-rule"]);
    let expression = "one:\n    CommandLine|re: 'alpha\\s*;\\s*beta'\ncondition: one";
    assert_eq!(ids(&one(&written("a-rule", expression)), "alpha; beta"), ["a-rule"]);
    let scope = "one:\n    CommandLine|contains|all:\n        - alpha\n        - beta\n    Karo.Scope: line\ncondition: one";
    assert_eq!(ids(&one(&written("a-rule", scope)), "alpha; beta"), ["a-rule"]);
}

#[test]
fn wildcards_stand_for_any_text_and_keep_their_end() {
    check("CommandLine|startswith: 'a b*c'", "a b x c d", &["line", "0"]);
    check("CommandLine|startswith: 'b*c'", "a b x c", &[]);
    check("CommandLine|endswith: 'b*d'", "a b x d", &["line", "0"]);
    check("CommandLine|endswith: 'a*c'", "a b x c d", &[]);
    check("CommandLine|contains: 'b*d'", "a b x d e", &["line", "0"]);
    check("CommandLine: 'a*e'", "a b x d e", &["line", "0"]);
    check("CommandLine: 'a?b'", "a b", &["line", "0"]);
    check("CommandLine: 'a\\*b'", "a 'x'b", &[]);
    check("CommandLine|contains: 'IMPORT*pty'", "python -c 'import os\nimport x\nspawn pty'", &["line", "0"]);
    check("CommandLine|contains|cased: 'IMPORT*pty'", "python -c 'import pty'", &[]);
    check("CommandLine|contains|all: ['a*c', d, 'x?']", "a c d xy", &["line", "0"]);
    check("CommandLine|contains|all: ['a*c', d, 'x?']", "a c xy", &[]);
    check("CommandLine|contains: ['a*z', d]", "a d", &["line", "0"]);
}

#[test]
fn modifiers_say_what_they_mean() {
    check("Karo.Arguments|windash: -x", "a /x", &["0"]);
    check("Karo.Arguments|cidr: 10.0.0.0/8", "ping 10.1.2.3", &["0"]);
    check("Karo.Arguments|cidr: 10.0.0.0/8", "ping 11.1.2.3", &[]);
    check("CommandLine|base64offset|contains: /bin/sh", "echo eHgvYmluL3No", &["line", "0"]);
    check("Karo.Arguments|gte: 100", "sleep 100", &["0"]);
    check("Karo.Program|fieldref: User", "eve", &["0"]);
    check("CommandLine|re: 'A+b'", "ab", &[]);
    check("CommandLine|re|i: 'A+b'", "ab", &["line", "0"]);
}

#[test]
fn case_folds_beyond_ascii() {
    for (wanted, text) in
        [("ärger", "x ÄRGER"), ("kelvin", "x \u{212a}elvin"), ("istanbul", "x Istanbul \u{e9}")]
    {
        let rule = written("a-rule", &format!("one:\n    CommandLine|contains: {wanted}\ncondition: one"));
        assert_eq!(ids(&one(&rule), text), ["a-rule"], "{text}");
    }
    let expression = written("a-rule", "one:\n    CommandLine|re|i: 'mask'\ncondition: one");
    assert_eq!(ids(&one(&expression), "x ma\u{17f}\u{212a}"), ["a-rule"]);
}

#[test]
fn the_highest_level_comes_first() {
    let rule = |id: &str, level: &str, tag: &str| {
        written(id, "one:\n    Karo.Program: ls\ncondition: one")
            .replace("level: high", &format!("level: {level}\ntags: [{tag}]"))
    };
    let text = [
        rule("a", "low", "karo.hazard"),
        rule("b", "high", "karo.exposure"),
        rule("c", "high", "karo.hazard"),
        rule("d", "informational", "attack.t1000"),
    ]
    .join("---\n");
    let rules = one(&text);
    let assessment = rules.assess(b"ls", &parse(b"ls"), Surroundings::default());
    assert_eq!(assessment.rules, ["c", "b", "a", "d"]);
    assert_eq!((assessment.risk, assessment.axis), (Some(Risk::High), Some(Axis::Hazard)));
    let matches = rules.matches(b"ls", &parse(b"ls"), Surroundings::default());
    assert_eq!(matches[3].axis, Axis::Threat);
    assert_eq!(
        (matches[0].fields.as_slice(), matches[0].run),
        (["Karo.Program: ls".to_owned()].as_slice(), Some(0))
    );
}

#[test]
fn the_longest_lines_are_gone_through() {
    let rules = all_rules();
    for piece in
        ["(", "a", "$(", "|", "sudo ", "ls -R;", "cat /etc/shadow|", "\0", "\u{ff}x ", "\u{130}", "<<A "]
    {
        let text = piece.repeat(karo_protocol::limits::COMMAND_BYTES_MAX / piece.len());
        rules.assess(text.as_bytes(), &parse(text.as_bytes()), Surroundings::default());
    }
    let padded = format!("{} rm -rf /", "x;".repeat(30_000));
    assert!(!ids(&rules, &padded).is_empty(), "the last programs are looked at");
}

#[test]
fn what_rules_see_of_a_line_is_bounded() {
    for piece in ["a", "a ", "'a b' ", "sudo ", "a;", "\u{20ac}"] {
        let text = piece.repeat(karo_protocol::limits::COMMAND_BYTES_MAX / piece.len());
        let line = parse(text.as_bytes());
        let scene = Scene::new(text.as_bytes(), &line, Surroundings::default());
        let runs = seen(line.runs.len()).map(|run| scene.of_run(run));
        let mut count = 0;
        for event in runs.chain([scene.whole()]) {
            count += 1;
            assert!(event.command_line.len() <= TEXT_BYTES_MAX, "{piece}");
            assert!(event.all_string_values().iter().all(|text| text.len() <= TEXT_BYTES_MAX), "{piece}");
        }
        assert!(count <= RUNS_FIRST_MAX + RUNS_LAST_MAX + 1, "{piece}");
    }
    assert_eq!(seen(3).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(seen(10_000).last(), Some(9_999));
    assert_eq!(seen(RUNS_FIRST_MAX + 1).collect::<Vec<_>>(), (0..=RUNS_FIRST_MAX).collect::<Vec<_>>());
}

#[test]
fn who_gives_what_to_whom_is_told() {
    check("Karo.PipedInto: sh", "curl x | sh", &["0"]);
    check("Karo.PipedInto: bash", "curl x | tee y | sudo -E bash -s", &["0", "1"]);
    check("Karo.PipedInto: sh", "curl x; sh", &[]);
    check("Karo.PipedInto: sh", "curl x || sh", &[]);
    check("Karo.PipedInto: sh", "sudo curl x | sh", &["0", "1"]);
    check("Karo.PipedInto: sh", "curl $(cat y | head) | sh", &["0"]);
    check("Karo.PipedInto: sh", "{ curl x; echo; } | sh", &["0", "1"]);
    check("Karo.PipedInto: sh", "curl x | while read a; do sh -c $a; done; sh", &["0"]);
    check("Karo.PipedInto: sh", "curl x | head; sh y | cat", &[]);
    check("Karo.PipedFrom: curl", "curl x | tee y | sh", &["1", "2"]);
    check("Karo.SubstitutedInto: eval", "eval \"$(curl x)\"", &["1"]);
    check("Karo.SubstitutedInto: bash", "bash -c \"$(curl -fsSL x)\"", &["1"]);
    check("Karo.SubstitutedInto: source", "source <(curl x)", &["1"]);
    check("Karo.SubstitutedInto: bash", "bash x; $(curl x)", &[]);
}

#[test]
fn redirections_and_input_are_told() {
    check("Karo.RedirectTarget: /dev/sda", "cat x > /dev/sda", &["0"]);
    check("Karo.RedirectTarget: y", "cat < x >> y", &["0"]);
    check("Karo.RedirectAppend: y", "cat < x >> y", &["0"]);
    check("Karo.RedirectAppend: y", "cat < x > y", &[]);
    check("Karo.RedirectSource: x", "cat < x >> y", &["0"]);
    check("Karo.RedirectTarget|exists: true", "cat x 2>&1", &[]);
    check("Karo.Stdin|contains: secret", "cat <<E\nsecret\nE", &["0"]);
    check("Karo.Stdin|contains: id", "bash <<< 'id'", &["0"]);
    check("Karo.Stdin|contains: cm9vdA", "echo cm9vdA== | base64 -d", &["1"]);
    check("Karo.Assignments: A=1", "A=1 ls", &["line", "0"]);
}

#[test]
fn where_a_program_runs_is_told() {
    check("Karo.Privileged: true", "sudo ls", &["line", "1"]);
    check("User: root", "sudo ls", &["1"]);
    check("ParentImage|endswith: /sudo", "sudo ls", &["1"]);
    check("ParentCommandLine: sudo ls", "sudo ls", &["1"]);
    check("Karo.Remote: true", "ssh h 'ls -l'", &["line", "1"]);
    check("Karo.Contained: true", "docker exec c ls", &["line", "1"]);
    check("Karo.Background: true", "ls &", &["line", "0"]);
    check("Karo.Function: true", "f() { ls; }", &["line", "0"]);
    check("Karo.Interactive: true", "sudo bash", &["line", "1"]);
    check("Karo.Interactive: true", "bash x.sh", &[]);
    check("Image|startswith: /tmp/", "/tmp/.x -d", &["0"]);
}
