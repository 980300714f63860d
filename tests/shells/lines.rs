//! Cases 1 to 14: what one line is.

use crate::hook::HookShell;
use crate::in_shells;
use crate::shell::Setup;

in_shells! {
    case_01_true: bash zsh fish;
    case_02_false: bash zsh fish;
    case_03_a_list_is_one: bash zsh fish;
    case_04_a_pipeline_is_one: bash zsh fish;
    case_05_statuses_of_a_pipeline: bash zsh fish;
    case_06_subshell: bash zsh fish;
    case_07_group: bash zsh fish;
    case_08_loop_of_a_thousand_turns: bash zsh fish;
    case_09_lines_of_an_if: bash zsh fish;
    case_10_heredoc: bash zsh;
    case_11_quotes_over_two_lines: bash zsh fish;
    case_12_continued_line: bash zsh fish;
    case_13_leading_space: bash zsh fish;
    case_13_leading_space_ignored: bash zsh;
}

fn case_01_true(setup: Setup) {
    let mut shell = setup.start();
    shell.run("true");
    shell.expect(&[("true", 0)]);
    if shell.sends_starts() && shell.setup.sink.keeps_files() {
        karo_tests::until("its start has arrived", || shell.arrived()[&1].start.clone());
    }
}

fn case_02_false(setup: Setup) {
    let mut shell = setup.start();
    shell.run("false");
    shell.expect(&[("false", 1)]);
}

fn case_03_a_list_is_one(setup: Setup) {
    let mut shell = setup.start();
    shell.run("echo a; echo b; false");
    shell.expect(&[("echo a; echo b; false", 1)]);
}

fn case_04_a_pipeline_is_one(setup: Setup) {
    let mut shell = setup.start();
    shell.run("echo x | cat | wc -l");
    let seen = shell.expect(&[("echo x | cat | wc -l", 0)]);
    assert_eq!(seen[0].pipestatus(), [0, 0, 0]);
}

fn case_05_statuses_of_a_pipeline(setup: Setup) {
    let mut shell = setup.start();
    shell.run("false | true");
    let mut wanted = vec![("false | true", 0)];
    if shell.kind() != HookShell::Fish {
        shell.run("set -o pipefail");
        shell.run("false | true");
        wanted.extend([("set -o pipefail", 0), ("false | true", 1)]);
    }
    let seen = shell.expect(&wanted);
    assert_eq!(seen[0].pipestatus(), [1, 0]);
}

fn case_06_subshell(setup: Setup) {
    let line = if setup.shell == HookShell::Fish { "sh -c 'cd /tmp; exit 3'" } else { "(cd /tmp; exit 3)" };
    let home = setup.home();
    let mut shell = setup.start();
    shell.run(line);
    shell.run("true");
    let seen = shell.expect(&[(line, 3), ("true", 0)]);
    // The exit of the subshell is not the end of the line: that comes from the prompt, with its pipeline.
    assert_eq!(seen[0].pipestatus(), [3]);
    assert_eq!(seen[1].cwd(), home.as_os_str().as_encoded_bytes());
}

fn case_07_group(setup: Setup) {
    let is_fish = setup.shell == HookShell::Fish;
    let line = if is_fish { "begin; echo a; false; end" } else { "{ echo a; false; }" };
    let mut shell = setup.start();
    shell.run(line);
    shell.expect(&[(line, 1)]);
}

fn case_08_loop_of_a_thousand_turns(setup: Setup) {
    let line = match setup.shell {
        HookShell::Fish => "for i in (seq 1000); true; end",
        HookShell::Bash | HookShell::Zsh => "for ((i = 0; i < 1000; i++)); do true; done",
    };
    let mut shell = setup.start();
    shell.run(line);
    shell.expect(&[(line, 0)]);
}

fn case_09_lines_of_an_if(setup: Setup) {
    let lines = match setup.shell {
        HookShell::Fish => ["if true", "echo x", "end"],
        HookShell::Bash | HookShell::Zsh => ["if true", "then echo x", "fi"],
    };
    let mut shell = setup.start();
    shell.run(&lines.join("\r"));
    let seen = shell.finish();
    // fish indents the lines that it asks for.
    let texts: Vec<_> = seen.iter().map(|sides| sides.text().replace("\n    ", "\n")).collect();
    assert_eq!(texts, [lines.join("\n")]);
    assert_eq!(seen[0].exit(), Some(0));
}

fn case_10_heredoc(setup: Setup) {
    let text = "cat <<E\none\n  two 'x\"\nE";
    let mut shell = setup.start();
    shell.run(&text.replace('\n', "\r"));
    let seen = shell.finish();
    assert_eq!(seen.len(), 1, "{}", shell.pty.screen());
    assert_eq!(seen[0].text().trim_end_matches('\n'), text);
    assert_eq!(seen[0].exit(), Some(0));
}

fn case_11_quotes_over_two_lines(setup: Setup) {
    let mut shell = setup.start();
    shell.run("echo 'a\rb'");
    shell.expect(&[("echo 'a\nb'", 0)]);
}

fn case_12_continued_line(setup: Setup) {
    let mut shell = setup.start();
    shell.run("echo a\\\rb");
    let seen = shell.finish();
    let texts: Vec<_> = seen.iter().map(|sides| sides.text().replace("\\\n", "")).collect();
    assert_eq!(texts, ["echo ab"]);
}

/// A line that begins with a space leaves no trace, and the next one has its own text.
fn leading_space(setup: Setup) {
    let mut shell = setup.start();
    shell.run("echo one");
    shell.run(" echo hunter2");
    shell.run(" true");
    shell.run("true");
    shell.run(" true");
    shell.run("echo two");
    shell.expect(&[("echo one", 0), ("true", 0), ("echo two", 0)]);
    crate::arrivals::assert_nowhere(&shell, "hunter2");
}

fn case_13_leading_space(setup: Setup) {
    leading_space(setup);
}

fn case_13_leading_space_ignored(setup: Setup) {
    let setup = match setup.shell {
        HookShell::Bash => setup.before("HISTCONTROL=ignoreboth"),
        HookShell::Zsh | HookShell::Fish => setup.before("setopt hist_ignore_space"),
    };
    leading_space(setup);
}
