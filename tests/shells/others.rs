//! Cases 45, 46, 48 and 50: shells in shells, beside shells, and under other users; and who may read what.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::arrivals::modes;
use crate::hook::HookShell;
use crate::in_shells;
use crate::shell::Setup;

in_shells! {
    case_45_nested_shell: bash zsh fish;
    case_46_sourced_script: bash zsh fish;
    case_46_not_interactive: bash zsh fish;
    case_48_two_terminals: bash zsh fish;
    case_50_other_user: bash zsh fish;
    canary_is_in_no_argument: bash zsh fish;
}

fn case_45_nested_shell(setup: Setup) {
    let inner = match setup.shell {
        HookShell::Bash => {
            let program = std::env::var("KARO_TEST_BASH").unwrap_or_else(|_| "bash".to_owned());
            format!("FIRST=1000 {program} --noprofile --rcfile ~/.bashrc -i")
        }
        HookShell::Zsh => "FIRST=1000 zsh -o no_global_rcs -i".to_owned(),
        HookShell::Fish => "FIRST=1000 fish -i".to_owned(),
    };
    let mut shell = setup.start();
    shell.run("true");
    shell.number_prompts_from(1000);
    shell.run(&inner);
    shell.run("echo inside");
    shell.number_prompts_from(2);
    shell.run("exit 4");
    let seen = shell.expect(&[("true", 0), (&inner, 4)]);
    let outer = seen[0].any().shell.clone();
    let own = shell.pty.pid();
    let nested = karo_tests::until("the nested shell's records have arrived", || {
        let nested = shell.arrived_of(|pid| pid != own);
        (nested.len() == 2 && nested.values().all(|sides| sides.end.is_some())).then_some(nested)
    });
    let texts: Vec<_> = nested.values().map(crate::arrivals::Seen::text).collect();
    assert_eq!(texts, ["echo inside", "exit 4"]);
    assert!(nested.values().all(|sides| sides.any().shell.id != outer.id));
    let parent = nested[&1].any().shell.parent.clone().expect("it was found");
    assert!(parent.starts_with(outer.kind.name()), "{parent}");
}

fn case_46_sourced_script(setup: Setup) {
    fs::write(setup.home().join("x.sh"), "echo in\ntrue\nfalse\n").expect("the place is ours");
    let program = setup.shell.name();
    let inner = format!("{program} -c 'true; false'");
    let script = format!("{program} x.sh");
    let mut shell = setup.start();
    for line in ["source ./x.sh", &inner, &script] {
        shell.run(line);
    }
    shell.expect(&[("source ./x.sh", 1), (&inner, 1), (&script, 1)]);
    let own = shell.pty.pid();
    assert!(shell.arrived_of(|pid| pid != own).is_empty());
}

/// As scp and sftp need it: the rc file is read, and nothing is said.
fn case_46_not_interactive(setup: Setup) {
    let shell = setup.start();
    let hook = shell.setup.hook();
    let output = Command::new(shell.kind().name())
        .arg("-c")
        .arg(format!("source '{}'; true; echo done", hook.display()))
        .env("HOME", shell.setup.home())
        .output()
        .expect("the shell is installed");
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"done\n"[..], &b""[..]));
    assert!(shell.arrived_of(|_| true).is_empty());
}

fn case_48_two_terminals(setup: Setup) {
    let other = Setup::new(setup.shell, setup.mode).beside(&setup);
    let mut shells = [setup.start(), other.start()];
    for turn in 0..20 {
        for shell in &mut shells {
            shell.keys(format!("echo {turn}\r").as_bytes());
        }
    }
    let wanted: Vec<_> = (0..20).map(|turn| format!("echo {turn}")).collect();
    for shell in &mut shells {
        shell.wait_for_line("19");
        shell.prompt();
        let texts: Vec<_> = shell.finish().iter().map(crate::arrivals::Seen::text).collect();
        assert_eq!(texts, wanted);
    }
}

/// A hook that was made for one user and is loaded by another does nothing at all.
fn case_50_other_user(setup: Setup) {
    let other = rustix::process::geteuid().as_raw() + 1;
    let mut shell = setup.for_user(other).start();
    shell.run("echo one");
    shell.run("echo two");
    for directory in [shell.setup.hook_spool(), shell.setup.client_spool()] {
        assert!(modes(&directory).is_empty());
    }
    assert!(!shell.pty.screen().contains("karo"));
}

/// Whoever lists the processes never sees the text that was typed.
fn canary_is_in_no_argument(setup: Setup) {
    let is_over = AtomicBool::new(false);
    let canary = format!("canary{}", std::process::id());
    let mut shell = setup.start();
    thread::scope(|scope| {
        let looker = scope.spawn(|| {
            let (mut looks, mut found) = (0_u32, Vec::new());
            while !is_over.load(Ordering::Relaxed) {
                found.extend(arguments_with(&canary));
                looks += 1;
            }
            (looks, found)
        });
        for turn in 0..30 {
            shell.run(&format!(": {canary} {turn}"));
        }
        let seen = shell.finish();
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(seen.len(), 30);
        let (looks, found) = looker.join().expect("it only reads");
        assert!(looks > 0);
        assert!(found.is_empty(), "{found:?}");
    });
}

fn arguments_with(canary: &str) -> Vec<String> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    processes
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit))
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(canary))
        .collect()
}
