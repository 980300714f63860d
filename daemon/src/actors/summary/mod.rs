//! Summaries: our own, told to whom the policy lets them go, and those that peers tell us.
//!
//! Our own are made of the roll-ups at the end of each hour, day and week, and of what was missed meanwhile. They are
//! signed for one receiver each, on disk before they leave, sent again until they are taken, and told anew in a newer
//! version when the numbers or the policy change. Nothing is made for a peer that may not have it, and the policy is
//! looked at again at each deed.
//!
//! A summary of a peer is taken when that peer itself signed it for us, its time is over and not too long ago, and it
//! is newer than what is kept of the same period. So an old one, the same one again, or another of the same version
//! never takes the place of what is there: the version is what a nonce is elsewhere, and needs no memory of its own.
//!
//! | message | from | answer |
//! | --- | --- | --- |
//! | [`Ask`] | sessions | summaries: own, sent, received, or those that a peer has at this moment |
//! | [`Shown`], [`Change`], [`Preview`], [`Explain`] | sessions | the policy |
//! | [`Settle`] | root, after a reload | none |
//! | [`Spoken`](super::talks::Spoken), [`Linked`](super::talks::Linked) | links, peers | none |
//! | [`Ourselves`](super::groups::Ourselves) | peers | none |
//!
//! | file | holds |
//! | --- | --- |
//! | `actor` | the actor, its timers, and what it forgets |
//! | `making` | what is due to a peer, and its exact bytes |
//! | `telling` | pushing, being asked |
//! | `hearing` | what peers push and answer |
//! | `showing` | what people ask |
//! | `policy` | the policy, changed |
//! | `kept` | what is on disk |

mod actor;
mod hearing;
mod kept;
mod making;
mod messages;
mod policy;
mod showing;
mod telling;

pub use actor::{Sources, SummaryActor};
pub use kept::{Kept, PolicyKept};
pub use messages::{Ask, Change, Explain, Preview, Settle, Shown};
