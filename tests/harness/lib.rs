//! What every story needs: places of its own, a daemon in them, and a session with it.
//!
//! | file | holds |
//! | --- | --- |
//! | [`journald`] | [`Journald`](journald::Journald): a real journald of its own, which can be stopped and killed |
//! | [`karo`] | [`Karo`]: temporary places, and a real `karod` that is started, frozen, killed and started again |
//! | [`session`] | [`Session`]: one connection, in frames |
//! | [`mesh`] | [`Node`]: a daemon with an address of its own, and what is asked about its peers |
//! | [`namespace`] | [`Namespace`](namespace::Namespace): a network of its own, in which every packet is looked at |
//! | [`name_server`] | [`NameServer`](name_server::NameServer): a few records, and what was asked for |
//! | [`talk`] | [`Talk`]: a recorded conversation, and its players |
//! | [`typist`] | [`Typist`]: a shell that exists only as observations |
//! | [`dice`] | [`Dice`]: chance that repeats exactly, from a seed |
//! | [`service`] | [`ServiceManager`]: holds the socket of a daemon, and hears what it says |
//! | [`history`] | [`History`](history::History): lines in the shape of a real one, for imports of any size |
//! | [`ledger`] | [`Ledger`]: what was acknowledged, kept outside the daemon |
//! | [`binaries`] | where the programs under test lie, freshly built |
//! | [`machine`] | [`Machine`](machine::Machine): a machine of its own, with a real systemd and users |
//! | [`wires`] | [`Wires`](wires::Wires): machines with a network of their own, whose wires can be cut |
//! | [`wait`] | the only way to wait: for a condition, until a deadline |
//!
//! Nothing here asserts on time, and nothing leaves the machine.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a story names the replies that it wants; every other one is its failure"
)]

pub mod binaries;
pub mod dice;
pub mod groups;
pub mod history;
pub mod journald;
pub mod karo;
pub mod ledger;
pub mod machine;
pub mod mesh;
pub mod name_server;
pub mod namespace;
pub mod service;
pub mod session;
pub mod talk;
pub mod typist;
pub mod wait;
pub mod wires;

pub use dice::Dice;
pub use karo::Karo;
pub use ledger::Ledger;
pub use mesh::Node;
pub use service::ServiceManager;
pub use session::Session;
pub use talk::Talk;
pub use typist::Typist;
pub use wait::{PATIENCE, until, within};

/// Tells whether the test runs as root; says on stderr what is skipped if it does not.
///
/// Only tests whose name begins with `root_` ask: `./test.sh` runs those as root and all others as an
/// ordinary user.
pub fn is_root(needed_for: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("skipped: not root, which is needed for {needed_for}");
    }
    is_root
}

/// Returns the number that an environment variable holds, else the default.
pub fn number_from(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
