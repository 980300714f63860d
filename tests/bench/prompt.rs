//! Measures what the hooks add to a prompt, and `karo-observe` itself, and prints one table:
//! `cargo run --release -p karo-tests --bin bench-prompt`.
//!
//! From the Enter key of a builtin that does nothing until the next prompt is shown, on a terminal.
//! All variants of a shell run at once and take turns, so that a busy machine is busy for each of them;
//! what is shown is the median, and what it is above the same shell without a hook. The floor forks a
//! static program that writes 200 bytes to a socket, once for each record that the shell sends.
//! `KARO_BENCH_TURNS` sets how often (300). For figures that count, build the clients with their own
//! profile and set `KARO_TEST_CLIENT_DIR=target/client`.

#![expect(clippy::print_stdout, reason = "a table is what it is for")]
#![expect(unreachable_pub, reason = "a program has no outside")]

#[path = "../shells/arrivals.rs"]
#[expect(dead_code, reason = "the tests of the shells use the rest")]
mod arrivals;
#[path = "../../client/src/hook.rs"]
#[expect(dead_code, reason = "the hook is made as karoctl makes it, by the same file")]
mod hook;
#[path = "../shells/pty.rs"]
#[expect(dead_code, reason = "the tests of the shells use the rest")]
mod pty;
#[path = "../shells/shell.rs"]
#[expect(dead_code, reason = "the tests of the shells use the rest")]
mod shell;

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use karo_protocol::frame::Header;
use karo_protocol::limits::FRAME_BYTES_MAX;
use karo_protocol::local::{Reply, Request, Verdict};
use karo_tests::binaries::{binaries, checkout};
use karo_tests::{Karo, number_from};

use crate::hook::{HookShell, Mode};
use crate::shell::{Setup, Shell, bash_version};

/// What background processes of one turn get, so that the next turn is not theirs.
const REST: Duration = Duration::from_millis(8);

fn main() {
    let turns = usize::try_from(number_from("KARO_BENCH_TURNS", 300)).expect("it is small");
    let place = tempfile::tempdir().expect("temporary files can be made");
    let floor = built_floor(place.path());
    let sink = place.path().join("sink");
    let listener = UnixListener::bind(&sink).expect("the place is ours");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(stream);
        }
    });
    let frozen = place.path().join("frozen");
    let _never_answers = UnixListener::bind(&frozen).expect("the place is ours");
    let daemon = Karo::running();
    clients(turns, &floor, &sink, &daemon.socket());
    println!();
    println!("{:<44}{:>12}{:>12}{:>12}", "prompt", "median", "added", "of the fork");
    for shell in HookShell::ALL {
        prompts(shell, turns, &floor, &sink, &daemon.socket(), &frozen);
    }
}

fn built_floor(place: &Path) -> PathBuf {
    let program = place.join("floor");
    let status = Command::new("rustc")
        .args(["-O", "-C", "panic=abort", "-C", "target-feature=+crt-static", "-C", "strip=symbols", "-o"])
        .arg(&program)
        .arg(checkout().join("tests/bench/floor.rs"))
        .status()
        .expect("rustc can be run");
    assert!(status.success());
    program
}

/// Answers an observation at once, as no disk could, and lets everything else go.
fn answer(mut stream: UnixStream) {
    let mut head = [0; Header::SIZE];
    if stream.read_exact(&mut head).is_err() {
        return;
    }
    let Ok(header) = Header::parse(&head, FRAME_BYTES_MAX) else { return };
    let mut payload = vec![0; header.length as usize];
    if stream.read_exact(&mut payload).is_err() {
        return;
    }
    if let Ok((id, Request::Observe(_))) = Request::decode(header.kind, &payload) {
        let reply = Reply::Observed(Verdict::Committed).encode(id).expect("it is short");
        // A client that is gone needs no answer.
        _ = stream.write_all(&reply);
    }
}

/// From the start of a client to its end.
fn clients(turns: usize, floor: &Path, sink: &Path, daemon: &Path) {
    let observe = &binaries().karo_observe;
    let spool = floor.with_file_name("spool");
    let mut variants = [
        ("static program that writes 200 bytes", command(floor, &[sink.as_os_str()])),
        ("karo-observe, answered at once", observing(observe, sink, &spool)),
        ("karo-observe, real daemon (with its sync)", observing(observe, daemon, &spool)),
        ("/bin/true", command(Path::new("/bin/true"), &[])),
    ];
    let mut times = vec![Vec::with_capacity(turns); variants.len()];
    for turn in 0..turns {
        for ((_, command), times) in variants.iter_mut().zip(&mut times) {
            command.env("KARO_COMMAND", format!("echo {turn}"));
            let begun = Instant::now();
            let status = command.status().expect("the program runs");
            times.push(begun.elapsed());
            assert!(status.success());
        }
    }
    println!("{:<44}{:>12}{:>12}", "client, start to exit", "median", "of the floor");
    let medians: Vec<_> = times.into_iter().map(median).collect();
    for ((name, _), time) in variants.iter().zip(&medians) {
        println!("{name:<44}{:>12}{:>12.2}", micros(*time), time.as_secs_f64() / medians[0].as_secs_f64());
    }
}

