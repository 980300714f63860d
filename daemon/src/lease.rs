//! Leases: how a parent learns that a child is gone, by a panic too.
//!
//! actix restarts an actor that stopped by itself, but not one that panicked: its address is closed
//! and nobody is told. So each actor holds a [`Lease`], and its `Drop` tells the root.

use actix::{Message, Recipient};

/// A child is gone.
///
/// Sent by the drop of a [`Lease`]; nothing is answered.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Gone {
    /// Which one.
    pub name: &'static str,
    /// Whether it was unwound by a panic.
    pub panicked: bool,
}

/// A child's sign of life: as long as it is held, the child is there.
pub struct Lease {
    name: &'static str,
    parent: Recipient<Gone>,
}

impl Lease {
    /// Makes the sign of life of the child of that name.
    pub const fn new(name: &'static str, parent: Recipient<Gone>) -> Self {
        Self { name, parent }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // A note of the life cycle: it must not be lost, and there is one per actor.
        self.parent.do_send(Gone { name: self.name, panicked: std::thread::panicking() });
    }
}
