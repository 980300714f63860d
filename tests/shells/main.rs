//! The hooks in real interactive shells, on a terminal: every case of what a hook must get right.
//!
//! Each case is typed as a person would, in both modes, and the records that arrive are compared with
//! what was typed. The number in a test's name is the number of the case in `shell/README.md`.
//! `KARO_TEST_SINK=daemon` lets a real daemon take everything in and compares what it tells;
//! `KARO_TEST_BASH`, `KARO_TEST_ZSH` and `KARO_TEST_FISH` name another build of a shell to test.

#![expect(unreachable_pub, reason = "a test program has no outside")]
#![expect(clippy::needless_pass_by_value, reason = "each case gets a shell of its own, and uses it up")]

mod arrivals;
mod beside;
mod daemon;
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
mod upgrades;

#[path = "../../client/src/hook.rs"]
#[expect(dead_code, reason = "the hook is made as karoctl makes it, by the same file")]
mod hook;

use crate::hook::{HookShell, Mode};
use crate::shell::{Setup, bash_version};

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
