//! Cases 41 and 42: a shell that is set in odd ways, and what the next command can see.

use crate::hook::HookShell;
use crate::in_shells;
use crate::shell::Setup;

in_shells! {
    case_41_options: bash zsh;
    case_41_options_in_the_rc_file: bash zsh;
    case_41_nothing_is_exported: bash zsh fish;
    case_42_what_the_next_command_sees: bash zsh fish;
    case_42_last_background_process: bash zsh fish;
    case_42_umask_and_descriptors: bash zsh fish;
}

fn settings(shell: HookShell) -> &'static [&'static str] {
    match shell {
        HookShell::Bash => &[
            "set -e",
            "set -u",
            "set -x",
            "set -f",
            "IFS=0",
            "set -C",
            "set -k",
            "set -E",
            "set -T",
            "set -b",
            "shopt -s extdebug",
            "shopt -s nullglob",
            "shopt -s failglob",
            "shopt -s nocasematch",
            "shopt -s dotglob",
            "shopt -u promptvars; shopt -s promptvars",
            "set -o posix",
            "HISTTIMEFORMAT='%F %T '",
            "GLOBIGNORE='*'",
            "LC_ALL=C",
        ],
        HookShell::Zsh => &[
            "setopt err_exit",
            "setopt no_unset",
            "setopt xtrace",
            "setopt no_glob",
            "IFS=0",
            "setopt no_clobber",
            "setopt ksh_arrays",
            "setopt sh_word_split",
            "setopt err_return",
            "setopt null_glob",
            "setopt extended_history share_history hist_reduce_blanks",
            "setopt warn_create_global warn_nested_var",
            "LC_ALL=C",
        ],
        HookShell::Fish => &[],
    }
}

fn case_41_options(setup: Setup) {
    let settings = settings(setup.shell);
    let mut shell = setup.start();
    for setting in settings {
        let shown = shell.run(setting) + &shell.run("echo fine");
        assert!(!shown.contains("karo"), "{setting}: {shown}");
    }
    let wanted: Vec<_> = settings.iter().flat_map(|setting| [(*setting, 0), ("echo fine", 0)]).collect();
    shell.expect(&wanted);
}

fn case_41_options_in_the_rc_file(setup: Setup) {
    for setting in settings(setup.shell) {
        let setup = Setup::new(setup.shell, setup.mode).before(setting);
        let mut shell = setup.start();
        shell.run("echo one");
        shell.run("echo one");
        shell.expect(&[("echo one", 0), ("echo one", 0)]);
    }
}

fn case_41_nothing_is_exported(setup: Setup) {
    let all = match setup.shell {
        HookShell::Bash => "set -a",
        HookShell::Zsh => "setopt all_export",
        HookShell::Fish => "true",
    };
    let mut shell = setup.before(all).start();
    shell.run("env | sort > exported");
    shell.run(all);
    shell.run("env | sort >> exported");
    shell.expect(&[("env | sort > exported", 0), (all, 0), ("env | sort >> exported", 0)]);
    let exported = std::fs::read_to_string(shell.setup.home().join("exported")).expect("it was written");
    let is_ours =
        |line: &&str| line.split('=').next().is_some_and(|name| name.to_lowercase().contains("karo"));
    let ours: Vec<_> = exported.lines().filter(is_ours).collect();
    assert!(ours.is_empty(), "{ours:?}");
}

fn case_42_what_the_next_command_sees(setup: Setup) {
    let (see_exit, see_pipe) = match setup.shell {
        HookShell::Bash => ("echo \"exit $?\"", "echo \"pipe ${PIPESTATUS[*]}\""),
        HookShell::Zsh => ("echo \"exit $?\"", "echo \"pipe ${pipestatus[*]}\""),
        HookShell::Fish => ("echo \"exit $status\"", "echo \"pipe $pipestatus\""),
    };
    let mut shell = setup.start();
    shell.run("sh -c 'exit 5'");
    shell.keys(see_exit.as_bytes());
    shell.keys(b"\r");
    shell.wait_for_line("exit 5");
    shell.prompt();
    shell.run("sh -c 'exit 3' | true | sh -c 'exit 4'");
    shell.keys(see_pipe.as_bytes());
    shell.keys(b"\r");
    shell.wait_for_line("pipe 3 0 4");
    shell.prompt();
    if shell.kind() != HookShell::Fish {
        shell.run("echo first last");
        shell.keys(b"echo \"word $_\"\r");
        shell.wait_for_line("word last");
        shell.prompt();
        shell.run("sh -c 'exit 6'");
        shell.run("");
        shell.keys(b"echo \"exit $?\"\r");
        // An empty line leaves the status as it was.
        shell.wait_for_line("exit 6");
        shell.prompt();
    }
    shell.finish();
}

fn case_42_last_background_process(setup: Setup) {
    let (start, see) = match setup.shell {
        HookShell::Bash | HookShell::Zsh => {
            ("sleep 1000 & mine=$!", "[ $! = $mine ] && echo same; jobs | grep -c .")
        }
        HookShell::Fish => (
            "sleep 1000 &; set -g mine $last_pid",
            "test \"$last_pid\" = \"$mine\"; and echo same; jobs | grep -c .",
        ),
    };
    let mut shell = setup.start();
    shell.run(start);
    for _ in 0..5 {
        shell.run("true");
    }
    shell.keys(see.as_bytes());
    shell.keys(b"\r");
    shell.wait_for_line("same");
    shell.wait_for("1\r\n");
    shell.prompt();
    let shown = shell.run("kill $mine; true");
    assert!(!shown.contains("No such"), "{shown}");
    shell.finish();
}

fn case_42_umask_and_descriptors(setup: Setup) {
    let plain = Setup::new(setup.shell, setup.mode).without_hook();
    let inherited = descriptors(plain);
    let mut shell = setup.start();
    shell.run("umask 027; touch made");
    shell.run("umask > mask; ls /proc/self/fd > descriptors");
    shell.run("touch made_later");
    shell.finish();
    let home = shell.setup.home();
    for (name, mode) in [("made", 0o640), ("made_later", 0o640)] {
        let found = crate::arrivals::modes(&home).into_iter().find(|(path, _)| path.ends_with(name));
        assert_eq!(found.map(|(_, mode)| mode & 0o777), Some(mode), "{name}");
    }
    let read = |name: &str| std::fs::read_to_string(home.join(name)).expect("it was written");
    assert_eq!(read("mask").trim().trim_start_matches('0'), "27");
    assert_eq!(read("descriptors"), inherited);
}

/// Returns the descriptors that a child of a shell has.
fn descriptors(setup: Setup) -> String {
    let mut shell = setup.start();
    shell.run("ls /proc/self/fd > descriptors");
    std::fs::read_to_string(shell.setup.home().join("descriptors")).expect("it was written")
}
