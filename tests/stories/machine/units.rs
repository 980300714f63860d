//! The user's units: whole, confined, and enough for the first start of somebody new.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use karo_tests::binaries::checkout;
use karo_tests::machine::Machine;
use karo_tests::{Typist, until};

use super::{SOCKET, keep, texts};

/// The most that each unit may be exposed, in tenths; a plain one is at 98.
const EXPOSURES_MAX: [(&str, u8); 2] = [("karod.service", 15), ("karod@.service", 12)];

fn unit(name: &str) -> PathBuf {
    checkout().join("service-units").join(name)
}

#[test]
fn services_are_hardly_exposed() {
    for (name, exposure_max) in EXPOSURES_MAX {
        let threshold = format!("--threshold={exposure_max}");
        let judge = ["security", "--offline=true", "--no-pager", &threshold];
        let Ok(output) = Command::new("systemd-analyze").args(judge).arg(unit(name)).output() else {
            eprintln!("skipped: systemd-analyze is not installed");
            return;
        };
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        eprintln!("{}", said.lines().last().unwrap_or_default());
    }
}

#[test]
fn root_units_are_sound() {
    let Some(machine) = Machine::boot() else { return };
    let verify = "systemd-analyze verify --recursive-errors=yes karod@ann.service karod@ann.socket";
    machine.add_user("ann");
    for said in [
        machine.root(verify),
        machine.as_user(
            "ann",
            "systemd-analyze --user verify --recursive-errors=yes karod.service karod.socket",
        ),
    ] {
        assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (0, "", ""), "{}", said.script);
    }
}

#[test]
fn root_the_first_command_of_somebody_new_starts_the_daemon() {
    let Some(machine) = Machine::boot() else { return };
    machine.add_user("ann");
    machine.as_user("ann", "systemctl --user enable --now karod.socket").ok();
    assert_eq!(machine.property(Some("ann"), "karod.service", "ActiveState"), "inactive");
    let observe = "KARO_CWD=/ KARO_COMMAND='echo first' karo-observe end --shell bash \
        --shell-id 000102030405060708090a0b0c0d0e0f --seq 1 --started-us 1767225600000000 --duration-us 10 --exit 0";
    machine.as_user("ann", observe).ok();
    machine.until_property(Some("ann"), "karod.service", "ActiveState", "active");
    until("it is recorded", || (texts(&machine, "ann", SOCKET) == ["echo first"]).then_some(()));
    let modes =
        machine.as_user("ann", "stat -c '%a %n' .config/karo .local/share/karo .local/state/karo").ok();
    assert_eq!(modes, "700 .config/karo\n700 .local/share/karo\n700 .local/state/karo");
    let modes = machine.as_user("ann", "cd $XDG_RUNTIME_DIR && stat -c '%a %n' karo karo/karod.sock").ok();
    assert_eq!(modes, "700 karo\n600 karo/karod.sock");

    // What was taken away meanwhile is made again.
    machine
        .as_user("ann", "systemctl --user stop karod && rm -r .config/karo .local/share/karo .local/state")
        .ok();
    let begun = Instant::now();
    keep(&mut machine.session("ann", SOCKET), [Typist::new(1).ran("echo again", 0)]);
    eprintln!("started and acknowledged: {} ms", begun.elapsed().as_millis());
    assert_eq!(texts(&machine, "ann", SOCKET), ["echo again"]);
    machine.as_user("ann", "test -e .local/share/karo/identity.key && test -d .local/state/karo/spool").ok();
}

#[test]
fn root_a_daemon_in_its_unit_sees_what_it_needs() {
    let Some(machine) = Machine::boot() else { return };
    machine.add_user("ann");
    let config = "[record]\nfollow = [{ shell = \"mksh\", path = \"~/.mksh_history\" }]\n";
    machine.write("/home/ann/dotfiles/config.toml", config);
    // The configuration is a link, as people who keep theirs elsewhere have it.
    machine.as_user("ann", "mkdir -p .config/karo && ln -s ~/dotfiles/config.toml .config/karo/").ok();
    let type_into = |line: &str| {
        // A shell keeps a history only where it believes that a person types.
        let script = format!(
            "command -v mksh >/dev/null || exit 77\nprintf '%s\\nexit\\n' '{line}' | \
             HISTFILE=$HOME/.mksh_history script --quiet --return --command mksh /dev/null"
        );
        machine.as_user("ann", &script).code != 77
    };
    let has_mksh = type_into("echo before");
    machine.as_user("ann", "systemctl --user start karod").ok();
    if has_mksh {
        type_into("echo followed");
        until("what is added to a followed history is recorded", || {
            texts(&machine, "ann", SOCKET).contains(&"echo followed".to_owned()).then_some(())
        });
    }
    lost_with_its_shell(&machine, "ann", SOCKET);
    // The spool of hooks lies in memory, that of clients does not: both are taken in.
    for (sequence, spool) in [(1, "$XDG_RUNTIME_DIR/karo/spool"), (2, "$HOME/.local/state/karo/spool")] {
        let observe = format!(
            "KARO_CWD=/ KARO_COMMAND='echo spooled {sequence}' karo-observe end --shell bash --socket /nowhere \
             --shell-id 0f0102030405060708090a0b0c0d0e0f --seq {sequence} --started-us 1767225600000000 --spool {spool}"
        );
        machine.as_user("ann", &observe).ok();
        let text = format!("echo spooled {sequence}");
        until("a spooled record is taken in", || {
            texts(&machine, "ann", SOCKET).contains(&text).then_some(())
        });
    }
}

