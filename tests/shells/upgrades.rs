//! An upgrade while people type: five shells, one daemon, and another process in its place again and again.
//!
//! No event is lost, none is there twice, and no terminal shows anything else than without an upgrade.

use karo_tests::Karo;

use crate::arrivals::Sink;
use crate::hook::{HookShell, Mode};
use crate::in_shells;
use crate::shell::{Setup, Shell};

in_shells! {
    five_shells_type_through_upgrades: bash;
}

const SHELLS: usize = 5;

/// How often the daemon is replaced.
const UPGRADES: usize = 4;

/// Lines of a shell at each stage of an upgrade.
const LINES: usize = 4;

/// What a shell showed, and what it was told.
type Typed = (Vec<u8>, Vec<(String, Option<i32>)>);

fn five_shells_type_through_upgrades(setup: Setup) {
    let mut karo = Karo::running();
    let undisturbed = type_through(&mut karo, setup.mode, |_, _| ());
    let mut karo = Karo::running();
    let disturbed = type_through(&mut karo, setup.mode, |karo, stage| match stage {
        Stage::Running => (),
        // As a service manager replaces it: the new one is started when the old one has gone.
        Stage::Stopping => karo.signal(rustix::process::Signal::TERM),
        Stage::Away => assert!(karo.wait_for_end().success(), "{}", karo.log()),
        Stage::Back => karo.launch(),
    });
    for (number, (with, without)) in disturbed.iter().zip(&undisturbed).enumerate() {
        let show = |(shown, _): &Typed| String::from_utf8_lossy(shown).into_owned();
        assert_eq!(show(with), show(without), "the terminal of shell {number}");
    }
}

/// Where an upgrade stands while the next lines are typed.
#[derive(Clone, Copy)]
enum Stage {
    Running,
    Stopping,
    Away,
    Back,
}

/// Types into all shells at once, stage by stage, and demands that everything is kept once.
fn type_through(karo: &mut Karo, mode: Mode, deed: impl Fn(&mut Karo, Stage)) -> Vec<Typed> {
    // Before, clients do not wait for their answer, and whoever types as fast as a test would use up the sessions.
    karo.wait_for_rules();
    let mut shells: Vec<Shell> = (0..SHELLS).map(|_| beside(karo, mode).start()).collect();
    let mut wanted = vec![Vec::new(); SHELLS];
    for round in 0..UPGRADES {
        for stage in [Stage::Running, Stage::Stopping, Stage::Away, Stage::Back] {
            let name = format!("{round}.{}", stage as u8);
            std::thread::scope(|scope| {
                for (number, (shell, wanted)) in shells.iter_mut().zip(&mut wanted).enumerate() {
                    let name = &name;
                    scope.spawn(move || type_some(shell, number, name, wanted));
                }
                deed(karo, stage);
            });
        }
    }
    let mut typed = Vec::new();
    for (mut shell, wanted) in shells.into_iter().zip(wanted) {
        let found: Vec<_> = shell.finish().iter().map(|sides| (sides.text(), sides.exit())).collect();
        assert_eq!(found, wanted, "screen:\n{}", shell.pty.screen());
        typed.push((shell.pty.shown().to_vec(), wanted));
    }
    karo.wait_until_spool_is_empty();
    let mut texts = karo.session().texts();
    // The last line of each is the same.
    let all: usize = typed.iter().map(|(_, wanted)| wanted.len() + 1).sum();
    assert_eq!(texts.len(), all, "{texts:?}");
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), all - SHELLS + 1, "{texts:?}");
    typed
}

/// A shell whose hook leads to this daemon.
fn beside(karo: &Karo, mode: Mode) -> Setup {
    let mut setup = Setup::new(HookShell::Bash, mode).spooling_at(karo.spool()).socket_at(karo.socket());
    setup.sink = Sink::Shared(karo.socket());
    setup
}

/// Types a few lines, each unlike any other.
fn type_some(shell: &mut Shell, number: usize, name: &str, wanted: &mut Vec<(String, Option<i32>)>) {
    for n in 0..LINES {
        let (line, exit) = match n % 3 {
            0 => (format!("echo {number}.{name}.{n} | cat"), 0),
            1 => (format!("echo 'a\n{number}.{name}.{n}'"), 0),
            _ => (format!("sh -c 'exit 3' {number}.{name}.{n}"), 3),
        };
        shell.run(&line.replace('\n', "\r"));
        wanted.push((line, Some(exit)));
    }
}
