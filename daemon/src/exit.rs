//! How karod ends: its exit codes, documented in the manual beside those of `karoctl`.

use std::process::ExitCode;

use rustix::io::Errno;

use crate::ground::GroundError;
use crate::service::activation::ActivationError;
use crate::settings::SettingsError;

/// Why karod ends.
#[derive(Debug, thiserror::Error)]
pub enum Ending {
    /// It was told to stop and everything was stopped in order.
    #[error("stopped")]
    Stopped,
    /// Nobody needed it for as long as the configuration says; the service manager starts it again.
    #[error("nobody needed karod for service.idle_exit_minutes; the next command starts it again")]
    Idle,
    /// A place it needs cannot be used.
    #[error(transparent)]
    Ground(#[from] GroundError),
    /// The configuration cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The socket that a service manager hands over cannot be used.
    #[error(transparent)]
    Activation(#[from] ActivationError),
    /// Another daemon works on the same data.
    #[error("another karod has the data directory {directory}; stop it, or set KARO_DATA_DIR")]
    Taken {
        /// The directory.
        directory: String,
    },
    /// The store cannot be opened.
    #[error("could not open the store: {0}")]
    Store(String),
    /// The disk failed while the daemon ran; what was not acknowledged is in the spools.
    #[error("the disk failed, nothing more is accepted: {0}")]
    Disk(String),
    /// An invariant broke.
    #[error("bug: {0}")]
    Bug(String),
}

impl Ending {
    /// Returns the exit code.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Stopped | Self::Idle => 0,
            Self::Ground(_) => 1,
            Self::Taken { .. } => 3,
            Self::Store(_) => 6,
            Self::Bug(_) => 70,
            Self::Disk(_) => 74,
            Self::Settings(_) | Self::Activation(_) => 78,
        }
    }

    /// Returns the number of the system that says the same, as a service manager shows it; 0 for an end in order.
    pub fn errno(&self) -> i32 {
        let number = match self {
            Self::Stopped | Self::Idle => return 0,
            Self::Ground(GroundError::Io { error, .. }) => {
                return error.raw_os_error().unwrap_or(Errno::IO.raw_os_error());
            }
            Self::Ground(_) => Errno::PERM,
            Self::Taken { .. } => Errno::BUSY,
            Self::Settings(_) | Self::Activation(_) => Errno::INVAL,
            Self::Store(_) | Self::Disk(_) => Errno::IO,
            Self::Bug(_) => Errno::NOTRECOVERABLE,
        };
        number.raw_os_error()
    }
}

impl From<&Ending> for ExitCode {
    fn from(ending: &Ending) -> Self {
        Self::from(ending.code())
    }
}