#[test]
fn root_work_that_can_wait_is_behind_all_other() {
    let Some(machine) = Machine::boot() else { return };
    machine.add_user("ann");
    machine.add_guest("bob");
    machine.as_user("ann", "systemctl --user start karod").ok();
    machine.root("systemctl start karod@bob").ok();
    // A user's manager cannot go before where it was put itself, for instance by whoever runs the tests.
    let placed: i32 = nice_value(&machine, "1").parse().expect("it is a number");
    for (user, unit, expected) in
        [(Some("ann"), "karod.service", placed.max(5)), (None, "karod@bob.service", 5)]
    {
        let pid = machine.property(user, unit, "MainPID");
        let threads = machine.root(&format!("ls /proc/{pid}/task")).ok();
        let of_thread = |thread: &str| {
            let name = machine.root(&format!("cat /proc/{pid}/task/{thread}/comm")).ok();
            let class = machine.root(&format!("ionice -p {thread}")).ok();
            (name, format!("{}, {class}", nice_value(&machine, thread)))
        };
        let threads: Vec<(String, String)> = threads.lines().map(of_thread).collect();
        let (behind, ahead): (Vec<_>, Vec<_>) =
            threads.iter().partition(|(name, _)| name == "karo-background");
        assert!(behind.len() >= 2 && behind.iter().all(|(_, how)| how == "10, idle"), "{threads:?}");
        let how_ahead = format!("{expected}, best-effort: prio 6");
        assert!(ahead.len() > 5 && ahead.iter().all(|(_, how)| *how == how_ahead), "{threads:?}");
    }
}

/// Returns field 19 of `/proc/PID/stat`.
fn nice_value(machine: &Machine, thread: &str) -> String {
    let stat = machine.root(&format!("cat /proc/{thread}/stat")).ok();
    let (_, after_name) = stat.rsplit_once(") ").expect("the name stands in parentheses");
    after_name.split(' ').nth(16).expect("there are 52 fields").to_owned()
}

/// Begins a command in a shell, ends the shell, and demands that the command is lost: its process is watched.
pub(super) fn lost_with_its_shell(machine: &Machine, user: &str, socket: &str) {
    let begin = format!(
        "sleep infinity & KARO_CWD=/ KARO_COMMAND='echo lost' karo-observe start --shell zsh --socket {socket} \
         --shell-id 0e0102030405060708090a0b0c0d0e0f --seq 1 --started-us 1767225600000000 --pid $! --spool /nowhere \
         && echo $!"
    );
    // What holds its output would be waited for.
    let shell = machine.as_user(user, &format!("({begin}) 2>/dev/null | head -1")).ok();
    let state = || {
        let events = machine.session(user, socket).events(karo_protocol::query::Filter::default());
        let event = events.into_iter().find(|event| event.command.as_bytes() == b"echo lost");
        event.map(|event| format!("{:?}", event.outcome))
    };
    until("the command runs", || state().filter(|state| state.contains("Running")));
    machine.as_user(user, &format!("kill {shell}")).ok();
    until("the command is lost with its shell", || state().filter(|state| state.contains("Lost")));
}

#[test]
fn the_agent_of_launchd_says_what_it_must() {
    let agent = plist::Value::from_file(unit("org.karo.karod.plist")).expect("it is a property list");
    let agent = agent.as_dictionary().expect("it is a dictionary");
    let text = |key: &str| agent.get(key).and_then(plist::Value::as_string);
    assert_eq!(text("Label"), Some("org.karo.karod"));
    assert_eq!(text("ProcessType"), Some("Background"));
    let number = |key: &str| agent.get(key).and_then(plist::Value::as_unsigned_integer);
    assert_eq!(number("Umask"), Some(0o077));
    assert!(number("ThrottleInterval").is_some_and(|seconds| seconds >= 10), "{agent:?}");
    let dictionary = |of: &plist::Dictionary, key: &str| {
        of.get(key).and_then(plist::Value::as_dictionary).cloned().unwrap_or_default()
    };
    let alive = dictionary(agent, "KeepAlive");
    assert_eq!(alive.get("SuccessfulExit").and_then(plist::Value::as_boolean), Some(false));
    let socket = dictionary(&dictionary(agent, "Sockets"), "karod");
    assert_eq!(socket.get("SockPathMode").and_then(plist::Value::as_unsigned_integer), Some(0o600));
    let places = dictionary(agent, "EnvironmentVariables");
    let path =
        |of: &plist::Dictionary, key: &str| of.get(key).and_then(plist::Value::as_string).map(PathBuf::from);
    assert_eq!(path(&socket, "SockPathName"), path(&places, "KARO_SOCKET"));
    for place in ["KARO_CONFIG", "KARO_DATA_DIR", "KARO_SOCKET", "XDG_STATE_HOME"] {
        assert!(path(&places, place).is_some_and(|path| path.is_absolute()), "{place}");
    }
    let program = agent.get("ProgramArguments").and_then(plist::Value::as_array).expect("it runs something");
    assert_eq!(
        program.first().and_then(plist::Value::as_string).map(Path::new),
        Some(Path::new("/usr/bin/karod"))
    );
}
