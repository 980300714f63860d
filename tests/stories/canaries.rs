//! No secret is on any disk: neither of what was recorded, nor, afterwards, of what older rules had let through.

#[path = "../../daemon/core/tests/secrets/draw.rs"]
mod draw;

use std::fs;
use std::path::{Path, PathBuf};

use karo_protocol::Risk;
use karo_protocol::local::{Reclassified, Reclassify, Reply, Request, Verdict};
use karo_protocol::query::Filter;
use karo_tests::Karo;
use karo_tests::session::Session;
use karo_tests::typist::Typist;
use karo_tests::wait::until;
use memchr::memmem;
use rustix::process::Signal;

use draw::{Dice, Line};

const TEMPLATES: &str = include_str!("../../daemon/core/tests/secrets/secrets.tsv");

/// A secret shorter than that can stand in a file by chance.
const TOLD_BY_CHANCE: usize = 8;

/// Lines with secrets of every kind that we know.
fn lines(seed: u64) -> Vec<Line> {
    let mut dice = Dice(seed);
    let templates = TEMPLATES.lines().filter(|row| !row.starts_with('#'));
    let templates = templates.filter_map(|row| row.split_once('\t'));
    templates.map(|(_, template)| draw::line(template, &mut dice)).collect()
}

fn secrets(lines: &[Line]) -> Vec<&str> {
    let secrets = lines.iter().flat_map(|line| line.secrets.iter().map(|secret| &line.text[secret.clone()]));
    secrets.filter(|secret| secret.len() >= TOLD_BY_CHANCE).collect()
}

/// Returns every file below a directory.
fn files(below: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(below).into_iter().flatten().flatten();
    let path = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => files(&entry.path()),
        Ok(kind) if kind.is_file() => vec![entry.path()],
        Ok(_) | Err(_) => Vec::new(),
    };
    entries.flat_map(path).collect()
}

/// Names the files that hold one of these texts.
fn holders(karo: &Karo, texts: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files(karo.root()) {
        let Ok(bytes) = fs::read(&file) else { continue };
        for text in texts.iter().filter(|text| memmem::find(&bytes, text.as_bytes()).is_some()) {
            found.push(format!("{}: {text}", file.display()));
        }
    }
    found
}

fn reclassified(session: &mut Session, redact: bool) -> Reclassified {
    let mut reply = session.ask(&Request::Reclassify(Reclassify { redact })).expect("it answers");
    loop {
        match reply {
            Reply::Progress(_) => reply = session.receive().expect("there is more").1,
            Reply::Reclassified(done) => return done,
            other => panic!("nothing was understood again: {other:?}"),
        }
    }
}

#[test]
fn no_secret_is_on_the_disk() {
    let lines = lines(11);
    let secrets = secrets(&lines);
    assert!(secrets.len() > 300, "{}", secrets.len());
    let mut karo = Karo::new();
    karo.configure("[log]\nlevel = \"trace\"\n");
    karo.launch();
    let mut shell = Typist::new(1);
    let mut session = karo.session();
    for (place, line) in lines.iter().enumerate() {
        let seen = shell.ran(line.text.as_str(), 0);
        if place % 2 == 0 {
            assert_eq!(session.observe(seen).expect("it answers"), Verdict::Committed);
        } else {
            karo.spool_record(&seen);
        }
    }
    karo.wait_until_spool_is_empty();
    until("all of them are kept", || (session.events(Filter::default()).len() == lines.len()).then_some(()));
    let exported = session.texts().join("\n");
    let told: Vec<_> = secrets.iter().filter(|secret| exported.contains(**secret)).collect();
    assert_eq!(told, Vec::<&&str>::new(), "none is found again");
    assert_eq!(holders(&karo, &secrets), Vec::<String>::new());
    assert!(karo.stop().success());
    assert_eq!(holders(&karo, &secrets), Vec::<String>::new());
}

#[test]
fn what_older_rules_let_through_is_cut_and_gone() {
    const SECRET: &str = "quokka-7731-blue";
    let mut karo = Karo::running();
    let mut shell = Typist::new(1);
    karo.keep((0..40).map(|n| match n % 8 {
        0 => shell.ran(format!("acme-door open {SECRET} --floor {n}"), 0),
        _ => shell.ran(format!("ls {n}"), 0),
    }));
    let before = karo.session().events(Filter::default());
    assert!(!holders(&karo, &[SECRET]).is_empty(), "it is there to be found");

    karo.configure("[redact]\nextra = [\"quokka-[0-9]+-[a-z]+\"]\n");
    karo.signal(Signal::HUP);
    let mut session = karo.session();
    // What is in force is seen by what happens to the next one.
    until("the new pattern holds", || {
        let seen = shell.ran(format!("acme-door shut {SECRET}"), 0);
        assert_eq!(session.observe(seen).expect("it answers"), Verdict::Committed);
        let texts = session.texts();
        texts.last().is_some_and(|text| !text.contains(SECRET)).then_some(())
    });
    let done = reclassified(&mut session, true);
    assert!(done.redacted >= 5, "{done:?}");
    let after = session.events(Filter::default());
    assert!(after.iter().all(|event| !String::from_utf8_lossy(event.command.as_bytes()).contains(SECRET)));
    for (old, new) in before.iter().zip(&after) {
        assert_eq!((old.id, old.sequence, old.started_at), (new.id, new.sequence, new.started_at));
    }
    assert_eq!(holders(&karo, &[SECRET]), Vec::<String>::new());
    assert_eq!(reclassified(&mut session, true).changed, 0, "a second time there is nothing to do");
    assert!(karo.stop().success());
    assert_eq!(holders(&karo, &[SECRET]), Vec::<String>::new());
}

#[test]
fn what_is_stored_is_understood_by_new_rules() {
    let mut karo = Karo::new();
    let rules = karo.root().join("rules");
    fs::create_dir(&rules).expect("the place is ours");
    karo.configure(&format!("[rules]\ndirs = [\"{}\"]\n", rules.display()));
    karo.launch();
    let mut shell = Typist::new(1);
    karo.keep((0..20).map(|n| shell.ran(if n % 2 == 0 { "frobnicate now" } else { "ls" }, 0)));
    let mut session = karo.session();
    let risky = |session: &mut Session| {
        let filter = Filter { risk: Some(Risk::Medium), ..Filter::default() };
        session.events(filter).len()
    };
    assert_eq!(risky(&mut session), 0);
    let before = session.status().rules.version;
    let rule = "title: Own\nid: 7a0e3f52-5f0e-4a27-9d0b-7c2f4a1e6b10\nstatus: test\nlogsource:\n  category: \
                process_creation\n  product: linux\ndetection:\n  selection:\n    Image|endswith: /frobnicate\n  \
                condition: selection\nlevel: high\n";
    fs::write(rules.join("own.yml"), rule).expect("the place is ours");
    until("the rule is read", || (session.status().rules.version != before).then_some(()));
    let done = reclassified(&mut session, false);
    assert_eq!((done.events, done.changed, done.redacted), (20, 20, 0));
    assert_eq!(risky(&mut session), 10);
    // The same after a restart, and in the views.
    assert!(karo.stop().success());
    karo.launch();
    karo.wait_until_searchable();
    let mut session = karo.session();
    assert_eq!(risky(&mut session), 10);
    match session.ask(&Request::StoreVerify(())).expect("it answers") {
        Reply::Verified(verified) => {
            assert!(verified.views_agree && verified.damage_count == 0, "{verified:?}")
        }
        other => panic!("not verified: {other:?}"),
    }
}
