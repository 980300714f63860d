//! The hooks in real interactive shells, on a terminal: every case of what a hook must get right.
//!
//! Each case is typed as a person would, in both modes, and the records that arrive are compared with
//! what was typed. The number in a test's name is the number of the case in `shell/README.md`.
//! `KARO_TEST_BASH`, `KARO_TEST_ZSH` and `KARO_TEST_FISH` name another build of a shell to test.

#![expect(unreachable_pub, reason = "a test program has no outside")]

mod beside;
mod editing;
mod endings;
mod faults;
mod history;
mod lines;
mod options;
mod others;
mod pty;
mod shell;
mod texts;

#[path = "../../client/src/hook.rs"]
#[expect(dead_code, reason = "the hook is made as karoctl makes it, by the same file")]
mod hook;

use std::process::Command;
use std::sync::OnceLock;

use crate::hook::{HookShell, Mode};
use crate::shell::Setup;

/// Makes one test for each case, shell and mode.
macro_rules! in_shells {
    ($($case:ident: $($shell:ident)+;)+) => {
        $(mod $case {
            $(mod $shell {
                #[test]
                fn spool() {
                    super::super::$case(crate::$shell(crate::hook::Mode::Spool));
                }

                #[test]
                fn client() {
                    super::super::$case(crate::$shell(crate::hook::Mode::Client));
                }
            })+
        })+
    };
}
pub(crate) use in_shells;

fn bash(mode: Mode) -> Setup {
    Setup::new(HookShell::Bash, mode)
}

fn zsh(mode: Mode) -> Setup {
    Setup::new(HookShell::Zsh, mode)
}

fn fish(mode: Mode) -> Setup {
    Setup::new(HookShell::Fish, mode)
}

/// Returns the version of the bash under test.
fn bash_version() -> (u32, u32) {
    static VERSION: OnceLock<(u32, u32)> = OnceLock::new();
    *VERSION.get_or_init(|| {
        let bash = std::env::var("KARO_TEST_BASH").unwrap_or_else(|_| "bash".to_owned());
        let output = Command::new(bash)
            .args(["-c", "echo ${BASH_VERSINFO[0]} ${BASH_VERSINFO[1]}"])
            .output()
            .expect("bash is installed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut numbers = text.split_whitespace().map(|number| number.parse().expect("a number"));
        (numbers.next().expect("major"), numbers.next().expect("minor"))
    })
}