fn command(program: &Path, arguments: &[&std::ffi::OsStr]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// As a hook calls it, which says everything that can be said once.
fn observing(observe: &Path, socket: &Path, spool: &Path) -> Command {
    let mut command = command(observe, &[]);
    let given = "end --shell bash --shell-id 000102030405060708090a0b0c0d0e0f --user me --host here --tty pts/1 \
        --ssh 0 --pid 1 --pid-start 1 --boot-id 00010203-0405-0607-0809-0a0b0c0d0e0f --pid-ns 4026531836 \
        --parent tmux --seq 1 --started-us 1700000000000000 --dropped 0 --precision-us 1 --command-cut 0 \
        --cwd-cut 0 --duration-us 1000 --exit 0 --pipestatus 0";
    command.args(given.split_whitespace()).arg("--socket").arg(socket).arg("--spool").arg(spool);
    command.env("KARO_CWD", "/home/me/src");
    command
}

/// One shell, with and without a hook, side by side.
fn prompts(kind: HookShell, turns: usize, floor: &Path, sink: &Path, daemon: &Path, frozen: &Path) {
    let new = |mode| Setup::new(kind, mode);
    let away = Path::new("/nowhere/karod.sock");
    let variants = [
        ("no hook", new(Mode::Spool).without_hook()),
        ("floor: one fork each", new(Mode::Spool).without_hook().after(&forking(kind, floor, sink, false))),
        (
            "floor: the same, $! kept",
            new(Mode::Spool).without_hook().after(&forking(kind, floor, sink, true)),
        ),
        ("spool", new(Mode::Spool)),
        ("client, daemon runs", new(Mode::Client).socket_at(daemon.into())),
        ("client, daemon away", new(Mode::Client).socket_at(away.into())),
        ("client, daemon frozen", new(Mode::Client).socket_at(frozen.into())),
    ];
    let (names, mut shells): (Vec<_>, Vec<Shell>) =
        variants.into_iter().map(|(name, setup)| (name, setup.start())).unzip();
    let mut times = vec![Vec::with_capacity(turns); names.len()];
    for _ in 0..turns {
        for (shell, times) in shells.iter_mut().zip(&mut times) {
            shell.keys(b":");
            shell.wait_for(":");
            let begun = Instant::now();
            shell.run("");
            times.push(begun.elapsed());
            thread::sleep(REST);
        }
        empty(&shells);
    }
    let medians: Vec<_> = times.into_iter().map(median).collect();
    let added = |time: Duration| time.as_secs_f64() - medians[0].as_secs_f64();
    for (name, time) in names.iter().zip(&medians) {
        let (added, fork) = (added(*time), added(medians[1]));
        println!(
            "{:<44}{:>12}{:>9.0} µs{:>12.2}",
            format!("{}: {name}", kind.name()),
            micros(*time),
            added * 1e6,
            added / fork
        );
    }
}

/// Plays the daemon that takes what is spooled.
fn empty(shells: &[Shell]) {
    for shell in shells {
        for spool in [shell.setup.hook_spool(), shell.setup.client_spool()] {
            for (path, _) in arrivals::modes(&spool) {
                if path.extension().is_some_and(|side| side == "s" || side == "e") {
                    // It may be gone already: the shells do not share their spools, but nobody promises it.
                    _ = std::fs::remove_file(path);
                }
            }
        }
    }
}

/// The plainest hook there could be, one for each record that ours sends.
fn forking(kind: HookShell, floor: &Path, sink: &Path, keeps_last: bool) -> String {
    let call = format!("{} {}", floor.display(), sink.display());
    match (kind, keeps_last) {
        (HookShell::Bash, true) if bash_version() < (5, 3) => {
            format!("PROMPT_COMMAND='( {call} & ) </dev/null &>/dev/null'")
        }
        (HookShell::Bash, _) => format!("PROMPT_COMMAND='{{ {call} & disown; }} </dev/null &>/dev/null'"),
        // A child of its own makes zsh forget a prompt now and then, so there is no plainer way.
        (HookShell::Zsh, _) => format!(
            "preexec() {{ ( {call} & ) </dev/null &>/dev/null }}; precmd() {{ ( {call} & ) </dev/null &>/dev/null }}"
        ),
        (HookShell::Fish, _) => format!(
            "function floor_pre --on-event fish_preexec; {call} </dev/null &>/dev/null &; disown; end\n\
             function floor_post --on-event fish_postexec; {call} </dev/null &>/dev/null &; disown; end"
        ),
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn micros(time: Duration) -> String {
    format!("{:.0} µs", time.as_secs_f64() * 1e6)
}
