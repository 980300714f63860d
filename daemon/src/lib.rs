//! karod as a library: everything but the command line, so that tests can start it too.
//!
//! | module | holds |
//! | --- | --- |
//! | [`actors`] | one file per actor, each with the table of its messages |
//! | [`wiring`] | who is given whose address, and in which order all of them stop |
//! | [`settings`] | the configuration file, read and checked |
//! | [`ground`] | the directories that Karo stands on, made and judged |
//! | [`identity_file`] | the file of this machine's key |
//! | [`neighbourhood`], [`roster_desk`] | what is known of peers at the start, and who is trusted at the moment |
//! | [`auditor`], [`stored_audit`], [`floodgate`] | the audit that is written, and how much of it |
//! | [`shelves`] | what of the mesh the store keeps under which name |
//! | [`network`] | this machine's addresses |
//! | [`verify_proof`] | what `karod verify-proof` says of a file |
//! | [`logging`] | where the log goes |
//! | [`service`] | what a service manager hands over, and is told |
//! | [`roll_ups`] | how far the views are, and when they are made anew |
//! | [`background`] | threads whose work can wait |
//! | [`signals`], [`loader`] | what it hears; how the log becomes searchable |
//! | [`counters`], [`clock`], [`lease`], [`exit`] | small things that the actors share |
//!
//! This is the only place where the pure crates, the store and the world meet. Nothing on the main
//! arbiter blocks: whatever touches a disk lives alone on an arbiter of its own.

pub mod actors;
pub mod allowance;
pub mod auditor;
pub mod background;
pub mod civil;
pub mod clock;
pub mod counters;
pub mod exit;
pub mod floodgate;
pub mod ground;
pub mod groups_desk;
pub mod identity_file;
pub mod lease;
pub mod loader;
pub mod logging;
pub mod neighbourhood;
pub mod network;
pub mod policy_desk;
pub mod report_files;
pub mod roll_ups;
pub mod roster_desk;
pub mod rule_files;
pub mod service;
pub mod settings;
pub mod shelves;
pub mod signals;
pub mod status;
pub mod stored_audit;
pub mod verify_proof;
pub mod wiring;
