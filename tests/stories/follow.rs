//! Shells without hooks: what a real mksh and a real ksh add to their history files is taken in, once.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use karo_tests::{Karo, Typist, until};
use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::process::Signal;

/// Types lines into an interactive shell on a terminal of its own, and waits for its end; tells
/// whether there is such a shell.
fn type_into(karo: &Karo, shell: &str, history: &Path, lines: &str) -> bool {
    if Command::new(shell).args(["-c", "true"]).status().is_err() {
        eprintln!("skipped: {shell} is not installed");
        return false;
    }
    let mut script = karo.command(Path::new("script"));
    script
        .args(["--quiet", "--return", "--command", shell, "/dev/null"])
        .env("HISTFILE", history)
        .env("SHELL", "/bin/sh");
    let started = script.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut script = started.expect("script is part of util-linux");
    let mut terminal = script.stdin.take().expect("it was piped");
    terminal.write_all(lines.as_bytes()).expect("the terminal reads");
    drop(terminal);
    script.wait().expect("script is our child");
    true
}

fn history_of(karo: &Karo, shell: &str) -> PathBuf {
    karo.home().join(format!(".{shell}_history"))
}

fn following(karo: &Karo, shells: &[&str]) -> String {
    let entry =
        |shell: &&str| format!("{{ shell = \"{shell}\", path = \"{}\" }}", history_of(karo, shell).display());
    format!("[record]\nfollow = [{}]\n", shells.iter().map(entry).collect::<Vec<_>>().join(", "))
}

fn wait_for(karo: &Karo, expected: &[&str]) {
    until("the history is taken in", || {
        let mut texts = karo.session().texts();
        texts.sort();
        (texts == expected).then_some(())
    });
}

fn follows(shell: &str) {
    let mut karo = Karo::new();
    karo.configure(&following(&karo, &[shell]));
    let history = history_of(&karo, shell);
    if !type_into(&karo, shell, &history, "echo before\nexit\n") {
        return;
    }
    assert!(history.exists(), "{shell} keeps its history in HISTFILE");
    karo.launch();
    wait_for(&karo, &["echo before", "exit"]);
    type_into(&karo, shell, &history, "echo \"two\nlines\"\n echo hidden\nexit\n");
    wait_for(&karo, &["echo \"two\nlines\"", "echo before", "exit", "exit"]);
    assert!(karo.stop().success());
    karo.launch();
    type_into(&karo, shell, &history, "echo after\nexit\n");
    wait_for(&karo, &["echo \"two\nlines\"", "echo after", "echo before", "exit", "exit", "exit"]);
}

#[test]
fn mksh_is_followed_by_its_history_file() {
    follows("mksh");
}

#[test]
fn ksh_is_followed_by_its_history_file() {
    follows("ksh");
}

#[test]
fn a_file_is_followed_from_the_next_reload_on() {
    let karo = Karo::running();
    let history = history_of(&karo, "mksh");
    fs::write(&history, b"\xab\xcd\xff\0\0\0\x01make all\0").expect("the home is ours");
    karo.configure(&following(&karo, &["mksh"]));
    karo.signal(Signal::HUP);
    wait_for(&karo, &["make all"]);
}

#[test]
fn a_pipe_in_a_historys_place_is_named_once_and_holds_nobody_up() {
    let mut karo = Karo::new();
    let (pipe, history) = (history_of(&karo, "pipe"), history_of(&karo, "mksh"));
    mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).expect("the home is ours");
    let followed = |path: &Path| format!("{{ shell = \"mksh\", path = \"{}\" }}", path.display());
    karo.configure(&format!("[record]\nfollow = [{}, {}]\n", followed(&pipe), followed(&history)));
    karo.launch();
    // Whoever waited for the pipe would leave the spool and the other histories waiting too.
    karo.spool_record(&Typist::new(1).ran("spooled", 0));
    wait_for(&karo, &["spooled"]);
    fs::write(&history, b"\xab\xcd\xff\0\0\0\x01first\0").expect("the home is ours");
    wait_for(&karo, &["first", "spooled"]);
    let mut file = fs::File::options().append(true).open(&history).expect("the home is ours");
    file.write_all(b"\xff\0\0\0\x02second\0").expect("the home is ours");
    wait_for(&karo, &["first", "second", "spooled"]);
    let log = karo.log();
    let named = log.lines().filter(|line| line.contains("it is a pipe, not a file"));
    assert_eq!(named.count(), 1, "{log}");
    // Once a file lies there, it is followed.
    fs::remove_file(&pipe).expect("the home is ours");
    fs::write(&pipe, b"\xab\xcd\xff\0\0\0\x01after\0").expect("the home is ours");
    wait_for(&karo, &["after", "first", "second", "spooled"]);
}
