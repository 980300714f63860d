//! Cases 14 to 22: what the shell itself keeps out, expands, or never runs.

use crate::arrivals::assert_nowhere;
use crate::hook::HookShell;
use crate::in_shells;
use crate::shell::Setup;

in_shells! {
    case_15_repeated_line: bash zsh fish;
    case_15_repeated_line_with_ignoredups: bash zsh;
    case_15_repeated_line_with_ignoreboth: bash;
    case_15_repeated_line_with_erasedups: bash zsh;
    case_16_ignored_pattern: bash zsh;
    case_17_history_switched_off: bash;
    case_17_no_history_file: bash zsh;
    case_17_private_mode: fish;
    case_17_paused: bash zsh fish;
    case_18_expanded_from_history: bash zsh;
    case_19_no_such_event: bash zsh;
    case_20_empty_lines: bash zsh fish;
    case_21_comment: bash zsh fish;
    case_22_half_a_line: bash zsh fish;
    history_is_as_without_the_hook: bash;
}

fn repeat(setup: Setup) {
    let mut shell = setup.start();
    for line in ["echo a", "echo a", "false", "false", "false", "echo a", " echo a", "echo b"] {
        shell.run(line);
    }
    let wanted = [
        ("echo a", 0),
        ("echo a", 0),
        ("false", 1),
        ("false", 1),
        ("false", 1),
        ("echo a", 0),
        ("echo b", 0),
    ];
    shell.expect(&wanted);
}

fn case_15_repeated_line(setup: Setup) {
    repeat(setup);
}

fn case_15_repeated_line_with_ignoredups(setup: Setup) {
    let option =
        if setup.shell == HookShell::Bash { "HISTCONTROL=ignoredups" } else { "setopt hist_ignore_dups" };
    repeat(setup.before(option));
}

fn case_15_repeated_line_with_ignoreboth(setup: Setup) {
    repeat(setup.after("HISTCONTROL=ignoreboth"));
}

fn case_15_repeated_line_with_erasedups(setup: Setup) {
    let is_bash = setup.shell == HookShell::Bash;
    let option = if is_bash { "HISTCONTROL=ignorespace:erasedups" } else { "setopt hist_ignore_all_dups" };
    repeat(setup.before(option));
}

fn case_16_ignored_pattern(setup: Setup) {
    let is_bash = setup.shell == HookShell::Bash;
    let variable =
        if is_bash { "HISTIGNORE='echo hidden*:ls'" } else { "HISTORY_IGNORE='(echo hidden*|ls)'" };
    let mut shell = setup.before(variable).start();
    for line in ["echo one", "echo hidden", "ls", "echo two", "ls", "ls"] {
        shell.run(line);
    }
    shell.expect(&[("echo one", 0), ("echo two", 0)]);
    assert_nowhere(&shell, "echo hidden");
}

fn case_17_history_switched_off(setup: Setup) {
    let mut shell = setup.start();
    for line in ["set +o history", "echo hidden", "echo hidden", "set -o history", "echo seen"] {
        shell.run(line);
    }
    let texts: Vec<_> = shell.finish().iter().map(crate::arrivals::Seen::text).collect();
    assert!(texts.iter().all(|text| !text.contains("hidden")), "{texts:?}");
    assert_eq!(texts.last().map(String::as_str), Some("echo seen"), "{texts:?}");
    assert_nowhere(&shell, "hidden");
}

fn case_17_no_history_file(setup: Setup) {
    let mut shell = setup.start();
    for line in ["unset HISTFILE", "echo hidden", "HISTFILE=/dev/null", "echo hidden", "HISTFILE=~/.history"]
    {
        shell.run(line);
    }
    shell.run("echo seen");
    let texts: Vec<_> = shell.finish().iter().map(crate::arrivals::Seen::text).collect();
    assert_eq!(texts.last().map(String::as_str), Some("echo seen"), "{texts:?}");
    assert_nowhere(&shell, "hidden");
}

