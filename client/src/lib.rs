//! What `karo-observe` and `karoctl` share.

pub mod hook;
