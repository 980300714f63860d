//! Finding events again: what is kept in memory of each, and how it is searched.

mod change;

pub use change::{Batch, BriefOutcome, Change, Entry, Key, Position};
