//! karod as a library: everything but the command line, so that tests can start it too.
//!
//! | module | holds |
//! | --- | --- |
//! | [`actors`] | one file per actor, each with the table of its messages |
//! | [`wiring`] | who is given whose address, and in which order all of them stop |
//! | [`settings`] | the configuration file, read and checked |
//! | [`ground`] | the directories that Karo stands on, made and judged |
//! | [`logging`] | where the log goes |
//! | [`roll_ups`] | how far the views are, and when they are made anew |
//! | [`counters`], [`clock`], [`lease`], [`exit`] | small things that the actors share |
//!
//! This is the only place where the pure crates, the store and the world meet. Nothing on the main
//! arbiter blocks: whatever touches a disk lives alone on an arbiter of its own.

pub mod actors;
pub mod clock;
pub mod counters;
pub mod exit;
pub mod ground;
pub mod lease;
pub mod logging;
pub mod roll_ups;
pub mod rule_files;
pub mod settings;
pub mod status;
pub mod wiring;
