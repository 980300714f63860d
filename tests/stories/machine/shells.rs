//! Every shell that has a hook, under the unit: each starts the daemon, each is recorded, and each gets its own file
//! back as it was.

use karo_protocol::ShellKind;
use karo_protocol::query::Filter;
use karo_tests::machine::Machine;
use karo_tests::until;

use super::SOCKET;
use super::setup::{traces, with_programs};
use super::terminal::Terminal;

/// Shells, each with how it is started, with how it adds two numbers, and with how it keeps its history to itself.
const SHELLS: [(ShellKind, &str, &str); 3] = [
    (ShellKind::Bash, "bash -i", "$((40+2))"),
    (ShellKind::Zsh, "zsh -i", "$((40+2))"),
    (ShellKind::Fish, "fish -i", "(math 40 + 2)"),
];

/// What the files of the shells are and hold: one is a link, one has the line ends of another system, two end within a
/// line.
const FILES: &str = r#"
mkdir -p ~/dotfiles ~/.config/fish/{completions,conf.d,functions} ~/.local/share/fish/generated_completions
printf '# mine\nPS1="ready> "' >~/dotfiles/bashrc && rm -f ~/.bashrc && ln -s dotfiles/bashrc ~/.bashrc
printf '# mine\r\n# too\r\n' >~/.zshrc && chmod 640 ~/.zshrc
printf 'set -g mine 1' >~/.config/fish/config.fish
"#;

/// What somebody would notice of their files; what shells write by themselves is theirs.
const KEPT: &str = "cat ~/dotfiles/bashrc ~/.zshrc ~/.config/fish/config.fish | od -c; \
    find ~ -not -path '*/fish/fish_*' -not -name '.bash_history' -printf '%p %y %m %l\\n' | sort";

fn shells_of(machine: &Machine) -> Vec<(ShellKind, &'static str, &'static str)> {
    let is_there = |program: &str| machine.root(&format!("command -v {program}")).code == 0;
    let (there, missing): (Vec<_>, Vec<_>) = SHELLS.into_iter().partition(|(kind, ..)| is_there(kind.name()));
    for (kind, ..) in missing {
        eprintln!("skipped: {} is not installed", kind.name());
    }
    there
}

#[test]
fn root_each_shell_starts_the_daemon_and_gets_its_file_back() {
    let Some(machine) = with_programs() else { return };
    let shells = shells_of(&machine);
    machine.as_user("ann", FILES).ok();
    let before = machine.as_user("ann", KEPT).ok();
    machine.root("sleep 0.01; touch /stamp; sleep 0.01").ok();
    let said = machine.as_user("ann", "karoctl setup --yes").ok();
    assert_eq!(said.matches("the hook is in /home/ann/").count(), shells.len(), "{said}");
    let mut open = Vec::new();
    for (kind, program, sum) in &shells {
        let name = kind.name();
        machine.as_user("ann", "systemctl --user stop karod.service").ok();
        assert_eq!(machine.property(Some("ann"), "karod.socket", "ActiveState"), "active");
        let mut terminal = Terminal::open(&machine, "ann", program);
        terminal.type_line(&format!("echo {name}-{sum}"), &format!("{name}-42"));
        machine.until_property(Some("ann"), "karod.service", "ActiveState", "active");
        let typed = format!("echo {name}-{sum}");
        let recorded = || {
            let events = machine.session("ann", SOCKET).events(Filter::default());
            let event = events.into_iter().find(|event| event.command.as_bytes() == typed.as_bytes())?;
            format!("{:?}", event.outcome).contains("Ended").then_some(event)
        };
        let event = until("what was typed is recorded with its end", recorded);
        assert_eq!(event.shell.kind, *kind);
        open.push((terminal, name, sum));
    }

    // They are open still, and have their hooks.
    let gone = machine.as_user("ann", "karoctl uninstall --purge --yes").ok();
    assert!(gone.contains("shells     those that are open"), "{gone}");
    for (mut terminal, name, sum) in open {
        terminal.type_line(&format!("echo after-{name}-{sum}"), &format!("after-{name}-42"));
        terminal.leave();
    }
    until("the last client is gone", || (machine.root("pgrep -x karo-observe").code == 1).then_some(()));
    assert_eq!(traces(&machine), "");
    assert_eq!(machine.as_user("ann", KEPT).ok(), before);
}

#[test]
fn root_units_of_a_package_leave_nothing_in_a_home() {
    let Some(machine) = Machine::boot() else { return };
    machine.add_user("ann");
    let list = "find ~ -printf '%p %y %m\\n' | sort";
    let before = machine.as_user("ann", list).ok();
    machine.as_user("ann", "karoctl setup --yes").ok();
    machine.until_property(Some("ann"), "karod.service", "ActiveState", "active");
    machine.as_user("ann", "test ! -e ~/.config/systemd/user/karod.service").ok();
    machine.as_user("ann", "karoctl uninstall --purge --yes").ok();
    assert_eq!(machine.as_user("ann", list).ok(), before);
}
