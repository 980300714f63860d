//! What `karo-observe` and `karoctl` share.

pub mod connection;
pub mod ctl;
pub mod hook;
pub mod observe;
pub mod surroundings;

#[cfg(test)]
mod fake;
