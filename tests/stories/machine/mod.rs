//! Machines of their own, with a real systemd: what holds of every one, and one file per part of Karo in them.

mod itself;
mod setup;
