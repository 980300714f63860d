//! What whole daemons do, and what they survive: one file per story, seen from outside.
//!
//! A story whose name begins with `root_` needs root, and skips itself without it.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a story names the replies that it wants; every other one is its failure"
)]

mod audits;
mod battery;
mod canaries;
mod clocks;
mod crowds;
mod discovery;
mod disks;
mod foe;
mod follow;
mod foreigners;
mod frames;
mod groups;
mod handshakes;
mod hostile;
mod journal;
mod keys;
mod kills;
mod layouts;
mod links;
mod load;
mod logs;
mod machine;
mod mesh;
mod mute;
mod packages;
mod pairs;
#[path = "../shells/pty.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "what shells need of a terminal is more than what these stories do"
)]
mod pty;
mod record;
mod releases;
mod rules;
mod service;
mod setups;
mod sharing;
mod signals;
mod silence;
mod upgrades;
mod versions;
mod wires;
