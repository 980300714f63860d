//! What a message is: its class, with a name and an id that stay, and what an operator makes of it.

use karo_protocol::logs::Severity;
use tracing::Level;

use super::table::Class;

/// Declares the classes: name, id, severity, what it means, what an operator does.
macro_rules! classes {
    ($($variant:ident = $name:literal, $id:literal, $severity:ident, $means:literal, $deed:literal;)+) => {
        /// The class of a message at level info or above.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Class { $(#[doc = $means] $variant),+ }

        impl Class {
            /// Every class, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the name that people filter by: `KARO_EVENT` in the journal.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// Returns the 128 bits that the journal and its catalogue know it by: `MESSAGE_ID`.
            pub const fn id(self) -> u128 {
                match self { $(Self::$variant => $id),+ }
            }

            /// Returns how grave it is.
            pub const fn severity(self) -> karo_protocol::logs::Severity {
                match self { $(Self::$variant => karo_protocol::logs::Severity::$severity),+ }
            }

            /// Returns what it means, in a sentence or two.
            pub const fn means(self) -> &'static str {
                match self { $(Self::$variant => $means),+ }
            }

            /// Returns what an operator does about it.
            pub const fn deed(self) -> &'static str {
                match self { $(Self::$variant => $deed),+ }
            }
        }
    };
}

pub(super) use classes;

impl Class {
    /// Returns the level that such a message is said at; a notice is one of info.
    pub const fn level(self) -> Level {
        match self.severity() {
            Severity::Error => Level::ERROR,
            Severity::Warn => Level::WARN,
            Severity::Notice | Severity::Info => Level::INFO,
            Severity::Debug => Level::DEBUG,
            Severity::Trace => Level::TRACE,
        }
    }

    /// Returns the class of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|class| class.name() == name)
    }
}

/// Says something of a class: `say!(Class::PeerConnected, peer = %fingerprint, "connected")`.
///
/// Level and name come from the table; what follows is as `tracing` takes it. A field named `peer` holds a short
/// fingerprint, one named `query` the id of a question; none holds a command's text.
#[macro_export]
macro_rules! say {
    (Class::$class:ident, $($rest:tt)+) => {
        ::tracing::event!(
            $crate::logging::Class::$class.level(),
            event = $crate::logging::Class::$class.name(),
            $($rest)+
        )
    };
}

pub use crate::say;
