//! karoctl: ask for your own recorded commands, and look after their recording.

use std::process::ExitCode;

fn main() -> ExitCode {
    karo_client::ctl::main()
}
