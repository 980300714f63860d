//! `karoctl logs -f` on the real journal: what is said later is shown, each filter lets through what it names.

use karo_tests::machine::Machine;
use karo_tests::until;

use super::terminal::Terminal;

/// Says what becomes of a changed configuration: put in force, or refused.
fn reload(machine: &Machine, configuration: &str) {
    let script =
        format!("printf '{configuration}' >~/.config/karo/config.toml && systemctl --user reload karod");
    machine.as_user("ann", &script).ok();
}

/// Counts the messages of that name.
fn count(terminal: &Terminal, event: &str) -> usize {
    terminal.shown().matches(&format!("{event}: ")).count()
}

#[test]
fn root_logs_are_followed_out_of_the_real_journal() {
    let Some(machine) = Machine::boot() else { return };
    for user in ["ann", "eve"] {
        machine.add_user(user);
        machine.as_user(user, "systemctl --user start karod").ok();
    }
    let node = |user: &str| {
        machine.as_user(user, "karoctl --json identity show | grep -o 'karo:ed25519:[^\"]*' | head -1").ok()
    };
    let (ann, eve) = (node("ann"), node("eve"));
    machine.as_user("ann", &format!("karoctl peers add {eve} --trust member --name eve")).ok();
    until("the journal has what was said", || {
        machine.as_user("ann", "karoctl logs").stdout.contains("(from the journal)").then_some(())
    });

    let follow = |more: &str| Terminal::run(&machine, "ann", &format!("exec karoctl logs -f {more}"));
    let all = follow("");
    let only = [
        follow("--event config-reloaded"),
        follow("--level error"),
        follow("--peer eve"),
        follow("--lines 0"),
        follow("--since 2100-01-01"),
    ];
    all.until_shown("accepting: ");
    for terminal in &only {
        terminal.until_shown("from the journal");
    }
    // Whoever wants nothing of before hears nothing before journalctl is there.
    until("what is said is shown as it comes", || {
        reload(&machine, "[log]\\nlevel = \"debug\"\\n");
        (count(&only[3], "config-reloaded") > 0).then_some(())
    });
    all.until_shown("config-reloaded: ");
    reload(&machine, "[log]\\nlevel = \"loud\"\\n");
    all.until_shown("config-refused: ");
    machine.as_user("eve", &format!("karoctl peers add {ann}@127.0.0.1:9238 --trust member --name ann")).ok();
    all.until_shown("peer-connected: ");

    let [event, level, peer, later, never] = &only;
    event.until_shown("config-reloaded: ");
    level.until_shown("config-refused: ");
    peer.until_shown("peer-connected: ");
    for name in ["config-reloaded", "config-refused", "peer-connected"] {
        later.until_shown(&format!("{name}: "));
    }
    assert_eq!((count(event, "config-refused"), count(event, "accepting")), (0, 0), "{}", event.shown());
    assert_eq!((count(level, "config-reloaded"), count(level, "accepting")), (0, 0), "{}", level.shown());
    assert_eq!((count(peer, "config-refused"), count(peer, "accepting")), (0, 0), "{}", peer.shown());
    assert_eq!(count(later, "accepting"), 0, "what was said before: {}", later.shown());
    assert!(!never.shown().contains(": "), "{}", never.shown());
}
