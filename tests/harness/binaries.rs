//! Where the programs under test lie.
//!
//! `./test.sh` builds them once and names their directories. Without it, cargo is asked once in each
//! test process, so no run tests an old one. The clients are built alone, with their own profile, as
//! they are shipped: a build of the whole workspace would give them tokio.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The programs of one build.
#[derive(Debug)]
pub struct Binaries {
    /// The daemon.
    pub karod: PathBuf,
    /// The client for people.
    pub karoctl: PathBuf,
    /// The client for hooks.
    pub karo_observe: PathBuf,
}

/// Returns the programs, built if need be.
///
/// # Panics
///
/// When cargo cannot build them.
pub fn binaries() -> &'static Binaries {
    static BINARIES: OnceLock<Binaries> = OnceLock::new();
    BINARIES.get_or_init(|| Binaries {
        karod: karod(),
        karoctl: client("karoctl"),
        karo_observe: client("karo-observe"),
    })
}

fn karod() -> PathBuf {
    named("KARO_TEST_DAEMON_DIR", "karod")
        .unwrap_or_else(|| built("karod", &["-p", "karo-daemon", "--bin", "karod"]))
}

fn client(name: &str) -> PathBuf {
    named("KARO_TEST_CLIENT_DIR", name)
        .unwrap_or_else(|| built(name, &["-p", "karo-client", "--profile", "client", "--bins"]))
}

fn named(variable: &str, name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os(variable)?).join(name);
    assert!(path.is_file(), "{variable} is set, but {} is not there", path.display());
    Some(path)
}

fn built(name: &str, what: &[&str]) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--message-format=json-render-diagnostics"])
        .args(what)
        .current_dir(checkout())
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo can be run, or ./test.sh has named the directories of the programs");
    assert!(output.status.success(), "cargo build {what:?} failed");
    let messages = String::from_utf8(output.stdout).expect("cargo prints UTF-8");
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .next_back()
        .unwrap_or_else(|| panic!("cargo built no program {name}"))
}

/// Returns the root of the checkout.
pub fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in a folder of the checkout")
}
