//! The link to one peer: an actor around the machine that decides, with the connections that it has.
//!
//! The machine says what is to be done and when it wants to be asked again; here it is done. A frame of the peer is
//! looked at only while the roster admits it: whoever is revoked is not heard to the end of a sentence.
//!
//! | message | from | answer |
//! | --- | --- | --- |
//! | [`Arrived`] | listener, through peers | none |
//! | [`Routed`], [`Identified`], [`Heads`], [`Wake`], [`Hold`], [`Release`], [`Say`] | peers | none |
//! | [`Close`] | peers | when the last word has left |
//! | [`Ping`], [`Test`] | sessions | how it went |

mod actor;
mod connection;
mod messages;
mod route;
mod test;

pub use actor::LinkActor;
pub use messages::{
    Arrived, Close, Heads, Hold, Identified, Ping, Release, Routed, Say, Talk, Test, Wake, tell,
};
