//! What a version left behind: its store, its spool, what it exported, and what its programs said to each other.
//!
//! `tests/fixtures/NAME` was made by the programs of that version and is never made again: [`make`] makes the one of a
//! new version. `tests/fixtures/README.md` says which commits they were.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use karo_protocol::observation::{Ending, ShellProcess};
use karo_protocol::{BootId, Micros, Observation, Phase, RawCommand, ShellKind};
use karo_tests::binaries::{binaries, checkout};
use karo_tests::groups::{Team, had, yesterday};
use karo_tests::{Karo, Node, Talk, Typist};
use serde_json::Value;

/// The versions that are kept, the earliest first.
const NAMES: [&str; 2] = ["format-2", "format-3"];

/// What karoctl is asked for in each conversation; a version that has no such command has no such conversation.
const TALKS: [(&str, &[&str]); 14] = [
    ("status", &["status"]),
    ("query", &["query", "--limit", "20"]),
    ("query-words", &["query", "deploy", "--failed", "--limit", "5"]),
    ("query-risk", &["query", "--risk", "medium", "--limit", "0"]),
    ("count-category", &["query", "--count-by", "category"]),
    ("count-tool", &["query", "--count-by", "tool"]),
    ("export", &["export"]),
    ("explain", &["explain", "curl -su ada:hunter2 https://example.org/i.sh | sudo bash"]),
    ("store-verify", &["store", "verify"]),
    ("identity-show", &["identity", "show"]),
    ("peers", &["peers"]),
    ("audit", &["audit"]),
    ("policy", &["policy"]),
    ("groups", &["group", "show"]),
];

/// A machine that was trusted then; its key was thrown away.
const LAPTOP: &str = "karo:ed25519:iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w";

/// A part of what was typed, which was deleted again.
pub(super) const DELETED: &str = "forget-me";

/// One version's remains.
#[derive(Debug)]
pub(super) struct Fixture {
    pub(super) name: &'static str,
    directory: PathBuf,
}

/// One recorded conversation.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) name: String,
    pub(super) arguments: Vec<String>,
    pub(super) talk: Talk,
    /// What karoctl printed then, and with which code it ended.
    pub(super) printed: Vec<Value>,
    pub(super) exit: i32,
}

/// Returns what every version left.
pub(super) fn all() -> impl Iterator<Item = Fixture> {
    NAMES.into_iter().map(|name| Fixture { name, directory: checkout().join("tests/fixtures").join(name) })
}

impl Fixture {
    /// Lays a copy of store and spool into places where nothing runs.
    pub(super) fn laid_out(&self) -> Karo {
        // With an address of its own, because it has peers.
        let karo = Node::new().karo;
        copy(&self.directory.join("data"), &karo.data());
        copy(&self.directory.join("spool"), &karo.spool());
        karo
    }

    /// Returns every event of the store as that version exported it.
    pub(super) fn exported(&self) -> Vec<Value> {
        lines(&self.read("talks/export.jsonl"))
    }

    /// Returns the texts of the records that wait in the spool.
    pub(super) fn spooled(&self) -> Vec<String> {
        self.read("spooled.txt").lines().map(str::to_owned).collect()
    }

    /// Returns the conversations.
    pub(super) fn talks(&self) -> Vec<Recorded> {
        let recorded = |name: &str| {
            let text = fs::read_to_string(self.directory.join(format!("talks/{name}.talk"))).ok()?;
            let said =
                |what: &str| text.lines().find_map(|line| line.strip_prefix(what)).expect("it is said");
            Some(Recorded {
                name: name.to_owned(),
                arguments: said("# karoctl ").split('\t').map(str::to_owned).collect(),
                exit: said("# exit ").parse().expect("a code is a number"),
                printed: lines(&self.read(&format!("talks/{name}.jsonl"))),
                talk: Talk::parse(&text),
            })
        };
        let talks: Vec<Recorded> = TALKS.iter().filter_map(|(name, _)| recorded(name)).collect();
        assert!(talks.len() >= 8, "{} has few conversations: {talks:?}", self.name);
        talks
    }

    fn read(&self, name: &str) -> String {
        let path = self.directory.join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect()
}

/// Copies a directory; a checkout does not keep the modes that karod demands.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the place is ours");
    fs::set_permissions(to, Permissions::from_mode(0o700)).expect("it is ours");
    for entry in fs::read_dir(from).into_iter().flatten() {
        let entry = entry.expect("it can be listed");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
            continue;
        }
        fs::copy(entry.path(), &to).expect("there is room");
        fs::set_permissions(&to, Permissions::from_mode(0o600)).expect("it is ours");
    }
}

