//! karod: the daemon, in the foreground. Everything but its command line is in the library.

use std::io::Write as _;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
#[cfg(all(target_os = "linux", target_env = "gnu"))]
use std::process::Command;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use karo_daemon::exit::Ending;
use karo_daemon::say;
use karo_daemon::service::{Herald, activation};
use karo_daemon::verify_proof::verify_file;
use karo_daemon::wiring::{Start, run};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Records the commands of this user's shells, and answers questions about them.
///
/// It stays in the foreground and logs to standard error, or to the journal where that is the log.
/// SIGTERM and SIGINT stop it in order, SIGHUP reloads the configuration.
#[derive(Debug, Parser)]
#[command(name = "karod", version, after_help = EXIT_CODES, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// The configuration file [default: $XDG_CONFIG_HOME/karo/config.toml]
    #[arg(long, value_name = "FILE", env = "KARO_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    deed: Option<Deed>,
}

/// What it does instead of running.
#[derive(Debug, Subcommand)]
enum Deed {
    /// Tell whether the entries in FILE, as `karoctl audit export` writes it, are in a log that its node signed
    ///
    /// Needs no daemon, no network and nothing of this machine. Exits with 0 when they are, with 6 when they are
    /// not, and with 1 when the file cannot be read.
    VerifyProof {
        /// What was exported
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

const EXIT_CODES: &str = "Exit codes:\n  \
    0   stopped as told; or proven\n  \
    1   a place or file it needs cannot be used\n  \
    2   usage\n  \
    3   another karod has the data directory\n  \
    6   the store cannot be opened; or not proven\n  \
    70  a bug\n  \
    74  the disk failed\n  \
    78  the configuration cannot be used";

fn main() -> ExitCode {
    bound_arenas();
    let arguments = Arguments::parse();
    if let Some(Deed::VerifyProof { file }) = arguments.deed {
        return tell_proof(&file);
    }
    // A core would hold what no log may hold.
    let no_core = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    raise_descriptors();
    let herald = Herald::from_environment();
    // Before there are other threads: the variables that say so are taken out of the environment.
    let handed = activation::take().map_err(Ending::from);
    let start = handed.and_then(|handed| Start::prepare(arguments.config, handed, herald.clone()));
    let ending = match start {
        Ok(start) => {
            if let Err(error) = no_core {
                say!(Class::CoreDumpsOn, %error, "core dumps cannot be switched off");
            }
            let log = start.log.clone();
            let ending = run(start);
            log.finish();
            ending
        }
        Err(ending) => ending,
    };
    if ending.code() != 0 {
        eprintln!("karod: {ending}");
        herald.failed(&ending);
    }
    ExitCode::from(&ending)
}

/// Starts this program anew, once, with memory of 128 KiB and more taken from the system and given back to it.
///
/// glibc raises that bound whenever something larger is freed, and then keeps what the search was loaded through:
/// 24 MiB with a million events. It can be told before a program starts, or by code that is not safe.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn bound_arenas() {
    const BOUND: &str = "MALLOC_MMAP_THRESHOLD_";
    if std::env::var_os(BOUND).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut anew = Command::new(program);
    if let Some(name) = arguments.next() {
        anew.arg0(name);
    }
    // It returns only if that cannot be done, and then the daemon takes a little more memory.
    drop(anew.args(arguments).env(BOUND, "131072").exec());
}

/// Other allocators have no such bound.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
const fn bound_arenas() {}

/// Prints the verdict over an export.
fn tell_proof(file: &Path) -> ExitCode {
    match verify_file(file) {
        // Whoever closes the pipe has read enough: the verdict is in the exit code.
        Ok(verdict) => match std::io::stdout().write_all(verdict.as_bytes()) {
            Ok(()) | Err(_) => ExitCode::SUCCESS,
        },
        Err(unproven) => {
            eprintln!("karod: {unproven}");
            ExitCode::from(unproven.code())
        }
    }
}

/// Raises the soft limit of descriptors: each session and each watched shell holds one.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(8192).min(8192);
    let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
    if limit.current.is_some_and(|current| current < wanted) && setrlimit(Resource::Nofile, raised).is_err() {
        // There is room for fewer sessions then, and accepting rests when it is used up.
        eprintln!("karod: the limit of open files stays at {}", limit.current.unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_man_page_names_all_that_help_does() {
        let page = include_str!("../packaging/karod.1").replace("\\-", "-");
        let command = Arguments::command();
        let options = command.get_arguments().filter_map(|option| option.get_long());
        let deeds = command.get_subcommands().map(|deed| format!("karod {}", deed.get_name()));
        let codes = EXIT_CODES.lines().skip(1).filter_map(|line| line.split_whitespace().next());
        let codes = codes.map(|code| format!(".B {code}\n"));
        for word in options.map(|option| format!("--{option}")).chain(deeds).chain(codes) {
            assert!(page.contains(&word), "{word}");
        }
    }
}
