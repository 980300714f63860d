//! `karo-observe`: takes one observation from a shell's hook to the daemon, or into a spool.
//!
//! It runs in the background of every prompt, so it prints nothing and always exits 0; `KARO_DEBUG=1`
//! explains on standard error. It starts no daemon, waits for none, and keeps nothing of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    // A bug of ours is no matter of the person at the prompt either.
    std::panic::set_hook(Box::new(|panic| {
        karo_client::observe::explain(format_args!("bug: {panic}"));
        std::process::exit(0);
    }));
    karo_client::observe::run();
    ExitCode::SUCCESS
}
