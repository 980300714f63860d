use karo_protocol::{Axis, Bytes, Category, Risk};

use super::*;
use crate::ctl::cli::{Cli, Command};
use crate::ctl::samples::{ago, event, full_event, noon, row, scene};
use crate::fake::FakeDaemon;
use clap::Parser as _;

const DONE: End = End { count: 1, partial_since: None, unreadable: 0 };

#[test]
fn json_has_the_documented_fields_in_their_order() {
    let (text, exit) = ask(&["--json"], pages(vec![Reply::Events(vec![full_event()])], DONE));
    assert_eq!(exit, Ok(Exit::Done));
    let expected = "{\"id\":\"01a17e8b-c840-7707-8707-070707070707\",\"node\":null,\"host\":\"engine\",\
        \"user\":\"ada\",\"shell\":\"zsh\",\"shell_id\":\"11111111111111111111111111111111\",\"seq\":42,\
        \"cwd\":\"/tmp/\u{fffd}\",\"command\":\"curl -H [redacted:token] \u{fffd} | wc\",\
        \"started_at\":\"2026-11-02T10:59:00.123Z\",\"duration_ms\":1234,\"exit\":1,\"pipestatus\":[22,1],\
        \"state\":\"ended\",\"category\":\"network\",\"tools\":[\"curl\",\"wc\"],\"risk\":\"medium\",\
        \"rules\":[\"header-token\",\"b\"],\
        \"redactions\":[{\"start\":8,\"end\":24,\"kind\":\"token\"}],\"truncated\":false,\"lossy\":true,\
        \"axis\":\"exposure\"}\n";
    assert_eq!(text.replace(&id_of(&text), "01a17e8b-c840-7707-8707-070707070707"), expected);
}

#[test]
fn csv_has_the_same_fields() {
    let (text, _) =
        ask(&["--format", "csv"], pages(vec![Reply::Events(vec![event(b"echo \"a, b\"")])], DONE));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], COLUMNS.join(","));
    let after_id = lines[1].split_once(',').expect("there are commas").1;
    assert_eq!(
        after_id,
        ",engine,ada,zsh,11111111111111111111111111111111,42,/home/ada/src,\"echo \"\"a, b\"\"\",\
         2026-11-02T10:59:00.123Z,5,0,,ended,network,curl wc,,,,false,false,"
    );
}

#[test]
fn a_table_is_the_default_and_text_the_bare_commands() {
    let rows = || {
        vec![
            Reply::Rows(vec![row(60, Some(0), "/", b"ls")]),
            Reply::Rows(vec![row(70, Some(1), "/", b"a\nb")]),
        ]
    };
    let (table, _) = ask(&[], pages(rows(), DONE));
    assert_eq!(
        table,
        "TIME      TOOK  EXIT  DIRECTORY  COMMAND\n\
         11:59:00  1.2s     0  /          ls\n\
         11:58:50  1.2s     1  /          a↵b\n"
    );
    let (text, _) = ask(&["--format", "text"], pages(rows(), DONE));
    assert_eq!(text, "ls\na\nb\n");
}

#[test]
fn options_reach_the_daemon() {
    let (_, exit) = ask(
        &[
            "Git",
            "push",
            "--since",
            "2h",
            "--failed",
            "--category",
            "vcs",
            "--limit",
            "0",
            "--unique",
            "--oldest-first",
        ],
        |request| {
            let Request::Query(query) = request else { panic!("a query was asked for") };
            assert_eq!(query.filter.words, [Bytes::from("Git"), Bytes::from("push")]);
            assert_eq!(query.filter.since, Some(ago(7200)));
            assert_eq!(query.filter.exit, Some(karo_protocol::query::Exit::Failed));
            assert_eq!(query.filter.category, Some(Category::Vcs));
            assert_eq!((query.limit, query.is_unique, query.order), (None, true, Order::OldestFirst));
            assert_eq!(query.detail, Detail::Row);
            vec![Reply::End(End { count: 0, ..DONE })]
        },
    );
    assert_eq!(exit, Ok(Exit::NothingFound));
}

#[test]
fn risk_is_asked_for_by_its_names() {
    let (_, exit) = ask(&["--risk", "high", "--axis", "hazard", "--rule", "rm-root"], |request| {
        let Request::Query(query) = request else { panic!("a query was asked for") };
        let expected = Filter {
            risk: Some(Risk::High),
            axis: Some(Axis::Hazard),
            rule: Some("rm-root".to_owned()),
            ..Filter::default()
        };
        assert_eq!(query.filter, expected);
        vec![Reply::End(End { count: 0, ..DONE })]
    });
    assert_eq!(exit, Ok(Exit::NothingFound));
    for wrong in [["--risk", "none"], ["--axis", "danger"]] {
        let line = ["karoctl", "query"].iter().chain(&wrong);
        assert!(Cli::try_parse_from(line).is_err(), "{wrong:?}");
    }
}

