//! `[service]`: how the daemon lives under a service manager.

use std::time::Duration;

use serde::Deserialize;

use super::{ConfigError, ToToml as _, comment, within};

table! {
    /// How the daemon lives under a service manager.
    ServiceTable {
        /// Minutes after which a daemon that nobody needs ends, up to 10080; 0 for never. It counts where the service
        /// manager holds the socket: the next command starts it again. It stays while a session is open, a
        /// command is running, records wait in the spool, or it has peers, looks for them or follows a file.
        idle_exit_minutes: i64 = 0,
    }
}

/// How the daemon lives under a service manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceSettings {
    /// Time after which a daemon that nobody needs ends; `None` for never.
    pub idle_exit: Option<Duration>,
}

impl ServiceTable {
    pub(super) fn check(&self) -> Result<ServiceSettings, ConfigError> {
        let minutes =
            within("service.idle_exit_minutes", self.idle_exit_minutes, 0, 10_080, "minutes, 0 for never")?;
        Ok(ServiceSettings { idle_exit: (minutes > 0).then(|| Duration::from_secs(minutes * 60)) })
    }
}
