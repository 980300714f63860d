//! The segment log, which is the truth, and the views derived from it.

pub mod disk;
pub mod fields;
mod keys;
pub mod payload;
pub mod records;
pub mod retention;
pub mod views;
