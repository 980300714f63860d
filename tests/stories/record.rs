//! Record and find: from a shell's observation to an answer, across crashes and absences.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use karo_protocol::limits::{IMPORT_LINES_MAX, TALLIES_MAX};
use karo_protocol::local::{Import, ImportLine, Reply, Request, Verdict};
use karo_protocol::query::{Count, CountBy, CountKey, Directory, Exit, Filter, LeftOut, Zone};
use karo_protocol::{Bytes, Micros, Outcome, State};
use karo_tests::{Karo, Typist, until};

/// A value that no program here makes by itself.
const CANARY: &str = "zq7canary41x";

#[test]
fn a_command_is_found_as_it_was_typed() {
    let karo = Karo::running();
    let mut shell = Typist::new(1);
    let text = "for i in 1 2\ndo echo \u{1f980} $i\ndone";
    karo.keep([shell.ran(text, 3)]);
    let events = karo.session().events(Filter::default());
    let [event] = &events[..] else { panic!("one event, not {events:?}") };
    assert_eq!(event.command.as_bytes(), text.as_bytes());
    assert_eq!((event.shell.id, event.sequence), (shell.shell.id, 1));
    assert_eq!(event.cwd, shell.cwd);
    let Outcome::Ended(ending) = &event.outcome else { panic!("it has ended: {:?}", event.outcome) };
    assert_eq!((ending.exit, ending.duration), (Some(3), Some(Micros(10_000))));
}

#[test]
fn bytes_that_are_no_text_are_kept() {
    let karo = Karo::running();
    let mut shell = Typist::new(1);
    let text = b"printf \xff\xfe \x1b[31m\x07".to_vec();
    karo.keep([shell.ran(text.clone(), 0)]);
    assert_eq!(karo.session().events(Filter::default())[0].command.as_bytes(), text);
}

#[test]
fn start_and_end_become_one_event_in_any_order() {
    let karo = Karo::running();
    let mut shell = Typist::new(1);
    let [first, second] = ["sleep 1", "sleep 2"].map(|text| shell.started(text));
    karo.keep([first.clone()]);
    assert_eq!(karo.session().events(Filter::default())[0].outcome.state(), State::Running);
    karo.keep([Typist::ended(&first, 0), Typist::ended(&second, 7), second]);
    let mut session = karo.session();
    assert_eq!(session.texts(), ["sleep 1", "sleep 2"]);
    let failed = Filter { exit: Some(Exit::Failed), ..Filter::default() };
    assert_eq!(session.events(failed).len(), 1);
    let ended = Filter { state: Some(State::Ended), ..Filter::default() };
    assert_eq!(session.events(ended).len(), 2);
}

#[test]
fn a_record_that_comes_twice_counts_once() {
    let karo = Karo::running();
    let mut shell = Typist::new(1);
    let observation = shell.ran("make", 0);
    let mut session = karo.session();
    let verdicts = [0, 1].map(|_| session.observe(observation.clone()).expect("the daemon answers"));
    assert_eq!(verdicts, [Verdict::Committed, Verdict::Duplicate]);
    karo.spool_record(&observation);
    karo.wait_until_spool_is_empty();
    assert_eq!(session.texts(), ["make"]);
}

#[test]
fn a_crash_takes_nothing() {
    let mut karo = Karo::running();
    let mut shell = Typist::new(1);
    let texts: Vec<String> = (0..100).map(|n| format!("echo {n}")).collect();
    karo.keep(texts.iter().map(|text| shell.ran(text.as_bytes(), 0)));
    karo.kill();
    karo.launch();
    karo.wait_until_searchable();
    assert_eq!(karo.session().texts(), texts);
}

#[test]
fn filters_narrow() {
    let karo = Karo::running();
    let mut shell = Typist::new(1);
    karo.keep([shell.ran("git status", 0), shell.ran("git push", 1)]);
    shell.cwd = Bytes::from("/srv/www/site");
    karo.keep([shell.ran("ls -l", 0)]);
    let mut session = karo.session();
    let mut count = |filter| session.events(filter).len();
    let words = |words: &[&str]| words.iter().map(|word| Bytes::from(*word)).collect();
    assert_eq!(count(Filter { words: words(&["git", "pu"]), ..Filter::default() }), 1);
    assert_eq!(count(Filter { words: words(&["GIT"]), ..Filter::default() }), 0);
    let under = |path| Filter { directory: Some(Directory::Under(Bytes::from(path))), ..Filter::default() };
    assert_eq!(count(under("/srv")), 1);
    assert_eq!(count(under("/srv/www/si")), 0);
    let there =
        Filter { directory: Some(Directory::Exactly(Bytes::from("/home/story"))), ..Filter::default() };
    assert_eq!(count(there), 2);
}