#[test]
fn levels_are_counted_the_gravest_first() {
    let levels = [None, Some(Risk::Low), Some(Risk::Critical)];
    let tally = |(place, risk): (usize, &Option<Risk>)| Tally {
        key: CountKey::Risk(*risk),
        count: 10 - place as u64,
        failed: 0,
    };
    let tallies: Vec<Tally> = levels.iter().enumerate().map(tally).collect();
    let (text, exit) = ask(&["--count-by", "risk", "--json"], move |request| {
        let Request::Count(count) = request else { panic!("counts were asked for") };
        assert_eq!(count.by, Some(CountBy::Risk));
        vec![Reply::Tallies(Tallies { tallies, partial_since: None, left_out: LeftOut::default() })]
    });
    assert_eq!(exit, Ok(Exit::Done));
    let expected = "\
{\"by\":\"risk\",\"key\":\"critical\",\"count\":8,\"failed\":0}
{\"by\":\"risk\",\"key\":\"low\",\"count\":9,\"failed\":0}
{\"by\":\"risk\",\"key\":\"none\",\"count\":10,\"failed\":0}
";
    assert_eq!(text, expected);
}

#[test]
fn what_an_answer_lacks_decides_the_code() {
    let partial = End { partial_since: Some(ago(3600)), ..DONE };
    let cases: [(&[&str], End, Exit); 4] = [
        (&[], partial.clone(), Exit::NotCovered),
        (&["--since", "30m"], partial.clone(), Exit::Done),
        (&["--since", "2h"], partial, Exit::NotCovered),
        (&[], End { unreadable: 2, ..DONE }, Exit::Damaged),
    ];
    for (args, end, expected) in cases {
        let (_, exit) = ask(args, pages(vec![Reply::Rows(vec![row(60, Some(0), "/", b"ls")])], end));
        assert_eq!(exit, Ok(expected), "{args:?}");
    }
}

#[test]
fn counts_are_asked_in_the_zone_and_ranked() {
    let tally = |name: &str, count| Tally { key: CountKey::Text(Bytes::from(name)), count, failed: 1 };
    let tallies = vec![tally("git", 2), tally("ls", 7), tally("vi", 1)];
    let answer = move |request: Request| {
        let Request::Count(count) = request else { panic!("counts were asked for") };
        assert_eq!(count.by, Some(CountBy::Tool));
        assert_eq!(count.zone.offset_seconds(ago(0)), 3600);
        vec![Reply::Tallies(Tallies {
            tallies: tallies.clone(),
            partial_since: None,
            left_out: LeftOut::default(),
        })]
    };
    let (text, exit) = ask(&["--count-by", "tool", "--json", "--limit", "2"], answer.clone());
    assert_eq!(exit, Ok(Exit::Done));
    assert_eq!(
        text,
        "{\"by\":\"tool\",\"key\":\"ls\",\"count\":7,\"failed\":1}\n{\"by\":\"tool\",\"key\":\"git\",\"count\":2,\"failed\":1}\n"
    );
    let (text, _) = ask(&["--count-by", "tool", "--format", "csv"], answer);
    assert_eq!(text, "tool,count,failed\r\nls,7,1\r\ngit,2,1\r\nvi,1,1\r\n");
}

#[test]
fn what_does_not_fit_an_answer_is_said_and_has_its_share() {
    let out = |keys, count| LeftOut { keys, count, failed: 0 };
    assert_eq!(not_shown(0, out(0, 0)), None);
    let cases = [
        (4, out(0, 0), "4 more with fewer; --limit 0 shows all"),
        (
            0,
            out(7, 9),
            "7 more with fewer do not fit an answer, 9 in all; ask for a shorter time, or with more words",
        ),
        (
            4,
            out(7, 9),
            "4 more with fewer, which --limit 0 shows, and 7 that do not fit an answer, 9 in all; ask for a shorter \
             time, or with more words",
        ),
    ];
    for (hidden, left_out, expected) in cases {
        assert_eq!(not_shown(hidden, left_out).as_deref(), Some(expected));
    }
    let tallies = vec![Tally { key: CountKey::Text(Bytes::from("ls")), count: 25, failed: 0 }];
    let (text, exit) = ask(&["--count-by", "tool"], move |_| {
        vec![Reply::Tallies(Tallies { tallies, partial_since: None, left_out: out(75, 75) })]
    });
    assert_eq!(exit, Ok(Exit::Done));
    assert!(text.ends_with(" 25.0%\n"), "{text}");
}

#[test]
fn a_wrong_page_is_a_bug() {
    let (_, exit) = ask(&["--json"], pages(vec![Reply::Rows(Vec::new())], DONE));
    assert_eq!(exit.map_err(|trouble| trouble.exit), Err(Exit::Bug));
}

/// Runs `karoctl query` before a daemon that answers by that function.
fn ask(
    args: &[&str],
    answer: impl FnOnce(Request) -> Vec<Reply> + Send + 'static,
) -> (String, Result<Exit, Trouble>) {
    let daemon = FakeDaemon::serve(move |session| {
        let (id, request) = session.request();
        answer(request).iter().for_each(|reply| session.reply(id, reply));
    });
    let (mut scene, written) = scene(&daemon);
    let line = ["karoctl", "query"].iter().chain(args);
    let cli = Cli::try_parse_from(line).expect("the command line is right");
    scene.is_json = cli.json;
    let Command::Query(args) = cli.command else { panic!("it is a query") };
    let exit = run(&mut scene, &args);
    assert_eq!(scene.now(), &noon());
    (written.text(), exit)
}

fn pages(mut pages: Vec<Reply>, end: End) -> impl FnOnce(Request) -> Vec<Reply> {
    pages.push(Reply::End(end));
    move |_| pages
}

/// The id holds the time of its drawing, which the golden line need not know.
fn id_of(line: &str) -> String {
    line.get(7..43).expect("a record begins with its id").to_owned()
}
