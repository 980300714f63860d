//! The groups of this machine: their files, our numbers for them, and the days that are closed with our help.
//!
//! It lives alone on its arbiter: sharing a day takes milliseconds. What is verified of others runs on other threads.
//!
//! | message | from | answer |
//! | --- | --- | --- |
//! | [`OwnCard`], [`Make`], [`Look`], [`Show`], [`List`], [`Days`] | sessions | what there is; nothing changes |
//! | [`Accept`], [`Leave`] | sessions | the file, when it is on disk |
//! | [`CloseDay`] | sessions | the day, when it is closed or has ended |
//! | [`Fetched`] | questions | when the atoms can be looked at |
//! | [`Spoken`](super::talks::Spoken), [`Linked`](super::talks::Linked) | links, peers | none |
//! | [`Ourselves`] | peers | none |
//!
//! | file | holds |
//! | --- | --- |
//! | `actor` | what there is, who is heard, the timer |
//! | `files` | group files: made, accepted, left, offered |
//! | `giving` | our own numbers |
//! | `carrying` | what these machines want, carried out |
//! | `closing` | the machines of `karo_core::sum`, and what they want |
//! | `days` | the days as they are known, and one that is closed by hand |
//! | `listing` | the groups, as they are listed |
//! | `kept` | what is on disk |
//! | `desk` | what sessions ask |

mod actor;
mod carrying;
mod closing;
mod days;
mod desk;
mod files;
mod giving;
mod kept;
mod listing;
mod messages;

pub use actor::{GroupsActor, Neighbours};
pub use desk::GroupDesk;
pub use kept::Kept;
pub use messages::{
    Accept, CloseDay, Days, Fetched, Leave, List, Look, Make, Ourselves, OwnCard, Show, Shown,
};