#[test]
fn a_count_with_too_many_keys_is_answered_with_the_greatest() {
    let karo = Karo::running();
    let mut typist = Typist::new(1);
    let texts = (0..TALLIES_MAX + 500).map(|number| format!("tool-{number:05} run"));
    let often = (0..3).map(|_| "zz-often run".to_owned());
    let line = |text| ImportLine {
        observation: typist.ran(text, 0),
        id: None,
        is_lost: false,
        redactions: Vec::new(),
    };
    let lines: Vec<ImportLine> = texts.chain(often).map(line).collect();
    let mut session = karo.session();
    for lines in lines.chunks(IMPORT_LINES_MAX) {
        let import = Request::Import(Import { lines: lines.to_vec() });
        let Ok(Reply::Imported(_)) = session.ask(&import) else { panic!("not imported") };
    }
    let count = Count { filter: Filter::default(), by: Some(CountBy::Tool), zone: Zone::default() };
    let Ok(Reply::Tallies(found)) = session.ask(&Request::Count(count)) else { panic!("no counts") };
    assert_eq!(found.tallies.len(), TALLIES_MAX);
    assert_eq!(found.left_out, LeftOut { keys: 501, count: 501, failed: 0 });
    let last = found.tallies.last().expect("there are many");
    assert_eq!((&last.key, last.count), (&CountKey::Text(Bytes::from("zz-often")), 3));
}

#[test]
fn what_waits_in_the_spool_is_taken_in_once() {
    let mut karo = Karo::new();
    let mut shell = Typist::new(1);
    let early: Vec<_> = (0..50).map(|n| shell.ran(format!("early {n}"), 0)).collect();
    for observation in &early {
        karo.spool_record(observation);
    }
    karo.launch();
    karo.wait_until_spool_is_empty();
    karo.spool_record(&shell.ran("late", 0));
    karo.wait_until_spool_is_empty();
    let texts = until("all of them are found", || {
        let texts = karo.session().texts();
        (texts.len() >= 51).then_some(texts)
    });
    assert_eq!(texts.len(), 51);
    assert_eq!(karo.status().intake.spooled, 51);
}

#[test]
fn the_client_delivers_and_spools_while_the_daemon_is_away() {
    let mut karo = Karo::running();
    karo.wait_for_rules();
    observe(&karo, 1, "uname -a");
    assert_eq!(karo.session().texts(), ["uname -a"]);
    assert!(karo.stop().success());
    observe(&karo, 2, "hostname");
    assert_eq!(karo.spooled().len(), 1);
    let mode = fs::metadata(karo.spool().join(&karo.spooled()[0])).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    karo.launch();
    karo.wait_until_spool_is_empty();
    karo.wait_until_searchable();
    assert_eq!(karo.session().texts(), ["uname -a", "hostname"]);
}

/// Runs `karo-observe` as a hook does, for one ended command.
fn observe(karo: &Karo, sequence: u64, text: &str) {
    let sequence = sequence.to_string();
    let output = karo
        .observe_command()
        .args(["end", "--shell", "bash", "--shell-id", &"5a".repeat(16), "--seq", &sequence])
        .args(["--started-us", &format!("176722560000000{sequence}"), "--duration-us", "5", "--exit", "0"])
        .env("KARO_COMMAND", text)
        .env("KARO_CWD", "/tmp")
        .output()
        .expect("karo-observe can be run");
    assert!(output.status.success(), "karo-observe always ends with 0: {}", output.status);
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "it says nothing: {output:?}");
}

#[test]
fn secrets_are_not_stored() {
    let mut karo = Karo::new();
    karo.configure("[log]\nlevel = \"trace\"\n");
    karo.launch();
    let mut shell = Typist::new(1);
    let secrets = [
        format!("export DB_PASSWORD={CANARY}"),
        format!("curl -u admin:{CANARY} http://localhost"),
        format!("git clone https://me:{CANARY}@example.org/x.git"),
    ];
    karo.keep(secrets.iter().map(|text| shell.ran(text.as_bytes(), 0)));
    karo.spool_record(&shell.ran(format!("export API_TOKEN={CANARY}"), 0));
    karo.wait_until_spool_is_empty();
    let events = karo.session().events(Filter::default());
    assert_eq!(events.len(), 4);
    assert!(events.iter().all(|event| event.redactions.len() == 1), "{events:?}");
    assert!(karo.stop().success());
    assert_eq!(files_with(karo.root(), CANARY.as_bytes()), Vec::<PathBuf>::new());
}