/// Writes what a version leaves behind, by its own programs: `KARO_TEST_DAEMON_DIR` and `KARO_TEST_CLIENT_DIR` name
/// them, and `KARO_FIXTURE` the directory to write.
#[test]
#[ignore = "makes what the other tests read"]
fn make() {
    let place = PathBuf::from(std::env::var_os("KARO_FIXTURE").expect("where"));
    // What a version has no command for, it does not keep.
    let has_groups = Karo::new().ctl(&["group", "--help"]).status.success();
    let mut team = has_groups.then(|| Team::of(5));
    let mut alone = Karo::new();
    let karo = match &mut team {
        Some(team) => {
            team.nodes.iter().for_each(|node| had(node, yesterday(), &[("make", 0), ("git push", 1)]));
            team.close(0);
            team.wait_until_closed(0);
            &mut team.nodes[0].karo
        }
        None => {
            alone.launch();
            &mut alone
        }
    };
    karo.wait_for_rules();
    type_much(karo, 1..=2, 60);
    karo.ctl_ok(&["delete", "--word", DELETED, "--yes"]);
    // Sealed and merged; what is typed then lies raw.
    karo.ctl_ok(&["store", "compact"]);
    type_much(karo, 3..=3, 30);
    if has_groups {
        karo.ctl_ok(&["peers", "add", LAPTOP, "--trust", "member", "--name", "laptop"]);
        karo.ctl_ok(&["policy", "set", "summaries", "on", "--yes"]);
    }
    karo.wait_until_searchable();
    fs::create_dir_all(place.join("talks")).expect("the place is ours");
    for (name, arguments) in TALKS {
        record(karo, &place.join("talks"), name, arguments);
    }
    assert!(karo.stop().success(), "{}", karo.log());
    let mut late = Typist::new(9);
    let texts = ["make install", "echo \"two\nlines\" | wc -l"];
    texts.iter().for_each(|text| drop(karo.spool_record(&late.ran(*text, 0))));
    fs::write(place.join("spooled.txt"), texts.map(|text| text.replace('\n', "\\n") + "\n").concat())
        .expect("there is room");
    copy(&karo.data(), &place.join("data"));
    copy(&karo.spool(), &place.join("spool"));
}

/// Types commands of many kinds into shells of those numbers.
fn type_much(karo: &Karo, shells: std::ops::RangeInclusive<u64>, count: u64) {
    const COMMANDS: [&str; 12] = [
        "git commit -m 'first part'",
        "cargo test --workspace",
        "deploy --to stage --key sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        "curl -u ada:hunter2 https://example.org/status",
        "ssh build@10.1.2.3 uptime",
        "rm -rf ./target",
        "for i in 1 2 3; do\n  echo $i\ndone | sort -r",
        "sudo dd if=/dev/zero of=/dev/sdb bs=1M",
        "kubectl get pods -n Zürich",
        "echo forget-me",
        "psql postgres://app:s3cr3tpass@db/main -c 'select 1'",
        "vim notes.txt",
    ];
    for number in shells {
        let mut typist = Typist::new(number);
        typist.shell.kind = [ShellKind::Bash, ShellKind::Zsh, ShellKind::Fish][number as usize % 3];
        for n in 0..count {
            typist.cwd = ["/home/story", "/home/story/src/karo", "/srv/Zürich"][n as usize % 3].into();
            let text = format!("{} # {number}.{n}", COMMANDS[n as usize % COMMANDS.len()]);
            let observations = match n % 7 {
                0 | 1 | 4 => vec![typist.ran(text, 0)],
                2 => vec![typist.ran(text, 1)],
                3 => vec![killed(typist.ran(text, 0))],
                5 => started_and_ended(typist.started(text)),
                _ => vec![typist.started(text)],
            };
            karo.keep(observations);
        }
        let mut raw = typist.ran(&b"printf '\xff\xfe' > bytes"[..], 0);
        raw.precision = karo_protocol::Precision::Second;
        karo.keep([raw, orphaned(typist.started("sleep 1000"))]);
    }
}

/// Ended by a signal, in a pipe, after a good while.
fn killed(mut observation: Observation) -> Observation {
    observation.phase = Phase::End(Ending {
        duration: Some(Micros(3_600_000_000)),
        exit: Some(137),
        pipestatus: vec![0, 137],
    });
    observation
}

/// A late end.
fn started_and_ended(start: Observation) -> Vec<Observation> {
    let end = Typist::ended(&start, 2);
    vec![start, end]
}

/// Of a shell of another boot, which is gone.
fn orphaned(mut start: Observation) -> Observation {
    start.command = RawCommand::new("sleep 1000 # whose shell went away");
    start.shell.process =
        Some(ShellProcess { pid: 4242, started_ticks: 1, boot: BootId::from_bytes([7; 16]), namespace: 0 });
    start
}

/// Records what karoctl and karod say to each other for one command.
fn record(karo: &Karo, place: &Path, name: &str, arguments: &[&str]) {
    let between = karo.run().join("between.sock");
    let all = || std::iter::once("--json").chain(arguments.iter().copied());
    let (talk, output) = Talk::record(&between, &karo.socket(), || {
        let mut command = karo.command(&binaries().karoctl);
        command.args(all()).env("KARO_SOCKET", &between).output().expect("karoctl can be run")
    });
    let exit = output.status.code().expect("it ends by itself");
    if exit == 2 || exit == 4 {
        eprintln!("{name}: this version knows of no such thing");
        return;
    }
    assert!(!talk.connections.is_empty(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let arguments = all().collect::<Vec<_>>().join("\t");
    let text = format!("# karoctl {arguments}\n# exit {exit}\n{}", talk.to_text());
    fs::write(place.join(format!("{name}.talk")), text).expect("there is room");
    fs::write(place.join(format!("{name}.jsonl")), output.stdout).expect("there is room");
}
