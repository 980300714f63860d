//! Measures groups of whole daemons, and prints one table: `cargo run --release -p karo-tests --bin bench-groups`.
//!
//! `KARO_BENCH_NODES` sets how many daemons there are, one for each owner (20). What one closing costs without
//! daemons, links and disks is measured by `cargo bench -p karo-core --bench atom`: a figure here is to be read beside
//! that. Programs are taken as `./test.sh` names them; for figures that count, build them for release and set
//! `KARO_TEST_DAEMON_DIR=target/release` and `KARO_TEST_CLIENT_DIR=target/client`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::time::{Duration, Instant};

use karo_protocol::Timestamp;
use karo_protocol::answer::{AtomState, GroupEdit, MeshQuery, Question};
use karo_protocol::local::{Reply, Request};
use karo_tests::groups::{Team, close, had, yesterday};
use karo_tests::{Node, Session, number_from, until};

/// Public tools that fill three chunks.
const TOOLS: &str = "a2disconf a2query aa-exec aa-unconfined abcl abuild acountry adb adduser aerc age-inspect ahost airdecap-ng airport alembic alsactl amixer anchore-cli anki ansible-lint antigravity apfsd apl apptainer apt-file apt-rdepends arandr archinstall arduino-cli aria2 arp arthas-trace asciiart aspell astro atlantis atoum audacity augenrules aurman autocannon autoload autoraise auvirt avconv avrdude aws-okta awsume azurite backupd bandit bash bats bcc bd beef bemenu betterlockscreen bhyve bindkey bird bitlocker2john blackfire blight bloodhound-python bmaptool boot bottles boxxy bqueues break broot bsdcpio bspwm btrfs buildah bully bunzip2 bw bzcmp bzless cacademo caffeine-indicator calibre calligrasheets caprover cariddi cava ccache cdk celery certutil cfn-lint cgdelete chainctl charmcraft ";

/// Commands of each owner and day.
const COMMANDS: usize = 200;

/// Times a question is asked.
const QUESTIONS: usize = 50;

fn main() {
    let nodes = number_from("KARO_BENCH_NODES", 20) as usize;
    println!("{nodes} daemons, one for each owner, {COMMANDS} commands each and day");
    for (what, tools) in [("main table", Vec::new()), ("main table and three chunks of tools", tools())] {
        let begun = Instant::now();
        let team = Team::with(nodes, vec![GroupEdit::Tools(tools)]);
        row(&format!("{what}: accepted and all linked"), begun.elapsed());
        for day in 0..2 {
            team.nodes.iter().enumerate().for_each(|(place, node)| fill(node, place, yesterday() - day));
        }
        for day in 0..2 {
            closing(&team, what, yesterday() - day);
        }
        questions(&team, what);
    }
}

fn row(what: &str, took: Duration) {
    println!("{what:<72}{:>12.1} ms", took.as_secs_f64() * 1000.0);
}

fn tools() -> Vec<String> {
    TOOLS.split_whitespace().map(str::to_owned).collect()
}

/// Has an owner run a bit of everything.
fn fill(node: &Node, place: usize, day: i32) {
    let tools: Vec<&str> = TOOLS.split_whitespace().collect();
    let command =
        |number: usize| (tools[(number * 7 + place) % tools.len()], i32::from(number.is_multiple_of(9)));
    had(node, day, &(0..COMMANDS).map(command).collect::<Vec<_>>());
}

/// Closes a day, and says how long that took and what it cost each daemon.
fn closing(team: &Team, what: &str, day: i32) {
    let cpu = |team: &Team| -> Vec<Duration> { team.nodes.iter().map(|node| node.karo.cpu_time()).collect() };
    let before = cpu(team);
    let begun = Instant::now();
    let row_of = close(&team.nodes[0], day);
    let took = begun.elapsed();
    assert_eq!(row_of.state, AtomState::Closed, "{row_of:?}");
    row(&format!("{what}: a day asked for to closed at the asker ({:?} owners)", row_of.contributors), took);
    for place in 0..team.nodes.len() {
        until("the atom is there", || {
            karo_tests::groups::day(&team.nodes[place], day).filter(|row| row.state == AtomState::Closed)
        });
    }
    row(&format!("{what}: ... to closed at every member"), begun.elapsed());
    let mut spent: Vec<Duration> =
        cpu(team).iter().zip(&before).map(|(after, before)| *after - *before).collect();
    spent.sort_unstable();
    let all: Duration = spent.iter().sum();
    row("    processor time of all daemons", all);
    row("    of a contributor (median)", spent[spent.len() / 2]);
    row("    of the two aggregators (the greatest two)", spent[spent.len() - 1] + spent[spent.len() - 2]);
}

/// Asks about two closed days, and about seven of which five are to be looked for, over one session.
fn questions(team: &Team, what: &str) {
    let mut session = team.nodes[1].karo.session();
    let since = Timestamp::from_micros((i64::from(yesterday()) - 1) * 86_400_000_000);
    for (of, since) in [("two closed days", Some(since)), ("seven days, five of them nowhere", None)] {
        let times = Question::ALL.iter().flat_map(|question| {
            let query = MeshQuery { question: *question, group: None, since, until: None, compare: false };
            (0..QUESTIONS).map(|_| asked(&mut session, query.clone())).collect::<Vec<_>>()
        });
        let mut times: Vec<Duration> = times.collect();
        times.sort_unstable();
        row(&format!("{what}: a question about {of} (median)"), times[times.len() / 2]);
        row(&format!("{what}: a question about {of} (p99)"), times[times.len() * 99 / 100]);
    }
}

fn asked(session: &mut Session, query: MeshQuery) -> Duration {
    let begun = Instant::now();
    let reply = session.ask(&Request::MeshQuery(query));
    assert!(matches!(reply, Ok(Reply::Answer(_))), "{reply:?}");
    begun.elapsed()
}
