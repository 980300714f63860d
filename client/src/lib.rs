//! What `karo-observe` and `karoctl` share.
