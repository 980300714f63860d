//! Cases 33 to 40: text and directory are kept byte for byte.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use karo_protocol::limits::COMMAND_BYTES_MAX;

use crate::hook::HookShell;
use crate::in_shells;
use crate::shell::Setup;

in_shells! {
    case_33_function: bash zsh fish;
    case_34_alias: bash zsh fish;
    case_35_eval_time_not: bash zsh fish;
    case_36_change_of_directory: bash zsh fish;
    case_37_removed_directory: bash zsh fish;
    case_37_odd_directory: bash zsh fish;
    case_38_not_ascii: bash zsh fish;
    case_38_not_utf8: bash zsh;
    case_39_very_long: bash zsh fish;
    case_40_looks_like_an_option: bash zsh fish;
}

fn case_33_function(setup: Setup) {
    let is_fish = setup.shell == HookShell::Fish;
    let function = if is_fish { "function f; false; true; end" } else { "f() { false; true; }" };
    let mut shell = setup.before(function).start();
    shell.run("f");
    shell.expect(&[("f", 0)]);
}

fn case_34_alias(setup: Setup) {
    let mut shell = setup.before("alias greet='echo hello'").start();
    shell.run("greet you");
    shell.run("greet you");
    shell.expect(&[("greet you", 0), ("greet you", 0)]);
}

fn case_35_eval_time_not(setup: Setup) {
    let not = if setup.shell == HookShell::Fish { "not true" } else { "! true" };
    let mut shell = setup.start();
    for line in ["eval 'true; false'", "time true", not] {
        shell.run(line);
    }
    shell.expect(&[("eval 'true; false'", 1), ("time true", 0), (not, 1)]);
}

fn case_36_change_of_directory(setup: Setup) {
    let home = setup.home();
    let mut shell = setup.start();
    shell.run("cd /");
    shell.run("true");
    let seen = shell.expect(&[("cd /", 0), ("true", 0)]);
    assert_eq!(seen[0].cwd(), home.as_os_str().as_bytes());
    assert_eq!(seen[1].cwd(), b"/");
}

fn case_37_removed_directory(setup: Setup) {
    let gone = setup.home().join("gone");
    fs::create_dir(&gone).expect("the place is ours");
    let mut shell = setup.start();
    shell.run("cd gone");
    fs::remove_dir(&gone).expect("it is empty");
    shell.run("echo still");
    let seen = shell.finish();
    assert_eq!(seen[1].text(), "echo still");
    assert_eq!(seen[1].cwd(), gone.as_os_str().as_bytes());
}

fn case_37_odd_directory(setup: Setup) {
    let odd = setup.home().join(OsStr::from_bytes(b"a\nb'\" \xff\\$(x)*"));
    fs::create_dir(&odd).expect("the place is ours");
    let mut shell = setup.variable("ODD", &odd).start();
    shell.run("cd \"$ODD\"");
    shell.run("true");
    let seen = shell.expect(&[("cd \"$ODD\"", 0), ("true", 0)]);
    assert_eq!(OsStr::from_bytes(seen[1].cwd()), odd);
}

fn case_38_not_ascii(setup: Setup) {
    let line = "echo '\u{1f600} \u{6f22}\u{5b57} e\u{301}'";
    let mut shell = setup.start();
    shell.run(line);
    shell.expect(&[(line, 0)]);
}

fn case_38_not_utf8(setup: Setup) {
    let is_bash = setup.shell == HookShell::Bash;
    let setup =
        if is_bash { setup.variable("LC_ALL", "C").before("bind 'set convert-meta off'") } else { setup };
    let mut shell = setup.start();
    shell.run_bytes(b"echo 'a\xff\xfeb'");
    let seen = shell.finish();
    assert_eq!(seen.len(), 1);
    // zsh's line editor itself runs question marks in their place.
    let wanted: &[u8] = if is_bash { b"echo 'a\xff\xfeb'" } else { b"echo 'a??b'" };
    assert_eq!(seen[0].command(), wanted, "{}", shell.pty.screen());
}

fn case_39_very_long(setup: Setup) {
    let line = format!(": {}", "0123456789".repeat(20_000));
    let mut shell = setup.start();
    shell.paste(line.as_bytes());
    shell.run("");
    let seen = shell.finish();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].exit(), Some(0));
    assert!(seen[0].any().command.is_truncated());
    assert_eq!(seen[0].text(), line[..COMMAND_BYTES_MAX]);
}

fn case_40_looks_like_an_option(setup: Setup) {
    let lines = ["--help", "-n", "%s", "echo -n --help '%s' '\\0' '\\x41' \"a\\\\\"", "-e"];
    let mut shell = setup.start();
    for line in lines {
        shell.run(line);
    }
    let texts: Vec<_> = shell.finish().iter().map(crate::arrivals::Seen::text).collect();
    assert_eq!(texts, lines);
}
