//! Links to peers: the state machine of one link, and the connections it runs over.
//!
//! `link` decides and touches nothing; `net` connects and decides nothing. Between them stands an actor of the
//! daemon: it gives the machine what happened and carries out what comes back.

#![warn(missing_docs)]

pub mod link;
pub mod net;
pub mod several;
