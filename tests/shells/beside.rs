//! Cases 43 and 44: other hooks in the same shell, loaded earlier or later, and the same hook twice.
//!
//! The stand-ins do to the shell what well-known programs do: take over `PROMPT_COMMAND`, set a DEBUG
//! trap, define the hook functions.

use crate::hook::HookShell;
use crate::in_shells;
use crate::shell::Setup;

in_shells! {
    case_43_prompt_command_string: bash;
    case_43_prompt_command_array: bash;
    case_43_prompt_command_taken_over: bash;
    case_43_history_shared_by_prompt_command: bash;
    case_43_debug_trap: bash;
    case_43_preexec_by_debug_trap: bash;
    case_43_ps0: bash;
    case_43_exit_trap: bash zsh;
    case_43_error_trap: bash zsh;
    case_43_functions: zsh fish;
    case_44_loaded_twice: bash zsh fish;
    case_44_rc_file_twice: bash zsh fish;
}

/// Runs the story with the stand-in in front of the hook, and behind it.
fn in_either_order(setup: &Setup, stand_in: &str, story: impl Fn(Setup)) {
    story(Setup::new(setup.shell, setup.mode).before(stand_in));
    story(Setup::new(setup.shell, setup.mode).after(stand_in));
}

/// Types a few lines and demands exactly their records.
fn plain_story(setup: Setup) -> String {
    let mut shell = setup.start();
    let mut shown = shell.run("echo one");
    shown += &shell.run("false | true");
    shown += &shell.run("");
    shown += &shell.run("sh -c 'exit 3'");
    shown += &shell.run("echo one");
    let wanted = [("echo one", 0), ("false | true", 0), ("sh -c 'exit 3'", 3), ("echo one", 0)];
    shell.expect(&wanted);
    shown
}

fn case_43_prompt_command_string(setup: Setup) {
    in_either_order(&setup, "PROMPT_COMMAND='echo \"user saw $? ${PIPESTATUS[*]}\"'", |setup| {
        let shown = plain_story(setup);
        for line in ["user saw 0 0", "user saw 3 3", "user saw 0 1 0"] {
            assert!(shown.contains(line), "{line}: {shown}");
        }
    });
}

fn case_43_prompt_command_array(setup: Setup) {
    if crate::bash_version() < (5, 1) {
        return;
    }
    let stand_in = "PROMPT_COMMAND+=('echo \"first saw $?\"' 'echo \"second saw $?\"')";
    in_either_order(&setup, stand_in, |setup| {
        let shown = plain_story(setup);
        for line in ["first saw 3", "second saw 3"] {
            assert!(shown.contains(line), "{line}: {shown}");
        }
    });
}

/// As prompts do that keep the former command and call it themselves.
fn case_43_prompt_command_taken_over(setup: Setup) {
    let stand_in = "their_prompt() { local status=$?; echo \"they saw $status\"; (exit $status); eval \"$THEIRS\"; }\n\
        THEIRS=${PROMPT_COMMAND-}; PROMPT_COMMAND=their_prompt";
    in_either_order(&setup, stand_in, |setup| {
        let mut shell = setup.start();
        let shown = shell.run("sh -c 'exit 3'") + &shell.run("false");
        assert!(shown.contains("they saw 3"), "{shown}");
        shell.expect(&[("sh -c 'exit 3'", 3), ("false", 1)]);
    });
}

fn case_43_history_shared_by_prompt_command(setup: Setup) {
    in_either_order(
        &setup,
        "HISTCONTROL=ignoreboth PROMPT_COMMAND='history -a; history -c; history -r'",
        |setup| {
            plain_story(setup);
        },
    );
}

fn case_43_debug_trap(setup: Setup) {
    in_either_order(
        &setup,
        "trap '[[ $BASH_COMMAND == *karo* ]] || echo \"debug $BASH_COMMAND\"' DEBUG",
        |setup| {
            let shown = plain_story(setup);
            assert!(shown.contains("debug echo one"), "{shown}");
        },
    );
}

