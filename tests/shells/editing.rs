//! Cases 25 to 29: how a line comes to be.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::hook::HookShell;
use crate::in_shells;
use crate::shell::Setup;

in_shells! {
    case_25_paste_of_three_lines: bash zsh fish;
    case_26_edited_in_an_editor: bash zsh fish;
    case_26_edited_in_vi_mode: bash zsh;
    case_27_widgets_completion_prompts: bash zsh fish;
    case_28_syntax_error: bash zsh;
    case_29_unknown_command: bash zsh fish;
}

fn case_25_paste_of_three_lines(setup: Setup) {
    let mut shell = setup.start();
    shell.keys(b"true\rfalse\recho c\r");
    shell.wait_for_line("c");
    shell.prompt();
    shell.expect(&[("true", 0), ("false", 1), ("echo c", 0)]);
}

/// Makes an editor that leaves this text behind.
fn with_editor(setup: Setup, text: &str) -> Setup {
    let editor = setup.home().join("editor");
    fs::write(&editor, format!("#!/bin/sh\nprintf '{text}' >\"$1\"\n")).expect("the place is ours");
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o700)).expect("the place is ours");
    setup.variable("EDITOR", editor.clone()).variable("VISUAL", editor)
}

fn case_26_edited_in_an_editor(setup: Setup) {
    let setup = with_editor(setup, "echo edited\\n");
    let is_zsh = setup.shell == HookShell::Zsh;
    let widget = "autoload -Uz edit-command-line; zle -N edit-command-line; bindkey '^X^E' edit-command-line";
    let mut shell = if is_zsh { setup.after(widget) } else { setup }.start();
    shell.run("true");
    shell.keys(b"echo before");
    match shell.kind() {
        HookShell::Bash => {
            shell.keys(b"\x18\x05");
            shell.wait_for_line("edited");
        }
        HookShell::Zsh => {
            shell.keys(b"\x18\x05");
            shell.wait_for("edited");
            shell.run("");
        }
        HookShell::Fish => {
            shell.keys(b"\x1be");
            shell.wait_for("edited");
            shell.run("");
        }
    }
    shell.run("true");
    let texts: Vec<_> = shell.finish().iter().map(|sides| sides.text().trim_end().to_owned()).collect();
    assert_eq!(texts, ["true", "echo edited", "true"], "{}", shell.pty.screen());
}

fn case_26_edited_in_vi_mode(setup: Setup) {
    let setup = with_editor(setup, "echo edited\\nif true\\nthen echo more\\nfi\\n");
    let mut shell = match setup.shell {
        HookShell::Bash => setup.before("set -o vi"),
        HookShell::Zsh | HookShell::Fish => setup.after(
            "bindkey -v; autoload -Uz edit-command-line; zle -N edit-command-line; bindkey -M vicmd v edit-command-line",
        ),
    }
    .start();
    shell.keys(b"\x1b");
    shell.keys(b"v");
    if shell.kind() == HookShell::Zsh {
        shell.wait_for("then echo more");
        shell.run("");
    } else {
        shell.wait_for_line("more");
        shell.run("true");
    }
    let texts: Vec<_> = shell.finish().iter().map(|sides| sides.text().trim_end().to_owned()).collect();
    let (first, rest) = ("echo edited", "if true\nthen echo more\nfi");
    match shell.kind() {
        // bash runs what was edited as if it had been typed, command for command.
        HookShell::Bash => assert_eq!(texts, [first, rest, "true"], "{}", shell.pty.screen()),
        HookShell::Zsh | HookShell::Fish => assert_eq!(texts, [format!("{first}\n{rest}")]),
    }
}

fn case_27_widgets_completion_prompts(setup: Setup) {
    let lines = match setup.shell {
        HookShell::Bash => {
            "widget() { ls / >/dev/null; echo widget ran; }; bind -x '\"\\C-t\": widget'\n\
             completion() { ls / >/dev/null; COMPREPLY=(completed); }; complete -F completion echo\n\
             prompt() { ls / >/dev/null; }; PROMPT_COMMAND=prompt; PS1='$(ls / >/dev/null)'$PS1"
        }
        HookShell::Zsh => {
            "widget() { ls / >/dev/null; print; print widget ran; zle redisplay; }; zle -N widget; bindkey '^T' widget\n\
             completion() { ls / >/dev/null; compadd completed; }; zle -C own complete-word completion; bindkey '^I' own\n\
             precmd() { ls / >/dev/null; }; PS1='$(ls / >/dev/null)'$PS1"
        }
        HookShell::Fish => {
            "bind \\ct 'ls / >/dev/null; echo; echo widget ran; commandline -f repaint'\n\
             complete -c echo -f -a '(ls / >/dev/null; echo completed)'\n\
             function fish_right_prompt; ls / >/dev/null; end"
        }
    };
    let mut shell = setup.after(lines).start();
    shell.keys(b"\x14");
    shell.wait_for("widget ran");
    shell.keys(b"echo comp\t");
    shell.wait_for("completed");
    shell.run("");
    let texts: Vec<_> = shell.finish().iter().map(|sides| sides.text().trim_end().to_owned()).collect();
    assert_eq!(texts, ["echo completed"], "{}", shell.pty.screen());
}

fn case_28_syntax_error(setup: Setup) {
    let mut shell = setup.start();
    shell.run("true");
    shell.run("echo )");
    shell.run("false");
    let seen = shell.finish();
    let found: Vec<_> = seen.iter().map(|sides| (sides.text(), sides.exit())).collect();
    let found: Vec<_> = found.iter().map(|(text, exit)| (text.as_str(), *exit)).collect();
    let (first, last) = (("true", Some(0)), ("false", Some(1)));
    assert!(
        found == [first, last] || found == [first, ("echo )", Some(2)), last],
        "{found:?}\n{}",
        shell.pty.screen()
    );
}

fn case_29_unknown_command(setup: Setup) {
    let mut shell = setup.start();
    shell.run("nosuchprogram --at all");
    shell.expect(&[("nosuchprogram --at all", 127)]);
}
