//! The segment log, which is the truth, and the views derived from it.

mod keys;
pub mod retention;
pub mod views;
