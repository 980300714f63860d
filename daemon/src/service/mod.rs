//! karod under a service manager: what it is handed, what it says of itself, and how it shows that it lives.
//!
//! | file | holds |
//! | --- | --- |
//! | `activation` | the socket that the manager listened on before karod ran |
//! | `words` | pure: what is said, as the lines of `sd_notify(3)` |
//! | `herald` | says it |
//! | `watchdog` | pure: when the manager's watchdog is fed |
//! | `actor` | asks the others whether they are there, and how things are |
//! | `ping` | who is asked |
//! | `progress` | how far the writer's work is |
//! | `idle` | pure: when a daemon that nobody needs ends |
//! | `bounds` | what the unit allows, and what follows for sessions, shells and intake |
//!
//! Without a service manager all of it is silent: no thread, no timer, no message.

pub mod activation;
pub mod actor;
pub mod bounds;
pub mod herald;
pub mod idle;
mod ping;
pub mod progress;
pub mod watchdog;
pub mod words;

pub use actor::{Look, Ping, ServiceActor, Settle};
pub use bounds::Limits;
pub use herald::Herald;