/// Returns the files below a directory that hold those bytes.
fn files_with(directory: &Path, needle: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("it is ours").map(|entry| entry.expect("it is ours")) {
        let kind = entry.file_type().expect("it is ours");
        if kind.is_dir() {
            found.extend(files_with(&entry.path(), needle));
        } else if kind.is_file() {
            let bytes = fs::read(entry.path()).expect("it is ours");
            if bytes.windows(needle.len()).any(|window| window == needle) {
                found.push(entry.path());
            }
        }
    }
    found
}

#[test]
fn everything_is_for_its_user_alone() {
    let karo = Karo::running();
    karo.keep([Typist::new(1).ran("true", 0)]);
    let mut open = Vec::new();
    for place in [karo.data(), karo.run(), karo.spool()] {
        collect_open(&place, &mut open);
    }
    assert_eq!(open, Vec::<(PathBuf, u32)>::new());
}

/// Collects what group or others may do anything with.
fn collect_open(path: &Path, open: &mut Vec<(PathBuf, u32)>) {
    let found = fs::symlink_metadata(path).expect("it is ours");
    let mode = found.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        open.push((path.to_owned(), mode));
    }
    if found.is_dir() {
        for entry in fs::read_dir(path).expect("it is ours") {
            collect_open(&entry.expect("it is ours").path(), open);
        }
    }
}

#[test]
fn deleted_is_gone_for_good() {
    let mut karo = Karo::running();
    let mut shell = Typist::new(1);
    let unwanted = shell.ran(format!("echo {CANARY}"), 0);
    karo.keep([shell.ran("echo kept", 0), unwanted.clone()]);
    let filter = Filter { words: vec![Bytes::from(CANARY)], ..Filter::default() };
    let reply = karo.session().ask(&karo_protocol::local::Request::Delete(filter));
    assert!(matches!(reply, Ok(karo_protocol::local::Reply::Deleted(1))), "{reply:?}");
    assert_eq!(karo.session().texts(), ["echo kept"]);
    // A late copy of the same record must not bring it back.
    let verdict = karo.session().observe(unwanted.clone()).expect("the daemon answers");
    assert!(verdict.is_settled(), "{verdict:?}");
    assert_eq!(karo.session().texts(), ["echo kept"]);
    karo.kill();
    karo.launch();
    karo.wait_until_searchable();
    karo.spool_record(&unwanted);
    karo.wait_until_spool_is_empty();
    assert_eq!(karo.session().texts(), ["echo kept"]);
    assert!(karo.stop().success());
    assert_eq!(files_with(&karo.data(), CANARY.as_bytes()), Vec::<PathBuf>::new());
}

#[test]
fn what_the_user_ignores_is_never_written() {
    let mut karo = Karo::new();
    karo.configure("[record]\nignore = [\"pass *\"]\nignore_dirs = [\"/private\"]\n");
    karo.launch();
    let mut shell = Typist::new(1);
    let mut session = karo.session();
    let verdict = session.observe(shell.ran(format!("pass show {CANARY}"), 0)).expect("the daemon answers");
    assert_eq!(verdict, Verdict::Ignored);
    shell.cwd = Bytes::from("/private/notes");
    karo.spool_record(&shell.ran(format!("cat {CANARY}"), 0));
    karo.wait_until_spool_is_empty();
    assert_eq!(session.texts(), Vec::<String>::new());
    assert_eq!(karo.status().intake.ignored, 2);
    assert!(karo.stop().success());
    assert_eq!(files_with(&karo.data(), CANARY.as_bytes()), Vec::<PathBuf>::new());
}

#[test]
fn a_running_command_is_lost_when_its_shell_is_gone() {
    let mut karo = Karo::running();
    let mut shell = Typist::new(1);
    // A process that has lived and is gone, of this boot and this pid namespace.
    let mut child = std::process::Command::new("true").spawn().expect("true can be run");
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("Linux has one");
    shell.shell.process = Some(karo_protocol::observation::ShellProcess {
        pid: child.id(),
        started_ticks: 1,
        boot: boot.trim().parse().expect("it is a boot id"),
        namespace: std::os::unix::fs::MetadataExt::ino(
            &fs::metadata("/proc/self/ns/pid").expect("Linux has one"),
        ),
    });
    child.wait().expect("it is our child");
    karo.keep([shell.started("sleep infinity")]);
    let is_lost = |karo: &Karo| {
        let events = karo.session().events(Filter::default());
        (events.len() == 1 && events[0].outcome == Outcome::Lost).then_some(())
    };
    karo.kill();
    karo.launch();
    until("the command is known to be lost", || is_lost(&karo));
}
