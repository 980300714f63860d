//! What Karo understands of a command, how it finds it again, and what is told of a group.
//!
//! Pure: no files, no sockets, no clock, no randomness, and nothing here can fail; an unknown
//! command is `Category::Other`, not an error. [`sum`] is the exception twice: prio draws its own randomness when it
//! splits a vector, and what others say of an atom can be wrong.

#![warn(missing_docs)]

pub mod anomaly;
pub mod atom;
pub mod calendar;
pub mod classify;
pub mod cohort;
pub mod fanout;
pub mod group;
pub mod history;
pub mod line;
pub mod policy;
pub mod public;
pub mod redact;
pub mod risk;
pub mod rollup;
pub mod search;
pub mod sum;
pub mod summary;
pub mod understand;