/// As the well-known library does: a DEBUG trap that is armed by the last element of `PROMPT_COMMAND`,
/// installed at the first prompt, which calls a function for each line.
fn case_43_preexec_by_debug_trap(setup: Setup) {
    let stand_in = r#"
        their_debug() { [[ $armed && $BASH_COMMAND != __bp_* ]] || return 0; armed=; echo "preexec: $BASH_COMMAND"; }
        their_precmd() { echo "precmd: $?"; }
        __bp_interactive_mode() { armed=1; }
        their_install() {
            PROMPT_COMMAND=${PROMPT_COMMAND/their_install/their_precmd}
            trap their_debug DEBUG
            PROMPT_COMMAND+=(__bp_interactive_mode)
        }
        PROMPT_COMMAND="their_install${PROMPT_COMMAND:+; $PROMPT_COMMAND}""#;
    if crate::bash_version() < (5, 1) {
        return;
    }
    in_either_order(&setup, stand_in, |setup| {
        let mut shell = setup.start();
        let shown = shell.run("true") + &shell.run("echo one") + &shell.run("sh -c 'exit 3'");
        assert!(shown.contains("preexec: echo one"), "{shown}");
        assert!(shown.contains("precmd: 3"), "{shown}");
        let seen = shell.finish_noisy();
        let found: Vec<_> = seen.iter().map(|sides| (sides.text(), sides.exit())).collect();
        let wanted = [("true", 0), ("echo one", 0), ("sh -c 'exit 3'", 3)];
        assert_eq!(found, wanted.map(|(text, exit)| (text.to_owned(), Some(exit))));
    });
}

fn case_43_ps0(setup: Setup) {
    in_either_order(&setup, "PS0='starts\\n'", |setup| {
        let shown = plain_story(setup);
        assert!(shown.contains("\rstarts"), "{shown}");
    });
}

fn case_43_exit_trap(setup: Setup) {
    in_either_order(&setup, "trap 'echo \"bye $?\" > bye' EXIT", |setup| {
        let mut shell = setup.start();
        shell.run("true");
        shell.keys(b"exit 7\r");
        assert_eq!(shell.pty.ended().code(), Some(7));
        let bye = std::fs::read_to_string(shell.setup.home().join("bye")).expect("the trap ran");
        assert_eq!(bye.trim(), "bye 7");
        let is_there = || shell.arrived().into_values().find(|sides| sides.text() == "exit 7");
        let seen =
            karo_tests::until("the record of exit has arrived", || is_there().filter(|s| s.end.is_some()));
        assert_eq!(seen.exit(), Some(7));
    });
}

fn case_43_error_trap(setup: Setup) {
    let stand_in = match setup.shell {
        HookShell::Bash => "set -E; trap 'echo \"err $?\"' ERR",
        HookShell::Zsh | HookShell::Fish => "TRAPZERR() { echo \"err $?\" }",
    };
    in_either_order(&setup, stand_in, |setup| {
        let mut shell = setup.start();
        let quiet = shell.run("true");
        assert!(!quiet.contains("err "), "{quiet}");
        let shown = shell.run("sh -c 'exit 3'");
        assert_eq!(shown.matches("err 3").count(), 1, "{shown}");
        shell.expect(&[("true", 0), ("sh -c 'exit 3'", 3)]);
    });
}

fn case_43_functions(setup: Setup) {
    let stand_in = match setup.shell {
        HookShell::Zsh | HookShell::Bash => {
            "preexec() { echo \"pre $1\" }; precmd() { echo \"post $?\" }; zshaddhistory() { return 0 }"
        }
        HookShell::Fish => {
            "function theirs_pre --on-event fish_preexec; echo \"pre $argv\"; end\n\
             function theirs_post --on-event fish_postexec; echo \"post $status\"; end"
        }
    };
    in_either_order(&setup, stand_in, |setup| {
        let shown = plain_story(setup);
        for line in ["pre echo one", "post 3"] {
            assert!(shown.contains(line), "{line}: {shown}");
        }
    });
}

fn case_44_loaded_twice(setup: Setup) {
    let hook = setup.hook();
    let again = format!("source '{0}'; source '{0}'", hook.display());
    let mut shell = setup.after(&again).start();
    shell.run("true");
    shell.run(&again);
    shell.run("false");
    shell.expect(&[("true", 0), (&again, 0), ("false", 1)]);
}

fn case_44_rc_file_twice(setup: Setup) {
    let again = match setup.shell {
        HookShell::Bash => ". ~/.bashrc",
        HookShell::Zsh => "source ~/.zshrc",
        HookShell::Fish => "source ~/.config/fish/config.fish",
    };
    let mut shell = setup.start();
    shell.run("true");
    // The prompts are counted anew.
    shell.number_prompts_from(0);
    shell.run(again);
    shell.run("false");
    shell.expect(&[("true", 0), (again, 0), ("false", 1)]);
}
