//! The words that Karo's daemon and its clients speak: types, and the bytes they have on the wire.
//!
//! Nothing here runs: no sockets, no files, no clock, no randomness. The crate stands on the lowest
//! floor, so both sides and every pure crate can name the same things.
//!
//! | module | holds |
//! | --- | --- |
//! | [`frame`] | the frame codec over bytes and its pre-decode scan |
//! | [`local`] | requests and replies over the Unix socket; may hold raw commands |
//! | [`observation`] | what a hook saw, raw, still on its way to the daemon |
//! | [`event`] | what Karo keeps of it: redacted, classified, dated |
//! | [`explain`] | what is understood of a line, with the reasons |
//! | [`rules`] | the rules that risk is decided by, as they are told and asked about |
//! | [`peer`] | what two nodes say to each other; can name nothing raw |
//! | [`node`] | who a machine is to others: its key, and what it is trusted with |
//! | [`group`] | who makes numbers together: a signed file |
//! | [`atom`] | the numbers of a group on a day, and how two aggregators make them |
//! | [`summary`] | what one node tells of itself, to whom its person chose |
//! | [`policy`] | what goes to whom |
//! | [`answer`] | questions to the mesh, and their answers |
//! | [`audit`] | what Karo itself did, as it is told and proven |
//! | [`mesh`] | what a user asks the daemon about its identity, peers and audit |
//! | [`pair`] | what two strangers say to each other in a pairing |
//! | [`logs`] | what the daemon has logged |
//! | [`page`] | what goes into one frame |
//! | [`query`] | what can be asked about events |
//! | [`spool`] | the record that waits on disk when the daemon could not be reached |
//! | [`places`] | where everything lies, by one table |
//! | [`config`] | the configuration file: keys, defaults, ranges |
//! | [`address`], [`id`], [`time`], [`text`], [`category`], [`limits`] | the small words the others are made of |

#![warn(missing_docs)]

pub mod address;
pub mod answer;
pub mod atom;
pub mod audit;
pub mod category;
pub mod config;
pub mod event;
pub mod explain;
pub mod frame;
pub mod group;
pub mod id;
pub mod limits;
pub mod local;
pub mod logs;
pub mod mesh;
pub mod node;
pub mod observation;
pub mod page;
pub mod pair;
pub mod peer;
pub mod places;
pub mod policy;
pub mod query;
pub mod rules;
pub mod scan;
pub mod secret;
pub mod spool;
pub mod summary;
pub mod text;
pub mod time;
mod wider;

pub use category::{Axis, Category, Risk};
pub use event::{Event, Outcome, RedactedCommand, Redaction, State};
pub use id::{BootId, EventId, RequestId, ShellId};
pub use node::{Fingerprint, NodeId, Trust};
pub use observation::{Observation, Phase, RawCommand, Shell, ShellKind};
pub use query::{Filter, Query};
pub use text::Bytes;
pub use time::{Micros, Precision, Timestamp};