fn case_17_private_mode(setup: Setup) {
    let mut shell = setup.start();
    for line in
        ["set -g fish_private_mode 1", "echo hidden", "set -e fish_private_mode", "set -g fish_history ''"]
    {
        shell.run(line);
    }
    for line in ["echo hidden", "set -e fish_history", "echo seen"] {
        shell.run(line);
    }
    let texts: Vec<_> = shell.finish().iter().map(crate::arrivals::Seen::text).collect();
    assert_eq!(texts, ["set -g fish_private_mode 1", "set -g fish_history ''", "echo seen"]);
    assert_nowhere(&shell, "hidden");
}

fn case_17_paused(setup: Setup) {
    let (pause, resume) = match setup.shell {
        HookShell::Fish => ("set -g KARO_PAUSE 1", "set -e KARO_PAUSE"),
        HookShell::Bash | HookShell::Zsh => ("KARO_PAUSE=1", "unset KARO_PAUSE"),
    };
    let mut shell = setup.start();
    for line in [pause, "echo hidden", resume, "echo seen"] {
        shell.run(line);
    }
    let texts: Vec<_> = shell.finish().iter().map(crate::arrivals::Seen::text).collect();
    assert_eq!(texts.last().map(String::as_str), Some("echo seen"), "{texts:?}");
    assert_nowhere(&shell, "hidden");
}

fn case_18_expanded_from_history(setup: Setup) {
    let mut shell = setup.start();
    shell.run("echo one");
    shell.run("!! two");
    shell.expect(&[("echo one", 0), ("echo one two", 0)]);
}

fn case_19_no_such_event(setup: Setup) {
    let mut shell = setup.start();
    shell.run("!nosuch");
    shell.run("true");
    shell.expect(&[("true", 0)]);
}

fn case_20_empty_lines(setup: Setup) {
    let mut shell = setup.start();
    shell.run("false");
    shell.run("");
    shell.run("");
    shell.run("");
    shell.expect(&[("false", 1)]);
}

fn case_21_comment(setup: Setup) {
    let is_zsh = setup.shell == HookShell::Zsh;
    let mut shell = if is_zsh { setup.before("setopt interactive_comments") } else { setup }.start();
    shell.run("false");
    shell.run("# note");
    let seen = shell.finish();
    let found: Vec<_> = seen.iter().map(|sides| (sides.text(), sides.exit())).collect();
    let [first, rest @ ..] = found.as_slice() else { panic!("nothing seen") };
    assert_eq!(*first, ("false".to_owned(), Some(1)));
    // Whoever takes a comment for a command says that it went well.
    assert!(rest.is_empty() || *rest == [("# note".to_owned(), Some(0))], "{rest:?}");
}

fn case_22_half_a_line(setup: Setup) {
    let mut shell = setup.start();
    shell.run("true");
    shell.keys(b"echo half");
    shell.wait_for("half");
    shell.interrupt();
    shell.run("echo whole");
    shell.expect(&[("true", 0), ("echo whole", 0)]);
}

/// What the hook does to tell a repeated line from an ignored one is not to be seen afterwards.
fn history_is_as_without_the_hook(setup: Setup) {
    for control in ["", "ignoredups", "ignorespace", "ignoreboth", "erasedups", "ignoreboth:erasedups"] {
        let setup = crate::bash(setup.mode).before(&format!("HISTCONTROL={control} HISTIGNORE=ls"));
        let plain =
            crate::bash(setup.mode).before(&format!("HISTCONTROL={control} HISTIGNORE=ls")).without_hook();
        let histories = [setup, plain].map(|setup| {
            let mut shell = setup.start();
            for line in
                ["echo a", "echo a", " echo b", "ls", "echo c", "echo a", "echo $HISTCONTROL", "history -a"]
            {
                shell.run(line);
            }
            shell.run("history -w ~/written");
            let home = shell.setup.home();
            ["written", ".history"]
                .map(|file| std::fs::read_to_string(home.join(file)).expect("it was written"))
        });
        assert_eq!(histories[0], histories[1], "HISTCONTROL={control}");
    }
}
