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
//!
//! Without a service manager all of it is silent: no thread, no timer, no message.

pub mod activation;
pub mod actor;
pub mod herald;
mod ping;
pub mod watchdog;
pub mod words;

pub use actor::{Look, Ping, ServiceActor};
pub use herald::Herald;
